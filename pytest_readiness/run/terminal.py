"""What a person sees in the terminal: progress of long questions, and the summary last of all.

PYTEST_DONT_REWRITE
"""

import os
import threading
from collections.abc import Generator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from pytest_readiness.record.store import FOLDER
from pytest_readiness.report.terminal import Line, Style, lines
from pytest_readiness.run.controller import Controller
from pytest_readiness.run.streams import Enduring

_SLOW = 2.0  # seconds after which a question is worth a word
_KINDS = ("failed", "error")  # of pytest's terminal statistics


class Show:
    """Hooks around pytest's own terminal output."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._progress: Progress | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Let a terminal that takes no more end neither the run nor its report."""
        reporter = _reporter(session.config)
        if reporter is not None:
            writer = reporter._tw
            writer._file = Enduring(writer._file, self._controller.context.directory)

    @pytest.hookimpl
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Begin to show what takes long, where somebody watches."""
        reporter = _reporter(session.config)
        if reporter is not None and reporter.isatty and os.environ.get("TERM") != "dumb":
            self._progress = Progress(self._controller.context.directory, reporter)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Generator[None, object, object]:
        """Keep pytest from telling our items one by one: the summary groups them by cause."""
        stats: dict[str, list[Any]] = terminalreporter.stats
        kept = {kind: stats[kind] for kind in _KINDS if kind in stats}
        for kind, reports in kept.items():
            stats[kind] = [report for report in reports if not self._is_item(report)]
        try:
            return (yield)
        finally:
            stats.update(kept)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Say how ready the system is, below everything else."""
        if self._progress is not None:
            self._progress.stop()
        result = yield
        reporter = _reporter(session.config)
        report = self._controller.report
        if reporter is not None and report is not None:
            writer = reporter._tw
            writer.line()
            for line in lines(report, writer.fullwidth, str(self._controller.context.directory)):
                _write(writer, line)
        return result

    def _is_item(self, report: Any) -> bool:
        carrier = self._controller.context.plan.carrier
        return any(name == carrier for name, _ in getattr(report, "user_properties", ()))


class Progress(threading.Thread):
    """Names the question that is being asked, in whatever process, right of pytest's dots."""

    def __init__(self, directory: Path, reporter: Any) -> None:
        super().__init__(daemon=True, name="readiness-progress")
        self._facts = directory / FOLDER
        self._reporter = reporter
        # Pytest catches what is written while a check runs, but not yet when this begins.
        number = os.dup(reporter._tw._file.fileno())
        self._terminal = open(number, "w", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._done = threading.Event()
        self._since: dict[str, float] = {}
        self.start()

    def run(self) -> None:
        """Look twice a second until stopped."""
        while not self._done.wait(0.5):
            text = self._text()
            if text is not None:
                # Save the cursor, write, clear the rest, go back: the next dot goes over it.
                self._write(f"\0337  {text[: self._room()]}\033[K\0338")

    def stop(self) -> None:
        """End it and clear what it wrote."""
        self._done.set()
        self.join()
        self._write("\033[K")
        self._terminal.close()

    def _room(self) -> int:
        # A line that wraps could not be taken back.
        writer = self._reporter._tw
        room: int = writer.fullwidth - writer.width_of_current_line - 3
        return max(0, room)

    def _write(self, text: str) -> None:
        self._terminal.write(text)
        self._terminal.flush()

    def _text(self) -> str | None:
        asked = {path.name: path for path in self._facts.glob(".*.asking")}
        gone = [name for name in self._since if name not in asked]
        for name in gone:
            del self._since[name]
        for name, path in asked.items():
            seconds = monotonic() - self._since.setdefault(name, monotonic())
            if seconds >= _SLOW:
                return f"asking {_read(path)} ({seconds:.0f} s)"
        return "" if gone else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:  # answered in the meantime
        return "..."


def _reporter(config: pytest.Config) -> Any:
    return config.pluginmanager.get_plugin("terminalreporter")


def _write(writer: Any, line: Line) -> None:
    for text, style in line:
        if style is Style.DIM:
            writer.write(text, light=True)
        elif style is Style.PLAIN:
            writer.write(text)
        else:
            writer.write(text, **{style.value: True})
    writer.line()
