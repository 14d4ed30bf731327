"""The checks that a team owes: one that falls out of a run is missing by name."""

from typing import Any

import pytest

from tests.run.project import BAD, GOOD, READY_INI, Project, check_source, checks_file
from tests.run.test_no_false_green import assert_not_green

METHOD = "  @CHECK\n  def test_lost(self, evidence):"
# Every way to leave the second file of checks out that was found, where it is written.
WAYS: dict[str, Any] = {
    "a file as argument": {"args": ("test_shop.py",)},
    "a folder as argument": {"args": ("here",)},
    "python_files": {"args": ("-o", "python_files=test_shop.py")},
    "python_functions": {"args": ("-o", "python_functions=test_shop_[oth]*")},
    "testpaths": {"args": ("-o", "testpaths=here")},
    "norecursedirs": {"args": ("-o", "norecursedirs=deep")},
    "ignore, in the environment": {"environment": "--ignore=deep"},
    "no Python": {"args": ("-p", "no:python")},
    "ignore-glob": {"args": ("--ignore-glob=*deep*",)},
    "python_files, in the environment": {"environment": "-o python_files=test_shop.py"},
    "ignore, in addopts": {"ini": "[pytest]\naddopts = --ignore=deep\n"},
    "testpaths of another ini": {"args": ("-c", "other.ini")},
    "noconftest": {"args": ("--noconftest", "--ignore=deep")},
}
# What nobody can see from outside: only [own_checks] helps.
HIDDEN = {
    "collect_ignore": ("conftest.py", "collect_ignore = ['deep']\n"),
    "a hook": (
        "conftest.py",
        "def pytest_ignore_collect(collection_path):\n"
        "    return True if collection_path.name == 'deep' else None\n",
    ),
    "testpaths": ("pytest.ini", "[pytest]\ntestpaths = here\n"),
    "a deleted file": ("deep/test_deep.py", ""),
}


@pytest.fixture
def shop(project: Project) -> Project:
    """Return a project whose checks are in three places, the last of which fails."""
    project.write("here/test_here.py", checks_file(check_source("shop-here", GOOD)))
    project.write("deep/test_deep.py", checks_file(check_source("shop-deep", BAD)))
    project.write("other.ini", "[pytest]\ntestpaths = here\n")
    return project


def owe(project: Project, *ids: str) -> None:
    lines = "".join(f"{id} = {id} holds\n" for id in ids)
    project.write("readiness.ini", f"{READY_INI}\n[own_checks]\n{lines}")


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_was_narrowed_is_no_whole_one(shop: Project, way: str) -> None:
    said = WAYS[way]
    shop.environment["PYTEST_ADDOPTS"] = str(said.get("environment", ""))
    if "ini" in said:
        shop.write("pytest.ini", str(said["ini"]))
    result = shop.run("-m", "readiness", *said.get("args", ()))
    assert result.outcomes().get("shop-deep") in (None, "notchecked")
    assert (result.code, result.report["verdict"]["name"]) == (6, "PARTIAL")
    assert "write [own_checks]" in result.out
    owe(shop, "shop-one", "shop-two", "shop-here", "shop-deep")
    result = shop.run("-m", "readiness", *said.get("args", ()))
    assert_not_green(result)
    assert result.outcomes()["shop-deep"] == "notchecked"


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
@pytest.mark.parametrize("way", HIDDEN)
def test_what_nobody_can_see_is_missed_by_name(
    shop: Project, way: str, workers: tuple[str, ...]
) -> None:
    shop.write(*HIDDEN[way])
    owe(shop, "shop-one", "shop-two", "shop-here", "shop-deep")
    result = shop.run("-m", "readiness", *workers)
    assert_not_green(result, "shop-deep")
    item = result.item("shop-deep")
    assert (item["outcome"], item["why"]) == ("notchecked", "missing")
    assert result.report["verdict"]["name"] == "INCOMPLETE"


def test_who_brings_all_that_is_owed_is_whole_however_it_is_called(project: Project) -> None:
    owe(project, "shop-one", "shop-two")
    for args in ((), ("test_shop.py",), (".",), ("-o", "python_files=test_shop.py"), ("-n", "2")):
        result = project.run("-m", "readiness", *args)
        assert (result.code, result.report["verdict"]["name"]) == (0, "READY"), result.out
    result = project.run("-m", "readiness", "-k", "shop_one")
    assert (result.code, result.report["verdict"]["name"]) == (6, "PARTIAL")


