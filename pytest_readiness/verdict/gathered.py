"""What a run has gathered so far, and the items of a report that follow from it.

Pure, and imports no pytest: a journal that a killed run left is read by the same rules as the
results of one that ends.

PYTEST_DONT_REWRITE
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from pytest_readiness.catalogue import CatalogueItem
from pytest_readiness.catalogue.words import Safety, Severity
from pytest_readiness.errors import Why
from pytest_readiness.results import model
from pytest_readiness.results.evidence import Finding, ItemResult, Outcome

OWN_SECTION = "project"
NOT_SELECTED = "not selected"


class Lack(NamedTuple):
    """Why there is no result: the code, and in words."""

    why: Why
    reason: str


_UNASKED = Lack(Why.NOT_SELECTED, NOT_SELECTED)
_NOT_ASKED = (Why.NOT_SELECTED, Why.NO_RUN)


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What a report of pytest carries to the controller, as JSON in `user_properties`.

    result: None while the check has not ended. declared: what the check says of itself, None
    where there is no check. own: it is the project's, and not in the catalogue; module: where.
    nodeid: of this case, an own check may have several. selected: by the marker expression.
    """

    id: str
    result: ItemResult | None
    declared: dict[str, str] | None
    own: bool
    module: str
    nodeid: str
    selected: bool = True


class Gathered:
    """Results by item; of several for one item the worst stands.

    phase: of the run, "all" included. blank: the items of the phase as they are without a result.
    selected: ids that the command line names. own: what is known of the project's own checks
    beforehand. owed: those that the team owes, with what is said of one that nobody brings.
    """

    def __init__(
        self,
        phase: str,
        blank: Sequence[model.Item],
        selected: Sequence[str],
        own: Sequence[Sent],
        owed: Sequence[Sent] = (),
    ) -> None:
        self.phase = phase
        self.blank = blank
        self.selected = selected
        self.results = {sent.id: sent.result for sent in own if sent.result}
        # id -> a result that is no answer, whatever another one of the item gave
        self.unanswered: dict[str, ItemResult] = {}
        self.declared: dict[str, dict[str, str]] = {}  # id -> what its check says of itself
        self.own = {sent.id: sent for sent in own}
        self.own_selected = set(self.own)
        self.owed = {sent.id: sent for sent in owed}
        # own id -> node id of each of its cases -> whether it gave a result
        self.cases: dict[str, dict[str, bool]] = {}
        self.told = False  # whether the project's own checks are known, also those not run

    @property
    def chosen(self) -> tuple[str, ...]:
        """The ids that were asked for, the project's own last."""
        owed = {sent.id for sent in self.owed.values() if sent.selected}
        return (*self.selected, *sorted(self.own_selected | (owed - self.own.keys())))

    @property
    def reported(self) -> set[str]:
        """The ids with a whole result: a fail, which may be waived, hides no case without one."""
        return {
            id
            for id, result in self.results.items()
            if not self.lacking(id)
            and not (result.outcome is Outcome.FAIL and id in self.unanswered)
        }

    def expect(self, own: Sequence[Sent]) -> None:
        """Know the project's own checks by name, whether or not a result follows."""
        self.told = True
        for sent in own:
            self.own.setdefault(sent.id, sent)
            self.cases.setdefault(sent.id, {}).setdefault(sent.nodeid, False)
            if sent.selected:
                self.own_selected.add(sent.id)
            if sent.selected and sent.result is not None:  # it is known to give none
                self.cases[sent.id][sent.nodeid] = True
                self.results.setdefault(sent.id, sent.result)

    def take(self, sent: Sent) -> None:
        """Take what is told of an item, with or without a result."""
        if sent.declared is not None:
            self.declared[sent.id] = sent.declared
        if sent.own:
            self.own[sent.id] = sent
            self.own_selected.add(sent.id)
            cases = self.cases.setdefault(sent.id, {})
            cases[sent.nodeid] = cases.get(sent.nodeid, False) or sent.result is not None
        if sent.result is not None:
            if sent.result.outcome in (Outcome.ERROR, Outcome.NOTCHECKED):
                self.unanswered.setdefault(sent.id, sent.result)
            known = self.results.get(sent.id)
            self.results[sent.id] = _worst(known, sent.result) if known else sent.result

    def lacking(self, id: str) -> list[str]:
        """Return the node ids of the cases of an own check that gave no result."""
        return [nodeid for nodeid, done in self.cases.get(id, {}).items() if not done]

    def items(self, lack: Callable[[str], Lack]) -> tuple[model.Item, ...]:
        """Return the items of the report. lack: node id -> why it gave no result."""
        own = [
            _judged(_own_item(sent, self.phase), self._own_result(sent, lack), sent.declared)
            for _, sent in sorted((self.owed | self.own).items())
        ]
        return (*(self._packaged(item, lack) for item in self.blank), *own)

    def _packaged(self, item: model.Item, lack: Callable[[str], Lack]) -> model.Item:
        result = self._known(item.id)
        if result is None:
            selected = item.id in self.selected
            result = without_result(
                item.id, item.nodeid, lack(item.nodeid) if selected else _UNASKED
            )
        return _judged(item, result, self.declared.get(item.id))

    def _known(self, id: str) -> ItemResult | None:
        """Return the result of an item, a fail with what it would hide."""
        known, other = self.results.get(id), self.unanswered.get(id)
        if known is None or other is None or known.outcome is not Outcome.FAIL:
            return known
        hidden = f"{other.nodeid}: {other.outcome}: {other.reason}"
        reason = f"{known.reason}; {hidden}" if known.reason else hidden
        return msgspec.structs.replace(known, reason=reason)

    def _own_result(self, sent: Sent, lack: Callable[[str], Lack]) -> ItemResult:
        if sent.id not in self.own and sent.result is not None:
            unasked = without_result(sent.id, sent.nodeid, _UNASKED)
            return sent.result if sent.selected else unasked
        known, lacking = self._known(sent.id), self.lacking(sent.id)
        if known is not None and not lacking:
            return known
        said = _UNASKED
        if sent.id in self.own_selected:
            found = sorted({lack(nodeid) for nodeid in lacking or [sent.nodeid]})
            reason = "; ".join(dict.fromkeys(one.reason for one in found))
            if known is not None:
                reason = f"{reason}: {', '.join(lacking)}"
            said = Lack(found[0].why, reason)
        unknown = without_result(sent.id, sent.nodeid, said)
        return known.worst(unknown) if known is not None else unknown


