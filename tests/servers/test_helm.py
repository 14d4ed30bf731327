"""Does helm install a chart into the real API, and what does a release look like there?"""

import base64
import gzip
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.conftest import Cluster
from tests.servers.k8s_client import Admin, Answer
from tests.servers.processes import run_client
from tests.servers.programs import need

CHART = Path(__file__).parent / "chart"
SPACE = "helm-releases"
SECRETS = f"/api/v1/namespaces/{SPACE}/secrets"
Helm = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def helm(cluster: Cluster, tmp_path: Path) -> Iterator[Helm]:
    """Give a test `helm`, and empty namespace SPACE of all releases after it."""
    (program,) = need("helm")
    cluster.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
    where: list[str | Path] = ["--kubeconfig", cluster.kubeconfig, "--namespace", SPACE]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return run_client([program, *words, *where], tmp_path)

    yield run
    run("uninstall", "greeter", "--ignore-not-found")


def releases(admin: Admin) -> dict[int, Any]:
    """Return the releases that helm keeps in Secrets, by revision, decoded."""
    found = {}
    for secret in admin.get(f"{SECRETS}?labelSelector=owner=helm")["items"]:
        assert secret["type"] == "helm.sh/release.v1"
        packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        release = json.loads(gzip.decompress(packed))
        labels = secret["metadata"]["labels"]
        assert labels["status"] == release["info"]["status"]
        assert secret["metadata"]["name"] == f"sh.helm.release.v1.greeter.v{release['version']}"
        found[int(labels["version"])] = release
    return found


def states(admin: Admin) -> dict[int, str]:
    return {revision: it["info"]["status"] for revision, it in releases(admin).items()}


def ran(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


class TestReleases:
    def test_installs_upgrades_and_rolls_back(self, helm: Helm, cluster: Cluster) -> None:
        admin = cluster.admin
        config = f"/api/v1/namespaces/{SPACE}/configmaps/greeter"
        deployment = f"/apis/apps/v1/namespaces/{SPACE}/deployments/greeter"

        ran(helm("install", "greeter", str(CHART)))
        assert states(admin) == {1: "deployed"}
        assert admin.get(config)["data"] == {"greeting": "hello"}

        ran(helm("upgrade", "greeter", str(CHART), "--set", "greeting=moin,replicas=2"))
        assert states(admin) == {1: "superseded", 2: "deployed"}
        assert admin.get(config)["data"] == {"greeting": "moin"}
        assert admin.get(deployment)["spec"]["replicas"] == 2

        ran(helm("rollback", "greeter", "1"))
        assert states(admin) == {1: "superseded", 2: "superseded", 3: "deployed"}
        assert admin.get(config)["data"] == {"greeting": "hello"}
        assert admin.get(deployment)["spec"]["replicas"] == 1

    def test_keeps_chart_and_values_with_each_revision(self, helm: Helm, cluster: Cluster) -> None:
        ran(helm("install", "greeter", str(CHART)))
        ran(helm("upgrade", "greeter", str(CHART), "--set", "replicas=2"))
        kept = releases(cluster.admin)
        metadata = [kept[revision]["chart"]["metadata"] for revision in (1, 2)]
        assert [(it["name"], it["version"]) for it in metadata] == [("greeter", "0.1.0")] * 2
        assert [kept[revision].get("config") or {} for revision in (1, 2)] == [{}, {"replicas": 2}]
        assert kept[2]["chart"]["values"] == {"replicas": 1, "greeting": "hello"}

        (listed,) = json.loads(ran(helm("list", "--output", "json")))
        assert (listed["revision"], listed["status"]) == ("2", "deployed")
        assert (listed["chart"], listed["app_version"]) == ("greeter-0.1.0", "1.0")
        values = json.loads(ran(helm("get", "values", "greeter", "--all", "--output", "json")))
        assert values == {"replicas": 2, "greeting": "hello"}

    def test_an_upgrade_that_the_api_refuses_is_kept_as_failed(
        self, helm: Helm, cluster: Cluster
    ) -> None:
        ran(helm("install", "greeter", str(CHART)))
        refused = helm("upgrade", "greeter", str(CHART), "--set", "replicas=-1")
        assert refused.returncode != 0
        assert "spec.replicas" in refused.stderr
        assert states(cluster.admin) == {1: "deployed", 2: "failed"}

    def test_uninstalls_without_a_trace(self, helm: Helm, cluster: Cluster) -> None:
        ran(helm("install", "greeter", str(CHART)))
        ran(helm("uninstall", "greeter"))
        assert states(cluster.admin) == {}
        with pytest.raises(Answer) as away:
            cluster.admin.get(f"/api/v1/namespaces/{SPACE}/configmaps/greeter")
        assert away.value.status == 404
