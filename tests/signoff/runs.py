"""Signed runs, made after docs/signoff.md alone: real ssh-keygen, DSSE by cryptography.

Nothing here uses the code of sign-off, so that its tests hold it to the text.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from pytest_readiness.results.evidence import Outcome
from pytest_readiness.results.model import Report, Verdict, encode
from tests.report import sample
from tests.signoff.keys import Kind, Person, person

ROLES = ("deployment-manager", "operations-lead", "security-lead", "product-manager")
AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SIGNED_AT = "2026-11-24T11:00:00.000Z"
TYPE = "application/vnd.in-toto+json"
BOTH = ("sshsig", "dsse")


def ready(**changes: Any) -> Report:
    """Return a report in which every item passes, of a run in production that ended 06:30."""
    verdict = Verdict(name="READY", exit_code=0, reasons=("every item passes",))
    base = sample.production(sample.report((sample.passing(), sample.passing("ch-disk"))))
    return msgspec.structs.replace(base, **{"verdict": verdict, **changes})


def with_waivers(**changes: Any) -> Report:
    """Return a report in which one item fails under a waiver until 2026-11-30."""
    verdict = Verdict(name="READY WITH WAIVERS", exit_code=0, reasons=("1 waived: ch-backup",))
    failing = sample.item("ch-backup", outcome=Outcome.FAIL, waiver=sample.WAIVER)
    base = sample.production(sample.report((sample.passing(), failing)))
    return msgspec.structs.replace(base, **{"verdict": verdict, **changes})


def team(folder: Path) -> dict[str, Person]:
    """Make one person a role; the key of the security lead is P-256, the others are ed25519."""
    kinds: dict[str, Kind] = {"security-lead": "ecdsa"}
    return {
        role: person(folder, f"{role}@example.org", kinds.get(role, "ed25519")) for role in ROLES
    }


def private(who: Person) -> Any:
    """Return the person's private key."""
    return serialization.load_ssh_private_key(who.key.read_bytes(), None)


def pem(who: Person) -> bytes:
    """Return the person's public key as dsse_keys has it."""
    public: bytes = (
        private(who)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return public


def dsse_signature(who: Person, payload: bytes, kind: str = TYPE) -> dict[str, str]:
    """Return one entry of `signatures`."""
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    key = private(who)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        signature = key.sign(pae)
    else:
        signature = key.sign(pae, ec.ECDSA(hashes.SHA256()))
    return {"keyid": who.principal, "sig": base64.b64encode(signature).decode()}


def envelope(payload: bytes, *who: Person, kind: str = TYPE) -> bytes:
    """Return a line of the jsonl, with its end."""
    text = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": kind,
        "signatures": [dsse_signature(one, payload, kind) for one in who],
    }
    return json.dumps(text).encode() + b"\n"


