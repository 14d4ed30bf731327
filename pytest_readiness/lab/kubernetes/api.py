"""A read-only Kubernetes API on loopback, served from a folder of YAML or a few objects.

    with KubernetesApi([{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}]) as api:
        api.url                                   # http://127.0.0.1:PORT; nobody has to log in
        api.asked("/api/v1/nodes")                # how often that was asked for

    with KubernetesApi(load_world(folder), tls_dir=tmp_path / "tls") as api:
        api.write_kubeconfig(tmp_path / "kubeconfig")     # https, context `lab`, own CA

What an API server fills in (uid, resourceVersion, creationTimestamp, namespace `default`) is
filled in. Objects that look like nothing Kubernetes has are refused; to answer with malformed
ones, use PathAnswer (faults.py says how). Writes are answered 405. Tables, watches, discovery,
SelfSubject reviews and metrics are good enough for kubectl.

PYTEST_DONT_REWRITE
"""

import datetime
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_readiness.lab.changes import WorldError, at
from pytest_readiness.lab.kubernetes.answers import Answers, User
from pytest_readiness.lab.kubernetes.faults import (
    VERSION,
    Deny,
    Object,
    PathAnswer,
    check_object,
    identity,
)
from pytest_readiness.lab.kubernetes.http import interface
from pytest_readiness.lab.kubernetes.store import Store
from pytest_readiness.lab.server import Server
from pytest_readiness.lab.tls import TlsFiles, write_tls

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class KubernetesApi(Server):
    """Serves objects as a Kubernetes API.

    objects: as in YAML: apiVersion, kind, metadata.name and whatever else.
    version: the whole answer of /version, default v1.36.3.
    answers: faults by path; denies: what the user may not do.
    tokens: bearer token to user name. An unknown token is answered 401.
    tls_dir: a directory for certificates; with it the API speaks https and wants the client
        certificate made there or one of the tokens. Without it, http, and who shows no token is
        user `lab`, unless there are tokens.
    Raises WorldError for an object that cannot be served.
    """

    def __init__(
        self,
        objects: Iterable[Object] = (),
        *,
        version: Object | None = None,
        answers: Sequence[PathAnswer] = (),
        denies: Sequence[Deny] = (),
        tokens: Mapping[str, str] | None = None,
        tls_dir: Path | None = None,
    ) -> None:
        self._tls: TlsFiles | None = None if tls_dir is None else write_tls(tls_dir)
        users = {token: User(name) for token, name in (tokens or {}).items()}
        needs_login = self._tls is not None or bool(users)
        super().__init__(
            interface(
                Answers(Store(objects), version or VERSION, denies).answer,
                users,
                None if needs_login else User("lab"),
            ),
            faults=answers,
            tls=None if self._tls is None else self._tls.server_context(ask_client=True),
        )

    @property
    def ca_file(self) -> Path | None:
        """Return the certificate of the lab's own authority, None for http."""
        return None if self._tls is None else self._tls.ca

    def write_kubeconfig(
        self, path: Path, *, token: str | None = None, context: str = "lab", namespace: str = ""
    ) -> Path:
        """Write a kubeconfig with one context and return its path.

        token: log in by this bearer token; without, by the client certificate (https only).
        """
        cluster: dict[str, Any] = {"server": self.url}
        user: dict[str, Any] = {} if token is None else {"token": token}
        if self._tls is not None:
            cluster["certificate-authority"] = str(self._tls.ca)
            if token is None:
                user["client-certificate"] = str(self._tls.client_certificate)
                user["client-key"] = str(self._tls.client_key)
        where = {"cluster": context, "user": context}
        if namespace:
            where["namespace"] = namespace
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "clusters": [{"name": context, "cluster": cluster}],
            "contexts": [{"name": context, "context": where}],
            "users": [{"name": context, "user": user}],
        }
        # JSON is YAML; the file may hold a token.
        path.touch(mode=0o600)
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        return path


def load_world(folder: Path) -> list[Object]:
    """Read every *.yaml of the folder: documents that are objects, or Lists of them.

    Two tags keep a world young: `!ago 5m` and `!in 90d` (s, m, h, d) become the RFC 3339 time
    that long before or after the moment of loading, `!ago.micro 5s` with the microseconds that a
    MicroTime (renewTime of a Lease) cannot do without. Other dates stay the text they are.
    Raises WorldError, with the name of the file, for YAML that cannot be read, what is no object,
    an object given twice, or a folder without YAML.
    """
    import yaml

    loader = _loader()
    world: dict[tuple[str, str, str, str], Object] = {}
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise WorldError(f"{folder}: no *.yaml")
    for file in files:
        try:
            documents = list(yaml.load_all(file.read_text(encoding="utf-8"), Loader=loader))
        except yaml.YAMLError as error:
            raise WorldError(f"{file.name}: {error}") from None
        for thing in _flat(documents):
            with at(file.name):
                check_object(thing)
            if identity(thing) in world:
                raise WorldError(f"{file.name}: {'/'.join(identity(thing))} is given twice")
            world[identity(thing)] = thing
    return list(world.values())


def _flat(documents: Iterable[Any]) -> Iterable[Any]:
    for document in documents:
        if isinstance(document, dict) and document.get("kind") == "List":
            yield from document["items"]
        elif document is not None:
            yield document


def _loader() -> Any:
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """The safe loader without dates, with `!ago` and `!in`."""

    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)

    def moment(sign: int, timespec: str = "seconds") -> Any:
        def construct(loader: Any, node: Any) -> str:
            text = loader.construct_scalar(node)
            parsed = re.fullmatch(r"(\d+)([smhd])", text)
            if parsed is None:
                raise WorldError(f"{text!r} is no duration like 5m, 3h, 90d")
            span = datetime.timedelta(**{_UNITS[parsed[2]]: int(parsed[1])})
            return (now + sign * span).isoformat(timespec=timespec).replace("+00:00", "Z")

        return construct

    Loader.add_constructor("!ago", moment(-1))
    Loader.add_constructor("!ago.micro", moment(-1, "microseconds"))
    Loader.add_constructor("!in", moment(1))
    Loader.yaml_implicit_resolvers = {
        first: [(tag, regexp) for tag, regexp in found if not tag.endswith(":timestamp")]
        for first, found in Loader.yaml_implicit_resolvers.items()
    }
    return Loader
