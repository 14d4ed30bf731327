"""A proxy on loopback in front of an HTTP server, which spoils some of its answers.

Everything is passed on as it is, except the answer to a request in whose head or body the text of
the fault stands. TLS ends at the proxy.
"""

import http.client
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Does = Literal["answer", "half", "cut", "short", "drip"]


@dataclass(frozen=True)
class Fault:
    """What happens to requests that contain `asked`.

    answer: `status` and `body` in place of the true ones, with ClickHouse's `code`. Of the true
    answer the first half of its lines is sent, chunked, and then: half: `body` in good order; cut:
    the connection is closed in the middle of a chunk; short: it is closed between two chunks;
    drip: a blank line now and then until the proxy ends.
    """

    asked: str
    does: Does = "answer"
    status: int = 200
    code: int | None = None
    body: str = ""


@dataclass
class Proxy:
    """A running proxy. asked: the heads and bodies of the requests that the fault met."""

    port: int
    faults: tuple[Fault, ...] = ()
    asked: list[bytes] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


@contextmanager
def proxy(upstream: int, *faults: Fault, tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """Run a proxy in front of a port of 127.0.0.1, on a free one; tls: speak https to clients."""
    running = Proxy(0, faults)

    class Handler(_Handler):
        proxy = running
        target = upstream

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: clients that go away in mid-answer are what the tests are about."""

    with Server(("127.0.0.1", 0), Handler) as server:
        running.port = server.server_address[1]
        if tls is not None:
            server.socket = tls.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield running
        finally:
            running.ended.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    target: int
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        whole = self.path.encode() + b"\n" + body
        fault = next((f for f in self.proxy.faults if f.asked.encode() in whole), None)
        if fault is None:
            self._pass(*self._true(body))
            return
        self.proxy.asked.append(whole)
        self.close_connection = True
        if fault.does == "answer":
            more = [("X-ClickHouse-Exception-Code", str(fault.code))] if fault.code else []
            self._pass(fault.status, more, fault.body.encode())
            return
        status, headers, data = self._true(body)
        self._spoil(fault, status, headers, data.splitlines(keepends=True))

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass

    def _true(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """Ask upstream; uncompressed, for the halves are halves of lines."""
        skipped = {"accept-encoding", "host", "content-length", "transfer-encoding"}
        headers = {k: v for k, v in self.headers.items() if k.lower() not in skipped}
        path = self.path.replace("enable_http_compression=1", "enable_http_compression=0")
        connection = http.client.HTTPConnection("127.0.0.1", self.target, timeout=30)
        try:
            connection.request(self.command, path, body, headers)
            answer = connection.getresponse()
            kept = [(k, v) for k, v in answer.getheaders() if k.startswith(("X-", "Content-Type"))]
            return answer.status, kept, answer.read()
        finally:
            connection.close()

    def _pass(self, status: int, headers: list[tuple[str, str]], data: bytes) -> None:
        self._head(status, [*headers, ("Content-Length", str(len(data)))])
        self.wfile.write(data)

    def _spoil(
        self, fault: Fault, status: int, headers: list[tuple[str, str]], lines: list[bytes]
    ) -> None:
        self._head(status, [*headers, ("Transfer-Encoding", "chunked")])
        half = b"".join(lines[: len(lines) // 2])
        assert half, "the answer is too small to be halved"
        if fault.does == "cut":
            self.wfile.write(f"{len(half) * 2:x}\r\n".encode() + half)
            return
        self._chunk(half)
        if fault.does == "half":
            self._chunk(fault.body.encode())
            self.wfile.write(b"0\r\n\r\n")
        elif fault.does == "drip":
            while not self.proxy.ended.wait(0.05):
                self._chunk(b"\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _head(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
