"""Reports at the limits: hostile text in every field, and more items than a page likes."""

from typing import Any

import msgspec

from pytest_readiness.results.evidence import Finding, Outcome
from pytest_readiness.results.model import Report
from tests.report import sample

HOSTILE = (
    "\"'</td><script>alert('x')</script><img src=x onerror=alert(1)> | `code` **b** "
    "\x1b[31m\u202e ]]>"
)
_OURS = {"schema", "outcome", "severity", "safety", "sha256", "state"}  # not free text
_FREE_KEYS = {"observed", "expected", "identity", "values"}


def hostile() -> Report:
    """Return a report whose every free text ends in markup, script and control sequences."""
    return msgspec.convert(_spoiled(msgspec.to_builtins(sample.full()), ""), Report)


def _spoiled(value: Any, field: str) -> Any:
    match value:
        case str():
            return value if field in _OURS else value + HOSTILE
        case list() | tuple():
            return [_spoiled(part, field) for part in value]
        case dict():
            return {
                name + HOSTILE if field in _FREE_KEYS else name: _spoiled(part, name)
                for name, part in value.items()
            }
        case _:
            return value


def large(number: int = 118) -> Report:
    """Return a report of many items, each with findings and two records of evidence."""
    records = (
        sample.proof(examined=tuple(f"deployment/st-risk/service-{n}" for n in range(200))),
        sample.proof(
            "list pods",
            observed={f"value_{n}": f"{n} of 300" for n in range(4)},
            expected={f"value_{n}": "300 of 300" for n in range(4)},
        ),
    )
    items = tuple(
        sample.item(
            f"item-{n}",
            section=f"section_{n // 12}",
            subsection=f"part_{n // 4}",
            outcome=Outcome.FAIL if n % 5 == 0 else Outcome.PASS,
            evidence=records[: 1 + n % 2],
            findings=tuple(Finding(f"pod/p{k}", "restarts every minute") for k in range(40))
            if n % 5 == 0
            else (),
        )
        for n in range(number)
    )
    return sample.report(items)
