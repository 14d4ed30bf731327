"""The side that runs checks, in a worker or in the only process: from exception to result.

Judgement is made of what was raised and of the notebook, never of the report that other plugins
may have changed. What leaves this process is redacted here.

PYTEST_DONT_REWRITE
"""

from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import pytest
from _pytest.outcomes import Failed, Skipped, XFailed
from msgspec.structs import replace

from pytest_readiness.catalogue.words import Safety
from pytest_readiness.checklist.check import DECLARED, CheckMeta, NotApplicable
from pytest_readiness.clock import rfc3339
from pytest_readiness.errors import (
    NotChecked,
    NothingExamined,
    NotJsonSafe,
    ProbeError,
    Why,
    first_line,
    told,
)
from pytest_readiness.results.evidence import Evidence, EvidenceRecord, ItemResult, Outcome
from pytest_readiness.run.calling import Returned, raised_by_check
from pytest_readiness.run.collect import ByWord, Judged, Unjudged, check_of, item_id
from pytest_readiness.run.context import Context
from pytest_readiness.run.fixtures import EVIDENCE
from pytest_readiness.verdict.gathered import Sent

# The node id that was collected: pytest-xdist appends to it under --dist loadgroup.
NODEID = pytest.StashKey[str]()
_ATTEMPTS = pytest.StashKey[dict[str, ItemResult]]()


