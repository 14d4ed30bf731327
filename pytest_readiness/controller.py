"""The side that gathers: one process of a run, and the only one that writes.

It knows from the catalogue what is owed, so that what a worker lost, an option left out or a
conftest removed is missing by name.

PYTEST_DONT_REWRITE
"""

import json
import os
import shutil
import signal
import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import pytest
from filelock import FileLock, Timeout

from pytest_readiness.catalogue import CatalogueItem
from pytest_readiness.report import model
from pytest_readiness.run import Context
from pytest_readiness.runner import PROPERTY, Sent
from pytest_readiness.selection import ROOT
from pytest_readiness.store import FOLDER

TOLD = ".own.json"  # in the folder of facts: the project's own checks, as workers collected them


class Controller:
    """Hooks that gather results and end in a report.

    items: of the catalogue, for the phase. selected: ids that the command line names. own: what
    is known of the project's own checks beforehand.
    """

    def __init__(
        self,
        context: Context,
        items: Sequence[CatalogueItem],
        selected: Sequence[str],
        own: Sequence[Sent],
    ) -> None:
        self.context = context
        self.items = items
        self.selected = selected
        self.results = {sent.id: sent.result for sent in own if sent.result}
        self.declared: dict[str, dict[str, str]] = {}  # id -> what its check says of itself
        self.own = {sent.id: sent for sent in own}
        self.own_selected = set(self.own)
        # own id -> node id of each of its cases -> whether it gave a result
        self.cases: dict[str, dict[str, bool]] = {}
        self.told = False  # whether the project's own checks are known, also those not run
        self.lost: dict[str, str] = {}  # node id -> why its worker gave no result
        self.item_failures = 0  # of the failures that pytest counts, those of items
        self.other_failures: list[str] = []  # node ids of failures that no item stands for
        self.broken: list[str] = []  # modules that could not be collected
        self.report: model.Report | None = None
        self._process = os.getpid()
        self._before: Any = None  # what SIGTERM did before
        self._journal = open(context.directory / "journal.jsonl", "a", encoding="utf-8")  # noqa: SIM115
        self._log({"run": context.plan.id, "selected": list(selected)})

    @pytest.hookimpl
    def pytest_sessionstart(self) -> None:
        """End a run that is asked to terminate as one that is interrupted: with a report."""
        if threading.current_thread() is threading.main_thread():  # only there may it be asked
            self._before = signal.signal(signal.SIGTERM, _interrupt)

    @pytest.hookimpl
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Give back what was taken."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
        self._journal.close()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a new worker the plan of the run."""
        node.workerinput[PROPERTY] = msgspec.json.encode(self.context.plan).decode()

    def expect(self, own: Sequence[Sent]) -> None:
        """Know the project's own checks by name, whether or not a result follows."""
        self.told = True
        for sent in own:
            self.own.setdefault(sent.id, sent)
            self.cases.setdefault(sent.id, {}).setdefault(sent.nodeid, False)
            if sent.selected:
                self.own_selected.add(sent.id)

    def lacking(self, id: str) -> list[str]:
        """Return the node ids of the cases of an own check that gave no result."""
        return [nodeid for nodeid, done in self.cases.get(id, {}).items() if not done]

    @pytest.hookimpl
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what could not be collected."""
        if report.failed:
            self.broken.append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a result off a report; of several for one item the worst stands."""
        sent = _sent(report)
        if sent is None:
            self._without_result(report)
            return
        if sent.declared is not None:
            self.declared[sent.id] = sent.declared
        if sent.own:
            self.own[sent.id] = sent
            self.own_selected.add(sent.id)
            cases = self.cases.setdefault(sent.id, {})
            cases[sent.nodeid] = cases.get(sent.nodeid, False) or sent.result is not None
        if report.failed:
            self.item_failures += 1
        if sent.result is not None:
            known = self.results.get(sent.id)
            self.results[sent.id] = known.worst(sent.result) if known else sent.result
            self._log(json.loads(msgspec.json.encode(sent.result)))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Write the report when every plugin has ended, and say how the run ends."""
        result = yield
        if os.getpid() != self._process:  # a child that a check forked and did not end
            return result
        from pytest_readiness.assemble import assemble
        from pytest_readiness.finish import write_run
        from pytest_readiness.verdict import broken_off

        self._clear_up()
        report = assemble(self, session)
        failure = write_run(report, self.context.directory, session.config)
        if failure is not None:  # what nobody can read is not ready
            verdict = broken_off(report.verdict, pytest.ExitCode.INTERNAL_ERROR.value, failure)
            report = msgspec.structs.replace(report, verdict=verdict)
        self.report = report
        session.exitstatus = report.verdict.exit_code
        return result

    def _clear_up(self) -> None:
        """Read what workers left for this process, and remove it with locks and marks."""
        facts = self.context.directory / FOLDER
        if (facts / TOLD).exists():
            self.expect(msgspec.json.decode((facts / TOLD).read_bytes(), type=list[Sent]))
        for path in facts.glob(".*"):
            path.unlink()

    def _without_result(self, report: pytest.TestReport) -> None:
        if report.when not in ("setup", "call", "teardown"):
            # What xdist makes up for the test that a dead worker was running.
            worker = getattr(getattr(report, "node", None), "gateway", None)
            self.lost[report.nodeid] = f"worker {getattr(worker, 'id', '?')} was lost"
        if report.failed and report.nodeid.startswith(f"{ROOT}/"):
            self.item_failures += 1
        elif report.failed:
            self.other_failures.append(report.nodeid)

    def _log(self, record: dict[str, Any]) -> None:
        # Kept on disk at once: what a killed run had judged is not lost with it.
        self._journal.write(json.dumps(record, sort_keys=True, ensure_ascii=False) + "\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())


def _sent(report: pytest.TestReport) -> Sent | None:
    for name, value in report.user_properties:
        if name == PROPERTY:
            return msgspec.json.decode(str(value), type=Sent)
    return None


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(f"signal {signal.Signals(number).name}")


def prepare(directory: Path) -> FileLock:
    """Remove what an earlier run left, so that none of it can be taken for this one's.

    Returns a lock that keeps other runs out of the directory: they would judge this one's facts.
    Raises pytest.UsageError when the directory cannot be written, is in use, or holds a signed
    report or facts that no run has left there.
    """
    if (directory / "signoffs").exists():
        raise pytest.UsageError(
            f"{directory} holds a signed report: name another with --readiness-report"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(directory / ".run.lock")
        lock.acquire(timeout=0)
        if (directory / FOLDER).exists() and not (directory / "journal.jsonl").exists():
            raise pytest.UsageError(
                f"{directory / FOLDER} is not of a run and would be removed: name another "
                "directory with --readiness-report"
            )
        for name in (*model.FILES, "journal.jsonl"):
            (directory / name).unlink(missing_ok=True)
        if (directory / FOLDER).exists():
            shutil.rmtree(directory / FOLDER)
        (directory / FOLDER).mkdir()
        (directory / "journal.jsonl").touch()
    except Timeout:
        raise pytest.UsageError(
            f"another run is writing to {directory}: name another with --readiness-report"
        ) from None
    except OSError as error:
        raise pytest.UsageError(
            f"the report cannot be written to {directory}: {error.strerror or error}"
        ) from error
    return lock
