import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pytest_readiness.catalogue.words import Severity
from pytest_readiness.errors import ReadinessError, Why
from pytest_readiness.report import changes, changes_text
from pytest_readiness.report.changes import Kind, State, WaiverKind, compare
from pytest_readiness.results.evidence import Finding, Outcome
from pytest_readiness.results.model import Digest, Report, Verdict, Waived, WaiverState
from tests.report import extremes, sample
from tests.report.changed import EVERY, PARTIAL, STATES, of, only, text, with_run, with_target


class TestItems:
    @pytest.mark.parametrize("now", EVERY)
    @pytest.mark.parametrize("was", EVERY)
    def test_exits_1_for_what_was_good_and_is_not(
        self, was: State | None, now: State | None
    ) -> None:
        good = {State.PASS, State.NOTAPPLICABLE, State.WAIVED}
        bad = {State.FAIL, State.ERROR, State.NOTCHECKED, State.NOT_SELECTED, None}
        hidden = was is State.FAIL and now in {State.NOT_SELECTED, None}
        found = compare(only(was), only(now))
        assert found.regression is ((was in good and now in bad) or hidden)
        assert found.regressions == (("k8s-nodes",) if found.regression else ())
        assert [(one.was, one.now) for one in found.items] == ([] if was == now else [(was, now)])
        assert found.nothing is (was == now)

    @pytest.mark.parametrize(
        ("was", "now", "kind"),
        [
            (State.PASS, State.FAIL, Kind.NEWLY_FAILING),
            (State.ERROR, State.FAIL, Kind.NEWLY_FAILING),
            (State.WAIVED, State.FAIL, Kind.NEWLY_FAILING),
            (State.FAIL, State.PASS, Kind.NEWLY_PASSING),
            (State.PASS, State.ERROR, Kind.NEWLY_UNANSWERED),
            (State.FAIL, State.NOTCHECKED, Kind.NEWLY_UNANSWERED),
            (State.ERROR, State.NOTCHECKED, Kind.STILL_UNANSWERED),
            (State.PASS, State.NOT_SELECTED, Kind.NO_LONGER_JUDGED),
            (State.PASS, None, Kind.NO_LONGER_JUDGED),
            (State.PASS, State.WAIVED, Kind.NEWLY_FAILING_WAIVED),
            (State.FAIL, State.WAIVED, Kind.NEWLY_WAIVED),
            (State.PASS, State.NOTAPPLICABLE, Kind.NO_LONGER_APPLIES),
            (None, State.FAIL, Kind.NEW),
        ],
    )
    def test_names_the_kind(self, was: State | None, now: State | None, kind: Kind) -> None:
        found = compare(only(was), only(now))
        assert [one.kind for one in found.items] == [kind]
        for shown in (text(found), changes_text.markdown(found)):
            assert "k8s-nodes" in shown

    def test_a_minor_that_newly_fails_is_a_regression(self) -> None:
        minor = sample.item("canary", severity=Severity.MINOR)
        found = compare(of(minor), of(msgspec.structs.replace(minor, outcome=Outcome.FAIL)))
        assert found.regressions == ("canary",)

    def test_a_waived_fail_instead_of_a_pass_is_listed_and_no_regression(self) -> None:
        now = only(State.WAIVED, waivers=(sample.listed(sample.WAIVER),))
        found = compare(only(State.PASS), now)
        assert not found.regression
        assert "newly failing, waived (1)\n  blocker k8s-nodes" in text(found)
        assert "new waivers (1)\n  ch-backup: used\n    until 2026-11-30 by sec@" in text(found)

    def test_every_kind_has_a_heading(self) -> None:
        for was in EVERY:
            for now in EVERY:
                if was != now:
                    shown = text(compare(only(was), only(now)))
                    assert "1 change" in shown
                    assert "(1)\n" in shown
                    assert "k8s-nodes" in shown

    @pytest.mark.parametrize("why", [Why.NOT_SELECTED, Why.NO_RUN])
    def test_an_item_that_no_run_was_asked_for_is_not_judged(self, why: Why) -> None:
        item = sample.item(outcome=Outcome.NOTCHECKED, why=why)
        assert changes.state(item) is State.NOT_SELECTED
        assert compare(only(State.FAIL), of(item)).regressions == ("k8s-nodes",)


