"""What every system has to be, packaged or of another distribution."""

import inspect
import string
from pathlib import Path
from typing import Any

import pytest

from pytest_readiness.settings import sections
from pytest_readiness.targets import GROUP, Target, questions, targets
from pytest_readiness.targets.section import Question, Section
from pytest_readiness.written.keys import Where
from tests.run.project import GOOD, READY_INI, Project, check_source, checks_file
from tests.targets.distribution import install

ASKED = [pytest.param(*both, id=name) for name, both in questions().items()]
EVERY = [pytest.param(target, id=name) for name, target in targets().items()]
SECTION = """\
from pytest_readiness.targets.section import Question, Section
from {package} import facts
class Toaster(Section, frozen=True, kw_only=True):
    PREFIX = "{prefix}"
    QUESTIONS = (Question("{question}", facts.Identity, "who", "toast"),)
"""
FACTS = """\
from pytest_readiness.targets.fact import Fact
class Identity(Fact, frozen=True):
    says: str
"""


def example(target: Target) -> Section:
    """Return the section with an example, or the default, of each key."""
    where = Where(Path("/"), resolve=False)
    values: dict[str, Any] = {
        name: known.key.parse(known.key.example, where) if known.key.example else known.default
        for name, known in sections()[target.name].keys.items()
    }
    return target.section(**values)


@pytest.mark.parametrize(("target", "question"), ASKED)
def test_a_question_is_a_function_of_its_probe_and_its_answer_is_a_fact(
    target: Target, question: Question
) -> None:
    function = getattr(target.probe(), question.name)
    assert inspect.signature(function).return_annotation is question.answer
    assert question.answer.__module__ == f"{target.package}.facts"
    assert question.answer.__struct_config__.frozen


@pytest.mark.parametrize(("target", "question"), ASKED)
def test_the_words_of_a_section_fill_what_a_person_reads(
    target: Target, question: Question
) -> None:
    words = example(target).words()
    asked = {name for _, name, _, _ in string.Formatter().parse(question.command + question.text)}
    assert asked - {None} <= words.keys()
    assert "{" not in question.text.format_map(words)
    assert words["at"]


@pytest.mark.parametrize("target", EVERY)
def test_a_probe_connects_a_section(target: Target) -> None:
    assert list(inspect.signature(target.probe().connect).parameters) == ["section", "caller"]


@pytest.mark.parametrize("target", EVERY)
def test_the_questions_of_a_system_have_names_of_their_own(target: Target) -> None:
    names = [question.name for question in target.section.QUESTIONS]
    assert len(names) == len(set(names))
    assert "limits" not in names


@pytest.mark.parametrize(
    ("name", "prefix", "question", "facts", "says"),
    [
        (
            "toaster",
            "toast",
            "identity",
            "import gone_for_good\n",
            "cannot be loaded: ModuleNotFoundError",
        ),
        ("toaster", "k8s", "identity", FACTS, "pytest_readiness.targets.kubernetes has its name"),
        ("toaster", "toast", "limits", FACTS, "there is a fixture toast_limits already"),
        (
            "kubernetes",
            "toast",
            "identity",
            FACTS,
            "pytest_readiness.targets.kubernetes has its name or",
        ),
        ("readiness", "toast", "identity", FACTS, "its name is that of another section"),
        ("not_applicable", "toast", "identity", FACTS, "its name is that of another section"),
    ],
)
def test_a_system_of_another_distribution_that_cannot_be_used_ends_the_run(
    tmp_path: Path, name: str, prefix: str, question: str, facts: str, says: str
) -> None:
    files = {
        "toaster_system/__init__.py": "",
        "toaster_system/section.py": SECTION.format(
            package="toaster_system", prefix=prefix, question=question
        ),
        "toaster_system/facts.py": facts,
    }
    install(tmp_path / "site", "toasters", files, f"[{GROUP}]\n{name} = toaster_system\n")
    project = Project(tmp_path)
    project.find_first(tmp_path / "site")
    project.write("readiness.ini", READY_INI)
    for done in (project.run("-m", "readiness"), project.command("check")):
        assert done.code == 4
        assert f"toasters brings the target {name} (toaster_system)" in done.out
        assert says in done.out
        assert "Traceback" not in done.out
    # A project that does not use the checklist is not concerned.
    project.write("test_plain.py", "def test_plain():\n    pass\n")
    assert project.run("test_plain.py").code == 0
    if "another section" not in says:
        # Checks of its own need the questions, also where they run as ordinary tests.
        project.write("test_plain.py", checks_file(check_source("shop-toast", GOOD)))
        done = project.run("test_plain.py")
        assert done.code == 4
        assert says in done.out
        assert "INTERNALERROR" not in done.out
