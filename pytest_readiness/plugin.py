"""pytest plugin: options, markers, and whether the checklist is asked for at all.

This module is imported by every pytest start of every project that has the package installed.
What an active run needs is imported when a run is active.

PYTEST_DONT_REWRITE
"""

import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_readiness.run.markers import OWN, SECTIONS

if TYPE_CHECKING:
    from pytest_readiness.run.activate import Activation

CHECKLIST = Path(__file__).with_name("checklist")
# Options with which nothing runs: nothing is asked, and no earlier report replaced.
_LISTS = ("help", "markers", "showfixtures", "show_fixtures_per_test", "cacheshow")
ACTIVE: "pytest.StashKey[Activation]" = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of a run."""
    group = parser.getgroup("readiness", "production readiness checklist (-m readiness)")
    group.addoption("--readiness-ini", metavar="FILE", help="settings; readiness.ini in rootdir")
    group.addoption(
        "--readiness-report", metavar="DIR", help="run directory; readiness-report here"
    )
    group.addoption("--readiness-phase", metavar="P", help="phase of the checklist")
    group.addoption("--readiness-safety", metavar="S", help="safety ceiling, S0 to S4")
    group.addoption(
        "--readiness-replay", metavar="RUN", help="judge the recorded facts of a run, ask nothing"
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(args: list[str]) -> Generator[None, None, None]:
    """Give a run whose standard output is closed one, before pytest takes hold of it."""
    if (sys.stdout is None or sys.stderr is None) and any("readiness" in arg for arg in args):
        from pytest_readiness.run.streams import open_closed

        open_closed()
    return (yield)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and the rest of the plugin when this run needs it."""
    for marker in OWN:
        config.addinivalue_line("markers", marker)
    for name in SECTIONS:
        config.addinivalue_line("markers", f"{name}: readiness items of this part of the checklist")
    if _is_worth_a_look(config):
        from pytest_readiness.run.command_line import asks_for_checklist

        if asks_for_checklist(config):
            from pytest_readiness.errors import ReadinessError

            try:
                from pytest_readiness.run.activate import activate
            except ReadinessError as error:  # a target of another distribution
                raise pytest.UsageError(str(error)) from error
            config.stash[ACTIVE] = activate(config)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Keep the packaged checks from being taken for tests of a project that holds the package."""
    return True if collection_path == CHECKLIST else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Keep the node ids of the checklist from being looked for as files."""
    activation = session.config.stash.get(ACTIVE, None)
    if activation is not None:
        activation.take_addresses(session.config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add the packaged checklist to what the project collects."""
    activation = config.stash.get(ACTIVE, None)
    if activation is not None:
        activation.add_items(session, items)
    elif "pytest_readiness.checklist.check" in sys.modules:
        # The project's own checks run as ordinary tests and need their notebook.
        from pytest_readiness.errors import ReadinessError

        try:
            from pytest_readiness.run import fixtures
        except ReadinessError as error:  # a target of another distribution
            raise pytest.UsageError(str(error)) from error
        if not config.pluginmanager.is_registered(fixtures):
            config.pluginmanager.register(fixtures, "readiness-fixtures")


def _is_worth_a_look(config: pytest.Config) -> bool:
    """Tell whether the word occurs at all: most runs need not even be understood."""
    option: Any = config.option
    if any(getattr(option, name, False) for name in _LISTS):
        return False
    words = (option.markexpr or "", option.readiness_replay or "", *config.args)
    return any("readiness" in word for word in words)
