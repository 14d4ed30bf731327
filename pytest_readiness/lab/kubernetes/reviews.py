"""Who may do what at the lab's Kubernetes API: SelfSubject reviews, answered from Deny rules.

The user of the lab is an administrator who may not do what a Deny rule forbids. Requests and
reviews are judged by the same rules, so `kubectl auth can-i` agrees with the 403s.

kubectl posts reviews as protobuf (four magic bytes, then runtime.Unknown); the few fields needed
are decoded by hand (field numbers: k8s.io/api/authorization/v1/generated.proto). Answers are JSON.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from pytest_readiness.lab.kubernetes.discovery import Resource
from pytest_readiness.lab.kubernetes.faults import Deny

Json = dict[str, Any]
_MAGIC = b"k8s\x00"
_RESOURCE_FIELDS = {
    1: "namespace",
    2: "verb",
    3: "group",
    4: "version",
    5: "resource",
    6: "subresource",
    7: "name",
}
_PATH_FIELDS = {1: "path", 2: "verb"}
_READ = ("get", "list", "watch")


class BadReview(ValueError):
    """A review that cannot be read: HTTP 400."""


def may(
    denies: Sequence[Deny], verb: str, group: str, resource: str, namespace: str | None
) -> bool:
    """Tell whether the rules leave this allowed; asking for "*" needs everything to be allowed."""
    for deny in denies:
        # A question about "*" is answered no as soon as a part of it is forbidden.
        if deny.matches(
            deny.verb if verb == "*" else verb,
            deny.group if group == "*" else group,
            deny.resource if resource == "*" else resource,
            namespace,
        ):
            return False
    return True


def review(
    kind: str,
    body: bytes,
    *,
    denies: Sequence[Deny],
    user: Json,
    resources: Sequence[Resource],
) -> Json:
    """Answer a review posted as JSON or protobuf; user is {username, groups}.

    Raises BadReview.
    """
    posted = _decode(kind, body)
    spec = posted.get("spec") or {}
    answer: Json = {"kind": kind, "apiVersion": posted["apiVersion"], "metadata": {}}
    if kind == "SelfSubjectReview":
        return {**answer, "status": {"userInfo": user}}
    if kind == "SelfSubjectAccessReview":
        return {**answer, "spec": spec, "status": _access(denies, spec)}
    return {**answer, "spec": {}, "status": _rules(denies, spec.get("namespace"), resources)}


def _access(denies: Sequence[Deny], spec: Json) -> Json:
    wanted = spec.get("resourceAttributes")
    if wanted is None:
        return {"allowed": "nonResourceAttributes" in spec}
    resource = wanted.get("resource", "")
    if wanted.get("subresource"):
        resource += "/" + wanted["subresource"]
    namespace = wanted.get("namespace") or None
    allowed = may(denies, wanted.get("verb", ""), wanted.get("group", ""), resource, namespace)
    return {"allowed": allowed}


def _rules(denies: Sequence[Deny], namespace: str | None, resources: Sequence[Resource]) -> Json:
    paths = [{"verbs": ["*"], "nonResourceURLs": ["*"]}]
    rules = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
    if denies:
        rules = []
        for resource in resources:
            verbs = [
                verb
                for verb in _READ
                if may(denies, verb, resource.group, resource.plural, namespace)
            ]
            if verbs and "get" in resource.verbs:
                group, plural = [resource.group], [resource.plural]
                rules.append({"verbs": verbs, "apiGroups": group, "resources": plural})
    return {"resourceRules": rules, "nonResourceRules": paths, "incomplete": False}


def _decode(kind: str, body: bytes) -> Json:
    version = "authentication" if kind == "SelfSubjectReview" else "authorization"
    default = {"apiVersion": f"{version}.k8s.io/v1", "kind": kind}
    try:
        if body.startswith(_MAGIC):
            return {**default, "spec": _spec_of_protobuf(kind, body)}
        posted = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, IndexError, UnicodeError) as error:
        raise BadReview(f"the review cannot be read: {error}") from None
    return {**default, **posted}


def _spec_of_protobuf(kind: str, body: bytes) -> Json:
    raw = _first(body[len(_MAGIC) :], 2)
    spec = _first(raw, 2)
    if kind == "SelfSubjectRulesReview":
        return {"namespace": _first(spec, 1).decode()}
    if kind == "SelfSubjectReview":
        return {}
    for number, value in _fields(spec):
        if number == 1:
            return {"resourceAttributes": _texts(value, _RESOURCE_FIELDS)}
        if number == 2:
            return {"nonResourceAttributes": _texts(value, _PATH_FIELDS)}
    return {}


def _texts(message: bytes, names: dict[int, str]) -> Json:
    found = ((names.get(number), value.decode()) for number, value in _fields(message))
    return {name: text for name, text in found if name and text}


def _first(message: bytes, wanted: int) -> bytes:
    return next((value for number, value in _fields(message) if number == wanted), b"")


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    # Only length-delimited fields (wire type 2) are given; varints (0) are passed over.
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        size, at = _varint(message, at)
        if tag & 7 == 2:
            yield tag >> 3, message[at : at + size]
            at += size
        elif tag & 7:
            raise IndexError(f"wire type {tag & 7} is not of a review")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
