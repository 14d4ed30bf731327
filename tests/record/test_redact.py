"""Redaction: nothing secret comes through, and nothing else is touched."""

import base64
import html
import json
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from pytest_readiness.record.redact import MARK, Redactor, count

SECRET = "Zq7/k+Vx'9=Ü\"w&p\\2#"
TOKEN = re.compile("«redacted:[0-9a-f]{8}»")


@pytest.fixture
def redactor() -> Redactor:
    return Redactor(b"salt")


@pytest.fixture
def knowing() -> Redactor:
    made = Redactor(b"salt")
    made.learn([SECRET])
    return made


def _base64(prefix: bytes, suffix: bytes = b"") -> str:
    return base64.b64encode(prefix + SECRET.encode() + suffix).decode()


FORMS: dict[str, Callable[[], str]] = {
    "raw": lambda: SECRET,
    "base64": lambda: _base64(b""),
    "base64 without padding": lambda: _base64(b"").rstrip("="),
    "base64, second alignment": lambda: _base64(b"a", b"tail"),
    "base64, third alignment": lambda: _base64(b"ab", b"tail"),
    "base64 of user:secret": lambda: _base64(b"reader:"),
    "urlsafe base64": lambda: base64.urlsafe_b64encode(SECRET.encode()).decode(),
    "urlsafe base64 of user:secret": lambda: base64.urlsafe_b64encode(
        f"reader:{SECRET}".encode()
    ).decode(),
    "URL path": lambda: quote(SECRET),
    "URL component": lambda: quote(SECRET, safe=""),
    "URL component in small letters": lambda: re.sub(
        "%..", lambda found: found[0].lower(), quote(SECRET, safe="")
    ),
    "URL form": lambda: quote_plus(SECRET),
    "encodeURIComponent": lambda: quote(SECRET, safe="!'()*"),
    "JSON": lambda: json.dumps(SECRET),
    "JSON in UTF-8": lambda: json.dumps(SECRET, ensure_ascii=False),
    "JSON within JSON": lambda: json.dumps(json.dumps(SECRET)),
    "repr": lambda: repr(SECRET),
    "repr in ASCII": lambda: ascii(SECRET),
    "node id": lambda: SECRET.encode("unicode_escape").decode(),
    "repr of bytes": lambda: repr(SECRET.encode()),
    "SQL": lambda: "'" + SECRET.replace("\\", "\\\\").replace("'", "\\'") + "'",
    "HTML": lambda: html.escape(SECRET),
    "node id of bytes": lambda: SECRET.encode().decode("ascii", "backslashreplace"),
    "hex": lambda: SECRET.encode().hex(),
    "hex in capitals": lambda: SECRET.encode().hex().upper(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_known_secret_is_found_in_every_form(knowing: Redactor, form: str) -> None:
    clean = knowing.text(f"before {FORMS[form]()} after")
    assert count(clean) == 1
    assert clean.startswith("before ")
    assert clean.endswith(" after")
    for length in range(6, len(SECRET)):
        assert SECRET[:length] not in clean
        assert SECRET[-length:] not in clean


def test_every_form_of_a_known_secret_has_one_token(knowing: Redactor) -> None:
    assert len({TOKEN.findall(knowing.text(form()))[0] for form in FORMS.values()}) == 1


def test_the_longer_of_two_known_secrets_is_found(redactor: Redactor) -> None:
    redactor.learn(["correct-horse", "correct-horse-battery"])
    assert TOKEN.fullmatch(redactor.text("correct-horse-battery"))


LONG = "".join(f"{number:x}z" for number in range(1000, 1100))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"assert '{LONG[:12]}...{LONG[-13:]}' == 'x'", "assert 'T...T' == 'x'"),
        (f"{{'key': '{LONG[:40]}...{LONG[-200:]}'}}", "{'key': 'T...T'}"),
        (f"['{LONG[:6]}...other", "['T...other"),
        (f"some other...{LONG[-90:]}", "some other...T"),
        (f"{LONG[:30]}...{LONG[-30:]}{LONG[:30]}...{LONG[-30:]}", "T...TT...T"),
        (f"{LONG[:30]}... and {LONG[:5]}...{LONG[20:40]}", f"T... and {LONG[:5]}...{LONG[20:40]}"),
        ("waiting... done...", "waiting... done..."),
        (f"E   {LONG}\nE   {LONG[::-1]}", "E   T\nE   U"),
    ],
)
def test_what_is_left_of_a_secret_that_was_cut_is_found(text: str, clean: str) -> None:
    redactor = Redactor(b"salt")
    redactor.learn([LONG, f"key:\n  {LONG[::-1]}\n"])
    shown = clean.replace("T", redactor.text(LONG)).replace("U", redactor.text(LONG[::-1]))
    assert redactor.text(text) == shown
    assert redactor.text(shown) == shown


