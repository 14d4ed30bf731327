"""Promise 5, no secret leaves: secrets are planted wherever a run may meet one, and looked for
in everything it leaves behind or says."""

import base64
import json
import os
import re
import secrets
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus
from xml.etree import ElementTree

import pytest

from pytest_readiness.lab.kubernetes.api import KubernetesApi
from pytest_readiness.lab.kubernetes.faults import Fault, PathAnswer
from tests.run.planted import BODIES, CHECKS, CONFTEST, NAMES, PLAIN
from tests.run.project import Project, Result, check_source

# What we are told of, in readiness.ini, in a kubeconfig or by the name of a variable, is found
# bare and in every form; what we are not told of, by what stands around it.
TOLD = ("variable", "password", "file_password", "bearer", "digits")
UNTOLD = (
    "secret_data", "applied", "proxy", "exec_stderr", "exec_token", "identified", "fixture_error",
    "check_error", "assertion", "observed", "header", "subject", "problem", "local", "unread",
)  # fmt: skip


@pytest.fixture(scope="module")
def planted() -> dict[str, str]:
    told = {name: f"{secrets.token_hex(9)}/+&'ü{secrets.token_hex(3)}" for name in TOLD}
    told["bearer"] = secrets.token_urlsafe(24)
    told["digits"] = str(10**13 + secrets.randbelow(10**13))
    return told | {name: f"Cn{secrets.token_hex(12)}" for name in UNTOLD}


def forms(secret: str) -> dict[str, str]:
    """Return what to look for, by the name of the form."""
    raw = secret.encode()
    found = {
        "raw": secret,
        "URL path": quote(secret),
        "URL component": quote(secret, safe=""),
        "URL form": quote_plus(secret),
        "JSON": json.dumps(secret)[1:-1],
        "JSON within JSON": json.dumps(json.dumps(secret)[1:-1])[1:-1],
        "JSON in UTF-8": json.dumps(secret, ensure_ascii=False)[1:-1],
        "repr": repr(secret)[1:-1],
        "node id": secret.encode("unicode_escape").decode(),
        "hex": raw.hex(),
    }
    if secret.isdecimal():
        found |= {"number": f"{int(secret):,}"}
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + raw).decode().rstrip("=")
        found[f"base64 at {shift}"] = encoded[4:-4]
        found[f"urlsafe base64 at {shift}"] = encoded[4:-4].replace("+", "-").replace("/", "_")
    return found


def leaks(planted: dict[str, str], texts: dict[str, str]) -> list[str]:
    """Return where which secret stands in which form."""
    return [
        f"{name} ({form}) in {place}: ...{text[max(0, text.index(found) - 60) :][:200]!r}"
        for name, secret in planted.items()
        for form, found in forms(secret).items()
        for place, text in texts.items()
        if found in text
    ]


class Echo(BaseHTTPRequestHandler):
    """A ClickHouse that answers everything with an error that repeats what it was sent."""

    identified = ""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        sent = " ".join(
            self.headers.get(name, "") for name in ("X-ClickHouse-Key", "Authorization")
        )
        _, _, encoded = sent.strip().partition(" ")
        bare = base64.b64decode(encoded or "").decode(errors="replace")
        body = (
            f"Code: 62. DB::Exception: Syntax error: {sent} {bare} "
            f"CREATE USER a IDENTIFIED BY '{self.identified}'. (SYNTAX_ERROR) (version 26.5.1.1)"
        ).encode()
        self.send_response(400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def clickhouse(planted: dict[str, str]) -> Iterator[str]:
    handler = type("Handler", (Echo,), {"identified": planted["identified"]})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def kubernetes(planted: dict[str, str]) -> Iterator[KubernetesApi]:
    secret = {"data": {"a": base64.b64encode(planted["secret_data"].encode()).decode()}}
    applied = json.dumps({"kind": "Secret", "data": {"password": planted["applied"]}})
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": applied}
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, **secret},
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "n1", "annotations": annotations},
        },
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n2"}},
    ]
    unread = {"metadata": {"name": 7, "annotations": {"a": planted["unread"]}}}
    said = f"{planted['bearer']} may not, says Bearer {planted['bearer']}: {applied}"
    answers = [
        PathAnswer(path="/api/v1/nodes", fault=Fault.BAD_ITEM, item=1, value=unread),
        PathAnswer(path="/version", fault=Fault.STATUS, status=403, message=said),
        PathAnswer(path="/apis/storage.k8s.io/*", fault=Fault.BODY, value=said),
    ]
    with KubernetesApi(objects, answers=answers, tokens={planted["bearer"]: "reader"}) as api:
        yield api


