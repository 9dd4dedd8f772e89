"""A box and names of columns mean the same in every format, as filtering the whole frame does; layers have names."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo import store
from mlygeo.errors import FileError, FormatError, FrameError, InputError, RegionError
from mlygeo.store import gdal
from mlygeo.store.parquet import reading

FORMATS = (".parquet", ".gpkg", ".fgb", ".sqlite", ".geojson", ".geojsonl", ".csv")
BOXES = (
    (9.1, 48.1, 9.3, 48.3), (179.0, -20, -179.0, 20), (-179.0, -20, 179.0, 20), (170, -90, 180, 90), (-180, -90, 180, 90),
    (9.2, 48.2, 9.2, 48.2), (0, 0, 1e-9, 1e-9), (-180, -90, -170, 0), (100, 80, -100, 90),
)  # fmt: skip


def shapes(rng):
    """Points, long lines whose boxes are much larger than they are, and rows without geometry."""
    lonlat = np.stack([rng.uniform(-180, 180, 30), rng.uniform(-89, 89, 30)], axis=1)
    lonlat[:6] = [[9.2, 48.2], [179.95, -17], [-179.95, -17], [180, 0], [-180, 0], [0, 0]]
    points = shapely.points(lonlat)
    lines = [
        shapely.LineString([(9, 48), (9.4, 48.4)]),
        shapely.LineString([(-170, -10), (170, 10)]),
        None,
        shapely.Point(),
    ]
    return points, np.array([*points[:8], *lines], dtype=object)


def expected(frame, bbox):
    """Return the rows of a frame in a box, one by one."""
    west, south, east, north = bbox
    rows = []
    for row, shape in enumerate(frame.to_crs(4326).geometry):
        if shape is None or shape.is_empty:
            continue
        xmin, ymin, xmax, ymax = shape.bounds
        in_lon = xmax >= west and xmin <= east if west <= east else xmax >= west or xmin <= east
        if in_lon and ymax >= south and ymin <= north:
            rows.append(row)
    return rows


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same rows in every format: points and mixed shapes, and points in the planes of two places."""
    folder = tmp_path_factory.mktemp("parts")
    made = {}
    for ending in FORMATS:
        points, mixed = shapes(np.random.default_rng(3))
        for kind, values in (("points", points), ("mixed", mixed)):
            frame = gpd.GeoDataFrame({"n": np.arange(len(values)), "id": 7, "t": "x"}, geometry=list(values), crs=4326)
            made[ending, kind] = store.write_frame(frame, folder / f"{kind}{ending}")
        if ending in {".parquet", ".gpkg", ".fgb", ".sqlite"}:
            for srid, west, south in ((25832, 6, 45), (3832, 177, -20), (3995, -180, 60)):
                rng = np.random.default_rng(srid)
                places = np.stack([rng.uniform(west, west + 6, 40), rng.uniform(south, south + 5, 40)], axis=1)
                places[:, 0] = (places[:, 0] + 180) % 360 - 180
                starts = gpd.GeoSeries(shapely.points(places), crs=4326).to_crs(srid)
                step = 20_000 * np.ones(2)
                lines = [shapely.LineString([(p.x, p.y), (p.x + step[0], p.y + step[1])]) for p in starts]
                for kind, values in (("points", list(starts)), ("lines", lines)):
                    frame = gpd.GeoDataFrame({"n": range(40)}, geometry=values, crs=srid)
                    made[ending, f"{kind} in {srid}"] = store.write_frame(frame, folder / f"{kind}{srid}{ending}")
    return made


@pytest.mark.parametrize("ending", FORMATS)
def test_a_box_means_the_same_in_every_format(files, ending):
    for (other, kind), path in files.items():
        if other != ending:
            continue
        whole = store.read_frame(path)
        boxes = BOXES if kind in {"points", "mixed"} else (
            (6.5, 45.5, 9, 47), (8.99, 45, 9.01, 50), (179.5, -19, -179, -16), (178, -20, 180, -15), (-180, 60, -177, 64),
            (-178, 50, -174.5, 90),
        )  # fmt: skip
        for bbox in boxes:
            found = store.read_frame(path, bbox=bbox)
            assert found["n"].tolist() == whole["n"].iloc[expected(whole, bbox)].tolist(), (kind, bbox)
            assert list(found.index) == list(range(len(found)))
            assert found.crs == whole.crs


@settings(deadline=None, max_examples=40)
@given(
    west=st.floats(-180, 180), east=st.floats(-180, 180), lats=st.tuples(st.floats(-90, 90), st.floats(-90, 90)),
    ending=st.sampled_from(FORMATS), kind=st.sampled_from(["points", "mixed"]),
)  # fmt: skip
def test_any_box_is_a_filter_of_the_whole_frame(files, west, east, lats, ending, kind):
    bbox = (west, min(lats), east, max(lats))
    whole = store.read_frame(files[ending, kind])
    try:
        found = store.read_frame(files[ending, kind], bbox=bbox)
    except RegionError:
        assert west > east and west - east < 180  # noqa: PT018
        return
    assert found["n"].tolist() == whole["n"].iloc[expected(whole, bbox)].tolist()


