"""The checks of a project by their titles, as pytest collects them.

PYTEST_DONT_REWRITE
"""

from collections.abc import Sequence

import pytest

from pytest_readiness.checklist.check import DECLARED
from pytest_readiness.run.collect import own_checks, uncollected


class Titles:
    """A plugin of one collection. found: id -> title, of those that pytest does not run as well."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: Sequence[pytest.Item]) -> None:
        """Take the titles before any option leaves a check out."""
        own = own_checks(items)
        for place in uncollected(own):
            self.found[place.meta.id] = place.meta.title
        known = {place.meta.id: place.meta.title for place in DECLARED}
        self.found.update({id: known[id] for id in own})
