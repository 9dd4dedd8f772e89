import json
import subprocess
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import DATA
from helpers import video_files as made
from helpers.exiftool_oracle import ExifTool
from helpers.processes import killed_at
from helpers.video_files import IPHONE, KINDS, START, with_track
from hypothesis import given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo import cli, frames
from mlygeo.errors import FileError, InputError
from mlygeo.formats import mp4
from mlygeo.spatial import geodesy
from mlygeo.video import decoding
from mlygeo.video.frames import FOLDER, JpegEncoder, is_whole
from mlygeo.video.sampling import (
    Clip,
    Sampling,
    Start,
    _by_distance,
    _by_time,
    _captured,
    _from_headers,
    _from_packets,
    _micros,
    clip_of,
    frame_table,
)

av = pytest.importorskip("av", reason="frames need PyAV")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return {name: made.pictures(folder / name, **options) for name, options in KINDS.items()}


def planes(frame):
    return frame.to_ndarray(format="yuv420p").tobytes()


@pytest.mark.parametrize("name", KINDS)
def test_frames_are_those_of_decoding_all_one_after_another(videos, name):
    path = videos[name]
    with av.open(str(path)) as container:
        one_by_one = [(frame.pts, planes(frame)) for frame in container.decode(video=0)]
    table = frame_table(path)
    order = table.rows
    first = one_by_one[0][0]
    unit = float(table.time_base)
    np.testing.assert_allclose(table.seconds, [(pts - first) * unit for pts, _ in one_by_one], atol=1e-9)
    truth = dict(zip(order.tolist(), [picture for _, picture in one_by_one], strict=True))
    assert len(set(truth.values())) == len(truth)
    for chosen in (order[::13], order[::3], order[[0, 1, 50, 51, 52, -1]], order):
        for workers in (1, 3):
            found = {}

            def take(row, frame, found=found):
                found[row] = planes(frame)

            list(decoding.decode(path, table, chosen, take, workers=workers))
            assert sorted(found) == sorted(chosen.tolist())
            assert all(found[row] == truth[row] for row in found)


@pytest.mark.parametrize("name", KINDS)
def test_tables_of_headers_and_packets_are_the_same(videos, name):
    path = videos[name]
    with path.open("rb") as file:
        movie = mp4.read_movie(file, path.stat().st_size)
    with av.open(str(path), options={"ignore_editlist": "1"}) as container:
        stream = container.streams.video[0]
        headers = _from_headers(movie, None if movie is None else movie.video, stream)
        packets = _from_packets(av, container, stream)
    assert (headers is None) == (not name.endswith(".mp4"))
    if headers is not None:
        for column in ("pts", "key"):
            assert np.array_equal(getattr(headers, column), getattr(packets, column)), column


def test_few_frames_are_decoded_for_a_few(videos):
    table = frame_table(videos["plain.mp4"])
    order = table.rows
    runs = decoding.runs_of(table, order[[0, 30, 31, 100]])
    assert [len(run.wanted) for run in runs] == [1, 2, 1]
    assert sum(run.last - run.key + 1 for run in runs) < 25


def test_sixty_seconds_by_half_a_second(tmp_path):
    video = made.pictures(tmp_path / "minute.mp4", seconds=60, rate=30, size=(64, 64), drop={450})
    images = mlygeo.sample_video(video, video_sample_interval=0.5)
    assert len(images) == 120
    assert images["error"].isna().all()
    off = images["video_time_s"].to_numpy() - np.arange(120) * 0.5
    assert np.abs(off).max() <= 0.5 / 30 * 2 + 1e-9  # frame 450, at 15 s, is not there: its neighbour is
    assert np.abs(np.delete(off, 30)).max() <= 0.5 / 30
    times = (images["captured_at"] - START).dt.total_seconds()
    np.testing.assert_allclose(times, images["video_time_s"], atol=0.0005)
    assert images["path"].map(lambda path: Path(path).exists()).all()
    assert Path(images["path"][0]) == tmp_path / FOLDER / "minute.mp4" / "minute_000001.jpg"


