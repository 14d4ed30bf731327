"""The whole lab as its users have it: a process that starts, serves, and leaves nothing."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_readiness.errors import ReadinessError
from pytest_readiness.lab import clickhouse, kubernetes, reference
from pytest_readiness.lab.kubernetes.api import load_world
from pytest_readiness.lab.process import LabProcess
from pytest_readiness.record.identity import FAULTS_UNKNOWN
from pytest_readiness.targets.kubernetes.section import LAB_CLUSTER
from tests.run.project import Project

LAB_INI = """\
[readiness]
system = st-risk-platform
environment = lab
phase = verification

[lab]
faults = {faults}
"""


@pytest.fixture
def temporary(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return an environment whose temporary directory is seen to be empty afterwards."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    yield {**os.environ, "TMPDIR": str(folder)}
    assert list(folder.iterdir()) == []


def start(environment: dict[str, str], *args: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", *args],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_ini(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    lines: list[str] = []
    while not any(line.startswith("backup_api") for line in lines):
        line = process.stdout.readline()
        assert line, process.communicate()
        lines.append(line)
    return "".join(lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stops_cleanly(temporary: dict[str, str], number: signal.Signals) -> None:
    process = start(temporary, "pytest_readiness.cli", "lab")
    ini = read_ini(process)
    assert "; the lab, healthy" in ini
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def test_ends_with_its_parent(temporary: dict[str, str]) -> None:
    code = (
        "import os, sys; from pytest_readiness.lab.process import LabProcess;"
        "lab = LabProcess([]); print(lab._process.pid, flush=True); os._exit(1)"
    )
    parent = subprocess.run(
        [sys.executable, "-c", code], env=temporary, stdout=subprocess.PIPE, text=True, check=False
    )
    pid = int(parent.stdout)
    for _ in range(200):
        if not _alive(pid):
            return
        signal.sigtimedwait([], 0.05) if hasattr(signal, "sigtimedwait") else None
    raise AssertionError("the lab outlived its parent")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def test_two_run_side_by_side() -> None:
    first, second = LabProcess([]), LabProcess(["node-notready"])
    try:
        assert first.values["clickhouse"]["url"] != second.values["clickhouse"]["url"]
        for lab in (first, second):
            url = lab.values["clickhouse"]["url"].removeprefix("clickhouse+")
            address = url.replace("reader@", "").rsplit("/", 1)[0]
            with urllib.request.urlopen(f"{address}/ping", timeout=10) as answer:
                assert answer.read() == b"Ok.\n"
    finally:
        first.stop()
        second.stop()


def test_the_ini_it_prints_is_one(tmp_path: Path) -> None:
    process = start(dict(os.environ), "pytest_readiness.cli", "lab", "--fault", "node-notready")
    project = Project(tmp_path)
    project.write("readiness.ini", read_ini(process))
    result = project.run("-m", "readiness and kubernetes")
    process.terminate()
    process.communicate(timeout=20)
    assert result.code == 1
    assert result.outcomes()["k8s-nodes"] == "fail"
    # This run did not start it, and sees all the same that it is the lab.
    assert result.report["run"]["lab"] == [FAULTS_UNKNOWN]
    assert "LAB" in (tmp_path / "readiness-report/report.html").read_text().split("</title>")[0]


def test_a_report_made_on_it_says_so(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("readiness.ini", LAB_INI.format(faults=""))
    result = project.run("-m", "readiness and infrastructure and not monitoring", "-n", "2")
    passed = [id for id, outcome in result.outcomes().items() if outcome == "pass"]
    assert passed == [
        "k8s-version",
        "k8s-connectivity",
        "k8s-nodes",
        "k8s-storage",
        "k8s-network-policies",
        "ch-replicas",
        "ch-replication",
        "ch-backup",
        "ch-disk",
    ]
    assert result.report["run"]["lab"] == []
    html = (tmp_path / "readiness-report/report.html").read_text()
    title = html.split("<title>")[1].split("</title>")[0]
    assert "LAB" in title
    assert list((tmp_path / "readiness-report/facts").glob(".*")) == []


def test_faults_in_the_ini_are_named_in_the_report(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("readiness.ini", LAB_INI.format(faults="node-notready, no-such-fault"))
    result = project.run("-m", "readiness")
    assert result.code == 4
    assert "the lab has no fault no-such-fault" in result.out

    project.write("readiness.ini", LAB_INI.format(faults="node-notready"))
    result = project.run("-m", "readiness and kubernetes")
    assert result.code == 1
    assert result.report["run"]["lab"] == ["node-notready"]


def test_every_fault_declares_items_of_the_catalogue() -> None:
    from pytest_readiness import catalogue

    for name, fault in reference.faults().items():
        assert fault.turns.keys() <= catalogue.by_id().keys(), name
        assert fault.says.strip().endswith("."), name
        assert fault.changes, name


def test_each_judged_item_has_at_least_five_faults() -> None:
    turned: dict[str, list[str]] = {}
    for name, fault in reference.faults().items():
        for id in fault.turns:
            turned.setdefault(id, []).append(name)
    assert len(turned) >= 9
    assert [id for id, names in turned.items() if len(names) < 5] == []


def test_an_unknown_fault_is_named_with_its_nearest() -> None:
    with pytest.raises(ReadinessError, match="did you mean node-notready"):
        reference.named(["node-notredy"])


def test_list_faults_says_what_each_turns() -> None:
    out = Project(Path()).command("lab", "--list-faults").out
    assert "node-notready\n" in out
    assert "turns k8s-nodes to fail" in out


def test_thresholds_may_stand_beside_the_lab_and_addresses_may_not(tmp_path: Path) -> None:
    project = Project(tmp_path)
    ini = LAB_INI.format(faults="")
    project.write("readiness.ini", ini + "\n[kubernetes]\nmin_nodes = 9\n")
    result = project.run("-m", "readiness", "-k", "k8s-nodes")
    assert result.outcomes()["k8s-nodes"] == "fail"

    project.write("readiness.ini", ini + "\n[kubernetes]\ncontext = prod\nnamespace = shop\n")
    result = project.run("-m", "readiness")
    assert result.code == 4
    assert "readiness.ini:10: [kubernetes] context" in result.out


def values_of(process: "subprocess.Popen[str]") -> Any:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def test_as_a_child_it_ends_with_its_input() -> None:
    with tempfile.TemporaryDirectory() as folder:
        process = start({**os.environ, "TMPDIR": folder}, "pytest_readiness.lab", "--json")
        assert values_of(process)["kubernetes"]["context"] == "lab"
        process.communicate(timeout=20)
        assert process.returncode == 0
        assert os.listdir(folder) == []


def test_the_cluster_of_the_lab_is_the_one_that_runs_know() -> None:
    world = load_world(kubernetes.WORLD)
    uids = [it["metadata"]["uid"] for it in world if it["metadata"]["name"] == "kube-system"]
    assert uids == [LAB_CLUSTER]


def test_says_what_to_install_without_its_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clickhouse, "find_spec", lambda name: None)
    with pytest.raises(ReadinessError, match=r"pip install 'pytest-readiness\[lab\]'"):
        reference.Platform([])
