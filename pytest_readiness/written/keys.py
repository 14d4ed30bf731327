"""What a key of readiness.ini may hold: how each kind of value is read, and how it is written.

PYTEST_DONT_REWRITE
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import urlsplit

from pytest_readiness.catalogue.words import Safety
from pytest_readiness.errors import ReadinessError
from pytest_readiness.text import suggestion


class Phase(StrEnum):
    """Part of the checklist a run judges; `all` is every one of them."""

    VERIFICATION = "verification"
    TESTING = "testing"
    DEPLOYMENT = "deployment"
    ROLLBACK = "rollback"
    REVIEW = "review"
    ALL = "all"


class BadValue(ReadinessError):
    """A value that is not of its kind; the message says of which kind it should be."""


class Where(NamedTuple):
    """base: folder that paths are relative to. resolve: read secrets, look for files."""

    base: Path
    resolve: bool


class Secret:
    """A secret: its reference, and its value once it has been read. It prints as «secret»."""

    __slots__ = ("_value", "reference")

    def __init__(self, reference: str, value: str | None) -> None:
        self.reference = reference
        self._value = value

    def __eq__(self, other: object) -> bool:
        """Return whether the other one is the same reference."""
        return isinstance(other, Secret) and self.reference == other.reference

    def __hash__(self) -> int:
        return hash(self.reference)

    @property
    def resolved(self) -> bool:
        """Whether the reference has been followed."""
        return self._value is not None

    def reveal(self) -> str:
        """Return the value. Raises ReadinessError where the settings were read without secrets."""
        if self._value is None:
            raise ReadinessError(f"{self.reference} was not read: these settings are a recording")
        return self._value

    def __repr__(self) -> str:
        """Never the value: a traceback with locals prints this."""
        return "«secret»"


def _nowhere(_: object) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value.

    says: what it is, for people. type: of the value read. parse: text, Where -> value, raises
    BadValue. show: value -> text that parses to the same value. origins: value -> the places on
    the network that it lets a run ask, `https://host:port`.
    """

    name: str
    says: str
    type: object
    parse: Callable[[str, Where], Any]
    show: Callable[[Any], str] = str
    many_lines: bool = False
    may_be_empty: bool = False
    origins: Callable[[Any], tuple[str, ...]] = _nowhere


