"""What a check found: outcome, evidence, findings; JSON-safe from birth, for it crosses processes.

PYTEST_DONT_REWRITE
"""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Any, Self

import msgspec

from pytest_readiness.errors import NothingExamined, NotJsonSafe

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


_CODE = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*\Z")


class Outcome(StrEnum):
    """Result of one item (design.md section 5)."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    NOTCHECKED = "notchecked"
    NOTAPPLICABLE = "notapplicable"

    @property
    def badness(self) -> int:
        """Order for merging several results of one item: the worst wins."""
        return _BADNESS[self]


_BADNESS = {
    Outcome.NOTAPPLICABLE: 0,
    Outcome.PASS: 1,
    Outcome.NOTCHECKED: 2,
    Outcome.ERROR: 3,
    Outcome.FAIL: 4,
}


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One subject, one thing wrong. code: what is wrong, for programs; `node-not-ready`."""

    subject: str
    problem: str
    code: str | None = None

    @property
    def name(self) -> str:
        """What a waiver writes for this one alone: `node/n3 [node-not-ready]`."""
        return f"{self.subject} [{self.code}]" if self.code else self.subject

    def is_among(self, names: Collection[str | None]) -> bool:
        """Tell whether waivers that write these names cover it: by its subject, or it alone."""
        return self.subject in names or self.name in names


class EvidenceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One question behind a result: where, what, when, and how a person sees the same.

    asked_at: RFC 3339 UTC. duration: seconds. fact: path in the run directory, or None when the
    question was a project's own fixture and nothing was recorded.
    """

    source: str
    question: str
    examined: tuple[str, ...] = ()
    observed: dict[str, Any] = {}  # values: Json, which msgspec does not take as a type
    expected: dict[str, Any] = {}
    command: str
    asked_at: str
    duration: float
    fact: str | None


class ItemResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of one item gave; `advice` is what to do about an error, line by line.

    why: the code of the reason, None for a pass and a fail.
    """

    id: str
    outcome: Outcome
    why: str | None = None
    reason: str | None = None
    advice: str | None = None
    cause: str | None = None  # key shared by items that failed for one root cause
    findings: tuple[Finding, ...] = ()
    evidence: tuple[EvidenceRecord, ...] = ()
    nodeid: str
    duration: float = 0.0

    def worst(self, other: Self) -> Self:
        """Return the worse of two results of one item; a rerun never improves it."""
        return other if other.outcome.badness > self.outcome.badness else self


class Evidence:
    """Notebook of one check: what it examined, saw and expected, and what it found wrong."""

    def __init__(self) -> None:
        self._examined: list[str] = []
        self._observed: dict[str, Json] = {}
        self._expected: dict[str, Json] = {}
        self._findings: list[Finding] = []

    @property
    def subjects(self) -> list[str]:
        """Names of what was examined."""
        return list(self._examined)

    @property
    def findings(self) -> list[Finding]:
        """What is wrong; a check ends in `assert not evidence.findings`."""
        return list(self._findings)

    @property
    def observations(self) -> dict[str, Json]:
        """What was seen, by name."""
        return dict(self._observed)

    @property
    def expectations(self) -> dict[str, Json]:
        """What was asked for, by name."""
        return dict(self._expected)

    def examined(self, subjects: Iterable[str]) -> None:
        """Name what was looked at. Raises NothingExamined when there is nothing."""
        if isinstance(subjects, str):
            raise TypeError(f"examined takes a list of names, not the one text {subjects!r}")
        names = [str(json_safe(subject, "examined")) for subject in subjects]
        if not names:
            raise NothingExamined("nothing was examined: an empty scope is not a pass")
        self._examined.extend(names)

    def observed(self, **values: object) -> None:
        """Record what was seen. Raises NotJsonSafe."""
        self._observed.update({name: json_safe(value, name) for name, value in values.items()})

    def expected(self, **values: object) -> None:
        """Record what was asked for. Raises NotJsonSafe."""
        self._expected.update({name: json_safe(value, name) for name, value in values.items()})

    def finding(self, subject: str, problem: str, code: str | None = None) -> None:
        """Record one subject and the one thing wrong with it.

        code: a word for it that stays when the problem is told in others, like `node-not-ready`.
        Raises ValueError when it is no such word.
        """
        if code is not None and not _CODE.match(code):
            raise ValueError(f"code {code!r} is not a word like 'node-not-ready'")
        self._findings.append(
            Finding(str(json_safe(subject, "subject")), str(json_safe(problem, "problem")), code)
        )

    def missing(self) -> list[str]:
        """Name the parts a pass may not lack and this notebook does."""
        parts = {
            "examined": self._examined,
            "observed": self._observed,
            "expected": self._expected,
        }
        return [name for name, value in parts.items() if not value]


DEEPEST = 32  # what renders a report is recursive, and so is who reads it


def json_safe(value: object, path: str, depth: int = 0) -> Json:
    """Return the value as JSON has it, tuples as lists. Raises NotJsonSafe naming the path."""
    if depth > DEEPEST:
        raise NotJsonSafe(f"evidence {path[:60]}... is nested more than {DEEPEST} deep")
    match value:
        case None | bool():
            return value
        case int() if -(2**63) <= value < 2**63:
            return int(value)
        case float() if math.isfinite(value):
            return float(value)  # of whatever subclass, which other processes do not know
        case str():
            return _utf8(value, path)
        case Mapping():
            return {
                _utf8(key, path): json_safe(item, f"{path}.{key}", depth + 1)
                for key, item in value.items()
            }
        case list() | tuple():
            return [json_safe(item, f"{path}[{n}]", depth + 1) for n, item in enumerate(value)]
        case _:
            raise NotJsonSafe(
                f"evidence {path} is {_name(value)}: give text, a finite number, a bool, None, "
                "or lists and dicts of them"
            )


def _utf8(text: object, path: str) -> str:
    if not isinstance(text, str):
        raise NotJsonSafe(f"evidence {path} has a key of type {type(text).__name__}: give text")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotJsonSafe(f"evidence {path} holds a lone surrogate: decode it first") from None
    return str.__str__(text)  # the value of an Enum, not its name


def _name(value: object) -> str:
    match value:
        case float():
            return f"{value:g}"
        case int():
            return "a number past 64 bits"
        case _:
            return f"of type {type(value).__name__}"
