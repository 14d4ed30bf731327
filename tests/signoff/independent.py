"""A second verifier of sign-offs, written from docs/signoff.md alone.

Nothing of the package is imported; report.schema.json is read as data. Where the page leaves a
choice, this one refuses.

    python -m tests.signoff.independent RUN POLICY [AT]
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tomllib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.signoff.independent_formats import (
    TEXT,
    Json,
    check,
    good,
    instant,
    key_of,
    many,
    matches,
    open_envelope,
    open_sshsig,
    parse,
    pem_blob,
    read_revoked,
    read_signers,
    shape,
    table,
)

SKEW = timedelta(minutes=5)
WAIVER = ("item", "finding", "approver", "expires")
EVER = datetime.min.replace(tzinfo=UTC)
NOT_READY = {"not-ready", "lab", "too-old", "waiver-expired", "declaration-expired"}
UNMET = {"open", "rejected", "not-distinct", "other-policy", "other-waivers", "clock", "superseded"}
SCHEMA = Path(__file__).parents[2] / "pytest_readiness" / "report" / "report.schema.json"
PREDICATE = shape(
    "role principal comment verdict supersedes?",
    decision={"enum": ["approved", "approved-with-waivers", "rejected"]},
    acceptedWaivers=many(shape("item finding? approver expires")),
    release=shape("system environment phase version? commit? image?"),
    signedAt={"type": "string", "format": "date-time"},
    policy=shape("sha256 allowedSigner?"),
)
STATEMENT = shape(
    "",
    _type={"const": "https://in-toto.io/Statement/v1"},
    predicateType={"const": "urn:pytest-readiness:sign-off:v1"},
    subject=many(shape("name", digest=table(TEXT))),
    predicate=PREDICATE,
)
POLICY = shape(
    "allowed_signers revoked_keys",
    distinct_principals={"type": "boolean"},
    max_report_age={"type": "string", "pattern": "[0-9]{1,6}[smhd]"},
    allow_lab={"type": "boolean"},
    require_signed_declarations={"enum": ["no", "blocker", "all"]},
    accept_waivers=many(TEXT),
    required_roles=many(TEXT),
    roles=table(many(TEXT)),
    dsse_keys=table(TEXT),
)
# The page does not name the four roles of the checklist: required_roles must be written.
POLICY |= {"required": ["required_roles", "roles"], "additionalProperties": False}


def read_policy(path: Path) -> Json:
    """signoff.toml and what it names; OSError or ValueError where any of it has an error."""
    raw = path.read_bytes()
    rules: Json = {"distinct_principals": True, "allow_lab": False, "accept_waivers": []}
    rules |= {"max_report_age": "7d", "dsse_keys": {}} | tomllib.loads(raw.decode())
    check(rules, POLICY, POLICY)
    if not rules["required_roles"]:
        raise ValueError("required_roles")
    files = [key for key in ("allowed_signers", "revoked_keys") if key in rules]
    beside = {key: (path.parent / rules[key]).read_bytes() for key in files}
    pems = {who: (path.parent / name).read_bytes() for who, name in rules["dsse_keys"].items()}
    number, unit = int(rules["max_report_age"][:-1]), rules["max_report_age"][-1]
    return rules | {
        "sha256": hashlib.sha256(raw).hexdigest(),
        "signers": list(read_signers(beside.get("allowed_signers", b""))),
        "revoked": set(read_revoked(beside.get("revoked_keys", b""))),
        "age": number * timedelta(seconds={"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]),
        "dsse": {who: pem_blob(pem) for who, pem in pems.items()},
    }


@dataclass
class Statement:
    """Signed bytes. body: its predicate and `subject`, None where it is malformed."""

    raw: bytes
    body: Json | None = None
    causes: set[str] = field(default_factory=set)
    keys: set[Any] = field(default_factory=set)
    at: datetime = EVER
    enveloped: bool = False

    def mark(self, cause: str, when: bool = True) -> None:
        self.causes |= {cause} if when else set()


def read_statement(raw: bytes) -> Statement:
    try:
        whole = parse(raw, STATEMENT)
        if not whole["subject"] or whole["subject"][0]["name"] != "report.json":
            raise ValueError("first subject")
    except ValueError:
        return Statement(raw, None, {"malformed-statement"})
    body = whole["predicate"] | {"subject": whole["subject"]}
    return Statement(raw, body, keys={body["principal"]}, at=instant(body["signedAt"]))


def content(path: Path) -> bytes:
    """Empty where it cannot be read: that is neither a statement nor a signature."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def check_sshsig(text: bytes, one: Statement, rules: Json, at: datetime | None) -> None:
    """at: None for what is superseded, where nothing need be known of the key."""
    try:
        blob, namespace, covers = open_sshsig(text, one.raw)
    except ValueError:
        return one.mark("bad-signature")
    one.mark("tampered-statement", not covers)
    wanted = f"{one.body['role']}@signoff.readiness" if one.body else namespace
    one.mark("wrong-namespace", namespace != wanted)
    if at is None or one.body is None:
        return None
    one.keys.add(blob)
    one.mark("revoked-key", blob in rules["revoked"])
    lines = [n for n in rules["signers"] if n["blob"] == blob]
    lines = [n for n in lines if matches(one.body["principal"], n["principals"])]
    open_to = [n for n in lines if matches(wanted, n["namespaces"])]
    now = [n for n in open_to if n["after"] <= at <= n["before"]]
    one.mark("unknown-principal", not lines)
    one.mark("wrong-namespace", bool(lines) and not open_to)
    one.mark("expired-key", bool(open_to) and not now)
    signer = one.body["policy"]["allowedSigner"]
    return one.mark("other-policy", bool(now) and now[0]["digest"] != signer)


