"""Write docs/checks.md and docs/settings.md from what the package declares.

python docs/generate.py
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from pytest_readiness import catalogue
from pytest_readiness.catalogue import CatalogueItem
from pytest_readiness.checklist.discovery import DiscoveredCheck, checks
from pytest_readiness.settings import KeyOf, sections
from pytest_readiness.settings.sections import ITEM_SECTIONS

FOLDER = Path(__file__).parent
_NOTICE = "<!-- Written by docs/generate.py: change what it reads, then run it. -->"
_NO_CHECK = "no check yet"


def pages() -> dict[str, str]:
    """Return the text of each generated page by its file name."""
    return {
        "checks.md": "\n".join(_checks_page()) + "\n",
        "settings.md": "\n".join(_settings_page()) + "\n",
    }


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")


def _checks_page() -> Iterator[str]:
    found = checks()
    items = catalogue.load()
    yield from ("# The checklist, item by item", "", _NOTICE, "")
    yield (
        f"{len(items)} items, {len(found)} with a check. Basis: `P` a probe, `R` a report of a "
        "tool, `F` a file of the repository, `D` a declaration; `P/D`: the declaration counts only "
        "where the target is not set. In brackets: how long a declaration holds, and whether it "
        "may be for any release. Safety: S0 offline, S1 reads a control plane, S2 a few GETs to "
        "the application, S3 harmless payloads, S4 changes state."
    )
    for (section, subsection, phase), members in groupby(
        items, lambda item: (item.section, item.subsection, item.phase)
    ):
        group = list(members)
        yield from ("", f"## {section} / {subsection}", "", f"Phase: {phase}.", "")
        yield from _table(
            ("item", "title", "severity", "safety", "basis", "section of readiness.ini", "judged"),
            [_item_row(item, found.get(item.id)) for item in group],
        )
        for item in group:
            if item.id in found:
                yield from _check(found[item.id])


def _basis(item: CatalogueItem) -> str:
    if item.valid_for is None:
        return item.basis
    return f"{item.basis} ({item.valid_for.days} d{', any' if item.any_release else ''})"


def _item_row(item: CatalogueItem, check: DiscoveredCheck | None) -> tuple[str, ...]:
    word = "by a declaration" if item.declarable else _NO_CHECK
    judged = f"[by a check](#{item.id})" if check else word
    target = f"`{item.target}`" if item.target else ""
    words = (item.severity.value, item.safety.value, _basis(item), target, judged)
    return (f"`{item.id}`", item.title, *words)


def _check(check: DiscoveredCheck) -> Iterator[str]:
    meta = check.meta
    reference = f"<{meta.reference}>" if "://" in meta.reference else f"`{meta.reference}`"
    yield from ("", f"### {meta.id}", "", f"**{meta.title}**", "", meta.rationale, "")
    yield from (f"- Remedy: {meta.remediation}", f"- Reference: {reference}")


def _settings_page() -> Iterator[str]:
    yield from ("# readiness.ini", "", _NOTICE, "")
    yield (
        "`readiness init` writes one with every line commented out, `readiness check` validates "
        "it. All that is wrong is said at once, a line each: `readiness.ini:LINE: message`."
    )
    yield ""
    yield from (
        "- A line that begins with `;` or `#` is a comment, and so is the rest of a line from a "
        "`;` or `#` with a space before it.",
        "- An indented line continues the list or the reason above it; other values take one line.",
        "- Files are relative to the folder of the ini; `~` is the home folder.",
        "- Secrets are references, `${env:NAME}` or `${file:PATH}`; a literal is refused.",
        "- Values with a unit always carry it: `30s`, `100GB`, `10%`. `GB` counts in 1000s, `Gi` "
        "and `GiB` in 1024s.",
    )
    for section in sections().values():
        yield from ("", f"## [{section.name}]", "", section.help, "")
        yield from _table(
            ("key", "value", "default", "what it is"),
            [_key_row(key) for key in section.keys.values()],
        )
    for name, items in ITEM_SECTIONS.items():
        yield from ("", f"## [{name}]", "", items.help, "", "```ini")
        yield from (f"[{name}]", " = ".join(items.example), "```")


def _key_row(key: KeyOf) -> tuple[str, ...]:
    if key.required:
        default = "required"
    else:
        unset = key.default is None or key.default == ()
        default = "" if unset else f"`{key.key.kind.show(key.default)}`"
    return (f"`{key.name}`", key.key.kind.says, default, key.key.help)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


if __name__ == "__main__":
    main()
