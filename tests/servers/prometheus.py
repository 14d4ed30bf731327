"""A real Prometheus on loopback: it scrapes itself and evaluates FOLDER/rules/*.yml.

A test writes a file there and asks for `POST /-/reload`; who needs another configuration writes
FOLDER/prometheus.yml anew and asks for the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.k8s_client import Admin
from tests.servers.processes import free_port, serving
from tests.servers.programs import need

PROGRAMS = ("prometheus", "promtool")
_CONFIG = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["rules/*.yml"]
scrape_configs:
- job_name: prometheus
  static_configs: [{{targets: ["{address}"]}}]
"""


@contextmanager
def run(folder: Path) -> Iterator[dict[str, Any]]:
    """Run one server; says its "url". See tests.servers.shared; raises StartError."""
    program, _ = need(*PROGRAMS)
    address = f"127.0.0.1:{free_port()}"
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    config = folder / "prometheus.yml"
    config.write_text(_CONFIG.format(address=address))
    command: list[str | Path] = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--web.enable-lifecycle",
        # An alert reaches its Alertmanager at once, and not a minute later.
        "--rules.alert.resend-delay=1s",
    ]
    url = f"http://{address}"
    ready = Admin(url)
    with serving(
        command, folder / "logs" / "prometheus.log", lambda: ready.status("/-/ready") == 200
    ):
        yield {"url": url}
