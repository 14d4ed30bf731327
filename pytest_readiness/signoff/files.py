"""Files that others wrote: read once, whole, and never waited for.

PYTEST_DONT_REWRITE
"""

import os
import stat
from pathlib import Path

from pytest_readiness.errors import ReadinessError

SMALL = 16 * 1024 * 1024  # bytes, of what people sign with; some KB is usual
REPORT = 256 * 1024 * 1024  # bytes, of report.json


class Unreadable(ReadinessError):
    """A file that cannot be read. why: in words, without its name."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


def read(path: Path, largest: int = SMALL) -> bytes:
    """Return the bytes of a file, of which there are `largest` at most.

    Raises Unreadable, also for a pipe or a folder.
    """
    try:
        with open(path, "rb", opener=_open) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise Unreadable("it is not a file")
            data = file.read(largest + 1) if found.st_size <= largest else None
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from None
    if data is None or len(data) > largest:
        raise Unreadable(f"it is larger than {largest} bytes")
    return data


def names(folder: Path) -> list[str]:
    """Return what is in a folder, sorted; nothing where there is none. Raises Unreadable."""
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        if os.path.islink(folder):
            raise Unreadable("it is a link that leads nowhere") from None
        return []
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from None


def _open(path: str, flags: int) -> int:
    # A pipe in an unpacked archive would be waited for.
    return os.open(path, flags | os.O_NONBLOCK)
