"""Collection of the packaged checklist, whatever the project around it collects.

The nodes are made by hand: their ids are `readiness/SECTION/SUBSECTION::ID` in every project,
and none of its file patterns, name patterns, conftest files or import modes apply to them.

PYTEST_DONT_REWRITE
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from _pytest._code.code import TerminalRepr
from _pytest.compat import getfuncargnames
from _pytest.fixtures import FuncFixtureInfo

from pytest_readiness import checklist
from pytest_readiness.catalogue import FILE, CatalogueItem
from pytest_readiness.checklist.check import DECLARED, CheckMeta, Place, meta_of, place_of
from pytest_readiness.checklist.discovery import modules
from pytest_readiness.errors import NotChecked, Why
from pytest_readiness.people.declared import declared as by_word
from pytest_readiness.run import fixtures
from pytest_readiness.run.command_line import ROOT

NO_CHECK_YET = "no check yet"


class Checklist(pytest.Collector):
    """Root of the packaged checklist. Its fixtures hide any of the same name in the project."""

    obj = fixtures

    def __init__(
        self, *, items: Iterable[CatalogueItem], by_word: Collection[str], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._items = tuple(items)
        self._by_word = by_word

    def collect(self) -> Iterator[pytest.Collector]:
        """Yield a collector for each subsection, in the order of the checklist."""
        self.session._fixturemanager.parsefactories(self)
        found = {(section, subsection): name for section, subsection, name in modules()}
        for place, items in groupby(self._items, lambda item: (item.section, item.subsection)):
            yield Subsection.from_parent(
                self,
                # A project's hooks expect items to lie in the project, `--nf` that the file exists.
                path=self.config.rootpath,
                nodeid="/".join((ROOT, *place)),
                items=tuple(items),
                by_word=self._by_word,
                module=found.get(place),
            )


class Subsection(pytest.Module):
    """One subsection: its module when it has checks, and an item for every line of it."""

    def __init__(
        self,
        *,
        items: tuple[CatalogueItem, ...],
        by_word: Collection[str],
        module: str | None,
        **kwargs: Any,
    ) -> None:
        self._module = module
        super().__init__(**kwargs)
        self._items = items
        self._by_word = by_word
        for mark in (ROOT, items[0].section, items[0].subsection):
            self.add_marker(mark)

    def _getobj(self) -> Any:
        return import_module(self._module) if self._module else fixtures

    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item for each line of the checklist, checked or not."""
        declared = _declared(self.obj) if self._module else {}
        for item in self._items:
            function = declared.get(item.id)
            if item.id in self._by_word:
                yield ByWord.from_parent(self, item=item, fixtureinfo=self._fixtures(by_word))
            elif function is None:
                yield Unjudged.from_parent(
                    self, name=item.id, item=item, fixtureinfo=self._fixtures(_no_check)
                )
            else:
                yield Judged.from_parent(
                    self, name=item.id, callobj=function, fixtureinfo=self._fixtures(function)
                )

    def _fixtures(self, function: Any) -> FuncFixtureInfo:
        # What a check names, and nothing else: the autouse fixtures of a project are for its own
        # tests, and one that fakes the network or stops the clock would make answers up.
        names = getfuncargnames(function)
        closure, definitions = self.session._fixturemanager.getfixtureclosure(
            parentnode=self, initialnames=names, ignore_args=frozenset()
        )
        return FuncFixtureInfo(names, names, closure, definitions)


def _without_traceback(
    self: pytest.Item, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
) -> TerminalRepr:
    # No item shows a traceback, and making their text was most of the time of a run.
    return excinfo.getrepr(style="value", chain=False)


class Judged(pytest.Function):
    """An item with a check."""

    _repr_failure_py = repr_failure = _without_traceback

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return where the check stands, and the id as its name."""
        code = self.obj.__code__
        return Path(code.co_filename), code.co_firstlineno - 1, self.name


class ByWord(pytest.Function):
    """An item that a declaration judges: it may, and readiness.ini has nothing to ask for it."""

    _repr_failure_py = repr_failure = _without_traceback

    def __init__(self, *, item: CatalogueItem, **kwargs: Any) -> None:
        super().__init__(name=item.id, callobj=by_word, **kwargs)
        self.add_marker(pytest.mark.item(item.id))
        self.add_marker(pytest.mark.safety(item.safety.value))

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the place of the catalogue, and the id as its name."""
        return FILE, 0, self.name


def _no_check() -> None:
    """Stand where the check of an item will."""


class Unjudged(pytest.Function):
    """An item that no check judges yet: it is there, and says so."""

    _repr_failure_py = repr_failure = _without_traceback

    def __init__(self, *, item: CatalogueItem, **kwargs: Any) -> None:
        super().__init__(callobj=_no_check, **kwargs)
        self.add_marker(pytest.mark.item(item.id))
        self.add_marker(pytest.mark.safety(item.safety.value))

    def setup(self) -> None:
        """Say that nothing can be judged. Raises NotChecked, always."""
        raise NotChecked(Why.NO_CHECK, NO_CHECK_YET)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the place of the catalogue, and the id as its name."""
        return FILE, 0, self.name


def collect_checklist(
    session: pytest.Session, items: Iterable[CatalogueItem], by_word: Collection[str]
) -> list[pytest.Item]:
    """Return the items of the packaged checklist, reported to pytest as collected.

    by_word: ids of the items that declarations judge in this run.
    """
    root = Checklist.from_parent(
        session, name=ROOT, nodeid=ROOT, items=tuple(items), by_word=by_word
    )
    return list(session.genitems(root))


def item_id(item: pytest.Item) -> str | None:
    """Return the id of the checklist item that a pytest item stands for, if it does."""
    if isinstance(item, Unjudged | ByWord):
        return item.name
    meta = check_of(item)
    return meta.id if meta else None


def check_of(item: pytest.Item) -> CheckMeta | None:
    """Return the declaration of the check that a pytest item runs, if it runs one."""
    return meta_of(item.function) if isinstance(item, pytest.Function) else None


def own_checks(items: Iterable[pytest.Item]) -> Mapping[str, list[pytest.Function]]:
    """Return the items of the project's own checks by id."""
    own: dict[str, list[pytest.Function]] = {}
    for item in items:
        meta = check_of(item)
        if meta is not None and isinstance(item, pytest.Function) and not isinstance(item, Judged):
            own.setdefault(meta.id, []).append(item)
    return own


def uncollected(own: Mapping[str, Sequence[pytest.Function]]) -> list[Place]:
    """Return the checks that were declared in this process and that pytest has not collected.

    own: those that it has. Raises pytest.UsageError for an id that another one has too.
    """
    there = {place_of(item.function): id for id, items in own.items() for item in items}
    found: dict[tuple[str, int], Place] = {}
    for place in DECLARED:
        packaged = place.function.__module__.startswith(f"{checklist.__name__}.")
        if not packaged and place[2:] not in there:
            found[place[2:]] = place
    for place in found.values():
        if place.meta.id in own:
            where = f"{place.file}:{place.line}, {own[place.meta.id][0].nodeid}"
            raise pytest.UsageError(f"item {place.meta.id} is declared twice: {where}")
    return list(found.values())


def _declared(module: object) -> dict[str, Any]:
    metas = {name: meta_of(value) for name, value in vars(module).items()}
    return {meta.id: getattr(module, name) for name, meta in metas.items() if meta}
