"""Whatever a project does to its own tests, the packaged checklist is collected and judged."""

from pathlib import Path

import pytest

import pytest_readiness
from tests.run.project import BAD, GOOD, Project, check_source, checks_file

INI = "[readiness]\nsystem = shop\nenvironment = test\nphase = verification\n"
VERIFICATION = 105  # items of the phase
OPTIONS = {
    "testpaths": "elsewhere",
    "python_files": "*_spec.py",
    "python_functions": "it_*",
    "python_classes": "",
    "norecursedirs": "readiness checklist",
    "usefixtures": "client",
    "filterwarnings": "error",
    "xfail_strict": "true",
    "junit_family": "legacy",
    "empty_parameter_set_mark": "fail_at_collect",
    "console_output_style": "count",
}
FLAGS = (
    "--strict-markers",
    "--strict-config",
    "--import-mode=importlib",
    "--assert=plain",
    "-p no:cacheprovider",
    "-p no:logging",
    "-p no:doctest",
)
# Autouse fixtures that would break, or mock, whatever has them.
CONFTEST = """
import pytest

@pytest.fixture
def evidence():
    return {}

@pytest.fixture(autouse=True)
def settings(evidence):
    evidence["touched"] = True

@pytest.fixture(autouse=True, scope="session")
def k8s_nodes():
    raise RuntimeError("no database")

@pytest.fixture
def ch_replicas():
    return "mine"

@pytest.fixture(autouse=True)
def k8s_limits():
    return None

@pytest.fixture
def client(monkeypatch):
    monkeypatch.setattr("socket.socket", None)

def pytest_collection_modifyitems(config, items):
    for item in items:
        item.module.__name__, item.function.__name__, item.cls, item.originalname
        item.fspath, item.location, item.get_closest_marker("slow")
        if "integration" in item.path.relative_to(config.rootpath).parts:
            item.add_marker(pytest.mark.skip(reason="slow"))
"""


def _ini(options: dict[str, str], header: str = "pytest") -> str:
    return f"[{header}]\n" + "".join(f"{key} = {value}\n" for key, value in options.items())


@pytest.fixture
def hostile(tmp_path: Path) -> Project:
    """Return a project that is called as the package is, and has tests that collide with it."""
    project = Project(tmp_path / "readiness-shop")
    project.write("readiness.ini", INI)
    project.write("conftest.py", CONFTEST)
    project.write("checklist/__init__.py", "")
    project.write("checklist/model.py", "SIZE = 1\n")
    spec = "from checklist.model import SIZE\n\ndef it_works(): assert SIZE\n"
    project.write("readiness/infrastructure/test_kubernetes.py", "def test_it(): assert True\n")
    project.write("elsewhere/first_spec.py", spec)
    project.find_first(project.folder)
    return project


def _collected(project: Project, *args: str) -> int:
    result = project.run("-m", "readiness", "--collect-only", "-q", *args)
    assert result.code == 0, result.out
    lines = result.out.splitlines()
    return len([line for line in lines if line.startswith("readiness/") and "::" in line])


@pytest.mark.parametrize("workers", ["0", "2"])
def test_all_at_once(hostile: Project, workers: str) -> None:
    flags = " ".join((*FLAGS, "-n", workers, "-W error", "--color=yes", "-ra"))
    hostile.write("pytest.ini", _ini({**OPTIONS, "addopts": flags}))
    hostile.environment["PYTHONDONTWRITEBYTECODE"] = "1"
    result = hostile.run("-m", "readiness")
    assert result.code == 6, result.out
    assert len(result.report["items"]) == VERIFICATION
    assert result.report["completeness"]["missing"] == []
    reasons = {item["id"]: item["reason"] for item in result.report["items"]}
    # Not what the fixtures of the project would have made of it.
    assert reasons["k8s-nodes"] == "no [kubernetes] in readiness.ini"
    assert reasons["ch-disk"] == "no [clickhouse] in readiness.ini"
    assert set(reasons.values()) <= {
        "no [kubernetes] in readiness.ini",
        "no [clickhouse] in readiness.ini",
        "no [kubernetes] in readiness.ini, and no declaration",
        "no [clickhouse] in readiness.ini, and no declaration",
        "no declaration",
        "no check yet",
    }


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_one_option(hostile: Project, name: str) -> None:
    hostile.write("pytest.ini", _ini({name: OPTIONS[name]}))
    assert _collected(hostile) == VERIFICATION


