"""`readiness sign` as people use it: the real ssh-keygen, the real command line."""

import hashlib
import os
import pty
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from pytest_readiness.clock import now
from pytest_readiness.results import model
from pytest_readiness.signoff import statement
from pytest_readiness.signoff.statement import Decision
from tests.signoff import desk, keys
from tests.signoff.desk import Desk

SEC = "security-lead"
STATEMENT = f"signoffs/{SEC}.statement.json"


def test_four_people_sign_and_it_is_signed_off(ready: Desk) -> None:
    before = ready.files()
    for number, role in enumerate(desk.ROLES, 1):
        code, said = ready.sign(role, answers="approved\ny\n")
        assert code == 0, said
        assert f"Sign as {role}, approved? [y/N]" in said
        missing = desk.ROLES[number:]
        last = f"still open: {', '.join(missing)}" if missing else "signed off: every role"
        assert last in said
        assert ready.verified().signed_off == (not missing)
    after = ready.files()
    assert after["report.json"] == before["report.json"]
    assert sorted(set(after) - set(before)) == sorted(
        [
            "attestations/svr.statement.json",
            *(f"signoffs/{role}.statement.json" for role in desk.ROLES),
            *(f"signoffs/{role}.statement.json.sig" for role in desk.ROLES),
        ]
    )
    page = after["report.md"].decode()
    for title in ("Deployment Manager", "Operations Lead", "Security Lead", "Product Manager"):
        assert f"**{title}:** signed: approved" in page
    code, said = ready.command("verify", "run", "--policy", "signoff.toml")
    assert code == 0, said


def test_a_newcomer_is_led_there(tmp_path: Path, people: dict[str, keys.Person]) -> None:
    found = Desk(tmp_path, people).has(desk.report())
    assert found.command("init", "--signoff")[0] == 0
    text = found.policy.read_text()
    for role, name in (
        ("deployment-manager", "dm"),
        ("operations-lead", "ops"),
        ("security-lead", "sec"),
        ("product-manager", "pm"),
    ):
        text = text.replace(f'{role} = ["{name}@', f'{role} = ["{role}@')
    found.policy.write_text(text)
    signers = tmp_path / "allowed_signers"
    signers.touch()
    for role in desk.ROLES:
        code, said = found.sign(role)
        assert (code, "no line of allowed_signers has the key" in said) == (4, True), said
        with signers.open("a") as file:
            file.write(f"{said.splitlines()[-1]}\n")
    for role in desk.ROLES:
        code, said = found.sign(role, answers="approved\ny\n")
        assert code == 0, said
    assert found.command("verify", "run")[0] == 0


def test_ssh_keygen_accepts_what_it_wrote(ready: Desk) -> None:
    ready.approve(SEC)
    said = keys.keygen(
        "-Y", "verify", "-f", ready.folder / "allowed_signers", "-I", ready.people[SEC].principal,
        "-n", f"{SEC}@signoff.readiness", "-s", ready.run / f"{STATEMENT}.sig",
        stdin=ready.files()[STATEMENT],
    )  # fmt: skip
    assert b"Good" in said


def test_the_statement_says_what_was_seen(waived: Desk) -> None:
    code, said = waived.sign(
        SEC, "--yes", "--decision", "approved-with-waivers", "--comment", "until Thursday"
    )
    assert code == 0, said
    found = waived.predicate(SEC)
    lines = (waived.folder / "allowed_signers").read_bytes().splitlines()
    assert (found.role, found.principal) == (SEC, "security-lead@example.org")
    assert found.decision is Decision.APPROVED_WITH_WAIVERS
    assert found.comment == "until Thursday"
    assert found.verdict == "READY WITH WAIVERS"
    assert [one.item for one in found.accepted_waivers] == ["ch-backup"]
    assert found.policy.sha256 == hashlib.sha256(waived.policy.read_bytes()).hexdigest()
    assert found.policy.allowed_signer == hashlib.sha256(lines[2]).hexdigest()
    assert found.supersedes is None
    subject = statement.decode(waived.files()[STATEMENT]).subject
    assert subject[0].digest == {
        "sha256": hashlib.sha256(waived.files()["report.json"]).hexdigest()
    }
    assert len(subject) == 3


def test_limits_below_the_checklist_are_shown_and_the_statement_counts_them(
    tmp_path: Path, people: dict[str, keys.Person]
) -> None:
    limits = tuple(
        model.Relaxed(section="kubernetes", key=key, value="1", checklist=own)
        for key, own in (("min_nodes", "3"), ("node_cpu", "4"))
    )
    found = Desk(tmp_path, people).rule().has(desk.report(relaxed=limits))
    code, said = found.sign(SEC, "--yes", "--decision", "approved")
    assert code == 0, said
    assert "limits below the checklist\n  - [kubernetes] min_nodes: 1, the checklist has 3" in said
    assert "  - [kubernetes] node_cpu: 1, the checklist has 4" in said
    assert found.predicate(SEC).relaxed_limits == 2
    found.rule('allow_relaxed = ["min_nodes"]')
    desk.Refusal(found, "product-manager")("allow_relaxed: [kubernetes] node_cpu")


