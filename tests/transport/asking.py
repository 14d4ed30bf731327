"""An HTTP client as a run has it, and what came of asking with it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pytest_readiness.errors import ProbeError
from pytest_readiness.transport import traffic
from pytest_readiness.transport.http import Client, Question
from tests.asking import caller

QUESTION = "list rules"


def client(url: str, *named: str, timeout: float = 2, **login: Any) -> Client:
    """Return a client of the URL, where readiness.ini names these origins beside it."""
    asks = caller(timeout=timedelta(seconds=timeout), origins=frozenset({url, *named}))
    return Client("prometheus", url, asks, **login)


def ask(asked: Client, path: str = "/rules") -> bytes:
    """Return the body that a question of one request gets."""
    return asked.ask(QUESTION, lambda question: question.body(path))


def refused(asked: Client, work: Callable[[Question], object] | None = None) -> ProbeError:
    """Return the error that a question ends in."""
    with pytest.raises(ProbeError) as caught:
        asked.ask(QUESTION, work or (lambda question: question.body("/rules")))
    assert caught.value.question == QUESTION
    return caught.value


def sent(asked: Client) -> dict[tuple[str, str, int | None], int]:
    """Return what the client's run has sent: (target, method, status) -> count."""
    return dict(traffic.read(asked.caller.folder))
