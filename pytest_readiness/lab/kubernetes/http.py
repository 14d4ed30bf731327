"""The wire of the lab's Kubernetes API: connections, TLS, who asks, faults by path.

PYTEST_DONT_REWRITE
"""

import contextlib
import gzip
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from pytest_readiness.lab.kubernetes import status as k8s_status
from pytest_readiness.lab.kubernetes.answers import ANONYMOUS, Ask, Reply, User, failure, text_reply
from pytest_readiness.lab.kubernetes.faults import Fault, PathAnswer

# As the API server: smaller answers are not worth it (apiserver defaultGzipThresholdBytes).
GZIP_FROM = 128 * 1024
_PIECES = 20
_LOOK_EVERY = 0.05
_HANDSHAKE_SECONDS = 10.0


class RecordedRequest(NamedTuple):
    """One request as it came; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


class Faults:
    """Gives out the answers that replace true ones, each as often as it may be used."""

    def __init__(self, answers: Sequence[PathAnswer]) -> None:
        self._left = [(answer, [answer.times]) for answer in answers]
        self._lock = threading.Lock()

    def take(self, path: str, *, has_continue: bool) -> PathAnswer | None:
        """Return the first answer for the request that is not used up, and count it."""
        with self._lock:
            for answer, left in self._left:
                if left[0] != 0 and answer.matches(path, has_continue=has_continue):
                    if left[0] is not None:
                        left[0] -= 1
                    return answer
        return None


class Wire(TCPServer):
    """Listens on 127.0.0.1, one thread a connection; stop() leaves neither thread nor socket.

    listens: False keeps the port, but refuses connections.
    """

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self,
        *,
        answer: Callable[[Ask], Reply],
        faults: Faults,
        users: Mapping[str, User],
        default_user: User | None,
        context: ssl.SSLContext | None,
        listens: bool = True,
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.answer = answer
        self.faults = faults
        self.users = users
        self.default_user = default_user
        self.requests: list[RecordedRequest] = []
        self.stopping = threading.Event()
        self._context = context
        self._listens = listens
        self._accepts = False
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._connections: set[socket.socket] = set()

    def start(self) -> None:
        """Bind a free port and accept connections in a thread."""
        self.server_bind()
        if self._listens:
            self.server_activate()
            name = "lab-kubernetes"
            thread = threading.Thread(
                target=self.serve_forever, args=(_LOOK_EVERY,), name=name, daemon=True
            )
            self._threads.add(thread)
            thread.start()
            self._accepts = True

    def stop(self) -> None:
        """Close the port, cut every connection and wait for its thread; hanging ones too."""
        self.stopping.set()
        if self._accepts:
            self.shutdown()
        self.server_close()
        with self._lock:
            threads = set(self._threads)
            for connection in self._connections:
                _cut(connection)
        for thread in threads:
            thread.join(timeout=10)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        thread = threading.Thread(
            target=self._serve, args=(request, client_address), name="lab-kubernetes", daemon=True
        )
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _serve(self, raw: socket.socket, client_address: Any) -> None:
        connection = raw
        try:
            if self._context is not None:
                # The handshake waits for the client, so it is not done where accept() is.
                raw.settimeout(_HANDSHAKE_SECONDS)
                connection = self._context.wrap_socket(
                    raw, server_side=True, do_handshake_on_connect=False
                )
            with self._lock:
                self._connections.add(connection)
            if isinstance(connection, ssl.SSLSocket):
                connection.do_handshake()
                connection.settimeout(None)
            if not self.stopping.is_set():
                Handler(connection, client_address, self)
        except OSError:
            pass  # the client went away, or does not trust us, which it knows itself
        finally:
            with self._lock:
                self._connections.discard(connection)
                self._threads.discard(threading.current_thread())
            connection.close()


class Handler(BaseHTTPRequestHandler):
    """Reads requests of one connection, applies faults, writes replies."""

    protocol_version = "HTTP/1.1"
    server: Wire
    wbufsize = -1  # head and body in one write; two cost the delayed ACK of 40 ms
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Prepare the connection and learn the user of its certificate."""
        super().setup()
        certificate = None
        if isinstance(self.connection, ssl.SSLSocket):
            certificate = self.connection.getpeercert()
        self._certified = _user_of(certificate) if certificate else None

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing; requests are recorded."""

    def handle_one_request(self) -> None:
        """Read and answer one request; whatever its method is."""
        try:
            line = self.rfile.readline(65537)
            self.raw_requestline = line
            if not line or not self.parse_request():
                self.close_connection = True
                return
            self._handle()
            self.wfile.flush()
        except OSError:
            self.close_connection = True

    def finish(self) -> None:
        """Close the files of the connection; what cannot be sent any more is dropped."""
        with contextlib.suppress(OSError, ValueError):
            super().finish()
        self.rfile.close()

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        split = urlsplit(self.path)
        path = "/" + unquote(split.path).strip("/")
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append(RecordedRequest(self.command, path, split.query, headers))
        query = dict(parse_qsl(split.query, keep_blank_values=True))
        fault = self.server.faults.take(path, has_continue=bool(query.get("continue")))
        if fault is not None and fault.fault in _INSTEAD:
            _INSTEAD[fault.fault](self, path, fault)
            return
        user = self._user()
        if user is None:
            reply = failure(k8s_status.status(401))
        else:
            accept = self.headers.get("Accept", "*/*")
            ask = Ask(self.command, path, query, accept, body, user)
            reply = self.server.answer(ask)
        if fault is not None:
            self._spoil(fault, reply)
        elif reply.events is not None:
            self._stream(reply.events, reply.hold_seconds)
        else:
            self._send(reply)

    def _user(self) -> User | None:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.server.users.get(token.strip())
        return self._certified or self.server.default_user or ANONYMOUS

    def _send(self, reply: Reply) -> None:
        body, headers = reply.body, dict(reply.headers)
        accepted = self.headers.get("Accept-Encoding", "")
        if len(body) > GZIP_FROM and "gzip" in accepted:
            body = gzip.compress(body, 1, mtime=0)
            headers["Content-Encoding"] = "gzip"
            headers["Vary"] = "Accept-Encoding"
        self._head(reply.status, reply.content_type, len(body), headers)
        self.wfile.write(body)

    def _head(
        self, status: int, content_type: str, length: int | None, headers: Mapping[str, str]
    ) -> None:
        self.send_response(status)
        self.send_header("Audit-Id", f"{len(self.server.requests):08d}-lab")
        self.send_header("Cache-Control", "no-cache, private")
        self.send_header("Content-Type", content_type)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _stream(self, events: Iterator[bytes], hold_seconds: float) -> None:
        self._head(200, "application/json", None, {})
        for event in events:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.flush()
        self._hold(hold_seconds)
        self.wfile.write(b"0\r\n\r\n")

    def _hold(self, seconds: float | None) -> None:
        """Wait until the client goes, the lab stops or the seconds are over."""
        left = float("inf") if seconds is None else seconds
        while left > 0:
            step = min(left, _LOOK_EVERY)
            if self.server.stopping.wait(step) or _is_gone(self.connection):
                self.close_connection = True
                return
            left -= step

    # Faults that alter the true answer.

    def _spoil(self, fault: PathAnswer, reply: Reply) -> None:
        if fault.fault is Fault.SLOW:
            self._send_slowly(reply, fault.seconds)
        elif fault.fault is Fault.TRUNCATED:
            self._head(reply.status, reply.content_type, len(reply.body), reply.headers)
            self.wfile.write(reply.body[: len(reply.body) // 2])
            self.close_connection = True
        elif fault.fault is Fault.GZIP_CUT:
            cut = gzip.compress(reply.body, 1, mtime=0)
            cut = cut[: len(cut) * 3 // 4]
            headers = {**reply.headers, "Content-Encoding": "gzip"}
            self._head(reply.status, reply.content_type, len(cut), headers)
            self.wfile.write(cut)
        else:
            self._send(_with_items(fault, reply))

    def _send_slowly(self, reply: Reply, seconds: float) -> None:
        self._head(reply.status, reply.content_type, len(reply.body), reply.headers)
        size = -(-len(reply.body) // _PIECES) or 1
        for start in range(0, len(reply.body), size):
            self.wfile.flush()
            self._hold(seconds / _PIECES)
            if self.close_connection:
                return
            self.wfile.write(reply.body[start : start + size])

    # Faults that come instead of it.

    def _hang(self, path: str, fault: PathAnswer) -> None:
        self._hold(None)

    def _reset(self, path: str, fault: PathAnswer) -> None:
        # Closing with a linger time of nought sends RST.
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True

    def _status(self, path: str, fault: PathAnswer) -> None:
        assert fault.status is not None
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        if path.split("/")[1] in ("healthz", "livez", "readyz"):
            name = path.split("/")[1]
            words = fault.message or f"[-]etcd failed: reason withheld\n{name} check failed\n"
            reply = text_reply(words, fault.status)
        else:
            reply = failure(k8s_status.status(fault.status, fault.message))
        self._send(Reply(reply.status, reply.body, reply.content_type, headers))

    def _garbage(self, path: str, fault: PathAnswer) -> None:
        self._send(Reply(200, b"<html><body>It works!</body></html>\x00\xff{"))

    def _body(self, path: str, fault: PathAnswer) -> None:
        self._send(Reply(200, msgspec.json.encode(fault.value)))

    def _huge(self, path: str, fault: PathAnswer) -> None:
        head = b'{"kind":"List","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"'
        tail = b'"}}]}'
        self._head(200, "application/json", fault.size, {})
        self.wfile.write(head)
        left = fault.size - len(head) - len(tail)
        filler = b"x" * (1 << 20)
        while left > 0 and not self.server.stopping.is_set():
            self.wfile.write(filler[:left])
            left -= len(filler)
        self.wfile.write(tail)


_INSTEAD: dict[Fault, Callable[[Handler, str, PathAnswer], None]] = {
    Fault.HANG: Handler._hang,
    Fault.RESET: Handler._reset,
    Fault.STATUS: Handler._status,
    Fault.GARBAGE: Handler._garbage,
    Fault.HUGE: Handler._huge,
    Fault.BODY: Handler._body,
}


def _with_items(fault: PathAnswer, reply: Reply) -> Reply:
    try:
        document = msgspec.json.decode(reply.body)
    except msgspec.DecodeError:
        return reply
    items = document.get("items") if isinstance(document, dict) else None
    if not isinstance(items, list):
        return reply
    if fault.fault is Fault.NULL_ITEMS:
        document["items"] = None
    elif fault.item < len(items):
        items[fault.item] = fault.value
    return Reply(reply.status, msgspec.json.encode(document), reply.content_type, reply.headers)


def _user_of(certificate: Any) -> User:
    names = [pair for part in certificate.get("subject", ()) for pair in part]
    common = next((value for key, value in names if key == "commonName"), "")
    groups = tuple(value for key, value in names if key == "organizationName")
    return User(common, (*groups, "system:authenticated"))


def _is_gone(connection: socket.socket) -> bool:
    readable, _, _ = select.select([connection.fileno()], [], [], 0)
    if not readable:
        return False
    if isinstance(connection, ssl.SSLSocket):
        return True  # a client that waits sends nothing but its close_notify
    return not connection.recv(1, socket.MSG_PEEK)


def _cut(connection: socket.socket) -> None:
    # The plain shutdown: that of SSLSocket drops its state under the thread that reads from it.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
