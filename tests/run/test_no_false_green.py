"""Promise 1, not checked is never ready: each way that such gates have been seen to open."""

import os
import resource
import signal

import pytest

from tests.run.project import BAD, GOOD, Project, Result, check_source, checks_file, waited


def assert_not_green(result: Result, *missing: str) -> None:
    """Assert that the run says nowhere that it is ready, and names what has no result."""
    assert result.code != 0, result.out
    lines = result.out.splitlines()
    assert not [line for line in lines if line.startswith(("READY (", "READY WITH WAIVERS ("))]
    report = result.report
    assert report["verdict"]["name"] not in ("READY", "READY WITH WAIVERS")
    for id in missing:
        assert result.outcomes()[id] in ("notchecked", "error"), result.outcomes()


def test_an_undisturbed_run_is_ready(project: Project) -> None:
    result = project.run("-m", "readiness")
    assert result.code == 0, result.out
    assert result.report["verdict"]["name"] == "READY"
    assert result.outcomes() == {
        "rollback-undo": "notapplicable",
        "rollback-previous": "notapplicable",
        "rollback-database": "notapplicable",
        "rollback-stable": "notapplicable",
        "shop-one": "pass",
        "shop-two": "pass",
    }


def test_a_killed_worker(project: Project) -> None:
    project.write("test_dies.py", checks_file(check_source("shop-dies", "import os; os._exit(1)")))
    result = project.run("-m", "readiness", "-n", "2")
    assert_not_green(result, "shop-dies")
    assert result.outcomes()["shop-one"] == "pass"


# What JSON cannot carry, by the check that observes it.
VALUES = {
    "shop-moment": "__import__('datetime').datetime.now()",
    "shop-bytes": "b'bytes'",
    "shop-nan": "float('nan')",
    "shop-surrogate": "'\\ud800'",
    "shop-object": "object()",
}


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_evidence_that_json_cannot_carry(project: Project, workers: tuple[str, ...]) -> None:
    body = "evidence.examined(['a'])\nevidence.observed(value={})\nevidence.expected(b=1)"
    checks = (check_source(id, body.format(value)) for id, value in VALUES.items())
    project.write("test_value.py", checks_file(*checks))
    result = project.run("-m", "readiness", *workers)
    assert_not_green(result, *VALUES)
    assert result.outcomes()["shop-one"] == "pass"
    for id in VALUES:
        assert "evidence value" in result.item(id)["reason"]


def test_a_property_that_no_worker_can_send(project: Project) -> None:
    # The worker breaks over it, and xdist alone would say that all passed.
    body = f"record_property('t', __import__('datetime').datetime.now())\n{GOOD}"
    source = check_source("shop-value", body, arguments="evidence, record_property")
    project.write("test_value.py", checks_file(source))
    result = project.run("-m", "readiness", "-n", "2")
    assert_not_green(result)
    assert result.code in (3, 6)


@pytest.mark.parametrize("option", ["-x", "--maxfail=1"])
def test_a_run_that_stops_at_the_first_failure(project: Project, option: str) -> None:
    project.write("test_a.py", checks_file(check_source("shop-bad", BAD)))
    result = project.run("-m", "readiness", option)
    assert_not_green(result)
    assert result.code == 1
    assert {
        "rollback-undo": "notapplicable",
        "shop-bad": "fail",
    }.items() <= result.outcomes().items()
    assert {"shop-one": "notchecked", "shop-two": "notchecked"}.items() <= result.outcomes().items()


def test_a_stop_leaves_packaged_items_missing_by_name(project: Project) -> None:
    project.write("readiness.ini", "[readiness]\nsystem = a\nenvironment = b\nphase = rollback\n")
    result = project.run("-m", "readiness", "-x")
    assert_not_green(result, "rollback-undo", "rollback-previous")
    assert "rollback-previous" in result.report["completeness"]["missing"]


@pytest.mark.parametrize(
    "option",
    [("-k", "shop-one"), ("-k", "not rollback-undo"), ("--deselect", "test_shop.py")],
    ids=" ".join,
)
def test_options_that_leave_items_out(project: Project, option: tuple[str, str]) -> None:
    result = project.run("-m", "readiness", *option)
    assert_not_green(result)
    assert result.report["verdict"]["name"] == "PARTIAL"


