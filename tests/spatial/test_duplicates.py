"""Duplicates against a plain loop, and what must not be one."""

import numpy as np
import pandas as pd
import pytest
from helpers import sequence_loops as loops
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from mlygeo.errors import FrameError, InputError
from mlygeo.spatial import duplicates, geodesy
from mlygeo.spatial.duplicates import flag_duplicates
from mlygeo.spatial.sequences import cut_sequences, interpolate_directions


def in_one_sequence(rows):
    return loops.frame(
        [{"t": t, "sequence": "s", "lon": 9.0, "lat": 48.0, "heading": 0.0} | row for t, row in enumerate(rows)]
    )


def north(metres):
    return float(geodesy.destination(9.0, 48.0, 0.0, metres)[1][0])


@settings(max_examples=60)
@given(
    loops.images(max_size=120),
    st.sampled_from([0.0, 0.1, 0.5, 40.0]),
    st.sampled_from([0.0, 1.0, 5.0, 180.0]),
    st.sampled_from(["keep", "travel"]),
)
def test_duplicates_are_those_of_a_loop(images, distance, angle, without):
    cut = cut_sequences(images)
    flagged = flag_duplicates(cut, duplicate_distance=distance, duplicate_angle=angle, without_heading=without)
    expected = loops.duplicates(cut, distance, angle, travel=without == "travel")
    assert flagged.index[flagged["is_duplicate"]].tolist() == sorted(expected, key=list(images.index).index)
    assert flagged["duplicate_of"].dropna().to_dict() == {row: images["path"][kept] for row, kept in expected.items()}
    assert_frame_equal(flagged[cut.columns.tolist()], cut)


