"""What the probe of Kubernetes answers; names and values as the API has them, without opinion.

Every list carries `unreadable`: objects the API listed and that could not be decoded. They are
kept so that one malformed object is a finding, and neither a lost list nor silently missing.

PYTEST_DONT_REWRITE
"""

from datetime import datetime
from typing import Literal

from pytest_readiness.targets.fact import Fact

Operator = Literal["In", "NotIn", "Exists", "DoesNotExist"]


class Unreadable(Fact, kw_only=True, frozen=True):
    """One listed object that could not be decoded; name is `#17`, its place, if it has none."""

    name: str
    problem: str


class Identity(Fact, kw_only=True, frozen=True):
    """Which cluster answers. uid: of the namespace kube-system, None when it may not be read."""

    server: str
    uid: str | None
    tls_verified: bool


class Version(Fact, kw_only=True, frozen=True):
    """Answer of /version; fields the server leaves out are empty. asked_at: aware, UTC."""

    server: str
    git_version: str
    major: str
    minor: str
    platform: str
    asked_at: datetime


class ClusterService(Fact, kw_only=True, frozen=True):
    """A service of the cluster itself: DNS (dns), ingress, metrics; and its endpoints."""

    namespace: str
    name: str
    dns: bool
    ready: int
    not_ready: int


class Health(Fact, kw_only=True, frozen=True):
    """What the API server says of itself, and the cluster's own services.

    endpoint: `/readyz`, or `/healthz` where the former does not exist. failing: its checks that
    do not hold, by name.
    """

    server: str
    endpoint: str
    ready: bool
    failing: tuple[str, ...]
    services: tuple[ClusterService, ...]
    unreadable: tuple[Unreadable, ...]


class Taint(Fact, kw_only=True, frozen=True):
    """A taint. effect: NoSchedule, NoExecute or PreferNoSchedule."""

    key: str
    effect: str


class Node(Fact, kw_only=True, frozen=True):
    """A node; quantities as the API writes them, None where it writes none."""

    name: str
    zone: str | None
    cordoned: bool
    deleting: bool
    conditions: dict[str, str]
    taints: tuple[Taint, ...]
    cpu_capacity: str | None
    cpu_allocatable: str | None
    memory_capacity: str | None
    memory_allocatable: str | None
    pods_capacity: str | None
    pods_allocatable: str | None


class Nodes(Fact, kw_only=True, frozen=True):
    """All nodes of the cluster."""

    items: tuple[Node, ...]
    unreadable: tuple[Unreadable, ...]


class StorageClass(Fact, kw_only=True, frozen=True):
    """A StorageClass. default: by the GA or the beta annotation."""

    name: str
    provisioner: str
    default: bool


class StorageClasses(Fact, kw_only=True, frozen=True):
    """All StorageClasses of the cluster."""

    items: tuple[StorageClass, ...]
    unreadable: tuple[Unreadable, ...]


class CsiDrivers(Fact, kw_only=True, frozen=True):
    """Names of all CSIDrivers of the cluster."""

    names: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]


class Claim(Fact, kw_only=True, frozen=True):
    """A PersistentVolumeClaim. phase: Pending, Bound, Lost, or empty; a deleting one is Bound."""

    name: str
    phase: str
    deleting: bool
    storage_class: str | None


class Claims(Fact, kw_only=True, frozen=True):
    """The PersistentVolumeClaims of the namespace."""

    namespace: str
    items: tuple[Claim, ...]
    unreadable: tuple[Unreadable, ...]


class Namespace(Fact, kw_only=True, frozen=True):
    """A namespace, which selectors know by its labels."""

    name: str
    labels: dict[str, str]


class Namespaces(Fact, kw_only=True, frozen=True):
    """All namespaces of the cluster."""

    items: tuple[Namespace, ...]
    unreadable: tuple[Unreadable, ...]


class Requirement(Fact, kw_only=True, frozen=True):
    """One matchExpression."""

    key: str
    operator: Operator
    values: tuple[str, ...]


class Selector(Fact, kw_only=True, frozen=True):
    """A label selector; without requirements it selects everything."""

    labels: dict[str, str]
    expressions: tuple[Requirement, ...]


class Peer(Fact, kw_only=True, frozen=True):
    """One entry of `from`: an address block with its exceptions, or selectors."""

    cidr: str | None
    excepted: tuple[str, ...]
    namespaces: Selector | None
    pods: Selector | None


class Port(Fact, kw_only=True, frozen=True):
    """One entry of `ports`; port None: all of the protocol."""

    protocol: str
    port: int | str | None
    end_port: int | None


class IngressRule(Fact, kw_only=True, frozen=True):
    """One ingress rule; no peers: from everywhere, no ports: to every port."""

    peers: tuple[Peer, ...]
    ports: tuple[Port, ...]


class NetworkPolicy(Fact, kw_only=True, frozen=True):
    """A NetworkPolicy. types: policyTypes as written, may be empty."""

    namespace: str
    name: str
    selector: Selector
    types: tuple[str, ...]
    ingress: tuple[IngressRule, ...]


class NetworkPolicies(Fact, kw_only=True, frozen=True):
    """The NetworkPolicies of the namespace."""

    namespace: str
    items: tuple[NetworkPolicy, ...]
    unreadable: tuple[Unreadable, ...]


class PodGroup(Fact, kw_only=True, frozen=True):
    """Pods that differ in nothing but their names, which keeps 20,000 pods small.

    owner: controller as `replicaset/web-5d9f`, None for a bare pod. phase: Pending, Running,
    Succeeded, Failed or Unknown.
    """

    owner: str | None
    labels: dict[str, str]
    host_network: bool
    phase: str
    names: tuple[str, ...]


class Pods(Fact, kw_only=True, frozen=True):
    """The pods of the namespace."""

    namespace: str
    groups: tuple[PodGroup, ...]
    unreadable: tuple[Unreadable, ...]