def check_envelope(line: bytes, one: Statement, rules: Json, *, now: bool) -> None:
    """now: false for what is superseded, where a revoked key is good enough."""
    payload, signature = open_envelope(line)
    one.mark("tampered-statement", payload != one.raw)
    one.enveloped = True
    blob = rules["dsse"].get(one.body["principal"]) if one.body else None
    if blob is None:
        return one.mark("unknown-principal", one.body is not None)
    pae = b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(payload), payload)
    one.mark("tampered-statement", not good(key_of(blob), signature, pae))
    one.keys.add(blob)
    return one.mark("revoked-key", now and blob in rules["revoked"])


def collect(run: Path, rules: Json, at: datetime) -> list[Statement]:
    """The statements in force with the causes of their signatures, one for equal bytes."""
    folder, bare = run / "signoffs", list[Statement]()
    loose = Statement(b"")  # holds the causes of what belongs to no statement
    found: dict[bytes, Statement] = {}
    for path in sorted(folder.glob("*.statement.json")):
        one = read_statement(content(path))
        one = found.setdefault(one.raw, one)
        role = one.body["role"] if one.body else None
        one.mark("malformed-statement", path.name != f"{role}.statement.json")
        if (sig := folder / f"{path.name}.sig").exists():
            check_sshsig(content(sig), one, rules, at)
        else:
            bare.append(one)
    for sig in folder.glob("*.sig"):
        paired = sig.name.endswith(".statement.json.sig") and sig.with_suffix("").exists()
        loose.mark("tampered-statement", not paired)
    for line in content(run / "report.json.intoto.jsonl").splitlines():
        try:
            one = read_statement(open_envelope(line)[0])
            check_envelope(line, found.setdefault(one.raw, one), rules, now=True)
        except ValueError:
            loose.mark("bad-signature")
    for one in bare:
        one.mark("bad-signature", not one.enveloped)
    return [loose, *found.values()]


def superseded(run: Path, rules: Json) -> list[Statement]:
    """What signoffs/superseded/ has, with the causes of its signatures."""
    folder, ends = run / "signoffs" / "superseded", r"(\.statement\.json)?(\.sig|\.dsse\.json)?"
    found = []
    for stem in sorted({re.sub(ends + "$", "", path.name) for path in folder.glob("*")}):
        one = read_statement(content(folder / f"{stem}.statement.json"))
        found.append(one)
        role = one.body["role"] if one.body else ""
        one.mark("malformed-statement", not stem.startswith(f"{role}."))
        beside = [p for p in folder.glob("*") if p.name.startswith(f"{stem}.")]
        for path in beside:
            if path.suffix == ".sig":
                check_sshsig(content(path), one, rules, None)
            elif path.name.endswith(".dsse.json"):
                try:
                    check_envelope(content(path), one, rules, now=False)
                except ValueError:
                    one.mark("bad-signature")
        one.mark("bad-signature", len(beside) < 2)
    return found


def ended(expires: str, at: datetime) -> bool:
    """Whether it is over; also where nobody can say when it ends."""
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", expires):
            return at.astimezone(UTC).date() > date.fromisoformat(expires)
        return at >= instant(expires)
    except ValueError:
        return True


def report_causes(report: Json, rules: Json, at: datetime) -> set[str]:
    """The first group."""
    name, items = report["verdict"]["name"], report["items"]
    fails = [item for item in items if item["outcome"] == "fail"]
    unready = name not in ("READY", "READY WITH WAIVERS") or not items
    unready = unready or bool(report["completeness"]["missing"])
    unready = unready or any(item["outcome"] in ("error", "notchecked") for item in items)
    unready = unready or any(f["severity"] != "minor" and f["waiver"] is None for f in fails)
    unready = unready or (name == "READY" and any(f["waiver"] is not None for f in fails))
    age = at - instant(report["run"]["ended"])
    counting = [d for d in report["declarations"] if d["state"] == "counts" and d["expires"]]
    used = [w for w in report["waivers"] if w["state"] == "used"]
    stands = {
        "not-ready": unready,
        "lab": report["run"]["lab"] is not None and not rules["allow_lab"],
        "too-old": age > rules["age"] or age < -SKEW,
        "waiver-expired": any(ended(waiver["expires"], at) for waiver in used),
        "declaration-expired": any(ended(declared["expires"], at) for declared in counting),
    }
    return {cause for cause, when in stands.items() if when}


