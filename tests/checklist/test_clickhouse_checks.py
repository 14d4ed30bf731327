"""The ClickHouse checks on facts made by hand: passing, failing with the right subject."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from pytest_readiness.checklist.check import NotApplicable
from pytest_readiness.checklist.infrastructure import test_clickhouse as checks
from pytest_readiness.errors import NothingExamined
from pytest_readiness.targets.clickhouse.facts import (
    Disk,
    Disks,
    Replica,
    Replicas,
    ReplicatedTable,
    Replication,
    Table,
    Tables,
)
from pytest_readiness.targets.clickhouse.section import ClickHouse
from tests.checklist.clickhouse_facts import HOSTS, LIMITS, disk, findings


class TestReplicas:
    check = staticmethod(checks.test_every_shard_has_enough_replicas_that_answer)

    @staticmethod
    def shard(number: int, *hosts: str) -> tuple[Replica, ...]:
        return tuple(
            Replica(shard=number, number=n, host=host, port=9000, errors=0, answers=True)
            for n, host in enumerate(hosts, 1)
        )

    def test_passes_when_every_shard_has_three(self) -> None:
        replicas = (*self.shard(1, *HOSTS), *self.shard(2, "a", "b", "c"))
        assert findings(self.check, Replicas(cluster="risk", replicas=replicas)) == {}

    def test_fails_and_names_the_shard_that_is_short(self) -> None:
        replicas = (*self.shard(1, *HOSTS), *self.shard(2, "a", "b"))
        found = findings(self.check, Replicas(cluster="risk", replicas=replicas))
        assert found == {"shard/2": "has 2 replicas, fewer than 3"}

    def test_fails_when_one_server_is_listed_three_times(self) -> None:
        found = findings(
            self.check, Replicas(cluster="risk", replicas=self.shard(1, "ch-0", "ch-0", "ch-0"))
        )
        assert found == {"shard/1": "has 1 replica, fewer than 3"}

    def test_passes_when_fewer_are_asked_for(self) -> None:
        replicas = Replicas(cluster="risk", replicas=self.shard(1, "ch-0"))
        assert findings(self.check, replicas, limits=replace(LIMITS, min_replicas=1)) == {}

    def test_fails_and_names_the_replica_that_does_not_answer(self) -> None:
        one, two, three = self.shard(1, *HOSTS)
        replicas = (replace(one, answers=None), replace(two, answers=False, errors=3), three)
        found = findings(self.check, Replicas(cluster="risk", replicas=replicas))
        assert found == {"replica/ch-1": "does not answer"}

    def test_fails_and_names_the_replica_with_errors(self) -> None:
        one, two, three = self.shard(1, *HOSTS)
        replicas = (one, two, replace(three, errors=1))
        found = findings(self.check, Replicas(cluster="risk", replicas=replicas))
        assert found == {"replica/ch-2": "could not be reached 1 time lately (errors_count)"}


def tables(name: str, engine: str, hosts: Sequence[str] = HOSTS) -> tuple[Table, ...]:
    return tuple(
        Table(host=host, shard=1, database="risk", name=name, engine=engine) for host in hosts
    )


def states(name: str, hosts: Sequence[str] = HOSTS) -> tuple[ReplicatedTable, ...]:
    return tuple(
        ReplicatedTable(
            host=host,
            database="risk",
            table=name,
            readonly=False,
            session_expired=False,
            active_replicas=3,
            total_replicas=3,
            queue=0,
            delay=0,
            exception="",
            oldest_failure="",
        )
        for host in hosts
    )


class TestReplication:
    check = staticmethod(checks.test_every_table_is_replicated_and_its_replicas_agree)
    TRADES = tables("trades", "ReplicatedMergeTree")

    def found(
        self,
        listed: Sequence[Table],
        replicated: Sequence[ReplicatedTable],
        limits: ClickHouse = LIMITS,
    ) -> dict[str, str]:
        return findings(
            self.check,
            Tables(database="risk", hosts={1: HOSTS}, tables=tuple(listed)),
            Replication(database="risk", tables=tuple(replicated)),
            limits=limits,
        )

    def change(self, host: str, **values: object) -> list[ReplicatedTable]:
        return [
            replace(state, **values) if state.host == host else state for state in states("trades")
        ]

    def test_passes_when_all_replicas_follow(self) -> None:
        assert self.found(self.TRADES, states("trades")) == {}

    def test_passes_at_the_limits(self) -> None:
        assert self.found(self.TRADES, self.change("ch-1", queue=20, delay=60)) == {}

    def test_fails_and_names_the_table_that_a_shard_lacks(self) -> None:
        two = [replace(table, host="ch-3", shard=2) for table in self.TRADES[:1]]
        limits, hosts = tables("limits", "ReplicatedMergeTree"), {1: HOSTS, 2: ("ch-3",)}
        follows = [*states("trades"), *states("trades", ["ch-3"]), *states("limits")]
        found = findings(
            self.check,
            Tables(database="risk", hosts=hosts, tables=(*self.TRADES, *two, *limits)),
            Replication(database="risk", tables=tuple(follows)),
        )
        assert found == {"table/risk.limits": "is on shard 1 and not on shard 2"}

    @pytest.mark.parametrize(
        "engine", ["MergeTree", "Log", "Join", "EmbeddedRocksDB", "NewTree", "Buffer"]
    )
    def test_fails_and_names_a_table_that_is_not_replicated(self, engine: str) -> None:
        found = self.found([*self.TRADES, *tables("raw", engine)], states("trades"))
        assert found == {
            "table/risk.raw": f"is {engine}, not replicated, on ch-0, ch-1, ch-2",
        }

    @pytest.mark.parametrize("name", ["raw", "risk.raw"])
    def test_passes_when_it_is_excluded_by_name(self, name: str) -> None:
        limits = replace(LIMITS, replicated_exclude=(name,))
        listed = [*self.TRADES, *tables("raw", "MergeTree")]
        assert self.found(listed, states("trades"), limits) == {}

    @pytest.mark.parametrize("engine", ["View", "MaterializedView", "Dictionary", "Distributed"])
    def test_does_not_ask_what_holds_no_data(self, engine: str) -> None:
        listed = [*self.TRADES, *tables("other", engine, ["ch-0"])]
        assert self.found(listed, states("trades")) == {}

    def test_judges_the_inner_table_of_a_materialized_view(self) -> None:
        listed = [*self.TRADES, *tables(".inner.v", "SummingMergeTree")]
        assert set(self.found(listed, states("trades"))) == {"table/risk..inner.v"}

    def test_passes_when_a_cloud_engine_shares_its_parts(self) -> None:
        assert self.found(tables("trades", "SharedMergeTree"), []) == {}

    def test_fails_and_names_the_replica_without_the_table(self) -> None:
        found = self.found(
            tables("trades", "ReplicatedMergeTree", HOSTS[:2]), states("trades", HOSTS[:2])
        )
        assert found == {"table/risk.trades@ch-2": "is missing here and on ch-0, ch-1"}

    def test_fails_and_names_a_table_without_state(self) -> None:
        found = self.found(self.TRADES, states("trades", HOSTS[:2]))
        assert found == {
            "table/risk.trades@ch-2": "is ReplicatedMergeTree and not in system.replicas"
        }

    @pytest.mark.parametrize(
        ("values", "problem"),
        [
            ({"readonly": True}, "is read-only"),
            (
                {"readonly": True, "exception": "Code 999: No node"},
                "is read-only: Code 999: No node",
            ),
            ({"session_expired": True}, "has lost its Keeper session"),
            ({"active_replicas": 2}, "sees 2 of 3 replicas active"),
            ({"queue": 21}, "has 21 entries in its queue, more than 20"),
            (
                {"queue": 21, "oldest_failure": "Code 234: No active replica"},
                "has 21 entries in its queue, more than 20; the oldest says "
                "Code 234: No active replica",
            ),
            ({"delay": 61}, "is 61 s behind, more than 60 s"),
        ],
    )
    def test_fails_and_names_the_replica(self, values: dict[str, object], problem: str) -> None:
        found = self.found(self.TRADES, self.change("ch-1", **values))
        assert found == {"table/risk.trades@ch-1": problem}

    def test_fails_and_names_replicas_that_do_not_know_each_other(self) -> None:
        # Each with a Keeper path of its own: all of them healthy, and nothing is replicated.
        alone = [replace(state, active_replicas=1, total_replicas=1) for state in states("trades")]
        found = self.found(self.TRADES, alone)
        assert set(found) == {f"table/risk.trades@{host}" for host in HOSTS}
        assert (
            "is registered with 1 of the 3 replicas of its shard" in found["table/risk.trades@ch-0"]
        )

    def test_does_not_pass_on_a_database_without_tables(self) -> None:
        with pytest.raises(NothingExamined):
            self.found(tables("v", "View"), [])


class TestDisk:
    check = staticmethod(checks.test_every_disk_of_every_replica_has_room)

    def found(self, *disks: Disk) -> dict[str, str]:
        return findings(self.check, Disks(disks=disks))

    def test_passes_when_every_tier_has_room(self) -> None:
        assert self.found(disk("ch-0", "hot", 100, 1000), disk("ch-0", "cold", 900, 9000)) == {}

    def test_fails_and_names_the_full_disk_of_one_replica(self) -> None:
        found = self.found(*(disk(host, "default", 400, 1000) for host in HOSTS[:2]),
                           disk("ch-2", "default", 2, 1000))  # fmt: skip
        assert found == {
            "disk/ch-2/default": "has 2 GB free, less than 100 GB and 0.2% free, less than 10%"
        }

    def test_fails_and_names_the_tier_with_too_small_a_share(self) -> None:
        found = self.found(disk("ch-0", "hot", 400, 1000), disk("ch-0", "cold", 300, 4000))
        assert found == {"disk/ch-0/cold": "has 7.5% free, less than 10%"}

    def test_fails_and_names_a_small_disk(self) -> None:
        assert self.found(disk("ch-0", "default", 99, 100)) == {
            "disk/ch-0/default": "has 99 GB free, less than 100 GB"
        }

    def test_does_not_apply_to_an_object_store(self) -> None:
        store = replace(disk("ch-0", "s3", 0, 0), remote=True, free=2**64 - 1, total=2**64 - 1)
        assert self.found(store, disk("ch-0", "default", 400, 1000)) == {}
        with pytest.raises(NotApplicable, match="object store"):
            self.found(store)

    def test_judges_a_remote_disk_that_has_a_size(self) -> None:
        found = self.found(disk("ch-0", "nfs", 2, 1000, remote=True))
        assert set(found) == {"disk/ch-0/nfs"}

    def test_does_not_apply_to_a_remote_disk_that_is_read_only(self) -> None:
        web = disk("ch-0", "web", 0, 0, read_only=True, remote=True)
        assert self.found(web, disk("ch-0", "default", 400, 1000)) == {}
        with pytest.raises(NotApplicable, match="remote and read-only"):
            self.found(web)

    @pytest.mark.parametrize("others", [0, 1])
    def test_fails_and_names_a_local_disk_that_is_read_only(self, others: int) -> None:
        stuck = disk("ch-0", "default", 400, 1000, read_only=True)
        assert self.found(stuck, *[disk("ch-1", "default", 400, 1000)] * others) == {
            "disk/ch-0/default": "is read-only (is_read_only): the server cannot write to it"
        }

    def test_fails_and_names_a_disk_whose_free_space_is_all_reserved(self) -> None:
        found = self.found(disk("ch-0", "a", 400, 1000), disk("ch-0", "b", 400, 1000, unreserved=0))
        assert found == {
            "disk/ch-0/b": "has 400 GB free, and all of it is reserved (unreserved_space 0)"
        }

    def test_fails_and_names_a_broken_disk_and_one_of_unknown_size(self) -> None:
        broken = disk("ch-0", "b", 400, 1000, broken=True)
        assert self.found(broken, disk("ch-0", "u", 0, 0)) == {
            "disk/ch-0/b": "is broken (is_broken)",
            "disk/ch-0/u": "has an unknown size (total_space 0)",
        }
