"""Who signs with a key, and whether the policy lets it: known before anything is signed.

PYTEST_DONT_REWRITE
"""

import getpass
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from pytest_readiness.errors import ReadinessError
from pytest_readiness.signoff import dsse
from pytest_readiness.signoff.policy import Policy
from pytest_readiness.signoff.ssh import key as keys
from pytest_readiness.signoff.ssh import openssh, sshsig, wire
from pytest_readiness.signoff.ssh.signers import Line


class Signer(msgspec.Struct, frozen=True, kw_only=True):
    """A person of a role.

    blob: public SSH key, or certificate; fingerprint: of the key. line: of allowed_signers, by
    which it signs.
    """

    principal: str
    blob: bytes
    fingerprint: str
    line: Line


class NotTheirs(ReadinessError):
    """The key is in no line of allowed_signers."""


def by_ssh(policy: Policy, role: str, key: Path | None, at: datetime) -> Signer:
    """Return the person of the role to whom the key belongs at the moment. key: None: the agent.

    Raises ReadinessError: no such person, or the key is expired, revoked or for something else.
    """
    if policy.allowed_signers is None:
        raise ReadinessError(
            f"{policy.path.name} names no allowed_signers, which --format sshsig needs"
        )
    if key is not None:
        return _signer(policy, role, sshsig.public_blob(key), at)
    return _of_agent(policy, role, at)


def by_dsse(policy: Policy, role: str, pem: bytes) -> str:
    """Return the person of the role whose entry in dsse_keys is the public key.

    Raises ReadinessError when there is none, or more than one.
    """
    mine = dsse.ssh_blob(pem)
    known = [
        principal
        for principal in policy.roles[role]
        if principal in policy.dsse_keys and dsse.ssh_blob(policy.dsse_keys[principal]) == mine
    ]
    people = ", ".join(policy.roles[role])
    # ssh-keygen makes no PEM of an ed25519 key: whoever keeps the policy takes it from here.
    return _one(
        known,
        f"the key is none of those that dsse_keys has for {role} ({people}); save this "
        "to a file and name it in [dsse_keys]:\n"
        f"{pem.decode().strip()}",
    )


def fingerprint(pem: bytes) -> str:
    """Return `SHA256:...` of a public key, as ssh-keygen prints it. Raises ReadinessError."""
    return wire.fingerprint(dsse.ssh_blob(pem))


def passphrase(key: Path) -> bytes:
    """Ask for the passphrase of a key: the program of SSH_ASKPASS as OpenSSH would, else here.

    Raises ReadinessError when nobody answers.
    """
    question = f"Passphrase of {key}: "
    program = os.environ.get("SSH_ASKPASS")
    forced = os.environ.get("SSH_ASKPASS_REQUIRE") in ("force", "prefer")
    if program and (forced or not sys.stdin.isatty()):
        try:
            ended = subprocess.run([program, question], stdout=subprocess.PIPE, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise ReadinessError(f"{key}: SSH_ASKPASS gave no passphrase: {error}") from error
        return ended.stdout.rstrip(b"\r\n")
    try:
        return getpass.getpass(question).encode()
    except (EOFError, OSError) as error:
        raise ReadinessError(f"{key}: it is encrypted, and nobody gives the passphrase") from error


def _of_agent(policy: Policy, role: str, at: datetime) -> Signer:
    refusals = []
    listed = openssh.keys_of_agent()
    for blob in listed:
        try:
            return _signer(policy, role, blob, at)
        except NotTheirs:
            continue
        except ReadinessError as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]
    keys = ", ".join(map(wire.fingerprint, listed))
    raise ReadinessError(
        f"no key of the agent ({keys}) is one of {role}: ssh-add KEY, or name the key: --key PATH"
    )


def _signer(policy: Policy, role: str, blob: bytes, at: datetime) -> Signer:
    try:
        key = keys.read(blob)
    except wire.Malformed as error:
        raise NotTheirs(f"the certificate cannot be read: {error}") from error
    name, held, space = key.fingerprint, key.certificate, sshsig.namespace(role)
    lines = keys.lines_of(key, policy.lines)
    if not lines:
        who = policy.roles[role][0] if len(policy.roles[role]) == 1 else "PRINCIPAL"
        options = f'{"cert-authority," if held else ""}namespaces="{space}"'
        raise NotTheirs(
            f"no line of allowed_signers has the key {name}; one that lets it sign is\n"
            f"{who} {options} {wire.written(key.listed)}"
        )
    people = [
        principal
        for principal in policy.roles[role]
        if (held is None or principal in held.principals)
        and any(line.names(principal) for line in lines)
    ]
    whose = ",".join(held.principals if held else lines[0].principals)
    asked = ", ".join(policy.roles[role])
    principal = _one(people, f"the key {name} is of {whose}, who is none of {role} ({asked})")
    valid = keys.may_sign(
        key, principal=principal, namespace=space, lines=lines, revoked=policy.revoked, at=at
    )
    return Signer(principal=principal, blob=blob, fingerprint=name, line=valid[0])


def _one(people: Sequence[str], nobody: str) -> str:
    if not people:
        raise ReadinessError(nobody)
    if len(people) > 1:
        raise ReadinessError(
            f"the key stands for {' and '.join(people)}: one key, one person of a role"
        )
    return people[0]
