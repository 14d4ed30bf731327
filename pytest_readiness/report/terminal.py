"""The summary at the end of a run: read from the bottom, where the verdict stands.

Own words are ASCII, so that any terminal shows them. Lines are spans of text and style; the
plugin paints them.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import zip_longest

from pytest_readiness.catalogue.words import Severity
from pytest_readiness.report import view
from pytest_readiness.report.view import Bucket
from pytest_readiness.results.model import Item, Report
from pytest_readiness.text import cells, clean, flat, plural, wrap

_NARROW = 12  # columns below which a section's name has no place beside the counts
FINDINGS = 10  # shown of one item; report.html has more, report.json all


class Style(StrEnum):
    """How a span is painted."""

    PLAIN = "plain"
    BOLD = "bold"
    DIM = "dim"
    RED = "red"
    GREEN = "green"
    YELLOW = "yellow"


Span = tuple[str, Style]
Line = tuple[Span, ...]

_PAINT = {
    Bucket.PASS: Style.GREEN,
    Bucket.FAIL: Style.RED,
    Bucket.WAIVED: Style.YELLOW,
    Bucket.ERROR: Style.YELLOW,
    Bucket.NOTCHECKED: Style.YELLOW,
    Bucket.NOTAPPLICABLE: Style.DIM,
}
_VERDICT = {"READY": Style.GREEN, "READY WITH WAIVERS": Style.GREEN, "NOT READY": Style.RED}


def lines(report: Report, width: int, report_dir: str) -> list[Line]:
    """Return the summary. width: columns, kept but for words longer than a line."""
    return [
        *_table(report, width),
        *_groups("does not apply", Style.DIM, view.not_applicable(report), width),
        *_groups("not checked", Style.YELLOW, view.unchecked(report), width),
        *_listed("waivers that cover nothing", view.idle_waivers(report), width),
        *_listed("declarations to look at", view.noted_declarations(report), width),
        *_listed("limits below the checklist", view.relaxed(report), width),
        *_waived(report, width),
        *_groups("could not ask", Style.YELLOW, view.root_causes(report), width),
        *_failures(report, width),
        *_verdict(report, width, report_dir),
    ]


def _table(report: Report, width: int) -> Iterator[Line]:
    heads = list(view.WORD.values())
    room = width - sum(len(head) + 2 for head in heads)
    rows = [(flat(section.heading), section.counts) for section in view.sections(report)]
    rows.append(("all", view.count(report.items)))
    if room < _NARROW:
        for name, counts in rows:
            yield from _plain(wrap(f"{name}: {_words(counts)}", width, 0, 2))
        return
    column = min(max(cells(name) for name in ("section", *dict(rows))), room)
    yield tuple((text, Style.DIM) for text in (_fit("section", column), *_columns(heads)))
    for name, counts in rows:
        style = Style.BOLD if name == "all" else Style.PLAIN
        yield ((_fit(name, column), style), *_numbers(counts, heads))


def _columns(heads: list[str]) -> list[str]:
    return [f"  {head}" for head in heads]


def _words(counts: dict[Bucket, int]) -> str:
    parts = [f"{number} {view.WORD[bucket]}" for bucket, number in counts.items() if number]
    return ", ".join(parts) or "no items"


def _numbers(counts: dict[Bucket, int], heads: list[str]) -> Iterator[Span]:
    for (bucket, number), head in zip(counts.items(), heads, strict=True):
        yield f"  {number:>{len(head)}}", _PAINT[bucket] if number else Style.DIM


def _fit(text: str, column: int) -> str:
    while cells(text) > column:
        text = text.removesuffix("~")[:-1] + "~"
    return text + " " * (column - cells(text))


def _groups(what: str, style: Style, groups: tuple[view.Group, ...], width: int) -> Iterator[Line]:
    if not groups:
        return
    yield ()
    yield ((what, style),)
    for group, following in zip_longest(groups, groups[1:]):
        text = f"{group.headline}: {plural(len(group.items), 'item')}"
        yield from _plain(wrap(text, width, 2, 4))
        yield from _dim(wrap(", ".join(group.names), width, 4))
        # Said once where the next cause has the same remedy.
        if following is None or following.advice != group.advice:
            yield from _advice(group.advice, width)


def _listed(what: str, told: tuple[tuple[str, str], ...], width: int) -> Iterator[Line]:
    if told:
        yield ()
        yield from (((line, Style.YELLOW),) for line in wrap(what, width))
    for name, says in told:
        yield from _plain(wrap(f"{name}: {says}", width, 2, 4))


def _waived(report: Report, width: int) -> Iterator[Line]:
    waived = [item for item in report.items if view.waived(item)]
    if waived:
        yield ()
        yield (("fails under a waiver", Style.YELLOW),)
    for item in waived:
        waiver = item.waiver
        if waiver is not None:
            text = f"{item.id}: until {waiver.expires} by {waiver.approver}: {waiver.reason}"
            yield from _plain(wrap(text, width, 2, 4))


def _failures(report: Report, width: int) -> Iterator[Line]:
    # Upside down: the blockers come last, next to the verdict.
    failures = view.failures(report)
    for severity in reversed(Severity):
        items = [item for item in failures if item.severity is severity]
        if items:
            yield ()
            what = plural(len(items), f"{severity.value} fail")
            yield ((what, Style.YELLOW if severity is Severity.MINOR else Style.RED),)
        for item in items:
            yield from _failure(item, width)


def _failure(item: Item, width: int) -> Iterator[Line]:
    first, *rest = wrap(f"{item.id}: {item.title.replace('`', '')}", width, 2, 4)
    name = f"  {flat(item.id)}:"
    if first.startswith(name):
        yield ((name, Style.BOLD), (first[len(name) :], Style.PLAIN))
    else:
        yield ((first, Style.BOLD),)
    yield from _plain(rest)
    if item.reason:
        yield from _plain(wrap(item.reason, width, 4))
    for finding in item.findings[:FINDINGS]:
        yield from _plain(wrap(f"{finding.subject}: {finding.problem}", width, 4, 6))
    if len(item.findings) > FINDINGS:
        more = f"and {len(item.findings) - FINDINGS} more in report.html"
        yield from _plain(wrap(more, width, 4, 6))
    if item.remediation:
        yield from _plain(wrap(f"-> {item.remediation}", width, 4, 7))


def _advice(advice: str | None, width: int) -> Iterator[Line]:
    # A snippet keeps its indentation, for it is there to be copied.
    for number, line in enumerate(clean(advice or "").splitlines()):
        text = line.expandtabs().rstrip()
        indent = 7 + len(text) - len(text.lstrip())
        folded = wrap(text, width, indent) if text else [""]
        if number == 0:
            folded[0] = "    -> " + folded[0].lstrip()
        yield from _plain(folded)


def _verdict(report: Report, width: int, report_dir: str) -> Iterator[Line]:
    style = _VERDICT.get(report.verdict.name, Style.YELLOW)
    owed = report.completeness
    yield ()
    if owed.missing:  # each of them stands above, under what was not checked
        text = f"{owed.reported} of {owed.expected} items gave a result"
        yield from _plain(wrap(text, width, 0, 2))
    code = f"(exit code {report.verdict.exit_code})"
    said = f"{view.verdict(report)} {code}{view.below(report)}"
    for line in wrap(said, width):
        yield ((line, style),)
    for reason in report.verdict.reasons:
        yield from _plain(wrap(f"- {reason}", width, 2, 4))
    # A path is never folded: it is there to be clicked or copied.
    path = clean(f"{report_dir.rstrip('/')}/report.html")
    fits = cells(path) + 8 <= width
    yield from _plain([f"report: {path}"] if fits else ["report:", path])


def _plain(texts: Iterable[str]) -> Iterator[Line]:
    return (((text, Style.PLAIN),) for text in texts)


def _dim(texts: Iterable[str]) -> Iterator[Line]:
    return (((text, Style.DIM),) for text in texts)
