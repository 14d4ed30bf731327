"""What is left of a run: its files, and the JUnit file that was asked of pytest.

PYTEST_DONT_REWRITE
"""

import tempfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from _pytest.junitxml import mangle_test_address

from pytest_readiness.errors import ReadinessError, Why
from pytest_readiness.report.write import write_all
from pytest_readiness.results import model
from pytest_readiness.run.context import CONTEXT
from pytest_readiness.signoff import attest

_MEASURED = ("time", "timestamp")  # attributes of JUnit that have digits and no secrets


def write_run(report: model.Report, directory: Path, config: pytest.Config) -> str | None:
    """Write all files of the run. Returns what went wrong, None when nothing did.

    Where the run directory takes no more, report.json goes to a temporary one, so that what is
    missing is still named somewhere.
    """
    try:
        write_all(report, directory)
    except OSError as error:
        problem = f"the report could not be written to {directory}: {error}"
        return f"{problem}; {_elsewhere(report)}"
    try:
        adapt_junit(report, config)
    except (OSError, ElementTree.ParseError) as error:
        return f"--junitxml {config.option.xmlpath} could not be written: {error}"
    context = config.stash[CONTEXT]
    try:
        # A replay says nothing of a build that its run has not said, and has no keys.
        attest.write(
            directory, context.settings.readiness.ci_key if context.plan.replay is None else None
        )
    except ReadinessError as error:
        return f"the run could not be attested: {error}"
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

    pytest knows nothing of the outcomes and cannot name what never ran. Raises OSError, and
    ElementTree.ParseError for a file that is not pytest's.
    """
    name = config.getoption("xmlpath", None)
    if not name:
        return
    from pytest_readiness.report.junit import case

    path = Path(name).expanduser()
    tree = ElementTree.parse(path)
    prefix = config.getoption("junitprefix", None)
    context = config.stash[CONTEXT]
    addresses = {_address(item.nodeid, prefix) for item in report.items}
    for suite in tree.iter("testsuite"):
        for found in suite.findall("testcase"):
            if _is_item(found, context.plan.carrier, addresses):
                suite.remove(found)
        suite.extend(case(item) for item in report.items if item.why != Why.NOT_SELECTED)
        _count(suite)
    # Some of it is in no report: record_testsuite_property, record_xml_attribute.
    clean = context.redactor.text
    for found in tree.iter():
        found.attrib.update(
            {name: clean(text) for name, text in found.attrib.items() if name not in _MEASURED}
        )
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _is_item(case: ElementTree.Element, carrier: str, addresses: set[str]) -> bool:
    if any(found.get("name") == carrier for found in case.iter("property")):
        return True
    # The case that stands for the test of a dead worker has no properties.
    name = f"{case.get('classname', '')}.{case.get('name', '').partition('[')[0]}"
    return name in addresses


def _address(nodeid: str, prefix: str | None) -> str:
    # As pytest names a case, but for parameters: all cases of a check are one item.
    names = mangle_test_address(nodeid.partition("[")[0])
    return ".".join((prefix, *names) if prefix else names)


def _count(suite: ElementTree.Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for attribute, tag in (("errors", "error"), ("failures", "failure"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
