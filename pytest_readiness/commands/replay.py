"""Judge a run again from its recorded facts, offline, also with other thresholds.

PYTEST_DONT_REWRITE
"""

import os
import shlex
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from itertools import pairwise
from pathlib import Path

from pytest_readiness.errors import ReadinessError
from pytest_readiness.results import model
from pytest_readiness.run.command_line import place
from pytest_readiness.verdict.gathered import OWN_SECTION, was_asked


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", metavar="RUN", type=Path, help="run directory")
    parser.add_argument(
        "--readiness-ini",
        metavar="FILE",
        type=Path,
        help="thresholds to judge by, instead of those of the run",
    )
    parser.add_argument(
        "--readiness-report", metavar="DIR", type=Path, help="run directory to write (RUN-replay)"
    )


def main(args: Namespace) -> int:
    """Judge anew and return the exit code of the run. Raises ReadinessError."""
    recorded = args.run.absolute()
    report = model.read(recorded / "report.json")
    if report.run.shards:
        raise ReadinessError(f"{args.run} is a merged run: replay its shards")
    written = args.readiness_report or recorded.with_name(f"{recorded.name}-replay")
    options = ["--readiness-replay", str(recorded), "--readiness-report", str(written.absolute())]
    if args.readiness_ini:
        # The recorded settings say both already; those of another file are not asked.
        options += ["--readiness-safety", report.run.safety.value]
        options += ["--readiness-phase", report.target.phase]
        options += ["--readiness-ini", str(args.readiness_ini.absolute())]
    # In an empty folder: no project's conftest or options have a part in it.
    with tempfile.TemporaryDirectory(prefix="readiness-replay-") as folder:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", os.devnull]
        command += ["--rootdir", folder, *options, *_selection(report)]
        environment = {key: value for key, value in os.environ.items() if key != "PYTEST_ADDOPTS"}
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


def _selection(report: model.Report) -> list[str]:
    """Return the arguments that select what the run selected, and narrow it as it was."""
    items = [item for item in report.items if item.section != OWN_SECTION]
    chosen = [item for item in items if was_asked(item)]
    if not chosen:
        raise ReadinessError("that run asked only for checks of the project: none is replayed")
    words = shlex.split(report.run.selection)
    narrowed = [
        word
        for option, value in pairwise(words)
        if option in ("-k", "--deselect")
        for word in (option, value)
    ]
    if len(chosen) == len(items):
        return ["-m", "readiness", *narrowed]
    return [*map(place, chosen), *narrowed]
