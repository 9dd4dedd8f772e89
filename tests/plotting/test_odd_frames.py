"""Frames that are odd in one way each: a map of each opens without an error, and says what it does not show."""

import itertools
import json
import re

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from helpers import chromium
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo import cli, frames, plotting
from mlygeo.errors import FrameError, MlygeoError
from mlygeo.plotting import layers, page, thinning

pytest.importorskip("matplotlib", reason="pictures need mlygeo[plot]")

HERE = shapely.Point(9.17, 48.77)
FIJI = shapely.MultiPolygon([shapely.box(177.0, -18.5, 180.0, -16.0), shapely.box(-180.0, -17.5, -179.5, -16.5)])


def frame(*geometry, crs=4326, **columns):
    return gpd.GeoDataFrame(columns, geometry=list(geometry), crs=crs)


def column(*values, dtype=None):
    """A frame of points with one odd column."""
    places = [shapely.Point(9.17 + 0.001 * i, 48.77) for i in range(len(values))]
    return frame(*places, odd=pd.Series(list(values), dtype=dtype))


ODD = {
    "one point": frame(HERE),
    "all the same": frame(*[HERE] * 50, id=range(50)),
    "null and empty": frame(HERE, None, shapely.Point(), id=[1, 2, 3]),
    "infinite": frame(HERE, shapely.Point(np.inf, 1), shapely.Point(np.nan, np.inf)),
    "not degrees": frame(HERE, shapely.Point(513000, 5402000), shapely.Point(9, 90.5)),
    "the poles": frame(shapely.Point(0, 90), shapely.Point(10, -90), HERE),
    "near a pole": frame(shapely.Point(0, 89.9999), shapely.Point(10, 84)),
    "a line to the pole": frame(shapely.LineString([(0, 80), (0, 90)])),
    "the world": frame(shapely.box(-180, -90, 180, 90)),
    "half the world": frame(shapely.box(-100, -89, 100, 89)),
    "a bow-tie to the poles": frame(shapely.Polygon([(0, -90), (10, 90), (0, 90), (10, -90)])),
    "fiji": frame(FIJI),
    "fiji's points": frame(*(shapely.Point(lon, -17) for lon in (177, 179.9, 180, -180, -179.6))),
    "beyond 180": frame(shapely.Point(181, 0), shapely.Point(-541, 0), shapely.Point(359, 1)),
    "pacific and atlantic": frame(shapely.Point(139, 35), shapely.Point(-122, 37), shapely.Point(-150, 60)),
    "a collection": frame(shapely.GeometryCollection([HERE, FIJI, shapely.LineString([(9, 48), (9.1, 48)])]), n=[1]),
    "an empty collection": frame(shapely.GeometryCollection(), HERE),
    "several points": frame(shapely.MultiPoint([(9, 48), (9.1, 48.1)]), shapely.MultiPoint()),
    "mixed": frame(HERE, shapely.LineString([(9, 48), (9.1, 48)]), shapely.box(9, 48, 9.1, 48.1), id=[1, 2, 3]),
    "three dimensions": frame(shapely.Point(9, 48, 100), shapely.LineString([(9, 48, 1), (9.1, 48, np.nan)])),
    "a line without length": frame(shapely.LineString([(9, 48), (9, 48)]), u=[1]),
    "another CRS": frame(HERE, shapely.box(9, 48, 9.1, 48.1)).to_crs(25832),
    "no place in degrees": frame(shapely.Point(1e30, 1e30), shapely.Point(513000, 5402000), crs=25832),
    "html": column("<b>x</b>", "</script><script>document.title='pwned'</script>", "&amp;\u2028"),
    "surrogates": column("\ud800", "ok", "a\udfffb", dtype=object),
    "formulas and dollars": column("$x", "$\\foo$", "=1+1"),
    "long text": column("x" * 100_000, "\n\t\0"),
    "lists": column([1, 2], {"a": 1}, None),
    "mixed values": column(1, "1", None, 2.5, pd.Timestamp(0), (1, 2)),
    "2^63": column(2**63, 2**64 - 1, dtype="uint64"),
    "-2^63": column(-(2**63), 2**63 - 1, dtype="int64"),
    "beyond 2^64": column(2**70, -(2**70), dtype=object),
    "huge": column(1e308, -1e308, np.inf, np.nan, 5e-324),
    "complex": column(1 + 2j, 3j),
    "naive times": column(pd.Timestamp("2020-01-01"), pd.NaT),
    "old and late times": column(pd.Timestamp("1900-01-01", tz="UTC"), pd.Timestamp("2200-01-01", tz="UTC")),
    "durations": column(pd.Timedelta("1h"), pd.NaT),
    "categories": column("a", "b", None, dtype="category"),
    "periods": column(pd.Period("2020-01"), pd.Period("2021-01")),
    "all null": column(None, None),
    "truth with gaps": column(True, None, dtype="boolean"),
    "numbers with gaps": column(1, None, dtype="Int64"),
    "text as heading": frame(HERE, id=[1], compass_angle=["north"], is_pano=["false"]),
    "odd headings": frame(*[HERE] * 3, id=[1, 2, 3], compass_angle=[np.inf, -1e300, 725.0]),
    "text as time": frame(HERE, HERE, track_id=["a", "a"], time=["now", "then"]),
    "tracks without times": frame(HERE, HERE, track_id=["a", "a"], time=pd.Series([pd.NaT] * 2, dtype="datetime64[us, UTC]")),
    "text as share": frame(shapely.LineString([(9, 48), (9.1, 48)]), share_covered=["all"], covered_m=["x"]),
    "points named twice": frame(HERE, HERE, point_id=[1, 1], id=[2, 2]),
    "a category with an underscore": column("_hidden", "shown"),
    "no columns": frame(HERE, HERE),
}  # fmt: skip
ODD["names that are numbers"] = ODD["one point"].assign(x=1).rename(columns={"x": 7})
ODD["empty and odd names"] = column(1).rename(columns={"odd": ""}).assign(__proto__=1, constructor=2)
ODD["the geometry has another name"] = column(1, 2).rename_geometry("id")


