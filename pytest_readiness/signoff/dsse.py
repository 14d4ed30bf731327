"""Envelopes of DSSE (v1.0.2) by securesystemslib, with ed25519 and P-256 keys alone.

These two are what cosign and sigstore-js verify with a plain key as well.

PYTEST_DONT_REWRITE
"""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_readiness.errors import ReadinessError
from pytest_readiness.signoff import files
from pytest_readiness.signoff.refusals import Cause, Refused
from pytest_readiness.signoff.ssh import wire
from pytest_readiness.signoff.statement import once

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TYPE = "application/vnd.in-toto+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"

Passphrase = Callable[[], bytes]


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """An envelope with its one signature. keyid: "" where it has none. line: as it was read."""

    payload: bytes
    keyid: str
    signature: bytes
    line: bytes


def sign(payload: bytes, key: Path, passphrase: Passphrase) -> dict[str, Any]:
    """Return the envelope, ready for JSON.

    key: private key of OpenSSH or PEM. passphrase: called where the key is encrypted. Raises
    ReadinessError for a key that cannot be read or is of another kind.
    """
    dsse, signer = _library()
    envelope = dsse.Envelope(payload, TYPE, {})
    envelope.sign(signer.CryptoSigner(_private(key, passphrase)))
    found: dict[str, Any] = envelope.to_dict()
    return found


def public_pem(key: Path, passphrase: Passphrase) -> bytes:
    """Return the public key of a private one as `dsse_keys` has it. Raises as `sign` does."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = _private(key, passphrase).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_line(line: bytes) -> Envelope:
    """Return the envelope of a line of report.json.intoto.jsonl.

    Raises Refused (bad-signature): no JSON, a key that stands twice, another payloadType, not
    exactly one signature, base64 that readers read differently.
    """
    try:
        found = json.loads(line.decode("utf-8"), object_pairs_hook=once)
    except RecursionError:
        raise _bad("it is nested too deeply") from None
    except ValueError as error:
        raise _bad(f"it is no JSON object: {error}") from None
    if not isinstance(found, dict):
        raise _bad("it is no JSON object")
    if found.get("payloadType") != TYPE:
        raise _bad(f"its payloadType is {found.get('payloadType')!r} and not {TYPE}")
    signatures = found.get("signatures")
    if not isinstance(signatures, list) or len(signatures) != 1:
        count = len(signatures) if isinstance(signatures, list) else "no list of"
        raise _bad(f"it has {count} signatures and not exactly one")
    signature = signatures[0]
    keyid = signature.get("keyid", "") if isinstance(signature, dict) else None
    if not isinstance(keyid, str):
        raise _bad("its signature is no object, or the keyid no text")
    return Envelope(
        payload=_base64(found.get("payload"), "payload"),
        keyid=keyid,
        signature=_base64(signature.get("sig"), "sig"),
        line=line,
    )


def verify(envelope: Envelope, pem: bytes) -> None:
    """Pass where the key signed the payload. pem: public key.

    Raises Refused: tampered-statement where the signature is not one by the key over the payload,
    bad-signature for a key of another kind. ReadinessError without securesystemslib.
    """
    dsse, signer = _library()
    from securesystemslib.exceptions import VerificationError

    try:
        key = signer.SSlibKey.from_crypto(_checked(_load_public(pem)))
    except ReadinessError as error:
        raise Refused(Cause.BAD_SIGNATURE, str(error)) from None
    # The library passes over signatures whose keyid is not the key's, and the keyid is a hint.
    signature = signer.Signature(key.keyid, envelope.signature.hex())
    try:
        dsse.Envelope(envelope.payload, TYPE, {key.keyid: signature}).verify([key], threshold=1)
    except VerificationError:
        raise Refused(
            Cause.TAMPERED_STATEMENT,
            "the signature of its DSSE envelope is not one over this payload by the key of "
            "dsse_keys",
        ) from None


def bundle(envelope: Envelope) -> dict[str, Any]:
    """Return the envelope as a Sigstore bundle v0.3, as cosign and sigstore-js take it.

    Without the keyid: cosign then looks for a key of that name, and finds none.
    """
    return {
        "mediaType": BUNDLE,
        "verificationMaterial": {
            "publicKey": {"hint": envelope.keyid},
            "tlogEntries": [],
            "timestampVerificationData": {"rfc3161Timestamps": []},
        },
        "dsseEnvelope": {
            "payload": base64.b64encode(envelope.payload).decode(),
            "payloadType": TYPE,
            "signatures": [{"sig": base64.b64encode(envelope.signature).decode()}],
        },
    }


def check_pem(pem: bytes) -> None:
    """Pass for a public key that may verify. Raises ReadinessError, which says what it is."""
    _checked(_load_public(pem))


def ssh_blob(pem: bytes) -> bytes:
    """Return a public key as SSH writes it, so that one key is one key in both formats."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    text: bytes = _load_public(pem).public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return base64.b64decode(text.split()[1])


