"""Limits on the whole of a question and of an answer; those of the clients hold byte by byte.

PYTEST_DONT_REWRITE
"""

import mmap
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TypeVar

Answer = TypeVar("Answer")
MAX_BODY = 32 * 1024 * 1024  # bytes, decompressed; a page of 500 pods of 20 kB is 10 MB
_GRACE = 0.5  # seconds the working thread has to give its own, better error


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


class Deadline:
    """The end of a question's time, which begins now and lasts these seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._given_up = threading.Event()

    def keep(self, work: Callable[[], Answer]) -> Answer:
        """Return what work returns; raise TimeoutError when it takes longer, and half a second.

        Work that nobody waits for any more ends where it next asks for the time that is left.
        """
        try:
            return within(self._seconds + _GRACE, work)
        except TimeoutError:
            self._given_up.set()
            raise

    def left(self) -> float:
        """Return the seconds that are left. Raises TimeoutError where there are none."""
        left = self._until - time.monotonic()
        if left <= 0 or self._given_up.is_set():
            raise TimeoutError
        return left

    def wait(self, seconds: float) -> None:
        """Wait, but not for work that has been given up."""
        self._given_up.wait(seconds)


class TooLarge(Exception):
    """An answer larger than any true one."""

    def __init__(self, most: int) -> None:
        super().__init__(f"the answer is larger than {most >> 20} MiB")


def joined(pieces: Iterable[bytes], most: int, check_time: Callable[[], object]) -> bytes:
    """Return the pieces of an answer as one. Raises TooLarge past `most` bytes.

    check_time is called after each piece, and raises when there is no time for another.
    """
    size = 0
    # Pages of its own, which go back to the system at once: pieces of an answer that is too large
    # would stay in the heap of this thread, and each question has another thread.
    with mmap.mmap(-1, most) as kept:
        for piece in pieces:
            size += len(piece)
            if size > most:
                raise TooLarge(most)
            kept.write(piece)
            check_time()
        return kept[:size]


def _settle(outcome: "Future[Answer]", work: Callable[[], Answer]) -> None:
    try:
        outcome.set_result(work())
    except Exception as error:
        outcome.set_exception(error)  # raised again by the thread that waits
