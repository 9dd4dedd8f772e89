import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal

from mlygeo import frames, store
from mlygeo.errors import FileError, FormatError, FrameError
from mlygeo.store.parquet import encodings
from mlygeo.store.point_sources import PointFile
from mlygeo.store.points import SomeOf, open_points

BEYOND_FLOATS = 26858300993768843
FORMATS = [".parquet", ".geojson", ".json", ".geojsonl", ".gpkg", ".fgb", ".sqlite", ".csv", ".tsv"]


@pytest.fixture(params=FORMATS)
def ending(request):
    return request.param


@pytest.fixture
def odd_images(images):
    """Images with ids beyond 2^53, gaps, and text that formats stumble over."""
    few = images.head(50).copy()
    few.loc[3, "id"] = BEYOND_FLOATS
    few.loc[5, "organization_id"] = BEYOND_FLOATS
    few.loc[7, "creator_id"] = pd.NA
    few.loc[9, "compass_angle"] = np.nan
    few["note"] = ['Käse, "quoted"\nline', *["x"] * 49]
    return few


def test_a_round_trip_keeps_ids_dtypes_order_and_crs(tmp_path, odd_images, ending):
    path = store.write_frame(odd_images, tmp_path / f"images{ending}")
    back = store.read_frame(path, frame="images")
    assert back["id"].tolist() == odd_images["id"].tolist()
    assert back["organization_id"].equals(odd_images["organization_id"])
    assert_geodataframe_equal(back[odd_images.columns], odd_images)


def test_ids_are_whole_numbers_without_a_schema(tmp_path, odd_images, ending):
    back = store.read_frame(store.write_frame(odd_images, tmp_path / f"images{ending}"))
    assert back["id"].tolist() == odd_images["id"].tolist()
    assert back["organization_id"].dropna().tolist() == [BEYOND_FLOATS]


def test_lines_survive(tmp_path, edges, ending):
    back = (
        store.read_frame(store.write_frame(edges, tmp_path / f"streets{ending}"))
        if ending not in {".csv", ".tsv"}
        else None
    )
    if back is not None:
        assert shapely.equals_exact(np.asarray(back.geometry), np.asarray(edges.geometry), 1e-12).all()
        assert back.crs == edges.crs


def test_other_crs(tmp_path, images, ending):
    local = images.to_crs(25832)
    back = store.read_frame(store.write_frame(local, tmp_path / f"x{ending}"), frame="images")
    assert back.crs == frames.CRS
    assert np.abs(back.geometry.x - images.geometry.x).max() < 1e-8
    assert np.abs(back.geometry.y - images.geometry.y).max() < 1e-8


def test_empty_frames(tmp_path):
    for ending in (".parquet", ".gpkg", ".csv", ".geojson"):
        back = store.read_frame(store.write_frame(frames.empty(frames.STREET_POINTS), tmp_path / f"x{ending}"))
        assert len(back) == 0


def test_geojson_ids_are_text(tmp_path, odd_images):
    content = json.loads(store.write_frame(odd_images, tmp_path / "x.geojson").read_text())
    assert content["features"][3]["properties"]["id"] == str(BEYOND_FLOATS)


def test_geoparquet_opens_in_geopandas(tmp_path, odd_images):
    path = store.write_frame(odd_images, tmp_path / "x.parquet")
    assert_geodataframe_equal(gpd.read_parquet(path)[odd_images.columns], odd_images)
    box = (9.16, 48.76, 9.17, 48.77)
    assert len(gpd.read_parquet(path, bbox=box)) == odd_images.geometry.intersects(shapely.box(*box)).sum()


def test_geoparquet_opens_in_duckdb(tmp_path, odd_images):
    duckdb = pytest.importorskip("duckdb")
    extension = pytest.importorskip("duckdb_extension_spatial")
    path = store.write_frame(odd_images, tmp_path / "x.parquet")
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    binary = next(file for folder in extension.__path__ for file in _walk(folder) if file.endswith(".duckdb_extension"))
    connection.execute(f"LOAD '{binary}'")
    rows = connection.execute(f"SELECT id, ST_X(geometry), bbox.xmin FROM '{path}' ORDER BY id").fetchall()
    expected = odd_images.sort_values("id")
    assert [row[0] for row in rows] == expected["id"].tolist()
    assert np.allclose([row[1] for row in rows], expected.geometry.x)
    assert all(row[2] <= row[1] for row in rows)


