"""Longitudes and latitudes: one rule for frames, files, tables of text, Arrow and boxes."""

from __future__ import annotations

from fractions import Fraction

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import shapely
from helpers.small_frames import images_frame
from hypothesis import given
from hypothesis import strategies as st

import mlygeo
from mlygeo import degrees, frames, store
from mlygeo.errors import FrameError, MlygeoError
from mlygeo.regions import Region
from mlygeo.store import points as views

LON, LAT = [190.0, -170.0, 9.0, -190.0, 350.0], [48.0, 48.0, 48.0, 48.5, 48.0]
WITHIN = [-170.0, -170.0, 9.0, 170.0, -10.0]


def points(lon=LON, lat=LAT):
    return gpd.GeoDataFrame({"id": range(len(lon))}, geometry=gpd.points_from_xy(lon, lat, crs=4326))


def in_csv(frame, folder):
    table = pd.DataFrame({"id": frame["id"], "lon": frame.geometry.x, "lat": frame.geometry.y})
    table.to_csv(folder / "held.csv", index=False)
    return folder / "held.csv"


def in_wkt_csv(frame, folder):
    pd.DataFrame({"id": frame["id"], "geometry": frame.to_wkt()["geometry"]}).to_csv(folder / "wkt.csv", index=False)
    return folder / "wkt.csv"


