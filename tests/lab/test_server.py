"""A target made of data alone: is it served as an HTTP server does, and does it fail as told to?"""

import gzip
import http.client
import json
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from pytest_readiness.lab.changes import Fault, PathAnswer, WorldError, changed
from pytest_readiness.lab.exchange import Login, Reply, Request, routes
from pytest_readiness.lab.server import Server
from pytest_readiness.lab.tls import write_tls

ITEMS = {"items": [{"name": "a", "state": "ok"}, {"name": "b", "state": "ok"}]}
ROUTES = {
    "GET /-/ready": "Ready.\n",
    "GET /api/items": ITEMS,
    "GET /api/query": lambda request: {"asked": request.parameters.get("query")},
    "POST /api/echo": lambda request: request.body,
    "GET /blobs/*/raw": b"\x00\x01",
    "GET /stream": Reply(200, [b"one,", b"", 0.01, b"two"], "text/plain"),
    "GET /moved": Reply(302, headers={"Location": "/-/ready"}),
}


@contextmanager
def serve(changes: Sequence[dict[str, Any]], folder: Path) -> Iterator[Mapping[str, str]]:
    """Serve the made-up target as `lab/NAME.py` does; this is all that such a file holds."""
    table, faults = changed(ROUTES, changes)
    tls = write_tls(folder)
    answer = routes(table, Login(tokens=["lab"], open=["/-/*"]))
    with Server(answer, faults=faults, tls=tls.server_context()) as server:
        yield {"url": server.url, "token": "lab", "ca_file": str(tls.ca)}


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def connect(url: str, ca_file: str = "", timeout: float = 10) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    assert parts.hostname == "127.0.0.1"
    if parts.scheme == "http":
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    context = ssl.create_default_context(cafile=ca_file or None)
    return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=context)


def address(server: Server) -> tuple[str, int]:
    return "127.0.0.1", server.server_address[1]


def exchange(
    connection: http.client.HTTPConnection,
    path: str,
    method: str = "GET",
    body: bytes | Iterable[bytes] | None = None,
    **headers: str,
) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    response = connection.getresponse()
    return Answer(response.status, response.headers, response.read())


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> Answer:
    connection = connect(server.url)
    try:
        return exchange(connection, path, method, None, **headers)
    finally:
        connection.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(routes(ROUTES)) as server:
        yield server


def failing(fault: str, path: str = "/api/items", **options: Any) -> Server:
    return Server(routes(ROUTES), faults=[PathAnswer(path=path, fault=Fault(fault), **options)])


