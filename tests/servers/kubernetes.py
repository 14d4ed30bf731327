"""A real Kubernetes on loopback: etcd, kube-apiserver and, for what must move, the controllers.

kube-controller-manager, kube-scheduler and kwok stand for a whole control plane and kubelets:
Deployments roll out, Jobs run, the pods of nodes annotated `kwok.x-k8s.io/node: fake` become
ready. Flags after envtest (controller-runtime, pkg/internal/testing/controlplane) and kwok.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pytest_readiness.lab.tls import TlsFiles, write_tls
from tests.servers.k8s_client import Admin, write_kubeconfig
from tests.servers.processes import Process, free_port, stopping
from tests.servers.programs import BUILT, find

HOST = "127.0.0.1"
CONTROLLERS = ("kube-controller-manager", "kube-scheduler", "kwok")
STAGES = BUILT / "kwok-stages"


class Ports(NamedTuple):
    """Ports of 127.0.0.1, chosen once, so that a server comes back where it was."""

    api: int
    etcd: int
    peers: int


class ControlPlane:
    """etcd and one API server; `etcd` and `api` may be killed, held still and started again.

    admin: asks as a member of system:masters. kubeconfig: the same for other programs, context
    `real`. etcd_url: etcd's JSON gateway. Raises StartError.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tls: TlsFiles = write_tls(folder / "tls", user="admin")
        self._ports = Ports(free_port(), free_port(), free_port())
        self.url = f"https://{HOST}:{self._ports.api}"
        self.etcd_url = f"http://{HOST}:{self._ports.etcd}"
        self.kubeconfig = write_kubeconfig(
            folder / "kubeconfig", self.url, self.tls, client_certificate=True
        )
        self.admin = Admin(self.url, self.tls)
        self.processes: list[Process] = []

    def start_etcd(self, *flags: str) -> Process:
        """Start etcd on the data it left, and wait until it serves."""
        clients, peers = (f"http://{HOST}:{port}" for port in self._ports[1:])
        etcd = self._run(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
            "--log-level=warn",
            *flags,
        )
        etcd.wait_until(lambda: Admin(clients).status("/health") == 200)
        return etcd

    def start_api(self, *flags: str, program: Path | None = None) -> Process:
        """Start kube-apiserver, or another build of it, and wait until it is ready."""
        tls = self.tls
        api = self._run(
            program or "kube-apiserver",
            f"--etcd-servers={self.etcd_url}",
            f"--cert-dir={self.folder / 'certs'}",
            f"--secure-port={self._ports.api}",
            f"--bind-address={HOST}",
            f"--tls-cert-file={tls.server_certificate}",
            f"--tls-private-key-file={tls.server_key}",
            f"--client-ca-file={tls.ca}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=RBAC",
            "--allow-privileged=true",
            # Pods of a test need no ServiceAccount that a controller has yet to make.
            "--disable-admission-plugins=ServiceAccount",
            f"--service-account-issuer={self.url}/",
            f"--service-account-key-file={tls.client_certificate}",
            f"--service-account-signing-key-file={tls.client_key}",
            "--endpoint-reconciler-type=none",
            *flags,
        )
        api.wait_until(lambda: self.admin.status("/readyz") == 200)
        return api

    def start_controllers(self) -> None:
        """Start what moves objects, and wait until each serves."""
        self._controller(
            "kube-controller-manager",
            "--use-service-account-credentials=false",
            f"--root-ca-file={self.tls.ca}",
            f"--service-account-private-key-file={self.tls.client_key}",
            "--authorization-always-allow-paths=/healthz",
            # Nodes that no kwok manages keep the conditions a test gave them.
            "--node-monitor-grace-period=24h",
        )
        self._controller("kube-scheduler")
        port = free_port()
        kwok = self._run(
            "kwok",
            f"--kubeconfig={self.kubeconfig}",
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
            "--enable-crds=",
            f"--server-address={HOST}:{port}",
            *(f"--config={stage}" for stage in sorted(STAGES.glob("*.yaml"))),
        )
        kwok.wait_until(lambda: Admin(f"http://{HOST}:{port}").status("/healthz") == 200)

    def _controller(self, program: str, *flags: str) -> None:
        port = free_port()
        process = self._run(
            program,
            f"--kubeconfig={self.kubeconfig}",
            f"--bind-address={HOST}",
            f"--secure-port={port}",
            "--leader-elect=false",
            *flags,
        )
        process.wait_until(lambda: Admin(f"https://{HOST}:{port}").status("/healthz") == 200)

    def _run(self, program: str | Path, *flags: str) -> Process:
        path = find(program) if isinstance(program, str) else program
        if path is None:
            raise FileNotFoundError(f"{program} is missing: make servers")
        process = Process([path, *flags], self.folder / "logs" / f"{path.name}.log")
        self.processes.append(process)
        return process


@contextmanager
def control_plane(
    folder: Path, *, api_flags: Sequence[str] = (), etcd_flags: Sequence[str] = ()
) -> Iterator[ControlPlane]:
    """Run etcd and one API server of a test's own, which it may do anything to."""
    folder.mkdir(parents=True, exist_ok=True)
    plane = ControlPlane(folder)
    with stopping(plane.processes):
        plane.start_etcd(*etcd_flags)
        plane.start_api(*api_flags)
        yield plane


@contextmanager
def run(folder: Path) -> Iterator[dict[str, Any]]:
    """Run the cluster that the tests of a run share; see tests.servers.shared."""
    with control_plane(folder) as plane:
        plane.start_controllers()
        yield {"url": plane.url, "kubeconfig": str(plane.kubeconfig), "tls": _texts(plane.tls)}


def _texts(tls: TlsFiles) -> dict[str, str]:
    return {name: str(getattr(tls, name)) for name in TlsFiles.__dataclass_fields__}


def joined(said: dict[str, Any]) -> TlsFiles:
    """Return the files of a shared cluster, from what it said of itself."""
    return TlsFiles(**{name: Path(path) for name, path in said["tls"].items()})


def objects_of(text: str) -> list[dict[str, Any]]:
    """Read objects from YAML or JSON documents, Lists flattened."""
    import yaml

    found: list[dict[str, Any]] = []
    for document in yaml.safe_load_all(text):
        if document is not None:
            found += document["items"] if document["kind"] == "List" else [document]
    return json.loads(json.dumps(found, default=str))  # type: ignore[no-any-return]
