import re

import pytest

from pytest_readiness.report import markdown, terminal
from pytest_readiness.results.evidence import Finding, Outcome
from pytest_readiness.results.model import Report
from pytest_readiness.text import cells, wrap
from tests.report import extremes, golden, sample

SHA = sample.digest("report.json")


@pytest.mark.parametrize("name", golden.GOLDEN)
def test_equals_the_golden_files(name: str) -> None:
    for ending, text in golden.renderings(golden.GOLDEN[name]()).items():
        expected = (golden.FOLDER / f"{name}.{ending}").read_text(encoding="utf-8")
        assert text == expected, f"{name}.{ending}"


class TestMarkdown:
    def test_ticks_the_box_of_a_pass_and_of_nothing_else(self) -> None:
        report = sample.full()
        text = markdown.render(report, SHA)
        boxes = dict(re.findall(r"^- \[(.)\] .*?`([a-z0-9-]+)`$", text, re.MULTILINE))
        assert boxes.keys() >= {"x", " "}
        lines = [line for line in text.splitlines() if line.startswith("- [")]
        ticked = [line.split("`")[-2] for line in lines if line.startswith("- [x]")]
        passed = [item.id for item in report.items if item.outcome is Outcome.PASS]
        assert ticked == passed
        assert len(lines) == len(report.items)

    def test_keeps_the_order_of_the_checklist(self) -> None:
        report = sample.full()
        text = markdown.render(report, SHA)
        lines = [line for line in text.splitlines() if line.startswith("- [")]
        order = [line.split("`")[-2] for line in lines]
        sections = dict.fromkeys(item.section for item in report.items)
        assert order[:9] == [item.id for item in report.items[:9]]
        assert {*order} == {item.id for item in report.items}
        assert len(sections) == text.count("\n### ")

    def test_fails_stand_above_the_checklist_blockers_first(self) -> None:
        text = markdown.render(sample.full(), SHA)
        assert text.index("**BLOCKER**") < text.index("**MINOR**") < text.index("## Checklist")

    def test_nothing_of_a_finding_is_markup(self) -> None:
        text = markdown.render(extremes.hostile(), SHA)
        outside = re.sub(r"(`+)(?:(?!\1).)+\1(?!`)|\\.", "", text)
        outside = re.sub(r"  (`{3,})text\n.*?\n  \1\n", "", outside, flags=re.DOTALL)
        assert not re.search(r"<(?!https://)", outside)
        assert "\x1b" not in text
        assert "\u202e" not in text
        # Every other bold, heading and table line is our own.
        assert outside.count("|") == 8 * text.count("\n|")

    @pytest.mark.parametrize(
        ("text", "escaped"),
        [
            ("a\nb\r\n# c", r"a b \# c"),
            ("- item", r"\- item"),
            ("1. one", r"1\. one"),
            ("7.9 GB", "7.9 GB"),
            ("+ more", r"\+ more"),
            ("a|b <b> &lt; [x](y) ~~z~~ $x$", r"a\|b \<b\> \&lt; \[x\](y) \~\~z\~\~ \$x\$"),
            ("see https://x.y and www.z", r"see https\://x.y and www\.z"),
            ("\x1b[31m", r"\\x1b\[31m"),
        ],
    )
    def test_escapes(self, text: str, escaped: str) -> None:
        assert markdown.inline(text) == escaped

    @pytest.mark.parametrize(
        ("text", "span"),
        [
            ("a", "`a`"),
            ("a`b", "``a`b``"),
            ("`a", "`` `a ``"),
            ("", "` `"),
            ("a\n```b", "````a ```b````"),
        ],
    )
    def test_no_backtick_ends_a_code_span(self, text: str, span: str) -> None:
        assert markdown.code(text) == span

    def test_stays_below_the_limit_of_a_job_summary_with_every_item_in_it(self) -> None:
        finding = Finding("pod/" + "x" * 200, "y" * 900)
        base = extremes.large(300)
        items = tuple(
            sample.item(item.id, outcome=Outcome.FAIL, findings=(finding,) * 30)
            for item in base.items
        )
        text = markdown.render(sample.report(items), SHA)
        assert len(text.encode()) <= markdown.LIMIT
        assert text.count("\n- [ ]") == 300


class TestTerminal:
    def test_ends_in_verdict_reasons_and_the_path_of_the_page(self) -> None:
        report = sample.full()
        lines = golden.plain(terminal.lines(report, 200, "/run/r")).splitlines()
        reasons = [f"  - {reason}" for reason in report.verdict.reasons]
        assert lines[-6:] == [
            "LAB: NOT READY (exit code 1)",
            *reasons,
            "report: /run/r/report.html",
        ]

    @pytest.mark.parametrize("width", [20, 40, 60, 80, 132])
    @pytest.mark.parametrize("name", golden.REPORTS)
    def test_is_never_wider_than_the_terminal_but_for_long_words(
        self, name: str, width: int
    ) -> None:
        for line in golden.plain(terminal.lines(golden.REPORTS[name](), width, "r")).splitlines():
            words = line.split()
            longest = max((cells(word) for word in words), default=0)
            indent = len(line) - len(line.lstrip())
            mark = 3 if line.lstrip().startswith("-> ") else 0
            assert cells(line) <= max(width, indent + mark + longest), line

    def test_names_every_item_that_has_no_pass(self) -> None:
        for report in (sample.full(), sample.partial()):
            text = golden.plain(terminal.lines(report, 60, "r"))
            for item in report.items:
                if item.outcome is not Outcome.PASS:
                    assert item.id in text

    def test_says_a_reason_once_for_all_items_that_share_it(self) -> None:
        text = golden.plain(terminal.lines(sample.full(), 100, "r"))
        above = text.split("NOT READY")[0]
        assert above.count("no check yet") == 1
        assert above.count("connection refused") == 1

    def test_says_once_what_helps_against_several_causes(self) -> None:
        items = tuple(
            sample.item(f"k8s-{n}", outcome=Outcome.ERROR, reason=f"cause {n}", advice="Wait.")
            for n in range(3)
        )
        text = golden.plain(terminal.lines(sample.report(items), 80, "r"))
        assert text.count("-> Wait.") == 1
        assert text.index("cause 2") < text.index("-> Wait.")

    def test_own_words_are_ascii(self) -> None:
        report = sample.report((sample.item(),))
        assert golden.plain(terminal.lines(report, 80, "r")).isascii()

    def test_obeys_no_control_sequence_of_a_finding(self) -> None:
        text = golden.plain(terminal.lines(extremes.hostile(), 80, "r"))
        assert all(sign == "\n" or sign.isprintable() for sign in text)

    def test_counts_the_columns_of_wide_and_combining_signs(self) -> None:
        assert cells("日本") == 4
        assert cells("é") == 1
        lines = wrap("日本 " * 9, 10)
        assert {cells(line.rstrip()) for line in lines[:-1]} == {9}

    def test_a_snippet_keeps_its_indentation(self) -> None:
        text = golden.plain(terminal.lines(sample.full(), 80, "r"))
        assert "\n         - apiGroups: [" in text
        assert "\n           resources: [" in text


def test_a_rendering_is_a_function_of_the_report_alone() -> None:
    def all_of(report: Report) -> dict[str, str]:
        return golden.renderings(report)

    assert all_of(sample.full()) == all_of(sample.full())


def test_the_requests_of_a_run_are_in_the_pages_and_not_in_the_terminal() -> None:
    shown = golden.renderings(sample.full())
    assert "1 GET without an answer, 31 GET 200" in shown["md"]

    assert "Requests sent" not in shown["80.txt"]
