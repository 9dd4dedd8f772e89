"""Base maps of real archives of each schema: what is drawn is what another decoder reads in their tiles."""

import json
import shlex
import sqlite3
import subprocess
import sysconfig
from pathlib import Path

import geopandas as gpd
import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from conftest import DATA
from helpers import chromium
from shapely import Point

from mlygeo import cli, plotting
from mlygeo.errors import FormatError
from mlygeo.formats import mvt_tiles
from mlygeo.plotting.vector_tiles import LOOKS
from mlygeo.store import tile_archives

BASEMAPS = DATA / "tiles" / "basemaps"

TILES = {
    "openmaptiles": (8530, 5973), "shortbread": (8267, 6046), "protomaps": (13463, 9726), "protomaps_2": (2622, 6342),
}  # fmt: skip
"""The one tile of each archive, zoom 14."""

UNSAID = "© OpenStreetMap contributors"

WITHOUT = {"openmaptiles", "protomaps_2"}
"""Archives that do not say whose they are."""

# What a reader of the schemas' pages expects of the kinds in these tiles.
GREENS = {
    "wood", "grass", "grassland", "heath", "meadow", "scrub", "garden", "playground", "orchard", "park", "pitch", "wetland",
    "recreation_ground",
}  # fmt: skip
LINES = {
    "path": {"path", "footway", "track", "steps", "pedestrian"},
    "rail": {"rail", "railway"},
    "major": {"primary", "secondary", "tertiary", "highway", "major_road", "medium_road"},
    "minor": {"minor", "service", "residential", "unclassified", "living_street", "minor_road", "other"},
    "stream": {"stream", "river", "ditch", "waterway"},
    None: {"abandoned", "minor_construction", "aeroway"},
}
AREAS = {
    "building": ("building", "buildings"), "paved": ("transportation", "street_polygons"), "water": ("water", "water_polygons"),
    "green": ("landcover", "landuse", "land", "sites", "park"),
}  # fmt: skip
"""The highest first, as in `LOOKS` from its end."""

GROUND = "#f6f7f8"


@pytest.fixture(scope="module")
def browser():
    started = chromium.Browser()
    sized(started)
    yield started
    started.close()


def sized(browser, *, width=1280, dots=1):
    """Give the page a size, and each of its pixels so many dots to a side."""
    size = {"width": width, "height": 800, "deviceScaleFactor": dots, "mobile": width < 500}
    browser.send("Emulation.setDeviceMetricsOverride", **size)


def kind_of(feature):
    said = feature["properties"]
    return next((said[name] for name in ("class", "kind", "pmap:kind") if name in said), None)


def places_of(name):
    """Two images, near opposite corners of the tile."""
    with tile_archives.opened(BASEMAPS / f"{name}.pmtiles") as archive:
        west, south, east, north = shapely.box(*archive.bounds).buffer(-0.0005).bounds
    return gpd.GeoDataFrame({"id": [1, 2]}, geometry=[Point(west, south), Point(east, north)], crs=4326)


def decoded(name):
    """The layers of the tile: {layer: [(kind, shape)]}, shapes in 4096 steps from its north-western corner."""
    with (
        tile_archives.opened(BASEMAPS / f"{name}.pmtiles") as archive,
        mvt_tiles.opened(archive.tile(14, *TILES[name])) as plain,
    ):
        layers = mapbox_vector_tile.decode(plain, default_options={"y_coord_down": True})
    return {
        layer: [(kind_of(each), shapely.geometry.shape(each["geometry"])) for each in found["features"]]
        for layer, found in layers.items()
    }


def drawn(browser, tmp_path, name):
    """A picture of the map, and where steps of the tile are in it."""
    said = {"basemap_attribution": UNSAID} if name in WITHOUT else {}
    made = plotting.explore(places_of(name), basemap=BASEMAPS / f"{name}.pmtiles", **said)
    browser.open(made.save(tmp_path / "map.html").as_uri())
    for _ in range(100):
        if browser.ask("document.documentElement.dataset.ground") == "14":
            break
        browser.ask("new Promise(done => setTimeout(done, 50))")
    state = json.loads(browser.ask("JSON.stringify([mlygeo.state, innerWidth, innerHeight])"))
    unit = 2 ** (state[0]["zoom"] + 8) / 2**32
    side = 2 ** (32 - 14)

    def pixels(steps):
        places = (np.asarray(steps) / 4096 + TILES[name]) * side
        return (places - [state[0]["x"], state[0]["y"]]) * unit + [state[1] / 2, state[2] / 2]

    return made, browser.screenshot(), pixels, side * unit / 4096


def colour_at(picture, place):
    return "#{:02x}{:02x}{:02x}".format(*picture[int(place[1]), int(place[0])])


def free_of_controls(places):
    """Which places no control of the page lies on."""
    x, y = np.asarray(places).T
    return (x > 60) & (x < 1270) & (y > 80) & (y < 720) & ~((x > 1000) & (y < 120))


