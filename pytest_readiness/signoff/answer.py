"""What `readiness verify` says: the answer first, then who has signed, then what to do.

PYTEST_DONT_REWRITE
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_readiness.results import model
from pytest_readiness.signoff.policy import Policy
from pytest_readiness.signoff.refusals import Cause, Refusal
from pytest_readiness.signoff.verify import RoleState, Verification
from pytest_readiness.text import flat, moment, wrap

_BAD = 3
_SIGN_AGAIN = "look at the report, and sign again: `readiness sign`"
_RUN_AGAIN = "run the checklist again, and have the new report signed"
_COPY = (
    "do not trust this copy: compare it with the one that was signed, and find out who changed it"
)
ADVICE = {
    Cause.NOT_READY: f"mend what the report names, then {_RUN_AGAIN}",
    Cause.LAB: "run the checklist against the system itself",
    Cause.REPLAY: f"{_RUN_AGAIN}; what was judged again later is no answer of the system",
    Cause.RELAXED: f"take the limits out of readiness.ini, then {_RUN_AGAIN}; or those who keep "
    "the policy name the keys in allow_relaxed",
    Cause.TOO_OLD: _RUN_AGAIN,
    Cause.WAIVER_EXPIRED: f"mend what is waived or have it waived anew, then {_RUN_AGAIN}",
    Cause.DECLARATION_EXPIRED: f"declare it anew, then {_RUN_AGAIN}",
    Cause.OPEN: "a person of the role signs: `readiness sign`",
    Cause.REJECTED: "talk to who rejects; only another decision of the same role takes it back",
    Cause.NOT_DISTINCT: "one of the roles is signed by another person, with a key of their own",
    Cause.OTHER_POLICY: f"use the policy that was signed for, or {_SIGN_AGAIN}",
    Cause.OTHER_WAIVERS: "a role of accept_waivers in signoff.toml signs with the decision "
    "approved-with-waivers, or what is waived is mended; another signoff.toml is signed for anew",
    Cause.CLOCK: "set the clocks of who signs and who verifies; as of another moment: --at",
    Cause.SUPERSEDED: "find out who put the older one back; the role signs again",
    Cause.TAMPERED_REPORT: _COPY,
    Cause.ALTERED_FACT: _COPY,
    Cause.FOREIGN_FACT: f"{_COPY}; else {_RUN_AGAIN}",
    Cause.ALTERED_PAGE: "believe report.json alone: `readiness render RUN` writes the pages anew, "
    "and what differed is worth a look",
    Cause.ANOTHER_REPORT: "the signature belongs to another run: put it back there, and sign "
    "this report",
    Cause.ANOTHER_RELEASE: "the role signs again; if nobody knows how it came about, do not trust "
    "this copy",
    Cause.MALFORMED_STATEMENT: f"{_COPY}; the role signs again",
    Cause.TAMPERED_STATEMENT: f"{_COPY}; the role signs again",
    Cause.BAD_SIGNATURE: "put the missing or broken file back from the copy that was signed, or "
    "the role signs again",
    Cause.WRONG_NAMESPACE: "a person of the role signs, with a key that allowed_signers lets sign "
    "for it",
    Cause.UNKNOWN_PRINCIPAL: "a person of the role signs; if this one is to be of it, signoff.toml "
    "and its keys say so first",
    Cause.EXPIRED_KEY: "the person signs with a key that is valid; as of the moment of signing: "
    "--at",
    Cause.REVOKED_KEY: "the person signs with another key, and the report is looked at again",
}


def lines(found: Verification, run: Path, policy: Policy, width: int) -> list[str]:
    """Return the lines. width: columns, kept but for words longer than a line."""
    return [
        *_head(found, run, policy),
        *_roles(found, width),
        *_refusals(found, width),
        *_notes(found, width),
    ]


def _head(found: Verification, run: Path, policy: Policy) -> Iterator[str]:
    yield "SIGNED OFF" if found.signed_off else f"NOT SIGNED OFF (exit code {found.exit_code})"
    yield ""
    yield f"  report   {flat(str(run / model.FILES[0]))}"
    yield f"  sha256   {found.report_sha256}"
    yield f"  verdict  {flat(found.verdict or 'none: it is not a report')}"
    yield f"  policy   {flat(str(policy.path))}"
    yield f"  as of    {moment(found.at)}"


def _roles(found: Verification, width: int) -> Iterator[str]:
    yield ""
    column = max((len(flat(role.role)) for role in found.roles), default=0)
    for role in found.roles:
        text = f"{flat(role.role):{column}}  {_role(role)}"
        # Not wrapped at the column's spaces, which are several.
        head, *rest = wrap(_role(role), max(width - column - 4, 30))
        yield f"  {text[: column + 2]}{head}"
        yield from (f"{'':{column + 4}}{line}" for line in rest)


def _role(role: RoleState) -> str:
    required = "" if role.required else " (not required)"
    if role.state == "open":
        return f"open{required}"
    facts = [f"{role.state} by {role.principal}" if role.principal else role.state]
    if role.state == "refused" and role.principal:
        facts = [f"refused, from {role.principal}"]
    if role.signed_at:
        facts.append(moment(role.signed_at))
    decision = None if role.decision == role.state else role.decision
    facts += [fact for fact in (decision, " and ".join(role.formats), role.key) if fact]
    comment = f": {role.comment}" if role.comment else ""
    return f"{', '.join(facts)}{required}{comment}"


def _refusals(found: Verification, width: int) -> Iterator[str]:
    """Yield each refusal once, with all whom it is about; `open` where nothing else says why."""
    blamed = {one.role for one in found.refusals if one.cause is not Cause.OPEN}
    told: dict[tuple[Cause, str], list[Refusal]] = {}
    for refusal in found.refusals:
        if refusal.cause is not Cause.OPEN or refusal.role not in blamed:
            told.setdefault((refusal.cause, refusal.why), []).append(refusal)
    bad = found.exit_code == _BAD
    hidden = {cause for cause, _ in told if bad and cause.exit_code != _BAD}
    for (cause, why), mine in sorted(told.items(), key=lambda pair: _weight(pair[0][0])):
        if cause in hidden:
            continue
        yield ""
        who = _who(mine)
        yield from wrap(f"{cause.value}: {f'{who}: ' if who else ''}{why}.", width, 0, 2)
        yield from wrap(f"To do: {ADVICE[cause]}.", width, 2)
    if hidden:
        yield ""
        names = ", ".join(sorted(cause.value for cause in hidden))
        text = f"Also, which may follow from it: {names} (--json says whose)."
        yield from wrap(text, width, 0, 2)


def _notes(found: Verification, width: int) -> Iterator[str]:
    for note in found.notes:
        yield ""
        yield from wrap(f"Not held against the report: {note}.", width, 0, 2)


def _weight(cause: Cause) -> int:
    return {3: 0, 1: 1, 2: 2}[cause.exit_code]


def _who(refusals: Sequence[Refusal]) -> str:
    names = [
        f"{one.role} ({one.principal})" if one.principal else one.role or "" for one in refusals
    ]
    return ", ".join(dict.fromkeys(filter(None, names)))
