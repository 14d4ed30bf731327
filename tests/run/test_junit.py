"""The file of `--junitxml`: one case an item, whatever ran where, and however it ended."""

from pathlib import Path

import pytest
from junitparser import JUnitXml, TestCase

from tests.run.project import BAD, GOOD, READY_INI, Project, check_source, checks_file

INI = READY_INI.replace("rollback-stable = the test has no cluster\n", "")
ROLLBACK = "readiness.rollback.rollback"
Case = tuple[str, str, tuple[str, ...]]


def cases_of(path: Path) -> list[TestCase]:
    """Return the cases of a file whose counts add up."""
    xml = JUnitXml.fromfile(str(path))
    cases = [case for suite in xml for case in suite]
    tags = [type(result).__name__ for case in cases for result in case.result]
    [suite] = list(xml)
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (
        len(cases),
        tags.count("Failure"),
        tags.count("Error"),
        tags.count("Skipped"),
    )
    assert all(len(case.result) <= 1 for case in cases)
    return cases


def told(path: Path) -> set[Case]:
    cases = cases_of(path)
    found = {
        (str(case.classname), str(case.name), tuple(type(one).__name__ for one in case.result))
        for case in cases
    }
    assert len(found) == len(cases)
    return found


@pytest.fixture
def mixed(project: Project) -> Project:
    """Return a project with an item of each outcome, and tests that are none."""
    project.write("readiness.ini", INI)
    breaks = check_source("shop-breaks", "raise RuntimeError('boom')")
    each = check_source("shop-each", GOOD, arguments="evidence, name")
    project.write(
        "test_more.py",
        checks_file(
            check_source("shop-bad", BAD),
            breaks,
            check_source("shop-na", "not_applicable('no shop')"),
            "@pytest.mark.parametrize('name', ['a', 'b'])" + each,
        ),
    )
    project.write(
        "tests/test_plain.py",
        "import pytest\npytestmark = pytest.mark.ordinary\n"
        "def test_good(): pass\ndef test_bad(): assert 0\n"
        "class TestIt:\n    def test_skipped(self): pytest.skip('later')\n",
    )
    project.write("pytest.ini", "[pytest]\nmarkers = ordinary\naddopts = -W error\n")
    return project


EXPECTED = {
    (ROLLBACK, "rollback-undo Immediate halt of rollout", ("Skipped",)),
    (ROLLBACK, "rollback-previous Verify previous version", ("Skipped",)),
    (ROLLBACK, "rollback-database Restore database if needed", ("Skipped",)),
    (ROLLBACK, "rollback-stable Verify system stability", ("Error",)),
    ("readiness.project.shop", "shop-one The claim of shop-one holds.", ()),
    ("readiness.project.shop", "shop-two The claim of shop-two holds.", ()),
    ("readiness.project.more", "shop-bad The claim of shop-bad holds.", ("Failure",)),
    ("readiness.project.more", "shop-breaks The claim of shop-breaks holds.", ("Error",)),
    ("readiness.project.more", "shop-na The claim of shop-na holds.", ("Skipped",)),
    ("readiness.project.more", "shop-each The claim of shop-each holds.", ()),
}
ORDINARY = {
    ("tests.test_plain", "test_good", ()),
    ("tests.test_plain", "test_bad", ("Failure",)),
    ("tests.test_plain.TestIt", "test_skipped", ("Skipped",)),
}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_cases_are_the_same_with_workers(mixed: Project, workers: str) -> None:
    result = mixed.run("-m", "readiness or ordinary", "-n", workers, "--junitxml", "deep/j.xml")
    assert result.code == 1, result.out
    assert told(mixed.folder / "deep/j.xml") == EXPECTED | ORDINARY


@pytest.mark.parametrize("family", ["xunit1", "legacy"])
def test_other_families_and_a_prefix(mixed: Project, family: str) -> None:
    options = ("--junitxml=j.xml", "--junit-prefix=shop", "-o", f"junit_family={family}")
    mixed.run("-m", "readiness or ordinary", *options)
    ordinary = {(f"shop.{classname}", name, result) for classname, name, result in ORDINARY}
    assert told(mixed.folder / "j.xml") == EXPECTED | ordinary


def test_what_a_case_says(mixed: Project) -> None:
    mixed.run("-m", "readiness", "--junitxml=j.xml", "-o", "junit_logging=all")
    cases = {str(case.name).split()[0]: case for case in cases_of(mixed.folder / "j.xml")}
    [failure] = cases["shop-bad"].result
    assert (failure.message, failure.type) == ("thing/a: is too small", "readiness.fail")
    assert "Mend shop-bad." in str(failure.text)
    [error] = cases["rollback-stable"].result
    assert (error.message, error.type) == ("no check yet", "readiness.notchecked")
    [skipped] = cases["rollback-undo"].result
    assert skipped.message == "the test has no cluster"
    assert "Traceback" not in (mixed.folder / "j.xml").read_text()


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_never_ran_has_a_case(mixed: Project, workers: str) -> None:
    hook = "def pytest_collection_modifyitems(items):\n    items.sort(key=lambda i: i.name)\n"
    mixed.write("conftest.py", hook + "    del items[-2:]\n")
    result = mixed.run("-m", "readiness", "-x", "-n", workers, "--junitxml=j.xml")
    assert result.code in (2, 6), result.out  # pytest-xdist calls the stop an interruption
    names = {(classname, name) for classname, name, _ in told(mixed.folder / "j.xml")}
    assert names == {(classname, name) for classname, name, _ in EXPECTED}


def test_a_selection_has_its_cases_only(mixed: Project) -> None:
    mixed.run("readiness/rollback/rollback::rollback-stable", "--junitxml=j.xml")
    assert told(mixed.folder / "j.xml") == {
        (ROLLBACK, "rollback-stable Verify system stability", ("Error",))
    }


def test_a_dead_worker_leaves_one_case(mixed: Project) -> None:
    mixed.write("test_dies.py", checks_file(check_source("shop-dies", "import os; os._exit(1)")))
    result = mixed.run("-m", "readiness", "-n", "2", "--junitxml=j.xml")
    assert result.code == 1, result.out
    died = ("readiness.project.dies", "shop-dies The claim of shop-dies holds.", ("Error",))
    assert told(mixed.folder / "j.xml") == EXPECTED | {died}
