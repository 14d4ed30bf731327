"""Each way of giving no answer is told apart, says what to do, and ends in time."""

import datetime
import shlex
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError

from pytest_readiness.errors import ProbeErrorKind
from pytest_readiness.lab import tls
from pytest_readiness.lab.kubernetes.api import KubernetesApi
from pytest_readiness.lab.kubernetes.faults import Deny, Fault, PathAnswer
from pytest_readiness.targets.kubernetes import probe
from pytest_readiness.targets.kubernetes.errors import Asked, Right, of_transport
from pytest_readiness.transport import pools
from tests.asking import connect
from tests.targets.kubernetes.target import (
    KUBE_SYSTEM,
    Reply,
    Scripted,
    client,
    kubeconfig,
    refusal,
    settings,
)
from tests.targets.kubernetes.world import SERVICE, nodes

NODES = "/api/v1/nodes"


@pytest.mark.parametrize(
    ("answer", "kind", "stops", "says"),
    [
        ({"fault": "hang"}, ProbeErrorKind.TIMEOUT, False, "no complete answer within 1 s"),
        ({"fault": "reset"}, ProbeErrorKind.UNREACHABLE, False, "connection was closed before"),
        ({"fault": "status", "status": 401}, ProbeErrorKind.UNAUTHORIZED, True, "HTTP 401"),
        ({"fault": "status", "status": 403}, ProbeErrorKind.FORBIDDEN, False, "may not list nodes"),
        ({"fault": "status", "status": 404}, ProbeErrorKind.ABSENT, False, "HTTP 404"),
        ({"fault": "status", "status": 429}, ProbeErrorKind.THROTTLED, False, "HTTP 429"),
        ({"fault": "status", "status": 500}, ProbeErrorKind.UNAVAILABLE, False, "HTTP 500"),
        ({"fault": "status", "status": 503}, ProbeErrorKind.UNAVAILABLE, False, "HTTP 503"),
        ({"fault": "status", "status": 302}, ProbeErrorKind.MALFORMED, False, "HTTP 302"),
        ({"fault": "garbage"}, ProbeErrorKind.MALFORMED, False, "no list of objects"),
        ({"fault": "truncated"}, ProbeErrorKind.MALFORMED, False, "truncated"),
        ({"fault": "gzip-cut"}, ProbeErrorKind.MALFORMED, False, ""),
        ({"fault": "body", "value": {}}, ProbeErrorKind.MALFORMED, False, "kind '' without items"),
        ({"fault": "body", "value": []}, ProbeErrorKind.MALFORMED, False, "no list of objects"),
        ({"fault": "body", "value": {"items": 1}}, ProbeErrorKind.MALFORMED, False, "no list of"),
        ({"fault": "slow", "seconds": 30}, ProbeErrorKind.TIMEOUT, False, "no complete answer"),
    ],
    ids=lambda value: str(value.get("status", value["fault"])) if isinstance(value, dict) else "",
)
def test_each_kind_of_no_answer_is_told_apart(
    answer: dict[str, Any], kind: ProbeErrorKind, stops: bool, says: str, tmp_path: Path
) -> None:
    fault = PathAnswer(**{**answer, "path": NODES, "fault": Fault(answer["fault"])})
    with KubernetesApi(nodes(200), answers=[fault], tls_dir=tmp_path / "tls") as api:
        k8s = client(api, tmp_path, timeout=1)
        error = refusal(lambda: probe.nodes(k8s))
    assert (error.kind, error.stops_target) == (kind, stops)
    assert says in error.cause
    assert "\n" not in error.cause
    assert error.advice
    assert (error.target, error.question) == (f"kubernetes {api.url}", "list nodes")


def test_a_body_without_end_does_not_eat_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "MAX_BODY", 1 << 20)
    huge = PathAnswer(path=NODES, fault=Fault.HUGE, size=8 << 20)
    with KubernetesApi(nodes(1), answers=[huge]) as api:
        error = refusal(lambda: probe.nodes(client(api, tmp_path)))
    assert error.kind is ProbeErrorKind.MALFORMED
    assert error.cause == "the answer is larger than 1 MiB"


