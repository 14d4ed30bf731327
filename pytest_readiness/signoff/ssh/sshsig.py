"""SSHSIG: signatures by SSH keys (OpenSSH, PROTOCOL.sshsig), read, verified and made.

Two readers must agree: ed25519 and P-256 are verified here, and wherever ssh-keygen is on the
machine it must accept as well. Other keys and certificates it verifies alone.

PYTEST_DONT_REWRITE
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from pytest_readiness.signoff.refusals import Cause, Refused
from pytest_readiness.signoff.ssh import key as keys
from pytest_readiness.signoff.ssh import openssh, wire
from pytest_readiness.signoff.ssh.key import Key
from pytest_readiness.signoff.ssh.openssh import public_blob, sign
from pytest_readiness.signoff.ssh.revoked import Revoked
from pytest_readiness.signoff.ssh.signers import Line

__all__ = ["Signature", "check", "namespace", "parse", "public_blob", "sign", "verify"]

_MAGIC = b"SSHSIG"
_BEGIN = "-----BEGIN SSH SIGNATURE-----\n"
_END = "\n-----END SSH SIGNATURE-----"
_HASHES = ("sha256", "sha512")
_LARGEST = 64 * 1024  # bytes; an RSA signature of 16384 bits has 6 KB


def namespace(role: str) -> str:
    """Return the namespace in which a role signs."""
    return f"{role}@signoff.readiness"


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """What an SSHSIG carries.

    hash: sha256 or sha512. blob: the signature in SSH's format (RFC 4253, section 6.6).
    """

    key: Key
    namespace: str
    hash: str
    blob: bytes


def parse(armored: bytes) -> Signature:
    """Read a signature; nothing is verified. Raises Refused(BAD_SIGNATURE)."""
    try:
        return _parsed(_unarmored(armored))
    except wire.Malformed as error:
        raise Refused(
            Cause.BAD_SIGNATURE, f"the signature cannot be read as an SSHSIG: {error}"
        ) from error


def check(data: bytes, armored: bytes, namespace: str) -> Signature:
    """Return the signature, which is good over the data by the key it carries, whosever it is.

    Raises Refused: BAD_SIGNATURE, WRONG_NAMESPACE, TAMPERED_STATEMENT.
    """
    signature = parse(armored)
    if signature.namespace != namespace:
        raise Refused(
            Cause.WRONG_NAMESPACE,
            f"the signature is for {signature.namespace!r}, not for {namespace!r}",
        )
    if signature.key.kind in (wire.ED25519, wire.P256):
        _check_here(data, signature)
        return signature
    _needs_ssh_keygen(signature)
    words = openssh.refuses_signature(data, armored, namespace)
    if words is not None:
        bytes_differ = "incorrect signature" in words
        raise Refused(
            Cause.TAMPERED_STATEMENT if bytes_differ else Cause.BAD_SIGNATURE,
            f"ssh-keygen refuses the signature: {words}",
        )
    return signature


def verify(
    data: bytes,
    armored: bytes,
    *,
    principal: str,
    namespace: str,
    lines: tuple[Line, ...],
    revoked: Revoked | None,
    at: datetime,
) -> Line:
    """Return the line of allowed_signers by which the principal signed the data.

    at: aware; the moment as of which keys are valid. Raises Refused with the cause that
    docs/signoff.md gives. What ssh-keygen refuses is never accepted.
    """
    signature = check(data, armored, namespace)
    valid = keys.may_sign(
        signature.key,
        principal=principal,
        namespace=namespace,
        lines=lines,
        revoked=revoked,
        at=at,
    )
    return _seconded(data, armored, principal, namespace, valid, revoked, at)


def _unarmored(armored: bytes) -> bytes:
    if len(armored) > _LARGEST:
        raise wire.Malformed(f"it is larger than {_LARGEST} bytes")
    text = wire.text_of(armored)
    if not text.startswith(_BEGIN):
        raise wire.Malformed(f"it does not begin with the line {_BEGIN.strip()}")
    body, end, rest = text.removeprefix(_BEGIN).partition(_END)
    if not end:
        raise wire.Malformed(f"it does not end with the line {_END.strip()}")
    if rest not in ("", "\n"):
        raise wire.Malformed("something follows its last line")
    return wire.from_base64(body.replace("\n", ""))


def _parsed(blob: bytes) -> Signature:
    reader = wire.Reader(blob)
    if reader.take(len(_MAGIC)) != _MAGIC:
        raise wire.Malformed("it does not begin with SSHSIG")
    if (version := reader.number(4)) != 1:
        raise wire.Malformed(f"its version is {version}, not 1")
    key = reader.string()
    space = reader.text()
    if not space:
        raise wire.Malformed("it has no namespace")
    if reader.string():
        raise wire.Malformed("its reserved field is not empty")
    hash = reader.text()
    if hash not in _HASHES:
        raise wire.Malformed(f"its hash is {hash!r}, neither of {', '.join(_HASHES)}")
    signature = reader.string()
    reader.end()
    return Signature(key=keys.read(key), namespace=space, hash=hash, blob=signature)


def _check_here(data: bytes, signature: Signature) -> None:
    from cryptography.exceptions import InvalidSignature

    signed = _MAGIC + b"".join(
        wire.string(part)
        for part in (
            signature.namespace.encode(),
            b"",
            signature.hash.encode(),
            hashlib.new(signature.hash, data).digest(),
        )
    )
    try:
        if signature.key.kind == wire.ED25519:
            _check_ed25519(signed, signature)
        else:
            _check_p256(signed, signature)
    except wire.Malformed as error:
        raise Refused(Cause.BAD_SIGNATURE, f"the signature cannot be read: {error}") from error
    except InvalidSignature as error:
        raise Refused(
            Cause.TAMPERED_STATEMENT,
            f"the signature by {signature.key.fingerprint} is not one over these bytes",
        ) from error


def _check_ed25519(signed: bytes, signature: Signature) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    value = _value(signature)
    if len(value) != 64:
        raise wire.Malformed("an ed25519 signature has 64 bytes")
    try:
        key = Ed25519PublicKey.from_public_bytes(signature.key.blob[-32:])
    except ValueError as error:
        raise wire.Malformed("its key is not on the curve") from error
    key.verify(value, signed)


def _check_p256(signed: bytes, signature: Signature) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    numbers = wire.Reader(_value(signature))
    r, s = numbers.positive(), numbers.positive()
    numbers.end()
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), signature.key.blob[-65:])
    except ValueError as error:
        raise wire.Malformed("its key is not on the curve") from error
    key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))


def _value(signature: Signature) -> bytes:
    """Return the signature without its type, which must be that of the key. Raises Malformed."""
    reader = wire.Reader(signature.blob)
    kind, value = reader.text(), reader.string()
    reader.end()
    if kind != signature.key.kind:
        raise wire.Malformed(f"it is of type {kind!r}, and its key {signature.key.kind}")
    return value


def _needs_ssh_keygen(signature: Signature) -> None:
    if not openssh.available():
        what = "certificate" if signature.key.certificate else "key"
        raise Refused(
            Cause.BAD_SIGNATURE,
            f"a {signature.key.kind} {what} is verified by ssh-keygen, "
            "which is not on this machine",
        )


def _seconded(
    data: bytes,
    armored: bytes,
    principal: str,
    namespace: str,
    valid: Sequence[Line],
    revoked: Revoked | None,
    at: datetime,
) -> Line:
    """Return the first of the lines under which ssh-keygen accepts, too; without it, the first."""
    if not openssh.available():
        return valid[0]

    def refuses(line: Line, revoked: Path | None) -> str | None:
        return openssh.refuses_signer(
            data,
            armored,
            principal=principal,
            namespace=namespace,
            line=line.text,
            at=at,
            revoked=revoked,
        )

    said = []
    for line in valid:
        words = refuses(line, revoked.path if revoked else None)
        if words is None:
            return line
        said.append(words)
    # Of a revoked certificate it says no more than that it could not verify.
    if revoked is not None and any(refuses(line, None) is None for line in valid):
        raise Refused(
            Cause.REVOKED_KEY, f"ssh-keygen refuses the key by {revoked.path.name}: {said[0]}"
        )
    raise Refused(Cause.BAD_SIGNATURE, f"ssh-keygen refuses the signature: {said[0]}")
