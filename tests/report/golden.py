"""The golden files of the text renderings; `python -m tests.report.golden` writes them again."""

from collections.abc import Iterable
from pathlib import Path

from pytest_readiness.report import markdown, terminal
from pytest_readiness.results.model import Report
from tests.report import extremes, sample

FOLDER = Path(__file__).with_name("golden")
GOLDEN = {"full": sample.full, "partial": sample.partial, "empty": sample.empty}
REPORTS = {**GOLDEN, "hostile": extremes.hostile}


def renderings(report: Report) -> dict[str, str]:
    """Return the text of each kind of golden file."""
    return {
        "md": markdown.render(report, sample.digest("report.json")),
        "80.txt": painted(terminal.lines(report, 80, "readiness-report")),
        "40.txt": plain(terminal.lines(report, 40, "readiness-report")),
    }


def painted(lines: Iterable[terminal.Line]) -> str:
    """Return lines with the style of each span in front of it."""
    return _joined(
        "".join(text if style == "plain" else f"<{style}>{text}</>" for text, style in line)
        for line in lines
    )


def plain(lines: Iterable[terminal.Line]) -> str:
    """Return lines as a terminal without colours shows them."""
    return _joined("".join(text for text, _ in line) for line in lines)


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, report in GOLDEN.items():
        for ending, text in renderings(report()).items():
            (FOLDER / f"{name}.{ending}").write_text(text, encoding="utf-8")
