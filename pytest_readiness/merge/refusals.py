"""What keeps runs from being joined: a line each, which names the runs and the difference. Pure.

PYTEST_DONT_REWRITE
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec

from pytest_readiness.catalogue.words import Severity
from pytest_readiness.clock import SKEW, begins, ends, rfc3339
from pytest_readiness.results.model import Report
from pytest_readiness.settings import Settings, key_of, sections
from pytest_readiness.settings.sections import ITEM_SECTIONS
from pytest_readiness.targets import targets
from pytest_readiness.verdict.gathered import OWN_SECTION
from pytest_readiness.written.keys import Use

_RELEASE = ("system", "release", "commit", "image")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")  # the name of a folder of facts

_SAME: dict[str, Callable[[Report], str | None]] = {
    "schema": lambda report: report.schema,
    "checklist": lambda report: report.checklist.sha256,
    "system": lambda report: report.target.system,
    "phase": lambda report: report.target.phase,
    "release": lambda report: report.target.release,
    "commit": lambda report: report.target.commit,
    "image": lambda report: report.target.image,
}


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be merged. sha256: of its report.json. path: as it was typed."""

    report: Report
    sha256: str
    path: str

    @property
    def environment(self) -> str:
        """Where it looked."""
        return self.report.target.environment

    @property
    def ended(self) -> datetime:
        """When it ended, a merge with its oldest shard. Raises ValueError when that is no time."""
        return begins(self.report.run.ended)

    @property
    def oldest(self) -> str:
        """The id of the run that ended then."""
        shards = self.report.run.shards
        if not shards:
            return self.report.run.id
        return min(shards, key=lambda shard: (begins(shard.ended), shard.id)).id

    def __str__(self) -> str:
        """Return it as messages name it."""
        return f"{self.path} (run {self.report.run.id})"


class Main(msgspec.Struct, frozen=True, kw_only=True):
    """What decides which runs count: the main ini.

    ini: where it was given, None where the first run's recorded settings stand for it. elsewhere:
    item -> environment.
    """

    environment: str
    max_age: timedelta
    elsewhere: Mapping[str, str]
    ini: Settings | None


def refusals(runs: Sequence[Given], main: Main, moment: datetime) -> Iterator[str]:
    """Yield a line for all that keeps the runs apart, nothing when they can be merged."""
    broken = [line for run in runs for line in _broken(run, moment)]
    inside = [run for run in runs if run.environment == main.environment]
    if not inside:
        environments = ", ".join(dict.fromkeys(run.environment for run in runs))
        yield f"no run is of {main.environment}, which the main ini is for: {environments}"
    yield from broken
    yield from _twice(runs)
    yield from _differences(runs)
    if main.ini is not None:
        yield from _other_release(runs[0], main.ini)
    yield from _strangers(runs, main)
    yield from _without_evidence(runs)
    yield from _settings(inside, main)
    yield from _identities(inside)
    yield from _own_checks(inside)


def _broken(run: Given, moment: datetime) -> Iterator[str]:
    report = run.report.run
    for id in (report.id, *(shard.id for shard in report.shards)):
        if not _ID.match(id):
            yield f"{run}: {id!r} is no id of a run"
    times = (report.started, report.ended, *(shard.ended for shard in report.shards))
    for time in (*times, *_limits(run.report)):
        try:
            ahead = ends(time) - moment
        except ValueError:
            yield f"{run}: {time!r} is no time"
        else:
            if ahead > SKEW and time in times:
                yield f"{run} is of {time}, and it is {rfc3339(moment)}: correct the clock"


def _limits(report: Report) -> Iterator[str]:
    """Yield until when what people wrote holds."""
    yield from (waiver.expires for waiver in report.waivers)
    yield from (item.waiver.expires for item in report.items if item.waiver is not None)
    yield from (one.expires for one in report.declarations if one.expires is not None)


def _twice(runs: Sequence[Given]) -> Iterator[str]:
    seen: dict[str, Given] = {}
    for run in runs:
        for id in [shard.id for shard in run.report.run.shards] or [run.report.run.id]:
            if id in seen:
                yield f"run {id} is in {seen[id].path} and in {run.path}: give it once"
            seen.setdefault(id, run)


def _differences(runs: Sequence[Given]) -> Iterator[str]:
    first = runs[0]
    for run in runs[1:]:
        for name, of in _SAME.items():
            one, other = of(first.report), of(run.report)
            if one != other:
                yield f"{name}: {_shown(one)} in {first}, {_shown(other)} in {run}"
        if (first.report.run.lab is None) != (run.report.run.lab is None):
            lab, real = (run, first) if first.report.run.lab is None else (first, run)
            yield f"{lab} asked the lab, {real} did not"
        if first.report.checklist == run.report.checklist and _packaged(first) != _packaged(run):
            yield f"{first} and {run} have not the same items of one checklist"


