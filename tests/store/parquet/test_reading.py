"""GeoParquet of other writers, damaged files, and rows in a box: read rightly or refused in one line."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlygeo import store
from mlygeo.errors import FileError, FormatError, FrameError, MlygeoError
from mlygeo.store import parquet
from mlygeo.store.parquet import writing
from mlygeo.store.point_sources import PointFile

MEGABYTES = 500
POINTS = [shapely.Point(9.1, 48.1), shapely.Point(9.2, 48.2), shapely.Point(9.3, 48.3)]
SHAPES = {
    "point": [*POINTS[:2], None],
    "linestring": [shapely.LineString([(0, 0), (1, 2)]), shapely.LineString([(3, 3), (4, 5), (6, 7)]), None],
    "polygon": [shapely.box(0, 0, 1, 1), shapely.box(0, 0, 9, 9).difference(shapely.box(1, 1, 2, 2)), None],
    "multipoint": [shapely.MultiPoint([(0, 1), (2, 3)]), shapely.MultiPoint([(4, 5)]), None],
    "multilinestring": [shapely.MultiLineString([[(0, 0), (1, 2)], [(3, 3), (4, 5)]]), None, None],
    "multipolygon": [shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(3, 3, 4, 4)]), None, None],
}


def write(path, columns, geo=None, pandas=None, **options):
    """A Parquet file with these columns and metadata."""
    metadata = {b"geo": json.dumps(geo).encode() if isinstance(geo, dict) else geo, b"pandas": pandas}
    table = pa.table(columns).replace_schema_metadata({key: value for key, value in metadata.items() if value})
    pq.write_table(table, path, **options)
    return path


def geo_of(name="geometry", **column):
    described = {"encoding": "WKB", "geometry_types": [], **column}
    return {"version": "1.1.0", "primary_column": name, "columns": {name: described}}


def wkb(shapes):
    return pa.array(shapely.to_wkb(np.array(shapes, dtype=object)), pa.binary())


@pytest.fixture(scope="module")
def duckdb():
    """A connection to DuckDB with its spatial extension."""
    duckdb = pytest.importorskip("duckdb")
    extension = pytest.importorskip("duckdb_extension_spatial")
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    binary = next(file for folder in extension.__path__ for file in Path(folder).rglob("*.duckdb_extension"))
    connection.execute(f"LOAD '{binary}'")
    return connection


# Other writers ------------------------------------------------------------------


@pytest.mark.parametrize("version", ["V1", "V2", "BOTH", "NONE"])
def test_files_of_duckdb_with_and_without_geo_metadata(tmp_path, duckdb, version):
    rows = "SELECT 1::BIGINT AS id, ST_Point(9.1, 48.7) AS geom UNION ALL SELECT 2, NULL UNION ALL SELECT 3, ST_Point(9, 50)"
    duckdb.execute(
        f"COPY ({rows} ORDER BY id) TO '{tmp_path}/x.parquet' (FORMAT parquet, GEOPARQUET_VERSION '{version}')"
    )
    frame = store.read_frame(tmp_path / "x.parquet")
    assert frame.active_geometry_name == "geom"
    assert frame.crs == 4326
    assert frame["id"].tolist() == [1, 2, 3]
    assert frame.geometry.to_wkt().tolist()[0] == "POINT (9.1 48.7)"
    assert store.read_frame(tmp_path / "x.parquet", bbox=(9, 48, 10, 49))["id"].tolist() == [1]
    assert np.isnan(PointFile(tmp_path / "x.parquet").lonlat[0]).tolist() == [False, True, False]


def test_parquet_geometry_in_another_crs(tmp_path, duckdb):
    rows = "SELECT ST_SetCRS(ST_Point(155000, 463000), 'EPSG:28992') AS geom"
    duckdb.execute(f"COPY ({rows}) TO '{tmp_path}/x.parquet' (FORMAT parquet, GEOPARQUET_VERSION 'NONE')")
    frame = store.read_frame(tmp_path / "x.parquet")
    assert frame.crs.to_epsg() == 28992
    assert len(store.read_frame(tmp_path / "x.parquet", bbox=(5.3, 52.1, 5.4, 52.2))) == 1
    assert len(store.read_frame(tmp_path / "x.parquet", bbox=(5.3, 53.1, 5.4, 53.2))) == 0


BOX = "{'xmin': ST_XMin(geom), 'ymin': ST_YMin(geom), 'xmax': ST_XMax(geom), 'ymax': ST_YMax(geom)}"


@pytest.mark.parametrize(
    ("box", "is_covering"),
    [
        (BOX, True),
        (BOX.replace("geom", "geom").replace("}", "}::STRUCT(xmin FLOAT, ymin FLOAT, xmax FLOAT, ymax FLOAT)"), True),
        (BOX.replace("ST_XMin(geom)", "ST_XMin(geom) + id"), False),
        (BOX.replace("ST_XMin(geom)", "CASE WHEN id = 3 THEN 0 ELSE ST_XMin(geom) END"), False),
        (BOX.replace("}", ", 'note': 'own'}"), False),
        ("'a text'", False),
    ],
)
def test_boxes_that_the_metadata_do_not_name(tmp_path, duckdb, box, is_covering):
    """DuckDB's column `bbox` is not one of the user's where it says what the geometry says; any other is."""
    rows = "SELECT id::BIGINT AS id, ST_Point(9 + id, 48) AS geom FROM range(1, 4) AS numbers(id)"
    duckdb.execute(f"COPY (SELECT *, {box} AS bbox FROM ({rows})) TO '{tmp_path}/x.parquet' (FORMAT parquet)")
    frame = store.read_frame(tmp_path / "x.parquet")
    assert ("bbox" in frame.columns) == (not is_covering)
    assert ("bbox" in PointFile(tmp_path / "x.parquet").columns) == (not is_covering)
    assert store.read_frame(tmp_path / "x.parquet", bbox=(10.5, 40, 12.5, 50))["id"].tolist() == [2, 3]
    back = store.read_frame(store.write_frame(frame, tmp_path / "y.parquet"))
    assert_geodataframe_equal(back, frame)


def test_a_box_in_a_frame_of_pandas_is_a_column(tmp_path):
    frame = gpd.GeoDataFrame({"id": [1, 2, 3]}, geometry=POINTS, crs=4326)
    bounds = frame.bounds.set_axis(["xmin", "ymin", "xmax", "ymax"], axis=1)
    frame["bbox"] = pd.Series(bounds.to_dict("records"), dtype=object)
    frame.to_parquet(tmp_path / "x.parquet")
    assert store.read_frame(tmp_path / "x.parquet")["bbox"].tolist() == frame["bbox"].tolist()
    store.write_frame(frame, tmp_path / "y.parquet")
    assert gpd.read_parquet(tmp_path / "y.parquet")["bbox"].tolist() == frame["bbox"].tolist()


@pytest.mark.parametrize("version", ["0.4.0", "1.0.0", "1.1.0"])
@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("covering", [False, True])
def test_files_of_geopandas(tmp_path, kind, version, covering):
    frame = gpd.GeoDataFrame({"id": [1, 2, 3], "name": ["a", None, "c"]}, geometry=SHAPES[kind], crs=25832)
    frame.to_parquet(
        tmp_path / "x.parquet", schema_version=version, write_covering_bbox=covering and version == "1.1.0"
    )
    assert_geodataframe_equal(store.read_frame(tmp_path / "x.parquet"), frame)


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("high", [False, True])
def test_native_encodings(tmp_path, kind, high):
    shapes = [shapely.force_3d(shape, 5) if high and shape is not None else shape for shape in SHAPES[kind]]
    frame = gpd.GeoDataFrame({"id": [1, 2, 3]}, geometry=shapes, crs=4326)
    frame.to_parquet(tmp_path / "x.parquet", geometry_encoding="geoarrow", schema_version="1.1.0")
    assert_geodataframe_equal(store.read_frame(tmp_path / "x.parquet"), frame)
    box = (0.5, 0.5, 9.15, 48.15)
    inside = frame.geometry.intersects(shapely.box(*box)) if kind == "point" else frame.geometry.notna()
    assert store.read_frame(tmp_path / "x.parquet", bbox=box)["id"].tolist() == frame["id"][inside].tolist()


def test_the_index_of_another_writer(tmp_path):
    frame = gpd.GeoDataFrame({"id": [1, 2, 3]}, geometry=POINTS, crs=4326, index=[7, 8, 9])
    frame.to_parquet(tmp_path / "x.parquet")
    assert store.read_frame(tmp_path / "x.parquet").columns.tolist() == ["id", "geometry"]
    frame.rename_axis("osmid").to_parquet(tmp_path / "x.parquet")
    assert store.read_frame(tmp_path / "x.parquet")["osmid"].tolist() == [7, 8, 9]


def test_every_type_of_arrow_is_readable(tmp_path):
    columns = {
        "large": pa.array(["a", None, "ü"], pa.large_string()),
        "view": pa.array(["a", None, "ü"], pa.string_view()),
        "bytes view": pa.array([b"a", None, b"\xff"], pa.binary_view()),
        "fixed": pa.array([b"ab", None, b"\xff\0"], pa.binary(2)),
        "dictionary": pa.array(["a", None, "a"]).dictionary_encode(),
        "list": pa.array([[1, None], None, []]),
        "large list": pa.array([[1.5], None, []], pa.large_list(pa.float64())),
        "fixed list": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int8(), 2)),
        "struct": pa.array([{"a": [{"b": 1}]}, None, {"a": []}]),
        "map": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int64())),
        "decimal": pa.array([None, 1, 2], pa.decimal128(38, 9)),
        "unsigned": pa.array([2**63, None, 1], pa.uint64()),
        "gaps": pa.array([2**53 + 1, None, 1], pa.int64()),
        "half": pa.array([1.5, None, 2.0], pa.float16()),
        "date": pa.array([0, None, -700_000], pa.date32()),
        "clock": pa.array([0, None, 86_399_999_999], pa.time64("us")),
        "stamp": pa.array([0, None, 1], pa.timestamp("ms", "Europe/Berlin")),
        "seconds": pa.array([0, None, 1], pa.timestamp("s")),
        "span": pa.array([0, None, 1], pa.duration("us")),
        "null": pa.nulls(3),
        "truth": pa.array([True, None, False]),
    }
    path = write(tmp_path / "x.parquet", {**columns, "geometry": wkb(POINTS)}, geo_of())
    frame = store.read_frame(path)
    assert list(frame.columns) == [*columns, "geometry"]
    for name, values in columns.items():
        expected = [None if value is None else value for value in values.to_pylist()]
        found = [None if pd.api.types.is_scalar(value) and pd.isna(value) else value
                 for value in frame[name]]  # fmt: skip
        assert [value is None for value in found] == [value is None for value in expected], name
        if name not in {"stamp", "seconds", "span"}:
            assert found == expected, name
    assert frame["list"][0] == [1, None]
    assert str(frame["gaps"].dtype) == "Int64"
    assert str(frame["unsigned"].dtype) == "UInt64"


@pytest.mark.parametrize(
    "kind", [pa.large_binary(), pa.binary_view(), pa.dictionary(pa.int32(), pa.binary()), pa.binary(21)]
)
def test_wkb_in_any_layout(tmp_path, kind):
    values = wkb(POINTS)
    values = values.dictionary_encode() if pa.types.is_dictionary(kind) else values.cast(kind)
    path = write(tmp_path / "x.parquet", {"geometry": values}, geo_of())
    assert store.read_frame(path).geometry.to_wkt().tolist() == [point.wkt for point in POINTS]
    assert PointFile(path).lonlat[0].tolist() == [9.1, 9.2, 9.3]


@pytest.mark.parametrize("types", [["Point"], ["Polygon"], ["nan"], "Point", None, 7])
def test_types_in_the_metadata_are_not_believed(tmp_path, types):
    shapes = [POINTS[0], shapely.LineString([(0, 0), (1, 1)])]
    path = write(tmp_path / "x.parquet", {"geometry": wkb(shapes)}, geo_of(geometry_types=types))
    assert store.read_frame(path).geom_type.tolist() == ["Point", "LineString"]


@pytest.mark.parametrize(
    "covering",
    [
        {"bbox": {side: ["id"] for side in ("xmin", "ymin", "xmax", "ymax")}},
        {"bbox": {side: ["id", side] for side in ("xmin", "ymin", "xmax", "ymax")}},
        {"bbox": {side: ["none", side] for side in ("xmin", "ymin", "xmax", "ymax")}},
        {"bbox": {side: [] for side in ("xmin", "ymin", "xmax", "ymax")}},
        {"bbox": {side: [{}, []] for side in ("xmin", "ymin", "xmax", "ymax")}},
        {"bbox": {"xmin": ["id", "xmin"]}}, {"bbox": []}, {"bbox": None}, [], "bbox", 7,
    ],
)  # fmt: skip
def test_a_covering_that_makes_no_sense_is_none(tmp_path, covering):
    columns = {"id": [1, 2, 3], "geometry": wkb(POINTS)}
    path = write(tmp_path / "x.parquet", columns, geo_of(covering=covering))
    assert store.read_frame(path)["id"].tolist() == [1, 2, 3]
    assert store.read_frame(path, bbox=(9.15, 48, 10, 49))["id"].tolist() == [2, 3]


# Damage -------------------------------------------------------------------------

DEEP = b'{"a":' * 20_000 + b"1" + b"}" * 20_000
BROKEN = {
    "no metadata": ({"a": [1]}, None, None, "says nothing of a geometry"),
    "deep": (None, DEEP, None, "damaged"),
    "deep list": (None, b"[" * 100_000, None, "damaged"),
    "not JSON": (None, b"{", None, "damaged"),
    "no UTF-8": (None, b'{"\xff": 1}', None, "damaged"),
    "a list": (None, b"[]", None, "not a JSON object"),
    "too large": (None, b" " * (17 * 2**20), None, "larger than 16 MB"),
    "no columns": (None, {"primary_column": "geometry"}, None, "no geometry column"),
    "primary a list": (None, {"primary_column": ["geometry"], "columns": {}}, None, "no geometry column"),
    "primary not there": (None, geo_of("other"), None, "no geometry column"),
    "not described": (None, {"primary_column": "geometry", "columns": {}}, None, "do not describe"),
    "described by a list": (None, {"primary_column": "geometry", "columns": {"geometry": []}}, None, "do not describe"),
    "unknown encoding": (None, geo_of(encoding="TWKB"), None, "'TWKB'"),
    "encoding a number": (None, geo_of(encoding=1), None, "'1'"),
    "encoding missing": (None, geo_of(encoding=None), None, "'None'"),
    "encoding not that of the column": (None, geo_of(encoding="polygon"), None, "not polygon"),
    "WKB of numbers": ({"geometry": [1, 2, 3]}, geo_of(), None, "not WKB"),
    "WKB of text": ({"geometry": ["POINT (1 2)"]}, geo_of(), None, "not WKB"),
    "CRS half": (None, geo_of(crs={"type": "ProjectedCRS"}), None, "CRS of 'geometry'"),
    "CRS a number": (None, geo_of(crs=25832), None, "CRS of 'geometry'"),
    "CRS a list": (None, geo_of(crs=[1]), None, "CRS of 'geometry'"),
    "CRS of odd id": (None, geo_of(crs={"id": [{"authority": {}}]}), None, "CRS of 'geometry'"),
    "CRS text": (None, geo_of(crs="EPSG:999999"), None, "CRS of 'geometry'"),
    "CRS deep": (None, geo_of(crs="GEOGCRS[" * 5000), None, "CRS of 'geometry'"),
    "pandas no JSON": (None, geo_of(), b'{"a":', "metadata of pandas"),
    "pandas deep": (None, geo_of(), DEEP, "metadata of pandas"),
    "pandas a list": (None, geo_of(), b"[]", "metadata of pandas"),
    "attrs a list": (None, geo_of(), b'{"attributes": [1, 2]}', "metadata of pandas"),
    "columns of numbers": (None, geo_of(), b'{"columns": [1, 2]}', "metadata of pandas"),
    "columns a text": (None, geo_of(), b'{"columns": "geometry"}', "metadata of pandas"),
    "index a text": (None, geo_of(), b'{"index_columns": 5}', "metadata of pandas"),
    "all damaged": ({"geometry": [b"\x01", b"abc"]}, geo_of(), None, "in every row"),
    "zone": (
        {"t": pa.array([1], pa.timestamp("ms", "Mars/Phobos")), "geometry": wkb(POINTS[:1])}, geo_of(), None, "'t'"
    ),
    "text that is not UTF-8": (
        {"t": pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")]),
         "geometry": wkb(POINTS[:1])}, geo_of(), None, "'t'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_damage_is_an_error_in_one_line(tmp_path, name):
    columns, geo, pandas, words = BROKEN[name]
    path = write(tmp_path / "x.parquet", columns or {"id": [1, 2, 3], "geometry": wkb(POINTS)}, geo, pandas)
    with pytest.raises(FormatError, match=words) as caught:
        store.read_frame(path)
    assert "x.parquet" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_odd_notes_of_pandas_are_ignored(tmp_path):
    notes = [{"name": "id", "field_name": "id", "pandas_type": kind, "numpy_type": numpy, "metadata": metadata}
             for kind, numpy, metadata in [(1, [], {}), ("categorical", "int8", "x"), ("x", "V99999999999", 1)]]  # fmt: skip
    for note in notes:
        path = write(
            tmp_path / "x.parquet", {"id": [1, 2, 3], "geometry": wkb(POINTS)}, geo_of(),
            json.dumps({"columns": [note, {}, {"name": None}], "index_columns": [{}, 1]}).encode(),
        )  # fmt: skip
        assert store.read_frame(path)["id"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("bad", [b"", b"\x01", b"\x01\x01\0\0\0", b"\x01\xff\0\0\0", "deep"])
def test_rows_with_damaged_geometry_are_left_out_and_counted(tmp_path, bad, caplog):
    if bad == "deep":  # GEOS reads one in another, and its stack ends at some 20,000
        bad = b"\x01\x07\0\0\0\x01\0\0\0" * 300_000 + b"\x01\x01\0\0\0" + b"\0" * 16
    values = [*shapely.to_wkb(np.array(POINTS)), bad, None]
    path = write(tmp_path / "x.parquet", {"id": [1, 2, 3, 4, 5], "geometry": pa.array(values, pa.binary())}, geo_of())
    frame = store.read_frame(path)
    assert frame["id"].tolist() == [1, 2, 3, 5]
    assert frame.attrs["left_out"] == {"rows with damaged geometry": 1}
    assert "1 of 5 rows have damaged geometry" in caplog.text
    assert store.read_frame(path, bbox=(9, 48, 9.25, 49))["id"].tolist() == [1, 2]
    assert np.isnan(PointFile(path).lonlat[0]).tolist() == [False, False, False, True, True]


def test_geometry_nested_as_deep_as_sense_has_it_is_read(tmp_path):
    shape = POINTS[0]
    for _ in range(50):
        shape = shapely.GeometryCollection([shape, shapely.box(0, 0, 1, 1), shapely.MultiPoint([(0, 1, 2), (2, 3, 4)])])
    path = write(tmp_path / "x.parquet", {"geometry": wkb([shape])}, geo_of())
    assert store.read_frame(path).geometry.to_wkb().iloc[0] == shapely.to_wkb(shape)


def test_names_that_are_there_twice(tmp_path):
    table = pa.table([pa.array([1]), pa.array([2]), wkb(POINTS[:1])], names=["id", "id", "geometry"])
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo_of())}), tmp_path / "x.parquet")
    with pytest.raises(FormatError, match="several columns called 'id'") as caught:
        store.read_frame(tmp_path / "x.parquet")
    assert caught.value.hint == "rename them"


def test_a_small_file_that_would_fill_the_memory(tmp_path):
    rows = 100_000_000
    values = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int32)), pa.array([b"x" * 21]))
    table = pa.table({"geometry": values}).replace_schema_metadata({"geo": json.dumps(geo_of())})
    pq.write_table(table, tmp_path / "x.parquet", compression="zstd")
    del values, table
    with pytest.raises(FormatError, match="fill the memory"):
        store.read_frame(tmp_path / "x.parquet")


FUZZ = """
import random, resource, sys
from pathlib import Path
import numpy as np
import mlygeo
from mlygeo.errors import MlygeoError
from mlygeo.store.point_sources import PointFile

