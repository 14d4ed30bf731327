"""What readiness.ini lets through that the checklist would not, by name and with both values."""

import pytest

from pytest_readiness.catalogue.words import Severity
from pytest_readiness.results.model import Relaxed
from pytest_readiness.settings import KeyOf, sections
from pytest_readiness.verdict.relaxed import in_order, relaxed
from pytest_readiness.written.keys import Use
from tests.report import sample

KEYS = [
    pytest.param(name, known, id=f"{name}.{known.name}")
    for name, section in sections().items()
    for known in section.keys.values()
]
ITEMS = (sample.item("k8s-nodes"), sample.item("canary", severity=Severity.MAJOR))


@pytest.mark.parametrize(
    ("section", "key", "value", "checklist"),
    [
        ("kubernetes", "min_nodes", "1", "3"),
        ("kubernetes", "min_version", "1.9", "1.24"),
        ("kubernetes", "node_cpu", "0.5", "4"),
        ("clickhouse", "max_backup_age", "48h", "24h"),
        ("clickhouse", "min_free_share", "1%", "10%"),
        ("clickhouse", "replicated_exclude", "scratch\nevents", "none"),
        ("readiness", "max_waiver_blocker", "90d", "14d"),
        ("readiness", "max_waiver_major", "2000d", "90d"),
    ],
)
def test_a_looser_limit_is_named_with_both_values(
    section: str, key: str, value: str, checklist: str
) -> None:
    found = relaxed({section: {key: value}}, ITEMS)
    assert found == (Relaxed(section=section, key=key, value=value, checklist=checklist),)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("kubernetes", "min_nodes", "3"),
        ("kubernetes", "min_nodes", "9"),
        ("kubernetes", "cluster_uid", "6f0c"),
        ("clickhouse", "max_backup_age", "1h"),
        ("clickhouse", "replicated_exclude", ""),
        ("readiness", "timeout", "99s"),
        ("toaster", "max_heat", "1"),
        ("not_applicable", "canary", "no canaries"),  # no blocker
        ("not_applicable", "of-another-phase", "not here"),
    ],
)
def test_what_is_as_strict_or_no_limit_is_not_named(section: str, key: str, value: str) -> None:
    assert relaxed({section: {key: value}}, ITEMS) == ()


def test_a_blocker_that_is_left_out_is_named_with_its_reason() -> None:
    found = relaxed({"not_applicable": {"k8s-nodes": "no\ncluster", "canary": "none"}}, ITEMS)
    assert found == (
        Relaxed(section="not_applicable", key="k8s-nodes", value="no cluster", checklist="judged"),
    )


@pytest.mark.parametrize(("name", "known"), KEYS)
def test_a_limit_that_cannot_be_read_counts_as_looser(name: str, known: KeyOf) -> None:
    unreadable = known.key.use in (Use.FLOOR, Use.CEILING)
    named = [(one.section, one.key) for one in relaxed({name: {known.name: "?"}}, ITEMS)]
    exempted = known.key.use is Use.EXEMPTION  # any word is a name there
    assert named == ([(name, known.name)] if unreadable or exempted else [])


def test_they_are_in_one_order_and_none_stands_twice() -> None:
    one, other = (
        Relaxed(section="kubernetes", key=key, value="1", checklist="3")
        for key in ("min_nodes", "node_cpu")
    )
    assert in_order([other, one, other]) == in_order([one, other]) == (one, other)
