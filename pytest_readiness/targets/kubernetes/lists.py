"""Lists of a Kubernetes API: pages of 500, each object decoded by itself.

PYTEST_DONT_REWRITE
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from pytest_readiness.errors import ProbeErrorKind
from pytest_readiness.targets.kubernetes import errors
from pytest_readiness.targets.kubernetes.client import Question
from pytest_readiness.targets.kubernetes.errors import Right
from pytest_readiness.targets.kubernetes.facts import Unreadable
from pytest_readiness.transport.failures import one_line

Wire = TypeVar("Wire")
Kept = TypeVar("Kept")
Item = TypeVar("Item")

PAGE = 500
MAX_OBJECTS = 500_000  # a list that goes on past this is no cluster, whatever it sends
_RESTARTS = 2


class _ListMeta(msgspec.Struct):
    continue_: str | None = msgspec.field(default=None, name="continue")
    remaining: int | None = msgspec.field(default=None, name="remainingItemCount")


class _Page(msgspec.Struct, Generic[Item]):
    kind: str = ""
    metadata: _ListMeta | None = None
    items: list[Item] | None = None


class _Named(msgspec.Struct):
    name: str


class _Nameable(msgspec.Struct):
    metadata: _Named


_RAW_PAGE = msgspec.json.Decoder(_Page[msgspec.Raw])
_NAMEABLE = msgspec.json.Decoder(_Nameable)


class _Request(NamedTuple):
    path: str
    labels: str | None
    right: Right | None


class _Expired(Exception):
    """The continue token no longer holds; what has been read is a mix of states."""


def objects(
    question: Question,
    path: str,
    wire: type[Wire],
    keep: Callable[[Wire], None],
    *,
    labels: str | None = None,
    right: Right | None = None,
    start: Callable[[], None] | None = None,
) -> tuple[Unreadable, ...]:
    """Hand each object of a list to `keep`, decoded as `wire`, and return those that cannot be.

    `keep` raises ValueError for an object it cannot make sense of.

    labels: a label selector. right: what the list needs, where it is not what the question needs.
    An expired continue token (410) restarts the list, twice at most; `start` is called each time
    it begins. A body without JSON or without a list is MALFORMED; `items: null`, or no items, of
    a kind ending in List is the empty list, as in k8s.io/apimachinery. So is a page that says that
    objects remain and has no token to ask for them (meta/v1 ListMeta: the last page leaves
    remainingItemCount unset). Raises ProbeError.
    """
    decoders = _Decoders(wire)
    request = _Request(path, labels, right)
    for _ in range(_RESTARTS + 1):
        if start is not None:
            start()
        try:
            return _one_pass(question, request, decoders, keep)
        except _Expired:
            continue
    raise question.asked.error(
        ProbeErrorKind.UNAVAILABLE,
        f"the list expired on the server before it was read (HTTP 410), {_RESTARTS + 1} times",
        "Run again when the API server is less busy.",
    )


def collect(
    question: Question,
    path: str,
    wire: type[Wire],
    convert: Callable[[Wire], Kept],
    *,
    labels: str | None = None,
    right: Right | None = None,
) -> tuple[tuple[Kept, ...], tuple[Unreadable, ...]]:
    """Return the objects of a list, converted, and those that cannot be read. Raises ProbeError."""
    found: list[Kept] = []

    def keep(item: Wire) -> None:
        found.append(convert(item))

    unreadable = objects(question, path, wire, keep, labels=labels, right=right, start=found.clear)
    return tuple(found), unreadable


class _Decoders(Generic[Wire]):
    """Decodes a page at once, and object by object where the page holds a malformed one.

    At once takes half the time; it fails as a whole, and says of which object only its place.
    """

    def __init__(self, wire: type[Wire]) -> None:
        page_type: Any = _Page[wire]  # type: ignore[valid-type]
        self._page = msgspec.json.Decoder(page_type)
        self._object = msgspec.json.Decoder(wire)

    def page(self, body: bytes) -> tuple[_Page[Any], Callable[[Any], Wire]]:
        """Return the page, and how to get an object of its items. Raises DecodeError."""
        try:
            return self._page.decode(body), lambda item: item
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _RAW_PAGE.decode(body), self._object.decode


def _one_pass(
    question: Question,
    request: _Request,
    decoders: _Decoders[Wire],
    keep: Callable[[Wire], None],
) -> tuple[Unreadable, ...]:
    unreadable: list[Unreadable] = []
    token: str | None = None
    count = 0
    while token is None or token:
        body = _body(question, request, token)
        with _without_gc():
            page, decode = _page(question, decoders, body)
            for item in page.items or ():
                try:
                    keep(decode(item))
                except (msgspec.DecodeError, ValueError) as error:
                    problem = one_line(error)
                    unreadable.append(Unreadable(name=_name(item, count), problem=problem))
                count += 1
        if count > MAX_OBJECTS:
            raise question.asked.malformed(f"the list has no end: over {MAX_OBJECTS} objects")
        question.check_time()
        token = _next(question, page.metadata or _ListMeta())
    return tuple(unreadable)


def _body(question: Question, request: _Request, token: str | None) -> bytes:
    query: dict[str, str | int] = {"limit": PAGE}
    if request.labels:
        query["labelSelector"] = request.labels
    if token:
        query["continue"] = token
    status, body = question.get(request.path, query, right=request.right)
    if status == 410:
        raise _Expired
    if status != 200:
        raise errors.of_status(question.needing(request.right), status, body, None)
    return body


def _page(
    question: Question, decoders: _Decoders[Wire], body: bytes
) -> tuple[_Page[Any], Callable[[Any], Wire]]:
    try:
        page, decode = decoders.page(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem = one_line(error)
        raise question.asked.malformed(f"no list of objects: {problem}") from None
    if page.items is None and not page.kind.endswith("List"):
        raise question.asked.malformed(f"no list of objects: kind {page.kind!r} without items")
    return page, decode


def _next(question: Question, metadata: _ListMeta) -> str:
    """Return the token of the next page, empty after the last."""
    if not metadata.continue_ and (metadata.remaining or 0) > 0:
        raise question.asked.malformed(
            f"the list breaks off: {metadata.remaining} objects remain, and no token leads to them"
        )
    return metadata.continue_ or ""


def _name(item: Any, place: int) -> str:
    """Return the name of an object that is not decoded, or was and made no sense, or its place."""
    raw = item if isinstance(item, msgspec.Raw) else msgspec.json.encode(item)
    try:
        return _NAMEABLE.decode(raw).metadata.name or f"#{place}"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"#{place}"


@contextmanager
def _without_gc() -> Iterator[None]:
    """Decode without the cyclic collector: it is most of the cost, and nothing here has cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
