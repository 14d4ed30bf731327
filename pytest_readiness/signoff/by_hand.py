"""The shell script that checks signatures without this package: sh, ssh-keygen, openssl, cosign.

What files say is foreign text: it stands in single quotes, never in a comment or a command.

PYTEST_DONT_REWRITE
"""

import base64
import hashlib
import json
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pytest_readiness.clock import now
from pytest_readiness.errors import ReadinessError
from pytest_readiness.results import model
from pytest_readiness.signoff import dsse, report_state, statement
from pytest_readiness.signoff.collect import Document, Sealed, collect, collect_superseded
from pytest_readiness.signoff.policy import Policy
from pytest_readiness.signoff.refusals import Refused
from pytest_readiness.signoff.ssh import sshsig, wire
from pytest_readiness.signoff.verify import verify
from pytest_readiness.text import clean, flat

_USAGE = 4
_HEAD = r"""#!/bin/sh
# Checks the signatures of a run with sh, ssh-keygen and openssl, and with cosign where it is there.
# The exit code is 0 when each of them is good. It stops at the first that is not: the last lines
# say which.
#
# What no line here can show, and `readiness verify` does: that the report is ready and not too
# old; that every required role has signed, nobody for two, and that nobody rejects it; that the
# waivers accepted are those of the report, and that signoff.toml and allowed_signers have not
# changed since; that no older statement was put back. What it said of that when this was printed
# stands at the end, and is the exit code.
set -eu
work=${TMPDIR:-/tmp}/readiness-verify.$$
umask 077
mkdir "$work"
trap 'rm -rf "$work"' 0

# digest FILE SHA256: the file has these bytes and no others.
digest() {
    sum=$(openssl dgst -sha256 -r <"$1")
    test "${sum%% *}" = "$2" || { printf '%s: other bytes\n' "$1"; return 1; }
}

# line FILE NUMBER TEXT: that line of the file is still this text.
line() {
    number=0
    while IFS= read -r text || test -n "$text"; do
        number=$((number + 1))
        test "$number" -ne "$2" || test "$text" != "$3" || return 0
    done <"$1"
    printf '%s: line %s: other bytes\n' "$1" "$2"
    return 1
}"""
_COSIGN_ROOT = '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'


def script(run: Path, policy: Policy, at: datetime | None) -> str:
    """Return the script. at: the moment as of which keys must be valid, None: when it is run.

    Raises ReadinessError when the run has no report.json, or has the policy.
    """
    if not (run / model.FILES[0]).is_file():
        raise ReadinessError(f"{run / model.FILES[0]}: cannot be read: it is not there")
    report_state.outside(policy, run)
    return "".join(f"{line}\n" for line in (_HEAD, *_checks(run, policy, at)))


def refusal(why: str) -> str:
    """Return a script that says why there is none, and ends with the exit code of usage."""
    return "".join(f"{line}\n" for line in ("#!/bin/sh", *_fails(why, _USAGE)))


def _checks(run: Path, policy: Policy, at: datetime | None) -> Iterator[str]:
    found, past = collect(run), collect_superseded(run)
    for problem in (*found.problems, *past.problems):
        yield from _fails(problem.why)
    for number, document in enumerate((*found.documents, *past.documents), 1):
        yield from _document(run, document, number, policy, at, number > len(found.documents))
    if not found.documents:
        yield from _fails("no statement: nobody has signed")
    verification = verify(run, policy, at or now())
    if verification.signed_off:
        yield _say("every signature is good; `readiness verify` says the rest: SIGNED OFF")
        return
    # Each may be good, and they do not make a sign-off.
    causes = ", ".join(dict.fromkeys(one.cause.value for one in verification.refusals))
    said = f"no signature above is bad, and `readiness verify` says: NOT SIGNED OFF: {causes}"
    yield from _fails(said, verification.exit_code)


def _document(
    run: Path, document: Document, number: int, policy: Policy, at: datetime | None, old: bool
) -> Iterator[str]:
    yield ""
    try:
        stated = statement.decode(document.data)
    except Refused as error:
        yield from _fails(f"{document.name}: {error.why}")
        return
    said = stated.predicate
    if not (said.principal.isprintable() and said.role.isprintable()):
        yield from _fails(f"{document.name}: a name in it is none")
        return
    # So the name of the file is one that may stand in the script as it is.
    if document.role is not None and not _is_of(document.role, said.role, old):
        yield from _fails(f"{document.name}: the statement in the file is one of {said.role}")
        return
    yield _say(f"{document.name}: {said.role}, {said.principal}: {said.decision.value}")
    path = _path(document.path) if document.path else f'"$work/{number}.statement.json"'
    yield from _statement(document, path)
    if not old:
        yield from _report(run, stated)
    if document.signature is None and not document.envelopes:
        yield from _fails("there is no signature beside the statement")
    elif document.signature is None and said.policy.allowed_signer is not None:
        yield from _fails("its SSH signature, which the statement speaks of, is missing")
    if document.signature is not None:
        yield from _ssh(document, path, said, policy, at, old)
    for place, sealed in enumerate(document.envelopes, 1):
        # cosign compares with report.json, which an earlier statement need not be about.
        yield from _dsse(run, sealed, f"{number}.{place}", path, said, policy, cosign=not old)


