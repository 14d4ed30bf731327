"""[kubernetes] of readiness.ini, and what can be asked of a cluster.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pytest_readiness.targets.kubernetes import facts
from pytest_readiness.targets.section import Question, Section
from pytest_readiness.written.keys import (
    CORES,
    COUNT,
    FILE,
    FLAG,
    LABEL,
    SHARE,
    SIZE,
    TEXT,
    VERSION,
    Key,
    Use,
)

LAB_CLUSTER = "6f0c41d2-8a53-4f0e-9d4b-2f6a1c7e9b10"  # UID of kube-system in the lab's world


class Kubernetes(Section, frozen=True, kw_only=True):
    """The cluster, read through its API."""

    PREFIX: ClassVar[str] = "k8s"
    QUESTIONS: ClassVar[tuple[Question, ...]] = (
        Question(
            name="identity",
            answer=facts.Identity,
            text="identity of the cluster",
            command="{kubectl} get namespace kube-system -o jsonpath='{{.metadata.uid}}'",
        ),
        Question(
            name="version",
            answer=facts.Version,
            text="version of the API server",
            command="{kubectl} version",
        ),
        Question(
            name="health",
            answer=facts.Health,
            text="readiness of the API server and the services of the cluster",
            command="{kubectl} cluster-info && {kubectl} get --raw '/readyz?verbose'",
        ),
        Question(
            name="nodes",
            answer=facts.Nodes,
            text="list nodes",
            command="{kubectl} get nodes -o wide",
        ),
        Question(
            name="storage_classes",
            answer=facts.StorageClasses,
            text="list storage classes",
            command="{kubectl} get storageclasses",
        ),
        Question(
            name="csi_drivers",
            answer=facts.CsiDrivers,
            text="list CSI drivers",
            command="{kubectl} get csidrivers",
        ),
        Question(
            name="claims",
            answer=facts.Claims,
            text="list volume claims of {namespace}",
            command="{kubectl} get persistentvolumeclaims -n {namespace}",
        ),
        Question(
            name="network_policies",
            answer=facts.NetworkPolicies,
            text="list network policies",
            command="{kubectl} get networkpolicies -n {namespace} -o yaml",
        ),
        Question(
            name="namespaces",
            answer=facts.Namespaces,
            text="list namespaces and their labels",
            command="{kubectl} get namespaces --show-labels",
        ),
        Question(
            name="pods",
            answer=facts.Pods,
            text="list pods of {namespace}",
            command="{kubectl} get pods -n {namespace} --show-labels",
        ),
    )
    SAME: ClassVar[Mapping[str, str]] = {"uid": "cluster"}

    kubeconfig: Annotated[
        Path | None,
        Key(
            kind=FILE,
            use=Use.PLACE,
            help="default: $KUBECONFIG, else ~/.kube/config",
            example="~/.kube/config",
        ),
    ] = None
    context: Annotated[
        str | None,
        Key(
            kind=TEXT,
            use=Use.PLACE,
            help="required unless in_cluster: never the current context by accident",
            example="prod",
        ),
    ] = None
    in_cluster: Annotated[
        bool, Key(kind=FLAG, use=Use.PLACE, help="this run is a pod: use its service account")
    ] = False
    cluster_uid: Annotated[
        str | None,
        Key(
            kind=TEXT,
            use=Use.LOCK,
            help="UID of the namespace kube-system; another cluster is refused",
            example="6f0c1a52-0d4e-4d7e-9a53-3f1f5d6f2b11",
        ),
    ] = None
    namespace: Annotated[
        str, Key(kind=LABEL, use=Use.PLACE, help="where the release runs", example="st-risk")
    ]
    min_version: Annotated[
        tuple[int, int], Key(kind=VERSION, use=Use.FLOOR, help="oldest Kubernetes accepted")
    ] = (1, 24)
    min_nodes: Annotated[
        int, Key(kind=COUNT, use=Use.FLOOR, help="nodes that can take the workload", minimum=1)
    ] = 3
    node_cpu: Annotated[Decimal, Key(kind=CORES, use=Use.FLOOR, help="cores each of them has")] = (
        Decimal(4)
    )
    node_memory: Annotated[int, Key(kind=SIZE, use=Use.FLOOR, help="memory each of them has")] = (
        8_000_000_000
    )
    max_node_reserve: Annotated[
        float,
        Key(
            kind=SHARE,
            use=Use.CEILING,
            help="part of node_cpu and node_memory that a node may keep for itself",
        ),
    ] = 0.20

    def words(self) -> Mapping[str, str]:
        """Return what fills the braces of the questions."""
        kubeconfig = f"--kubeconfig {self.kubeconfig} " if self.kubeconfig else ""
        context = self.context or "in-cluster"
        return {
            "at": context,
            "kubectl": f"kubectl {kubeconfig}--context {context}",
            "namespace": self.namespace,
        }

    @classmethod
    def contradictions(cls, written: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield what is wrong about the ways to name the cluster."""
        if written.get("in_cluster"):
            for key in ("context", "kubeconfig"):
                if key in written:
                    yield key, f"{key} means nothing when in_cluster = true: keep one"
        elif "context" not in written:
            yield "", "[kubernetes] needs the key context (or in_cluster = true)"

    @classmethod
    def is_lab(cls, identity: Mapping[str, Any]) -> bool:
        """Say whether it is the cluster of the lab's world, by its UID."""
        return identity.get("uid") == LAB_CLUSTER


def rbac() -> str:
    """Return YAML of the ClusterRoles that all questions together need, and nothing else."""
    return Path(__file__).with_name("rbac.yaml").read_text(encoding="utf-8")
