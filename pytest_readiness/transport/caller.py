"""Who asks: what every probe knows of the run.

PYTEST_DONT_REWRITE
"""

from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Caller:
    """The run that asks.

    timeout: of one question. origins: `https://host:port` of every address that readiness.ini
    names; the HTTP client asks no other. folder: of the run's facts, where its processes meet.
    """

    run_id: str
    timeout: timedelta
    origins: frozenset[str]
    folder: Path

    @property
    def headers(self) -> dict[str, str]:
        """Return what marks every request of the run in the logs of the systems it asks."""
        return {
            "User-Agent": f"pytest-readiness/{version('pytest-readiness')}",
            "X-Readiness-Run": self.run_id,
        }
