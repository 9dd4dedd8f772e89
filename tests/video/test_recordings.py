"""When each of several videos begins: chapters of one recording, and videos that contradict each other."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import video_files as made
from helpers.video_files import START, with_track

import mlygeo
from mlygeo.errors import InputError
from mlygeo.video.recordings import LOCAL_TIME, NO_TIME

pytest.importorskip("av", reason="frames need PyAV")

START_MS = round(START.timestamp() * 1000)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Videos of 2 and 3 seconds: of the creation time START, and of none."""
    folder = tmp_path_factory.mktemp("clips")
    return {
        (seconds, created): made.pictures(
            folder / f"{seconds}-{created}.mp4", seconds=seconds, size=(64, 64), created=created, options={"preset": "ultrafast"}
        )
        for seconds in (2, 3)
        for created in ("2024-05-05T10:00:00Z", "2024-05-05T10:00:02Z", "2024-05-05T11:00:00Z", None)
    }  # fmt: skip


def folder_of(clips, folder, videos):
    """Put videos of some seconds and creation times into a folder, by name."""
    for name, (seconds, created) in videos.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clips[seconds, created and f"2024-05-05T{created}Z"], path)
    return folder


def begins(images):
    """The seconds after START at which each video begins, by name; None where unknown."""
    first = images.drop_duplicates("video")
    seconds = (first["captured_at"] - START).dt.total_seconds()
    return {
        Path(video).name: None if pd.isna(second) else second
        for video, second in zip(first["video"], seconds, strict=True)
    }


