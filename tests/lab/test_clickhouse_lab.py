"""The HTTP interface of the ClickHouse lab, its worlds, and how it starts and ends."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import zlib
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import clickhouse_connect
import pytest

from pytest_readiness.errors import ReadinessError
from pytest_readiness.lab.changes import WorldError
from pytest_readiness.lab.clickhouse import WORLD
from pytest_readiness.lab.clickhouse.cluster import ClickHouseLab
from pytest_readiness.lab.clickhouse.process import ClickHouseProcess
from pytest_readiness.lab.clickhouse.world import ApiBackup, listed, load_world, split
from pytest_readiness.lab.reference import load_faults


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@pytest.fixture(scope="module")
def lab() -> Iterator[ClickHouseProcess]:
    with ClickHouseProcess(WORLD) as process:
        yield process


@pytest.fixture(scope="module")
def port(lab: ClickHouseProcess) -> int:
    port = urlsplit(lab.start().url).port
    assert port is not None
    return port


def ask(
    port: int,
    path: str = "/",
    body: str | bytes | None = None,
    headers: dict[str, str] | None = None,
    method: str | None = None,
    **parameters: str,
) -> Answer:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        url = f"{path}?{urlencode(parameters)}" if parameters else path
        verb = method or ("GET" if body is None else "POST")
        connection.request(verb, url, body, headers or {})
        answer: HTTPResponse = connection.getresponse()
        return Answer(answer.status, dict(answer.headers.items()), answer.read())
    finally:
        connection.close()


class TestInterface:
    @pytest.mark.parametrize("path", ["/", "/ping", "/replicas_status"])
    def test_says_ok(self, port: int, path: str) -> None:
        answer = ask(port, path)
        assert (answer.status, answer.text) == (200, "Ok.\n")

    def test_answers_a_get_in_tab_separated(self, port: int) -> None:
        answer = ask(port, query="SELECT 1 AS a, 'x' AS b")
        assert (answer.status, answer.text) == (200, "1\tx\n")
        assert answer.headers["X-ClickHouse-Format"] == "TabSeparated"
        assert answer.headers["X-ClickHouse-Timezone"] == "UTC"
        assert json.loads(answer.headers["X-ClickHouse-Summary"])
        assert answer.headers["X-ClickHouse-Query-Id"]
        assert answer.headers["X-ClickHouse-Server-Display-Name"]

    def test_joins_parameter_and_body(self, port: int) -> None:
        assert ask(port, body="1 + 1", query="SELECT").text == "2\n"

    def test_takes_the_data_of_an_insert(self, port: int) -> None:
        assert ask(port, body="CREATE TABLE default.i (a UInt8) ENGINE = Memory").status == 200
        sent = ask(port, body="1\n2\n", query="INSERT INTO default.i FORMAT TabSeparated")
        assert (sent.status, sent.text) == (200, "")
        assert ask(port, query="SELECT sum(a) FROM default.i").text == "3\n"
        assert ask(port, body="DROP TABLE default.i").status == 200

    def test_answers_a_head_without_body(self, port: int) -> None:
        answer = ask(port, "/ping", method="HEAD")
        assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, "4", b"")

    def test_knows_formats_settings_and_parameters(self, port: int) -> None:
        assert ask(port, query="SELECT 1 AS a FORMAT JSONEachRow").text == '{"a":1}\n'
        answer = ask(port, query="SELECT 1 AS a", default_format="CSVWithNames")
        assert (answer.text, answer.headers["X-ClickHouse-Format"]) == ('"a"\n1\n', "CSVWithNames")
        assert ask(port, query="SELECT {n:UInt8} + 1", param_n="4").text == "5\n"
        asked = ask(port, query="SELECT getSetting('max_threads')", max_threads="7")
        assert asked.text == "7\n"
        assert ask(port, query="SELECT currentDatabase()", database="risk").text == "risk\n"
        assert ask(port, query="SELECT 1", query_id="q-1").headers["X-ClickHouse-Query-Id"] == "q-1"

    def test_keeps_no_state_between_requests(self, port: int) -> None:
        assert ask(port, body="SET max_threads = 3").status == 200
        assert ask(port, query="SELECT getSetting('max_threads') = 3").text == "0\n"
        assert ask(port, body="SELECT throwIf(1)").status == 500
        assert ask(port, query="SELECT 1").text == "1\n"

    def test_a_get_is_read_only(self, port: int) -> None:
        answer = ask(port, query="CREATE DATABASE got")
        assert answer.headers["X-ClickHouse-Exception-Code"] == "164"
        assert answer.status == 500

    def test_read_only_is_the_engines_own(self, port: int) -> None:
        answer = ask(port, body="CREATE DATABASE posted", readonly="1")
        assert answer.text.startswith("Code: 164. DB::Exception: ")
        answer = ask(port, body="SELECT 1 SETTINGS max_threads = 1", readonly="1")
        assert answer.headers["X-ClickHouse-Exception-Code"] == "164"

    @pytest.mark.parametrize(
        ("query", "code", "status"),
        [
            ("SELEC 1", "62", 400),
            ("SELECT * FROM nowhere", "60", 404),
            ("SELECT nothing", "47", 404),
            ("SELECT no_such_function()", "46", 404),
            ("SELECT * FROM clusterAllReplicas('no', system.one)", "701", 500),
            ("SELECT sleepEachRow(3) SETTINGS max_execution_time = 1", "159", 408),
        ],
    )
    def test_refuses_in_the_engines_words(
        self, port: int, query: str, code: str, status: int
    ) -> None:
        answer = ask(port, body=query)
        assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
        assert (answer.headers["X-ClickHouse-Exception-Code"], answer.status) == (code, status)

    def test_refuses_an_unknown_database_setting_and_path(self, port: int) -> None:
        assert ask(port, query="SELECT 1", database="no").status == 404
        assert ask(port, query="SELECT 1", no_such_setting="1").status == 400
        assert ask(port, "/no").status == 404

    def test_compresses_on_demand_only(self, port: int) -> None:
        query = "SELECT number FROM numbers(1000)"
        accept = {"Accept-Encoding": "zstd, gzip;q=0.5"}
        plain = ask(port, headers=accept, query=query)
        assert "Content-Encoding" not in plain.headers
        packed = ask(port, headers=accept, query=query, enable_http_compression="1")
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.body) == plain.body
        accept = {"Accept-Encoding": "deflate"}
        packed = ask(port, headers=accept, query=query, enable_http_compression="1")
        assert zlib.decompress(packed.body) == plain.body

    def test_reads_a_compressed_question(self, port: int) -> None:
        body = gzip.compress(b"SELECT 1")
        assert ask(port, body=body, headers={"Content-Encoding": "gzip"}).text == "1\n"
        body = zlib.compress(b"SELECT 2")
        assert ask(port, body=body, headers={"Content-Encoding": "deflate"}).text == "2\n"
        assert ask(port, body=body, headers={"Content-Encoding": "br"}).status == 501

    def test_clickhouse_connect_works(self, port: int) -> None:
        client = clickhouse_connect.get_client(host="127.0.0.1", port=port, dedicated_pool=True)
        client.command("CREATE TABLE default.t (a UInt64, b String) ENGINE = Memory")
        assert client.query("SELECT toUInt64(1) AS a, 'é' AS b").result_rows == [(1, "é")]
        client.insert("default.t", [[1, "é"], [2, "b"]], ["a", "b"])
        assert client.query("SELECT * FROM default.t ORDER BY a").result_rows == [
            (1, "é"),
            (2, "b"),
        ]
        with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError) as caught:
            client.query("SELECT * FROM nowhere")
        assert getattr(caught.value, "code", 60) == 60
        assert client.ping()
        client.command("DROP TABLE default.t")
        client.close()

    @pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
    def test_curl_works(self, port: int) -> None:
        def curl(*arguments: str, data: str = "") -> str:
            done = subprocess.run(
                ["curl", "--silent", "--max-time", "10", *arguments],
                input=data,
                capture_output=True,
                text=True,
                check=True,
            )
            return done.stdout

        url = f"http://127.0.0.1:{port}"
        assert curl(f"{url}/ping") == "Ok.\n"
        assert curl(f"{url}/?query=SELECT%201") == "1\n"
        assert curl("--data-binary", "@-", url, data="SELECT 2") == "2\n"
        assert curl("-T", "-", "-X", "POST", url, data="SELECT 3") == "3\n"  # chunked
        assert curl("-u", "reader:", "--compressed", f"{url}/?enable_http_compression=1", "-d",
                    "SELECT 4") == "4\n"  # fmt: skip

    def test_names_replicas_as_the_world_does(self, port: int) -> None:
        query = "SELECT groupArray(host_name) FROM system.clusters WHERE cluster = 'risk'"
        hosts = ask(port, query=query).text
        assert hosts == (
            "['ch-0.ch.st-risk.svc','ch-1.ch.st-risk.svc','ch-2.ch.st-risk.svc']\n"
        )  # fmt: skip
        shown = ask(port, query="SHOW TABLES FROM risk").text.split()
        assert {"positions", "trades", "trades_all"} <= set(shown)

    def test_lists_backups_of_clickhouse_backup(self, port: int) -> None:
        rows = [json.loads(line) for line in ask(port, "/backup/list").text.splitlines()]
        assert [row["name"] for row in rows][-1] == "risk-increment-2"
        datetime.strptime(rows[0]["created"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


class TestUsers:
    def test_only_the_password_opens(self, lab: ClickHouseProcess) -> None:
        port = urlsplit(lab.start(password="lab-only").url).port or 0
        basic = "Basic " + b64encode(b"reader:lab-only").decode()
        wrong = "Basic " + b64encode(b"reader:other").decode()
        keyed = {"X-ClickHouse-User": "reader", "X-ClickHouse-Key": "lab-only"}
        assert ask(port, headers={"Authorization": basic}, query="SELECT 1").text == "1\n"
        assert ask(port, headers=keyed, query="SELECT 1").text == "1\n"
        by_url = ask(port, query="SELECT 1", user="reader", password="lab-only")
        assert by_url.text == "1\n"
        refused = ask(port, headers={"Authorization": wrong}, query="SELECT 1")
        assert (refused.status, refused.headers["X-ClickHouse-Exception-Code"]) == (403, "516")
        nobody = ask(port, query="SELECT 1")
        assert (nobody.status, nobody.headers["X-ClickHouse-Exception-Code"]) == (401, "194")
        assert ask(port, "/ping").text == "Ok.\n"
        stranger = {"Authorization": "Basic " + b64encode(b"nobody:").decode()}
        assert ask(port, headers=stranger, query="SELECT 1").status == 403


class TestWorlds:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"sq": "SELECT 1"}, "unknown 'sq'; known: sql, cluster, answer, backup_api"),
            ({"sql": "SELECT 1", "cluster": {}}, "exactly one of sql, cluster"),
            ({"sql": 1}, "Expected `str`, got `int`"),
            ({"cluster": {"shard": []}}, "unknown field `shard`"),
            ({"cluster": {"dead": ["ch-9"]}}, "dead hosts that are in no shard: ch-9"),
            ({"cluster": {"shards": [["a", "a"]]}}, "a host stands twice"),
            ({"answer": {"status": 403, "text": ""}}, "unknown field `text`"),
            ({"answer": {"does": "explode"}}, "Invalid enum value 'explode'"),
            ({"backup_api": [{"name": "a", "age": "1h", "location": "moon"}]}, "Invalid enum"),
        ],
    )
    def test_a_wrong_change_is_an_error(self, change: dict[str, Any], message: str) -> None:
        with pytest.raises(WorldError, match=message):
            load_world(WORLD, [change])

    def test_wrong_sql_is_an_error_and_the_next_start_works(self, lab: ClickHouseProcess) -> None:
        with pytest.raises(WorldError, match=r"Code: 62.*SELEC 1"):
            lab.start([{"sql": "SELEC 1"}])
        assert lab.start().cluster == "risk"

    def test_a_wrong_age_is_an_error(self) -> None:
        with pytest.raises(WorldError, match="3 hours"):
            listed([ApiBackup(name="a", age="3 hours", location="local")], datetime.now(UTC))

    def test_an_unknown_key_of_a_fault_is_an_error(self, tmp_path: Path) -> None:
        path = tmp_path / "faults.yaml"
        path.write_text("a: {says: A., turns: {}, subject: null, clickhouse: [], more: 1}")
        with pytest.raises(ReadinessError, match=r"faults\.yaml: .*unknown field `more`"):
            load_faults(path)

    def test_statements_end_with_a_line(self) -> None:
        script = "-- one; two\nSELECT ';' ;\nSELECT\n  2;\n\n-- end\n"
        assert split(script) == ["SELECT ';'", "SELECT\n  2"]

    def test_an_answer_may_be_limited(self, lab: ClickHouseProcess) -> None:
        answer = {"query": "SELECT 1", "status": 503, "body": "busy", "times": 1}
        port = urlsplit(lab.start([{"answer": answer}]).url).port or 0
        assert [ask(port, query="SELECT 1").status for _ in range(2)] == [503, 200]

    def test_two_labs_run_side_by_side(self, lab: ClickHouseProcess) -> None:
        with ClickHouseProcess(WORLD) as other:
            first, second = lab.start(), other.start()
            assert first.url != second.url
            for at in (first, second):
                assert ask(urlsplit(at.url).port or 0, query="SELECT 1").text == "1\n"


LIFE = """
import signal, sys, threading
from pytest_readiness.lab.clickhouse import WORLD
from pytest_readiness.lab.clickhouse.cluster import ClickHouseLab
def end(*_): raise KeyboardInterrupt
for number in (signal.SIGINT, signal.SIGTERM):  # a job in the background is born deaf to SIGINT
    signal.signal(number, end)
