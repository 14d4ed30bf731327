"""One signature, from the wish to the files: who, over what, whether it may be, the signing.

PYTEST_DONT_REWRITE
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from pytest_readiness.clock import now, rfc3339
from pytest_readiness.errors import ReadinessError
from pytest_readiness.results import model
from pytest_readiness.signoff import (
    attest,
    collect,
    dsse,
    person,
    report_state,
    signing,
    state,
    statement,
)
from pytest_readiness.signoff.policy import Policy
from pytest_readiness.signoff.refusals import Cause
from pytest_readiness.signoff.signing import Signed
from pytest_readiness.signoff.ssh import sshsig
from pytest_readiness.signoff.statement import Decision
from pytest_readiness.signoff.verify import Verification, verify, verify_bytes
from pytest_readiness.text import flat, suggestion

SSHSIG, DSSE = "sshsig", "dsse"
_OF_THE_RUN = (Cause.TAMPERED_REPORT, Cause.ALTERED_FACT, Cause.FOREIGN_FACT)


@dataclass(frozen=True, slots=True)
class Request:
    """A person at the point of signing for a role.

    key: None for the agent. seen: the sign-off before. old: what the role has signed, oldest
    first; bad: why the rest of it does not count. keys: fingerprints of the person's. signer: None
    where only DSSE is asked for.
    """

    run: Path
    policy: Policy
    role: str
    key: Path | None
    formats: tuple[str, ...]
    report: model.Report
    sha256: str
    seen: Verification
    old: tuple[Signed, ...]
    bad: tuple[str, ...]
    principal: str
    keys: frozenset[str]
    signer: person.Signer | None
    passphrase: Callable[[], bytes]


def prepare(
    run: Path, policy: Policy, *, role: str, key: Path | None, formats: Sequence[str], at: datetime
) -> Request:
    """Read the run, and find the person by the key. Raises ReadinessError."""
    if role not in policy.roles:
        near = suggestion(role, list(policy.roles))
        raise ReadinessError(f"{policy.path.name} has no role {role}{near}")
    data = report_state.read(run)
    old, bad = signing.standing(run, role, policy)
    passphrase = cache(lambda: person.passphrase(key) if key else b"")
    principal, keys, signer = _person(policy, role, key, formats, passphrase, at)
    return Request(
        run=run,
        policy=policy,
        role=role,
        key=key,
        formats=tuple(formats),
        report=report_state.decode(data),
        sha256=hashlib.sha256(data).hexdigest(),
        seen=verify_bytes(run, data, policy, at),
        old=old,
        bad=bad,
        principal=principal,
        keys=keys,
        signer=signer,
        passphrase=passphrase,
    )


def possible(request: Request) -> tuple[Decision, ...]:
    """Return the decisions that may be signed; `rejected` always may."""
    return tuple(one for one in Decision if _refused(request, one) is None)


def refuse(request: Request, decision: Decision, comment: str) -> None:
    """Raise ReadinessError where the decision would not count, or stands there already."""
    why = _refused(request, decision)
    if why:
        # It may quote the report, and is printed on a terminal.
        raise ReadinessError(f"{decision.value} is refused: {flat(why)}")
    if comment and not comment.replace("\n", " ").isprintable():
        raise ReadinessError("the comment has signs that cannot be printed, or is no UTF-8")
    if any(_same(request, decision, comment, one) for one in request.old[-1:]):
        raise ReadinessError(
            f"{request.principal} has signed exactly this for {request.role} at "
            f"{request.old[-1].statement.predicate.signed_at}: nothing is left to sign"
        )


def sign(request: Request, decision: Decision, comment: str) -> Signed:
    """Return the new signature, which is good by the policy; nothing is written.

    Raises ReadinessError, Refused among them.
    """
    at = now()
    latest = max((one.moment for one in request.old), default=None)
    past = collect.collect_superseded(request.run)
    latest = state.later(past, request.role, latest or at) or latest
    if latest is not None and rfc3339(latest) >= rfc3339(at):
        raise ReadinessError(
            f"{request.role} has a statement of {rfc3339(latest)}, which is later than the clock "
            f"of this machine, {rfc3339(at)}: a new one would not count"
        )
    replaces = hashlib.sha256(request.old[-1].data).hexdigest() if request.old else None
    data = statement.encode(_statement(request, decision, comment, rfc3339(at), replaces))
    return Signed(
        data=data,
        signature=_by_ssh(request, data) if request.signer else None,
        line=_by_dsse(request, data) if DSSE in request.formats else None,
    )


def finish(request: Request, new: Signed) -> Verification:
    """Write the signature, attest a complete sign-off, return how it stands now.

    Raises ReadinessError.
    """
    signing.place(request.run, request.role, new, request.old)
    verification = verify(request.run, request.policy, now())
    if verification.signed_off:
        attest.write_svr(request.run, request.policy, verification)
    return verification


def _person(
    policy: Policy,
    role: str,
    key: Path | None,
    formats: Sequence[str],
    passphrase: Callable[[], bytes],
    at: datetime,
) -> tuple[str, frozenset[str], person.Signer | None]:
    signer = person.by_ssh(policy, role, key, at) if SSHSIG in formats else None
    keys = {signer.fingerprint} if signer else set()
    if DSSE not in formats:
        assert signer is not None  # there is at least one format
        return signer.principal, frozenset(keys), signer
    if key is None:
        raise ReadinessError("an agent cannot sign for --format dsse: name the key, --key PATH")
    pem = dsse.public_pem(key, passphrase)
    principal = person.by_dsse(policy, role, pem)
    if signer is not None and signer.principal != principal:
        raise ReadinessError(
            f"the key is of {signer.principal} in allowed_signers, of {principal} in dsse_keys"
        )
    return principal, frozenset({*keys, person.fingerprint(pem)}), signer


def _refused(request: Request, decision: Decision) -> str | None:
    if decision is Decision.REJECTED:
        return None
    for refusal in request.seen.refusals:
        if refusal.cause.exit_code == 1 or refusal.cause in _OF_THE_RUN:
            return refusal.why
    accepted = statement.accepted(request.report)
    items = ", ".join(dict.fromkeys(one.item for one in accepted))
    if accepted and decision is Decision.APPROVED:
        return f"the report has waivers ({items}); --decision approved-with-waivers accepts them"
    if accepted and not request.policy.accept_waivers:
        return (
            f"the report has waivers ({items}), and by accept_waivers of "
            f"{request.policy.path.name} nobody may accept them: change it before anybody signs"
        )
    if not accepted and decision is Decision.APPROVED_WITH_WAIVERS:
        return "no waiver of the report is used; --decision approved"
    return _not_distinct(request)


def _not_distinct(request: Request) -> str | None:
    if not request.policy.distinct_principals:
        return None
    for other in request.seen.roles:
        if other.role == request.role or other.state != "signed":
            continue
        if other.principal == request.principal or other.key in request.keys:
            return f"{other.principal} has signed as {other.role}: one person, one role"
    return None


def _same(request: Request, decision: Decision, comment: str, old: Signed) -> bool:
    predicate = old.statement.predicate
    again = _statement(request, decision, comment, predicate.signed_at, predicate.supersedes)
    missing = (SSHSIG in request.formats and not old.signature) or (
        DSSE in request.formats and not old.line
    )
    return statement.encode(again) == old.data and not missing


def _statement(
    request: Request,
    decision: Decision,
    comment: str,
    signed_at: str,
    supersedes: str | None,
) -> statement.Statement:
    return statement.Statement(
        subject=statement.subjects(request.report, request.sha256),
        predicate=statement.Predicate(
            role=request.role,
            principal=request.principal,
            decision=decision,
            comment=comment,
            verdict=request.report.verdict.name,
            accepted_waivers=statement.accepted(request.report),
            relaxed_limits=statement.relaxed_limits(request.report),
            release=statement.release(request.report),
            signed_at=signed_at,
            policy=statement.PolicyUsed(
                sha256=request.policy.sha256,
                allowed_signer=request.signer.line.sha256 if request.signer else None,
            ),
            supersedes=supersedes,
        ),
    )


def _by_ssh(request: Request, data: bytes) -> bytes:
    signer = request.signer
    assert signer is not None  # sign asks for it
    space = sshsig.namespace(request.role)
    signature = sshsig.sign(data, space, request.key, (signer.blob,))
    line = sshsig.verify(
        data,
        signature,
        principal=request.principal,
        namespace=space,
        lines=request.policy.lines,
        revoked=request.policy.revoked,
        at=now(),
    )
    if line.sha256 != signer.line.sha256:
        raise ReadinessError(
            f"the key signs by line {line.number} of allowed_signers, not by line "
            f"{signer.line.number}: one line a key and role"
        )
    return signature


def _by_dsse(request: Request, data: bytes) -> bytes:
    assert request.key is not None  # prepare refuses it
    envelope = dsse.sign(data, request.key, request.passphrase)
    line = json.dumps(envelope, separators=(",", ":"), sort_keys=True).encode()
    dsse.verify(dsse.read_line(line), request.policy.dsse_keys[request.principal])
    return line
