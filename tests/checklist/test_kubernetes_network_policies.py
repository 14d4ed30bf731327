"""k8s-network-policies: what policies select, what they isolate, and what undoes them."""

import pytest
from msgspec.structs import replace

from pytest_readiness.checklist.infrastructure import test_kubernetes as checks
from pytest_readiness.errors import NothingExamined
from pytest_readiness.results.evidence import Evidence
from pytest_readiness.targets.kubernetes.facts import (
    IngressRule,
    Namespace,
    Namespaces,
    NetworkPolicies,
    NetworkPolicy,
    Operator,
    Peer,
    PodGroup,
    Pods,
    Port,
    Requirement,
    Selector,
    Unreadable,
)

EVERYTHING = Selector(labels={}, expressions=())
BROKEN = (Unreadable(name="#7", problem="Expected `str`, got `null`"),)
WEB = PodGroup(
    owner="replicaset/web-5d9f",
    labels={"app": "web", "tier": "front"},
    host_network=False,
    phase="Running",
    names=("web-5d9f-a", "web-5d9f-b"),
)
JOB = PodGroup(
    owner=None, labels={"app": "job"}, host_network=False, phase="Running", names=("job",)
)
DENY = NetworkPolicy(
    namespace="shop", name="deny", selector=EVERYTHING, types=("Ingress",), ingress=()
)


SPACES = Namespaces(
    items=tuple(
        Namespace(name=name, labels={"kubernetes.io/metadata.name": name} | more)
        for name, more in {
            "shop": {"team": "shop"},
            "kube-system": {},
            "ops": {"team": "ops"},
            "lab": {"team": "lab"},
        }.items()
    ),
    unreadable=(),
)
NAME = "kubernetes.io/metadata.name"


def labels(**wanted: str) -> Selector:
    return Selector(labels=wanted, expressions=())


def expression(key: str, operator: Operator, *values: str) -> Selector:
    return Selector(
        labels={}, expressions=(Requirement(key=key, operator=operator, values=values),)
    )


def peer(
    cidr: str | None = None,
    *excepted: str,
    namespaces: Selector | None = None,
    pods: Selector | None = None,
) -> Peer:
    return Peer(cidr=cidr, excepted=excepted, namespaces=namespaces, pods=pods)


def allow(*peers: Peer, ports: tuple[Port, ...] = ()) -> NetworkPolicy:
    rule = IngressRule(peers=peers, ports=ports)
    return replace(DENY, name="allow", ingress=(rule,))


def tcp(port: int | str | None = None, end: int | None = None) -> tuple[Port, ...]:
    return (Port(protocol="TCP", port=port, end_port=end),)


def judge(*policies: NetworkPolicy, pods: tuple[PodGroup, ...] = (WEB, JOB)) -> Evidence:
    evidence = Evidence()
    checks.test_every_pod_is_isolated_by_a_network_policy(
        NetworkPolicies(namespace="shop", items=policies, unreadable=()),
        SPACES,
        Pods(namespace="shop", groups=pods, unreadable=()),
        evidence,
    )
    return evidence


def findings(*policies: NetworkPolicy, pods: tuple[PodGroup, ...] = (WEB, JOB)) -> dict[str, str]:
    evidence = Evidence()
    with pytest.raises(AssertionError):
        checks.test_every_pod_is_isolated_by_a_network_policy(
            NetworkPolicies(namespace="shop", items=policies, unreadable=()),
            SPACES,
            Pods(namespace="shop", groups=pods, unreadable=()),
            evidence,
        )
    return {finding.subject: finding.problem for finding in evidence.findings}


ALL_PODS = ["pod/web-5d9f-a", "pod/web-5d9f-b", "pod/job"]
WEB_PODS = ALL_PODS[:2]


def test_passes_when_a_deny_all_selects_every_pod() -> None:
    evidence = judge(DENY)
    assert evidence.subjects == ["networkpolicy/deny", "replicaset/web-5d9f (2 pods)", "pod/job"]
    assert evidence.missing() == []


