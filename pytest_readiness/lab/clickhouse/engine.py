"""ClickHouse's own engine in this process, made to look like a cluster.

A cluster of one engine: `remote_servers` names it by several spellings of loopback with the port
that `tcp_port` declares. The engine knows itself by each of them and does not connect, so
`clusterAllReplicas` asks it once a replica; `shardNum()` then tells which one is asked. A dead
replica is a port of loopback on which nothing listens.

What an embedded engine cannot fill is laid over it: `system.X` is detached, `lab.X` made with its
columns and one more, `place`, and `system.X` made again as the view of the place that is asked.
Names and types of columns stay the engine's own, and no query has to be changed.

PYTEST_DONT_REWRITE
"""

import re
import shutil
import socket
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from pytest_readiness.errors import ReadinessError
from pytest_readiness.lab.changes import WorldError
from pytest_readiness.lab.clickhouse.world import Cluster, World

# Each is loopback to getaddrinfo of glibc and of macOS, without DNS (inet_aton's short, hex, octal
# and whole-number forms); the engine counts differently spelt names as different replicas.
_SPELLINGS = (
    "127.0.0.1",
    "localhost",
    "127.1",
    "127.0.1",
    "0x7f.1",
    "0177.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
)
_SEEDED = ("tables", "replicas", "replication_queue", "disks", "backups")
_LOGS = ("backup_log", "query_log")  # a server makes them with their first row
# Of system.query_log there are the columns that are asked for; those of system.backup_log are:
# clickhouse.com/docs/operations/system-tables/backup_log
_LOG_COLUMNS = (
    "ADD COLUMN hostname String FIRST, ADD COLUMN event_date Date AFTER hostname, "
    "ADD COLUMN event_time_microseconds DateTime64(6) AFTER event_date"
)
_CODE = re.compile(r"Code: (\d+)\.")
_one_engine = threading.Lock()


class EngineError(ReadinessError):
    """What the engine refused. code: ClickHouse's."""

    def __init__(self, text: str) -> None:
        match = _CODE.search(text)
        self.code = int(match[1]) if match else 1002  # UNKNOWN_EXCEPTION
        super().__init__(text)


class Engine:
    """One engine; a process can have one at a time. Raises WorldError where the world is wrong."""

    def __init__(self, world: World) -> None:
        if not _one_engine.acquire(blocking=False):
            raise WorldError("this process already runs a ClickHouse engine, and can have only one")
        self._holds = True
        self._folder = Path(tempfile.mkdtemp(prefix="readiness-clickhouse-"))
        self._closed_ports: list[socket.socket] = []
        self._names: dict[str, str] = {}
        self._profile = world.cluster.profile
        self._base: Any = None
        try:
            self._open(world)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the engine and remove its folder."""
        if self._base is not None:
            self._base.close()
            self._base = None
        for reserved in self._closed_ports:
            reserved.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._holds:
            self._holds = False
            _one_engine.release()

    def query(
        self,
        sql: str | bytes,
        *,
        format: str = "TabSeparated",
        database: str = "",
        settings: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> bytes:
        """Run one statement in a session of its own. Raises EngineError.

        Settings are set all at once, as an HTTP request does, after those of the user's profile.
        A session of its own also because one that failed leaves output behind for the next query.
        """
        session = self._connect()
        try:
            for group in (self._profile, settings or {}):
                if group:
                    _run(session, "SET " + ", ".join(f"{k} = {_text(v)}" for k, v in group.items()))
            if database:
                _run(session, f"USE `{database.replace('`', '')}`")
            return _run(session, sql, format, parameters)
        except EngineError as error:
            raise EngineError(self._renamed(str(error))) from None
        finally:
            session.close()

    def _connect(self) -> Any:
        import chdb

        return chdb.connect(f"{self._folder / 'data'}?config-file={self._folder / 'config.xml'}")

    def _open(self, world: World) -> None:
        cluster = world.cluster
        (self._folder / "config.xml").write_text(self._config(cluster), encoding="utf-8")
        self._base = self._connect()
        statements = [*_overlay(), *_hosts(cluster), *_after_hosts(cluster), *world.statements]
        for statement in statements:
            try:
                _run(self._base, statement)
            except EngineError as error:
                raise WorldError(f"{error}: {statement[:200]}") from None

    def _config(self, cluster: Cluster) -> str:
        own, spellings = _free_port(self._closed_ports), iter(_SPELLINGS)
        shards = []
        for shard in cluster.shards:
            replicas = []
            for name in shard:
                port = own
                if name in cluster.dead:
                    host, port = "127.0.0.1", _free_port(self._closed_ports)
                else:
                    host = next(spellings, "")
                if not host:
                    raise WorldError(f"more than {len(_SPELLINGS)} replicas that live")
                self._names[f"{host}:{port}"] = f"{name}:{cluster.port}"
                replicas.append(f"<replica><host>{host}</host><port>{port}</port></replica>")
            shards.append(f"<shard>{''.join(replicas)}</shard>")
        name = escape(cluster.cluster)
        return (
            f"<clickhouse><tcp_port>{own}</tcp_port><timezone>UTC</timezone>"
            f"<remote_servers><{name}>{''.join(shards)}</{name}></remote_servers></clickhouse>"
        )

    def _renamed(self, text: str) -> str:
        """Name replicas in the engine's words as the world names them."""
        for address, name in self._names.items():
            text = text.replace(address, name)
        return text


