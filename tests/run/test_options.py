"""The options of a run, and what they override."""

import pytest

from tests.run.project import BAD, GOOD, Project, check_source, checks_file


def test_the_phase_of_the_command_line(project: Project) -> None:
    result = project.run("-m", "readiness", "--readiness-phase", "review")
    assert result.report["target"]["phase"] == "review"
    phases = {item["phase"] for item in result.report["items"]}
    assert phases == {"review"}
    result = project.run("-m", "readiness", "--readiness-phase=all", "--collect-only", "-q")
    assert result.code == 0, result.out
    assert sum(line.startswith("readiness/") for line in result.out.splitlines()) > 105


def test_the_safety_of_the_command_line(project: Project) -> None:
    # A check that the ceiling forbids is not run, and is not a pass.
    result = project.run("-m", "readiness", "--readiness-safety", "S0")
    assert result.code == 6, result.out
    assert result.report["run"]["safety"] == "S0"
    assert result.item("shop-one")["reason"] == "needs S1, the ceiling is S0"


def test_the_settings_may_lie_elsewhere(project: Project) -> None:
    (project.folder / "readiness.ini").rename(project.folder / "other.ini")
    below = Project(project.folder / "below")
    below.write("test_here.py", checks_file(check_source("shop-here", GOOD)))
    result = below.run("-m", "readiness", "--readiness-ini", "../other.ini")
    assert result.code == 0, result.out
    assert result.report["target"]["system"] == "shop"
    assert result.outcomes()["shop-here"] == "pass"


@pytest.mark.parametrize("folder", ["out", "deep/er/out"])
def test_the_run_directory(project: Project, folder: str) -> None:
    result = project.run("-m", "readiness", "--readiness-report", folder)
    assert result.code == 0, result.out
    written = {path.name for path in (project.folder / folder).iterdir()}
    whole = {"report.json", "report.html", "report.md", "facts", "journal.jsonl", "attestations"}
    assert written == whole
    assert not (project.folder / "readiness-report").exists()


def test_a_second_run_replaces_the_first(project: Project) -> None:
    assert project.run("-m", "readiness").code == 0
    project.write("readiness-report/notes.txt", "mine")
    project.write("test_bad.py", checks_file(check_source("shop-bad", BAD)))
    result = project.run("-m", "readiness")
    assert (result.code, result.report["verdict"]["name"]) == (1, "NOT READY")
    assert (project.folder / "readiness-report/notes.txt").read_text() == "mine"


def test_the_markers_and_options_are_told(project: Project) -> None:
    assert "@pytest.mark.readiness" in project.run("--markers").out
    assert "--readiness-ini" in project.run("--help").out
    assert not (project.folder / "readiness-report").exists()
