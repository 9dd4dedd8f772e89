"""Copies of pictures in other sequences: a plain loop over all pairs, laws, and each limit by itself."""

import itertools

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from mlygeo import flag_copies, frames
from mlygeo.errors import FrameError, InputError
from mlygeo.spatial import copies, geodesy

T0 = pd.Timestamp("2024-06-30T12:00:00Z")
COLUMNS = ["is_copy", "copy_of", "copy_group", "copy_by"]
NEAR_LON = 2 / 73_000
"""Two metres along the parallel of Stuttgart, degrees."""


def frame(*rows, lat=48.77):
    """Images from dicts: lon, lat, t (seconds), sequence, heading, size, phash, provider."""
    table = pd.DataFrame(list(rows))
    get = lambda name, default: table[name] if name in table else pd.Series([default] * len(table))
    columns = {
        "id": np.arange(len(table)) + 1,
        "sequence_id": get("sequence", None).astype("str"),
        "captured_at": pd.Series([T0 + pd.Timedelta(seconds=float(t)) for t in get("t", 0.0)]).dt.as_unit("ms"),
        "compass_angle": get("heading", np.nan).astype(float),
    }
    more = {name: table[name] for name in ("phash", "width", "height") if name in table}
    return gpd.GeoDataFrame(
        {**columns, **more}, geometry=gpd.points_from_xy(get("lon", 9.17), get("lat", lat)), crs=4326
    )


def flags(images, **options):
    return flag_copies(images, **options)["is_copy"].tolist()


def test_the_same_picture_at_two_contributors_is_one_copy():
    images = frame(
        {"sequence": "a", "t": 0.4, "lon": 9.17, "heading": 90, "phash": "00ff00ff00ff00ff"},
        {"sequence": "b", "t": 0.0, "lon": 9.17 + NEAR_LON, "heading": 95, "phash": "00ff00ff00ff00fe"},
        {"sequence": "b", "t": 9.0, "lon": 9.17, "heading": 90, "phash": "00ff00ff00ff00ff"},
    )
    found = flag_copies(images)
    assert found["is_copy"].tolist() == [True, False, False], "the earlier one is the first"
    assert found["copy_of"].iloc[0] == 2
    assert found["copy_of"].isna().tolist() == [False, True, True]
    assert found["copy_group"].iloc[:2].tolist() == [0, 0]
    assert pd.isna(found["copy_group"].iloc[2])
    assert found["copy_by"].iloc[:2].tolist() == ["picture", "picture"]
    assert [str(found[name].dtype) for name in COLUMNS] == ["bool", "Int64", "Int64", "str"]
    assert_frame_equal(found.drop(columns=COLUMNS), images)


@pytest.mark.parametrize(
    ("other", "options", "is_copy"),
    [
        ({}, {}, True),
        ({"sequence": "a"}, {}, False),
        ({"lon": 9.17 + 4.9 / 73_500}, {}, True),
        ({"lon": 9.17 + 6 / 73_500}, {}, False),
        ({"lon": 9.17 + 6 / 73_500}, {"max_distance": 7}, True),
        ({"t": 1.0}, {}, True),
        ({"t": 1.01}, {}, False),
        ({"t": 1.01}, {"max_time": 2}, True),
        ({"heading": 99.9}, {}, True),
        ({"heading": 101}, {}, False),
        ({"heading": 101}, {"max_angle": 11}, True),
        ({"heading": np.nan}, {}, True),
        ({"phash": "f" * 16}, {}, False),
        ({"phash": "000000000000003f"}, {}, True),
        ({"phash": "000000000000007f"}, {}, False),
        ({"phash": "000000000000007f"}, {"max_bits": 7}, True),
        ({"phash": None}, {}, True),
        ({"width": 2048, "height": 1024}, {}, False),
        ({"width": 1536, "height": 2048}, {}, True),
        ({"width": 1023, "height": 768}, {}, True),
        ({"width": None, "height": None}, {}, True),
    ],
)
def test_each_limit_by_itself(other, options, is_copy):
    one = {"sequence": "a", "t": 0.0, "lon": 9.17, "heading": 90.0, "phash": "0" * 16, "width": 4000, "height": 3000}
    assert flags(frame(one, {**one, "sequence": "b", **other}), **options) == [False, is_copy]


def test_headings_are_compared_the_shorter_way_round():
    assert flags(frame({"sequence": "a", "heading": 358}, {"sequence": "b", "heading": 3})) == [False, True]


def test_what_has_no_hash_rests_on_place_and_time_and_so_does_its_first():
    hashes = ["0" * 16, "0" * 16, None]
    images = frame(*({"sequence": name, "phash": phash} for name, phash in zip("abc", hashes, strict=True)))
    found = flag_copies(images)
    assert found["copy_by"].tolist() == ["place and time", "picture", "place and time"]
    assert found["copy_of"].tolist()[1:] == [1, 1]


def test_copies_across_the_antimeridian_and_at_the_pole():
    one = {"sequence": "a", "lon": 179.99999, "lat": 0.0}
    assert flags(frame(one, {"sequence": "b", "lon": -179.99999, "lat": 0.0})) == [False, True]
    pole = [{"sequence": name, "lon": lon, "lat": 89.99999} for name, lon in (("a", 0.0), ("b", 120.0), ("c", -120.0))]
    assert flags(frame(*pole)) == [False, True, True]


def test_the_same_sequence_of_two_providers_is_two(images):
    one = images.iloc[:50].assign(id=images["id"].iloc[:50].astype(str), provider="mapillary")
    two = one.assign(provider="panoramax", id=[f"x{number}" for number in range(50)])
    both = pd.concat([two, one], ignore_index=True)
    assert not flag_copies(one, max_time=0)["is_copy"].any()
    found = flag_copies(both, max_distance=0.01, max_time=0)
    assert found["is_copy"].tolist() == [True] * 50 + [False] * 50, "ties go to the first provider by name"
    assert found["copy_of"].iloc[:50].tolist() == one["id"].tolist()


