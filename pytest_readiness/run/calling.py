"""What the function of a check did itself, apart from what hooks and plugins do around it.

PYTEST_DONT_REWRITE
"""

from collections.abc import Callable, Generator
from functools import wraps
from typing import Any

import pytest
from _pytest.compat import is_async_function

from pytest_readiness.errors import ReadinessError
from pytest_readiness.run.collect import item_id

_RAISED = pytest.StashKey[BaseException]()


class Returned(ReadinessError):
    """A check that returns an answer instead of asserting it has judged nothing."""

    def __init__(self, answer: object) -> None:
        super().__init__(f"the check returned {type(answer).__name__}: it judges by assert alone")


class Calls:
    """Hooks around the call of the function."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Watch the function of a check, whoever calls it."""
        if item_id(pyfuncitem) is None:
            return (yield)
        function = pyfuncitem.obj
        watch = _watched_async if is_async_function(function) else _watched
        pyfuncitem.obj = watch(pyfuncitem, function)
        try:
            return (yield)
        finally:
            pyfuncitem.obj = function


def raised_by_check(item: pytest.Item, error: BaseException) -> bool:
    """Tell whether the function of the check let this very error out."""
    return item.stash.get(_RAISED, None) is error


def _watched(item: pytest.Function, function: Callable[..., Any]) -> Callable[..., None]:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> None:
        try:
            _nothing(function(*args, **kwargs))
        except BaseException as error:
            item.stash[_RAISED] = error
            raise

    return call


def _watched_async(item: pytest.Function, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> None:
        try:
            _nothing(await function(*args, **kwargs))
        except BaseException as error:
            item.stash[_RAISED] = error
            raise

    return call


def _nothing(answer: object) -> None:
    # Not by pytest's warning, which `-p no:warnings` takes away.
    if answer is not None:
        raise Returned(answer)
