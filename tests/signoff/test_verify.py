"""`readiness verify`: who is signed off, and each refusal by name, for whom and in words."""

import os
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from pytest_readiness.results.model import Report, Verdict
from pytest_readiness.signoff import policy
from pytest_readiness.signoff.answer import ADVICE
from pytest_readiness.signoff.refusals import Cause
from pytest_readiness.signoff.verify import Verification, verify
from tests.signoff.keys import Person, certificate, person, revocation_list
from tests.signoff.refused import CASES, Case, day, relaxed, replay, with_fact
from tests.signoff.runs import (
    AT,
    BOTH,
    ROLES,
    SignedRun,
    ready,
    signed_run,
    team,
    unsigned_run,
    with_waivers,
)
from tests.signoff.spoil import DM, FACT, OPS, PM, SEC, allows_relaxed, two_roles, writes_fact


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Person]:
    return team(tmp_path_factory.mktemp("keys"))


def answer(made: SignedRun, at: datetime = AT) -> Verification:
    return verify(made.run, policy.load(made.policy), at)


def causes(found: Verification) -> set[str]:
    return {refusal.cause.value for refusal in found.refusals}


def state(found: Verification, role: str) -> str:
    return next(one.state for one in found.roles if one.role == role)


def refused_run(folder: Path, case: Case, people: dict[str, Person]) -> SignedRun:
    made = signed_run(folder, case.report(), people, case.formats)
    case.spoil(made)
    return made


@pytest.mark.parametrize("formats", [("sshsig",), ("dsse",), BOTH])
@pytest.mark.parametrize("report", [ready(), with_waivers()])
def test_passes_when_every_role_has_signed(
    tmp_path: Path, people: dict[str, Person], report: Report, formats: tuple[str, ...]
) -> None:
    found = answer(signed_run(tmp_path, report, people, formats))
    assert (found.exit_code, found.signed_off, found.refusals) == (0, True, ())
    assert [one.role for one in found.roles] == list(ROLES)
    assert {one.state for one in found.roles} == {"signed"}
    assert {one.formats for one in found.roles} == {formats}
    line = subprocess.run(
        ["ssh-keygen", "-l", "-f", f"{people[SEC].key}.pub"], capture_output=True, text=True
    ).stdout
    assert next(one.key for one in found.roles if one.role == SEC) == line.split()[1]


@pytest.mark.parametrize("name", CASES)
def test_fails_and_names_the_cause(tmp_path: Path, people: dict[str, Person], name: str) -> None:
    case = CASES[name]
    made = refused_run(tmp_path, case, people)
    found = answer(made, case.at)
    assert found.exit_code == case.cause.exit_code
    assert not found.signed_off
    mine = [
        one
        for one in found.refusals
        if one.cause is case.cause and one.role == case.role and case.words in one.why
    ]
    assert mine, found.refusals
    role = next((one for one in found.roles if one.role == case.role), None)
    if role is not None:
        assert role.state == {"rejected": "rejected", "open": "open"}.get(case.cause, "refused")


