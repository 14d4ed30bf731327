"""A run can be judged again from its facts: without its systems, and a year later."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.run.project import GOOD, Project, Result, check_source, checks_file

INI = (
    "[readiness]\nsystem = shop\nenvironment = lab\nphase = verification\n{}\n[lab]\nfaults = {}\n"
)
FAULTS = "node-notready version-too-old storage-no-default services-forbidden ch-two-replicas"
# Whoever connects is noted and refused; the clock of the package is a year ahead.
SITE = """\
import datetime, os, socket
from pytest_readiness import clock

def refuse(*args, **kwargs):
    with open(os.environ["CONNECTED"], "a") as file:
        file.write(f"{args}\\n")
    raise OSError("there is no network")

for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, refuse)
socket.getaddrinfo = refuse
clock.now = lambda: datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=365)
"""
REPLAY = [sys.executable, "-c", "from pytest_readiness.cli import main; raise SystemExit(main())"]


def replay(project: Project, run: str, *args: str) -> Result:
    """Replay without any network, with a clock that is a year ahead."""
    project.write("site/sitecustomize.py", SITE)
    connected = project.folder / "connected"
    paths = [str(project.folder / "site"), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [*REPLAY, "replay", run, *args],
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "CONNECTED": str(connected)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert not connected.exists(), connected.read_text()
    return Result(done.returncode, done.stdout + done.stderr, project.folder, f"{run}-replay")


def judged(result: Result) -> dict[str, Any]:
    """Return what a replay must repeat: all but durations, the run itself and its settings.

    It is as old as the run whose facts it judges, or a replay would make them young again.
    """
    report = result.report
    items = [{**item, "duration": None} for item in report["items"]]
    kept = ("target", "checklist", "verdict", "completeness")
    run = {key: report["run"][key] for key in ("lab", "started", "ended")}
    return {"items": items, "run": run, **{key: report[key] for key in kept}}


def assert_same(first: Result, second: Result) -> None:
    assert second.code == first.code, second.out
    one, other = judged(first), judged(second)
    for mine, theirs in zip(one["items"], other["items"], strict=True):
        assert mine == theirs
    assert one == other
    assert json.dumps(one) == json.dumps(other)
    assert second.report["settings"] == first.report["settings"]
    for fact in (first.folder / first.report_name / "facts").iterdir():
        again = second.folder / second.report_name / "facts" / fact.name
        assert again.read_bytes() == fact.read_bytes()


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Return a whole run over the healthy lab; tests work on copies of it."""
    project = Project(tmp_path_factory.mktemp("healthy"))
    project.write("readiness.ini", INI.format("", ""))
    return project.run("-m", "readiness")


@pytest.fixture
def copied(healthy: Result, tmp_path: Path) -> Project:
    """Return a folder with a copy of the healthy run: `run`."""
    shutil.copytree(healthy.folder / healthy.report_name, tmp_path / "run")
    return Project(tmp_path)


def test_a_healthy_run(healthy: Result, copied: Project) -> None:
    again = replay(copied, "run")
    assert_same(healthy, again)
    passed = {id for id, outcome in again.outcomes().items() if outcome == "pass"}
    assert {"k8s-nodes", "k8s-version", "ch-backup", "ch-replication"} <= passed
    # And the replay, which has its facts, can be replayed.
    assert_same(healthy, replay(copied, "run-replay"))


