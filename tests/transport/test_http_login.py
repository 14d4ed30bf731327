"""How a run logs in over HTTP, by which way it goes, and that no secret comes out of it."""

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from pytest_readiness.errors import ProbeError, ProbeErrorKind
from pytest_readiness.lab import tls
from tests.servers import fault_servers as servers
from tests.targets.kubernetes.target import Reply, Scripted
from tests.transport.asking import ask, client, refused

SECRET = "canary-7b20c4"


class TestHeaders:
    def test_every_request_is_marked(self) -> None:
        with Scripted(lambda path, query: Reply()) as server:
            ask(client(server.url))
            ((_, said),) = server.asked
        assert said["User-Agent"] == f"pytest-readiness/{version('pytest-readiness')}"
        assert said["X-Readiness-Run"] == "run-1"
        assert said["Accept-Encoding"] == "identity"
        assert "Authorization" not in said
        assert "Cookie" not in said

    def test_a_token_is_a_bearers(self) -> None:
        with Scripted(lambda path, query: Reply()) as server:
            asked = client(server.url, token=SECRET)
            ask(asked)
            assert server.asked[0][1]["Authorization"] == f"Bearer {SECRET}"
        assert asked.secrets == (SECRET,)

    def test_user_and_password_are_basic(self) -> None:
        with Scripted(lambda path, query: Reply()) as server:
            asked = client(server.url, user="réader", password=SECRET)
            ask(asked)
            scheme, _, login = server.asked[0][1]["Authorization"].partition(" ")
        assert (scheme, base64.b64decode(login).decode()) == ("Basic", f"réader:{SECRET}")
        assert asked.secrets == (SECRET,)

    @pytest.mark.parametrize("sign", ["\n", " ", "\x00", "é", "\r\nX-Evil: 1"])
    def test_a_token_that_no_header_may_hold_is_not_told(self, sign: str) -> None:
        with pytest.raises(ProbeError) as caught:
            client("http://127.0.0.1:1", token=f"{SECRET}{sign}{SECRET}")
        assert caught.value.kind is ProbeErrorKind.UNAUTHORIZED
        assert SECRET not in f"{caught.value} {caught.value.advice}"

    def test_a_header_that_cannot_be_sent_is_not_told(self) -> None:
        with Scripted(lambda path, query: Reply()) as server:
            given = {"X-Vault-Token": f"{SECRET}\n"}
            error = refused(client(server.url), lambda q: q.body("/", headers=given))
            assert server.asked == []
        assert error.kind is ProbeErrorKind.BROKE
        assert SECRET not in f"{error} {error.advice}"

    @pytest.mark.parametrize("status", [401, 403, 500])
    def test_what_a_server_echoes_is_not_told(self, status: int) -> None:
        with Scripted(lambda path, query: Reply(status, SECRET.encode())) as server:
            error = refused(client(server.url, token=SECRET))
        assert SECRET not in f"{error} {error.advice}"

    def test_no_cookie_is_kept(self) -> None:
        with Scripted(lambda path, query: Reply(headers={"Set-Cookie": "a=b; Path=/"})) as server:
            asked = client(server.url)
            asked.ask("q", lambda question: [question.body("/") for _ in range(2)])
            assert all("Cookie" not in said for _, said in server.asked)


@contextmanager
def asking_for_a_certificate(files: tls.TlsFiles) -> Iterator[tuple[str, list[bytes | None]]]:
    """Serve TLS to who shows a certificate; yield the URL, and what was shown."""
    context = files.server_context(ask_client=True)
    context.verify_mode = ssl.CERT_REQUIRED
    shown: list[bytes | None] = []

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):  # the client may hang up; the listener is closed at the end
            while True:
                connection, _ = listener.accept()
                with suppress(ssl.SSLError), context.wrap_socket(connection, True) as wrapped:
                    shown.append(wrapped.getpeercert(binary_form=True))
                    wrapped.recv(65536)
                    wrapped.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}", shown
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


