# SPDX-License-Identifier: Apache-2.0
"""report.html as its reader sees it: in a browser, light and dark, on a phone and on a screen."""

import json

import chromium
import pytest
import report_folder
from command_line import RELU, run

pytestmark = pytest.mark.skipif(chromium.find() is None, reason="no Chromium: scripts/setup installs it on Debian")

VIEWS = [(360, False), (360, True), (1280, False), (1280, True)]
WIDTHS = [360, 500, 740, 900, 1280, 1920]
PHONE = 360
AA = 4.5  # WCAG 2.1, 1.4.3: contrast of text

# Everything that can be folded is open, so that all of it is measured.
OPEN = "document.querySelectorAll('details').forEach(d => { d.open = true })"

# What stands wider than the window, code in boxes of its own aside.
TOO_WIDE = """
[...document.querySelectorAll('body *')]
  .filter(e => !e.closest('pre') || e.matches('pre'))
  .filter(e => { const r = e.getBoundingClientRect(); return r.width > 0 && (r.right > innerWidth + 0.5 || r.left < -0.5) })
  .slice(0, 5).map(e => e.outerHTML.slice(0, 120))
"""

# Every text that is seen: its contrast with what it stands on.
CONTRAST = """
(() => {
  const channels = text => (text.match(/[\\d.]+/g) || []).map(Number)
  const luminance = c => {
    const [r, g, b] = c.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const ground = e => {
    for (; e; e = e.parentElement) {
      const c = channels(getComputedStyle(e).backgroundColor)
      if (c.length === 3 || c[3] === 1) return c.slice(0, 3)
      if (c[3] !== 0) return null
    }
    return [255, 255, 255]
  }
  const found = {}
  const add = (element, colour) => {
    const behind = ground(element), c = channels(colour)
    let ratio = 0
    if (behind && (c.length === 3 || c[3] === 1)) {
      const [a, b] = [luminance(c.slice(0, 3)), luminance(behind)].sort((x, y) => y - x)
      ratio = (a + 0.05) / (b + 0.05)
    }
    found[`${element.tagName}.${element.getAttribute('class') || ''} ${colour} on ${behind}`] = ratio
  }
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement
    if (!texts.currentNode.data.trim() || !element.checkVisibility({opacityProperty: true})) continue
    const style = getComputedStyle(element)
    if (element.tagName !== 'title') add(element, element.closest('svg') ? style.fill : style.color)
  }
  for (const cell of document.querySelectorAll('td')) {
    const label = getComputedStyle(cell, '::before')
    if (label.content !== 'none' && label.display !== 'none') add(cell, label.color)
  }
  return found
})()
"""

TAGS = (
    "a b body circle code dd details div dl dt footer h1 h2 h3 head html i li line link main meta nav ol p path pre small "
    "span style summary svg table tbody td text th thead title tr ul"
).split()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def tab():
    with chromium.page() as page:
        yield page


@pytest.fixture(scope="module")
def real(home):
    """A run of the program itself."""
    (home / "relu.py").write_text(RELU)
    done = run(home, "optimize", "relu.py", "--target", "cpu", "--budget", "3s", "--out", "out", "--json")
    return json.loads(done.stdout), home / "out" / "report.html"


@pytest.fixture(scope="module")
def hostile(home):
    folder = report_folder.make(home / "hostile")
    run(home, "report", "hostile")
    return folder / "report.html"


@pytest.fixture(params=["real", "hostile"])
def path(request, real, hostile):
    return real[1] if request.param == "real" else hostile


def headings(tab):
    return tab.evaluate("[...document.querySelectorAll('h2, h3')].map(h => h.innerText.replace(/\\s+/g, ' ').trim())")


def test_the_page_needs_nothing_but_itself(tab, path):
    tab.errors.clear()
    tab.requests.clear()
    tab.open(path)
    assert tab.errors == []
    assert [url for url in tab.requests if not url.startswith("data:")] == [path.resolve().as_uri()]
    assert tab.evaluate("document.scripts.length") == 0
    # Nor may a click load anything: links lead to places of the page.
    assert tab.evaluate("[...document.links].filter(a => !a.getAttribute('href').startsWith('#')).length") == 0
    assert tab.evaluate("[...document.links].filter(a => !document.getElementById(a.hash.slice(1)) && "
                        "!document.getElementById(decodeURIComponent(a.hash.slice(1)))).length") == 0  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_runs_out_of_the_window(tab, path, width):
    tab.open(path, width=width)
    tab.evaluate(OPEN)
    assert tab.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [width, width]
    assert tab.evaluate(TOO_WIDE) == []


