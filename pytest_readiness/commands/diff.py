"""`readiness diff OLD NEW`: what changed between two runs of one system.

PYTEST_DONT_REWRITE
"""

import argparse
from pathlib import Path

REGRESSION = 1


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    what = "run directory, or a report.json"
    parser.add_argument("old", type=Path, metavar="OLD", help=f"the earlier run: {what}")
    parser.add_argument("new", type=Path, metavar="NEW", help="the later one")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="a JSON object, sorted")
    shape.add_argument(
        "--markdown", action="store_true", help="a comment for a pull request, below 64 kB"
    )


def main(args: argparse.Namespace) -> int:
    """Print the changes; return 1 when something is worse, else 0. Raises ReadinessError."""
    import json
    import shutil

    import msgspec

    from pytest_readiness.report import changes_text
    from pytest_readiness.report.changes import compare
    from pytest_readiness.results.model import read

    changes = compare(read(_file(args.old)), read(_file(args.new)))
    if args.json:
        # ASCII: what a terminal's encoding lacks would be escaped in a way that is not JSON.
        text = json.dumps(msgspec.to_builtins(changes), indent=2, sort_keys=True) + "\n"
    elif args.markdown:
        text = changes_text.markdown(changes)
    else:
        width = shutil.get_terminal_size().columns
        text = "\n".join(changes_text.lines(changes, width)) + "\n"
    print(text, end="")
    return REGRESSION if changes.regression else 0


def _file(path: Path) -> Path:
    from pytest_readiness.results.model import FILES

    return path / FILES[0] if path.is_dir() else path
