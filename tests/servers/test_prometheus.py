"""A real Prometheus scrapes a target and loads a rule; promtool reads both back."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.servers.conftest import Lend
from tests.servers.k8s_client import Admin
from tests.servers.processes import run_client
from tests.servers.programs import need

RULES = """\
groups:
- name: quorum
  rules:
  - alert: NoQuorum
    expr: up == 0
    for: 5m
    labels: {severity: page}
"""


class Prometheus(NamedTuple):
    """The server. admin: asks its API; folder: where its rules lie."""

    admin: Admin
    folder: Path


@pytest.fixture(scope="module")
def prometheus(lend: Lend) -> Prometheus:
    said = lend("prometheus")
    return Prometheus(Admin(said["url"]), Path(said["folder"]))


def promtool(home: Path, *words: str | Path) -> Any:
    return run_client([*need("promtool"), *words], home)


def test_it_is_healthy(prometheus: Prometheus) -> None:
    assert prometheus.admin.status("/-/healthy") == 200


def test_a_target_that_it_scrapes_is_up(prometheus: Prometheus, tmp_path: Path) -> None:
    admin = prometheus.admin
    targets = admin.wait(
        "/api/v1/targets",
        lambda said: [it["health"] for it in said["data"]["activeTargets"]] == ["up"],
    )
    (target,) = targets["data"]["activeTargets"]
    assert target["scrapeUrl"] == f"{admin.url}/metrics"
    asked = promtool(tmp_path, "query", "instant", "--format=json", admin.url, "up")
    assert asked.returncode == 0, asked.stderr
    (series,) = json.loads(asked.stdout)
    assert (series["metric"]["job"], series["value"][1]) == ("prometheus", "1")


def test_a_rule_that_is_written_is_loaded(prometheus: Prometheus, tmp_path: Path) -> None:
    admin = prometheus.admin
    rules = prometheus.folder / "rules" / "quorum.yml"
    rules.write_text(RULES)
    checked = promtool(tmp_path, "check", "rules", rules)
    assert checked.returncode == 0, checked.stderr
    admin.ask("POST", "/-/reload")
    loaded = admin.wait(
        "/api/v1/rules", lambda said: "quorum" in [it["name"] for it in said["data"]["groups"]]
    )
    (group,) = (it for it in loaded["data"]["groups"] if it["name"] == "quorum")
    (rule,) = group["rules"]
    assert (rule["name"], rule["query"], rule["duration"]) == ("NoQuorum", "up == 0", 300)
    assert rule["labels"] == {"severity": "page"}


def test_promtool_refuses_a_rule_that_is_malformed(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES.replace("up == 0", "up =="))
    checked = promtool(tmp_path, "check", "rules", rules)
    assert checked.returncode == 1
    assert "could not parse expression" in checked.stderr
