"""What broke below an answer, told apart because each has another remedy: one table for all.

It knows the exceptions of urllib3, of httpx and of the system by their names, so that neither
library is imported for the other's sake.

PYTEST_DONT_REWRITE
"""

import socket
import ssl
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from pytest_readiness.errors import ProbeErrorKind as Kind
from pytest_readiness.transport import certificates
from pytest_readiness.transport.causes import chain
from pytest_readiness.transport.limit import TooLarge
from pytest_readiness.transport.traffic import OverRate

_LONGEST = 300  # signs of a cause, which is one line of a report


class Broken(StrEnum):
    """What broke, in words."""

    ADDRESS = "the server's address is no URL"
    PROXY = "the proxy fails"
    NAME = "the host name does not resolve"
    REFUSED = "no connection"
    CONNECTION = "no connection within the time allowed"
    SESSION = "the connection opens, and no TLS session begins"
    TIME = "no answer within the time of one question"
    CLOSED = "the connection was closed before the answer"
    CLOSED_TLS = "the server closed the TLS connection"
    UNTRUSTED = "the server's certificate is not trusted"
    NO_CERTIFICATE = "the server asks for a client certificate"
    NOT_TLS = "the port does not speak TLS"
    NO_TLS = "no TLS session"
    NOT_HTTP = "the answer is not HTTP"
    TRUNCATED = "the answer is truncated"
    COMPRESSION = "the answer's compression is broken"
    SIZE = "the answer is too large"


_KINDS = {
    Kind.TIMEOUT: (Broken.SESSION, Broken.TIME),
    Kind.UNTRUSTED: (Broken.UNTRUSTED, Broken.NO_TLS),
    Kind.UNAUTHORIZED: (Broken.NO_CERTIFICATE,),
    Kind.MALFORMED: (
        Broken.NOT_TLS,
        Broken.NOT_HTTP,
        Broken.TRUNCATED,
        Broken.COMPRESSION,
        Broken.SIZE,
    ),
}
_KIND_OF = {what: kind for kind, all_of_it in _KINDS.items() for what in all_of_it}
_KIND_OF_STATUS = {
    401: Kind.UNAUTHORIZED,
    403: Kind.FORBIDDEN,
    404: Kind.ABSENT,
    407: Kind.UNAUTHORIZED,  # by the proxy
    408: Kind.TIMEOUT,
    423: Kind.UNAVAILABLE,  # locked: it is doing something else
    429: Kind.THROTTLED,
    504: Kind.TIMEOUT,
}
_REFUSED = {"NewConnectionError", "ConnectError"}
_CONNECTING = {"ConnectTimeoutError", "ConnectTimeout"}
_WAITING = {"ReadTimeoutError", "ReadTimeout", "WriteTimeout", "PoolTimeout"}
_PROTOCOL = {"ProtocolError", "RemoteProtocolError", "ReadError", "WriteError"}
_COMPRESSION = {"DecodeError", "DecodingError"}
_ADDRESS = {"LocationValueError", "LocationParseError", "InvalidURL", "UnsupportedProtocol"}
_SHORT = ("complete message body", "incomplete chunked")  # as httpcore says it


class Failure(NamedTuple):
    """What broke, and the words for it: no text of a library, without secrets."""

    what: Broken
    words: str

    @property
    def kind(self) -> Kind:
        """The kind of error it is."""
        return _KIND_OF.get(self.what, Kind.UNREACHABLE)


def failure(error: BaseException) -> Failure | None:
    """Return what an exception of a client library means, None where it is no transport's."""
    causes = chain(error)
    names = {type(cause).__name__ for cause in causes}
    own = next((cause for cause in causes if isinstance(cause, TooLarge | OverRate)), None)
    if own is not None:
        return Failure(Broken.SIZE if isinstance(own, TooLarge) else Broken.TIME, str(own))
    if "ProxyError" in names:
        return Failure(Broken.PROXY, f"{Broken.PROXY}: {_root(error, causes)}")
    tls = next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None)
    if tls is not None:
        return _tls(tls)
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Failure(Broken.NAME, Broken.NAME)
    if names & _REFUSED:
        return Failure(Broken.REFUSED, _root(error, causes))
    what = _in_time(causes, names) or _of_answer(causes, names)
    return Failure(what, what) if what is not None else None


def kind_of_status(status: int) -> Kind:
    """Return the kind of error that an HTTP status other than the wanted one is."""
    return _KIND_OF_STATUS.get(status, Kind.UNAVAILABLE if status >= 500 else Kind.MALFORMED)


def one_line(text: object) -> str:
    """Return the text on one line, no longer than a person reads, and safe for a terminal."""
    shown = "".join(sign if sign.isprintable() else " " for sign in str(text))
    line = " ".join(shown.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _in_time(causes: Sequence[BaseException], names: set[str]) -> Broken | None:
    late = any(isinstance(cause, TimeoutError) for cause in causes)
    if not late and not names & (_CONNECTING | _WAITING):
        return None
    # Both libraries give the handshake a time of its own, and each calls it something else.
    if any("handshake" in str(cause) for cause in causes):
        return Broken.SESSION
    return Broken.CONNECTION if names & _CONNECTING else Broken.TIME


def _of_answer(causes: Sequence[BaseException], names: set[str]) -> Broken | None:
    texts = " ".join(map(str, causes))
    if "IncompleteRead" in names or any(words in texts for words in _SHORT):
        return Broken.TRUNCATED
    if names & _COMPRESSION:
        return Broken.COMPRESSION
    if names & _ADDRESS:
        return Broken.ADDRESS
    if not names & _PROTOCOL:
        return None
    closed = any(isinstance(cause, OSError) for cause in causes) or "disconnected" in texts
    return Broken.CLOSED if closed else Broken.NOT_HTTP


def _tls(error: ssl.SSLError) -> Failure:
    text = str(error).upper().replace(" ", "_")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failure(Broken.UNTRUSTED, certificates.says(error))
    if isinstance(error, ssl.SSLEOFError):
        # In TLS 1.3 the alert that says why may be lost when the server closes at once.
        return Failure(Broken.CLOSED_TLS, Broken.CLOSED_TLS)
    if "CERTIFICATE_REQUIRED" in text:
        return Failure(Broken.NO_CERTIFICATE, Broken.NO_CERTIFICATE)
    if "WRONG_VERSION_NUMBER" in text:
        return Failure(Broken.NOT_TLS, Broken.NOT_TLS)
    reason = getattr(error, "reason", None) or type(error).__name__
    return Failure(Broken.NO_TLS, f"{Broken.NO_TLS}: {reason}")


def _root(error: BaseException, causes: Sequence[BaseException]) -> str:
    """Name the lowest cause of a connection that was not made."""
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Broken.NAME
    system = [cause for cause in causes if isinstance(cause, OSError)]
    # The operating system's own words, without its numbers, which differ by system.
    words = next((cause.strerror for cause in system if cause.strerror), "")
    return words or str(system[0] if system else error) or type(error).__name__
