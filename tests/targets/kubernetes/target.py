"""What tests of the Kubernetes probe share: settings, clients, a server that may do anything."""

import json
import ssl
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

import pytest

from pytest_readiness.errors import ProbeError
from pytest_readiness.lab.kubernetes.api import KubernetesApi
from pytest_readiness.settings import Settings
from pytest_readiness.settings.sections import Readiness
from pytest_readiness.targets.kubernetes.client import Client
from pytest_readiness.targets.kubernetes.section import Kubernetes
from pytest_readiness.written.keys import Phase
from tests.asking import connect

Object = dict[str, Any]
KUBE_SYSTEM: Object = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": "kube-system", "uid": "uid-1"},
}


def thing(version: str, kind: str, name: str, namespace: str = "", **more: Any) -> Object:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    metadata |= more.pop("metadata", {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def settings(kubeconfig: Path | None, timeout: float = 10, **more: Any) -> Settings:
    target = {"context": "lab", "namespace": "shop"} | more
    return asking(timeout, kubernetes=Kubernetes(kubeconfig=kubeconfig, **target))


def asking(timeout: float, **sections: Any) -> Settings:
    """Return settings with these sections; timeout: seconds of one question."""
    return Settings(
        path=Path("readiness.ini").absolute(),
        sha256="",
        values={},
        readiness=Readiness(
            system="shop",
            environment="test",
            phase=Phase("verification"),
            timeout=timedelta(seconds=timeout),
        ),
        targets=sections,
    )


def client(api: KubernetesApi, tmp_path: Path, timeout: float = 10, **more: Any) -> Client:
    kubeconfig = tmp_path / "kubeconfig"
    api.write_kubeconfig(kubeconfig)
    connected: Client = connect(settings(kubeconfig, timeout, **more), "kubernetes")
    return connected


def kubeconfig(
    path: Path, server: str, *, cluster: Object | None = None, user: Object | None = None
) -> Path:
    document = {
        "contexts": [{"name": "lab", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server} | (cluster or {})}],
        "users": [{"name": "u", "user": user or {}}],
    }
    path.write_text(json.dumps(document))
    return path


def refusal(ask: Callable[[], object]) -> ProbeError:
    with pytest.raises(ProbeError) as caught:
        ask()
    return caught.value


class Reply(NamedTuple):
    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = {}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer: Callable[[str, dict[str, str]], Reply]) -> None:
        self.answer = answer
        self.asked: list[tuple[str, dict[str, str]]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # clients of these tests hang up whenever they like


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.server.asked.append((url.path, dict(self.headers.items())))
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        reply = self.server.answer(url.path, query)
        self.send_response(reply.status)
        for name, value in ({"Content-Length": str(len(reply.body))} | {**reply.headers}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Scripted:
    """An HTTP server whose every answer is what `answer(path, query)` returns."""

    def __init__(
        self, answer: Callable[[str, dict[str, str]], Reply], context: ssl.SSLContext | None = None
    ) -> None:
        self._server = _Server(answer)
        self._scheme = "http"
        if context is not None:
            self._scheme = "https"
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )

    @property
    def asked(self) -> list[tuple[str, dict[str, str]]]:
        """Return path and headers of each request."""
        return list(self._server.asked)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
