"""What a run directory has of statements and signatures; nothing is verified here.

PYTEST_DONT_REWRITE
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from pytest_readiness.results import model
from pytest_readiness.signoff import dsse, files, statement
from pytest_readiness.signoff.refusals import Refused

FOLDER = model.SIGNOFFS
SUPERSEDED = "superseded"
LINES = model.ENVELOPES
ENDING = ".statement.json"
SIGNATURE = ".sig"
ENVELOPE = ".dsse.json"


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """An envelope and where it stands. number: of its line, from 1."""

    path: Path
    number: int
    envelope: dsse.Envelope


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A statement and what signs it.

    name: where it was found, for people. role: that its file's name gives (of superseded/
    ROLE.SIGNEDAT), None for one that only an envelope has. path: None for the same. signature:
    armored SSHSIG.
    """

    name: str
    role: str | None
    path: Path | None
    data: bytes
    signature: bytes | None = None
    envelopes: tuple[Sealed, ...] = ()


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A signature that belongs to no statement, or what cannot be read.

    name: where it was found, for people. role: that its file's name begins with, None without one.
    why: one sentence for people.
    """

    name: str
    role: str | None
    why: str


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """All statements of a folder, the same bytes once, and what is wrong with it."""

    documents: tuple[Document, ...]
    problems: tuple[Problem, ...]

    def by_role(self) -> dict[str, list[Document]]:
        """Return the statements of each role: of the file's name, else as the statement says.

        Where it says none its name stands for the role. An envelope over a statement that lies in
        the file of another role stands for itself as well.
        """
        found: dict[str, list[Document]] = {}
        for document in self.documents:
            said = _role(document.data)
            role = document.role if document.role is not None else said or document.name
            found.setdefault(role, []).append(document)
            if document.envelopes and said and said != role:
                alone = msgspec.structs.replace(document, role=None, path=None, signature=None)
                found.setdefault(said, []).append(alone)
        return found


def collect(run: Path) -> Collected:
    """Return what is in force in the run directory. Never raises for what its files contain."""
    reader = _Reader(run)
    folder = run / FOLDER
    found = list(reader.statements(folder, reader.names(folder)))
    sealed: dict[bytes, list[Sealed]] = {document.data: [] for document in found}
    for one in reader.sealed(run / LINES, None):
        sealed.setdefault(one.envelope.payload, []).append(one)
    documents = [
        msgspec.structs.replace(document, envelopes=tuple(sealed[document.data]))
        for document in found
    ]
    known = {document.data for document in found}
    for payload, mine in sealed.items():
        if payload not in known:
            name = f"line {mine[0].number} of {LINES}"
            documents.append(
                Document(name=name, role=None, path=None, data=payload, envelopes=tuple(mine))
            )
    return Collected(documents=tuple(documents), problems=tuple(reader.problems))


def collect_superseded(run: Path) -> Collected:
    """Return what superseded/ has. Never raises for what its files contain."""
    reader = _Reader(run)
    folder = run / FOLDER / SUPERSEDED
    envelopes = {}
    there = reader.names(folder)
    for name in there:
        if name.endswith(ENVELOPE):
            stem = name.removesuffix(ENVELOPE)
            envelopes[stem] = tuple(reader.sealed(folder / name, stem.partition(".")[0]))
            if stem + ENDING not in there:
                reader.stray(folder / name)
        # Else it is of an operating system, or half written by a killed sign.
        elif not name.startswith(".") and not name.endswith((ENDING, SIGNATURE)):
            reader.stray(folder / name)
    documents = tuple(
        msgspec.structs.replace(document, envelopes=envelopes.get(document.role or "", ()))
        for document in reader.statements(folder, there)
    )
    return Collected(documents=documents, problems=tuple(reader.problems))


class _Reader:
    """Reads files of a run directory and notes what is wrong on the way."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.problems: list[Problem] = []

    def statements(self, folder: Path, there: Sequence[str]) -> Iterator[Document]:
        for name in there:
            whose = name.removesuffix(SIGNATURE)
            if name != whose and not (whose.endswith(ENDING) and whose in there):
                self.stray(folder / name)
        for name in there:
            if not name.endswith(ENDING):
                continue
            path, signature = folder / name, f"{name}{SIGNATURE}"
            role = name.removesuffix(ENDING)
            whose = role.partition(".")[0]
            data = self.bytes(path, whose)
            armored = self.bytes(folder / signature, whose) if signature in there else None
            if data is not None:
                yield Document(
                    name=self.name(path), role=role, path=path, data=data, signature=armored
                )

    def sealed(self, path: Path, role: str | None) -> Iterator[Sealed]:
        # A link that leads nowhere is there, and cannot be read.
        data = self.bytes(path, role) if os.path.lexists(path) else None
        for number, line in enumerate((data or b"").split(b"\n"), 1):
            if not line.strip():
                continue
            try:
                yield Sealed(path=path, number=number, envelope=dsse.read_line(line))
            except Refused as error:
                name = f"line {number} of {self.name(path)}"
                self.bad(name, role, f"{name}: {error.why}")

    def names(self, folder: Path) -> list[str]:
        try:
            return files.names(folder)
        except files.Unreadable as error:
            self.unread(folder, None, error)
            return []

    def bytes(self, path: Path, role: str | None) -> bytes | None:
        try:
            return files.read(path)
        except files.Unreadable as error:
            self.unread(path, role, error)
            return None

    def unread(self, path: Path, role: str | None, error: files.Unreadable) -> None:
        name = self.name(path)
        self.bad(name, role, f"{name} cannot be read: {error.why}")

    def stray(self, path: Path) -> None:
        role, ending, _ = path.name.partition(".")
        name = self.name(path)
        self.bad(name, role if ending else None, f"{name} belongs to no statement")

    def bad(self, name: str, role: str | None, why: str) -> None:
        self.problems.append(Problem(name=name, role=role, why=why))

    def name(self, path: Path) -> str:
        return path.relative_to(self.run).as_posix()


def _role(data: bytes) -> str | None:
    try:
        return statement.decode(data).predicate.role
    except Refused:
        return None