CHAPTERS = {
    "HERO6 and later": ("GX010042.MP4", "GX020042.MP4", "GX030042.MP4"),
    "HERO5 and earlier": ("GOPR0042.MP4", "GP010042.MP4", "GP020042.MP4"),
    "a Fusion's front": ("GPFR0042.MP4", "GF010042.MP4", "GF020042.MP4"),
    "numbers at the end": (
        "VID_20240505_100000_00_001.mp4", "VID_20240505_100000_00_002.mp4", "VID_20240505_100000_00_003.mp4",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHAPTERS)
def test_chapters_follow_one_another(clips, tmp_path, kind):
    names = CHAPTERS[kind]
    videos = dict.fromkeys(names[:1], (3, "10:00:00")) | dict.fromkeys(names[1:], (2, "10:00:00"))
    folder = folder_of(clips, tmp_path / "videos", videos)
    images = mlygeo.sample_video(folder, video_sample_interval=1)
    assert begins(images) == dict(zip(names, (0, 3, 5), strict=True))
    assert images["captured_at"].is_unique
    assert images["warning"].isna().all()
    option = mlygeo.sample_video(
        folder, video_sample_interval=1, video_start_time=START_MS + 60_000, import_path=tmp_path / "option",
        video_duration_ratio=2,
    )  # fmt: skip
    assert begins(option) == dict(zip(names, (60, 66, 70), strict=True))
    # A chapter that is sampled alone follows those that lie beside it.
    alone = mlygeo.sample_video(folder / names[2], import_path=tmp_path / "alone")
    assert begins(alone) == {names[2]: 5}


def test_chapters_in_several_folders(clips, tmp_path):
    videos = {"100GOPRO/GX010042.MP4": (3, "10:00:00"), "101GOPRO/GX020042.MP4": (2, "10:00:00")}
    folder = folder_of(clips, tmp_path, videos)
    assert begins(mlygeo.sample_video(folder)) == {"GX010042.MP4": 0, "GX020042.MP4": 3}


def test_chapters_without_any_time_keep_their_order(clips, tmp_path):
    videos = {"GX010042.MP4": (3, None), "GX020042.MP4": (2, None)}
    images = mlygeo.sample_video(folder_of(clips, tmp_path, videos))
    assert begins(images) == {"GX010042.MP4": None, "GX020042.MP4": None}
    assert images["warning"].eq(NO_TIME).all()
    images = mlygeo.sample_video(tmp_path, video_start_time=START_MS, rerun=True)
    assert begins(images) == {"GX010042.MP4": 0, "GX020042.MP4": 3}


def test_chapters_with_times_of_their_own(clips, tmp_path):
    videos = {"GX010042.MP4": (2, "10:00:00"), "GX020042.MP4": (2, "10:00:02")}
    images = mlygeo.sample_video(folder_of(clips, tmp_path, videos))
    assert begins(images) == {"GX010042.MP4": 0, "GX020042.MP4": 2}
    assert images["warning"].isna().all()


def test_a_number_that_came_again_is_another_recording(clips, tmp_path):
    videos = {"GX010042.MP4": (2, "10:00:00"), "GX020042.MP4": (2, "11:00:00")}
    images = mlygeo.sample_video(folder_of(clips, tmp_path, videos))
    assert begins(images) == {"GX010042.MP4": 0, "GX020042.MP4": 3600}


def test_a_chapter_with_a_gps_places_the_others(clips, tmp_path):
    videos = {"GX010042.MP4": (3, "10:00:00"), "GX030042.MP4": (2, "10:00:00")}
    folder = folder_of(clips, tmp_path / "videos", videos)
    second = with_track(clips[3, "2024-05-05T10:00:00Z"], tmp_path, seconds=3)
    shutil.copy(second, folder / "GX020042.MP4")
    images = mlygeo.sample_video(folder)
    expected = dict(zip(CHAPTERS["HERO6 and later"], (3597, 3600, 3603), strict=True))
    assert begins(images) == {name: pytest.approx(second) for name, second in expected.items()}


def test_missing_chapters_are_said(clips, tmp_path):
    videos = {"GX010042.MP4": (3, "10:00:00"), "GX030042.MP4": (2, "10:00:00")}
    images = mlygeo.sample_video(folder_of(clips, tmp_path / "middle", videos))
    assert begins(images) == {"GX010042.MP4": 0, "GX030042.MP4": 6}
    assert images["warning"].notna().tolist() == [False, False, True]
    assert "1 chapters before it are missing" in images["warning"].iloc[-1]
    images = mlygeo.sample_video(folder_of(clips, tmp_path / "first", {"GX020042.MP4": (3, "10:00:00")}))
    assert images["warning"].str.contains("the chapters before GX020042.MP4 are missing").all()


def test_one_start_for_several_recordings_is_refused(clips, tmp_path):
    folder = folder_of(clips, tmp_path, {"a.mp4": (2, None), "b.mp4": (2, "10:00:00")})
    with pytest.raises(
        InputError, match=r"`video_start_time` is the start of one recording, and these are 2: a.mp4, b"
    ):
        mlygeo.sample_video(folder, video_start_time=START_MS)
    assert not list(folder.rglob("*.jpg"))


@pytest.mark.parametrize(
    "names", [("one/a.mp4", "two/b.mp4"), ("a.mp4", "b.mp4"), ("one/GX010042.MP4", "two/GX010042.MP4")]
)
def test_videos_of_one_camera_that_overlap_are_flagged(clips, tmp_path, names):
    folder = folder_of(clips, tmp_path, dict.fromkeys(names, (3, "10:00:00")))
    images = mlygeo.sample_video(folder)
    assert images["warning"].str.contains("of the same camera, seems to be recorded at the same time").all()
    assert images.attrs["summary"]["problems"]


def test_videos_one_after_another_are_not(clips, tmp_path):
    folder = folder_of(clips, tmp_path, {"a.mp4": (2, "10:00:00"), "b.mp4": (3, "10:00:02"), "c.mp4": (3, "11:00:00")})
    assert mlygeo.sample_video(folder)["warning"].isna().all()


def test_the_two_lenses_of_a_dashboard_camera_are_not_flagged(clips, tmp_path):
    names = ("20240505_100000_NF.mp4", "20240505_100000_NR.mp4")
    folder = folder_of(clips, tmp_path, dict.fromkeys(names, (3, "10:00:00")))
    assert mlygeo.sample_video(folder)["warning"].isna().all()


def test_the_clock_of_a_gopro_is_in_doubt(tmp_path):
    options = {"movflags": "use_metadata_tags"}
    video = made.pictures(tmp_path / "gopro.mp4", seconds=1, size=(64, 64), make="GoPro", container_options=options)
    images = mlygeo.sample_video(video)
    assert images["make"].eq("GoPro").all()
    assert images["warning"].eq(LOCAL_TIME).all()


def test_low_resolution_copies_are_left_out(clips, tmp_path):
    videos = {"GX010042.MP4": (2, "10:00:00"), "GL010042.LRV": (2, "10:00:00"), "GL020042.LRV": (2, "10:00:00")}
    images = mlygeo.sample_video(folder_of(clips, tmp_path, videos))
    assert {Path(video).name for video in images["video"]} == {"GX010042.MP4", "GL020042.LRV"}
    assert images.attrs["left_out"] == {"low-resolution copies": 1}


def test_a_second_track_of_pictures_is_counted(tmp_path):
    import av

    path = tmp_path / "two.360"
    with av.open(str(path), "w", format="mp4") as output:
        output.metadata["creation_time"] = "2024-05-05T10:00:00Z"
        streams = [output.add_stream("libx264", rate=10) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(20):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number * 10, dtype=np.uint8), format="rgb24")
                frame.pts = number
                output.mux(stream.encode(frame))
        for stream in streams:
            output.mux(stream.encode(None))
    images = mlygeo.sample_video(path)
    assert not images["is_pano"].any()
    assert images.attrs["left_out"] == {"tracks of pictures": 1}
    assert (
        images["warning"].str.contains("it has 2 tracks of pictures, the parts of a sphere that are not joined").all()
    )


def test_a_second_run_tells_the_same(clips, tmp_path):
    folder = folder_of(clips, tmp_path, dict.fromkeys(("one/a.mp4", "two/b.mp4"), (3, "10:00:00")))
    first = mlygeo.sample_video(folder)
    before = {path: Path(path).stat().st_mtime_ns for path in first["path"]}
    pd.testing.assert_frame_equal(mlygeo.sample_video(folder), first)
    assert {path: Path(path).stat().st_mtime_ns for path in first["path"]} == before
