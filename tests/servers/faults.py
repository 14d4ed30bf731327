"""The fault matrix: each question x each fault, what comes of it, when, and in which words.

`python -m tests.servers.faults` measures all of it and writes docs/faults.md;
`python -m tests.servers.faults FAULT` measures one fault alone in this process, and says by how
much its memory grew.
"""

import json
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_readiness.errors import ProbeError, ProbeErrorKind, told
from pytest_readiness.lab import tls
from pytest_readiness.targets import questions
from tests.asking import connect
from tests.servers import fault_servers as servers
from tests.servers.fault_servers import Behaviour, FaultServer
from tests.servers.fault_targets import TIMEOUT, FaultTarget, Place, fault_targets
from tests.servers.programs import ROOT

PAGE = ROOT / "docs" / "faults.md"
LONGEST = TIMEOUT + 1.0  # seconds, of a cell
MOST_MEMORY = 64 << 20  # bytes, by which a huge answer may make the asking process grow
AT_ONCE, AT_TIMEOUT = "at once", "at its timeout"
_AT_ONCE = 16  # cells measured side by side; most of them wait

# Faults of the place, met by every request; the others are behaviours of a server.
PLACES = ("unreachable", "name does not resolve", "refused", "TLS untrusted", "TLS expired")
BEHAVIOURS: dict[str, Behaviour] = {
    "reset": servers.reset,
    **{str(number): servers.status(number) for number in (401, 403, 404, 429, 500, 503)},
    "garbage": servers.garbage,
    "truncated": servers.truncated,
    "slow body": servers.slow_body,
    "hang": servers.hang,
    "half answer, then hang": servers.half_then_hang,
    "huge body": servers.huge_body,
    "huge body, compressed": servers.bomb,
}
FAULTS = (*PLACES, *BEHAVIOURS)
BY_MEMORY = ("huge body", "huge body, compressed")
_connecting = threading.Lock()


class Case(NamedTuple):
    """A question, one of its requests (a pattern; None: each), and the fault that it meets."""

    question: str
    request: str | None
    fault: str


@dataclass(frozen=True, slots=True)
class Cell:
    """What came of a case. seconds: from the ask to the error. line: what a person reads."""

    question: str
    request: str | None
    fault: str
    outcome: str
    seconds: float
    line: str

    @property
    def ends(self) -> str:
        return AT_ONCE if self.seconds < 0.9 * TIMEOUT else AT_TIMEOUT

    def misses(self) -> list[str]:
        """Return what is wrong with it by the bar of the matrix."""
        kinds = {kind.value for kind in ProbeErrorKind} - {ProbeErrorKind.BROKE.value}
        wrong = [] if self.outcome in kinds else [f"{self.outcome}: {self.line}"]
        wrong += [f"took {self.seconds:.2f} s"] if self.seconds > LONGEST else []
        bad = not self.line.isprintable() or re.search(r"0x[0-9a-f]{4}|Traceback|Errno", self.line)
        return wrong + ([f"no line for a person: {self.line!r}"] if bad else [])


class Certificates(NamedTuple):
    """Authorities and the servers they signed."""

    trusted: tls.TlsFiles
    other: tls.TlsFiles
    expired: tls.TlsFiles


