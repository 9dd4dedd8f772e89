"""The same shapes are the same region, whatever holds them."""

import itertools
import json
import logging

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from shapely import GeometryCollection, LineString, MultiPoint, MultiPolygon, Point, Polygon, box

from mlygeo import config, regions
from mlygeo.errors import ConfigError, FileError, MlygeoError, RegionError
from mlygeo.providers.tile_cache import region_tiles
from mlygeo.regions import Region

BOWTIE = Polygon([(103.8, 1.31), (103.82, 1.32), (103.82, 1.31), (103.8, 1.32)])
WEST, EAST = box(103.803, 1.311, 103.806, 1.319), box(103.812, 1.311, 103.819, 1.319)
MIXED = [
    WEST,
    GeometryCollection([GeometryCollection([EAST, Point(103.81, 1.315)]), LineString([(103.8, 1.3), (103.82, 1.32)])]),
]


class Held:
    """What another library may hold."""

    def __init__(self, shape):
        self.__geo_interface__ = shapely.geometry.mapping(shape)


def in_memory(shapes):
    """The same shapes as a user may hold them."""
    frame = gpd.GeoDataFrame({"n": range(len(shapes))}, geometry=shapes, crs=4326)
    collection = json.loads(frame.to_json())
    yield "frame", frame
    yield "series", frame.geometry
    yield "frame of another geometry column", frame.rename_geometry("outline")
    yield "list", list(shapes)
    yield "array", np.array([*shapes, None], dtype=object)[:-1]
    yield "collection", GeometryCollection(list(shapes))
    yield "feature collection", collection
    yield (
        "geometries",
        {"type": "GeometryCollection", "geometries": [each["geometry"] for each in collection["features"]]},
    )
    yield "text of GeoJSON", json.dumps(collection)
    yield "WKT", GeometryCollection(list(shapes)).wkt
    yield "__geo_interface__", Held(GeometryCollection(list(shapes)))
    yield "Arrow", frame.to_arrow()
    yield "table with WKT", pd.DataFrame({"n": range(len(shapes)), "geometry": frame.geometry.to_wkt()})


def in_files(shapes, folder):
    frame = gpd.GeoDataFrame({"n": range(len(shapes))}, geometry=shapes, crs=4326)
    for ending in ("geojson", "gpkg", "fgb", "kml", "json"):
        frame.to_file(folder / f"x.{ending}", driver={"json": "GeoJSON", "kml": "KML"}.get(ending))
        yield ending, folder / f"x.{ending}"
    frame.to_parquet(folder / "x.parquet")
    yield "parquet", str(folder / "x.parquet")
    if all(shape.geom_type == "Polygon" for shape in shapes):
        frame.to_file(folder / "x.shp")
        yield "shp", folder / "x.shp"


def in_planes(shapes):
    frame = gpd.GeoDataFrame({"n": range(len(shapes))}, geometry=shapes, crs=4326)
    for crs in (32648, 3857, 4258, 3414, 3395, 3832):
        yield str(crs), frame.to_crs(crs)


@pytest.mark.parametrize(
    ("shapes", "expected", "left_out", "words"),
    [
        ([WEST, EAST], MultiPolygon([WEST, EAST]), {}, []),
        (MIXED, MultiPolygon([WEST, EAST]), {"lines": 1, "points": 1}, ["1 line and 1 point were left out"]),
        ([BOWTIE], shapely.make_valid(BOWTIE), {}, ["cannot be drawn so (self-intersection)", "now covers 1.23 km²"]),
        ([WEST, BOWTIE], shapely.unary_union([WEST, shapely.make_valid(BOWTIE)]), {}, ["1 polygon of", "self-inter"]),
    ],
)  # fmt: skip
def test_shapes_are_judged_alike_whatever_holds_them(shapes, expected, left_out, words, tmp_path, caplog):
    for name, value in itertools.chain(in_memory(shapes), in_files(shapes, tmp_path), in_planes(shapes)):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "mlygeo.regions"):
            region = regions.as_region(value)
        off = region.geometry.symmetric_difference(expected).area / expected.area
        assert off < 1e-4, name  # two kilometres are straight in every CRS, to some centimetres
        assert region.left_out == left_out, name
        for word in words:
            assert word in caplog.text, name
        if not words:
            assert not caplog.text, name


@pytest.mark.parametrize("shapes", [[Point(103.81, 1.315), LineString([(103.8, 1.3), (103.82, 1.31)])], MIXED])
def test_a_buffer_is_the_same_whatever_holds_the_shapes(shapes, tmp_path):
    expected = Region.from_geometry(GeometryCollection(shapes), buffer=150)
    for name, value in itertools.chain(in_memory(shapes), in_files(shapes, tmp_path), in_planes(shapes)):
        region = regions.as_region(value, buffer=150)
        off = region.geometry.symmetric_difference(expected.geometry).area / expected.geometry.area
        assert off < 1e-3, name
        assert not region.left_out, name


