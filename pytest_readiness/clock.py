"""Times as the report has them: UTC, RFC 3339.

PYTEST_DONT_REWRITE
"""

import re
from datetime import UTC, datetime, timedelta

SKEW = timedelta(minutes=5)  # by which clocks of two machines may differ
_DAY = re.compile(r"\d{4}-\d\d-\d\d\Z")


def now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """Return the moment as `2026-11-24T06:30:00.123Z`. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def begins(text: str) -> datetime:
    """Return when a time that people write begins: `2026-11-24` (a day in UTC), or RFC 3339.

    Raises ValueError for anything else, a time without zone included.
    """
    if _DAY.match(text):
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text} is beyond what can be told") from None


def ends(text: str) -> datetime:
    """Return when a time that people write ends: a day with its last hour. Raises ValueError."""
    try:
        return begins(text) + timedelta(days=1 if _DAY.match(text) else 0)
    except OverflowError:
        raise ValueError(f"{text} is beyond what can be told") from None