@pytest.fixture(scope="module")
def browser():
    started = chromium.Browser()
    yield started
    started.close()


ALONE = (
    "one point",
    "all the same",
    "infinite",
    "the poles",
    "the world",
    "fiji",
    "pacific and atlantic",
    "no columns",
)


def test_a_map_of_each_opens_without_an_error(browser, tmp_path):
    """Those whose extent is odd alone; all others as layers of one map, and again coloured by the odd column."""
    with_column = [name for name in ODD if "odd" in ODD[name].columns]
    for names, colour in [([name], None) for name in ALONE] + [(list(ODD), None), (with_column, "odd")]:
        shown = plotting.explore([ODD[name] for name in names], colour=colour, title="<i>\ud800$x$")
        browser.open(shown.save(tmp_path / "map.html").as_uri())
        state = json.loads(browser.ask("JSON.stringify(mlygeo.state)"))
        assert all(np.isfinite(state[key]) for key in ("x", "y", "zoom")), names
        browser.click(500, 350)
        assert browser.problems() == [], names
        assert browser.ask("document.title") == "<i>?$x$", names


@pytest.mark.parametrize("name", [name for name in ODD if "odd" in ODD[name].columns])
def test_every_value_of_each_is_shown(name):
    """A popup has a row for the column: none is left out because its type is odd."""
    packer = page.Packer()
    (layer,) = layers.layers_of(ODD[name])
    fields = page._fields(packer, layer, layer.frame, None)
    assert [field["title"] for field in fields] == ([] if ODD[name]["odd"].isna().all() else ["odd"])


@pytest.mark.parametrize("name", ODD)
def test_a_picture_of_each_is_drawn(name, tmp_path):
    one = ODD[name]
    colour = "odd" if "odd" in one.columns else None
    plotting.draw(one, colour=colour, title="<i>\ud800$x$").savefig(tmp_path / "map.png", dpi=20)


