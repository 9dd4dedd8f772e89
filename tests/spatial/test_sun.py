"""Where the sun was, against NREL's algorithm in pvlib and its published example, and what follows for pictures."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from pandas.testing import assert_series_equal
from pvlib import spa

from mlygeo import frames, sun_position
from mlygeo.errors import FrameError, InputError
from mlygeo.spatial import sun

WITHIN = 0.05
"""Degrees of altitude; of azimuth along the sky, since near the zenith a hair's breadth turns it far."""

SPA_ALTITUDE, SPA_AZIMUTH = 3, 4
"""Rows of what pvlib returns: without refraction, as seen from the surface."""


def by_nrel(time_ms, lon, lat):
    """Altitude and azimuth at one place by NREL's algorithm."""
    years = 1970 + np.asarray(time_ms) / 31_556_952_000
    found = spa.solar_position_numpy(
        np.asarray(time_ms) / 1000, lat, lon, 0, 1013.25, 12, spa.calculate_deltat(years, 6), 0.5667, numthreads=1
    )
    return found[SPA_ALTITUDE], found[SPA_AZIMUTH]


def at(lon, lat, *times, **columns):
    taken = pd.Series(pd.to_datetime(list(times), utc=True, format="ISO8601")).dt.as_unit("ms")
    return gpd.GeoDataFrame(
        {"captured_at": taken, **columns}, geometry=gpd.points_from_xy([lon] * len(times), [lat] * len(times)), crs=4326
    )


@pytest.mark.parametrize("lat", [-89.9, -66.0, -33.9, -5.0, 0.0, 23.4, 48.77, 60.2, 78.2, 90.0])
def test_the_sun_is_where_nrel_says(lat):
    rng = np.random.default_rng(abs(round(lat * 10)))
    lon = round(float(rng.uniform(-180, 180)), 4)
    time_ms = rng.integers(-631_152_000_000, 2_524_608_000_000, 400)  # 1950 to 2050
    altitude, azimuth = sun.position(time_ms, np.full(400, lon), np.full(400, lat))
    expected, direction = by_nrel(time_ms, lon, lat)
    assert_allclose(altitude, expected, rtol=0, atol=WITHIN)
    apart = np.abs(np.mod(azimuth - direction + 180, 360) - 180)
    assert (apart * np.cos(np.radians(expected))).max() < WITHIN
    assert np.abs(altitude - expected).max() < 0.01, "as documented"


def test_the_published_example_of_nrel():
    """I. Reda and A. Andreas, Solar position algorithm (2004), appendix A.5: e0 = 39.872046, azimuth 194.340241."""
    found = sun_position(at(-105.1786, 39.742476, "2003-10-17T19:30:30Z"))
    assert found["sun_altitude"].iloc[0] == pytest.approx(39.872046, abs=0.01)
    assert found["sun_azimuth"].iloc[0] == pytest.approx(194.340241, abs=0.01)


def test_a_day_in_stuttgart_has_its_phases():
    """The sun rises at 5:24 local time, 3:24 UTC."""
    times = [f"2024-06-30T{clock}Z" for clock in ("00:00", "02:15", "03:00", "03:22", "03:27", "11:26", "20:30")]
    found = sun_position(at(9.18, 48.78, *times))
    assert found["sun_phase"].tolist() == [
        "astronomical twilight", "nautical twilight", "civil twilight", "civil twilight", "day", "day", "nautical twilight",
    ]  # fmt: skip
    assert found["sun_altitude"].idxmax() == 5
    assert 175 < found["sun_azimuth"].iloc[5] < 185
    winter = sun_position(at(9.18, 48.78, "2024-12-21T00:00Z"))
    assert winter["sun_phase"].tolist() == ["night"]


def test_the_limits_of_phases_belong_to_the_lighter_one():
    edges = np.array([-90, -18.001, -18, -12, -6, -0.834, -0.833, 90, np.nan])
    assert sun.phases(edges).tolist() == [
        "night", "night", "astronomical twilight", "nautical twilight", "civil twilight", "civil twilight", "day", "day", None,
    ]  # fmt: skip


EVENING = "2024-06-30T17:00Z"
"""In Stuttgart the sun is then at 22 degrees, in the west-north-west (281 degrees)."""


def test_who_looks_against_the_light():
    found = at(
        9.18, 48.78, *[EVENING] * 7,
        compass_angle=[281.0, 281 + 34, 281 + 37, 101, np.nan, np.nan, 101],
        is_pano=pd.array([False, False, False, False, False, True, None], dtype="boolean"),
        field_of_view=[np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, 360.0],
    )  # fmt: skip
    lit = sun_position(found)
    assert lit["against_light"].astype(object).where(lit["against_light"].notna(), None).tolist() == [
        True, True, False, False, None, True, True,
    ]  # fmt: skip
    assert sun_position(found, field_of_view=80)["against_light"].iloc[2]
    assert not sun_position(found, low_sun=15)["against_light"].any(), "the sun is too high"
    assert sun_position(found, low_sun=15)["against_light"].dtype == bool, "then no heading is needed"


