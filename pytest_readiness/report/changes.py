"""What changed between two runs of one system; a pure function of their reports.

PYTEST_DONT_REWRITE
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

from pytest_readiness.catalogue.words import Severity
from pytest_readiness.errors import ReadinessError
from pytest_readiness.report import view
from pytest_readiness.report.changes_evidence import (
    FindingChange,
    ValueChange,
    canonical,
    findings,
    observed,
)
from pytest_readiness.results.evidence import Finding
from pytest_readiness.results.model import Item, ListedWaiver, Report, Waived, WaiverState
from pytest_readiness.settings import key_of
from pytest_readiness.targets import targets
from pytest_readiness.text import flat
from pytest_readiness.verdict.gathered import was_asked
from pytest_readiness.verdict.judge import READY, READY_WITH_WAIVERS
from pytest_readiness.written.keys import Use

SCHEMA = "pytest-readiness/changes/v1"
_SEVERITIES = tuple(Severity)
# Said by `Side` and `Difference`.
_TOLD = frozenset(
    f"readiness.{key}" for key in ("system", "environment", "phase", "release", "commit", "image")
)


class State(StrEnum):
    """What a report says of an item: its outcome, with what a waiver or a selection makes of it."""

    PASS = "pass"
    FAIL = "fail"
    WAIVED = "waived"  # fails under a waiver
    ERROR = "error"
    NOTCHECKED = "notchecked"
    NOTAPPLICABLE = "notapplicable"
    NOT_SELECTED = "not-selected"


class Kind(StrEnum):
    """How the state of an item changed."""

    NEWLY_FAILING = "newly-failing"
    NEWLY_UNANSWERED = "newly-unanswered"
    NO_LONGER_JUDGED = "no-longer-judged"  # gone from the checklist, or not selected
    NEWLY_FAILING_WAIVED = "newly-failing-waived"
    NEWLY_WAIVED = "newly-waived"  # failed before, and now under a waiver
    NO_LONGER_APPLIES = "no-longer-applies"
    STILL_UNANSWERED = "still-unanswered"  # for another reason
    NEW = "new"  # in the checklist
    NEWLY_PASSING = "newly-passing"


class WaiverKind(StrEnum):
    """How a waiver changed."""

    EXPIRED = "expired"
    NEW = "new"
    REMOVED = "removed"
    NOT_NEEDED = "not-needed"  # its item passes now
    OTHER = "other"


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two runs."""

    run: str
    ended: str
    release: str | None
    commit: str | None
    image: str | None
    verdict: str
    exit_code: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What makes the two runs hard to compare: environment, phase, checklist, lab, selection."""

    what: str
    was: str
    now: str


class SettingChange(msgspec.Struct, frozen=True, kw_only=True):
    """A key of readiness.ini as `section.key`; None where it is not written."""

    key: str
    was: str | None
    now: str | None


class ItemChange(msgspec.Struct, frozen=True, kw_only=True):
    """An item in another state. was: None for one that is new, now: None for one that is gone.

    reason and findings: of the new run.
    """

    id: str
    title: str
    severity: Severity
    kind: Kind
    regression: bool
    was: State | None
    now: State | None
    reason: str | None
    findings: tuple[Finding, ...]


class EvidenceChange(msgspec.Struct, frozen=True, kw_only=True):
    """An item in the same state for which something else was seen."""

    id: str
    title: str
    severity: Severity
    state: State
    values: tuple[ValueChange, ...]
    findings: tuple[FindingChange, ...]


class WaiverChange(msgspec.Struct, frozen=True, kw_only=True):
    """A waiver that is new, gone, or in another state."""

    kind: WaiverKind
    waiver: Waived
    was: WaiverState | None
    now: WaiverState | None


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that changed; lists are ordered by severity and name, never by the reports.

    swapped: the old run ended after the new one. regressions: ids of items. verdict_regression: it
    was READY or READY WITH WAIVERS before.
    """

    schema: str
    system: str
    old: Side
    new: Side
    swapped: bool
    comparable: bool
    differences: tuple[Difference, ...]
    regression: bool
    regressions: tuple[str, ...]
    verdict_regression: bool
    items: tuple[ItemChange, ...]
    waivers: tuple[WaiverChange, ...]
    settings: tuple[SettingChange, ...]
    evidence: tuple[EvidenceChange, ...]

    @property
    def nothing(self) -> bool:
        """Say whether nothing changed."""
        lists = (self.items, self.waivers, self.settings, self.evidence)
        return not any(lists) and self.old.verdict == self.new.verdict


