"""A real OpenBao on loopback, which speaks the API of Vault: unsealed, all in memory.

It has a key/value engine of version 2 at secret/, as `bao server -dev` has.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.k8s_client import Admin
from tests.servers.processes import free_port, serving
from tests.servers.programs import need

PROGRAMS = ("bao",)
# Audit devices are taken from the file alone, the API refuses them. Without a cluster_address the
# port after the listener's is taken, whoever has it.
_CONFIG = """\
storage "inmem" {{}}
api_addr = "http://{address}"
listener "tcp" {{
  address = "{address}"
  cluster_address = "{cluster}"
  tls_disable = true
}}
audit "file" "file" {{
  options {{ file_path = "{audit}" }}
}}
"""


@contextmanager
def run(folder: Path) -> Iterator[dict[str, Any]]:
    """Run one server; says its "url", the root "token" and the "key" that unseals it.

    See tests.servers.shared; raises StartError.
    """
    (program,) = need(*PROGRAMS)
    folder.mkdir(parents=True, exist_ok=True)
    address, cluster = (f"127.0.0.1:{free_port()}" for _ in range(2))
    config = folder / "openbao.hcl"
    config.write_text(
        _CONFIG.format(address=address, cluster=cluster, audit=folder / "logs" / "audit.log")
    )
    admin = Admin(f"http://{address}")
    engine = {"type": "kv", "options": {"version": "2"}}
    with serving(
        [program, "server", f"-config={config}"],
        folder / "logs" / "openbao.log",
        # 501: it serves, and nobody has initialised it.
        lambda: admin.status("/v1/sys/health") == 501,
    ) as server:
        made = admin.ask("PUT", "/v1/sys/init", {"secret_shares": 1, "secret_threshold": 1})
        (key,) = made["keys"]
        admin.ask("PUT", "/v1/sys/unseal", {"key": key})
        root = Admin(admin.url, token=made["root_token"])
        root.ask("POST", "/v1/sys/mounts/secret", engine)
        server.wait_until(lambda: root.status("/v1/secret/config") == 200)
        yield {"url": admin.url, "token": made["root_token"], "key": key}
