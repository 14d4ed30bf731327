"""The catalogue is the user's checklist: same ids, same words, same order."""

import hashlib
import re
import sys
import textwrap
from pathlib import Path

import pytest

from pytest_readiness import catalogue, checklist
from pytest_readiness.checklist.discovery import checks, modules
from pytest_readiness.errors import ReadinessError
from pytest_readiness.written.keys import Phase

SHARED = Path(__file__).parents[3] / "shared"
ITEMS = SHARED / "items.md"
CHECKLIST = SHARED / "checklist.md"

needs_items = pytest.mark.skipif(not ITEMS.is_file(), reason="items.md is not beside the clone")
needs_checklist = pytest.mark.skipif(
    not CHECKLIST.is_file(), reason="checklist.md is not beside the clone"
)


def documented_ids() -> list[str]:
    rows = [
        line.split("|")[1].split()
        for line in ITEMS.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.startswith(("| id ", "|---"))
    ]
    return [item for row in rows for item in row]


def checklist_titles() -> list[str]:
    """Return the boxes without a box below them, and what stands for boxes elsewhere.

    A box that holds commands, and the parts that are commands alone, are named command by
    command, by the comments; the end of the list names roles and documents.
    """
    lines = CHECKLIST.read_text(encoding="utf-8").split("\n---\n", 1)
    found: list[tuple[int, str]] = []
    in_code = False
    for line in "\n".join(lines).splitlines():
        box = re.match(r"( *)- \[ \] (.+)", line)
        if line.strip().startswith("```"):
            in_code = not in_code
            if in_code and line.startswith("  "):
                found.pop()
        elif in_code and line.strip().startswith("# "):
            found.append((2, line.strip().removeprefix("# ")))
        elif box:
            indent = len(box[1])
            if indent and found[-1][0] < indent and found[-1][1] not in KEPT:
                found.pop()
            found.append((indent, box[2]))
        elif line.startswith("**") and "Date:" in line:
            found.append((0, line.split(":**")[0].strip("*")))
        elif line.startswith("- See "):
            found.append((0, line.removeprefix("- ")))
    return [title for _, title in found]


# The one box that is an item and has boxes below it.
KEPT = ("Kubernetes cluster (1.24+) available",)


class TestCatalogue:
    @needs_items
    def test_passes_when_the_ids_are_those_of_the_items(self) -> None:
        assert sorted(item.id for item in catalogue.load()) == sorted(documented_ids())

    @needs_checklist
    def test_passes_when_titles_and_order_are_those_of_the_checklist(self) -> None:
        assert [item.title for item in catalogue.load()] == checklist_titles()

    def test_passes_when_no_id_is_there_twice(self) -> None:
        ids = [item.id for item in catalogue.load()]
        assert len(ids) == len(set(ids)) == len(catalogue.by_id())

    def test_passes_when_names_can_be_markers(self) -> None:
        for section, subsections in catalogue.sections().items():
            for name in (section, *subsections):
                assert re.fullmatch(r"[a-z][a-z_]*", name)
                assert name not in {"readiness", "item", "safety"}

    def test_passes_when_no_marker_means_two_things(self) -> None:
        subsections = [name for names in catalogue.sections().values() for name in names]
        assert len(subsections) == len(set(subsections))
        shared = set(subsections) & set(catalogue.sections())
        assert all(catalogue.sections()[name] == (name,) for name in shared)

    def test_passes_when_a_subsection_has_one_phase(self) -> None:
        phases: dict[tuple[str, str], set[str]] = {}
        for item in catalogue.load():
            phases.setdefault((item.section, item.subsection), set()).add(item.phase)
        assert all(len(names) == 1 for names in phases.values())

    def test_passes_when_every_item_is_in_a_known_phase(self) -> None:
        known = {*Phase, catalogue.SIGNOFF} - {Phase.ALL}
        assert {item.phase for item in catalogue.load()} == known

    def test_passes_when_all_phases_leave_out_the_signatures(self) -> None:
        assert {item.phase for item in catalogue.for_phase("all")} == {*Phase} - {Phase.ALL}
        total = sum(len(catalogue.for_phase(phase)) for phase in Phase if phase != Phase.ALL)
        assert total == len(catalogue.for_phase("all")) == len(catalogue.load()) - 4

    def test_passes_when_a_basis_is_one_of_the_known(self) -> None:
        for item in catalogue.load():
            assert item.basis == "signature" or set(re.split(r"[/+]", item.basis)) <= set("PRFD")

    def test_passes_when_only_words_of_people_have_no_target(self) -> None:
        assert {item.basis for item in catalogue.load() if not item.target} == {"D", "signature"}

    def test_passes_when_the_digest_is_that_of_the_file(self) -> None:
        digest = hashlib.sha256(catalogue.FILE.read_bytes()).hexdigest()
        assert catalogue.sha256() == digest


