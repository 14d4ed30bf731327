"""`readiness render RUN`: rewrite the pages of a run from its report.json.

PYTEST_DONT_REWRITE
"""

import argparse
from pathlib import Path

from pytest_readiness.errors import ReadinessError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("run", type=Path, metavar="RUN", help="run directory, has a report.json")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML there as well")


def main(args: argparse.Namespace) -> int:
    """Write the pages, print their paths and return 0. Raises ReadinessError.

    report.json itself is never written: its bytes are what people sign.
    """
    from pytest_readiness.report import junit, model, write

    try:
        written = list(write.render_files(args.run))
        if args.junit is not None:
            text = junit.render(model.read(args.run / model.FILES[0]))
            write.write_whole(args.junit, text.encode())
            written.append(args.junit)
    except OSError as error:
        raise ReadinessError(f"{args.run}: cannot write: {error}") from error
    for path in written:
        print(path)
    return 0
