"""A file whole, or not at all.

PYTEST_DONT_REWRITE
"""

import os
import secrets
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old one or the whole new one. Raises OSError."""
    made = temporary(path, data)
    try:
        os.replace(made, path)
    finally:
        made.unlink(missing_ok=True)


def temporary(path: Path, data: bytes) -> Path:
    """Write the data, down to the disk, to a file beside the path. Raises OSError."""
    made = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with made.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        made.unlink(missing_ok=True)
        raise
    return made


def sync_directory(directory: Path) -> None:
    """Keep what was renamed in it, whatever happens to the machine. Raises OSError."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
