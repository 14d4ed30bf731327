"""Several runs, no report: what keeps them apart, said by name."""

from pathlib import Path

import msgspec
import pytest

from pytest_readiness.merge.join import Given, Main
from pytest_readiness.results.evidence import EvidenceRecord, Outcome
from pytest_readiness.settings import KeyOf, from_values, sections
from pytest_readiness.targets import targets
from pytest_readiness.written.keys import Use
from tests.merge.merging import IDS, KUBERNETES, REST, again, merged, of, placeholder, refused, run
from tests.report import sample


def test_refuses_a_run_of_the_future() -> None:
    assert "correct the clock" in refused(run("a", *IDS, hours=-1))
    assert merged(run("a", *IDS, hours=-0.05)).verdict.name == "READY"


# What keeps runs apart


@pytest.mark.parametrize("name", ["system", "phase", "release", "commit", "image"])
def test_refuses_another_target_naming_both(name: str) -> None:
    text = refused(KUBERNETES, run("b", *IDS[2:], target={name: "other"}))
    assert "'other' in b (run b)" in text
    assert text.startswith(f"{name}: ")
    assert "in a (run a)" in text


def test_all_differences_are_said_at_once() -> None:
    other = run("b", "ch-disk", target={"release": None, "commit": "c"}, run={"lab": ("fault",)})
    other = msgspec.structs.replace(
        other,
        report=msgspec.structs.replace(
            other.report, checklist=msgspec.structs.replace(other.report.checklist, sha256="0")
        ),
    )
    lines = refused(KUBERNETES, other).splitlines()
    assert [line.partition(":")[0] for line in lines[:3]] == ["checklist", "release", "commit"]
    assert "none in b (run b)" in lines[1]
    assert lines[3] == "b (run b) asked the lab, a (run a) did not"


def test_refuses_other_items_of_one_checklist() -> None:
    other = run("b", "ch-disk", sample.item("extra"))
    assert "not the same items" in refused(KUBERNETES, other)


def test_refuses_the_same_run_twice_also_inside_a_merge() -> None:
    assert "run a is in a and in a: give it once" in refused(KUBERNETES, KUBERNETES)
    first = again(merged(KUBERNETES, REST))
    assert "run a is in m and in a" in refused(first, KUBERNETES)


@pytest.mark.parametrize("id", ["../a", ".hidden", "a/b", ""])
def test_refuses_an_id_that_is_no_name_of_a_folder(id: str) -> None:
    assert "is no id of a run" in refused(run(id, *IDS))


def test_refuses_a_time_that_is_none() -> None:
    assert "'soon' is no time" in refused(run("a", *IDS, run={"command": "x"}), _without_time())


def _without_time() -> Given:
    other = run("b", "ch-disk")
    changed = msgspec.structs.replace(other.report.run, ended="soon")
    return msgspec.structs.replace(other, report=msgspec.structs.replace(other.report, run=changed))


def test_settings_are_joined_and_differences_refused() -> None:
    one = {"readiness": {"safety": "S2", "timeout": "10s"}, "kubernetes": {"min_nodes": "3"}}
    two = {"readiness": {"safety": "S1", "timeout": "5s"}, "clickhouse": {"min_replicas": "3"}}
    first, second = run("a", *IDS[:2], values=one), run("b", *IDS[2:], values=two)
    values = merged(first, second).settings.values
    assert set(values) == {"readiness", "kubernetes", "clickhouse"}
    other = run("c", "k8s-nodes", values={"kubernetes": {"min_nodes": "1"}})
    assert refused(first, second, other) == (
        "[kubernetes] min_nodes: '3' in a (run a), '1' in c (run c)"
    )


def test_a_limit_that_one_ini_leaves_out_is_a_difference() -> None:
    none: dict[str, dict[str, str]] = {"kubernetes": {"context": "prod"}}
    lower = {"kubernetes": {"context": "prod", "min_nodes": "1"}}
    said = "[kubernetes] min_nodes: written in b (run b), and not in a (run a)"
    first, second = run("a", *IDS[:2], values=none), run("b", *IDS[2:], values=lower)
    between = run("c", values={"clickhouse": {"cluster": "risk"}})
    assert refused(first, between, second) == refused(second, between, first) == said


KEYS = [
    pytest.param(name, known, id=f"{name}.{known.name}")
    for name, section in sections().items()
    for known in section.keys.values()
]


@pytest.mark.parametrize(("name", "known"), KEYS)
def test_a_key_is_compared_by_what_it_does(name: str, known: KeyOf) -> None:
    """Whatever its name: a limit is the same in all runs, and a place where it is written twice."""
    one, other = [
        run(id, *ids, values={name: {known.name: text} if text else {}})
        for id, ids, text in (("a", IDS[:2], "x"), ("b", IDS[2:], "y"))
    ]
    without = run("b", *IDS[2:], values={name: {}})
    of_run = name == "readiness" and known.key.use is Use.RUN
    where = "'x' in a (run a), 'y' in b (run b)"
    if of_run:
        assert merged(one, other).verdict.name == "READY"
    else:
        assert refused(one, other) == f"[{name}] {known.name}: {where}"
    if known.key.use.is_limit:
        said = f"[{name}] {known.name}: written in a (run a), and not in b (run b)"
        assert refused(one, without) == refused(without, one) == said
    else:
        assert merged(one, without).verdict.name == "READY"


@pytest.mark.parametrize(("name", "known"), [key for key in KEYS if key.values[0] in targets()])
def test_the_places_of_a_lab_are_its_runs_own_and_its_limits_are_not(
    name: str, known: KeyOf
) -> None:
    one, other = [
        run(id, *ids, values={name: {known.name: text}, "lab": {}}, run={"lab": ()})
        for id, ids, text in (("a", IDS[:2], "x"), ("b", IDS[2:], "y"))
    ]
    if known.key.use is Use.PLACE:
        assert merged(one, other).verdict.name == "READY"
    else:
        assert refused(one, other).startswith(f"[{name}] {known.name}: ")


