"""The connections under clickhouse-connect, limited: time and size of every answer.

The library counts its time-outs in whole seconds from byte to byte, and reads an answer whole,
decompressed, whatever its size. What stands between it and urllib3 here hands on complete answers
alone: no larger than MAX_BODY, and there before the deadline.

PYTEST_DONT_REWRITE
"""

from io import BytesIO
from typing import TYPE_CHECKING, Any

from pytest_readiness.transport import pools
from pytest_readiness.transport.limit import Deadline
from pytest_readiness.transport.traffic import Meter

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, HTTPResponse

# Those that urllib3 decodes piece by piece; the library's own lz4 knows no limit, and is not asked.
_ENCODINGS = {"identity", "gzip", "x-gzip", "deflate", "br", "zstd"}


class Pool:
    """A pool manager of urllib3 for clickhouse-connect. seconds: the time of one request."""

    def __init__(self, manager: Any, meter: Meter, seconds: float) -> None:
        self._manager = manager
        self._meter = meter
        self._seconds = seconds
        self._opening: Deadline | None = Deadline(seconds)

    def opened(self) -> None:
        """End the time of the session's opening; from now on each request has its own.

        Raises TimeoutError past it: the library takes a test of its own that failed lightly.
        """
        if self._opening is not None:
            self._opening.left()
        self._opening = None

    def request(self, method: str, url: str, **options: Any) -> "HTTPResponse":
        """Send a request and return its complete answer. Raises urllib3's HTTPError."""
        left = (self._opening or Deadline(self._seconds)).left
        preload = options.pop("preload_content", True)
        for name in ("timeout", "retries"):  # those of the library
            options.pop(name, None)
        with pools.answered(self._manager, method, url, self._meter, left, **options) as response:
            _refuse_encoding(response)
            return _complete(response, pools.read(response, left), preload=preload)

    def clear(self) -> None:
        """Close the connections."""
        self._manager.clear()


def pool(
    scheme: str, host: str, port: int, ca_file: str | None, meter: Meter, seconds: float
) -> Pool:
    """Return connections to a server, by the proxy of the environment where it names one."""
    from clickhouse_connect.driver import httputil

    proxy = httputil.check_env_proxy(scheme, host, port)
    options = {"ca_cert": ca_file} if ca_file else {}
    manager = httputil.get_pool_manager(**{f"{scheme}_proxy": proxy}, **options)  # type: ignore[arg-type]
    httputil.all_managers.pop(manager, None)  # it is kept there, and closed by `clear`
    return Pool(manager, meter, seconds)


def _refuse_encoding(response: "BaseHTTPResponse") -> None:
    from urllib3.exceptions import DecodeError

    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in _ENCODINGS:
        raise DecodeError("the answer is compressed in a way that nobody asked for")


def _complete(response: "BaseHTTPResponse", body: bytes, *, preload: bool) -> "HTTPResponse":
    from urllib3 import HTTPResponse

    headers = response.headers.copy()
    headers.discard("Content-Encoding")
    if "Content-Length" in headers or "Transfer-Encoding" in headers:
        headers.discard("Transfer-Encoding")
        headers["Content-Length"] = str(len(body))
    return HTTPResponse(
        body=BytesIO(body),
        headers=headers,
        status=response.status,
        reason=response.reason,
        preload_content=preload,
        decode_content=False,
    )
