"""Nodes, backups and replicas of generated worlds, against oracles that are slow and plain."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from pytest_readiness.checklist.infrastructure import test_clickhouse as clickhouse
from pytest_readiness.checklist.infrastructure import test_kubernetes as kubernetes
from pytest_readiness.results.evidence import Evidence
from pytest_readiness.targets.clickhouse.facts import (
    Backup,
    BackupApi,
    Backups,
    BackupState,
    Disks,
    ReplicatedTable,
    Replication,
    Table,
    Tables,
)
from pytest_readiness.targets.kubernetes.facts import Node, Nodes
from pytest_readiness.targets.kubernetes.section import Kubernetes
from tests.checklist.clickhouse_facts import LIMITS, NOW, disk
from tests.properties import bounded


def fails(check: Callable[..., None], *facts: Any) -> bool:
    """Say whether a check finds something."""
    evidence = Evidence()
    with suppress(AssertionError):
        check(*facts, evidence)
    return bool(evidence.findings)


# ---- nodes: every quantity is written out in thousandths of a core, bytes, pods

CORES = {"0": 0, "100m": 100, "3199m": 3199, "3.2": 3200, "3999m": 3999, "4": 4000, "4e0": 4000}
BYTES = {
    "0": 0,
    "64Mi": 64 * 1024**2,
    "6399999999": 6_399_999_999,
    "6400M": 6_400_000_000,
    "7812499Ki": 7_999_998_976,
    "8G": 8_000_000_000,
    "8Gi": 8 * 1024**3,
    "8e9": 8_000_000_000,
}
COUNTS = {"0": 0, "1": 1, "110": 110}
K8S = Kubernetes(
    namespace="shop",
    context="prod",
    min_nodes=2,
    node_cpu=Decimal(4),
    node_memory=8_000_000_000,
    max_node_reserve=0.2,
)


def counts(node: Node) -> bool:
    """Judge a node by the words of its item, in whole numbers."""
    assert node.cpu_capacity is not None
    assert node.memory_capacity is not None
    assert node.pods_capacity is not None
    cores = CORES[node.cpu_allocatable or node.cpu_capacity]
    size = BYTES[node.memory_allocatable or node.memory_capacity]
    if COUNTS[node.pods_allocatable or node.pods_capacity] == 0:
        return False
    if cores >= 4000 and size >= 8_000_000_000:
        return True
    sold_as = CORES[node.cpu_capacity] >= 4000 and BYTES[node.memory_capacity] >= 8_000_000_000
    return sold_as and cores * 10 >= 4000 * 8 and size * 10 >= 8_000_000_000 * 8


NODES = st.builds(
    Node,
    name=st.just(""),
    zone=st.none(),
    cordoned=st.just(False),
    deleting=st.just(False),
    conditions=st.just({"Ready": "True"}),
    taints=st.just(()),
    cpu_capacity=st.sampled_from(sorted(CORES)),
    cpu_allocatable=st.none() | st.sampled_from(sorted(CORES)),
    memory_capacity=st.sampled_from(sorted(BYTES)),
    memory_allocatable=st.none() | st.sampled_from(sorted(BYTES)),
    pods_capacity=st.sampled_from(sorted(COUNTS)),
    pods_allocatable=st.none() | st.sampled_from(sorted(COUNTS)),
)


@bounded(300)
@given(st.lists(NODES, min_size=1, max_size=4))
def test_too_few_nodes_count_exactly_when_the_oracle_says_so(nodes: list[Node]) -> None:
    check = kubernetes.test_enough_nodes_are_ready_and_large_enough
    named = tuple(replace(node, name=f"n{at}") for at, node in enumerate(nodes))
    failed = fails(check, Nodes(items=named, unreadable=()), K8S)
    assert failed == (sum(map(counts, nodes)) < 2)


# ---- backups: what is left when the servers of a shard are gone

HOSTS: dict[int, tuple[str, ...]] = {1: ("a1", "a2"), 2: ("b1",)}
NAMES = ["one", "two", "three", "four"]
AWAY = [("S3", ""), ("Disk", "store")]
HERE = [("Disk", "default"), ("Null", ""), ("File", "")]


def made(name: str, host: str, at: datetime, **more: Any) -> Backup:
    """Return a good full backup of that moment, but for what else is said."""
    good = Backup(
        host=host,
        name=name,
        base="",
        state=BackupState.CREATED,
        started=at - timedelta(hours=1),
        ended=at,
        error="",
        destination="S3",
        disk="",
        files=7,
        on_cluster=False,
    )
    return replace(good, **more)


@st.composite
def histories(draw: st.DrawFn) -> list[Backup]:
    found = []
    if draw(st.booleans()):  # half of them begin well
        ended = NOW - timedelta(hours=draw(st.integers(1, 24)))
        found.append(made("good", "a1", ended, on_cluster=True))
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4)):
        ended = NOW - timedelta(hours=draw(st.integers(1, 40)))
        destination, of_disk = draw(st.sampled_from([*AWAY, *AWAY, *HERE]))
        state = draw(st.sampled_from([BackupState.CREATED] * 3 + list(BackupState)))
        found.append(
            made(
                name,
                draw(st.sampled_from(["a1", "a2", "b1"])),
                ended,
                base=draw(st.sampled_from(["", "", *NAMES, "good", "unknown"])),
                state=state,
                ended=None if state is BackupState.RUNNING else ended,
                destination=destination,
                disk=of_disk,
                files=draw(st.sampled_from([0, 7, 7, 7, None])),
                on_cluster=draw(st.booleans()),
            )
        )
    return found


def restorable(name: str, known: list[Backup], depth: int = 0) -> bool:
    """Restore a backup step by step: fetch it, then its base, until a full one."""
    found = [backup for backup in known if backup.name == name]
    if not found or depth > len(known):
        return False
    (backup,) = found
    survives = backup.destination == "S3" or backup.disk == "store"
    if backup.state is not BackupState.CREATED or backup.files == 0 or not survives:
        return False
    return not backup.base or restorable(backup.base, known, depth + 1)


def data_is_safe(known: list[Backup]) -> bool:
    """Lose each shard in turn: is there a backup of the last day, and nothing wrong since?"""
    for hosts in HOSTS.values():
        mine = [backup for backup in known if backup.on_cluster or backup.host in hosts]
        good = [backup.ended for backup in mine if restorable(backup.name, known)]
        newest = max((ended for ended in good if ended is not None), default=None)
        if newest is None or NOW - newest > timedelta(hours=24):
            return False
        for backup in mine:
            moment = backup.ended or backup.started
            assert moment is not None
            worthless = backup.files == 0 or (backup.destination, backup.disk) in HERE
            lost = backup.state is BackupState.CREATED and not restorable(backup.name, known)
            if moment > newest and (backup.state is BackupState.FAILED or (lost and not worthless)):
                return False
    running = [backup for backup in known if backup.state is BackupState.RUNNING]
    return not any(NOW - b.started > timedelta(hours=24) for b in running if b.started is not None)


@bounded(500)
@given(histories())
def test_backups_fail_exactly_when_a_lost_shard_could_not_be_restored(known: list[Backup]) -> None:
    check = clickhouse.test_the_newest_backup_is_good_and_young
    hosts = [host for of_shard in HOSTS.values() for host in of_shard]
    stores = (disk(host, "store", 0, 0, remote=True) for host in hosts)
    failed = fails(
        check,
        Backups(asked_at=NOW, sources=("system.backups",), hosts=HOSTS, backups=tuple(known)),
        BackupApi(asked_at=NOW, url=None, backups=()),
        Disks(disks=(*stores, *(disk(host, "default", 400, 1000) for host in hosts))),
        LIMITS,
    )
    assert failed == (not data_is_safe(known))


# ---- replicas: kill any one server; is every row of every table still there, and young?

ILL: list[dict[str, Any]] = [{}, {}, {}, {"readonly": True}, {"queue": 21}, {"delay": 61}]
ENGINES = ["ReplicatedMergeTree", "ReplicatedMergeTree", "MergeTree", "Buffer", "View"]


def following(host: str, table: str, replicas: int) -> ReplicatedTable:
    return ReplicatedTable(
        host=host,
        database="risk",
        table=table,
        readonly=False,
        session_expired=False,
        active_replicas=replicas,
        total_replicas=replicas,
        queue=0,
        delay=0,
        exception="",
        oldest_failure="",
    )


@st.composite
def clusters(draw: st.DrawFn) -> tuple[Tables, Replication]:
    tables, states = [], []
    planned = {host: len(of_shard) for of_shard in HOSTS.values() for host in of_shard}
    for name in ("trades", "limits"):
        engine = draw(st.sampled_from(ENGINES))
        absent = draw(st.sampled_from([(), (), ("a2",), ("b1",), ("a1", "a2"), tuple(planned)]))
        ill = draw(st.sampled_from(ILL))
        hit = draw(st.sampled_from(sorted(planned)))
        for shard, hosts in HOSTS.items():
            for host in (host for host in hosts if host not in absent):
                tables.append(
                    Table(host=host, shard=shard, database="risk", name=name, engine=engine)
                )
                if engine.startswith("Replicated"):
                    state = following(host, name, planned[host])
                    states.append(replace(state, **ill) if host == hit else state)
    return (
        Tables(database="risk", hosts=HOSTS, tables=tuple(tables)),
        Replication(database="risk", tables=tuple(states)),
    )


def whole_everywhere(tables: Tables, replication: Replication) -> bool:
    """Go from server to server: each has every table, replicates it, and is up to date."""
    names = {table.name for table in tables.tables if table.engine != "View"}
    for hosts in HOSTS.values():
        for host in hosts:
            for name in names:
                here = [t for t in tables.tables if (t.host, t.name) == (host, name)]
                state = [s for s in replication.tables if (s.host, s.table) == (host, name)]
                if len(here) != 1 or here[0].engine != "ReplicatedMergeTree" or len(state) != 1:
                    return False
                if state[0].readonly or state[0].queue > 20 or state[0].delay > 60:
                    return False
    return True


@bounded(300)
@given(clusters())
def test_replication_fails_exactly_when_a_server_lacks_rows(
    world: tuple[Tables, Replication],
) -> None:
    tables, replication = world
    check = clickhouse.test_every_table_is_replicated_and_its_replicas_agree
    assume(any(table.engine != "View" for table in tables.tables))  # else nothing is examined
    assert fails(check, tables, replication, LIMITS) == (not whole_everywhere(*world))