class TestClientCertificate:
    def test_passes_when_it_is_shown(self, tmp_path: Path) -> None:
        files = tls.write_tls(tmp_path)
        pair: Any = {"client_cert": files.client_certificate, "client_key": files.client_key}
        with asking_for_a_certificate(files) as (url, shown):
            assert ask(client(url, ca_file=files.ca, **pair)) == b"{}"
        pem = files.client_certificate.read_text()
        assert shown == [ssl.PEM_cert_to_DER_cert(pem)]

    def test_without_one_the_server_says_so(self, tmp_path: Path) -> None:
        files = tls.write_tls(tmp_path)
        with asking_for_a_certificate(files) as (url, shown):
            error = refused(client(url, ca_file=files.ca))
        assert shown == []
        # In TLS 1.3 the alert may be lost when the server closes at once.
        assert (error.kind, error.cause) in (
            (ProbeErrorKind.UNAUTHORIZED, "the server asks for a client certificate"),
            (ProbeErrorKind.UNREACHABLE, "the connection was closed before the answer"),
            (ProbeErrorKind.UNREACHABLE, "the server closed the TLS connection"),
        )

    def test_it_is_not_shown_to_another_server(self, tmp_path: Path) -> None:
        files = tls.write_tls(tmp_path)
        pair: Any = {"client_cert": files.client_certificate, "client_key": files.client_key}
        with asking_for_a_certificate(files) as (url, shown):
            away = Reply(302, headers={"Location": f"{url}/"})
            with Scripted(lambda path, query: away, files.server_context()) as first:
                refused(client(first.url, url, ca_file=files.ca, **pair))
        assert shown == []

    @pytest.mark.parametrize("wrong", ["another key", "no key", "encrypted"])
    def test_a_pair_that_cannot_be_used_is_unauthorized(self, wrong: str, tmp_path: Path) -> None:
        files, other = tls.write_tls(tmp_path / "a"), tls.write_tls(tmp_path / "b")
        key = {
            "another key": other.client_key,
            "no key": files.ca,
            "encrypted": encrypted(files.client_key),
        }[wrong]
        pair: Any = {"client_cert": files.client_certificate, "client_key": key}
        asked = client("https://127.0.0.1:1", ca_file=files.ca, **pair)
        with pytest.raises(ProbeError) as caught:
            ask(asked)
        assert caught.value.kind is ProbeErrorKind.UNAUTHORIZED
        assert caught.value.cause.startswith("client_cert and client_key cannot be used: ")


def encrypted(key: Path) -> Path:
    """Write the key anew under a passphrase."""
    from cryptography.hazmat.primitives import serialization as pem

    loaded = pem.load_pem_private_key(key.read_bytes(), None)
    found = key.with_suffix(".encrypted")
    protection = pem.BestAvailableEncryption(b"passphrase")
    found.write_bytes(loaded.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, protection))
    return found


class TestProxy:
    def test_that_of_the_ini_is_used(self) -> None:
        with Scripted(lambda path, query: Reply(body=b"by proxy")) as proxy:
            asked = client("http://prometheus.invalid:9090", proxy=proxy.url, token=SECRET)
            assert ask(asked) == b"by proxy"
            assert [path for path, _ in proxy.asked] == ["/rules"]
            assert proxy.asked[0][1]["Host"] == "prometheus.invalid:9090"

    def test_those_of_the_environment_are_not(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text(f"machine 127.0.0.1 login reader password {SECRET}\n")
        monkeypatch.setenv("NETRC", str(netrc))
        with (
            Scripted(lambda path, query: Reply(body=b"by proxy")) as proxy,
            Scripted(lambda path, query: Reply(body=b"straight")) as server,
        ):
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
                monkeypatch.setenv(name, proxy.url)
            assert ask(client(server.url)) == b"straight"
            assert proxy.asked == []
            assert "Authorization" not in server.asked[0][1]

    def test_one_that_is_not_there_is_told_as_such(self) -> None:
        with servers.refused() as port, Scripted(lambda path, query: Reply()) as server:
            error = refused(client(server.url, proxy=f"http://127.0.0.1:{port}"))
        assert (error.kind, error.cause) == (
            ProbeErrorKind.UNREACHABLE,
            "the proxy fails: Connection refused",
        )

    def test_one_that_wants_a_login_is_told_as_such(self) -> None:
        with Scripted(lambda path, query: Reply(407)) as proxy:
            error = refused(client("http://prometheus.invalid", proxy=proxy.url))
        assert (error.kind, error.cause) == (ProbeErrorKind.UNAUTHORIZED, "HTTP status 407")

    def test_one_that_opens_no_tunnel_is_told_as_such(self) -> None:
        with Scripted(lambda path, query: Reply()) as proxy:  # which knows no CONNECT
            error = refused(client("https://prometheus.invalid", proxy=proxy.url))
        assert error.kind is ProbeErrorKind.UNREACHABLE
        assert error.cause.startswith("the proxy fails: 501 ")
