"""A real registry on loopback (docker-registry, the reference of the distribution protocol)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.k8s_client import Admin
from tests.servers.processes import free_port, run_client, serving
from tests.servers.programs import need

PROGRAMS = ("docker-registry", "skopeo")
_CONFIG = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: "{data}"}}, delete: {{enabled: true}}}}
http: {{addr: "{address}", secret: "of a test"}}
"""


@contextmanager
def run(folder: Path) -> Iterator[dict[str, Any]]:
    """Run one server; says its "url" and its "address", the first part of an image's name.

    See tests.servers.shared; raises StartError.
    """
    program, _ = need(*PROGRAMS)
    folder.mkdir(parents=True, exist_ok=True)
    address = f"127.0.0.1:{free_port()}"
    config = folder / "registry.yml"
    config.write_text(_CONFIG.format(address=address, data=folder / "data"))
    url = f"http://{address}"
    ready = Admin(url)
    with serving(
        [program, "serve", config],
        folder / "logs" / "registry.log",
        lambda: ready.status("/v2/") == 200,
    ):
        yield {"url": url, "address": address}


def skopeo(home: Path, *words: str) -> str:
    """Return what skopeo says, at home in a folder of its own. Raises AssertionError."""
    # Root would keep its cache in /var/lib (containers/image, internal/rootless).
    nobody = {"_CONTAINERS_ROOTLESS_UID": "65534"}
    done = run_client([*need("skopeo"), "--insecure-policy", *words], home, environment=nobody)
    assert done.returncode == 0, done.stderr
    return done.stdout
