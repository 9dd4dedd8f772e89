"""Maps in notebooks that tell Python what was picked."""

import json
import sys

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from helpers import chromium

from mlygeo import plotting
from mlygeo.errors import DependencyError
from mlygeo.plotting import widget

# What a notebook's front end does with a widget: it calls `render` with a model and an element.
HOST = """<!DOCTYPE html><body><div id="cell"></div><script type="module">
const state = STATE, waiting = [];
const model = {
  get: (name) => state[name], set: (name, value) => { state[name] = value; },
  save_changes: () => { document.documentElement.dataset.picked = JSON.stringify(state.picked); },
};
const module = await import(URL.createObjectURL(new Blob([SCRIPT], { type: "text/javascript" })));
module.default.render({ model, el: document.getElementById("cell") });
</script>"""


@pytest.fixture
def row_of_four():
    return gpd.GeoDataFrame(
        {"id": np.arange(4) + 2**60, "captured_at": pd.to_datetime(["2020", "2021", "2022", "2023"], utc=True)},
        geometry=gpd.points_from_xy([9.13, 9.11, 9.12, 9.1], [48.7] * 4),
        crs=4326,
    )


def test_its_script_passes_on_what_was_picked(tmp_path, row_of_four):
    """As a notebook does it, in a browser: Shift and dragging, and the rows that Python finds by it."""
    made = plotting.explore(row_of_four)
    state = {"page": made.embedded(), "title": "Map", "height": 560, "picked": []}
    text = json.dumps(state).replace("<", "\\u003c")
    host = HOST.replace("STATE", text).replace("SCRIPT", json.dumps(widget.SCRIPT))
    (tmp_path / "host.html").write_text(host, encoding="utf-8")
    browser = chromium.Browser()
    try:
        browser.send("Page.navigate", url=(tmp_path / "host.html").as_uri())
        for _ in range(100):
            browser.ask("new Promise(done => setTimeout(done, 100))")
            picture = browser.screenshot().astype(int)
            drawn = (np.abs(picture - [0xD5, 0x5E, 0x00]).max(axis=2) < 12)[:, :600]  # left of the legend
            if drawn.any():
                break
        row, left = int(np.flatnonzero(drawn.any(axis=1)).mean()), int(np.flatnonzero(drawn.any(axis=0))[0])
        for kind, x, y in (
            ("mousePressed", left - 20, row - 40), ("mouseMoved", left, row), ("mouseMoved", left + 20, row + 40),
            ("mouseReleased", left + 20, row + 40),
        ):  # fmt: skip
            browser.mouse(kind, float(x), float(y), button="left", buttons=1, clickCount=1, modifiers=8)
        browser.ask("new Promise(done => setTimeout(done, 300))")
        picked = json.loads(browser.ask("document.documentElement.dataset.picked"))
    finally:
        browser.close()
    (found,) = made.rows(picked)
    assert list(found["id"]) == [2**60 + 3], "the image farthest to the west, whatever its row"


def test_what_was_picked_is_a_frame(row_of_four):
    pytest.importorskip("anywidget", reason="widgets need mlygeo[notebook]")
    row_of_four.attrs["attribution"] = ["Somebody"]
    made = plotting.explore([row_of_four], title="Four").widget()
    assert len(made.selected) == 0
    assert list(made.selected.columns) == list(row_of_four.columns)
    order = made.map.rows([[0, [0]]])[0]["id"].iloc[0]
    made.picked = [[0, [0, 3]]]
    assert len(made.selected) == 2
    assert order in set(made.selected["id"])
    assert made.selected.crs == row_of_four.crs
    assert made.selected.attrs["attribution"] == ["Somebody"]
    assert made.page.startswith("<!DOCTYPE html>")
    made.close()


def test_without_anywidget_the_map_is_shown_and_the_remedy_named(row_of_four, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    widget._kind.cache_clear()
    made = plotting.explore(row_of_four)
    with pytest.raises(DependencyError) as caught:
        made.widget()
    assert "pip install" in caught.value.hint
    assert "<iframe" in made._repr_html_()
    widget._kind.cache_clear()
