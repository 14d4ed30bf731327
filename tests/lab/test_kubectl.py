"""Does the real kubectl work against the reference world?"""

import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_readiness import lab
from pytest_readiness.lab.kubernetes.api import KubernetesApi, load_world
from pytest_readiness.lab.kubernetes.faults import Deny
from tests.servers.processes import run_client
from tests.servers.programs import need

WORLD = Path(lab.__file__).parent / "worlds" / "reference" / "kubernetes"
Kubectl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    (program,) = need("kubectl")
    folder = tmp_path_factory.mktemp("kubectl")
    denies = [Deny(verb="list", resource="secrets", namespace="st-risk")]
    with KubernetesApi(load_world(WORLD), denies=denies, tls_dir=folder / "tls") as api:
        kubeconfig = api.write_kubeconfig(folder / "kubeconfig")

        def run(*words: str) -> subprocess.CompletedProcess[str]:
            return run_client(
                [program, "--kubeconfig", kubeconfig, "--context", "lab", *words], folder
            )

        yield run


# Command, and what a person would look for in its answer.
READS = [
    ("version", ["Server Version: v1.36.3"]),
    ("cluster-info", ["control plane", "CoreDNS is running at https://127.0.0.1"]),
    ("api-resources", ["networkpolicies", "certificates", "Deployment", "NodeMetrics"]),
    ("api-versions", ["apps/v1", "cert-manager.io/v1"]),
    ("auth whoami", ["lab", "system:masters"]),
    ("get nodes", ["NAME", "control-plane", "n3", "Ready", "v1.36.3"]),
    ("get nodes -o wide", ["INTERNAL-IP", "10.0.0.13", "containerd://2.1.4"]),
    ("get pods -A", ["NAMESPACE", "kube-system", "clickhouse-0", "1/1", "Completed"]),
    ("get pods -A -o wide", ["10.244.1.31", "n3"]),
    ("get pods -n st-risk -l app.kubernetes.io/component=api -o name", ["pod/st-risk-api-"]),
    ("get pods -n st-risk -l 'app.kubernetes.io/component in (clickhouse)'", ["clickhouse-2"]),
    ("get pods -A --field-selector spec.nodeName=n3,status.phase=Running", ["clickhouse-2"]),
    ("get pods -A --sort-by .metadata.name --chunk-size 5 --no-headers", ["kube-proxy-b7x4q"]),
    ("get deploy,sts,ds,rs -A --show-labels", ["statefulset.apps/clickhouse", "k8s-app="]),
    ("get all -n st-risk", ["cronjob.batch/clickhouse-backup", "service/st-risk-api", "68%/70%"]),
    ("get netpol,pdb,hpa,ing,quota -n st-risk", ["default-deny-ingress", "risk.example.org"]),
    ("get sc,pv,csidrivers,csinodes", ["fast-ssd (default)", "block.csi.example.org", "Bound"]),
    ("get pvc -n st-risk", ["data-clickhouse-0", "200Gi", "RWO"]),
    ("get svc,ep,endpointslices -A", ["10.96.0.10", "53/UDP", "10.244.1.2:53"]),
    ("get events -n st-risk", ["Pulled", "cronjob/clickhouse-backup"]),
    ("get certificates -n st-risk", ["READY", "st-risk-tls", "True"]),
    ("get cm,sa,role,rolebinding -n st-risk", ["st-risk-settings", "Role/st-risk-worker"]),
    ("get nodes -o json", ['"kind": "List"', '"8145240Ki"']),
    ("get deploy st-risk-api -n st-risk -o yaml", ["kind: Deployment", "readyReplicas: 3"]),
    ("get node n1 -o jsonpath={.status.allocatable.cpu}", ["3920m"]),
    (
        "describe node n1",
        ["3920m", "Allocated resources", "KubeletReady", "clickhouse-0", "HolderIdentity"],
    ),
    ("describe pod clickhouse-0 -n st-risk", ["Claim", "data-clickhouse-0", "Running"]),
    ("describe deploy st-risk-api -n st-risk", ["st-risk-api-6c9f7d8b5c (3/3 replicas created)"]),
    ("describe netpol -n st-risk default-deny-ingress", ["Policy Types: Ingress"]),
    ("rollout status deploy/st-risk-api -n st-risk", ["successfully rolled out"]),
    ("rollout status sts/clickhouse -n st-risk", ["roll out complete: 3 new pods"]),
    ("rollout status ds/calico-node -n kube-system", ["successfully rolled out"]),
    ("rollout history deploy/st-risk-api -n st-risk", ["REVISION", "1 ", "2 "]),
    ("top nodes", ["n1", "742m", "18%", "41%"]),  # of the 3920m and 7500000Ki allocatable
    ("top pods -n st-risk", ["clickhouse-0", "412m", "1711Mi"]),
    ("wait --for=condition=Ready node/n1 node/n2 --timeout=20s", ["node/n1 condition met"]),
    ("wait --for=condition=Available deploy --all -n st-risk --timeout=20s", ["st-risk-worker"]),
    ("auth can-i list nodes", ["yes"]),
    ("auth can-i get pods/log -n st-risk", ["yes"]),
    ("auth can-i get /readyz", ["yes"]),
    ("auth can-i --list -n st-risk", ["networkpolicies.networking.k8s.io", "[get list watch]"]),
    ("get --raw /readyz?verbose", ["[+]etcd ok", "readyz check passed"]),
    ("get --raw /readyz/etcd", ["ok"]),
    ("get --raw /api/v1/nodes?limit=2", ['"remainingItemCount":2']),
    ("get --raw /apis/apps/v1/namespaces/st-risk/deployments/st-risk-api/scale", ['"Scale"']),
]


class TestKubectl:
    @pytest.mark.parametrize(("command", "wanted"), READS, ids=[command for command, _ in READS])
    def test_reads_the_reference_world(
        self, kubectl: Kubectl, command: str, wanted: list[str]
    ) -> None:
        answer = kubectl(*shlex.split(command))
        assert answer.returncode == 0, answer.stderr
        assert [text for text in wanted if text not in answer.stdout] == [], answer.stdout

    def test_is_told_what_it_may_not_do(self, kubectl: Kubectl) -> None:
        answer = kubectl("get", "secrets", "-n", "st-risk")
        assert answer.returncode == 1
        assert answer.stderr.strip() == (
            'Error from server (Forbidden): secrets is forbidden: User "lab" cannot list resource '
            '"secrets" in API group "" in the namespace "st-risk"'
        )
        answer = kubectl("auth", "can-i", "list", "secrets", "-n", "st-risk")
        assert (answer.returncode, answer.stdout) == (1, "no\n")
        assert kubectl("auth", "can-i", "list", "secrets", "-n", "default").returncode == 0

    def test_is_told_what_is_not_there(self, kubectl: Kubectl) -> None:
        answer = kubectl("get", "pod", "nobody", "-n", "st-risk")
        assert answer.stderr == 'Error from server (NotFound): pods "nobody" not found\n'

    def test_cannot_write(self, kubectl: Kubectl) -> None:
        answer = kubectl("delete", "pod", "clickhouse-0", "-n", "st-risk")
        assert answer.returncode == 1
        assert "MethodNotAllowed" in answer.stderr
