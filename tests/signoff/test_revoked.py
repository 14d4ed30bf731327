"""Revoked keys, as ssh-keygen writes them and as people do."""

import subprocess
from pathlib import Path

import pytest

from pytest_readiness.errors import SettingsError
from pytest_readiness.signoff.ssh import revoked, sshsig
from tests.signoff.asked import string
from tests.signoff.keys import Person, certificate, person, revocation_list, revoked_text


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> list[Person]:
    folder = tmp_path_factory.mktemp("keys")
    return [
        person(folder, "a@example.org"),
        person(folder, "b@example.org", "ecdsa"),
        person(folder, "c@example.org", "rsa"),
    ]


def revokes(path: Path, one: Person) -> bool:
    answer = revoked.read(path).holds(sshsig.public_blob(one.key))
    asked = ["ssh-keygen", "-Q", "-f", str(path), f"{one.key}.pub"]
    ended = subprocess.run(asked, capture_output=True, check=False)
    assert answer is (ended.returncode != 0), ended.stdout
    return answer


@pytest.mark.parametrize("word", ["key", "sha1", "sha256"])
def test_passes_when_a_krl_holds_what_ssh_keygen_finds_in_it(
    word: str, people: list[Person], tmp_path: Path
) -> None:
    spec = "".join(f"{word}: {one.public}\n" for one in people[:2])
    krl = revocation_list(tmp_path / "krl", spec=spec)
    assert [revokes(krl, one) for one in people] == [True, True, False]
    assert not revoked.read(krl).certificates


def test_passes_when_a_krl_revokes_keys_and_certificates(
    people: list[Person], tmp_path: Path
) -> None:
    first, second, ca = people
    spec = f"serial: 1-5\nid: someone\nkey: {second.public}\n"
    krl = revocation_list(tmp_path / "krl", spec=spec, ca=ca)
    assert [revokes(krl, one) for one in people] == [False, True, False]
    assert revoked.read(krl).certificates
    certified = certificate(ca, first, "a@example.org", serial=3)
    by_serial = revocation_list(tmp_path / "serial", certified, ca=ca)
    assert revoked.read(by_serial).certificates


def test_passes_when_the_list_is_text(people: list[Person], tmp_path: Path) -> None:
    path = revoked_text(tmp_path / "revoked", *people[:2])
    path.write_text(f"# left\n\n{path.read_text()}".replace("\n", "\r\n"))
    held = revoked.read(path)
    assert [held.holds(sshsig.public_blob(one.key)) for one in people] == [True, True, False]
    assert (held.sha1, held.sha256, held.path) == (frozenset(), frozenset(), path)


def test_passes_when_nothing_is_revoked(people: list[Person], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("")
    krl = revocation_list(tmp_path / "krl", empty)
    for path in (empty, krl):
        assert not revoked.read(path).holds(sshsig.public_blob(people[0].key))


def test_fails_and_names_a_line_that_is_no_key(people: list[Person], tmp_path: Path) -> None:
    path = revoked_text(tmp_path / "revoked", people[0])
    path.write_text(f"{path.read_text()}a@example.org {people[1].public}\nssh-ed25519 AAAA\n")
    with pytest.raises(SettingsError) as error:
        revoked.read(path)
    assert [problem.split(": ")[0] for problem in error.value.problems] == [
        "revoked:2",
        "revoked:3",
    ]


def test_fails_and_names_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^krl: it cannot be read: No such file"):
        revoked.read(tmp_path / "krl")


def test_fails_and_names_a_certificate_in_a_list(people: list[Person], tmp_path: Path) -> None:
    path = tmp_path / "revoked"
    path.write_bytes(certificate(people[0], people[1], "a@example.org").read_bytes())
    with pytest.raises(SettingsError, match=r"^revoked:1: it is a certificate: write its key"):
        revoked.read(path)


def test_fails_when_a_key_would_be_lost_behind_an_old_line_end(
    people: list[Person], tmp_path: Path
) -> None:
    path = tmp_path / "revoked"
    path.write_bytes("\r".join(one.public for one in people).encode())
    with pytest.raises(SettingsError, match=r"^revoked:1: it has line ends of an old kind"):
        revoked.read(path)
    path.write_bytes("".join(f"{one.public}\r\n" for one in people).encode())
    assert len(revoked.read(path).keys) == len(people)


def test_a_large_krl_is_read_in_one_pass(tmp_path: Path) -> None:
    """It would take hours if each key copied the rest of the file."""
    path = tmp_path / "krl"
    digests = b"".join(string(number.to_bytes(32, "big")) for number in range(300_000))
    path.write_bytes(HEADER + b"\x05" + string(digests))
    assert len(revoked.read(path).sha256) == 300_000


HEADER = b"SSHKRL\n\0" + (1).to_bytes(4, "big") + bytes(24) + bytes(4) + bytes(4)


def extension(critical: int) -> bytes:
    return b"\xff" + string(string(b"x@example.org") + bytes([critical]) + string(b"content"))


def test_passes_when_an_unknown_extension_may_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "krl"
    path.write_bytes(HEADER + extension(0))
    assert revoked.read(path).keys == frozenset()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (HEADER + extension(1), "critical extension 'x@example.org', which is not known"),
        (HEADER + b"\x07" + string(b"x"), "section of the unknown type 7"),
        (HEADER + b"\x04" + string(b"key") + string(b"sig"), "it has a signature"),
        (HEADER.replace(b"\0\0\0\x01", b"\0\0\0\x02", 1), "its format is 2, not 1"),
        (HEADER[:-1], "it is cut short"),
        (HEADER + b"\x02", "it is cut short"),
        (HEADER + b"\x02" + string(string(b"not a key")[:-1]), "it is cut short"),
        (HEADER + b"\x02" + string(string(b"")), "it is cut short"),
        (HEADER + b"\x03" + string(string(bytes(19))), "a digest that is not 20 bytes"),
        (HEADER + b"\x05" + string(string(bytes(20))), "a digest that is not 32 bytes"),
    ],
)
def test_fails_and_names_a_krl_that_is_not_read_in_full(
    data: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "krl"
    path.write_bytes(data)
    with pytest.raises(SettingsError, match=f"^krl: the KRL cannot be used: .*{message}"):
        revoked.read(path)


def test_fails_and_names_every_cut_of_a_krl(people: list[Person], tmp_path: Path) -> None:
    whole = revocation_list(tmp_path / "whole", Path(f"{people[0].key}.pub")).read_bytes()
    path = tmp_path / "krl"
    for size in range(len(HEADER) + 1, len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(SettingsError, match="it is cut short"):
            revoked.read(path)
