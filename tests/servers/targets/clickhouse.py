"""A ClickHouse server, and a server of clickhouse-backup, as the fault matrix asks them."""

import json

from pytest_readiness.settings import Settings
from pytest_readiness.targets.clickhouse.section import ClickHouse
from tests.servers.fault_servers import Answer, Request
from tests.servers.fault_targets import TIMEOUT, FaultTarget, Place
from tests.targets.kubernetes import target


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _clickhouse(place: Place) -> Settings:
    url = f"clickhouse+{place.scheme}://reader@{place.host}:{place.port}/risk"
    ca_file = place.ca if place.scheme == "https" else None
    return target.asking(TIMEOUT, clickhouse=ClickHouse(url=url, cluster="risk", ca_file=ca_file))


def _native(*columns: tuple[str, str, tuple[bytes, ...]]) -> bytes:
    """Return a block of ClickHouse's format Native (clickhouse.com/docs/interfaces/formats)."""
    text = b"".join(
        b"%c%s%c%s%s" % (len(name), name.encode(), len(kind), kind.encode(), b"".join(values))
        for name, kind, values in columns
    )
    return b"%c%c%s" % (len(columns), len(columns[0][2]), text)


_SESSION = {
    "SELECT version(), timezone()": b"26.5.1.1\tUTC\n",
    "FROM system.settings": _native(
        ("name", "String", (b"\x08readonly", b"\x17skip_unavailable_shards")),
        ("value", "String", (b"\x010", b"\x010")),
        ("readonly", "UInt8", (b"\x00", b"\x00")),
    ),
    "CHECK GRANT": b"1\n",
    "SELECT 1 AS check": _native(("check", "UInt8", (b"\x01",))),
}
_REPLICA = {
    "is_readonly": 0,
    "is_session_expired": 0,
    "active_replicas": 1,
    "total_replicas": 1,
    "queue_size": 0,
    "absolute_delay": 0,
    "exception": "",
}
_DISK = {
    "path": "/",
    "type": "Local",
    "free_space": 1,
    "total_space": 2,
    "unreserved_space": 1,
    "is_remote": 0,
    "is_broken": 0,
    "is_read_only": 0,
}
_BACKUP = {
    "id": "1",
    "base": "",
    "state": "BACKUP_CREATED",
    "started": 1,
    "ended": 2,
    "files": 1,
    "error": "",
}
_PLACE = {"shard_num": 1, "replica_num": 1, "host_name": "ch-1", "port": 9000, "errors_count": 0}
_TABLE = {"place": 1, "database": "risk", "table": "trades", "name": "trades"}
_ROWS: dict[str, dict[str, object]] = {
    "serverUUID": {"version": "26.5", "hostname": "h", "server_uuid": "1", "user": "r"} | _TABLE,
    "FROM system.clusters": _PLACE,
    "system.one": {"place": 1},
    "system.tables": {**_TABLE, "engine": "MergeTree"},
    "system.replicas": _TABLE | _REPLICA,
    "system.replication_queue": {**_TABLE, "exception": "e"},
    "system.disks": _TABLE | _DISK,
    "system.backup_log": _TABLE | _BACKUP,
    "system.backups": _TABLE | _BACKUP,
}


def _server(request: Request) -> Answer:
    if request.path.startswith("/backup/list"):
        row = _json({"name": "full", "created": "2026-11-23 03:00:00"}) + b"\n"
        return Answer(row, (b"", row))
    for words, body in _SESSION.items():
        if words in request.text:
            return Answer(body, (body, body))
    row = next(_json(row) + b"\n" for words, row in _ROWS.items() if words in request.text)
    return Answer(row, (b"", row))


def _server_words(status: int) -> bytes:
    said = {
        401: "Code: 194. DB::Exception: reader: Authentication failed: password is required.",
        403: "Code: 497. DB::Exception: reader: Not enough privileges. To execute this query, "
        "it's necessary to have the grant SELECT ON system.*. (ACCESS_DENIED)",
        500: "Code: 241. DB::Exception: Memory limit (total) exceeded. (MEMORY_LIMIT_EXCEEDED)",
    }
    proxys = f"<html><body><h1>{status} of a proxy</h1></body></html>"
    return said.get(status, proxys).encode()


CLICKHOUSE = FaultTarget(
    name="clickhouse",
    scheme="https",
    settings=_clickhouse,
    answer=_server,
    words=_server_words,
    opens=("timezone", "system.settings"),
    asks={
        "ch_identity": ("serverUUID",),
        "ch_replicas": ("FROM system.clusters", "system.one"),
        "ch_tables": ("CHECK GRANT", "FROM system.clusters", "system.tables"),
        "ch_replication": ("FROM system.clusters", "system.replicas", "system.replication_queue"),
        "ch_disks": ("FROM system.clusters", "system.disks"),
        "ch_backups": ("FROM system.clusters", "system.backup_log", "system.backups"),
    },
)


def _backup_server(place: Place) -> Settings:
    assert place.beside is not None
    url = f"clickhouse+http://reader@127.0.0.1:{place.beside.port}/risk"
    ca_file = place.ca if place.scheme == "https" else None
    section = ClickHouse(url=url, cluster="risk", ca_file=ca_file, backup_api=place.url)
    return target.asking(TIMEOUT, clickhouse=section)


BACKUP_SERVER = FaultTarget(
    name="clickhouse",
    scheme="http",
    settings=_backup_server,
    answer=_server,
    words=_server_words,
    asks={"ch_backup_api": ("/backup/list",)},
    beside=CLICKHOUSE,
)

TARGETS = (CLICKHOUSE, BACKUP_SERVER)
