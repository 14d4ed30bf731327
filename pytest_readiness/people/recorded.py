"""What people wrote for a run: read once, before any question, and recorded like any fact.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from pytest_readiness import catalogue
from pytest_readiness.catalogue import CatalogueItem
from pytest_readiness.catalogue.words import Severity
from pytest_readiness.clock import now
from pytest_readiness.errors import NotChecked, ProbeError, SettingsError, Why
from pytest_readiness.people import declaration_file, declarations, waivers
from pytest_readiness.people.facts import Declarations, Waivers
from pytest_readiness.record.store import Ask, FactStore
from pytest_readiness.results import model
from pytest_readiness.results.evidence import Outcome
from pytest_readiness.results.model import DeclarationState, WaiverState
from pytest_readiness.settings import Settings

if TYPE_CHECKING:
    from pytest_readiness.signoff.policy import Policy

DECLARATIONS, WAIVERS = "declarations", "waivers"
UNDECLARED = "no declaration"


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What the two files say; None where readiness.ini names none."""

    declarations: Declarations | None
    waivers: Waivers | None


def read(settings: Settings) -> Written:
    """Read the files that readiness.ini names. Raises SettingsError with all that is wrong."""
    named = settings.readiness
    problems: list[str] = []
    policy: Policy | None = None
    declared: Declarations | None = None
    waived: Waivers | None = None
    try:
        policy = policy_of(settings)
    except SettingsError as error:
        problems += error.problems
    try:
        if named.declarations is not None:
            declared = declaration_file.read(named.declarations, policy, now())
    except SettingsError as error:
        problems += error.problems
    try:
        if named.waivers is not None:
            waived = waivers.read(named.waivers)
            known = {item.id: item.severity for item in catalogue.load()}
            problems += waivers.problems(waived, known, longest(settings), known_only=True)
    except SettingsError as error:
        problems += error.problems
    if problems:
        raise SettingsError(problems)
    return Written(declarations=declared, waivers=waived)


def policy_of(settings: Settings) -> "Policy | None":
    """Return the policy that readiness.ini names. Raises SettingsError."""
    if settings.readiness.signoff is None:
        return None
    from pytest_readiness.signoff import policy

    return policy.load(settings.readiness.signoff)


def longest(settings: Settings) -> dict[Severity, timedelta]:
    """Return how long a waiver may be, by the severity of what it waives."""
    other = settings.readiness.max_waiver_major
    return {severity: other for severity in Severity} | {
        Severity.BLOCKER: settings.readiness.max_waiver_blocker
    }


def record(written: Written, store: FactStore) -> None:
    """Record what was read, for the workers and for a replay."""
    for name in (DECLARATIONS, WAIVERS):
        answer = getattr(written, name)
        if answer is not None:
            store.answer(_ask(name, answer))


def recorded_declarations(settings: Settings, store: FactStore) -> Declarations | None:
    """Return the declarations of the run, None where readiness.ini names no file of them.

    Raises NotChecked where a recorded run has none, ProbeError where they cannot be read.
    """
    if settings.readiness.declarations is None:
        return None
    found = store.answer(_ask(DECLARATIONS, Declarations))
    assert isinstance(found, Declarations)
    return found


def recorded_waivers(settings: Settings, store: FactStore) -> Waivers | None:
    """Return the waivers of the run, None where there are none that can be read: fails count."""
    if settings.readiness.waivers is None:
        return None
    try:
        found = store.answer(_ask(WAIVERS, Waivers))
    except (NotChecked, ProbeError):
        return None
    assert isinstance(found, Waivers)
    return found


