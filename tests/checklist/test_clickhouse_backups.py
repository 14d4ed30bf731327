"""ch-backup on facts made by hand: which backups count, for which shard, and what is wrong."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from pytest_readiness.checklist.infrastructure import test_clickhouse as checks
from pytest_readiness.targets.clickhouse.facts import (
    Backup,
    BackupApi,
    Backups,
    BackupState,
    Disks,
)
from tests.checklist.clickhouse_facts import HOSTS, NOW, disk, findings


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
            destination="S3",
            disk="",
            files=11,
            on_cluster=False,
        ),
        **values,
    )


STORES = Disks(
    disks=(
        *(disk(host, "default", 400, 1000) for host in HOSTS),
        *(disk(host, "store", 0, 0, remote=True) for host in HOSTS),
    )
)
ONE: dict[int, tuple[str, ...]] = {1: HOSTS}
TWO = ONE | {2: ("ch-3", "ch-4", "ch-5")}


class TestBackup:
    check = staticmethod(checks.test_the_newest_backup_is_good_and_young)

    def found(
        self,
        *known: Backup,
        listed: Sequence[Backup] = (),
        hosts: dict[int, tuple[str, ...]] = ONE,
    ) -> dict[str, str]:
        return findings(
            self.check,
            Backups(asked_at=NOW, sources=("system.backups",), hosts=hosts, backups=known),
            BackupApi(asked_at=NOW, url="http://ch:7171", backups=tuple(listed)),
            STORES,
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
            asked_at=NOW + timedelta(hours=23), sources=("s",), hosts=ONE, backups=(backup("a", 2),)
        )
        api = BackupApi(asked_at=NOW, url=None, backups=())
        assert set(findings(self.check, later, api, STORES)) == {"backup/a"}

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

    @pytest.mark.parametrize(
        ("values", "problem"),
        [
            ({"destination": "Null"}, "was made to Null, which keeps nothing"),
            ({"destination": "Memory"}, "was made to Memory, which keeps nothing"),
            ({"files": 0}, "holds no file"),
            (
                {"destination": "Disk", "disk": "default"},
                "lies on disk default of ch-0, the server that it saves",
            ),
            ({"destination": "Disk", "disk": "gone"}, "lies on disk gone, which ch-0 has not"),
            (
                {"destination": "File"},
                "lies in File, not known to be away from the server it saves",
            ),
            ({"destination": "local"}, "lies in local, not known to be away from the server it s"),
            ({"destination": ""}, "lies in a place unknown, not known to be away from the server"),
        ],
    )
    def test_fails_and_names_a_backup_that_saves_nothing(
        self, values: dict[str, Any], problem: str
    ) -> None:
        nothing = backup("a", 2, **values)
        found = self.found(nothing)
        assert found.pop("cluster/risk") == "has no complete backup"
        assert list(found) == ["backup/a"]
        assert found["backup/a"].startswith(problem)
        # Beside one that counts it harms nobody; beside an old one it is named.
        assert self.found(backup("b", 5), nothing) == {}
        assert list(self.found(backup("b", 30), nothing)) == ["backup/b", "backup/a"]

    @pytest.mark.parametrize(
        "values",
        [
            {"destination": "AzureBlobStorage"},
            {"destination": "Disk", "disk": "store"},
            {"destination": "remote", "files": None},
        ],
    )
    def test_passes_when_it_lies_elsewhere(self, values: dict[str, Any]) -> None:
        assert self.found(backup("a", 2, **values)) == {}

    def test_fails_and_names_an_increment_of_a_base_that_saves_nothing(self) -> None:
        found = self.found(backup("full", 40, destination="Null"), backup("i", 2, base="full"))
        assert found["backup/i"].startswith("cannot be restored: its base full is not among")
        assert found["backup/full"] == "was made to Null, which keeps nothing"

    def test_fails_and_names_a_backup_that_does_not_end(self) -> None:
        running = backup("b", 40, state=BackupState.RUNNING, ended=None)
        assert self.found(backup("a", 2), running) == {
            "backup/b": "has run for 40 h, more than 24 h"
        }
        assert self.found(backup("a", 2), replace(running, started=NOW - timedelta(hours=5))) == {}

    def test_fails_and_names_the_shard_that_nobody_backs_up(self) -> None:
        problem = "has no complete backup: none of its servers made one that counts, nor one ON CL"
        found = self.found(backup("a", 2), hosts=TWO)
        assert list(found) == ["shard/2"]
        assert found["shard/2"].startswith(problem)
        assert list(self.found(backup("a", 2, host="ch-4"), hosts=TWO)) == ["shard/1"]

    def test_passes_when_each_shard_has_one_or_one_is_of_the_cluster(self) -> None:
        assert self.found(backup("a", 2), backup("b", 3, host="ch-4"), hosts=TWO) == {}
        assert self.found(backup("a", 2, on_cluster=True), hosts=TWO) == {}

    def test_fails_and_names_the_old_backup_of_one_shard(self) -> None:
        found = self.found(backup("a", 2), backup("b", 30, host="ch-4"), hosts=TWO)
        assert found == {"backup/b": "is the newest good one and 30 h old, more than 24 h"}

    def test_fails_and_names_one_that_failed_on_a_shard_while_another_has_a_younger(self) -> None:
        failed = backup("c", 3, host="ch-4", state=BackupState.FAILED)
        found = self.found(backup("a", 2), backup("b", 5, host="ch-4"), failed, hosts=TWO)
        assert list(found) == ["backup/c"]

    @pytest.mark.parametrize(("host", "shard"), [("ch-0", 2), ("ch-4", 1), ("10.0.0.7", None)])
    def test_counts_clickhouse_backup_for_the_shard_of_its_host(
        self, host: str, shard: int | None
    ) -> None:
        made = backup("a", 2, host=f"https://{host}:7171", destination="remote")
        expected = f"shard/{shard}" if shard else "cluster/risk"
        assert list(self.found(listed=[made], hosts=TWO)) == [expected]
        assert self.found(listed=[made]) == {}
