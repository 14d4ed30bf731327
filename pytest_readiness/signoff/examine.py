"""One statement and its signatures, held against report, policy and moment.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from pytest_readiness.clock import SKEW, begins, rfc3339
from pytest_readiness.errors import ReadinessError
from pytest_readiness.results import model
from pytest_readiness.signoff import dsse, statement
from pytest_readiness.signoff.collect import Document
from pytest_readiness.signoff.policy import Policy
from pytest_readiness.signoff.refusals import Cause, Refusal, Refused
from pytest_readiness.signoff.ssh import key as keys
from pytest_readiness.signoff.ssh import sshsig, wire
from pytest_readiness.signoff.ssh.signers import Line
from pytest_readiness.signoff.statement import Decision


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What statements are held against. report: None where report.json is none."""

    report: model.Report | None
    sha256: str
    policy: Policy
    at: datetime


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a statement and its signatures say.

    stated: None for a malformed one. keys: public key blobs of all that sign it, without
    certificates. formats: "sshsig", "dsse". fingerprint: of the first key.
    """

    role: str | None
    stated: statement.Statement | None
    keys: frozenset[bytes] = frozenset()
    formats: tuple[str, ...] = ()
    fingerprint: str | None = None
    refusals: tuple[Refusal, ...] = ()

    @property
    def moment(self) -> datetime:
        """When it was signed, as it says. Only for one that is not malformed."""
        assert self.stated is not None
        return begins(self.stated.predicate.signed_at)


class _Signed(msgspec.Struct, kw_only=True):
    """What the signatures of one statement say, filled as they are looked at."""

    keys: list[bytes] = []
    line: Line | None = None
    problems: list[tuple[Cause, str]] = []


def examine(document: Document, ground: Ground) -> Seen:
    """Return what the statement says, with each cause why it would not count."""
    try:
        stated = statement.decode(document.data)
        said = stated.predicate
        if document.role not in (None, said.role):
            raise Refused(
                Cause.MALFORMED_STATEMENT, f"the statement in the file is one of {said.role}"
            )
    except Refused as error:
        return _malformed(document, document.role, error)
    signed = _signed(document, said, ground)
    about = statement.about(stated, ground.report, ground.sha256)
    problems = [*signed.problems, *about, *_terms(said, signed, ground)]
    return Seen(
        role=said.role,
        stated=stated,
        keys=frozenset(signed.keys),
        formats=_formats(document),
        fingerprint=wire.fingerprint(signed.keys[0]) if signed.keys else None,
        refusals=tuple(
            Refusal(
                cause=cause,
                role=said.role,
                principal=said.principal,
                why=f"{document.name}: {why}" if document.path is None else why,
            )
            for cause, why in problems
        ),
    )


def examine_superseded(document: Document, ground: Ground) -> Seen:
    """Return what a statement of superseded/ says: only its signatures must be good."""
    try:
        said = (stated := statement.decode(document.data)).predicate
        if not (document.role or "").startswith(f"{said.role}."):
            raise Refused(
                Cause.MALFORMED_STATEMENT, f"the statement in the file is one of {said.role}"
            )
    except Refused as error:
        return _malformed(document, (document.role or "").partition(".")[0], error)
    problems = []
    if not document.signature and not document.envelopes:
        problems.append((Cause.BAD_SIGNATURE, "there is no signature beside the statement"))
    try:
        if document.signature is not None:
            sshsig.check(document.data, document.signature, sshsig.namespace(said.role))
        for sealed in document.envelopes:
            _unsealed(document, sealed.envelope, _pem(said, ground.policy))
    except ReadinessError as error:
        problems.append(_problem(error))
    refusals = tuple(
        Refusal(
            cause=cause,
            role=said.role,
            principal=said.principal,
            why=f"{document.name}: {why}",
        )
        for cause, why in problems
    )
    return Seen(role=said.role, stated=stated, refusals=refusals)


def _malformed(document: Document, role: str | None, error: Refused) -> Seen:
    why = f"{document.name}: {error.why}"
    return Seen(role=role, stated=None, refusals=(Refusal(cause=error.cause, role=role, why=why),))


def _formats(document: Document) -> tuple[str, ...]:
    found = {"sshsig": document.signature is not None, "dsse": bool(document.envelopes)}
    return tuple(name for name, there in found.items() if there)


def _signed(document: Document, said: statement.Predicate, ground: Ground) -> _Signed:
    signed = _Signed()
    if document.signature is None and not document.envelopes:
        signed.problems.append((Cause.BAD_SIGNATURE, "there is no signature beside the statement"))
    elif document.signature is None and said.policy.allowed_signer is not None:
        # Else an SSHSIG that is refused could be taken away, and a DSSE one left that is not.
        signed.problems.append(
            (Cause.BAD_SIGNATURE, "its SSH signature, which the statement speaks of, is missing")
        )
    stranger = _stranger(said, ground.policy)
    if stranger:
        signed.problems.append((Cause.UNKNOWN_PRINCIPAL, stranger))
    try:
        if document.signature is not None:
            _by_ssh(signed, document, said, ground, stranger is None)
    except ReadinessError as error:
        signed.problems.append(_problem(error))
    for sealed in document.envelopes:
        try:
            _by_dsse(signed, document, sealed.envelope, said, ground.policy)
        except ReadinessError as error:
            signed.problems.append(_problem(error))
    return signed


def _stranger(said: statement.Predicate, policy: Policy) -> str | None:
    if said.role not in policy.roles:
        return f"{policy.path.name} has no role {said.role}"
    if said.principal not in policy.roles[said.role]:
        people = ", ".join(policy.roles[said.role]) or "nobody"
        return f"{said.principal} is not one of {said.role} ({people})"
    return None


def _by_ssh(
    signed: _Signed, document: Document, said: statement.Predicate, ground: Ground, known: bool
) -> None:
    assert document.signature is not None
    namespace = sshsig.namespace(said.role)
    signature = sshsig.check(document.data, document.signature, namespace)
    signed.keys.append(signature.key.holder)
    if not known:
        return
    recorded = said.policy.allowed_signer
    # Of several lines that let the key sign, the one that the statement names comes first.
    lines = sorted(ground.policy.lines, key=lambda line: line.sha256 != recorded)
    signed.line = sshsig.verify(
        document.data,
        document.signature,
        principal=said.principal,
        namespace=namespace,
        lines=tuple(lines),
        revoked=ground.policy.revoked,
        at=ground.at,
    )


def _by_dsse(
    signed: _Signed,
    document: Document,
    envelope: dsse.Envelope,
    said: statement.Predicate,
    policy: Policy,
) -> None:
    pem = _pem(said, policy)
    _unsealed(document, envelope, pem)
    key = keys.read(dsse.ssh_blob(pem))
    signed.keys.append(key.holder)
    keys.not_revoked(key, policy.revoked)


def _pem(said: statement.Predicate, policy: Policy) -> bytes:
    if said.principal not in policy.dsse_keys:
        raise Refused(Cause.UNKNOWN_PRINCIPAL, f"dsse_keys has no key for {said.principal}")
    return policy.dsse_keys[said.principal]


def _unsealed(document: Document, envelope: dsse.Envelope, pem: bytes) -> None:
    if envelope.payload != document.data:
        raise Refused(Cause.TAMPERED_STATEMENT, "its DSSE envelope has another payload")
    dsse.verify(envelope, pem)


def _problem(error: ReadinessError) -> tuple[Cause, str]:
    if isinstance(error, Refused):
        return error.cause, error.why
    return Cause.BAD_SIGNATURE, f"it cannot be verified here: {error}"


def _terms(
    said: statement.Predicate, signed: _Signed, ground: Ground
) -> Iterator[tuple[Cause, str]]:
    """Yield why the statement does not count although it may be genuine."""
    policy = ground.policy
    if said.policy.sha256 != policy.sha256:
        yield Cause.OTHER_POLICY, f"{policy.path.name} has other bytes than when it was signed"
    if signed.line is not None and said.policy.allowed_signer != signed.line.sha256:
        yield (
            Cause.OTHER_POLICY,
            f"line {signed.line.number} of allowed_signers, which lets the key sign, has other "
            "bytes than when it was signed",
        )
    if (said_at := begins(said.signed_at)) - ground.at > SKEW:
        yield Cause.CLOCK, f"it was signed {said.signed_at}, later than {rfc3339(ground.at)}"
    if ground.report is None:
        return
    if begins(ground.report.run.ended) - said_at > SKEW:
        yield (
            Cause.CLOCK,
            f"it was signed {said.signed_at}, before the run ended {ground.report.run.ended}",
        )
    if why := _waivers(said, ground.report):
        yield Cause.OTHER_WAIVERS, why


def _waivers(said: statement.Predicate, report: model.Report) -> str | None:
    if said.accepted_waivers != statement.accepted(report):
        return "the waivers that it accepts are not those of the report"
    if said.accepted_waivers and said.decision is Decision.APPROVED:
        return "it approves the report without its waivers"
    if not said.accepted_waivers and said.decision is Decision.APPROVED_WITH_WAIVERS:
        return "it approves waivers, and the report has none"
    return None
