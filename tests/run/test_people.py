"""What people write, from the files to every output of a run."""

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.run.project import BAD, GOOD, READY_INI, Project, Result, check_source, checks_file
from tests.run.test_replay import replay
from tests.servers.programs import need

TWO_BAD = BAD.replace("assert", 'evidence.finding("thing/b", "is too small as well")\nassert', 1)
FILES = "release = 2.4.1\nwaivers = waivers.toml\n\n[not_applicable]"
POLICY = """\
[roles]
deployment-manager = ["dm@example.org"]
operations-lead = ["ops@example.org"]
security-lead = ["sec@example.org"]
product-manager = ["pm@example.org"]
"""
REVIEW_INI = """\
[readiness]
system = shop
environment = test
phase = review
release = 2.4.1
declarations = declarations.toml
signoff = signoff.toml
"""


def waiver(item: str = "shop-two", **changes: str | None) -> str:
    """Return a waiver in force from 2020 to 2100, but for the changes; None leaves a key out."""
    said = {
        "item": f'"{item}"',
        "reason": '"the part arrives on Thursday"',
        "approver": '"sec@example.org"',
        "risk": '"one day"',
        "created": "2020-01-01",
        "expires": "2100-01-01",
        "ticket": '"OPS-1"',
        **changes,
    }
    lines = [f"{key} = {value}\n" for key, value in said.items() if value is not None]
    return "".join(["[[waiver]]\n", *lines])


def waiving(project: Project, *waivers: str, bad: str = BAD, longest: str = "40000d") -> Project:
    """Let the second check of the project fail, and give it waivers."""
    limits = f"max_waiver_blocker = {longest}\nmax_waiver_major = {longest}\n"
    project.write("readiness.ini", READY_INI.replace("\n[not_applicable]", limits + FILES))
    project.write("waivers.toml", "".join(waivers))
    checks = check_source("shop-one", GOOD), check_source("shop-two", bad)
    project.write("test_shop.py", checks_file(*checks))
    return project


def states(result: Result) -> dict[str, str]:
    return {one["item"]: one["state"] for one in result.report["waivers"]}


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_waived_fail_opens_the_gate_and_is_in_every_output(
    project: Project, workers: tuple[str, ...]
) -> None:
    waiving(project, waiver())
    result = project.run("-m", "readiness", "--junitxml", "junit.xml", *workers)
    assert result.code == 0, result.out
    assert "READY WITH WAIVERS (exit code 0)" in result.out
    assert "shop-two: until 2100-01-01 by sec@example.org: the part arrives" in result.out
    item = result.item("shop-two")
    assert item["outcome"] == "fail"
    assert item["waiver"]["ticket"] == "OPS-1"
    assert states(result) == {"shop-two": "used"}
    page, text = (
        (project.folder / "readiness-report" / f"report.{kind}").read_text()
        for kind in ("html", "md")
    )
    assert "fail, waived" in page
    assert "- [ ] **fail, waived**" in text
    (skipped,) = (
        case.find("skipped")
        for case in ElementTree.parse(project.folder / "junit.xml").iter("testcase")
        if case.get("name", "").startswith("shop-two ")
    )
    assert skipped is not None
    message = "WAIVED until 2100-01-01 by sec@example.org: the part arrives on Thursday"
    assert skipped.get("message") == message


def test_a_waiver_of_one_finding_does_not_cover_a_second_one(project: Project) -> None:
    one = waiver(finding='"thing/a"')
    result = waiving(project, one, bad=TWO_BAD).run("-m", "readiness")
    assert result.code == 1
    assert states(result) == {"shop-two": "uncovered"}
    assert result.item("shop-two")["waiver"] is None
    assert "waiver of sec@example.org: no waiver covers thing/b" in result.out
    both = one, waiver(finding='"thing/b"', expires="2099-01-01")
    result = waiving(project, *both, bad=TWO_BAD).run("-m", "readiness")
    assert result.code == 0, result.out
    assert result.item("shop-two")["waiver"]["finding"] == "thing/b"  # the one that ends first


def test_an_expired_waiver_lets_the_fail_count_and_says_so(project: Project) -> None:
    result = waiving(project, waiver(expires="2026-01-01")).run("-m", "readiness")
    assert result.code == 1
    assert states(result) == {"shop-two": "expired"}
    said = "shop-two: waiver of sec@example.org: expired on 2026-01-01: the fail counts"
    assert said in result.report["verdict"]["reasons"]
    assert "expired on 2026-01-01" in result.item("shop-two")["reason"]


def test_a_waiver_of_what_passes_is_to_be_removed(project: Project) -> None:
    result = waiving(project, waiver("shop-one"), bad=GOOD).run("-m", "readiness")
    assert result.code == 0
    assert result.report["verdict"]["name"] == "READY"
    assert states(result) == {"shop-one": "not-needed"}
    assert "shop-one: passes now: remove it" in result.out


