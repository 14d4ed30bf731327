"""What a run directory says of its signatures by itself, for the pages: no policy, network, clock.

It can tell whether a signature is good by the key that it carries. Whose key that is says the
policy alone, and so `readiness verify`.

PYTEST_DONT_REWRITE
"""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pytest_readiness.clock import begins
from pytest_readiness.errors import ReadinessError
from pytest_readiness.results import model
from pytest_readiness.signoff import collect, report_state, statement
from pytest_readiness.signoff.collect import Collected, Document
from pytest_readiness.signoff.refusals import Refused
from pytest_readiness.signoff.ssh import sshsig

_LAST = datetime.max.replace(tzinfo=UTC)


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
    collected = collect.collect(run)
    found: dict[str, list[Said]] = {}
    for problem in collected.problems:
        role = problem.role or problem.name
        found.setdefault(role, []).append(Said(role=role, says=problem.why))
    roles = collected.by_role()
    report = _report(run, report_sha256) if roles else "nobody speaks of it"
    for role, documents in roles.items():
        said = [_said(role, document, report, report_sha256) for document in documents]
        found.setdefault(role, []).extend(said)
    past = collect.collect_superseded(run)
    return tuple(_standing(past, found[role]) for role in sorted(found))


def signed_at(said: Said) -> datetime | None:
    """Return the moment of the signature, None where the statement has none."""
    return begins(said.signed_at) if said.signed_at else None


def later(past: Collected, role: str, moment: datetime) -> datetime | None:
    """Return the latest time of a statement of the role after the moment, or None.

    past: what superseded/ has. Statements that cannot be read count for nothing here.
    """
    times = [moment]
    for document in past.documents:
        try:
            predicate = statement.decode(document.data).predicate
        except Refused:
            continue
        if predicate.role == role:
            times.append(begins(predicate.signed_at))
    return max(times) if max(times) > moment else None


def _report(run: Path, sha256: str) -> model.Report | str:
    """Return the report whose bytes have the digest, or in words why there is none."""
    try:
        data = report_state.read(run)
        report = report_state.decode(data)
    except ReadinessError as error:
        return str(error)
    if hashlib.sha256(data).hexdigest() != sha256:
        return "report.json was replaced while it was read"
    return report


def _said(role: str, document: Document, report: model.Report | str, sha256: str) -> Said:
    try:
        stated = statement.decode(document.data)
    except Refused as error:
        return Said(role=role, says=error.why)
    predicate = stated.predicate
    said = Said(
        role=role,
        principal=predicate.principal,
        decision=predicate.decision.value,
        signed_at=predicate.signed_at,
        comment=predicate.comment,
    )
    problem = _about(stated, role, report, sha256)
    if problem:
        return msgspec.structs.replace(said, says=problem)
    return _checked(said, document)


def _about(
    stated: statement.Statement, role: str, report: model.Report | str, sha256: str
) -> str | None:
    if stated.predicate.role != role:
        return f"the statement in the file of {role} is one of {stated.predicate.role}"
    if isinstance(report, str):
        return report
    return next((why for _, why in statement.about(stated, report, sha256)), None)


def _checked(said: Said, document: Document) -> Said:
    if document.signature is None:
        # A DSSE signature does not carry its key, and the policy that has it is the verifier's.
        says = (
            "its key is not in the run directory" if document.envelopes else "there is no signature"
        )
        return msgspec.structs.replace(said, says=says, unchecked=bool(document.envelopes))
    try:
        signature = sshsig.check(document.data, document.signature, sshsig.namespace(said.role))
    except ReadinessError as error:
        return msgspec.structs.replace(said, says=str(error))
    return msgspec.structs.replace(said, key=signature.key.fingerprint)


def _standing(past: Collected, all_said: list[Said]) -> Said:
    bad = [said for said in all_said if said.says and not said.unchecked]
    timed = [(signed_at(said), said) for said in bad or all_said]
    moment, newest = max(timed, key=lambda pair: pair[0] or _LAST)
    if newest in bad or moment is None:
        return newest
    if sum(time == moment for time, _ in timed) > 1:
        return _refused(newest, "two statements that differ are of the same moment")
    if later(past, newest.role, moment):
        return _refused(
            newest, f"a later statement of the role lies in {collect.FOLDER}/{collect.SUPERSEDED}/"
        )
    return newest


def _refused(said: Said, why: str) -> Said:
    return msgspec.structs.replace(said, says=why, unchecked=False)
