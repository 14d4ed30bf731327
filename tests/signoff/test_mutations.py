"""No change to any file makes a refused run pass, and none to signed bytes goes unnoticed.

What may be changed without harm, because nobody signs it: white space and unknown fields of an
envelope, its keyid (a hint), the order and number of equal lines, line breaks within the armor of
an SSHSIG. Left out of the first property: a change that undoes the spoiling, byte by byte, for
what is left is the honest run.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_readiness.errors import ReadinessError
from pytest_readiness.signoff import dsse, policy
from pytest_readiness.signoff.ssh import sshsig
from pytest_readiness.signoff.verify import verify
from tests.properties import bounded
from tests.signoff.refused import CASES
from tests.signoff.runs import AT, BOTH, SignedRun, ready, signed_run, team, with_waivers
from tests.signoff.spoil import SEC, nothing

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, "", [], {}, "approved", "approved-with-waivers", "READY",
    "READY WITH WAIVERS", "pass", "notapplicable", "minor", SEC, f"{SEC}@example.org",
    "2026-11-24T11:00:00.000Z", "2026-11-24T23:00:00Z", "2027-12-31", "no", "unused",
)  # fmt: skip
_WORDS = (b"20271231Z", b"*", b"security-lead", b"product-manager", b"true", b"[]", b"# ", b"99d")


class Change(NamedTuple):
    """A change to one file, or the exchange of two; numbers choose modulo what there is."""

    file: int
    kind: str
    at: int
    value: int


KINDS = ("flip", "insert", "delete", "drop-line", "twice-line", "swap", "json", "json-drop", "word")
CHANGES = st.builds(
    Change,
    file=st.integers(0, 31),
    kind=st.sampled_from(KINDS),
    at=st.integers(0, 2**16),
    value=st.integers(0, 2**16),
)


class Built:
    """Refused runs, made when they are first asked for, and the honest ones they were made of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.people = team(_made(folder / "keys"))
        self._runs: dict[str, tuple[SignedRun, str]] = {}

    def run(self, name: str) -> tuple[SignedRun, str]:
        """Return the run and the digest of the honest one."""
        if name not in self._runs:
            case = CASES[name]
            made = signed_run(self.folder / name, case.report(), self.people, case.formats)
            honest = digest(made)
            case.spoil(made)
            self._runs[name] = made, honest
        return self._runs[name]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(tmp_path_factory.mktemp("refused"))


@pytest.fixture(scope="module")
def accepted(built: Built, tmp_path_factory: pytest.TempPathFactory) -> list[SignedRun]:
    folder = tmp_path_factory.mktemp("accepted")
    return [
        signed_run(folder / "-".join(formats), report, built.people, formats)
        for formats, report in (
            (("sshsig",), ready()), (("dsse",), with_waivers()), (BOTH, with_waivers()),
        )
    ]  # fmt: skip


