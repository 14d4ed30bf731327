"""A real Alertmanager on loopback, alone, whose only receiver tells nobody."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.k8s_client import Admin
from tests.servers.processes import free_port, serving
from tests.servers.programs import need

PROGRAMS = ("prometheus-alertmanager", "amtool")
# A receiver of a vendor's kind would ask the vendor's own server.
_CONFIG = """\
route: {receiver: nobody}
receivers: [{name: nobody}]
"""


@contextmanager
def run(folder: Path) -> Iterator[dict[str, Any]]:
    """Run one server; says its "url". See tests.servers.shared; raises StartError."""
    program, _ = need(*PROGRAMS)
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "alertmanager.yml"
    config.write_text(_CONFIG)
    address = f"127.0.0.1:{free_port()}"
    command: list[str | Path] = [
        program,
        f"--config.file={config}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",  # or it listens for peers on every address
    ]
    url = f"http://{address}"
    ready = Admin(url)
    with serving(
        command, folder / "logs" / "alertmanager.log", lambda: ready.status("/-/ready") == 200
    ):
        yield {"url": url}
