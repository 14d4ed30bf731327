"""The report as report.json has it, schema `pytest-readiness/report/v1`.

report.json is written once and its bytes are what people sign; every other output is a rendering
of this model, decoded from those bytes. Times are RFC 3339 UTC text, durations seconds.
"""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from pytest_readiness.catalogue.words import Safety, Severity
from pytest_readiness.errors import NotJsonSafe, ReadinessError
from pytest_readiness.results.evidence import EvidenceRecord, Finding, Outcome, json_safe

SCHEMA = "pytest-readiness/report/v1"
JOURNAL = "journal.jsonl"  # of a run that has begun, in the same directory
FILES = ("report.json", "report.html", "report.md")
# What people and machines add to a run directory (docs/signoff.md, Files).
SIGNOFFS, ENVELOPES = "signoffs", f"{FILES[0]}.intoto.jsonl"
ATTESTATIONS = "attestations"


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """What made the report."""

    name: str
    version: str


class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was merged into this one. sha256: of its report.json, hexadecimal."""

    id: str
    environment: str
    ended: str
    sha256: str
    selection: str


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """lab: names of the faults where the run asked the lab (empty list: healthy), else None.

    shards: the runs that this one was merged from, none for a run of its own. replay: id of the run
    whose facts were judged again, of several by a comma; None where the systems were asked.
    """

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
    shards: tuple[Shard, ...] = ()
    replay: str | None = None


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """identity: what the systems say of themselves, e.g. {"kubernetes": "6f0c... at https://..."}.

    same: target -> field -> the part of it in which all runs of one environment agree.
    """

    system: str
    environment: str
    phase: str
    release: str | None
    commit: str | None
    image: str | None
    identity: dict[str, str]
    same: dict[str, dict[str, str]] = {}


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """Name and digest of the checklist."""

    id: str
    sha256: str


class SettingsUsed(msgspec.Struct, frozen=True, kw_only=True):
    """values: section -> key -> text as written in readiness.ini, secrets as references only."""

    sha256: str
    values: dict[str, dict[str, str]]


class Waived(msgspec.Struct, frozen=True, kw_only=True):
    """Dated permission despite a fail; times as written, `2026-11-30` or RFC 3339 with zone."""

    item: str
    finding: str | None = None
    reason: str
    approver: str
    risk: str
    created: str
    expires: str
    ticket: str
    environment: str | None = None
    release: str | None = None


class WaiverState(StrEnum):
    """What became of a waiver in a run."""

    USED = "used"  # its item fails, and the gate is open in spite of it
    UNCOVERED = "uncovered"  # its finding is there, and others that no waiver covers
    NOT_NEEDED = "not-needed"  # its item passes now
    UNUSED = "unused"  # nothing here that it is for
    EXPIRED = "expired"
    NOT_YET = "not-yet"  # created in the future
    ELSEWHERE = "elsewhere"  # for another environment or release


class ListedWaiver(Waived, frozen=True, kw_only=True):
    """A waiver of the run, used or not. note: in words, None where the state says all."""

    state: WaiverState
    note: str | None = None


class DeclarationState(StrEnum):
    """What became of a declaration in a run."""

    COUNTS = "counts"
    REFUSED = "refused"
    UNUSED = "unused"  # nothing here that it is for


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """A person's word.

    signed: by a key that the policy knows. note: why it does not count, or when it ends.
    """

    item: str
    statement: str
    by: str
    role: str
    date: str
    expires: str | None
    release: str
    evidence: str | None
    sha256: str | None
    signed: bool
    state: DeclarationState
    note: str | None = None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the checklist.

    basis: what counts as proof, "P", "P/D", "R"... cause: key of a root cause that several items
    share. advice: what to do about an error, may have several lines. waiver: the one that ends
    first of those that cover its fail. environment: whose run judged it, None where this one did.
    why: the code of the reason (`errors.Why`, or of a ProbeErrorKind), None for a pass and a fail.
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
    environment: str | None = None
    why: str | None = None

    @property
    def is_unproven(self) -> bool:
        """Whether it passes and nothing stands behind it; no run leaves such an item."""
        shown = any(one.examined and one.observed and one.expected for one in self.evidence)
        return self.outcome is Outcome.PASS and not shown


class Completeness(msgspec.Struct, frozen=True, kw_only=True):
    """expected and reported count items of the phase; missing names those without a result."""

    expected: int
    reported: int
    missing: tuple[str, ...]


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that were sent to one target with one method, and answered with one status.

    target: `prometheus https://host:9090`. status: None where no answer came.
    """

    target: str
    method: str
    status: int | None
    count: int


