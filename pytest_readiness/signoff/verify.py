"""Whether a report is signed off, as of one moment: docs/signoff.md, Verification.

PYTEST_DONT_REWRITE
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from pytest_readiness.clock import rfc3339
from pytest_readiness.results import model
from pytest_readiness.signoff import facts, report_state, statement
from pytest_readiness.signoff.collect import collect, collect_superseded
from pytest_readiness.signoff.examine import Ground, Seen, examine, examine_superseded
from pytest_readiness.signoff.policy import Policy
from pytest_readiness.signoff.refusals import Cause, Refusal, Refused
from pytest_readiness.signoff.statement import Decision

_BAD = 3


class RoleState(msgspec.Struct, frozen=True, kw_only=True):
    """What stands for a role.

    state: "signed" (it counts), "rejected", "open" (no statement) or "refused". formats: "sshsig",
    "dsse". key: fingerprint.
    """

    role: str
    required: bool
    state: str
    principal: str | None
    decision: str | None
    signed_at: str | None
    comment: str | None
    formats: tuple[str, ...]
    key: str | None
    refusals: tuple[Refusal, ...]


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. refusals: all, also those of the roles. verdict: None without a report.

    notes: what could not be held against the report, in words; it refuses nothing.
    """

    exit_code: int
    signed_off: bool
    at: str
    report_sha256: str
    verdict: str | None
    roles: tuple[RoleState, ...]
    refusals: tuple[Refusal, ...]
    notes: tuple[str, ...] = ()


class _Role(msgspec.Struct, frozen=True, kw_only=True):
    """All statements of a role. standing: the newest of those in force, None without one."""

    name: str
    required: bool
    standing: Seen | None
    refusals: tuple[Refusal, ...]

    @property
    def counts(self) -> bool:
        """Whether it is approved: a rejection is a refusal, too."""
        return self.standing is not None and not self.refusals


def verify(run: Path, policy: Policy, at: datetime) -> Verification:
    """Return whether the run is signed off by the policy at the moment (aware), and why not.

    Raises ReadinessError when there is no report.json that can be read, or the run has the policy.
    """
    return verify_bytes(run, report_state.read(run), policy, at)


def verify_bytes(run: Path, data: bytes, policy: Policy, at: datetime) -> Verification:
    """As verify, of a report.json that was read already. data: its bytes."""
    report_state.outside(policy, run)
    report: model.Report | None = None
    general: list[Refusal] = []
    notes: list[str] = []
    try:
        report = report_state.decode(data)
        general += report_state.refusals(report, policy, at)
        refused, notes = facts.held(report, run)
        general += refused
    except Refused as error:
        general.append(Refusal(cause=error.cause, why=error.why))
    sha256 = hashlib.sha256(data).hexdigest()
    ground = Ground(report=report, sha256=sha256, policy=policy, at=at)
    found, past = collect(run), collect_superseded(run)
    strays = [
        Refusal(cause=Cause.BAD_SIGNATURE, role=one.role, why=one.why)
        for one in (*found.problems, *past.problems)
    ]
    seen = [examine(document, ground) for document in found.documents]
    earlier = [examine_superseded(document, ground) for document in past.documents]
    roles = _roles(policy, seen, earlier, strays)
    nameless = [*strays, *(one for some in (*seen, *earlier) for one in some.refusals)]
    general += [one for one in nameless if not one.role]  # `.statement.json` has an empty one
    general += _nobody_accepts(report, policy, roles)
    return msgspec.structs.replace(_answer(ground, roles, general), notes=tuple(notes))


def also(found: Verification, refusals: Sequence[Refusal], notes: Sequence[str]) -> Verification:
    """Return the answer with what else refuses the whole, and what else could not be held."""
    code = exit_code((*found.refusals, *refusals))
    return msgspec.structs.replace(
        found,
        exit_code=code,
        signed_off=code == 0,
        refusals=(*refusals, *found.refusals),
        notes=(*found.notes, *notes),
    )


def _answer(ground: Ground, roles: Sequence[_Role], general: Sequence[Refusal]) -> Verification:
    states = tuple(_state(role) for role in roles)
    refusals = (*general, *(one for state in states for one in state.refusals))
    code = exit_code(refusals)
    return Verification(
        exit_code=code,
        signed_off=code == 0,
        at=rfc3339(ground.at),
        report_sha256=ground.sha256,
        verdict=ground.report.verdict.name if ground.report else None,
        roles=states,
        refusals=refusals,
    )


def exit_code(refusals: Iterable[Refusal]) -> int:
    """Return 3 where something is tampered, else 1 not ready, else 2 no quorum, else 0."""
    codes = {refusal.cause.exit_code for refusal in refusals}
    return next((code for code in (_BAD, 1, 2) if code in codes), 0)


