"""Who has signed the report and who has not: the end of both pages, as in the checklist."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_readiness.catalogue import SIGNOFF, for_phase
from pytest_readiness.text import moment

if TYPE_CHECKING:
    from pytest_readiness.signoff.state import Said

SAYS = (
    "This is what the run directory says of itself; `readiness verify` says whose the keys are, "
    "and whether the report is signed off."
)


@dataclass(frozen=True, slots=True)
class Row:
    """One role. state: signed, rejected, not valid, not checked or open. note: why it is that.

    tone: the outcome whose sign and colour the state has. decision: None where the state says it.
    """

    title: str
    state: str
    tone: str
    name: str | None = None
    decision: str | None = None
    date: str | None = None
    comment: str | None = None
    key: str | None = None
    note: str | None = None


def rows(said: "Sequence[Said]") -> tuple[Row, ...]:
    """Return the roles of the checklist in its order, then the further ones that have signed."""
    return tuple(_rows({one.role: one for one in said}))


def _rows(said: "dict[str, Said]") -> Iterator[Row]:
    rest = dict(said)
    for item in for_phase(SIGNOFF):
        found = rest.pop(item.id.removeprefix(f"{SIGNOFF}-"), None)
        yield _row(item.title, found) if found else Row(item.title, "open", "notchecked")
    for role, found in rest.items():
        yield _row(role if " " in role else role.replace("-", " ").title(), found)


def _row(title: str, said: "Said") -> Row:
    state, tone = _state(said)
    return Row(
        title,
        state,
        tone,
        name=said.principal,
        decision=None if said.decision == state else said.decision,
        date=moment(said.signed_at) if said.signed_at else None,
        comment=said.comment,
        key=said.key,
        note=said.says,
    )


def _state(said: "Said") -> tuple[str, str]:
    if said.unchecked:
        return "not checked", "notchecked"
    if said.says:
        return "not valid", "error"
    return ("rejected", "fail") if said.decision == "rejected" else ("signed", "pass")
