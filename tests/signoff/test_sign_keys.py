"""`readiness sign` with an agent, passphrases, certificates, and by DSSE."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_readiness.signoff.collect import collect
from tests.signoff import desk, keys
from tests.signoff.desk import Desk

SEC = "security-lead"
STATEMENT = f"signoffs/{SEC}.statement.json"


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path is short enough for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="rd-", dir="/tmp") as folder:
        yield Path(folder)


class TestKeys:
    def test_by_default_the_agent_signs(self, ready: Desk, short: Path) -> None:
        with keys.agent(short, ready.people["operations-lead"], ready.people[SEC]) as variables:
            code, said = ready.command(
                "sign", "run", "--role", SEC, "--yes", "--decision", "approved", **variables
            )
        assert code == 0, said
        assert ready.verified().roles[2].state == "signed"

    def test_an_agent_without_a_key_of_the_role_is_named(self, ready: Desk, short: Path) -> None:
        stranger = keys.person(ready.folder, "stranger@example.org")
        with keys.agent(short, stranger) as variables:
            code, said = ready.command(
                "sign", "run", "--role", SEC, "--yes", "--decision", "approved", **variables
            )
        assert code == 4
        assert "no key of the agent (SHA256:" in said
        assert "--key PATH" in said

    def test_no_agent_is_told_apart(self, ready: Desk) -> None:
        code, said = ready.command("sign", "run", "--role", SEC, "--yes", "--decision", "approved")
        assert code == 4
        assert "the agent has no key" in said

    @pytest.mark.parametrize("kind", ["sshsig", "dsse", "both"])
    def test_an_encrypted_key_asks_for_its_passphrase(
        self, kind: str, tmp_path: Path, people: dict[str, keys.Person]
    ) -> None:
        secret = keys.person(tmp_path, "security-lead@example.org", "ecdsa")
        keys.keygen("-q", "-p", "-m", "PEM", "-P", "", "-N", "correct horse", "-f", secret.key)
        found = Desk(tmp_path, {**people, SEC: secret}).with_dsse().has(desk.report())
        words = ("--format", kind, "--yes", "--decision", "approved")
        code, said = found.sign(SEC, *words, **keys.asking(tmp_path, "correct horse"))
        assert code == 0, said
        assert found.verified().roles[2].state == "signed"
        before = found.files()
        other = ("--format", kind, "--yes", "--decision", "rejected")
        code, said = found.sign(SEC, *other, **keys.asking(tmp_path, "wrong"))
        assert code == 4, said
        assert found.files() == before

    def test_a_certificate_signs_for_the_person_it_names(self, ready: Desk, tmp_path: Path) -> None:
        authority = keys.person(tmp_path, "ca@example.org")
        holder = keys.person(tmp_path, "holder@example.org")
        signed = keys.certificate(authority, holder, "security-lead@example.org")
        ready.rule(lines=[authority.line(SEC, "*@example.org", cert_authority=True)])
        code, said = ready.sign(SEC, "--key", str(signed), "--yes", "--decision", "approved")
        assert code == 0, said
        assert ready.verified().roles[2].state == "signed"

    @pytest.mark.parametrize("how", [{"host": True}, {"critical": "force-command=true"}])
    def test_a_certificate_for_something_else_is_named(
        self, ready: Desk, tmp_path: Path, how: dict[str, Any]
    ) -> None:
        authority = keys.person(tmp_path, "ca@example.org")
        holder = keys.person(tmp_path, "holder@example.org")
        signed = keys.certificate(authority, holder, "security-lead@example.org", **how)
        ready.rule(lines=[authority.line(SEC, "*@example.org", cert_authority=True)])
        code, said = ready.sign(SEC, "--key", str(signed), "--yes", "--decision", "approved")
        assert (code, "is for something else than to sign" in said) == (4, True), said

    @pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
    def test_other_kinds_of_keys_sign(
        self, kind: keys.Kind, tmp_path: Path, people: dict[str, keys.Person]
    ) -> None:
        one = keys.person(tmp_path, "security-lead@example.org", kind)
        found = Desk(tmp_path, {**people, SEC: one}).rule().has(desk.report())
        found.approve(SEC)
        assert found.verified().roles[2].state == "signed"


class TestFormats:
    def test_both_are_over_the_same_bytes(self, ready: Desk) -> None:
        ready.with_dsse()
        code, said = ready.sign(SEC, "--format", "both", "--yes", "--decision", "approved")
        assert code == 0, said
        (document,) = collect(ready.run).by_role()[SEC]
        assert document.signature is not None
        assert [one.envelope.payload for one in document.envelopes] == [ready.files()[STATEMENT]]
        assert ready.verified().roles[2].formats == ("sshsig", "dsse")

    def test_dsse_alone_has_no_line_of_allowed_signers(self, ready: Desk) -> None:
        ready.with_dsse()
        code, said = ready.sign(SEC, "--format", "dsse", "--yes", "--decision", "approved")
        assert code == 0, said
        assert ready.predicate(SEC).policy.allowed_signer is None
        assert f"{STATEMENT}.sig" not in ready.files()
        assert ready.verified().roles[2].state == "signed"
        assert "**Security Lead:** not checked" in ready.files()["report.md"].decode()

    def test_each_role_has_its_own_line(self, ready: Desk) -> None:
        ready.with_dsse()
        for role in desk.ROLES:
            code, said = ready.sign(role, "--format", "dsse", "--yes", "--decision", "approved")
            assert code == 0, said
        lines = ready.files()["report.json.intoto.jsonl"].splitlines()
        assert len(lines) == 4
        assert all(len(json.loads(line)["signatures"]) == 1 for line in lines)
        assert ready.verified().signed_off
