"""Each way of giving no answer over HTTP is told apart, in words, in time, in bounded memory."""

import gzip
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_readiness.errors import ProbeError
from pytest_readiness.errors import ProbeErrorKind as Kind
from pytest_readiness.lab import tls
from pytest_readiness.transport import http
from tests.servers import fault_servers as servers
from tests.servers.fault_servers import Answer, Behaviour, FaultServer, Request, Wire
from tests.targets.kubernetes.target import Reply, Scripted
from tests.transport.asking import ask, client, refused, sent

GOOD = b'{"rules": [1, 2, 3]}'


class Rules(msgspec.Struct):
    rules: list[int]
    name: str = ""


@contextmanager
def failing(behaviour: Behaviour | None, context: ssl.SSLContext | None = None) -> Iterator[Any]:
    """Serve GOOD, or what a fault makes of it."""

    def answer(request: Request) -> Answer:
        return Answer(GOOD, (b'{"rules": [', b"1, "))

    with FaultServer(answer, lambda status: b"secret words of the server", context) as server:
        if behaviour is not None:
            server.fault = (re.compile(""), behaviour)
        yield server


def compressed(wire: Wire) -> bool:
    body = gzip.compress(wire.answer.body)
    wire.head(200, len(body), "Content-Encoding: gzip")
    wire.connection.sendall(body)
    return True


def greeting(wire: Wire) -> bool:
    wire.connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    return False


def hang_up(wire: Wire) -> bool:
    return False


def drip_head(wire: Wire) -> bool:
    wire.connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while not wire.ended.wait(0.1):
        wire.connection.sendall(b" ")
    return False


def cut_chunk(wire: Wire) -> bool:
    wire.head(200, None)
    wire.connection.sendall(b"ff\r\nhalf of it")
    return False


def long_head(wire: Wire) -> bool:
    wire.connection.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"x" * (1 << 20) + b"\r\n\r\n")
    return False


