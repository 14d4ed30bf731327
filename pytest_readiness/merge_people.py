"""The waivers and declarations of several runs as one list each, without duplicates. Pure.

PYTEST_DONT_REWRITE
"""

from collections.abc import Sequence

import msgspec

from pytest_readiness.merge_refusals import Given, Main
from pytest_readiness.report.model import (
    DeclarationState,
    Declared,
    Item,
    ListedWaiver,
    WaiverState,
)
from pytest_readiness.results import Outcome

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


def waivers(runs: Sequence[Given], main: Main, items: Sequence[Item]) -> tuple[ListedWaiver, ...]:
    """Return the waivers of the runs that count. items: of the merge.

    A waiver that one run used, and whose item fails in another where it was not in force, covers
    nothing here.
    """
    by_id = {item.id: item for item in items}
    found: dict[ListedWaiver, ListedWaiver] = {}
    for run in runs:
        for waiver in run.report.waivers:
            if _counts(waiver.item, run, main):
                settled = _settled(waiver, by_id.get(waiver.item))
                key = msgspec.structs.replace(waiver, state=WaiverState.USED, note=None)
                found[key] = min(found.get(key, settled), settled, key=_waiver_rank)
    return tuple(found[key] for key in sorted(found, key=_order))


def declarations(runs: Sequence[Given], main: Main) -> tuple[Declared, ...]:
    """Return the declarations of the runs that count."""
    found: dict[Declared, Declared] = {}
    for run in runs:
        for declared in run.report.declarations:
            if _counts(declared.item, run, main):
                key = msgspec.structs.replace(
                    declared, state=DeclarationState.COUNTS, note=None, signed=False
                )
                found[key] = min(found.get(key, declared), declared, key=_declaration_rank)
    return tuple(found[key] for key in sorted(found, key=_order))


def _counts(item: str, run: Given, main: Main) -> bool:
    return run.environment in (main.environment, main.elsewhere.get(item))


def _settled(waiver: ListedWaiver, item: Item | None) -> ListedWaiver:
    if waiver.state is not WaiverState.USED or (item is not None and item.waiver is not None):
        return waiver
    fails = item is not None and item.outcome is Outcome.FAIL
    state = WaiverState.UNCOVERED if fails else WaiverState.UNUSED
    return msgspec.structs.replace(waiver, state=state, note=None)


def _waiver_rank(waiver: ListedWaiver) -> tuple[int, str]:
    return _WAIVERS.index(waiver.state), waiver.note or ""


def _declaration_rank(declared: Declared) -> tuple[int, bool, str]:
    # Signed is what every run found signed.
    return _DECLARATIONS.index(declared.state), declared.signed, declared.note or ""


def _order(entry: ListedWaiver | Declared) -> tuple[str, bytes]:
    return entry.item, msgspec.json.encode(entry, order="sorted")
