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
from pytest_readiness.record.identity import identity, lab
from pytest_readiness.record.redact import redactions
from pytest_readiness.record.store import FOLDER
from pytest_readiness.results import model
from pytest_readiness.run.command_line import ROOT
from pytest_readiness.run.context import Context, Seen
from pytest_readiness.run.plan import recorded_end
from pytest_readiness.verdict.gathered import Gathered, Lack
from pytest_readiness.verdict.journal import Head
from pytest_readiness.verdict.judge import Code, broken_off, completeness, failed_beside, judge
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
    verdict = judge(
        items,
        selected=set(gathered.chosen),
        missing=[id for id in gathered.chosen if id not in gathered.reported],
        narrowed=_narrowed(session.config),
        waivers=laid.waivers,
        lost=[] if gathered.told else _lost(seen),
    )
    verdict = _as_pytest_ended(verdict, seen, session)
    if recorded := recorded_end(session.config, _narrowed(session.config)):
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
        target=msgspec.structs.replace(head.target, identity=identity(context.store)),
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


def _lost(seen: Seen) -> list[str]:
    """Return the tests that died and are no items: only they could say whether they are checks."""
    return [nodeid for nodeid in seen.lost if not nodeid.startswith(f"{ROOT}/")]


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


def _narrowed(config: pytest.Config) -> str | None:
    """Return what on the command line may have left items out that the selection names."""
    if config.option.keyword:
        return "-k"
    if config.option.deselect:
        return "--deselect"
    # What stands in addopts is how a project always is; what is typed is a part of it.
    for argument in map(str, config.invocation_params.args):
        if argument.startswith("--ignore"):
            return argument.partition("=")[0]
    return None


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
