"""The table at the end of a run of our own tests, and the order that they are run in."""

import re

import pytest

TESTS = """\
import time
import pytest

@pytest.fixture
def slow():
    time.sleep(0.06)
    yield
    time.sleep(0.06)

def test_one(slow): pass

@pytest.mark.skip
def test_two(): pass
"""


def test_a_table_of_files_has_seconds_of_all_phases_and_tests(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_slow=TESTS, test_quick="def test_it(): pass")
    result = pytester.runpytest_inprocess("-p", "tests.slowest", "-p", "no:xdist", "-q")
    text = result.stdout.str()
    assert "slowest files, of 0 s in 2 files" in text
    rows = re.findall(r"^ +([0-9.]+) s +(\d+) tests  (.+)$", text, re.MULTILINE)
    assert [(tests, file) for _, tests, file in rows] == [
        ("2", "test_slow.py"),
        ("1", "test_quick.py"),
    ]
    assert float(rows[0][0]) >= 0.1


def test_one_file_has_no_table(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_quick="def test_it(): pass")
    result = pytester.runpytest_inprocess("-p", "tests.slowest", "-p", "no:xdist", "-q")
    assert "1 passed" in result.stdout.str()
    assert "slowest files" not in result.stdout.str()


def test_what_one_worker_runs_alone_is_first(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmarkers = xdist_group\n")
    pytester.makepyfile(
        "import pytest\ndef test_a(): pass\ndef test_b(): pass\n"
        "@pytest.mark.xdist_group('one')\ndef test_c(): pass\n"
    )
    result = pytester.runpytest_inprocess("-p", "tests.slowest", "-p", "no:xdist", "--co", "-q")
    lines = [line.partition("::")[2] for line in result.outlines if "::" in line]
    assert lines == ["test_c", "test_a", "test_b"]
