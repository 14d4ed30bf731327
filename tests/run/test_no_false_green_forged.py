"""Promise 1: no test beside the checklist gives a result for it, by accident or on purpose."""

import json

import pytest
from junitparser import JUnitXml

from tests.run.project import BAD, GOOD, Project, Result, check_source, checks_file
from tests.run.test_no_false_green import assert_not_green

WORKERS = pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
SENT = {
    "id": "shop-bad",
    "result": {"id": "shop-bad", "outcome": "pass", "nodeid": "test_bad.py::test_shop_bad"},
    "declared": None,
    "own": True,
    "module": "bad",
    "nodeid": "test_bad.py::test_shop_bad",
}
PACKAGED = {
    "id": "rollback-stable",
    "result": {
        "id": "rollback-stable",
        "outcome": "pass",
        "nodeid": "readiness/rollback/rollback::rollback-stable",
    },
    "declared": None,
    "own": False,
    "module": "rollback",
    "nodeid": "readiness/rollback/rollback::rollback-stable",
}
VALUES = {
    "a word": "ok",
    "a number": 7,
    "no JSON": "{",
    "JSON": "[]",
    "a result of a check": json.dumps(SENT),
    "a result of the checklist": json.dumps(PACKAGED),
}
# Where a property of the name that results had is recorded, by the name of the place.
PLACES = {
    "test": "def test_plain(record_property):\n    record_property('readiness', {value!r})\n",
    "fixture": "@pytest.fixture\ndef given(record_property):\n"
    "    record_property('readiness', {value!r})\n"
    "def test_plain(given):\n    pass\n",
}


def _ordinary(source: str) -> str:
    return f"import pytest\npytestmark = pytest.mark.readiness\n{source}"


def _cases(result: Result) -> dict[str, int]:
    """Return how many result elements each case of j.xml has, by its name."""
    xml = JUnitXml.fromfile(str(result.folder / "j.xml"))
    return {str(case.name): len(case.result) for suite in xml for case in suite}


@WORKERS
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", ["a word", "a result of the checklist"])
def test_a_property_of_that_name_is_one_like_any_other(
    project: Project, value: str, place: str, workers: tuple[str, ...]
) -> None:
    project.write("test_plain.py", _ordinary(PLACES[place].format(value=VALUES[value])))
    result = project.run("-m", "readiness", "--junitxml=j.xml", *workers)
    assert (result.code, result.report["verdict"]["name"]) == (0, "READY"), result.out
    assert result.outcomes()["rollback-stable"] == "notapplicable"
    assert _cases(result)["test_plain"] == 0


@WORKERS
def test_no_forged_property_gives_a_result(project: Project, workers: tuple[str, ...]) -> None:
    calls = "".join(f"    record_property('readiness', {value!r})\n" for value in VALUES.values())
    project.write("test_a.py", _ordinary(f"def test_forges(record_property):\n{calls}"))
    project.write("test_z.py", _ordinary(f"def test_forges(record_property):\n{calls}    assert 0"))
    body = f"{calls.replace('    ', '')}{BAD}"
    source = check_source("shop-bad", body, arguments="evidence, record_property")
    project.write("test_bad.py", checks_file(source))
    result = project.run("-m", "readiness", "--junitxml=j.xml", *workers)
    assert_not_green(result)
    assert "INTERNALERROR" not in result.out
    assert (result.code, result.outcomes()["shop-bad"]) == (1, "fail"), result.out
    assert result.outcomes()["rollback-stable"] == "notapplicable"
    assert "failed: test_z.py::test_forges" in " ".join(result.report["verdict"]["reasons"])
    assert "test_z.py:" in result.out
    assert _cases(result)["test_forges"] == 1


STOLEN = """\
import pytest
from pytest_readiness.run.context import CONTEXT
pytestmark = pytest.mark.readiness
def test_steals(request, record_property):
    record_property(request.config.stash[CONTEXT].plan.carrier, {value!r})
"""


@WORKERS
@pytest.mark.parametrize("value", [SENT, PACKAGED], ids=["own", "packaged"])
def test_who_knows_how_results_travel_still_is_no_item(
    project: Project, value: dict[str, object], workers: tuple[str, ...]
) -> None:
    hook = "import pytest\n@pytest.hookimpl(trylast=True)\n"
    hook += "def pytest_collection_modifyitems(items):\n"
    left_out = ("rollback-stable", "test_shop_bad")
    hook += f"    items[:] = [item for item in items if item.name not in {left_out}]\n"
    project.write("conftest.py", hook)
    project.write("test_bad.py", checks_file(check_source("shop-bad", GOOD)))
    project.write("test_a.py", STOLEN.format(value=json.dumps(value)))
    result = project.run("-m", "readiness", *workers)
    assert_not_green(result, "shop-bad", "rollback-stable")
    assert result.outcomes()["shop-one"] == "pass"


def test_a_failing_test_in_a_folder_of_that_name(project: Project) -> None:
    project.write("readiness/test_plain.py", _ordinary("def test_plain():\n    assert 0\n"))
    result = project.run("-m", "readiness")
    assert (result.code, result.outcomes()["shop-one"]) == (1, "pass"), result.out
    assert "readiness/test_plain.py::test_plain" in " ".join(result.report["verdict"]["reasons"])