class Use(StrEnum):
    """What a key does; by this the settings of two runs are held against each other."""

    RUN = "run"  # says what is released, or how far and how long a run goes
    PLACE = "place"  # where to ask, and as whom
    FLOOR = "floor"  # a limit: less is looser
    CEILING = "ceiling"  # a limit: more is looser
    EXEMPTION = "exemption"  # a limit: what it names is not judged
    LOCK = "lock"  # a limit: without it any system will do

    @property
    def is_limit(self) -> bool:
        """Whether it says how to judge; its default is a limit too."""
        return self not in (Use.RUN, Use.PLACE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Declaration of one key, the annotation of a field of a section's Struct.

    The field's name is the key, its default the default: a key without one is required.
    example: text for `readiness init`; only for keys whose default is None, or which have none.
    minimum: smallest value allowed.
    """

    kind: Kind
    use: Use
    help: str
    example: str = ""
    minimum: Any = None

    def parse(self, text: str, where: Where) -> Any:
        """Return the value of the text. Raises BadValue."""
        if not text and not self.kind.may_be_empty:
            raise BadValue(f"is empty; give {self.kind.says}, or remove the line")
        if "${" in text and self.kind is not SECRET:
            raise BadValue("references ${...} are for secrets only; write the value")
        value = self.kind.parse(text, where)
        if self.minimum is not None and value < self.minimum:
            raise BadValue(f"{text!r} is less than {self.kind.show(self.minimum)}")
        return value

    def is_looser(self, value: Any, than: Any) -> bool:
        """Return whether a limit lets more through than another one; both as they are parsed."""
        match self.use:
            case Use.FLOOR:
                return bool(value < than)
            case Use.CEILING:
                return bool(value > than)
            case Use.EXEMPTION:
                return not set(value) <= set(than)
            case Use.LOCK:
                return value is None and than is not None
            case _:
                return False


_REFERENCE = re.compile(r"\$\{(env|file):([^{}]+)\}\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_COUNT = re.compile(r"[0-9]{1,15}\Z")
_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?\Z")
_QUANTITY = re.compile(r"(?P<number>[0-9]{1,15}(?:\.[0-9]{1,9})?)\s*(?P<unit>[A-Za-z%]*)\Z")
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\Z")
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\Z")  # RFC 1123, as Kubernetes has it

_DURATIONS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_DECIMAL = {letter: 1000**n for n, letter in enumerate("kMGTPE", 1)}
_BINARY = {letter: 1024**n for n, letter in enumerate("KMGTPE", 1)}
_SIZES = {
    "B": 1,
    **{f"{letter}B": factor for letter, factor in _DECIMAL.items()},
    "KB": 1000,
    **_DECIMAL,
    **{f"{letter}i": factor for letter, factor in _BINARY.items()},
    **{f"{letter}iB": factor for letter, factor in _BINARY.items()},
}


def _as_it_is(text: str, _: Where) -> str:
    return text


def _label(text: str, _: Where) -> str:
    if not _LABEL.match(text):
        raise BadValue(f"{text!r} is no Kubernetes name: small letters, digits and -, at most 63")
    return text


def _count(text: str, _: Where) -> int:
    if not _COUNT.match(text):
        raise BadValue(f"{text!r} is not a whole number")
    return int(text)


def _cores(text: str, _: Where) -> Decimal:
    if not _NUMBER.match(text):
        raise BadValue(f"{text!r} is not a number of cores, like 4 or 0.5")
    return Decimal(text)


def _version(text: str, _: Where) -> tuple[int, int]:
    version = _VERSION.match(text)
    if not version:
        raise BadValue(f"{text!r} is not MAJOR.MINOR, like 1.24")
    return int(version[1]), int(version[2])


def _flag(text: str, _: Where) -> bool:
    if text not in ("true", "false"):
        raise BadValue(f"{text!r} is neither true nor false")
    return text == "true"


def _quantity(text: str, noun: str, units: Sequence[str], like: str) -> tuple[Decimal, str]:
    found = _QUANTITY.match(text)
    if not found:
        raise BadValue(f"{text!r} is not a {noun}, like {like}")
    if not found["unit"]:
        raise BadValue(f"{text!r} has no unit: a {noun} is written like {like}")
    if found["unit"] not in units:
        near = suggestion(found["unit"], units)
        raise BadValue(f"{text!r} has no unit of a {noun} ({', '.join(units)}){near}")
    return Decimal(found["number"]), found["unit"]


def _duration(text: str, _: Where) -> timedelta:
    number, unit = _quantity(text, "duration", tuple(_DURATIONS), "30s, 5m, 24h or 90d")
    if number != int(number):
        raise BadValue(f"{text!r} is not whole: use the next smaller unit")
    try:
        return int(number) * _DURATIONS[unit]
    except OverflowError:
        raise BadValue(f"{text!r} is longer than any clock can tell") from None


def _show_duration(value: timedelta) -> str:
    # As people say it: 90d, 24h and 60s, not 1d and 1m.
    for unit in ("d", "h", "m", "s"):
        if value >= 2 * _DURATIONS[unit] and not value % _DURATIONS[unit]:
            return f"{value // _DURATIONS[unit]}{unit}"
    return f"{value // _DURATIONS['ms']}ms"


def _size(text: str, _: Where) -> int:
    number, unit = _quantity(text, "size", tuple(_SIZES), "100GB or 8Gi")
    size = number * _SIZES[unit]
    if size != int(size):
        raise BadValue(f"{text!r} is not a whole number of bytes")
    return int(size)


def _show_size(value: int) -> str:
    for unit in ("TB", "GB", "MB", "kB"):
        if value and not value % _SIZES[unit]:
            return f"{value // _SIZES[unit]}{unit}"
    return f"{value}B"


def _share(text: str, _: Where) -> float:
    number, _unit = _quantity(text, "share", ("%",), "10%")
    if number > 100:
        raise BadValue(f"{text!r} is more than 100%")
    return float(number / 100)


def _names(text: str, _: Where) -> tuple[str, ...]:
    names = [name.strip() for name in re.split(r"[,\n]", text)]
    return tuple(name for name in names if name)


def _choice(words: type[StrEnum]) -> Callable[[str, Where], StrEnum]:
    known = [word.value for word in words]

    def parse(text: str, _: Where) -> StrEnum:
        if text not in known:
            near = suggestion(text, known)
            raise BadValue(f"{text!r} is not one of {', '.join(known)}{near}")
        return words(text)

    return parse


def absolute(text: str, where: Where) -> Path:
    """Return the path, `~` expanded, relative to the folder of the ini. Raises BadValue."""
    try:
        return where.base / Path(text).expanduser()
    except RuntimeError as error:
        raise BadValue(f"{text!r}: {error}") from None


def _file(text: str, where: Where) -> Path:
    path = absolute(text, where)
    if where.resolve and not path.is_file():
        raise BadValue(f"{text!r} is {'a folder' if path.is_dir() else 'no file'} ({path})")
    return path


def _secret(text: str, where: Where) -> Secret:
    reference = _REFERENCE.match(text)
    if not reference:
        # The text is not repeated: it may be the secret.
        raise BadValue("is a literal; write ${env:NAME} or ${file:PATH}")
    if not where.resolve:
        return Secret(text, None)
    source, name = reference[1], reference[2].strip()
    value = _variable(name) if source == "env" else _content(name, where)
    if not value:
        raise BadValue(f"{text} is empty")
    return Secret(text, value)


def _variable(name: str) -> str:
    if not _VARIABLE.match(name):
        raise BadValue(f"{name!r} is no name of an environment variable")
    if name not in os.environ:
        raise BadValue(f"environment variable {name} is not set")
    return os.environ[name]


def _content(name: str, where: Where) -> str:
    path = absolute(name, where)
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise BadValue(f"{path} is not UTF-8") from None
    except OSError as error:
        raise BadValue(f"cannot read {path}: {error.strerror}") from None


def url_of(text: str, schemes: Sequence[str], like: str) -> str:
    """Return a URL that is checked. Raises BadValue.

    Messages repeat no part of it behind the scheme, for it may hold a password.
    """
    scheme, colon, _ = text.partition("://")
    if not colon or scheme not in schemes:
        near = suggestion(scheme, schemes) if colon else f"; write it like {like}"
        raise BadValue(f"begins with none of {', '.join(f'{s}://' for s in schemes)}{near}")
    try:
        url = urlsplit(text)
        _ = url.port  # raises when it is no number
    except ValueError:
        raise BadValue(f"has no host:port that can be read; write it like {like}") from None
    if url.password is not None:
        raise BadValue("holds a password; take it out and give it as a reference in its own key")
    if not url.hostname:
        raise BadValue(f"names no host; write it like {like}")
    if url.query or url.fragment or any(sign.isspace() for sign in text):
        raise BadValue(f"has a ?query, a #fragment or a space; write it like {like}")
    return text


def origin(url: str) -> str:
    """Return `https://host:port` of a URL: neither its user nor its path, a port if it has one."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _http_url(text: str, _: Where) -> str:
    return url_of(text, ("http", "https"), "https://host:7171").rstrip("/")


def _lines(names: tuple[str, ...]) -> str:
    return ", ".join(names)


def _never(_: object) -> NoReturn:
    raise ReadinessError("a secret is not written")


INSTANT = timedelta(milliseconds=1)
TEXT = Kind("text", "text", str, _as_it_is)
LABEL = Kind("name", "a Kubernetes name", str, _label)
COUNT = Kind("count", "a whole number", int, _count)
CORES = Kind("cores", "a number of cores", Decimal, _cores)
VERSION = Kind(
    "version", "MAJOR.MINOR", tuple[int, int], _version, lambda pair: f"{pair[0]}.{pair[1]}"
)
FLAG = Kind("flag", "true or false", bool, _flag, lambda flag: "true" if flag else "false")
DURATION = Kind(
    "duration", "a duration like 500ms, 30s, 5m, 24h, 90d, 2w", timedelta, _duration, _show_duration
)
SIZE = Kind("size", "a size like 100GB, 512MiB, 8Gi", int, _size, _show_size)
SHARE = Kind("share", "a share like 10%", float, _share, lambda share: f"{share * 100:.9g}%")
NAMES = Kind(
    "list",
    "names, by comma or one a line",
    tuple[str, ...],
    _names,
    _lines,
    many_lines=True,
    may_be_empty=True,
)
FILE = Kind("file", "a file, relative to the ini's folder", Path, _file)
SECRET = Kind("secret", "${env:NAME} or ${file:PATH}", Secret, _secret, _never)
HTTP_URL = Kind(
    "url", "http:// or https:// URL", str, _http_url, origins=lambda url: (origin(url),)
)
PROXY_URL = Kind("proxy", "http:// or https:// URL of a proxy", str, _http_url)
PHASE = Kind("phase", " | ".join(Phase), Phase, _choice(Phase))
SAFETY = Kind("safety", " | ".join(Safety), Safety, _choice(Safety))
