"""What a run directory says of its signatures by itself: only what is good is called signed."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_readiness.report import write
from pytest_readiness.results import model
from pytest_readiness.signoff import state, statement
from pytest_readiness.signoff.statement import Decision
from tests.report import sample
from tests.signoff import desk, keys

ROLE = "security-lead"
AT = "2026-11-24T12:00:00.000Z"
FOREIGN = (statement.Subject(name="report.json", digest={"sha256": "0" * 64}),)


@pytest.fixture(scope="module")
def sec(tmp_path_factory: pytest.TempPathFactory) -> keys.Person:
    return keys.person(tmp_path_factory.mktemp("keys"), "sec@example.org")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write.write_all(desk.report(), tmp_path)
    (tmp_path / "signoffs").mkdir()
    return tmp_path


def sha256(run: Path) -> str:
    return hashlib.sha256((run / "report.json").read_bytes()).hexdigest()


def stated(run: Path, at: str = AT, role: str = ROLE, **changes: Any) -> bytes:
    """Return a statement about the report of the run, with changes of the predicate."""
    report = model.read(run / "report.json")
    subjects = changes.pop("subject", statement.subjects(report, sha256(run)))
    predicate = statement.Predicate(
        role=role,
        principal="sec@example.org",
        decision=Decision.APPROVED,
        comment="fine",
        verdict=report.verdict.name,
        accepted_waivers=statement.accepted(report),
        release=statement.release(report),
        signed_at=at,
        policy=statement.PolicyUsed(sha256="0" * 64, allowed_signer=None),
        supersedes=None,
    )
    return statement.encode(
        statement.Statement(
            subject=subjects, predicate=msgspec.structs.replace(predicate, **changes)
        )
    )


def put(run: Path, data: bytes, sig: bytes | None, role: str = ROLE, folder: str = "") -> None:
    path = run / "signoffs" / folder / f"{role}.statement.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    if sig is not None:
        path.with_name(f"{path.name}.sig").write_bytes(sig)


def line(data: bytes) -> bytes:
    """Return an envelope of which only the form is right."""
    from base64 import b64encode

    envelope = {
        "payload": b64encode(data).decode(),
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [{"keyid": "k", "sig": b64encode(b"s" * 64).decode()}],
    }
    return json.dumps(envelope).encode() + b"\n"


def other_bytes(there: str, signed: str) -> str:
    return (
        f"report.json is not the file that was signed: its sha256 is {there}, the statement is "
        f"about {signed}"
    )


def only(run: Path) -> state.Said:
    found = state.read(run, sha256(run))
    assert len(found) == 1
    return found[0]


def test_nothing_is_said_where_nothing_is_signed(run: Path) -> None:
    assert state.read(run, sha256(run)) == ()
    (run / "signoffs").rmdir()
    assert state.read(run, sha256(run)) == ()


def test_says_who_signed_what(run: Path, sec: keys.Person) -> None:
    data = stated(run)
    put(run, data, sec.sign(data, ROLE))
    said = only(run)
    fingerprint = keys.keygen("-l", "-f", f"{sec.key}.pub").decode().split()[1]
    assert said == state.Said(
        role=ROLE,
        principal="sec@example.org",
        decision="approved",
        signed_at=AT,
        comment="fine",
        key=fingerprint,
    )


def test_another_key_is_shown_by_its_fingerprint_and_left_to_verify(
    run: Path, tmp_path: Path
) -> None:
    stranger = keys.person(tmp_path, "stranger@example.org")
    data = stated(run)
    put(run, data, stranger.sign(data, ROLE))
    assert only(run).says is None
    assert only(run).key == keys.keygen("-l", "-f", f"{stranger.key}.pub").decode().split()[1]


class TestNeverSigned:
    def test_a_changed_statement(self, run: Path, sec: keys.Person) -> None:
        data = stated(run)
        put(run, data.replace(b"fine", b"find"), sec.sign(data, ROLE))
        assert "not one over these bytes" in (only(run).says or "")

    def test_a_signature_of_another_role(self, run: Path, sec: keys.Person) -> None:
        data = stated(run)
        put(run, data, sec.sign(data, "operations-lead"))
        assert "operations-lead@signoff.readiness" in (only(run).says or "")

    def test_a_statement_of_another_role(self, run: Path, sec: keys.Person) -> None:
        data = stated(run, role="operations-lead")
        put(run, data, sec.sign(data, "operations-lead"))
        assert only(run).says == (
            "the statement in the file of security-lead is one of operations-lead"
        )

    def test_a_statement_about_other_bytes(self, run: Path, sec: keys.Person) -> None:
        data = stated(run)
        put(run, data, sec.sign(data, ROLE))
        signed = sha256(run)
        (run / "report.json").write_bytes((run / "report.json").read_bytes() + b"\n")
        assert only(run).says == other_bytes(sha256(run), signed)
        assert only(run).principal == "sec@example.org"

    @pytest.mark.parametrize("changes", [{"verdict": "NOT READY"}, {"subject": FOREIGN}])
    def test_a_statement_that_names_another_release(
        self, changes: dict[str, Any], run: Path, sec: keys.Person
    ) -> None:
        data = stated(run, **changes)
        put(run, data, sec.sign(data, ROLE))
        assert only(run).says

    def test_a_statement_without_signature(self, run: Path) -> None:
        put(run, stated(run), None)
        assert only(run).says == "there is no signature"

    def test_a_signature_without_statement(self, run: Path, sec: keys.Person) -> None:
        data = stated(run)
        put(run, data, sec.sign(data, ROLE))
        (run / "signoffs" / f"{ROLE}.statement.json").unlink()
        says = f"signoffs/{ROLE}.statement.json.sig belongs to no statement"
        assert only(run) == state.Said(role=ROLE, says=says)

    @pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[" * 5000, b'{"_type": 1}'])
    def test_what_is_no_statement(self, data: bytes, run: Path, sec: keys.Person) -> None:
        put(run, data, sec.sign(data, ROLE))
        assert only(run).says
        assert only(run).principal is None

    @pytest.mark.parametrize("sig", [b"", b"no", b"-----BEGIN SSH SIGNATURE-----\n"])
    def test_what_is_no_signature(self, sig: bytes, run: Path) -> None:
        put(run, stated(run), sig)
        assert "cannot be read as an SSHSIG" in (only(run).says or "")

    def test_a_statement_that_cannot_be_read(self, run: Path) -> None:
        os.mkdir(run / "signoffs" / f"{ROLE}.statement.json")
        assert "cannot be read: Is a directory" in (only(run).says or "")

    def test_a_signature_that_cannot_be_read(self, run: Path) -> None:
        put(run, stated(run), None)
        os.mkdir(run / "signoffs" / f"{ROLE}.statement.json.sig")
        for lines in (b"", line(stated(run))):
            (run / "report.json.intoto.jsonl").write_bytes(lines)
            assert "statement.json.sig cannot be read: Is a directory" in (only(run).says or "")
            assert not only(run).unchecked

    def test_a_folder_of_signatures_that_is_none(self, run: Path) -> None:
        (run / "signoffs").rmdir()
        (run / "signoffs").write_bytes(b"")
        assert only(run) == state.Said(
            role="signoffs", says="signoffs cannot be read: Not a directory"
        )

    def test_an_older_one_than_superseded_has(self, run: Path, sec: keys.Person) -> None:
        old, new = stated(run), stated(run, "2026-11-24T12:00:01.000Z")
        put(run, old, sec.sign(old, ROLE))
        put(run, new, sec.sign(new, ROLE), f"{ROLE}.2026-11-24T12:00:01.000Z", "superseded")
        assert only(run).says == "a later statement of the role lies in signoffs/superseded/"

    def test_an_approval_after_a_bad_rejection(self, run: Path, sec: keys.Person) -> None:
        good = stated(run, "2026-11-24T13:00:00.000Z")
        put(run, good, sec.sign(good, ROLE))
        foreign = stated(run, "2026-11-24T12:00:00.000Z", subject=FOREIGN)
        (run / "report.json.intoto.jsonl").write_bytes(line(foreign))
        assert only(run).says == other_bytes(sha256(run), "0" * 64)


class TestLines:
    def test_a_line_alone_is_not_checked_for_its_key_is_with_the_verifier(self, run: Path) -> None:
        (run / "report.json.intoto.jsonl").write_bytes(line(stated(run)))
        said = only(run)
        assert (said.role, said.principal, said.unchecked) == (ROLE, "sec@example.org", True)
        assert said.says == "its key is not in the run directory"

    def test_a_line_beside_the_same_statement_is_one_signature(
        self, run: Path, sec: keys.Person
    ) -> None:
        data = stated(run)
        put(run, data, sec.sign(data, ROLE))
        (run / "report.json.intoto.jsonl").write_bytes(line(data))
        assert only(run).says is None

    def test_a_line_beside_its_statement_in_the_file_of_another_role_stands_for_its_own(
        self, run: Path, sec: keys.Person
    ) -> None:
        data = stated(run)
        put(run, data, sec.sign(data, ROLE), role="operations-lead")
        (run / "report.json.intoto.jsonl").write_bytes(line(data))
        found = {said.role: said for said in state.read(run, sha256(run))}
        assert found[ROLE].unchecked
        assert found["operations-lead"].says == (
            "the statement in the file of operations-lead is one of security-lead"
        )

    def test_of_several_the_newest_stands(self, run: Path, sec: keys.Person) -> None:
        data = stated(run)
        put(run, data, sec.sign(data, ROLE))
        newer = stated(run, "2026-11-24T12:00:01.000Z")
        (run / "report.json.intoto.jsonl").write_bytes(line(newer))
        assert only(run).unchecked
        assert only(run).signed_at == "2026-11-24T12:00:01.000Z"

    def test_two_of_one_moment_stand_for_nothing(self, run: Path, sec: keys.Person) -> None:
        data = stated(run)
        put(run, data, sec.sign(data, ROLE))
        (run / "report.json.intoto.jsonl").write_bytes(line(stated(run, comment="other")))
        assert only(run).says == "two statements that differ are of the same moment"
        assert not only(run).unchecked

    @pytest.mark.parametrize("bad", [b"{}", b"\xff\xff", b"no json"])
    def test_a_line_that_cannot_be_read_is_named_beside_the_roles(
        self, bad: bytes, run: Path, sec: keys.Person
    ) -> None:
        data = stated(run)
        put(run, data, sec.sign(data, ROLE))
        (run / "report.json.intoto.jsonl").write_bytes(line(data) + b"\n" + bad + b"\n")
        found = {said.role: said.says for said in state.read(run, sha256(run))}
        assert found[ROLE] is None
        assert found["line 3 of report.json.intoto.jsonl"]

    def test_a_line_of_something_else_is_named_too(self, run: Path) -> None:
        (run / "report.json.intoto.jsonl").write_bytes(line(b'{"predicate": {}}'))
        assert only(run).role == "line 1 of report.json.intoto.jsonl"
        assert only(run).says


class TestPages:
    def test_render_takes_the_state_and_gives_the_same_bytes_each_time(
        self, run: Path, sec: keys.Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = (run / "report.json").read_bytes()
        data = stated(run)
        put(run, data, sec.sign(data, ROLE))
        pages = [[path.read_bytes() for path in write.render_files(run)] for _ in range(2)]
        monkeypatch.setenv("PATH", "")  # nor does it matter what is on the machine
        pages.append([path.read_bytes() for path in write.render_files(run)])
        assert pages[0] == pages[1] == pages[2]
        assert all(b"sec@example.org" in page for page in pages[0])
        assert (run / "report.json").read_bytes() == before

    def test_a_page_of_a_foreign_signature_does_not_call_it_signed(
        self, run: Path, sec: keys.Person
    ) -> None:
        data = stated(run, subject=FOREIGN)
        put(run, data, sec.sign(data, ROLE))
        _, markdown = write.render_files(run)
        text = markdown.read_text(encoding="utf-8")
        assert "**Security Lead:** not valid: report.json is not the file that was signed" in text
        assert ":** signed" not in text

    def test_any_text_in_the_place_of_a_role_renders(self, run: Path) -> None:
        put(run, b"{}", None, role="<script>|`x`")
        page, markdown = write.render_files(run)
        assert "<script" not in page.read_text(encoding="utf-8")
        assert sample.digest("x") not in markdown.read_text(encoding="utf-8")
