"""The generated pages say what the package declares today."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from pytest_readiness import catalogue
from pytest_readiness.settings import sections
from pytest_readiness.settings.sections import ITEM_SECTIONS

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["checks.md", "settings.md"])
def test_passes_when_the_page_is_not_stale(generate: ModuleType, name: str) -> None:
    written = (DOCS / name).read_text(encoding="utf-8")
    assert written == generate.pages()[name], "run: python docs/generate.py"


def test_passes_when_every_item_is_documented() -> None:
    page = (DOCS / "checks.md").read_text(encoding="utf-8")
    assert [item.id for item in catalogue.load() if f"| `{item.id}` |" not in page] == []


def test_passes_when_every_key_is_documented() -> None:
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    for section in sections().values():
        assert f"## [{section.name}]" in page
        assert [key for key in section.keys if f"| `{key}` |" not in page] == []
    for name in ITEM_SECTIONS:
        assert f"## [{name}]" in page
