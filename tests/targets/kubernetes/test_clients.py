"""The transport on each release of the official client that is supported: 31, 36 and the newest.

The older ones lie in .envs/kubernetes-NN, put there by `make`; each test runs in a process of its
own that finds that folder first.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_readiness.lab.kubernetes.api import KubernetesApi
from pytest_readiness.lab.kubernetes.faults import Deny
from tests.servers.programs import missing
from tests.targets.kubernetes.target import kubeconfig
from tests.targets.kubernetes.world import WORLD, nodes

ROOT = Path(__file__).parents[3]
RELEASES = {"31": ROOT / ".envs/kubernetes-31", "36": ROOT / ".envs/kubernetes-36", "newest": None}
ASK = """
import sys
from pathlib import Path
from pytest_readiness.errors import ProbeError
from pytest_readiness.targets.kubernetes import probe
from tests.asking import connect
from tests.targets.kubernetes.target import settings

client = connect(settings(Path(sys.argv[1]), **eval(sys.argv[2])), "kubernetes")
print(probe.identity(client).uid, len(probe.nodes(client).items))
for question in (probe.version, probe.health, probe.storage_classes, probe.csi_drivers):
    question(client)
for question in (probe.network_policies, probe.pods):
    question(client)
try:
    probe.claims(client)
except ProbeError as error:
    print(error.kind)
import kubernetes
print(kubernetes.__version__.split(".")[0], "kubernetes.client.api.core_v1_api" in sys.modules)
"""


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    folder = RELEASES[request.param]
    if folder is not None and not folder.is_dir():
        missing(f"there is no {folder.relative_to(ROOT)}; `make` fills it")
    return str(request.param)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[KubernetesApi]:
    deny = Deny(verb="list", resource="persistentvolumeclaims")
    tokens = {"good": "ci"}
    world = [*WORLD, *nodes(600)]
    tls_dir = tmp_path / "tls"
    with KubernetesApi(world, denies=[deny], tls_dir=tls_dir, tokens=tokens) as api:
        yield api


def ask(release: str, file: Path, target: str = "{}", **environment: str) -> list[str]:
    folder = RELEASES[release]
    path = os.pathsep.join(str(part) for part in (folder, ROOT) if part)
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", ASK, str(file), target],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.splitlines()


def expected(release: str) -> list[str]:
    from importlib.metadata import version

    major = version("kubernetes").split(".")[0] if release == "newest" else release
    # Before 37 the package loads every API with its first import.
    return ["uid-1 601", "forbidden", f"{major} {int(major) < 37}"]


def test_a_client_certificate_and_pages(release: str, api: KubernetesApi, tmp_path: Path) -> None:
    file = api.write_kubeconfig(tmp_path / "kubeconfig")
    assert ask(release, file) == expected(release)


def test_a_token(release: str, api: KubernetesApi, tmp_path: Path) -> None:
    file = api.write_kubeconfig(tmp_path / "kubeconfig", token="good")
    assert ask(release, file, "{'cluster_uid': 'uid-1'}") == expected(release)


def test_an_exec_plugin(release: str, api: KubernetesApi, tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    plugin.write_text(
        '#!/bin/sh\necho \'{"apiVersion": "client.authentication.k8s.io/v1", '
        '"kind": "ExecCredential", "status": {"token": "good"}}\'\n'
    )
    plugin.chmod(0o700)
    call = {"command": str(plugin), "apiVersion": "client.authentication.k8s.io/v1"}
    cluster = {"certificate-authority": str(api.ca_file), "tls-server-name": "localhost"}
    file = kubeconfig(tmp_path / "k", api.url, cluster=cluster, user={"exec": call})
    assert ask(release, file) == expected(release)


def test_a_proxy_of_the_environment_that_is_not_for_loopback(
    release: str, api: KubernetesApi, tmp_path: Path
) -> None:
    file = api.write_kubeconfig(tmp_path / "kubeconfig")
    assert ask(release, file, HTTPS_PROXY="http://127.0.0.1:1") == expected(release)
