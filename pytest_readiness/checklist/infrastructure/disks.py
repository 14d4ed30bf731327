"""Whether a disk of a replica has room and takes writes; pure."""

from pytest_readiness.targets.clickhouse.facts import Disk
from pytest_readiness.targets.clickhouse.section import ClickHouse

Problem = tuple[str, str]  # in words, and its code


def disk_name(disk: Disk) -> str:
    """Return the subject of a finding about the disk."""
    return f"disk/{disk.host}/{disk.name}"


def must_have_room(disk: Disk) -> bool:
    """Tell whether rows are written to the disk, and its size is an end to that.

    A remote disk that is read-only is meant to be; a local one is so because of a fault.
    """
    return not disk.unbounded and not (disk.remote and disk.read_only)


def disk_problem(disk: Disk, limits: ClickHouse) -> Problem | None:
    """Say what is wrong with the disk, or None."""
    if disk.broken:
        return "is broken (is_broken)", "disk-broken"
    if not must_have_room(disk):
        return None
    if disk.read_only:
        return "is read-only (is_read_only): the server cannot write to it", "disk-readonly"
    if disk.total <= 0:
        return "has an unknown size (total_space 0)", "disk-size-unknown"
    problems = []
    if disk.free < limits.min_free_disk:
        problems.append(f"has {size(disk.free)} free, less than {size(limits.min_free_disk)}")
    if disk.free_share < limits.min_free_share:
        share, least = f"{disk.free_share:.1%}", f"{limits.min_free_share:.0%}"
        problems.append(f"{'and' if problems else 'has'} {share} free, less than {least}")
    if problems:
        return " ".join(problems), "disk-full"
    if disk.unreserved <= 0:
        problem = f"has {size(disk.free)} free, and all of it is reserved (unreserved_space 0)"
        return problem, "disk-reserved"
    return None


def size(number: int) -> str:
    """Write bytes in GB."""
    return f"{number / 1e9:.4g} GB"
