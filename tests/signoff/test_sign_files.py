"""What a new signature does to the files of the old one, and what a kill leaves."""

import hashlib
import shutil
from pathlib import Path

import pytest

from pytest_readiness.clock import now
from pytest_readiness.signoff import policy, request, signing, verify
from pytest_readiness.signoff.statement import Decision
from tests.signoff import desk
from tests.signoff.desk import Desk

SEC = "security-lead"
STATEMENT = f"signoffs/{SEC}.statement.json"


class TestSupersedes:
    def test_the_old_signature_moves_aside_and_is_named_by_the_new(self, ready: Desk) -> None:
        ready.approve(SEC)
        old = ready.files()
        stamp = ready.predicate(SEC).signed_at
        code, said = ready.sign(SEC, "--yes", "--decision", "rejected", "--comment", "no canary")
        assert code == 0, said
        assert f"this replaces your role's approved of {stamp}" in said
        new = ready.files()
        aside = f"signoffs/superseded/{SEC}.{stamp}.statement.json"
        assert new[aside] == old[STATEMENT]
        assert new[f"{aside}.sig"] == old[f"{STATEMENT}.sig"]
        assert ready.predicate(SEC).supersedes == hashlib.sha256(old[STATEMENT]).hexdigest()
        assert ready.causes() == {"open", "rejected"}
        ready.approve(SEC)
        assert ready.causes() == {"open"}

    def test_the_line_moves_with_it_and_others_stay(self, ready: Desk) -> None:
        ready.with_dsse()
        for role in (SEC, "operations-lead"):
            code, said = ready.sign(role, "--format", "both", "--yes", "--decision", "approved")
            assert code == 0, said
        first, second = ready.files()["report.json.intoto.jsonl"].splitlines()
        stamp = ready.predicate(SEC).signed_at
        code, said = ready.sign(SEC, "--yes", "--decision", "rejected")
        assert code == 0, said
        new = ready.files()
        assert new["report.json.intoto.jsonl"].splitlines() == [second]
        assert new[f"signoffs/superseded/{SEC}.{stamp}.dsse.json"].strip() == first
        assert ready.causes() == {"open", "rejected"}

    def test_the_old_one_put_back_does_not_count(self, ready: Desk) -> None:
        ready.approve(SEC)
        old = ready.files()
        for decision in ("rejected", "approved"):
            code, said = ready.sign(SEC, "--yes", "--decision", decision)
            assert code == 0, said
        for name in (STATEMENT, f"{STATEMENT}.sig"):
            (ready.run / name).write_bytes(old[name])
        assert "superseded" in ready.causes()

    def test_what_does_not_count_is_named_and_written_over(self, ready: Desk) -> None:
        ready.approve(SEC)
        data = ready.files()[STATEMENT].replace(b'"approved"', b'"rejected"')
        (ready.run / STATEMENT).write_bytes(data)
        code, said = ready.sign(SEC, "--yes", "--decision", "approved")
        assert code == 0, said
        assert "does not count: the signature by SHA256:" in said
        (ready.run / STATEMENT).unlink()
        code, said = ready.sign(SEC, "--yes", "--decision", "approved")
        assert code == 0, said
        assert f"does not count: {STATEMENT}.sig belongs to no statement" in said
        assert ready.causes() == {"open"}
        assert not (ready.run / "signoffs" / "superseded").exists()

    def test_a_new_policy_is_signed_again(self, ready: Desk) -> None:
        ready.approve(SEC)
        ready.rule("distinct_principals = true")
        assert "other-policy" in ready.causes()
        ready.approve(SEC)
        assert ready.causes() == {"open"}


class TestKilled:
    """A kill between two writes: verify refuses, or the old or the new signature stands whole."""

    @pytest.mark.parametrize("before", [None, "sshsig", "dsse", "both"])
    @pytest.mark.parametrize("after", ["sshsig", "dsse", "both"])
    def test_after_each_write(
        self, before: str | None, after: str, ready: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ready.with_dsse()
        if before:
            self._sign(ready, before, Decision.REJECTED)
        old, kept = ready.verified(), ready.folder / "kept"
        shutil.copytree(ready.run, kept)
        wish = self._request(ready, after)
        new = request.sign(wish, Decision.APPROVED, "")
        for writes in range(40):
            shutil.rmtree(ready.run)
            shutil.copytree(kept, ready.run)
            try:
                with desk.interrupted(
                    writes, monkeypatch, (signing, "write_whole"), (Path, "unlink")
                ):
                    signing.place(ready.run, SEC, new, wish.old)
                break
            except desk.Killed:
                self._holds(ready.verified(), old, new)
            self._sign(ready, after, Decision.APPROVED)
            self._is_signed(ready.verified(), after)
        else:
            pytest.fail("it never came to an end")
        assert writes >= 2
        self._is_signed(ready.verified(), after)
        assert ready.verified().roles[2].signed_at == new.statement.predicate.signed_at

    def _is_signed(self, seen: verify.Verification, kind: str) -> None:
        assert seen.exit_code == 2, seen.refusals
        assert seen.roles[2].state == "signed"
        assert seen.roles[2].formats == (("sshsig", "dsse") if kind == "both" else (kind,))

    def _holds(
        self, seen: verify.Verification, old: verify.Verification, new: signing.Signed
    ) -> None:
        if seen.exit_code == 3:
            return
        stands, stood = ((one.roles[2].state, one.roles[2].signed_at) for one in (seen, old))
        assert stands in (stood, ("signed", new.statement.predicate.signed_at))

    def _request(self, found: Desk, kind: str) -> request.Request:
        return request.prepare(
            found.run,
            policy.load(found.policy),
            role=SEC,
            key=found.people[SEC].key,
            formats=("sshsig", "dsse") if kind == "both" else (kind,),
            at=now(),
        )

    def _sign(self, found: Desk, kind: str, decision: Decision) -> None:
        wish = self._request(found, kind)
        request.finish(wish, request.sign(wish, decision, ""))
