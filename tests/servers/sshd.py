"""A real OpenSSH server on loopback, with a host key of its own; it takes keys and no passwords."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.processes import free_port, listens, run_client, serving
from tests.servers.programs import need

PROGRAMS = ("sshd", "ssh-keygen", "ssh")
_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey "{key}"
PidFile none
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile none
"""
# sshd of root ends at once without this empty folder, which Debian makes when the machine starts
# the service. It is all that is made outside of a server's own folder.
_SEPARATION = Path("/run/sshd")


@contextmanager
def run(folder: Path) -> Iterator[dict[str, Any]]:
    """Run one server; says its "port" and the public "key" of the host.

    See tests.servers.shared; raises StartError.
    """
    program, keygen, _ = need(*PROGRAMS)
    folder.mkdir(parents=True, exist_ok=True)
    key = folder / "host_ed25519"
    key.unlink(missing_ok=True)
    made = run_client([keygen, "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], folder)
    assert made.returncode == 0, made.stderr
    if os.geteuid() == 0:
        _SEPARATION.mkdir(mode=0o755, exist_ok=True)
    port = free_port()
    config = folder / "sshd_config"
    config.write_text(_CONFIG.format(port=port, key=key))
    with serving(
        [program, "-D", "-e", "-f", config], folder / "logs" / "sshd.log", lambda: listens(port)
    ):
        yield {"port": port, "key": key.with_suffix(".pub").read_text().strip()}
