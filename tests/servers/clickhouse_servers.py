"""The engine of a test: its configuration, and the process that runs it."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec

from tests.servers.programs import ROOT

# Loopback to getaddrinfo without DNS; the engine counts differently spelt names as replicas.
LIVE = ("127.0.0.1", "localhost", "127.0.1", "0x7f.1", "2130706433")
DEAD = "127.0.0.2"
STOP = 10.0


class Judged(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of an item. findings: `SUBJECT TEXT`; kind, cause, advice: of an error."""

    outcome: str
    findings: tuple[str, ...] = ()
    kind: str = ""
    cause: str = ""
    advice: str = ""


class Refused(Exception):
    """The engine's own words about a statement."""


class Engine:
    """A context manager of the process; see clickhouse_child."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        (self.folder / "data").mkdir(exist_ok=True)
        self._log = (self.folder / "engine.log").open("a")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.clickhouse_child", str(self.folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        try:
            self._process.communicate(timeout=STOP)
        except subprocess.TimeoutExpired:  # it waits for a Keeper that is gone
            self._process.kill()
            self._process.communicate()
        self._log.close()

    def run(self, *statements: str) -> str:
        """Run statements and return the rows of the last one. Raises Refused."""
        rows = ""
        for statement in statements:
            answer = self._say({"sql": statement})
            if "error" in answer:
                raise Refused(answer["error"])
            rows = answer["rows"]
        return rows

    def judge(self, **section: str) -> dict[str, Judged]:
        """Ask every question once and judge the four items; section: keys of [clickhouse]."""
        said = self._say({"judge": {"cluster": "risk", "min_replicas": "2", **section}})
        return {item: msgspec.convert(told, Judged) for item, told in said.items()}

    def _say(self, command: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(command) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, (self.folder / "engine.log").read_text()
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def closed_ports(count: int) -> Iterator[list[int]]:
    """Hold ports on which nothing listens: connections are refused, and nobody else gets them."""
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind(("0.0.0.0", 0))
        yield [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()


def configure(
    folder: Path,
    port: int,
    shards: Sequence[Sequence[tuple[str, int]]] = (),
    *,
    grants: Sequence[str] | None = None,
    profile: str = "",
    more: str = "",
) -> None:
    """Write the engine's config.xml.

    port: what the engine holds for its own native port; a replica with it is the engine itself.
    shards: (host, port) of each replica; without any, one shard of two. grants: what the user may,
    everything where None. profile: elements of the user's profile. more: further elements.
    """
    shards = shards or [[(host, port) for host in LIVE[:2]]]
    servers = "".join(
        "<shard>"
        + "".join(f"<replica><host>{h}</host><port>{p}</port></replica>" for h, p in shard)
        + "</shard>"
        for shard in shards
    )
    if grants is not None or profile:
        (folder / "users.xml").write_text(_users(grants, profile))
        more += f"<users_config>{folder / 'users.xml'}</users_config>"
    (folder / "config.xml").write_text(
        f"<clickhouse><tcp_port>{port}</tcp_port><timezone>UTC</timezone>"
        f"<remote_servers><risk>{servers}</risk></remote_servers>{more}</clickhouse>"
    )


def keeper(port: int) -> str:
    """Return the elements that name a ZooKeeper, with an answer expected within a second."""
    return (
        f"<zookeeper><node><host>127.0.0.1</host><port>{port}</port></node>"
        "<session_timeout_ms>2000</session_timeout_ms>"
        "<operation_timeout_ms>1000</operation_timeout_ms></zookeeper>"
        "<macros><shard>1</shard><replica>r1</replica></macros>"
    )


def _users(grants: Sequence[str] | None, profile: str) -> str:
    allowed = ""
    if grants is not None:  # without <grants> the user may do everything
        queries = "".join(f"<query>GRANT {grant}</query>" for grant in grants or ["NONE ON *.*"])
        allowed = f"<grants>{queries}</grants>"
    return (
        f"<clickhouse><profiles><default>{profile}</default></profiles>"
        "<quotas><default/></quotas><users><default><password></password>"
        "<networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>"
        f"{allowed}</default></users></clickhouse>"
    )