def test_photos_without_sequences_are_told_by_their_folders():
    photos = pd.DataFrame(
        {
            "path": ["/b/1.jpg", "/a/1.jpg", "/a/2.jpg"],
            "folder": ["/b", "/a", "/a"],
            "captured_at": [T0] * 3,
            "is_pano": False,
            "compass_angle": 0.0,
        }
    )
    photos = frames.conform(
        gpd.GeoDataFrame(photos, geometry=gpd.points_from_xy([9.17] * 3, [48.77] * 3), crs=4326), frames.LOCAL_IMAGES
    )
    found = flag_copies(photos)
    assert found["copy_of"].tolist()[0] == "/a/1.jpg"
    assert found["is_copy"].tolist() == [True, False, True], "copies of a copy are of one group"


def by_loop(images, max_distance=5.0, max_time=1.0, max_angle=10.0, max_bits=6):
    """The groups of rows, by comparing all pairs."""
    rows = list(images.itertuples())
    lon, lat = frames.lonlat(images)
    leader = list(range(len(rows)))

    def find(row):
        while leader[row] != row:
            row = leader[row]
        return row

    for one, other in itertools.combinations(range(len(rows)), 2):
        a, b = rows[one], rows[other]
        if a.sequence_id == b.sequence_id or pd.isna(a.captured_at) or pd.isna(b.captured_at):
            continue
        if abs((a.captured_at - b.captured_at).total_seconds()) > max_time:
            continue
        if not geodesy.distance(lon[one], lat[one], lon[other], lat[other]) <= max_distance:
            continue
        turn = abs(a.compass_angle - b.compass_angle) % 360
        if min(turn, 360 - turn) > max_angle:
            continue
        if (
            isinstance(a.phash, str)
            and isinstance(b.phash, str)
            and (int(a.phash, 16) ^ int(b.phash, 16)).bit_count() > max_bits
        ):
            continue
        leader[find(other)] = find(one)
    groups = {}
    for row in range(len(rows)):
        groups.setdefault(find(row), []).append(row)
    return sorted(members for members in groups.values() if len(members) > 1)


def drawn(count, seed, lat):
    rng = np.random.default_rng(seed)
    rows = [
        {
            "sequence": str(rng.choice(list("abcde"))), "t": float(rng.integers(0, 8)) / 2, "heading": float(rng.choice([0, 5, 12, 355, np.nan])),
            "lon": float(rng.choice([9.17, 180, -180, 179.99999]) + rng.integers(-4, 5) * 1e-5), "lat": min(lat + float(rng.integers(-4, 5)) * 1e-5, 90.0),
            "phash": rng.choice([None, f"{int(rng.integers(0, 4)):016x}", "f" * 16]),
        }
        for _ in range(count)
    ]  # fmt: skip
    images = frame(*rows)
    images.loc[images.index[rng.random(count) < 0.05], "captured_at"] = pd.NaT
    images["geometry"] = images.geometry.where(rng.random(count) > 0.05)
    return images


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 48.77, -66.0, 89.9999, -90.0]),
    st.sampled_from([1.0, 5.0, 30.0]),
)
def test_groups_are_those_of_a_loop(count, seed, lat, max_distance):
    images = drawn(count, seed, max(lat, -89.9999))
    found = flag_copies(images, max_distance=max_distance)
    numbers = found["copy_group"].dropna().unique()
    groups = [np.flatnonzero(found["copy_group"].eq(number).fillna(value=False)).tolist() for number in sorted(numbers)]
    assert sorted(numbers) == list(range(len(numbers)))
    assert sorted(groups) == by_loop(images, max_distance=max_distance)
    for members in groups:
        first = found.iloc[members][~found.iloc[members]["is_copy"]]
        assert len(first) == 1
        assert set(found.iloc[members]["copy_of"].dropna()) == set(first["id"])
        assert first["captured_at"].iloc[0] == found.iloc[members]["captured_at"].min()


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 60), st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(count, seed):
    images = drawn(count, seed, 48.77)
    shuffled = images.sample(frac=1, random_state=seed)
    assert_frame_equal(flag_copies(shuffled).loc[images.index], flag_copies(images))


def test_shares_of_pairs_change_nothing(monkeypatch):
    images = drawn(200, 3, 48.77)
    whole = flag_copies(images)
    monkeypatch.setattr(copies, "AT_ONCE", 7)
    assert_frame_equal(flag_copies(images), whole)


def test_made_up_times_and_places_are_refused(monkeypatch):
    monkeypatch.setattr(copies, "MOST_PAIRS", 1000)
    with pytest.raises(FrameError, match="nearly the same place and time"):
        flag_copies(frame(*({"sequence": str(number)} for number in range(60))))


def test_an_empty_frame_gets_the_columns():
    assert flag_copies(frames.empty(frames.IMAGES)).columns[-4:].tolist() == COLUMNS


@pytest.mark.parametrize(
    ("option", "value"),
    [("max_distance", -1), ("max_time", 1e9), ("max_angle", 181), ("max_bits", 65)],
)
def test_limits_without_sense_are_refused(option, value):
    with pytest.raises(InputError, match=f"`{option}` must lie between"):
        flag_copies(frame({"sequence": "a"}), **{option: value})


def test_images_without_names_are_refused():
    with pytest.raises(FrameError, match="neither ids nor paths"):
        flag_copies(frame({"sequence": "a"}).drop(columns="id"))
