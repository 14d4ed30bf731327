"""The sections of readiness.ini: a Struct a section, a field a key.

The annotation `Key` is the only declaration of a key: parsing, validation, `readiness init` and
docs/settings.md are made from it. A new section is a new Struct here and its field in Settings.

PYTEST_DONT_REWRITE
"""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from pytest_readiness.results import Safety
from pytest_readiness.settings_keys import (
    CLICKHOUSE_URL,
    CORES,
    COUNT,
    DURATION,
    FILE,
    FLAG,
    HTTP_URL,
    LABEL,
    NAMES,
    PHASE,
    SAFETY,
    SECRET,
    SHARE,
    SIZE,
    TEXT,
    VERSION,
    Key,
    Phase,
    Secret,
)

_INSTANT = timedelta(milliseconds=1)


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """What is released, where, and how far a run may go."""

    system: Annotated[
        str, Key(kind=TEXT, help="name of what is released", example="st-risk-platform")
    ]
    environment: Annotated[
        str, Key(kind=TEXT, help="where this run looks; waivers may name it", example="production")
    ]
    phase: Annotated[Phase, Key(kind=PHASE, help="which items are judged", example="verification")]
    release: Annotated[
        str | None, Key(kind=TEXT, help="version that is released", example="2.4.1")
    ] = None
    commit: Annotated[str | None, Key(kind=TEXT, help="its commit", example="4f1c2e7d")] = None
    image: Annotated[
        str | None,
        Key(
            kind=TEXT,
            help="its image, by digest",
            example="registry.example.org/st-risk-platform@sha256:4f1c2e7d...",
        ),
    ] = None
    safety: Annotated[
        Safety,
        Key(
            kind=SAFETY,
            help="ceiling: S0 offline, S1 reads a control plane, S2 a few GETs to the application, "
            "S3 harmless payloads, S4 changes state",
        ),
    ] = Safety.S2
    timeout: Annotated[timedelta, Key(kind=DURATION, help="for one question", minimum=_INSTANT)] = (
        timedelta(seconds=10)
    )
    deadline: Annotated[
        timedelta, Key(kind=DURATION, help="for the whole read-only run", minimum=_INSTANT)
    ] = timedelta(minutes=15)
    declarations: Annotated[
        Path | None,
        Key(kind=FILE, help="what people declare", example="declarations.toml"),
    ] = None
    waivers: Annotated[
        Path | None,
        Key(kind=FILE, help="dated permissions despite a fail", example="waivers.toml"),
    ] = None
    signoff: Annotated[
        Path | None,
        Key(kind=FILE, help="who signs, and what a signature needs", example="signoff.toml"),
    ] = None
    max_waiver_blocker: Annotated[
        timedelta, Key(kind=DURATION, help="longest waiver of a blocker", minimum=_INSTANT)
    ] = timedelta(days=14)
    max_waiver_major: Annotated[
        timedelta, Key(kind=DURATION, help="longest waiver of any other item", minimum=_INSTANT)
    ] = timedelta(days=90)
    max_age: Annotated[
        timedelta,
        Key(kind=DURATION, help="oldest run that `readiness merge` counts", minimum=_INSTANT),
    ] = timedelta(hours=24)
    ci_key: Annotated[
        Path | None,
        Key(
            kind=FILE,
            help="private key of OpenSSH that signs what a run attests of itself",
            example="/run/secrets/ci_key",
        ),
    ] = None


