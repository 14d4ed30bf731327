"""Who asks a real API server, and what it says to those it does not know or does not let.

Certificates, ServiceAccount tokens, exec plugins, trust and RBAC, through the probe's questions.
"""

import base64
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from pytest_readiness.errors import ProbeErrorKind
from pytest_readiness.lab.tls import TlsFiles, write_tls
from pytest_readiness.targets.kubernetes import probe
from tests.servers.conftest import Cluster
from tests.servers.k8s_asking import ASKS, client, namespace
from tests.servers.k8s_client import Object, write_kubeconfig
from tests.targets.kubernetes.target import refusal

EXEC: Object = {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never"}
GUESTS = "transport"
# What the question asks for first, in the words of the API server.
REFUSED = {
    "health": 'services is forbidden: User "system:serviceaccount:transport:guest" cannot list '
    'resource "services" in API group "" in the namespace "kube-system"',
    "nodes": 'nodes is forbidden: User "system:serviceaccount:transport:guest" cannot list '
    'resource "nodes" in API group "" at the cluster scope',
    "storage_classes": 'cannot list resource "storageclasses" in API group "storage.k8s.io" at '
    "the cluster scope",
    "csi_drivers": 'cannot list resource "csidrivers" in API group "storage.k8s.io" at the '
    "cluster scope",
    "claims": 'cannot list resource "persistentvolumeclaims" in API group "" in the namespace '
    '"transport"',
    "pods": 'cannot list resource "pods" in API group "" in the namespace "transport"',
    "network_policies": 'cannot list resource "networkpolicies" in API group "networking.k8s.io"',
}


def login(cluster: Cluster, tmp_path: Path, user: Object, tls: TlsFiles | None = None) -> Path:
    return write_kubeconfig(tmp_path / "login", cluster.url, tls or cluster.tls, user=user)


def plugin(tmp_path: Path, status: Object) -> Object:
    said = tmp_path / "credential.json"
    version = EXEC["apiVersion"]
    said.write_text(json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status}))
    return {"exec": EXEC | {"command": "cat", "args": [str(said)]}}


def expired(token: str, key_file: Path) -> str:
    """Return the token as it would be an hour after its end, signed by the server's key."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    def plain(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    header, claims, _ = token.split(".")
    told: Any = json.loads(base64.urlsafe_b64decode(claims + "=="))
    end = int(time.time()) - 3600
    past = {"iat": end - 600, "nbf": end - 600, "exp": end}
    signed = f"{header}.{plain(json.dumps(told | past).encode())}"
    key = load_pem_private_key(key_file.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = utils.decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{plain(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


@pytest.fixture
def uid(cluster: Cluster) -> str:
    """Return the UID of the cluster."""
    found: str = cluster.admin.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    return found


@pytest.fixture
def token(cluster: Cluster) -> str:
    """Return a token of an account that may read the version and its own namespace's name."""
    return cluster.admin.token(namespace(cluster.admin, GUESTS), "guest")


class TestLogin:
    def test_passes_when_a_client_certificate_is_known(self, cluster: Cluster, uid: str) -> None:
        asked = client(cluster.kubeconfig, cluster_uid=uid)
        answer = probe.identity(asked)
        assert (answer.uid, answer.server, answer.tls_verified) == (uid, cluster.url, True)

    def test_passes_when_the_certificate_stands_in_the_kubeconfig(
        self, cluster: Cluster, tmp_path: Path, uid: str
    ) -> None:
        texts = {
            "client-certificate-data": cluster.tls.client_certificate,
            "client-key-data": cluster.tls.client_key,
        }
        user = {key: base64.b64encode(it.read_bytes()).decode() for key, it in texts.items()}
        assert probe.identity(client(login(cluster, tmp_path, user))).uid == uid

    def test_passes_when_a_token_of_a_service_account_is_known(
        self, cluster: Cluster, tmp_path: Path, token: str
    ) -> None:
        asked = client(login(cluster, tmp_path, {"token": token}))
        assert probe.version(asked).git_version == "v1.36.3"
        assert asked.secrets == (token,)

    def test_passes_when_the_token_lies_in_a_file(
        self, cluster: Cluster, tmp_path: Path, token: str
    ) -> None:
        file = tmp_path / "token"
        file.write_text(token + "\n")
        asked = client(login(cluster, tmp_path, {"tokenFile": str(file)}))
        assert "system:serviceaccount:transport:guest" in refusal(lambda: probe.nodes(asked)).cause

    @pytest.mark.parametrize("user", [{"token": "nobody-gave-this"}, {}], ids=["unknown", "none"])
    def test_fails_and_names_credentials_that_the_server_does_not_know(
        self, cluster: Cluster, tmp_path: Path, user: Object
    ) -> None:
        asked = client(login(cluster, tmp_path, user))
        error = refusal(lambda: probe.nodes(asked))
        assert (error.kind, error.stops_target) == (ProbeErrorKind.UNAUTHORIZED, True)
        assert error.cause.startswith("HTTP 40")
        assert "nobody-gave-this" not in str(error) + error.advice

    def test_fails_and_names_a_token_that_has_expired(
        self, cluster: Cluster, tmp_path: Path, token: str
    ) -> None:
        late = expired(token, cluster.tls.client_key)
        asked = client(login(cluster, tmp_path, {"token": late}))
        error = refusal(lambda: probe.version(asked))
        assert (error.kind, error.cause) == (
            ProbeErrorKind.UNAUTHORIZED,
            "HTTP 401: Unauthorized",
        )

    def test_fails_and_names_a_token_whose_account_is_gone(
        self, cluster: Cluster, tmp_path: Path, token: str
    ) -> None:
        leaver = cluster.admin.token(GUESTS, "leaver")
        cluster.admin.ask("DELETE", f"/api/v1/namespaces/{GUESTS}/serviceaccounts/leaver")
        # Asked now for the first time: the server remembers for ten seconds who a token was.
        asked = client(login(cluster, tmp_path, {"token": leaver}))
        assert refusal(lambda: probe.nodes(asked)).kind is ProbeErrorKind.UNAUTHORIZED

    def test_fails_and_names_a_certificate_of_another_authority(
        self, cluster: Cluster, tmp_path: Path
    ) -> None:
        other = write_tls(tmp_path / "other", user="admin")
        user = {
            "client-certificate": str(other.client_certificate),
            "client-key": str(other.client_key),
        }
        asked = client(login(cluster, tmp_path, user))
        error = refusal(lambda: probe.identity(asked))
        assert (error.kind, error.stops_target) == (ProbeErrorKind.UNAUTHORIZED, True)


