"""Statements: what is signed, and what a reader takes for one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_readiness.results import model
from pytest_readiness.signoff import statement
from pytest_readiness.signoff.refusals import Cause, Refused
from tests.signoff import runs

HEX = "0123456789abcdef"
SHA256 = HEX * 4


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a statement as docs/signoff.md has it."""
    folder = tmp_path_factory.mktemp("statement")
    people = runs.team(folder)
    return runs.unsigned_run(folder, runs.with_waivers(), people).statement("security-lead")


def target(**changes: str | None) -> model.Report:
    report = runs.ready()
    return msgspec.structs.replace(report, target=msgspec.structs.replace(report.target, **changes))


class TestSubjects:
    def test_passes_when_image_and_commit_have_digests(self) -> None:
        report = target(image=f"registry.example.org:5000/risk@sha256:{SHA256}", commit=HEX * 4)
        assert statement.subjects(report, "ab") == (
            statement.Subject(name="report.json", digest={"sha256": "ab"}),
            statement.Subject(name="registry.example.org:5000/risk", digest={"sha256": SHA256}),
            statement.Subject(name="commit", digest={"gitCommit": HEX * 4}),
        )

    @pytest.mark.parametrize(
        ("image", "commit"),
        [
            (None, None),
            ("registry.example.org/risk:2.4.1", "main"),
            (f"risk@sha256:{SHA256[:-1]}", HEX * 2),
            (f"risk@sha256:{SHA256}\n", f"{HEX * 4}\n"),
            (f"risk@sha512:{SHA256}", "4f1c2e7"),
        ],
    )
    def test_does_not_apply_to_names_without_digest(
        self, image: str | None, commit: str | None
    ) -> None:
        assert len(statement.subjects(target(image=image, commit=commit), "ab")) == 1

    def test_passes_when_a_commit_has_forty_digits(self) -> None:
        found = statement.subjects(target(image=None, commit="a" * 40), "ab")
        assert found[1].digest == {"gitCommit": "a" * 40}


class TestReport:
    def test_passes_when_the_release_is_the_target(self) -> None:
        found = statement.release(target(release="2.4.1", commit=None, image=None))
        assert (found.version, found.commit, found.image) == ("2.4.1", None, None)

    def test_passes_when_only_used_waivers_are_accepted(self) -> None:
        report = runs.with_waivers()
        used = [one for one in report.waivers if one.state is model.WaiverState.USED]
        assert used
        assert [one.approver for one in statement.accepted(report)] == [
            one.approver for one in used
        ]
        unused = tuple(
            msgspec.structs.replace(one, state=model.WaiverState.EXPIRED) for one in used
        )
        assert statement.accepted(msgspec.structs.replace(report, waivers=unused)) == ()


def test_passes_when_what_is_read_is_written_the_same(data: bytes) -> None:
    found = statement.decode(data)
    assert found.predicate.decision is statement.Decision.APPROVED_WITH_WAIVERS
    assert json.loads(statement.encode(found)) == json.loads(data)
    assert statement.encode(found) == data


def test_passes_when_there_are_unknown_fields(data: bytes) -> None:
    text = json.loads(data)
    text["later"] = text["predicate"]["later"] = {"x": 1}
    assert statement.decode(json.dumps(text).encode()) == statement.decode(data)


