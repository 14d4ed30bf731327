"""The waivers and declarations of several runs as one list each, without duplicates. Pure.

They are held against the moment of the merge: what has ended since its run covers nothing.

PYTEST_DONT_REWRITE
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from pytest_readiness.clock import ends
from pytest_readiness.errors import Why
from pytest_readiness.merge.refusals import Given, Main
from pytest_readiness.results.evidence import Outcome
from pytest_readiness.results.model import (
    DeclarationState,
    Declared,
    Item,
    ListedWaiver,
    Waived,
    WaiverState,
)

# Which state stands where runs say different ones: what somebody must look at goes first.
_WAIVERS = (
    WaiverState.USED,
    WaiverState.UNCOVERED,
    WaiverState.EXPIRED,
    WaiverState.NOT_YET,
    WaiverState.NOT_NEEDED,
    WaiverState.ELSEWHERE,
    WaiverState.UNUSED,
)
_DECLARATIONS = (DeclarationState.REFUSED, DeclarationState.COUNTS, DeclarationState.UNUSED)


def as_of(item: Item, run: Given, moment: datetime) -> Item:
    """Return the item as it stands at the moment, by what people wrote for its run."""
    waiver = item.waiver
    if waiver is not None and ends(waiver.expires) <= moment:
        said = f"waiver of {waiver.approver}: {_expired(waiver)}"
        reason = f"{item.reason}; {said}" if item.reason else said
        return msgspec.structs.replace(item, waiver=None, reason=reason)
    words = [_as_of(one, moment) for one in run.report.declarations if one.item == item.id]
    ended = [one for one in words if one not in run.report.declarations]
    if item.outcome is Outcome.PASS and ended:
        return unchecked(item, why=Why.DECLARATION, reason=ended[0].note or "", advice=None)
    return item


def unchecked(item: Item, *, why: Why, reason: str, advice: str | None) -> Item:
    """Return the item without what its run found."""
    return msgspec.structs.replace(
        item,
        outcome=Outcome.NOTCHECKED,
        why=why,
        reason=reason,
        advice=advice,
        cause=None,
        waiver=None,
        findings=(),
        evidence=(),
        duration=0.0,
    )


def waivers(
    runs: Sequence[Given], main: Main, items: Sequence[Item], moment: datetime
) -> tuple[ListedWaiver, ...]:
    """Return the waivers of the runs that count. items: of the merge.

    A waiver that one run used, and whose item fails in another where it was not in force, covers
    nothing here.
    """
    by_id = {item.id: item for item in items}
    found: dict[ListedWaiver, ListedWaiver] = {}
    for run in runs:
        for waiver in run.report.waivers:
            if _counts(waiver.item, run, main):
                settled = _settled(waiver, by_id.get(waiver.item), moment)
                key = msgspec.structs.replace(waiver, state=WaiverState.USED, note=None)
                found[key] = min(found.get(key, settled), settled, key=_waiver_rank)
    return tuple(found[key] for key in sorted(found, key=_order))


def declarations(runs: Sequence[Given], main: Main, moment: datetime) -> tuple[Declared, ...]:
    """Return the declarations of the runs that count."""
    found: dict[Declared, Declared] = {}
    for run in runs:
        for said in run.report.declarations:
            declared = _as_of(said, moment)
            if _counts(declared.item, run, main):
                key = msgspec.structs.replace(
                    declared, state=DeclarationState.COUNTS, note=None, signed=False
                )
                found[key] = min(found.get(key, declared), declared, key=_declaration_rank)
    return tuple(found[key] for key in sorted(found, key=_order))


def _counts(item: str, run: Given, main: Main) -> bool:
    return run.environment in (main.environment, main.elsewhere.get(item))


def _as_of(declared: Declared, moment: datetime) -> Declared:
    if declared.state is not DeclarationState.COUNTS or declared.expires is None:
        return declared
    if ends(declared.expires) > moment:
        return declared
    note = f"declared, but expired on {declared.expires}"
    return msgspec.structs.replace(declared, state=DeclarationState.REFUSED, note=note)


def _settled(waiver: ListedWaiver, item: Item | None, moment: datetime) -> ListedWaiver:
    if waiver.state is not WaiverState.USED or (item is not None and item.waiver is not None):
        return waiver
    fails = item is not None and item.outcome is Outcome.FAIL
    if fails and ends(waiver.expires) <= moment:
        return msgspec.structs.replace(waiver, state=WaiverState.EXPIRED, note=_expired(waiver))
    state = WaiverState.UNCOVERED if fails else WaiverState.UNUSED
    return msgspec.structs.replace(waiver, state=state, note=None)


def _expired(waiver: Waived) -> str:
    return f"expired on {waiver.expires}: the fail counts"


def _waiver_rank(waiver: ListedWaiver) -> tuple[int, str]:
    return _WAIVERS.index(waiver.state), waiver.note or ""


def _declaration_rank(declared: Declared) -> tuple[int, bool, str]:
    # Signed is what every run found signed.
    return _DECLARATIONS.index(declared.state), declared.signed, declared.note or ""


def _order(entry: ListedWaiver | Declared) -> tuple[str, bytes]:
    return entry.item, msgspec.json.encode(entry, order="sorted")
