"""What ClickHouse is asked, and what its faults say in words."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_readiness.lab.clickhouse import WORLD
from pytest_readiness.lab.clickhouse.process import ClickHouseProcess
from pytest_readiness.lab.reference import load_faults
from pytest_readiness.results.evidence import Outcome
from pytest_readiness.settings import Settings, from_values
from tests import judging
from tests.asking import connect

ITEMS = judging.items("clickhouse")
FAULTS = load_faults(WORLD.parents[2] / "faults" / "clickhouse.yaml")
HEALTHY = dict.fromkeys(ITEMS, Outcome.PASS)


class Judged(NamedTuple):
    outcomes: dict[str, Outcome]
    errors: dict[str, str]


@pytest.fixture(scope="module")
def lab() -> Iterator[ClickHouseProcess]:
    with ClickHouseProcess(WORLD) as process:
        yield process


def settings(url: str, cluster: str, backup_api: str) -> Settings:
    values = {
        "readiness": {
            "system": "st-risk-platform",
            "environment": "lab",
            "phase": "verification",
            "timeout": "2s",
        },
        "clickhouse": {"url": url, "cluster": cluster, "backup_api": backup_api},
    }
    return from_values(values, origin="test", base=Path())


def judge(lab: ClickHouseProcess, changes: Sequence[dict[str, Any]]) -> Judged:
    """Ask every question of the changed world once and judge the four items on the answers."""
    at = lab.start(changes)
    chosen = settings(at.url, at.cluster, at.backup_api)
    judged = Judged({}, {})
    client = connect(chosen, "clickhouse")
    for item in ITEMS:
        found = judging.judge_item("clickhouse", item, client, chosen.targets["clickhouse"])
        judged.outcomes[item] = found.outcome
        if found.error is not None:
            judged.errors[item] = f"{found.error} {getattr(found.error, 'advice', '')}".rstrip()
    client.close()
    return judged


def test_asks_few_queries_and_all_of_them_read_only(lab: ClickHouseProcess) -> None:
    judge(lab, [])
    asked = [request for request in lab.requests() if request.query]
    opening, questions = asked[:3], asked[3:]
    assert [request.query.split("\n")[0] for request in opening] == [
        "SELECT version(), timezone()",
        "SELECT name, value, readonly FROM system.settings LIMIT 10000",
        "SELECT 1 AS check",
    ]
    # clusters, one, grant, tables, replicas, queue, log, backups, and disks for each of two items:
    # a run asks that once.
    assert len(questions) == 10
    for request in questions:
        assert request.query.startswith(("SELECT ", "CHECK GRANT "))
        assert request.parameters["readonly"] == "1"
        assert request.parameters["max_execution_time"] == "1"
        assert request.parameters["log_comment"] == "run-1"
        assert request.headers["x-readiness-run"] == "run-1"
        assert request.headers["user-agent"].startswith("pytest-readiness/")
        hides = request.parameters["skip_unavailable_shards"]
        assert hides == ("1" if "system.one" in request.query else "0")


def test_a_dead_replica_is_named_by_each_error(lab: ClickHouseProcess) -> None:
    judged = judge(lab, FAULTS["ch-replica-dead"].changes["clickhouse"])
    for item in ("ch-replication", "ch-backup", "ch-disk"):
        assert "Connection refused (ch-2.ch.st-risk.svc:9000)" in judged.errors[item]


def test_a_missing_grant_is_printed(lab: ClickHouseProcess) -> None:
    judged = judge(lab, FAULTS["ch-disks-forbidden"].changes["clickhouse"])
    assert judged.errors["ch-disk"].endswith(
        " GRANT SELECT(name, path, type, free_space, total_space) ON system.disks TO reader;"
    )


def test_a_backup_that_runs_neither_counts_nor_fails(lab: ClickHouseProcess) -> None:
    running = (
        "INSERT INTO lab.{} (place, id, name, status, start_time) VALUES "
        "(1, 'b9', 'Disk(\\'backups\\', \\'risk-9\\')', 'CREATING_BACKUP', now64(6))"
    )
    changes = [{"sql": running.format("backups")}, {"sql": running.format("backup_log")}]
    assert judge(lab, changes).outcomes == HEALTHY


def test_a_log_that_one_replica_lacks_is_read_where_it_is(lab: ClickHouseProcess) -> None:
    lacking = {
        "query": "clusterAllReplicas('risk', system.backup_log)",
        "status": 404,
        "code": 60,
        "body": "Code: 60. DB::Exception: Received from ch-1:9000. DB::Exception: Table "
        "system.backup_log does not exist. (UNKNOWN_TABLE) (version 26.5.1.1)",
    }
    assert judge(lab, [{"answer": lacking}]).outcomes == HEALTHY
