"""A Kubernetes API on loopback, served from a folder of YAML.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WORLD = Path(__file__).parents[1] / "worlds" / "reference" / "kubernetes"
_NAMESPACE = "st-risk"


@contextmanager
def serve(changes: Sequence[dict[str, Any]], folder: Path) -> Iterator[Mapping[str, str]]:
    """Serve the changed world; yield the keys of [kubernetes] that find it. Raises WorldError.

    changes: see faults.py. folder: for files that clients need.
    """
    from pytest_readiness.lab.kubernetes.api import KubernetesApi, load_world
    from pytest_readiness.lab.kubernetes.faults import apply_changes

    healthy = load_world(WORLD)
    world = apply_changes(healthy, changes)
    api = KubernetesApi(
        world.objects,
        version=world.version,
        answers=world.answers,
        denies=world.denies,
        tls_dir=folder / "tls",
    )
    with api:
        yield {
            "kubeconfig": str(api.write_kubeconfig(folder / "kubeconfig", namespace=_NAMESPACE)),
            "context": "lab",
            "cluster_uid": _uid(healthy),
            "namespace": _NAMESPACE,
        }


def _uid(world: Sequence[dict[str, Any]]) -> str:
    uid: str = next(
        found["metadata"]["uid"]
        for found in world
        if (found["kind"], found["metadata"]["name"]) == ("Namespace", "kube-system")
    )
    return uid
