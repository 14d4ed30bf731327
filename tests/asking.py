"""A client as a run has it: of a target of settings."""

from typing import Any

from pytest_readiness.settings import Settings
from pytest_readiness.targets import targets
from pytest_readiness.transport.caller import Caller


def connect(settings: Settings, target: str, run_id: str = "run-1") -> Any:
    """Return the client of the target that the settings name. Raises ProbeError."""
    caller = Caller(run_id, settings.readiness.timeout)
    return targets()[target].probe().connect(settings.targets[target], caller)
