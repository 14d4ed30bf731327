"""A real nginx on loopback: it serves FOLDER/www over TLS, by a certificate of a CA of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytest_readiness.lab.tls import write_tls
from tests.servers.k8s_client import Admin
from tests.servers.processes import free_port, serving
from tests.servers.programs import need

PROGRAMS = ("nginx",)
# One process: a worker would run as another user, who may not read the folder, and would go on
# when its master is killed. The paths are those that otherwise lie in /run and /var.
_CONFIG = """\
daemon off;
master_process off;
pid "{folder}/nginx.pid";
events {{}}
http {{
  access_log "{folder}/logs/access.log";
  client_body_temp_path "{folder}/temporary";
  proxy_temp_path "{folder}/temporary";
  fastcgi_temp_path "{folder}/temporary";
  uwsgi_temp_path "{folder}/temporary";
  scgi_temp_path "{folder}/temporary";
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate "{certificate}";
    ssl_certificate_key "{key}";
    ssl_protocols TLSv1.2 TLSv1.3;
    root "{folder}/www";
    location = /healthz {{ return 200; }}
  }}
}}
"""


@contextmanager
def run(folder: Path) -> Iterator[dict[str, Any]]:
    """Run one server; says its "url" and the file of its "ca".

    See tests.servers.shared; raises StartError.
    """
    (program,) = need(*PROGRAMS)
    (folder / "www").mkdir(parents=True, exist_ok=True)
    tls = write_tls(folder / "tls")
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(
        _CONFIG.format(
            folder=folder, port=port, certificate=tls.server_certificate, key=tls.server_key
        )
    )
    url = f"https://127.0.0.1:{port}"
    ready = Admin(url, tls)
    with serving(
        [program, "-p", folder, "-c", config, "-e", "stderr"],
        folder / "logs" / "nginx.log",
        lambda: ready.status("/healthz") == 200,
    ):
        yield {"url": url, "ca": str(tls.ca)}