@pytest.mark.parametrize("name", TILES)
def test_areas_have_the_colour_of_what_they_are(browser, tmp_path, name):
    layers = decoded(name)
    made, picture, pixels, scale = drawn(browser, tmp_path, name)
    areas = {look: [] for look in AREAS}
    edges = []
    for look, names in AREAS.items():
        for kind, shape in (each for layer in names for each in layers.get(layer, [])):
            if shape.geom_type.endswith("Polygon"):
                edges.append(shape.boundary)
                if look != "green" or kind in GREENS:
                    areas[look].append(shape)
    edges += [shape for found in layers.values() for _, shape in found if shape.geom_type.endswith("String")]
    steps = np.random.default_rng(0).uniform(16, 4080, (4000, 2))  # not at the edge of the tile
    at = pixels(steps)
    points = shapely.points(steps)
    near = np.unique(shapely.STRtree(points).query(edges, "dwithin", distance=5 / scale)[1])
    kept = np.setdiff1d(np.flatnonzero(free_of_controls(at)), near)
    wanted = np.full(len(steps), GROUND, dtype=object)
    for look in reversed(AREAS):
        inside = shapely.STRtree(points).query(shapely.make_valid(areas[look]), "contains")[1]
        wanted[inside] = LOOKS[look]["colour"]
    wrong = {tuple(np.round(at[i])): (colour_at(picture, at[i]), wanted[i]) for i in kept
             if colour_at(picture, at[i]) != wanted[i]}  # fmt: skip
    assert not wrong
    assert len(kept) > 300
    assert {LOOKS["building"]["colour"], LOOKS["green"]["colour"], GROUND} <= set(wanted[kept])
    assert browser.problems() == []
    assert made.notes()[0].startswith(f"base map: zoom 14 of {name}.pmtiles in the page")
    assert len(made.notes()) == 1, "every layer is of a known schema"


@pytest.mark.parametrize("name", TILES)
def test_lines_are_roads_rails_and_streams(browser, tmp_path, name):
    """In the middle of a line that has no other one near: what it is, or nothing."""
    dots = 4  # so that the narrowest lines have dots that nothing else shares
    layers = decoded(name)
    sized(browser, dots=dots)
    _, picture, pixels, scale = drawn(browser, tmp_path, name)
    sized(browser)
    named = ("transportation", "streets", "roads", "transit", "waterway", "water_lines", "water", "physical_line")
    lines = [(kind, shape) for layer in named for kind, shape in layers.get(layer, [])
             if shape.geom_type.endswith("String")]  # fmt: skip
    parts, owner = shapely.get_parts([shape for _, shape in lines], return_index=True)
    middles = shapely.line_interpolate_point(parts, 0.5, normalized=True)
    others = [shape for layer, found in layers.items() for _, shape in found
              if "boundar" in layer and shape.geom_type.endswith("String")]  # fmt: skip
    tree = shapely.STRtree(np.concatenate([parts, others]))
    counts = np.bincount(tree.query(middles, "dwithin", distance=6 / scale)[0], minlength=len(parts))
    at = pixels(shapely.get_coordinates(middles))
    inside = ((shapely.get_coordinates(middles) > 0) & (shapely.get_coordinates(middles) < 4096)).all(axis=1)
    looks = {kind: look for look, kinds in LINES.items() for kind in kinds}
    colours = {LOOKS[look]["colour"] for look in LOOKS if "width" in LOOKS[look]} - {LOOKS["water"]["colour"]}
    wrong, seen = [], set()
    for number in np.flatnonzero((counts == 1) & inside & free_of_controls(at)):
        look = looks[lines[owner[number]][0]]
        x, y = (at[number] * dots).astype(int)
        around = picture[y - dots : y + dots + 1, x - dots : x + dots + 1].reshape(-1, 3)
        around = {"#{:02x}{:02x}{:02x}".format(*each) for each in around}
        found = LOOKS[look]["colour"] in around if look else not around & colours
        seen.add(look)
        if not found:
            wrong.append((tuple(at[number]), look, around))
    assert not wrong
    assert len(seen) > 2


@pytest.mark.parametrize("width", [1280, 390])
def test_whose_they_are_is_readable_below_the_map(browser, tmp_path, width):
    sized(browser, width=width)
    for name in TILES:
        drawn(browser, tmp_path, name)
        assert "© OpenStreetMap" in browser.ask("document.getElementById('attribution').innerText")
        assert browser.ask("document.documentElement.scrollWidth") <= width
    sized(browser)


def test_the_command_that_converts_an_mbtiles_archive_is_said_and_works(tmp_path, capsys):
    """Of the form that tilemaker and MapTiler write: rows from the south, metadata as text."""
    x, y = TILES["shortbread"]
    with tile_archives.opened(BASEMAPS / "shortbread.pmtiles") as archive:
        tile, said, bounds = archive.tile(14, x, y), archive.metadata(), archive.bounds
    path = tmp_path / "a city.mbtiles"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE metadata (name text, value text)")
    database.execute("CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob)")
    database.execute("INSERT INTO tiles VALUES (14, ?, ?, ?)", (x, 2**14 - 1 - y, tile))
    values = {"name": "city", "format": "pbf", "minzoom": "14", "maxzoom": "14", "attribution": said["attribution"],
              "bounds": ",".join(map(str, bounds)), "json": '{"vector_layers": []}'}  # fmt: skip
    database.executemany("INSERT INTO metadata VALUES (?, ?)", values.items())
    database.commit()
    database.close()
    with pytest.raises(FormatError, match="MBTiles") as caught:
        plotting.explore(places_of("shortbread"), basemap=path)
    words = shlex.split(caught.value.hint.partition(", a command")[0])
    assert words[0] == "pmtiles-convert"
    script = Path(sysconfig.get_path("scripts")) / words[0]
    subprocess.run([script, *words[1:]], check=True, capture_output=True)
    places_of("shortbread").to_parquet(tmp_path / "places.parquet")
    words = ["map", tmp_path / "places.parquet", "--basemap", words[2], "-o", tmp_path / "map.html"]
    assert cli.main([str(each) for each in words]) == 0
    assert "base map: zoom 14 of a city.pmtiles in the page" in capsys.readouterr().err
    assert "© OpenStreetMap contributors" in (tmp_path / "map.html").read_text(encoding="utf-8")
