"""signoff.toml: who may sign a report off, and when it holds (docs/signoff.md, signoff.toml).

All that is wrong with the file is said at once.

PYTEST_DONT_REWRITE
"""

import hashlib
import os
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args

import msgspec

from pytest_readiness.errors import ReadinessError, SettingsError
from pytest_readiness.signoff import dsse, files
from pytest_readiness.signoff.ssh import revoked, signers, sshsig, wire
from pytest_readiness.text import suggestion
from pytest_readiness.written.keys import DURATION, BadValue, Where

Declarations = Literal["no", "blocker", "all"]
_T = TypeVar("_T")

# The checklist's, each with an example of a person.
ROLES = {
    "deployment-manager": "dm@example.org",
    "operations-lead": "ops@example.org",
    "security-lead": "sec@example.org",
    "product-manager": "pm@example.org",
}
_KEYS = (
    "allowed_signers",
    "revoked_keys",
    "required_roles",
    "distinct_principals",
    "max_report_age",
    "allow_lab",
    "allow_replay",
    "allow_relaxed",
    "require_signed_declarations",
    "accept_waivers",
    "roles",
    "dsse_keys",
)
# It is part of a file's name and of an SSH namespace.
_ROLE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_MAX_AGE = timedelta(days=7)


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """All of signoff.toml and what it names.

    sha256: of the file's bytes, hexadecimal. roles: role -> principals. dsse_keys: principal ->
    PEM of the public key; dsse_paths: where it was read. lines: of allowed_signers, none where
    the file names none. allow_relaxed: the keys that may be below the checklist, None for all.
    """

    path: Path
    sha256: str
    roles: dict[str, tuple[str, ...]]
    required_roles: tuple[str, ...]
    distinct_principals: bool
    max_report_age: timedelta
    allow_lab: bool
    allow_replay: bool
    allow_relaxed: tuple[str, ...] | None
    require_signed_declarations: Declarations
    accept_waivers: tuple[str, ...]
    lines: tuple[signers.Line, ...]
    revoked: revoked.Revoked | None
    dsse_keys: dict[str, bytes]
    allowed_signers: Path | None
    revoked_keys: Path | None
    dsse_paths: dict[str, Path]


def load(path: Path) -> Policy:
    """Read signoff.toml and the files that it names.

    Raises SettingsError with every problem, `signoff.toml: message` one a line.
    """
    try:
        data = files.read(path)
    except files.Unreadable as error:
        raise SettingsError([f"{path}: cannot be read: {error.why}"]) from None
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsError([f"{path.name}:{line}: not UTF-8"]) from None
    except (ValueError, RecursionError) as error:  # also a number with too many digits
        raise SettingsError([f"{path.name}: not TOML: {error}"]) from None
    path = path.absolute()
    reader = _Reader(path, table)
    values = reader.values()
    if reader.problems:
        raise SettingsError(reader.problems)
    return Policy(path=path, sha256=hashlib.sha256(data).hexdigest(), **values)


