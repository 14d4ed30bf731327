"""Kubernetes section of the checklist: whether the cluster carries the release and keeps it apart.

Subjects of findings: `node/NAME`, `storageclass/NAME`, `persistentvolumeclaim/NAME`,
`networkpolicy/NAME`, `namespace/NAME`, `pod/NAME` (its controller where many pods share one fault),
`service/NAMESPACE/NAME`, and `cluster` for what no object alone is to blame for.
"""

from collections import Counter
from collections.abc import Iterable

from pytest_readiness.catalogue.words import Safety, Severity
from pytest_readiness.checklist.check import check
from pytest_readiness.checklist.infrastructure.network_policies import (
    COMPLETED,
    isolates_ingress,
    not_isolated,
    selected,
    workloads,
)
from pytest_readiness.checklist.infrastructure.nodes import sort_nodes
from pytest_readiness.checklist.infrastructure.storage import claim_problems, wrong_with_defaults
from pytest_readiness.errors import NothingExamined
from pytest_readiness.results.evidence import Evidence
from pytest_readiness.targets.kubernetes import versions as versions
from pytest_readiness.targets.kubernetes.facts import (
    Claims,
    CsiDrivers,
    Health,
    Identity,
    Namespaces,
    NetworkPolicies,
    Nodes,
    Pods,
    StorageClasses,
    Unreadable,
    Version,
)
from pytest_readiness.targets.kubernetes.section import Kubernetes

_DOCS = "https://kubernetes.io/docs"
_UNREADABLE = "unreadable"  # code of a finding: the API shows it, and not in a form we know


@check(
    id="k8s-version",
    severity=Severity.BLOCKER,
    safety=Safety.S1,
    remediation="Upgrade the control plane, one minor after the other, to a supported minor.",
    reference="https://kubernetes.io/releases/version-skew-policy/",
)
def test_the_version_is_new_enough_and_supported(
    k8s_version: Version, k8s_limits: Kubernetes, evidence: Evidence
) -> None:
    """The cluster's minor version is at least the minimum, and the project still supports it.

    An unsupported minor gets no more security fixes, and a vendor's support for longer is a
    promise that somebody has to name and date.
    """
    evidence.examined([f"server/{k8s_version.server}"])
    day = k8s_version.asked_at.date()
    oldest = versions.oldest_supported(day)
    minor = versions.minor_of(k8s_version.git_version, k8s_version.major, k8s_version.minor)
    ends = versions.END_OF_LIFE.get(minor) if minor else None
    evidence.observed(
        git_version=k8s_version.git_version,
        minor=_dotted(minor) if minor else None,
        platform=k8s_version.platform,
        support_ends=ends.isoformat() if ends else None,
    )
    evidence.expected(
        minor=f">= {_dotted(k8s_limits.min_version)}", supported_on_day_of_asking=_dotted(oldest)
    )

    if minor is None:
        evidence.finding(
            "cluster", f"{k8s_version.git_version!r} names no version", "version-unreadable"
        )
    elif minor < k8s_limits.min_version:
        evidence.finding(
            "cluster",
            f"{_dotted(minor)} is older than {_dotted(k8s_limits.min_version)}",
            "version-old",
        )
    elif minor < oldest:
        ended = f"ended on {ends.isoformat()}" if ends else "has ended"
        evidence.finding(
            "cluster",
            f"support of {_dotted(minor)} {ended}; the oldest supported is {_dotted(oldest)}",
            "version-unsupported",
        )

    assert not evidence.findings