def expected(report: Json) -> Json:
    """The parts of a statement that the report decides."""
    target = report["target"]
    names = ("system", "environment", "phase", "commit", "image")
    subjects = []
    if image := re.fullmatch(r"(.+)@sha256:([0-9A-Fa-f]{64})", target["image"] or "", re.DOTALL):
        subjects.append({"name": image[1], "digest": {"sha256": image[2]}})
    if re.fullmatch(r"[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}", target["commit"] or ""):
        subjects.append({"name": "commit", "digest": {"gitCommit": target["commit"]}})
    return {
        "release": {name: target[name] for name in names} | {"version": target["release"]},
        "subjects": subjects,
        "verdict": report["verdict"]["name"],
        "waivers": [known(w, WAIVER) for w in report["waivers"] if w["state"] == "used"],
    }


def known(value: Json, names: Any) -> Json:
    """The object without the fields that nobody knows."""
    return {name: value[name] for name in names}


def body_causes(one: Statement, raw: bytes, report: Json, rules: Json, at: datetime) -> None:
    """Mark what the statement itself says wrongly; raw: the bytes of report.json."""
    if (body := one.body) is None:
        return
    right, head = expected(report), body["subject"][0]["digest"].get("sha256")
    same = head == hashlib.sha256(raw).hexdigest()
    release = known(body["release"], right["release"]) == right["release"]
    rest = [known(subject, ("name", "digest")) for subject in body["subject"][1:]]
    whole = release and body["verdict"] == right["verdict"] and rest == right["subjects"]
    one.mark("tampered-report", not same and release)
    one.mark("another-report", not same and not release)
    one.mark("another-release", same and not whole)
    one.mark("unknown-principal", body["principal"] not in rules["roles"].get(body["role"], []))
    one.mark("other-policy", body["policy"]["sha256"] != rules["sha256"])
    waivers = [known(waiver, WAIVER) for waiver in body["acceptedWaivers"]]
    one.mark("other-waivers", waivers != right["waivers"])
    one.mark("other-waivers", bool(waivers) and body["decision"] == "approved")
    one.mark("other-waivers", not waivers and body["decision"] == "approved-with-waivers")
    one.mark("clock", one.at - at > SKEW or instant(report["run"]["ended"]) - one.at > SKEW)


def newest(found: list[Statement], old: list[Statement]) -> dict[str, Statement]:
    """The statement of each role that counts or not, marked by what stands beside it."""
    roles: dict[str, list[Statement]] = {}
    for one in sorted((one for one in found if one.body), key=lambda one: one.at):
        roles.setdefault((one.body or {})["role"], []).append(one)
    for role, line in roles.items():
        for one in line:
            one.mark("tampered-statement", sum(other.at == one.at for other in line) > 1)
        for one in line[:-1]:
            one.causes -= UNMET  # superseded without harm: only what was forged stands
        later = (o for o in old if o.body and o.body["role"] == role and o.at > line[-1].at)
        line[-1].mark("superseded", any(later))
    return {role: line[-1] for role, line in roles.items()}


def quorum(latest: dict[str, Statement], waived: bool, rules: Json) -> set[str]:
    """What the roles lack together."""
    no = {role for role, one in latest.items() if (one.body or {})["decision"] == "rejected"}
    counts = {role for role, one in latest.items() if not one.causes} - no
    holders = [who for one in latest.values() for who in one.keys]
    stands = {
        "open": bool(set(rules["required_roles"]) - counts),
        "rejected": bool(no),
        "not-distinct": rules["distinct_principals"] and len(holders) != len(set(holders)),
        "other-waivers": waived and not counts & set(rules["accept_waivers"]),
    }
    return {cause for cause, when in stands.items() if when}


def verify(run: Path, policy: Path, at: datetime) -> tuple[int, frozenset[str]]:
    """Exit code and causes as of the moment, which has a zone."""
    try:
        rules = read_policy(policy)
        raw = (run / "report.json").read_bytes()
    except (OSError, ValueError, OverflowError):
        return 4, frozenset()
    try:
        report = parse(raw, json.loads(SCHEMA.read_bytes()))
    except ValueError:
        return 3, frozenset({"tampered-report"})
    found, old = collect(run, rules, at), superseded(run, rules)
    for one in found:
        body_causes(one, raw, report, rules, at)
    waived = bool(expected(report)["waivers"])
    causes = report_causes(report, rules, at) | quorum(newest(found, old), waived, rules)
    causes = causes.union(*(one.causes for one in (*found, *old)))
    group = 3 if causes - NOT_READY - UNMET else 1 if causes & NOT_READY else 2 if causes else 0
    return group, frozenset(causes)


def main(words: list[str]) -> int:
    """Print the exit code and the causes."""
    at = instant(words[2]) if len(words) > 2 else datetime.now(UTC)
    code, causes = verify(Path(words[0]), Path(words[1]), at)
    print(code, *sorted(causes))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
