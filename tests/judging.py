"""One check judged on what the probes answer, as a run does it."""

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec

from pytest_readiness.checklist.discovery import checks
from pytest_readiness.errors import NothingExamined, ProbeError
from pytest_readiness.results.evidence import Evidence, Outcome
from pytest_readiness.targets import questions, targets


class Judged(NamedTuple):
    """What became of a check. error: why it could not be judged."""

    outcome: Outcome
    evidence: Evidence
    error: ProbeError | NothingExamined | None = None


@cache
def items(target: str) -> dict[str, tuple[Callable[..., None], tuple[str, ...]]]:
    """Return the items that are judged on a target's answers: the check, and what it asks for."""
    asked = {name for name, (of, _) in questions().items() if of.name == target}
    found = {}
    for id, check in checks().items():
        names = tuple(inspect.signature(check.function).parameters)
        if asked.intersection(names):
            found[id] = check.function, names
    return found


def judge_item(target: str, id: str, client: Any, limits: object) -> Judged:
    """Put the questions of an item's check to the client, and judge."""
    of, (check, names) = targets()[target], items(target)[id]
    probe = of.probe()
    asks = [getattr(probe, questions()[name][1].name) for name in names if name in questions()]
    return judge(check, asks, client, *([limits] if of.limits in names else []))


def judge(
    check: Callable[..., None],
    asks: Sequence[Callable[[Any], object]],
    client: Any,
    *limits: object,
) -> Judged:
    """Put the questions, send each fact through the record of a run, and judge."""
    evidence = Evidence()
    try:
        facts = [recorded(ask(client)) for ask in asks]
    except ProbeError as error:
        return Judged(Outcome.ERROR, evidence, error)
    try:
        check(*facts, *limits, evidence)
    except NothingExamined as error:
        return Judged(Outcome.ERROR, evidence, error)
    except AssertionError:
        return Judged(Outcome.FAIL, evidence)
    assert evidence.missing() == []
    return Judged(Outcome.PASS, evidence)


def recorded(fact: Any) -> Any:
    """Send a fact through JSON, as the store of a run does."""
    again = msgspec.json.decode(msgspec.json.encode(fact), type=type(fact))
    assert again == fact
    return again
