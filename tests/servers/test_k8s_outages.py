"""A real API server that dies, hangs, forgets, turns away or loses its etcd while it is asked."""

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from pytest_readiness.checklist.infrastructure import test_kubernetes as checks
from pytest_readiness.errors import ProbeErrorKind
from pytest_readiness.results.evidence import Outcome
from pytest_readiness.targets.kubernetes import probe
from pytest_readiness.targets.kubernetes.section import Kubernetes
from tests.judging import judge
from tests.servers.k8s_asking import (
    base64_of,
    before,
    client,
    etcd_of,
    names,
    namespace,
    plant,
    pod,
)
from tests.servers.kubernetes import ControlPlane, control_plane
from tests.servers.programs import need
from tests.targets.kubernetes.target import refusal

CROWD = 1200  # three pages
FORGETFUL = ("--etcd-compaction-interval=1s", "--watch-cache=false")
# The two checks of etcd wait for two seconds each, one after the other, unless told otherwise.
CONNECTIVITY = checks.test_the_control_plane_and_the_services_of_the_cluster_answer
IMPATIENT = ("--etcd-healthcheck-timeout=200ms", "--etcd-readycheck-timeout=200ms")


class Crowded(NamedTuple):
    """plane: a server of our own. names: of the pods in its namespace `crowd`, sorted."""

    plane: ControlPlane
    names: list[str]


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Return a plane that keeps what it was for a second or two, and reads all from etcd."""
    need("etcd", "kube-apiserver")
    with control_plane(tmp_path_factory.mktemp("forgetful"), api_flags=FORGETFUL) as started:
        yield started


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowded]:
    """Return a plane with pods on three pages, and their names; a test leaves it running."""
    need("etcd", "kube-apiserver")
    with control_plane(tmp_path_factory.mktemp("crowded")) as started:
        yield Crowded(started, plant(started, namespace(started.admin, "crowd"), CROWD))


def forget(plane: ControlPlane, url: str) -> None:
    """Return once the server no longer knows the state that the continue token is of."""
    split = urlsplit(url)
    assert "continue=" in split.query

    def forgotten(_: object) -> bool:
        plane.admin.create(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tick"}, "data": {}}
        )
        return plane.admin.status(f"{split.path}?{split.query}") == 410

    plane.admin.wait("/version", forgotten)


class TestExpiredContinue:
    def test_passes_when_the_list_begins_anew(self, forgetful: ControlPlane) -> None:
        everybody = plant(forgetful, namespace(forgetful.admin, "crowd"), CROWD)
        asked = client(forgetful.kubeconfig, namespace="crowd")

        def change(url: str) -> None:
            forgetful.admin.delete(pod("crowd", everybody[0]))
            forgetful.admin.create(pod("crowd", "pod-new"))
            forget(forgetful, url)

        before(asked, 2, change)
        assert names(probe.pods(asked)) == [*everybody[1:], "pod-new"]

    def test_fails_and_names_a_list_that_expires_again_and_again(
        self, forgetful: ControlPlane
    ) -> None:
        plant(forgetful, namespace(forgetful.admin, "busy"), 501)
        asked = client(forgetful.kubeconfig, namespace="busy")
        for number in (2, 4, 6):
            before(asked, number, lambda url: forget(forgetful, url))
        error = refusal(lambda: probe.pods(asked))
        assert (error.kind, error.stops_target) == (ProbeErrorKind.UNAVAILABLE, False)
        assert "expired on the server before it was read (HTTP 410), 3 times" in error.cause


def test_fails_and_names_a_list_with_an_object_that_the_server_cannot_read(
    forgetful: ControlPlane,
) -> None:
    plant(forgetful, namespace(forgetful.admin, "rotten"), 3)
    asked = client(forgetful.kubeconfig, namespace="rotten")
    assert len(names(probe.pods(asked))) == 3
    key, value = base64_of("/registry/pods/rotten/pod-00001"), base64_of("no pod")
    etcd_of(forgetful).ask("POST", "/v3/kv/put", {"key": key, "value": value})
    error = refusal(lambda: probe.pods(asked))
    assert error.kind is ProbeErrorKind.UNAVAILABLE
    assert error.cause.startswith("HTTP 500: illegal base64 data at input byte")


class TestKilled:
    def test_fails_and_names_a_server_killed_between_two_pages(self, crowded: Crowded) -> None:
        plane = crowded.plane
        asked = client(plane.kubeconfig, namespace="crowd")
        before(asked, 3, lambda url: plane.processes[-1].kill())
        error = refusal(lambda: probe.pods(asked))
        plane.start_api()
        assert (error.kind, error.stops_target) == (ProbeErrorKind.UNREACHABLE, True)
        assert names(probe.pods(asked)) == crowded.names

    def test_fails_and_names_a_server_killed_within_a_page(self, crowded: Crowded) -> None:
        plane = crowded.plane
        asked = client(plane.kubeconfig, namespace="crowd")
        send = asked.open

        @contextmanager
        def open_(url: str, headers: Mapping[str, str], left: Callable[[], float]) -> Iterator[Any]:
            with send(url, headers, left) as response:
                plane.processes[-1].kill()  # its head is here, its body unread
                yield response

        asked.open = open_  # type: ignore[method-assign]
        error = refusal(lambda: probe.pods(asked))
        asked.open = send  # type: ignore[method-assign]
        plane.start_api()
        # What was on its way arrives: the body, or the part of it that the sockets held.
        assert error.kind in (ProbeErrorKind.UNREACHABLE, ProbeErrorKind.MALFORMED)
        assert names(probe.pods(asked)) == crowded.names


def test_fails_and_names_a_server_that_hangs_and_passes_when_it_goes_on(crowded: Crowded) -> None:
    server = crowded.plane.processes[-1]
    asked = client(crowded.plane.kubeconfig, timeout=2, namespace="crowd")
    before(asked, 2, lambda url: server.signal(signal.SIGSTOP))
    within = refusal(lambda: probe.pods(asked))
    first = refusal(lambda: probe.identity(client(crowded.plane.kubeconfig, timeout=1)))
    server.signal(signal.SIGCONT)
    assert (within.kind, within.stops_target) == (ProbeErrorKind.TIMEOUT, False)
    assert (first.kind, first.stops_target) == (ProbeErrorKind.TIMEOUT, True)
    asked = client(crowded.plane.kubeconfig, namespace="crowd")
    assert names(probe.pods(asked)) == crowded.names


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "held"])
def test_fails_and_names_an_api_server_without_its_etcd(
    tmp_path: Path, number: signal.Signals
) -> None:
    need("etcd", "kube-apiserver")
    with control_plane(tmp_path / "plane", api_flags=IMPATIENT) as plane:
        asked = client(plane.kubeconfig, timeout=3)
        assert probe.health(asked).failing == ()
        plane.processes[0].signal(number)
        plane.admin.wait("/version", lambda _: plane.admin.status("/readyz") != 200)
        error = refusal(lambda: probe.health(asked))
        limits = Kubernetes(namespace="default", context="real")
        item = judge(CONNECTIVITY, [probe.identity, probe.health], asked, limits)
        for process in plane.processes:
            process.kill()
    # Not ready, as it says itself; the services it then keeps us waiting for. No fact, no pass.
    assert error.kind in (ProbeErrorKind.TIMEOUT, ProbeErrorKind.UNAVAILABLE)
    assert error.cause.startswith("/readyz fails at etcd, etcd-readiness; then ")
    assert item.outcome is Outcome.ERROR
