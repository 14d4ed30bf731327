"""The facts of a run as the second verifier of sign-offs holds them (docs/signoff.md)."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path

from tests.signoff.independent_formats import Json, instant

SKEW = timedelta(minutes=5)
LARGEST = 256 * 1024 * 1024


def fact_causes(run: Path, report: Json) -> set[str]:
    """What the facts are: altered, or of another time. Pages are not rendered here, nor held."""
    said = {one["name"]: one for one in report.get("facts") or ()}
    causes, times = set(), {name: one["asked_at"] for name, one in said.items()}
    for path in (run / "facts").rglob("*.json"):
        name = path.relative_to(run).as_posix()
        if any(part.startswith(".") for part in name.split("/")):
            continue
        if not path.is_file() or path.stat().st_size > LARGEST:
            causes.add("altered-fact")
            continue
        raw = path.read_bytes()
        found = {"name": name, "sha256": hashlib.sha256(raw).hexdigest(), "asked_at": asked(raw)}
        if report.get("facts") is None:
            times[name] = found["asked_at"]
        elif found != said.get(name):
            causes.add("altered-fact")
    if not all(within(report["run"], name, time) for name, time in times.items()):
        causes.add("foreign-fact")
    return causes


def asked(raw: bytes) -> str | None:
    """When a fact was asked, as it says."""
    try:
        text: str = json.loads(raw)["asked_at"]
        instant(text)
    except (ValueError, TypeError, KeyError):
        return None
    return text


def within(run: Json, name: str, time: str | None) -> bool:
    """Whether a fact was asked while its run went on."""
    ends = [one["ended"] for one in run["shards"] if name.startswith(f"facts/{one['id']}/")]
    ends = ends if run["shards"] else [run["ended"]]
    begun = instant(run["started"]) - SKEW
    return time is not None and bool(ends) and begun <= instant(time) <= instant(ends[0])