class FactDigest(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded fact. name: as evidence has it, `facts/k8s_nodes.json`. sha256: of its bytes.

    asked_at: as the fact says; None where it says no time.
    """

    name: str
    sha256: str
    asked_at: str | None


class Relaxed(msgspec.Struct, frozen=True, kw_only=True):
    """A limit of readiness.ini that lets more through than the checklist's own.

    value: as written. checklist: the checklist's own value. Where section is `not_applicable`, key
    is a blocker and value the reason for which it is left out.
    """

    section: str
    key: str
    value: str
    checklist: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """name: READY, READY WITH WAIVERS, NOT READY, INCOMPLETE or PARTIAL.

    why: the code of each reason, in their order (`verdict.judge.Code`).
    """

    name: str
    exit_code: int
    reasons: tuple[str, ...]
    why: tuple[str, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of report.json.

    relaxed, facts: None in a report of a version that did not say it.
    """

    schema: str
    tool: Tool
    run: Run
    target: Target
    checklist: Digest
    settings: SettingsUsed
    items: tuple[Item, ...]
    waivers: tuple[ListedWaiver, ...]
    declarations: tuple[Declared, ...]
    completeness: Completeness
    verdict: Verdict
    traffic: tuple[Traffic, ...] = ()
    relaxed: tuple[Relaxed, ...] | None = None
    facts: tuple[FactDigest, ...] | None = None


class Laid(msgspec.Struct, frozen=True, kw_only=True):
    """A run's items with the waivers of their fails, and what became of all that people wrote."""

    items: tuple[Item, ...]
    waivers: tuple[ListedWaiver, ...] = ()
    declarations: tuple[Declared, ...] = ()


def traffic(counts: Mapping[tuple[str, str, int | None], int]) -> tuple[Traffic, ...]:
    """Return the statement of what was sent, from counts by target, method and status."""
    return tuple(
        Traffic(target=target, method=method, status=status, count=count)
        for (target, method, status), count in sorted(
            counts.items(), key=lambda one: (*one[0][:2], one[0][2] or 0)
        )
    )


def encode(report: Report) -> bytes:
    """Return the bytes of report.json: sorted keys, two spaces, UTF-8, a newline at the end."""
    compact = msgspec.json.encode(report, order="sorted")
    return msgspec.json.format(compact, indent=2) + b"\n"


def read(path: Path) -> Report:
    """Read a report.json. Raises ReadinessError when it is not one this version can read."""
    return decode(data_of(path), path)


def data_of(path: Path) -> bytes:
    """Return the bytes of a report.json. Raises ReadinessError."""
    try:
        return path.read_bytes()
    except OSError as error:
        why = why_absent(path) or str(error)
        raise ReadinessError(f"{path}: not a readable report: {why}") from error


def why_absent(path: Path) -> str | None:
    """Return in words why a run has left no report.json, None where nobody knows."""
    if path.exists() or not (path.parent / JOURNAL).exists():
        return None
    return f"the run has not ended, or was killed: `readiness render {path.parent}`"


def decode(data: bytes, path: Path) -> Report:
    """Return the report of these bytes, read from the path. Raises ReadinessError."""
    try:
        report = msgspec.json.decode(data, type=Report)
        for record in (record for item in report.items for record in item.evidence):
            for name, value in (*record.observed.items(), *record.expected.items()):
                json_safe(value, name)  # what shows a report is recursive
    # The errors of msgspec are ValueErrors.
    except (ValueError, RecursionError, NotJsonSafe) as error:
        raise ReadinessError(f"{path}: not a readable report: {error}") from error
    if report.schema != SCHEMA:
        raise ReadinessError(f"{path}: schema {report.schema!r}, this version reads {SCHEMA!r}")
    return report
