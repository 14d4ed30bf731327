"""What people write covers no more than it says, whatever a project does."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_readiness import catalogue
from tests.run.project import BAD, GOOD, Project, check_source, checks_file
from tests.run.test_people import REVIEW_INI, declaration, declaring, states, waiver, waiving
from tests.run.test_replay import replay

TWO_CASES = """\
import pytest

@pytest.fixture(params=["a", "b"])
def case(request):
    return request.param
"""


@pytest.mark.parametrize(
    ("second", "code", "says"),
    [
        ('evidence.finding("thing/b", "is too small as well")', 1, "no waiver covers thing/b"),
        ('pytest.fail("is too old")', 1, "no waiver covers test_shop.py::test_shop_two[b]"),
        ('raise OSError("gone")', 6, "no result: shop-two"),
        ('pytest.skip("later")', 6, "no result: shop-two"),
    ],
)
@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_waiver_covers_no_other_case_of_the_check(
    project: Project, second: str, code: int, says: str, workers: tuple[str, ...]
) -> None:
    bad = f'if case == "b":\n    {second}\nelse:\n    evidence.finding("thing/a", "is small")\n'
    waiving(project, waiver(finding='"thing/a"'))
    checks = checks_file(
        check_source("shop-one", GOOD),
        check_source("shop-two", bad + GOOD, arguments="evidence, case"),
    )
    project.write("test_shop.py", checks.replace("import pytest\n", TWO_CASES, 1))
    result = project.run("-m", "readiness", *workers)
    assert result.code == code, result.out
    assert says in " ".join(result.report["verdict"]["reasons"])


# Its check outlives by a day what people wrote until today.
OUTLIVES = """\
import datetime, sys
from pytest_readiness import clock
real, later = clock.now, clock.now() + datetime.timedelta(days=2)
for name, module in list(sys.modules.items()):
    if name.startswith("pytest_readiness.") and getattr(module, "now", None) is real:
        module.now = lambda: later
"""


def test_a_waiver_that_ends_during_the_run_covers_nothing(project: Project) -> None:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    project = waiving(project, waiver(expires=today), bad=OUTLIVES + BAD)
    result = project.run("-m", "readiness")
    assert result.code == 1, result.out
    assert states(result) == {"shop-two": "expired"}
    assert states(replay(project, "readiness-report")) == {"shop-two": "expired"}


def test_a_declaration_that_ends_during_the_run_is_none(tmp_path: Path) -> None:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    project = declaring(tmp_path, declaration("review-causes", expires=today))
    project.write("test_shop.py", checks_file(check_source("shop-one", OUTLIVES + GOOD)))
    item = project.run("-m", "readiness").item("review-causes")
    assert (item["outcome"], item["reason"]) == (
        "notchecked",
        f"declared, but expired on {today}",
    )


def test_a_waiver_of_a_check_is_as_short_where_only_a_part_is_collected(project: Project) -> None:
    waiving(project, waiver(), longest="14d")
    result = project.run("-m", "readiness", ".")
    assert result.code == 4, result.out
    assert "waivers.toml:1: shop-two: 2020-01-01 to 2100-01-01 is too long" in result.out


REWRITES = """\
import json, os, pathlib
if os.environ.get("PYTEST_XDIST_WORKER"):
    path = pathlib.Path("readiness-report/facts/declarations.json")
    record = json.loads(path.read_text())
    record["answer"]["items"][0]["known"] = True
    path.write_text(json.dumps(record))
"""
FAKES = """\
import pytest
from pytest_readiness.people.declarations import Judged, State

@pytest.fixture
def declaration():
    return Judged(state=State.COUNTS)

@pytest.fixture
def declarations():
    return None
"""


@pytest.mark.parametrize(
    ("trick", "reason"),
    [
        (REWRITES, "whom the policy does not know"),
        (FAKES, "whom the policy does not know"),
    ],
)
def test_a_conftest_declares_nothing(tmp_path: Path, trick: str, reason: str) -> None:
    project = declaring(tmp_path, declaration("review-fixes", by='"nobody@example.org"'))
    project.write("conftest.py", trick)
    result = project.run("-m", "readiness", "-n", "1")
    assert result.item("review-fixes")["outcome"] == "notchecked"
    assert reason in result.item("review-fixes")["reason"]
    assert result.code == 6, result.out


def test_a_check_of_the_project_is_not_declared(tmp_path: Path) -> None:
    project = declaring(tmp_path, declaration("review-fixes"))
    own = check_source("shop-one", GOOD, arguments="evidence, declaration")
    project.write("test_shop.py", checks_file(own))
    item = project.run("-m", "readiness").item("shop-one")
    assert (item["outcome"], item["reason"]) == (
        "notchecked",
        "only an item of the checklist is declared",
    )


@pytest.mark.parametrize(
    ("beside", "code", "says"),
    [
        ("import gone_for_good  # pytest_readiness", 6, "ended with exit code 2"),
        ("def test_it(): raise KeyboardInterrupt", 6, "the run was interrupted"),
        ("def test_it(): assert 0", 1, "not an item, and failed: test_beside.py::test_it"),
    ],
)
def test_a_replay_does_not_make_good_how_its_run_ended(
    tmp_path: Path, beside: str, code: int, says: str
) -> None:
    project = declaring(tmp_path, declaration("review-causes"))
    others = [item.id for item in catalogue.for_phase("review") if item.id != "review-causes"]
    lines = "".join(f"{id} = not in this test\n" for id in others)
    project.write("readiness.ini", f"{REVIEW_INI}\n[not_applicable]\n{lines}")
    assert project.run("-m", "readiness").code == 0
    assert replay(project, "readiness-report").code == 0
    mark = "import pytest\npytestmark = pytest.mark.readiness\n"
    project.write("test_beside.py", f"{mark}{beside}\n")
    assert project.run("-m", "readiness").code in (1, 2)
    shutil.rmtree(tmp_path / "readiness-report-replay")
    again = replay(project, "readiness-report")
    assert again.code == code, again.out
    assert again.report["verdict"]["name"] == "INCOMPLETE"
    assert says in " ".join(again.report["verdict"]["reasons"])
