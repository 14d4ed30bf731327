"""The ClickHouse probe against the lab's engine, scripted servers, and an embedded engine."""

import http.server
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_readiness.errors import ProbeError, ProbeErrorKind
from pytest_readiness.lab.clickhouse import WORLD
from pytest_readiness.lab.clickhouse.process import Addresses, ClickHouseProcess
from pytest_readiness.lab.tls import write_tls
from pytest_readiness.settings import Settings, from_values
from pytest_readiness.targets.clickhouse import probe as probes
from pytest_readiness.targets.clickhouse.facts import BackupState
from pytest_readiness.targets.clickhouse.section import ClickHouse
from pytest_readiness.written.keys import Secret
from tests.asking import connect

PASSWORD = "canary-9f2c71"


def settings(url: str, *, cluster: str = "risk", timeout: str = "2s", **more: Any) -> Settings:
    values = {
        "readiness": {
            "system": "s",
            "environment": "e",
            "phase": "verification",
            "timeout": timeout,
        }
    }
    section = ClickHouse(url=url, cluster=cluster, **more)
    chosen = from_values(values, origin="test", base=Path())
    return Settings(
        path=chosen.path,
        sha256=chosen.sha256,
        values=chosen.values,
        readiness=chosen.readiness,
        targets={"clickhouse": section},
    )


@pytest.fixture(scope="module")
def lab() -> Iterator[ClickHouseProcess]:
    with ClickHouseProcess(WORLD) as process:
        yield process


@contextmanager
def client_of(at: Addresses, **more: Any) -> Iterator[probes.Client]:
    client = connect(settings(at.url, cluster=at.cluster, **more), "clickhouse")
    try:
        yield client
    finally:
        client.close()


def failing(at: Addresses, question: Any, **more: Any) -> ProbeError:
    with client_of(at, **more) as client, pytest.raises(ProbeError) as caught:
        question(client)
    return caught.value


