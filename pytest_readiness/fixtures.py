"""The bridge between facts and checks: one session fixture a question, and the notebook.

PYTEST_DONT_REWRITE
"""

from typing import Any

import msgspec
import pytest

from pytest_readiness import catalogue, people
from pytest_readiness.declarations import Judged, State, judge
from pytest_readiness.errors import NotChecked
from pytest_readiness.facts.declarations import Declarations
from pytest_readiness.questions import QUESTIONS, Question
from pytest_readiness.results import Evidence
from pytest_readiness.run import Context, context_of
from pytest_readiness.settings import sections

EVIDENCE = pytest.StashKey[Evidence]()


@pytest.fixture
def evidence(request: pytest.FixtureRequest) -> Evidence:
    """Notebook of one check: what it examined, observed, expected and found wrong."""
    node: pytest.Item = request.node
    return node.stash.setdefault(EVIDENCE, Evidence())


@pytest.fixture(scope="session")
def k8s_limits(request: pytest.FixtureRequest) -> Any:
    """Section [kubernetes] of readiness.ini."""
    return _active(request.config).asker.limits("kubernetes")


@pytest.fixture(scope="session")
def ch_limits(request: pytest.FixtureRequest) -> Any:
    """Section [clickhouse] of readiness.ini."""
    return _active(request.config).asker.limits("clickhouse")


@pytest.fixture
def declarations(request: pytest.FixtureRequest) -> Declarations:
    """Return what people declare."""
    context = _active(request.config)
    found = people.recorded_declarations(context.settings, context.store)
    if found is None:
        raise NotChecked(_undeclared(request.node.name, people.UNDECLARED))
    return found


@pytest.fixture
def declaration(request: pytest.FixtureRequest, declarations: Declarations) -> Judged:
    """Return what is declared of the item that asks, and whether it counts."""
    context = _active(request.config)
    settings = context.settings
    item = catalogue.by_id().get(request.node.name)
    if item is None:
        raise NotChecked("only an item of the checklist is declared")
    target_set = people.target_set(settings, item)
    judged = judge(declarations, item, settings.readiness, target_set=target_set)
    if judged.state is State.ABSENT:
        raise NotChecked(_undeclared(item.id, judged.reason or people.UNDECLARED))
    return judged


def _undeclared(id: str, reason: str) -> str:
    item = catalogue.by_id().get(id)
    if item is None or item.target not in sections():
        return reason
    return f"no [{item.target}] in readiness.ini, and {reason}"


def _active(config: pytest.Config) -> Context:
    context = context_of(config)
    if context is None:
        raise NotChecked("questions are asked only by a run of the checklist: pytest -m readiness")
    return context


def _fixture(question: Question) -> object:
    def ask(request: pytest.FixtureRequest) -> msgspec.Struct:
        return _active(request.config).answer(question)

    ask.__doc__ = f"Answer to: {question.text}."
    return pytest.fixture(scope="session", name=question.name)(ask)


globals().update({f"_{question.name}": _fixture(question) for question in QUESTIONS})
