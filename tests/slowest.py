"""pytest plugin of our own tests: which files take the most time, told at the end of a run."""

from collections import defaultdict
from dataclasses import dataclass

import pytest

ROWS = 10


@dataclass
class Spent:
    """seconds: of set-up, call and teardown, in whichever process. tests: how many."""

    seconds: float = 0.0
    tests: int = 0


class SlowestFiles:
    """Adds up what each file of tests takes, also where workers run it."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, Spent] = defaultdict(Spent)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take one phase of one test; reports of workers arrive here as well."""
        spent = self.spent[report.nodeid.partition("::")[0]]
        spent.seconds += report.duration
        spent.tests += report.when == "setup"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table, unless there is but one file."""
        if len(self.spent) < 2:
            return
        total = sum(spent.seconds for spent in self.spent.values())
        slowest = sorted(self.spent.items(), key=lambda one: -one[1].seconds)[:ROWS]
        terminalreporter.section(f"slowest files, of {total:.0f} s in {len(self.spent)} files")
        for file, spent in slowest:
            terminalreporter.line(f"{spent.seconds:8.1f} s {spent.tests:5} tests  {file}")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to count."""
    config.pluginmanager.register(SlowestFiles(), "slowest-files")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what one worker must run alone, so that all workers end together."""
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)
