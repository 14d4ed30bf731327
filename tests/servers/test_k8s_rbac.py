"""The project's own ClusterRoles on a real API server: enough for every question, and no more."""

import shlex
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from pytest_readiness.errors import ProbeError, ProbeErrorKind
from pytest_readiness.targets.kubernetes.client import Client
from pytest_readiness.targets.kubernetes.section import rbac
from tests.servers.conftest import Cluster
from tests.servers.k8s_asking import ASKS, client, namespace
from tests.servers.k8s_client import Admin, Object, write_kubeconfig
from tests.servers.processes import run_client
from tests.servers.programs import need
from tests.targets.kubernetes.target import refusal

RBAC = "rbac.authorization.k8s.io/v1"
SPACE = "rbac-release"
# What kubectl needs to know the groups of resources; the probe does not.
DISCOVERY: Object = {
    "apiVersion": RBAC,
    "kind": "ClusterRole",
    "metadata": {"name": "rbac-discovery"},
    "rules": [{"nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*"], "verbs": ["get"]}],
}
USER = f"system:serviceaccount:{SPACE}:reader"
# What Kubernetes gives to whoever is logged in; a hardened cluster does not.
OPEN = ("system:public-info-viewer", "system:discovery")
# Each right of the file, and the one question that needs it.
NEEDED = {
    ("readiness", "get", "/version"): "version",
    ("readiness", "get", "/readyz"): "health",
    ("readiness", "get", "namespaces"): "identity",
    ("readiness", "list", "namespaces"): "namespaces",
    ("readiness", "list", "nodes"): "nodes",
    ("readiness", "list", "services"): "health",
    ("readiness", "list", "endpointslices"): "health",
    ("readiness", "list", "storageclasses"): "storage_classes",
    ("readiness", "list", "csidrivers"): "csi_drivers",
    ("readiness-namespace", "list", "pods"): "pods",
    ("readiness-namespace", "list", "persistentvolumeclaims"): "claims",
    ("readiness-namespace", "list", "networkpolicies"): "network_policies",
}


class Reader(NamedTuple):
    """A ServiceAccount with the rights of the file. roles: the file's, as written."""

    cluster: Cluster
    client: Client
    kubeconfig: Path
    roles: list[Object]


def roles() -> list[Object]:
    return list(yaml.safe_load_all(rbac()))


def binding(kind: str, role: str, where: Object) -> Object:
    return {
        "apiVersion": RBAC,
        "kind": kind,
        "metadata": {"name": "readiness"} | where,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": SPACE}],
    }


def words(rule: Object) -> list[str]:
    found: list[str] = rule.get("resources") or rule["nonResourceURLs"]
    return found


def without(role: Object, verb: str, word: str) -> Object:
    """Return a role with one right less."""
    rules = []
    for rule in role["rules"]:
        key = "resources" if "resources" in rule else "nonResourceURLs"
        left = [it for it in rule[key] if it != word or verb not in rule["verbs"]]
        rules += [rule | {key: left}] if left else []
    return role | {"rules": rules}


def kubectl(kubeconfig: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    (program,) = need("kubectl")
    return run_client([program, "--kubeconfig", kubeconfig, *words], kubeconfig.parent, stdin)


def apply_as_printed(error: ProbeError, kubeconfig: Path, folder: Path) -> list[str]:
    """Do what the advice says: apply its ClusterRole, run its command. Return what was made."""
    said, found, role = error.advice.partition("apiVersion:")
    done = kubectl(kubeconfig, "apply", "-f", "-", stdin=found + role)
    assert done.returncode == 0, done.stderr
    (program,) = need("kubectl")
    mine = shlex.join([str(program), "--kubeconfig", str(kubeconfig)])
    script = f'kubectl() {{ {mine} "$@"; }}\n' + said.partition("\n")[2]
    made = run_client(["bash", "-c", script], folder)
    assert made.returncode == 0, made.stderr
    return [done.stdout, made.stdout]


def remove_grants(cluster: Cluster) -> None:
    """Remove whatever advice has made: all of it is named readiness-VERB-..."""
    kinds = ("clusterroles", "clusterrolebindings", "rolebindings")
    for kind in kinds:
        for thing in cluster.admin.get(f"/apis/{RBAC}/{kind}")["items"]:
            meta = thing["metadata"]
            if meta["name"].startswith(("readiness-get-", "readiness-list-")):
                space = f"namespaces/{meta['namespace']}/" if "namespace" in meta else ""
                cluster.admin.ask("DELETE", f"/apis/{RBAC}/{space}{kind}/{meta['name']}")


@pytest.fixture
def reader(cluster: Cluster, tmp_path: Path) -> Iterator[Reader]:
    """Bind the file's roles as the file says, on a cluster that gives nobody more."""
    admin = cluster.admin
    namespace(admin, SPACE)
    made: list[Object] = [
        *roles(),
        DISCOVERY,
        binding("ClusterRoleBinding", "readiness", {}),
        binding("ClusterRoleBinding", "rbac-discovery", {"name": "rbac-discovery"}),
        binding("RoleBinding", "readiness-namespace", {"namespace": SPACE}),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system"},
            "spec": {"ports": [{"port": 53}]},
        },
    ]
    paths = {name: f"/apis/{RBAC}/clusterrolebindings/{name}" for name in OPEN}
    kept = {name: admin.get(path)["subjects"] for name, path in paths.items()}
    merge = "application/merge-patch+json"
    try:
        admin.apply(made)
        for path in paths.values():
            admin.ask("PATCH", path, {"subjects": []}, merge)
        kubeconfig = write_kubeconfig(
            tmp_path / "reader",
            cluster.url,
            cluster.tls,
            user={"token": admin.token(SPACE, USER.split(":")[-1])},
        )
        uid = admin.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
        asker = client(kubeconfig, namespace=SPACE, cluster_uid=uid)
        yield Reader(cluster, asker, kubeconfig, roles())
    finally:
        for name, path in paths.items():
            admin.ask("PATCH", path, {"subjects": kept[name]}, merge)
        remove_grants(cluster)
        for thing in made:
            admin.delete(thing)
        anybody = Admin(cluster.url, cluster.tls, admin.token(SPACE, "nobody"))
        admin.wait("/version", lambda _: anybody.status("/readyz") == 200)