@check(
    id="k8s-connectivity",
    severity=Severity.BLOCKER,
    safety=Safety.S1,
    remediation="See `kubectl get --raw '/readyz?verbose'` for the API server, and `kubectl -n "
    "kube-system get pods` for the services of the cluster.",
    reference=f"{_DOCS}/reference/using-api/health-checks/",
)
def test_the_control_plane_and_the_services_of_the_cluster_answer(
    k8s_identity: Identity, k8s_health: Health, k8s_limits: Kubernetes, evidence: Evidence
) -> None:
    """The right cluster answers, its API server is ready, and its own services have endpoints.

    Without DNS no pod finds another; an API server that is not ready schedules and restarts
    nothing; and on the wrong cluster every other answer is worth nothing.
    """
    services = {f"service/{s.namespace}/{s.name}": s for s in k8s_health.services}
    evidence.examined([f"server/{k8s_health.server}", *services])
    evidence.observed(
        cluster_uid=k8s_identity.uid,
        tls_verified=k8s_identity.tls_verified,
        endpoint=k8s_health.endpoint,
        ready=k8s_health.ready,
        endpoints={name: f"{s.ready} of {s.ready + s.not_ready}" for name, s in services.items()},
    )
    evidence.expected(
        cluster_uid=k8s_limits.cluster_uid or "not set in readiness.ini",
        ready=True,
        endpoints="at least 1 ready for each service, DNS among them",
    )

    if k8s_limits.cluster_uid not in (None, k8s_identity.uid):
        problem = f"has the UID {k8s_identity.uid or 'unknown'}: another cluster"
        evidence.finding("cluster", problem, "other-cluster")
    for failing in k8s_health.failing:
        evidence.finding("cluster", f"{k8s_health.endpoint}: {failing} fails", "server-not-ready")
    if not any(service.dns for service in k8s_health.services):
        problem = "kube-system has no DNS service (kube-dns, coredns)"
        evidence.finding("cluster", problem, "no-dns")
    for name, service in services.items():
        if not service.ready:
            some = service.not_ready
            problem = f"none of its {some} endpoints is ready" if some else "has no endpoints"
            evidence.finding(name, problem, "service-not-ready")
    for unreadable in k8s_health.unreadable:
        evidence.finding(unreadable.name, f"cannot be read: {unreadable.problem}", _UNREADABLE)

    assert not evidence.findings


@check(
    id="k8s-nodes",
    severity=Severity.BLOCKER,
    safety=Safety.S1,
    remediation="Add nodes of the size, or bring the named ones back: `kubectl describe node "
    "NAME` shows why, `kubectl uncordon NAME` ends a cordon.",
    reference=f"{_DOCS}/concepts/architecture/nodes/",
)
def test_enough_nodes_are_ready_and_large_enough(
    k8s_nodes: Nodes, k8s_limits: Kubernetes, evidence: Evidence
) -> None:
    """Enough nodes are ready, schedulable, untainted and of the size the release needs.

    With fewer, the loss of one node leaves replicas without a place. A node counts when it takes
    pods and its allocatable resources reach the size; or, since the kubelet reserves a part of
    every machine, when its capacity does and no more than the stated reserve is missing from what
    it allocates. More nodes than needed may be out of service: they are observed only.
    """
    evidence.examined(
        [*(f"node/{n.name}" for n in k8s_nodes.items), *_names("node", k8s_nodes.unreadable)]
    )
    sorted_nodes = sort_nodes(k8s_nodes.items, k8s_limits)
    counted = sorted_nodes.counted
    evidence.observed(
        nodes=len(k8s_nodes.items),
        counted=len(counted),
        met_by=dict(Counter(counted.values())),
        zones=dict(Counter(n.zone or "none" for n in k8s_nodes.items if n.name in counted)),
        not_counted=sorted_nodes.not_counted(),
    )
    evidence.expected(
        counted=f">= {k8s_limits.min_nodes}",
        each=f">= {k8s_limits.node_cpu} CPU and {k8s_limits.node_memory} bytes of memory, "
        f"allocatable; or capacity, with no more than {k8s_limits.max_node_reserve:.0%} reserved",
        pods=">= 1 allocatable",
    )

    for name, problem in sorted_nodes.unclear.items():
        evidence.finding(f"node/{name}", problem, "node-size-unclear")
    _find_unreadable(evidence, "node", k8s_nodes.unreadable)
    if len(counted) < k8s_limits.min_nodes:
        for name, reason in sorted_nodes.to_blame().items():
            evidence.finding(f"node/{name}", *reason)
        if not evidence.findings:
            short = f"{len(counted)} nodes, fewer than {k8s_limits.min_nodes}"
            evidence.finding("cluster", short, "few-nodes")

    assert not evidence.findings


