"""`readiness sign RUN --role ROLE`: show what a person answers for, ask, and sign it.

PYTEST_DONT_REWRITE
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_readiness.clock import now
from pytest_readiness.errors import ReadinessError

if TYPE_CHECKING:
    from pytest_readiness.signoff.request import Request
    from pytest_readiness.signoff.statement import Decision
    from pytest_readiness.signoff.verify import Verification

DECISIONS = ("approved", "approved-with-waivers", "rejected")
FORMATS = ("sshsig", "dsse", "both")
REJECTED = DECISIONS[2]
AGENT = "agent"
INI = Path("readiness.ini")
POLICY = Path("signoff.toml")
NOTHING_SIGNED = 1


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("run", type=Path, metavar="RUN", help="run directory, has a report.json")
    parser.add_argument("--role", required=True, help="role of signoff.toml that you sign for")
    parser.add_argument(
        "--key", default=AGENT, metavar="PATH", help="SSH key, or `agent` (%(default)s)"
    )
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="(%(default)s)")
    parser.add_argument("--decision", choices=DECISIONS, help="asked for when not given")
    parser.add_argument("--comment", metavar="TEXT", help="a word about it, which is signed too")
    parser.add_argument("--yes", action="store_true", help="ask nothing; needs --decision")
    parser.add_argument(
        "--policy",
        type=Path,
        metavar="FILE",
        help=f"(`signoff` of {INI} where there is one, else {POLICY})",
    )


def main(args: Namespace) -> int:
    """Show, ask, sign, and say what is open still. Returns 0, or 1 when nothing was signed.

    Raises ReadinessError: usage, or a signature that would not count.
    """
    from pytest_readiness.report.pages import refuse_altered
    from pytest_readiness.report.write import render_files
    from pytest_readiness.signoff import request, screen
    from pytest_readiness.signoff.policy import load
    from pytest_readiness.text import flat

    if args.yes and not args.decision:
        raise ReadinessError("--yes asks nothing, so it needs --decision")
    at = now()
    asked = request.prepare(
        args.run,
        load(args.policy or _policy()),
        role=args.role,
        key=None if args.key == AGENT else _key(args.key),
        formats=FORMATS[:2] if args.format == "both" else (args.format,),
        at=at,
    )
    if args.decision != REJECTED:
        refuse_altered(args.run)  # what the person has read may be another report
    print("\n".join(screen.lines(asked.report, asked.seen, at)))
    print("\n".join(map(flat, _replaced(asked))))
    answer = _answer(asked, args)
    if answer is None:
        where = "" if sys.stdin.isatty() else ", for there is no terminal: --decision and --yes"
        print(f"nothing was signed{where}")
        return NOTHING_SIGNED
    after = request.finish(asked, request.sign(asked, *answer))
    try:
        render_files(args.run)
    except OSError as error:
        raise ReadinessError(f"{args.run}: the pages cannot be written: {error}") from error
    print("\n".join(map(flat, _told(asked, after))))
    return 0


def _key(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # `~nobody/key`
        raise ReadinessError(f"--key {text}: {error}") from None


def _policy() -> Path:
    from pytest_readiness.settings import load

    found = load(INI, resolve=False, stand_ins=True).readiness.signoff if INI.is_file() else None
    return found or POLICY


def _replaced(asked: "Request") -> Iterator[str]:
    yield ""
    yield f"you are {asked.principal}"
    for one in asked.old[-1:]:
        said = one.statement.predicate
        yield f"this replaces your role's {said.decision.value} of {said.signed_at}"
    for why in asked.bad:
        yield f"this replaces what stands for your role and does not count: {why}"


def _answer(asked: "Request", args: Namespace) -> "tuple[Decision, str] | None":
    """Return decision and comment, None where the person does not want to sign."""
    from pytest_readiness.signoff import request
    from pytest_readiness.signoff.statement import Decision

    try:
        word = args.decision or _decision(asked)
        if word not in DECISIONS:
            return None
        decision = Decision(word)
        comment = args.comment or ""
        request.refuse(asked, decision, comment)
        if not comment and decision is Decision.REJECTED and not args.yes:
            comment = input("Why? ").strip()
            request.refuse(asked, decision, comment)
        question = f"Sign as {asked.role}, {decision.value}? [y/N] "
        if args.yes or input(question).strip().lower() in ("y", "yes"):
            return decision, comment
    except EOFError:
        print()
    except UnicodeDecodeError as error:
        raise ReadinessError(f"the answer cannot be read: it is not {error.encoding}") from None
    return None


def _decision(asked: "Request") -> str:
    from pytest_readiness.signoff import request

    words = " or ".join(one.value for one in request.possible(asked))
    return input(f"Decision ({words}): ").strip()


def _told(asked: "Request", after: "Verification") -> Iterator[str]:
    yield f"signed for {asked.role} by {asked.principal}"
    if after.signed_off:
        yield "signed off: every role that is required has signed"
        return
    open_roles = [role.role for role in after.roles if role.state == "open"]
    if open_roles:
        yield f"still open: {', '.join(open_roles)}"
    yield from _refusals(after)


def _refusals(after: "Verification") -> Sequence[str]:
    return [
        f"{one.cause.value}: {f'{one.role}: ' if one.role else ''}{one.why}"
        for one in after.refusals
        if one.cause.value != "open"
    ]