random.seed(int(sys.argv[2]))
whole, path = Path(sys.argv[1]).read_bytes(), Path(sys.argv[1]).with_name("odd.parquet")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
counts = {"read": 0, "refused": 0}
for number in range(int(sys.argv[3])):
    odd = bytearray(whole)
    for _ in range(random.choice([1, 1, 2, 8, 40])):
        kind = random.random()
        # Half of the changes are in the footer, which tells where all else is.
        place = random.randrange(len(odd)) if random.random() < 0.5 else max(0, len(odd) - random.randrange(1, 3000))
        if kind < 0.5:
            odd[place % len(odd)] ^= 1 << random.randrange(8)
        elif kind < 0.7:
            odd[place % len(odd)] = random.choice([0, 1, 127, 128, 255])
        elif kind < 0.85:
            del odd[place : place + random.randrange(1, 50)]
        else:
            odd[place:place] = bytes(random.randrange(256) for _ in range(random.randrange(1, 9)))
        if not odd:
            odd = bytearray(whole[:20])
    path.write_bytes(odd)
    for act in (
        lambda: mlygeo.read_frame(path).to_string(),
        lambda: mlygeo.read_frame(path, bbox=(9, 48, 9.25, 49), columns=["id"]),
        lambda: (points := PointFile(path)) and (points.lonlat, points.take(np.arange(len(points))[:2])),
    ):
        try:
            act()
            counts["read"] += 1
        except MlygeoError as error:
            assert "\\n" not in str(error), error
            counts["refused"] += 1
