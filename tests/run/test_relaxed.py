"""A run says which of its limits are below the checklist's, also when it was killed or merged."""

from typing import Any

from tests.run.project import READY_INI, Project


def named(report: Any) -> list[tuple[str, str, str]]:
    return [(one["key"], one["value"], one["checklist"]) for one in report["relaxed"]]


def test_a_looser_limit_and_a_blocker_left_out_are_in_report_and_terminal(
    project: Project,
) -> None:
    project.write(
        "readiness.ini",
        READY_INI.replace("[not_app", "max_waiver_blocker = 60d\nmax_age = 1h\n[not_app"),
    )
    ran = project.run("-m", "readiness")
    assert ran.code == 0, ran.out
    blockers = [
        item["id"]
        for item in ran.report["items"]
        if item["severity"] == "blocker" and item["id"].startswith("rollback")
    ]
    left_out = [(id, "the test has no cluster", "judged") for id in sorted(blockers)]
    assert named(ran.report) == [*left_out, ("max_waiver_blocker", "60d", "14d")]
    number = len(left_out) + 1
    assert f"READY (exit code 0), {number} limits below the checklist" in ran.out
    assert "[readiness] max_waiver_blocker: 60d, the checklist has 14d" in ran.out
    merged = project.command("merge", "readiness-report")
    assert merged.code == 0, merged.out
    assert f"READY (exit code 0), {number} limits below the checklist" in merged.out


def test_a_run_that_was_killed_says_it_too(project: Project) -> None:
    ran = project.run("-m", "readiness")
    for page in ("report.json", "report.html", "report.md"):
        (ran.folder / ran.report_name / page).unlink()
    rendered = project.command("render", ran.report_name)
    assert rendered.report["verdict"]["name"] == "INCOMPLETE"
    assert ("rollback-undo", "the test has no cluster", "judged") in named(rendered.report)
