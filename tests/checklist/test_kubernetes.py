"""Connectivity, nodes and storage: each check on worlds where it passes and where it fails."""

from typing import Any

import pytest
from msgspec.structs import replace

from pytest_readiness.checklist.infrastructure import test_kubernetes as checks
from pytest_readiness.errors import NothingExamined
from pytest_readiness.results.evidence import Evidence
from pytest_readiness.targets.kubernetes.facts import (
    Claim,
    Claims,
    ClusterService,
    CsiDrivers,
    Health,
    Identity,
    Node,
    Nodes,
    StorageClass,
    StorageClasses,
    Taint,
    Unreadable,
)
from pytest_readiness.targets.kubernetes.section import Kubernetes

LIMITS = Kubernetes(namespace="shop", context="prod", cluster_uid="uid-1")
BROKEN = (Unreadable(name="#7", problem="Expected `str`, got `null`"),)


def subjects(evidence: Evidence) -> list[str]:
    return [finding.subject for finding in evidence.findings]


class TestConnectivity:
    check = staticmethod(checks.test_the_control_plane_and_the_services_of_the_cluster_answer)
    identity = Identity(server="https://k8s", uid="uid-1", tls_verified=True)
    dns = ClusterService(namespace="kube-system", name="kube-dns", dns=True, ready=2, not_ready=0)
    health = Health(
        server="https://k8s",
        endpoint="/readyz",
        ready=True,
        failing=(),
        services=(dns,),
        unreadable=(),
    )

    def test_passes_when_all_answer(self) -> None:
        evidence = Evidence()
        self.check(self.identity, self.health, LIMITS, evidence)
        assert evidence.subjects == ["server/https://k8s", "service/kube-system/kube-dns"]
        assert evidence.missing() == []

    def test_passes_when_no_cluster_uid_is_set_and_kube_system_is_hidden(self) -> None:
        limits = Kubernetes(namespace="shop", context="prod")
        self.check(replace(self.identity, uid=None), self.health, limits, Evidence())

    @pytest.mark.parametrize("uid", ["uid-2", None])
    def test_fails_and_names_another_cluster(self, uid: str | None) -> None:
        evidence = Evidence()
        with pytest.raises(AssertionError):
            self.check(replace(self.identity, uid=uid), self.health, LIMITS, evidence)
        assert subjects(evidence) == ["cluster"]

    @pytest.mark.parametrize(
        ("change", "subject"),
        [
            ({"ready": False, "failing": ("etcd",)}, "cluster"),
            ({"services": ()}, "cluster"),
            ({"services": (replace(dns, ready=0, not_ready=2),)}, "service/kube-system/kube-dns"),
            ({"services": (replace(dns, ready=0, not_ready=0),)}, "service/kube-system/kube-dns"),
            ({"unreadable": (replace(BROKEN[0], name="service/#3"),)}, "service/#3"),
        ],
        ids=["etcd", "no-dns", "dns-not-ready", "dns-without-endpoints", "unreadable"],
    )
    def test_fails_and_names_what_does_not_answer(
        self, change: dict[str, Any], subject: str
    ) -> None:
        evidence = Evidence()
        with pytest.raises(AssertionError):
            self.check(self.identity, replace(self.health, **change), LIMITS, evidence)
        assert subjects(evidence) == [subject]


NODE = Node(
    name="n",
    zone="a",
    cordoned=False,
    deleting=False,
    conditions={"Ready": "True", "MemoryPressure": "False"},
    taints=(),
    cpu_capacity="4",
    cpu_allocatable="3920m",
    memory_capacity="8145240Ki",
    memory_allocatable="7Gi",
    pods_capacity="110",
    pods_allocatable="110",
)
CONTROL_PLANE = (Taint(key="node-role.kubernetes.io/control-plane", effect="NoSchedule"),)


