"""`python -m MODULE` as a process of its own, forked from one that has everything imported.

Most of the time of a short run is imports. multiprocessing's fork server, one for each process of
our tests, is a clean interpreter with one thread that nothing has been run in; what is forked from
it has its own pid, signals, folder, environment, standard streams and exit code. What an
interpreter reads only when it starts cannot be changed for it: that needs a fresh one.
"""

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.run.preloaded"])
_READY = b"\0"
CLI = "pytest_readiness.cli"
# Variables that an interpreter, its C library or coverage reads once, by prefix.
AT_START = ("PYTHON", "LC_", "LANG", "LD_", "COVERAGE_")


@dataclass(frozen=True)
class Order:
    """What shall be run. input: what it reads, at most what a pipe holds."""

    module: str
    arguments: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]
    input: str
    start_new_session: bool


class Forked:
    """As much of subprocess.Popen as the tests use; stderr goes where stdout goes."""

    def __init__(
        self,
        module: str,
        arguments: tuple[str, ...],
        *,
        folder: Path,
        environment: Mapping[str, str],
        input: str = "",
        start_new_session: bool = False,
    ) -> None:
        """Start it. Raises RuntimeError where it needs a fresh interpreter."""
        order = Order(module, arguments, folder, dict(environment), input, start_new_session)
        self._out, theirs = _context.Pipe(duplex=False)
        # A daemon ends with the process of our tests, should one of them leave it behind.
        self._process = _context.Process(target=_become, args=(order, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._said = b""
        if (first := os.read(self._out.fileno(), len(_READY))) != _READY:
            raise RuntimeError((first + self._read(None)).decode())

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("a forked run", timeout or 0)
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Return all that was said until nobody can say any more. Raises TimeoutExpired."""
        said = self._read(timeout).decode().replace("\r\n", "\n")
        self.wait(timeout)
        self._out.close()
        return said, None

    def _read(self, timeout: float | None) -> bytes:
        end = None if timeout is None else time.monotonic() + timeout
        while wait([self._out], None if end is None else max(0, end - time.monotonic())):
            read = os.read(self._out.fileno(), 1 << 16)
            if not read:
                return self._said
            self._said += read
        raise subprocess.TimeoutExpired("a forked run", timeout or 0, output=self._said)


def _become(order: Order, out: Connection) -> None:
    """Become what the order says, and run it."""
    if order.start_new_session:
        os.setsid()
    _connect(order.input, out)
    _enter(order)
    os.write(1, _READY)
    try:
        runpy.run_module(order.module, run_name="__main__", alter_sys=True)
    except Exception:  # told as an interpreter tells it, not as multiprocessing does
        sys.excepthook(*sys.exc_info())
        sys.exit(1)
    finally:
        atexit._run_exitfuncs()


def _connect(text: str, out: Connection) -> None:
    """Give this process its standard streams, and no other file of whom it is forked from."""
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    if os.write(theirs, text.encode()) < len(text.encode()):
        raise RuntimeError("more than a pipe holds: it needs a fresh interpreter")
    for number, standard in ((ours, 0), (out.fileno(), 1), (out.fileno(), 2)):
        os.dup2(number, standard)
    out.close()
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    coding, errors = sys.stdout.encoding, sys.stdout.errors
    buffering = 1 if os.environ.get("PYTHONUNBUFFERED") else -1
    sys.stdin = os.fdopen(0, encoding=coding, errors=errors)
    sys.stdout = os.fdopen(1, "w", buffering, coding, errors)
    sys.stderr = os.fdopen(2, "w", 1, coding, sys.stderr.errors)


def _enter(order: Order) -> None:
    """Take folder, environment, arguments and signals of the order; forget our tests."""
    from tests.run import preloaded

    if os.getpid() == preloaded.PID:
        raise RuntimeError("tests.run.preloaded was not imported by the fork server")
    if at_start(order.environment) != at_start(os.environ):
        raise RuntimeError(f"needs a fresh interpreter: {at_start(order.environment)}")
    os.environ.clear()
    os.environ.update(order.environment)
    time.tzset()
    tempfile.tempdir = None
    os.chdir(order.folder)
    sys.path[:] = [str(order.folder), *preloaded.PATH]
    sys.argv = ["-m", *order.arguments]
    for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
        del sys.modules[name]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that only a fresh interpreter reads."""
    return {name: value for name, value in environment.items() if name.startswith(AT_START)}
