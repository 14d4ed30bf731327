"""What spoils a signed run, each a function of the run; the security lead is who it befalls."""

import base64
import json
import shutil
from collections.abc import Callable
from typing import Any

from tests.signoff.keys import revocation_list, revoked_text
from tests.signoff.runs import ROLES, SignedRun, dsse_signature, envelope

DM, OPS, SEC, PM = ROLES
FACT = b'{"asked_at": "2026-11-24T06:30:02Z", "answer": 2}'


def nothing(_: SignedRun) -> None:
    pass


def unsigned(made: SignedRun) -> None:
    made.path(SEC).unlink()
    made.signature(SEC).unlink()


def without_line(made: SignedRun) -> None:
    """Take the third line, of the security lead, from the jsonl, and the statement."""
    lines = made.jsonl.read_bytes().splitlines(keepends=True)
    made.jsonl.write_bytes(b"".join(lines[:2] + lines[3:]))
    made.path(SEC).unlink()


def optional_rejects(made: SignedRun) -> None:
    made.roles["auditor"] = ["auditor@example.org"]
    made.lines["auditor"] = made.team[DM].line("auditor", "auditor@example.org")
    made.settings["distinct_principals"] = "false"
    made.write_policy()
    for role in (*ROLES, "auditor"):
        decision = "rejected" if role == "auditor" else "approved"
        made.sign(role, by=made.team.get(role, made.team[DM]), decision=decision)


def two_roles(made: SignedRun) -> None:
    made.roles[SEC].append(f"{PM}@example.org")
    made.lines[SEC] = made.team[PM].line(SEC)
    made.write_policy()
    for role in ROLES:
        who = PM if role == SEC else role
        made.sign(role, by=made.team[who], principal=f"{who}@example.org")


def one_key(made: SignedRun) -> None:
    made.lines[SEC] = made.team[PM].line(SEC, f"{SEC}@example.org")
    made.write_policy()
    for role in ROLES:
        made.sign(role, by=made.team[PM if role == SEC else role])


def policy_edited(made: SignedRun) -> None:
    made.policy.write_text("# a word\n" + made.policy.read_text())


def writes_fact(data: bytes, name: str = "facts/k8s_nodes.json") -> Callable[[SignedRun], None]:
    """Return what writes a fact to the run directory."""

    def spoil(made: SignedRun) -> None:
        path = made.run / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    return spoil


def fact_is_a_folder(made: SignedRun) -> None:
    (made.run / "facts" / "k8s_nodes.json").mkdir(parents=True)


def allows_relaxed(value: str) -> Callable[[SignedRun], None]:
    """Return what writes allow_relaxed, a TOML value, and has all sign for that policy."""

    def spoil(made: SignedRun) -> None:
        made.settings["allow_relaxed"] = value
        made.write_policy()
        _sign_all(made, ("sshsig",))

    return spoil


def line_edited(made: SignedRun) -> None:
    made.lines[SEC] = made.team[SEC].line(SEC, valid_before="20990101Z")
    made.write_policy()


def nobody_accepts(made: SignedRun) -> None:
    del made.settings["accept_waivers"]
    made.write_policy()
    for role in ROLES:
        made.sign(role)


def put_back(made: SignedRun) -> None:
    older = made.path(SEC).read_bytes(), made.signature(SEC).read_bytes()
    made.sign(SEC, decision="rejected", signedAt="2026-11-24T11:30:00.000Z")
    made.archive(SEC, "2026-11-24T11:30:00.000Z")
    made.path(SEC).write_bytes(older[0])
    made.signature(SEC).write_bytes(older[1])


def put_back_at_once(made: SignedRun) -> None:
    older = made.path(SEC).read_bytes(), made.signature(SEC).read_bytes()
    made.sign(SEC, decision="rejected")
    made.archive(SEC)
    made.path(SEC).write_bytes(older[0])
    made.signature(SEC).write_bytes(older[1])


def same_moment(made: SignedRun) -> None:
    data = made.statement(SEC, ssh=False, comment="another one")
    made.jsonl.write_bytes(envelope(data, made.team[SEC]))


def edited(
    make: Callable[[bytes], bytes], name: str = "report.json"
) -> Callable[[SignedRun], None]:
    """Return what edits a file of the run."""

    def spoil(made: SignedRun) -> None:
        path = made.run / name
        path.write_bytes(make(path.read_bytes()))

    return spoil


def signs(edit: Callable[[dict[str, Any]], None] | None = None, **changes: Any) -> Any:
    """Return what signs again for the security lead."""
    return lambda made: made.sign(SEC, edit=edit, **changes)


def of_another_report(text: dict[str, Any]) -> None:
    text["subject"][0]["digest"]["sha256"] = "ab" * 32
    text["predicate"]["release"]["version"] = "2.3.0"


def another_release(text: dict[str, Any]) -> None:
    text["predicate"]["release"]["version"] = "2.3.0"


def another_image(text: dict[str, Any]) -> None:
    text["subject"][1]["digest"]["sha256"] = "ab" * 32


def without_commit(text: dict[str, Any]) -> None:
    del text["subject"][2]


