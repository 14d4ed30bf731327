"""A system as readiness.ini knows it: its keys, its questions, the words of its commands.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

import msgspec


class Question(NamedTuple):
    """One question that can be put to a system.

    name: of the function in its probe; behind the prefix of the section, of the fixture and of
    the record. answer: the fact. text: what is asked, in words. command: what a person types to
    see the same. Both are filled in, as `str.format` does, with `Section.words`.
    """

    name: str
    answer: type[msgspec.Struct]
    text: str
    command: str


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A section of readiness.ini that is a target; its fields are its keys (see `Key`).

    PREFIX: of its fixtures, `PREFIX_QUESTION` and `PREFIX_limits`. QUESTIONS: all there are. The
    first is the gate: it says who answers, and no other is put where it finds the target unusable.
    SAME: fields of its answer in which all runs of one environment agree, and what they name.
    """

    PREFIX: ClassVar[str]
    QUESTIONS: ClassVar[tuple[Question, ...]]
    SAME: ClassVar[Mapping[str, str]] = {}

    def words(self) -> Mapping[str, str]:
        """Return what fills the braces of texts and commands; `at` is where the system is."""
        raise NotImplementedError

    @classmethod
    def contradictions(cls, written: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """Return key and message for what is wrong between the keys that are written.

        written: key -> value, None where the value is wrong by itself.
        """
        return ()

    @classmethod
    def is_lab(cls, identity: Mapping[str, Any]) -> bool:
        """Say whether the recorded answer of the gate is one of the lab."""
        return False
