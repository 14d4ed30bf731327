"""Status objects of the lab's Kubernetes API, in the words of the API server.

Source: Kubernetes 1.36 apimachinery pkg/api/errors and
apiserver pkg/endpoints/handlers/responsewriters.

PYTEST_DONT_REWRITE
"""

from typing import Any

from pytest_readiness.lab.exchange import Reply, json_reply
from pytest_readiness.lab.kubernetes.discovery import ApiPath, Resource

Json = dict[str, Any]
_REASONS = {
    400: ("BadRequest", "the server rejected our request for an unknown reason"),
    401: ("Unauthorized", "Unauthorized"),
    403: ("Forbidden", "forbidden"),
    404: ("NotFound", "the server could not find the requested resource"),
    405: ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
    406: ("NotAcceptable", "only the following media types are accepted: application/json"),
    410: (
        "Expired",
        "The provided continue parameter is too old to display a consistent list result. "
        "You must start a new list without the continue parameter.",
    ),
    429: ("TooManyRequests", "Too many requests, please try again later."),
    500: ("InternalError", "Internal error occurred: etcdserver: request timed out"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "the server was unable to return a response in the time allotted"),
}


def status(code: int, message: str | None = None, details: Json | None = None) -> Json:
    """Return the Status of a failure; the words are the API server's unless message is given."""
    reason, words = _REASONS.get(code, ("Unknown", f"the server answered {code}"))
    document: Json = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": words if message is None else message,
        "reason": reason,
        "code": code,
    }
    if details is not None:
        document["details"] = details
    return document


def failure(document: Json) -> Reply:
    """Return a Status as a reply, with the HTTP status it names."""
    return json_reply(document, document["code"])


def not_found(resource: Resource, name: str) -> Json:
    """Return the 404 of an object that is not there: `pods "x" not found`."""
    return status(404, f'{resource.qualified} "{name}" not found', _details(resource, name))


def forbidden(user: str, verb: str, asked: ApiPath) -> Json:
    """Return the 403 of a request that no rule allows."""
    resource = asked.resource
    plural = f"{resource.plural}/{asked.subresource}" if asked.subresource else resource.plural
    # A namespace is authorized within itself.
    namespace = asked.name if resource.qualified == "namespaces" else asked.namespace
    scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    named = f' "{asked.name}"' if asked.name else ""
    message = (
        f'{resource.qualified}{named} is forbidden: User "{user}" cannot {verb} resource '
        f'"{plural}" in API group "{resource.group}" {scope}'
    )
    return status(403, message, _details(resource, asked.name))


def forbidden_path(user: str, path: str) -> Json:
    """Return the 403 of a path that is no resource."""
    return status(403, f'forbidden: User "{user}" cannot get path "{path}"', {})


def _details(resource: Resource, name: str | None) -> Json:
    details = {"name": name, "group": resource.group, "kind": resource.plural}
    return {key: value for key, value in details.items() if value}