@settings(deadline=None, max_examples=25)
@given(st.floats(-179.9, 179.9), st.floats(-80, 80), st.lists(st.floats(0.2, 1), min_size=5, max_size=7), st.randoms())
def test_any_polygon_is_the_same_in_any_crs(lon, lat, radii, random):
    angles = np.arange(len(radii)) * 2 * np.pi / len(radii)
    corners = np.column_stack([lon + radii * np.cos(angles), lat + radii * np.sin(angles)])
    # With many corners an edge is as good as straight in every CRS.
    star = Polygon(corners).segmentize(0.01)
    expected = Region.from_geometry(star)
    points = np.array([(random.uniform(-1.1, 1.1), random.uniform(-1.1, 1.1)) for _ in range(100)])
    clear = shapely.distance(star.exterior, shapely.points(points + np.array([lon, lat]))) > 1e-4
    x, y = ((points[:, 0] + lon + 180) % 360 - 180)[clear], (points[:, 1] + lat)[clear]
    for crs in (3857, 4258, 3832, 8857, 3995 if lat > 0 else 3031, f"+proj=laea +lon_0={lon} +lat_0={lat} +type=crs"):
        away = Transformer.from_crs(4326, crs, always_xy=True)
        plane = shapely.transform(star, away.transform, interleaved=False)
        if not plane.is_valid:  # the seam of its world runs through it
            continue
        region = Region.from_geometry(gpd.GeoSeries([plane], crs=crs))
        assert (region.contains(x, y) == expected.contains(x, y)).all(), crs


# Files --------------------------------------------------------------------------


@pytest.fixture
def layers(tmp_path):
    path = tmp_path / "layers.gpkg"
    for name, shapes in {"stops": [Point(9, 48)], "parks": [box(9, 48, 9.1, 48.1)]}.items():
        gpd.GeoDataFrame(geometry=shapes, crs=4326).to_file(path, layer=name)
    return path


def test_layers(layers):
    park = box(9, 48, 9.1, 48.1)
    for region in (
        regions.as_region(layers),  # the only one with polygons
        regions.as_region(f"{layers}:parks"),
        Region.from_file(layers, layer="parks"),
        Region.from_file(f"{layers}:parks"),
    ):
        assert region.geometry.equals(park)
    stop = regions.as_region(f"{layers}:stops", buffer=100)
    assert stop.area_m2 == pytest.approx(np.pi * 100**2, rel=1e-3)
    with pytest.raises(RegionError, match="2 layers that may be meant: stops, parks") as caught:
        regions.as_region(layers, buffer=100)
    assert "layers.gpkg:stops`" in caught.value.hint
    with pytest.raises(RegionError, match=r"the region in layers\.gpkg:stops contains no polygon, only 1 point"):
        regions.as_region(f"{layers}:stops")
    with pytest.raises(MlygeoError, match="nowhere"):
        regions.as_region(f"{layers}:nowhere")
    gpd.GeoDataFrame(geometry=[box(0, 0, 1, 1)], crs=4326).to_file(layers, layer="lakes")
    with pytest.raises(RegionError, match="2 layers that may be meant: parks, lakes"):
        regions.as_region(layers)


GPX = """<?xml version="1.0"?><gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1">
<wpt lat="48.5" lon="9.5"/>
<rte><rtept lat="48.2" lon="9.2"/><rtept lat="48.2" lon="9.3"/></rte>
<trk><trkseg><trkpt lat="48" lon="9"/><trkpt lat="48" lon="9.1"/></trkseg>
<trkseg><trkpt lat="-17" lon="179.99"/><trkpt lat="-17" lon="-179.99"/></trkseg></trk></gpx>"""


def test_a_gpx_file_is_its_tracks_routes_and_way_points(tmp_path):
    path = tmp_path / "ride.gpx"
    path.write_text(GPX)
    with pytest.raises(RegionError, match=r"no polygon, only 3 lines and 1 point") as caught:
        Region.from_file(path)
    assert "`buffer=METRES`" in caught.value.hint
    region = regions.as_region(path, buffer=200)
    lon = np.array([9.05, 9.05, 9.25, 9.5, 180.0, 0.0])
    lat = np.array([48.0, 48.003, 48.2, 48.5, -17.0, -17.0])
    assert region.contains(lon, lat).tolist() == [True, False, True, True, True, False]
    assert region.area_m2 == pytest.approx(3 * 400 * 7_456 + 400 * -5_300 + 4 * np.pi * 200**2, rel=0.5)


