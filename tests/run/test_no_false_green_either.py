"""Promise 1 again: ways to a false green that were found by looking for them."""

import signal

import pytest

from tests.run.project import BAD, GOOD, Project, Result, check_source, checks_file, waited
from tests.run.test_no_false_green import assert_not_green


def test_a_second_run_in_the_same_directory_is_refused(project: Project) -> None:
    body = "import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(30)"
    project.write("test_slow.py", checks_file(check_source("shop-slow", body)))
    first = project.start("-m", "readiness")
    assert waited((project.folder / "begun").exists)
    second = project.run("-m", "readiness", "-p", "no:cacheprovider")
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=30)
    assert second.code == 4
    assert "another run is writing to" in second.out


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
@pytest.mark.parametrize(
    "line", ["pytest.importorskip('no_such_library')", "pytest.skip('x', allow_module_level=True)"]
)
def test_a_module_of_checks_that_skips_itself(
    project: Project, line: str, workers: tuple[str, ...]
) -> None:
    project.write("test_gone.py", checks_file(f"{line}\n", check_source("shop-bad", BAD)))
    assert_not_green(project.run("-m", "readiness", *workers))


def test_a_module_that_breaks_when_collection_goes_on(project: Project) -> None:
    project.write("test_broken.py", "import no_such_module\n")
    result = project.run("-m", "readiness", "--continue-on-collection-errors")
    assert_not_green(result)
    assert result.report["verdict"]["name"] == "INCOMPLETE"


def test_a_check_that_returns_its_answer(project: Project) -> None:
    body = "\n".join([*GOOD.splitlines()[:3], "return False"])
    project.write("test_returns.py", checks_file(check_source("shop-returns", body)))
    assert_not_green(project.run("-m", "readiness"), "shop-returns")


def test_a_finding_before_not_applicable(project: Project) -> None:
    body = "\n".join([*BAD.splitlines()[:4], "not_applicable('after all')"])
    project.write("test_after.py", checks_file(check_source("shop-after", body)))
    result = project.run("-m", "readiness")
    assert_not_green(result)
    assert result.outcomes()["shop-after"] == "fail"


@pytest.mark.parametrize("name", ["controller", "runner", "redacting", "show", "fixtures"])
def test_a_part_of_the_plugin_switched_off(project: Project, name: str) -> None:
    result = project.run("-m", "readiness", "-p", f"no:readiness-{name}")
    assert result.code == 4
    assert f"-p no:readiness-{name}" in result.out


def test_nothing_applies(project: Project) -> None:
    (project.folder / "test_shop.py").unlink()
    result = project.run("-m", "readiness")
    assert_not_green(result)
    assert "no item was checked: none of them applies" in result.report["verdict"]["reasons"]


def test_ignored_files_leave_checks_out(project: Project) -> None:
    result = project.run("-m", "readiness", "--ignore=test_shop.py")
    assert_not_green(result)
    assert result.report["verdict"]["name"] == "PARTIAL"


def test_a_child_that_outlives_its_check_writes_no_report(project: Project) -> None:
    body = f"import os\nif os.fork() == 0:\n    raise SystemExit\nos.wait()\n{GOOD}"
    project.write("test_fork.py", checks_file(check_source("shop-fork", body)))
    result = project.run("-m", "readiness", "-p", "no:cacheprovider", "-W", "ignore")
    assert result.code == 0, result.out
    assert result.report["verdict"]["name"] == "READY"


DEEP = "value = []\nfor _ in range(400): value = [value]\nevidence.observed(value=value)"
# What nothing can carry, by the check that says it, and what becomes of the check.
WORDS = {
    "shop-surrogate": ("raise RuntimeError('\\udcff')", "error"),
    "shop-fail": ("pytest.fail('\\udcff')", "fail"),
    "shop-skip": ("pytest.skip('\\udcff')", "notchecked"),
    "shop-silent": (
        "class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
        "error",
    ),
    "shop-deep": (DEEP, "error"),
}


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_words_that_nothing_can_carry(project: Project, workers: tuple[str, ...]) -> None:
    checks = (check_source(id, body) for id, (body, _) in WORDS.items())
    project.write("test_words.py", checks_file(*checks))
    result = project.run("-m", "readiness", *workers)
    assert_not_green(result)
    expected = {id: outcome for id, (_, outcome) in WORDS.items()} | {"shop-one": "pass"}
    assert expected.items() <= result.outcomes().items()
    assert "INTERNALERROR" not in result.out


def test_new_first(project: Project) -> None:
    result = project.run("-m", "readiness", "--nf")
    assert result.code == 0, result.out


def test_a_folder_of_the_project_is_not_taken_for_facts(project: Project) -> None:
    project.write("facts/precious.txt", "mine")
    result = project.run("-m", "readiness", "--readiness-report", ".")
    assert result.code == 4
    assert (project.folder / "facts/precious.txt").read_text() == "mine"


@pytest.mark.parametrize("option", ["--markers", "--fixtures"])
def test_options_that_list_leave_the_last_report(project: Project, option: str) -> None:
    assert project.run("-m", "readiness").code == 0
    before = (project.folder / "readiness-report/report.json").read_bytes()
    assert project.run("-m", "readiness", option).code == 0
    assert (project.folder / "readiness-report/report.json").read_bytes() == before


def test_a_parametrised_method_is_one_item(project: Project) -> None:
    method = check_source("shop-method", GOOD, arguments="self, evidence, size")
    lines = ["class TestSizes:", "    @pytest.mark.parametrize('size', [1, 2])"]
    lines += ["    " + line for line in method.strip().splitlines()]
    project.write("test_method.py", checks_file("\n".join(lines)))
    result: Result = project.run("-m", "readiness")
    assert (result.code, result.outcomes()["shop-method"]) == (0, "pass"), result.out


def test_a_property_of_the_suite_is_redacted(project: Project) -> None:
    secret = "q7RtZ9mLw2-hunter"
    project.environment = {"SHOP_PASSWORD": secret}
    project.write(
        "test_dsn.py",
        "import os\ndef test_dsn(record_testsuite_property):\n"
        "    record_testsuite_property('dsn', os.environ['SHOP_PASSWORD'])\n"
        "import pytest\npytestmark = pytest.mark.readiness\n",
    )
    project.run("-m", "readiness", "--junitxml", "junit.xml")
    written = (project.folder / "junit.xml").read_text()
    assert 'name="dsn"' in written
    assert secret not in written
