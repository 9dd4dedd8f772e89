"""The order of names: that of people, who count. Files that end, and those that never do."""

import itertools
import os
import re
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import hypothesis.strategies as st
import pytest
from helpers.unix import needs_unix
from hypothesis import given, settings

import mlygeo
from mlygeo import places, store
from mlygeo.errors import FileError, FormatError
from mlygeo.places import natural_key
from mlygeo.readers import id_lists

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


POSIX = needs_unix("such files")


@contextmanager
def a_pipe(command):
    """What a shell makes of <(command): the path of a pipe that a program writes to."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, shell=True, stderr=subprocess.DEVNULL) as program:
        yield f"/dev/fd/{program.stdout.fileno()}"
        program.kill()
        program.stdout.close()


@POSIX
@pytest.mark.parametrize(
    "path", ["/dev/zero", "/dev/urandom", "/dev/full", "/proc/self/mem", "/proc/self/pagemap", "/"]
)
def test_what_never_ends_is_not_opened(path, tmp_path):
    link = tmp_path / "link.txt"
    link.symlink_to(path)
    for each in (path, link):
        with pytest.raises(OSError, match=r"it is a device or a socket, not a file|Is a directory"):
            places.content_of(each, 10)
    assert places.is_device(path) == (path != "/")


@POSIX
def test_a_pipe_that_nobody_writes_to_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    began = time.monotonic()
    with pytest.raises(OSError, match="nothing comes from the pipe"):
        places.content_of(tmp_path / "pipe", 10)
    assert time.monotonic() - began < 1


@POSIX
@pytest.mark.parametrize("command", ["echo 12 > pipe", "sleep 0.2; echo 12 > pipe", "(sleep 0.7; echo 12) > pipe"])
def test_a_named_pipe_waits_for_its_writer(command, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(command, shell=True, cwd=tmp_path) as writer:
        assert places.content_of(tmp_path / "pipe", 100) == b"12\n"
    assert writer.returncode == 0


@POSIX
def test_a_pipe_is_read_to_its_end(monkeypatch):
    with a_pipe("sleep 0.3; echo 12; sleep 0.1; echo 34") as path:
        assert places.content_of(path, 100) == b"12\n34\n"
    with a_pipe("echo 12; echo 34") as path:
        assert id_lists.read_ids(path).tolist() == [12, 34]
    with a_pipe("yes") as path, pytest.raises(OSError, match="more than 64 MiB come from the pipe"):
        places.content_of(path, 10)
    monkeypatch.setattr(places, "PIPE_S", 0.2)
    with a_pipe("exec sleep 30") as path, pytest.raises(OSError, match="the pipe did not end within 0 s"):
        places.content_of(path, 10)


@settings(deadline=None)
@given(content=st.binary(max_size=100), most=st.integers(0, 100))
def test_no_more_is_read_than_was_asked_for(content, most, tmp_path_factory):
    path = tmp_path_factory.mktemp("content") / "file"
    path.write_bytes(content)
    assert places.content_of(path, most) == content[: most + 1]


def test_the_empty_device_is_an_empty_file():
    assert places.content_of(os.devnull, 10) == b""


@POSIX
@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "pipe"])
def test_no_device_is_replaced_by_a_file(path, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="is a pipe or a device, and would be replaced"):
        store.write_text("text", tmp_path / path)
    assert not (tmp_path / path).is_file()
    assert not list(Path("/dev").glob(".*.part"))


def test_a_line_without_end_is_no_list(tmp_path):
    path = tmp_path / "ids.txt"
    with path.open("wb") as file:
        file.truncate(200 << 20)
    with pytest.raises(FormatError, match="has a line of more than 16,777,216 characters"):
        id_lists.read_ids(path)
