"""Servers that fail in every way of the fault matrix, on loopback; threads that end with them."""

import gzip
import re
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, Self

import pytest

DRIP = 0.1  # seconds between two bytes of a slow body, each within any read time-out
HUGE = 4 << 30  # bytes that a huge body announces
_FLOOD = 256 * 1024


class Request(NamedTuple):
    """A request as it came; text: path and body, in which a step of a question is looked for."""

    path: str
    body: str

    @property
    def text(self) -> str:
        return f"{self.path} {self.body}"


class Answer(NamedTuple):
    """The true answer. flood: how one begins that has no end, and what it repeats."""

    body: bytes
    flood: tuple[bytes, bytes] = (b"", b"")


class Wire(NamedTuple):
    """What a fault may use: the connection, the true answer, a target's words for a status."""

    connection: socket.socket
    answer: Answer
    words: Callable[[int], bytes]
    ended: threading.Event

    def head(self, status: int, length: int | None, *headers: str) -> None:
        size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        lines = (f"HTTP/1.1 {status} Fault", "Content-Type: text/plain", size, *headers, "", "")
        self.connection.sendall("\r\n".join(lines).encode())


Behaviour = Callable[[Wire], bool]  # whether the connection goes on after it


def reset(wire: Wire) -> bool:
    """Send RST: closing with a linger time of nought."""
    wire.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def status(number: int) -> Behaviour:
    def say(wire: Wire) -> bool:
        body = wire.words(number)
        wire.head(number, len(body))
        wire.connection.sendall(body)
        return True

    return say


def garbage(wire: Wire) -> bool:
    body = b"<html><body>It works!</body></html>\x00\xff{"
    wire.head(200, len(body))
    wire.connection.sendall(body)
    return True


def truncated(wire: Wire) -> bool:
    body = wire.answer.body
    wire.head(200, len(body))
    wire.connection.sendall(body[: len(body) // 2])
    return False


def slow_body(wire: Wire) -> bool:
    body = wire.answer.body.ljust(1000)
    wire.head(200, len(body))
    for at in range(len(body)):
        wire.connection.sendall(body[at : at + 1])
        if wire.ended.wait(DRIP):
            break
    return False


def hang(wire: Wire) -> bool:
    wire.ended.wait()
    return False


def half_then_hang(wire: Wire) -> bool:
    body = wire.answer.body
    wire.head(200, len(body))
    wire.connection.sendall(body[: len(body) // 2])
    wire.ended.wait()
    return False


def huge_body(wire: Wire) -> bool:
    """Stream an answer of 4 GiB that looks right as far as anybody reads, until hung up."""
    start, again = wire.answer.flood
    piece = again * (_FLOOD // len(again))
    wire.head(200, HUGE)
    wire.connection.sendall(start)
    for _ in range(HUGE // _FLOOD):
        wire.connection.sendall(piece)
    return False


def bomb(wire: Wire) -> bool:
    """Stream the same compressed, a thousandth of its size on the wire."""
    start, again = wire.answer.flood
    wire.head(200, None, "Content-Encoding: gzip")
    deflate, piece = zlib.compressobj(wbits=31), again * (_FLOOD // len(again))
    member = b"".join(deflate.compress(piece) for _ in range(64)) + deflate.flush()
    for data in (gzip.compress(start), *(member for _ in range(256))):
        wire.connection.sendall(b"%x\r\n%s\r\n" % (len(data), data))
    return False


class FaultServer:
    """Answers truly, and with the fault each request that the pattern is found in.

    A context manager. pattern None: no request, yet; `asked` tells what came.
    """

    def __init__(
        self,
        answer: Callable[[Request], Answer],
        words: Callable[[int], bytes],
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.asked: list[str] = []
        self.fault: tuple[re.Pattern[str], Behaviour] | None = None
        self._answer, self._words, self._context = answer, words, context
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._connections: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        _cut(self._listener)
        # macOS wakes no accept() by a shutdown; a connection wakes it everywhere.
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        self._threads[0].join(5)
        self._listener.close()
        for connection in self._connections:
            _cut(connection)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:  # it has been shut down
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, raw: socket.socket) -> None:
        connection = raw
        with suppress(OSError):  # the client has hung up, or trusts nobody
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                connection = self._context.wrap_socket(raw, True, do_handshake_on_connect=False)
                self._connections.append(connection)
                connection.do_handshake()
            with connection.makefile("rb") as stream:
                while (request := _request(stream)) is not None and self._say(connection, request):
                    pass
        connection.close()

    def _say(self, connection: socket.socket, request: Request) -> bool:
        """Answer a request; False ends the connection."""
        self.asked.append(request.text)
        wire = Wire(connection, self._answer(request), self._words, self._ended)
        if self.fault is not None and self.fault[0].search(request.text):
            return self.fault[1](wire)
        wire.head(200, len(wire.answer.body))
        connection.sendall(wire.answer.body)
        return not self._ended.is_set()


@contextmanager
def unreachable() -> Iterator[int]:
    """Yield a port whose backlog is full: what asks for a connection hears nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        try:
            yield listener.getsockname()[1]
        finally:
            for one in waiting:
                one.close()


@contextmanager
def refused() -> Iterator[int]:
    """Yield a port that is bound, and listens to nobody."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextmanager
def no_name_in_invalid() -> Iterator[None]:
    """Resolve no name in .invalid, at once, as RFC 6761 6.4 wants; a resolver may take its time."""
    true = socket.getaddrinfo

    def resolve(host: Any, *more: Any, **options: Any) -> Any:
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return true(host, *more, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", resolve)
        yield


def _request(stream: object) -> Request | None:
    read = stream.readline  # type: ignore[attr-defined]
    first = read(65536).split()
    if len(first) != 3:
        return None
    length = 0
    while (line := read(65536)) not in (b"\r\n", b"\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    body: bytes = stream.read(length)  # type: ignore[attr-defined]
    return Request(first[1].decode(), body.decode())


def _cut(connection: socket.socket) -> None:
    # The plain shutdown: that of SSLSocket drops its state under the thread that reads from it.
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
