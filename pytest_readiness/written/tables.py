"""Read a TOML file of [[name]] tables that people write: every problem at once, with its line.

PYTEST_DONT_REWRITE
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from pytest_readiness.clock import ends
from pytest_readiness.errors import SettingsError
from pytest_readiness.text import suggestion
from pytest_readiness.written.ini import decode

T = TypeVar("T", bound=msgspec.Struct)

_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)\Z")
_LIKE = "write it like 2026-11-24, or 2026-11-24T12:00:00Z with its zone"


class Table(NamedTuple, Generic[T]):
    """line: of the header. row: the keys."""

    line: int
    row: T


def read(path: Path, name: str, row: type[T], dates: Sequence[str]) -> tuple[Table[T], ...]:
    """Return the [[name]] tables of the file. Raises SettingsError, as `parse`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError([f"{path.name}: cannot be read: {error.strerror}"]) from None
    return parse(data, path.name, name, row, dates)


def parse(
    data: bytes, file: str, name: str, row: type[T], dates: Sequence[str]
) -> tuple[Table[T], ...]:
    """Return the [[name]] tables of the bytes of a file.

    row: all its fields are text. dates: those which hold one; their text stays as written. Raises
    SettingsError: no TOML, unknown or missing keys, other types, dates without zone.
    """
    text, bad = decode(data)
    if bad:
        raise SettingsError([f"{file}:{line}: {message}" for line, message in bad])
    text = text.replace("\r\n", "\n")  # as TOML has it
    content = _content(text, file)
    lines = text.split("\n")
    problems = list(_others(content, lines, file, name))
    tables = content.get(name, [])
    headers = _headers(lines, name)
    if not isinstance(tables, list) or len(headers) != len(tables):
        problems.append(f"{file}: write each {name} under a line [[{name}]] of its own")
        raise SettingsError(problems)
    found = []
    bounds = [*headers, len(lines) + 1][1:]
    for line, end, table in zip(headers, bounds, tables, strict=True):
        wrong, keys = _row(table, row, dates, lines[line : end - 1])
        problems += [f"{file}:{line}: {message}" for message in wrong]
        if not wrong:
            found.append(Table(line, msgspec.convert(keys, row)))
    if problems:
        raise SettingsError(problems)
    return tuple(found)


def _content(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise SettingsError([f"{file}: is nested too deep"]) from None
    except ValueError as error:  # TOMLDecodeError, and numbers that are too long
        message = str(error)
        place = _PLACE.search(message)
        line = place[1] if place and place[1] else str(text.rstrip("\n").count("\n") + 1)
        says = _PLACE.sub("", message)
        raise SettingsError([f"{file}:{line}: not TOML: {says}"]) from None


def _others(content: dict[str, Any], lines: Sequence[str], file: str, name: str) -> Iterator[str]:
    for key in content:
        if key != name:
            written = re.compile(rf"\s*\[{{0,2}}\s*[\"']?{re.escape(key)}\b")
            line = next((n for n, text in enumerate(lines, 1) if written.match(text)), 0)
            at = f"{file}:{line}" if line else file
            yield f"{at}: unknown {key!r}: this file has [[{name}]] and nothing else" + suggestion(
                key, [name]
            )


def _headers(lines: Sequence[str], name: str) -> list[int]:
    """Return the line of each [[name]], counted from 1."""
    header = re.compile(rf"[ \t]*\[\[[ \t]*([\"']?){re.escape(name)}\1[ \t]*\]\][ \t]*(?:#.*)?\Z")
    found = [n for n, line in enumerate(lines, 1) if header.match(line)]
    # A text of several lines may hold one, too: what stands before it is no whole TOML then.
    if any('"""' in line or "'''" in line for line in lines):
        return [n for n in found if _whole("\n".join(lines[: n - 1]))]
    return found


def _whole(text: str) -> bool:
    try:
        tomllib.loads(text)
    except ValueError:
        return False
    return True


def _row(
    table: object, row: type[msgspec.Struct], dates: Sequence[str], body: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
    """Return what is wrong with a table, and its keys. body: its lines."""
    if not isinstance(table, dict):
        return ["is no table"], {}
    fields = {field.name: field for field in msgspec.structs.fields(row)}
    problems, keys = [], {}
    for key, value in table.items():
        if key not in fields:
            problems.append(f"unknown key {key!r}{suggestion(key, list(fields))}")
        elif key in dates:
            text = value if isinstance(value, str) else _written(key, value, body)
            if wrong := _no_date(text):
                problems.append(f"{key} {wrong}; {_LIKE}")
            else:
                keys[key] = str(text)
        elif isinstance(value, str):
            keys[key] = value
        else:
            problems.append(f'{key} is no text: write {key} = "..."')
    missing = [key for key, field in fields.items() if field.required and key not in table]
    problems += [f"{key} is missing" for key in missing]
    return problems, keys


def _written(key: str, value: object, body: Sequence[str]) -> str | None:
    """Return the text of a TOML date, None where it is none or cannot be told from the lines."""
    if not isinstance(value, (date, datetime)):
        return f"{value}" if isinstance(value, time) else None
    entry = re.compile(
        rf"[ \t]*([\"']?){re.escape(key)}\1[ \t]*=[ \t]*(?P<text>[^#]+?)[ \t]*(#.*)?\Z"
    )
    texts = {found["text"] for line in body if (found := entry.match(line))}
    same = {text for text in texts if _is(text, value)}
    return same.pop() if len(same) == 1 else None


def _is(text: str, value: object) -> bool:
    try:
        return bool(tomllib.loads(f"x = {text}")["x"] == value)
    except (ValueError, TypeError, RecursionError):  # it may be of a text of several lines
        return False


def _no_date(text: str | None) -> str | None:
    if text is None:
        return "is no date"
    try:
        ends(text)
    except (ValueError, OverflowError) as error:
        if "no time zone" in str(error):
            return f"{text} has no time zone"
        return f"{text!r} is no date that can be read"
    return None
