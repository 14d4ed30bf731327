"""A limit on the whole of a question; those of the clients hold from one byte to the next.

PYTEST_DONT_REWRITE
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Answer = TypeVar("Answer")
GRACE = 0.5  # seconds the working thread has to give its own, better error


def within(seconds: float, work: Callable[[], Answer]) -> Answer:
    """Return what work returns; raise TimeoutError when it takes longer.

    It goes on in a thread that ends with the process at the latest: neither name resolution nor
    an exec plugin has a time limit of its own, and a server may drip bytes for ever.
    """
    outcome: Future[Answer] = Future()
    thread = threading.Thread(
        target=_settle, args=(outcome, work), name="readiness-question", daemon=True
    )
    thread.start()
    return outcome.result(seconds)


def _settle(outcome: "Future[Answer]", work: Callable[[], Answer]) -> None:
    try:
        outcome.set_result(work())
    except Exception as error:
        outcome.set_exception(error)  # raised again by the thread that waits
