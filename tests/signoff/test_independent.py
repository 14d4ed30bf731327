"""A verifier that was written from docs/signoff.md alone accepts and refuses the same runs."""

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_readiness.errors import ReadinessError
from pytest_readiness.results.model import Report
from pytest_readiness.signoff import policy
from pytest_readiness.signoff.refusals import Cause
from pytest_readiness.signoff.verify import verify
from tests.properties import bounded
from tests.signoff import independent
from tests.signoff.keys import Person
from tests.signoff.refused import CASES
from tests.signoff.runs import AT, BOTH, SignedRun, ready, signed_run, team, with_waivers
from tests.signoff.spoil import nothing
from tests.signoff.test_mutations import CHANGES, Change, apply, python_alone

MADE = ["sshsig", "dsse", "both", *CASES]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Person]:
    return team(tmp_path_factory.mktemp("keys"))


def ours(made: SignedRun, at: datetime) -> tuple[int, frozenset[str]]:
    try:
        found = verify(made.run, policy.load(made.policy), at)
    except ReadinessError:
        return 4, frozenset()
    return found.exit_code, frozenset(refusal.cause.value for refusal in found.refusals)


def theirs(made: SignedRun, at: datetime) -> tuple[int, frozenset[str]]:
    return independent.verify(made.run, made.policy, at)


def deciding(causes: frozenset[str], code: int) -> set[str]:
    """Return the causes of the group that gives the exit code; what is worse hides the others."""
    return {cause for cause in causes if Cause(cause).exit_code == code}


@pytest.mark.parametrize("formats", [("sshsig",), ("dsse",), BOTH])
@pytest.mark.parametrize("report", [ready(), with_waivers()])
def test_accepts_what_we_accept(
    tmp_path: Path, people: dict[str, Person], report: Report, formats: tuple[str, ...]
) -> None:
    made = signed_run(tmp_path, report, people, formats)
    assert ours(made, AT) == theirs(made, AT) == (0, frozenset())


@pytest.mark.parametrize("name", CASES)
def test_refuses_what_we_refuse_and_for_the_same_causes(
    tmp_path: Path, people: dict[str, Person], name: str
) -> None:
    case = CASES[name]
    made = signed_run(tmp_path, case.report(), people, case.formats)
    case.spoil(made)
    code, causes = ours(made, case.at)
    assert case.cause.value in causes
    their_code, their_causes = theirs(made, case.at)
    assert their_code == code
    assert deciding(their_causes, code) == deciding(causes, code)


class Runs:
    """The runs above, made when they are first asked for."""

    def __init__(self, folder: Path, people: dict[str, Person]) -> None:
        self._folder = folder
        self._people = people
        self._made: dict[str, tuple[SignedRun, datetime]] = {}

    def __getitem__(self, name: str) -> tuple[SignedRun, datetime]:
        if name not in self._made:
            case = CASES.get(name)
            formats = {"both": BOTH}.get(name, (name,)) if case is None else case.formats
            report = with_waivers() if case is None else case.report()
            made = signed_run(self._folder / name.replace(" ", "-"), report, self._people, formats)
            (nothing if case is None else case.spoil)(made)
            self._made[name] = made, AT if case is None else case.at
        return self._made[name]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, people: dict[str, Person]) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"), people)


@bounded(150)
@given(name=st.sampled_from(MADE), change=CHANGES)
def test_answers_alike_after_any_change(runs: Runs, name: str, change: Change) -> None:
    made, at = runs[name]
    before = apply(made, change)
    try:
        with python_alone():
            mine, other = ours(made, at)[0], theirs(made, at)[0]
        assert (mine == 0) == (other == 0), (mine, other)
    finally:
        for path, data in before.items():
            path.write_bytes(data)
