"""Which backups can be restored after the loss of what they save, and what is wrong; pure.

A backup counts when it was created, holds files, lies away from the servers (S3, Azure, a disk
that system.disks calls remote, clickhouse-backup's remote store), and so does each backup that it
builds on. A local disk is the server's own, also where a network file system is mounted: the
server does not tell. Each shard needs one: a backup saves the shard of the server that made it,
or every shard when its statement said ON CLUSTER.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from pytest_readiness.clock import rfc3339
from pytest_readiness.targets.clickhouse.facts import Backup, BackupApi, Backups, BackupState, Disks
from pytest_readiness.targets.clickhouse.section import ClickHouse

# Clocks of a server and of the host that asks may differ by this much without being wrong.
_CLOCK_SKEW = timedelta(minutes=1)
_AWAY = frozenset(("S3", "AzureBlobStorage", "remote"))
_NOWHERE = frozenset(("Null", "Memory"))
Problem = tuple[str, str]  # in words, and its code
Found = tuple[str, str, str]  # subject, problem, its code


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest good backup of a shard, and its moment."""

    at: datetime
    backup: Backup


@dataclass(frozen=True, slots=True)
class History:
    """All backups, judged at one moment.

    worthless: why created backups save nothing, broken: why they cannot be restored, by id().
    newest: by shard, None where it has no good backup. hosts: by shard.
    """

    known: tuple[Backup, ...]
    asked_at: datetime
    worthless: Mapping[int, Problem]
    broken: Mapping[int, str]
    newest: Mapping[int, Newest | None]
    hosts: Mapping[int, tuple[str, ...]]


def history(backups: Backups, api: BackupApi, disks: Disks) -> History:
    """Judge each backup by itself, and find the newest good one of each shard."""
    known = (*backups.backups, *api.backups)
    asked_at = max(backups.asked_at, api.asked_at)
    remote = {(disk.host, disk.name): disk.remote for disk in disks.disks}
    worthless = {id(b): why for b in known if (why := _worthless(b, remote))}
    sound = [b for b in known if b.state is BackupState.CREATED and id(b) not in worthless]
    created = {_key(b.name): b for b in sound}
    broken = {id(b): said for b in sound if (said := _broken_chain(b, created))}
    good = [b for b in sound if id(b) not in broken]
    dated = [Newest(b.at, b) for b in good if b.at is not None and b.at <= asked_at + _CLOCK_SKEW]
    newest = {
        shard: max(
            (n for n in dated if _covers(n.backup, shard, backups.hosts)), key=_moment, default=None
        )
        for shard in sorted(backups.hosts)
    }
    return History(known, asked_at, worthless, broken, newest, backups.hosts)


def wrong_with_backups(found: History, limits: ClickHouse) -> Iterator[Found]:
    """Yield each shard without a young good backup, and each backup that something is wrong with.

    What is older than the newest good backup of its shards is history. Backups that save nothing
    are named only where a shard has no young good one: they harm nobody beside it.
    """
    if not any(found.newest.values()):
        yield f"cluster/{limits.cluster}", "has no complete backup", "no-backup"
    else:
        for shard, newest in found.newest.items():
            if newest is None:
                problem = "has no complete backup: none of its servers made one that counts, nor "
                yield f"shard/{shard}", f"{problem}one ON CLUSTER", "shard-without-backup"
    old = {id(n.backup): n for n in found.newest.values() if n and _is_old(n, found, limits)}
    for newest in old.values():
        yield (
            f"backup/{newest.backup.name}",
            f"is the newest good one and {span(found.asked_at - newest.at)} old, more than "
            f"{span(limits.max_backup_age)}",
            "backup-old",
        )
    for backup in found.known:
        problem_of = _problem(backup, found, limits)
        if problem_of:
            yield f"backup/{backup.name}", *problem_of


