"""The report of a run that was killed, from every part of its journal that may be left."""

import random
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from pytest_readiness.commands import render as command
from pytest_readiness.errors import ReadinessError
from pytest_readiness.record import locks
from pytest_readiness.record.identity import FAULTS_UNKNOWN
from pytest_readiness.record.store import SCHEMA, Record
from pytest_readiness.results import model
from pytest_readiness.results.evidence import ItemResult, Outcome
from pytest_readiness.targets.kubernetes.section import LAB_CLUSTER
from pytest_readiness.verdict import journal
from pytest_readiness.verdict.gathered import Sent
from tests.report import sample

PACKAGED, OWN = ("k8s-nodes", "k8s-version", "ch-backup"), ("shop-one", "shop-two")
SETTINGS = {
    "readiness": {"system": "shop", "environment": "prod", "phase": "verification"},
    "clickhouse": {
        "url": "clickhouse+https://reader@ch.example.org:8443/risk",
        "password": "${env:NO_SUCH_VARIABLE}",
        "cluster": "main",
    },
}
START = "2026-11-24T06:30:00.000Z"


def own(id: str, outcome: Outcome | None = None, case: str = "", **changed: bool) -> Sent:
    nodeid = f"test_shop.py::test_{id}{case}"
    declared = {
        "title": f"The claim of {id} holds.",
        "severity": "blocker",
        "safety": "S1",
        "remediation": f"Mend {id}.",
        "reference": f"docs/{id}.md",
    }
    return Sent(
        id=id,
        result=ItemResult(id=id, outcome=outcome, nodeid=nodeid) if outcome else None,
        declared=declared,
        own=True,
        module="shop",
        nodeid=nodeid,
        **changed,
    )


def packaged(id: str, outcome: Outcome) -> Sent:
    nodeid = f"readiness/infrastructure/kubernetes::{id}"
    result = ItemResult(id=id, outcome=outcome, nodeid=nodeid, duration=0.5)
    declared = {"remediation": f"Mend {id}.", "reference": f"docs/{id}.md"}
    return Sent(id=id, result=result, declared=declared, own=False, module="", nodeid=nodeid)


def head(**changed: object) -> journal.Head:
    full = sample.full()
    made = journal.Head(
        at=START,
        tool=full.tool,
        run=msgspec.structs.replace(full.run, ended=START, partial=False, redactions=0),
        target=msgspec.structs.replace(full.target, identity={}),
        checklist=full.checklist,
        settings=msgspec.structs.replace(full.settings, values=SETTINGS),
        items=tuple(
            sample.item(
                id,
                outcome=Outcome.NOTCHECKED,
                why="not-selected",
                reason="not selected",
                duration=0.0,
            )
            for id in PACKAGED
        ),
        selected=PACKAGED,
        own=(),
        narrowed=None,
    )
    return msgspec.structs.replace(made, **changed)


def results(*sent: Sent) -> list[journal.Line]:
    return [
        journal.Result(at=f"2026-11-24T06:30:{number:02}.000Z", sent=one)
        for number, one in enumerate(sent, 1)
    ]


def told(*sent: Sent) -> journal.Own:
    return journal.Own(at="2026-11-24T06:30:00.500Z", own=sent)


def whole(make: Callable[[str], Outcome] = lambda _: Outcome.PASS) -> list[journal.Line]:
    """Return the journal of a run in which every item got a result."""
    return [
        head(),
        told(*map(own, OWN)),
        *results(*(packaged(id, make(id)) for id in PACKAGED), *(own(id, make(id)) for id in OWN)),
    ]


def written(lines: list[journal.Line]) -> bytes:
    return b"".join(map(journal.encode, lines))


def outcomes(report: model.Report) -> dict[str, Outcome]:
    return {item.id: item.outcome for item in report.items}


def assert_says_what_is_missing(data: bytes, lines: list[journal.Line]) -> None:
    """Compare the report of a journal with its whole lines."""
    report = journal.rebuild(data)
    assert report.verdict.name == "INCOMPLETE"
    assert report.verdict.exit_code == 6
    assert report.verdict.reasons[0] == "the run was killed before it ended"
    there = {line.sent.id for line in lines if isinstance(line, journal.Result)}
    known = [*PACKAGED, *(OWN if any(isinstance(line, journal.Own) for line in lines) else ())]
    missing = [id for id in known if id not in there]
    assert [item.id for item in report.items] == known
    assert list(report.completeness.missing) == missing
    for item in report.items:
        if item.id in missing:
            assert (item.outcome, item.reason) == ("notchecked", "not run: the run was killed")
        else:
            assert (item.outcome, item.reason) == ("pass", None)
    reasons = " ".join(report.verdict.reasons)
    assert all(id in reasons for id in missing)
    assert ("checks of the project" in reasons) == (len(known) == len(PACKAGED))
    assert report.run.ended == lines[-1].at
    assert msgspec.json.decode(model.encode(report), type=model.Report) == report


