"""The report as report.json has it, schema `pytest-readiness/report/v1`.

report.json is written once and its bytes are what people sign; every other output is a rendering
of this model, decoded from those bytes. Times are RFC 3339 UTC text, durations seconds.
"""

from pathlib import Path
from typing import Any

import msgspec

from pytest_readiness.errors import ReadinessError
from pytest_readiness.results import EvidenceRecord, Finding, Outcome, Safety, Severity

SCHEMA = "pytest-readiness/report/v1"
FILES = ("report.json", "report.html", "report.md")


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """What made the report."""

    name: str
    version: str


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """lab: names of the faults where the run asked the lab (empty list: healthy), else None."""

    id: str
    started: str
    ended: str
    command: str
    selection: str
    partial: bool
    safety: Safety
    workers: int
    lab: tuple[str, ...] | None
    redactions: int


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """identity: what the systems say of themselves, e.g. {"kubernetes": "6f0c... at https://..."}."""

    system: str
    environment: str
    phase: str
    release: str | None
    commit: str | None
    image: str | None
    identity: dict[str, str]


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """Name and digest of the checklist."""

    id: str
    sha256: str


class SettingsUsed(msgspec.Struct, frozen=True, kw_only=True):
    """values: section -> key -> text as written in readiness.ini, secrets as references only."""

    sha256: str
    values: dict[str, dict[str, str]]


class Waived(msgspec.Struct, frozen=True, kw_only=True):
    """Dated permission despite a fail."""

    item: str
    finding: str | None = None
    reason: str
    approver: str
    risk: str
    created: str
    expires: str
    ticket: str
    environment: str | None = None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the checklist.

    basis: what counts as proof, "P", "P/D", "R"... cause: key of a root cause that several items
    share. advice: what to do about an error, may have several lines.
    """

    id: str
    title: str
    section: str
    subsection: str
    phase: str
    severity: Severity
    safety: Safety
    basis: str
    outcome: Outcome
    reason: str | None
    advice: str | None
    cause: str | None
    waiver: Waived | None
    findings: tuple[Finding, ...]
    evidence: tuple[EvidenceRecord, ...]
    remediation: str | None
    reference: str | None
    nodeid: str
    duration: float


class Completeness(msgspec.Struct, frozen=True, kw_only=True):
    """expected and reported count items of the phase; missing names those without a result."""

    expected: int
    reported: int
    missing: tuple[str, ...]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """name: READY, READY WITH WAIVERS, NOT READY, INCOMPLETE or PARTIAL."""

    name: str
    exit_code: int
    reasons: tuple[str, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of report.json."""

    schema: str
    tool: Tool
    run: Run
    target: Target
    checklist: Digest
    settings: SettingsUsed
    items: tuple[Item, ...]
    waivers: tuple[Waived, ...]
    declarations: tuple[dict[str, Any], ...]
    completeness: Completeness
    verdict: Verdict


def encode(report: Report) -> bytes:
    """Return the bytes of report.json: sorted keys, two spaces, UTF-8, a newline at the end."""
    compact = msgspec.json.encode(report, order="sorted")
    return msgspec.json.format(compact, indent=2) + b"\n"


def read(path: Path) -> Report:
    """Read a report.json. Raises ReadinessError when it is not one this version can read."""
    try:
        report = msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ReadinessError(f"{path}: not a readable report: {error}") from error
    if report.schema != SCHEMA:
        raise ReadinessError(f"{path}: schema {report.schema!r}, this version reads {SCHEMA!r}")
    return report