def span(time: timedelta) -> str:
    """Write a time in hours and minutes."""
    minutes = round(time.total_seconds() / 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours and rest else f"{hours} h" if hours else f"{rest} min"


def _covers(backup: Backup, shard: int, hosts: Mapping[int, tuple[str, ...]]) -> bool:
    """Tell whether a backup saves a shard: clickhouse-backup saves that of the host of its URL."""
    its_own = {backup.host, urlsplit(backup.host).hostname}
    return len(hosts) == 1 or backup.on_cluster or not its_own.isdisjoint(hosts[shard])


def _moment(newest: Newest) -> datetime:
    return newest.at


def _is_old(newest: Newest, found: History, limits: ClickHouse) -> bool:
    return found.asked_at - newest.at > limits.max_backup_age


def _worthless(backup: Backup, remote: Mapping[tuple[str, str], bool]) -> Problem | None:
    """Say why a created backup would save nothing by itself, or None."""
    if backup.state is not BackupState.CREATED:
        return None
    if backup.destination in _NOWHERE:
        return f"was made to {backup.destination}, which keeps nothing", "backup-nowhere"
    if backup.files == 0:
        return "holds no file", "backup-empty"
    if backup.destination == "Disk":
        is_remote = remote.get((backup.host, backup.disk))
        if is_remote is None:
            return f"lies on disk {backup.disk}, which {backup.host} has not", "backup-disk-unknown"
        if not is_remote:
            problem = f"lies on disk {backup.disk} of {backup.host}, the server that it saves"
            return problem, "backup-local"
    elif backup.destination not in _AWAY:
        where = backup.destination or "a place unknown"
        return f"lies in {where}, not known to be away from the server it saves", "backup-local"
    return None


def _broken_chain(backup: Backup, created: Mapping[str, Backup]) -> str | None:
    """Return why a backup cannot be restored, or None where its chain is whole.

    An increment needs its base, and so on down to a full backup; a base that is unknown, failed,
    still running or worthless breaks the chain. Names are compared without spaces:
    `Disk('a','b')` is `Disk('a', 'b')`.
    """
    seen = {_key(backup.name)}
    while backup.base:
        base = created.get(_key(backup.base))
        if base is None or _key(base.name) in seen:
            return f"cannot be restored: its base {backup.base} is not among the complete backups"
        seen.add(_key(base.name))
        backup = base
    return None


def _key(name: str) -> str:
    return "".join(name.split())


def _problem(backup: Backup, found: History, limits: ClickHouse) -> Problem | None:
    """Return what is wrong with one backup, None also where that is history."""
    at, running_for = backup.at, None
    if backup.state is BackupState.RUNNING and backup.started is not None:
        running_for = found.asked_at - backup.started
    if at is not None and at > found.asked_at + _CLOCK_SKEW:
        problem = f"is dated {span(at - found.asked_at)} in the future: a clock is wrong"
        return problem, "backup-future"
    if running_for is not None and running_for > limits.max_backup_age:
        longest = span(limits.max_backup_age)
        return f"has run for {span(running_for)}, more than {longest}", "backup-stuck"
    theirs = [
        newest for shard, newest in found.newest.items() if _covers(backup, shard, found.hosts)
    ]
    theirs = theirs or list(found.newest.values())
    since = at is None or any(newest is None or at > newest.at for newest in theirs)
    if backup.state is BackupState.FAILED and since:
        when = f"at {rfc3339(at)}" if at is not None else "at an unknown time"
        because = f": {backup.error}" if backup.error else ""
        return f"failed {when}{because}", "backup-failed"
    if id(backup) in found.broken and since:
        return found.broken[id(backup)], "backup-chain-broken"
    if id(backup) in found.worthless and since:
        missed = any(newest is None or _is_old(newest, found, limits) for newest in theirs)
        return found.worthless[id(backup)] if missed else None
    if backup.state is BackupState.CREATED and at is None:
        return "has no date, so its age is unknown", "backup-undated"
    return None
