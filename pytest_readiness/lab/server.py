"""One loopback server for every HTTP target of the lab: what it says is data or a function.

    ROUTES = {
        "GET /-/ready": "Prometheus Server is Ready.",              # text
        "GET /api/v1/rules": {"status": "success", "data": {}},     # JSON
        "GET /api/v1/query": lambda request: ASKED[request.parameters["query"]],
    }
    with Server(routes(ROUTES), faults=[PathAnswer(path="/-/ready", fault=Fault.HANG)]) as server:
        server.url                     # http://127.0.0.1:PORT
        server.asked("/-/ready")       # how often that was asked for

Faults: changes.py. TLS: `tls=write_tls(folder).server_context()`, whose authority is `ca.pem`.

PYTEST_DONT_REWRITE
"""

import contextlib
import math
import select
import socket
import ssl
import struct
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from pytest_readiness.lab.changes import Fault, PathAnswer, faulty
from pytest_readiness.lab.exchange import HANG, RESET, Reply, Request, Responder

_LOOK_EVERY = 0.05  # seconds until a wait sees that the client has gone, or the lab ends
_HANDSHAKE_SECONDS = 10.0


class Server(TCPServer):
    """Listens on 127.0.0.1, a thread a connection; stop() leaves neither thread nor socket."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self,
        answer: Responder,
        *,
        faults: Sequence[PathAnswer] = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler, bind_and_activate=False)
        self.answer = faulty(answer, faults)
        self.requests: list[Request] = []
        self.stopping = threading.Event()
        self._context = tls
        self._listens = all(fault.fault is not Fault.REFUSE for fault in faults)
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._connections: set[socket.socket] = set()

    @property
    def url(self) -> str:
        """Return `http://127.0.0.1:PORT` (https with TLS), without a slash at its end."""
        scheme = "http" if self._context is None else "https"
        return f"{scheme}://127.0.0.1:{self.server_address[1]}"

    def asked(self, path: str, *, method: str = "GET") -> int:
        """Return how many requests for exactly that path (without query) came."""
        return sum((it.method, it.path) == (method, path) for it in tuple(self.requests))

    def start(self) -> Self:
        """Take a free port and accept connections in a thread; the fault `refuse` accepts none."""
        self.server_bind()
        if self._listens:
            self.server_activate()
            self._start(self.serve_forever, _LOOK_EVERY)
        return self

    def stop(self) -> None:
        """Close the port, cut every connection and wait for its thread; hanging ones too."""
        self.stopping.set()
        if self._threads:  # else shutdown() would wait for a loop that never ran
            self.shutdown()
        self.server_close()
        with self._lock:
            for connection in self._connections:
                _cut(connection)
        for thread in self._threads:
            thread.join(timeout=10)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        self._threads = {thread for thread in self._threads if thread.is_alive()}
        self._start(self._serve, request, client_address)

    def _start(self, target: Any, *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, name="lab-server", daemon=True)
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
            if self.stopping.is_set():
                return  # too late for stop() to cut it
            if isinstance(connection, ssl.SSLSocket):
                connection.do_handshake()
                connection.settimeout(None)
            _Handler(connection, client_address, self)
        except OSError:
            pass  # the client went away, or does not trust us, which it knows itself
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    """Reads the requests of one connection and writes the replies."""

    protocol_version = "HTTP/1.1"
    server_version = "readiness-lab"
    sys_version = ""
    server: Server
    wbufsize = -1  # head and body in one write; two cost the delayed ACK of 40 ms
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing; requests are remembered."""

    def handle_expect_100(self) -> bool:
        """Let a client that asks first send its body."""
        goes_on = super().handle_expect_100()
        self.wfile.flush()
        return goes_on

    def handle_one_request(self) -> None:
        """Read and answer one request; whatever its method is."""
        try:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            request = self._request()
            self.server.requests.append(request)
            self._reply(self.server.answer(request))
            self.wfile.flush()
        except OSError:
            self.close_connection = True

    def finish(self) -> None:
        """Close the files of the connection; what cannot be sent any more is dropped."""
        with contextlib.suppress(OSError, ValueError):
            super().finish()
        self.rfile.close()

    def _request(self) -> Request:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b"".join(iter(self._chunk, b""))
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        shown = None
        if isinstance(self.connection, ssl.SSLSocket):
            shown = self.connection.getpeercert()
        split = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = unquote(split.path) or "/"
        return Request(self.command, path, split.query, headers, body, shown or {})

    def _chunk(self) -> bytes:
        data = self.rfile.read(int(self.rfile.readline().split(b";")[0], 16))
        self.rfile.readline()
        return data

    def _reply(self, reply: Reply) -> None:
        if reply is HANG:
            self._wait(math.inf)
            self.close_connection = True
        elif reply is RESET:
            # Closing with a linger time of nought sends RST.
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
        else:
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        pieces = (reply.body,) if isinstance(reply.body, bytes) else reply.body
        length = reply.length
        if length is None and isinstance(reply.body, bytes):
            length = len(reply.body)
        self._head(reply, length)
        if self.command == "HEAD":
            return
        sent = 0
        for piece in pieces:
            if not isinstance(piece, bytes):
                self.wfile.flush()
                if not self._wait(piece):
                    self.close_connection = True
                    return
            elif length is not None:
                sent += len(piece)
                self.wfile.write(piece)
            elif piece:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if length is None:
            self.wfile.write(b"0\r\n\r\n")
        elif sent < length:
            self.close_connection = True

    def _head(self, reply: Reply, length: int | None) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _wait(self, seconds: float) -> bool:
        """Wait; False when the client went or the lab stops before the seconds are over."""
        while seconds > 0:
            step = min(seconds, _LOOK_EVERY)
            if self.server.stopping.wait(step) or _is_gone(self.connection):
                return False
            seconds -= step
        return True


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
