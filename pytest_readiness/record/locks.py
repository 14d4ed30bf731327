"""Who writes to a run directory: the lock of a run, and those of its workers.

The kernel lets go of them when a process is killed; the files that stay say nothing.

PYTEST_DONT_REWRITE
"""

from pathlib import Path

from filelock import FileLock, Timeout

from pytest_readiness.record.store import FOLDER

RUN, _WORKER = ".run.lock", ".worker-{}.lock"


def take(directory: Path) -> FileLock:
    """Return a lock that keeps others out of a run directory; give it back with `leave`.

    Raises filelock.Timeout while a run writes to it, or a worker that outlives a killed one: what
    it has just asked would be taken for a fact of the next run. Raises OSError.
    """
    lock = FileLock(directory / RUN)
    lock.acquire(timeout=0)
    if any(_is_held(path) for path in (directory / FOLDER).glob(_WORKER.format("*"))):
        lock.release()
        raise Timeout(lock.lock_file)
    return lock


def leave(lock: FileLock) -> None:
    """Let others in, and leave no file."""
    Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()


def work(directory: Path, worker: str) -> FileLock:
    """Return the lock of a worker, held. Raises filelock.Timeout, OSError."""
    lock = FileLock(directory / FOLDER / _WORKER.format(worker))
    lock.acquire(timeout=0)
    return lock


def clear(directory: Path) -> None:
    """Remove locks and marks among the facts, but not the lock of a worker that lives on."""
    for path in (directory / FOLDER).glob(".*"):
        if not (path.match(_WORKER.format("*")) and _is_held(path)):
            path.unlink(missing_ok=True)


def _is_held(path: Path) -> bool:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False