class TestVerdict:
    @pytest.mark.parametrize("name", ["NOT READY", "INCOMPLETE", "PARTIAL"])
    @pytest.mark.parametrize("was", ["READY", "READY WITH WAIVERS"])
    def test_that_was_ready_and_no_longer_is(self, was: str, name: str) -> None:
        old, new = (
            of(sample.item(), verdict=Verdict(name=one, exit_code=0, reasons=()))
            for one in (was, name)
        )
        found = compare(old, new)
        assert found.verdict_regression
        assert found.regression
        assert found.regressions == ()
        assert text(found).splitlines()[-1].startswith("REGRESSION of the verdict")
        assert not compare(new, old).regression

    def test_with_waivers_is_ready(self) -> None:
        waived = Verdict(name="READY WITH WAIVERS", exit_code=0, reasons=())
        found = compare(of(sample.item()), of(sample.item(), verdict=waived))
        assert not found.regression
        assert "verdict: READY (exit code 0) -> READY WITH WAIVERS (exit code 0)" in text(found)
        assert "no change" not in text(found)


class TestComparable:
    def test_refuses_another_system(self) -> None:
        other = with_target(only(State.PASS), system="shop")
        with pytest.raises(ReadinessError, match="'st-risk-platform', the new one of 'shop'"):
            compare(only(State.PASS), other)

    def test_refuses_a_report_that_has_an_item_twice(self) -> None:
        with pytest.raises(ReadinessError, match="twice: k8s-nodes"):
            compare(only(State.PASS), of(sample.item(), sample.item()))

    @pytest.mark.parametrize(
        ("what", "change"),
        [
            ("environment", lambda one: with_target(one, environment="staging")),
            ("phase", lambda one: with_target(one, phase="testing")),
            (
                "checklist",
                lambda one: msgspec.structs.replace(one, checklist=Digest(id="x", sha256="00")),
            ),
            ("lab", lambda one: with_run(one, lab=("node-notready",))),
            ("selection", lambda one: with_run(one, partial=True, selection="-k nodes")),
        ],
    )
    def test_says_on_top_what_differs(self, what: str, change: Callable[[Report], Report]) -> None:
        old = only(State.PASS)
        found = compare(old, change(old))
        assert not found.comparable
        assert [one.what for one in found.differences] == [what]
        for shown in (text(found), changes_text.markdown(found)):
            assert f"other {what}: " in "\n".join(shown.splitlines()[:6])
        assert not found.regression

    def test_another_release_is_what_two_runs_are_compared_for(self) -> None:
        new = with_target(only(State.PASS), release="2.4.2", commit="00", image="x@sha256:00")
        found = compare(only(State.PASS), new)
        assert found.comparable
        assert found.nothing
        assert "release 2.4.2" in text(found)

    def test_says_that_the_runs_may_be_swapped(self) -> None:
        later = with_run(only(State.PASS), ended="2026-11-25T00:00:00.000Z")
        assert compare(later, only(State.PASS)).swapped
        assert "swapped?" in text(compare(later, only(State.PASS)))
        assert not compare(only(State.PASS), later).swapped
        odd = with_run(only(State.PASS), ended="yesterday")
        assert not compare(odd, only(State.PASS)).swapped

    def test_a_selection_against_the_whole_names_every_item_that_is_no_longer_judged(self) -> None:
        items = [sample.item(f"item-{number}") for number in range(40)]
        left = [
            item if number < 3 else msgspec.structs.replace(item, **STATES[State.NOT_SELECTED])
            for number, item in enumerate(items)
        ]
        part = with_run(of(*left, verdict=PARTIAL), partial=True, selection="-k nodes")
        found = compare(of(*items), part)
        assert len(found.regressions) == 37
        assert found.verdict_regression
        for shown in (text(found), changes_text.markdown(found)):
            assert all(id in shown for id in found.regressions)
        back = compare(part, of(*items))
        assert not back.regression
        assert {one.kind for one in back.items} == {Kind.NEWLY_PASSING}

    def test_items_that_stay_unanswered_share_a_line(self) -> None:
        items = [
            sample.item(f"item-{n}", outcome=Outcome.NOTCHECKED, reason="no check yet")
            for n in range(40)
        ]
        left = [
            msgspec.structs.replace(item, why=Why.NOT_SELECTED, reason="not selected")
            for item in items
        ]
        found = compare(of(*items), of(*left))
        assert not found.regression
        for shown in (text(found), changes_text.markdown(found)):
            assert "unanswered, otherwise than before (40)\n" in shown
            assert "was not checked, now is not selected" in shown
            assert "item-17, and 30" in shown
            assert "40 changes" in shown

    def test_what_the_lab_supplied_is_no_changed_setting(self) -> None:
        def started(port: int) -> Report:
            url = f"clickhouse+http://reader@127.0.0.1:{port}/risk"
            values = {"clickhouse": {"url": url}, "lab": {"faults": str(port)}}
            report = with_run(only(State.PASS), lab=())
            used = msgspec.structs.replace(
                report.settings, sha256=sample.digest(str(port)), values=values
            )
            return msgspec.structs.replace(report, settings=used)

        assert compare(started(1), started(2)).settings == ()
        real = compare(with_run(started(1), lab=None), with_run(started(2), lab=None))
        assert [one.key for one in real.settings] == ["clickhouse.url"]

    def test_settings_are_compared_where_their_file_differs(self) -> None:
        old = only(State.PASS)
        values = {**old.settings.values, "kubernetes": {"context": "prod", "min_nodes": "1"}}
        ported = msgspec.structs.replace(old.settings, values=values)
        assert compare(old, msgspec.structs.replace(old, settings=ported)).nothing
        edited = msgspec.structs.replace(ported, sha256=sample.digest("edited"))
        found = compare(old, msgspec.structs.replace(old, settings=edited))
        assert [(one.key, one.was, one.now) for one in found.settings] == [
            ("kubernetes.min_nodes", "3", "1"),
            ("kubernetes.namespace", "st-risk", None),
        ]
        assert not found.regression
        assert "kubernetes.min_nodes: changed" in text(found)


