"""A real OpenSearch node on loopback: the server's own jars, started without its distribution."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.k8s_client import Admin
from tests.servers.processes import free_port, serving
from tests.servers.programs import need

PROGRAMS = ("java", "opensearch")


@contextmanager
def run(folder: Path) -> Iterator[dict[str, Any]]:
    """Run one node; says its "url". See tests.servers.shared; raises StartError."""
    home = folder / "home"
    for part in ("config", "data", "logs", "modules", "plugins", "snapshots"):
        (home / part).mkdir(parents=True, exist_ok=True)
    port = free_port()
    java, jars = need(*PROGRAMS)
    flags = ["-Xms256m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    command: list[str | Path] = [java, *flags, "-cp", f"{jars}:{jars}/*"]
    url = f"http://127.0.0.1:{port}"
    ready = Admin(url)
    with serving(
        [*command, "OpenSearch", home, str(port)],
        folder / "logs" / "opensearch.log",
        lambda: ready.status("/_cluster/health") == 200,
    ):
        yield {"url": url}
