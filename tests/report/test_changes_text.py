"""Changes as people read them: hostile texts, and more of them than a comment holds."""

import re

import msgspec
import pytest

from pytest_readiness.catalogue.words import Severity
from pytest_readiness.report import changes_text
from pytest_readiness.report.changes import Changes, State, compare
from pytest_readiness.results.evidence import Finding, Outcome
from pytest_readiness.results.model import Item
from pytest_readiness.text import cells
from tests.report import extremes, sample
from tests.report.changed import NOT_READY, STATES, of, only, text, with_run, with_target


def outside_code(markdown: str) -> str:
    """Return the text without its code spans and what is escaped."""
    return re.sub(r"(?<!`)(`+)(?!`)(?:.*?[^`])\1(?!`)|\\.", "", markdown)


def _hostile() -> Changes:
    """Return changes of every kind with markup, links, mentions and controls in every text."""
    nasty = (
        "@everyone #12 GH-12 OPS-812 https://evil.example www.evil.example "
        f"4f1c2e7d0b6a4a0b9a53f4f0a54f2c1f0d1f9a77 :tada: me@evil.example {extremes.HOSTILE}"
    )
    old, new = sample.production(extremes.hostile()), sample.production(extremes.hostile())

    def spoil(item: Item, number: int) -> Item:
        base = msgspec.structs.replace(item, id=f"{nasty} {number}", title=nasty)
        fields = [*STATES.values()][number % len(STATES)]
        proof = sample.proof(question=nasty, observed={nasty: [nasty, number], "b": nasty})
        finding = Finding(nasty, f"{nasty} {number}")
        return msgspec.structs.replace(
            base, **{**fields, "findings": (finding,), "evidence": (proof,)}
        )

    olds = [spoil(item, number) for number, item in enumerate(old.items)]
    news = [
        msgspec.structs.replace(
            spoil(item, 3 * number + 1), id=olds[number].id if number % 9 else f"{nasty} new"
        )
        for number, item in enumerate(new.items[:20])
    ]
    news = list({item.id: item for item in news}.values())
    waiver = msgspec.structs.replace(sample.WAIVER, item=nasty, reason=nasty, approver=nasty)
    values = {nasty: {nasty: nasty}}
    settings = msgspec.structs.replace(new.settings, sha256="00", values=values)
    new = msgspec.structs.replace(
        new, items=tuple(news), waivers=(sample.listed(waiver),), settings=settings
    )
    new = with_run(with_target(new, environment=nasty, phase="1. one", release=nasty), id=nasty)
    return compare(msgspec.structs.replace(old, items=tuple(olds)), new)


class TestHostileTexts:
    def test_nothing_becomes_markup_a_link_or_a_mention(self) -> None:
        shown = changes_text.markdown(_hostile())
        outside = outside_code(shown)
        assert "everyone" in shown
        for part in ("@", "://", "www.", "<", "`", "[", "|", "OPS-", "GH-", "4f1c2e7", ":tada:"):
            assert part not in outside, part
        assert not re.search(r"#\d", outside)
        headings = [line for line in outside.splitlines() if line.startswith("#")]
        assert all(re.fullmatch(r"####? [\w ,:;()-]*", line) for line in headings)
        assert all(sign == "\n" or sign.isprintable() for sign in shown)

    @pytest.mark.parametrize("width", [1, 20, 80])
    def test_no_control_sequence_reaches_a_terminal(self, width: int) -> None:
        shown = text(_hostile(), width)
        assert all(sign == "\n" or sign.isprintable() for sign in shown)

    @pytest.mark.parametrize(
        "harmless",
        ["Minimum 3 nodes with 4 CPU and 8GB RAM each", "2026-11-24 06:30:01 UTC", "a: b"],
    )
    def test_ordinary_words_stay_words(self, harmless: str) -> None:
        # Where it begins like a list it has a backslash more, which no page shows.
        assert changes_text._safe(harmless).replace("\\", "") == harmless


