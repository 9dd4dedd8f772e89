"""Base maps in the page: of archives on disk and on a server, and of vector tiles."""

import gzip
import json
import re
from pathlib import Path

import geopandas as gpd
import mapbox_vector_tile
import numpy as np
import pytest
import shapely
from helpers import chromium, range_server, tile_archives
from shapely import LineString, Point, box

from mlygeo import cli, plotting
from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.plotting import basemap, page, vector_tiles
from mlygeo.plotting.vector_tiles import LOOKS, Shapes

LAKE = shapely.Polygon(box(9.16, 48.76, 9.18, 48.78).exterior, [box(9.168, 48.768, 9.172, 48.772).exterior])
WOOD = box(9.19, 48.76, 9.21, 48.78)
ROAD = LineString([(9.15, 48.785), (9.22, 48.785)])
AROUND = (9.10, 48.72, 9.26, 48.83)

OPENMAPTILES = {
    "water": [(LAKE, {"class": "lake"})],
    "landcover": [(WOOD, {"class": "wood"}), (box(9.15, 48.75, 9.22, 48.755), {"class": "farmland"})],
    "transportation": [(ROAD, {"class": "primary"}), (LineString([(9.15, 48.79), (9.22, 48.79)]), {"class": "ferry"})],
    "place": [(Point(9.18, 48.77), {"name": "Somewhere"})],
}
SHORTBREAD = {
    "water_polygons": [(LAKE, {"kind": "water"})],
    "land": [(WOOD, {"kind": "forest"}), (box(9.15, 48.75, 9.22, 48.755), {"kind": "residential"})],
    "streets": [(ROAD, {"kind": "primary"})],
    "place_labels": [(Point(9.18, 48.77), {"name": "Somewhere"})],
}
PROTOMAPS = {
    "earth": [(box(*AROUND), {"kind": "earth"})],
    "water": [(LAKE, {"kind": "lake"})],
    "landuse": [(WOOD, {"kind": "forest"}), (box(9.15, 48.75, 9.22, 48.755), {"kind": "residential"})],
    "roads": [(ROAD, {"kind": "major_road"})],
    "places": [(Point(9.18, 48.77), {"name": "Somewhere"})],
}
ZOOMS = range(8, 15)


@pytest.fixture(scope="module")
def browser():
    started = chromium.Browser()
    started.send("Emulation.setDeviceMetricsOverride", width=1280, height=800, deviceScaleFactor=1, mobile=False)
    yield started
    started.close()


@pytest.fixture
def places():
    """Two images, in the corners of the region."""
    return gpd.GeoDataFrame({"id": [1, 2]}, geometry=[Point(9.155, 48.752), Point(9.215, 48.788)], crs=4326)


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    path = tmp_path_factory.mktemp("archives") / "city.pmtiles"
    return tile_archives.write(path, tile_archives.vector_tiles(OPENMAPTILES, ZOOMS), bounds=AROUND)


def show(browser, tmp_path, layers, **options):
    made = plotting.explore(layers, **options)
    browser.open(made.save(tmp_path / "map.html").as_uri())
    if '"kind": "shapes"' in (tmp_path / "map.html").read_text(encoding="utf-8"):
        wait_for(browser, "document.documentElement.dataset.ground")
    return made


def wait_for(browser, expression):
    for _ in range(100):
        if browser.ask(f"String({expression})") not in {"undefined", "false", "null", ""}:
            return
        browser.ask("new Promise(done => setTimeout(done, 50))")
    raise AssertionError(expression)


def seen(browser, picture, lon, lat):
    x, y = (float(value[0]) for value in page.world(np.array([lon]), np.array([lat])))
    state = json.loads(browser.ask("JSON.stringify([mlygeo.state, innerWidth, innerHeight])"))
    unit = 256 * 2 ** state[0]["zoom"] / 2**32
    column = state[1] / 2 + (x - state[0]["x"]) * unit
    return "#{:02x}{:02x}{:02x}".format(*picture[round(state[2] / 2 + (y - state[0]["y"]) * unit), round(column)])


