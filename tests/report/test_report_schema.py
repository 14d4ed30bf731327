import json
from typing import Any

import jsonschema
import pytest

from pytest_readiness.report import schema
from pytest_readiness.results import model
from pytest_readiness.results.model import Report
from tests.report import extremes, sample

REPORTS = [sample.full, sample.partial, sample.empty, extremes.hostile, extremes.large]


def errors(document: object) -> list[str]:
    shipped = json.loads(schema.FILE.read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(shipped)
    return [error.message for error in validator.iter_errors(document)]


def document(report: Report) -> Any:
    return json.loads(model.encode(report))


def test_the_shipped_file_is_what_the_model_says() -> None:
    assert schema.FILE.read_text(encoding="utf-8") == schema.text()


def test_is_a_schema_of_its_dialect() -> None:
    jsonschema.Draft202012Validator.check_schema(schema.build())


@pytest.mark.parametrize("make", REPORTS, ids=lambda make: make.__name__)
def test_passes_when_the_report_is_one(make: Any) -> None:
    assert errors(document(make())) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), "pytest-readiness/report/v2"),
        (("items", 0, "outcome"), "skipped"),
        (("items", 0, "severity"), "low"),
        (("items", 0, "evidence", 0, "observed"), []),
        (("settings", "sha256"), "abc"),
        (("verdict", "exit_code"), "0"),
        (("run", "extra"), 1),
        (("surprise",), 1),
    ],
)
def test_fails_and_names_what_is_not_the_model(path: tuple[Any, ...], value: object) -> None:
    changed = document(sample.full())
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert len(errors(changed)) == 1


def test_fails_when_a_field_is_missing() -> None:
    for name in document(sample.full()):
        changed = document(sample.full())
        del changed[name]
        assert errors(changed) == [f"{name!r} is a required property"]
