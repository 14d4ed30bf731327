"""What readiness.ini lets through that the checklist would not: its limits, and what it leaves out.

A verdict over looser limits is true and still says less; so each of them stands in the report
with both values. Pure.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pytest_readiness.catalogue.words import Severity
from pytest_readiness.results.model import Item, Relaxed
from pytest_readiness.settings import KeyOf, sections
from pytest_readiness.written.keys import BadValue, Use

_LEFT_OUT = "not_applicable"
JUDGED = "judged"  # what the checklist says of an item that is left out


def relaxed(values: Mapping[str, Mapping[str, str]], items: Sequence[Item]) -> tuple[Relaxed, ...]:
    """Return each limit that is looser than the checklist's own, and each blocker left out.

    values: section -> key -> text, as they are recorded. items: of the report.
    """
    return in_order((*_limits(values), *_left_out(values.get(_LEFT_OUT, {}), items)))


def in_order(found: Iterable[Relaxed]) -> tuple[Relaxed, ...]:
    """Return them by section and key, none twice."""
    return tuple(sorted(set(found), key=lambda one: (one.section, one.key, one.value)))


def _limits(values: Mapping[str, Mapping[str, str]]) -> Iterator[Relaxed]:
    for name, section in sections().items():
        written = values.get(name, {})
        for known in section.keys.values():
            text = written.get(known.name)
            if known.key.use.is_limit and text is not None and _is_looser(known, text):
                yield Relaxed(section=name, key=known.name, value=text, checklist=_own(known))


def _is_looser(known: KeyOf, text: str) -> bool:
    try:
        return known.is_looser(text, None)
    except BadValue:  # of a report that another version made: nobody can say that it is as strict
        return True


def _own(known: KeyOf) -> str:
    nothing = known.default is None or (known.key.use is Use.EXEMPTION and not known.default)
    return "none" if nothing else known.key.kind.show(known.default)


def _left_out(reasons: Mapping[str, str], items: Sequence[Item]) -> Iterator[Relaxed]:
    blockers = {item.id for item in items if item.severity is Severity.BLOCKER}
    for id, reason in reasons.items():
        if id in blockers:
            yield Relaxed(
                section=_LEFT_OUT, key=id, value=" ".join(reason.split()), checklist=JUDGED
            )
