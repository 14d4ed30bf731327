"""What a report says of the end of its run, beside what its items say. Pure.

A run that was interrupted, whose modules could not be collected, or in which something else
failed, is not made good by its items passing: neither in a merge nor by a replay.

PYTEST_DONT_REWRITE
"""

from typing import NamedTuple

from pytest_readiness.results.model import Report, Verdict
from pytest_readiness.verdict.gathered import was_asked
from pytest_readiness.verdict.judge import (
    EXIT_INCOMPLETE,
    EXIT_NOT_READY,
    Code,
    broken_off,
    judge,
)

_BROKEN = (2, 3, 4)  # exit codes of pytest when it did not come to its end
# What a run says of its end and no item does; none of it goes with a gate that opens.
BESIDE = (
    Code.LOST,
    Code.KILLED,
    Code.UNTOLD,
    Code.BROKE_OFF,
    Code.NOT_COLLECTED,
    Code.FAILED_BESIDE,
    Code.NOT_WRITTEN,
    Code.ENDED,
)


class End(NamedTuple):
    """How a run ended.

    broke: not at its end. other: with another exit code than that of its items. beside: with
    reasons that its items do not give. said: in words. code: of the run, without its items.
    """

    broke: bool
    other: bool
    beside: bool
    said: str
    code: int

    def closes(self, verdict: Verdict) -> Verdict:
        """Return a verdict that is not better than this end."""
        failed = EXIT_NOT_READY in (self.code, verdict.exit_code)
        code = EXIT_NOT_READY if failed else EXIT_INCOMPLETE
        return broken_off(verdict, code, Code.ENDED, self.said)


def judged_again(report: Report, *, narrowed: str | None = None) -> Verdict:
    """Return the verdict that the items of a report give. narrowed: see `verdict.judge`."""
    asked = {item.id for item in report.items if was_asked(item)}
    return judge(
        report.items,
        selected={item.id for item in report.items} if report.run.shards else asked,
        missing=[id for id in report.completeness.missing if id in asked],
        narrowed=narrowed,
        waivers=report.waivers,
    )


def end_of(report: Report, *, narrowed: str | None = None) -> End:
    """Return how the run of a report ended. narrowed: see `verdict.judge`."""
    said = report.verdict
    merged = bool(report.run.shards)
    again = judged_again(report, narrowed=narrowed)
    # What the items do not give again is of the end, and so is a reason without a code.
    codes = said.why if len(said.why) == len(said.reasons) else ("",) * len(said.reasons)
    coded = zip(codes, said.reasons, strict=True)
    beside = [reason for code, reason in coded if code not in (*again.why, Code.NOT_OWED)]
    told = [f"run {report.run.id} ended with exit code {said.exit_code}"]
    if beside:
        # The reasons of a merge say themselves whose end it was.
        told = [*([] if merged else told), "; ".join(beside)]
    other = said.exit_code != again.exit_code
    return End(
        broke=said.exit_code in _BROKEN or Code.KILLED in said.why or bool(merged and beside),
        other=other,
        beside=bool(beside),
        said=": ".join(told),
        code=said.exit_code if other else EXIT_INCOMPLETE,
    )