def _walk(folder):
    return [str(path) for path in Path(folder).rglob("*")]


def test_geoparquet_metadata_follow_the_specification(tmp_path, images, edges):
    geo = json.loads(pq.ParquetFile(store.write_frame(images, tmp_path / "a.parquet")).schema_arrow.metadata[b"geo"])
    column = geo["columns"]["geometry"]
    assert geo["version"] == "1.1.0"
    assert column["encoding"] == "WKB"
    assert column["geometry_types"] == ["Point"]
    assert column["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    assert column["crs"]["id"] == {"authority": "EPSG", "code": 4326}
    assert np.allclose(column["bbox"], images.total_bounds)
    lines = json.loads(pq.ParquetFile(store.write_frame(edges, tmp_path / "b.parquet")).schema_arrow.metadata[b"geo"])
    assert lines["columns"]["geometry"]["geometry_types"] == ["LineString"]


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A file of several row groups."""
    random = np.random.default_rng(1)
    lon, lat = random.uniform(4, 5, 350_000), random.uniform(52, 53, 350_000)
    frame = gpd.GeoDataFrame({"id": np.arange(350_000)}, geometry=gpd.points_from_xy(lon, lat, crs=4326))
    return frame, store.write_frame(frame, tmp_path_factory.mktemp("many") / "many.parquet")


def test_large_files_are_spatially_sorted_and_read_in_parts(many):
    frame, path = many
    file = pq.ParquetFile(path)
    assert file.num_row_groups == 4
    spans = []
    for group in range(4):
        columns = {file.metadata.row_group(group).column(i).path_in_schema: i for i in range(file.metadata.num_columns)}
        low, high = (
            file.metadata.row_group(group).column(columns[f"bbox.{side}"]).statistics for side in ("ymin", "ymax")
        )
        spans.append(high.max - low.min)
    assert min(spans) < 0.6, "a row group covers a part of the area"
    box = (4.1, 52.1, 4.12, 52.12)
    found = store.read_frame(path, bbox=box, columns=["id"])
    inside = frame.cx[box[0] : box[2], box[1] : box[3]]
    assert sorted(found["id"]) == sorted(inside["id"])


def test_a_box_read_leaves_other_row_groups_alone(many, monkeypatch):
    _, path = many
    read = []
    whole = pq.ParquetFile.read_row_groups
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_groups", lambda self, groups, **k: read.append(groups) or whole(self, groups, **k)
    )
    store.read_frame(path, bbox=(4.1, 52.1, 4.12, 52.12))
    assert len(read[0]) < 4


def test_point_files_give_chosen_rows(many):
    frame, path = many
    file = PointFile(path)
    lon, lat = file.lonlat
    ids = file.arrow("id").to_numpy()
    assert np.array_equal(lon, frame.geometry.x.to_numpy()[ids])
    assert np.array_equal(lat, frame.geometry.y.to_numpy()[ids])
    rows = np.random.default_rng(2).integers(0, len(file), 1000)
    assert np.array_equal(file.take(rows)["id"].to_numpy(), ids[rows])


def test_point_files_of_other_writers(tmp_path, images):
    images.to_crs(28992).to_parquet(tmp_path / "rd.parquet")
    images.to_parquet(tmp_path / "native.parquet", geometry_encoding="geoarrow")
    for name, tolerance in (("rd", 1e-8), ("native", 0)):
        lon, lat = PointFile(tmp_path / f"{name}.parquet").lonlat
        assert np.abs(lon - images.geometry.x).max() <= tolerance
        assert np.abs(lat - images.geometry.y).max() <= tolerance
    missing = images.copy()
    missing.loc[2, "geometry"] = None
    missing.to_parquet(tmp_path / "gap.parquet")
    assert np.isnan(PointFile(tmp_path / "gap.parquet").lonlat[0]).nonzero()[0].tolist() == [2]


def test_lines_are_no_points(tmp_path, edges):
    with pytest.raises(FormatError, match="geometries other than points"):
        _ = PointFile(store.write_frame(edges, tmp_path / "x.parquet")).lonlat


def test_missing_and_empty_points(tmp_path):
    points = [shapely.Point(9, 48), shapely.Point(), None]
    for rows in ([0, 1], [0, 2], [0, 1, 2], [1], [2]):
        frame = gpd.GeoDataFrame({"id": rows}, geometry=[points[row] for row in rows], crs=4326)
        path = store.write_frame(frame, tmp_path / "x.parquet")
        back = store.read_frame(path)
        assert back.geometry.isna().tolist() == frame.geometry.isna().tolist()
        assert back.geometry.is_empty.tolist() == frame.geometry.is_empty.tolist()
        assert np.isnan(PointFile(path).lonlat[0]).tolist() == [row > 0 for row in rows]


def test_heights_are_kept(tmp_path):
    frame = gpd.GeoDataFrame({"id": [1, 2]}, geometry=[shapely.Point(9, 48, 250), shapely.Point(9, 48)], crs=4326)
    back = gpd.read_parquet(store.write_frame(frame, tmp_path / "x.parquet"))
    assert back.geometry.iloc[0].z == 250
    geo = json.loads(pq.ParquetFile(tmp_path / "x.parquet").schema_arrow.metadata[b"geo"])
    assert geo["columns"]["geometry"]["geometry_types"] == ["Point", "Point Z"]


def test_an_empty_frame_claims_no_type_of_geometry(tmp_path):
    path = store.write_frame(frames.empty(frames.STREETS), tmp_path / "x.parquet")
    assert json.loads(pq.ParquetFile(path).schema_arrow.metadata[b"geo"])["columns"]["geometry"]["geometry_types"] == []


def test_more_points_than_one_piece_of_a_column_holds(monkeypatch):
    monkeypatch.setattr(encodings, "MOST_BYTES", 100)
    x = np.arange(11.0)
    column = encodings.points_to_wkb(x, -x)
    assert column.num_chunks == 3
    assert shapely.get_y(shapely.from_wkb(column.to_pandas().to_numpy())).tolist() == (-x).tolist()


def test_attrs_survive(tmp_path, images):
    frame = frames.attribute(images.head(3).copy(), frames.MAPILLARY, positions="computed")
    back = store.read_frame(store.write_frame(frame, tmp_path / "x.parquet"))
    assert back.attrs["attribution"] == [frames.MAPILLARY]
    assert back.attrs["positions"] == "computed"


def test_a_box_across_the_antimeridian(tmp_path):
    frame = gpd.GeoDataFrame({"id": [1, 2, 3]}, geometry=gpd.points_from_xy([179.9, -179.9, 0], [0, 0, 0], crs=4326))
    path = store.write_frame(frame, tmp_path / "x.parquet")
    assert store.read_frame(path, bbox=(179, -1, -179, 1))["id"].tolist() == [1, 2]


def test_a_failed_write_leaves_the_old_file(tmp_path, images):
    path = store.write_frame(images, tmp_path / "x.parquet")
    before = path.read_bytes()
    with pytest.raises(RuntimeError), store.atomic(path) as temporary:  # noqa: PT012
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["x.parquet"]


@pytest.mark.skipif(os.name == "nt", reason="a file that is read all the time is not replaced there")
def test_a_reader_never_sees_half_a_file(tmp_path, images):
    path = store.write_frame(images, tmp_path / "x.parquet")
    stop, counts = threading.Event(), set()

    def watch():
        while not stop.is_set():
            counts.add(len(store.read_frame(path)))

    reader = threading.Thread(target=watch)
    reader.start()
    for rows in (500, 1298) * 10:
        store.write_frame(images.head(rows), path)
    stop.set()
    reader.join()
    assert counts <= {500, 1298}


def test_a_killed_write_leaves_the_old_file(tmp_path, images):
    path = store.write_frame(images.head(5), tmp_path / "x.gpkg")
    code = f"""
import time
from mlygeo import store
with store.atomic({str(path)!r} and __import__("pathlib").Path({str(path)!r})) as temporary:
    temporary.write_bytes(b"half a file")
    print("writing", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout.readline().strip() == b"writing"
    process.kill()
    process.wait()
    process.stdout.close()
    assert len(store.read_frame(path)) == 5


def test_a_full_disk_is_one_clear_line(tmp_path, images):
    path = tmp_path / "x.parquet"

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(FileError, match="the disk is full"), store.atomic(path):
        full()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.may_skip
@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small disk, which only Linux has")
def test_a_really_full_disk(tmp_path, images):
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("no permission to mount")
    try:
        (disk / "old.parquet").write_bytes(b"old")
        for name in ("old.parquet", "x.gpkg", "x.geojson", "x.csv"):
            with pytest.raises(FileError, match="disk is full"):
                store.write_frame(images, disk / name)
        assert (disk / "old.parquet").read_bytes() == b"old"
        assert [file.name for file in disk.iterdir()] == ["old.parquet"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.parquet", b"PAR1 this is none PAR1", "not a Parquet file"),
        ("x.geojson", b"{", "cannot be read"),
        ("x.gpkg", b"garbage", "cannot be read"),
        ("x.csv", b"a,b\n1,2\n", "no columns 'lon' and 'lat'"),
        ("x.csv", b"lon,lat\nabc,2\n", "not a number"),
    ],
)
def test_what_is_not_what_its_name_says(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FormatError, match=words) as caught:
        store.read_frame(tmp_path / name)
    assert name in str(caught.value)


def test_parquet_without_geometry(tmp_path):
    pd.DataFrame({"id": [1]}).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(FormatError, match="says nothing of a geometry"):
        store.read_frame(tmp_path / "x.parquet")


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(FileError, match="does not exist"):
        store.read_frame(tmp_path / "x.parquet")
    with pytest.raises(FileError, match="contains no file with a frame"):
        store.read_frame(tmp_path)


def test_unwritable_endings(tmp_path, images):
    for name in ("x.shp", "x.doc", "x"):
        with pytest.raises(FormatError):
            store.write_frame(images, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_wrong_kind_of_frame(tmp_path, edges):
    path = store.write_frame(edges, tmp_path / "x.parquet")
    with pytest.raises(FrameError, match=r"x\.parquet is not a frame of images.*'id'"):
        store.read_frame(path, frame="images")
    with pytest.raises(FrameError, match="no column wrong"):
        store.read_frame(path, columns=["wrong"])
    with pytest.raises(FrameError, match="no kind of frame"):
        store.read_frame(path, frame="pictures")


def test_csv_column_names(tmp_path):
    (tmp_path / "x.csv").write_text("Longitude,Latitude,id\n9.1,48.7,26858300993768843\n")
    frame = store.read_frame(tmp_path / "x.csv")
    assert frame["id"].tolist() == [BEYOND_FLOATS]
    assert frame.geometry.iloc[0].coords[0] == (9.1, 48.7)


def test_gpx_points(tmp_path):
    gpx = '<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><wpt lat="48.7" lon="9.1"/><wpt lat="48.8" lon="9.2"/></gpx>'
    (tmp_path / "x.gpx").write_text(gpx)
    assert store.read_frame(tmp_path / "x.gpx").geometry.x.tolist() == [9.1, 9.2]


def test_a_write_makes_its_folder_and_leaves_nothing_else(tmp_path, images):
    path = tmp_path / "new" / "folder" / "x.parquet"
    assert store.write_frame(images, path) == path
    assert path.exists()
    assert [each.name for each in path.parent.iterdir()] == ["x.parquet"]


@pytest.mark.parametrize("srid", [4326, 32648, 28992])
def test_points_have_their_coordinates_as_they_came(tmp_path, srid):
    x, y = (np.array([100.5, np.nan, 250.25]), np.array([7.5, np.nan, 8.75])) if srid == 4326 else (
        np.array([155_000.25, np.nan, 156_000.0]), np.array([463_000.0, np.nan, 464_000.125]))  # fmt: skip
    if srid == 4326:
        x = x / 2
    frame = gpd.GeoDataFrame({"id": [1, 2, 3]}, geometry=gpd.points_from_xy(x, y), crs=srid)
    frame.loc[1, "geometry"] = shapely.Point()
    for points in (
        open_points(frame, name="the points"),
        open_points(store.write_frame(frame, tmp_path / "x.parquet"), name="the points"),
    ):
        for some, rows in ((points, [0, 1, 2]), (SomeOf(points, np.array([2, 0])), [2, 0])):
            native_x, native_y, crs = some.native
            assert crs.to_epsg() == srid
            assert np.array_equal(native_x, x[rows], equal_nan=True)
            assert np.array_equal(native_y, y[rows], equal_nan=True)
            known = frame.geometry.to_crs(4326).iloc[rows]
            assert np.allclose(some.lonlat[0], frames.coordinates(np.asarray(known))[0], equal_nan=True)
