"""The file of declarations, as people write it, and the evidence that it names."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from pytest_readiness.errors import SettingsError
from pytest_readiness.people import declaration_file
from pytest_readiness.people.facts import Declarations

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
WHOLE = """# kept by operations
[[declaration]]
item = "training-operations"
statement = '''
[[declaration]]
date = 2020-01-01
'''
by = "ops@example.org"
role = "operations-lead"
date = 2026-11-20
expires = 2027-02-20T12:00:00+05:45   # as the office has it
release = "2.4.1"

[["declaration"]]
item = "team-channel"
statement = "Channel is #release."
by = "ops@example.org"
role = "operations-lead"
date = "2026-11-21"
release = "any"
"""


def written(folder: Path, text: str) -> Declarations:
    path = folder / "declarations.toml"
    path.write_text(text, encoding="utf-8")
    return declaration_file.read(path, None, AT)


def problems(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        written(folder, text)
    return caught.value.problems


def one(**changes: str | None) -> str:
    """Return a table; values are TOML."""
    keys: Mapping[str, str | None] = {
        "item": '"training-operations"',
        "statement": '"done"',
        "by": '"ops@example.org"',
        "role": '"operations-lead"',
        "date": "2026-11-20",
        "release": '"2.4.1"',
        **changes,
    }
    body = [f"{key} = {value}" for key, value in keys.items() if value is not None]
    return "\n".join(["[[declaration]]", *body, ""])


class TestFile:
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_passes_and_keeps_lines_and_dates_as_written(self, tmp_path: Path, end: str) -> None:
        path = tmp_path / "declarations.toml"
        path.write_bytes(b"\xef\xbb\xbf" + WHOLE.replace("\n", end).encode())
        first, second = declaration_file.read(path, None, AT).items
        assert (first.line, second.line) == (2, 14)
        assert (first.date, first.expires) == ("2026-11-20", "2027-02-20T12:00:00+05:45")
        assert (second.date, second.expires) == ("2026-11-21", None)

    def test_passes_when_the_fact_survives_its_record(self, tmp_path: Path) -> None:
        read = written(tmp_path, WHOLE)
        again = msgspec.json.decode(msgspec.json.encode(read), type=Declarations)
        assert again == read
        assert read.items

    def test_fails_and_names_every_problem_at_once(self, tmp_path: Path) -> None:
        text = one(statment='"x"', by="7", date="2026-11-20T10:00:00") + one(
            release=None, expires='"soon"'
        )
        assert problems(tmp_path, text) == (
            'declarations.toml:1: by is no text: write by = "..."',
            "declarations.toml:1: date 2026-11-20T10:00:00 has no time zone; write it like "
            "2026-11-24, or 2026-11-24T12:00:00Z with its zone",
            "declarations.toml:1: unknown key 'statment'; did you mean statement?",
            "declarations.toml:9: expires 'soon' is no date that can be read; write it like "
            "2026-11-24, or 2026-11-24T12:00:00Z with its zone",
            "declarations.toml:9: release is missing",
        )

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("a = ", "declarations.toml:1: not TOML: Invalid value"),
            ("\n\nx == 1\n", "declarations.toml:3: not TOML: Invalid value"),
            ("[[declarations]]\n", "declarations.toml:1: unknown 'declarations'"),
            ("declaration = [{item = 'x'}]", "declarations.toml: write each declaration under"),
            ("[declaration]\n", "declarations.toml: write each declaration under"),
            (one(date="10:00:00"), "declarations.toml:1: date '10:00:00' is no date"),
            (one(date="9999-12-31"), "declarations.toml:1: date '9999-12-31' is no date"),
            (one(date="20261120"), "declarations.toml:1: date is no date"),
            (one(date="2026-02-30"), "declarations.toml:6: not TOML: Invalid date"),
            ("x = " + "[" * 9000, "declarations.toml: is nested too deep"),
        ],
    )
    def test_fails_and_names_what_is_no_declaration(
        self, tmp_path: Path, text: str, problem: str
    ) -> None:
        assert problems(tmp_path, text)[0].startswith(problem)

    def test_fails_and_names_a_date_that_is_written_in_two_ways(self, tmp_path: Path) -> None:
        inside = "'''\ndate = 2026-11-20T10:00:00.0Z\n'''"
        [problem] = problems(tmp_path, one(statement=inside, date="2026-11-20T10:00:00Z"))
        assert problem.startswith("declarations.toml:1: date is no date")

    def test_fails_and_names_bytes_and_files_that_cannot_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"gone.toml: cannot be read: No such file"):
            declaration_file.read(tmp_path / "gone.toml", None, AT)
        (tmp_path / "latin.toml").write_bytes(b"\n# \xe9\n")
        with pytest.raises(SettingsError, match=r"latin.toml:2: byte 0xe9 is not UTF-8"):
            declaration_file.read(tmp_path / "latin.toml", None, AT)


class TestEvidence:
    def problem(self, folder: Path, **keys: str) -> str | None:
        [read] = written(folder, one(**{key: f'"{value}"' for key, value in keys.items()})).items
        return read.evidence_problem

    def test_passes_when_the_digest_is_that_of_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "drill.pdf").write_bytes(b"drill")
        digest = hashlib.sha256(b"drill").hexdigest()
        assert self.problem(tmp_path, evidence="drill.pdf", sha256=digest) is None
        assert self.problem(tmp_path, evidence="drill.pdf", sha256=digest.upper()) is None
        assert self.problem(tmp_path, evidence="https://example.org/drill") is None

    @pytest.mark.parametrize(
        ("keys", "problem"),
        [
            ({"evidence": "gone.pdf", "sha256": "00"}, "its evidence gone.pdf is missing"),
            ({"evidence": "drill.pdf", "sha256": "0" * 64}, "drill.pdf has another sha256"),
            ({"evidence": "drill.pdf"}, "its evidence drill.pdf has no sha256"),
            ({"evidence": "."}, "its evidence . is a folder"),
            ({"evidence": "file:///etc/hosts"}, "its evidence file:///etc/hosts is missing"),
            ({"evidence": "a\\u0000b"}, "its evidence a\x00b is missing"),
            ({"evidence": "x" * 5000, "sha256": "00"}, "cannot be read: File name too long"),
            ({"sha256": "00"}, "it has a sha256 of no evidence"),
        ],
    )
    def test_fails_and_names_what_is_wrong_with_it(
        self, tmp_path: Path, keys: dict[str, str], problem: str
    ) -> None:
        (tmp_path / "drill.pdf").write_bytes(b"drill")
        found = self.problem(tmp_path, **keys)
        assert found is not None
        assert found.endswith(problem)
