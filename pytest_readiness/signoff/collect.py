"""What a run directory has of statements and signatures; nothing is verified here.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from pytest_readiness.signoff import dsse
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
    for path in sorted(folder.glob(f"*{_SIGNATURE}")):
        if not path.name.endswith(ENDING + _SIGNATURE) or not path.with_suffix("").exists():
            problems.append(_stray(run, path))
    for path in sorted(folder.glob(f"*{ENDING}")):
        role = path.name[: -len(ENDING)]
        data = _bytes(run, path, role, problems)
        signature = path.with_name(path.name + _SIGNATURE)
        armored = _bytes(run, signature, role, problems) if _there(signature) else None
        if data is not None:
            yield Document(
                name=_name(run, path), role=role, path=path, data=data, signature=armored
            )


def _superseded(run: Path, problems: list[Refusal]) -> Iterator[Document]:
    folder = run / FOLDER / SUPERSEDED
    envelopes = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith("."):  # of an operating system, or half written by a killed sign
            continue
        if path.name.endswith(_ENVELOPE):
            stem = path.name[: -len(_ENVELOPE)]
            envelopes[stem] = tuple(_sealed(run, path, stem, problems))
            if not _there(path.with_name(stem + ENDING)):
                problems.append(_stray(run, path))
        elif not path.name.endswith((ENDING, ENDING + _SIGNATURE)):
            problems.append(_stray(run, path))
    for document in _files(run, folder, problems):
        yield msgspec.structs.replace(document, envelopes=envelopes.get(document.role or "", ()))


def _sealed(run: Path, path: Path, role: str | None, problems: list[Refusal]) -> Iterator[Sealed]:
    data = _bytes(run, path, role, problems) if _there(path) else None
    for number, line in enumerate((data or b"").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            yield Sealed(path=path, number=number, envelope=dsse.read_line(line))
        except Refused as error:
            why = f"line {number} of {_name(run, path)}: {error.why}"
            problems.append(Refusal(cause=error.cause, role=role, why=why))


def _there(path: Path) -> bool:
    # A link that leads nowhere is there, and cannot be read.
    return path.exists() or path.is_symlink()


def _bytes(run: Path, path: Path, role: str | None, problems: list[Refusal]) -> bytes | None:
    try:
        # A pipe in an unpacked archive would be waited for.
        data = path.read_bytes() if path.is_file() else None
        why = "it is not a file"
    except OSError as error:
        data, why = None, error.strerror or str(error)
    if data is None:
        problem = f"{_name(run, path)} cannot be read: {why}"
        problems.append(Refusal(cause=Cause.BAD_SIGNATURE, role=role, why=problem))
    return data


def _stray(run: Path, path: Path) -> Refusal:
    role, ending, _ = path.name.partition(".")
    return Refusal(
        cause=Cause.BAD_SIGNATURE,
        role=role if ending else None,
        why=f"{_name(run, path)} belongs to no statement",
    )


def _name(run: Path, path: Path) -> str:
    return path.relative_to(run).as_posix()
