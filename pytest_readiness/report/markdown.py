"""report.md: what is wrong, then the checklist itself with its boxes ticked.

Text of a report comes from systems that were asked; none of it may become markup. A CI server
refuses a job summary above one mebibyte, so a report that long is cut entry by entry, never by
leaving out an item.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_readiness.report import signatures, view
from pytest_readiness.results.evidence import EvidenceRecord, Json, Outcome
from pytest_readiness.results.model import Item, Report
from pytest_readiness.text import clean, flat, moment, plural

if TYPE_CHECKING:
    from pytest_readiness.signoff.state import Said

LIMIT = 1_000_000  # bytes
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~!$&])")
_LEADING = re.compile(r"^(\d+(?=[.)](?:\s|$))|(?=[-+=]))([-+=.)])")


@dataclass(frozen=True, slots=True)
class _Detail:
    """How much of a long list, and of a long text, is shown."""

    entries: int
    characters: int
    evidence: bool = True


_DETAILS = (_Detail(view.SHOWN, view.TEXT), _Detail(5, 160), _Detail(2, 80, evidence=False))


def render(report: Report, sha256: str, said: "Sequence[Said]" = ()) -> str:
    """Return the document, at most LIMIT bytes of UTF-8. sha256: of the bytes of report.json.

    said: who has signed.
    """
    for detail in _DETAILS:
        text = "\n".join(_document(report, sha256, said, detail)) + "\n"
        if len(text.encode()) <= LIMIT:
            break
    return text


def inline(text: str) -> str:
    """Return the text on one line with everything escaped that Markdown or HTML would obey."""
    escaped = _MARKUP.sub(r"\\\1", flat(text))
    escaped = re.sub(r"(?i)(https?|ftp)://", r"\1\\://", escaped)
    escaped = re.sub(r"(?i)\bwww\.", r"www\\.", escaped)
    return _LEADING.sub(r"\1\\\2", escaped)


def code(text: str) -> str:
    """Return the text as a code span that no run of backticks in it can end."""
    line = flat(text) or " "
    fence = "`" * (max((len(run) for run in re.findall("`+", line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def _document(
    report: Report, sha256: str, said: "Sequence[Said]", detail: _Detail
) -> Iterator[str]:
    yield from _summary(report, sha256)
    yield from _failures(report, detail)
    yield from _unanswered(report)
    yield "## Checklist"
    yield ""
    for section in view.sections(report):
        yield f"### {inline(section.heading)}"
        yield ""
        for heading, items in section.subsections:
            yield f"#### {inline(heading)}"
            yield ""
            for item in items:
                yield from _line(item, detail)
            yield ""
    yield from _listed("Requests sent", view.traffic(report))
    yield from _signatures(said, detail)
    yield f"Rendered from report.json, sha256 {code(sha256)}, by {inline(_tool(report))}."


def _summary(report: Report, sha256: str) -> Iterator[str]:
    target, run, owed = report.target, report.run, report.completeness
    yield f"# {inline(view.title(report))}"
    yield ""
    ends = f"(exit code {report.verdict.exit_code}){view.below(report)}"
    yield f"**{inline(view.verdict(report))}** {ends}"
    yield ""
    yield from (f"- {inline(reason)}" for reason in report.verdict.reasons)
    yield ""
    if run.lab is not None:
        faults = ", ".join(code(fault) for fault in run.lab) or "none"
        yield f"**LAB**: answers of the reference platform on loopback, faults: {faults}."
        yield ""
    if run.replay is not None:
        yield f"**REPLAY**: judged again from the facts that run {code(run.replay)} recorded."
        yield ""
    if run.partial:
        yield f"**A selection, never a release decision**: {code(run.selection or '-')}"
        yield ""
    yield f"- Environment {inline(target.environment)}, phase {inline(target.phase)}"
    for shard in run.shards:
        yield (
            f"- Merged from run {code(shard.id)} of {inline(shard.environment)}, "
            f"{inline(moment(shard.ended))}: {code(shard.selection or 'everything')}"
        )
    for name, value in (
        ("Release", target.release),
        ("Commit", target.commit),
        ("Image", target.image),
        *((f"Identity of {name}", value) for name, value in target.identity.items()),
    ):
        yield f"- {inline(name)} {code(value) if value else 'not stated'}"
    ended = view.lasted(report)
    yield (
        f"- Run {code(run.id)}, {inline(moment(run.started))}"
        f"{f', {ended}' if ended else ''}, safety ceiling {run.safety.value}: {code(run.command)}"
    )
    missing = f"; without one: {', '.join(map(code, owed.missing))}" if owed.missing else ""
    yield f"- {owed.reported} of {owed.expected} items gave a result{missing}"
    yield f"- report.json sha256 {code(sha256)}"
    yield ""
    yield from _counts(report)


def _counts(report: Report) -> Iterator[str]:
    yield f"| Section | {' | '.join(view.WORD.values())} |"
    yield "|---|" + "--:|" * len(view.WORD)
    for section in view.sections(report):
        yield f"| {inline(section.heading)} | {_numbers(section.counts.values())} |"
    yield f"| **All** | {_numbers(view.count(report.items).values())} |"
    yield ""


def _failures(report: Report, detail: _Detail) -> Iterator[str]:
    failures = view.failures(report)
    if failures:
        yield "## What fails"
        yield ""
    for item in failures:
        yield f"- **{item.severity.value.upper()}** {_title(item)}"
        yield from _findings(item, detail)
        if item.remediation:
            yield f"  - What to do: {inline(item.remediation)}"
        if item.reference:
            yield f"  - Reference: {_reference(item.reference)}"
    if failures:
        yield ""


def _unanswered(report: Report) -> Iterator[str]:
    waived = [item for item in report.items if view.waived(item)]
    for heading, groups in (
        ("What could not be asked", view.root_causes(report)),
        ("What was not checked", view.unchecked(report)),
        ("What does not apply", view.not_applicable(report)),
    ):
        if groups:
            yield f"## {heading}"
            yield ""
            for group in groups:
                names = ", ".join(map(code, group.names))
                number = plural(len(group.items), "item")
                yield f"- **{inline(group.headline)}**: {number}: {names}"
                yield from _advice(group.advice)
            yield ""
    yield from _listed("Waivers that cover nothing", view.idle_waivers(report))
    yield from _listed("Declarations to look at", view.noted_declarations(report))
    yield from _listed("Limits below the checklist", view.relaxed(report))
    if waived:
        yield "## What fails under a waiver"
        yield ""
        for item in waived:
            yield f"- {_title(item)}: {_waiver(item)}"
        yield ""


def _listed(heading: str, told: tuple[tuple[str, str], ...]) -> Iterator[str]:
    if told:
        yield f"## {heading}"
        yield ""
        yield from (f"- {code(name)}: {inline(says)}" for name, says in told)
        yield ""


def _signatures(said: "Sequence[Said]", detail: _Detail) -> Iterator[str]:
    yield "## Sign-Off"
    yield ""
    for row in signatures.rows(said):
        facts = filter(None, (row.note, row.decision, row.name, row.date))
        words = ", ".join(inline(view.cut(fact, detail.characters)) for fact in facts)
        key = f", key {code(row.key)}" if row.key else ""
        yield f"- **{inline(row.title)}:** {row.state}{f': {words}' if words else ''}{key}"
        if row.comment:
            yield f"  - {inline(view.cut(row.comment, detail.characters))}"
    yield ""
    yield _marked(signatures.SAYS)
    yield ""


def _line(item: Item, detail: _Detail) -> Iterator[str]:
    match item.outcome:
        case Outcome.PASS:
            yield f"- [x] {_title(item)}"
        case Outcome.NOTAPPLICABLE:
            yield f"- [ ] **n/a** ~~{_marked(item.title)}~~ {code(item.id)}"
        case _:
            word = "fail, waived" if view.waived(item) else view.WORD[view.bucket(item)]
            yield f"- [ ] **{word}** {_title(item)}"
    if item.environment:
        yield f"  - judged by a run of {inline(item.environment)}"
    if item.reason:
        yield f"  - {inline(item.reason)}"
    yield from _findings(item, detail)
    if view.waived(item):
        yield f"  - {_waiver(item)}"
    if detail.evidence:
        for proof in item.evidence:
            yield from _proof(proof, detail)


def _proof(proof: EvidenceRecord, detail: _Detail) -> Iterator[str]:
    seen = [
        f"{_name(name)} **{_values(proof.observed.get(name), detail)}**"
        + (f" (expected {_values(proof.expected[name], detail)})" if name in proof.expected else "")
        for name in proof.observed
    ]
    owed = [
        f"{_name(name)} expected {_values(value, detail)}"
        for name, value in proof.expected.items()
        if name not in proof.observed
    ]
    parts = view.some([*seen, *owed], detail.entries)
    examined = ", ".join(map(inline, view.some(proof.examined, min(detail.entries, 5))))
    question = inline(proof.question)
    if parts:
        yield f"  - {question}: {'; '.join(parts)}"
    yield (
        f"  - {'' if parts else f'{question}: '}"
        f"{code(proof.command)} at {inline(moment(proof.asked_at))}"
        f"{f', examined {len(proof.examined)}: {examined}' if examined else ''}"
    )


def _findings(item: Item, detail: _Detail) -> Iterator[str]:
    for finding in item.findings[: detail.entries]:
        problem = inline(view.cut(finding.problem, detail.characters))
        coded = f" ({code(finding.code)})" if finding.code else ""
        yield f"  - {code(view.cut(finding.subject, detail.characters))}: {problem}{coded}"
    if len(item.findings) > detail.entries:
        yield f"  - and {len(item.findings) - detail.entries} more in report.json"


def _advice(advice: str | None) -> Iterator[str]:
    if not advice:
        return
    lines = clean(advice).splitlines()
    if len(lines) == 1:
        yield f"  - What to do: {inline(lines[0])}"
        return
    fence = "`" * max(3, *(len(run) + 1 for run in ["", *re.findall("`+", advice)]))
    yield from ("", f"  {fence}text", *(f"  {line}" for line in lines), f"  {fence}")


def _title(item: Item) -> str:
    return f"{_marked(item.title)} {code(item.id)}"


def _marked(title: str) -> str:
    # A title is the checklist's own line, where a pair of backticks means code.
    parts = title.split("`")
    if len(parts) % 2 == 0:
        return inline(title)
    words = (code(part) if index % 2 else inline(part) for index, part in enumerate(parts))
    return " ".join(word for word in words if word.strip())


def _waiver(item: Item) -> str:
    waiver = item.waiver
    if waiver is None:
        return ""
    return (
        f"until {inline(waiver.expires)} by {inline(waiver.approver)}: {inline(waiver.reason)}; "
        f"risk: {inline(waiver.risk)} ({inline(waiver.ticket)})"
    )


def _reference(reference: str) -> str:
    # Angle brackets make a link of exactly this address; whatever could leave them stays text.
    if re.fullmatch(r"https?://[^\s<>\\`]+", reference) and clean(reference) == reference:
        return f"<{reference}>"
    return inline(reference)


def _name(name: str) -> str:
    return inline(name.replace("_", " "))


def _values(value: Json, detail: _Detail) -> str:
    lines = view.value_lines(value)
    return inline(view.cut("; ".join(view.some(lines, detail.entries)), detail.characters))


def _numbers(numbers: Iterable[int]) -> str:
    return " | ".join(str(number) for number in numbers)


def _tool(report: Report) -> str:
    return f"{report.tool.name} {report.tool.version}"
