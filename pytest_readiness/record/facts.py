"""Digests of the recorded facts, and what is wrong with the facts of a run that has ended.

A fact belongs to its run when report.json has the digest of its bytes, and it was asked while the
run went on; without either a verdict could be judged from the facts of another run.

PYTEST_DONT_REWRITE
"""

import hashlib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from pytest_readiness.clock import SKEW, begins
from pytest_readiness.record.store import FOLDER
from pytest_readiness.results.model import FactDigest, Report

LARGEST = 256 * 1024 * 1024  # bytes of one fact


class Flaw(StrEnum):
    """What is wrong with a fact."""

    ALTERED = "altered"  # not the bytes that the run recorded
    OUTSIDE = "outside"  # asked before its run began or after it ended
    MISSING = "missing"


class Flawed(NamedTuple):
    """A fact with what is wrong with it, in words."""

    name: str
    flaw: Flaw
    why: str


class _Asked(msgspec.Struct, frozen=True):
    asked_at: str


def digests(directory: Path) -> tuple[FactDigest, ...]:
    """Return the facts that lie in a run directory, by name. Raises OSError."""
    return tuple(_digest(path, name) for name, path in paths(directory) if path.is_file())


def flaws(report: Report, directory: Path) -> Iterator[Flawed]:
    """Yield what is wrong with the facts in a run directory, by name.

    Of a report without digests of its facts only their times. Raises ValueError where the run has
    a time that is none.
    """
    said = {one.name: one for one in report.facts or ()}
    there = dict(paths(directory))
    for name in sorted(there.keys() | said.keys()):
        fact = said.get(name)
        if name not in there:
            yield Flawed(name, Flaw.MISSING, "it is not in the run directory")
        elif why := _altered(there[name], fact, name, report):
            yield Flawed(name, Flaw.ALTERED, why)
        elif report.facts is None:
            fact = _digest(there[name], name)
        if fact is not None and (why := _outside(fact, report)):
            yield Flawed(name, Flaw.OUTSIDE, why)


def paths(directory: Path) -> list[tuple[str, Path]]:
    """Return name and path of each fact in a run directory, by name; locks and marks are none."""
    folder = directory / FOLDER
    found = ((path.relative_to(directory), path) for path in folder.rglob("*.json"))
    return sorted((name.as_posix(), path) for name, path in found if not _is_hidden(name))


def _is_hidden(name: Path) -> bool:
    return any(part.startswith(".") for part in name.parts)


def _altered(path: Path, said: FactDigest | None, name: str, report: Report) -> str | None:
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:  # a pipe would be waited for
            return f"it is no file of at most {LARGEST} bytes"
        found = _digest(path, name)
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    if report.facts is None or found == said:
        return None
    return "it is not the fact that the run recorded" if said else "the run recorded no such fact"


def _digest(path: Path, name: str) -> FactDigest:
    data = path.read_bytes()
    return FactDigest(name=name, sha256=hashlib.sha256(data).hexdigest(), asked_at=_asked(data))


def _asked(data: bytes) -> str | None:
    try:
        asked = msgspec.json.decode(data, type=_Asked).asked_at
        begins(asked)
    except (ValueError, RecursionError):  # msgspec's are ValueErrors; a fact may say anything
        return None
    return asked


def _outside(fact: FactDigest, report: Report) -> str | None:
    run = report.run
    ended = run.ended
    if run.shards:
        # A merge is as old as its oldest shard; each fact lies in the folder of its own.
        found = [one for one in run.shards if fact.name.startswith(f"{FOLDER}/{one.id}/")]
        if not found:
            return "it is of no run that was merged"
        ended = found[0].ended
    try:
        asked = begins(fact.asked_at or "")
    except ValueError:
        return "it does not say when it was asked"
    if begins(run.started) - SKEW <= asked <= begins(ended):
        return None
    return f"it was asked {fact.asked_at}, and its run went on from {run.started} to {ended}"
