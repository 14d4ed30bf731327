"""Every fault of the lab turns exactly the items that it declares; of every target, by import."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_readiness.lab.reference import LabFault, load_faults
from pytest_readiness.record.asker import Asker
from pytest_readiness.record.redact import Redactor
from pytest_readiness.record.store import FOLDER, FactStore
from pytest_readiness.results.evidence import Outcome
from pytest_readiness.settings import from_values
from pytest_readiness.targets import targets
from tests import judging
from tests.serving import Serving

FAULTS: dict[str, dict[str, LabFault]] = {
    name: load_faults(target.faults) for name, target in targets().items() if target.faults.exists()
}
EVERY = [pytest.param(target, name, id=name) for target, known in FAULTS.items() for name in known]
PAIRS = [
    ("kubernetes", "node-notready", "netpol-allow-all"),
    ("kubernetes", "storage-two-defaults", "nodes-forbidden"),
    ("kubernetes", "version-unsupported", "dns-not-ready"),
    ("kubernetes", "netpol-no-deny", "claim-lost"),
    ("kubernetes", "node-cordoned", "node-disk-pressure"),
    ("clickhouse", "ch-disk-full", "ch-backup-failed"),
    ("clickhouse", "ch-two-replicas", "ch-replica-flapping"),
    ("clickhouse", "ch-replica-lags", "ch-disks-forbidden"),
    ("clickhouse", "ch-queue-long", "ch-replica-readonly"),
]
LEAST = 5  # faults of an item


class Judged(NamedTuple):
    outcomes: dict[str, Outcome]
    subjects: set[str]
    codes: set[str | None]


class Lab:
    """The targets of the lab, each in a process that is started when it is first asked for."""

    def __init__(self, running: ExitStack) -> None:
        self._running = running
        self._serving: dict[str, Serving] = {}

    def judge(self, target: str, changes: Sequence[dict[str, Any]], folder: Path) -> Judged:
        """Ask the changed world as a run does, and judge every item of the target."""
        if target not in self._serving:
            self._serving[target] = self._running.enter_context(Serving(target))
        values = {
            "readiness": {
                "system": "st-risk-platform",
                "environment": "lab",
                "phase": "verification",
                "timeout": "2s",
            },
            target: self._serving[target].start(changes),
        }
        settings = from_values(values, origin="test", base=folder)
        (folder / FOLDER).mkdir()
        store = FactStore(folder, Redactor(b""), deadline=None, recorded=False)
        return _judged(target, Asker(settings, store, "run-1"))


def _judged(target: str, asker: Asker) -> Judged:
    judged = Judged({}, set(), set())
    limits = asker.limits(target)
    for item, (check, names) in judging.items(target).items():
        asks = [
            lambda ask, name=name: ask.answer(name)
            for name in names
            if name not in ("evidence", targets()[target].limits)
        ]
        needs = [limits] if targets()[target].limits in names else []
        found = judging.judge(check, asks, asker, *needs)
        judged.outcomes[item] = found.outcome
        judged.subjects.update(finding.subject for finding in found.evidence.findings)
        judged.codes.update(finding.code for finding in found.evidence.findings)
    return judged


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with ExitStack() as running:
        yield Lab(running)


def healthy(target: str) -> dict[str, Outcome]:
    return dict.fromkeys(judging.items(target), Outcome.PASS)


@pytest.mark.parametrize("target", FAULTS)
def test_every_item_passes_when_the_world_is_healthy(target: str, lab: Lab, tmp_path: Path) -> None:
    assert lab.judge(target, [], tmp_path) == Judged(healthy(target), set(), set())


@pytest.mark.parametrize(("target", "name"), EVERY)
def test_a_fault_turns_exactly_the_items_it_declares(
    target: str, name: str, lab: Lab, tmp_path: Path
) -> None:
    fault = FAULTS[target][name]
    judged = lab.judge(target, fault.changes[target], tmp_path)
    assert judged.outcomes == healthy(target) | fault.turns
    assert (fault.subject is None) or fault.subject in judged.subjects
    if Outcome.FAIL not in fault.turns.values():
        assert judged.subjects == set()
    assert None not in judged.codes, "a finding of the packaged checklist has a code"


@pytest.mark.parametrize(("target", "first", "second"), PAIRS)
def test_two_faults_turn_the_items_of_both(
    target: str, first: str, second: str, lab: Lab, tmp_path: Path
) -> None:
    one, other = FAULTS[target][first], FAULTS[target][second]
    judged = lab.judge(target, [*one.changes[target], *other.changes[target]], tmp_path)
    assert judged.outcomes == healthy(target) | one.turns | other.turns
    assert {one.subject, other.subject} - {None} <= judged.subjects


@pytest.mark.parametrize("target", FAULTS)
def test_each_item_has_faults(target: str) -> None:
    counts = Counter(item for fault in FAULTS[target].values() for item in fault.turns)
    assert counts.keys() == judging.items(target).keys()
    assert min(counts.values()) >= LEAST


@pytest.mark.parametrize("target", FAULTS)
def test_each_fault_says_what_it_is(target: str) -> None:
    for name, fault in FAULTS[target].items():
        assert fault.says.endswith("."), name
        assert fault.changes.keys() == {target}, name
