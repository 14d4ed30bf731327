"""Every rendering lists the limits below the checklist, and its line of the verdict counts them."""

import json
from typing import Any

import msgspec
import pytest

from pytest_readiness.report import html, markdown, terminal
from pytest_readiness.results import model
from pytest_readiness.results.model import Relaxed
from tests.report import golden, sample

SHA = sample.digest("report.json")
NODES = Relaxed(section="kubernetes", key="min_nodes", value="1", checklist="3")
UNDO = Relaxed(
    section="not_applicable", key="rollback-undo", value="no\ncluster", checklist="judged"
)


def shown(*relaxed: Relaxed) -> dict[str, str]:
    report = sample.full(relaxed=relaxed)
    return {
        "terminal": golden.plain(terminal.lines(report, 100, "readiness-report")),
        "html": html.render(report, SHA),
        "markdown": markdown.render(report, SHA).replace("\\", ""),
    }


@pytest.mark.parametrize("form", ["terminal", "html", "markdown"])
def test_each_is_listed_with_both_values_and_the_verdict_says_how_many(form: str) -> None:
    text = shown(NODES, UNDO)[form]
    assert "imits below the checklist" in text
    for name, says in (
        ("[kubernetes] min_nodes", "1, the checklist has 3"),
        ("[not_applicable] rollback-undo", "no cluster, the checklist has judged"),
    ):
        line = next(line for line in text.splitlines() if name in line)
        assert says in line
    verdict = next(line for line in text.splitlines() if "2 limits below the checklist" in line)
    assert "NOT READY" in verdict


@pytest.mark.parametrize("form", ["terminal", "html", "markdown"])
def test_one_is_one_and_none_is_not_spoken_of(form: str) -> None:
    assert "1 limit below the checklist" in shown(NODES)[form]
    assert "below the checklist" not in shown()[form]


def test_a_report_of_a_version_that_did_not_say_it_is_read() -> None:
    written: Any = json.loads(model.encode(sample.full()))
    del written["relaxed"]
    read = msgspec.json.decode(json.dumps(written), type=model.Report)
    assert read.relaxed is None
    assert "below the checklist" not in html.render(read, SHA)
