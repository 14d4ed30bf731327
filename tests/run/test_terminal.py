"""What a person reads at the end of a run, and meanwhile."""

import os
import pty
import re
import select
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_readiness import lab
from pytest_readiness.lab.kubernetes.api import KubernetesApi, load_world
from pytest_readiness.lab.kubernetes.faults import Fault, PathAnswer
from tests.run.project import ALONE, BAD, Project, Result, check_source, checks_file
from tests.run.test_selection import INI, kubeconfig

WORLD = Path(lab.__file__).parent / "worlds/reference/kubernetes"
K8S = "k8s-version, k8s-connectivity, k8s-nodes, k8s-storage, k8s-network-policies"


@pytest.fixture
def shop(project: Project) -> Project:
    """Return a project with a pass, a fail, an error and an ordinary test that fails."""
    project.write("readiness.ini", INI)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        project.write("kubeconfig.yaml", kubeconfig(f"http://127.0.0.1:{unused.getsockname()[1]}"))
    breaks = check_source("shop-breaks", "secret = 1\nraise RuntimeError('boom')")
    project.write(
        "test_more.py",
        checks_file(check_source("shop-bad", BAD), breaks)
        + "\n@pytest.mark.ordinary\ndef test_plain():\n    assert 'left' == 'right'\n",
    )
    project.write("pytest.ini", "[pytest]\nmarkers = ordinary\n")
    return project


def assert_ends_in_the_verdict(result: Result) -> None:
    lines = result.out.rstrip().splitlines()
    verdict = next(n for n, line in enumerate(lines) if line.startswith("NOT READY (exit code 1)"))
    reasons = "\n".join(lines[verdict + 1 :])
    assert "  - 1 blocker fails: shop-bad" in reasons
    path = result.folder / "readiness-report/report.html"
    assert path.exists()
    assert reasons.removesuffix(str(path)).rstrip().endswith("report:")


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-q",),
        ("-vv", "-rA", "--tb=long", "--showlocals"),
        ("-n", "2", "-v", "--no-header", "--tb=short", "-rfE"),
        ("--color=yes", "--no-summary", "--tb=native"),
    ],
    ids=" ".join,
)
def test_the_last_lines_are_verdict_reasons_and_path(
    shop: Project, options: tuple[str, ...]
) -> None:
    result = shop.run("-m", "readiness", *options)
    assert result.code == 1, result.out
    plain = _without_colour(result.out)
    assert_ends_in_the_verdict(Result(result.code, plain, result.folder))
    assert "Traceback" not in plain
    assert "secret = 1" not in plain
    # Our items are told once, by cause, not again one by one in sections of pytest's.
    for heading in ("= FAILURES =", "= ERRORS =", "__ shop-bad", "__ test_shop_bad"):
        assert heading not in plain
    assert plain.count("thing/a: is too small") == 1
    assert plain.count("-> Mend shop-bad.") == 1


def test_one_dead_target_is_one_cause(shop: Project) -> None:
    result = shop.run("-m", "readiness")
    told = " ".join(result.out.split())
    assert result.out.count("connection refused") == 1
    assert f"connection refused: 5 items {K8S}" in told
    assert "6 could not be asked: " in told
    assert "no [clickhouse] in readiness.ini: 3 items ch-replicas" in told


def test_ordinary_tests_are_told_as_pytest_does(shop: Project) -> None:
    result = shop.run("-m", "readiness or ordinary", "-rA")
    assert result.code == 1, result.out
    assert "= FAILURES =" in result.out
    assert "E       AssertionError: assert 'left' == 'right'" in result.out
    assert "FAILED test_more.py::test_plain" in result.out
    assert "FAILED test_more.py::test_shop_bad" not in result.out
    assert_ends_in_the_verdict(result)


class TestLongQuestions:
    @pytest.fixture
    def slow(self, shop: Project) -> Project:
        shop.write("test_more.py", "")
        return shop

    def test_progress_where_somebody_watches(self, slow: Project) -> None:
        with _slow_api() as api:
            slow.write("kubeconfig.yaml", kubeconfig(api.url))
            shown = _on_a_terminal(slow, "-m", "readiness and kubernetes", "-n", "0")
        assert "asking kubernetes lab: list nodes (2 s)" in shown
        # What it wrote is gone before the summary, whose lines stand alone.
        assert "report.html" in shown[shown.rindex("asking") :]
        assert "asking" not in shown[shown.rindex("section") :]

    def test_nothing_of_it_in_a_file(self, slow: Project) -> None:
        with _slow_api() as api:
            slow.write("kubeconfig.yaml", kubeconfig(api.url))
            result = slow.run("-m", "readiness and kubernetes")
        assert "asking" not in result.out
        assert "\033" not in result.out


def _slow_api() -> KubernetesApi:
    return KubernetesApi(
        load_world(WORLD),
        answers=[PathAnswer(path="/api/v1/nodes", fault=Fault.SLOW, seconds=3.5)],
        tokens={"lab": "reader"},
    )


def _on_a_terminal(project: Project, *args: str) -> str:
    """Return what a run writes to a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pytest", *ALONE, *args]
    environment = {**os.environ, "COLUMNS": "120", "TERM": "xterm"}
    process = subprocess.Popen(
        command, cwd=project.folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    process.wait(timeout=30)
    return shown.decode(errors="replace")


def _read(descriptor: int) -> bytes:
    ready, _, _ = select.select([descriptor], [], [], 30)
    try:
        return os.read(descriptor, 4096) if ready else b""
    except OSError:  # Linux says so when the other end is closed, macOS gives nothing
        return b""


def _without_colour(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