class Kubernetes(msgspec.Struct, frozen=True, kw_only=True):
    """The cluster, read through its API."""

    kubeconfig: Annotated[
        Path | None,
        Key(
            kind=FILE,
            help="default: $KUBECONFIG, else ~/.kube/config",
            example="~/.kube/config",
        ),
    ] = None
    context: Annotated[
        str | None,
        Key(
            kind=TEXT,
            help="required unless in_cluster: never the current context by accident",
            example="prod",
        ),
    ] = None
    in_cluster: Annotated[
        bool, Key(kind=FLAG, help="this run is a pod: use its service account")
    ] = False
    cluster_uid: Annotated[
        str | None,
        Key(
            kind=TEXT,
            help="UID of the namespace kube-system; another cluster is refused",
            example="6f0c1a52-0d4e-4d7e-9a53-3f1f5d6f2b11",
        ),
    ] = None
    namespace: Annotated[str, Key(kind=LABEL, help="where the release runs", example="st-risk")]
    min_version: Annotated[
        tuple[int, int], Key(kind=VERSION, help="oldest Kubernetes accepted")
    ] = (1, 24)
    min_nodes: Annotated[
        int, Key(kind=COUNT, help="nodes that can take the workload", minimum=1)
    ] = 3
    node_cpu: Annotated[Decimal, Key(kind=CORES, help="cores each of them has")] = Decimal(4)
    node_memory: Annotated[int, Key(kind=SIZE, help="memory each of them has")] = 8_000_000_000


class ClickHouse(msgspec.Struct, frozen=True, kw_only=True):
    """The database cluster, read by a user that may only read."""

    url: Annotated[
        str,
        Key(
            kind=CLICKHOUSE_URL,
            help="without the password; a database in it is the one judged",
            example="clickhouse+https://reader@ch.example.org:8443/risk",
        ),
    ]
    password: Annotated[
        Secret | None,
        Key(kind=SECRET, help="of the user in url", example="${env:CLICKHOUSE_PASSWORD}"),
    ] = None
    ca_file: Annotated[
        Path | None,
        Key(kind=FILE, help="CA to trust instead of the system's", example="ca.pem"),
    ] = None
    cluster: Annotated[str, Key(kind=TEXT, help="its name in system.clusters", example="risk")]
    min_replicas: Annotated[int, Key(kind=COUNT, help="replicas of each shard", minimum=1)] = 3
    max_replication_queue: Annotated[
        int, Key(kind=COUNT, help="entries a replica may be behind")
    ] = 20
    max_replication_delay: Annotated[
        timedelta, Key(kind=DURATION, help="time a replica may be behind")
    ] = timedelta(seconds=60)
    replicated_exclude: Annotated[
        tuple[str, ...],
        Key(
            kind=NAMES,
            help="tables of the database that need no replication",
            example="staging_import, scratch",
        ),
    ] = ()
    max_backup_age: Annotated[
        timedelta, Key(kind=DURATION, help="of the newest good backup", minimum=_INSTANT)
    ] = timedelta(hours=24)
    min_free_disk: Annotated[int, Key(kind=SIZE, help="free on each disk of each replica")] = (
        100_000_000_000
    )
    min_free_share: Annotated[float, Key(kind=SHARE, help="the same, as a share of the disk")] = (
        0.10
    )
    backup_api: Annotated[
        str | None,
        Key(
            kind=HTTP_URL,
            help="REST server of clickhouse-backup, where backups are made by it",
            example="https://ch.example.org:7171",
        ),
    ] = None
    backup_api_user: Annotated[
        str | None, Key(kind=TEXT, help="user of backup_api", example="reader")
    ] = None
    backup_api_password: Annotated[
        Secret | None,
        Key(
            kind=SECRET,
            help="password of backup_api",
            example="${file:/run/secrets/clickhouse-backup}",
        ),
    ] = None


class Lab(msgspec.Struct, frozen=True, kw_only=True):
    """Start the reference platform and judge it; its targets take the place of the sections above.

    Leave the section out where a real system is judged.
    """

    faults: Annotated[
        tuple[str, ...],
        Key(
            kind=NAMES,
            help="changes to the healthy state; `readiness lab --list-faults` names them",
            example="node-notready",
        ),
    ] = ()


class ItemSection(NamedTuple):
    """A section whose keys are items of the checklist; value is the noun for what they hold."""

    help: str
    value: str
    example: tuple[str, str]


ITEM_SECTIONS = {
    "not_applicable": ItemSection(
        "Items that do not apply to this system, each with the reason.",
        "reason",
        ("migration-staging", "no relational schema"),
    ),
    "elsewhere": ItemSection(
        "Items that a run of another environment judges, each with its name.",
        "environment",
        ("load-throughput", "staging"),
    ),
}