print(counts, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.parametrize("kind", ["points", "lines", "native", "geopandas"])
def test_no_changed_byte_ends_in_a_traceback_a_crash_or_a_full_memory(tmp_path, kind):
    rows = 40
    shapes = [
        shapely.LineString([(n, 0), (n, 1)]) if kind == "lines" else shapely.Point(9 + n / 100, 48.5)
        for n in range(rows)
    ]
    columns = {
        "id": np.arange(rows), "text": ["Käse"] * rows, "list": [[n] for n in range(rows)],
        "category": pd.Categorical(["a", "b"] * (rows // 2)), "time": pd.to_datetime(np.arange(rows), unit="ms", utc=True),
    }  # fmt: skip
    frame = gpd.GeoDataFrame(columns, geometry=shapes, crs=4326)
    path = tmp_path / "whole.parquet"
    if kind in {"points", "lines"}:
        store.write_frame(frame, path)
    else:
        encoding = "geoarrow" if kind == "native" else "WKB"
        frame.to_parquet(path, geometry_encoding=encoding, schema_version="1.1.0", write_covering_bbox=True)
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FUZZ), str(path), "7", "150"], capture_output=True, text=True, timeout=300
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    counts, megabytes = run.stdout.rsplit(" ", 1)
    assert float(megabytes) < MEGABYTES
    assert "'refused': 0" not in counts


# Boxes --------------------------------------------------------------------------


def brute_force(frame, bbox):
    """The ids of rows whose own box, in longitude and latitude, meets a box."""
    west, south, east, north = bbox
    bounds = frame.geometry.to_crs(4326).bounds.to_numpy()
    found = []
    for number, (xmin, ymin, xmax, ymax) in zip(frame["id"], bounds, strict=True):
        if not np.isfinite([xmin, ymin, xmax, ymax]).all():
            continue
        in_lon = xmax >= west and xmin <= east if west <= east else xmax >= west or xmin <= east
        if in_lon and ymax >= south and ymin <= north:
            found.append(number)
    return sorted(found)


degrees = st.integers(-180, 180).map(float) | st.floats(-180, 180)
latitudes = st.integers(-80, 80).map(float) | st.floats(-80, 80)
shapes = st.one_of(
    st.none(),
    st.sampled_from([shapely.Point(), shapely.LineString(), shapely.Point(180, 0), shapely.Point(-180, 0)]),
    st.builds(shapely.Point, degrees, latitudes),
    st.builds(lambda a, b, c, d: shapely.LineString([(a, b), (c, d)]), degrees, latitudes, degrees, latitudes),
)
points = st.lists(st.builds(shapely.Point, degrees, latitudes), min_size=1, max_size=25)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.one_of(st.lists(shapes, max_size=25), points), crs=st.sampled_from([4326, 4326, 3857, 4258, "OGC:CRS84"]),
    writer=st.sampled_from(["mlygeo", "geopandas", "covering", "native"]), group=st.sampled_from([3, 7, 100]),
    box=st.tuples(degrees, latitudes, degrees, latitudes),
)  # fmt: skip
def test_a_box_gives_what_filtering_the_whole_gives(tmp_path, places, crs, writer, group, box):
    box = (box[0], min(box[1], box[3]), box[2], max(box[1], box[3]))
    frame = gpd.GeoDataFrame(
        {"id": np.arange(len(places)), "name": [str(n) for n in range(len(places))]},
        geometry=gpd.GeoSeries(places, crs=4326).to_crs(crs),
    )
    path = tmp_path / "x.parquet"
    if writer == "mlygeo":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(writing, "ROWS_PER_GROUP", group)
            store.write_frame(frame, path)
    else:
        native = writer == "native" and all(isinstance(place, shapely.Point) for place in places) and len(places)
        frame.to_parquet(
            path, row_group_size=group, write_covering_bbox=writer == "covering",
            geometry_encoding="geoarrow" if native else "WKB", schema_version="1.1.0",
        )  # fmt: skip
    found = parquet.read(path, bbox=box)
    assert sorted(found["id"]) == brute_force(frame, box)
    assert found["id"].astype(str).tolist() == found["name"].tolist()
    assert sorted(map(shapely.to_wkb, found.geometry)) == sorted(
        map(shapely.to_wkb, frame.geometry[frame["id"].isin(found["id"])])
    )
    assert parquet.read(path, bbox=box, columns=[]).columns.tolist() == ["geometry"]
    assert len(parquet.read(path, bbox=box, columns=["name"])) == len(found)


