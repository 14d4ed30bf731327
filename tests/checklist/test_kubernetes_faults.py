"""The catalogue of Kubernetes faults: each turns exactly the items it declares."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_readiness import lab
from pytest_readiness.checklist.infrastructure import test_kubernetes as checks
from pytest_readiness.errors import ProbeError
from pytest_readiness.lab.kubernetes.api import KubernetesApi, load_world
from pytest_readiness.lab.kubernetes.faults import apply_changes
from pytest_readiness.lab.reference import load_faults
from pytest_readiness.results.evidence import Outcome
from pytest_readiness.targets.kubernetes import probe as probes
from pytest_readiness.targets.kubernetes.client import Client
from pytest_readiness.targets.kubernetes.section import Kubernetes
from tests import judging
from tests.targets.kubernetes.target import client

FOLDER = Path(lab.__file__).parent
WORLD = load_world(FOLDER / "worlds" / "reference" / "kubernetes")
CLUSTER_UID = next(
    thing["metadata"]["uid"] for thing in WORLD if thing["metadata"]["name"] == "kube-system"
)
# The check of each item, the questions it is judged on, and whether it has thresholds.
ITEMS: dict[str, tuple[Callable[..., None], tuple[str, ...], bool]] = {
    "k8s-version": (checks.test_the_version_is_new_enough_and_supported, ("version",), True),
    "k8s-connectivity": (
        checks.test_the_control_plane_and_the_services_of_the_cluster_answer,
        ("identity", "health"),
        True,
    ),
    "k8s-nodes": (checks.test_enough_nodes_are_ready_and_large_enough, ("nodes",), True),
    "k8s-storage": (
        checks.test_volumes_are_provisioned,
        ("storage_classes", "csi_drivers", "claims"),
        False,
    ),
    "k8s-network-policies": (
        checks.test_every_pod_is_isolated_by_a_network_policy,
        ("network_policies", "pods"),
        False,
    ),
}
HEALTHY = dict.fromkeys(ITEMS, Outcome.PASS)


FAULTS = load_faults(FOLDER / "faults" / "kubernetes.yaml")


class Judged(NamedTuple):
    outcomes: dict[str, Outcome]
    subjects: set[str]


def judge(changes: Sequence[dict[str, Any]], tmp_path: Path) -> Judged:
    """Ask the changed world as a run does, the identity first, and judge the five items."""
    world = apply_changes(WORLD, changes)
    limits = Kubernetes(context="lab", namespace="st-risk", cluster_uid=CLUSTER_UID)
    with KubernetesApi(
        world.objects,
        version=world.version,
        answers=world.answers,
        denies=world.denies,
        tls_dir=tmp_path / "tls",
    ) as api:
        asker = client(api, tmp_path, timeout=2, namespace="st-risk", cluster_uid=CLUSTER_UID)
        if stops(asker):
            # Not one other question was put.
            assert len(api.requests) == api.asked("/api/v1/namespaces/kube-system") <= 1
            return Judged(dict.fromkeys(ITEMS, Outcome.ERROR), set())
        judged = Judged({}, set())
        for item in ITEMS:
            judged.outcomes[item] = judge_item(item, asker, limits, judged.subjects)
        return judged


def stops(asker: Client) -> bool:
    try:
        probes.identity(asker)
    except ProbeError as error:
        return error.stops_target
    return False


def judge_item(item: str, asker: Client, limits: Kubernetes, subjects: set[str]) -> Outcome:
    check, questions, has_limits = ITEMS[item]
    asks = [getattr(probes, question) for question in questions]
    judged = judging.judge(check, asks, asker, *([limits] if has_limits else []))
    subjects |= {finding.subject for finding in judged.evidence.findings}
    return judged.outcome


def test_passes_when_the_world_is_healthy(tmp_path: Path) -> None:
    assert judge([], tmp_path) == Judged(HEALTHY, set())


@pytest.mark.parametrize("name", FAULTS)
def test_turns_exactly_the_declared_items(name: str, tmp_path: Path) -> None:
    fault = FAULTS[name]
    judged = judge(fault.changes["kubernetes"], tmp_path)
    assert judged.outcomes == HEALTHY | fault.turns
    if fault.subject is None:
        assert judged.subjects == set()
    else:
        assert fault.subject in judged.subjects


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("node-notready", "netpol-allow-all"),
        ("storage-two-defaults", "nodes-forbidden"),
        ("version-unsupported", "dns-not-ready"),
        ("netpol-no-deny", "claim-lost"),
        ("node-cordoned", "node-disk-pressure"),
    ],
)
def test_two_faults_turn_the_items_of_both(first: str, second: str, tmp_path: Path) -> None:
    faults = FAULTS[first], FAULTS[second]
    judged = judge([*faults[0].changes["kubernetes"], *faults[1].changes["kubernetes"]], tmp_path)
    assert judged.outcomes == HEALTHY | faults[0].turns | faults[1].turns
    assert {fault.subject for fault in faults} - {None} <= judged.subjects


def test_each_item_has_at_least_five_faults() -> None:
    counts = Counter(item for fault in FAULTS.values() for item in fault.turns)
    assert counts.keys() == ITEMS.keys()
    assert min(counts.values()) >= 5
