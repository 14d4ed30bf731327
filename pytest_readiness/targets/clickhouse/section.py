"""[clickhouse] of readiness.ini, and what can be asked of a server and its replicas.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from pytest_readiness.targets.clickhouse import facts
from pytest_readiness.targets.section import Question, Section
from pytest_readiness.written.keys import (
    COUNT,
    DURATION,
    FILE,
    HTTP_URL,
    INSTANT,
    NAMES,
    SECRET,
    SHARE,
    SIZE,
    TEXT,
    BadValue,
    Key,
    Kind,
    Secret,
    Use,
    Where,
    absolute,
    origin,
    url_of,
)

_NO_UUID = "00000000-0000-0000-0000-000000000000"  # of the embedded engine


def _url(text: str, where: Where) -> str:
    scheme, _, rest = text.partition("://")
    if scheme != "chdb":
        schemes = ("clickhouse+https", "clickhouse+http", "chdb")
        return url_of(text, schemes, "clickhouse+https://user@host:8443/database")
    name, _, query = rest.partition("?")
    if not name:
        raise BadValue("names no folder; write it like chdb://PATH")
    path = absolute(name, where)
    # The embedded engine makes a missing folder, and would then answer for an empty database.
    if where.resolve and not path.is_dir():
        raise BadValue(f"{text!r} is no folder ({path})")
    given = dict(parse_qsl(query, keep_blank_values=True))
    unknown = given.keys() - {"config-file", "database"}
    if unknown:
        raise BadValue(f"has {', '.join(unknown)}; known are config-file and database")
    if "config-file" in given:
        file = absolute(given["config-file"], where)
        if where.resolve and not file.is_file():
            raise BadValue(f"{given['config-file']!r} is no file ({file})")
        given["config-file"] = str(file)
    return f"chdb://{path}" + (f"?{urlencode(given, safe='/')}" if given else "")


def _origins(url: str) -> tuple[str, ...]:
    return () if url.startswith("chdb:") else (origin(url.removeprefix("clickhouse+")),)


CLICKHOUSE_URL = Kind(
    "url",
    "clickhouse+https://user@host:port/db, clickhouse+http://... or chdb://PATH",
    str,
    _url,
    origins=_origins,
)


class ClickHouse(Section, frozen=True, kw_only=True):
    """The database cluster, read by a user that may only read."""

    PREFIX: ClassVar[str] = "ch"
    QUESTIONS: ClassVar[tuple[Question, ...]] = (
        Question(
            name="identity",
            answer=facts.Identity,
            text="identity of the server",
            command='{client} "SELECT version(), hostName(), serverUUID(), currentUser()"',
        ),
        Question(
            name="replicas",
            answer=facts.Replicas,
            text="replicas of cluster {cluster}, and which of them answer",
            command="{client} \"SELECT * FROM system.clusters WHERE cluster = '{cluster}'\"",
        ),
        Question(
            name="tables",
            answer=facts.Tables,
            text="tables of database {database}",
            command='{client} "SELECT name, engine FROM system.tables '
            "WHERE database = '{database}'\"",
        ),
        Question(
            name="replication",
            answer=facts.Replication,
            text="state of replication on every replica of {cluster}",
            command="{client} \"SELECT * FROM clusterAllReplicas('{cluster}', system.replicas)\"",
        ),
        Question(
            name="disks",
            answer=facts.Disks,
            text="disks of every replica of {cluster}",
            command="{client} \"SELECT * FROM clusterAllReplicas('{cluster}', system.disks)\"",
        ),
        Question(
            name="backups",
            answer=facts.Backups,
            text="backups known to every replica of {cluster}",
            command="{client} \"SELECT * FROM clusterAllReplicas('{cluster}', system.backups)\"",
        ),
        Question(
            name="backup_api",
            answer=facts.BackupApi,
            text="backups listed by clickhouse-backup",
            command="curl {backup_api}/backup/list",
        ),
    )

    url: Annotated[
        str,
        Key(
            kind=CLICKHOUSE_URL,
            use=Use.PLACE,
            help="without the password; a database in it is the one judged",
            example="clickhouse+https://reader@ch.example.org:8443/risk",
        ),
    ]
    password: Annotated[
        Secret | None,
        Key(
            kind=SECRET,
            use=Use.PLACE,
            help="of the user in url",
            example="${env:CLICKHOUSE_PASSWORD}",
        ),
    ] = None
    ca_file: Annotated[
        Path | None,
        Key(kind=FILE, use=Use.PLACE, help="CA to trust instead of the system's", example="ca.pem"),
    ] = None
    cluster: Annotated[
        str, Key(kind=TEXT, use=Use.PLACE, help="its name in system.clusters", example="risk")
    ]
    min_replicas: Annotated[
        int, Key(kind=COUNT, use=Use.FLOOR, help="replicas of each shard", minimum=1)
    ] = 3
    max_replication_queue: Annotated[
        int, Key(kind=COUNT, use=Use.CEILING, help="entries a replica may be behind")
    ] = 20
    max_replication_delay: Annotated[
        timedelta, Key(kind=DURATION, use=Use.CEILING, help="time a replica may be behind")
    ] = timedelta(seconds=60)
    replicated_exclude: Annotated[
        tuple[str, ...],
        Key(
            kind=NAMES,
            use=Use.EXEMPTION,
            help="tables of the database that need no replication",
            example="staging_import, scratch",
        ),
    ] = ()
    max_backup_age: Annotated[
        timedelta,
        Key(kind=DURATION, use=Use.CEILING, help="of the newest good backup", minimum=INSTANT),
    ] = timedelta(hours=24)
    min_free_disk: Annotated[
        int, Key(kind=SIZE, use=Use.FLOOR, help="free on each disk of each replica")
    ] = 100_000_000_000
    min_free_share: Annotated[
        float, Key(kind=SHARE, use=Use.FLOOR, help="the same, as a share of the disk")
    ] = 0.10
    backup_api: Annotated[
        str | None,
        Key(
            kind=HTTP_URL,
            use=Use.PLACE,
            help="REST server of clickhouse-backup, where backups are made by it",
            example="https://ch.example.org:7171",
        ),
    ] = None
    backup_api_user: Annotated[
        str | None, Key(kind=TEXT, use=Use.PLACE, help="user of backup_api", example="reader")
    ] = None
    backup_api_password: Annotated[
        Secret | None,
        Key(
            kind=SECRET,
            use=Use.PLACE,
            help="password of backup_api",
            example="${file:/run/secrets/clickhouse-backup}",
        ),
    ] = None

    def words(self) -> Mapping[str, str]:
        """Return what fills the braces of the questions."""
        url = urlsplit(self.url)
        return {
            "at": self.url,
            "client": _client(url),
            "cluster": self.cluster,
            "database": dict(parse_qsl(url.query)).get("database") or _database(url),
            "backup_api": self.backup_api or "BACKUP_API",
        }

    @classmethod
    def contradictions(cls, written: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the credentials of a backup server that is not there, or in its address."""
        if urlsplit(written.get("backup_api") or "").username:
            yield "backup_api", "backup_api holds a user: write it as backup_api_user"
        if "backup_api" not in written:
            for key in ("backup_api_user", "backup_api_password"):
                if key in written:
                    yield key, f"{key} needs the key backup_api"

    @classmethod
    def is_lab(cls, identity: Mapping[str, Any]) -> bool:
        """Say whether it is the embedded engine, which has no UUID, behind HTTP."""
        return identity.get("server_uuid") == _NO_UUID and "+http" in identity.get("url", "")


def _client(url: SplitResult) -> str:
    """Return what runs a query given behind it; curl asks for the password."""
    if url.scheme == "chdb":
        return f"clickhouse local --path '{url.netloc}{url.path}' --query"
    scheme = url.scheme.removeprefix("clickhouse+")
    port = url.port or (8443 if scheme == "https" else 8123)
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    user = url.username or "default"
    return f"curl --user {user} '{scheme}://{host}:{port}/' --data-binary"


def _database(url: SplitResult) -> str:
    return "default" if url.scheme == "chdb" else url.path.strip("/") or "default"
