"""The checklist: every item there is, whether a check judges it yet or not.

PYTEST_DONT_REWRITE
"""

import hashlib
import tomllib
from datetime import timedelta
from functools import cache
from pathlib import Path

import msgspec

from pytest_readiness.catalogue.words import Safety, Severity

FILE = Path(__file__).with_name("items.toml")
SIGNOFF = "signoff"  # phase of the signatures: judged over a finished report, part of no run


class CatalogueItem(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the checklist; items.toml says what its fields mean.

    valid_for: how long a declaration of it holds, None where it takes none.
    """

    id: str
    title: str
    section: str
    subsection: str
    phase: str
    severity: Severity
    basis: str
    safety: Safety
    target: str
    valid_for: timedelta | None = None
    any_release: bool = False

    @property
    def declarable(self) -> bool:
        """Whether a person's word can count for it."""
        return "D" in self.basis.split("/")


class _Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    title: str
    severity: Severity
    basis: str
    safety: Safety
    target: str
    valid_days: int | None = None
    any_release: bool = False


class _Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    section: str
    subsection: str
    phase: str
    items: tuple[_Line, ...]


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    group: tuple[_Group, ...]


@cache
def load() -> tuple[CatalogueItem, ...]:
    """Return every item, in the checklist's order."""
    groups = msgspec.convert(tomllib.loads(FILE.read_text(encoding="utf-8")), _File).group
    return tuple(_item(group, line) for group in groups for line in group.items)


def _item(group: _Group, line: _Line) -> CatalogueItem:
    said = msgspec.structs.asdict(line)
    days = said.pop("valid_days")
    return CatalogueItem(
        section=group.section,
        subsection=group.subsection,
        phase=group.phase,
        valid_for=None if days is None else timedelta(days=days),
        **said,
    )


@cache
def by_id() -> dict[str, CatalogueItem]:
    """Return every item by its id."""
    return {item.id: item for item in load()}


def for_phase(phase: str) -> tuple[CatalogueItem, ...]:
    """Return the items a run of the phase judges; `all` is every phase but the sign-off."""
    if phase == "all":
        return tuple(item for item in load() if item.phase != SIGNOFF)
    return tuple(item for item in load() if item.phase == phase)


@cache
def sections() -> dict[str, tuple[str, ...]]:
    """Return section -> its subsections, in order; both are pytest markers."""
    found: dict[str, dict[str, None]] = {}
    for item in load():
        found.setdefault(item.section, {})[item.subsection] = None
    return {section: tuple(names) for section, names in found.items()}


def sha256() -> str:
    """Return the digest of the catalogue's bytes, hexadecimal."""
    return hashlib.sha256(FILE.read_bytes()).hexdigest()
