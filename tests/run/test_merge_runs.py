"""`readiness merge`, from runs that pytest made to the files of the merge."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.run.project import BAD, READY_INI, Project, Result, check_source, checks_file
from tests.signoff.keys import person

OWN = "readiness and not rollback"  # what is left of the phase: the project's own checks


def readiness(project: Project, *words: str) -> Result:
    done = project.command(*words)
    return Result(done.code, done.out, project.folder, "readiness-merged")


def part(project: Project, name: str, expression: str, *args: str) -> Any:
    ran = project.run("-m", expression, "--readiness-report", name, *args)
    ran.report_name = name
    assert ran.report["verdict"]["name"] == "PARTIAL", ran.out
    return ran.report


def test_two_sections_by_two_runs_are_ready_together(project: Project) -> None:
    packaged = part(project, "one", "readiness and rollback")
    own = part(project, "two", OWN)
    merged = readiness(project, "merge", "one", "two")
    assert merged.code == 0, merged.out
    report = merged.report
    assert report["verdict"]["name"] == "READY"
    assert "READY (exit code 0)" in merged.out
    assert {item["outcome"] for item in report["items"]} == {"pass", "notapplicable"}
    assert [shard["id"] for shard in report["run"]["shards"]] == [
        packaged["run"]["id"],
        own["run"]["id"],
    ]
    data = (project.folder / "two/report.json").read_bytes()
    assert report["run"]["shards"][1]["sha256"] == hashlib.sha256(data).hexdigest()
    assert report["run"]["ended"] == packaged["run"]["ended"]
    assert report["run"]["command"].startswith("readiness merge one two")
    for page in ("report.html", "report.md"):
        assert own["run"]["id"] in (project.folder / "readiness-merged" / page).read_text()


def make_with_edited_report(project: Project) -> None:
    """Make the runs one and two; the fail of the second reads as a pass."""
    project.write("test_shop.py", checks_file(check_source("shop-one", BAD)))
    part(project, "one", "readiness and rollback")
    part(project, "two", OWN)
    report = project.folder / "two" / "report.json"
    report.write_text(report.read_text().replace('"outcome": "fail"', '"outcome": "pass"'))


def test_a_report_that_somebody_has_edited_is_refused(project: Project) -> None:
    make_with_edited_report(project)
    merged = readiness(project, "merge", "one", "two")
    assert (merged.code, merged.out) == (
        4,
        "two/report.json: it is not the report that its run attested\n",
    )
    (project.folder / "two/attestations/test-result.statement.json").write_text("{}")
    merged = readiness(project, "merge", "one", "two")
    assert (merged.code, len(merged.out.splitlines())) == (4, 1)
    assert "test-result.statement.json: cannot be read" in merged.out


STATEMENT = "two/attestations/test-result.statement.json"


def test_an_edited_report_whose_attestation_is_gone_is_refused(project: Project) -> None:
    make_with_edited_report(project)
    shutil.rmtree(project.folder / "two/attestations")
    merged = readiness(project, "merge", "one", "two")
    assert (merged.code, len(merged.out.splitlines())) == (4, 1)
    assert f"{STATEMENT}: cannot be read: No such file" in merged.out
    assert not (project.folder / "readiness-merged").exists()


def test_an_edited_merge_is_refused_too(project: Project) -> None:
    part(project, "one", "readiness and rollback")
    part(project, "two", OWN)
    assert readiness(project, "merge", "one", "--readiness-report", "first").code == 6
    report = project.folder / "first" / "report.json"
    report.write_text(report.read_text().replace("notchecked", "pass"))
    for _ in range(2):
        merged = readiness(project, "merge", "first", "two")
        assert (merged.code, len(merged.out.splitlines())) == (4, 1)
        shutil.rmtree(project.folder / "first/attestations", ignore_errors=True)


@pytest.mark.parametrize("where", ["every run", "the main ini"])
def test_where_a_key_of_the_ci_is_named_every_run_has_signed(
    project: Project, where: str, tmp_path: Path
) -> None:
    ci = person(tmp_path, "ci@example.org")
    signing = READY_INI.replace("[not_app", f"ci_key = {ci.key}\n[not_app")
    project.write("main.ini", signing)
    project.write("readiness.ini", READY_INI if where == "the main ini" else signing)
    part(project, "one", "readiness and rollback")
    part(project, "two", OWN)
    main = ["--readiness-ini", "main.ini"] if where == "the main ini" else []
    signature = project.folder / f"{STATEMENT}.sig"
    if where == "every run":
        assert readiness(project, "merge", "one", "two", "--readiness-report", "good").code == 0
        assert readiness(project, "merge", "good", "--readiness-report", "again").code == 0
        (project.folder / "good/attestations/test-result.statement.json.sig").unlink()
        assert readiness(project, "merge", "good", "--readiness-report", "third").code == 4
        shutil.copy(project.folder / f"{STATEMENT}.sig".replace("two", "one"), signature)
        merged = readiness(project, "merge", "one", "two")
        assert (merged.code, f"{STATEMENT}.sig: " in merged.out) == (4, True), merged.out
        signature.unlink()
    merged = readiness(project, "merge", "two", "one", *main)
    assert (merged.code, len(merged.out.splitlines())) == (4, 1)
    assert f"{STATEMENT}.sig: cannot be read: No such file" in merged.out


def test_a_run_that_was_killed_and_a_replay_can_be_merged(project: Project) -> None:
    part(project, "one", "readiness and rollback")
    part(project, "two", OWN)
    for name in ("report.json", "report.html", "report.md"):
        (project.folder / "two" / name).unlink()
    assert project.command("render", "two").code == 0
    killed = readiness(project, "merge", "one", "two", "--readiness-report", "killed")
    assert killed.code == 6, killed.out
    assert "REPLAY: INCOMPLETE" in project.command("replay", "one").out
    merged = readiness(project, "merge", "one-replay")
    assert "REPLAY: INCOMPLETE" in merged.out


def test_a_lost_section_stays_incomplete(project: Project) -> None:
    part(project, "two", OWN)
    merged = readiness(project, "merge", "two")
    assert merged.code == 6
    assert merged.report["verdict"]["name"] == "INCOMPLETE"
    assert merged.item("rollback-undo")["reason"] == "no run was asked for it"
    assert "rollback-undo" in merged.out


def test_a_fail_in_one_run_is_a_fail_of_the_whole(project: Project) -> None:
    part(project, "one", "readiness and rollback")
    part(project, "two", OWN)
    project.write("test_shop.py", checks_file(check_source("shop-one", BAD)))
    part(project, "three", OWN)
    merged = readiness(project, "merge", "one", "two", "three")
    assert (merged.code, merged.report["verdict"]["name"]) == (1, "NOT READY")
    assert merged.item("shop-one")["findings"][0]["subject"] == "thing/a"


def test_a_test_that_failed_beside_the_items_is_not_forgotten(project: Project) -> None:
    part(project, "one", "readiness and rollback")
    project.write(
        "test_other.py", "import pytest\n\n@pytest.mark.readiness\ndef test_it():\n    assert 0\n"
    )
    beside = project.run("-m", OWN, "--readiness-report", "two")
    assert beside.code == 1, beside.out
    merged = readiness(project, "merge", "one", "two")
    assert merged.code != 0
    assert "READY" not in merged.report["verdict"]["name"].split()


def test_an_item_elsewhere_is_judged_by_the_run_of_that_environment(project: Project) -> None:
    lines = READY_INI.splitlines(keepends=True)
    undo = next(line for line in lines if line.startswith("rollback-undo"))
    staging = "".join(lines).replace("environment = test", "environment = staging")
    elsewhere = (
        "".join(line for line in lines if line != undo) + "\n[elsewhere]\nrollback-undo = staging\n"
    )
    project.write("readiness.ini", elsewhere)
    project.write("staging.ini", staging)
    alone = project.run("-m", "readiness", "--readiness-report", "one")
    assert alone.code == 6, alone.out
    project.run("-m", "readiness", "--readiness-ini", "staging.ini", "--readiness-report", "two")
    lacking = readiness(project, "merge", "one", "--readiness-report", "without")
    assert lacking.code == 6
    assert "judged by a run of staging" in lacking.out
    merged = readiness(project, "merge", "one", "two")
    assert merged.code == 0, merged.out
    assert merged.item("rollback-undo")["environment"] == "staging"
    # With the main ini the order is free; where there is none, the first run says which it is.
    other = readiness(project, "merge", "two", "one", "--readiness-report", "m2")
    assert other.code == 0, other.out
    (project.folder / "readiness.ini").rename(project.folder / "main.ini")
    refused = readiness(project, "merge", "two", "one", "--readiness-report", "m3")
    assert (refused.code, len(refused.out.splitlines())) == (4, 1)
    assert "is of test: the main ini is for staging" in refused.out


def test_facts_of_each_run_lie_in_a_folder_of_it_also_when_merged_twice(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write(
        "readiness.ini",
        "[readiness]\nsystem = shop\nenvironment = lab\nphase = verification\n[lab]\nfaults =\n",
    )
    cluster = part(project, "one", "readiness and kubernetes")
    database = part(project, "two", "readiness and clickhouse")
    assert readiness(project, "merge", "one", "--readiness-report", "first").code == 6
    merged = readiness(project, "merge", "two", "first")
    assert merged.code == 6, merged.out  # most of the phase has no check yet
    assert merged.report["run"]["lab"] == []
    folder = project.folder / merged.report_name
    for run, id, name in (
        (cluster, "k8s-nodes", "one"),
        (database, "ch-disk", "two"),
    ):
        record = merged.item(id)["evidence"][0]
        prefix = f"facts/{run['run']['id']}/"
        assert record["fact"].startswith(prefix)
        copied = folder / record["fact"]
        original = project.folder / name / "facts" / copied.name
        assert copied.read_bytes() == original.read_bytes()
        assert {path.name for path in copied.parent.iterdir()} == {
            path.name for path in original.parent.iterdir()
        }


@pytest.mark.parametrize("taken", ["report.json", "signoffs/x", "facts/x.json", "journal.jsonl"])
def test_a_folder_that_holds_a_run_is_left_alone(project: Project, taken: str) -> None:
    part(project, "one", OWN)
    project.write(f"readiness-merged/{taken}", "of somebody\n")
    merged = readiness(project, "merge", "one")
    assert merged.code == 4
    assert "name another with --readiness-report" in merged.out
    files = [path for path in (project.folder / "readiness-merged").rglob("*") if path.is_file()]
    assert [path.read_text() for path in files] == ["of somebody\n"]


def test_a_merged_run_is_not_replayed(project: Project) -> None:
    part(project, "one", OWN)
    readiness(project, "merge", "one")
    again = readiness(project, "replay", "readiness-merged")
    assert again.code == 4
    assert again.out == "readiness-merged is a merged run: replay its shards\n"


def test_a_folder_without_a_report_is_named(project: Project) -> None:
    part(project, "one", OWN)
    merged = readiness(project, "merge", "one", "nowhere")
    assert merged.code == 4
    assert "nowhere/report.json: not a readable report" in merged.out


def test_a_release_between_two_runs_is_refused_in_words(project: Project) -> None:
    part(project, "one", OWN)
    project.write("readiness.ini", READY_INI.replace("phase", "release = 2\nphase"))
    part(project, "two", "readiness and rollback")
    merged = readiness(project, "merge", "one", "two")
    assert merged.code == 4
    assert merged.out.startswith("release: none in one (run ")
    assert not (project.folder / "readiness-merged").exists()
