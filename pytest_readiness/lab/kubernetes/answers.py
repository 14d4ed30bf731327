"""The true answers of the lab's Kubernetes API: a request in, a reply out, no sockets.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from pytest_readiness.lab.exchange import Reply, json_reply, text_reply
from pytest_readiness.lab.kubernetes import reviews, table
from pytest_readiness.lab.kubernetes import status as k8s_status
from pytest_readiness.lab.kubernetes.cells import get_in
from pytest_readiness.lab.kubernetes.discovery import HEALTH, ApiPath, Resource
from pytest_readiness.lab.kubernetes.faults import Deny
from pytest_readiness.lab.kubernetes.status import failure
from pytest_readiness.lab.kubernetes.store import (
    RESOURCE_VERSION,
    BadToken,
    Expired,
    Item,
    SelectorError,
    Store,
    page,
)

Json = dict[str, Any]
_HEALTH_CHECKS = ("ping", "log", "etcd", "informer-sync", "poststarthook/start-apiserver-informers")


class BadLimit(ValueError):
    """A limit that is no number: HTTP 400."""


class User(NamedTuple):
    """Who asks."""

    name: str
    groups: tuple[str, ...] = ("system:masters", "system:authenticated")


# Who shows neither certificate nor token, and all that the bootstrap roles let it read
# (system:public-info-viewer).
ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
_PUBLIC = ("/healthz", "/livez", "/readyz", "/version")
_WRITES = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Ask:
    """A request. path is without query and never ends in a slash, but for the root."""

    method: str
    path: str
    query: Mapping[str, str]
    accept: str
    body: bytes
    user: User


class Answers:
    """Answers requests from a store, a version and the rules of what is denied."""

    def __init__(self, store: Store, version: Json, denies: Sequence[Deny]) -> None:
        self._store = store
        self._version = version
        self._denies = tuple(denies)
        custom = (it.content for it in store.everything())
        self._definitions = {
            (it["spec"]["group"], it["spec"]["names"]["plural"]): it
            for it in custom
            if it["kind"] == "CustomResourceDefinition"
        }

    def answer(self, ask: Ask) -> Reply:
        """Answer one request of a user who is known."""
        asked = self._store.resources.parse(ask.path)
        if ask.user == ANONYMOUS and ask.path not in _PUBLIC:
            if asked is None:
                return failure(k8s_status.forbidden_path(ask.user.name, ask.path))
            verb = _WRITES.get(ask.method) or _read_verb(ask, asked)
            return failure(k8s_status.forbidden(ask.user.name, verb, asked))
        if asked is not None:
            return self._of_resource(ask, asked)
        if ask.method != "GET":
            return failure(k8s_status.status(405))
        if self._store.resources.serves_below(ask.path):
            return failure(k8s_status.status(404, details={}))
        first = ask.path.split("/")[1]
        if ask.path == "/version":
            return json_reply(self._version)
        if first in HEALTH:
            return _health(ask)
        if ask.path == "/":
            paths = ["/api", "/apis", "/version", *(f"/{name}" for name in HEALTH)]
            return json_reply({"paths": paths})
        document = self._store.resources.document(ask.path, ask.accept)
        if document is None:
            return text_reply("404 page not found\n", 404)
        return _discovery(document)

    def _of_resource(self, ask: Ask, asked: ApiPath) -> Reply:
        resource = asked.resource
        if ask.method == "POST" and resource.kind.startswith("SelfSubject") and not asked.name:
            return self._review(ask, resource)
        if ask.method != "GET" or "get" not in resource.verbs:
            return failure(k8s_status.status(405))
        verb = _read_verb(ask, asked)
        plural = f"{resource.plural}/{asked.subresource}" if asked.subresource else resource.plural
        if not reviews.may(self._denies, verb, resource.group, plural, asked.namespace):
            return failure(k8s_status.forbidden(ask.user.name, verb, asked))
        if asked.name:
            return self._get(ask, asked, asked.name)
        try:
            return self._list(ask, asked)
        except Expired:
            return failure(k8s_status.status(410))
        except (SelectorError, BadToken, ValueError) as error:
            return failure(k8s_status.status(400, str(error)))

    def _review(self, ask: Ask, resource: Resource) -> Reply:
        user = {"username": ask.user.name, "groups": list(ask.user.groups)}
        try:
            answer = reviews.review(
                resource.kind,
                ask.body,
                denies=self._denies,
                user=user,
                resources=self._store.resources.all,
            )
        except reviews.BadReview as error:
            return failure(k8s_status.status(400, str(error)))
        return json_reply(answer, 201)

    def _get(self, ask: Ask, asked: ApiPath, name: str) -> Reply:
        item = self._store.get(asked.resource, asked.namespace, name)
        if item is None:
            return failure(k8s_status.not_found(asked.resource, name))
        if asked.subresource == "log":
            return text_reply("")
        if asked.subresource == "scale":
            return json_reply(_scale(item.content))
        form = self._form(ask, asked.resource)
        return Reply(200, form.single(item))

    def _list(self, ask: Ask, asked: ApiPath) -> Reply:
        labels = ask.query.get("labelSelector", "")
        fields = ask.query.get("fieldSelector", "")
        items = self._store.select(asked.resource, asked.namespace, labels, fields)
        form = self._form(ask, asked.resource)
        if _is_true(ask, "watch"):
            hold = float(ask.query.get("timeoutSeconds") or 1800)
            return Reply(200, [*_events(ask, form, items), hold])
        limit = _limit(ask.query.get("limit") or "0")
        part = page(items, limit, ask.query.get("continue", ""), selected=bool(labels or fields))
        metadata: Json = {"resourceVersion": RESOURCE_VERSION}
        if part.next_token:
            metadata["continue"] = part.next_token
        if part.remaining is not None:
            metadata["remainingItemCount"] = part.remaining
        return Reply(200, form.many(part.items, metadata))

    def _form(self, ask: Ask, resource: Resource) -> "_Form":
        for choice in ask.accept.split(","):
            options = dict(part.strip().partition("=")[::2] for part in choice.split(";")[1:])
            wanted = options.get("as")
            if wanted == "Table" and options.get("v", "v1") == "v1":
                definition = self._definitions.get((resource.group, resource.plural))
                columns = table.columns_of(resource, definition)
                return _Table(resource, columns, ask.query.get("includeObject", "Metadata"))
            if wanted in ("PartialObjectMetadataList", "PartialObjectMetadata"):
                return _Partial(resource)
            if wanted is None and choice.strip().startswith(("application/json", "*/*")):
                break
        return _Form(resource)


class _Form:
    """How objects are given out: whole, as here, or as the two forms below."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def single(self, item: Item) -> bytes:
        return item.json(with_type=True) + b"\n"

    def many(self, items: Sequence[Item], metadata: Json) -> bytes:
        resource = self._resource
        # Custom resources keep their kind in a list, built-in ones lose it (their TypeMeta).
        typed = resource.custom and resource.group != "metrics.k8s.io"
        head = (
            f'{{"kind":"{resource.kind}List","apiVersion":"{resource.group_version}","metadata":'
        ).encode()
        parts = b",".join(item.json(with_type=typed) for item in items)
        return b"".join((head, msgspec.json.encode(metadata), b',"items":[', parts, b"]}\n"))

    def bookmark(self, metadata: Json) -> bytes:
        resource = self._resource
        return msgspec.json.encode(
            {"kind": resource.kind, "apiVersion": resource.group_version, "metadata": metadata}
        )


