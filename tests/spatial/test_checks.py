"""What looks wrong with images, and what the explanations say."""

import numpy as np
import pandas as pd
import pytest
from helpers import sequence_loops as loops
from hypothesis import assume, given, settings
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


# Dates.


def dated(*times, names=None, **columns):
    """Return images with these capture times, named IMG_8.jpg, IMG_9.jpg, …, one every 10 m."""
    images = along(np.arange(len(times)) * 10, **columns)
    names = [f"IMG_{number + 8}.jpg" for number in range(len(times))] if names is None else names
    return images.assign(
        captured_at=pd.to_datetime(list(times), utc=True, format="ISO8601").as_unit("ms"),
        path=pd.Series([f"a/{name}" for name in names], dtype="str"),
    )


def moments(count, start="2022-09-10T12:00:00Z", **step):
    return [pd.Timestamp(start) + at * pd.Timedelta(**(step or {"seconds": 2})) for at in range(count)]


NOW = pd.Timestamp("2026-11-28T12:00:00Z").to_pydatetime()


@pytest.mark.parametrize(
    ("time", "now", "expected"),
    [
        ("1980-01-06T00:00:00Z", None, "captured 1980-01-06 00:00:00, before 1995"),
        ("1994-12-31T23:59:59Z", NOW, "captured 1994-12-31 23:59:59, before 1995"),
        ("1995-01-01T00:00:00Z", NOW, None),
        ("2099-01-01T00:00:00Z", NOW, "captured 2099-01-01 00:00:00, in the future"),
        ("2562-09-10T12:00:00Z", NOW, "captured 2562-09-10 12:00:00, in the future"),
        ("2026-11-30T12:00:00Z", NOW, "captured 2026-11-30 12:00:00, in the future"),
        ("2026-11-29T11:00:00Z", NOW, None),
        ("2099-01-01T00:00:00Z", None, None),
        (None, NOW, None),
    ],
)
def test_dates_of_no_digital_camera_are_flagged(time, now, expected):
    problem = check_images(dated(time), now=now)["problem"][0]
    assert (None if pd.isna(problem) else problem) == expected
    # The reader knows more, and says it first.
    told = dated(time).assign(warning=pd.Series([f"its GPS time is {expected}"], dtype="str"))
    assert check_images(told, now=now)["problem"][0] == f"its GPS time is {expected}"


def test_now_has_a_time_zone():
    with pytest.raises(InputError, match="`now` must have a time zone"):
        check_images(dated("2022-01-01T00:00:00Z"), now=NOW.replace(tzinfo=None))


def test_what_readers_doubt_comes_first():
    images = along([0, 0, 5000], seconds=[0, 1, 1]).assign(
        warning=pd.Series([None, "two headings", "odd"], dtype="str"), error=pd.Series([None, None, "bad"], dtype="str")
    )
    problem = check_images(images, max_speed=1)["problem"]
    assert problem.isna().tolist() == [True, False, True]
    assert problem[1] == "two headings"
    images["error"] = None
    assert check_images(images)["problem"][1] == "two headings; 2 images of its folder have this capture time"


DAY, ROLLED = pd.Timedelta(days=1), pd.Timedelta(weeks=1024)
WEEKS = " (1024 weeks: a roll-over of the GPS week number?)"
DAYS = " ({} to the minute: a date that changed late?)"


