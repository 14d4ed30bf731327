"""What the tests of the ClickHouse checks share: limits, disks, and what a check finds in facts."""

from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from pytest_readiness.results.evidence import Evidence
from pytest_readiness.targets.clickhouse.facts import Disk
from pytest_readiness.targets.clickhouse.section import ClickHouse

LIMITS = ClickHouse(url="clickhouse+https://reader@ch.example.org/risk", cluster="risk")
NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
HOSTS = ("ch-0", "ch-1", "ch-2")


def findings(check: Any, *facts: object, limits: ClickHouse = LIMITS) -> dict[str, str]:
    """Run a check; return its findings by subject, empty where it passes."""
    evidence = Evidence()
    try:
        check(*facts, limits, evidence)
    except AssertionError:
        assert evidence.findings
    else:
        assert not evidence.findings
        assert evidence.missing() == []
    return {finding.subject: finding.problem for finding in evidence.findings}


def disk(host: str, name: str, free: int, total: int, **values: Any) -> Disk:
    return replace(
        Disk(
            host=host,
            name=name,
            path="/",
            type="Local",
            free=free * 10**9,
            total=total * 10**9,
            unreserved=free * 10**9,
            remote=False,
            broken=False,
            read_only=False,
        ),
        **values,
    )
