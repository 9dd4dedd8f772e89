"""Polygons on interactive maps are filled."""

import json
import re
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from helpers import chromium, npm
from shapely import LineString, MultiPolygon, Point, Polygon, box

from mlygeo import plotting
from mlygeo.plotting import page, style

WHITE = np.array([0xF6, 0xF7, 0xF8])


@pytest.fixture(scope="module")
def browser():
    started = chromium.Browser()
    started.send("Emulation.setDeviceMetricsOverride", width=1700, height=800, deviceScaleFactor=1, mobile=False)
    yield started
    started.close()


def show(browser, tmp_path, layers, **options):
    browser.open(plotting.explore(layers, **options).save(tmp_path / "map.html").as_uri())
    return browser.screenshot()


def at(browser, lon, lat):
    x, y = (float(value[0]) for value in page.world(np.array([lon]), np.array([lat])))
    state = json.loads(browser.ask("JSON.stringify([mlygeo.state, innerWidth, innerHeight])"))
    unit = 256 * 2 ** state[0]["zoom"] / 2**32
    return state[1] / 2 + mod(x - state[0]["x"]) * unit, state[2] / 2 + (y - state[0]["y"]) * unit


def mod(difference):
    return (difference + 2**31) % 2**32 - 2**31


def seen(browser, picture, lon, lat):
    x, y = at(browser, lon, lat)
    return picture[round(y), round(x)].astype(int)


def over_the_ground(colour, strength):
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) * strength + WHITE * (1 - strength)


def areas(*geometry, **columns):
    return gpd.GeoDataFrame(columns, geometry=list(geometry), crs=4326)


def popup(browser):
    return browser.ask("document.getElementById('popup').hidden ? null : document.getElementById('popup').innerText")


def test_each_area_has_its_colour_and_its_holes(browser, tmp_path):
    with_hole = Polygon(box(9, 48, 9.1, 48.1).exterior, [box(9.04, 48.04, 9.06, 48.06).exterior])
    two = MultiPolygon([box(9.12, 48, 9.16, 48.1), box(9.18, 48, 9.2, 48.1)])
    picture = show(browser, tmp_path, areas(with_hole, two, kind=["ring", "two"]), colour="kind")
    colours = dict(zip(("ring", "two"), style.CATEGORIES, strict=False))
    for lon, lat, kind in ((9.02, 48.02, "ring"), (9.08, 48.08, "ring"), (9.14, 48.05, "two"), (9.19, 48.05, "two")):
        assert np.allclose(seen(browser, picture, lon, lat), over_the_ground(colours[kind], page.HALF), atol=4), kind
    for lon, lat in ((9.05, 48.05), (9.11, 48.05), (9.17, 48.05)):
        assert np.allclose(seen(browser, picture, lon, lat), WHITE, atol=3), (lon, lat)
    browser.click(*at(browser, 9.19, 48.05))
    assert "two" in popup(browser), "a click into an area finds it"
    browser.click(*at(browser, 9.05, 48.05))
    assert popup(browser) is None, "and a click into its hole does not"
    assert browser.problems() == []


def test_points_and_lines_lie_on_areas_whatever_the_order(browser, tmp_path):
    point = gpd.GeoDataFrame({"id": [7]}, geometry=[Point(9.05, 48.05)], crs=4326)
    line = gpd.GeoDataFrame({"osmid": [5]}, geometry=[LineString([(9.01, 48.02), (9.09, 48.02)])], crs=4326)
    picture = show(browser, tmp_path, [point, line, areas(box(9, 48, 9.1, 48.1), name=["a"])])
    for lon, lat, colour in ((9.05, 48.05, style.VERMILION), (9.05, 48.02, style.GREY)):
        assert np.allclose(seen(browser, picture, lon, lat), over_the_ground(colour, 1), atol=4)
    assert np.allclose(seen(browser, picture, 9.05, 48.08), over_the_ground(style.GREY, page.FAINT), atol=4)
    for lon, lat, name in ((9.05, 48.05, "images"), (9.05, 48.02, "streets"), (9.05, 48.08, "areas")):
        browser.click(*at(browser, lon, lat))
        assert popup(browser).splitlines()[1] == name