@pytest.mark.parametrize(
    "layers", [OPENMAPTILES, SHORTBREAD, PROTOMAPS], ids=["openmaptiles", "shortbread", "protomaps"]
)
def test_an_archive_of_vector_tiles_lies_below_everything_offline(browser, tmp_path, places, layers):
    archive = tile_archives.write(tmp_path / "city.pmtiles", tile_archives.vector_tiles(layers, ZOOMS), bounds=AROUND)
    made = show(browser, tmp_path, places, basemap=archive)
    picture = browser.screenshot()
    wanted = {
        (9.162, 48.762): LOOKS["water"]["colour"], (9.17, 48.77): "#f6f7f8", (9.2, 48.77): LOOKS["green"]["colour"],
        (9.185, 48.785): LOOKS["major"]["colour"], (9.185, 48.7525): "#f6f7f8", (9.155, 48.752): "#d55e00",
    }  # fmt: skip
    assert {place: seen(browser, picture, *place) for place in wanted} == wanted
    assert "base map: © OpenStreetMap contributors" in browser.ask("document.getElementById('attribution').textContent")
    assert all(url.startswith(("file:", "data:", "blob:")) for url in browser.requests())
    assert browser.problems() == []
    assert made.notes() == [f"base map: zooms 9 to 14 of city.pmtiles in the page, {size_of(made)}"]


def size_of(made):
    return f"{sum(map(len, json.loads(made._base.content))) / 1e6:.1f} MB"


def test_each_zoom_has_its_level(browser, tmp_path, places, city):
    show(browser, tmp_path, places, basemap=city)
    x, y = (float(value[0]) for value in page.world(np.array([9.185]), np.array([48.785])))
    for zoom, level in ((16, "14"), (14, "13"), (9, "9"), (4, "9")):
        browser.ask(f"mlygeo.moveTo({x}, {y}, {zoom})")
        wait_for(browser, f"document.documentElement.dataset.ground === '{level}'")
        if zoom >= 14:  # further out it is narrower than a pixel or two
            assert seen(browser, browser.screenshot(), 9.185, 48.785) == LOOKS["major"]["colour"], zoom


def test_shapes_lie_where_they_are(city):
    """Against the shapes themselves: to half a step of their tile."""
    made = Shapes(12)
    for (zoom, column, row), tile in tile_archives.vector_tiles(OPENMAPTILES, [12]).items():
        assert zoom == 12
        made.add(tile, column, row)
    parts = dict(made.parts())
    west, north, east, south = tile_archives.tile_steps(LAKE, 12).bounds
    x, y = parts["water"].places.T
    assert np.allclose([x.min(), y.min(), x.max(), y.max()], [west, north, east, south], atol=0.51)
    area = sum(_area(part) for part in _rings(parts["water"]))
    assert area == pytest.approx(tile_archives.tile_steps(LAKE, 12).area, rel=0.01)


def _rings(part):
    return np.split(part.places, np.cumsum(part.counts)[:-1])