@dataclass
class SignedRun:
    """A run directory and, beside it, the policy of those who verify it.

    lines: of allowed_signers, role -> line. settings: further keys of signoff.toml, TOML values.
    """

    folder: Path
    report: Report
    team: Mapping[str, Person]
    lines: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    roles: dict[str, list[str]] = field(default_factory=dict)
    dsse_keys: dict[str, Person] = field(default_factory=dict)

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def policy(self) -> Path:
        return self.folder / "policy" / "signoff.toml"

    @property
    def allowed_signers(self) -> Path:
        return self.policy.with_name("allowed_signers")

    @property
    def jsonl(self) -> Path:
        return self.run / "report.json.intoto.jsonl"

    def path(self, role: str) -> Path:
        """Return the statement of a role."""
        return self.run / "signoffs" / f"{role}.statement.json"

    def signature(self, role: str) -> Path:
        """Return the SSHSIG of a role."""
        return self.run / "signoffs" / f"{role}.statement.json.sig"

    def write(self) -> "SignedRun":
        """Write report and policy, not the signatures."""
        (self.run / "signoffs").mkdir(parents=True, exist_ok=True)
        self.policy.parent.mkdir(exist_ok=True)
        (self.run / "report.json").write_bytes(encode(self.report))
        self.write_policy()
        return self

    def write_policy(self) -> None:
        """Write signoff.toml and what it names."""
        text = "".join(f"{key} = {value}\n" for key, value in self.settings.items())
        text += "\n[roles]\n"
        text += "".join(f"{role} = {json.dumps(who)}\n" for role, who in self.roles.items())
        text += "\n[dsse_keys]\n"
        for principal, who in self.dsse_keys.items():
            text += f'"{principal}" = "{principal}.pem"\n'
            self.policy.with_name(f"{principal}.pem").write_bytes(pem(who))
        self.policy.write_text(text)
        self.allowed_signers.write_text("".join(f"{line}\n" for line in self.lines.values()))

    def statement(
        self,
        role: str,
        edit: Callable[[dict[str, Any]], None] | None = None,
        *,
        ssh: bool = True,
        **changes: Any,
    ) -> bytes:
        """Return the bytes of a statement. changes: of the predicate. edit: of all of it.

        ssh: whether an SSH key is to sign it.
        """
        predicate = {**self._predicate(role, ssh=ssh), **changes}
        text = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": self._subjects(),
            "predicateType": "urn:pytest-readiness:sign-off:v1",
            "predicate": predicate,
        }
        if edit:
            edit(text)
        return (json.dumps(text, indent=2, sort_keys=True) + "\n").encode()

    def _subjects(self) -> list[Any]:
        report = (self.run / "report.json").read_bytes()
        target = self.report.target
        subjects: list[Any] = [
            {"name": "report.json", "digest": {"sha256": hashlib.sha256(report).hexdigest()}}
        ]
        if target.image:
            name, _, digest = target.image.partition("@sha256:")
            subjects.append({"name": name, "digest": {"sha256": digest}})
        if target.commit:
            subjects.append({"name": "commit", "digest": {"gitCommit": target.commit}})
        return subjects

    def _predicate(self, role: str, *, ssh: bool) -> dict[str, Any]:
        target = self.report.target
        used = [one for one in self.report.waivers if one.state.value == "used"]
        line = self.lines.get(role) if ssh else None
        release = {
            key: getattr(target, key)
            for key in ("system", "environment", "phase", "commit", "image")
        }
        return {
            "role": role,
            "principal": f"{role}@example.org",
            "decision": "approved-with-waivers" if used else "approved",
            "comment": "",
            "verdict": self.report.verdict.name,
            "acceptedWaivers": [
                {key: getattr(one, key) for key in ("item", "finding", "approver", "expires")}
                for one in used
            ],
            "relaxedLimits": len(self.report.relaxed or ()),
            "release": {**release, "version": target.release},
            "signedAt": SIGNED_AT,
            "policy": {
                "sha256": hashlib.sha256(self.policy.read_bytes()).hexdigest(),
                "allowedSigner": hashlib.sha256(line.encode()).hexdigest() if line else None,
            },
            "supersedes": None,
        }

    def sign(
        self,
        role: str,
        *,
        by: Person | None = None,
        formats: Iterable[str] = ("sshsig",),
        namespace: str | None = None,
        edit: Callable[[dict[str, Any]], None] | None = None,
        **changes: Any,
    ) -> bytes:
        """Write the statement of a role and its signatures; return the statement."""
        who = by or self.team[role]
        data = self.statement(role, edit, ssh="sshsig" in formats, **changes)
        self.path(role).write_bytes(data)
        if "sshsig" in formats:
            self.signature(role).write_bytes(who.sign(data, namespace or role))
        if "dsse" in formats:
            with self.jsonl.open("ab") as file:
                file.write(envelope(data, who))
        return data

    def archive(self, role: str, signed_at: str = SIGNED_AT) -> None:
        """Move what a role has signed to superseded/."""
        folder = self.run / "signoffs" / "superseded"
        folder.mkdir(exist_ok=True)
        for path in (self.path(role), self.signature(role)):
            if path.exists():
                name = path.name.replace(f"{role}.", f"{role}.{signed_at}.", 1)
                path.rename(folder / name)


def unsigned_run(folder: Path, report: Report, people: Mapping[str, Person]) -> SignedRun:
    """Write a run directory that nobody has signed, and a policy for the people."""
    made = SignedRun(
        folder,
        report,
        people,
        lines={role: who.line(role) for role, who in people.items()},
        settings={
            "allowed_signers": '"allowed_signers"',
            "required_roles": json.dumps(list(people)),
            "accept_waivers": '["security-lead"]',
        },
        roles={role: [f"{role}@example.org"] for role in people},
        dsse_keys={who.principal: who for who in people.values()},
    )
    return made.write()


def signed_run(
    folder: Path,
    report: Report,
    people: Mapping[str, Person],
    formats: Iterable[str] = ("sshsig",),
    roles: Iterable[str] | None = None,
) -> SignedRun:
    """Write a run directory that the roles (None: all) have signed, each by its own person."""
    made = unsigned_run(folder, report, people)
    for role in people if roles is None else roles:
        made.sign(role, formats=formats)
    return made
