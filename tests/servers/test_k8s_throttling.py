"""An API server that turns away who asks too much: priority and fairness, on the real one."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_readiness.errors import ProbeErrorKind
from pytest_readiness.targets.kubernetes import probe
from tests.servers.k8s_asking import before, client, namespace, plant
from tests.servers.k8s_client import Admin, Object, write_kubeconfig
from tests.servers.kubernetes import HOST, ControlPlane, control_plane
from tests.servers.programs import need
from tests.targets.kubernetes.target import refusal

GROUP = "flowcontrol.apiserver.k8s.io/v1"
NOWHERE = "throttled"
EVERYTHING = [
    {
        "verbs": ["*"],
        "apiGroups": ["*"],
        "resources": ["*"],
        "clusterScope": True,
        "namespaces": ["*"],
    }
]
READER = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRoleBinding",
    "metadata": {"name": NOWHERE},
    "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "cluster-admin",
    },
    "subjects": [{"kind": "ServiceAccount", "name": "guest", "namespace": NOWHERE}],
}


def flow(shares: int) -> list[Object]:
    """Return level and schema that give an account so many shares, and reject what is more.

    Without any share a request is let in when no other one runs.
    """
    level = {
        "nominalConcurrencyShares": shares,
        "lendablePercent": 0,
        "borrowingLimitPercent": 0,
        "limitResponse": {"type": "Reject"},
    }
    account = {"name": "guest", "namespace": NOWHERE}
    rule = {
        "subjects": [{"kind": "ServiceAccount", "serviceAccount": account}],
        "resourceRules": EVERYTHING,
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    }
    return [
        {
            "apiVersion": GROUP,
            "kind": "PriorityLevelConfiguration",
            "metadata": {"name": NOWHERE},
            "spec": {"type": "Limited", "limited": level},
        },
        {
            "apiVersion": GROUP,
            "kind": "FlowSchema",
            "metadata": {"name": NOWHERE},
            "spec": {
                "priorityLevelConfiguration": {"name": NOWHERE},
                "matchingPrecedence": 500,
                "distinguisherMethod": {"type": "ByUser"},
                "rules": [rule],
            },
        },
    ]


class Guest:
    """An account that may ask one thing at a time, and whose one request is not over."""

    def __init__(self, plane: ControlPlane, kubeconfig: Path) -> None:
        token = plane.admin.token(NOWHERE, "guest")
        self.kubeconfig = write_kubeconfig(kubeconfig, plane.url, plane.tls, user={"token": token})
        self._admin = plane.admin
        self._asks = Admin(plane.url, plane.tls, token)
        # It may come while a request before it is not quite over, and be rejected itself.
        plane.admin.wait("/version", lambda _: self._hold(plane, token), 20)
        self._until(429)

    def _hold(self, plane: ControlPlane, token: str) -> bool:
        """Ask for more than the sockets hold and read none of it: the server goes on writing."""
        context = ssl.create_default_context(cafile=str(plane.tls.ca))
        port = int(plane.url.rpartition(":")[2])
        self._reads = context.wrap_socket(
            socket.create_connection((HOST, port)), server_hostname=HOST
        )
        request = (
            f"GET /api/v1/namespaces/{NOWHERE}/pods HTTP/1.1",
            f"Host: {HOST}",
            f"Authorization: Bearer {token}",
        )
        self._reads.sendall("\r\n".join((*request, "", "")).encode())
        held = self._reads.recv(12) == b"HTTP/1.1 200"
        if not held:
            self._reads.close()
        return held

    def let_in(self) -> None:
        """End the request, and return once the server has noticed."""
        self._reads.close()
        self._until(200)

    def _until(self, status: int) -> None:
        self._admin.wait("/version", lambda _: self._asks.status("/version") == status, 20)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Return a plane with a list of many megabytes, and one seat for those who ask as guest."""
    need("etcd", "kube-apiserver")
    with control_plane(tmp_path_factory.mktemp("narrow")) as plane:
        plant(plane, namespace(plane.admin, NOWHERE), 10_000)
        plane.admin.apply([READER, *flow(0)])
        yield plane


@pytest.fixture
def guest(narrow: ControlPlane, tmp_path: Path) -> Iterator[Guest]:
    rejected = Guest(narrow, tmp_path / "guest")
    yield rejected
    rejected.let_in()


def test_passes_when_a_rejected_request_is_let_in_after_its_pause(guest: Guest) -> None:
    asked = client(guest.kubeconfig)
    before(asked, 2, lambda url: guest.let_in())
    assert probe.version(asked).git_version == "v1.36.3"


def test_fails_and_names_a_server_that_rejects_every_request(guest: Guest) -> None:
    error = refusal(lambda: probe.version(client(guest.kubeconfig)))
    assert (error.kind, error.stops_target) == (ProbeErrorKind.THROTTLED, False)
    assert error.cause == "HTTP 429; it asks to wait 1 s"
    assert "FlowSchema" in error.advice


def test_fails_and_names_a_pause_that_is_longer_than_the_time_left(guest: Guest) -> None:
    error = refusal(lambda: probe.version(client(guest.kubeconfig, timeout=0.9)))
    assert error.kind is ProbeErrorKind.THROTTLED
