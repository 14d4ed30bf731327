"""What a run directory has of statements and signatures; nothing is verified here.

PYTEST_DONT_REWRITE
"""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pytest_readiness.signoff import dsse, files
from pytest_readiness.signoff.refusals import Cause, Refusal, Refused
from pytest_readiness.signoff.state import ENDING, FOLDER, LINES, SUPERSEDED

_SIGNATURE = ".sig"
_ENVELOPE = ".dsse.json"


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """An envelope and where it stands. number: of its line, from 1."""

    path: Path
    number: int
    envelope: dsse.Envelope


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A statement and what signs it.

    name: where it was found, for people. role: that its file's name gives, None for one that only
    an envelope has. path: None for the same. signature: armored SSHSIG.
    """

    name: str
    role: str | None
    path: Path | None
    data: bytes
    signature: bytes | None = None
    envelopes: tuple[Sealed, ...] = ()


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """All statements of a run directory, the same bytes once.

    superseded: those of superseded/; their `role` is ROLE.SIGNEDAT. refusals: signatures that
    belong to no statement, and what cannot be read.
    """

    documents: tuple[Document, ...]
    superseded: tuple[Document, ...]
    refusals: tuple[Refusal, ...]


def collect(run: Path) -> Collected:
    """Return what the run directory has. Never raises for what its files contain."""
    problems: list[Refusal] = []
    found = list(_files(run, run / FOLDER, problems))
    lines = list(_sealed(run, run / LINES, None, problems))
    documents = []
    for document in found:
        mine = tuple(one for one in lines if one.envelope.payload == document.data)
        documents.append(msgspec.structs.replace(document, envelopes=mine))
    known = {document.data for document in found}
    rest: dict[bytes, list[Sealed]] = {}
    for one in lines:
        if one.envelope.payload not in known:
            rest.setdefault(one.envelope.payload, []).append(one)
    for payload, mine_too in rest.items():
        name = f"line {mine_too[0].number} of {LINES}"
        documents.append(
            Document(name=name, role=None, path=None, data=payload, envelopes=tuple(mine_too))
        )
    superseded = tuple(_superseded(run, problems))
    return Collected(documents=tuple(documents), superseded=superseded, refusals=tuple(problems))


def _files(run: Path, folder: Path, problems: list[Refusal]) -> Iterator[Document]:
    there = _names(run, folder, problems)
    for name in there:
        whose = name.removesuffix(_SIGNATURE)
        if name != whose and not (whose.endswith(ENDING) and whose in there):
            problems.append(_stray(run, folder / name))
    for name in there:
        if not name.endswith(ENDING):
            continue
        path, signature = folder / name, f"{name}{_SIGNATURE}"
        role = name.removesuffix(ENDING)
        whose = role.partition(".")[0]
        data = _bytes(run, path, whose, problems)
        armored = _bytes(run, folder / signature, whose, problems) if signature in there else None
        if data is not None:
            yield Document(
                name=_name(run, path), role=role, path=path, data=data, signature=armored
            )


def _superseded(run: Path, problems: list[Refusal]) -> Iterator[Document]:
    folder = run / FOLDER / SUPERSEDED
    envelopes = {}
    there = _names(run, folder, [])  # _files says what is wrong with it
    for name in there:
        if name.endswith(_ENVELOPE):
            stem = name.removesuffix(_ENVELOPE)
            envelopes[stem] = tuple(_sealed(run, folder / name, stem.partition(".")[0], problems))
            if stem + ENDING not in there:
                problems.append(_stray(run, folder / name))
        # Else it is of an operating system, or half written by a killed sign.
        elif not name.startswith(".") and not name.endswith((ENDING, _SIGNATURE)):
            problems.append(_stray(run, folder / name))
    for document in _files(run, folder, problems):
        yield msgspec.structs.replace(document, envelopes=envelopes.get(document.role or "", ()))


def _sealed(run: Path, path: Path, role: str | None, problems: list[Refusal]) -> Iterator[Sealed]:
    # A link that leads nowhere is there, and cannot be read.
    data = _bytes(run, path, role, problems) if os.path.lexists(path) else None
    for number, line in enumerate((data or b"").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            yield Sealed(path=path, number=number, envelope=dsse.read_line(line))
        except Refused as error:
            why = f"line {number} of {_name(run, path)}: {error.why}"
            problems.append(Refusal(cause=error.cause, role=role, why=why))


def _names(run: Path, folder: Path, problems: list[Refusal]) -> list[str]:
    try:
        return files.names(folder)
    except files.Unreadable as error:
        problems.append(_unread(run, folder, None, error))
        return []


def _bytes(run: Path, path: Path, role: str | None, problems: list[Refusal]) -> bytes | None:
    try:
        return files.read(path)
    except files.Unreadable as error:
        problems.append(_unread(run, path, role, error))
        return None


def _unread(run: Path, path: Path, role: str | None, error: files.Unreadable) -> Refusal:
    why = f"{_name(run, path)} cannot be read: {error.why}"
    return Refusal(cause=Cause.BAD_SIGNATURE, role=role, why=why)


def _stray(run: Path, path: Path) -> Refusal:
    role, ending, _ = path.name.partition(".")
    return Refusal(
        cause=Cause.BAD_SIGNATURE,
        role=role if ending else None,
        why=f"{_name(run, path)} belongs to no statement",
    )


def _name(run: Path, path: Path) -> str:
    return path.relative_to(run).as_posix()
