"""The four roles at the end of both pages: open, signed, rejected, and what is none of these."""

import re
from itertools import pairwise

import pytest

from pytest_readiness.report import html, markdown, signatures
from pytest_readiness.signoff.state import Said
from tests.report import extremes, sample
from tests.report.test_report_html import Page

SHA = sample.digest("report.json")
ROLES = ["Deployment Manager", "Operations Lead", "Security Lead", "Product Manager"]
KEY = "SHA256:AwqCqTTuvlvH4BrBBUxSwWXl6tA2cZUm2W1x5pVZxYo"
SIGNED = Said(
    role="security-lead",
    principal="sec@example.org",
    decision="approved",
    signed_at="2026-11-24T12:00:00.000Z",
    comment="until Thursday",
    key=KEY,
)
REJECTED = Said(
    role="operations-lead",
    principal="ops@example.org",
    decision="rejected",
    signed_at="2026-11-24T13:00:00.000Z",
    comment="nobody is on call",
    key=KEY,
)
FOREIGN = Said(
    role="product-manager",
    principal="pm@example.org",
    decision="approved",
    signed_at="2026-11-24T12:00:00.000Z",
    says="the statement is about other bytes than this report.json",
)
UNCHECKED = Said(
    role="auditor",
    principal="aud@example.org",
    decision="approved",
    signed_at="2026-11-24T12:00:00.000Z",
    says="its key is not in the run directory",
    unchecked=True,
)
ALL = (SIGNED, REJECTED, FOREIGN, UNCHECKED)


def sign_off_of(text: str, heading: str) -> str:
    """Return the part of a page from its sign-off on."""
    return text[text.index(heading) :]


def html_rows(said: tuple[Said, ...]) -> list[list[str]]:
    """Return the words of each cell of the table, row by row."""
    text = sign_off_of(html.render(sample.full(), SHA, said), '<section id="signoff"')
    body = text[text.index("<tbody>") : text.index("</tbody>")]
    return [
        [
            re.sub(r"<[^>]+>|\s+", " ", cell).strip()
            for cell in re.findall(r"<t[hd].*?</t[hd]>", row)
        ]
        for row in re.findall(r"<tr>.*?</tr>", body, re.DOTALL)
    ]


def test_without_signatures_the_four_roles_are_open_in_the_order_of_the_checklist() -> None:
    assert [(row.title, row.state) for row in signatures.rows(())] == [
        (title, "open") for title in ROLES
    ]
    assert [row[:2] for row in html_rows(())] == [[title, "open"] for title in ROLES]
    text = sign_off_of(markdown.render(sample.full(), SHA), "## Sign-Off")
    assert re.findall(r"^- \*\*(.+):\*\* open$", text, re.MULTILINE) == ROLES


def test_further_roles_follow_the_four() -> None:
    titles = [row.title for row in signatures.rows(ALL)]
    assert titles == [*ROLES, "Auditor"]


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (SIGNED, "signed"),
        (REJECTED, "rejected"),
        (FOREIGN, "not valid"),
        (UNCHECKED, "not checked"),
    ],
)
def test_state_is_a_word_on_both_pages(said: Said, state: str) -> None:
    row = next(row for row in signatures.rows((said,)) if row.name == said.principal)
    assert row.state == state
    found = [cells for cells in html_rows((said,)) if str(said.principal) in " ".join(cells)]
    assert len(found) == 1
    assert found[0][1].startswith(state)
    text = sign_off_of(markdown.render(sample.full(), SHA, (said,)), "## Sign-Off")
    assert f"**{row.title}:** {state}: " in text


@pytest.mark.parametrize("said", [FOREIGN, UNCHECKED])
def test_what_does_not_hold_is_never_called_signed(said: Said) -> None:
    text = sign_off_of(markdown.render(sample.full(), SHA, (said,)), "## Sign-Off")
    assert not re.search(r":\*\* signed", text)
    assert said.says is not None
    assert said.says in text
    assert all(not row[1].startswith("signed") for row in html_rows((said,)))
    assert any(said.says in row[1] for row in html_rows((said,)))


def test_a_signature_shows_name_decision_date_comment_and_key() -> None:
    for text in (
        sign_off_of(html.render(sample.full(), SHA, ALL), 'id="signoff"'),
        sign_off_of(markdown.render(sample.full(), SHA, ALL), "## Sign-Off"),
    ):
        for fact in ("sec@example.org", "2026-11-24 12:00:00 UTC", "until Thursday", KEY):
            assert fact in text.replace("\\", "")
        assert "nobody is on call" in text


def test_says_that_the_policy_is_what_decides() -> None:
    assert "<code>readiness verify</code> says whose the keys are" in html.render(
        sample.full(), SHA
    )
    assert "`readiness verify` says whose the keys are" in markdown.render(sample.full(), SHA)


def test_stands_at_the_end_and_the_contents_lead_there() -> None:
    page = html.render(sample.full(), SHA, ALL)
    assert '<li><p><a href="#signoff">Sign-Off</a></p></li>' in page
    assert page.index('id="signoff"') > page.index('id="waivers"') > page.index('id="checklist"')
    assert page.index("</section>", page.index('id="signoff"')) > page.rindex("<section")
    text = markdown.render(sample.full(), SHA, ALL)
    assert text.index("## Sign-Off") > text.index("## Checklist")


def test_the_page_keeps_its_form_with_signatures() -> None:
    page = html.render(sample.full(), SHA, ALL)
    found = Page(page)
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch(r"h\d", tag)]
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert len(re.findall(r"<table[^>]*>\s*<caption", page)) == page.count("<table")
    assert all(attributes.get("scope") for attributes in found.all("th"))


def test_no_text_of_a_statement_becomes_markup() -> None:
    hostile = Said(
        role="evil" + extremes.HOSTILE,
        principal=extremes.HOSTILE,
        decision="approved",
        signed_at=extremes.HOSTILE,
        comment=extremes.HOSTILE,
        key=extremes.HOSTILE,
        says=extremes.HOSTILE,
    )
    page = html.render(sample.full(), SHA, (hostile,))
    Page(page)
    assert "<script" not in page
    assert "<img" not in page
    text = sign_off_of(markdown.render(sample.full(), SHA, (hostile,)), "## Sign-Off")
    outside = re.sub(r"(`+)(?:(?!\1).)+\1(?!`)|\\.", "", text)
    assert "<" not in outside
    assert "|" not in outside
    for sign in ("\x1b", "\u202e"):
        assert sign not in page
        assert sign not in text


def test_a_long_comment_is_cut_on_the_page_that_has_a_limit() -> None:
    long = Said(role="security-lead", decision="approved", comment="x" * 2_000_000)
    text = markdown.render(sample.full(), SHA, (long,))
    assert len(text.encode()) <= markdown.LIMIT
    assert "**Security Lead:** signed" in text