class TestForbidden:
    def test_the_snippet_grants_exactly_what_is_missing(self, tmp_path: Path) -> None:
        deny = Deny(verb="list", resource="networkpolicies", group="networking.k8s.io")
        with KubernetesApi([KUBE_SYSTEM], denies=[deny], tls_dir=tmp_path / "tls") as api:
            error = refusal(lambda: probe.network_policies(client(api, tmp_path)))
        assert error.kind is ProbeErrorKind.FORBIDDEN
        assert "list networkpolicies of the group networking.k8s.io" in error.cause
        advice, snippet = error.advice.split("\napiVersion", 1)
        _, *command = advice.splitlines()
        assert max(map(len, command)) < 72, "a terminal would break it, and the shell run halves"
        role = yaml.safe_load(f"apiVersion{snippet}")
        assert role["kind"] == "ClusterRole"
        assert role["rules"] == [
            {
                "apiGroups": ["networking.k8s.io"],
                "resources": ["networkpolicies"],
                "verbs": ["list"],
            }
        ]
        name = role["metadata"]["name"]
        options = f"--namespace=shop --clusterrole={name} --user=lab"
        assert shlex.split("".join(line.removesuffix("\\") for line in command)) == (
            f"kubectl create rolebinding {name}-lab {options}".split()
        )

    def test_the_right_named_is_that_of_the_request_that_was_refused(self, tmp_path: Path) -> None:
        deny = Deny(verb="list", resource="endpointslices", group="discovery.k8s.io")
        with KubernetesApi([SERVICE], denies=[deny]) as api:
            error = refusal(lambda: probe.health(client(api, tmp_path)))
        assert "list endpointslices" in error.cause
        assert 'resources: ["endpointslices"]' in error.advice

    def test_nobody_in_particular_is_unauthorized(self, tmp_path: Path) -> None:
        said = b'{"kind":"Status","message":"User \\"system:anonymous\\" cannot list nodes"}'
        with Scripted(lambda path, query: Reply(403, said)) as server:
            k8s = connect(settings(kubeconfig(tmp_path / "k", server.url)), "kubernetes")
            assert refusal(lambda: probe.nodes(k8s)).kind is ProbeErrorKind.UNAUTHORIZED

    def test_a_path_is_granted_as_a_path(self) -> None:
        role = yaml.safe_load(Right("get", url="/readyz").grant())
        assert role["rules"] == [{"nonResourceURLs": ["/readyz"], "verbs": ["get"]}]

    def test_a_service_account_is_bound_as_one(self) -> None:
        command = Right("list", "nodes").binding("system:serviceaccount:ci:readiness")
        assert command.startswith("kubectl create clusterrolebinding ")
        assert command.endswith(" --serviceaccount=ci:readiness")

    def test_each_user_has_a_binding_of_its_own(self) -> None:
        users = ("system:serviceaccount:ci:one", "system:serviceaccount:ci:two", "J. Doe/x%@c.org")
        commands = [Right("list", "nodes").binding(user) for user in users]
        names = [shlex.split(command.replace("\\\n", ""))[3] for command in commands]
        assert names == [
            f"readiness-list-nodes-{who}" for who in ("ci-one", "ci-two", "j-doe-x-c-org")
        ]

    def test_a_user_name_cannot_leave_the_command(self) -> None:
        assert Right("list", "nodes").binding("a; rm -rf /").endswith(" '--user=a; rm -rf /'")


def test_what_a_server_says_cannot_drive_the_terminal(tmp_path: Path) -> None:
    said = b'{"message":"one\\u001b[2Jtwo\\nthree ' + b"x" * 5000 + b'"}'
    with Scripted(lambda path, query: Reply(500, said)) as server:
        k8s = connect(settings(kubeconfig(tmp_path / "k", server.url)), "kubernetes")
        cause = refusal(lambda: probe.nodes(k8s)).cause
    assert cause.startswith("HTTP 500: one [2Jtwo three x")
    assert cause.isprintable()
    assert len(cause) <= 300


class TestRetries:
    @pytest.mark.parametrize("status", [429, 503])
    def test_a_status_that_passes_is_waited_for(self, status: int, tmp_path: Path) -> None:
        busy = PathAnswer(path=NODES, fault=Fault.STATUS, status=status, retry_after=0, times=2)
        with KubernetesApi(nodes(2), answers=[busy]) as api:
            assert len(probe.nodes(client(api, tmp_path)).items) == 2
            assert api.asked(NODES) == 3

    def test_a_wait_longer_than_the_time_is_not_begun(self, tmp_path: Path) -> None:
        busy = PathAnswer(path=NODES, fault=Fault.STATUS, status=429, retry_after=3600)
        with KubernetesApi(nodes(2), answers=[busy]) as api:
            error = refusal(lambda: probe.nodes(client(api, tmp_path)))
            assert api.asked(NODES) == 1
        assert error.kind is ProbeErrorKind.THROTTLED
        assert "wait 3600 s" in error.cause

    def test_a_date_is_a_wait_too(self, tmp_path: Path) -> None:
        later = {"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}
        with Scripted(lambda path, query: Reply(503, headers=later)) as server:
            k8s = connect(settings(kubeconfig(tmp_path / "k", server.url)), "kubernetes")
            assert refusal(lambda: probe.nodes(k8s)).kind is ProbeErrorKind.UNAVAILABLE
            assert len(server.asked) == 1

    def test_a_redirect_does_not_get_the_credential(self, tmp_path: Path) -> None:
        with Scripted(lambda path, query: Reply()) as elsewhere:
            away = {"Location": f"{elsewhere.url}/api/v1/nodes"}
            with Scripted(lambda path, query: Reply(307, headers=away)) as server:
                file = kubeconfig(tmp_path / "k", server.url, user={"token": "t"})
                error = refusal(lambda: probe.nodes(connect(settings(file), "kubernetes")))
            assert elsewhere.asked == []
        assert error.kind is ProbeErrorKind.MALFORMED


@contextmanager
def raw_server(serve: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """Serve each connection by a function that gets the socket and an event that ends it."""
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the client has hung up
            serve(connection, ended)

    def accept() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=one, args=(connection,)))
            threads[-1].start()

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in threads:
            thread.join()


