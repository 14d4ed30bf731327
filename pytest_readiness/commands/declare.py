"""`readiness declare ITEM`: write down what a person says about an item, and say if it counts.

PYTEST_DONT_REWRITE
"""

import sys
import tomllib
from argparse import ArgumentParser, Namespace
from datetime import UTC, date
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_readiness import catalogue
from pytest_readiness.catalogue import CatalogueItem
from pytest_readiness.clock import begins, ends, now
from pytest_readiness.errors import ReadinessError
from pytest_readiness.people import declaration_file, declarations, recorded
from pytest_readiness.people.declaration_file import Row
from pytest_readiness.people.declarations import State
from pytest_readiness.settings import Settings, load
from pytest_readiness.text import suggestion
from pytest_readiness.written import tables

if TYPE_CHECKING:
    from pytest_readiness.signoff.policy import Policy

AGENT = "agent"
FILE = Path("declarations.toml")
INI = Path("readiness.ini")
_BASIS = {"P": "a probe", "R": "a report of a tool", "F": "a file of the repository"}
_BASIS |= {"s": "a signature"}


class _Target(msgspec.Struct, frozen=True):
    release: str | None = None
    commit: str | None = None
    image: str | None = None


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("item", metavar="ITEM", help="id of an item, see `readiness list`")
    parser.add_argument("--statement", metavar="TEXT", help="what is so, in a sentence")
    parser.add_argument("--by", metavar="PERSON", help="who says it, as signoff.toml names them")
    parser.add_argument("--role", help="in which role")
    parser.add_argument("--date", help="2026-11-24, or RFC 3339 with zone (today in UTC)")
    parser.add_argument("--expires", metavar="DATE", help="(as long as the item allows)")
    parser.add_argument(
        "--release", help="version, commit or image it holds for, or `any` (that of the ini)"
    )
    parser.add_argument("--evidence", metavar="FILE", help="a file, or a URL")
    parser.add_argument("--sign", action="store_true", help="sign it with an SSH key")
    parser.add_argument(
        "--key", default=AGENT, metavar="PATH", help="SSH key, or `agent` (%(default)s)"
    )
    parser.add_argument(
        "--file", type=Path, help=f"(`declarations` of the ini where it says so, else {FILE})"
    )
    parser.add_argument(
        "--readiness-ini", metavar="FILE", type=Path, default=INI, help="(%(default)s)"
    )


def main(args: Namespace) -> int:
    """Ask for what is missing, write one table, say whether it counts.

    Raises ReadinessError: the item takes none, something is missing or cannot be signed.
    """
    item = _item(args.item)
    settings = (
        load(args.readiness_ini, resolve=False, stand_ins=True)
        if args.readiness_ini.is_file()
        else None
    )
    policy = recorded.policy_of(settings) if settings else None
    path = args.file or (settings and settings.readiness.declarations) or FILE
    before = _bytes(path)
    # A file that cannot be read as it stands is not made longer.
    tables.parse(before, path.name, "declaration", Row, declaration_file.DATES)
    row = _Asked(args, item, settings, policy).row(path.parent)
    if args.sign:
        row = _signed(row, args.key, policy)
    _refuse(row, path, item, settings, policy)
    _append(path, before, row)
    print(f"{path}: added\n\n{table(row)}")
    print(_says(path, item, settings, policy))
    return 0


def table(row: Row) -> str:
    """Return the declaration as TOML, with its header."""
    lines = ["[[declaration]]"]
    for key, value in msgspec.structs.asdict(row).items():
        if value is not None:
            lines.append(f"{key} = {_value(key, value)}")
    return "\n".join(lines) + "\n"


class _Asked:
    """What the command line says, and for the rest a person at the terminal."""

    def __init__(
        self,
        args: Namespace,
        item: CatalogueItem,
        settings: Settings | None,
        policy: "Policy | None",
    ) -> None:
        self.args, self.item, self.settings, self.policy = args, item, settings, policy

    def row(self, folder: Path) -> Row:
        if not self.args.statement and sys.stdin.isatty():
            print(f"{self.item.id}: {self.item.title}")
        statement = self._text("statement", "What is so")
        by = self._text("by", "Who says it")
        role = self._text("role", "In which role", self._role(by))
        day = self._date("date", "Date", f"{now():%Y-%m-%d}")
        expires = self._date("expires", "Until", self._until(day))
        release = self._text("release", "For which release", self._release())
        evidence = self._text("evidence", "Evidence, a file or URL", "") or None
        return Row(
            item=self.item.id,
            statement=statement,
            by=by,
            role=role,
            date=day,
            expires=expires,
            release=release,
            evidence=evidence,
            sha256=_sha256(evidence, folder),
        )

    def _text(self, name: str, question: str, default: str | None = None) -> str:
        """Return the option or the answer. default: "" lets it be empty, None does not."""
        given: str | None = getattr(self.args, name)
        if given is None and sys.stdin.isatty():
            given = _ask(f"{question} [{default}]: " if default else f"{question}: ")
        text = (given or "").strip() or default
        if text is None:
            raise ReadinessError(f"--{name} is missing: nothing was written")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ReadinessError(f"--{name} is no text in UTF-8: nothing was written") from error
        return text

    def _date(self, name: str, question: str, default: str | None) -> str:
        text = self._text(name, question, default)
        try:
            ends(text)
        except (ValueError, OverflowError) as error:
            raise ReadinessError(
                f"--{name} {text!r} is no date: write it like 2026-11-24, or "
                "2026-11-24T12:00:00Z with its zone"
            ) from error
        return text

    def _role(self, by: str) -> str | None:
        roles = self.policy.roles if self.policy else {}
        mine = [role for role, people in roles.items() if by in people]
        return mine[0] if len(mine) == 1 else None

    def _until(self, day: str) -> str | None:
        if self.item.valid_for is None:
            return None
        try:
            return f"{begins(day) + self.item.valid_for:%Y-%m-%d}"
        except OverflowError:
            return None  # past the last day there is: whoever means it says until when

    def _release(self) -> str | None:
        if self.settings is None:
            return None
        said = self.settings.readiness
        return said.release or said.commit or said.image


