import json

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, Point, Polygon, box

from mlygeo import regions
from mlygeo.errors import FileError, NetworkError, RegionError
from mlygeo.regions import Region

INSIDE_STUTTGART = (9.1616, 48.7624, 9.1759, 48.7789)


def test_a_box_holds_its_edge():
    region = Region.from_bbox(*INSIDE_STUTTGART)
    lon = np.array([9.1616, 9.17, 9.1760, np.nan])
    lat = np.array([48.7624, 48.77, 48.77, 48.77])
    assert region.contains(lon, lat).tolist() == [True, True, False, False]
    assert region.is_box


@pytest.mark.parametrize(
    ("bbox", "words", "hint"),
    [
        ((9, 48, 9, 49), "no width", ""),
        ((180, -1, -180, 1), "no width", "from -180 to 180"),
        ((9, 48, 10, 48), "no height", ""),
        ((9, 49, 10, 48), "south .* lies north of north", "9, 48, 10, 49"),
        ((10, 48, 9, 49), "359° wide", "`region=(9, 48, 10, 49)`"),
        ((100, 10, -60, 20), "", None),
        ((48.7, 95.0, 48.8, 95.1), "latitudes lie between", "swapped: did you mean `region=(95, 48.7, 95.1, 48.8)`"),
        ((181, 0, 182, 1), "longitudes lie between", ""),
        ((float("nan"), 0, 1, 1), "no", ""),
        ((0, 0, float("inf"), 1), "no", ""),
    ],
)
def test_boxes_without_sense(bbox, words, hint):
    if hint is None:
        assert Region.from_bbox(100, 10, -80, 20).bounds == (100, 10, -80, 20), "180° wide is a crossing"
        with pytest.raises(RegionError):
            Region.from_bbox(60, 10, 20, 20)
        return
    with pytest.raises(RegionError, match=words) as caught:
        Region.from_bbox(*bbox)
    assert hint in (caught.value.hint or "")


def test_a_box_across_the_antimeridian():
    region = Region.from_bbox(179.5, -17, -179.5, -16)
    assert region.boxes == [(179.5, -17, 180.0, -16), (-180.0, -17, -179.5, -16)]
    assert region.contains(np.array([179.9, -179.9, 180.0, -180.0, 0.0, 179.0]), np.full(6, -16.5)).tolist() == [
        True, True, True, True, False, False,
    ]  # fmt: skip
    assert region.centre == (180.0, -16.5)


def test_a_polygon_across_the_antimeridian():
    beyond = Region.from_geometry(box(179, -17, 181, -16))
    parts = Region.from_geometry(MultiPolygon([box(179, -17, 180, -16), box(-180, -17, -179, -16)]))
    assert beyond.bounds == parts.bounds == (179.0, -17.0, -179.0, -16.0)
    assert beyond.geometry.equals(parts.geometry)
    assert beyond.contains(np.array([-179.5, 178.0]), np.array([-16.5, -16.5])).tolist() == [True, False]


def test_polygons_with_holes():
    ring = Polygon([(0, 0), (4, 0), (4, 4), (0, 4)], [[(1, 1), (3, 1), (3, 3), (1, 3)]])
    region = Region.from_geometry(ring)
    assert region.contains(np.array([0.5, 2.0, 0.0]), np.array([0.5, 2.0, 0.0])).tolist() == [True, False, True]


@given(
    st.floats(-180, 180), st.floats(-85, 84), st.floats(0.001, 170), st.floats(0.001, 1),
    st.floats(-180, 180), st.floats(-90, 90),
)  # fmt: skip
def test_contains_agrees_with_plain_arithmetic(west, south, width, height, lon, lat):
    east = west + width
    east = east - 360 if east > 180 else east
    if west == east or south + height > 90:
        return
    region = Region.from_bbox(west, south, east, south + height)
    in_lon = west <= lon <= east if west < east else lon >= west or lon <= east
    assert region.contains(np.array([lon]), np.array([lat]))[0] == (in_lon and south <= lat <= south + height)


def test_a_file_of_polygons(tmp_path):
    frame = gpd.GeoDataFrame(geometry=[box(9.1, 48.7, 9.2, 48.8), box(9.2, 48.7, 9.3, 48.8)], crs=4326).to_crs(25832)
    frame.to_file(tmp_path / "region.gpkg")
    region = Region.from_file(tmp_path / "region.gpkg")
    assert np.allclose(region.bounds, (9.1, 48.7, 9.3, 48.8), atol=1e-6)
    assert not region.is_box


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        (Point(9, 48), "contains no polygon"),
        (Polygon(), "covers no area: it holds 1 row without geometry"),
        (Polygon([(0, 0), (1, 1), (0, 0)]), "empty|no polygon"),
    ],
)
def test_files_without_a_region(tmp_path, geometry, words):
    gpd.GeoDataFrame(geometry=[geometry], crs=4326).to_file(tmp_path / "x.geojson")
    with pytest.raises(RegionError, match=words):
        Region.from_file(tmp_path / "x.geojson")