class TestExecPlugin:
    def test_passes_when_it_gives_a_token(
        self, cluster: Cluster, tmp_path: Path, token: str
    ) -> None:
        asked = client(login(cluster, tmp_path, plugin(tmp_path, {"token": token})))
        assert "system:serviceaccount:transport:guest" in refusal(lambda: probe.nodes(asked)).cause

    def test_passes_when_it_gives_a_certificate(
        self, cluster: Cluster, tmp_path: Path, uid: str
    ) -> None:
        status = {
            "clientCertificateData": cluster.tls.client_certificate.read_text(),
            "clientKeyData": cluster.tls.client_key.read_text(),
        }
        assert probe.identity(client(login(cluster, tmp_path, plugin(tmp_path, status)))).uid == uid

    def test_fails_and_names_one_that_gives_a_token_nobody_knows(
        self, cluster: Cluster, tmp_path: Path
    ) -> None:
        asked = client(login(cluster, tmp_path, plugin(tmp_path, {"token": "nobody-gave-this"})))
        assert refusal(lambda: probe.nodes(asked)).kind is ProbeErrorKind.UNAUTHORIZED

    @pytest.mark.parametrize(
        ("script", "cause"),
        [
            ("echo hush >&2; exit 3", "the exec plugin sh ended with exit code 3"),
            ("echo hush", "the exec plugin sh gave no credential"),
        ],
        ids=["fails", "garbage"],
    )
    def test_fails_and_names_one_that_gives_nothing(
        self, cluster: Cluster, tmp_path: Path, script: str, cause: str
    ) -> None:
        user = {"exec": EXEC | {"command": "sh", "args": ["-c", script]}}
        error = refusal(lambda: client(login(cluster, tmp_path, user)))
        assert (error.kind, error.cause) == (ProbeErrorKind.UNAUTHORIZED, cause)
        assert "hush" not in str(error) + error.advice

    def test_fails_and_names_one_that_hangs(self, cluster: Cluster, tmp_path: Path) -> None:
        pid = tmp_path / "pid"
        script = 'echo $$ > "$0"; exec sleep 60'
        user = {"exec": EXEC | {"command": "sh", "args": ["-c", script, str(pid)]}}
        error = refusal(lambda: client(login(cluster, tmp_path, user), timeout=1))
        os.kill(int(pid.read_text()), signal.SIGKILL)
        assert (error.kind, error.stops_target) == (ProbeErrorKind.TIMEOUT, True)
        assert error.cause == "the exec plugin gave no credential within 1 s"


class TestTrust:
    def test_fails_and_names_a_server_of_another_authority(
        self, cluster: Cluster, tmp_path: Path, token: str
    ) -> None:
        other = write_tls(tmp_path / "other")
        asked = client(login(cluster, tmp_path, {"token": token}, other))
        error = refusal(lambda: probe.identity(asked))
        assert (error.kind, error.stops_target) == (ProbeErrorKind.UNTRUSTED, True)
        assert "certificate" in error.cause

    def test_fails_and_names_a_name_that_the_certificate_lacks(
        self, cluster: Cluster, tmp_path: Path, token: str
    ) -> None:
        path = login(cluster, tmp_path, {"token": token})
        document = json.loads(path.read_text())
        document["clusters"][0]["cluster"]["tls-server-name"] = "api.example.org"
        path.write_text(json.dumps(document))
        error = refusal(lambda: probe.identity(client(path)))
        assert error.kind is ProbeErrorKind.UNTRUSTED
        assert error.cause == "the server's certificate is for another host name"


class TestRights:
    def test_fails_and_names_another_cluster(self, cluster: Cluster, uid: str) -> None:
        error = refusal(lambda: probe.identity(client(cluster.kubeconfig, cluster_uid="other")))
        assert (error.kind, error.stops_target) == (ProbeErrorKind.IDENTITY, True)
        assert f"kube-system has the UID {uid}" in error.cause

    def test_fails_and_names_a_cluster_that_may_not_be_identified(
        self, cluster: Cluster, tmp_path: Path, token: str, uid: str
    ) -> None:
        path = login(cluster, tmp_path, {"token": token})
        assert probe.identity(client(path)).uid is None
        error = refusal(lambda: probe.identity(client(path, cluster_uid=uid)))
        assert (error.kind, error.stops_target) == (ProbeErrorKind.FORBIDDEN, True)
        assert "may not get namespaces" in error.cause

    @pytest.mark.parametrize("name", REFUSED)
    def test_fails_and_names_what_the_account_may_not(
        self, cluster: Cluster, tmp_path: Path, token: str, name: str
    ) -> None:
        asked = client(login(cluster, tmp_path, {"token": token}), namespace=GUESTS)
        error = refusal(lambda: ASKS[name](asked))
        assert (error.kind, error.stops_target) == (ProbeErrorKind.FORBIDDEN, False)
        assert REFUSED[name] in error.cause
        assert "--serviceaccount=transport:guest" in error.advice
