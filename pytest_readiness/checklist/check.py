"""What an item says about itself, beside the function that judges it.

PYTEST_DONT_REWRITE
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, NoReturn, TypeVar, cast

import pytest
from _pytest.outcomes import Skipped

from pytest_readiness.catalogue.words import Safety, Severity, is_slug
from pytest_readiness.errors import Why

Function = TypeVar("Function", bound=Callable[..., None])


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckMeta:
    """Declaration of a check. title and rationale are the two parts of the docstring."""

    id: str
    title: str
    rationale: str
    severity: Severity
    safety: Safety
    remediation: str
    reference: str


class Place(NamedTuple):
    """Where a check is declared: what its decorator has seen, whether pytest collects it or not."""

    meta: CheckMeta
    function: Callable[..., None]
    file: str
    line: int


DECLARED: list[Place] = []  # since the process began, or the run before this one ended


class NotApplicable(Skipped):
    """Raised by `not_applicable` and for the ini alone, so that no other skip is taken for it."""

    def __init__(self, reason: str, why: Why) -> None:
        self.reason, self.why = reason, why
        super().__init__(f"not applicable: {reason}")


def check(
    *, id: str, severity: Severity, safety: Safety, remediation: str, reference: str
) -> Callable[[Function], Function]:
    """Declare a function to be the check of one item.

    Raises TypeError at import when the id is no slug, the docstring lacks its claim or its
    rationale, or remediation or reference is empty.
    """

    def declare(function: Function) -> Function:
        meta = CheckMeta(
            id=id,
            title=_paragraph(function, 0),
            rationale=_paragraph(function, 1),
            severity=Severity(severity),
            safety=Safety(safety),
            remediation=_filled(function, "remediation", remediation),
            reference=_filled(function, "reference", reference),
        )
        if not is_slug(id):
            raise TypeError(f"{function.__qualname__}: id {id!r} is not a slug like 'k8s-nodes'")
        function.__readiness__ = meta  # type: ignore[attr-defined]
        marked = pytest.mark.item(id)(pytest.mark.safety(meta.safety.value)(function))
        marked = cast(Function, pytest.mark.readiness(marked))
        DECLARED.append(Place(meta, marked, *place_of(function)))
        return marked

    return declare


def place_of(function: Callable[..., None]) -> tuple[str, int]:
    """Return file and first line of a function, whatever wraps it."""
    code = inspect.unwrap(function).__code__
    return code.co_filename, code.co_firstlineno


def meta_of(function: object) -> CheckMeta | None:
    """Return what `@check` declared, or None for an ordinary function."""
    return getattr(function, "__readiness__", None)


def not_applicable(reason: str) -> NoReturn:
    """End a check whose own rule says that the item does not apply here."""
    raise NotApplicable(reason, Why.RULE)


def _paragraph(function: Callable[..., None], index: int) -> str:
    paragraphs = [
        " ".join(block.split()) for block in re.split(r"\n\s*\n", (function.__doc__ or "").strip())
    ]
    if len(paragraphs) < 2 or not all(paragraphs[:2]):
        raise TypeError(
            f"{function.__qualname__}: a check's docstring has two paragraphs: the claim, and what "
            "happens where it does not hold"
        )
    return paragraphs[0] if index == 0 else " ".join(paragraphs[1:])


def _filled(function: Callable[..., None], name: str, text: str) -> str:
    if not text.strip():
        raise TypeError(f"{function.__qualname__}: {name} is empty")
    return text
