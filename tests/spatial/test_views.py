"""Plans of views: headings, files, tilt, flat pictures by a plain loop, and what is left out or in doubt."""

from __future__ import annotations

import json
import math
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo import frames
from mlygeo.errors import FrameError, InputError
from mlygeo.providers.mapillary.records import images_frame
from mlygeo.spatial import rotations, views
from mlygeo.spatial.views import plan_views

RECORDS = Path(__file__).parents[1] / "data" / "graph" / "stuttgart_records.json"


def images_of(count=4, **columns):
    plain = {
        "id": np.arange(count) + 100,
        "compass_angle": np.arange(count) * 80.0,
        "is_pano": np.ones(count, dtype=bool),
        "bearing": np.full(count, 30.0),
        "pitch": np.zeros(count),
        "roll": np.zeros(count),
    }
    return gpd.GeoDataFrame(
        {**plain, **columns}, geometry=gpd.points_from_xy([9.17] * count, [48.77] * count), crs=4326
    )


def flat_of(heading=0.0, **columns):
    count = np.size(heading)
    return images_of(
        count,
        compass_angle=np.broadcast_to(heading, count).astype(float),
        is_pano=np.zeros(count, dtype=bool),
        camera_parameters=[[0.4, 0.0, 0.0]] * count,
        width=pd.array([4000] * count, dtype="Int64"),
        height=pd.array([3000] * count, dtype="Int64"),
        **columns,
    )


def test_views_look_left_and_right_of_the_street():
    planned = plan_views(images_of(2))
    assert planned["id"].tolist() == [100, 100, 101, 101]
    assert planned["view"].tolist() == ["left", "right"] * 2
    assert planned["compass_angle"].tolist() == [300.0, 120.0] * 2
    assert planned["path"].tolist() == ["100_left.jpg", "100_right.jpg", "101_left.jpg", "101_right.jpg"]
    assert planned["source_heading"].tolist() == [0.0, 0.0, 80.0, 80.0]
    assert not planned["is_pano"].any()
    assert planned["warning"].isna().all()
    assert planned.attrs["left_out"] == planned.attrs["problems"] == {}
    frames.check(planned, frames.VIEWS)


@pytest.mark.parametrize(
    ("options", "names", "headings"),
    [
        ({"relative_to": "north", "directions": ["ahead", "back", 45]}, ["ahead", "back", "45"], [0, 180, 45]),
        ({"relative_to": "camera", "directions": "-30"}, ["330"], [50]),
        ({"directions": [" left ", "22.5"]}, ["left", "22.5"], [300, 52.5]),
        ({"overlap": 0.0}, ["0", "90", "180", "270"], [30, 120, 210, 300]),
        ({"overlap": 0.1, "fov": 100}, ["0", "90", "180", "270"], [30, 120, 210, 300]),
        (
            {"overlap": 0.5, "fov": 120, "relative_to": "north"},
            ["0", "60", "120", "180", "240", "300"],
            range(0, 360, 60),
        ),
    ],
)
def test_directions_are_names_degrees_or_all_around(options, names, headings):
    planned = plan_views(images_of(2).iloc[1:], **options)
    assert planned["view"].tolist() == names
    assert planned["compass_angle"].tolist() == list(headings)


@given(overlap=st.floats(0, 0.95), fov=st.floats(10, 150))
def test_views_all_around_are_as_few_as_have_that_overlap(overlap, fov):
    found = np.array(list(views.offsets_of("left", fov=fov, width=64, height=64, pitch=0, overlap=overlap).values()))
    step = 360 / len(found)
    np.testing.assert_allclose(np.diff(found), step)
    assert step <= fov * (1 - overlap) + 1e-6
    assert len(found) == 1 or 360 / (len(found) - 1) > fov * (1 - overlap) - 1e-6


def test_the_street_of_a_selection_is_that_of_its_point():
    planned = plan_views(images_of(1, point_bearing=np.array([50.0])), directions="ahead")
    assert planned["compass_angle"].tolist() == [50.0]
    assert plan_views(images_of(1), directions="ahead", relative_to="bearing")["compass_angle"].tolist() == [30.0]
    with pytest.raises(FrameError, match="no column 'point_bearing' or 'bearing'"):
        plan_views(images_of(1).drop(columns="bearing"))
    with pytest.raises(FrameError, match="other values than numbers"):
        plan_views(images_of(1, bearing=pd.Series(["north"], dtype="str")))


