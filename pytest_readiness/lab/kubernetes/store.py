"""The objects of the lab's Kubernetes API: kept as bytes, selected, given out by pages.

A store never changes; its resourceVersion is one number, so a continue token of another store
has expired, as one has that outlived etcd's compaction.

PYTEST_DONT_REWRITE
"""

import base64
import binascii
import re
import uuid
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from pytest_readiness.lab.kubernetes.discovery import Resource, Resources
from pytest_readiness.lab.kubernetes.faults import check_object

Object = dict[str, Any]
Matcher = Callable[[Object], bool]
RESOURCE_VERSION = "48151"
_CREATED = "2026-03-02T08:00:00Z"
_UIDS = uuid.UUID("6f0c0c1e-2a5b-4b0e-9a44-0d1f6b7f8a10")
# Field selectors beside metadata.name and metadata.namespace, by plural
# (Kubernetes pkg/apis/core/v1/conversion.go and the registries' field sets).
_FIELDS = {
    "pods": (
        "spec.nodeName spec.restartPolicy spec.schedulerName spec.serviceAccountName "
        "spec.hostNetwork status.phase status.podIP status.nominatedNodeName"
    ),
    "nodes": "spec.unschedulable",
    "namespaces": "status.phase",
    "secrets": "type",
    "services": "spec.clusterIP spec.type",
    "replicasets": "status.replicas",
    "replicationcontrollers": "status.replicas",
    "jobs": "status.successful",
    "events": (
        "involvedObject.kind involvedObject.namespace involvedObject.name involvedObject.uid "
        "involvedObject.apiVersion involvedObject.resourceVersion involvedObject.fieldPath "
        "reason reportingComponent source type"
    ),
}
_SET_TERM = re.compile(r"(?P<key>\S+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)\Z")


class SelectorError(ValueError):
    """A selector that cannot be read, or a field that cannot be selected by: HTTP 400."""


class Expired(Exception):
    """A continue token of another time: HTTP 410."""


class BadToken(ValueError):
    """A continue token that is none: HTTP 400."""


class Item:
    """One object: its content and, made once when first asked for, its bytes."""

    __slots__ = ("_bytes", "content", "key")

    def __init__(self, content: Object) -> None:
        metadata = content["metadata"]
        self.content = content
        self.key = (metadata.get("namespace") or "", metadata["name"])
        self._bytes: bytes | None = None

    def json(self, *, with_type: bool) -> bytes:
        """Return the object as JSON; lists of built-in kinds leave kind and apiVersion out."""
        if self._bytes is None:
            bare = {k: v for k, v in self.content.items() if k not in ("kind", "apiVersion")}
            self._bytes = msgspec.json.encode(bare)
        if not with_type:
            return self._bytes
        kind, version = self.content["kind"], self.content["apiVersion"]
        return f'{{"kind":"{kind}","apiVersion":"{version}",'.encode() + self._bytes[1:]


class Page(NamedTuple):
    """Part of a list: its items, where to go on ("" at the end), how many are left after it."""

    items: Sequence[Item]
    next_token: str
    remaining: int | None


class Store:
    """The objects of a world, ready to be asked for.

    Fills in what an API server would: uid (the same for the same object in every lab),
    resourceVersion, creationTimestamp, and the namespace `default`.
    Raises WorldError when an object is malformed or no resource serves its kind.
    """

    def __init__(self, objects: Iterable[Object]) -> None:
        things = list(objects)
        for thing in things:
            check_object(thing)
        self.resources = Resources(things)
        self._items: dict[Resource, list[Item]] = {}
        for thing in things:
            resource = self.resources.of_object(thing)
            self._items.setdefault(resource, []).append(Item(_filled(thing, resource)))
        self._keys: dict[Resource, list[tuple[str, str]]] = {}
        for resource, items in self._items.items():
            items.sort(key=lambda item: item.key)
            self._keys[resource] = [item.key for item in items]

    def get(self, resource: Resource, namespace: str | None, name: str) -> Item | None:
        """Return one object, None when it is not there."""
        keys = self._keys.get(resource, [])
        at = bisect_left(keys, (namespace or "", name))
        found = at < len(keys) and keys[at] == (namespace or "", name)
        return self._items[resource][at] if found else None

    def select(
        self, resource: Resource, namespace: str | None, labels: str, fields: str
    ) -> list[Item]:
        """Return the objects that match, in order of namespace and name.

        Raises SelectorError.
        """
        matchers = [*_label_matchers(labels), *_field_matchers(fields, resource)]
        items = self._items.get(resource, [])
        if namespace is not None:
            keys = self._keys.get(resource, [])
            # "\0" sorts before every character a namespace may have.
            start, end = (bisect_left(keys, (text, "")) for text in (namespace, f"{namespace}\0"))
            items = items[start:end]
        if not matchers:
            return items
        return [item for item in items if all(matches(item.content) for matches in matchers)]

    def everything(self) -> Iterable[Item]:
        """Return every object of the world."""
        return (item for items in self._items.values() for item in items)


