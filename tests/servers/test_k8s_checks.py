"""Every check of Kubernetes, judged through the probe on a cluster where things really happen."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_readiness.checklist.infrastructure import test_kubernetes as checks
from pytest_readiness.errors import NothingExamined, ProbeErrorKind
from pytest_readiness.targets.kubernetes import probe
from pytest_readiness.targets.kubernetes.client import Client
from pytest_readiness.targets.kubernetes.section import Kubernetes, rbac
from tests.servers.conftest import Cluster
from tests.servers.k8s_asking import CONTAINERS, client, judged, namespace
from tests.servers.k8s_client import Object, write_kubeconfig
from tests.servers.kubernetes import objects_of
from tests.targets.kubernetes.target import refusal

SPACE = "judged"
LIMITS = Kubernetes(namespace=SPACE, context="real")
DEFAULT = "storageclass.kubernetes.io/is-default-class"
SIZE = {"cpu": "4", "memory": "8Gi", "pods": "110"}
ROLE = "node-role.kubernetes.io/control-plane"
SETS = f"/apis/apps/v1/namespaces/{SPACE}/replicasets"
DRIVER = "csi.example.org"
UNSELECTED = {"is selected by no NetworkPolicy for ingress"}


def thing(version: str, kind: str, name: str, more: Object | None = None, **spec: Any) -> Object:
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name} | (more or {}),
        **spec,
    }


def local(version: str, kind: str, name: str, **spec: Any) -> Object:
    return thing(version, kind, name, {"namespace": SPACE}, **spec)


def kwok_node(name: str, **spec: Any) -> Object:
    """Return a node that kwok keeps ready, and whose pods it runs."""
    fake = {"annotations": {"kwok.x-k8s.io/node": "fake"}, "labels": {"type": "kwok"}}
    status = {"capacity": SIZE, "allocatable": SIZE}
    return thing("v1", "Node", name, fake, spec=spec, status=status)


def still_node(
    name: str,
    *,
    ready: str = "True",
    size: Object = SIZE,
    left: Object | None = None,
    **spec: Any,
) -> Object:
    """Return a node that nobody manages: it stays as written here. left: less in allocatable."""
    conditions = [{"type": "Ready", "status": ready}]
    status = {"capacity": size, "allocatable": size | (left or {}), "conditions": conditions}
    return thing("v1", "Node", name, spec=spec, status=status)


def storage_class(name: str, *, default: bool) -> Object:
    marks = {"annotations": {DEFAULT: "true"}} if default else {}
    return thing("storage.k8s.io/v1", "StorageClass", name, marks, provisioner=DRIVER)


def template(labels: dict[str, str], **spec: Any) -> Object:
    return {"metadata": {"labels": labels}, "spec": {"containers": CONTAINERS, **spec}}


def deployment(name: str, replicas: int, **spec: Any) -> Object:
    labels = {"app": name}
    whole = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": template(labels, **spec),
    }
    return local("apps/v1", "Deployment", name, spec=whole)


def policy(name: str, ingress: list[Object], **selector: str) -> Object:
    chosen = {"matchLabels": selector} if selector else {}
    spec = {"podSelector": chosen, "policyTypes": ["Ingress"], "ingress": ingress}
    return local("networking.k8s.io/v1", "NetworkPolicy", name, spec=spec)


def without(key: str) -> Object:
    return {"matchExpressions": [{"key": key, "operator": "DoesNotExist"}]}


DNS = thing(
    "v1", "Service", "kube-dns", {"namespace": "kube-system"}, spec={"ports": [{"port": 53}]}
)


def dns_endpoints(*, ready: bool) -> Object:
    of = {"namespace": "kube-system", "labels": {"kubernetes.io/service-name": "kube-dns"}}
    return thing(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        "kube-dns-1",
        of,
        addressType="IPv4",
        endpoints=[{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}],
        ports=[{"port": 53}],
    )


class World(NamedTuple):
    """A cluster, and what a test has put into it."""

    cluster: Cluster
    client: Client
    made: list[Object]

    def put(self, *things: Object) -> None:
        """Create objects that the fixture takes away."""
        self.made.extend(things)
        self.cluster.admin.apply(things)

    def rolled_out(self, name: str, replicas: int) -> None:
        """Wait until a Deployment has that many ready pods and no other."""
        self.cluster.admin.wait(
            f"/apis/apps/v1/namespaces/{SPACE}/deployments/{name}",
            lambda it: (
                it["status"].get("observedGeneration") == it["metadata"]["generation"]
                and it["status"].get("readyReplicas", 0) == replicas
                and it["status"].get("updatedReplicas", 0) == it["status"].get("replicas", 0)
            ),
        )

    def pods(self) -> dict[str | None, list[tuple[str, int]]]:
        """Return phase and count of the pods, by the name of their app."""
        found: dict[str | None, list[tuple[str, int]]] = {}
        for group in probe.pods(self.client).groups:
            entry = (group.phase, len(group.names))
            found.setdefault(group.labels.get("app"), []).append(entry)
        return found


@pytest.fixture
def world(cluster: Cluster) -> Iterator[World]:
    namespace(cluster.admin, SPACE)
    there = World(cluster, client(cluster.kubeconfig, namespace=SPACE), [])
    try:
        yield there
    finally:
        for made in reversed(there.made):
            cluster.admin.delete(made)
        pods = f"/api/v1/namespaces/{SPACE}/pods"
        for path in (f"/apis/batch/v1/namespaces/{SPACE}/jobs", SETS):
            cluster.admin.ask("DELETE", f"{path}?propagationPolicy=Background")
        cluster.admin.ask("DELETE", f"{pods}?gracePeriodSeconds=0")
        cluster.admin.wait(pods, lambda it: not it["items"])


def nodes(world: World) -> list[tuple[str, str]]:
    check = checks.test_enough_nodes_are_ready_and_large_enough
    return judged(check, probe.nodes(world.client), LIMITS)


def storage(world: World) -> list[tuple[str, str]]:
    asked = (probe.storage_classes, probe.csi_drivers, probe.claims)
    return judged(checks.test_volumes_are_provisioned, *(ask(world.client) for ask in asked))


def policies(world: World) -> list[tuple[str, str]]:
    return judged(
        checks.test_every_pod_is_isolated_by_a_network_policy,
        probe.network_policies(world.client),
        probe.namespaces(world.client),
        probe.pods(world.client),
    )


def ready_nodes(world: World, *names: str) -> None:
    """Make nodes that kwok brings up."""
    world.put(*(kwok_node(name) for name in names))
    for name in names:
        world.cluster.admin.wait(
            f"/api/v1/nodes/{name}",
            lambda it: (
                any(
                    c["type"] == "Ready" and c["status"] == "True"
                    for c in it["status"].get("conditions", [])
                )
                and not it["spec"].get("taints")
            ),
        )


class TestNodes:
    def test_passes_when_kwok_keeps_three_ready(self, world: World) -> None:
        ready_nodes(world, "n1", "n2", "n3")
        assert nodes(world) == []

    @pytest.mark.parametrize(
        ("node", "problem"),
        [
            (still_node("bad", ready="False"), "is NotReady"),
            (still_node("bad", ready="Unknown"), "is Unknown"),
            (still_node("bad", unschedulable=True), "is cordoned"),
            (still_node("bad", taints=[{"key": "k", "effect": "NoExecute"}]), "is tainted k:"),
            (
                still_node("bad", taints=[{"key": ROLE, "effect": "NoSchedule"}]),
                f"is tainted {ROLE}",
            ),
            (still_node("bad", size=SIZE | {"cpu": "2"}), "is too small: 2 CPU"),
            (still_node("bad", size=SIZE | {"pods": "0"}), "takes no pods: 0 allocatable"),
            (still_node("bad", left={"cpu": "100m"}), "keeps more than 20% of the size"),
        ],
        ids=[
            "not-ready",
            "unknown",
            "cordoned",
            "tainted",
            "control-plane",
            "small",
            "no-pods",
            "reserved",
        ],
    )
    def test_fails_and_names_the_node(self, world: World, node: Object, problem: str) -> None:
        ready_nodes(world, "n1", "n2")
        world.put(node)
        ((subject, said),) = nodes(world)
        assert subject == "node/bad"
        assert problem in said


class TestStorage:
    def test_passes_when_one_class_is_default_and_the_claim_is_bound(self, world: World) -> None:
        world.put(thing("storage.k8s.io/v1", "CSIDriver", DRIVER, spec={}))
        world.put(storage_class("fast", default=True), storage_class("slow", default=False))
        room = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
        by_hand = {"storageClassName": "fast", "hostPath": {"path": "/none"}}
        world.put(thing("v1", "PersistentVolume", "by-hand", spec=room | by_hand))
        wants = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        claim = local("v1", "PersistentVolumeClaim", "data", spec=wants | {"volumeName": "by-hand"})
        world.put(claim)
        path = world.cluster.admin.path(claim)
        world.cluster.admin.wait(path, lambda it: it["status"]["phase"] == "Bound")
        assert storage(world) == []

        world.put(local("v1", "PersistentVolumeClaim", "waits", spec=wants))
        assert storage(world) == [("persistentvolumeclaim/waits", "is Pending, class fast")]
        for name in ("data", "waits"):  # nothing uses them, and a volume is left to nobody
            held = local("v1", "PersistentVolumeClaim", name)
            world.cluster.admin.delete(held)

    def test_fails_and_names_two_defaults_and_none(self, world: World) -> None:
        world.put(thing("storage.k8s.io/v1", "CSIDriver", DRIVER, spec={}))
        assert [subject for subject, _ in storage(world)] == ["cluster"]
        world.put(storage_class("fast", default=True), storage_class("slow", default=True))
        assert [it for it, _ in storage(world)] == ["storageclass/fast", "storageclass/slow"]


class TestPods:
    def test_counts_what_rolls_out_gets_stuck_is_undone_and_ends(self, world: World) -> None:
        ready_nodes(world, "n1")
        job = {"template": template({"app": "once"}, restartPolicy="Never")}
        often = {"template": template({"app": "often"}, restartPolicy="Never")}
        cron = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": often}}
        # It missed its last time: the controller makes up for it at once.
        missed = {"lastScheduleTime": "2020-01-01T00:00:00Z"}
        world.put(
            deployment("web", 3),
            deployment("stuck", 2, nodeSelector={"no": "node"}),
            local("batch/v1", "Job", "once", spec=job),
            local("batch/v1", "CronJob", "often", spec=cron, status=missed),
        )
        world.rolled_out("web", 3)
        world.cluster.admin.wait(
            f"/apis/batch/v1/namespaces/{SPACE}/jobs/once",
            lambda it: it["status"].get("succeeded") == 1,
        )
        expected = {
            "web": [("Running", 3)],
            "stuck": [("Pending", 2)],
            "once": [("Succeeded", 1)],
            "often": [("Succeeded", 1)],
        }
        path = f"/api/v1/namespaces/{SPACE}/pods"
        world.cluster.admin.wait(path, lambda _: world.pods() == expected)

        # Finished pods are counted by the question and left out by the check.
        assert {it.split("-")[0] for it, _ in policies(world)} == {"pod/web", "pod/stuck"}
        assert len(policies(world)) == 5

        # A new template that fits no node gets stuck beside the old pods; undone, all is as before.
        world.cluster.admin.create(deployment("web", 3, nodeSelector={"no": "node"}))
        stuck = {("Running", 3), ("Pending", 1)}
        world.cluster.admin.wait(path, lambda _: set(world.pods()["web"]) == stuck)
        undone = deployment("web", 3, nodeSelector=None)
        world.cluster.admin.create(undone)
        world.cluster.admin.wait(path, lambda _: world.pods() == expected)


class TestNetworkPolicies:
    def test_passes_when_all_is_denied_and_fails_and_names_what_opens(self, world: World) -> None:
        ready_nodes(world, "n1")
        with pytest.raises(NothingExamined):
            policies(world)
        world.put(deployment("web", 2))
        world.rolled_out("web", 2)
        assert {said for _, said in policies(world)} == UNSELECTED
        elsewhere = policy("deny", [])
        elsewhere["metadata"]["namespace"] = "default"
        world.put(elsewhere)
        assert {said for _, said in policies(world)} == UNSELECTED
        world.put(policy("deny", []))
        assert policies(world) == []
        world.put(policy("others", [{}], app="nobody"))
        assert policies(world) == []
        world.put(policy("open", [{}], app="web"))
        assert [subject for subject, _ in policies(world)] == ["networkpolicy/open"]

    @pytest.mark.parametrize(
        "halves",
        [
            ({"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["192.0.2.1/32"]}}]},),
            (
                {"from": [{"ipBlock": {"cidr": "0.0.0.0/1"}}]},
                {"from": [{"ipBlock": {"cidr": "128.0.0.0/1"}}]},
            ),
            (
                {"ports": [{"port": 1, "endPort": 40000}]},
                {"ports": [{"port": 40001, "endPort": 65535}]},
            ),
            ({"from": [{"namespaceSelector": without("team")}]},),
            ({"from": [{"namespaceSelector": without("team"), "podSelector": without("app")}]},),
        ],
        ids=["all-but-one", "halves", "ports", "namespaces", "pods"],
    )
    def test_fails_and_names_what_opens_and_does_not_look_so(
        self, world: World, halves: tuple[Object, ...]
    ) -> None:
        ready_nodes(world, "n1")
        world.put(policy("deny", []), deployment("web", 1))
        world.rolled_out("web", 1)
        assert policies(world) == []
        world.put(*(policy(f"open-{at}", [rule]) for at, rule in enumerate(halves)))
        named = [f"networkpolicy/open-{at}" for at in range(len(halves))]
        assert [subject for subject, _ in policies(world)] == named

    def test_fails_and_names_a_pod_on_the_hosts_network(self, world: World) -> None:
        ready_nodes(world, "n1")
        world.put(policy("deny", []), deployment("agent", 1, hostNetwork=True))
        world.rolled_out("agent", 1)
        ((subject, said),) = policies(world)
        assert subject.startswith("pod/agent-")
        assert "on the host's network" in said


class TestConnectivity:
    def test_fails_and_names_what_does_not_answer(self, world: World) -> None:
        def found() -> list[str]:
            asked = (probe.identity(world.client), probe.health(world.client), LIMITS)
            return [subject for subject, _ in judged(answering, *asked)]

        answering = checks.test_the_control_plane_and_the_services_of_the_cluster_answer
        assert found() == ["cluster"]  # no DNS service
        world.put(DNS)
        assert found() == ["service/kube-system/kube-dns"]
        world.put(dns_endpoints(ready=False))
        assert found() == ["service/kube-system/kube-dns"]
        world.put(dns_endpoints(ready=True))
        assert found() == []

    def test_fails_and_names_another_cluster(self, world: World) -> None:
        other = client(world.cluster.kubeconfig, namespace=SPACE, cluster_uid="another")
        error = refusal(lambda: probe.identity(other))
        assert error.kind is ProbeErrorKind.IDENTITY
        assert error.stops_target


def test_fails_and_names_the_cluster_that_is_older_than_the_least_version(world: World) -> None:
    version = probe.version(world.client)
    check = checks.test_the_version_is_new_enough_and_supported
    assert judged(check, version, LIMITS) == []
    newer = Kubernetes(namespace=SPACE, context="real", min_version=(1, 99))
    assert judged(check, version, newer) == [("cluster", "1.36 is older than 1.99")]


def test_passes_when_the_whole_run_has_a_healthy_cluster(world: World, tmp_path: Path) -> None:
    ready_nodes(world, "n1", "n2", "n3")
    world.put(
        *objects_of(rbac()),
        DNS,
        dns_endpoints(ready=True),
        thing("storage.k8s.io/v1", "CSIDriver", DRIVER, spec={}),
        storage_class("fast", default=True),
        policy("deny", []),
        deployment("web", 2),
        bound("ClusterRoleBinding", "readiness"),
        bound("RoleBinding", "readiness-namespace"),
    )
    world.rolled_out("web", 2)
    admin = world.cluster.admin
    token = admin.token(SPACE, "runner")
    write_kubeconfig(
        tmp_path / "login", world.cluster.url, world.cluster.tls, user={"token": token}
    )
    uid = admin.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    (tmp_path / "readiness.ini").write_text(
        "[readiness]\nsystem = shop\nenvironment = real\nphase = verification\n"
        f"[kubernetes]\nkubeconfig = login\ncontext = real\nnamespace = {SPACE}\n"
        f"cluster_uid = {uid}\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-m",
            "readiness",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
    )
    found = next(tmp_path.glob("readiness-report/**/report.json"), None)
    assert found, done.stdout + done.stderr
    items = {it["id"]: it for it in json.loads(found.read_text())["items"]}
    judged_items = {i: it["outcome"] for i, it in items.items() if i.startswith("k8s-")}
    names = ("version", "connectivity", "nodes", "storage", "network-policies")
    assert judged_items == {f"k8s-{name}": "pass" for name in names}, done.stdout


def bound(kind: str, role: str) -> Object:
    where = {"namespace": SPACE} if kind == "RoleBinding" else {}
    group = "rbac.authorization.k8s.io"
    return thing(
        f"{group}/v1",
        kind,
        "readiness",
        where,
        roleRef={"apiGroup": group, "kind": "ClusterRole", "name": role},
        subjects=[{"kind": "ServiceAccount", "name": "runner", "namespace": SPACE}],
    )
