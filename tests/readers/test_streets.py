"""Streets from files and from OpenStreetMap: against OSMnx itself, in every format, and whatever is wrong with them."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby
from urllib.parse import unquote_plus

import geopandas as gpd
import numpy as np
import osmnx
import packaging.version
import pandas as pd
import pytest
import shapely
from conftest import DATA, STUTTGART
from geopandas.testing import assert_geodataframe_equal

from mlygeo import frames
from mlygeo.errors import FileError, FormatError, FrameError, InputError, NetworkError, RegionError
from mlygeo.readers import osm_files, street_edges
from mlygeo.readers.streets import read_streets, street_network
from mlygeo.regions import Region
from mlygeo.spatial.streets import street_points

osmium = pytest.importorskip("osmium", reason="files of OpenStreetMap need mlygeo[osm]")

OSM = DATA / "osm"
EDGES = STUTTGART / "stuttgart_osm_edges.gpkg"
HELSINKI = OSM / "helsinki_centre.osm.pbf"
AMSTERDAM = OSM / "amsterdam_southeast.osm.pbf"
BERLIN = OSM / "berlin_siegessaeule.osm.gz"
BAVARIA = OSM / "planet_10.068,48.135_10.071,48.137.osm"
NEW_YORK = OSM / "nyc_graph.graphml"


@pytest.fixture(scope="module")
def helsinki():
    return read_streets(HELSINKI)


@pytest.fixture(scope="module")
def stuttgart():
    return read_streets(EDGES)


# oracles


def passes_osmnx_filter(tags):
    """Judge a way by the filter of Overpass that is sent."""
    query = osm_files.OVERPASS
    conditions = re.findall(r'\["([^"]+)"(?:(!~)"([^"]*)")?\]', query)
    assert "".join(f'["{k}"{op}"{v}"]' if op else f'["{k}"]' for k, op, v in conditions) == query
    return all(key in tags if not op else not re.search(value, tags.get(key, "")) for key, op, value in conditions)


def elements(path):
    """Return the ways that OSMnx would be sent, cut where nodes are missing, and their nodes, in the file's order."""
    ways = {}
    for way in osmium.FileProcessor(str(path), osmium.osm.WAY):
        tags = {tag.k: tag.v for tag in way.tags}
        if passes_osmnx_filter(tags):
            ways[way.id] = tags, [node.ref for node in way.nodes]
    used = {ref for _, refs in ways.values() for ref in refs}
    nodes = {
        node.id: (node.location.lon, node.location.lat)
        for node in osmium.FileProcessor(str(path), osmium.osm.NODE)
        if node.id in used
    }
    pieces = []
    for number, (tags, refs) in ways.items():
        runs = [list(run) for known, run in groupby(refs, key=nodes.__contains__) if known]
        pieces += [(number * 100 + i, tags, run) for i, run in enumerate(runs)]
    return nodes, pieces


def as_xml(path, target):
    """Write these ways as OSM XML that OSMnx reads; OSMnx takes ways by id, so pieces have ids of their own."""
    nodes, pieces = elements(path)
    with osmium.SimpleWriter(str(target)) as writer:
        for number, lonlat in nodes.items():
            writer.add_node(osmium.osm.mutable.Node(id=number, location=lonlat, version=1, visible=True))
        for number, tags, refs in pieces:
            writer.add_way(osmium.osm.mutable.Way(id=number, nodes=refs, tags=tags, version=1, visible=True))
    return target


def osmnx_edges(graph):
    return osmnx.graph_to_gdfs(graph, nodes=False).reset_index()


def assert_same_edges(streets, expected):
    """Compare edge for edge, in order; and the points of both, to the last."""
    for name in ("u", "v", "key"):
        assert streets[name].tolist() == expected[name].tolist()
    assert shapely.equals_identical(streets.geometry.values, expected.geometry.values).all()
    assert np.allclose(streets["length"], expected["length"], rtol=0, atol=1e-9)
    for name in ("highway", "name"):
        values = [set(value) if isinstance(value, list) else {value} for value in expected[name].astype(object)]
        ours = [{None} if pd.isna(value) else set(value.split(";")) for value in streets[name]]
        theirs = [{None if not isinstance(item, str) else item for item in value} for value in values]
        theirs = [{part for item in value for part in (item.split(";") if item else [None])} for value in theirs]
        assert ours == theirs


