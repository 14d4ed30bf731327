"""The side that gathers: one process of a run, and the only one that writes.

It knows from the catalogue what is owed, so that what a worker lost, an option left out or a
conftest removed is missing by name.

PYTEST_DONT_REWRITE
"""

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
from pytest_readiness.catalogue.words import Severity
from pytest_readiness.clock import now, rfc3339
from pytest_readiness.errors import told
from pytest_readiness.people import recorded
from pytest_readiness.record import locks
from pytest_readiness.record.store import FOLDER
from pytest_readiness.record.whole import write_whole
from pytest_readiness.results import model
from pytest_readiness.run.command_line import place
from pytest_readiness.run.context import Context, Seen
from pytest_readiness.transport import traffic
from pytest_readiness.verdict import journal
from pytest_readiness.verdict.gathered import Gathered, Sent, blank

PLAN = "readiness"  # in what xdist tells a worker
# What a run writes, clears or looks for in its directory.
_OURS = (
    locks.RUN,
    journal.FILE,
    *model.FILES,
    FOLDER,
    model.ATTESTATIONS,
    model.SIGNOFFS,
    model.ENVELOPES,
)
TOLD = ".own.json"  # in the folder of facts: the project's own checks, as workers collected them


class Controller(Gathered):
    """Hooks that gather results and end in a report.

    items: of the catalogue, for the phase. selected: ids that the command line names. own: what
    is known of the project's own checks beforehand. owed: see `Gathered`.
    """

    def __init__(
        self,
        context: Context,
        config: pytest.Config,
        items: Sequence[CatalogueItem],
        selected: Sequence[str],
        own: Sequence[Sent],
        owed: Sequence[Sent],
    ) -> None:
        from pytest_readiness.run.assemble import head

        phase = context.settings.readiness.phase
        super().__init__(phase, [blank(item, place(item)) for item in items], selected, own, owed)
        self._places = {item.id: item.nodeid for item in self.blank}
        self.context = context
        self.seen = Seen()
        self.report: model.Report | None = None
        self._process = os.getpid()
        self._before: Any = None  # what SIGTERM did before
        self._journal = (context.directory / journal.FILE).open("ab", buffering=0)
        # Whether the command line leaves all checks of the project to be collected.
        self._whole = config.args_source is not pytest.Config.ArgsSource.ARGS
        self._forks = config.pluginmanager.has_plugin("pytest_forked")
        self.head = head(self, context, config)
        try:
            self._log(self.head)
        except OSError as error:
            raise _unwritable(context.directory, error) from error

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
        node.workerinput[PLAN] = msgspec.json.encode(self.context.plan).decode()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self) -> None:
        """Know the project's own checks before the first of them runs."""
        self._read_told()

    def expect(self, own: Sequence[Sent]) -> None:
        """Know the project's own checks by name, whether or not a result follows."""
        super().expect(own)
        self._log(journal.Own(at=rfc3339(now()), own=tuple(own)))
        self._refuse_wrong_waivers()

    def _refuse_wrong_waivers(self) -> None:
        if self.seen.broken:  # a waiver may be of a check in there
            return
        # Not before, for a waiver may be of a check of the project; and still before any question.
        context = self.context
        own = {sent.id: Severity((sent.declared or {})["severity"]) for sent in self.own.values()}
        problems = recorded.waiver_problems(
            context.settings, context.store, own, known_only=not self._whole
        )
        if problems:
            self.seen.refused = "; ".join(problems)
            raise pytest.UsageError("\n".join(problems))

    @pytest.hookimpl
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what could not be collected."""
        if report.failed:
            self.seen.broken.append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a result off a report; of several for one item the worst stands."""
        sent = self._sent(report)
        if sent is None:
            self._without_result(report)
            return
        self.take(sent)
        if report.failed:
            self.seen.item_failures += 1
        if sent.result is not None:
            self._log(journal.Result(at=rfc3339(now()), sent=sent))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Write the report when every plugin has ended, and say how the run ends.

        One that breaks there, as JUnit does that cannot be written, keeps no other from its report.
        """
        result: object = None
        broken: Exception | None = None
        try:
            result = yield
        except Exception as error:
            broken = error
        if os.getpid() != self._process:  # a child that a check forked and did not end
            return result
        from pytest_readiness.run.assemble import assemble
        from pytest_readiness.run.outputs import write_run
        from pytest_readiness.verdict.judge import Code, broken_off

        self._clear_up()
        report = assemble(self, self.seen, self.head, self.context, session)
        if broken is not None:
            said = self.context.redactor.text(f"a plugin broke at the end: {told(broken)}")
            code = pytest.ExitCode.INTERNAL_ERROR.value
            verdict = broken_off(report.verdict, code, Code.BROKE_OFF, said)
            report = msgspec.structs.replace(report, verdict=verdict)
        failure = write_run(report, self.context.directory, session.config)
        if failure is not None:  # what nobody can read is not ready
            code = pytest.ExitCode.INTERNAL_ERROR.value
            verdict = broken_off(report.verdict, code, Code.NOT_WRITTEN, failure)
            report = msgspec.structs.replace(report, verdict=verdict)
        self.report = report
        session.exitstatus = report.verdict.exit_code
        return result

    def _clear_up(self) -> None:
        """Read what workers left for this process, and remove it with locks and marks."""
        self._read_told()
        self.seen.traffic = model.traffic(traffic.read(self.context.directory / FOLDER))
        locks.clear(self.context.directory)

    def _read_told(self) -> None:
        path = self.context.directory / FOLDER / TOLD
        if not self.told and path.exists():
            self.expect(msgspec.json.decode(path.read_bytes(), type=list[Sent]))

    def _without_result(self, report: pytest.TestReport) -> None:
        if report.when not in ("setup", "call", "teardown"):
            # What xdist makes up for the test that a dead worker was running.
            worker = getattr(getattr(report, "node", None), "gateway", None)
            self.seen.lost[report.nodeid] = (
                f"worker {worker.id} was lost" if worker else self._lost(report)
            )
        known = (self._places.values(), *self.cases.values())
        if report.failed and any(report.nodeid in node_ids for node_ids in known):
            self.seen.item_failures += 1
        elif report.failed:
            self.seen.other_failures.append(report.nodeid)

    def _lost(self, report: pytest.TestReport) -> str:
        """Return how the process of a test was lost that is no worker's."""
        whose = "its process, of pytest-forked," if self._forks else "its process"
        return f"{whose} was lost: {report.longreprtext.strip().rpartition(': ')[2]}"

    def _sent(self, report: pytest.TestReport) -> Sent | None:
        """Return what a report says of the item that it is of, None where it is of none."""
        carrier = self.context.plan.carrier
        carried = [str(value) for name, value in report.user_properties if name == carrier]
        if not carried:
            return None
        sent = msgspec.json.decode(carried[-1], type=Sent)
        known = self.cases.get(sent.id, {}) if sent.own else (self._places.get(sent.id),)
        # pytest-xdist appends to a node id under --dist loadgroup.
        of_it = sent.nodeid in known and report.nodeid.startswith(sent.nodeid)
        return sent if of_it else None

    def _log(self, line: journal.Line) -> None:
        # Kept on disk at once: what a killed run had judged is not lost with it.
        left = memoryview(journal.encode(line))
        while left:
            left = left[self._journal.write(left) :]
        os.fsync(self._journal.fileno())


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(f"signal {signal.Signals(number).name}")


