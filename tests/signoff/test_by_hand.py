"""`readiness verify --print-commands`: the script is run, with real ssh-keygen and openssl."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_readiness import cli
from tests.servers import programs
from tests.signoff.keys import Person, person, revoked_text
from tests.signoff.runs import BOTH, ROLES, SignedRun, envelope, ready, signed_run, team
from tests.signoff.spoil import DM, OPS, PM, SEC, lent

AT = ("--at", "2026-11-24T12:00:00Z")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Person]:
    return team(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def made(tmp_path: Path, people: dict[str, Person]) -> SignedRun:
    # A space and a quote: paths are quoted, or nothing works.
    return signed_run(tmp_path / "it's a run", ready(), people, BOTH)


def printed(made: SignedRun, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    words = ["verify", str(made.run), "--policy", str(made.policy), "--print-commands"]
    assert cli.main([*words, *options]) == 0
    return capsys.readouterr().out


def sh(
    script: str, folder: Path, *others: Path, shell: tuple[str, ...] = ("sh", "-e")
) -> "subprocess.CompletedProcess[str]":
    """Run the script where these programs alone are on PATH."""
    bin = folder / "bin"
    bin.mkdir(exist_ok=True)
    found = [shutil.which(name) for name in ("sh", "mkdir", "rm", "cat", "openssl", "ssh-keygen")]
    for program in (*map(Path, filter(None, found)), *others):
        (bin / program.name).unlink(missing_ok=True)
        (bin / program.name).symlink_to(program.absolute())
    (folder / "script").write_text(script)
    (folder / "tmp").mkdir(exist_ok=True)
    return subprocess.run(
        [*shell, str(folder / "script")],
        env={"PATH": str(bin), "TMPDIR": str(folder / "tmp"), "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def test_passes_and_checks_each_signature(
    made: SignedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = printed(made, capsys, *AT)
    assert script.count("ssh-keygen -Y verify") == 4
    assert script.count("openssl pkeyutl -verify") == 3
    assert script.count("openssl dgst -sha256 -verify") == 1
    assert script.count("digest '") == 8
    done = sh(script, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count('Good "') == 4
    said = "every signature is good; `readiness verify` says the rest: SIGNED OFF\n"
    assert done.stdout.endswith(said)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_moment_is_that_of_the_verification(
    made: SignedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made.lines[SEC] = made.team[SEC].line(SEC, valid_before="20261125Z")
    made.write_policy()
    made.jsonl.unlink()
    for role in ROLES:
        made.sign(role)
    assert sh(printed(made, capsys, *AT), tmp_path).returncode == 0
    late = sh(printed(made, capsys, "--at", "2026-11-26T00:00:00+01:00"), tmp_path)
    assert late.returncode != 0
    assert "expired" in late.stdout + late.stderr
    assert "verify-time" not in printed(made, capsys)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


TAMPERED: dict[str, Callable[[SignedRun], object]] = {
    "report": lambda made: flip(made.run / "report.json"),
    "statement": lambda made: flip(made.path(SEC)),
    "signature": lambda made: flip(made.signature(PM)),
    "envelope": lambda made: flip(made.jsonl),
    "another's signature": lambda made: made.signature(SEC).write_bytes(
        made.signature(PM).read_bytes()
    ),
    "allowed_signers": lambda made: made.allowed_signers.write_text(
        made.allowed_signers.read_text().replace(f"{OPS}@s", f"{DM}@s")
    ),
}


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("what", TAMPERED)
def test_fails_when_it_is_tampered(
    made: SignedRun,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    what: str,
    before: bool,
) -> None:
    if before:
        TAMPERED[what](made)
    script = printed(made, capsys, *AT)
    if not before:
        TAMPERED[what](made)
    for shell in (("sh", "-e"), ("sh",)):
        done = sh(script, tmp_path, shell=shell)
        assert done.returncode != 0
        assert "every signature is good" not in done.stdout


def test_fails_when_a_key_is_revoked(
    made: SignedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made.settings["revoked_keys"] = '"revoked"'
    revoked_text(made.policy.with_name("revoked"), made.team[SEC])
    made.write_policy()
    script = printed(made, capsys, *AT)
    assert script.count("/revoked") == 4
    assert sh(script, tmp_path).returncode != 0


def test_passes_for_statements_that_only_an_envelope_has_and_for_superseded_ones(
    tmp_path: Path, people: dict[str, Person], capsys: pytest.CaptureFixture[str]
) -> None:
    made = signed_run(tmp_path / "signed", ready(), people, roles=(DM, OPS))
    for role in (SEC, PM):
        made.sign(role, formats=("dsse",))
        made.path(role).unlink()
    made.sign(DM, signedAt="2026-11-24T10:00:00.000Z")
    made.archive(DM, "2026-11-24T10:00:00.000Z")
    made.sign(DM)
    script = printed(made, capsys, *AT)
    assert script.count("check-novalidate") == 1
    done = sh(script, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["x'; touch gone; '", "$(touch gone)", "a\ntouch gone\n", "-x"])
def test_what_a_statement_says_is_no_command(
    tmp_path: Path, people: dict[str, Person], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    made = signed_run(tmp_path / "signed", ready(), people, BOTH)

    def edit(text: dict[str, dict[str, object]]) -> None:
        text["predicate"]["principal"] = name

    made.sign(SEC, formats=BOTH, edit=edit, comment=name)
    made.path(f"{SEC}{name}").write_bytes(made.path(SEC).read_bytes())
    made.jsonl.write_bytes(made.jsonl.read_bytes() + b'{"x": "\'; touch gone; \'"}\n')
    (tmp_path / "work").mkdir()
    script = printed(made, capsys, *AT)
    (tmp_path / "script").write_text(script)
    done = subprocess.run(["sh", str(tmp_path / "script")], cwd=tmp_path, capture_output=True)
    assert done.returncode != 0
    assert not (tmp_path / "gone").exists()
    # Not even where it does not stop.
    (tmp_path / "script").write_text(script.replace("exit 1", ":").replace("set -eu", ""))
    subprocess.run(["sh", str(tmp_path / "script")], cwd=tmp_path, capture_output=True)
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("old", [True, False])
def test_fails_when_the_statement_is_another_roles(
    made: SignedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str], old: bool
) -> None:
    if old:
        made.archive(PM)
        made.jsonl.unlink()
        folder = made.run / "signoffs" / "superseded"
        for path in sorted(folder.iterdir()):
            path.rename(folder / path.name.replace(PM, SEC))
    else:
        lent(made)
    done = sh(printed(made, capsys, *AT), tmp_path)
    assert done.returncode != 0
    assert f"the statement in the file is one of {PM}" in done.stdout


def test_fails_when_good_signatures_do_not_make_a_sign_off(
    made: SignedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made.jsonl.unlink()
    for role in (SEC, PM):
        decision = "approved" if role == SEC else "rejected"
        made.sign(role, decision=decision, signedAt="2026-11-24T11:30:00.000Z")
    done = sh(printed(made, capsys, *AT), tmp_path)
    assert done.returncode == 2
    assert "NOT SIGNED OFF: rejected, open" in done.stdout


def test_fails_when_an_ssh_signature_was_taken_away(
    made: SignedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made.signature(PM).unlink()
    done = sh(printed(made, capsys, *AT), tmp_path)
    assert done.returncode == 1
    assert "its SSH signature, which the statement speaks of, is missing" in done.stdout


@pytest.mark.parametrize("wrong", ["policy", "run"])
def test_what_cannot_be_verified_is_a_script_that_fails(
    made: SignedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    run, policy = made.run, made.policy
    if wrong == "policy":
        policy.unlink()
    else:
        run = tmp_path / "it's not there"
    words = ["verify", str(run), "--policy", str(policy), "--print-commands"]
    assert cli.main(words) == 4
    told = capsys.readouterr()
    done = sh(told.out, tmp_path)
    assert done.returncode == 4
    assert done.stdout == told.err


def test_an_envelope_is_not_obeyed_by_the_terminal(
    made: SignedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = made.jsonl.read_text().splitlines()
    shown = [line.replace("{", '{"x": "\u202e\x9b2J", ', 1) for line in lines]
    made.jsonl.write_text("\n".join(shown) + "\n", encoding="utf-8")
    script = printed(made, capsys, *AT)
    assert not {"\u202e", "\x9b"} & set(script)
    done = sh(script, tmp_path)
    assert done.returncode != 0
    assert "an envelope has signs that a terminal obeys" in done.stdout


def test_passes_when_the_lines_end_as_on_windows(
    made: SignedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made.jsonl.write_bytes(made.jsonl.read_bytes().replace(b"\n", b"\r\n"))
    (tmp_path / "printed").write_bytes(printed(made, capsys, *AT).encode())
    assert sh((tmp_path / "printed").read_bytes().decode(), tmp_path).returncode == 0


def test_fails_when_nobody_has_signed(
    tmp_path: Path, people: dict[str, Person], capsys: pytest.CaptureFixture[str]
) -> None:
    made = signed_run(tmp_path / "signed", ready(), people, roles=())
    done = sh(printed(made, capsys, *AT), tmp_path)
    assert done.returncode != 0
    assert "nobody has signed" in done.stdout


def test_fails_when_an_envelope_has_two_signatures(
    made: SignedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = made.path(SEC).read_bytes()
    with made.jsonl.open("ab") as file:
        file.write(envelope(data, made.team[SEC], made.team[PM]))
    assert sh(printed(made, capsys, *AT), tmp_path).returncode != 0


def test_fails_when_the_key_is_another_ones(
    made: SignedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made.dsse_keys[f"{PM}@example.org"] = person(tmp_path, "stranger@example.org")
    made.write_policy()
    assert sh(printed(made, capsys, *AT), tmp_path).returncode != 0


def test_passes_with_cosign_too(
    made: SignedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cosign,) = programs.need("cosign")
    done = sh(printed(made, capsys, *AT), tmp_path, cosign)
    assert (done.returncode, done.stderr.count("Verified OK")) == (0, 4)
