"""From results to verdict: what every item of the phase gave, and what follows. Pure.

The catalogue says what is owed; a result that did not arrive is owed still. Rules: design.md
section 5.

PYTEST_DONT_REWRITE
"""

from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum

import msgspec

from pytest_readiness.catalogue.words import Severity
from pytest_readiness.results.evidence import Outcome
from pytest_readiness.results.model import Completeness, Item, ListedWaiver, Verdict, WaiverState

READY, READY_WITH_WAIVERS = "READY", "READY WITH WAIVERS"
NOT_READY, INCOMPLETE, PARTIAL = "NOT READY", "INCOMPLETE", "PARTIAL"
EXIT_READY, EXIT_NOT_READY, EXIT_NOTHING_SELECTED, EXIT_INCOMPLETE = 0, 1, 5, 6
NAMED = 8  # ids in one reason; the report names all of them item by item

_UNKNOWN = (Outcome.ERROR, Outcome.NOTCHECKED)


class Code(StrEnum):
    """What a reason of a verdict says; the sentence may change, this may not."""

    PASSES = "passes"
    BLOCKER = "blocker-fails"
    MAJOR = "major-fails"
    MINOR = "minor-fails"
    ERROR = "error"
    NOTCHECKED = "notchecked"
    WAIVED = "waived"
    UNCOVERED = "waiver-does-not-cover"
    NONE_APPLIES = "none-applies"
    NO_RESULT = "no-result"
    SELECTION = "selection"
    NARROWED = "narrowed"  # by an option that the selection does not name
    NOT_OWED = "not-owed"  # checks of the project that could vanish in silence
    # What no item says: how the run ended.
    LOST = "lost"  # tests of which only a dead worker could say whether they are checks
    KILLED = "killed"
    UNTOLD = "own-checks-not-known"
    BROKE_OFF = "broke-off"
    NOT_COLLECTED = "not-collected"
    FAILED_BESIDE = "failed-beside"
    NOT_WRITTEN = "not-written"
    ENDED = "ended-otherwise"  # the run that is merged or replayed


Reason = tuple[Code, str]


def judge(
    items: Sequence[Item],
    *,
    selected: Collection[str],
    missing: Sequence[str],
    narrowed: str | None,
    waivers: Sequence[ListedWaiver] = (),
    lost: Sequence[str] = (),
) -> Verdict:
    """Return the verdict over the items of the phase.

    selected: ids that the marker expression and node ids name. missing: selected ids without a
    result. narrowed: the option that may have taken items away from the selection, `-k`,
    a file as argument...; such a run is PARTIAL and never exits 0, since a gate that reads
    only the exit code must not be opened by leaving items out. waivers: those that no longer cover
    a fail are said. lost: node ids of tests of which nobody knows whether they are checks.
    """
    asked = [item for item in items if item.id in selected]
    closing = [item for item in asked if _closes_gate(item)]
    unknown = [item for item in asked if item.outcome in _UNKNOWN]
    waived = [item for item in asked if item.outcome is Outcome.FAIL and item.waiver]
    partial = narrowed is not None or not asked or len(asked) < len(items)
    applies = partial or any(item.outcome is not Outcome.NOTAPPLICABLE for item in asked)
    name, code = _name(bool(closing), bool(unknown or missing or lost or not applies), bool(waived))
    if partial:
        name = PARTIAL
    if narrowed is not None:
        code = code or EXIT_INCOMPLETE
    if not asked:
        code = EXIT_NOTHING_SELECTED
    reasons = [*_reasons(closing, unknown, waived), *_uncovered(closing, waivers)]
    reasons += _reason(Code.MINOR, "minor fails that do not close the gate", _minors(asked))
    reasons += _scope(
        len(asked), len(items), missing, lost, narrowed, partial=partial, applies=applies
    )
    why, sentences = zip(*(reasons or [(Code.PASSES, _good(asked))]), strict=True)
    return Verdict(name=name, exit_code=code, reasons=sentences, why=why)


def broken_off(verdict: Verdict, exit_code: int, why: Code, sentence: str) -> Verdict:
    """Return the verdict of a run that did not come to its end: never ready."""
    name = INCOMPLETE if verdict.name in (READY, READY_WITH_WAIVERS) else verdict.name
    return with_reason(
        msgspec.structs.replace(verdict, name=name, exit_code=exit_code), why, sentence
    )


