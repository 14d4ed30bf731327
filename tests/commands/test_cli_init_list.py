"""`readiness init`, `list` and `check`, and what every command has in common."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_readiness import catalogue, cli
from pytest_readiness.checklist.discovery import checks
from pytest_readiness.commands import check, init
from pytest_readiness.commands.check import TargetAnswer
from pytest_readiness.errors import ProbeError, ProbeErrorKind, SettingsError
from pytest_readiness.settings import Settings, load, sections
from pytest_readiness.settings.sections import ITEM_SECTIONS
from pytest_readiness.signoff import policy, template
from tests.signoff.keys import person

INI = "[readiness]\nsystem = s\nenvironment = e\nphase = verification\n"
HEAVY = ("kubernetes", "clickhouse_connect", "httpx", "chdb", "cryptography", "jinja2", "pytest")

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def usage_error(*words: str) -> object:
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    return ended.value.code


class TestInit:
    def test_passes_when_the_file_is_new(self, folder: Path, capsys: Captured) -> None:
        assert cli.main(["init"]) == 0
        assert "wrote readiness.ini" in capsys.readouterr().out
        text = (folder / "readiness.ini").read_text(encoding="utf-8")
        assert all(line == "" or line[0] in ";#" for line in text.splitlines())
        assert all(len(line) <= 79 for line in text.splitlines() if line.startswith(";"))

    def test_fails_and_names_a_file_that_exists(self, folder: Path, capsys: Captured) -> None:
        (folder / "mine.ini").write_text("precious")
        assert cli.main(["init", "--output", "mine.ini"]) == 4
        assert capsys.readouterr().err == "mine.ini: exists; --force overwrites it\n"
        assert (folder / "mine.ini").read_text() == "precious"
        assert cli.main(["init", "--output", "mine.ini", "--force"]) == 0
        assert (folder / "mine.ini").read_text(encoding="utf-8") == init.text()

    def test_fails_and_names_a_folder_that_is_not_there(self, capsys: Captured) -> None:
        assert cli.main(["init", "--output", "gone/readiness.ini"]) == 4
        assert "gone/readiness.ini: cannot be written: No such file" in capsys.readouterr().err

    def test_fails_and_names_the_keys_it_needs_when_nothing_is_switched_on(self) -> None:
        cli.main(["init"])
        with pytest.raises(SettingsError) as caught:
            load(Path("readiness.ini"))
        assert caught.value.problems == (
            "readiness.ini:1: there is no section [readiness]; "
            "it needs the keys system, environment, phase",
        )

    def test_passes_when_all_of_it_is_switched_on(self, folder: Path) -> None:
        path = folder / "readiness.ini"
        path.write_text(re.sub("^#", "", init.text(), flags=re.MULTILINE))
        settings = load(path, resolve=False)
        expected = {name: set(section.keys) for name, section in sections().items()}
        expected |= {name: {items.example[0]} for name, items in ITEM_SECTIONS.items()}
        assert {name: set(keys) for name, keys in settings.values.items()} == expected

    def test_passes_when_the_defaults_it_shows_are_the_defaults(self, folder: Path) -> None:
        path = folder / "readiness.ini"
        path.write_text(re.sub("^#", "", init.text(), flags=re.MULTILINE))
        settings = load(path, resolve=False)
        for name, section in sections().items():
            for key in section.keys.values():
                if not key.key.example:
                    built = settings.targets.get(name) or getattr(settings, name)
                    assert getattr(built, key.name) == key.default


class TestInitSignoff:
    def test_passes_when_the_policy_is_the_only_file(self, folder: Path, capsys: Captured) -> None:
        assert cli.main(["init", "--signoff"]) == 0
        assert [path.name for path in folder.iterdir()] == ["signoff.toml"]
        assert (folder / "signoff.toml").read_text(encoding="utf-8") == template.text()
        out = capsys.readouterr().out
        assert out.startswith("wrote signoff.toml\nnext:\n")
        for part in ("e-mail addresses", "ssh-keygen -t ed25519", "into allowed_signers: "):
            assert part in out

    def test_passes_when_the_line_it_shows_lets_the_key_sign(
        self, folder: Path, capsys: Captured
    ) -> None:
        assert cli.main(["init", "--signoff", "--output", "signoff.toml"]) == 0
        out = capsys.readouterr().out
        shown = next(line.strip() for line in out.splitlines() if "namespaces=" in line)
        who = person(folder, "sec@example.org")
        line = shown.replace("ssh-ed25519 AAAA...", who.public)
        assert line == who.line("security-lead")
        (folder / "allowed_signers").write_text(line + "\n")
        found = policy.load(folder / "signoff.toml")
        assert found.lines[0].names(found.roles["security-lead"][0])

    def test_fails_and_names_a_file_that_exists(self, folder: Path, capsys: Captured) -> None:
        (folder / "mine.toml").write_text("precious")
        assert cli.main(["init", "--signoff", "--output", "mine.toml"]) == 4
        assert capsys.readouterr().err == "mine.toml: exists; --force overwrites it\n"
        assert (folder / "mine.toml").read_text() == "precious"
        assert cli.main(["init", "--signoff", "--output", "mine.toml", "--force"]) == 0
        assert (folder / "mine.toml").read_text(encoding="utf-8") == template.text()

    def test_fails_when_two_files_are_asked_for(self, capsys: Captured) -> None:
        assert usage_error("init", "--signoff", "--rbac") == 4
        assert "not allowed with argument" in capsys.readouterr().err


class TestList:
    def test_passes_when_every_item_is_listed(self, capsys: Captured) -> None:
        assert cli.main(["list"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert all(len(line) <= 80 for line in lines)
        listed = [line.split()[0] for line in lines if re.match(r"  [a-z]", line)]
        assert [name for name in listed if name != "id"] == [item.id for item in catalogue.load()]
        items, judged = catalogue.load(), checks()
        declared = sum(item.declarable and item.id not in judged for item in items)
        rest = len(items) - len(judged) - declared
        assert lines[-3] == (
            f"{len(items)} items: {len(judged)} by a check, {declared} by a declaration, "
            f"{rest} no check yet"
        )

    def test_passes_when_json_has_every_field(self, capsys: Captured) -> None:
        assert cli.main(["list", "--json", "--section", "smoke"]) == 0
        records = json.loads(capsys.readouterr().out)
        assert [record["id"] for record in records] == [
            "smoke-pods",
            "smoke-api",
            "smoke-database",
            "smoke-monitoring",
        ]
        assert records[0] == {
            "id": "smoke-pods",
            "title": "Test basic connectivity",
            "section": "testing",
            "subsection": "smoke",
            "phase": "testing",
            "severity": "blocker",
            "safety": "S1",
            "basis": "P",
            "valid_for": None,
            "any_release": False,
            "target": "kubernetes",
            "check": None,
        }

    def test_passes_when_phase_and_section_choose(self, capsys: Captured) -> None:
        assert cli.main(["list", "--json", "--phase", "signoff"]) == 0
        assert len(json.loads(capsys.readouterr().out)) == 4
        assert cli.main(["list", "--json", "--phase", "signoff", "--section", "security"]) == 0
        assert json.loads(capsys.readouterr().out) == []

    def test_fails_and_names_the_nearest_section(self, capsys: Captured) -> None:
        assert usage_error("list", "--section", "clickhous") == 4
        assert "did you mean clickhouse?" in capsys.readouterr().err


def refusal(kind: ProbeErrorKind) -> ProbeError:
    return ProbeError(
        kind,
        target="kubernetes prod",
        question="list nodes",
        cause="user reader may not list nodes " + "and more " * 10,
        advice="Apply this:\nkind: ClusterRole\n  rules: []",
    )


class TestCheck:
    @pytest.fixture
    def settings(self, folder: Path) -> Settings:
        (folder / "readiness.ini").write_text(INI)
        return load(Path("readiness.ini"))

    def test_fails_and_names_every_mistake(self, folder: Path, capsys: Captured) -> None:
        (folder / "other.ini").write_text(f"{INI}timeout = 10\nsafty = S1\n")
        assert cli.main(["check", "--readiness-ini", "other.ini"]) == 4
        assert [line[:12] for line in capsys.readouterr().err.splitlines()] == [
            "other.ini:5:",
            "other.ini:6:",
        ]

    def test_fails_when_no_target_is_named(self, settings: Settings, capsys: Captured) -> None:
        assert cli.main(["check"]) == 6
        assert capsys.readouterr().out.splitlines() == [
            "readiness.ini: valid: [readiness]",
            "no target has a section: nothing can be asked",
        ]

    @pytest.mark.parametrize(
        ("refusals", "says", "code"),
        [
            ((), "answers every question (5)", 0),
            ((ProbeErrorKind.FORBIDDEN,), "answers, but not every question (1 of 5 refused)", 6),
            ((ProbeErrorKind.UNREACHABLE,), "does not answer", 6),
        ],
    )
    def test_passes_when_each_target_is_told(
        self,
        settings: Settings,
        capsys: Captured,
        monkeypatch: pytest.MonkeyPatch,
        refusals: tuple[ProbeErrorKind, ...],
        says: str,
        code: int,
    ) -> None:
        answer = TargetAnswer("kubernetes prod", 5, tuple(map(refusal, refusals)))
        monkeypatch.setattr(check, "ask_targets", lambda _: [answer])
        assert check.ask(settings) == code
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == f"kubernetes prod: {says}"
        assert all(len(line) <= 80 for line in lines)
        if refusals:
            assert lines[1].startswith(f"  list nodes: {refusals[0]}: user reader may not list")
            assert lines[-2:] == ["    kind: ClusterRole", "      rules: []"]

    def test_passes_when_the_run_starts_the_lab(self, folder: Path, capsys: Captured) -> None:
        (folder / "readiness.ini").write_text(f"{INI}[lab]\n")
        assert cli.main(["check"]) == 0
        out = capsys.readouterr().out
        assert "kubernetes lab: answers every question (10)" in out
        assert "answers every question (7)" in out


class TestCommon:
    @pytest.mark.parametrize("words", [(), ("nonsense",), ("list", "--nonsense"), ("init", "x")])
    def test_fails_with_the_code_of_usage_errors(
        self, words: tuple[str, ...], capsys: Captured
    ) -> None:
        assert usage_error(*words) == 4
        assert capsys.readouterr().err.startswith("usage: readiness")

    def test_passes_when_the_version_is_asked(
        self, monkeypatch: pytest.MonkeyPatch, capsys: Captured
    ) -> None:
        monkeypatch.setattr("importlib.metadata.version", lambda name: f"9.9 of {name}")
        assert usage_error("--version") == 0
        assert capsys.readouterr().out == "pytest-readiness 9.9 of pytest-readiness\n"

    @pytest.mark.parametrize("name", sorted(cli.COMMANDS))
    def test_passes_when_the_command_explains_itself(self, name: str, capsys: Captured) -> None:
        assert usage_error(name, "--help") == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith(f"usage: readiness {name}")

    @pytest.mark.parametrize("name", sorted(cli.COMMANDS))
    def test_passes_when_the_module_has_both_parts(self, name: str) -> None:
        module = importlib.import_module(f"pytest_readiness.commands.{cli.COMMANDS[name][0]}")
        assert callable(module.arguments)
        assert callable(module.main)

    def test_passes_when_an_interrupt_has_the_code_of_pytest(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(_: object) -> int:
            raise KeyboardInterrupt

        monkeypatch.setattr(init, "main", interrupt)
        assert cli.main(["init"]) == 2

    def test_passes_when_nothing_heavy_is_imported(self) -> None:
        code = (
            "import sys, pytest_readiness.cli, pytest_readiness.settings.reader, "
            "pytest_readiness.catalogue, pytest_readiness.commands.init; "
            f"print([name for name in {HEAVY} if name in sys.modules])"
        )
        root = Path(cli.__file__).parents[1]
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
        )
        assert done.stdout == "[]\n"

    def test_passes_when_the_reader_of_a_pipe_goes_away(self) -> None:
        root = Path(cli.__file__).parents[1]
        code = "import sys; from pytest_readiness.cli import main; sys.exit(main(['list']))"
        child = subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=root,
            text=True,
        )
        assert child.stdout is not None
        child.stdout.close()
        _, errors = child.communicate(timeout=60)
        assert errors == ""