# The secret of each text is x9Secret... so that what is left can be searched for it.
X = "x9Secret+of/the=Shape.7"
PLAIN = "x9SecretOfTheShape7"
SHAPES = [
    f"password={X}",
    f"Password: {X}",
    f"PGPASSWORD={X}",
    f"DB_PASS={X}",
    f"MYSQL_PWD={X}",
    'password: "x9Secret, with words; and (signs) [of] {all} <kinds> & 7"',
    "password='x9Secret \"quoted\" 7'",
    'password="x9Secret \\"escaped\\" 7"',
    f'{{"token": "{X}"}}',
    f'"{{\\"token\\": \\"{X}\\"}}"',
    f'"{{\\\\\\"api_key\\\\\\": \\\\\\"{X}\\\\\\"}}"',
    f"{{'client_secret': '{X}'}}",
    f"api-key={X}&next=1",
    f"aws_secret_access_key = {X}",
    f"AccountKey={X};EndpointSuffix=example.org",
    "password: 48151623",
    f"client-key-data: {PLAIN}",
    f"Authorization: Bearer {X}",
    f"Authorization: Basic {PLAIN}==",
    f'"authorization":"Bearer {X}"',
    f"authorization: {PLAIN}",
    f"sent Bearer {PLAIN}",
    f"sent bearer {'abcdefghij' * 3}",
    f"Cookie: session={PLAIN}; other={PLAIN}",
    f"Set-Cookie: session={PLAIN}; HttpOnly",
    f"https://reader:{PLAIN}@ch.example.org:8443/risk",
    "https://reader:x9Secret@half@ch.example.org/risk",
    f"http://:{PLAIN}@proxy:3128",
    f"amqp+ssl://{PLAIN}longEnoughToBeAToken@queue/",
    f"clickhouse-client --user reader --password {PLAIN} --query 'SELECT 1'",
    f"tool --backup-api-password '{PLAIN} 7'",
    f"tool --token={PLAIN}",
    f"CREATE USER a IDENTIFIED BY '{PLAIN}' HOST ANY",
    f"CREATE USER a IDENTIFIED WITH plaintext_password BY '{PLAIN}'",
    f"create user a identified with sha256_hash by '{PLAIN}' salt 'x'",
    "ALTER USER a IDENTIFIED BY 'x9Secret\\'s 7'",
    "ALTER USER a IDENTIFIED BY 'x9Secret''s 7'",
    f'"query": "ALTER USER a IDENTIFIED BY \\\'{PLAIN}\\\'"',
    f"ALTER USER a IDENTIFIED WITH bcrypt_hash BY 'x9', sha256_password BY '{PLAIN}'",
    f"CREATE DICTIONARY d SOURCE(CLICKHOUSE(USER 'a' PASSWORD '{PLAIN}'))",
    f"-----BEGIN RSA PRIVATE KEY-----\n{PLAIN}\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN PRIVATE KEY-----\\n{PLAIN}\\n-----END PRIVATE KEY-----",
    f"-----BEGIN EC PRIVATE KEY-----\n{PLAIN} and the rest is cut",
    base64.b64encode(f"-----BEGIN PRIVATE KEY-----\n{PLAIN}".encode()).decode(),
    base64.b64encode(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{PLAIN}".encode()).decode(),
    f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.{PLAIN}",
    f"eyJhbGciOiJkaXIifQ..{PLAIN}.{PLAIN}.{PLAIN}",
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4OVNlY3JldCJ9.",
    f"ghp_{PLAIN}{PLAIN}",
    f"glpat-{PLAIN}0",
    f"xoxb-{PLAIN}",
    f"hvs.{PLAIN}x",
    f"https://store/blob?sv=2026&sig={PLAIN}&se=1",
    json.dumps({"kind": "Secret", "data": {"a": PLAIN, "b": PLAIN}, "type": "Opaque"}),
    json.dumps(json.dumps({"stringData": {"a": PLAIN}, "kind": "Secret"})),
    repr({"kind": "Secret", "data": {"tls.key": PLAIN}}),
    f"apiVersion: v1\nkind: Secret\ndata:\n  a: {PLAIN}\n  b: {PLAIN}\nmetadata:\n  name: x\n",
]


@pytest.mark.parametrize("text", SHAPES)
def test_an_unknown_secret_is_known_by_its_surroundings(redactor: Redactor, text: str) -> None:
    clean = redactor.text(text)
    assert count(clean) >= 1
    for left in ("x9Secret", "of/the", "Shape", "escaped", "quoted", "half", "7'", "48151623"):
        assert left not in clean
    assert base64.b64encode(PLAIN.encode())[:12].decode() not in clean


@pytest.mark.parametrize("text", [*SHAPES, *(form() for form in FORMS.values())])
def test_what_is_redacted_stays_as_it_is(knowing: Redactor, text: str) -> None:
    once = knowing.text(f"before {text}")
    assert knowing.text(once) == once
    assert Redactor(b"another run").text(once) == once


ORDINARY = [
    "secretName: tls",
    '{"secretName":"tls","optional":false}',
    "automountServiceAccountToken: false",
    '{"automountServiceAccountToken":false,"x":1}',
    '"token": null, "password": none, secret: true',
    "max_tokens=4096 tokens: 100000",
    '{"app.kubernetes.io/name":"st-risk-api","tier":"token-service","x":"cookie"}',
    "node/n3.eu-central-1.compute.internal is NotReady",
    "pod/st-risk-secret-sync-6d5f9c8b7-x2x9p",
    "st-risk-tls-secret expires soon, st-risk-token missing everywhere",
    "registry.example.org/st-risk@sha256:4f1c2e7d9a0b4f1c2e7d9a0b4f1c2e7d9a0b4f1c2e7d9a0b4f1c2e7d9a0b4f1c",
    "6f0c1a52-0d4e-4d7e-9a53-3f1f5d6f2b11",
    "2026-11-24T06:30:00.123Z",
    "kubectl --kubeconfig /home/a/.kube/config --context prod get nodes -o wide",
    "kubectl get secret st-risk-tls -n st-risk -o yaml",
    "kubectl create clusterrolebinding readiness --clusterrole=readiness --user=system:node:n1",
    'clickhouse-client --host ch.example.org --user reader --query "SELECT * FROM system.disks"',
    'secrets is forbidden: User "reader" cannot list resource "secrets" in API group ""',
    'secret "st-risk-tls" not found',
    "basic authentication is off, bearer token missing, a basic authorization",
    "clickhouse+https://reader@ch.example.org:8443/risk",
    "https://10.0.0.1:6443, http://[::1]:8123/ and mail to ops@example.org",
    "REQUIRES: 3 of 4 replicas; password rules: none",
    "a user is IDENTIFIED BY its certificate",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    base64.b64encode(b"-----BEGIN CERTIFICATE-----\nMIIB").decode(),
    "kind: Deployment\ndata:\n  a: value\n",
    json.dumps({"kind": "ConfigMap", "data": {"a": "value"}}),
    "password:\n  next_key: value",
    "tests/test_shop.py::TestToken::test_valid[1-2]",
    "Secret::new, Password::Of",
    "test_names[password=redacted:0a1b2c3d]",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_words_are_not_touched(knowing: Redactor, text: str) -> None:
    assert knowing.text(text) == text
    assert knowing.text(json.dumps(text)) == json.dumps(text)
    assert knowing.json({"a": [text]}) == {"a": [text]}


def test_a_token_is_stable_within_a_run_and_different_in_another() -> None:
    text = "password=correct-horse"
    assert Redactor(b"one").text(text) == Redactor(b"one").text(text)
    assert Redactor(b"one").text(text) != Redactor(b"two").text(text)


def test_the_same_secret_has_the_same_token_wherever_it_stands(redactor: Redactor) -> None:
    clean = redactor.text("password=correct-horse http://a:correct-horse@h/ token: 'correct-horse'")
    assert len(TOKEN.findall(clean)) == 3
    assert len(set(TOKEN.findall(clean))) == 1


def test_a_known_secret_that_looks_like_a_token_leaves_tokens_whole(redactor: Redactor) -> None:
    token = redactor.text("password=correct-horse").partition("=")[2]
    redactor.learn(["redacted", token[10:14]])
    assert redactor.text(token) == token


def test_too_short_values_are_not_learned(redactor: Redactor) -> None:
    redactor.learn(["abc", ""])
    assert redactor.text("abc") == "abc"


def test_values_of_the_environment_are_secret_by_the_name() -> None:
    redactor = Redactor(b"salt")
    redactor.learn_environment(
        {
            "CLICKHOUSE_PASSWORD": "correct-horse",
            "PWD": "/home/reader",
            "OLDPWD": "/home/reader",
            "USE_TOKEN": "true",
            "HOME": "/home/other",
        }
    )
    text = "/home/reader /home/other true"
    assert redactor.text(f"correct-horse {text}").endswith(f"» {text}")


def test_json_is_redacted_by_name_and_in_every_text(knowing: Redactor) -> None:
    value: Any = {
        "password": "short",
        "tokens": 3,
        "api_key": ["one", {"two": "three"}, 4, None],
        "inject-secret": "true",
        SECRET: [SECRET, 1.5],
        "pair": (SECRET,),
        "kind": "Secret",
        "data": {"tls.crt": "MIIB"},
    }
    clean = knowing.json(value)
    shown = json.dumps(clean, ensure_ascii=False)
    for secret in ("short", "one", "three", "MIIB", SECRET[:6]):
        assert f'"{secret}' not in shown
    assert count(shown) == 7
    assert '"tokens": 3' in shown
    assert '"inject-secret": "true"' in shown
    assert knowing.json(clean) == clean


@pytest.mark.parametrize(
    "value",
    [
        {"cause": "-----BEGIN PRIVATE KEY-----\nMIIE and cut"},
        {"token": 1.5e3, "credential": -12345, "secret": None, "cookie": True},
        {"a": "secret: 'never closed", "b": "it's"},
        {"a": 'password="never closed', "b": 2},
        {"query": "IDENTIFIED BY 'never closed", "b": [1]},
        {"password": 'a"b\\c'},
    ],
)
def test_encoded_json_stays_json(redactor: Redactor, value: dict[str, object]) -> None:
    encoded = json.dumps(value, ensure_ascii=False).encode()
    clean = json.loads(redactor.encoded(encoded))
    assert clean.keys() == value.keys()
    assert clean == redactor.json(json.loads(encoded))


def test_encoded_json_without_a_secret_is_the_same_bytes(redactor: Redactor) -> None:
    encoded = b'{"token":null, "a": [1.0, "secretName"]}'
    assert redactor.encoded(encoded) is encoded


ADVERSARIAL = {
    "dots": "a.",
    "scheme": "a+b://",
    "scheme and colon": "://a:",
    "spaces after a name": "token" + " " * 50_000,
    "spaces after a scheme": "bearer" + " " * 50_000,
    "spaces after both": "token: bearer" + " " * 50_000,
    "names": "secrettoken",
    "dashes": "-token",
    "options": " --a-token",
    "JWT": "eyJ",
    "JWT with dots": "eyJaaaaaaaaa.",
    "PEM": "-----BEGIN ",
    "PEM without end": "-----BEGIN PRIVATE KEY-----",
    "PEM in base64": "LS0tLS1CRUdJTi",
    "quotes": "secret:'token:\"",
    "escaped quotes": 'secret\\":\\"',
    "backslashes": "secret\\\\",
    "open": 'secret="',
    "punctuation": "token=....,,,,",
    "SQL": "IDENTIFIED ",
    "SQL by": "IDENTIFIED BY '\\'",
    "SQL spaces": "IDENTIFIED" + " " * 50_000,
    "digits": "password=" + "1" * 50_000 + "x ",
    "tokens": "glpat-",
    "at": "@://:",
    "cookie": "cookie:",
    "Secret": "kind: Secret data: {",
    "Secret in lines": "kind: Secret\ndata:\n a:\n",
    "redacted": f"password={MARK}",
    "redacted in a node id": "password=redacted:0a1b2c3d",
    "names of nodes": "TestToken::",
    "what was cut": "correct-...",
    "numbers": "48151623 4815.1623,",
    "JSON": '{"name":"n1","labels":{"token":null,"secretName":"tls"}},',
}


# In a process of its own, since a regular expression cannot be interrupted. In quadratic time each
# text is a matter of many minutes: the limit says nothing about a fast or a slow machine.
PROGRAM = """\
import json, sys
from pytest_readiness.record.redact import Redactor
redactor = Redactor(b"salt")
redactor.learn(["correct-horse", "aaaaaaaa.", "48151623"])
size, texts = json.load(sys.stdin)
for name, text in texts.items():
    print(name, flush=True)
    redactor.text((text * (size // len(text) + 1))[:size])
print("all")
"""


@pytest.mark.parametrize(
    ("size", "texts"),
    [(5_000_000, {"JSON": ADVERSARIAL["JSON"]}), (200_000, ADVERSARIAL)],
    ids=["five megabytes", "adversarial"],
)
def test_a_text_takes_linear_time(size: int, texts: dict[str, str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        out, _ = process.communicate(json.dumps([size, texts]), timeout=100)
    except subprocess.TimeoutExpired:
        process.kill()
        out, _ = process.communicate()
    assert out.splitlines()[-1:] == ["all"], out