def test_a_run_with_faults_by_several_workers(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("readiness.ini", INI.format("", FAULTS))
    first = project.run("-m", "readiness", "-n", "2")
    assert first.code == 1, first.out
    again = replay(project, "readiness-report")
    assert_same(first, again)
    outcomes = again.outcomes()
    assert {outcomes[id] for id in ("k8s-nodes", "k8s-version", "k8s-storage")} == {"fail"}
    assert (outcomes["k8s-connectivity"], outcomes["ch-replicas"]) == ("error", "fail")
    assert again.report["run"]["lab"] == FAULTS.split(", ")
    assert again.item("k8s-nodes")["findings"][0]["subject"] == "node/n3"


def test_a_run_whose_targets_are_dead(tmp_path: Path) -> None:
    project = Project(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    clusters = f'[{{"name":"a","cluster":{{"server":"http://127.0.0.1:{port}"}}}}]'
    contexts = '[{"name":"a","context":{"cluster":"a","user":"a"}}]'
    project.write("kubeconfig", f'{{"clusters":{clusters},"contexts":{contexts},"users":[]}}')
    project.write(
        "readiness.ini",
        f"""\
        [readiness]
        system = shop
        environment = test
        phase = verification
        [kubernetes]
        kubeconfig = kubeconfig
        context = a
        namespace = st-risk
        [clickhouse]
        url = clickhouse+http://reader@127.0.0.1:{port}/risk
        password = ${{env:SHOP_PASSWORD}}
        cluster = risk
        """,
    )
    project.environment["SHOP_PASSWORD"] = "correct-horse-battery"
    first = project.run("-m", "readiness")
    assert first.code == 6, first.out
    assert first.outcomes()["k8s-nodes"] == first.outcomes()["ch-disk"] == "error"
    # Neither the password nor the kubeconfig is there any more.
    (project.folder / "kubeconfig").unlink()
    assert_same(first, replay(project, "readiness-report"))


@pytest.mark.parametrize(
    "selection",
    [
        ("-m", "readiness and clickhouse"),
        ("readiness/infrastructure/kubernetes::k8s-nodes",),
        ("-m", "readiness", "-k", "k8s-nodes or ch-disk"),
    ],
    ids=["marker", "node id", "k"],
)
def test_a_partial_run(tmp_path: Path, selection: tuple[str, ...]) -> None:
    project = Project(tmp_path)
    project.write("readiness.ini", INI.format("", ""))
    first = project.run(*selection)
    assert first.report["verdict"]["name"] == "PARTIAL", first.out
    assert_same(first, replay(project, "readiness-report"))


def test_a_run_past_its_deadline(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("readiness.ini", INI.format("timeout = 1ms\ndeadline = 1ms", ""))
    first = project.run("-m", "readiness and kubernetes")
    assert first.code == 6, first.out
    assert "deadline" in first.item("k8s-nodes")["reason"]
    assert_same(first, replay(project, "readiness-report"))


def test_other_thresholds_turn_outcomes(healthy: Result, copied: Project) -> None:
    values = healthy.report["settings"]["values"]
    kubernetes, clickhouse = values["kubernetes"], values["clickhouse"]
    copied.write(
        "strict.ini",
        f"""\
        [readiness]
        system = shop
        environment = lab
        phase = verification
        [kubernetes]
        context = {kubernetes["context"]}
        namespace = {kubernetes["namespace"]}
        min_nodes = 9
        [clickhouse]
        url = {clickhouse["url"]}
        cluster = {clickhouse["cluster"]}
        max_backup_age = 1s
        """,
    )
    again = replay(copied, "run", "--readiness-ini", "strict.ini")
    assert again.code == 1, again.out
    turned = {id for id, outcome in again.outcomes().items() if outcome != healthy.outcomes()[id]}
    assert turned == {"k8s-nodes", "ch-backup"}
    assert again.outcomes()["k8s-nodes"] == again.outcomes()["ch-backup"] == "fail"


def _spoiled(project: Project, name: str, **values: object) -> None:
    path = project.folder / f"run/facts/{name}.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **values}))


def test_facts_that_cannot_be_read_are_errors_by_item(copied: Project) -> None:
    fact = json.loads((copied.folder / "run/facts/k8s_nodes.json").read_bytes())
    _spoiled(copied, "k8s_nodes", answer={**fact["answer"], "weather": "fine"})
    _spoiled(copied, "k8s_version", schema="pytest-readiness/fact/v9")
    (copied.folder / "run/facts/ch_disks.json").unlink()
    again = replay(copied, "run")
    assert again.code == 6, again.out
    outcomes = again.outcomes()
    assert (outcomes["k8s-nodes"], outcomes["k8s-version"]) == ("error", "error")
    assert "unknown field `weather`" in again.item("k8s-nodes")["reason"]
    assert "fact/v9" in again.item("k8s-version")["reason"]
    assert outcomes["ch-disk"] == "notchecked"
    assert "was not asked in the recorded run" in again.item("ch-disk")["reason"]
    assert outcomes["ch-backup"] == "notchecked"  # which disks are remote, it has from ch_disks
    assert outcomes["k8s-storage"] == outcomes["ch-replication"] == "pass"


@pytest.mark.parametrize("name", ["k8s_identity", "ch_identity"])
@pytest.mark.parametrize("text", [b'{"schema": "pytest-', b"\xff\xfe", b"[]"])
def test_a_broken_first_fact_does_not_break_the_replay(
    copied: Project, name: str, text: bytes
) -> None:
    (copied.folder / f"run/facts/{name}.json").write_bytes(text)
    again = replay(copied, "run")
    assert again.code == 6, again.out
    assert "Traceback" not in again.out
    assert "INTERNALERROR" not in again.out
    assert again.report["verdict"]["name"] == "INCOMPLETE"


def test_a_check_of_the_project_is_not_checked_by_name(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("readiness.ini", INI.format("", "").partition("[lab]")[0])
    project.write("test_shop.py", checks_file(check_source("shop-one", GOOD)))
    first = project.run("-m", "readiness")
    assert first.outcomes()["shop-one"] == "pass"
    again = replay(project, "readiness-report")
    assert again.code == 6
    assert again.outcomes()["shop-one"] == "notchecked"
    assert "is not replayed" in again.item("shop-one")["reason"]
    assert "shop-one" in again.out
    only_own = project.run("test_shop.py::test_shop_one", "-m", "readiness")
    assert only_own.outcomes()["shop-one"] == "pass"
    refused = replay(project, "readiness-report")
    assert (refused.code, len(refused.out.splitlines())) == (4, 1)
    others = {id: it for id, it in first.outcomes().items() if id != "shop-one"}
    assert others.items() <= again.outcomes().items()


def test_a_replay_into_its_own_run_is_refused(copied: Project) -> None:
    before = sorted((copied.folder / "run").rglob("*"))
    again = replay(copied, "run", "--readiness-report", "run")
    assert again.code == 4
    assert "is what is replayed: name another --readiness-report" in again.out
    assert sorted((copied.folder / "run").rglob("*")) == before


@pytest.mark.parametrize("key", ["started", "ended"])
def test_a_run_of_no_time_is_refused_in_one_line(copied: Project, key: str) -> None:
    path = copied.folder / "run" / "report.json"
    report = json.loads(path.read_text())
    report["run"][key] = "soon"
    path.write_text(json.dumps(report))
    again = replay(copied, "run")
    assert (again.code, len(again.out.strip().splitlines())) == (4, 1)
    assert "not a readable run: Invalid isoformat string: 'soon'" in again.out


@pytest.mark.parametrize("run", ["nowhere", "site"])
def test_a_folder_that_is_no_run_is_refused_in_one_line(tmp_path: Path, run: str) -> None:
    project = Project(tmp_path)
    again = replay(project, run)
    assert again.code == 4
    assert len(again.out.strip().splitlines()) == 1
    assert "report.json" in again.out
    assert not (tmp_path / f"{run}-replay").exists()


def test_a_run_says_what_it_has_sent_and_a_replay_sends_nothing(
    healthy: Result, copied: Project
) -> None:
    sent = healthy.report["traffic"]
    assert {one["target"].split()[0] for one in sent} == {
        "clickhouse",
        "clickhouse-backup",
        "kubernetes",
    }
    assert all(one["status"] == 200 and one["count"] > 0 for one in sent)
    page = (healthy.folder / healthy.report_name / "report.html").read_text()
    assert all(one["target"] in page for one in sent)
    assert replay(copied, "run").report["traffic"] == []
