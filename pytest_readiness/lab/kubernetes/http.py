"""The lab's Kubernetes API as its clients meet it: who asks, and what goes packed.

PYTEST_DONT_REWRITE
"""

import gzip
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pytest_readiness.lab.exchange import Reply, Request, Responder
from pytest_readiness.lab.kubernetes import status as k8s_status
from pytest_readiness.lab.kubernetes.answers import ANONYMOUS, Ask, User
from pytest_readiness.lab.kubernetes.discovery import bare

# As the API server: smaller answers are not worth it (apiserver defaultGzipThresholdBytes).
GZIP_FROM = 128 * 1024


def interface(
    answer: Callable[[Ask], Reply], users: Mapping[str, User], default_user: User | None
) -> Responder:
    """Return what answers requests of the API.

    users: by bearer token. default_user: who shows neither token nor certificate; None: nobody.
    """

    def reply(request: Request) -> Reply:
        user = _user(request, users, default_user)
        if user is None:
            said = k8s_status.failure(k8s_status.status(401))
        else:
            accept = request.headers.get("accept", "*/*")
            path = bare(request.path)
            said = answer(Ask(request.method, path, request.parameters, accept, request.body, user))
        headers = {"Audit-Id": str(uuid.uuid4()), "Cache-Control": "no-cache, private"}
        return _packed(replace(said, headers={**headers, **said.headers}), request)

    return reply


def _user(request: Request, users: Mapping[str, User], default_user: User | None) -> User | None:
    if request.bearer is not None:
        return users.get(request.bearer)
    if request.certificate:
        return _user_of(request.certificate)
    return default_user or ANONYMOUS


def _user_of(certificate: Mapping[str, Any]) -> User:
    names = [pair for part in certificate.get("subject", ()) for pair in part]
    common = next((value for key, value in names if key == "commonName"), "")
    groups = tuple(value for key, value in names if key == "organizationName")
    return User(common, (*groups, "system:authenticated"))


def _packed(reply: Reply, request: Request) -> Reply:
    body = reply.body
    accepted = request.headers.get("accept-encoding", "")
    if not isinstance(body, bytes) or len(body) <= GZIP_FROM or "gzip" not in accepted:
        return reply
    headers = {**reply.headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return replace(reply, body=gzip.compress(body, 1, mtime=0), headers=headers)