def test_what_is_not_owed_counts_and_is_said(project: Project) -> None:
    result = project.run("-m", "readiness")
    assert result.code == 0
    assert "2 checks of the project not owed: shop-one, shop-two" in result.out
    owe(project, "shop-one")
    assert "1 check of the project not owed: shop-two" in project.run("-m", "readiness").out
    owe(project, "shop-one", "shop-two")
    assert "not owed" not in project.run("-m", "readiness").out


def test_an_empty_section_owes_nothing(project: Project) -> None:
    owe(project)
    result = project.run("-m", "readiness", "test_shop.py")
    assert (result.code, result.report["verdict"]["name"]) == (0, "READY")
    assert "2 checks of the project not owed" in result.out


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("test_a.py", "def shop_lost(evidence):"),
        ("test_a.py", f"class Shop:\n{METHOD}"),
        ("test_a.py", f"class TestShop:\n  def __init__(self): pass\n{METHOD}"),
        ("test_a.py", f"class TestShop:\n  __test__ = False\n{METHOD}"),
        ("conftest.py", "def test_lost(evidence):"),
    ],
)
def test_a_check_that_pytest_does_not_collect_is_known(
    project: Project, name: str, source: str, workers: tuple[str, ...]
) -> None:
    body = '\n  """It holds.\n\n  Or not.\n  """\n  assert False\n'
    if source.startswith("class"):
        body = body.replace("\n  ", "\n    ")
    declare = (
        "CHECK = check(id='shop-lost', severity=Severity.BLOCKER, safety=Safety.S1,\n"
        "    remediation='x', reference='y')\n"
    )
    mark = "" if "@CHECK" in source else "@CHECK\n"
    project.write(name, checks_file(declare + mark + source + body))
    result = project.run("-m", "readiness", *workers)
    assert_not_green(result, "shop-lost")
    item = result.item("shop-lost")
    assert item["why"] == "not-collected"
    assert item["reason"].startswith(f"declared at {name}:")
    # Who asks for a test by its name asks for no other.
    one = project.run("-m", "readiness", "test_shop.py::test_shop_one", *workers)
    assert one.code == 0


def test_of_two_with_one_name_the_hidden_one_is_known(project: Project) -> None:
    second = check_source("shop-three", BAD).replace("test_shop_three", "test_shop_four")
    project.write("test_a.py", checks_file(second, check_source("shop-four", GOOD)))
    assert_not_green(project.run("-m", "readiness"), "shop-three")
    same = check_source("shop-five", BAD) + check_source("shop-five", GOOD)
    project.write("test_a.py", checks_file(same))
    result = project.run("-m", "readiness")
    assert (result.code, "item shop-five is declared twice" in result.out) == (4, True)


def test_the_section_is_printed_to_be_pasted(project: Project) -> None:
    printed = project.command("list", "--own")
    assert printed.out == (
        "[own_checks]\nshop-one = The claim of shop-one holds.\n"
        "shop-two = The claim of shop-two holds.\n"
    )
    project.write("readiness.ini", READY_INI + printed.out)
    assert "not owed" not in project.run("-m", "readiness").out
    assert "[own_checks] of readiness.ini: 2 checks of your own" in project.command("list").out


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("k8s-nodes = x", "k8s-nodes is an item of the checklist, no check of your own"),
        ("Shop = x", "'Shop' is no id of a check, like shop-zones"),
        ("shop-one =", "shop-one: give the title"),
    ],
)
def test_a_line_that_owes_nothing_is_refused(project: Project, line: str, says: str) -> None:
    project.write("readiness.ini", f"{READY_INI}\n[own_checks]\n{line}\n")
    result = project.run("-m", "readiness")
    assert (result.code, says in result.out) == (4, True), result.out


def test_a_killed_run_owes_them_too(project: Project) -> None:
    owe(project, "shop-one", "shop-two", "shop-gone")
    project.write("conftest.py", "import os\ndef pytest_sessionfinish():\n    os._exit(9)\n")
    project.run("-m", "readiness")
    assert project.command("render", "readiness-report").code == 0
    result = project.run("--version")
    assert result.item("shop-gone")["why"] == "missing"