def test_an_import_error_in_a_section(project: Project) -> None:
    project.write("test_broken.py", "import no_such_module\n")
    result = project.run("-m", "readiness")
    assert_not_green(result, "rollback-undo")
    assert result.code == 2


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal(project: Project, number: signal.Signals, workers: tuple[str, ...]) -> None:
    body = "import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(30)"
    project.write("test_slow.py", checks_file(check_source("shop-slow", body)))
    process = project.start("-m", "readiness", *workers)
    assert waited((project.folder / "begun").exists)
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    result = Result(process.wait(), out, project.folder)
    assert_not_green(result, "shop-slow")
    assert result.code == 2


def test_a_keyboard_interrupt_in_a_check(project: Project) -> None:
    project.write("test_stop.py", checks_file(check_source("shop-stop", "raise KeyboardInterrupt")))
    result = project.run("-m", "readiness")
    assert_not_green(result, "shop-stop")
    assert result.code == 2


def test_an_exit_with_code_zero(project: Project) -> None:
    project.write("test_exit.py", checks_file(check_source("shop-exit", "pytest.exit('x', 0)")))
    result = project.run("-m", "readiness")
    assert_not_green(result, "shop-exit")


def test_a_report_directory_that_cannot_be_written(project: Project) -> None:
    project.write("readiness-report", "a file where the directory should be")
    result = project.run("-m", "readiness")
    assert result.code == 4
    assert "cannot be written" in result.out
    assert "READY" not in result.out


@pytest.mark.parametrize(
    ("size", "code", "problem"),
    [(1000, 4, "cannot be written"), (5000, 3, "could not be written")],
    ids=["at-the-start", "later"],
)
def test_a_disk_that_is_full(project: Project, size: int, code: int, problem: str) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    project.fresh = True
    result = project.run("-m", "readiness", "-p", "no:cacheprovider", preexec_fn=small_files)
    assert result.code == code, result.out
    assert ("INCOMPLETE (exit code 3)" in result.out) == (code == 3)
    assert problem in result.out
    assert "READY (" not in result.out


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("pass", "passed without evidence"),
        ("evidence.examined(['a'])", "passed without evidence: nothing observed"),
        ("evidence.examined([])", "nothing was examined"),
        ("pytest.skip('later')", "skipped (later)"),
        ("pytest.xfail('known')", "xfail"),
    ],
)
def test_a_check_that_does_not_check(project: Project, body: str, reason: str) -> None:
    project.write("test_lazy.py", checks_file(check_source("shop-lazy", body)))
    result = project.run("-m", "readiness")
    assert_not_green(result, "shop-lazy")
    assert result.code == 6
    assert reason in result.item("shop-lazy")["reason"]


def test_a_fail_that_is_marked_as_expected(project: Project) -> None:
    source = "@pytest.mark.xfail" + check_source("shop-bad", BAD)
    project.write("test_xfail.py", checks_file(source))
    result = project.run("-m", "readiness")
    assert_not_green(result)
    assert (result.code, result.outcomes()["shop-bad"]) == (1, "fail")


def test_a_conftest_that_skips(project: Project) -> None:
    project.write(
        "conftest.py",
        """
        import pytest
        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.skip(reason="not today"))
        """,
    )
    result = project.run("-m", "readiness")
    assert_not_green(result, "shop-one", "shop-two")
    assert "not today" in result.item("shop-one")["reason"]


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
@pytest.mark.parametrize("remove", ["items[:] = items[1:]", "items.clear()"])
def test_a_conftest_that_removes_items(
    project: Project, remove: str, workers: tuple[str, ...]
) -> None:
    hook = "@pytest.hookimpl(trylast=True)\ndef pytest_collection_modifyitems(items):\n    "
    project.write("conftest.py", f"import pytest\n{hook}{remove}\n")
    result = project.run("-m", "readiness", *workers)
    assert_not_green(result, "rollback-undo")
    assert "rollback-undo" in result.report["completeness"]["missing"]


def test_a_conftest_that_removes_a_check_of_the_project(project: Project) -> None:
    project.write(
        "conftest.py",
        """
        def pytest_deselected(items): pass
        def pytest_collection_modifyitems(config, items):
            out = [item for item in items if "shop_two" in item.name]
            items[:] = [item for item in items if item not in out]
            config.hook.pytest_deselected(items=out)
        """,
    )
    result = project.run("-m", "readiness")
    assert_not_green(result, "shop-two")