@contextmanager
def python_alone() -> Iterator[None]:
    """Take ssh-keygen away, which costs more than all the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", os.devnull)
        yield


def files(made: SignedRun) -> list[Path]:
    """Return what may be changed."""
    found = [made.run / "report.json", made.policy, made.allowed_signers]
    found += sorted((made.run / "signoffs").rglob("*.json"))
    found += sorted((made.run / "signoffs").rglob("*.sig"))
    return [*found, made.jsonl] if made.jsonl.exists() else found


def digest(made: SignedRun) -> str:
    """Return a digest of all that the run and its policy say."""
    found = hashlib.sha256()
    for path in files(made):
        data = path.read_bytes()
        if data:
            found.update(b"%s %d " % (path.name.encode(), len(data)) + data)
    return found.hexdigest()


def changed(data: bytes, change: Change) -> bytes:
    """Return the bytes of one file after the change."""
    spot = change.at % (len(data) + 1)
    lines = data.splitlines(keepends=True)
    match change.kind:
        case "flip" if data:
            some = bytearray(data)
            some[change.at % len(data)] ^= 1 << change.value % 8
            return bytes(some)
        case "insert":
            return data[:spot] + bytes([change.value % 256]) + data[spot:]
        case "delete":
            return data[:spot] + data[spot + 1 + change.value % 8 :]
        case "drop-line" if lines:
            place = change.at % len(lines)
            return b"".join(lines[:place] + lines[place + 1 :])
        case "twice-line" if lines:
            place = change.at % len(lines)
            return b"".join(lines[: place + 1] + lines[place:])
        case "json" | "json-drop":
            return _in_json(data, change)
        case "word":
            words = data.split(b'"')
            words[change.at % len(words)] = _WORDS[change.value % len(_WORDS)]
            return b'"'.join(words)
    return data


def _in_json(data: bytes, change: Change) -> bytes:
    """Change or drop one value, in the payload of an envelope as well."""
    lines = data.splitlines(keepends=True)
    try:
        parsed = json.loads(data)
    except ValueError:
        if not lines or not lines[0].startswith(b'{"payload"'):
            return data
        place = change.value % len(lines)
        lines[place] = _in_envelope(json.loads(lines[place]), change)
        return b"".join(lines)
    if isinstance(parsed, dict) and "payload" in parsed:
        return _in_envelope(parsed, change)
    _edit(parsed, change)
    return json.dumps(parsed, indent=2, sort_keys=True).encode() + b"\n"


def _in_envelope(parsed: Any, change: Change) -> bytes:
    if change.at % 2:
        payload = json.loads(base64.b64decode(parsed["payload"]))
        _edit(payload, change)
        text = json.dumps(payload, indent=2, sort_keys=True) + "\n"
        parsed["payload"] = base64.b64encode(text.encode()).decode()
    else:
        _edit(parsed, change)
    return json.dumps(parsed).encode() + b"\n"


def _edit(parsed: Any, change: Change) -> None:
    places = list(_places(parsed))
    holder, key = places[change.at % len(places)]
    if change.kind == "json-drop":
        del holder[key]
    else:
        holder[key] = _VALUES[change.value % len(_VALUES)]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in list(inner):
        yield value, key
        if isinstance(one, dict | list):
            yield from _places(one)


def apply(made: SignedRun, change: Change) -> dict[Path, bytes]:
    """Change the files; return what they had."""
    there = files(made)
    path = there[change.file % len(there)]
    before = {path: path.read_bytes()}
    if change.kind == "swap":
        other = there[change.value % len(there)]
        before[other] = other.read_bytes()
        path.write_bytes(before[other])
        other.write_bytes(before[path])
    else:
        path.write_bytes(changed(before[path], change))
    return before


def exit_code(made: SignedRun, at: Any = AT) -> int:
    try:
        return verify(made.run, policy.load(made.policy), at).exit_code
    except ReadinessError:
        return 4


def stays_refused(built: Built, name: str, change: Change) -> None:
    made, honest = built.run(name)
    assert exit_code(made, CASES[name].at) != 0
    before = apply(made, change)
    try:
        code, now = exit_code(made, CASES[name].at), digest(made)
        assert code != 0 or (now == honest and CASES[name].spoil is not nothing)
    finally:
        for path, data in before.items():
            path.write_bytes(data)


def signed(made: SignedRun) -> set[Any]:
    """Return what is signed and by what: of signatures only what counts."""
    found: set[Any] = {(made.run / "report.json").read_bytes()}
    for path in (made.run / "signoffs").glob("*.json"):
        found.add((path.name, path.read_bytes()))
    for path in (made.run / "signoffs").glob("*.sig"):
        one = sshsig.parse(path.read_bytes())
        found.add((path.name, one.key, one.namespace, one.hash, one.blob))
    return found


def envelopes(made: SignedRun) -> set[tuple[bytes, bytes]]:
    """Return payload and signature of each line."""
    data = made.jsonl.read_bytes() if made.jsonl.exists() else b""
    read = [dsse.read_line(line) for line in data.split(b"\n") if line.strip()]
    return {(one.payload, one.signature) for one in read}


def is_noticed(made: SignedRun, change: Change) -> None:
    said, sealed = signed(made), envelopes(made)
    before = apply(made, change)
    try:
        if exit_code(made) == 0:
            assert signed(made) == said
            if made.signature(SEC).exists():  # which is enough by itself
                assert envelopes(made) <= sealed
            else:
                assert envelopes(made) == sealed
    finally:
        for path, data in before.items():
            path.write_bytes(data)


@bounded(80)
@given(names=st.sets(st.sampled_from(list(CASES)), min_size=3, max_size=5), change=CHANGES)
def test_no_change_makes_a_refused_run_pass(built: Built, names: set[str], change: Change) -> None:
    for name in sorted(names):
        built.run(name)
        with python_alone():
            stays_refused(built, name, change)


@bounded(15)
@given(name=st.sampled_from(list(CASES)), change=CHANGES)
def test_no_change_makes_a_refused_run_pass_with_ssh_keygen(
    built: Built, name: str, change: Change
) -> None:
    stays_refused(built, name, change)


@bounded(55)
@given(number=st.integers(0, 2), change=CHANGES)
def test_no_change_to_what_is_signed_passes(
    accepted: list[SignedRun], number: int, change: Change
) -> None:
    made = accepted[number]
    with python_alone():
        assert exit_code(made) == 0
        is_noticed(made, change)


def test_every_line_of_a_refused_run_counts(built: Built) -> None:
    """Every single line of every file, of a few runs: taken away, and there twice."""
    for name in ("line edited", "expired key", "rejected", "line deleted", "impersonated by DSSE"):
        made, _ = built.run(name)
        for number, path in enumerate(files(made)):
            for place in range(min(len(path.read_bytes().splitlines()), 6)):
                for kind in ("drop-line", "twice-line"):
                    with python_alone():
                        stays_refused(built, name, Change(number, kind, place, 0))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
