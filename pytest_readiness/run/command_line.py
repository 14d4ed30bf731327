"""Which items a command line asks for: computed from the catalogue, not from what was collected.

PYTEST_DONT_REWRITE
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from _pytest.mark import MarkMatcher
from _pytest.mark.expression import Expression

if TYPE_CHECKING:
    # Not imported by a run that turns out not to be one of the checklist.
    from pytest_readiness.catalogue import CatalogueItem
    from pytest_readiness.results.model import Item

ROOT = "readiness"


@dataclass(frozen=True, slots=True)
class Address:
    """A node id of the checklist, `readiness/SECTION/SUBSECTION::ID`, or the front part of one."""

    parts: tuple[str, ...]
    id: str | None

    def __str__(self) -> str:
        """Return it as it is typed."""
        return "::".join(("/".join(self.parts), *([self.id] if self.id else [])))

    def holds(self, item: "CatalogueItem") -> bool:
        """Tell whether the item lies under this address."""
        path = (ROOT, item.section, item.subsection)
        return path[: len(self.parts)] == self.parts and self.id in (None, item.id)


def asks_for_checklist(config: pytest.Config) -> bool:
    """Tell whether a command line asks for the checklist.

    Raises pytest.UsageError when the marker expression is none.
    """
    return bool(
        needs_readiness(config.option.markexpr or "")
        or config.option.readiness_replay
        or any(parse_address(argument, config) for argument in config.args)
    )


def parse_address(argument: str, config: pytest.Config) -> Address | None:
    """Read a command line argument as an address of the checklist, None where it is none.

    It may be written from the root directory or from where pytest was called, as pytest prints
    it; or be the file of a packaged check, which is what an IDE passes. A file of the project
    goes first.
    """
    path, _, name = argument.partition("::")
    called_from = config.invocation_params.dir
    packaged = Path(__file__).parents[1] / "checklist"
    absolute = Path(called_from, path).resolve()
    if absolute.is_relative_to(packaged):
        return _packaged(absolute.relative_to(packaged), name)
    if absolute.exists():
        return None
    for start in (config.rootpath.resolve(), called_from.resolve()):
        if absolute.is_relative_to(start):
            parts = absolute.relative_to(start).parts
            if parts[:1] == (ROOT,) and len(parts) <= 3:
                return Address(parts, name or None)
    return None


def _packaged(path: Path, name: str) -> Address:
    from pytest_readiness.checklist.discovery import checks

    folders = (*path.parent.parts, *([path.stem.removeprefix("test_")] if path.suffix else []))
    function = name.partition("[")[0]
    ids = [found.meta.id for found in checks().values() if found.function.__name__ == function]
    return Address((ROOT, *folders), (ids[0] if ids else name) if name else None)


def unknown(
    addresses: Iterable[Address], known: Sequence["CatalogueItem"], phase: str
) -> str | None:
    """Return what is wrong with addresses that name no item of the phase, None when all do.

    known: the items of every phase.
    """
    for address in addresses:
        held = [item for item in known if address.holds(item)]
        if any(phase in ("all", item.phase) for item in held):
            continue
        if held:
            other = held[0].phase
            return f"{address} is of phase {other}, the run of {phase}: --readiness-phase {other}"
        near = get_close_matches(address.id or "", [item.id for item in known], 1)
        also = [f"; did you mean {place(item)}?" for item in known if item.id in near]
        return f"the checklist has no {address}{''.join(also)}"
    return None


def place(item: "CatalogueItem | Item") -> str:
    """Return the node id of an item."""
    return f"{ROOT}/{item.section}/{item.subsection}::{item.id}"


def needs_readiness(expression: str) -> bool:
    """Tell whether a marker expression asks for the checklist: whether `readiness` decides it.

    `not readiness` and `not slow` do not: without the mark they hold as well. Raises
    pytest.UsageError when the expression is none.
    """
    if ROOT not in expression:
        return False
    compiled = _compile(expression)
    names = {name for name in _names(expression) if name != ROOT}
    # What other marks an item has is not known here: one combination that needs the mark is enough.
    return any(
        compiled.evaluate(_has(others | {ROOT})) and not compiled.evaluate(_has(others))
        for others in _subsets(sorted(names))
    )


def selected(
    items: Iterable["CatalogueItem"], expression: str, addresses: Sequence[Address]
) -> list[str]:
    """Return the ids that a marker expression and node ids name; either may be empty."""
    compiled = _compile(expression) if expression else None
    return [
        item.id
        for item in items
        if (compiled is None or compiled.evaluate(MarkMatcher.from_markers(marks_of(item))))
        and (not addresses or any(address.holds(item) for address in addresses))
    ]


def matches(expression: str, item: pytest.Item) -> bool:
    """Tell whether a marker expression, which may be empty, selects a pytest item."""
    return matches_marks(expression, item.iter_markers())


def matches_marks(expression: str, marks: Iterable[pytest.Mark]) -> bool:
    """Tell whether a marker expression, which may be empty, selects what has these marks."""
    return not expression or _compile(expression).evaluate(MarkMatcher.from_markers(marks))


def marks_of(item: "CatalogueItem") -> list[pytest.Mark]:
    """Return the markers of an item, as its pytest item has them."""
    marks = [getattr(pytest.mark, name) for name in (ROOT, item.section, item.subsection)]
    marks += [pytest.mark.item(item.id), pytest.mark.safety(item.safety.value)]
    return [mark.mark for mark in marks]


def marks_of_own(id: str) -> list[pytest.Mark]:
    """Return the markers that any check of a project has; its others are not known here."""
    return [mark.mark for mark in (pytest.mark.readiness, pytest.mark.item(id))]


def _has(marks: frozenset[str]) -> Callable[..., bool]:
    return lambda name, /, **_: name in marks


def _compile(expression: str) -> Expression:
    try:
        return Expression.compile(expression)
    except SyntaxError as error:
        raise pytest.UsageError(f"-m {expression!r}: {error}") from error


def _names(expression: str) -> set[str]:
    words = expression.replace("(", " ").replace(")", " ").split()
    return {word for word in words if word not in ("and", "or", "not")}


def _subsets(names: Sequence[str]) -> Iterable[frozenset[str]]:
    # A written expression has a handful of names; past that, these must do.
    every = frozenset(names)
    if len(names) > 10:
        ones = [frozenset({name}) for name in names]
        return [frozenset(), every, *ones, *(every - one for one in ones)]
    return [
        frozenset(name for bit, name in enumerate(names) if number >> bit & 1)
        for number in range(2 ** len(names))
    ]