def answers(reader: Reader) -> dict[str, ProbeError | None]:
    found: dict[str, ProbeError | None] = {}
    for name, question in ASKS.items():
        try:
            question(reader.client)
            found[name] = None
        except ProbeError as error:
            found[name] = error
    return found


def moved_on(reader: Reader, question: str, error: ProbeError) -> bool:
    """Say whether the question no longer fails for the same reason."""
    now = answers(reader)[question]
    return now is None or now.advice != error.advice


def settled(reader: Reader, done: Callable[[], bool]) -> None:
    """Wait until the API server's authorizer has seen a change of RBAC."""
    reader.cluster.admin.wait("/version", lambda _: done())


def can(reader: Reader, verb: str, word: str) -> bool:
    """Ask the API server, as kubectl does."""
    named = "namespaces/kube-system" if (verb, word) == ("get", "namespaces") else word
    local = {"pods", "persistentvolumeclaims", "networkpolicies"}
    scope = [f"--namespace={SPACE}"] if word in local else ["--all-namespaces"]
    scope = [] if word.startswith("/") or word == "namespaces" else scope
    said = kubectl(reader.kubeconfig, "auth", "can-i", verb, named, *scope)
    return said.stdout.strip() == "yes"


def test_passes_when_every_question_is_answered_and_no_right_is_left_over(reader: Reader) -> None:
    settled(reader, lambda: not any(answers(reader).values()))
    rights = {
        (role["metadata"]["name"], verb, word)
        for role in reader.roles
        for rule in role["rules"]
        for verb in rule["verbs"]
        for word in words(rule)
    }
    assert rights == set(NEEDED)
    assert not can(reader, "list", "secrets")
    assert not can(reader, "delete", "pods")


@pytest.mark.parametrize("right", NEEDED, ids=lambda right: " ".join(right[1:]))
def test_fails_and_names_the_right_that_is_missing(
    reader: Reader, right: tuple[str, str, str], tmp_path: Path
) -> None:
    role_name, verb, word = right
    needs = NEEDED[right]
    settled(reader, lambda: not any(answers(reader).values()))
    assert can(reader, verb, word)
    role = next(it for it in reader.roles if it["metadata"]["name"] == role_name)
    reader.cluster.admin.create(without(role, verb, word))
    settled(reader, lambda: answers(reader)[needs] is not None)

    said = answers(reader)
    assert [name for name, error in said.items() if error] == [needs]
    assert not can(reader, verb, word)

    # Two rounds at most: services are listed in kube-system, then in the whole cluster.
    rounds: list[Any] = []
    while (error := said[needs]) is not None:
        assert error.kind is ProbeErrorKind.FORBIDDEN
        assert f"may not {verb} " in error.cause
        assert word in error.cause
        rounds.append(error.advice)
        assert len(rounds) <= 2, rounds
        apply_as_printed(error, reader.cluster.kubeconfig, tmp_path)
        settled(reader, partial(moved_on, reader, needs, error))
        said = answers(reader)
    assert not any(said.values())
    if word != "endpointslices":  # granted where a service is, and not in every namespace
        assert can(reader, verb, word)


def test_fails_and_names_everything_without_any_role(cluster: Cluster, tmp_path: Path) -> None:
    namespace(cluster.admin, SPACE)
    token = cluster.admin.token(SPACE, "nobody")
    nobody = client(
        write_kubeconfig(tmp_path / "k", cluster.url, cluster.tls, user={"token": token}),
        namespace=SPACE,
        cluster_uid="any",
    )
    for name, question in ASKS.items():
        if name != "version":  # public, as long as the cluster is not hardened
            assert refusal(lambda ask=question: ask(nobody)).kind is ProbeErrorKind.FORBIDDEN  # type: ignore[misc]
