"""Cutting, splitting, headings and sums of sequences, against plain loops and by their laws."""

import itertools

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from conftest import DATA
from helpers import sequence_loops as loops
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal, assert_series_equal

import mlygeo
from mlygeo import frames
from mlygeo.errors import FrameError, InputError
from mlygeo.spatial import geodesy
from mlygeo.spatial.duplicates import flag_duplicates
from mlygeo.spatial.sequences import cut_sequences, interpolate_directions, split_sequences, summarise


def partition(images):
    """Return the sequences of a frame as a set of sets of labels."""
    return {frozenset(labels) for labels in images.groupby("sequence_id").groups.values()}


def sets(sequences):
    return {frozenset(sequence) for sequence in sequences}


@pytest.fixture(scope="module")
def geolife():
    table = pd.read_csv(DATA / "tracks" / "geolife_sample.csv.gz", sep=";")
    rows = [
        {
            "t": (pd.Timestamp(row.t) - loops.START).total_seconds(),
            "lon": row.X,
            "lat": row.Y,
            "name": f"{row.id:05}.jpg",
        }
        for row in table.itertuples()
    ]
    return loops.frame(rows)


@settings(max_examples=40)
@given(loops.images(), st.sampled_from([0, 50, 100, 600, 1000]), st.sampled_from([0, 0.5, 60, 120]))
def test_cutting_is_what_a_loop_over_sorted_images_does(images, distance, time):
    cut = cut_sequences(images, cutoff_distance=distance, cutoff_time=time)
    assert partition(cut) == sets(loops.cut(images, distance, time))
    assert_frame_equal(cut.drop(columns="sequence_id"), images.drop(columns="sequence_id"))


@settings(max_examples=40)
@given(loops.images(), st.integers(0, 2**31))
def test_order_of_rows_does_not_matter(images, seed):
    shuffled = images.sample(frac=1, random_state=seed)
    for step in (
        cut_sequences,
        lambda frame: interpolate_directions(cut_sequences(frame)),
        lambda frame: flag_duplicates(cut_sequences(frame)),
        lambda frame: split_sequences(flag_duplicates(cut_sequences(frame)), max_images=3),
    ):
        assert_frame_equal(step(shuffled).loc[images.index], step(images))


@settings(max_examples=40)
@given(loops.images(), st.integers(-(10**9), 10**9))
def test_shift_in_time_moves_no_cut(images, shift_ms):
    shifted = images.assign(captured_at=images["captured_at"] + np.timedelta64(shift_ms, "ms"))
    assert partition(cut_sequences(shifted)) == partition(cut_sequences(images))


@settings(max_examples=40)
@given(loops.images())
def test_world_turned_to_the_antimeridian_gives_the_same(images):
    lon, lat = frames.lonlat(images)
    points = frames.points((lon + 171 + 180) % 360 - 180, lat)
    points[np.isnan(lon)] = None
    turned = images.set_geometry(gpd.GeoSeries(points, index=images.index, crs=frames.CRS))
    before, after = (interpolate_directions(cut_sequences(frame), overwrite=True) for frame in (images, turned))
    assert partition(after) == partition(before)
    difference = (before["compass_angle"] - after["compass_angle"] + 180) % 360 - 180
    # Steps below a metre turn with the last digits of a longitude.
    moved = [
        label
        for members in loops.sequences_of(before)
        if all(loops.apart(before.loc[a], before.loc[b]) > 1 for a, b in itertools.pairwise(members))
        for label in members
    ]
    assert (difference[moved].abs().dropna() < 1e-3).all()


@settings(max_examples=40)
@given(loops.images())
def test_each_folder_alone_gives_what_all_give_together(images):
    whole = mlygeo.split_sequences(flag_duplicates(interpolate_directions(cut_sequences(images))), max_images=4)
    parts = [
        mlygeo.split_sequences(flag_duplicates(interpolate_directions(cut_sequences(part))), max_images=4)
        for _, part in images.groupby("folder")
    ]
    if parts:
        assert_frame_equal(pd.concat(parts).loc[images.index], whole)