def prepare(directory: Path) -> FileLock:
    """Remove what an earlier run left, so that none of it can be taken for this one's.

    Returns a lock that keeps other runs out of the directory: they would judge this one's facts.
    Raises pytest.UsageError when the directory cannot be written, is in use, or holds a signed
    report or facts that no run has left there.
    """
    _refuse_links(directory)
    if any((directory / name).exists() for name in (model.SIGNOFFS, model.ENVELOPES)):
        raise pytest.UsageError(
            f"{directory} holds a signed report: name another with --readiness-report"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = locks.take(directory)
        if (directory / FOLDER).exists() and not (directory / journal.FILE).exists():
            raise pytest.UsageError(
                f"{directory / FOLDER} is not of a run and would be removed: name another "
                "directory with --readiness-report"
            )
        # In this order: killed in between, this leaves the earlier report whole or no report.
        write_whole(directory / journal.FILE, b"")  # a new one, also where the old has other names
        _clear(directory)
        (directory / FOLDER).mkdir()
    except Timeout:
        raise pytest.UsageError(
            f"another run is writing to {directory}: name another with --readiness-report"
        ) from None
    except OSError as error:
        raise _unwritable(directory, error) from error
    return lock


def _clear(directory: Path) -> None:
    """Remove what an earlier run wrote, its report before its facts. Raises OSError."""
    for name in reversed(model.FILES):
        (directory / name).unlink(missing_ok=True)
    # Of a run that was killed as it wrote them.
    for name in (".report.*", f".{journal.FILE}.*"):
        for path in directory.glob(name):
            path.unlink()
    for path in directory.glob(f"{model.ATTESTATIONS}/*"):
        path.unlink()
    if (directory / FOLDER).exists():
        shutil.rmtree(directory / FOLDER)


def _refuse_links(directory: Path) -> None:
    for name in _OURS:
        if (directory / name).is_symlink():
            raise pytest.UsageError(
                f"{directory / name} is a link, and what it leads to would be overwritten: remove "
                "it, or name another directory with --readiness-report"
            )


def _unwritable(directory: Path, error: OSError) -> pytest.UsageError:
    return pytest.UsageError(
        f"the report cannot be written to {directory}: {error.strerror or error}"
    )
