"""`readiness gate RUN`: the exit code of a finished run, from its report.json. Offline.

PYTEST_DONT_REWRITE
"""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import timedelta
from pathlib import Path


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", type=Path, metavar="RUN", help="run directory")
    parser.add_argument(
        "--max-age",
        type=_age,
        metavar="AGE",
        help="oldest end of the run, 30m or 24h (max_age of its readiness.ini, else 24h)",
    )


def main(args: Namespace) -> int:
    """Say the verdict and why; return the exit code of the run, 6 where it cannot be trusted."""
    from pytest_readiness.clock import now
    from pytest_readiness.run.streams import Enduring
    from pytest_readiness.signoff.gate import gate
    from pytest_readiness.text import flat

    answer = gate(args.run, now(), args.max_age)
    lines = [f"{answer.name} (exit code {answer.exit_code})"]
    lines += [f"  - {flat(sentence)}" for sentence in answer.said]
    if answer.about:
        lines.append(f"{args.run}: {'; '.join(map(flat, answer.about))}")
    if sys.stdout is not None:  # the code is the answer, whether or not somebody reads why
        out = Enduring(sys.stdout, args.run)
        out.write("\n".join((*lines, "")))
        out.flush()
    return answer.exit_code


def _age(text: str) -> timedelta:
    from pytest_readiness.written.keys import DURATION, BadValue, Where

    try:
        age: timedelta = DURATION.parse(text, Where(Path(), resolve=False))
    except BadValue as error:
        raise ArgumentTypeError(f"{text!r} {error}") from error
    return age
