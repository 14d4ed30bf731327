"""A run directory made by an enemy: each file is refused by name, and none raises or hangs."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_readiness import cli
from pytest_readiness.clock import now
from pytest_readiness.errors import ReadinessError
from pytest_readiness.report.write import render_files
from pytest_readiness.results import model
from pytest_readiness.signoff import attest, files, policy, report_state, request, state
from pytest_readiness.signoff.refusals import Cause, Refused
from pytest_readiness.signoff.statement import Decision
from pytest_readiness.signoff.verify import Verification, verify, verify_bytes
from tests.signoff import desk
from tests.signoff.keys import Person
from tests.signoff.runs import AT, BOTH, ROLES, SignedRun, ready, signed_run, team
from tests.signoff.spoil import PM, SEC

NAME_MAX = 255  # bytes of a file's name, on every file system of Linux and macOS


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Person]:
    return team(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def made(tmp_path: Path, people: dict[str, Person]) -> SignedRun:
    return signed_run(tmp_path, ready(), people, BOTH)


def answer(made: SignedRun) -> Verification:
    return verify(made.run, policy.load(made.policy), AT)


def signoffs(made: SignedRun, *names: str) -> Path:
    path = made.run.joinpath("signoffs", *names)
    path.parent.mkdir(exist_ok=True)
    return path


def longest(ending: str) -> str:
    return "x" * (NAME_MAX - len(ending)) + ending


def sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def gone(path: Path) -> Path:
    path.unlink()
    return path


def nested(made: SignedRun) -> None:
    path = made.run / "report.json"
    path.write_bytes(path.read_bytes()[:-2] + b',"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}")


Spoil = Callable[[SignedRun], Any]
BAD, MALFORMED = Cause.BAD_SIGNATURE, Cause.MALFORMED_STATEMENT
SPOILT: dict[str, tuple[Cause, Spoil]] = {
    # The role of these is empty, which is no role and no "none" either.
    "hidden statement": (MALFORMED, lambda made: signoffs(made, ".statement.json").write_text("")),
    "hidden signature": (BAD, lambda made: signoffs(made, ".x.sig").write_text("")),
    "hidden superseded": (
        MALFORMED,
        lambda made: signoffs(made, "superseded", ".x.statement.json").write_text(""),
    ),
    "hidden envelope": (
        BAD,
        lambda made: signoffs(made, "superseded", ".x.dsse.json").write_text(""),
    ),
    "superseded a file": (BAD, lambda made: signoffs(made, "superseded").write_text("")),
    "superseded a loop": (BAD, lambda made: signoffs(made, "superseded").symlink_to("superseded")),
    "superseded nowhere": (BAD, lambda made: signoffs(made, "superseded").symlink_to("gone")),
    "long statement": (
        MALFORMED,
        lambda made: signoffs(made, longest(".statement.json")).write_text(""),
    ),
    "long envelope": (
        BAD,
        lambda made: signoffs(made, "superseded", longest(".dsse.json")).write_text(""),
    ),
    "no UTF-8 in a name": (
        MALFORMED,
        lambda made: signoffs(made, os.fsdecode(b"\xff\x1b[2J.statement.json")).write_text(""),
    ),
    "huge statement": (
        BAD,
        lambda made: sparse(signoffs(made, "x.statement.json"), files.SMALL + 1),
    ),
    "huge lines": (BAD, lambda made: sparse(made.jsonl, files.SMALL + 1)),
    "pipe for lines": (BAD, lambda made: os.mkfifo(gone(made.jsonl))),
    "folder for a signature": (
        BAD,
        lambda made: gone(made.signature(SEC)).mkdir(),
    ),
    "link for lines": (BAD, lambda made: gone(made.jsonl).symlink_to("gone")),
    "nested report": (Cause.TAMPERED_REPORT, nested),
}


@pytest.mark.parametrize("name", SPOILT)
def test_fails_and_names_what_a_run_directory_has(
    made: SignedRun, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cause, spoil = SPOILT[name]
    try:
        spoil(made)
    except OSError as error:
        pytest.skip(f"this file system has no such name: {error}")
    found = answer(made)
    assert cause in {one.cause for one in found.refusals}, found.refusals
    assert found.exit_code == 3
    words = ["verify", str(made.run), "--policy", str(made.policy), "--at", AT.isoformat()]
    for option in ([], ["--json"], ["--print-commands"]):
        assert cli.main([*words, *option]) == (0 if option == ["--print-commands"] else 3)
        assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name in SPOILT if name != "nested report"])
def test_passes_when_the_pages_of_it_are_written(made: SignedRun, name: str) -> None:
    try:
        SPOILT[name][1](made)
    except OSError as error:
        pytest.skip(f"this file system has no such name: {error}")
    assert all(page.is_file() for page in render_files(made.run))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (os.mkfifo, "it is not a file"),
        (Path.mkdir, "Is a directory"),
        (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
        (lambda path: sparse(path, files.REPORT + 1), "it is larger than"),
        (lambda path: None, "No such file"),
    ],
)
@pytest.mark.parametrize("what", ["run/report.json", "policy/signoff.toml"])
def test_fails_and_names_a_report_or_policy_that_is_no_file(
    made: SignedRun,
    what: str,
    spoil: Callable[[Path], Any],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = made.folder / what
    path.unlink()
    spoil(path)
    assert cli.main(["verify", str(made.run), "--policy", str(made.policy)]) == 4
    assert words in capsys.readouterr().err
    assert cli.main(["sign", str(made.run), "--policy", str(made.policy), "--role", SEC]) == 4
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("name", ["signoffs", "signoffs/superseded", "run/report.json"])
def test_fails_and_names_what_may_not_be_read(
    made: SignedRun, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing here depends on who runs it: root may read all."""

    def denied(real: Callable[..., Any]) -> Callable[..., Any]:
        def asked(path: Any, *arguments: Any, **options: Any) -> Any:
            if str(path).endswith(name):
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, *arguments, **options)

        return asked

    monkeypatch.setattr(os, "listdir", denied(os.listdir))
    monkeypatch.setattr(os, "open", denied(os.open))
    if name == "run/report.json":
        with pytest.raises(
            ReadinessError, match=r"report\.json: cannot be read: Permission denied"
        ):
            answer(made)
        return
    found = answer(made)
    assert found.exit_code == 3
    assert f"{name} cannot be read: Permission denied" in {one.why for one in found.refusals}


