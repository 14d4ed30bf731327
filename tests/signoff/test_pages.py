"""The pages that people read are held against report.json, whose bytes are what is signed."""

import json
from pathlib import Path

import msgspec
import pytest

from pytest_readiness.results import model
from tests.signoff import desk, keys
from tests.signoff.desk import Desk

PAGES = ("report.html", "report.md")


def verify(found: Desk) -> tuple[int, set[str], list[str]]:
    """Return exit code, causes and notes of `readiness verify --json`."""
    code, said = found.command("verify", "run", "--json")
    answer = json.loads(said)
    return code, {one["cause"] for one in answer["refusals"]}, answer["notes"]


@pytest.fixture
def signed(ready: Desk) -> Desk:
    """Return a run that everybody has signed."""
    ready.approve(*desk.ROLES)
    return ready


def alter(found: Desk, page: str) -> None:
    path = found.run / page
    path.write_text(path.read_text().replace("st-risk-platform", "st-risk-platfrom", 1))


def test_passes_when_the_pages_are_what_the_report_renders_to(signed: Desk) -> None:
    assert verify(signed) == (0, set(), [])


@pytest.mark.parametrize("page", PAGES)
def test_fails_and_names_a_page_that_was_altered(signed: Desk, page: str) -> None:
    alter(signed, page)
    assert verify(signed) == (3, {"altered-page"}, [])
    code, said = signed.command("verify", "run")
    assert code == 3
    assert f"altered-page: {page} is not what report.json and the signatures render to." in said
    assert signed.command("render", "run")[0] == 0
    assert verify(signed) == (0, set(), [])


def test_passes_when_there_are_no_pages(signed: Desk) -> None:
    for page in PAGES:
        (signed.run / page).unlink()
    assert verify(signed) == (0, set(), [])


def test_fails_when_a_page_shows_a_signature_that_is_gone(signed: Desk) -> None:
    for path in (signed.run / "signoffs").glob("product-manager.*"):
        path.unlink()
    code, causes, _ = verify(signed)
    assert (code, causes) == (3, {"altered-page", "open"})


def test_says_that_the_pages_of_another_version_are_not_held(
    tmp_path: Path, people: dict[str, keys.Person]
) -> None:
    tool = model.Tool(name="pytest-readiness", version="0.0.9")
    found = Desk(tmp_path, people).rule().has(desk.report(tool=tool))
    found.approve(*desk.ROLES)
    alter(found, "report.md")
    code, causes, (note,) = verify(found)
    assert (code, causes) == (0, set())
    assert "report.html and report.md, for version 0.0.9 made the report" in note
    assert "Not held against the report: report.html" in found.command("verify", "run")[1]


def test_nobody_approves_a_report_by_an_altered_page(ready: Desk) -> None:
    alter(ready, "report.html")
    desk.Refusal(ready, "product-manager")("`readiness render run`, and read it again")
    assert (
        ready.sign("product-manager", "--yes", "--decision", "rejected", "--comment", "no")[0] == 0
    )


def test_nobody_approves_a_report_with_an_altered_fact_or_a_replay(
    tmp_path: Path, people: dict[str, keys.Person]
) -> None:
    report = desk.report()
    run = msgspec.structs.replace(report.run, replay="r1")
    found = Desk(tmp_path, people).rule().has(msgspec.structs.replace(report, run=run))
    desk.Refusal(found, "product-manager")("a replay of run r1")
    found.rule("allow_replay = true")
    (found.run / "facts").mkdir()
    (found.run / "facts" / "k8s_nodes.json").write_text("{}")
    desk.Refusal(found, "product-manager")("facts/k8s_nodes.json: the run recorded no such fact")
    (found.run / "facts" / "k8s_nodes.json").unlink()
    code, said = found.sign("product-manager", "--yes", "--decision", "approved")
    assert code == 0, said
    assert "REPLAY: judged again from the facts that run r1 recorded" in said
