"""`readiness verify RUN`: whether a report is signed off, and by whom. Offline.

PYTEST_DONT_REWRITE
"""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import datetime
from pathlib import Path

from pytest_readiness.errors import ReadinessError


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", type=Path, metavar="RUN", help="run directory, has a report.json")
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", default=Path("signoff.toml"), help="(%(default)s)"
    )
    parser.add_argument(
        "--at",
        type=_moment,
        metavar="TIME",
        help="as of when: RFC 3339 with zone, or a date, which is its first moment in UTC (now)",
    )
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="a JSON object, sorted")
    shape.add_argument(
        "--print-commands",
        action="store_true",
        help="print a shell script that checks the signatures with ssh-keygen, openssl and cosign",
    )


def main(args: Namespace) -> int:
    """Print the answer; return the exit code of docs/signoff.md. Raises ReadinessError."""
    import json
    import shutil

    import msgspec

    from pytest_readiness.clock import now
    from pytest_readiness.report.pages import held
    from pytest_readiness.signoff import answer, by_hand
    from pytest_readiness.signoff import policy as policies
    from pytest_readiness.signoff.verify import verify

    if args.print_commands:
        try:
            print(by_hand.script(args.run, policies.load(args.policy), args.at), end="")
        except ReadinessError as error:
            print(by_hand.refusal(str(error)), end="")  # or `| sh` would take nothing for good
            raise
        return 0
    policy = policies.load(args.policy)
    found = held(verify(args.run, policy, args.at or now()), args.run)
    if args.json:
        # ASCII: what a terminal's encoding lacks would be escaped in a way that is not JSON.
        print(json.dumps(msgspec.to_builtins(found), indent=2, sort_keys=True))
    else:
        width = shutil.get_terminal_size().columns
        print("\n".join(answer.lines(found, args.run, policy, width)))
    return found.exit_code


def _moment(text: str) -> datetime:
    from pytest_readiness.clock import begins

    try:
        return begins(text)
    except (ValueError, OverflowError) as error:
        raise ArgumentTypeError(f"{text!r}: {error}; write 2026-11-24T12:00:00Z") from error
