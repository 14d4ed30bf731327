"""Ask which backups there are: the servers' own record, and clickhouse-backup's REST list.

Sources: system.backups (memory of a running server), system.backup_log (its durable record;
written since 23.11 and only once a backup was made), GET /backup/list of clickhouse-backup.
A backup ON CLUSTER stands in the record of the server that was asked for it alone, like any other;
that it was one, only the statement in system.query_log tells.

PYTEST_DONT_REWRITE
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from pytest_readiness.clock import now
from pytest_readiness.errors import ProbeError, ProbeErrorKind
from pytest_readiness.targets.clickhouse.client import Client, text
from pytest_readiness.targets.clickhouse.errors import one_line
from pytest_readiness.targets.clickhouse.facts import Backup, BackupApi, Backups, BackupState
from pytest_readiness.transport import http

Row = TypeVar("Row")
# Restores stand in the same tables and are none of a backup's states.
_STATES = {
    "CREATING_BACKUP": BackupState.RUNNING,
    "BACKUP_CREATED": BackupState.CREATED,
    "BACKUP_FAILED": BackupState.FAILED,
    "BACKUP_CANCELLED": BackupState.FAILED,
}
_QUESTION = "list backups"
_API_QUESTION = "list backups of clickhouse-backup"
_ADVICE = {
    ProbeErrorKind.UNAUTHORIZED: "Give backup_api_user and backup_api_password.",
    ProbeErrorKind.UNREACHABLE: "Check [clickhouse] backup_api, and that clickhouse-backup runs "
    "as a server.",
    ProbeErrorKind.UNTRUSTED: "Give the authority that signed its certificate as ca_file.",
}
# Two spellings of one moment, so that the type of the column (DateTime before 23.8) is no matter.
_COLUMNS = (
    "id, name, base_backup_name AS base, toString(status) AS state, "
    "toUnixTimestamp64Milli(toDateTime64(start_time, 3)) AS started, "
    "toUnixTimestamp64Milli(toDateTime64(end_time, 3)) AS ended, num_files AS files, error"
)
# Name of a backup as the server writes it: `Null` in backquotes, Disk('backups', 'monday').
_NAME = re.compile(r"`?(?P<engine>\w+)`?\s*(?:\(\s*(?:'(?P<first>[^']*)')?.*\))?\s*\Z", re.DOTALL)


class _BackupRow(msgspec.Struct):
    """started, ended: milliseconds since 1970, 0 where there is none. query_id: if asked for."""

    id: str
    name: str
    base: str
    state: str
    started: int
    ended: int
    files: int
    error: str
    place: int = 1
    query_id: str = ""


class _QueryRow(msgspec.Struct):
    query_id: str


class _ApiRow(msgspec.Struct):
    """A line of /backup/list; `required` is the parent of an increment, `desc` may say broken."""

    name: str
    created: str
    location: str = ""
    required: str = ""
    desc: str = ""
    status: str = ""


def backups(client: Client) -> Backups:
    """Return the backups every replica knows of. Raises ProbeError.

    The log is read first: what it says is running, and the memory of the same server asked later
    does not know, was lost with a restart and counts as failed. A server without system.backup_log
    (older, or no backup was ever made) is judged by its memory alone, and `sources` says so.
    """
    hosts: dict[int, tuple[str, ...]] = {}
    for place in client.places(_QUESTION):
        hosts[place.shard] = (*hosts.get(place.shard, ()), place.host)
    columns = f"{_COLUMNS}, query_id" if len(hosts) > 1 else _COLUMNS
    logged, source = _log(client, columns)
    remembered = client.everywhere(_QUESTION, columns, "system.backups", "", _BackupRow)
    asked_at = now()
    alive = {(row.place, row.id) for row in remembered}
    last: dict[tuple[int, str], _BackupRow] = {}
    for row in (*logged, *remembered):
        if row.state in _STATES:
            _keep_later(last, row)
    on_cluster = _on_cluster(client, last.values())
    return Backups(
        asked_at=asked_at,
        sources=("system.backups", source) if source else ("system.backups",),
        hosts=hosts,
        backups=tuple(
            _backup(client, row, (row.place, row.id) in alive, row.query_id in on_cluster)
            for row in last.values()
        ),
    )


def backup_api(client: Client) -> BackupApi:
    """Return the backups clickhouse-backup lists. Raises ProbeError.

    `created` has no zone: clickhouse-backup writes the local time of its host, which is UTC in
    its images. Where it lists a backup twice, here and in the remote store, a good one counts, and
    of two the remote.
    """
    url = client.section.backup_api
    if url is None:
        return BackupApi(asked_at=now(), url=None, backups=())
    try:
        return _server(client, url).ask(_API_QUESTION, _listed)
    except ProbeError as error:
        error.advice = _ADVICE.get(error.kind, "Look at the log of clickhouse-backup.")
        error.stops_target = False  # another server than ClickHouse
        raise


def _server(client: Client, url: str) -> http.Client:
    section, secret = client.section, client.section.backup_api_password
    return http.Client(
        "clickhouse-backup",
        url,
        client.caller,
        user=section.backup_api_user,
        password=secret.reveal() if secret is not None else None,
        ca_file=section.ca_file if url.startswith("https") else None,
    )


def _listed(question: http.Question) -> BackupApi:
    body = question.body("/backup/list").decode("utf-8", "replace")
    asked_at = now()
    found: dict[str, Backup] = {}
    for line in body.splitlines():
        if not line.strip():
            continue
        try:
            rows = _decoded(line)
        except msgspec.DecodeError as error:
            raise question.malformed(f"a line of the list cannot be read: {error}") from None
        for row in rows:
            backup = _from_api(question, row)
            before = found.get(row.name)
            if before is None or _worth(backup) >= _worth(before):
                found[row.name] = backup
    return BackupApi(asked_at=asked_at, url=question.client.url, backups=tuple(found.values()))


def _worth(backup: Backup) -> tuple[bool, bool]:
    return backup.state is BackupState.CREATED, backup.destination == "remote"


def _on_cluster(client: Client, rows: Iterable[_BackupRow]) -> frozenset[str]:
    """Return the query ids of the backups whose statement said ON CLUSTER, this or by a macro.

    None where no server keeps a log of its queries: then nothing shows that it did.
    """
    created = [row for row in rows if _STATES[row.state] is BackupState.CREATED and row.query_id]
    if not created:
        return frozenset()
    ids = ", ".join(text(name) for name in sorted({row.query_id for row in created}))
    first = min(row.started for row in created)
    cluster = (
        rf"(?i)\bON\s+CLUSTER\s+[`\"']?({re.escape(client.section.cluster)}|\{{\w+\}})[`\"'\s]"
    )
    where = (
        f"WHERE event_date >= toDate(fromUnixTimestamp64Milli(toInt64({first}))) - 1 "
        f"AND query_id IN ({ids}) AND match(query, {text(cluster)})"
    )
    table, columns = "system.query_log", "query_id"
    found = _if_there(table, lambda: client.everywhere(_QUESTION, columns, table, where, _QueryRow))
    return frozenset(row.query_id for row in found or ())


def _log(client: Client, columns: str) -> tuple[list[_BackupRow], str]:
    """Return the rows of system.backup_log and what was read, '' where it is nowhere."""
    table, tail = "system.backup_log", "ORDER BY event_time_microseconds"
    found = _if_there(table, lambda: client.everywhere(_QUESTION, columns, table, tail, _BackupRow))
    if found is not None:
        return found, table
    # Missing on one replica only: what the connected one recorded is still worth reading.
    sql = f"SELECT {columns} FROM {table} {tail}"
    rows = _if_there(table, lambda: client.rows(_QUESTION, sql, _BackupRow))
    return (rows, f"{table} of the connected replica") if rows is not None else ([], "")


def _if_there(table: str, ask: Callable[[], list[Row]]) -> list[Row] | None:
    """Return what is asked of a table, None where there is no such table. Raises ProbeError."""
    try:
        return ask()
    except ProbeError as error:
        named = table.removeprefix("system.") in error.cause
        if error.kind is not ProbeErrorKind.ABSENT or not named:
            raise
    return None


def _keep_later(last: dict[tuple[int, str], _BackupRow], row: _BackupRow) -> None:
    """Keep one row a backup: an ended state is later than a running one, whatever the order."""
    key = (row.place, row.id)
    before = last.get(key)
    running = BackupState.RUNNING
    if before is None or _STATES[before.state] is running or _STATES[row.state] is not running:
        last[key] = row


def _backup(client: Client, row: _BackupRow, alive: bool, on_cluster: bool) -> Backup:
    state, error = _STATES[row.state], one_line(row.error)
    if state is BackupState.RUNNING and not alive:
        state, error = BackupState.FAILED, "the server restarted while it was made"
    elif row.state == "BACKUP_CANCELLED":
        error = error or "it was cancelled"
    name = _NAME.match(row.name)
    destination = name["engine"] if name else ""
    return Backup(
        host=client.place(row.place, _QUESTION).host,
        name=row.name,
        base=row.base,
        state=state,
        started=_moment(row.started),
        ended=_moment(row.ended) if state is not BackupState.RUNNING else None,
        error=error,
        destination=destination,
        disk=(name["first"] or "") if name and destination == "Disk" else "",
        files=row.files,
        on_cluster=on_cluster,
    )


def _moment(milliseconds: int) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds > 0 else None


def _from_api(question: http.Question, row: _ApiRow) -> Backup:
    says = next((text for text in (row.status, row.desc) if "broken" in text.lower()), "")
    running = row.status.lower() in {"in progress", "creating", "uploading"}
    state = BackupState.RUNNING if running else BackupState.CREATED
    at = _created(question, row)
    return Backup(
        host=question.client.url,
        name=row.name,
        base=row.required.lstrip("+"),
        state=BackupState.FAILED if says else state,
        started=at,
        ended=None if running else at,
        error=one_line(says),
        destination=row.location,
        disk="",
        files=None,
        on_cluster=False,
    )


def _created(question: http.Question, row: _ApiRow) -> datetime | None:
    if not row.created or row.created.startswith("0001-"):
        return None  # Go's zero time: the folder has no metadata
    try:
        moment = datetime.fromisoformat(row.created.removesuffix(" UTC"))
    except ValueError:
        raise question.malformed(f"{row.name} has the date {row.created!r}") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _decoded(line: str) -> list[_ApiRow]:
    """Read a line of JSONEachRow, or the whole list as one array, which newer versions can send."""
    if line.lstrip().startswith("["):
        return msgspec.json.decode(line, type=list[_ApiRow])
    return [msgspec.json.decode(line, type=_ApiRow)]
