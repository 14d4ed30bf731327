-- Two tiers and an object store a replica; an object store answers 2^64 - 1 for its size.
INSERT INTO lab.disks (
    place, name, path, free_space, total_space, unreserved_space, type, object_storage_type,
    metadata_type, is_remote
)
SELECT place, d.1, d.2, d.3, d.4, d.3, d.5, d.6, d.7, d.8
FROM lab.hosts
ARRAY JOIN [
    ('default', '/var/lib/clickhouse/', 412000000000, 1000000000000, 'Local', 'None', 'None', 0),
    ('cold', '/mnt/cold/', 2900000000000, 4000000000000, 'Local', 'None', 'None', 0),
    ('backups', '/var/lib/clickhouse/disks/backups/', 18446744073709551615,
     18446744073709551615, 'ObjectStorage', 'S3', 'Local', 1)
] AS d;