class Runner:
    """Hooks around each check."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @pytest.hookimpl
    def pytest_unconfigure(self) -> None:
        """Forget the checks of this run: another one in this process declares its own."""
        DECLARED.clear()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Refuse a module of checks that skips itself."""
        report = yield
        if report.skipped and _holds_checks(collector):
            said = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
            report.outcome = "failed"
            clean = self._context.redactor.text
            report.longrepr = clean(f"a module of checks may not skip itself: {said}")
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Refuse, before any question, what the settings do not let this run check."""
        id = item_id(item)
        if id is None:
            return
        settings = self._context.settings
        if id in settings.not_applicable:
            raise NotApplicable(settings.not_applicable[id], Why.INI)
        if id in settings.elsewhere:
            where = settings.elsewhere[id]
            raise NotChecked(Why.ELSEWHERE, f"judged by a run of {where}: `readiness merge`")
        if isinstance(item, Unjudged):
            return
        meta = check_of(item)
        if meta is not None and _rank(meta.safety) > _rank(settings.readiness.safety):
            ceiling = settings.readiness.safety
            raise NotChecked(Why.SAFETY, f"needs {meta.safety}, the ceiling is {ceiling}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Refuse to judge an answer that is none: no fixture of a check may be None."""
        if item_id(item) is None or not isinstance(item, pytest.Function):
            return
        for name in item._fixtureinfo.argnames:
            if item.funcargs.get(name) is None:
                reason = f"fixture {name} gave None: that is no answer"
                raise NotChecked(Why.NO_ANSWER, reason)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put our result on pytest's report."""
        report = yield
        id = item_id(item)
        if id is not None:
            result = self._result(item, id, call)
            worst = _with_attempts(item, call.when, result) if result else None
            self._rewrite(
                report, item, result, sent_of(item, id, worst, self._context.redactor.text)
            )
        return report

    def _result(self, item: pytest.Item, id: str, call: pytest.CallInfo[None]) -> ItemResult | None:
        raised = call.excinfo.value if call.excinfo else None
        if raised is None and call.when != "call":
            return None
        evidence = item.stash.get(EVIDENCE, Evidence())
        if isinstance(raised, NotApplicable) and not self._may_not_apply(item, id, raised):
            raised = NotChecked(
                Why.SKIPPED, f"{raised.reason}: said outside of the check's own call"
            )
        judged = _judge(raised, evidence, call.when)
        result = ItemResult(
            id=id,
            outcome=judged.outcome,
            why=judged.why,
            reason=_utf8(judged.reason),
            advice=_utf8(judged.advice),
            cause=_utf8(judged.cause),
            findings=tuple(evidence.findings),
            evidence=self._records(item, evidence, call),
            nodeid=item.nodeid,
            duration=round(call.duration, 6),
        )
        return self._redacted(result)

    def _redacted(self, result: ItemResult) -> ItemResult:
        """Return the result without secrets. When and how long are measured here, and are none."""
        nowhen = {"asked_at": "", "duration": 0.0}
        untimed = replace(
            result,
            duration=0.0,
            evidence=tuple(replace(record, **nowhen) for record in result.evidence),
        )
        said = self._context.redactor.json(msgspec.to_builtins(untimed))
        clean = msgspec.convert(said, ItemResult)
        records = zip(clean.evidence, result.evidence, strict=True)
        return replace(
            clean,
            duration=result.duration,
            evidence=tuple(
                replace(record, asked_at=timed.asked_at, duration=timed.duration)
                for record, timed in records
            ),
        )

    def _may_not_apply(self, item: pytest.Item, id: str, raised: NotApplicable) -> bool:
        if raised.why is Why.INI:
            return id in self._context.settings.not_applicable
        return raised_by_check(item, raised)

    def _records(
        self, item: pytest.Item, evidence: Evidence, call: pytest.CallInfo[None]
    ) -> tuple[EvidenceRecord, ...]:
        if not isinstance(item, pytest.Function):
            return ()
        names = item._fixtureinfo.argnames
        asked = [self._context.store.record(name) for name in names]
        records = [
            EvidenceRecord(
                source=record.source,
                question=record.question,
                command=record.command,
                asked_at=record.asked_at,
                duration=record.duration,
                fact=record.path,
            )
            for record in asked
            if record is not None
        ]
        if not records and evidence.subjects:
            own = ", ".join(name for name in names if name != "evidence")
            records = [
                EvidenceRecord(
                    source=f"fixtures of the project: {own or 'none'}",
                    question=item.originalname,
                    command=f"pytest '{item.nodeid}'",
                    asked_at=rfc3339(datetime.fromtimestamp(call.start, UTC)),
                    duration=round(call.duration, 6),
                    fact=None,
                )
            ]
        return _with_notebook(records, evidence)

    def _rewrite(
        self, report: pytest.TestReport, item: pytest.Item, result: ItemResult | None, sent: Sent
    ) -> None:
        report.user_properties.append(
            (self._context.plan.carrier, msgspec.json.encode(sent).decode())
        )
        if hasattr(report, "wasxfail"):
            del report.wasxfail
        if result is None:
            return
        report.outcome = _PYTEST[result.outcome]
        if result.outcome is Outcome.PASS:
            report.longrepr = None
        elif result.outcome is Outcome.NOTAPPLICABLE:
            path, line, _ = item.reportinfo()
            report.longrepr = (str(path), (line or 0) + 1, f"Skipped: {result.reason}")
        else:
            report.longrepr = summary(result)


_PYTEST: dict[Outcome, Any] = {
    Outcome.PASS: "passed",
    Outcome.FAIL: "failed",
    Outcome.ERROR: "failed",
    Outcome.NOTCHECKED: "failed",
    Outcome.NOTAPPLICABLE: "skipped",
}


def summary(result: ItemResult) -> str:
    """Return a result as text: a line a finding, else one line."""
    if result.findings:
        return "\n".join(f"{found.subject}: {found.problem}" for found in result.findings)
    return f"{result.outcome}: {result.reason}"


def _with_attempts(item: pytest.Item, when: str, result: ItemResult) -> ItemResult:
    """Return the worst of all attempts at a phase: a plugin may run it again and tell the last."""
    attempts = item.stash.setdefault(_ATTEMPTS, {})
    known = attempts.get(when)
    attempts[when] = result = known.worst(result) if known else result
    return result


class _Judged(NamedTuple):
    outcome: Outcome
    why: str | None = None
    reason: str | None = None
    advice: str | None = None
    cause: str | None = None