def test_fails_and_names_temporary_files_that_cannot_be_written(
    made: SignedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    found = answer(made)
    assert found.exit_code == 3
    assert any("temporary files cannot be written: No such file" in r.why for r in found.refusals)


def test_what_a_report_says_is_not_obeyed_by_the_terminal(made: SignedRun) -> None:
    path = made.run / "report.json"
    path.write_bytes(path.read_bytes().replace(b'"pass"', b'"\\u001b[2J\\nSIGNED OFF"'))
    with pytest.raises(Refused) as caught:
        report_state.decode(path.read_bytes())
    assert str(caught.value).isprintable()


class TestReadOnce:
    """report.json is replaced, by one that is not ready, as soon as it was read."""

    @pytest.fixture
    def replaced(self, made: SignedRun, monkeypatch: pytest.MonkeyPatch) -> bytes:
        path = made.run / "report.json"
        first = path.read_bytes()
        other = msgspec.structs.replace(made.report, verdict=desk.NOT_READY)
        real = files.read

        def reading(which: Path, *arguments: Any) -> bytes:
            data = real(which, *arguments)
            if which == path:
                path.write_bytes(model.encode(other))
            return data

        monkeypatch.setattr(files, "read", reading)
        return first

    def test_digest_and_verdict_are_of_the_same_bytes(
        self, made: SignedRun, replaced: bytes
    ) -> None:
        found = answer(made)
        assert found.verdict == "READY"
        assert found == verify_bytes(made.run, replaced, policy.load(made.policy), AT)
        assert answer(made).verdict == "NOT READY"

    def test_what_is_shown_and_what_is_signed_are_of_the_same_bytes(
        self, made: SignedRun, replaced: bytes, people: dict[str, Person]
    ) -> None:
        asked = request.prepare(
            made.run,
            policy.load(made.policy),
            role=SEC,
            key=people[SEC].key,
            formats=("sshsig",),
            at=AT,
        )
        assert asked.seen.report_sha256 == asked.sha256
        assert asked.seen.verdict == asked.report.verdict.name == "READY"

    def test_what_is_attested_is_of_the_same_bytes(self, made: SignedRun, replaced: bytes) -> None:
        attest.write(made.run, None)
        said = json.loads((made.run / "attestations/test-result.statement.json").read_bytes())
        assert said["predicate"]["result"] == "PASSED"
        digest = answer(signed_again(made, replaced)).report_sha256
        assert said["subject"][0]["digest"]["sha256"] == digest

    def test_what_a_page_shows_is_of_the_same_bytes(
        self, made: SignedRun, replaced: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        digest = answer(made).report_sha256
        assert {one.says for one in state.read(made.run, digest)} == {
            "report.json was replaced while it was read"
        }


def signed_again(made: SignedRun, report: bytes) -> SignedRun:
    (made.run / "report.json").write_bytes(report)
    return made


class TestSign:
    @pytest.fixture
    def ready(self, tmp_path: Path, people: dict[str, Person]) -> desk.Desk:
        mine = {role: people[role] for role in ROLES}
        return desk.Desk(tmp_path, mine).rule().has(desk.report())

    @pytest.mark.parametrize("name", ["signoffs", "signoffs/superseded", "attestations"])
    def test_fails_and_names_a_link_out_of_the_run(self, ready: desk.Desk, name: str) -> None:
        elsewhere = ready.folder / "elsewhere"
        elsewhere.mkdir()
        (ready.run / name).parent.mkdir(exist_ok=True)
        (ready.run / name).symlink_to(elsewhere)
        code, said = ready.sign(SEC, "--yes", "--decision", "approved")
        assert code == 4
        assert "it is a link, which may lead out of the run" in said.splitlines()[-1]
        assert not list(elsewhere.iterdir())

    @pytest.mark.parametrize("name", [f"signoffs/{PM}.statement.json", "report.json.intoto.jsonl"])
    def test_a_pipe_is_not_waited_for(self, ready: desk.Desk, name: str) -> None:
        (ready.run / name).parent.mkdir(exist_ok=True)
        os.mkfifo(ready.run / name)
        _, said = ready.sign(SEC, "--yes", "--decision", "rejected")
        assert "it is not a file" in said
        assert "Traceback" not in said

    def test_fails_and_names_a_pipe_for_a_key(self, ready: desk.Desk) -> None:
        os.mkfifo(ready.folder / "pipe")
        code, said = ready.sign(SEC, "--key", "pipe", "--yes", "--decision", "rejected")
        assert (code, "pipe cannot be read: it is not a file" in said) == (4, True), said

    def test_fails_and_names_a_home_that_is_not_there(self, ready: desk.Desk) -> None:
        code, said = ready.sign(
            SEC, "--key", "~no-such-user/key", "--yes", "--decision", "rejected"
        )
        assert code == 4
        assert said.startswith("--key ~no-such-user/key: ")

    @pytest.mark.parametrize("typed", ["\x1b[2J", "\u202e"])
    def test_fails_and_names_a_typed_comment_that_a_terminal_obeys(
        self, ready: desk.Desk, typed: str
    ) -> None:
        ready.fresh = True
        code, said = ready.sign(SEC, answers=f"rejected\n{typed}\ny\n", PYTHONUTF8="1")
        assert code == 4
        assert "the comment has signs that cannot be printed" in said.splitlines()[-1]
        assert not (ready.run / "signoffs").exists()

    def test_fails_and_names_an_answer_that_cannot_be_read(self, ready: desk.Desk) -> None:
        ready.fresh = True
        code, said = ready.sign(SEC, answers="rejected\né\n", PYTHONIOENCODING="ascii:strict")
        assert code == 4
        assert said.endswith("the answer cannot be read: it is not ascii\n")

    def test_a_comment_is_never_null(self, ready: desk.Desk) -> None:
        ready.approve(SEC)
        assert ready.predicate(SEC).comment == ""

    def test_a_comment_is_told_on_one_line(self, ready: desk.Desk) -> None:
        comment = "no\nsigned off: every role that is required has signed"
        code, _ = ready.sign(PM, "--yes", "--decision", "rejected", "--comment", comment)
        assert code == 0
        code, said = ready.sign(SEC, "--yes", "--decision", "approved")
        assert code == 0
        assert not any(line.startswith("signed off:") for line in said.splitlines())

    def test_a_report_that_is_replaced_is_not_the_one_that_is_signed(
        self, ready: desk.Desk
    ) -> None:
        asked = request.prepare(
            ready.run,
            policy.load(ready.policy),
            role=SEC,
            key=ready.people[SEC].key,
            formats=("sshsig",),
            at=now(),
        )
        other = desk.report(verdict=desk.NOT_READY)
        (ready.run / "report.json").write_bytes(model.encode(other))
        after = request.finish(asked, request.sign(asked, Decision.APPROVED, ""))
        assert after.exit_code == 3
        assert Cause.TAMPERED_REPORT in {one.cause for one in after.refusals}
