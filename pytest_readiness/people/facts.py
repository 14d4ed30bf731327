"""What people declared and waived, as it was read: nothing is judged yet.

PYTEST_DONT_REWRITE
"""

from datetime import datetime
from typing import Literal

from pytest_readiness.targets.fact import Fact


class Declaration(Fact, kw_only=True, frozen=True):
    """One [[declaration]] of the file; texts and dates as written.

    line: of its header. evidence_problem, signature_problem: what is wrong, as the end of a
    sentence that begins with `declared, but`. signed: there is a good signature by a key that the
    policy knows. known: the policy has `by` in `role`.
    """

    line: int
    item: str
    statement: str
    by: str
    role: str
    date: str
    expires: str | None
    release: str
    evidence: str | None
    sha256: str | None
    evidence_problem: str | None
    signature_problem: str | None
    signed: bool
    known: bool


class Declarations(Fact, kw_only=True, frozen=True):
    """The whole file. asked_at: aware, UTC. policy: whether a signoff.toml was given."""

    file: str
    asked_at: datetime
    policy: bool
    require_signed: Literal["no", "blocker", "all"]
    items: tuple[Declaration, ...]


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
