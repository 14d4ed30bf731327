"""The smallest client of a real Kubernetes API that tests need to arrange their worlds."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

from pytest_readiness.lab.tls import TlsFiles

Object = dict[str, Any]
FIRST = ("Namespace", "CustomResourceDefinition", "PriorityClass", "StorageClass", "Node")


class Answer(Exception):
    """An answer that is no success. status: HTTP code; body: the Status object, or the text."""

    def __init__(self, status: int, body: Any) -> None:
        self.status = status
        self.body = body
        message = body.get("message", body) if isinstance(body, dict) else body
        super().__init__(f"{status} {message}")


class Admin:
    """Asks one server; with tls by its client certificate, with token as the token's user."""

    def __init__(self, url: str, tls: TlsFiles | None = None, token: str | None = None) -> None:
        import urllib3

        identity: dict[str, Any] = {"cert_reqs": "CERT_NONE"}
        if tls is not None:
            identity = {"ca_certs": str(tls.ca), "cert_reqs": "CERT_REQUIRED"}
            if token is None:
                identity["cert_file"] = str(tls.client_certificate)
                identity["key_file"] = str(tls.client_key)
        else:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self.url = url
        self.tls = tls
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._pool = urllib3.PoolManager(retries=False, timeout=30, maxsize=8, **identity)
        self._resources: dict[str, dict[str, tuple[str, bool]]] = {}

    def status(self, path: str) -> int:
        """Return the HTTP status of a GET; 0 when nobody answers."""
        import urllib3

        try:
            return int(self._pool.request("GET", self.url + path, headers=self._headers).status)
        except (urllib3.exceptions.HTTPError, HTTPException, OSError):
            return 0

    def raw(
        self,
        method: str,
        path: str,
        body: Any = None,
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Return the whole answer of urllib3."""
        data = None if body is None else json.dumps(body).encode()
        more = {"Content-Type": kind, "Accept": "application/json"} | dict(headers or {})
        return self._pool.request(method, self.url + path, body=data, headers=self._headers | more)

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        """Return the decoded answer. Raises Answer when it is no success."""
        answer = self.raw(method, path, body, kind)
        # OpenBao says of no content, too, that it is JSON.
        json_like = "json" in answer.headers.get("content-type", "") and answer.data
        decoded = json.loads(answer.data) if json_like else answer.data.decode()
        if answer.status >= 300:
            raise Answer(answer.status, decoded)
        return decoded

    def get(self, path: str) -> Any:
        """Return the decoded answer of a GET. Raises Answer."""
        return self.ask("GET", path)

    def path(self, thing: Object, *, name: bool = True) -> str:
        """Return the path of an object, or of the collection it stands in."""
        version, kind = thing["apiVersion"], thing["kind"]
        group = f"/api/{version}" if version == "v1" else f"/apis/{version}"
        if kind not in self._resources.get(group, {}):
            served = self.get(group)["resources"]
            self._resources[group] = {
                it["kind"]: (it["name"], it["namespaced"]) for it in served if "/" not in it["name"]
            }
        plural, namespaced = self._resources[group][kind]
        metadata = thing["metadata"]
        where = f"/namespaces/{metadata.get('namespace', 'default')}" if namespaced else ""
        return f"{group}{where}/{plural}" + (f"/{metadata['name']}" if name else "")

    def create(self, thing: Object) -> Object:
        """Create one object, its status too; one that exists is replaced. Raises Answer."""
        body = json.loads(json.dumps(thing))
        for filled_in in ("uid", "resourceVersion", "creationTimestamp", "managedFields"):
            body["metadata"].pop(filled_in, None)
        path = self.path(thing)
        try:
            made = self.ask("POST", self.path(thing, name=False), body)
        except Answer as answer:
            if answer.status != 409:
                raise
            merge = {key: value for key, value in body.items() if key != "status"}
            made = self.ask("PATCH", path, merge, "application/merge-patch+json")
        if thing["kind"] == "Node":
            # Admission taints a new node until a kubelet speaks for it (TaintNodesByCondition).
            taints = {"spec": {"taints": thing.get("spec", {}).get("taints")}}
            made = self.ask("PATCH", path, taints, "application/merge-patch+json")
        if "status" in thing and thing["kind"] != "CustomResourceDefinition":
            status = {"status": thing["status"]}
            made = self.ask("PATCH", f"{path}/status", status, "application/merge-patch+json")
        return made  # type: ignore[no-any-return]

    def apply(self, things: Iterable[Object]) -> list[Object]:
        """Create objects, namespaces and definitions first. Raises Answer at the first refusal."""
        order = sorted(things, key=lambda it: it["kind"] not in FIRST)
        return [self.create(thing) for thing in order]

    def delete(self, thing: Object) -> None:
        """Delete an object at once; one that is away already is no error. Raises Answer."""
        try:
            self.ask("DELETE", self.path(thing) + "?gracePeriodSeconds=0")
        except Answer as answer:
            if answer.status != 404:
                raise

    def token(self, namespace: str, account: str, seconds: int = 3600) -> str:
        """Return a token of a ServiceAccount (TokenRequest); the least life is 600 s."""
        self.create(
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": account, "namespace": namespace},
            }
        )
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        return str(self.ask("POST", path, body)["status"]["token"])

    def wait(self, path: str, done: Callable[[Any], bool], seconds: float = 60) -> Any:
        """Return the object at the path once it is so. Raises AssertionError with what it was."""
        until = time.monotonic() + seconds
        while not done(found := self.get(path)):
            assert time.monotonic() < until, json.dumps(found, indent=1)[:4000]
            time.sleep(0.2)
        return found


def write_kubeconfig(
    path: Path,
    server: str,
    tls: TlsFiles,
    *,
    client_certificate: bool = False,
    user: Object | None = None,
) -> Path:
    """Write a kubeconfig with the one context `real`; user: how it logs in otherwise."""
    login = dict(user or {})
    if client_certificate:
        login = {
            "client-certificate": str(tls.client_certificate),
            "client-key": str(tls.client_key),
        }
    cluster = {"server": server, "certificate-authority": str(tls.ca)}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "real",
        "clusters": [{"name": "real", "cluster": cluster}],
        "contexts": [{"name": "real", "context": {"cluster": "real", "user": "real"}}],
        "users": [{"name": "real", "user": login}],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=1))
    return path
