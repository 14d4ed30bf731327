"""readiness.ini: every mistake is found, all at once, on its line, and no secret is repeated."""

import hashlib
import textwrap
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from pytest_readiness.catalogue.words import Safety
from pytest_readiness.errors import ReadinessError, SettingsError
from pytest_readiness.settings import Settings, from_values, load
from pytest_readiness.targets import targets
from pytest_readiness.targets.clickhouse.section import ClickHouse
from pytest_readiness.targets.kubernetes.section import Kubernetes
from pytest_readiness.written.keys import Phase

READINESS = """\
[readiness]
system = st-risk-platform
environment = production
phase = verification
"""
KUBERNETES = "[kubernetes]\ncontext = prod\nnamespace = st-risk\n"
CLICKHOUSE = "[clickhouse]\nurl = clickhouse+https://reader@ch.example.org:8443/risk\ncluster = r\n"
FULL = READINESS + KUBERNETES + CLICKHOUSE


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ini(text: str | bytes) -> Path:
    path = Path("readiness.ini")
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(ini(text))
    assert str(caught.value) == "\n".join(caught.value.problems)
    return list(caught.value.problems)


class TestReading:
    def test_passes_when_every_section_is_given(self, folder: Path) -> None:
        (folder / "ca.pem").write_text("ca")
        (folder / "pw").write_text("s3cret\n")
        text = FULL + textwrap.dedent(
            """\
            password = ${file:pw}     ; a reference
            ca_file = ca.pem
            replicated_exclude =      # tables, one a line
                staging_import        ; emptied every night
                ; a remark between

                scratch, temp
            max_backup_age = 36h
            min_free_disk = 8Gi
            min_free_share = 12.5%
            [not_applicable]
            migration-staging = no relational
                schema
            [elsewhere]
            load-throughput = staging
            [lab]
            faults =
            """
        )
        settings = load(ini(text))
        assert settings.readiness.phase is Phase.VERIFICATION
        assert settings.readiness.safety is Safety.S2
        assert settings.readiness.deadline == timedelta(minutes=15)
        kubernetes = settings.targets["kubernetes"]
        assert isinstance(kubernetes, Kubernetes)
        assert kubernetes.min_version == (1, 24)
        assert kubernetes.node_cpu == Decimal(4)
        assert kubernetes.node_memory == 8 * 1000**3
        clickhouse = settings.targets["clickhouse"]
        assert isinstance(clickhouse, ClickHouse)
        assert clickhouse.password is not None
        assert clickhouse.password.reveal() == "s3cret"
        assert clickhouse.ca_file == folder / "ca.pem"
        assert clickhouse.replicated_exclude == ("staging_import", "scratch", "temp")
        assert clickhouse.max_backup_age == timedelta(hours=36)
        assert clickhouse.min_free_disk == 8 * 1024**3
        assert clickhouse.min_free_share == 0.125
        assert settings.not_applicable == {"migration-staging": "no relational schema"}
        assert settings.elsewhere == {"load-throughput": "staging"}
        assert settings.lab is not None
        assert settings.lab.faults == ()
        assert settings.path == folder / "readiness.ini"
        assert settings.sha256 == hashlib.sha256(text.encode()).hexdigest()
        assert settings.secrets() == ["s3cret"]
        assert settings.values["clickhouse"]["password"] == "${file:pw}"
        assert settings.values["clickhouse"]["min_free_share"] == "12.5%"

    def test_passes_when_a_section_is_absent(self, folder: Path) -> None:
        settings = load(ini(READINESS))
        assert (settings.targets, settings.lab) == ({}, None)
        assert settings.not_applicable == settings.elsewhere == {}

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
    def test_passes_when_the_file_has_any_line_end_and_a_bom(
        self, folder: Path, end: str, bom: bytes
    ) -> None:
        settings = load(ini(bom + FULL.replace("\n", end).encode()))
        assert settings.readiness.environment == "production"

    def test_passes_when_a_value_holds_comment_signs_without_a_space(self, folder: Path) -> None:
        settings = load(ini(READINESS.replace("production", "a;b#c ;d") + "release = 50%(x)s\n"))
        assert settings.readiness.environment == "a;b#c"
        assert settings.readiness.release == "50%(x)s"

    def test_passes_when_a_secret_comes_from_the_environment(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CH_PASSWORD", "pa ss;#")
        settings = load(ini(FULL + "password = ${env:CH_PASSWORD}\n"))
        assert settings.secrets() == ["pa ss;#"]
        assert "pa ss" not in repr(settings)
        assert "pa ss" not in str(settings.targets["clickhouse"])

    def test_passes_when_in_cluster_has_no_context(self, folder: Path) -> None:
        settings = load(ini(READINESS + "[kubernetes]\nin_cluster = true\nnamespace = st-risk\n"))
        kubernetes = settings.targets["kubernetes"]
        assert isinstance(kubernetes, Kubernetes)
        assert kubernetes.in_cluster

    def test_passes_when_the_home_folder_is_meant(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(folder))
        (folder / "config").write_text("")
        settings = load(ini(FULL.replace("prod\n", "prod\nkubeconfig = ~/config\n", 1)))
        kubernetes = settings.targets["kubernetes"]
        assert isinstance(kubernetes, Kubernetes)
        assert kubernetes.kubeconfig == folder / "config"

    def test_passes_when_chdb_names_a_folder_beside_the_ini(self, folder: Path) -> None:
        (folder / "data").mkdir()
        settings = load(ini(READINESS + "[clickhouse]\nurl = chdb://data\ncluster = r\n"))
        clickhouse = settings.targets["clickhouse"]
        assert isinstance(clickhouse, ClickHouse)
        assert clickhouse.url == f"chdb://{folder / 'data'}"

    def test_passes_when_chdb_has_a_configuration(self, folder: Path) -> None:
        (folder / "data").mkdir(exist_ok=True)
        (folder / "c.xml").write_text("<clickhouse/>")
        url = "chdb://data?config-file=c.xml&database=risk"
        settings = load(ini(READINESS + f"[clickhouse]\nurl = {url}\ncluster = r\n"))
        clickhouse = settings.targets["clickhouse"]
        assert isinstance(clickhouse, ClickHouse)
        assert clickhouse.url == (
            f"chdb://{folder / 'data'}?config-file={folder / 'c.xml'}&database=risk"
        )

    def test_passes_when_nothing_is_resolved(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("UNSET", raising=False)
        settings = load(ini(FULL + "password = ${env:UNSET}\nca_file = gone.pem\n"), resolve=False)
        assert settings.secrets() == []
        clickhouse = settings.targets["clickhouse"]
        assert isinstance(clickhouse, ClickHouse)
        assert clickhouse.password is not None
        with pytest.raises(ReadinessError, match="was not read"):
            clickhouse.password.reveal()

    def test_passes_when_all_is_frozen(self, folder: Path) -> None:
        settings = load(ini(FULL))
        for struct in (settings, settings.readiness, *settings.targets.values()):
            with pytest.raises(AttributeError):
                setattr(struct, struct.__struct_fields__[0], 1)
        assert isinstance(settings, Settings)
        assert isinstance(settings.targets["clickhouse"], ClickHouse)


class TestReplay:
    def test_passes_when_recorded_values_give_the_same_settings(self, folder: Path) -> None:
        text = FULL + "password = ${file:gone}\nreplicated_exclude =\n  a\n  b\n"
        settings = load(ini(text), resolve=False)
        again = from_values(settings.values, origin="report.json", base=folder)
        assert again.targets == settings.targets
        assert again.values == settings.values
        assert msgspec.structs.replace(again, sha256=settings.sha256) == settings

    def test_fails_and_names_the_origin(self, folder: Path) -> None:
        with pytest.raises(SettingsError) as caught:
            from_values(
                {"readiness": {"system": "s", "environment": "e", "phase": "x", "timeout": "10"}},
                origin="run/report.json",
                base=folder,
            )
        assert [line.split(": ")[:2] for line in caught.value.problems] == [
            ["run/report.json", "phase"],
            ["run/report.json", "timeout"],
        ]


class TestSupplied:
    def test_passes_when_the_file_adds_thresholds_to_what_is_supplied(self, folder: Path) -> None:
        lab = {"kubernetes": {"context": "lab", "namespace": "risk"}}
        settings = load(ini(READINESS + "[kubernetes]\nmin_nodes = 9\n"), supplied=lab)
        kubernetes = settings.targets["kubernetes"]
        assert isinstance(kubernetes, Kubernetes)
        assert (kubernetes.context, kubernetes.min_nodes) == ("lab", 9)
        assert settings.values["kubernetes"] == {**lab["kubernetes"], "min_nodes": "9"}
        assert "clickhouse" not in settings.targets

    def test_fails_and_names_the_key_that_says_where_a_real_target_is(self, folder: Path) -> None:
        with pytest.raises(SettingsError, match=r"readiness.ini:6: \[kubernetes\] context"):
            load(
                ini(READINESS + "[kubernetes]\ncontext = prod\n"),
                supplied={"kubernetes": {"context": "lab", "namespace": "risk"}},
            )

    def test_fails_and_names_the_key_that_is_supplied_wrong(self, folder: Path) -> None:
        with pytest.raises(SettingsError, match=r"readiness.ini: kubeconfig: 'gone' is no file"):
            load(
                ini(READINESS),
                supplied={"kubernetes": {"context": "a", "namespace": "b", "kubeconfig": "gone"}},
            )

    @pytest.mark.parametrize("name", targets())
    def test_a_limit_beside_a_lab_that_is_not_running_needs_no_place(
        self, folder: Path, name: str
    ) -> None:
        text = f"{READINESS}[{name}]\n"
        assert name in load(ini(f"{text}[lab]\n"), resolve=False, stand_ins=True).targets
        for also, stand_ins in (("", True), ("[lab]\n", False)):
            with pytest.raises(SettingsError, match="needs the key"):
                load(ini(text + also), resolve=False, stand_ins=stand_ins)


class TestMistakes:
    def test_fails_and_names_all_of_them_in_order(self, folder: Path) -> None:
        text = (
            "[readiness]\r\n"
            "system = s\r\n"
            "sytem = s\r\n"
            "phase = verifcation\r\n"
            "timeout = 10\r\n"
            "\r\n"
            "[clickhuose]\r\n"
            "url = x\r\n"
            "[clickhouse]\r\n"
            "cluster = r\r\n"
            "replicated_exclude =\r\n"
            "    a\r\n"
            "    b\r\n"
            "password = hunter2\r\n"
            "cluster = q\r\n"
        )
        assert problems(text) == [
            "readiness.ini:1: [readiness] needs the key environment",
            "readiness.ini:3: unknown key sytem in [readiness]; did you mean system?",
            "readiness.ini:4: phase: 'verifcation' is not one of verification, testing, "
            "deployment, rollback, review, all; did you mean verification?",
            "readiness.ini:5: timeout: '10' has no unit: a duration is written like "
            "30s, 5m, 24h or 90d",
            "readiness.ini:7: unknown section [clickhuose]; did you mean clickhouse?",
            "readiness.ini:9: [clickhouse] needs the key url",
            "readiness.ini:14: password: is a literal; write ${env:NAME} or ${file:PATH}",
            "readiness.ini:15: cluster is already on line 10",
        ]

    @pytest.mark.parametrize(
        ("text", "line", "words"),
        [
            ("system = s\n[readiness]\n", 1, "before the first [SECTION]"),
            (f"{READINESS}[kubernetes\n", 5, "not a section header"),
            (f"{READINESS}{READINESS}", 5, "section [readiness] is already on line 1"),
            (f"{READINESS}release\n", 5, "neither KEY = VALUE nor [SECTION]"),
            (f"{READINESS}= x\n", 5, "neither KEY = VALUE nor [SECTION]"),
            (f"{READINESS}release =\n", 5, "release: is empty"),
            (f"{READINESS}release = ; 1.2\n", 5, "release: is empty"),
            (f"{READINESS}release = a\x00b\n", 5, "control character"),
            (f"{READINESS}release = 1\n  commit = 2\n", 6, "release: takes one line"),
            (f"{READINESS}release =\n  1\n", 6, "release: takes one line"),
            ("[readiness]\n  system = s\n", 2, "continues a value, and there is none"),
            ("", 1, "no section [readiness]; it needs the keys system, environment, phase"),
            (f"{READINESS}Release = 1\n", 5, "unknown key Release in [readiness]; did you mean"),
            (f"{READINESS}qqqqqq = 1\n", 5, "unknown key qqqqqq in [readiness]"),
            (f"{READINESS}safety = S5\n", 5, "safety: 'S5' is not one of S0, S1, S2, S3, S4"),
            (f"{READINESS}timeout = 0s\n", 5, "timeout: '0s' is less than 1ms"),
            (f"{READINESS}deadline = 5s\n", 5, "is shorter than timeout"),
            (f"{READINESS}timeout = 1h\n", 1, "is shorter than timeout"),
            (f"{READINESS}waivers = w.toml\n", 5, "waivers: 'w.toml' is no file"),
            (f"{READINESS}signoff = s.toml\n", 5, "signoff: 's.toml' is no file"),
            (f"{READINESS}declarations = .\n", 5, "declarations: '.' is a folder"),
            (f"{READINESS}release = ${{env:HOME}}\n", 5, "release: references ${...} are for"),
            (f"{READINESS}[kubernetes]\nnamespace = a\n", 5, "needs the key context (or in_cl"),
            (f"{READINESS}[kubernetes]\ncontext = a\n", 5, "needs the key namespace"),
            (f"{READINESS}{KUBERNETES}in_cluster = true\n", 6, "context means nothing when in_cl"),
            (f"{READINESS}{KUBERNETES}in_cluster = yes\n", 8, "'yes' is neither true nor false"),
            (f"{READINESS}{KUBERNETES}kubeconfig = no\n", 8, "kubeconfig: 'no' is no file"),
            (f"{READINESS}{KUBERNETES}min_version = 1.24.1\n", 8, "is not MAJOR.MINOR"),
            (f"{READINESS}{KUBERNETES}min_nodes = 0\n", 8, "min_nodes: '0' is less than 1"),
            (f"{READINESS}{KUBERNETES}min_nodes = -1\n", 8, "'-1' is not a whole number"),
            (f"{READINESS}{KUBERNETES}min_nodes = ٣\n", 8, "is not a whole number"),
            (f"{READINESS}{KUBERNETES}node_cpu = four\n", 8, "not a number of cores"),
            (f"{READINESS}{KUBERNETES}node_memory = 8\n", 8, "'8' has no unit: a size"),
            (f"{READINESS}{KUBERNETES}node_memory = 8gb\n", 8, "did you mean GB?"),
            (f"{READINESS}{KUBERNETES.replace('st-risk', '../x')}", 7, "is no Kubernetes name"),
            (f"{READINESS}{CLICKHOUSE}ca_file = ca.pem\n", 8, "ca_file: 'ca.pem' is no file"),
            (f"{READINESS}{CLICKHOUSE}min_replicas = 0\n", 8, "is less than 1"),
            (f"{READINESS}{CLICKHOUSE}min_free_share = 10\n", 8, "'10' has no unit: a share"),
            (f"{READINESS}{CLICKHOUSE}min_free_share = 101%\n", 8, "more than 100%"),
            (f"{READINESS}{CLICKHOUSE}min_free_disk = 0.5B\n", 8, "whole number of bytes"),
            (f"{READINESS}{CLICKHOUSE}max_backup_age = 1.5h\n", 8, "is not whole"),
            (f"{READINESS}{CLICKHOUSE}max_backup_age = 9999999999w\n", 8, "longer than any"),
            (f"{READINESS}{CLICKHOUSE}max_backup_age = 24hours\n", 8, "no unit of a duration"),
            (f"{READINESS}{CLICKHOUSE}backup_api = ftp://x\n", 8, "begins with none of http://"),
            (f"{READINESS}{CLICKHOUSE}backup_api_user = x\n", 8, "needs the key backup_api"),
            (f"{READINESS}[not_applicable]\nk8s-node = x\n", 6, "did you mean k8s-nodes?"),
            (f"{READINESS}[not_applicable]\nk8s-nodes =\n", 6, "k8s-nodes: give the reason"),
            (f"{READINESS}[elsewhere]\nk8s-nodes =\n", 6, "k8s-nodes: give the environment"),
            (f"{READINESS}[not_applicable]\nsignoff-security-lead = x\n", 6, "unknown item"),
            (f"{READINESS}[lab]\nfault = x\n", 6, "unknown key fault in [lab]; did you mean faul"),
        ],
    )
    def test_fails_and_names_the_line(self, folder: Path, text: str, line: int, words: str) -> None:
        found = [problem for problem in problems(text) if words in problem]
        assert len(found) == 1
        assert found[0].startswith(f"readiness.ini:{line}: ")

    def test_fails_and_names_an_item_that_stands_in_both_sections(self, folder: Path) -> None:
        text = f"{READINESS}[not_applicable]\nk8s-nodes = x\n[elsewhere]\nk8s-nodes = staging\n"
        assert problems(text) == [
            "readiness.ini:8: k8s-nodes stands in [not_applicable] and in [elsewhere]: keep one"
        ]

    def test_fails_and_names_one_line_where_a_bad_one_is_continued(self, folder: Path) -> None:
        assert len(problems(f"{READINESS}release\n   more\n   and more\n")) == 1

    def test_passes_when_a_path_outside_the_working_directory_is_named_in_full(
        self, folder: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        path = tmp_path_factory.mktemp("other") / "r.ini"
        path.write_text("x\n")
        with pytest.raises(SettingsError, match=str(path)):
            load(path)
        inside = folder / "r.ini"
        inside.write_text("x\n")
        with pytest.raises(SettingsError) as caught:
            load(inside)
        assert caught.value.problems[0].startswith("r.ini:1: ")


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("https://h:8443/d", "begins with none of clickhouse+https://"),
            ("clickhose+http://h", "did you mean clickhouse+http?"),
            ("CHDB://x", "did you mean chdb?"),
            ("h:8443", "write it like"),
            ("clickhouse+http://", "names no host"),
            ("clickhouse+http://h:port/d", "has no host:port that can be read"),
            ("clickhouse+http://h:99999/d", "has no host:port that can be read"),
            ("clickhouse+http://h/d?x=1", "has a ?query"),
            ("clickhouse+http://h/d#x", "has a ?query, a #fragment"),
            ("chdb://", "names no folder"),
            ("chdb://gone", "is no folder"),
            ("chdb://.?config-file=gone.xml", "is no file"),
            ("chdb://.?user=x", "has user; known are config-file and database"),
        ],
    )
    def test_fails_and_names_what_is_wrong(self, folder: Path, url: str, words: str) -> None:
        (problem,) = problems(f"{READINESS}[clickhouse]\ncluster = r\nurl = {url}\n")
        assert problem.startswith("readiness.ini:7: url: ")
        assert words in problem


class TestSecrets:
    @pytest.mark.parametrize(
        "line",
        [
            "password = hunter2",
            "password = x${env:HOME}hunter2",
            "password = ${env:HOME}hunter2",
            "password = ${hunter2}",
            "pasword = hunter2",
            "backup_api = http://u:hunter2@h",
            "backup_api = http://u:hunter2/x@h:z",
            "backup_api = http://u:hunter2@",
            "password =\n  hunter2",
            "hunter2",
            "clickhouse+http://u:hunter2@h?a=b",
        ],
    )
    def test_fails_and_does_not_repeat_a_literal(self, folder: Path, line: str) -> None:
        found = problems(FULL + line + "\n")
        assert "hunter2" not in "\n".join(found)

    @pytest.mark.parametrize("host", ["u:hunter2@h/d", "u:@h", "u:hunter2/@h", ":hunter2@h"])
    def test_fails_when_the_url_holds_a_password(self, folder: Path, host: str) -> None:
        text = f"{READINESS}[clickhouse]\ncluster = r\nurl = clickhouse+http://{host}\n"
        (problem,) = problems(text)
        assert "hunter2" not in problem

    @pytest.mark.parametrize(
        ("reference", "words"),
        [
            ("${env:UNSET_NAME}", "environment variable UNSET_NAME is not set"),
            ("${env:EMPTY_NAME}", "${env:EMPTY_NAME} is empty"),
            ("${env:a-b}", "'a-b' is no name of an environment variable"),
            ("${file:gone}", "cannot read"),
            ("${file:empty}", "${file:empty} is empty"),
            ("${file:latin}", "is not UTF-8"),
            ("${file:.}", "cannot read"),
        ],
    )
    def test_fails_and_names_the_reference(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, reference: str, words: str
    ) -> None:
        monkeypatch.delenv("UNSET_NAME", raising=False)
        monkeypatch.setenv("EMPTY_NAME", "")
        (folder / "empty").write_text("\n")
        (folder / "latin").write_bytes(b"\xe9")
        (problem,) = problems(FULL + f"password = {reference}\n")
        assert problem.startswith("readiness.ini:11: password: ")
        assert words in problem
