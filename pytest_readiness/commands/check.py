"""Validate readiness.ini, then ask each target what it lets us see.

PYTEST_DONT_REWRITE
"""

import secrets
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import indent, wrap
from typing import TYPE_CHECKING

from pytest_readiness.clock import now
from pytest_readiness.errors import ProbeError
from pytest_readiness.lab.process import lab_of
from pytest_readiness.settings import Settings, load
from pytest_readiness.targets import targets
from pytest_readiness.targets.section import Section
from pytest_readiness.text import plural, suggestion

if TYPE_CHECKING:
    from pytest_readiness.record.asker import Asker
    from pytest_readiness.record.store import FactStore

INCOMPLETE = 6  # as the run's: something could not be asked


@dataclass(frozen=True, slots=True)
class TargetAnswer:
    """What is said of one target: where it is, and what it would not tell."""

    source: str
    asked: int
    refusals: tuple[ProbeError, ...]


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
    from pytest_readiness import catalogue
    from pytest_readiness.people import declarations, recorded
    from pytest_readiness.results.model import DeclarationState

    found, items = recorded.read(settings), catalogue.for_phase(settings.readiness.phase)
    if found.declarations is not None:
        set_targets = recorded.set_targets(settings)
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
    answers = ask_targets(settings)
    print("\n".join(told(answers)))
    return INCOMPLETE if not answers or any(answer.refusals for answer in answers) else 0


def told(answers: Sequence[TargetAnswer]) -> Iterator[str]:
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


def ask_targets(settings: Settings) -> list[TargetAnswer]:
    """Put every question of every target that the settings name, keeping nothing."""
    from pytest_readiness.record.asker import Asker

    with TemporaryDirectory(prefix="readiness-check-") as folder:
        asker = Asker(settings, _store(Path(folder), settings), "check")
        return [_ask_all(asker, name, section) for name, section in settings.targets.items()]


def _ask_all(asker: "Asker", target: str, section: Section) -> TargetAnswer:
    refusals: dict[str, ProbeError] = {}
    for question in section.QUESTIONS:
        try:
            asker.answer(targets()[target].fixture(question))
        except ProbeError as error:
            refusals.setdefault(str(error), error)
    source = f"{target} {section.words()['at']}"
    return TargetAnswer(source, len(section.QUESTIONS), tuple(refusals.values()))


def _store(folder: Path, settings: Settings) -> "FactStore":
    """Return a store for questions whose answers nobody keeps."""
    from pytest_readiness.record.redact import of_run
    from pytest_readiness.record.store import FOLDER, FactStore

    (folder / FOLDER).mkdir()
    redactor = of_run(secrets.token_bytes(16), settings.secrets())
    deadline = now() + settings.readiness.deadline
    return FactStore(folder, redactor, deadline=deadline, recorded=False)
