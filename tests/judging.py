"""One check judged on what the probes answer, as a run does it."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from pytest_readiness.checklist.infrastructure import test_clickhouse as clickhouse
from pytest_readiness.errors import NothingExamined, ProbeError
from pytest_readiness.results.evidence import Evidence, Outcome

# The check of each item of the ClickHouse section, and the questions it is judged on.
CLICKHOUSE: dict[str, tuple[Callable[..., None], tuple[str, ...]]] = {
    "ch-replicas": (clickhouse.test_every_shard_has_enough_replicas_that_answer, ("replicas",)),
    "ch-replication": (
        clickhouse.test_every_table_is_replicated_and_its_replicas_agree,
        ("tables", "replication"),
    ),
    "ch-backup": (clickhouse.test_the_newest_backup_is_good_and_young, ("backups", "backup_api")),
    "ch-disk": (clickhouse.test_every_disk_of_every_replica_has_room, ("disks",)),
}


class Judged(NamedTuple):
    """What became of a check. error: why it could not be judged."""

    outcome: Outcome
    evidence: Evidence
    error: ProbeError | NothingExamined | None = None


def judge(
    check: Callable[..., None],
    questions: Sequence[Callable[[Any], object]],
    client: Any,
    *limits: object,
) -> Judged:
    """Put the questions, send each fact through the record of a run, and judge."""
    evidence = Evidence()
    try:
        facts = [recorded(ask(client)) for ask in questions]
    except ProbeError as error:
        return Judged(Outcome.ERROR, evidence, error)
    try:
        check(*facts, *limits, evidence)
    except NothingExamined as error:
        return Judged(Outcome.ERROR, evidence, error)
    except AssertionError:
        return Judged(Outcome.FAIL, evidence)
    assert evidence.missing() == []
    return Judged(Outcome.PASS, evidence)


def recorded(fact: Any) -> Any:
    """Send a fact through JSON, as the store of a run does."""
    again = msgspec.json.decode(msgspec.json.encode(fact), type=type(fact))
    assert again == fact
    return again