def without_limits(text: dict[str, Any]) -> None:
    del text["predicate"]["relaxedLimits"]


def of_another_kind(text: dict[str, Any]) -> None:
    text["predicateType"] = "https://example.org/other"


def without_comment_type(text: dict[str, Any]) -> None:
    text["predicate"]["comment"] = 5


def lent(made: SignedRun) -> None:
    """Let the product manager's file be the security lead's."""
    shutil.copy(made.path(PM), made.path(SEC))
    shutil.copy(made.signature(PM), made.signature(SEC))


def impersonated(made: SignedRun) -> None:
    """Let the product manager say that they are the security lead, by their own key."""
    made.sign(SEC, by=made.team[PM])


def impersonated_by_dsse(made: SignedRun) -> None:
    data = made.sign(SEC, formats=(), comment="by another")
    lines = made.jsonl.read_bytes().splitlines(keepends=True)
    made.jsonl.write_bytes(b"".join(lines[:2] + lines[3:]) + envelope(data, made.team[PM]))


def alone(made: SignedRun) -> None:
    made.signature(SEC).unlink()


def stray(made: SignedRun) -> None:
    made.path(SEC).unlink()


def ssh_taken_away(made: SignedRun) -> None:
    """Leave the DSSE signature of a person whose SSH key is revoked."""
    made.signature(SEC).unlink()


def two_signatures(made: SignedRun) -> None:
    lines = made.jsonl.read_bytes().splitlines(keepends=True)
    payload = base64.b64decode(json.loads(lines[2])["payload"])
    lines[2] = envelope(payload, made.team[SEC], made.team[PM])
    made.jsonl.write_bytes(b"".join(lines))


def another_payload_type(made: SignedRun) -> None:
    lines = made.jsonl.read_bytes().splitlines(keepends=True)
    payload = base64.b64decode(json.loads(lines[2])["payload"])
    lines[2] = envelope(payload, made.team[SEC], kind="application/json")
    made.jsonl.write_bytes(b"".join(lines))


def signature_of_another(made: SignedRun) -> None:
    lines = made.jsonl.read_bytes().splitlines(keepends=True)
    parsed = json.loads(lines[2])
    parsed["signatures"] = [dsse_signature(made.team[SEC], b"another payload")]
    lines[2] = json.dumps(parsed).encode() + b"\n"
    made.jsonl.write_bytes(b"".join(lines))


def namespace_not_allowed(made: SignedRun) -> None:
    made.lines[SEC] = made.team[SEC].line(OPS)
    made.write_policy()
    made.sign(SEC)


def unknown_role(made: SignedRun) -> None:
    made.sign("auditor", by=made.team[SEC], principal=f"{SEC}@example.org")


def not_of_the_role(made: SignedRun) -> None:
    made.sign(SEC, by=made.team[PM], principal=f"{PM}@example.org")


def no_dsse_key(made: SignedRun) -> None:
    del made.dsse_keys[f"{SEC}@example.org"]
    made.write_policy()


def expired(made: SignedRun) -> None:
    made.lines[SEC] = made.team[SEC].line(SEC, valid_before="20261101Z")
    made.write_policy()
    made.sign(SEC)


def not_yet_valid(made: SignedRun) -> None:
    made.lines[SEC] = made.team[SEC].line(SEC, valid_after="20261225Z")
    made.write_policy()
    made.sign(SEC)


def revoked_by_text(made: SignedRun) -> None:
    made.settings["revoked_keys"] = '"revoked"'
    revoked_text(made.policy.with_name("revoked"), made.team[SEC])
    made.write_policy()
    _sign_all(made, ("sshsig",))


def revoked_by_krl(made: SignedRun) -> None:
    made.settings["revoked_keys"] = '"revoked"'
    key = made.team[SEC].key
    revocation_list(made.policy.with_name("revoked"), key.with_name(f"{key.name}.pub"))
    made.write_policy()
    _sign_all(made, ("sshsig",))


def revoked_for_dsse(made: SignedRun) -> None:
    made.settings["revoked_keys"] = '"revoked"'
    revoked_text(made.policy.with_name("revoked"), made.team[SEC])
    made.write_policy()
    made.jsonl.unlink()
    _sign_all(made, ("dsse",))


def _sign_all(made: SignedRun, formats: tuple[str, ...]) -> None:
    for role in ROLES:
        made.sign(role, formats=formats)


def superseded_edited(made: SignedRun) -> None:
    made.archive(SEC)
    made.sign(SEC, signedAt="2026-11-24T11:30:00.000Z")
    folder = made.run / "signoffs" / "superseded"
    path = next(folder.glob("*.statement.json"))
    path.write_bytes(path.read_bytes().replace(b'"comment": ""', b'"comment": "x"'))


def key_twice(made: SignedRun) -> None:
    """Let one reader find NOT READY and another READY, and have that signed."""
    path = made.run / "report.json"
    old = b'"name": "READY"'
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, b'"name": "NOT READY", ' + old))
    for role in ROLES:
        made.sign(role)


def with_crlf(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


def by_an_editor(data: bytes) -> bytes:
    return json.dumps(json.loads(data)).encode()
