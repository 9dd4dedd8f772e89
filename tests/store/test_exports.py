"""Every frame goes into every format and comes back: ids, times, CRS, rows. PostGIS is a real server."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from helpers import postgis_server
from helpers.installed import needs

import mlygeo
from mlygeo import frames
from mlygeo.errors import FileError, FormatError, FrameError, InputError
from mlygeo.store import postgis

database = postgis_server.database
BEYOND_FLOATS = 2**53 + 1
NANOMETRES = 1e-13
"""Degrees, eleven of them. GeoJSON is written with 15 digits."""
FILES = ("parquet", "gpkg", "geojson", "fgb", "csv", "sqlite")
TO_THE_MILLISECOND = {"gpkg", "geojson", "fgb", "sqlite"}
"""What GDAL's own times hold; our tracks know microseconds."""


def frame_of(schema: frames.Schema, rows: int = 6) -> gpd.GeoDataFrame:
    """A frame with all columns of a schema, and the values that formats like to spoil."""
    place = np.random.default_rng(7).uniform((-180, -85), (180, 85), (rows, 2))
    columns = {}
    for column in schema.columns:
        if column.dtype in {"int64", "Int64"}:
            values = [BEYOND_FLOATS + 2 * n for n in range(rows)]
            values = [*values[:-1], None] if column.dtype == "Int64" else values
        elif column.dtype == "float64":
            values = [0.1 + 0.2, 359.9999999999999, -1e-12, 1234.5678901234567, 0.0, np.nan][:rows]
        elif column.dtype == "bool":
            values = [n % 2 == 0 for n in range(rows)]
        elif column.dtype == "str":
            values = ["Königstraße", 'a "quoted" word', "comma, and; more", "two\nlines", "007", None][:rows]
        else:
            odd = ["2024-06-09T23:59:59.999Z", "1969-12-31T23:59:59.001Z", "2016-12-31T12:00:00Z"]
            values = [odd[n % 3] for n in range(rows - 1)] + [None if schema.name == "local_images" else odd[0]]
            values = pd.to_datetime(pd.Series(values, dtype="str"), format="ISO8601", utc=True)
            if "[us" in column.dtype:
                values = values.dt.as_unit("us") + pd.Timedelta(123, "us")
        columns[column.name] = pd.Series(values).astype(column.dtype)
    shape = shapely.points(place)
    if schema.geometry == "LineString":
        shape = shapely.linestrings(np.stack([place, place + 0.001, place + np.array([0.002, 0.1 + 0.2])], axis=1))
    return gpd.GeoDataFrame(columns, geometry=shape, crs=frames.CRS)


def table(database: str, name: str) -> str:
    return f"{database}?table={name}"


@pytest.mark.parametrize("name", sorted(frames.SCHEMAS))
@pytest.mark.parametrize("ending", FILES)
def test_every_frame_comes_back_from_files(tmp_path, name, ending):
    schema = frames.SCHEMAS[name]
    frame = frame_of(schema)
    found = mlygeo.read_frame(mlygeo.write_frame(frame, tmp_path / f"{name}.{ending}"), frame=name)
    if ending in TO_THE_MILLISECOND:
        for column in frame.columns[frame.dtypes.astype("str") == "datetime64[us, UTC]"]:
            assert ((found[column] - frame[column]).abs() <= pd.Timedelta(500, "us")).all()
            found[column] = frame[column]
    if ending == "geojson":
        shapes = np.asarray(frame.geometry)
        assert shapely.equals_exact(np.asarray(found.geometry), shapes, tolerance=NANOMETRES).all()
        found = found.set_geometry(frame.geometry.set_crs(found.crs))
    assert_geodataframe_equal(found[frame.columns], frame, check_crs=True)


@pytest.mark.parametrize("name", sorted(frames.SCHEMAS))
def test_every_frame_comes_back_from_postgis(database, name):
    schema = frames.SCHEMAS[name]
    frame = frames.attribute(frame_of(schema), frames.MAPILLARY, positions="original")
    url = table(database, f"street_level.{name}")
    assert mlygeo.write_frame(frame, url) == url
    found = mlygeo.read_frame(url, frame=name)
    assert_geodataframe_equal(found[frame.columns], frame, check_crs=True)
    # Without a schema it is the same: the table knows its dtypes and attributes.
    plain = mlygeo.read_frame(url)
    assert plain.attrs == frame.attrs
    assert_geodataframe_equal(plain[frame.columns], frame, check_crs=True)