WRAPPINGS = {
    "frame": lambda frame, _: frame,
    "lon and lat": lambda frame, _: pd.DataFrame({"id": frame["id"], "lon": frame.geometry.x, "lat": frame.geometry.y}),
    "WKT": lambda frame, _: pd.DataFrame(frame.to_wkt()),
    "WKB": lambda frame, _: pd.DataFrame(frame.to_wkb()),
    "Arrow": lambda frame, _: pa.table(frame.to_arrow(index=False)),
    "Arrow of lon and lat": lambda frame, _: pa.table(
        {"id": frame["id"], "lon": frame.geometry.x, "lat": frame.geometry.y}
    ),
    "csv": in_csv,
    "WKT in csv": in_wkt_csv,
    **{
        ending: lambda frame, folder, ending=ending: mlygeo.write_frame(frame, folder / f"held{ending}")
        for ending in (".parquet", ".gpkg", ".fgb", ".sqlite", ".geojson", ".geojsonl", ".tsv")
    },
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_what_lies_beyond_180_is_the_same_place_in_every_wrapping(tmp_path, caplog, wrapping):
    held = WRAPPINGS[wrapping](points(), tmp_path)
    plain = store.as_frame(held)
    assert plain.geometry.x.tolist() == LON, "as it was given"
    found = store.as_frame(held, frame="images") if "is_pano" in plain else frames.conform(
        plain.assign(is_pano=False), frames.IMAGES
    )  # fmt: skip
    assert found.geometry.x.tolist() == WITHIN
    view = views.open_points(held if isinstance(held, gpd.GeoDataFrame) else plain, name="mine")
    assert view.lonlat[0].tolist() == WITHIN
    said = [message for message in caplog.messages if "beyond ±180° of longitude" in message]
    assert [text.partition(":")[2].split(",")[0] for text in said] == [" 3 rows beyond ±180° of longitude"] * 2


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize(
    ("lon", "lat"), [(361.0, 48.0), (-360.5, 48.0), (9.0, 90.5), (512_000.0, 5_400_000.0)], ids=str
)
def test_what_is_no_longitude_and_latitude_is_refused_in_the_same_words(tmp_path, wrapping, lon, lat):
    wrong = points([9.0, lon], [48.0, lat])
    with pytest.raises(MlygeoError, match=f"row 2 lies at {lon:.12g}, {lat:.12g}, which is no longitude and latitude"):
        mlygeo.select(points=points().rename(columns={"id": "point_id"}), images=WRAPPINGS[wrapping](wrong, tmp_path))


BOXES = {
    (-171.0, 47.0, -169.0, 49.0): [0, 1],
    (169.0, 47.0, -169.0, 49.0): [0, 1, 3],
    (-12.0, 47.0, 10.0, 49.0): [2, 4],
    (175.0, 47.0, -175.0, 49.0): [],
    (-180.0, -90.0, 180.0, 90.0): [0, 1, 2, 3, 4],
}


@pytest.mark.parametrize("ending", [".parquet", ".gpkg", ".fgb", ".sqlite", ".geojson", ".geojsonl", ".csv", ".tsv"])
def test_a_box_finds_them_in_every_format(tmp_path, ending):
    file = mlygeo.write_frame(points(), tmp_path / f"held{ending}")
    for box, expected in BOXES.items():
        assert mlygeo.read_frame(file, bbox=box)["id"].tolist() == expected
        assert store.part_of(points(), bbox=box)["id"].tolist() == expected


def test_a_region_has_them():
    region = Region.from_bbox(169, 47, -169, 49)
    assert region.contains(np.array(LON), np.array(LAT)).tolist() == [True, True, False, True, False]


@pytest.mark.parametrize("has_z", [False, True])
def test_lines_are_moved_as_a_whole(has_z):
    dz = " Z" if has_z else ""
    z = " 5" if has_z else ""
    texts = [f"LINESTRING{dz} ({a} 1{z}, {b} 2{z})" for a, b in ((179, 181), (181, 182), (-183, -181), (-181, -179))]
    streets = gpd.GeoDataFrame(
        {"u": 1, "v": 2, "key": range(4), "oneway": False}, geometry=gpd.GeoSeries.from_wkt(texts), crs=4326
    )
    moved = frames.conform(streets, frames.STREETS).geometry
    expected = [f"LINESTRING{dz} ({a} 1{z}, {b} 2{z})" for a, b in ((179, 181), (-179, -178), (177, 179), (-181, -179))]
    assert [shapely.to_wkt(line, trim=True) for line in moved] == expected


@given(one=st.floats(-720, 720), other=st.floats(-720, 720))
def test_angles_between_directions_are_exact_but_for_the_difference(one, other):
    apart = Fraction(abs(one - other)) % 360
    expected = float(min(apart, 360 - apart))
    assert degrees.angle_between(np.array([one]), np.array([other])).tolist() == [expected]
    assert degrees.turn(one, other) == pytest.approx(expected, abs=1e-12)
    assert abs(degrees.short_way(one - other)) == degrees.turn(one, other)


def test_where_a_direction_is_unknown_so_is_the_angle():
    unknown = np.array([np.nan, np.inf, 10.0])
    assert np.isnan(degrees.angle_between(unknown, unknown)).tolist() == [True, True, False]
    assert np.isnan(degrees.turn(unknown[[0, 2]], 10.0)).tolist() == [True, False]


def test_longitudes_within_stay_to_the_bit():
    lon = np.array([180.0, -180.0, 0.1, np.nan, 190.0, -190.0, 365.0])
    assert np.array_equal(degrees.wrapped(lon), [180.0, -180.0, 0.1, np.nan, -170.0, 170.0, 5.0], equal_nan=True)


@given(
    west=st.floats(-180, 180), width=st.floats(0, 300), lon=st.floats(-180, 180), length=st.floats(0, 100),
    turn=st.sampled_from([-1, 1]),
)  # fmt: skip
def test_a_box_a_turn_away_meets_what_it_meets_within(west, width, lon, length, turn):
    east = west + width if west + width <= 180 else west + width - 360
    plain = np.array([[lon], [1.0], [min(lon + length, 180.0)], [2.0]])
    turned = plain + np.array([[360.0 * turn], [0.0], [360.0 * turn], [0.0]])
    box = (west, 0.0, east, 3.0)
    if np.abs(np.array([lon - west, lon - east, plain[2, 0] - west, plain[2, 0] - east])).min() > 1e-9:
        beyond = degrees.turns_of(turned[0], turned[2]) is not None
        touches = np.abs(plain[[0, 2], 0]).max() == 180  # the antimeridian has two longitudes
        assert touches or not beyond or degrees.meets(turned, box)[0] == degrees.meets(plain, box)[0]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1))
def test_only_what_is_finite_and_no_place_is_beyond(numbers):
    lon = np.array(numbers)
    expected = [bool(np.isfinite(number) and abs(number) > 360 + 1e-9) for number in numbers]
    assert degrees.beyond(lon, np.zeros(len(lon))).tolist() == expected


@pytest.mark.parametrize("place", [(9, 91), (91, 95), (513000, 5403000), (725, 9)])
@pytest.mark.parametrize("ending", [".geojson", ".parquet", ".gpkg"])
def test_frames_that_are_conformed_have_degrees(tmp_path, place, ending):
    images = images_frame().iloc[:1].set_geometry(gpd.points_from_xy([place[0]], [place[1]], crs=4326))
    path = tmp_path / f"images{ending}"
    images.to_parquet(path) if ending == ".parquet" else images.drop(columns=["captured_at"]).assign(
        captured_at="2024-01-01T00:00:00Z"
    ).to_file(path)
    with pytest.raises(FrameError, match=r"row 1 lies at .* which is no longitude and latitude"):
        mlygeo.read_frame(path, frame="images")