class TestAsks:
    def test_shows_what_a_person_answers_for(self, waived: Desk) -> None:
        waived.sign("operations-lead", "--yes", "--decision", "rejected", "--comment", "no pager")
        code, said = waived.sign(SEC, "--decision", "rejected", answers="\nn\n")
        assert code == 1
        for fact in (
            "st-risk-platform, environment lab, phase verification",
            "release 2.4.1",
            "commit 4f1c2e7d0b6a4a0b9a53f4f0a54f2c1f0d1f9a77",
            "image registry.example.org/st-risk-platform@sha256:5d5d",
            "1 min 0",
            "READY WITH WAIVERS",
            "  - 1 waived: ch-backup",
            "  - ch-backup",
            "by sec@example.org, ticket OPS-812: the backup host moves on Thursday",
            "risk: one day of data is lost with the disk",
            "operations-lead: rejected, operations-lead@example.org",
            "no pager",
            "you are security-lead@example.org",
        ):
            assert fact in said, fact

    def test_shows_declarations_that_end_soon_what_is_missing_and_the_lab(
        self, ready: Desk
    ) -> None:
        report = model.read(ready.run / "report.json")
        (ready.run / "report.json").unlink()
        (ready.run / "report.html").unlink()
        ended, soon, far = (f"{now() + timedelta(days=days):%Y-%m-%d}" for days in (-2, 3, 30))
        declared = [
            model.Declared(
                item=item, statement="done", by="ops@example.org", role="operations-lead",
                date="2026-11-01", expires=expires, release="any", evidence=None, sha256=None,
                signed=False, state=model.DeclarationState.COUNTS,
            )
            for item, expires in (("on-call", ended), ("rollback", soon), ("backup", far))
        ]  # fmt: skip
        owed = model.Completeness(expected=2, reported=1, missing=("ch-disk",))
        ready.has(
            msgspec.structs.replace(
                report,
                run=msgspec.structs.replace(report.run, lab=("backup-old",)),
                declarations=tuple(declared),
                completeness=owed,
            )
        )
        code, said = ready.sign(SEC, "--decision", "rejected", answers="\nn\n")
        assert code == 1
        assert f"on-call, by ops@example.org: has ended {ended}" in said
        assert f"rollback, by ops@example.org: ends {soon}" in said
        assert "backup, by ops@example.org" not in said
        assert "no result: ch-disk" in said
        assert "LAB: answers of the reference platform, faults: backup-old" in said
        assert "declaration-expired" in said

    @pytest.mark.parametrize("answers", ["", "approved\n", "approved\nn\n", "approved\n\n", "x\n"])
    def test_nothing_is_signed_without_a_yes(self, answers: str, ready: Desk) -> None:
        before = ready.files()
        code, said = ready.sign(SEC, answers=answers)
        assert code == 1, said
        assert "nothing was signed" in said
        assert ready.files() == before

    def test_offers_only_what_may_be_signed(self, waived: Desk) -> None:
        code, said = waived.sign(SEC, answers="")
        assert "Decision (approved-with-waivers or rejected): " in said
        assert code == 1

    def test_asks_why_it_is_rejected(self, ready: Desk) -> None:
        code, said = ready.sign(SEC, answers="rejected\nno canary\nyes\n")
        assert code == 0, said
        assert ready.predicate(SEC).comment == "no canary"
        assert (
            "**Security Lead:** rejected: security-lead@example.org"
            in ready.files()["report.md"].decode()
        )
        assert "rejected" in ready.causes()

    def test_asks_on_a_terminal(self, ready: Desk) -> None:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "pytest_readiness.cli", "sign", "run", "--role", SEC),
                *("--key", str(ready.people[SEC].key)),
            ],
            cwd=ready.folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        said = b""
        for question, answer in ((b"rejected): ", b"approved\n"), (b"[y/N] ", b"y\n")):
            while question not in said:
                said += os.read(ours, 4096)
            os.write(ours, answer)
        while b"still open" not in said:
            said += os.read(ours, 4096)
        assert process.wait(timeout=30) == 0
        os.close(ours)
        assert ready.verified().roles[2].state == "signed"

    def test_yes_needs_a_decision(self, ready: Desk) -> None:
        assert ready.sign(SEC, "--yes") == (4, "--yes asks nothing, so it needs --decision\n")

    def test_takes_the_policy_that_readiness_ini_names(self, ready: Desk) -> None:
        ready.policy.rename(ready.folder / "who.toml")
        code, said = ready.sign(SEC, "--yes", "--decision", "approved")
        assert code == 4
        assert "signoff.toml" in said
        (ready.folder / "readiness.ini").write_text(
            "[readiness]\nsystem = shop\nenvironment = test\nphase = review\nsignoff = who.toml\n"
        )
        code, said = ready.sign(SEC, "--yes", "--decision", "approved")
        assert code == 0, said
