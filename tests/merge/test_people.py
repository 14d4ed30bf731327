"""What people wrote, in several runs that are joined: nothing covers more than in its run."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from pytest_readiness.catalogue.words import Severity
from pytest_readiness.results.evidence import Outcome
from pytest_readiness.results.model import DeclarationState, Declared, ListedWaiver, WaiverState
from tests.merge.merging import (
    ERROR,
    FAIL,
    IDS,
    NOTCHECKED,
    PRODUCTION,
    STAGING,
    merged,
    of,
    refused,
    run,
    waived,
)
from tests.report import sample


def _listed(state: WaiverState, **changes: Any) -> ListedWaiver:
    waiver = msgspec.structs.replace(sample.WAIVER, item="k8s-nodes", **changes)
    return sample.listed(waiver, state)


def test_one_waiver_is_listed_once_and_is_used_when_a_run_used_it() -> None:
    first = run(
        "a",
        *IDS[1:],
        waivers=(_listed(WaiverState.UNUSED), _listed(WaiverState.EXPIRED, ticket="X")),
    )
    second = run("b", waived("k8s-nodes"), waivers=(_listed(WaiverState.USED),))
    for report in (merged(first, second), merged(second, first)):
        states = {one.ticket: one.state for one in report.waivers}
        assert states == {"OPS-812": WaiverState.USED, "X": WaiverState.EXPIRED}
    old = run("b", waived("k8s-nodes"), waivers=(_listed(WaiverState.USED),), hours=25)
    assert merged(first, old).waivers[0].state is WaiverState.UNUSED


def test_waivers_elsewhere_are_listed_for_what_is_judged_there() -> None:
    load = msgspec.structs.replace(_listed(WaiverState.USED), item="load-throughput")
    staging = run(
        "s",
        waived("load-throughput"),
        environment="staging",
        waivers=(load, _listed(WaiverState.USED)),
    )
    report = merged(run("a", *IDS[:3]), staging, main=STAGING)
    assert report.verdict.name == "READY WITH WAIVERS"
    assert report.waivers == (load,)


def _declared(state: DeclarationState, *, signed: bool = True) -> Declared:
    return msgspec.structs.replace(
        sample.DECLARATIONS[0], item="k8s-nodes", signed=signed, state=state
    )


def test_a_declaration_that_a_run_refused_is_refused() -> None:
    states = (DeclarationState.UNUSED, DeclarationState.COUNTS, DeclarationState.REFUSED)
    runs = [
        run(id, *IDS, declarations=(_declared(state, signed=id != "b"),))
        for id, state in zip("abc", states, strict=True)
    ]
    assert merged(*runs).declarations == (_declared(DeclarationState.REFUSED),)
    assert merged(*runs[:2]).declarations == (_declared(DeclarationState.COUNTS, signed=False),)


@pytest.mark.parametrize("unanswered", [ERROR, NOTCHECKED])
@pytest.mark.parametrize("weight", ["waived", "minor"])
def test_a_fail_that_leaves_the_gate_open_does_not_hide_what_was_not_answered(
    unanswered: Outcome, weight: str
) -> None:
    severity = Severity.MINOR if weight == "minor" else Severity.BLOCKER
    fail = waived("k8s-nodes") if weight == "waived" else sample.item("k8s-nodes", outcome=FAIL)
    first, second = (
        run(id, *IDS[1:], msgspec.structs.replace(item, severity=severity))
        for id, item in (("a", fail), ("b", sample.item("k8s-nodes", outcome=unanswered)))
    )
    assert merged(first).verdict.exit_code == 0
    for report in (merged(first, second), merged(second, first)):
        assert (report.verdict.name, report.verdict.exit_code) == ("INCOMPLETE", 6)
        assert of(report, "k8s-nodes").outcome is FAIL
        assert report.completeness.missing == ("k8s-nodes",)


def test_a_waiver_that_has_ended_since_its_run_covers_nothing() -> None:
    item = waived("k8s-nodes")
    listed = sample.listed(msgspec.structs.replace(sample.WAIVER, item="k8s-nodes"))
    first = run("a", *IDS[1:], item, waivers=(listed,))
    week = msgspec.structs.replace(PRODUCTION, max_age=timedelta(days=7))
    last = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
    assert merged(first, main=week, moment=last).verdict.name == "READY WITH WAIVERS"
    report = merged(first, main=week, moment=last + timedelta(seconds=1))
    assert (report.verdict.name, report.verdict.exit_code) == ("NOT READY", 1)
    said = "waiver of sec@example.org: expired on 2026-11-30: the fail counts"
    assert of(report, "k8s-nodes").reason == said
    assert f"k8s-nodes: {said}" in report.verdict.reasons
    assert report.waivers[0].state is WaiverState.EXPIRED


def test_a_declaration_that_has_ended_since_its_run_is_none() -> None:
    word = msgspec.structs.replace(_declared(DeclarationState.COUNTS), expires="2026-11-30")
    first = run("a", *IDS, declarations=(word,))
    week = msgspec.structs.replace(PRODUCTION, max_age=timedelta(days=7))
    last = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
    assert merged(first, main=week, moment=last).verdict.name == "READY"
    report = merged(first, main=week, moment=last + timedelta(seconds=1))
    assert report.verdict.name == "INCOMPLETE"
    said = "declared, but expired on 2026-11-30"
    assert (of(report, "k8s-nodes").outcome, of(report, "k8s-nodes").reason) == (NOTCHECKED, said)
    assert [(one.state, one.note) for one in report.declarations] == [
        (DeclarationState.REFUSED, said)
    ]


@pytest.mark.parametrize("time", ["soon", "9999-12-31", "2026-11-24T10:00"])
def test_refuses_what_people_wrote_until_a_time_that_is_none(time: str) -> None:
    waiver = msgspec.structs.replace(sample.WAIVER, item="k8s-nodes", expires=time)
    item = msgspec.structs.replace(waived("k8s-nodes"), waiver=waiver)
    assert f"{time!r} is no time" in refused(run("a", *IDS[1:], item))
    assert f"{time!r} is no time" in refused(run("a", *IDS, waivers=(sample.listed(waiver),)))
    word = msgspec.structs.replace(_declared(DeclarationState.COUNTS), expires=time)
    assert f"{time!r} is no time" in refused(run("a", *IDS, declarations=(word,)))
