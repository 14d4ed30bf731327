"""A real OpenSearch node on loopback: the server's own jars, started without its distribution."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.k8s_client import Admin
from tests.servers.processes import Process, free_port, stopping
from tests.servers.programs import BUILT, find


@contextmanager
def run(folder: Path) -> Iterator[dict[str, Any]]:
    """Run one node; says its "url". See tests.servers.shared; raises StartError."""
    home = folder / "home"
    for part in ("config", "data", "logs", "modules", "plugins", "snapshots"):
        (home / part).mkdir(parents=True, exist_ok=True)
    port = free_port()
    java = find("java")
    if java is None:
        raise FileNotFoundError("java is missing: apt-get install default-jre-headless")
    flags = ["-Xms256m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    classes = f"{BUILT / 'opensearch'}:{BUILT / 'opensearch'}/*"
    command: list[str | Path] = [java, *flags, "-cp", classes, "OpenSearch", home, str(port)]
    processes: list[Process] = []
    with stopping(processes):
        node = Process(command, folder / "logs" / "opensearch.log")
        processes.append(node)
        url = f"http://127.0.0.1:{port}"
        node.wait_until(lambda: Admin(url).status("/_cluster/health") == 200)
        yield {"url": url}
