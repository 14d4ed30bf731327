"""Who asks: what every probe knows of the run.

PYTEST_DONT_REWRITE
"""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Caller:
    """The run that asks. timeout: of one question."""

    run_id: str
    timeout: timedelta
