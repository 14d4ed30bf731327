"""A Kubernetes API server, as the fault matrix asks it."""

import json

from pytest_readiness.settings import Settings
from tests.servers.fault_servers import Answer, Request
from tests.servers.fault_targets import TIMEOUT, FaultTarget, Place
from tests.targets.kubernetes import target


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _kubernetes(place: Place) -> Settings:
    path = place.folder / f"kubeconfig-{place.port}"
    ca = {"certificate-authority": str(place.ca)}
    target.kubeconfig(path, place.url, cluster=ca, user={"token": "t"})
    return target.settings(path, TIMEOUT, cluster_uid="uid-1")


_META = {"name": "one", "namespace": "kube-system", "uid": "uid-1"}
_OBJECTS = {
    "/services": {"metadata": {**_META, "labels": {"k8s-app": "kube-dns"}}},
    "/storageclasses": {"metadata": _META, "provisioner": "csi.example.org"},
}
_ENDLESS = (b'{"kind":"List","metadata":{},"items":[', _json({"metadata": _META}) + b",")


def _api_server(request: Request) -> Answer:
    path = request.path.partition("?")[0]
    if path in ("/readyz", "/healthz"):
        return Answer(b"ok", (b"", b"[+]ping ok\n"))
    if path == "/version":
        return Answer(_json({"gitVersion": "v1.36.3"}), _ENDLESS)
    if path.endswith("/namespaces/kube-system"):
        return Answer(_json({"metadata": _META}), _ENDLESS)
    item = next((o for end, o in _OBJECTS.items() if path.endswith(end)), {"metadata": _META})
    return Answer(_json({"kind": "List", "metadata": {}, "items": [item]}), _ENDLESS)


def _api_words(status: int) -> bytes:
    message = {
        401: "Unauthorized",
        403: 'forbidden: User "reader" cannot do this',
        404: "the server could not find the requested resource",
        429: "too many requests, please try again later",
        500: "etcdserver: request timed out",
        503: "apiserver is shutting down",
    }[status]
    return _json({"kind": "Status", "apiVersion": "v1", "message": message, "code": status})


TARGETS = (
    FaultTarget(
        name="kubernetes",
        scheme="https",
        settings=_kubernetes,
        answer=_api_server,
        words=_api_words,
        asks={
            "k8s_identity": ("/namespaces/kube-system ",),
            "k8s_version": ("/version",),
            "k8s_health": (
                "/(readyz|healthz)",
                "/namespaces/kube-system/services",
                "/v1/services",
                "/endpointslices",
            ),
            "k8s_nodes": ("/nodes",),
            "k8s_storage_classes": ("/storageclasses",),
            "k8s_csi_drivers": ("/csidrivers",),
            "k8s_claims": ("/persistentvolumeclaims",),
            "k8s_network_policies": ("/networkpolicies",),
            "k8s_namespaces": (r"/v1/namespaces\?",),
            "k8s_pods": ("/pods",),
        },
    ),
)