def test_boxes_that_cross_the_antimeridian_are_read(tmp_path):
    """Another writer's boxes may have their west in the east, as RFC 7946 says of what crosses the antimeridian."""
    shape = shapely.MultiLineString([[(179, 0), (180, 1)], [(-180, 1), (-179, 2)]])
    boxes = pa.array([{"xmin": 179.0, "ymin": 0.0, "xmax": -179.0, "ymax": 2.0}])
    sides = {side: ["bbox", side] for side in ("xmin", "ymin", "xmax", "ymax")}
    columns = {"id": [1], "geometry": wkb([shape]), "bbox": boxes}
    path = write(tmp_path / "x.parquet", columns, geo_of(covering={"bbox": sides}))
    for box in ((179.5, 0, 179.9, 1), (-179.9, 0, -179.5, 3), (179, 0, -179, 1)):
        assert len(store.read_frame(path, bbox=box)) == 1
    assert len(store.read_frame(path, bbox=(179.5, 5, 179.9, 6))) == 0


def test_a_box_of_geometry_without_a_crs_is_refused(tmp_path):
    path = store.write_frame(gpd.GeoDataFrame({"id": [1]}, geometry=[POINTS[0]]), tmp_path / "x.parquet")
    with pytest.raises(FormatError, match="has no CRS"):
        store.read_frame(path, bbox=(0, 0, 1, 1))
    assert store.read_frame(path).crs is None


def test_columns_come_in_the_order_of_the_file(tmp_path):
    frame = gpd.GeoDataFrame({"a": [1], "geometry": POINTS[:1], "b": [2], "c": [3]}, crs=4326)
    path = store.write_frame(frame, tmp_path / "x.parquet")
    assert store.read_frame(path, columns=["c", "a", "c"]).columns.tolist() == ["a", "geometry", "c"]
    assert store.read_frame(path, columns=[]).columns.tolist() == ["geometry"]
    assert store.read_frame(path, columns=["geometry"]).columns.tolist() == ["geometry"]
    with pytest.raises(FrameError, match=r"no column bbox \(it has a, geometry, b, c\)"):
        store.read_frame(path, columns=["bbox"])


def test_what_is_no_file(tmp_path):
    (tmp_path / "empty.parquet").write_bytes(b"")
    with pytest.raises(MlygeoError):
        store.read_frame(tmp_path / "empty.parquet")
    with pytest.raises(FileError, match="does not exist"):
        PointFile(tmp_path / "none.parquet")
