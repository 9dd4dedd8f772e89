"""Shapefiles of which a file is missing or cut off: said or refused by every reader, and never guessed."""

from __future__ import annotations

import geopandas as gpd
import pytest
from shapely import LineString, Point, box

import mlygeo
from mlygeo.errors import CrsError, FrameError, InputError, MlygeoError
from mlygeo.store import long_layers

KINDS = {
    "points": [Point(9.165, 48.77), Point(9.17, 48.775)],
    "lines": [LineString([(9.165, 48.77), (9.17, 48.775)])],
    "areas": [box(9.16, 48.76, 9.18, 48.78)],
}


@pytest.fixture
def without(tmp_path):
    """A function that writes shapefiles without one of their files."""

    def write(ending):
        for name, shapes in KINDS.items():
            frame = gpd.GeoDataFrame({"id": range(1, len(shapes) + 1)}, geometry=shapes, crs=4326)
            frame.to_file(tmp_path / f"{name}.shp")
            (tmp_path / f"{name}{ending}").unlink()
        return tmp_path

    return write


def long(path, folder):
    (folder / "copy").mkdir()
    found = long_layers.LongLayer.of(path, None, folder / "copy")
    return next(iter(found.frames()))


def verbs(folder, images):
    points, lines, areas = (folder / f"{name}.shp" for name in KINDS)
    few = images.iloc[:3]
    return {
        "points": lambda: mlygeo.select(points=points, images=few),
        "images": lambda: mlygeo.select(points=few[["geometry"]], images=points),
        "region": lambda: mlygeo.select(areas, points=few[["geometry"]], images=few),
        "towards": lambda: mlygeo.select(towards=areas, images=few, field_of_view=90),
        "streets": lambda: mlygeo.streets(streets=lines),
        "coverage": lambda: mlygeo.coverage(streets=lines, images=few),
        "partition": lambda: mlygeo.partition(points, folder / "parts"),
        "plot": lambda: mlygeo.plot(points),
        "tracks": lambda: long(points, folder).to_crs(4326),
    }


def test_without_places_in_the_file_nothing_is_read(without, images):
    folder = without(".shx")
    for read in (*verbs(folder, images).values(), lambda: mlygeo.read_frame(folder / "points.shp")):
        with pytest.raises(MlygeoError, match=r"cannot be read without \w+\.shx beside it"):
            read()


def test_without_a_crs_nothing_is_guessed(without, images):
    folder = without(".prj")
    readers = verbs(folder, images)
    assert long(folder / "points.shp", folder).crs is None
    del readers["tracks"]
    for read in readers.values():
        with pytest.raises(MlygeoError, match="no CRS") as raised:
            read()
        assert "srid=25832" in raised.value.hint
    with pytest.raises(FrameError, match="no CRS"):
        mlygeo.convert(folder / "points.shp", folder / "points.geojson")


def test_the_crs_is_named(without):
    path = without(".prj") / "points.shp"
    frame = mlygeo.read_frame(path, srid=4326)
    assert (frame.crs, frame["id"].tolist()) == ("EPSG:4326", [1, 2])
    assert mlygeo.read_frame(path, srid=4326, bbox=(9.169, 48.7, 9.2, 48.8))["id"].tolist() == [2]
    assert len(mlygeo.read_frame(path, srid=25832, bbox=(9.169, 48.7, 9.2, 48.8))) == 0
    mlygeo.convert(path, path.with_name("points.parquet"), srid=25832)
    assert mlygeo.read_frame(path.with_name("points.parquet")).crs == "EPSG:25832"
    mlygeo.read_frame(path).to_parquet(path.with_name("nowhere.parquet"))
    assert mlygeo.read_frame(path.with_name("nowhere.parquet"), srid=4326)["id"].tolist() == [1, 2]


def test_of_a_file_that_tells_its_crs_none_is_named(without):
    path = without(".dbf") / "points.shp"
    with pytest.raises(InputError, match=r"points\.shp is in EPSG:4326"):
        mlygeo.read_frame(path, srid=4326)


@pytest.mark.parametrize("name", ["rows.csv", "points.shp"])
def test_a_crs_that_there_is_not_is_refused(without, name):
    folder = without(".prj")
    (folder / "rows.csv").write_text("lon,lat\n9,48\n")
    with pytest.raises(CrsError, match="`srid` is 99999, and there is no such CRS"):
        mlygeo.read_frame(folder / name, srid=99999)


def test_without_columns_it_is_said(without, images, caplog):
    folder = without(".dbf")
    for name, read in verbs(folder, images).items():
        caplog.clear()
        if name == "images":
            with pytest.raises(FrameError, match="no column 'id'"):
                read()
        else:
            read()
        assert "its rows have no columns, for there is no" in caplog.text, name


@pytest.mark.parametrize("ending", [".shp", ".shx", ".dbf"])
@pytest.mark.parametrize("bytes_lost", [2, 8])
def test_a_file_that_is_cut_off_is_refused(tmp_path, images, ending, bytes_lost):
    for name, shapes in KINDS.items():
        frame = gpd.GeoDataFrame({"id": range(1, len(shapes) + 1)}, geometry=shapes, crs=4326)
        frame.to_file(tmp_path / f"{name}.shp")
        assert len(mlygeo.read_frame(tmp_path / f"{name}.shp")) == len(shapes)
        cut = tmp_path / f"{name}{ending}"
        cut.write_bytes(cut.read_bytes()[:-bytes_lost])
    for read in (*verbs(tmp_path, images).values(), lambda: mlygeo.read_frame(tmp_path / "points.shp")):
        with pytest.raises(MlygeoError, match=rf"\w+\{ending} is cut off: it has [\d,]+( of [\d,]+)? bytes"):
            read()


def test_files_of_two_shapefiles_are_refused(tmp_path):
    for name, rows in (("two", 2), ("three", 3)):
        gpd.GeoDataFrame({"id": range(rows)}, geometry=[Point(9, 48)] * rows, crs=4326).to_file(
            tmp_path / f"{name}.shp"
        )
    (tmp_path / "two.dbf").replace(tmp_path / "three.dbf")
    with pytest.raises(MlygeoError, match=r"three\.shp has 3 shapes, and three\.dbf 2 rows"):
        mlygeo.read_frame(tmp_path / "three.shp")
