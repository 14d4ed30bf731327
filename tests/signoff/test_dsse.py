"""DSSE envelopes, held to openssl."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    ssh,
)

from pytest_readiness.errors import ReadinessError
from pytest_readiness.signoff import dsse
from pytest_readiness.signoff.refusals import Cause, Refused
from tests.signoff.keys import person

PAYLOAD = '{"comment": "bis Donnerstag, gemäß OPS-812"}\n'.encode()
SECRET = b"correct horse"
KINDS: dict[str, Callable[[], Any]] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
}
OTHERS: dict[str, Callable[[], Any]] = {
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
}
FORMATS = {
    "PKCS8": (Encoding.PEM, PrivateFormat.PKCS8),
    "OpenSSH": (Encoding.PEM, PrivateFormat.OpenSSH),
}


def never() -> bytes:
    raise AssertionError("this key is not encrypted")


def written(folder: Path, key: Any, form: str = "PKCS8", secret: bytes | None = None) -> Path:
    """Write a private key; return its path."""
    encoding, private = FORMATS[form]
    lock = BestAvailableEncryption(secret) if secret else NoEncryption()
    path = folder / "key"
    path.write_bytes(key.private_bytes(encoding, private, lock))
    return path


def pem_of(key: Any) -> bytes:
    found: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return found


def sealed(key: Path) -> dsse.Envelope:
    return dsse.read_line(json.dumps(dsse.sign(PAYLOAD, key, never)).encode())


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestSign:
    @pytest.mark.parametrize("form", FORMATS)
    @pytest.mark.parametrize("secret", [None, SECRET], ids=["plain", "encrypted"])
    def test_passes_when_the_key_is_of_either_form(
        self, tmp_path: Path, kind: str, form: str, secret: bytes | None
    ) -> None:
        private = KINDS[kind]()
        key = written(tmp_path, private, form, secret)
        ask = (lambda: secret) if secret else never
        envelope = dsse.sign(PAYLOAD, key, ask)
        assert base64.b64decode(envelope["payload"]) == PAYLOAD
        assert envelope["payloadType"] == "application/vnd.in-toto+json"
        assert len(envelope["signatures"]) == 1
        pem = dsse.public_pem(key, ask)
        assert pem == pem_of(private)
        dsse.verify(dsse.read_line(json.dumps(envelope).encode()), pem)

    @pytest.mark.parametrize("passphrase", ["", SECRET.decode()], ids=["plain", "encrypted"])
    def test_passes_when_ssh_keygen_made_the_key(self, tmp_path: Path, passphrase: str) -> None:
        key = person(tmp_path, "sec@example.org", "ecdsa", passphrase).key
        envelope = dsse.sign(PAYLOAD, key, passphrase.encode if passphrase else never)
        pem = dsse.public_pem(key, passphrase.encode)
        dsse.verify(dsse.read_line(json.dumps(envelope).encode()), pem)

    @pytest.mark.parametrize("form", FORMATS)
    @pytest.mark.parametrize("answer", [b"wrong horse", b""])
    def test_fails_when_the_passphrase_is_another(
        self, tmp_path: Path, form: str, answer: bytes
    ) -> None:
        key = written(tmp_path, KINDS["ed25519"](), form, SECRET)
        with pytest.raises(ReadinessError, match="the passphrase does not open the key"):
            dsse.sign(PAYLOAD, key, lambda: answer)

    @pytest.mark.parametrize("name", OTHERS)
    def test_fails_and_names_another_kind_of_key(self, tmp_path: Path, name: str) -> None:
        private = OTHERS[name]()
        with pytest.raises(ReadinessError, match=f"key: the key is {name}; DSSE takes ed25519"):
            dsse.sign(PAYLOAD, written(tmp_path, private), never)
        with pytest.raises(ReadinessError, match=f"the key is {name}"):
            dsse.check_pem(pem_of(private))

    def test_fails_and_names_a_file_that_is_no_key(self, tmp_path: Path) -> None:
        key = tmp_path / "key"
        with pytest.raises(ReadinessError, match="key: cannot be read: No such file"):
            dsse.sign(PAYLOAD, key, never)
        key.write_text("nothing")
        with pytest.raises(ReadinessError, match="key: no private key of OpenSSH or PEM"):
            dsse.sign(PAYLOAD, key, never)
        with pytest.raises(ReadinessError, match="it is no PEM file"):
            dsse.check_pem(b"nothing")

    def test_fails_and_names_the_extra_without_the_library(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = written(tmp_path, KINDS["ed25519"]())
        monkeypatch.setitem(sys.modules, "securesystemslib", None)
        with pytest.raises(ReadinessError, match=r"pip install 'pytest-readiness\[dsse\]'"):
            dsse.sign(PAYLOAD, key, never)

    def test_fails_and_names_bcrypt_without_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = person(tmp_path, "sec@example.org", passphrase=SECRET.decode()).key

        def no_bcrypt(*_: object) -> None:
            raise UnsupportedAlgorithm("Need bcrypt module")

        monkeypatch.setattr(ssh, "_bcrypt_kdf", no_bcrypt)
        with pytest.raises(ReadinessError, match=r"pip install 'cryptography\[ssh\]'"):
            dsse.sign(PAYLOAD, key, lambda: SECRET)


class TestReadLine:
    @pytest.fixture
    def text(self, tmp_path: Path) -> dict[str, Any]:
        return dsse.sign(PAYLOAD, written(tmp_path, KINDS["ed25519"]()), never)

    def refused(self, line: bytes) -> str:
        with pytest.raises(Refused) as caught:
            dsse.read_line(line)
        assert caught.value.cause is Cause.BAD_SIGNATURE
        return caught.value.why

    def test_passes_when_the_line_is_kept(self, text: dict[str, Any]) -> None:
        line = json.dumps(text).encode()
        found = dsse.read_line(line)
        assert (found.line, found.payload) == (line, PAYLOAD)
        assert found.keyid == text["signatures"][0]["keyid"]

    def test_fails_when_two_have_signed(self, text: dict[str, Any]) -> None:
        text["signatures"].append({**text["signatures"][0], "keyid": "other"})
        assert "it has 2 signatures" in self.refused(json.dumps(text).encode())

    @pytest.mark.parametrize(
        "change",
        [
            {"signatures": []},
            {"signatures": {}},
            {"signatures": None},
            {"signatures": [None]},
            {"signatures": [{}]},
            {"signatures": [{"sig": 1}]},
            {"signatures": [{"sig": "AAAA", "keyid": 1}]},
            {"payloadType": "application/json"},
            {"payloadType": None},
            {"payload": None},
            {"payload": ["AAAA"]},
            {"payload": "AAA"},
            {"payload": "AA AA"},
            {"payload": "AAAA\n"},
            {"payload": "AA==AA=="},
            {"payload": "AB=="},
            {"payload": "_-__"},
            {"payload": "ÄÄÄÄ"},
        ],
    )
    def test_fails_when_a_field_is_another(
        self, text: dict[str, Any], change: dict[str, Any]
    ) -> None:
        self.refused(json.dumps({**text, **change}).encode())

    @pytest.mark.parametrize("key", ["payload", "payloadType", "signatures"])
    def test_fails_when_a_field_is_missing(self, text: dict[str, Any], key: str) -> None:
        del text[key]
        self.refused(json.dumps(text).encode())

    def test_fails_when_it_is_not_one_json_object(self, text: dict[str, Any]) -> None:
        line = json.dumps(text).encode()
        for other in (b"", b"[]", b"null", b"[" * 100_000, line[:-1], line * 2, line + b"x"):
            self.refused(other)
        self.refused(b"\xef\xbb\xbf" + line)
        self.refused(line.replace(b'"keyid": "', b'"keyid": "\xff'))

    def test_fails_and_names_a_key_that_stands_twice(self, text: dict[str, Any]) -> None:
        twice = json.dumps(text).replace('"payload":', '"payload": "AAAA", "payload":')
        assert "'payload' stands in it twice" in self.refused(twice.encode())
        sig = json.dumps(text).replace('"sig":', '"sig": "AAAA", "sig":')
        assert "'sig' stands in it twice" in self.refused(sig.encode())


class TestVerify:
    @pytest.mark.parametrize("keyid", [None, "", "somebody else's"])
    def test_passes_whatever_the_keyid(self, tmp_path: Path, kind: str, keyid: str | None) -> None:
        private = KINDS[kind]()
        text = dsse.sign(PAYLOAD, written(tmp_path, private), never)
        if keyid is None:
            del text["signatures"][0]["keyid"]
        else:
            text["signatures"][0]["keyid"] = keyid
        envelope = dsse.read_line(json.dumps(text).encode())
        assert envelope.keyid == (keyid or "")
        dsse.verify(envelope, pem_of(private))

    def refused(self, envelope: dsse.Envelope, pem: bytes) -> Cause:
        with pytest.raises(Refused) as caught:
            dsse.verify(envelope, pem)
        return caught.value.cause

    def test_fails_when_the_key_is_another(self, tmp_path: Path, kind: str) -> None:
        envelope = sealed(written(tmp_path, KINDS[kind]()))
        for other in KINDS.values():
            assert self.refused(envelope, pem_of(other())) is Cause.TAMPERED_STATEMENT
        for other in OTHERS.values():
            assert self.refused(envelope, pem_of(other())) is Cause.BAD_SIGNATURE
        assert self.refused(envelope, b"nothing") is Cause.BAD_SIGNATURE

    def test_fails_when_a_byte_is_another(self, tmp_path: Path, kind: str) -> None:
        private = KINDS[kind]()
        envelope = sealed(written(tmp_path, private))
        for name in ("payload", "signature"):
            data = getattr(envelope, name)
            for wrong in (b"", data[:-1], data + b"\n", bytes([data[0] ^ 1]) + data[1:]):
                tampered = msgspec.structs.replace(envelope, **{name: wrong})
                assert self.refused(tampered, pem_of(private)) is Cause.TAMPERED_STATEMENT


def test_passes_when_openssl_says_the_same(tmp_path: Path, kind: str) -> None:
    private = KINDS[kind]()
    envelope = sealed(written(tmp_path, private))
    (tmp_path / "pub").write_bytes(pem_of(private))
    (tmp_path / "sig").write_bytes(envelope.signature)
    files = ["pub", "sig", "pae"]
    command = {
        "ed25519": "pkeyutl -verify -pubin -inkey {} -rawin -sigfile {} -in {}",
        "P-256": "dgst -sha256 -verify {} -signature {} {}",
    }[kind].format(*files)
    for payload, code in ((PAYLOAD, 0), (PAYLOAD + b" ", 1)):
        # DSSE v1.0.2, protocol.md: type and payload, each after its length.
        pae = b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload)
        (tmp_path / "pae").write_bytes(pae)
        done = subprocess.run(
            ["openssl", *command.split()], cwd=tmp_path, capture_output=True, check=False
        )
        assert done.returncode == code, done.stderr.decode()


def test_passes_when_the_bundle_has_no_keyid(tmp_path: Path) -> None:
    found = dsse.bundle(sealed(written(tmp_path, KINDS["ed25519"]())))
    assert [list(one) for one in found["dsseEnvelope"]["signatures"]] == [["sig"]]
    assert "hint" in found["verificationMaterial"]["publicKey"]
