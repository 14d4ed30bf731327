"""Standard streams that are closed or full: a run goes on, and its files say what it found.

PYTEST_DONT_REWRITE
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

_STDERR = 2


def open_closed() -> None:
    """Open the standard streams that are closed, on nothing.

    All three numbers are taken then: a file of the run that had one of them would get what is
    printed.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(number)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


class Enduring:
    """A text file that goes on when nothing more can be written to it: full, or nobody reads it.

    directory: where the report lies, which is said once on standard error.
    """

    def __init__(self, file: Any, directory: Path) -> None:
        self._file = file
        self._directory = directory
        self._said = False

    def __getattr__(self, name: str) -> Any:
        """Return what the file has."""
        return getattr(self._file, name)

    def write(self, text: str) -> None:
        """Write as much as can be."""
        self._try(lambda: self._file.write(text))

    def flush(self) -> None:
        """Write down as much as can be."""
        self._try(self._file.flush)

    def _try(self, call: Callable[[], object]) -> None:
        try:
            call()
        except OSError as error:
            _silence(self._file)
            if not self._said:
                self._said = True
                _complain(f"cannot write to standard output: {error.strerror}; {self._directory}")


def _complain(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # it may be full as well, and then there is nobody to tell
        _silence(sys.stderr)


def _silence(file: Any) -> None:
    """Lead a file to nothing, with what it could not write yet."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError):  # it has no number, and what it holds goes nowhere
        os.dup2(nothing, file.fileno())
        file.flush()
    os.close(nothing)
