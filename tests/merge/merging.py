"""Runs of parts of a checklist, and what a merge of them gives."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from pytest_readiness.errors import ReadinessError, Why
from pytest_readiness.merge.join import Given, Main, merge
from pytest_readiness.results.evidence import Finding, Outcome
from pytest_readiness.results.model import Item, Report, Verdict
from pytest_readiness.verdict.gathered import NOT_SELECTED, OWN_SECTION
from pytest_readiness.verdict.judge import completeness, judge
from tests.report import sample

IDS = ("k8s-nodes", "k8s-version", "ch-disk", "load-throughput")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PRODUCTION = Main(environment="production", max_age=timedelta(hours=24), elsewhere={}, ini=None)
STAGING = msgspec.structs.replace(PRODUCTION, elsewhere={"load-throughput": "staging"})
PLACEHOLDER = "judged by a run of staging: `readiness merge`"
UNASKED: dict[str, Any] = {
    "outcome": Outcome.NOTCHECKED,
    "why": Why.NOT_SELECTED,
    "reason": NOT_SELECTED,
}
PASS, FAIL, ERROR = Outcome.PASS, Outcome.FAIL, Outcome.ERROR
NOTCHECKED, NOTAPPLICABLE = Outcome.NOTCHECKED, Outcome.NOTAPPLICABLE


def waived(id: str) -> Item:
    waiver = msgspec.structs.replace(sample.WAIVER, item=id)
    return sample.item(id, outcome=FAIL, waiver=waiver, findings=(Finding("a", "is small"),))


def own(id: str, outcome: Outcome = PASS, **changes: Any) -> Item:
    return sample.item(id, section=OWN_SECTION, subsection="shop", outcome=outcome, **changes)


def placeholder() -> Item:
    return sample.item("load-throughput", outcome=NOTCHECKED, why=Why.ELSEWHERE, reason=PLACEHOLDER)


def run(
    id: str,
    *said: Item | str,
    environment: str = "production",
    hours: float = 1,
    values: dict[str, dict[str, str]] | None = None,
    verdict: Verdict | None = None,
    run: dict[str, Any] | None = None,
    target: dict[str, Any] | None = None,
    **changes: Any,
) -> Given:
    """Return a run that gave these results (an id: it passes), and was asked for nothing else."""
    items = [_proven(sample.item(one) if isinstance(one, str) else one) for one in said]
    known = {item.id: item for item in items}
    unasked = [sample.item(one, **UNASKED) for one in IDS]
    whole = (
        *(known.pop(item.id, item) for item in unasked),
        *known.values(),
    )
    asked = [item.id for item in items]
    made = sample.report(whole)
    return Given(
        path=id,
        sha256=sample.digest(id),
        report=msgspec.structs.replace(
            made,
            run=msgspec.structs.replace(
                made.run,
                id=id,
                started=(NOW - timedelta(hours=hours, minutes=1)).isoformat(),
                ended=(NOW - timedelta(hours=hours)).isoformat(),
                **{"lab": None, "selection": f"-m {id}", **(run or {})},
            ),
            target=msgspec.structs.replace(
                made.target, environment=environment, identity={}, **(target or {})
            ),
            settings=msgspec.structs.replace(made.settings, values=values or {}),
            completeness=completeness(whole, asked),
            verdict=verdict or judge(whole, selected=asked, missing=(), narrowed=None),
            **changes,
        ),
    )


def _proven(item: Item) -> Item:
    if item.outcome is not PASS or item.evidence:
        return item
    return msgspec.structs.replace(item, evidence=(sample.proof(),))


def merged(*runs: Given, main: Main = PRODUCTION, moment: datetime = NOW, id: str = "m") -> Report:
    return merge(runs, main, id=id, command="readiness merge", moment=moment)


def again(report: Report) -> Given:
    """Return a merge as a run to be merged."""
    return Given(report=report, sha256=sample.digest("merge"), path=report.run.id)


def refused(*runs: Given, main: Main = PRODUCTION) -> str:
    with pytest.raises(ReadinessError) as error:
        merged(*runs, main=main)
    return str(error.value)


def of(report: Report, id: str) -> Item:
    return next(item for item in report.items if item.id == id)


KUBERNETES = run("a", "k8s-nodes", "k8s-version")
REST = run("b", "ch-disk", "load-throughput", hours=2)