def _library() -> tuple[Any, Any]:
    try:
        from securesystemslib import dsse, signer
    except ImportError:
        raise ReadinessError(
            "DSSE needs securesystemslib: pip install 'pytest-readiness[dsse]'"
        ) from None
    return dsse, signer


def _private(path: Path, passphrase: Passphrase) -> "Ed25519PrivateKey | EllipticCurvePrivateKey":
    try:
        data = files.read(path)
    except files.Unreadable as error:
        raise ReadinessError(f"{path}: cannot be read: {error.why}") from None
    try:
        key = _load_private(data, None)
    except TypeError:  # so both loaders say that the key is encrypted
        secret = passphrase()
        try:
            key = _load_private(data, secret)
        except (TypeError, ValueError):
            raise ReadinessError(f"{path}: the passphrase does not open the key") from None
    except ValueError:
        raise ReadinessError(f"{path}: no private key of OpenSSH or PEM") from None
    try:
        _checked(key.public_key())
    except ReadinessError as error:
        raise ReadinessError(f"{path}: {error}") from None
    return key  # type: ignore[no-any-return]  # of these two kinds, as it was checked


def _load_private(data: bytes, secret: bytes | None) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import (
        load_pem_private_key,
        load_ssh_private_key,
    )

    of_ssh = b"BEGIN OPENSSH PRIVATE KEY" in data
    try:
        return (load_ssh_private_key if of_ssh else load_pem_private_key)(data, secret)
    except UnsupportedAlgorithm as error:
        if "bcrypt" in str(error):
            raise ReadinessError(
                "an OpenSSH key with a passphrase needs bcrypt: pip install 'cryptography[ssh]'"
            ) from None
        raise ReadinessError(f"a key that cryptography does not read: {error}") from None


def _load_public(pem: bytes) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        what = "a private key" if b"PRIVATE KEY" in pem else "no PEM file of a public key"
        raise ReadinessError(f"it is {what}") from None


def _checked(public: Any) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(public, ed25519.Ed25519PublicKey):
        return public
    if isinstance(public, ec.EllipticCurvePublicKey):
        if isinstance(public.curve, ec.SECP256R1):
            return public
        names = {"secp384r1": "P-384", "secp521r1": "P-521"}
        name = names.get(public.curve.name, public.curve.name)
    else:
        name = "RSA" if isinstance(public, rsa.RSAPublicKey) else type(public).__name__
    raise ReadinessError(f"the key is {name}; DSSE takes ed25519 and P-256")


def _base64(text: object, name: str) -> bytes:
    """Return the bytes of base64 in its one form, so that one signature has one form."""
    if not isinstance(text, str):
        raise _bad(f"its {name} is no base64")
    try:
        return wire.from_base64(text)
    except wire.Malformed:
        raise _bad(f"its {name} is no base64") from None


def _bad(why: str) -> Refused:
    return Refused(Cause.BAD_SIGNATURE, f"the DSSE envelope cannot be read: {why}")
