"""A real OpenBao keeps a secret for who has the policy, refuses it to others, and records both."""

from pathlib import Path
from typing import Any

import pytest

from tests.servers.conftest import Lend
from tests.servers.k8s_client import Admin, Answer

READER = 'path "secret/data/risk" { capabilities = ["read"] }'
SECRET = {"data": {"password": "correct horse"}}


@pytest.fixture(scope="module")
def said(lend: Lend) -> dict[str, Any]:
    return lend("openbao")


@pytest.fixture(scope="module")
def root(said: dict[str, Any]) -> Admin:
    return Admin(said["url"], token=said["token"])


@pytest.fixture
def written(root: Admin) -> Admin:
    """Give a test the secret at secret/risk; written again, it is a version more."""
    root.ask("POST", "/v1/secret/data/risk", SECRET)
    return root


def holder(root: Admin, policy: str, rules: str) -> Admin:
    """Return a client whose token has one policy."""
    root.ask("PUT", f"/v1/sys/policies/acl/{policy}", {"policy": rules})
    made = root.ask("POST", "/v1/auth/token/create", {"policies": [policy], "ttl": "5m"})
    return Admin(root.url, token=made["auth"]["client_token"])


def test_it_is_unsealed(root: Admin) -> None:
    health = root.get("/v1/sys/health")
    assert (health["initialized"], health["sealed"]) == (True, False)


def test_a_secret_is_read_by_a_token_with_the_policy(written: Admin) -> None:
    reader = holder(written, "reader", READER)
    assert reader.get("/v1/secret/data/risk")["data"]["data"] == SECRET["data"]
    with pytest.raises(Answer) as caught:
        reader.ask("POST", "/v1/secret/data/risk", SECRET)
    assert caught.value.status == 403


@pytest.mark.parametrize("token", ["of another policy", "unknown", None])
def test_a_secret_is_refused_without_the_policy(written: Admin, token: str | None) -> None:
    if token == "of another policy":
        stranger = holder(written, "stranger", READER.replace("risk", "shop"))
    else:
        stranger = Admin(written.url, token=token)
    with pytest.raises(Answer) as caught:
        stranger.get("/v1/secret/data/risk")
    assert caught.value.status == 403


def test_what_was_asked_is_recorded_without_the_secret(
    written: Admin, said: dict[str, Any]
) -> None:
    assert list(written.get("/v1/sys/audit")["data"]) == ["file/"]
    recorded = (Path(said["folder"]) / "logs" / "audit.log").read_text()
    assert '"path":"secret/data/risk"' in recorded
    assert SECRET["data"]["password"] not in recorded
