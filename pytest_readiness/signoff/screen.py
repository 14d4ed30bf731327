"""What a person reads before signing. Text of a report is never obeyed by the terminal.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from pytest_readiness.clock import begins, ends
from pytest_readiness.results import model
from pytest_readiness.signoff.verify import RoleState, Verification
from pytest_readiness.text import clean, flat, moment, plural, took

SOON = timedelta(days=7)  # a declaration that ends within it is shown


def lines(report: model.Report, seen: Verification, at: datetime) -> list[str]:
    """Return the lines. seen: the sign-off as it stands; at: the present moment."""
    found = (
        *_target(report, seen, at),
        *_verdict(report),
        *_relaxed(report),
        *_waivers(report),
        *_declarations(report, at),
        *_missing(report),
        *_signatures(seen),
        *_problems(seen),
    )
    return [clean(line) for line in found]


def _target(report: model.Report, seen: Verification, at: datetime) -> Iterator[str]:
    target = report.target
    yield (
        f"{flat(target.system)}, environment {flat(target.environment)}, phase {flat(target.phase)}"
    )
    for name, value in (
        ("release", target.release),
        ("commit", target.commit),
        ("image", target.image),
    ):
        yield f"  {name} {flat(value) if value else 'not stated'}"
    yield f"  report.json sha256 {seen.report_sha256}"
    yield f"  run ended {moment(flat(report.run.ended))}{_age(report, at)}"
    if report.run.lab is not None:
        faults = ", ".join(map(flat, report.run.lab)) or "none"
        yield f"  LAB: answers of the reference platform, faults: {faults}; no system of yours"
    if report.run.replay is not None:
        yield f"  REPLAY: judged again from the facts that run {flat(report.run.replay)} recorded"


def _age(report: model.Report, at: datetime) -> str:
    try:
        seconds = (at - begins(report.run.ended)).total_seconds()
    except ValueError:
        return ""
    if seconds < 0:
        return ", which is in the future"
    if seconds < 60:
        return ", less than a minute ago"
    days = int(seconds // 86400)
    return f", {plural(days, 'day')} ago" if days else f", {took(seconds)} ago"


def _verdict(report: model.Report) -> Iterator[str]:
    yield ""
    yield flat(report.verdict.name)
    yield from (f"  - {flat(reason)}" for reason in report.verdict.reasons)


def _relaxed(report: model.Report) -> Iterator[str]:
    if report.relaxed:
        yield ""
        yield "limits below the checklist"
    for one in report.relaxed or ():
        where = f"[{flat(one.section)}] {flat(one.key)}"
        yield f"  - {where}: {flat(one.value)}, the checklist has {flat(one.checklist)}"


def _waivers(report: model.Report) -> Iterator[str]:
    if report.waivers:
        yield ""
        yield "waivers"
    for waiver in report.waivers:
        finding = f", {flat(waiver.finding)}" if waiver.finding else ""
        state = "" if waiver.state is model.WaiverState.USED else f" ({waiver.state.value})"
        yield f"  - {flat(waiver.item)}{finding}{state}"
        yield (
            f"    until {flat(waiver.expires)}, by {flat(waiver.approver)}, "
            f"ticket {flat(waiver.ticket)}: {flat(waiver.reason)}"
        )
        yield f"    risk: {flat(waiver.risk)}"


def _declarations(report: model.Report, at: datetime) -> Iterator[str]:
    counting = [one for one in report.declarations if one.state is model.DeclarationState.COUNTS]
    found = [(one, says) for one in counting if (says := _ending(one, at))]
    if found:
        yield ""
        yield "declarations that end"
    for declared, says in found:
        yield f"  - {flat(declared.item)}, by {flat(declared.by)}: {says}"


def _ending(declared: model.Declared, at: datetime) -> str | None:
    if declared.expires is None:
        return None
    try:
        end = ends(declared.expires)
    except ValueError:
        return f"its end cannot be read: {flat(declared.expires)}"
    if end <= at:
        return f"has ended {flat(declared.expires)}"
    return f"ends {flat(declared.expires)}" if end <= at + SOON else None


def _missing(report: model.Report) -> Iterator[str]:
    if report.completeness.missing:
        yield ""
        yield f"no result: {', '.join(map(flat, report.completeness.missing))}"


def _signatures(seen: Verification) -> Iterator[str]:
    yield ""
    yield "sign-off"
    for role in seen.roles:
        yield f"  - {flat(role.role)}: {_role(role)}"
        if role.comment:
            yield f"    {flat(role.comment)}"


def _role(role: RoleState) -> str:
    signed = moment(role.signed_at) if role.signed_at else None
    facts = dict.fromkeys((role.state, role.decision, role.principal, signed, role.key))
    return ", ".join(flat(fact) for fact in facts if fact)


def _problems(seen: Verification) -> Iterator[str]:
    """Yield what refuses besides what is merely open."""
    found = [one for one in seen.refusals if one.cause.value != "open"]
    if found:
        yield ""
        yield "what stands in the way"
    for refusal in found:
        whose = f"{flat(refusal.role)}: " if refusal.role else ""
        yield f"  - {refusal.cause.value}: {whose}{flat(refusal.why)}"
