"""Which nodes count as places for the workload, and how large they are; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
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
    """Whether a node is large enough. by: `allocatable` or `capacity`, None when too small."""

    by: str | None
    says: str


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
            measured = size(node, limits.node_cpu, limits.node_memory)
        except ValueError as error:
            result.unclear[node.name] = str(error)
            continue
        if measured.by is not None:
            result.counted[node.name] = measured.by
        else:
            result.reasons[node.name] = f"is too small: {measured.says}", "node-too-small"
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


def size(node: Node, cpu: Decimal, memory: int) -> Size:
    """Compare a node with cores and bytes, by allocatable where that suffices, else by capacity.

    A machine sold with 4 cores and 8 GB allocates less, since the kubelet reserves a part.
    Raises ValueError, naming the field, for a quantity that is missing or is none.
    """
    allocatable = _amounts(node, "allocatable")
    capacity = _amounts(node, "capacity")
    says = (
        f"{node.cpu_allocatable} CPU and {node.memory_allocatable} memory allocatable, "
        f"{node.cpu_capacity} and {node.memory_capacity} capacity"
    )
    for by, (cores, size_bytes) in (("allocatable", allocatable), ("capacity", capacity)):
        if cores >= Fraction(cpu) and size_bytes >= memory:
            return Size(by, says)
    return Size(None, says)


def _amounts(node: Node, which: str) -> tuple[Fraction, Fraction]:
    amounts = []
    for resource in ("cpu", "memory"):
        # Allocatable defaults to capacity (v1 NodeStatus).
        text = getattr(node, f"{resource}_{which}") or getattr(node, f"{resource}_capacity")
        if text is None:
            raise ValueError(f"its {which} has no {resource}")
        try:
            amounts.append(parse(text))
        except ValueError as error:
            raise ValueError(f"its {which} of {resource} cannot be read: {error}") from None
    return amounts[0], amounts[1]


def _without_role_taint(node: Node) -> Node:
    kept = tuple(taint for taint in node.taints if taint.key not in _CONTROL_PLANE)
    return msgspec.structs.replace(node, taints=kept)


def _is_cordon(key: str) -> bool:
    return key == "node.kubernetes.io/unschedulable"
