"""ClickHouse's HTTP interface over the embedded engine, as clickhouse-connect and curl use it.

After clickhouse.com/docs/interfaces/http: `/ping`, `/`, `/replicas_status`, queries by GET (always
read-only) and POST, settings and `param_` in the URL, formats, X-ClickHouse-* headers, basic
authentication or X-ClickHouse-User and -Key, inserts from the body, gzip and deflate on demand.
Not there: sessions that outlive a request, other compression. Also `/backup/list`, which real
servers have on a port of clickhouse-backup's own.

PYTEST_DONT_REWRITE
"""

import gzip
import json
import re
import uuid
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pytest_readiness.lab import changes
from pytest_readiness.lab.changes import Fault
from pytest_readiness.lab.clickhouse.engine import Engine, EngineError
from pytest_readiness.lab.clickhouse.world import Answer
from pytest_readiness.lab.exchange import Reply, Request, text_reply

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


_PLAIN = "text/plain; charset=UTF-8"
_PACKED = ("", "gzip", "deflate", "lz4")
_FAULTS = {
    "answer": Fault.STATUS,
    "hang": Fault.HANG,
    "reset": Fault.RESET,
    "truncate": Fault.TRUNCATED,
}


@dataclass(frozen=True, slots=True)
class Question:
    """What a request asks the lab. parameters: of the URL, without the query's text."""

    method: str
    path: str
    query: str
    parameters: dict[str, str]
    headers: dict[str, str]

    def named_format(self) -> str | None:
        """Return the format of the query's last words, if it has one."""
        match = _FORMAT.search(self.query)
        return match[1] if match else None


def question(request: Request) -> Question:
    """Return a request as ClickHouse reads it; packed in a way unknown, its body stays as it is."""
    parameters = request.parameters
    parameters.pop("query", None)
    query = _sql(request).decode("utf-8", "replace")
    return Question(request.method, request.path, query, parameters, dict(request.headers))


