"""Signatures of security keys, with and without a certificate: ssh-keygen alone judges them."""

import base64
import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pytest_readiness.signoff.refusals import Cause
from tests.signoff.asked import (
    DATA,
    NAMESPACE,
    WHO,
    Asked,
    accepted_by_ssh_keygen,
    armor,
    cause_of,
    string,
)


def signed_by_device(device: Ed25519PrivateKey, key: bytes) -> bytes:
    """Made here byte by byte (OpenSSH, PROTOCOL.u2f), as no test has such a device."""
    kind, presence = b"sk-ssh-ed25519@openssh.com", b"\x01\0\0\0\x07"
    fields = string(NAMESPACE.encode()) + string(b"") + string(b"sha512")
    message = b"SSHSIG" + fields + string(hashlib.sha512(DATA).digest())
    asserted = hashlib.sha256(b"ssh:").digest() + presence + hashlib.sha256(message).digest()
    signature = string(kind) + string(device.sign(asserted)) + presence
    return armor(b"SSHSIG\0\0\0\x01" + string(key) + fields + string(signature))


def certified_by(ca: Ed25519PrivateKey, kind: bytes, fields: bytes, extensions: bytes) -> bytes:
    """A certificate for WHO that never ends (OpenSSH, PROTOCOL.certkeys), of a CA's ed25519 key."""
    body = string(kind) + string(b"n" * 32) + fields
    body += b"\0" * 8 + b"\0\0\0\x01" + string(b"id") + string(string(WHO.encode()))
    body += b"\0" * 8 + b"\xff" * 8 + string(b"") + string(extensions) + string(b"")
    body += string(string(b"ssh-ed25519") + string(ca.public_key().public_bytes_raw()))
    return body + string(string(b"ssh-ed25519") + string(ca.sign(body)))


def line_of(key: bytes, options: str = "") -> str:
    kind = key[4 : 4 + key[3]].decode()
    return f'{WHO} {options}namespaces="{NAMESPACE}" {kind} {base64.b64encode(key).decode()}'


def test_passes_when_a_security_key_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Ed25519PrivateKey.generate()
    fields = string(device.public_key().public_bytes_raw()) + string(b"ssh:")
    key = string(b"sk-ssh-ed25519@openssh.com") + fields
    armored, line = signed_by_device(device, key), line_of(key)
    changed = Asked(armored, [line], data=b"changed")
    for asked, cause in (
        (Asked(armored, [line]), None),
        (changed, Cause.TAMPERED_STATEMENT),
    ):
        assert cause_of(tmp_path, asked) is cause
        assert accepted_by_ssh_keygen(tmp_path, asked) is (cause is None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cause_of(tmp_path, Asked(armored, [line])) is Cause.BAD_SIGNATURE


@pytest.mark.parametrize(
    "extensions",
    [
        pytest.param([], id="of a security key"),
        pytest.param([(b"b@example.org", b""), (b"a@example.org", b"")], id="not in order"),
        pytest.param([(b"a@example.org", b"raw")], id="of raw data"),
    ],
)
def test_passes_when_ssh_keygen_takes_a_certificate_that_other_readers_refuse(
    extensions: list[tuple[bytes, bytes]], tmp_path: Path
) -> None:
    """And the key in it is found in the list of revoked ones, application and all."""
    device, ca = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    fields = string(device.public_key().public_bytes_raw()) + string(b"ssh:")
    kind = b"sk-ssh-ed25519-cert-v01@openssh.com"
    data = b"".join(string(name) + string(value) for name, value in extensions)
    armored = signed_by_device(device, certified_by(ca, kind, fields, data))
    authority = string(b"ssh-ed25519") + string(ca.public_key().public_bytes_raw())
    asked = Asked(armored, [line_of(authority, "cert-authority,")])
    assert cause_of(tmp_path, asked) is None
    assert accepted_by_ssh_keygen(tmp_path, asked)
    holder = string(b"sk-ssh-ed25519@openssh.com") + fields
    (tmp_path / "revoked").write_text(line_of(holder).split(maxsplit=2)[2])
    refused = Asked(armored, asked.lines, revoked=tmp_path / "revoked")
    assert cause_of(tmp_path, refused) is Cause.REVOKED_KEY