class TestTarget:
    def test_is_served_over_tls_to_who_may_log_in(self, tmp_path: Path) -> None:
        with serve([], tmp_path) as at:
            connection = connect(at["url"], at["ca_file"])
            assert exchange(connection, "/-/ready").body == b"Ready.\n"
            nobody = exchange(connection, "/api/items")
            known = exchange(connection, "/api/items", authorization=f"Bearer {at['token']}")
            connection.close()
            with pytest.raises(ssl.SSLCertVerificationError):
                exchange(connect(at["url"]), "/-/ready")
        assert (nobody.status, nobody.headers["WWW-Authenticate"]) == (401, 'Bearer realm="lab"')
        assert (known.status, known.json) == (200, ITEMS)

    def test_is_changed_by_a_merge_and_an_answer(self, tmp_path: Path) -> None:
        changes: list[dict[str, Any]] = [
            {"merge": {"route": "GET /api/items", "with": {"items": {"b": {"state": "bad"}}}}},
            {"merge": {"route": "GET /api/items", "with": {"items": {"a": None}}}},
            {"answer": {"path": "/-/*", "fault": "status", "status": 503}},
        ]
        with serve(changes, tmp_path) as at:
            connection = connect(at["url"], at["ca_file"])
            assert exchange(connection, "/-/ready").status == 503
            items = exchange(connection, "/api/items", authorization="Bearer lab").json
            connection.close()
        assert items == {"items": [{"name": "b", "state": "bad"}]}
        assert ITEMS["items"][1] == {"name": "b", "state": "ok"}

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"merge": {"route": "GET /no", "with": {}}}, "change 0, merge: no route with JSON"),
            ({"merge": {"route": "GET /-/ready", "with": {}}}, "no route with JSON is 'GET /-/"),
            (
                {"merge": {"route": "GET /api/items", "with": {"items": {"c": {}}}}},
                "change 0, merge: 0 elements of the list are named 'c'; has: a, b",
            ),
            ({"answer": {"path": "/", "fault": "status"}}, "cannot do without it"),
            ({"answer": {"path": "/", "fault": "hang", "status": 500}}, "belongs to the fault"),
            ({"answer": {"path": "/api", "fault": "refuse"}}, "closes the port"),
            ({"answer": {"path": "/", "fault": "explode"}}, "Invalid enum value 'explode'"),
            ({"answer": {"path": "/", "faults": "hang"}}, "unknown field `faults`"),
            ({"drop": {}}, "change 0: unknown 'drop'; known: merge, answer"),
            ({}, "change 0: exactly one of merge, answer is needed"),
        ],
    )
    def test_refuses_a_change_that_makes_no_sense(
        self, change: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(WorldError) as caught:
            changed(ROUTES, [change])
        assert message in str(caught.value)


class TestRoutes:
    @pytest.mark.parametrize(
        ("path", "status", "content_type", "body"),
        [
            ("/-/ready", 200, "text/plain; charset=utf-8", b"Ready.\n"),
            ("/api/query?query=up%20%3D%3D%200", 200, "application/json", b'{"asked":"up == 0"}\n'),
            ("/api/query?query=", 200, "application/json", b'{"asked":""}\n'),
            ("/blobs/a%2Fb/raw", 200, "application/octet-stream", b"\x00\x01"),
            ("/stream", 200, "text/plain", b"one,two"),
            ("/moved", 302, "application/json", b""),
            ("/nowhere", 404, "text/plain; charset=utf-8", b"404 page not found\n"),
            ("/api/echo", 405, "text/plain; charset=utf-8", b""),
        ],
    )
    def test_say_what_they_are_told_to(
        self, server: Server, path: str, status: int, content_type: str, body: bytes
    ) -> None:
        answer = ask(server, path)
        assert (answer.status, answer.headers["Content-Type"]) == (status, content_type)
        assert answer.body == body

    def test_head_is_a_get_without_its_body(self, server: Server) -> None:
        connection = connect(server.url)
        answer = exchange(connection, "/-/ready", "HEAD")
        assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, "7", b"")
        assert exchange(connection, "/-/ready").body == b"Ready.\n"
        connection.close()

    def test_name_the_methods_that_a_path_takes(self, server: Server) -> None:
        answer = ask(server, "/api/echo", "DELETE")
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")

    @pytest.mark.parametrize(
        ("credentials", "status"),
        [
            ({}, 401),
            ({"authorization": "Basic " + b64encode(b"reader:right").decode()}, 200),
            ({"authorization": "Basic " + b64encode(b"reader:wrong").decode()}, 401),
            ({"authorization": "Basic " + b64encode(b"nobody:right").decode()}, 401),
            ({"authorization": "Basic no base64"}, 401),
            ({"authorization": "bearer token"}, 200),
            ({"authorization": "Bearer other"}, 401),
            ({"authorization": "Digest token"}, 401),
        ],
    )
    def test_let_in_who_has_a_password_or_a_token(
        self, credentials: dict[str, str], status: int
    ) -> None:
        login = Login(tokens=["token"], users={"reader": "right"})
        with Server(routes(ROUTES, login)) as server:
            answer = ask(server, "/-/ready", **credentials)
        assert answer.status == status
        assert ("WWW-Authenticate" in answer.headers) is (status == 401)


class TestConnections:
    def test_one_is_kept_and_every_request_of_it_remembered(self, server: Server) -> None:
        connection = connect(server.url)
        sent = iter([b"in ", b"pieces"])
        assert exchange(connection, "/api/echo", "POST", b"whole").body == b"whole"
        kept = connection.sock
        assert exchange(connection, "/api/echo", "POST", sent, X_Run="1").body == b"in pieces"
        assert exchange(connection, "/stream?a=1").body == b"one,two"
        assert connection.sock is kept
        connection.close()
        assert [(it.method, it.path, it.query) for it in server.requests] == [
            ("POST", "/api/echo", ""),
            ("POST", "/api/echo", ""),
            ("GET", "/stream", "a=1"),
        ]
        assert server.requests[1].headers["x-run"] == "1"
        assert (server.asked("/stream"), server.asked("/api/echo", method="POST")) == (1, 2)

    def test_a_client_that_asks_first_may_send_its_body(self, server: Server) -> None:
        head = b"POST /api/echo HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        with socket.create_connection(address(server), timeout=10) as client:
            client.sendall(head)
            assert client.recv(64).startswith(b"HTTP/1.1 100 ")
            client.sendall(b"ok")
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")

    def test_a_client_certificate_is_seen(self, tmp_path: Path) -> None:
        files = write_tls(tmp_path, user="me")

        def subject(request: Request) -> Reply:
            return Reply(200, repr(request.certificate.get("subject")).encode())

        context = ssl.create_default_context(cafile=files.ca)
        context.load_cert_chain(files.client_certificate, files.client_key)
        with Server(subject, tls=files.server_context(ask_client=True)) as server:
            port = server.server_address[1]
            shown = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
            assert b"('commonName', 'me')" in exchange(shown, "/").body
            shown.close()
            bare = connect(server.url, str(files.ca))
            assert exchange(bare, "/").body == b"None"
            bare.close()

    def test_the_end_cuts_those_that_are_kept_and_leaves_no_thread(self, tmp_path: Path) -> None:
        before = set(threading.enumerate())
        files = write_tls(tmp_path)
        with Server(routes(ROUTES), tls=files.server_context()) as server:
            kept = connect(server.url, str(files.ca))
            assert exchange(kept, "/-/ready").status == 200
            silent = socket.create_connection(address(server))
        assert set(threading.enumerate()) <= before
        server.stop()
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            exchange(kept, "/-/ready")
        kept.close()
        silent.close()

    def test_one_that_comes_with_the_end_is_closed_before_its_handshake(
        self, tmp_path: Path
    ) -> None:
        with Server(routes(ROUTES), tls=write_tls(tmp_path).server_context()) as server:
            pass
        theirs, ours = socket.socketpair()
        with ours:
            ours.settimeout(5)
            server.process_request(theirs, None)
            assert ours.recv(1) == b""

    def test_one_that_never_listened_ends_too(self) -> None:
        with failing("refuse", "*") as server, pytest.raises(ConnectionRefusedError):
            ask(server, "/-/ready")
        assert server.requests == []


