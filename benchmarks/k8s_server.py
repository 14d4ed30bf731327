"""A Kubernetes API of fixed answers for the benchmark: pods, nodes, policies, paged and gzipped.

Started as `python benchmarks/k8s_server.py PODS`; prints its URL and serves until it is killed.
Everything is encoded before the first request, so what is measured is the client.
"""

import gzip
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

NAMESPACE = "bench"
NODES = 1000
PAGE = 500
APPS = 200
Object = dict[str, Any]

_FIELDS = """
    f:metadata f:labels f:ownerReferences f:spec f:containers f:env f:image f:imagePullPolicy
    f:livenessProbe f:httpGet f:path f:port f:scheme f:periodSeconds f:readinessProbe f:resources
    f:limits f:cpu f:memory f:requests f:securityContext f:allowPrivilegeEscalation f:volumeMounts
"""


def _managed_fields() -> list[Object]:
    leaf: Object = {".": {}, "f:value": {}}
    tree = {field: {f"k:{n}": leaf for n in range(4)} for field in _FIELDS.split()}
    return [
        {
            "manager": manager,
            "operation": "Update",
            "apiVersion": "v1",
            "time": "2026-11-20T10:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": tree,
        }
        for manager in ("kube-controller-manager", "kubelet")
    ]


def _container(name: str) -> Object:
    probe = {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10}
    return {
        "name": name,
        "image": f"registry.example.org/team/{name}:1.2.3",
        "env": [{"name": f"SETTING_{n}", "value": "value-of-it"} for n in range(20)],
        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}},
        "livenessProbe": probe,
        "readinessProbe": probe,
        "terminationMessagePath": "/dev/termination-log",
        "imagePullPolicy": "IfNotPresent",
    }


def pod(number: int) -> Object:
    app = f"app-{number % APPS}"
    meta = {
        "name": f"{app}-7d4b9c6f5d-{number:05d}",
        "namespace": NAMESPACE,
        "uid": f"00000000-0000-4000-8000-{number:012d}",
        "resourceVersion": str(1000 + number),
        "creationTimestamp": "2026-11-20T10:00:00Z",
        "labels": {"app": app, "pod-template-hash": "7d4b9c6f5d", "team": "risk"},
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": f"{app}-7d4b9c6f5d",
                "uid": f"00000000-0000-4000-9000-{number % APPS:012d}",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
        "managedFields": _managed_fields(),
    }
    spec = {
        "containers": [_container(app)],
        "nodeName": f"node-{number % NODES}",
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
    }
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z"}
        for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    ]
    status = {"phase": "Running", "podIP": "10.0.0.1", "conditions": conditions}
    return {"metadata": meta, "spec": spec, "status": status}


def node(number: int) -> Object:
    sizes = {"cpu": "8", "memory": "32780236Ki", "pods": "110", "ephemeral-storage": "100Gi"}
    conditions = [
        {
            "type": kind,
            "status": "True" if kind == "Ready" else "False",
            "reason": f"Kubelet{kind}",
            "message": "as the kubelet says",
            "lastHeartbeatTime": "2026-11-20T10:00:00Z",
            "lastTransitionTime": "2026-11-20T10:00:00Z",
        }
        for kind in ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
    ]
    return {
        "metadata": {
            "name": f"node-{number}",
            "labels": {"topology.kubernetes.io/zone": f"zone-{number % 3}"},
            "managedFields": _managed_fields(),
        },
        "spec": {"providerID": f"cloud://zone/{number}"},
        "status": {
            "capacity": sizes,
            "allocatable": {**sizes, "cpu": "7910m"},
            "conditions": conditions,
            "images": [
                {"names": [f"registry.example.org/team/app-{n}:1.2.3"], "sizeBytes": 10**8}
                for n in range(50)
            ],
        },
    }


def policy(number: int) -> Object:
    selector = {"matchLabels": {"app": f"app-{number}"}} if number else {}
    peer = {"podSelector": {"matchLabels": {"team": "risk"}}}
    rules = [{"from": [peer], "ports": [{"protocol": "TCP", "port": 8080}]}] if number else []
    return {
        "metadata": {"name": f"policy-{number}", "namespace": NAMESPACE},
        "spec": {"podSelector": selector, "policyTypes": ["Ingress"], "ingress": rules},
    }


def _resources(group: str, *entries: tuple[str, str, bool]) -> Object:
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group,
        "resources": [
            {"name": n, "singularName": n[:-1], "kind": k, "namespaced": ns, "verbs": ["list"]}
            for n, k, ns in entries
        ],
    }


def _discovery() -> dict[str, Object]:
    version = {"groupVersion": "networking.k8s.io/v1", "version": "v1"}
    group = {"name": "networking.k8s.io", "versions": [version], "preferredVersion": version}
    return {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/api/v1": _resources("v1", ("pods", "Pod", True), ("nodes", "Node", False)),
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]},
        "/apis/networking.k8s.io/v1": _resources(
            "networking.k8s.io/v1", ("networkpolicies", "NetworkPolicy", True)
        ),
    }


def _pages(kind: str, version: str, make: Any, count: int) -> list[bytes]:
    pages = []
    for start in range(0, count, PAGE):
        more = start + PAGE < count
        page = {
            "kind": f"{kind}List",
            "apiVersion": version,
            "metadata": {"resourceVersion": "1"}
            | ({"continue": str(start + PAGE)} if more else {}),
            # A list of the API server has neither kind nor apiVersion in its items.
            "items": [make(number) for number in range(start, min(start + PAGE, count))],
        }
        pages.append(json.dumps(page, separators=(",", ":")).encode())
    return pages


def _answers(pods: int) -> dict[str, list[tuple[bytes, bytes]]]:
    lists = {
        f"/api/v1/namespaces/{NAMESPACE}/pods": _pages("Pod", "v1", pod, pods),
        "/api/v1/nodes": _pages("Node", "v1", node, NODES),
        f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies": _pages(
            "NetworkPolicy", "networking.k8s.io/v1", policy, APPS
        ),
    }
    lists |= {path: [json.dumps(answer).encode()] for path, answer in _discovery().items()}
    return {
        path: [(page, gzip.compress(page, compresslevel=1)) for page in pages]
        for path, pages in lists.items()
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # header and body in one write
    answers: dict[str, list[tuple[bytes, bytes]]]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        pages = self.answers.get(url.path)
        if pages is None:
            self.send_error(404)
            return
        start = int(parse_qs(url.query).get("continue", ["0"])[0])
        plain, zipped = pages[start // PAGE]
        accepts = "gzip" in self.headers.get("Accept-Encoding", "")
        body = zipped if accepts else plain
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if accepts:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> None:
    Handler.answers = _answers(int(sys.argv[1]))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
