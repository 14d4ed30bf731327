"""A project in a folder of its own, and pytest run in it as people run it: as a process."""

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.run.forked import CLI, Forked

Process = Forked | subprocess.Popen[str]
# Plugins that happen to be installed beside ours are no part of these tests.
ALONE = ("-p", "no:locust", "-p", "no:hypothesispytest", "-p", "no:anyio")
# The smallest phase, with every line of it declared not to apply, so that the project's own checks
# decide alone: undisturbed, such a project is READY, and what a disturbance does can be seen.
READY_INI = """\
[readiness]
system = shop
environment = test
phase = rollback

[not_applicable]
rollback-undo = the test has no cluster
rollback-previous = the test has no cluster
rollback-database = the test has no cluster
rollback-stable = the test has no cluster
"""
HEADER = """\
from pytest_readiness import Evidence, Safety, Severity, check, not_applicable
import pytest
"""


@dataclass
class Result:
    """How a run of pytest ended."""

    code: int
    out: str
    folder: Path
    report_name: str = "readiness-report"

    @property
    def report(self) -> Any:
        return json.loads((self.folder / self.report_name / "report.json").read_text())

    def outcomes(self) -> dict[str, str]:
        return {item["id"]: item["outcome"] for item in self.report["items"]}

    def item(self, id: str) -> Any:
        return next(item for item in self.report["items"] if item["id"] == id)


@dataclass
class Project:
    """A folder, and how pytest and `readiness` are run in it.

    fresh: in interpreters of their own, which take five times as long: where `environment` has
    what an interpreter reads only when it starts (another PYTHONPATH), where what is imported is
    what is tested, or for other options of subprocess.Popen.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    hidden: tuple[str, ...] = ("PYTEST_",)  # variables of this process it does not get, by prefix
    fresh: bool = False

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def find_first(self, folder: Path) -> None:
        """Put a folder first on the path of its interpreters, which are fresh ones from now on."""
        path = (str(folder), os.environ.get("PYTHONPATH", ""))
        self.environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
        self.fresh = True

    def start(
        self, *args: str, module: str = "pytest", start_new_session: bool = False, **options: Any
    ) -> Process:
        """Start pytest with these arguments. options: of subprocess.Popen, for a fresh one."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(self.hidden)
        }
        environment = {**inherited, "COLUMNS": "120", **self.environment}
        words = (*ALONE, *args) if module == "pytest" else args
        if not self.fresh:
            return Forked(
                module,
                words,
                folder=self.folder,
                environment=environment,
                start_new_session=start_new_session,
                **options,
            )
        return subprocess.Popen(
            [sys.executable, "-m", module, *words],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=start_new_session,
            **options,
        )

    def run(self, *args: str, **options: Any) -> Result:
        """Run pytest with these arguments to its end."""
        process = self.start(*args, **options)
        out, _ = process.communicate(timeout=120)
        return Result(process.wait(), out, self.folder)

    def command(self, *args: str) -> Result:
        """Run `readiness` with these arguments."""
        return self.run(*args, module=CLI)


def check_source(
    id: str, body: str, *, arguments: str = "evidence", severity: str = "BLOCKER"
) -> str:
    """Return the source of a check of a project."""
    name = id.replace("-", "_")
    return f'''
@check(id="{id}", severity=Severity.{severity}, safety=Safety.S1,
       remediation="Mend {id}.", reference="docs/{id}.md")
def test_{name}({arguments}):
    """The claim of {id} holds.

    Otherwise nobody would know.
    """
{textwrap.indent(textwrap.dedent(body), "    ")}
'''


GOOD = """\
evidence.examined(["thing/a"])
evidence.observed(size=3)
evidence.expected(size="> 2")
assert not evidence.findings
"""
BAD = """\
evidence.examined(["thing/a"])
evidence.observed(size=1)
evidence.expected(size="> 2")
evidence.finding("thing/a", "is too small")
assert not evidence.findings
"""


def waited(done: Callable[[], object], seconds: float = 30) -> bool:
    """Wait until it is done; say whether it is."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


def checks_file(*sources: str) -> str:
    return HEADER + "\n".join(sources)