def _is_of(name: str, role: str, old: bool) -> bool:
    return name.startswith(f"{role}.") and name.isprintable() if old else name == role


def _statement(document: Document, path: str) -> Iterator[str]:
    if document.path is None:
        yield "# The statement is in the envelope alone."
        yield f"openssl base64 -d -A >{path} <<'END'"
        yield base64.b64encode(document.data).decode()
        yield "END"
    yield "# The statement has the bytes from which the lines below were made."
    yield f"digest {path} {hashlib.sha256(document.data).hexdigest()}"


def _report(run: Path, stated: statement.Statement) -> Iterator[str]:
    sha256 = stated.subject[0].digest.get("sha256", "") if stated.subject else ""
    yield "# report.json has the digest that the statement names first."
    yield f"digest {_path(run / model.FILES[0])} {shlex.quote(clean(sha256))}"


def _ssh(
    document: Document,
    path: str,
    said: statement.Predicate,
    policy: Policy,
    at: datetime | None,
    old: bool,
) -> Iterator[str]:
    assert document.path is not None
    signature = _path(document.path.with_name(f"{document.path.name}.sig"))
    space = f"-n {shlex.quote(sshsig.namespace(said.role))}"
    if old:
        yield "# An earlier statement of the role: the signature is good by the key it carries."
        yield f"ssh-keygen -Y check-novalidate {space} -s {signature} <{path}"
        return
    if policy.allowed_signers is None:
        yield from _fails("the policy names no allowed_signers")
        return
    yield "# The key may sign for the role, is the person's and valid, and signs these bytes."
    words = [f"ssh-keygen -Y verify -f {_path(policy.allowed_signers)}"]
    words += [f"-I {shlex.quote(said.principal)} {space} -s {signature}"]
    if policy.revoked_keys is not None:
        words.append(f"-r {_path(policy.revoked_keys)}")
    if at is not None:
        words.append(f"-O verify-time={at.astimezone(UTC):%Y%m%d%H%M%SZ}")
    yield f"{' '.join(words)} <{path}"


def _dsse(
    run: Path,
    sealed: Sealed,
    name: str,
    path: str,
    said: statement.Predicate,
    policy: Policy,
    *,
    cosign: bool,
) -> Iterator[str]:
    if said.principal not in policy.dsse_paths:
        yield from _fails(f"dsse_keys has no key for {said.principal}")
        return
    try:
        text = sealed.envelope.line.decode()
    except UnicodeDecodeError:
        yield from _fails("an envelope is not UTF-8")
        return
    if clean(text.rstrip("\r")) != text.rstrip("\r"):
        yield from _fails("an envelope has signs that a terminal obeys")
        return
    key = _path(policy.dsse_paths[said.principal])
    yield "# The envelope is the one from which the lines below were made."
    yield f"line {_path(sealed.path)} {sealed.number} {shlex.quote(text)}"
    pae, signature = f'"$work/{name}.pae"', f'"$work/{name}.sig"'
    size = len(sealed.envelope.payload)
    yield "# What a DSSE signature is over: type and statement, each after its length."
    yield f"printf 'DSSEv1 %d %s %d ' {len(dsse.TYPE)} {dsse.TYPE} {size} >{pae}"
    yield f"cat {path} >>{pae}"
    encoded = base64.b64encode(sealed.envelope.signature).decode()
    yield f"printf %s {shlex.quote(encoded)} | openssl base64 -d -A >{signature}"
    yield "# The key that dsse_keys has for the person signs these bytes."
    if wire.key_type(dsse.ssh_blob(policy.dsse_keys[said.principal])) == wire.ED25519:
        yield (f"openssl pkeyutl -verify -pubin -inkey {key} -rawin -in {pae} -sigfile {signature}")
    else:
        yield f"openssl dgst -sha256 -verify {key} -signature {signature} {pae}"
    if cosign:
        yield from _cosign(run, sealed, name, key)


def _cosign(run: Path, sealed: Sealed, name: str, key: str) -> Iterator[str]:
    bundle, root = f'"$work/{name}.json"', f'"$work/{name}.root.json"'
    yield "# The same by cosign, which compares the digest of report.json as well."
    yield "if command -v cosign >/dev/null 2>&1; then"
    yield f"cat >{bundle} <<'END'"
    yield json.dumps(dsse.bundle(sealed.envelope))
    yield "END"
    yield f"printf %s '{_COSIGN_ROOT}' >{root}"
    yield (
        f"cosign verify-blob-attestation --key {key} --insecure-ignore-tlog --trusted-root {root} "
        f"--type {statement.PREDICATE} --bundle {bundle} {_path(run / model.FILES[0])}"
    )
    yield "fi"


def _path(path: Path) -> str:
    # `./-x` is no option to any program.
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def _say(text: str) -> str:
    return f"printf '%s\\n' {shlex.quote(clean(flat(text)))}"


def _fails(text: str, code: int = 1) -> Iterator[str]:
    yield _say(text)
    yield f"exit {code}"
