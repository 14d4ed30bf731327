"""A finished run, four people with keys and a policy: where the tests of `readiness sign` begin."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_ssh_public_key,
)

from pytest_readiness.clock import now, rfc3339
from pytest_readiness.report import write
from pytest_readiness.results import model
from pytest_readiness.results.evidence import Finding, Outcome
from pytest_readiness.signoff import policy, statement, verify
from tests.report import sample
from tests.run.forked import CLI, Forked
from tests.signoff import keys

ROLES = ("deployment-manager", "operations-lead", "security-lead", "product-manager")
READY = model.Verdict(name="READY", exit_code=0, reasons=("every item passes",))
WAIVED = model.Verdict(name="READY WITH WAIVERS", exit_code=0, reasons=("1 waived: ch-backup",))
NOT_READY = model.Verdict(name="NOT READY", exit_code=1, reasons=("1 blocker fails: k8s-nodes",))


def report(*items: model.Item, ended: datetime | None = None, **changes: Any) -> model.Report:
    """Return a READY report outside the lab which has just ended, with the changes."""
    base = sample.production(
        sample.report(items or (sample.passing(),), **{"verdict": READY, **changes})
    )
    end = ended or now() - timedelta(minutes=1)
    times = {"started": rfc3339(end - timedelta(seconds=9)), "ended": rfc3339(end)}
    return msgspec.structs.replace(base, run=msgspec.structs.replace(base.run, **times))


def waived() -> model.Report:
    """Return a report that is READY WITH WAIVERS."""
    waiver = msgspec.structs.replace(
        sample.WAIVER,
        created=rfc3339(now() - timedelta(days=1)),
        expires=rfc3339(now() + timedelta(days=3)),
    )
    failing = sample.item(
        "ch-backup", outcome=Outcome.FAIL, waiver=waiver, findings=(Finding("backup/daily", "old"),)
    )
    return report(sample.passing(), failing, verdict=WAIVED)


@dataclass
class Desk:
    """folder: has run/, signoff.toml and allowed_signers. people: role -> its person."""

    folder: Path
    people: dict[str, keys.Person]
    environment: dict[str, str] = field(default_factory=dict)
    fresh: bool = False  # `readiness` in interpreters of their own

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def policy(self) -> Path:
        return self.folder / "signoff.toml"

    def has(self, one: model.Report) -> "Desk":
        """Write the report."""
        write.write_all(one, self.run)
        return self

    def rule(self, text: str = "", lines: list[str] | None = None) -> "Desk":
        """Write policy and allowed_signers. text: further keys of signoff.toml."""
        people = {role: [one.principal] for role, one in self.people.items()}
        roles = "".join(f'{role} = ["{names[0]}"]\n' for role, names in people.items())
        self.policy.write_text(
            f'allowed_signers = "allowed_signers"\n{text}\n[roles]\n{roles}', encoding="utf-8"
        )
        given = lines or [one.line(role) for role, one in self.people.items()]
        keys.allowed_signers(self.folder, given)
        return self

    def command(self, *words: str, answers: str = "", **variables: str) -> tuple[int, str]:
        """Run `readiness` as a process; return its exit code and all that it says."""
        environment = self._environment(variables)
        if not self.fresh:
            process = Forked(CLI, words, folder=self.folder, environment=environment, input=answers)
            said, _ = process.communicate(timeout=60)
            return process.wait(), said
        ended = subprocess.run(
            [sys.executable, "-m", CLI, *words],
            cwd=self.folder,
            env=environment,
            input=answers,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return ended.returncode, ended.stdout

    def sign(self, role: str, *words: str, answers: str = "", **variables: str) -> tuple[int, str]:
        """Sign with the key of the role's person."""
        key = ["--key", str(self.people[role].key)] if "--key" not in words else []
        return self.command(
            "sign", "run", "--role", role, *key, *words, answers=answers, **variables
        )

    def approve(self, *roles: str) -> None:
        """Let the people of the roles approve, without a question."""
        for role in roles:
            code, said = self.sign(role, "--yes", "--decision", "approved")
            assert code == 0, said

    def with_dsse(self) -> "Desk":
        """Let each person sign by DSSE, too."""
        lines = []
        for role, one in self.people.items():
            public = self.folder / f"{role}.pem"
            line = one.key.with_name(f"{one.key.name}.pub").read_bytes()
            # ssh-keygen -e -m pkcs8 knows no ed25519.
            public.write_bytes(
                load_ssh_public_key(line).public_bytes(
                    Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
                )
            )
            lines.append(f'"{one.principal}" = "{public.name}"')
        return self.rule("[dsse_keys]\n" + "\n".join(lines))

    def predicate(self, role: str) -> statement.Predicate:
        """Return what the role has signed."""
        return statement.decode(self.files()[f"signoffs/{role}.statement.json"]).predicate

    def verified(self) -> verify.Verification:
        """Return what verification says now."""
        return verify.verify(self.run, policy.load(self.policy), now())

    def causes(self) -> set[str]:
        """Return the causes why it is not signed off."""
        return {refusal.cause.value for refusal in self.verified().refusals}

    def files(self) -> dict[str, bytes]:
        """Return every file of the run directory by its path."""
        paths = (path for path in sorted(self.run.rglob("*")) if path.is_file())
        return {str(path.relative_to(self.run)): path.read_bytes() for path in paths}

    def _environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        hidden = ("SSH_", "PYTEST_", "DISPLAY")
        own = {name: text for name, text in os.environ.items() if not name.startswith(hidden)}
        return {**own, **self.environment, **variables}


def people(folder: Path) -> dict[str, keys.Person]:
    """Make the key of one person a role."""
    folder.mkdir(exist_ok=True)
    return {role: keys.person(folder, f"{role}@example.org") for role in ROLES}


class Refusal:
    """A refusal: exit code 4, the words in the last line, and nothing written."""

    def __init__(self, found: Desk, role: str) -> None:
        self.desk = found
        self.role = role

    def __call__(self, words: str, decision: str = "approved", key: Path | None = None) -> None:
        before = self.desk.files()
        named = ["--key", str(key)] if key else []
        code, said = self.desk.sign(self.role, *named, "--yes", "--decision", decision)
        assert code == 4, said
        assert words in said.splitlines()[-1], said
        assert self.desk.files() == before


@contextmanager
def interrupted(after: int, monkeypatch: Any, *functions: tuple[Any, str]) -> Iterator[None]:
    """Let the functions (owner, name) work `after` times together, then raise Killed instead."""
    left = [after]

    def limited(real: Any) -> Any:
        def called(*arguments: Any, **options: Any) -> Any:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return real(*arguments, **options)

        return called

    with monkeypatch.context() as patch:
        for owner, name in functions:
            patch.setattr(owner, name, limited(getattr(owner, name)))
        yield


class Killed(BaseException):
    """The process ends here."""
