"""Node ids that hold secrets: one an item still, the same in every process, and to be asked for."""

import re

import pytest

from tests.run.project import GOOD, READY_INI, Project, check_source, checks_file

ONE, TWO = "q7RtZ9mLw2-hunter", "1048151623420"
IDS = re.compile(r"test_\w+\[[^\]]*\]")
# One secret in four forms, another one as text, as a number and in a longer one, and one word.
CASES = """\
import base64, os
import pytest
ONE, TWO = os.environ["SHOP_PASSWORD"], os.environ["SHOP_TOKEN"]
CASES = pytest.mark.parametrize("key", [
    pytest.param(0, id=ONE), pytest.param(0, id=base64.b64encode(ONE.encode()).decode()),
    ONE.encode().hex().encode(), TWO, int(TWO), float(TWO), TWO + "7", "word",
])
"""
PLAIN = "from cases import *\n@pytest.mark.readiness\n@CASES\ndef test_plain(key): {}\n"


@pytest.fixture
def named(project: Project) -> Project:
    project.environment = {"SHOP_PASSWORD": ONE, "SHOP_TOKEN": TWO}
    project.write("cases.py", CASES)
    own = f"@CASES\n{check_source('shop-cases', GOOD, arguments='evidence, key').lstrip()}"
    project.write("test_own.py", checks_file("from cases import CASES", own))
    project.write("test_plain.py", PLAIN.format("pass"))
    return project


def _ids(text: str) -> set[str]:
    assert ONE not in text
    assert TWO not in text
    return set(IDS.findall(text))


def _expected(found: set[str]) -> set[str]:
    """Return the ids of the eight cases, by the two tokens that stand in those which are found."""
    [one] = {match for text in found for match in re.findall(r"\[(redacted:\w{8})\]", text)}
    [two] = {match for text in found for match in re.findall(r"\[(redacted:\w{8})7\]", text)}
    assert one != two
    shown = {one, f"{one}-2", f"{one}-3", f"{two}_0", f"{two}_1", f"{two}.0", f"{two}7", "word"}
    return {f"test_plain[{it}]" for it in shown}


@pytest.mark.parametrize(
    "options", [("-v",), ("-v", "-n", "2"), ("--collect-only", "-q")], ids=" ".join
)
def test_each_case_has_a_name_of_its_own(named: Project, options: tuple[str, ...]) -> None:
    result = named.run("-m", "readiness", *options)
    found = {id for id in _ids(result.out) if id.startswith("test_plain")}
    assert result.code == 0, result.out
    assert found == _expected(found)
    assert len({id for id in _ids(result.out) if id.startswith("test_shop_cases")}) == 8


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_each_case_of_a_check_counts(named: Project, workers: tuple[str, ...]) -> None:
    fails = f"{GOOD}assert repr(key) != TWO\n"
    own = f"@CASES\n{check_source('shop-cases', fails, arguments='evidence, key').lstrip()}"
    named.write("test_own.py", checks_file("from cases import *", own))
    result = named.run("-m", "readiness", *workers)
    item = result.item("shop-cases")
    assert (result.code, item["outcome"]) == (1, "fail"), result.out
    assert re.fullmatch(r"test_own.py::test_shop_cases\[redacted:\w{8}_1\]", item["nodeid"])
    journal = (named.folder / "readiness-report/journal.jsonl").read_text()
    # What the line of a collected check and that of its result call it is the same.
    assert len(set(re.findall(r"test_own.py::test_shop_cases\[[^\]\"]*\]", journal))) == 8
    assert ONE not in journal
    assert TWO not in journal


def test_a_case_is_asked_for_by_what_it_is_called_in_the_source(named: Project) -> None:
    result = named.run("-m", "readiness", "-v", f"test_plain.py::test_plain[{ONE}]")
    [ran] = [line for line in result.out.splitlines() if " PASSED" in line]
    assert ran.startswith("test_plain.py::test_plain[redacted:")


@pytest.mark.parametrize("options", [(), ("--lf",), ("--nf",), ("--ff",)], ids=str)
def test_a_run_after_one_that_failed(named: Project, options: tuple[str, ...]) -> None:
    named.write("test_plain.py", PLAIN.format("assert key"))
    named.run("-m", "readiness")
    assert named.run("-m", "readiness", *options).code in (1, 6)
    for path in named.folder.rglob(".pytest_cache/v/cache/*"):
        assert not _ids(path.read_text()) & {f"test_plain[{ONE}]"}


def test_what_breaks_a_run_says_no_secret(named: Project) -> None:
    for hook in ("pytest_collection_finish(session)", "pytest_runtest_logstart(nodeid)"):
        raised = f"import os\ndef {hook}:\n    raise OSError(os.environ['SHOP_PASSWORD'])\n"
        named.write("conftest.py", raised)
        result = named.run("-m", "readiness")
        assert result.code == 3
        assert "OSError: «redacted:" in result.out
        assert ONE not in result.out


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_who_ends_a_run_says_no_secret(named: Project, workers: tuple[str, ...]) -> None:
    named.write("test_plain.py", PLAIN.format("pytest.exit('no login with ' + ONE)"))
    result = named.run("-m", "readiness", *workers)
    assert result.code == 2, result.out
    assert ONE not in result.out
    assert ONE not in (named.folder / "readiness-report/report.json").read_text()


def test_a_number_that_is_a_secret_stops_no_run(project: Project) -> None:
    # Times, durations and ports have digits as well: only what was read is taken for a secret.
    project.environment = {"SHOP_PASSWORD": "20262026", "SHOP_TOKEN": "00000000"}
    project.write("readiness.ini", READY_INI)
    result = project.run("-m", "readiness")
    assert (result.code, result.report["verdict"]["name"]) == (0, "READY"), result.out
    assert result.item("shop-one")["evidence"][0]["asked_at"].startswith("20")


def test_no_part_of_a_secret_is_left_where_pytest_cuts_or_indents(project: Project) -> None:
    long = "".join(f"{number:x}z" for number in range(1000, 1100))
    lines = "first-line-of-a-key\nsecond-line-of-a-key"
    project.environment = {"SHOP_TOKEN": long, "SHOP_SECRET": lines}
    body = "assert os.environ['SHOP_TOKEN'] == 'x'\n"
    plain = "import os, pytest\npytestmark = pytest.mark.readiness\n"
    plain += f"def test_cut():\n    key = [os.environ['SHOP_TOKEN']]\n    {body}"
    plain += "def test_indented():\n    raise OSError(os.environ['SHOP_SECRET'])\n"
    project.write("test_plain.py", plain)
    project.write("test_own.py", checks_file("import os", check_source("shop-cut", body)))
    result = project.run("-m", "readiness", "--showlocals", "--junitxml=junit.xml")
    assert result.outcomes()["shop-cut"] == "fail"
    texts = [result.out, (project.folder / "junit.xml").read_text(), str(result.report)]
    windows = {long[start : start + 8] for start in range(len(long) - 8)}
    assert [found for found in (*windows, *lines.split()) if any(found in it for it in texts)] == []
    assert all("assert '«redacted:" in text for text in texts)
