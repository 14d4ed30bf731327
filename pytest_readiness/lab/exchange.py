"""A request to the lab and the reply to it: both data; what answers is a function of one to one.

PYTEST_DONT_REWRITE
"""

import base64
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl

import msgspec


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came: path without quoting and query, names of headers in lower case.

    certificate: what the client showed, as `ssl.SSLSocket.getpeercert` has it; empty if nothing.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""
    certificate: Mapping[str, Any] = field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, str]:
        """Return the query taken apart; of a name given twice the last value."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @property
    def bearer(self) -> str | None:
        """Return the token of `Authorization: Bearer`, None without that scheme."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        return value.strip() if scheme.lower() == "bearer" else None

    @property
    def basic(self) -> tuple[str, str] | None:
        """Return user and password of `Authorization: Basic`, None without that scheme.

        Raises ValueError where it is no base64 of UTF-8.
        """
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        return user, password


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply.

    body: bytes, or pieces sent one by one; a number among them is a pause of so many seconds.
    length: what Content-Length promises; None: what the bytes have, while pieces go chunked.
    """

    status: int = 200
    body: bytes | Iterable[bytes | float] = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None

    def whole(self) -> bytes:
        """Return the body in one piece, without its pauses."""
        if isinstance(self.body, bytes):
            return self.body
        return b"".join(piece for piece in self.body if isinstance(piece, bytes))


# Two replies that are none: the connection stays open in silence, or is cut by RST.
HANG = Reply(0)
RESET = Reply(0)
Responder = Callable[[Request], Reply]


def json_reply(value: Any, status: int = 200) -> Reply:
    """Return a value as JSON and a line end."""
    return Reply(status, msgspec.json.encode(value) + b"\n")


def text_reply(text: str, status: int = 200) -> Reply:
    """Return plain text as a reply."""
    return Reply(status, text.encode(), "text/plain; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Login:
    """Who is let in: by one of the bearer tokens, or as one of the users (name -> password).

    open: patterns of paths that everybody may ask for.
    """

    tokens: Collection[str] = ()
    users: Mapping[str, str] = field(default_factory=dict)
    open: Collection[str] = ()

    def lets_in(self, request: Request) -> bool:
        """Tell whether the request is of somebody known, or for a path that is open."""
        if any(fnmatchcase(request.path, pattern) for pattern in self.open):
            return True
        try:
            basic = request.basic
        except ValueError:
            return False
        return request.bearer in self.tokens or (basic is not None and basic in self.users.items())


def routes(table: Mapping[str, Any], login: Login | None = None) -> Responder:
    """Return what answers from a table: `METHOD PATTERN` (fnmatch, of the path) -> what to say.

    To say: a Reply, text, bytes, anything else as JSON, or a function of the request to one of
    them. The first route that matches is used; HEAD is answered as GET.
    """
    rows = [(*route.split(" ", 1), said) for route, said in table.items()]

    def answer(request: Request) -> Reply:
        if login is not None and not login.lets_in(request):
            challenge = "Basic" if login.users else "Bearer"
            headers = {"WWW-Authenticate": f'{challenge} realm="lab"'}
            return Reply(401, b"Unauthorized\n", "text/plain; charset=utf-8", headers)
        method = "GET" if request.method == "HEAD" else request.method
        found = [(verb, said) for verb, path, said in rows if fnmatchcase(request.path, path)]
        for verb, said in found:
            if verb == method:
                return _as_reply(said(request) if callable(said) else said)
        if found:
            allowed = {"Allow": ", ".join(sorted({verb for verb, _ in found}))}
            return Reply(405, b"", "text/plain; charset=utf-8", allowed)
        return text_reply("404 page not found\n", 404)

    return answer


def _as_reply(said: Any) -> Reply:
    match said:
        case Reply():
            return said
        case str():
            return text_reply(said)
        case bytes():
            return Reply(200, said, "application/octet-stream")
        case _:
            return json_reply(said)
