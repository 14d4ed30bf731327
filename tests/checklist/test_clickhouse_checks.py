"""The ClickHouse checks on facts made by hand: passing, failing with the right subject."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from pytest_readiness.checklist.check import NotApplicable
from pytest_readiness.checklist.infrastructure import test_clickhouse as checks
from pytest_readiness.errors import NothingExamined
from pytest_readiness.results.evidence import Evidence
from pytest_readiness.targets.clickhouse.facts import (
    Backup,
    BackupApi,
    Backups,
    BackupState,
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

LIMITS = ClickHouse(url="clickhouse+https://reader@ch.example.org/risk", cluster="risk")
NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
HOSTS = ("ch-0", "ch-1", "ch-2")


def findings(check: Any, *facts: object, limits: ClickHouse = LIMITS) -> dict[str, str]:
    """Run a check; return its findings by subject, empty where it passes."""
    evidence = Evidence()
    try:
        check(*facts, limits, evidence)
    except AssertionError:
        assert evidence.findings
    else:
        assert not evidence.findings
        assert evidence.missing() == []
    return {finding.subject: finding.problem for finding in evidence.findings}


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

    @pytest.mark.parametrize("engine", ["MergeTree", "Log", "Join", "EmbeddedRocksDB", "NewTree"])
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


def backup(name: str, hours: float | None, **values: Any) -> Backup:
    at = NOW - timedelta(hours=hours) if hours is not None else None
    return replace(
        Backup(
            host="ch-0",
            name=name,
            base="",
            state=BackupState.CREATED,
            started=at,
            ended=at,
            error="",
        ),
        **values,
    )


class TestBackup:
    check = staticmethod(checks.test_the_newest_backup_is_good_and_young)

    def found(self, *known: Backup, listed: Sequence[Backup] = ()) -> dict[str, str]:
        return findings(
            self.check,
            Backups(asked_at=NOW, sources=("system.backups",), backups=known),
            BackupApi(asked_at=NOW, url="http://ch:7171", backups=tuple(listed)),
        )

    def test_passes_when_the_newest_is_young(self) -> None:
        assert self.found(backup("a", 30), backup("b", 23.9)) == {}

    def test_passes_when_clickhouse_backup_has_it(self) -> None:
        assert self.found(backup("a", 30), listed=[backup("b", 2)]) == {}

    def test_fails_when_there_is_none(self) -> None:
        assert self.found() == {"cluster/risk": "has no complete backup"}

    def test_fails_and_names_an_old_one(self) -> None:
        assert self.found(backup("a", 30)) == {
            "backup/a": "is the newest good one and 30 h old, more than 24 h"
        }

    def test_judges_the_age_at_the_time_of_asking(self) -> None:
        later = Backups(
            asked_at=NOW + timedelta(hours=23), sources=("s",), backups=(backup("a", 2),)
        )
        api = BackupApi(asked_at=NOW, url=None, backups=())
        assert set(findings(self.check, later, api)) == {"backup/a"}

    def test_fails_and_names_one_that_failed_after_a_good_one(self) -> None:
        failed = backup("b", 1, state=BackupState.FAILED, error="Code 499: Access Denied")
        assert self.found(backup("a", 2), failed) == {
            "backup/b": "failed at 2026-11-24T05:00:00.000Z: Code 499: Access Denied"
        }

    def test_passes_when_a_good_one_followed_the_failed_one(self) -> None:
        assert self.found(backup("a", 2, state=BackupState.FAILED), backup("b", 1)) == {}

    def test_fails_and_names_a_failed_one_without_a_date(self) -> None:
        found = self.found(backup("a", 2), backup("b", None, state=BackupState.FAILED))
        assert found == {"backup/b": "failed at an unknown time"}

    def test_passes_while_another_one_runs(self) -> None:
        assert self.found(backup("a", 2), backup("b", 0.5, state=BackupState.RUNNING)) == {}

    def test_does_not_count_one_that_runs(self) -> None:
        running = backup("b", 0.5, state=BackupState.RUNNING, ended=None)
        assert self.found(running) == {"cluster/risk": "has no complete backup"}

    def test_passes_when_the_chain_is_whole(self) -> None:
        full = backup("Disk('b', 'full')", 60)
        assert self.found(full, backup("i", 2, base="Disk('b','full')")) == {}

    @pytest.mark.parametrize("state", [BackupState.FAILED, BackupState.RUNNING, None])
    def test_fails_and_names_an_increment_without_its_base(self, state: BackupState | None) -> None:
        base = (backup("full", 60, state=state),) if state else ()
        found = self.found(*base, backup("i1", 30, base="full"), backup("i2", 2, base="i1"))
        assert found["cluster/risk"] == "has no complete backup"
        assert found["backup/i1"].startswith("cannot be restored: its base full ")
        assert found["backup/i2"].startswith("cannot be restored: its base full ")

    def test_fails_when_increments_go_in_a_circle(self) -> None:
        found = self.found(backup("a", 3, base="b"), backup("b", 2, base="a"))
        assert set(found) == {"cluster/risk", "backup/a", "backup/b"}

    def test_passes_when_a_whole_chain_is_younger_than_a_broken_one(self) -> None:
        assert self.found(backup("lost", 3, base="gone"), backup("full", 2)) == {}

    def test_fails_and_names_one_from_the_future(self) -> None:
        found = self.found(backup("a", 2), backup("b", -2))
        assert found == {"backup/b": "is dated 2 h in the future: a clock is wrong"}

    def test_passes_when_clocks_differ_by_seconds(self) -> None:
        assert self.found(backup("a", -0.01)) == {}


def disk(host: str, name: str, free: int, total: int, **values: Any) -> Disk:
    return replace(
        Disk(
            host=host,
            name=name,
            path="/",
            type="Local",
            free=free * 10**9,
            total=total * 10**9,
            unreserved=free * 10**9,
            remote=False,
            broken=False,
            read_only=False,
        ),
        **values,
    )


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