@settings(max_examples=60)
@given(st.data())
def test_every_way_to_advance_a_chain_gives_the_same(data):
    """Few and many chains, long and short runs, blocks of any length: all are the loop."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n = int(rng.integers(2, 500))
    base, scale = rng.choice([0.0, 48.0, 79.9999, 85.0, -89.9999]), rng.choice([1e-8, 2e-7, 1e-6])
    limit = float(rng.choice([0.0, 0.1, 0.5, 30.0]))
    step = rng.normal(0, scale * (300 if limit == 30 else 1), (2, n)) * (rng.random((2, n)) < 0.7)
    lat, lon = base + np.cumsum(step[0]), (rng.choice([9.0, 180.0]) + np.cumsum(step[1]) + 180) % 360 - 180
    heading = (rng.normal(0, 3, n) % 360).round()
    heading[rng.random(n) < 0.01] = np.nan
    first = rng.random(n) < rng.choice([0.002, 0.1])
    first[0] = True
    free = rng.random(n) < rng.choice([0.01, 0.5]) if rng.random() < 0.5 else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "FEW_CHAINS", int(rng.choice([1, 3, 64])))
        patch.setattr(duplicates, "LONG_RUN", int(rng.choice([2, 8, 64])))
        patch.setattr(duplicates, "BLOCK", int(rng.choice([3, 17, 16384])))
        found = duplicates._keepers(lon, lat, heading, first, limit_m=limit, angle=5.0, free=free)
    expected, kept = np.full(n, -1), 0
    for row in range(1, n):
        turn = abs(heading[row] - heading[kept]) % 360
        near = loops.GEOD.inv(lon[kept], lat[kept], lon[row], lat[row])[2] <= limit
        same = min(turn, 360 - turn) <= 5 or (free is not None and (free[row] or free[kept]))
        if not first[row] and near and same:
            expected[row] = kept
        else:
            kept = row
    assert found.tolist() == expected.tolist()


def test_60_images_from_one_spot_with_one_heading_have_59_duplicates():
    flagged = flag_duplicates(in_one_sequence([{"heading": 123.0}] * 60))
    assert flagged["is_duplicate"].tolist() == [False] + [True] * 59
    assert set(flagged["duplicate_of"].dropna()) == {"a/00000.jpg"}


def test_creeping_camera_is_compared_with_the_last_image_kept():
    flagged = flag_duplicates(in_one_sequence([{"lat": north(0.04 * at)} for at in range(9)]))
    assert flagged["is_duplicate"].tolist() == [False, True, True] * 3


def test_example_of_the_older_tools_half_a_metre_and_one_degree():
    rows = [(0, 0), (0.4, 1), (0.4, 1.5), (0.9, 0.6), (1.0, 359.9), (1.0, 0.7)]
    images = in_one_sequence([{"lat": north(metres), "heading": heading} for metres, heading in rows])
    flagged = flag_duplicates(images, duplicate_distance=0.5, duplicate_angle=1)
    # Against the third, kept for its angle: half a metre and 0.9 degrees; then 0.6 m; then 0.8 degrees.
    assert flagged["is_duplicate"].tolist() == [False, True, False, True, False, True]
    assert not flag_duplicates(images, duplicate_distance=0.3, duplicate_angle=0.5)["is_duplicate"][1]


def test_limits_belong_to_duplicates_and_angles_go_the_shorter_way():
    exact = geodesy.distance(9.0, 48.0, 9.0, north(0.1))[0]
    pair = in_one_sequence([{"heading": 358.0}, {"heading": 3.0, "lat": north(0.1)}])
    assert flag_duplicates(pair, duplicate_distance=exact)["is_duplicate"][1]
    assert not flag_duplicates(pair, duplicate_distance=np.nextafter(exact, 0))["is_duplicate"][1]
    assert not flag_duplicates(pair, duplicate_distance=exact, duplicate_angle=4.999)["is_duplicate"][1]


def test_without_headings_there_are_no_duplicates():
    images = in_one_sequence([{"heading": np.nan}] * 5)
    assert not flag_duplicates(images)["is_duplicate"].any()
    mixed = in_one_sequence([{}, {"heading": np.nan}, {}, {}])
    assert flag_duplicates(mixed)["is_duplicate"].tolist() == [False, False, False, True]
    # A camera that rests on its way looks along the way, and is found.
    resting = in_one_sequence([{"heading": np.nan, "lat": north(metres)} for metres in (0, 0, 0, 20)])
    assert flag_duplicates(interpolate_directions(resting))["is_duplicate"].tolist() == [False, True, True, False]
    assert flag_duplicates(resting, without_heading="travel")["is_duplicate"].tolist() == [False, True, True, False]
    assert flag_duplicates(mixed, without_heading="travel")["is_duplicate"].tolist() == [False, False, False, True]
    assert not flag_duplicates(images, without_heading="travel")["is_duplicate"].any()
    with pytest.raises(InputError, match="`without_heading`"):
        flag_duplicates(images, without_heading="drop")


def test_positions_that_are_none_are_near_to_nothing():
    assert not flag_duplicates(in_one_sequence([{"lat": 91.0}] * 3))["is_duplicate"].any()


def test_other_sequences_and_images_without_one_are_not_compared():
    images = loops.frame(
        [{"t": t, "lon": 9.0, "lat": 48.0, "heading": 0.0, "sequence": s} for t, s in enumerate("aabb")]
    )
    assert flag_duplicates(images)["is_duplicate"].tolist() == [False, True, False, True]
    assert not flag_duplicates(images.assign(sequence_id=pd.Series([None] * 4, dtype="str")))["is_duplicate"].any()


def test_images_of_the_service_name_the_original_by_its_id(images):
    flagged = flag_duplicates(images, duplicate_distance=1)
    assert str(flagged["duplicate_of"].dtype) == "Int64"
    assert flagged["is_duplicate"].sum() > 10
    pairs = flagged[flagged["is_duplicate"]]
    kept = images.set_index("id").loc[pairs["duplicate_of"].astype("int64")]
    metres = geodesy.distance(pairs.geometry.x, pairs.geometry.y, kept.geometry.x, kept.geometry.y)
    assert metres.max() <= 1
    assert (kept["sequence_id"].to_numpy() == pairs["sequence_id"].to_numpy()).all()


@pytest.mark.parametrize("kind", ["rests", "creeps", "trembles"])
def test_long_chain_takes_no_longer_than_a_loop_over_it(kind):
    n, rng = 200_000, np.random.default_rng(0)
    lat = {"rests": np.zeros(n), "creeps": np.arange(n) * 5e-7, "trembles": rng.normal(0, 5e-7, n)}[kind]
    first = np.zeros(n, dtype=bool)
    first[0] = True
    tested = []
    test = duplicates._Test.__call__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            duplicates._Test, "__call__", lambda self, kept, rows: tested.append(len(rows)) or test(self, kept, rows)
        )
        keeper = duplicates._keepers(np.zeros(n), lat, np.zeros(n), first, limit_m=0.1, angle=5.0)
    assert (keeper >= 0).sum() == {"rests": n - 1, "creeps": n // 2, "trembles": (keeper >= 0).sum()}[kind]
    # Arrays are called for long runs only, not for every image.
    assert len(tested) < 300
    assert sum(tested) < 3 * n


def test_what_makes_no_sense_is_refused():
    images = in_one_sequence([{}])
    with pytest.raises(InputError, match="`duplicate_distance` must be 0 or more, not -1"):
        flag_duplicates(images, duplicate_distance=-1)
    with pytest.raises(InputError, match="`duplicate_angle`"):
        flag_duplicates(images, duplicate_angle=float("nan"))
    with pytest.raises(FrameError, match="'compass_angle'"):
        flag_duplicates(images.drop(columns="compass_angle"))
