"""What `readiness sign` refuses, each by its words, and that nothing is written then."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from pytest_readiness.clock import now, rfc3339
from pytest_readiness.signoff import statement
from tests.report import extremes, sample
from tests.signoff import desk, keys
from tests.signoff.desk import Desk

SEC = "security-lead"
STATEMENT = f"signoffs/{SEC}.statement.json"


class TestRefuses:
    @pytest.fixture
    def refusal(self, ready: Desk) -> desk.Refusal:
        return desk.Refusal(ready, SEC)

    @pytest.mark.parametrize("decision", ["approved", "approved-with-waivers"])
    def test_approval_of_what_is_not_ready(
        self, decision: str, tmp_path: Path, people: dict[str, keys.Person]
    ) -> None:
        found = Desk(tmp_path, people).rule().has(desk.report(verdict=desk.NOT_READY))
        desk.Refusal(found, SEC)(f"{decision} is refused: the report says NOT READY", decision)

    def test_approval_of_a_report_whose_items_say_otherwise(
        self, tmp_path: Path, people: dict[str, keys.Person]
    ) -> None:
        report = desk.report(sample.full().items[2], verdict=desk.READY)
        desk.Refusal(Desk(tmp_path, people).rule().has(report), SEC)(
            "failing without a waiver: k8s-nodes"
        )

    def test_approval_of_the_lab(self, tmp_path: Path, people: dict[str, keys.Person]) -> None:
        report = desk.report()
        report = msgspec.structs.replace(report, run=msgspec.structs.replace(report.run, lab=()))
        desk.Refusal(Desk(tmp_path, people).rule().has(report), SEC)(
            "the answers are those of the lab"
        )

    def test_approval_of_what_is_too_old(
        self, tmp_path: Path, people: dict[str, keys.Person]
    ) -> None:
        report = desk.report(ended=now() - timedelta(days=8))
        desk.Refusal(Desk(tmp_path, people).rule().has(report), SEC)("max_report_age")

    def test_plain_approval_where_waivers_are_used(self, waived: Desk) -> None:
        desk.Refusal(waived, SEC)(
            "the report has waivers (ch-backup); --decision approved-with-waivers"
        )

    def test_approval_with_waivers_where_none_are_used(self, refusal: desk.Refusal) -> None:
        refusal("no waiver of the report is used; --decision approved", "approved-with-waivers")

    def test_rejection_is_always_possible(
        self, tmp_path: Path, people: dict[str, keys.Person]
    ) -> None:
        found = Desk(tmp_path, people).rule().has(desk.report(verdict=desk.NOT_READY))
        code, said = found.sign(SEC, "--yes", "--decision", "rejected")
        assert code == 0, said
        assert "rejected" in found.causes()

    def test_an_unknown_role(self, ready: Desk) -> None:
        key = str(ready.people[SEC].key)
        code, said = ready.command("sign", "run", "--role", "security-led", "--key", key)
        assert (code, said) == (
            4,
            "signoff.toml has no role security-led; did you mean security-lead?\n",
        )

    def test_a_key_of_nobody(self, refusal: desk.Refusal, tmp_path: Path) -> None:
        stranger = keys.person(tmp_path, "stranger@example.org")
        refusal("security-lead@example.org namespaces=", key=stranger.key)

    def test_a_key_of_somebody_of_another_role(self, refusal: desk.Refusal, ready: Desk) -> None:
        key = ready.people["operations-lead"].key
        refusal("is of operations-lead@example.org, who is none of security-lead (", key=key)

    def test_a_line_for_another_namespace(self, refusal: desk.Refusal, ready: Desk) -> None:
        ready.rule(lines=[ready.people[SEC].line("operations-lead")])
        refusal(
            "line 1 of allowed_signers does not let security-lead@example.org sign for "
            "'security-lead@signoff.readiness' with the key SHA256:"
        )

    def test_an_expired_key(self, refusal: desk.Refusal, ready: Desk) -> None:
        ready.rule(lines=[ready.people[SEC].line(SEC, valid_before="20200101Z")])
        refusal("has expired or is not valid yet: line 1 of allowed_signers")

    def test_a_revoked_key(self, refusal: desk.Refusal, ready: Desk) -> None:
        keys.revocation_list(ready.folder / "revoked", Path(f"{ready.people[SEC].key}.pub"))
        ready.rule('revoked_keys = "revoked"')
        refusal("revoked revokes the key SHA256:")

    def test_a_key_that_is_not_there(self, refusal: desk.Refusal, ready: Desk) -> None:
        refusal("no-such-key", key=ready.folder / "no-such-key")

    def test_what_is_signed_already(self, refusal: desk.Refusal, ready: Desk) -> None:
        ready.approve(SEC)
        refusal("security-lead@example.org has signed exactly this for security-lead at 20")

    def test_one_person_for_two_roles(self, ready: Desk) -> None:
        one = ready.people[SEC]
        ready.policy.write_text(
            ready.policy.read_text().replace("operations-lead@example.org", one.principal)
        )
        lines = [one.line(None, namespaces="*@signoff.readiness")]
        keys.allowed_signers(ready.folder, lines)
        code, said = ready.sign(SEC, "--yes", "--decision", "approved")
        assert code == 0, said
        code, said = ready.sign(
            "operations-lead", "--key", str(one.key), "--yes", "--decision", "approved"
        )
        assert code == 4
        assert "security-lead@example.org has signed as security-lead: one person, one role" in said

    @pytest.mark.parametrize("comment", ["\x1b[2J", "a\u202eb", "\udcff"])
    def test_a_comment_that_a_terminal_would_obey(self, comment: str, ready: Desk) -> None:
        before = ready.files()
        code, said = ready.sign(SEC, "--yes", "--decision", "approved", "--comment", comment)
        assert code == 4
        assert said.splitlines()[-1] == (
            "the comment has signs that cannot be printed, or is no UTF-8"
        )
        assert ready.files() == before

    def test_obeys_nothing_of_a_report(
        self, tmp_path: Path, people: dict[str, keys.Person]
    ) -> None:
        report = extremes.hostile()
        report = msgspec.structs.replace(report, run=desk.report().run, waivers=(), declarations=())
        code, said = (
            Desk(tmp_path, people).rule().has(report).sign(SEC, "--yes", "--decision", "approved")
        )
        assert code == 4
        assert "approved is refused: the report says NOT READY" in said
        assert all(sign == "\n" or sign.isprintable() for sign in said)

    def test_a_clock_behind_the_signature_that_stands(
        self, refusal: desk.Refusal, ready: Desk
    ) -> None:
        ready.approve(SEC)
        stated = statement.decode(ready.files()[STATEMENT])
        later = rfc3339(now() + timedelta(hours=1))
        data = statement.encode(
            msgspec.structs.replace(
                stated, predicate=msgspec.structs.replace(stated.predicate, signed_at=later)
            )
        )
        (ready.run / STATEMENT).write_bytes(data)
        (ready.run / f"{STATEMENT}.sig").write_bytes(ready.people[SEC].sign(data, SEC))
        refusal(f"has a statement of {later}, which is later than the clock", "rejected")

    def test_a_directory_without_a_report(self, ready: Desk) -> None:
        (ready.run / "report.json").unlink()
        code, said = ready.sign(SEC, "--yes", "--decision", "approved")
        assert code == 4
        assert "report.json" in said

    def test_dsse_by_the_agent(self, ready: Desk) -> None:
        ready.with_dsse()
        code, said = ready.command(
            "sign", "run", "--role", SEC, "--format", "dsse", "--yes", "--decision", "approved"
        )
        assert (code, said) == (
            4,
            "an agent cannot sign for --format dsse: name the key, --key PATH\n",
        )

    def test_a_dsse_key_of_nobody(self, ready: Desk) -> None:
        ready.with_dsse()
        other = str(ready.people["operations-lead"].key)
        code, said = ready.sign(
            SEC, "--key", other, "--format", "dsse", "--yes", "--decision", "approved"
        )
        assert code == 4
        assert "the key is none of those that dsse_keys has for security-lead" in said
