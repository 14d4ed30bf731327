"""From results to verdict (design.md section 5), without pytest."""

from typing import Any

import msgspec
import pytest

from pytest_readiness.catalogue.words import Severity
from pytest_readiness.results.evidence import Outcome
from pytest_readiness.results.model import Item
from pytest_readiness.verdict.judge import (
    NAMED,
    Code,
    broken_off,
    completeness,
    failed_beside,
    judge,
)
from tests.report import sample

PASS, FAIL, ERROR = Outcome.PASS, Outcome.FAIL, Outcome.ERROR
NOTCHECKED, NOTAPPLICABLE = Outcome.NOTCHECKED, Outcome.NOTAPPLICABLE
BLOCKER, MAJOR, MINOR = Severity.BLOCKER, Severity.MAJOR, Severity.MINOR


def item(id: str, outcome: Outcome, severity: Severity = BLOCKER, **changed: Any) -> Item:
    return sample.item(id, outcome=outcome, severity=severity, **changed)


def waived(id: str, outcome: Outcome = FAIL, severity: Severity = BLOCKER) -> Item:
    return item(id, outcome, severity, waiver=msgspec.structs.replace(sample.WAIVER, item=id))


OK, NA = item("ok", PASS), item("na", NOTAPPLICABLE)
BAD, BAD_MAJOR, BAD_MINOR = item("bad", FAIL), item("bad", FAIL, MAJOR), item("bad", FAIL, MINOR)
UNASKED, UNKNOWN = item("unasked", NOTCHECKED, reason="no [shop]"), item("unknown", ERROR)


def test_a_phase_in_which_nothing_applies_is_incomplete() -> None:
    whole = judge([NA], selected={NA.id}, missing=[], narrowed=None)
    assert (whole.name, whole.exit_code) == ("INCOMPLETE", 6)
    assert whole.reasons == ("no item was checked: none of them applies",)
    part = judge([NA, OK], selected={NA.id}, missing=[], narrowed=None)
    assert (part.name, part.exit_code) == ("PARTIAL", 0)


@pytest.mark.parametrize(
    ("items", "name", "code"),
    [
        ([OK], "READY", 0),
        ([OK, NA], "READY", 0),
        ([OK, BAD], "NOT READY", 1),
        ([OK, BAD_MAJOR], "NOT READY", 1),
        ([OK, BAD_MINOR], "READY", 0),
        ([OK, waived("bad")], "READY WITH WAIVERS", 0),
        ([OK, waived("bad", severity=MAJOR)], "READY WITH WAIVERS", 0),
        ([OK, waived("bad", severity=MINOR)], "READY WITH WAIVERS", 0),
        ([OK, waived("ok2", PASS)], "READY", 0),
        ([OK, waived("unknown", ERROR)], "INCOMPLETE", 6),
        ([OK, waived("unasked", NOTCHECKED)], "INCOMPLETE", 6),
        ([OK, UNASKED], "INCOMPLETE", 6),
        ([OK, UNKNOWN], "INCOMPLETE", 6),
        ([OK, item("small", NOTCHECKED, MINOR)], "INCOMPLETE", 6),
        ([OK, item("small", ERROR, MINOR)], "INCOMPLETE", 6),
        ([OK, UNASKED, BAD_MINOR], "INCOMPLETE", 6),
        ([OK, UNKNOWN, waived("bad")], "INCOMPLETE", 6),
        ([OK, UNKNOWN, UNASKED, BAD], "NOT READY", 1),
        ([BAD, waived("bad2")], "NOT READY", 1),
        ([BAD_MAJOR, BAD_MINOR, UNKNOWN], "NOT READY", 1),
    ],
)
def test_the_verdict_of_a_whole_phase(items: list[Item], name: str, code: int) -> None:
    whole = judge(items, selected={it.id for it in items}, missing=[], narrowed=None)
    assert (whole.name, whole.exit_code) == (name, code)
    assert whole.reasons
    # The same items beside one that was not selected: the code of the items, and never READY.
    more = [*items, item("other", NOTCHECKED, why="not-selected", reason="not selected")]
    part = judge(more, selected={it.id for it in items}, missing=[], narrowed=None)
    assert (part.name, part.exit_code) == ("PARTIAL", code)
    assert f"a selection: {len(items)} of {len(more)} items of the phase" in part.reasons


def test_an_item_that_is_not_selected_does_not_decide() -> None:
    verdict = judge([OK, BAD, UNKNOWN], selected={"ok"}, missing=[], narrowed=None)
    assert (verdict.name, verdict.exit_code) == ("PARTIAL", 0)
    assert verdict.reasons == ("a selection: 1 of 3 items of the phase",)


@pytest.mark.parametrize("items", [[OK, BAD], []])
def test_nothing_selected_is_not_ready_in_any_way(items: list[Item]) -> None:
    verdict = judge(items, selected=set(), missing=[], narrowed=None)
    assert (verdict.name, verdict.exit_code) == ("PARTIAL", 5)


