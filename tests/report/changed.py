"""Pairs of reports between which something changed."""

from typing import Any

import msgspec

from pytest_readiness.errors import Why
from pytest_readiness.report import changes_text
from pytest_readiness.report.changes import Changes, State
from pytest_readiness.results.evidence import Outcome
from pytest_readiness.results.model import Item, Report, Verdict
from tests.report import sample

READY = Verdict(name="READY", exit_code=0, reasons=("every item passes",))
NOT_READY = Verdict(name="NOT READY", exit_code=1, reasons=("1 blocker fails: k8s-nodes",))
PARTIAL = Verdict(name="PARTIAL", exit_code=0, reasons=("a selection",))

STATES: dict[State | None, dict[str, Any]] = {
    State.PASS: {},
    State.FAIL: {"outcome": Outcome.FAIL},
    State.WAIVED: {"outcome": Outcome.FAIL, "waiver": sample.WAIVER},
    State.ERROR: {"outcome": Outcome.ERROR, "reason": "refused"},
    State.NOTCHECKED: {
        "outcome": Outcome.NOTCHECKED,
        "why": Why.NO_CHECK,
        "reason": "no check yet",
    },
    State.NOTAPPLICABLE: {"outcome": Outcome.NOTAPPLICABLE, "reason": "no schema"},
    State.NOT_SELECTED: {
        "outcome": Outcome.NOTCHECKED,
        "why": Why.NOT_SELECTED,
        "reason": "not selected",
    },
}
EVERY = [*STATES, None]


def of(*items: Item, **fields: Any) -> Report:
    """Return a report of production, READY and without waivers unless told otherwise."""
    base = sample.production(sample.report(items))
    return msgspec.structs.replace(base, **{"verdict": READY, "waivers": (), **fields})


def only(state: State | None, **fields: Any) -> Report:
    """Return a report of one item in that state, None: without it."""
    return of(*() if state is None else (sample.item(**STATES[state]),), **fields)


def with_target(report: Report, **fields: Any) -> Report:
    return msgspec.structs.replace(report, target=msgspec.structs.replace(report.target, **fields))


def with_run(report: Report, **fields: Any) -> Report:
    return msgspec.structs.replace(report, run=msgspec.structs.replace(report.run, **fields))


def text(found: Changes, width: int = 100) -> str:
    return "\n".join(changes_text.lines(found, width))
