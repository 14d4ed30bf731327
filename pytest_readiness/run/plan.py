"""From a command line to the plan of a run: settings, run directory, the lab, a replay.

PYTEST_DONT_REWRITE
"""

import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from pytest_readiness.clock import begins
from pytest_readiness.errors import ReadinessError, Why
from pytest_readiness.lab.process import lab_of
from pytest_readiness.record.facts import Flaw, flaws, paths
from pytest_readiness.record.store import leave_refusal
from pytest_readiness.results import model
from pytest_readiness.run.context import Context, enter, new_plan
from pytest_readiness.settings import Settings, from_values, load
from pytest_readiness.verdict.end import End, end_of
from pytest_readiness.verdict.gathered import OWN_SECTION, Lack, Sent, without_result

INI, REPORT = "readiness.ini", "readiness-report"


class _Replayed(NamedTuple):
    """The run that is judged again: its directory, and its report, read once."""

    directory: Path
    report: model.Report


_REPLAYED = pytest.StashKey[_Replayed]()


def read_settings(config: pytest.Config) -> Settings:
    """Return the settings of the command line without secrets, files or the lab."""
    settings = load(_ini(config), resolve=False, stand_ins=True)
    return _with_options(settings, config, resolve=False, stand_ins=True)


def plan_run(config: pytest.Config) -> Context:
    """Return the context of a new run; the lab it asks for is running when this returns.

    Raises ReadinessError.
    """
    directory = _directory(config)
    replayed = _replayed(config)
    _refuse_what_would_be_lost(config, (directory, *([replayed.directory] if replayed else [])))
    if replayed is not None:
        return _plan_replay(config, replayed, directory)
    path = _ini(config)
    running = ExitStack()
    config.add_cleanup(running.close)
    settings = load(path, supplied=running.enter_context(lab_of(path)))
    plan = new_plan(_with_options(settings, config, resolve=True), directory, replay=None)
    faults = settings.lab.faults if settings.lab is not None else None
    return enter(msgspec.structs.replace(plan, lab=faults))


def recorded_own(config: pytest.Config) -> list[Sent]:
    """Return the project's own checks of a replayed run: known by name, judged by no replay."""
    replayed = _replayed(config)
    if replayed is None:
        return []
    return [
        Sent(
            id=item.id,
            result=without_result(
                item.id,
                item.nodeid,
                Lack(
                    Why.NOT_RECORDED,
                    "a check of the project is not replayed: its facts are not recorded",
                ),
            ),
            declared={
                "title": item.title,
                "severity": item.severity.value,
                "safety": item.safety.value,
                "remediation": item.remediation or "",
                "reference": item.reference or "",
            },
            own=True,
            module=item.subsection,
            nodeid=item.nodeid,
        )
        for item in replayed.report.items
        if item.section == OWN_SECTION
    ]


def recorded_end(config: pytest.Config, narrowed: str | None) -> End | None:
    """Return how the run ended that this one replays, None where nothing keeps it from counting."""
    replayed = _replayed(config)
    if replayed is None:
        return None
    end = end_of(replayed.report, narrowed=narrowed)
    return end if end.broke or end.other or end.beside else None


def _plan_replay(config: pytest.Config, replayed: _Replayed, directory: Path) -> Context:
    recorded, report = replayed
    if directory.resolve() == recorded.resolve():
        raise ReadinessError(f"{recorded} is what is replayed: name another --readiness-report")
    if config.option.readiness_ini:
        settings = load(_ini(config), resolve=False)
    else:
        settings = from_values(
            report.settings.values, origin=str(recorded / "report.json"), base=recorded
        )
        settings = msgspec.structs.replace(settings, sha256=report.settings.sha256)
    settings = _with_options(settings, config, resolve=False)
    plan = new_plan(settings, directory, replay=report.run.id)
    try:
        begins(report.run.ended)
        recorded_times = {"started": begins(report.run.started), "ended": report.run.ended}
    except ValueError as error:
        raise ReadinessError(f"{recorded / 'report.json'}: not a readable run: {error}") from error
    return enter(msgspec.structs.replace(plan, lab=report.run.lab, **recorded_times))


def copy_facts(config: pytest.Config, directory: Path) -> None:
    """Give the run directory of a replay the facts that it is judged on.

    One that is not of the run it lies in is left behind: the items that need it are errors.
    """
    replayed = _replayed(config)
    if replayed is None:
        return
    recorded, report = replayed
    wrong = {one.name: one for one in flaws(report, recorded) if one.flaw is not Flaw.MISSING}
    for name, path in paths(recorded):
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name in wrong:
            leave_refusal(target, wrong[name].why, report.run.ended)
        else:
            shutil.copyfile(path, target)


def _ini(config: pytest.Config) -> Path:
    given = config.option.readiness_ini
    return config.invocation_params.dir / given if given else config.rootpath / INI


def _directory(config: pytest.Config) -> Path:
    given = config.option.readiness_report
    # Where pytest was called, as other outputs: its rootdir moves with the folder of an ini that
    # is given by path.
    return config.invocation_params.dir / (given or REPORT)


def _replayed(config: pytest.Config) -> _Replayed | None:
    given = config.option.readiness_replay
    if given and _REPLAYED not in config.stash:
        directory = config.invocation_params.dir / given
        config.stash[_REPLAYED] = _Replayed(directory, model.read(directory / model.FILES[0]))
    return config.stash.get(_REPLAYED, None)


def _refuse_what_would_be_lost(config: pytest.Config, runs: Sequence[Path]) -> None:
    """Raise ReadinessError for options with which pytest could not leave what is asked for."""
    given = getattr(config.option, "basetemp", None)
    for run in runs:
        # Pytest removes the folder when the first test asks for a temporary one.
        if given and run.resolve().is_relative_to(Path(given).resolve()):
            raise ReadinessError(
                f"--basetemp {given} holds {run} and would be removed: name another"
            )
    name = getattr(config.option, "xmlpath", None)
    if not name:
        return
    path = Path(name).expanduser().absolute()
    folder = next(parent for parent in path.parents if os.path.lexists(parent))
    if path.exists() and not path.is_file():
        raise ReadinessError(f"--junitxml {name}: it is not a file, and cannot hold the items")
    if not os.access(folder, os.W_OK) or not folder.is_dir():
        raise ReadinessError(f"--junitxml {name}: {folder} is no folder that can be written to")


def _with_options(
    settings: Settings, config: pytest.Config, *, resolve: bool, stand_ins: bool = False
) -> Settings:
    """Return the settings with what the command line overrides."""
    given = {"phase": config.option.readiness_phase, "safety": config.option.readiness_safety}
    changed = {key: value for key, value in given.items() if value}
    if not changed:
        return settings
    values = {**settings.values, "readiness": {**settings.values["readiness"], **changed}}
    origin = f"{settings.path.name} with --readiness-{' and --readiness-'.join(changed)}"
    overridden = from_values(
        values, origin=origin, base=settings.path.parent, resolve=resolve, stand_ins=stand_ins
    )
    return msgspec.structs.replace(overridden, path=settings.path, sha256=settings.sha256)