class TestTime:
    @pytest.mark.parametrize(
        "first",
        [b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n{", b"HTTP/1.1 200 OK\r\nX: "],
        ids=["body", "header"],
    )
    def test_dripped_bytes_end_in_time(self, first: bytes, tmp_path: Path) -> None:
        def drip(connection: socket.socket, ended: threading.Event) -> None:
            connection.recv(65536)
            connection.sendall(first)
            while not ended.wait(0.1):
                connection.sendall(b" ")

        with raw_server(drip) as url:
            k8s = connect(settings(kubeconfig(tmp_path / "k", url), timeout=0.6), "kubernetes")
            error = refusal(lambda: probe.nodes(k8s))
        assert error.kind is ProbeErrorKind.TIMEOUT

    def test_pages_without_end_end_in_time(self, tmp_path: Path) -> None:
        page = b'{"kind":"NodeList","metadata":{"continue":"again"},"items":[]}'
        with Scripted(lambda path, query: Reply(body=page)) as server:
            file = kubeconfig(tmp_path / "k", server.url)
            k8s = connect(settings(file, timeout=0.6), "kubernetes")
            error = refusal(lambda: probe.nodes(k8s))
        assert error.kind is ProbeErrorKind.TIMEOUT

    def test_a_server_that_hangs_at_the_first_question_is_asked_no_other(
        self, tmp_path: Path
    ) -> None:
        hang = PathAnswer(path="*", fault=Fault.HANG)
        with KubernetesApi([KUBE_SYSTEM], answers=[hang]) as api:
            error = refusal(lambda: probe.identity(client(api, tmp_path, timeout=0.5)))
        assert (error.kind, error.stops_target) == (ProbeErrorKind.TIMEOUT, True)


class TestNoConnection:
    def test_a_closed_port_is_unreachable(self, tmp_path: Path) -> None:
        refuse = PathAnswer(path="*", fault=Fault.REFUSE)
        with KubernetesApi([KUBE_SYSTEM], answers=[refuse]) as api:
            error = refusal(lambda: probe.identity(client(api, tmp_path)))
        assert (error.kind, error.stops_target) == (ProbeErrorKind.UNREACHABLE, True)
        assert error.cause == "connection refused"

    def test_a_name_that_does_not_resolve_is_unreachable(self, tmp_path: Path) -> None:
        file = kubeconfig(tmp_path / "k", "https://no-such-host.invalid:6443")
        error = refusal(lambda: probe.nodes(connect(settings(file), "kubernetes")))
        assert (error.kind, error.stops_target) == (ProbeErrorKind.UNREACHABLE, True)
        assert error.cause == "the host name does not resolve"

    def test_what_is_no_http_is_malformed(self, tmp_path: Path) -> None:
        def greet(connection: socket.socket, ended: threading.Event) -> None:
            connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
            connection.recv(65536)

        with raw_server(greet) as url:
            k8s = connect(settings(kubeconfig(tmp_path / "k", url)), "kubernetes")
            assert refusal(lambda: probe.nodes(k8s)).kind is ProbeErrorKind.MALFORMED


def test_packets_that_are_dropped_stop_the_target() -> None:
    # Not to be had on loopback: nothing there drops a packet.
    asked = Asked("kubernetes https://10.0.0.1", "list nodes", Right("list", "nodes"), 10)
    lost = ConnectTimeoutError("timed out")
    error = of_transport(asked, MaxRetryError(HTTPConnectionPool("10.0.0.1"), "/", lost))
    assert (error.kind, error.stops_target) == (ProbeErrorKind.TIMEOUT, True)
    assert "no connection in time" in error.cause


def test_an_api_server_without_any_health_endpoint_is_an_error(tmp_path: Path) -> None:
    with Scripted(lambda path, query: Reply(404)) as server:
        k8s = connect(settings(kubeconfig(tmp_path / "k", server.url)), "kubernetes")
        assert refusal(lambda: probe.health(k8s)).kind is ProbeErrorKind.ABSENT
        assert [path for path, _ in server.asked] == ["/readyz", "/healthz"]


class TestTls:
    def ask(self, server: Scripted, tmp_path: Path, **cluster: Any) -> Any:
        file = kubeconfig(tmp_path / "k", server.url, cluster=cluster)
        return refusal(lambda: probe.identity(connect(settings(file), "kubernetes")))

    def serving(self, files: tls.TlsFiles) -> Scripted:
        return Scripted(lambda path, query: Reply(), files.server_context())

    def test_another_authority_is_not_trusted(self, tmp_path: Path) -> None:
        files, other = tls.write_tls(tmp_path / "a"), tls.write_tls(tmp_path / "b")
        with self.serving(files) as server:
            error = self.ask(server, tmp_path, **{"certificate-authority": str(other.ca)})
        assert (error.kind, error.stops_target) == (ProbeErrorKind.UNTRUSTED, True)
        assert "CA" in error.cause

    def test_a_certificate_for_another_name_is_not_trusted(self, tmp_path: Path) -> None:
        files = tls.write_tls(tmp_path / "a", hosts=("k8s.example.org",))
        with self.serving(files) as server:
            error = self.ask(server, tmp_path, **{"certificate-authority": str(files.ca)})
        assert error.kind is ProbeErrorKind.UNTRUSTED
        assert "for another IP address" in error.cause

    def test_an_expired_certificate_is_not_trusted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tls, "_AFTER", datetime.timedelta(minutes=-30))
        files = tls.write_tls(tmp_path / "a")
        with self.serving(files) as server:
            error = self.ask(server, tmp_path, **{"certificate-authority": str(files.ca)})
        assert error.kind is ProbeErrorKind.UNTRUSTED
        assert error.cause == "the server's certificate has expired"

    def test_a_missing_client_certificate_is_unauthorized(self, tmp_path: Path) -> None:
        files = tls.write_tls(tmp_path / "a")
        context = files.server_context(ask_client=True)
        context.verify_mode = ssl.CERT_REQUIRED

        def shake_hands(connection: socket.socket, ended: threading.Event) -> None:
            with context.wrap_socket(connection, True, do_handshake_on_connect=False) as wrapped:
                with suppress(ssl.SSLError):
                    wrapped.do_handshake()
                ended.wait()  # closing at once might lose the alert on its way

        with raw_server(shake_hands) as url:
            cluster = {"certificate-authority": str(files.ca)}
            file = kubeconfig(tmp_path / "k", url.replace("http:", "https:"), cluster=cluster)
            error = refusal(lambda: probe.identity(connect(settings(file), "kubernetes")))
        assert error.kind is ProbeErrorKind.UNAUTHORIZED
        assert error.cause == "the server asks for a client certificate"

    def test_a_tls_connection_that_is_closed_is_unreachable(self, tmp_path: Path) -> None:
        def hang_up(connection: socket.socket, ended: threading.Event) -> None:
            connection.recv(65536)

        with raw_server(hang_up) as url:
            file = kubeconfig(tmp_path / "k", url.replace("http:", "https:"))
            error = refusal(lambda: probe.identity(connect(settings(file), "kubernetes")))
        assert error.kind is ProbeErrorKind.UNREACHABLE

    def test_a_port_that_takes_the_connection_and_hangs_stops_the_target(
        self, tmp_path: Path
    ) -> None:
        def say_nothing(connection: socket.socket, ended: threading.Event) -> None:
            ended.wait()

        with raw_server(say_nothing) as url:
            file = kubeconfig(tmp_path / "k", url.replace("http:", "https:"))
            k8s = connect(settings(file, timeout=0.6), "kubernetes")
            error = refusal(lambda: probe.nodes(k8s))
        assert (error.kind, error.stops_target) == (ProbeErrorKind.TIMEOUT, True)
        assert error.cause == "the connection opens, and no TLS session begins within 0.3 s"

    def test_a_port_that_does_not_speak_tls_is_told(self, tmp_path: Path) -> None:
        with Scripted(lambda path, query: Reply()) as server:
            file = kubeconfig(tmp_path / "k", server.url.replace("http:", "https:"))
            error = refusal(lambda: probe.identity(connect(settings(file), "kubernetes")))
        assert error.kind is ProbeErrorKind.UNTRUSTED
        assert error.cause.startswith("no TLS session")

    def test_an_insecure_context_is_followed_and_said(self, tmp_path: Path) -> None:
        with KubernetesApi([KUBE_SYSTEM], tls_dir=tmp_path / "tls", tokens={"t": "ci"}) as api:
            cluster = {"insecure-skip-tls-verify": True}
            file = kubeconfig(tmp_path / "k", api.url, cluster=cluster, user={"token": "t"})
            assert not probe.identity(connect(settings(file), "kubernetes")).tls_verified
