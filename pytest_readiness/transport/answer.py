"""An answer over HTTP, and when a server that is busy is asked again.

PYTEST_DONT_REWRITE
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from pytest_readiness.transport.limit import Deadline

BUSY = (429, 503)
_RETRIES = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, read to its end. headers: by name in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> str | None:
        """When a busy server wants to be asked again, as it says it."""
        return self.headers.get("retry-after")


def patiently(deadline: Deadline, ask: Callable[[], Answer]) -> Answer:
    """Ask, and of a server that is busy twice more, after Retry-After where the time allows it.

    The last answer is returned, whatever it is. Only for what may be asked twice.
    """
    for retry in range(_RETRIES):
        answer = ask()
        if answer.status not in BUSY:
            return answer
        pause = _seconds(answer.retry_after, default=0.2 * 2**retry)
        if pause > deadline.left():
            return answer
        deadline.wait(pause)
    return ask()


def _seconds(retry_after: str | None, *, default: float) -> float:
    """Read Retry-After, seconds or an HTTP date (RFC 9110, 10.2.3)."""
    if retry_after is None:
        return default
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        when = parsedate_to_datetime(retry_after)
    except ValueError:
        return default
    return max(0.0, when.timestamp() - time.time())
