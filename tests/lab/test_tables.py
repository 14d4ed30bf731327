"""The columns of kubectl's tables: is their data whole, and are paths and ages read right?"""

import datetime
from typing import Any

import pytest

from pytest_readiness.lab.kubernetes import WORLD, cells, table
from pytest_readiness.lab.kubernetes.api import load_world
from pytest_readiness.lab.kubernetes.discovery import Resource
from pytest_readiness.lab.kubernetes.store import Store

THING = {
    "spec": {"a": 1, "none": None, "list": [{"type": "x", "b": "1"}, {"type": "y", "b": "2"}]},
    "nested": [{"in": ["p", "q"]}, {"in": ["r"]}, {}],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.a", [1]),
        ("spec.a", [1]),
        (".spec.none", []),
        (".spec.no.more", []),
        (".spec.a.more", []),
        (".spec.list[*].b", ["1", "2"]),
        ('.spec.list[?(@.type=="y")].b', ["2"]),
        ('.spec.list[?(@.type=="z")].b', []),
        (".nested[*].in[*]", ["p", "q", "r"]),
    ],
)
def test_a_path_finds_every_value(path: str, found: list[Any]) -> None:
    assert cells.find(THING, path) == found
    assert cells.get_in(THING, path, "nothing") == (found[0] if found else "nothing")


# Kubernetes' own: apimachinery pkg/util/duration, HumanDuration.
@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0s"),
        (119, "119s"),
        (120, "2m"),
        (599, "9m59s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (8 * 3600 - 1, "7h59m"),
        (48 * 3600 - 1, "47h"),
        (48 * 3600, "2d"),
        (8 * 86400 - 1, "7d23h"),
        (8 * 86400, "8d"),
        (730 * 86400, "2y"),
    ],
)
def test_an_age_is_worded_as_kubectl_words_it(seconds: int, words: str) -> None:
    since = datetime.datetime(2026, 3, 2, 8, tzinfo=datetime.UTC)
    now = since + datetime.timedelta(seconds=seconds)
    assert cells.age("2026-03-02T08:00:00Z", now) == words


def test_each_kind_with_columns_is_in_the_world_and_every_cell_of_it_has_something() -> None:
    store = Store(load_world(WORLD))
    asked = set()
    for resource in store.resources.all:
        columns = table.columns_of(resource, None)
        assert columns[0].name == "Name" or resource.kind == "Event"
        for item in store.select(resource, None, "", ""):
            asked.add(resource.kind)
            shown = dict(zip(columns, table.cells(columns, item.content), strict=True))
            assert None not in shown.values(), resource.kind
    assert table.tables().keys() <= asked


def test_a_custom_kind_has_the_columns_of_its_definition() -> None:
    printed = [
        {"name": "Ready", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
        {"name": "Secret", "jsonPath": ".spec.secretName", "priority": 1},
        {"name": "Age", "jsonPath": ".metadata.creationTimestamp"},
    ]
    version = {"name": "v1", "additionalPrinterColumns": printed}
    resource = Resource("example.org", "v1", "things", "Pod", namespaced=True, custom=True)
    columns = table.columns_of(resource, {"spec": {"versions": [version]}})
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert [(it.name, it.wide) for it in columns] == [
        ("Name", False),
        ("Ready", False),
        ("Secret", True),
        ("Age", False),
    ]
    assert table.cells(columns, {"metadata": {"name": "t"}, **ready}) == [
        "t",
        "True",
        "",
        "<unknown>",
    ]
