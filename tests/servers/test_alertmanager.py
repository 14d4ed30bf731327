"""A real Alertmanager takes an alert and a silence from amtool and gives both back."""

import json
from pathlib import Path

import pytest

from tests.servers.conftest import Lend
from tests.servers.k8s_client import Admin
from tests.servers.processes import run_client
from tests.servers.programs import need


@pytest.fixture(scope="module")
def alertmanager(lend: Lend) -> Admin:
    return Admin(lend("alertmanager")["url"])


def amtool(home: Path, server: Admin, *words: str) -> str:
    """Return what amtool says, which reads no configuration but that of its home."""
    done = run_client([*need("amtool"), f"--alertmanager.url={server.url}", *words], home)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_healthy_and_alone(alertmanager: Admin) -> None:
    assert alertmanager.status("/-/healthy") == 200
    assert alertmanager.get("/api/v2/status")["cluster"] == {"peers": [], "status": "disabled"}


def test_an_alert_that_is_posted_is_read_back(alertmanager: Admin, tmp_path: Path) -> None:
    amtool(tmp_path, alertmanager, "alert", "add", "NoQuorum", "severity=page")
    (found,) = alertmanager.get("/api/v2/alerts?filter=alertname%3DNoQuorum")
    assert found["labels"] == {"alertname": "NoQuorum", "severity": "page"}
    assert (found["status"]["state"], found["receivers"]) == ("active", [{"name": "nobody"}])
    asked = amtool(tmp_path, alertmanager, "alert", "query", "NoQuorum", "--output=json")
    assert [it["fingerprint"] for it in json.loads(asked)] == [found["fingerprint"]]


def test_an_alert_that_is_silenced_says_by_which_silence(
    alertmanager: Admin, tmp_path: Path
) -> None:
    comment = ["--author=ops", "--comment=known", "--duration=1h"]
    silence = amtool(tmp_path, alertmanager, "silence", "add", *comment, "alertname=DiskFull")
    amtool(tmp_path, alertmanager, "alert", "add", "DiskFull")
    (found,) = alertmanager.wait("/api/v2/alerts?filter=alertname%3DDiskFull", suppressed)
    assert found["status"]["silencedBy"] == [silence.strip()]


def suppressed(alerts: list[dict[str, dict[str, str]]]) -> bool:
    return [it["status"]["state"] for it in alerts] == ["suppressed"]
