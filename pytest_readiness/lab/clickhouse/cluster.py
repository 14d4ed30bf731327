"""A ClickHouse cluster on loopback: the embedded engine behind its HTTP interface.

    with ClickHouseLab(WORLD, changes) as lab:
        lab.url         # clickhouse+http://reader@127.0.0.1:PORT/risk
        lab.backup_api  # http://127.0.0.1:PORT

One at a time in a process, because the engine is; process.py starts it in another one.

PYTEST_DONT_REWRITE
"""

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pytest_readiness.clock import now
from pytest_readiness.lab.clickhouse.engine import Engine
from pytest_readiness.lab.clickhouse.http import Interface, Question, instead, question
from pytest_readiness.lab.clickhouse.world import World, listed, load_world
from pytest_readiness.lab.server import Server

USER = "reader"


class ClickHouseLab:
    """A cluster of the world in a folder, changed by `changes` (see world.py).

    password: of the user `reader`; without one the user needs none. tls: serve https with this
    context. Raises WorldError where the world is wrong, at construction already for what is not
    SQL.
    """

    def __init__(
        self,
        world: Path,
        changes: Sequence[Mapping[str, Any]] = (),
        *,
        password: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._world: World = load_world(world, changes)
        self._password = password
        self._tls = tls
        self._engine: Engine | None = None
        self._server: Server | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """What readiness.ini has as [clickhouse] url."""
        scheme, address = self.backup_api.split("://")
        return f"clickhouse+{scheme}://{USER}@{address}/{self._world.cluster.database}"

    @property
    def backup_api(self) -> str:
        """What readiness.ini has as [clickhouse] backup_api."""
        assert self._server is not None, "the lab has no address before it is started"
        return self._server.url

    @property
    def cluster(self) -> str:
        """What readiness.ini has as [clickhouse] cluster."""
        return self._world.cluster.cluster

    @property
    def requests(self) -> list[Question]:
        """What has been asked so far; it is kept when the lab stops."""
        asked = tuple(self._server.requests) if self._server is not None else ()
        return [question(request) for request in asked]

    def start(self) -> None:
        """Start the engine and serve. Raises WorldError."""
        started = now()
        self._engine = engine = Engine(self._world)
        try:
            interface = Interface(
                engine,
                users={USER: self._password, "default": self._password},
                backups=lambda: listed(self._world.api, started),
            )
            faults = [instead(answer) for answer in self._world.answers]
            self._server = Server(interface.answer, faults=faults, tls=self._tls).start()
        except BaseException:
            engine.close()
            raise

    def stop(self) -> None:
        """Stop serving, end the engine, remove its files."""
        if self._engine is not None and self._server is not None:
            self._server.stop()
        if self._engine is not None:
            self._engine.close()
            self._engine = None
