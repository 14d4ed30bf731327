"""The journal of a run: a line for all that is known at its start, then one for each result.

What a killed run had judged is not lost with it: `rebuild` makes the report that it could not
write. Pure, and imports no pytest.

PYTEST_DONT_REWRITE
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias

import msgspec

from pytest_readiness.clock import begins
from pytest_readiness.errors import ReadinessError, Why
from pytest_readiness.results import model
from pytest_readiness.results.model import Laid
from pytest_readiness.verdict.gathered import Gathered, Lack, Sent
from pytest_readiness.verdict.judge import (
    EXIT_INCOMPLETE,
    EXIT_NOT_READY,
    Code,
    broken_off,
    completeness,
    judge,
    with_reason,
)
from pytest_readiness.verdict.relaxed import relaxed

SCHEMA = "pytest-readiness/journal/v1"
FILE = model.JOURNAL

UNTOLD = "not known: the checks of the project, of which none had been collected yet"
KILLED = "the run was killed before it ended"
NOT_RUN = Lack(Why.KILLED, "not run: the run was killed")


class Head(msgspec.Struct, frozen=True, kw_only=True, tag="head", tag_field="line"):
    """The first line: all of the report that does not depend on results.

    at: when it was written. run: as it stands then, its `ended` is not to be taken for the end.
    items: of the phase, without results. selected: ids that the command line names. own: the
    project's own checks as far as they are known beforehand. narrowed: see `verdict.judge`.
    owed: see `Gathered`.
    """

    schema: str = SCHEMA
    at: str
    tool: model.Tool
    run: model.Run
    target: model.Target
    checklist: model.Digest
    settings: model.SettingsUsed
    items: tuple[model.Item, ...]
    selected: tuple[str, ...]
    own: tuple[Sent, ...]
    narrowed: str | None
    owed: tuple[Sent, ...] = ()


class Own(msgspec.Struct, frozen=True, kw_only=True, tag="own", tag_field="line"):
    """The project's own checks, a line when they are collected; at: when."""

    at: str
    own: tuple[Sent, ...]


class Result(msgspec.Struct, frozen=True, kw_only=True, tag="result", tag_field="line"):
    """What one run of one check gave; at: when the controller got it."""

    at: str
    sent: Sent


Line: TypeAlias = Head | Own | Result


def encode(line: Line) -> bytes:
    """Return the line as it is written, with its end."""
    return msgspec.json.encode(line) + b"\n"


Lay: TypeAlias = Callable[[Head, Sequence[model.Item], datetime], Laid]


def _nothing_written(head: Head, items: Sequence[model.Item], ended: datetime) -> Laid:
    return Laid(items=tuple(items))


def rebuild(data: bytes, lay: Lay = _nothing_written) -> model.Report:
    """Return the report of a run that was killed, from the bytes of its journal; never READY.

    lay: lays what people wrote over the items, as of the end of the run. The target has no
    identity and the redactions count those of items alone: both are of the facts, which are not
    in the journal. A last line without its end was being written and does not count. Raises
    ReadinessError naming the line for any other that cannot be read.
    """
    head, *lines = _read(data)
    if not isinstance(head, Head):
        raise ReadinessError(f"{FILE}:1: not the first line of a journal")
    gathered = Gathered(head.target.phase, head.items, head.selected, head.own, head.owed)
    for number, line in enumerate(lines, 2):
        match line:
            case Own():
                gathered.expect(line.own)
            case Result():
                gathered.take(line.sent)
            case Head():
                raise ReadinessError(f"{FILE}:{number}: a second first line")
    ended = (lines or [head])[-1].at
    try:
        moment = begins(ended)
    except ValueError as error:
        raise ReadinessError(f"{FILE}:{len(lines) + 1}: {error}") from error
    laid = lay(head, gathered.items(lambda nodeid: NOT_RUN), moment)
    return _report(head, gathered, laid, ended)


def _report(head: Head, gathered: Gathered, laid: Laid, ended: str) -> model.Report:
    items = laid.items
    verdict = judge(
        items,
        selected=set(gathered.chosen),
        missing=[id for id in gathered.chosen if id not in gathered.reported],
        narrowed=head.narrowed,
        waivers=laid.waivers,
    )
    if not gathered.told:
        verdict = with_reason(verdict, Code.UNTOLD, UNTOLD)
    code = EXIT_NOT_READY if verdict.exit_code == EXIT_NOT_READY else EXIT_INCOMPLETE
    verdict = broken_off(verdict, code, Code.KILLED, KILLED)
    return model.Report(
        schema=model.SCHEMA,
        tool=head.tool,
        run=msgspec.structs.replace(head.run, ended=ended, partial=verdict.name == "PARTIAL"),
        target=head.target,
        checklist=head.checklist,
        settings=head.settings,
        items=items,
        waivers=laid.waivers,
        declarations=laid.declarations,
        completeness=completeness(items, gathered.reported),
        verdict=verdict,
        relaxed=relaxed(head.settings.values, items),
    )


def _read(data: bytes) -> Sequence[Line]:
    *lines, _torn = data.split(b"\n")
    if not lines:
        raise ReadinessError(f"{FILE}: the run was killed before it began: nothing was asked")
    read: list[Line] = []
    for number, line in enumerate(lines, 1):
        try:
            read.append(msgspec.json.decode(line, type=Line))
        except (ValueError, RecursionError) as error:  # msgspec's are ValueErrors
            raise ReadinessError(f"{FILE}:{number}: not a line of a journal: {error}") from error
        if isinstance(read[0], Head) and read[0].schema != SCHEMA:
            raise ReadinessError(
                f"{FILE}: schema {read[0].schema!r}, this version reads {SCHEMA!r}"
            )
    return read