def test_a_selection_has_the_point_in_the_names_of_its_files():
    twice = images_of(2, id=np.array([7, 7]), point_id=np.array([3, 4]), bearing=np.array([0.0, 10.0]))
    assert plan_views(twice, directions="left")["path"].tolist() == ["3_7_left.jpg", "4_7_left.jpg"]
    with pytest.raises(FrameError, match="two rows would have the same view, 7_left"):
        plan_views(twice.drop(columns="point_id"))
    some = twice.assign(point_id=pd.Series([None, "a/b"], dtype="str"))
    assert plan_views(some, directions="left")["path"].tolist() == ["7_left.jpg", "a%2Fb_7_left.jpg"]


def test_names_lead_out_of_no_folder():
    odd = images_of(2, id=pd.Series(["../x", "a b"], dtype="str"), provider=pd.Series(["..", "mapillary"], dtype="str"))
    assert plan_views(odd, directions="left")["path"].tolist() == ["%2E%2E/..%2Fx_left.jpg", "a%20b_left.jpg"]


def test_the_rotation_that_mapillary_computed_gives_heading_and_tilt():
    records = [each for each in json.loads(RECORDS.read_text()) if each["is_pano"]]
    images = images_frame(records).assign(bearing=0.0)
    planned = plan_views(images, directions="ahead")
    assert (planned["tilt_source"] == "computed_rotation").all()
    np.testing.assert_allclose(planned["source_heading"], images["computed_compass_angle"], atol=1e-6)
    assert planned["warning"].isna().all()
    expected = rotations.of_vectors(np.array([each["computed_rotation"] for each in records]))
    found = rotations.of_angles(*(planned[f"source_{name}"].to_numpy() for name in ("heading", "pitch", "roll")))
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert "computed_rotation" not in planned.columns


def test_what_is_in_doubt_is_said_and_counted():
    level = np.array([np.pi / 2, 0.0, 0.0])
    images = images_of(
        5,
        compass_angle=np.array([0.0, 0.0, 120.0, 0.0, 0.0]),
        computed_compass_angle=np.array([0.0, 5.0, np.nan, np.nan, np.nan]),
        computed_rotation=[level, level, level, np.zeros(3), None],
        pitch=np.array([np.nan, np.nan, np.nan, np.nan, 3.0]),
        roll=np.array([np.nan] * 5),
    )
    planned = plan_views(images, directions="ahead")
    assert planned["warning"].fillna("").tolist() == [
        "", views.TWO_HEADINGS, views.FAR_HEADING, f"{views.TOO_STEEP}; {views.NOT_LEVELLED}", views.NOT_LEVELLED,
    ]  # fmt: skip
    assert planned["tilt_source"].fillna("").tolist() == ["computed_rotation"] * 3 + ["", ""]
    assert planned["source_pitch"].isna().tolist() == [False] * 3 + [True] * 2
    assert planned.attrs["problems"] == {
        views.TWO_HEADINGS: 1, views.FAR_HEADING: 1, views.TOO_STEEP: 1, views.NOT_LEVELLED: 2,
    }  # fmt: skip


def test_what_has_no_view_is_counted_by_its_reason():
    images = pd.concat(
        [
            images_of(1, bearing=np.array([np.nan])),
            images_of(1, compass_angle=np.array([np.nan])),
            images_of(1, is_pano=pd.array([None], dtype="boolean")),
            flat_of().assign(camera_parameters=[None]),
            flat_of().assign(width=pd.array([None], dtype="Int64")),
            images_of(1).assign(id=pd.array([7])),
        ],
        ignore_index=True,
    ).assign(id=np.arange(6))
    images = gpd.GeoDataFrame(images.astype({"is_pano": "boolean"}), geometry="geometry", crs=4326)
    planned = plan_views(images, directions="left")
    assert planned["id"].tolist() == [5]
    assert planned.attrs["left_out"] == {
        views.NO_BASE: 1, views.NO_HEADING: 1, views.NO_KIND: 1, views.NO_LENS: 1, views.NO_SIZE: 1,
    }  # fmt: skip
    nothing = plan_views(images.iloc[:1], directions="left")
    assert len(nothing) == 0
    frames.check(nothing, frames.VIEWS)