def test_pictures_are_close_to_the_frames(videos, tmp_path):
    from PIL import Image

    images = mlygeo.sample_video(videos["plain.mp4"], import_path=tmp_path)
    with av.open(str(videos["plain.mp4"])) as container:
        truth = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    for path, seconds in zip(images["path"], images["video_time_s"], strict=True):
        found = np.asarray(Image.open(path).convert("L"), dtype=float)
        # Video has a narrower range of brightness than JPEG, which to_ndarray has stretched already.
        assert np.abs(found - truth[round(seconds * 25)]).mean() < 3, path


def test_sampling_by_distance_is_a_walk_along_the_track(videos, tmp_path):
    video = with_track(videos["varying.mp4"], tmp_path)
    images = mlygeo.sample_video(video, video_sample_distance=3)
    track = mlygeo.read_video(video)
    table = frame_table(video)
    seconds = table.seconds
    lon, lat = frames.lonlat(track)
    places = [(np.interp(s, track["video_time_s"], lon), np.interp(s, track["video_time_s"], lat)) for s in seconds]
    walked = [0]
    for number in range(1, len(places)):
        if geodesy.distance(*places[walked[-1]], *places[number])[0] >= 3:
            walked.append(number)
    np.testing.assert_allclose(images["video_time_s"], seconds[walked])
    found_lon, found_lat = frames.lonlat(images)
    np.testing.assert_allclose(found_lon, [places[i][0] for i in walked], atol=1e-7)
    np.testing.assert_allclose(found_lat, [places[i][1] for i in walked], atol=1e-7)
    np.testing.assert_allclose(images["compass_angle"], 45, atol=0.1)
    assert images["time_source"].eq("gps").all()
    assert abs((images["captured_at"][0] - START).total_seconds() - 3600) <= 0.001


def test_the_walk_is_a_plain_walk_at_any_speed():
    from mlygeo.spatial.track import Line

    random = np.random.default_rng(5)
    count = 300
    lon, lat = 9 + np.cumsum(random.normal(1e-5, 4e-5, count)), 48 + np.cumsum(random.normal(0, 4e-5, count))
    line = Line(np.arange(count) * 1_000_000, lon, lat, np.zeros(count), np.zeros(count, dtype=np.int64))
    seconds = np.arange(0, 302, 0.04)
    places = line.locate(np.round(seconds * 1e6).astype(np.int64), max_extrapolation=1.0, max_gap=None)
    for metres in (0.01, 3.0, 50.0):
        walked = []
        for number in np.flatnonzero(np.isfinite(places.lon)):
            x, y = places.lon[number], places.lat[number]
            if not walked or geodesy.distance(places.lon[walked[-1]], places.lat[walked[-1]], x, y)[0] >= metres:
                walked.append(number)
        assert _by_distance(line, _micros(seconds), metres).tolist() == walked


def test_exif_says_what_the_frame_says(videos, tmp_path, exiftool):
    video = with_track(videos["plain.mp4"], tmp_path)
    images = mlygeo.sample_video(video, video_sample_interval=1.3)
    exif = json.loads(subprocess.run([exiftool, "-j", "-n", "-G1", *images["path"]], capture_output=True).stdout)
    lon, lat = frames.lonlat(images)
    for row, tags in enumerate(exif):
        captured = images["captured_at"][row]
        assert tags["GPS:GPSDateStamp"] == f"{captured:%Y:%m:%d}"
        assert tags["Composite:GPSLatitude"] == pytest.approx(lat[row], abs=1e-7)
        assert tags["Composite:GPSLongitude"] == pytest.approx(lon[row], abs=1e-7)
        assert tags["GPS:GPSImgDirection"] == pytest.approx(images["compass_angle"][row], abs=1e-3)
        assert str(tags["ExifIFD:SubSecTimeOriginal"]).rjust(3, "0") == f"{captured.microsecond // 1000:03d}"
        written = pd.Timestamp(
            tags["ExifIFD:DateTimeOriginal"].replace(":", "-", 2) + tags["ExifIFD:OffsetTimeOriginal"]
        )
        assert written == captured.floor("s")
        assert tags["IFD0:Make"] == "BlackVue"
        assert "Copyright" not in json.dumps(tags)
    with ExifTool() as validating:
        assert [fault for path in images["path"] for fault in validating.faults(path)] == []
    read = mlygeo.read_photos(video.parent / FOLDER)
    assert (read["captured_at"].sort_values().to_numpy() == images["captured_at"].to_numpy()).all()


