"""How the tests of a real Kubernetes ask it: clients of the probe, and checks on its answers."""

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pytest_readiness.results.evidence import Evidence
from pytest_readiness.targets.kubernetes import probe
from pytest_readiness.targets.kubernetes.client import Client
from pytest_readiness.targets.kubernetes.facts import Pods
from pytest_readiness.targets.kubernetes.section import Kubernetes
from tests.asking import connect
from tests.servers.k8s_client import Admin
from tests.servers.kubernetes import ControlPlane
from tests.targets.kubernetes.target import settings

MOST_PUTS = 128  # of one transaction of etcd, its default
# Every question to Kubernetes, by its name without the target's.
ASKS: dict[str, Callable[[Client], object]] = {
    question.name: getattr(probe, question.name) for question in Kubernetes.QUESTIONS
}
CONTAINERS = [{"name": "main", "image": "example.org/main:1"}]


def client(kubeconfig: Path, timeout: float = 30, **more: Any) -> Client:
    """Return a client of the context `real`; more: settings of [kubernetes]. Raises ProbeError."""
    connected: Client = connect(settings(kubeconfig, timeout, context="real", **more), "kubernetes")
    return connected


def judged(check: Callable[..., None], *facts: Any) -> list[tuple[str, str]]:
    """Return subject and problem of what a check finds in facts; none where it passes."""
    evidence = Evidence()
    try:
        check(*facts, evidence)
    except AssertionError:
        assert evidence.findings
    else:
        assert not evidence.findings
        assert evidence.missing() == []
    return [(finding.subject, finding.problem) for finding in evidence.findings]


def names(pods: Pods) -> list[str]:
    """Return the names of all pods, sorted."""
    return sorted(name for group in pods.groups for name in group.names)


def namespace(admin: Admin, name: str) -> str:
    """Make a namespace."""
    admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


def pod(namespace: str, name: str) -> dict[str, Any]:
    """Return the smallest pod, which no node runs."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": CONTAINERS, "nodeSelector": {"no": "node"}},
    }


def before(client: Client, number: int, act: Callable[[str], None]) -> None:
    """Do something right before the request of that number, from 1, is sent; it gets the URL."""
    send = client.open
    sent = 0

    def open_(url: str, headers: Mapping[str, str], left: Callable[[], float]) -> Any:
        nonlocal sent
        sent += 1
        if sent == number:
            act(url)
        return send(url, headers, left)

    client.open = open_  # type: ignore[method-assign]


def plant(plane: ControlPlane, namespace: str, count: int) -> list[str]:
    """Write pods into etcd, copies of one that the API server made; return all names, sorted.

    Twenty thousand take a second; through the API server they would take minutes.
    """
    first = plane.admin.create(pod(namespace, "pod-00000"))
    texts = {
        name: json.dumps(first | {"metadata": first["metadata"] | {"name": name}})
        for name in (f"pod-{number:05d}" for number in range(count))
    }
    puts = [
        {
            "requestPut": {
                "key": base64_of(f"/registry/pods/{namespace}/{name}"),
                "value": base64_of(t),
            }
        }
        for name, t in texts.items()
    ]
    etcd = etcd_of(plane)
    for start in range(0, count - 1, MOST_PUTS):
        most = puts[start : min(start + MOST_PUTS, count - 1)]
        etcd.ask("POST", "/v3/kv/txn", {"success": most})
    # The last one has a revision of its own: an API server that has seen it has seen all, while
    # it may list a part of the many that one transaction gave the same revision.
    etcd.ask("POST", "/v3/kv/txn", {"success": puts[-1:]})
    return list(texts)


def etcd_of(plane: ControlPlane) -> Admin:
    """Return who asks etcd, by its JSON gateway."""
    return Admin(plane.etcd_url)


def base64_of(text: str) -> str:
    """Return text as etcd's JSON gateway wants it."""
    return base64.b64encode(text.encode()).decode()