def test_a_conftest_that_rewrites_reports(project: Project) -> None:
    project.write("test_bad.py", checks_file(check_source("shop-bad", BAD)))
    project.write(
        "conftest.py",
        """
        import pytest
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            report.outcome = "passed"
            report.longrepr = None
            return report
        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_logreport(report):
            report.outcome = "passed"
        def pytest_sessionfinish(session):
            session.exitstatus = 0
        """,
    )
    result = project.run("-m", "readiness")
    assert_not_green(result)
    assert (result.code, result.outcomes()["shop-bad"]) == (1, "fail")


def test_a_conftest_that_swallows_the_failure(project: Project) -> None:
    project.write("test_bad.py", checks_file(check_source("shop-bad", BAD)))
    project.write(
        "conftest.py",
        """
        import pytest
        @pytest.hookimpl(wrapper=True)
        def pytest_pyfunc_call(pyfuncitem):
            try:
                return (yield)
            except AssertionError:
                return True
        """,
    )
    result = project.run("-m", "readiness")
    assert_not_green(result)
    assert result.outcomes()["shop-bad"] == "fail"


@pytest.mark.parametrize("id", ["shop-one", "k8s-nodes"])
def test_an_id_that_is_declared_twice(project: Project, id: str) -> None:
    project.write("test_twice.py", checks_file(check_source(id, GOOD)))
    result = project.run("-m", "readiness")
    assert_not_green(result, "rollback-undo")
    assert result.code == 4
    assert f"item {id} is declared twice" in result.out


def test_a_fixture_that_gives_none(project: Project) -> None:
    source = check_source("shop-none", GOOD, arguments="evidence, cache")
    project.write(
        "test_none.py",
        checks_file("@pytest.fixture\ndef cache():\n    return None\n", source),
    )
    result = project.run("-m", "readiness")
    assert_not_green(result, "shop-none")
    assert "cache gave None" in result.item("shop-none")["reason"]


def test_a_rerun_does_not_improve_a_fail(project: Project) -> None:
    project.write(
        "conftest.py",
        """
        from _pytest.runner import runtestprotocol
        def pytest_runtest_protocol(item, nextitem):
            for _ in range(2):
                for report in runtestprotocol(item, nextitem=nextitem, log=False):
                    item.ihook.pytest_runtest_logreport(report=report)
            return True
        """,
    )
    body = "\n".join(
        [
            "import pathlib",
            "path = pathlib.Path('seen')",
            *GOOD.splitlines()[:3],
            "if not path.exists():",
            "    path.touch()",
            "    evidence.finding('thing/a', 'failed at first')",
            "assert not evidence.findings",
        ]
    )
    project.write("test_flaky.py", checks_file(check_source("shop-flaky", body)))
    result = project.run("-m", "readiness", "test_flaky.py")
    assert_not_green(result)
    assert (result.code, result.outcomes()["shop-flaky"]) == (1, "fail")


def test_a_teardown_that_breaks(project: Project) -> None:
    fixture = "@pytest.fixture\ndef cache():\n    yield 1\n    raise RuntimeError('cleanup')\n"
    source = check_source("shop-cache", GOOD, arguments="evidence, cache")
    project.write("test_cache.py", checks_file(fixture, source))
    result = project.run("-m", "readiness")
    assert_not_green(result, "shop-cache")


def test_a_report_of_an_earlier_run_does_not_survive(project: Project) -> None:
    assert project.run("-m", "readiness").code == 0
    body = f"import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n{GOOD}"
    project.write("test_killed.py", checks_file(check_source("shop-killed", body)))
    result = project.run("-m", "readiness")
    assert result.code == -signal.SIGKILL
    assert not (project.folder / "readiness-report/report.json").exists()
    assert (project.folder / "readiness-report/journal.jsonl").read_text().count("\n") >= 2


def test_a_minor_fail_is_shown_and_does_not_close_the_gate(project: Project) -> None:
    project.write("test_minor.py", checks_file(check_source("shop-minor", BAD, severity="MINOR")))
    result = project.run("-m", "readiness")
    assert result.code == 0, os.linesep + result.out
    assert any("shop-minor" in reason for reason in result.report["verdict"]["reasons"])
