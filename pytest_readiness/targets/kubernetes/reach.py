"""What NetworkPolicies let in to the pods they select, as sets: whom, and at which ports. Pure.

Source of the rules: networking.k8s.io/v1 NetworkPolicySpec. Policies and their rules add up; a
rule without `from` lets in everybody, one without `ports` at every port of every protocol. An
`ipBlock` is its `cidr` less its `except`, and another block may let in again what that one leaves
out. `podSelector` without `namespaceSelector` selects pods of the policy's own namespace,
`namespaceSelector` without `podSelector` every pod of the namespaces, both together the pods so
labelled of the namespaces so labelled.

Selectors are held against pods that the caller names (`Pod`), since a label means nothing without
somebody who bears it.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_network
from itertools import pairwise
from typing import NamedTuple

from pytest_readiness.targets.kubernetes.facts import (
    IngressRule,
    NetworkPolicy,
    Peer,
    Port,
    Requirement,
    Selector,
)

Interval = tuple[int, int]  # both ends belong to it
Intervals = tuple[Interval, ...]  # sorted, with gaps between them
PROTOCOLS = ("TCP", "UDP", "SCTP")
PORTS: Interval = (1, 65535)
FAMILIES: Mapping[int, Interval] = {4: (0, 2**32 - 1), 6: (0, 2**128 - 1)}


class Pod(NamedTuple):
    """A pod as the selectors of a peer see it."""

    namespace: str
    namespace_labels: Mapping[str, str]
    labels: Mapping[str, str]


class Sources(NamedTuple):
    """Who is let in: addresses of IPv4 and IPv6 as numbers, pods as places in the caller's list."""

    four: Intervals
    six: Intervals
    pods: frozenset[int]


class Entry(NamedTuple):
    """Who is let in at some ports of a protocol; a named port is a port of its own, by its name."""

    protocol: str
    at: Interval | str
    sources: Sources


def entries(policy: NetworkPolicy, pods: Sequence[Pod]) -> tuple[Entry, ...]:
    """Return what each ingress rule of a policy lets in; the entries may overlap."""
    found = []
    for rule in policy.ingress:
        sources = _sources(rule, policy.namespace, pods)
        found += [Entry(protocol, at, sources) for protocol, at in _ports(rule.ports)]
    return tuple(found)


def admitted(several: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the union of entries; no two of the result share a port of a protocol."""
    several = tuple(several)
    found: list[Entry] = []
    for protocol in PROTOCOLS:
        mine = [entry for entry in several if entry.protocol == protocol]
        names = sorted({entry.at for entry in mine if isinstance(entry.at, str)})
        for name in names:
            of_name = (entry.sources for entry in mine if entry.at == name)
            found.append(Entry(protocol, name, _union(of_name)))
        ranges = [(entry.at, entry.sources) for entry in mine if not isinstance(entry.at, str)]
        cuts = sorted({cut for (low, high), _ in ranges for cut in (low, high + 1)})
        for low, after in pairwise(cuts):
            there = [sources for (first, last), sources in ranges if first <= low <= last]
            if there:
                found.append(Entry(protocol, (low, after - 1), _union(there)))
    return tuple(found)


def selects(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Tell whether a label selector matches. The empty one matches everything."""
    return all(labels.get(key) == value for key, value in selector.labels.items()) and all(
        _holds(requirement, labels) for requirement in selector.expressions
    )


def merged(intervals: Iterable[Interval]) -> Intervals:
    """Return the union of intervals, which may overlap and touch."""
    found: list[Interval] = []
    for low, high in sorted(intervals):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return tuple(found)


def without(intervals: Iterable[Interval], holes: Iterable[Interval]) -> Intervals:
    """Return what of the intervals lies in no hole."""
    left = merged(intervals)
    for first, last in merged(holes):
        left = tuple(
            piece
            for low, high in left
            for piece in ((low, min(high, first - 1)), (max(low, last + 1), high))
            if piece[0] <= piece[1]
        )
    return merged(left)


def length(intervals: Iterable[Interval]) -> int:
    """Return how many numbers there are in intervals that do not overlap."""
    return sum(high - low + 1 for low, high in intervals)


def block(cidr: str) -> tuple[int, Interval]:
    """Return the family of a block of addresses, 4 or 6, and its ends. Raises ValueError."""
    network = ip_network(cidr, strict=False)
    return network.version, (int(network.network_address), int(network.broadcast_address))


def _union(several: Iterable[Sources]) -> Sources:
    several = tuple(several)
    return Sources(
        merged(interval for sources in several for interval in sources.four),
        merged(interval for sources in several for interval in sources.six),
        frozenset().union(*(sources.pods for sources in several)),
    )


def _sources(rule: IngressRule, namespace: str, pods: Sequence[Pod]) -> Sources:
    if not rule.peers:
        return Sources((FAMILIES[4],), (FAMILIES[6],), frozenset(range(len(pods))))
    return _union(_of_peer(peer, namespace, pods) for peer in rule.peers)


def _of_peer(peer: Peer, namespace: str, pods: Sequence[Pod]) -> Sources:
    if peer.cidr is not None:
        family, whole = block(peer.cidr)
        cut = [ends for of, ends in map(block, peer.excepted) if of == family]
        left = without([whole], cut)
        return Sources(left if family == 4 else (), left if family == 6 else (), frozenset())
    places = (place for place, pod in enumerate(pods) if _is_of(peer, namespace, pod))
    return Sources((), (), frozenset(places))


def _is_of(peer: Peer, namespace: str, pod: Pod) -> bool:
    if peer.namespaces is not None:
        there = selects(peer.namespaces, pod.namespace_labels)
    else:
        there = peer.pods is not None and pod.namespace == namespace
    return there and (peer.pods is None or selects(peer.pods, pod.labels))


def _ports(ports: Sequence[Port]) -> list[tuple[str, Interval | str]]:
    if not ports:
        return [(protocol, PORTS) for protocol in PROTOCOLS]
    found: list[tuple[str, Interval | str]] = []
    for port in ports:
        if isinstance(port.port, str):
            found.append((port.protocol, port.port))
            continue
        low, high = PORTS if port.port is None else (port.port, port.end_port or port.port)
        low, high = max(low, PORTS[0]), min(high, PORTS[1])
        if low <= high:
            found.append((port.protocol, (low, high)))
    return found


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
