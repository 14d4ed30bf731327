"""`readiness render RUN`: rewrite the pages of a run from its report.json.

A run that was killed has none: it is made once, from the journal.

PYTEST_DONT_REWRITE
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_readiness.errors import ReadinessError
from pytest_readiness.results import model

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_readiness.results.model import Laid
    from pytest_readiness.verdict.journal import Head


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("run", type=Path, metavar="RUN", help="run directory")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML there as well")


def main(args: argparse.Namespace) -> int:
    """Write the pages, print their paths and return 0. Raises ReadinessError.

    A report.json that is there is never written: its bytes are what people sign.
    """
    from pytest_readiness.record.whole import write_whole
    from pytest_readiness.report import junit, write

    try:
        if not (args.run / model.FILES[0]).exists():
            _report_killed(args.run)
        written = list(write.render_files(args.run))
        if args.junit is not None:
            text = junit.render(model.read(args.run / model.FILES[0]))
            write_whole(args.junit, text.encode())
            written.append(args.junit)
    except OSError as error:
        raise ReadinessError(f"{args.run}: cannot write: {error}") from error
    for path in written:
        print(path)
    return 0


def _report_killed(run: Path) -> None:
    """Write the report that a killed run could not write. Raises ReadinessError, OSError."""
    from filelock import Timeout

    from pytest_readiness.record import locks
    from pytest_readiness.verdict import journal

    if not (run / journal.FILE).is_file():
        raise ReadinessError(
            f"{run / model.FILES[0]}: not a readable report: there is none, and no {journal.FILE}, "
            "which every run begins with"
        )
    try:
        lock = locks.take(run)
    except Timeout:
        raise ReadinessError(f"{run}: the run is still going") from None
    try:
        _write(run, (run / journal.FILE).read_bytes())
    finally:
        locks.leave(lock)


def _write(run: Path, lines: bytes) -> None:
    from pytest_readiness.record import locks
    from pytest_readiness.report import write
    from pytest_readiness.signoff import attest
    from pytest_readiness.verdict import journal

    if (run / model.FILES[0]).exists():  # the run ended while its lock was waited for
        return
    try:
        report = _with_facts(journal.rebuild(lines, partial(_lay, run)), run)
    except ReadinessError as error:
        raise ReadinessError(f"{run}: {error}") from error
    for path in run.glob(".report.*"):  # what it was writing when it was killed
        path.unlink()
    locks.clear(run)
    write.write_all(report, run)
    attest.write(run, None)
    there = report.completeness
    print(f"{run}: {journal.KILLED}: {report.verdict.name}")
    print(f"{there.reported} of {there.expected} items gave a result, the report names the others")


def _lay(run: Path, head: "Head", items: Sequence[model.Item], ended: "datetime") -> "Laid":
    from pytest_readiness.people import recorded
    from pytest_readiness.record.redact import Redactor
    from pytest_readiness.record.store import FactStore
    from pytest_readiness.settings import from_values

    settings = from_values(head.settings.values, origin=str(run), base=run)
    store = FactStore(run, Redactor(b""), deadline=None, recorded=True)
    return recorded.lay(items, settings, store, ended=ended)


def _with_facts(report: model.Report, run: Path) -> model.Report:
    """Return the report with what the folder of facts says of its target, and of its requests."""
    from msgspec.structs import replace

    from pytest_readiness.clock import begins
    from pytest_readiness.record.facts import digests
    from pytest_readiness.record.identity import identity, lab
    from pytest_readiness.record.redact import Redactor, redactions
    from pytest_readiness.record.store import FOLDER, FactStore
    from pytest_readiness.transport import traffic

    store = FactStore(run, Redactor(b""), deadline=None, recorded=True)
    shown = redactions(report.items, run / FOLDER)
    facts = digests(run)
    # The last answer may be there and what it was needed for not be judged.
    times = [report.run.ended, *(one.asked_at for one in facts if one.asked_at is not None)]
    return replace(
        report,
        run=replace(
            report.run,
            ended=max(times, key=begins),
            lab=lab(report.run.lab, store),
            redactions=shown,
        ),
        target=replace(report.target, identity=identity(store)),
        traffic=model.traffic(traffic.read(run / FOLDER)),
        facts=facts,
    )
