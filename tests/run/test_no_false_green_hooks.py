"""Promise 1 once more: what hooks, plugins and options around a check cannot make of it."""

import pytest

from tests.run.project import BAD, GOOD, Project, check_source, checks_file
from tests.run.test_no_false_green import assert_not_green

LATER = "import pathlib\nseen = pathlib.Path('seen')\nagain = seen.exists()\nseen.touch()\n"


@pytest.mark.parametrize("answer", ["False", "True", "0", "[]", "evidence"])
@pytest.mark.parametrize("options", [(), ("-p", "no:warnings"), ("-W", "ignore")])
def test_a_check_that_returns_an_answer_has_judged_nothing(
    project: Project, answer: str, options: tuple[str, ...]
) -> None:
    body = "\n".join([*GOOD.splitlines()[:3], f"return {answer}"])
    project.write("test_returns.py", checks_file(check_source("shop-returns", body)))
    result = project.run("-m", "readiness", *options)
    assert_not_green(result, "shop-returns")
    item = result.item("shop-returns")
    assert (item["outcome"], item["why"]) == ("error", "defect")
    assert item["reason"].startswith("the check returned ")


@pytest.mark.parametrize(
    "hook",
    [
        "def pytest_runtest_setup(item):",
        "@pytest.hookimpl(tryfirst=True)\ndef pytest_runtest_call(item):",
        "@pytest.hookimpl(tryfirst=True)\ndef pytest_pyfunc_call(pyfuncitem):",
        "@pytest.fixture(autouse=True)\ndef leave():",
    ],
)
def test_only_the_check_itself_says_that_it_does_not_apply(project: Project, hook: str) -> None:
    project.write(
        "conftest.py",
        f"import pytest\nfrom pytest_readiness import not_applicable\n{hook}\n"
        "    not_applicable('nobody asked')\n",
    )
    result = project.run("-m", "readiness")
    assert_not_green(result, "shop-one")
    item = result.item("shop-one")
    assert (item["outcome"], item["why"]) == ("notchecked", "skipped")
    assert "nobody asked" in item["reason"]


def test_a_check_may_say_it_through_a_function_of_its_own(project: Project) -> None:
    helper = "def leave():\n    not_applicable('no zones here')\n"
    project.write("test_zones.py", checks_file(helper, check_source("shop-zones", "leave()")))
    result = project.run("-m", "readiness")
    assert (result.code, result.outcomes()["shop-zones"]) == (0, "notapplicable")


@pytest.mark.parametrize(
    "expression",
    [
        "readiness and not safety(level='S4')",
        "readiness and not safety(level='S1')",
        "readiness(x=1) or readiness",
    ],
)
def test_an_expression_selects_what_pytest_runs(project: Project, expression: str) -> None:
    project.write("test_bad.py", checks_file(check_source("shop-bad", BAD)))
    result = project.run("-m", expression)
    assert_not_green(result)
    assert result.outcomes()["shop-bad"] == "fail"
    assert result.report["verdict"]["name"] == "NOT READY"
    assert result.report["run"]["partial"] is False


def test_what_fails_beside_the_checklist_is_in_the_name_of_the_verdict(project: Project) -> None:
    beside = "import pytest\n@pytest.mark.readiness\ndef test_it():\n    assert 0\n"
    project.write("test_beside.py", beside)
    result = project.run("-m", "readiness")
    assert (result.code, result.report["verdict"]["name"]) == (1, "NOT READY")
    assert result.report["verdict"]["why"][0] == "failed-beside"
    assert "READY (exit code 1)" not in result.out.replace("NOT READY", "")


def test_whatever_runs_a_check_again_the_worst_attempt_stands(project: Project) -> None:
    """As `flaky` does: an attempt that failed is told to nobody, and the next one is."""
    body = LATER + GOOD.replace("assert not", "assert again and not")
    project.write("test_later.py", checks_file(check_source("shop-later", body)))
    project.write(
        "conftest.py",
        "from _pytest import runner\n"
        "def pytest_runtest_protocol(item, nextitem):\n"
        "    if item.name.startswith('readiness') or 'later' not in item.name:\n"
        "        return None\n"
        "    reports = runner.runtestprotocol(item, nextitem=nextitem, log=False)\n"
        "    if any(report.failed for report in reports):\n"
        "        reports = runner.runtestprotocol(item, nextitem=nextitem, log=False)\n"
        "    for report in reports:\n"
        "        item.ihook.pytest_runtest_logreport(report=report)\n"
        "    return True\n",
    )
    result = project.run("-m", "readiness")
    assert_not_green(result)
    assert result.outcomes()["shop-later"] == "fail"