def test_gap_of_just_the_cutoff_does_not_cut():
    images = loops.frame([{"t": t, "lon": 9.0, "lat": 48.0} for t in (0, 60, 120.001)])
    assert partition(cut_sequences(images)) == {frozenset({0, 1}), frozenset({2})}
    lon, lat = geodesy.destination(9.0, 48.0, 90.0, 600.0)
    exact = geodesy.distance(9.0, 48.0, lon, lat)[0]
    images = loops.frame([{"t": 0, "lon": 9.0, "lat": 48.0}, {"t": 1, "lon": lon[0], "lat": lat[0]}])
    assert len(partition(cut_sequences(images, cutoff_distance=exact))) == 1
    assert len(partition(cut_sequences(images, cutoff_distance=np.nextafter(exact, 0)))) == 2


def test_ids_are_uuids_of_the_first_image_and_stay_when_images_are_added():
    rows = [{"t": t, "lon": 9 + t * 1e-5, "lat": 48.0} for t in range(10)]
    few, all_ = cut_sequences(loops.frame(rows[:5])), cut_sequences(loops.frame(rows))
    assert few["sequence_id"].iloc[0] == all_["sequence_id"].iloc[0]
    assert set(all_["sequence_id"]) == {"5efbc797-5f4a-5ac1-99b0-e99dc95e01d5"}
    other = cut_sequences(loops.frame([row | {"folder": "b"} for row in rows]))
    assert other["sequence_id"].iloc[0] != all_["sequence_id"].iloc[0]


def test_one_path_in_two_sequences_gives_two_ids():
    rows = [{"t": 0, "lon": 9.0, "lat": 48.0, "name": "x.jpg"}, {"t": 0, "lon": 9.1, "lat": 48.0, "name": "x.jpg"}]
    assert cut_sequences(loops.frame(rows))["sequence_id"].nunique() == 2


def test_images_of_the_service_are_cut_by_time_without_folders(images):
    cut = cut_sequences(images)
    assert cut["sequence_id"].notna().all()
    expected = loops.cut(
        images.assign(
            folder="",
            path=images["id"].astype("str"),
            error=pd.Series(None, index=images.index, dtype="str"),
            make="",
            model="",
            width=None,
            height=None,
        )
    )
    assert partition(cut) == sets(expected)


def test_cameras_in_one_folder_do_not_mix():
    rows = [{"t": t, "lon": 9.0, "lat": 48.0, "make": "GoPro", "model": ("Max", "Hero")[t % 2]} for t in range(6)]
    assert partition(cut_sequences(loops.frame(rows))) == {frozenset({0, 2, 4}), frozenset({1, 3, 5})}


def test_example_of_the_older_tools_cuts_at_100_m_and_120_s():
    east = lambda metres: float(geodesy.destination(9.0, 48.0, 90.0, metres)[0][0])
    rows = [(0, 0), (119, 50), (239, 149), (359.5, 160), (360, 259), (361, 360)]
    images = loops.frame([{"t": t, "lon": east(metres), "lat": 48.0} for t, metres in rows])
    cut = cut_sequences(images, cutoff_distance=100, cutoff_time=120)
    assert partition(cut) == {frozenset({0, 1, 2}), frozenset({3, 4}), frozenset({5})}
    turned = interpolate_directions(cut, offset_angle=90)
    assert turned["compass_angle"][[0, 1, 2, 3, 4]].tolist() == pytest.approx([180] * 5, abs=0.01)
    assert np.isnan(turned["compass_angle"][5])


