"""Every system that can be asked, a folder each; found by import, no list is kept anywhere.

`targets/NAME/` has `section.py`, `facts.py` and `probe.py`. Another distribution brings a system
by an entry point of the group `pytest_readiness.targets`, whose name is the section's and whose
value is a package with these three modules, and for the lab `lab.py` and `faults.yaml`.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from pytest_readiness import catalogue
from pytest_readiness.errors import ReadinessError, told
from pytest_readiness.targets.section import Question, Section

GROUP = "pytest_readiness.targets"
_LAB = "pytest_readiness.lab"


@dataclass(frozen=True, slots=True)
class Target:
    """A system.

    name: of its section of readiness.ini. package: with its modules. lab: the module that serves
    it on loopback. faults: the file of the lab's faults, which need not exist. brought_by: who
    has it, in words.
    """

    name: str
    section: type[Section]
    package: str
    lab: str
    faults: Path
    brought_by: str

    @property
    def gate(self) -> str:
        """The fixture of the question that is put before all others."""
        return self.fixture(self.section.QUESTIONS[0])

    @property
    def limits(self) -> str:
        """The fixture of its section."""
        return f"{self.section.PREFIX}_limits"

    def fixture(self, question: Question) -> str:
        """Return the name of a question's fixture and record."""
        return f"{self.section.PREFIX}_{question.name}"

    def probe(self) -> ModuleType:
        """Return the module that asks, imported now."""
        return import_module(f"{self.package}.probe")

    def serves(self) -> ModuleType | None:
        """Return the module of the lab, imported now, None where the lab has no such system."""
        return import_module(self.lab) if find_spec(self.lab) else None


@cache
def targets() -> dict[str, Target]:
    """Return every system by the name of its section, in the order of the catalogue.

    Raises ReadinessError for one that another distribution brings and that cannot be used.
    """
    found: dict[str, Target] = {}
    for target in (*_packaged(), *map(_of_other, entry_points(group=GROUP))):
        for other in found.values():
            if target.name == other.name or target.section.PREFIX == other.section.PREFIX:
                raise ReadinessError(f"{target.brought_by}: {other.package} has its name or prefix")
        _refuse_taken(target, found)
        found[target.name] = target
    asked = [item.target for item in catalogue.load()]
    place = {name: asked.index(name) if name in asked else len(asked) for name in found}
    return {name: found[name] for name in sorted(found, key=lambda name: (place[name], name))}


@cache
def questions() -> dict[str, tuple[Target, Question]]:
    """Return fixture -> the system, and the question put to it."""
    return {
        target.fixture(question): (target, question)
        for target in targets().values()
        for question in target.section.QUESTIONS
    }


def _refuse_taken(target: Target, found: Mapping[str, Target]) -> None:
    """Raise ReadinessError for a fixture that there is already: one answer would hide the other."""
    taken = {name for other in found.values() for name in _fixtures(other)}
    for name in _fixtures(target):
        if name in taken:
            raise ReadinessError(f"{target.brought_by}: there is a fixture {name} already")
        taken.add(name)


def _fixtures(target: Target) -> list[str]:
    return [*map(target.fixture, target.section.QUESTIONS), target.limits]


def _packaged() -> Iterator[Target]:
    faults = Path(import_module(_LAB).__path__[0]) / "faults"
    for module in iter_modules(__path__):
        if module.ispkg:
            name, package = module.name, f"{__name__}.{module.name}"
            section = _section(import_module(f"{package}.section"))
            path = faults / f"{name}.yaml"
            yield Target(name, section, package, f"{_LAB}.{name}", path, package)


def _of_other(entry: EntryPoint) -> Target:
    name, package = entry.name, entry.value
    brought_by = f"{entry.dist.name if entry.dist else '?'} brings the target {name} ({package})"
    try:
        section = _section(import_module(f"{package}.section"))
    except Exception as error:  # foreign code; a run without it would not ask what it should
        raise ReadinessError(f"{brought_by}, which cannot be loaded: {told(error)}") from error
    faults = Path(import_module(package).__path__[0]) / "faults.yaml"
    return Target(name, section, package, f"{package}.lab", faults, brought_by)


def _section(module: ModuleType) -> type[Section]:
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Section)
        and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise ReadinessError(f"{module.__name__} has {len(found)} classes of Section, not one")
    return found[0]
