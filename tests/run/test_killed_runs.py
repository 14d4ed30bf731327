"""A run that is killed leaves no report, or a whole one; what it had judged is not lost."""

import json
import os
import random
import signal
import subprocess
import time
from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from filelock import Timeout

from pytest_readiness.commands import render as command
from pytest_readiness.errors import ReadinessError
from pytest_readiness.record import locks
from pytest_readiness.report import schema
from pytest_readiness.results import model
from pytest_readiness.transport.traffic import Meter
from tests.run.project import (
    BAD,
    GOOD,
    READY_INI,
    Process,
    Project,
    check_source,
    checks_file,
    waited,
)

OWN = [f"shop-{name}" for name in ("one", "two", "three", "four")]
PACKAGED = ["rollback-undo", "rollback-previous", "rollback-database", "rollback-stable"]
POINTS = 30
# Runs until the test lets it go.
SLOW = f"import pathlib, time\nwhile not pathlib.Path('go').exists():\n    time.sleep(0.01)\n{GOOD}"
WHOLE = {*model.FILES, "facts", "journal.jsonl", "attestations"}


def render(run: Path) -> dict[str, bytes]:
    """Render a run; return the files of its report."""
    parser = ArgumentParser()
    command.arguments(parser)
    assert command.main(parser.parse_args([str(run)])) == 0
    return files(run)


def files(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in model.FILES if (run / name).exists()}


def start(project: Project, *args: str) -> Process:
    return project.start("-m", "readiness", *args, start_new_session=True)


def kill(process: Process, run: Path) -> None:
    """Kill a run with all its workers, and see that none of them writes to it any more."""
    with suppress(ProcessLookupError, PermissionError):  # it has ended; only zombies, on macOS
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert waited(lambda: is_free(run))


def is_free(run: Path) -> bool:
    if run.exists():
        try:
            locks.leave(locks.take(run))
        except Timeout:
            return False
    return True


def wait_for(process: Process, journal: Path, size: int) -> None:
    """Wait until the journal of a run has so many bytes, or the run has ended."""

    def reached() -> bool:
        there = journal.exists() and journal.stat().st_size >= size
        return there or process.poll() is not None

    assert waited(reached)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("shop"))
    project.write("readiness.ini", READY_INI)
    project.write("test_shop.py", checks_file(*(check_source(id, GOOD) for id in OWN)))
    return project


def assert_names_what_is_missing(run: Path) -> Any:
    """Render a killed run and compare it with its journal. Returns its report."""
    lines = (run / "journal.jsonl").read_bytes().split(b"\n")[:-1]
    records = [json.loads(line) for line in lines]
    pages = render(run)
    assert render(run) == pages
    report = json.loads(pages["report.json"])
    jsonschema.validate(report, schema.build())
    there = {record["sent"]["id"] for record in records if record["line"] == "result"}
    told = any(record["line"] == "own" for record in records)
    missing = {id for id in (*PACKAGED, *(OWN if told else ())) if id not in there}
    assert report["verdict"]["reasons"][0] == "the run was killed before it ended"
    assert (report["verdict"]["name"], report["verdict"]["exit_code"]) == ("INCOMPLETE", 6)
    assert set(report["completeness"]["missing"]) == missing
    outcomes = {item["id"]: item["outcome"] for item in report["items"]}
    assert {id for id in outcomes if outcomes[id] == "notchecked"} == missing
    text = pages["report.md"].decode()
    assert all(id in text for id in missing)
    left = {path.name for path in run.iterdir()} - WHOLE
    assert not left
    assert not [path for path in (run / "facts").iterdir() if path.name.startswith(".")]
    return report


def assert_whole_or_none(run: Path) -> str:
    """Judge what a killed run left. Returns which it is."""
    left = files(run)
    if "report.json" in left:
        jsonschema.validate(json.loads(left["report.json"]), schema.build())
        assert model.read(run / "report.json").verdict.name == "READY"
        pages = render(run)
        assert left.items() <= pages.items()
        return "whole"
    assert not left
    if b"\n" in ((run / "journal.jsonl").read_bytes() if run.exists() else b""):
        assert_names_what_is_missing(run)
        return "killed"
    with pytest.raises(ReadinessError, match=r"killed before it began|there is none, and no"):
        render(run)
    return "not begun"


