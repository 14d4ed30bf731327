"""The change language of the Kubernetes half of the lab: how a fault alters a healthy world.

A fault's key `kubernetes:` holds a list; each entry is a mapping with exactly one of these keys.
They are applied in order, each to the result of the one before.

    kubernetes:
      # JSON merge patch (RFC 7386) into the objects named; no `name`: into all of that kind.
      # A name that exists in two namespaces needs `namespace`.
      - merge: {kind: Node, name: n3, with: {spec: {unschedulable: true}}}
      # A mapping laid over a LIST patches the element whose `name`, `type` or `key` is that word;
      # null removes that element; a word no element bears is an error. A list replaces the list.
      - merge: {kind: Node, name: n3, with: {status: {conditions: {Ready: {status: "False"}}}}}
      - merge: {kind: Node, name: n3, with: {spec: {taints: [{key: a, effect: NoSchedule}]}}}
      - add: {apiVersion: v1, kind: Pod, metadata: {name: stray, namespace: st-risk}}
      - delete: {kind: NetworkPolicy, name: default-deny-ingress, namespace: st-risk}
      - delete: {kind: StorageClass}            # no name: all of the kind
      # Merge patch into the answer of /version; major and minor follow gitVersion unless given.
      - version: {gitVersion: v1.23.17}
      # The user of the lab may not; verb, resource or group "*" is any. `group` defaults to "",
      # without `namespace` it holds at every scope.
      - deny: {verb: list, resource: networkpolicies, group: networking.k8s.io}
      # Answers other than the true one, for every request whose path matches (fnmatch, no query).
      - answer: {path: /api/v1/nodes, fault: hang}
      - answer: {path: /api/v1/nodes, fault: status, status: 429, retry_after: 1, times: 2}
      - answer: {path: /api/v1/pods, fault: status, status: 410, only: continue, times: 1}
      - answer: {path: /api/v1/nodes, fault: bad-item, item: 1, value: {metadata: null}}

Faults of `answer`: hang (accepts, never answers), refuse (the port is closed; path must be "*"),
reset (RST instead of an answer), status (with `status`, optional `message` and `retry_after`
in seconds), garbage (200 and no JSON), truncated (Content-Length promises more than is sent),
gzip-cut (a gzip body without its end), huge (`size` bytes, default 256 MiB), slow (the true answer
in pieces over `seconds`), bad-item (item number `item` of the list, from 0, becomes `value`),
null-items (`items: null`), body (200 and `value` as JSON). `times: N` limits any of them but
refuse to the first N matching requests; `only: first` and `only: continue` limit it to list
requests without and with a continue token. The first answer that matches a request is used.

An unknown key, a value of the wrong type, or a merge or delete that finds nothing raises
WorldError.

PYTEST_DONT_REWRITE
"""

import copy
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from pytest_readiness.errors import ReadinessError

Object = dict[str, Any]
Parsed = TypeVar("Parsed")

# The answer of /version where a world or a test says nothing else.
VERSION: Object = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.3",
    "gitCommit": "5d3dca0b3f1c2f3b7f8b9d3c0e5a4b6c7d8e9f00",
    "gitTreeState": "clean",
    "buildDate": "2026-10-14T09:12:31Z",
    "goVersion": "go1.26.8",
    "compiler": "gc",
    "platform": "linux/amd64",
}
_ELEMENT_KEYS = ("name", "type", "key")
_MAJOR_MINOR = re.compile(r"v?(\d+)\.(\d+\+?)")


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
    only: Literal["first", "continue"] | None = None
    item: int = 0
    value: Any = None
    size: int = 256 * 1024 * 1024
    seconds: float = 5.0

    def __post_init__(self) -> None:
        if (self.fault is Fault.STATUS) != (self.status is not None):
            raise ValueError("`status` belongs to the fault `status`, which cannot do without it")
        if self.fault is Fault.REFUSE and (self.path != "*" or self.times or self.only):
            raise ValueError('the fault `refuse` closes the port: path "*", no `times`, no `only`')

    def matches(self, path: str, *, has_continue: bool) -> bool:
        """Tell whether this answers a request of that path, `times` aside."""
        if self.only is not None and (self.only == "continue") != has_continue:
            return False
        return fnmatchcase(path, self.path)


