"""When each of several videos begins: chapters of one recording, and videos that contradict each other."""

import shutil
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from helpers import video_files as made
from helpers.video_files import START, with_track
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo.errors import InputError
from mlygeo.readers.video import VideoInfo
from mlygeo.video.recordings import LOCAL_TIME, NO_TIME, starts_of
from mlygeo.video.sampling import Clip, FrameTable, Sampling

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
    assert "a chapter before it is missing, taken to be as long as GX010042.MP4" in images["warning"].iloc[-1]
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


@pytest.mark.parametrize(
    ("start", "doubt"),
    [(1640995200, "before 1995"), ("2099-01-01T00:00:00Z", "in the future"), (1640995200000, None)],
)
def test_a_start_in_another_age_is_in_doubt(clips, tmp_path, start, doubt):
    folder = folder_of(clips, tmp_path, {"a.mp4": (2, "10:00:00")})
    images = mlygeo.sample_video(folder, video_start_time=start)
    if doubt is None:
        assert images["warning"].isna().all()
    else:
        assert images["warning"].str.contains(doubt).all()
        assert any(doubt in problem for problem in images.attrs["summary"]["problems"])


@pytest.mark.parametrize(("start", "is_doubted"), [("2024-05-05T10:00:00Z", True), ("2024-05-05T11:00:05Z", False)])
def test_a_start_that_the_gps_contradicts_is_in_doubt(clips, tmp_path, start, is_doubted):
    video = with_track(clips[3, "2024-05-05T10:00:00Z"], tmp_path, seconds=3)
    images = mlygeo.sample_video(video, video_start_time=start)
    assert images["time_source"].eq("option").all()
    said = images["warning"].str.contains(
        "its GPS says that it began at 2024-05-05 11:00:00Z; the start that was given"
    )
    assert said.eq(is_doubted).all()


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


def clip_with(video, *, length_s, created_s, gps_s, make):
    """What would be read of a video of one picture a second."""
    seconds = np.arange(float(length_s))
    rows = np.arange(length_s)
    table = FrameTable(0, Fraction(1), rows, rows, rows == 0, rows, seconds, {})
    info = VideoInfo(
        path=str(video), start_time=None if created_s is None else START + pd.Timedelta(seconds=created_s),
        duration_s=length_s, frame_rate=1.0, frames=length_s, width=64, height=64, rotation=0, is_pano=False,
        codec="avc1", make=make, model=None, telemetry=None, filesize=1, problem=None,
    )  # fmt: skip
    track = None
    if gps_s is not None:
        track = gpd.GeoDataFrame(
            {"time": pd.DatetimeIndex([START + pd.Timedelta(seconds=gps_s)]).as_unit("us"), "video_time_s": [0.0]},
            geometry=gpd.points_from_xy([9.17], [48.77]),
        )
        track.attrs = {"gps_time": True}
    return Clip(video, table, info, track, {})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_start_that_is_not_the_truth_says_so(tmp_path, data):
    """Recordings of one camera, of which files are missing, in folders, with times of every kind."""
    draw = data.draw
    kind = draw(st.sampled_from(["recording", "own", "none", "local"]))
    names = draw(st.sampled_from(["gopro", "numbers"]))
    clips, truth, at = {}, {}, 0
    for recording in range(draw(st.integers(1, 3))):
        at += draw(st.integers(0, 500)) if recording else 0
        begin, count = at, draw(st.integers(1, 4))
        for chapter in range(count):
            length = draw(st.integers(3, 60))
            stem = (
                f"GX{chapter + 1:02d}{recording:04d}" if names == "gopro" else f"VID_{recording}_00_{chapter + 1:03d}"
            )
            # Names alone do not tell that a lone video, or one in another folder, is a chapter; those of GoPros do.
            is_named = names == "gopro"
            video = tmp_path / (draw(st.sampled_from(["100", "101"])) if is_named else "100") / f"{stem}.MP4"
            video.parent.mkdir(exist_ok=True)
            written = {"recording": begin, "own": at, "none": None, "local": at + 7200}[kind]
            has_gps = draw(st.integers(0, 3)) == 0
            make = "GoPro" if names == "gopro" else "Other"
            if not is_named or draw(st.integers(0, 4)):
                clips[video] = clip_with(
                    video, length_s=length, created_s=written, gps_s=at if has_gps else None, make=make
                )
                truth[video] = at
            at += length
    found = starts_of(list(clips), Sampling(), clips.__getitem__)
    assert found.keys() == clips.keys()
    for video, start in found.items():
        off_s = None if start.ms is None else (start.ms - START_MS) / 1000 - truth[video]
        is_right = off_s is not None and abs(off_s) <= 5
        assert is_right or start.warnings or kind == "local", (video.name, off_s)
        if start.source == "gps" and clips[video].track is not None:
            assert off_s == 0
        if start.ms is None:
            assert kind == "none"
            assert NO_TIME in start.warnings
    for one, other in pairwise(sorted(found, key=lambda video: truth[video])):
        if found[one].ms is not None and found[other].ms is not None and kind != "local":
            # Nothing lies on the other, unless that is said.
            apart_s = (found[other].ms - found[one].ms) / 1000
            assert apart_s >= clips[one].table.length_s - 5 or found[one].warnings or found[other].warnings