@pytest.mark.parametrize(
    ("file", "header"),
    [("pytest.ini", "pytest"), ("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")],
)
def test_each_file_of_options(hostile: Project, file: str, header: str) -> None:
    hostile.write(file, _ini({**OPTIONS, "addopts": " ".join(FLAGS)}, header))
    assert _collected(hostile) == VERIFICATION


def test_pyproject_and_a_folder_below(hostile: Project) -> None:
    hostile.write(
        "pyproject.toml",
        '[tool.pytest.ini_options]\ntestpaths = ["elsewhere"]\npython_files = ["*_spec.py"]\n',
    )
    below = Project(hostile.folder / "elsewhere", hostile.environment, fresh=True)
    assert _collected(below) == VERIFICATION


def test_another_root_and_settings_from_another_directory(hostile: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "other")
    other.write("test_a.py", "def test_a(): pass\n")
    (hostile.folder / "readiness.ini").rename(hostile.folder / "prod.ini")
    ini = "../readiness-shop/prod.ini"
    assert _collected(other, "--readiness-ini", ini, "--rootdir", "..") == VERIFICATION


def test_the_projects_own_tests_still_run(hostile: Project) -> None:
    hostile.write("conftest.py", "")
    hostile.write("readiness/test_here.py", "def test_here(): pass\n")
    result = hostile.run("readiness/test_here.py", "readiness")
    assert result.code == 0, result.out
    assert "2 passed" in result.out
    assert not (hostile.folder / "readiness-report").exists()


def test_a_project_that_holds_the_package(hostile: Project) -> None:
    package = Path(pytest_readiness.__file__).parent
    result = hostile.run("--rootdir", ".", str(package), "-q")
    assert result.code == 5, result.out
    assert _collected(hostile, "--rootdir", ".", str(package)) == VERIFICATION


def test_a_hook_that_keeps_only_its_own_folder(hostile: Project) -> None:
    hook = "def pytest_collection_modifyitems(items):\n"
    hostile.write(
        "conftest.py", f"{hook}    items[:] = [i for i in items if 'elsewhere' in str(i.path)]\n"
    )
    result = hostile.run("-m", "readiness")
    assert result.code == 6, result.out
    assert len(result.report["completeness"]["missing"]) == VERIFICATION


@pytest.mark.parametrize("flags", [(), ("--assert=plain",)])
def test_a_fail_is_one_without_pytests_assertions(project: Project, flags: tuple[str, ...]) -> None:
    bare = GOOD.replace("assert not evidence.findings", "assert 1 == 2")
    project.write(
        "test_bad.py", checks_file(check_source("shop-bad", BAD), check_source("shop-bare", bare))
    )
    result = project.run("-m", "readiness", *flags)
    assert result.code == 1, result.out
    assert {"shop-bad": "fail", "shop-bare": "fail"}.items() <= result.outcomes().items()


def test_a_python_that_executes_no_assert_is_refused(project: Project) -> None:
    project.write(
        "test_bad.py",
        checks_file(check_source("shop-bare", GOOD.replace("not evidence.findings", "1 == 2"))),
    )
    project.fresh = True
    project.environment["PYTHONOPTIMIZE"] = "1"
    result = project.run("-m", "readiness", "--assert=plain")
    assert result.code == 4, result.out
    assert "PYTHONOPTIMIZE" in result.out
    assert not (project.folder / "readiness-report").exists()


def test_a_project_that_hides_the_terminal(hostile: Project) -> None:
    result = hostile.run("-m", "readiness", "-p", "no:terminal", "-p", "no:cacheprovider")
    assert (result.code, result.out) == (6, "")
    assert result.report["verdict"]["name"] == "INCOMPLETE"
