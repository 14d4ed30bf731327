"""A real ZooKeeper (Debian's package `zookeeper`) for the engine's Replicated tables.

Alone and standalone: one server on a free port of 127.0.0.1, its data in a folder of its own, no
admin server, no log files beside its output. `run` is for `shared`; a test that stops it or holds
it still makes a `ZooKeeper` of its own.
"""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from tests.servers.processes import Process, free_port
from tests.servers.programs import need

PROGRAMS = ("/usr/share/java/zookeeper.jar", "java")
_MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
# A session lives 2 to 20 ticks; whitelisted is the one word that says that it serves.
_CONFIG = """\
tickTime=500
dataDir={data}
clientPort={port}
clientPortAddress=127.0.0.1
admin.enableServer=false
4lw.commands.whitelist=srvr
"""


class ZooKeeper:
    """One server. port: of its clients; the data outlives `stop` and `start`."""

    def __init__(self, jar: Path, java: Path, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._config = folder / "zoo.cfg"
        # Its manifest names the jars it needs.
        heap = ("-Xmx96m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
        self._argv = (java, *heap, "-cp", jar, _MAIN, self._config)
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it serves. Raises StartError."""
        data = self._folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        self._config.write_text(_CONFIG.format(data=data, port=self.port))
        self._process = Process(self._argv, self._folder / "logs" / "zookeeper.log")
        self._process.wait_until(lambda: "Mode: standalone" in _srvr(self.port))

    def stop(self) -> None:
        """End it as a machine that loses its power would; every session is lost."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def hold(self) -> None:
        """Keep it from answering; its connections stay open."""
        assert self._process is not None
        self._process.signal(signal.SIGSTOP)

    def release(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.signal(signal.SIGCONT)


def zookeeper(folder: Path) -> ZooKeeper:
    """Return one that is not started; without its programs the test is skipped by name."""
    jar, java = need(*PROGRAMS)
    return ZooKeeper(jar, java, folder)


@contextmanager
def run(folder: Path) -> Iterator[dict[str, Any]]:
    """Run one for all workers; says its port."""
    with zookeeper(folder) as server:
        yield {"port": server.port}


def _srvr(port: int) -> str:
    said = b""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"srvr")
        while part := connection.recv(4096):
            said += part
    return said.decode("utf-8", "replace")
