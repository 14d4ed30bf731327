"""The tier itself: programs are found or named, servers are shared and never left behind."""

import importlib
import os
import pkgutil
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import tests.servers
from tests.servers.processes import Process, StartError, free_port, listens, serving
from tests.servers.programs import BUILT, PACKAGES, ROOT, find, need
from tests.servers.shared import shared

PATIENCE = 30.0
ASSETS = ("TEST_ASSET_KUBE_APISERVER", "TEST_ASSET_ETCD", "KUBEBUILDER_ASSETS")

# Every server of this folder, and the programs it needs.
SERVERS = {
    found.name: module.PROGRAMS
    for found in pkgutil.iter_modules(tests.servers.__path__)
    if not found.name.startswith("test_")
    and hasattr(module := importlib.import_module(f"tests.servers.{found.name}"), "PROGRAMS")
}


@contextmanager
def run(folder: Path) -> Iterator[dict[str, Any]]:
    """Serve a folder: the smallest server there is, as tests.servers.shared wants it."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    with serving(command, folder / "logs" / "files.log", lambda: listens(port)) as server:
        yield {"port": port, "pid": server.pid}


@pytest.fixture
def no_assets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ASSETS:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_assets")
def test_programs_are_found_as_envtest_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets, named = tmp_path / "assets", tmp_path / "named-etcd"
    assets.mkdir()
    for program in (assets / "etcd", assets / "kube-apiserver", named):
        program.touch()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    monkeypatch.setenv("TEST_ASSET_ETCD", str(named))
    assert find("etcd") == named
    assert find("kube-apiserver") == assets / "kube-apiserver"
    # What setup-envtest does not bring comes from where `make servers` put it.
    assert find("kwok") in (None, BUILT / "bin" / "kwok")


def test_a_missing_program_skips_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("READINESS_REQUIRE_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program is missing: make servers"):
        need("no-such-program")


def test_a_missing_program_fails_where_all_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("READINESS_REQUIRE_SERVERS", "1")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is missing: make servers"):
        need("no-such-program")


def test_the_packages_that_are_missing_are_those_whose_programs_are_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sort").symlink_to(shutil.which("sort") or "")
    monkeypatch.setenv("PATH", str(tmp_path))
    told = subprocess.run(
        [ROOT / "tests/servers/missing.sh"], capture_output=True, text=True, check=True
    )
    missing = {package for name, package in PACKAGES.items() if find(name) is None}
    assert set(told.stdout.split()) == missing
    assert "skopeo" in missing


def test_a_server_that_ends_at_once_says_its_last_lines(tmp_path: Path) -> None:
    ends = Process([sys.executable, "-c", "raise SystemExit('no quorum')"], tmp_path / "a.log")
    with pytest.raises(StartError, match="ended with 1:\n  no quorum"):
        ends.wait_until(lambda: False)


USER = """
import sys, time
from pathlib import Path
from tests.servers.shared import shared
class Factory:
    def getbasetemp(self):
        return Path(sys.argv[1])
with shared(Factory(), "tests.servers.test_tier") as said:
    print(said["port"], said["pid"], flush=True)
    sys.stdin.read()
"""


def _user(folder: Path) -> "subprocess.Popen[str]":
    worker = folder / "worker"
    worker.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(worker)],
        cwd=ROOT,
        env=os.environ | {"PYTEST_XDIST_WORKER": "gw0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _said(user: "subprocess.Popen[str]") -> list[str]:
    assert user.stdout is not None
    return user.stdout.readline().split()


def _gone(port: int) -> bool:
    until = time.monotonic() + PATIENCE
    while listens(port) and time.monotonic() < until:
        time.sleep(0.05)
    return not listens(port)


def test_workers_share_one_server_that_ends_with_the_last_of_them(tmp_path: Path) -> None:
    one, two = _user(tmp_path), _user(tmp_path)
    said = _said(one)
    assert _said(two) == said
    one.communicate()
    assert listens(int(said[0]))
    two.communicate()
    assert _gone(int(said[0]))


def test_a_worker_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    user = _user(tmp_path)
    port = int(_said(user)[0])
    assert listens(port)
    user.kill()
    user.communicate()
    assert _gone(port)


def test_a_server_that_is_gone_is_started_anew(tmp_path: Path) -> None:
    first = _user(tmp_path)
    said = _said(first)
    first.communicate()
    assert _gone(int(said[0]))
    second = _user(tmp_path)
    again = _said(second)
    assert listens(int(again[0]))
    assert again[1] != said[1]
    second.communicate()


def test_a_server_that_does_not_start_is_told_to_every_worker(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    for _ in range(2):
        with (
            pytest.raises(pytest.fail.Exception, match="No module named 'tests"),
            shared(tmp_path_factory, "tests.servers.nothing"),
        ):
            raise AssertionError("it cannot start")


KEEPER = """
import importlib, sys
from pathlib import Path
with importlib.import_module("tests.servers." + sys.argv[1]).run(Path(sys.argv[2])) as said:
    print(*said, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_listens_on_loopback_alone_and_is_gone_with_its_keeper(
    name: str, tmp_path: Path
) -> None:
    need(*SERVERS[name])
    with subprocess.Popen(
        [sys.executable, "-c", KEEPER, name, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as keeper:
        assert keeper.stdout is not None
        assert keeper.stdout.readline(), "it did not start"
        listening = [
            connection.laddr
            for process in psutil.Process(keeper.pid).children()
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        keeper.kill()
    assert {where.ip.removeprefix("::ffff:") for where in listening} == {"127.0.0.1"}
    assert all(_gone(where.port) for where in listening)