def test_the_field_of_view_is_the_own_one_that_of_a_panorama_or_assumed():
    images = at(
        9.18, 48.78, *[EVENING] * 5,
        is_pano=pd.array([False, True, None, False, False], dtype="boolean"), field_of_view=[90.0, 50.0, np.nan, 0.0, 400.0],
    )  # fmt: skip
    angles, are_assumed = sun.widths(images, 70.0)
    assert angles.tolist() == [90, 360, 70, 70, 70]
    assert are_assumed.tolist() == [False, False, True, True, True]
    assert sun.widths(images[["geometry"]], 65.0)[0].tolist() == [65] * 5


def test_the_field_of_view_follows_from_the_lens_where_no_column_says_it():
    images = at(
        9.18, 48.78, *[EVENING] * 4, compass_angle=[281.0 + 34] * 4, is_pano=[False] * 4,
        camera_parameters=["[0.85, 0, 0]", "[0.85, 0, 0]", None, "[0.85, 0, 0]"], camera_type=["perspective"] * 4,
        field_of_view=[np.nan, 90.0, np.nan, np.nan], width=[4000, 4000, 4000, 3000], height=[3000, 3000, 3000, 4000],
    )  # fmt: skip
    angles, are_assumed = sun.widths(images, 70.0)
    assert angles.round(1).tolist() == [60.9, 90.0, 70.0, 47.6]
    assert are_assumed.tolist() == [False, False, True, False]
    assert sun_position(images)["against_light"].tolist() == [False, True, True, False]


def test_columns_without_numbers_are_named():
    images = at(9.18, 48.78, EVENING, compass_angle=[281.0], field_of_view=["wide"])
    with pytest.raises(FrameError, match="'field_of_view' has other values than numbers"):
        sun_position(images)


def test_high_suns_and_those_below_the_horizon_are_in_no_picture():
    lit = sun_position(at(9.18, 48.78, "2024-06-30T11:26Z", "2024-06-30T20:30Z", compass_angle=[180.0, 320.0]))
    assert lit["against_light"].tolist() == [False, False]


def test_what_is_unknown_stays_unknown():
    images = at(9.18, 48.78, EVENING, EVENING, "NaT", compass_angle=[281.0] * 3)
    images = images.set_geometry(gpd.GeoSeries([None, images.geometry.iloc[1], images.geometry.iloc[2]], crs=4326))
    lit = sun_position(images)
    assert lit["sun_phase"].isna().tolist() == [True, False, True]
    assert lit["against_light"].isna().tolist() == [True, False, True]
    assert lit[["sun_altitude", "sun_azimuth"]].isna().all(axis=1).tolist() == [True, False, True]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(-631_152_000_000, 2_524_608_000_000), st.floats(-180, 180), st.floats(-90, 90), st.integers(1, 400),
)  # fmt: skip
def test_angles_are_in_their_ranges_and_whole_turns_change_nothing(time_ms, lon, lat, count):
    times = np.full(count, time_ms)
    altitude, azimuth = sun.position(times, np.full(count, lon), np.full(count, lat))
    assert ((altitude >= -90.01) & (altitude <= 90)).all()
    assert ((azimuth >= 0) & (azimuth < 360)).all()
    turned, _ = sun.position(times, np.full(count, lon + 360), np.full(count, lat))
    assert_allclose(turned, altitude, atol=1e-9)


def test_many_images_have_the_same_sun_as_each_alone(images):
    lit = sun_position(images)
    alone = pd.concat([sun_position(images.iloc[[row]]) for row in range(0, len(images), 100)])
    for name in ("sun_altitude", "sun_azimuth", "sun_phase"):
        assert_series_equal(lit.iloc[::100][name], alone[name])
    assert lit.drop(columns=["sun_altitude", "sun_azimuth", "sun_phase", "against_light"]).equals(images)


def test_microseconds_and_milliseconds_say_the_same():
    images = at(9.18, 48.78, "2024-06-30T17:00:00.123Z", "1960-01-01T00:00:00.001Z")
    finer = images.assign(captured_at=images["captured_at"].dt.as_unit("us"), id=["a", "b"])
    finer = finer.assign(captured_at=finer["captured_at"] + pd.Timedelta(microseconds=400))
    assert_allclose(sun_position(finer)["sun_altitude"], sun_position(images)["sun_altitude"], atol=1e-5)


def test_an_empty_frame_gets_the_columns():
    lit = sun_position(at(9.18, 48.78))
    assert [str(lit[name].dtype) for name in ("sun_altitude", "sun_azimuth", "sun_phase", "against_light")] == [
        "float64", "float64", "str", "bool",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "named"),
    [({"field_of_view": 0}, "field_of_view"), ({"field_of_view": 361}, "field_of_view"), ({"low_sun": 91}, "low_sun"),
     ({"low_sun": float("nan")}, "low_sun"), ({"low_sun": -2}, "low_sun")],
)  # fmt: skip
def test_options_without_sense_are_refused(options, named):
    with pytest.raises(InputError, match=named):
        sun_position(at(9.18, 48.78, EVENING), **options)


def test_a_frame_without_times_is_refused():
    with pytest.raises(FrameError, match="captured_at"):
        sun_position(frames.empty(frames.POINTS))


def test_bright_pictures_in_the_night_are_doubtful():
    altitude, brightness = np.array([-14.0, -14, -5, 30, np.nan, -14]), np.array([115.0, 60, 115, 115, 115, np.nan])
    assert sun.are_doubtful(altitude, brightness).tolist() == [True, False, False, False, False, False]