def _item(id: str) -> CatalogueItem:
    known = catalogue.by_id()
    if id not in known:
        raise ReadinessError(f"there is no item {id}{suggestion(id, list(known))}")
    item = known[id]
    if not item.declarable:
        words = " and ".join(_BASIS[sign] for sign in item.basis if sign in _BASIS)
        raise ReadinessError(f"{id} takes no declaration: its basis is {words} ({item.basis})")
    return item


def _refuse(
    row: Row, path: Path, item: CatalogueItem, settings: Settings | None, policy: "Policy | None"
) -> None:
    """Raise ReadinessError for a word that a policy which is there would not let count."""
    if settings is None or policy is None or recorded.target_set(settings, item):
        return
    at = now()
    fact = declaration_file.fact(0, row, path.parent, policy, at)
    facts = declaration_file.facts(path, policy, at, (fact,))
    judged = declarations.weigh(facts, fact, item, settings.readiness)
    if judged.state is State.REFUSED:
        raise ReadinessError(f"nothing was written, for it would not count: {judged.reason}")


def _ask(question: str) -> str:
    try:
        return input(question)
    except EOFError:
        print()
        raise ReadinessError("nothing was written") from None


def _sha256(evidence: str | None, folder: Path) -> str | None:
    path = declaration_file.evidence_file(evidence, folder) if evidence else None
    if path is None:
        return None
    try:
        return declaration_file.digest(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ReadinessError(f"the evidence {path} cannot be read: {why}") from error


def _signed(row: Row, key: str, policy: "Policy | None") -> Row:
    from pytest_readiness.signoff.ssh import sshsig

    namespace = sshsig.namespace(row.role)
    keys = [
        line.key
        for line in (policy.lines if policy else ())
        if line.names(row.by) and line.allows(namespace)
    ]
    if key == AGENT and not keys:
        raise ReadinessError(
            f"no policy has a key of {row.by} for {namespace}: set signoff in readiness.ini, "
            "or name the key: --key PATH"
        )
    path = None if key == AGENT else Path(key).expanduser()
    armored = sshsig.sign(declaration_file.signed_bytes(row), namespace, path, keys)
    return msgspec.structs.replace(row, signature=armored.decode("ascii"))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise ReadinessError(f"{path}: cannot be read: {error.strerror}") from error


def _append(path: Path, before: bytes, row: Row) -> None:
    """Write the file with the table at its end, whole, once it reads as it should."""
    from pytest_readiness.record.whole import write_whole

    gap = b"" if not before else b"\n" if before.endswith(b"\n") else b"\n\n"
    data = before + gap + table(row).encode()
    old = tables.parse(before, path.name, "declaration", Row, declaration_file.DATES)
    new = tables.parse(data, path.name, "declaration", Row, declaration_file.DATES)
    if new[:-1] != old or new[-1].row != row:
        raise ReadinessError(f"{path}: what would be written does not read as it was said")
    try:
        # A link stays one, and what it leads to is written, with the rights that it has.
        mode = path.stat().st_mode if path.exists() else None
        write_whole(path.resolve(), data)
        if mode is not None:
            path.chmod(mode)
    except OSError as error:
        raise ReadinessError(f"{path}: cannot be written: {error.strerror}") from error


def _value(key: str, value: str) -> str:
    if key in declaration_file.DATES and _bare(value):
        return value
    if key == "signature":
        return f'"""\n{value}"""'
    # JSON escapes what TOML does, except DEL; both read the escapes alike.
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def _bare(text: str) -> bool:
    """Return whether TOML takes the text for a date."""
    try:
        return isinstance(tomllib.loads(f"x = {text}")["x"], date)
    except ValueError:
        return False


def _says(
    path: Path, item: CatalogueItem, settings: Settings | None, policy: "Policy | None"
) -> str:
    facts = declaration_file.read(path, policy, now())
    if settings is not None and recorded.target_set(settings, item):
        return f"it does not count: [{item.target}] is set: its probe judges"
    target = settings.readiness if settings else _Target()
    judged = declarations.weigh(facts, facts.items[-1], item, target)
    if judged.state is State.COUNTS and judged.ends is not None:
        return f"it counts until {judged.ends.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f"it does not count: {judged.reason}"
