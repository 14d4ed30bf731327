"""The parts of Kubernetes objects that are read; everything else on the wire is skipped undecoded.

Annotations are read in one place only, and there two keys: `kubectl apply` keeps whole objects in
an annotation, Secrets included.

PYTEST_DONT_REWRITE
"""

import msgspec

from pytest_readiness.targets.kubernetes.facts import Operator

Quantity = str | int | float


class Wire(msgspec.Struct, gc=False, frozen=True):
    """Base: unknown fields are skipped, absent ones have the defaults of the API."""


class Meta(Wire, frozen=True):
    """ObjectMeta without annotations."""

    name: str
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] | None = None
    deletionTimestamp: str | None = None


class Namespace(Wire, frozen=True):
    """v1 Namespace."""

    metadata: Meta


class VersionInfo(Wire, frozen=True):
    """Answer of /version; servers leave out what they do not know."""

    gitVersion: str = ""
    major: str = ""
    minor: str = ""
    platform: str = ""


class TaintW(Wire, frozen=True):
    """v1 Taint."""

    key: str
    effect: str


class NodeSpec(Wire, frozen=True):
    """v1 NodeSpec."""

    unschedulable: bool = False
    taints: list[TaintW] | None = None


class Condition(Wire, frozen=True):
    """v1 NodeCondition."""

    type: str
    status: str


class Resources(Wire, frozen=True):
    """Capacity or allocatable."""

    cpu: Quantity | None = None
    memory: Quantity | None = None
    pods: Quantity | None = None


class NodeStatus(Wire, frozen=True):
    """v1 NodeStatus."""

    capacity: Resources | None = None
    allocatable: Resources | None = None
    conditions: list[Condition] | None = None


class NodeW(Wire, frozen=True):
    """v1 Node."""

    metadata: Meta
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class DefaultClass(Wire, frozen=True):
    """The two annotations that make a StorageClass the default."""

    ga: str | None = msgspec.field(default=None, name="storageclass.kubernetes.io/is-default-class")
    beta: str | None = msgspec.field(
        default=None, name="storageclass.beta.kubernetes.io/is-default-class"
    )


class ClassMeta(Wire, frozen=True):
    """ObjectMeta of a StorageClass."""

    name: str
    annotations: DefaultClass | None = None


class StorageClassW(Wire, frozen=True):
    """storage.k8s.io/v1 StorageClass."""

    metadata: ClassMeta
    provisioner: str


class CsiDriverW(Wire, frozen=True):
    """storage.k8s.io/v1 CSIDriver."""

    metadata: Meta


class ClaimSpec(Wire, frozen=True):
    """v1 PersistentVolumeClaimSpec."""

    storageClassName: str | None = None


class ClaimStatus(Wire, frozen=True):
    """v1 PersistentVolumeClaimStatus."""

    phase: str = ""


class ClaimW(Wire, frozen=True):
    """v1 PersistentVolumeClaim."""

    metadata: Meta
    spec: ClaimSpec = ClaimSpec()
    status: ClaimStatus = ClaimStatus()


class RequirementW(Wire, frozen=True):
    """metav1 LabelSelectorRequirement; an operator unknown here is an unreadable object."""

    key: str
    operator: Operator
    values: list[str] | None = None


class SelectorW(Wire, frozen=True):
    """metav1 LabelSelector."""

    matchLabels: dict[str, str] | None = None
    matchExpressions: list[RequirementW] | None = None


class IpBlock(Wire, frozen=True):
    """networking.k8s.io/v1 IPBlock."""

    cidr: str
    excepted: list[str] | None = msgspec.field(default=None, name="except")


class PeerW(Wire, frozen=True):
    """networking.k8s.io/v1 NetworkPolicyPeer."""

    ipBlock: IpBlock | None = None
    namespaceSelector: SelectorW | None = None
    podSelector: SelectorW | None = None


class PortW(Wire, frozen=True):
    """networking.k8s.io/v1 NetworkPolicyPort."""

    protocol: str | None = None
    port: int | str | None = None
    endPort: int | None = None


class RuleW(Wire, frozen=True):
    """networking.k8s.io/v1 NetworkPolicyIngressRule."""

    peers: list[PeerW] | None = msgspec.field(default=None, name="from")
    ports: list[PortW] | None = None


class PolicySpec(Wire, frozen=True):
    """networking.k8s.io/v1 NetworkPolicySpec; podSelector became optional in 1.34."""

    podSelector: SelectorW | None = None
    policyTypes: list[str] | None = None
    ingress: list[RuleW] | None = None


class PolicyW(Wire, frozen=True):
    """networking.k8s.io/v1 NetworkPolicy."""

    metadata: Meta
    spec: PolicySpec = PolicySpec()


class OwnerW(Wire, frozen=True):
    """metav1 OwnerReference."""

    kind: str
    name: str
    controller: bool | None = None


class PodMeta(Wire, frozen=True):
    """ObjectMeta of a Pod."""

    name: str
    labels: dict[str, str] | None = None
    ownerReferences: list[OwnerW] | None = None


class PodSpec(Wire, frozen=True):
    """v1 PodSpec."""

    hostNetwork: bool = False


class PodStatus(Wire, frozen=True):
    """v1 PodStatus."""

    phase: str = ""


class PodW(Wire, frozen=True):
    """v1 Pod."""

    metadata: PodMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class ServiceSpec(Wire, frozen=True):
    """v1 ServiceSpec."""

    type: str = "ClusterIP"


class ServiceW(Wire, frozen=True):
    """v1 Service."""

    metadata: Meta
    spec: ServiceSpec = ServiceSpec()


class EndpointConditions(Wire, frozen=True):
    """discovery.k8s.io/v1 EndpointConditions; ready null is true."""

    ready: bool | None = None


class EndpointW(Wire, frozen=True):
    """discovery.k8s.io/v1 Endpoint."""

    conditions: EndpointConditions | None = None


class SliceW(Wire, frozen=True):
    """discovery.k8s.io/v1 EndpointSlice."""

    metadata: Meta
    endpoints: list[EndpointW] | None = None