class TestEvidence:
    def seen(self, was: dict[str, Any], now: dict[str, Any]) -> list[tuple[Any, ...]]:
        found = compare(
            *(of(sample.item(evidence=(sample.proof(observed=side),))) for side in (was, now))
        )
        assert not found.regression
        return [
            (one.question, one.name, one.was, one.now)
            for change in found.evidence
            for one in change.values
        ]

    def test_names_old_and_new_value_and_the_question(self) -> None:
        was, now = {"ready": 26, "zones": ["a", "b"]}, {"ready": 27, "zones": ["a", "b"]}
        assert self.seen(was, now) == [("list nodes", "ready", 26, 27)]

    def test_names_the_part_of_a_value_that_changed(self) -> None:
        was, now = {"free": {"d1": 5, "d2": {"x": 1}}}, {"free": {"d1": 5, "d2": {"x": None}}}
        assert self.seen(was, now) == [("list nodes", "free.d2.x", 1, None)]

    @pytest.mark.parametrize(
        ("was", "now"), [(1, True), (0, False), (1, 1.5), ("3", 3), (None, "none"), ([1], [1, 1])]
    )
    def test_tells_apart_what_is_not_the_same(self, was: object, now: object) -> None:
        assert len(self.seen({"x": was}, {"x": now})) == 1

    @pytest.mark.parametrize(
        ("was", "now"),
        [
            (["b", "a"], ["a", "b"]),
            ([{"n": 1, "m": 2}, "x"], ["x", {"m": 2, "n": 1}]),
            ("password «redacted:0011aabb»", "password «redacted:ccdd2233»"),
        ],
        ids=["order", "order of parts", "salt of a redaction"],
    )
    def test_what_a_person_sees_as_the_same_is_no_change(self, was: object, now: object) -> None:
        assert self.seen({"x": was}, {"x": now}) == []

    def test_a_value_that_only_one_run_has(self) -> None:
        assert self.seen({"a": None}, {"b": None}) == [
            ("list nodes", "a", None, msgspec.UNSET),
            ("list nodes", "b", msgspec.UNSET, None),
        ]

    def test_times_durations_addresses_and_examined_are_noise(self) -> None:
        old = sample.item(evidence=(sample.proof(),))
        again = sample.proof(
            asked_at="2026-11-25T06:30:01.204Z",
            duration=9.0,
            command="kubectl --context prod-2 get nodes",
            source="kubernetes https://10.0.0.2:6443",
            examined=("node/other",),
            fact=None,
        )
        new = msgspec.structs.replace(old, evidence=(again,), duration=7.0)
        found = compare(of(old), with_run(of(new), id="x", redactions=9, workers=7, command="y"))
        assert found.nothing

    def test_findings_of_a_fail_that_still_fails(self) -> None:
        old, new = (
            sample.item(outcome=Outcome.FAIL, findings=findings)
            for findings in (
                (Finding("node/n1", "old"), Finding("node/n2", "same")),
                (Finding("node/n3", "cordoned"), Finding("node/n2", "same")),
            )
        )
        found = compare(of(old), of(new))
        assert [(one.subject, one.was, one.now) for one in found.evidence[0].findings] == [
            ("node/n1", ("old",), ()),
            ("node/n3", (), ("cordoned",)),
        ]
        assert "node/n3: newly found: cordoned" in text(found)

    def test_the_item_itself_another_environment_severity_or_reason(self) -> None:
        old = sample.item(outcome=Outcome.NOTAPPLICABLE, reason="a")
        new = msgspec.structs.replace(
            old, reason="b", environment="staging", severity=Severity.MINOR
        )
        (change,) = compare(of(old), of(new)).evidence
        assert [(one.question, one.name, one.now) for one in change.values] == [
            (None, "severity", "minor"),
            (None, "environment", "staging"),
            (None, "reason", "b"),
        ]