class Matrix:
    """Measures cells; a context manager that holds a folder of certificates."""

    def __enter__(self) -> "Matrix":
        self._stack = ExitStack()
        self._stack.enter_context(servers.no_name_in_invalid())
        folder = tempfile.TemporaryDirectory(prefix="readiness-faults-")
        self._folder = Path(self._stack.enter_context(folder))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tls, "_AFTER", timedelta(minutes=-30))
            expired = tls.write_tls(self._folder / "expired")
        trusted, other = (tls.write_tls(self._folder / name) for name in ("trusted", "other"))
        self._files = Certificates(trusted, other, expired)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def fault(self, fault: str) -> list[Cell]:
        """Measure a fault with every question, side by side; once more alone what misses."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            cells = list(pool.map(self.cell, cases(fault)))
        return [self.again(cell) if cell.misses() else cell for cell in cells]

    def again(self, cell: Cell) -> Cell:
        """Measure a cell once more."""
        return self.cell(Case(cell.question, cell.request, cell.fault))

    def cell(self, case: Case) -> Cell:
        """Measure one cell."""
        target = target_of(case.question)
        dials = bool(target.opens) and (case.request is None or case.request in target.opens)
        with ExitStack() as stack:
            place, server = stack.enter_context(self._place(target, case.fault))
            client = None if dials else stack.enter_context(_connected(target, place))
            if server is not None and case.request is not None:
                pattern = re.compile(case.request)
                server.fault = (pattern, BEHAVIOURS[case.fault])
            started = time.monotonic()
            try:
                if client is None:
                    client = stack.enter_context(_connected(target, place, alone=False))
                answer = _probe(case.question)(client)
                outcome, line = "answered", repr(answer)[:200]
            except ProbeError as error:
                outcome, line = error.kind.value, str(error)
            except Exception as error:  # the bar: nothing but a ProbeError leaves a probe
                outcome, line = "traceback", told(error)
            seconds = time.monotonic() - started
        return Cell(*case, outcome, seconds, _stable(line, place))

    def truly(self, question: str) -> list[str]:
        """Ask a question of a healthy server, and return the requests it made."""
        target = target_of(question)
        with self._place(target, "") as (place, server), _connected(target, place) as client:
            assert server is not None
            opened = len(server.asked)
            _probe(question)(client)
            return server.asked[opened:]

    @contextmanager
    def _place(self, target: FaultTarget, fault: str) -> Iterator[tuple[Place, FaultServer | None]]:
        with ExitStack() as stack:
            beside = None
            if target.beside is not None:
                near = stack.enter_context(FaultServer(target.beside.answer, target.beside.words))
                beside = Place("127.0.0.1", near.port, "http", self._files.trusted.ca, self._folder)
            files = {"TLS expired": self._files.expired, "TLS untrusted": self._files.other}
            scheme = "https" if fault in files else target.scheme
            ca = (self._files.expired if fault == "TLS expired" else self._files.trusted).ca
            host, server = "127.0.0.1", None
            if fault == "unreachable":
                port = stack.enter_context(servers.unreachable())
            elif fault in ("refused", "name does not resolve"):
                port = stack.enter_context(servers.refused())
                host = host if fault == "refused" else "no-such-host.invalid"
            else:
                serving = files.get(fault, self._files.trusted)
                context = serving.server_context() if scheme == "https" else None
                server = FaultServer(target.answer, target.words, context)
                port = stack.enter_context(server).port
            yield Place(host, port, scheme, ca, self._folder, beside), server


def target_of(question: str) -> FaultTarget:
    """Return the target that asks a question."""
    return next(target for target in fault_targets() if question in target.asks)


def cases(fault: str) -> list[Case]:
    """Return the cases of a fault: each request of each question meets it in turn."""
    found = []
    for target in fault_targets():
        for question, requests in target.asks.items():
            opens = target.opens if question == target.first else ()
            for request in (None,) if fault in PLACES else (*opens, *requests):
                found.append(Case(question, request, fault))
    return found


def rows(cells: Sequence[Cell]) -> list[str]:
    """Return the lines of the table for the cells of one question and one fault."""
    same: dict[tuple[str, str, str], list[str]] = {}
    for number, cell in enumerate(cells, 1):
        same.setdefault((cell.outcome, cell.ends, cell.line), []).append(str(number))
    first = cells[0]
    return [
        _row(
            f"`{first.question}`",
            first.fault,
            "each" if len(numbers) == len(cells) else ", ".join(numbers),
            outcome,
            ends,
            line,
        )
        for (outcome, ends, line), numbers in same.items()
    ]


def page(cells: Sequence[Cell]) -> str:
    """Return docs/faults.md."""
    order = {name: place for place, name in enumerate(questions())}
    ordered = sorted(cells, key=lambda c: (order[c.question], FAULTS.index(c.fault)))
    table = [
        row
        for _, group in groupby(ordered, key=lambda c: (c.question, c.fault))
        for row in rows(list(group))
    ]
    lines = (
        "# When a system does not answer",
        "",
        "<!-- Written by python -m tests.servers.faults: change the probes, then run it. -->",
        "",
        "Each question meets each fault on each of its requests in turn; `request` counts them, "
        f"those that open a session first. `timeout` is {TIMEOUT:g} s. The tests hold every row "
        "to this: the question has no answer and an error of a kind; it ends before `timeout` + "
        "1 s, `at once` or `at its timeout`; a huge body makes the asking process grow by less "
        "than 64 MiB; the line is one that a person reads.",
        "",
        _row("question", "fault", "request", "outcome", "ends", "what the line says"),
        _row(*["---"] * 6),
        *table,
    )
    return "\n".join(lines) + "\n"


def by_memory(fault: str) -> tuple[int, list[Cell]]:
    """Measure a fault in a process of its own; return also the bytes by which that grew."""
    command = [sys.executable, "-m", "tests.servers.faults", fault]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise AssertionError(done.stderr)
    said = json.loads(done.stdout.splitlines()[-1])
    return said["grew"], [Cell(**cell) for cell in said["cells"]]


def _measured_here(matrix: Matrix, fault: str) -> dict[str, Any]:
    for target in fault_targets():
        for question in target.asks:
            matrix.truly(question)  # what is imported once is no growth
    before = _peak()
    cells = [matrix.cell(case) for case in cases(fault)]
    grew = _peak() - before
    cells = [matrix.again(cell) if cell.misses() else cell for cell in cells]
    return {"grew": grew, "cells": [asdict(cell) for cell in cells]}


def _peak() -> int:
    """Return the most bytes this program ever held."""
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Not ru_maxrss: on Linux a program inherits the peak of the process that started it.
    peak = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert peak is not None
    return int(peak[1]) * 1024


@contextmanager
def _connected(target: FaultTarget, place: Place, *, alone: bool = True) -> Iterator[Any]:
    # What a client library does to warnings while it reads its settings is for one thread.
    with _connecting if alone else nullcontext():
        client = connect(target.settings(place), target.name)
    try:
        yield client
    finally:
        if hasattr(client, "close"):
            client.close()


def _probe(question: str) -> Callable[[Any], object]:
    target, asked = questions()[question]
    probe: Callable[[Any], object] = getattr(target.probe(), asked.name)
    return probe


def _stable(line: str, place: Place) -> str:
    return line.replace(f"{place.host}:{place.port}", "HOST:PORT")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def main() -> None:
    """Write docs/faults.md, or measure one fault."""
    with Matrix() as matrix:
        if len(sys.argv) > 1:
            print(json.dumps(_measured_here(matrix, sys.argv[1])))
            return
        for target in fault_targets():
            matrix.truly(target.first)  # imports its client
        cells = [
            cell
            for fault in FAULTS
            for cell in (by_memory(fault)[1] if fault in BY_MEMORY else matrix.fault(fault))
        ]
    PAGE.write_text(page(cells), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
