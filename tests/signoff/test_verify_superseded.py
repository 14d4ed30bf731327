"""`readiness verify` where a role has signed more than once."""

from pathlib import Path

import pytest

from pytest_readiness.signoff import policy
from pytest_readiness.signoff.verify import Verification, verify
from tests.signoff.keys import Person, person
from tests.signoff.runs import AT, SignedRun, envelope, ready, signed_run, team
from tests.signoff.spoil import OPS, PM, SEC, put_back

_EARLIER, _LATER = "2026-11-24T10:00:00.000Z", "2026-11-24T11:30:00.000Z"


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Person]:
    return team(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def made(tmp_path: Path, people: dict[str, Person]) -> SignedRun:
    """Return a run whose security lead has changed their mind."""
    made = signed_run(tmp_path, ready(), people)
    made.sign(SEC, decision="rejected", signedAt=_EARLIER)
    made.archive(SEC, _EARLIER)
    made.sign(SEC)
    return made


def answer(made: SignedRun) -> Verification:
    return verify(made.run, policy.load(made.policy), AT)


def causes(found: Verification) -> set[str]:
    return {refusal.cause.value for refusal in found.refusals}


def state(found: Verification, role: str) -> str:
    return next(one.state for one in found.roles if one.role == role)


def old(made: SignedRun) -> Path:
    return next((made.run / "signoffs" / "superseded").glob("*.statement.json"))


def sealed(made: SignedRun, payload: bytes, by: Person) -> Path:
    """Put an envelope beside the superseded statement."""
    path = old(made).with_name(old(made).name.replace(".statement.json", ".dsse.json"))
    path.write_bytes(envelope(payload, by))
    return path


def test_a_newer_statement_supersedes_an_older_one(made: SignedRun) -> None:
    assert answer(made).signed_off


def test_of_two_statements_in_force_the_newest_counts(
    tmp_path: Path, people: dict[str, Person]
) -> None:
    made = signed_run(tmp_path, ready(), people)
    older = made.statement(SEC, ssh=False, decision="rejected", signedAt="2026-11-24T10:00:00.000Z")
    made.jsonl.write_bytes(envelope(older, people[SEC]))
    assert answer(made).signed_off
    newer = made.statement(SEC, ssh=False, decision="rejected", signedAt=_LATER)
    made.jsonl.write_bytes(envelope(newer, people[SEC]))
    found = answer(made)
    assert (found.exit_code, state(found, SEC)) == (2, "rejected")


def test_a_superseded_one_put_back_counts_again_only_when_the_newer_is_gone(
    tmp_path: Path, people: dict[str, Person]
) -> None:
    made = signed_run(tmp_path, ready(), people)
    put_back(made)
    found = answer(made)
    assert causes(found) == {"superseded", "open"}
    assert state(found, SEC) == "refused"


def test_a_superseded_statement_may_be_by_a_key_that_expired(
    tmp_path: Path, people: dict[str, Person]
) -> None:
    made = signed_run(tmp_path, ready(), people)
    stranger = person(tmp_path, f"{SEC}@example.org")
    made.sign(SEC, by=stranger, signedAt="2026-11-24T10:00:00.000Z")
    made.archive(SEC, "2026-11-24T10:00:00.000Z")
    made.sign(SEC)
    assert answer(made).signed_off


def test_an_older_one_in_force_does_no_harm_for_what_has_changed_since(
    tmp_path: Path, people: dict[str, Person]
) -> None:
    made = signed_run(tmp_path, ready(), people)
    words = {"sha256": "ab" * 32, "allowedSigner": None}
    older = made.statement(SEC, policy=words, signedAt=_EARLIER)
    made.jsonl.write_bytes(envelope(older, people[SEC]))
    assert answer(made).signed_off
    made.jsonl.write_bytes(envelope(older, people[PM]))
    assert causes(answer(made)) == {"tampered-statement", "open"}


def test_a_superseded_envelope_counts_by_the_key_of_the_policy(
    made: SignedRun, people: dict[str, Person]
) -> None:
    data = old(made).read_bytes()
    old(made).with_name(f"{old(made).name}.sig").unlink()
    assert causes(answer(made)) == {"bad-signature", "open"}
    path = sealed(made, data, people[SEC])
    assert answer(made).signed_off
    sealed(made, data, people[OPS])
    assert causes(answer(made)) == {"tampered-statement", "open"}
    sealed(made, made.path(SEC).read_bytes(), people[SEC])
    assert causes(answer(made)) == {"tampered-statement", "open"}
    path.write_bytes(b"{}\n")
    assert causes(answer(made)) == {"bad-signature", "open"}


def test_a_superseded_envelope_without_statement_is_refused(
    made: SignedRun, people: dict[str, Person]
) -> None:
    sealed(made, old(made).read_bytes(), people[SEC])
    old(made).with_name(f"{old(made).name}.sig").unlink()
    old(made).unlink()
    assert causes(answer(made)) == {"bad-signature", "open"}


def test_a_superseded_statement_has_the_name_of_its_role(made: SignedRun) -> None:
    path = old(made)
    for one in (path, path.with_name(f"{path.name}.sig")):
        one.rename(one.with_name(one.name.replace(SEC, PM)))
    assert causes(answer(made)) == {"malformed-statement", "open"}


def test_another_file_among_the_superseded_is_refused(made: SignedRun) -> None:
    old(made).with_name(".DS_Store").write_text("of an operating system")
    assert answer(made).signed_off
    old(made).with_name("note.txt").write_text("x")
    assert answer(made).exit_code == 3
