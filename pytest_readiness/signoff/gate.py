"""Whether a pipeline may go on: the exit code of a finished run, from what it left. Offline.

The process of a run is not asked: it may have been killed, or another plugin may have ended it as
it liked. What report.json says is held against its own items, the checklist of this version, the
digest that the run attested, and the moment.

PYTEST_DONT_REWRITE
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from pytest_readiness import catalogue
from pytest_readiness.clock import begins
from pytest_readiness.errors import ReadinessError
from pytest_readiness.results import model
from pytest_readiness.settings.sections import MAX_AGE
from pytest_readiness.signoff import attest, report_state
from pytest_readiness.verdict.end import BESIDE, judged_again
from pytest_readiness.verdict.judge import EXIT_INCOMPLETE, PARTIAL, Code, named
from pytest_readiness.written.keys import DURATION, BadValue, Where

NO_VERDICT = "NO VERDICT"
_EXIT_CODES = range(7)  # of a run; a shell takes 256 for 0


class Answer(NamedTuple):
    """What a run says. said: why, a sentence each. about: of the report, a sentence each."""

    name: str
    exit_code: int
    said: tuple[str, ...]
    about: tuple[str, ...] = ()


def gate(run: Path, at: datetime, max_age: timedelta | None = None) -> Answer:
    """Return the verdict of a run as of a moment, NO VERDICT where its report cannot be trusted.

    max_age: of the end of the run; None for that of its readiness.ini, 24 h where it names none.
    """
    try:
        data = report_state.read(run)
        report = report_state.decode(data)
        attested = attest.attested(run)
        oldest = max_age or _max_age(report)
    except ReadinessError as error:
        return Answer(NO_VERDICT, EXIT_INCOMPLETE, (str(error),))
    sha256 = hashlib.sha256(data).hexdigest()
    about = [f"ended {report.run.ended}", f"sha256:{sha256}", _attestation(attested)]
    if report.run.lab is not None:
        about.append("the answers are those of the lab")
    problems = [*_of_its_run(report, oldest, at), *_of_its_items(report), *_of_its_verdict(report)]
    problems += [why for _, why in report_state.ended(report, at)]
    if attested not in (None, sha256):
        problems.insert(0, "report.json is not the report that its run attested")
    if problems:
        return Answer(NO_VERDICT, EXIT_INCOMPLETE, tuple(problems), tuple(about))
    verdict = report.verdict
    return Answer(verdict.name, verdict.exit_code, verdict.reasons, tuple(about))


def _max_age(report: model.Report) -> timedelta:
    written = report.settings.values.get("readiness", {}).get("max_age")
    if written is None:
        return MAX_AGE
    try:
        age: timedelta = DURATION.parse(written, Where(Path(), resolve=False))
    except BadValue as error:
        raise ReadinessError(f"report.json: settings: max_age: {error}") from error
    return age


def _attestation(attested: str | None) -> str:
    if attested is None:
        return f"no {attest.FOLDER}/{attest.STATEMENT}: nothing says that these are the run's bytes"
    return f"{attest.FOLDER}/{attest.STATEMENT} names these bytes"


def _of_its_run(report: model.Report, max_age: timedelta, at: datetime) -> Iterator[str]:
    if why := report_state.age(report, max_age, at, "max_age"):
        yield why
    if begins(report.run.ended) < begins(report.run.started):
        yield f"the run ended {report.run.ended}, before it began: its clock went back"


def _of_its_items(report: model.Report) -> Iterator[str]:
    """Yield where the items are not those that are owed, or have no result that counts."""
    ids = Counter(item.id for item in report.items)
    if twice := [id for id, times in ids.items() if times > 1]:
        yield f"more than once among the items: {named(twice)}"
    if report.checklist.sha256 != catalogue.sha256():
        yield "its checklist is another one than that of this version: what is owed is not known"
    owed = {item.id: item.severity for item in catalogue.for_phase(report.target.phase)}
    if not owed:
        yield f"the checklist has no phase {report.target.phase!r}"
    gone = [*owed, *report.settings.values.get("own_checks", {})]
    if gone := [id for id in gone if id not in ids]:
        yield f"owed, and not among the items: {named(gone)}"
    if other := [
        item.id for item in report.items if item.severity != owed.get(item.id, item.severity)
    ]:
        yield f"of another severity than in the checklist: {named(other)}"
    if bare := [item.id for item in report.items if item.is_unproven]:
        yield f"passed without evidence: {named(bare)}"
    there = report.completeness
    if there.expected != len(report.items) or there.reported + len(there.missing) != there.expected:
        yield f"it counts {there.reported} of {there.expected} items, and has {len(report.items)}"


def _of_its_verdict(report: model.Report) -> Iterator[str]:
    """Yield where a verdict that opens the gate is not that of the items."""
    said = report.verdict
    if said.exit_code not in _EXIT_CODES:
        yield f"no run ends with exit code {said.exit_code}"
    if said.exit_code != 0:
        return
    again = judged_again(report)
    if (again.name, again.exit_code) != (said.name, said.exit_code):
        yield (
            f"it says {said.name} (exit code {said.exit_code}), and its items {again.name} "
            f"(exit code {again.exit_code}): {'; '.join(again.reasons)}"
        )
    if closing := [code for code in said.why if code in (*BESIDE, Code.NARROWED)]:
        yield f"it says {said.name}, and how the run ended: {', '.join(closing)}"
    if report.run.partial is not (said.name == PARTIAL):
        yield f"it says {said.name}, and {'' if report.run.partial else 'not '}that it is a part"
    if said.name != PARTIAL:
        yield from report_state.contradictions(report)