def _other_release(run: Given, ini: Settings) -> Iterator[str]:
    for name in _RELEASE:
        one, other = getattr(ini.readiness, name), getattr(run.report.target, name)
        if one != other:
            yield f"{name}: {_shown(one)} in {ini.path.name}, {_shown(other)} in {run}"


def _packaged(run: Given) -> tuple[str, list[tuple[str, Severity]]]:
    items = [item for item in run.report.items if item.section != OWN_SECTION]
    return run.report.target.phase, [(item.id, item.severity) for item in items]


def _strangers(runs: Sequence[Given], main: Main) -> Iterator[str]:
    asked = set(main.elsewhere.values())
    for run in runs:
        if run.environment == main.environment:
            for item in run.report.items:
                if item.environment not in (None, main.elsewhere.get(item.id)):
                    yield (
                        f"{run}: {item.id} is judged by a run of {item.environment}, and "
                        "[elsewhere] of the main ini does not ask there"
                    )
        elif run.environment not in asked:
            yield (
                f"{run} is of {run.environment}: the main ini is for {main.environment}, and its "
                "[elsewhere] sends no item there"
            )


def _without_evidence(runs: Sequence[Given]) -> Iterator[str]:
    """Yield a line for a pass that nothing stands behind: no run leaves one."""
    for run in runs:
        for item in run.report.items:
            if item.is_unproven:
                yield f"{run}: {item.id} passes without evidence"


def _settings(inside: Sequence[Given], main: Main) -> Iterator[str]:
    written = {section for _, values in _sources(inside, main) for section in values}
    for section in sorted(written - sections().keys() - ITEM_SECTIONS.keys()):
        # What of it is a limit, and what its runs must agree in, nobody here can say.
        yield f"[{section}] is of a distribution that is not installed here"
    set_by: dict[tuple[str, str], tuple[str, str]] = {}
    for name, values in _sources(inside, main):
        for section, keys in values.items():
            for key, text in keys.items():
                if _may_differ(section, key, inside, main):
                    continue
                known, where = set_by.setdefault((section, key), (text, name))
                if known != text:
                    yield f"[{section}] {key}: {known!r} in {where}, {text!r} in {name}"
    yield from _left_out(inside, main)


def _may_differ(section: str, key: str, inside: Sequence[Given], main: Main) -> bool:
    if (section, key) == ("readiness", "max_age"):
        # Where it is given, the main ini says how old a run may be; the runs were judged without.
        return main.ini is not None
    known = key_of(section, key)
    match known.key.use if known else None:
        case Use.RUN:  # of what is released, the report says it too
            return section == "readiness"
        case Use.PLACE:  # a lab that a run starts for itself is somewhere else each time
            return section in targets() and all(
                run.report.run.lab is not None and "lab" in run.report.settings.values
                for run in inside
            )
        case _:
            return False


def _left_out(inside: Sequence[Given], main: Main) -> Iterator[str]:
    """Yield a line for a limit that one ini sets and another one, with the section, leaves out.

    Its default is another limit, and one that other versions of this tool may have changed.
    """
    first: dict[str, tuple[str, dict[str, str]]] = {}
    for name, values in _sources(inside, main):
        for section, keys in values.items():
            where, known = first.setdefault(section, (name, keys))
            for key in sorted(known.keys() ^ keys.keys()):
                declared = key_of(section, key)
                limit = declared is not None and declared.key.use.is_limit
                if limit and not _may_differ(section, key, inside, main):
                    one, other = (where, name) if key in known else (name, where)
                    yield f"[{section}] {key}: written in {one}, and not in {other}"


def _sources(
    inside: Sequence[Given], main: Main
) -> Iterator[tuple[str, dict[str, dict[str, str]]]]:
    if main.ini is not None:
        yield main.ini.path.name, main.ini.values
    for run in inside:
        yield str(run), run.report.settings.values


def _identities(inside: Sequence[Given]) -> Iterator[str]:
    """Yield a line for two systems in the place of one: each would be judged by half."""
    found: dict[tuple[str, str], list[tuple[str, Given]]] = {}
    for run in inside:
        for name, fields in run.report.target.same.items():
            for key, value in fields.items():
                found.setdefault((name, key), []).append((value, run))
    for (name, key), said in found.items():
        what = targets()[name].section.SAME.get(key, key) if name in targets() else key
        for (one, first), (other, run) in pairwise(said):
            if one != other:
                yield f"{name}: {what} {one} in {first}, {other} in {run}"


def _own_checks(inside: Sequence[Given]) -> Iterator[str]:
    known: dict[str, tuple[str, Given]] = {}
    for run in inside:
        for item in run.report.items:
            if item.section == OWN_SECTION:
                severity, where = known.setdefault(item.id, (item.severity.value, run))
                if severity != item.severity.value:
                    yield f"{item.id} is a {severity} in {where}, a {item.severity} in {run}"


def _shown(value: str | None) -> str:
    return "none" if value is None else repr(value)
