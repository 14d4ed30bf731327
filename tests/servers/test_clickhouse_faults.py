"""clickhouse-connect's own exceptions, and an HTTP that spoils the answers of the real engine."""

import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pytest_readiness.errors import ProbeError
from pytest_readiness.lab.clickhouse import WORLD
from pytest_readiness.lab.clickhouse.process import Addresses, ClickHouseProcess
from pytest_readiness.lab.tls import write_tls
from pytest_readiness.targets.clickhouse import probe as probes
from tests.asking import connect
from tests.servers.clickhouse_child import ITEMS, judge, settings_of
from tests.servers.fault_proxy import Does, Fault, Proxy, proxy

MEMORY = "Code: 241. DB::Exception: Memory limit (total) exceeded. (MEMORY_LIMIT_EXCEEDED)"
TRAILER = " (version 26.5.1.1 (official build))\n"
# Each question over all replicas, and the items that are judged by it.
ASKED = {
    ", system.one)": ("ch-replicas",),
    ", system.tables)": ("ch-replication",),
    ", system.replicas)": ("ch-replication",),
    ", system.disks)": ("ch-disk", "ch-backup"),
    ", system.backups)": ("ch-backup",),
    ", system.backup_log)": ("ch-backup",),
}
PASS = {"outcome": "pass"}


@pytest.fixture(scope="module")
def at() -> Iterator[Addresses]:
    with ClickHouseProcess(WORLD) as lab:
        yield lab.start()


def port_of(at: Addresses) -> int:
    return urlsplit(at.url).port or 0


def section_of(at: Addresses, port: int, scheme: str = "http", host: str = "127.0.0.1") -> Any:
    url = f"clickhouse+{scheme}://reader@{host}:{port}/risk"
    return {"url": url, "cluster": at.cluster, "backup_api": at.backup_api}


def judged_through(at: Addresses, running: Proxy, timeout: str = "5s") -> dict[str, Any]:
    return judge(settings_of(section_of(at, running.port), timeout))


def refused_connection(section: dict[str, str]) -> ProbeError:
    with pytest.raises(ProbeError) as caught:
        connect(settings_of(section), "clickhouse")
    return caught.value


def test_passes_when_the_proxy_spoils_nothing(at: Addresses) -> None:
    with proxy(port_of(at)) as running:
        assert judged_through(at, running) == dict.fromkeys(ITEMS, PASS)
    assert running.asked == []


