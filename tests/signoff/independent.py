"""A second verifier of sign-offs, written from docs/signoff.md alone.

Nothing of the package is imported; report.schema.json is read as data. Where the page leaves a
choice, this one refuses.

    python -m tests.signoff.independent RUN POLICY [AT]
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from tests.signoff.independent_facts import SKEW, fact_causes
from tests.signoff.independent_formats import (
    TEXT,
    Json,
    good,
    instant,
    is_revoked,
    key_of,
    many,
    matches,
    open_envelope,
    open_sshsig,
    parse,
    shape,
    table,
)
from tests.signoff.independent_policy import read_policy

WAIVER = ("item", "finding", "approver", "expires")
ANYWHERE = {"finding": None, "environment": None, "release": None}
EVER = datetime.min.replace(tzinfo=UTC)
NOT_READY = {"not-ready", "lab", "replay", "relaxed", "too-old"}
NOT_READY |= {"waiver-expired", "declaration-expired"}
UNMET = {"open", "rejected", "not-distinct", "other-policy", "other-waivers", "clock", "superseded"}
SCHEMA = Path(__file__).parents[2] / "pytest_readiness" / "report" / "report.schema.json"
LATER = ("relaxed", "facts")  # fields of the report that an earlier version did not say
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


@dataclass
class Statement:
    """Signed bytes. body: its predicate and `subject`, None where it is malformed.

    kinds: "sshsig", "dsse", what stands beside it as a signature, good or not.
    """

    raw: bytes
    body: Json | None = None
    causes: set[str] = field(default_factory=set)
    keys: set[Any] = field(default_factory=set)
    at: datetime = EVER
    kinds: set[str] = field(default_factory=set)

    def mark(self, cause: str, when: bool = True) -> None:
        self.causes |= {cause} if when else set()

    def mark_unsigned(self) -> None:
        """To be called once all its signatures are looked at."""
        signer = self.body["policy"]["allowedSigner"] if self.body else None
        self.mark(
            "bad-signature", not self.kinds or (signer is not None and "sshsig" not in self.kinds)
        )


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
    """Empty if it is not there; what nobody can take for good where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b"\0" if os.path.lexists(path) else b""


def check_sshsig(text: bytes, one: Statement, rules: Json, at: datetime | None) -> None:
    """at: None for what is superseded, where nothing need be known of the key."""
    one.kinds.add("sshsig")
    if one.body is None:
        return None  # a malformed statement is not looked at further
    try:
        blob, namespace, covers = open_sshsig(text, one.raw)
    except ValueError:
        return one.mark("bad-signature")
    one.mark("tampered-statement", not covers)
    wanted = f"{one.body['role']}@signoff.readiness"
    one.mark("wrong-namespace", namespace != wanted)
    one.keys.add(blob)
    if at is None or one.body["principal"] not in rules["roles"].get(one.body["role"], []):
        return None  # of a stranger no line is looked at
    one.mark("revoked-key", is_revoked(blob, rules["revoked"]))
    lines = [n for n in rules["signers"] if n["blob"] == blob]
    lines = [n for n in lines if matches(one.body["principal"], n["principals"])]
    open_to = [n for n in lines if matches(wanted, n["namespaces"])]
    signer = one.body["policy"]["allowedSigner"]
    named = [n for n in open_to if n["digest"] == signer]
    now = [n for n in named or open_to if n["after"] <= at <= n["before"]]
    one.mark("unknown-principal", not lines)
    one.mark("wrong-namespace", bool(lines) and not open_to)
    one.mark("expired-key", bool(open_to) and not now)
    return one.mark("other-policy", bool(now) and now[0]["digest"] != signer)


def check_envelope(line: bytes, one: Statement, rules: Json, *, now: bool) -> None:
    """now: false for what is superseded, where a revoked key is good enough."""
    one.kinds.add("dsse")
    try:
        payload, signature = open_envelope(line)
    except ValueError:
        return one.mark("bad-signature")
    if signature is None:
        return one.mark("bad-signature")
    if one.body is None:
        return None
    one.mark("tampered-statement", payload != one.raw)
    blob = rules["dsse"].get(one.body["principal"])
    if blob is None:
        return one.mark("unknown-principal")
    pae = b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(payload), payload)
    one.mark("tampered-statement", not good(key_of(blob), signature, pae))
    one.keys.add(blob)
    return one.mark("revoked-key", now and is_revoked(blob, rules["revoked"]))