# OpenStreetMap files


@pytest.mark.parametrize("path", [HELSINKI, AMSTERDAM, BERLIN, BAVARIA], ids=lambda path: path.name)
def test_an_osm_file_gives_the_edges_and_points_that_osmnx_gives(path, tmp_path):
    streets = read_streets(path)
    graph = osmnx.graph_from_xml(as_xml(path, tmp_path / "streets.osm"))
    expected = osmnx_edges(graph)
    assert_same_edges(streets, expected)
    ids = [{i // 100 for i in (value if isinstance(value, list) else [value])} for value in expected["osmid"]]
    assert [{int(i) for i in value.split(";")} for value in streets["osmid"]] == ids
    assert streets["oneway"].tolist() == [value is True for value in expected["oneway"]]

    theirs = frames.conform(expected[["u", "v", "key", "oneway", "geometry"]].assign(oneway=False), frames.STREETS)
    for method in ("even", "percept"):
        points = street_points(streets, interval=20, method=method)
        assert_geodataframe_equal(
            points[["u", "v", "key", "geometry"]],
            street_points(theirs, interval=20, method=method)[["u", "v", "key", "geometry"]],
        )


def test_our_filter_is_the_one_of_osmnx():
    if packaging.version.parse(osmnx.__version__) >= packaging.version.parse("2.1"):  # 2.0 had another one
        assert osmnx._overpass._get_network_filter("all") == osm_files.OVERPASS
    values = [
        "residential",
        "construction",
        "proposed",
        "unknown",
        "no",
        "services",
        "service",
        "rest_area",
        "path",
        "planned_road",
    ]
    for highway in values:
        for area in (None, "yes", "no", "yes;no"):
            tags = {"highway": highway} | ({} if area is None else {"area": area})
            assert osm_files._is_street(tags) == passes_osmnx_filter(tags), tags
    assert list(street_edges.TAGS) == osmnx.settings.useful_tags_way


@pytest.fixture(scope="module")
def formats(tmp_path_factory):
    """The same data in every format, once with its ways before its nodes."""
    folder = tmp_path_factory.mktemp("formats")
    everything = [folder / f"a{ending}" for ending in (".osm", ".osm.gz", ".osm.bz2", ".osm.xml", ".osm.pbf", ".pbf")]
    for path in everything:
        kind = path.name.partition(".")[2].replace("osm.xml", "osm").replace("osm.pbf", "pbf")
        with osmium.SimpleWriter(osmium.io.File(str(path), kind)) as writer:
            for element in osmium.FileProcessor(str(AMSTERDAM)):
                writer.add(element)
    backwards = folder / "ways_first.osm"
    with osmium.SimpleWriter(str(backwards)) as writer:
        for kind in (osmium.osm.WAY, osmium.osm.NODE):
            for element in osmium.FileProcessor(str(AMSTERDAM), kind):
                writer.add(element)
    return [*everything, backwards]


def test_the_same_data_gives_the_same_streets_in_every_format(formats):
    expected = read_streets(AMSTERDAM)
    for path in formats:
        assert_geodataframe_equal(read_streets(path), expected)


def test_a_frame_of_streets_has_its_schema_source_and_summary(helsinki):
    frames.check(helsinki, frames.STREETS)
    assert helsinki.attrs["attribution"] == [frames.OPENSTREETMAP]
    facts = helsinki.attrs["streets"]
    assert facts["ways"] == 2538
    assert facts["edges"] == len(helsinki)
    assert facts["length_m"] == pytest.approx(helsinki["length"].sum(), rel=0.01)
    assert 0 < facts["components_dropped_m"] < facts["length_m"] / 20
    json.dumps(facts)


def test_ways_that_leave_an_extract_are_cut_and_counted(helsinki):
    nodes, pieces = elements(HELSINKI)
    whole = {
        way.id: [node.ref for node in way.nodes]
        for way in osmium.FileProcessor(str(HELSINKI), osmium.osm.WAY)
        if passes_osmnx_filter({tag.k: tag.v for tag in way.tags})
    }
    cut = sum(any(ref not in nodes for ref in refs) for refs in whole.values())
    assert helsinki.attrs["streets"]["ways_cut"] == cut > 100
    assert len(pieces) > len(whole) - cut  # some ways come back into the extract
    assert read_streets(AMSTERDAM).attrs["streets"]["ways_cut"] == 0


def write_osm(path, nodes, ways):
    text = ["<?xml version='1.0' encoding='UTF-8'?><osm version='0.6'>"]
    text += [f"<node id='{i}' lon='{lon}' lat='{lat}' version='1'/>" for i, (lon, lat) in nodes.items()]
    for number, (refs, tags) in ways.items():
        inner = "".join(f"<nd ref='{ref}'/>" for ref in refs)
        inner += "".join(f"<tag k='{k}' v='{v}'/>" for k, v in tags.items())
        text.append(f"<way id='{number}' version='1'>{inner}</way>")
    path.write_text("\n".join([*text, "</osm>"]), encoding="utf-8")
    return path


GRID = {i * 10 + j: (9 + i / 1000, 48 + j / 1000) for i in range(1, 8) for j in range(8)}


def test_directions_duplicates_and_rings_as_in_osmnx(tmp_path):
    ways = {
        1: ([10, 20, 30, 40], {"highway": "residential", "name": "Wéi 路;B"}),
        2: ([20, 21, 22], {"highway": "residential", "oneway": "-1"}),
        3: ([30, 31, 32], {"highway": "residential", "oneway": "yes"}),
        4: ([31, 41, 42, 32, 31], {"highway": "tertiary", "junction": "roundabout"}),
        5: ([40, 40, 41, 41], {"highway": "residential", "oneway": "reversible"}),
        6: ([22], {"highway": "residential"}),
        7: ([22, 22], {"highway": "residential"}),
        8: ([22, 23, 33, 32], {"highway": "footway"}),
        9: ([22, 32], {"highway": "footway", "oneway": "T"}),
        10: ([10, 11, 21, 20, 10], {"highway": "service", "area": "no"}),
        11: ([10, 11], {"highway": "construction"}),
        12: ([60, 70], {"highway": "residential"}),
    }
    path = write_osm(tmp_path / "a.osm", GRID, ways)
    expected = osmnx_edges(osmnx.graph_from_xml(as_xml(path, tmp_path / "b.osm")))
    streets = read_streets(path)
    assert_same_edges(streets, expected)
    assert streets.attrs["streets"]["components_dropped_m"] == pytest.approx(74.4, abs=0.1)
    everything = read_streets(path, retain_all=True)
    assert len(everything) == len(streets) + 2
    assert everything.attrs["streets"]["components_dropped_m"] == 0
    expected = osmnx_edges(osmnx.graph_from_xml(tmp_path / "b.osm", retain_all=True))
    assert_same_edges(everything, expected)


def test_pieces_of_a_cut_way_keep_its_tags_and_do_not_join_across_the_gap(tmp_path):
    nodes = {i: (9 + i / 1000, 48) for i in (1, 2, 5, 6, 7)}
    ways = {7: ([0, 1, 2, 3, 4, 5, 6, 8], {"highway": "primary", "name": "A"}), 8: ([2, 5], {"highway": "path"})}
    path = write_osm(tmp_path / "a.osm", nodes, ways)
    streets = read_streets(path, retain_all=True)
    assert streets.attrs["streets"]["ways_cut"] == 1
    assert streets["osmid"].unique().tolist() == ["7;8"]
    lost = read_streets(write_osm(tmp_path / "b.osm", nodes, {7: ways[7]}), retain_all=True)
    assert sorted(zip(lost["u"], lost["v"], strict=True)) == [(1, 2), (2, 1), (5, 6), (6, 5)]
    assert (lost["name"] == "A").all()


def test_nodes_drawn_but_not_uploaded_have_negative_ids(tmp_path):
    path = write_osm(tmp_path / "a.osm", {-1: (9, 48), -2: (9.1, 48)}, {-3: ([-1, -2], {"highway": "path"})})
    assert read_streets(path)["u"].tolist() == [-1, -2]


# a region


@contextmanager
def overpass(answer, status=200):
    """Serve one answer at a socket, in the place of the Overpass service; yields the queries asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def _send(self, text, status):
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self._send(
                "Connected as: 1\nCurrent time: now\nAnnounced endpoint: none\nRate limit: 2\n2 slots available now.\n",
                200,
            )

        def do_POST(self):
            asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self._send(answer, status)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api", asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def osmnx_at(tmp_path, monkeypatch):
    """Point OSMnx at an address, with a cache of its own and no proxy."""

    def point(url):
        monkeypatch.setattr(osmnx.settings, "overpass_url", url)
        monkeypatch.setattr(osmnx.settings, "cache_folder", tmp_path / "cache")

    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return point


def overpass_json(path):
    nodes, pieces = elements(path)
    answer = [{"type": "node", "id": number, "lon": lon, "lat": lat} for number, (lon, lat) in nodes.items()]
    answer += [{"type": "way", "id": number // 100, "tags": tags, "nodes": refs} for number, tags, refs in pieces]
    return json.dumps({"version": 0.6, "elements": answer})


BOX = (4.925, 52.341, 4.937, 52.35)
TRIANGLE = shapely.Polygon([(4.918, 52.339), (4.944, 52.343), (4.93, 52.355)])


@pytest.mark.parametrize("region", [Region.from_bbox(*BOX), Region.from_geometry(TRIANGLE)], ids=["box", "polygon"])
@pytest.mark.parametrize("retain_all", [False, True])
def test_a_region_of_a_file_is_what_osmnx_gives_online(region, retain_all, osmnx_at):
    with overpass(overpass_json(AMSTERDAM)) as (url, asked):
        osmnx_at(url)
        before = socket.getaddrinfo
        online = street_network(region, retain_all=retain_all)
        assert socket.getaddrinfo is before
        assert len(asked) == 1
        assert osm_files.OVERPASS in unquote_plus(asked[0])
        asked_alike = {"custom_filter": osm_files.OVERPASS, "retain_all": retain_all}
        expected = osmnx_edges(osmnx.graph_from_polygon(region.geometry, network_type="all", **asked_alike))
        assert len(asked) == 1  # the second time from the cache
    socket.getaddrinfo = before
    offline = street_network(region, path=AMSTERDAM, retain_all=retain_all)
    assert_same_edges(offline, expected)
    assert_same_edges(online, expected)
    assert 0 < len(offline) < len(read_streets(AMSTERDAM))
    frames.check(online, frames.STREETS)
    assert online.attrs["attribution"] == [frames.OPENSTREETMAP]


def test_osmnx_keeps_its_cache_out_of_the_working_directory(tmp_path, monkeypatch, osmnx_at):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WIN_PD_OVERRIDE_LOCAL_APPDATA", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    with overpass(overpass_json(AMSTERDAM)) as (url, _):
        osmnx_at(url)
        monkeypatch.setattr(osmnx.settings, "cache_folder", "./cache")
        street_network(Region.from_bbox(*BOX))
    assert osmnx.settings.cache_folder == "./cache"
    assert not (tmp_path / "cache").exists()
    assert [path.parent.name for path in (tmp_path / "home").rglob("*.json")] == ["osmnx"]


def test_a_service_that_cannot_be_reached_is_a_network_error_at_once(osmnx_at):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: refused
        osmnx_at(f"http://127.0.0.1:{taken.getsockname()[1]}/api")
        with pytest.raises(NetworkError, match="cannot be reached") as caught:
            street_network(Region.from_bbox(*BOX))
    assert "`streets=FILE`" in caught.value.hint


@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_that_is_none_is_a_network_error(osmnx_at, status):
    with overpass("<html>the dispatcher is down</html>", status) as (url, _):
        osmnx_at(url)
        with pytest.raises(NetworkError, match="dispatcher is down") as caught:
            street_network(Region.from_bbox(*BOX))
    assert "\n" not in str(caught.value)


def test_a_region_without_streets_is_said_so(osmnx_at):
    sea = Region.from_bbox(1, 53, 1.01, 53.01)
    with overpass('{"elements": []}') as (url, _):
        osmnx_at(url)
        with pytest.raises(RegionError, match="no streets in"):
            street_network(sea)
    for path in (AMSTERDAM, EDGES, NEW_YORK):
        with pytest.raises(RegionError, match=f"no street of {path.name} lies in"):
            street_network(sea, path=path)


def test_neither_region_nor_file_is_an_input_error():
    with pytest.raises(InputError, match="no region and no file"):
        street_network()


def test_a_region_across_the_antimeridian(tmp_path):
    nodes = {i: (lon, -16.5) for i, lon in enumerate([179.99, 179.995, 180, -180, -179.995, -179.99], start=1)}
    ways = {1: ([1, 2, 3], {"highway": "path"}), 2: ([4, 5, 6], {"highway": "path"})}
    path = write_osm(tmp_path / "fiji.osm", nodes, ways)
    region = Region.from_bbox(179.9, -17, -179.9, -16)
    assert set(read_streets(path, region=region)["u"]) == {1, 3, 4, 6}
    half = Region.from_bbox(179.9, -17, 180, -16)
    assert set(read_streets(path, region=half)["u"]) == {1, 3}
    lines = read_streets(path, retain_all=True)
    lines.to_file(tmp_path / "fiji.gpkg")
    assert set(read_streets(tmp_path / "fiji.gpkg", region=region)["u"]) == {1, 3, 4, 6}


def test_lines_are_cut_at_the_border_and_whole_ones_stay_as_they_are(stuttgart):
    region = Region.from_geometry(shapely.Point(9.168, 48.77).buffer(0.003))
    cut = read_streets(EDGES, region=region)
    assert region.geometry.buffer(1e-9).covers(shapely.union_all(np.asarray(cut.geometry)))
    inside = stuttgart[stuttgart.covered_by(region.geometry)]
    kept = cut.merge(inside[["u", "v", "key"]], on=["u", "v", "key"])
    assert shapely.equals_identical(kept.geometry.values, inside.geometry.values).all()
    assert len(inside) < len(cut) < len(stuttgart)
    lines = np.asarray(stuttgart.geometry)
    expected = shapely.length(shapely.intersection(lines, region.geometry))
    assert shapely.length(np.asarray(cut.geometry)).sum() == pytest.approx(expected.sum(), rel=1e-9)
    share = expected / shapely.length(lines)
    assert cut["length"].sum() == pytest.approx((share * stuttgart["length"]).sum(), rel=1e-9)


def test_both_directions_of_a_street_are_cut_at_the_same_place(tmp_path, helsinki):
    helsinki.to_file(tmp_path / "streets.gpkg")
    region = Region.from_geometry(shapely.Point(24.944, 60.17).buffer(0.0031))
    cut = read_streets(tmp_path / "streets.gpkg", region=region)
    facts = street_points(cut).attrs["street_points"]
    two_way = cut[~cut["oneway"]]
    directions = two_way.groupby(["u", "v", "key"]).ngroups
    assert facts["streets"] < len(cut) - 0.4 * directions


# files of lines


WRITERS = {
    ".gpkg": lambda frame, path: frame.to_file(path),
    ".fgb": lambda frame, path: frame.to_file(path, SPATIAL_INDEX="NO"),
    ".geojson": lambda frame, path: frame.to_file(path, COORDINATE_PRECISION=15),
    ".shp": lambda frame, path: frame.astype({"oneway": "str"}).to_file(path),
    ".parquet": lambda frame, path: frame.to_parquet(path),
}


@pytest.mark.parametrize("ending", WRITERS)
def test_files_of_lines_keep_order_ids_and_coordinates(stuttgart, ending, tmp_path):
    plain = gpd.GeoDataFrame(stuttgart)
    plain.attrs = {}
    WRITERS[ending](plain, tmp_path / f"streets{ending}")
    streets = read_streets(tmp_path / f"streets{ending}")
    columns = (
        list(stuttgart.columns) if ending != ".geojson" else [name for name in stuttgart.columns if name != "maxspeed"]
    )
    assert_geodataframe_equal(streets[columns], stuttgart[columns], check_less_precise=ending == ".geojson")
    points = street_points(streets, interval=20, srid=25832, method="percept")
    expected = street_points(stuttgart, interval=20, srid=25832, method="percept")
    assert points.geometry.geom_equals_exact(expected.geometry, 1e-12).all()


def test_several_ids_are_joined_whether_lists_or_their_text(stuttgart, tmp_path):
    assert stuttgart["osmid"].iloc[0] == "432575528;432575531"
    lists = stuttgart.assign(osmid=[value.split(";")[::-1] for value in stuttgart["osmid"]])
    lists.attrs = {}
    lists.to_parquet(tmp_path / "lists.parquet")
    assert read_streets(tmp_path / "lists.parquet")["osmid"].tolist() == stuttgart["osmid"].tolist()
    assert not stuttgart["name"].str.startswith("[", na=False).any()


def test_odd_names_survive_and_empty_ones_are_null(tmp_path):
    names = ["[sic", "[Weg]", "", None, "Ünïcode שלום", "['A', 'B']"]
    lines = [shapely.LineString([(9, 48 + i / 100), (9.01, 48 + i / 100)]) for i in range(len(names))]
    gpd.GeoDataFrame({"name": names}, geometry=lines, crs=4326).to_file(tmp_path / "a.gpkg")
    read = read_streets(tmp_path / "a.gpkg")["name"]
    assert [None if pd.isna(name) else name for name in read] == ["[sic", "[Weg]", None, None, "Ünïcode שלום", "A;B"]


def test_plain_lines_get_nodes_from_their_ends(tmp_path):
    lines = [
        [(9, 48), (9.1, 48.1)],
        [(9.1, 48.1), (9, 48)],
        [(9, 48), (9.05, 48), (9.1, 48.1)],
        [(9.1, 48.1), (9.2, 48.3)],
    ]
    gpd.GeoDataFrame(geometry=[shapely.LineString(line) for line in lines], crs=4326).to_file(
        tmp_path / "lines.geojson"
    )
    streets = read_streets(tmp_path / "lines.geojson")
    frames.check(streets, frames.STREETS)
    assert list(zip(streets["u"], streets["v"], streets["key"], strict=True)) == [
        (0, 1, 0),
        (1, 0, 0),
        (0, 1, 1),
        (1, 2, 0),
    ]
    assert streets["highway"].isna().all()
    assert streets["osmid"].isna().all()
    assert not streets["oneway"].any()
    assert "attribution" not in streets.attrs or streets.attrs["attribution"] == []


def test_other_shapes_are_exploded_flattened_or_counted(tmp_path, caplog):
    geometry = [
        shapely.LineString([(0, 0, 5), (100, 0, 6)]),
        shapely.MultiLineString([[(0, 10), (100, 10)], [(0, 20), (100, 20)]]),
        None,
        shapely.Point(0, 0),
        shapely.LineString(),
        shapely.box(0, 0, 1, 1),
    ]
    frame = gpd.GeoDataFrame({"osm_id": [2**60 + 1, 7, 8, 9, 10, 11], "fclass": "path"}, geometry=geometry, crs=32632)
    frame.geometry = frame.translate(500_000, 5_400_000)
    frame.to_parquet(tmp_path / "mixed.parquet")
    streets = read_streets(tmp_path / "mixed.parquet")
    assert streets["osmid"].tolist() == [str(2**60 + 1), "7", "7"]
    assert streets["highway"].tolist() == ["path"] * 3
    assert not streets.has_z.any()
    assert streets.attrs["streets"]["rows_left_out"] == 4
    assert streets.to_crs(32632).length.tolist() == pytest.approx([100] * 3)
    assert "4 of 6 rows are no lines" in caplog.text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["B", "F", "T"], [False, True, False]),
        (["yes", "no", "-1"], [True, False, False]),
        (["True", "False", None], [True, False, False]),
        (["[True, False]", "True", "reversible"], [False, True, False]),
        ([1, 0, 0], [True, False, False]),
        ([True, False, True], [True, False, True]),
    ],
)
def test_one_way_in_the_words_of_other_files(tmp_path, words, expected):
    lines = [shapely.LineString([(9, 48 + i), (9.1, 48 + i)]) for i in range(3)]
    gpd.GeoDataFrame({"oneway": words}, geometry=lines, crs=4326).to_file(tmp_path / "a.gpkg")
    assert read_streets(tmp_path / "a.gpkg")["oneway"].tolist() == expected


def test_a_geopackage_as_osmnx_saves_it(tmp_path):
    graph = osmnx.load_graphml(NEW_YORK)
    osmnx.save_graph_geopackage(graph, tmp_path / "graph.gpkg", directed=True)
    streets, expected = read_streets(tmp_path / "graph.gpkg"), read_streets(NEW_YORK)
    columns = [*(column.name for column in frames.STREETS.columns), "geometry"]
    assert_geodataframe_equal(streets[columns], expected[columns])


def test_two_layers_of_lines_are_not_guessed_between(tmp_path, stuttgart):
    stuttgart.to_file(tmp_path / "a.gpkg", layer="one")
    stuttgart.to_file(tmp_path / "a.gpkg", layer="two")
    with pytest.raises(FrameError, match=r"2 layers of lines: one \(LineString\), two"):
        read_streets(tmp_path / "a.gpkg")


def test_graphml_gives_the_edges_of_the_graph(tmp_path):
    streets = read_streets(NEW_YORK)
    expected = osmnx_edges(osmnx.load_graphml(NEW_YORK)).to_crs(4326)
    for name in ("u", "v", "key"):
        assert streets[name].tolist() == expected[name].tolist()
    assert shapely.equals_identical(streets.geometry.values, expected.geometry.values).all()
    graph = osmnx.graph_from_xml(as_xml(AMSTERDAM, tmp_path / "a.osm"), simplify=False)
    osmnx.save_graphml(graph, tmp_path / "unsimplified.graphml")
    assert (shapely.get_num_coordinates(read_streets(tmp_path / "unsimplified.graphml").geometry.values) == 2).all()


# what is wrong with files


def test_a_missing_file_is_named():
    with pytest.raises(FileError, match=r"nowhere\.osm\.pbf does not exist"):
        read_streets("nowhere.osm.pbf")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.osm.pbf", HELSINKI.read_bytes()[:40_000]),
        ("text.osm.pbf", b"this is not a street map"),
        ("empty.osm.pbf", b""),
        ("cut.osm", BAVARIA.read_bytes()[:20_000]),
        ("cut.osm.gz", BERLIN.read_bytes()[:50_000]),
        ("not.osm.gz", b"plain text"),
        ("not.osm.bz2", b"plain text"),
        ("page.osm", b"<html><body>429 Too Many Requests</body></html>"),
        ("coordinate.osm", BAVARIA.read_bytes().replace(b' lat="4', b' lat="x4')),
        ("cut.graphml", NEW_YORK.read_bytes()[:20_000]),
        ("other.graphml", b"<graphml></graphml>"),
        ("words.graphml", b"words"),
        ("cut.gpkg", EDGES.read_bytes()[:5000]),
        ("words.geojson", b"words"),
        ("words.parquet", b"words"),
        ("words.fgb", b"words"),
    ],
)
def test_a_damaged_file_is_one_line_that_names_it(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FormatError, match=re.escape(name)) as caught:
        read_streets(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_files_without_streets_are_distinguished_from_damaged_ones(tmp_path):
    (tmp_path / "empty.osm").write_text("<osm version='0.6'></osm>")
    building = write_osm(tmp_path / "building.osm", GRID, {1: ([10, 20], {"building": "yes"})})
    clipped = write_osm(tmp_path / "clipped.osm", {1: (9, 48)}, {1: ([1, 2], {"highway": "path"})})
    ring = write_osm(
        tmp_path / "ring.osm", GRID, {1: ([10, 20, 21, 10], {"highway": "path", "junction": "roundabout"})}
    )
    points = gpd.GeoDataFrame(geometry=gpd.points_from_xy([9], [48], crs=4326))
    points.to_file(tmp_path / "points.geojson")
    gpd.GeoDataFrame(geometry=[shapely.box(9, 48, 9.1, 48.1)], crs=4326).to_file(tmp_path / "polygons.gpkg")
    frames.empty(frames.STREETS).to_parquet(tmp_path / "empty.parquet")
    for path in (tmp_path / "empty.osm", building, clipped, ring, tmp_path / "empty.parquet"):
        with pytest.raises(FrameError, match=f"{path.name} contains no streets"):
            read_streets(path)
    with pytest.raises(FrameError, match=r"points\.geojson contains no lines, only geometries of type Point"):
        read_streets(tmp_path / "points.geojson")
    with pytest.raises(FrameError, match=r"polygons\.gpkg contains no lines, only geometries of type Polygon"):
        read_streets(tmp_path / "polygons.gpkg")


def test_lines_without_a_crs_are_refused(tmp_path):
    frame = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.LineString([(0, 0), (1, 1)])], crs=4326)
    frame.to_file(tmp_path / "a.shp")
    (tmp_path / "a.prj").unlink()
    with pytest.raises(FormatError, match=r"a\.shp has no CRS"):
        read_streets(tmp_path / "a.shp")


def test_a_gzip_of_something_else_by_its_name_only(tmp_path):
    shutil.copy(BERLIN, tmp_path / "berlin.osm.gz")
    (tmp_path / "berlin.osm").write_bytes(gzip.decompress(BERLIN.read_bytes()))
    assert_geodataframe_equal(read_streets(tmp_path / "berlin.osm.gz"), read_streets(tmp_path / "berlin.osm"))
