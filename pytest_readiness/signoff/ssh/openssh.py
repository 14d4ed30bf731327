"""The programs of OpenSSH: they hold the private keys, and they know every kind of key.

PYTEST_DONT_REWRITE
"""

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from pytest_readiness.errors import ReadinessError
from pytest_readiness.signoff import files
from pytest_readiness.signoff.ssh import wire

_TIMEOUT = 30  # seconds, of what asks nobody
_INSTALL = "install OpenSSH, 9.1 or later"
_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC"}
Arguments = list[str | bytes]


def available() -> bool:
    """Return whether ssh-keygen is on this machine."""
    return shutil.which("ssh-keygen") is not None


def refuses_signature(data: bytes, armored: bytes, namespace: str) -> str | None:
    """Ask ssh-keygen about a signature by the key it carries; return its words, None: it is good.

    Raises ReadinessError where ssh-keygen is missing.
    """
    with _folder() as folder:
        signature = _written(folder, "signature", armored)
        arguments: Arguments = ["-Y", "check-novalidate", "-n", namespace.encode(), "-s", signature]
        return _refuses(arguments, signature, data)


def refuses_signer(
    data: bytes,
    armored: bytes,
    *,
    principal: str,
    namespace: str,
    line: bytes,
    at: datetime,
    revoked: Path | None,
) -> str | None:
    """Ask ssh-keygen about a signature under one line of allowed_signers; as refuses_signature."""
    with _folder() as folder:
        signature = _written(folder, "signature", armored)
        # Names in UTF-8, as the file has them, whatever the locale of this process is.
        arguments: Arguments = ["-Y", "verify", "-I", principal.encode(), "-n", namespace.encode()]
        arguments += ["-f", _written(folder, "allowed_signers", line + b"\n"), "-s", signature]
        # In UTC by _ENVIRONMENT: only from 9.1 on may the time itself say so.
        arguments += ["-O", f"verify-time={at.astimezone(UTC):%Y%m%d%H%M%S}"]
        if revoked is not None:
            arguments += ["-r", str(revoked)]
        return _refuses(arguments, signature, data)


def sign(data: bytes, namespace: str, key: Path | None, lines_keys: Sequence[bytes]) -> bytes:
    """Return the armored SSHSIG over the data, by `ssh-keygen -Y sign`, which asks the person.

    key: private, or public (a certificate, too) whose private half the agent has or which stands
    beside it. None: the first of lines_keys (public key blobs) that the agent lists.
    Raises ReadinessError with what to do.
    """
    program = _program("ssh-keygen")
    with _folder() as folder:
        statement = Path(_written(folder, "statement", data))
        if key is None:
            chosen = _written(folder, "key.pub", _of_agent(lines_keys).encode())
        else:
            chosen = str(_readable(key))
        command = [program, "-q", "-Y", "sign", "-n", namespace, "-f", chosen, str(statement)]
        # stdin and stderr stay the person's: a passphrase is asked for, a token wants a touch.
        ended = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        signature = statement.with_name(f"{statement.name}.sig")
        if ended.returncode != 0 or not signature.is_file():
            raise ReadinessError(
                f"ssh-keygen did not sign with {key or 'the key of the agent'}; it says above why. "
                "A wrong passphrase: try again. A public key: its private half must be in the "
                "agent (ssh-add -L lists what is) or beside it"
            )
        return signature.read_bytes()


def public_blob(key: Path) -> bytes:
    """Return the public key blob of a private key or a .pub; of a certificate the whole of it.

    Of a private key by the .pub beside it, else by ssh-keygen, which may ask for a passphrase.
    Raises ReadinessError.
    """
    public = key if key.suffix == ".pub" else key.with_name(f"{key.name}.pub")
    if key.suffix == ".pub" or public.is_file():
        text = _read(public)
    else:
        command = [_program("ssh-keygen"), "-y", "-f", str(_readable(key))]
        ended = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        if ended.returncode != 0:
            raise ReadinessError(f"{key}: ssh-keygen finds no key in it; it says above why")
        text = ended.stdout
    try:
        return wire.public_key(wire.text_of(text))[1]
    except wire.Malformed as error:
        raise ReadinessError(f"{public}: {error}") from error


def _of_agent(wanted: Iterable[bytes]) -> str:
    """Return the line of `ssh-add -L` that has the first of the wanted keys."""
    listed = keys_of_agent()
    for blob in wanted:
        if blob in listed:
            return f"{listed[blob]}\n"
    raise ReadinessError(
        "the agent has none of the keys that may sign: ssh-add KEY, or name the key: --key PATH"
    )


def keys_of_agent() -> dict[bytes, str]:
    """Return what `ssh-add -L` prints: public key blob (or certificate) -> line without its end.

    Raises ReadinessError.
    """
    program = _program("ssh-add")
    try:
        ended = subprocess.run(
            [program, "-L"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ReadinessError("the agent does not answer: name the key: --key PATH") from error
    if ended.returncode != 0:
        says = ended.stderr or ended.stdout
        raise ReadinessError(
            f"the agent has no key: {_words(says, '')}. Name the key, --key PATH, "
            "or give it to the agent: ssh-add KEY"
        )
    listed = {}
    for line in ended.stdout.decode(errors="replace").splitlines():
        try:
            listed[wire.public_key(line)[1]] = line
        except wire.Malformed:
            continue  # of a kind that no line of allowed_signers can have
    return listed


def _refuses(arguments: Arguments, signature: str, data: bytes) -> str | None:
    command: Arguments = [_program("ssh-keygen"), *arguments]
    try:
        ended = subprocess.run(
            command,
            input=data,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
            env={**os.environ, **_ENVIRONMENT},
        )
    except subprocess.TimeoutExpired:
        return f"it did not answer within {_TIMEOUT} s"
    except OSError as error:
        return f"it cannot be started: {error.strerror}"
    if ended.returncode == 0:
        return None
    return _words(ended.stderr + b"\n" + ended.stdout, f"{Path(signature).parent}/")


def _words(output: bytes, folder: str) -> str:
    """Return what a program says on one line, without the folder that is gone afterwards."""
    text = output.decode(errors="replace")
    lines = dict.fromkeys(line.strip().rstrip(".") for line in text.splitlines())
    said = "; ".join(line for line in lines if line)
    return (said.replace(folder, "") if folder else said) or "it says nothing"


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ReadinessError(f"{name} is not on this machine: {_INSTALL}")
    return found


def _readable(key: Path) -> Path:
    _read(key)
    return key


def _read(key: Path) -> bytes:
    try:
        return files.read(key)
    except files.Unreadable as error:
        raise ReadinessError(f"the key {key} cannot be read: {error.why}") from error


@contextmanager
def _folder() -> Iterator[str]:
    """Give a folder of this process alone. Raises ReadinessError where there is no room for one."""
    try:
        with TemporaryDirectory(prefix="readiness-") as folder:
            yield folder
    except OSError as error:
        raise ReadinessError(f"temporary files cannot be written: {error.strerror}") from error


def _written(folder: str, name: str, data: bytes) -> str:
    path = Path(folder, name)
    path.write_bytes(data)
    return str(path)