def lay(
    items: Sequence[model.Item], settings: Settings, store: FactStore, *, ended: datetime
) -> model.Laid:
    """Return the items with what people wrote laid over them, as it was recorded.

    ended: the run, aware. What holds no longer then has no part in it.
    """
    waived, named = recorded_waivers(settings, store), settings.readiness
    declared = _declared(settings, store, ended)
    laid = model.Laid(items=tuple(_undeclared(items, settings, declared)), declarations=declared)
    if waived is not None:
        covered, listed = waivers.apply(
            waived,
            laid.items,
            at=max(waived.asked_at, ended),
            environment=named.environment,
            release=named.release,
        )
        noted = tuple(_noted(covered, listed))
        laid = msgspec.structs.replace(laid, items=noted, waivers=listed)
    return laid


def _noted(
    items: Iterable[model.Item], listed: Sequence[model.ListedWaiver]
) -> Iterable[model.Item]:
    """Yield the items, a fail that a waiver does not cover any more, or not whole, saying so."""
    states = (WaiverState.EXPIRED, WaiverState.UNCOVERED)
    for item in items:
        notes = [
            f"waiver of {one.approver}: {one.note}"
            for one in listed
            if one.item == item.id and one.state in states
        ]
        if notes and item.outcome is Outcome.FAIL and item.waiver is None:
            reason = "; ".join([*([item.reason] if item.reason else []), *notes])
            item = msgspec.structs.replace(item, reason=reason)
        yield item


def _undeclared(
    items: Iterable[model.Item], settings: Settings, declared: Sequence[model.Declared]
) -> Iterable[model.Item]:
    """Yield the items, one that no counting word stands behind without its pass.

    Who changes a record that another process reads must not have declared by that.
    """
    counting = {one.item for one in declared if one.state is DeclarationState.COUNTS}
    notes = {one.item: one.note for one in declared}
    known = catalogue.by_id()
    for item in items:
        owed = item.id in known and by_word(settings, known[item.id])
        if owed and item.outcome is Outcome.PASS and item.id not in counting:
            reason = notes.get(item.id) or "it passed by a declaration that the run has not read"
            item = msgspec.structs.replace(
                item, outcome=Outcome.NOTCHECKED, why=Why.DECLARATION, reason=reason
            )
        yield item


def _declared(settings: Settings, store: FactStore, ended: datetime) -> tuple[model.Declared, ...]:
    try:
        found = recorded_declarations(settings, store)
    except (NotChecked, ProbeError):
        return ()  # the items that need them say so
    if found is None:
        return ()
    items = catalogue.for_phase(settings.readiness.phase)
    found = msgspec.structs.replace(found, asked_at=max(found.asked_at, ended))
    return declarations.listed(found, items, settings.readiness, set_targets(settings))


def waiver_problems(
    settings: Settings, store: FactStore, own: Mapping[str, Severity], *, known_only: bool
) -> list[str]:
    """Return what is wrong with the waivers, when the project's own checks are known.

    own: their severities by id. known_only: see `waivers.problems`.
    """
    found = recorded_waivers(settings, store)
    if found is None:
        return []
    known = {item.id: item.severity for item in catalogue.load()} | dict(own)
    return waivers.problems(found, known, longest(settings), known_only=known_only)


def target_set(settings: Settings, item: CatalogueItem) -> bool:
    """Return whether readiness.ini has the target of an item, whose probe then judges."""
    return item.target in settings.targets


def set_targets(settings: Settings) -> set[str]:
    """Return the targets that readiness.ini has."""
    return {item.target for item in catalogue.load() if target_set(settings, item)}


def by_word(settings: Settings, item: CatalogueItem) -> bool:
    """Return whether a declaration judges the item: it may, and there is nothing to ask."""
    return item.declarable and not target_set(settings, item)


def _ask(name: str, answer: msgspec.Struct | type[msgspec.Struct]) -> Ask:
    def ask() -> msgspec.Struct:
        if isinstance(answer, msgspec.Struct):
            return answer
        raise NotChecked(Why.NOT_RECORDED, f"{name} were not read when the run began")

    return Ask(
        name=name,
        target=name,
        source=f"{name}.toml",
        question=f"read {name}",
        command=f"cat {name}.toml",
        answer=answer if isinstance(answer, type) else type(answer),
        ask=ask,
    )
