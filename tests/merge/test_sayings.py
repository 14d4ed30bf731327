"""What runs say beside their items, and a merge says of the whole."""

import msgspec

from pytest_readiness.results.model import FactDigest, Relaxed
from tests.merge.merging import IDS, KUBERNETES, REST, STAGING, again, merged, placeholder, run
from tests.report import sample

# Limits below the checklist


def test_what_any_run_had_relaxed_is_said_of_the_whole() -> None:
    ini = {"kubernetes": {"context": "prod", "min_nodes": "1"}}
    said = Relaxed(section="kubernetes", key="min_nodes", value="1", checklist="3")
    told = Relaxed(section="clickhouse", key="max_heat", value="9", checklist="1")
    silent = run("a", *IDS[:2], values=ini)  # of a version that did not say it
    silent = msgspec.structs.replace(
        silent, report=msgspec.structs.replace(silent.report, relaxed=None)
    )
    report = merged(silent, run("b", *IDS[2:], relaxed=(told,)))
    assert report.relaxed == (told, said)
    assert merged(KUBERNETES, REST).relaxed == ()


def test_what_a_run_elsewhere_had_relaxed_is_said_too() -> None:
    said = Relaxed(section="kubernetes", key="min_nodes", value="1", checklist="3")
    staging = run("s", "load-throughput", environment="staging", relaxed=(said,))
    report = merged(run("a", *IDS[:3], placeholder()), staging, main=STAGING)
    assert report.relaxed == (said,)


# Facts and replays


def _facts(*names: str) -> tuple[FactDigest, ...]:
    return tuple(
        FactDigest(name=f"facts/{name}.json", sha256=sample.digest(name), asked_at="2026-11-24")
        for name in names
    )


def test_the_facts_of_all_runs_are_named_where_the_merge_has_them() -> None:
    first = run("a", *IDS[:2], facts=_facts("k8s_nodes"))
    report = merged(again(merged(first)), run("b", *IDS[2:], facts=_facts("ch_disks")))
    found = [(one.name, one.sha256) for one in report.facts or ()]
    assert found == [
        ("facts/a/k8s_nodes.json", sample.digest("k8s_nodes")),
        ("facts/b/ch_disks.json", sample.digest("ch_disks")),
    ]
    silent = run("b", *IDS[2:], facts=None)  # of a version that did not say it
    assert merged(first, silent).facts is None


def test_a_merge_of_a_replay_is_one() -> None:
    first, second = run("a", *IDS[:2], run={"replay": "r1"}), run("b", *IDS[2:])
    assert merged(first, second).run.replay == "r1"
    other = run("b", *IDS[2:], run={"replay": "r0"})
    assert merged(first, other).run.replay == "r0, r1"
    assert merged(KUBERNETES, REST).run.replay is None
