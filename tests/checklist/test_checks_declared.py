"""What a check says of itself, and what is refused at import."""

from collections.abc import Callable
from typing import Any

import pytest

from pytest_readiness import Safety, Severity, check, not_applicable
from pytest_readiness.checklist.check import NotApplicable, meta_of

GIVEN: dict[str, Any] = {
    "id": "shop-till",
    "severity": Severity.MAJOR,
    "safety": Safety.S1,
    "remediation": "Open the till.",
    "reference": "docs/till.md",
}
TWO_PARAGRAPHS = """The till
    is open.

    A closed till
    sells nothing.
    \t
    And that is bad.
    """


def declared(doc: str | None = TWO_PARAGRAPHS, **changed: Any) -> Callable[..., None]:
    def test_the_till() -> None:
        pass

    test_the_till.__doc__ = doc
    return check(**{**GIVEN, **changed})(test_the_till)


def test_a_check_carries_its_declaration() -> None:
    meta = meta_of(declared())
    assert meta is not None
    assert meta.title == "The till is open."
    assert meta.rationale == "A closed till sells nothing. And that is bad."
    assert (meta.id, meta.severity, meta.safety) == ("shop-till", "major", "S1")
    assert (meta.remediation, meta.reference) == ("Open the till.", "docs/till.md")


def test_words_do_for_severity_and_safety() -> None:
    meta = meta_of(declared(severity="minor", safety="S0"))
    assert meta is not None
    assert meta.severity is Severity.MINOR
    assert meta.safety is Safety.S0


def test_a_check_is_marked() -> None:
    marks = {mark.name: mark.args for mark in declared().pytestmark}  # type: ignore[attr-defined]
    assert marks == {"readiness": (), "item": ("shop-till",), "safety": ("S1",)}


def test_an_ordinary_function_is_no_check() -> None:
    assert meta_of(lambda: None) is None


@pytest.mark.parametrize(
    "id", ["", "till", "Shop-till", "shop_till", "shop--till", "-shop-till", "shop-till\n", "1-a"]
)
def test_an_id_that_is_no_slug_is_refused(id: str) -> None:
    with pytest.raises(TypeError, match="is not a slug like 'k8s-nodes'"):
        declared(id=id)


@pytest.mark.parametrize("doc", [None, "", "The till is open.", "The till\n    is open.\n\n   "])
def test_a_docstring_without_claim_and_rationale_is_refused(doc: str | None) -> None:
    with pytest.raises(TypeError, match="test_the_till: a check's docstring has two paragraphs"):
        declared(doc)


def test_paragraphs_may_be_parted_by_a_line_of_spaces() -> None:
    meta = meta_of(declared("The till is open.\n    \n    Or it sells nothing."))
    assert meta is not None
    assert (meta.title, meta.rationale) == ("The till is open.", "Or it sells nothing.")


@pytest.mark.parametrize("name", ["remediation", "reference"])
@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_text_is_refused(name: str, text: str) -> None:
    with pytest.raises(TypeError, match=f"test_the_till: {name} is empty"):
        declared(**{name: text})


@pytest.mark.parametrize(("name", "word"), [("severity", "huge"), ("safety", "S5")])
def test_an_unknown_severity_or_safety_is_refused(name: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        declared(**{name: word})


@pytest.mark.parametrize("name", GIVEN)
def test_no_part_may_be_left_out(name: str) -> None:
    with pytest.raises(TypeError, match=name):
        check(**{key: value for key, value in GIVEN.items() if key != name})


def test_not_applicable_ends_a_check_with_its_reason() -> None:
    with pytest.raises(NotApplicable, match="not applicable: there is no till"):
        not_applicable("there is no till")
