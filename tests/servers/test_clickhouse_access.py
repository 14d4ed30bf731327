"""What the user of readiness.ini must be granted: the engine's own refusals lead there.

The embedded engine reads system tables without a grant unless they are read through a cluster;
what only a server refuses comes from the lab's HTTP interface in a server's words.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_readiness.lab.clickhouse import WORLD
from pytest_readiness.lab.clickhouse.process import ClickHouseProcess
from tests.servers.clickhouse_child import ITEMS, judge, settings_of
from tests.servers.clickhouse_servers import Engine, Judged, closed_ports, configure

# Found by doing what each error says, until none is left (the first test).
GRANTS = {
    "SHOW TABLES ON risk.*": ("ch-replication",),
    "READ ON REMOTE": tuple(ITEMS),
    "SHOW COLUMNS ON system.one": ("ch-replicas",),
    "SHOW COLUMNS ON system.tables": ("ch-replication",),
    "SHOW COLUMNS ON system.replicas": ("ch-replication",),
    "SHOW COLUMNS ON system.replication_queue": ("ch-replication",),
    "SHOW COLUMNS ON system.disks": ("ch-backup", "ch-disk"),
    "SHOW COLUMNS ON system.backups": ("ch-backup",),
    "SHOW COLUMNS ON system.backup_log": ("ch-backup",),
}
SEEN = {"min_free_disk": "1B", "min_free_share": "0%"}
ROUNDS = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two tables and a log of backups, made by a user who may do all."""
    made = tmp_path_factory.mktemp("access")
    with closed_ports(1) as (port,):
        configure(made, port)
        with Engine(made) as engine:
            engine.run(
                "CREATE DATABASE risk",
                "CREATE TABLE risk.trades (a UInt64) ENGINE = MergeTree ORDER BY a",
                "CREATE TABLE risk.secret (a UInt64) ENGINE = MergeTree ORDER BY a",
            )
    return made


def judged_with(folder: Path, *grants: str) -> dict[str, Judged]:
    with closed_ports(1) as (port,):
        configure(folder, port, grants=grants)
        with Engine(folder) as engine:
            return engine.judge(**SEEN)


def test_the_grants_that_our_errors_name_are_enough(folder: Path) -> None:
    granted: set[str] = set()
    for _ in range(ROUNDS):
        judged = judged_with(folder, *sorted(granted))
        refused = [each for each in judged.values() if each.outcome == "error"]
        if not refused:
            break
        for each in refused:
            assert each.kind == "forbidden", each
            assert each.advice.startswith("GRANT "), each
            assert each.advice.endswith(" TO default;"), each
            granted.add(each.advice.removeprefix("GRANT ").removesuffix(" TO default;"))
    assert {item: each.outcome for item, each in judged.items()} == {
        "ch-replicas": "pass",
        "ch-replication": "fail",  # both tables are ordinary ones
        "ch-backup": "fail",  # there is none
        "ch-disk": "pass",
    }
    assert granted - {"SHOW DATABASES ON risk.*"} == set(GRANTS)


@pytest.mark.parametrize("missing", GRANTS)
def test_without_one_grant_it_is_named_and_nothing_else_suffers(folder: Path, missing: str) -> None:
    # SELECT is not asked for: on any table of risk it would show the table as well.
    rest = [grant for grant in GRANTS if grant != missing]
    judged = judged_with(folder, "SHOW DATABASES ON risk.*", *rest)
    for item, each in judged.items():
        if item not in GRANTS[missing]:
            assert each.outcome in {"pass", "fail"}
            continue
        assert (each.outcome, each.kind) == ("error", "forbidden")
        assert missing in each.cause
        assert each.advice == f"GRANT {missing} TO default;"
        if missing != "SHOW TABLES ON risk.*":  # the engine hides, and does not refuse
            assert each.cause.startswith("Code 497: default: Not enough privileges. To execute ")


@pytest.mark.parametrize(
    "partial",
    [
        ["SHOW TABLES ON risk.trades"],
        ["SELECT ON risk.trades", "SHOW TABLES ON risk.trades"],
        ["SHOW DATABASES ON *.*"],
    ],
)
def test_a_user_who_sees_only_some_tables_judges_none(folder: Path, partial: list[str]) -> None:
    rest = [grant for grant in GRANTS if grant != "SHOW TABLES ON risk.*"]
    judged = judged_with(folder, "SHOW DATABASES ON risk.*", *partial, *rest)["ch-replication"]
    assert (judged.outcome, judged.kind) == ("error", "forbidden")
    assert judged.advice == "GRANT SHOW TABLES ON risk.* TO default;"


