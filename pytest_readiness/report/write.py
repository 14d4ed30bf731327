"""The files of a report: report.json once, then its renderings, each whole or not at all."""

import hashlib
import os
from pathlib import Path

from pytest_readiness.record.whole import sync_directory, temporary, write_whole
from pytest_readiness.report import html, markdown
from pytest_readiness.results.model import FILES, Report, decode, encode, read
from pytest_readiness.signoff import state

_JSON, _HTML, _MARKDOWN = FILES
# Where a page begins to say who has signed; text of a report is escaped, and cannot be it.
_SIGNATURES = {_HTML: b'<section id="signoff"', _MARKDOWN: b"\n## Sign-Off\n"}


def write_all(report: Report, directory: Path) -> None:
    """Write report.json, then render report.html and report.md from its bytes.

    Whatever happens to the renderings, report.json is there. Raises FileExistsError when the
    directory has a report.json already, which may be signed; OSError when it cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    _write_once(directory / _JSON, encode(report))
    render_files(directory)


def render_files(directory: Path) -> tuple[Path, ...]:
    """Render report.html and report.md from report.json and the signatures beside it.

    The same directory gives the same bytes each time.
    Returns their paths. Raises ReadinessError when report.json cannot be read.
    """
    pages = _pages(directory)
    for page, data in pages.items():
        write_whole(page, data)
    return tuple(pages)


def altered_pages(directory: Path, *, signatures: bool) -> list[str]:
    """Return the names of pages that are not what report.json renders to.

    signatures: with the part that says who has signed, which a signature by another tool makes
    old. A page that is not there is none. Raises ReadinessError, OSError.
    """
    return [
        page.name
        for page, data in _pages(directory).items()
        if page.exists()
        and _part(page.read_bytes(), page.name, signatures) != _part(data, page.name, signatures)
    ]


def _part(page: bytes, name: str, signatures: bool) -> bytes:
    return page if signatures else page.partition(_SIGNATURES[name])[0]


def _pages(directory: Path) -> dict[Path, bytes]:
    source = directory / _JSON
    try:
        data = source.read_bytes()
    except FileNotFoundError:
        read(source)  # says why it is not there
        raise
    report, sha256 = decode(data, source), hashlib.sha256(data).hexdigest()
    said = state.read(directory, sha256)
    return {
        directory / _HTML: html.render(report, sha256, said).encode(),
        directory / _MARKDOWN: markdown.render(report, sha256, said).encode(),
    }


def _write_once(path: Path, data: bytes) -> None:
    if path.exists():
        raise FileExistsError(f"{path} exists: a report is written once; use another directory")
    made = temporary(path, data)
    try:
        # A hard link fails where the name is taken, which a rename does not.
        os.link(made, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        os.rename(made, path)
    finally:
        made.unlink(missing_ok=True)
    sync_directory(path.parent)
