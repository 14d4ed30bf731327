"""Does the lab answer as a real Kubernetes API holding the same objects does?

The lab's world is created in kube-apiserver; then both are asked the same. What may differ is
listed below with its reason, and every line of the list must still be needed.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import urllib3

from pytest_readiness import lab
from pytest_readiness.lab.kubernetes.api import KubernetesApi, load_world
from pytest_readiness.lab.kubernetes.faults import Deny
from tests.servers.k8s_client import FIRST, Admin, Answer, Object
from tests.servers.kubernetes import ControlPlane

WORLD = Path(lab.__file__).parent / "worlds" / "reference" / "kubernetes"
READER = "system:serviceaccount:default:reader"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
# What a server gives each object anew.
FILLED_IN = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation")
AUTHORIZATION = "/apis/authorization.k8s.io/v1/selfsubject"

METRICS = "metrics.k8s.io is served by metrics-server, an add-on"
# Objects of the world that the real API does not take, or is not given -> why.
NOT_GIVEN = "APIService"
NOT_TAKEN = {
    "APIService": "the API server would ask its address, which is not of this machine",
    "NodeMetrics": METRICS,
    "PodMetrics": METRICS,
    "Service/kubernetes": "the API server makes it itself, and its address is given away",
    "Job/clickhouse-backup-29400075": "a Job's uid, which its selector holds, is the server's",
}
# Request -> how the differences begin that it may have, and why.
RULES = 'admin /apis/authorization.k8s.io/v1/selfsubjectrulesreviews {"namespace": "st-risk"}'
BOOTSTRAP = "a real administrator has the rules of the bootstrap roles beside `*`"
BUILD = "of another build of the same version"
ALLOWED: dict[str, dict[str, str]] = {
    "admin /apis": {"only in the lab: metrics.k8s.io/": METRICS},
    "admin /apis aggregated": {"only in the lab: metrics.k8s.io/": METRICS},
    "admin /version": {".git": BUILD, ".buildDate": BUILD},
    "admin /api": {".serverAddressByClientCIDRs": "an address of this machine"},
    "admin /api/v1/nodes?limit=1&continue=nonsense": {
        "message: invalid continue token: continue key is not valid: ": (
            "where the token is wrong is said by the JSON decoder, which is Go's there"
        )
    },
    RULES: {".status.resourceRules": BOOTSTRAP, ".status.nonResourceRules": BOOTSTRAP},
    "admin /apis/authentication.k8s.io/v1/selfsubjectreviews null": {
        ".status.userInfo.username": "the two certificates name their users as they like"
    },
}


class Request(NamedTuple):
    """One request. who: admin, reader (may nothing), bad (a wrong token), nobody."""

    path: str
    accept: str = "application/json"
    who: str = "admin"
    body: Object | None = None

    def __str__(self) -> str:
        form = {TABLE: " as Table", PARTIAL: " metadata", AGGREGATED: " aggregated"}
        what = "" if self.body is None else f" {json.dumps(self.body.get('spec'))}"
        return f"{self.who} {self.path}{form.get(self.accept, '')}{what}"


def review(path: str, kind: str, spec: Object | None, who: str = "admin") -> Request:
    group = path.split("/")[2]
    body: Object = {"apiVersion": f"{group}/v1", "kind": kind, "spec": spec}
    return Request(path, who=who, body=body)


class Got(NamedTuple):
    status: int
    body: Any


class Side:
    """One of the two APIs, asked as each of the users."""

    def __init__(self, url: str, ca: Path, admin: Admin, token: str) -> None:
        self._url = url
        self._admin = admin
        self._pool = urllib3.PoolManager(retries=False, timeout=30, ca_certs=str(ca))
        self._tokens = {"reader": token, "bad": "bad"}

    def ask(self, request: Request) -> Got:
        headers = {"Accept": request.accept}
        method = "GET" if request.body is None else "POST"
        if request.who == "admin":
            answer = self._admin.raw(method, request.path, request.body, headers=headers)
        else:
            if request.who in self._tokens:
                headers["Authorization"] = f"Bearer {self._tokens[request.who]}"
            answer = self._pool.request(
                method, self._url + request.path, headers=headers, json=request.body
            )
        is_json = "json" in answer.headers.get("content-type", "")
        return Got(answer.status, json.loads(answer.data) if is_json else answer.data.decode())


RISK = "/api/v1/namespaces/st-risk"
LISTS = (
    "/api/v1/nodes",
    "/api/v1/pods",
    "/api/v1/namespaces",
    "/api/v1/persistentvolumes",
    f"{RISK}/persistentvolumeclaims",
    f"{RISK}/pods",
    f"{RISK}/services",
    f"{RISK}/secrets",
    f"{RISK}/configmaps",
    f"{RISK}/resourcequotas",
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/statefulsets",
    "/apis/apps/v1/daemonsets",
    "/apis/apps/v1/replicasets",
    "/apis/batch/v1/cronjobs",
    "/apis/networking.k8s.io/v1/networkpolicies",
    "/apis/networking.k8s.io/v1/ingresses",
    "/apis/policy/v1/poddisruptionbudgets",
    "/apis/autoscaling/v2/horizontalpodautoscalers",
    "/apis/storage.k8s.io/v1/storageclasses",
    "/apis/discovery.k8s.io/v1/endpointslices",
    "/apis/cert-manager.io/v1/certificates",
)
SELECTED = (
    "labelSelector=app.kubernetes.io/component=api",
    "labelSelector=app.kubernetes.io/component!=api",
    f"labelSelector={quote('app.kubernetes.io/component in (api, worker)')}",
    f"labelSelector={quote('app.kubernetes.io/component notin (api)')}",
    "labelSelector=app.kubernetes.io/component",
    "labelSelector=!app.kubernetes.io/component",
    "fieldSelector=spec.nodeName=n3",
    "fieldSelector=status.phase!=Running",
    "fieldSelector=metadata.namespace=st-risk,status.phase=Running",
    "limit=3",
    "limit=1000",
    "limit=3&labelSelector=app.kubernetes.io/component",
)
ERRORS = (
    "/nope",
    "/apis/no.such/v1/things",
    "/api/v1/nothing",
    "/api/v1/nodes/none",
    f"{RISK}/pods/none",
    "/apis/apps/v1/namespaces/st-risk/deployments/none",
    "/apis/apps/v1/deployments/none",
    "/api/v1/nodes?labelSelector=a%20b",
    "/api/v1/nodes?fieldSelector=spec.no=1",
    "/api/v1/pods?fieldSelector=nothing",
    "/api/v1/nodes?limit=many",
    "/api/v1/nodes?limit=1&continue=nonsense",
)
ANONYMOUS = (
    "/readyz",
    "/livez",
    "/healthz",
    "/api",
    "/nope",
    "/api/v1/nodes",
    "/api/v1/nodes/n1",
    f"{RISK}/pods/none",
    "/api/v1/pods?watch=1",
)
GROUPS = ("/api/v1", "/apis/apps/v1", "/apis/batch/v1", "/apis/storage.k8s.io/v1")
PAGED = ("/api/v1/pods?limit=7", f"{RISK}/pods?limit=3&labelSelector=app.kubernetes.io/component")
ACCESS = f"{AUTHORIZATION}accessreviews"
ASKED = (
    *(Request(path) for path in LISTS),
    *(Request(path, TABLE) for path in LISTS),
    *(Request(f"/api/v1/pods?{query}") for query in SELECTED),
    *(Request(path, PARTIAL) for path in LISTS[:3]),
    *(Request(path) for path in ("/api", "/readyz", "/livez", "/healthz")),
    *(Request(path) for path in GROUPS),
    Request("/apis"),
    Request("/api", AGGREGATED),
    Request("/apis", AGGREGATED),
    Request("/version"),
    *(Request(path) for path in ERRORS),
    Request("/api/v1/nodes", who="reader"),
    Request("/api/v1/nodes/n1", who="reader"),
    Request("/api/v1/namespaces/st-risk", who="reader"),
    Request("/apis/apps/v1/namespaces/st-risk/deployments", who="reader"),
    Request("/apis/apps/v1/namespaces/st-risk/deployments/st-risk-api", who="reader"),
    *(Request(path, who="nobody") for path in ANONYMOUS),
    Request("/api/v1/nodes", who="bad"),
    Request("/version", who="bad"),
    review(
        ACCESS,
        "SelfSubjectAccessReview",
        {"resourceAttributes": {"verb": "list", "resource": "nodes"}},
    ),
    review(
        ACCESS,
        "SelfSubjectAccessReview",
        {"nonResourceAttributes": {"path": "/readyz", "verb": "get"}},
    ),
    review(f"{AUTHORIZATION}rulesreviews", "SelfSubjectRulesReview", {"namespace": "st-risk"}),
    review("/apis/authentication.k8s.io/v1/selfsubjectreviews", "SelfSubjectReview", None),
)


@contextmanager
def lab_side(world: list[Object], tls: Path, denies: Sequence[Deny] = ()) -> Iterator[Side]:
    with KubernetesApi(world, tls_dir=tls, tokens={"good": READER}, denies=denies) as api:
        files = api._tls
        assert files is not None
        yield Side(api.url, files.ca, Admin(api.url, files), "good")


def create(admin: Admin, world: list[Object]) -> set[str]:
    """Create the objects of a world; return which are refused, as NOT_TAKEN names them."""
    refused = set()
    # A quota counts pods until a controller has seen that they are done.
    order = {kind: 0 for kind in FIRST} | {"ResourceQuota": 2}
    for thing in sorted(world, key=lambda it: order.get(it["kind"], 1)):
        try:
            if thing["kind"] != NOT_GIVEN:
                admin.create(thing)
                continue
            refused.add(NOT_GIVEN)
        except Answer:
            of_kind = thing["kind"] in NOT_TAKEN
            kind = thing["kind"]
            refused.add(kind if of_kind else f"{kind}/{thing['metadata']['name']}")
    return refused


def differences(ours: Got, real: Got) -> Iterator[str]:
    """Name what the lab answers otherwise; what a real server adds to an object is none."""
    if ours.status != real.status:
        yield f"status: {ours.status}, really {real.status}"
        return
    left, right = ours.body, real.body
    if not isinstance(left, dict) or not isinstance(right, dict):
        if left != right:
            yield f"text: {left!r}, really {right!r}"
        return
    for key in ("kind", "apiVersion"):
        if left.get(key) != right.get(key):
            yield f"{key}: {left.get(key)}, really {right.get(key)}"
    if left.get("kind") == "Status":
        for key in ("reason", "message", "details", "code", "status"):
            if left.get(key) != right.get(key):
                yield f"{key}: {left.get(key)}, really {right.get(key)}"
    elif left.get("kind") == "Table":
        yield from of_table(left, right)
    elif (kind := str(left.get("kind"))) in SERVED:
        yield from of_discovery(SERVED[kind](left), SERVED[kind](right))
    elif "items" in left:
        yield from of_list(left, right)
    else:
        yield from contained(left, right, "")


def of_table(left: Any, right: Any) -> Iterator[str]:
    for key in ("name", "priority", "format"):
        columns = [[it[key] for it in table["columnDefinitions"]] for table in (left, right)]
        if columns[0] != columns[1]:
            yield f"column {key}: {columns[0]}, really {columns[1]}"
    yield from same_order(*([row["cells"][0] for row in it["rows"]] for it in (left, right)))


def of_list(left: Any, right: Any) -> Iterator[str]:
    keyed: list[dict[str, Any]] = [
        {name_of(it): it for it in side["items"]} for side in (left, right)
    ]
    yield from same_order(list(keyed[0]), list(keyed[1]))
    for name in keyed[0]:
        if name in keyed[1]:
            yield from contained(keyed[0][name], keyed[1][name], name)
    ends = [
        (bool(it["metadata"].get("continue")), it["metadata"].get("remainingItemCount"))
        for it in (left, right)
    ]
    if ends[0] != ends[1]:
        yield f"(continues, remaining): {ends[0]}, really {ends[1]}"


def of_discovery(left: dict[str, Any], right: dict[str, Any]) -> Iterator[str]:
    """Name what the lab claims to serve and a real API does not, or serves otherwise."""
    for name, ours in left.items():
        if name not in right:
            yield f"only in the lab: {name}"
            continue
        verbs = set(ours.pop("verbs", ())) - set(right[name].pop("verbs", ()))
        if verbs:
            yield f"{name}: only in the lab: {sorted(verbs)}"
        yield from contained(ours, right[name], name)


def resources(body: Any) -> dict[str, Any]:
    return {it["name"]: it for it in body["resources"]}


def groups(body: Any) -> dict[str, Any]:
    return {
        version["groupVersion"]: {"preferred": group["preferredVersion"]["version"]}
        for group in body["groups"]
        for version in group["versions"]
    }


def aggregated(body: Any) -> dict[str, Any]:
    return {
        f"{group['metadata'].get('name', '')}/{version['version']}/{it['resource']}": {
            key: value for key, value in it.items() if key != "subresources"
        }
        for group in body["items"]
        for version in group["versions"]
        for it in version.get("resources", ())
    }


SERVED = {
    "APIResourceList": resources,
    "APIGroupList": groups,
    "APIGroupDiscoveryList": aggregated,
}


def pages(side: Side, path: str) -> list[tuple[list[str], int | None]]:
    """Return what each page of a list holds, and how many it says are left."""
    found, more = [], ""
    while True:
        body = side.ask(Request(f"{path}{more}")).body
        metadata = body["metadata"]
        found.append(([name_of(it) for it in body["items"]], metadata.get("remainingItemCount")))
        if not metadata.get("continue"):
            return found
        more = f"&continue={quote(metadata['continue'])}"


def name_of(item: Any) -> str:
    metadata = item["metadata"]
    return "/".join(filter(None, (metadata.get("namespace"), metadata.get("name", ""))))


def same_order(left: list[str], right: list[str]) -> Iterator[str]:
    for name in left:
        if name not in right:
            yield f"only in the lab: {name}"
    for name in right:
        if name not in left:
            yield f"only real: {name}"
    if [it for it in left if it in right] != [it for it in right if it in left]:
        yield "another order"


def contained(left: Any, right: Any, where: str) -> Iterator[str]:
    """Name what of the lab's object the real one has not."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key, value in left.items():
            if key not in FILLED_IN:
                yield from contained(value, right.get(key), f"{where}.{key}")
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for number, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from contained(one, other, f"{where}[{number}]")
    elif left != right and (left or right):  # nothing is left out or empty, as a kind has it
        yield f"{where}: {left!r}, really {right!r}"


def test_lab_answers_as_the_real_api(plane: ControlPlane, tmp_path: Path) -> None:
    world = load_world(WORLD)
    assert create(plane.admin, world) == set(NOT_TAKEN)
    token = plane.admin.token("default", "reader")
    real = Side(plane.url, plane.tls.ca, plane.admin, token)
    nothing = [Deny(verb="*", resource="*", group="*")]
    with lab_side(world, tmp_path / "lab") as ours, lab_side(world, tmp_path / "no", nothing) as no:
        found = {
            str(it): list(differences((no if it.who == "reader" else ours).ask(it), real.ask(it)))
            for it in ASKED
        }
        for path in PAGED:
            assert pages(ours, path) == pages(real, path)
    unlike = {
        request: more
        for request, lines in found.items()
        if (more := [it for it in lines if not it.startswith(tuple(ALLOWED.get(request, {})))])
    }
    assert not unlike, json.dumps(unlike, indent=1)
    unused = {
        request: gone
        for request, lines in ALLOWED.items()
        if (gone := [it for it in lines if not any(x.startswith(it) for x in found[request])])
    }
    assert not unused, f"these are alike now: {json.dumps(unused, indent=1)}"