@settings(max_examples=80, deadline=None)
@given(
    loops.images(),
    st.sampled_from([1, 2, 5, 500]),
    st.sampled_from([1, 10, 25, 60, 1000]),
    st.sampled_from([1, 10, 25, 60, 1000]),
    st.integers(0, 2**31),
)
def test_splitting_is_what_a_loop_does(images, most, pixels, size, seed):
    rng = np.random.default_rng(seed)
    flagged = flag_duplicates(cut_sequences(images))
    flagged["width"] = pd.array(rng.integers(1, 6, len(images)), dtype="Int64")
    flagged["height"] = pd.array(rng.integers(1, 6, len(images)), dtype="Int64")
    flagged["filesize"] = pd.array(rng.choice([0, 1, 5, 12, None], len(images)), dtype="Int64")
    for frame in (flagged, flagged.drop(columns=["is_duplicate", "duplicate_of"])):
        split = split_sequences(frame, max_images=most, max_pixels=pixels, max_bytes=size)
        assert partition(split) == sets(loops.split(frame, most, pixels, size))
        # What was split stays as it is.
        assert_frame_equal(split_sequences(split, max_images=most, max_pixels=pixels, max_bytes=size), split)


@pytest.mark.parametrize(
    ("side", "size", "expected"),
    [
        ((10_000, 10_000), 10, [60, 60, 30]),  # 6 gigapixels
        ((10_000, 10_001), 10, [59, 59, 32]),
        ((100_000, 100_000), 10, [1] * 150),  # each exceeds the limit
        ((4000, 3000), 2**30, [110, 40]),  # 110 GiB
        ((None, None), None, [150]),
        ((12, 9), 0, [150]),
    ],
)
def test_a_sequence_ends_at_the_limits_of_the_official_client(side, size, expected):
    rows = [
        {"t": t, "lon": 9 + t * 1e-5, "lat": 48.0, "width": side[0], "height": side[1], "filesize": size}
        for t in range(150)
    ]
    images = cut_sequences(loops.frame(rows))
    assert split_sequences(images).groupby("sequence_id", sort=False).size().tolist() == expected
    without = images.drop(columns=["width", "height", "filesize"])
    assert len(partition(split_sequences(without))) == 1


def test_pictures_of_unknown_size_count_as_a_megapixel():
    rows = [{"t": t, "lon": 9 + t * 1e-5, "lat": 48.0} for t in range(100)]
    images = cut_sequences(loops.frame(rows))
    sizes = split_sequences(images, max_pixels=30 * 1024 * 1024)["sequence_id"].value_counts(sort=False)
    assert sizes.tolist() == [30, 30, 30, 10]


def test_cameras_differ_in_make_model_and_size():
    rows = [{"t": t, "lon": 9 + t * 1e-5, "lat": 48.0, "make": "A", "model": "B"} for t in range(12)]
    for t, row in enumerate(rows):
        row |= {"width": [4000, 4000, 4032][t % 3], "height": [3000, 3024, 3024][t % 3]}
    images = loops.frame(rows)
    assert partition(cut_sequences(images)) == {frozenset(range(start, 12, 3)) for start in range(3)}
    assert len(partition(cut_sequences(images.drop(columns=["width", "height"])))) == 1


def test_1201_images_make_three_sequences_and_the_first_keeps_its_id():
    images = cut_sequences(loops.frame([{"t": t, "lon": 9 + t * 1e-5, "lat": 48.0} for t in range(1201)]))
    split = split_sequences(images)
    assert split.groupby("sequence_id", sort=False).size().tolist() == [500, 500, 201]
    assert split["sequence_id"][0] == images["sequence_id"][0]
    assert_frame_equal(split_sequences(split), split)


@settings(max_examples=80)
@given(loops.images(), st.sampled_from([0.0, 90.0, -45.0]), st.booleans(), st.sampled_from([None, 0.1, 0.5, 40.0]))
def test_headings_are_those_of_a_loop(images, offset, overwrite, distance):
    """Over all images, or over those kept where duplicates are flagged."""
    cut = cut_sequences(images, cutoff_distance=10_000)
    if distance is not None:
        cut = flag_duplicates(cut, duplicate_distance=distance, duplicate_angle=180, without_heading="travel")
    found = interpolate_directions(cut, offset_angle=offset, overwrite=overwrite)["compass_angle"]
    expected = loops.directions(cut, offset, overwrite).reindex(images.index)
    assert (found.isna() == expected.isna()).all()
    difference = (found - expected + 180) % 360 - 180
    assert (difference.abs().dropna() < 1e-4).all()
    assert found.dropna().between(0, 360, inclusive="left").all()


