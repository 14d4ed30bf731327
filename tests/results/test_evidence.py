"""Evidence is JSON from birth, and the worst of several results stands."""

import datetime
import enum
from collections import OrderedDict
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from pytest_readiness.catalogue.words import Severity
from pytest_readiness.errors import NothingExamined, NotJsonSafe
from pytest_readiness.results.evidence import (
    Evidence,
    EvidenceRecord,
    Finding,
    ItemResult,
    Outcome,
    json_safe,
)


class Share(float):
    """As numpy's numbers are: a float to Python, and unknown to whoever encodes or receives it."""


class Count(int):
    pass


class Name(str):
    __slots__ = ()


class Colour(str, enum.Enum):  # noqa: UP042  the kind whose str() is not its value
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (0, 0),
        (-(2**63), -(2**63)),
        (1.5, 1.5),
        ("ü «x»\n\0", "ü «x»\n\0"),
        ((1, "a", None), [1, "a", None]),
        ({"a": {"b": [()]}}, {"a": {"b": [[]]}}),
        (OrderedDict(a=1), {"a": 1}),
        (Share(0.5), 0.5),
        (Count(7), 7),
        (Name("n"), "n"),
        (Colour.RED, "red"),
        (Severity.MAJOR, "major"),
        (Level.HIGH, 3),
        ({Colour.RED: 1}, {"red": 1}),
    ],
)
def test_what_json_can_carry_is_kept_in_builtin_types(value: object, expected: object) -> None:
    safe: Any = json_safe(value, "size")
    assert safe == expected
    assert type(safe) is type(expected)
    assert msgspec.json.decode(msgspec.json.encode(safe)) == safe


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "evidence size is nan"),
        (float("inf"), "evidence size is inf"),
        (Share("nan"), "evidence size is nan"),
        (2**64, "evidence size is a number past 64 bits"),
        (10**4000, "evidence size is a number past 64 bits"),
        (-(2**63) - 1, "evidence size is a number past 64 bits"),
        ("\ud800", "evidence size holds a lone surrogate"),
        (b"bytes", "evidence size is of type bytes"),
        (datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC), "is of type datetime"),
        (Decimal(1), "is of type Decimal"),
        ({1, 2}, "is of type set"),
        (object(), "is of type object"),
        (1j, "is of type complex"),
        (Finding("a", "b"), "is of type Finding"),
        ({1: "a"}, "evidence size has a key of type int"),
        ({"\udfff": 1}, "evidence size holds a lone surrogate"),
        ({"a": [1, {"b": b"x"}]}, r"evidence size\.a\[1\]\.b is of type bytes"),
        (range(3), "is of type range"),
    ],
)
def test_what_json_cannot_carry_is_refused_by_its_place(value: object, said: str) -> None:
    with pytest.raises(NotJsonSafe, match=said):
        json_safe(value, "size")
    for record in (Evidence().observed, Evidence().expected):
        with pytest.raises(NotJsonSafe, match=said):
            record(size=value)


def test_a_notebook_keeps_what_is_written_into_it() -> None:
    evidence = Evidence()
    evidence.examined(["a"])
    evidence.examined(name for name in ("b", "c"))
    evidence.observed(size=1)
    evidence.observed(size=2, share=Share(0.5))
    evidence.expected(size="> 2")
    evidence.finding("a", "is too small")
    assert evidence.subjects == ["a", "b", "c"]
    assert evidence.observations == {"size": 2, "share": 0.5}
    assert evidence.expectations == {"size": "> 2"}
    assert evidence.findings == [Finding("a", "is too small")]
    assert evidence.missing() == []


def test_a_notebook_gives_out_copies() -> None:
    evidence = Evidence()
    evidence.finding("a", "is too small")
    evidence.findings.clear()
    evidence.subjects.append("b")
    evidence.observations["c"] = 1
    assert (len(evidence.findings), evidence.subjects, evidence.observations) == (1, [], {})


@pytest.mark.parametrize("subjects", [[], (), iter(())])
def test_an_empty_scope_is_refused(subjects: Any) -> None:
    with pytest.raises(NothingExamined):
        Evidence().examined(subjects)


def test_one_text_is_not_taken_for_a_list_of_letters() -> None:
    with pytest.raises(TypeError, match="takes a list of names, not the one text 'node/n1'"):
        Evidence().examined("node/n1")


@pytest.mark.parametrize("text", ["\ud800", b"x"])
def test_subjects_and_problems_are_json_too(text: Any) -> None:
    with pytest.raises(NotJsonSafe):
        Evidence().examined([text])
    with pytest.raises(NotJsonSafe):
        Evidence().finding(text, "is too small")
    with pytest.raises(NotJsonSafe):
        Evidence().finding("a", text)


def test_missing_parts_are_named() -> None:
    evidence = Evidence()
    assert evidence.missing() == ["examined", "observed", "expected"]
    evidence.observed(size=0)
    assert evidence.missing() == ["examined", "expected"]


def test_the_worst_of_several_results_stands_in_either_order() -> None:
    order = [
        Outcome.NOTAPPLICABLE,
        Outcome.PASS,
        Outcome.NOTCHECKED,
        Outcome.ERROR,
        Outcome.FAIL,
    ]
    results = [ItemResult(id="a", outcome=outcome, nodeid="n") for outcome in order]
    assert set(order) == set(Outcome)
    for better, worse in pairwise(results):
        assert better.worst(worse) is worse
        assert worse.worst(better) is worse


def test_of_two_equal_results_the_first_stands() -> None:
    first, second = (ItemResult(id="a", outcome=Outcome.FAIL, nodeid=name) for name in "xy")
    assert first.worst(second) is first


def test_a_result_survives_json() -> None:
    record = EvidenceRecord(
        source="shop",
        question="list sizes",
        examined=("a",),
        observed={"sizes": [1, {"a": None}]},
        expected={"size": "> 2"},
        command="curl",
        asked_at="2026-11-24T06:30:00.123Z",
        duration=0.5,
        fact=None,
    )
    result = ItemResult(
        id="a",
        outcome=Outcome.FAIL,
        findings=(Finding("a", "is too small"),),
        evidence=(record,),
        nodeid="n",
    )
    assert msgspec.json.decode(msgspec.json.encode(result), type=ItemResult) == result


@pytest.mark.parametrize(
    "code", ["", "Node", "node_small", "node--small", "-node", "node small", "ü"]
)
def test_a_code_is_a_word_for_programs(code: str) -> None:
    with pytest.raises(ValueError, match="is not a word like"):
        Evidence().finding("node/n3", "is too small", code)


def test_a_finding_is_named_by_its_subject_and_its_code() -> None:
    evidence = Evidence()
    evidence.finding("node/n3", "is too small", "node-too-small")
    evidence.finding("node/n3", "is odd")
    assert [found.name for found in evidence.findings] == ["node/n3 [node-too-small]", "node/n3"]