Edit = Callable[[dict[str, Any]], object]
EDITS: dict[str, Edit] = {
    "no _type": lambda text: text.pop("_type"),
    "no predicateType": lambda text: text.pop("predicateType"),
    "another _type": lambda text: text.update(_type="https://in-toto.io/Statement/v0.1"),
    "another predicateType": lambda text: text.update(
        predicateType="urn:pytest-readiness:sign-off:v2"
    ),
    "no predicate": lambda text: text.pop("predicate"),
    "predicate a list": lambda text: text.update(predicate=[]),
    "no subject": lambda text: text.update(subject=[]),
    "digest a text": lambda text: text["subject"][0].update(digest="ab"),
    "digest a number": lambda text: text["subject"][0].update(digest={"sha256": 1}),
    "waiver without approver": lambda text: text["predicate"]["acceptedWaivers"][0].pop("approver"),
}
VALUES: dict[str, tuple[Any, ...]] = {
    "role": ("", None, 1),
    "principal": ("", None, ["sec@example.org"]),
    "decision": ("Approved", "approved ", "", None, True),
    "comment": (1, False, None),
    "verdict": (None, 1),
    "acceptedWaivers": (None, {}, [None]),
    "release": (None, "2.4.1"),
    "policy": (None, {"sha256": None, "allowedSigner": None}, {"sha256": "ab"}),
    "supersedes": (0, []),
    "signedAt": (
        None,
        1764000000,
        "",
        "now",
        "2026-11-24",
        "2026-11-24T12:00:00",
        "2026-11-24 12:00:00Z",
        "2026-11-24T12:00Z",
        "2026-11-24T12:00:00,5Z",
        "2026-13-24T12:00:00Z",
        "2026-11-24T12:00:60Z",
        "2026-11-24T12:00:00Z\n",
        "2026-W48-2T12:00:00Z",
        "２026-11-24T12:00:00Z",
        "0001-01-01T00:00:00+14:00",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_fails_and_names_what_is_malformed(name: str, data: bytes) -> None:
    text = json.loads(data)
    EDITS[name](text)
    refused(json.dumps(text).encode())


@pytest.mark.parametrize(("key", "value"), [(key, one) for key in VALUES for one in VALUES[key]])
def test_fails_when_a_field_is_of_another_kind(key: str, value: Any, data: bytes) -> None:
    text = json.loads(data)
    text["predicate"][key] = value
    refused(json.dumps(text).encode())


@pytest.mark.parametrize("key", VALUES)
def test_fails_when_a_field_is_missing(key: str, data: bytes) -> None:
    text = json.loads(data)
    del text["predicate"][key]
    assert key in refused(json.dumps(text).encode())


@pytest.mark.parametrize("moment", ["2026-11-24T12:00:00Z", "2026-11-24T13:00:00.123456+01:00"])
def test_passes_when_the_time_has_a_zone(moment: str, data: bytes) -> None:
    text = json.loads(data)
    text["predicate"]["signedAt"] = moment
    assert statement.decode(json.dumps(text).encode()).predicate.signed_at == moment


def test_fails_and_names_a_key_that_stands_twice(data: bytes) -> None:
    twice = data.replace(b'"decision"', b'"decision": "approved", "decision"')
    assert "'decision' stands in it twice" in refused(twice)
    escaped = data.replace(b'"decision"', b'"\\u0064ecision": "approved", "decision"')
    assert "'decision' stands in it twice" in refused(escaped)
    unknown = data.replace(b'"decision"', b'"later": {"a": 1, "a": 2}, "decision"')
    assert "'a' stands in it twice" in refused(unknown)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: b"null",
        lambda data: b"[" * 100_000,
        lambda data: data[:-3],
        lambda data: data + b"{}",
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.decode().encode("utf-16"),
        lambda data: data.replace(b"sec", b"\xff"),
        lambda data: data.replace(b'"comment": ""', b'"comment": NaN'),
    ],
)
def test_fails_when_it_is_no_json(change: Callable[[bytes], bytes], data: bytes) -> None:
    refused(change(data))


def refused(data: bytes) -> str:
    with pytest.raises(Refused) as caught:
        statement.decode(data)
    assert caught.value.cause is Cause.MALFORMED_STATEMENT
    return caught.value.why


def test_passes_when_the_statement_in_the_docs_is_read() -> None:
    page = Path(__file__).parents[2] / "docs" / "signoff.md"
    text = page.read_text(encoding="utf-8").partition("```json\n")[2].partition("```")[0]
    assert statement.decode(text.encode()).predicate.role == "security-lead"