def test_a_key_that_this_version_does_not_know_is_the_same_in_all_runs() -> None:
    one, other = [
        run(id, *ids, values={"kubernetes": {"heat": text}})
        for id, ids, text in (("a", IDS[:2], "1"), ("b", IDS[2:], "2"))
    ]
    assert refused(one, other) == "[kubernetes] heat: '1' in a (run a), '2' in b (run b)"


def test_a_system_that_is_not_known_here_is_merged_by_nobody() -> None:
    one = run("a", *IDS[:2], values={"toaster": {"max_heat": "1"}})
    said = "[toaster] is of a distribution that is not installed here"
    assert refused(one, run("b", *IDS[2:])) == said


def test_the_addresses_of_a_lab_are_its_runs_own() -> None:
    def of_lab(id: str, faults: str, *ids: str) -> Given:
        values = {
            "kubernetes": {"kubeconfig": f"/tmp/{id}"},
            "clickhouse": {"url": f"clickhouse+http://r@127.0.0.1:{len(id)}/risk"},
        }
        lab = {"lab": {"faults": faults}} if faults != "none" else {}
        return run(id, *ids, values={**values, **lab}, run={"lab": (faults,)})

    assert merged(of_lab("a", "x", *IDS[:2]), of_lab("bb", "x", *IDS[2:])).verdict.name == "READY"
    text = refused(of_lab("a", "x", *IDS[:2]), of_lab("bb", "y", *IDS[2:]))
    assert text == "[lab] faults: 'x' in a (run a), 'y' in bb (run bb)"
    real = refused(of_lab("a", "none", *IDS[:2]), of_lab("bb", "none", *IDS[2:]))
    assert "[kubernetes] kubeconfig: '/tmp/a'" in real


def test_refuses_two_clusters_of_one_environment() -> None:
    def said(id: str, uid: str, server: str) -> Given:
        made = run(id, *IDS)
        target = msgspec.structs.replace(
            made.report.target,
            identity={"kubernetes": f"server={server} uid={uid}"},
            same={"kubernetes": {"uid": uid}},
        )
        return msgspec.structs.replace(
            made, report=msgspec.structs.replace(made.report, target=target)
        )

    report = merged(said("a", "6f0c", "https://one"), said("b", "6f0c", "https://two"))
    assert report.target.identity == {
        "kubernetes": "server=https://one uid=6f0c; server=https://two uid=6f0c"
    }
    text = refused(said("a", "6f0c", "https://one"), said("b", "7777", "https://one"))
    assert text == "kubernetes: cluster 6f0c in a (run a), 7777 in b (run b)"
    assert report.target.same == {"kubernetes": {"uid": "6f0c"}}
    # Whole values: what has a space is no other system for its first word.
    text = refused(said("a", "shop eu", "https://one"), said("b", "shop us", "https://one"))
    assert text == "kubernetes: cluster shop eu in a (run a), shop us in b (run b)"


def _ini(**readiness: str) -> Main:
    values = {
        "readiness": {
            "system": "st-risk-platform",
            "environment": "production",
            "phase": "verification",
            "commit": sample.full().target.commit or "",
            "image": sample.full().target.image or "",
            **readiness,
        },
        "elsewhere": {"load-throughput": "staging"},
    }
    made = from_values(values, origin="readiness.ini", base=Path.cwd())
    return Main(
        environment="production",
        max_age=made.readiness.max_age,
        elsewhere=made.elsewhere,
        ini=made,
    )


def test_the_main_ini_decides_over_the_recorded_settings() -> None:
    recorded = {"readiness": {"max_age": "1h"}}
    main = run("a", *IDS[:3], placeholder(), hours=2, values=recorded)
    staging = run("s", "load-throughput", environment="staging")
    report = merged(main, staging, main=_ini(release="2.4.1", max_age="3h"))
    assert report.verdict.name == "READY"
    assert report.settings.values["readiness"]["max_age"] == "3h"
    assert report.settings.values["elsewhere"] == {"load-throughput": "staging"}
    assert refused(main, main=_ini(release="2.4.0")) == (
        "release: '2.4.0' in readiness.ini, '2.4.1' in a (run a)"
    )
    assert "release: none in readiness.ini" in refused(main, main=_ini())


# What no run leaves


@pytest.mark.parametrize(
    "evidence",
    [
        (),
        (sample.proof(examined=()),),
        (sample.proof(observed={}),),
        (sample.proof(expected={}), sample.proof(examined=())),
    ],
    ids=["none", "nothing examined", "nothing observed", "in two halves"],
)
def test_refuses_a_pass_without_evidence_by_name(evidence: tuple[EvidenceRecord, ...]) -> None:
    made = run("a", *IDS)
    items = tuple(
        msgspec.structs.replace(item, evidence=evidence) if item.id == "ch-disk" else item
        for item in made.report.items
    )
    bare = msgspec.structs.replace(made, report=msgspec.structs.replace(made.report, items=items))
    assert refused(bare) == "a (run a): ch-disk passes without evidence"
    elsewhere = run("b", "load-throughput", environment="production")
    assert "ch-disk passes without evidence" in refused(elsewhere, bare)


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.PASS])
def test_only_a_pass_needs_evidence(outcome: Outcome) -> None:
    bare = sample.item("ch-disk", outcome=outcome, reason="x", evidence=())
    report = merged(run("a", *IDS[:2], IDS[3]), run("b", bare))
    assert of(report, "ch-disk").outcome is outcome


# How shards ended
