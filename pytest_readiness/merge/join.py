"""Several runs of one release, by different jobs or teams, joined to one report. Pure.

Whatever is not said for certain is said for the worse: of several results of one item the worst
stands, and what no run was asked for is not checked.

PYTEST_DONT_REWRITE
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import NamedTuple

import msgspec

from pytest_readiness.catalogue.words import Safety
from pytest_readiness.clock import begins
from pytest_readiness.errors import ReadinessError, Why
from pytest_readiness.merge.people import as_of, declarations, unchecked, waivers
from pytest_readiness.merge.refusals import Given, Main, refusals
from pytest_readiness.results import model
from pytest_readiness.results.evidence import EvidenceRecord, Outcome
from pytest_readiness.results.model import Item, Report
from pytest_readiness.verdict.end import end_of
from pytest_readiness.verdict.gathered import OWN_SECTION, was_asked
from pytest_readiness.verdict.judge import completeness, judge
from pytest_readiness.verdict.relaxed import in_order, relaxed
from pytest_readiness.written.keys import DURATION

__all__ = ["Given", "Main", "fact_folders", "merge"]

NO_RUN = "no run was asked for it"
_FACTS = "facts/"


class _Candidate(NamedTuple):
    """What one run says of an item. lost: it was asked for and gave no result."""

    item: Item
    run: Given
    lost: bool

    @property
    def badness(self) -> tuple[int, bool, bool, datetime, str]:
        """Order: a fail that nobody waived is the worst; of equals, what was seen last."""
        return (
            self.item.outcome.badness,
            self.item.waiver is None,
            self.item.environment is None,
            self.run.ended,
            self.run.report.run.id,
        )


def merge(runs: Sequence[Given], main: Main, *, id: str, command: str, moment: datetime) -> Report:
    """Return the report of all runs together.

    moment: the present one, against which `max_age` is held. The order of the runs has no part in
    the result. Raises ReadinessError with a line for everything that keeps the runs apart.

    `run.ended` is the earliest end of all shards, not the latest: what limits the age of a report
    (`max_report_age` of the sign-off) then holds for the oldest evidence in it.

    A merge among the runs takes the place of its shards, as it is: its items do not tell any more
    which shard judged them, so it is as old as its oldest shard.
    """
    problems = list(refusals(runs, main, moment))
    if problems:
        raise ReadinessError("\n".join(problems))
    ordered = sorted(runs, key=lambda run: (run.ended, run.report.run.id))
    inside = [run for run in ordered if run.environment == main.environment]
    chosen = _chosen(ordered, main, moment)
    items = tuple(_items(inside, chosen))
    lost = [item.id for item in items if item.id in chosen and chosen[item.id].lost]
    reported = {id for id, candidate in chosen.items() if not candidate.lost}
    waived = waivers(ordered, main, items, moment)
    ids = {item.id for item in items}
    verdict = judge(items, selected=ids, missing=lost, narrowed=None, waivers=waived)
    first = inside[0].report
    settings = _settings(inside, main)
    return Report(
        schema=model.SCHEMA,
        tool=model.Tool(name="pytest-readiness", version=version("pytest-readiness")),
        run=_run(ordered, id, command),
        target=msgspec.structs.replace(
            first.target, identity=_identity(inside), same=_same(inside)
        ),
        checklist=first.checklist,
        settings=settings,
        items=items,
        waivers=waived,
        declarations=declarations(ordered, main, moment),
        completeness=completeness(items, reported),
        verdict=_with_ends(verdict, ordered, main),
        traffic=_traffic(ordered),
        relaxed=_relaxed(ordered, settings, items),
        facts=_fact_digests(ordered),
    )


def fact_folders(report: Report) -> Iterator[tuple[str, str]]:
    """Yield the folders of facts, in the directory of the run and in that of the merge."""
    if report.run.shards:
        yield from ((f"{_FACTS}{shard.id}", f"{_FACTS}{shard.id}") for shard in report.run.shards)
    else:
        yield _FACTS, f"{_FACTS}{report.run.id}"


def _chosen(ordered: Sequence[Given], main: Main, moment: datetime) -> dict[str, _Candidate]:
    """Return the candidate that stands for each item that some run was asked for."""
    found: dict[str, list[_Candidate]] = {}
    for run in ordered:
        missing = set(run.report.completeness.missing)
        too_old = moment - run.ended > main.max_age
        for item in run.report.items:
            if not was_asked(item) or not _counts(item, run, main):
                continue
            told = as_of(_told(item, run, main), run, moment)
            if too_old:
                told = _aged(told, run, main.max_age)
            found.setdefault(item.id, []).append(_Candidate(told, run, item.id in missing))
    return {
        id: _worst(_judging(candidates, main.elsewhere.get(id))) for id, candidates in found.items()
    }


def _worst(candidates: Sequence[_Candidate]) -> _Candidate:
    """Return the candidate that stands; a fail, which may be waived, hides no missing answer."""
    worst = max(candidates, key=lambda one: one.badness)
    if worst.item.outcome is not Outcome.FAIL:
        return worst
    unanswered = (Outcome.ERROR, Outcome.NOTCHECKED)
    return worst._replace(
        lost=any(one.lost or one.item.outcome in unanswered for one in candidates)
    )


def _counts(item: Item, run: Given, main: Main) -> bool:
    """Tell whether the main ini lets the run judge the item."""
    if run.environment == main.environment:
        return True
    # What a merge of that environment had judged elsewhere again is nobody's answer here.
    return item.environment is None and main.elsewhere.get(item.id) == run.environment


def _judging(candidates: Sequence[_Candidate], environment: str | None) -> Sequence[_Candidate]:
    """Return the candidates without the placeholders that a run elsewhere takes the place of."""
    if environment is None or all(one.item.environment is None for one in candidates):
        return candidates
    return [one for one in candidates if not _placeholder(one.item)]


def _placeholder(item: Item) -> bool:
    return (
        item.environment is None
        and item.outcome is Outcome.NOTCHECKED
        and (item.why == Why.ELSEWHERE)
    )


def _aged(item: Item, run: Given, max_age: timedelta) -> Item:
    # Not even its fail counts: it may be mended since.
    return unchecked(
        item,
        why=Why.TOO_OLD,
        reason=f"the run {run.oldest} of {run.ended:%Y-%m-%d} is older than "
        f"{DURATION.show(max_age)}",
        advice="Run it again, or merge without it.",
    )


def _told(item: Item, run: Given, main: Main) -> Item:
    """Return the item as the merge has it: its facts in a folder of the run, its environment."""
    elsewhere = None if run.environment == main.environment else run.environment
    merged = bool(run.report.run.shards)
    return msgspec.structs.replace(
        item,
        environment=item.environment or elsewhere,
        evidence=tuple(
            _record(record, None if merged else run.report.run.id, elsewhere)
            for record in item.evidence
        ),
    )


def _record(record: EvidenceRecord, folder: str | None, environment: str | None) -> EvidenceRecord:
    source, fact = record.source, record.fact
    if environment is not None:
        source = f"{environment}: {source}"
    if fact is not None:
        fact = _moved(fact, folder)
    return msgspec.structs.replace(record, source=source, fact=fact)


def _moved(fact: str, folder: str | None) -> str:
    """Return the name of a fact in the folder of its run, None: it lies there already."""
    return fact if folder is None else f"{_FACTS}{folder}/{fact.removeprefix(_FACTS)}"


def _items(inside: Sequence[Given], chosen: Mapping[str, _Candidate]) -> Iterator[Item]:
    """Yield every item of the phase in the checklist's order, then the projects' own by id."""
    packaged = [item for item in inside[0].report.items if item.section != OWN_SECTION]
    own = {
        item.id: item for run in inside for item in run.report.items if item.section == OWN_SECTION
    }
    for item in (*packaged, *(own[id] for id in sorted(own))):
        if item.id in chosen:
            yield chosen[item.id].item
        else:
            yield msgspec.structs.replace(item, why=Why.NO_RUN, reason=NO_RUN)


def _run(ordered: Sequence[Given], id: str, command: str) -> model.Run:
    runs = [run.report.run for run in ordered]
    shards = sorted(_shards(ordered), key=lambda shard: (begins(shard.ended), shard.id))
    faults = [run.lab for run in runs if run.lab is not None]
    return model.Run(
        id=id,
        started=min((run.started for run in runs), key=begins),
        ended=shards[0].ended,
        command=command,
        selection="; ".join(dict.fromkeys(shard.selection for shard in shards if shard.selection)),
        partial=False,  # a merge claims the whole: what it lacks is missing, not left out
        safety=max((run.safety for run in runs), key=list(Safety).index),
        workers=0,
        lab=tuple(sorted({fault for lab in faults for fault in lab})) if faults else None,
        redactions=sum(run.redactions for run in runs),
        shards=tuple(shards),
        replay=", ".join(sorted({run.replay for run in runs if run.replay is not None})) or None,
    )


def _shards(runs: Iterable[Given]) -> Iterator[model.Shard]:
    for given in runs:
        run = given.report.run
        if run.shards:
            yield from run.shards
        else:
            yield model.Shard(
                id=run.id,
                environment=given.environment,
                ended=run.ended,
                sha256=given.sha256,
                selection=run.selection,
            )


def _traffic(runs: Iterable[Given]) -> tuple[model.Traffic, ...]:
    """Return what all runs have sent, also those elsewhere."""
    counts: Counter[tuple[str, str, int | None]] = Counter()
    for one in (one for run in runs for one in run.report.traffic):
        counts[one.target, one.method, one.status] += one.count
    return model.traffic(counts)


def _fact_digests(runs: Iterable[Given]) -> tuple[model.FactDigest, ...] | None:
    """Return the facts of all runs where the merge has them, None where one says nothing of its."""
    found: list[model.FactDigest] = []
    for run in runs:
        if run.report.facts is None:
            return None
        folder = None if run.report.run.shards else run.report.run.id
        found += (
            msgspec.structs.replace(one, name=_moved(one.name, folder)) for one in run.report.facts
        )
    return tuple(sorted(found, key=lambda one: one.name))


def _relaxed(
    runs: Iterable[Given], settings: model.SettingsUsed, items: Sequence[Item]
) -> tuple[model.Relaxed, ...]:
    """Return what any of the runs had relaxed, also one of a version that did not say it."""
    found = [*relaxed(settings.values, items)]
    for run in runs:
        report = run.report
        found += (*relaxed(report.settings.values, report.items), *(report.relaxed or ()))
    return in_order(found)


def _identity(inside: Sequence[Given]) -> dict[str, str]:
    """Return what the systems say of themselves; a cluster may answer by several of its servers."""
    said: dict[str, dict[str, None]] = {}
    for run in inside:
        for target, words in run.report.target.identity.items():
            said.setdefault(target, {}).update(dict.fromkeys(words.split("; ")))
    return {target: "; ".join(sorted(words)) for target, words in sorted(said.items())}


def _same(inside: Sequence[Given]) -> dict[str, dict[str, str]]:
    """Return what the runs agree in, which is what any of them has said."""
    said: dict[str, dict[str, str]] = {}
    for run in inside:
        for target, fields in run.report.target.same.items():
            said.setdefault(target, {}).update(fields)
    return {target: dict(sorted(said[target].items())) for target in sorted(said)}


def _settings(inside: Sequence[Given], main: Main) -> model.SettingsUsed:
    values: dict[str, dict[str, str]] = {}
    for run in inside:
        for section, keys in run.report.settings.values.items():
            known = values.setdefault(section, {})
            known.update({key: text for key, text in keys.items() if key not in known})
    digests = {run.report.settings.sha256 for run in inside}
    if main.ini is not None:
        # These two were read from there, and decided what counts.
        values.pop("elsewhere", None)
        if main.elsewhere:
            values["elsewhere"] = dict(main.elsewhere)
        values.setdefault("readiness", {})["max_age"] = DURATION.show(main.max_age)
        digests = {main.ini.sha256}
    if len(digests) > 1:
        digests = {hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()}
    return model.SettingsUsed(sha256=digests.pop(), values=values)


def _with_ends(verdict: model.Verdict, ordered: Sequence[Given], main: Main) -> model.Verdict:
    for run in reversed(ordered):
        end = end_of(run.report)
        # Of a run elsewhere a few items count, not what else failed in it.
        inside = run.environment == main.environment
        if end.broke or (inside and (end.beside or end.other)):
            verdict = end.closes(verdict)
    return verdict
