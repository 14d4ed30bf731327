"""Text for people: cleaned, folded, counted, with the word that was perhaps meant.

PYTEST_DONT_REWRITE
"""

import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches

from pytest_readiness.clock import begins

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def clean(text: str) -> str:
    """Make control, format and direction characters visible; keep line ends and tabs.

    A terminal obeys ESC and a browser obeys U+202E: neither may come out of a finding.
    """
    if text.isprintable():
        return text
    return "".join(
        sign if sign in "\n\t" or unicodedata.category(sign) not in _HIDDEN else _escaped(sign)
        for sign in text
    )


def flat(text: str) -> str:
    """Return the text cleaned and on one line."""
    return clean(" ".join(text.split()))


def cells(text: str) -> int:
    """Return the columns that a terminal takes for the text."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "WF")
        for sign in text
    )


def wrap(text: str, width: int, indent: int = 0, hanging: int | None = None) -> list[str]:
    """Return the text in lines of at most width columns, the first indented, the others hanging."""
    margins = " " * indent, " " * (indent if hanging is None else hanging)
    found: list[str] = []
    line = ""
    for word in flat(text).split(" "):
        margin = margins[bool(found)]
        if line and cells(margin) + cells(line) + 1 + cells(word) > width:
            found.append(margin + line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*found, margins[bool(found)] + line]


def suggestion(word: str, known: Sequence[str]) -> str:
    """Return `; did you mean X?` for the nearest known word, or nothing."""
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"; did you mean {by_lower[near[0]]}?" if near else ""


def plural(number: int, noun: str) -> str:
    """Return `1 item`, `2 items`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def moment(text: str) -> str:
    """Return an RFC 3339 time as people read it; what is none stays as it is."""
    try:
        return begins(text).strftime("%Y-%m-%d %H:%M:%S UTC")
    except ValueError:
        return text


def took(seconds: float) -> str:
    """Return a duration in the unit that suits it."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def _escaped(sign: str) -> str:
    code = ord(sign)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