SAID = {
    "null and empty": "2 left out, without a position",
    "infinite": "2 left out, with infinite coordinates",
    "not degrees": "2 left out, outside of the earth",
    "no place in degrees": "1 left out, with infinite coordinates",
    "beyond 180": "1 left out, outside of the earth",
    "the poles": "2 left out, beyond 85.05° north or south, where this map ends",
    "near a pole": "1 left out, beyond 85.05° north or south, where this map ends",
    "a line to the pole": "1 cut off where they go beyond 85.05° north or south, where this map ends",
}


@pytest.mark.parametrize("name", SAID)
def test_what_is_not_shown_is_counted_and_said(name, tmp_path, capsys):
    notes = plotting.explore(ODD[name]).notes()
    assert len(notes) == 1
    assert SAID[name] in notes[0]
    path = mlygeo.write_frame(ODD[name], tmp_path / "odd.parquet")
    assert cli.main(["map", str(path), "-o", str(tmp_path / "map.html"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err.count(SAID[name]) == 1
    assert any(SAID[name] in note for note in json.loads(out)["notes"])
    assert SAID[name] in json.loads(re.search(r'<script id="meta"[^>]*>(.*?)</script>', (tmp_path / "map.html").read_text())[1])["layers"][-1]["notes"][0]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "width"),
    [("fiji", 3.5), ("fiji's points", 3.4), ("pacific and atlantic", 99), ("the world", 360), ("beyond 180", 178)],
)
def test_the_extent_is_the_shortest_stretch(name, width):
    west, east = layers.span(plotting.explore(ODD[name]).layers)
    assert east - west == pytest.approx(width)


def test_coordinates_in_metres_keep_their_digits(browser, tmp_path):
    path = plotting.explore(column(5402123.457, 0.1)).save(tmp_path / "map.html")
    browser.open(path.as_uri())
    browser.ask("document.getElementById('all').click()")
    browser.click(*json.loads(browser.ask(
        "JSON.stringify((([x, y], s) => { const u = 256 * 2 ** s.zoom / 2 ** 32;"
        " return [innerWidth / 2 + (x - s.x) * u, innerHeight / 2 + (y - s.y) * u]; })"
        "([mlygeo.meta.layers[0].xy[0], mlygeo.meta.layers[0].xy[1]], mlygeo.state))"
    )))  # fmt: skip
    assert "5402123.457" in browser.ask("document.getElementById('popup').innerText")


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (frame(HERE, crs=None), "no CRS"),
        (frame(None, None), "2 without a position"),
        (frame(shapely.Point(np.inf, 0)), "1 with infinite coordinates"),
        (frame(), "nothing to draw"),
    ],
)
def test_nothing_to_draw_says_why(layer, says):
    for way in (plotting.explore, plotting.draw):
        with pytest.raises(FrameError, match=says):
            way(layer)


def test_a_map_of_the_pole_alone_names_a_way():
    with pytest.raises(FrameError, match="lies beyond") as caught:
        plotting.explore(frame(shapely.Point(0, 90)))
    assert ".png" in caught.value.hint
    assert plotting.draw(frame(shapely.Point(0, 90)))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--dpi", "0"], "--dpi"),
        (["--dpi", "100000"], "--dpi"),
        (["--colour", "nothing"], "no layer has the column 'nothing'"),
        (["--basemap", "https://[a/{z}/{x}/{y}"], "--basemap"),
        (["--basemap", "https://a:x/{z}/{x}/{y}"], "--basemap"),
        (["nowhere.parquet"], "does not exist"),
    ],
)
def test_wrong_values_are_one_line(options, says, tmp_path, capsys):
    path = mlygeo.write_frame(ODD["all the same"], tmp_path / "odd.parquet")
    for target in ("map.html", "map.png"):
        assert cli.main(["map", str(path), *options, "-o", str(tmp_path / target)]) in {1, 2}
        err = capsys.readouterr().err
        assert says in err or ("--basemap" in err and target == "map.png")
        assert err.startswith("error: ")
        assert not (tmp_path / target).exists()


