"""What a line of the checklist says of itself: how much a fail weighs, how far its check goes.

PYTEST_DONT_REWRITE
"""

import re
from enum import StrEnum

_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)+\Z")


class Severity(StrEnum):
    """Weight of a fail. A minor is shown and does not close the gate."""

    BLOCKER = "blocker"
    MAJOR = "major"
    MINOR = "minor"


class Safety(StrEnum):
    """How much a check touches the system it asks (items.md, Class)."""

    S0 = "S0"  # offline
    S1 = "S1"  # reads a control plane
    S2 = "S2"  # a few allow-listed GETs to the application
    S3 = "S3"  # active but harmless payloads with canary accounts
    S4 = "S4"  # changes state, loads, pages or restores


def is_slug(id: str) -> bool:
    """Tell whether a text may be the id of an item: small words and digits with hyphens."""
    return _SLUG.match(id) is not None
