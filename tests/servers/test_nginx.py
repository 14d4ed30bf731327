"""A real nginx serves a file over TLS to who trusts its CA, and to nobody else."""

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.servers.conftest import Lend


@pytest.fixture(scope="module")
def nginx(lend: Lend) -> dict[str, Any]:
    return lend("nginx")


def client(**trust: Any) -> urllib3.PoolManager:
    return urllib3.PoolManager(retries=False, timeout=10, **trust)


def test_it_is_healthy(nginx: dict[str, Any]) -> None:
    answer = client(ca_certs=nginx["ca"]).request("GET", nginx["url"] + "/healthz")
    assert (answer.status, answer.headers["Server"].partition("/")[0]) == (200, "nginx")


def test_a_file_that_is_written_is_served_to_who_trusts_its_ca(nginx: dict[str, Any]) -> None:
    (Path(nginx["folder"]) / "www" / "runbook.txt").write_text("call ops\n")
    answer = client(ca_certs=nginx["ca"]).request("GET", nginx["url"] + "/runbook.txt")
    assert (answer.status, answer.data) == (200, b"call ops\n")


def test_it_is_refused_by_who_does_not_trust_its_ca(nginx: dict[str, Any]) -> None:
    with pytest.raises(urllib3.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        client().request("GET", nginx["url"] + "/healthz")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_it_speaks_the_newer_versions_of_tls(
    nginx: dict[str, Any], version: ssl.TLSVersion
) -> None:
    context = ssl.create_default_context(cafile=nginx["ca"])
    context.minimum_version = context.maximum_version = version
    parts = urllib3.util.parse_url(nginx["url"])
    assert parts.port is not None
    with (
        socket.create_connection(("127.0.0.1", parts.port), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname="127.0.0.1") as spoken,
    ):
        assert spoken.version() == version.name.replace("_", ".")
