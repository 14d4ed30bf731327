"""The questions of the Kubernetes probe, put to the lab's API."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_readiness.errors import ProbeErrorKind
from pytest_readiness.lab.kubernetes.api import KubernetesApi
from pytest_readiness.lab.kubernetes.faults import Deny, Fault, PathAnswer
from pytest_readiness.targets.fact import Fact
from pytest_readiness.targets.kubernetes import facts, probe
from pytest_readiness.targets.kubernetes.client import Client
from tests.asking import connect
from tests.targets.kubernetes.target import (
    Reply,
    Scripted,
    client,
    kubeconfig,
    refusal,
    settings,
    thing,
)
from tests.targets.kubernetes.world import POLICY, SECRET, WORLD, nodes

QUESTIONS: list[Callable[[Client], Fact]] = [
    probe.identity,
    probe.version,
    probe.health,
    probe.nodes,
    probe.storage_classes,
    probe.csi_drivers,
    probe.claims,
    probe.network_policies,
    probe.namespaces,
    probe.pods,
]


def test_every_answer_is_what_the_world_has(tmp_path: Path) -> None:
    with KubernetesApi(WORLD, tls_dir=tmp_path / "tls") as api:
        k8s = client(api, tmp_path)
        assert probe.identity(k8s) == facts.Identity(server=api.url, uid="uid-1", tls_verified=True)
        assert probe.version(k8s).git_version == "v1.36.3"
        assert probe.nodes(k8s).items == (
            facts.Node(
                name="n1",
                zone="a",
                cordoned=True,
                deleting=False,
                conditions={"Ready": "True"},
                taints=(facts.Taint(key="k", effect="NoSchedule"),),
                cpu_capacity="4",
                cpu_allocatable=None,
                memory_capacity="8145240Ki",
                memory_allocatable=None,
                pods_capacity="110",
                pods_allocatable=None,
            ),
        )
        assert [(c.name, c.default) for c in probe.storage_classes(k8s).items] == [
            ("a", True),
            ("b", False),
        ]
        assert probe.csi_drivers(k8s).names == ("x",)
        assert probe.namespaces(k8s).items == (
            facts.Namespace(name="kube-system", labels={}),
            facts.Namespace(name="shop", labels={"team": "a"}),
        )
        assert probe.claims(k8s).items == (
            facts.Claim(name="data", phase="Pending", deleting=False, storage_class="a"),
        )


def test_pods_that_differ_in_their_names_alone_are_one_group(tmp_path: Path) -> None:
    with KubernetesApi(WORLD) as api:
        groups = {group.names: group for group in probe.pods(client(api, tmp_path)).groups}
    assert groups["web-a", "web-b"].owner == "replicaset/web"
    assert groups["web-a", "web-b"].labels == {"app": "web"}
    assert groups["bare",].host_network
    assert groups["bare",].phase == "Succeeded"


def test_a_policy_is_read_whole(tmp_path: Path) -> None:
    with KubernetesApi(WORLD) as api:
        (policy,) = probe.network_policies(client(api, tmp_path)).items
    everything = facts.Selector(labels={}, expressions=())
    requirement = facts.Requirement(key="app", operator="In", values=("web",))
    assert policy == facts.NetworkPolicy(
        namespace="shop",
        name="web",
        selector=facts.Selector(labels={}, expressions=(requirement,)),
        types=(),
        ingress=(
            facts.IngressRule(
                peers=(
                    facts.Peer(
                        cidr="10.0.0.0/8", excepted=("10.1.0.0/16",), namespaces=None, pods=None
                    ),
                    facts.Peer(
                        cidr=None,
                        excepted=(),
                        namespaces=everything,
                        pods=facts.Selector(labels={"a": "b"}, expressions=()),
                    ),
                ),
                ports=(
                    facts.Port(protocol="TCP", port="http", end_port=None),
                    facts.Port(protocol="UDP", port=1, end_port=9),
                ),
            ),
            facts.IngressRule(peers=(), ports=()),
        ),
    )


def test_health_counts_endpoints_of_the_clusters_own_services(tmp_path: Path) -> None:
    with KubernetesApi(WORLD) as api:
        health = probe.health(client(api, tmp_path))
    assert (health.endpoint, health.ready, health.failing) == ("/readyz", True, ())
    assert health.services == (
        facts.ClusterService(
            namespace="kube-system", name="kube-dns", dns=True, ready=2, not_ready=1
        ),
        facts.ClusterService(
            namespace="ingress", name="controller", dns=False, ready=0, not_ready=0
        ),
    )


def _lists(path: str) -> Reply | None:
    return Reply(body=b'{"kind":"List","items":[]}') if path.endswith("s") else None


def test_an_api_server_that_says_it_is_not_ready_has_answered(tmp_path: Path) -> None:
    said = b"[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n"
    with Scripted(lambda path, _: _lists(path) or Reply(500, said)) as server:
        k8s = connect(settings(kubeconfig(tmp_path / "k", server.url)), "kubernetes")
        health = probe.health(k8s)
    assert (health.ready, health.failing) == (False, ("etcd",))


def test_healthz_is_asked_where_readyz_does_not_exist(tmp_path: Path) -> None:
    def answer(path: str, query: dict[str, str]) -> Reply:
        return _lists(path) or Reply(200 if path == "/healthz" else 404, b"ok")

    with Scripted(answer) as server:
        k8s = connect(settings(kubeconfig(tmp_path / "k", server.url)), "kubernetes")
        assert probe.health(k8s).endpoint == "/healthz"


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_fact_survives_being_recorded(
    question: Callable[[Client], Fact], tmp_path: Path
) -> None:
    with KubernetesApi(WORLD) as api:
        answer = question(client(api, tmp_path))
    recorded = msgspec.json.encode(answer)
    assert msgspec.json.decode(recorded, type=type(answer)) == answer
    assert SECRET.encode() not in recorded
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.json.decode(recorded[:-1] + b',"newer":1}', type=type(answer))


def test_requests_are_reads_and_say_who_asks(tmp_path: Path) -> None:
    with KubernetesApi(WORLD) as api:
        k8s = client(api, tmp_path)
        for question in QUESTIONS:
            question(k8s)
        requests = api.requests
    assert {request.method for request in requests} == {"GET"}
    assert {request.headers["x-readiness-run"] for request in requests} == {"run-1"}
    assert all(r.headers["user-agent"].startswith("pytest-readiness/") for r in requests)
    assert {request.headers["accept-encoding"] for request in requests} == {"gzip"}


class TestIdentity:
    def test_passes_when_the_uid_is_the_one_of_the_settings(self, tmp_path: Path) -> None:
        with KubernetesApi(WORLD) as api:
            assert probe.identity(client(api, tmp_path, cluster_uid="uid-1")).uid == "uid-1"

    def test_another_cluster_stops_everything(self, tmp_path: Path) -> None:
        with KubernetesApi(WORLD) as api:
            k8s = client(api, tmp_path, cluster_uid="uid-2")
            error = refusal(lambda: probe.identity(k8s))
            assert [request.path for request in api.requests] == ["/api/v1/namespaces/kube-system"]
        assert (error.kind, error.stops_target) == (ProbeErrorKind.IDENTITY, True)
        assert "uid-1" in error.cause
        assert "uid-2" in error.cause

    @pytest.mark.parametrize("hide", ["forbidden", "absent"])
    def test_a_hidden_kube_system_is_no_error_while_no_uid_is_expected(
        self, hide: str, tmp_path: Path
    ) -> None:
        denies = [Deny(verb="get", resource="namespaces")] if hide == "forbidden" else []
        with KubernetesApi(WORLD[1:], denies=denies) as api:
            assert probe.identity(client(api, tmp_path)).uid is None

    @pytest.mark.parametrize("hide", ["forbidden", "absent"])
    def test_a_hidden_kube_system_stops_everything_when_a_uid_is_expected(
        self, hide: str, tmp_path: Path
    ) -> None:
        denies = [Deny(verb="get", resource="namespaces")] if hide == "forbidden" else []
        with KubernetesApi(WORLD[1:], denies=denies) as api:
            k8s = client(api, tmp_path, cluster_uid="uid-1")
            error = refusal(lambda: probe.identity(k8s))
        assert error.stops_target
        assert error.kind in (ProbeErrorKind.FORBIDDEN, ProbeErrorKind.ABSENT)


class TestLists:
    def test_all_pages_are_read(self, tmp_path: Path) -> None:
        with KubernetesApi(nodes(1201)) as api:
            found = probe.nodes(client(api, tmp_path)).items
            assert api.asked("/api/v1/nodes") == 3
        assert [node.name for node in found] == [f"n{number:04}" for number in range(1201)]

    def test_an_expired_list_is_read_again_from_its_start(self, tmp_path: Path) -> None:
        expired = PathAnswer(
            path="/api/v1/nodes", fault=Fault.STATUS, status=410, only="continue", times=1
        )
        with KubernetesApi(nodes(501), answers=[expired]) as api:
            found = probe.nodes(client(api, tmp_path)).items
            assert api.asked("/api/v1/nodes") == 4
        assert len(found) == len({node.name for node in found}) == 501

    def test_a_list_that_always_expires_is_an_error(self, tmp_path: Path) -> None:
        expired = PathAnswer(path="/api/v1/nodes", fault=Fault.STATUS, status=410, only="continue")
        with KubernetesApi(nodes(501), answers=[expired]) as api:
            error = refusal(lambda: probe.nodes(client(api, tmp_path)))
        assert error.kind is ProbeErrorKind.UNAVAILABLE

    @pytest.mark.parametrize(
        ("value", "name"),
        [
            ({"metadata": {"name": "bad"}, "spec": {"unschedulable": "yes"}}, "bad"),
            ({"metadata": None}, "#1"),
            ({"metadata": {"name": 7}}, "#1"),
            (None, "#1"),
            ("node", "#1"),
        ],
    )
    def test_one_malformed_object_is_kept_beside_the_others(
        self, value: object, name: str, tmp_path: Path
    ) -> None:
        bad = PathAnswer(path="/api/v1/nodes", fault=Fault.BAD_ITEM, item=1, value=value)
        with KubernetesApi(nodes(3), answers=[bad]) as api:
            answer = probe.nodes(client(api, tmp_path))
        assert [node.name for node in answer.items] == ["n0000", "n0002"]
        assert [item.name for item in answer.unreadable] == [name]

    @pytest.mark.parametrize(
        "block", [{"cidr": "everywhere"}, {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8/8"]}]
    )
    def test_a_policy_that_makes_no_sense_is_kept_as_unreadable(
        self, block: dict[str, Any], tmp_path: Path
    ) -> None:
        broken = [{"ipBlock": block}]
        policy = POLICY | {"spec": {"podSelector": {}, "ingress": [{"from": broken}]}}
        with KubernetesApi([policy]) as api:
            answer = probe.network_policies(client(api, tmp_path))
        assert [item.name for item in answer.unreadable] == ["web"]

    @pytest.mark.parametrize("metadata", [{}, {"continue": ""}, {"continue": None}])
    def test_a_list_that_says_more_remain_and_not_where_is_an_error(
        self, metadata: dict[str, str | None], tmp_path: Path
    ) -> None:
        value = {"kind": "NodeList", "metadata": metadata | {"remainingItemCount": 2}, "items": []}
        cut = PathAnswer(path="/api/v1/nodes", fault=Fault.BODY, value=value)
        with KubernetesApi(nodes(3), answers=[cut]) as api:
            error = refusal(lambda: probe.nodes(client(api, tmp_path)))
        assert error.kind is ProbeErrorKind.MALFORMED
        assert "2 objects remain, and no token leads to them" in error.cause

    def test_a_last_page_that_says_that_none_remain_is_whole(self, tmp_path: Path) -> None:
        value = {"kind": "NodeList", "metadata": {"remainingItemCount": 0}, "items": []}
        none = PathAnswer(path="/api/v1/nodes", fault=Fault.BODY, value=value)
        with KubernetesApi(nodes(3), answers=[none]) as api:
            assert probe.nodes(client(api, tmp_path)).items == ()

    def test_a_claim_that_is_being_deleted_says_so(self, tmp_path: Path) -> None:
        gone = thing(
            "v1",
            "PersistentVolumeClaim",
            "data",
            "shop",
            metadata={"deletionTimestamp": "2026-11-24T05:12:09Z"},
            status={"phase": "Bound"},
        )
        with KubernetesApi([gone]) as api:
            (claim,) = probe.claims(client(api, tmp_path)).items
        assert (claim.phase, claim.deleting) == ("Bound", True)

    def test_null_items_of_a_list_are_none(self, tmp_path: Path) -> None:
        null = PathAnswer(path="/api/v1/nodes", fault=Fault.NULL_ITEMS)
        with KubernetesApi(nodes(3), answers=[null]) as api:
            assert probe.nodes(client(api, tmp_path)).items == ()


def test_importing_the_probe_loads_no_client() -> None:
    heavy = ["kubernetes", "urllib3", "yaml", "cryptography", "httpx"]
    code = (
        "import sys; import pytest_readiness.targets.kubernetes.probe; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")
