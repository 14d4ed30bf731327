"""`readiness`: everything but the run itself, which is pytest's.

PYTEST_DONT_REWRITE
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Any, NoReturn

from pytest_readiness.errors import ReadinessError

INTERRUPTED = 2
USAGE = 4

# Name -> module under commands/, what it does. A module is imported when its command is given.
COMMANDS = {
    "init": ("init", "write a commented readiness.ini"),
    "check": ("check", "validate readiness.ini, ask each target what it lets us see"),
    "list": ("list_items", "list the items of the checklist"),
    "declare": ("declare", "write a declaration"),
    "replay": ("replay", "judge a run again from its recorded facts"),
    "render": ("render", "write the outputs of a run again from its report.json"),
    "gate": ("gate", "say the exit code of a finished run, which a pipeline may trust"),
    "diff": ("diff", "compare two runs"),
    "merge": ("merge", "join the shards of a run"),
    "sign": ("sign", "sign a report for a role"),
    "verify": ("verify", "verify that a report is signed off"),
    "lab": ("lab", "start the reference platform until Ctrl-C"),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """End with the exit code of usage errors (contract.md), not with argparse's own 2."""
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: error: {message}\n")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        from importlib.metadata import version

        print(f"pytest-readiness {version('pytest-readiness')}")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal that cannot show a sign gets its escape instead of a crash.
        sys.stdout.reconfigure(errors="backslashreplace")
    args = _parser(words).parse_args(words)
    try:
        code: int = args.command(args)
        if sys.stdout is not None:  # closed
            sys.stdout.flush()
    except ReadinessError as error:
        from pytest_readiness.text import clean

        print(clean(str(error)), file=sys.stderr)  # it may quote what others wrote
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # `readiness list | head`: nobody reads on, and the flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="readiness",
        description="Production readiness as pytest. The checklist itself is run by "
        "`pytest -m readiness`.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    given = next((word for word in words if not word.startswith("-")), None)
    for name, (module, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=_sentence(text))
        if name == given:
            _fill(command, import_module(f"pytest_readiness.commands.{module}"))
    return parser


def _fill(command: argparse.ArgumentParser, module: Any) -> None:
    module.arguments(command)
    command.set_defaults(command=module.main)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


if __name__ == "__main__":
    sys.exit(main())
