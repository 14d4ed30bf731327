"""Twenty thousand pods on a real API server, and strangers with the names of what is asked for."""

import json
import subprocess
import sys
from functools import partial

from pytest_readiness.targets.kubernetes import probe
from tests.servers.conftest import Cluster
from tests.servers.k8s_asking import client, namespace, plant
from tests.servers.k8s_client import Admin, Object
from tests.servers.kubernetes import ControlPlane
from tests.servers.programs import ROOT

CROWD = 20_000
MOST_MEMORY = 16  # MiB that Python holds at once; a page of 500 is 1 MB, all of them 33 MB
# Prints how many pods there are and differ, and how many MiB they took at most.
ASKS = """
import json, sys, tracemalloc
from pathlib import Path
from pytest_readiness.targets.kubernetes import probe
from tests.servers.k8s_asking import client, names

asked = client(Path(sys.argv[1]), timeout=60, namespace="crowd")
probe.version(asked)
tracemalloc.start()
pods = probe.pods(asked)
_, peak = tracemalloc.get_traced_memory()
found = names(pods)
print(json.dumps({"count": len(found), "different": len(set(found)), "first": found[0],
    "last": found[-1], "groups": len(pods.groups), "unreadable": len(pods.unreadable),
    "peak": peak / 2**20}))
"""
GROUP = "strangers.example.org"
STRANGERS = {"Pod": "pods", "NetworkPolicy": "networkpolicies", "Node": "nodes"}
SPECS = ("text", 7, None, [{"podSelector": 7}], {"podSelector": "all", "containers": "none"})
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def test_passes_when_twenty_thousand_pods_are_read_page_by_page(plane: ControlPlane) -> None:
    everybody = plant(plane, namespace(plane.admin, "crowd"), CROWD)
    argv = [sys.executable, "-c", ASKS, str(plane.kubeconfig)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    peak = said.pop("peak")
    assert said == {
        "count": CROWD,
        "different": CROWD,
        "first": everybody[0],
        "last": everybody[-1],
        "groups": 1,
        "unreadable": 0,
    }
    assert peak < MOST_MEMORY


def definition(kind: str, plural: str) -> Object:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": ANYTHING},
                }
            ],
        },
    }


def served(admin: Admin, path: str, _: object) -> bool:
    return admin.status(path) == 200


def facts(cluster: Cluster) -> dict[str, object]:
    asked = client(cluster.kubeconfig, namespace="strangers")
    return {
        ask.__name__: ask(asked)
        for ask in (
            probe.health,
            probe.nodes,
            probe.pods,
            probe.network_policies,
            probe.storage_classes,
            probe.csi_drivers,
            probe.claims,
        )
    }


def test_passes_when_custom_objects_of_the_same_names_are_malformed(cluster: Cluster) -> None:
    admin, group = cluster.admin, f"/apis/{GROUP}/v1"
    namespace(admin, "strangers")
    before = facts(cluster)
    definitions = [definition(kind, plural) for kind, plural in STRANGERS.items()]
    try:
        admin.apply(definitions)
        for kind, plural in STRANGERS.items():
            admin.wait("/version", partial(served, admin, f"{group}/{plural}"))
            for number, spec in enumerate(SPECS):
                thing = {
                    "apiVersion": f"{GROUP}/v1",
                    "kind": kind,
                    "metadata": {"name": f"odd-{number}"},
                    "spec": spec,
                    "status": {"phase": 7, "conditions": "none"},
                }
                admin.ask("POST", f"{group}/namespaces/strangers/{plural}", thing)
        assert facts(cluster) == before
    finally:
        for made in definitions:
            admin.delete(made)
        gone = [admin.path(made) for made in definitions]
        admin.wait("/version", lambda _: all(admin.status(path) == 404 for path in gone))