def fits(heading, pitch, roll, target, wanted_fov, square):
    """Whether every place on the edge of a view lies in a flat picture of 4:3 and focal length 0.4, by a loop."""
    camera = rotations.of_angles(*(np.array([angle]) for angle in (heading, pitch, roll)))[0]
    view = rotations.of_angles(np.array([target]), np.zeros(1), np.zeros(1))[0]
    half = math.tan(math.radians(wanted_fov / 2))
    for step in np.linspace(-1, 1, 41):
        for x, y in ((step, -square), (step, square), (-1, step * square), (1, step * square)):
            ray = camera @ view.T @ [x * half, y * half, 1]
            if ray[2] <= 0 or abs(0.4 * ray[0] / ray[2]) > 0.5 or abs(0.4 * ray[1] / ray[2]) > 0.375:
                return False
    return True


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_flat_pictures_have_the_views_that_lie_in_them(data):
    angles = data.draw(st.lists(st.tuples(*[st.integers(-25, 25)] * 3), min_size=1, max_size=12))
    heading, pitch, roll = np.array(angles, dtype=float).T
    fov, high = data.draw(st.integers(20, 70)), data.draw(st.sampled_from([300, 400, 480]))
    images = flat_of(
        heading % 360,
    ).assign(pitch=pitch, roll=roll)
    planned = plan_views(images, directions="ahead", relative_to="north", fov=fov, width=400, height=high)
    expected = [fits(*each, 0.0, fov, high / 400) for each in zip(heading, pitch, roll, strict=True)]
    assert images["id"].isin(planned["id"]).tolist() == expected


def test_flat_pictures_that_look_elsewhere_or_show_a_part_are_counted_apart():
    planned = plan_views(flat_of([0.0, 90.0, 180.0, 20.0]), directions="ahead", relative_to="north", fov=70)
    assert planned["id"].tolist() == [100]
    assert planned.attrs["left_out"] == {views.ELSEWHERE: 2, views.IN_PART: 1}


def test_a_picture_stored_on_its_side_is_measured_upright():
    upright = flat_of(0.0, exif_orientation=pd.array([6], dtype="Int64"))
    wide = {"directions": "ahead", "relative_to": "north", "fov": 98.0, "width": 640, "height": 64}
    assert len(plan_views(upright, **wide)) == 0
    assert len(plan_views(flat_of(0.0), **wide)) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fov": 0}, "fov=0"), ({"fov": 151}, "fov=151"), ({"fov": math.nan}, "fov=nan"), ({"width": 0}, "0 x 640"),
        ({"height": 9000}, "640 x 9,000"), ({"pitch": 91}, "pitch=91"), ({"overlap": 1.0}, "overlap=1"),
        ({"directions": "up"}, "no direction 'up'"), ({"directions": ["left", 270]}, "270 is given twice"),
        ({"directions": [45, 45.0000001]}, "45.0000001 is given twice"), ({"overlap": 0.999, "fov": 0.5}, "720,000 views"),
        ({"directions": []}, "no direction"), ({"directions": [math.inf]}, "no direction inf"),
        ({"relative_to": "asset"}, "no column 'asset'"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        plan_views(images_of(1), **options)


def test_views_go_into_files_and_come_back(tmp_path):
    planned = mlygeo.plan_views(
        images_of(3, captured_at=pd.date_range("2024-01-01", periods=3, tz="UTC").as_unit("ms"))
    )
    mlygeo.write_frame(planned, tmp_path / "views.parquet")
    back = mlygeo.read_frame(tmp_path / "views.parquet", frame="views")
    pd.testing.assert_frame_equal(
        pd.DataFrame(back[[*planned.columns.drop(["geometry", "camera_parameters"])]]),
        pd.DataFrame(planned.drop(columns=["geometry", "camera_parameters"])),
    )
