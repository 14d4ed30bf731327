"""Bytes that are no SSHSIG, or not in its one form."""

from pathlib import Path

import pytest

from pytest_readiness.signoff.refusals import Cause, Refused
from pytest_readiness.signoff.ssh import sshsig
from tests.signoff.asked import DATA, NAMESPACE, armor, blob_of, signer_of


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return signer_of(tmp_path_factory.mktemp("keys"), "ed25519").sign()


def why_refused(armored: bytes) -> str:
    with pytest.raises(Refused) as refused:
        sshsig.check(DATA, armored, NAMESPACE)
    assert refused.value.cause is Cause.BAD_SIGNATURE
    return refused.value.why


def test_fails_and_names_another_armor(good: bytes) -> None:
    for changed in (
        b"",
        b"\xff\xfe",
        b"\n" + good,
        good.replace(b"\n", b"\r\n"),
        good.replace(b"SSH SIGNATURE", b"PGP SIGNATURE"),
        good.replace(b"-----END", b"----END"),
        good + b"more",
        good + good,
        good.replace(b"U1NI", b"U1N\xc3\xa9"),
        good[: len(good) // 2],
        good.replace(b"\n", b"\n" * 70_000),
    ):
        assert why_refused(changed)


def test_fails_and_names_a_changed_field(good: bytes) -> None:
    blob = blob_of(good)
    space = NAMESPACE.encode()
    after = blob.index(space) + len(space)
    for changed, word in {
        b"SSHSIX" + blob[6:]: "SSHSIG",
        blob[:9] + b"\x02" + blob[10:]: "version is 2",
        blob[:9] + b"\x00" + blob[10:]: "version is 0",
        blob + b"\0": "follow",
        blob[:-1]: "short",
        blob[:after] + b"\0\0\0\x01x" + blob[after + 4 :]: "reserved",
        blob.replace(b"sha512", b"sha384"): "hash",
        blob.replace(b"ssh-ed25519", b"ssh-ed25518", 1): "ssh-keygen",
        blob[:-68] + b"\0\0\0\x3f" + blob[-63:]: "short|follow|64|cut",
        blob.replace(space, b"\0" + space[1:]): "NUL",
    }.items():
        why = why_refused(armor(changed))
        assert any(part in why for part in word.split("|")), why


def test_fails_and_names_every_flipped_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = [blob_of(signer_of(tmp_path, kind).sign()) for kind in ("ed25519", "ecdsa")]
    monkeypatch.setenv("PATH", str(tmp_path))
    for blob in blobs:
        for at in range(len(blob)):
            changed = bytes([*blob[:at], blob[at] ^ 0x41, *blob[at + 1 :]])
            with pytest.raises(Refused):
                sshsig.check(DATA, armor(changed), NAMESPACE)


def test_fails_and_names_a_signature_of_another_type(good: bytes) -> None:
    blob = blob_of(good)
    at = blob.rindex(b"ssh-ed25519")
    changed = armor(blob[:at] + b"ssh-ed25510" + blob[at + 11 :])
    assert "ssh-ed25510" in why_refused(changed)
