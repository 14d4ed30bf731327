"""The bridge between facts and checks: a fixture a question, the limits, and the notebook.

PYTEST_DONT_REWRITE
"""

import msgspec
import pytest

from pytest_readiness import catalogue
from pytest_readiness.errors import NotChecked, Why
from pytest_readiness.people import recorded
from pytest_readiness.people.declarations import Judged, State, judge
from pytest_readiness.people.facts import Declarations
from pytest_readiness.results.evidence import Evidence
from pytest_readiness.run.context import Context, context_of
from pytest_readiness.targets import Target, questions, targets
from pytest_readiness.targets.section import Question, Section

EVIDENCE = pytest.StashKey[Evidence]()


@pytest.fixture
def evidence(request: pytest.FixtureRequest) -> Evidence:
    """Notebook of one check: what it examined, observed, expected and found wrong."""
    node: pytest.Item = request.node
    return node.stash.setdefault(EVIDENCE, Evidence())


@pytest.fixture
def declarations(request: pytest.FixtureRequest) -> Declarations:
    """Return what people declare."""
    context = _active(request.config)
    found = recorded.recorded_declarations(context.settings, context.store)
    if found is None:
        raise NotChecked(Why.NO_DECLARATION, _undeclared(request.node.name, recorded.UNDECLARED))
    return found


@pytest.fixture
def declaration(request: pytest.FixtureRequest, declarations: Declarations) -> Judged:
    """Return what is declared of the item that asks, and whether it counts."""
    context = _active(request.config)
    settings = context.settings
    item = catalogue.by_id().get(request.node.name)
    if item is None:
        raise NotChecked(Why.NO_DECLARATION, "only an item of the checklist is declared")
    target_set = recorded.target_set(settings, item)
    judged = judge(declarations, item, settings.readiness, target_set=target_set)
    if judged.state is State.ABSENT:
        reason = _undeclared(item.id, judged.reason or recorded.UNDECLARED)
        raise NotChecked(Why.NO_DECLARATION, reason)
    return judged


def _undeclared(id: str, reason: str) -> str:
    item = catalogue.by_id().get(id)
    if item is None or item.target not in targets():
        return reason
    return f"no [{item.target}] in readiness.ini, and {reason}"


def _active(config: pytest.Config) -> Context:
    context = context_of(config)
    if context is None:
        raise NotChecked(
            Why.NOT_RUN, "questions are asked only by a run of the checklist: pytest -m readiness"
        )
    return context


def _answer(name: str, question: Question) -> object:
    def ask(request: pytest.FixtureRequest) -> msgspec.Struct:
        return _active(request.config).answer(name)

    ask.__doc__ = f"Answer to: {question.text}."
    return pytest.fixture(scope="session", name=name)(ask)


def _limits(target: Target) -> object:
    def limits(request: pytest.FixtureRequest) -> Section:
        return _active(request.config).asker.limits(target.name)

    limits.__doc__ = f"Section [{target.name}] of readiness.ini."
    return pytest.fixture(scope="session", name=target.limits)(limits)


globals().update({f"_{name}": _answer(name, asked) for name, (_, asked) in questions().items()})
globals().update({f"_{target.limits}": _limits(target) for target in targets().values()})
