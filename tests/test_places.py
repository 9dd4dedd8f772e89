"""The order of names: that of people, who count."""

import itertools
import re

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

import mlygeo
from mlygeo.places import natural_key

names = st.lists(
    st.one_of(
        st.text(alphabet="aAbB_-. /0123456789", max_size=8),
        st.from_regex(r"IMG_?[0-9]{1,6}(\.jpg|\.JPG)?", fullmatch=True),
        st.text(max_size=6),
        st.tuples(st.sampled_from(["a", "A"]), st.integers(0, 10**30)).map(lambda parts: f"{parts[0]}{parts[1]}"),
    ),
    max_size=12,
)


def counted(name):
    """Return a plain key: numbers of ten digits stand for themselves, and all else is lower-case text."""
    return re.sub(r"\d+", lambda digits: f"{int(digits[0]):010}", name.lower())


@settings(deadline=None)
@given(names=names)
def test_the_order_of_names_is_a_total_order(names):
    names = sorted(set(names), key=natural_key)
    for a, b in itertools.pairwise(names):
        assert natural_key(a) < natural_key(b)
        assert not natural_key(b) < natural_key(a)


@settings(deadline=None)
@given(
    names=st.lists(
        st.lists(st.one_of(st.integers(0, 10**9).map(str), st.sampled_from(["IMG_", "img", ".jpg", "-", " ", "a"])),
                 max_size=5).map("".join).filter(lambda name: not re.search(r"\d{10}", name)),
        max_size=12,
    )
)  # fmt: skip
def test_names_are_ordered_as_a_plain_loop_orders_them(names):
    assert [counted(name) for name in sorted(names, key=natural_key)] == sorted(map(counted, names))


@pytest.mark.parametrize(
    "ordered",
    [
        ["IMG_1.jpg", "IMG_2.jpg", "IMG_10.jpg", "IMG_100.jpg"],
        ["img_1", "IMG_2", "img_3", "IMG_10"],
        ["IMG.jpg", "IMG1.jpg", "IMG2.jpg"],
        ["IMG_01", "IMG_1", "IMG_02", "IMG_2", "IMG_010"],
        ["1.2.9", "1.2.10", "1.10.1"],
        ["100GOPRO/G2.jpg", "100GOPRO/G10.jpg", "101GOPRO/G1.jpg", "1000GOPRO/G1.jpg"],
        ["a/9.jpg", "a b/1.jpg", "a1/1.jpg"],
        ["C:\\a\\2.jpg", "C:\\a\\10.jpg"],
        ["\u0662.jpg", "\u0663.jpg", "\u0661\u0660.jpg"],
        ["IMG_1.jpg", "IMG_٢.jpg", "IMG_3.jpg", "IMG_\uff11\uff10.jpg"],
        ["cafe\u0301 2", "caf\u00e9 10"],
        ["9" * 5000, "1" + "0" * 5000, "1" * 70_000],
        ["a²b1", "a²b2", "a²b10"],
    ],
)
def test_numbers_in_names_count(ordered):
    assert sorted(set(ordered), key=natural_key) == ordered


def test_photos_are_read_in_the_order_of_their_numbers(tmp_path):
    from helpers.photo_folders import picture

    expected = [*(f"b{folder}/IMG_{number}.jpg" for folder in (2, 10) for number in (1, 2, 9, 10, 11))]
    for name in expected:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture(1))
    images = mlygeo.read_photos(tmp_path)
    assert [path.removeprefix(f"{tmp_path}/") for path in images["path"]] == expected
    images = mlygeo.extract_user_data(tmp_path, user_name="jane")
    assert [path.removeprefix(f"{tmp_path}/") for path in images["path"]] == expected


def test_an_upload_has_photos_of_one_time_in_the_order_of_their_numbers(tmp_path):
    from helpers.upload_folders import photo, with_description

    from mlygeo.uploads.found import gather

    told = {"MAPLatitude": 1.0, "MAPLongitude": 2.0, "MAPCaptureTime": "2024_01_01_00_00_00_000"}
    for number in (10, 9, 2, 11, 1):
        (tmp_path / f"IMG_{number}.jpg").write_bytes(with_description(photo(number), told))
    (sequence,) = gather(tmp_path).sequences
    assert [each.path.rpartition("_")[2] for each in sequence.photos] == [f"{n}.jpg" for n in (1, 2, 9, 10, 11)]


def test_videos_and_tracks_of_a_folder_are_in_the_order_of_their_numbers(tmp_path):
    from mlygeo.pipelines.geotagging import _found
    from mlygeo.pipelines.video import _files
    from mlygeo.video.frames import find_videos

    for number in (10, 9, 1):
        for ending in (".mp4", ".gpx"):
            (tmp_path / f"ride {number}{ending}").write_bytes(b"")
    videos = [path.name for path, _ in find_videos([tmp_path])]
    assert videos == [f"ride {number}.mp4" for number in (1, 9, 10)]
    assert [path.name for path in _found(tmp_path, (".gpx",))] == [f"ride {number}.gpx" for number in (1, 9, 10)]
    names = [path.name for path in _files([tmp_path], skip_subfolders=False)]
    assert names == [f"ride {number}{ending}" for number in (1, 9, 10) for ending in (".gpx", ".mp4")]
