"""Sampling with what lies beside the video: a track of another device, and the ffmpeg program as its decoder."""

import json
import os
import shutil
import subprocess
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from helpers import video_files as made
from helpers.video_files import IPHONE, KINDS, START, with_track
from PIL import Image

import mlygeo
from mlygeo import cli, frames
from mlygeo.errors import DependencyError, InputError
from mlygeo.readers.sampled import with_facts
from mlygeo.spatial import geodesy
from mlygeo.video import ffmpeg as ffmpeg_program
from mlygeo.video import frames as video_frames
from mlygeo.video import sampling
from mlygeo.video.ffmpeg import _stretches, find, pictures, runs_of
from mlygeo.video.frames import FOLDER

pytest.importorskip("av", reason="frames need PyAV")


@pytest.fixture(scope="module")
def ffmpeg():
    return shutil.which("ffmpeg") or pytest.skip("the ffmpeg program is not installed")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return made.pictures(tmp_path_factory.mktemp("video") / "plain.mp4")


def brightness(path):
    return np.asarray(Image.open(path).convert("L"), dtype=float)


@pytest.mark.parametrize("name", KINDS)
def test_the_program_gives_the_frames_that_pyav_gives(name, tmp_path, ffmpeg):
    video = made.pictures(tmp_path / name, **KINDS[name])
    options = {"video_sample_interval": 0.28, "video_start_time": round(START.timestamp() * 1000)}
    own = mlygeo.sample_video(video, import_path=tmp_path / "own", **options)
    theirs = mlygeo.sample_video(video, import_path=tmp_path / "theirs", decoder=ffmpeg, **options)
    assert len(own) > 20
    pd.testing.assert_frame_equal(own.drop(columns=["path", "folder"]), theirs.drop(columns=["path", "folder"]))
    for number, (path, other) in enumerate(zip(own["path"], theirs["path"], strict=True)):
        same = np.abs(brightness(path) - brightness(other)).mean()
        neighbour = np.abs(brightness(path) - brightness(theirs["path"].iloc[number - 1])).mean()
        assert same < 0.6 < neighbour, number


def test_the_program_turns_pictures_upright(tmp_path, ffmpeg):
    own = mlygeo.sample_video(IPHONE, import_path=tmp_path / "own", video_sample_interval=1)
    theirs = mlygeo.sample_video(IPHONE, import_path=tmp_path / "theirs", video_sample_interval=1, decoder=ffmpeg)
    for path, other in zip(own["path"], theirs["path"], strict=True):
        assert brightness(path).shape == (568, 320)
        assert np.abs(brightness(path) - brightness(other)).mean() < 1


def test_long_runs_are_taken_in_parts(plain, ffmpeg, monkeypatch):
    monkeypatch.setattr(ffmpeg_program, "MOST_FRAMES", 7)
    table = sampling.frame_table(plain)
    rows = table.rows[::3]
    program = find(ffmpeg)
    found = [row for row, _ in pictures(program, plain, table, rows, quality=2)]
    assert found == rows.tolist()


def test_distant_frames_are_not_reached_by_decoding_all_between(tmp_path, ffmpeg):
    video = made.pictures(tmp_path / "long.mp4", seconds=30, size=(64, 64))
    table = sampling.frame_table(video)
    rows = table.rows[[0, 10, 400, 420, 740]]
    stretches = list(_stretches(table, runs_of(table, rows)))
    assert [len(one.wanted) for one in stretches] == [2, 2, 1]


