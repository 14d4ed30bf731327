"""What ClickHouse says about itself, replica by replica.

`host` is always the host_name of system.clusters, the name by which replicas find each other, so
that facts of different questions can be joined. Sizes are bytes, delays seconds. A fact that is
judged by age carries `asked_at`, the moment of asking (aware, UTC).

PYTEST_DONT_REWRITE
"""

from datetime import datetime
from enum import StrEnum

import msgspec


class Identity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which server answered. url: as in readiness.ini, which holds no password."""

    url: str
    version: str
    hostname: str
    server_uuid: str
    user: str
    database: str


class Replica(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One replica of one shard, as system.clusters has it.

    number: from 1 within the shard. errors: times the connected server failed to reach it lately
    (errors_count halves every distributed_replica_error_half_life_time). answers: whether it took
    part in a query over all replicas; None where the user may not ask in the way that tells it.
    """

    shard: int
    number: int
    host: str
    port: int
    errors: int
    answers: bool | None


class Replicas(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All replicas of the configured cluster, in the order of system.clusters."""

    cluster: str
    replicas: tuple[Replica, ...]

    def shards(self) -> dict[int, tuple[Replica, ...]]:
        """Return the replicas of each shard by shard number."""
        return {
            shard: tuple(replica for replica in self.replicas if replica.shard == shard)
            for shard in sorted({replica.shard for replica in self.replicas})
        }


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table on one replica. engine: as in system.tables."""

    host: str
    shard: int
    database: str
    name: str
    engine: str

    @property
    def full_name(self) -> str:
        """`DATABASE.NAME`."""
        return f"{self.database}.{self.name}"


class Tables(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The tables of one database on every replica. hosts: shard number -> replicas asked."""

    database: str
    hosts: dict[int, tuple[str, ...]]
    tables: tuple[Table, ...]


class ReplicatedTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """State of one Replicated* table on one replica (system.replicas).

    queue: entries not yet carried out. delay: seconds behind the freshest replica. exception: what
    Keeper or the queue's update last said; oldest_failure: last exception of the oldest entry of
    the queue that has one. Both are empty where there is none.
    """

    host: str
    database: str
    table: str
    readonly: bool
    session_expired: bool
    active_replicas: int
    total_replicas: int
    queue: int
    delay: int
    exception: str
    oldest_failure: str

    @property
    def full_name(self) -> str:
        """`DATABASE.NAME`."""
        return f"{self.database}.{self.table}"


class Replication(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Replicated tables of one database, on every replica."""

    database: str
    tables: tuple[ReplicatedTable, ...]


# An object store has no size: the server then answers the largest number that fits (2^64 - 1, some
# versions 2^63 - 1). No real disk is larger than this.
UNBOUNDED = 1 << 60


class Disk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One disk of one replica (system.disks). type: Local, ObjectStorage, ... (older: s3, local).

    unreserved: free less what running merges and moves have reserved.
    """

    host: str
    name: str
    path: str
    type: str
    free: int
    total: int
    unreserved: int
    remote: bool
    broken: bool
    read_only: bool

    @property
    def unbounded(self) -> bool:
        """Whether it is an object store, which has no size that could run out."""
        return self.remote and self.total >= UNBOUNDED

    @property
    def free_share(self) -> float:
        """Free part of the whole, 0 to 1; 0 for a disk whose size is unknown."""
        return self.free / self.total if self.total > 0 else 0.0


class Disks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every disk of every replica."""

    disks: tuple[Disk, ...]


class BackupState(StrEnum):
    """How a backup ended, or that it has not."""

    CREATED = "created"
    FAILED = "failed"  # also cancelled, broken, or lost with the server that made it
    RUNNING = "running"


class Backup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One backup that one source knows of.

    host: replica that made it, or the base URL of clickhouse-backup. base: name of the backup it
    is an increment of, or empty. started, ended: aware, UTC; None where the source does not say.
    error: one line, empty where there is none. destination: how the source names the place, `S3`,
    `Disk`, `File`, `Null` ... of BACKUP, `local` or `remote` of clickhouse-backup, empty where it
    cannot be read; disk: the name of a `Disk`. files: how many it holds, those of its bases
    included, None where the source does not say. on_cluster: whether the statement is known to
    have said ON CLUSTER; a cluster of one shard is not asked for it.
    """

    host: str
    name: str
    base: str
    state: BackupState
    started: datetime | None
    ended: datetime | None
    error: str
    destination: str
    disk: str
    files: int | None
    on_cluster: bool

    @property
    def at(self) -> datetime | None:
        """The end, or the start where no end is known."""
        return self.ended or self.started


class Backups(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Backups that the servers know of.

    sources: the system tables that were read. hosts: shard number -> its replicas.
    """

    asked_at: datetime
    sources: tuple[str, ...]
    hosts: dict[int, tuple[str, ...]]
    backups: tuple[Backup, ...]


class BackupApi(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Backups that clickhouse-backup lists. url: None where readiness.ini names no backup_api."""

    asked_at: datetime
    url: str | None
    backups: tuple[Backup, ...]