class TestAnswers:
    def test_says_which_server_it_is(self, lab: ClickHouseProcess) -> None:
        at = lab.start()
        with client_of(at) as client:
            found = probes.identity(client)
        assert (found.url, found.database) == (at.url, "risk")
        assert found.version[0].isdigit()

    def test_lists_two_shards_in_order(self, lab: ClickHouseProcess) -> None:
        at = lab.start([{"cluster": {"shards": [["a", "b"], ["c"]], "dead": ["b"]}}])
        with client_of(at) as client:
            found = probes.replicas(client)
        assert [(r.shard, r.number, r.host, r.answers) for r in found.replicas] == [
            (1, 1, "a", True),
            (1, 2, "b", False),
            (2, 1, "c", True),
        ]

    def test_joins_every_replica_with_its_name(self, lab: ClickHouseProcess) -> None:
        change = "ALTER TABLE lab.disks UPDATE free_space = place WHERE name = 'default'"
        at = lab.start([{"sql": change}])
        with client_of(at) as client:
            found = probes.disks(client)
        free = {disk.host: disk.free for disk in found.disks if disk.name == "default"}
        assert free == {f"ch-{n}.ch.st-risk.svc": n + 1 for n in range(3)}

    def test_counts_an_address_that_stands_twice_once(self, lab: ClickHouseProcess) -> None:
        """One server with a replica of two shards: circular replication."""
        twice = (
            "INSERT INTO lab.clusters (cluster, shard_num, replica_num, host_name, port) "
            "VALUES ('risk', 2, 1, 'ch-0.ch.st-risk.svc', 9000)"
        )
        at = lab.start([{"sql": twice}])
        with client_of(at) as client:
            found = probes.replicas(client)
            disks = probes.disks(client)
        assert [len(replicas) for replicas in found.shards().values()] == [3, 1]
        assert all(replica.answers for replica in found.replicas)
        assert len({disk.host for disk in disks.disks}) == 3

    def test_reads_the_oldest_failure_of_a_queue(self, lab: ClickHouseProcess) -> None:
        entry = (
            "INSERT INTO lab.replication_queue (place, database, table, create_time, "
            "last_exception) VALUES (2, 'risk', 'trades', now() - {}, "
            "'Code: 234. DB::Exception: {}')"
        )
        at = lab.start([{"sql": entry.format(60, "older")}, {"sql": entry.format(5, "newer")}])
        with client_of(at) as client:
            found = probes.replication(client)
        told = {(t.host, t.table): t.oldest_failure for t in found.tables if t.oldest_failure}
        assert told == {("ch-1.ch.st-risk.svc", "trades"): "Code 234: older"}

    def test_reads_backups_without_a_log(self, lab: ClickHouseProcess) -> None:
        at = lab.start([{"sql": "DROP VIEW system.backup_log"}])
        with client_of(at) as client:
            found = probes.backups(client)
        assert found.sources == ("system.backups",)
        assert [backup.name for backup in found.backups] == [
            "Disk('backups', 'risk-1')",
            "Disk('backups', 'risk-2')",
        ]

    def test_times_are_utc_whatever_the_zone_of_the_server(self, lab: ClickHouseProcess) -> None:
        at = lab.start(
            [
                {"sql": "TRUNCATE TABLE lab.backup_log"},
                {
                    "sql": "ALTER TABLE lab.backups UPDATE end_time = "
                    "toDateTime64('2026-11-24 06:00:00', 6, 'Asia/Kathmandu') WHERE 1"
                },
                {"cluster": {"profile": {"session_timezone": "Asia/Kathmandu"}}},
            ]
        )
        with client_of(at) as client:
            found = probes.backups(client)
        moment = datetime(2026, 11, 24, 0, 15, tzinfo=UTC)
        assert {backup.ended for backup in found.backups} == {moment}

    @pytest.mark.parametrize(
        ("name", "destination", "disk"),
        [
            ("Disk('backups', 'a/b')", "Disk", "backups"),
            ("Disk('backups','a')", "Disk", "backups"),
            ("S3('https://s3.example.org/b', '[HIDDEN]')", "S3", ""),
            ("S3(named, 'path')", "S3", ""),
            ("S3()", "S3", ""),
            ("File('/backups/a.zip')", "File", ""),
            ("`Null`", "Null", ""),
            ("Null", "Null", ""),
            ("", "", ""),
            ("two words", "", ""),
        ],
    )
    def test_says_where_a_backup_lies_and_how_many_files_it_has(
        self, lab: ClickHouseProcess, name: str, destination: str, disk: str
    ) -> None:
        escaped = name.replace("'", "\\'")
        at = lab.start(
            [
                {"sql": "TRUNCATE TABLE lab.backup_log"},
                {"sql": f"ALTER TABLE lab.backups UPDATE name = '{escaped}' WHERE 1"},
            ]
        )
        with client_of(at) as client:
            found = probes.backups(client)
        assert {(b.destination, b.disk, b.files) for b in found.backups} == {
            (destination, disk, 8120)
        }

    def test_one_shard_is_not_asked_for_its_queries_and_two_are(
        self, lab: ClickHouseProcess
    ) -> None:
        for shards, known in ((["a", "b"],), {False}), ((["a"], ["b"]), {True}):
            at = lab.start([{"cluster": {"shards": list(shards)}}])
            with client_of(at) as client:
                found = probes.backups(client)
            assert {backup.on_cluster for backup in found.backups} == known
            assert any("query_log" in asked.query for asked in lab.requests()) == (True in known)
            assert found.hosts == {n: tuple(hosts) for n, hosts in enumerate(shards, 1)}

    def test_a_server_without_a_log_of_queries_shows_no_backup_of_the_cluster(
        self, lab: ClickHouseProcess
    ) -> None:
        two = {"cluster": {"shards": [["a"], ["b"]]}}
        at = lab.start([two, {"sql": "DROP VIEW system.query_log"}])
        with client_of(at) as client:
            found = probes.backups(client)
        assert {backup.on_cluster for backup in found.backups} == {False}

    def test_a_cancelled_backup_failed_and_a_restore_is_none(self, lab: ClickHouseProcess) -> None:
        at = lab.start(
            [
                {"sql": "TRUNCATE TABLE lab.backup_log"},
                {
                    "sql": "ALTER TABLE lab.backups UPDATE status = "
                    "if(id = 'b2', 'BACKUP_CANCELLED', 'RESTORED') WHERE 1"
                },
            ]
        )
        with client_of(at) as client:
            found = probes.backups(client)
        assert [(b.state, b.error) for b in found.backups] == [
            (BackupState.FAILED, "it was cancelled")
        ]


