"""pytest-readiness: a production readiness checklist as pytest.

PYTEST_DONT_REWRITE
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_readiness.checks import check as check
    from pytest_readiness.checks import not_applicable as not_applicable
    from pytest_readiness.results import Evidence as Evidence
    from pytest_readiness.results import Safety as Safety
    from pytest_readiness.results import Severity as Severity

__all__ = ["Evidence", "Safety", "Severity", "check", "not_applicable"]
_HOME = {"check": "checks", "not_applicable": "checks"}


def __getattr__(name: str) -> object:
    # Imported on first use: a project that only has the plugin installed pays nothing for it.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOME.get(name, 'results')}"), name)
    globals()[name] = value
    return value
