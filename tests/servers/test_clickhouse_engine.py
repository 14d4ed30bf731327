"""Every statement of the probe on ClickHouse's own engine, judged by the real checks."""

from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from tests.servers.clickhouse_servers import (
    LIVE,
    Engine,
    Judged,
    Refused,
    closed_ports,
    configure,
)

NO_TABLES = "nothing was examined: an empty scope is not a pass"
ROOMY = {"min_free_disk": "1B", "min_free_share": "0%"}
# `lab` holds the rows, and the engine's own table is made again with its own columns.
OVERLAY = (
    "CREATE TABLE risk_lab.{0} AS system.{0} ENGINE = Memory",
    "DETACH TABLE system.{0}",
    "CREATE TABLE system.{0} AS risk_lab.{0} ENGINE = Memory",
)
DISKS = """\
<storage_configuration><disks>
<cold><path>{0}/cold/</path></cold>
<vault><path>{0}/vault/</path></vault>
<store><type>object_storage</type><object_storage_type>local_blob_storage</object_storage_type>
<metadata_type>local</metadata_type><path>{0}/store/</path></store>
<secret><type>encrypted</type><disk>cold</disk><path>secret/</path><key>0123456789abcdef</key>
</secret></disks>
<policies><tiered><volumes><hot><disk>default</disk></hot><cold><disk>cold</disk></cold>
</volumes></tiered></policies></storage_configuration>
<backups><allowed_disk>vault</allowed_disk><allowed_disk>store</allowed_disk>
<allowed_path>{0}/files/</allowed_path></backups>
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine with two shards of two replicas, four disks of its own, and no table."""
    for name in ("cold", "vault", "store"):
        (tmp_path / name).mkdir()
    with closed_ports(1) as (port,):
        shards = [[(host, port) for host in LIVE[:2]], [(host, port) for host in LIVE[2:4]]]
        configure(tmp_path, port, shards, more=DISKS.format(escape(str(tmp_path))))
        with Engine(tmp_path) as running:
            running.run("CREATE DATABASE risk", "CREATE DATABASE risk_lab")
            yield running


def seed(engine: Engine, *names: str) -> None:
    for name in names:
        engine.run(*(statement.format(name) for statement in OVERLAY))


def test_an_engine_of_no_tables_and_no_backups(engine: Engine) -> None:
    judged = engine.judge(**ROOMY)
    assert judged == {
        "ch-replicas": Judged(outcome="pass"),
        "ch-replication": Judged(outcome="error", cause=NO_TABLES),
        "ch-backup": Judged(outcome="fail", findings=("cluster/risk has no complete backup",)),
        "ch-disk": Judged(outcome="pass"),
    }


def test_fails_and_names_the_shards_with_too_few_replicas(engine: Engine) -> None:
    judged = engine.judge(min_replicas="3")["ch-replicas"]
    assert judged.findings == (
        "shard/1 has 2 replicas, fewer than 3",
        "shard/2 has 2 replicas, fewer than 3",
    )


def test_fails_and_names_every_kind_of_table_that_is_not_replicated(engine: Engine) -> None:
    engine.run(
        "CREATE TABLE risk.trades (a UInt64) ENGINE = MergeTree ORDER BY a",
        "CREATE TABLE risk.log (a UInt64) ENGINE = Log",
        "CREATE VIEW risk.seen AS SELECT * FROM risk.trades",
        "CREATE TABLE risk.all AS risk.trades ENGINE = Distributed(risk, risk, trades)",
        "CREATE TABLE risk.hole (a UInt64) ENGINE = Null",
        "CREATE TABLE risk.later AS risk.trades ENGINE = Buffer(risk, trades, 1,1,1,1,1,1,1)",
        "CREATE MATERIALIZED VIEW risk.sums ENGINE = SummingMergeTree ORDER BY a "
        "AS SELECT a FROM risk.trades",
        "CREATE DICTIONARY risk.desks (a UInt64, b String) PRIMARY KEY a "
        "SOURCE(CLICKHOUSE(TABLE 'trades' DB 'risk')) LAYOUT(FLAT()) LIFETIME(0)",
    )
    judged = engine.judge()["ch-replication"]
    named = {finding.split(" ")[0].split("@")[0] for finding in judged.findings}
    inner = next(name for name in named if "inner" in name)
    assert named == {"table/risk.trades", "table/risk.log", "table/risk.later", inner}
    assert "table/risk.log is Log, not replicated, on " in " ".join(judged.findings)
    excluded = f"log, trades, later, {inner.removeprefix('table/risk.')}"
    assert engine.judge(replicated_exclude=excluded)["ch-replication"].cause == NO_TABLES