@pytest.mark.parametrize("layer", [None, 5, [None], [[]], b"x", {"a": 1}, [], "", object(), ["nowhere.gpkg"]])
def test_what_is_no_frame_is_an_error_of_ours(layer):
    for way in (mlygeo.plot, mlygeo.explore):
        with pytest.raises(MlygeoError) as caught:
            way(layer)
        assert "\n" not in str(caught.value)


def test_layers_are_whatever_holds_a_frame():
    one = ODD["all the same"]
    wrapped = [one, one.geometry, one.__geo_interface__, one.to_arrow(), list(one.geometry[:1]), (one,), iter([one])]
    for held in wrapped:
        (layer,) = mlygeo.explore(held).layers
        assert len(layer.frame) in {1, len(one)}
        assert layer.frame.geometry.iloc[0] == HERE


places = st.tuples(
    st.floats(-200, 200) | st.sampled_from([180.0, -180.0, np.inf, np.nan]),
    st.floats(-95, 95) | st.sampled_from([90.0, -90.0, 85.0511, np.inf]),
)


@settings(max_examples=60)
@given(st.lists(places, min_size=1, max_size=8), st.sampled_from(["points", "line", "areas"]))
def test_any_coordinates_are_drawn_or_counted(coordinates, kind):
    with np.errstate(invalid="ignore"):
        if kind == "points" or len(coordinates) < 4:
            geometry = [shapely.Point(*at) for at in coordinates]
        elif kind == "line":
            geometry = [shapely.linestrings(coordinates, handle_nan="allow")]
        else:
            assume(not np.isnan(coordinates[0][0]))  # GEOS closes no ring there
            geometry = [shapely.polygons(shapely.linearrings([*coordinates, coordinates[0]], handle_nan="allow"))]
    odd = frame(*geometry, id=range(len(geometry)))
    try:
        shown = plotting.explore(odd)
    except FrameError:  # nothing is left, which another test looks at
        return
    assert shown.html().startswith("<!DOCTYPE html>")
    left_out = sum(number for layer in shown.layers for why, number in layer.left_out.items() if "cut" not in why)
    assert sum(len(layer.frame) for layer in shown.layers) + left_out == len(odd)
    assert plotting.draw(odd).axes


longitudes = st.floats(-180, 180) | st.sampled_from([180.0, -180.0, 0.0, -1e-15, 179.99999999999997])


@given(st.lists(longitudes, min_size=1, max_size=30), st.booleans())
def test_everything_lies_between_west_and_east(lons, as_lines):
    if as_lines and len(lons) > 1:
        geometry = [shapely.LineString([(a, 0), (b, 1)]) for a, b in itertools.pairwise(lons)]
    else:
        geometry = [shapely.Point(lon, 0) for lon in lons]
    found = layers.layers_of(frame(*geometry))
    west, east = layers.span(found)
    moved = layers.turned(shapely.get_coordinates(found[0].geometry)[:, 0], west)
    assert (moved >= west - 1e-9).all()
    assert (moved <= east + 1e-9).all()
    assert np.isclose(
        np.cos(np.radians(moved)), np.cos(np.radians(shapely.get_coordinates(found[0].geometry)[:, 0]))
    ).all()
    if not as_lines and max(lons) - min(lons) <= 180 and min(lons) > -180 and max(lons) < 180:
        assert (west, east) == (min(lons), pytest.approx(max(lons)))
        assert (moved == np.array(lons)).all()


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(500, 3000), st.sampled_from([1e-6, 1.0, 300.0]))
def test_thinning_keeps_the_extent_and_every_place(seed, most, size):
    random = np.random.default_rng(seed)
    centre = random.uniform(-40, 40, (20, 2))
    at = centre[random.integers(0, 20, 20_000)] + random.normal(0, size / 100, (20_000, 2))
    lon, lat = at.T
    lat = np.clip(lat, -85, 85)
    rows = thinning.rows_to_draw(lon, lat, most)
    assert len(rows) <= most
    assert (np.diff(rows) > 0).all()
    for values in (lon, lat):
        assert (values[rows].min(), values[rows].max()) == (values.min(), values.max())
    # Each of the twenty places keeps about its share.
    place = np.argmin(np.abs(at[:, None] - centre).sum(axis=2), axis=1)
    share = np.bincount(place, minlength=20) / len(at)
    kept = np.bincount(place[rows], minlength=20) / len(rows)
    assert (kept[share > 0.01] > share[share > 0.01] / 4).all()
    shuffled = random.permutation(len(lon))
    again = set(zip(lon[shuffled][thinning.rows_to_draw(lon[shuffled], lat[shuffled], most)].tolist(), [0] * most, strict=False))  # fmt: skip
    assert again


