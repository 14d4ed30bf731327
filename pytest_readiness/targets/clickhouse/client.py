"""A read-only session with one ClickHouse server, or with the engine embedded in this process.

What is sent besides the questions: clickhouse-connect opens with three queries of its own
(version and time zone, system.settings, a test of its binary format). Nothing is retried, except
that a connection refused or closed by the server is made once more.

Every query of a server's session carries `readonly = 1`, `max_execution_time`,
`skip_unavailable_shards = 0` and the run id as `log_comment`. A user whose profile says
`readonly = 2` may not change `readonly` and keeps it; one whose profile says `readonly = 1` may
change nothing and is asked without any. The embedded engine gets `readonly = 2`, which forbids
the same writes: its `SET readonly = 1` would bar the one setting the question of liveness needs.

PYTEST_DONT_REWRITE
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from pytest_readiness.errors import ProbeError, ProbeErrorKind
from pytest_readiness.targets.clickhouse.errors import Refusal, broken_off, probe_error, refusal
from pytest_readiness.targets.clickhouse.pool import Pool, pool
from pytest_readiness.targets.clickhouse.section import CLICKHOUSE_URL, ClickHouse
from pytest_readiness.transport.caller import Caller
from pytest_readiness.transport.limit import Deadline
from pytest_readiness.transport.traffic import Meter

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client as Driver


Row = TypeVar("Row")
_SYNTAX_ERROR = 62
_UNHEARD = logging.NullHandler()


class Place(NamedTuple):
    """A replica of system.clusters. host: its label in facts.

    ordinal: how clusterAllReplicas counts it, from 1, in `_shard_num`. An address that stands
    twice (one server with a replica of two shards) is counted and asked once.
    """

    ordinal: int
    shard: int
    number: int
    host: str
    port: int
    errors: int


class _PlaceRow(msgspec.Struct):
    shard_num: int
    replica_num: int
    host_name: str
    port: int
    errors_count: int


class _Name(msgspec.Struct):
    name: str


@dataclass(slots=True)
class Client:
    """A session. target: what messages call it. may_set: whether a query may carry settings.

    hides_dead: the user's profile leaves dead replicas out of every answer and cannot be told
    otherwise, so no answer over all replicas can be trusted.
    """

    driver: "Driver"
    section: ClickHouse
    caller: Caller
    target: str
    user: str
    database: str
    secrets: tuple[str, ...]
    may_set: bool = True
    hides_dead: bool = False
    _places: tuple[Place, ...] = field(default=())

    @property
    def timeout(self) -> float:
        """The seconds of one question."""
        return self.caller.timeout.total_seconds()

    def close(self) -> None:
        """Close the connections."""
        self.driver.close()
        self.driver.close_connections()

    def rows(
        self, question: str, sql: str, row: type[Row], settings: Mapping[str, int] | None = None
    ) -> list[Row]:
        """Ask and decode: a row of the answer is a `row`. Raises ProbeError.

        JSON is asked for, because its numbers and texts depend on no time zone; a 64-bit number
        may come as text (output_format_json_quote_64bit_integers).
        """
        try:
            answer = self._limited(
                lambda: self.driver.raw_query(sql, settings=dict(settings or {}), fmt="JSONEachRow")
            )
        except Exception as error:
            self.fail(question, error)
        try:
            return [msgspec.json.decode(line, type=row, strict=False) for line in _lines(answer)]
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            found = broken_off(answer)
            if found is not None:
                raise self._refused(question, found) from None
            raise self.malformed(question, str(error)) from None

    def may(self, question: str, grant: str) -> bool | None:
        """Say whether the user has the grant; None where the server is too old to be asked.

        Raises ProbeError. CHECK GRANT takes no FORMAT and answers 1 or 0; servers that do not know
        it call it a syntax error.
        """
        try:
            answer = self._limited(lambda: self.driver.raw_query(f"CHECK GRANT {grant}"))
        except Exception as error:
            found = refusal(error)
            if found.code == _SYNTAX_ERROR:
                return None
            raise self._refused(question, found) from None
        said = answer.strip()
        if said not in (b"0", b"1"):
            raise self.malformed(question, "the answer to CHECK GRANT is neither 1 nor 0")
        return said == b"1"

    def _limited(self, work: "Callable[[], bytes]") -> bytes:
        if self.section.url.startswith("chdb://"):
            return work()
        return Deadline(self.timeout).keep(work)

    def places(self, question: str) -> tuple[Place, ...]:
        """Return the replicas of the cluster in the order of system.clusters; asked once.

        Raises ProbeError: kind ABSENT where there is no such cluster.
        """
        if not self._places:
            name = text(self.section.cluster)
            rows = self.rows(
                question,
                "SELECT shard_num, replica_num, host_name, port, errors_count "
                f"FROM system.clusters WHERE cluster = {name} ORDER BY shard_num, replica_num",
                _PlaceRow,
            )
            if not rows:
                self._no_cluster(question)
            self._places = _labelled(rows)
        return self._places

    def everywhere(
        self, question: str, columns: str, table: str, tail: str, row: type[Row]
    ) -> list[Row]:
        """Ask every replica the same; `row` has a field `place`, from 1 (see `place`).

        Raises ProbeError: kind UNREACHABLE where one replica does not answer, for the answer of
        the others would look complete.
        """
        self.places(question)
        if self.hides_dead:
            raise ProbeError(
                ProbeErrorKind.FORBIDDEN,
                target=self.target,
                question=question,
                cause="the profile of this user sets skip_unavailable_shards = 1 and lets nobody "
                "change it: replicas that do not answer would be missing in silence",
                advice=f"Remove skip_unavailable_shards from the profile of {self.user}.",
            )
        sql = (
            f"SELECT _shard_num AS place, {columns} "
            f"FROM clusterAllReplicas({text(self.section.cluster)}, {table}) {tail}"
        )
        return self.rows(question, sql, row)

    def place(self, number: int, question: str) -> Place:
        """Return the replica of a `_shard_num`. Raises ProbeError when there is no such one."""
        for place in self.places(question):
            if place.ordinal == number:
                return place
        raise self.malformed(question, f"replica {number} answered and is not in system.clusters")

    def malformed(self, question: str, cause: str) -> ProbeError:
        """Return the error for an answer that cannot be read."""
        return ProbeError(
            ProbeErrorKind.MALFORMED,
            target=self.target,
            question=question,
            cause=cause,
            advice="Check that url names ClickHouse's HTTP interface and no proxy changes answers.",
        )

    def fail(self, question: str, error: Exception) -> NoReturn:
        """Raise the ProbeError of a library's exception."""
        raise self._refused(question, refusal(error)) from None

    def _refused(self, question: str, found: Refusal) -> ProbeError:
        return probe_error(
            found, target=self.target, question=question, user=self.user, secrets=self.secrets
        )

    def _no_cluster(self, question: str) -> NoReturn:
        known = self.rows(question, "SELECT DISTINCT cluster AS name FROM system.clusters", _Name)
        names = ", ".join(sorted(row.name for row in known)) or "none at all"
        raise ProbeError(
            ProbeErrorKind.ABSENT,
            target=self.target,
            question=question,
            cause=f"there is no cluster {self.section.cluster!r}; system.clusters has {names}",
            advice="Give as [clickhouse] cluster one of these names.",
        )