def test_thirty_moments(shop: Project) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    began = time.monotonic()
    assert shop.run("-m", "readiness").code == 0
    length = time.monotonic() - began
    size = (shop.folder / "readiness-report/journal.jsonl").stat().st_size
    seen: dict[str, int] = {}
    for number in range(POINTS):
        run = shop.folder / f"run-{number}"
        workers = ("-n", "2") if number % 4 == 0 else ()
        process = start(shop, "--readiness-report", str(run), *workers)
        longest = length
        if number % 5 != 1:  # not at any time, but at any size of the journal, 0 and all included
            longest = 0.02
            least = 0 if number % 5 == 2 else chance.randint(1, size)
            wait_for(process, run / "journal.jsonl", least)
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, longest))
        kill(process, run)
        found = assert_whole_or_none(run)
        seen[found] = seen.get(found, 0) + 1
    print(f"{seen}, of {length:.1f} s")
    assert seen.get("killed", 0) > POINTS / 3


def test_a_run_in_the_directory_of_a_killed_one(shop: Project) -> None:
    run = shop.folder / "readiness-report"
    process = start(shop)
    assert waited(lambda: (run / ".run.lock").exists())
    kill(process, run)
    (run / ".run.lock").touch()
    (run / ".report.json.0badcafe").write_text("{")
    result = shop.run("-m", "readiness")
    assert result.code == 0, result.out
    assert {path.name for path in run.iterdir()} == WHOLE


def test_rendering_an_undisturbed_run_changes_nothing(shop: Project) -> None:
    result = shop.run("-m", "readiness", "-n", "2")
    assert result.code == 0, result.out
    before = files(shop.folder / "readiness-report")
    assert len(before) == len(model.FILES)
    (shop.folder / "readiness-report/report.md").unlink()
    assert render(shop.folder / "readiness-report") == before


def test_what_a_killed_run_had_judged_is_in_its_report(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("readiness.ini", READY_INI)
    sources = [check_source("shop-bad", BAD), check_source("shop-slow", SLOW)]
    project.write("test_shop.py", checks_file(*sources))
    run = project.folder / "readiness-report"
    process = start(project)
    journal = run / "journal.jsonl"
    assert waited(lambda: journal.exists() and b'"outcome":"fail"' in journal.read_bytes())
    with pytest.raises(ReadinessError, match="readiness-report: the run is still going"):
        render(run)
    kill(process, run)
    report = json.loads(render(run)["report.json"])
    assert (report["verdict"]["name"], report["verdict"]["exit_code"]) == ("NOT READY", 1)
    assert report["verdict"]["reasons"][0] == "the run was killed before it ended"
    bad, slow = report["items"][-2:]
    assert (bad["outcome"], bad["remediation"]) == ("fail", "Mend shop-bad.")
    assert bad["findings"] == [{"subject": "thing/a", "problem": "is too small"}]
    assert (slow["outcome"], slow["reason"]) == ("notchecked", "not run: the run was killed")
    assert report["completeness"]["missing"] == ["shop-slow"]
    assert report["settings"]["values"]["readiness"]["system"] == "shop"
    assert report["run"]["started"] < report["run"]["ended"]


def test_a_worker_that_outlives_its_run_keeps_others_out(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("readiness.ini", READY_INI)
    project.write("test_shop.py", checks_file(check_source("shop-slow", SLOW)))
    run = project.folder / "readiness-report"
    process = start(project, "-n", "2")
    try:
        journal = run / "journal.jsonl"
        held: set[str] = set()

        def judged() -> bool:
            # A worker for which nothing is left ends, and lets go.
            held.update(path.name for path in (run / "facts").glob(".worker-*"))
            return journal.exists() and journal.read_bytes().count(b"\n") >= 2 + len(PACKAGED)

        assert waited(judged)
        assert held == {".worker-gw0.lock", ".worker-gw1.lock"}
    finally:
        kill(process, run)
    # How long a worker outlives its run, nobody knows: this is one that takes its time.
    worker = locks.work(run, "gw0")
    with pytest.raises(ReadinessError, match="the run is still going"):
        render(run)
    again = project.run("-m", "readiness")
    assert again.code == 4
    assert "another run is writing to" in again.out
    locks.leave(worker)
    report = json.loads(render(run)["report.json"])
    assert report["completeness"]["missing"] == ["shop-slow"]


def test_what_a_killed_run_had_sent_is_in_its_report(shop: Project) -> None:
    run = shop.folder / "run-that-sent"
    process = start(shop, "--readiness-report", str(run))
    wait_for(process, run / "journal.jsonl", 1)
    kill(process, run)
    for name in model.FILES:  # it may have ended
        (run / name).unlink(missing_ok=True)
    for status in (200, 200, None):
        with Meter(run / "facts", "kubernetes https://a").request("GET", lambda: 60.0) as note:
            if status is not None:
                note(status)
    report = json.loads(render(run)["report.json"])
    one = {"target": "kubernetes https://a", "method": "GET"}
    assert report["traffic"] == [
        {**one, "status": None, "count": 1},
        {**one, "status": 200, "count": 2},
    ]
    assert not [path for path in (run / "facts").iterdir() if path.name.startswith(".")]
