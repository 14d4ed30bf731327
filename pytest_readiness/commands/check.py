"""Validate readiness.ini, then ask each target what it lets us see.

PYTEST_DONT_REWRITE
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import indent, wrap
from typing import TYPE_CHECKING

from pytest_readiness.errors import ProbeError
from pytest_readiness.lab.process import lab_of
from pytest_readiness.report.view import plural
from pytest_readiness.settings import Settings, load
from pytest_readiness.settings_keys import suggestion

if TYPE_CHECKING:
    from pytest_readiness.questions import TargetAnswer

INCOMPLETE = 6  # as the run's: something could not be asked


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--readiness-ini",
        metavar="FILE",
        type=Path,
        default=Path("readiness.ini"),
        help="(%(default)s)",
    )


def main(args: Namespace) -> int:
    """Validate the file and ask. Raises SettingsError."""
    with lab_of(args.readiness_ini) as supplied:
        settings = load(args.readiness_ini, supplied=supplied)
        print(f"{args.readiness_ini}: valid: {', '.join(f'[{name}]' for name in settings.values)}")
        print("".join(f"{line}\n" for line in written(settings)), end="")
        return ask(settings)


def written(settings: Settings) -> Iterator[str]:
    """Yield the lines on what people wrote: how much, then what does not count, or soon will not.

    Raises SettingsError with all that is wrong with the files.
    """
    from pytest_readiness import catalogue, declarations, people
    from pytest_readiness.report.model import DeclarationState

    found, items = people.read(settings), catalogue.for_phase(settings.readiness.phase)
    if found.declarations is not None:
        set_targets = people.set_targets(settings)
        listed = declarations.listed(found.declarations, items, settings.readiness, set_targets)
        counting = sum(one.state is DeclarationState.COUNTS for one in listed)
        yield f"{found.declarations.file}: valid: {counting} of {len(listed)} declarations count"
        yield from (f"  {one.item}: {one.note}" for one in listed if one.note)
    if found.waivers is not None:
        yield f"{found.waivers.file}: valid: {plural(len(found.waivers.items), 'waiver')}"
        for waiver in found.waivers.items:
            if waiver.item not in catalogue.by_id():
                near = suggestion(waiver.item, list(catalogue.by_id()))
                yield f"  {waiver.item}: no item of the checklist; of a check of your own?{near}"


def ask(settings: Settings) -> int:
    """Print what each target answers; return 0 when every question is answered, else 6."""
    from pytest_readiness.questions import ask_targets

    answers = ask_targets(settings)
    print("\n".join(told(answers)))
    return INCOMPLETE if not answers or any(answer.refusals for answer in answers) else 0


def told(answers: Sequence["TargetAnswer"]) -> Iterator[str]:
    """Yield the lines for people: a target, then each question that it does not answer."""
    if not answers:
        yield "no target has a section: nothing can be asked"
    for answer in answers:
        refused = len(answer.refusals)
        if not refused:
            says = f"answers every question ({answer.asked})"
        elif any(refusal.stops_target for refusal in answer.refusals):
            says = "does not answer"
        else:
            says = f"answers, but not every question ({refused} of {answer.asked} refused)"
        yield f"{answer.source}: {says}"
        for refusal in answer.refusals:
            yield from _refusal(refusal)


def _refusal(refusal: ProbeError) -> Iterator[str]:
    line = f"{refusal.question}: {refusal.kind}: {refusal.cause}"
    yield from wrap(line, 79, initial_indent="  ", subsequent_indent="    ")
    # Advice may be a snippet to paste: its lines stay as they are.
    yield indent(refusal.advice, "    ")
