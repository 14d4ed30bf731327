"""A ClickHouse cluster on loopback: the embedded engine behind its HTTP interface.

    with ClickHouseLab(WORLD, changes) as lab:
        lab.url         # clickhouse+http://reader@127.0.0.1:PORT/risk
        lab.backup_api  # http://127.0.0.1:PORT

One at a time in a process, because the engine is; process.py starts it in another one.

PYTEST_DONT_REWRITE
"""

import ssl
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pytest_readiness.clock import now
from pytest_readiness.lab.clickhouse.engine import Engine
from pytest_readiness.lab.clickhouse.http import Request, Server, Site
from pytest_readiness.lab.clickhouse.world import World, listed, load_world

USER = "reader"


class ClickHouseLab:
    """A cluster of the world in a folder, changed by `changes` (see world.py).

    port: 0 for any. password: of the user `reader`; without one the user needs none. tls: serve
    https with this context. Raises WorldError where the world is wrong, at construction already
    for what is not SQL.
    """

    def __init__(
        self,
        world: Path,
        changes: Sequence[Mapping[str, Any]] = (),
        *,
        port: int = 0,
        password: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._world: World = load_world(world, changes)
        self._port = port
        self._password = password
        self._tls = tls
        self._engine: Engine | None = None
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """What readiness.ini has as [clickhouse] url."""
        database = self._world.cluster.database
        return f"clickhouse+{self._scheme}://{USER}@127.0.0.1:{self._port}/{database}"

    @property
    def backup_api(self) -> str:
        """What readiness.ini has as [clickhouse] backup_api."""
        return f"{self._scheme}://127.0.0.1:{self._port}"

    @property
    def cluster(self) -> str:
        """What readiness.ini has as [clickhouse] cluster."""
        return self._world.cluster.cluster

    @property
    def requests(self) -> list[Request]:
        """What has been asked so far; it is kept when the lab stops."""
        return list(self._server.site.requests) if self._server is not None else []

    def start(self) -> None:
        """Start the engine and serve. Raises WorldError."""
        started = now()
        self._engine = engine = Engine(self._world)
        try:
            version = engine.query("SELECT version()").decode().strip()
            site = Site(
                engine=engine,
                version=version,
                users={USER: self._password, "default": self._password},
                answers=self._world.answers,
                backups=lambda: listed(self._world.api, started),
            )
            self._server = Server(("127.0.0.1", self._port), site)
        except BaseException:
            engine.close()
            raise
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop serving, end the engine, remove its files."""
        if self._thread is not None and self._server is not None:
            self._server.stop()
            self._thread.join()
            self._thread = None
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    @property
    def _scheme(self) -> str:
        return "https" if self._tls is not None else "http"