def _judge(raised: BaseException | None, evidence: Evidence, when: str) -> _Judged:
    match raised:
        case None | NotApplicable() if evidence.findings:
            return _Judged(Outcome.FAIL)
        case None:
            lacking = evidence.missing()
            if lacking:
                reason = f"passed without evidence: nothing {', nothing '.join(lacking)}"
                return _Judged(Outcome.NOTCHECKED, Why.NO_EVIDENCE, reason)
            return _Judged(Outcome.PASS)
        case NotApplicable():
            return _Judged(Outcome.NOTAPPLICABLE, raised.why, raised.reason)
        case NotChecked():
            return _Judged(Outcome.NOTCHECKED, raised.why, str(raised))
        case NothingExamined():
            return _Judged(Outcome.NOTCHECKED, Why.NOTHING_EXAMINED, str(raised))
        case ProbeError():
            reason = f"{raised.target}: {raised.question}: {raised.kind}: {raised.cause}"
            return _Judged(Outcome.ERROR, raised.kind.code, reason, raised.advice, reason)
        case Skipped():
            reason = f"skipped ({raised.msg}): only not_applicable() ends a check early"
            return _Judged(Outcome.NOTCHECKED, Why.SKIPPED, reason)
        case XFailed():
            reason = "xfail: a check is not expected to fail"
            return _Judged(Outcome.NOTCHECKED, Why.XFAIL, reason)
        case AssertionError() | Failed() if when == "call":
            text = None if evidence.findings else first_line(raised) or "the assertion is false"
            return _Judged(Outcome.FAIL, None, text)
        case Returned():
            return _Judged(Outcome.ERROR, Why.DEFECT, str(raised), "Correct the check.")
        case NotJsonSafe():
            return _Judged(Outcome.ERROR, Why.DEFECT, str(raised), "Correct the check.")
        case _:
            reason = f"{when} broke: {told(raised)}"
            advice = "This is a defect of the check or its fixtures."
            return _Judged(Outcome.ERROR, Why.DEFECT, reason, advice)


def _with_notebook(records: list[EvidenceRecord], evidence: Evidence) -> tuple[EvidenceRecord, ...]:
    # The notebook is one for the check: it stands with the first question, the main one.
    if not records:
        return ()
    first = replace(
        records[0],
        examined=tuple(evidence.subjects),
        observed=evidence.observations,
        expected=evidence.expectations,
    )
    return (first, *records[1:])


def sent_of(
    item: pytest.Item,
    id: str,
    result: ItemResult | None,
    clean: Callable[[str], str],
    *,
    selected: bool = True,
) -> Sent:
    """Return what the controller is told of an item. clean: takes secrets out of a text."""
    return Sent(
        id=id,
        result=result,
        declared=_declared(item, clean),
        own=not isinstance(item, Judged | Unjudged | ByWord),
        module=clean(item.path.stem.removeprefix("test_")),
        nodeid=item.stash.setdefault(NODEID, item.nodeid),
        selected=selected,
    )


def _declared(item: pytest.Item, clean: Callable[[str], str]) -> dict[str, str] | None:
    meta = check_of(item)
    return said_of(meta, clean) if meta else None


def said_of(meta: CheckMeta, clean: Callable[[str], str]) -> dict[str, str]:
    """Return what a check says of itself, as text without secrets."""
    return {name: clean(str(getattr(meta, name))) for name in CheckMeta.__slots__}


def _utf8(text: str | None) -> str | None:
    """Return the text with lone surrogates, which no JSON holds, as escapes."""
    return text and text.encode(errors="backslashreplace").decode()


def _holds_checks(collector: pytest.Collector) -> bool:
    module = isinstance(collector, pytest.Module) and collector.path.is_file()
    return module and b"pytest_readiness" in collector.path.read_bytes()


def _rank(safety: Safety) -> int:
    return list(Safety).index(safety)
