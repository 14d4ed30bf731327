"""Real servers for the tests of this folder, and their logs where a test fails."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from filelock import FileLock

from pytest_readiness.lab.tls import TlsFiles
from tests.servers import kubernetes
from tests.servers.k8s_client import Admin
from tests.servers.programs import KUBERNETES, need
from tests.servers.shared import shared

LOGS = pytest.StashKey[list[Path]]()
Lend = Callable[[str], dict[str, Any]]


class Cluster(NamedTuple):
    """The shared cluster. kubeconfig: of its admin, context `real`; admin: asks as the same."""

    url: str
    kubeconfig: Path
    tls: TlsFiles
    admin: Admin


@pytest.fixture(scope="session")
def _shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    need(*KUBERNETES)
    with shared(tmp_path_factory, "tests.servers.kubernetes") as said:
        yield said


@pytest.fixture
def cluster(_shared_cluster: dict[str, Any], request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Lend the shared cluster to one test: nodes and classes are everybody's, so one at a time.

    A test removes what it made outside of a namespace of its own.
    """
    folder = Path(_shared_cluster["folder"])
    request.node.stash[LOGS] = sorted(folder.glob("logs/*.log"))
    tls = kubernetes.joined(_shared_cluster)
    url = _shared_cluster["url"]
    with FileLock(folder / "lent.lock"):
        yield Cluster(url, Path(_shared_cluster["kubeconfig"]), tls, Admin(url, tls))


@pytest.fixture
def plane(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[kubernetes.ControlPlane]:
    """Give a test an etcd and an API server of its own, which it may kill."""
    need("etcd", "kube-apiserver")
    with kubernetes.control_plane(tmp_path / "plane") as started:
        request.node.stash[LOGS] = sorted(started.folder.glob("logs/*.log"))
        yield started


@pytest.fixture(scope="module")
def lend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lend]:
    """Lend a module of tests the servers of this folder by their names, e.g. `prometheus`.

    Each is one for all workers, says what its `run` says, and "folder". Skips by name without
    its PROGRAMS.
    """
    with ExitStack() as held:

        def start(name: str) -> dict[str, Any]:
            module = f"tests.servers.{name}"
            need(*importlib.import_module(module).PROGRAMS)
            said = held.enter_context(shared(tmp_path_factory, module))
            logs = Path(said["folder"]).glob("logs/*.log")
            request.node.stash.setdefault(LOGS, []).extend(sorted(logs))
            return said

        yield start


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the users of the shared cluster on one worker, where none waits for another."""
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("cluster"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the end of the servers' logs below a test that fails."""
    report: Any = yield
    if report.failed:
        for log in (log for node in item.listchain() for log in node.stash.get(LOGS, [])):
            last = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            report.sections.append((f"last lines of {log}", last))
    return report  # type: ignore[no-any-return]
