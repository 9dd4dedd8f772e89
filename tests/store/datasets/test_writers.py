"""GeoParquet as others write it: the same rows, and no box or index of theirs taken for a column."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlygeo import store
from mlygeo.store.datasets import reading
from mlygeo.store.parquet.files import GeoFile
from mlygeo.store.parquet.reading import groups_near

BOX = (9.2, 47.0, 9.4, 49.0)


def frame(crs=4326):
    x = np.linspace(9, 10, 500)
    rows = gpd.GeoDataFrame(
        {"id": np.arange(500) + 2**53, "name": [f"n{number}" for number in range(500)]},
        geometry=gpd.points_from_xy(x, 48 + 0 * x),
        crs=4326,
    )
    return rows.to_crs(crs)


def geopandas_1_0(rows, path):
    rows.to_parquet(path, schema_version="1.0.0", row_group_size=100)


def geopandas_1_1(rows, path):
    rows.to_parquet(path, write_covering_bbox=True, row_group_size=100)


def geopandas_native(rows, path):
    rows.to_parquet(path, geometry_encoding="geoarrow", row_group_size=100)


def gdal(rows, path):
    pyogrio = pytest.importorskip("pyogrio")
    if pyogrio.list_drivers().get("Parquet") != "rw":
        pytest.skip("GDAL here has no driver for Parquet")
    pyogrio.write_dataframe(rows, path, driver="Parquet")


def duckdb_file(version):
    def write(rows, path):
        duckdb = pytest.importorskip("duckdb")
        connection = duckdb.connect()
        table = pa.table({"id": rows["id"], "name": rows["name"], "wkb": rows.geometry.to_wkb()})
        connection.register("rows", table)
        said = f", geoparquet_version '{version}'" if version else ""
        connection.execute(
            f"copy (select id, name, st_geomfromwkb(wkb) as geometry from rows) to '{path}' (format parquet, row_group_size 100{said})"
        )

    return write


def table_of(rows):
    return pa.table({"id": rows["id"], "name": rows["name"], "geometry": pa.array(rows.geometry.to_wkb(), pa.binary())})


def sides(rows, kind="float32"):
    bounds = rows.bounds
    names = ("minx", "miny", "maxx", "maxy")
    arrays = [pa.array(bounds[name].to_numpy()).cast(kind, safe=False) for name in names]
    return pa.StructArray.from_arrays(arrays, ["xmin", "ymin", "xmax", "ymax"])


def geo_metadata(covering=None, **more):
    column = {"encoding": "WKB", "geometry_types": ["Point"], **more}
    if covering:
        column["covering"] = {"bbox": {side: [covering, side] for side in ("xmin", "ymin", "xmax", "ymax")}}
    return {
        b"geo": json.dumps({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}).encode()
    }


def overture(rows, path):
    """As Overture does: its box is called `bbox`, first in the file, and beside nested columns."""
    table = table_of(rows)
    table = table.add_column(0, "bbox", sides(rows))
    nested = pa.array([{"primary": name, "rules": [{"at": 1.0}]} for name in rows["name"]])
    table = table.append_column("names", nested)
    pq.write_table(table.replace_schema_metadata(geo_metadata("bbox")), path, row_group_size=100, compression="zstd")


def sedona(rows, path):
    """As Sedona does: the box is called by the column, and noted."""
    table = table_of(rows).append_column("geometry_bbox", sides(rows, "float64"))
    pq.write_table(table.replace_schema_metadata(geo_metadata("geometry_bbox")), path, row_group_size=100)


def several_boxes(rows, path):
    """Two structs of four sides: the box that the metadata name, and one of something else, which stays a column."""
    table = table_of(rows).append_column("bbox", sides(rows.set_geometry(rows.translate(1))))
    table = table.append_column("geometry_bbox", sides(rows))
    pq.write_table(table.replace_schema_metadata(geo_metadata("geometry_bbox")), path, row_group_size=100)


WRITERS = {
    "GeoPandas, 1.0": geopandas_1_0, "GeoPandas, 1.1": geopandas_1_1, "GeoPandas, native points": geopandas_native,
    "GDAL": gdal, "DuckDB": duckdb_file(None), "DuckDB, V1": duckdb_file("V1"), "DuckDB, V2": duckdb_file("V2"),
    "DuckDB, both": duckdb_file("BOTH"), "DuckDB, GEOMETRY alone": duckdb_file("NONE"),
    "Overture": overture, "Sedona": sedona, "several boxes": several_boxes,
}  # fmt: skip


MAY_LACK = {"GDAL"}
"""Writers that the wheels of GDAL come without."""


@pytest.mark.parametrize(
    "writer", [pytest.param(name, marks=[pytest.mark.may_skip] if name in MAY_LACK else []) for name in WRITERS]
)
def test_a_file_of_any_writer(tmp_path, writer):
    rows = frame()
    WRITERS[writer](rows, tmp_path / "a.parquet")
    found = store.read_frame(tmp_path / "a.parquet")
    assert found["id"].tolist() == rows["id"].tolist()
    assert found.geometry.geom_equals(rows.geometry).all()
    assert found.crs == 4326
    extra = set(found.columns) - {"id", "name", "geometry"}
    assert extra == ({"bbox"} if writer == "several boxes" else {"names"} if writer == "Overture" else set())
    points = reading.open(tmp_path / "a.parquet").points(BOX)
    inside = rows.geometry.x.between(BOX[0], BOX[2])
    assert points.arrow("id").to_pylist() == rows["id"][inside].tolist()
    assert store.read_frame(tmp_path, bbox=BOX)["name"].tolist() == rows["name"][inside].tolist()


def test_files_of_several_writers_are_one_dataset(tmp_path, caplog):
    rows = frame()
    some = ("GeoPandas, 1.0", "GeoPandas, native points", "Sedona", "several boxes")
    for number, writer in enumerate(some):
        part = rows[number::4].reset_index(drop=True)
        WRITERS[writer](part, tmp_path / f"{number}.parquet")
    found = store.read_frame(tmp_path)
    assert sorted(found["id"]) == rows["id"].tolist()
    assert "'bbox' in 3" in caplog.text
    points = reading.open(tmp_path).points(BOX)
    assert sorted(points.arrow("id").to_pylist()) == rows["id"][rows.geometry.x.between(BOX[0], BOX[2])].tolist()


@pytest.mark.parametrize(
    ("writer", "groups"),
    [("GeoPandas, 1.1", {0, 1, 2}), ("Sedona", {0, 1, 2}), ("GeoPandas, native points", {0, 1, 2}), ("GeoPandas, 1.0", {0, 1, 2, 3, 4})],
)  # fmt: skip
def test_row_groups_are_left_out_by_whatever_boxes_there_are(tmp_path, writer, groups):
    WRITERS[writer](frame(), tmp_path / "a.parquet")
    file = GeoFile(tmp_path / "a.parquet")
    assert set(groups_near(file, BOX)) <= groups
    assert groups_near(file, (0, 0, 1, 1)) == []


def test_exports_of_stac_are_images(tmp_path):
    times = pd.to_datetime(np.arange(40) * 10**9, unit="s", utc=True).as_unit("us")
    items = pd.DataFrame({"id": [f"i-{number}" for number in range(40)], "datetime": times})
    images = frame().iloc[:40]
    items = gpd.GeoDataFrame(
        items.assign(stac_version="1.0.0", collection="c", license="CC-BY-SA-4.0"),
        geometry=list(images.geometry),
        crs=4326,
    )
    for number in range(2):
        items[number::2].to_parquet(tmp_path / f"{number}.parquet")
    found = store.read_frame(tmp_path, frame="images")
    assert sorted(found["id"]) == sorted(items["id"])
    assert {"captured_at", "is_pano"} <= set(found.columns)
    points = reading.open(tmp_path).points()
    assert sorted(points.arrow("id").to_pylist()) == sorted(items["id"])
