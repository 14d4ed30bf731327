"""A public key, as it is or in a certificate: which one it is, and whether it may sign.

PYTEST_DONT_REWRITE
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from pytest_readiness.clock import rfc3339
from pytest_readiness.signoff.refusals import Cause, Refused
from pytest_readiness.signoff.ssh import certificate, wire
from pytest_readiness.signoff.ssh.revoked import Revoked
from pytest_readiness.signoff.ssh.signers import Line


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A key. blob: public key blob, or the whole certificate. kind: its type on the wire."""

    blob: bytes
    kind: str
    certificate: certificate.Certificate | None

    @property
    def holder(self) -> bytes:
        """The public key blob of who signs, without certificate."""
        return self.certificate.key if self.certificate else self.blob

    @property
    def listed(self) -> bytes:
        """The public key blob that a line of allowed_signers has: of a certificate its CA's."""
        return self.certificate.authority if self.certificate else self.blob

    @property
    def fingerprint(self) -> str:
        """`SHA256:...` of the holder, as ssh-keygen prints it."""
        return wire.fingerprint(self.holder)


def read(blob: bytes) -> Key:
    """Return the key. Raises Malformed, also for one that is not in its one form."""
    kind = wire.key_type(blob)
    held = certificate.read(blob) if kind.endswith(wire.CERTIFICATE) else None
    return Key(blob=blob, kind=kind, certificate=held)


def lines_of(key: Key, lines: Sequence[Line]) -> list[Line]:
    """Return the lines of allowed_signers that have the key, for whomever."""
    certified = key.certificate is not None
    return [one for one in lines if one.cert_authority == certified and one.key == key.listed]


def may_sign(
    key: Key,
    *,
    principal: str,
    namespace: str,
    lines: Sequence[Line],
    revoked: Revoked | None,
    at: datetime,
) -> list[Line]:
    """Return the lines by which the principal may sign with the key at the moment, at least one.

    Raises Refused: UNKNOWN_PRINCIPAL, WRONG_NAMESPACE, EXPIRED_KEY, REVOKED_KEY, and BAD_SIGNATURE
    for a certificate that is not one to sign with.
    """
    allowed = _allowing(key, principal, namespace, lines)
    if key.certificate:
        _certified(key.certificate, principal, at)
    valid = [line for line in allowed if line.valid(at)]
    if not valid:
        raise Refused(
            Cause.EXPIRED_KEY,
            f"the key {key.fingerprint} has expired or is not valid yet: line {allowed[0].number} "
            f"of allowed_signers lets it sign {_span(allowed[0])}, not at {rfc3339(at)}",
        )
    not_revoked(key, revoked)
    return valid


def not_revoked(key: Key, revoked: Revoked | None) -> None:
    """Pass for a key that is not revoked, nor its certificate, nor the CA. Raises Refused."""
    if revoked and any(map(revoked.holds, {key.blob, key.holder, key.listed})):
        raise Refused(Cause.REVOKED_KEY, f"{revoked.path.name} revokes the key {key.fingerprint}")


def _allowing(key: Key, principal: str, namespace: str, lines: Sequence[Line]) -> list[Line]:
    """Return the lines which have the key for the principal and allow the namespace."""
    # What is not one printed line is no name: it would go to ssh-keygen as an argument.
    named = principal.isprintable()
    known = [one for one in lines_of(key, lines) if named and one.names(principal)]
    if not known:
        of = "the CA's key" if key.certificate else "the key"
        raise Refused(
            Cause.UNKNOWN_PRINCIPAL,
            f"no line of allowed_signers has {of} {wire.fingerprint(key.listed)} for {principal}",
        )
    allowed = [line for line in known if line.allows(namespace)]
    if not allowed:
        raise Refused(
            Cause.WRONG_NAMESPACE,
            f"line {known[0].number} of allowed_signers does not let {principal} sign for "
            f"{namespace!r} with the key {key.fingerprint}",
        )
    return allowed


def _certified(held: certificate.Certificate, principal: str, at: datetime) -> None:
    else_than = "the certificate is for something else than to sign: it"
    if not held.of_user:
        raise Refused(Cause.BAD_SIGNATURE, f"{else_than} is one of a host, not of a person")
    if held.critical:
        # ssh-keygen passes over them here; PROTOCOL.certkeys: what is not known is refused.
        raise Refused(
            Cause.BAD_SIGNATURE, f"{else_than} has critical options, {', '.join(held.critical)}"
        )
    if principal not in held.principals:
        names = ", ".join(held.principals) or "nobody"
        raise Refused(
            Cause.UNKNOWN_PRINCIPAL, f"the certificate is for {names}, not for {principal}"
        )
    if not held.valid(at):
        raise Refused(
            Cause.EXPIRED_KEY,
            f"the certificate is valid from {rfc3339(held.valid_after)} "
            f"until {rfc3339(held.valid_before)}, not at {rfc3339(at)}",
        )


def _span(line: Line) -> str:
    after = f"from {rfc3339(line.valid_after)}" if line.valid_after else ""
    before = f"until {rfc3339(line.valid_before)}" if line.valid_before else ""
    return " ".join(filter(None, (after, before)))
