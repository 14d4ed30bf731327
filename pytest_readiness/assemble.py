"""From what was gathered to the report.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING

import msgspec
import pytest

from pytest_readiness import catalogue
from pytest_readiness.catalogue import CatalogueItem
from pytest_readiness.clock import now, rfc3339
from pytest_readiness.redact import count
from pytest_readiness.report import model
from pytest_readiness.results import ItemResult, Outcome, Safety, Severity
from pytest_readiness.run import Context, identity, lab
from pytest_readiness.runner import Sent
from pytest_readiness.selection import ROOT, place
from pytest_readiness.verdict import broken_off, completeness, failed_beside, judge

if TYPE_CHECKING:
    from pytest_readiness.controller import Controller

OWN_SECTION = "project"
# Ways that pytest ends in which every item that was asked for had its turn.
_JUDGED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
NOT_SELECTED = "not selected"


def assemble(controller: "Controller", session: pytest.Session) -> model.Report:
    """Return the report of a run that has ended, however it ended."""
    why = _why_missing(controller, session)
    items = tuple([*_packaged(controller, why), *_own(controller, why)])
    chosen = (*controller.selected, *sorted(controller.own_selected))
    reported = {id for id in controller.results if not controller.lacking(id)}
    missing = [id for id in chosen if id not in reported]
    if not controller.told:
        # Whether these are checks, only the dead could say.
        missing += [nodeid for nodeid in controller.lost if not nodeid.startswith(f"{ROOT}/")]
    verdict = judge(
        items,
        selected=set(chosen),
        missing=missing,
        narrowed=_narrowed(session.config),
    )
    verdict = _as_pytest_ended(verdict, controller, session)
    context, settings = controller.context, controller.context.settings
    return model.Report(
        schema=model.SCHEMA,
        tool=model.Tool(name="pytest-readiness", version=version("pytest-readiness")),
        run=_run(context, session.config, items, partial=verdict.name == "PARTIAL"),
        target=model.Target(
            system=settings.readiness.system,
            environment=settings.readiness.environment,
            phase=settings.readiness.phase,
            release=settings.readiness.release,
            commit=settings.readiness.commit,
            image=settings.readiness.image,
            identity=identity(context),
        ),
        checklist=model.Digest(id="production-readiness", sha256=catalogue.sha256()),
        settings=model.SettingsUsed(sha256=context.plan.sha256, values=settings.values),
        items=items,
        waivers=(),
        declarations=(),
        completeness=completeness(items, reported),
        verdict=verdict,
    )


def _as_pytest_ended(
    verdict: model.Verdict, controller: "Controller", session: pytest.Session
) -> model.Verdict:
    """Return the verdict with what pytest has to say about the end of the run."""
    status = session.exitstatus
    if status not in _JUDGED:  # interrupted, internal or usage error: the code is pytest's own
        return broken_off(verdict, int(status), _why_missing(controller, session))
    if status == pytest.ExitCode.TESTS_FAILED and verdict.exit_code == pytest.ExitCode.OK:
        if controller.broken:  # which may have held checks, of which nothing is known then
            why = f"could not be collected: {', '.join(controller.broken)}"
            return broken_off(verdict, int(status), why)
        others = controller.other_failures
        if others:
            return failed_beside(verdict, f"not an item, and failed: {', '.join(others)}")
        # Failures that are not counted, or counted and reported by nobody: pytest-cov does so.
        if not session.testsfailed or session.testsfailed > controller.item_failures:
            return failed_beside(verdict, "another plugin failed the run")
    return verdict


def _run(
    context: Context, config: pytest.Config, items: Iterable[model.Item], *, partial: bool
) -> model.Run:
    clean = context.redactor.text
    facts = (
        path.read_text(encoding="utf-8", errors="replace")
        for path in context.directory.glob("facts/*.json")
    )
    shown = msgspec.json.encode(tuple(items)).decode()
    return model.Run(
        id=context.plan.id,
        started=rfc3339(context.plan.started),
        ended=rfc3339(now()),
        command=clean(" ".join(("pytest", *map(str, config.invocation_params.args)))),
        selection=clean(_selection(config)),
        partial=partial,
        safety=context.settings.readiness.safety,
        workers=len(getattr(config.option, "tx", None) or []),
        lab=lab(context),
        redactions=count(shown) + sum(map(count, facts)),
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


def _packaged(controller: "Controller", why: str) -> Iterable[model.Item]:
    selected = set(controller.selected)
    for item in controller.items:
        result = controller.results.get(item.id)
        nodeid = place(item)
        if result is None:
            reason = _missing_reason(controller, nodeid, why) if item.id in selected else None
            result = ItemResult(
                id=item.id,
                outcome=Outcome.NOTCHECKED,
                reason=reason or NOT_SELECTED,
                nodeid=nodeid,
            )
        yield _item(item, result, controller.declared.get(item.id, {}))


def _own(controller: "Controller", why: str) -> Iterable[model.Item]:
    for id, sent in sorted(controller.own.items()):
        declared = sent.declared or {}
        item = CatalogueItem(
            id=id,
            title=declared["title"],
            section=OWN_SECTION,
            subsection=sent.module,
            phase=controller.context.settings.readiness.phase,
            severity=Severity(declared["severity"]),
            safety=Safety(declared["safety"]),
            basis="P",
            target="",
        )
        yield _item(item, _own_result(controller, sent, why), declared)


def _own_result(controller: "Controller", sent: Sent, why: str) -> ItemResult:
    known, lacking = controller.results.get(sent.id), controller.lacking(sent.id)
    if known is not None and not lacking:
        return known
    reason = NOT_SELECTED
    if sent.id in controller.own_selected:
        lost = {controller.lost[nodeid] for nodeid in lacking if nodeid in controller.lost}
        reason = "; ".join(sorted(lost)) or f"not run: {why}"
        if known is not None:
            reason = f"{reason}: {', '.join(lacking)}"
    unknown = ItemResult(id=sent.id, outcome=Outcome.NOTCHECKED, reason=reason, nodeid=sent.nodeid)
    return known.worst(unknown) if known is not None else unknown


def _item(item: CatalogueItem, result: ItemResult, declared: Mapping[str, str]) -> model.Item:
    return model.Item(
        id=item.id,
        title=item.title,
        section=item.section,
        subsection=item.subsection,
        phase=item.phase,
        severity=item.severity,
        safety=item.safety,
        basis=item.basis,
        outcome=result.outcome,
        reason=result.reason,
        advice=result.advice,
        cause=result.cause,
        waiver=None,
        findings=result.findings,
        evidence=result.evidence,
        remediation=declared.get("remediation"),
        reference=declared.get("reference"),
        nodeid=result.nodeid,
        duration=result.duration,
    )


def _missing_reason(controller: "Controller", nodeid: str, why: str) -> str:
    broken = next((name for name in controller.broken if nodeid.startswith(name)), None)
    if broken is not None:
        return f"not run: {broken} could not be collected"
    return controller.lost.get(nodeid) or f"not run: {why}"


def _why_missing(controller: "Controller", session: pytest.Session) -> str:
    if session.exitstatus == pytest.ExitCode.INTERRUPTED:
        return "the run was interrupted"
    if session.exitstatus in (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR):
        return "the run broke off"
    if session.shouldfail or session.shouldstop:
        return str(session.shouldfail or session.shouldstop)
    narrowed = _narrowed(session.config)
    return f"left out by {narrowed}" if narrowed else "it was taken out of the collection or lost"
