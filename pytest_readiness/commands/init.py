"""Write a readiness.ini in which every line is a comment, and each key says what it is.

Or write a signoff.toml, or print what the checklist needs to be allowed in Kubernetes.

PYTEST_DONT_REWRITE
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap

from pytest_readiness.errors import ReadinessError
from pytest_readiness.settings import KeyOf, sections
from pytest_readiness.settings.sections import ITEM_SECTIONS

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

# The lines below "next" that go into a file or a shell are indented, and stay whole.
_NEXT = """next:
1. in {output}, give each role the e-mail addresses of the people who may sign
2. each person makes a key, unless they have one:
     ssh-keygen -t ed25519
3. for each, write a line into {signers}: address, role, public key (~/.ssh/*.pub):
     sec@example.org namespaces="security-lead@signoff.readiness" ssh-ed25519 AAAA...
4. after a run, each signs: `readiness sign RUN --role ROLE`"""


def arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--output", metavar="FILE", type=Path, help="(readiness.ini, or signoff.toml)"
    )
    parser.add_argument("--force", action="store_true", help="overwrite FILE")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--signoff", action="store_true", help="write the policy of who signs reports off instead"
    )
    instead.add_argument(
        "--rbac",
        action="store_true",
        help="write no file: print the least ClusterRoles the checklist needs in Kubernetes",
    )


def main(args: Namespace) -> int:
    """Write the file; return 0. Raises ReadinessError when it exists or cannot be written."""
    if args.rbac:
        from pytest_readiness.targets.kubernetes.section import rbac

        print(rbac(), end="")
        return 0
    if args.signoff:
        from pytest_readiness.signoff import template

        output = args.output or Path("signoff.toml")
        _write(output, template.text(), force=args.force)
        print(_NEXT.format(output=output, signers=output.with_name("allowed_signers")))
        return 0
    output = args.output or Path("readiness.ini")
    _write(output, text(), force=args.force)
    print("next: take the # off what you have, then `readiness check`")
    return 0


def _write(output: Path, content: str, *, force: bool) -> None:
    try:
        with output.open("w" if force else "x", encoding="utf-8", newline="\n") as file:
            file.write(content)
    except FileExistsError:
        raise ReadinessError(f"{output}: exists; --force overwrites it") from None
    except OSError as error:
        raise ReadinessError(f"{output}: cannot be written: {error.strerror}") from None
    print(f"wrote {output}")


def text() -> str:
    """Return the file: `; ` before what explains, `#` before what can be switched on."""
    return "\n".join(_lines()) + "\n"


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