CLOSED = "the connection was closed before the answer"
LATE = "no answer within the time of one question"
FAULTS: dict[str, tuple[Behaviour, Kind, str, list[int | None]]] = {
    # behaviour, kind, words, and the status of each request that was sent
    "reset": (servers.reset, Kind.UNREACHABLE, CLOSED, [None, None]),
    "hung up": (hang_up, Kind.UNREACHABLE, CLOSED, [None, None]),
    "302": (servers.status(302), Kind.MALFORMED, "HTTP status 302", [302]),
    "400": (servers.status(400), Kind.MALFORMED, "HTTP status 400", [400]),
    "401": (servers.status(401), Kind.UNAUTHORIZED, "HTTP status 401", [401]),
    "403": (servers.status(403), Kind.FORBIDDEN, "HTTP status 403", [403]),
    "404": (servers.status(404), Kind.ABSENT, "HTTP status 404", [404]),
    "407": (servers.status(407), Kind.UNAUTHORIZED, "HTTP status 407", [407]),
    "408": (servers.status(408), Kind.TIMEOUT, "HTTP status 408", [408]),
    "413": (servers.status(413), Kind.MALFORMED, "HTTP status 413", [413]),
    "423": (servers.status(423), Kind.UNAVAILABLE, "HTTP status 423", [423]),
    "429": (servers.status(429), Kind.THROTTLED, "HTTP status 429", [429] * 3),
    "500": (servers.status(500), Kind.UNAVAILABLE, "HTTP status 500", [500]),
    "503": (servers.status(503), Kind.UNAVAILABLE, "HTTP status 503", [503] * 3),
    "504": (servers.status(504), Kind.TIMEOUT, "HTTP status 504", [504]),
    "truncated": (servers.truncated, Kind.MALFORMED, "the answer is truncated", [200]),
    "cut chunk": (cut_chunk, Kind.MALFORMED, "the answer is truncated", [200]),
    "not HTTP": (greeting, Kind.MALFORMED, "the answer is not HTTP", [None]),
    "long head": (long_head, Kind.MALFORMED, "the answer is not HTTP", [None]),
    "slow body": (servers.slow_body, Kind.TIMEOUT, LATE, [200]),
    "slow head": (drip_head, Kind.TIMEOUT, LATE, [None]),
    "hang": (servers.hang, Kind.TIMEOUT, LATE, [None]),
    "half, then hang": (servers.half_then_hang, Kind.TIMEOUT, LATE, [200]),
    "huge": (servers.huge_body, Kind.MALFORMED, "the answer is larger than 1 MiB", [200]),
    "bomb": (servers.bomb, Kind.MALFORMED, "compressed, and was not to be", [200]),
    "compressed": (compressed, Kind.MALFORMED, "compressed, and was not to be", [200]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_an_error_in_words_and_in_time(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    behaviour, kind, words, statuses = FAULTS[fault]
    monkeypatch.setattr(http, "MAX_BODY", 1 << 20)
    timeout = 0.5 if words == LATE else 5.0
    with failing(behaviour) as server:
        asked = client(f"http://127.0.0.1:{server.port}", timeout=timeout)
        started = time.monotonic()
        error = refused(asked)
        took = time.monotonic() - started
        counted = sent(asked)
    assert (error.kind, took < timeout + 1) == (kind, True)
    assert words in error.cause
    assert "secret words" not in str(error)
    assert "[prometheus]" in error.advice or kind in (
        Kind.TIMEOUT,
        Kind.MALFORMED,
        Kind.UNAVAILABLE,
    )
    target = f"prometheus {asked.url}"
    assert counted == {(target, "GET", status): statuses.count(status) for status in statuses}


class TestNoConnection:
    def test_a_closed_port_is_unreachable(self) -> None:
        with servers.refused() as port:
            error = refused(client(f"http://127.0.0.1:{port}"))
        assert (error.kind, error.cause) == (Kind.UNREACHABLE, "Connection refused")
        assert error.stops_target

    def test_a_name_that_does_not_resolve_is_unreachable(self) -> None:
        with servers.no_name_in_invalid():
            error = refused(client("http://prometheus.invalid:9090"))
        assert (error.kind, error.cause) == (Kind.UNREACHABLE, "the host name does not resolve")

    def test_a_name_that_takes_for_ever_ends_in_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ended = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ended.wait(20) or [])
        started = time.monotonic()
        error = refused(client("http://prometheus.example", timeout=0.05))
        ended.set()
        assert (error.kind, error.cause) == (Kind.TIMEOUT, LATE)
        assert time.monotonic() - started < 2

    def test_packets_that_are_dropped_are_no_connection(self) -> None:
        with servers.unreachable() as port:
            error = refused(client(f"http://127.0.0.1:{port}", timeout=0.4))
        assert (error.kind, error.cause) == (
            Kind.UNREACHABLE,
            "no connection within the time allowed",
        )

    def test_an_address_that_is_no_url_is_unreachable(self) -> None:
        with pytest.raises(ProbeError) as caught:
            client("http://[::1")
        assert caught.value.kind is Kind.UNREACHABLE


def test_a_connection_that_is_closed_once_is_made_again() -> None:
    first = [True]

    def once(wire: Wire) -> bool:
        if first.pop() if first else False:
            return servers.reset(wire)
        wire.head(200, len(wire.answer.body))
        wire.connection.sendall(wire.answer.body)
        return True

    with failing(once) as server:
        asked = client(f"http://127.0.0.1:{server.port}")
        assert ask(asked) == GOOD
        target = f"prometheus {asked.url}"
        assert sent(asked) == {(target, "GET", None): 1, (target, "GET", 200): 1}


class TestGate:
    def test_a_server_that_hangs_at_the_first_question_is_asked_no_other(self) -> None:
        with failing(servers.hang) as server:
            asked = client(f"http://127.0.0.1:{server.port}", timeout=0.3)
            with pytest.raises(ProbeError) as caught:
                asked.ask("identity", lambda question: question.body("/"), gate=True)
            assert (caught.value.kind, caught.value.stops_target) == (Kind.TIMEOUT, True)
            assert not refused(asked).stops_target

    def test_requests_without_end_end_in_time(self) -> None:
        def work(question: http.Question) -> None:
            while True:
                question.body("/page")

        with failing(None) as server:
            asked = client(f"http://127.0.0.1:{server.port}", timeout=0.4)
            error = refused(asked, work)
        assert error.kind is Kind.TIMEOUT


class TestTls:
    def refused_by(self, files: tls.TlsFiles, **login: Any) -> Any:
        with failing(None, files.server_context()) as server:
            return refused(client(f"https://127.0.0.1:{server.port}", **login))

    def test_passes_when_the_authority_is_known(self, tmp_path: Path) -> None:
        files = tls.write_tls(tmp_path)
        with failing(None, files.server_context()) as server:
            asked = client(f"https://127.0.0.1:{server.port}", ca_file=files.ca)
            assert ask(asked) == GOOD

    def test_another_authority_is_not_trusted(self, tmp_path: Path) -> None:
        files, other = tls.write_tls(tmp_path / "a"), tls.write_tls(tmp_path / "b")
        for login in ({"ca_file": other.ca}, {}):
            error = self.refused_by(files, **login)
            assert (error.kind, error.stops_target) == (Kind.UNTRUSTED, True)
            assert "CA that is not in the CA file" in error.cause

    def test_another_name_is_not_trusted(self, tmp_path: Path) -> None:
        files = tls.write_tls(tmp_path, hosts=("prometheus.example",))
        error = self.refused_by(files, ca_file=files.ca)
        assert error.cause == "the server's certificate is for another IP address"

    def test_an_expired_certificate_is_not_trusted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tls, "_AFTER", timedelta(minutes=-30))
        files = tls.write_tls(tmp_path)
        error = self.refused_by(files, ca_file=files.ca)
        assert (error.kind, error.cause) == (
            Kind.UNTRUSTED,
            "the server's certificate has expired",
        )

    def test_a_port_without_tls_is_told(self) -> None:
        with Scripted(lambda path, query: Reply()) as server:
            error = refused(client(server.url.replace("http:", "https:")))
        assert (error.kind, error.cause) == (Kind.MALFORMED, "the port does not speak TLS")

    def test_a_handshake_that_hangs_is_told(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            error = refused(client(f"https://127.0.0.1:{port}", timeout=0.3))
        assert (error.kind, error.cause) == (
            Kind.TIMEOUT,
            "the connection opens, and no TLS session begins",
        )

    def test_http_to_a_port_of_tls_is_an_error(self, tmp_path: Path) -> None:
        files = tls.write_tls(tmp_path)
        with failing(None, files.server_context()) as server:
            error = refused(client(f"http://127.0.0.1:{server.port}"))
        assert error.kind in (Kind.UNREACHABLE, Kind.MALFORMED)

    def test_a_ca_file_without_a_certificate_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "ca.pem").write_text("nothing in here")
        error = refused_at_connect(client("https://127.0.0.1:1", ca_file=tmp_path / "ca.pem"))
        assert error.kind is Kind.UNTRUSTED
        assert error.cause.startswith("ca_file cannot be used: ")


def refused_at_connect(asked: http.Client) -> Any:
    with pytest.raises(ProbeError) as caught:
        ask(asked)
    assert "nothing in here" not in str(caught.value)
    return caught.value


class TestRetryAfter:
    @pytest.mark.parametrize("status", [429, 503])
    def test_a_busy_server_is_waited_for(self, status: int) -> None:
        replies = [Reply(status, headers={"Retry-After": "0"})] * 2 + [Reply(body=GOOD)]
        with Scripted(lambda path, query: replies.pop(0)) as server:
            asked = client(server.url)
            assert ask(asked) == GOOD
        target = f"prometheus {asked.url}"
        assert sent(asked) == {(target, "GET", status): 2, (target, "GET", 200): 1}

    @pytest.mark.parametrize("after", ["3600", "Fri, 31 Dec 2100 23:59:59 GMT"])
    def test_a_wait_longer_than_the_time_is_not_begun(self, after: str) -> None:
        with Scripted(lambda path, query: Reply(503, headers={"Retry-After": after})) as server:
            error = refused(client(server.url))
            assert len(server.asked) == 1
        assert (error.kind, error.cause) == (
            Kind.UNAVAILABLE,
            f"HTTP status 503; Retry-After: {after}",
        )


class TestJson:
    def test_passes_when_the_body_is_of_the_type(self) -> None:
        with Scripted(lambda path, query: Reply(body=GOOD)) as server:
            found = client(server.url).ask("q", lambda question: question.json("/rules", Rules))
        assert found == Rules([1, 2, 3])

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (b"<html>login</html>", "JSON is malformed"),
            (b'{"rules": ["a"]}', "Expected `int`, got `str` - at `$.rules[0]`"),
            (b"", "truncated"),
            (b'{"rules": [], "name": "\xff"}', "'utf-8' codec"),
            (b'{"other": ' + b"[" * 100_000, "maximum recursion depth"),
        ],
        ids=["html", "another type", "empty", "not UTF-8", "deep"],
    )
    def test_another_body_is_malformed(self, body: bytes, words: str) -> None:
        reply = Reply(body=body, headers={"Content-Type": "text/html"})
        with Scripted(lambda path, query: reply) as server:
            error = refused(client(server.url), lambda question: question.json("/rules", Rules))
        assert error.kind is Kind.MALFORMED
        assert words in error.cause
        assert error.cause.endswith("; it calls itself text/html")

    def test_a_query_may_name_a_key_twice(self) -> None:
        with FaultServer(lambda request: Answer(GOOD), lambda status: b"") as server:
            asked = client(f"http://127.0.0.1:{server.port}")
            query: http.Query = {"match[]": ["up", "a b"], "limit": 5}
            asked.ask("q", lambda question: question.body("/series", query))
        assert server.asked == ["/series?match%5B%5D=up&match%5B%5D=a+b&limit=5 "]

    def test_a_status_is_the_probes_to_judge(self) -> None:
        with Scripted(lambda path, query: Reply(404, b"no", {"X-Reason": "none"})) as server:
            found = client(server.url).ask("q", lambda question: question.get("/rules"))
        assert (found.status, found.headers["x-reason"], found.body) == (404, "none", b"no")

    def test_head_reads_no_body(self) -> None:
        with failing(compressed) as server:
            asked = client(f"http://127.0.0.1:{server.port}")
            found = asked.ask("q", lambda question: question.head("/"))
        assert (found.status, found.body) == (200, b"")
        assert sent(asked) == {(f"prometheus {asked.url}", "HEAD", 200): 1}
