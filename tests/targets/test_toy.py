"""CONTRIBUTING's second worked example, end to end: a system that no file of the package names."""

import json
import re
from pathlib import Path

import pytest

from tests.run.project import Project
from tests.targets.distribution import install

PAGE = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLE = PAGE.partition("\n## Add a system\n")[2].partition("\n## ")[0]
FILES = dict(re.findall(r"^```\w+\n# (\S+)\n(.*?)^```", EXAMPLE, re.MULTILINE | re.DOTALL))
INI = """\
[readiness]
system = shop
environment = lab
phase = rollback

[not_applicable]
rollback-undo = a shop of one machine
rollback-previous = a shop of one machine
rollback-database = a shop of one machine
rollback-stable = a shop of one machine

[lab]
faults = {faults}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    files = {path: text for path, text in FILES.items() if path.startswith("shop_cache/")}
    points = FILES["pyproject.toml"].replace('project.entry-points."', "").replace('"', "")
    install(tmp_path / "site", "shop-cache", {**files, "shop_cache/__init__.py": ""}, points)
    made = Project(tmp_path / "shop")
    made.find_first(tmp_path / "site")
    made.write("test_cache.py", FILES["test_cache.py"])
    made.write("readiness.ini", INI.format(faults=""))
    return made


def test_it_is_short() -> None:
    assert FILES.keys() == {
        "pyproject.toml",
        *(f"shop_cache/{name}.py" for name in ("section", "facts", "probe", "lab")),
        "shop_cache/faults.yaml",
        "test_cache.py",
    }
    assert sum(len(text.splitlines()) for text in FILES.values()) < 150


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_run_asks_it_and_is_ready(project: Project, workers: tuple[str, ...]) -> None:
    done = project.run("-m", "readiness", *workers)
    assert (done.code, done.report["verdict"]["name"]) == (0, "READY"), done.out
    (proof, *_) = done.item("cache-warm")["evidence"]
    assert (proof["examined"], proof["observed"]) == (["cache-1"], {"hits": 0.95})
    assert proof["fact"] == "facts/cache_identity.json"
    url = done.report["settings"]["values"]["cache"]["url"]
    assert proof["command"] == f"curl {url}/server"
    assert done.report["target"]["identity"] == {"cache": "name=cache-1"}
    # Kubernetes and ClickHouse run in this lab and are not asked.
    assert done.report["traffic"] == [
        {"target": f"cache {url}", "method": "GET", "status": 200, "count": 2}
    ]


@pytest.mark.parametrize(
    ("fault", "outcome", "says"),
    [
        ("cache-cold", "fail", "cache-1"),
        ("cache-silent", "error", "timed out"),
        ("node-notready", "pass", "LAB"),
    ],
)
def test_a_fault_of_it_turns_what_it_declares(
    project: Project, fault: str, outcome: str, says: str
) -> None:
    project.write("readiness.ini", INI.format(faults=fault).replace("phase", "timeout = 1s\nphase"))
    done = project.run("-m", "readiness")
    assert done.outcomes()["cache-warm"] == outcome
    assert says in done.out
    assert done.report["run"]["lab"] == [fault]


def test_the_limit_of_its_section_counts_beside_the_lab(project: Project) -> None:
    project.write("readiness.ini", INI.format(faults="") + "[cache]\nmin_hits = 99%\n")
    assert project.run("-m", "readiness").outcomes()["cache-warm"] == "fail"
    project.write("readiness.ini", INI.format(faults="") + "[cache]\nmin_hit = 99%\n")
    done = project.run("-m", "readiness")
    assert (done.code, "did you mean min_hits?" in done.out) == (4, True)


def test_the_commands_know_it(project: Project) -> None:
    assert "cache http://127.0.0.1:" in project.command("check").out
    assert "turns cache-warm to fail" in project.command("lab", "--list-faults").out
    assert project.command("init", "--output", "other.ini").code == 0
    other = (project.folder / "other.ini").read_text()
    assert "#[cache]" in other
    assert "#min_hits = 90%" in other


def test_a_shard_that_leaves_its_limit_out_is_not_merged(project: Project) -> None:
    project.run("-m", "readiness", "--readiness-report", "one")
    project.write("readiness.ini", INI.format(faults="") + "[cache]\nmin_hits = 10%\n")
    project.run("-m", "readiness", "--readiness-report=two")
    done = project.command("merge", "one", "two")
    assert "[cache] min_hits: written in" in done.out
    assert done.code == 4


def test_it_is_replayed_from_its_facts(project: Project) -> None:
    project.run("-m", "readiness")
    told = json.loads((project.folder / "readiness-report/facts/cache_stats.json").read_text())
    assert told["answer"] == {"hits": 95, "misses": 5}
    done = project.command("replay", "readiness-report")
    assert "a check of the project is not replayed" in done.out
