"""ClickHouse's own engine in a process of its own, asked by our probes and judged by our checks.

`python -m tests.servers.clickhouse_child FOLDER` opens FOLDER/data with FOLDER/config.xml and
reads a JSON object a line: `{"sql": TEXT}` runs a statement and answers its rows as text,
`{"judge": VALUES}` asks every question with one session of the probe and judges the four items;
VALUES are keys of [clickhouse] as in readiness.ini. It ends with its input.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from pytest_readiness.checklist.infrastructure import test_clickhouse as checks
from pytest_readiness.errors import NothingExamined, ProbeError
from pytest_readiness.probes import clickhouse as probes
from pytest_readiness.results import Evidence
from pytest_readiness.settings import Settings, from_values

ITEMS: dict[str, tuple[Callable[..., None], tuple[str, ...]]] = {
    "ch-replicas": (checks.test_every_shard_has_enough_replicas_that_answer, ("replicas",)),
    "ch-replication": (
        checks.test_every_table_is_replicated_and_its_replicas_agree,
        ("tables", "replication"),
    ),
    "ch-backup": (checks.test_the_newest_backup_is_good_and_young, ("backups", "backup_api")),
    "ch-disk": (checks.test_every_disk_of_every_replica_has_room, ("disks",)),
}


def settings_of(section: dict[str, str], timeout: str = "5s") -> Settings:
    """Return the settings of a readiness.ini with these keys of [clickhouse]."""
    readiness = {"system": "s", "environment": "e", "phase": "verification", "timeout": timeout}
    values = {"readiness": readiness, "clickhouse": section}
    return from_values(values, origin="test", base=Path())


def judge(settings: Settings) -> dict[str, Any]:
    """Judge each item; what is said of it is JSON-safe (see clickhouse_servers.Judged)."""
    try:
        client = probes.connect(settings, "run-1")
    except ProbeError as error:
        return dict.fromkeys(ITEMS, _error(error))
    try:
        return {item: _judged(client, item) for item in ITEMS}
    finally:
        client.close()


def _judged(client: probes.Client, item: str) -> dict[str, Any]:
    check, questions = ITEMS[item]
    evidence = Evidence()
    try:
        facts = [_recorded(getattr(probes, question)(client)) for question in questions]
        check(*facts, client.settings, evidence)
    except ProbeError as error:
        return _error(error)
    except NothingExamined as error:
        return {"outcome": "error", "cause": str(error)}
    except AssertionError:
        findings = [f"{finding.subject} {finding.problem}" for finding in evidence.findings]
        return {"outcome": "fail", "findings": findings}
    assert evidence.missing() == []
    return {"outcome": "pass"}


def _error(error: ProbeError) -> dict[str, Any]:
    said = {"kind": str(error.kind), "cause": error.cause, "advice": error.advice}
    return {"outcome": "error", **said}


def _recorded(fact: Any) -> Any:
    """Send a fact through JSON, as the store of a run does."""
    again = msgspec.json.decode(msgspec.json.encode(fact), type=type(fact))
    assert again == fact
    return again


def serve(folder: Path) -> None:
    """Obey the commands until they end."""
    import chdb

    address = f"{folder / 'data'}?config-file={folder / 'config.xml'}"
    engine = chdb.connect(address)
    for line in sys.stdin:
        command = json.loads(line)
        answer: Any
        if "sql" in command:
            # A session of its own: one that failed leaves output behind for the next statement.
            session = chdb.connect(address)
            try:
                answer = {"rows": str(session.query(command["sql"], "TSV"))}
            except RuntimeError as error:
                answer = {"error": str(error)}
            finally:
                session.close()
        else:
            answer = judge(
                settings_of({"url": f"chdb://{address}&database=risk", **command["judge"]})
            )
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    engine.close()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
