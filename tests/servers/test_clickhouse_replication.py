"""Replicated tables with a real ZooKeeper: a genuine read-only replica, a genuine lost session.

An embedded engine has no interserver port: its replica is registered in ZooKeeper and stays
read-only for ever, which is the fault that ch-replication is there to find.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.clickhouse_servers import LIVE, Engine, Refused, closed_ports, configure, keeper
from tests.servers.conftest import Lend
from tests.servers.zookeeper import ZooKeeper, zookeeper

TABLE = (
    "CREATE TABLE risk.trades (a UInt64) ENGINE = "
    "ReplicatedMergeTree('/clickhouse/{}/trades', '{{replica}}') ORDER BY a"
)
# What an embedded engine can never have said of its replica, whatever else is wrong.
READ_ONLY = {f"table/risk.trades@{host} is read-only" for host in LIVE[:2]}
TRIES = 60  # asks until the engine's own clock has ended a session of 2 s


@pytest.fixture(scope="module")
def shared_zookeeper(lend: Lend) -> dict[str, Any]:
    return lend("zookeeper")


@pytest.fixture
def own_zookeeper(tmp_path: Path) -> Iterator[ZooKeeper]:
    """Give a test a ZooKeeper that it may stop."""
    with zookeeper(tmp_path / "zookeeper") as server:
        yield server


@pytest.fixture
def replicated(tmp_path: Path, own_zookeeper: ZooKeeper) -> Iterator[Engine]:
    with closed_ports(1) as (port,):
        configure(tmp_path, port, more=keeper(own_zookeeper.port))
        with Engine(tmp_path) as engine:
            engine.run("CREATE DATABASE risk", TABLE.format(tmp_path.name))
            yield engine


def test_fails_and_names_a_genuine_read_only_replica(
    tmp_path: Path, shared_zookeeper: dict[str, Any]
) -> None:
    with closed_ports(1) as (port,):
        configure(tmp_path, port, more=keeper(shared_zookeeper["port"]))
        with Engine(tmp_path) as engine:
            # A path of its own: all workers share the server.
            engine.run("CREATE DATABASE risk", TABLE.format(f"{tmp_path.name}-{port}"))
            judged = engine.judge()["ch-replication"]
            with pytest.raises(Refused, match=r"Code: 242\..*readonly mode"):
                engine.run(
                    "INSERT INTO risk.trades SETTINGS insert_keeper_max_retries = 0 VALUES (1)"
                )
            why = engine.run("SELECT last_error_message FROM system.errors")
    assert judged.outcome == "fail"
    assert set(judged.findings) == READ_ONLY | {
        f"table/risk.trades@{host} {problem}"
        for host in LIVE[:2]
        for problem in (
            "sees 0 of 1 replicas active",
            "has not caught up once since its server started",
            "is registered with 1 of the 2 replicas of its shard: they do not share one path in "
            "Keeper",
        )
    }
    assert "interserver_http(s)_port" in why


def test_fails_and_says_what_a_silent_keeper_makes_the_engine_say(
    replicated: Engine, own_zookeeper: ZooKeeper
) -> None:
    own_zookeeper.hold()
    try:
        judged = replicated.judge()["ch-replication"]
    finally:
        own_zookeeper.release()
    assert judged.outcome == "fail"
    said = [each for each in judged.findings if "cannot ask Keeper" in each]
    assert said
    exceptions = [each for each in judged.findings if "Code 999: " in each]
    assert exceptions, judged.findings
    assert "Coordination error: " in exceptions[0]
    assert all(each.startswith("table/risk.trades@") for each in judged.findings)


def test_never_passes_while_the_session_is_lost(
    replicated: Engine, own_zookeeper: ZooKeeper
) -> None:
    own_zookeeper.stop()
    lost: set[str] = set()
    for _ in range(TRIES):
        judged = replicated.judge()["ch-replication"]
        assert judged.outcome == "fail"
        assert all(any(each.startswith(named) for each in judged.findings) for named in READ_ONLY)
        lost = {each for each in judged.findings if "has lost its Keeper session" in each}
        if len(lost) == 2:
            break
    assert {each.split(" ")[0] for each in lost} == {
        f"table/risk.trades@{host}" for host in LIVE[:2]
    }
    assert "they do not share one path" not in " ".join(judged.findings)


def test_a_session_that_came_back_is_no_longer_called_lost(
    replicated: Engine, own_zookeeper: ZooKeeper
) -> None:
    own_zookeeper.stop()
    assert replicated.judge()["ch-replication"].outcome == "fail"
    own_zookeeper.start()
    for _ in range(TRIES):
        judged = replicated.judge()["ch-replication"]
        if "Keeper session" not in " ".join(judged.findings):
            break
    assert judged.outcome == "fail"
    assert set(judged.findings) >= READ_ONLY


def test_a_table_whose_keeper_was_gone_when_the_server_started(
    tmp_path: Path, own_zookeeper: ZooKeeper
) -> None:
    with closed_ports(1) as (port,):
        configure(tmp_path, port, more=keeper(own_zookeeper.port))
        with Engine(tmp_path) as engine:
            engine.run("CREATE DATABASE risk", TABLE.format(tmp_path.name))
        own_zookeeper.stop()
        with Engine(tmp_path) as engine:
            judged = engine.judge()["ch-replication"]
    assert judged.outcome == "fail"
    assert all(any(each.startswith(named) for each in judged.findings) for named in READ_ONLY)
