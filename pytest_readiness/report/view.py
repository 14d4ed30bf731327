"""What every rendering shares: words, headings, counts, groups. Pure functions of the report."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pytest_readiness.catalogue.words import Severity
from pytest_readiness.results.evidence import Json, Outcome
from pytest_readiness.results.model import DeclarationState, Item, ListedWaiver, Report, WaiverState
from pytest_readiness.text import flat, plural, took

SHOWN = 20  # entries of a long list that a rendering shows; report.json has them all
TEXT = 500  # characters of one observed value that a rendering shows


class Bucket(StrEnum):
    """What people count: the outcomes, and the fails that are waived apart from the others."""

    PASS = "pass"
    FAIL = "fail"
    WAIVED = "waived"
    ERROR = "error"
    NOTCHECKED = "notchecked"
    NOTAPPLICABLE = "notapplicable"


WORD = {
    Bucket.PASS: "pass",
    Bucket.FAIL: "fail",
    Bucket.WAIVED: "waived",
    Bucket.ERROR: "error",
    Bucket.NOTCHECKED: "not checked",
    Bucket.NOTAPPLICABLE: "n/a",
}
# What became of a waiver, where its note does not say more.
_WAIVER = {
    WaiverState.UNCOVERED: "does not cover all that fails",
    WaiverState.NOT_NEEDED: "passes now: remove it",
    WaiverState.UNUSED: "nothing here that it is for",
    WaiverState.EXPIRED: "has expired: the fail counts",
    WaiverState.NOT_YET: "not in force yet",
    WaiverState.ELSEWHERE: "for another environment or release",
}

# The headings of the checklist itself; a section or subsection of a team's own gets its name.
_HEADING = {
    "verification": "Pre-Deployment Verification",
    "testing": "Pre-Deployment Testing",
    "deployment": "Deployment Day",
    "rollback": "Rollback Procedure",
    "review": "Post-Deployment Review",
    "infrastructure": "Infrastructure Requirements",
    "application": "Application Readiness",
    "performance": "Performance Validation",
    "security": "Security Validation",
    "operations": "Operational Readiness",
    "kubernetes": "Kubernetes cluster",
    "clickhouse": "ClickHouse cluster deployed",
    "monitoring": "Monitoring infrastructure",
    "code": "Code changes reviewed and tested",
    "migrations": "Database migrations verified",
    "configuration": "Configuration validated",
    "image": "Docker image built and scanned",
    "load": "Load testing completed",
    "stress": "Stress testing completed",
    "profiling": "Memory and CPU profiling",
    "owasp": "OWASP Top 10 verification",
    "api_security": "API security",
    "secrets": "Secrets and credentials",
    "logging": "Logging and monitoring",
    "alerting": "Alerting and on-call",
    "smoke": "Smoke tests",
    "integration": "Integration tests",
    "staging": "Staging environment validation",
    "team": "Team assembled and ready",
    "maintenance_window": "Maintenance window announced",
    "execution": "Deployment execution",
    "functionality": "Verify functionality",
    "communication": "User communication",
    "performance_review": "Performance metrics reviewed",
    "issues": "Issues documented",
    "debriefing": "Team debriefing",
    "signoff": "Sign-Off",
}
_SEVERITIES = tuple(Severity)


@dataclass(frozen=True, slots=True)
class Section:
    """One section, its count of each bucket, and its items by subsection in their order."""

    name: str
    heading: str
    counts: dict[Bucket, int]
    subsections: tuple[tuple[str, tuple[Item, ...]], ...]

    @property
    def total(self) -> int:
        """Number of items."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Group:
    """Items that lack an answer, or fail, for one reason."""

    headline: str
    advice: str | None
    items: tuple[Item, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Ids of the items."""
        return tuple(item.id for item in self.items)


def title(report: Report) -> str:
    """Return the title of a report; one of the lab, or of a replay, says so first."""
    return f"{_marks(report)}{report.target.system} readiness"


def verdict(report: Report) -> str:
    """Return the name of the verdict; one of the lab, or of a replay, says so first."""
    return f"{_marks(report)}{report.verdict.name}"


def below(report: Report) -> str:
    """Return what the line of the verdict says of limits below the checklist, "" without any."""
    number = len(report.relaxed or ())
    return f", {plural(number, 'limit')} below the checklist" if number else ""


def relaxed(report: Report) -> tuple[tuple[str, str], ...]:
    """Return each limit below the checklist: section and key, and both values in words."""
    return tuple(
        (f"[{one.section}] {one.key}", f"{flat(one.value)}, the checklist has {one.checklist}")
        for one in report.relaxed or ()
    )


def heading(name: str) -> str:
    """Return the checklist's heading of a phase, section or subsection."""
    return _HEADING.get(name) or name.replace("_", " ").replace("-", " ").capitalize()


def bucket(item: Item) -> Bucket:
    """Return the bucket in which an item is counted."""
    return Bucket.WAIVED if waived(item) else Bucket(item.outcome.value)


def count(items: Iterable[Item]) -> dict[Bucket, int]:
    """Count each bucket, none left out."""
    counts = dict.fromkeys(Bucket, 0)
    for item in items:
        counts[bucket(item)] += 1
    return counts


def sections(report: Report) -> tuple[Section, ...]:
    """Return the sections in the order in which the report first names them."""
    return tuple(
        Section(
            name,
            heading(name),
            count(items),
            tuple((heading(sub), part) for sub, part in _by(items, "subsection").items()),
        )
        for name, items in _by(report.items, "section").items()
    )


def waived(item: Item) -> bool:
    """Say whether an item fails under a waiver; one that leaves a finding open is not carried."""
    return item.outcome is Outcome.FAIL and item.waiver is not None


def idle_waivers(report: Report) -> tuple[tuple[str, str], ...]:
    """Return name and words of each waiver that covers nothing: expired, unused, not needed..."""
    return tuple(
        (waiver_name(one), waiver_says(one))
        for one in report.waivers
        if one.state is not WaiverState.USED
    )


def waiver_name(waiver: ListedWaiver) -> str:
    """Return item, and finding where it is for one alone."""
    return f"{waiver.item} ({waiver.finding})" if waiver.finding else waiver.item


def waiver_says(waiver: ListedWaiver) -> str:
    """Return what became of a waiver, in words."""
    if waiver.note:
        return waiver.note
    return _WAIVER.get(waiver.state) or f"in use until {waiver.expires}"


def noted_declarations(report: Report) -> tuple[tuple[str, str], ...]:
    """Return item and words of each declaration that does not count, or soon will not."""
    return tuple(
        (one.item, f"{one.by}: {one.note or one.state.value}")
        for one in report.declarations
        if one.state is not DeclarationState.COUNTS or one.note
    )


def failures(report: Report) -> tuple[Item, ...]:
    """Return the fails that no waiver covers, blockers first, else in the checklist's order."""
    failed = (item for item in report.items if item.outcome is Outcome.FAIL and not waived(item))
    return tuple(sorted(failed, key=lambda item: _SEVERITIES.index(item.severity)))


def root_causes(report: Report) -> tuple[Group, ...]:
    """Return what could not be asked, one group a cause, the one with most items first."""
    return tuple(
        sorted(
            (group for group in _groups(report) if not _only_unchecked(group)),
            key=lambda group: -len(group.items),
        )
    )


def unchecked(report: Report) -> tuple[Group, ...]:
    """Return what was not checked, one group a reason, without what a root cause names."""
    return tuple(group for group in _groups(report) if _only_unchecked(group))


def not_applicable(report: Report) -> tuple[Group, ...]:
    """Return what does not apply, one group a reason."""
    items = [item for item in report.items if item.outcome is Outcome.NOTAPPLICABLE]
    return _grouped((item.reason or "no reason given", item) for item in items)


def cut(text: str, limit: int = TEXT) -> str:
    """Return the text, or its beginning and its length when it is longer than the limit."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}... ({len(text)} characters, all in report.json)"


def some(texts: Sequence[str], limit: int = SHOWN) -> list[str]:
    """Return the first texts, and how many more there are."""
    shown = list(texts[:limit])
    return [*shown, f"and {len(texts) - limit} more"] if len(texts) > limit else shown


def value_lines(value: Json) -> list[str]:
    """Return an observed or expected value as lines that people read, long ones cut."""
    match value:
        case dict() if value:
            return some([cut(f"{name}: {value_text(part)}") for name, part in value.items()])
        case list() if any(isinstance(part, dict | list) for part in value):
            return some([cut(value_text(part)) for part in value])
        case list() if value:
            return [cut(", ".join(some([value_text(part) for part in value])))]
        case _:
            return [cut(value_text(value))]


def value_text(value: Json) -> str:
    """Return a value on one line: text bare, containers without their quotes."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case None:
            return "none"
        case dict():
            return ", ".join(f"{name}={value_text(part)}" for name, part in value.items()) or "none"
        case list():
            return "[" + ", ".join(value_text(part) for part in value) + "]" if value else "none"
        case _:
            return str(value)


def traffic(report: Report) -> tuple[tuple[str, str], ...]:
    """Return each target that was sent requests, and how many by method and status, in words."""
    sent: dict[str, list[str]] = {}
    for one in report.traffic:
        status = "without an answer" if one.status is None else str(one.status)
        sent.setdefault(one.target, []).append(f"{one.count} {one.method} {status}")
    return tuple((target, ", ".join(said)) for target, said in sent.items())


def lasted(report: Report) -> str | None:
    """Return how long the run took, or None when its times cannot be read."""
    try:
        started = datetime.fromisoformat(report.run.started)
        return took((datetime.fromisoformat(report.run.ended) - started).total_seconds())
    except (ValueError, TypeError):
        return None


def _marks(report: Report) -> str:
    lab = "LAB: " if report.run.lab is not None else ""
    return f"{lab}REPLAY: " if report.run.replay is not None else lab


def _by(items: Sequence[Item], field: str) -> dict[str, tuple[Item, ...]]:
    names = dict.fromkeys(getattr(item, field) for item in items)
    return {name: tuple(i for i in items if getattr(i, field) == name) for name in names}


def _groups(report: Report) -> tuple[Group, ...]:
    unanswered = {Outcome.ERROR, Outcome.NOTCHECKED}
    pairs = [
        (item.cause or item.reason or "no reason given", item)
        for item in report.items
        if item.outcome in unanswered or (item.outcome is Outcome.FAIL and item.cause)
    ]
    return _grouped(pairs)


def _grouped(pairs: Iterable[tuple[str, Item]]) -> tuple[Group, ...]:
    found: dict[str, list[Item]] = {}
    for key, item in pairs:
        found.setdefault(key, []).append(item)
    return tuple(_group(key, items) for key, items in found.items())


def _group(key: str, items: list[Item]) -> Group:
    reasons = {item.reason for item in items if item.reason}
    advice = list(dict.fromkeys(item.advice for item in items if item.advice))
    # One reason for all says more than the key; several differ in the question alone.
    headline = reasons.pop() if len(reasons) == 1 else key
    return Group(headline, "\n".join(advice) or None, tuple(items))


def _only_unchecked(group: Group) -> bool:
    return all(item.outcome is Outcome.NOTCHECKED for item in group.items)
