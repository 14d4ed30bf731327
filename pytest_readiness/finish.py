"""What is left of a run: its files, and the JUnit file that was asked of pytest.

PYTEST_DONT_REWRITE
"""

import tempfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pytest_readiness.assemble import NOT_SELECTED
from pytest_readiness.report import model
from pytest_readiness.report.write import write_all
from pytest_readiness.runner import PROPERTY
from pytest_readiness.selection import ROOT


def write_run(report: model.Report, directory: Path, config: pytest.Config) -> str | None:
    """Write all files of the run. Returns what went wrong, None when nothing did.

    Where the run directory takes no more, report.json goes to a temporary one, so that what is
    missing is still named somewhere.
    """
    try:
        write_all(report, directory)
        adapt_junit(report, config)
    except OSError as error:
        problem = f"the report could not be written to {directory}: {error}"
        return f"{problem}\n{_elsewhere(report)}"
    return None


def _elsewhere(report: model.Report) -> str:
    folder = Path(tempfile.mkdtemp(prefix="readiness-report-"))
    try:
        write_all(report, folder)
    except OSError as error:
        return f"nor to {folder}: {error}"
    return f"it lies in {folder}"


def adapt_junit(report: model.Report, config: pytest.Config) -> None:
    """Give the items their cases in the file of `--junitxml`, others keep theirs.

    pytest knows nothing of the outcomes and cannot name what never ran. Raises OSError.
    """
    name = config.getoption("xmlpath", None)
    if not name:
        return
    from pytest_readiness.report.junit import case

    path = Path(name).expanduser()
    tree = ElementTree.parse(path)
    ids = {item.id for item in report.items}
    for suite in tree.iter("testsuite"):
        for found in suite.findall("testcase"):
            if _is_item(found, ids):
                suite.remove(found)
        suite.extend(case(item) for item in report.items if item.reason != NOT_SELECTED)
        _count(suite)
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _is_item(case: ElementTree.Element, ids: set[str]) -> bool:
    if any(found.get("name") == PROPERTY for found in case.iter("property")):
        return True
    # The case that stands for the test of a dead worker has no properties.
    return case.get("name") in ids and f"{ROOT}." in case.get("classname", "")


def _count(suite: ElementTree.Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for attribute, tag in (("errors", "error"), ("failures", "failure"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