@pytest.mark.parametrize("broken", ['raise OSError("gone")', "return", 'pytest.skip("later")'])
def test_a_waiver_never_covers_what_could_not_be_asked(project: Project, broken: str) -> None:
    result = waiving(project, waiver(), bad=broken).run("-m", "readiness")
    assert result.code in (1, 6)
    assert result.report["verdict"]["name"] == "INCOMPLETE"
    assert states(result) == {"shop-two": "unused"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (waiver("shop-twoo"), "waivers.toml:1: there is no item shop-twoo; did you mean shop-two?"),
        (waiver(approver='""'), "waivers.toml:1: shop-two: approver is empty"),
        (waiver(approver=None), "approver"),
        (waiver(expires=None), "expires"),
        (waiver(expires="2019-12-31"), "before it begins"),
        (waiver("k8s-nodes", expires="2200-01-01"), "is too long"),
        (waiver(expires="2200-01-01"), "is too long"),
        (waiver(expries="2030-01-01"), "did you mean expires?"),
        (waiver(created="2026-11-24T10:00:00"), "zone"),
        (waiver(approver="["), "waivers.toml"),
    ],
)
@pytest.mark.parametrize("workers", [(), ("-n", "1")])
def test_a_wrong_waiver_ends_the_run_before_any_question(
    project: Project, wrong: str, says: str, workers: tuple[str, ...]
) -> None:
    result = waiving(project, wrong).run("-m", "readiness", *workers)
    assert result.code == 4, result.out
    assert says in result.out
    assert "INTERNALERROR" not in result.out
    assert "Traceback" not in result.out


def test_a_waiver_of_a_check_that_a_part_does_not_collect_is_only_unused(project: Project) -> None:
    waiving(project, waiver())
    result = project.run("readiness/rollback/rollback::rollback-undo")
    assert result.code == 0, result.out
    assert states(result) == {"shop-two": "unused"}


def test_a_replay_judges_by_the_waivers_of_the_run(project: Project) -> None:
    ini = READY_INI.replace("rollback-undo = the test has no cluster\n", "")
    project.write("readiness.ini", ini.replace("\n[not_applicable]", FILES))
    project.write("waivers.toml", waiver("rollback-undo", created="2099-12-31"))
    first = project.run("-m", "readiness")
    assert states(first) == {"rollback-undo": "not-yet"}
    (project.folder / "waivers.toml").unlink()
    again = replay(project, "readiness-report")
    assert again.report["waivers"] == first.report["waivers"]


def declaration(item: str, **changes: str | None) -> str:
    """Return a declaration of today's release, but for the changes; None leaves a key out."""
    said = {
        "item": f'"{item}"',
        "statement": '"Done, and looked at."',
        "by": '"ops@example.org"',
        "role": '"operations-lead"',
        "date": "2026-11-24",
        "release": '"2.4.1"',
        **changes,
    }
    lines = [f"{key} = {value}\n" for key, value in said.items() if value is not None]
    return "".join(["[[declaration]]\n", *lines])


def declaring(folder: Path, *declarations: str) -> Project:
    project = Project(folder)
    project.write("readiness.ini", REVIEW_INI)
    project.write("signoff.toml", POLICY)
    project.write("declarations.toml", "".join(declarations))
    return project


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_declaration_passes_its_item_and_no_other(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    project = declaring(tmp_path, declaration("review-causes"))
    result = project.run("-m", "readiness", *workers)
    assert result.code == 6
    item = result.item("review-causes")
    assert item["outcome"] == "pass"
    (proof,) = item["evidence"]
    assert proof["observed"]["by"] == "ops@example.org, operations-lead"
    assert proof["examined"] == ["declarations.toml:1"]
    recorded = json.loads((tmp_path / "readiness-report" / proof["fact"]).read_text())
    assert recorded["answer"]["items"][0]["item"] == "review-causes"
    assert result.item("review-fixes")["outcome"] == "notchecked"
    assert result.item("review-fixes")["reason"] == "no declaration"
    assert [one["state"] for one in result.report["declarations"]] == ["counts"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (declaration("review-fixes", date="2020-01-01"), "expired on"),
        (declaration("review-fixes", date="2200-01-01"), "in the future"),
        (declaration("review-fixes", release='"2.3.0"'), "for release 2.3.0, this is 2.4.1"),
        (declaration("review-fixes", release='"any"'), "any release"),
        (declaration("review-fixes", statement='" "'), "without a statement"),
        (declaration("review-fixes", by='"x@example.org"'), "does not know"),
        (declaration("review-fixes", evidence='"gone.pdf"', sha256=f'"{"0" * 64}"'), "missing"),
        (declaration("review-fixes", evidence='"readiness.ini"', sha256='"00"'), "sha256"),
        (declaration("review-fixes", signature='"none"'), "its signature is not good"),
        (declaration("review-fixe"), "names review-fixe, which is no item"),
    ],
)
def test_a_declaration_that_does_not_count_says_exactly_why(
    tmp_path: Path, said: str, reason: str
) -> None:
    result = declaring(tmp_path, said).run("-m", "readiness")
    item = result.item("review-fixes")
    assert item["outcome"] == "notchecked"
    assert reason in item["reason"], item["reason"]
    assert reason in " ".join(result.out.split())


