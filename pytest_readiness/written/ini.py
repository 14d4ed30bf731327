"""Read the lines of an ini file: sections, keys, values, each with its line number.

An own reader, because none of the libraries keeps what this file is read for: `configparser` knows
no line of a value, `iniconfig` stops at the first error and cuts `a#b` at the `#`, `configupdater`
is built on the first and stops at the first duplicate. All errors of a file are wanted at once.

The format: `[section]`, `key = value`; an indented line continues the value above it; a line that
begins with `;` or `#` is a comment, and so is the rest of a line after ` ;` or ` #`.

PYTEST_DONT_REWRITE
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

_BREAK = re.compile(r"\r\n|\n|\r")  # not str.splitlines, which also breaks at U+2028 and others
_HEADER = re.compile(r"\[(?P<name>[^\[\]]+)\]\s*(?:[;#].*)?\Z")
_COMMENT = re.compile(r"(?:\A|\s)[;#].*\Z")
_KEY = re.compile(r"[A-Za-z0-9_.-]{1,80}\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Problem(NamedTuple):
    """Line 0: the file as a whole."""

    line: int
    message: str


@dataclass(slots=True)
class Entry:
    """A value: its lines with their numbers, comments taken off."""

    lines: list[tuple[int, str]]

    @property
    def line(self) -> int:
        """Line of the key."""
        return self.lines[0][0]

    @property
    def text(self) -> str:
        """The value, a newline between the lines that are not empty."""
        return "\n".join(text for _, text in self.lines if text)


@dataclass(slots=True)
class Section:
    """Line of the header, and the entries in the order of the file."""

    line: int
    entries: dict[str, Entry] = field(default_factory=dict)


def decode(data: bytes) -> tuple[str, list[Problem]]:
    """Return the text of a UTF-8 file, with or without BOM, and what is wrong with its bytes."""
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = len(_BREAK.findall(data[: error.start].decode("latin-1"))) + 1
        byte = data[error.start]
        return "", [Problem(line, f"byte 0x{byte:02x} is not UTF-8: save the file as UTF-8")]


def read(text: str) -> tuple[dict[str, Section], list[Problem]]:
    """Return the sections by name, and a problem for each line that is none of the format."""
    reader = _Reader()
    for number, line in enumerate(_BREAK.split(text), 1):
        reader.line(number, line)
    return reader.sections, reader.problems


class _Reader:
    def __init__(self) -> None:
        self.sections: dict[str, Section] = {}
        self.problems: list[Problem] = []
        self._section: Section | None = None
        self._value: list[tuple[int, str]] | None = None  # what an indented line would continue

    def line(self, number: int, line: str) -> None:
        """Take one line of the file."""
        body = line.strip()
        if not body or body[0] in ";#":
            return
        if _CONTROL.search(line):
            self._bad(number, "the line holds a control character")
        elif line[0].isspace():
            self._continue(number, body)
        elif body[0] == "[":
            self._header(number, body)
        else:
            self._entry(number, body)

    def _bad(self, number: int, message: str) -> None:
        self.problems.append(Problem(number, message))
        self._value = []  # swallows the indented lines below: one mistake, one message

    def _continue(self, number: int, body: str) -> None:
        if self._value is None:
            self._bad(number, "an indented line continues a value, and there is none above it")
        else:
            self._value.append((number, _COMMENT.sub("", body).strip()))

    def _header(self, number: int, body: str) -> None:
        header = _HEADER.match(body)
        if header is None:
            self._section = Section(number)
            self._bad(number, "not a section header: [NAME]")
            return
        name = header["name"].strip()
        self._value = None
        first = self.sections.get(name)
        if first is not None:
            message = f"section [{name}] is already on line {first.line}"
            self.problems.append(Problem(number, message))
        self._section = self.sections.setdefault(name, Section(number))

    def _entry(self, number: int, body: str) -> None:
        key, equals, value = body.partition("=")
        key = key.strip()
        if not equals or not _KEY.match(key):
            # The line is not repeated: it may be a URL with its password, torn off its key.
            self._bad(number, "neither KEY = VALUE nor [SECTION]")
        elif self._section is None:
            self._bad(number, f"{key} stands before the first [SECTION]")
        elif key in self._section.entries:
            first = self._section.entries[key].line
            self._bad(number, f"{key} is already on line {first}")
        else:
            self._value = [(number, _COMMENT.sub("", value).strip())]
            self._section.entries[key] = Entry(self._value)