class TestSessions:
    @pytest.mark.parametrize(
        ("profile", "sent"),
        [
            ({}, {"readonly": "1", "log_comment": "run-1", "skip_unavailable_shards": "0"}),
            (
                {"readonly": 2},
                {"readonly": None, "log_comment": "run-1", "skip_unavailable_shards": "0"},
            ),
            (
                {"readonly": 1},
                {"readonly": None, "log_comment": None, "skip_unavailable_shards": None},
            ),
        ],
    )
    def test_every_profile_is_asked_as_far_as_it_allows(
        self, lab: ClickHouseProcess, profile: dict[str, int], sent: dict[str, str | None]
    ) -> None:
        at = lab.start([{"cluster": {"profile": profile}}])
        with client_of(at) as client:
            questions = (probes.replicas, probes.tables, probes.replication, probes.disks)
            for question in (*questions, probes.backups):
                assert question(client)
        last = lab.requests()[-1]
        assert {name: last.parameters.get(name) for name in sent} == sent

    def test_a_dead_replica_is_named_to_a_user_who_may_set_nothing(
        self, lab: ClickHouseProcess
    ) -> None:
        cluster = {"shards": [["ch-1", "ch-10", "ch-2"]], "dead": ["ch-1"]}
        at = lab.start([{"cluster": {**cluster, "profile": {"readonly": 1}}}])
        with client_of(at) as client:
            found = probes.replicas(client)
        assert [replica.answers for replica in found.replicas] == [False, None, None]

    def test_a_profile_that_hides_the_dead_is_refused(self, lab: ClickHouseProcess) -> None:
        profile = {"skip_unavailable_shards": 1, "readonly": 1}
        at = lab.start([{"cluster": {"profile": profile}}])
        error = failing(at, probes.disks)
        assert error.kind is ProbeErrorKind.FORBIDDEN
        assert "skip_unavailable_shards" in error.cause

    def test_a_profile_that_hides_the_dead_is_overruled(self, lab: ClickHouseProcess) -> None:
        cluster = {"shards": [["a", "b"]], "dead": ["b"]}
        at = lab.start([{"cluster": {**cluster, "profile": {"skip_unavailable_shards": 1}}}])
        assert failing(at, probes.disks).kind is ProbeErrorKind.UNREACHABLE

    def test_the_session_cannot_write(self, lab: ClickHouseProcess) -> None:
        at = lab.start()
        with client_of(at) as client, pytest.raises(ProbeError) as caught:
            client.rows("write", "CREATE DATABASE mine", dict)
        assert caught.value.kind is ProbeErrorKind.FORBIDDEN
        assert caught.value.cause.startswith("Code 164: ")

    def test_the_password_opens_and_is_never_told(self, lab: ClickHouseProcess) -> None:
        at = lab.start(password=PASSWORD)
        right = Secret("${env:X}", PASSWORD)
        with client_of(at, password=right) as client:
            assert probes.identity(client).database == "risk"
        with pytest.raises(ProbeError) as caught:
            connect(settings(at.url, password=Secret("${env:X}", "other-1b")), "clickhouse")
        assert caught.value.kind is ProbeErrorKind.UNAUTHORIZED
        assert caught.value.stops_target
        assert "other-1b" not in str(caught.value)