@pytest.mark.parametrize("kind", ["streets", "points", "images", "selection", "sequences", "coverage", "gaps", "areas"])
@pytest.mark.parametrize("ending", [*FILES, "postgis"])
def test_real_frames_come_back(request, every_frame, tmp_path, kind, ending):
    frame = every_frame[kind].reset_index(drop=True)
    if ending == "postgis":
        place = table(request.getfixturevalue("database"), f"real_{kind}")
    else:
        place = str(tmp_path / f"{kind}.{ending}")
    mlygeo.write_frame(frame, place)
    found = mlygeo.read_frame(place)
    assert len(found) == len(frame)
    assert found.crs.equals(frame.crs)
    tolerance = NANOMETRES if ending == "geojson" else 0
    assert shapely.equals_exact(np.asarray(found.geometry), np.asarray(frame.geometry), tolerance=tolerance).all()
    for name in set(frame.columns) & {*frames.IDS, "images", "rank"}:
        assert found[name].astype("str").tolist() == frame[name].astype("str").tolist(), name


def test_a_table_opens_in_other_programs(database, every_frame, tmp_path):
    """GDAL sees points, a primary key, an index; and geometry's SRID is the frame's."""
    import psycopg

    mlygeo.write_frame(every_frame["selection"], table(database, "seen"))
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "SELECT type, srid, coord_dimension FROM geometry_columns WHERE f_table_name = 'seen'"
        ).fetchone()
        assert row == ("POINT", 4326, 2)
        indexes = [kind for (kind,) in connection.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'seen'")]
        assert any("gist" in index for index in indexes)
        assert any("UNIQUE" in index and "fid" in index for index in indexes)
        nearest = connection.execute("SELECT min(id), max(id), count(*), sum(distance_m) FROM seen").fetchone()
    selection = every_frame["selection"]
    assert nearest[:3] == (selection["id"].min(), selection["id"].max(), len(selection))
    assert nearest[3] == pytest.approx(selection["distance_m"].sum())
    if shutil.which("ogr2ogr"):
        out = tmp_path / "seen.gpkg"
        subprocess.run(["ogr2ogr", str(out), f"PG:{database}", "seen"], check=True, capture_output=True)
        assert mlygeo.read_frame(out)["id"].tolist() == selection["id"].tolist()


def test_reading_a_part(database, every_frame):
    images = every_frame["images"]
    url = table(database, "parts")
    mlygeo.write_frame(images, url)
    west, south, east, north = images.total_bounds
    box = (west, south, (west + east) / 2, (south + north) / 2)
    found = mlygeo.read_frame(url, bbox=box, columns=["id"])
    wanted = images.cx[box[0] : box[2], box[1] : box[3]]
    assert found["id"].tolist() == wanted["id"].tolist()
    assert list(found.columns) == ["id", "geometry"]
    with pytest.raises(FrameError, match="no column wrong"):
        mlygeo.read_frame(url, columns=["wrong"])


def test_tables_and_views_of_others_are_read_and_left_alone(database, every_frame):
    import psycopg

    images = every_frame["images"]
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE TABLE schools (name varchar(80), pupils int, built date, geom geometry(Point, 25832))"
        )
        connection.execute(
            "INSERT INTO schools SELECT 'a', NULL, '1999-12-31', ST_Transform(ST_SetSRID(ST_MakePoint(9.17, 48.77), 4326), 25832)"
        )
        connection.execute("CREATE VIEW near AS SELECT * FROM schools")
    for name in ("schools", "near"):
        found = mlygeo.read_frame(table(database, name), bbox=(9.16, 48.76, 9.18, 48.78))
        assert found.crs.to_epsg() == 25832
        assert found["name"].tolist() == ["a"]
        assert str(found["pupils"].dtype) == "Int64"
        assert found["built"].iloc[0] == pd.Timestamp("1999-12-31")
        with pytest.raises(FileError, match="did not write"):
            mlygeo.write_frame(images, table(database, name))
    assert len(mlygeo.read_frame(table(database, "schools"))) == 1


def test_a_failed_write_leaves_the_old_table(database, every_frame, monkeypatch):
    url = table(database, "kept")
    mlygeo.write_frame(every_frame["points"], url)

    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(postgis, "_copy_in", broken)
    with pytest.raises(KeyboardInterrupt):
        mlygeo.write_frame(every_frame["images"], url)
    assert len(mlygeo.read_frame(url)) == len(every_frame["points"])


def test_writing_again_replaces(database, every_frame):
    url = table(database, "again")
    for kind in ("images", "streets"):
        mlygeo.write_frame(every_frame[kind], url)
        assert len(mlygeo.read_frame(url)) == len(every_frame[kind])


def test_empty_frames_and_missing_geometry(database):
    for name, schema in frames.SCHEMAS.items():
        url = table(database, f"empty_{name}")
        mlygeo.write_frame(frames.empty(schema), url)
        found = mlygeo.read_frame(url, frame=name)
        assert len(found) == 0
        assert found.crs.to_epsg() == 4326
    frame = frame_of(frames.POINTS)
    frame.loc[2, "geometry"] = None
    mlygeo.write_frame(frame, table(database, "gaps"))
    assert mlygeo.read_frame(table(database, "gaps")).geometry.isna().tolist() == [n == 2 for n in range(6)]


