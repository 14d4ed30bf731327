"""Runs that must be refused: every cause of docs/signoff.md at least once, and for whom."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from pytest_readiness.results.evidence import Finding, Outcome
from pytest_readiness.results.model import (
    Completeness,
    Declared,
    FactDigest,
    Relaxed,
    Report,
    Shard,
    Verdict,
    WaiverState,
)
from pytest_readiness.signoff.refusals import Cause
from tests.report import sample
from tests.signoff.runs import AT, SignedRun, ready, with_waivers
from tests.signoff.spoil import (
    FACT,
    OPS,
    PM,
    SEC,
    allows_relaxed,
    alone,
    another_image,
    another_payload_type,
    another_release,
    by_an_editor,
    edited,
    expired,
    fact_is_a_folder,
    impersonated,
    impersonated_by_dsse,
    key_twice,
    lent,
    line_edited,
    namespace_not_allowed,
    no_dsse_key,
    nobody_accepts,
    not_of_the_role,
    not_yet_valid,
    nothing,
    of_another_kind,
    of_another_report,
    one_key,
    optional_rejects,
    policy_edited,
    put_back,
    put_back_at_once,
    revoked_by_krl,
    revoked_by_text,
    revoked_for_dsse,
    same_moment,
    signature_of_another,
    signs,
    ssh_taken_away,
    stray,
    superseded_edited,
    two_roles,
    two_signatures,
    unknown_role,
    unsigned,
    with_crlf,
    without_comment_type,
    without_commit,
    without_limits,
    without_line,
    writes_fact,
)


class Case(NamedTuple):
    """spoil: makes a fully signed run into a refused one. role: to whom the refusal belongs.

    words: of its `why`. formats: of the signatures.
    """

    cause: Cause
    spoil: Callable[[SignedRun], Any]
    role: str | None
    words: str
    report: Callable[[], Report] = ready
    at: datetime = AT
    formats: tuple[str, ...] = ("sshsig",)


def day(number: int, month: int = 11, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, month, number, hour, minute, tzinfo=UTC)


def _verdict(name: str) -> Callable[[], Report]:
    return lambda: ready(verdict=Verdict(name=name, exit_code=1, reasons=("1 fails: k8s-nodes",)))


def _items(**changes: Any) -> Callable[[], Report]:
    return lambda: msgspec.structs.replace(ready(), items=(sample.item(**changes),))


def _declared() -> Report:
    return ready(declarations=tuple(_until(one) for one in sample.DECLARATIONS))


def _until(declared: Declared) -> Declared:
    return msgspec.structs.replace(declared, expires="2026-11-27")


def _lab() -> Report:
    base = ready()
    return msgspec.structs.replace(base, run=msgspec.structs.replace(base.run, lab=()))


def relaxed() -> Report:
    """Return a report with two limits below the checklist."""
    left_out = Relaxed(
        section="not_applicable", key="k8s-storage", value="no disks", checklist="judged"
    )
    nodes = Relaxed(section="kubernetes", key="min_nodes", value="1", checklist="3")
    return ready(relaxed=(nodes, left_out))


def replay() -> Report:
    base = ready()
    return msgspec.structs.replace(base, run=msgspec.structs.replace(base.run, replay="r1"))


def with_fact(**changes: Any) -> Report:
    """Return a report that names one fact, as FACT is; changes: of what it says of it."""
    digest = hashlib.sha256(FACT).hexdigest()
    fact = FactDigest(name="facts/k8s_nodes.json", sha256=digest, asked_at="2026-11-24T06:30:02Z")
    return ready(facts=(msgspec.structs.replace(fact, **changes),))


def _merged(folder: str, ended: str = "2026-11-24T06:30:12.481Z") -> Report:
    """Return a merge of one run, s1, whose fact lies in a folder."""
    base = with_fact(name=f"facts/{folder}/k8s_nodes.json")
    shard = Shard(id="s1", environment="e", ended=ended, sha256=sample.digest("s1"), selection="")
    return msgspec.structs.replace(base, run=msgspec.structs.replace(base.run, shards=(shard,)))


def _missing() -> Report:
    return ready(completeness=Completeness(expected=3, reported=2, missing=("k8s-storage",)))


def _fewer() -> Report:
    return ready(completeness=Completeness(expected=3, reported=2, missing=()))


def _unsigned() -> Report:
    word = msgspec.structs.replace(
        sample.DECLARATIONS[0], item="k8s-nodes", signed=False, expires="2027-01-01"
    )
    return ready(declarations=(word,))


def _one_waived() -> Report:
    """Return a report in which one of two findings is waived."""
    waiver = msgspec.structs.replace(sample.WAIVER, finding="backup/daily")
    findings = tuple(Finding(f"backup/{name}", "is too old") for name in ("daily", "weekly"))
    item = sample.item("ch-backup", outcome=Outcome.FAIL, waiver=waiver, findings=findings)
    return with_waivers(items=(item,), waivers=(sample.listed(waiver),))


def _waived(**changes: Any) -> Callable[[], Report]:
    return lambda: with_waivers(**changes)


def _listed(**changes: Any) -> Callable[[], Report]:
    """Return the report whose item is waived, and in whose list the waiver has the changes."""
    listed = tuple(msgspec.structs.replace(one, **changes) for one in with_waivers().waivers)
    return _waived(waivers=listed)


def _partial() -> Report:
    base = ready()
    return msgspec.structs.replace(base, run=msgspec.structs.replace(base.run, partial=True))


_STATEMENT = f"signoffs/{SEC}.statement.json"
_SIG = f"{_STATEMENT}.sig"

CASES = {
    "not ready": Case(
        Cause.NOT_READY, nothing, None, "NOT READY: 1 fails: k8s-nodes", _verdict("NOT READY")
    ),
    "partial": Case(Cause.NOT_READY, nothing, None, "PARTIAL", _verdict("PARTIAL")),
    "incomplete": Case(Cause.NOT_READY, nothing, None, "INCOMPLETE", _verdict("INCOMPLETE")),
    "a pass without evidence": Case(
        Cause.NOT_READY, nothing, None, "passing without evidence: k8s-nodes", _items()
    ),
    "a pass that examined nothing": Case(
        Cause.NOT_READY,
        nothing,
        None,
        "passing without evidence: k8s-nodes",
        _items(evidence=(sample.proof(examined=()),)),
    ),
    "an error inside": Case(
        Cause.NOT_READY,
        nothing,
        None,
        "not asked: k8s-nodes",
        _items(outcome=Outcome.ERROR, reason="unreachable"),
    ),
    "a fail inside": Case(
        Cause.NOT_READY,
        nothing,
        None,
        "failing without a waiver: k8s-nodes",
        _items(outcome=Outcome.FAIL),
    ),
    "a waiver inside": Case(
        Cause.NOT_READY,
        nothing,
        None,
        "failing under a waiver: k8s-nodes",
        _items(outcome=Outcome.FAIL, waiver=sample.WAIVER),
    ),
    "no result": Case(Cause.NOT_READY, nothing, None, "without a result: k8s-storage", _missing),
    "fewer results": Case(Cause.NOT_READY, nothing, None, "2 of 3 items gave a result", _fewer),
    "unsigned declaration": Case(
        Cause.NOT_READY, nothing, None, "declared without the signature", _unsigned
    ),
    "one finding waived": Case(
        Cause.NOT_READY, nothing, None, "do not cover all that is found: ch-backup", _one_waived
    ),
    "no items": Case(Cause.NOT_READY, nothing, None, "there are no items", lambda: ready(items=())),
    "nothing applies": Case(
        Cause.NOT_READY,
        nothing,
        None,
        "there are no items that apply",
        _items(outcome=Outcome.NOTAPPLICABLE, reason="no cluster"),
    ),
    "a selection": Case(Cause.NOT_READY, nothing, None, "it is of a selection", _partial),
    "ended with an error": Case(
        Cause.NOT_READY,
        nothing,
        None,
        "ended with exit code 1",
        lambda: ready(verdict=Verdict(name="READY", exit_code=1, reasons=("a plugin failed",))),
    ),
    "a waiver that is not used": Case(
        Cause.NOT_READY,
        nothing,
        None,
        "under a waiver that is not among the used ones: ch-backup",
        _listed(state=WaiverState.EXPIRED),
    ),
    "a waiver that ends earlier": Case(
        Cause.NOT_READY,
        nothing,
        None,
        "not among the used ones: ch-backup",
        _listed(expires="2026-11-29"),
    ),
    "a waiver of another item": Case(
        Cause.NOT_READY,
        nothing,
        None,
        "not among the used ones: ch-disk",
        _waived(items=(sample.item("ch-disk", outcome=Outcome.FAIL, waiver=sample.WAIVER),)),
    ),
    "a waiver of what passes": Case(
        Cause.NOT_READY,
        nothing,
        None,
        "not among the used ones: ch-disk",
        lambda: ready(items=(sample.item("ch-disk", waiver=sample.WAIVER),), waivers=()),
    ),
    "no waiver is used": Case(
        Cause.NOT_READY,
        nothing,
        None,
        "no waiver is used",
        _waived(items=ready().items, waivers=()),
    ),
    "replay": Case(Cause.REPLAY, nothing, None, "a replay of run r1", replay),
    "replay is not said": Case(
        Cause.REPLAY, nothing, None, "does not say whether", lambda: ready(facts=None)
    ),
    "fact altered": Case(
        Cause.ALTERED_FACT,
        writes_fact(b'{"asked_at": "2026-11-24T06:30:01Z", "answer": 3}'),
        None,
        "facts/k8s_nodes.json: it is not the fact",
        with_fact,
    ),
    "fact of another run": Case(
        Cause.ALTERED_FACT,
        writes_fact(FACT, "facts/k8s_pods.json"),
        None,
        "facts/k8s_pods.json: the run recorded no such fact",
        with_fact,
    ),
    "fact is a folder": Case(
        Cause.ALTERED_FACT,
        fact_is_a_folder,
        None,
        "facts/k8s_nodes.json: it is no file",
        with_fact,
    ),
    "fact of another moment than is said": Case(
        Cause.ALTERED_FACT,
        writes_fact(FACT),
        None,
        "it is not the fact",
        lambda: with_fact(asked_at="2026-11-24T06:30:03Z"),
    ),
    "fact before the run": Case(
        Cause.FOREIGN_FACT,
        nothing,
        None,
        "it was asked 2026-11-24T06:24:59Z",
        lambda: with_fact(asked_at="2026-11-24T06:24:59Z"),
    ),
    "fact after the run": Case(
        Cause.FOREIGN_FACT,
        nothing,
        None,
        "it was asked 2026-11-24T06:30:13Z",
        lambda: with_fact(asked_at="2026-11-24T06:30:13Z"),
    ),
    "fact of no time": Case(
        Cause.FOREIGN_FACT, nothing, None, "does not say when", lambda: with_fact(asked_at=None)
    ),
    "fact of no shard": Case(
        Cause.FOREIGN_FACT, nothing, None, "of no run that was merged", lambda: _merged("s2")
    ),
    "fact after its shard": Case(
        Cause.FOREIGN_FACT,
        nothing,
        None,
        "went on from 2026-11-24T06:30:00.000Z to 2026-11-24T06:30:01Z",
        lambda: _merged("s1", ended="2026-11-24T06:30:01Z"),
    ),
    "relaxed": Case(
        Cause.RELAXED,
        allows_relaxed("false"),
        None,
        "[kubernetes] min_nodes, [not_applicable] k8s-storage",
        relaxed,
    ),
    "relaxed beside the list": Case(
        Cause.RELAXED,
        allows_relaxed('["min_nodes"]'),
        None,
        "allow_relaxed: [not_applicable] k8s-storage",
        relaxed,
    ),
    "relaxed is not said": Case(
        Cause.RELAXED,
        allows_relaxed("[]"),
        None,
        "does not say which limits",
        lambda: ready(relaxed=None),
    ),
    "fewer limits": Case(
        Cause.ANOTHER_RELEASE, signs(relaxedLimits=1), SEC, "names 1 limits", relaxed
    ),
    "limits are not spoken of": Case(
        Cause.ANOTHER_RELEASE, signs(without_limits), SEC, "names 0 limits", relaxed
    ),
    "lab": Case(Cause.LAB, nothing, None, "the lab", _lab),
    "too old": Case(Cause.TOO_OLD, nothing, None, "max_report_age", at=day(1, 12, 6, 31)),
    "from the future": Case(Cause.TOO_OLD, nothing, None, "after", at=day(24, 11, 6, 25)),
    "waiver expired": Case(
        Cause.WAIVER_EXPIRED,
        nothing,
        None,
        "ch-backup ended 2026-11-30",
        with_waivers,
        day(1, 12),
    ),
    "declaration expired": Case(
        Cause.DECLARATION_EXPIRED,
        nothing,
        None,
        "training-operations ended 2026-11-27",
        _declared,
        day(28),
    ),
    "open": Case(Cause.OPEN, unsigned, SEC, "nobody has signed"),
    "line deleted": Case(Cause.OPEN, without_line, SEC, "nobody has signed", formats=("dsse",)),
    "rejected": Case(Cause.REJECTED, signs(decision="rejected", comment="not yet"), SEC, "not yet"),
    "rejected by an optional role": Case(
        Cause.REJECTED, optional_rejects, "auditor", "auditor@example.org rejects"
    ),
    "two roles": Case(Cause.NOT_DISTINCT, two_roles, SEC, f"{PM}@example.org stands for"),
    "one key": Case(Cause.NOT_DISTINCT, one_key, SEC, "one key stands for"),
    "policy edited": Case(Cause.OTHER_POLICY, policy_edited, SEC, "signoff.toml"),
    "line edited": Case(Cause.OTHER_POLICY, line_edited, SEC, "line 3 of allowed_signers"),
    "waivers not accepted": Case(
        Cause.OTHER_WAIVERS, signs(decision="approved"), SEC, "without its waivers", with_waivers
    ),
    "fewer waivers": Case(
        Cause.OTHER_WAIVERS,
        signs(acceptedWaivers=[]),
        SEC,
        "not those of the report",
        with_waivers,
    ),
    "no waivers to accept": Case(
        Cause.OTHER_WAIVERS, signs(decision="approved-with-waivers"), SEC, "the report has none"
    ),
    "nobody may accept": Case(
        Cause.OTHER_WAIVERS, nobody_accepts, None, "nobody may accept", with_waivers
    ),
    "who may accept is missing": Case(
        Cause.OTHER_WAIVERS, unsigned, None, "security-lead must approve", with_waivers
    ),
    "signed in the future": Case(
        Cause.CLOCK, signs(signedAt="2026-11-24T12:05:01Z"), SEC, "later than"
    ),
    "signed before the run": Case(
        Cause.CLOCK, signs(signedAt="2026-11-24T06:25:00Z"), SEC, "before the run ended"
    ),
    "put back at once": Case(Cause.SUPERSEDED, put_back_at_once, SEC, "superseded/"),
    "put back": Case(Cause.SUPERSEDED, put_back, SEC, "superseded/"),
    "report edited": Case(
        Cause.TAMPERED_REPORT,
        edited(lambda data: data.replace(b'"2.4.1"', b'"2.4.1" ')),
        SEC,
        "not the file that was signed",
    ),
    "report with CRLF": Case(
        Cause.TAMPERED_REPORT, edited(with_crlf), SEC, "not the file that was signed"
    ),
    "report by an editor": Case(
        Cause.TAMPERED_REPORT, edited(by_an_editor), SEC, "not the file that was signed"
    ),
    "report and a line end": Case(
        Cause.TAMPERED_REPORT,
        edited(lambda data: data + b"\n"),
        SEC,
        "not the file that was signed",
    ),
    "report is none": Case(
        Cause.TAMPERED_REPORT, edited(lambda data: data[:-5]), None, "not a report"
    ),
    "a key of the report twice": Case(
        Cause.TAMPERED_REPORT, key_twice, None, "'name' stands in it twice"
    ),
    "another report": Case(
        Cause.ANOTHER_REPORT, signs(of_another_report), SEC, "about another report"
    ),
    "another release": Case(Cause.ANOTHER_RELEASE, signs(another_release), SEC, "2.3.0"),
    "another verdict": Case(
        Cause.ANOTHER_RELEASE, signs(verdict="READY WITH WAIVERS"), SEC, "verdict"
    ),
    "another image": Case(Cause.ANOTHER_RELEASE, signs(another_image), SEC, "subjects"),
    "no commit": Case(Cause.ANOTHER_RELEASE, signs(without_commit), SEC, "subjects"),
    "statement is none": Case(
        Cause.MALFORMED_STATEMENT, edited(lambda _: b"{", _STATEMENT), SEC, _STATEMENT
    ),
    "another predicate": Case(Cause.MALFORMED_STATEMENT, signs(of_another_kind), SEC, _STATEMENT),
    "a field of another type": Case(
        Cause.MALFORMED_STATEMENT, signs(without_comment_type), SEC, _STATEMENT
    ),
    "no comment": Case(Cause.MALFORMED_STATEMENT, signs(comment=None), SEC, "comment"),
    "no such decision": Case(Cause.MALFORMED_STATEMENT, signs(decision="maybe"), SEC, _STATEMENT),
    "lent": Case(Cause.MALFORMED_STATEMENT, lent, SEC, f"is one of {PM}"),
    "statement edited": Case(
        Cause.TAMPERED_STATEMENT,
        edited(lambda data: data.replace(b'"comment": ""', b'"comment": "x"'), _STATEMENT),
        SEC,
        "not one over these bytes",
    ),
    "envelope of another payload": Case(
        Cause.TAMPERED_STATEMENT, signature_of_another, SEC, "", formats=("dsse",)
    ),
    "two of one moment": Case(Cause.TAMPERED_STATEMENT, same_moment, SEC, "same moment"),
    "superseded edited": Case(
        Cause.TAMPERED_STATEMENT, superseded_edited, SEC, "signoffs/superseded/"
    ),
    "no signature": Case(Cause.BAD_SIGNATURE, alone, SEC, "no signature"),
    "ssh taken away": Case(
        Cause.BAD_SIGNATURE, ssh_taken_away, SEC, "missing", formats=("sshsig", "dsse")
    ),
    "signature is none": Case(
        Cause.BAD_SIGNATURE, edited(lambda _: b"x\n", _SIG), SEC, "cannot be read"
    ),
    "stray signature": Case(Cause.BAD_SIGNATURE, stray, SEC, "belongs to no statement"),
    "two signatures": Case(
        Cause.BAD_SIGNATURE, two_signatures, None, "line 3 of", formats=("dsse",)
    ),
    "another payload type": Case(
        Cause.BAD_SIGNATURE, another_payload_type, None, "line 3 of", formats=("dsse",)
    ),
    "another namespace": Case(Cause.WRONG_NAMESPACE, signs(namespace=OPS), SEC, OPS),
    "namespace not allowed": Case(Cause.WRONG_NAMESPACE, namespace_not_allowed, SEC, "line 3"),
    "unknown role": Case(Cause.UNKNOWN_PRINCIPAL, unknown_role, "auditor", "has no role auditor"),
    "not of the role": Case(
        Cause.UNKNOWN_PRINCIPAL, not_of_the_role, SEC, f"{PM}@example.org is not one of {SEC}"
    ),
    "impersonated": Case(
        Cause.UNKNOWN_PRINCIPAL, impersonated, SEC, "no line of allowed_signers has the key"
    ),
    "impersonated by DSSE": Case(
        Cause.TAMPERED_STATEMENT, impersonated_by_dsse, SEC, "", formats=("dsse",)
    ),
    "no DSSE key": Case(
        Cause.UNKNOWN_PRINCIPAL, no_dsse_key, SEC, "dsse_keys has no key", formats=("dsse",)
    ),
    "expired key": Case(Cause.EXPIRED_KEY, expired, SEC, "until 2026-11-01"),
    "key not yet valid": Case(Cause.EXPIRED_KEY, not_yet_valid, SEC, "from 2026-12-25"),
    "revoked by a list": Case(Cause.REVOKED_KEY, revoked_by_text, SEC, "revoked revokes"),
    "revoked by a KRL": Case(Cause.REVOKED_KEY, revoked_by_krl, SEC, "revoked revokes"),
    "revoked for DSSE": Case(
        Cause.REVOKED_KEY, revoked_for_dsse, SEC, "revoked revokes", formats=("dsse",)
    ),
}