class Deny(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the user may not do. resource may name a subresource: `pods/log`."""

    verb: str
    resource: str
    group: str = ""
    namespace: str | None = None

    def matches(self, verb: str, group: str, resource: str, namespace: str | None) -> bool:
        """Tell whether the rule forbids this request; namespace None is the cluster scope."""
        return (
            self.verb in (verb, "*")
            and self.group in (group, "*")
            and self.resource in (resource, "*")
            and self.namespace in (None, namespace)
        )


class Changed(NamedTuple):
    """A world after its changes; version is the whole answer of /version."""

    objects: list[Object]
    version: Object
    answers: list[PathAnswer]
    denies: list[Deny]


class _Which(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: str
    name: str | None = None
    namespace: str | None = None

    def matches(self, thing: Object) -> bool:
        metadata = thing["metadata"]
        return (
            thing["kind"] == self.kind
            and self.name in (None, metadata["name"])
            and self.namespace in (None, metadata.get("namespace"))
        )

    def __str__(self) -> str:
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)


class _Merge(_Which, frozen=True, kw_only=True, forbid_unknown_fields=True):
    patch: dict[str, Any] = msgspec.field(name="with")


def apply_changes(
    objects: Iterable[Object], changes: Sequence[Mapping[str, Any]], version: Object | None = None
) -> Changed:
    """Apply the changes in order and return the new world; the one given stays as it is.

    version is the world's own answer of /version, default VERSION.
    Raises WorldError, naming the number of the change (from 0), when one cannot be applied.
    """
    state = Changed(list(objects), dict(VERSION if version is None else version), [], [])
    for number, change in enumerate(changes):
        if not isinstance(change, Mapping) or len(change) != 1:
            raise WorldError(f"change {number}: exactly one of {', '.join(_VERBS)} is needed")
        ((verb, argument),) = change.items()
        if verb not in _VERBS:
            raise WorldError(f"change {number}: unknown {verb!r}; known: {', '.join(_VERBS)}")
        try:
            state = _VERBS[verb](state, argument)
        except WorldError as error:
            raise WorldError(f"change {number}, {verb}: {error}") from None
    return state


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


def _merge(state: Changed, argument: Any) -> Changed:
    which = _parse(_Merge, argument)
    found = [thing for thing in state.objects if which.matches(thing)]
    if not found:
        raise WorldError(f"no object is {which}")
    if which.name is not None and len(found) > 1:
        raise WorldError(f"{len(found)} objects are {which}; say which namespace")
    objects = [
        merge_patch(thing, which.patch) if which.matches(thing) else thing
        for thing in state.objects
    ]
    return state._replace(objects=objects)


def _add(state: Changed, argument: Any) -> Changed:
    if not isinstance(argument, Mapping):
        raise WorldError("an object is needed")
    added = copy.deepcopy(dict(argument))
    check_object(added)
    if any(identity(thing) == identity(added) for thing in state.objects):
        raise WorldError(f"{'/'.join(filter(None, identity(added)))} is there already; use merge")
    return state._replace(objects=[*state.objects, added])


def _delete(state: Changed, argument: Any) -> Changed:
    which = _parse(_Which, argument)
    kept = [thing for thing in state.objects if not which.matches(thing)]
    if len(kept) == len(state.objects):
        raise WorldError(f"no object is {which}")
    if which.name is not None and len(state.objects) - len(kept) > 1:
        raise WorldError(f"more than one object is {which}; say which namespace")
    return state._replace(objects=kept)


def _version(state: Changed, argument: Any) -> Changed:
    patch = _parse(dict[str, Any], argument)
    version = merge_patch(state.version, patch)
    parsed = _MAJOR_MINOR.match(str(patch.get("gitVersion")))
    if parsed is not None:
        implied = {"major": parsed[1], "minor": parsed[2]}
        version.update({key: value for key, value in implied.items() if key not in patch})
    return state._replace(version=version)


def _answer(state: Changed, argument: Any) -> Changed:
    return state._replace(answers=[*state.answers, _parse(PathAnswer, argument)])


def _deny(state: Changed, argument: Any) -> Changed:
    return state._replace(denies=[*state.denies, _parse(Deny, argument)])


_VERBS: dict[str, Callable[[Changed, Any], Changed]] = {
    "merge": _merge,
    "add": _add,
    "delete": _delete,
    "version": _version,
    "answer": _answer,
    "deny": _deny,
}


def check_object(thing: Any) -> None:
    """Raise WorldError unless thing has apiVersion, kind and metadata.name."""
    if not isinstance(thing, Mapping) or not isinstance(thing.get("metadata"), Mapping):
        raise WorldError(f"not an object of Kubernetes: {str(thing)[:80]}")
    for value in (thing.get("apiVersion"), thing.get("kind"), thing["metadata"].get("name")):
        if not isinstance(value, str) or not value:
            raise WorldError(f"apiVersion, kind or metadata.name is missing: {str(thing)[:80]}")


def identity(thing: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Return (apiVersion, kind, namespace or "", name)."""
    metadata = thing["metadata"]
    return thing["apiVersion"], thing["kind"], metadata.get("namespace") or "", metadata["name"]


def _parse(wanted: type[Parsed], argument: Any) -> Parsed:
    try:
        return msgspec.convert(argument, wanted)
    except msgspec.ValidationError as error:
        raise WorldError(str(error)) from None
