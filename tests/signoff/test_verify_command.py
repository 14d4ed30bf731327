"""`readiness verify` as a person meets it: what it prints, its exit codes, usage errors."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from pytest_readiness import cli
from pytest_readiness.signoff import policy
from pytest_readiness.signoff.verify import verify
from tests.signoff.keys import Person
from tests.signoff.runs import AT, ROLES, SignedRun, ready, signed_run, team, unsigned_run
from tests.signoff.spoil import DM, OPS, PM, SEC


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Person]:
    return team(tmp_path_factory.mktemp("keys"))


def command(made: SignedRun, *options: str, at: str = "2026-11-24T12:00:00Z") -> int:
    return cli.main(["verify", str(made.run), "--policy", str(made.policy), "--at", at, *options])


def test_prints_the_answer_first_and_what_to_do(
    tmp_path: Path, people: dict[str, Person], capsys: pytest.CaptureFixture[str]
) -> None:
    made = signed_run(tmp_path, ready(), people)
    assert command(made) == 0
    out = capsys.readouterr().out
    sha256 = hashlib.sha256((made.run / "report.json").read_bytes()).hexdigest()
    assert out.startswith("SIGNED OFF\n")
    assert sha256 in out
    assert out.count("signed by") == 4
    made.signature(SEC).unlink()
    made.path(SEC).unlink()
    assert command(made) == 2
    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith("NOT SIGNED OFF (exit code 2)")
    assert f"{SEC} open" in out
    assert f"open: {SEC}: nobody has signed. To do: a person of the role signs" in out


@pytest.mark.parametrize("option", ["--json", "--print-commands"])
def test_a_policy_of_the_run_directory_is_refused(
    tmp_path: Path,
    people: dict[str, Person],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    option: str,
) -> None:
    made = signed_run(tmp_path, ready(), people)
    for path in made.policy.parent.iterdir():
        (made.run / path.name).symlink_to(path)
    monkeypatch.chdir(made.run)
    assert cli.main(["verify", ".", "--at", AT.isoformat(), option]) == 4
    assert "signoff.toml: it lies in the run directory" in capsys.readouterr().err
    made.allowed_signers.rename(made.run / "mine")
    made.allowed_signers.symlink_to(made.run / "mine")
    assert command(made, option) == 4
    assert "allowed_signers: it lies in the run directory" in capsys.readouterr().err


def test_a_tampered_report_is_told_once_for_all_roles(
    tmp_path: Path, people: dict[str, Person], capsys: pytest.CaptureFixture[str]
) -> None:
    made = signed_run(tmp_path, ready(), people)
    (made.run / "report.json").write_bytes((made.run / "report.json").read_bytes() + b"\n")
    assert command(made) == 3
    out = capsys.readouterr().out
    assert out.count("tampered-report:") == 1
    assert "open:" not in out
    assert all(f"{role}@example.org" in out for role in ROLES)


def test_what_a_statement_says_is_not_obeyed_by_the_terminal(
    tmp_path: Path, people: dict[str, Person], capsys: pytest.CaptureFixture[str]
) -> None:
    made = signed_run(tmp_path, ready(), people)
    made.sign(SEC, comment="\x1b[2J\rSIGNED OFF", decision="rejected")
    assert command(made) == 2
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\r" not in out


def test_prints_json(
    tmp_path: Path, people: dict[str, Person], capsys: pytest.CaptureFixture[str]
) -> None:
    made = signed_run(tmp_path, ready(), people, roles=(DM, OPS, PM))
    assert command(made, "--json") == 2
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(
        msgspec.json.encode(verify(made.run, policy.load(made.policy), AT))
    )
    assert printed["refusals"] == [
        {"cause": "open", "role": SEC, "principal": None, "why": "nobody has signed"}
    ]


@pytest.mark.parametrize(
    "at", ["2026-11-24T12:00:00", "yesterday", "2026-13-01", "0001-01-01T00:00:00+14:00"]
)
def test_usage_a_moment_without_zone_is_none(
    tmp_path: Path, people: dict[str, Person], at: str
) -> None:
    made = unsigned_run(tmp_path, ready(), people)
    with pytest.raises(SystemExit) as ended:
        command(made, at=at)
    assert ended.value.code == 4


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-24"])
def test_fails_at_any_moment_that_can_be_written(
    tmp_path: Path, people: dict[str, Person], at: str
) -> None:
    made = signed_run(tmp_path, ready(), people)
    assert command(made, at=at) in (1, 3)


@pytest.mark.parametrize("name", ["run/report.json", "policy/signoff.toml"])
def test_usage_when_a_file_is_missing(
    tmp_path: Path, people: dict[str, Person], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = unsigned_run(tmp_path, ready(), people)
    (tmp_path / name).unlink()
    assert command(made) == 4
    assert Path(name).name in capsys.readouterr().err


def test_usage_when_the_policy_has_an_error(
    tmp_path: Path, people: dict[str, Person], capsys: pytest.CaptureFixture[str]
) -> None:
    made = unsigned_run(tmp_path, ready(), people)
    made.policy.write_text("allow_labs = true\n" + made.policy.read_text())
    assert command(made) == 4
    assert "allow_labs" in capsys.readouterr().err


def test_the_command_runs_as_a_process_now(tmp_path: Path, people: dict[str, Person]) -> None:
    made = signed_run(tmp_path, ready(), people)
    program = [sys.executable, "-m", "pytest_readiness.cli", "verify", str(made.run)]
    done = subprocess.run(
        [*program, "--policy", str(made.policy), "--at", "2026-11-24T12:00:00+00:00"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
