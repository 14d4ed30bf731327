"""readiness.ini -> frozen Settings. All that is wrong with a file is said at once.

The sections are those of `sections.py` and of every target; written/ini.py reads the lines.

PYTEST_DONT_REWRITE
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import msgspec

from pytest_readiness import catalogue
from pytest_readiness.catalogue.words import is_slug
from pytest_readiness.errors import ReadinessError, SettingsError
from pytest_readiness.settings.sections import ITEM_SECTIONS, OWN_CHECKS, Lab, Readiness
from pytest_readiness.targets import targets
from pytest_readiness.targets.section import Section as TargetSection
from pytest_readiness.text import suggestion
from pytest_readiness.written.ini import Entry, Problem, Section, decode, read
from pytest_readiness.written.keys import BadValue, Key, Secret, Use, Where


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All of readiness.ini.

    path: of the file, absolute. sha256: of its bytes, hexadecimal. values: section -> key -> text
    as written, secrets as references. targets: the sections that say where to ask, by name.
    not_applicable: item -> reason. elsewhere: item -> environment whose run judges it.
    own_checks: id -> title of those that the team owes. The last and lab are None where the file
    has no such section.
    """

    path: Path
    sha256: str
    values: dict[str, dict[str, str]]
    readiness: Readiness
    targets: dict[str, TargetSection] = {}
    not_applicable: dict[str, str] = {}
    elsewhere: dict[str, str] = {}
    own_checks: dict[str, str] | None = None
    lab: Lab | None = None

    def secrets(self) -> list[str]:
        """Return the value of every secret that has been read."""
        return [
            value.reveal()
            for section in (self.readiness, *self.targets.values())
            for value in _field_values(section)
            if isinstance(value, Secret) and value.resolved
        ]

    def origins(self) -> frozenset[str]:
        """Return every place that the targets name, `https://host:port`: what a run may ask."""
        return frozenset(
            origin
            for name, section in self.targets.items()
            for known in sections()[name].keys.values()
            if (value := getattr(section, known.name)) is not None
            for origin in known.key.kind.origins(value)
        )


class KeyOf(NamedTuple):
    """A key of a section: its declaration and its default (msgspec.NODEFAULT: required)."""

    name: str
    key: Key
    default: Any

    @property
    def required(self) -> bool:
        """Whether the section cannot be without it."""
        return self.default is msgspec.NODEFAULT

    def is_looser(self, text: str | None, than: str | None) -> bool:
        """Return whether a limit lets more through than another one; None: it is not written.

        Raises BadValue.
        """
        value, other = (self.default if one is None else self._parsed(one) for one in (text, than))
        return self.key.is_looser(value, other)

    def _parsed(self, text: str) -> Any:
        return self.key.parse(text, Where(Path(), resolve=False))


class SectionOf(NamedTuple):
    """A section: what it is for, and its keys in the order of their declaration."""

    name: str
    struct: type[msgspec.Struct]
    help: str
    keys: dict[str, KeyOf]


@cache
def sections() -> dict[str, SectionOf]:
    """Return the sections that have declared keys, by name.

    Raises ReadinessError for a target of another distribution that takes the name of a section.
    """
    for target in targets().values():
        if target.name in ("readiness", "lab", *ITEM_SECTIONS):
            raise ReadinessError(f"{target.brought_by}: its name is that of another section")
    structs: dict[str, type[msgspec.Struct]] = {
        "readiness": Readiness,
        **{name: target.section for name, target in targets().items()},
        "lab": Lab,
    }
    return {name: _section(name, struct) for name, struct in structs.items()}


def key_of(section: str, key: str) -> KeyOf | None:
    """Return the declaration of a key, None where this version knows no such key."""
    known = sections().get(section)
    return known.keys.get(key) if known else None


