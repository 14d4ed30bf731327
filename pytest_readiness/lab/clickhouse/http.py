"""ClickHouse's HTTP interface over the embedded engine, as clickhouse-connect and curl use it.

After clickhouse.com/docs/interfaces/http: `/ping`, `/`, `/replicas_status`, queries by GET (always
read-only) and POST, settings and `param_` in the URL, formats, X-ClickHouse-* headers, basic
authentication or X-ClickHouse-User and -Key, inserts from the body, gzip and deflate on demand.
Not there: sessions that outlive a request, other compression. Also `/backup/list`, which real
servers have on a port of clickhouse-backup's own.

PYTEST_DONT_REWRITE
"""

import base64
import gzip
import json
import re
import socket
import struct
import threading
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from pytest_readiness.lab.clickhouse.engine import Engine, EngineError

if TYPE_CHECKING:
    from pytest_readiness.lab.clickhouse.world import Answer

_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*\Z", re.IGNORECASE)
# Parameters that are the interface's own; every other one is a setting.
_RESERVED = frozenset(
    (
        "query", "database", "default_format", "user", "password", "quota_key", "query_id",
        "session_id", "session_timeout", "session_check", "wait_end_of_query", "buffer_size",
        "compress", "decompress", "stacktrace", "role", "client_protocol_version",
        "close_session",
    )
)  # fmt: skip
# HTTPHandler.cpp, exceptionCodeToHTTPStatus; every other code is 500.
_STATUS = {
    **dict.fromkeys((192, 193, 497, 516), 403),
    194: 401,
    **dict.fromkeys((27, 38, 41, 62, 72, 115, 456), 400),
    **dict.fromkeys((36, 46, 47, 60, 81), 404),
    159: 408,
    48: 501,
    **dict.fromkeys((209, 76), 503),
}


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked of the lab. parameters: of the URL, without the query's text."""

    method: str
    path: str
    query: str
    parameters: dict[str, str]
    headers: dict[str, str]

    def named_format(self) -> str | None:
        """Return the format of the query's last words, if it has one."""
        match = _FORMAT.search(self.query)
        return match[1] if match else None


@dataclass(slots=True)
class Site:
    """What the handlers share. users: name -> password. backups: body of /backup/list."""

    engine: Engine
    version: str
    users: dict[str, str]
    answers: tuple["Answer", ...]
    backups: Callable[[], str]
    requests: list[Request] = field(default_factory=list)
    used: dict[int, int] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: Request) -> "Answer | None":
        """Note the request and return the answer that is put in place of the true one."""
        with self.lock:
            self.requests.append(request)
            for number, answer in enumerate(self.answers):
                used = self.used.get(number, 0)
                matches = answer.path in request.path and answer.query in request.query
                if matches and (answer.times is None or used < answer.times):
                    self.used[number] = used + 1
                    return answer
        return None


