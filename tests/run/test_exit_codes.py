"""The exit codes of a run: a gate reads nothing else."""

import pytest

from tests.run.project import BAD, READY_INI, Project, check_source, checks_file
from tests.run.test_selection import INI, kubeconfig


def write_bad(project: Project, severity: str) -> None:
    project.write("test_bad.py", checks_file(check_source("shop-bad", BAD, severity=severity)))


def test_0_when_ready(project: Project) -> None:
    result = project.run("-m", "readiness")
    assert (result.code, result.report["verdict"]["name"]) == (0, "READY")
    assert result.report["verdict"]["exit_code"] == 0


def test_0_for_a_selection_that_passes(project: Project) -> None:
    result = project.run("readiness/rollback/rollback::rollback-undo")
    assert (result.code, result.report["verdict"]["name"]) == (0, "PARTIAL")


@pytest.mark.parametrize("severity", ["BLOCKER", "MAJOR"])
def test_1_when_something_fails(project: Project, severity: str) -> None:
    write_bad(project, severity)
    result = project.run("-m", "readiness")
    assert (result.code, result.report["verdict"]["name"]) == (1, "NOT READY")


def test_1_for_an_ordinary_test_of_the_selection(project: Project) -> None:
    project.write(
        "test_plain.py",
        "import pytest\n@pytest.mark.ordinary\ndef test_it(): assert 0\n",
    )
    project.write("pytest.ini", "[pytest]\nmarkers = ordinary\n")
    result = project.run("-m", "readiness or ordinary")
    assert (result.code, result.report["verdict"]["name"]) == (1, "NOT READY")


def test_a_minor_leaves_the_code_to_the_others(project: Project) -> None:
    write_bad(project, "MINOR")
    result = project.run("-m", "readiness")
    assert (result.code, result.report["verdict"]["name"]) == (0, "READY")
    assert "minor" in result.out
    project.write("readiness.ini", READY_INI.partition("[not_applicable]")[0])
    result = project.run("-m", "readiness")
    assert (result.code, result.report["verdict"]["name"]) == (6, "INCOMPLETE")
    assert any("shop-bad" in reason for reason in result.report["verdict"]["reasons"])


def test_2_when_interrupted(project: Project) -> None:
    project.write("test_stop.py", checks_file(check_source("shop-stop", "raise KeyboardInterrupt")))
    result = project.run("-m", "readiness")
    assert (result.code, result.report["verdict"]["name"]) == (2, "INCOMPLETE")


def test_3_when_pytest_breaks(project: Project) -> None:
    project.write("conftest.py", "def pytest_runtestloop(session): raise RuntimeError('broken')\n")
    result = project.run("-m", "readiness")
    assert (result.code, result.report["verdict"]["name"]) == (3, "INCOMPLETE")


def test_4_with_every_line_that_is_wrong(project: Project) -> None:
    project.write(
        "readiness.ini",
        "[readiness]\nsystm = a\nsystem = b\nenvironment = c\nphase = soon\n[kubernets]\na = 1\n",
    )
    result = project.run("-m", "readiness")
    assert result.code == 4, result.out
    assert "readiness.ini:2:" in result.out
    assert "did you mean system?" in result.out
    assert "readiness.ini:5:" in result.out
    assert "readiness.ini:6:" in result.out
    assert "Traceback" not in result.out
    assert not (project.folder / "readiness-report").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--readiness-phase", "soon"), "soon"),
        (("--readiness-safety", "S9"), "S9"),
        (("--readiness-ini", "nowhere.ini"), "nowhere.ini"),
        (("--readiness-replay", "nowhere"), "nowhere"),
    ],
)
def test_4_for_options_that_make_no_sense(
    project: Project, args: tuple[str, ...], said: str
) -> None:
    result = project.run("-m", "readiness", *args)
    assert result.code == 4, result.out
    assert said in result.out
    assert "Traceback" not in result.out


def test_4_for_a_directory_of_signatures(project: Project) -> None:
    project.write("kept/signoffs/security-lead.statement.json", "{}")
    project.write("kept/report.json", "{}")
    result = project.run("-m", "readiness", "--readiness-report", "kept")
    assert result.code == 4, result.out
    assert "signed report" in result.out
    assert (project.folder / "kept/report.json").read_text() == "{}"


def test_5_when_nothing_is_selected(project: Project) -> None:
    result = project.run("-m", "readiness and clickhouse")
    assert (result.code, result.report["verdict"]["name"]) == (5, "PARTIAL")


def test_6_when_a_question_has_no_answer(project: Project) -> None:
    project.write("readiness.ini", INI)
    project.write("kubeconfig.yaml", kubeconfig("http://127.0.0.1:9"))
    result = project.run("-m", "readiness")
    assert (result.code, result.report["verdict"]["name"]) == (6, "INCOMPLETE")
    assert result.item("k8s-nodes")["outcome"] == "error"


def test_plain_pytest_keeps_its_own_codes(project: Project) -> None:
    write_bad(project, "MINOR")
    assert project.run().code == 1
    assert project.run("-k", "nothing_like_it").code == 5
    assert project.run("test_shop.py").code == 0
