"""A target of the lab in a process of its own, served anew with other changes again and again.

`python -m tests.serving TARGET` reads a JSON list of changes a line, stops what it serves, serves
the changed world and answers with the keys that find it. It ends with its input.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from pytest_readiness.targets import targets


class Serving:
    """A context manager that holds the process."""

    def __init__(self, target: str) -> None:
        self._command = [sys.executable, "-m", __name__, target]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def start(self, changes: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """Serve the world with these changes; return its keys of readiness.ini."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(changes)}\n")
        self._process.stdin.flush()
        keys: dict[str, str] = json.loads(self._process.stdout.readline())
        return keys


def main(target: str) -> None:
    """Obey until the input ends."""
    module = targets()[target].serves()
    assert module is not None
    with ExitStack() as running, tempfile.TemporaryDirectory() as folder:
        for number, line in enumerate(sys.stdin):
            running.close()
            place = Path(folder, str(number))
            place.mkdir()
            keys = running.enter_context(module.serve(json.loads(line), place))
            print(json.dumps(dict(keys)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
