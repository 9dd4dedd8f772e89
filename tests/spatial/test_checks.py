"""What looks wrong with images, and what the explanations say."""

import numpy as np
import pandas as pd
import pytest
from helpers import sequence_loops as loops
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.errors import InputError
from mlygeo.spatial import geodesy
from mlygeo.spatial.checks import check_images


def along(metres, seconds=None, **columns):
    """Return images on a line due east, so many metres from its start."""
    lon, lat = geodesy.destination(9.0, 48.0, 90.0, np.asarray(metres, dtype=float))
    seconds = range(len(metres)) if seconds is None else seconds
    rows = [{"t": t, "lon": x, "lat": y} for t, x, y in zip(seconds, lon, lat, strict=True)]
    return loops.frame([row | {name: values[at] for name, values in columns.items()} for at, row in enumerate(rows)])


def flagged(images, text, **options):
    problem = check_images(images, **options)["problem"]
    return problem.index[problem.str.contains(text, regex=False).fillna(value=False).astype(bool)].tolist()


def test_ordinary_drive_has_no_problem(images):
    assert check_images(along(np.arange(0, 500, 10)))["problem"].isna().all()
    assert not check_images(images)["problem"].str.contains("km/h").any()
    assert len(check_images(loops.frame([]))) == 0


def test_position_zero_is_flagged_and_takes_no_part_in_speeds():
    images = along([0, 10, 20])
    images.loc[1, "geometry"] = loops.shapely.Point(0, 0)
    checked = check_images(images)
    assert checked["problem"].tolist()[1] == "position (0, 0), which means that there is none"
    assert checked["problem"].isna().tolist() == [True, False, True]


def test_speed_is_that_from_the_image_before():
    images = along([0, 100, 230, 330], seconds=[0, 1, 2, 3])
    problem = check_images(images)["problem"]
    assert problem.isna().tolist() == [True, True, False, True]
    assert problem[2] == "130 m in 1 s from the image before, that is 468 km/h (at most 400)"
    assert flagged(images, "km/h", max_speed=300) == [1, 2, 3]
    assert flagged(images, "km/h", max_speed=500) == []
    with pytest.raises(InputError, match="`max_speed`"):
        check_images(images, max_speed=0)


def test_folders_and_cameras_have_speeds_of_their_own():
    assert flagged(along([0, 5000, 1, 5001], folder=list("abab")), "km/h") == []
    assert flagged(along([0, 5000, 1, 5001], make=list("abab")), "km/h") == []
    images = along([0, 5000, 1, 5001]).drop(columns="folder").assign(sequence_id=pd.Series(list("abab"), dtype="str"))
    assert flagged(images, "km/h") == []
    assert flagged(images.assign(sequence_id=pd.Series(list("aabb"), dtype="str")), "km/h") == [1, 3]


def test_images_of_one_time_are_flagged_for_that_alone():
    problem = check_images(along([0, 10, 20, 30], seconds=[0, 0, 0, 1]))["problem"]
    assert problem.tolist()[:3] == ["3 images of its folder have this capture time"] * 3
    assert problem.isna()[3]
    assert flagged(along([0, 10], seconds=[0, 0], folder=["a", "b"]), "capture time") == []


def test_way_that_jumps_off_and_back_is_a_zigzag_and_a_turn_is_not():
    way = np.arange(0, 200, 10.0)
    way[10] += 100
    assert flagged(along(way), "zig-zag") == [10]
    way[11] += 100
    assert flagged(along(way), "zig-zag") == [10, 11]
    turn = np.r_[np.arange(0, 100, 10.0), np.arange(90, 0, -10.0)]
    assert flagged(along(turn), "zig-zag") == []
    assert (
        flagged(along(way, seconds=np.where(np.arange(20) < 12, np.arange(20), np.arange(20) + 100)), "zig-zag") == []
    )


def test_way_that_comes_back_a_little_is_none():
    # The sixth comes back to 0.82 or to 0.78 of the way that the fifth had gone.
    assert flagged(along([0, 50, 100, 150, 200, 164], seconds=np.arange(6) * 10), "zig-zag") == []
    assert flagged(along([0, 50, 100, 150, 200, 156], seconds=np.arange(6) * 10), "zig-zag") == [4]


def loop_zigzags(x, window=5, share=0.8, jump=30.0):
    """The rule of mapillary_tools on one line, where distances are differences."""
    found = set()
    for at in range(window, len(x)):
        back, ref = abs(x[at] - x[at - window]), x[at - window]
        for away in range(at - 1, at - window, -1):
            if not (abs(x[away] - x[at]) > jump and back < abs(x[away] - ref) * share):
                break
            found.add(away)
    return sorted(found)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 30), max_size=60))
def test_zigzags_are_those_of_a_loop(tens):
    metres = [ten * 13.0 + at * 0.37 for at, ten in enumerate(tens)]
    assert flagged(along(metres, seconds=np.arange(len(metres)) * 60), "zig-zag") == loop_zigzags(metres)


@settings(max_examples=60)
@given(loops.images(), st.integers(0, 2**31))
def test_order_of_rows_does_not_matter(images, seed):
    shuffled = check_images(images.sample(frac=1, random_state=seed))["problem"].reindex(images.index)
    pd.testing.assert_series_equal(shuffled, check_images(images)["problem"])


def test_images_with_an_error_or_flagged_as_duplicates_are_passed_over():
    images = along([0, 5000, 10, 20], error=[None, "broken", None, None])
    assert check_images(images)["problem"].isna().all()
    twice = along([0, 5000, 10, 20]).assign(is_duplicate=[False, True, False, False])
    assert check_images(twice)["problem"].isna().all()


def test_times_outside_the_track_name_the_likely_clock_error():
    track = loops.track([{"t": t, "lon": 9.0 + t * 1e-4, "lat": 48.0} for t in range(100)])
    inside = along(np.arange(0, 900, 10))
    assert check_images(inside, track=track)["problem"].isna().all()
    late = inside.assign(captured_at=inside["captured_at"] + np.timedelta64(2, "h"))
    problem = check_images(late, track=track)["problem"]
    assert problem.notna().all()
    assert problem[0] == (
        "captured 1 h 58 min after the track ends (2024-06-30T12:01:39Z); the camera's clock seems to be"
        " 2 h ahead (its time zone?): try `offset_time=7200`"
    )


def test_several_problems_of_one_image_stand_together():
    images = along([0, 0, 5000], seconds=[0, 1, 1], folder=["a", "a", "a"])
    problem = check_images(images.set_geometry(images.geometry), max_speed=1)["problem"]
    assert problem[1] == "2 images of its folder have this capture time"
    images = along([0, 5000, 5000], seconds=[0, 1, 1])
    problem = check_images(images)["problem"]
    assert problem[1] == (
        "5,000 m in 1 s from the image before, that is 18,000 km/h (at most 400); 2 images of its folder have this capture time"
    )
