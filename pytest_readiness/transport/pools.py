"""Requests by the urllib3 pool of another client library, counted, in time and of bounded size.

PYTEST_DONT_REWRITE
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_readiness.transport.limit import MAX_BODY, joined
from pytest_readiness.transport.traffic import Meter

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

_PIECE = 256 * 1024


@contextmanager
def answered(
    pools: Any, method: str, url: str, meter: Meter, left: Callable[[], float], **options: Any
) -> Iterator["BaseHTTPResponse"]:
    """Send a request, and yield its response, the body unread.

    pools: a pool manager of urllib3. left: returns the seconds that are left, or raises
    TimeoutError. The connection goes back to the pool, or is closed where the block raises.
    Raises urllib3's HTTPError, TimeoutError.
    """
    from urllib3 import Retry, Timeout

    # Two attempts to connect fit into the time. All else is asked again by the caller, who counts
    # it and knows how much time is left; a redirect would carry the credential elsewhere.
    retries = Retry(
        connect=1,
        read=0,
        status=0,
        other=0,
        redirect=0,
        raise_on_redirect=False,
        raise_on_status=False,
        respect_retry_after_header=False,
    )
    with meter.request(method, left) as note:
        seconds = left()
        options |= {"timeout": Timeout(connect=seconds / 2, read=seconds), "retries": retries}
        response = pools.request(method, url, preload_content=False, **options)
        note(response.status)
    try:
        yield response
    except BaseException:
        response.close()
        raise
    response.release_conn()


def read(response: "BaseHTTPResponse", left: Callable[[], float]) -> bytes:
    """Return the whole body, decompressed. Raises TooLarge, TimeoutError, urllib3's HTTPError."""
    return joined(response.stream(_PIECE, decode_content=True), MAX_BODY, left)