def compare(old: Report, new: Report) -> Changes:
    """Return what changed. Raises ReadinessError for reports of two systems."""
    if old.target.system != new.target.system:
        raise ReadinessError(
            f"the old run is of system {old.target.system!r}, the new one of "
            f"{new.target.system!r}: only two runs of one system can be compared"
        )
    before, after = _by_id(old.items), _by_id(new.items)
    pairs = [(before.get(id), after.get(id)) for id in sorted(before.keys() | after.keys())]
    items = sorted((c for pair in pairs if (c := _item(*pair))), key=_rank)
    evidence = sorted((e for pair in pairs if (e := _evidence(*pair))), key=_rank)
    regressions = tuple(change.id for change in items if change.regression)
    lost = _ready(old) and not _ready(new)
    differences = tuple(_differences(old, new))
    return Changes(
        schema=SCHEMA,
        system=new.target.system,
        old=_side(old),
        new=_side(new),
        swapped=_swapped(old, new),
        comparable=not differences,
        differences=differences,
        regression=lost or bool(regressions),
        regressions=regressions,
        verdict_regression=lost,
        items=tuple(items),
        waivers=tuple(_waivers(old.waivers, new.waivers)),
        settings=tuple(_settings(old, new)),
        evidence=tuple(evidence),
    )


def state(item: Item) -> State:
    """Return what the report says of the item."""
    if view.waived(item):
        return State.WAIVED
    if not was_asked(item):
        return State.NOT_SELECTED
    return State(item.outcome.value)


_UNANSWERED = (State.ERROR, State.NOTCHECKED, State.NOT_SELECTED)
_NOT_JUDGED = (None, State.NOT_SELECTED)
_GOOD = (State.PASS, State.NOTAPPLICABLE, State.WAIVED)
_KIND = {
    State.FAIL: Kind.NEWLY_FAILING,
    State.WAIVED: Kind.NEWLY_FAILING_WAIVED,
    State.PASS: Kind.NEWLY_PASSING,
    State.NOTAPPLICABLE: Kind.NO_LONGER_APPLIES,
}


def _kind(was: State | None, now: State | None) -> Kind:
    if was is None:
        return Kind.NEW
    if now is None:
        return Kind.NO_LONGER_JUDGED
    if now in _UNANSWERED and was in _UNANSWERED:
        return Kind.STILL_UNANSWERED
    if now in _UNANSWERED:
        return Kind.NO_LONGER_JUDGED if now in _NOT_JUDGED else Kind.NEWLY_UNANSWERED
    if (was, now) == (State.FAIL, State.WAIVED):
        return Kind.NEWLY_WAIVED
    return _KIND[now]


def _regression(was: State | None, now: State | None) -> bool:
    if was in _GOOD:
        return now is State.FAIL or now is None or now in _UNANSWERED
    # A fail that nobody looks at any more is not mended.
    return was is State.FAIL and now in _NOT_JUDGED


def _item(old: Item | None, new: Item | None) -> ItemChange | None:
    item = new or old
    was, now = (state(one) if one else None for one in (old, new))
    if item is None or was == now:
        return None
    return ItemChange(
        id=item.id,
        title=item.title,
        severity=item.severity,
        kind=_kind(was, now),
        regression=_regression(was, now),
        was=was,
        now=now,
        reason=new.reason if new else None,
        findings=_sorted(new.findings) if new else (),
    )


def _evidence(old: Item | None, new: Item | None) -> EvidenceChange | None:
    if old is None or new is None or state(old) != state(new):
        return None
    values = (*_own_words(old, new), *observed(old.evidence, new.evidence))
    wrong = tuple(findings(old.findings, new.findings))
    if not values and not wrong:
        return None
    return EvidenceChange(
        id=new.id,
        title=new.title,
        severity=new.severity,
        state=state(new),
        values=values,
        findings=wrong,
    )


def _own_words(old: Item, new: Item) -> Iterator[ValueChange]:
    for name in ("severity", "environment", "reason"):
        was, now = getattr(old, name), getattr(new, name)
        if canonical(was) != canonical(now):
            yield ValueChange(question=None, name=name, was=was, now=now)


