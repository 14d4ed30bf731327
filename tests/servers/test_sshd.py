"""A real OpenSSH server shows its banner and its host key, and takes no password."""

import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.servers.conftest import Lend
from tests.servers.processes import run_client
from tests.servers.programs import need


@pytest.fixture(scope="module")
def sshd(lend: Lend) -> dict[str, Any]:
    return lend("sshd")


def ssh(home: Path, port: int, host_key: str) -> "subprocess.CompletedProcess[str]":
    """Log in with a password where the host has that key; nothing is read from a user's files."""
    known = home / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {host_key}\n")
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(known),
        "GlobalKnownHostsFile": "none",
        "PreferredAuthentications": "password,keyboard-interactive",
        "IdentityFile": "none",
        "IdentityAgent": "none",
        "ConnectTimeout": "10",
    }
    chosen = [f"-o{name}={value}" for name, value in options.items()]
    where = ["-p", str(port), "nobody@127.0.0.1", "true"]
    return run_client([*need("ssh"), "-F", "none", "-v", *chosen, *where], home)


def test_its_banner_says_what_it_is(sshd: dict[str, Any]) -> None:
    with socket.create_connection(("127.0.0.1", sshd["port"]), timeout=10) as connection:
        assert connection.makefile("rb").readline().startswith(b"SSH-2.0-OpenSSH_")


def test_it_refuses_a_password_after_the_keys_are_exchanged(
    sshd: dict[str, Any], tmp_path: Path
) -> None:
    done = ssh(tmp_path, sshd["port"], sshd["key"])
    assert done.returncode == 255
    assert "is known and matches the ED25519 host key." in done.stderr
    assert "debug1: SSH2_MSG_NEWKEYS received" in done.stderr
    assert "Permission denied (publickey)." in done.stderr


def test_a_client_that_knows_another_key_of_the_host_goes_away(
    sshd: dict[str, Any], tmp_path: Path
) -> None:
    (keygen,) = need("ssh-keygen")
    made = run_client([keygen, "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], tmp_path)
    assert made.returncode == 0, made.stderr
    done = ssh(tmp_path, sshd["port"], (tmp_path / "key.pub").read_text().strip())
    assert done.returncode == 255
    assert "Host key verification failed." in done.stderr
    assert "SSH2_MSG_NEWKEYS received" not in done.stderr
