"""Who was asked: what the systems say of themselves, and whether they are the lab's.

PYTEST_DONT_REWRITE
"""

import json

from pytest_readiness.record.store import FactStore
from pytest_readiness.targets import targets

FAULTS_UNKNOWN = "not known: this run did not start it"


def identity(store: FactStore) -> dict[str, str]:
    """Return what the asked systems say of themselves, as recorded: target -> words."""
    return {
        name: " ".join(f"{key}={value}" for key, value in said.items() if isinstance(value, str))
        for name, target in targets().items()
        if (said := store.said(target.gate))
    }


def same(store: FactStore) -> dict[str, dict[str, str]]:
    """Return what all runs of one environment agree in: target -> field -> its recorded value.

    Text as it is, anything else as JSON; what a system has not said is not there.
    """
    found: dict[str, dict[str, str]] = {}
    for name, target in targets().items():
        said = store.said(target.gate)
        for key in target.section.SAME:
            if said.get(key) is not None:
                value = said[key]
                text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
                found.setdefault(name, {})[key] = text
    return found


def lab(planned: tuple[str, ...] | None, store: FactStore) -> tuple[str, ...] | None:
    """Return the faults of the lab that was asked, None where no lab was.

    planned: of the lab that the run started. A lab that somebody else started is known by what
    its systems say of themselves.
    """
    if planned is not None:
        return planned
    for target in targets().values():
        said = store.said(target.gate)
        if said and target.section.is_lab(said):
            return (FAULTS_UNKNOWN,)
    return None