def _area(ring):
    """Signed, so that holes count against their area."""
    x, y = ring.T.astype(float)
    return (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2


def test_layers_of_no_known_schema_are_grey_lines_and_named(browser, tmp_path, places):
    layers = {"my lines": [(ROAD, {"x": 1})], "fields": [(LAKE, {"x": 2})], "spots": [(Point(9.18, 48.77), {"x": 3})]}
    path = tile_archives.write(tmp_path / "own.pmtiles", tile_archives.vector_tiles(layers, ZOOMS), bounds=AROUND)
    made = show(browser, tmp_path, places, basemap=path)
    assert made.notes()[-1] == "base map: layers fields, my lines, spots of no known schema, drawn as grey lines"
    picture = browser.screenshot()
    assert seen(browser, picture, 9.185, 48.785) != "#f6f7f8"
    assert seen(browser, picture, 9.162, 48.762) == "#f6f7f8", "areas are their borders"
    both = {**OPENMAPTILES, "fields": layers["fields"]}
    path = tile_archives.write(tmp_path / "both.pmtiles", tile_archives.vector_tiles(both, ZOOMS), bounds=AROUND)
    assert plotting.explore(places, basemap=path).notes()[-1] == "base map: layer fields of no known schema, left out"


def test_an_archive_of_pictures_is_put_into_the_page(browser, tmp_path, places):
    tiles = tile_archives.picture_tiles(AROUND, range(8, 15), "#e0d8c0")
    path = tile_archives.write(
        tmp_path / "photo.pmtiles", tiles, bounds=AROUND, kind="PNG", attribution="Somebody, CC0"
    )
    made = show(browser, tmp_path, places, basemap=path)
    wait_for(browser, "[...document.querySelectorAll('#tiles img')].every(i => i.complete)")
    assert seen(browser, browser.screenshot(), 9.185, 48.77) == "#e0d8c0"
    assert "base map: Somebody, CC0" in browser.ask("document.getElementById('attribution').textContent")
    assert all(url.startswith(("file:", "data:", "blob:")) for url in browser.requests())
    assert browser.problems() == []
    assert re.match(r"base map: zooms 9 to 14 of photo.pmtiles in the page, [\d.]+ MB$", made.notes()[0])
    x, y = (float(value[0]) for value in page.world(np.array([9.185]), np.array([48.785])))
    browser.ask(f"mlygeo.moveTo({x}, {y}, 18)")
    wait_for(browser, "[...document.querySelectorAll('#tiles img')].every(i => i.complete)")
    assert seen(browser, browser.screenshot(), 9.185, 48.785) == "#e0d8c0", "the finest there is, enlarged"


def test_an_archive_on_a_server_is_read_by_ranges(tmp_path, places, city):
    here = plotting.explore(places, basemap=city)
    whole = city.read_bytes() + bytes(4 << 20)  # so large that its end is not all of it
    with range_server.serving({"maps/city.pmtiles": whole}) as (address, asked, state):
        there = plotting.explore(places, basemap=address + "?key=secret")
        assert json.loads(there._base.content) == json.loads(here._base.content)
        assert all(wanted.startswith("bytes=") for wanted in asked)
        assert state["sent"] < len(whole)
        assert "secret" not in "".join([*there.notes(), there.html()])
    with (
        range_server.serving({"city.pmtiles": whole}, parts=False) as (address, _, _),
        pytest.raises(OSError, match="sends no parts of files"),
    ):
        plotting.explore(places, basemap=address)
    with range_server.serving({"a": b""}) as (address, _, _), pytest.raises(FileError, match="does not exist"):
        plotting.explore(places, basemap=f"{address}.pmtiles")


def test_vector_tiles_of_a_server_are_fetched_when_the_map_is_made(browser, tmp_path, places):
    tiles = tile_archives.vector_tiles(OPENMAPTILES, ZOOMS)
    served = {f"{zoom}/{x}/{y}.pbf": content for (zoom, x, y), content in tiles.items()}
    with range_server.serving({"start": b"", **served}, parts=False) as (address, asked, _):
        template = address.replace("start", "{z}/{x}/{y}.pbf?key=1")
        made = show(browser, tmp_path, places, basemap=template, basemap_attribution="© OSM")
        assert asked
    wait_for(browser, "document.documentElement.dataset.ground")
    assert seen(browser, browser.screenshot(), 9.162, 48.762) == LOOKS["water"]["colour"], "without the server"
    assert browser.problems() == []
    assert "zooms 9 to 14" in made.notes()[0]
    with range_server.serving({"start": b""}, status=403) as (address, _, _):
        template = address.replace("start", "{z}/{x}/{y}.pbf?key=secret")
        with pytest.raises(
            OSError, match=r"tile 9/\d+/\d+ of http://127.0.0.1:\d+/{z}/{x}/{y}.pbf may not be"
        ) as caught:
            plotting.explore(places, basemap=template, basemap_attribution="x")
    assert "secret" not in str(caught.value)
    with pytest.raises(InputError, match="basemap_attribution"):
        plotting.explore(places, basemap="https://tiles.example.org/{z}/{x}/{y}.mvt")


def test_the_finest_zoom_is_the_last_that_fits(monkeypatch, tmp_path, places, city):
    whole = plotting.explore(places, basemap=city)
    sizes = [len(text) for text in json.loads(whole._base.content)]
    monkeypatch.setattr(basemap, "MOST_BYTES", sum(sizes) - 1)
    assert "zooms 9 to 13 of" in plotting.explore(places, basemap=city).notes()[0]
    monkeypatch.setattr(basemap, "MOST_BYTES", sizes[0] - 1)
    with pytest.raises(InputError, match="too large for this map: zoom 9 alone takes"):
        plotting.explore(places, basemap=city)
    monkeypatch.undo()
    monkeypatch.setattr(basemap, "MOST_TILES", 60)
    assert "zooms 9 to 11 of" in plotting.explore(places, basemap=city).notes()[0]
    monkeypatch.setattr(basemap, "MOST_TILES", 5)
    with pytest.raises(InputError, match="zoom 9, its coarsest, has"):
        plotting.explore(places, basemap=city)


def test_a_base_map_counts_apart_from_the_data(monkeypatch, places, city):
    monkeypatch.setattr(page, "MOST_BYTES", 200_000)
    made = plotting.explore(places, basemap=city)
    made.html()
    assert len(made.layers[0].frame) == 2


def test_a_map_without_tiles_is_refused_and_one_with_some_counts_them(tmp_path, places, city):
    far = places.set_geometry(gpd.points_from_xy([24.9, 24.95], [60.1, 60.2]), crs=4326)
    with pytest.raises(InputError, match=r"covers 9.10 to 9.26° east .* the map shows 24.90 to 24.95° east"):
        plotting.explore(far, basemap=city)
    tiles = {
        at: tile for at, tile in tile_archives.vector_tiles(OPENMAPTILES, ZOOMS).items() if at[0] < 14 or at[1] == 8608
    }
    some = tile_archives.write(tmp_path / "some.pmtiles", tiles, bounds=AROUND)
    assert re.match(
        r"base map: \d+ of \d+ tiles of zoom 14 are not there", plotting.explore(places, basemap=some).notes()[1]
    )
    empty = tile_archives.write(tmp_path / "empty.pmtiles", {(12, 0, 0): b"\x1a\x00"}, bounds=AROUND)
    with pytest.raises(InputError, match=r"empty.pmtiles has no tile where the map is"):
        plotting.explore(places, basemap=empty)


NOT_TEXT = b"water", b"class"
"""The name of a layer and that of a column, of which other bytes are made."""


def test_broken_tiles_are_counted(tmp_path, places):
    tiles = tile_archives.vector_tiles(OPENMAPTILES, ZOOMS)
    broken = [address for address in tiles if address[0] == 14][:4]
    bad = (
        b"<html>no</html>", tiles[broken[1]][:-3],
        *(tiles[address].replace(name, b"\xff" * len(name)) for address, name in zip(broken[2:], NOT_TEXT, strict=True)),
    )  # fmt: skip
    for address, content in zip(broken, bad, strict=True):
        assert tiles[address] != content
        tiles[address] = content
    path = tile_archives.write(tmp_path / "city.pmtiles", tiles, bounds=AROUND)
    notes = plotting.explore(places, basemap=path).notes()
    assert re.match(r"base map: 4 tiles cannot be read \(14/\d+/\d+: ", notes[-1]), notes
    path = tile_archives.write(tmp_path / "city.pmtiles", dict.fromkeys(tiles, b"{}"), bounds=AROUND)
    with pytest.raises(FormatError, match=r"no tile of city.pmtiles can be read: .*JSON"):
        plotting.explore(places, basemap=path)


def test_tiles_whose_gzip_is_broken_and_pictures_that_are_none_are_counted(tmp_path, places):
    tiles = tile_archives.vector_tiles(OPENMAPTILES, ZOOMS)
    packed = {address: gzip.compress(content) for address, content in tiles.items()}
    finest = [address for address in tiles if address[0] == 14]
    packed[finest[0]] = packed[finest[0]][:-9]
    path = tile_archives.write(tmp_path / "city.pmtiles", packed, bounds=AROUND, compression="NONE")
    assert "1 tile cannot be read (14/" in plotting.explore(places, basemap=path).notes()[-1]
    tiles = tile_archives.picture_tiles(AROUND, [12], "red")
    tiles[min(tiles)] = b"<svg/>"
    path = tile_archives.write(tmp_path / "red.pmtiles", tiles, bounds=AROUND, kind="PNG")
    assert "it is not a picture of type png" in plotting.explore(places, basemap=path).notes()[-1]
    tile_archives.write(path, tiles, bounds=AROUND, kind="WEBP")
    with pytest.raises(FormatError, match=r"no tile of red.pmtiles can be read: .* type webp"):
        plotting.explore(places, basemap=path)


def test_a_coarsest_zoom_with_too_many_tiles_is_refused_before_they_are_listed(tmp_path):
    path = tile_archives.write(tmp_path / "fine.pmtiles", {(19, 5, 5): b""}, bounds=(-180, -85, 180, 85))
    wide = gpd.GeoDataFrame({"id": [1, 2]}, geometry=[Point(-80, -70), Point(80, 70)], crs=4326)
    with pytest.raises(InputError, match=r"zoom 19, its coarsest, has \d{2,3},\d{3},\d{3},\d{3} tiles there"):
        plotting.explore(wide, basemap=path)


def test_tiles_that_are_large_together_are_refused(monkeypatch, places, city):
    monkeypatch.setattr(basemap, "MOST_HELD", 1000)
    with pytest.raises(InputError, match=r"the tiles of zoom \d+ have more than"):
        plotting.explore(places, basemap=city)


def test_keys_in_addresses_are_not_said(places):
    with pytest.raises(InputError) as error:
        plotting.explore(places, basemap="ftp://me:mine@example.org/{z}/{x}/{y}.png?key=SECRET")
    assert not re.search("SECRET|mine", str(error.value))


def test_whose_it_is_must_be_known(tmp_path, places):
    tiles = tile_archives.vector_tiles(OPENMAPTILES, ZOOMS)
    silent = tile_archives.write(tmp_path / "silent.pmtiles", tiles, bounds=AROUND, attribution=None)
    with pytest.raises(InputError, match=r"basemap_attribution. is missing: silent.pmtiles does not say"):
        plotting.explore(places, basemap=silent)
    assert plotting.explore(places, basemap=silent, basemap_attribution="Me").attribution[-1] == "base map: Me"
    hostile = '<a href="x">Me &amp; you</a><script>window.pwned = 1</script>'
    said = tile_archives.write(tmp_path / "said.pmtiles", tiles, bounds=AROUND, attribution=hostile)
    made = plotting.explore(places, basemap=said, basemap_attribution="Them")
    assert made.attribution[-1] == "base map: Them; Me & you window.pwned = 1", "what an archive says is never dropped"
    assert "<script>window.pwned" not in made.html()


FAULTS = {
    "no archive": (lambda data: b"nothing of that kind" + bytes(200), "is not a PMTiles archive"),
    "empty": (lambda _: b"", "is not a PMTiles archive"),
    "a database": (lambda _: b"SQLite format 3\0" + bytes(200), "database"),
    "a head": (lambda data: data[:100], "cut off in its header"),
    "cut off": (lambda data: data[:-10], "is cut off: it has"),
    "version 2": (lambda data: data[:7] + b"\2" + data[8:], "of version 2"),
    "brotli inside": (lambda data: data[:97] + b"\3" + data[98:], "compressed by brotli"),
    "zstd tiles": (lambda data: data[:98] + b"\4" + data[99:], "compressed by zstd"),
    "unknown compression": (lambda data: data[:98] + b"\0" + data[99:], "compressed by unknown"),
    "a later compression": (lambda data: data[:98] + b"\11" + data[99:], "damaged or of a later version"),
    "maplibre tiles": (lambda data: data[:99] + b"\6" + data[100:], "type MLT|later version"),
    "a broken directory": (lambda data: data[:127] + bytes(30) + data[157:], "a directory is damaged"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_archive_that_cannot_be_read_says_why(fault, tmp_path, places, city):
    change, says = FAULTS[fault]
    path = tmp_path / "bad.pmtiles"
    path.write_bytes(change(city.read_bytes()))
    with pytest.raises(FormatError, match=says):
        plotting.explore(places, basemap=path)


def test_a_directory_that_unpacks_to_gigabytes_is_refused(tmp_path, places, monkeypatch):
    from mlygeo.store import tile_archives as ours

    monkeypatch.setattr(ours, "MOST_BYTES", 2000)
    tiles = tile_archives.vector_tiles(OPENMAPTILES, ZOOMS)
    path = tile_archives.write(tmp_path / "bomb.pmtiles", tiles, bounds=AROUND, attribution="x" * 100_000)
    with pytest.raises(FormatError, match="metadata is damaged or has more than"):
        plotting.explore(places, basemap=path)


@pytest.mark.parametrize(
    ("directory", "says"),
    [
        (b"\x01" + b"\xff" * 3_000_000, "number has more than 64 bits"),
        (bytes(5 << 20), "damaged or has more than 4 MiB"),
    ],
)
def test_a_directory_that_takes_hours_or_gigabytes_is_refused(tmp_path, places, city, directory, says):
    content, packed = city.read_bytes(), gzip.compress(directory)
    head = content[:8] + len(content).to_bytes(8, "little") + len(packed).to_bytes(8, "little") + content[24:127]
    path = tmp_path / "bad.pmtiles"
    path.write_bytes(head + content[127:] + packed)
    with pytest.raises(FormatError, match=says):
        plotting.explore(places, basemap=path)


def test_metadata_that_is_nested_without_end_is_damaged(tmp_path, places):
    nested = gzip.compress(b"[" * 1_000_000)
    tiles = tile_archives.vector_tiles(OPENMAPTILES, [10])
    path = tile_archives.write(tmp_path / "nested.pmtiles", tiles, bounds=AROUND)
    content = path.read_bytes()
    head = bytearray(content[:127])
    head[24:40] = len(content).to_bytes(8, "little") + len(nested).to_bytes(8, "little")
    path.write_bytes(bytes(head) + content[127:] + nested)
    with pytest.raises(FormatError, match=r"nested.pmtiles: its metadata is damaged"):
        plotting.explore(places, basemap=path)


def test_what_is_no_archive_that_is_there(tmp_path, places):
    with pytest.raises(FileError, match=r"gone.pmtiles does not exist"):
        plotting.explore(places, basemap=tmp_path / "gone.pmtiles")
    with pytest.raises(InputError, match="nor an existing PMTiles archive"):
        plotting.explore(places, basemap="gone.mbtiles")
    with pytest.raises(InputError, match=r"not read from http://example.org"):
        plotting.explore(places, basemap="http://example.org/city.pmtiles")


def test_a_picture_takes_no_archive(tmp_path, places, city, capsys):
    pytest.importorskip("matplotlib", reason="pictures need mlygeo[plot]")
    places.to_parquet(tmp_path / "places.parquet")
    words = ["map", str(tmp_path / "places.parquet"), "--basemap", str(city), "-o"]
    assert cli.main([*words, str(tmp_path / "map.png")]) != 0
    assert "interactive maps (.html)" in capsys.readouterr().err
    assert cli.main([*words, str(tmp_path / "map.html")]) == 0
    said = capsys.readouterr().err
    assert "base map: zooms 9 to 14 of city.pmtiles in the page" in said
    assert str(city.parent) not in Path(tmp_path / "map.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("wide", [0.001, 0.5, 5, 60])
def test_any_region_has_its_tiles(tmp_path, wide):
    """A town, a country: from the zoom at which all is one tile, and coarser, to the finest that fits."""
    lakes = {"water": [(box(-60, -60, 60, 60), {"class": "sea"})]}
    archive = tile_archives.write(
        tmp_path / "world.pmtiles", tile_archives.vector_tiles(lakes, range(6)), bounds=(-180, -85, 180, 85)
    )
    two = gpd.GeoDataFrame({"id": [1, 2]}, geometry=[Point(1, 1), Point(1 + wide, 1 + wide / 2)], crs=4326)
    said = plotting.explore(two, basemap=archive).notes()[0]
    first, last = map(int, re.search(r"zooms (\d+) to (\d+)", said).groups())
    assert last == 5
    assert first <= max(np.log2(360 / wide) - basemap.COARSER, 0) or first == 5 - basemap.COARSER


def test_the_decoder_sees_what_mapbox_vector_tile_sees():
    """The same number of vertices in water and roads, tile by tile; those beyond the tile are cut off."""
    for (zoom, column, row), tile in tile_archives.vector_tiles(OPENMAPTILES, [11]).items():
        made = Shapes(zoom)
        made.add(tile, column, row)
        parts = dict(made.parts())
        decoded = mapbox_vector_tile.decode(tile, default_options={"y_coord_down": True})
        lines = [
            shapely.clip_by_rect(shapely.geometry.shape(feature["geometry"]), 0, 0, 4096, 4096)
            for feature in decoded.get("transportation", {"features": []})["features"]
            if feature["properties"]["class"] == "primary"
        ]
        theirs = sum(line.length for line in lines)
        ours = (
            sum(np.hypot(*np.diff(line, axis=0).T).sum() for line in _rings(parts["major"])) if "major" in parts else 0
        )
        assert ours == pytest.approx(theirs, abs=2)


@pytest.mark.parametrize(
    ("said", "is_drawn"),
    [
        ({"kind": "county", "kind_detail": 6}, True), ({"kind": "locality", "kind_detail": 10}, False),
        ({"kind": "overlay_limit", "kind_detail": 3}, False), ({"pmap:min_admin_level": 8}, True),
        ({"pmap:min_admin_level": 9}, False), ({"admin_level": 2, "maritime": 1}, False), ({"admin_level": 4}, True),
    ],
)  # fmt: skip
def test_boundaries_are_those_on_land_down_to_towns(said, is_drawn):
    made = Shapes(11)
    for (_, column, row), tile in tile_archives.vector_tiles({"boundaries": [(ROAD, said)]}, [11]).items():
        made.add(tile, column, row)
    assert [look for look, part in made.parts() if len(part.counts)] == ["boundary"] * is_drawn


def test_lines_in_water_that_are_no_water_are_left_out():
    lines = [(ROAD, {"kind": "strait"}), (LineString([(9.15, 48.79), (9.22, 48.79)]), {"kind": "river"})]
    made = Shapes(11)
    for (_, column, row), tile in tile_archives.vector_tiles({"water": lines}, [11]).items():
        made.add(tile, column, row)
    assert {look: len(part.counts) for look, part in made.parts()} == {"stream": 1}


def test_no_name_of_a_layer_is_both_drawn_and_left_out():
    assert not vector_tiles.LEFT_OUT & vector_tiles.THEMES.keys()