class _Partial(_Form):
    """Metadata alone (PartialObjectMetadata)."""

    def single(self, item: Item) -> bytes:
        return msgspec.json.encode(_partial(item.content))

    def many(self, items: Sequence[Item], metadata: Json) -> bytes:
        kind = "PartialObjectMetadataList"
        found = [_partial(item.content) for item in items]
        document = {"kind": kind, "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
        return msgspec.json.encode({**document, "items": found})


class _Table(_Form):
    """Rows and columns (Table); include is Metadata, Object or None."""

    def __init__(self, resource: Resource, columns: list[table.Column], include: str) -> None:
        super().__init__(resource)
        self._columns = columns
        self._include = include

    def single(self, item: Item) -> bytes:
        return self.many([item], {"resourceVersion": RESOURCE_VERSION})

    def many(self, items: Sequence[Item], metadata: Json) -> bytes:
        return self._encode([self._row(item.content) for item in items], metadata)

    def bookmark(self, metadata: Json) -> bytes:
        thing = {"kind": self._resource.kind, "metadata": metadata}
        return self._encode([{"cells": [], "object": _partial(thing)}], metadata)

    def _encode(self, rows: list[Json], metadata: Json) -> bytes:
        document = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
        columns = table.definitions(self._columns)
        return msgspec.json.encode({**document, "columnDefinitions": columns, "rows": rows})

    def _row(self, thing: Json) -> Json:
        row: Json = {"cells": table.cells(self._columns, thing)}
        if self._include == "Metadata":
            row["object"] = _partial(thing)
        elif self._include == "Object":
            row["object"] = thing
        return row


def _partial(thing: Json) -> Json:
    version = "meta.k8s.io/v1"
    return {"kind": "PartialObjectMetadata", "apiVersion": version, "metadata": thing["metadata"]}


def _events(ask: Ask, form: _Form, items: Sequence[Item]) -> Iterator[bytes]:
    asked_for = ask.query.get("sendInitialEvents")
    everything = ask.query.get("resourceVersion", "") in ("", "0") and asked_for is None
    if everything or asked_for == "true":
        for item in items:
            yield b'{"type":"ADDED","object":' + form.single(item).rstrip() + b"}\n"
    if asked_for == "true" and _is_true(ask, "allowWatchBookmarks"):
        end = {"k8s.io/initial-events-end": "true"}
        metadata = {"resourceVersion": RESOURCE_VERSION, "annotations": end}
        yield b'{"type":"BOOKMARK","object":' + form.bookmark(metadata) + b"}\n"


def _limit(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise BadLimit(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _read_verb(ask: Ask, asked: ApiPath) -> str:
    return "get" if asked.name else "watch" if _is_true(ask, "watch") else "list"


def _is_true(ask: Ask, name: str) -> bool:
    return ask.query.get(name, "") in ("1", "true", "True")


def _scale(thing: Json) -> Json:
    labels = get_in(thing, ".spec.selector.matchLabels", {})
    keys = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: thing["metadata"][key] for key in keys},
        "spec": {"replicas": get_in(thing, ".spec.replicas", 0)},
        "status": {
            "replicas": get_in(thing, ".status.replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in labels.items()),
        },
    }


def _health(ask: Ask) -> Reply:
    _, name, *rest = ask.path.split("/", 2)
    if rest and rest[0] not in _HEALTH_CHECKS:
        return text_reply("404 page not found\n", 404)
    if rest or "verbose" not in ask.query:
        return text_reply("ok")
    lines = [f"[+]{check} ok" for check in _HEALTH_CHECKS]
    return text_reply("\n".join([*lines, f"{name} check passed\n"]))


def _discovery(document: Json) -> Reply:
    if document.get("kind") != "APIGroupDiscoveryList":
        return json_reply(document)
    version = document["apiVersion"].rpartition("/")[2]
    content_type = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    return Reply(200, msgspec.json.encode(document), content_type)