def test_a_duplicate_keeps_its_heading_and_gives_none():
    rows = [{"t": t, "lon": 9.0, "lat": 48 + t * 1e-4} for t in range(4)]
    rows[1] |= {"lon": 9.00001, "heading": 7.0}
    images = cut_sequences(loops.frame(rows)).assign(is_duplicate=[False, True, True, False])
    for overwrite in (False, True):
        found = interpolate_directions(images, overwrite=overwrite)["compass_angle"]
        assert found.tolist() == pytest.approx([0, 7, np.nan, 0], nan_ok=True)
    assert interpolate_directions(images.assign(is_duplicate=True))["compass_angle"].notna().sum() == 1


def test_camera_at_rest_looks_where_it_goes_next_and_one_that_stays_where_it_came_from():
    lon = [9.0, 9.0, 9.001, 9.001, 9.001]
    images = cut_sequences(loops.frame([{"t": t, "lon": x, "lat": 0.0} for t, x in enumerate(lon)]))
    assert interpolate_directions(images)["compass_angle"].tolist() == [90] * 5
    still = cut_sequences(loops.frame([{"t": t, "lon": 9.0, "lat": 0.0} for t in range(3)]))
    assert interpolate_directions(still)["compass_angle"].isna().all()


def test_geolife_sample_is_cut_as_a_loop_cuts_it(geolife):
    for distance, time in ((600, 60), (50, 10)):
        assert partition(cut_sequences(geolife, cutoff_distance=distance, cutoff_time=time)) == sets(
            loops.cut(geolife, distance, time)
        )
    cut = cut_sequences(geolife, cutoff_time=1200, cutoff_distance=5000)
    expected = loops.directions(cut, overwrite=True)
    found = interpolate_directions(cut, overwrite=True)["compass_angle"]
    assert_series_equal(found, expected, check_names=False, rtol=0, atol=1e-5)
    assert cut["sequence_id"].nunique() == len(loops.cut(geolife, 5000, 1200))


@pytest.mark.parametrize("latitude", [0, 45, 70, 79.9, 85, 90])
def test_formula_for_short_lines_is_within_its_tolerance_of_proj(latitude):
    rng = np.random.default_rng(latitude == 45)
    lat = np.clip(rng.choice([-1, 1], 20_000) * latitude + rng.normal(0, 0.01, 20_000), -90, 90)
    lon, azimuth = rng.uniform(-180, 180, 20_000), rng.uniform(-180, 180, 20_000)
    length = rng.choice([0.1, 1, 10, 600, 1100, 20_000], 20_000)
    there = geodesy.destination(lon, lat, azimuth, length)
    exact, error = geodesy.distance(lon, lat, *there), geodesy.TOLERANCE_M
    assert np.abs(geodesy.lengths(lon, lat, *there) - exact).max() < error
    for limit in (0.1, 600.0, float(exact[0])):
        assert (geodesy.farther(lon, lat, *there, limit) == (exact > limit)).all()
    turn = (geodesy.bearings(lon, lat, *there) - geodesy.bearing(lon, lat, *there) + 180) % 360 - 180
    # Below a metre, the last digits of a longitude turn a bearing by more than the formula does.
    assert np.abs(turn[length >= 1]).max() < geodesy.TOLERANCE_DEGREES


