"""How many requests a run sends: paced, and counted, for all its processes together.

They meet in the folder of facts. Names of these files begin with a dot: whoever ends the run
reads the count and removes them with the locks.

PYTEST_DONT_REWRITE
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

# A person with a browser and a dashboard that refreshes ask as much; no system worth a checklist
# feels it. A question that pages through 20,000 pods is one burst.
RATE = 20  # requests a second to one target, in the long run
BURST = 50  # requests that may go at once after a rest
_FILE = ".traffic"
_UNREADABLE = ("a line that cannot be read", "?", None)
Counts = Counter[tuple[str, str, int | None]]  # of target, method, status


class OverRate(TimeoutError):
    """The turn of a request comes after the end of its question's time."""

    def __init__(self) -> None:
        super().__init__(f"a run sends {RATE} requests a second, and this one's turn is too late")


class _Line(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A request that is about to be sent, or with a status, one that was answered."""

    target: str
    method: str
    status: int | None = None


class Meter:
    """Paces and counts the requests to one target. target: as the report names it, no secrets."""

    def __init__(self, folder: Path, target: str) -> None:
        self._folder = folder
        self._target = target
        name = hashlib.sha256(target.encode()).hexdigest()[:16]
        self._rate = folder / f".rate-{name}"

    @contextmanager
    def request(self, method: str, left: Callable[[], float]) -> Iterator[Callable[[int], None]]:
        """Wait for a turn, count the request that is sent in the block, yield who takes its status.

        left: returns the seconds that the question has, or raises TimeoutError. It is counted
        before it is sent: what nobody lives to see answered has been sent all the same.
        """
        self._take_turn(left)
        # Open until the answer comes, perhaps after the end of the run: then it goes nowhere.
        with (self._folder / _FILE).open("ab", buffering=0) as file:

            def note(status: int | None) -> None:
                line = msgspec.json.encode(_Line(self._target, method, status)) + b"\n"
                if file.write(line) != len(line):
                    raise OSError(f"{_FILE}: a request could not be counted")

            note(None)
            yield note

    def _take_turn(self, left: Callable[[], float]) -> None:
        from filelock import FileLock

        # A token bucket as one number, the moment at which it is full (GCRA: ITU-T I.371). The
        # clock is the machine's: processes of one run compare it.
        with FileLock(f"{self._rate}.lock", timeout=left(), poll_interval=0.005):
            now = time.monotonic()
            text = self._rate.read_text() if self._rate.exists() else ""
            full = max(float(text or 0), now)
            pause = full - now - (BURST - 1) / RATE
            if pause > left():
                raise OverRate
            self._rate.write_text(f"{full + 1 / RATE}")
        time.sleep(max(0.0, pause))
        left()


def read(folder: Path) -> Counts:
    """Return how many requests have been sent; status None: no answer came, or no connection."""
    path = folder / _FILE
    found: Counts = Counter()
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            target, method, status = msgspec.structs.astuple(msgspec.json.decode(line, type=_Line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            target, method, status = _UNREADABLE  # torn: the disk was full
        found[target, method, status] += 1
        if status is not None:
            found[target, method, None] -= 1
    return +found
