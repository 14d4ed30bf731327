"""Kubeconfigs, exec plugins, tokens, proxies and service accounts, as people have them."""

import base64
import json
import logging
import os
import socket
import stat
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_readiness.errors import ProbeErrorKind
from pytest_readiness.lab.kubernetes.api import KubernetesApi
from pytest_readiness.targets.kubernetes import probe
from tests.asking import connect
from tests.targets.kubernetes.target import KUBE_SYSTEM, client, kubeconfig, refusal, settings

SECRET = "canary-7c6a180b"
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, "KUBECONFIG", "KUBERNETES_SERVICE_HOST", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[KubernetesApi]:
    """Serve https; the token `good` is known."""
    with KubernetesApi([KUBE_SYSTEM], tls_dir=tmp_path / "tls", tokens={"good": "ci"}) as api:
        yield api


def uid(settings_: Any) -> str | None:
    return probe.identity(connect(settings_, "kubernetes")).uid


def trusting(api: KubernetesApi, **more: Any) -> dict[str, Any]:
    return {"certificate-authority": str(api.ca_file), **more}


class TestKubeconfig:
    def test_a_client_certificate_logs_in(self, api: KubernetesApi, tmp_path: Path) -> None:
        assert probe.identity(client(api, tmp_path)).uid == "uid-1"

    def test_data_in_the_file_logs_in(self, api: KubernetesApi, tmp_path: Path) -> None:
        def data(path: Path) -> str:
            return base64.b64encode(path.read_bytes()).decode()

        assert api.ca_file is not None
        folder = api.ca_file.parent
        written = json.loads(api.write_kubeconfig(tmp_path / "written").read_text())
        user = written["users"][0]["user"]
        file = kubeconfig(
            tmp_path / "k",
            api.url,
            cluster={"certificate-authority-data": data(api.ca_file)},
            user={
                "client-certificate-data": data(folder / user["client-certificate"]),
                "client-key-data": data(folder / user["client-key"]),
            },
        )
        assert uid(settings(file)) == "uid-1"

    def test_a_token_logs_in(self, api: KubernetesApi, tmp_path: Path) -> None:
        file = kubeconfig(tmp_path / "k", api.url, cluster=trusting(api), user={"token": "good"})
        assert uid(settings(file)) == "uid-1"

    def test_the_newline_that_ends_a_token_file_is_not_sent(
        self, api: KubernetesApi, tmp_path: Path
    ) -> None:
        (tmp_path / "token").write_text("good\n")
        user = {"tokenFile": str(tmp_path / "token")}
        file = kubeconfig(tmp_path / "k", api.url, cluster=trusting(api), user=user)
        assert uid(settings(file)) == "uid-1"

    @pytest.mark.parametrize("sign", ["\n", "\u20ac"])
    def test_a_token_that_cannot_be_sent_is_not_quoted(
        self, sign: str, api: KubernetesApi, tmp_path: Path
    ) -> None:
        user = {"token": f"{SECRET}{sign}more"}
        file = kubeconfig(tmp_path / "k", api.url, cluster=trusting(api), user=user)
        error = refusal(lambda: uid(settings(file)))
        assert error.kind is ProbeErrorKind.UNAUTHORIZED
        assert SECRET not in "".join(traceback.format_exception(error))

    def test_a_wrong_token_is_unauthorized(self, api: KubernetesApi, tmp_path: Path) -> None:
        file = kubeconfig(tmp_path / "k", api.url, cluster=trusting(api), user={"token": SECRET})
        error = refusal(lambda: uid(settings(file)))
        assert (error.kind, error.stops_target) == (ProbeErrorKind.UNAUTHORIZED, True)
        assert SECRET not in str(error) + error.advice

    def test_the_first_of_several_files_wins(
        self, api: KubernetesApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one = kubeconfig(tmp_path / "1", api.url, cluster=trusting(api), user={"token": "good"})
        other = kubeconfig(tmp_path / "2", "https://127.0.0.1:1")
        parts = [str(one), str(tmp_path / "missing"), str(other)]
        monkeypatch.setenv("KUBECONFIG", os.pathsep.join(parts))
        assert uid(settings(None)) == "uid-1"

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        error = refusal(lambda: connect(settings(tmp_path / "none"), "kubernetes"))
        assert (error.kind, error.stops_target) == (ProbeErrorKind.UNREACHABLE, True)
        assert error.cause == f"the kubeconfig {tmp_path / 'none'} does not exist"

    def test_a_missing_context_names_those_there_are(self, tmp_path: Path) -> None:
        file = kubeconfig(tmp_path / "k", "https://127.0.0.1:1")
        error = refusal(lambda: connect(settings(file, context="prod"), "kubernetes"))
        assert error.kind is ProbeErrorKind.UNREACHABLE
        assert "has no context prod" in error.cause
        assert error.advice.endswith("one of the contexts it has: lab.")

    @pytest.mark.parametrize(
        "text",
        [f"users: [{SECRET}", f"- {SECRET}", SECRET, "\x00", "contexts: [1]", "clusters: null"],
    )
    def test_a_broken_file_is_not_quoted(self, text: str, tmp_path: Path) -> None:
        (tmp_path / "k").write_text(text)
        error = refusal(lambda: connect(settings(tmp_path / "k"), "kubernetes"))
        assert error.kind is ProbeErrorKind.UNREACHABLE
        assert SECRET not in str(error) + error.advice

    def test_a_context_without_cluster_is_named(self, tmp_path: Path) -> None:
        broken = {"contexts": [{"name": "lab", "context": {"cluster": "gone"}}]}
        (tmp_path / "k").write_text(json.dumps(broken))
        error = refusal(lambda: connect(settings(tmp_path / "k"), "kubernetes"))
        assert "names no cluster with a server" in error.cause

    def test_data_that_is_no_base64_is_not_quoted(self, tmp_path: Path) -> None:
        user = {"client-certificate-data": SECRET + "!", "client-key-data": "!"}
        file = kubeconfig(tmp_path / "k", "https://127.0.0.1:1", user=user)
        error = refusal(lambda: connect(settings(file), "kubernetes"))
        assert error.kind is ProbeErrorKind.UNREACHABLE
        assert SECRET not in str(error) + error.advice


def plugin(folder: Path, code: str) -> dict[str, Any]:
    """Return a user whose exec plugin is this Python code."""
    path = folder / "plugin"
    path.write_text(f"#!{sys.executable}\nimport json, sys, time\n{code}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    call = {"command": str(path), "apiVersion": "client.authentication.k8s.io/v1"}
    return {"exec": {**call, "interactiveMode": "Never"}}


def giving(status: dict[str, str]) -> str:
    answer = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": status,
    }
    return f"print(json.dumps({answer!r}))"


class TestExecPlugin:
    def test_its_token_logs_in(self, api: KubernetesApi, tmp_path: Path) -> None:
        user = plugin(tmp_path, giving({"token": "good"}))
        file = kubeconfig(tmp_path / "k", api.url, cluster=trusting(api), user=user)
        assert uid(settings(file)) == "uid-1"

    @pytest.mark.parametrize(
        ("code", "says"),
        [
            (f"sys.exit('{SECRET}')", "ended with exit code 1"),
            (f"print('{SECRET}')", "gave no credential"),
            (giving({}), "gave no credential"),
        ],
    )
    def test_what_it_says_when_it_fails_is_kept_from_every_output(
        self,
        code: str,
        says: str,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        file = kubeconfig(tmp_path / "k", "https://127.0.0.1:1", user=plugin(tmp_path, code))
        with caplog.at_level(logging.DEBUG):
            error = refusal(lambda: connect(settings(file), "kubernetes"))
        assert (error.kind, error.stops_target) == (ProbeErrorKind.UNAUTHORIZED, True)
        assert says in error.cause
        captured = capfd.readouterr()
        said = str(error) + error.advice + caplog.text + captured.out + captured.err
        assert SECRET not in said

    def test_a_missing_plugin_is_named(self, tmp_path: Path) -> None:
        call = {"command": "no-such-plugin", "apiVersion": "client.authentication.k8s.io/v1"}
        file = kubeconfig(tmp_path / "k", "https://127.0.0.1:1", user={"exec": call})
        error = refusal(lambda: connect(settings(file), "kubernetes"))
        assert error.kind is ProbeErrorKind.UNAUTHORIZED
        assert "no-such-plugin cannot be started" in error.cause

    def test_a_plugin_that_waits_for_somebody_ends_in_time(self, tmp_path: Path) -> None:
        user = plugin(tmp_path, "time.sleep(5)")
        file = kubeconfig(tmp_path / "k", "https://127.0.0.1:1", user=user)
        error = refusal(lambda: connect(settings(file, timeout=0.5), "kubernetes"))
        assert (error.kind, error.stops_target) == (ProbeErrorKind.TIMEOUT, True)


class TestInCluster:
    def test_the_service_account_logs_in(
        self, api: KubernetesApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from kubernetes.config import incluster_config

        (tmp_path / "token").write_text("good")
        monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
        monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(api.ca_file))
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", api.url.rsplit(":", 1)[1])
        assert uid(settings(None, context=None, in_cluster=True)) == "uid-1"

    def test_outside_of_a_pod_it_says_so(self) -> None:
        target = settings(None, context=None, in_cluster=True)
        error = refusal(lambda: connect(target, "kubernetes"))
        assert error.kind is ProbeErrorKind.UNREACHABLE
        assert "no pod with a service account" in error.cause


class Proxy:
    """A forward proxy that tunnels every CONNECT to one port, and keeps what it was asked."""

    def __init__(self, port: int) -> None:
        self.asked: list[str] = []
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.asked.append(connection.recv(65536).decode())
            upstream = socket.create_connection(("127.0.0.1", self._port))
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            for source, target in ((connection, upstream), (upstream, connection)):
                thread = threading.Thread(target=self._pump, args=(source, target), daemon=True)
                thread.start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            return
        finally:
            target.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class TestProxy:
    @pytest.fixture
    def proxy(self, api: KubernetesApi) -> Iterator[Proxy]:
        proxy = Proxy(int(api.url.rsplit(":", 1)[1]))
        yield proxy
        proxy.close()

    def file(self, api: KubernetesApi, tmp_path: Path, server: str, **cluster: Any) -> Path:
        trusted = trusting(api, **{"tls-server-name": "localhost"}, **cluster)
        return kubeconfig(tmp_path / "k", server, cluster=trusted, user={"token": "good"})

    def test_the_environments_is_used(
        self, api: KubernetesApi, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        file = self.file(api, tmp_path, "https://k8s.example.test:6443")
        assert uid(settings(file)) == "uid-1"
        assert proxy.asked[0].startswith("CONNECT k8s.example.test:6443 ")

    def test_the_kubeconfigs_wins_and_gets_its_password(
        self, api: KubernetesApi, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("NO_PROXY", "*")
        url = f"http://me:p%40ss@{proxy.address}"
        file = self.file(api, tmp_path, "https://k8s.example.test:6443", **{"proxy-url": url})
        assert uid(settings(file)) == "uid-1"
        assert f"Basic {base64.b64encode(b'me:p@ss').decode()}" in proxy.asked[0]

    def test_no_proxy_and_loopback_go_straight(
        self, api: KubernetesApi, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        assert uid(settings(self.file(api, tmp_path, api.url))) == "uid-1"
        monkeypatch.setenv("NO_PROXY", ".example.test")
        file = self.file(api, tmp_path, "https://k8s.example.test:6443")
        refusal(lambda: uid(settings(file)))
        assert proxy.asked == []

    @pytest.mark.parametrize("proxy", ["socks9://127.0.0.1:1", "ftp://127.0.0.1:1"])
    def test_a_proxy_of_no_known_kind_is_unreachable(self, proxy: str, tmp_path: Path) -> None:
        file = kubeconfig(tmp_path / "k", "https://127.0.0.1:1", cluster={"proxy-url": proxy})
        error = refusal(lambda: connect(settings(file), "kubernetes"))
        assert error.kind is ProbeErrorKind.UNREACHABLE
        assert ("SOCKS" in error.cause) == proxy.startswith("socks")

    def test_a_proxy_that_fails_is_named_without_its_password(
        self, api: KubernetesApi, tmp_path: Path
    ) -> None:
        url = f"http://me:{SECRET}@127.0.0.1:1"
        file = self.file(api, tmp_path, "https://k8s.example.test:6443", **{"proxy-url": url})
        error = refusal(lambda: uid(settings(file)))
        assert error.kind is ProbeErrorKind.UNREACHABLE
        assert error.cause == "the proxy fails: connection refused"
        assert SECRET not in str(error) + error.advice