class TestRefusals:
    def test_a_database_that_is_not_there(self, lab: ClickHouseProcess) -> None:
        at = lab.start()
        with pytest.raises(ProbeError) as caught:
            connect(settings(at.url.replace("/risk", "/rusk")), "clickhouse")
        assert caught.value.kind is ProbeErrorKind.ABSENT
        assert caught.value.cause.startswith("Code 81: Database rusk does not exist")

    @pytest.mark.parametrize("path", ["", "/"])
    def test_a_url_without_a_database(self, path: str) -> None:
        with pytest.raises(ProbeError, match="names no database") as caught:
            connect(settings(f"clickhouse+http://reader@127.0.0.1:1{path}"), "clickhouse")
        assert caught.value.stops_target

    def test_a_cluster_that_is_not_there(self, lab: ClickHouseProcess) -> None:
        at = lab.start()._replace(cluster="risc")
        error = failing(at, probes.replicas)
        assert error.kind is ProbeErrorKind.ABSENT
        assert error.cause == "there is no cluster 'risc'; system.clusters has risk"

    def test_a_name_is_never_taken_for_sql(self, lab: ClickHouseProcess) -> None:
        at = lab.start()._replace(cluster="a' OR '1'='1\\")
        assert failing(at, probes.replicas).kind is ProbeErrorKind.ABSENT

    @pytest.mark.parametrize(
        ("answer", "kind", "cause"),
        [
            ((403, 516, "reader: Authentication failed"), "unauthorized", "Code 516: reader: "),
            ((401, 194, "Password required"), "unauthorized", "Code 194: "),
            ((401, None, "<html><h1>Who?</h1></html>"), "unauthorized", "HTTP driver received"),
            ((403, None, "blocked"), "forbidden", "HTTP driver received HTTP status 403"),
            ((500, 202, "Too many simultaneous queries"), "throttled", "Code 202: "),
            ((429, None, "slow down"), "throttled", "HTTP driver received HTTP status 429"),
            ((404, 60, "Table system.disks does not exist"), "not there", "Code 60: "),
            ((404, 701, "Requested cluster 'risk' not found"), "not there", "Code 701: "),
            ((408, 159, "Timeout exceeded: elapsed 9 s"), "timed out", "Code 159: "),
            ((503, 209, "Socket read timed out"), "timed out", "Code 209: "),
            ((500, 999, "Coordination error: Connection loss"), "unavailable", "Code 999: "),
            ((500, 241, "Memory limit exceeded"), "unavailable", "Code 241: "),
            ((503, None, "upstream"), "unavailable", "HTTP driver received HTTP status 503"),
            ((200, None, "<html>Welcome</html>"), "malformed", "JSON is malformed"),
            ((200, None, '{"place": 1}'), "malformed", "Object missing required field"),
            ((200, None, ""), "malformed", "ch-0.ch.st-risk.svc names no disk"),
        ],
    )
    def test_errors_are_told_apart(
        self, lab: ClickHouseProcess, answer: tuple[int, int | None, str], kind: str, cause: str
    ) -> None:
        status, code, text = answer
        body = f"Code: {code}. DB::Exception: {text}. (NAME) (version 26.5.1.1)" if code else text
        put = {"query": "system.disks", "status": status, "code": code, "body": body}
        error = failing(lab.start([{"answer": put}]), probes.disks)
        assert error.kind == kind
        assert error.cause.startswith(cause)
        assert "\n" not in error.cause
        assert "version" not in error.cause
        assert "Traceback" not in str(error)
        assert error.advice

    def test_an_answer_that_never_comes(self, lab: ClickHouseProcess) -> None:
        at = lab.start([{"answer": {"query": "system.disks", "does": "hang"}}])
        error = failing(at, probes.disks, timeout="1s")
        assert error.kind is ProbeErrorKind.TIMEOUT

    @pytest.mark.parametrize(
        ("does", "kind"), [("reset", "unreachable"), ("truncate", "malformed")]
    )
    def test_a_connection_that_breaks(self, lab: ClickHouseProcess, does: str, kind: str) -> None:
        at = lab.start([{"answer": {"query": "system.disks", "does": does}}])
        assert failing(at, probes.disks).kind == kind

    @pytest.mark.parametrize(
        ("text", "grant"),
        [
            (
                "reader: Not enough privileges. To execute this query, it's necessary to have "
                "the grant SELECT(name, path) ON system.disks. (ACCESS_DENIED)",
                "GRANT SELECT(name, path) ON system.disks TO reader;",
            ),
            (
                "ops-reader: Not enough privileges. To execute this query, it's necessary to "
                "have grant REMOTE ON *.*. (ACCESS_DENIED)",
                "GRANT REMOTE ON *.* TO `ops-reader`;",
            ),
            (
                "Received from ch-1:9000. DB::Exception: peer: Not enough privileges. To "
                "execute this query, it's necessary to have the grant SELECT(name) ON "
                "system.disks. (ACCESS_DENIED)",
                "GRANT SELECT(name) ON system.disks TO peer;",
            ),
        ],
    )
    def test_a_missing_grant_is_printed(
        self, lab: ClickHouseProcess, text: str, grant: str
    ) -> None:
        body = f"Code: 497. DB::Exception: {text} (version 26.5.1.1 (official build))"
        put = {"query": "system.disks", "status": 403, "code": 497, "body": body}
        error = failing(lab.start([{"answer": put}]), probes.disks)
        assert error.kind is ProbeErrorKind.FORBIDDEN
        assert error.advice == grant


