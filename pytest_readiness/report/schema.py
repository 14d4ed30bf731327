"""The JSON Schema of report.json: made from the model, shipped beside it.

`report.schema.json` is this function's output; a test keeps the two equal, and
`python -m pytest_readiness.report.schema` rewrites the file.
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from pytest_readiness.results.evidence import Finding
from pytest_readiness.results.model import SCHEMA, Report

FILE = Path(__file__).with_name("report.schema.json")

_TIMES = frozenset({"started", "ended", "asked_at"})
_WITHOUT_DEFAULTS = (Finding.__name__,)  # a code that there is not is left out
_SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def build() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12): nothing beside the model's fields is allowed."""
    _, components = msgspec.json.schema_components([Report], ref_template="#/$defs/{name}")
    for name, definition in components.items():
        if "properties" in definition:
            _tighten(definition, whole=name not in _WITHOUT_DEFAULTS)
    report = components.pop("Report")
    report["properties"]["schema"] = {"const": SCHEMA}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{SCHEMA.replace('/', ':')}",
        **report,
        "title": "Production readiness report",
        "$defs": dict(sorted(components.items())),
    }


def text() -> str:
    """Return the bytes of report.schema.json as text."""
    return json.dumps(build(), indent=2, ensure_ascii=False) + "\n"


def _tighten(definition: dict[str, Any], *, whole: bool) -> None:
    definition["additionalProperties"] = False
    properties = definition["properties"]
    if whole:  # the encoder writes every field, also one that has a default
        definition["required"] = list(properties)
    for name in properties:
        if name in _TIMES:
            _time(properties[name])
        elif name == "sha256" and properties[name].get("type") == "string":  # not one people write
            properties[name] = dict(_SHA256)
        properties[name].pop("default", None)


def _time(definition: dict[str, Any]) -> None:
    """Make text a time, also where it may be null."""
    definition.get("anyOf", [definition])[0]["format"] = "date-time"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