def failed_beside(verdict: Verdict, sentence: str) -> Verdict:
    """Return the verdict of a run in which something that is no item failed: never ready."""
    name = NOT_READY if verdict.name in (READY, READY_WITH_WAIVERS) else verdict.name
    code = verdict.exit_code or EXIT_NOT_READY
    failed = msgspec.structs.replace(verdict, name=name, exit_code=code)
    return with_reason(failed, Code.FAILED_BESIDE, sentence)


def with_reason(verdict: Verdict, why: Code, sentence: str) -> Verdict:
    """Return the verdict with one reason more, before all others."""
    return msgspec.structs.replace(
        verdict, reasons=(sentence, *verdict.reasons), why=(why, *verdict.why)
    )


def completeness(items: Iterable[Item], reported: Collection[str]) -> Completeness:
    """Return what is owed against what a run gave a result for."""
    ids = [item.id for item in items]
    missing = tuple(id for id in ids if id not in reported)
    return Completeness(expected=len(ids), reported=len(ids) - len(missing), missing=missing)


def _closes_gate(item: Item) -> bool:
    return (
        item.outcome is Outcome.FAIL and item.severity is not Severity.MINOR and item.waiver is None
    )


def _minors(items: Iterable[Item]) -> list[Item]:
    return [
        item
        for item in items
        if item.outcome is Outcome.FAIL and item.severity is Severity.MINOR and not item.waiver
    ]


def _name(closing: bool, unknown: bool, waived: bool) -> tuple[str, int]:
    if closing:
        return NOT_READY, EXIT_NOT_READY
    if unknown:
        return INCOMPLETE, EXIT_INCOMPLETE
    return (READY_WITH_WAIVERS if waived else READY), EXIT_READY


def _reasons(
    closing: Sequence[Item], unknown: Sequence[Item], waived: Sequence[Item]
) -> Iterable[Reason]:
    for code, severity in ((Code.BLOCKER, Severity.BLOCKER), (Code.MAJOR, Severity.MAJOR)):
        failing = [item for item in closing if item.severity is severity]
        yield from _reason(code, f"{severity.value} fails", failing)
    errors = [item for item in unknown if item.outcome is Outcome.ERROR]
    yield from _reason(Code.ERROR, "could not be asked", errors)
    unchecked = [item for item in unknown if item.outcome is Outcome.NOTCHECKED]
    for reason in dict.fromkeys(item.reason for item in unchecked):
        alike = [item for item in unchecked if item.reason == reason]
        yield from _reason(Code.NOTCHECKED, f"not checked, {reason}", alike)
    yield from _reason(Code.WAIVED, "waived", waived)


def _scope(
    asked: int,
    owed: int,
    missing: Sequence[str],
    lost: Sequence[str],
    narrowed: str | None,
    *,
    partial: bool,
    applies: bool,
) -> Iterable[Reason]:
    if not applies:
        yield Code.NONE_APPLIES, "no item was checked: none of them applies"
    for code, ids in ((Code.NO_RESULT, missing), (Code.LOST, lost)):
        if ids:
            yield code, f"no result: {named(ids)}"
    if partial:
        by = f" ({narrowed} leaves items out)" if narrowed else ""
        code = Code.NARROWED if narrowed else Code.SELECTION
        yield code, f"a selection{by}: {asked} of {owed} items of the phase"


def _good(asked: Sequence[Item]) -> str:
    idle = sum(item.outcome is Outcome.NOTAPPLICABLE for item in asked)
    return f"every item passes, but for {idle} that do not apply" if idle else "every item passes"


def _uncovered(closing: Sequence[Item], waivers: Sequence[ListedWaiver]) -> Iterable[Reason]:
    failing = {item.id for item in closing}
    for waiver in waivers:
        if waiver.item in failing and waiver.state in (WaiverState.EXPIRED, WaiverState.UNCOVERED):
            said = waiver.note or waiver.state.value
            yield Code.UNCOVERED, f"{waiver.item}: waiver of {waiver.approver}: {said}"


def _reason(code: Code, what: str, items: Sequence[Item]) -> Iterable[Reason]:
    if items:
        yield code, f"{len(items)} {what}: {named([item.id for item in items])}"


def named(ids: Iterable[str]) -> str:
    """Return ids as a reason names them: the first ones, and how many more."""
    names = list(ids)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
