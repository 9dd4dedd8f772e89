"""Images on tracks: places, headings, clocks, gaps, bursts, and images between images."""

import re

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from conftest import DATA
from helpers import sequence_loops as loops
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal, assert_series_equal

from mlygeo import frames
from mlygeo.errors import FrameError, InputError
from mlygeo.spatial import geodesy
from mlygeo.spatial.duplicates import flag_duplicates
from mlygeo.spatial.geotag import geotag, interpolate_positions
from mlygeo.spatial.sequences import cut_sequences, interpolate_directions
from mlygeo.spatial.times import estimate_subseconds, interpolate_times, spread_subseconds

HOUR = 3600


def photos(*times, **columns):
    """Return images without positions, one a given number of seconds after the start."""
    return loops.frame(
        [{"t": t} | {name: values[at] for name, values in columns.items()} for at, t in enumerate(times)]
    )


def straight(seconds=100, step=1.0, start=0.0, lon=9.0, lat=48.0, speed=10.0, **more):
    """Return a track due east, at 10 m/s."""
    moments = np.arange(start, start + seconds + step / 2, step)
    lons, lats = geodesy.destination(lon, lat, 90.0, (moments - start) * speed)
    return loops.track([{"t": t, "lon": x, "lat": y} | more for t, x, y in zip(moments, lons, lats, strict=True)])


@pytest.fixture(scope="module")
def san_francisco():
    text = (DATA / "tracks" / "sf_30km_h.gpx").read_text()
    points = re.findall(r'<trkpt lat="(.*?)" lon="(.*?)">\s*<ele>(.*?)</ele>\s*<time>(.*?)</time>', text)
    assert len(points) == 49
    rows = [
        {
            "t": (pd.Timestamp(time) - loops.START).total_seconds(),
            "lon": float(lon),
            "lat": float(lat),
            "altitude": float(ele),
        }
        for lat, lon, ele, time in points
    ]
    return loops.track(rows)


