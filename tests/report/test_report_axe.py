"""axe-core in a real browser: the page has no barrier, lit, dark and without its style."""

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pytest_readiness.report import html
from tests.report import golden, sample, test_report_signatures
from tests.servers.programs import missing

ROOT = Path(__file__).parents[2]
AXE = ROOT / ".axe" / "node_modules" / "axe-core" / "axe.min.js"
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/usr/bin/chromium",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=10000",
    "--dump-dom",
)
DARK = "--blink-settings=preferredColorScheme=0"
# Everything axe knows of WCAG 2.2 A and AA, and its best practices.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Base64, for a dump of the page escapes text in its own way.
ASK = """
axe.run(document, {runOnly: TAGS}).then(found => {
  const answer = {
    violations: found.violations.map(rule => [rule.id, rule.nodes.map(node => node.html)]),
    passes: found.passes.map(rule => rule.id),
  };
  const say = document.createElement("pre");
  say.id = "axe";
  say.textContent = btoa(unescape(encodeURIComponent(JSON.stringify(answer))));
  document.body.appendChild(say);
});
""".replace("TAGS", json.dumps(TAGS))


def browser() -> str:
    """Return a browser; skip by name, or fail where servers are required, when there is none."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    lost = [name for name, there in (("chromium", found), (str(AXE), AXE.exists())) if not there]
    if lost:
        missing(f"missing: {', '.join(lost)}")
    return str(found)


def judged(page: str, folder: Path, *flags: str) -> dict[str, list[Any]]:
    """Return what axe finds in a copy of the page whose policy lets axe run."""
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    script = f"<script>{AXE.read_text(encoding='utf-8')}</script><script>{ASK}</script>"
    file = folder / "page.html"
    file.write_text(page.replace("</body>", f"{script}</body>"), encoding="utf-8")
    profile = f"--user-data-dir={folder / 'profile'}"
    dom = subprocess.run(
        [browser(), *FLAGS, *flags, profile, file.as_uri()],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=True,
    ).stdout
    answer = re.search(r'<pre id="axe"[^>]*>([^<]+)</pre>', dom)
    assert answer, f"axe gave no answer: {dom[-500:]}"
    found: dict[str, list[Any]] = json.loads(base64.b64decode(answer[1]))
    return found


@pytest.mark.parametrize("name", ["full", "partial", "empty", "hostile"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(name: str, scheme: str, tmp_path: Path) -> None:
    browser()
    page = html.render(golden.REPORTS[name](), sample.digest("report.json"))
    found = judged(page, tmp_path, *([DARK] if scheme == "dark" else []))
    assert found["violations"] == []
    assert "color-contrast" in found["passes"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_where_people_have_signed(scheme: str, tmp_path: Path) -> None:
    browser()
    page = html.render(sample.full(), sample.digest("report.json"), test_report_signatures.ALL)
    found = judged(page, tmp_path, *([DARK] if scheme == "dark" else []))
    assert found["violations"] == []


def test_axe_finds_nothing_when_the_style_is_dropped(tmp_path: Path) -> None:
    browser()
    page = html.render(sample.full(), sample.digest("report.json"))
    page = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    assert judged(page, tmp_path)["violations"] == []


def test_axe_finds_what_is_wrong(tmp_path: Path) -> None:
    browser()
    page = html.render(sample.full(), sample.digest("report.json"))
    found = judged(page.replace('lang="en"', ""), tmp_path)
    assert [name for name, _ in found["violations"]] == ["html-has-lang"]
