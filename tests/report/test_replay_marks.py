"""A replay is marked in the title and the line of the verdict of every rendering, as the lab is."""

import re

import msgspec
import pytest

from pytest_readiness.report import html, markdown, terminal
from pytest_readiness.results.model import Report
from tests.report import golden, sample

SHA = sample.digest("report.json")


def report(*, lab: bool, replay: str | None) -> Report:
    base = sample.full() if lab else sample.production(sample.full())
    return msgspec.structs.replace(base, run=msgspec.structs.replace(base.run, replay=replay))


@pytest.mark.parametrize(
    ("lab", "replay", "marks"),
    [
        (False, None, ""),
        (True, None, "LAB: "),
        (False, "r1", "REPLAY: "),
        (True, "r1", "LAB: REPLAY: "),
    ],
)
def test_title_and_verdict_begin_with_the_marks(lab: bool, replay: str | None, marks: str) -> None:
    made = report(lab=lab, replay=replay)
    page, text = html.render(made, SHA), markdown.render(made, SHA)
    screen = golden.plain(terminal.lines(made, 100, "readiness-report"))
    assert f"\n{marks}NOT READY (exit code 1)" in screen
    assert f"\n**{marks}NOT READY** (exit code 1)" in text
    assert f"Verdict: </span>{marks}NOT READY</span>" in page
    title = f"{marks}st-risk-platform readiness"
    assert text.startswith(f"# {title}")
    assert re.search(f"<h1>{title}</h1>", page)
    assert ("that run r1 recorded" in page) == (replay is not None)
    assert ("that run `r1` recorded" in text) == (replay is not None)
