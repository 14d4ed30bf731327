from xml.etree import ElementTree

import junitparser
import pytest

from pytest_readiness.report import junit
from pytest_readiness.results.evidence import Finding, Outcome
from pytest_readiness.results.model import Report
from tests.report import extremes, sample


def parsed(report: Report) -> junitparser.JUnitXml:
    return junitparser.JUnitXml.fromstring(junit.render(report).encode())


def test_counts_are_those_of_another_reader() -> None:
    report = sample.full()
    found = parsed(report)
    assert (found.tests, found.failures, found.errors, found.skipped) == (38, 2, 31, 2)
    found.update_statistics()  # type: ignore[no-untyped-call]
    assert (found.tests, found.failures, found.errors, found.skipped) == (38, 2, 31, 2)
    sections = list(dict.fromkeys(item.section for item in report.items))
    assert [suite.name for suite in found] == sections


def test_a_case_is_named_by_section_subsection_and_item() -> None:
    (suite, *_) = parsed(sample.full())
    case = next(iter(suite))
    assert case.classname == "readiness.infrastructure.kubernetes"
    assert case.name == "k8s-version Kubernetes cluster (1.24+) available"
    root = ElementTree.fromstring(junit.render(sample.full()))
    assert [found.attrib for found in root.findall(".//testcase")[0].iter("property")] == [
        {"name": "readiness.item", "value": "k8s-version"},
        {"name": "readiness.section", "value": "infrastructure"},
        {"name": "readiness.severity", "value": "blocker"},
        {"name": "readiness.outcome", "value": "pass"},
        {"name": "readiness.basis", "value": "P"},
    ]


@pytest.mark.parametrize("report", [sample.full(), extremes.hostile(), sample.empty()])
def test_a_case_has_one_result_element_at_most(report: Report) -> None:
    root = ElementTree.fromstring(junit.render(report))
    for case in root.iter("testcase"):
        tags = [child.tag for child in case if child.tag != "properties"]
        outcome = case.findtext("x") or next(
            found.get("value")
            for found in case.iter("property")
            if found.get("name") == "readiness.outcome"
        )
        assert len(tags) == (0 if outcome == "pass" else 1)


@pytest.mark.parametrize(
    ("outcome", "tag"),
    [
        (Outcome.PASS, None),
        (Outcome.FAIL, "failure"),
        (Outcome.ERROR, "error"),
        (Outcome.NOTCHECKED, "error"),
        (Outcome.NOTAPPLICABLE, "skipped"),
    ],
)
def test_maps_an_outcome_to_its_element(outcome: Outcome, tag: str | None) -> None:
    item = sample.item(outcome=outcome, reason="because", advice="do this")
    assert junit.element(item)[0] == tag


def test_a_fail_names_its_findings_and_what_to_do() -> None:
    item = sample.item(
        outcome=Outcome.FAIL,
        findings=(Finding("node/n3", "NotReady"), Finding("node/n4", "cordoned")),
        remediation="Repair them.",
    )
    assert junit.element(item) == (
        "failure",
        "node/n3: NotReady; node/n4: cordoned",
        "node/n3: NotReady\nnode/n4: cordoned\nRepair them.",
    )


def test_a_waived_fail_is_skipped_and_says_until_when_by_whom_and_why() -> None:
    item = sample.item("ch-backup", outcome=Outcome.FAIL, waiver=sample.WAIVER)
    tag, message, _ = junit.element(item)
    assert tag == "skipped"
    assert message == (
        "WAIVED until 2026-11-30 by sec@example.org: the backup host moves on Thursday"
    )


def test_what_xml_cannot_hold_is_made_visible() -> None:
    report = sample.report((sample.item(title="a\x00b\x1bc\ufffed", nodeid="x"),))
    (case,) = ElementTree.fromstring(junit.render(report)).iter("testcase")
    assert case.get("name") == "k8s-nodes a\\x00b\\x1bc#xFFFEd"


def test_a_message_is_one_short_line() -> None:
    item = sample.item(outcome=Outcome.FAIL, findings=(Finding("pod/p", "x\ny" * 900),))
    _, message, body = junit.element(item)
    assert "\n" not in message
    assert len(message) < 600
    assert len(body) > 1800
