"""Promise 6, end to end: one question is asked once a run, and a dead target costs one."""

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_readiness.lab.kubernetes import WORLD
from pytest_readiness.lab.kubernetes.api import KubernetesApi, load_world
from tests.run.project import Project, Result

KUBERNETES = ("k8s-version", "k8s-connectivity", "k8s-nodes", "k8s-storage", "k8s-network-policies")
CLICKHOUSE = ("ch-replicas", "ch-replication", "ch-backup", "ch-disk")
INI = """\
[readiness]
system = shop
environment = test
phase = verification
timeout = {timeout}

[kubernetes]
kubeconfig = kubeconfig
context = lab
namespace = st-risk
{more}
"""


@pytest.fixture
def asking(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def api(asking: Project) -> Iterator[KubernetesApi]:
    world = load_world(WORLD)
    with KubernetesApi(world, tls_dir=asking.folder / "tls") as running:
        running.write_kubeconfig(asking.folder / "kubeconfig")
        asking.write("readiness.ini", INI.format(timeout="10s", more=""))
        yield running


class Mute:
    """Accepts connections, counts them, and never says a word."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def connections(self) -> int:
        return len(self._open)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._open.append(self._listener.accept()[0])

    def __enter__(self) -> "Mute":
        return self

    def __exit__(self, *_: object) -> None:
        # Without the shutdown, accept() in the other thread would keep the port open.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for opened in (self._listener, *self._open):
            opened.close()


def kubeconfig(project: Project, port: int) -> None:
    project.write(
        "kubeconfig",
        f"""
        apiVersion: v1
        kind: Config
        clusters: [{{name: lab, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
        contexts: [{{name: lab, context: {{cluster: lab, user: lab}}}}]
        users: [{{name: lab, user: {{}}}}]
        """,
    )


def facts(result: Result) -> set[str]:
    return {path.name for path in (result.folder / result.report_name / "facts").iterdir()}


def test_each_path_is_asked_as_often_with_eight_workers_as_alone(
    asking: Project, api: KubernetesApi
) -> None:
    asked: list[Counter[tuple[str, str, str]]] = []
    outcomes, recorded = [], []
    before = 0
    for workers in ((), ("-n", "8")):
        result = asking.run("-m", "readiness and kubernetes", *workers)
        assert result.code == 0, result.out
        requests, before = api.requests[before:], len(api.requests)
        asked.append(Counter((it.method, it.path, it.query) for it in requests))
        assert {it.headers["x-readiness-run"] for it in requests} == {result.report["run"]["id"]}
        outcomes.append({id: result.outcomes()[id] for id in KUBERNETES})
        recorded.append(facts(result))
    alone, shared = asked
    assert alone == shared
    assert set(alone.values()) == {1}
    assert {method for method, _, _ in alone} == {"GET"}
    assert outcomes[0] == outcomes[1] == dict.fromkeys(KUBERNETES, "pass")
    # Neither locks nor marks stay beside the facts.
    assert recorded[0] == recorded[1]
    assert all(name.startswith("k8s_") for name in recorded[0])


def test_collecting_asks_nothing(asking: Project, api: KubernetesApi) -> None:
    result = asking.run("-m", "readiness and kubernetes", "--collect-only", "-q")
    assert result.code == 0, result.out
    assert "k8s-nodes" in result.out
    assert not api.requests
    assert not (asking.folder / "readiness-report").exists()


def test_another_cluster_is_asked_nothing_but_its_identity(
    asking: Project, api: KubernetesApi
) -> None:
    more = "cluster_uid = 00000000-0000-4000-8000-000000000000"
    asking.write("readiness.ini", INI.format(timeout="10s", more=more))
    result = asking.run("-m", "readiness and kubernetes", "-n", "2")
    assert result.code == 6, result.out
    assert [it.path for it in api.requests] == ["/api/v1/namespaces/kube-system"]
    assert {result.outcomes()[id] for id in KUBERNETES} == {"error"}
    assert "another system" in result.out
    assert facts(result) == {"k8s_identity.json", "kubernetes.down.json"}


@pytest.mark.parametrize("workers", [(), ("-n", "4")], ids=["alone", "workers"])
def test_targets_that_never_answer_cost_one_connection_each(
    asking: Project, workers: tuple[str, ...]
) -> None:
    with Mute() as kubernetes, Mute() as clickhouse:
        kubeconfig(asking, kubernetes.port)
        url = f"clickhouse+http://reader@127.0.0.1:{clickhouse.port}/risk"
        more = f"[clickhouse]\nurl = {url}\ncluster = risk"
        asking.write("readiness.ini", INI.format(timeout="1s", more=more))
        result = asking.run("-m", "readiness and (kubernetes or clickhouse)", *workers)
        assert (kubernetes.connections, clickhouse.connections) == (1, 1)
    assert result.code == 6, result.out
    _one_cause(result, KUBERNETES, "timed out")
    _one_cause(result, CLICKHOUSE, "timed out")


def test_targets_that_refuse_are_one_cause_each(asking: Project) -> None:
    with Mute() as closed:
        port = closed.port
    kubeconfig(asking, port)
    url = f"clickhouse+http://reader@127.0.0.1:{port}/risk"
    more = f"[clickhouse]\nurl = {url}\ncluster = risk"
    asking.write("readiness.ini", INI.format(timeout="10s", more=more))
    result = asking.run("-m", "readiness and (kubernetes or clickhouse)")
    assert result.code == 6, result.out
    _one_cause(result, KUBERNETES, "unreachable")
    _one_cause(result, CLICKHOUSE, "unreachable")
    # What was asked is recorded; of the rest nothing is, for nothing was asked.
    assert facts(result) == {
        "k8s_identity.json",
        "kubernetes.down.json",
        "ch_identity.json",
        "clickhouse.down.json",
    }


def _one_cause(result: Result, ids: tuple[str, ...], kind: str) -> None:
    items = [result.item(id) for id in ids]
    assert {item["outcome"] for item in items} == {"error"}, result.out
    assert len({item["cause"] for item in items}) == 1, [item["cause"] for item in items]
    assert kind in items[0]["cause"]
    # Told once, with the items below it.
    words = " ".join(result.out.split())
    assert words.count(f"error: {items[0]['cause']}") <= 1
    assert "Traceback" not in result.out
