"""Whether the API server is ready, and the cluster's own services have endpoints.

PYTEST_DONT_REWRITE
"""

import re

from pytest_readiness.targets.kubernetes import errors
from pytest_readiness.targets.kubernetes import wire as k8s_wire
from pytest_readiness.targets.kubernetes.client import Question
from pytest_readiness.targets.kubernetes.errors import Right
from pytest_readiness.targets.kubernetes.facts import ClusterService, Unreadable
from pytest_readiness.targets.kubernetes.lists import collect

_SYSTEM = "kube-system"
# `ok`, or with ?verbose a line a check and the last one below (apiserver pkg/server/healthz).
_READY = re.compile(rb"\A\s*ok\s*\Z|check passed\s*\Z")
_FAILED = re.compile(r"^\[-\](\S+)", re.MULTILINE)
# The cluster's own services: those of kube-system as `kubectl cluster-info` has them, and ingress
# controllers wherever they are, by the label their charts give (app.kubernetes.io/name).
_CLUSTER_SERVICE = "kubernetes.io/cluster-service"
_NAME = "app.kubernetes.io/name"
_DNS = {"kube-dns", "coredns"}
_INGRESS = (
    "contour",
    "haproxy-ingress",
    "ingress-nginx",
    "kong",
    "kubernetes-ingress",
    "nginx-ingress",
    "traefik",
)
Services = list[k8s_wire.ServiceW]


def ready(question: Question) -> tuple[str, tuple[str, ...]]:
    """Return the endpoint that answered, /readyz or else /healthz, and its failing checks."""
    for endpoint in ("/readyz", "/healthz"):
        right = Right("get", url=endpoint)
        status, body = question.get(endpoint, right=right)
        if status == 200:
            if not _READY.search(body):
                raise question.asked.malformed(f"{endpoint} answers 200 and does not say ok")
            return endpoint, ()
        failing = tuple(_FAILED.findall(body.decode("utf-8", "replace"))[:50])
        if failing:
            return endpoint, failing
        if status != 404 or endpoint == "/healthz":
            raise errors.of_status(question.needing(right), status, body, None)
    raise AssertionError("unreachable: /healthz returns or raises")


def cluster_services(
    question: Question,
) -> tuple[tuple[ClusterService, ...], tuple[Unreadable, ...]]:
    """Return the cluster's own services with the count of their endpoints."""
    unreadable: list[Unreadable] = []
    services = _services(question, unreadable)
    slices = {
        namespace: _slices(question, namespace, unreadable)
        for namespace in sorted({service.metadata.namespace for service in services})
    }
    counted = (_with_endpoints(s, slices[s.metadata.namespace]) for s in services)
    return tuple(counted), tuple(unreadable)


def _services(question: Question, unreadable: list[Unreadable]) -> Services:
    found: dict[tuple[str, str], k8s_wire.ServiceW] = {}
    for path, labels, right in (
        (f"/api/v1/namespaces/{_SYSTEM}/services", None, Right("list", "services", "", _SYSTEM)),
        ("/api/v1/services", f"{_NAME} in ({','.join(_INGRESS)})", Right("list", "services")),
    ):
        wires, bad = collect(
            question, path, k8s_wire.ServiceW, lambda wire: wire, labels=labels, right=right
        )
        ours = (wire for wire in wires if labels is not None or _is_clusters(wire))
        found |= {
            (wire.metadata.namespace, wire.metadata.name): wire
            for wire in ours
            if wire.spec.type != "ExternalName"  # it has no endpoints by design
        }
        unreadable += [Unreadable(name=f"service/{b.name}", problem=b.problem) for b in bad]
    return list(found.values())


def _slices(
    question: Question, namespace: str, unreadable: list[Unreadable]
) -> tuple[tuple[str, int, int], ...]:
    slices, bad = collect(
        question,
        f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
        k8s_wire.SliceW,
        _counted,
        right=Right("list", "endpointslices", "discovery.k8s.io", namespace),
    )
    unreadable += [Unreadable(name=f"endpointslice/{b.name}", problem=b.problem) for b in bad]
    return slices


def _counted(wire: k8s_wire.SliceW) -> tuple[str, int, int]:
    """Return service name, ready and other endpoints of a slice; ready unset means ready."""
    conditions = [endpoint.conditions for endpoint in wire.endpoints or ()]
    answering = sum(c is None or c.ready is not False for c in conditions)
    name = (wire.metadata.labels or {}).get("kubernetes.io/service-name", "")
    return name, answering, len(conditions) - answering


def _is_clusters(service: k8s_wire.ServiceW) -> bool:
    labels = service.metadata.labels or {}
    return labels.get(_CLUSTER_SERVICE) == "true" or _is_dns(service)


def _is_dns(service: k8s_wire.ServiceW) -> bool:
    labels = service.metadata.labels or {}
    named = {service.metadata.name, labels.get("k8s-app"), labels.get(_NAME)}
    return service.metadata.namespace == _SYSTEM and bool(named & _DNS)


def _with_endpoints(
    service: k8s_wire.ServiceW, slices: tuple[tuple[str, int, int], ...]
) -> ClusterService:
    name = service.metadata.name
    mine = [(answering, others) for of, answering, others in slices if of == name]
    return ClusterService(
        namespace=service.metadata.namespace,
        name=name,
        dns=_is_dns(service),
        ready=sum(answering for answering, _ in mine),
        not_ready=sum(others for _, others in mine),
    )