class TestFaults:
    @pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
    def test_a_status_comes_in_plain_words(self, status: int) -> None:
        with failing("status", status=status, message="out of order") as server:
            answer = ask(server, "/api/items")
            assert ask(server, "/-/ready").status == 200
        assert (answer.status, answer.body) == (status, b"out of order")
        assert "Retry-After" not in answer.headers

    def test_a_busy_server_says_when_to_come_again(self) -> None:
        with failing("status", status=429, retry_after=3) as server:
            answer = ask(server, "/api/items")
        assert (answer.headers["Retry-After"], answer.body) == ("3", b"Too Many Requests")

    @pytest.mark.parametrize(
        ("fault", "timeout", "error"),
        [
            ("reset", 10, ConnectionResetError),
            ("truncated", 10, http.client.IncompleteRead),
            ("hang", 0.2, TimeoutError),
            ("slow", 0.2, TimeoutError),
        ],
    )
    def test_no_whole_answer_comes(
        self, fault: str, timeout: float, error: type[Exception]
    ) -> None:
        with failing(fault, seconds=60) as server:
            connection = connect(server.url, timeout=timeout)
            with pytest.raises(error):
                exchange(connection, "/api/items")
            connection.close()

    def test_an_answer_without_a_byte_is_truncated_too(self) -> None:
        with failing("truncated", "/moved") as server, pytest.raises(http.client.IncompleteRead):
            ask(server, "/moved")

    def test_the_true_answer_comes_slowly_or_under_another_name(self) -> None:
        with failing("slow", seconds=0.3) as server:
            began = time.monotonic()
            assert ask(server, "/api/items").json == ITEMS
            assert time.monotonic() - began >= 0.3
        with failing("content-type") as server:
            answer = ask(server, "/api/items")
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.json == ITEMS

    def test_another_answer_comes(self) -> None:
        with failing("garbage") as server, pytest.raises(ValueError, match=r"codec|Expecting"):
            _ = ask(server, "/api/items").json
        with failing("body", value=[None]) as server:
            assert ask(server, "/api/items").json == [None]
        with failing("huge", size=3_000_000) as server:
            assert len(ask(server, "/api/items").body) == 3_000_000
        with failing("bad-item", item=1, value=7) as server:
            assert ask(server, "/api/items").json == {"items": [ITEMS["items"][0], 7]}
        with failing("null-items") as server:
            assert ask(server, "/api/items").json == {"items": None}

    def test_what_is_packed_by_the_target_is_spoiled_unpacked(self) -> None:
        def packing(request: Request) -> Reply:
            if "gzip" not in request.headers.get("accept-encoding", ""):
                return Reply(200, b'{"items":[1]}')
            packed = gzip.compress(b'{"items":[1]}')
            return Reply(200, packed, headers={"Content-Encoding": "gzip"})

        with Server(packing, faults=[PathAnswer(path="/", fault=Fault.NULL_ITEMS)]) as server:
            assert ask(server, "/", accept_encoding="gzip").json == {"items": None}
        with Server(packing, faults=[PathAnswer(path="/", fault=Fault.GZIP_CUT)]) as server:
            cut = ask(server, "/").body
        with pytest.raises(EOFError):
            gzip.decompress(cut)

    def test_the_first_that_matches_is_used_and_only_so_often(self) -> None:
        faults = [
            PathAnswer(path="/api/*", fault=Fault.STATUS, status=503, times=3),
            PathAnswer(path="/api/items", fault=Fault.STATUS, status=500, times=2),
        ]
        with Server(routes(ROUTES), faults=faults) as server, ThreadPoolExecutor(8) as pool:
            paths = ["/api/items"] * 9
            said = sorted(answer.status for answer in pool.map(lambda it: ask(server, it), paths))
        assert said == [200] * 4 + [500] * 2 + [503] * 3
