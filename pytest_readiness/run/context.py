"""One active run: what every process of it knows, and how workers get to know it.

PYTEST_DONT_REWRITE
"""

import os
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from pytest_readiness.clock import now
from pytest_readiness.record.asker import Asker
from pytest_readiness.record.redact import Redactor, of_run
from pytest_readiness.record.store import FactStore
from pytest_readiness.results import model
from pytest_readiness.settings import Settings, from_values


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is made of; travels to the workers as JSON.

    values: the settings as text, secrets as references. sha256: of the file they came from.
    base: the folder that relative paths start from. directory: the run directory. salt: of the
    redactions, hexadecimal. replay: id of the run that is judged again, or None. deadline: RFC
    3339, None for a replay. ended: RFC 3339, of the run that a replay judges again: its facts are
    no younger for that. lab: faults, or None. nonce: of the reports that carry results, so that no
    test can say that one of its own does.
    """

    id: str
    started: datetime
    origin: str
    base: str
    sha256: str
    values: dict[str, dict[str, str]]
    directory: str
    salt: str
    nonce: str
    deadline: datetime | None
    replay: str | None
    ended: str | None = None
    lab: tuple[str, ...] | None = None

    @property
    def carrier(self) -> str:
        """The name of the property of pytest's reports in which results travel."""
        return f"readiness-{self.nonce}"


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

    def answer(self, fixture: str) -> msgspec.Struct:
        """Return the answer of the question of a fixture. Raises ProbeError or NotChecked."""
        return self.asker.answer(fixture)


@dataclass(slots=True)
class Seen:
    """What the controller has seen beside the results of items.

    lost: node id -> why its worker gave no result. item_failures: of the failures that pytest
    counts, those of items. other_failures: node ids of those that no item stands for. broken:
    modules that could not be collected. refused: why the run was ended before any question.
    traffic: the requests that all processes have sent.
    """

    lost: dict[str, str] = field(default_factory=dict)
    item_failures: int = 0
    other_failures: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    refused: str | None = None
    traffic: tuple[model.Traffic, ...] = ()


_FROM_ENVIRONMENT = re.compile(r"\$\{env:(\w+)\}")
CONTEXT = pytest.StashKey[Context]()


def context_of(config: pytest.Config) -> Context | None:
    """Return the context of the active run, None where the checklist is not asked for."""
    return config.stash.get(CONTEXT, None)


def new_plan(settings: Settings, directory: Path, *, replay: str | None) -> Plan:
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
        nonce=secrets.token_hex(16),
        deadline=None if replay is not None else started + settings.readiness.deadline,
        replay=replay,
    )


def enter(plan: Plan) -> Context:
    """Make the context of a plan in this process. Raises SettingsError."""
    settings = from_values(
        plan.values, origin=plan.origin, base=Path(plan.base), resolve=plan.replay is None
    )
    redactor = of_run(bytes.fromhex(plan.salt), settings.secrets())
    recorded = plan.replay is not None
    store = FactStore(Path(plan.directory), redactor, deadline=plan.deadline, recorded=recorded)
    return Context(plan, settings, redactor, store, Asker(settings, store, plan.id))


def listing_redactor(settings: Settings) -> Redactor:
    """Return a redactor for what only lists items: these settings hold no secret that is a file."""
    redactor = of_run(secrets.token_bytes(16), settings.secrets())
    text = " ".join(text for section in settings.values.values() for text in section.values())
    redactor.learn(os.environ.get(name, "") for name in _FROM_ENVIRONMENT.findall(text))
    return redactor