def test_rows_without_geometry_are_counted(tmp_path, caplog):
    frame = gpd.GeoDataFrame(geometry=[WEST, None, Polygon(), Polygon([(0, 0), (1, 1), (0, 0)])], crs=4326)
    frame.to_file(tmp_path / "x.gpkg")
    for value in (frame, tmp_path / "x.gpkg"):
        region = regions.as_region(value)
        assert region.left_out == {"rows without geometry": 2, "polygons without area": 1}
        assert region.geometry.equals(WEST)
    assert "2 rows without geometry and 1 polygon without area were left out" in caplog.text


def test_damaged_rows_are_counted(tmp_path):
    shapes = [WEST, LineString([(0, 0), (1, 1)])]
    features = [{"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(each)} for each in shapes]
    features[1]["geometry"]["coordinates"] = [[0, 0]]
    path = tmp_path / "x.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    region = regions.as_region(path)
    assert region.geometry.equals(WEST)
    assert sum(region.left_out.values()) == 1


def test_a_line_across_the_antimeridian_goes_the_short_way_and_says_so(caplog):
    region = Region.from_geometry(LineString([(179.9, 0), (-179.9, 0)]), buffer=1000)
    assert region.bounds[0] > 179 > -179 > region.bounds[2]
    assert "1 edge of more than 180° taken the short way" in caplog.text


def test_what_has_no_crs_is_refused(tmp_path):
    frame = gpd.GeoDataFrame(geometry=[WEST])
    frame.to_parquet(tmp_path / "x.parquet")
    with pytest.warns(UserWarning, match="crs"):
        pyogrio.write_dataframe(frame, tmp_path / "x.gpkg")
    for value in (frame, frame.geometry, tmp_path / "x.gpkg"):
        with pytest.raises(RegionError, match="has no CRS"):
            regions.as_region(value)


# Values without sense --------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        None, {}, [], (), "", "  ", "Utrecht", b"abc", 5, 1.5, True, 1j, (1, 2, 3), (1, 2, 3, 4, 5), "1,2,3", "1,2,x,4",
        "nan,nan,nan,nan", [[1, 2], [3, 4]], np.zeros((2, 2)), np.zeros((4, 1)), np.array(5), (10**400, 0, 1, 1),
        (float("inf"), 0, 1, 1), (True, 0, 1, 1), (None, 0, 1, 1), {1, 2, 3, 4}, object(), type,
        range(9), iter(()), 10**5000, "POLYGON((0 0,1 0", "POLYGON EMPTY", "{", '{"type": "Polygon"}', "[1]", "a\0b",
        "x" * 5000, {"type": "Nonsense"}, {"type": "FeatureCollection", "features": []}, {"west": 1}, pd.DataFrame(),
        pd.DataFrame({"a": [1]}), [None], [box(0, 0, 1, 1), 5], gpd.GeoSeries([], crs=4326), Point(1, 2), MultiPoint(),
        Polygon([(0, 0), (np.inf, 0), (1, 1)]), box(0, 0, 1, 1).exterior,
        gpd.GeoDataFrame({"a": [1]}), np.datetime64("2024-01-01"), {"type": "Polygon", "coordinates": [[["x", 1]]]},
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_no_region_is_an_error_in_one_line(value):
    for buffer in (None, 0, "x"):
        with pytest.raises(RegionError) as caught:
            regions.as_region(value, buffer=buffer)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "value", ["nowhere.gpkg", "no/where", "nowhere.gpkg:layer", "~nobody/x.gpkg", "C:\\x.gpkg", ["a.gpkg", "b.gpkg"]]
)
def test_a_missing_file_is_named(value):
    with pytest.raises(FileError, match="does not exist"):
        regions.as_region(value)


@pytest.mark.parametrize(
    "value",
    [
        "9.16 48.76 9.18 48.78", "9.16;48.76;9.18;48.78", " 9.16, 48.76, 9.18, 48.78 ", ["9.16", "48.76", "9.18", "48.78"],
        np.array([9.16, 48.76, 9.18, 48.78]), pd.Series([9.16, 48.76, 9.18, 48.78]), [np.float32(1), 2, 3, np.int64(4)],
    ],
)  # fmt: skip
def test_four_numbers_are_a_box(value):
    assert regions.as_region(value).is_box


# Configuration files and options ---------------------------------------------------


def test_the_buffer_of_a_configuration(tmp_path, layers):
    def written(text):
        path = tmp_path / "c.json"
        path.write_text(text)
        return path

    of_layer = written(f'{{"region": "{layers.name}:stops", "buffer": 100}}')
    assert regions.as_region(of_layer).area_m2 == pytest.approx(np.pi * 100**2, rel=1e-3)
    assert regions.settle(of_layer)[0].area_m2 == pytest.approx(np.pi * 100**2, rel=1e-3)
    assert regions.as_region(of_layer, buffer=200).area_m2 == pytest.approx(np.pi * 200**2, rel=1e-3)
    settled = config.load(of_layer)
    # the buffer of a file goes with the region of that file
    assert regions.from_parts(config=settled, bbox=(9, 48, 10, 49)).is_box
    assert not regions.from_parts(config=settled, bbox=(9, 48, 10, 49), buffer=50).is_box
    alone = config.load(written('{"buffer": 100}'))
    assert not regions.from_parts(config=alone, bbox=(9, 48, 10, 49)).is_box
    sides = config.load(written('{"bounding_box": {"west": 9, "south": 48, "east": 10}, "buffer": 100}'))
    assert regions.from_parts(config=sides, sides={"north": 49}).bounds[3] > 49
    for wrong in ("-1", "0", "true", '"x"', "1e400", "[1]", "NaN"):
        with pytest.raises(ConfigError, match=r"buffer is .*, expected a number of metres"):
            config.load(written(f'{{"buffer": {wrong}}}'))
    with pytest.raises(RegionError, match="`buffer` has no effect without a region"):
        regions.from_parts(buffer=100)


# Tiles --------------------------------------------------------------------------


def test_tiles_of_a_region_across_the_antimeridian():
    """110 tiles of zoom 14, as mercantile lists them for both sides."""
    import mercantile

    x, y = Transformer.from_crs(4326, 3832, always_xy=True).transform([179.9, -179.9], [-17.1, -16.9])
    region = Region.from_geometry(gpd.GeoSeries([box(x[0], y[0], x[1], y[1])], crs=3832))
    expected = {*mercantile.tiles(179.9, -17.1, 180, -16.9, 14), *mercantile.tiles(-180, -17.1, -179.9, -16.9, 14)}
    assert set(region_tiles(region, 14)) == expected
    assert len(expected) == 110


def test_too_many_tiles_are_counted_in_no_time():
    for region in (Region.from_bbox(-180, -90, 180, 90), Region.from_bbox(-10, 35, 30, 60).buffered(500_000)):
        with pytest.raises(RegionError, match=r"has at least [\d,]+ tiles"):
            region_tiles(region, 14)


# How it looks -----------------------------------------------------------------------


def test_how_a_region_looks():
    region = Region.from_bbox(9.1616, 48.7624, 9.1759, 48.7789)
    assert repr(region) == "<Region 'the bounding box' 9.1616, 48.7624, 9.1759, 48.7789, 1.93 km²>"
    ragged = Point(0, 0).buffer(1, quad_segs=20_000).difference(box(-0.1, -0.1, 0.1, 0.1))
    for each in (
        region,
        Region.from_geometry(ragged),
        Region.from_bbox(170, -20, -170, -10),
        Region.from_bbox(-180, -90, 180, 90),
    ):
        assert len(repr(each)) < 120
        assert len(each._repr_html_()) < 4000
        assert each._repr_svg_().startswith("<svg")
    assert "&lt;b&gt;" in Region.from_bbox(0, 0, 1, 1, name="<b>")._repr_html_()


def test_the_layer_of_a_kml_file_is_the_one_with_polygons(tmp_path):
    """Its folders are layers, whose kind only their rows tell."""
    park = "<Polygon><outerBoundaryIs><LinearRing><coordinates>9,48 9.1,48 9.1,48.1 9,48</coordinates></LinearRing></outerBoundaryIs></Polygon>"
    stop = "<Point><coordinates>9,48</coordinates></Point>"
    folders = "".join(
        f"<Folder><name>{name}</name><Placemark>{shape}</Placemark></Folder>"
        for name, shape in (("stops", stop), ("parks", park))
    )
    path = tmp_path / "x.kml"
    path.write_text(f'<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{folders}</Document></kml>')
    assert regions.as_region(path).geometry.equals(Polygon([(9, 48), (9.1, 48), (9.1, 48.1)]))
    with pytest.raises(RegionError, match="2 layers that may be meant: stops, parks"):
        regions.as_region(path, buffer=10)


def test_folders_and_deep_json_are_named(tmp_path):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    for path, words in ((tmp_path, "is a folder"), (tmp_path / "deep.json", "broken JSON")):
        with pytest.raises(MlygeoError, match=words):
            regions.as_region(path)
