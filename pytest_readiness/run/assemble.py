"""From what was gathered to the report.

PYTEST_DONT_REWRITE
"""

from importlib.metadata import version

import msgspec
import pytest

from pytest_readiness import catalogue
from pytest_readiness.clock import begins, now, rfc3339
from pytest_readiness.errors import Why
from pytest_readiness.people.recorded import lay
from pytest_readiness.record.facts import digests
from pytest_readiness.record.identity import identity, lab, same
from pytest_readiness.record.redact import redactions
from pytest_readiness.record.store import FOLDER
from pytest_readiness.results import model
from pytest_readiness.run.command_line import ROOT
from pytest_readiness.run.context import Context, Seen
from pytest_readiness.run.plan import recorded_end
from pytest_readiness.settings import Settings
from pytest_readiness.text import plural
from pytest_readiness.verdict.gathered import Gathered, Lack
from pytest_readiness.verdict.journal import Head
from pytest_readiness.verdict.judge import (
    Code,
    broken_off,
    completeness,
    failed_beside,
    judge,
    named,
)
from pytest_readiness.verdict.relaxed import relaxed

# Ways that pytest ends in which every item that was asked for had its turn.
_JUDGED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)


def head(gathered: Gathered, context: Context, config: pytest.Config) -> Head:
    """Return what is known of the report when the run starts, for the journal."""
    settings = context.settings
    run = _run(context, config)
    return Head(
        at=rfc3339(now()),
        tool=model.Tool(name="pytest-readiness", version=version("pytest-readiness")),
        run=run,
        target=model.Target(
            system=settings.readiness.system,
            environment=settings.readiness.environment,
            phase=settings.readiness.phase,
            release=settings.readiness.release,
            commit=settings.readiness.commit,
            image=settings.readiness.image,
            identity={},
        ),
        checklist=model.Digest(id="production-readiness", sha256=catalogue.sha256()),
        settings=model.SettingsUsed(sha256=context.plan.sha256, values=settings.values),
        items=tuple(gathered.blank),
        selected=tuple(gathered.selected),
        own=tuple(gathered.own.values()),
        narrowed=_narrowed(config),
        owed=tuple(gathered.owed.values()),
    )


def assemble(
    gathered: Gathered, seen: Seen, head: Head, context: Context, session: pytest.Session
) -> model.Report:
    """Return the report of a run that has ended, however it ended. head: as it began."""
    otherwise = _why_missing(seen, session)
    items = gathered.items(lambda nodeid: _lack(seen, nodeid, otherwise))
    run = _run(context, session.config)  # again: secrets may have been learnt since the start
    laid = lay(items, context.settings, context.store, ended=begins(run.ended))
    items = laid.items
    missing = [id for id in gathered.chosen if id not in gathered.reported]
    # Who knows which checks are owed knows a whole run, however it was called.
    whole = context.settings.own_checks is not None and not missing
    narrowed = None if whole else _narrowed(session.config)
    verdict = judge(
        items,
        selected=set(gathered.chosen),
        missing=missing,
        narrowed=narrowed,
        waivers=laid.waivers,
        lost=[] if gathered.told else _lost(gathered, seen),
    )
    verdict = _told_of_own_checks(verdict, gathered, context.settings, narrowed)
    verdict = _as_pytest_ended(verdict, seen, session)
    if recorded := recorded_end(session.config, narrowed):
        verdict = recorded.closes(verdict)
    run = msgspec.structs.replace(
        run,
        partial=verdict.name == "PARTIAL",
        redactions=redactions(items, context.directory / FOLDER),
    )
    return model.Report(
        schema=model.SCHEMA,
        tool=head.tool,
        run=run,
        target=msgspec.structs.replace(
            head.target, identity=identity(context.store), same=same(context.store)
        ),
        checklist=head.checklist,
        settings=head.settings,
        items=items,
        waivers=laid.waivers,
        declarations=laid.declarations,
        completeness=completeness(items, gathered.reported),
        verdict=verdict,
        traffic=seen.traffic,
        relaxed=relaxed(head.settings.values, items),
        facts=digests(context.directory),
    )


def _told_of_own_checks(
    verdict: model.Verdict, gathered: Gathered, settings: Settings, narrowed: str | None
) -> model.Verdict:
    """Return the verdict with what is to say of the project's own checks, last of all."""
    owed = settings.own_checks
    others = sorted(gathered.own.keys() - (owed or {}).keys())
    told: list[tuple[Code, str]] = []
    if narrowed is not None and owed is None:
        what = "which checks of the project are owed is not known: write [own_checks]"
        told.append((Code.NARROWED, f"{what} (`readiness list --own` prints it)"))
    if others:
        what = plural(len(others), "check") + " of the project not owed"
        told.append((Code.NOT_OWED, f"{what}: {named(others)}"))
    return msgspec.structs.replace(
        verdict,
        reasons=(*verdict.reasons, *(sentence for _, sentence in told)),
        why=(*verdict.why, *(code for code, _ in told)),
    )


def _lost(gathered: Gathered, seen: Seen) -> list[str]:
    """Return the tests that died and are no items: only they could say whether they are checks."""
    items = {item.nodeid for item in gathered.blank}
    return [nodeid for nodeid in seen.lost if nodeid not in items]


