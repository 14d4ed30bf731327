"""The world of the ClickHouse half of the lab, and the language in which a fault changes it.

A world is a folder: `cluster.yaml` (replicas, see `Cluster`), `backup_api.yaml` (see `ApiBackup`)
and `*.sql`, run in the order of their names. A fault's key `clickhouse:` holds a list; each entry
is a mapping with exactly one of these keys, applied in order after the world.

    clickhouse:
      # Statements; the rows of system.X are those of lab.X, with `place` for the replica (1...).
      - sql: ALTER TABLE lab.disks UPDATE free_space = 0 WHERE place = 2 AND name = 'default'
      # Keys of cluster.yaml that are replaced.
      - cluster: {dead: [ch-2.ch.st-risk.svc]}
      # Answers other than the true one, to requests whose path and query contain these texts
      # (without either: to all). With `code` the answer is an exception of the server. `times: N`
      # limits it to the first N. The first answer that matches is used.
      - answer: {query: system.disks, status: 403, code: 497, body: "Code: 497. DB::Exception: ..."}
      - answer: {path: /backup/list, status: 401}
      - answer: {query: system.backups, does: hang}    # or reset, truncate
      # Another list of clickhouse-backup.
      - backup_api: [{name: risk-full, age: 3h, location: remote}]

An unknown key, or a value of the wrong type, raises WorldError.

PYTEST_DONT_REWRITE
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec

from pytest_readiness.lab.changes import WorldError, at, convert, each

_STATEMENT_END = re.compile(r";[ \t]*$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)
_AGE = re.compile(r"(\d+)([mhd])\Z")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Cluster(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The cluster as remote_servers has it.

    shards: hosts of each. dead: those of them on which nothing listens. port: what system.clusters
    says. profile: settings of the reading user, set before those of a request.
    """

    cluster: str
    database: str
    port: int
    shards: tuple[tuple[str, ...], ...]
    dead: tuple[str, ...] = ()
    profile: dict[str, int | str] = {}


class ApiBackup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of clickhouse-backup's list. age: `3h`, `90m`, `2d` before the start; '' no date."""

    name: str
    age: str
    location: Literal["local", "remote"]
    size: int = 0
    required: str = ""
    desc: str = "regular"


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An answer other than the true one; see the module."""

    path: str = ""
    query: str = ""
    status: int = 200
    code: int | None = None
    body: str = ""
    does: Literal["answer", "hang", "reset", "truncate"] = "answer"
    times: int | None = None


class World(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the lab needs. statements: SQL, one each, in order."""

    cluster: Cluster
    statements: tuple[str, ...]
    answers: tuple[Answer, ...]
    api: tuple[ApiBackup, ...]


def load_world(folder: Path, changes: Iterable[Mapping[str, Any]] = ()) -> World:
    """Read the world of the folder and apply the changes. Raises WorldError."""
    cluster = _yaml(folder / "cluster.yaml")
    with at("backup_api.yaml"):
        api = convert(_yaml(folder / "backup_api.yaml"), tuple[ApiBackup, ...])
    statements = [
        statement
        for path in sorted(folder.glob("*.sql"))
        for statement in split(path.read_text(encoding="utf-8"))
    ]
    answers: list[Answer] = []
    for where, verb, argument in each(changes, ("sql", "cluster", "answer", "backup_api")):
        with at(where):
            match verb:
                case "sql":
                    statements += split(convert(argument, str))
                case "cluster":
                    cluster = {**cluster, **convert(argument, dict[str, Any])}
                case "answer":
                    answers.append(convert(argument, Answer))
                case _:
                    api = convert(argument, tuple[ApiBackup, ...])
    return World(
        cluster=_cluster(cluster), statements=tuple(statements), answers=tuple(answers), api=api
    )


def split(script: str) -> list[str]:
    """Return the statements of a script; one ends with a semicolon at the end of a line."""
    parts = (_COMMENT.sub("", part).strip() for part in _STATEMENT_END.split(script))
    return [part for part in parts if part]


def listed(backups: Iterable[ApiBackup], now: datetime) -> str:
    """Return the list as clickhouse-backup sends it: JSON, one object a line, times without zone.

    Raises WorldError for an age that cannot be read.
    """
    lines = []
    for backup in backups:
        moment = now - _age(backup.age) if backup.age else None
        row = {
            "name": backup.name,
            "created": f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "0001-01-01 00:00:00",
            "size": backup.size,
            "location": backup.location,
            "required": backup.required,
            "desc": backup.desc,
        }
        lines.append(msgspec.json.encode(row).decode())
    return "".join(f"{line}\n" for line in lines)


def _cluster(values: object) -> Cluster:
    with at("cluster"):
        cluster = convert(values, Cluster)
    hosts = [host for shard in cluster.shards for host in shard]
    if len(set(hosts)) != len(hosts):
        raise WorldError(f"a host stands twice in shards: {', '.join(hosts)}")
    strangers = sorted(set(cluster.dead) - set(hosts))
    if strangers:
        raise WorldError(f"dead hosts that are in no shard: {', '.join(strangers)}")
    return cluster


def _age(text: str) -> timedelta:
    sign = -1 if text.startswith("-") else 1
    match = _AGE.match(text.removeprefix("-"))
    if match is None:
        raise WorldError(f"age {text!r} is not like 3h, 90m, 2d")
    return sign * timedelta(**{_UNITS[match[2]]: int(match[1])})


def _yaml(path: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise WorldError(f"{path}: {error}") from None
