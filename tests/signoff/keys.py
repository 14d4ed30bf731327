"""Keys of made-up people, by the real ssh-keygen: what the tests of sign-off share."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

Kind = Literal["ed25519", "ecdsa", "rsa"]
ROLES = ("security-lead", "technical-lead", "project-manager", "decision-maker")


def keygen(*arguments: str | Path, stdin: bytes = b"") -> bytes:
    """Run ssh-keygen, which must succeed; return its stdout."""
    done = subprocess.run(
        ["ssh-keygen", *map(str, arguments)], input=stdin, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def signature_by_ssh_keygen(key: Path, data: bytes, namespace: str, *options: str) -> bytes:
    """Return the armored SSHSIG. key: a private key without passphrase, or a certificate."""
    return keygen("-q", "-Y", "sign", "-f", key, "-n", namespace, *options, stdin=data)


class Person(NamedTuple):
    """A principal with a key pair: `key` (private) and `key`.pub; line ends are not in `public`."""

    principal: str
    key: Path

    @property
    def public(self) -> str:
        """The key as one line, `ssh-ed25519 AAAA...`, without comment."""
        kind, text, *_ = self.key.with_name(f"{self.key.name}.pub").read_text().split()
        return f"{kind} {text}"

    def line(self, role: str | None, principals: str | None = None, **options: str | bool) -> str:
        """Return a line of allowed_signers that lets the key sign for the role (None: for all).

        options: as in the file with `_` for `-`, valid_before="20270101Z", cert_authority=True.
        """
        if role is not None:
            options = {"namespaces": f"{role}@signoff.readiness", **options}
        words = [
            name.replace("_", "-") if value is True else f'{name.replace("_", "-")}="{value}"'
            for name, value in options.items()
        ]
        return " ".join(filter(None, [principals or self.principal, ",".join(words), self.public]))

    def sign(self, data: bytes, role: str) -> bytes:
        """Return the armored SSHSIG over the data for the role."""
        return signature_by_ssh_keygen(self.key, data, f"{role}@signoff.readiness")


def person(
    folder: Path, principal: str, kind: Kind = "ed25519", passphrase: str = "", name: str = ""
) -> Person:
    """Make a key in the folder; name: of its file, by default what is before the @."""
    key = folder / (name or principal.partition("@")[0])
    size = ["-b", "2048"] if kind == "rsa" else []
    # One round of the key derivation: the tests do not guard this key.
    keygen("-q", "-t", kind, *size, "-a", "1", "-N", passphrase, "-C", "", "-f", key)
    return Person(principal, key)


def team(folder: Path) -> dict[str, Person]:
    """Make one person a role: role -> Person, principals `security-lead@example.org`..."""
    return {role: person(folder, f"{role}@example.org") for role in ROLES}


def certificate(
    ca: Person,
    holder: Person,
    principals: str,
    validity: str = "always:forever",
    serial: int = 1,
    *,
    host: bool = False,
    critical: str = "",
) -> Path:
    """Certify the holder's key by the CA; return the certificate. It signs with the key.

    principals: comma separated. validity: as `ssh-keygen -V` takes it, `20260101Z:20270101Z`.
    critical: an option, as -O takes it.
    """
    kind = [*(["-h"] if host else []), *(["-O", critical] if critical else [])]
    names = ["-n", principals] if principals else []
    public = holder.key.with_name(f"{holder.key.name}.pub")
    keygen(
        "-q", "-s", ca.key, "-I", holder.principal, *kind, *names, "-V", validity,
        "-z", str(serial), public,
    )  # fmt: skip
    return holder.key.with_name(f"{holder.key.name}-cert.pub")


def allowed_signers(folder: Path, lines: Sequence[str]) -> Path:
    """Write the lines as folder/allowed_signers."""
    path = folder / "allowed_signers"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def revocation_list(path: Path, *sources: Path, spec: str = "", ca: Person | None = None) -> Path:
    """Write a binary KRL of public keys (.pub) and of specification lines (`serial: 1`)."""
    given = list(sources)
    if spec:
        specification = path.with_name(f"{path.name}.spec")
        specification.write_text(spec)
        given.append(specification)
    by = ["-s", f"{ca.key}.pub"] if ca else []
    keygen("-q", "-k", "-f", path, *by, *given)
    return path


def revoked_text(path: Path, *people: Person) -> Path:
    """Write a list of public keys, one a line, as ssh-keygen -r takes it."""
    path.write_text("".join(f"{one.public}\n" for one in people))
    return path


@contextmanager
def agent(folder: Path, *people: Person) -> Iterator[Mapping[str, str]]:
    """Run an ssh-agent which holds the people's keys; the environment that finds it.

    folder: short, as the path of a socket has at most about 100 bytes.
    """
    socket = folder / "agent"
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    found = {"SSH_AUTH_SOCK": str(socket)}
    try:
        assert process.stdout is not None
        process.stdout.readline()  # it says where it listens once it does
        for one in people:
            added = subprocess.run(
                ["ssh-add", "-q", str(one.key)], env={**os.environ, **found}, capture_output=True
            )
            assert added.returncode == 0, added.stderr.decode()
        yield found
    finally:
        process.terminate()
        process.communicate(timeout=10)


def asking(folder: Path, passphrase: str) -> Mapping[str, str]:
    """Return the environment in which OpenSSH asks a program, which answers the passphrase."""
    program = folder / "askpass"
    program.write_text(f"#!/bin/sh\necho '{passphrase}'\n")
    program.chmod(0o700)
    return {"SSH_ASKPASS": str(program), "SSH_ASKPASS_REQUIRE": "force"}
