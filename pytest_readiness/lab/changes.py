"""How a fault changes the world of an HTTP target: what the change languages of the lab share.

A fault's key `NAME:` holds a list; each entry is a mapping of one key, applied in order. A target
that is no more than routes (see exchange.py) knows these two:

    prometheus:
      # JSON merge patch (RFC 7386) into what a route says.
      - merge: {route: GET /api/v1/rules, with: {data: {groups: []}}}
      # A mapping laid over a LIST patches the element whose `name`, `type` or `key` is that word;
      # null removes that element; a word no element bears is an error. A list replaces the list.
      - merge: {route: GET /api/v1/rules, with: {data: {groups: {api: {rules: []}}}}}
      # Answers other than the true one, for every request whose path matches (fnmatch, no query).
      - answer: {path: /api/v1/rules, fault: hang}
      - answer: {path: /api/*, fault: status, status: 429, retry_after: 1, times: 2}

Faults of `answer`: hang (accepts, never answers), refuse (the port is closed; path must be "*"),
reset (RST instead of an answer), status (with `status`, optional `message` and `retry_after`
in seconds), garbage (200 and no JSON), truncated (Content-Length promises more than is sent),
gzip-cut (a gzip body without its end), huge (`size` bytes, default 256 MiB), slow (the true answer
in pieces over `seconds`), content-type (the true answer, said to be HTML), bad-item (item number
`item` of a JSON answer's `items`, from 0, becomes `value`), null-items (`items: null`), body (200
and `value` as JSON). `times: N` limits any of them but refuse to the first N matching requests.
The first answer that matches a request is used.

An unknown key, or a value of the wrong type, raises WorldError.

PYTEST_DONT_REWRITE
"""

import copy
import gzip
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec

from pytest_readiness.errors import ReadinessError
from pytest_readiness.lab.exchange import HANG, RESET, Reply, Request, Responder, text_reply

Parsed = TypeVar("Parsed")
_ELEMENT_KEYS = ("name", "type", "key")
_PIECES = 20
# A list of one object, as Kubernetes has it: whoever reads the beginning has to read on.
_HUGE_HEAD = b'{"kind":"List","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"'
_HUGE_TAIL = b'"}}]}'


class WorldError(ReadinessError):
    """A world, or a change of it, that makes no sense; the message says where."""


class Fault(StrEnum):
    """What comes instead of the true answer."""

    HANG = "hang"
    REFUSE = "refuse"
    RESET = "reset"
    STATUS = "status"
    GARBAGE = "garbage"
    TRUNCATED = "truncated"
    GZIP_CUT = "gzip-cut"
    HUGE = "huge"
    SLOW = "slow"
    CONTENT_TYPE = "content-type"
    BAD_ITEM = "bad-item"
    NULL_ITEMS = "null-items"
    BODY = "body"


class PathAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault by path; the module docstring says what each field means to which fault."""

    path: str
    fault: Fault
    status: int | None = None
    message: str | None = None
    retry_after: int | None = None
    times: int | None = None
    item: int = 0
    value: Any = None
    size: int = 256 * 1024 * 1024
    seconds: float = 5.0

    def __post_init__(self) -> None:
        if (self.fault is Fault.STATUS) != (self.status is not None):
            raise ValueError("`status` belongs to the fault `status`, which cannot do without it")
        if self.fault is Fault.REFUSE and (self.path != "*" or self.times):
            raise ValueError('the fault `refuse` closes the port: path "*", no `times`')

    def matches(self, request: Request) -> bool:
        """Tell whether this answers the request, `times` aside."""
        return fnmatchcase(request.path, self.path)

    def refusal(self, request: Request, status: int) -> Reply:
        """Return the reply of the fault `status`, in the words of the target."""
        return text_reply(self.message or HTTPStatus(status).phrase, status)

    def reply(self, request: Request, answer: Responder) -> Reply:
        """Return what comes instead of the true answer."""
        match self.fault:
            case Fault.HANG:
                return HANG
            case Fault.RESET:
                return RESET
            case Fault.GARBAGE:
                return Reply(200, b"<html><body>It works!</body></html>\x00\xff{")
            case Fault.BODY:
                return Reply(200, msgspec.json.encode(self.value))
            case Fault.HUGE:
                return Reply(200, _filled(self.size), length=self.size)
        if self.status is not None:
            refusal = self.refusal(request, self.status)
            after = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
            return replace(refusal, headers={**refusal.headers, **after})
        # Not packed: what is cut or altered shall not depend on what the client accepts.
        headers = {name: it for name, it in request.headers.items() if name != "accept-encoding"}
        return self._spoiled(answer(replace(request, headers=headers)))

    def _spoiled(self, reply: Reply) -> Reply:
        body = reply.whole()
        match self.fault:
            case Fault.SLOW:
                return replace(reply, body=_dripped(body, self.seconds), length=len(body))
            case Fault.TRUNCATED:
                return replace(reply, body=body[: len(body) // 2], length=len(body) or 1)
            case Fault.GZIP_CUT:
                packed = gzip.compress(body, 1, mtime=0)
                headers = {**reply.headers, "Content-Encoding": "gzip"}
                return replace(reply, body=packed[: len(packed) * 3 // 4], headers=headers)
            case Fault.CONTENT_TYPE:
                return replace(reply, content_type="text/html; charset=utf-8")
        return replace(reply, body=self._with_items(body))

    def _with_items(self, body: bytes) -> bytes:
        try:
            document = msgspec.json.decode(body)
        except msgspec.DecodeError:
            return body  # a reply in text has no items
        items = document.get("items") if isinstance(document, dict) else None
        if not isinstance(items, list):
            return body
        if self.fault is Fault.NULL_ITEMS:
            document["items"] = None
        elif self.item < len(items):
            items[self.item] = self.value
        return msgspec.json.encode(document)


def faulty(answer: Responder, faults: Sequence[PathAnswer]) -> Responder:
    """Return what answers with the faults, each as often as it may be used, and else as before."""
    left = [fault.times for fault in faults]
    lock = threading.Lock()

    def taken(request: Request) -> PathAnswer | None:
        with lock:
            for number, fault in enumerate(faults):
                times = left[number]
                if times != 0 and fault.matches(request):
                    left[number] = None if times is None else times - 1
                    return fault
        return None

    def reply(request: Request) -> Reply:
        fault = taken(request)
        return answer(request) if fault is None else fault.reply(request, answer)

    return reply


class _Merge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    route: str
    patch: dict[str, Any] = msgspec.field(name="with")


def changed(
    routes: Mapping[str, Any], changes: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Any], list[PathAnswer]]:
    """Return the routes after the changes, and the faults by path among these.

    Raises WorldError, naming the number of the change (from 0), when one cannot be applied.
    """
    table, faults = dict(routes), []
    for where, verb, argument in each(changes, ("merge", "answer")):
        with at(where):
            if verb == "answer":
                faults.append(convert(argument, PathAnswer))
                continue
            merge = convert(argument, _Merge)
            if not isinstance(table.get(merge.route), dict | list):
                raise WorldError(f"no route with JSON is {merge.route!r}; has: {', '.join(table)}")
            table[merge.route] = merge_patch(table[merge.route], merge.patch)
    return table, faults


def each(
    changes: Iterable[Mapping[str, Any]], verbs: Sequence[str]
) -> Iterator[tuple[str, str, Any]]:
    """Yield where a change stands, its verb and the argument of that. Raises WorldError."""
    known = ", ".join(verbs)
    for number, change in enumerate(changes):
        if not isinstance(change, Mapping) or len(change) != 1:
            raise WorldError(f"change {number}: exactly one of {known} is needed")
        ((verb, argument),) = change.items()
        if verb not in verbs:
            raise WorldError(f"change {number}: unknown {verb!r}; known: {known}")
        yield f"change {number}, {verb}", verb, argument


@contextmanager
def at(where: str) -> Iterator[None]:
    """Say where it is that a WorldError inside comes from."""
    try:
        yield
    except WorldError as error:
        raise WorldError(f"{where}: {error}") from None


def convert(value: object, wanted: type[Parsed]) -> Parsed:
    """Return the value as the type wanted. Raises WorldError."""
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        raise WorldError(str(error)) from None


def merge_patch(target: Any, patch: Any) -> Any:
    """Return target with the patch laid over it (RFC 7386, list elements by word added).

    Raises WorldError when a word names no element of a list, or more than one.
    """
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    if isinstance(target, list):
        return _merge_list(target, patch)
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def _merge_list(target: list[Any], patch: Mapping[str, Any]) -> list[Any]:
    merged = list(target)
    for word, value in patch.items():
        found = [at for at, element in enumerate(merged) if word in _words(element)]
        if len(found) != 1:
            known = ", ".join(word for element in merged for word in _words(element)[:1])
            raise WorldError(f"{len(found)} elements of the list are named {word!r}; has: {known}")
        if value is None:
            del merged[found[0]]
        else:
            merged[found[0]] = merge_patch(merged[found[0]], value)
    return merged


def _words(element: Any) -> list[str]:
    if not isinstance(element, Mapping):
        return []
    return [element[key] for key in _ELEMENT_KEYS if isinstance(element.get(key), str)]


def _dripped(body: bytes, seconds: float) -> Iterator[bytes | float]:
    size = -(-len(body) // _PIECES) or 1
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    for piece in pieces:
        yield seconds / len(pieces)
        yield piece


def _filled(size: int) -> Iterator[bytes]:
    yield _HUGE_HEAD
    left = size - len(_HUGE_HEAD) - len(_HUGE_TAIL)
    filler = b"x" * (1 << 20)
    while left > 0:
        yield filler[:left]
        left -= len(filler)
    yield _HUGE_TAIL
