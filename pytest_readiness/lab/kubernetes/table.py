"""Tables (meta.k8s.io/v1) of the lab's Kubernetes API: the columns that `kubectl get` prints.

They are data (tables.yaml); a kind without columns there is printed by name and age, a custom one
by its additionalPrinterColumns.

PYTEST_DONT_REWRITE
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from pytest_readiness.lab.kubernetes import cells as functions
from pytest_readiness.lab.kubernetes.cells import Object, get_in
from pytest_readiness.lab.kubernetes.discovery import Resource


class Column(NamedTuple):
    """One column; wide ones are printed by `-o wide` alone."""

    name: str
    get: Callable[[Object], Any]
    wide: bool = False


def definitions(columns: Iterable[Column]) -> list[dict[str, Any]]:
    """Return columnDefinitions; the first column is the name, as kubectl expects."""
    return [
        {
            "name": column.name,
            "type": "string",
            "format": "name" if column.name == "Name" else "",
            "description": "",
            "priority": 1 if column.wide else 0,
        }
        for column in columns
    ]


def cells(columns: Iterable[Column], thing: Object) -> list[Any]:
    """Return the cells of one row."""
    return [column.get(thing) for column in columns]


def columns_of(resource: Resource, definition: Object | None) -> list[Column]:
    """Return the columns of a resource; definition is its CustomResourceDefinition, if any."""
    if resource.kind in tables() and not resource.custom:
        own = tables()[resource.kind]
        return own if any(column.name == "Name" for column in own) else [_NAME, *own]
    return [_NAME, *_printer_columns(resource, definition), _AGE]


def _printer_columns(resource: Resource, definition: Object | None) -> list[Column]:
    for version in get_in(definition, ".spec.versions", ()):
        if version["name"] == resource.version:
            return [
                Column(it["name"], _cell([it["jsonPath"], ""]), it.get("priority", 0) > 0)
                for it in version.get("additionalPrinterColumns", ())
                if it["name"] != "Age"
            ]
    return []


@cache
def tables() -> dict[str, list[Column]]:
    """Return the columns of every kind that has its own."""
    import yaml

    written = yaml.safe_load(Path(__file__).with_name("tables.yaml").read_text(encoding="utf-8"))
    return {
        kind: [
            Column(name.rstrip("*"), _cell(cell), name.endswith("*"))
            for row in rows
            for name, cell in row.items()
        ]
        for kind, rows in written.items()
    }


def _cell(written: Any) -> Callable[[Object], Any]:
    """Return how a cell is computed; tables.yaml says what may be written."""
    match written:
        case [str(path), default]:
            return partial(get_in, path=path, default=default)
        case str() if written.startswith("."):
            return partial(get_in, path=written, default="<none>")
        case Mapping():
            ((name, arguments),) = written.items()
        case _:
            name, arguments = written, []
    function = getattr(functions, name)
    several = arguments if isinstance(arguments, list) else [arguments]
    return lambda thing: function(thing, *several)


_NAME = Column("Name", _cell(".metadata.name"))
_AGE = Column("Age", _cell("since"))