KEPT = (
    "test_shop.py",
    "test_worse.py",
    "test_plain.py",
    "conftest.py",
    "readiness.ini",
    "kubeconfig",
    "password.txt",
    "plugin",
)


def shop(folder: Path, planted: dict[str, str], clickhouse: str) -> Project:
    """Return the project that plants everything."""
    project = Project(folder)
    checks = [
        check_source(id, body.format(**planted), arguments=arguments)
        for id, (arguments, body) in BODIES.items()
    ]
    for number, names in ((-2, NAMES), (-1, "[SECRET]")):
        checks[number] = f"@pytest.mark.parametrize('key', {names})\n{checks[number].lstrip()}"
    project.write("test_plain.py", PLAIN.replace("{names}", NAMES))
    project.write("test_shop.py", CHECKS.replace("{fixture_error}", planted["fixture_error"]))
    with (folder / "test_shop.py").open("a") as file:
        file.write("\n".join(checks))
    project.write("test_worse.py", "import os\nraise OSError(os.environ['SHOP_API_TOKEN'])\n")
    project.write("conftest.py", CONFTEST)
    project.write("password.txt", planted["file_password"] + "\n")
    project.write(
        "readiness.ini",
        f"""\
        [readiness]
        system = shop
        environment = test
        phase = verification
        timeout = 5s
        [kubernetes]
        kubeconfig = kubeconfig
        context = lab
        namespace = st-risk
        [clickhouse]
        url = clickhouse+http://reader@{clickhouse}/risk
        password = ${{env:SHOP_DATABASE}}
        cluster = risk
        backup_api = http://{clickhouse}
        backup_api_user = reader
        backup_api_password = ${{file:password.txt}}
        """,
    )
    project.environment = {
        "SHOP_API_TOKEN": planted["variable"],
        "SHOP_DATABASE": planted["password"],
        "SHOP_PIN_PASSWORD": planted["digits"],
    }
    return project


def left_by(project: Project, result: Result) -> dict[str, str]:
    """Return the text of everything that the run said or left, but for what was put there."""
    texts = {"the terminal": result.out}
    for path in sorted(project.folder.rglob("*")):
        inside = path.relative_to(project.folder)
        if path.is_file() and inside.parts[0] not in KEPT and path.suffix != ".pyc":
            texts[str(inside)] = path.read_text(encoding="utf-8", errors="replace")
    return texts


LOUD = (
    "-vv", "--tb=long", "--showlocals", "-rA", "--junitxml=junit.xml", "--log-file=log.txt",
    "--continue-on-collection-errors", "-o", "junit_logging=all",
)  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [("-o", "log_cli=true", "--durations=0"), ("-n", "2", "-o", "junit_family=xunit1")],
    ids=["alone", "workers"],
)
def test_no_secret_leaves(
    tmp_path: Path,
    planted: dict[str, str],
    kubernetes: KubernetesApi,
    clickhouse: str,
    options: tuple[str, ...],
) -> None:
    project = shop(tmp_path, planted, clickhouse)
    kubernetes.write_kubeconfig(tmp_path / "kubeconfig", token=planted["bearer"])
    result = project.run("-m", "readiness", *LOUD, *options)
    texts = left_by(project, result)
    for place in ("junit.xml", "told.txt", "readiness-report/report.json"):
        assert place in texts, result.out
    assert {"readiness-report/facts/k8s_nodes.json", "readiness-report/journal.jsonl"} <= set(texts)
    assert leaks(planted, texts) == []
    _planted_everywhere(result, texts)


