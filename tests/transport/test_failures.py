"""One table for what breaks below an answer, whichever library says it."""

import socket
import ssl

import httpcore
import httpx
import pytest
from urllib3 import HTTPConnectionPool
from urllib3 import exceptions as urllib3
from urllib3.connection import HTTPConnection

from pytest_readiness.errors import ProbeErrorKind as Kind
from pytest_readiness.transport.failures import Broken, failure, kind_of_status
from pytest_readiness.transport.limit import TooLarge
from pytest_readiness.transport.traffic import OverRate

POOL = HTTPConnectionPool("127.0.0.1")
CONNECTION = HTTPConnection("127.0.0.1")


def caused(error: Exception, *causes: Exception) -> Exception:
    """Return an error with the chain of its causes, as `raise ... from` makes it."""
    at: Exception = error
    for cause in causes:
        at.__cause__ = cause
        at = cause
    return error


def refused() -> OSError:
    return ConnectionRefusedError(111, "Connection refused")


NO_NAME = socket.gaierror(-2, "Name or service not known")
RESET = ConnectionResetError(104, "Connection reset by peer")
SHAKING = TimeoutError("_ssl.c:989: The handshake operation timed out")
NO_CONNECTION = urllib3.NewConnectionError(CONNECTION, "x")
EOF = ssl.SSLEOFError(8, "EOF")
EXPECTED: list[tuple[BaseException, Broken, Kind]] = [
    (caused(httpx.ConnectError("x"), refused()), Broken.REFUSED, Kind.UNREACHABLE),
    (
        urllib3.MaxRetryError(
            POOL, "/", caused(urllib3.NewConnectionError(CONNECTION, "x"), refused())
        ),
        Broken.REFUSED,
        Kind.UNREACHABLE,
    ),
    (caused(httpx.ConnectError("x"), NO_NAME), Broken.NAME, Kind.UNREACHABLE),
    (
        caused(urllib3.NameResolutionError("h", CONNECTION, NO_NAME), NO_NAME),
        Broken.NAME,
        Kind.UNREACHABLE,
    ),
    (caused(httpx.ConnectTimeout("x"), TimeoutError()), Broken.CONNECTION, Kind.UNREACHABLE),
    (urllib3.ConnectTimeoutError("x"), Broken.CONNECTION, Kind.UNREACHABLE),
    (caused(httpx.ConnectTimeout("x"), SHAKING), Broken.SESSION, Kind.TIMEOUT),
    (caused(urllib3.ReadTimeoutError(POOL, "/", "x"), SHAKING), Broken.SESSION, Kind.TIMEOUT),
    (httpx.ReadTimeout("x"), Broken.TIME, Kind.TIMEOUT),
    (urllib3.ReadTimeoutError(POOL, "/", "x"), Broken.TIME, Kind.TIMEOUT),
    (TimeoutError(), Broken.TIME, Kind.TIMEOUT),
    (OverRate(), Broken.TIME, Kind.TIMEOUT),
    (caused(httpx.ReadError("x"), httpcore.ReadError(), RESET), Broken.CLOSED, Kind.UNREACHABLE),
    (urllib3.ProtocolError("x", RESET), Broken.CLOSED, Kind.UNREACHABLE),
    (
        httpx.RemoteProtocolError("Server disconnected without sending a response."),
        Broken.CLOSED,
        Kind.UNREACHABLE,
    ),
    (httpx.RemoteProtocolError("illegal status line"), Broken.NOT_HTTP, Kind.MALFORMED),
    (urllib3.ProtocolError("x"), Broken.NOT_HTTP, Kind.MALFORMED),
    (
        httpx.RemoteProtocolError("peer closed connection without sending complete message body"),
        Broken.TRUNCATED,
        Kind.MALFORMED,
    ),
    (urllib3.ProtocolError("x", urllib3.IncompleteRead(1, 2)), Broken.TRUNCATED, Kind.MALFORMED),
    (urllib3.DecodeError("x"), Broken.COMPRESSION, Kind.MALFORMED),
    (TooLarge(1 << 20), Broken.SIZE, Kind.MALFORMED),
    (urllib3.LocationParseError("x"), Broken.ADDRESS, Kind.UNREACHABLE),
    (httpx.ProxyError("407 Proxy Authentication Required"), Broken.PROXY, Kind.UNREACHABLE),
    (
        urllib3.ProxyError("x", NO_CONNECTION),
        Broken.PROXY,
        Kind.UNREACHABLE,
    ),
    (
        caused(httpx.ConnectError("x"), ssl.SSLEOFError(8, "EOF")),
        Broken.CLOSED_TLS,
        Kind.UNREACHABLE,
    ),
    (
        urllib3.SSLError(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")),
        Broken.NOT_TLS,
        Kind.MALFORMED,
    ),
    (
        caused(httpx.ReadError("x"), ssl.SSLError(1, "tlsv13 alert certificate required")),
        Broken.NO_CERTIFICATE,
        Kind.UNAUTHORIZED,
    ),
    (urllib3.SSLError(ssl.SSLError(1, "no cipher")), Broken.NO_TLS, Kind.UNTRUSTED),
]


@pytest.mark.parametrize(
    ("error", "what", "kind"), EXPECTED, ids=lambda value: type(value).__name__
)
def test_what_broke_is_told_apart(error: BaseException, what: Broken, kind: Kind) -> None:
    found = failure(error)
    assert found is not None
    assert (found.what, found.kind) == (what, kind)
    assert found.words
    assert " at 0x" not in found.words


def test_every_way_to_break_is_in_the_table() -> None:
    told = {what for _, what, _ in EXPECTED}
    assert set(Broken) - told == {Broken.UNTRUSTED}  # only OpenSSL makes that one


@pytest.mark.parametrize(
    "error", [ValueError("x"), httpx.LocalProtocolError("x"), OSError(28, "x")]
)
def test_what_is_no_transports_is_left_to_the_caller(error: BaseException) -> None:
    assert failure(error) is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, Kind.MALFORMED),
        (401, Kind.UNAUTHORIZED),
        (403, Kind.FORBIDDEN),
        (404, Kind.ABSENT),
        (407, Kind.UNAUTHORIZED),
        (408, Kind.TIMEOUT),
        (418, Kind.MALFORMED),
        (429, Kind.THROTTLED),
        (500, Kind.UNAVAILABLE),
        (504, Kind.TIMEOUT),
        (599, Kind.UNAVAILABLE),
    ],
)
def test_a_status_is_an_error_of_its_kind(status: int, kind: Kind) -> None:
    assert kind_of_status(status) is kind