@pytest.fixture
def exiftool():
    import shutil

    return shutil.which("exiftool") or pytest.skip("exiftool is not installed")


def test_where_times_come_from(videos, tmp_path):
    def first(video, **options):
        images = mlygeo.sample_video(video, import_path=tmp_path / str(len(list(tmp_path.iterdir()))), **options)
        return (images["captured_at"] - START).dt.total_seconds().to_numpy(), images["time_source"][0]

    drive = with_track(videos["plain.mp4"], tmp_path)
    start = round(START.timestamp() * 1000) - 500
    times, source = first(drive, video_start_time=start)
    assert (source, times[0], times[-1]) == ("option", -0.5, 3.5)
    times, source = first(drive)
    assert (source, round(times[0])) == ("gps", 3600)
    times, source = first(videos["plain.mp4"])
    assert (source, times.tolist()) == ("creation_time", [0.0, 2.0, 4.0])
    times, _ = first(videos["plain.mp4"], video_duration_ratio=0.5)
    assert times.tolist() == [0.0, 1.0, 2.0]
    silent = made.pictures(tmp_path / "silent.mp4", seconds=1, created=None)
    images = mlygeo.sample_video(silent)
    assert images["captured_at"].isna().all()
    assert images["error"].isna().all()
    assert images["warning"].tolist() == ["the video does not say when it was recorded"]


def test_a_time_lapse_has_the_times_of_the_gps(videos, tmp_path):
    video = tmp_path / "lapse.mp4"
    samples = [made.camm6(START.timestamp() + 30 * i, 3, 48.77 + i * 1e-4, 9.17, 0) for i in range(7)]
    track = made.movie(b"camm", b"camm", samples, [1000] * 7, created_s=int(START.timestamp()))
    video.write_bytes(track)
    telemetry = mlygeo.read_video(video)
    plain = clip_of(videos["plain.mp4"])
    clip = Clip(video, plain.table, plain.info, telemetry, {})
    start = Start(clip.gps_ms, "gps", 0.0, str(video))
    times, doubts = _captured(np.array([0.0, 2.5, 6.0]), clip, start, Sampling())
    assert doubts == []
    _, doubts = _captured(np.array([0.0, 2.5, 6.0]), clip, start, Sampling(duration_ratio=0.5))
    assert doubts == ["the times of the GPS are not those of `video_duration_ratio=0.5`, and count"]
    assert ((times - round(START.timestamp() * 1000)) / 1000).tolist() == [0.0, 75.0, 180.0]


def test_a_second_run_makes_only_what_is_missing(videos, tmp_path, monkeypatch):
    video = videos["plain.mp4"]
    whole = mlygeo.sample_video(video, import_path=tmp_path, video_sample_interval=0.5)
    before = {path: (Path(path).stat().st_mtime_ns, Path(path).read_bytes()) for path in whole["path"]}
    gone, cut = whole["path"][3], whole["path"][7]
    Path(gone).unlink()
    Path(cut).write_bytes(before[cut][1][:1000])
    decoded = []
    decode = decoding.decode

    def counted(path, table, rows, *arguments, **options):
        decoded.extend(rows)
        return decode(path, table, rows, *arguments, **options)

    monkeypatch.setattr(decoding, "decode", counted)
    again = mlygeo.sample_video(video, import_path=tmp_path, video_sample_interval=0.5)
    pd.testing.assert_frame_equal(again, whole)
    assert len(decoded) == 2
    for path, (changed, content) in before.items():
        assert Path(path).read_bytes() == content
        assert path in {gone, cut} or Path(path).stat().st_mtime_ns == changed


def test_two_samplings_never_mix(videos, tmp_path):
    video = videos["plain.mp4"]
    mlygeo.sample_video(video, import_path=tmp_path, video_sample_interval=0.5)
    target = tmp_path / "plain.mp4"
    other = mlygeo.sample_video(video, import_path=tmp_path, video_sample_interval=1)
    assert "sampled otherwise" in other["error"][0]
    assert len(list(target.glob("*.jpg"))) == 12
    (target / "mine.jpg").write_bytes(b"mine")
    (target / "plain_000099.jpg").write_bytes(b"mine too")
    mlygeo.sample_video(video, import_path=tmp_path, video_sample_interval=1, rerun=True)
    names = sorted(path.name for path in target.glob("*.jpg"))
    assert names == ["mine.jpg", *(f"plain_{i:06d}.jpg" for i in range(1, 7)), "plain_000099.jpg"]
    strange = tmp_path / "strange" / "plain.mp4"
    strange.mkdir(parents=True)
    (strange / "plain_000001.jpg").write_bytes(b"another program's")
    refused = mlygeo.sample_video(video, import_path=tmp_path / "strange", rerun=True)
    assert "another program" in refused["error"][0]
    assert (strange / "plain_000001.jpg").read_bytes() == b"another program's"


