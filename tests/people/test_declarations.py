"""Declarations: when one of them counts, and how the report lists it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from pytest_readiness import catalogue
from pytest_readiness.catalogue import CatalogueItem
from pytest_readiness.catalogue.words import Safety, Severity
from pytest_readiness.people import declarations
from pytest_readiness.people.declarations import Judged, State
from pytest_readiness.people.facts import Declaration, Declarations
from pytest_readiness.results.model import DeclarationState

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Target:
    release: str | None = "2.4.1"
    commit: str | None = "4f1c2e7d" * 5
    image: str | None = f"registry.example.org/x@sha256:{'ab' * 32}"


def item(**changes: Any) -> CatalogueItem:
    base = catalogue.by_id()["training-operations"]
    held = msgspec.structs.replace(base, valid_for=timedelta(days=90), any_release=False)
    return msgspec.structs.replace(held, **changes)


def said(**changes: Any) -> Declaration:
    base = Declaration(
        line=3,
        item="training-operations",
        statement="All five did the drill.",
        by="ops@example.org",
        role="operations-lead",
        date="2026-11-20",
        expires="2027-02-01",
        release="2.4.1",
        evidence=None,
        sha256=None,
        evidence_problem=None,
        signature_problem=None,
        signed=False,
        known=True,
    )
    return msgspec.structs.replace(base, **changes)


def facts(*items: Declaration, **changes: Any) -> Declarations:
    base = Declarations(
        file="declarations.toml", asked_at=AT, policy=True, require_signed="no", items=items
    )
    return msgspec.structs.replace(base, **changes)


def judged(*items: Declaration, **changes: Any) -> Judged:
    return declarations.judge(facts(*items, **changes), item(), Target(), target_set=False)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"statement": " \n"}, "declared without a statement"),
    ({"by": "", "known": False}, "declared by nobody"),
    (
        {"known": False},
        "declared by ops@example.org, whom the policy does not know as operations-lead",
    ),
    ({"date": "2026-12-24"}, "declared, but dated 2026-12-24, in the future"),
    ({"date": "2026-11-24T12:00:01Z"}, "declared, but dated 2026-11-24T12:00:01Z, in the future"),
    ({"expires": "2026-11-23"}, "declared, but expired on 2026-11-23"),
    (
        {"expires": "2026-11-24T12:00:00Z"},
        "declared, but expired on 2026-11-24T12:00:00Z",
    ),
    (
        {"expires": "2026-11-24T17:45:00+05:45"},
        "declared, but expired on 2026-11-24T17:45:00+05:45",
    ),
    (
        {"date": "2026-08-25", "expires": None},
        "declared, but expired on 2026-11-23: it holds 90d from its date 2026-08-25",
    ),
    (
        {"date": "2026-08-25", "expires": "2099-01-01"},
        "declared, but expired on 2026-11-23: it holds 90d from its date 2026-08-25",
    ),
    ({"release": "2.3.0"}, "declared for release 2.3.0, this is 2.4.1"),
    ({"release": "2.4.1 "}, "declared for release 2.4.1 , this is 2.4.1"),
    ({"release": "4f1c2e"}, "declared for release 4f1c2e, this is 2.4.1"),
    ({"release": " "}, "declared without a release"),
    ({"release": "any"}, "declared for any release, which this item does not allow"),
    (
        {"evidence_problem": "its evidence drills/x.pdf is missing"},
        "declared, but its evidence drills/x.pdf is missing",
    ),
    (
        {"signature_problem": "its signature is not good: x"},
        "declared, but its signature is not good: x",
    ),
]

COUNTS: list[dict[str, Any]] = [
    {},
    {"date": "2026-11-24"},
    {"date": "2026-11-24T12:00:00Z"},
    {"date": "2026-11-24T17:45:00+05:45"},
    {"expires": "2026-11-24"},
    {"expires": "2026-11-24T12:00:01Z"},
    {"date": "2026-08-26", "expires": None},
    {"release": "4f1c2e7"},
    {"release": "4F1C2E7D" * 5},
    {"release": f"registry.example.org/x@sha256:{'ab' * 32}"},
    {"release": f"sha256:{'ab' * 32}"},
]


class TestJudge:
    @pytest.mark.parametrize(("changes", "reason"), REFUSED)
    def test_fails_and_names_why_it_does_not_count(
        self, changes: dict[str, Any], reason: str
    ) -> None:
        found = judged(said(**changes))
        assert (found.state, found.reason) == (State.REFUSED, reason)

    @pytest.mark.parametrize("changes", COUNTS)
    def test_passes_when_every_rule_is_kept(self, changes: dict[str, Any]) -> None:
        found = judged(said(**changes))
        assert (found.state, found.reason) == (State.COUNTS, None)
        assert found.ends is not None
        assert found.ends > AT

    @pytest.mark.parametrize(("first", "reason"), REFUSED)
    def test_passes_when_one_of_several_counts(self, first: dict[str, Any], reason: str) -> None:
        good = said(line=9)
        for several in [(said(**first), good), (good, said(**first))]:
            assert judged(*several).declaration == good

    def test_fails_and_names_the_reason_of_the_newest(self) -> None:
        old = said(line=9, date="2026-11-01", release="2.3.0")
        found = judged(said(statement=""), old)
        assert found.reason == "declared without a statement"

    def test_fails_and_names_a_missing_policy(self) -> None:
        found = judged(said(known=False), policy=False)
        assert found.reason == (
            "no policy says who ops@example.org is: set signoff in readiness.ini"
        )

    @pytest.mark.parametrize("severity", Severity)
    @pytest.mark.parametrize("asked", ["no", "blocker", "all"])
    @pytest.mark.parametrize("signed", [True, False])
    def test_fails_and_names_a_signature_that_the_policy_asks_for(
        self, severity: Severity, asked: str, signed: bool
    ) -> None:
        found = declarations.judge(
            facts(said(signed=signed), require_signed=asked),
            item(severity=severity),
            Target(),
            target_set=False,
        )
        needed = asked == "all" or (asked == "blocker" and severity is Severity.BLOCKER)
        if needed and not signed:
            assert found.reason == "declared, but the policy asks for a signature"
        else:
            assert found.state is State.COUNTS

    def test_passes_when_any_release_is_allowed(self) -> None:
        for release in ("any", "2.4.1"):
            found = declarations.judge(
                facts(said(release=release)),
                item(any_release=True),
                Target(None, None, None) if release == "any" else Target(),
                target_set=False,
            )
            assert found.state is State.COUNTS

    @pytest.mark.parametrize("commit", [None, "", "4f1c2e", "main"])
    def test_fails_and_names_a_commit_that_is_too_short_to_be_one(self, commit: str | None) -> None:
        found = declarations.judge(
            facts(said(release="4f1c2e7")), item(), Target(commit=commit), target_set=False
        )
        assert found.reason == "declared for release 4f1c2e7, this is 2.4.1"

    def test_fails_and_names_a_run_that_states_no_release(self) -> None:
        found = declarations.judge(
            facts(said()), item(), Target(None, None, None), target_set=False
        )
        assert found.reason == (
            "declared for release 2.4.1, readiness.ini does not say which this is"
        )

    def test_fails_and_names_what_has_no_end(self) -> None:
        found = declarations.judge(
            facts(said(expires=None)), item(valid_for=None), Target(), target_set=False
        )
        assert found.reason is not None
        assert "without expires" in found.reason

    @pytest.mark.parametrize("basis", ["P", "R", "F", "F+P", "signature"])
    def test_does_not_apply_to_an_item_that_takes_none(self, basis: str) -> None:
        found = declarations.judge(facts(said()), item(basis=basis), Target(), target_set=False)
        assert found == Judged(state=State.ABSENT)

    def test_does_not_apply_to_an_item_whose_target_is_set(self) -> None:
        found = declarations.judge(facts(said()), item(basis="P/D"), Target(), target_set=True)
        assert found == Judged(state=State.ABSENT)

    def test_fails_and_names_that_there_is_none(self) -> None:
        assert judged(said(item="team-channel")) == Judged(
            state=State.ABSENT, reason="no declaration"
        )
        assert judged(said(item="training-operation")).reason == (
            "no declaration (declarations.toml:3 names training-operation, which is no item)"
        )

    @pytest.mark.parametrize(
        ("changes", "end"),
        [
            ({"expires": "2026-11-30"}, datetime(2026, 12, 1, tzinfo=UTC)),
            ({"expires": None}, datetime(2027, 2, 19, tzinfo=UTC)),
            ({"expires": "2027-02-18"}, datetime(2027, 2, 19, tzinfo=UTC)),
            ({"expires": "2027-02-19"}, datetime(2027, 2, 19, tzinfo=UTC)),
            ({"expires": "2026-11-30T12:00:00+05:45"}, datetime(2026, 11, 30, 6, 15, tzinfo=UTC)),
        ],
    )
    def test_passes_until_the_end_of_its_last_day_in_utc(
        self, changes: dict[str, Any], end: datetime
    ) -> None:
        assert judged(said(**changes)).ends == end
        last = judged(said(**changes), asked_at=end - timedelta(milliseconds=1))
        assert last.state is State.COUNTS
        assert judged(said(**changes), asked_at=end).state is State.REFUSED


class TestListed:
    def listed(self, *items: Declaration, **changes: Any) -> list[tuple[str, str | None]]:
        found = declarations.listed(facts(*items), (item(**changes),), Target(), {"clickhouse"})
        return [(one.state.value, one.note) for one in found]

    def test_passes_and_says_what_ends_soon(self) -> None:
        notes = {
            "2026-11-24": "expires in less than a day",
            "2026-11-25": "expires in 1 day",
            "2026-11-27": "expires in 3 days",
            "2026-12-01": "expires in 7 days",
            "2026-12-02": None,
        }
        for expires, note in notes.items():
            assert self.listed(said(expires=expires)) == [("counts", note)]

    def test_passes_and_tells_the_end_that_counts(self) -> None:
        for expires in (None, "2099-01-01"):
            [found] = declarations.listed(facts(said(expires=expires)), (item(),), Target(), ())
            assert found.expires == "2027-02-18"
        timed = said(date="2026-11-20T10:00:00Z", expires=None)
        [found] = declarations.listed(facts(timed), (item(),), Target(), ())
        assert found.expires == "2027-02-18T10:00:00.000Z"

    def test_fails_and_names_what_no_item_takes(self) -> None:
        assert self.listed(
            said(item="training-operation"),
            said(item="zzz"),
            said(item="k8s-nodes"),
            said(item="team-channel"),
            said(release="2.3.0"),
        ) == [
            ("refused", "there is no item training-operation; did you mean training-operations?"),
            ("refused", "there is no item zzz"),
            ("refused", "k8s-nodes takes no declaration: its basis is P"),
            ("unused", "team-channel is not of this run"),
            ("refused", "declared for release 2.3.0, this is 2.4.1"),
        ]

    def test_does_not_apply_to_what_a_probe_judges(self) -> None:
        assert self.listed(said(), basis="P/D", target="clickhouse", safety=Safety.S1) == [
            ("unused", "[clickhouse] is set: its probe judges")
        ]

    def test_passes_when_a_newer_word_has_replaced_an_older(self) -> None:
        assert self.listed(
            said(line=1, date="2026-11-01", release="2.3.0"),
            said(line=2, date="2026-11-02"),
            said(line=3),
            said(line=4, date="2026-11-22", statement=""),
        ) == [
            ("unused", "declared for release 2.3.0, this is 2.4.1"),
            ("unused", "the one of line 3 counts"),
            ("counts", None),
            ("refused", "declared without a statement"),
        ]

    def test_passes_when_the_states_are_the_models(self) -> None:
        assert {"counts", "refused", "unused"} == set(DeclarationState)