def _waivers(old: Iterable[ListedWaiver], new: Iterable[ListedWaiver]) -> Iterator[WaiverChange]:
    # A waiver with another date or reason is another one: someone gave it anew.
    before, after = _by_text(old), _by_text(new)
    for text in sorted(before.keys() | after.keys()):
        one, other = before.get(text), after.get(text)
        waiver = other or one
        was, now = (side.state if side else None for side in (one, other))
        if waiver is not None and was != now:
            yield WaiverChange(kind=_waiver_kind(was, now), waiver=_bare(waiver), was=was, now=now)


def _by_text(waivers: Iterable[ListedWaiver]) -> dict[bytes, ListedWaiver]:
    return {canonical(msgspec.to_builtins(_bare(waiver))): waiver for waiver in waivers}


def _bare(waiver: Waived) -> Waived:
    return Waived(**{name: getattr(waiver, name) for name in Waived.__struct_fields__})


def _waiver_kind(was: WaiverState | None, now: WaiverState | None) -> WaiverKind:
    if was is None:
        return WaiverKind.NEW
    match now:
        case None:
            return WaiverKind.REMOVED
        case WaiverState.EXPIRED:
            return WaiverKind.EXPIRED
        case WaiverState.NOT_NEEDED:
            return WaiverKind.NOT_NEEDED
        case _:
            return WaiverKind.OTHER


def _settings(old: Report, new: Report) -> Iterator[SettingChange]:
    if old.settings.sha256 == new.settings.sha256:
        return
    before, after = _flat(old), _flat(new)
    labs = old.run.lab is not None and new.run.lab is not None
    for key in sorted((before.keys() | after.keys()) - _TOLD):
        was, now = before.get(key), after.get(key)
        # A lab of a run's own is somewhere else each time.
        if canonical(was) != canonical(now) and not (labs and _is_place(key)):
            yield SettingChange(key=key, was=was, now=now)


def _is_place(name: str) -> bool:
    section, _, key = name.partition(".")
    known = key_of(section, key)
    return section in targets() and known is not None and known.key.use is Use.PLACE


def _flat(report: Report) -> dict[str, str]:
    return {
        f"{section}.{key}": value
        for section, values in report.settings.values.items()
        if section != "lab"  # a difference, if it is one
        for key, value in values.items()
    }


def _differences(old: Report, new: Report) -> Iterator[Difference]:
    for what in ("environment", "phase", "checklist", "lab", "selection"):
        was, now = _trait(old, what), _trait(new, what)
        if was != now:
            yield Difference(what=what, was=was, now=now)


def _trait(report: Report, what: str) -> str:
    run = report.run
    match what:
        case "checklist":
            return f"{report.checklist.id} sha256 {report.checklist.sha256}"
        case "lab":
            faults = ", ".join(sorted(run.lab or ()))
            return "no" if run.lab is None else f"yes, faults: {faults or 'none'}"
        case "selection":
            return (run.selection or "a part of the phase") if run.partial else "the whole phase"
        case _:
            text: str = getattr(report.target, what)
            return text


def _side(report: Report) -> Side:
    return Side(
        run=report.run.id,
        ended=report.run.ended,
        release=report.target.release,
        commit=report.target.commit,
        image=report.target.image,
        verdict=report.verdict.name,
        exit_code=report.verdict.exit_code,
    )


def _swapped(old: Report, new: Report) -> bool:
    try:
        return datetime.fromisoformat(old.run.ended) > datetime.fromisoformat(new.run.ended)
    except (ValueError, TypeError):  # not a time, or one without a zone: nothing to say
        return False


def _ready(report: Report) -> bool:
    return report.verdict.name in (READY, READY_WITH_WAIVERS)


def _by_id(items: Sequence[Item]) -> dict[str, Item]:
    twice = [id for id, number in Counter(item.id for item in items).items() if number > 1]
    if twice:
        named = ", ".join(view.some([view.cut(flat(id)) for id in sorted(twice)]))
        raise ReadinessError(f"a report has these items twice: {named}")
    return {item.id: item for item in items}


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda one: (one.subject, one.problem)))


def _rank(change: ItemChange | EvidenceChange) -> tuple[int, str]:
    return _SEVERITIES.index(change.severity), change.id
