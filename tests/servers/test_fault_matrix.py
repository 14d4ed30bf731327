"""No fault makes a question pass, break, hang or eat memory; docs/faults.md says what it does."""

import re
from collections.abc import Iterator
from functools import cache

import pytest

from pytest_readiness.targets import questions
from tests.servers import faults
from tests.servers.fault_targets import fault_targets
from tests.servers.faults import BY_MEMORY, FAULTS, MOST_MEMORY, PAGE, Cell, Matrix

NAMES = list(questions())
grown = cache(faults.by_memory)


@pytest.fixture(scope="module")
def matrix() -> Iterator[Matrix]:
    with Matrix() as made:
        for target in fault_targets():
            made.truly(target.first)  # imports its client
        yield made


@pytest.fixture(scope="module")
def measured(matrix: Matrix) -> dict[str, list[Cell]]:
    """What was measured by fault: all questions meet one side by side, since most of it waits."""
    return {}


def cells_of(matrix: Matrix, measured: dict[str, list[Cell]], fault: str) -> list[Cell]:
    if fault not in measured:
        measured[fault] = grown(fault)[1] if fault in BY_MEMORY else matrix.fault(fault)
    return measured[fault]


def test_passes_when_every_question_is_in_the_matrix() -> None:
    asked = [name for target in fault_targets() for name in target.asks]
    assert sorted(asked) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_passes_when_a_healthy_server_is_asked_what_the_matrix_knows(
    name: str, matrix: Matrix
) -> None:
    requests = matrix.truly(name)
    patterns = faults.target_of(name).asks[name]
    assert len(requests) == len(patterns), requests
    assert all(
        re.search(pattern, request) for pattern, request in zip(patterns, requests, strict=True)
    )


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", NAMES)
def test_a_fault_is_an_error_in_time_and_in_words(
    name: str, fault: str, matrix: Matrix, measured: dict[str, list[Cell]]
) -> None:
    page = PAGE.read_text(encoding="utf-8").splitlines()
    stored = [row for row in page if row.startswith(f"| `{name}` | {fault} |")]
    cells = [cell for cell in cells_of(matrix, measured, fault) if cell.question == name]
    if faults.rows(cells) != stored:  # perhaps the machine was busy
        cells = [matrix.again(cell) for cell in cells]
    assert [miss for cell in cells for miss in cell.misses()] == []
    assert faults.rows(cells) == stored, "run: python -m tests.servers.faults"


@pytest.mark.parametrize("fault", BY_MEMORY)
def test_a_huge_answer_does_not_eat_memory(fault: str) -> None:
    assert grown(fault)[0] < MOST_MEMORY


def test_passes_when_the_page_has_no_other_rows() -> None:
    page = PAGE.read_text(encoding="utf-8").splitlines()
    rows = {tuple(row.split(" | ")[:2]) for row in page if row.startswith("| `")}
    assert rows == {(f"| `{name}`", fault) for name in NAMES for fault in FAULTS}