def collect(run: Path, rules: Json, at: datetime) -> list[Statement]:
    """The statements in force with the causes of their signatures, one for equal bytes."""
    folder, loose = run / "signoffs", Statement(b"")  # loose: the causes of what has no statement
    names = listed(folder, loose)
    found: dict[bytes, Statement] = {}
    for name in sorted(name for name in names if name.endswith(".statement.json")):
        one = read_statement(content(folder / name))
        one = found.setdefault(one.raw, one)
        role = one.body["role"] if one.body else None
        one.mark("malformed-statement", name != f"{role}.statement.json")
        if f"{name}.sig" in names:
            check_sshsig(content(folder / f"{name}.sig"), one, rules, at)
    for name in (name for name in names if name.endswith(".sig")):
        stem = name.removesuffix(".sig")
        paired = stem.endswith(".statement.json") and stem in names
        loose.mark("bad-signature", not paired)
    for line in content(run / "report.json.intoto.jsonl").split(b"\n"):
        try:
            payload = open_envelope(line)[0] if line.strip() else None
        except ValueError:
            loose.mark("bad-signature")
            continue
        if payload is not None:
            one = found.setdefault(payload, read_statement(payload))
            check_envelope(line, one, rules, now=True)
    for one in found.values():
        one.mark_unsigned()
    return [loose, *found.values()]


def listed(folder: Path, loose: Statement) -> set[str]:
    """The names in it; what is there and can not be listed is marked."""
    try:
        return set(os.listdir(folder)) if os.path.lexists(folder) else set()
    except OSError:
        loose.mark("bad-signature")
        return set()


def idle(name: str) -> bool:
    return name.startswith(".") and not name.endswith((".statement.json", ".sig", ".dsse.json"))


def superseded(run: Path, rules: Json) -> list[Statement]:
    """What signoffs/superseded/ has, with the causes of its signatures."""
    folder, found = run / "signoffs" / "superseded", [Statement(b"")]
    rest = {name for name in listed(folder, found[0]) if not idle(name)}
    for name in sorted(name for name in rest if name.endswith(".statement.json")):
        one = read_statement(content(folder / name))
        found.append(one)
        role = one.body["role"] if one.body else None
        one.mark("malformed-statement", not name.startswith(f"{role}."))
        sig, envelope = f"{name}.sig", name.removesuffix(".statement.json") + ".dsse.json"
        if sig in rest:
            check_sshsig(content(folder / sig), one, rules, None)
        if envelope in rest:
            check_envelope(content(folder / envelope), one, rules, now=False)
        rest -= {name, sig, envelope}
        one.mark_unsigned()
    found[0].mark("bad-signature", bool(rest))
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
    owed = report["completeness"]
    unready = unready or bool(owed["missing"]) or owed["reported"] < owed["expected"]
    unready = unready or any(item["outcome"] in ("error", "notchecked") for item in items)
    unready = unready or any(f["severity"] != "minor" and f["waiver"] is None for f in fails)
    unready = unready or any(unproven(item) for item in items)
    unready = unready or (name == "READY" and any(f["waiver"] is not None for f in fails))
    unready = unready or all(item["outcome"] == "notapplicable" for item in items)
    unready = unready or report["run"]["partial"] or report["verdict"]["exit_code"] != 0
    used = [w for w in report["waivers"] if w["state"] == "used"]
    unready = unready or (name == "READY WITH WAIVERS" and not used)
    for item in (item for item in items if item["waiver"] is not None):
        said = (ANYWHERE | item["waiver"]).items()
        same = (ANYWHERE | one for one in used if one["item"] == item["id"])
        unready = unready or not any(said <= one.items() for one in same)
        covered = {one.get("finding") for one in used if one["item"] == item["id"]}
        names = [
            {one["subject"], f"{one['subject']} [{one['code']}]" if one.get("code") else None}
            for one in item["findings"]
        ]
        each = names and all(covered & (some - {None}) for some in names)
        unready = unready or not (None in covered or each)
    asks = rules["require_signed_declarations"]
    blockers = {item["id"] for item in items if item["severity"] == "blocker"}
    for one in (one for one in report["declarations"] if one["state"] == "counts"):
        owes = asks == "all" or (asks == "blocker" and one["item"] in blockers)
        unready = unready or (owes and not one["signed"])
    replayed = report["run"].get("replay") is not None or report.get("facts") is None
    age = at - instant(report["run"]["ended"])
    counting = [d for d in report["declarations"] if d["state"] == "counts"]
    counting = [d for d in counting if d["expires"] is not None]
    stands = {
        "not-ready": unready,
        "lab": report["run"]["lab"] is not None and not rules["allow_lab"],
        "replay": not rules["allow_replay"] and replayed,
        "relaxed": too_loose(report.get("relaxed"), rules["allow_relaxed"]),
        "too-old": age > rules["age"] or age < -SKEW,
        "waiver-expired": any(ended(waiver["expires"], at) for waiver in used),
        "declaration-expired": any(ended(declared["expires"], at) for declared in counting),
    }
    return {cause for cause, when in stands.items() if when}


