"""Streets of OpenStreetMap files in bounded memory: the edges that OSMnx's own graph has, to the last bit."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import struct
import subprocess
import sys
import time

import geopandas as gpd
import osmnx
import pandas as pd
import pytest
from conftest import DATA
from geopandas.testing import assert_geodataframe_equal
from helpers import osm_pbf
from helpers.command_line import run
from helpers.unix import needs_unix
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo.errors import FileError, FormatError, FrameError, InputError
from mlygeo.formats import osm_pbf as osm_pbf_bytes
from mlygeo.formats import protobuf
from mlygeo.readers import several, street_graph
from mlygeo.readers.osm_files import NO_STREETS
from mlygeo.readers.street_edges import COLUMNS, LOST, TAGS, StreetEdges
from mlygeo.readers.street_graph import OsmData
from mlygeo.readers.streets import read_streets
from mlygeo.regions import Region

osmium = pytest.importorskip("osmium", reason="files of OpenStreetMap need mlygeo[osm]")

HELSINKI = DATA / "osm" / "helsinki_centre.osm.pbf"
AMSTERDAM = DATA / "osm" / "amsterdam_southeast.osm.pbf"


def held(path):
    """Return the streets of a file, read into memory as a whole."""
    data = OsmData()
    ways = {
        way.id: ({tag.k: tag.v for tag in way.tags}, [node.ref for node in way.nodes])
        for way in osmium.FileProcessor(str(path), osmium.osm.WAY)
        if "highway" in way.tags and not NO_STREETS.search(way.tags["highway"]) and way.tags.get("area") != "yes"
    }
    used = {ref for _, refs in ways.values() for ref in refs}
    for node in osmium.FileProcessor(str(path), osmium.osm.NODE):
        if node.id in used:
            data.nodes[node.id] = (node.location.lon, node.location.lat)
    for number, (tags, refs) in ways.items():
        pieces = [[]]
        for ref in refs:
            if ref in data.nodes:
                pieces[-1].append(ref)
            elif pieces[-1]:
                pieces.append([])
        data.ways[number] = ({name: tags[name] for name in TAGS if name in tags}, pieces)
    return data


def by_osmnx(path, *, retain_all):
    """Return the edges of the graph that OSMnx makes of all streets at once."""
    whole = street_graph.build_graph(held(path))
    graph, _ = street_graph.simplify(whole, None, retain_all=retain_all)
    if not len(graph.edges):
        return None
    edges = osmnx.graph_to_gdfs(graph, nodes=False).reset_index()
    texts = {name: pd.Series(map(several.join, edges[name]), dtype="str") for name in COLUMNS if name in edges.columns}
    texts["oneway"] = edges["oneway"].map(lambda value: all(value) if isinstance(value, list) else value).astype(bool)
    return edges.drop(columns="reversed").assign(**texts)


def in_parts(path, *, retain_all, rows):
    with StreetEdges(path, retain_all=retain_all, rows=rows) as edges:
        found = list(edges.frames())
    return pd.concat(found, ignore_index=True) if found else None


def assert_same(found, expected):
    if expected is None:
        assert found is None
        return
    expected = expected.dropna(axis=1, how="all")
    found = found.dropna(axis=1, how="all")
    assert {*found.columns} == {*expected.columns}
    assert_geodataframe_equal(found, expected[found.columns])
    assert (found.geometry.to_wkb() == expected.geometry.to_wkb()).all()
    assert (found["length"].to_numpy() == expected["length"].to_numpy()).all()


def write(path, nodes, ways):
    with osmium.SimpleWriter(str(path), overwrite=True) as writer:
        for number, place in nodes:
            writer.add_node(osmium.osm.mutable.Node(id=number, location=place, version=1, visible=True))
        for number, refs, tags in ways:
            writer.add_way(osmium.osm.mutable.Way(id=number, nodes=refs, tags=tags, version=1, visible=True))


def small_map(rng):
    """Return nodes and ways that meet, double back, repeat, and refer to what is not there."""
    ids = rng.sample(range(-5 if rng.random() < 0.2 else 1, 60), rng.randint(2, 14))
    if rng.random() < 0.6:
        ids.sort()
    nodes = [(number, (9 + rng.randint(0, 6) / 7e3, 48 + rng.randint(0, 6) / 7e3)) for number in ids]
    if rng.random() < 0.3:
        nodes.append((rng.choice(ids), (9.5, 48.5)))
    ways = []
    for number in range(1, rng.randint(2, 11)):
        length, start = rng.randint(0, 6), rng.randrange(len(ids))
        refs = [ids[(start + step) % len(ids)] for step in range(length)]
        if rng.random() < 0.5:
            refs = [rng.choice([*ids, 99]) for _ in range(length)]
        refs += refs[:1] if rng.random() < 0.2 else []
        tags = {
            "highway": rng.choice(["residential", "primary", "footway"]),
            "oneway": rng.choice(["yes", "-1", "no", "T", "reverse", None, None]),
            "name": rng.choice(["A", "B", None, "[1, 2]", "[z]"]),
            "junction": rng.choice([None] * 6 + ["roundabout"]),
            "lanes": rng.choice([None, "1", "2"]),
        }
        again = number if rng.random() < 0.9 else rng.randint(1, number)
        ways.append((again, refs[:: rng.choice([1, -1])], {key: value for key, value in tags.items() if value}))
    if rng.random() < 0.2:
        rng.shuffle(ways)
    return nodes, ways


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), retain_all=st.booleans(), rows=st.integers(1, 40))
def test_any_small_map_gives_the_edges_of_osmnx(tmp_path, seed, retain_all, rows):
    path = tmp_path / "a.osm.pbf"
    write(path, *small_map(random.Random(seed)))
    try:
        found = in_parts(path, retain_all=retain_all, rows=rows)
    except (FrameError, FormatError):  # no streets, or no ways at all
        found = None
    assert_same(found, by_osmnx(path, retain_all=retain_all))


def long_map(rng):
    """Return nodes and ways of streets that each are drawn as many short ways, in any order and direction."""
    ids = rng.sample(range(1, 900), 90)
    nodes = [(number, (9 + rng.randint(0, 900) / 7e3, 48 + rng.randint(0, 900) / 7e3)) for number in sorted(ids)]
    ways, at = [], 0
    while at < 60:
        length = rng.randint(3, 30)
        refs = ids[at : at + length]
        start = rng.choice(ids[: at + 1])
        refs = [start, *refs, *([start] if rng.random() < 0.3 else [])]
        at += length
        oneway, begin = rng.random() < 0.4, 0
        while begin < len(refs) - 1:
            step = rng.randint(1, 3)
            turned = rng.random() < 0.5
            tags = {"highway": "residential"} | ({"oneway": "-1" if turned else "yes"} if oneway else {})
            ways.append((refs[begin : begin + step + 1][:: -1 if turned else 1], tags))
            begin += step
    rng.shuffle(ways)
    return nodes, [(number, refs, tags) for number, (refs, tags) in enumerate(ways, 1)]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), retain_all=st.booleans(), rows=st.integers(1, 80))
def test_streets_of_many_ways_give_the_edges_of_osmnx(tmp_path, seed, retain_all, rows):
    path = tmp_path / "a.osm.pbf"
    write(path, *long_map(random.Random(seed)))
    assert_same(in_parts(path, retain_all=retain_all, rows=rows), by_osmnx(path, retain_all=retain_all))


@pytest.mark.parametrize("retain_all", [True, False])
@pytest.mark.parametrize("path", [HELSINKI, AMSTERDAM], ids=lambda path: path.name)
def test_a_town_gives_the_edges_of_osmnx_however_it_is_cut(path, retain_all):
    expected = by_osmnx(path, retain_all=retain_all)
    for rows in (2_000_000, 5000):
        assert_same(in_parts(path, retain_all=retain_all, rows=rows), expected)


def _named(*ways):
    """Return a map of ways along nodes that are called by letters."""
    letters = sorted({letter for refs, _ in ways for letter in refs})
    nodes = [(number, (9 + number * number % 7 / 1e3, 48 + number / 1e3)) for number in map(ord, letters)]
    return nodes, [
        (number, [*map(ord, refs)], {"highway": "residential", **tags}) for number, (refs, tags) in enumerate(ways, 1)
    ]


ONE = {"oneway": "yes"}


@pytest.mark.parametrize(
    "ways",
    [
        pytest.param([("abcda", {})], id="a ring that nothing meets"),
        pytest.param([("abcda", {}), ("xy", {})], id="a ring and a street"),
        pytest.param([("bcdb", {}), ("ac", {})], id="a closed way that is met elsewhere than where it closes"),
        pytest.param([("ab", {}), ("bc", {"name": "B"}), ("cd", {"name": "C"})], id="three ways in a row"),
        pytest.param([("cb", {}), ("ab", {}), ("cd", {})], id="three ways that begin and end where others do"),
        pytest.param([("abc", {}), ("cba", {})], id="a way drawn twice"),
        pytest.param([("abcd", ONE), ("dcba", ONE), ("de", {})], id="two one-way ways on the same nodes"),
        pytest.param([("abcd", ONE), ("abcd", ONE), ("dx", {}), ("ax", {})], id="a one-way way drawn twice"),
        pytest.param([("abc", {}), ("bc", {}), ("cde", {}), ("ex", {})], id="a part drawn twice"),
        pytest.param([("abc", {"oneway": "-1"}), ("cd", {"oneway": "reverse"})], id="against the way"),
        pytest.param(
            [("apb", ONE), ("bqa", ONE), ("brc", ONE), ("csb", ONE), ("cta", ONE), ("auc", ONE)],
            id="a triangle of one-way pairs, which is a ring once it is simplified",
        ),
        pytest.param(
            [("apb", ONE), ("bqa", ONE), ("brc", ONE), ("csb", ONE), ("cta", ONE), ("auc", ONE), ("xyz", {})],
            id="such a triangle, and a street",
        ),
        pytest.param([("ab", {}), ("cd", {}), ("ef", {})], id="components of one size"),
        pytest.param([("aab", {}), ("bb", {}), ("c", {}), ("", {})], id="repeated and single nodes"),
        pytest.param([("aba", {}), ("bcb", {})], id="there and back"),
    ],
)
def test_odd_maps_give_the_edges_of_osmnx(tmp_path, ways):
    path = tmp_path / "a.osm.pbf"
    write(path, *_named(*ways))
    for retain_all in (True, False):
        for rows in (1, 3, 1000):
            found = in_parts(path, retain_all=retain_all, rows=rows)
            assert_same(found, by_osmnx(path, retain_all=retain_all))


def test_ways_that_leave_the_extract_are_cut_and_counted(tmp_path):
    path = tmp_path / "a.osm.pbf"
    nodes, ways = _named(("abcdefg", {}), ("gh", {}), ("hi", {}))
    write(path, [node for node in nodes if chr(node[0]) not in "dh"], ways)
    for region in (None, Region.from_bbox(8, 47, 10, 49)):
        streets = read_streets(path, region=region, retain_all=True)
        facts = streets.attrs["streets"]
        assert (facts["ways"], facts["ways_cut"], len(streets)) == (3, 3, 4)
        assert streets.attrs["left_out"] == {LOST: 2}


# files


NODES = [(1, 480000000, 90000000), (2, 480010000, 90010000), (3, 480020000, 90000000), (4, 480020000, 90050000)]
WAYS = [(10, [1, 3], [2, 4], [1, 2, 3]), (11, [1], [2], [3, 4])]
STRINGS = ("highway", "residential", "name", "Hauptstraße")


def made(path, *, nodes=osm_pbf.dense, compression="zlib", features=(), **offsets):
    """Write two streets, as the options say."""
    path.write_bytes(
        osm_pbf.blob("OSMHeader", osm_pbf.header(*features), compression=compression)
        + osm_pbf.blob("OSMData", osm_pbf.block([nodes(NODES)], **offsets), compression=compression)
        + osm_pbf.blob("OSMData", osm_pbf.block([osm_pbf.ways(WAYS)], STRINGS), compression=compression)
    )
    return path


@pytest.mark.parametrize("compression", ["raw", "zlib"])
@pytest.mark.parametrize("nodes", [osm_pbf.dense, osm_pbf.plain])
def test_nodes_are_read_dense_and_plain_and_blobs_raw_and_compressed(tmp_path, nodes, compression):
    streets = read_streets(made(tmp_path / "a.osm.pbf", nodes=nodes, compression=compression))
    assert streets[["u", "v", "osmid"]].to_numpy().tolist() == [[1, 4, "10;11"], [4, 1, "10;11"]]
    assert [*streets.geometry[0].coords] == [(9.0, 48.0), (9.001, 48.001), (9.0, 48.002), (9.005, 48.002)]
    assert streets["name"].tolist() == ["Hauptstraße"] * 2


@pytest.mark.parametrize("nodes", [osm_pbf.dense, osm_pbf.plain])
def test_coordinates_have_any_unit_and_origin(tmp_path, nodes):
    path = made(tmp_path / "a.osm.pbf", nodes=nodes, granularity=1000, lat_offset=-475 * 10**9, lon_offset=-80 * 10**9)
    assert [*read_streets(path).geometry[0].coords] == [(10.0, 5.0), (10.01, 5.01), (10.0, 5.02), (10.05, 5.02)]


@pytest.mark.parametrize("compression", ["lzma", "zstd"])
def test_a_compression_that_is_not_read_is_named(tmp_path, compression):
    path = made(tmp_path / "a.osm.pbf", compression=compression)
    with pytest.raises(FormatError, match=rf"a\.osm\.pbf .*(?i:{compression})"):
        read_streets(path)


def test_a_history_is_refused(tmp_path):
    path = made(tmp_path / "a.osm.pbf", features=["HistoricalInformation"])
    with pytest.raises(FormatError, match="is a history") as caught:
        read_streets(path)
    assert "time-filter" in caught.value.hint


def test_a_feature_that_is_not_known_is_named(tmp_path):
    path = made(tmp_path / "a.osm.pbf", features=["Curves"])
    with pytest.raises(FormatError, match="Curves"):
        read_streets(path)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_one_line_or_ends_between_blobs(tmp_path, share):
    whole = made(tmp_path / "whole.osm.pbf").read_bytes()
    path = tmp_path / "cut.osm.pbf"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises((FormatError, FrameError)) as caught:
        read_streets(path)
    assert str(caught.value).startswith("cut.osm.pbf ")
    assert "\n" not in str(caught.value)


def test_a_file_of_places_alone_has_no_streets(tmp_path):
    path = tmp_path / "a.osm.pbf"
    write(path, [(1, (9, 48))], [])
    with pytest.raises(FormatError, match="has nodes and no ways"):
        read_streets(path)


# as a file, and as a dataset


def test_streets_are_written_as_they_are_read(tmp_path):
    expected = read_streets(HELSINKI, retain_all=True)
    written = mlygeo.convert(HELSINKI, tmp_path / "streets.parquet")
    assert_geodataframe_equal(written, expected)
    assert written.attrs["left_out"] == expected.attrs["left_out"] == written.attrs["summary"]["left_out"]
    assert written.attrs["attribution"] == expected.attrs["attribution"]
    box = (24.93, 60.16, 24.94, 60.165)
    some = mlygeo.convert(HELSINKI, tmp_path / "some.parquet", bbox=box, columns=["name"])
    same = mlygeo.convert(tmp_path / "streets.parquet", tmp_path / "same.parquet", bbox=box, columns=["name"])
    assert_geodataframe_equal(some, same)
    assert len(mlygeo.convert(HELSINKI, tmp_path / "some.gpkg", bbox=box)) == len(some)


def test_streets_become_a_dataset_of_which_points_are_laid(tmp_path):
    dataset = tmp_path / "streets"
    parts = mlygeo.partition(HELSINKI, dataset, rows_per_part=700)
    assert len(parts) > 5
    assert parts["rows"].max() <= 700
    expected = read_streets(HELSINKI, retain_all=True)
    found = mlygeo.read_frame(dataset)
    keys = ["u", "v", "key"]
    assert_geodataframe_equal(found.sort_values(keys, ignore_index=True), expected.sort_values(keys, ignore_index=True))
    for part, box in zip(parts["path"], parts.geometry, strict=True):
        rows = gpd.read_parquet(dataset / part)
        assert tuple(rows.total_bounds) == box.bounds
    assert gpd.read_parquet(dataset / parts["path"][0], bbox=tuple(parts.geometry[0].bounds)).shape[0] > 0
    assert mlygeo.partition(dataset, verify=True).attrs["summary"]["verified"]
    points = mlygeo.streets(streets=dataset, interval=50)
    assert_geodataframe_equal(points, mlygeo.streets(streets=HELSINKI, interval=50, retain_all=True))


def test_what_a_file_lacks_is_counted_once_for_all_parts_of_its_dataset(tmp_path):
    path, dataset = tmp_path / "streets.osm", tmp_path / "streets"
    nodes = "".join(f'<node id="{number}" lat="60" lon="{24 + number / 1000}"/>' for number in range(1, 9))
    way = '<way id="{0}"><nd ref="{0}"/><nd ref="{1}"/><tag k="highway" v="residential"/></way>'
    ways = "".join(way.format(number, number + 1) for number in (1, 3, 5, 7))
    path.write_text(f'<osm version="0.6">{nodes}{ways}{way.format(90, 91)}</osm>')
    assert len(mlygeo.partition(path, dataset, rows_per_part=2)) > 1
    expected = read_streets(path, retain_all=True).attrs["left_out"]
    assert expected == {LOST: 1}
    assert read_streets(dataset).attrs["left_out"] == expected
    assert mlygeo.read_frame(dataset).attrs["left_out"] == expected


def test_the_same_command_again_changes_nothing_and_another_file_is_refused(tmp_path):
    dataset = tmp_path / "streets"
    mlygeo.partition(AMSTERDAM, dataset)
    index = (tmp_path / "streets.partitions.parquet").read_bytes()
    mlygeo.partition(AMSTERDAM, dataset)
    assert (tmp_path / "streets.partitions.parquet").read_bytes() == index
    with pytest.raises(FileError, match="is a dataset of other inputs already") as caught:
        mlygeo.partition(HELSINKI, dataset)
    assert caught.value.hint == "name another folder"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["streets", "streets.partitions.parquet"]


def test_what_makes_no_sense_for_streets_is_refused(tmp_path):
    with pytest.raises(InputError, match="streets join within one file only"):
        mlygeo.partition([AMSTERDAM, HELSINKI], tmp_path / "streets")
    with pytest.raises(InputError, match="`workers` has no effect"):
        mlygeo.partition(AMSTERDAM, tmp_path / "streets", workers=2)
    with pytest.raises(InputError, match="`srid` has no effect"):
        mlygeo.convert(AMSTERDAM, tmp_path / "streets.parquet", srid=4326)


@needs_unix("kill -9")
@pytest.mark.parametrize("verb", ["convert", "partition"])
def test_a_killed_run_leaves_nothing_wrong(tmp_path, verb):
    output = {"convert": tmp_path / "streets.parquet", "partition": tmp_path / "streets"}[verb]
    script = f"import mlygeo; mlygeo.{verb}({str(HELSINKI)!r}, {str(output)!r})"
    spilled = tmp_path / "spilled"
    spilled.mkdir()
    rng = random.Random(1)
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "TMPDIR": str(spilled)})
        time.sleep(rng.uniform(0.8, 2.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not [*spilled.iterdir()]
    found = getattr(mlygeo, verb)(HELSINKI, output)
    assert len(found)
    assert len(mlygeo.read_frame(output)) == len(read_streets(HELSINKI, retain_all=True))
    left = {path.name for path in tmp_path.iterdir()} - {"spilled"}
    assert left == {output.name} | ({"streets.partitions.parquet"} if verb == "partition" else set())


def blobs(path):
    """Return the blobs of a file, each with its header."""
    content, found, at = path.read_bytes(), [], 0
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        head = content[at + 4 : at + 4 + length]
        size = next(value for number, _, value, _ in protobuf.fields(head, 0, len(head)) if number == 3)
        stop = at + 4 + length + size
        found.append(content[at:stop])
        at = stop
    return found


def test_a_download_that_ends_between_blobs_is_told(tmp_path, caplog):
    whole = blobs(AMSTERDAM)
    held = [set().union(*map(osm_pbf_bytes.kinds, osm_pbf_bytes.blocks(io.BytesIO(blob)))) for blob in whole]
    assert held[-1] == {"relations"}
    ways = [number for number, kinds in enumerate(held) if "ways" in kinds]
    path = tmp_path / "cut.osm.pbf"
    path.write_bytes(b"".join(whole[: ways[0]]))
    for read in (lambda: mlygeo.street_network(path=path), lambda: mlygeo.partition(path, tmp_path / "set")):
        with pytest.raises(FormatError, match="has nodes and no ways, which follow them: its end is missing"):
            read()
    assert [each.name for each in tmp_path.iterdir()] == ["cut.osm.pbf"]
    path.write_bytes(b"".join(whole[: ways[-1] + 1]))
    assert len(mlygeo.street_network(path=path))
    assert "ends with its ways, and has no relations" in caplog.text
    caplog.clear()
    assert len(mlygeo.street_network(path=AMSTERDAM))
    assert "relations" not in caplog.text


def test_ways_that_lack_nodes_are_counted_in_a_dataset(tmp_path, capsys):
    status, out, err = run(capsys, "partition", HELSINKI, "-o", tmp_path / "set", "--json")
    assert status == 0, err
    cut = mlygeo.street_network(path=HELSINKI, retain_all=True).attrs["streets"]["ways_cut"]
    assert json.loads(out)["problems"] == {"ways of which the file lacks some nodes, which end there": cut}
    assert cut > 100