@pytest.mark.parametrize("width,dark", VIEWS)
def test_text_stands_out_from_its_ground(tab, path, width, dark):
    tab.open(path, width=width, dark=dark)
    tab.evaluate(OPEN)
    found = tab.evaluate(CONTRAST)
    assert len(found) > 10
    assert {place: ratio for place, ratio in found.items() if ratio < AA} == {}


def test_dark_is_dark_and_light_is_light(tab, hostile):
    grounds = []
    for dark in (False, True):
        tab.open(hostile, dark=dark)
        grounds.append(tab.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"))
    assert min(grounds[0]) > 200 and max(grounds[1]) < 60


def test_letters_of_charts_keep_their_size(tab, hostile):
    for width in (PHONE, 1280):
        tab.open(hostile, width=width)
        sizes = tab.evaluate(
            "[...document.querySelectorAll('.chart svg')].filter(s => s.checkVisibility())"
            ".map(s => 11 * s.getBoundingClientRect().width / s.viewBox.baseVal.width)"
        )
        assert sizes and min(sizes) >= 9, sizes


def test_a_report_of_a_run_has_its_sections(tab, real):
    result, page = real
    tab.open(page)
    found = headings(tab)
    for heading in ("Times and errors", "Refused, and why", "Machine and versions", "Best over time"):
        assert heading in found
    assert any(h.startswith("Ceilings, as measured") for h in found)
    text = tab.evaluate("document.body.textContent")
    for name, version in result["versions"].items():
        assert name in text and version in text
    assert "kernelwright optimize relu.py --budget 3s" in text
    assert "Lineage of the " in text
    verdicts = [json.loads(line) for line in (page.parent / "verdicts.jsonl").read_text().splitlines()]
    assert any(knob.startswith("op0.") for one in verdicts for knob in one.get("schedule", {}))
    improved = result["status"] == "improved"
    assert ("Roofline" in found) == ("Source of the accepted program" in found) == improved
    if improved:
        region = result["regions"][0]
        assert region["work"]["bytes"] > 0 and region["ceilings"]["bytes_per_s"] > 0
        assert tab.evaluate("document.querySelectorAll('.chart.wide circle.point').length") == 1
        assert tab.evaluate("document.querySelectorAll('pre .k, pre .t, pre .c').length") > 10
        best = result["best"]
        assert f"{best['speedup']:.2f}x" in text and f"{best['speedup_low']:.2f} – {best['speedup_high']:.2f}" in text


def test_what_comes_from_outside_is_text(tab, hostile):
    tab.open(hostile)
    tab.evaluate(OPEN)
    assert tab.evaluate("typeof window.pwned") == "undefined"
    tags = tab.evaluate("[...new Set([...document.querySelectorAll('*')].map(e => e.tagName.toLowerCase()))]")
    assert set(tags) <= set(TAGS), set(tags) - set(TAGS)
    handlers = (
        "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).filter(a => /^on/i.test(a.name)).length"
    )
    assert tab.evaluate(handlers) == 0
    text = tab.evaluate("document.body.textContent")
    for said in report_folder.HOSTILE:
        assert said.replace("\u202e", "[U+202E]") in text, said
    assert "\u202e" not in text
    sources = tab.evaluate("[...document.querySelectorAll('pre')].map(e => e.textContent)")
    assert report_folder.SOURCE in sources


def test_lineage_goes_from_the_first_program_to_the_accepted(tab, hostile):
    tab.open(hostile)
    generations = tab.evaluate(
        "[...document.querySelectorAll('ol.lineage')[0].children].map(e => e.querySelector('code').title)"
    )
    assert generations == [f"p{i}" for i in range(15)]
    changes = tab.evaluate("document.querySelectorAll('ol.lineage')[0].children[5].innerText")
    assert "op0.mr 4 → 5" in changes and "against its parent" in changes
