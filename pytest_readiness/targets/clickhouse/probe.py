"""Ask ClickHouse: which replicas there are, what they replicate, how full they are, what is saved.

Each function is one question and one fact, asked of every replica through the connected one. A
replica that does not answer fails the question (kind UNREACHABLE): an answer without it would look
complete. Only `replicas` may leave it out, because it is the question which one that is.

The user needs `SELECT` on system.clusters, one, tables, replicas, replication_queue, disks,
backups and backup_log (with several shards on query_log as well), `READ ON REMOTE` (`REMOTE` in
older servers) for clusterAllReplicas, and `SHOW TABLES` on the database: system.tables and
system.replicas hide what a user may not see.

PYTEST_DONT_REWRITE
"""

import re

import msgspec

from pytest_readiness.errors import ProbeError, ProbeErrorKind
from pytest_readiness.targets.clickhouse import facts
from pytest_readiness.targets.clickhouse.backups import backup_api, backups
from pytest_readiness.targets.clickhouse.client import Client, Place, connect, text
from pytest_readiness.targets.clickhouse.errors import identifier, one_line

__all__ = [
    "Client",
    "backup_api",
    "backups",
    "connect",
    "disks",
    "identity",
    "replicas",
    "replication",
    "tables",
]


class _IdentityRow(msgspec.Struct):
    version: str
    hostname: str
    server_uuid: str
    user: str
    database: str


class _LiveRow(msgspec.Struct):
    place: int


class _TableRow(msgspec.Struct):
    place: int
    database: str
    name: str
    engine: str


class _ReplicaRow(msgspec.Struct):
    place: int
    database: str
    table: str
    is_readonly: int
    is_session_expired: int
    active_replicas: int
    total_replicas: int
    queue_size: int
    absolute_delay: int
    exception: str


class _QueueRow(msgspec.Struct):
    place: int
    table: str
    exception: str


class _DiskRow(msgspec.Struct):
    place: int
    name: str
    path: str
    type: str
    free_space: int
    total_space: int
    unreserved_space: int
    is_remote: int
    is_broken: int
    is_read_only: int


def identity(client: Client) -> facts.Identity:
    """Return which server this is. Raises ProbeError."""
    question = "identity"
    found = client.rows(
        question,
        "SELECT version() AS version, hostName() AS hostname, "
        "toString(serverUUID()) AS server_uuid, currentUser() AS user, "
        "currentDatabase() AS database",
        _IdentityRow,
    )
    if len(found) != 1:
        raise client.malformed(question, f"{len(found)} rows instead of one")
    return facts.Identity(url=client.section.url, **msgspec.structs.asdict(found[0]))


def replicas(client: Client) -> facts.Replicas:
    """Return the replicas of the cluster and which of them answer. Raises ProbeError."""
    question = "list replicas"
    places = client.places(question)
    answering = _answering(client, question, places)
    return facts.Replicas(
        cluster=client.section.cluster,
        replicas=tuple(
            facts.Replica(
                shard=place.shard,
                number=place.number,
                host=place.host,
                port=place.port,
                errors=place.errors,
                answers=answers,
            )
            for place, answers in zip(places, answering, strict=True)
        ),
    )


def tables(client: Client) -> facts.Tables:
    """Return the tables of the database on every replica.

    Raises ProbeError, also (FORBIDDEN) for a user whom system.tables shows only some of them.
    """
    question = "list tables"
    _sees_all_tables(client, question)
    rows = client.everywhere(
        question,
        "database, name, engine",
        "system.tables",
        f"WHERE database = {text(client.database)} ORDER BY place, name",
        _TableRow,
    )
    places = client.places(question)
    asked = {place.ordinal: client.place(place.ordinal, question) for place in places}
    return facts.Tables(
        database=client.database,
        hosts={
            shard: tuple(place.host for place in asked.values() if place.shard == shard)
            for shard in sorted({place.shard for place in asked.values()})
        },
        tables=tuple(_table(client.place(row.place, question), row) for row in rows),
    )


