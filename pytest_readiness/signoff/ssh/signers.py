"""allowed_signers: whose key may sign what, and when. Format: ssh-keygen(1), ALLOWED SIGNERS.

Where ssh-keygen passes over a line that it cannot read, this reader refuses the file: a line that
was meant to end somebody's right to sign must not be lost.

PYTEST_DONT_REWRITE
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pytest_readiness.errors import SettingsError
from pytest_readiness.signoff import files
from pytest_readiness.signoff.ssh import wire

_TIME = re.compile(r"[0-9]{8}(?:[0-9]{4}(?:[0-9]{2})?)?Z")
_TIME_FORMS = {9: "%Y%m%dZ", 13: "%Y%m%d%H%MZ", 15: "%Y%m%d%H%M%SZ"}
_OPTIONS = ("cert-authority", "namespaces", "valid-after", "valid-before")
# Within quotes a backslash takes its meaning from the quote after it, and has none elsewhere.
_QUOTED = r'(?:\\"|\\(?!")|[^"\\])*'
_WORD = re.compile(rf'(?:"{_QUOTED}"|[^ "])+')
_OPTION = re.compile(rf'(?P<name>[^=,"]+)(?:="(?P<value>{_QUOTED})")?(?:,(?=.)|\Z)')
_KEY = ("ssh-", "ecdsa-", "sk-")  # how the type of a key begins, and no option


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of allowed_signers.

    principals, namespaces: patterns with `*` and `?`; one that begins with `!` excludes.
    namespaces: None where the line is for all. key: public key blob; of the CA for cert_authority.
    valid_after, valid_before: both moments belong to the time in which the key is valid.
    text: the bytes of the line without its end. number: from 1.
    """

    principals: tuple[str, ...]
    namespaces: tuple[str, ...] | None
    valid_after: datetime | None
    valid_before: datetime | None
    cert_authority: bool
    key: bytes
    text: bytes
    number: int

    @property
    def sha256(self) -> str:
        """The digest of `text`, hexadecimal."""
        return hashlib.sha256(self.text).hexdigest()

    def names(self, principal: str) -> bool:
        """Return whether the line is for the principal."""
        return matches(principal, self.principals)

    def allows(self, namespace: str) -> bool:
        """Return whether the line lets its key sign in the namespace."""
        return self.namespaces is None or matches(namespace, self.namespaces)

    def valid(self, at: datetime) -> bool:
        """Return whether the line holds at the moment."""
        return not (
            (self.valid_after is not None and at < self.valid_after)
            or (self.valid_before is not None and at > self.valid_before)
        )


def matches(text: str, patterns: Sequence[str]) -> bool:
    """Return whether a pattern list of ssh_config(5), PATTERNS, has the text.

    A pattern that begins with `!` excludes what it matches, wherever in the list it stands.
    """
    hits = [one for one in patterns if _pattern(one.removeprefix("!")).fullmatch(text.encode())]
    return bool(hits) and not any(one.startswith("!") for one in hits)


def _pattern(pattern: str) -> re.Pattern[bytes]:
    # Of bytes, because for OpenSSH a `?` is one byte and not one letter.
    escaped = re.escape(re.sub(r"\*+", "*", pattern).encode())
    return re.compile(escaped.replace(rb"\*", b".*").replace(rb"\?", b"."), re.DOTALL)


def read(path: Path) -> tuple[Line, ...]:
    """Return the lines of the file; comments and empty lines are passed over.

    Raises SettingsError, `allowed_signers:LINE: message` for each line that cannot be read.
    """
    try:
        data = files.read(path)
    except files.Unreadable as error:
        raise SettingsError([f"{path.name}: it cannot be read: {error.why}"]) from error
    lines, problems = [], []
    for number, raw in enumerate(data.split(b"\n"), 1):
        text = raw.removesuffix(b"\r")
        if not text.strip() or text.lstrip().startswith(b"#"):
            continue
        try:
            lines.append(_line(text, number))
        except wire.Malformed as error:
            problems.append(f"{path.name}:{number}: {error}")
    if problems:
        raise SettingsError(problems)
    return tuple(lines)


def _line(data: bytes, number: int) -> Line:
    text = wire.text_of(data).replace("\t", " ").strip(" ")
    principals, rest = _principals(text)
    options = {}
    try:
        kind, blob = wire.public_key(rest)
    except wire.Malformed as not_a_key:
        found = _WORD.match(rest)
        if found is None or found[0].startswith(_KEY):
            raise not_a_key
        options = dict(_options(found[0]))
        kind, blob = wire.public_key(rest[found.end() :])
    if kind.endswith(wire.CERTIFICATE):
        raise wire.Malformed(
            "it has a certificate: write the key of its CA, with the option cert-authority"
        )
    after, before = (_time(name, options) for name in ("valid-after", "valid-before"))
    if after and before and before <= after:
        raise wire.Malformed("valid-before is not later than valid-after")
    namespaces = options.get("namespaces")
    return Line(
        principals=tuple(principals.split(",")),
        namespaces=None if namespaces is None else tuple(namespaces.split(",")),
        valid_after=after,
        valid_before=before,
        cert_authority="cert-authority" in options,
        key=blob,
        text=data,
        number=number,
    )


def _principals(text: str) -> tuple[str, str]:
    """Return the first word, which may stand in quotes, and what follows it."""
    if text.startswith('"'):
        principals, quote, rest = text[1:].partition('"')
        if not quote:
            raise wire.Malformed("the quote before the principals is not closed")
    else:
        principals, _, rest = text.partition(" ")
    if not principals or '"' in principals or not principals.isprintable():
        # A byte order mark at the start of a file would make a name that nobody has.
        raise wire.Malformed("its first word is not a list of principals, name@example.org")
    return principals, rest.strip(" ")


def _options(word: str) -> Iterator[tuple[str, str]]:
    """Yield name and value of each option, `cert-authority` with an empty one."""
    seen = set()
    at = 0
    while at < len(word):
        found = _OPTION.match(word, at)
        if found is None:
            raise wire.Malformed(f'its options {word} are not written as name="value",...')
        at = found.end()
        name = found["name"].lower()
        if name not in _OPTIONS:
            raise wire.Malformed(f"its option {found['name']} is none of {', '.join(_OPTIONS)}")
        if name in seen:
            raise wire.Malformed(f"it has the option {name} twice")
        if (found["value"] is None) != (name == "cert-authority"):
            form = name if name == "cert-authority" else f'{name}="..."'
            raise wire.Malformed(f"its option {name} is written {form}")
        seen.add(name)
        yield name, (found["value"] or "").replace('\\"', '"')


def _time(name: str, options: dict[str, str]) -> datetime | None:
    text = options.get(name)
    if text is None:
        return None
    if not _TIME.fullmatch(text):
        # Without the Z it would be another moment on each machine that verifies.
        raise wire.Malformed(f"{name} is written YYYYMMDDZ, YYYYMMDDHHMMZ or YYYYMMDDHHMMSSZ (UTC)")
    try:
        return datetime.strptime(text, _TIME_FORMS[len(text)]).replace(tzinfo=UTC)
    except ValueError as error:
        raise wire.Malformed(f"{name}: there is no time {text}") from error
