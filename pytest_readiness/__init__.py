"""pytest-readiness: a production readiness checklist as pytest.

PYTEST_DONT_REWRITE
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_readiness.catalogue.words import Safety as Safety
    from pytest_readiness.catalogue.words import Severity as Severity
    from pytest_readiness.checklist.check import check as check
    from pytest_readiness.checklist.check import not_applicable as not_applicable
    from pytest_readiness.results.evidence import Evidence as Evidence

_HOME = {
    "Evidence": "results.evidence",
    "Safety": "catalogue.words",
    "Severity": "catalogue.words",
    "check": "checklist.check",
    "not_applicable": "checklist.check",
}
__all__ = ["Evidence", "Safety", "Severity", "check", "not_applicable"]


def __getattr__(name: str) -> object:
    # Imported on first use: a project that only has the plugin installed pays nothing for it.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
