"""What NetworkPolicies do to a pod; pure, and for ingress alone.

Source of the rules: networking.k8s.io/v1 NetworkPolicySpec. A pod is isolated when any policy of
its namespace selects it; what is let in is the union of the rules of all that select it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from pytest_readiness.targets.kubernetes.facts import (
    IngressRule,
    NetworkPolicy,
    Peer,
    PodGroup,
    Port,
    Requirement,
    Selector,
)

Found = tuple[str, str, str]  # subject, problem, its code
COMPLETED = ("Succeeded", "Failed")  # phases of pods that take no connections any more
_HIGHEST_PORT = 65535
_NAMESPACE_NAME = "kubernetes.io/metadata.name"
_MANY = 10  # more pods than this with one fault and one controller are named by the controller


def isolates_ingress(policy: NetworkPolicy) -> bool:
    """Tell whether the policy is about ingress: it is, unless policyTypes is given without it."""
    return not policy.types or "Ingress" in policy.types


def selects(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Tell whether a label selector matches. The empty one matches everything."""
    return all(labels.get(key) == value for key, value in selector.labels.items()) and all(
        _holds(requirement, labels) for requirement in selector.expressions
    )


def opening(policy: NetworkPolicy) -> str | None:
    """Say for whom a policy for ingress alone opens its pods on all ports, or None if for nobody.

    Such a policy undoes every other that selects the same pods, a deny-all included. A policy
    that names a port opens that port, as it shall, and is none.
    """
    for rule in policy.ingress:
        ports = _all_ports(rule.ports)
        peers = _everyone(rule)
        if ports and peers:
            return f"lets {peers} in on {ports}"
    return None


def selected(policy: NetworkPolicy, pods: Iterable[PodGroup]) -> list[PodGroup]:
    """Return the pods that the policy selects; those of other namespaces are not among them."""
    return [group for group in pods if selects(policy.selector, group.labels)]


def not_isolated(policies: Iterable[NetworkPolicy], pods: Iterable[PodGroup]) -> Iterator[Found]:
    """Yield each pod that is not isolated, and each policy that opens some.

    policies: those for ingress, of the pods' namespace.
    """
    policies = tuple(policies)
    governed = []
    for group in pods:
        if group.host_network:
            problem = "on the host's network, where no policy holds"
            yield from _each_pod(group, problem, "pod-on-host-network")
            continue
        governed.append(group)
        if not any(selects(policy.selector, group.labels) for policy in policies):
            problem = "selected by no NetworkPolicy for ingress"
            yield from _each_pod(group, problem, "pod-not-isolated")
    for policy in policies:
        said = opening(policy)
        names = [n for group in selected(policy, governed) for n in group.names] if said else []
        if names:
            problem = f"{said}: {len(names)} pods ({_some(names)})"
            yield f"networkpolicy/{policy.name}", problem, "policy-open"


def workloads(pods: Iterable[PodGroup]) -> Iterator[str]:
    """Name what the pods belong to, a bare pod by itself: 20,000 names would hide everything."""
    for group in pods:
        if group.owner is None or len(group.names) == 1:
            yield from (f"pod/{name}" for name in group.names)
        else:
            yield f"{group.owner} ({len(group.names)} pods)"


def _each_pod(group: PodGroup, problem: str, code: str) -> Iterator[Found]:
    if group.owner is not None and len(group.names) > _MANY:
        names = _some(group.names)
        yield group.owner, f"{len(group.names)} of its pods ({names}) are {problem}", code
        return
    for name in group.names:
        yield f"pod/{name}", f"is {problem}", code


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value is not None and value in requirement.values
        case "NotIn":
            return value is None or value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None


def _all_ports(ports: Iterable[Port]) -> str | None:
    """Say which whole protocol is open; a range from 1 to the highest port is one."""
    ports = tuple(ports)
    if not ports:
        return "every port"
    for port in ports:
        whole = port.port in (0, 1) and port.end_port == _HIGHEST_PORT
        if port.port is None or whole:
            return f"every {port.protocol} port"
    return None


def _everyone(rule: IngressRule) -> str | None:
    if not rule.peers:
        return "everybody"
    for peer in rule.peers:
        if peer.cidr is None and _is_every_namespace(peer.namespaces) and _is_any_pod(peer):
            return "every pod of every namespace"
    blocks = _whole_internet(peer.cidr for peer in rule.peers if peer.cidr and not peer.excepted)
    return f"every address of {blocks}" if blocks else None


def _is_every_namespace(selector: Selector | None) -> bool:
    """Tell whether a selector is for all; the API server itself gives each namespace its name."""
    if selector is None or selector.labels:
        return False
    return all((e.key, e.operator) == (_NAMESPACE_NAME, "Exists") for e in selector.expressions)


def _is_everything(selector: Selector | None) -> bool:
    return selector is not None and not selector.labels and not selector.expressions


def _is_any_pod(peer: Peer) -> bool:
    return peer.pods is None or _is_everything(peer.pods)


def _whole_internet(cidrs: Iterable[str]) -> str | None:
    """Return the address families that the blocks cover wholly, also in two halves."""
    networks = [ip_network(cidr, strict=False) for cidr in cidrs]
    four = collapse_addresses(net for net in networks if isinstance(net, IPv4Network))
    six = collapse_addresses(net for net in networks if isinstance(net, IPv6Network))
    blocks = [*map(str, four), *map(str, six)]
    return " and ".join(block for block in blocks if block.endswith("/0")) or None
