"""What policies let in, against oracles that try every address, port and pod one by one."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pytest_readiness.checklist.infrastructure import test_kubernetes as checks
from pytest_readiness.results.evidence import Evidence
from pytest_readiness.targets.kubernetes.facts import (
    IngressRule,
    Namespace,
    Namespaces,
    NetworkPolicies,
    NetworkPolicy,
    Peer,
    PodGroup,
    Pods,
    Port,
    Requirement,
    Selector,
)
from pytest_readiness.targets.kubernetes.reach import Entry, Pod, admitted, entries
from tests.properties import bounded

NAME = "kubernetes.io/metadata.name"
OWN = "shop"
TEAMS = {"shop": {"team": "a"}, "ops": {"team": "a"}, "lab": {"team": "b"}, "bare": {}}
SPACES = {name: {NAME: name} | more for name, more in TEAMS.items()}
PODS = [
    Pod(name, labels, own)
    for name, labels in SPACES.items()
    for own in ({}, {"app": "web"}, {"app": "job", "tier": "back"})
]
ADDRESSES = [f"203.0.113.{last}" for last in range(8)] + [f"2001:db8::{last}" for last in range(4)]
NUMBERS = [1, 2, 3, 4, 5, 65535]


def selectors(keys: Sequence[str], values: Sequence[str]) -> st.SearchStrategy[Selector]:
    key, some = st.sampled_from(keys), st.lists(st.sampled_from(values), min_size=1, max_size=3)
    named = st.builds(
        Requirement, key=key, operator=st.sampled_from(["In", "NotIn"]), values=some.map(tuple)
    )
    bare = st.builds(
        Requirement,
        key=key,
        operator=st.sampled_from(["Exists", "DoesNotExist"]),
        values=st.just(()),
    )
    return st.builds(
        Selector,
        labels=st.dictionaries(key, st.sampled_from(values), max_size=1),
        expressions=st.lists(named | bare, max_size=2).map(tuple),
    )


SPACE_SELECTORS = selectors([NAME, "team", "gone"], ["shop", "ops", "lab", "bare", "a", "b", "no"])
POD_SELECTORS = selectors(["app", "tier", "gone"], ["web", "job", "back", "no"])


def selecting() -> st.SearchStrategy[Peer]:
    both = st.tuples(st.none() | SPACE_SELECTORS, st.none() | POD_SELECTORS).filter(any)
    return both.map(lambda it: Peer(cidr=None, excepted=(), namespaces=it[0], pods=it[1]))


def blocks(cidrs: Sequence[str], excepted: Sequence[str]) -> st.SearchStrategy[Peer]:
    return st.builds(
        Peer,
        cidr=st.sampled_from(cidrs),
        excepted=st.lists(st.sampled_from(excepted), max_size=2).map(tuple),
        namespaces=st.none(),
        pods=st.none(),
    )


def policies(
    peers: st.SearchStrategy[Peer], ports: st.SearchStrategy[Port]
) -> st.SearchStrategy[list[NetworkPolicy]]:
    rule = st.builds(
        IngressRule,
        peers=st.lists(peers, max_size=3).map(tuple),
        ports=st.lists(ports, max_size=3).map(tuple),
    )
    policy = st.builds(
        NetworkPolicy,
        namespace=st.just(OWN),
        name=st.just(""),
        selector=POD_SELECTORS,
        types=st.just(("Ingress",)),
        ingress=st.lists(rule, max_size=2).map(tuple),
    )
    return st.lists(policy, max_size=4).map(
        lambda several: [replace(it, name=f"p{at}") for at, it in enumerate(several)]
    )


def ranges(ends: Sequence[int]) -> st.SearchStrategy[Port]:
    """Return ports and ranges of ports that begin or end with these numbers."""
    pair = st.tuples(st.sampled_from(ends), st.sampled_from(ends)).map(sorted)
    protocol = st.sampled_from(["TCP", "UDP"])
    spans = st.builds(lambda of, at: Port(protocol=of, port=at[0], end_port=at[1]), protocol, pair)
    whole = st.builds(Port, protocol=protocol, port=st.none(), end_port=st.none())
    single = st.builds(Port, protocol=protocol, port=st.sampled_from(ends), end_port=st.none())
    return spans | single | whole


# ---- the oracle: the API's words, tried on one connection


class Connection(NamedTuple):
    """What knocks: from an address, or from a pod."""

    source: str | Pod
    protocol: str
    port: int


def fits(selector: Selector, labels: dict[str, str]) -> bool:
    for key, value in selector.labels.items():
        if key not in labels or labels[key] != value:
            return False
    for need in selector.expressions:
        has = need.key in labels
        is_one_of = has and labels[need.key] in need.values
        wanted = {"In": is_one_of, "NotIn": not is_one_of, "Exists": has, "DoesNotExist": not has}
        if not wanted[need.operator]:
            return False
    return True


def from_peer(peer: Peer, source: str | Pod) -> bool:
    if isinstance(source, str):
        if peer.cidr is None or ip_address(source) not in ip_network(peer.cidr):
            return False
        return not any(ip_address(source) in ip_network(cidr) for cidr in peer.excepted)
    if peer.cidr is not None:
        return False
    if peer.namespaces is None:
        in_space = source.namespace == OWN
    else:
        in_space = fits(peer.namespaces, dict(source.namespace_labels))
    return in_space and (peer.pods is None or fits(peer.pods, dict(source.labels)))


def at_port(port: Port, it: Connection) -> bool:
    if port.protocol != it.protocol:
        return False
    if port.port is None:
        return True
    assert isinstance(port.port, int)
    return port.port <= it.port <= (port.end_port or port.port)


def lets_in(several: Sequence[NetworkPolicy], it: Connection) -> bool:
    return any(
        (not rule.peers or any(from_peer(peer, it.source) for peer in rule.peers))
        and (not rule.ports or any(at_port(port, it) for port in rule.ports))
        for policy in several
        for rule in policy.ingress
    )


# ---- the evaluator


def says_in(found: Sequence[Entry], it: Connection) -> bool:
    for entry in found:
        assert not isinstance(entry.at, str)
        if entry.protocol == it.protocol and entry.at[0] <= it.port <= entry.at[1]:
            if isinstance(it.source, Pod):
                return PODS.index(it.source) in entry.sources.pods
            address = ip_address(it.source)
            family = entry.sources.four if address.version == 4 else entry.sources.six
            return any(low <= int(address) <= high for low, high in family)
    return False


def every_connection() -> Iterator[Connection]:
    sources: list[str | Pod] = [*ADDRESSES, *PODS]
    for source in sources:
        for protocol in ("TCP", "UDP", "SCTP"):
            for port in NUMBERS:
                yield Connection(source, protocol, port)


FEW = blocks(
    ["203.0.113.0/29", "203.0.113.0/30", "203.0.113.4/30", "203.0.113.5/32", "2001:db8::/126"],
    ["203.0.113.0/31", "203.0.113.4/32", "203.0.113.4/30", "2001:db8::2/127", "2001:db8::/128"],
)


@bounded(200)
@given(policies(selecting() | FEW, ranges([1, 2, 3, 4, 65535])))
def test_what_is_let_in_is_what_lets_in_connection_by_connection(
    several: list[NetworkPolicy],
) -> None:
    found = admitted(entry for policy in several for entry in entries(policy, PODS))
    for it in every_connection():
        assert says_in(found, it) == lets_in(several, it), it


# ---- the check: cells of addresses and ports that are let in or kept out whole, or all but a few

EIGHTS = [first for first in range(1, 224) if first != 127]
SITES = {"2000::1": 16, "3000::1": 16, "fc00::1": 1, "fd00::1": 1}  # in 256ths of 2^128, each
CELLS = [(1, 999), (1000, 8079), (8080, 8080), (8081, 32767), (32768, 65535)]
WIDE = blocks(
    [
        "0.0.0.0/0",
        "0.0.0.0/1",
        "128.0.0.0/1",
        "128.0.0.0/2",
        "192.0.0.0/3",
        "10.0.0.0/8",
        "::/0",
        "2000::/3",
        "2000::/4",
        "3000::/4",
        "fc00::/7",
        "fd00::/8",
    ],
    [
        "0.0.0.0/32",
        "8.8.8.8/32",
        "10.0.0.0/8",
        "64.0.0.0/2",
        "192.0.2.0/24",
        "2000::/128",
        "fd00::/8",
        "3000::/4",
    ],
)
ENDS = [end for cell in CELLS for end in cell]


def crowds_in(several: Sequence[NetworkPolicy], protocol: str, port: int) -> list[bool]:
    """Say of IPv4, IPv6 and the pods whether nearly all of them get in at a port."""
    four = [lets_in(several, Connection(f"{at}.1.2.3", protocol, port)) for at in EIGHTS]
    six = {at for at in SITES if lets_in(several, Connection(at, protocol, port))}
    outside = [Pod(name, labels, {}) for name, labels in SPACES.items() if name != OWN]
    pods = [lets_in(several, Connection(pod, protocol, port)) for pod in outside]
    anew = Pod("new", {NAME: "new"}, {})
    nearly = sum(pods) >= len(pods) / 2 and lets_in(several, Connection(anew, protocol, port))
    return [all(four), sum(SITES[at] for at in six) == sum(SITES.values()), all(pods) or nearly]


def is_open(several: Sequence[NetworkPolicy]) -> bool:
    for protocol in ("TCP", "UDP", "SCTP"):
        shut = [0, 0, 0]
        for low, high in CELLS:
            for crowd, gets_in in enumerate(crowds_in(several, protocol, (low + high) // 2)):
                shut[crowd] += 0 if gets_in else high - low + 1
        if any(ports * 256 < 65535 for ports in shut):
            return True
    return False


GROUPS = tuple(
    PodGroup(owner=None, labels=labels, host_network=False, phase="Running", names=(name,))
    for name, labels in {"bare": {}, "web": {"app": "web"}, "job": {"app": "job"}}.items()
)
DENY = NetworkPolicy(
    namespace=OWN,
    name="deny",
    selector=Selector(labels={}, expressions=()),
    types=("Ingress",),
    ingress=(),
)


def judged(several: Sequence[NetworkPolicy]) -> Evidence:
    """Return what the check says of these policies beside a default deny."""
    evidence = Evidence()
    with suppress(AssertionError):
        checks.test_every_pod_is_isolated_by_a_network_policy(
            NetworkPolicies(namespace=OWN, items=(DENY, *several), unreadable=()),
            Namespaces(
                items=tuple(Namespace(name=name, labels=of) for name, of in SPACES.items()),
                unreadable=(),
            ),
            Pods(namespace=OWN, groups=GROUPS, unreadable=()),
            evidence,
        )
    return evidence


@bounded(150)
@given(policies(selecting() | WIDE, ranges(ENDS)))
def test_the_check_fails_exactly_when_a_pod_is_open(several: list[NetworkPolicy]) -> None:
    named = {f.subject.removeprefix("networkpolicy/") for f in judged(several).findings}
    chosen = [[p for p in several if fits(p.selector, group.labels)] for group in GROUPS]
    opened = [mine for mine in chosen if is_open(mine)]
    assert bool(named) == bool(opened)
    assert all(is_open([p for p in mine if p.name in named]) for mine in opened)
    assert named <= {policy.name for mine in opened for policy in mine}


QUARTERS = ("0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/2", "192.0.0.0/2")
HALVES = ((1, 20000), (20001, 65535))
PIECES = [(cidr, ports) for cidr in QUARTERS for ports in HALVES]


@bounded(100)
@given(
    st.lists(st.integers(0, 3), min_size=len(PIECES), max_size=len(PIECES)),
    st.none() | st.sampled_from(PIECES),
)
def test_an_open_rule_in_pieces_is_open_in_sum_and_without_one_piece_is_not(
    owners: list[int], lost: tuple[str, tuple[int, int]] | None
) -> None:
    rules: dict[int, list[IngressRule]] = {}
    for owner, piece in zip(owners, PIECES, strict=True):
        if piece != lost:
            cidr, (low, high) = piece
            of = Peer(cidr=cidr, excepted=(), namespaces=None, pods=None)
            port = Port(protocol="TCP", port=low, end_port=high)
            rules.setdefault(owner, []).append(IngressRule(peers=(of,), ports=(port,)))
    several = [replace(DENY, name=f"p{at}", ingress=tuple(own)) for at, own in rules.items()]
    named = {finding.subject for finding in judged(several).findings}
    assert named == (set() if lost else {f"networkpolicy/p{at}" for at in rules})