class TestConnecting:
    @staticmethod
    def error(url: str, **more: Any) -> ProbeError:
        with pytest.raises(ProbeError) as caught:
            connect(settings(url, **more), "clickhouse")
        assert caught.value.stops_target or caught.value.kind not in (
            ProbeErrorKind.UNREACHABLE,
            ProbeErrorKind.UNTRUSTED,
        )
        return caught.value

    def test_refused(self) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
            error = self.error(f"clickhouse+http://reader@127.0.0.1:{port}/risk")
        assert error.kind is ProbeErrorKind.UNREACHABLE
        assert "Connection refused" in error.cause
        assert "object at 0x" not in error.cause

    def test_a_name_that_does_not_resolve(self) -> None:
        error = self.error("clickhouse+http://reader@ch.invalid:8123/risk")
        assert (error.kind, error.cause) == (
            ProbeErrorKind.UNREACHABLE,
            "the host name does not resolve",
        )

    def test_a_server_that_never_answers(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            error = self.error(f"clickhouse+http://r@127.0.0.1:{port}/risk", timeout="1s")
        assert error.kind is ProbeErrorKind.TIMEOUT

    def test_another_server(self) -> None:
        with site({"/": (200, "<html>Welcome to nginx</html>")}) as port:
            error = self.error(f"clickhouse+http://reader@127.0.0.1:{port}/risk")
        assert error.kind is ProbeErrorKind.MALFORMED

    def test_tls_to_a_port_without(self) -> None:
        with site({}) as port:
            error = self.error(f"clickhouse+https://reader@127.0.0.1:{port}/risk")
        assert error.kind is ProbeErrorKind.MALFORMED
        assert "does not speak TLS" in error.cause

    def test_tls_is_trusted_by_ca_file_alone(self, tmp_path: Path) -> None:
        files = write_tls(tmp_path)
        with secure_lab(files.server_certificate, files.server_key) as url:
            error = self.error(url)
            assert error.kind is ProbeErrorKind.UNTRUSTED
            assert "ca_file" in error.advice
            client = connect(settings(url, ca_file=files.ca), "clickhouse")
            assert probes.identity(client).database == "risk"
            client.close()


LISTED = (
    '{"name":"full","created":"2026-11-23 03:00:00","size":1,"location":"remote","required":"",'
    '"desc":"regular"}\n'
    '{"name":"full","created":"2026-11-23 03:00:00","location":"local","required":"",'
    '"desc":"broken (metadata.json not found)"}\n'
    '{"name":"inc","created":"2026-11-24T03:00:00Z","location":"remote","required":"+full",'
    '"desc":"regular","extra":{"new":1}}\n'
    '{"name":"bad","created":"0001-01-01 00:00:00","location":"remote","required":"",'
    '"desc":"broken (can\'t stat metadata.json)"}\n'
)


class TestBackupApi:
    @pytest.fixture
    def client(self, lab: ClickHouseProcess) -> Iterator[probes.Client]:
        with client_of(lab.start()) as client:
            yield client

    @staticmethod
    def at(client: probes.Client, port: int, **more: Any) -> probes.Client:
        url = f"http://127.0.0.1:{port}"
        client.section = ClickHouse(url="chdb:///x", cluster="risk", backup_api=url, **more)
        client.caller = replace(client.caller, origins=frozenset({url}))
        return client

    def test_is_not_asked_where_none_is_named(self, client: probes.Client) -> None:
        found = probes.backup_api(client)
        assert (found.url, found.backups) == (None, ())

    def test_reads_the_list(self, client: probes.Client) -> None:
        with site({"/backup/list": (200, LISTED)}) as port:
            found = probes.backup_api(self.at(client, port))
        assert [(b.name, b.state, b.base, b.error) for b in found.backups] == [
            ("full", BackupState.CREATED, "", ""),
            ("inc", BackupState.CREATED, "full", ""),
            ("bad", BackupState.FAILED, "", "broken (can't stat metadata.json)"),
        ]
        assert {(b.destination, b.files) for b in found.backups} == {("remote", None)}
        assert [b.at and b.at.isoformat() for b in found.backups] == [
            "2026-11-23T03:00:00+00:00",
            "2026-11-24T03:00:00+00:00",
            None,
        ]

    @pytest.mark.parametrize("order", [("local", "remote"), ("remote", "local")])
    def test_the_remote_one_of_two_counts(
        self, client: probes.Client, order: tuple[str, str]
    ) -> None:
        rows = [{"name": "a", "created": "2026-11-23 03:00:00", "location": it} for it in order]
        with site({"/backup/list": (200, json.dumps(rows))}) as port:
            (found,) = probes.backup_api(self.at(client, port)).backups
        assert found.destination == "remote"

    def test_reads_an_array_and_an_empty_list(self, client: probes.Client) -> None:
        rows = json.dumps([json.loads(line) for line in LISTED.splitlines()])
        with site({"/backup/list": (200, rows)}) as port:
            assert len(probes.backup_api(self.at(client, port)).backups) == 3
        with site({"/backup/list": (200, "")}) as port:
            assert probes.backup_api(self.at(client, port)).backups == ()

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (401, "", ProbeErrorKind.UNAUTHORIZED),
            (403, "", ProbeErrorKind.FORBIDDEN),
            (404, "", ProbeErrorKind.ABSENT),
            (423, "", ProbeErrorKind.UNAVAILABLE),
            (429, "", ProbeErrorKind.THROTTLED),
            (500, "", ProbeErrorKind.UNAVAILABLE),
            (302, "", ProbeErrorKind.MALFORMED),
            (200, "<html>", ProbeErrorKind.MALFORMED),
            (200, '{"name":"a"}', ProbeErrorKind.MALFORMED),
            (200, '{"name":"a","created":"yesterday"}', ProbeErrorKind.MALFORMED),
        ],
    )
    def test_errors_are_told_apart(
        self, client: probes.Client, status: int, body: str, kind: ProbeErrorKind
    ) -> None:
        with site({"/backup/list": (status, body)}) as port, pytest.raises(ProbeError) as caught:
            probes.backup_api(self.at(client, port))
        assert caught.value.kind is kind
        assert not caught.value.stops_target
        assert caught.value.advice

    def test_a_server_that_is_not_there(self, client: probes.Client) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            asked = self.at(client, closed.getsockname()[1])
            with pytest.raises(ProbeError) as caught:
                probes.backup_api(asked)
        assert caught.value.kind is ProbeErrorKind.UNREACHABLE
        assert not caught.value.stops_target

    def test_sends_user_and_password(self, client: probes.Client) -> None:
        secret = Secret("${env:X}", PASSWORD)
        with site({"/backup/list": (200, "")}, basic=f"ops:{PASSWORD}") as port:
            with pytest.raises(ProbeError):
                probes.backup_api(self.at(client, port))
            more = {"backup_api_user": "ops", "backup_api_password": secret}
            assert probes.backup_api(self.at(client, port, **more)).backups == ()


