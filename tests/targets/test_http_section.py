"""What the section of every HTTP target has, and the client that is made from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pytest_readiness.lab import tls
from pytest_readiness.targets import targets
from pytest_readiness.targets.http_probe import connect_http
from pytest_readiness.targets.http_section import HttpSection
from pytest_readiness.targets.section import Question
from pytest_readiness.written.keys import HTTP_URL, PROXY_URL, Secret
from tests.asking import caller
from tests.targets.kubernetes.target import Reply, Scripted

SECRET = Secret("${env:TOKEN}", "canary-1f09")


class Shop(HttpSection, frozen=True, kw_only=True):
    PREFIX: ClassVar[str] = "shop"
    QUESTIONS: ClassVar[tuple[Question, ...]] = ()


def test_it_is_no_target_itself() -> None:
    assert all(target.section is not HttpSection for target in targets().values())
    assert not {"http", "http_section", "http_probe"} & targets().keys()


@pytest.mark.parametrize(
    ("written", "problems"),
    [
        ({}, []),
        ({"token": SECRET}, []),
        ({"user": "reader", "password": SECRET}, []),
        ({"client_cert": Path("a"), "client_key": Path("b"), "token": SECRET}, []),
        ({"url": None}, []),
        (
            {"url": "https://reader@shop.example"},
            [("url", "url names a user: write it as the key user")],
        ),
        ({"user": "reader"}, [("user", "user needs the key password")]),
        ({"password": SECRET}, [("password", "password needs the key user")]),
        ({"client_cert": Path("a")}, [("client_cert", "client_cert needs the key client_key")]),
        ({"client_key": None}, [("client_key", "client_key needs the key client_cert")]),
        (
            {"token": SECRET, "user": "reader", "password": SECRET},
            [("token", "token and user are two ways to log in: keep one")],
        ),
    ],
)
def test_contradictions_are_told(
    written: Mapping[str, Any], problems: list[tuple[str, str]]
) -> None:
    assert list(Shop.contradictions(written)) == problems


def test_the_words_of_a_command_hold_no_secret() -> None:
    url = "https://shop.example"
    assert Shop(url=url).words() == {"at": url, "url": url, "curl": "curl"}
    by_token = Shop(url=url, token=SECRET, ca_file=Path("my ca.pem"), proxy="http://p:1").words()
    assert by_token["curl"] == (
        "curl --header \"Authorization: Bearer $TOKEN\" --cacert 'my ca.pem' --proxy http://p:1"
    )
    by_user = Shop(url=url, user="a b", password=SECRET).words()
    assert by_user["curl"] == "curl --user 'a b'"
    by_pair = Shop(url=url, client_cert=Path("c.pem"), client_key=Path("k.pem")).words()
    assert by_pair["curl"] == "curl --cert c.pem --key k.pem"


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("https://shop.example:8443/prefix", "https://shop.example:8443"),
        ("http://reader:pass@shop.example", "http://shop.example"),
        ("http://[::1]:80/", "http://[::1]:80"),
    ],
)
def test_an_address_names_its_origin_and_a_proxy_names_none(url: str, named: str) -> None:
    assert HTTP_URL.origins(url) == (named,)
    assert PROXY_URL.origins(url) == ()


def test_the_client_logs_in_as_the_section_says(tmp_path: Path) -> None:
    files = tls.write_tls(tmp_path)
    with Scripted(lambda path, query: Reply(), files.server_context()) as server:
        section = Shop(url=server.url, token=SECRET, ca_file=files.ca)
        client = connect_http("shop", section, caller(origins=frozenset({server.url})))
        assert client.ask("q", lambda question: question.body("/")) == b"{}"
        ((_, said),) = server.asked
    assert said["Authorization"] == f"Bearer {SECRET.reveal()}"
    assert (client.target, client.secrets) == (f"shop {server.url}", (SECRET.reveal(),))


def test_the_client_shows_what_the_section_names(tmp_path: Path) -> None:
    files = tls.write_tls(tmp_path)
    with Scripted(lambda path, query: Reply(), files.server_context(ask_client=True)) as server:
        section = Shop(
            url=server.url,
            user="reader",
            password=SECRET,
            ca_file=files.ca,
            client_cert=files.client_certificate,
            client_key=files.client_key,
        )
        client = connect_http("shop", section, caller(origins=frozenset({server.url})))
        assert client.ask("q", lambda question: question.body("/")) == b"{}"
        assert server.asked[0][1]["Authorization"].startswith("Basic ")
    assert client.own_trust is not client.trust
