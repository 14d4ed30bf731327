"""The causes are those of docs/signoff.md, in its groups and its order."""

import re
from pathlib import Path

from pytest_readiness.signoff.refusals import Cause

DOCS = Path(__file__).parents[2] / "docs" / "signoff.md"


def test_passes_when_causes_and_exit_codes_are_those_of_the_docs() -> None:
    verification = DOCS.read_text().split("## Verification")[1].split("\n## ")[0]
    groups = re.split(r"\*\*(\d): ", verification)[1:]
    documented = [
        (cause, int(code))
        for code, text in zip(groups[::2], groups[1::2], strict=True)
        for cause in re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE)
    ]
    assert documented == [(cause.value, cause.exit_code) for cause in Cause]
