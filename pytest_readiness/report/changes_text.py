"""Changes between two runs for people: in a terminal, and as a comment on a pull request.

A terminal is read from the bottom, so regressions stand last there; a comment has them first.
What reports say is foreign text: none of it becomes markup, a link, a mention or a control
sequence. Own words are ASCII.

PYTEST_DONT_REWRITE
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import msgspec

from pytest_readiness.report import view
from pytest_readiness.report.changes import (
    Changes,
    EvidenceChange,
    ItemChange,
    Kind,
    SettingChange,
    Side,
    State,
    WaiverChange,
    WaiverKind,
)
from pytest_readiness.report.changes_evidence import FindingChange, ValueChange, canonical
from pytest_readiness.report.markdown import code, inline
from pytest_readiness.results.evidence import Json
from pytest_readiness.settings import key_of
from pytest_readiness.text import flat, moment, plural, wrap
from pytest_readiness.written.keys import BadValue

LIMIT = 65_535  # bytes of a comment
_NAME = 120  # characters of an id or of a title that are shown
_VALUE = 160  # characters of an observed value that are shown
_DETAILS = 10  # shown of one change; `--json` has them all
_BARE = -1  # no details, and no title either

# A site turns more than Markdown into links: #12, GH-12, OPS-812, a commit's digest, @name, :word:.
_HARMLESS = re.compile(r"(?:[\w \-.,;()'\"/+=<>]|[:%](?!\S)|(?<=\d):(?=\d\d\b))*")
_REFERENCE = re.compile(r"(?i)www\.|[a-z]-\d|\b[0-9a-f]{7,}|//")

_WAS = {
    State.PASS: "passed",
    State.FAIL: "failed",
    State.WAIVED: "failed under a waiver",
    State.ERROR: "could not be asked",
    State.NOTCHECKED: "was not checked",
    State.NOTAPPLICABLE: "did not apply",
    State.NOT_SELECTED: "was not selected",
}
_NOW = {
    State.PASS: "passes",
    State.FAIL: "fails",
    State.WAIVED: "fails under a waiver",
    State.ERROR: "cannot be asked",
    State.NOTCHECKED: "is not checked",
    State.NOTAPPLICABLE: "does not apply",
    State.NOT_SELECTED: "is not selected",
}
_KINDS = {
    Kind.NEWLY_FAILING: "newly failing",
    Kind.NEWLY_UNANSWERED: "newly unanswered",
    Kind.NO_LONGER_JUDGED: "no longer judged",
    Kind.NEWLY_FAILING_WAIVED: "newly failing, waived",
    Kind.NEWLY_WAIVED: "newly waived",
    Kind.NO_LONGER_APPLIES: "no longer applies",
    Kind.STILL_UNANSWERED: "still unanswered, otherwise than before",
    Kind.NEW: "new in the checklist",
    Kind.NEWLY_PASSING: "newly passing",
}
_BEFORE_WAIVERS = (
    Kind.NEWLY_UNANSWERED,
    Kind.NO_LONGER_JUDGED,
    Kind.NEWLY_FAILING_WAIVED,
    Kind.NEWLY_WAIVED,
)
_WAIVERS = {
    WaiverKind.EXPIRED: "waivers that expired",
    WaiverKind.NEW: "new waivers",
    WaiverKind.REMOVED: "waivers removed",
    WaiverKind.NOT_NEEDED: "waivers no longer needed",
    WaiverKind.OTHER: "waivers in another state",
}


@dataclass(frozen=True, slots=True)
class _Entry:
    """One change. name, title, details: foreign text; rank, says: our words."""

    name: str
    says: str
    rank: str = ""
    title: str = ""
    details: tuple[tuple[str, str], ...] = ()  # subject, which may be empty, and text


@dataclass(frozen=True, slots=True)
class _Group:
    """Changes of one kind."""

    heading: str
    entries: tuple[_Entry, ...]
    worse: bool = False  # regressions
    folded: int = 0  # changes that share an entry with another one

    @property
    def count(self) -> int:
        """Number of changes."""
        return len(self.entries) + self.folded

    @property
    def titled(self) -> str:
        """Heading and count."""
        return f"{self.heading} ({self.count})"


def lines(changes: Changes, width: int) -> list[str]:
    """Return the text for a terminal of that many columns, regressions and verdict last."""
    found = [line for text in _top(changes, str) for line in wrap(text, width, 0, 2)]
    for group in reversed(_groups(changes)):
        found += ["", group.titled]
        for entry in reversed(group.entries):
            found += _told(entry, width)
    found.append("")
    for text in _bottom(changes):
        found += wrap(text, width, 0, 2)
    return found


def markdown(changes: Changes) -> str:
    """Return a comment of at most LIMIT bytes of UTF-8, failures first."""
    head = [f"### {_safe(view.cut(changes.system, _NAME))}: readiness compared", ""]
    head += [f"- {text}" for text in _top(changes, _safe)]
    head += [f"- {text}" for text in _bottom(changes, _safe)]
    groups = _groups(changes)
    frame = [line for group in groups for line in _block(group, [_more(group.entries)])]
    room = LIMIT - _size([*head, *frame])
    shown = list(head)
    for number, group in enumerate(groups):
        # The name of a regression comes before the details of another one.
        kept = sum(_size(_marked(later, _BARE)) for later in groups[number + 1 :] if later.worse)
        entries = _fitting(group, room, kept)
        room -= _size(entries)
        shown += _block(group, entries)
    return "\n".join(shown) + "\n"


def _top(changes: Changes, safe: Callable[[str], str]) -> Iterator[str]:
    for what, side in (("old", changes.old), ("new", changes.new)):
        release = f", release {_short(side.release, safe)}" if side.release else ""
        ended = _short(moment(side.ended), safe)
        yield f"{what}: run {_short(side.run, safe)}{release}, ended {ended}"
    if changes.swapped:
        yield "the old run ended after the new one: are they swapped?"
    if not changes.comparable:
        yield "not the same was judged, so compare with care:"
    for difference in changes.differences:
        was, now = _short(difference.was, safe), _short(difference.now, safe)
        yield f"other {difference.what}: {was} -> {now}"


def _bottom(changes: Changes, safe: Callable[[str], str] = str) -> Iterator[str]:
    if changes.nothing:
        yield "no change"
    else:
        yield _count(changes)
    was, now = (_verdict(side, safe) for side in (changes.old, changes.new))
    yield f"verdict: {was}, as before" if was == now else f"verdict: {was} -> {now}"
    if changes.verdict_regression:
        yield "REGRESSION of the verdict: it was ready and is no longer"


def _count(changes: Changes) -> str:
    number = sum(group.count for group in _groups(changes))
    all_of_them = plural(number, "change")
    if changes.regressions:
        return f"{plural(len(changes.regressions), 'regression')} of {all_of_them}"
    return f"no item is worse, {all_of_them}"


def _verdict(side: Side, safe: Callable[[str], str]) -> str:
    return f"{_short(side.verdict, safe)} (exit code {side.exit_code})"


def _short(text: str, safe: Callable[[str], str]) -> str:
    return safe(view.cut(text, _NAME))


def _groups(changes: Changes) -> tuple[_Group, ...]:
    """Return the changes by kind, what matters most first, empty groups left out."""
    worse = [change for change in changes.items if change.regression]
    others = [change for change in changes.items if not change.regression]
    groups = [
        *(_Group(f"regressions: {_KINDS[kind]}", _items(worse, kind), True) for kind in _KINDS),
        _Group("newly failing", _items(others, Kind.NEWLY_FAILING)),
        _Group("failing, new in the checklist", _new(others, failing=True)),
        *(_Group(_KINDS[kind], _items(others, kind)) for kind in _BEFORE_WAIVERS),
        *(
            _Group(
                heading, tuple(_waiver(one, kind) for one in changes.waivers if one.kind is kind)
            )
            for kind, heading in _WAIVERS.items()
        ),
        _Group(_KINDS[Kind.NO_LONGER_APPLIES], _items(others, Kind.NO_LONGER_APPLIES)),
        _folded([one for one in others if one.kind is Kind.STILL_UNANSWERED]),
        _Group("new in the checklist", _new(others, failing=False)),
        _Group("newly passing", _items(others, Kind.NEWLY_PASSING)),
        _Group("settings changed", tuple(map(_setting, changes.settings))),
        _Group("evidence changed, same outcome", tuple(map(_seen, changes.evidence))),
    ]
    return tuple(group for group in groups if group.entries)


def _items(changes: Iterable[ItemChange], kind: Kind) -> tuple[_Entry, ...]:
    return tuple(_item(change) for change in changes if change.kind is kind)


def _new(changes: Iterable[ItemChange], *, failing: bool) -> tuple[_Entry, ...]:
    return tuple(
        _item(change)
        for change in changes
        if change.kind is Kind.NEW and (change.now is State.FAIL) is failing
    )


def _folded(changes: Sequence[ItemChange]) -> _Group:
    """Return one entry a transition: a selection leaves most of a checklist unanswered."""
    found: dict[str, list[str]] = {}
    for change in changes:
        found.setdefault(_says(change), []).append(change.id)
    entries = tuple(
        _Entry(name=plural(len(ids), "item"), says=says, details=(("", _names(ids)),))
        for says, ids in found.items()
    )
    return _Group(_KINDS[Kind.STILL_UNANSWERED], entries, folded=len(changes) - len(entries))


def _names(ids: Sequence[str]) -> str:
    return ", ".join(view.some([view.cut(id, _NAME) for id in ids], _DETAILS))


def _says(change: ItemChange) -> str:
    now = _NOW[change.now] if change.now else "is gone from the checklist"
    return f"{_WAS[change.was]}, now {now}" if change.was else now


def _item(change: ItemChange) -> _Entry:
    details = [(one.subject, one.problem) for one in change.findings]
    if change.reason and change.now is not State.NOT_SELECTED:
        details.insert(0, ("", change.reason))
    return _Entry(
        name=change.id,
        rank=change.severity.value,
        title=change.title.replace("`", ""),
        says=_says(change),
        details=tuple(details),
    )


def _waiver(change: WaiverChange, kind: WaiverKind) -> _Entry:
    waiver = change.waiver
    was, now = (side.value if side else "none" for side in (change.was, change.now))
    says = {WaiverKind.NEW: now, WaiverKind.REMOVED: was}.get(kind, f"{was} -> {now}")
    text = f"until {waiver.expires} by {waiver.approver}, {waiver.ticket}: {waiver.reason}"
    return _Entry(name=waiver.item, says=says, details=((waiver.finding or "", text),))


def _setting(change: SettingChange) -> _Entry:
    was, now = ("not written" if side is None else side for side in (change.was, change.now))
    says = "changed, looser" if _is_looser(change) else "changed"
    return _Entry(name=change.key, says=says, details=(("was", was), ("now", now)))


def _is_looser(change: SettingChange) -> bool:
    section, _, key = change.key.partition(".")
    known = key_of(section, key)
    try:
        return known is not None and known.is_looser(change.now, change.was)
    except BadValue:  # of a version that wrote it otherwise
        return False


def _seen(change: EvidenceChange) -> _Entry:
    details = [*map(_value, change.values), *map(_finding, change.findings)]
    return _Entry(
        name=change.id,
        rank=change.severity.value,
        title=change.title.replace("`", ""),
        says=_NOW[change.state],
        details=tuple(details),
    )


def _value(change: ValueChange) -> tuple[str, str]:
    asked = f" ({change.question})" if change.question else ""
    if isinstance(change.was, list) and isinstance(change.now, list):
        return change.name, _members(change.was, change.now) + asked
    was, now = (
        "not observed" if side is msgspec.UNSET else view.cut(view.value_text(side), _VALUE)
        for side in (change.was, change.now)
    )
    return change.name, f"{was} -> {now}{asked}"


def _members(was: Sequence[Json], now: Sequence[Json]) -> str:
    """Return what left and what joined: two long lists side by side show no one what changed."""
    before, after = ({canonical(one): one for one in side} for side in (was, now))
    left = [view.value_text(one) for key, one in before.items() if key not in after]
    joined = [view.value_text(one) for key, one in after.items() if key not in before]
    parts = [
        f"{word} {view.cut(', '.join(view.some(texts)), _VALUE)}"
        for word, texts in (("without", left), ("with", joined))
        if texts
    ]
    return f"{len(was)} -> {len(now)} entries" + "".join(f", {part}" for part in parts)


def _finding(change: FindingChange) -> tuple[str, str]:
    if not change.was:
        return change.subject, f"newly found: {'; '.join(change.now)}"
    if not change.now:
        return change.subject, f"no longer found: {'; '.join(change.was)}"
    return change.subject, f"{'; '.join(change.was)} -> {'; '.join(change.now)}"


def _told(entry: _Entry, width: int) -> Iterator[str]:
    name, title = _short(entry.name, str), _short(entry.title, str)
    rank = f"{entry.rank} " if entry.rank else ""
    title = title.rstrip(".")
    head = f"{rank}{name}: {title}: {entry.says}" if title else f"{name}: {entry.says}"
    yield from wrap(head, width, 2, 4)
    for subject, text in entry.details[:_DETAILS]:
        text = view.cut(text)
        yield from wrap(f"{_short(subject, str)}: {text}" if subject else text, width, 4, 6)
    if len(entry.details) > _DETAILS:
        yield f"    and {len(entry.details) - _DETAILS} more"


def _marked(group: _Group, details: int) -> list[str]:
    """Return a text an entry, with so many details."""
    return ["\n".join(_mark(entry, details)) for entry in group.entries]


def _mark(entry: _Entry, details: int) -> Iterator[str]:
    rank = f"**{entry.rank.upper()}** " if entry.rank else ""
    title = f" {_short(entry.title, _safe)}" if entry.title and details != _BARE else ""
    yield f"- {rank}{_short(entry.name, code)}{title}: {inline(entry.says)}"
    shown = max(details, 0)
    for subject, text in entry.details[:shown]:
        text = _safe(view.cut(text, 2 * _VALUE))
        yield f"  - {_short(subject, code)}: {text}" if subject else f"  - {text}"
    if shown and len(entry.details) > shown:
        yield f"  - and {len(entry.details) - shown} more"


def _fitting(group: _Group, room: int, kept: int) -> list[str]:
    """Return all entries with as much detail as there is room for, else the first and a count."""
    for details in (_DETAILS, 3, 0, _BARE):
        entries = _marked(group, details)
        if _size(entries) <= room - kept:
            return entries
    sizes = accumulate(_size([entry]) for entry in entries)
    number = sum(size <= room for size in sizes)
    rest = entries[number:]
    return [*entries[:number], *([_more(rest)] if rest else [])]


def _block(group: _Group, entries: Sequence[str]) -> list[str]:
    return ["", f"#### {group.titled[0].upper()}{group.titled[1:]}", "", *entries]


def _size(texts: Iterable[str]) -> int:
    return sum(len(text.encode()) + 1 for text in texts)


def _more(entries: Sequence[object]) -> str:
    return f"- and {len(entries)} more"


def _safe(text: str) -> str:
    """Return the text such that no site makes anything of it; most stays as it is."""
    line = flat(text)
    harmless = _HARMLESS.fullmatch(line) and not _REFERENCE.search(line)
    return inline(line) if harmless else code(line)