def test_a_damaged_video_gives_its_readable_part_by_the_program(tmp_path, ffmpeg):
    whole = made.pictures(tmp_path / "whole.mp4", seconds=8, container_options={"movflags": "faststart"})
    content = whole.read_bytes()
    video = tmp_path / "cut.mp4"
    video.write_bytes(content[: len(content) * 6 // 10])
    images = mlygeo.sample_video(video, video_sample_interval=0.5, decoder=ffmpeg)
    wrong = images[images["error"].notna()]
    assert wrong["path"].tolist() == [str(video)]
    assert "could not be decoded" in wrong["error"].iloc[0]
    truth = mlygeo.sample_video(whole, video_sample_interval=0.5)
    good = images[images["error"].isna()]
    assert 3 < len(good) < len(truth)
    for path, seconds in zip(good["path"], good["video_time_s"], strict=True):
        same = truth["path"][truth["video_time_s"] == seconds].iloc[0]
        assert np.abs(brightness(path) - brightness(same)).mean() < 0.6


def test_stopping_ends_the_program(plain, tmp_path, ffmpeg, monkeypatch):
    started = []

    class Program(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Program)
    with pytest.raises(KeyboardInterrupt):
        mlygeo.sample_video(plain, import_path=tmp_path, decoder=ffmpeg, progress=made.Impatient())
    assert started
    assert all(program.returncode is not None for program in started)


def test_programs_and_hardware_that_are_not_there(plain, tmp_path, ffmpeg, capsys):
    with pytest.raises(DependencyError, match="no-such-program is to decode, and is not there"):
        mlygeo.sample_video(plain, import_path=tmp_path, decoder="no-such-program")
    with pytest.raises(DependencyError, match="is not an ffmpeg"):
        mlygeo.sample_video(plain, import_path=tmp_path, decoder=shutil.which("true"))
    with pytest.raises(InputError, match="does not know the hardware 'steam'"):
        mlygeo.sample_video(plain, import_path=tmp_path, decoder=ffmpeg, hardware="steam")
    with pytest.raises(InputError, match="PyAV does not know the hardware 'steam'"):
        mlygeo.sample_video(plain, import_path=tmp_path, hardware="steam")
    assert not list(tmp_path.iterdir())
    assert cli.main(["sample-video", str(plain), "--import-path", str(tmp_path), "--hardware", "steam"]) == 2
    assert "--decoder ffmpeg" in capsys.readouterr().err


@pytest.fixture
def walk(tmp_path):
    """A GPX log of a walk to the north-east that starts a second before the video and bends half way."""
    seconds = np.arange(0, 9.0)
    lon, lat = np.full(9, 9.17), np.full(9, 48.77)
    for number in range(1, 9):
        bearing = 45.0 if number < 5 else 135.0
        there = geodesy.destination(lon[number - 1], lat[number - 1], bearing, 7.0)
        lon[number], lat[number] = (value.item() for value in map(np.asarray, there))
    path = tmp_path / "walk.gpx"
    points = "".join(
        f'<trkpt lat="{y:.9f}" lon="{x:.9f}"><ele>300</ele><time>{START + pd.Timedelta(seconds=s - 1):%Y-%m-%dT%H:%M:%SZ}</time></trkpt>'
        for x, y, s in zip(lon, lat, seconds, strict=True)
    )
    path.write_text(
        f'<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{points}</trkseg></trk></gpx>'
    )
    return path, seconds - 1, lon, lat


def test_a_log_of_another_device_tells_the_places(plain, tmp_path, walk):
    log, at, lon, lat = walk
    images = mlygeo.sample_video(plain, import_path=tmp_path / "frames", video_sample_interval=1, track=log)
    found_lon, found_lat = frames.lonlat(images)
    np.testing.assert_allclose(found_lon, np.interp(images["video_time_s"], at, lon), atol=1e-8)
    np.testing.assert_allclose(found_lat, np.interp(images["video_time_s"], at, lat), atol=1e-8)
    np.testing.assert_allclose(images["compass_angle"], [45, 45, 45, 135, 135, 135], atol=0.01)
    assert images["time_source"].eq("creation_time").all()
    later = mlygeo.sample_video(
        plain, import_path=tmp_path / "later", video_sample_interval=1, track=log,
        video_start_time=round(START.timestamp() * 1000) + 2000,
    )  # fmt: skip
    np.testing.assert_allclose(frames.lonlat(later)[0][:4], found_lon[2:], atol=1e-9)


def test_sampling_by_distance_along_a_log(plain, tmp_path, walk):
    log, at, lon, lat = walk
    table = sampling.frame_table(plain)
    seconds = table.seconds
    places = list(zip(np.interp(seconds, at, lon), np.interp(seconds, at, lat), strict=True))
    walked = [0]
    for number in range(1, len(places)):
        if geodesy.distance(*places[walked[-1]], *places[number])[0] >= 3:
            walked.append(number)
    images = mlygeo.sample_video(plain, import_path=tmp_path / "frames", video_sample_distance=3, track=log)
    np.testing.assert_allclose(images["video_time_s"], seconds[walked])
    whole = mlygeo.tracks(log)
    mlygeo.write_frame(whole, tmp_path / "walk.parquet")
    again = mlygeo.sample_video(
        plain, import_path=tmp_path / "frames", video_sample_distance=3, track=tmp_path / "walk.parquet"
    )
    pd.testing.assert_frame_equal(again, images)


def test_a_log_counts_before_what_the_camera_recorded(plain, tmp_path, walk):
    log, at, lon, _ = walk
    video = with_track(plain, tmp_path)
    start = round(START.timestamp() * 1000)
    images = mlygeo.sample_video(video, import_path=tmp_path / "frames", track=log, video_start_time=start)
    np.testing.assert_allclose(frames.lonlat(images)[0], np.interp(images["video_time_s"], at, lon), atol=1e-8)
    other = mlygeo.sample_video(video, import_path=tmp_path / "frames", video_start_time=start)
    assert "sampled otherwise" in other["error"][0]


def test_a_log_of_another_day(plain, tmp_path, walk):
    images = mlygeo.sample_video(
        plain, import_path=tmp_path / "frames", video_sample_distance=3, track=walk[0], video_start_time=10**12
    )
    (error,) = images["error"]
    assert error.startswith("plain.mp4 lies outside the track in time; the track is of 2024-05-05T09:59:59Z to ")
    assert error.endswith(
        "the video of 2001-09-09T01:46:40Z to 2001-09-09T01:46:45Z; `video_start_time` sets the video's start"
    )


def test_the_chain_samples_along_the_track_that_it_geotags_with(plain, tmp_path, walk, capsys):
    log, _, _, _ = walk
    words = ["video-process", plain, "--import-path", tmp_path / "frames", "--video-sample-distance", "3",
             "--geotag-source", "gpx", "--geotag-source-path", log, "-o", tmp_path / "out", "--json", "-q"]  # fmt: skip
    assert cli.main([str(word) for word in words]) == 0
    result = json.loads(capsys.readouterr().out)
    images = mlygeo.read_frame(tmp_path / "out" / "images.parquet", frame="local_images")
    alone = mlygeo.sample_video(plain, import_path=tmp_path / "alone", video_sample_distance=3, track=log)
    assert result["frames"] == len(alone) == len(images)
    order = images.sort_values("captured_at")
    np.testing.assert_allclose(frames.lonlat(order)[0], frames.lonlat(alone)[0], atol=1e-7)


def test_several_videos_of_a_folder_are_processed_as_one(tmp_path, walk, capsys):
    folder = tmp_path / "videos"
    (folder / "sub").mkdir(parents=True)
    first = made.pictures(folder / "a.mp4", seconds=4)
    made.pictures(folder / "sub" / "b.mp4", seconds=3, created="2024-05-05T10:00:04Z")
    words = ["video-process", folder, "--video-sample-interval", "1", "--geotag-source", "gpx",
             "--geotag-source-path", walk[0], "--json", "-q"]  # fmt: skip
    assert cli.main([str(word) for word in words]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["videos"], result["frames"]) == (2, 7)
    assert len(list((folder / "mapillary_sampled_video_frames").rglob("*.jpg"))) == 7
    other = tmp_path / "elsewhere" / "c.mp4"
    other.parent.mkdir()
    other.write_bytes(first.read_bytes())
    words[1:2] = [first, other]
    assert cli.main([str(word) for word in words]) == 2
    assert "2 folders" in capsys.readouterr().err
    assert [path.name for path in other.parent.iterdir()] == ["c.mp4"]


def test_a_video_whose_clock_does_not_count_starts_with_the_track(tmp_path, walk, capsys):
    log, _, lon, lat = walk
    video = made.pictures(tmp_path / "silent.mp4", created=None)
    words = ["video_process", "--video_import_path", video, "--import_path", tmp_path / "frames", "--advanced",
             "--video_sample_interval", "1", "--geotag_source", "gpx", "--geotag_source_path", log,
             "--use_gps_start_time", "-o", tmp_path / "out", "-q"]  # fmt: skip
    assert cli.main([str(word) for word in words]) == 0, capsys.readouterr().err
    images = mlygeo.read_frame(tmp_path / "out" / "images.parquet", frame="local_images").sort_values("captured_at")
    assert images["captured_at"].iloc[0] == START - pd.Timedelta(seconds=1)
    np.testing.assert_allclose(frames.lonlat(images), [lon[:6], lat[:6]], atol=1e-7)


def test_a_chain_ends_where_nothing_was_sampled(tmp_path, capsys):
    (tmp_path / "broken.mp4").write_bytes(b"no video at all" * 100)
    assert cli.main(["video-process", str(tmp_path / "broken.mp4"), "-q"]) == 1
    assert "broken.mp4 cannot be opened: it is not a video, or its headers are lost" in capsys.readouterr().err


def test_a_copy_of_a_video_is_the_same_video(plain, tmp_path):
    video = tmp_path / "drive.mp4"
    video.write_bytes(plain.read_bytes())
    once = mlygeo.sample_video(video)
    os.utime(video, (10**9, 10**9))
    pd.testing.assert_frame_equal(mlygeo.sample_video(video), once)
    content = bytearray(plain.read_bytes())
    content[-1] ^= 1
    video.write_bytes(content)
    assert "sampled otherwise" in mlygeo.sample_video(video)["error"][0]


def test_frames_made_before_the_disk_was_full_are_reported(plain, tmp_path, monkeypatch):
    from mlygeo import store
    from mlygeo.errors import FileError

    atomic = store.atomic
    written = []

    @contextmanager
    def full_soon(path):
        if path.suffix == ".jpg":
            written.append(path)
        if len(written) > 4:
            raise FileError(f"{path} cannot be written: No space left on device")
        with atomic(path) as temporary:
            yield temporary

    monkeypatch.setattr(video_frames.store, "atomic", full_soon)
    images = mlygeo.sample_video(plain, import_path=tmp_path, video_sample_interval=0.5)
    there = sorted(map(str, (tmp_path / "plain.mp4").glob("*.jpg")))
    assert images["path"][images["error"].isna()].tolist() == there
    assert len(there) == 4
    assert images["error"].dropna().str.contains("No space left").tolist() == [True]


def placed(folder):
    images = mlygeo.read_frame(folder / "images.parquet", frame="local_images").sort_values("path")
    assert images["error"].isna().all(), images["error"].tolist()
    return images


def test_a_folder_with_a_video_without_a_time_starts_with_the_track(tmp_path, walk, capsys):
    log, _, lon, lat = walk
    (tmp_path / "videos").mkdir()
    made.pictures(tmp_path / "videos" / "silent.mp4", created=None)
    words = ["video_process", "--video_import_path", tmp_path / "videos", "--import_path", tmp_path / "frames",
             "--advanced", "--video_sample_interval", "1", "--geotag_source", "gpx", "--geotag_source_path", log,
             "--use_gps_start_time", "-o", tmp_path / "out", "-q"]  # fmt: skip
    assert cli.main([str(word) for word in words]) == 0, capsys.readouterr().err
    images = placed(tmp_path / "out")
    np.testing.assert_allclose((images["captured_at"] - START).dt.total_seconds(), np.arange(6) - 1)
    np.testing.assert_allclose(frames.lonlat(images), [lon[:6], lat[:6]], atol=1e-7)


def test_frames_without_a_time_get_it_from_the_track_afterwards(tmp_path, walk):
    log, _, lon, lat = walk
    for number, seconds in ((1, 2), (2, 3)):
        made.pictures(tmp_path / f"GX0{number}0042.MP4", seconds=seconds, created=None)
    images = mlygeo.sample_video(tmp_path, import_path=tmp_path / "frames", video_sample_interval=1)
    assert images["captured_at"].isna().all()
    assert images.attrs["summary"]["problems"] == {"the video does not say when it was recorded": 5}
    alone = mlygeo.process(tmp_path / "frames", output=tmp_path / "alone")
    assert alone["error"].eq("no capture time in the photo").all()
    mlygeo.process(
        tmp_path / "frames", geotag_source="gpx", geotag_source_path=log, use_gps_start_time=True,
        output=tmp_path / "out", rerun=True,
    )  # fmt: skip
    images = placed(tmp_path / "out")
    np.testing.assert_allclose((images["captured_at"] - START).dt.total_seconds(), np.arange(5) - 1)
    np.testing.assert_allclose(frames.lonlat(images), [lon[:5], lat[:5]], atol=1e-7)


def test_of_several_recordings_without_a_time_one_starts_with_the_track(tmp_path, walk):
    (tmp_path / "videos").mkdir()
    for name in ("a.mp4", "b.mp4"):
        made.pictures(tmp_path / "videos" / name, seconds=2, created=None)
    images = mlygeo.video_process(
        tmp_path / "videos", video_sample_interval=1, geotag_source="gpx", geotag_source_path=walk[0],
        use_gps_start_time=True, output=tmp_path / "out",
    ).sort_values("path")  # fmt: skip
    assert images["error"].isna().tolist() == [True, True, False, False]
    assert images["captured_at"].iloc[0] == START - pd.Timedelta(seconds=1)


def test_a_stray_first_point_of_a_track_is_no_start(tmp_path, walk):
    log = walk[0]
    text = log.read_text()
    first = '<trkpt lat="48.77" lon="9.17"><time>2000-01-01T00:00:00Z</time></trkpt>'
    log.write_text(text.replace("<trkseg>", f"<trkseg>{first}"))
    video = made.pictures(tmp_path / "silent.mp4", created=None, seconds=3)
    images = mlygeo.video_process(
        video, video_sample_distance=3, geotag_source="gpx", geotag_source_path=log, use_gps_start_time=True,
        output=tmp_path / "out",
    )  # fmt: skip
    sampled = mlygeo.sample_video(
        video, video_sample_distance=3, track=log, video_start_time=round(START.timestamp() * 1000) - 1000,
        import_path=tmp_path / "again",
    )  # fmt: skip
    assert images["error"].isna().all()
    images = images.sort_values("captured_at")
    assert images["captured_at"].tolist() == sampled["captured_at"].tolist()
    np.testing.assert_allclose(frames.lonlat(images), frames.lonlat(sampled), atol=1e-7)


def test_a_warning_of_a_video_stays_with_its_frames(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made.pictures(tmp_path / name / "a.mp4", seconds=2)
    images = mlygeo.sample_video(tmp_path, video_sample_interval=1)
    read = with_facts(mlygeo.read_photos(tmp_path / FOLDER))
    assert images["warning"].notna().all()
    assert read.sort_values("path")["warning"].tolist() == images.sort_values("path")["warning"].tolist()


def test_videos_that_were_sampled_one_by_one_are_compared_afterwards(tmp_path):
    start = round(START.timestamp() * 1000)
    for name in ("a", "b", "c"):
        video = made.pictures(tmp_path / f"{name}.mp4", seconds=4)
        moved = start + (60_000 if name == "c" else 0)
        images = mlygeo.sample_video(
            video, video_start_time=moved, import_path=tmp_path / "frames", video_sample_interval=1
        )
        assert images["warning"].isna().all()
    read = with_facts(mlygeo.read_photos(tmp_path / "frames")).sort_values("path")
    texts = [f"{other}.mp4, of the same camera, seems to be recorded at the same time" for other in "ba"]
    assert read["warning"].iloc[:8].tolist() == [texts[0]] * 4 + [texts[1]] * 4
    assert read["warning"].iloc[8:].isna().all()