@check(
    id="k8s-storage",
    severity=Severity.BLOCKER,
    safety=Safety.S1,
    remediation="Mark exactly one StorageClass with storageclass.kubernetes.io/is-default-class, "
    "install its CSI driver, and see `kubectl describe pvc NAME` for what a claim waits for.",
    reference=f"{_DOCS}/concepts/storage/storage-classes/#default-storageclass",
)
def test_volumes_are_provisioned(
    k8s_storage_classes: StorageClasses,
    k8s_csi_drivers: CsiDrivers,
    k8s_claims: Claims,
    evidence: Evidence,
) -> None:
    """One default StorageClass has its driver, and every volume claim of the release is bound.

    A claim without a class, or with a class nobody serves, stays Pending, and so does the pod
    that needs it; with two defaults it depends on their age which disks the data lands on. A claim
    that is being deleted is Bound for as long as a pod uses it: the volume goes with that pod.
    """
    classes = k8s_storage_classes.items
    evidence.examined(
        [
            *(f"storageclass/{storage_class.name}" for storage_class in classes),
            *(f"persistentvolumeclaim/{claim.name}" for claim in k8s_claims.items),
        ]
        or ["cluster"]
    )
    evidence.observed(
        default_classes={c.name: c.provisioner for c in classes if c.default},
        csi_drivers=list(k8s_csi_drivers.names),
        claims=dict(Counter(claim.phase or "none" for claim in k8s_claims.items)),
        claims_deleting=[claim.name for claim in k8s_claims.items if claim.deleting],
    )
    evidence.expected(
        default_classes="exactly 1, its CSIDriver there", claims="all Bound, none being deleted"
    )

    for found in wrong_with_defaults(classes, k8s_csi_drivers.names):
        evidence.finding(*found)
    for claim in k8s_claims.items:
        for problem, code in claim_problems(claim):
            evidence.finding(f"persistentvolumeclaim/{claim.name}", problem, code)
    _find_unreadable(evidence, "storageclass", k8s_storage_classes.unreadable)
    _find_unreadable(evidence, "csidriver", k8s_csi_drivers.unreadable)
    _find_unreadable(evidence, "persistentvolumeclaim", k8s_claims.unreadable)

    assert not evidence.findings


@check(
    id="k8s-network-policies",
    severity=Severity.BLOCKER,
    safety=Safety.S1,
    remediation="Add a NetworkPolicy with `podSelector: {}` and no ingress rules (default deny), "
    "allow by name what must get in, and remove the policy that allows everything.",
    reference=f"{_DOCS}/concepts/services-networking/network-policies/",
)
def test_every_pod_is_isolated_by_a_network_policy(
    k8s_network_policies: NetworkPolicies,
    k8s_namespaces: Namespaces,
    k8s_pods: Pods,
    evidence: Evidence,
) -> None:
    """A NetworkPolicy selects every pod of the release for ingress, and none opens it to all.

    A pod that no policy selects takes connections from every pod of the cluster. Policies add up:
    one that allows everything undoes each deny beside it, and so do two that allow a half each.
    Open is what lets in all but a few: less than one in 256 of the addresses of IPv4 or IPv6 is
    kept out, or an unlabelled pod gets in from every other namespace (or from half of them and
    from any new one), on all but one in 256 of the ports of a protocol. Completed pods take no
    connections and are left out; pods on the host's network are outside of every policy. What is
    judged is what the policies say: whether the network plugin enforces them, the API does not
    tell.
    """
    pods = [group for group in k8s_pods.groups if group.phase not in COMPLETED]
    if not pods and not k8s_pods.unreadable:
        raise NothingExamined(f"no pod runs in the namespace {k8s_pods.namespace}")
    policies = [
        policy for policy in k8s_network_policies.items if policy.namespace == k8s_pods.namespace
    ]
    evidence.examined(
        [*(f"networkpolicy/{policy.name}" for policy in policies), *workloads(pods)]
        or [f"namespace/{k8s_pods.namespace}"]
    )
    isolating = [policy for policy in policies if isolates_ingress(policy)]
    evidence.observed(
        policies=len(policies),
        for_ingress=len(isolating),
        pods=sum(len(group.names) for group in pods),
        namespaces=len(k8s_namespaces.items),
        select_no_pod=[policy.name for policy in policies if not selected(policy, pods)],
    )
    evidence.expected(policies=">= 1", pods="each selected for ingress, none opened to everybody")

    for found in not_isolated(isolating, pods, k8s_namespaces.items):
        evidence.finding(*found)
    _find_unreadable(evidence, "networkpolicy", k8s_network_policies.unreadable)
    _find_unreadable(evidence, "namespace", k8s_namespaces.unreadable)
    _find_unreadable(evidence, "pod", k8s_pods.unreadable)

    assert not evidence.findings


def _dotted(minor: versions.Minor) -> str:
    return f"{minor[0]}.{minor[1]}"


def _names(kind: str, unreadable: Iterable[Unreadable]) -> list[str]:
    return [f"{kind}/{item.name}" for item in unreadable]


def _find_unreadable(evidence: Evidence, kind: str, unreadable: Iterable[Unreadable]) -> None:
    for item in unreadable:
        evidence.finding(f"{kind}/{item.name}", f"cannot be read: {item.problem}", _UNREADABLE)
