"""Waivers: the file that people write, and what each does to the items of a report."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_readiness.catalogue.words import Severity
from pytest_readiness.errors import SettingsError, Why
from pytest_readiness.people import waivers
from pytest_readiness.people.facts import Waiver, Waivers
from pytest_readiness.results import model
from pytest_readiness.results.evidence import Finding, Outcome
from tests.report.sample import item

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
LONGEST = {
    Severity.BLOCKER: timedelta(days=14),
    Severity.MAJOR: timedelta(days=90),
    Severity.MINOR: timedelta(days=90),
}
KNOWN = {"k8s-nodes": Severity.BLOCKER, "canary": Severity.MINOR}
FILE = """[[waiver]]
item = "k8s-nodes"
finding = "node/n3"
reason = "third node arrives on Thursday"
approver = "sec@example.org"
risk = "one zone loss stops writes"
created = 2026-11-24
expires = 2026-11-30
ticket = "OPS-812"
environment = "production"
"""


def waiver(**changes: Any) -> Waiver:
    base = Waiver(
        line=1,
        item="k8s-nodes",
        finding=None,
        reason="third node arrives on Thursday",
        approver="sec@example.org",
        risk="one zone loss stops writes",
        created="2026-11-24",
        expires="2026-11-30",
        ticket="OPS-812",
        environment=None,
        release=None,
    )
    return msgspec.structs.replace(base, **changes)


def facts(*items: Waiver) -> Waivers:
    return Waivers(file="waivers.toml", asked_at=AT, items=items)


def problems(*items: Waiver, known_only: bool = False) -> list[str]:
    return waivers.problems(facts(*items), KNOWN, LONGEST, known_only=known_only)


def failing(*subjects: str, **changes: Any) -> model.Item:
    findings = tuple(Finding(subject, "is not ready") for subject in subjects)
    return item(outcome=Outcome.FAIL, reason="fails", findings=findings, **changes)


def applied(
    judged: model.Item, *items: Waiver, at: datetime = AT, release: str | None = "2.4.1"
) -> tuple[model.Waived | None, list[tuple[str, str | None]]]:
    """Return the waiver of the item, and state and note of each."""
    found, listed = waivers.apply(
        facts(*items), (judged,), at=at, environment="production", release=release
    )
    assert [msgspec.structs.replace(one, waiver=None) for one in found] == [judged]
    return found[0].waiver, [(one.state.value, one.note) for one in listed]


class TestFile:
    def test_passes_and_keeps_what_is_written(self, tmp_path: Path) -> None:
        path = tmp_path / "waivers.toml"
        path.write_text(FILE, encoding="utf-8")
        read = waivers.read(path)
        assert read.items == (waiver(finding="node/n3", environment="production"),)
        assert msgspec.json.decode(msgspec.json.encode(read), type=Waivers) == read

    def test_passes_when_the_file_is_empty(self, tmp_path: Path) -> None:
        (tmp_path / "waivers.toml").write_text("# none\n", encoding="utf-8")
        assert waivers.read(tmp_path / "waivers.toml").items == ()

    def test_fails_and_names_a_missing_approver(self, tmp_path: Path) -> None:
        path = tmp_path / "waivers.toml"
        path.write_text(FILE.replace("approver", "aprover"), encoding="utf-8")
        with pytest.raises(SettingsError) as caught:
            waivers.read(path)
        assert caught.value.problems == (
            "waivers.toml:1: unknown key 'aprover'; did you mean approver?",
            "waivers.toml:1: approver is missing",
        )


class TestProblems:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"item": "k8s-node"}, "there is no item k8s-node; did you mean k8s-nodes?"),
            ({"approver": " "}, "k8s-nodes: approver is empty"),
            ({"reason": ""}, "k8s-nodes: reason is empty"),
            ({"risk": ""}, "k8s-nodes: risk is empty"),
            ({"ticket": "\n"}, "k8s-nodes: ticket is empty"),
            ({"finding": ""}, "k8s-nodes: finding is empty; remove the line where it is for any"),
            (
                {"expires": "2026-11-23"},
                "k8s-nodes: expires 2026-11-23, before it begins (2026-11-24)",
            ),
            (
                {"created": "2026-11-24T12:00:00Z", "expires": "2026-11-24T12:00:00Z"},
                "k8s-nodes: expires 2026-11-24T12:00:00Z, before it begins (2026-11-24T12:00:00Z)",
            ),
            (
                {"expires": "2026-12-09"},
                "k8s-nodes: 2026-11-24 to 2026-12-09 is too long: 14d for a blocker",
            ),
            (
                {"item": "canary", "expires": "2027-02-23"},
                "canary: 2026-11-24 to 2027-02-23 is too long: 90d for a minor",
            ),
        ],
    )
    def test_fails_and_names_what_may_not_stand(
        self, changes: dict[str, Any], message: str
    ) -> None:
        assert problems(waiver(line=7, **changes)) == [f"waivers.toml:7: {message}"]

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"expires": "2026-11-24"},
            {"expires": "2026-12-08"},
            {"item": "canary", "expires": "2027-02-22"},
            {"created": "2026-11-24T00:00:00+05:45", "expires": "2026-12-08T00:00:00+05:45"},
        ],
    )
    def test_passes_when_it_is_short_enough(self, changes: dict[str, Any]) -> None:
        assert problems(waiver(**changes)) == []

    def test_passes_over_unknown_items_when_they_may_be_a_projects_own(self) -> None:
        own = waiver(item="team-cache-warm", expires="2027-02-22")
        assert problems(own, known_only=True) == []
        (problem,) = problems(waiver(item="team-cache-warm", expires="2030-01-01"), known_only=True)
        assert problem.endswith("is too long: 90d for any item")
        assert problems(waiver(item="team-cache-warm", risk=""), known_only=True) == [
            "waivers.toml:1: team-cache-warm: risk is empty"
        ]

    @pytest.mark.parametrize(
        ("changes", "overlaps"),
        [
            ({}, True),
            ({"created": "2026-11-30", "expires": "2026-12-01"}, True),
            ({"created": "2026-12-01", "expires": "2026-12-02"}, False),
            ({"finding": "node/n3"}, False),
            ({"environment": "staging"}, False),
            ({"release": "2.4.1"}, False),
            ({"item": "canary"}, False),
        ],
    )
    def test_fails_and_names_two_for_the_same(
        self, changes: dict[str, Any], overlaps: bool
    ) -> None:
        expected = "waivers.toml:12: k8s-nodes: overlaps the waiver of line 1: keep one"
        assert problems(waiver(), waiver(line=12, **changes)) == ([expected] if overlaps else [])


class TestApply:
    def test_passes_when_the_whole_item_is_waived(self) -> None:
        for judged in (failing(), failing("node/n3", "node/n4")):
            used, listed = applied(judged, waiver())
            assert used is not None
            assert (used.expires, used.approver) == ("2026-11-30", "sec@example.org")
            assert listed == [("used", None)]

    def test_passes_when_every_finding_has_one_and_the_first_to_end_is_shown(self) -> None:
        used, listed = applied(
            failing("node/n3", "node/n4", "node/n3"),
            waiver(finding="node/n3"),
            waiver(line=2, finding="node/n4", expires="2026-11-26"),
        )
        assert used is not None
        assert used.finding == "node/n4"
        assert listed == [("used", None), ("used", None)]

    def test_fails_and_names_findings_without_one(self) -> None:
        used, listed = applied(failing("node/n3", "node/n4", "node/n5"), waiver(finding="node/n3"))
        assert used is None
        assert listed == [("uncovered", "no waiver covers node/n4, node/n5")]

    def test_fails_and_names_a_finding_that_is_not_there(self) -> None:
        note = "the item fails without finding node/n3"
        for judged in (failing(), failing("node/n4"), failing("node/n33")):
            assert applied(judged, waiver(finding="node/n3")) == (None, [("unused", note)])

    @pytest.mark.parametrize(
        ("changes", "state", "note"),
        [
            ({"expires": "2026-11-23"}, "expired", "expired on 2026-11-23: the fail counts"),
            (
                {"expires": "2026-11-24T12:00:00Z"},
                "expired",
                "expired on 2026-11-24T12:00:00Z: the fail counts",
            ),
            ({"created": "2026-11-25"}, "not-yet", "begins on 2026-11-25"),
            ({"environment": "staging"}, "elsewhere", "for environment staging"),
            ({"release": "2.4.0"}, "elsewhere", "for release 2.4.0"),
            ({"item": "ch-disk"}, "unused", "the item is not of this run"),
        ],
    )
    def test_fails_and_names_one_that_is_not_in_force(
        self, changes: dict[str, Any], state: str, note: str
    ) -> None:
        one = waiver(**{"created": "2026-11-20", **changes})
        assert applied(failing("node/n3"), one) == (None, [(state, note)])

    def test_fails_and_names_one_for_a_release_that_the_run_does_not_state(self) -> None:
        used, listed = applied(failing(), waiver(release="2.4.1"), release=None)
        assert (used, listed) == (None, [("elsewhere", "for release 2.4.1")])

    def test_passes_when_another_covers_what_an_expired_one_did(self) -> None:
        old = waiver(created="2026-11-01", expires="2026-11-10")
        used, listed = applied(failing(), old, waiver(line=2))
        assert used is not None
        assert listed == [("expired", "expired on 2026-11-10"), ("used", None)]

    @pytest.mark.parametrize("finding", [None, "node/n3"])
    @pytest.mark.parametrize(
        ("outcome", "why", "state", "note"),
        [
            (Outcome.PASS, None, "not-needed", "passes now: remove it"),
            (Outcome.NOTAPPLICABLE, Why.INI, "not-needed", "does not apply now: remove it"),
            (Outcome.ERROR, "forbidden", "unused", "covers no error: it could not be asked"),
            (Outcome.NOTCHECKED, Why.NO_TARGET, "unused", "covers no item that was not checked"),
            (Outcome.NOTCHECKED, Why.NOT_SELECTED, "unused", "the item is not selected"),
        ],
    )
    def test_does_not_apply_to_what_does_not_fail(
        self, finding: str | None, outcome: Outcome, why: str | None, state: str, note: str
    ) -> None:
        # Findings that an error has noted before it broke are no fail either.
        judged = item(outcome=outcome, why=why, findings=(Finding("node/n3", "is not ready"),))
        assert applied(judged, waiver(finding=finding)) == (None, [(state, note)])

    def test_passes_from_its_first_moment_to_its_last_in_utc(self) -> None:
        begin = datetime(2026, 11, 24, tzinfo=UTC)
        end = datetime(2026, 12, 1, tzinfo=UTC)
        instant = timedelta(milliseconds=1)
        for at, covers in [
            (begin - instant, False),
            (begin, True),
            (end - instant, True),
            (end, False),
        ]:
            assert (applied(failing(), waiver(), at=at)[0] is not None) is covers

    def test_passes_when_both_the_item_and_a_finding_are_waived(self) -> None:
        used, listed = applied(
            failing("node/n3", "node/n4"),
            waiver(),
            waiver(line=2, finding="node/n3", expires="2026-11-25"),
            waiver(line=3, finding="node/n9"),
        )
        assert used is not None
        assert used.expires == "2026-11-25"
        assert [state for state, _ in listed] == ["used", "used", "unused"]


class TestCodes:
    """One subject, two problems: a waiver may be for one of them."""

    TWO = item(
        outcome=Outcome.FAIL,
        findings=(
            Finding("node/n3", "is cordoned", "node-cordoned"),
            Finding("node/n3", "is too small", "node-too-small"),
            Finding("node/n4", "is too small"),
        ),
    )

    @pytest.mark.parametrize(
        ("findings", "uncovered"),
        [
            (("node/n3", "node/n4"), None),
            (("node/n3 [node-cordoned]", "node/n3 [node-too-small]", "node/n4"), None),
            (("node/n3 [node-cordoned]", "node/n4"), "node/n3 [node-too-small]"),
            (("node/n3 [node-too-small]",), "node/n3 [node-cordoned], node/n4"),
            (("node/n4",), "node/n3"),
        ],
    )
    def test_each_finding_is_covered_by_its_subject_or_by_its_code(
        self, findings: tuple[str, ...], uncovered: str | None
    ) -> None:
        some = [waiver(line=n, finding=one) for n, one in enumerate(findings)]
        used, listed = applied(self.TWO, *some)
        assert (used is not None) is (uncovered is None)
        state = (
            ("used", None) if uncovered is None else ("uncovered", f"no waiver covers {uncovered}")
        )
        assert listed == [state] * len(findings)

    @pytest.mark.parametrize(
        "finding",
        ["node/n3 [node-not-ready]", "node/n4 [node-too-small]", "[node-cordoned]", "node"],
    )
    def test_a_code_that_is_not_found_covers_nothing(self, finding: str) -> None:
        used, listed = applied(self.TWO, waiver(finding=finding))
        assert used is None
        assert listed == [("unused", f"the item fails without finding {finding}")]
