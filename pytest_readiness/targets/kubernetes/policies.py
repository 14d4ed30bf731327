"""NetworkPolicies of the namespace, from the wire to facts.

PYTEST_DONT_REWRITE
"""

from ipaddress import ip_network

from pytest_readiness.targets.kubernetes import facts
from pytest_readiness.targets.kubernetes import wire as k8s_wire
from pytest_readiness.targets.kubernetes.client import Client, Question
from pytest_readiness.targets.kubernetes.errors import Right
from pytest_readiness.targets.kubernetes.lists import collect


def network_policies(client: Client) -> facts.NetworkPolicies:
    """List the NetworkPolicies of the namespace. Raises ProbeError."""
    namespace = client.namespace

    def work(question: Question) -> facts.NetworkPolicies:
        path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
        found, unreadable = collect(question, path, k8s_wire.PolicyW, _policy)
        return facts.NetworkPolicies(namespace=namespace, items=found, unreadable=unreadable)

    right = Right("list", "networkpolicies", "networking.k8s.io", namespace)
    return client.ask("list network policies", right, work)


def _policy(wire: k8s_wire.PolicyW) -> facts.NetworkPolicy:
    return facts.NetworkPolicy(
        namespace=wire.metadata.namespace,
        name=wire.metadata.name,
        selector=_selector(wire.spec.podSelector or k8s_wire.SelectorW()),
        types=tuple(wire.spec.policyTypes or ()),
        ingress=tuple(_rule(rule) for rule in wire.spec.ingress or ()),
    )


def _rule(wire: k8s_wire.RuleW) -> facts.IngressRule:
    return facts.IngressRule(
        peers=tuple(_peer(peer) for peer in wire.peers or ()),
        ports=tuple(
            facts.Port(protocol=p.protocol or "TCP", port=p.port, end_port=p.endPort)
            for p in wire.ports or ()
        ),
    )


def _peer(wire: k8s_wire.PeerW) -> facts.Peer:
    block = wire.ipBlock
    for cidr in (block.cidr, *(block.excepted or ())) if block else ():
        ip_network(cidr, strict=False)  # ValueError: the object is kept as unreadable
    return facts.Peer(
        cidr=block.cidr if block else None,
        excepted=tuple(block.excepted or ()) if block else (),
        namespaces=_selector(wire.namespaceSelector) if wire.namespaceSelector else None,
        pods=_selector(wire.podSelector) if wire.podSelector else None,
    )


def _selector(wire: k8s_wire.SelectorW) -> facts.Selector:
    return facts.Selector(
        labels=wire.matchLabels or {},
        expressions=tuple(
            facts.Requirement(key=r.key, operator=r.operator, values=tuple(r.values or ()))
            for r in wire.matchExpressions or ()
        ),
    )