def _run(
    session: Any,
    sql: str | bytes,
    format: str = "Null",
    parameters: Mapping[str, str] | None = None,
) -> bytes:
    try:
        return bytes(session.query(sql, format, params=dict(parameters or {})).bytes())
    except RuntimeError as error:
        raise EngineError(str(error)) from None


def _overlay() -> list[str]:
    """Return what lays lab.X under system.X, before lab.hosts has rows."""
    statements = [
        "CREATE DATABASE lab",
        "CREATE TABLE lab.hosts (place UInt32, shard UInt32, number UInt32, host String) "
        "ENGINE = Memory",
        "CREATE TABLE lab.clusters AS system.clusters ENGINE = Memory",
        "CREATE TABLE lab.backup_log AS system.backups ENGINE = Memory",
        f"ALTER TABLE lab.backup_log {_LOG_COLUMNS}, ADD COLUMN place UInt32",
        "CREATE TABLE lab.query_log (place UInt32, event_date Date, type String, query_id String, "
        "query String) ENGINE = Memory",
    ]
    for name in _SEEDED:
        statements.append(f"CREATE TABLE lab.{name} AS system.{name} ENGINE = Memory")
        statements.append(f"ALTER TABLE lab.{name} ADD COLUMN place UInt32")
    return statements


def _hosts(cluster: Cluster) -> list[str]:
    rows, place = [], 0
    for shard, hosts in enumerate(cluster.shards, 1):
        for number, host in enumerate(hosts, 1):
            place += 1
            rows.append(f"({place}, {shard}, {number}, {_text(host)})")
    return [f"INSERT INTO lab.hosts VALUES {', '.join(rows)}"] if rows else []


def _after_hosts(cluster: Cluster) -> list[str]:
    name, port = _text(cluster.cluster), cluster.port
    statements = [
        "INSERT INTO lab.clusters (cluster, shard_num, shard_weight, replica_num, host_name, "
        "host_address, port, is_local, user) "
        f"SELECT {name}, shard, 1, number, host, concat('10.20.0.', toString(place)), {port}, "
        "place = 1, 'default' FROM lab.hosts",
        "INSERT INTO lab.tables (place, database, name, engine) SELECT place, database, name, "
        "engine FROM system.tables CROSS JOIN lab.hosts WHERE database = 'system'",
        "DETACH TABLE system.clusters",
        "CREATE VIEW system.clusters AS SELECT * FROM lab.clusters",
    ]
    statements += [f"DETACH TABLE system.{table}" for table in _SEEDED]
    for table in (*_SEEDED, *_LOGS):
        # A query that is not of a cluster has shardNum() 0 and is asked of the first replica.
        statements.append(
            f"CREATE VIEW system.{table} AS SELECT * EXCEPT place FROM lab.{table} "
            "WHERE place = greatest(1, shardNum())"
        )
    return statements


def _free_port(reserved: list[socket.socket]) -> int:
    """Return a port of loopback that nobody else gets, and on which nothing listens.

    The socket stays bound and never listens: connections to it are refused, and the port is not
    given to another program while the lab runs.
    """
    bound = socket.socket()
    reserved.append(bound)
    bound.bind(("127.0.0.1", 0))
    return int(bound.getsockname()[1])


def _text(value: object) -> str:
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"
