"""No probe reaches the network but through the transport, where requests are counted."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_readiness import targets
from pytest_readiness.errors import ProbeError, ProbeErrorKind
from pytest_readiness.lab.clickhouse import WORLD as CLICKHOUSE
from pytest_readiness.lab.clickhouse.process import ClickHouseProcess
from pytest_readiness.lab.kubernetes import WORLD as KUBERNETES
from pytest_readiness.lab.kubernetes.api import KubernetesApi, load_world
from pytest_readiness.lab.kubernetes.faults import Fault, PathAnswer
from pytest_readiness.record.asker import Asker
from pytest_readiness.record.redact import Redactor
from pytest_readiness.record.store import FOLDER, FactStore
from pytest_readiness.targets.clickhouse.section import ClickHouse
from pytest_readiness.targets.kubernetes.section import Kubernetes
from pytest_readiness.transport import traffic
from pytest_readiness.written.keys import Secret, origin
from tests.asking import connect
from tests.servers.fault_servers import Answer, FaultServer, Request, Wire
from tests.targets.kubernetes.target import asking

FOLDER_OF_TARGETS = Path(targets.__file__).parent
MODULES = sorted(
    path.relative_to(FOLDER_OF_TARGETS).as_posix() for path in FOLDER_OF_TARGETS.rglob("*.py")
)
# What opens a connection or starts a program, by itself or through what it imports.
WAYS = (
    "_socket",
    "aiohttp",
    "asyncio",
    "chdb",
    "clickhouse_connect",
    "ctypes",
    "ftplib",
    "grpc",
    "http",
    "httpcore",
    "httpx",
    "importlib",
    "kubernetes",
    "multiprocessing",
    "os.popen",
    "os.system",
    "paramiko",
    "pycurl",
    "requests",
    "runpy",
    "smtplib",
    "socket",
    "socketserver",
    "ssl",
    "subprocess",
    "telnetlib",
    "urllib.request",
    "urllib3",
    "websockets",
    "xmlrpc",
)
CALLS = {"__import__", "import_module", "exec", "eval"}
# The pools of two client libraries, whose requests pass the meter; chdb comes through the second.
ALLOWED = {
    "__init__.py": {
        "importlib.import_module",
        "importlib.metadata.EntryPoint",
        "importlib.metadata.entry_points",
        "importlib.util.find_spec",
        "import_module()",
    },
    "kubernetes/client.py": {"urllib3.exceptions.HTTPError"},
    "kubernetes/config.py": {
        "kubernetes.client",
        "kubernetes.client.ApiClient",
        "kubernetes.client.Configuration",
        "kubernetes.config",
        "kubernetes.config.ConfigException",
        "kubernetes.config.load_incluster_config",
        "kubernetes.config.load_kube_config",
        "urllib.request.getproxies_environment",
        "urllib3.make_headers",
    },
    "kubernetes/errors.py": {"urllib3.exceptions.HTTPError"},
    "clickhouse/client.py": {
        "clickhouse_connect.driver.client.Client",
        "clickhouse_connect.get_client",
    },
    "clickhouse/pool.py": {
        "clickhouse_connect.driver.httputil",
        "urllib3.BaseHTTPResponse",
        "urllib3.HTTPResponse",
        "urllib3.exceptions.DecodeError",
    },
}


def ways(source: str) -> set[str]:
    """Return the ways to the network that a module's source has, by full name."""
    return {name for name in _names(ast.parse(source)) if name.endswith("()") or _leads(name)}


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            case ast.Attribute(value=ast.Name(id="os"), attr=attribute):
                yield f"os.{attribute}"
            case ast.Call(func=ast.Name(id=called)) if called in CALLS:
                yield f"{called}()"


def _leads(name: str) -> bool:
    return any(name == way or name.startswith(f"{way}.") for way in WAYS)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_of_the_targets_has_no_way_of_its_own(module: str) -> None:
    found = ways((FOLDER_OF_TARGETS / module).read_text(encoding="utf-8"))
    assert found == ALLOWED.get(module, set())


