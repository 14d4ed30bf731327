"""The ClickHouse lab in a process of its own, for programs that must not load the engine.

`python -m pytest_readiness.lab.clickhouse.process WORLD` reads a JSON object a line:
`{"start": CHANGES, "password": TEXT}` stops what runs, starts the changed world and answers with
its addresses; `{"requests": true}` answers with what has been asked since. It ends with its input.

PYTEST_DONT_REWRITE
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Self, TextIO

from pytest_readiness.errors import ReadinessError
from pytest_readiness.lab.changes import WorldError
from pytest_readiness.lab.clickhouse.cluster import ClickHouseLab
from pytest_readiness.lab.clickhouse.http import Question


class Addresses(NamedTuple):
    """Values for [clickhouse] of readiness.ini."""

    url: str
    backup_api: str
    cluster: str


class ClickHouseProcess:
    """A context manager that holds the process; `start` may be called again and again."""

    def __init__(self, world: Path) -> None:
        self._world = world
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self._world)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def start(self, changes: Sequence[Mapping[str, Any]] = (), *, password: str = "") -> Addresses:
        """Start the world anew with these changes. Raises WorldError."""
        answer = self._say({"start": list(changes), "password": password})
        if "error" in answer:
            raise WorldError(answer["error"])
        return Addresses(**answer)

    def requests(self) -> list[Question]:
        """Return what has been asked since the last start."""
        return [Question(**request) for request in self._say({"requests": True})["requests"]]

    def _say(self, command: Mapping[str, Any]) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise ReadinessError("the lab's process does not run; use it as a context manager")
        process.stdin.write(json.dumps(command) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise ReadinessError(f"the lab's process ended with status {process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def serve(world: Path, commands: TextIO, answers: TextIO) -> None:
    """Obey the commands until they end."""
    lab: ClickHouseLab | None = None
    try:
        for line in commands:
            command = json.loads(line)
            if "requests" in command:
                found = [asdict(asked) for asked in lab.requests] if lab else []
                answer: dict[str, Any] = {"requests": found}
            else:
                if lab is not None:
                    lab.stop()
                try:
                    lab = ClickHouseLab(world, command["start"], password=command["password"])
                    lab.start()
                    answer = Addresses(lab.url, lab.backup_api, lab.cluster)._asdict()
                except WorldError as error:
                    lab, answer = None, {"error": str(error)}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
    finally:
        if lab is not None:
            lab.stop()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.stdin, sys.stdout)
