"""Plugins that live beside ours: both do their work, and neither changes what the other says.

Each lies in a folder of its own, made by `make .envs/NAME/.ready`.
"""

import json
from pathlib import Path

import pytest

from tests.run.project import BAD, GOOD, Project, Result, check_source, checks_file
from tests.servers.programs import missing

ENVIRONMENTS = Path(__file__).parents[2] / ".envs"
READY = {
    "rollback-undo": "notapplicable",
    "rollback-previous": "notapplicable",
    "rollback-database": "notapplicable",
    "rollback-stable": "notapplicable",
    "shop-one": "pass",
    "shop-two": "pass",
}


@pytest.fixture
def beside(project: Project, request: pytest.FixtureRequest) -> Project:
    """Return the project with the plugin that the test is named after on the path."""
    name: str = request.getfixturevalue("name")
    folder = ENVIRONMENTS / name
    if not (folder / ".ready").exists():
        missing(f"{name} is not there: make .envs/{name}/.ready")
    project.find_first(folder)
    return project


def beside_plugin(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", [name])


def assert_ready(result: Result) -> None:
    assert result.code == 0, result.out
    assert result.outcomes() == READY
    assert result.report["verdict"]["name"] == "READY"


def add_bad(project: Project) -> None:
    project.write("test_bad.py", checks_file(check_source("shop-bad", BAD)))


@beside_plugin("pytest-html")
def test_pytest_html(beside: Project, name: str) -> None:
    page = ("--html=page.html", "--self-contained-html")
    assert_ready(beside.run("-m", "readiness", *page))
    add_bad(beside)
    result = beside.run("-m", "readiness", "-n", "2", *page)
    assert result.code == 1, result.out
    written = (beside.folder / "page.html").read_text()
    assert "readiness/rollback/rollback::rollback-undo" in written
    assert "thing/a: is too small" in written
    assert "Traceback" not in written


@beside_plugin("pytest-cov")
def test_pytest_cov(beside: Project, name: str) -> None:
    beside.write("shop.py", "def sell():\n    return 1\n\n\ndef never():\n    return 2\n")
    body = "import shop\nassert shop.sell() == 1\n" + GOOD
    beside.write("test_sell.py", checks_file(check_source("shop-sell", body)))
    options = ("--cov=shop", "--cov-report=term", "--cov-report=json")
    result = beside.run("-m", "readiness", *options)
    assert result.code == 0, result.out
    assert result.outcomes() == {**READY, "shop-sell": "pass"}
    covered = json.loads((beside.folder / "coverage.json").read_text())
    assert covered["totals"]["percent_covered"] == 75
    for workers in ((), ("-n", "2")):
        result = beside.run("-m", "readiness", *options, "--cov-fail-under=90", *workers)
        assert result.code == 1, result.out
        assert result.report["verdict"]["name"] == "NOT READY"
        assert "Required test coverage of 90%" in result.out


@beside_plugin("pytest-randomly")
def test_pytest_randomly(beside: Project, name: str) -> None:
    for seed, workers in (("1", ()), ("2", ("-n", "2"))):
        result = beside.run("-m", "readiness", f"--randomly-seed={seed}", *workers)
        assert_ready(result)
        assert f"--randomly-seed={seed}" in result.out


@beside_plugin("pytest-rerunfailures")
def test_pytest_rerunfailures(beside: Project, name: str) -> None:
    flaky = (
        "import pathlib\npath = pathlib.Path('seen')\nseen = path.exists()\npath.touch()\n"
        + GOOD.replace("assert not", "assert seen and not")
    )
    for workers in ((), ("-n", "2")):
        (beside.folder / "seen").unlink(missing_ok=True)
        beside.write("test_flaky.py", checks_file(check_source("shop-flaky", flaky)))
        result = beside.run("-m", "readiness", "--reruns", "2", "--junitxml=j.xml", *workers)
        assert "1 rerun" in result.out
        assert result.code == 1, result.out
        assert result.outcomes() == {**READY, "shop-flaky": "fail"}
        assert result.report["verdict"]["name"] == "NOT READY"
        assert 'failures="1"' in (beside.folder / "j.xml").read_text()


@beside_plugin("flaky")
@pytest.mark.parametrize("options", [("--force-flaky",), ("--force-flaky", "-n", "2")])
def test_flaky(beside: Project, name: str, options: tuple[str, ...]) -> None:
    assert_ready(beside.run("-m", "readiness", *options))
    later = (
        "import pathlib\npath = pathlib.Path('seen')\nseen = path.exists()\npath.touch()\n"
        + GOOD.replace("assert not", "assert seen and not")
    )
    beside.write("test_later.py", checks_file(check_source("shop-later", later)))
    result = beside.run("-m", "readiness", *options)
    assert result.code == 1, result.out
    assert result.outcomes() == {**READY, "shop-later": "fail"}


@beside_plugin("pytest-timeout")
@pytest.mark.parametrize("method", ["signal", "thread"])
def test_pytest_timeout(beside: Project, name: str, method: str) -> None:
    body = "import time\ntime.sleep(60)\n" + GOOD
    beside.write("test_hangs.py", checks_file(check_source("shop-hangs", body)))
    options = ("--timeout=1", f"--timeout-method={method}")
    result = beside.run("-m", "readiness", *options)
    assert result.code == 1, result.out
    assert "Timeout" in result.out
    if method == "signal":  # the other ends the process
        assert result.outcomes() == {**READY, "shop-hangs": "fail"}
        assert result.report["verdict"]["name"] == "NOT READY"


@beside_plugin("allure-pytest")
def test_allure_pytest(beside: Project, name: str) -> None:
    assert_ready(beside.run("-m", "readiness", "--alluredir=allure"))
    add_bad(beside)
    result = beside.run("-m", "readiness", "--alluredir=allure", "--clean-alluredir", "-n", "2")
    assert result.code == 1, result.out
    files = (beside.folder / "allure").glob("*-result.json")
    told = {item["name"]: item["status"] for item in map(_read, files)}
    assert told["test_shop_bad"] == "failed"
    assert told["rollback-undo"] == "skipped"
    assert len(told) == len(READY) + 1


def _read(path: Path) -> dict[str, str]:
    read: dict[str, str] = json.loads(path.read_text())
    return read