def test_every_prefix_is_incomplete_and_names_what_is_missing() -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    lines = whole()
    for number in range(1, len(lines) + 1):
        there = written(lines[:number])
        assert_says_what_is_missing(there, lines[:number])
        if number < len(lines):
            torn = journal.encode(lines[number])[:-1]
            for cut in {1, len(torn), *(chance.randrange(1, len(torn)) for _ in range(20))}:
                assert_says_what_is_missing(there + torn[:cut], lines[:number])


@pytest.mark.parametrize("cut", [0, 1, 700, -1])
def test_before_its_first_line_a_run_has_not_begun(cut: int) -> None:
    with pytest.raises(ReadinessError, match="killed before it began: nothing was asked"):
        journal.rebuild(journal.encode(head())[:cut])


def test_what_fails_fails() -> None:
    lines = whole(lambda id: Outcome.FAIL if id == "k8s-nodes" else Outcome.PASS)
    for number in range(3, len(lines) + 1):
        verdict = journal.rebuild(written(lines[:number])).verdict
        assert (verdict.name, verdict.exit_code) == ("NOT READY", 1)
        assert verdict.reasons[0] == "the run was killed before it ended"


def test_a_selection_stays_one() -> None:
    for narrowed in (None, "-k"):
        lines: list[journal.Line] = [
            head(selected=PACKAGED[:1], narrowed=narrowed),
            told(own("shop-one")),
        ]
        report = journal.rebuild(written([*lines, *results(own("shop-one", Outcome.PASS))]))
        assert (report.verdict.name, report.verdict.exit_code) == ("PARTIAL", 6)
        assert report.run.partial
        assert [item.reason for item in report.items] == [
            "not run: the run was killed",
            "not selected",
            "not selected",
            None,
        ]


def test_own_checks_that_were_not_selected_are_not_missing() -> None:
    one, two = own("shop-one", selected=True), own("shop-two", selected=False)
    report = journal.rebuild(written([head(), told(one, two)]))
    assert [item.reason for item in report.items[-2:]] == [
        "not run: the run was killed",
        "not selected",
    ]
    assert report.verdict.name == "PARTIAL"


def test_of_several_results_the_worst_stands() -> None:
    for order in ((Outcome.ERROR, Outcome.PASS), (Outcome.PASS, Outcome.ERROR)):
        sent = [packaged("k8s-nodes", outcome) for outcome in order]
        report = journal.rebuild(written([head(), told(), *results(*sent)]))
        assert outcomes(report)["k8s-nodes"] == "error"


def test_a_case_without_a_result_is_missing() -> None:
    cases = [own("shop-one", case="[a]"), own("shop-one", case="[b]")]
    judged = results(own("shop-one", Outcome.PASS, case="[a]"))
    report = journal.rebuild(written([head(), told(*cases), *judged]))
    item = report.items[-1]
    assert item.outcome == "notchecked"
    assert item.reason == "not run: the run was killed: test_shop.py::test_shop-one[b]"
    assert "shop-one" in report.completeness.missing


def test_items_are_as_their_checks_declare_them() -> None:
    report = journal.rebuild(written(whole()))
    nodes, shop = report.items[0], report.items[-1]
    assert (nodes.remediation, nodes.reference) == ("Mend k8s-nodes.", "docs/k8s-nodes.md")
    assert (nodes.title, nodes.duration) == (head().items[0].title, 0.5)
    assert (shop.title, shop.section) == ("The claim of shop-two holds.", "project")
    assert (shop.subsection, shop.remediation) == ("shop", "Mend shop-two.")


DEEP = b'{"line": "result", "at": ' + b"[" * 100_000


@pytest.mark.parametrize("wrong", [b"", b"{", b"[]", b'{"line": "else"}', b"\xff", b"\0\0", DEEP])
def test_names_the_line_that_cannot_be_read(wrong: bytes) -> None:
    lines = [journal.encode(line) for line in whole()]
    with pytest.raises(ReadinessError, match=r"journal\.jsonl:3: not a line of a journal"):
        journal.rebuild(b"".join([*lines[:2], wrong + b"\n", *lines[2:]]))
    with pytest.raises(ReadinessError, match=r"journal\.jsonl:1: not a line of a journal"):
        journal.rebuild(wrong + b"\n")


