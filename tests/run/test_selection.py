"""What asks for the checklist, what does not, and how one item is named."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_readiness.lab.kubernetes.api import KubernetesApi
from pytest_readiness.run.command_line import needs_readiness
from tests.run.project import BAD, GOOD, Project, Result, check_source, checks_file

INI = """\
[readiness]
system = shop
environment = test
phase = verification

[kubernetes]
kubeconfig = kubeconfig.yaml
context = lab
namespace = shop
"""
HEAVY = [
    "kubernetes",
    "clickhouse_connect",
    "httpx",
    "msgspec",
    "jinja2",
    "cryptography",
    "filelock",
    "tomllib",
    "pytest_readiness.settings.reader",
    "pytest_readiness.checklist",
    "pytest_readiness.catalogue",
    "pytest_readiness.run.activate",
]
NODES = "readiness/infrastructure/kubernetes::k8s-nodes"
DISK = "readiness/infrastructure/clickhouse::ch-disk"


@pytest.fixture(scope="module")
def api() -> Iterator[KubernetesApi]:
    """Serve a cluster that counts what is asked of it."""
    with KubernetesApi() as served:
        yield served


@pytest.fixture
def shop(tmp_path: Path, api: KubernetesApi) -> Project:
    """Return a project with settings, two ordinary tests, and a list of what was imported."""
    made = Project(tmp_path / "readiness")
    made.write("readiness.ini", INI)
    made.write("kubeconfig.yaml", kubeconfig(api.url))
    made.write(
        "pytest.ini", "[pytest]\nmarkers =\n    slow: takes long\n    readiness_extra: own\n"
    )
    made.write(
        "test_ordinary.py",
        "import pytest\ndef test_quick(): pass\n"
        "@pytest.mark.slow\n@pytest.mark.readiness_extra\ndef test_slow(): pass\n",
    )
    made.write(
        "conftest.py",
        "import json, pathlib, sys\n"
        "def pytest_unconfigure():\n"
        "    pathlib.Path('modules.json').write_text(json.dumps(sorted(sys.modules)))\n",
    )
    return made


def kubeconfig(url: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
            "clusters": [{"name": "lab", "cluster": {"server": url}}],
            "users": [{"name": "lab", "user": {"token": "lab"}}],
        }
    )


def selected(result: Result) -> list[str]:
    return [item["id"] for item in result.report["items"] if item["reason"] != "not selected"]


def collected(result: Result) -> list[str]:
    return [line for line in result.out.splitlines() if line.startswith("readiness/")]


@pytest.mark.parametrize(
    ("args", "passed"),
    [
        ((), 2),
        (("-m", "not readiness"), 2),
        (("-m", ""), 2),
        (("-k", "readiness or test_quick"), 2),
        (("-m", "readiness_extra"), 1),
    ],
)
def test_none_of_it_is_collected(shop: Project, args: tuple[str, ...], passed: int) -> None:
    shop.fresh = True
    shop.hidden = ("PYTEST_", "COVERAGE_")  # measuring coverage imports what no user would
    result = shop.run(*args)
    assert result.code == 0, result.out
    assert f"{passed} passed" in result.out
    assert not (shop.folder / "readiness-report").exists()
    imported = set(json.loads((shop.folder / "modules.json").read_text()))
    assert not imported & set(HEAVY)


@pytest.mark.parametrize(
    ("expression", "count"),
    [
        ("not (not readiness)", 105),
        ("readiness or slow", 105),
        ("kubernetes and readiness", 5),
        ("readiness and not clickhouse", 101),
    ],
)
def test_an_expression_that_needs_the_mark(
    shop: Project, api: KubernetesApi, expression: str, count: int
) -> None:
    before = len(api.requests)
    result = shop.run("-m", expression, "--collect-only", "-q", "-p", "no:cacheprovider")
    assert result.code == 0, result.out
    assert len(collected(result)) == count
    # Collecting asks nothing and leaves nothing.
    assert len(api.requests) == before
    assert not (shop.folder / "readiness-report").exists()


@pytest.mark.parametrize(
    ("expression", "needed"),
    [
        ("readiness", True),
        ("(readiness)", True),
        ("readiness and (clickhouse or kubernetes)", True),
        ("readiness and not slow and not readiness_extra", True),
        ("slow or (load and readiness)", True),
        ("not readiness", False),
        ("not (slow or readiness)", False),
        ("slow and not readiness", False),
        ("not slow", False),
        ("readiness_extra", False),
        ("not readiness_extra or readiness_extra", False),
        ("readiness or not readiness", False),
        (" or ".join(["readiness", *(f"mark{number}" for number in range(30))]), True),
        (" and not ".join(["readiness and load", *(f"m{n}" for n in range(30))]), True),
        (" and not ".join(["load", "readiness", *(f"m{n}" for n in range(30))]), False),
    ],
)
def test_an_expression_is_understood(expression: str, needed: bool) -> None:
    assert needs_readiness(expression) is needed


def test_an_expression_that_is_none(shop: Project) -> None:
    result = shop.run("-m", "readiness and")
    assert result.code == 4, result.out
    assert "readiness and" in result.out
    assert not (shop.folder / "readiness-report").exists()


def test_an_expression_that_nothing_matches(shop: Project) -> None:
    result = shop.run("-m", "readiness and slow")
    assert result.code == 5, result.out
    assert result.report["verdict"]["name"] == "PARTIAL"
    assert "0 of 105 items" in result.out


def test_one_section_is_partial(shop: Project, api: KubernetesApi) -> None:
    result = shop.run("-m", "readiness and clickhouse")
    assert (result.code, result.report["verdict"]["name"]) == (6, "PARTIAL")
    assert selected(result) == ["ch-replicas", "ch-replication", "ch-backup", "ch-disk"]
    assert len(result.report["items"]) == 105
    assert "a selection: 4 of 105 items" in result.out


def test_a_section_whose_items_pass_is_partial_and_exits_0(project: Project) -> None:
    project.write("test_bad.py", checks_file(check_source("shop-bad", BAD)))
    result = project.run("-m", "readiness and rollback")
    assert (result.code, result.report["verdict"]["name"]) == (0, "PARTIAL")


@pytest.mark.parametrize(
    ("args", "ids"),
    [
        ((NODES,), ["k8s-nodes"]),
        ((NODES, DISK, "-n", "2"), ["k8s-nodes", "ch-disk"]),
        (("readiness/infrastructure/clickhouse",), "ch-replicas ch-replication ch-backup ch-disk"),
        ((f"readiness-shop/../{DISK}",), ["ch-disk"]),
    ],
)
def test_node_ids_are_pasted_back(
    shop: Project, args: tuple[str, ...], ids: str | list[str]
) -> None:
    (shop.folder / "readiness-shop").mkdir()
    result = shop.run(*args)
    assert (result.code, result.report["verdict"]["name"]) == (6, "PARTIAL")
    assert selected(result) == (ids.split() if isinstance(ids, str) else ids)
    named = [item["nodeid"] for item in result.report["items"] if item["id"] == "ch-disk"]
    assert named == [DISK]


@pytest.mark.parametrize("node", [NODES, f"../{NODES}"])
def test_node_ids_from_a_folder_below(shop: Project, node: str) -> None:
    below = Project(shop.folder / "below")
    below.folder.mkdir()
    assert selected(below.run(node)) == ["k8s-nodes"]


def test_node_ids_beside_tests_of_the_project(shop: Project) -> None:
    result = shop.run(DISK, "test_ordinary.py::test_quick")
    assert result.code == 6, result.out
    assert "1 passed" in result.out
    assert selected(result) == ["ch-disk"]


def test_what_an_ide_passes(shop: Project) -> None:
    import pytest_readiness

    file = Path(pytest_readiness.__file__).parent / "checklist/infrastructure/test_clickhouse.py"
    source = file.read_text()
    function = source[source.index("def test_", source.index('id="ch-disk"')) + 4 :].split("(")[0]
    result = shop.run("--rootdir", ".", f"{file}::{function}")
    assert result.code == 6, result.out
    assert selected(result) == ["ch-disk"]
    result = shop.run("--rootdir", ".", str(file), "--collect-only", "-q")
    assert len(collected(result)) == 4


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ("readiness/infrastructure/kubernetes::k8s-nodez", f"did you mean {NODES}?"),
        ("readiness/infrastructure/kubernetez", "the checklist has no readiness/infra"),
        ("readiness/rollback/rollback::rollback-undo", "--readiness-phase rollback"),
        ("test_ordinary.py::test_typo", "test_typo"),
    ],
)
def test_a_node_id_that_does_not_exist(shop: Project, node: str, said: str) -> None:
    result = shop.run(node, DISK)
    assert result.code == 4, result.out
    assert said in result.out


def test_no_settings(shop: Project) -> None:
    (shop.folder / "readiness.ini").unlink()
    for args in (("-m", "readiness"), (NODES, "--collect-only")):
        result = shop.run(*args)
        assert result.code == 4, result.out
        assert "readiness init" in result.out


class TestOwnChecks:
    @pytest.fixture
    def team(self, project: Project) -> Project:
        (project.folder / "test_shop.py").unlink()
        method = check_source("team-method", GOOD, arguments="self, evidence")
        each = check_source("team-each", "name = name\n" + GOOD, arguments="evidence, name")
        project.write(
            "tests/checks/test_cache.py",
            checks_file(
                check_source("team-function", GOOD),
                "class TestCache:" + method.replace("\n", "\n    "),
                "@pytest.mark.parametrize('name', ['a', 'b', 'c'])" + each,
                check_source("team-na", "not_applicable('no cache here')"),
                "\ndef test_ordinary(): pass\n",
            ),
        )
        return project

    @pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
    def test_they_join_the_report(self, team: Project, workers: tuple[str, ...]) -> None:
        result = team.run("-m", "readiness", *workers)
        assert result.code == 0, result.out
        own = [item for item in result.report["items"] if item["section"] == "project"]
        assert {item["id"]: item["outcome"] for item in own} == {
            "team-each": "pass",
            "team-function": "pass",
            "team-method": "pass",
            "team-na": "notapplicable",
        }
        assert {item["subsection"] for item in own} == {"cache"}
        assert result.item("team-method")["nodeid"].endswith("TestCache::test_team_method")
        assert result.report["verdict"]["name"] == "READY"

    @pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
    def test_they_are_ordinary_tests_of_a_plain_run(
        self, team: Project, workers: tuple[str, ...]
    ) -> None:
        result = team.run(*workers)
        assert result.code == 0, result.out
        assert "6 passed, 1 skipped" in result.out
        team.write("tests/checks/test_bad.py", checks_file(check_source("team-bad", BAD)))
        result = team.run(*workers)
        assert result.code == 1, result.out
        assert "1 failed, 6 passed, 1 skipped" in result.out
        assert not (team.folder / "readiness-report").exists()

    def test_one_of_several_cases_fails(self, team: Project) -> None:
        bad = "if name == 'b':\n    evidence.finding('thing/b', 'is too small')\n"
        body = GOOD.replace("assert", f"{bad}assert")
        each = check_source("team-bad", body, arguments="evidence, name")
        team.write(
            "tests/test_bad.py",
            checks_file("@pytest.mark.parametrize('name', ['a', 'b', 'c'])" + each),
        )
        result = team.run("-m", "readiness")
        assert result.code == 1, result.out
        assert result.item("team-bad")["findings"][0]["subject"] == "thing/b"

    @pytest.mark.parametrize("option", [("-k", "not each[b]"), ("--deselect", "CASE")])
    def test_a_case_that_is_left_out(self, team: Project, option: tuple[str, str]) -> None:
        name, value = option
        value = value.replace("CASE", "tests/checks/test_cache.py::test_team_each[b]")
        result = team.run("-m", "readiness", name, value)
        assert (result.code, result.report["verdict"]["name"]) == (6, "PARTIAL")
        assert "test_team_each[b]" in result.item("team-each")["reason"]
        assert result.report["completeness"]["missing"] == ["team-each"]

    def test_a_case_whose_worker_was_lost(self, team: Project) -> None:
        dies = "if name == 'b':\n    import os; os._exit(1)\n" + GOOD
        each = check_source("team-dies", dies, arguments="evidence, name")
        marks = "@pytest.mark.parametrize('name', ['a', 'b', 'c'])"
        team.write("tests/test_dies.py", checks_file(marks + each))
        result = team.run("-m", "readiness", "-n", "2")
        assert (result.code, result.report["verdict"]["name"]) == (6, "INCOMPLETE")
        assert "was lost" in result.item("team-dies")["reason"]
        assert "test_team_dies[b]" in result.item("team-dies")["reason"]

    def test_when_nobody_is_left_to_tell(self, team: Project) -> None:
        dies = check_source("team-dies", GOOD, arguments="evidence, dead")
        dead = "@pytest.fixture(autouse=True)\ndef dead():\n    import os; os._exit(1)\n"
        team.write("tests/checks/test_cache.py", checks_file(dead, dies))
        result = team.run("-m", "readiness", "-n", "1", "--max-worker-restart", "0")
        assert result.code != 0, result.out
        assert result.report["verdict"]["name"] == "INCOMPLETE"