class TestBackups:
    def test_passes_on_a_backup_and_its_increment(self, engine: Engine) -> None:
        engine.run(
            "CREATE TABLE risk.t (a UInt64) ENGINE = MergeTree ORDER BY a",
            "INSERT INTO risk.t SELECT number FROM numbers(100)",
            "BACKUP DATABASE risk TO Disk('store', 'full')",
            "BACKUP DATABASE risk TO Disk('store','more') "
            "SETTINGS base_backup = Disk('store','full')",
        )
        assert engine.run("SELECT uniqExact(status), count() FROM system.backups") == "1\t2\n"
        assert engine.judge()["ch-backup"] == Judged(outcome="pass")

    def test_fails_and_names_a_backup_that_failed_later(self, engine: Engine) -> None:
        engine.run(
            "CREATE TABLE risk.t (a UInt64) ENGINE = MergeTree ORDER BY a",
            "BACKUP DATABASE risk TO Disk('store', 'full')",
        )
        with pytest.raises(Refused, match=r"Code: 81\."):
            engine.run("BACKUP DATABASE none TO Disk('vault', 'none')")
        (finding,) = set(engine.judge()["ch-backup"].findings)
        assert finding.startswith("backup/Disk('vault', 'none') failed at 20")
        assert finding.endswith(": Code 81: Database none does not exist. (UNKNOWN_DATABASE)")

    def test_fails_and_names_an_increment_whose_base_is_unknown(self, engine: Engine) -> None:
        engine.run(
            "CREATE TABLE risk.t (a UInt64) ENGINE = MergeTree ORDER BY a",
            "BACKUP DATABASE risk TO Disk('store', 'full')",
            "BACKUP DATABASE risk TO Disk('store','more') "
            "SETTINGS base_backup = Disk('store','full')",
            "CREATE TABLE risk_lab.kept AS system.backups ENGINE = Memory",
            "INSERT INTO risk_lab.kept SELECT * FROM system.backups WHERE base_backup_name != ''",
        )
        seed(engine, "backups")
        engine.run("INSERT INTO system.backups SELECT * FROM risk_lab.kept")
        findings = set(engine.judge()["ch-backup"].findings)
        assert findings == {
            "cluster/risk has no complete backup",
            "backup/Disk('store', 'more') cannot be restored: its base Disk('store', 'full') is "
            "not among the complete backups",
        }

    @pytest.mark.parametrize(
        ("where", "said"),
        [
            ("Null", "backup/`Null` was made to Null, which keeps nothing"),
            ("Memory('m')", "backup/Memory('m') was made to Memory, which keeps nothing"),
            ("Disk('vault', 'v')", "backup/Disk('vault', 'v') lies on disk vault of "),
            ("File('f')", "backup/File('f') lies in File, not known to be away from the server"),
        ],
    )
    def test_fails_and_names_a_backup_that_saves_nothing(
        self, engine: Engine, where: str, said: str
    ) -> None:
        engine.run(
            "CREATE TABLE risk.t (a UInt64) ENGINE = MergeTree ORDER BY a",
            f"BACKUP DATABASE risk TO {where}",
        )
        first, *others = engine.judge()["ch-backup"].findings
        assert first == "cluster/risk has no complete backup"
        assert others
        assert all(finding.startswith(said) for finding in others)

    @pytest.mark.parametrize(
        ("statement", "shards"),
        [
            ("BACKUP DATABASE risk ON CLUSTER risk TO S3()", set()),
            ("BACKUP DATABASE risk ON CLUSTER '{cluster}' TO S3()", set()),
            ("backup table risk.t on  cluster `risk` to S3()", set()),
            ("BACKUP DATABASE risk ON CLUSTER riskier TO S3()", {"shard/2"}),
            ("BACKUP DATABASE risk TO S3()", {"shard/2"}),
            (None, {"shard/2"}),
        ],
    )
    def test_asks_the_log_of_queries_whether_a_backup_was_of_the_cluster(
        self, engine: Engine, statement: str | None, shards: set[str]
    ) -> None:
        seed(engine, "backups")
        # As the engine is every replica, its view of the record is that of the first shard's.
        engine.run(
            "DROP TABLE system.backups",
            "CREATE TABLE risk_lab.made AS risk_lab.backups ENGINE = Memory",
            "INSERT INTO risk_lab.made (id, name, query_id, status, num_files, start_time, "
            "end_time) VALUES ('1', 'S3()', 'q', 'BACKUP_CREATED', 9, now64(6) - 9, now64(6))",
            "CREATE VIEW system.backups AS SELECT * FROM risk_lab.made WHERE shardNum() < 3",
        )
        if statement is not None:
            text = statement.replace("'", "\\'")
            engine.run(
                "CREATE TABLE system.query_log (event_date Date, query_id String, query String) "
                "ENGINE = Memory",
                f"INSERT INTO system.query_log VALUES (today(), 'q', '{text}')",
            )
        judged = engine.judge()["ch-backup"]
        assert {finding.split(" ")[0] for finding in judged.findings} == shards


