"""`readiness gate`: what a pipeline trusts, from the files of a run and not from its process."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pytest_readiness import cli
from pytest_readiness.clock import now, rfc3339
from tests.run.project import BAD, GOOD, READY_INI, Project, check_source, checks_file

Edit = Callable[[Any], None]


def _made(folder: Path, *args: str, bad: bool = False, ini: str = READY_INI) -> Path:
    """Return the run directory of a run of a project that has two checks."""
    project = Project(folder)
    project.write("readiness.ini", ini)
    second = check_source("shop-two", BAD if bad else GOOD)
    project.write("test_shop.py", checks_file(check_source("shop-one", GOOD), second))
    project.run("-p", "no:cacheprovider", *args)
    return folder / "readiness-report"


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _made(tmp_path_factory.mktemp("ready"), "-m", "readiness")


def _gate(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str]:
    code = cli.main(["gate", *args])
    said = capsys.readouterr()
    assert said.err == ""
    return code, said.out


def _edited(ready: Path, folder: Path, edit: Edit, *, attested: bool = False) -> str:
    """Return a copy of the run whose report.json is edited. attested: its statement stays."""
    run = folder / "run"
    shutil.copytree(ready, run)
    report = json.loads((run / "report.json").read_text())
    edit(report)
    (run / "report.json").write_text(json.dumps(report))
    if not attested:
        shutil.rmtree(run / "attestations")
    return str(run)


def test_a_run_that_is_ready_opens_it(ready: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = _gate(capsys, str(ready))
    assert code == 0
    assert out.startswith("READY (exit code 0)\n  - every item passes")
    assert "attestations/test-result.statement.json names these bytes" in out


def test_a_process_that_was_ended_otherwise_does_not_matter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "conftest.py").write_text(
        "import pytest\ndef pytest_terminal_summary():\n    pytest.exit('fine', 0)\n"
    )
    code, out = _gate(capsys, str(_made(tmp_path, "-m", "readiness", bad=True)))
    assert code == 1
    assert out.startswith("NOT READY (exit code 1)\n  - 1 blocker fails: shop-two")


@pytest.mark.parametrize(
    ("args", "bad", "expected"),
    [
        (("-m", "readiness", "test_shop.py::test_shop_one"), True, 0),
        (("-m", "readiness", "test_shop.py::test_shop_two"), True, 1),
        (("-m", "readiness", "-k", "shop_one"), False, 6),
    ],
    ids=["a part that passes", "a part that fails", "-k"],
)
def test_a_part_has_the_exit_code_of_its_items(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    args: tuple[str, ...],
    bad: bool,
    expected: int,
) -> None:
    code, out = _gate(capsys, str(_made(tmp_path, *args, bad=bad)))
    assert (code, out.partition(" (")[0]) == (expected, "PARTIAL"), out


def test_an_item_that_nobody_could_ask_keeps_it_shut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ini = READY_INI.replace("rollback-stable = the test has no cluster\n", "")
    code, out = _gate(capsys, str(_made(tmp_path, "-m", "readiness", ini=ini)))
    assert (code, out.partition(" (")[0]) == (6, "INCOMPLETE")


def _item(report: Any, id: str) -> Any:
    return next(item for item in report["items"] if item["id"] == id)


def _fails(report: Any) -> None:
    _item(report, "shop-two").update(outcome="fail", findings=[{"subject": "a", "problem": "b"}])


def _is_waived(days: int) -> Edit:
    def edit(report: Any) -> None:
        waiver = {
            **{"item": "shop-two", "finding": None, "reason": "a", "approver": "b", "risk": "c"},
            **{"created": "2020-01-01", "ticket": "d", "environment": None, "release": None},
            "expires": rfc3339(now() + timedelta(days=days)),
        }
        _fails(report)
        _item(report, "shop-two")["waiver"] = waiver
        report["waivers"] = [{**waiver, "state": "used", "note": None}]
        report["verdict"].update(
            name="READY WITH WAIVERS", reasons=["1 waived: shop-two"], why=["waived"]
        )

    return edit


def _ends(**times: timedelta) -> Edit:
    def edit(report: Any) -> None:
        report["run"].update({name: rfc3339(now() + by) for name, by in times.items()})

    return edit


def _is_a_part(report: Any) -> None:
    _item(report, "shop-two").update(
        outcome="notchecked", why="not-selected", reason="not selected", evidence=[]
    )


def _says(**said: Any) -> Edit:
    return lambda report: report["verdict"].update(said)


def _gone(id: str) -> Edit:
    def edit(report: Any) -> None:
        report["items"].remove(_item(report, id))
        report["completeness"].update(expected=5, reported=5)

    return edit


def _owes(report: Any) -> None:
    report["settings"]["values"]["own_checks"] = {"shop-three": "the third"}


def _observed_nothing(report: Any) -> None:
    for proof in _item(report, "shop-two")["evidence"]:
        proof["observed"] = {}


def _has(**changes: Any) -> Edit:
    return lambda report: _item(report, "shop-two").update(changes)


def _at(name: str, **changes: Any) -> Edit:
    return lambda report: report[name].update(changes)


UNTRUSTED: dict[str, tuple[Edit, str]] = {
    "an item fails": (_fails, "its items NOT READY (exit code 1): 1 blocker fails: shop-two"),
    "an item was not asked": (_has(outcome="error", reason="no"), "its items INCOMPLETE"),
    "an item was not selected": (_is_a_part, "its items PARTIAL"),
    "no evidence": (_has(evidence=[]), "passed without evidence: shop-two"),
    "nothing observed": (_observed_nothing, "passed without evidence: shop-two"),
    "another severity": (
        lambda report: _item(report, "rollback-undo").update(severity="minor"),
        "of another severity than in the checklist: rollback-undo",
    ),
    "an item of the checklist is gone": (
        _gone("rollback-undo"),
        "owed, and not among the items: rollback-undo",
    ),
    "an own check that is owed is gone": (_owes, "not among the items: shop-three"),
    "an item twice": (lambda report: report["items"].append(report["items"][0]), "more than once"),
    "missing": (_at("completeness", missing=["shop-two"], reported=5), "without a result"),
    "a count": (_at("completeness", expected=7), "it counts 6 of 7 items, and has 6"),
    "a part that says it is whole": (_at("run", partial=True), "that it is a part"),
    "a whole that says it is a part": (_says(name="PARTIAL"), "its items READY"),
    "waivers that are none": (_says(name="READY WITH WAIVERS"), "its items READY"),
    "another name": (_says(name="NOT READY"), "it says NOT READY (exit code 0)"),
    "a broken end": (_says(why=["broke-off", "passes"]), "how the run ended: broke-off"),
    "narrowed": (_says(why=["narrowed"]), "how the run ended: narrowed"),
    "a code that a shell takes for 0": (_says(exit_code=256), "ends with exit code 256"),
    "a waiver that has ended": (_is_waived(-1), "the waiver for shop-two ended"),
    "another checklist": (_at("checklist", sha256="0" * 64), "what is owed is not known"),
    "another phase": (_at("target", phase="rollbock"), "no phase 'rollbock'"),
    "another schema": (lambda report: report.update(schema="x/v2"), "its schema is 'x/v2'"),
    "no schema": (lambda report: report.pop("items"), "not a report that a run wrote"),
    "too old": (
        _ends(started=timedelta(hours=-26), ended=timedelta(hours=-25)),
        "than the 24h of max_age",
    ),
    "of tomorrow": (_ends(ended=timedelta(hours=1)), "after "),
    "a clock that went back": (_ends(started=timedelta(hours=1)), "before it began"),
    "an age that is none": (
        lambda report: report["settings"]["values"]["readiness"].update(max_age="long"),
        "max_age",
    ),
}


@pytest.mark.parametrize("name", UNTRUSTED)
def test_a_report_that_cannot_be_trusted_has_no_verdict(
    ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    edit, why = UNTRUSTED[name]
    code, out = _gate(capsys, _edited(ready, tmp_path, edit))
    assert (code, out.splitlines()[0]) == (6, "NO VERDICT (exit code 6)")
    assert why in out


@pytest.mark.parametrize(
    ("edit", "args", "name"),
    [
        (lambda report: None, (), "READY"),
        (_is_waived(1), (), "READY WITH WAIVERS"),
        (
            _ends(started=timedelta(hours=-26), ended=timedelta(hours=-25)),
            ("--max-age", "2d"),
            "READY",
        ),
    ],
    ids=["as it was", "waived", "of an age that is asked for"],
)
def test_without_an_attestation_that_is_said(
    ready: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    edit: Edit,
    args: tuple[str, ...],
    name: str,
) -> None:
    code, out = _gate(capsys, _edited(ready, tmp_path, edit), *args)
    assert (code, out.splitlines()[0]) == (0, f"{name} (exit code 0)"), out
    assert "no attestations/test-result.statement.json" in out


def test_what_the_run_attested_is_held_against_the_bytes(
    ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = _gate(capsys, _edited(ready, tmp_path, lambda report: None, attested=True))
    assert code == 6
    assert "report.json is not the report that its run attested" in out


def test_an_attestation_that_cannot_be_read(
    ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(_edited(ready, tmp_path, lambda report: None, attested=True))
    (run / "attestations/test-result.statement.json").write_text("{}")
    assert _gate(capsys, str(run))[0] == 6


def test_the_age_of_the_ini_is_that_of_the_gate(
    ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def older(report: Any) -> None:
        _ends(started=timedelta(hours=-3), ended=timedelta(hours=-2))(report)
        report["settings"]["values"]["readiness"]["max_age"] = "1h"

    run = _edited(ready, tmp_path, older)
    assert _gate(capsys, run)[0] == 6
    assert _gate(capsys, run, "--max-age", "3h")[0] == 0


@pytest.mark.parametrize("name", ["gone", "file", "empty", "killed"])
def test_no_report_is_no_verdict(
    ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    shutil.copytree(ready, tmp_path / "killed")
    (tmp_path / "killed/report.json").unlink()
    code, out = _gate(capsys, str(tmp_path / name))
    assert (code, out.splitlines()[0]) == (6, "NO VERDICT (exit code 6)")
    assert "report.json" in out
    assert ("killed" in out.replace(str(tmp_path), "")) or name != "killed"


@pytest.mark.parametrize("redirected", [">&-", ">/dev/full", ">/dev/full 2>&1"])
def test_standard_output_that_takes_nothing_changes_no_code(ready: Path, redirected: str) -> None:
    command = f"exec '{sys.executable}' -m pytest_readiness.cli gate '{ready}' {redirected}"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0


@pytest.mark.parametrize("age", ["long", "5", "-1h"])
def test_an_age_that_is_none_is_a_usage_error(ready: Path, age: str) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["gate", str(ready), f"--max-age={age}"])
    assert ended.value.code == 4
