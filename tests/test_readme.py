"""What the README and CONTRIBUTING say is what happens: every command of theirs is run."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.test_reference import LAB_INI
from tests.run.forked import CLI, Forked

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
# Run by test_readme_people.py, which has people and a report that is ready.
PEOPLE = README.partition("## What people say")[2].partition("## Exit codes")[0]
COMMANDS = re.findall(r"^\$ (.+)$", README.replace(PEOPLE, ""), re.MULTILINE)
# Run elsewhere: `make test` runs this very test, `pip install` and `init` test_package.py.
ELSEWHERE = {"make test", "pip install pytest-readiness"}
EXIT = {
    "make readiness": 2,
    "pytest -m readiness": 6,
    "pytest -m readiness -n 4 --junitxml readiness.xml": 6,
}
MODULES = {"pytest": "pytest", "readiness": CLI}
EXIT["readiness replay readiness-report"] = 6
EXIT["readiness gate readiness-report"] = 6


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run(command: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command of the README in the folder; that its programs are there, test_package says."""
    program, *words = shlex.split(command)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    environment = {**clean, "PATH": path}
    if program in MODULES:
        process = Forked(MODULES[program], tuple(words), folder=folder, environment=environment)
        said, _ = process.communicate()
        return subprocess.CompletedProcess(command, process.wait(), said)
    return subprocess.run(
        [program, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the commands of the README are run, in its order."""
    made = tmp_path_factory.mktemp("readme")
    (made / "readiness.ini").write_text(LAB_INI.format(faults=""))
    return made


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the tree that has its environment already, as at a second start."""
    made = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    for name in listed.stdout.decode().splitlines():
        if (ROOT / name).is_file():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, made / name)
            os.utime(made / name, (0, 0))  # older than the environment, which is up to date
    if not (ROOT / ".venv" / ".ready").exists():
        pytest.skip("the environment was not made by make")
    (made / ".venv").symlink_to(ROOT / ".venv")
    return made


def test_the_readme_shows_the_commands_there_are() -> None:
    assert len(COMMANDS) >= 10
    assert "make readiness" in COMMANDS
    assert "make test" in COMMANDS


@pytest.mark.xdist_group("readme")
def test_make_readiness(clone: Path) -> None:
    done = run("make readiness", clone)
    assert done.returncode == 2, done.stdout  # what make says of any exit code but 0
    assert "INCOMPLETE (exit code 6)" in done.stdout
    assert "Error 6" in done.stdout
    assert (clone / "readiness-report/report.html").exists()


@pytest.mark.xdist_group("readme")
def test_every_other_command(folder: Path) -> None:
    for command in COMMANDS:
        if command in ELSEWHERE or command == "make readiness":
            continue
        if command == "readiness init":
            assert run("readiness init --output other.ini", folder).returncode == 0
            continue
        done = run(command, folder)
        assert done.returncode == EXIT.get(command, 0), f"{command}\n{done.stdout}"
    outcomes = [
        [
            item["outcome"]
            for item in json.loads((folder / name / "report.json").read_text())["items"]
        ]
        for name in ("readiness-report", "readiness-report-replay")
    ]
    assert outcomes[0] == outcomes[1]


def test_the_ini_of_the_readme_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_readiness.settings import load

    ini, *_ = blocks(README, "ini")
    (tmp_path / "readiness.ini").write_text(ini)
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "p" * 8)
    settings = load(tmp_path / "readiness.ini")
    assert settings.targets.keys() == {"kubernetes", "clickhouse"}


@pytest.mark.xdist_group("readme")
def test_the_worked_example_of_contributing(tmp_path: Path) -> None:
    check, worlds, *_ = blocks(CONTRIBUTING, "python")
    (tmp_path / "test_zones.py").write_text(check)
    (tmp_path / "test_worlds.py").write_text(worlds)
    (tmp_path / "readiness.ini").write_text(LAB_INI.format(faults=""))
    worlds_done = run("pytest -q test_worlds.py", tmp_path)
    # The check, imported there as a function to call, is no world: it needs its facts.
    assert "3 passed" in worlds_done.stdout, worlds_done.stdout
    done = run(
        "pytest -m readiness test_zones.py::test_the_nodes_are_in_more_than_one_zone", tmp_path
    )
    assert done.returncode == 0, done.stdout
    items = json.loads((tmp_path / "readiness-report/report.json").read_text())["items"]
    assert {item["id"]: item["outcome"] for item in items}["shop-zones"] == "pass"
