"""What a machine attests of a run, and of a complete sign-off."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_readiness.catalogue.words import Severity
from pytest_readiness.errors import ReadinessError
from pytest_readiness.report import write
from pytest_readiness.results import model
from pytest_readiness.results.evidence import Outcome
from pytest_readiness.signoff import attest
from pytest_readiness.signoff.ssh import sshsig
from tests.report import sample
from tests.signoff import desk, keys

SHA = sample.digest("report.json")


def stated(report: model.Report) -> Any:
    return json.loads(attest.test_result(report, SHA))


def predicate(report: model.Report) -> Any:
    return stated(report)["predicate"]


def test_has_the_form_of_the_predicate() -> None:
    report = desk.report()
    said = stated(report)
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert said["subject"][0] == {"name": "report.json", "digest": {"sha256": SHA}}
    assert [one["name"] for one in said["subject"][1:]] == [
        "registry.example.org/st-risk-platform",
        "commit",
    ]
    assert said["predicate"]["configuration"] == [
        {"name": "readiness.ini", "digest": {"sha256": report.settings.sha256}},
        {"name": "st-risk-platform", "digest": {"sha256": report.checklist.sha256}},
    ]


def test_is_the_same_bytes_each_time_and_ends_in_a_newline() -> None:
    assert attest.test_result(sample.full(), SHA) == attest.test_result(sample.full(), SHA)
    assert attest.test_result(sample.full(), SHA).endswith(b"}\n")


def test_each_outcome_is_in_its_list_and_what_does_not_apply_in_none() -> None:
    items = [
        sample.item("a"),
        sample.item("b", outcome=Outcome.FAIL),
        sample.item("c", outcome=Outcome.FAIL, severity=Severity.MINOR),
        sample.item("d", outcome=Outcome.FAIL, waiver=sample.WAIVER),
        sample.item("e", outcome=Outcome.ERROR),
        sample.item("f", outcome=Outcome.NOTCHECKED),
        sample.item("g", outcome=Outcome.NOTAPPLICABLE),
    ]
    owed = model.Completeness(expected=9, reported=6, missing=("f", "h"))
    said = predicate(desk.report(*items, verdict=desk.NOT_READY, completeness=owed))
    assert said["passedTests"] == ["a"]
    assert said["warnedTests"] == ["c", "d"]
    assert said["failedTests"] == ["b", "e", "f", "h"]
    assert said["result"] == "FAILED"


@pytest.mark.parametrize(
    ("name", "changes", "result"),
    [
        ("READY", {}, "PASSED"),
        ("READY", {"outcome": Outcome.NOTAPPLICABLE}, "PASSED"),
        ("READY", {"outcome": Outcome.FAIL, "severity": Severity.MINOR}, "WARNED"),
        ("READY WITH WAIVERS", {"outcome": Outcome.FAIL, "waiver": sample.WAIVER}, "WARNED"),
        ("READY WITH WAIVERS", {}, "WARNED"),
        ("READY", {"outcome": Outcome.ERROR}, "FAILED"),
        ("NOT READY", {}, "FAILED"),
        ("INCOMPLETE", {}, "FAILED"),
        ("PARTIAL", {}, "FAILED"),
        ("ready", {}, "FAILED"),
    ],
)
def test_result_follows_the_verdict(name: str, changes: dict[str, Any], result: str) -> None:
    verdict = model.Verdict(name=name, exit_code=0, reasons=())
    assert predicate(desk.report(sample.item(**changes), verdict=verdict))["result"] == result


def test_answers_of_the_lab_attest_nothing_of_an_image() -> None:
    lab = desk.report()
    lab = msgspec.structs.replace(lab, run=msgspec.structs.replace(lab.run, lab=()))
    assert [one["name"] for one in stated(lab)["subject"]] == ["report.json"]


def test_writes_the_statement_about_the_bytes_of_the_report(tmp_path: Path) -> None:
    write.write_all(desk.report(), tmp_path)
    attest.write(tmp_path, None)
    files = sorted(path.name for path in (tmp_path / "attestations").iterdir())
    assert files == ["test-result.statement.json"]
    said = json.loads((tmp_path / "attestations" / files[0]).read_bytes())
    sha256 = hashlib.sha256((tmp_path / "report.json").read_bytes()).hexdigest()
    assert said["subject"][0]["digest"] == {"sha256": sha256}


def test_signs_with_the_key_of_the_ci_and_ssh_keygen_accepts(tmp_path: Path) -> None:
    run, ci = tmp_path / "run", keys.person(tmp_path, "ci@example.org")
    write.write_all(desk.report(), run)
    attest.write(run, ci.key)
    data = (run / "attestations" / "test-result.statement.json").read_bytes()
    line = ci.line(None, namespaces="test-result@attestation.readiness")
    said = keys.keygen(
        "-Y", "verify", "-f", keys.allowed_signers(tmp_path, [line]), "-I", ci.principal,
        "-n", "test-result@attestation.readiness",
        "-s", run / "attestations" / "test-result.statement.json.sig", stdin=data,
    )  # fmt: skip
    assert b"Good" in said


def test_no_statement_of_a_run_is_one_of_a_role(tmp_path: Path) -> None:
    ci = keys.person(tmp_path, "ci@example.org")
    write.write_all(desk.report(), tmp_path / "run")
    attest.write(tmp_path / "run", ci.key)
    folder = tmp_path / "run" / "attestations"
    data = (folder / "test-result.statement.json").read_bytes()
    signature = (folder / "test-result.statement.json.sig").read_bytes()
    with pytest.raises(ReadinessError, match=r"not for 'security-lead@signoff\.readiness'"):
        sshsig.check(data, signature, sshsig.namespace("security-lead"))


def test_a_key_that_cannot_sign_is_an_error_that_leaves_no_statement(tmp_path: Path) -> None:
    write.write_all(desk.report(), tmp_path)
    with pytest.raises(ReadinessError, match="no-such-key"):
        attest.write(tmp_path, tmp_path / "no-such-key")
    assert not (tmp_path / "attestations").exists()


def test_a_directory_that_takes_no_file_is_named(tmp_path: Path) -> None:
    write.write_all(desk.report(), tmp_path)
    (tmp_path / "attestations").write_text("")
    with pytest.raises(ReadinessError, match=r"attestations/test-result\.statement\.json: cannot"):
        attest.write(tmp_path, None)


class TestSvr:
    @pytest.fixture
    def complete(self, tmp_path: Path) -> desk.Desk:
        found = desk.Desk(tmp_path, desk.people(tmp_path / "keys")).rule().has(desk.report())
        found.approve(*desk.ROLES)
        return found

    def test_is_written_by_the_signature_that_completes(self, complete: desk.Desk) -> None:
        said = json.loads(complete.files()["attestations/svr.statement.json"])
        policy = hashlib.sha256(complete.policy.read_bytes()).hexdigest()
        sha256 = hashlib.sha256((complete.run / "report.json").read_bytes()).hexdigest()
        assert said["predicateType"] == "https://in-toto.io/attestation/svr/v0.2"
        assert said["subject"][0] == {"name": "report.json", "digest": {"sha256": sha256}}
        assert len(said["subject"]) == 3
        verifier = said["predicate"]["verifier"]
        assert re.fullmatch(r"urn:pytest-readiness:verify:\d+\.\d+\S*", verifier["id"])
        assert verifier["policies"] == [{"name": "signoff.toml", "digest": {"sha256": policy}}]
        assert re.fullmatch(r"20\d\d-.*Z", said["predicate"]["timeCreated"])
        assert said["predicate"]["properties"] == [
            "READINESS_SIGNED_OFF",
            "READINESS_APPROVED_DEPLOYMENT_MANAGER",
            "READINESS_APPROVED_OPERATIONS_LEAD",
            "READINESS_APPROVED_SECURITY_LEAD",
            "READINESS_APPROVED_PRODUCT_MANAGER",
        ]

    def test_goes_when_a_role_rejects_afterwards(self, complete: desk.Desk) -> None:
        code, said = complete.sign("security-lead", "--yes", "--decision", "rejected")
        assert code == 0, said
        assert "attestations/svr.statement.json" not in complete.files()

    def test_is_refused_while_a_role_is_open(self, tmp_path: Path) -> None:
        found = desk.Desk(tmp_path, desk.people(tmp_path / "keys")).rule().has(desk.report())
        from pytest_readiness.signoff import policy

        with pytest.raises(ReadinessError, match="not signed off"):
            attest.write_svr(found.run, policy.load(found.policy), found.verified())
