"""A map's widget in a real JupyterLab: what a reader picks in the notebook comes back to Python."""

import ast

import numpy as np
import pytest
from helpers import chromium, jupyterlab

VERMILION = [0xD5, 0x5E, 0x00]

SHOWN = """
import geopandas as gpd
import mlygeo
import numpy as np

images = gpd.GeoDataFrame(
    {"id": np.arange(3) + 2**60, "name": ["middle", "east", "west"]},
    geometry=gpd.points_from_xy([9.2, 9.3, 9.1], [48.7, 48.7, 48.7]),
    crs=4326,
)
widget = mlygeo.explore(images).widget()
widget
"""

ASKED = "widget.selected[['id', 'name']].values.tolist()"


@pytest.fixture
def notebook(tmp_path):
    pytest.importorskip("anywidget", reason="widgets need mlygeo[notebook]")
    jupyterlab.require()
    (tmp_path / "notebooks").mkdir()
    jupyterlab.write_notebook(tmp_path / "notebooks" / "map.ipynb", SHOWN, ASKED)
    browser = chromium.Browser()
    try:
        with jupyterlab.serving(tmp_path / "notebooks") as (address, word, _):
            yield jupyterlab.Notebook(browser, address, word, "map.ipynb")
    finally:
        browser.close()


def images_on(notebook):
    """Where the images are on the page, from west to east, when they are drawn."""
    for _ in range(200):
        left, top, width, height = notebook.place(0, "iframe")
        picture = notebook.browser.screenshot()[top : top + height, left : left + width].astype(int)
        found = np.abs(picture - VERMILION).max(axis=-1) < 12
        found[:150] = False  # the legend
        columns = np.flatnonzero(found.any(axis=0))
        if len(columns):
            groups = np.split(columns, np.flatnonzero(np.diff(columns) > 20) + 1)
            rows = [np.flatnonzero(found[:, group].any(axis=1)) for group in groups]
            return [(left + float(x.mean()), top + float(y.mean())) for x, y in zip(groups, rows, strict=True)]
    raise AssertionError(f"nothing was drawn: {notebook.browser.problems()}")


def picked(notebook, count):
    """What Python knows of the picked images, when it knows of so many."""
    for _ in range(20):
        found = ast.literal_eval(notebook.run(1))
        if len(found) == count:
            return found
    raise AssertionError(found)


def test_what_is_picked_in_jupyterlab_comes_back_to_python(notebook):
    notebook.run(0)
    assert picked(notebook, 0) == []
    west, middle, _ = images_on(notebook)
    mouse = notebook.browser.mouse
    shift, control, held = 8, 2, {"button": "left", "buttons": 1, "clickCount": 1}
    for kind, aside in (("mousePressed", -15), ("mouseMoved", 0), ("mouseMoved", 15), ("mouseReleased", 15)):
        mouse(kind, west[0] + aside, west[1] + aside, modifiers=shift, **held)
    assert picked(notebook, 1) == [[2**60 + 2, "west"]]
    for kind in ("mousePressed", "mouseReleased"):
        mouse(kind, *middle, modifiers=control, **held)
    assert picked(notebook, 2) == [[2**60, "middle"], [2**60 + 2, "west"]]
    assert notebook.browser.problems() == []
