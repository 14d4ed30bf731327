"""What NetworkPolicies do to the pods they select; pure, and for ingress alone.

Source of the rules: networking.k8s.io/v1 NetworkPolicySpec. A pod is isolated when any policy of
its namespace selects it; what is let in is the union of the rules of all that select it (see
targets/kubernetes/reach.py, and openness.py for what counts as open).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from pytest_readiness.checklist.infrastructure.openness import opening, strangers
from pytest_readiness.targets.kubernetes.facts import Namespace, NetworkPolicy, PodGroup
from pytest_readiness.targets.kubernetes.reach import Entry, Pod, admitted, entries, selects

Found = tuple[str, str, str]  # subject, problem, its code
COMPLETED = ("Succeeded", "Failed")  # phases of pods that take no connections any more
_MANY = 10  # more pods than this with one fault and one controller are named by the controller


def isolates_ingress(policy: NetworkPolicy) -> bool:
    """Tell whether the policy is about ingress: it is, unless policyTypes is given without it."""
    return not policy.types or "Ingress" in policy.types


def selected(policy: NetworkPolicy, pods: Iterable[PodGroup]) -> list[PodGroup]:
    """Return the pods that the policy selects; those of other namespaces are not among them."""
    return [group for group in pods if selects(policy.selector, group.labels)]


def not_isolated(
    policies: Iterable[NetworkPolicy], pods: Iterable[PodGroup], namespaces: Iterable[Namespace]
) -> Iterator[Found]:
    """Yield each pod that is not isolated, and each policy that opens some, alone or with others.

    policies: those for ingress, of the pods' namespace. namespaces: all that exist.
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
    own = next((policy.namespace for policy in policies), "")
    yield from _opened(policies, governed, strangers(namespaces, own))


def _opened(
    policies: Sequence[NetworkPolicy], pods: Sequence[PodGroup], outside: Sequence[Pod]
) -> Iterator[Found]:
    """Yield the policies that undo every other: those open by themselves, then those in sum.

    A policy that is open by itself is left out of the sums, or it would be named with each other.
    """
    let_in = {policy.name: entries(policy, outside) for policy in policies}
    shut = []
    for policy in policies:
        said = opening(admitted(let_in[policy.name]), outside)
        if said is None:
            shut.append(policy)
            continue
        names = [name for group in selected(policy, pods) for name in group.names]
        if names:
            yield f"networkpolicy/{policy.name}", f"{said}: {_count(names)}", "policy-open"
    together: dict[tuple[str, ...], list[str]] = {}
    for group in pods:
        mine = [p.name for p in shut if selects(p.selector, group.labels)]
        together.setdefault(tuple(mine), []).extend(group.names)
    sums: dict[tuple[str, ...], list[str]] = {}
    for several, names in together.items():
        least = _least(several, let_in, outside)
        if least:
            sums.setdefault(least, []).extend(names)
    for least, names in sums.items():
        said = _in_sum(least, let_in, outside)
        for name in least:
            others = ", ".join(other for other in least if other != name)
            problem = f"{said}, together with {others}: {_count(names)}"
            yield f"networkpolicy/{name}", problem, "policy-open"


def _least(
    several: tuple[str, ...], let_in: dict[str, tuple[Entry, ...]], outside: Sequence[Pod]
) -> tuple[str, ...]:
    """Return those of the policies without any of which the rest is shut; none if all are shut."""
    if _in_sum(several, let_in, outside) is None:
        return ()
    least = several
    for name in several:  # once each: what is needed for more stays needed for less
        fewer = tuple(other for other in least if other != name)
        if _in_sum(fewer, let_in, outside) is not None:
            least = fewer
    return least


def _in_sum(
    several: Iterable[str], let_in: dict[str, tuple[Entry, ...]], outside: Sequence[Pod]
) -> str | None:
    entries_of_all = chain.from_iterable(let_in[name] for name in several)
    return opening(admitted(entries_of_all), outside)


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


def _count(names: Sequence[str]) -> str:
    return f"{len(names)} pods ({_some(names)})"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
