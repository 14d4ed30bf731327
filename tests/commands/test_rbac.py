"""`readiness init --rbac`: what is printed only reads, and is part of the distribution."""

import zipfile
from pathlib import Path

import pytest
import yaml

from pytest_readiness import cli
from pytest_readiness.targets.kubernetes.section import rbac


def test_passes_when_the_roles_are_printed_and_no_file_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["init", "--rbac"]) == 0
    assert capsys.readouterr().out == rbac()
    assert list(tmp_path.iterdir()) == []


def test_passes_when_the_roles_only_read_and_no_secrets() -> None:
    roles = list(yaml.safe_load_all(rbac()))
    assert [(role["kind"], role["metadata"]["name"]) for role in roles] == [
        ("ClusterRole", "readiness"),
        ("ClusterRole", "readiness-namespace"),
    ]
    rules = [rule for role in roles for rule in role["rules"]]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list"}
    asked = {word for rule in rules for word in rule.get("resources", rule.get("nonResourceURLs"))}
    assert not asked & {"*", "secrets", "configmaps"}


def test_passes_when_the_wheel_holds_it(tmp_path: Path) -> None:
    from hatchling.builders.wheel import WheelBuilder

    root = Path(cli.__file__).parents[1]
    built = next(WheelBuilder(str(root)).build(directory=str(tmp_path), versions=["standard"]))
    with zipfile.ZipFile(built) as wheel:
        assert wheel.read("pytest_readiness/targets/kubernetes/rbac.yaml").decode() == rbac()