def test_a_result_that_is_missing_makes_a_run_incomplete_whatever_the_items_say() -> None:
    verdict = judge([OK], selected={"ok"}, missing=["ok"], narrowed=None)
    assert (verdict.name, verdict.exit_code) == ("INCOMPLETE", 6)
    assert "no result: ok" in verdict.reasons
    worse = judge([BAD], selected={"bad"}, missing=["bad"], narrowed=None)
    assert (worse.name, worse.exit_code) == ("NOT READY", 1)


@pytest.mark.parametrize("option", ["-k", "--deselect"])
def test_an_option_that_left_items_out_makes_a_run_partial(option: str) -> None:
    left = item("left", NOTCHECKED, reason=f"not run: left out by {option}")
    verdict = judge([OK, left], selected={"ok", "left"}, missing=["left"], narrowed=option)
    assert (verdict.name, verdict.exit_code) == ("PARTIAL", 6)
    assert f"a selection ({option} leaves items out): 2 of 2 items of the phase" in verdict.reasons


def test_reasons_name_the_items_worst_first() -> None:
    items = [
        OK,
        item("b1", FAIL),
        item("b2", FAIL),
        item("m1", FAIL, MAJOR),
        item("s1", FAIL, MINOR),
        item("e1", ERROR),
        item("u1", NOTCHECKED, reason="no [shop]"),
        item("u2", NOTCHECKED, reason="no [till]"),
        item("u3", NOTCHECKED, reason="no [shop]"),
        waived("w1"),
    ]
    verdict = judge(items, selected={it.id for it in items}, missing=["u3"], narrowed=None)
    assert verdict.reasons == (
        "2 blocker fails: b1, b2",
        "1 major fails: m1",
        "1 could not be asked: e1",
        "2 not checked, no [shop]: u1, u3",
        "1 not checked, no [till]: u2",
        "1 waived: w1",
        "1 minor fails that do not close the gate: s1",
        "no result: u3",
    )


def test_a_reason_with_many_items_names_some_and_counts_the_rest() -> None:
    items = [item(f"i{n}", FAIL) for n in range(NAMED + 3)]
    verdict = judge(items, selected={it.id for it in items}, missing=[], narrowed=None)
    assert verdict.reasons[0].endswith(f"i{NAMED - 1} and 3 more")


def test_a_run_without_anything_to_say_says_that_every_item_passes() -> None:
    assert judge([OK], selected={"ok"}, missing=[], narrowed=None).reasons == ("every item passes",)


def test_completeness_counts_what_is_owed_and_names_what_did_not_come() -> None:
    found = completeness([OK, BAD, UNASKED], {"bad": None, "of another phase": None})
    assert (found.expected, found.reported, found.missing) == (3, 1, ("ok", "unasked"))


@pytest.mark.parametrize(
    ("items", "name"),
    [([OK], "INCOMPLETE"), ([waived("bad")], "INCOMPLETE"), ([BAD], "NOT READY")],
)
def test_a_run_that_broke_off_is_never_ready(items: list[Item], name: str) -> None:
    verdict = judge(items, selected={it.id for it in items}, missing=[], narrowed=None)
    broken = broken_off(verdict, 2, Code.BROKE_OFF, "the run was interrupted")
    assert (broken.name, broken.exit_code) == (name, 2)
    assert broken.reasons[0] == "the run was interrupted"
    assert broken.why == (Code.BROKE_OFF, *verdict.why)


def test_a_failure_that_is_no_item_closes_the_gate() -> None:
    verdict = judge([OK], selected={"ok"}, missing=[], narrowed=None)
    beside = failed_beside(verdict, "not an item, and failed: test_a")
    assert beside.exit_code == 1
    assert beside.reasons[0] == "not an item, and failed: test_a"


@pytest.mark.parametrize("narrowed", [None, "-k"])
@pytest.mark.parametrize("missing", [[], ["u3"]])
def test_each_reason_has_its_code(narrowed: str | None, missing: list[str]) -> None:
    some = [
        OK,
        BAD,
        NA,
        UNKNOWN,
        waived("w"),
        item("minor", FAIL, MINOR),
        item("major", FAIL, MAJOR),
    ]
    for number in range(len(some) + 1):
        for chosen in (some[:number], some[number:]):
            verdict = judge(
                some, selected={it.id for it in chosen}, missing=missing, narrowed=narrowed
            )
            assert len(verdict.why) == len(verdict.reasons) > 0
            assert {Code(code) for code in verdict.why}
            assert (Code.NO_RESULT in verdict.why) is bool(missing)
            assert (Code.NARROWED in verdict.why) is bool(narrowed)


def test_tests_that_may_have_been_checks_are_no_result_of_an_item() -> None:
    verdict = judge([OK], selected={"ok"}, missing=[], narrowed=None, lost=["test_a.py::test_a"])
    assert (verdict.name, verdict.exit_code) == ("INCOMPLETE", 6)
    assert (verdict.why, verdict.reasons) == ((Code.LOST,), ("no result: test_a.py::test_a",))
