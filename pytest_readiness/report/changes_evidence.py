"""What was seen differently in two runs of one item. Pure.

PYTEST_DONT_REWRITE
"""

import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any

import msgspec

from pytest_readiness.results.evidence import EvidenceRecord, Finding

_TOKEN = re.compile(r"«redacted:[0-9a-f]{8}»")


class ValueChange(msgspec.Struct, frozen=True, kw_only=True):
    """A value that was observed; what one run does not have is left out.

    name: dotted where a part of a larger value changed. question: None for what the item says of
    itself (reason, severity, environment).
    """

    question: str | None
    name: str
    was: Any = msgspec.UNSET
    now: Any = msgspec.UNSET


class FindingChange(msgspec.Struct, frozen=True, kw_only=True):
    """What was wrong with one subject, and what is."""

    subject: str
    was: tuple[str, ...]
    now: tuple[str, ...]


def observed(old: Iterable[EvidenceRecord], new: Iterable[EvidenceRecord]) -> Iterator[ValueChange]:
    """Yield the values that differ, by question. Times, durations and addresses are no change."""
    before, after = _by_question(old), _by_question(new)
    for key in sorted(before.keys() | after.keys()):
        for one, other in zip_longest(before.get(key, ()), after.get(key, ())):
            yield from _values(key[1], "", one or {}, other or {})


def _by_question(records: Iterable[EvidenceRecord]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return what was observed by target and question; the address of a target may change."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in sorted(records, key=lambda one: (one.source, canonical(one.observed))):
        target = record.source.partition(" ")[0]
        found.setdefault((target, record.question), []).append(record.observed)
    return found


def _values(
    question: str, prefix: str, old: dict[str, Any], new: dict[str, Any]
) -> Iterator[ValueChange]:
    for key in sorted(old.keys() | new.keys()):
        was, now = old.get(key, msgspec.UNSET), new.get(key, msgspec.UNSET)
        if was is not msgspec.UNSET and now is not msgspec.UNSET:
            if canonical(was) == canonical(now):
                continue
            if isinstance(was, dict) and isinstance(now, dict):
                yield from _values(question, f"{prefix}{key}.", was, now)
                continue
        yield ValueChange(question=question, name=prefix + key, was=was, now=now)


def canonical(value: Any) -> bytes:
    """Return bytes that are equal where a person sees the same.

    A run salts its redactions, and no system promises the order in which it lists things.
    """
    match value:
        case str():
            return msgspec.json.encode(_TOKEN.sub("«redacted»", value))
        case list() | tuple():
            return b"[%s]" % b",".join(sorted(canonical(part) for part in value))
        case dict():
            parts = ((canonical(name), canonical(part)) for name, part in value.items())
            return b"{%s}" % b",".join(b"%s:%s" % pair for pair in sorted(parts))
        case _:
            return msgspec.json.encode(value)


def findings(old: Iterable[Finding], new: Iterable[Finding]) -> Iterator[FindingChange]:
    """Yield the subjects of which something else is wrong now."""
    before, after = _by_subject(old), _by_subject(new)
    for subject in sorted(before.keys() | after.keys()):
        was, now = (tuple(sorted(side.get(subject, ()))) for side in (before, after))
        if canonical(was) != canonical(now):
            yield FindingChange(subject=subject, was=was, now=now)


def _by_subject(findings: Iterable[Finding]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for finding in findings:
        found.setdefault(finding.subject, []).append(finding.problem)
    return found
