"""The facts of a run held against its report: docs/signoff.md, Verification.

PYTEST_DONT_REWRITE
"""

from pathlib import Path

from pytest_readiness.record.facts import Flaw, flaws
from pytest_readiness.results import model
from pytest_readiness.signoff.refusals import Cause, Refusal
from pytest_readiness.verdict.judge import named

_CAUSES = {Flaw.ALTERED: Cause.ALTERED_FACT, Flaw.OUTSIDE: Cause.FOREIGN_FACT}


def held(report: model.Report, run: Path) -> tuple[list[Refusal], list[str]]:
    """Return a refusal for each fact that is not of the run, and in words what cannot be held."""
    found = list(flaws(report, run))
    refusals = [
        Refusal(cause=_CAUSES[one.flaw], why=f"{one.name}: {one.why}")
        for one in found
        if one.flaw in _CAUSES
    ]
    notes = []
    if report.facts is None:
        notes.append("the facts, of which the report has no digests")
    if missing := [one.name for one in found if one.flaw is Flaw.MISSING]:
        notes.append(f"facts that are not in the run directory, {named(missing)}")
    return refusals, notes