class Instead(changes.PathAnswer, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An answer other than the true one, to what asks for its text. code: ClickHouse's."""

    query: str
    code: int | None

    def matches(self, request: Request) -> bool:
        """Tell whether this answers the request, `times` aside."""
        return super().matches(request) and self.query in question(request).query

    def refusal(self, request: Request, status: int) -> Reply:
        """Return the text as a server gives its exceptions."""
        code = {} if self.code is None else {"X-ClickHouse-Exception-Code": str(self.code)}
        return Reply(status, (self.message or "").encode(), _PLAIN, code)


def instead(answer: Answer) -> Instead:
    """Return the fault by path that an answer of the world is."""
    fault = _FAULTS[answer.does]
    return Instead(
        path=f"*{answer.path}*",
        fault=fault,
        status=answer.status if fault is Fault.STATUS else None,
        message=answer.body,
        times=answer.times,
        query=answer.query,
        code=answer.code,
    )


class Interface:
    """Answers requests from the engine. users: name -> password. backups: /backup/list's body."""

    def __init__(
        self, engine: Engine, users: Mapping[str, str], backups: Callable[[], str]
    ) -> None:
        self._engine = engine
        self._users = users
        self._backups = backups
        self._version = engine.query("SELECT version()").decode().strip()

    def answer(self, request: Request) -> Reply:
        """Answer one request."""
        packed = request.headers.get("content-encoding", "")
        if packed not in _PACKED:
            said = f"the lab does not read Content-Encoding {packed}"
            return text_reply(f"Code: 48. DB::Exception: {said}. (NOT_IMPLEMENTED)\n", 501)
        asked = question(request)
        if asked.path == "/ping" or (asked.path in ("/", "/replicas_status") and not asked.query):
            return Reply(200, b"Ok.\n", "text/html; charset=UTF-8")
        if asked.path == "/backup/list":
            return Reply(200, self._backups().encode(), "application/json; charset=UTF-8")
        if asked.path != "/":
            return text_reply(f"There is no handle {asked.path}\n", 404)
        user, refused = self._user(request, asked)
        if refused:
            code = 194 if "authorization" not in request.headers and not user else 516
            return self._refuse(code, f"Code: {code}. DB::Exception: {refused}", asked)
        return self._result(asked, _sql(request))

    def _result(self, asked: Question, sql: bytes) -> Reply:
        settings = {
            name: value
            for name, value in asked.parameters.items()
            if name not in _RESERVED and not name.startswith("param_")
        }
        if asked.method != "POST":
            settings.setdefault("readonly", "2")
        default = asked.headers.get("x-clickhouse-format") or "TabSeparated"
        format = asked.named_format() or asked.parameters.get("default_format", default)
        try:
            data = self._engine.query(
                sql,
                format=format,
                database=asked.parameters.get("database", ""),
                settings=settings,
                parameters={
                    name.removeprefix("param_"): value
                    for name, value in asked.parameters.items()
                    if name.startswith("param_")
                },
            )
        except EngineError as error:
            return self._refuse(error.code, str(error), asked)
        headers = {**_headers(asked), "X-ClickHouse-Format": format}
        if asked.parameters.get("enable_http_compression") == "1":
            data = _compressed(data, asked, headers)
        return Reply(200, data, _PLAIN, headers)

    def _user(self, request: Request, asked: Question) -> tuple[str, str]:
        """Return who asks, and why not, if so."""
        user = asked.headers.get("x-clickhouse-user") or asked.parameters.get("user", "")
        password = asked.headers.get("x-clickhouse-key") or asked.parameters.get("password", "")
        try:
            user, password = request.basic or (user, password)
        except ValueError:
            return "", "Authentication failed: the header is not base64. (BAD_ARGUMENTS)"
        if self._users.get(user or "default") == password:
            return user, ""
        return user, (
            f"{user or 'default'}: Authentication failed: password is incorrect, or there is no "
            "user with such name. (AUTHENTICATION_FAILED)"
        )

    def _refuse(self, code: int, text: str, asked: Question) -> Reply:
        headers = {**_headers(asked), "X-ClickHouse-Exception-Code": str(code)}
        if code == 194:
            headers["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
        body = f"{text} (version {self._version})\n"
        return Reply(_STATUS.get(code, 500), body.encode(), _PLAIN, headers)


def _headers(asked: Question) -> dict[str, str]:
    summary = {"read_rows": "0", "read_bytes": "0", "written_rows": "0", "written_bytes": "0"}
    return {
        "X-ClickHouse-Server-Display-Name": "lab",
        "X-ClickHouse-Query-Id": asked.parameters.get("query_id") or str(uuid.uuid4()),
        "X-ClickHouse-Timezone": "UTC",
        "X-ClickHouse-Summary": json.dumps(summary),
    }


def _compressed(data: bytes, asked: Question, headers: dict[str, str]) -> bytes:
    accepts = asked.headers.get("accept-encoding", "")
    accepted = [part.split(";")[0].strip() for part in accepts.split(",")]
    if "gzip" in accepted:
        headers["Content-Encoding"] = "gzip"
        return gzip.compress(data, 1)
    if "deflate" in accepted:
        headers["Content-Encoding"] = "deflate"
        return zlib.compress(data, 1)
    return data


def _sql(request: Request) -> bytes:
    """Return the text of the query; the body of an INSERT is data, any other one its rest."""
    body = _unpacked(request.body, request.headers.get("content-encoding", ""))
    return b"\n".join(filter(None, (request.parameters.get("query", "").encode(), body)))


def _unpacked(data: bytes, encoding: str) -> bytes:
    match encoding:
        case "gzip":
            return gzip.decompress(data)
        case "deflate":
            return zlib.decompress(data)
        case "lz4":
            # clickhouse-connect depends on it, and packs its inserts with it.
            from lz4 import frame  # type: ignore[import-untyped]

            return bytes(frame.decompress(data))
        case _:
            return data
