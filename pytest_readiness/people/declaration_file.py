"""declarations.toml: what people write, and what can be known of it, evidence and signatures.

PYTEST_DONT_REWRITE
"""

import json
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_readiness.errors import ReadinessError
from pytest_readiness.people.facts import Declaration, Declarations
from pytest_readiness.written import tables as toml_tables

if TYPE_CHECKING:
    from pytest_readiness.signoff.policy import Policy

DATES = ("date", "expires")

_URL = re.compile(r"https?://", re.IGNORECASE)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A [[declaration]] as people write it."""

    item: str
    statement: str
    by: str
    role: str
    date: str
    release: str
    expires: str | None = None
    evidence: str | None = None
    sha256: str | None = None
    signature: str | None = None


def read(path: Path, policy: "Policy | None", at: datetime) -> Declarations:
    """Read the file, look at its evidence and verify its signatures as of `at` (aware).

    Raises SettingsError when it is not a file of declarations; what keeps one of them from
    counting is in the facts.
    """
    tables = toml_tables.read(path, "declaration", Row, DATES)
    return facts(path, policy, at, [fact(*table, path.parent, policy, at) for table in tables])


def facts(
    path: Path, policy: "Policy | None", at: datetime, items: Iterable[Declaration]
) -> Declarations:
    """Return what a file with these declarations says."""
    return Declarations(
        file=path.name,
        asked_at=at,
        policy=policy is not None,
        require_signed=policy.require_signed_declarations if policy else "no",
        items=tuple(items),
    )


def fact(line: int, row: Row, folder: Path, policy: "Policy | None", at: datetime) -> Declaration:
    """Return what is known of a declaration, its evidence and its signature, as of `at`."""
    problem = _signature_problem(row, policy, at)
    said = msgspec.structs.asdict(row)
    signature = said.pop("signature")
    return Declaration(
        line=line,
        evidence_problem=_evidence_problem(row, folder),
        signature_problem=problem,
        signed=signature is not None and policy is not None and problem is None,
        known=policy is not None and row.by in policy.roles.get(row.role, ()),
        **said,
    )


def signed_bytes(row: Row) -> bytes:
    """Return what a signature of the declaration is over (docs/signoff.md)."""
    said = msgspec.structs.asdict(row)
    said.pop("signature")
    present = {key: value for key, value in said.items() if value is not None}
    return json.dumps(present, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def evidence_file(evidence: str, folder: Path) -> Path | None:
    """Return the file, relative to the folder of the declarations; None for a URL."""
    return None if _URL.match(evidence) else folder / Path(evidence)


def digest(path: Path) -> str:
    """Return the sha256 of a file, hexadecimal. Raises OSError."""
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _evidence_problem(row: Row, folder: Path) -> str | None:
    if row.evidence is None:
        return "it has a sha256 of no evidence" if row.sha256 is not None else None
    what = f"its evidence {row.evidence}"
    path = evidence_file(row.evidence, folder)
    if path is None:
        return None
    try:
        if not path.is_file():
            return f"{what} is {'a folder' if path.is_dir() else 'missing'}"
        if row.sha256 is None:
            return f"{what} has no sha256"
        if digest(path) != row.sha256.lower():
            return f"{what} has another sha256"
    except OSError as error:
        return f"{what} cannot be read: {error.strerror}"
    return None


def _signature_problem(row: Row, policy: "Policy | None", at: datetime) -> str | None:
    if row.signature is None or policy is None:
        return None
    from pytest_readiness.signoff.ssh import sshsig

    try:
        sshsig.verify(
            signed_bytes(row),
            row.signature.encode(),
            principal=row.by,
            namespace=sshsig.namespace(row.role),
            lines=policy.lines,
            revoked=policy.revoked,
            at=at,
        )
    except ReadinessError as error:  # Refused, and a machine on which nobody can verify
        return f"its signature is not good: {error}"
    return None