@pytest.mark.parametrize(
    "selector",
    [
        EVERYTHING,
        expression("app", "Exists"),
        expression("app", "In", "web", "job"),
        expression("app", "NotIn", "db"),
        expression("nothing", "NotIn", "web"),
        expression("nothing", "DoesNotExist"),
    ],
)
def test_passes_when_the_selector_matches_every_pod(selector: Selector) -> None:
    judge(replace(DENY, selector=selector))


@pytest.mark.parametrize("types", [(), ("Ingress",), ("Egress", "Ingress")])
def test_passes_when_the_policy_is_about_ingress(types: tuple[str, ...]) -> None:
    judge(replace(DENY, types=types))


def test_passes_when_each_workload_has_a_policy_of_its_own() -> None:
    judge(
        replace(DENY, name="web", selector=labels(app="web")),
        replace(DENY, name="job", selector=labels(app="job")),
    )


@pytest.mark.parametrize(
    "allowing",
    [
        allow(peer(pods=labels(app="web"))),
        allow(peer(pods=EVERYTHING)),
        allow(peer(namespaces=labels(team="ops"))),
        allow(peer(namespaces=expression("team", "Exists"))),
        allow(peer(namespaces=EVERYTHING, pods=labels(app="web"))),
        allow(peer("10.0.0.0/8")),
        allow(peer("0.0.0.0/0", "10.0.0.0/8")),
        allow(peer("0.0.0.0/1")),
        allow(ports=tcp(8080)),
        allow(ports=tcp("http")),
        allow(peer("0.0.0.0/0"), peer("::/0"), ports=tcp(443)),
        allow(ports=tcp(1024, 65535)),
        allow(peer("::/0", "fd00::/8")),
        allow(peer("8000::/1")),
        allow(peer(namespaces=expression(NAME, "In", "kube-system", "ops"))),
        allow(peer(namespaces=expression("team", "DoesNotExist"))),
        allow(peer(namespaces=expression("team", "NotIn", "ops", "lab"))),
        allow(peer(namespaces=EVERYTHING, pods=expression("app", "Exists"))),
        allow(peer(pods=expression("app", "NotIn", "gone"))),
        allow(ports=(*tcp(1, 32767), Port(protocol="UDP", port=32768, end_port=65535))),
        allow(ports=tcp(1, 8079) + tcp(9000, 65535)),
        allow(peer("0.0.0.0/1"), peer("8000::/1"), peer(namespaces=labels(team="ops"))),
    ],
)
def test_passes_when_an_allowing_policy_leaves_something_closed(allowing: NetworkPolicy) -> None:
    judge(DENY, allowing)


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ((), ALL_PODS),
        ((replace(DENY, types=("Egress",)),), ALL_PODS),
        ((replace(DENY, namespace="other"),), ALL_PODS),
        ((replace(DENY, selector=labels(app="gone")),), ALL_PODS),
        ((replace(DENY, selector=labels(app="web", tier="back")),), ALL_PODS),
        ((replace(DENY, selector=labels(app="web")),), ["pod/job"]),
        ((replace(DENY, selector=expression("app", "In", "job")),), WEB_PODS),
        ((replace(DENY, selector=expression("app", "NotIn", "job")),), ["pod/job"]),
        ((replace(DENY, selector=expression("tier", "Exists")),), ["pod/job"]),
        ((replace(DENY, selector=expression("tier", "DoesNotExist")),), WEB_PODS),
        ((replace(DENY, selector=expression("tier", "In", "front")),), ["pod/job"]),
    ],
)
def test_fails_and_names_the_pods_that_no_policy_selects(
    policies: tuple[NetworkPolicy, ...], expected: list[str]
) -> None:
    found = findings(*policies)
    assert list(found) == expected
    assert set(found.values()) == {"is selected by no NetworkPolicy for ingress"}