def test_refuses_a_journal_that_is_not_one_run() -> None:
    first, second, *_ = whole()
    with pytest.raises(ReadinessError, match=r"journal\.jsonl:1: not the first line"):
        journal.rebuild(written([second]))
    with pytest.raises(ReadinessError, match=r"journal\.jsonl:3: a second first line"):
        journal.rebuild(written([first, second, first]))


def test_refuses_a_journal_of_no_time() -> None:
    with pytest.raises(ReadinessError, match=r"journal\.jsonl:1: Invalid isoformat string: 'soon'"):
        journal.rebuild(journal.encode(head(at="soon")))


def test_refuses_a_journal_of_another_version() -> None:
    with pytest.raises(ReadinessError, match="this version reads 'pytest-readiness/journal/v1'"):
        journal.rebuild(journal.encode(head(schema="pytest-readiness/journal/v2")))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


class TestRender:
    def render(self, run: Path) -> model.Report:
        parser = ArgumentParser()
        command.arguments(parser)
        assert command.main(parser.parse_args([str(run)])) == 0
        return model.read(run / "report.json")

    def test_makes_the_report_once_and_says_so(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "journal.jsonl").write_bytes(written(whole()[:-1]))
        self.render(tmp_path)
        said = capsys.readouterr().out.splitlines()
        assert said == [
            f"{tmp_path}: the run was killed before it ended: INCOMPLETE",
            "4 of 5 items gave a result, the report names the others",
            str(tmp_path / "report.html"),
            str(tmp_path / "report.md"),
        ]
        before = contents(tmp_path)
        assert sorted(before) == [
            "attestations/test-result.statement.json",
            "journal.jsonl",
            "report.html",
            "report.json",
            "report.md",
        ]
        self.render(tmp_path)
        assert capsys.readouterr().out.splitlines() == said[2:]
        assert contents(tmp_path) == before

    def test_the_target_is_what_its_recorded_facts_say(self, tmp_path: Path) -> None:
        (tmp_path / "journal.jsonl").write_bytes(written([head(run=not_the_lab()), told()]))
        (tmp_path / "facts").mkdir()
        record = Record(
            schema=SCHEMA,
            name="k8s_identity",
            target="kubernetes",
            source="kubernetes https://127.0.0.1:6443",
            question="identity",
            command="kubectl get namespace kube-system",
            type="Identity",
            asked_at=START,
            duration=0.1,
            answer=msgspec.Raw(f'{{"uid":"{LAB_CLUSTER}","x":"«redacted:1»"}}'.encode()),
        )
        (tmp_path / "facts/k8s_identity.json").write_bytes(msgspec.json.encode(record))
        (tmp_path / "facts/.kubernetes.lock").touch()
        report = self.render(tmp_path)
        assert report.target.identity == {"kubernetes": f"uid={LAB_CLUSTER} x=«redacted:1»"}
        assert report.run.lab == (FAULTS_UNKNOWN,)
        assert report.run.redactions == 1
        assert [path.name for path in (tmp_path / "facts").iterdir()] == ["k8s_identity.json"]

    def test_a_report_that_is_there_is_only_rendered(self, tmp_path: Path) -> None:
        (tmp_path / "report.json").write_bytes(model.encode(sample.full()))
        (tmp_path / "journal.jsonl").write_bytes(b"not read\n")
        lock = locks.take(tmp_path)
        assert self.render(tmp_path) == sample.full()
        locks.leave(lock)
        assert (tmp_path / "report.json").read_bytes() == model.encode(sample.full())

    def test_refuses_a_run_that_is_still_going(self, tmp_path: Path) -> None:
        (tmp_path / "journal.jsonl").write_bytes(written(whole()))
        lock = locks.take(tmp_path)
        with pytest.raises(ReadinessError, match="the run is still going"):
            self.render(tmp_path)
        locks.leave(lock)
        assert [path.name for path in tmp_path.iterdir()] == ["journal.jsonl"]

    def test_refuses_a_folder_that_is_no_run(self, tmp_path: Path) -> None:
        for run in (tmp_path, tmp_path / "none"):
            with pytest.raises(ReadinessError, match=r"there is none, and no journal\.jsonl"):
                self.render(run)
        assert not list(tmp_path.iterdir())

    def test_a_journal_that_cannot_be_read_leaves_no_report(self, tmp_path: Path) -> None:
        for data in (b"", b"{}\n"):
            (tmp_path / "journal.jsonl").write_bytes(data)
            with pytest.raises(ReadinessError, match=rf"{tmp_path.name}: journal\.jsonl:"):
                self.render(tmp_path)
            assert [path.name for path in tmp_path.iterdir()] == ["journal.jsonl"]


def not_the_lab() -> model.Run:
    return msgspec.structs.replace(head().run, lab=None)
