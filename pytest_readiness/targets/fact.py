"""What all facts of a module have in common.

PYTEST_DONT_REWRITE
"""

import msgspec


class Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Base of facts: frozen, and unreadable to a version that has other fields."""
