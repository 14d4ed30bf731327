"""The judgement of what no machine can know: a named person's word, dated, for this release."""

from pytest_readiness.errors import NotChecked, Why
from pytest_readiness.people.declarations import Judged, State
from pytest_readiness.people.facts import Declarations
from pytest_readiness.results.evidence import Evidence


def declared(declarations: Declarations, declaration: Judged, evidence: Evidence) -> None:
    """Pass where a person of the policy declared the item for this release, and it still holds.

    Raises NotChecked with what is wrong: a word that does not count is none.
    """
    said = declaration.declaration
    if declaration.state is not State.COUNTS or said is None:
        raise NotChecked(Why.DECLARATION, declaration.reason or "no declaration")
    evidence.examined([f"{declarations.file}:{said.line}"])
    seen = {
        "statement": said.statement,
        "by": f"{said.by}, {said.role}",
        "signed": said.signed,
        "date": said.date,
        "ends": declaration.ends and declaration.ends.isoformat(),
        "release": said.release,
        "evidence": said.evidence,
        "sha256": said.sha256,
    }
    evidence.observed(**{name: value for name, value in seen.items() if value is not None})
    evidence.expected(by="a principal of the policy", release="this one", ends="later than the run")
    assert not evidence.findings
