"""allowed_signers, read as ssh-keygen reads it; refused where it would pass over a line."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_readiness.errors import SettingsError
from pytest_readiness.signoff.ssh import signers, sshsig
from tests.signoff.keys import Person, allowed_signers, certificate, person


@pytest.fixture(scope="module")
def sec(tmp_path_factory: pytest.TempPathFactory) -> Person:
    return person(tmp_path_factory.mktemp("keys"), "sec@example.org")


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "allowed_signers"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def only(folder: Path, text: str) -> signers.Line:
    (line,) = signers.read(written(folder, text))
    return line


def test_passes_when_a_line_has_every_option(sec: Person, tmp_path: Path) -> None:
    text = (
        'a@example.org,!b@* cert-authority,NameSpaces="a b,c",valid-after="20260101Z",'
        f'valid-before="20270101123456Z" {sec.public} a comment'
    )
    line = only(tmp_path, f"# first\n\n \t# second\n{text}\n")
    assert line.principals == ("a@example.org", "!b@*")
    assert line.namespaces == ("a b", "c")
    assert line.valid_after == datetime(2026, 1, 1, tzinfo=UTC)
    assert line.valid_before == datetime(2027, 1, 1, 12, 34, 56, tzinfo=UTC)
    assert line.cert_authority
    assert line.key == sshsig.public_blob(sec.key)
    assert line.number == 4
    assert line.text == text.encode()


def test_passes_when_a_line_has_no_option(sec: Person, tmp_path: Path) -> None:
    line = only(tmp_path, f"\t sec@example.org\t {sec.public}")
    assert (line.namespaces, line.valid_after, line.valid_before) == (None, None, None)
    assert not line.cert_authority
    assert line.allows("anything")


def test_passes_when_the_digest_is_of_the_line_without_its_end(sec: Person, tmp_path: Path) -> None:
    texts = [f"sec@example.org {sec.public}{end}" for end in ("", "\n", "\r\n")]
    assert len({only(tmp_path, text).sha256 for text in texts}) == 1
    assert only(tmp_path, f"{texts[0]} ").sha256 != only(tmp_path, texts[0]).sha256


def test_passes_when_the_file_is_empty(tmp_path: Path) -> None:
    assert signers.read(written(tmp_path, "# nobody yet\n")) == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("namespace=", "options namespace= are not written as"),
        ('namespace="a"', "option namespace is none of cert-authority, namespaces"),
        ("cert-authorty", "option cert-authorty is none of"),
        ("no-touch-required", "option no-touch-required is none of"),
        ("cert-authority,", "options cert-authority, are not written"),
        (",cert-authority", "options ,cert-authority are not written"),
        ('cert-authority="yes"', "option cert-authority is written cert-authority"),
        ("namespaces", 'option namespaces is written namespaces="..."'),
        ("namespaces=a", "not written as name="),
        ('namespaces="a"b', "not written as name="),
        (r'namespaces="a\"', "not written as name="),
        ('namespaces="a",namespaces="b"', "option namespaces twice"),
        ('valid-before="20270101"', r"valid-before is written YYYYMMDDZ, .*\(UTC\)"),
        ('valid-after="2027-01-01Z"', "valid-after is written YYYYMMDDZ"),
        ('valid-after="20270101UTC"', "valid-after is written YYYYMMDDZ"),
        ('valid-after=""', "valid-after is written YYYYMMDDZ"),
        ('valid-before="20270230Z"', "there is no time 20270230Z"),
        ('valid-after="20270101Z",valid-before="20270101Z"', "valid-before is not later"),
    ],
)
def test_fails_and_names_the_option(
    options: str, message: str, sec: Person, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=f"^allowed_signers:1: .*{message}"):
        only(tmp_path, f"sec@example.org {options} {sec.public}")


def test_fails_and_names_each_line_that_cannot_be_read(sec: Person, tmp_path: Path) -> None:
    kind, key = sec.public.split()
    texts = [
        f"sec@example.org {sec.public}",
        "sec@example.org",
        f"sec@example.org {kind} {key[:-4]}",
        f"sec@example.org ssh-rsa {key}",
        f"sec@example.org {kind} {key}=",
        f"sec@example.org {kind}",
        f"{kind} {key}",
        f'"sec@example.org {kind} {key}',
        f'sec@"example".org {kind} {key}',
        f"\ufeffsec@example.org {kind} {key}",
        f"sec@example.org {kind}\u00a0{key}",
        f"sec@example.org cert-authority {kind}",
    ]
    with pytest.raises(SettingsError) as error:
        signers.read(written(tmp_path, "\n".join(texts)))
    numbers = [int(problem.split(":")[1]) for problem in error.value.problems]
    assert numbers == list(range(2, len(texts) + 1))


def test_fails_and_names_bytes_that_are_no_text(sec: Person, tmp_path: Path) -> None:
    for bad in (b"\xff@example.org", b"sec\0@example.org"):
        with pytest.raises(SettingsError, match=r"^allowed_signers:1: a text in it"):
            signers.read(written(tmp_path, bad + b" " + sec.public.encode()))


def test_fails_and_names_a_certificate_in_place_of_a_key(sec: Person, tmp_path: Path) -> None:
    ca = person(tmp_path, "ca@example.org")
    text = certificate(ca, sec, "sec@example.org").read_text()
    with pytest.raises(SettingsError, match="write the key of its CA, with the option cert-auth"):
        only(tmp_path, f"sec@example.org {text}")


def test_fails_and_names_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^allowed_signers: it cannot be read: No such file"):
        signers.read(tmp_path / "allowed_signers")


_PATTERNS = [
    "sec@example.org",
    "*",
    "",
    "!*",
    "*,!sec@example.org",
    "!sec@*,*",
    "!pm@*,*@example.org",
    "!pm@example.org",
    "sec@example.or?",
    "?ec@*.org",
    "s**g",
    "s*c@*e*g",
    "sec@example.org?",
    "SEC@example.org",
    "sec@example[.]org",
    "pm@example.org,sec@example.org",
    "pm@example.org, sec@example.org",
    "!!sec@example.org",
    ",,sec@example.org",
    "sec.example.org",
    "?????????????",
    "s?curit?@*",
    "sécurité@*",
    "s??curit??@*",
]


@pytest.mark.parametrize("name", ["sec@example.org", "sécurité@example.org"])
def test_passes_when_patterns_match_what_ssh_keygen_matches(
    name: str, sec: Person, tmp_path: Path
) -> None:
    for pattern in _PATTERNS:
        path = allowed_signers(tmp_path, [f'* namespaces="{pattern}" {sec.public}'])
        (line,) = signers.read(path)
        data, signature = tmp_path / "data", tmp_path / "data.sig"
        data.write_bytes(b"x")
        signature.unlink(missing_ok=True)
        subprocess.run(
            ["ssh-keygen", "-q", "-Y", "sign", "-f", sec.key, "-n", name, data], check=True
        )
        command = ["ssh-keygen", "-Y", "verify", "-f", str(path), "-I", "x", "-n", name]
        ended = subprocess.run(
            [*command, "-s", str(signature)], input=b"x", capture_output=True, check=False
        )
        assert line.allows(name) is (ended.returncode == 0), pattern


@pytest.mark.parametrize(
    ("principals", "names"),
    [
        ('"sec@example.org"', True),
        ("*@example.org", True),
        ("!sec@example.org,*", False),
        ("*,!sec@example.org", False),
        ("pm@example.org", False),
    ],
)
def test_passes_when_the_principals_are_a_pattern_list(
    principals: str, names: bool, sec: Person, tmp_path: Path
) -> None:
    assert only(tmp_path, f"{principals} {sec.public}").names("sec@example.org") is names


def test_passes_when_the_line_holds_from_its_first_to_its_last_second(
    sec: Person, tmp_path: Path
) -> None:
    options = 'valid-after="20260101Z",valid-before="202601020000Z"'
    line = only(tmp_path, f"sec@example.org {options} {sec.public}")
    first, last = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    assert line.valid(first)
    assert line.valid(last)
    assert not line.valid(first.replace(year=2025))
    assert not line.valid(last.replace(microsecond=1))
