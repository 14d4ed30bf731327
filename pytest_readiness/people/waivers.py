"""Dated permissions despite a fail: read, validated, laid over the items of a report.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from pytest_readiness.catalogue.words import Severity
from pytest_readiness.clock import begins, ends, now
from pytest_readiness.errors import Why
from pytest_readiness.people.facts import Waiver, Waivers
from pytest_readiness.results import model
from pytest_readiness.results.evidence import Outcome
from pytest_readiness.results.model import WaiverState
from pytest_readiness.text import suggestion
from pytest_readiness.written import tables as toml_tables
from pytest_readiness.written.keys import DURATION

DATES = ("created", "expires")

_FILLED = ("reason", "approver", "risk", "ticket")
_OPTIONAL = ("finding", "environment", "release")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A [[waiver]] as people write it."""

    item: str
    reason: str
    approver: str
    risk: str
    created: str
    expires: str
    ticket: str
    finding: str | None = None
    environment: str | None = None
    release: str | None = None


def read(path: Path) -> Waivers:
    """Read the file. Raises SettingsError, with every problem of its form."""
    tables = toml_tables.read(path, "waiver", Row, DATES)
    return Waivers(
        file=path.name,
        asked_at=now(),
        items=tuple(Waiver(line=line, **msgspec.structs.asdict(row)) for line, row in tables),
    )


def problems(
    facts: Waivers,
    severities: Mapping[str, Severity],
    longest: Mapping[Severity, timedelta],
    *,
    known_only: bool,
) -> list[str]:
    """Return what may not stand in the file, `waivers.toml:LINE: message`, in its order.

    severities: of every item that there is, by id. longest: from the day created to the day of
    its end. known_only: pass over items that are not in severities, which may be a project's own.
    """
    found: list[str] = []
    for number, waiver in enumerate(facts.items):
        wrong = [*_empty(waiver), *_span(waiver, severities.get(waiver.item), longest)]
        if waiver.item not in severities and not known_only:
            near = suggestion(waiver.item, list(severities))
            wrong.insert(0, f"there is no item {waiver.item}{near}")
        wrong += [
            f"{waiver.item}: overlaps the waiver of line {other.line}: keep one"
            for other in facts.items[:number]
            if _overlap(waiver, other)
        ]
        found += [f"{facts.file}:{waiver.line}: {message}" for message in wrong]
    return found


def apply(
    facts: Waivers,
    items: Sequence[model.Item],
    *,
    at: datetime,
    environment: str,
    release: str | None,
) -> tuple[tuple[model.Item, ...], tuple[model.ListedWaiver, ...]]:
    """Return the items, each fail that is covered with its waiver, and what became of each waiver.

    A fail is covered by a waiver of the whole item, or by waivers of the subject of every finding;
    nothing else is ever covered. at: aware, as of which waivers are in force.
    """
    here = _Here(at, environment, release, facts.items)
    by_id = {item.id: item for item in items}
    return (
        tuple(here.waived(item) for item in items),
        tuple(here.listed(waiver, by_id.get(waiver.item)) for waiver in facts.items),
    )


