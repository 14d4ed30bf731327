"""What the README says of declarations, waivers and sign-off is what happens: its own commands."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from pytest_readiness import catalogue
from pytest_readiness.people import waivers
from tests.run.project import READY_INI
from tests.servers.programs import need
from tests.test_readme import PEOPLE, blocks, run

SIGNING, OVER_TIME = PEOPLE.split("## Runs over time")
REVIEW = READY_INI.partition("[not_applicable]")[0].replace("phase = rollback", "phase = review")
SKIPPED = [item.id for item in catalogue.for_phase("review") if item.id != "review-docs"]
PEOPLE_OF = {
    "deployment-manager": "dm@example.org",
    "operations-lead": "ops@example.org",
    "security-lead": "sec@example.org",
    "product-manager": "pm@example.org",
}


def commands(text: str) -> list[str]:
    return re.findall(r"^\$ (.+)$", text, re.MULTILINE)


def take(commands: list[str], beginning: str) -> str:
    """Take the one command with this beginning out of the list."""
    (found,) = (command for command in commands if command.startswith(beginning))
    commands.remove(found)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder whose readiness.ini asks for one declaration, with four people's keys."""
    (keygen,) = need("ssh-keygen")
    made = tmp_path_factory.mktemp("people")
    skipped = "".join(f"{item} = not of this test\n" for item in SKIPPED)
    (made / "readiness.ini").write_text(f"{REVIEW}\n[not_applicable]\n{skipped}")
    (made / "waivers.toml").touch()
    lines = []
    example = next(line for line in SIGNING.splitlines() if line.startswith("sec@example.org "))
    for role, person in PEOPLE_OF.items():
        subprocess.run(
            [keygen, "-q", "-t", "ed25519", "-N", "", "-f", made / role], check=True, timeout=60
        )
        line = example.replace("sec@example.org", person).replace("security-lead", role)
        public = " ".join((made / f"{role}.pub").read_text().split()[:2])
        lines.append(line.replace("ssh-ed25519 AAAA...", public))
    (made / "allowed_signers").write_text("\n".join(lines) + "\n")
    return made


@pytest.mark.xdist_group("readme")
def test_every_command_of_the_sign_off(folder: Path) -> None:
    told = commands(SIGNING)
    assert run(take(told, "readiness init --signoff"), folder).returncode == 0
    declare = take(told, "readiness declare").replace("training-operations", "review-docs")
    said = "--statement Updated. --by ops@example.org --role operations-lead --release 2.4.1"
    done = run(f"{declare} {said}", folder)
    assert done.returncode == 0, done.stdout
    ini = (folder / "readiness.ini").read_text()
    files = blocks(SIGNING, "ini")[0]
    (folder / "readiness.ini").write_text(
        ini.replace("phase = review\n", f"phase = review\n{files}")
    )
    done = run("pytest -m readiness", folder)
    assert done.returncode == 0, done.stdout
    sign = take(told, "readiness sign")
    for role in PEOPLE_OF:
        words = sign.replace("security-lead", role).replace("~/.ssh/id_ed25519", role)
        done = run(f"{words} --decision approved --yes", folder)
        assert done.returncode == 0, done.stdout
    by_hand = take(told, "readiness verify readiness-report --policy signoff.toml --print-commands")
    done = run(take(told, "readiness verify"), folder)
    assert done.returncode == 0, done.stdout
    command, pipe, shell = by_hand.rpartition("|")
    assert (pipe, shell.strip()) == ("|", "sh -e")
    printed = run(command, folder)
    checked = subprocess.run(
        ["sh", "-e"], input=printed.stdout, cwd=folder, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert told == []
    report = folder / "readiness-report" / "report.json"
    report.write_bytes(report.read_bytes() + b"\n")
    assert run("readiness verify readiness-report --policy signoff.toml", folder).returncode == 3


def test_the_waiver_of_the_readme_is_valid(tmp_path: Path) -> None:
    (text,) = blocks(SIGNING, "toml")
    (tmp_path / "waivers.toml").write_text(text)
    (waiver,) = waivers.read(tmp_path / "waivers.toml").items
    assert waiver.finding == "node/n3"


@pytest.mark.xdist_group("readme")
def test_every_command_of_runs_over_time(tmp_path: Path) -> None:
    told = commands(OVER_TIME)
    (tmp_path / "yesterday").mkdir()
    ini = READY_INI + "\n[elsewhere]\nrollback-undo = staging\n"
    staging = READY_INI.replace("environment = test", "environment = staging")
    here = ini.replace("rollback-undo = the test has no cluster\n", "", 1)
    (tmp_path / "readiness.ini").write_text(here)
    (tmp_path / "staging.ini").write_text(staging)
    node = "readiness/rollback/rollback::"
    undo, *others = (
        f"{node}rollback-{name}" for name in ("undo", "previous", "database", "stable")
    )
    for arguments in (
        ["-m", "readiness", "--readiness-report", "yesterday/readiness-report"],
        ["-m", "readiness"],
        [*others[:2], "--readiness-report", "shard-kubernetes"],
        [undo, *others[2:], "--readiness-report", "shard-clickhouse"],
        [undo, "--readiness-ini", "staging.ini", "--readiness-report", "staging-load"],
    ):
        done = run(shlex.join(["pytest", *arguments]), tmp_path)
        assert done.returncode in (0, 6), done.stdout
    for command in told:
        done = run(command, tmp_path)
        # None of the four applies, and a checklist of which nothing was checked is not ready.
        expected = 6 if command.startswith("readiness merge") else 0
        assert done.returncode == expected, f"{command}\n{done.stdout}"
    assert {command.split()[1] for command in told} == {"diff", "merge", "render"}
