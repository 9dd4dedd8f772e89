"""Tables of PostGIS: every column comes back as it was, or is refused and the old table stays."""

from __future__ import annotations

import socket
import time

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from helpers import postgis_server
from helpers.odd_columns import ODD, ODDER, PLACES, frame_with, objects
from helpers.small_frames import images_frame, streets_frame

import mlygeo
from mlygeo.errors import FileError, FormatError, FrameError
from mlygeo.store import postgis

database = postgis_server.database
MAY_BE_REFUSED = {*ODDER, "bytes", "clock", "spans as objects", "periods", "intervals", "text as string", "ordered",
                  "categories", "categories of numbers", "times as objects", "arrow lists"}  # fmt: skip


def back_from(frame, url):
    mlygeo.write_frame(frame, url)
    return mlygeo.read_frame(url)


@pytest.mark.parametrize("kind", [*ODD, *ODDER])
def test_a_column_comes_back_or_is_refused_and_the_old_table_stays(database, kind):
    url = f"{database}?table=odd"
    old = frame_with(["old"] * 3)
    mlygeo.write_frame(old, url)
    frame = frame_with({**ODD, **ODDER}[kind])
    try:
        mlygeo.write_frame(frame, url)
    except FrameError as error:
        assert kind in MAY_BE_REFUSED, error  # noqa: PT017
        assert "odd" in str(error)  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017
        assert_geodataframe_equal(mlygeo.read_frame(url), old)
        return
    found = mlygeo.read_frame(url)
    assert found["odd"].isna().tolist() == frame["odd"].isna().tolist()
    if kind not in ODDER:
        assert_geodataframe_equal(found, frame)


def test_no_name_is_reserved(database, caplog):
    names = ["fid", "FID", "xmin", "ctid", "lon", "bbox", "", " x ", "a.b", "Käse", 'quoted "name"', "new\nline", "%s"]
    frame = gpd.GeoDataFrame({name: [n, n + 1] for n, name in enumerate(names)}, geometry=PLACES[:2], crs=4326)
    url = f"{database}?table=names"
    assert_geodataframe_equal(back_from(frame, url), frame)
    assert "column 'fid' as 'fid_1'" in caplog.text
    for name in filter(None, names):
        assert_geodataframe_equal(mlygeo.read_frame(url, columns=[name]), frame[[name, "geometry"]])
    with pytest.raises(FrameError, match="no column fid_1"):
        mlygeo.read_frame(url, columns=["fid_1"])
    assert_geodataframe_equal(mlygeo.read_frame(url, columns=["geometry"]), frame[["geometry"]])


@pytest.mark.parametrize("name", ["geom", "xmin", "Käse", "fid"])
def test_geometry_may_have_any_name_and_place(database, name):
    frame = gpd.GeoDataFrame({name: PLACES, "a": [1, 2, 3]}, geometry=name, crs=25832)
    frame["second"] = gpd.GeoSeries([None, shapely.Point(), PLACES[0]], crs=4326)
    found = back_from(frame, f"{database}?table=names")
    assert found.active_geometry_name == name
    assert_geodataframe_equal(found, frame)


@pytest.mark.parametrize(
    "shapes",
    [
        [None, shapely.Point(), shapely.Point(1, 2)],
        [shapely.Point(1, 2, 3), shapely.Point(1, 2)],
        [shapely.Point(1, 2, 3), None],
        [shapely.box(0, 0, 1, 1), shapely.Point(1, 2), shapely.GeometryCollection()],
        [shapely.LineString(), shapely.LineString([(0, 0), (1, 1)])],
        [None],
        [],
    ],
)
def test_any_geometry_comes_back(database, shapes):
    frame = gpd.GeoDataFrame({"id": np.arange(len(shapes))}, geometry=gpd.GeoSeries(shapes, crs=25832))
    assert_geodataframe_equal(back_from(frame, f"{database}?table=shapes"), frame)


