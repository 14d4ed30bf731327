"""A readiness.ini that cannot be read as text is one clear message."""

import os
from pathlib import Path

import pytest

from pytest_readiness.errors import SettingsError
from pytest_readiness.settings import load


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class TestFiles:
    def test_fails_and_names_a_file_that_is_not_there(self, folder: Path) -> None:
        with pytest.raises(SettingsError) as caught:
            load(Path("readiness.ini"))
        assert str(caught.value) == "readiness.ini: no such file; `readiness init` writes one"

    def test_fails_and_names_a_folder(self, folder: Path) -> None:
        (folder / "readiness.ini").mkdir()
        with pytest.raises(SettingsError, match="is a folder, not a file"):
            load(Path("readiness.ini"))

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_fails_and_names_a_file_that_may_not_be_read(self, folder: Path) -> None:
        Path("readiness.ini").touch(mode=0)
        with pytest.raises(SettingsError, match="cannot be read: Permission denied"):
            load(Path("readiness.ini"))

    @pytest.mark.parametrize(
        ("data", "line"),
        [(b"[readiness]\r\nsystem = caf\xe9\r\n", 2), ("x".encode("utf-16"), 1)],
    )
    def test_fails_and_names_the_line_that_is_not_utf8(
        self, folder: Path, data: bytes, line: int
    ) -> None:
        Path("readiness.ini").write_bytes(data)
        with pytest.raises(SettingsError) as caught:
            load(Path("readiness.ini"))
        (problem,) = caught.value.problems
        assert problem.startswith(f"readiness.ini:{line}: byte 0x")
