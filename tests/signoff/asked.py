"""Questions about a signature, put to verify and to the real ssh-keygen."""

import base64
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pytest_readiness.signoff.refusals import Cause, Refused
from pytest_readiness.signoff.ssh import revoked, signers, sshsig
from tests.signoff.keys import (
    Kind,
    Person,
    allowed_signers,
    certificate,
    person,
    signature_by_ssh_keygen,
)

ROLE = "security-lead"
NAMESPACE = "security-lead@signoff.readiness"
DATA = b'{"decision": "approved"}\n'
AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
WHO = "sec@example.org"
KINDS = ("ed25519", "ecdsa", "rsa", "certificate")


@dataclass(frozen=True)
class Signer:
    """Who signs: the key that the line names (of the CA, for a certificate), what signs."""

    named: Person
    key: Path
    holder: Person
    options: dict[str, str | bool] = field(default_factory=dict)

    def line(self, role: str | None = ROLE, principals: str = WHO, **options: str | bool) -> str:
        return self.named.line(role, principals, **self.options, **options)

    def sign(self, data: bytes = DATA, namespace: str = NAMESPACE) -> bytes:
        return signature_by_ssh_keygen(self.key, data, namespace)


def signer_of(folder: Path, kind: str) -> Signer:
    """Make a signer of one of KINDS."""
    if kind == "certificate":
        ca = person(folder, "ca@example.org")
        holder = person(folder, "holder@example.org", "ecdsa")
        return Signer(ca, certificate(ca, holder, WHO), holder, {"cert_authority": True})
    kinds: dict[str, Kind] = {"ed25519": "ed25519", "ecdsa": "ecdsa", "rsa": "rsa"}
    one = person(folder, f"{kind}@example.org", kinds[kind])
    return Signer(one, one.key, one)


@dataclass(frozen=True)
class Asked:
    """One question, for verify and for ssh-keygen."""

    armored: bytes
    lines: list[str]
    data: bytes = DATA
    principal: str = WHO
    namespace: str = NAMESPACE
    at: datetime = AT
    revoked: Path | None = None


def verified(folder: Path, asked: Asked) -> signers.Line | Cause:
    """Ask verify; a refusal as its cause."""
    try:
        return sshsig.verify(
            asked.data,
            asked.armored,
            principal=asked.principal,
            namespace=asked.namespace,
            lines=signers.read(allowed_signers(folder, asked.lines)),
            revoked=revoked.read(asked.revoked) if asked.revoked else None,
            at=asked.at,
        )
    except Refused as refused:
        return refused.cause


def cause_of(folder: Path, asked: Asked) -> Cause | None:
    """Return the cause of the refusal, None where it is accepted."""
    answer = verified(folder, asked)
    return answer if isinstance(answer, Cause) else None


def accepted_by_ssh_keygen(folder: Path, asked: Asked) -> bool:
    signature = folder / "asked.sig"
    signature.write_bytes(asked.armored)
    command: list[str | Path] = ["ssh-keygen", "-Y", "verify", "-s", signature]
    command += ["-f", allowed_signers(folder, asked.lines)]
    command += ["-I", asked.principal, "-n", asked.namespace]
    command += ["-O", f"verify-time={asked.at:%Y%m%d%H%M%SZ}"]
    command += ["-r", asked.revoked] if asked.revoked else []
    ended = subprocess.run(command, input=asked.data, capture_output=True, check=False)
    return ended.returncode == 0


def printed_fingerprint(one: Person) -> str:
    public = one.key.with_name(f"{one.key.name}.pub")
    ended = subprocess.run(["ssh-keygen", "-lf", public], capture_output=True, check=True)
    return ended.stdout.decode().split()[1]


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def armor(blob: bytes) -> bytes:
    text = base64.encodebytes(blob).decode()
    return f"-----BEGIN SSH SIGNATURE-----\n{text}-----END SSH SIGNATURE-----\n".encode()


def blob_of(armored: bytes) -> bytes:
    return base64.b64decode(b"".join(armored.splitlines()[1:-1]))