class TestHalfAnswers:
    """Status 200 and good rows have gone out already; none of them may count."""

    @staticmethod
    def hits(
        at: Addresses, fault: Fault, items: Sequence[str], timeout: str = "5s"
    ) -> dict[str, Any]:
        with proxy(port_of(at), fault) as running:
            judged = judged_through(at, running, timeout)
        assert running.asked
        told: dict[str, Any]
        (told, *_) = hit = [judged.pop(item) for item in items]
        assert {each["outcome"] for each in hit} == {"error"}
        assert set(map(str, judged.values())) == {str(PASS)}  # the others are as they were
        return told

    @pytest.mark.parametrize("asked", ASKED)
    def test_an_exception_in_the_body_is_named(self, at: Addresses, asked: str) -> None:
        told = self.hits(at, Fault(asked, "half", body=MEMORY + TRAILER), ASKED[asked])
        assert told["kind"] == "unavailable"
        assert told["cause"] == ("Code 241: Memory limit (total) exceeded. (MEMORY_LIMIT_EXCEEDED)")

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            ('{"exception": "' + MEMORY + '"}\n', "unavailable"),
            ("\r\n__exception__\r\nabcdefghijklmnop\r\n" + MEMORY + TRAILER, "unavailable"),
            (MEMORY.replace("241", "159"), "timed out"),
            (MEMORY.replace("241", "202"), "throttled"),
            (MEMORY.replace("241", "279"), "unreachable"),
            ('{"place": 1, "na', "malformed"),
            ("<html>Bad gateway</html>", "malformed"),
        ],
    )
    def test_every_way_to_break_off_is_seen(self, at: Addresses, body: str, kind: str) -> None:
        told = self.hits(at, Fault(", system.disks)", "half", body=body), ASKED[", system.disks)"])
        assert told["kind"] == kind
        assert "\n" not in told["cause"]

    @pytest.mark.parametrize("does", ["cut", "short"])
    @pytest.mark.parametrize("asked", ASKED)
    def test_a_chunked_body_that_ends_early(self, at: Addresses, asked: str, does: Does) -> None:
        told = self.hits(at, Fault(asked, does), ASKED[asked])
        assert told["kind"] in {"malformed", "unreachable"}
        assert "Traceback" not in str(told)

    @pytest.mark.parametrize("asked", [", system.disks)", ", system.tables)"])
    def test_a_body_that_never_ends(self, at: Addresses, asked: str) -> None:
        told = self.hits(at, Fault(asked, "drip"), ASKED[asked], timeout="1s")
        assert told["kind"] == "timed out"


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "code", "body", "kind"),
        [
            (403, 516, "Code: 516. DB::Exception: reader: Authentication failed", "unauthorized"),
            (401, 194, "Code: 194. DB::Exception: Password required", "unauthorized"),
            (403, 192, "Code: 192. DB::Exception: There is no user `reader`", "unauthorized"),
            (500, 241, MEMORY, "unavailable"),
            (500, 202, "Code: 202. DB::Exception: Too many simultaneous queries", "throttled"),
            (502, None, "<html>Bad gateway</html>", "unavailable"),
            (403, None, "<html>Blocked</html>", "forbidden"),
        ],
    )
    @pytest.mark.parametrize("asked", ["timezone()", ", system.disks)"])
    def test_an_exception_of_the_driver_is_told(
        self, at: Addresses, asked: str, status: int, code: int | None, body: str, kind: str
    ) -> None:
        with proxy(port_of(at), Fault(asked, status=status, code=code, body=body)) as running:
            judged = judged_through(at, running)
        hit = ASKED.get(asked, tuple(ITEMS))
        for item, told in judged.items():
            if item in hit:
                assert (told["outcome"], told["kind"]) == ("error", kind)
                assert told["cause"].startswith(f"Code {code}: " if code else "HTTP driver rec")
                assert told["advice"]
            else:
                assert told == PASS

    def test_a_server_that_refuses_connections(self, at: Addresses) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            error = refused_connection(section_of(at, closed.getsockname()[1]))
        assert (error.kind, error.cause) == ("unreachable", "Connection refused")
        assert error.stops_target

    def test_a_server_that_goes_away_between_two_questions(self, at: Addresses) -> None:
        with proxy(port_of(at), Fault(", system.disks)", status=200)) as running:
            client = connect(settings_of(section_of(at, running.port)), "clickhouse")
            assert probes.identity(client).database == "risk"
            with pytest.raises(ProbeError):  # this answer also closes the connection
                probes.disks(client)
        with pytest.raises(ProbeError) as caught:
            probes.replication(client)
        client.close()
        assert (caught.value.kind, caught.value.cause) == ("unreachable", "Connection refused")


class TestTls:
    def test_passes_when_the_certificate_has_the_name(self, at: Addresses, tmp_path: Path) -> None:
        files = write_tls(tmp_path)
        with proxy(port_of(at), tls=files.server_context()) as running:
            section = section_of(at, running.port, "https") | {"ca_file": str(files.ca)}
            assert judge(settings_of(section)) == dict.fromkeys(ITEMS, PASS)

    @pytest.mark.parametrize(
        ("host", "what"), [("127.0.0.1", "IP address"), ("localhost", "host name")]
    )
    def test_a_certificate_of_another_name(
        self, at: Addresses, tmp_path: Path, host: str, what: str
    ) -> None:
        files = write_tls(tmp_path, hosts=("clickhouse.example",))
        with proxy(port_of(at), tls=files.server_context()) as running:
            section = section_of(at, running.port, "https", host) | {"ca_file": str(files.ca)}
            error = refused_connection(section)
        assert error.kind == "TLS not trusted"
        assert error.cause == f"the server's certificate is for another {what}"
        assert error.stops_target