def test_cells_of_a_coverage_are_coloured_by_what_is_covered(browser, tmp_path):
    shares = [0.0, 0.5, 1.0]
    cells = areas(*(box(9 + i / 10, 48, 9.1 + i / 10, 48.1) for i in range(3)), share_covered=shares)
    picture = show(browser, tmp_path, cells)
    for i, colour in enumerate((style.SCALE[0], style.SCALE[2], style.SCALE[4])):
        assert np.allclose(seen(browser, picture, 9.05 + i / 10, 48.05), over_the_ground(colour, page.HALF), atol=4)
    assert "share covered" in browser.ask("document.getElementById('panel').innerText")


def test_an_area_across_the_antimeridian_is_whole(browser, tmp_path):
    picture = show(browser, tmp_path, areas(box(179.9, 10, 180.1, 10.2), name=["a"]))
    for lon in (179.95, 180.05):
        assert np.allclose(seen(browser, picture, lon, 10.1), over_the_ground(style.GREY, page.FAINT), atol=4), lon
    browser.click(*at(browser, 180.05, 10.1))
    assert popup(browser) is not None


def test_an_area_wider_than_half_the_world_is_whole(browser, tmp_path):
    wide = shapely.segmentize(box(-170, -20, 170, 20), 60)
    picture = show(browser, tmp_path, areas(wide, name=["a"]))
    for lon in (-160, -90, 0, 90, 160):
        assert np.allclose(seen(browser, picture, lon, 1), over_the_ground(style.GREY, page.FAINT), atol=4), lon


def test_hidden_areas_are_neither_drawn_nor_found(browser, tmp_path):
    show(browser, tmp_path, areas(box(9, 48, 9.1, 48.1), name=["a"]))
    browser.ask("document.querySelector('.layer input').click()")
    assert np.allclose(seen(browser, browser.screenshot(), 9.05, 48.05), WHITE, atol=3)
    browser.click(*at(browser, 9.05, 48.05))
    assert popup(browser) is None


def test_areas_follow_the_time_slider(browser, tmp_path):
    times = gpd.pd.to_datetime(["2020-01-01", "2022-01-01"], utc=True)
    show(browser, tmp_path, areas(box(9, 48, 9.1, 48.1), box(9.2, 48, 9.3, 48.1), start=times))
    browser.ask("(e => { e.value = e.max; e.dispatchEvent(new Event('input')); })(document.getElementById('from'))")
    picture = browser.screenshot()
    assert np.allclose(seen(browser, picture, 9.05, 48.05), WHITE, atol=3)
    assert not np.allclose(seen(browser, picture, 9.25, 48.05), WHITE, atol=3)
    browser.click(*at(browser, 9.05, 48.05))
    assert popup(browser) is None


def test_a_map_without_areas_has_no_code_for_them(tmp_path):
    point = gpd.GeoDataFrame({"id": [7]}, geometry=[Point(9.05, 48.05)], crs=4326)
    assert "earcut 3" not in plotting.explore(point).html()
    assert "earcut 3" in plotting.explore(areas(box(9, 48, 9.1, 48.1))).html()


def test_earcut_is_as_npm_has_it_with_its_licence():
    ours = (Path(page.__file__).with_name("earcut.min.js")).read_text(encoding="utf-8")
    version = re.match(r"/\*! earcut ([\d.]+) ", ours)[1]
    folder = npm.package("earcut", version)
    notice, _, code = ours.partition("*/\n")
    assert code == (folder / "dist" / "earcut.min.js").read_text(encoding="utf-8")
    assert (folder / "LICENSE").read_text(encoding="utf-8").strip() in notice
