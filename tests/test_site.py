"""The site as `make docs` builds it: complete, without dead links, readable from the disk and on a phone."""

import html.parser
import inspect
import os
import re
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

import pytest
from conftest import ROOT
from helpers.chromium import Browser

import mlygeo
from mlygeo.cli.verbs import VERBS

PHONE = 390
"""Pixels of a phone's width."""

OTHER_SITES = {
    "creativecommons.org", "docs.mlcommons.org", "docs.protomaps.com", "epsg.io", "geopandas.org", "github.com",
    "keepachangelog.com", "orcid.org", "osmdata.openstreetmap.de",
    "panoramax.fr", "semver.org", "www.mapillary.com", "www.openstreetmap.org", "www.researchobject.org",
    "www.w3.org",
}  # fmt: skip
"""Hosts that the site links to; links are listed here and not followed."""


class Links(html.parser.HTMLParser):
    """The anchors of a page, and what it links to and loads."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.links, self.loaded, self.alone = set(), [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag in {"script", "img", "source", "iframe"} and given.get("src"):
            self.loaded.append(given["src"])
        if tag == "link" and given.get("rel") in {"stylesheet", "icon", "preload"}:
            self.loaded.append(given["href"])
        if tag == "img" and not given.get("alt"):
            self.alone.append(given.get("src"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built as `make docs` does."""
    for name in ("mkdocs", "mkdocstrings", "nbconvert"):
        pytest.importorskip(name, reason="the site needs the dependency group docs")
    pytest.importorskip("matplotlib", reason="pictures need mlygeo[plot]")
    folder = tmp_path_factory.mktemp("built") / "site"
    found = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert "WARNING" not in found.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {path.relative_to(site).as_posix(): Links(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def test_every_verb_function_and_column_is_there(site, pages):
    for verb in VERBS:
        text = (site / "reference" / "verbs" / f"{verb.name}.html").read_text(encoding="utf-8")
        assert verb.example.split()[1] in text
        assert "<th>option</th>" in text
    anchors = set().union(*(page.anchors for name, page in pages.items() if name.startswith("reference/api/")))
    for name in mlygeo.__all__:
        value = inspect.unwrap(getattr(mlygeo, name))
        assert f"{value.__module__}.{value.__name__}" in anchors, name
    frames = (site / "reference" / "frames.html").read_text(encoding="utf-8")
    for schema in mlygeo.frames.SCHEMAS.values():
        for column in schema.columns:
            assert f"<code>{column.name}</code>" in frames


def test_every_option_of_a_verb_is_on_its_page(site):
    from click import Context

    from mlygeo import cli

    for verb in VERBS:
        text = (site / "reference" / "verbs" / f"{verb.name}.html").read_text(encoding="utf-8")
        for option in cli.program.get_command(Context(cli.program), verb.name).params:
            if option.param_type_name == "option" and not option.hidden:
                assert re.search(rf"<code>{re.escape(option.opts[0])}[ <]", text), f"{verb.name} {option.opts[0]}"


def test_functions_have_types_in_tables(site):
    text = (site / "reference" / "api" / "sample.html").read_text(encoding="utf-8")
    row = re.search(r"<code>max_distance</code>.*?</tr>", text, re.DOTALL)[0]
    assert "float" in row
    assert "<code>100.0</code>" in row


def test_each_notebook_shows_its_pictures(site, pages):
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        shown = [each for each in pages[f"notebooks/{path.stem}.html"].loaded if each.endswith(".png")]
        assert [each for each in shown if "_files/" in each], path.stem
        for each in shown:
            assert (site / "notebooks" / urllib.parse.unquote(each)).exists()


def test_links_lead_to_pages_and_places_on_them(site, pages):
    dead, hosts = [], set()
    for name, page in pages.items():
        if name == "404.html":  # its addresses begin at the root of a server
            continue
        for link in (*page.links, *page.loaded):
            there = urllib.parse.urlsplit(link)
            if there.scheme in {"http", "https"}:
                hosts.add(there.hostname)
                continue
            place = (site / name).parent / urllib.parse.unquote(there.path) if there.path else site / name
            place = place / "index.html" if place.is_dir() else place
            other = os.path.relpath(place.resolve(), site.resolve())
            if not place.exists() or (
                there.fragment and urllib.parse.unquote(there.fragment) not in pages[Path(other).as_posix()].anchors
            ):
                dead.append(f"{name}: {link}")
    assert not dead
    assert hosts == OTHER_SITES


def test_nothing_is_loaded_from_elsewhere(site, pages):
    for name, page in pages.items():
        assert not [each for each in page.loaded if each.startswith(("http", "//"))], name
        assert not page.alone, f"{name}: a picture without a text for those who do not see it"
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", style.read_text(encoding="utf-8")), style.name


@pytest.fixture(scope="module")
def browser():
    browser = Browser()
    yield browser
    browser.close()


def opened(browser, site, name):
    browser.send("Page.navigate", url=(site / name).as_uri())
    for _ in range(200):
        if browser.ask("document.readyState") == "complete" and name in browser.ask("location.href"):
            return
        time.sleep(0.05)
    raise AssertionError(f"{name} was not loaded")


def test_no_page_is_wider_than_a_phone(browser, site, pages):
    browser.send("Emulation.setDeviceMetricsOverride", width=PHONE, height=800, deviceScaleFactor=1, mobile=True)
    wide = {}
    for name in sorted(set(pages) - {"404.html"}):
        opened(browser, site, name)
        width = browser.ask("document.documentElement.scrollWidth")
        if width > PHONE:
            wide[name] = width
    browser.send("Emulation.clearDeviceMetricsOverride")
    assert not wide


FAINT = """(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true }), known = new Map();
  const rgba = (text) => {
    if (!known.has(text)) {
      canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      known.set(text, [r, g, b, a / 255]);
    }
    return known.get(text);
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const behind = (element) => {
    const own = element.parentElement ? behind(element.parentElement) : [255, 255, 255];
    return over(rgba(getComputedStyle(element).backgroundColor), own);
  };
  const light = (colour) => colour.map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0.05);
  const found = new Set(), words = document.createTreeWalker(document.querySelector(".md-container"), NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const element = words.currentNode.parentElement, style = getComputedStyle(element);
    if (!words.currentNode.data.trim() || element.closest(".headerlink, .md-search, script, style")) continue;
    if (style.visibility === "hidden" || !element.getClientRects().length) continue;
    const below = behind(element), [a, b] = [light(over(rgba(style.color), below)), light(below)];
    if (Math.max(a, b) / Math.min(a, b) < 4.5) found.add(`${element.tagName}.${element.className} ${style.color} on ${below}`);
  }
  return [...found];
})()"""
"""Words that stand out from what is behind them by less than 4.5 to 1, as WCAG 2.1 asks for (level AA)."""

LOOKED_AT = (
    "index.html", "sampling_choices.html", "howto/maps.html", "reference/verbs/select.html", "reference/api/sample.html",
    "notebooks/01_from_a_region_to_a_selection.html",
)  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out(browser, site, scheme):
    browser.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.send("Emulation.setDeviceMetricsOverride", width=PHONE, height=800, deviceScaleFactor=1, mobile=True)
    faint = {}
    for name in LOOKED_AT:
        opened(browser, site, name)
        browser.ask("localStorage.clear()")  # the scheme that an earlier page chose
        opened(browser, site, "404.html")
        opened(browser, site, name)
        wanted = "slate" if scheme == "dark" else "default"
        assert browser.ask("document.body.dataset.mdColorScheme") == wanted
        if found := browser.ask(FAINT):
            faint[name] = found
    browser.send("Emulation.setEmulatedMedia", features=[])
    browser.send("Emulation.clearDeviceMetricsOverride")
    assert not faint


OUTSIDE = """[...document.querySelectorAll("rect[rx='8']")].flatMap(rect => {
  const {x, y, width, height} = rect.getBBox();
  const inside = (box) => box.x >= x && box.x < x + width && box.y >= y && box.y < y + height;
  return [...document.querySelectorAll("text")].filter(text => inside(text.getBBox()))
    .filter(text => text.getBBox().x + text.getBBox().width > x + width).map(text => text.textContent);
})"""


def test_words_in_the_picture_of_the_package_stay_in_their_boxes(browser, site):
    opened(browser, site, "architecture.svg")
    assert browser.ask("document.querySelectorAll('text').length") > 50
    assert browser.ask(OUTSIDE) == []


@pytest.mark.parametrize("words", ["bounding box", "percept", "duplicate"])
def test_the_search_finds_pages_from_the_disk(browser, site, words):
    opened(browser, site, "tutorial.html")
    browser.ask("document.querySelector('[data-md-component=search-query]').focus()")
    browser.send("Input.insertText", text=words)
    for _ in range(200):
        found = browser.ask("[...document.querySelectorAll('.md-search-result__link')].map(each => each.href)")
        if found:
            break
        time.sleep(0.1)
    assert found
    assert all(each.startswith("file:") and (site / urllib.parse.urlsplit(each).path).exists() for each in found)
