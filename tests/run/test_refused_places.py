"""Places where a run cannot leave what is asked for, or would overwrite what is not its own."""

import os
from collections.abc import Callable

import pytest

from pytest_readiness.results.model import ENVELOPES, FILES
from tests.run.project import GOOD, Project, check_source, checks_file

ALONE = ("-m", "readiness", "-p", "no:cacheprovider")


@pytest.mark.parametrize("place", ["/dev/null", "folder", "file/junit.xml"])
def test_a_junit_file_that_can_be_none_is_refused_before_any_question(
    project: Project, place: str
) -> None:
    (project.folder / "folder").mkdir()
    project.write("file", "mine")
    result = project.run(*ALONE, f"--junitxml={place}")
    assert result.code == 4, result.out
    assert [line for line in result.out.splitlines() if "--junitxml" in line]
    assert "Traceback" not in result.out
    assert not (project.folder / "readiness-report").exists()


# What happens to the place of the file during the run, and what is said of it.
SPOILT = {
    "no folder any more": ("pathlib.Path('out').write_text('mine')", "FileExistsError"),
    "a folder of its name": ("pathlib.Path('out/junit.xml').mkdir(parents=True)", "IsADirectory"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_junit_file_that_cannot_be_written_in_the_end(project: Project, name: str) -> None:
    spoil, said = SPOILT[name]
    source = check_source("shop-spoils", f"import pathlib\n{spoil}\n{GOOD}")
    project.write("test_spoils.py", checks_file(source))
    result = project.run(*ALONE, "--junitxml=out/junit.xml")
    assert result.code == 3, result.out
    assert "Traceback" not in result.out
    assert f"a plugin broke at the end: {said}" in result.out
    assert result.report["verdict"]["name"] == "INCOMPLETE"
    assert result.outcomes()["shop-spoils"] == "pass"


def test_a_junit_file_that_somebody_emptied(project: Project) -> None:
    hook = "import pathlib, pytest\n@pytest.hookimpl(trylast=True)\n"
    hook += "def pytest_sessionfinish():\n    pathlib.Path('junit.xml').write_text('')\n"
    project.write("conftest.py", hook)
    result = project.run(*ALONE, "--junitxml=junit.xml")
    assert result.code == 3, result.out
    assert "Traceback" not in result.out
    assert "--junitxml junit.xml could not be written: no element found" in result.out
    assert result.outcomes()["shop-one"] == "pass"


def _closed(*numbers: int) -> Callable[[], None]:
    def prepare() -> None:
        for number in numbers:
            os.close(number)

    return prepare


def _full(*numbers: int) -> Callable[[], None]:
    def prepare() -> None:
        full = os.open("/dev/full", os.O_WRONLY)
        for number in numbers:
            os.dup2(full, number)

    return prepare


STREAMS = {
    "closed": _closed(1),
    "all closed": _closed(0, 1, 2),
    "full": _full(1),
    "both full": _full(1, 2),
}


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
@pytest.mark.parametrize("name", STREAMS)
def test_standard_output_that_takes_nothing_ends_no_run(
    project: Project, name: str, workers: tuple[str, ...]
) -> None:
    project.fresh = True
    result = project.run(*ALONE, "-v", "-rA", *workers, preexec_fn=STREAMS[name])
    assert result.code == 0, result.out
    assert result.report["verdict"]["name"] == "READY"
    told = "cannot write to standard output: No space left on device" in result.out
    assert told is (name == "full"), result.out


def test_standard_output_that_takes_nothing_hides_no_fail(project: Project) -> None:
    project.fresh = True
    project.write("test_bad.py", checks_file(check_source("shop-bad", "assert 0")))
    result = project.run(*ALONE, preexec_fn=STREAMS["full"])
    assert (result.code, result.outcomes()["shop-bad"]) == (1, "fail")


@pytest.mark.parametrize("there", [True, False], ids=["there", "dangling"])
@pytest.mark.parametrize(
    "name",
    [*FILES, "journal.jsonl", ".run.lock", "facts", "attestations", "signoffs", ENVELOPES],
)
def test_nothing_is_written_through_a_link(project: Project, name: str, there: bool) -> None:
    precious = project.write("elsewhere/precious.txt", "mine") if there else project.folder / "gone"
    leads_to = precious.parent if there and "." not in name else precious
    (project.folder / "readiness-report").mkdir()
    (project.folder / "readiness-report" / name).symlink_to(leads_to)
    result = project.run(*ALONE)
    assert result.code == 4, result.out
    assert f"{name} is a link" in result.out
    assert precious.exists() is there
    assert not there or precious.read_text() == "mine"


@pytest.mark.parametrize("name", ["journal.jsonl", "report.json"])
def test_a_file_of_two_names_keeps_its_content_under_the_other(project: Project, name: str) -> None:
    assert project.run(*ALONE).code == 0
    file = project.folder / "readiness-report" / name
    other = project.folder / "other"
    other.hardlink_to(file)
    before = other.read_bytes()
    assert project.run(*ALONE).code == 0
    assert other.read_bytes() == before
    assert file.read_bytes() != before


@pytest.mark.parametrize("base", ["readiness-report", "deep", "link"])
def test_a_run_directory_within_the_folder_that_pytest_removes(project: Project, base: str) -> None:
    folder = "deep/report" if base in ("deep", "link") else "readiness-report"
    (project.folder / "link").symlink_to("deep")
    (project.folder / "deep").mkdir()
    result = project.run(*ALONE, "--readiness-report", folder, "--basetemp", base)
    assert result.code == 4, result.out
    assert f"--basetemp {base} " in result.out
    assert not (project.folder / folder).exists()


def test_a_temporary_folder_within_the_run_directory_is_kept(project: Project) -> None:
    body = f"(tmp_path / 'a').write_text('a')\n{GOOD}"
    source = check_source("shop-writes", body, arguments="evidence, tmp_path")
    project.write("test_writes.py", checks_file(source))
    result = project.run(*ALONE, "--basetemp", "readiness-report/temporary")
    assert (result.code, result.report["verdict"]["name"]) == (0, "READY"), result.out


FORKED = """\
from _pytest.reports import TestReport
# As pytest-forked tells of a child that ended without a word.
def pytest_runtest_protocol(item):
    said = f"{item.path}:1: running the test EXITED with status 3"
    report = TestReport(item.nodeid, item.location, {}, "failed", said, "???")
    item.ihook.pytest_runtest_logreport(report=report)
    return True
"""


def test_a_process_that_pytest_forked_lost_is_called_so(project: Project) -> None:
    project.write("pytest_forked.py", FORKED)
    result = project.run(*ALONE, "-p", "pytest_forked")
    assert result.code == 6, result.out
    reason = "its process, of pytest-forked, was lost: running the test EXITED with status 3"
    assert {item["reason"] for item in result.report["items"]} == {reason}
    assert "not an item, and failed" not in result.out