def unproven(item: Json) -> bool:
    """Whether it passes and nothing is shown for it."""
    shown = [all(one[n] for n in ("examined", "observed", "expected")) for one in item["evidence"]]
    return item["outcome"] == "pass" and not any(shown)


def too_loose(relaxed: list[Json] | None, allowed: bool | list[str]) -> bool:
    """Whether limits are below the checklist that the policy does not let be."""
    if allowed is True:
        return False
    return relaxed is None or any(one["key"] not in (allowed or ()) for one in relaxed)


def expected(report: Json) -> Json:
    """The parts of a statement that the report decides."""
    target = report["target"]
    names = ("system", "environment", "phase", "commit", "image")
    subjects = []
    if image := re.fullmatch(r"(.*)@sha256:([0-9A-Fa-f]{64})", target["image"] or "", re.DOTALL):
        subjects.append({"name": image[1], "digest": {"sha256": image[2]}})
    if re.fullmatch(r"[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}", target["commit"] or ""):
        subjects.append({"name": "commit", "digest": {"gitCommit": target["commit"]}})
    return {
        "release": {name: target[name] for name in names} | {"version": target["release"]},
        "subjects": subjects,
        "verdict": report["verdict"]["name"],
        "relaxed": len(report.get("relaxed") or ()),
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
    whole = whole and body.get("relaxedLimits", 0) == right["relaxed"]
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
        mine = (o for o in old if o.body and o.body["role"] == role and o.raw != line[-1].raw)
        later = (o for o in mine if o.at >= line[-1].at)
        line[-1].mark("superseded", any(later))
    return {role: line[-1] for role, line in roles.items()}


def crowd(latest: dict[str, Statement]) -> None:
    """Mark those of whom a principal or a key stands for another role too."""
    sound = [one for one in latest.values() if not one.causes - UNMET]
    holders = Counter(who for one in sound for who in one.keys)
    for one in sound:
        one.mark("not-distinct", any(holders[who] > 1 for who in one.keys))


def quorum(latest: dict[str, Statement], waived: bool, rules: Json) -> set[str]:
    """What the roles lack together."""
    if rules["distinct_principals"]:
        crowd(latest)
    no = {role for role, one in latest.items() if (one.body or {})["decision"] == "rejected"}
    counts = {role for role, one in latest.items() if not one.causes} - no
    stands = {
        "open": bool(set(rules["required_roles"]) - counts),
        "rejected": bool(no),
        "other-waivers": waived and not counts & set(rules["accept_waivers"]),
    }
    return {cause for cause, when in stands.items() if when}


def reports() -> Json:
    """The schema of report.json, without what an earlier version did not say being required."""
    schema: Json = json.loads(SCHEMA.read_bytes())
    schema["required"] = [name for name in schema["required"] if name not in LATER]
    schema["$defs"]["Run"]["required"].remove("replay")
    return schema


def verify(run: Path, policy: Path, at: datetime) -> tuple[int, frozenset[str]]:
    """Exit code and causes as of the moment, which has a zone."""
    try:
        rules = read_policy(policy, run)
        raw = (run / "report.json").read_bytes()
    except (OSError, ValueError, OverflowError, RecursionError):
        return 4, frozenset()
    try:
        report = parse(raw, reports())
    except ValueError:
        return 3, frozenset({"tampered-report"})
    found, old = collect(run, rules, at), superseded(run, rules)
    for one in found:
        body_causes(one, raw, report, rules, at)
    waived = bool(expected(report)["waivers"])
    causes = report_causes(report, rules, at) | fact_causes(run, report)
    causes |= quorum(newest(found, old), waived, rules)
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
