"""A ClickHouse cluster on loopback: the embedded engine behind its HTTP interface.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pytest_readiness.errors import ReadinessError

WORLD = Path(__file__).parents[1] / "worlds" / "reference" / "clickhouse"


@contextmanager
def serve(changes: Sequence[dict[str, Any]], folder: Path) -> Iterator[Mapping[str, str]]:
    """Serve the changed world; yield the keys of [clickhouse] that find it.

    changes: see world.py. Raises WorldError, and ReadinessError without the engine.
    """
    if find_spec("chdb") is None:
        raise ReadinessError("the lab needs its extra: pip install 'pytest-readiness[lab]'")
    from pytest_readiness.lab.clickhouse.cluster import ClickHouseLab

    with ClickHouseLab(WORLD, changes) as lab:
        yield {"url": lab.url, "cluster": lab.cluster, "backup_api": lab.backup_api}
