"""Whether a report is ready to be signed off, by itself: group 1 of docs/signoff.md.

PYTEST_DONT_REWRITE
"""

import json
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from pytest_readiness.catalogue.words import Severity
from pytest_readiness.clock import SKEW, begins, ends, rfc3339
from pytest_readiness.errors import ReadinessError
from pytest_readiness.results import model
from pytest_readiness.results.evidence import Outcome
from pytest_readiness.signoff import files
from pytest_readiness.signoff.policy import Policy
from pytest_readiness.signoff.refusals import Cause, Refusal, Refused
from pytest_readiness.signoff.statement import once
from pytest_readiness.verdict.judge import READY, READY_WITH_WAIVERS, named
from pytest_readiness.written.keys import DURATION


def read(run: Path) -> bytes:
    """Return the bytes of report.json. Raises ReadinessError."""
    path = run / model.FILES[0]
    try:
        return files.read(path, files.REPORT)
    except files.Unreadable as error:
        why = model.why_absent(path) or f"{error.why}; RUN is a directory that a run wrote"
        raise ReadinessError(f"{path}: cannot be read: {why}") from None


def decode(data: bytes) -> model.Report:
    """Return the report, in which all times that are judged can be read and no key stands twice.

    Raises Refused(TAMPERED_REPORT): a run writes no other.
    """
    try:
        json.loads(data.decode("utf-8"), object_pairs_hook=once)
        report = msgspec.json.decode(data, type=model.Report)
        if report.schema != model.SCHEMA:
            raise ValueError(f"its schema is {report.schema!r}, not {model.SCHEMA!r}")
        run = report.run
        for moment in (run.started, run.ended, *(shard.ended for shard in run.shards)):
            begins(moment)
        for _, expires in (*_used(report), *_counting(report)):
            ends(expires)
    except (ValueError, OverflowError, RecursionError) as error:  # msgspec's are ValueErrors
        raise Refused(
            Cause.TAMPERED_REPORT, f"report.json is not a report that a run wrote: {error}"
        ) from error
    return report


def outside(policy: Policy, run: Path) -> None:
    """Raise ReadinessError for a policy, or what it names, in the run directory.

    Who wrote the run wrote it, too. A link into the run is in it, and so is one out of it.
    """
    named = (policy.path, policy.allowed_signers, policy.revoked_keys, *policy.dsse_paths.values())
    for path in filter(None, named):
        places = path.resolve(), path.parent.resolve() / path.name
        if any(place.is_relative_to(run.resolve()) for place in places):
            raise ReadinessError(
                f"{path}: it lies in the run directory, which it is to judge: use what those who "
                "verify keep, --policy FILE"
            )


def refusals(report: model.Report, policy: Policy, at: datetime) -> Iterator[Refusal]:
    """Yield what keeps the report from being signed off at the moment, whoever signs it."""
    if why := _not_ready(report, policy):
        yield Refusal(cause=Cause.NOT_READY, why=why)
    if report.run.lab is not None and not policy.allow_lab:
        yield Refusal(
            cause=Cause.LAB,
            why="the answers are those of the lab, and the policy does not allow_lab",
        )
    if not policy.allow_replay and (why := _replay(report)):
        yield Refusal(cause=Cause.REPLAY, why=f"{why}, and the policy does not allow_replay")
    if why := _relaxed(report, policy):
        yield Refusal(cause=Cause.RELAXED, why=why)
    if why := age(report, policy.max_report_age, at, "max_report_age"):
        yield Refusal(cause=Cause.TOO_OLD, why=why)
    for cause, why in ended(report, at):
        yield Refusal(cause=cause, why=why)


def ended(report: model.Report, at: datetime) -> Iterator[tuple[Cause, str]]:
    """Yield what the verdict stands on and has ended at a moment: the cause, and in words."""
    for cause, what, dated in (
        (Cause.WAIVER_EXPIRED, "waiver", _used(report)),
        (Cause.DECLARATION_EXPIRED, "declaration", _counting(report)),
    ):
        for name, expires in dated:
            if ends(expires) <= at:
                yield cause, f"the {what} for {name} ended {expires}"


def _not_ready(report: model.Report, policy: Policy) -> str | None:
    name = report.verdict.name
    if name not in (READY, READY_WITH_WAIVERS):
        return f"the report says {name}: {'; '.join(report.verdict.reasons) or 'no reason given'}"
    said = contradictions(report)
    if unsigned := _unsigned(report, policy):
        said.append(f"declared without the signature that the policy asks for: {named(unsigned)}")
    return f"the report says {name}, but: {', '.join(said)}" if said else None