def test_frames_are_thinned_alike_from_memory_and_from_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(layers, "MOST_ROWS", 1000)
    random = np.random.default_rng(3)
    many = gpd.GeoDataFrame(
        {"id": np.arange(5000), "sequence_id": pd.Series(np.arange(5000) // 100).astype("str")},
        geometry=frames.points(random.normal(9, 0.1, 5000), random.normal(48, 0.1, 5000)), crs=4326,
    )  # fmt: skip
    file = mlygeo.write_frame(many, tmp_path / "many.parquet")
    given = [many, file, many.to_crs(25832), mlygeo.write_frame(many.to_crs(25832), tmp_path / "utm.parquet")]
    found = [plotting.explore(one).layers[0] for one in given]
    for layer in found:
        assert 700 < len(layer.frame) <= 1000
        assert layer.rows == 5000
        assert layer.counted.endswith(f"({len(layer.frame):,} of 5,000)")
        assert layer.frame.total_bounds == pytest.approx(many.total_bounds, abs=1e-9)
        assert set(layer.frame["sequence_id"]) == set(many["sequence_id"])
    assert len({frozenset(layer.frame["id"]) for layer in found[:2]}) == 1
    legend = plotting.draw(file).axes[0].get_legend().get_texts()[0].get_text()
    assert "5,000" in legend


def test_many_lines_and_tracks_are_thinned(monkeypatch):
    monkeypatch.setattr(layers, "MOST_ROWS", 500)
    monkeypatch.setattr(layers, "MOST_VERTICES", 3000)
    random = np.random.default_rng(3)
    start = random.uniform(0, 1, (2000, 1, 2))
    lines = shapely.linestrings(start + np.cumsum(random.normal(0, 1e-4, (2000, 30, 2)), axis=1))
    (layer,) = layers.layers_of(gpd.GeoDataFrame({"u": range(2000)}, geometry=lines, crs=4326))
    assert 250 < len(layer.frame) <= 500
    assert layers.vertices(layer.geometry) <= 3000
    assert layer.tolerance > 0
    assert len(layer.notes()) == 2
    track = gpd.GeoDataFrame(
        {"track_id": np.repeat(["a", "b"], 1000), "time": pd.date_range("2024", periods=2000, freq="s", tz="UTC")},
        geometry=frames.points(np.linspace(9, 10, 2000), np.full(2000, 48.0)), crs=4326,
    )  # fmt: skip
    (layer,) = layers.layers_of(track.sample(frac=1, random_state=1))
    assert len(layer.frame) <= 500
    for name, one in layer.frame.groupby("track_id"):
        whole = track[track["track_id"] == name]["time"]
        assert (one["time"].min(), one["time"].max()) == (whole.min(), whole.max())


def test_a_page_too_large_for_a_browser_is_thinned_further(monkeypatch):
    monkeypatch.setattr(page, "MOST_BYTES", 300_000)
    monkeypatch.setattr(page, "FEWEST", 100)
    random = np.random.default_rng(3)
    noted = gpd.GeoDataFrame(
        {"note": [f"{number:x}" * 5 for number in random.integers(0, 2**62, 5000)]},
        geometry=frames.points(random.normal(9, 0.1, 5000), random.normal(48, 0.1, 5000)), crs=4326,
    )  # fmt: skip
    shown = plotting.explore(noted)
    assert shown.notes() == []
    assert len(shown.html()) <= 300_000
    assert " of 5,000 rows stand for all" in shown.notes()[0]
