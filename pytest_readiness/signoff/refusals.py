"""Why a sign-off does not hold: the causes of docs/signoff.md, and what says one.

PYTEST_DONT_REWRITE
"""

from enum import StrEnum

import msgspec

from pytest_readiness.errors import ReadinessError
from pytest_readiness.text import flat


class Cause(StrEnum):
    """A cause of docs/signoff.md, Verification; declared in the order of its tables."""

    NOT_READY = "not-ready"
    LAB = "lab"
    REPLAY = "replay"
    RELAXED = "relaxed"
    TOO_OLD = "too-old"
    WAIVER_EXPIRED = "waiver-expired"
    DECLARATION_EXPIRED = "declaration-expired"

    OPEN = "open"
    REJECTED = "rejected"
    NOT_DISTINCT = "not-distinct"
    OTHER_POLICY = "other-policy"
    OTHER_WAIVERS = "other-waivers"
    CLOCK = "clock"
    SUPERSEDED = "superseded"

    TAMPERED_REPORT = "tampered-report"
    ALTERED_FACT = "altered-fact"
    FOREIGN_FACT = "foreign-fact"
    ALTERED_PAGE = "altered-page"
    ANOTHER_REPORT = "another-report"
    ANOTHER_RELEASE = "another-release"
    MALFORMED_STATEMENT = "malformed-statement"
    TAMPERED_STATEMENT = "tampered-statement"
    BAD_SIGNATURE = "bad-signature"
    WRONG_NAMESPACE = "wrong-namespace"
    UNKNOWN_PRINCIPAL = "unknown-principal"
    EXPIRED_KEY = "expired-key"
    REVOKED_KEY = "revoked-key"

    @property
    def exit_code(self) -> int:
        """Return 1 (not ready), 2 (no quorum) or 3 (tampered, or a bad signature)."""
        if self in _NOT_READY:
            return 1
        return 2 if self in _NO_QUORUM else 3


_NOT_READY = frozenset(
    {
        Cause.NOT_READY,
        Cause.LAB,
        Cause.REPLAY,
        Cause.RELAXED,
        Cause.TOO_OLD,
        Cause.WAIVER_EXPIRED,
        Cause.DECLARATION_EXPIRED,
    }
)
_NO_QUORUM = frozenset(
    {
        Cause.OPEN,
        Cause.REJECTED,
        Cause.NOT_DISTINCT,
        Cause.OTHER_POLICY,
        Cause.OTHER_WAIVERS,
        Cause.CLOCK,
        Cause.SUPERSEDED,
    }
)


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """One reason why a sign-off does not hold.

    role, principal: whose statement it is about, None for the report or the policy.
    why: one sentence for people.
    """

    cause: Cause
    role: str | None = None
    principal: str | None = None
    why: str


class Refused(ReadinessError):
    """A statement, signature or envelope that does not hold; why: one sentence for people."""

    def __init__(self, cause: Cause, why: str) -> None:
        self.cause = cause
        self.why = flat(why)  # it may quote foreign text, and ends on a terminal
        super().__init__(self.why)
