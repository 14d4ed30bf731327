"""Clusters of the real engine: replicas that answer, and some that are really dead."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_readiness.lab.clickhouse import WORLD
from pytest_readiness.lab.clickhouse.process import ClickHouseProcess
from tests.servers.clickhouse_child import judge, settings_of
from tests.servers.clickhouse_servers import DEAD, LIVE, Engine, Judged, closed_ports, configure

SEEN = {"min_free_disk": "1B", "min_free_share": "0%", "min_replicas": "1"}
OTHERS = ("ch-replication", "ch-backup", "ch-disk")


@contextmanager
def cluster_of(folder: Path, shards: Sequence[Sequence[str]]) -> Iterator[tuple[Engine, int]]:
    """Run an engine with the hosts of each shard; `dead` is a host that refuses connections."""
    with closed_ports(2) as (own, dead):
        replicas = [[(DEAD, dead) if h == "dead" else (h, own) for h in shard] for shard in shards]
        configure(folder, own, replicas)
        with Engine(folder) as engine:
            engine.run(
                "CREATE DATABASE risk",
                "CREATE TABLE risk.t (a UInt64) ENGINE = MergeTree ORDER BY a",
            )
            yield engine, dead


@pytest.mark.parametrize(
    "shards",
    [
        [LIVE[:1]],
        [LIVE[:3]],
        [LIVE[:1], LIVE[1:2], LIVE[2:3]],
        [LIVE[:2], LIVE[2:4], LIVE[4:5]],
        [LIVE[:2], LIVE[1::-1]],  # circular: each server has a replica of both shards
    ],
)
def test_passes_when_every_replica_answers(tmp_path: Path, shards: list[tuple[str, ...]]) -> None:
    with cluster_of(tmp_path, shards) as (engine, _):
        judged = engine.judge(**SEEN)
    assert judged["ch-replicas"] == judged["ch-disk"] == Judged(outcome="pass")
    on = {host for shard in shards for host in shard}
    (finding,) = judged["ch-replication"].findings
    assert finding.startswith("table/risk.t is MergeTree, not replicated, on ")
    assert set(finding.partition(", on ")[2].split(", ")) == on


@pytest.mark.parametrize(
    "shards",
    [
        [[LIVE[0], "dead"]],
        [["dead", LIVE[0], LIVE[1]]],
        [[LIVE[0], LIVE[1]], ["dead", LIVE[2]]],
        [[LIVE[0]], ["dead"]],
    ],
)
def test_fails_and_names_the_replica_that_is_dead(tmp_path: Path, shards: list[list[str]]) -> None:
    with cluster_of(tmp_path, shards) as (engine, dead):
        judged = engine.judge(**SEEN)
    assert judged["ch-replicas"].outcome == "fail"
    assert [f.split(":")[0] for f in judged["ch-replicas"].findings] == [
        f"replica/{DEAD} does not answer"
    ]
    for item in OTHERS:
        assert (judged[item].outcome, judged[item].kind) == ("error", "unreachable")
        assert f"Connection refused ({DEAD}:{dead})" in judged[item].cause


def test_fails_and_names_each_of_two_dead_replicas(tmp_path: Path) -> None:
    with closed_ports(3) as (own, first, second):
        shards = [[(LIVE[0], own), (DEAD, first), (DEAD, second)]]
        configure(tmp_path, own, shards)
        with Engine(tmp_path) as engine:
            engine.run("CREATE DATABASE risk")
            judged = engine.judge(**SEEN)
    assert judged["ch-replicas"].findings == (
        f"replica/{DEAD}:{first} does not answer",
        f"replica/{DEAD}:{second} does not answer",
    )


def test_a_profile_that_skips_the_dead_is_overruled(tmp_path: Path) -> None:
    """The user's profile leaves the dead out of answers; no answer becomes complete by it."""
    skip = "<skip_unavailable_shards>1</skip_unavailable_shards>"
    with closed_ports(2) as (own, dead):
        configure(tmp_path, own, [[(LIVE[0], own), (DEAD, dead)]], profile=skip)
        with Engine(tmp_path) as engine:
            engine.run("CREATE DATABASE risk")
            rows = engine.run("SELECT _shard_num FROM clusterAllReplicas('risk', system.one)")
            judged = engine.judge(**SEEN)
    assert rows == "1\n"  # one of two, in silence
    assert judged["ch-replicas"].findings == (f"replica/{DEAD} does not answer",)
    assert {judged[item].outcome for item in OTHERS} == {"error"}
    assert f"{DEAD}:{dead}" in judged["ch-disk"].cause


def test_a_cluster_that_is_not_there_is_named_beside_those_that_are(tmp_path: Path) -> None:
    with cluster_of(tmp_path, [LIVE[:1]]) as (engine, _):
        judged = engine.judge(cluster="risc")
    for each in judged.values():
        assert (each.outcome, each.kind) == ("error", "not there")
        assert each.cause == "there is no cluster 'risc'; system.clusters has risk"


def test_what_the_client_sends_never_leaves_a_replica_out() -> None:
    """No statement says skip_unavailable_shards, and each request that counts says 0.

    The one exception is the question which replicas answer: who is missing there is compared with
    system.clusters and named.
    """
    with ClickHouseProcess(WORLD) as lab:
        hosts = ["ch-0", "ch-1", "ch-2"]
        at = lab.start([{"cluster": {"shards": [hosts], "dead": ["ch-2"]}}])
        section = {"url": at.url, "cluster": at.cluster, "backup_api": at.backup_api}
        judged = judge(settings_of(section))
        asked = [request for request in lab.requests() if "clusterAllReplicas" in request.query]
    assert judged["ch-replicas"]["findings"] == ["replica/ch-2 does not answer"]
    assert asked
    for request in asked:
        assert "skip_unavailable_shards" not in request.query
        liveness = request.query.startswith("SELECT _shard_num AS place FROM clusterAllReplicas")
        said = request.parameters["skip_unavailable_shards"]
        assert said == ("1" if liveness and "system.one" in request.query else "0")