def test_a_declaration_never_overrides_a_probe_that_is_configured(tmp_path: Path) -> None:
    word = declaration("ch-backup", release='"any"')
    project = declaring(tmp_path, word)
    ini = REVIEW_INI.replace("phase = review", "phase = verification\ntimeout = 1s")
    project.write("readiness.ini", ini)
    only = "readiness/infrastructure/clickhouse::ch-backup"
    project.write("signoff.toml", 'require_signed_declarations = "no"\n' + POLICY)
    assert project.run(only).item("ch-backup")["outcome"] == "pass"
    target = "\n[clickhouse]\nurl = clickhouse+http://127.0.0.1:9\ncluster = risk\n"
    project.write("readiness.ini", ini + target)
    result = project.run(only)
    assert result.item("ch-backup")["outcome"] == "error"
    assert result.report["declarations"][0]["note"] == "[clickhouse] is set: its probe judges"


def test_check_says_what_does_not_count(tmp_path: Path) -> None:
    words = declaration("review-fixes", date="2020-01-01"), declaration("review-causes")
    project = declaring(tmp_path, *words)
    result = project.command("check")
    assert result.code == 6
    assert "declarations.toml: valid: 1 of 2 declarations count" in result.out
    assert "review-fixes: declared, but expired on" in result.out
    project.write("declarations.toml", "[[declaration]]\nitme = 1\n")
    result = project.command("check")
    assert result.code == 4
    assert "did you mean item?" in result.out


def test_check_names_the_waivers_that_only_a_run_can_judge(project: Project) -> None:
    result = waiving(project, waiver(), waiver("k8s-node")).command("check")
    assert "waivers.toml: valid: 2 waivers" in result.out
    assert "shop-two: no item of the checklist; of a check of your own?" in result.out
    assert "k8s-node: no item of the checklist; of a check of your own?; did you" in result.out
    result = waiving(project, waiver(), longest="90d").command("check")
    assert result.code == 4
    assert "is too long: 90d for any item" in result.out


def test_nobody_declares_where_no_policy_says_who_people_are(tmp_path: Path) -> None:
    project = declaring(tmp_path, declaration("review-fixes"))
    project.write("readiness.ini", REVIEW_INI.replace("signoff = signoff.toml\n", ""))
    reason = project.run("-m", "readiness").item("review-fixes")["reason"]
    assert reason == "no policy says who ops@example.org is: set signoff in readiness.ini"


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("declarations.toml", "[[declaration]]\nitme = 1\n", "did you mean item?"),
        ("declarations.toml", "[", "declarations.toml:1"),
        ("signoff.toml", "[rolls]\n", "did you mean roles?"),
        ("signoff.toml", POLICY + "[other]\n", "other"),
    ],
)
def test_a_file_with_a_wrong_form_ends_the_run(
    tmp_path: Path, file: str, text: str, says: str
) -> None:
    project = declaring(tmp_path)
    project.write(file, text)
    result = project.run("-m", "readiness")
    assert result.code == 4
    assert says in result.out


def test_every_run_attests_its_result_and_signs_it_with_the_key_of_ci(project: Project) -> None:
    (keygen,) = need("ssh-keygen")
    made = [str(keygen), "-q", "-t", "ed25519", "-N", "", "-f", str(project.folder / "ci")]
    subprocess.run(made, check=True)
    folder = project.folder / "readiness-report" / "attestations"
    assert project.run("-m", "readiness").code == 0
    said = json.loads((folder / "test-result.statement.json").read_text())
    assert said["predicate"]["result"] == "PASSED"
    assert said["predicate"]["passedTests"] == ["shop-one", "shop-two"]
    assert [path.name for path in folder.iterdir()] == ["test-result.statement.json"]
    keyed = READY_INI.replace("\n[not_applicable]", "ci_key = ci\n\n[not_applicable]")
    project.write("readiness.ini", keyed)
    assert project.run("-m", "readiness").code == 0
    names = ["-n", "test-result@attestation.readiness"]
    signature = folder / "test-result.statement.json.sig"
    checked = subprocess.run(
        [str(keygen), "-Y", "check-novalidate", *names, "-s", str(signature)],
        input=(folder / "test-result.statement.json").read_bytes(),
        check=False,
        capture_output=True,
    )
    assert checked.returncode == 0, checked.stderr
    project.write("ci", "no key")
    result = project.run("-m", "readiness")
    assert result.code == 3
    assert "the run could not be attested" in result.out


def test_a_replay_judges_by_the_declarations_of_the_run(tmp_path: Path) -> None:
    project = declaring(tmp_path, declaration("review-causes"))
    first = project.run("-m", "readiness")
    (tmp_path / "declarations.toml").unlink()
    again = replay(project, "readiness-report")
    assert again.outcomes() == first.outcomes()
    assert again.report["declarations"] == first.report["declarations"]
