"""ClickHouse's own engine in a process of its own, asked by our probes and judged by our checks.

`python -m tests.servers.clickhouse_child FOLDER` opens FOLDER/data with FOLDER/config.xml and
reads a JSON object a line: `{"sql": TEXT}` runs a statement and answers its rows as text,
`{"judge": VALUES}` asks every question with one session of the probe and judges the four items;
VALUES are keys of [clickhouse] as in readiness.ini. It ends with its input.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pytest_readiness.errors import ProbeError
from pytest_readiness.settings import Settings, from_values
from pytest_readiness.targets.clickhouse import probe as probes
from tests import judging
from tests.asking import connect

ITEMS = judging.items("clickhouse")


def settings_of(section: dict[str, str], timeout: str = "5s") -> Settings:
    """Return the settings of a readiness.ini with these keys of [clickhouse]."""
    readiness = {"system": "s", "environment": "e", "phase": "verification", "timeout": timeout}
    values = {"readiness": readiness, "clickhouse": section}
    return from_values(values, origin="test", base=Path())


def judge(settings: Settings) -> dict[str, Any]:
    """Judge each item; what is said of it is JSON-safe (see clickhouse_servers.Judged)."""
    try:
        client = connect(settings, "clickhouse")
    except ProbeError as error:
        return dict.fromkeys(ITEMS, _error(error))
    try:
        return {item: _judged(client, item) for item in ITEMS}
    finally:
        client.close()


def _judged(client: probes.Client, item: str) -> dict[str, Any]:
    outcome, evidence, error = judging.judge_item("clickhouse", item, client, client.section)
    if isinstance(error, ProbeError):
        return _error(error)
    if error is not None:
        return {"outcome": str(outcome), "cause": str(error)}
    findings = [f"{finding.subject} {finding.problem}" for finding in evidence.findings]
    return {"outcome": str(outcome)} | ({"findings": findings} if findings else {})


def _error(error: ProbeError) -> dict[str, Any]:
    said = {"kind": str(error.kind), "cause": error.cause, "advice": error.advice}
    return {"outcome": "error", **said}


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
