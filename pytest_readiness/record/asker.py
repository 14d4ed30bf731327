"""From settings and probes to recorded facts.

PYTEST_DONT_REWRITE
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from pytest_readiness.errors import NotChecked, ProbeError, ProbeErrorKind, Why
from pytest_readiness.record.store import Ask, FactStore
from pytest_readiness.settings import Settings
from pytest_readiness.targets import Target, questions
from pytest_readiness.targets.section import Question, Section
from pytest_readiness.transport.caller import Caller


class Asker:
    """Puts questions for one process of a run; a client for each target is made on first use."""

    def __init__(self, settings: Settings, store: FactStore, run_id: str) -> None:
        self._settings = settings
        self._store = store
        self._caller = Caller(run_id, settings.readiness.timeout, settings.origins(), store.folder)
        self._clients: dict[str, Any] = {}

    def answer(self, fixture: str) -> msgspec.Struct:
        """Return the answer of the question of a fixture. Raises ProbeError or NotChecked."""
        target, question = questions()[fixture]
        section = self.limits(target.name)
        words = section.words()
        if fixture != target.gate:
            self._ask_gate(target, section, words)
        return self._store.answer(self._ask(target, question, section, words))

    def limits(self, target: str) -> Section:
        """Return the section of a target. Raises NotChecked when readiness.ini has none."""
        section = self._settings.targets.get(target)
        if section is None:
            raise NotChecked(Why.NO_TARGET, f"no [{target}] in readiness.ini")
        return section

    def _ask_gate(self, target: Target, section: Section, words: Mapping[str, str]) -> None:
        try:
            self._store.answer(self._ask(target, section.QUESTIONS[0], section, words))
        except ProbeError as error:
            if error.stops_target:
                raise

    def _ask(
        self, target: Target, question: Question, section: Section, words: Mapping[str, str]
    ) -> Ask:
        return Ask(
            name=target.fixture(question),
            target=target.name,
            source=f"{target.name} {words['at']}",
            question=question.text.format_map(words),
            command=question.command.format_map(words),
            answer=question.answer,
            ask=partial(self._put, target, question, section),
        )

    def _put(self, target: Target, question: Question, section: Section) -> msgspec.Struct:
        probe = target.probe()
        if target.name not in self._clients:
            try:
                client = probe.connect(section, self._caller)
            except ProbeError as error:
                # The next question would wait for a connection as long, and as much in vain.
                error.stops_target |= error.kind is ProbeErrorKind.TIMEOUT
                raise
            self._store.learn(client.secrets)
            self._clients[target.name] = client
        answer: msgspec.Struct = getattr(probe, question.name)(self._clients[target.name])
        return answer
