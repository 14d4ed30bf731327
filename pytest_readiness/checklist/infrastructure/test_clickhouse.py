"""ClickHouse section: the data outlives the loss of a server, a disk that fills, a mistake.

Subjects of findings: `shard/N`, `replica/HOST`, `table/DATABASE.NAME`, `table/DATABASE.NAME@HOST`
for what one replica alone has wrong, `disk/HOST/NAME`, `backup/NAME`, and `cluster/NAME` where
there is no good backup at all. HOST is the host_name of system.clusters.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from pytest_readiness.catalogue.words import Safety, Severity
from pytest_readiness.checklist.check import check, not_applicable
from pytest_readiness.checklist.infrastructure.backups import (
    history,
    span,
    wrong_with_backups,
)
from pytest_readiness.checklist.infrastructure.disks import (
    disk_name,
    disk_problem,
    must_have_room,
    size,
)
from pytest_readiness.clock import rfc3339
from pytest_readiness.results.evidence import Evidence
from pytest_readiness.targets.clickhouse.facts import (
    BackupApi,
    Backups,
    BackupState,
    Disks,
    Replicas,
    ReplicatedTable,
    Replication,
    Table,
    Tables,
)
from pytest_readiness.targets.clickhouse.section import ClickHouse
from pytest_readiness.text import plural

_DOCS = "https://clickhouse.com/docs"
# Engines whose rows live elsewhere, or nowhere: replicating them would keep nothing safer. An
# engine that is not named here, also one of tomorrow, counts as holding data on this disk; so does
# Buffer, whose rows are in the memory of one server until it passes them on.
# fmt: off
_HOLDS_NOTHING = frozenset(
    (
        "View", "MaterializedView", "LiveView", "WindowView", "TimeSeries", "Dictionary",
        "Distributed", "Merge", "Alias", "Null", "GenerateRandom", "FuzzJSON",
        "FuzzQuery", "Loop", "Executable", "ExecutablePool", "KeeperMap", "Kafka", "Kafka2",
        "RabbitMQ", "NATS", "Redis", "FileLog", "S3Queue", "AzureQueue", "ObjectStorageQueue",
        "MySQL", "MaterializedMySQL", "PostgreSQL", "MaterializedPostgreSQL", "MongoDB", "ODBC",
        "JDBC", "ExternalDistributed", "S3", "GCS", "COSN", "OSS", "AzureBlobStorage", "HDFS",
        "Hive", "URL", "ArrowFlight", "YTsaurus", "Iceberg", "IcebergS3", "IcebergAzure",
        "IcebergHDFS", "DeltaLake", "DeltaLakeS3", "DeltaLakeAzure", "Hudi", "Paimon",
    )
)
# fmt: on
# absolute_delay of a replica that never was up to date counts from 1970 (seconds).
_NEVER = 10 * 365 * 86400


@check(
    id="ch-replicas",
    severity=Severity.BLOCKER,
    safety=Safety.S1,
    remediation="Add the missing replica to remote_servers on every server, start the one that "
    "does not answer, and look at system.errors of the server whose errors_count is not 0.",
    reference=f"{_DOCS}/architecture/replication",
)
def test_every_shard_has_enough_replicas_that_answer(
    ch_replicas: Replicas, ch_limits: ClickHouse, evidence: Evidence
) -> None:
    """Every shard of the cluster has enough replicas, and each of them answers.

    A shard with fewer replicas than planned loses data, or stops taking writes, with the first
    machine that breaks; so does one whose replicas exist in a configuration file only.
    """
    shards = ch_replicas.shards()
    evidence.examined(f"replica/{replica.host}" for replica in ch_replicas.replicas)
    evidence.observed(
        shards={str(shard): len(replicas) for shard, replicas in shards.items()},
        answering=[replica.host for replica in ch_replicas.replicas if replica.answers],
    )
    evidence.expected(replicas_per_shard=f">= {ch_limits.min_replicas}", errors_count=0)

    for shard, replicas in shards.items():
        servers = {(replica.host, replica.port) for replica in replicas}  # one may stand thrice
        if len(servers) < ch_limits.min_replicas:
            evidence.finding(
                f"shard/{shard}",
                f"has {plural(len(servers), 'replica')}, fewer than {ch_limits.min_replicas}",
                "few-replicas",
            )
    for replica in ch_replicas.replicas:
        if replica.answers is False:
            evidence.finding(f"replica/{replica.host}", "does not answer", "replica-silent")
        elif replica.errors:
            evidence.finding(
                f"replica/{replica.host}",
                f"could not be reached {plural(replica.errors, 'time')} lately (errors_count)",
                "replica-flapping",
            )

    assert not evidence.findings


@check(
    id="ch-replication",
    severity=Severity.BLOCKER,
    safety=Safety.S1,
    remediation="Make the table ReplicatedMergeTree, or name it in replicated_exclude; for a "
    "replica that is behind or read-only look at Keeper and at system.replication_queue.",
    reference=f"{_DOCS}/operations/system-tables/replicas",
)
def test_every_table_is_replicated_and_its_replicas_agree(
    ch_tables: Tables, ch_replication: Replication, ch_limits: ClickHouse, evidence: Evidence
) -> None:
    """Every table of the database is replicated, and every replica of it follows.

    A table of an ordinary engine exists once: its rows are gone with their disk. A replica that is
    read-only, or hours behind, takes over with rows missing. A table that one shard lacks holds a
    part of the rows, and a Buffer in front of it loses what it has not passed on.
    """
    judged = [table for table in ch_tables.tables if _must_be_replicated(table, ch_limits)]
    states = {(state.host, state.full_name): state for state in ch_replication.tables}
    by_name: defaultdict[str, list[Table]] = defaultdict(list)
    for table in judged:
        by_name[table.full_name].append(table)
    evidence.examined(f"table/{table.full_name}@{table.host}" for table in judged)
    evidence.observed(
        tables=sorted(by_name),
        holding_no_data=sorted({t.full_name for t in ch_tables.tables if _holds_nothing(t)}),
        excluded=list(ch_limits.replicated_exclude),
        longest_queue=max((state.queue for state in states.values()), default=0),
        longest_delay=max((state.delay for state in states.values()), default=0),
    )
    evidence.expected(
        engine="Replicated*",
        readonly=False,
        session_expired=False,
        active_replicas="all",
        queue=f"<= {ch_limits.max_replication_queue}",
        delay=f"<= {ch_limits.max_replication_delay.total_seconds():g} s",
    )

    for name, tables in by_name.items():
        _judge_table(name, tables, ch_tables.hosts, evidence)
        for table in tables:
            if table.engine.startswith("Replicated"):
                state = states.get((table.host, name))
                _judge_state(table, state, ch_limits, evidence)
                planned = len(tuple(ch_tables.hosts.get(table.shard, ())))
                if state is not None:
                    _judge_registration(table, state, planned, evidence)

    assert not evidence.findings


@check(
    id="ch-backup",
    severity=Severity.BLOCKER,
    safety=Safety.S1,
    remediation="Make backups on a schedule to an object store (BACKUP ... ON CLUSTER ... TO S3, "
    "or clickhouse-backup), repair what made the last one fail, and start a new full backup where "
    "the chain is broken.",
    reference=f"{_DOCS}/operations/backup",
)
def test_the_newest_backup_is_good_and_young(
    ch_backups: Backups,
    ch_backup_api: BackupApi,
    ch_disks: Disks,
    ch_limits: ClickHouse,
    evidence: Evidence,
) -> None:
    """The newest backup of every shard is complete, elsewhere, young, and none has failed since.

    Replication copies a wrong DELETE within a second. What is left then is the last backup that
    can be restored: with it goes everything written after it. A backup to nowhere (Null, Memory),
    of no file, or on a disk of the server that it saves is none; one without ON CLUSTER saves the
    shard of its server alone. A local disk counts as the server's own, whatever is mounted there.
    """
    found = history(ch_backups, ch_backup_api, ch_disks)
    api = (f"clickhouse-backup {ch_backup_api.url}",) if ch_backup_api.url else ()
    evidence.examined((*ch_backups.sources, *api))
    evidence.observed(
        backups=len(found.known),
        newest={
            f"shard/{shard}": f"{newest.backup.name}, made at {rfc3339(newest.at)}"
            for shard, newest in found.newest.items()
            if newest is not None
        },
        running=[b.name for b in found.known if b.state is BackupState.RUNNING],
        not_counted={
            b.name: found.worthless[id(b)][0] for b in found.known if id(b) in found.worthless
        },
    )
    evidence.expected(
        age=f"<= {span(ch_limits.max_backup_age)}, of each shard",
        failed_since=0,
        judged_at=rfc3339(found.asked_at),
    )

    for wrong in wrong_with_backups(found, ch_limits):
        evidence.finding(*wrong)

    assert not evidence.findings


@check(
    id="ch-disk",
    severity=Severity.BLOCKER,
    safety=Safety.S1,
    remediation="Drop or move old partitions, add a disk to the storage policy, or enlarge it.",
    reference=f"{_DOCS}/operations/system-tables/disks",
)
def test_every_disk_of_every_replica_has_room(
    ch_disks: Disks, ch_limits: ClickHouse, evidence: Evidence
) -> None:
    """Every disk of every replica has enough free space.

    A full disk stops inserts and merges on its replica at once, and one replica's full disk is
    seen by nobody who looks at another. Each volume of a tiered policy counts: moves to a full
    one fail. A server that can no longer write to a local disk makes it read-only by itself
    (`local_disk_check_period_ms`). Object stores have no size, and a remote disk that is read-only
    is meant to be; they are named and not measured.
    """
    measured = [disk for disk in ch_disks.disks if must_have_room(disk)]
    if ch_disks.disks and not measured and not any(disk.broken for disk in ch_disks.disks):
        not_applicable("every disk is an object store without a size, or remote and read-only")
    evidence.examined(disk_name(disk) for disk in (measured or ch_disks.disks))
    evidence.observed(
        free={disk_name(disk): disk.free for disk in measured},
        unreserved={disk_name(disk): disk.unreserved for disk in measured},
        share={disk_name(disk): round(disk.free_share, 4) for disk in measured},
        not_measured=[disk_name(disk) for disk in ch_disks.disks if disk not in measured],
    )
    evidence.expected(
        free=f">= {size(ch_limits.min_free_disk)}",
        share=f">= {ch_limits.min_free_share:.0%}",
        unreserved="> 0",
        local="not read-only",
    )

    for disk in ch_disks.disks:
        problem = disk_problem(disk, ch_limits)
        if problem:
            evidence.finding(disk_name(disk), *problem)

    assert not evidence.findings


def _holds_nothing(table: Table) -> bool:
    return table.engine in _HOLDS_NOTHING


def _must_be_replicated(table: Table, limits: ClickHouse) -> bool:
    names = {table.name, table.full_name}
    return not _holds_nothing(table) and names.isdisjoint(limits.replicated_exclude)


def _judge_table(
    name: str, tables: list[Table], hosts: Mapping[int, Iterable[str]], evidence: Evidence
) -> None:
    """Judge what a table is, and where: it must be on each shard, on each of its replicas."""
    # SharedMergeTree of ClickHouse Cloud keeps its parts in a store all replicas read.
    plain = sorted({t.engine for t in tables if not t.engine.startswith(("Replicated", "Shared"))})
    if plain:
        where = ", ".join(t.host for t in tables if t.engine in plain)
        problem = f"is {', '.join(plain)}, not replicated, on {where}"
        evidence.finding(f"table/{name}", problem, "table-not-replicated")
    on = sorted({table.shard for table in tables})
    lacking = sorted(hosts.keys() - set(on))
    if lacking:
        problem = f"is on {_shards(on)} and not on {_shards(lacking)}"
        evidence.finding(f"table/{name}", problem, "table-not-on-shard")
    for shard in on:
        present = {table.host for table in tables if table.shard == shard}
        for host in hosts.get(shard, ()):
            if host not in present:
                problem = f"is missing here and on {', '.join(sorted(present))}"
                evidence.finding(f"table/{name}@{host}", problem, "table-missing")


def _judge_state(
    table: Table, state: ReplicatedTable | None, limits: ClickHouse, evidence: Evidence
) -> None:
    subject = f"table/{table.full_name}@{table.host}"
    if state is None:
        problem = f"is {table.engine} and not in system.replicas"
        evidence.finding(subject, problem, "replica-unknown")
        return
    because = f": {state.exception}" if state.exception else ""
    if state.readonly:
        evidence.finding(subject, f"is read-only{because}", "replica-readonly")
    if state.session_expired:
        evidence.finding(subject, f"has lost its Keeper session{because}", "keeper-session-lost")
    if state.active_replicas < state.total_replicas:
        problem = f"sees {state.active_replicas} of {state.total_replicas} replicas active"
        evidence.finding(subject, problem, "replicas-inactive")
    if state.queue > limits.max_replication_queue:
        oldest = f"; the oldest says {state.oldest_failure}" if state.oldest_failure else ""
        evidence.finding(
            subject,
            f"has {state.queue} entries in its queue, more than "
            f"{limits.max_replication_queue}{oldest}",
            "queue-long",
        )
    if state.delay > _NEVER:
        problem = "has not caught up once since its server started"
        evidence.finding(subject, problem, "replica-never-caught-up")
    elif state.delay > limits.max_replication_delay.total_seconds():
        evidence.finding(
            subject,
            f"is {state.delay} s behind, more than "
            f"{limits.max_replication_delay.total_seconds():g} s",
            "replica-behind",
        )


def _judge_registration(
    table: Table, state: ReplicatedTable, planned: int, evidence: Evidence
) -> None:
    """Judge how many replicas Keeper knows; 0 is what a server says that cannot ask Keeper."""
    subject = f"table/{table.full_name}@{table.host}"
    because = f": {state.exception}" if state.exception else ""
    if state.total_replicas == 0:
        problem = f"cannot ask Keeper for its replicas{because}"
        evidence.finding(subject, problem, "keeper-silent")
    elif state.total_replicas < planned:
        evidence.finding(
            subject,
            f"is registered with {state.total_replicas} of the {planned} replicas of its shard: "
            "they do not share one path in Keeper",
            "replicas-apart",
        )


def _shards(numbers: Iterable[int]) -> str:
    return ", ".join(f"shard {number}" for number in numbers)