def cluster(*nodes: Node, count: int = 3, unreadable: tuple[Unreadable, ...] = ()) -> Nodes:
    """Return nodes n1, n2, ...; those given are the last ones of `count`."""
    whole = [NODE] * (count - len(nodes)) + list(nodes)
    named = [replace(node, name=f"n{number}") for number, node in enumerate(whole, 1)]
    return Nodes(items=tuple(named), unreadable=unreadable)


class TestNodes:
    check = staticmethod(checks.test_enough_nodes_are_ready_and_large_enough)

    @pytest.mark.parametrize(
        ("node", "met_by"),
        [
            (NODE, {"capacity": 3}),
            (
                replace(NODE, cpu_allocatable="4", memory_allocatable="8G"),
                {"capacity": 2, "allocatable": 1},
            ),
            (replace(NODE, memory_capacity="8Gi"), {"capacity": 3}),
            (replace(NODE, memory_capacity="16e9", cpu_capacity="8"), {"capacity": 3}),
            (replace(NODE, cpu_allocatable=None, memory_allocatable=None), None),
            (replace(NODE, cpu_allocatable="3200m", memory_allocatable="6400M"), {"capacity": 3}),
            (replace(NODE, pods_allocatable=None), None),
            (replace(NODE, pods_allocatable="1"), None),
            (replace(NODE, taints=(Taint(key="k", effect="PreferNoSchedule"),)), None),
        ],
    )
    def test_passes_when_enough_nodes_count(
        self, node: Node, met_by: dict[str, int] | None
    ) -> None:
        evidence = Evidence()
        self.check(cluster(node), LIMITS, evidence)
        assert evidence.subjects == ["node/n1", "node/n2", "node/n3"]
        assert evidence.missing() == []
        if met_by is not None:
            assert evidence.observations["met_by"] == met_by

    def test_passes_when_a_node_more_than_needed_is_out_and_says_so(self) -> None:
        broken = replace(NODE, conditions={"Ready": "False"}, zone="b")
        evidence = Evidence()
        self.check(cluster(broken, count=4), LIMITS, evidence)
        assert evidence.observations["not_counted"] == {"n4": "is NotReady"}
        assert evidence.observations["zones"] == {"a": 3}

    def test_passes_when_a_node_that_just_registered_says_no_size(self) -> None:
        fresh = replace(
            NODE, conditions={}, cpu_capacity=None, cpu_allocatable=None, memory_capacity=None
        )
        evidence = Evidence()
        self.check(cluster(fresh, count=4), LIMITS, evidence)
        assert evidence.observations["not_counted"] == {"n4": "never said Ready"}

    @pytest.mark.parametrize(
        ("node", "problem"),
        [
            (replace(NODE, cordoned=True), "is cordoned"),
            (replace(NODE, deleting=True), "is being deleted"),
            (replace(NODE, conditions={"Ready": "False"}), "is NotReady"),
            (replace(NODE, conditions={"Ready": "Unknown"}), "is Unknown"),
            (replace(NODE, conditions={}), "never said Ready"),
            *(
                (replace(NODE, conditions={"Ready": "True", kind: "True"}), f"has {kind}")
                for kind in ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
            ),
            (replace(NODE, taints=CONTROL_PLANE), "is tainted node-role.kubernetes.io/control"),
            (replace(NODE, taints=(Taint(key="k", effect="NoExecute"),)), "is tainted k:NoExec"),
            (replace(NODE, cpu_capacity="3999m"), "is too small"),
            (replace(NODE, memory_capacity="7812499Ki"), "is too small"),
            (replace(NODE, cpu_allocatable="0"), "keeps more than 20% of the size for itself: 0 C"),
            (replace(NODE, cpu_allocatable="3199m"), "keeps more than 20%"),
            (replace(NODE, memory_allocatable="64Mi"), "keeps more than 20%"),
            (replace(NODE, memory_allocatable="6399999999"), "keeps more than 20%"),
            (replace(NODE, pods_allocatable="0"), "takes no pods: 0 allocatable"),
            (replace(NODE, pods_allocatable="none"), "its allocatable of pods cannot be read"),
            (replace(NODE, pods_capacity=None, pods_allocatable=None), "its allocatable has no p"),
            (replace(NODE, cpu_capacity="four"), "its capacity of cpu cannot be read"),
            (replace(NODE, memory_allocatable="8GB"), "its allocatable of memory cannot be"),
            (
                replace(NODE, cpu_capacity=None, cpu_allocatable=None),
                "its allocatable has no cpu",
            ),
        ],
    )
    def test_fails_and_names_the_node_that_does_not_count(self, node: Node, problem: str) -> None:
        evidence = Evidence()
        with pytest.raises(AssertionError):
            self.check(cluster(node), LIMITS, evidence)
        assert subjects(evidence) == ["node/n3"]
        assert evidence.findings[0].problem.startswith(problem)

    def test_passes_when_the_settings_allow_a_larger_reserve(self) -> None:
        node = replace(NODE, cpu_allocatable="2", memory_allocatable="4G")
        limits = replace(LIMITS, max_node_reserve=0.5)
        evidence = Evidence()
        self.check(cluster(node), limits, evidence)
        assert evidence.observations["counted"] == 3

    def test_fails_and_names_every_node_that_allocates_nothing(self) -> None:
        evidence = Evidence()
        nothing = replace(NODE, cpu_allocatable="100m", memory_allocatable="64Mi")
        with pytest.raises(AssertionError):
            self.check(cluster(nothing, nothing, nothing), LIMITS, evidence)
        assert subjects(evidence) == ["node/n1", "node/n2", "node/n3"]
        assert {finding.code for finding in evidence.findings} == {"node-reserves-much"}

    def test_fails_and_names_the_broken_node_beside_a_control_plane(self) -> None:
        evidence = Evidence()
        nodes = cluster(replace(NODE, taints=CONTROL_PLANE), replace(NODE, cordoned=True), count=4)
        with pytest.raises(AssertionError):
            self.check(nodes, LIMITS, evidence)
        assert subjects(evidence) == ["node/n4"]

    def test_fails_and_names_every_reason_of_a_node(self) -> None:
        cordon = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")
        node = replace(NODE, cordoned=True, conditions={"Ready": "Unknown"}, taints=(cordon,))
        evidence = Evidence()
        with pytest.raises(AssertionError):
            self.check(cluster(node), LIMITS, evidence)
        assert evidence.findings[0].problem == "is cordoned; is Unknown"

    def test_fails_and_names_the_cluster_when_it_is_small_and_well(self) -> None:
        evidence = Evidence()
        with pytest.raises(AssertionError):
            self.check(cluster(count=2), LIMITS, evidence)
        assert subjects(evidence) == ["cluster"]

    def test_fails_and_names_an_unreadable_node_also_when_enough_count(self) -> None:
        evidence = Evidence()
        with pytest.raises(AssertionError):
            self.check(cluster(unreadable=BROKEN), LIMITS, evidence)
        assert subjects(evidence) == ["node/#7"]

    def test_fails_and_names_a_quantity_that_is_none_also_when_enough_count(self) -> None:
        evidence = Evidence()
        with pytest.raises(AssertionError):
            self.check(cluster(replace(NODE, cpu_capacity="many"), count=4), LIMITS, evidence)
        assert subjects(evidence) == ["node/n4"]

    def test_is_no_pass_without_nodes(self) -> None:
        with pytest.raises(NothingExamined):
            self.check(cluster(count=0), LIMITS, Evidence())


