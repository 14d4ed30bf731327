"""A redirect is followed to where readiness.ini lets a run go, and a credential goes nowhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_readiness.errors import ProbeError, ProbeErrorKind
from pytest_readiness.lab import tls
from pytest_readiness.transport.redirects import MOST
from tests.targets.kubernetes.target import Reply, Scripted
from tests.transport.asking import ask, client, refused, sent

TOKEN = "canary-5d1e80"


def away(location: str, status: int = 302) -> Callable[[str, dict[str, str]], Reply]:
    return lambda path, query: Reply(status, headers={"Location": location})


@contextmanager
def two(location: str, status: int = 302) -> Iterator[tuple[Scripted, Scripted]]:
    """Serve a redirect to the location, where {other} is the place of another server."""
    with (
        Scripted(lambda path, query: Reply(body=path.encode())) as other,
        Scripted(away(location.format(other=other.url.removeprefix("http://")), status)) as first,
    ):
        yield first, other


class TestFollowed:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_to_another_origin_of_the_ini(self, status: int) -> None:
        with two("http://{other}/there", status) as (first, other):
            asked = client(first.url, other.url, token=TOKEN)
            assert ask(asked) == b"/there"
        assert sent(asked) == {
            (f"prometheus {first.url}", "GET", status): 1,
            (f"prometheus {other.url}", "GET", 200): 1,
        }

    @pytest.mark.parametrize("location", ["//{other}/there", "http://{other}/x/../there#end"])
    def test_in_every_spelling(self, location: str) -> None:
        with two(location) as (first, other):
            assert ask(client(first.url, other.url)) == b"/there"

    def test_within_the_server_with_the_credential(self) -> None:
        def answer(path: str, query: dict[str, str]) -> Reply:
            return Reply(body=b"new") if path == "/new" else Reply(307, headers={"Location": "new"})

        with Scripted(answer) as server:
            assert ask(client(server.url, token=TOKEN), "/old") == b"new"
        assert [path for path, _ in server.asked] == ["/old", "/new"]
        assert [said["Authorization"] for _, said in server.asked] == [f"Bearer {TOKEN}"] * 2

    def test_without_the_credential_and_the_headers_of_the_request(self) -> None:
        with two("http://{other}/there") as (first, other):
            asked = client(first.url, other.url, user="reader", password=TOKEN)
            given = {"X-Vault-Token": TOKEN}
            asked.ask("q", lambda question: question.body("/", headers=given))
            (_, home), (_, foreign) = first.asked[0], other.asked[0]
        assert home["Authorization"].startswith("Basic ")
        assert home["X-Vault-Token"] == TOKEN
        assert "Authorization" not in foreign
        assert "X-Vault-Token" not in foreign
        assert foreign["X-Readiness-Run"] == "run-1"

    def test_a_user_in_the_location_is_not_sent(self) -> None:
        with two("http://root:{{}}@{other}/there") as (first, other):
            assert ask(client(first.url, other.url)) == b"/there"
            assert "Authorization" not in other.asked[0][1]

    def test_five_times(self) -> None:
        def answer(path: str, query: dict[str, str]) -> Reply:
            at = int(path.removeprefix("/"))
            return Reply(302, headers={"Location": f"/{at + 1}"}) if at < MOST else Reply(body=b"!")

        with Scripted(answer) as server:
            assert ask(client(server.url), "/0") == b"!"


class TestRefused:
    @pytest.mark.parametrize(
        ("location", "words"),
        [
            ("http://{other}/", "redirects to http://{other}, which readiness.ini does not name"),
            ("//{other}/", "redirects to http://{other}, which readiness.ini does not name"),
            ("http://prometheus@{other}/", "redirects to http://{other}, which"),
            ("https://{first}/", "redirects to https://{first}, which"),
            ("http://localhost:{port}/", "redirects to http://localhost:{port}, which"),
            ("http://127.0.0.1.example:{port}/", "redirects to http://127.0.0.1.example:{port},"),
            ("http://{first}@{other}/", "redirects to http://{other}, which"),
            ("http://user%3A{first}@{other}/", "redirects to http://{other}, which"),
            ("ftp://{first}/", "redirects to ftp://{first}, which"),
            ("file:///etc/passwd", "redirects to file://, which"),
            ("http://[::1", "redirects to an address that is no URL"),
            ("http://{first}:80:80/", "redirects to an address that is no URL"),
        ],
    )
    def test_to_an_origin_that_the_ini_does_not_name(self, location: str, words: str) -> None:
        places: dict[str, object] = {}
        with (
            Scripted(lambda path, query: Reply()) as other,
            Scripted(lambda path, query: away(location.format(**places))(path, query)) as first,
        ):
            names = ("first", first), ("other", other)
            places |= {name: at.url.removeprefix("http://") for name, at in names}
            places["port"] = first.port
            asked = client(first.url, token=TOKEN)
            error = refused(asked)
            assert other.asked == []
            assert len(first.asked) == 1
        assert error.kind is ProbeErrorKind.MALFORMED
        assert error.cause.startswith(words.format(**places)), error.cause
        assert not error.stops_target

    def test_from_https_to_http(self, tmp_path: Path) -> None:
        files = tls.write_tls(tmp_path)
        with (
            Scripted(lambda path, query: Reply()) as plain,
            Scripted(away(f"{plain.url}/"), files.server_context()) as first,
        ):
            error = refused(client(first.url, plain.url, ca_file=files.ca))
            assert plain.asked == []
        assert error.cause == f"redirects from https to {plain.url}"

    def test_in_a_loop(self) -> None:
        with Scripted(away("/rules")) as server:
            error = refused(client(server.url))
            assert len(server.asked) == 1 + MOST
        assert error.cause == "redirects more than 5 times"

    def test_without_a_location(self) -> None:
        with Scripted(lambda path, query: Reply(302)) as server:
            assert refused(client(server.url)).cause == "HTTP status 302"


class TestAddresses:
    @pytest.mark.parametrize("path", ["@{other}/", ".example/", "0/"])
    def test_a_path_leads_to_no_other_address(self, path: str) -> None:
        with (
            Scripted(lambda path, query: Reply()) as other,
            Scripted(lambda path, query: Reply()) as server,
        ):
            place = other.url.removeprefix("http://")
            asked = client(server.url, token=TOKEN)
            error = refused(asked, lambda question: question.body(path.format(other=place)))
            assert other.asked == server.asked == []
        assert error.kind is ProbeErrorKind.MALFORMED
        assert sent(asked) == {}

    def test_a_server_that_the_ini_does_not_name_is_not_asked(self) -> None:
        asked = client("http://127.0.0.1:1")
        with pytest.raises(ProbeError, match=r"ask http://127\.0\.0\.1:2, which readiness\.ini"):
            type(asked)("prometheus", "http://127.0.0.1:2", asked.caller)

    def test_one_address_has_one_spelling(self) -> None:
        with Scripted(lambda path, query: Reply(body=b"!")) as server:
            asked = client(server.url.replace("127.0.0.1", "LOCALHOST"))
            assert ask(asked) == b"!"
            other = type(asked)("p", f"http://localhost:{server.port}", asked.caller)
            assert ask(other) == b"!"
        assert asked.origin == other.origin == f"http://localhost:{server.port}"