class TestPackagedChecks:
    def test_passes_when_every_module_is_a_subsection(self) -> None:
        for section, subsection, name in modules():
            assert subsection in catalogue.sections()[section]
            assert name == f"pytest_readiness.checklist.{section}.test_{subsection}"

    def test_passes_when_a_check_says_what_the_catalogue_says(self) -> None:
        for name, check in checks().items():
            item = catalogue.by_id()[name]
            assert (check.meta.severity, check.meta.safety) == (item.severity, item.safety), name


CHECK = """
from pytest_readiness import Safety, Severity, check

@check(id="{id}", severity=Severity.MAJOR, safety=Safety.S1, remediation="r", reference="r")
def test_{name}() -> None:
    '''A claim.

    A reason.
    '''
"""


class TestDiscovery:
    @pytest.fixture
    def tree(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(checklist, "__path__", [str(tmp_path)])
        (tmp_path / "operations").mkdir()
        (tmp_path / "operations" / "__init__.py").touch()
        # setitem, so that what the test imports is forgotten after it
        for name in ("operations", "operations.test_logging", "operations.test_alerting"):
            dotted = f"{checklist.__name__}.{name}"
            monkeypatch.setitem(sys.modules, dotted, None)
            del sys.modules[dotted]
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        return tmp_path / "operations"

    def test_passes_when_modules_are_named_without_import(self, tree: Path) -> None:
        (tree / "test_logging.py").write_text("raise ValueError")
        (tree / "helpers.py").write_text("raise ValueError")
        name = "pytest_readiness.checklist.operations.test_logging"
        assert list(modules()) == [("operations", "logging", name)]

    def test_fails_with_what_a_module_raises(self, tree: Path) -> None:
        (tree / "test_logging.py").write_text("raise ValueError('broken')")
        with pytest.raises(ValueError, match="broken"):
            checks()

    def test_passes_when_checks_are_in_the_order_of_the_catalogue(self, tree: Path) -> None:
        text = CHECK.format(id="log-retention", name="a") + CHECK.format(id="app-logs", name="b")
        (tree / "test_logging.py").write_text(text + "\ndef test_other() -> None: ...\n")
        assert list(checks()) == ["app-logs", "log-retention"]

    def test_fails_and_names_both_functions_of_one_id(self, tree: Path) -> None:
        text = CHECK.format(id="app-logs", name="a") + CHECK.format(id="app-logs", name="b")
        (tree / "test_logging.py").write_text(text)
        with pytest.raises(ReadinessError, match=r"test_b and .*test_a both judge app-logs"):
            checks()

    @pytest.mark.parametrize("name", ["on-call", "no-such-item"])
    def test_fails_and_names_an_id_that_is_not_in_its_section(self, tree: Path, name: str) -> None:
        (tree / "test_logging.py").write_text(CHECK.format(id=name, name="a"))
        with pytest.raises(ReadinessError, match=f"no item {name} in operations/logging"):
            checks()

    def test_passes_when_an_imported_check_is_not_counted_again(self, tree: Path) -> None:
        (tree / "test_logging.py").write_text(CHECK.format(id="app-logs", name="a"))
        line = "from pytest_readiness.checklist.operations.test_logging import test_a\n"
        (tree / "test_alerting.py").write_text(textwrap.dedent(line))
        assert list(checks()) == ["app-logs"]


def test_what_may_be_declared_says_how_long_it_holds_and_nothing_else_does() -> None:
    for item in catalogue.load():
        assert (item.valid_for is not None) == item.declarable, item.id
        assert item.declarable or not item.any_release, item.id