def contradictions(report: model.Report) -> list[str]:
    """Return what a report that says READY, or READY WITH WAIVERS, says against it."""
    said = [f"{what} {named(ids)}" for what, ids in _against(report) if ids]
    if report.completeness.reported < report.completeness.expected:
        owed = report.completeness
        said.append(f"{owed.reported} of {owed.expected} items gave a result")
    if not any(item.outcome is not Outcome.NOTAPPLICABLE for item in report.items):
        said.append("there are no items that apply")
    if report.run.partial:
        said.append("it is of a selection")
    if report.verdict.name == READY_WITH_WAIVERS and not _used(report):
        said.append("no waiver is used")
    if report.verdict.exit_code != 0:
        said.append(f"the run ended with exit code {report.verdict.exit_code}")
    return said


def _against(report: model.Report) -> Iterator[tuple[str, list[str]]]:
    for what, outcome in (("not asked:", Outcome.ERROR), ("not checked:", Outcome.NOTCHECKED)):
        yield what, [item.id for item in report.items if item.outcome is outcome]
    failing = [item for item in report.items if item.outcome is Outcome.FAIL]
    closing = (Severity.BLOCKER, Severity.MAJOR)
    yield (
        "failing without a waiver:",
        [item.id for item in failing if item.severity in closing and item.waiver is None],
    )
    yield "passing without evidence:", [item.id for item in report.items if item.is_unproven]
    yield "without a result:", list(report.completeness.missing)
    used = {_as_item_has_it(one) for one in report.waivers if one.state is model.WaiverState.USED}
    held = [item for item in report.items if item.waiver is not None]
    yield (
        "under a waiver that is not among the used ones:",
        [one.id for one in held if one.waiver not in used or one.waiver.item != one.id],
    )
    yield (
        "under waivers that do not cover all that is found:",
        [one.id for one in held if not _covered(one, used)],
    )
    if report.verdict.name == READY:
        yield "failing under a waiver:", [item.id for item in failing if item.waiver]


def _covered(item: model.Item, used: Collection[model.Waived]) -> bool:
    named = {one.finding for one in used if one.item == item.id}
    if None in named:
        return True
    return bool(item.findings) and all(found.is_among(named) for found in item.findings)


def _unsigned(report: model.Report, policy: Policy) -> list[str]:
    asks = policy.require_signed_declarations
    blockers = {item.id for item in report.items if item.severity is Severity.BLOCKER}
    return [
        one.item
        for one in report.declarations
        if one.state is model.DeclarationState.COUNTS
        and not one.signed
        and (asks == "all" or (asks == "blocker" and one.item in blockers))
    ]


def _as_item_has_it(listed: model.ListedWaiver) -> model.Waived:
    fields = model.Waived.__struct_fields__
    return model.Waived(**{name: getattr(listed, name) for name in fields})


def _replay(report: model.Report) -> str | None:
    if report.run.replay is not None:
        return f"it is a replay of run {report.run.replay}: judged again from recorded facts"
    if report.facts is None:
        return "the report does not say whether it is a replay, and of which facts"
    return None


def _relaxed(report: model.Report, policy: Policy) -> str | None:
    allowed = policy.allow_relaxed
    if allowed is None:
        return None
    if report.relaxed is None:
        return (
            "the report does not say which limits are below the checklist: a version made it "
            "that did not"
        )
    found = [f"[{one.section}] {one.key}" for one in report.relaxed if one.key not in allowed]
    return f"below the checklist, and not in allow_relaxed: {named(found)}" if found else None


def age(report: model.Report, max_age: timedelta, at: datetime, limit: str) -> str | None:
    """Return why a report is too old at a moment, or not of its past. limit: its name."""
    ended = begins(report.run.ended)
    if at - ended > max_age:
        return (
            f"the run ended {report.run.ended}, longer before {rfc3339(at)} than the "
            f"{DURATION.show(max_age)} of {limit}"
        )
    if ended - at > SKEW:
        return f"the run ended {report.run.ended}, after {rfc3339(at)}, as of which it is verified"
    return None


def _used(report: model.Report) -> list[tuple[str, str]]:
    used = [one for one in report.waivers if one.state is model.WaiverState.USED]
    return [(f"{one.item} {one.finding}" if one.finding else one.item, one.expires) for one in used]


def _counting(report: model.Report) -> list[tuple[str, str]]:
    return [
        (one.item, one.expires)
        for one in report.declarations
        if one.state is model.DeclarationState.COUNTS and one.expires is not None
    ]