@pytest.mark.parametrize("crs", [4326, 25832])
@pytest.mark.parametrize(
    "box",
    [(9.175, 48.7, 9.5, 48.8), (179.5, -1, -179.5, 1), (-180, -90, 180, 90), (9, 48.785, 9.185, 48.8), (0, 0, 1, 1)],
)
def test_a_box_means_what_it_means_in_files(database, tmp_path, crs, box):
    shapes = [
        *PLACES,
        shapely.Point(9.18, 48.78),
        None,
        shapely.Point(),
        shapely.LineString([(9.17, 48.79), (9.19, 48.77)]),
    ]
    if crs == 4326:
        shapes += [shapely.Point(179.9, 0), shapely.Point(-179.9, 0)]
    for some in (shapes, [shape for shape in shapes if shape is None or shape.geom_type == "Point"]):
        frame = gpd.GeoDataFrame({"id": np.arange(len(some))}, geometry=gpd.GeoSeries(some, crs=4326).to_crs(crs))
        url = f"{database}?table=boxes"
        mlygeo.write_frame(frame, url)
        path = mlygeo.write_frame(frame, tmp_path / "x.parquet")
        assert_geodataframe_equal(mlygeo.read_frame(url, bbox=box), mlygeo.read_frame(path, bbox=box))


def test_tables_of_other_programs(database):
    import psycopg

    with psycopg.connect(database) as connection:
        connection.execute("DROP TABLE IF EXISTS other")
        connection.execute(
            "CREATE TABLE other AS SELECT 1 AS fid, 'a' AS name, ST_Point(9, 48, 4326)::geography AS place,"
            " ST_Point(155000, 463000, 28992) AS second"
        )
        connection.execute("DROP TABLE IF EXISTS mixed")
        connection.execute(
            "CREATE TABLE mixed AS SELECT ST_Point(1, 2, 4326) AS g UNION ALL SELECT ST_Point(1, 2, 25832)"
        )
        connection.execute("DROP TABLE IF EXISTS unknown")
        connection.execute("CREATE TABLE unknown AS SELECT ST_SetSRID(ST_MakePoint(1, 2), 990000) AS g")
    frame = mlygeo.read_frame(f"{database}?table=other")
    assert frame.active_geometry_name == "place"
    assert frame.crs == 4326
    assert frame["second"].crs == 28992
    assert frame["fid"].tolist() == [1]
    assert len(mlygeo.read_frame(f"{database}?table=other", bbox=(8, 47, 10, 49))) == 1
    with pytest.raises(FormatError, match="several SRIDs: 4326, 25832"):
        mlygeo.read_frame(f"{database}?table=mixed")
    with pytest.raises(FormatError, match="unknown SRID 990000"):
        mlygeo.read_frame(f"{database}?table=unknown")
    with pytest.raises(FileError, match="did not write"):
        mlygeo.write_frame(frame, f"{database}?table=other")


def test_a_table_that_another_program_changed_is_read_as_it_is(database):
    import psycopg

    url = f"{database}?table=changed"
    mlygeo.write_frame(frame_with(pd.Categorical(["a", "b", None])), url)
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE changed RENAME COLUMN odd TO other")
    assert mlygeo.read_frame(url)["other"].dropna().tolist() == ["a", "b"]


def test_zero_bytes_are_refused_by_name(database):
    with pytest.raises(FrameError, match=r"'odd'.*zero byte"):
        mlygeo.write_frame(frame_with(objects("a\0", None, "b")), f"{database}?table=odd")


@pytest.fixture
def silent():
    """The address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"postgresql://someone:secret@127.0.0.1:{listener.getsockname()[1]}/x?table=y"


def test_a_database_that_does_not_answer_is_not_waited_for(silent, monkeypatch):
    """Psycopg itself waits for 130 seconds."""
    pytest.importorskip("psycopg")
    monkeypatch.setattr(postgis, "CONNECT_S", 2)
    frame = images_frame()
    calls = [
        lambda: mlygeo.select(points=silent, images=frame),
        lambda: mlygeo.read_frame(silent),
        lambda: mlygeo.write_frame(frame, silent),
        lambda: mlygeo.street_coverage(streets_frame(), silent),
    ]
    for call in calls:
        began = time.monotonic()
        with pytest.raises(FileError, match=r"the database did not answer at 127\.0\.0\.1") as caught:
            call()
        assert time.monotonic() - began < 20
        assert "connect_timeout" in caught.value.hint
        assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_the_address_says_how_long_to_wait(silent, monkeypatch):
    pytest.importorskip("psycopg")
    monkeypatch.setattr(postgis, "CONNECT_S", 600)
    with pytest.raises(FileError, match="did not answer"):
        mlygeo.read_frame(f"{silent}&connect_timeout=2")
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "2")
    with pytest.raises(FileError, match="did not answer"):
        mlygeo.read_frame(silent)