@pytest.mark.parametrize(
    ("place", "shift", "expected"),
    [
        (2, -ROLLED, "captured 2003-01-25 12:00:04, 19.6 years before IMG_9.jpg, against their numbers" + WEEKS),
        (2, -DAY, "captured 2022-09-09 12:00:04, 23 h 59 min before IMG_9.jpg, against their numbers" + DAYS.format("1 day")),
        (2, 3 * DAY, "captured 2022-09-13 12:00:04, 2 d 23 h after IMG_11.jpg, against their numbers" + DAYS.format("3 days")),
        (1, -2 * DAY, "captured 2022-09-08 12:00:02, 1 d 23 h before IMG_8.jpg, against their numbers" + DAYS.format("2 days")),
        (6, 2 * DAY, "captured 2022-09-12 12:00:12, 1 d 23 h after IMG_15.jpg, against their numbers" + DAYS.format("2 days")),
        (2, -DAY / 24 * 20, "captured 2022-09-09 16:00:04, 19 h 59 min before IMG_9.jpg, against their numbers"),
        (0, -ROLLED, "captured 2003-01-25 12:00:00, 19.6 years before most images of its folder" + WEEKS),
        (7, 900 * DAY, "captured 2025-02-26 12:00:14, 2.5 years after most images of its folder" + DAYS.format("900 days")),
    ],
)  # fmt: skip
def test_times_that_contradict_file_numbers_or_most_others_are_flagged(place, shift, expected):
    times = moments(8)
    times[place] += shift
    problem = check_images(dated(*times), now=NOW)["problem"]
    assert problem.notna().tolist() == [at == place for at in range(8)]
    assert problem[place] == expected


@pytest.mark.parametrize("wrong", [[2, 3], [1, 2], [0, 1, 2], [3, 5], [1, 2, 5]])
def test_several_wrong_dates_do_not_outvote_most_others(wrong):
    times = moments(8)
    for place in wrong:
        times[place] -= ROLLED
    problem = check_images(dated(*times), now=NOW)["problem"]
    assert np.flatnonzero(problem.notna()).tolist() == wrong
    assert problem[wrong].str.endswith(WEEKS).all()


@pytest.mark.parametrize(
    ("times", "names"),
    [
        (moments(12, days=40), None),  # some hours a month, over a year
        (moments(3) + moments(3, "2025-03-01T10:00:00Z"), None),  # two rides in one folder
        (moments(6)[::-1], None),  # a camera that counts down for seconds
        (moments(8, hours=5), [f"IMG_{number}.jpg" for number in (9995, 9996, 9997, 9999, 1, 2, 3, 4)]),
        (moments(12, days=1), [f"{number}.jpg" for number in np.random.default_rng(0).permutation(12)]),
        (moments(4, days=1), ["d.jpg", "c.jpg", "b.jpg", "a.jpg"]),
        (moments(4) + ["2022-09-09T12:00:00Z"] * 2, ["DSC_10.jpg", *(f"DSC_{n}.jpg" for n in (11, 12, 13)), "x1.jpg", "x2.jpg"]),
    ],
)  # fmt: skip
def test_names_and_dates_that_are_no_contradiction(times, names):
    images = check_images(dated(*times, names=names), now=NOW)
    assert not images["problem"].str.contains("numbers|most").fillna(value=False).astype(bool).any()


def test_each_device_and_folder_has_its_own_dates():
    times = [time for pair in zip(moments(4), moments(4, "2019-01-01T10:00:00Z"), strict=True) for time in pair]
    for column in ("folder", "make"):
        images = dated(*times, **{column: list("abababab")})
        images["path"] = [f"{folder}/{path[2:]}" for folder, path in zip(images["folder"], images["path"], strict=True)]
        assert check_images(images, now=NOW)["problem"].isna().all()
    images = dated(*times[:-1], width=[4000, 3000] * 3 + [4000], height=[3000, 4000] * 3 + [3000])
    assert check_images(images, now=NOW)["problem"].notna().sum() == 3, "a picture's size is no other clock"


@settings(max_examples=60, deadline=None)
@given(
    st.integers(6, 40),
    st.lists(st.tuples(st.integers(0, 39), st.integers(-9000, 1500).filter(lambda days: abs(days) > 1)), max_size=3),
    st.integers(0, 2**31),
)
def test_a_few_wrong_dates_among_many_are_found_and_no_others(count, wrong, seed):
    changes = {place % count: days for place, days in wrong}
    alone = all(abs(one - other) > 2 for one in changes for other in changes if one != other)
    assume(alone and all(abs(days) > 400 or 0 < place < count - 1 for place, days in changes.items()))
    times = moments(count)
    for place, days in changes.items():
        times[place] += pd.Timedelta(days=days)
    images = dated(*times).sample(frac=1, random_state=seed)
    found = check_images(images, now=NOW)["problem"].dropna().index
    assert set(found) == set(changes)
