"""List the items of the checklist, and which of them a check judges.

PYTEST_DONT_REWRITE
"""

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from pytest_readiness import catalogue
from pytest_readiness.catalogue import CatalogueItem
from pytest_readiness.checklist.discovery import DiscoveredCheck, checks
from pytest_readiness.settings import load
from pytest_readiness.settings.sections import OWN_CHECKS
from pytest_readiness.text import plural, suggestion
from pytest_readiness.written.keys import DURATION

INI = Path("readiness.ini")
NO_CHECK = "no check yet"
_CHECK, _DECLARATION = "check", "declaration"
_JUDGED = {_CHECK: "by a check", _DECLARATION: "by a declaration", NO_CHECK: NO_CHECK}


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    phases = dict.fromkeys(item.phase for item in catalogue.load())
    parser.add_argument("--json", action="store_true", help="a JSON array, an object an item")
    parser.add_argument("--phase", choices=list(phases), help=", ".join(phases), metavar="P")
    parser.add_argument("--section", type=_section, help="a section or a subsection", metavar="S")
    parser.add_argument(
        "--own",
        action="store_true",
        help="print the section [own_checks] of readiness.ini for the checks that pytest collects "
        "here, and nothing else",
    )


def main(args: Namespace) -> int:
    """Print the list; return 0, or pytest's code where --own cannot collect."""
    if args.own:
        return _own()
    items = [
        item
        for item in catalogue.load()
        if args.phase in (None, item.phase)
        and args.section in (None, item.section, item.subsection)
    ]
    found = checks()
    if args.json:
        print(json.dumps([_record(item, found.get(item.id)) for item in items], indent=2))
        return 0
    print("\n".join(_lines(items, found)))
    if (owed := _owed()) and args.section is None:
        print(f"\n[{OWN_CHECKS}] of {INI}: {plural(len(owed), 'check')} of your own")
        print("\n".join(f"  {id:<27}{title}" for id, title in owed.items()))
    return 0


def _own() -> int:
    """Print the section for the checks of the project, by a collection of pytest's own."""
    import pytest

    from pytest_readiness.run.own import Titles

    titles = Titles()
    code = pytest.main(["--collect-only", "-p", "no:terminal"], plugins=[titles])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        print(
            "not everything could be collected: `pytest --collect-only` says why", file=sys.stderr
        )
        return int(code)
    print(f"[{OWN_CHECKS}]")
    for id, title in sorted(titles.found.items()):
        print(f"{id} = {title}")
    return 0


def _owed() -> dict[str, str]:
    """Return the checks that ./readiness.ini owes, none where it says nothing."""
    if not INI.is_file():
        return {}
    return load(INI, resolve=False, stand_ins=True).own_checks or {}


def _section(word: str) -> str:
    known = [
        name
        for section, subsections in catalogue.sections().items()
        for name in (section, *subsections)
    ]
    if word not in known:
        raise ArgumentTypeError(f"there is none named {word!r}{suggestion(word, known)}")
    return word


def _record(item: CatalogueItem, check: DiscoveredCheck | None) -> dict[str, str | bool | None]:
    return {
        "id": item.id,
        "title": item.title,
        "section": item.section,
        "subsection": item.subsection,
        "phase": item.phase,
        "severity": item.severity.value,
        "safety": item.safety.value,
        "basis": item.basis,
        "valid_for": DURATION.show(item.valid_for) if item.valid_for else None,
        "any_release": item.any_release,
        "target": item.target or None,
        "check": f"{check.module}.{check.function.__name__}" if check else None,
    }


def _lines(items: Sequence[CatalogueItem], found: Mapping[str, DiscoveredCheck]) -> Iterator[str]:
    for group, members in groupby(items, lambda item: (item.section, item.subsection, item.phase)):
        section, subsection, phase = group
        yield f"{section} / {subsection} (phase {phase})"
        yield _row("id", "severity", "safety", "basis", "checked by")
        for item in members:
            yield _row(item.id, item.severity, item.safety, item.basis, _by(item, found))
            yield f"      {item.title}"
        yield ""
    by = [_by(item, found) for item in items]
    counts = ", ".join(f"{by.count(word)} {says}" for word, says in _JUDGED.items())
    yield f"{len(items)} items: {counts}"
    yield "basis: P probe, R report of a tool, F file of the repository, D declaration;"
    yield "P/D: the declaration counts where readiness.ini has no section to ask"


def _by(item: CatalogueItem, found: Mapping[str, DiscoveredCheck]) -> str:
    if item.id in found:
        return _CHECK
    return _DECLARATION if item.declarable else NO_CHECK


def _row(name: str, severity: str, safety: str, basis: str, by: str) -> str:
    return f"  {name:<27}{severity:<10}{safety:<8}{basis:<11}{by}"