@pytest.mark.parametrize("ending", FORMATS)
def test_columns_mean_the_same_in_every_format(files, ending):
    path = files[ending, "points"]
    for columns, names in (
        (["t", "n"], ["n", "t", "geometry"]), ("t", ["t", "geometry"]), ([], ["geometry"]), (["geometry"], ["geometry"]),
        (["geometry", "n"], ["n", "geometry"]), (("n", "n"), ["n", "geometry"]), (pd.Index(["id"]), ["id", "geometry"]),
    ):  # fmt: skip
        assert list(store.read_frame(path, columns=columns).columns) == names
        assert list(store.read_frame(path, columns=columns, bbox=BOXES[0]).columns) == names
    with pytest.raises(FrameError, match="no column wrong"):
        store.read_frame(path, columns=["n", "wrong"])
    for columns in (5, [5], [None]):
        with pytest.raises(InputError, match="`columns`"):
            store.read_frame(path, columns=columns)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(
    "bbox", [(9, 49, 10, 48), (np.nan, 0, 1, 1), (0, 0, np.inf, 1), (0, 0, 1), (0, 0, 1, 91), (-181, 0, 1, 1), "x", 5, (1, 2, 3, "x")]
)  # fmt: skip
def test_what_is_no_box_is_refused_in_every_format(files, ending, bbox):
    with pytest.raises(RegionError):
        store.read_frame(files[ending, "points"], bbox=bbox)


def test_without_a_crs_nobody_knows_what_lies_in_a_box(tmp_path):
    frame = gpd.GeoDataFrame({"n": [1]}, geometry=[shapely.Point(1, 2)])
    for ending in (".gpkg", ".fgb", ".sqlite"):
        path = store.write_frame(frame, tmp_path / f"x{ending}")
        with pytest.raises(FrameError, match="no CRS"):
            store.read_frame(path, bbox=(0, 0, 3, 3))


def two_layers(folder, name="two.gpkg"):
    points = gpd.GeoDataFrame({"n": [1]}, geometry=[shapely.Point(9, 48)], crs=4326)
    lines = gpd.GeoDataFrame({"m": [2, 3]}, geometry=[shapely.LineString([(9, 48), (9.1, 48.1)])] * 2, crs=25832)
    return store.write_layers({"points": points, "li nes:1": lines}, folder / name)


def test_layers_have_names(tmp_path):
    for name in ("two.gpkg", "two.sqlite"):
        path = two_layers(tmp_path, name)
        assert store.read_frame(f"{path}:points")["n"].tolist() == [1]
        assert store.read_frame(f"{path}:li nes:1")["m"].tolist() == [2, 3]
        assert store.read_frame(path, layer="points", columns=["n"])["n"].tolist() == [1]
        with pytest.raises(FrameError, match=r"several layers: points \(Point\), li nes:1 \(LineString\)"):
            store.read_frame(path)
        with pytest.raises(FrameError, match="no layer 'other'") as raised:
            store.read_frame(f"{path}:other")
        assert "points" in str(raised.value.hint)
        with pytest.raises(InputError, match="names 'points'"):
            store.read_frame(f"{path}:points", layer="other")
        with pytest.raises(FormatError, match="whole file"):
            store.write_frame(store.read_frame(f"{path}:points"), f"{path}:points")


def test_a_colon_is_no_layer_where_it_is_none(tmp_path):
    frame = gpd.GeoDataFrame({"n": [1]}, geometry=[shapely.Point(9, 48)], crs=4326)
    odd = store.write_frame(frame, tmp_path / "a.gpkg:b.parquet")
    assert store.parted(odd) == (odd, None)
    assert store.read_frame(odd)["n"].tolist() == [1]
    for text, parts in (
        (r"C:\x.gpkg", (r"C:\x.gpkg", None)), ("x.gpkg", ("x.gpkg", None)), ("no.gpkg:a", ("no.gpkg", "a")),
        (r"C:\no.gpkg:a", (r"C:\no.gpkg", "a")), ("C:/no.gpkg", ("C:/no.gpkg", None)), ("12:30.txt", ("12:30.txt", None)),
    ):  # fmt: skip
        file, layer = store.parted(text)
        assert (str(file), layer) == parts
    single = store.write_frame(frame, tmp_path / "x.parquet")
    for path in (single, store.write_frame(frame, tmp_path / "x.csv")):
        with pytest.raises(FrameError, match="no layers"):
            store.read_frame(f"{path}:a")
    with pytest.raises(FileError, match=r"no\.gpkg does not exist"):
        store.read_frame(tmp_path / "no.gpkg:a")