FAST = StorageClass(name="fast", provisioner="csi.example.org", default=True)
SLOW = StorageClass(name="slow", provisioner="csi.example.org", default=False)
DRIVERS = CsiDrivers(names=("csi.example.org",), unreadable=())
DATA = Claim(name="data-0", phase="Bound", deleting=False, storage_class="fast")


def classes(*items: StorageClass) -> StorageClasses:
    return StorageClasses(items=items, unreadable=())


def claims(*items: Claim) -> Claims:
    return Claims(namespace="shop", items=items, unreadable=())


class TestStorage:
    check = staticmethod(checks.test_volumes_are_provisioned)

    def test_passes_when_one_default_has_its_driver_and_claims_are_bound(self) -> None:
        evidence = Evidence()
        self.check(classes(FAST, SLOW), DRIVERS, claims(DATA), evidence)
        assert "persistentvolumeclaim/data-0" in evidence.subjects
        assert evidence.missing() == []

    def test_passes_when_nothing_is_claimed_yet(self) -> None:
        self.check(classes(FAST), DRIVERS, claims(), Evidence())

    def test_passes_when_the_driver_of_a_migrated_in_tree_provisioner_is_there(self) -> None:
        ebs = replace(FAST, provisioner="kubernetes.io/aws-ebs")
        drivers = replace(DRIVERS, names=("ebs.csi.aws.com",))
        self.check(classes(ebs), drivers, claims(), Evidence())

    @pytest.mark.parametrize("found", [(), (SLOW,)], ids=["none", "no-default"])
    def test_fails_and_names_the_cluster_without_a_default(
        self, found: tuple[StorageClass, ...]
    ) -> None:
        evidence = Evidence()
        with pytest.raises(AssertionError):
            self.check(classes(*found), DRIVERS, claims(), evidence)
        assert subjects(evidence) == ["cluster"]

    def test_fails_and_names_both_defaults(self) -> None:
        evidence = Evidence()
        with pytest.raises(AssertionError):
            self.check(classes(FAST, replace(SLOW, default=True)), DRIVERS, claims(), evidence)
        assert subjects(evidence) == ["storageclass/fast", "storageclass/slow"]

    @pytest.mark.parametrize(
        ("provisioner", "problem"),
        [
            ("other.example.org", "has no CSIDriver"),
            ("rancher.io/local-path", "has no CSIDriver"),
            ("kubernetes.io/no-provisioner", "makes no volumes"),
            ("kubernetes.io/gce-pd", "CSIDriver pd.csi.storage.gke.io, which is not there"),
            ("kubernetes.io/glusterfs", "no longer part of Kubernetes"),
        ],
    )
    def test_fails_and_names_a_default_that_cannot_provision(
        self, provisioner: str, problem: str
    ) -> None:
        evidence = Evidence()
        with pytest.raises(AssertionError):
            self.check(classes(replace(FAST, provisioner=provisioner)), DRIVERS, claims(), evidence)
        assert subjects(evidence) == ["storageclass/fast"]
        assert problem in evidence.findings[0].problem

    @pytest.mark.parametrize("phase", ["Pending", "Lost", ""])
    def test_fails_and_names_the_claim(self, phase: str) -> None:
        evidence = Evidence()
        with pytest.raises(AssertionError):
            self.check(classes(FAST), DRIVERS, claims(replace(DATA, phase=phase)), evidence)
        assert subjects(evidence) == ["persistentvolumeclaim/data-0"]

    def test_fails_and_names_the_claim_that_is_being_deleted(self) -> None:
        evidence = Evidence()
        with pytest.raises(AssertionError):
            self.check(classes(FAST), DRIVERS, claims(DATA, replace(DATA, deleting=True)), evidence)
        assert [finding.code for finding in evidence.findings] == ["claim-deleting"]
        assert subjects(evidence) == ["persistentvolumeclaim/data-0"]

    def test_fails_and_names_what_cannot_be_read(self) -> None:
        evidence = Evidence()
        with pytest.raises(AssertionError):
            self.check(
                replace(classes(FAST), unreadable=BROKEN),
                replace(DRIVERS, unreadable=BROKEN),
                replace(claims(), unreadable=BROKEN),
                evidence,
            )
        assert subjects(evidence) == [
            "storageclass/#7",
            "csidriver/#7",
            "persistentvolumeclaim/#7",
        ]