@pytest.mark.parametrize("more", ["SELECT ON risk.*", "SHOW ON *.*", "SELECT ON *.*"])
def test_a_wider_grant_shows_all_tables_as_well(folder: Path, more: str) -> None:
    rest = [grant for grant in GRANTS if grant != "SHOW TABLES ON risk.*"]
    judged = judged_with(folder, "SHOW DATABASES ON risk.*", more, *rest)["ch-replication"]
    named = {each.split(" ")[0] for each in judged.findings}
    assert named == {"table/risk.trades", "table/risk.secret"}


@pytest.fixture(scope="module")
def lab() -> Iterator[ClickHouseProcess]:
    with ClickHouseProcess(WORLD) as process:
        yield process


def refusing(query: str, grant: str) -> dict[str, Any]:
    says = (
        "Code: 497. DB::Exception: reader: Not enough privileges. To execute this query, it's "
        f"necessary to have the grant {grant}. (ACCESS_DENIED) (version 26.5.1.1 (official build))"
    )
    return {"answer": {"query": query, "status": 403, "code": 497, "body": says}}


@pytest.mark.parametrize(
    ("query", "grant", "items"),
    [
        (
            "FROM system.clusters",
            "SELECT(cluster, shard_num, replica_num, host_name, port, errors_count) ON "
            "system.clusters",
            tuple(ITEMS),
        ),
        (", system.one)", "SELECT(dummy) ON system.one", ("ch-replicas",)),
        (
            ", system.tables)",
            "SELECT(database, name, engine) ON system.tables",
            ("ch-replication",),
        ),
        (", system.replicas)", "SELECT(database, `table`) ON system.replicas", ("ch-replication",)),
        (
            ", system.replication_queue)",
            "SELECT(database) ON system.replication_queue",
            ("ch-replication",),
        ),
        (", system.disks)", "SELECT(name, path) ON system.disks", ("ch-backup", "ch-disk")),
        (", system.backups)", "SELECT(id, name) ON system.backups", ("ch-backup",)),
        (", system.backup_log)", "SELECT(id, name) ON system.backup_log", ("ch-backup",)),
        ("CHECK GRANT", "SHOW TABLES ON risk.*", ("ch-replication",)),
    ],
)
def test_a_server_s_refusal_is_named_and_nothing_else_suffers(
    lab: ClickHouseProcess, query: str, grant: str, items: tuple[str, ...]
) -> None:
    at = lab.start([refusing(query, grant)])
    section = {"url": at.url, "cluster": at.cluster, "backup_api": at.backup_api}
    for item, said in judge(settings_of(section)).items():
        if item not in items:
            assert said == {"outcome": "pass"}
            continue
        assert (said["outcome"], said["kind"]) == ("error", "forbidden")
        assert said["cause"].startswith("Code 497: reader: Not enough privileges. ")
        assert f"grant {grant}" in said["cause"]
        assert said["advice"] == f"GRANT {grant} TO reader;"


def test_a_server_that_cannot_be_asked_for_grants_is_judged_as_it_answers(
    lab: ClickHouseProcess,
) -> None:
    """To servers that do not know CHECK GRANT it is no statement."""
    says = "Code: 62. DB::Exception: Syntax error: failed at position 7 ('GRANT'). (SYNTAX_ERROR)"
    old = {"answer": {"query": "CHECK GRANT", "status": 400, "code": 62, "body": says}}
    at = lab.start([old])
    section = {"url": at.url, "cluster": at.cluster, "backup_api": at.backup_api}
    assert judge(settings_of(section))["ch-replication"] == {"outcome": "pass"}


def test_nonsense_about_a_grant_is_no_grant(lab: ClickHouseProcess) -> None:
    at = lab.start([{"answer": {"query": "CHECK GRANT", "body": "yes"}}])
    section = {"url": at.url, "cluster": at.cluster, "backup_api": at.backup_api}
    said = judge(settings_of(section))["ch-replication"]
    assert (said["outcome"], said["kind"]) == ("error", "malformed")
