"""One active run: what every process of it knows, and how workers get to know it.

PYTEST_DONT_REWRITE
"""

import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from pytest_readiness.clock import now
from pytest_readiness.questions import QUESTIONS, Asker, Question
from pytest_readiness.redact import Redactor
from pytest_readiness.settings import Settings, from_values
from pytest_readiness.store import FOLDER, FactStore


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is made of; travels to the workers as JSON.

    values: the settings as text, secrets as references. sha256: of the file they came from.
    base: the folder that relative paths start from. directory: the run directory. salt: of the
    redactions, hexadecimal. deadline: RFC 3339, None for a replay. ended: RFC 3339, of the run
    that a replay judges again: its facts are no younger for that. lab: faults, or None.
    """

    id: str
    started: datetime
    origin: str
    base: str
    sha256: str
    values: dict[str, dict[str, str]]
    directory: str
    salt: str
    deadline: datetime | None
    replay: bool
    ended: str | None = None
    lab: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """A plan in one process: its settings, its facts, its redactor."""

    plan: Plan
    settings: Settings
    redactor: Redactor
    store: FactStore
    asker: Asker

    @property
    def directory(self) -> Path:
        """The run directory."""
        return Path(self.plan.directory)

    def answer(self, question: Question) -> msgspec.Struct:
        """Return the answer of a question. Raises ProbeError or NotChecked."""
        return self.asker.answer(question)


IDENTITIES = ("k8s_identity", "ch_identity")
LAB_CLUSTER = "6f0c41d2-8a53-4f0e-9d4b-2f6a1c7e9b10"  # of kube-system in the lab's world
NO_UUID = "00000000-0000-0000-0000-000000000000"
FAULTS_UNKNOWN = "not known: this run did not start it"

CONTEXT = pytest.StashKey[Context]()


def context_of(config: pytest.Config) -> Context | None:
    """Return the context of the active run, None where the checklist is not asked for."""
    return config.stash.get(CONTEXT, None)


def new_plan(settings: Settings, directory: Path, *, replay: bool) -> Plan:
    """Plan a run over these settings that leaves its files in the directory."""
    started = now()
    return Plan(
        id=f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
        started=started,
        origin=str(settings.path),
        base=str(settings.path.parent),
        sha256=settings.sha256,
        values=settings.values,
        directory=str(directory),
        salt=secrets.token_hex(16),
        deadline=None if replay else started + settings.readiness.deadline,
        replay=replay,
    )


def enter(plan: Plan) -> Context:
    """Make the context of a plan in this process. Raises SettingsError."""
    settings = from_values(
        plan.values, origin=plan.origin, base=Path(plan.base), resolve=not plan.replay
    )
    redactor = Redactor(bytes.fromhex(plan.salt))
    redactor.learn(settings.secrets())
    redactor.learn_environment(os.environ)
    store = FactStore(Path(plan.directory), redactor, deadline=plan.deadline, recorded=plan.replay)
    return Context(plan, settings, redactor, store, Asker(settings, store, plan.id))


def temporary_store(folder: str, settings: Settings) -> FactStore:
    """Return a store for questions whose answers nobody keeps."""
    (Path(folder) / FOLDER).mkdir()
    redactor = Redactor(secrets.token_bytes(16))
    redactor.learn(settings.secrets())
    redactor.learn_environment(os.environ)
    deadline = now() + settings.readiness.deadline
    return FactStore(Path(folder), redactor, deadline=deadline, recorded=False)


def identity(store: FactStore) -> dict[str, str]:
    """Return what the asked systems say of themselves, as recorded: target -> words."""
    return {
        question.target: " ".join(
            f"{key}={value}" for key, value in answer.items() if isinstance(value, str)
        )
        for question in QUESTIONS
        if question.name in IDENTITIES and (answer := store.said(question.name))
    }


def lab(planned: tuple[str, ...] | None, store: FactStore) -> tuple[str, ...] | None:
    """Return the faults of the lab that was asked, None where no lab was.

    planned: of the lab that the run started. A lab that somebody else started is known by what it
    says of itself: the UID of its cluster, and the embedded engine, which has no UUID, behind HTTP.
    """
    if planned is not None:
        return planned
    cluster, server = (store.said(name) for name in IDENTITIES)
    embedded = server.get("server_uuid") == NO_UUID and "+http" in server.get("url", "")
    return (FAULTS_UNKNOWN,) if embedded or cluster.get("uid") == LAB_CLUSTER else None
