"""The change language of the Kubernetes half of the lab: how a fault alters a healthy world.

A fault's key `kubernetes:` holds a list; each entry is a mapping with exactly one of these keys.
They are applied in order, each to the result of the one before.

    kubernetes:
      # JSON merge patch (RFC 7386) into the objects named; no `name`: into all of that kind.
      # A name that exists in two namespaces needs `namespace`.
      - merge: {kind: Node, name: n3, with: {spec: {unschedulable: true}}}
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

What `merge` does to lists, and the faults of `answer`, are explained in ../changes.py; here
`only: first` and `only: continue` limit an answer to list requests without and with a continue
token, and a message of `status` is that of a Status.

An unknown key, a value of the wrong type, or a merge or delete that finds nothing raises
WorldError.

PYTEST_DONT_REWRITE
"""

import copy
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import msgspec

from pytest_readiness.lab import changes as shared
from pytest_readiness.lab.changes import Fault as Fault
from pytest_readiness.lab.changes import WorldError, at, convert, each, merge_patch
from pytest_readiness.lab.exchange import Reply, Request, text_reply
from pytest_readiness.lab.kubernetes import status as k8s_status
from pytest_readiness.lab.kubernetes.discovery import HEALTH, bare

Object = dict[str, Any]

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
_MAJOR_MINOR = re.compile(r"v?(\d+)\.(\d+\+?)")


class PathAnswer(shared.PathAnswer, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault by path, which for lists may be that of their first page or of the others."""

    only: Literal["first", "continue"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fault is Fault.REFUSE and self.only:
            raise ValueError("the fault `refuse` closes the port: no `only`")

    def matches(self, request: Request) -> bool:
        """Tell whether this answers the request, `times` aside."""
        is_continued = bool(request.parameters.get("continue"))
        if self.only is not None and (self.only == "continue") != is_continued:
            return False
        return super().matches(replace(request, path=bare(request.path)))

    def refusal(self, request: Request, status: int) -> Reply:
        """Return a Status, and from the health endpoints the text that they fail with."""
        name = bare(request.path).split("/")[1]
        if name not in HEALTH:
            return k8s_status.failure(k8s_status.status(status, self.message))
        words = f"[-]etcd failed: reason withheld\n{name} check failed\n"
        return text_reply(self.message or words, status)


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
    for where, verb, argument in each(changes, tuple(_VERBS)):
        with at(where):
            state = _VERBS[verb](state, argument)
    return state


def _merge(state: Changed, argument: Any) -> Changed:
    which = convert(argument, _Merge)
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
    which = convert(argument, _Which)
    kept = [thing for thing in state.objects if not which.matches(thing)]
    if len(kept) == len(state.objects):
        raise WorldError(f"no object is {which}")
    if which.name is not None and len(state.objects) - len(kept) > 1:
        raise WorldError(f"more than one object is {which}; say which namespace")
    return state._replace(objects=kept)


def _version(state: Changed, argument: Any) -> Changed:
    patch = convert(argument, dict[str, Any])
    version = merge_patch(state.version, patch)
    parsed = _MAJOR_MINOR.match(str(patch.get("gitVersion")))
    if parsed is not None:
        implied = {"major": parsed[1], "minor": parsed[2]}
        version.update({key: value for key, value in implied.items() if key not in patch})
    return state._replace(version=version)


def _answer(state: Changed, argument: Any) -> Changed:
    return state._replace(answers=[*state.answers, convert(argument, PathAnswer)])


def _deny(state: Changed, argument: Any) -> Changed:
    return state._replace(denies=[*state.denies, convert(argument, Deny)])


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
