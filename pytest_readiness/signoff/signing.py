"""What a signature leaves in the run directory, written so that a kill is never an approval.

After each single write the directory is one that verify refuses, or has the old signature, or the
new one. Names: docs/signoff.md.

PYTEST_DONT_REWRITE
"""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from pytest_readiness.clock import begins, rfc3339
from pytest_readiness.errors import ReadinessError
from pytest_readiness.record.whole import write_whole
from pytest_readiness.signoff import attest, collect, dsse, files, statement
from pytest_readiness.signoff.collect import Document
from pytest_readiness.signoff.policy import Policy
from pytest_readiness.signoff.refusals import Refused
from pytest_readiness.signoff.ssh import sshsig


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """A statement and what signs it: armored SSHSIG, DSSE envelope on one line without its end."""

    data: bytes
    signature: bytes | None
    line: bytes | None

    @property
    def statement(self) -> statement.Statement:
        """The statement. Raises Refused."""
        return statement.decode(self.data)

    @property
    def moment(self) -> datetime:
        """When it was signed."""
        return begins(self.statement.predicate.signed_at)


def standing(run: Path, role: str, policy: Policy) -> tuple[tuple[Signed, ...], tuple[str, ...]]:
    """Return what the role has signed well, oldest first, and why the rest does not count.

    Well: by the key a signature carries, or for DSSE by dsse_keys, whatever is known of the key.
    """
    found = collect.collect(run)
    good, bad = [], [problem.why for problem in found.problems if problem.role == role]
    for document in found.by_role().get(role, ()):
        try:
            good.append(_good(document, role, policy))
        except ReadinessError as error:
            bad.append(str(error))
    return tuple(sorted(good, key=lambda one: one.moment)), tuple(bad)


def place(run: Path, role: str, new: Signed, old: Sequence[Signed]) -> None:
    """Write the signature of a role; what it signed before moves to superseded/.

    old: what `standing` returned. Whatever else stands for the role is written over. Raises
    ReadinessError, after which the directory is as after a kill.
    """
    folder = run / collect.FOLDER
    name = folder / f"{role}{collect.ENDING}"
    signature = name.with_name(f"{name.name}{collect.SIGNATURE}")
    try:
        for path in (folder, folder / collect.SUPERSEDED, run / attest.FOLDER):
            if path.is_symlink():
                raise ReadinessError(f"{path}: it is a link, which may lead out of the run")
        for one in old:
            _archive(folder / collect.SUPERSEDED, role, one)
        attest.withdraw_svr(run)
        folder.mkdir(exist_ok=True)
        if new.line:
            # First, for it is a signature by itself, and what follows is over the same bytes.
            _write_lines(run, role, new.line)
        write_whole(name, new.data)
        if new.signature:
            write_whole(signature, new.signature)
        else:
            signature.unlink(missing_ok=True)
        if not new.line:
            _write_lines(run, role, None)
    except OSError as error:
        raise ReadinessError(f"{folder}: cannot be written: {error}") from error


def _good(document: Document, role: str, policy: Policy) -> Signed:
    """Return the statement with those of its signatures that are good. Raises ReadinessError."""
    predicate = statement.decode(document.data).predicate
    if predicate.role != role:
        raise ReadinessError(f"its statement is one of {predicate.role}")
    why = "there is no signature"
    signature = line = None
    try:
        if document.signature is not None:
            sshsig.check(document.data, document.signature, sshsig.namespace(role))
            signature = document.signature
    except Refused as error:
        why = error.why
    for sealed in document.envelopes:
        try:
            dsse.verify(sealed.envelope, _pem(policy, predicate.principal))
            line = sealed.envelope.line.strip()
        except ReadinessError as error:
            why = str(error)
    if signature is None and line is None:
        raise ReadinessError(why)
    return Signed(data=document.data, signature=signature, line=line)


def _pem(policy: Policy, principal: str) -> bytes:
    if principal not in policy.dsse_keys:
        raise ReadinessError(f"dsse_keys has no key of {principal}")
    return policy.dsse_keys[principal]


def _archive(folder: Path, role: str, old: Signed) -> None:
    stem = f"{role}.{rfc3339(old.moment)}"
    parts = {
        f"{stem}{collect.ENDING}": old.data,
        f"{stem}{collect.ENDING}{collect.SIGNATURE}": old.signature,
        f"{stem}{collect.ENVELOPE}": old.line and old.line + b"\n",
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in parts.items():
        if data is None:
            continue
        path = folder / name
        if os.path.lexists(path) and files.read(path) != data:
            raise ReadinessError(f"{path} is there already, and is another one")
        write_whole(path, data)


def _write_lines(run: Path, role: str, line: bytes | None) -> None:
    """Write the jsonl with the line in the place of all that the role has in it."""
    path = run / collect.LINES
    before = files.read(path) if os.path.lexists(path) else b""
    rest = [one for one in before.split(b"\n") if one.strip() and _role(one) != role]
    after = b"".join(one + b"\n" for one in ([*rest, line] if line else rest))
    if after:
        if after != before:
            write_whole(path, after)
    else:
        path.unlink(missing_ok=True)


def _role(line: bytes) -> str | None:
    try:
        return statement.decode(dsse.read_line(line).payload).predicate.role
    except Refused:
        return None