def connect(section: ClickHouse, caller: Caller) -> Client:
    """Open a read-only session. Raises ProbeError when there is no connection.

    The id of the run goes into `log_comment` and the header X-Readiness-Run.
    """
    if section.url.startswith("chdb://"):
        return _embedded(section, caller)
    return _server(section, caller)


def text(value: str) -> str:
    """Return the value as a literal of SQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _server(section: ClickHouse, caller: Caller) -> Client:
    url = urlsplit(section.url)
    database = unquote(url.path.strip("/"))
    target = f"clickhouse {url.scheme.partition('+')[2] or url.scheme}://{url.netloc}"
    if not database or "/" in database:
        raise ProbeError(
            ProbeErrorKind.ABSENT,
            target=target,
            question="connect",
            cause="[clickhouse] url names no database",
            advice=f"Write {url.scheme}://{url.netloc}/DATABASE; its tables are the ones judged.",
            stops_target=True,
        )
    tls = url.scheme.endswith("https")
    password = section.password.reveal() if section.password is not None else ""
    port = url.port or (8443 if tls else 8123)
    options: dict[str, Any] = {
        "interface": "https" if tls else "http",
        "host": url.hostname,
        "port": port,
        "username": unquote(url.username or "default"),
        "password": password,
        "send_receive_timeout": max(1, math.ceil(caller.timeout.total_seconds())),
        "query_retries": 0,
        "autogenerate_session_id": False,
        "headers": caller.headers,
    }
    ca_file = str(section.ca_file) if tls and section.ca_file is not None else None
    (origin,) = CLICKHOUSE_URL.origins(section.url)
    meter = Meter(caller.folder, f"clickhouse {origin}")
    place = (options["interface"], url.hostname or "", port, ca_file)
    connections = partial(pool, *place, meter, caller.timeout.total_seconds())
    return _session(section, caller, target, database, options, connections)


def _embedded(section: ClickHouse, caller: Caller) -> Client:
    """Open `chdb://PATH[?config-file=F&database=D]` in this process; D is `default` unless said."""
    path, _, query = section.url.removeprefix("chdb://").partition("?")
    if not Path(unquote(path)).is_dir():
        # The engine would make the folder, and answer for an empty database.
        raise ProbeError(
            ProbeErrorKind.ABSENT,
            target=f"clickhouse chdb://{path}",
            question="connect",
            cause="there is no such folder",
            advice="Give the folder of an existing database as chdb://PATH.",
            stops_target=True,
        )
    given = {name: values[0] for name, values in parse_qs(query).items()}
    database = given.pop("database", "default")
    options: dict[str, Any] = {"interface": "chdb", "path": unquote(path), "chdb_options": given}
    return _session(section, caller, f"clickhouse chdb://{path}", database, options)


def _session(
    section: ClickHouse,
    caller: Caller,
    target: str,
    database: str,
    options: dict[str, Any],
    connections: Callable[[], Pool] | None = None,
) -> Client:
    """Open the session; connections to the server, None for the engine in this process."""
    timeout = caller.timeout.total_seconds()
    secrets = tuple(filter(None, (str(options.get("password", "")),)))
    user = str(options.get("username", "default"))
    try:
        from clickhouse_connect import get_client

        # Without any handler its warnings would go to stderr, beside the error that says it.
        logging.getLogger("clickhouse_connect").addHandler(_UNHEARD)

        def open_session() -> "Driver":
            if connections is None:
                return get_client(database=database, **options)
            limited = connections()
            session = get_client(database=database, pool_mgr=limited, **options)
            limited.opened()
            return session

        driver = Deadline(timeout).keep(open_session) if connections else open_session()
    except Exception as error:
        found = refusal(error)
        if options["interface"] == "chdb" and found.code is None:
            found = found._replace(kind=ProbeErrorKind.BROKE)
        raise probe_error(
            found, target=target, question="connect", user=user, secrets=secrets
        ) from None
    client = Client(driver, section, caller, target, user, database, secrets)
    try:
        _restrict(client, embedded=options["interface"] == "chdb")
    except Exception as error:
        driver.close()
        client.fail("make the session read-only", error)
    return client


def _restrict(client: Client, *, embedded: bool) -> None:
    """Make the session read-only as far as its user may say so."""
    driver, known = client.driver, client.driver.server_settings
    level = known["readonly"].value if "readonly" in known else "0"
    skips = "skip_unavailable_shards" in known and known["skip_unavailable_shards"].value == "1"
    client.may_set = level != "1"
    client.hides_dead = skips and not client.may_set
    if not client.may_set:
        return
    # Less than the read time-out, so that the server's own words arrive before it.
    wanted: list[tuple[str, object]] = [
        ("max_execution_time", max(1, math.ceil(client.timeout) - 1)),
        ("log_comment", client.caller.run_id),
        ("skip_unavailable_shards", 0),
    ]
    if level == "0":
        wanted.append(("readonly", 2 if embedded else 1))
    for name, value in wanted:
        if name in known and not known[name].readonly:
            driver.set_client_setting(name, value)
        elif name == "skip_unavailable_shards":
            client.hides_dead = skips


def _labelled(rows: Sequence[_PlaceRow]) -> tuple[Place, ...]:
    """Count the replicas as the server does: by address, where it first stands."""
    ordinals: dict[tuple[str, int], int] = {}
    for row in rows:
        ordinals.setdefault((row.host_name, row.port), len(ordinals) + 1)
    hosts = [host for host, _ in ordinals]
    return tuple(
        Place(
            ordinals[row.host_name, row.port],
            row.shard_num,
            row.replica_num,
            row.host_name if hosts.count(row.host_name) == 1 else f"{row.host_name}:{row.port}",
            row.port,
            row.errors_count,
        )
        for row in rows
    )


def _lines(answer: bytes) -> list[bytes]:
    return [line for line in answer.split(b"\n") if line.strip()]