class _Reader:
    """Turns the table into the values of a Policy and notes what is wrong on the way."""

    def __init__(self, path: Path, table: dict[str, Any]) -> None:
        self.path = path
        self.table = table
        self.problems: list[str] = []

    def values(self) -> dict[str, Any]:
        for key in self.table:
            if key not in _KEYS:
                self.bad(f"unknown key {_shown(key)}{suggestion(key, _KEYS)}")
        roles = self.roles()
        signers_path = self.file("allowed_signers")
        revoked_path = self.file("revoked_keys")
        dsse_paths, dsse_keys = self.dsse(roles)
        lines = self.read(signers.read, signers_path) or ()
        for role in roles:
            self.one_person(role, roles[role], lines, dsse_keys)
        return {
            "roles": roles,
            "required_roles": self.required(roles),
            "distinct_principals": self.flag("distinct_principals", default=True),
            "max_report_age": self.age(),
            "allow_lab": self.flag("allow_lab", default=False),
            "allow_replay": self.flag("allow_replay", default=False),
            "allow_relaxed": self.relaxed(),
            "require_signed_declarations": self.declarations(),
            "accept_waivers": self.some_roles("accept_waivers", roles, ()),
            "lines": lines,
            "revoked": self.read(revoked.read, revoked_path),
            "dsse_keys": dsse_keys,
            "allowed_signers": signers_path,
            "revoked_keys": revoked_path,
            "dsse_paths": dsse_paths,
        }

    def bad(self, why: str) -> None:
        self.problems.append(f"{self.path.name}: {why}")

    def roles(self) -> dict[str, tuple[str, ...]]:
        table = self.section("roles")
        if not table and "roles" not in self.table:
            self.bad(f"there is no table [roles]; write a line for each of {', '.join(ROLES)}")
        found = {role: self.people(role, people) for role, people in table.items()}
        self.look_alike(name for people in found.values() for name in people)
        return found

    def people(self, role: str, people: object) -> tuple[str, ...]:
        where = f"[roles] {_shown(role)}"
        if not _ROLE.fullmatch(role):
            self.bad(f"{where}: a role is written in small letters, digits and -, like ops-lead")
        if not isinstance(people, list):
            self.bad(f'{where}: write a list of principals, like ["sec@example.org"]')
            return ()
        if not people:
            self.bad(f'{where}: nobody may sign for it; write principals, like ["sec@example.org"]')
        self.principals(where, people)
        found = tuple(person for person in people if isinstance(person, str))
        self.once(where, found)
        return found

    def principals(self, where: str, people: Iterable[object]) -> None:
        for person in people:
            if not isinstance(person, str):
                self.bad(f"{where}: {person!r} is not text; write it in quotes")
            elif not person:
                self.bad(f"{where}: a principal is empty; write an e-mail address")
            elif not person.isprintable() or any(sign in ' ",*?!' for sign in person):
                self.bad(
                    f"{where}: {person!r} has white space, a quote, comma, *, ? or !; "
                    "write one person's name as allowed_signers has it, an e-mail address"
                )

    def look_alike(self, people: Iterable[str]) -> None:
        """Note names that would be two principals, and are one to who reads them."""
        first: dict[str, str] = {}
        for person in people:
            folded = unicodedata.normalize("NFKC", person.casefold()).casefold()
            other = first.setdefault(folded, person)
            if other != person:
                self.bad(f"[roles]: {person!r} and {other!r} look alike; write one of them")

    def one_person(
        self,
        role: str,
        people: Iterable[str],
        lines: Iterable[signers.Line],
        dsse_keys: dict[str, bytes],
    ) -> None:
        """Note a key that may sign for the role by two names: who of them it was nobody can say."""
        space = sshsig.namespace(role)
        mine = [line for line in lines if line.allows(space) and not line.cert_authority]
        of: dict[bytes, set[str]] = {}
        for person in people:
            for line in mine:
                if line.names(person):
                    of.setdefault(line.key, set()).add(person)
            if person in dsse_keys:
                of.setdefault(dsse.ssh_blob(dsse_keys[person]), set()).add(person)
        for key, names in of.items():
            if len(names) > 1:
                whose = " and as ".join(sorted(names))
                self.bad(f"{role}: the key {wire.fingerprint(key)} signs as {whose}; write one")

    def required(self, roles: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
        required = self.some_roles("required_roles", roles, tuple(ROLES))
        if self.table.get("required_roles") == []:
            self.bad("required_roles is empty: nobody would have to sign; name at least one role")
        return required

    def some_roles(
        self, key: str, roles: dict[str, tuple[str, ...]], default: tuple[str, ...]
    ) -> tuple[str, ...]:
        found = self.table.get(key, list(default))
        if not isinstance(found, list) or not all(isinstance(role, str) for role in found):
            self.bad(f'{key}: write a list of roles, like ["security-lead"]')
            return ()
        self.once(key, found)
        if "roles" in self.table:
            by_default = "" if key in self.table else " (by default)"
            for role in dict.fromkeys(found):
                if role not in roles:
                    near = suggestion(role, list(roles))
                    self.bad(f"{key}{by_default}: {_shown(role)} is not in [roles]{near}")
        return tuple(found)

    def once(self, where: str, names: Iterable[str]) -> None:
        names = list(names)
        for name in dict.fromkeys(names):
            if names.count(name) > 1:
                self.bad(f"{where}: {_shown(name)} stands there {names.count(name)} times")

    def flag(self, key: str, *, default: bool) -> bool:
        found = self.table.get(key, default)
        if not isinstance(found, bool):
            self.bad(f"{key}: {found!r} is neither true nor false (without quotes)")
            return default
        return found

    def relaxed(self) -> tuple[str, ...] | None:
        found = self.table.get("allow_relaxed", True)
        if isinstance(found, bool):
            return None if found else ()
        if not isinstance(found, list) or not all(isinstance(key, str) and key for key in found):
            self.bad('allow_relaxed: write true, false or a list of keys, like ["min_nodes"]')
            return ()
        self.once("allow_relaxed", found)
        return tuple(found)

    def age(self) -> timedelta:
        found = self.table.get("max_report_age", "7d")
        try:
            if not isinstance(found, str):
                raise BadValue(f"{found!r} is not text; write it in quotes with a unit, like '7d'")
            age = cast(timedelta, DURATION.parse(found, Where(self.path.parent, resolve=True)))
            if not age:
                raise BadValue(f"{found!r} is no time: every report would be too old")
        except BadValue as error:
            self.bad(f"max_report_age: {error}")
            return _MAX_AGE
        return age

    def declarations(self) -> Declarations:
        known = get_args(Declarations)
        found = self.table.get("require_signed_declarations", "blocker")
        if found not in known:
            near = suggestion(found, known) if isinstance(found, str) else ""
            self.bad(
                f"require_signed_declarations: {found!r} is not one of {', '.join(known)}{near}"
            )
            return "blocker"
        return cast(Declarations, found)

    def section(self, key: str) -> dict[str, Any]:
        found = self.table.get(key, {})
        if not isinstance(found, dict):
            self.bad(f"{key} is a table: write [{key}], and its lines below")
            return {}
        return found

    def dsse(self, roles: dict[str, tuple[str, ...]]) -> tuple[dict[str, Path], dict[str, bytes]]:
        paths, keys = {}, {}
        people = sorted({person for group in roles.values() for person in group})
        for principal, text in self.section("dsse_keys").items():
            where = f"[dsse_keys] {_shown(principal)}"
            if roles and principal not in people:
                self.bad(f"{where}: no role in [roles] has it{suggestion(principal, people)}")
            path = self.path_of(where, text)
            pem = self.read(_pem, path, where)
            if path is not None and pem is not None:
                paths[principal], keys[principal] = path, pem
        return paths, keys

    def file(self, key: str) -> Path | None:
        return self.path_of(key, self.table[key]) if key in self.table else None

    def path_of(self, where: str, text: object) -> Path | None:
        if not isinstance(text, str) or not text or "\0" in text:
            self.bad(f"{where}: {text!r} is no path of a file")
            return None
        path = self.path.parent / text
        if not os.path.isfile(path):  # Path.is_file raises for a name that is too long
            what = "a folder" if os.path.isdir(path) else "no file"
            self.bad(f"{where}: {text!r} is {what} ({path})")
            return None
        return path

    def read(self, reader: Callable[[Path], _T], path: Path | None, where: str = "") -> _T | None:
        if path is None:
            return None
        try:
            return reader(path)
        except SettingsError as error:
            self.problems += error.problems
        except ReadinessError as error:
            self.bad(f"{where}: {error}")
        return None


def _pem(path: Path) -> bytes:
    try:
        data = files.read(path)
    except files.Unreadable as error:
        raise ReadinessError(f"{path} cannot be read: {error.why}") from None
    try:
        dsse.check_pem(data)
    except ReadinessError as error:
        advice = f"openssl pkey -in KEY.pem -pubout -out {path.name}"
        raise ReadinessError(f"{path.name}: {error}; write it by `{advice}`") from None
    return data


def _shown(name: str) -> str:
    return name if name.isprintable() and name else repr(name)
