"""`readiness diff` from the command line."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_readiness import cli
from pytest_readiness.results.evidence import Finding, Outcome
from pytest_readiness.results.model import Report, encode
from tests.report import sample

FAILING = sample.item(
    "k8s-version", "Kubernetes", outcome=Outcome.FAIL, findings=(Finding("server/é", "is 1.20"),)
)
PASSING = sample.item("k8s-version", "Kubernetes")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the runs `good` and `bad`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    write(tmp_path / "good", sample.report((PASSING,)))
    write(tmp_path / "bad", sample.report((FAILING,)))
    return tmp_path


def write(folder: Path, report: Report) -> None:
    folder.mkdir()
    (folder / "report.json").write_bytes(encode(report))


def test_exits_0_and_says_no_change(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["diff", "good", "good/report.json"]) == 0
    assert "\nno change\n" in capsys.readouterr().out


def test_exits_1_and_names_the_regression_last(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["diff", "good/report.json", "bad"]) == 1
    assert capsys.readouterr().out.splitlines()[-6:] == [
        "regressions: newly failing (1)",
        "  blocker k8s-version: Kubernetes: passed, now fails",
        "    server/é: is 1.20",
        "",
        "1 regression of 1 change",
        "verdict: NOT READY (exit code 1), as before",
    ]
    assert cli.main(["diff", "bad", "good"]) == 0


def test_exits_1_when_the_verdict_alone_got_worse(runs: Path) -> None:
    report = sample.report((PASSING,))
    verdict = msgspec.structs.replace(report.verdict, name="READY", exit_code=0)
    write(runs / "ready", msgspec.structs.replace(report, verdict=verdict))
    assert cli.main(["diff", "ready", "good"]) == 1


def test_markdown_is_a_comment(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["diff", "good", "bad", "--markdown"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("### ")
    assert (
        "\n- **BLOCKER** `k8s-version` Kubernetes: passed, now fails\n  - `server/é`: is 1.20\n"
        in out
    )


def test_json_is_ascii_sorted_and_has_stable_names(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["diff", "good", "bad", "--json"]) == 1
    out = capsys.readouterr().out
    found: dict[str, Any] = json.loads(out)
    assert out.isascii()
    assert out == json.dumps(found, indent=2, sort_keys=True) + "\n"
    assert found.keys() == {
        *("schema", "system", "old", "new", "swapped", "comparable", "differences"),
        *("regression", "regressions", "verdict_regression"),
        *("items", "waivers", "settings", "evidence"),
    }
    assert found["schema"] == "pytest-readiness/changes/v1"
    assert found["regressions"] == ["k8s-version"]
    assert found["items"] == [
        {
            "id": "k8s-version",
            "title": "Kubernetes",
            "severity": "blocker",
            "kind": "newly-failing",
            "regression": True,
            "was": "pass",
            "now": "fail",
            "reason": None,
            "findings": [{"subject": "server/é", "problem": "is 1.20"}],
        }
    ]


def test_json_leaves_out_what_was_not_observed(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = msgspec.structs.replace(PASSING, evidence=(sample.proof(observed={"ready": None}),))
    write(runs / "seen", sample.report((seen,)))
    assert cli.main(["diff", "good", "seen", "--json"]) == 0
    (change,) = json.loads(capsys.readouterr().out)["evidence"]
    assert change["values"] == [{"name": "ready", "question": "list nodes", "now": None}]


def _other_system(runs: Path) -> str:
    report = sample.report((PASSING,))
    target = msgspec.structs.replace(report.target, system="shop\x1b[31m")
    write(runs / "shop", msgspec.structs.replace(report, target=target))
    return "shop"


def _nested(runs: Path) -> str:
    deep: Any = 1
    for _ in range(600):
        deep = [deep]
    item = msgspec.structs.replace(PASSING, evidence=(sample.proof(observed={"a": deep}),))
    write(runs / "nested", sample.report((item,)))
    return "nested"


def _endless(runs: Path) -> str:
    (runs / "endless.json").write_text('{"own": ' + "[" * 100_000)
    return "endless.json"


def _not_utf8(runs: Path) -> str:
    (runs / "latin.json").write_bytes(b'{"schema": "\xff"}')
    return "latin.json"


def _newer(runs: Path) -> str:
    write(runs / "newer", msgspec.structs.replace(sample.full(), schema="pytest-readiness/v9"))
    return "newer"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_other_system, "only two runs of one system can be compared"),
        (_newer, "this version reads"),
        (_nested, "nested/report.json: not a readable report: evidence a[0]"),
        (_endless, "endless.json: not a readable report: maximum recursion depth"),
        (_not_utf8, "latin.json: not a readable report: 'utf-8' codec"),
        (lambda runs: "gone", "gone: not a readable report"),
        (lambda runs: ".", "report.json: not a readable report"),
    ],
    ids=[
        "other system",
        "other schema",
        "nested",
        "endless",
        "not UTF-8",
        "no such path",
        "no report in it",
    ],
)
def test_exits_4_for_what_cannot_be_compared(
    runs: Path, capsys: pytest.CaptureFixture[str], make: Any, says: str
) -> None:
    assert cli.main(["diff", "good", make(runs)]) == 4
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.out == ""
    assert "\x1b" not in captured.err


@pytest.mark.parametrize("words", [["good"], ["good", "bad", "--json", "--markdown"]])
def test_exits_4_for_a_wrong_command_line(runs: Path, words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["diff", *words])
    assert ended.value.code == 4
