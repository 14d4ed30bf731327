"""Turning a pytest run into a run of the checklist.

PYTEST_DONT_REWRITE
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import pytest
from _pytest.mark.structures import get_unpacked_marks

from pytest_readiness import catalogue
from pytest_readiness.catalogue import CatalogueItem
from pytest_readiness.catalogue.words import Safety, Severity
from pytest_readiness.checklist.check import Place
from pytest_readiness.errors import ReadinessError, Why
from pytest_readiness.people import recorded
from pytest_readiness.record import locks
from pytest_readiness.record.store import FOLDER
from pytest_readiness.run import fixtures
from pytest_readiness.run.calling import Calls
from pytest_readiness.run.collect import collect_checklist, own_checks, uncollected
from pytest_readiness.run.command_line import (
    Address,
    marks_of_own,
    matches,
    matches_marks,
    parse_address,
    selected,
    unknown,
)
from pytest_readiness.run.context import CONTEXT, Context, Plan, enter, listing_redactor
from pytest_readiness.run.controller import PLAN, TOLD, Controller, prepare
from pytest_readiness.run.judging import Runner, said_of, sent_of
from pytest_readiness.run.plan import copy_facts, plan_run, read_settings, recorded_own
from pytest_readiness.run.redacting import Redacting
from pytest_readiness.run.terminal import Show
from pytest_readiness.settings import Settings
from pytest_readiness.settings.sections import OWN_CHECKS
from pytest_readiness.verdict.gathered import Lack, Sent, without_result

WORKER_INPUT = "workerinput"  # attribute that xdist gives the config of a worker


@dataclass(frozen=True, slots=True)
class Activation:
    """What an active run adds to collection.

    items: of the packaged checklist, or none. tell: what is done with the project's own checks,
    before any option leaves some out. by_name: whether node ids are what is asked for. clean: takes
    secrets out of a text.
    """

    settings: Settings
    items: tuple[CatalogueItem, ...]
    expression: str
    tell: Callable[[list[Sent]], None]
    by_name: bool
    clean: Callable[[str], str]

    def take_addresses(self, config: pytest.Config) -> None:
        """Take the checklist's node ids out of the arguments that pytest looks up as files."""
        config.args[:] = [arg for arg in config.args if parse_address(arg, config) is None]

    def add_items(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add the packaged checklist. Raises pytest.UsageError when two checks share an id."""
        packaged = {item.id for item in catalogue.load()}
        known: list[Sent] = []
        found = own_checks(items)
        for id, own in found.items():
            # Of a method, each case has its own bound one; the function is the same.
            functions = {item.function: item.nodeid for item in own}
            if id in packaged or len(functions) > 1:
                where = ", ".join((*functions.values(), *(["the checklist"] * (id in packaged))))
                raise pytest.UsageError(f"item {id} is declared twice: {where}")
            known += [
                sent_of(item, id, None, self.clean, selected=matches(self.expression, item))
                for item in own
            ]
        known += [self._uncollected(place, session) for place in uncollected(found)]
        self.tell(known)
        if self.items:
            by_word = {item.id for item in self.items if recorded.by_word(self.settings, item)}
            items[:0] = collect_checklist(session, self.items, by_word)

    def _uncollected(self, place: Place, session: pytest.Session) -> Sent:
        where = f"{os.path.relpath(place.file, session.config.rootpath)}:{place.line}"
        marks = get_unpacked_marks(place.function)
        return Sent(
            id=place.meta.id,
            result=without_result(
                place.meta.id,
                where,
                Lack(Why.NOT_COLLECTED, f"declared at {where} and not collected"),
            ),
            declared=said_of(place.meta, self.clean),
            own=True,
            module=Path(place.file).stem.removeprefix("test_"),
            nodeid=where,
            # Who names tests asks for no other.
            selected=not self.by_name and matches_marks(self.expression, marks),
        )


def activate(config: pytest.Config) -> Activation:
    """Make this run, whose command line asks for it, one of the checklist.

    Raises pytest.UsageError for settings that are wrong, before any question is asked.
    """
    if sys.flags.optimize and not config.option.collectonly:
        raise pytest.UsageError("python -O or PYTHONOPTIMIZE: no assert of a check would count")
    addresses = [found for arg in config.args if (found := parse_address(arg, config))]
    expression = config.option.markexpr or ""
    _register(config, fixtures, "readiness-fixtures")
    try:
        if config.option.collectonly:
            settings = read_settings(config)
            redactor, carrier = listing_redactor(settings), None
        else:
            context = _enter(config)
            settings = context.settings
            redactor, carrier = context.redactor, context.plan.carrier
            _register(config, Runner(context), "readiness-runner")
            _register(config, Calls(), "readiness-calls")
    except ReadinessError as error:
        raise pytest.UsageError(str(error)) from error
    _register(config, Redacting(redactor, carrier), "readiness-redacting")
    phase = settings.readiness.phase
    problem = unknown(addresses, catalogue.load(), phase)
    if problem is not None:
        raise pytest.UsageError(problem)
    scope = _scope(config, addresses, catalogue.for_phase(phase))
    by_name = any("::" in argument for argument in config.args)
    tell: Callable[[list[Sent]], None] = _tell_nobody
    if _is_worker(config):
        tell = partial(_leave_for_controller, context.directory)
    elif not config.option.collectonly:
        controller = Controller(
            context,
            config,
            catalogue.for_phase(phase),
            selected(scope, expression, ()),
            recorded_own(config),
            () if by_name else _owed(settings, expression),
        )
        _register(config, controller, "readiness-controller")
        _register(config, Show(controller), "readiness-show")
        tell = controller.expect
    return Activation(settings, scope, expression, tell, by_name, redactor.text)


def _owed(settings: Settings, expression: str) -> list[Sent]:
    """Return the checks that the team owes, as they are as long as nobody brings them."""
    return [
        Sent(
            id=id,
            result=without_result(
                id,
                id,
                Lack(Why.MISSING, f"missing: [{OWN_CHECKS}] owes it, and the run did not bring it"),
            ),
            declared={
                "title": title,
                "severity": Severity.BLOCKER,
                "safety": Safety.S0,
                "remediation": "Bring the check back, or take it out of readiness.ini.",
                "reference": "",
            },
            own=True,
            module=OWN_CHECKS,
            nodeid=id,
            selected=matches_marks(expression, marks_of_own(id)),
        )
        for id, title in (settings.own_checks or {}).items()
    ]


def _register(config: pytest.Config, plugin: object, name: str) -> None:
    if config.pluginmanager.register(plugin, name) is None:
        raise pytest.UsageError(f"-p no:{name}: a run without it says nothing true")


def _tell_nobody(own: list[Sent]) -> None:
    pass


def _leave_for_controller(directory: Path, own: list[Sent]) -> None:
    # In the run directory and not by xdist, which passes on what a worker has to tell at its end:
    # a run that is interrupted does not wait for it. Every worker collects the same.
    temporary = directory / FOLDER / f"{TOLD}.{os.getpid()}"
    temporary.write_bytes(msgspec.json.encode(own))
    temporary.replace(directory / FOLDER / TOLD)


def _enter(config: pytest.Config) -> Context:
    if _is_worker(config):
        sent = getattr(config, WORKER_INPUT)
        context = enter(msgspec.json.decode(sent[PLAN], type=Plan))
        lock = locks.work(context.directory, sent["workerid"])
    else:
        context = plan_run(config)
        # Before the files of an earlier run are removed: these may be wrong.
        written = recorded.read(context.settings) if context.plan.replay is None else None
        lock = prepare(context.directory)
        copy_facts(config, context.directory)
        if written is not None:
            recorded.record(written, context.store)
    config.add_cleanup(partial(locks.leave, lock))
    config.stash[CONTEXT] = context
    return context


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, WORKER_INPUT)


def _scope(
    config: pytest.Config, addresses: Sequence[Address], items: Sequence[CatalogueItem]
) -> tuple[CatalogueItem, ...]:
    """Return the items that the arguments name; arguments of the project alone name none.

    Files and folders of the project, which may come from addopts, do not narrow the checklist:
    only node ids do.
    """
    if addresses:
        return tuple(item for item in items if any(found.holds(item) for found in addresses))
    only_own = bool(config.args) and all("::" in argument for argument in config.args)
    return () if only_own else tuple(items)
