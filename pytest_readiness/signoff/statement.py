"""What a person says of a report: an in-toto Statement (docs/signoff.md, The statement).

PYTEST_DONT_REWRITE
"""

import json
import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import msgspec

from pytest_readiness.clock import begins
from pytest_readiness.results import model
from pytest_readiness.signoff.refusals import Cause, Refused

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "urn:pytest-readiness:sign-off:v1"

_IMAGE = re.compile(r"(.*)@sha256:([0-9a-fA-F]{64})", re.DOTALL)
_COMMIT = re.compile(r"[0-9a-fA-F]{40}(?:[0-9a-fA-F]{24})?")
# Stricter than datetime.fromisoformat, which reads weeks, `20261124` and a comma as well.
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})"
)

Name = Annotated[str, msgspec.Meta(min_length=1)]


class Decision(StrEnum):
    """What the person decides."""

    APPROVED = "approved"
    APPROVED_WITH_WAIVERS = "approved-with-waivers"
    REJECTED = "rejected"


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A thing the statement is about. digest: algorithm -> hexadecimal digest."""

    name: str
    digest: dict[str, str]


class AcceptedWaiver(msgspec.Struct, frozen=True, kw_only=True):
    """A waiver that the person accepts. finding: None where it is for the whole item."""

    item: str
    finding: str | None
    approver: str
    expires: str


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """The report's target."""

    system: str
    environment: str
    phase: str
    version: str | None
    commit: str | None
    image: str | None


class PolicyUsed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Digests, hexadecimal. sha256: of signoff.toml. allowed_signer: of the line of the key."""

    sha256: str
    allowed_signer: str | None


class Predicate(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """signed_at: RFC 3339 with zone. supersedes: sha256 of the statement that this replaces.

    relaxed_limits: how many limits below the checklist the report has.
    """

    role: Name
    principal: Name
    decision: Decision
    comment: str
    verdict: str
    accepted_waivers: tuple[AcceptedWaiver, ...]
    relaxed_limits: int = 0
    release: Release
    signed_at: str
    policy: PolicyUsed
    supersedes: str | None


class Statement(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The whole statement. subject: first report.json, then the image and the commit."""

    type: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(
        name="_type", default=STATEMENT
    )
    predicate_type: Literal["urn:pytest-readiness:sign-off:v1"] = PREDICATE
    subject: Annotated[tuple[Subject, ...], msgspec.Meta(min_length=1)]
    predicate: Predicate


def subjects(report: model.Report, sha256: str) -> tuple[Subject, ...]:
    """Return what a statement about the report is about. sha256: of report.json, hexadecimal."""
    found = [Subject(name=model.FILES[0], digest={"sha256": sha256})]
    if image := _IMAGE.fullmatch(report.target.image or ""):
        found.append(Subject(name=image[1], digest={"sha256": image[2]}))
    if commit := _COMMIT.fullmatch(report.target.commit or ""):
        found.append(Subject(name="commit", digest={"gitCommit": commit[0]}))
    return tuple(found)


def release(report: model.Report) -> Release:
    """Return the report's target as statements repeat it."""
    target = report.target
    return Release(
        system=target.system,
        environment=target.environment,
        phase=target.phase,
        version=target.release,
        commit=target.commit,
        image=target.image,
    )


def accepted(report: model.Report) -> tuple[AcceptedWaiver, ...]:
    """Return the waivers that who approves the report accepts, in the report's order."""
    return tuple(
        AcceptedWaiver(
            item=one.item, finding=one.finding, approver=one.approver, expires=one.expires
        )
        for one in report.waivers
        if one.state is model.WaiverState.USED
    )


def relaxed_limits(report: model.Report) -> int:
    """Return how many limits below the checklist the report has."""
    return len(report.relaxed or ())


def about(
    stated: Statement, report: model.Report | None, sha256: str
) -> Iterator[tuple[Cause, str]]:
    """Yield why the statement is not about the report, None where report.json is none.

    sha256: of report.json, hexadecimal.
    """
    said, first = stated.predicate, stated.subject[0].digest.get("sha256")
    target = release(report) if report else said.release
    if first != sha256:
        yield _other_bytes(first, said.release, target, sha256)
        return
    if report is None:
        return
    if said.release != target:
        yield (
            Cause.ANOTHER_RELEASE,
            f"the statement names {_named(said.release)}, the report {_named(target)}",
        )
    if said.verdict != report.verdict.name:
        yield (
            Cause.ANOTHER_RELEASE,
            f"the statement names the verdict {said.verdict}, the report {report.verdict.name}",
        )
    if said.relaxed_limits != relaxed_limits(report):
        yield (
            Cause.ANOTHER_RELEASE,
            f"the statement names {said.relaxed_limits} limits below the checklist, the report "
            f"has {relaxed_limits(report)}",
        )
    if stated.subject != subjects(report, sha256):
        yield (
            Cause.ANOTHER_RELEASE,
            "the subjects of the statement are not report.json, image and commit of the report",
        )


def _other_bytes(
    first: str | None, named: Release, target: Release, sha256: str
) -> tuple[Cause, str]:
    if named == target:
        return (
            Cause.TAMPERED_REPORT,
            f"report.json is not the file that was signed: its sha256 is {sha256}, the statement "
            f"is about {first}",
        )
    return (
        Cause.ANOTHER_REPORT,
        f"the statement is about another report, {first}, of {_named(named)}",
    )


def _named(target: Release) -> str:
    parts = msgspec.structs.asdict(target)
    return ", ".join(f"{name} {value}" for name, value in parts.items() if value is not None)


def encode(statement: Statement) -> bytes:
    """Return the bytes that are signed: sorted keys, two spaces, UTF-8, a newline at the end."""
    compact = msgspec.json.encode(statement, order="sorted")
    return msgspec.json.format(compact, indent=2) + b"\n"


def decode(data: bytes) -> Statement:
    """Return the statement; fields that are not known are passed over.

    Raises Refused (malformed-statement), also where a key stands twice: readers differ in which
    of the two they take.
    """
    try:
        plain = json.loads(data.decode("utf-8"), object_pairs_hook=once)
        found = msgspec.json.decode(data, type=Statement)
    except RecursionError:
        raise _malformed("it is nested too deeply") from None
    except ValueError as error:  # of msgspec and json too
        raise _malformed(str(error)) from None
    # They have a default for those who write; a reader must not assume them.
    for name in ("_type", "predicateType"):
        if name not in plain:
            raise _malformed(f"it has no {name}")
    _moment(found.predicate.signed_at)
    return found


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the JSON object. Raises ValueError where a key stands twice."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands in it twice")
        found[key] = value
    return found


def _moment(text: str) -> None:
    try:
        if _MOMENT.fullmatch(text):
            begins(text)
            return
    except (ValueError, OverflowError):
        pass
    raise _malformed(f"signedAt is {text!r} and no time with zone, like 2026-11-24T12:00:00Z")


def _malformed(why: str) -> Refused:
    return Refused(Cause.MALFORMED_STATEMENT, f"it is no statement of a sign-off: {why}")