def test_what_is_no_file_is_refused_with_what_to_do(tmp_path):
    frame = gpd.GeoDataFrame({"n": [1]}, geometry=[shapely.Point(9, 48)], crs=4326)
    path = store.write_frame(frame, tmp_path / "x.parquet")
    with pytest.raises(FileError, match="is a pattern that no file matches"):
        store.read_frame(tmp_path / "*.gpkg")
    for url, told in (
        ("https://example.org/x.gpkg", "only GeoParquet is read from there"),
        ("ftp://example.org/x.parquet", "is an address"),
        ("http://example.org/x.parquet", "unencrypted"),
    ):
        with pytest.raises((FileError, InputError), match=told):
            store.read_frame(url)
        with pytest.raises(FileError, match="is an address"):
            store.write_frame(frame, url)
    for odd in ([], [path, 5], {path}):
        with pytest.raises(InputError, match="is not a path"):
            store.read_frame(odd)
    for odd in (None, 5, b"x.parquet", "", frame):
        with pytest.raises(InputError):
            store.read_frame(odd)
        with pytest.raises(InputError):
            store.write_frame(frame, odd)
    with pytest.raises(FormatError, match="pattern"):
        store.write_frame(frame, tmp_path / "*.parquet")
    (tmp_path / "y.gpkg").mkdir()
    with pytest.raises(FileError, match="is a folder"):
        store.write_frame(frame, tmp_path / "y.gpkg")
    for odd in (None, 5, "x", pd.DataFrame({"a": [1]}), gpd.GeoDataFrame({"a": [1]})):
        with pytest.raises(FrameError):
            store.write_frame(odd, tmp_path / "z.gpkg")


PLANES = {
    25832: (9, 50),
    3035: (5, 60),
    3857: (-100, 72),
    2263: (-74, 40.7),
    3995: (20, 80),
    5880: (-54, -15),
    3832: (178, -18),
}
"""CRS and a place in it: narrow and wide zones, a plane that is stretched, feet, a pole, the antimeridian."""


@pytest.fixture(scope="module")
def planes(tmp_path_factory):
    """Lines of 10 m to 300 km in every direction, in files that have their boxes in the plane, and in row groups."""
    folder, made = tmp_path_factory.mktemp("planes"), {}
    for srid, (lon, lat) in PLANES.items():
        rng = np.random.default_rng(srid)
        middle = gpd.GeoSeries([shapely.Point(lon, lat)], crs=4326).to_crs(srid).iloc[0]
        starts = np.array([middle.x, middle.y]) + rng.normal(0, 80_000, (400, 2))
        steps = rng.normal(size=(400, 2)) * (10 ** rng.uniform(1, 5, 400))[:, None]
        lines = [shapely.LineString([start, start + step]) for start, step in zip(starts, steps, strict=True)]
        frame = gpd.GeoDataFrame({"n": range(402)}, geometry=[*lines, None, shapely.LineString()], crs=srid)
        for ending in (".gpkg", ".parquet"):
            made[srid, ending] = frame, store.write_frame(frame, folder / f"{srid}{ending}")
    return made


@pytest.mark.parametrize("ending", [".gpkg", ".parquet"])
@pytest.mark.parametrize("srid", PLANES)
@given(data=st.data())
@settings(deadline=None, max_examples=25)
def test_a_box_of_lines_in_a_plane_loses_none(planes, srid, ending, data):
    """Their boxes in degrees reach farther than the lines: a corner of one may have no point of it near."""
    frame, path = planes[srid, ending]
    bounds = frame.to_crs(4326).bounds.dropna()
    row = bounds.iloc[data.draw(st.integers(0, len(bounds) - 1))]
    share, size = st.floats(-0.01, 1.01), st.sampled_from([0.0, 1e-9, 0.003, 0.3])
    lon = row.minx + data.draw(share) * (row.maxx - row.minx)
    lat = row.miny + data.draw(share) * (row.maxy - row.miny)
    wide, high = data.draw(size), data.draw(size)
    box = (max(lon - wide, -180), max(lat - high, -90), min(lon + wide, 180), min(lat + high, 90))
    assert store.read_frame(path, bbox=box)["n"].tolist() == expected(frame, box)


@pytest.mark.parametrize("ending", [".gpkg", ".parquet"])
def test_a_box_of_lines_in_a_plane_reads_those_near(planes, ending, monkeypatch):
    frame, path = planes[25832, ending]
    seen = []
    module, name = (gdal, "_frame_of") if ending == ".gpkg" else (reading, "_meeting")
    real = getattr(module, name)
    place = 1 if ending == ".gpkg" else 0
    monkeypatch.setattr(module, name, lambda *args, **known: seen.append(len(args[place])) or real(*args, **known))
    box = (8.99, 49.99, 9.01, 50.01)
    assert store.read_frame(path, bbox=box)["n"].tolist() == expected(frame, box)
    assert 0 < sum(seen) < len(frame) / 2