def test_stopping_leaves_whole_frames_only(videos, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        mlygeo.sample_video(
            videos["plain.mp4"], import_path=tmp_path, video_sample_interval=0.2, progress=made.Impatient()
        )
    made_files = list((tmp_path / "plain.mp4").glob("*"))
    assert 0 < len(made_files) < 32
    assert all(is_whole(path) for path in made_files if path.suffix == ".jpg")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mlygeo-frames")]
    assert len(mlygeo.sample_video(videos["plain.mp4"], import_path=tmp_path, video_sample_interval=0.2)) == 30


@pytest.mark.parametrize(("event", "words"), [("os.rename", "/plain_0"), ("os.remove", ".alive")])
def test_what_a_killed_run_leaves_is_removed(videos, tmp_path, event, words):
    options = ["--import-path", tmp_path, "--video-sample-interval", 1]
    # The file that describes the sampling is written before the six frames.
    killed_at(event, words, ["sample-video", videos["plain.mp4"], *options], times=6 if event == "os.rename" else 7)
    assert list((tmp_path / "plain.mp4").glob(".*.part/.alive"))
    assert len(mlygeo.sample_video(videos["plain.mp4"], import_path=tmp_path, video_sample_interval=1)) == 6
    # Another thread may have been about to lock or to remove its folder: without a lock it stays for an hour.
    assert not list((tmp_path / "plain.mp4").glob(".*.part/.alive"))


@pytest.mark.parametrize("harm", ["cut", "zeros", "noise"])
def test_a_damaged_video_gives_its_readable_part(tmp_path, capsys, harm):
    options = {"container_options": {"movflags": "faststart"}}
    whole = made.pictures(tmp_path / "whole.mp4", seconds=8, **options)
    truth = mlygeo.sample_video(whole, video_sample_interval=0.5)
    content = bytearray(whole.read_bytes())
    middle = len(content) * 6 // 10
    if harm == "cut":
        content = content[:middle]
    else:
        random = np.random.default_rng(1).integers(0, 256, 4000, dtype=np.uint8).tobytes()
        content[middle : middle + 4000] = bytes(4000) if harm == "zeros" else random
    video = tmp_path / "damaged.mp4"
    video.write_bytes(content)
    status = cli.main(["sample-video", str(video), "--video-sample-interval", "0.5", "-o", str(tmp_path / "i.parquet")])
    images = mlygeo.read_frame(tmp_path / "i.parquet", frame="local_images")
    assert status == 3
    wrong = images[images["error"].notna()]
    assert wrong["path"].tolist() == [str(video)]
    assert "could not be decoded" in wrong["error"].iloc[0]
    good = images[images["error"].isna()]
    assert 3 < len(good) < len(truth)
    same = dict(zip(truth["video_time_s"], truth["path"], strict=True))
    for path, seconds in zip(good["path"], good["video_time_s"], strict=True):
        assert Path(path).read_bytes() == Path(same[seconds]).read_bytes()
    assert "1 video incomplete" in capsys.readouterr().err


def test_pictures_stand_upright(tmp_path, exiftool):
    images = mlygeo.sample_video(IPHONE, import_path=tmp_path, video_sample_interval=1)
    assert images[["width", "height"]].iloc[0].tolist() == [320, 568]
    exif = json.loads(subprocess.run([exiftool, "-j", "-n", images["path"][0]], capture_output=True).stdout)[0]
    assert (exif["ImageWidth"], exif["ImageHeight"]) == (320, 568)
    assert "Orientation" not in exif


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_every_turn_is_the_right_way_round(turn):
    picture = np.zeros((32, 64, 3), dtype=np.uint8)
    picture[:16, :16] = 255  # the upper left corner
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")

    class Turned:
        rotation = -turn

        def __getattr__(self, name):
            return getattr(frame, name)

    encoder = JpegEncoder()
    upright = frame if not turn else encoder._turned(frame, turn)
    found = upright.to_ndarray(format="gray")
    corners = {
        "upper left": found[4, 4],
        "upper right": found[4, -5],
        "lower right": found[-5, -5],
        "lower left": found[-5, 4],
    }
    assert (
        max(corners, key=corners.get)
        == {0: "upper left", 90: "upper right", 180: "lower right", 270: "lower left"}[turn]
    )
    assert found.shape == ((32, 64) if turn % 180 == 0 else (64, 32))


def test_folders_and_the_words_of_older_tools(tmp_path, capsys):
    folder = tmp_path / "videos"
    (folder / "sub").mkdir(parents=True)
    made.pictures(folder / "a.mp4", seconds=2)
    made.pictures(folder / "sub" / "a.mp4", seconds=2)
    (folder / "notes.txt").write_text("no video")
    images = mlygeo.sample_video(video_import_path=folder)
    places = {str(Path(path).relative_to(folder / FOLDER)) for path in images["path"]}
    assert places == {"a.mp4/a_000001.jpg", "sub/a.mp4/a_000001.jpg"}
    assert len(mlygeo.sample_video(folder)) == 2  # the sampled frames are no videos
    target = tmp_path / "frames"
    words = ["sample_video", "--import_path", target, "--video_import_path", folder, "--video_sample_interval", 0.5,
             "--video_start_time", 156893940910, "--skip_subfolders", "-o", tmp_path / "f.parquet", "--json", "-q"]  # fmt: skip
    assert cli.main([str(word) for word in words]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["videos"], result["frames"], result["failed"]) == (1, 4, {})
    images = mlygeo.read_frame(tmp_path / "f.parquet", frame="local_images")
    assert images["captured_at"][0] == pd.Timestamp(156893940910, unit="ms", tz="UTC")
    assert (target / "a.mp4" / "a_000004.jpg").exists()
    words = ["sample_video", "--import_path", target, "--video_file", folder / "a.mp4", "--video_sample_interval", 0.5]
    assert cli.main([str(word) for word in [*words, "-o", tmp_path / "f.parquet", "--rerun"]]) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"video_sample_interval": 0}, "interval"),
        ({"video_sample_interval": float("nan")}, "interval"),
        ({"video_sample_distance": float("inf")}, "distance"),
        ({"video_duration_ratio": 0}, "ratio"),
        ({"video_start_time": -5}, "`video_start_time=-5`"),
    ],
)
def test_options_that_make_no_sense(videos, tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        mlygeo.sample_video(videos["plain.mp4"], import_path=tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_missing_videos(tmp_path):
    with pytest.raises(InputError, match="no video"):
        mlygeo.sample_video()
    with pytest.raises(FileError, match="does not exist"):
        mlygeo.sample_video(tmp_path / "missing.mp4")
    with pytest.raises(FileError, match="there is no video"):
        mlygeo.sample_video(tmp_path)


@pytest.mark.parametrize("path", sorted((DATA / "video" / "broken").iterdir()), ids=lambda path: path.stem)
def test_broken_files_are_rows(path, tmp_path):
    images = mlygeo.sample_video(path, import_path=tmp_path)
    assert images["path"].tolist() == [str(path)]
    assert path.name in images["error"][0]
    assert not list(tmp_path.iterdir())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 400), max_size=40), st.sampled_from([0.1, 0.5, 1.0, 2.0]))
def test_the_frames_by_time_are_those_nearest_to_each_multiple(steps, interval):
    video_s = np.append(0, np.cumsum(steps)) / 25
    lasts = float(np.median(np.diff(video_s))) if len(video_s) > 1 else 0.0
    count = int(np.ceil((video_s[-1] + lasts) / interval - 1e-6)) or 1
    rows = range(len(video_s))
    wanted = {min(rows, key=lambda row: (abs(video_s[row] - interval * number), row)) for number in range(count)}
    assert set(_by_time(video_s, interval).tolist()) == wanted


def test_a_gap_of_years_costs_nothing():
    assert _by_time(np.array([0.0, 1.0, 2e9, 2e9 + 1]), 0.1).tolist() == [0, 1, 2, 3]