@st.composite
def tracks(draw, missing=True, max_size=30):
    """Random tracks: resting, moving, with gaps, in any order, with times that repeat or are missing."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    n = draw(st.integers(1, max_size))
    lon, lat = draw(st.sampled_from(loops.BASES))
    step = rng.choice([0, 1e-5, 1e-3], n)
    lats = lat + np.cumsum(step * rng.choice([1, 0], n))
    lons = (lon + np.cumsum(step) + 180) % 360 - 180
    times = np.cumsum(rng.choice([0.25, 1, 7, 90], n))
    rows = [
        {"t": t, "lon": x, "lat": y, "altitude": rng.choice([np.nan, 5.0, 100.0])}
        for t, x, y in zip(times, lons, lats, strict=True)
    ]
    if missing:
        extra = [{"t": None, "lon": 0.0, "lat": 0.0}, {"t": float(rng.choice(times)), "lon": None, "lat": None}]
        late = {"t": float(rng.choice(times)), "lon": 1.0, "lat": 1.0}
        rows = [rows[at] for at in rng.permutation(n)] + extra + [late]
    return loops.track(rows)


def points_of(track):
    table = track[track["time"].notna() & track.geometry.notna()]
    seconds = (table["time"] - loops.START).dt.total_seconds()
    return [*zip(seconds, table.geometry.x, table.geometry.y, table["altitude"], strict=True)]


@settings(max_examples=35)
@given(tracks(), st.lists(st.integers(-3000, 200_000), min_size=1, max_size=40, unique=True))
def test_places_are_those_of_a_loop_over_the_points(track, moments):
    moments = [moment / 1000 for moment in moments]
    tagged = geotag(photos(*moments), track)
    for at, moment in enumerate(moments):
        expected = loops.locate(points_of(track), moment)
        row = tagged.loc[at]
        if expected is None:
            assert row.geometry is None
            assert row["error"].startswith("captured ")
            assert np.isnan(row["compass_angle"])
            assert np.isnan(row["track_gap_s"])
            continue
        lon, lat, altitude, direction = expected
        assert geodesy.distance(lon, lat, row.geometry.x, row.geometry.y)[0] < 1e-6
        assert row["altitude"] == pytest.approx(altitude, abs=1e-9, nan_ok=True)
        assert row["compass_angle"] == pytest.approx(np.nan if direction is None else direction, abs=1e-4, nan_ok=True)
        assert pd.isna(row["error"])


@settings(max_examples=35)
@given(tracks(missing=False), st.lists(st.integers(-500, 100_000), min_size=1, max_size=20), st.integers(0, 2**31))
def test_order_of_points_does_not_matter_nor_that_of_images(track, moments, seed):
    images = photos(*(moment / 1000 for moment in moments))
    expected = geotag(images, track)
    shuffled = geotag(images.sample(frac=1, random_state=seed), track.sample(frac=1, random_state=seed))
    assert_frame_equal(shuffled.loc[images.index], expected)


@settings(max_examples=35)
@given(tracks(missing=False), st.integers(-(10**8), 10**8))
def test_one_shift_of_both_clocks_moves_no_image(track, shift_ms):
    images = photos(*np.arange(0, 100, 7.3))
    shift = np.timedelta64(shift_ms, "ms")
    moved = geotag(images.assign(captured_at=images["captured_at"] + shift), track.assign(time=track["time"] + shift))
    before = geotag(images, track)
    assert_frame_equal(moved.drop(columns=["captured_at", "error"]), before.drop(columns=["captured_at", "error"]))
    # And a camera that is ahead by so much needs just that offset.
    ahead = geotag(images.assign(captured_at=images["captured_at"] + shift), track, offset_time=shift_ms / 1000)
    assert_frame_equal(ahead.drop(columns="error"), before.drop(columns="error"))


@pytest.mark.parametrize(("lon", "lat"), [(179.9999, 0.0), (-179.9999, 60.0), (30.0, 89.9999), (0.0, -89.9999)])
def test_tracks_across_the_antimeridian_and_by_the_poles_are_straight(lon, lat):
    track = straight(seconds=60, step=20, lon=lon, lat=lat)
    tagged = geotag(photos(*range(61)), track)
    lons, lats = frames.lonlat(tagged)
    assert (np.abs(lons) <= 180).all()
    assert geodesy.distance(lons[:-1], lats[:-1], lons[1:], lats[1:]) == pytest.approx([10.0] * 60, abs=1e-3)


def test_points_of_the_track_are_hit_to_the_last_bit(san_francisco):
    moments = (san_francisco["time"] - loops.START).dt.total_seconds()
    tagged = geotag(photos(*moments), san_francisco)
    assert (tagged.geometry.x.to_numpy() == san_francisco.geometry.x.to_numpy()).all()
    assert (tagged.geometry.y.to_numpy() == san_francisco.geometry.y.to_numpy()).all()
    assert (tagged["altitude"] == san_francisco["altitude"]).all()


def test_san_francisco_is_driven_at_30_km_h(san_francisco):
    first, last = (san_francisco["time"].iloc[[0, -1]] - loops.START).dt.total_seconds()
    tagged = geotag(photos(*np.arange(first, last, 1.0)), san_francisco)
    assert tagged["error"].isna().all()
    lon, lat = frames.lonlat(tagged)
    step = geodesy.distance(lon[:-1], lat[:-1], lon[1:], lat[1:])
    # Chords across the bends of the street are a little short of 30 km/h.
    assert np.median(step) * 3.6 == pytest.approx(30, abs=1)
    assert len(lon) == 94


def test_end_segments_are_extended_for_a_second_and_no_further():
    tagged = geotag(photos(-1.0, -1.001, 101.0, 101.001), straight())
    lon, lat = frames.lonlat(tagged)
    assert geodesy.distance(9.0, 48.0, lon[[0, 2]], lat[[0, 2]]) == pytest.approx([10.0, 1010.0], abs=1e-3)
    assert lon[0] < 9.0
    assert tagged["error"].tolist()[1] == "captured 1 s before the track starts (2024-06-30T12:00:00Z)"
    assert tagged["error"].tolist()[3] == "captured 1 s after the track ends (2024-06-30T12:01:40Z)"
    assert tagged.geometry[[1, 3]].isna().all()
    wider = geotag(photos(-5.0, 110.0), straight(), max_extrapolation=10)
    assert wider["error"].isna().all()


def test_example_of_the_older_tools_a_camera_two_seconds_ahead():
    tagged = geotag(photos(12.0, 22.5), straight(), offset_time=2)
    lon, lat = frames.lonlat(tagged)
    assert geodesy.distance(9.0, 48.0, lon, lat) == pytest.approx([100.0, 205.0], abs=1e-3)
    assert tagged["captured_at"].tolist() == [loops.START + pd.Timedelta(seconds=s) for s in (10, 20.5)]


def test_offset_angle_turns_derived_headings():
    tagged = geotag(photos(5.0), straight(), offset_angle=-100)
    assert tagged["compass_angle"][0] == pytest.approx(350, abs=0.01)


def test_clock_of_no_use_starts_with_the_track():
    images = photos(-(10**8), -(10**8) + 3, -(10**8) + 200)
    tagged = geotag(images, straight(start=50.0), use_gps_start_time=True, offset_time=-2)
    seconds = (tagged["captured_at"] - loops.START).dt.total_seconds()
    assert seconds.tolist() == [52, 55, 252]
    assert tagged["error"].tolist()[2] == "captured 1 min 42 s after the track ends (2024-06-30T12:02:30Z)"


@pytest.mark.parametrize(
    ("ahead_s", "text"),
    [
        (2 * HOUR, "seems to be 2 h ahead (its time zone?): try `offset_time=7200`"),
        (-5.5 * HOUR, "seems to be 5 h 30 min behind (its time zone?): try `offset_time=-19800`"),
        (5.75 * HOUR, "seems to be 5 h 45 min ahead (its time zone?): try `offset_time=20700`"),
        (-24 * HOUR * 30, "seems to be 30 d behind (its date?): try `offset_time=-2592000`"),
        (-1024 * 7 * 24 * HOUR, "(GPS weeks counted modulo 1024?): try `offset_time=-619315200`"),
        (2 * HOUR + 3, "try `offset_time=7200`"),
    ],
)
def test_wrong_clock_is_named(ahead_s, text, caplog):
    images = photos(*(np.arange(5, 95, 1.0) + ahead_s))
    tagged = geotag(images, straight(seconds=100, step=5))
    assert tagged["error"].str.contains(text, regex=False).all()
    assert text in caplog.text
    offset = float(re.search(r"`offset_time=(\S+)`", tagged["error"][0])[1])
    assert geotag(images, straight(seconds=100, step=5), offset_time=offset)["error"].isna().mean() > 0.9


def test_remedy_counts_from_the_offset_that_was_given():
    tagged = geotag(photos(2 * HOUR + 10), straight(), offset_time=5)
    assert "`offset_time=7205`" in tagged["error"][0]


def test_clock_is_not_blamed_for_a_few_images_or_for_odd_times():
    few = geotag(photos(*range(10), 2 * HOUR, 2 * HOUR + 1), straight())
    assert few["error"].dropna().tolist() == ["captured 1 h 58 min after the track ends (2024-06-30T12:01:40Z)"] * 2
    odd = geotag(photos(*(np.arange(10) + 500.0)), straight())
    assert not odd["error"].str.contains("clock").any()


def test_long_track_says_that_other_hours_fit_too():
    tagged = geotag(photos(-HOUR + 600.0), straight(seconds=5 * HOUR, step=60))
    assert "1 h behind (its time zone?; 4 other whole hours fit too)" in tagged["error"][0]


def test_long_gaps_are_bridged_and_reported_or_not_bridged(caplog):
    track = pd.concat([straight(seconds=10), straight(seconds=10, start=1000.0, lon=9.1)], ignore_index=True)
    images = photos(5, 10.5, 500, 999.5, 1005)
    bridged = geotag(images, track)
    assert bridged["error"].isna().all()
    assert bridged["track_gap_s"].tolist() == [1, 990, 990, 990, 1]
    assert "3 images lie in gaps of the track of over 60 s, up to 16 min 30 s" in caplog.text
    strict = geotag(images, track, max_gap=60)
    assert strict["error"].notna().tolist() == [False, False, True, False, False]
    assert (
        strict["error"][2] == "captured in a gap of 16 min 30 s in the track, 8 min 10 s after the last point before it"
    )
    lon, lat = frames.lonlat(strict)
    assert geodesy.distance(9.0, 48.0, lon[1], lat[1])[0] == pytest.approx(105, abs=1e-3)
    assert geodesy.distance(9.1, 48.0, lon[3], lat[3])[0] == pytest.approx(5, abs=1e-3)
    assert strict["compass_angle"].dropna().tolist() == pytest.approx([90] * 4, abs=0.01)


def test_tracks_side_by_side_are_not_mixed():
    beside = straight(step=2, start=0.5, lat=49.0).assign(track_id="u")
    tagged = geotag(photos(10.2, 50.7), pd.concat([straight(), beside], ignore_index=True))
    assert tagged.geometry.y.tolist() == pytest.approx([48.0, 48.0], abs=1e-4)
    only = geotag(photos(100.4, 99.9), pd.concat([straight(), beside], ignore_index=True))
    assert only.geometry.y.tolist() == pytest.approx([49.0, 48.0], abs=1e-4)


def test_way_points_do_not_bend_a_track():
    track = straight().assign(kind=pd.Series(["track"] * 101, dtype="str"))
    away = loops.track([{"t": 10.5, "lon": 0.0, "lat": 0.0}]).assign(kind=pd.Series(["waypoint"], dtype="str"))
    both = pd.concat([away, track], ignore_index=True)
    assert_frame_equal(geotag(photos(10.4, 10.6), both), geotag(photos(10.4, 10.6), track))
    assert geotag(photos(10.4), away).geometry[0].wkt == "POINT (0 0)"


def test_single_point_places_images_within_a_second_without_a_heading():
    tagged = geotag(photos(10, 10.9, 12), loops.track([{"t": 10.0, "lon": 9.0, "lat": 48.0, "altitude": 7.0}]))
    assert tagged.geometry[:2].x.tolist() == [9.0, 9.0]
    assert tagged["altitude"].tolist()[:2] == [7.0, 7.0]
    assert tagged["compass_angle"].isna().all()
    assert tagged["error"].notna().tolist() == [False, False, True]


def test_resting_track_looks_where_it_goes_next():
    rows = [(0, 9.0), (10, 9.0), (20, 9.001), (30, 9.001)]
    tagged = geotag(photos(5, 15, 25), loops.track([{"t": t, "lon": x, "lat": 0.0} for t, x in rows]))
    assert tagged["compass_angle"].tolist() == pytest.approx([90] * 3)


def test_image_on_a_bend_looks_along_the_way_that_begins_there():
    rows = [(0, 9.0, 0.0), (10, 9.001, 0.0), (20, 9.001, 0.001)]
    tagged = geotag(photos(9.999, 10, 20), loops.track([{"t": t, "lon": x, "lat": y} for t, x, y in rows]))
    assert tagged["compass_angle"].tolist() == pytest.approx([90, 0, 0])


def test_track_that_rests_before_a_gap_has_come_from_somewhere():
    rows = [(0, 9.0, 0.0), (10, 9.001, 0.0), (20, 9.001, 0.0), (500, 9.001, 0.001), (510, 9.001, 0.002)]
    track = loops.track([{"t": t, "lon": x, "lat": y} for t, x, y in rows])
    assert geotag(photos(15), track, max_gap=60)["compass_angle"][0] == pytest.approx(90)
    assert geotag(photos(15), track)["compass_angle"][0] == pytest.approx(0)


def test_burst_within_a_second_is_spread_along_the_way():
    images = photos(10, 10, 10, 10, 10, 11, 12, name=["e", "a", "c", "b", "d", "f", "g"])
    tagged = geotag(images, straight())
    lon, lat = frames.lonlat(tagged)
    along = geodesy.distance(9.0, 48.0, lon, lat)
    assert along == pytest.approx([108, 100, 104, 102, 106, 110, 120], abs=1e-3)
    assert not flag_duplicates(cut_sequences(tagged))["is_duplicate"].any()


def test_images_that_cannot_be_used_stay_and_those_without_a_time_are_reported():
    images = loops.frame([{"t": 5, "error": "broken"}, {"t": None, "lon": 1.0, "lat": 2.0}, {"t": 6}])
    tagged = geotag(images, straight())
    assert tagged["error"].tolist()[:2] == ["broken", "no capture time, which the track goes by"]
    assert pd.isna(tagged["error"][2])
    assert tagged.geometry.isna().tolist() == [True, False, False]
    assert tagged["captured_at"].isna().tolist() == [False, True, False]
    frames.check(tagged, frames.LOCAL_IMAGES)


def test_tracks_and_options_without_sense_are_refused():
    images = photos(1.0)
    with pytest.raises(FrameError, match="no point with a time"):
        geotag(images, loops.track([{"t": None, "lon": 9.0, "lat": 48.0}]))
    with pytest.raises(FrameError, match="no point with a time"):
        geotag(images, frames.empty(frames.TRACKS))
    with pytest.raises(InputError, match="`max_extrapolation`"):
        geotag(images, straight(), max_extrapolation=-1)
    with pytest.raises(InputError, match="`offset_time`"):
        geotag(images, straight(), offset_time=float("nan"))
    with pytest.raises(InputError, match="`max_gap`"):
        geotag(images, straight(), max_gap=-1)
    with pytest.raises(InputError, match="`max_time_delta`"):
        interpolate_positions(images, max_time_delta=-1)
    assert len(geotag(loops.frame([]), straight())) == 0


def test_720_images_a_second_apart_on_a_moving_track_have_no_duplicate():
    # A walk of 1 m/s with points every 7 s, whose images lie between the points.
    track = straight(seconds=721, step=7, speed=1.0)
    images = photos(*np.arange(720.0))
    tagged = cut_sequences(geotag(images, track))
    assert tagged["error"].isna().all()
    assert len(set(tagged["sequence_id"])) == 1
    assert not flag_duplicates(tagged)["is_duplicate"].any()
    # Positions through EXIF keep 1e-7 degrees or better, headings 0.01 degrees.
    rounded = tagged.set_geometry(gpd.points_from_xy(tagged.geometry.x.round(7), tagged.geometry.y.round(7), crs=4326))
    rounded["compass_angle"] = rounded["compass_angle"].round(2)
    assert not flag_duplicates(rounded)["is_duplicate"].any()


# Times.


@settings(max_examples=35)
@given(loops.images())
def test_spreading_keeps_order_stays_in_the_second_and_is_done_once(images):
    spread = spread_subseconds(images)
    before, after = images["captured_at"], spread["captured_at"]
    assert (before.dt.floor("s").dropna() == after.dt.floor("s").dropna()).all()
    assert (before.isna() == after.isna()).all()
    assert_frame_equal(spread_subseconds(spread), spread)
    for members in loops._rows(images.assign(geometry=loops.shapely.Point(0, 0), error=None), loops.camera):
        assert after[[row.Index for row in members]].is_monotonic_increasing
        single = before[[row.Index for row in members]].duplicated(keep=False)
        kept = single.index[~single]
        assert (after[kept] == before[kept]).all()


def seconds_of(images):
    return (images["captured_at"] - loops.START).dt.total_seconds().tolist()


def test_spread_reaches_to_the_next_time_or_the_end_of_the_second():
    assert seconds_of(spread_subseconds(photos(1, 1, 1, 1, 1, 2))) == [1, 1.2, 1.4, 1.6, 1.8, 2]
    assert seconds_of(spread_subseconds(photos(1, 1, 1.5, 3, 3, 3.5, 3.5))) == [1, 1.25, 1.5, 3, 3.25, 3.5, 3.75]
    folders = photos(1, 1, 1, 1, folder=["a", "b", "a", "b"])
    assert seconds_of(spread_subseconds(folders)) == [1, 1, 1.5, 1.5]


def test_identical_times_are_spread_up_to_the_next_one():
    assert seconds_of(interpolate_times(photos(0, 0, 4, 4, 4, 4, 10, 10))) == [0, 2, 4, 5.5, 7, 8.5, 10, 13]
    assert seconds_of(interpolate_times(photos(5, 5, 5, 5))) == [5, 5.25, 5.5, 5.75]
    assert seconds_of(interpolate_times(photos(5))) == [5]
    assert len(interpolate_times(loops.frame([]))) == 0


def test_times_of_a_steady_camera_are_found_within_their_seconds():
    truth = 100.37 + 0.7 * np.arange(200)
    found = np.array(seconds_of(estimate_subseconds(photos(*np.floor(truth)), sub_second_interval=0.7)))
    assert np.abs(found - truth).max() < 0.06
    assert np.abs(np.diff(found) - 0.7).max() < 0.0015
    tagged = geotag(photos(*np.floor(truth)), straight(seconds=300, speed=1.0), sub_second_interval=0.7)
    assert np.abs(np.array(seconds_of(tagged)) - truth).max() < 0.06
    with pytest.raises(InputError, match="does not fit the capture times of a"):
        estimate_subseconds(photos(0, 1, 5), sub_second_interval=1)
    with pytest.raises(InputError, match="above 0"):
        estimate_subseconds(photos(0), sub_second_interval=0)


# Images between images.


@settings(max_examples=35)
@given(loops.images(), st.integers(0, 2**31))
def test_missing_positions_lie_where_the_other_images_of_the_folder_say(images, seed):
    rng = np.random.default_rng(seed)
    gone = rng.random(len(images)) < 0.3
    geometry = images.geometry.to_numpy().copy()
    geometry[gone] = None
    holes = images.set_geometry(gpd.GeoSeries(geometry, index=images.index, crs=frames.CRS))
    filled = interpolate_positions(holes, max_time_delta=2)
    usable = images["captured_at"].notna() & images["error"].isna()
    for label, row in holes[usable & holes.geometry.isna()].iterrows():
        known = holes[usable & holes.geometry.notna() & (holes["folder"] == row["folder"])]
        known = known.iloc[known["path"].map(loops.natural).argsort()].sort_values("captured_at", kind="stable")
        points = [
            *zip(
                (known["captured_at"] - loops.START).dt.total_seconds(),
                known.geometry.x,
                known.geometry.y,
                known["altitude"],
                strict=True,
            )
        ]
        moment = (row["captured_at"] - loops.START).total_seconds()
        expected = loops.locate(points, moment, 2) if points else None
        found = filled.loc[label]
        if expected is None:
            assert found.geometry is None
            assert found["error"].startswith("no position, and ")
        else:
            assert geodesy.distance(*expected[:2], found.geometry.x, found.geometry.y)[0] < 1e-5
            if np.isnan(row["compass_angle"]):
                assert found["compass_angle"] == pytest.approx(
                    np.nan if expected[3] is None else expected[3], abs=1e-3, nan_ok=True
                )
    rest = ~(usable & holes.geometry.isna())
    assert_frame_equal(filled[rest], holes[rest])


def test_positions_are_extended_for_the_time_that_is_allowed():
    rows = [{"t": t, "lon": x, "lat": 0.0} for t, x in [(0, None), (3, 9.0), (5, None), (7, 9.004), (9, None)]]
    images = loops.frame(rows)
    near = interpolate_positions(images)
    assert near.geometry.isna().tolist() == [True, False, False, False, True]
    assert near["error"].tolist()[4] == "no position, and captured 2 s after the last image of its folder that has one"
    assert near.geometry.x[2] == pytest.approx(9.002)
    far = interpolate_positions(images, max_time_delta=3)
    assert far.geometry.x.tolist() == pytest.approx([8.997, 9.0, 9.002, 9.004, 9.006])
    assert far["compass_angle"].tolist()[::2] == pytest.approx([90] * 3)
    none = interpolate_positions(images.iloc[[0]])
    assert none["error"].tolist() == ["no position, and no image of its folder has one"]


def test_headings_from_the_track_and_along_the_sequence_agree():
    tagged = cut_sequences(geotag(photos(*np.arange(0, 90, 1.0)), straight(seconds=90)))
    derived = interpolate_directions(tagged, overwrite=True)
    assert_series_equal(derived["compass_angle"], tagged["compass_angle"], rtol=0, atol=1e-4)