def _planted_everywhere(result: Result, texts: dict[str, str]) -> None:
    """Assert that the secrets were met: that tokens stand where each was planted."""
    outcomes = result.outcomes()
    assert {outcomes[id] for id in ("shop-broken", "shop-raises", "k8s-version")} == {"error"}
    assert {outcomes[id] for id in ("shop-asserts", "shop-notes", "k8s-nodes")} == {"fail"}
    assert (outcomes["shop-says"], outcomes["shop-names"]) == ("pass", "pass")
    assert "may not, says Bearer «" in result.item("k8s-version")["reason"]
    assert "IDENTIFIED BY '«" in result.item("ch-replicas")["reason"]
    assert result.item("shop-notes")["findings"][1]["subject"].startswith("«redacted:")
    assert "test_shop_names[redacted:" in texts["told.txt"]
    assert "old secret: «redacted:" in texts["told.txt"]
    assert (
        "logged in with «redacted:" in texts["log.txt"] or "-n" in result.report["run"]["command"]
    )
    assert result.report["run"]["redactions"] > 10
    # One secret, one token: in the finding, in the node id, in a log.
    token = result.item("shop-notes")["findings"][1]["subject"]
    assert f"[{token[1:-1]}]" in result.item("shop-names")["nodeid"]
    assert f"logged in with {token}" in texts["told.txt"]
    pin = result.item("shop-digits")["evidence"][0]["observed"]
    assert [pin["next"], pin["pins"]] == [
        f"{pin['pin']}0",
        [f"{pin['pin']}.0", {"a": f"-{pin['pin']}"}],
    ]
    # Each case of an ordinary test has a name of its own.
    names = [
        case.get("name") or ""
        for case in ElementTree.fromstring(texts["junit.xml"]).iter("testcase")
    ]
    named = {name for name in names if name.startswith("test_named")}
    assert {f"test_named[{pin['pin'][1:-1]}]", "test_named[a]"} < named
    assert len([name for name in named if name.startswith(f"test_named[{token[1:-1]}")]) == 3


PLUGIN = """\
#!{python}
import sys
sys.stderr.write("cannot renew, refresh token: {exec_stderr}\\n")
if {fails}:
    sys.exit(3)
print('{{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", '
      '"status": {{"token": "{exec_token}"}}}}')
"""


@pytest.mark.parametrize("fails", [True, False], ids=["failing", "working"])
def test_no_secret_leaves_of_a_kubeconfig(
    tmp_path: Path, planted: dict[str, str], clickhouse: str, fails: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    project = shop(tmp_path, planted, clickhouse)
    plugin = project.write("plugin", PLUGIN.format(python=sys.executable, fails=fails, **planted))
    plugin.chmod(stat.S_IRWXU)
    user = f"reader:{planted['proxy']}"
    cluster = {"server": f"http://{user}@127.0.0.1:{port}"}
    cluster["proxy-url"] = f"http://{user}@127.0.0.1:{port}"
    execute = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(plugin),
        "interactiveMode": "Never",
    }
    config = {
        "clusters": [{"name": "lab", "cluster": cluster}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
        "users": [{"name": "lab", "user": {"exec": execute}}],
    }
    project.write("kubeconfig", json.dumps(config))
    result = project.run("-m", "readiness and kubernetes", *LOUD)
    assert {result.outcomes()[id] for id in ("k8s-version", "k8s-nodes")} == {"error"}, result.out
    assert ("exit code 3" in result.out) is fails
    assert leaks(planted, left_by(project, result)) == []


def test_what_is_looked_for_would_be_found(planted: dict[str, str]) -> None:
    secret = planted["password"]
    for text in (
        secret,
        base64.b64encode(f"ab{secret}".encode()).decode(),
        quote(secret, safe=""),
        json.dumps(json.dumps(secret)),
        os.linesep + repr({"a": secret}),
    ):
        assert [leak for leak in leaks(planted, {"here": text}) if leak.startswith("password")]
    assert not re.search(r"\W", planted["applied"])