def _as_pytest_ended(verdict: model.Verdict, seen: Seen, session: pytest.Session) -> model.Verdict:
    """Return the verdict with what pytest has to say about the end of the run."""
    status = session.exitstatus
    if status not in _JUDGED:  # interrupted, internal or usage error: the code is pytest's own
        why = _why_missing(seen, session).reason
        return broken_off(verdict, int(status), Code.BROKE_OFF, why)
    if status != pytest.ExitCode.TESTS_FAILED:
        return verdict
    # Said whatever the items gave: a merge may have better results for them, and not for these.
    if seen.broken:  # which may have held checks, of which nothing is known then
        why = f"could not be collected: {', '.join(seen.broken)}"
        code = verdict.exit_code or int(status)
        return broken_off(verdict, code, Code.NOT_COLLECTED, why)
    others = seen.other_failures
    if others:
        return failed_beside(verdict, f"not an item, and failed: {', '.join(others)}")
    # Failures that are not counted, or counted and reported by nobody: pytest-cov does so.
    if not session.testsfailed or session.testsfailed > seen.item_failures:
        return failed_beside(verdict, "another plugin failed the run")
    return verdict


def _run(context: Context, config: pytest.Config) -> model.Run:
    """Return the run as it stands now; whether it is partial, and of redactions, nothing yet."""
    clean = context.redactor.text
    return model.Run(
        id=context.plan.id,
        started=rfc3339(context.plan.started),
        ended=context.plan.ended or rfc3339(now()),
        command=clean(" ".join(("pytest", *map(str, config.invocation_params.args)))),
        selection=clean(_selection(config)),
        partial=False,
        safety=context.settings.readiness.safety,
        workers=len(getattr(config.option, "tx", None) or []),
        lab=lab(context.plan.lab, context.store),
        redactions=0,
        replay=context.plan.replay,
    )


def _selection(config: pytest.Config) -> str:
    option = config.option
    named = [argument for argument in config.invocation_params.args if ROOT + "/" in str(argument)]
    parts = [
        f"-m {option.markexpr!r}" if option.markexpr else "",
        f"-k {option.keyword!r}" if option.keyword else "",
        *(f"--deselect {name}" for name in option.deselect or ()),
        *map(str, named),
    ]
    return " ".join(part for part in parts if part)


# Options that leave tests out, by their name in pytest: what is typed, and what they are called.
_NARROWING = {
    "keyword": "-k",
    "deselect": "--deselect",
    "ignore": "--ignore",
    "ignore_glob": "--ignore-glob",
    "lf": "--lf",
    "stepwise": "--sw",
    "stepwise_skip": "--sw-skip",
    "inifilename": "-c",
    "confcutdir": "--confcutdir",
    "noconftest": "--noconftest",
}
_NARROWING_A_REPLAY = ("keyword", "deselect")
# Of an ini: what says which tests there are.
_COLLECTING = ("testpaths", "python_files", "python_classes", "python_functions", "norecursedirs")


def _narrowed(config: pytest.Config) -> str | None:
    """Return what may have left checks out that the selection does not name, wherever it stands."""
    # A replay has its own rootdir and ini, and collects nothing of the project.
    replay = bool(config.option.readiness_replay)
    for name, typed in _NARROWING.items():
        if replay and name not in _NARROWING_A_REPLAY:
            continue
        if getattr(config.option, name, None) and not _is_default(config, name):
            return typed
    if replay:
        return None
    if getattr(config.option, "failedfirst", False) and config.option.maxfail:
        return "--ff with --maxfail"
    if config.pluginmanager.is_blocked("python"):
        return "-p no:python"
    for override in config.option.override_ini or ():
        if override.partition("=")[0].strip() in _COLLECTING:
            return f"-o {override}"
    if config.args_source is pytest.Config.ArgsSource.ARGS:
        return next((arg for arg in config.args if _is_a_part(arg, config)), None)
    return None


def _is_default(config: pytest.Config, name: str) -> bool:
    # pytest itself fills this one in.
    return name == "confcutdir" and not any(
        str(arg).startswith("--confcutdir") for arg in config.invocation_params.args
    )


def _is_a_part(argument: str, config: pytest.Config) -> bool:
    """Tell whether an argument is a file or a folder below the project's own."""
    if "::" in argument:
        return False
    return not config.rootpath.is_relative_to(config.invocation_params.dir / argument)


def _lack(seen: Seen, nodeid: str, otherwise: Lack) -> Lack:
    broken = next((name for name in seen.broken if nodeid.startswith(name)), None)
    if broken is not None:
        return Lack(Why.NOT_COLLECTED, f"not run: {broken} could not be collected")
    if nodeid in seen.lost:
        return Lack(Why.LOST, seen.lost[nodeid])
    return Lack(otherwise.why, f"not run: {otherwise.reason}")


def _why_missing(seen: Seen, session: pytest.Session) -> Lack:
    if session.exitstatus == pytest.ExitCode.INTERRUPTED:
        return Lack(Why.NOT_RUN, "the run was interrupted")
    if session.exitstatus in (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR):
        return Lack(Why.NOT_RUN, seen.refused or "the run broke off")
    if session.shouldfail or session.shouldstop:
        return Lack(Why.NOT_RUN, str(session.shouldfail or session.shouldstop))
    narrowed = _narrowed(session.config)
    if narrowed:
        return Lack(Why.LEFT_OUT, f"left out by {narrowed}")
    return Lack(Why.NOT_RUN, "it was taken out of the collection or lost")
