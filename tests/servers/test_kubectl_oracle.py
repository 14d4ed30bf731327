"""kubectl as oracle: do our answers about generated objects agree with what it says of them?"""

import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_readiness.checklist.infrastructure.nodes import sort_nodes
from pytest_readiness.errors import ProbeError, ProbeErrorKind
from pytest_readiness.lab.kubernetes.api import KubernetesApi
from pytest_readiness.targets.kubernetes import probe
from pytest_readiness.targets.kubernetes.section import Kubernetes
from tests.servers.k8s_asking import client
from tests.servers.k8s_client import write_kubeconfig
from tests.servers.kubernetes import ControlPlane
from tests.servers.processes import run_client
from tests.servers.programs import need

LIMITS = Kubernetes(namespace="default", context="real")
QUESTIONS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "nodes": ("", probe.nodes),
    "storageclasses": ("storage.k8s.io", probe.storage_classes),
    "csidrivers": ("storage.k8s.io", probe.csi_drivers),
}


def kubectl(kubeconfig: Path, *words: str) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr."""
    (program,) = need("kubectl")
    done = run_client([program, "--kubeconfig", kubeconfig, *words], kubeconfig.parent)
    return done.returncode, done.stdout, done.stderr


def node(name: str, ready: str | None, cordoned: bool) -> dict[str, Any]:
    size = {"cpu": "8", "memory": "32Gi", "pods": "110"}
    conditions = [] if ready is None else [{"type": "Ready", "status": ready}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "spec": {"unschedulable": True} if cordoned else {},
        "status": {"capacity": size, "allocatable": size, "conditions": conditions},
    }


def deployment(number: int, chance: random.Random) -> dict[str, Any]:
    labels = {"app": f"d{number}"}
    wanted = chance.randint(1, 4)
    replicas = wanted + chance.randint(0, 1)
    updated = chance.randint(0, wanted)
    available = chance.randint(0, updated)
    if number % 3 == 0:
        replicas = updated = available = wanted
    stuck = chance.random() < 0.3
    progressing = {
        "type": "Progressing",
        "status": "False" if stuck else "True",
        "reason": "ProgressDeadlineExceeded" if stuck else "ReplicaSetUpdated",
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": f"d{number}",
            "namespace": "default",
            "generation": 1,
            "annotations": {"deployment.kubernetes.io/revision": str(chance.randint(1, 2))},
        },
        "spec": {
            "replicas": wanted,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "example.org/main:1"}]},
            },
        },
        "status": {
            "observedGeneration": chance.choice((0, 1, 1, 1)),
            "replicas": replicas,
            "updatedReplicas": updated,
            "readyReplicas": available,
            "availableReplicas": available,
            "conditions": [progressing],
        },
    }


def test_counts_the_nodes_that_kubectl_calls_ready(plane: ControlPlane) -> None:
    worlds = itertools.product(("True", "False", "Unknown", None), (False, True), range(3))
    for number, (ready, cordoned, _) in enumerate(worlds):
        plane.admin.create(node(f"n{number:02}", ready, cordoned))
    code, listed, words = kubectl(plane.kubeconfig, "get", "nodes", "--no-headers")
    assert code == 0, words
    usable = [row.split()[0] for row in listed.splitlines() if row.split()[1] == "Ready"]
    assert len(usable) == 3
    asked = client(plane.kubeconfig)
    counted = sort_nodes(probe.nodes(asked).items, LIMITS).counted
    assert sorted(name.removeprefix("node/") for name in counted) == usable

    code, answer, words = kubectl(plane.kubeconfig, "version", "--output", "json")
    assert code == 0, words
    assert probe.version(asked).git_version == json.loads(answer)["serverVersion"]["gitVersion"]


def test_is_refused_exactly_what_kubectl_says_it_may_not(
    plane: ControlPlane, tmp_path: Path
) -> None:
    for number, allowed in enumerate(itertools.product((False, True), repeat=len(QUESTIONS))):
        account = f"user-{number}"
        token = plane.admin.token("default", account)
        rules = [
            {"apiGroups": [group], "resources": [plural], "verbs": ["list"]}
            for (plural, (group, _)), may in zip(QUESTIONS.items(), allowed, strict=True)
            if may
        ]
        rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": account}}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": account}
        subject = {"kind": "ServiceAccount", "name": account, "namespace": "default"}
        plane.admin.create({**rbac, "kind": "ClusterRole", "rules": rules})
        plane.admin.create(
            {**rbac, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": [subject]}
        )
        kubeconfig = write_kubeconfig(
            tmp_path / account, plane.url, plane.tls, user={"token": token}
        )
        if rules:  # the authorizer learns of a binding by a watch
            last = rules[-1]
            review = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {
                    "user": f"system:serviceaccount:default:{account}",
                    "resourceAttributes": {
                        "verb": "list",
                        "group": last["apiGroups"][0],
                        "resource": last["resources"][0],
                    },
                },
            }
            path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
            until = (plane.admin.ask("POST", path, review)["status"]["allowed"] for _ in range(500))
            assert any(until)
        asked = client(kubeconfig)
        for (plural, (group, ask)), may in zip(QUESTIONS.items(), allowed, strict=True):
            said = kubectl(kubeconfig, "auth", "can-i", "list", f"{plural}.{group}".strip("."))
            assert said[:2] == ((0, "yes\n") if may else (1, "no\n"))
            if may:
                ask(asked)
            else:
                with pytest.raises(ProbeError) as refused:
                    ask(asked)
                assert refused.value.kind is ProbeErrorKind.FORBIDDEN


def test_rollout_status_says_the_same_of_the_lab(plane: ControlPlane, tmp_path: Path) -> None:
    chance = random.Random(4)
    things = [deployment(number, chance) for number in range(24)]
    for thing in things:
        plane.admin.create(thing)
    codes = set()
    with KubernetesApi(things, tls_dir=tmp_path / "tls") as api:
        lab = api.write_kubeconfig(tmp_path / "lab")
        for number in range(len(things)):
            words = ["rollout", "status", f"deployment/d{number}", "--watch=false"]
            if number % 4 == 0:  # undone: another revision runs than the one that is asked for
                words.append("--revision=2")
            really = kubectl(plane.kubeconfig, *words)
            assert kubectl(lab, *words) == really
            codes.add(really[0])
    assert codes == {0, 1}
