"""What a machine says of a run: in-toto statements for other tools, beside the people's signatures.

`test-result/v0.1` after each run, `svr/v0.2` when the sign-off is complete; predicates as in
https://github.com/in-toto/attestation/tree/main/spec/predicates.

PYTEST_DONT_REWRITE
"""

import hashlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from pytest_readiness.catalogue.words import Severity
from pytest_readiness.errors import ReadinessError
from pytest_readiness.record.whole import write_whole
from pytest_readiness.results import model
from pytest_readiness.results.evidence import Outcome
from pytest_readiness.signoff import files, report_state, statement
from pytest_readiness.signoff.policy import Policy
from pytest_readiness.signoff.ssh import sshsig
from pytest_readiness.signoff.verify import Verification
from pytest_readiness.verdict import judge

FOLDER, STATEMENT = model.ATTESTATIONS, "test-result.statement.json"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
SVR = "https://in-toto.io/attestation/svr/v0.2"
NAMESPACE = "test-result@attestation.readiness"
VERIFIER = "urn:pytest-readiness:verify"


class _Attested(msgspec.Struct, frozen=True):
    subject: tuple[statement.Subject, ...]


def write(run: Path, ci_key: Path | None) -> None:
    """Write attestations/test-result.statement.json of a run, and its .sig when there is a key.

    Raises ReadinessError when the report cannot be read, a file not be written or the key not sign.
    """
    report, sha256 = _report(run)
    data = test_result(report, sha256)
    signature = None
    if ci_key is not None:
        signature = sshsig.sign(data, NAMESPACE, ci_key, ())
        sshsig.check(data, signature, NAMESPACE)
    _put(run, STATEMENT, data)
    if signature is not None:
        _put(run, f"{STATEMENT}.sig", signature)


def attested(run: Path) -> str | None:
    """Return the digest of the report that a run attests, None where it has left no statement.

    Raises ReadinessError for one that cannot be read.
    """
    path = run / FOLDER / STATEMENT
    try:
        return _subject(path.read_bytes(), path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ReadinessError(f"{path}: cannot be read: {error}") from error


def _subject(data: bytes, path: Path) -> str:
    """Return the digest of the report that a statement names. path: of it, for the message."""
    try:
        said = msgspec.json.decode(data, type=_Attested)
        return next(one.digest["sha256"] for one in said.subject if one.name == model.FILES[0])
    except (ValueError, RecursionError, KeyError, StopIteration) as error:
        raise ReadinessError(f"{path}: cannot be read: {error}") from error


def check(run: Path, sha256: str, *, signed: bool) -> None:
    """Hold a report against what its run attested of it. sha256: of report.json, hexadecimal.

    signed: whether a run of its settings signs. A signature that is there must be good in any case,
    by whatever key it carries. Raises ReadinessError.
    """
    path = run / FOLDER / STATEMENT
    signature = path.with_name(f"{path.name}.sig")
    data = _left(path)
    if _subject(data, path) != sha256:
        raise ReadinessError(f"{run / model.FILES[0]}: it is not the report that its run attested")
    if signed or signature.exists():
        armored = _left(signature)
        try:
            sshsig.check(data, armored, NAMESPACE)
        except ReadinessError as error:
            raise ReadinessError(f"{signature}: {error}") from error


def _left(path: Path) -> bytes:
    try:
        return files.read(path)
    except files.Unreadable as error:
        raise ReadinessError(
            f"{path}: cannot be read: {error.why}; a run leaves it: take its whole directory"
        ) from error


def write_svr(run: Path, policy: Policy, verification: Verification) -> Path:
    """Write attestations/svr.statement.json of a complete sign-off; return its path.

    Raises ReadinessError when the sign-off is not complete, or the file cannot be written.
    """
    report, sha256 = _report(run)
    if not verification.signed_off or verification.report_sha256 != sha256:
        raise ReadinessError(f"{run}: not signed off, so there is nothing to attest")
    return _put(run, "svr.statement.json", svr(report, policy, verification))


def withdraw_svr(run: Path) -> None:
    """Remove attestations/svr.statement.json, which a new signature may make untrue.

    Raises ReadinessError.
    """
    path = run / FOLDER / "svr.statement.json"
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ReadinessError(f"{path}: cannot be removed: {error.strerror}") from error


def test_result(report: model.Report, sha256: str) -> bytes:
    """Return the statement of what the run found. sha256: of the bytes of report.json.

    Answers of the lab say nothing of an image or a commit, so the report is then the only subject.
    """
    subjects = statement.subjects(report, sha256)
    passed, warned, failed = _tests(report)
    predicate = {
        "result": _result(report, warned, failed),
        "configuration": [
            {"name": "readiness.ini", "digest": {"sha256": report.settings.sha256}},
            {"name": report.checklist.id, "digest": {"sha256": report.checklist.sha256}},
        ],
        "passedTests": passed,
        "warnedTests": warned,
        "failedTests": failed,
    }
    lab = report.run.lab is not None
    return _encoded(subjects[:1] if lab else subjects, TEST_RESULT, predicate)


def svr(report: model.Report, policy: Policy, verification: Verification) -> bytes:
    """Return the statement that a complete sign-off was verified, by which policy and when."""
    roles = [role.role for role in verification.roles if role.state == "signed"]
    predicate = {
        "verifier": {
            "id": f"{VERIFIER}:{version('pytest-readiness')}",
            "policies": [{"name": policy.path.name, "digest": {"sha256": policy.sha256}}],
        },
        "timeCreated": verification.at,
        "properties": ["READINESS_SIGNED_OFF", *map(_property, roles)],
    }
    return _encoded(statement.subjects(report, verification.report_sha256), SVR, predicate)


def _tests(report: model.Report) -> tuple[list[str], list[str], list[str]]:
    # What does not apply is in no list: the predicate has none for it.
    passed, warned, failed = [], [], []
    for item in report.items:
        match item.outcome:
            case Outcome.PASS:
                passed.append(item.id)
            case Outcome.FAIL if item.waiver or item.severity is Severity.MINOR:
                warned.append(item.id)
            case Outcome.FAIL | Outcome.ERROR | Outcome.NOTCHECKED:
                failed.append(item.id)
    listed = {item.id for item in report.items}
    return (
        passed,
        warned,
        [*failed, *(id for id in report.completeness.missing if id not in listed)],
    )


def _result(report: model.Report, warned: list[str], failed: list[str]) -> str:
    if failed or report.verdict.name not in (judge.READY, judge.READY_WITH_WAIVERS):
        return "FAILED"
    waived = report.verdict.name == judge.READY_WITH_WAIVERS
    return "WARNED" if warned or waived else "PASSED"


def _property(role: str) -> str:
    return "READINESS_APPROVED_" + "".join(_letters(role.upper()))


def _letters(text: str) -> Iterator[str]:
    return (sign if sign.isalnum() else "_" for sign in text)


def _encoded(subjects: tuple[statement.Subject, ...], kind: str, predicate: Any) -> bytes:
    said = {
        "_type": statement.STATEMENT,
        "subject": subjects,
        "predicateType": kind,
        "predicate": predicate,
    }
    return msgspec.json.format(msgspec.json.encode(said, order="sorted"), indent=2) + b"\n"


def _report(run: Path) -> tuple[model.Report, str]:
    data = report_state.read(run)  # once: report and digest are of the same bytes
    return report_state.decode(data), hashlib.sha256(data).hexdigest()


def _put(run: Path, name: str, data: bytes) -> Path:
    path = run / FOLDER / name
    try:
        path.parent.mkdir(exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        raise ReadinessError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path