try:
    with ClickHouseLab(WORLD) as lab:
        print(lab.url, flush=True)
        threading.Event().wait()
except KeyboardInterrupt:
    print("ended", flush=True)
"""


class TestLife:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_ends_at_a_signal_and_leaves_no_file(self, tmp_path: Path, number: int) -> None:
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        with subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", "error", "-c", LIFE],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        ) as process:
            assert process.stdout is not None
            port = urlsplit(process.stdout.readline().strip()).port or 0
            open_one = HTTPConnection("127.0.0.1", port)
            open_one.request("GET", "/ping")
            open_one.getresponse().read()
            assert list(tmp_path.iterdir())
            process.send_signal(number)
            told, errors = process.communicate(timeout=20)
            open_one.close()
        assert (told, errors, process.returncode) == ("ended\n", "", 0)
        assert list(tmp_path.iterdir()) == []

    def test_a_process_has_one_engine(self) -> None:
        code = (
            "from pytest_readiness.lab.clickhouse import WORLD\n"
            "from pytest_readiness.lab.clickhouse.cluster import ClickHouseLab\n"
            "from pytest_readiness.lab.changes import WorldError\n"
            "with ClickHouseLab(WORLD):\n"
            "    try:\n"
            "        ClickHouseLab(WORLD).start()\n"
            "    except WorldError as error:\n"
            "        print(error)\n"
            "with ClickHouseLab(WORLD) as lab:\n"
            "    print(lab.cluster, lab.requests)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout.splitlines() == [
            "this process already runs a ClickHouse engine, and can have only one",
            "risk []",
        ]

    def test_importing_it_loads_no_engine(self) -> None:
        code = (
            "import sys, pytest_readiness.lab.clickhouse.process\n"
            "import pytest_readiness.targets.clickhouse.probe\n"
            "heavy = {'chdb', 'clickhouse_connect', 'httpx', 'yaml', 'urllib3'}\n"
            "print(sorted(heavy & set(sys.modules)))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout == "[]\n"


def test_a_lab_that_never_started_stops_quietly() -> None:
    lab = ClickHouseLab(WORLD)
    lab.stop()
    assert lab.requests == []
