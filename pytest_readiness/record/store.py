"""Facts of a run: each question asked once, whatever the number of workers, and recorded.

A record lies in `facts/NAME.json` of the run directory, redacted. Whoever needs it first asks,
under a lock for the target; all others, and a later replay, read. What checks judge is always
what the record says, so that a replay judges the same.

PYTEST_DONT_REWRITE
"""

import os
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from pytest_readiness.clock import now, rfc3339
from pytest_readiness.errors import NotChecked, ProbeError, ProbeErrorKind, Why, told
from pytest_readiness.record.redact import Redactor

SCHEMA = "pytest-readiness/fact/v1"
FOLDER = "facts"
NO_ANSWER = msgspec.Raw(b"null")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)  # not JSON, not of the type; not UTF-8
INDENTED = 1_000_000  # bytes; a longer record is for machines only


class Refusal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A ProbeError as it is recorded."""

    kind: ProbeErrorKind
    target: str
    question: str
    cause: str
    advice: str
    stops_target: bool

    def error(self) -> ProbeError:
        """Return it as the error it was."""
        return ProbeError(
            self.kind,
            target=self.target,
            question=self.question,
            cause=self.cause,
            advice=self.advice,
            stops_target=self.stops_target,
        )


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A question ready to be put: what the record says of it, and the call that asks.

    answer: the type that the record must decode to. command: what a person types to see the same.
    """

    name: str
    target: str
    source: str
    question: str
    command: str
    answer: type[msgspec.Struct]
    ask: Callable[[], msgspec.Struct]


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One recorded question: answered, refused, or never put, and why. duration: seconds."""

    schema: str
    name: str
    target: str
    source: str
    question: str
    command: str
    type: str
    asked_at: str
    duration: float
    answer: msgspec.Raw = NO_ANSWER
    refusal: Refusal | None = None
    unasked: str | None = None

    @property
    def path(self) -> str:
        """Where it lies in the run directory."""
        return f"{FOLDER}/{self.name}.json"


class FactStore:
    """Facts of one run directory. folder: where they lie.

    deadline: no question is put after it. recorded: the store of a replay, which never asks.
    """

    def __init__(
        self, directory: Path, redactor: Redactor, *, deadline: datetime | None, recorded: bool
    ) -> None:
        self.folder = directory / FOLDER
        self._redactor = redactor
        self._deadline = deadline
        self._recorded = recorded
        self._read: dict[str, tuple[Record, msgspec.Struct | None]] = {}

    def answer(self, ask: Ask) -> msgspec.Struct:
        """Return the answer, asking at most once a run.

        Raises ProbeError when it could not be asked, or when a question before it found the whole
        target unusable; NotChecked when the deadline has passed or a replay has no record.
        """
        record, value = self._read.get(ask.name) or self._fetch(ask)
        self._read[ask.name] = record, value
        if record.refusal is not None:
            raise record.refusal.error()
        assert value is not None  # a record has an answer or a refusal, _decode saw to it
        return value

    def record(self, name: str) -> Record | None:
        """Return the record of a question that this process has used."""
        read = self._read.get(name)
        return read[0] if read else None

    def learn(self, secrets: Iterable[str]) -> None:
        """Keep these values out of everything that is recorded or shown from now on."""
        self._redactor.learn(secrets)

    def said(self, name: str) -> dict[str, Any]:
        """Return an answer as it is recorded, {} where there is none or it cannot be read."""
        path = self.folder / f"{name}.json"
        try:
            answer = msgspec.json.decode(_load(path).answer)
        except (ProbeError, *_UNREADABLE):
            return {}  # the items that need it say so
        return answer if isinstance(answer, dict) else {}

    def _fetch(self, ask: Ask) -> tuple[Record, msgspec.Struct | None]:
        path = self.folder / f"{ask.name}.json"
        if self._recorded:
            return self._replayed(ask, path)
        from filelock import FileLock

        with FileLock(self.folder / f".{ask.target}.lock"):
            if not path.exists():
                self._stop_if_down(ask.target)
                self._put(ask, path)
            return self._decode(path, ask)

    def _replayed(self, ask: Ask, path: Path) -> tuple[Record, msgspec.Struct | None]:
        if path.exists():
            return self._decode(path, ask)
        self._stop_if_down(ask.target)
        raise NotChecked(Why.NOT_RECORDED, f"{ask.name} was not asked in the recorded run")

    def _put(self, ask: Ask, path: Path) -> None:
        if self._deadline is not None and now() > self._deadline:
            late = f"the deadline of the run passed before {ask.question!r} was asked"
            _write(path, self._recorded_as(ask, now(), 0.0, unasked=self._redactor.text(late)))
            return
        asking = self.folder / f".{ask.name}.asking"
        asking.write_text(f"{ask.source}: {ask.question}", encoding="utf-8")
        try:
            record = self._asked(ask)
        finally:
            asking.unlink()
        _write(path, record)
        if record.refusal is not None and record.refusal.stops_target:
            _write(self._down(ask.target), record)

    def _asked(self, ask: Ask) -> Record:
        started, clock = now(), time.monotonic()
        answer = NO_ANSWER
        refusal: Refusal | None = None
        try:
            answer = msgspec.Raw(self._redactor.encoded(msgspec.json.encode(ask.ask())))
        except ProbeError as error:
            refusal = self._refusal(error)
        except Exception as error:
            # A probe that breaks in a way it does not know of itself is our fault, and still no
            # answer. The text is ours to redact, the traceback is not shown.
            refusal = self._refusal(_broken(ask, error))
        return self._recorded_as(
            ask, started, time.monotonic() - clock, answer=answer, refusal=refusal
        )

    def _recorded_as(
        self,
        ask: Ask,
        started: datetime,
        seconds: float,
        *,
        answer: msgspec.Raw = NO_ANSWER,
        refusal: Refusal | None = None,
        unasked: str | None = None,
    ) -> Record:
        clean = self._redactor.text
        return Record(
            schema=SCHEMA,
            name=ask.name,
            target=ask.target,
            source=clean(ask.source),
            question=clean(ask.question),
            command=clean(ask.command),
            type=ask.answer.__name__,
            asked_at=rfc3339(started),
            duration=round(seconds, 6),
            answer=answer,
            refusal=refusal,
            unasked=unasked,
        )

    def _refusal(self, error: ProbeError) -> Refusal:
        clean = self._redactor.text
        return Refusal(
            kind=error.kind,
            target=clean(error.target),
            question=clean(error.question),
            cause=clean(error.cause),
            advice=clean(error.advice),
            stops_target=error.stops_target,
        )

    def _down(self, target: str) -> Path:
        return self.folder / f"{target}.down.json"

    def _stop_if_down(self, target: str) -> None:
        path = self._down(target)
        if path.exists():
            refusal = _load(path).refusal
            if refusal is None:
                _unreadable(path, "it says neither answer nor refusal")
            raise refusal.error()

    def _decode(self, path: Path, ask: Ask) -> tuple[Record, msgspec.Struct | None]:
        record = _load(path)
        if record.unasked is not None:
            raise NotChecked(Why.DEADLINE, record.unasked)
        if record.refusal is not None:
            return record, None
        if record.answer == NO_ANSWER:
            _unreadable(path, "it says neither answer nor refusal")
        if record.type != ask.answer.__name__:
            _unreadable(path, f"it is a {record.type}, expected {ask.answer.__name__}")
        try:
            return record, msgspec.json.decode(record.answer, type=ask.answer)
        except _UNREADABLE as error:
            _unreadable(path, str(error))


def leave_refusal(path: Path, cause: str, at: str) -> None:
    """Record in the place of a fact that it is not to be believed. at: RFC 3339."""
    refusal = _distrust(path, cause, "Replay a copy of the run as it was written.")
    record = Record(
        schema=SCHEMA,
        name=path.stem,
        target=refusal.target,
        source=refusal.target,
        question=refusal.question,
        command=f"sha256sum {refusal.target}",
        type="",
        asked_at=at,
        duration=0.0,
        refusal=refusal,
    )
    _write(path, record)


def _load(path: Path) -> Record:
    try:
        record = msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, *_UNREADABLE) as error:
        _unreadable(path, str(error))
    if record.schema != SCHEMA:
        _unreadable(path, f"schema {record.schema!r}, this version reads {SCHEMA!r}")
    return record


def _unreadable(path: Path, problem: str) -> NoReturn:
    advice = "Replay with the version of pytest-readiness that recorded it."
    raise _distrust(path, problem, advice).error()


def _distrust(path: Path, cause: str, advice: str) -> Refusal:
    return Refusal(
        kind=ProbeErrorKind.MALFORMED,
        target=f"{FOLDER}/{path.name}",
        question="read the recorded fact",
        cause=cause,
        advice=advice,
        stops_target=False,
    )


def _broken(ask: Ask, error: Exception) -> ProbeError:
    return ProbeError(
        ProbeErrorKind.BROKE,
        target=ask.source,
        question=ask.question,
        cause=told(error),
        advice="This is a defect of the probe: report it with this line.",
        stops_target=False,
    )


def _write(path: Path, record: Record) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    encoded = msgspec.json.encode(record, order="deterministic")
    if len(encoded) < INDENTED:
        encoded = msgspec.json.format(encoded, indent=1)
    temporary.write_bytes(encoded + b"\n")
    temporary.replace(path)
