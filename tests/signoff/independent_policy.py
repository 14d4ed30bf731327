"""The policy as the second verifier of sign-offs reads it: docs/signoff.md, signoff.toml."""

from __future__ import annotations

import hashlib
import tomllib
import unicodedata
from datetime import timedelta
from pathlib import Path

from tests.signoff.independent_formats import (
    TEXT,
    Json,
    check,
    many,
    matches,
    pem_blob,
    read_revoked,
    read_signers,
    shape,
    table,
)

POLICY = shape(
    "allowed_signers revoked_keys",
    distinct_principals={"type": "boolean"},
    max_report_age={"type": "string", "pattern": "[0-9]+(ms|[smhdw])"},
    allow_lab={"type": "boolean"},
    allow_replay={"type": "boolean"},
    allow_relaxed={},
    require_signed_declarations={"enum": ["no", "blocker", "all"]},
    accept_waivers=many(TEXT),
    required_roles=many(TEXT),
    roles=table(many(TEXT)),
    dsse_keys=table(TEXT),
)
POLICY |= {"required": ["roles"], "additionalProperties": False}
FOUR = ["deployment-manager", "operations-lead", "security-lead", "product-manager"]
UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
UNITS |= {"w": "weeks"}


def read_policy(path: Path, run: Path) -> Json:
    """signoff.toml and what it names; OSError or ValueError where any of it has an error."""
    raw = outside(path, run).read_bytes()
    rules: Json = {"distinct_principals": True, "allow_lab": False, "accept_waivers": []}
    rules |= {"max_report_age": "7d", "dsse_keys": {}, "required_roles": FOUR}
    rules |= {"require_signed_declarations": "blocker", "allow_relaxed": True}
    rules |= {"allow_replay": False}
    rules |= tomllib.loads(raw.decode())
    check(rules, POLICY, POLICY)
    if not isinstance(loose := rules["allow_relaxed"], bool):
        check(loose, many(TEXT), {})
        if "" in loose or len(set(loose)) < len(loose):
            raise ValueError("allow_relaxed")
    named = {*rules["required_roles"], *rules["accept_waivers"]}
    if not rules["required_roles"] or named - rules["roles"].keys():
        raise ValueError("roles")
    files = [key for key in ("allowed_signers", "revoked_keys") if key in rules]
    beside = {key: outside(path.parent / rules[key], run).read_bytes() for key in files}
    pems = {
        who: outside(path.parent / name, run).read_bytes()
        for who, name in rules["dsse_keys"].items()
    }
    number = rules["max_report_age"].rstrip("mshdw")
    unit = UNITS[rules["max_report_age"].removeprefix(number)]
    read = rules | {
        "sha256": hashlib.sha256(raw).hexdigest(),
        "signers": list(read_signers(beside.get("allowed_signers", b""))),
        "revoked": set(read_revoked(beside.get("revoked_keys", b""))),
        "age": timedelta(**{unit: int(number)}),
        "dsse": {who: pem_blob(pem) for who, pem in pems.items()},
    }
    one_person(read)
    return read


def outside(path: Path, run: Path) -> Path:
    """The path, where it is not the judged one's own."""
    if path.resolve().is_relative_to(run.resolve()):
        raise ValueError("in the run")
    return path


def one_person(rules: Json) -> None:
    """ValueError where two names, or two holders of one key, cannot be told apart."""
    people = {who for names in rules["roles"].values() for who in names}
    if len({unicodedata.normalize("NFKC", who.casefold()).casefold() for who in people}) < len(
        people
    ):
        raise ValueError("alike")
    for role, names in rules["roles"].items():
        holders: dict[bytes, set[str]] = {}
        for who in names:
            for line in rules["signers"]:
                here = matches(f"{role}@signoff.readiness", line["namespaces"])
                if here and matches(who, line["principals"]):
                    holders.setdefault(line["blob"], set()).add(who)
            if who in rules["dsse"]:
                holders.setdefault(rules["dsse"][who], set()).add(who)
        if any(len(some) > 1 for some in holders.values()):
            raise ValueError("one key, two people")
