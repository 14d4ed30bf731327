import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from pytest_readiness.report import html
from pytest_readiness.report.view import Bucket
from pytest_readiness.results.evidence import Outcome
from pytest_readiness.results.model import Report
from tests.report import extremes, sample

SHA = sample.digest("report.json")
VOID = {"meta", "br", "img", "link", "input", "hr", "circle", "path", "rect", "use"}
REPORTS = [sample.full, sample.partial, sample.empty, extremes.hostile, extremes.large]


class Page(HTMLParser):
    """Tags with their attributes, the tree checked for balance, and the text by tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            self.text.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.text[tag][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def words(self, tag: str) -> list[str]:
        return [" ".join(text.split()) for text in self.text.get(tag, [])]


def page(report: Report) -> Page:
    return Page(html.render(report, SHA))


@pytest.fixture(params=REPORTS, ids=lambda make: make.__name__)
def any_report(request: pytest.FixtureRequest) -> Report:
    report: Report = request.param()
    return report


class TestStructure:
    def test_has_one_h1_a_language_and_headings_that_skip_no_level(
        self, any_report: Report
    ) -> None:
        found = page(any_report)
        assert len(found.all("h1")) == 1
        assert found.all("html") == [{"lang": "en"}]
        levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch(r"h\d", tag)]
        assert all(b - a <= 1 for a, b in pairwise(levels))

    def test_has_landmarks_and_a_skip_link(self, any_report: Report) -> None:
        found = page(any_report)
        for tag in ("header", "nav", "main", "footer"):
            assert len(found.all(tag)) == 1
        assert found.all("a")[0]["href"] == "#main"

    def test_every_table_has_a_caption_and_every_header_a_scope(self, any_report: Report) -> None:
        text = html.render(any_report, SHA)
        assert len(re.findall(r"<table[^>]*>\s*<caption", text)) == text.count("<table")
        assert all(attributes.get("scope") for attributes in page(any_report).all("th"))

    def test_links_within_the_page_arrive_and_ids_are_unique(self, any_report: Report) -> None:
        found = page(any_report)
        ids = [str(attributes["id"]) for _, attributes in found.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        targets = {
            str(attributes["href"])[1:]
            for _, attributes in found.tags
            if str(attributes.get("href")).startswith("#")
        }
        assert targets <= {*ids}

    def test_lab_stands_in_title_and_h1_of_a_run_on_the_lab_alone(self) -> None:
        lab, real = page(sample.full()), page(sample.production(sample.full()))
        assert lab.words("h1") == ["LAB: st-risk-platform readiness"]
        assert lab.words("title") == ["LAB: st-risk-platform readiness: NOT READY"]
        assert real.words("h1") == ["st-risk-platform readiness"]
        assert "LAB" not in html.render(sample.production(sample.full()), SHA)


class TestSafety:
    def test_loads_and_runs_nothing(self, any_report: Report) -> None:
        found = page(any_report)
        assert not {"script", "link", "img", "iframe", "object", "form", "base"} & {
            tag for tag, _ in found.tags
        }
        for tag, attributes in found.tags:
            assert not any(name.startswith("on") for name in attributes)
            assert "src" not in attributes
            address = attributes.get("href")
            if address is not None and not address.startswith("#"):
                assert tag == "a"
                assert re.match(r"https?://|facts/|report\.json$", address)
        policy = [a for a in found.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
        assert [a["content"] for a in policy] == [
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        ]
        assert "url(" not in "".join(found.text["style"])

    def test_no_free_text_becomes_markup(self) -> None:
        text = html.render(extremes.hostile(), SHA)
        assert "<script" not in text
        assert "<img" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "&#34;&#39;&lt;/td&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in text

    @pytest.mark.parametrize(
        "reference", ["javascript:alert(1)", "data:text/html,x", "docs/canary.md", " https://x"]
    )
    def test_only_a_web_address_becomes_a_link(self, reference: str) -> None:
        item = sample.item(outcome=Outcome.FAIL, reference=reference)
        addresses = [a["href"] for a in page(sample.report((item,))).all("a")]
        assert reference not in addresses
        assert html.link("https://example.org/") == "https://example.org/"

    @pytest.mark.parametrize("fact", ["../x", "facts/../../x", "javascript:x", "facts/x:y", "/x"])
    def test_only_a_file_of_the_run_becomes_a_link(self, fact: str) -> None:
        assert html.fact_link(fact) is None
        assert html.fact_link("facts/a.json") == "facts/a.json"


class TestContent:
    def test_says_verdict_reasons_identity_and_digest_first(self) -> None:
        report = sample.full()
        text = html.render(report, SHA)
        places = [
            text.index(word)
            for word in (
                ">LAB: NOT READY<",
                report.verdict.reasons[0],
                "Sections of the checklist",
                report.target.commit or "",
                report.run.id,
                SHA + "</code></td>",
                'id="failures"',
                'id="causes"',
                'id="unchecked"',
                'id="waived"',
                'id="checklist"',
                'id="settings"',
                'id="waivers"',
            )
        ]
        assert places == sorted(places)

    def test_status_is_a_word_and_a_shape(self) -> None:
        text = html.render(sample.full(), SHA)
        for name, word in (
            ("pass", "pass"),
            ("fail", "fail"),
            ("error", "error"),
            ("notchecked", "not checked"),
            ("notapplicable", "n/a"),
            ("waived", "fail, waived"),
        ):
            assert re.search(rf'<use href="#s-{name}"/></svg> {re.escape(word)}</span>', text)

    def test_a_dead_target_is_one_root_cause_that_names_its_items(self) -> None:
        text = html.render(sample.full(), SHA)
        causes = text[text.index('id="causes"') : text.index('id="unchecked"')]
        assert causes.count("connection refused") == 1
        for name in ("ch-replicas", "ch-replication", "ch-disk"):
            assert f">{name}</a>" in causes

    def test_every_item_stands_in_the_checklist_in_its_order(self) -> None:
        report = sample.full()
        found = re.findall(r'<tr id="item-([^"]+)">', html.render(report, SHA))
        assert found[:9] == [item.id for item in report.items[:9]]
        assert sorted(found) == sorted(item.id for item in report.items)

    def test_names_what_has_no_result_and_the_selection(self) -> None:
        text = " ".join(page(sample.partial()).text["body"][0].split())
        assert "37 of 38 items gave a result; without one: ch-disk." in text
        assert "never a release decision: readiness and kubernetes" in text

    def test_cuts_a_long_list_and_counts_what_it_cut(self) -> None:
        text = html.render(sample.full(), SHA)
        assert "<b>Examined 27:</b> node/n1," in text
        assert "node/n20, and 7 more" in text
        assert "node/n21" not in text

    def test_evidence_shows_question_command_and_fact(self) -> None:
        text = html.render(sample.full(), SHA)
        assert "<b>list nodes</b>" in text
        assert "<code>kubectl --context prod get nodes -o wide</code>" in text
        assert '<a href="facts/kubernetes-nodes.json">' in text

    def test_declarations_and_what_became_of_them_are_shown(self) -> None:
        shown = page(sample.full()).words("td")
        assert "counts: expires in 3 days" in shown
        refused = "refused: the policy does not know x@example.org as operations-lead"
        assert refused in shown

    def test_waivers_and_what_became_of_them_are_shown(self) -> None:
        shown = page(sample.full()).words("td")
        assert "in use until 2026-11-30" in shown
        assert "passes now: remove it" in shown
        assert "expired on 2026-11-20: the fail counts" in shown

    def test_a_whole_checklist_with_evidence_stays_below_400_kb(self) -> None:
        assert len(html.render(extremes.large(118), SHA).encode()) < 400_000


def test_bars_have_the_widths_of_their_counts() -> None:
    counts = {Bucket.PASS: 1, Bucket.FAIL: 0, Bucket.ERROR: 3}
    first, second = html.bar(counts)
    assert (first.x, second.x) == (0.0, 60.0)
    assert second.width > 2.9 * first.width
    assert html.bar(dict.fromkeys(Bucket, 0)) == ()