@pytest.mark.parametrize(
    ("allowing", "says"),
    [
        (allow(), "lets everybody in on every port"),
        (allow(ports=tcp()), "lets everybody in on every TCP port"),
        (allow(ports=tcp(1, 65535)), "lets everybody in on every TCP port"),
        (allow(peer("0.0.0.0/0"), peer("::/0")), "every address of 0.0.0.0/0 and ::/0"),
        (allow(peer("0.0.0.0/0")), "every address of 0.0.0.0/0 in"),
        (allow(peer("0.0.0.0/1"), peer("128.0.0.0/1")), "every address of 0.0.0.0/0 in"),
        (allow(peer(namespaces=EVERYTHING)), "every pod of every namespace"),
        (
            allow(peer(namespaces=expression("kubernetes.io/metadata.name", "Exists"))),
            "every pod of every namespace",
        ),
        (allow(peer(namespaces=EVERYTHING, pods=EVERYTHING)), "every pod of every namespace"),
        (allow(peer("0.0.0.0/0", "192.0.2.1/32")), "lets nearly every address of 0.0.0.0/0 in on"),
        (allow(peer("0.0.0.0/0", "192.168.0.0/16")), "nearly every address of 0.0.0.0/0 in"),
        (
            allow(peer("0.0.0.0/1"), peer("128.0.0.0/2"), peer("192.0.0.0/3")),
            "nearly every address of 0.0.0.0/0 in on every port",
        ),
        (allow(peer("0.0.0.0/0", "10.0.0.0/8"), peer("10.0.0.0/8")), "every address of 0.0.0.0/0"),
        (allow(peer("2000::/3"), peer("fc00::/7")), "nearly every address of ::/0 in"),
        (allow(ports=tcp(1, 32767) + tcp(32768, 65535)), "everybody in on every TCP port"),
        (allow(ports=tcp(1, 8079) + tcp(8081, 65535)), "everybody in on nearly every TCP port"),
        (
            allow(ports=(*tcp(), Port(protocol="UDP", port=None, end_port=None))),
            "everybody in on every TCP and UDP port",
        ),
        (allow(peer(namespaces=expression("gone", "DoesNotExist"))), "every pod of every namesp"),
        (allow(peer(namespaces=expression("team", "NotIn", "gone"))), "every pod of every namesp"),
        (
            allow(peer(namespaces=expression(NAME, "In", "kube-system", "ops", "lab"))),
            "every pod of every namespace",
        ),
        (
            allow(peer(namespaces=expression(NAME, "NotIn", "kube-system"))),
            "nearly every pod of every namespace",
        ),
        (
            allow(
                peer(namespaces=labels(team="ops")),
                peer(namespaces=labels(team="lab")),
                peer(namespaces=expression("team", "DoesNotExist")),
            ),
            "every pod of every namespace",
        ),
        (
            allow(peer(namespaces=EVERYTHING, pods=expression("app", "NotIn", "gone"))),
            "every pod of every namespace",
        ),
        (
            allow(peer(namespaces=EVERYTHING, pods=expression("gone", "DoesNotExist"))),
            "every pod of every namespace",
        ),
    ],
)
def test_fails_and_names_the_policy_that_undoes_the_deny_all(
    allowing: NetworkPolicy, says: str
) -> None:
    found = findings(DENY, allowing)
    assert list(found) == ["networkpolicy/allow"]
    assert says in found["networkpolicy/allow"]
    assert "3 pods (web-5d9f-a, web-5d9f-b, job)" in found["networkpolicy/allow"]


def rule(*peers: Peer, ports: tuple[Port, ...] = ()) -> IngressRule:
    return IngressRule(peers=peers, ports=ports)


LOWER, UPPER = peer("0.0.0.0/1"), peer("128.0.0.0/1")


