"""A client as a run has it: of a target of settings."""

import atexit
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

from pytest_readiness.settings import Settings
from pytest_readiness.targets import targets
from pytest_readiness.transport.caller import Caller

_FOLDERS = TemporaryDirectory(prefix="readiness-asking-")
atexit.register(_FOLDERS.cleanup)


def caller(
    run_id: str = "run-1",
    timeout: timedelta = timedelta(seconds=10),
    origins: frozenset[str] = frozenset(),
) -> Caller:
    """Return the caller of a run that has just begun."""
    return Caller(run_id, timeout, origins, Path(mkdtemp(dir=_FOLDERS.name)))


def connect(settings: Settings, target: str, run_id: str = "run-1") -> Any:
    """Return the client of the target that the settings name. Raises ProbeError."""
    asks = caller(run_id, settings.readiness.timeout, settings.origins())
    return targets()[target].probe().connect(settings.targets[target], asks)
