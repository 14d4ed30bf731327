"""What people waived, as it was read: nothing is judged yet.

PYTEST_DONT_REWRITE
"""

from datetime import datetime

from pytest_readiness.facts.fact import Fact


class Waiver(Fact, kw_only=True, frozen=True):
    """One [[waiver]] of the file, texts and dates as written. line: of its header.

    finding: a subject, None: the whole item. environment, release: None: any.
    """

    line: int
    item: str
    finding: str | None
    reason: str
    approver: str
    risk: str
    created: str
    expires: str
    ticket: str
    environment: str | None
    release: str | None


class Waivers(Fact, kw_only=True, frozen=True):
    """The whole file. asked_at: aware, UTC."""

    file: str
    asked_at: datetime
    items: tuple[Waiver, ...]