class TestDisks:
    def test_fails_and_names_each_disk_of_each_replica(self, engine: Engine) -> None:
        judged = engine.judge(min_free_disk="900PB", min_free_share="0%")["ch-disk"]
        named = sorted(finding.split(" ")[0] for finding in judged.findings)
        assert named == sorted(
            f"disk/{host}/{disk}"
            for host in LIVE[:4]
            for disk in ("cold", "default", "secret", "vault")  # and not `store`: it has no size
        )

    def test_the_policy_of_two_volumes_is_one_that_a_table_uses(self, engine: Engine) -> None:
        engine.run(
            "CREATE TABLE risk.t (a UInt64) ENGINE = MergeTree ORDER BY a "
            "SETTINGS storage_policy = 'tiered'",
            "INSERT INTO risk.t VALUES (1)",
            "ALTER TABLE risk.t MOVE PARTITION tuple() TO VOLUME 'cold'",
        )
        moved = "SELECT DISTINCT disk_name FROM system.parts WHERE database = 'risk' AND active"
        assert engine.run(moved) == "cold\n"
        assert engine.judge(**ROOMY)["ch-disk"] == Judged(outcome="pass")

    def test_fails_and_names_a_disk_that_takes_no_writes(self, engine: Engine) -> None:
        seed(engine, "disks")
        columns = "name, is_broken, is_read_only, free_space, unreserved_space, total_space"
        engine.run(
            f"INSERT INTO system.disks ({columns}) VALUES ('default', 0, 0, 900, 900, 1000), "
            "('lost', 1, 0, 0, 0, 0), ('stuck', 0, 1, 900, 900, 1000), ('taken', 0, 0, 9, 0, 10)"
        )
        findings = engine.judge(**ROOMY)["ch-disk"].findings
        assert sorted(findings) == sorted(
            f"disk/{host}/{said}"
            for host in LIVE[:4]
            for said in (
                "lost is broken (is_broken)",
                "stuck is read-only (is_read_only): the server cannot write to it",
                "taken has 9e-09 GB free, and all of it is reserved (unreserved_space 0)",
            )
        )


class TestSeeded:
    ROW = (
        "INSERT INTO system.replicas (database, table, total_replicas, active_replicas, "
        "queue_size, absolute_delay, is_readonly) VALUES ('risk', 't', {})"
    )

    @pytest.mark.parametrize(
        ("state", "said"),
        [
            ("2, 2, 0, 0, 0", ""),
            ("2, 1, 0, 0, 0", "sees 1 of 2 replicas active"),
            ("2, 2, 21, 0, 0", "has 21 entries in its queue, more than 20; the oldest says late"),
            ("2, 2, 0, 61, 0", "is 61 s behind, more than 60 s"),
            ("2, 2, 0, 1795519636, 0", "has not caught up once since its server started"),
            ("2, 2, 0, 0, 1", "is read-only"),
            ("1, 1, 0, 0, 0", "is registered with 1 of the 2 replicas of its shard: they do not "),
            ("0, 0, 0, 0, 0", "cannot ask Keeper for its replicas"),
        ],
    )
    def test_judges_what_the_engine_s_own_columns_say(
        self, engine: Engine, state: str, said: str
    ) -> None:
        seed(engine, "replicas", "replication_queue")
        engine.run(
            "CREATE TABLE risk_lab.tables AS system.tables ENGINE = Memory",
            "INSERT INTO risk_lab.tables (database, name, engine) "
            "VALUES ('risk', 't', 'ReplicatedMergeTree')",
            "DETACH TABLE system.tables",
            "CREATE VIEW system.tables AS SELECT * FROM risk_lab.tables",
            self.ROW.format(state),
            "INSERT INTO system.replication_queue (database, table, create_time, last_exception) "
            "VALUES ('risk', 't', now() - 9, 'late'), ('risk', 't', now(), 'later')",
        )
        judged = engine.judge()["ch-replication"]
        assert judged.outcome == ("fail" if said else "pass"), judged
        assert len(judged.findings) == (4 if said else 0)
        for host, finding in zip(LIVE, judged.findings, strict=False):
            assert finding.startswith(f"table/risk.t@{host} {said}")

    def test_a_log_of_backups_that_the_memory_has_forgotten(self, engine: Engine) -> None:
        engine.run(
            "CREATE TABLE system.backup_log AS system.backups ENGINE = Memory",
            "ALTER TABLE system.backup_log ADD COLUMN event_time_microseconds DateTime64(6) FIRST",
            "INSERT INTO system.backup_log (event_time_microseconds, id, name, status, start_time, "
            "end_time, num_files) VALUES (now64(6), 'a', 'S3()', 'BACKUP_CREATED', now64(6) - 90, "
            "now64(6) - 9, 2)",
        )
        assert engine.judge()["ch-backup"] == Judged(outcome="pass")
        engine.run(
            "INSERT INTO system.backup_log (event_time_microseconds, id, name, status, start_time) "
            "VALUES (now64(6), 'b', 'b', 'CREATING_BACKUP', now64(6) - 1)"
        )
        (finding,) = set(engine.judge()["ch-backup"].findings)
        assert finding.startswith("backup/b failed at ")
        assert finding.endswith(": the server restarted while it was made")
