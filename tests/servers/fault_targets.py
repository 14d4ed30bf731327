"""What the fault matrix asks of each target: its settings, its true answers, its requests.

A module of `targets/` for each system, with its TARGETS, found by import; every question has to
be asked by exactly one of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path

from pytest_readiness.settings import Settings
from pytest_readiness.targets import targets
from tests.servers import targets as servers
from tests.servers.fault_servers import Answer, Request

TIMEOUT = 1.0  # seconds, of every question
Patterns = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is. beside: another place, of the healthy server that a target may need."""

    host: str
    port: int
    scheme: str
    ca: Path
    folder: Path
    beside: "Place | None" = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class FaultTarget:
    """One kind of server.

    name: of the target. asks: patterns of the requests a question makes, one a request.

    opens: patterns of the requests that `connect` makes; they meet the faults as part of the
    first question. scheme: of the wire (the faults of TLS always have https).
    beside: the target whose healthy server `settings` needs beside this one.
    """

    name: str
    scheme: str
    settings: Callable[[Place], Settings]
    answer: Callable[[Request], Answer]
    words: Callable[[int], bytes]
    asks: Mapping[str, Patterns]
    opens: Patterns = ()
    beside: "FaultTarget | None" = field(default=None)

    @property
    def first(self) -> str:
        return next(iter(self.asks))


@cache
def fault_targets() -> tuple[FaultTarget, ...]:
    """Return all there are, in the order of the targets."""
    return tuple(
        one for name in targets() for one in import_module(f"{servers.__name__}.{name}").TARGETS
    )
