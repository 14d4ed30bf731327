"""The wheel, in an environment that has its dependencies and nothing of this source tree."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


@dataclass
class Installed:
    """An environment with the wheel. python: its interpreter."""

    python: Path

    def run(
        self, *command: str, cwd: Path, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST"))}
        return subprocess.run(
            [str(self.python.parent / command[0]), *command[1:]],
            cwd=cwd,
            env={**clean, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Build the wheel and install it beside links to the dependencies of this environment."""
    folder = tmp_path_factory.mktemp("package")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    (wheel,) = (folder / "dist").glob("*.whl")
    venv.create(folder / "env", with_pip=False, symlinks=True)
    python = folder / "env" / "bin" / "python"
    site = Path(_output(python, "import sysconfig; print(sysconfig.get_path('purelib'))"))
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "pytest_readiness" not in entry.name:
            (site / entry.name).symlink_to(entry)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*pip, "--no-index", "--no-deps", str(wheel)], check=True)
    return Installed(python)


def _output(python: Path, code: str) -> str:
    return subprocess.run(
        [str(python), "-c", code], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()


def outcomes(folder: Path) -> dict[str, str]:
    report: Any = json.loads((folder / "readiness-report/report.json").read_text())
    return {item["id"]: item["outcome"] for item in report["items"]}


def test_the_wheel_is_what_runs(installed: Installed, tmp_path: Path) -> None:
    done = installed.run(
        "python", "-c", "import pytest_readiness; print(pytest_readiness.__file__)", cwd=tmp_path
    )
    assert str(installed.python.parent.parent) in done.stdout


def test_runs_the_checklist_from_another_directory(installed: Installed, tmp_path: Path) -> None:
    elsewhere, here = tmp_path / "settings", tmp_path / "work"
    elsewhere.mkdir()
    here.mkdir()
    ini = elsewhere / "shop.ini"
    ini.write_text("[readiness]\nsystem = shop\nenvironment = lab\nphase = verification\n\n[lab]\n")
    done = installed.run(
        "python", "-m", "pytest", "-m", "readiness", "--readiness-ini", str(ini), cwd=here
    )
    assert done.returncode == 6, done.stdout
    assert list(outcomes(here).values()).count("pass") == 9


def test_the_console_script(installed: Installed, tmp_path: Path) -> None:
    listed = installed.run("readiness", "list", "--json", cwd=tmp_path)
    assert listed.returncode == 0
    assert "k8s-nodes" in {item["id"] for item in json.loads(listed.stdout)}
    assert installed.run("readiness", "init", cwd=tmp_path).returncode == 0
    assert (tmp_path / "readiness.ini").exists()


@pytest.mark.parametrize(
    ("zone", "locale"), [("Asia/Kathmandu", "C"), ("America/St_Johns", "POSIX")]
)
def test_neither_time_zone_nor_locale_matters(
    installed: Installed, tmp_path: Path, zone: str, locale: str
) -> None:
    (tmp_path / "readiness.ini").write_text(
        "[readiness]\nsystem = größe\nenvironment = lab\nphase = verification\n\n[lab]\n",
        encoding="utf-8",
    )
    done = installed.run(
        "python", "-m", "pytest", "-m", "readiness", cwd=tmp_path, TZ=zone, LC_ALL=locale
    )
    assert done.returncode == 6, done.stdout
    assert list(outcomes(tmp_path).values()).count("pass") == 9
