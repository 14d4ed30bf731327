"""JUnit XML from a report: one suite a section, one result element a case.

Dashboards agree on `classname` and `name` alone, so these carry section, subsection and item; the
properties are for those that read more.
"""

import re
from xml.etree import ElementTree

from pytest_readiness.report import view
from pytest_readiness.results.evidence import Outcome
from pytest_readiness.results.model import Item, Report
from pytest_readiness.text import flat

_MESSAGE = 500  # characters; dashboards show one line and cut it anyway
# What XML 1.0 cannot hold, section 2.2 of the recommendation.
_INVALID = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def element(item: Item) -> tuple[str | None, str, str]:
    """Return tag, message and body of the one result element; the tag is None for a pass.

    A fail under a waiver is skipped, so that it does not stop a dashboard, and says so.
    """
    match item.outcome:
        case Outcome.PASS:
            return None, "", ""
        case Outcome.FAIL if item.waiver is not None and view.waived(item):
            waiver = item.waiver
            return "skipped", _line(_waiver_text(item)), _body(item, f"risk: {waiver.risk}")
        case Outcome.FAIL:
            return "failure", _line(_fail_text(item)), _body(item, item.remediation)
        case Outcome.NOTAPPLICABLE:
            return "skipped", _line(item.reason or "not applicable"), ""
        case _:
            return (
                "error",
                _line(item.reason or view.WORD[view.bucket(item)]),
                _body(item, item.advice),
            )


def render(report: Report) -> str:
    """Return the XML document with its declaration and a line end."""
    root = ElementTree.Element("testsuites", name=_text(view.title(report)))
    for section in view.sections(report):
        root.append(_suite(report, section))
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}\n'


def _suite(report: Report, section: view.Section) -> ElementTree.Element:
    items = [item for _, part in section.subsections for item in part]
    tags = [element(item)[0] for item in items]
    suite = ElementTree.Element(
        "testsuite",
        name=_text(section.name),
        tests=str(len(items)),
        failures=str(tags.count("failure")),
        errors=str(tags.count("error")),
        skipped=str(tags.count("skipped")),
        time=f"{sum(item.duration for item in items):.3f}",
        timestamp=_text(report.run.started),
    )
    suite.extend(case(item) for item in items)
    return suite


def case(item: Item) -> ElementTree.Element:
    """Return the `testcase` of an item: its names, properties and result element."""
    case = ElementTree.Element(
        "testcase",
        classname=_text(f"readiness.{item.section}.{item.subsection}"),
        name=_text(flat(f"{item.id} {item.title}")),
        time=f"{item.duration:.3f}",
    )
    properties = ElementTree.SubElement(case, "properties")
    for name, value in (
        ("item", item.id),
        ("section", item.section),
        ("severity", item.severity),
        ("outcome", item.outcome),
        ("basis", item.basis),
        *([("waived_until", item.waiver.expires)] if item.waiver else []),
        *([("environment", item.environment)] if item.environment else []),
    ):
        ElementTree.SubElement(properties, "property", name=f"readiness.{name}", value=_text(value))
    tag, message, body = element(item)
    if tag is not None:
        result = ElementTree.SubElement(case, tag, message=_text(message))
        if tag != "skipped":
            result.set("type", f"readiness.{item.outcome.value}")
        result.text = _text(body) or None
    return case


def _waiver_text(item: Item) -> str:
    waiver = item.waiver
    return f"WAIVED until {waiver.expires} by {waiver.approver}: {waiver.reason}" if waiver else ""


def _fail_text(item: Item) -> str:
    found = "; ".join(f"{finding.subject}: {finding.problem}" for finding in item.findings)
    return found or item.reason or "fails"


def _body(item: Item, advice: str | None) -> str:
    lines = [f"{finding.subject}: {finding.problem}" for finding in item.findings]
    if lines and item.reason:
        lines.append(item.reason)
    return "\n".join([*lines, *([advice] if advice else [])])


def _line(text: str) -> str:
    return view.cut(flat(text), _MESSAGE)


def _text(text: str) -> str:
    return _INVALID.sub(lambda found: f"#x{ord(found.group()):02X}", text)
