"""What a person declared about an item, and whether it counts now. Pure.

PYTEST_DONT_REWRITE
"""

import re
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

import msgspec

from pytest_readiness import catalogue
from pytest_readiness.catalogue import CatalogueItem
from pytest_readiness.catalogue.words import Severity
from pytest_readiness.clock import begins, ends, rfc3339
from pytest_readiness.people.facts import Declaration, Declarations
from pytest_readiness.results.model import DeclarationState, Declared
from pytest_readiness.text import suggestion
from pytest_readiness.written.keys import DURATION

ANY = "any"
SOON = timedelta(days=7)

_DAY = timedelta(days=1)
_HEX = re.compile(r"[0-9a-f]{7,64}\Z")


class Target(Protocol):
    """What is released: settings and report both have it."""

    @property
    def release(self) -> str | None:
        """Version."""

    @property
    def commit(self) -> str | None:
        """Commit, whole or short."""

    @property
    def image(self) -> str | None:
        """Image with its digest."""


class State(StrEnum):
    """What is known of an item by its declarations."""

    COUNTS = "counts"
    REFUSED = "refused"
    ABSENT = "absent"


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """reason: None when it counts, or when the item takes none here. ends: aware, exclusive."""

    state: State
    reason: str | None = None
    declaration: Declaration | None = None
    ends: datetime | None = None


_TAKES_NONE = Judged(state=State.ABSENT)


def judge(facts: Declarations, item: CatalogueItem, target: Target, *, target_set: bool) -> Judged:
    """Return what the declarations of the item say of it, as of facts.asked_at.

    target_set: a probe is configured, which no word of a person overrides. Of several that count
    the one that ends last stands; where none does, the newest says why.
    """
    if target_set or not item.declarable:
        return _TAKES_NONE
    mine = [weigh(facts, one, item, target) for one in facts.items if one.item == item.id]
    good = [one for one in mine if one.state is State.COUNTS]
    if good:
        return max(good, key=lambda one: (_end(one), _age(one.declaration)))
    if mine:
        return max(mine, key=lambda one: _age(one.declaration))
    return Judged(state=State.ABSENT, reason=f"no declaration{_misspelt(facts, item)}")


def weigh(
    facts: Declarations, declaration: Declaration, item: CatalogueItem, target: Target
) -> Judged:
    """Return whether this one declaration counts for its item, which takes declarations."""
    why = (
        _person(facts, declaration)
        or _time(facts, declaration, item)
        or _release(declaration, item, target)
        or _proof(facts, declaration, item)
    )
    if why is not None:
        return Judged(state=State.REFUSED, reason=why, declaration=declaration)
    return Judged(state=State.COUNTS, declaration=declaration, ends=_limit(declaration, item))


def listed(
    facts: Declarations,
    items: Sequence[CatalogueItem],
    target: Target,
    set_targets: Collection[str],
) -> tuple[Declared, ...]:
    """Return every declaration of the file as the report lists it, in the file's order.

    items: of the run. set_targets: sections of readiness.ini whose probes judge.
    """
    by_id = {item.id: item for item in items}
    standing = {
        item.id: judge(facts, item, target, target_set=item.target in set_targets) for item in items
    }
    found = []
    for one in facts.items:
        item = by_id.get(one.item)
        known = item or catalogue.by_id().get(one.item)
        state, note = DeclarationState.UNUSED, None
        expires = one.expires
        if known is None:
            state = DeclarationState.REFUSED
            near = suggestion(one.item, list(catalogue.by_id()))
            note = f"there is no item {one.item}{near}"
        elif not known.declarable:
            state = DeclarationState.REFUSED
            note = f"{one.item} takes no declaration: its basis is {known.basis}"
        elif item is None:
            note = f"{one.item} is not of this run"
        elif item.target in set_targets:
            note = f"[{item.target}] is set: its probe judges"
        else:
            judged = weigh(facts, one, item, target)
            state, note = _listed(judged, standing[item.id], facts.asked_at)
            if state is DeclarationState.COUNTS:
                expires = _last(one, item)
        found.append(_declared(one, state, note, expires))
    return tuple(found)


def _listed(judged: Judged, standing: Judged, at: datetime) -> tuple[DeclarationState, str | None]:
    mine, other = judged.declaration, standing.declaration
    if judged.state is State.COUNTS:
        if other is mine:
            return DeclarationState.COUNTS, _soon(judged, at)
        return DeclarationState.UNUSED, f"the one of line {other.line if other else 0} counts"
    # What a newer word has replaced is history, and nobody must look at it.
    if standing.state is State.COUNTS and _age(mine) < _age(other):
        return DeclarationState.UNUSED, judged.reason
    return DeclarationState.REFUSED, judged.reason