def blank(item: CatalogueItem, nodeid: str) -> model.Item:
    """Return a line of the checklist as a report has it while nothing is known of it."""
    return model.Item(
        id=item.id,
        title=item.title,
        section=item.section,
        subsection=item.subsection,
        phase=item.phase,
        severity=item.severity,
        safety=item.safety,
        basis=item.basis,
        outcome=Outcome.NOTCHECKED,
        why=Why.NOT_SELECTED,
        reason=NOT_SELECTED,
        advice=None,
        cause=None,
        waiver=None,
        findings=(),
        evidence=(),
        remediation=None,
        reference=None,
        nodeid=nodeid,
        duration=0.0,
    )


def was_asked(item: model.Item) -> bool:
    """Tell whether the run of a report, or one that was merged into it, was asked for the item."""
    return item.outcome is not Outcome.NOTCHECKED or item.why not in _NOT_ASKED


def _judged(item: model.Item, result: ItemResult, declared: Mapping[str, str] | None) -> model.Item:
    declared = declared or {}
    return msgspec.structs.replace(
        item,
        outcome=result.outcome,
        why=result.why,
        reason=result.reason,
        advice=result.advice,
        cause=result.cause,
        findings=result.findings,
        evidence=result.evidence,
        remediation=declared.get("remediation"),
        reference=declared.get("reference"),
        nodeid=result.nodeid,
        duration=result.duration,
    )


def _own_item(sent: Sent, phase: str) -> model.Item:
    declared = sent.declared or {}
    item = CatalogueItem(
        id=sent.id,
        title=declared["title"],
        section=OWN_SECTION,
        subsection=sent.module,
        phase=phase,
        severity=Severity(declared["severity"]),
        safety=Safety(declared["safety"]),
        basis="P",
        target="",
    )
    return blank(item, sent.nodeid)


def _worst(one: ItemResult, other: ItemResult) -> ItemResult:
    """Return the worse of two results; of two fails what both found, for waivers go by that."""
    if one.outcome is not Outcome.FAIL or other.outcome is not Outcome.FAIL:
        return one.worst(other)
    first, second = sorted((one, other), key=lambda result: result.nodeid)
    if not first.findings and not second.findings:
        return first
    evidence = (record for record in second.evidence if record not in first.evidence)
    return msgspec.structs.replace(
        first,
        reason=None,
        findings=tuple(dict.fromkeys((*_found(first), *_found(second)))),
        evidence=(*first.evidence, *evidence),
    )


def _found(result: ItemResult) -> tuple[Finding, ...]:
    """Return the findings of a fail; one without any has failed by what it asserts."""
    return result.findings or (Finding(result.nodeid, result.reason or "the assertion is false"),)


def without_result(id: str, nodeid: str, lack: Lack) -> ItemResult:
    """Return what stands for a result that there is not."""
    return ItemResult(
        id=id, outcome=Outcome.NOTCHECKED, why=lack.why, reason=lack.reason, nodeid=nodeid
    )
