"""Several runs, one report: what counts, and that nothing gets better."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_readiness.catalogue.words import Severity
from pytest_readiness.errors import Why
from pytest_readiness.merge.join import NO_RUN, Given, fact_folders
from pytest_readiness.results import model
from pytest_readiness.results.evidence import Finding, Outcome
from pytest_readiness.results.model import Report, Shard, Verdict, WaiverState
from pytest_readiness.verdict.judge import completeness
from tests.merge.merging import (
    ERROR,
    FAIL,
    IDS,
    KUBERNETES,
    NOTAPPLICABLE,
    NOTCHECKED,
    NOW,
    PASS,
    PLACEHOLDER,
    PRODUCTION,
    REST,
    STAGING,
    UNASKED,
    again,
    merged,
    of,
    own,
    placeholder,
    refused,
    run,
    waived,
)
from tests.properties import bounded
from tests.report import sample


def test_parts_that_pass_and_cover_all_are_ready() -> None:
    assert KUBERNETES.report.verdict.name == REST.report.verdict.name == "PARTIAL"
    report = merged(KUBERNETES, REST)
    assert (report.verdict.name, report.verdict.exit_code) == ("READY", 0)
    assert [item.id for item in report.items] == list(IDS)
    assert report.completeness.missing == ()
    assert not report.run.partial


def test_what_no_run_was_asked_for_is_not_checked() -> None:
    report = merged(KUBERNETES, run("c", "ch-disk"))
    assert (report.verdict.name, report.verdict.exit_code) == ("INCOMPLETE", 6)
    assert (of(report, "load-throughput").outcome, of(report, "load-throughput").reason) == (
        NOTCHECKED,
        NO_RUN,
    )
    assert report.completeness.missing == ("load-throughput",)


def test_the_run_says_what_it_was_made_of() -> None:
    report = merged(REST, KUBERNETES)
    assert report.run.shards == (
        Shard(
            id="b",
            environment="production",
            ended=REST.report.run.ended,
            sha256=REST.sha256,
            selection="-m b",
        ),
        Shard(
            id="a",
            environment="production",
            ended=KUBERNETES.report.run.ended,
            sha256=KUBERNETES.sha256,
            selection="-m a",
        ),
    )
    # The age of a report is that of its oldest evidence.
    assert (report.run.started, report.run.ended) == (
        REST.report.run.started,
        REST.report.run.ended,
    )
    assert report.run.selection == "-m b; -m a"
    assert (report.run.workers, report.run.redactions) == (0, 6)


@pytest.mark.parametrize(
    ("one", "other", "worst"),
    [
        (PASS, FAIL, FAIL),
        (ERROR, FAIL, FAIL),
        (ERROR, NOTCHECKED, ERROR),
        (PASS, NOTCHECKED, NOTCHECKED),
        (PASS, NOTAPPLICABLE, PASS),
    ],
)
def test_the_worst_of_two_results_stands(one: Outcome, other: Outcome, worst: Outcome) -> None:
    first = run("a", *IDS[1:], sample.item("k8s-nodes", outcome=one))
    second = run("b", sample.item("k8s-nodes", outcome=other))
    assert of(merged(first, second), "k8s-nodes").outcome is worst
    assert of(merged(second, first), "k8s-nodes").outcome is worst


def test_a_fail_under_a_waiver_does_not_hide_one_without() -> None:
    bare = sample.item("k8s-nodes", outcome=FAIL, findings=(Finding("b", "is small"),))
    listed = sample.listed(msgspec.structs.replace(sample.WAIVER, item="k8s-nodes"))
    first = run("a", *IDS[1:], waived("k8s-nodes"), waivers=(listed,))
    alone = merged(first)
    assert (alone.verdict.name, alone.waivers) == ("READY WITH WAIVERS", (listed,))
    report = merged(first, run("b", bare, hours=2))
    assert report.verdict.name == "NOT READY"
    assert of(report, "k8s-nodes").waiver is None
    assert report.waivers[0].state is WaiverState.UNCOVERED


def test_facts_and_evidence_point_into_the_folder_of_their_run() -> None:
    report = merged(KUBERNETES, REST)
    facts = [record.fact for item in report.items for record in item.evidence]
    assert facts[:1] + facts[-1:] == [f"facts/{id}/kubernetes-nodes.json" for id in "ab"]
    assert list(fact_folders(KUBERNETES.report)) == [("facts/", "facts/a")]
    assert list(fact_folders(report)) == [("facts/b", "facts/b"), ("facts/a", "facts/a")]


# Environments


def test_a_run_elsewhere_judges_what_the_main_ini_sends_there() -> None:
    main = run("a", *IDS[:3], placeholder())
    proof = sample.proof()
    load = sample.item("load-throughput", evidence=(proof,))
    bad = sample.item("k8s-nodes", outcome=FAIL)
    staging = run("s", bad, load, environment="staging")
    assert staging.report.verdict.exit_code == 1
    report = merged(main, staging, main=STAGING)
    assert (report.verdict.name, report.verdict.exit_code) == ("READY", 0)
    found = of(report, "load-throughput")
    assert (found.outcome, found.environment) == (PASS, "staging")
    assert found.evidence[0].source == f"staging: {proof.source}"
    assert found.evidence[0].fact == "facts/s/kubernetes-nodes.json"
    assert of(report, "k8s-nodes").environment is None


def test_an_item_elsewhere_without_its_run_stays_not_checked() -> None:
    report = merged(run("a", *IDS[:3], placeholder()), main=STAGING)
    assert (report.verdict.name, of(report, "load-throughput").reason) == (
        "INCOMPLETE",
        PLACEHOLDER,
    )


def test_a_fail_here_is_not_replaced_by_a_pass_elsewhere() -> None:
    here = run("a", *IDS[:3], sample.item("load-throughput", outcome=FAIL))
    staging = run("s", "load-throughput", environment="staging")
    assert merged(here, staging, main=STAGING).verdict.name == "NOT READY"


def test_refuses_a_run_of_an_environment_nobody_asked_for() -> None:
    text = refused(KUBERNETES, run("s", "load-throughput", environment="staging"))
    assert text == (
        "s (run s) is of staging: the main ini is for production, and its [elsewhere] sends no "
        "item there"
    )


def test_refuses_when_no_run_is_of_the_main_environment() -> None:
    text = refused(run("s", *IDS, environment="staging"), main=STAGING)
    assert "no run is of production" in text


def test_a_merge_of_elsewhere_is_refused_where_the_ini_does_not_ask_any_more() -> None:
    staging = run("s", "load-throughput", environment="staging")
    first = again(merged(run("a", *IDS[:3]), staging, main=STAGING))
    assert "load-throughput is judged by a run of staging" in refused(first)


# Age


def test_what_is_too_old_is_not_checked() -> None:
    old = run("b", *IDS[2:], hours=25)
    report = merged(KUBERNETES, old)
    assert (report.verdict.name, report.verdict.exit_code) == ("INCOMPLETE", 6)
    found = of(report, "ch-disk")
    assert (found.outcome, found.reason, found.evidence) == (
        NOTCHECKED,
        "the run b of 2026-11-23 is older than 24h",
        (),
    )
    longer = msgspec.structs.replace(PRODUCTION, max_age=timedelta(hours=25))
    assert merged(KUBERNETES, old, main=longer).verdict.name == "READY"


def test_a_run_elsewhere_may_be_too_old_as_well() -> None:
    staging = run("s", "load-throughput", environment="staging", hours=25)
    report = merged(run("a", *IDS[:3], placeholder()), staging, main=STAGING)
    assert "the run s of" in (of(report, "load-throughput").reason or "")
    assert of(report, "load-throughput").environment == "staging"


def test_a_merge_is_as_old_as_its_oldest_shard() -> None:
    first = again(merged(KUBERNETES, REST))
    report = merged(first, moment=NOW + timedelta(hours=22, minutes=30))
    assert of(report, "k8s-nodes").reason == "the run b of 2026-11-24 is older than 24h"


@pytest.mark.parametrize(("code", "ends"), [(2, 6), (3, 6), (4, 6), (1, 1)])
def test_a_run_that_broke_off_is_not_made_good(code: int, ends: int) -> None:
    broken = Verdict(name="PARTIAL", exit_code=code, reasons=("the run was interrupted",))
    report = merged(KUBERNETES, run("b", *IDS[2:], verdict=broken))
    assert (report.verdict.name, report.verdict.exit_code) == ("INCOMPLETE", ends)
    said = f"run b ended with exit code {code}: the run was interrupted"
    assert report.verdict.reasons[0] == said
    later = merged(again(report), id="n")
    assert later.verdict == report.verdict


def test_what_another_run_lacks_does_not_hide_how_one_ended() -> None:
    lost = Verdict(name="PARTIAL", exit_code=6, reasons=("no result: test_shop.py::test_one",))
    first = again(merged(run("b", *IDS[2:], verdict=lost)))
    report = merged(first, KUBERNETES, id="n")
    assert (report.verdict.name, report.verdict.exit_code) == ("INCOMPLETE", 6)
    assert "test_shop.py::test_one" in report.verdict.reasons[0]


def test_an_interrupted_run_elsewhere_is_not_made_good() -> None:
    broken = Verdict(name="PARTIAL", exit_code=2, reasons=("the run was interrupted",))
    staging = run("s", "load-throughput", environment="staging", verdict=broken)
    report = merged(run("a", *IDS[:3]), staging, main=STAGING)
    assert (report.verdict.name, report.verdict.exit_code) == ("INCOMPLETE", 6)
    there = msgspec.structs.replace(PRODUCTION, environment="staging")
    first = again(merged(staging, main=there, id="n"))
    report = merged(run("a", *IDS[:3]), first, main=STAGING)
    assert (report.verdict.name, report.verdict.exit_code) == ("INCOMPLETE", 6)


def test_an_item_that_its_run_lost_has_no_result() -> None:
    lost = sample.item("ch-disk", outcome=NOTCHECKED, reason="worker gw0 was lost")
    made = run("b", lost, "load-throughput")
    made = msgspec.structs.replace(
        made,
        report=msgspec.structs.replace(
            made.report, completeness=completeness(made.report.items, ["load-throughput"])
        ),
    )
    report = merged(KUBERNETES, made)
    assert "no result: ch-disk" in report.verdict.reasons
    assert report.completeness.missing == ("ch-disk",)


# The project's own checks, waivers, declarations


def test_own_checks_are_joined_by_id() -> None:
    first = run("a", *IDS, own("shop-two"), own("shop-one"))
    report = merged(first, run("b", own("shop-one", FAIL)))
    assert [item.id for item in report.items[len(IDS) :]] == ["shop-one", "shop-two"]
    assert of(report, "shop-one").outcome is FAIL
    unasked = run("b", own("shop-three", **UNASKED))
    report = merged(first, unasked)
    assert (report.verdict.name, of(report, "shop-three").reason) == ("INCOMPLETE", NO_RUN)
    other = run("b", own("shop-one", severity=Severity.MINOR))
    assert refused(first, other) == "shop-one is a blocker in a (run a), a minor in b (run b)"
    # Own checks of another environment are nobody's here.
    staging = run("s", "load-throughput", own("shop-four", FAIL), environment="staging")
    assert merged(run("a", *IDS[:3]), staging, main=STAGING).verdict.name == "READY"


def test_runs_of_the_lab_make_a_run_of_the_lab() -> None:
    report = merged(
        run("a", *IDS[:2], run={"lab": ("x", "b")}), run("b", *IDS[2:], run={"lab": ()})
    )
    assert report.run.lab == ("b", "x")
    assert merged(run("a", *IDS, run={"lab": ()})).run.lab == ()


# Properties

_SAID = st.lists(
    st.tuples(
        st.fixed_dictionaries(
            {}, optional={id: st.sampled_from([*Outcome, "waived"]) for id in IDS}
        ),
        st.sampled_from([1.0, 2.0, 25.0]),
        st.sampled_from(["production", "production", "staging"]),
    ),
    min_size=1,
    max_size=4,
)


def _made(said: Sequence[tuple[dict[str, Any], float, str]]) -> list[Given]:
    runs = [run("a0", environment="production")]
    for number, (results, hours, environment) in enumerate(said):
        items = [
            waived(id) if result == "waived" else sample.item(id, outcome=result)
            for id, result in results.items()
        ]
        runs.append(run(f"a{number + 1}", *items, hours=hours, environment=environment))
    return runs


def _core(report: Report) -> object:
    return msgspec.structs.replace(
        report, run=msgspec.structs.replace(report.run, id="", command="")
    )


@bounded(150)
@given(_SAID, st.randoms(use_true_random=False))
def test_the_order_of_runs_changes_nothing(said: Any, random: Any) -> None:
    runs = _made(said)
    shuffled = random.sample(runs, len(runs))
    assert _core(merged(*runs, main=STAGING)) == _core(merged(*shuffled, main=STAGING))


@bounded(150)
@given(_SAID)
def test_no_item_is_better_than_in_the_worst_run_that_counts(said: Any) -> None:
    runs = _made(said)
    report = merged(*runs, main=STAGING)
    for one in runs:
        for item in one.report.items:
            if item.why == Why.NOT_SELECTED or one.environment != "production":
                continue
            found = of(report, item.id).outcome.badness
            if one.ended < NOW - timedelta(hours=24):
                assert found >= NOTCHECKED.badness
            else:
                assert found >= item.outcome.badness
            if item.outcome in (ERROR, NOTCHECKED):
                assert report.verdict.exit_code != 0
    ready = report.verdict.exit_code == 0
    assert ready == (
        all(item.outcome in (PASS, NOTAPPLICABLE) or item.waiver for item in report.items)
        and any(item.outcome is not NOTAPPLICABLE for item in report.items)
        and not report.completeness.missing
    )


@bounded(150)
@given(_SAID, st.integers(0, 4))
def test_merging_in_two_steps_gives_the_same(said: Any, cut: int) -> None:
    runs = [one for one in _made(said) if one.ended > NOW - timedelta(hours=24)]
    cut = min(cut, len(runs) - 1)
    flat = merged(*runs, main=STAGING)
    first = again(merged(*runs[: cut + 1], main=STAGING, id="n"))
    nested = merged(first, *runs[cut + 1 :], main=STAGING)
    assert [(one.id, one.outcome, one.environment) for one in nested.items] == [
        (one.id, one.outcome, one.environment) for one in flat.items
    ]
    assert (nested.verdict.name, nested.run.shards) == (flat.verdict.name, flat.run.shards)
    assert nested.completeness == flat.completeness


def test_what_the_runs_have_sent_is_added_up() -> None:
    def sending(id: str, *counts: int, **more: Any) -> Given:
        statement = model.traffic({("k", "GET", 200): counts[0], ("k", "GET", None): counts[1]})
        return run(id, *IDS[:3], traffic=statement, **more)

    here, staging = sending("a", 3, 1), sending("s", 4, 2, environment="staging")
    report = merged(here, staging, main=STAGING)
    assert report.traffic == model.traffic({("k", "GET", 200): 7, ("k", "GET", None): 3})
    assert merged(again(report), main=STAGING, id="n").traffic == report.traffic
    assert merged(run("a", *IDS[:3])).traffic == ()
