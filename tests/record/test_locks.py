"""Who may write to a run directory."""

from pathlib import Path

import pytest
from filelock import Timeout

from pytest_readiness.record import locks


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "facts").mkdir()
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_run_keeps_others_out_until_it_leaves(run: Path) -> None:
    lock = locks.take(run)
    with pytest.raises(Timeout):
        locks.take(run)
    locks.leave(lock)
    assert names(run) == ["facts"]
    locks.leave(locks.take(run))


def test_a_worker_keeps_others_out_until_it_leaves(run: Path) -> None:
    lock = locks.work(run, "gw0")
    with pytest.raises(Timeout):
        locks.take(run)
    locks.leave(lock)
    assert not names(run / "facts")
    locks.leave(locks.take(run))  # which shows that the refusal has let go of the run's own lock


def test_files_of_locks_that_nobody_holds_keep_nobody_out(run: Path) -> None:
    (run / ".run.lock").touch()
    (run / "facts/.worker-gw0.lock").touch()
    locks.leave(locks.take(run))


def test_clears_all_but_the_lock_of_a_worker_that_lives(run: Path) -> None:
    for name in (".own.json", ".kubernetes.lock", ".worker-gw0.lock", "k8s_nodes.json"):
        (run / "facts" / name).touch()
    lock = locks.work(run, "gw1")
    locks.clear(run)
    assert names(run / "facts") == [".worker-gw1.lock", "k8s_nodes.json"]
    locks.leave(lock)