class TestWaivers:
    def changed(
        self, old: dict[str, WaiverState], new: dict[str, WaiverState]
    ) -> list[tuple[WaiverKind, str]]:
        sides = (
            only(
                State.PASS,
                waivers=tuple(
                    sample.listed(msgspec.structs.replace(sample.WAIVER, item=id), state)
                    for id, state in side.items()
                ),
            )
            for side in (old, new)
        )
        found = compare(*sides)
        assert not found.regression
        for change in found.waivers:
            assert change.waiver.item in text(found)
            assert f"`{change.waiver.item}`" in changes_text.markdown(found)
        return [(change.kind, change.waiver.item) for change in found.waivers]

    def test_new_expired_removed_not_needed_and_otherwise(self) -> None:
        used = WaiverState.USED
        old = {"a": used, "b": used, "c": used, "d": used, "e": WaiverState.EXPIRED}
        new = {
            "a": WaiverState.EXPIRED,
            "b": WaiverState.NOT_NEEDED,
            "d": WaiverState.UNCOVERED,
            "e": WaiverState.EXPIRED,
            "f": used,
        }
        assert self.changed(old, new) == [
            (WaiverKind.EXPIRED, "a"),
            (WaiverKind.NOT_NEEDED, "b"),
            (WaiverKind.REMOVED, "c"),
            (WaiverKind.OTHER, "d"),
            (WaiverKind.NEW, "f"),
        ]

    def test_one_that_was_prolonged_is_another_one(self) -> None:
        longer = msgspec.structs.replace(sample.WAIVER, expires="2026-12-30")
        old, new = (
            only(State.WAIVED, waivers=(sample.listed(one),)) for one in (sample.WAIVER, longer)
        )
        found = compare(old, new)
        assert sorted((one.kind.value, one.waiver.expires) for one in found.waivers) == [
            ("new", "2026-12-30"),
            ("removed", "2026-11-30"),
        ]

    def test_keeps_its_own_fields_only(self) -> None:
        (change,) = compare(
            only(State.PASS), only(State.PASS, waivers=(sample.listed(sample.WAIVER, note="x"),))
        ).waivers
        assert type(change.waiver) is Waived
        assert change.waiver == sample.WAIVER


class TestAnyReports:
    @pytest.mark.parametrize(
        "make",
        [sample.full, sample.empty, sample.partial, extremes.hostile, extremes.large],
        ids=lambda make: make.__name__,
    )
    def test_of_one_run_with_itself_there_is_no_change(self, make: Callable[[], Report]) -> None:
        found = compare(make(), make())
        assert found.nothing
        assert found.comparable
        assert not found.regression
        assert "\nno change\n" in text(found)
        assert "\n- no change\n" in changes_text.markdown(found)

    def test_the_order_of_items_evidence_and_waivers_is_no_change(self) -> None:
        base = sample.full()
        shuffled = list(base.items)
        random.Random(5).shuffle(shuffled)
        items = tuple(
            msgspec.structs.replace(
                item, evidence=item.evidence[::-1], findings=item.findings[::-1]
            )
            for item in shuffled
        )
        other = msgspec.structs.replace(base, items=items, waivers=base.waivers[::-1])
        assert compare(base, other).nothing
        new = sample.production(extremes.large())
        assert compare(base, new) == compare(other, new)
        assert text(compare(new, base)) == text(compare(new, other))

    def test_a_report_of_a_version_without_the_newer_fields(self) -> None:
        plain = msgspec.to_builtins(sample.full())
        del plain["run"]["shards"]
        plain["waivers"] = []
        for item in plain["items"]:
            del item["environment"]
        found = compare(msgspec.convert(plain, Report), sample.full())
        assert not found.regression
        assert {one.kind for one in found.waivers} == {WaiverKind.NEW}