class _Here:
    def __init__(
        self, at: datetime, environment: str, release: str | None, waivers: Sequence[Waiver]
    ) -> None:
        self.at, self.environment, self.release = at, environment, release
        self.in_force: dict[str, list[Waiver]] = {}
        for waiver in waivers:
            if self._out_of_force(waiver) is None:
                self.in_force.setdefault(waiver.item, []).append(waiver)

    def waived(self, item: model.Item) -> model.Item:
        """Return the item with the waiver that ends first of those which cover it."""
        if item.outcome is not Outcome.FAIL or self._uncovered(item):
            return msgspec.structs.replace(item, waiver=None)
        used = [one for one in self.in_force.get(item.id, ()) if _concerns(one, item)]
        first = min(used, key=lambda one: (ends(one.expires), one.line))
        return msgspec.structs.replace(item, waiver=model.Waived(**_said(first)))

    def listed(self, waiver: Waiver, item: model.Item | None) -> model.ListedWaiver:
        state, note = self._out_of_force(waiver) or self._became(waiver, item)
        if state is WaiverState.EXPIRED and item is not None and self._counts(waiver, item):
            note = f"{note}: the fail counts"
        return model.ListedWaiver(**_said(waiver), state=state, note=note)

    def _out_of_force(self, waiver: Waiver) -> tuple[WaiverState, str] | None:
        if waiver.environment is not None and waiver.environment != self.environment:
            return WaiverState.ELSEWHERE, f"for environment {waiver.environment}"
        if waiver.release is not None and waiver.release != self.release:
            return WaiverState.ELSEWHERE, f"for release {waiver.release}"
        if ends(waiver.expires) <= self.at:
            return WaiverState.EXPIRED, f"expired on {waiver.expires}"
        if begins(waiver.created) > self.at:
            return WaiverState.NOT_YET, f"begins on {waiver.created}"
        return None

    def _became(self, waiver: Waiver, item: model.Item | None) -> tuple[WaiverState, str | None]:
        if item is None:
            return WaiverState.UNUSED, "the item is not of this run"
        match item.outcome:
            case Outcome.PASS:
                return WaiverState.NOT_NEEDED, "passes now: remove it"
            case Outcome.NOTAPPLICABLE:
                return WaiverState.NOT_NEEDED, "does not apply now: remove it"
            case Outcome.ERROR:
                return WaiverState.UNUSED, "covers no error: it could not be asked"
            case Outcome.NOTCHECKED if item.why == Why.NOT_SELECTED:
                return WaiverState.UNUSED, "the item is not selected"
            case Outcome.NOTCHECKED:
                return WaiverState.UNUSED, "covers no item that was not checked"
        if not _concerns(waiver, item):
            return WaiverState.UNUSED, f"the item fails without finding {waiver.finding}"
        if others := self._uncovered(item):
            return WaiverState.UNCOVERED, f"no waiver covers {', '.join(others)}"
        return WaiverState.USED, None

    def _counts(self, waiver: Waiver, item: model.Item) -> bool:
        return (
            item.outcome is Outcome.FAIL and _concerns(waiver, item) and bool(self._uncovered(item))
        )

    def _uncovered(self, item: model.Item) -> list[str]:
        """Return what of a failing item no waiver in force covers."""
        waivers = self.in_force.get(item.id, ())
        if any(waiver.finding is None for waiver in waivers):
            return []
        if not item.findings:
            return ["the item, which has no findings"]
        named = {waiver.finding for waiver in waivers}
        open_ones = [one for one in item.findings if not one.is_among(named)]
        # Its code is said only where another finding of the subject is covered by it.
        partly = {one.subject for one in item.findings if one.name in named}
        names = (one.name if one.subject in partly else one.subject for one in open_ones)
        return list(dict.fromkeys(names))


def _concerns(waiver: Waiver, item: model.Item) -> bool:
    names = (waiver.finding,)
    return waiver.finding is None or any(one.is_among(names) for one in item.findings)


def _said(waiver: Waiver) -> dict[str, Any]:
    said = msgspec.structs.asdict(waiver)
    del said["line"]
    return said


def _empty(waiver: Waiver) -> Iterator[str]:
    for key in _FILLED:
        if not getattr(waiver, key).strip():
            yield f"{waiver.item}: {key} is empty"
    for key in _OPTIONAL:
        value = getattr(waiver, key)
        if value is not None and not value.strip():
            yield f"{waiver.item}: {key} is empty; remove the line where it is for any"


def _span(
    waiver: Waiver, severity: Severity | None, longest: Mapping[Severity, timedelta]
) -> Iterator[str]:
    if ends(waiver.expires) <= begins(waiver.created):
        yield f"{waiver.item}: expires {waiver.expires}, before it begins ({waiver.created})"
    else:
        # From day to day as people count: the 24th to the 30th are six.
        span = ends(waiver.expires) - ends(waiver.created)
        # Of an own check the severity is not known yet; for none is more allowed than the most.
        most = longest[severity] if severity else max(longest.values())
        if span > most:
            whose = f"a {severity}" if severity else "any item"
            yield (
                f"{waiver.item}: {waiver.created} to {waiver.expires} is too long: "
                f"{DURATION.show(most)} for {whose}"
            )


def _overlap(one: Waiver, other: Waiver) -> bool:
    return (one.item, one.finding, one.environment, one.release) == (
        other.item,
        other.finding,
        other.environment,
        other.release,
    ) and max(begins(one.created), begins(other.created)) < min(
        ends(one.expires), ends(other.expires)
    )
