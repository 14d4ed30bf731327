"""The pages of a run held against its report.json: docs/signoff.md, Verification.

PYTEST_DONT_REWRITE
"""

from importlib.metadata import version
from pathlib import Path

from pytest_readiness.errors import ReadinessError
from pytest_readiness.report.write import altered_pages
from pytest_readiness.results import model
from pytest_readiness.signoff.refusals import Cause, Refusal
from pytest_readiness.signoff.verify import Verification, also


def held(found: Verification, run: Path) -> Verification:
    """Return the answer with what the pages of the run say against it. Raises ReadinessError."""
    if found.verdict is None:  # there is no report that they could be held against
        return found
    pages = [name for name in model.FILES[1:] if (run / name).exists()]
    made_by = _other_version(run)
    if pages and made_by is not None:
        note = (
            f"{' and '.join(pages)}, for version {made_by} made the report, and renders otherwise"
        )
        return also(found, (), (note,))
    return also(found, [_refusal(name) for name in _altered(run, signatures=True)], ())


def refuse_altered(run: Path) -> None:
    """Raise ReadinessError for a page that shows another report than is there to be signed."""
    if _other_version(run) is None:
        for name in _altered(run, signatures=False):
            raise ReadinessError(
                f"{name} is not what report.json renders to: `readiness render {run}`, and read it "
                "again"
            )


def _other_version(run: Path) -> str | None:
    made_by = model.read(run / model.FILES[0]).tool.version
    return made_by if made_by != version("pytest-readiness") else None


def _altered(run: Path, *, signatures: bool) -> list[str]:
    try:
        return altered_pages(run, signatures=signatures)
    except OSError as error:
        raise ReadinessError(f"{run}: a page cannot be read: {error}") from error


def _refusal(name: str) -> Refusal:
    return Refusal(
        cause=Cause.ALTERED_PAGE,
        why=f"{name} is not what report.json and the signatures render to",
    )
