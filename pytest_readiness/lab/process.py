"""The lab as a child process: started by a run or by `readiness lab`, gone when its parent is.

PYTEST_DONT_REWRITE
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pytest_readiness.errors import ReadinessError
from pytest_readiness.written import ini

Values = Mapping[str, Mapping[str, str]]
START = 30.0  # seconds until a lab that says nothing is given up
STOP = 5.0


class LabProcess:
    """A running lab. values: what it adds to readiness.ini, section -> key -> text.

    It ends when `stop` closes its input, and so also when this process dies in any way. Raises
    ReadinessError when it does not come up.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        arguments = [part for name in faults for part in ("--fault", name)]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pytest_readiness.lab", "--json", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C is for the run; it then stops its lab
        )
        assert self._process.stdout is not None  # asked for above
        line = self._process.stdout.readline()
        if not line:
            self._process.communicate(timeout=START)
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip()
            self._errors.close()
            raise ReadinessError(f"the lab did not start: {said}")
        self.values: Values = json.loads(line)

    def stop(self) -> None:
        """End the lab and wait until it has removed what it made."""
        try:
            self._process.communicate(timeout=STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        self._errors.close()


def faults_of(path: Path) -> tuple[str, ...] | None:
    """Return the faults of section [lab] of an ini, None where it has no such section.

    What else is wrong with the file is said by `settings.load`.
    """
    if not path.is_file():
        return None
    text, problems = ini.decode(path.read_bytes())
    if problems:
        return None
    found, _ = ini.read(text)
    if "lab" not in found:
        return None
    faults = found["lab"].entries.get("faults")
    return tuple(faults.text.replace(",", " ").split()) if faults else ()


@contextmanager
def lab_of(path: Path) -> Iterator[Values | None]:
    """Run the lab that an ini asks for, and say what it supplies; None where it asks for none."""
    faults = faults_of(path)
    if faults is None:
        yield None
        return
    lab = LabProcess(faults)
    try:
        yield lab.values
    finally:
        lab.stop()
