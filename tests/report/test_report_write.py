import hashlib
import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

import pytest

from pytest_readiness.commands import render as command
from pytest_readiness.errors import ReadinessError
from pytest_readiness.report import html, write
from pytest_readiness.results import model
from tests.report import sample


def arguments(*words: str) -> Namespace:
    parser = ArgumentParser()
    command.arguments(parser)
    return parser.parse_args(words)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_writes_the_three_files_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    write.write_all(sample.full(), folder)
    assert sorted(contents(folder)) == sorted(model.FILES)
    assert contents(folder)["report.json"] == model.encode(sample.full())


def test_the_pages_name_the_digest_of_the_bytes(tmp_path: Path) -> None:
    write.write_all(sample.full(), tmp_path)
    files = contents(tmp_path)
    sha256 = hashlib.sha256(files["report.json"]).hexdigest().encode()
    assert sha256 in files["report.html"]
    assert sha256 in files["report.md"]


def test_refuses_a_directory_that_has_a_report(tmp_path: Path) -> None:
    write.write_all(sample.full(), tmp_path)
    before = contents(tmp_path)
    with pytest.raises(FileExistsError, match="a report is written once"):
        write.write_all(sample.partial(), tmp_path)
    assert contents(tmp_path) == before


def test_a_report_that_appears_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link

    def link(source: Path, target: Path) -> None:
        target.write_bytes(b"another run")
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(FileExistsError):
        write.write_all(sample.full(), tmp_path)
    assert contents(tmp_path) == {"report.json": b"another run"}


def test_writes_where_the_file_system_has_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    write.write_all(sample.full(), tmp_path)
    assert sorted(contents(tmp_path)) == sorted(model.FILES)


def test_report_json_is_there_when_a_page_cannot_be_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(report: model.Report, sha256: str, said: object) -> str:
        raise ValueError("no page")

    monkeypatch.setattr(html, "render", broken)
    with pytest.raises(ValueError, match="no page"):
        write.write_all(sample.full(), tmp_path)
    assert contents(tmp_path) == {"report.json": model.encode(sample.full())}


def test_a_directory_that_takes_no_file_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OSError, match="file"):
        write.write_all(sample.full(), blocked)


class TestRender:
    def test_rewrites_the_pages_byte_for_byte(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write.write_all(sample.full(), tmp_path)
        before = contents(tmp_path)
        (tmp_path / "report.html").write_text("changed")
        (tmp_path / "report.md").unlink()
        assert command.main(arguments(str(tmp_path))) == 0
        assert contents(tmp_path) == before
        printed = capsys.readouterr().out.splitlines()
        assert printed == [str(tmp_path / "report.html"), str(tmp_path / "report.md")]

    def test_writes_junit_where_it_is_asked_for(self, tmp_path: Path) -> None:
        write.write_all(sample.full(), tmp_path)
        junit = tmp_path / "junit.xml"
        assert command.main(arguments(str(tmp_path), "--junit", str(junit))) == 0
        assert junit.read_text(encoding="utf-8").startswith("<?xml")

    def test_names_the_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(ReadinessError, match=r"report\.json: not a readable report"):
            command.main(arguments(str(tmp_path)))

    def test_names_the_file_that_cannot_be_written(self, tmp_path: Path) -> None:
        write.write_all(sample.full(), tmp_path)
        with pytest.raises(ReadinessError, match="cannot write"):
            command.main(arguments(str(tmp_path), "--junit", str(tmp_path / "none" / "j.xml")))