class TestSize:
    def crowd(self, number: int, words: str) -> Changes:
        """Return changes in which a fifth of the items is worse; the others have new evidence."""
        old = [sample.item(f"item-{n:05}", words) for n in range(number)]
        new = []
        for n, item in enumerate(old):
            findings = tuple(Finding(f"pod/{words}-{k}", words) for k in range(30))
            change = {"outcome": Outcome.FAIL, "findings": findings} if n % 5 == 0 else {}
            proof = sample.proof(observed={f"v{k}": f"{words} {n}" for k in range(5)})
            new.append(msgspec.structs.replace(item, evidence=(proof,), **change))
        return compare(of(*old), of(*new, verdict=NOT_READY))

    @pytest.mark.parametrize("number", [1, 100, 500, 3000])
    @pytest.mark.parametrize("words", ["a word", "\u202e日本@`<" * 300], ids=["short", "long"])
    def test_a_comment_stays_below_64_kb_and_counts_what_it_leaves_out(
        self, number: int, words: str
    ) -> None:
        found = self.crowd(number, words)
        shown = changes_text.markdown(found)
        assert len(shown.encode()) < 65_536
        worse = len(found.regressions)
        first, *rest = re.split(r"^#### ", shown, flags=re.MULTILINE)[1:]
        assert first.startswith(f"Regressions: newly failing ({worse})\n")
        for group in (first, *rest):
            total = re.match(r".*\((\d+)\)\n", group)
            more = re.search(r"^- and (\d+) more$", group, re.MULTILINE)
            named = len(re.findall(r"^- \*\*", group, re.MULTILINE))
            assert total is not None
            assert named + (int(more[1]) if more else 0) == int(total[1])
        assert f"{worse} regression" in shown.split("####")[0]

    def test_regressions_are_named_before_room_is_given_to_anything_else(self) -> None:
        found = self.crowd(3000, "a word")
        shown = changes_text.markdown(found)
        assert all(f"`{id}`" in shown for id in found.regressions)

    def test_a_regression_keeps_its_details_where_a_crowd_of_others_is_cut(self) -> None:
        crowd = self.crowd(3000, "a word")
        calm = msgspec.structs.replace(
            crowd, items=crowd.items[:1], regressions=crowd.regressions[:1]
        )
        shown = changes_text.markdown(calm)
        assert shown.count("\n  - `pod/a word-") == 10
        assert "\n  - and 20 more\n" in shown
        assert re.search(r"^- and \d+ more$", shown, re.MULTILINE)
        assert len(shown.encode()) < 65_536

    def test_every_regression_is_named_before_another_has_details(self) -> None:
        old = [sample.item(f"item-{n:04}", "a word") for n in range(900)]
        findings = tuple(Finding(f"pod/{k}", "b" * 300) for k in range(20))
        new = [
            msgspec.structs.replace(item, outcome=Outcome.FAIL, findings=findings)
            for item in old[:20]
        ]
        shown = changes_text.markdown(compare(of(*old), of(*new)))
        assert len(shown.encode()) < 65_536
        assert all(f"`{item.id}`" in shown for item in old)

    def test_a_terminal_gets_all_of_them_regressions_last(self) -> None:
        found = self.crowd(1000, "a word")
        shown = text(found)
        assert all(f"{id}:" in shown for id in found.regressions)
        assert shown.index("evidence changed") < shown.index("regressions: newly failing (200)")
        assert shown.splitlines()[-3].startswith("200 regressions of 1000 changes")
        assert "    and 20 more" in shown

    def test_lines_keep_the_width(self) -> None:
        found = compare(only(State.PASS), sample.production(sample.full()))
        for line in changes_text.lines(found, 60):
            longest = max(map(cells, line.split()), default=0)
            assert cells(line) <= max(60, 6 + longest)


def test_blockers_come_last_in_a_terminal_and_first_in_a_comment() -> None:
    old = [sample.item("a-minor", severity=Severity.MINOR), sample.item("b-blocker")]
    new = [msgspec.structs.replace(item, outcome=Outcome.FAIL) for item in old]
    found = compare(of(*old), of(*new))
    assert text(found).index("a-minor") < text(found).index("b-blocker")
    comment = changes_text.markdown(found)
    assert comment.index("b-blocker") < comment.index("a-minor")


def test_of_long_lists_only_what_left_and_joined_is_shown() -> None:
    names = [f"table_{number}" for number in range(3000)]
    items = (
        of(sample.item(evidence=(sample.proof(observed={"tables": side}),)))
        for side in (names, [*names[1:], "orders"])
    )
    shown = text(compare(*items))
    assert "tables: 3000 -> 3000 entries, without table_0, with orders (list nodes)" in shown
