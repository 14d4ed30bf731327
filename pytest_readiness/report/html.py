"""report.html: one file without script or network, that reads well with its style dropped.

A CI server may serve it under `default-src 'none'`, which drops the style as well; so order,
headings, words, shapes and table captions carry everything, and the style only sets it well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_readiness.report import signatures, view
from pytest_readiness.report.view import Bucket
from pytest_readiness.results.evidence import EvidenceRecord
from pytest_readiness.results.model import Item, Report
from pytest_readiness.text import clean, moment, plural, took

if TYPE_CHECKING:
    from jinja2 import Environment

    from pytest_readiness.signoff.state import Said

TEMPLATES = Path(__file__).with_name("templates")
_BAR = 240  # width of a bar in its own units
_TONE = {
    "READY": "pass",
    "READY WITH WAIVERS": "pass",
    "NOT READY": "fail",
    "INCOMPLETE": "error",
    "PARTIAL": "notchecked",
}


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a bar: a bucket, where it begins and how wide it is."""

    bucket: Bucket
    x: float
    width: float


def render(report: Report, sha256: str, said: "Sequence[Said]" = ()) -> str:
    """Return the page. sha256: of the bytes of report.json, hexadecimal. said: who has signed."""
    page = environment().get_template("report.html.j2")
    text = page.render(
        report=report,
        sha256=sha256,
        sections=view.sections(report),
        counts=view.count(report.items),
        tone=_TONE.get(report.verdict.name, "error"),
        failures=view.failures(report),
        root_causes=view.root_causes(report),
        unchecked=view.unchecked(report),
        waived=tuple(item for item in report.items if view.waived(item)),
        signatures=signatures.rows(said),
        signatures_say=signatures.SAYS,
    )
    return text.rstrip("\n") + "\n"


def bar(counts: dict[Bucket, int]) -> tuple[Segment, ...]:
    """Return the segments of a bar, their widths in proportion to the counts."""
    total = sum(counts.values())
    segments = []
    x = 0.0
    for bucket, number in counts.items():
        if number:
            width = _BAR * number / total
            segments.append(Segment(bucket, round(x, 1), round(max(width - 1.5, 1.0), 1)))
            x += width
    return tuple(segments)


def compared(record: EvidenceRecord) -> list[tuple[str, list[str] | None, list[str] | None]]:
    """Return name, lines observed and lines expected, row by row; None where there is none."""
    names = dict.fromkeys([*record.observed, *record.expected])
    return [
        (
            name,
            view.value_lines(record.observed[name]) if name in record.observed else None,
            view.value_lines(record.expected[name]) if name in record.expected else None,
        )
        for name in names
    ]


def link(reference: str | None) -> str | None:
    """Return the reference where it is a web address, for nothing else may become a link."""
    if reference and reference.startswith(("https://", "http://")):
        return reference
    return None


def fact_link(fact: str | None) -> str | None:
    """Return the path of a fact file where it lies in the run directory's facts."""
    if fact and fact.startswith("facts/") and ".." not in fact and ":" not in fact:
        return fact
    return None


def anchor(item: Item) -> str:
    """Return the id of the element of an item; an id has no white space in HTML."""
    return "item-" + "-".join(item.id.split())


@cache
def environment() -> "Environment":
    """Return what the templates are read by, which compiles each of them once a process."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda part: (
            clean(part) if isinstance(part, str) and not isinstance(part, Markup) else part
        ),
    )
    environment.globals.update(
        view=view,
        moment=moment,
        plural=plural,
        took=took,
        bar=bar,
        compared=compared,
        link=link,
        fact_link=fact_link,
        anchor=anchor,
        buckets=tuple(Bucket),
        bar_width=_BAR,
    )
    return environment
