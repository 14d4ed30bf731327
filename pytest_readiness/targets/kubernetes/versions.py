"""Kubernetes versions as vendors write them, and until when the project supports each minor.

Dates: kubernetes.io/releases, data/releases/eol.yaml and schedule.yaml of kubernetes/website,
read 2026-11. A vendor may support a minor for longer; that is a reason for a waiver, with a date.

PYTEST_DONT_REWRITE
"""

import re
from datetime import date

Minor = tuple[int, int]

_GIT_VERSION = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?![\d])", re.ASCII)
_NUMBER = re.compile(r"(\d{1,4})\+?\Z", re.ASCII)

END_OF_LIFE: dict[Minor, date] = {
    (1, 24): date(2023, 7, 28),
    (1, 25): date(2023, 10, 28),
    (1, 26): date(2024, 2, 28),
    (1, 27): date(2024, 7, 16),
    (1, 28): date(2024, 10, 22),
    (1, 29): date(2025, 2, 28),
    (1, 30): date(2025, 7, 15),
    (1, 31): date(2025, 11, 11),
    (1, 32): date(2026, 2, 28),
    (1, 33): date(2026, 6, 28),
    (1, 34): date(2026, 10, 27),
    (1, 35): date(2027, 2, 28),
    (1, 36): date(2027, 6, 28),
    (1, 37): date(2027, 10, 28),
}


def minor_of(git_version: str, major: str, minor: str) -> Minor | None:
    """Return (major, minor) of a /version answer, or None when it names none.

    Suffixes are ignored, since by semver `v1.29.3-eks-adc7111` would be older than 1.29.3.
    Only where gitVersion is no version do `major` and `minor` count (`"1"`, `"29+"`).
    """
    found = _GIT_VERSION.match(git_version)
    if found:
        return int(found[1]), int(found[2])
    numbers = _NUMBER.match(major), _NUMBER.match(minor)
    if numbers[0] and numbers[1]:
        return int(numbers[0][1]), int(numbers[1][1])
    return None


def oldest_supported(day: date) -> Minor:
    """Return the oldest minor with support on that day.

    Past the last date of the table nothing newer is known: then the answer is the first minor
    the table does not have, since every minor of it has ended.
    """
    alive = [minor for minor, ends in END_OF_LIFE.items() if day <= ends]
    newest = max(END_OF_LIFE)
    return min(alive) if alive else (newest[0], newest[1] + 1)
