-- The database of the platform. lab.hosts has a row a replica: place, shard, number, host.
-- `place` says on which replica a row of lab.X is seen, in system.X.
CREATE DATABASE risk;

INSERT INTO lab.tables (place, database, name, engine, engine_full, total_rows)
SELECT place, 'risk', t.1, t.2, t.3, t.4
FROM lab.hosts
ARRAY JOIN [
    ('positions', 'ReplicatedMergeTree',
     'ReplicatedMergeTree(\'/clickhouse/tables/{shard}/positions\', \'{replica}\')', 1840221),
    ('trades', 'ReplicatedMergeTree',
     'ReplicatedMergeTree(\'/clickhouse/tables/{shard}/trades\', \'{replica}\')', 96031877),
    ('limits', 'ReplicatedReplacingMergeTree',
     'ReplicatedReplacingMergeTree(\'/clickhouse/tables/{shard}/limits\', \'{replica}\')', 4120),
    ('exposure', 'MaterializedView', '', 0),
    ('.inner_id.exposure', 'ReplicatedSummingMergeTree',
     'ReplicatedSummingMergeTree(\'/clickhouse/tables/{shard}/exposure\', \'{replica}\')', 51820),
    ('trades_all', 'Distributed', 'Distributed(\'risk\', \'risk\', \'trades\', rand())', 0),
    ('desks', 'Dictionary', '', 0)
] AS t;

INSERT INTO lab.replicas (
    place, database, table, engine, is_leader, can_become_leader, is_readonly,
    is_session_expired, zookeeper_name, zookeeper_path, replica_name, queue_size,
    absolute_delay, total_replicas, active_replicas, log_max_index, log_pointer
)
SELECT
    t.place, t.database, t.name, t.engine, 1, 1, 0, 0, 'default',
    concat('/clickhouse/tables/', toString(h.shard), '/', t.name), h.host, 0, 0, s.replicas,
    s.replicas, 77120, 77121
FROM lab.tables AS t
INNER JOIN lab.hosts AS h ON h.place = t.place
INNER JOIN (SELECT shard, count() AS replicas FROM lab.hosts GROUP BY shard) AS s
    ON s.shard = h.shard
WHERE t.database = 'risk' AND startsWith(t.engine, 'Replicated');
