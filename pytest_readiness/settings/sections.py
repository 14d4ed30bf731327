"""The sections of readiness.ini that are no target: a Struct a section, a field a key.

The annotation `Key` is the only declaration of a key: parsing, validation, `readiness init` and
docs/settings.md are made from it.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec

from pytest_readiness.catalogue.words import Safety
from pytest_readiness.written.keys import (
    DURATION,
    FILE,
    INSTANT,
    NAMES,
    PHASE,
    SAFETY,
    TEXT,
    Key,
    Phase,
    Use,
)

TIMEOUT, DEADLINE = timedelta(seconds=10), timedelta(minutes=15)
MAX_AGE = timedelta(hours=24)


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """What is released, where, and how far a run may go."""

    system: Annotated[
        str,
        Key(kind=TEXT, use=Use.RUN, help="name of what is released", example="st-risk-platform"),
    ]
    environment: Annotated[
        str,
        Key(
            kind=TEXT,
            use=Use.RUN,
            help="where this run looks; waivers may name it",
            example="production",
        ),
    ]
    phase: Annotated[
        Phase, Key(kind=PHASE, use=Use.RUN, help="which items are judged", example="verification")
    ]
    release: Annotated[
        str | None, Key(kind=TEXT, use=Use.RUN, help="version that is released", example="2.4.1")
    ] = None
    commit: Annotated[
        str | None, Key(kind=TEXT, use=Use.RUN, help="its commit", example="4f1c2e7d")
    ] = None
    image: Annotated[
        str | None,
        Key(
            kind=TEXT,
            use=Use.RUN,
            help="its image, by digest",
            example="registry.example.org/st-risk-platform@sha256:4f1c2e7d...",
        ),
    ] = None
    safety: Annotated[
        Safety,
        Key(
            kind=SAFETY,
            use=Use.RUN,
            help="ceiling: S0 offline, S1 reads a control plane, S2 a few GETs to the application, "
            "S3 harmless payloads, S4 changes state",
        ),
    ] = Safety.S2
    timeout: Annotated[
        timedelta, Key(kind=DURATION, use=Use.RUN, help="for one question", minimum=INSTANT)
    ] = TIMEOUT
    deadline: Annotated[
        timedelta,
        Key(kind=DURATION, use=Use.RUN, help="for the whole read-only run", minimum=INSTANT),
    ] = DEADLINE
    declarations: Annotated[
        Path | None,
        Key(kind=FILE, use=Use.PLACE, help="what people declare", example="declarations.toml"),
    ] = None
    waivers: Annotated[
        Path | None,
        Key(
            kind=FILE,
            use=Use.PLACE,
            help="dated permissions despite a fail",
            example="waivers.toml",
        ),
    ] = None
    signoff: Annotated[
        Path | None,
        Key(
            kind=FILE,
            use=Use.PLACE,
            help="who signs, and what a signature needs",
            example="signoff.toml",
        ),
    ] = None
    max_waiver_blocker: Annotated[
        timedelta,
        Key(kind=DURATION, use=Use.CEILING, help="longest waiver of a blocker", minimum=INSTANT),
    ] = timedelta(days=14)
    max_waiver_major: Annotated[
        timedelta,
        Key(
            kind=DURATION, use=Use.CEILING, help="longest waiver of any other item", minimum=INSTANT
        ),
    ] = timedelta(days=90)
    max_age: Annotated[
        timedelta,
        Key(
            kind=DURATION,
            use=Use.CEILING,
            help="oldest run that `readiness merge` and `readiness gate` count",
            minimum=INSTANT,
        ),
    ] = MAX_AGE
    ci_key: Annotated[
        Path | None,
        Key(
            kind=FILE,
            use=Use.PLACE,
            help="private key of OpenSSH that signs what a run attests of itself",
            example="/run/secrets/ci_key",
        ),
    ] = None

    @classmethod
    def contradictions(cls, written: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield a deadline that no question can keep."""
        timeout, deadline = (
            written.get(key) or default
            for key, default in (("timeout", TIMEOUT), ("deadline", DEADLINE))
        )
        if deadline < timeout:
            words = (DURATION.show(deadline), DURATION.show(timeout))
            yield "deadline", "deadline ({}) is shorter than timeout ({})".format(*words)


class Lab(msgspec.Struct, frozen=True, kw_only=True):
    """Start the reference platform and judge it; its targets take the place of the sections above.

    Leave the section out where a real system is judged.
    """

    faults: Annotated[
        tuple[str, ...],
        Key(
            kind=NAMES,
            use=Use.RUN,
            help="changes to the healthy state; `readiness lab --list-faults` names them",
            example="node-notready",
        ),
    ] = ()


class ItemSection(NamedTuple):
    """A section whose keys are items of the checklist; value is the noun for what they hold."""

    help: str
    value: str
    example: tuple[str, str]


OWN_CHECKS = "own_checks"
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
    OWN_CHECKS: ItemSection(
        "Checks of your own that are owed, each with its title: one that vanishes is not checked. "
        "An empty section: there are none. `readiness list --own` prints it.",
        "title",
        ("shop-zones", "the nodes are in two zones"),
    ),
}
