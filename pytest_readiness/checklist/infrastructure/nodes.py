"""Which nodes count as places for the workload, and how large they are; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import msgspec

from pytest_readiness.targets.kubernetes.facts import Node
from pytest_readiness.targets.kubernetes.quantity import parse
from pytest_readiness.targets.kubernetes.section import Kubernetes

_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_REPELLING = ("NoSchedule", "NoExecute")  # PreferNoSchedule only makes a node the second choice
_BAD_WHEN_TRUE = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
Reason = tuple[str, str]  # in words, and its code


@dataclass(frozen=True, slots=True)
class Size:
    """Whether a node is large enough. by: `allocatable` or `capacity`, None when too small.

    reason: why it is, where it is.
    """

    by: str | None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Sorted:
    """Nodes by name: what met the size of those that count, why others do not or cannot be said.

    by_design: control planes kept free of workloads, which nobody would call broken.
    """

    counted: dict[str, str]
    by_design: dict[str, Reason]
    reasons: dict[str, Reason]
    unclear: dict[str, str]

    def not_counted(self) -> dict[str, str]:
        """Return in words why nodes do not count."""
        return {name: says for name, (says, _) in (self.by_design | self.reasons).items()}

    def to_blame(self) -> dict[str, Reason]:
        """Return the nodes to name when too few count: control planes only if nothing else."""
        return self.reasons or self.by_design


def sort_nodes(nodes: Iterable[Node], limits: Kubernetes) -> Sorted:
    """Tell the nodes that count from the others, whose size does not matter.

    A node that has just registered, or a virtual one, may say nothing of its size yet.
    """
    result = Sorted({}, {}, {}, {})
    for node in nodes:
        reason = not_for_workloads(node)
        if reason is not None:
            by_design = not_for_workloads(_without_role_taint(node)) is None
            (result.by_design if by_design else result.reasons)[node.name] = reason
            continue
        try:
            measured = size(node, limits)
        except ValueError as error:
            result.unclear[node.name] = str(error)
            continue
        if measured.by is not None:
            result.counted[node.name] = measured.by
        if measured.reason is not None:
            result.reasons[node.name] = measured.reason
    return result


def not_for_workloads(node: Node) -> Reason | None:
    """Say why a node cannot take the workload now, all reasons, or None when it can.

    The code is that of the first.
    """
    reasons = [("is cordoned", "node-cordoned")] if node.cordoned else []
    if node.deleting:
        reasons.append(("is being deleted", "node-deleting"))
    ready = node.conditions.get("Ready")
    if ready != "True":
        says = {"False": "is NotReady", None: "never said Ready"}.get(ready, "is Unknown")
        reasons.append((says, "node-not-ready"))
    bad = [name for name in _BAD_WHEN_TRUE if node.conditions.get(name) == "True"]
    reasons += [(f"has {name}", "node-pressure") for name in bad]
    # Cordoned nodes bear a taint of their own, which says nothing more.
    taints = [
        f"{taint.key}:{taint.effect}"
        for taint in node.taints
        if taint.effect in _REPELLING and not (node.cordoned and _is_cordon(taint.key))
    ]
    if taints:
        reasons.append((f"is tainted {', '.join(taints)}", "node-tainted"))
    return ("; ".join(says for says, _ in reasons), reasons[0][1]) if reasons else None


def size(node: Node, limits: Kubernetes) -> Size:
    """Compare a node with the size of the settings, by allocatable where that reaches it.

    A machine sold with 4 cores and 8 GB allocates less, since the kubelet reserves a part
    (kubeReserved, systemReserved, evictionHard). Then its capacity reaches the size, and what it
    allocates reaches the size less `max_node_reserve`. It takes pods: at least one.
    Raises ValueError, naming the field, for a quantity that is missing or is none.
    """
    allocatable, capacity = _amounts(node, "allocatable"), _amounts(node, "capacity")
    wanted = (Fraction(limits.node_cpu), Fraction(limits.node_memory))
    # A share is written in decimal: 0.2 shall be a fifth.
    left = 1 - Fraction(str(limits.max_node_reserve))
    says = (
        f"{node.cpu_allocatable} CPU and {node.memory_allocatable} memory allocatable, "
        f"{node.cpu_capacity} and {node.memory_capacity} capacity"
    )
    if _amount(node, "pods", "allocatable") < 1:
        return Size(None, (f"takes no pods: {node.pods_allocatable} allocatable", "node-no-pods"))
    if _reaches(allocatable, wanted):
        return Size("allocatable")
    if not _reaches(capacity, wanted):
        return Size(None, (f"is too small: {says}", "node-too-small"))
    if not _reaches(allocatable, (wanted[0] * left, wanted[1] * left)):
        kept = f"keeps more than {limits.max_node_reserve:.0%} of the size for itself"
        return Size(None, (f"{kept}: {says}", "node-reserves-much"))
    return Size("capacity")


def _reaches(amounts: tuple[Fraction, Fraction], wanted: tuple[Fraction, Fraction]) -> bool:
    return amounts[0] >= wanted[0] and amounts[1] >= wanted[1]


def _amounts(node: Node, which: str) -> tuple[Fraction, Fraction]:
    return _amount(node, "cpu", which), _amount(node, "memory", which)


def _amount(node: Node, resource: str, which: str) -> Fraction:
    # Allocatable defaults to capacity (v1 NodeStatus).
    text = getattr(node, f"{resource}_{which}") or getattr(node, f"{resource}_capacity")
    if text is None:
        raise ValueError(f"its {which} has no {resource}")
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"its {which} of {resource} cannot be read: {error}") from None


def _without_role_taint(node: Node) -> Node:
    kept = tuple(taint for taint in node.taints if taint.key not in _CONTROL_PLANE)
    return msgspec.structs.replace(node, taints=kept)


def _is_cordon(key: str) -> bool:
    return key == "node.kubernetes.io/unschedulable"
