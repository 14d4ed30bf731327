"""The connections under clickhouse-connect, limited: time and size of every answer.

The library counts its time-outs in whole seconds from byte to byte, and reads an answer whole,
decompressed, whatever its size. What stands between it and urllib3 here hands on complete answers
alone: no larger than MAX_BODY, and there before the deadline.

PYTEST_DONT_REWRITE
"""

import time
from io import BytesIO
from typing import TYPE_CHECKING, Any

from pytest_readiness.transport.limit import MAX_BODY, TooLarge, joined

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, HTTPResponse

_PIECE = 64 * 1024
# Those that urllib3 decodes piece by piece; the library's own lz4 knows no limit, and is not asked.
_ENCODINGS = {"identity", "gzip", "x-gzip", "deflate", "br", "zstd"}


class Pool:
    """A pool manager of urllib3 for clickhouse-connect. seconds: the time of one request."""

    def __init__(self, pools: Any, seconds: float) -> None:
        self._pools = pools
        self._seconds = seconds
        self._deadline: float | None = time.monotonic() + seconds

    def opened(self) -> None:
        """End the time of the session's opening; from now on each request has its own.

        Raises TimeoutError past it: the library takes a test of its own that failed lightly.
        """
        if self._deadline is not None and time.monotonic() >= self._deadline:
            raise TimeoutError
        self._deadline = None

    def request(self, method: str, url: str, **options: Any) -> "HTTPResponse":
        """Send a request and return its complete answer. Raises urllib3's HTTPError."""
        from urllib3 import Timeout
        from urllib3.exceptions import ReadTimeoutError

        until = self._deadline or time.monotonic() + self._seconds
        left = until - time.monotonic()
        if left <= 0:
            raise ReadTimeoutError(self._pools, url, "no time left")
        preload = options.pop("preload_content", True)
        # A refused connection is tried twice: both have to fit into the time.
        options |= {"timeout": Timeout(connect=left / 2, read=left), "preload_content": False}
        response = self._pools.request(method, url, **options)
        try:
            body = _read(response, until)
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return _complete(response, body, preload=preload)

    def clear(self) -> None:
        """Close the connections."""
        self._pools.clear()


def pool(scheme: str, host: str, port: int, ca_file: str | None, seconds: float) -> Pool:
    """Return connections to a server, by the proxy of the environment where it names one."""
    from clickhouse_connect.driver import httputil

    proxy = httputil.check_env_proxy(scheme, host, port)
    options = {"ca_cert": ca_file} if ca_file else {}
    manager = httputil.get_pool_manager(**{f"{scheme}_proxy": proxy}, **options)  # type: ignore[arg-type]
    httputil.all_managers.pop(manager, None)  # it is kept there, and closed by `clear`
    return Pool(manager, seconds)


def _read(response: "BaseHTTPResponse", until: float) -> bytes:
    from urllib3.exceptions import DecodeError, ReadTimeoutError

    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in _ENCODINGS:
        raise DecodeError(
            f"the answer is compressed with {encoding[:20]!r}, which nobody asked for"
        )

    def check_time() -> None:
        if time.monotonic() >= until:
            raise ReadTimeoutError(None, "", "no time left")  # type: ignore[arg-type]

    try:
        return joined(response.stream(_PIECE, decode_content=True), MAX_BODY, check_time)
    except TooLarge as error:
        raise DecodeError(str(error)) from None


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
