"""Declarations that people sign, by the real ssh-keygen: written, read, refused."""

import io
import json
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pytest_readiness import cli
from pytest_readiness.clock import now
from pytest_readiness.people import declaration_file
from pytest_readiness.people.declaration_file import Row
from pytest_readiness.people.facts import Declaration
from pytest_readiness.signoff import policy
from tests.signoff.keys import Person, keygen, person

ROLE = "operations-lead"
WHO = "ops@example.org"
INI = """[readiness]
system = s
environment = e
phase = verification
release = 2.4.1
signoff = signoff.toml
"""
POLICY = f"""allowed_signers = "allowed_signers"
required_roles = ["{ROLE}"]
require_signed_declarations = "blocker"
[roles]
{ROLE} = ["{WHO}"]
security-lead = ["sec@example.org"]
"""
# Where no policy is known yet, a word is written and not refused.
UNJUDGED = ("--readiness-ini", "none.ini", "--release", "2.4.1")


@pytest.fixture
def ops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    (tmp_path / "readiness.ini").write_text(INI, encoding="utf-8")
    (tmp_path / "signoff.toml").write_text(POLICY, encoding="utf-8")
    who = person(tmp_path, WHO)
    (tmp_path / "allowed_signers").write_text(f"{who.line(ROLE)}\n", encoding="utf-8")
    return who


def declare(key: Path, *words: str) -> int:
    said = ["--statement", "Who is on call answers: naïve “text”.", "--by", WHO, *words]
    return cli.main(["declare", "team-oncall", *said, "--sign", "--key", str(key)])


def read(at: datetime | None = None) -> Declaration:
    rules = policy.load(Path("signoff.toml"))
    [found] = declaration_file.read(Path("declarations.toml"), rules, at or now()).items
    return found


def edit(old: str, new: str) -> None:
    path = Path("declarations.toml")
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_passes_when_the_person_of_the_role_signs(
    ops: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    assert declare(ops.key) == 0
    assert "it counts until" in capsys.readouterr().out
    found = read()
    assert (found.signed, found.known, found.signature_problem) == (True, True, None)


def test_passes_when_ssh_keygen_verifies_what_the_documentation_says(
    ops: Person, tmp_path: Path
) -> None:
    declare(ops.key)
    [said] = tomllib.loads(Path("declarations.toml").read_text(encoding="utf-8"))["declaration"]
    signature = tmp_path / "declaration.sig"
    signature.write_text(said.pop("signature"), encoding="utf-8")
    fields = {key: f"{value}" for key, value in said.items()}
    data = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    names: list[str | Path] = ["-I", WHO, "-n", f"{ROLE}@signoff.readiness", "-s", signature]
    keygen("-Y", "verify", "-f", "allowed_signers", *names, stdin=data.encode())


def test_passes_when_an_editor_writes_other_line_ends_and_order(ops: Person) -> None:
    declare(ops.key)
    path = Path("declarations.toml")
    path.write_bytes(b"# ours\n\n" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read().signed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("answers", "answered"),
        ('"2.4.1"', '"2.4.2"'),
        ("team-oncall", "team-channel"),
        ("expires = ", "expires = 2030-01-01 # "),
        ("date = ", "date = 2026-11-01 # "),
        ("date = ", 'evidence = "https://example.org"\ndate = '),
    ],
)
def test_fails_and_names_what_was_changed_since(ops: Person, old: str, new: str) -> None:
    declare(ops.key)
    edit(old, new)
    found = read()
    assert not found.signed
    assert found.signature_problem is not None
    assert found.signature_problem.startswith("its signature is not good: the signature by SHA256:")


def test_fails_and_names_another_persons_key(ops: Person, tmp_path: Path) -> None:
    other = person(tmp_path, "sec@example.org")
    assert declare(other.key) == 4
    assert not Path("declarations.toml").exists()
    declare(other.key, "--role", ROLE, *UNJUDGED)
    found = read()
    assert (found.signed, found.known) == (False, True)
    assert found.signature_problem is not None
    assert f"for {WHO}" in found.signature_problem


def test_fails_and_names_a_role_that_the_key_may_not_sign_for(ops: Person) -> None:
    declare(ops.key, "--role", "security-lead", *UNJUDGED)
    found = read()
    assert (found.signed, found.known) == (False, False)
    assert "does not let ops@example.org sign" in (found.signature_problem or "")


def test_fails_and_names_a_key_that_has_expired_since(ops: Person, tmp_path: Path) -> None:
    declare(ops.key)
    line = ops.line(ROLE, valid_before="20300101Z")
    (tmp_path / "allowed_signers").write_text(f"{line}\n", encoding="utf-8")
    assert read(datetime(2029, 12, 31, tzinfo=UTC)).signed
    late = read(datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=1))
    assert not late.signed
    assert "not at 2030-01-01T00:00:01" in (late.signature_problem or "")


def test_fails_and_names_what_is_no_signature(ops: Person) -> None:
    declare(ops.key)
    edit("BEGIN SSH SIGNATURE", "BEGIN SIGNATURE")
    assert "cannot be read as an SSHSIG" in (read().signature_problem or "")


def test_passes_when_the_agent_is_asked_only_for_known_keys(
    ops: Person, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "allowed_signers").write_text("# nobody\n", encoding="utf-8")
    assert cli.main(["declare", "team-oncall", "--statement", "x", "--by", WHO, "--sign"]) == 4
    assert f"no policy has a key of {WHO} for {ROLE}@signoff.readiness" in capsys.readouterr().err
    assert not Path("declarations.toml").exists()


def test_passes_when_signed_bytes_leave_out_what_is_absent() -> None:
    row = Row(
        item="x", statement="é\n", by="b", role="r", date="2026-11-20", release="1", signature="s"
    )
    assert declaration_file.signed_bytes(row).decode() == (
        '{"by":"b","date":"2026-11-20","item":"x","release":"1","role":"r","statement":"é\\n"}'
    )
