"""One instance of a server for all workers of a test run.

The first worker that needs a server starts a keeper, `python -m tests.servers.shared MODULE
FOLDER`, which runs MODULE.run(FOLDER), a context manager of a JSON-safe dictionary. Every user
holds a shared lock on FOLDER/users; the keeper stops the server when it can have that lock for
itself. The kernel gives the lock back for a worker that dies, so that nothing is left behind.
"""

import fcntl
import importlib
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.servers.programs import ROOT

IDLE = 0.2  # seconds between two looks of a keeper for users


@contextmanager
def shared(factory: pytest.TempPathFactory, module: str) -> Iterator[dict[str, Any]]:
    """Run the server of a module, or join the one that another worker runs.

    Yields what the server says of itself; "folder" is where its logs lie.
    """
    base = factory.getbasetemp()
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = run / ("server-" + module.rpartition(".")[2])
    folder.mkdir(exist_ok=True)
    with (folder / "users").open("w") as users:
        with FileLock(folder / "start.lock"):
            fcntl.flock(users, fcntl.LOCK_SH)
            says = _says(folder) or _start(module, folder)
        if "failed" in says:
            pytest.fail(f"{module} did not start: {says['failed']}", pytrace=False)
        yield says | {"folder": str(folder)}


def _says(folder: Path) -> dict[str, Any] | None:
    told = folder / "says.json"
    if not told.exists():
        return None
    said: dict[str, Any] = json.loads(told.read_text())
    return said


def _start(module: str, folder: Path) -> dict[str, Any]:
    with (folder / "keeper.log").open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.shared", module, str(folder)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    while (said := _says(folder)) is None:
        if keeper.poll() is not None:
            return {"failed": (folder / "keeper.log").read_text(errors="replace")}
        time.sleep(0.1)
    # It outlives this worker where another one still uses the server.
    keeper.returncode = 0
    return said


def _keep(module: str, folder: Path) -> None:
    told = folder / "says.json"
    with (folder / "users").open("a") as users:
        try:
            with importlib.import_module(module).run(folder) as said:
                _tell(told, said)
                while not _alone(users):
                    time.sleep(IDLE)
                # Who comes now finds no server and starts one.
                told.unlink()
        except Exception:
            if told.exists():
                raise
            _tell(told, {"failed": traceback.format_exc()})
            raise


def _alone(users: Any) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _tell(told: Path, said: dict[str, Any]) -> None:
    draft = told.with_suffix(".draft")
    draft.write_text(json.dumps(said))
    draft.rename(told)


if __name__ == "__main__":
    _keep(sys.argv[1], Path(sys.argv[2]))
