"""k8s-version on versions as vendors write them, and the two parsers behind the section."""

from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

import pytest

from pytest_readiness.checklist.infrastructure import test_kubernetes as checks
from pytest_readiness.results.evidence import Evidence
from pytest_readiness.targets.kubernetes.facts import Version
from pytest_readiness.targets.kubernetes.quantity import parse
from pytest_readiness.targets.kubernetes.section import Kubernetes
from pytest_readiness.targets.kubernetes.versions import END_OF_LIFE, minor_of, oldest_supported

LIMITS = Kubernetes(namespace="shop", context="prod")


def version(git_version: str = "v1.36.3", *, on: date = date(2026, 11, 24), **more: str) -> Version:
    values: dict[str, Any] = {"major": "", "minor": "", "platform": "linux/amd64"} | more
    asked_at = datetime(on.year, on.month, on.day, tzinfo=UTC)
    return Version(server="https://k8s", git_version=git_version, asked_at=asked_at, **values)


class TestVersion:
    check = staticmethod(checks.test_the_version_is_new_enough_and_supported)

    @pytest.mark.parametrize(
        ("git_version", "on"),
        [
            ("v1.36.3", date(2026, 11, 24)),
            ("v1.35.0", date(2027, 2, 28)),
            ("v1.30.4-gke.1", date(2025, 7, 1)),
            ("v1.29.3-eks-adc7111", date(2025, 2, 28)),
            ("v1.24.0-rc.1", date(2023, 1, 1)),
            ("v1.35.2+k3s1", date(2026, 11, 24)),
            ("v1.38.0", date(2026, 11, 24)),
            ("v1.38.0", date(2030, 1, 1)),
            ("v2.0.0", date(2026, 11, 24)),
        ],
    )
    def test_passes_when_the_minor_is_supported_on_the_day_of_asking(
        self, git_version: str, on: date
    ) -> None:
        evidence = Evidence()
        self.check(version(git_version, on=on), LIMITS, evidence)
        assert evidence.observations["git_version"] == git_version
        assert evidence.missing() == []

    def test_passes_when_only_major_and_minor_name_the_version(self) -> None:
        self.check(version("", major="1", minor="36+"), LIMITS, Evidence())

    @pytest.mark.parametrize(
        ("answer", "problem"),
        [
            (version("v1.23.17"), "1.23 is older than 1.24"),
            (version("v1.34.1"), "support of 1.34 ended on 2026-10-27"),
            (version("v1.29.3-eks-adc7111"), "support of 1.29 ended on 2025-02-28"),
            (version("v1.30.4-gke.1"), "support of 1.30 ended on 2025-07-15"),
            (version("v1.37.0", on=date(2027, 10, 29)), "support of 1.37 ended on 2027-10-28"),
            (version("v0.0.0-master+$Format:%H$"), "0.0 is older than 1.24"),
            (version(""), "'' names no version"),
            (version("unknown", major="one"), "'unknown' names no version"),
        ],
        ids=lambda value: value.git_version or "empty" if isinstance(value, Version) else "",
    )
    def test_fails_and_names_the_cluster(self, answer: Version, problem: str) -> None:
        evidence = Evidence()
        with pytest.raises(AssertionError):
            self.check(answer, LIMITS, evidence)
        assert [finding.subject for finding in evidence.findings] == ["cluster"]
        assert problem in evidence.findings[0].problem

    def test_fails_and_names_the_cluster_below_a_raised_minimum(self) -> None:
        limits = Kubernetes(namespace="shop", context="prod", min_version=(1, 37))
        with pytest.raises(AssertionError):
            self.check(version("v1.36.3"), limits, Evidence())


@pytest.mark.parametrize(
    ("answer", "minor"),
    [
        (("v1.29.3-eks-adc7111", "1", "29+"), (1, 29)),
        (("v1.9.11", "1", "9"), (1, 9)),
        (("1.30.0", "", ""), (1, 30)),
        (("", "1", "18+"), (1, 18)),
        (("v1.36", "", ""), (1, 36)),
        (("vX.Y", "", ""), None),
        (("v1.99999.0", "", ""), None),
        (("", "1", ""), None),
        (("", "1", "²"), None),
    ],
)
def test_minor_of(answer: tuple[str, str, str], minor: tuple[int, int] | None) -> None:
    assert minor_of(*answer) == minor


def test_the_support_table_has_no_gap_and_its_dates_ascend() -> None:
    minors = list(END_OF_LIFE)
    assert [minor for _, minor in minors] == list(range(24, 24 + len(minors)))
    assert list(END_OF_LIFE.values()) == sorted(END_OF_LIFE.values())


@pytest.mark.parametrize(
    ("day", "oldest"),
    [
        (date(2026, 10, 27), (1, 34)),
        (date(2026, 10, 28), (1, 35)),
        (date(2027, 10, 28), (1, 37)),
        (date(2027, 10, 29), (1, 38)),
    ],
)
def test_oldest_supported(day: date, oldest: tuple[int, int]) -> None:
    assert oldest_supported(day) == oldest


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3920m", Fraction(98, 25)),
        ("4", Fraction(4)),
        ("8145240Ki", Fraction(8_340_725_760)),
        ("8Gi", Fraction(8_589_934_592)),
        ("8G", Fraction(8_000_000_000)),
        ("16e9", Fraction(16_000_000_000)),
        ("1.5Gi", Fraction(1_610_612_736)),
        ("128974848000m", Fraction(128_974_848)),
        ("1Ei", Fraction(2**60)),
        ("1E", Fraction(10**18)),
        ("1e3", Fraction(1000)),
        ("1E3", Fraction(1000)),
        ("1e-3", Fraction(1, 1000)),
        ("+0.1", Fraction(1, 10)),
        ("100n", Fraction(1, 10**7)),
        (".5", Fraction(1, 2)),
        ("5.", Fraction(5)),
        ("0", Fraction(0)),
    ],
)
def test_quantities_are_exact(text: str, value: Fraction) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "four", "8GB", "8 Gi", "1e", "1e3Ki", "Ki", "1,5", "0x8", "８Gi", "8Gi\n", "9" * 99],
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse(text)
