"""Write a readiness.ini in which every line is a comment, and each key says what it is.

Or print what the checklist needs to be allowed in Kubernetes.

PYTEST_DONT_REWRITE
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from textwrap import wrap

from pytest_readiness.errors import ReadinessError
from pytest_readiness.settings import ITEM_SECTIONS, KeyOf, sections

_WIDTH = 79
_TOLD = ("phase", "url", "flag", "version")
_HEAD = (
    "What `pytest -m readiness` asks, and where. Take the # off the sections you have: "
    "[readiness] is needed, and one section for each target. A target without a section is not "
    "checked, and what is not checked is not ready. The values are the defaults, or examples.",
    "A comment begins with ; or #, and in a line with a space before it. An indented line "
    "continues the list above it. Durations: 500ms 30s 5m 24h 90d 2w. Sizes: 100GB 8Gi. Shares: "
    "10%. Lists: by comma, or one a line. Secrets: ${env:NAME} or ${file:PATH}, never the secret.",
)


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--output", metavar="FILE", type=Path, default=Path("readiness.ini"), help="(%(default)s)"
    )
    parser.add_argument("--force", action="store_true", help="overwrite FILE")
    parser.add_argument(
        "--rbac",
        action="store_true",
        help="write no file: print the least ClusterRoles the checklist needs in Kubernetes",
    )


def main(args: Namespace) -> int:
    """Write the file; return 0. Raises ReadinessError when it exists or cannot be written."""
    if args.rbac:
        print(rbac(), end="")
        return 0
    try:
        with args.output.open("w" if args.force else "x", encoding="utf-8", newline="\n") as file:
            file.write(text())
    except FileExistsError:
        raise ReadinessError(f"{args.output}: exists; --force overwrites it") from None
    except OSError as error:
        raise ReadinessError(f"{args.output}: cannot be written: {error.strerror}") from None
    print(f"wrote {args.output}")
    print("next: take the # off what you have, then `readiness check`")
    return 0


def text() -> str:
    """Return the file: `; ` before what explains, `#` before what can be switched on."""
    return "\n".join(_lines()) + "\n"


def rbac() -> str:
    """Return YAML of the ClusterRoles that all questions to Kubernetes need together."""
    return (files("pytest_readiness") / "rbac.yaml").read_text(encoding="utf-8")


def _lines() -> Iterator[str]:
    for paragraph in _HEAD:
        yield from _remark(paragraph)
    for section in sections().values():
        yield ""
        yield from _remark(section.help)
        yield f"#[{section.name}]"
        for key in section.keys.values():
            yield from _remark(explained(key))
            yield f"#{key.name} = {shown(key)}"
    for name, items in ITEM_SECTIONS.items():
        yield ""
        yield from _remark(items.help)
        yield f"#[{name}]"
        yield f"#{' = '.join(items.example)}"


def explained(key: KeyOf) -> str:
    """Return what a key is, and what its value looks like where the head does not say it."""
    kind = key.key.kind
    must = "required: " if key.required else ""
    form = f" ({kind.says})" if kind.name in _TOLD else ""
    return f"{must}{key.key.help}{form}"


def shown(key: KeyOf) -> str:
    """Return the value that stands for the key: its default, or the example where it has none."""
    return key.key.example or key.key.kind.show(key.default)


def _remark(paragraph: str) -> Iterator[str]:
    return (f"; {line}" for line in wrap(paragraph, _WIDTH - 2, break_on_hyphens=False))
