"""Find the packaged checks by import: no list of them is kept anywhere.

PYTEST_DONT_REWRITE
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

from pytest_readiness import catalogue, checklist
from pytest_readiness.checklist.check import CheckMeta, meta_of
from pytest_readiness.errors import ReadinessError

_PREFIX = "test_"


class CheckModule(NamedTuple):
    """A module of checks: `checklist/<section>/test_<subsection>.py`."""

    section: str
    subsection: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveredCheck:
    """A check, and where it stands. module: dotted name."""

    meta: CheckMeta
    function: Callable[..., None]
    section: str
    subsection: str
    module: str


def modules() -> Iterator[CheckModule]:
    """Yield the modules of the checklist, sorted, without importing any of them."""
    for folder in _children(checklist.__path__):
        path = [f"{entry}/{folder}" for entry in checklist.__path__]
        for name in _children(path):
            if name.startswith(_PREFIX):
                dotted = f"{checklist.__name__}.{folder}.{name}"
                yield CheckModule(folder, name.removeprefix(_PREFIX), dotted)


def checks() -> dict[str, DiscoveredCheck]:
    """Import every module and return its checks by item id, in the checklist's order.

    Raises ReadinessError for an id that is in the catalogue under no such section, or that two
    functions claim; whatever a module raises at import is not caught.
    """
    found: dict[str, DiscoveredCheck] = {}
    for module in modules():
        for check in checks_of(module, importlib.import_module(module.name)):
            if check.meta.id in found:
                first = found[check.meta.id]
                raise ReadinessError(
                    f"{_place(check)} and {_place(first)} both judge {check.meta.id}"
                )
            found[check.meta.id] = check
    return {item.id: found[item.id] for item in catalogue.load() if item.id in found}


def checks_of(module: CheckModule, imported: ModuleType) -> Iterator[DiscoveredCheck]:
    """Yield the checks that an imported module defines. Raises ReadinessError as checks() does."""
    for _, function in inspect.getmembers(imported, inspect.isfunction):
        meta = meta_of(function)
        if meta is None or function.__module__ != imported.__name__:
            continue
        check = DiscoveredCheck(
            meta=meta,
            function=function,
            section=module.section,
            subsection=module.subsection,
            module=module.name,
        )
        item = catalogue.by_id().get(meta.id)
        if item is None or (item.section, item.subsection) != module[:2]:
            raise ReadinessError(
                f"{_place(check)}: the catalogue has no item {meta.id} in "
                f"{module.section}/{module.subsection}"
            )
        yield check


def _children(path: Any) -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(path))


def _place(check: DiscoveredCheck) -> str:
    return f"{check.module}.{check.function.__name__}"