@pytest.mark.parametrize(
    "halves",
    [
        (rule(LOWER), rule(UPPER)),
        (rule(ports=tcp(1, 40000)), rule(ports=tcp(40001, 65535))),
        (rule(peer("0.0.0.0/0", "10.0.0.0/8")), rule(peer("10.0.0.0/9"), peer("10.128.0.0/9"))),
        (
            rule(peer(namespaces=expression("team", "Exists"))),
            rule(peer(namespaces=expression("team", "DoesNotExist"))),
        ),
    ],
)
def test_fails_and_names_both_policies_that_open_in_sum(
    halves: tuple[IngressRule, IngressRule],
) -> None:
    one, other = (
        replace(DENY, name=name, ingress=(half,))
        for name, half in zip(("one", "other"), halves, strict=True)
    )
    found = findings(DENY, one, other, allow(peer("10.0.0.0/8"), ports=tcp(443)))
    assert list(found) == ["networkpolicy/one", "networkpolicy/other"]
    assert "in on every" in found["networkpolicy/one"]
    assert (
        "port, together with other: 3 pods (web-5d9f-a, web-5d9f-b, job)"
        in (found["networkpolicy/one"])
    )
    judge(
        DENY, replace(one, selector=labels(app="web")), replace(other, selector=labels(app="job"))
    )
    assert (
        "2 pods"
        in findings(DENY, one, replace(other, selector=labels(app="web")))["networkpolicy/one"]
    )


def test_fails_and_names_a_quarter_of_the_addresses_and_the_ports_each() -> None:
    quarters = [
        replace(DENY, name=f"q{number}", ingress=(rule(of, ports=tcp(*ports)),))
        for number, (of, ports) in enumerate(
            (of, ports) for of in (LOWER, UPPER) for ports in ((1, 30000), (30001, 65535))
        )
    ]
    assert list(findings(DENY, *quarters)) == [f"networkpolicy/q{number}" for number in range(4)]
    judge(DENY, *quarters[1:])


def test_fails_and_names_an_allow_all_without_any_deny() -> None:
    assert list(findings(allow())) == ["networkpolicy/allow"]


def test_passes_when_the_allow_all_selects_no_pod_and_says_so() -> None:
    evidence = judge(DENY, replace(allow(), selector=labels(app="gone")))
    assert evidence.observations["select_no_pod"] == ["allow"]


def test_fails_and_names_the_pods_that_an_allow_all_of_egress_does_not_excuse() -> None:
    assert list(findings(replace(allow(), types=("Egress",)))) == ALL_PODS


def test_fails_and_names_pods_on_the_hosts_network() -> None:
    found = findings(DENY, pods=(WEB, replace(JOB, host_network=True)))
    assert found == {"pod/job": "is on the host's network, where no policy holds"}


def test_fails_and_names_the_controller_of_many_pods() -> None:
    many = replace(WEB, names=tuple(f"web-{number:02}" for number in range(40)))
    found = findings(pods=(many,))
    assert list(found) == ["replicaset/web-5d9f"]
    assert "40 of its pods (web-00, web-01, web-02, ...)" in found["replicaset/web-5d9f"]


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_passes_when_only_completed_pods_are_not_selected(phase: str) -> None:
    judge(replace(DENY, selector=labels(app="web")), pods=(WEB, replace(JOB, phase=phase)))


@pytest.mark.parametrize("pods", [(), (replace(JOB, phase="Succeeded"),)])
def test_is_no_pass_without_running_pods(pods: tuple[PodGroup, ...]) -> None:
    with pytest.raises(NothingExamined, match="no pod runs in the namespace shop"):
        judge(DENY, pods=pods)


def test_fails_and_names_what_cannot_be_read() -> None:
    evidence = Evidence()
    with pytest.raises(AssertionError):
        checks.test_every_pod_is_isolated_by_a_network_policy(
            NetworkPolicies(namespace="shop", items=(DENY,), unreadable=BROKEN),
            replace(SPACES, unreadable=BROKEN),
            Pods(namespace="shop", groups=(WEB,), unreadable=BROKEN),
            evidence,
        )
    assert [f.subject for f in evidence.findings] == [
        "networkpolicy/#7",
        "namespace/#7",
        "pod/#7",
    ]
