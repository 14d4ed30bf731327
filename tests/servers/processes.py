"""Processes of a server: started with a log of their own, waited for, stopped by their id."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

START = 90.0  # seconds; a server is ready in ten where nothing is built beside it
STOP = 5.0


class StartError(Exception):
    """A server did not come up; the text ends with the last lines of its log."""


class Process:
    """One running program. log: everything it wrote; folder: where it runs."""

    def __init__(
        self, argv: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._name = Path(argv[0]).name
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                env={"PATH": os.environ["PATH"], "HOME": str(log.parent)} | dict(environment or {}),
                start_new_session=True,  # Ctrl-C is for the tests; they then stop their servers
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        self.pid = self._process.pid

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Return once the server is ready. Raises StartError, after stopping it."""
        until = time.monotonic() + START
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise StartError(
                    f"{self._name} ended with {self._process.returncode}:{self.tail()}"
                )
            if ready():
                return
            time.sleep(0.1)
        self.kill()
        raise StartError(f"{self._name} was not ready after {START:.0f} s:{self.tail()}")

    def tail(self, lines: int = 20) -> str:
        """Return the end of the log, a line break before each line."""
        said = self.log.read_text(errors="replace").splitlines()
        return "".join(f"\n  {line}" for line in said[-lines:])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal: SIGSTOP and SIGCONT hold a server still and let it go on."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once, as a machine that loses its power would."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Ask it to end, and end it when it does not."""
        self._process.terminate()
        try:
            self._process.wait(STOP)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def running(self) -> bool:
        """Say whether it still runs."""
        return self._process.poll() is None


def run_client(
    argv: Sequence[str | Path],
    home: Path,
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run a client to its end, at home in a folder of its own; a minute at most."""
    return subprocess.run(
        argv,
        input=stdin,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "TZ": "UTC"} | dict(environment or {}),
        timeout=60,
        check=False,
    )


@contextmanager
def stopping(processes: list[Process]) -> Iterator[None]:
    """Stop the processes that the list then holds, the last one first."""
    try:
        yield
    finally:
        for process in reversed(processes):
            process.stop()


@contextmanager
def serving(argv: Sequence[str | Path], log: Path, ready: Callable[[], bool]) -> Iterator[Process]:
    """Run one server from the moment it is ready until the end. Raises StartError."""
    server = Process(argv, log)
    with stopping([server]):
        server.wait_until(ready)
        yield server


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Say whether something accepts connections on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _die_with_parent() -> None:
    # prctl(PR_SET_PDEATHSIG, SIGKILL), linux/prctl.h: also when the parent is killed.
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
