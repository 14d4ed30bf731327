"""What leaves a process through pytest, without secrets: node ids, reports, warnings and logs.

Where the checklist is asked for, the run is ours, and so is what it says of the ordinary tests
beside the checklist. Results are redacted where they are made (`judging`).

PYTEST_DONT_REWRITE
"""

import logging
import re
import warnings
from collections.abc import Callable, Generator
from typing import Any

import pytest
from _pytest._io import TerminalWriter
from _pytest.subtests import SubtestReport

from pytest_readiness.record.redact import Redactor

_MARKED = re.compile("«(redacted:[0-9a-f]{8})»")


class Redacting:
    """Hooks that come first, so that nobody else is told what is taken out.

    carrier: the property of reports that holds results, which are redacted already.
    """

    def __init__(self, redactor: Redactor, carrier: str | None) -> None:
        self._clean = redactor.text
        self._carrier = carrier
        self._node_ids: dict[str, list[str]] = {}  # as they are shown -> as they were

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Let no secret through to a log that is shown or written while checks run."""
        plugin = session.config.pluginmanager.get_plugin("logging-plugin")
        for name in ("log_cli_handler", "log_file_handler"):
            handler = getattr(plugin, name, None)
            if handler is not None:
                handler.setFormatter(_Clean(handler.formatter, self._clean))

    @pytest.hookimpl(tryfirst=True)
    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Name an item whose node id holds a secret by its token.

        Not before, so that it is found by what is typed. Its fixtures are known by now.
        """
        node_id, shown = item.nodeid, self._name(item.nodeid)
        if shown == node_id:
            return
        # Two forms of one secret have one token, and two items never one name.
        alike = self._node_ids.setdefault(shown, [])
        if node_id not in alike:
            alike.append(node_id)
        number = alike.index(node_id)
        _rename(item, _numbered(shown, number), _numbered(self._name(item.name), number))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, Any]:
        """Take secrets out of what a module says that cannot be imported."""
        report = yield
        self._take_out(report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take secrets out of a report, whoever made it."""
        self._take_out(report)
        report.keywords = {self._name(str(name)): 1 for name in report.keywords}
        path, line, domain = report.location
        report.location = path, line, self._name(domain)
        report.user_properties = [
            (name, value) if name == self._carrier else (self._clean(str(name)), self._value(value))
            for name, value in report.user_properties
        ]
        if hasattr(report, "wasxfail"):
            report.wasxfail = self._clean(report.wasxfail)
        if isinstance(report, SubtestReport):
            # Their names are frozen, and whoever makes new ones has them quoted once more.
            said = report.context
            known = {name: self._clean(str(value)) for name, value in said.kwargs.items()}
            object.__setattr__(said, "kwargs", known)
            object.__setattr__(said, "msg", said.msg and self._clean(said.msg))

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        """Take secrets out of a warning before it is sent or shown."""
        said = str(warning_message.message)
        clean = self._clean(said)
        if clean != said:
            warning_message.message = Warning(clean)

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr: Any) -> None:
        """Take secrets out of what is said of a plugin that broke."""
        said = str(excrepr)
        clean = self._clean(said)
        if clean != said:
            excrepr.toterminal = lambda writer: _lines(writer, clean)

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Take secrets out of what `pytest.exit` says."""
        said = str(excinfo.value)
        clean = self._clean(said)
        if clean != said:
            excinfo.value.args = (clean,)

    def _name(self, text: str) -> str:
        # Without marks, which a command line or a file name may not hold.
        return _MARKED.sub(r"\1", self._clean(text))

    def _value(self, value: object) -> object:
        """Return a property; one that is or holds a secret as text."""
        if not isinstance(value, str | bytes | int | float | list | tuple | dict):
            return value  # foreign, as its text would be
        said = str(value)
        clean = self._clean(said)
        return value if clean == said else clean

    def _take_out(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        if (shown := self._name(report.nodeid)) != report.nodeid:
            report.nodeid = shown
        report.sections = [(self._clean(name), self._clean(text)) for name, text in report.sections]
        if isinstance(report.longrepr, tuple):
            path, line, reason = report.longrepr
            report.longrepr = path, line, self._clean(reason)
        elif report.longrepr:
            said = str(report.longrepr)
            clean = self._clean(said)
            if clean != said:
                report.longrepr = clean


def _rename(item: Any, node_id: str, name: str) -> None:
    item.name = name
    if hasattr(item, "_id"):  # since pytest 9.2
        item._id = type(item._id).parse(node_id)
    else:
        item._nodeid = node_id


def _numbered(name: str, number: int) -> str:
    if number == 0:
        return name
    end = "]" if name.endswith("]") else ""
    return f"{name.removesuffix(end)}-{number + 1}{end}"


def _lines(writer: TerminalWriter, text: str) -> None:
    for line in text.splitlines():
        writer.line(line)


class _Clean(logging.Formatter):
    """A formatter whose text is redacted."""

    def __init__(self, inner: logging.Formatter | None, clean: Callable[[str], str]) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()
        self._clean = clean

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of the record, redacted."""
        return self._clean(self._inner.format(record))