def replication(client: Client) -> facts.Replication:
    """Return the state of each Replicated* table on every replica. Raises ProbeError."""
    question = "list replicated tables"
    where = f"WHERE database = {text(client.database)}"
    rows = client.everywhere(
        question,
        "database, table, is_readonly, is_session_expired, active_replicas, total_replicas, "
        "queue_size, absolute_delay, "
        "if(zookeeper_exception != '', zookeeper_exception, last_queue_update_exception) "
        "AS exception",
        "system.replicas",
        f"{where} ORDER BY place, table",
        _ReplicaRow,
    )
    failures = client.everywhere(
        question,
        "table, argMin(last_exception, create_time) AS exception",
        "system.replication_queue",
        f"{where} AND last_exception != '' GROUP BY place, table",
        _QueueRow,
    )
    oldest = {(row.place, row.table): one_line(row.exception) for row in failures}
    return facts.Replication(
        database=client.database,
        tables=tuple(
            _state(client.place(row.place, question), row, oldest.get((row.place, row.table), ""))
            for row in rows
        ),
    )


def disks(client: Client) -> facts.Disks:
    """Return every disk of every replica. Raises ProbeError, also for a replica without any."""
    question = "list disks"
    rows = client.everywhere(
        question,
        "name, path, type, free_space, total_space, unreserved_space, is_remote, is_broken, "
        "is_read_only",
        "system.disks",
        "ORDER BY place, name",
        _DiskRow,
    )
    seen = {row.place for row in rows}
    for place in client.places(question):
        if place.ordinal not in seen:
            raise client.malformed(question, f"{place.host} names no disk; a server has one")
    return facts.Disks(
        disks=tuple(
            facts.Disk(
                host=client.place(row.place, question).host,
                name=row.name,
                path=row.path,
                type=row.type,
                free=row.free_space,
                total=row.total_space,
                unreserved=row.unreserved_space,
                remote=bool(row.is_remote),
                broken=bool(row.is_broken),
                read_only=bool(row.is_read_only),
            )
            for row in rows
        )
    )


def _answering(client: Client, question: str, places: tuple[Place, ...]) -> tuple[bool | None, ...]:
    """Return for each replica whether it answers.

    Where the session may carry settings, the dead are left out and thereby told. Where it may
    not, the first dead one fails the query: those its message names are dead, of the others
    nothing is known.
    """
    cluster = text(client.section.cluster)
    sql = f"SELECT _shard_num AS place FROM clusterAllReplicas({cluster}, system.one)"
    settings = {"skip_unavailable_shards": 1} if client.may_set else {}
    try:
        rows = client.rows(question, sql, _LiveRow, settings)
    except ProbeError as error:
        named = _named(error, places)
        if not any(named):
            raise
        return tuple(False if dead else None for dead in named)
    seen = {row.place for row in rows}
    return tuple(place.ordinal in seen for place in places)


def _named(error: ProbeError, places: tuple[Place, ...]) -> list[bool]:
    if error.kind is not ProbeErrorKind.UNREACHABLE or error.stops_target:
        return [False] * len(places)
    hosts = [place.host.removesuffix(f":{place.port}") for place in places]
    return [
        re.search(rf"(?<![\w.-]){re.escape(host)}(?![\w-]|\.\w)", error.cause) is not None
        and (hosts.count(host) == 1 or f"{host}:{place.port}" in error.cause)
        for host, place in zip(hosts, places, strict=True)
    ]


def _sees_all_tables(client: Client, question: str) -> None:
    """Raise ProbeError where tables are hidden: those that are left would look like all."""
    grant = f"SHOW TABLES ON {identifier(client.database)}.*"
    if client.may(question, grant) is False:
        raise ProbeError(
            ProbeErrorKind.FORBIDDEN,
            target=client.target,
            question=question,
            cause=f"{client.user} lacks the grant {grant}: system.tables and system.replicas "
            "would leave out in silence what this user may not see",
            advice=f"GRANT {grant} TO {identifier(client.user)};",
        )


def _table(place: Place, row: _TableRow) -> facts.Table:
    return facts.Table(
        host=place.host, shard=place.shard, database=row.database, name=row.name, engine=row.engine
    )


def _state(place: Place, row: _ReplicaRow, oldest_failure: str) -> facts.ReplicatedTable:
    return facts.ReplicatedTable(
        host=place.host,
        database=row.database,
        table=row.table,
        readonly=bool(row.is_readonly),
        session_expired=bool(row.is_session_expired),
        active_replicas=row.active_replicas,
        total_replicas=row.total_replicas,
        queue=row.queue_size,
        delay=row.absolute_delay,
        exception=one_line(row.exception),
        oldest_failure=oldest_failure,
    )