def _roles(
    policy: Policy, seen: Sequence[Seen], earlier: Sequence[Seen], strays: Sequence[Refusal]
) -> tuple[_Role, ...]:
    """Return the required roles, the other ones of the policy, then those it does not know."""
    said = {*(one.role for one in (*seen, *earlier)), *(one.role for one in strays)}
    names = dict.fromkeys([*policy.required_roles, *policy.roles, *sorted(filter(None, said))])
    standing = {name: _newest([one for one in seen if one.role == name]) for name in names}
    shared = dict(_shared(policy, standing))
    roles = []
    for name in names:
        mine = [one for one in seen if one.role == name]
        past = [one for one in earlier if one.role == name]
        refusals = [
            *(one for one in strays if one.role == name),
            *_of_statements(mine, standing[name]),
            *(one for old in past for one in old.refusals),
            *_newer(standing[name], past),
            *shared.get(name, ()),
        ]
        required = name in policy.required_roles
        role = _Role(
            name=name, required=required, standing=standing[name], refusals=tuple(refusals)
        )
        roles.append(_with_open(role, bool(mine)))
    return tuple(roles)


def _newest(seen: Sequence[Seen]) -> Seen | None:
    return max((one for one in seen if one.stated), key=lambda one: one.moment, default=None)


def _of_statements(seen: Sequence[Seen], standing: Seen | None) -> Iterator[Refusal]:
    """Yield what is wrong with the statements in force of a role.

    An older one is superseded without harm, unless it is no honest one.
    """
    for one in seen:
        for refusal in one.refusals:
            if one is standing or refusal.cause.exit_code == _BAD:
                yield refusal
    dated = [one for one in seen if one.stated]
    moments = Counter(one.moment for one in dated)
    for one in dated:
        if moments[one.moment] > 1:
            yield _refusal(
                Cause.TAMPERED_STATEMENT, one, "two statements that differ are of the same moment"
            )
    if standing and standing.stated:
        said = standing.stated.predicate
        if said.decision is Decision.REJECTED:
            comment = f": {said.comment}" if said.comment else ""
            yield _refusal(Cause.REJECTED, standing, f"{said.principal} rejects it{comment}")


def _newer(standing: Seen | None, earlier: Sequence[Seen]) -> Iterator[Refusal]:
    # A copy of the standing one is what a signature leaves that was killed as it was written.
    last = _newest([one for one in earlier if not standing or one.stated != standing.stated])
    if standing and last and last.moment >= standing.moment:
        yield _refusal(
            Cause.SUPERSEDED,
            standing,
            f"it was not signed after {rfc3339(last.moment)}, when the role signed the one that "
            "lies in superseded/",
        )


def _shared(
    policy: Policy, standing: Mapping[str, Seen | None]
) -> Iterator[tuple[str, list[Refusal]]]:
    """Yield each role whose person or key stands for another role as well."""
    if not policy.distinct_principals:
        return
    good = {name: one for name, one in standing.items() if one and not _is_bad(one)}
    for name, one in good.items():
        others = [other for other in good if other != name]
        same = [other for other in others if _principal(good[other]) == _principal(one)]
        keys = [other for other in others if good[other].keys & one.keys]
        refusals = []
        if same:
            whose = f"{_principal(one)} stands for {' and for '.join([name, *same])}"
            refusals.append(_refusal(Cause.NOT_DISTINCT, one, whose))
        elif keys:
            whose = f"one key stands for {' and for '.join([name, *keys])}"
            refusals.append(_refusal(Cause.NOT_DISTINCT, one, whose))
        if refusals:
            yield name, refusals


def _is_bad(seen: Seen) -> bool:
    return any(refusal.cause.exit_code == _BAD for refusal in seen.refusals)


def _with_open(role: _Role, any_statement: bool) -> _Role:
    if not role.required or role.counts:
        return role
    why = "its signature does not count" if any_statement else "nobody has signed"
    refusal = Refusal(cause=Cause.OPEN, role=role.name, why=why)
    return msgspec.structs.replace(role, refusals=(*role.refusals, refusal))


def _nobody_accepts(
    report: model.Report | None, policy: Policy, roles: Sequence[_Role]
) -> Iterator[Refusal]:
    if report is None or not statement.accepted(report):
        return
    if not any(role.counts for role in roles if role.name in policy.accept_waivers):
        names = " or ".join(policy.accept_waivers)
        who = f"{names} must approve them" if names else "by accept_waivers nobody may accept them"
        yield Refusal(cause=Cause.OTHER_WAIVERS, why=f"the report has waivers, and {who}")


def _state(role: _Role) -> RoleState:
    stated = role.standing.stated if role.standing else None
    said = stated.predicate if stated else None
    return RoleState(
        role=role.name,
        required=role.required,
        state=_word(role),
        principal=said.principal if said else None,
        decision=said.decision.value if said else None,
        signed_at=said.signed_at if said else None,
        comment=said.comment if said else None,
        formats=role.standing.formats if role.standing else (),
        key=role.standing.fingerprint if role.standing else None,
        refusals=role.refusals,
    )


def _word(role: _Role) -> str:
    if role.counts:
        return "signed"
    causes = {refusal.cause for refusal in role.refusals}
    if not causes - {Cause.OPEN}:
        return "open"
    return "rejected" if causes <= {Cause.OPEN, Cause.REJECTED} else "refused"


def _principal(seen: Seen) -> str | None:
    return seen.stated.predicate.principal if seen.stated else None


def _refusal(cause: Cause, seen: Seen, why: str) -> Refusal:
    return Refusal(cause=cause, role=seen.role, principal=_principal(seen), why=why)