def test_a_password_is_never_shown(database, every_frame, caplog):
    caplog.set_level("DEBUG", logger="mlygeo")
    shown = []
    for url, expected in (
        (table(database, "missing"), FileError),
        (table(database.replace("/postgres", "/elsewhere"), "x"), FileError),
        (table(database.replace("127.0.0.1", "127.0.0.2"), "x"), FileError),
        (database, InputError),
        (f"{database}?table=", InputError),
        (f"{database}?table={'x' * 64}", InputError),
    ):
        with pytest.raises(expected) as raised:
            mlygeo.read_frame(url)
        assert raised.value.__cause__ is None
        shown += [str(raised.value), str(raised.value.hint)]
    wrong = table(re.sub(r":[^:@]+@", ":another%20secret@", database), "x")
    with pytest.raises(FileError, match="could not be reached") as raised:
        mlygeo.write_frame(every_frame["points"], wrong)
    shown += [str(raised.value), repr(postgis.table_of(wrong)), caplog.text]
    mlygeo.write_frame(every_frame["points"], table(database, "logged"))
    for text in (*shown, caplog.text):
        assert "another" not in text
        assert "no one" not in text
        assert "no%20one" not in text


@needs("postgis")
@pytest.mark.parametrize("said", ["&connect_timeout=2", ""])
def test_a_database_that_never_answers_is_left_soon(monkeypatch, said):
    """The user's limit for it counts; without one, ours does, instead of the two minutes of libpq."""
    if not said:
        monkeypatch.setenv("PGCONNECT_TIMEOUT", "2")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(FileError, match=r"did not answer at 127\.0\.0\.1"):
            mlygeo.read_frame(f"postgresql://127.0.0.1:{silent.getsockname()[1]}/x?table=y{said}")
        assert time.monotonic() - began < 10


def test_what_cannot_be_a_table(database, every_frame):
    points = every_frame["points"]
    with pytest.raises(FrameError, match="no CRS"):
        mlygeo.write_frame(points.set_crs(None, allow_override=True), table(database, "x"))
    with pytest.raises(FrameError, match="longer: " + "ü" * 32):
        mlygeo.write_frame(points.assign(**{"ü" * 32: 1}), table(database, "x"))
    with pytest.raises(FormatError, match="no geometry"):
        mlygeo.read_frame(table(database, "pg_catalog.pg_class"))


def test_names_are_names_and_no_commands(database, every_frame):
    name = 'x"; DROP TABLE images; --'
    frame = every_frame["points"].assign(**{name: 1})
    mlygeo.write_frame(frame, f"{database}?table={name}".replace(";", "%3B").replace(" ", "%20").replace('"', "%22"))
    found = mlygeo.read_frame(f"{database}?table={name}".replace(";", "%3B").replace(" ", "%20").replace('"', "%22"))
    assert name in found.columns
    assert len(found) == len(frame)


def test_without_psycopg_the_message_names_the_extra(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(mlygeo.errors.DependencyError, match="psycopg") as raised:
        mlygeo.read_frame("postgresql:///x?table=y")
    assert "install" in raised.value.hint
    assert "psycopg" in raised.value.hint or "postgis" in raised.value.hint


@pytest.mark.parametrize("ending", ["gpkg", "fgb", "sqlite"])
@pytest.mark.parametrize("kind", sorted(frames.SCHEMAS))
def test_a_frame_without_rows_tells_crs_and_kind_of_geometry(tmp_path, kind, ending):
    """Else QGIS opens it as a table without geometry."""
    schema = frames.SCHEMAS[kind]
    for name, frame in (("empty", frames.empty(schema)), ("plain", frames.empty(schema)[["geometry"]])):
        path = tmp_path / f"{name}.{ending}"
        mlygeo.write_frame(frame, path)
        info = pyogrio.read_info(path)
        assert info["crs"] == "EPSG:4326"
        assert info["geometry_type"] == ("Unknown" if name == "plain" else schema.geometry)
        assert mlygeo.read_frame(path).columns.tolist() == frame.columns.tolist()


def test_shapes_tell_their_kind_even_if_columns_say_another(tmp_path):
    frame = gpd.GeoDataFrame({"point_id": [1]}, geometry=gpd.GeoSeries.from_wkt(["LINESTRING (9 48, 9 49)"]), crs=4326)
    mlygeo.write_frame(frame, tmp_path / "lines.gpkg")
    assert pyogrio.read_info(tmp_path / "lines.gpkg")["geometry_type"] == "LineString"