def test_what_stands_for_a_region(tmp_path, stuttgart):
    expected = (9.1616, 48.7624, 9.1759, 48.7789)
    geojson = tmp_path / "x.json"
    geojson.write_text(json.dumps({"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(box(*expected))}]}))  # fmt: skip
    for value in (
        Region.from_bbox(*expected),
        expected,
        "9.1616,48.7624,9.1759,48.7789",
        box(*expected),
        gpd.GeoSeries([box(*expected)], crs=4326).to_frame("geometry"),
        stuttgart / "stuttgart_config.json",
        str(geojson),
    ):
        assert regions.as_region(value).bounds == expected
    for value in (None, 5, (1, 2, 3), "1,2,x,4"):
        with pytest.raises((RegionError, OSError)):
            regions.as_region(value)


def test_the_command_line_wins_over_the_file(tmp_path):
    from mlygeo import config

    path = tmp_path / "c.json"
    path.write_text('{"bounding_box": {"west": 9.1, "south": 48.7, "east": 9.2}, "tile_cache_dir": "tiles"}')
    settings = config.load(path)
    with pytest.raises(RegionError, match="has no north"):
        regions.from_parts(config=settings)
    assert regions.from_parts(config=settings, sides={"north": 48.8, "west": 9.15}).bounds == (9.15, 48.7, 9.2, 48.8)
    with pytest.raises(RegionError, match="both name a region"):
        regions.from_parts(bbox=(1, 2, 3, 4), place="Utrecht")
    with pytest.raises(RegionError, match="no region"):
        regions.from_parts()
    with pytest.raises(FileError, match=r"missing\.json"):
        regions.settle(tmp_path / "missing.json")


@pytest.mark.parametrize("bounds", [(9.0, 48.0, 9.0, 48.0), (179.99, 0.0, -179.99, 1.0), (0.0, 89.99, 10.0, 89.995)])
def test_widened_boxes_hold_what_they_surround(bounds):
    from pyproj import Geod

    region = regions.widened(bounds, 1000.0, name="x")
    west, south, east, north = bounds
    geod = Geod(ellps="WGS84")
    for lon, lat in ((west, south), (east, north)):
        for azimuth in (0, 90, 180, 270):
            far_lon, far_lat, _ = geod.fwd(lon, lat, azimuth, 999.0)
            assert region.contains(np.array([far_lon]), np.array([far_lat]))[0]


@pytest.fixture
def nominatim(monkeypatch):
    """A service that answers as Nominatim does, on this machine."""
    import http.server
    import threading

    import osmnx

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if "Nowhere" in self.path:
                status, answer = 200, []
            elif "Broken" in self.path:
                status, answer = 502, None
            else:
                outline = shapely.geometry.mapping(box(5.0, 52.0, 5.2, 52.2))
                area = {"boundingbox": ["52.0", "52.2", "5.0", "5.2"], "lat": "52.1", "lon": "5.1", "geojson": outline,
                        "importance": 0.7, "display_name": "Utrecht", "place_id": 1, "osm_type": "relation", "osm_id": 1,
                        "class": "boundary", "type": "administrative", "name": "Utrecht", "addresstype": "city", "place_rank": 16}  # fmt: skip
                status, answer = 200, [area]
            body = b"<html>Bad gateway</html>" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(osmnx.settings, "nominatim_url", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setattr(osmnx.settings, "use_cache", False)
        yield
        server.shutdown()


def test_places(nominatim):
    import osmnx

    before = osmnx.settings.cache_folder
    assert np.allclose(Region.from_place("Utrecht, Netherlands").bounds, (5.0, 52.0, 5.2, 52.2))
    with pytest.raises(RegionError, match="no place with an area is called 'Nowhere'"):
        Region.from_place("Nowhere")
    with pytest.raises(NetworkError, match="Nominatim does not answer"):
        Region.from_place("Broken")
    assert osmnx.settings.cache_folder == before


def test_places_without_a_network(monkeypatch):
    import osmnx

    monkeypatch.setattr(osmnx.settings, "nominatim_url", "http://127.0.0.1:9/")
    with pytest.raises(NetworkError):
        Region.from_place("Utrecht, Netherlands")
