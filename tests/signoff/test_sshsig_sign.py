"""Signing by ssh-keygen: with a key, a passphrase, an agent, and without what it needs."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_readiness.errors import ReadinessError
from pytest_readiness.signoff.ssh import signers, sshsig
from tests.signoff.asked import (
    DATA,
    KINDS,
    NAMESPACE,
    WHO,
    Asked,
    accepted_by_ssh_keygen,
    signer_of,
    verified,
)
from tests.signoff.keys import agent, asking, person


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="rd-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_passes_when_a_private_key_signs(kind: str, tmp_path: Path) -> None:
    signer = signer_of(tmp_path, kind)
    armored = sshsig.sign(DATA, NAMESPACE, signer.key, ())
    asked = Asked(armored, [signer.line()])
    assert isinstance(verified(tmp_path, asked), signers.Line)
    assert accepted_by_ssh_keygen(tmp_path, asked)


def test_passes_when_the_passphrase_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = person(tmp_path, WHO, passphrase="correct horse")
    for name, value in asking(tmp_path, "correct horse").items():
        monkeypatch.setenv(name, value)
    armored = sshsig.sign(DATA, NAMESPACE, one.key, ())
    assert sshsig.check(DATA, armored, NAMESPACE).key.blob == sshsig.public_blob(one.key)
    one.key.with_name(f"{one.key.name}.pub").unlink()
    assert sshsig.public_blob(one.key) == sshsig.parse(armored).key.blob


def test_fails_and_names_the_key_when_the_passphrase_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = person(tmp_path, WHO, passphrase="correct horse")
    for name, value in asking(tmp_path, "wrong").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ReadinessError, match=r"did not sign with .*sec; .*passphrase"):
        sshsig.sign(DATA, NAMESPACE, one.key, ())


def test_passes_when_the_agent_signs(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = person(short_folder, "a@example.org"), person(short_folder, "b@example.org")
    third = person(short_folder, "c@example.org")
    blobs = [sshsig.public_blob(one.key) for one in (first, second, third)]
    with agent(short_folder, second, third) as found:
        for name, value in found.items():
            monkeypatch.setenv(name, value)
        for one in (first, second, third):
            one.key.unlink()
        assert sshsig.parse(sshsig.sign(DATA, NAMESPACE, None, blobs)).key.blob == blobs[1]
        public = third.key.with_name("c.pub")
        assert sshsig.parse(sshsig.sign(DATA, NAMESPACE, public, ())).key.blob == blobs[2]
        with pytest.raises(ReadinessError, match="the agent has none of the keys"):
            sshsig.sign(DATA, NAMESPACE, None, blobs[:1])
        with pytest.raises(ReadinessError, match="must be in the agent"):
            sshsig.sign(DATA, NAMESPACE, first.key.with_name("a.pub"), ())


def test_fails_and_names_an_agent_that_has_nothing(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with agent(short_folder) as found:
        monkeypatch.setenv("SSH_AUTH_SOCK", found["SSH_AUTH_SOCK"])
        with pytest.raises(ReadinessError, match=r"no identities.*--key PATH"):
            sshsig.sign(DATA, NAMESPACE, None, [b"x"])
    with pytest.raises(ReadinessError, match=r"the agent has no key: .*--key PATH"):
        sshsig.sign(DATA, NAMESPACE, None, [b"x"])


def test_fails_and_names_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = tmp_path / "id_absent"
    words = "id_absent cannot be read: No such file"
    with pytest.raises(ReadinessError, match=words):
        sshsig.sign(DATA, NAMESPACE, absent, ())
    with pytest.raises(ReadinessError, match=words):
        sshsig.public_blob(absent)
    no_key = tmp_path / "no.pub"
    no_key.write_text("this is no key\n")
    with pytest.raises(ReadinessError, match=r"no\.pub"):
        sshsig.public_blob(no_key)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(ReadinessError, match="ssh-keygen is not on this machine: install"):
        sshsig.sign(DATA, NAMESPACE, no_key, ())