@pytest.mark.parametrize("name", CASES)
def test_fails_and_names_the_same_cause_without_ssh_keygen(
    tmp_path: Path, people: dict[str, Person], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    made = refused_run(tmp_path, case, people)
    found = answer(made, case.at)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert answer(made, case.at) == found


def test_passes_and_says_which_facts_are_not_there(
    tmp_path: Path, people: dict[str, Person]
) -> None:
    made = signed_run(tmp_path, with_fact(), people)
    found = answer(made)
    assert found.signed_off
    assert found.notes == ("facts that are not in the run directory, facts/k8s_nodes.json",)
    writes_fact(FACT)(made)
    writes_fact(b"", "facts/.k8s.lock")(made)
    found = answer(made)
    assert (found.signed_off, found.notes) == (True, ())


@pytest.mark.parametrize(
    "report", [replay(), ready(facts=None)], ids=["replay", "of an earlier version"]
)
def test_passes_when_the_policy_allows_a_replay(
    tmp_path: Path, people: dict[str, Person], report: Report
) -> None:
    made = signed_run(tmp_path, report, people)
    assert causes(answer(made)) == {"replay"}
    made.settings["allow_replay"] = "true"
    made.write_policy()
    for role in ROLES:
        made.sign(role)
    found = answer(made)
    assert found.signed_off
    unsaid = ("the facts, of which the report has no digests",)
    assert found.notes == (unsaid if report.facts is None else ())


@pytest.mark.parametrize("value", ["true", '["k8s-storage", "min_nodes"]'])
def test_passes_when_the_policy_lets_the_limits_be_below_the_checklist(
    tmp_path: Path, people: dict[str, Person], value: str
) -> None:
    made = signed_run(tmp_path, relaxed(), people)
    allows_relaxed(value)(made)
    assert answer(made).signed_off


def test_every_cause_has_a_case_and_advice() -> None:
    # Pages are above sign-off: test_pages.py.
    assert {case.cause for case in CASES.values()} == set(Cause) - {Cause.ALTERED_PAGE}
    assert set(ADVICE) == set(Cause)


def test_passes_without_ssh_keygen_for_ed25519_and_p256(
    tmp_path: Path, people: dict[str, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = signed_run(tmp_path / "signed", ready(), people, BOTH)
    found = answer(made)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert answer(made) == found
    assert found.signed_off


def test_fails_and_names_the_program_that_is_missing_for_rsa(
    tmp_path: Path, people: dict[str, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    rsa = person(tmp_path, f"{SEC}@example.org", "rsa")
    made = signed_run(tmp_path / "signed", ready(), people)
    made.lines[SEC] = rsa.line(SEC)
    made.write_policy()
    made.sign(SEC, by=rsa)
    assert answer(made).signed_off
    monkeypatch.setenv("PATH", str(tmp_path))
    found = answer(made)
    assert found.exit_code == 3
    assert any("ssh-keygen" in one.why for one in found.refusals if one.role == SEC)


def _certified(folder: Path, people: dict[str, Person], validity: str) -> tuple[SignedRun, Person]:
    ca = person(folder, "ca@example.org")
    holder = person(folder, f"{SEC}@example.org")
    made = unsigned_run(folder / "signed", ready(), people)
    made.lines[SEC] = ca.line(SEC, f"{SEC}@example.org", cert_authority=True)
    made.write_policy()
    for role in (DM, OPS, PM):
        made.sign(role)
    by = Person(holder.principal, certificate(ca, holder, holder.principal, validity))
    made.sign(SEC, by=by)
    return made, holder


def test_passes_when_a_certificate_signs(tmp_path: Path, people: dict[str, Person]) -> None:
    made, holder = _certified(tmp_path, people, "20261101Z:20261201Z")
    found = answer(made)
    assert found.refusals == ()
    line = subprocess.run(
        ["ssh-keygen", "-l", "-f", f"{holder.key}.pub"], capture_output=True, text=True
    ).stdout
    assert next(one.key for one in found.roles if one.role == SEC) == line.split()[1]


def test_fails_and_names_an_expired_certificate(tmp_path: Path, people: dict[str, Person]) -> None:
    made, _ = _certified(tmp_path, people, "20261001Z:20261101Z")
    assert causes(answer(made)) == {"expired-key", "open"}


def test_fails_and_names_a_revoked_certificate(tmp_path: Path, people: dict[str, Person]) -> None:
    made, holder = _certified(tmp_path, people, "always:forever")
    made.settings["revoked_keys"] = '"revoked"'
    public = holder.key.with_name(f"{holder.key.name}.pub")
    revocation_list(made.policy.with_name("revoked"), public)
    made.write_policy()
    assert "revoked-key" in causes(answer(made))


def test_a_key_in_two_certificates_is_one_key(tmp_path: Path, people: dict[str, Person]) -> None:
    ca = person(tmp_path, "ca@example.org")
    made = unsigned_run(tmp_path / "signed", ready(), people)
    for role in (SEC, PM):
        made.lines[role] = ca.line(role, f"{role}@example.org", cert_authority=True)
    made.write_policy()
    for role in (DM, OPS):
        made.sign(role)
    holder = person(tmp_path, "holder")
    for role in (SEC, PM):
        paper = certificate(ca, holder, f"{role}@example.org")
        made.sign(role, by=Person(f"{role}@example.org", paper))
    found = answer(made)
    assert causes(found) == {"not-distinct", "open"}
    assert {state(found, role) for role in (SEC, PM)} == {"refused"}


def test_one_key_in_two_formats_is_one_key(tmp_path: Path, people: dict[str, Person]) -> None:
    made = signed_run(tmp_path, ready(), people, roles=(DM, OPS, SEC))
    made.dsse_keys[f"{PM}@example.org"] = people[SEC]
    made.write_policy()
    for role in (DM, OPS, SEC):
        made.sign(role)
    made.sign(PM, by=people[SEC], formats=("dsse",))
    assert causes(answer(made)) == {"not-distinct", "open"}


def test_passes_when_the_policy_lets_one_person_hold_two_roles(
    tmp_path: Path, people: dict[str, Person]
) -> None:
    made = signed_run(tmp_path, ready(), people)
    made.settings["distinct_principals"] = "false"
    two_roles(made)
    assert answer(made).signed_off


@pytest.mark.parametrize("minutes", [-5, 5])
def test_passes_when_clocks_differ_by_five_minutes(
    tmp_path: Path, people: dict[str, Person], minutes: int
) -> None:
    made = unsigned_run(tmp_path, ready(), people)
    ended = datetime.fromisoformat(made.report.run.ended)
    for role in ROLES:
        made.sign(role, signedAt=(ended + timedelta(minutes=minutes)).isoformat())
    assert answer(made, ended).signed_off
    second = timedelta(seconds=1)
    for role in ROLES:
        skewed = ended + timedelta(minutes=minutes) + (second if minutes > 0 else -second)
        made.sign(role, signedAt=skewed.isoformat())
    assert causes(answer(made, ended)) == {"clock", "open"}


def test_passes_until_the_waived_day_is_over(tmp_path: Path, people: dict[str, Person]) -> None:
    made = signed_run(tmp_path, with_waivers(), people)
    assert answer(made, day(1, 12) - timedelta(seconds=1)).exit_code == 0
    assert answer(made, day(1, 12)).exit_code == 1


def test_the_worst_decides_the_exit_code(tmp_path: Path, people: dict[str, Person]) -> None:
    not_ready = ready(verdict=Verdict(name="NOT READY", exit_code=1, reasons=()))
    made = signed_run(tmp_path, not_ready, people, roles=(DM, OPS, PM))
    found = answer(made)
    assert (causes(found), found.exit_code) == ({"not-ready", "open"}, 1)
    made.signature(PM).unlink()
    found = answer(made)
    assert (causes(found), found.exit_code) == ({"not-ready", "open", "bad-signature"}, 3)


def test_a_lab_report_passes_when_the_policy_allows_it(
    tmp_path: Path, people: dict[str, Person]
) -> None:
    report = ready()
    report = msgspec.structs.replace(report, run=msgspec.structs.replace(report.run, lab=()))
    made = unsigned_run(tmp_path, report, people)
    made.settings["allow_lab"] = "true"
    made.write_policy()
    for role in ROLES:
        made.sign(role)
    assert answer(made).signed_off


def test_of_two_lines_for_a_key_the_one_that_was_signed_for_counts(
    tmp_path: Path, people: dict[str, Person]
) -> None:
    made = signed_run(tmp_path, ready(), people)
    text = made.allowed_signers.read_text()
    made.allowed_signers.write_text(people[SEC].line(SEC, valid_after="20200101Z") + "\n" + text)
    assert answer(made).signed_off


def test_an_expired_line_is_not_renewed_by_another_one(
    tmp_path: Path, people: dict[str, Person]
) -> None:
    made = unsigned_run(tmp_path, ready(), people)
    made.lines[SEC] = people[SEC].line(SEC, valid_before="20261101Z")
    made.write_policy()
    for role in ROLES:
        made.sign(role)
    assert causes(answer(made)) == {"expired-key", "open"}
    text = made.allowed_signers.read_text()
    made.allowed_signers.write_text(text.replace("20261101Z", "20271101Z"))
    assert causes(answer(made)) == {"other-policy", "open"}
    made.allowed_signers.write_text(f"{text}{people[SEC].line(SEC)}\n")
    assert causes(answer(made)) == {"other-policy", "open"}


def test_files_that_cannot_be_read_are_refused_not_raised(
    tmp_path: Path, people: dict[str, Person]
) -> None:
    made = signed_run(tmp_path, ready(), people)
    (made.run / "signoffs" / "x.statement.json").mkdir()
    made.jsonl.mkdir()
    found = answer(made)
    assert found.exit_code == 3
    assert sum("cannot be read" in one.why for one in found.refusals) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"pytest-readiness/report/v1"', b'"pytest-readiness/report/v2"'),
        (b'"2026-11-24T06:30:12.481Z"', b'"2026-11-24T06:30:12"'),
        (b'"expires": "2026-11-30"', b'"expires": "9999-12-31"'),
        (b'"expires": "2026-11-30"', b'"expires": "some day"'),
    ],
)
def test_fails_and_names_a_signed_file_that_is_no_report(
    tmp_path: Path, people: dict[str, Person], old: bytes, new: bytes
) -> None:
    made = unsigned_run(tmp_path, with_waivers(), people)
    path = made.run / "report.json"
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))
    for role in ROLES:
        made.sign(role)
    found = answer(made)
    assert (causes(found), found.exit_code) == ({"tampered-report"}, 3)


def test_a_pipe_is_not_waited_for(tmp_path: Path, people: dict[str, Person]) -> None:
    made = signed_run(tmp_path, ready(), people)
    os.mkfifo(made.path("auditor"))
    os.mkfifo(made.run / "signoffs" / "auditor.statement.json.sig")
    assert answer(made).exit_code == 3
