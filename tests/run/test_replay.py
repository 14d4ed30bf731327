"""A run can be judged again from its facts: without its systems, and a year later."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_readiness import catalogue
from pytest_readiness.record.facts import Flaw, digests, flaws
from pytest_readiness.results import model
from tests.run.project import BAD, GOOD, Project, Result, check_source, checks_file

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


def facts_of(result: Result) -> dict[str, str]:
    return {one["name"]: one["sha256"] for one in result.report["facts"]}


def assert_same(first: Result, second: Result) -> None:
    assert second.code == first.code, second.out
    one, other = judged(first), judged(second)
    for mine, theirs in zip(one["items"], other["items"], strict=True):
        assert mine == theirs
    assert one == other
    assert json.dumps(one) == json.dumps(other)
    assert second.report["settings"] == first.report["settings"]
    assert second.report["facts"] == first.report["facts"]
    assert second.report["run"]["replay"] is not None
    verdict = second.report["verdict"]
    assert f"REPLAY: {verdict['name']} (exit code {verdict['exit_code']})" in second.out
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
    twice = replay(copied, "run-replay")
    assert_same(healthy, twice)
    assert again.report["run"]["replay"] == healthy.report["run"]["id"]
    assert twice.report["run"]["replay"] == again.report["run"]["id"]


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
    """Change a fact, and have the report say that the run recorded it so."""
    path = project.folder / f"run/facts/{name}.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **values}))
    _recorded(project)


def _recorded(project: Project) -> None:
    facts = [msgspec.to_builtins(one) for one in digests(project.folder / "run")]
    _report(project, facts=facts)


def _report(project: Project, **values: object) -> None:
    path = project.folder / "run/report.json"
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
    _recorded(copied)
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


@pytest.mark.parametrize("how", ["--continue-on-collection-errors", "--ignore=sub"])
def test_looser_limits_do_not_hide_what_was_beside_a_fail(tmp_path: Path, how: str) -> None:
    project = Project(tmp_path)
    others = "".join(
        f"{item.id} = not in this test\n"
        for item in catalogue.for_phase("verification")
        if item.id != "ch-replicas"
    )
    ini = INI.format("", "ch-two-replicas") + f"[not_applicable]\n{others}"
    project.write("readiness.ini", ini)
    source = "import gone_for_good  # pytest_readiness\n"
    if how == "--ignore=sub":
        source = checks_file(check_source("shop-bad", BAD))
    project.write("sub/test_own.py", source)
    first = project.run("-m", "readiness", how)
    assert first.code == 1
    looser = ini.replace("[lab]\nfaults = ch-two-replicas\n", "[clickhouse]\nmin_replicas = 2\n")
    place = "url = clickhouse+http://r@127.0.0.1:1/risk\ncluster = risk\n"
    project.write("loose.ini", looser.replace("min_replicas", f"{place}min_replicas"))
    second = replay(project, "readiness-report", "--readiness-ini", "loose.ini")
    assert second.outcomes()["ch-replicas"] == "pass"
    assert second.code not in (0, 5)
    assert "ended-otherwise" in second.report["verdict"]["why"]


# Facts of another run


def test_every_fact_of_a_run_is_in_its_report(healthy: Result) -> None:
    folder = healthy.folder / healthy.report_name
    said = {f"facts/{path.name}": path.read_bytes() for path in (folder / "facts").iterdir()}
    assert facts_of(healthy) == {
        name: hashlib.sha256(data).hexdigest() for name, data in said.items()
    }
    named = {proof["fact"] for item in healthy.report["items"] for proof in item["evidence"]}
    assert named <= facts_of(healthy).keys()
    report = model.read(folder / "report.json")
    assert (report.run.replay, list(flaws(report, folder))) == (None, [])
    for page, line in (("report.html", "REPLAY"), ("report.md", "REPLAY")):
        assert line not in (folder / page).read_text()


def test_the_facts_of_a_healthy_run_do_not_mend_another_one(
    healthy: Result, tmp_path: Path
) -> None:
    project = Project(tmp_path)
    project.write("readiness.ini", INI.format("", "node-notready"))
    first = project.run("-m", "readiness and kubernetes")
    assert first.outcomes()["k8s-nodes"] == "fail"
    facts = tmp_path / first.report_name / "facts"
    shutil.copy(healthy.folder / healthy.report_name / "facts/k8s_nodes.json", facts)
    shutil.copy(healthy.folder / healthy.report_name / "facts/ch_disks.json", facts)
    again = replay(project, "readiness-report")
    assert again.code == 6, again.out
    assert again.item("k8s-nodes")["outcome"] == "error"
    assert "it is not the fact that the run recorded" in again.item("k8s-nodes")["reason"]
    # Nor does a replay of the replay, which has the facts as that one had them.
    twice = replay(project, "readiness-report-replay")
    assert (twice.code, twice.item("k8s-nodes")["outcome"]) == (6, "error")
    assert "ch_disks: " not in twice.out


@pytest.mark.parametrize("asked_at", ["2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z", "yesterday"])
@pytest.mark.parametrize("recorded", [True, False])
def test_a_fact_of_another_time_is_an_error(copied: Project, asked_at: str, recorded: bool) -> None:
    _spoiled(copied, "k8s_nodes", asked_at=asked_at)
    if not recorded:  # by a version that had no digests
        _report(copied, facts=None)
    again = replay(copied, "run")
    assert (again.code, again.item("k8s-nodes")["outcome"]) == (6, "error")
    assert "facts/k8s_nodes.json: read the recorded fact" in again.item("k8s-nodes")["reason"]


def test_a_fact_that_was_added_answers_nothing(copied: Project) -> None:
    report = json.loads((copied.folder / "run/report.json").read_text())
    kept = [one for one in report["facts"] if one["name"] != "facts/k8s_nodes.json"]
    _report(copied, facts=kept)
    again = replay(copied, "run")
    assert (again.code, again.item("k8s-nodes")["outcome"]) == (6, "error")
    assert "the run recorded no such fact" in again.item("k8s-nodes")["reason"]


def test_the_last_fact_of_a_killed_run_is_of_it(copied: Project) -> None:
    run = copied.folder / "run"
    for name in model.FILES:
        (run / name).unlink()
    journal = run / model.JOURNAL
    journal.write_bytes(journal.read_bytes().splitlines(keepends=True)[0])
    assert copied.command("render", "run").code == 0
    found = {one.flaw for one in flaws(model.read(run / "report.json"), run)}
    assert Flaw.OUTSIDE not in found
    assert len(model.read(run / "report.json").facts or ()) > 10
