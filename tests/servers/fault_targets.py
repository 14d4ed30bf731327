"""What the fault matrix asks of each target: its settings, its true answers, its requests.

A later section adds a Target here and nothing else; every question of questions.QUESTIONS has to
be asked by exactly one of them.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_readiness.settings import ClickHouse, Settings
from tests.probes import kubernetes_target
from tests.servers.fault_servers import Answer, Request

TIMEOUT = 1.0  # seconds, of every question
Patterns = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is. beside: another place, of the healthy server that a target may need."""

    host: str
    port: int
    scheme: str
    ca: Path
    folder: Path
    beside: "Place | None" = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """One kind of server. asks: patterns of the requests a question makes, one a request.

    opens: patterns of the requests that `connect` makes; they meet the faults as part of the
    first question. scheme: of the wire (the faults of TLS always have https).
    beside: the target whose healthy server `settings` needs beside this one.
    """

    module: str
    scheme: str
    settings: Callable[[Place], Settings]
    answer: Callable[[Request], Answer]
    words: Callable[[int], bytes]
    asks: Mapping[str, Patterns]
    opens: Patterns = ()
    beside: "Target | None" = field(default=None)

    @property
    def first(self) -> str:
        return next(iter(self.asks))


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _kubernetes(place: Place) -> Settings:
    path = place.folder / f"kubeconfig-{place.port}"
    ca = {"certificate-authority": str(place.ca)}
    kubernetes_target.kubeconfig(path, place.url, cluster=ca, user={"token": "t"})
    return kubernetes_target.settings(path, TIMEOUT, cluster_uid="uid-1")


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


KUBERNETES = Target(
    module="kubernetes",
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
        "k8s_pods": ("/pods",),
    },
)


def _clickhouse(place: Place) -> Settings:
    url = f"clickhouse+{place.scheme}://reader@{place.host}:{place.port}/risk"
    ca_file = place.ca if place.scheme == "https" else None
    return kubernetes_target.asking(
        TIMEOUT, clickhouse=ClickHouse(url=url, cluster="risk", ca_file=ca_file)
    )


def _native(*columns: tuple[str, str, tuple[bytes, ...]]) -> bytes:
    """Return a block of ClickHouse's format Native (clickhouse.com/docs/interfaces/formats)."""
    text = b"".join(
        b"%c%s%c%s%s" % (len(name), name.encode(), len(kind), kind.encode(), b"".join(values))
        for name, kind, values in columns
    )
    return b"%c%c%s" % (len(columns), len(columns[0][2]), text)


_SESSION = {
    "SELECT version(), timezone()": b"26.5.1.1\tUTC\n",
    "FROM system.settings": _native(
        ("name", "String", (b"\x08readonly", b"\x17skip_unavailable_shards")),
        ("value", "String", (b"\x010", b"\x010")),
        ("readonly", "UInt8", (b"\x00", b"\x00")),
    ),
    "CHECK GRANT": b"1\n",
    "SELECT 1 AS check": _native(("check", "UInt8", (b"\x01",))),
}
_REPLICA = {
    "is_readonly": 0,
    "is_session_expired": 0,
    "active_replicas": 1,
    "total_replicas": 1,
    "queue_size": 0,
    "absolute_delay": 0,
    "exception": "",
}
_DISK = {
    "path": "/",
    "type": "Local",
    "free_space": 1,
    "total_space": 2,
    "unreserved_space": 1,
    "is_remote": 0,
    "is_broken": 0,
    "is_read_only": 0,
}
_BACKUP = {"id": "1", "base": "", "state": "BACKUP_CREATED", "started": 1, "ended": 2, "error": ""}
_PLACE = {"shard_num": 1, "replica_num": 1, "host_name": "ch-1", "port": 9000, "errors_count": 0}
_TABLE = {"place": 1, "database": "risk", "table": "trades", "name": "trades"}
_ROWS: dict[str, dict[str, object]] = {
    "serverUUID": {"version": "26.5", "hostname": "h", "server_uuid": "1", "user": "r"} | _TABLE,
    "FROM system.clusters": _PLACE,
    "system.one": {"place": 1},
    "system.tables": {**_TABLE, "engine": "MergeTree"},
    "system.replicas": _TABLE | _REPLICA,
    "system.replication_queue": {**_TABLE, "exception": "e"},
    "system.disks": _TABLE | _DISK,
    "system.backup_log": _TABLE | _BACKUP,
    "system.backups": _TABLE | _BACKUP,
}


def _server(request: Request) -> Answer:
    if request.path.startswith("/backup/list"):
        row = _json({"name": "full", "created": "2026-11-23 03:00:00"}) + b"\n"
        return Answer(row, (b"", row))
    for words, body in _SESSION.items():
        if words in request.text:
            return Answer(body, (body, body))
    row = next(_json(row) + b"\n" for words, row in _ROWS.items() if words in request.text)
    return Answer(row, (b"", row))


def _server_words(status: int) -> bytes:
    said = {
        401: "Code: 194. DB::Exception: reader: Authentication failed: password is required.",
        403: "Code: 497. DB::Exception: reader: Not enough privileges. To execute this query, "
        "it's necessary to have the grant SELECT ON system.*. (ACCESS_DENIED)",
        500: "Code: 241. DB::Exception: Memory limit (total) exceeded. (MEMORY_LIMIT_EXCEEDED)",
    }
    proxys = f"<html><body><h1>{status} of a proxy</h1></body></html>"
    return said.get(status, proxys).encode()


CLICKHOUSE = Target(
    module="clickhouse",
    scheme="https",
    settings=_clickhouse,
    answer=_server,
    words=_server_words,
    opens=("timezone", "system.settings"),
    asks={
        "ch_identity": ("serverUUID",),
        "ch_replicas": ("FROM system.clusters", "system.one"),
        "ch_tables": ("CHECK GRANT", "FROM system.clusters", "system.tables"),
        "ch_replication": ("FROM system.clusters", "system.replicas", "system.replication_queue"),
        "ch_disks": ("FROM system.clusters", "system.disks"),
        "ch_backups": ("FROM system.clusters", "system.backup_log", "system.backups"),
    },
)


def _backup_server(place: Place) -> Settings:
    assert place.beside is not None
    url = f"clickhouse+http://reader@127.0.0.1:{place.beside.port}/risk"
    ca_file = place.ca if place.scheme == "https" else None
    section = ClickHouse(url=url, cluster="risk", ca_file=ca_file, backup_api=place.url)
    return kubernetes_target.asking(TIMEOUT, clickhouse=section)


BACKUP_SERVER = Target(
    module="clickhouse",
    scheme="http",
    settings=_backup_server,
    answer=_server,
    words=_server_words,
    asks={"ch_backup_api": ("/backup/list",)},
    beside=CLICKHOUSE,
)

TARGETS = (KUBERNETES, CLICKHOUSE, BACKUP_SERVER)