class Server(ThreadingHTTPServer):
    """Serves one Site; `stop` also ends the connections that clients keep open."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], site: Site) -> None:
        self.site = site
        self._open: set[socket.socket] = set()
        super().__init__(address, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection and serve it in a thread."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget and close the connection."""
        self._open.discard(request)
        super().shutdown_request(request)

    def stop(self) -> None:
        """End serving."""
        self.site.stopping.set()
        self.shutdown()
        self.server_close()
        for connection in tuple(self._open):
            self.shutdown_request(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away in mid-answer is none of the lab's errors."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "readiness-lab"
    # Header and body go out in two writes; Nagle's algorithm would hold the second one back.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer a GET."""
        self._serve()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._serve()

    def do_HEAD(self) -> None:
        """Answer as a GET, without the body."""
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the terminal clean."""

    def _serve(self) -> None:
        url = urlsplit(self.path)
        parameters = dict(parse_qsl(url.query, keep_blank_values=True))
        try:
            body = self._body()
        except ValueError as error:
            self._send(501, f"Code: 48. DB::Exception: {error}. (NOT_IMPLEMENTED)\n".encode(), {})
            return
        # The body of an INSERT is data, and any other one the rest of the query.
        data = b"\n".join(filter(None, (parameters.pop("query", "").encode(), body)))
        query = data.decode("utf-8", "replace")
        request = Request(self.command, url.path, query, parameters, dict(self.headers.items()))
        answer = self.server.site.answer(request)
        if answer is not None:
            self._answer(answer)
        elif url.path == "/ping" or (url.path == "/replicas_status" and not query):
            self._send(200, b"Ok.\n", {"Content-Type": "text/html; charset=UTF-8"})
        elif url.path == "/backup/list":
            listed = self.server.site.backups().encode()
            self._send(200, listed, {"Content-Type": "application/json; charset=UTF-8"})
        elif url.path != "/":
            self._send(404, f"There is no handle {url.path}\n".encode(), {})
        elif not query:
            self._send(200, b"Ok.\n", {"Content-Type": "text/html; charset=UTF-8"})
        else:
            self._query(request, data)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = b"".join(iter(self._chunk, b""))
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return _unpacked(data, self.headers.get("Content-Encoding") or "")

    def _chunk(self) -> bytes:
        length = int(self.rfile.readline().split(b";")[0], 16)
        data = self.rfile.read(length)
        self.rfile.readline()
        return data

    def _query(self, request: Request, sql: bytes) -> None:
        user, refused = self._user(request)
        if refused:
            code = 194 if not request.headers.get("Authorization") and not user else 516
            self._refuse(code, f"Code: {code}. DB::Exception: {refused}", request)
            return
        settings = {
            name: value
            for name, value in request.parameters.items()
            if name not in _RESERVED and not name.startswith("param_")
        }
        if request.method != "POST":
            settings.setdefault("readonly", "2")
        asked = request.headers.get("X-ClickHouse-Format") or "TabSeparated"
        format = request.named_format() or request.parameters.get("default_format", asked)
        try:
            data = self.server.site.engine.query(
                sql,
                format=format,
                database=request.parameters.get("database", ""),
                settings=settings,
                parameters={
                    name.removeprefix("param_"): value
                    for name, value in request.parameters.items()
                    if name.startswith("param_")
                },
            )
        except EngineError as error:
            self._refuse(error.code, str(error), request)
            return
        headers = {**self._headers(request), "X-ClickHouse-Format": format}
        if request.parameters.get("enable_http_compression") == "1":
            data = self._compressed(data, headers)
        self._send(200, data, headers)

    def _user(self, request: Request) -> tuple[str, str]:
        """Return who asks, and why not, if so."""
        user = request.headers.get("X-ClickHouse-User") or request.parameters.get("user", "")
        password = request.headers.get("X-ClickHouse-Key") or request.parameters.get("password", "")
        scheme, _, value = (request.headers.get("Authorization") or "").partition(" ")
        if scheme.lower() == "basic":
            try:
                user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
            except ValueError:
                return "", "Authentication failed: the header is not base64. (BAD_ARGUMENTS)"
        users = self.server.site.users
        if users.get(user or "default") == password:
            return user, ""
        return user, (
            f"{user or 'default'}: Authentication failed: password is incorrect, or there is no "
            "user with such name. (AUTHENTICATION_FAILED)"
        )

    def _headers(self, request: Request) -> dict[str, str]:
        summary = {"read_rows": "0", "read_bytes": "0", "written_rows": "0", "written_bytes": "0"}
        return {
            "Content-Type": "text/plain; charset=UTF-8",
            "X-ClickHouse-Server-Display-Name": "lab",
            "X-ClickHouse-Query-Id": request.parameters.get("query_id") or str(uuid.uuid4()),
            "X-ClickHouse-Timezone": "UTC",
            "X-ClickHouse-Summary": json.dumps(summary),
        }

    def _compressed(self, data: bytes, headers: dict[str, str]) -> bytes:
        accepted = [part.split(";")[0].strip() for part in self._accepts().split(",")]
        if "gzip" in accepted:
            headers["Content-Encoding"] = "gzip"
            return gzip.compress(data, 1)
        if "deflate" in accepted:
            headers["Content-Encoding"] = "deflate"
            return zlib.compress(data, 1)
        return data

    def _accepts(self) -> str:
        return str(self.headers.get("Accept-Encoding") or "")

    def _refuse(self, code: int, text: str, request: Request) -> None:
        headers = {**self._headers(request), "X-ClickHouse-Exception-Code": str(code)}
        if code == 194:
            headers["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
        body = f"{text} (version {self.server.site.version})\n"
        self._send(_STATUS.get(code, 500), body.encode(), headers)

    def _answer(self, answer: "Answer") -> None:
        match answer.does:
            case "hang":
                self.server.site.stopping.wait()
                self.close_connection = True
            case "reset":
                # Linger of 0 s: the kernel sends RST instead of FIN.
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.close_connection = True
            case "truncate":
                self._send(answer.status, answer.body.encode(), {}, promised=1 << 16)
                self.close_connection = True
            case _:
                headers = {"Content-Type": "text/plain; charset=UTF-8"}
                if answer.code is not None:
                    headers["X-ClickHouse-Exception-Code"] = str(answer.code)
                self._send(answer.status, answer.body.encode(), headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str], promised: int = 0) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(promised or len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _unpacked(data: bytes, encoding: str) -> bytes:
    """Return the body of a request as it was before its Content-Encoding. Raises ValueError."""
    match encoding:
        case "":
            return data
        case "gzip":
            return gzip.decompress(data)
        case "deflate":
            return zlib.decompress(data)
        case "lz4":
            # clickhouse-connect depends on it, and packs its inserts with it.
            from lz4 import frame  # type: ignore[import-untyped]

            return bytes(frame.decompress(data))
        case _:
            raise ValueError(f"the lab does not read Content-Encoding {encoding}")