def test_summary_of_the_bundled_images(images):
    sequences = summarise(images)
    frames.check(sequences, frames.SEQUENCES)
    assert sequences["images"].tolist() == [239, 188, 161, 50, 660]
    assert sequences["start"].is_monotonic_increasing
    assert sequences["is_pano"].tolist() == [False, False, False, False, True]
    for row in sequences.itertuples():
        members = images[images["sequence_id"] == row.sequence_id].sort_values("captured_at", kind="stable")
        assert row.length_m == pytest.approx(loops.GEOD.line_length(members.geometry.x, members.geometry.y), abs=1e-3)
        assert (row.start, row.end) == (members["captured_at"].min(), members["captured_at"].max())
        assert row.duration_s == (row.end - row.start).total_seconds()
        assert row.mean_speed_ms == pytest.approx(row.length_m / row.duration_s)
        assert row.creator_id == members["creator_id"].iloc[0]
        assert shapely.get_num_points(row.geometry) == row.images
    assert sequences.attrs["attribution"] == images.attrs["attribution"]


def test_summary_of_one_image_of_none_and_across_the_antimeridian():
    rows = [
        {"t": 0, "lon": 9.0, "lat": 48.0, "sequence": "one", "make": "Sony"},
        {"t": None, "lon": 9.0, "lat": 48.0, "sequence": "timeless"},
        {"t": 0, "lon": 179.999, "lat": 0.0, "sequence": "across"},
        {"t": 10, "lon": -179.997, "lat": 0.004, "sequence": "across", "make": "GoPro"},
        {"t": 0, "lon": 9.0, "lat": 48.0},
    ]
    sequences = summarise(loops.frame(rows)).set_index("sequence_id")
    assert set(sequences.index) == {"one", "timeless", "across"}
    assert sequences.loc["one", "geometry"].wkt == "LINESTRING (9 48, 9 48)"
    assert sequences.loc["one", "length_m"] == 0
    assert np.isnan(sequences.loc["one", "mean_speed_ms"])
    assert sequences.loc["timeless", "geometry"] is None
    assert sequences.loc["timeless", "images"] == 1
    assert shapely.to_wkt(sequences.loc["across", "geometry"]) == (
        "MULTILINESTRING ((179.999 0, 180 0.001), (-180 0.001, -179.997 0.004))"
    )
    assert sequences.loc["across", "length_m"] == pytest.approx(
        geodesy.distance(179.999, 0, -179.997, 0.004)[0], abs=1e-4
    )
    assert sequences.loc["across", "make"] == "GoPro"
    assert summarise(loops.frame([])).columns.tolist() == frames.empty(frames.SEQUENCES).columns.tolist()


def test_duplicates_are_counted_apart(images):
    flagged = flag_duplicates(images, duplicate_distance=1)
    sums = summarise(flagged)
    assert sums["duplicates"].sum() == flagged["is_duplicate"].sum() > 0


def test_what_makes_no_sense_is_refused():
    images = loops.frame([{"t": 0, "lon": 9.0, "lat": 48.0}])
    with pytest.raises(InputError, match="`cutoff_time` must be 0 or more, not -1"):
        cut_sequences(images, cutoff_time=-1)
    with pytest.raises(InputError, match="`cutoff_distance`"):
        cut_sequences(images, cutoff_distance=float("nan"))
    with pytest.raises(InputError, match="`max_images`"):
        split_sequences(images, max_images=0)
    with pytest.raises(InputError, match="`max_pixels` must be 1 or more"):
        split_sequences(images, max_pixels=0)
    with pytest.raises(InputError, match="`offset_angle`"):
        interpolate_directions(images, offset_angle=float("inf"))
    with pytest.raises(FrameError, match="'sequence_id'"):
        summarise(images.drop(columns="sequence_id"))
    with pytest.raises(FrameError, match="CRS"):
        cut_sequences(images.set_crs(3857, allow_override=True))


def test_empty_and_unusable_frames_pass():
    for images in (loops.frame([]), loops.frame([{"t": None, "lon": 9.0, "lat": 48.0}, {"t": 0, "lon": None}])):
        cut = cut_sequences(images)
        assert cut["sequence_id"].isna().all()
        assert not flag_duplicates(split_sequences(interpolate_directions(cut)))["is_duplicate"].any()
