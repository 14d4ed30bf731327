"""k8s-version on what API servers of other builds answer to /version."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace

from pytest_readiness.checklist.infrastructure import test_kubernetes as checks
from pytest_readiness.targets.kubernetes import probe
from pytest_readiness.targets.kubernetes.facts import Version
from pytest_readiness.targets.kubernetes.section import Kubernetes
from tests.servers.conftest import LOGS
from tests.servers.k8s_asking import client, judged
from tests.servers.kubernetes import ControlPlane
from tests.servers.processes import stopping
from tests.servers.programs import need

LIMITS = Kubernetes(namespace="default", context="real", min_version=(1, 24))
check = checks.test_the_version_is_new_enough_and_supported


@pytest.fixture
def asked(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Version]]:
    """Return a function that starts one build, and asks it for its version."""
    with ExitStack() as stack:

        def ask(build: str) -> Version:
            program = need(f"relinked/kube-apiserver-{build}", "etcd")[0]
            plane = ControlPlane(tmp_path / "plane")
            stack.enter_context(stopping(plane.processes))
            plane.start_etcd()
            plane.start_api(program=program)
            request.node.stash[LOGS] = sorted(plane.folder.glob("logs/*.log"))
            return probe.version(client(plane.kubeconfig))

        yield ask


def test_passes_when_a_vendor_adds_its_own_number(asked: Callable[[str], Version]) -> None:
    answer = asked("v1.36.3-vendor.1234567")
    assert answer.git_version == "v1.36.3-vendor.1234567"
    assert judged(check, answer, LIMITS) == []


def test_fails_and_names_a_version_that_is_too_old(asked: Callable[[str], Version]) -> None:
    # The oldest that this build lets itself be called and still starts with its default flags:
    # it emulates its own version, 1.31 at least, and is compatible with the one before.
    answer = asked("v1.33.12")
    assert answer.git_version == "v1.33.12"
    above = replace(LIMITS, min_version=(1, 34))
    assert judged(check, answer, above) == [("cluster", "1.33 is older than 1.34")]
    ((subject, problem),) = judged(check, answer, LIMITS)
    assert (subject, problem.split(";")[0]) == ("cluster", "support of 1.33 ended on 2026-06-28")


def test_fails_and_names_a_build_that_nobody_stamped(asked: Callable[[str], Version]) -> None:
    answer = asked("unstamped")
    assert answer.git_version == "v0.0.0-master+$Format:%H$"
    assert judged(check, answer, LIMITS) == [("cluster", "0.0 is older than 1.24")]
