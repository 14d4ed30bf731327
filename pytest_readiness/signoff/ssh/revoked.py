"""revoked_keys: which keys count no more. A KRL (OpenSSH, PROTOCOL.krl) or public keys as text.

PYTEST_DONT_REWRITE
"""

import hashlib
from pathlib import Path

import msgspec

from pytest_readiness.errors import SettingsError
from pytest_readiness.signoff import files
from pytest_readiness.signoff.ssh import wire

_MAGIC = b"SSHKRL\n\0"
_CERTIFICATES, _KEYS, _SHA1, _SIGNATURE, _SHA256, _EXTENSION = 1, 2, 3, 4, 5, 255


class Revoked(msgspec.Struct, frozen=True, kw_only=True):
    """Keys that are revoked.

    keys: public key blobs; sha1, sha256: digests of such blobs.
    certificates: the KRL revokes certificates by serial or id, which ssh-keygen alone looks up.
    """

    keys: frozenset[bytes]
    sha1: frozenset[bytes]
    sha256: frozenset[bytes]
    path: Path
    certificates: bool = False

    def holds(self, blob: bytes) -> bool:
        """Return whether the blob is revoked; of which blobs to ask: key.not_revoked."""
        return (
            blob in self.keys
            or hashlib.sha256(blob).digest() in self.sha256
            or hashlib.sha1(blob, usedforsecurity=False).digest() in self.sha1
        )


def read(path: Path) -> Revoked:
    """Return what the file revokes. Raises SettingsError, also for a KRL it cannot read in full."""
    try:
        data = files.read(path)
    except files.Unreadable as error:
        raise SettingsError([f"{path.name}: it cannot be read: {error.why}"]) from error
    if not data.startswith(_MAGIC):
        return _text(data, path)
    try:
        return _krl(data, path)
    except wire.Malformed as error:
        raise SettingsError([f"{path.name}: the KRL cannot be used: {error}"]) from error


def _text(data: bytes, path: Path) -> Revoked:
    keys, problems = set(), []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip() or line.lstrip().startswith(b"#"):
            continue
        try:
            kind, blob = wire.public_key(wire.text_of(line))
            if kind.endswith(wire.CERTIFICATE):
                # Another certificate, or none, would let the key sign on.
                raise wire.Malformed("it is a certificate: write its key, or revoke it by a KRL")
            keys.add(blob)
        except wire.Malformed as error:
            problems.append(f"{path.name}:{number}: {error}")
    if problems:
        raise SettingsError(problems)
    return Revoked(keys=frozenset(keys), sha1=frozenset(), sha256=frozenset(), path=path)


def _krl(data: bytes, path: Path) -> Revoked:
    reader = wire.Reader(data)
    reader.take(len(_MAGIC))
    if (version := reader.number(4)) != 1:
        raise wire.Malformed(f"its format is {version}, not 1")
    for _ in ("version of the list", "generated", "flags"):
        reader.number(8)
    for _ in ("reserved", "comment"):
        reader.string()
    found: dict[int, set[bytes]] = {_KEYS: set(), _SHA1: set(), _SHA256: set()}
    certificates = False
    while reader.more:
        section, content = reader.number(1), wire.Reader(reader.string())
        if section in found:
            found[section].update(content.strings())
        elif section == _CERTIFICATES:
            certificates = True
        else:
            _other(section, content)
    _sizes(found)
    return Revoked(
        keys=frozenset(found[_KEYS]),
        sha1=frozenset(found[_SHA1]),
        sha256=frozenset(found[_SHA256]),
        path=path,
        certificates=certificates,
    )


def _other(section: int, content: wire.Reader) -> None:
    """Pass over an extension that is not critical. Raises Malformed for all other sections."""
    if section == _SIGNATURE:
        # So does OpenSSH from 9.4 on: it has never looked at them.
        raise wire.Malformed("it has a signature, which OpenSSH does not verify")
    if section != _EXTENSION:
        raise wire.Malformed(f"it has a section of the unknown type {section}")
    name, critical = content.text(), content.number(1)
    content.string()
    content.end()
    if critical:
        raise wire.Malformed(f"it has the critical extension {name!r}, which is not known here")


def _sizes(found: dict[int, set[bytes]]) -> None:
    for blob in found[_KEYS]:
        wire.key_type(blob)
    for section, size in ((_SHA1, 20), (_SHA256, 32)):
        if any(len(digest) != size for digest in found[section]):
            raise wire.Malformed(f"it has a digest that is not {size} bytes")