def _declared(
    one: Declaration, state: DeclarationState, note: str | None, expires: str | None
) -> Declared:
    return Declared(
        item=one.item,
        statement=one.statement,
        by=one.by,
        role=one.role,
        date=one.date,
        expires=expires,
        release=one.release,
        evidence=one.evidence,
        sha256=one.sha256,
        signed=one.signed,
        state=state,
        note=note,
    )


def _person(facts: Declarations, one: Declaration) -> str | None:
    if not one.statement.strip():
        return "declared without a statement"
    if not one.by.strip():
        return "declared by nobody"
    if not facts.policy:
        return f"no policy says who {one.by} is: set signoff in readiness.ini"
    if not one.known:
        return f"declared by {one.by}, whom the policy does not know as {one.role}"
    return None


def _time(facts: Declarations, one: Declaration, item: CatalogueItem) -> str | None:
    if begins(one.date) > facts.asked_at:
        return f"declared, but dated {one.date}, in the future"
    end = _limit(one, item)
    if end is None:
        return "declared without expires, and the item says no time that it would hold"
    if end > facts.asked_at:
        return None
    why = f"declared, but expired on {_last(one, item)}"
    if item.valid_for is not None and (one.expires is None or end < ends(one.expires)):
        return f"{why}: it holds {DURATION.show(item.valid_for)} from its date {one.date}"
    return why


def _release(one: Declaration, item: CatalogueItem, target: Target) -> str | None:
    if one.release == ANY:
        if item.any_release:
            return None
        return "declared for any release, which this item does not allow"
    if not one.release.strip():
        return "declared without a release"
    if _is_release(one.release, target):
        return None
    this = target.release or target.commit or target.image
    is_this = f"this is {this}" if this else "readiness.ini does not say which this is"
    return f"declared for release {one.release}, {is_this}"


def _proof(facts: Declarations, one: Declaration, item: CatalogueItem) -> str | None:
    if one.evidence_problem:
        return f"declared, but {one.evidence_problem}"
    if one.signature_problem:
        return f"declared, but {one.signature_problem}"
    asked = facts.require_signed == "all" or (
        facts.require_signed == "blocker" and item.severity is Severity.BLOCKER
    )
    if asked and not one.signed:
        return "declared, but the policy asks for a signature"
    return None


def _is_release(said: str, target: Target) -> bool:
    if said in (target.release, target.image):
        return True
    if target.image and "@" in target.image:
        whole = target.image.rpartition("@")[2]
        if said in (whole, whole.rpartition(":")[2]):
            return True
    mine, commit = said.lower(), (target.commit or "").lower()
    return bool(
        _HEX.match(mine)
        and _HEX.match(commit)
        and (mine.startswith(commit) or commit.startswith(mine))
    )


def _limit(one: Declaration, item: CatalogueItem) -> datetime | None:
    """Return when it ends: as written, and never later than the item allows."""
    limits = [ends(one.expires)] if one.expires is not None else []
    if item.valid_for is not None:
        limits.append(ends(one.date) + item.valid_for)
    return min(limits, default=None)


def _last(one: Declaration, item: CatalogueItem) -> str | None:
    """Return the end as people write it: the day that is its last, or the moment."""
    end = _limit(one, item)
    if end is None or (one.expires is not None and end == ends(one.expires)):
        return one.expires
    if ends(one.date) == begins(one.date):
        return rfc3339(end)
    return f"{end - _DAY:%Y-%m-%d}"


def _soon(judged: Judged, at: datetime) -> str | None:
    days = (_end(judged) - at).days
    if days > SOON.days:
        return None
    if days == 0:
        return "expires in less than a day"
    return f"expires in {days} day{'s' if days > 1 else ''}"


def _end(judged: Judged) -> datetime:
    if judged.ends is None:
        raise ValueError("it does not count, and has no end")
    return judged.ends


def _age(one: Declaration | None) -> tuple[datetime, int]:
    if one is None:
        raise ValueError("there is no declaration")
    return begins(one.date), one.line


def _misspelt(facts: Declarations, item: CatalogueItem) -> str:
    known = list(catalogue.by_id())
    for one in facts.items:
        if one.item not in catalogue.by_id() and suggestion(one.item, known) == suggestion(
            item.id, [item.id]
        ):
            return f" ({facts.file}:{one.line} names {one.item}, which is no item)"
    return ""