def test_every_exception_is_for_a_module() -> None:
    assert ALLOWED.keys() <= set(MODULES)


@pytest.mark.parametrize(
    "source",
    [
        "import socket",
        "import urllib.request as asks",
        "from urllib import request",
        "from http import client",
        "def probe():\n    import http.client",
        "from urllib3 import PoolManager",
        "from requests.sessions import Session",
        "try:\n    import httpx\nexcept ImportError:\n    pass",
        "import os\nos.system('curl')",
        "__import__('socket')",
        "from importlib import import_module as load",
        "import asyncio",
        "import subprocess",
    ],
)
def test_a_way_is_found(source: str) -> None:
    assert ways(source)


@pytest.mark.parametrize(
    "source",
    [
        "from urllib.parse import urlsplit",
        "from pytest_readiness.transport import http",
        "from pytest_readiness.transport.http import Client",
        "import os\nos.environ.get('KUBECONFIG')",
    ],
)
def test_the_transport_is_no_way_of_its_own(source: str) -> None:
    assert not ways(source)


def test_every_request_that_a_system_sees_is_in_the_statement(tmp_path: Path) -> None:
    busy = PathAnswer(path="/api/v1/nodes", fault=Fault.STATUS, status=429, retry_after=0, times=2)
    facts = tmp_path / FOLDER
    facts.mkdir()
    store = FactStore(tmp_path, Redactor(b"salt"), deadline=None, recorded=False)
    with (
        KubernetesApi(load_world(KUBERNETES), answers=[busy], tls_dir=tmp_path / "tls") as api,
        ClickHouseProcess(CLICKHOUSE) as lab,
    ):
        at = lab.start()
        kubeconfig = api.write_kubeconfig(tmp_path / "kubeconfig")
        cluster = Kubernetes(kubeconfig=kubeconfig, context="lab", namespace="st-risk")
        database = ClickHouse(url=at.url, cluster=at.cluster, backup_api=at.backup_api)
        asker = Asker(asking(10, kubernetes=cluster, clickhouse=database), store, "run-7")
        for fixture in targets.questions():
            asker.answer(fixture)
        kubernetes, clickhouse = api.requests, lab.requests()
    by_path = [request.path.startswith("/backup/list") for request in clickhouse]
    counted = traffic.read(facts)
    said = {target: 0 for target, _, _ in counted}
    for (target, _, _), count in counted.items():
        said[target] += count
    assert said == {
        f"kubernetes {api.url}": len(kubernetes),
        f"clickhouse {origin(at.url.removeprefix('clickhouse+'))}": by_path.count(False),
        f"clickhouse-backup {origin(at.backup_api)}": by_path.count(True),
    }
    assert counted[f"kubernetes {api.url}", "GET", 429] == 2
    assert {status for _, _, status in counted} == {200, 429}
    for headers in [one.headers for one in kubernetes] + [one.headers for one in clickhouse]:
        sent = {name.lower(): value for name, value in headers.items()}
        assert sent["x-readiness-run"] == "run-7"
        assert "pytest-readiness/" in sent["user-agent"]


@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_redirect_takes_no_password_of_clickhouse_elsewhere(status: int) -> None:
    def answer(_: Request) -> Answer:
        return Answer(b"")

    with FaultServer(answer, lambda _: b"") as elsewhere, FaultServer(answer, lambda _: b"") as at:

        def away(wire: Wire) -> bool:
            wire.head(status, 0, f"Location: http://127.0.0.1:{elsewhere.port}/")
            return True

        at.fault = (re.compile(""), away)
        url = f"clickhouse+http://reader@127.0.0.1:{at.port}/risk"
        section = ClickHouse(url=url, cluster="risk", password=Secret("${env:X}", "canary-77"))
        with pytest.raises(ProbeError) as caught:
            connect(asking(2, clickhouse=section), "clickhouse")
        assert at.asked
        assert elsewhere.asked == []
    assert caught.value.kind is ProbeErrorKind.MALFORMED
