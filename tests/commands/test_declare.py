"""`readiness declare`: what it asks, what it writes, what it says of it."""

import io
import tomllib
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from pytest_readiness import cli
from pytest_readiness.clock import now
from pytest_readiness.commands import declare
from pytest_readiness.people import declaration_file
from pytest_readiness.people.declaration_file import Row
from pytest_readiness.written import tables as toml_tables

INI = """[readiness]
system = s
environment = e
phase = verification
release = 2.4.1
signoff = signoff.toml
"""
POLICY = """required_roles = ["operations-lead"]
require_signed_declarations = "no"
[roles]
operations-lead = ["ops@example.org"]
"""
WORDS = ("--statement", "Channel is #release.", "--by", "ops@example.org")

Captured = pytest.CaptureFixture[str]


class Terminal(io.StringIO):
    """Somebody who types these lines, and then is gone."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    (tmp_path / "readiness.ini").write_text(INI, encoding="utf-8")
    (tmp_path / "signoff.toml").write_text(POLICY, encoding="utf-8")
    return tmp_path


def tables(path: Path = declare.FILE) -> list[Row]:
    found = toml_tables.read(path, "declaration", Row, declaration_file.DATES)
    return [table.row for table in found]


class TestWrites:
    def test_passes_when_the_rest_follows_from_ini_policy_and_item(self, capsys: Captured) -> None:
        assert cli.main(["declare", "team-channel", *WORDS]) == 0
        [row] = tables()
        assert (row.role, row.release) == ("operations-lead", "2.4.1")
        day = datetime.fromisoformat(row.date)
        assert timedelta(0) <= now() - day.replace(tzinfo=UTC) < timedelta(days=2)
        assert row.expires == f"{day + timedelta(days=7):%Y-%m-%d}"
        told = capsys.readouterr().out
        assert declare.table(row) in told
        assert "it counts until" in told

    @pytest.mark.parametrize(
        "before", [b"", b"# ours\r\n", b"# no end of line", b"\xef\xbb\xbf#\n"]
    )
    def test_passes_and_keeps_what_stood_there(self, folder: Path, before: bytes) -> None:
        path = folder / "declarations.toml"
        path.write_bytes(before)
        path.chmod(0o640)
        for count in (1, 2):
            before = path.read_bytes()
            assert cli.main(["declare", "team-channel", *WORDS]) == 0
            assert path.read_bytes().startswith(before)
            assert len(tables()) == count
        assert path.stat().st_mode & 0o777 == 0o640
        assert not list(folder.glob(".declarations*"))

    @pytest.mark.parametrize(
        "text",
        [
            'a "quote", a \\ and a \x7f',
            "two\nlines\r\n[[declaration]]\n# no comment",
            "\x00\x01\x1f\t\u2028 é 𝄞",
            "'''\"\"\"",
        ],
    )
    def test_passes_when_text_reads_back_as_it_was_said(self, text: str) -> None:
        assert cli.main(["declare", "team-channel", *WORDS[2:], "--statement", text]) == 0
        assert tables()[0].statement == text

    @pytest.mark.parametrize(
        "date", ["2026-11-20", "2026-11-20T10:00:00Z", "2026-11-20T10:00+05:45"]
    )
    def test_passes_when_a_date_is_kept_as_written(self, folder: Path, date: str) -> None:
        assert cli.main(["declare", "team-channel", *WORDS, "--date", date]) == 0
        assert tables()[0].date == date

    def test_passes_when_the_digest_of_a_file_is_told(self, folder: Path) -> None:
        (folder / "drill.pdf").write_bytes(b"drill")
        assert cli.main(["declare", "team-channel", *WORDS, "--evidence", "drill.pdf"]) == 0
        assert cli.main(["declare", "team-channel", *WORDS, "--evidence", "https://x.org"]) == 0
        assert [row.sha256 for row in tables()] == [sha256(b"drill").hexdigest(), None]

    def test_passes_and_follows_the_ini_and_a_link(self, folder: Path) -> None:
        (folder / "kept").mkdir()
        (folder / "kept/d.toml").write_text("# kept\n", encoding="utf-8")
        (folder / "d.toml").symlink_to("kept/d.toml")
        (folder / "readiness.ini").write_text(f"{INI}declarations = d.toml\n", encoding="utf-8")
        assert cli.main(["declare", "team-channel", *WORDS]) == 0
        assert (folder / "d.toml").is_symlink()
        assert len(tables(folder / "kept/d.toml")) == 1

    def test_passes_and_says_why_it_does_not_count(self, folder: Path, capsys: Captured) -> None:
        words = ["declare", "team-channel", *WORDS]
        assert cli.main([*words, "--release", "2.3.0"]) == 4
        assert capsys.readouterr().err == (
            "nothing was written, for it would not count: declared for release 2.3.0, this is "
            "2.4.1\n"
        )
        assert not declare.FILE.exists()
        (folder / "readiness.ini").unlink()
        assert cli.main([*words, "--release", "2.4.1", "--role", "operations-lead"]) == 0
        assert "does not count: no policy says who ops@example.org is" in capsys.readouterr().out


class TestAsks:
    def test_passes_and_shows_what_it_takes_by_itself(
        self, monkeypatch: pytest.MonkeyPatch, capsys: Captured
    ) -> None:
        answers = ["Channel is #release.", "ops@example.org", "", "2026-11-20", "", "", ""]
        monkeypatch.setattr("sys.stdin", Terminal("".join(f"{line}\n" for line in answers)))
        assert cli.main(["declare", "team-channel"]) == 0
        [row] = tables()
        assert (row.statement, row.role) == ("Channel is #release.", "operations-lead")
        assert (row.date, row.expires, row.release) == ("2026-11-20", "2026-11-27", "2.4.1")
        told = capsys.readouterr().out
        assert "team-channel: Communication channel established" in told
        assert "In which role [operations-lead]: " in told
        assert "Until [2026-11-27]: For which release [2.4.1]: " in told

    def test_fails_and_names_that_nothing_was_written_when_the_person_goes(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
    ) -> None:
        monkeypatch.setattr("sys.stdin", Terminal("Channel is #release.\n"))
        assert cli.main(["declare", "team-channel"]) == 4
        assert capsys.readouterr().err == "nothing was written\n"
        assert not (folder / "declarations.toml").exists()


class TestRefuses:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["team-chanel", *WORDS], "there is no item team-chanel; did you mean team-channel?"),
            (["k8s-nodes", *WORDS], "k8s-nodes takes no declaration: its basis is a probe (P)"),
            (["team-channel", *WORDS[2:]], "--statement is missing: nothing was written"),
            (["team-channel", *WORDS, "--statement", " "], "--statement is missing"),
            (["team-channel", *WORDS, "--by", "x@example.org"], "--role is missing"),
            (["team-channel", *WORDS, "--date", "20.11.2026"], "--date '20.11.2026' is no date"),
            (["team-channel", *WORDS, "--date", "2026-11-20T10:00"], "is no date"),
            (["team-channel", *WORDS, "--expires", "9999-12-31"], "is no date"),
            (["team-channel", *WORDS, "--evidence", "gone"], "gone cannot be read: No such file"),
            (["team-channel", *WORDS, "--statement", "\udc80"], "--statement is no text in UTF-8"),
            (["team-channel", *WORDS, "--file", "no/d.toml"], "no/d.toml: cannot be written"),
        ],
    )
    def test_fails_and_names_why_and_writes_nothing(
        self, folder: Path, capsys: Captured, words: list[str], message: str
    ) -> None:
        assert cli.main(["declare", *words]) == 4
        assert message in capsys.readouterr().err
        assert not (folder / "declarations.toml").exists()

    @pytest.mark.parametrize(
        "text", ["[[declaration]]\nitem = 1\n", "x = \n", "declaration = []\n"]
    )
    def test_fails_and_names_a_file_that_is_none_and_keeps_it(
        self, folder: Path, capsys: Captured, text: str
    ) -> None:
        path = folder / "declarations.toml"
        path.write_text(text, encoding="utf-8")
        assert cli.main(["declare", "team-channel", *WORDS]) == 4
        assert "declarations.toml:" in capsys.readouterr().err
        assert path.read_text(encoding="utf-8") == text


def test_passes_when_a_table_is_plain_toml() -> None:
    row = Row(
        item="x",
        statement="s",
        by="b",
        role="r",
        date="2026-11-20",
        release="any",
        signature="-----BEGIN\nAAAA\n-----END\n",
    )
    read = tomllib.loads(declare.table(row))["declaration"][0]
    assert read["signature"] == row.signature
    assert f"{read['date']}" == row.date
