"""What a run directory says of its signatures by itself, for the pages: no policy, network, clock.

It can tell whether a signature is good by the key that it carries. Whose key that is says the
policy alone, and so `readiness verify`.

PYTEST_DONT_REWRITE
"""

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pytest_readiness.clock import begins
from pytest_readiness.errors import ReadinessError
from pytest_readiness.results import model
from pytest_readiness.signoff import dsse, files, report_state, sshsig, statement
from pytest_readiness.signoff.refusals import Refused

FOLDER = model.SIGNOFFS
SUPERSEDED = "superseded"
LINES = model.ENVELOPES
ENDING = ".statement.json"
_NEVER = datetime.min.replace(tzinfo=UTC)


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A statement of one role and what signs it.

    role: of the file's name, or what the payload of a line says; a name of the line where it says
    none. data: None for a signature without statement. lines: envelopes over these bytes.
    """

    role: str
    data: bytes | None
    signature: bytes | None = None
    lines: tuple[dsse.Envelope, ...] = ()
    problem: str | None = None


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What stands for a role.

    says: None for a signature that is good by the key it carries, over a statement about these
    bytes of report.json; else why it is none, in words. unchecked: it may be good, but the key is
    not in the run directory. key: fingerprint.
    """

    role: str
    principal: str | None = None
    decision: str | None = None
    signed_at: str | None = None
    comment: str | None = None
    key: str | None = None
    says: str | None = None
    unchecked: bool = False


def read(run: Path, report_sha256: str) -> tuple[Said, ...]:
    """Return what stands for each role that signoffs/ or the jsonl has, by name of the role.

    Of several statements of a role the newest stands, but one that does not hold stands before all
    that do. Never raises for what the files of signatures contain: Said.says has it.
    """
    found: dict[str, list[Said]] = {}
    for claim in claims(run):
        found.setdefault(claim.role, []).append(_said(run, claim, report_sha256))
    return tuple(_standing(run, found[role]) for role in sorted(found))


def claims(run: Path) -> tuple[Claim, ...]:
    """Return every statement of signoffs/ and the jsonl, the same bytes once."""
    found = {claim.role: claim for claim in _files(run / FOLDER)}
    rest: dict[tuple[str, bytes | None, str | None], Claim] = {}
    for claim in _lines(run / LINES):
        same = found.get(claim.role)
        if same and same.data == claim.data and claim.data is not None:
            found[claim.role] = _with(same, claim)
            continue
        name = (claim.role, claim.data, claim.problem)
        rest[name] = _with(rest[name], claim) if name in rest else claim
    return (*found.values(), *rest.values())


def signed_at(said: Said) -> datetime | None:
    """Return the moment of the signature, None where the statement has none."""
    return begins(said.signed_at) if said.signed_at else None


def later(run: Path, role: str, moment: datetime) -> datetime | None:
    """Return the latest time in superseded/ of a statement of the role after the moment, or None.

    Statements that cannot be read count for nothing here.
    """
    times = [moment]
    for path in sorted((run / FOLDER / SUPERSEDED).glob(f"*{ENDING}")):
        try:
            predicate = statement.decode(files.read(path)).predicate
        except (files.Unreadable, Refused):
            continue
        if predicate.role == role:
            times.append(begins(predicate.signed_at))
    return max(times) if max(times) > moment else None


def _files(folder: Path) -> Iterator[Claim]:
    statements = {path.name[: -len(ENDING)]: path for path in folder.glob(f"*{ENDING}")}
    signatures = {path.name[: -len(ENDING) - 4]: path for path in folder.glob(f"*{ENDING}.sig")}
    for role in sorted({*statements, *signatures}):
        data, problem = _bytes(statements.get(role))
        signature, unread = _bytes(signatures.get(role))
        yield Claim(role=role, data=data, signature=signature, problem=problem or unread)


def _lines(path: Path) -> Iterator[Claim]:
    data, problem = _bytes(path if os.path.lexists(path) else None)
    if problem:
        yield Claim(role=path.name, data=None, problem=problem)
    for number, line in enumerate((data or b"").split(b"\n"), 1):
        if not line.strip():
            continue
        name = f"line {number} of {path.name}"
        try:
            envelope = dsse.read_line(line)
        except Refused as error:
            yield Claim(role=name, data=None, problem=error.why)
            continue
        try:
            role = statement.decode(envelope.payload).predicate.role
        except Refused:
            role = name
        yield Claim(role=role, data=envelope.payload, lines=(envelope,))


def _bytes(path: Path | None) -> tuple[bytes | None, str | None]:
    if path is None:
        return None, None
    try:
        return files.read(path), None
    except files.Unreadable as error:
        return None, f"{path.name} cannot be read: {error.why}"


def _with(claim: Claim, other: Claim) -> Claim:
    return msgspec.structs.replace(claim, lines=(*claim.lines, *other.lines))


def _said(run: Path, claim: Claim, sha256: str) -> Said:
    if claim.problem or claim.data is None:
        return Said(role=claim.role, says=claim.problem or "a signature without its statement")
    try:
        stated = statement.decode(claim.data)
    except Refused as error:
        return Said(role=claim.role, says=error.why)
    predicate = stated.predicate
    said = Said(
        role=claim.role,
        principal=predicate.principal,
        decision=predicate.decision.value,
        signed_at=predicate.signed_at,
        comment=predicate.comment,
    )
    problem = _about(run, stated, claim.role, sha256)
    if problem:
        return msgspec.structs.replace(said, says=problem)
    return _checked(said, claim.data, claim)


def _about(run: Path, stated: statement.Statement, role: str, sha256: str) -> str | None:
    predicate = stated.predicate
    if predicate.role != role:
        return f"the statement in the file of {role} is one of {predicate.role}"
    if not stated.subject or stated.subject[0].digest != {"sha256": sha256}:
        return "the statement is about other bytes than this report.json"
    try:
        data = files.read(run / model.FILES[0], files.REPORT)
        report = report_state.decode(data)
    except ReadinessError as error:
        return str(error)
    if hashlib.sha256(data).hexdigest() != sha256:
        return "report.json was replaced while it was read"
    if (stated.subject, predicate.release, predicate.verdict) != (
        statement.subjects(report, sha256),
        statement.release(report),
        report.verdict.name,
    ):
        return "the statement names another release or verdict than this report.json"
    return None


def _checked(said: Said, data: bytes, claim: Claim) -> Said:
    if claim.signature is None:
        # A DSSE signature does not carry its key, and the policy that has it is the verifier's.
        says = "its key is not in the run directory" if claim.lines else "there is no signature"
        return msgspec.structs.replace(said, says=says, unchecked=bool(claim.lines))
    try:
        signature = sshsig.check(data, claim.signature, sshsig.namespace(said.role))
    except ReadinessError as error:
        return msgspec.structs.replace(said, says=str(error))
    return msgspec.structs.replace(said, key=signature.key.fingerprint)


def _standing(run: Path, all_said: list[Said]) -> Said:
    bad = [said for said in all_said if said.says and not said.unchecked]
    timed = [(signed_at(said), said) for said in bad or all_said]
    moment, newest = max(timed, key=lambda pair: pair[0] or _NEVER)
    if newest in bad or moment is None:
        return newest
    if sum(time == moment for time, _ in timed) > 1:
        return _refused(newest, "two statements that differ are of the same moment")
    if later(run, newest.role, moment):
        return _refused(newest, f"a later statement of the role lies in {FOLDER}/{SUPERSEDED}/")
    return newest


def _refused(said: Said, why: str) -> Said:
    return msgspec.structs.replace(said, says=why, unchecked=False)