EMBEDDED = """
import sys
from pathlib import Path
from pytest_readiness.errors import ProbeError
from datetime import timedelta
from pytest_readiness.targets.clickhouse import probe as probes
from pytest_readiness.targets.clickhouse.section import ClickHouse
from pytest_readiness.transport.caller import Caller
def ask(url, cluster):
    section = ClickHouse(url=url, cluster=cluster)
    return probes.connect(section, Caller("run-1", timedelta(seconds=10), frozenset(), Path()))
url = sys.argv[1]
try:
    client = ask(url, "risk")
    print(probes.identity(client).database)
    for question in (probes.replicas, probes.tables, probes.replication, probes.disks,
                     probes.backups, probes.backup_api):
        print(question.__name__, question(client))
    client.rows("write", "CREATE DATABASE mine", dict)
except ProbeError as error:
    print(error.kind, error.cause, error.stops_target)
"""


class TestEmbedded:
    @staticmethod
    def ask(url: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", EMBEDDED, url],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout.splitlines()

    def test_answers_from_a_folder(self, tmp_path: Path) -> None:
        config = tmp_path / "config.xml"
        replica = "<replica><host>{}</host><port>9000</port></replica>"
        config.write_text(
            "<clickhouse><tcp_port>9000</tcp_port><remote_servers><risk><shard>"
            + replica.format("127.0.0.1") + replica.format("localhost")
            + "</shard></risk></remote_servers></clickhouse>"
        )  # fmt: skip
        data = tmp_path / "data"
        data.mkdir()
        told = self.ask(f"chdb://{data}?config-file={config}&database=default")
        assert told[0] == "default"
        assert told[1].count("answers=True") == 2
        assert [line.split(" ")[0] for line in told[2:7]] == [
            "tables",
            "replication",
            "disks",
            "backups",
            "backup_api",
        ]
        assert told[7].startswith("forbidden Code 164: ")

    def test_a_folder_without_a_cluster(self, tmp_path: Path) -> None:
        told = self.ask(f"chdb://{tmp_path}")
        assert told[0] == "default"
        assert told[1].startswith("not there there is no cluster 'risk'; system.clusters has ")

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        assert self.ask(f"chdb://{tmp_path}/no") == ["not there there is no such folder True"]
        assert not (tmp_path / "no").exists()


@contextmanager
def site(pages: dict[str, tuple[int, str]], basic: str = "") -> Iterator[int]:
    """Serve fixed pages; with `basic`, only to `user:password`."""
    from base64 import b64encode

    wanted = f"Basic {b64encode(basic.encode()).decode()}"

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            status, body = pages.get(self.path.partition("?")[0], (404, ""))
            if basic and self.headers.get("Authorization") != wanted:
                status, body = 401, ""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


SECURE = """
import ssl, sys
from pytest_readiness.lab.clickhouse import WORLD
from pytest_readiness.lab.clickhouse.cluster import ClickHouseLab
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
with ClickHouseLab(WORLD, tls=context) as lab:
    print(lab.url, flush=True)
    sys.stdin.read()
"""


@contextmanager
def secure_lab(certificate: Path, key: Path) -> Iterator[str]:
    arguments: Sequence[str] = [sys.executable, "-c", SECURE, str(certificate), str(key)]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate()
    assert process.returncode == 0


@contextmanager
def dripping() -> Iterator[int]:
    """Serve an answer that never ends: a byte at a time, each within any read time-out."""
    stopped = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def drip(connection: socket.socket) -> None:
        with connection:
            connection.recv(65536)
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000000\r\n\r\n"
            try:
                connection.sendall(head)
                while not stopped.wait(0.1):
                    connection.sendall(b" ")
            except OSError:  # the client has gone
                return

    def accept() -> None:
        while not stopped.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:  # closed below
                return
            threading.Thread(target=drip, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        stopped.set()
        listener.close()


def test_an_answer_that_drips_ends_in_time() -> None:
    with dripping() as port:
        url = f"clickhouse+http://reader@127.0.0.1:{port}/risk"
        with pytest.raises(ProbeError) as caught:
            connect(settings(url, timeout="1s"), "clickhouse")
    assert caught.value.kind is ProbeErrorKind.TIMEOUT
