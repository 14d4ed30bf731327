"""Whether a report is ready to be signed off, by itself: group 1 of docs/signoff.md.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import msgspec

from pytest_readiness.clock import begins, ends, rfc3339
from pytest_readiness.report import model
from pytest_readiness.results import Outcome, Severity
from pytest_readiness.signoff.policy import Policy
from pytest_readiness.signoff.refusals import Cause, Refusal, Refused
from pytest_readiness.verdict import NAMED, READY, READY_WITH_WAIVERS

SKEW = timedelta(minutes=5)  # by which clocks may differ


def decode(data: bytes) -> model.Report:
    """Return the report, in which all times that are judged can be read.

    Raises Refused(TAMPERED_REPORT): a run writes no other.
    """
    try:
        report = msgspec.json.decode(data, type=model.Report)
        if report.schema != model.SCHEMA:
            raise ValueError(f"its schema is {report.schema!r}, not {model.SCHEMA!r}")
        begins(report.run.ended)
        for _, expires in (*_used(report), *_counting(report)):
            ends(expires)
    except (ValueError, OverflowError, RecursionError) as error:  # msgspec's are ValueErrors
        raise Refused(
            Cause.TAMPERED_REPORT, f"report.json is not a report that a run wrote: {error}"
        ) from error
    return report


def refusals(report: model.Report, policy: Policy, at: datetime) -> Iterator[Refusal]:
    """Yield what keeps the report from being signed off at the moment, whoever signs it."""
    if why := _not_ready(report):
        yield Refusal(cause=Cause.NOT_READY, why=why)
    if report.run.lab is not None and not policy.allow_lab:
        yield Refusal(
            cause=Cause.LAB,
            why="the answers are those of the lab, and the policy does not allow_lab",
        )
    if why := _age(report, policy, at):
        yield Refusal(cause=Cause.TOO_OLD, why=why)
    for cause, what, dated in (
        (Cause.WAIVER_EXPIRED, "waiver", _used(report)),
        (Cause.DECLARATION_EXPIRED, "declaration", _counting(report)),
    ):
        for name, expires in dated:
            if ends(expires) <= at:
                yield Refusal(cause=cause, why=f"the {what} for {name} ended {expires}")


def _not_ready(report: model.Report) -> str | None:
    name = report.verdict.name
    if name not in (READY, READY_WITH_WAIVERS):
        return f"the report says {name}: {'; '.join(report.verdict.reasons) or 'no reason given'}"
    said = [f"{what} {_named(ids)}" for what, ids in _against(report) if ids]
    if not report.items:
        said.append("there are no items")
    return f"the report says {name}, and its items do not: {', '.join(said)}" if said else None


def _against(report: model.Report) -> Iterator[tuple[str, list[str]]]:
    for what, outcome in (("not asked:", Outcome.ERROR), ("not checked:", Outcome.NOTCHECKED)):
        yield what, [item.id for item in report.items if item.outcome is outcome]
    failing = [item for item in report.items if item.outcome is Outcome.FAIL]
    closing = (Severity.BLOCKER, Severity.MAJOR)
    yield (
        "failing without a waiver:",
        [item.id for item in failing if item.severity in closing and item.waiver is None],
    )
    yield "without a result:", list(report.completeness.missing)
    if report.verdict.name == READY:
        yield "failing under a waiver:", [item.id for item in failing if item.waiver]


def _age(report: model.Report, policy: Policy, at: datetime) -> str | None:
    ended = begins(report.run.ended)
    if at - ended > policy.max_report_age:
        return (
            f"the run ended {report.run.ended}, longer before {rfc3339(at)} than the "
            f"{policy.max_report_age} of max_report_age"
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


def _named(ids: Iterable[str]) -> str:
    names = list(ids)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