def page(items: Sequence[Item], limit: int, token: str, *, selected: bool) -> Page:
    """Cut one page out of a list; limit 0 is no limit.

    remaining is None at the end and, as with a real API server, when a selector was given.
    Raises Expired or BadToken.
    """
    start = 0
    if token:
        after = _read_token(token)
        start = bisect_left([item.key for item in items], after)
    end = len(items) if limit <= 0 else min(len(items), start + limit)
    if end >= len(items):
        return Page(items[start:end], "", None)
    remaining = None if selected else len(items) - end
    return Page(items[start:end], _token(items[end].key), remaining)


def _token(key: tuple[str, str]) -> str:
    document = {"v": "meta.k8s.io/v1", "rv": int(RESOURCE_VERSION), "start": "/".join(key)}
    return base64.urlsafe_b64encode(msgspec.json.encode(document)).decode().rstrip("=")


def _read_token(token: str) -> tuple[str, str]:
    try:
        padded = token + "=" * (-len(token) % 4)
        document = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=dict[str, Any])
        namespace, _, name = str(document["start"]).partition("/")
        version = document["rv"]
    except (binascii.Error, msgspec.DecodeError, UnicodeError, KeyError) as error:
        raise BadToken(f"invalid continue token: continue key is not valid: {error}") from None
    if version != int(RESOURCE_VERSION):
        raise Expired
    return namespace, name


def _filled(thing: Object, resource: Resource) -> Object:
    metadata = dict(thing["metadata"])
    if resource.namespaced:
        metadata.setdefault("namespace", "default")
    where = f"{resource.qualified}/{metadata.get('namespace', '')}/{metadata['name']}"
    if resource.group != "metrics.k8s.io":
        metadata.setdefault("uid", str(uuid.uuid5(_UIDS, where)))
        metadata.setdefault("resourceVersion", RESOURCE_VERSION)
    metadata.setdefault("creationTimestamp", _CREATED)
    return {**thing, "metadata": metadata}


def _label_matchers(selector: str) -> list[Matcher]:
    return [_label_matcher(term) for term in _terms(selector)]


def _terms(selector: str) -> list[str]:
    # Commas inside the parentheses of a set do not part terms.
    terms = re.findall(r"(?:[^,(]|\([^)]*\))+", selector)
    return [term.strip() for term in terms if term.strip()]


def _label_matcher(term: str) -> Matcher:
    def value(thing: Object, key: str) -> str | None:
        found = (thing["metadata"].get("labels") or {}).get(key)
        return None if found is None else str(found)

    if (parsed := _SET_TERM.match(term)) is not None:
        key = parsed["key"]
        values = {part.strip() for part in parsed["values"].split(",")}
        if parsed["op"] == "in":
            return lambda thing: value(thing, key) in values
        return lambda thing: value(thing, key) not in values
    key, operator, wanted = _equality(term)
    if operator == "=":
        return lambda thing: value(thing, key) == wanted
    if operator == "!=":
        return lambda thing: value(thing, key) != wanted
    if not re.fullmatch(r"!?\s*[A-Za-z0-9][A-Za-z0-9_./-]*", term):
        more = term.split()[1:2]
        if more and "(" not in term:
            expected = "in, notin, =, ==, !=, gt, lt"
            raise SelectorError(
                f"unable to parse requirement: found {more[0]!r}, expected: {expected}"
            )
        raise SelectorError(f"unable to parse requirement: {term!r}")
    if term.startswith("!"):
        return lambda thing: value(thing, term[1:].strip()) is None
    return lambda thing: value(thing, term) is not None


def _equality(term: str) -> tuple[str, str, str]:
    parsed = re.match(r"([^=!]+)(==|!=|=)(.*)\Z", term)
    if parsed is None:
        return term, "", ""
    return parsed[1].strip(), parsed[2].replace("==", "="), parsed[3].strip()


def _field_matchers(selector: str, resource: Resource) -> list[Matcher]:
    allowed = {"metadata.name", "metadata.namespace", *_FIELDS.get(resource.plural, "").split()}
    matchers: list[Matcher] = []
    for term in _terms(selector):
        key, operator, wanted = _equality(term)
        if not operator:
            raise SelectorError(f"invalid selector: {term!r}; can't understand {term!r}")
        if key not in allowed:
            raise SelectorError(f"field label not supported: {key}")
        matchers.append(_field_matcher(key, operator, wanted))
    return matchers


def _field_matcher(key: str, operator: str, wanted: str) -> Matcher:
    def matches(thing: Object) -> bool:
        return (_field(thing, key) == wanted) == (operator == "=")

    return matches


def _field(thing: Object, key: str) -> str:
    value: Any = thing
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if key == "source":
        value = (thing.get("source") or {}).get("component")
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "false" if key in ("spec.unschedulable", "spec.hostNetwork") else ""
    return str(value)
