"""What can go wrong, one tree: every message says what to change.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path


class ReadinessError(Exception):
    """Base of all errors of this package."""


class ProbeErrorKind(StrEnum):
    """Why a question has no answer. Each is told apart because each has another remedy."""

    UNREACHABLE = "unreachable"  # name does not resolve, refused, reset, no route
    TIMEOUT = "timed out"
    UNTRUSTED = "TLS not trusted"
    UNAUTHORIZED = "unauthorized"  # 401: who are you
    FORBIDDEN = "forbidden"  # 403, missing grant: you may not
    THROTTLED = "throttled"
    ABSENT = "not there"  # the API, table or object asked for does not exist
    MALFORMED = "malformed"  # an answer, but not one that can be read
    UNAVAILABLE = "unavailable"  # 5xx: it answers that it cannot
    IDENTITY = "another system"  # the identity lock does not match
    BROKE = "probe broke"  # our own tool failed

    @property
    def code(self) -> str:
        """The word for programs, which stays when the words for people change."""
        return self.name.lower()


class Why(StrEnum):
    """Why an item has neither passed nor failed; the sentence beside it may change, this may not.

    An error whose question has no answer has the code of its ProbeErrorKind instead.
    """

    NOT_SELECTED = "not-selected"
    NO_RUN = "no-run"  # none of those that are merged was asked for it
    NO_CHECK = "no-check"
    NO_TARGET = "no-target"
    NO_DECLARATION = "no-declaration"
    DECLARATION = "declaration"  # there is one, and it does not count
    SAFETY = "safety-ceiling"
    ELSEWHERE = "elsewhere"  # a run of another environment judges it
    DEADLINE = "deadline"
    NOT_RECORDED = "not-recorded"  # a replay has no answer to judge
    NO_ANSWER = "no-answer"  # a fixture gave None
    NOTHING_EXAMINED = "nothing-examined"
    NO_EVIDENCE = "no-evidence"
    SKIPPED = "skipped"
    XFAIL = "xfail"
    LOST = "worker-lost"
    NOT_COLLECTED = "not-collected"
    MISSING = "missing"  # a check of the project that is owed, and that nobody brought
    LEFT_OUT = "left-out"
    NOT_RUN = "not-run"
    KILLED = "killed"
    TOO_OLD = "too-old"
    DEFECT = "defect"  # the check or its fixture broke
    INI = "not-applicable-by-ini"
    RULE = "not-applicable-by-rule"


# After one of these no other question to the same target can do better.
_WHOLE_TARGET = frozenset(
    {
        ProbeErrorKind.UNREACHABLE,
        ProbeErrorKind.UNTRUSTED,
        ProbeErrorKind.UNAUTHORIZED,
        ProbeErrorKind.IDENTITY,
    }
)


class ProbeError(ReadinessError):
    """A question that could not be asked, or whose answer cannot be read.

    target: the system and where it was looked for, `kubernetes https://10.0.0.1:6443`.
    question: what was asked, `list nodes`.
    cause: what happened, one line without secrets or tracebacks.
    advice: what a person does next, one line or several (a snippet to apply).
    stops_target: no other question of this run is put to the target.
    """

    def __init__(
        self,
        kind: ProbeErrorKind,
        *,
        target: str,
        question: str,
        cause: str,
        advice: str,
        stops_target: bool | None = None,
    ) -> None:
        self.kind = kind
        self.target = target
        self.question = question
        self.cause = cause
        self.advice = advice
        self.stops_target = kind in _WHOLE_TARGET if stops_target is None else stops_target
        super().__init__(f"{target}: {question}: {kind}: {cause}")


def told(error: BaseException) -> str:
    """Return `TypeError: first line at file:line` of what broke, whatever its text is made of."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    at = f" at {Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}" if frame else ""
    return f"{type(error).__name__}: {first_line(error)}{at}"


def first_line(error: BaseException) -> str:
    """Return the first line of the error's text, empty when it has none."""
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # __str__ is foreign code, and the error itself is what matters
        return "an error whose text cannot be made"
    return lines[0] if lines else ""


class NotChecked(ReadinessError):
    """There is nothing to ask: the target is unset, the ceiling is too low, no check exists."""

    def __init__(self, why: Why, message: str) -> None:
        self.why = why
        super().__init__(message)


class NotJsonSafe(ReadinessError, TypeError):
    """Evidence that JSON cannot carry exactly."""


class NothingExamined(ReadinessError, ValueError):
    """A check that looked at an empty scope; silence is not a pass."""


class SettingsError(ReadinessError):
    """readiness.ini cannot be used.

    problems: one line each, `readiness.ini:LINE: message`, all that are wrong with the file.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        """Return the problems, one a line."""
        return "\n".join(self.problems)
