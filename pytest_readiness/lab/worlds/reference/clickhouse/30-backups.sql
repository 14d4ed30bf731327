-- A full backup of the cluster two days ago and an increment each night, made on the first replica; the server
-- restarted since the first of them, which is why only the log still knows it.
INSERT INTO lab.backup_log (
    place, hostname, event_date, event_time_microseconds, id, name, base_backup_name, status,
    start_time, end_time, num_files, total_size, query_id
)
SELECT
    1, 'ch-0', toDate(b.5), b.5, b.1, b.2, b.3, b.4, b.6,
    if(b.4 = 'CREATING_BACKUP', toDateTime64(0, 6), b.5), 8120, 52613349376,
    concat('q', b.1)
FROM (
    SELECT arrayJoin([
        ('b1', 'Disk(\'backups\', \'risk-full\')', '', 'CREATING_BACKUP',
         now64(6) - INTERVAL 52 HOUR, now64(6) - INTERVAL 52 HOUR),
        ('b1', 'Disk(\'backups\', \'risk-full\')', '', 'BACKUP_CREATED',
         now64(6) - INTERVAL 51 HOUR, now64(6) - INTERVAL 52 HOUR),
        ('b2', 'Disk(\'backups\', \'risk-1\')', 'Disk(\'backups\', \'risk-full\')',
         'BACKUP_CREATED', now64(6) - INTERVAL 27 HOUR, now64(6) - INTERVAL 28 HOUR),
        ('b3', 'Disk(\'backups\', \'risk-2\')', 'Disk(\'backups\', \'risk-1\')',
         'BACKUP_CREATED', now64(6) - INTERVAL 3 HOUR, now64(6) - INTERVAL 4 HOUR)
    ]) AS b
);

INSERT INTO lab.backups (
    place, id, name, base_backup_name, status, start_time, end_time, num_files, total_size, query_id
)
SELECT
    place, id, name, base_backup_name, status, start_time, end_time, num_files, total_size, query_id
FROM lab.backup_log
WHERE id != 'b1';

INSERT INTO lab.query_log (place, event_date, type, query_id, query)
SELECT
    place, event_date, 'QueryStart', query_id,
    concat('BACKUP DATABASE risk ON CLUSTER ''{cluster}'' TO ', name)
FROM lab.backup_log
WHERE status = 'BACKUP_CREATED';