def load(
    path: Path,
    *,
    resolve: bool = True,
    supplied: Mapping[str, Mapping[str, str]] | None = None,
    stand_ins: bool = False,
) -> Settings:
    """Read readiness.ini.

    resolve: read the secrets and look for the files it names; without it neither the environment
    nor any other file matters. supplied: what the lab says of its targets, section -> key -> text;
    the file may add thresholds to it, and no key that it has. stand_ins: nothing will be asked or
    judged, so that for what only a lab says, which is not running now, an example may stand.
    Raises SettingsError with every problem of the file.
    """
    name = _shown(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError([f"{name}: {_unreadable(error)}"]) from None
    text, problems = decode(data)
    if problems:
        raise _error(name, problems)
    found, problems = read(text)
    problems += _supply(found, supplied or {})
    path = path.absolute()
    builder = _Builder(Where(path.parent, resolve), problems, stand_ins)
    settings = builder.settings(found, path, hashlib.sha256(data).hexdigest())
    if settings is None or builder.problems:
        raise _error(name, builder.problems)
    return settings


def _supply(
    found: dict[str, Section], supplied: Mapping[str, Mapping[str, str]]
) -> Iterator[Problem]:
    for name, section in _from_text(supplied).items():
        written = found.setdefault(name, Section(0))
        for key, entry in section.entries.items():
            if key in written.entries:
                yield Problem(
                    written.entries[key].line,
                    f"[{name}] {key} says where a real target is, and [lab] takes its place: "
                    "leave one of them out",
                )
            written.entries[key] = entry


def from_values(
    values: Mapping[str, Mapping[str, str]],
    *,
    origin: str,
    base: Path,
    resolve: bool = False,
    stand_ins: bool = False,
) -> Settings:
    """Build the settings from recorded values, section -> key -> text.

    origin: what messages name, e.g. the report the values stand in. base: the folder that paths
    are relative to. stand_ins: see `load`. The digest is that of the values as JSON, sorted.
    Raises SettingsError.
    """
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    builder = _Builder(Where(base.absolute(), resolve), [], stand_ins)
    settings = builder.settings(_from_text(values), base.absolute() / "readiness.ini", digest)
    if settings is None or builder.problems:
        raise _error(origin, builder.problems)
    return settings


class _Builder:
    """Turns sections of text into Structs and notes what is wrong on the way."""

    def __init__(self, where: Where, problems: list[Problem], stand_ins: bool) -> None:
        self.where = where
        self.problems = problems
        self.stand_ins = stand_ins

    def settings(self, found: dict[str, Section], path: Path, digest: str) -> Settings | None:
        self.stand_ins &= "lab" in found
        built: dict[str, Any] = {"targets": {}}
        known = (*sections(), *ITEM_SECTIONS)
        for name, section in found.items():
            if name in ITEM_SECTIONS:
                built[name] = self._items(name, section)
            elif name in known:
                into = built["targets"] if name in targets() else built
                into[name] = self._struct(sections()[name], section)
            else:
                self._bad(section.line, f"unknown section [{name}]{suggestion(name, known)}")
        self._in_both(found)
        if "readiness" not in found:
            needs = ", ".join(k.name for k in sections()["readiness"].keys.values() if k.required)
            self._bad(1, f"there is no section [readiness]; it needs the keys {needs}")
        if self.problems:
            return None
        values = {
            name: {key: entry.text for key, entry in section.entries.items()}
            for name, section in found.items()
        }
        return Settings(path=path, sha256=digest, values=values, **built)

    def _bad(self, line: int, message: str) -> None:
        self.problems.append(Problem(line, message))

    def _struct(self, declared: SectionOf, section: Section) -> msgspec.Struct | None:
        before = len(self.problems)
        values: dict[str, Any] = {}
        for name, entry in section.entries.items():
            if name not in declared.keys:
                near = suggestion(name, tuple(declared.keys))
                self._bad(entry.line, f"unknown key {name} in [{declared.name}]{near}")
                continue
            self._value(declared.keys[name], entry, values)
        for known in declared.keys.values():
            if not known.required or known.name in section.entries:
                continue
            if self.stand_ins and known.key.use is Use.PLACE:
                values[known.name] = known.key.parse(known.key.example, self.where)
            else:
                self._bad(section.line, f"[{declared.name}] needs the key {known.name}")
        written = {name: values.get(name) for name in section.entries}
        for key, message in _contradictions(declared.struct, written):
            if self.stand_ins and key not in section.entries:
                continue
            at = section.entries[key].line if key in section.entries else section.line
            self._bad(at, message)
        return None if len(self.problems) > before else declared.struct(**values)

    def _value(self, known: KeyOf, entry: Entry, values: dict[str, Any]) -> None:
        line = entry.line
        try:
            if len(entry.lines) > 1 and not known.key.kind.many_lines:
                line = entry.lines[1][0]
                raise BadValue("takes one line; a key of its own is not indented")
            values[known.name] = known.key.parse(entry.text, self.where)
        except BadValue as error:
            self._bad(line, f"{known.name}: {error}")

    def _items(self, name: str, section: Section) -> dict[str, str]:
        # A sign-off is judged over the finished report and is no part of any run.
        known = [item.id for item in catalogue.load() if item.phase != catalogue.SIGNOFF]
        for item, entry in section.entries.items():
            if name == OWN_CHECKS:
                self._own(item, entry, known)
            elif item not in known:
                self._bad(entry.line, f"unknown item {item} in [{name}]{suggestion(item, known)}")
            if not entry.text:
                self._bad(entry.line, f"{item}: give the {ITEM_SECTIONS[name].value}")
        return {item: " ".join(entry.text.split()) for item, entry in section.entries.items()}

    def _own(self, id: str, entry: Entry, known: Sequence[str]) -> None:
        if id in known:
            self._bad(entry.line, f"{id} is an item of the checklist, no check of your own")
        elif not is_slug(id):
            self._bad(entry.line, f"{id!r} is no id of a check, like shop-zones")

    def _in_both(self, found: dict[str, Section]) -> None:
        elsewhere, here = (
            found[name].entries if name in found else {} for name in ("elsewhere", "not_applicable")
        )
        for item, entry in elsewhere.items():
            if item in here:
                message = f"{item} stands in [not_applicable] and in [elsewhere]: keep one"
                self._bad(entry.line, message)


def _contradictions(
    struct: type[msgspec.Struct], written: Mapping[str, Any]
) -> Iterable[tuple[str, str]]:
    """Return key and message for what is wrong between the keys of one section."""
    if issubclass(struct, TargetSection | Readiness):
        return struct.contradictions(written)
    return ()


def _from_text(values: Mapping[str, Mapping[str, str]]) -> dict[str, Section]:
    """Return sections as the reader would, without line numbers."""
    return {
        section: Section(
            0,
            {key: Entry([(0, line) for line in text.split("\n")]) for key, text in keys.items()},
        )
        for section, keys in values.items()
    }


def _section(name: str, struct: type[msgspec.Struct]) -> SectionOf:
    hints = get_type_hints(struct, include_extras=True)
    keys = {
        field.name: KeyOf(field.name, hints[field.name].__metadata__[0], field.default)
        for field in msgspec.structs.fields(struct)
    }
    return SectionOf(name, struct, " ".join((struct.__doc__ or "").split()), keys)


def _field_values(section: msgspec.Struct) -> Iterator[object]:
    yield from (getattr(section, field) for field in section.__struct_fields__)


def _error(name: str, problems: list[Problem]) -> SettingsError:
    return SettingsError(
        f"{name}:{line}: {message}" if line else f"{name}: {message}"
        for line, message in sorted(problems, key=lambda problem: problem.line)
    )


def _shown(path: Path) -> str:
    """Return the path as people know it: relative when it lies below the working directory."""
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def _unreadable(error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return "no such file; `readiness init` writes one"
        case IsADirectoryError():
            return "is a folder, not a file"
        case _:
            return f"cannot be read: {error.strerror}"
