"""Videos that go up as copies with a CAMM track: against FFmpeg, ExifTool and the official client, and over real sockets."""

import hashlib
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from conftest import DATA
from helpers import exiftool_oracle, mapillary_tools_oracle
from helpers import video_files as made
from helpers.command_line import run
from helpers.mapillary_tools_oracle import Official
from helpers.photo_folders import LAT, LON, START_MS, picture, tagged
from helpers.processes import HANGS_S, start, wait_for
from helpers.unix import needs_unix
from helpers.upload_folders import USER_TOKEN, clusters_of, hashes, log_of, service_of
from hypothesis import given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo import frames
from mlygeo.errors import FileError, InputError
from mlygeo.formats import camm
from mlygeo.formats.mp4_writer import NewTrack, Spliced, with_track
from mlygeo.readers.cameras.positions import Points
from mlygeo.readers.video import read_video
from mlygeo.standin import Faults, serve
from mlygeo.uploads.videos import (
    CammCopy,
    NoPositionsError,
    UnusableTrackError,
    VideoTrack,
    given_track,
    track_of,
    video_file,
)

GOPRO = DATA / "video" / "gopro_max-heromode.mp4"
CAMM = DATA / "video" / "camm_from_gopro_max.mp4"
TYPES = {"camm": "mly_camm_video", "blackvue": "mly_blackvue_video", "zip": "zip"}
EAST = [(48.77, 9.17 + 2e-4 * number, 240.0 + number) for number in range(20)]
DESCRIPTIONS = "mapillary_image_description.json"

pytestmark = pytest.mark.usefixtures("history")


def program(name):
    found = shutil.which(name)
    if found is None:
        (pytest.fail if os.environ.get("MLYGEO_NO_SKIP") else pytest.skip)(f"{name} is not on the PATH")
    return found


def ffmpeg(*words):
    done = subprocess.run([program("ffmpeg"), "-v", "error", "-y", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


LAYOUTS = {
    "headers at the end": (".mp4", []),
    "headers first": (".mp4", ["-movflags", "faststart"]),
    "quicktime": (".mov", []),
    "cut, with edit lists": (".mp4", ["-ss", "1.3"]),
    "a late start": (".mp4", ["-itsoffset", "0.7"]),
    "hint tracks": (".mp4", ["-movflags", "rtphint"]),
    "other timescales": (".mp4", ["-movie_timescale", "600", "-video_track_timescale", "90000"]),
}


def gopro(folder, layout="headers at the end", name="GX010042", size="160x96"):
    """A video with pictures, sound, and the telemetry of a real camera."""
    ending, words = LAYOUTS[layout]
    first = words if words[:1] in (["-ss"], ["-itsoffset"]) else []
    path, source = folder / f"{name}{ending}", folder / f".{name}.source.mp4"
    folder.mkdir(parents=True, exist_ok=True)
    ffmpeg(
        "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=30:duration=10.5", "-f", "lavfi", "-i", "sine=duration=10.5",
        "-i", GOPRO, "-map", "0", "-map", "1", "-map", "2", "-c:v", "mpeg4", "-bf", "2", "-c:a", "aac", "-c:d", "copy",
        "-copy_unknown", "-fflags", "+bitexact", source,
    )  # fmt: skip
    ffmpeg(*first, "-i", source, "-map", "0", "-c", "copy", "-copy_unknown", *words[len(first) :], path)
    source.unlink()
    return path


def copied(path, folder):
    """Write the copy that would be sent of a video, and return it."""
    copy = CammCopy(path, track_of(path))
    target = folder / f"copy_of_{path.name}"
    with copy.open() as file:
        target.write_bytes(file.read())
    assert target.stat().st_size == copy.size
    assert hashlib.md5(target.read_bytes()).hexdigest() == copy.md5()
    return target


def assert_same_points(found, expected, *, gps=True):
    found, expected = found.reset_index(drop=True), expected.reset_index(drop=True)
    assert len(found) == len(expected)
    for axis, other in zip(frames.lonlat(found), frames.lonlat(expected), strict=True):
        np.testing.assert_array_equal(axis, other)
    np.testing.assert_allclose(found["altitude"], expected["altitude"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(found["video_time_s"], expected["video_time_s"], rtol=0, atol=1e-3)
    if gps:
        assert (found["time"] - expected["time"]).abs().dt.total_seconds().max() <= 1e-6
        assert found["fix"].tolist() == expected["fix"].tolist()


def packets(path):
    """Return what FFmpeg reads of all packets, of every stream but CAMM: times, flags, size and a hash of the bytes."""
    words = ["-v", "error", "-show_packets", "-show_streams", "-show_data_hash", "md5", "-of", "json", path]
    told = json.loads(subprocess.run([program("ffprobe"), *words], capture_output=True, text=True, check=True).stdout)
    of_camm = {stream["index"] for stream in told["streams"] if stream["codec_tag_string"] == "camm"}
    names = ("stream_index", "pts", "dts", "duration", "size", "flags", "data_hash")
    found = [
        tuple(packet.get(name) for name in names) for packet in told["packets"] if packet["stream_index"] not in of_camm
    ]
    return found, [packet for packet in told["packets"] if packet["stream_index"] in of_camm]


def test_the_track_of_a_copy_that_is_asked_for_is_described(tmp_path):
    copy = copied(gopro(tmp_path / "videos"), tmp_path)
    for kind in ("camm", "gopro"):
        description = tmp_path / f"{kind}.json"
        mlygeo.process(copy, file_types=kind, desc_path=description)
        (entry,) = json.loads(description.read_text())
        assert entry["filetype"] == kind
        assert len(entry["MAPGPSTrack"]) > 10


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_copy_has_the_same_packets_and_pictures_and_the_points_of_the_camera(tmp_path, layout):
    path = gopro(tmp_path / "videos", layout)
    copy = copied(path, tmp_path)
    points = read_video(path)
    shown = points[points["video_time_s"] >= 0]
    assert_same_points(read_video(copy, source="camm"), shown)
    assert read_video(copy, source="camm").attrs["make"] == "GoPro"
    assert read_video(copy, source="camm").attrs["model"] == "GoPro Max"
    assert_same_points(read_video(copy, source="gopro"), points)
    (before, none), (after, added) = packets(path), packets(copy)
    assert sorted(after, key=str) == sorted(before, key=str)
    assert not none
    assert len(added) == len(shown)
    frames_of = ["-map", "0:v", "-map", "0:a", "-f", "framemd5", "-"]
    assert ffmpeg("-i", copy, *frames_of) == ffmpeg("-i", path, *frames_of)


def test_exiftool_reads_the_positions_of_a_copy(tmp_path):
    copy = copied(GOPRO, tmp_path)
    said = json.loads(
        subprocess.run(
            [exiftool_oracle.program(), "-ee", "-j", "-n", "-G3:1", "-GPSLatitude", "-GPSLongitude", "-GPSAltitude",
             copy], capture_output=True, text=True, check=True,
        ).stdout
    )[0]  # fmt: skip
    lon, lat = frames.lonlat(read_video(GOPRO))
    for name, expected in (("GPSLatitude", lat), ("GPSLongitude", lon)):
        found = [value for key, value in said.items() if key.endswith(f":Track2:{name}")]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


OFFICIAL_READER = """
import json, sys
from mapillary_tools.camm import camm_parser
with open(sys.argv[1], "rb") as file:
    info = camm_parser.extract_camm_info(file)
points = [[each.time, each.lon, each.lat, each.alt, each.get_gps_epoch_time(), getattr(each, "gps_fix_type", None)]
          for each in info.gps or info.mini_gps]
print(json.dumps([info.make, info.model, points]))
"""


def read_by_the_official_client(path):
    python = mapillary_tools_oracle.program().with_name("python.exe" if os.name == "nt" else "python")
    done = subprocess.run([python, "-c", OFFICIAL_READER, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    make, model, points = json.loads(done.stdout)
    return make, model, np.array(points, dtype=np.float64).T


@pytest.mark.parametrize("late", [False, True], ids=["from the start", "from the middle"])
def test_the_official_client_reads_the_points_of_a_copy(tmp_path, late):
    path = shutil.copy(GOPRO, tmp_path)
    track = track_of(GOPRO)
    if late:
        track = track._replace(points=track.points.take(track.points.video_s > 2.5))
    target = tmp_path / "copy.mp4"
    with CammCopy(tmp_path / GOPRO.name, track).open() as file:
        target.write_bytes(file.read())
    make, model, (time_s, lon, lat, altitude, epoch_s, fix) = read_by_the_official_client(target)
    points = track.points
    assert (make, model) == ("GoPro", "GoPro Max")
    assert len(time_s) == len(points) == (191 if not late else int((track_of(path).points.video_s > 2.5).sum()))
    np.testing.assert_allclose(time_s, points.video_s, rtol=0, atol=1e-3)
    np.testing.assert_array_equal([lon, lat], [points.lon, points.lat])
    np.testing.assert_allclose(altitude, points.altitude, rtol=0, atol=1e-4)
    np.testing.assert_allclose(epoch_s, points.epoch_s, rtol=0, atol=1e-6)
    assert set(fix) == {3.0}


def test_both_clients_send_the_same_track(tmp_path):
    path = gopro(tmp_path / "videos")
    tracks = []
    with serve(store=tmp_path / "theirs", token=USER_TOKEN) as server:
        official = Official(tmp_path, server)
        official.sign_in()
        official.run("process_and_upload", path, "--user_name", "jane", "--desc_path", tmp_path / "their.json")
    with serve(store=tmp_path / "ours", token=USER_TOKEN) as server:
        mlygeo.upload(path, service=service_of(server))
    for store in ("theirs", "ours"):
        [cluster] = clusters_of(tmp_path / store)
        assert cluster["file_type"] == "mly_camm_video"
        tracks.append(read_video(tmp_path / store / "files" / cluster["file"], source="camm", max_dop=np.inf))
    theirs, ours = tracks
    assert len(theirs) == len(ours)
    np.testing.assert_allclose(frames.lonlat(theirs), frames.lonlat(ours), rtol=0, atol=1e-7)
    # They cut each step to whole units of the movie, 1 ms here, so that they are behind in the end.
    np.testing.assert_allclose(theirs["video_time_s"], ours["video_time_s"], rtol=0, atol=1e-3 * len(ours))
    assert theirs.attrs["make"] == ours.attrs["make"]
    assert theirs.attrs["model"] == ours.attrs["model"]


class TestUploads:
    def test_a_gopro_goes_up_once_and_stays_as_it_is(self, server, tmp_path):
        folder = tmp_path / "videos"
        path = gopro(folder)
        before = hashes(folder)
        uploads = mlygeo.upload(folder, service=service_of(server))
        summary = uploads.attrs["summary"]
        assert (summary["videos"], summary["copies"], summary["failed"], summary["skipped"]) == (1, 1, 0, {})
        assert hashes(folder) == before
        assert [each.name for each in folder.iterdir() if each.name != ".mlygeo"] == [path.name]
        [cluster] = clusters_of(server.store)
        assert cluster["file_type"] == "mly_camm_video"
        [sent] = (server.store / "files").iterdir()
        assert sent.name == f"mly_tools_{hashlib.md5(sent.read_bytes()).hexdigest()}.mp4"
        assert_same_points(read_video(sent, source="camm"), read_video(path))
        [row] = uploads.to_dict("records")
        assert row["status"] == "done"
        assert row["md5"] == hashlib.md5(path.read_bytes()).hexdigest()
        assert row["upload_md5"] == hashlib.md5(sent.read_bytes()).hexdigest()
        assert row["bytes"] == sent.stat().st_size == summary["bytes"]
        path.rename(folder / "another name.mp4")
        again = mlygeo.upload(folder, service=service_of(server)).attrs["summary"]
        assert (again["videos"], again["copies"], again["there"], again["bytes"]) == (0, 0, 1, 0)
        assert len(clusters_of(server.store)) == 1

    def test_a_copy_that_was_left_ready_is_finished_and_not_sent_again(self, server, tmp_path):
        path = gopro(tmp_path / "videos")
        assert mlygeo.upload(path, service=service_of(server), manual_done=True).attrs["summary"]["ready"] == 1
        sent = server.count("upload")
        summary = mlygeo.upload(path, service=service_of(server)).attrs["summary"]
        assert (summary["videos"], summary["copies"]) == (1, 1)
        assert server.count("upload") == sent
        assert len(clusters_of(server.store)) == 1

    def test_sentences_in_a_text_track_go_up_too(self, server, tmp_path):
        samples = [
            b"$GPRMC,1000%02d,A,4846.2%03d,N,00910.%04d,E,10,45,050524,,,A" % (n, n * 10, n * 20) for n in range(20)
        ]
        path = tmp_path / "dash.mp4"
        path.write_bytes(made.movie(b"text", b"text", samples, [1000] * 20))
        assert read_video(path).attrs["source"] == "nmea"
        summary = mlygeo.upload(path, service=service_of(server)).attrs["summary"]
        assert (summary["videos"], summary["copies"]) == (1, 1)
        [sent] = (server.store / "files").iterdir()
        assert_same_points(read_video(sent, source="camm"), read_video(path), gps=False)

    def test_the_verb_says_what_is_done(self, server, tmp_path, capsys, monkeypatch):
        monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
        monkeypatch.setenv("MAPILLARY_UPLOAD_ENDPOINT", server.endpoints.upload)
        monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", USER_TOKEN)
        folder = tmp_path / "videos"
        gopro(folder, name="GX010042")
        gopro(folder, "headers first", name="GX020042", size="128x96")
        (folder / "GX030042.MP4").write_bytes(still())
        (folder / "GL010042.LRV").write_bytes((folder / "GX010042.mp4").read_bytes())
        status, _, err = run(capsys, "upload", folder, "--dry-run")
        assert status == 0, err
        assert "2 videos go up as copies with a CAMM track; the originals stay" in err
        assert "left out: GX030042.MP4: the camera does not move; its 20 positions are within 10 m" in err
        assert "low-resolution copies of videos (1)" in err
        assert not clusters_of(server.store)
        status, _, err = run(capsys, "upload", folder)
        assert status == 0, err
        assert "2 videos went up as copies with a CAMM track; the originals stay" in err
        assert "videos without a usable track (1)" in err
        assert len(clusters_of(server.store)) == 2
        # A video that is named has to be one that can be uploaded.
        status, _, err = run(capsys, "upload", folder / "GX030042.MP4")
        assert status == 3
        assert "the camera does not move" in err

    def test_a_folder_of_videos_is_processed_and_uploaded_at_once(self, server, tmp_path):
        path = gopro(tmp_path / "videos")
        for named in (path, path.parent):
            job = mlygeo.process_and_upload(named, service=service_of(server), dry_run=True)
            assert job.attrs["summary"]["videos"] == 1
        summary = mlygeo.process_and_upload(path.parent, service=service_of(server)).attrs["summary"]
        assert (summary["videos"], summary["copies"]) == (1, 1)
        assert len(clusters_of(server.store)) == 1

    def test_what_process_and_upload_leave_out_is_in_one_summary(self, server, tmp_path):
        folder = tmp_path / "videos"
        gopro(folder)
        (folder / "picture.png").write_bytes(b"no picture")
        with zipfile.ZipFile(folder / "notes.zip", "w") as archive:
            archive.writestr("notes.txt", "no sequence")
        (folder / "photo.jpg").write_bytes(tagged(picture(1), ms=START_MS, lon=LON, lat=LAT))
        summary = mlygeo.process_and_upload(folder, service=service_of(server)).attrs["summary"]
        assert summary["left_out"]["pictures .png"] == 1
        assert "notes.zip" in summary["left_out"][str(folder / "notes.zip")]
        assert summary["copies"] == 1

    def test_types_of_files_select_by_the_camera(self, server, tmp_path):
        folder = tmp_path / "videos"
        gopro(folder)
        shutil.copy(CAMM, folder)
        summary = mlygeo.upload(folder, service=service_of(server), file_types="gopro").attrs["summary"]
        assert (summary["videos"], summary["copies"], summary["skipped"]) == (1, 1, {"of another type": 1})
        summary = mlygeo.upload(folder, service=service_of(server), file_types="camm").attrs["summary"]
        assert (summary["videos"], summary["copies"]) == (1, 0)


def still():
    rows = [(*EAST[0][:2], 240.0 + number, 0.0, 0.0) for number in range(10)]
    payloads = [made.gpmf(rows), made.gpmf(rows, b"240505100001.000")]
    return made.movie(b"gpmd", b"meta", payloads, [1000, 1000])


def gpmf_video(rows, **options):
    half = len(rows) // 2
    payloads = [made.gpmf(rows[:half], **options), made.gpmf(rows[half:], b"240505100001.000", **options)]
    return made.movie(b"gpmd", b"meta", payloads, [1000, 1000])


MOVING = [(lat, 9.17 + 2e-5 * number, altitude, 14.7, 14.8) for number, (lat, _, altitude) in enumerate(EAST)]
TOO_FAST = [(lat, 9.17 + 0.05 * number, altitude, 5000.0, 5000.0) for number, (lat, _, altitude) in enumerate(EAST)]
UNUSABLE = {
    "standing still": (still(), UnusableTrackError, "does not move"),
    "one position": (gpmf_video(MOVING[:2]), UnusableTrackError, "its 2 positions are within 10 m"),
    "too fast": (gpmf_video(TOO_FAST), UnusableTrackError, "km/h fast"),
    "no fix": (gpmf_video(MOVING, fix=0), UnusableTrackError, "none of its positions is reliable"),
    "no precision": (gpmf_video(MOVING, dop=9999), UnusableTrackError, "none of its positions is reliable"),
    "no positions": (made.movie(b"gpmd", b"meta", [b"nothing"], [1000]), NoPositionsError, "contains no positions"),
    "not a video": (b"text", NoPositionsError, "not an MP4"),
    "cut off": (gpmf_video(MOVING)[:-40] , NoPositionsError, "ends inside its 'mdat' box|contains no positions"),
    "in fragments": (
        made.fragmented(b"gpmd", b"meta", [made.gpmf(MOVING[:10]), made.gpmf(MOVING[10:], b"240505100001.000")],
                        [1000, 1000],
                        lambda begin, data, some, lasting, at: [
                            (made.tfhd(1, base=begin), made.tfdt(at),
                             made.trun(len(some), shift=data, duration=lasting, size=[len(one) for one in some]))]),
        NoPositionsError, "in fragments"),
}  # fmt: skip


@pytest.mark.parametrize("what", UNUSABLE)
def test_videos_that_are_not_sent_say_why(tmp_path, what):
    content, kind, reason = UNUSABLE[what]
    path = tmp_path / "GX010042.MP4"
    path.write_bytes(content)
    with pytest.raises(kind, match=reason) as error:
        video_file(str(path), None, TYPES)
    assert path.name in str(error.value)


def test_an_original_that_changes_meanwhile_is_not_sent(tmp_path):
    path = tmp_path / "GX010042.MP4"
    path.write_bytes(gpmf_video(MOVING))
    copy = CammCopy(path, track_of(path))
    os.utime(path, (1, 1))
    with pytest.raises(FileError, match="has changed"):
        copy.open()
    path.unlink()
    with pytest.raises(FileError, match="does not exist"):
        copy.open()


class TestDescriptions:
    def describe(self, path, **more):
        entry = {"filename": str(path), "filetype": "video", **more}
        (path.parent / DESCRIPTIONS).write_text(json.dumps([entry]))

    def track(self, points=EAST):
        return [[1000 * number + 500, lon, lat, altitude, None] for number, (lat, lon, altitude) in enumerate(points)]

    def test_the_track_of_a_description_goes_up(self, server, tmp_path):
        """As mapillary_tools writes it for a video and a GPX file: the video knows nothing itself."""
        path = tmp_path / "ride.mp4"
        path.write_bytes(made.movie(b"avc1", b"vide", [b"picture"] * 20, [1000] * 20))
        self.describe(path, MAPGPSTrack=self.track(), MAPDeviceMake="Ricoh", MAPDeviceModel="Theta")
        summary = mlygeo.upload(tmp_path / "ride.mp4", service=service_of(server)).attrs["summary"]
        assert (summary["videos"], summary["copies"]) == (1, 1)
        [sent] = (server.store / "files").iterdir()
        found = read_video(sent, source="camm")
        lon, lat = frames.lonlat(found)
        assert list(zip(lat, lon, found["altitude"], strict=True)) == EAST
        np.testing.assert_allclose(found["video_time_s"], np.arange(20) + 0.5, rtol=0, atol=1e-3)
        assert not found.attrs["gps_time"]
        assert (found.attrs["make"], found.attrs["model"]) == ("Ricoh", "Theta")

    def test_the_track_of_a_description_counts_instead_of_the_videos_own(self, server, tmp_path):
        path = tmp_path / "GX010042.MP4"
        path.write_bytes(gpmf_video(MOVING))
        north = [(lat + 0.5, lon, altitude) for lat, lon, altitude in EAST]
        epoch = 1_714_903_200.25
        track = [[*entry[:5], epoch + number] for number, entry in enumerate(self.track(north))]
        self.describe(path, filetype="gopro", MAPGPSTrack=track)
        mlygeo.upload(path, service=service_of(server))
        [sent] = (server.store / "files").iterdir()
        found = read_video(sent, source="camm")
        assert list(zip(*frames.lonlat(found), strict=True)) == [(lon, lat) for lat, lon, _ in north]
        assert found.attrs["gps_time"]
        assert (found["time"].astype("int64") / 1e6).tolist() == [epoch + number for number in range(20)]

    def test_a_camm_video_goes_up_as_it_is_unless_another_track_is_described(self, server, tmp_path):
        folder = tmp_path / "videos"
        folder.mkdir()
        path = folder / CAMM.name
        shutil.copy(CAMM, path)
        own = read_video(path, max_dop=np.inf, keep_outliers=True)
        rounded = [
            [int(time_s * 1000), round(lon, 7), round(lat, 7), round(altitude, 3), None]
            for time_s, lon, lat, altitude in zip(
                own["video_time_s"], *frames.lonlat(own), own["altitude"], strict=True
            )
        ]
        self.describe(path, filetype="camm", MAPGPSTrack=rounded)
        summary = mlygeo.upload(folder, service=service_of(server)).attrs["summary"]
        assert (summary["videos"], summary["copies"]) == (1, 0)
        [sent] = (server.store / "files").iterdir()
        assert sent.read_bytes() == CAMM.read_bytes()
        self.describe(path, filetype="camm", MAPGPSTrack=self.track())
        summary = mlygeo.upload(folder, service=service_of(server), reupload=True).attrs["summary"]
        assert (summary["videos"], summary["copies"]) == (1, 1)
        [sent] = {*(server.store / "files").iterdir()} - {sent}
        assert len(read_video(sent)) == 20

    def test_a_video_that_failed_is_not_sent(self, server, tmp_path):
        path = tmp_path / "v" / CAMM.name
        path.parent.mkdir()
        shutil.copy(CAMM, path)
        self.describe(path, error={"type": "MapillaryStationaryVideoError", "message": "Stationary video"})
        summary = mlygeo.upload(path.parent, service=service_of(server)).attrs["summary"]
        assert summary["skipped"] == {"failed": 1}
        assert not clusters_of(server.store)

    @pytest.mark.parametrize("entry", [[0], [None, 9.17, 48.77], [0, 200, 48.77], [0, 9.17, -91], [0, 0, 0],
                                       ["0", 9.17, 48.77], "text", [True, 9.17, 48.77]])  # fmt: skip
    def test_a_described_track_that_is_none_is_not_sent(self, tmp_path, entry):
        path = tmp_path / "ride.mp4"
        path.write_bytes(made.movie(b"avc1", b"vide", [b"picture"], [1000]))
        track = json.dumps([*self.track()[:3], entry, *self.track()[3:]])
        with pytest.raises(UnusableTrackError, match=r"ride\.mp4: entry 4 of its described track"):
            video_file(str(path), {"track": track}, TYPES)
        for empty in ([], [[ms - 100_000, *others] for ms, *others in self.track()]):
            with pytest.raises(UnusableTrackError, match="no position"):
                video_file(str(path), {"track": json.dumps(empty)}, TYPES)


@settings(max_examples=60)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 900_000).map(lambda ms: ms / 1000), st.floats(-180, 180), st.floats(-90, 90),
                  st.floats(-400, 9000) | st.none()),
        min_size=1, max_size=20, unique_by=lambda row: row[0],
    ),
    start=st.none() | st.floats(1.7e9, 1.7e9 + 600),
)  # fmt: skip
def test_every_position_is_read_again_as_it_was(tmp_path_factory, rows, start):
    """In the order of time, none lost; unknown altitudes stay unknown if all are, and lie between others else."""
    rows.sort(key=lambda row: row[0])
    time_s, lon, lat = np.array([row[:3] for row in rows]).T
    altitude = np.array([np.nan if row[3] is None else row[3] for row in rows])
    there = (lon != 0) | (lat != 0)
    epoch_s = np.full(len(rows), np.nan) if start is None else start + time_s
    folder = tmp_path_factory.mktemp("videos")
    path = folder / "video.mp4"
    path.write_bytes(made.movie(b"avc1", b"vide", [b"picture"], [1000], created_s=1_700_000_000))
    points = Points.of(time_s, lon, lat, altitude=altitude, epoch_s=epoch_s)
    with CammCopy(path, VideoTrack(points, None, None, None)).open() as file:
        (folder / "copy.mp4").write_bytes(file.read())
    if not there.any():
        return
    found = read_video(folder / "copy.mp4", source="camm", keep_outliers=True)
    np.testing.assert_array_equal(frames.lonlat(found), [lon[there], lat[there]])
    np.testing.assert_allclose(found["video_time_s"], time_s[there], rtol=0, atol=1e-3)
    known = np.isfinite(altitude)
    single = start is not None
    expected = np.interp(time_s, time_s[known], altitude[known]) if known.any() else altitude
    if not (known.any() and (expected[there] == camm.NO_ALTITUDE).all()):
        np.testing.assert_allclose(found["altitude"], expected[there], rtol=1e-6 if single else 0, atol=1e-3 * single)
    assert found.attrs["gps_time"] == (start is not None)
    if start is not None:
        np.testing.assert_allclose(found["time"].astype("int64") / 1e6, epoch_s[there], rtol=0, atol=2e-6)


# The function, since the verb's waits between two tries are meant for a real line.
QUICKLY = """
import sys, mlygeo
from mlygeo.net.http import Retry
from mlygeo.providers.mapillary.service import Endpoints, Service
retry = Retry(attempts=50, first_wait=0.005, longest_wait=0.05, rate_wait=0.02)
service = Service(endpoints=Endpoints.from_environment(), token=sys.argv[2], retry=retry)
summary = mlygeo.upload(sys.argv[1], service=service).attrs["summary"]
sys.exit(3 if summary["failed"] or summary["unfinished"] else 0)
"""


@needs_unix("kill -9 for another process")
def test_a_copy_that_is_killed_goes_on_where_it_stopped(tmp_path):
    folder, store = tmp_path / "videos", tmp_path / "store"
    path = gopro(folder)
    filling = np.random.default_rng(4).bytes(3_000_000)
    path.write_bytes(path.read_bytes() + struct.pack(">I4s", 8 + len(filling), b"mdat") + filling)
    before, kills = hashes(folder), 0
    with serve(store=store, token=USER_TOKEN, faults=Faults(read_rate=2_000_000.0, only=("uploads",))) as server:
        environment = {
            **os.environ, "MAPILLARY_GRAPH_API_ENDPOINT": server.url,
            "MAPILLARY_UPLOAD_ENDPOINT": server.endpoints.upload, "PYTHONPATH": os.pathsep.join(sys.path),
        }  # fmt: skip
        command = [sys.executable, "-c", QUICKLY, str(folder), USER_TOKEN]

        def arrived():
            partial = store / "partial"
            return sum(each.stat().st_size for each in partial.iterdir()) if partial.exists() else 0

        for goal in (300_000, 1_200_000, 2_100_000):
            process = start(command, env=environment)
            wait_for(lambda goal=goal: arrived() >= goal, process)
            process.kill()
            process.wait()
            kills += 1
            for pipe in (process.stdout, process.stderr):
                pipe.close()
            assert [each.name for each in folder.iterdir() if each.name != ".mlygeo"] == [path.name]
            time.sleep(0.1)
        server.faults = Faults()
        last = start(command, env=environment)
        _, err = last.communicate(timeout=HANGS_S)
        assert last.returncode == 0, err
    assert hashes(folder) == before
    [cluster] = clusters_of(store)
    received = [line for line in log_of(store) if line["event"] == "received"]
    assert len({line["key"] for line in received}) == 1
    assert max(line["offset"] for line in received) >= 2_100_000
    sent = store / "files" / cluster["file"]
    assert sum(line["bytes"] for line in received) == sent.stat().st_size, "no byte twice"
    assert_same_points(read_video(sent, source="camm"), read_video(path))


class TestTracksOfOtherDevices:
    @pytest.fixture
    def ride(self, tmp_path):
        """A GPX log of a minute, a point a second to the east, and a video of six seconds that begins at second 20.5."""
        lon = 9.17 + 1e-4 * np.arange(60)
        tracks = gpd.GeoDataFrame(
            {"track_id": "ride", "time": made.START + pd.to_timedelta(np.arange(60), unit="s"), "altitude": 240.0},
            geometry=gpd.points_from_xy(lon, np.full(60, 48.77)), crs=4326,
        )  # fmt: skip
        mlygeo.write_track(frames.conform(tracks, frames.TRACKS), tmp_path / "ride.gpx")
        path = tmp_path / "videos" / "ride.mp4"
        path.parent.mkdir()
        start = int(made.START.timestamp()) + 20
        path.write_bytes(made.movie(b"avc1", b"vide", [b"picture"] * 6, [1000] * 6, created_s=start))
        return path, tmp_path / "ride.gpx", start

    def sent(self, server):
        [file] = (server.store / "files").iterdir()
        return read_video(file, source="camm")

    def test_a_video_gets_its_part_by_the_clock(self, server, ride):
        path, log, start = ride
        summary = mlygeo.upload(path.parent, track=log, service=service_of(server)).attrs["summary"]
        assert (summary["videos"], summary["copies"], summary["skipped"]) == (1, 1, {})
        found = self.sent(server)
        # To the first point after the end, and no further: the way home is nobody's business.
        np.testing.assert_allclose(frames.lonlat(found)[0], 9.17 + 1e-4 * np.arange(20, 27), rtol=0, atol=1e-9)
        assert found["video_time_s"].tolist() == list(range(7))
        assert (found["time"].astype("int64") / 1e6).tolist() == [start + number for number in range(7)]

    def test_the_start_of_the_video_can_be_given(self, server, ride):
        path, log, start = ride
        mlygeo.upload(path, track=log, video_start_time=(start + 10) * 1000 + 500, service=service_of(server))
        found = self.sent(server)
        np.testing.assert_allclose(frames.lonlat(found)[0], 9.17 + 1e-4 * np.arange(31, 38), rtol=0, atol=1e-9)
        np.testing.assert_allclose(found["video_time_s"], np.arange(7) + 0.5, rtol=0, atol=1e-3)

    def test_a_gopro_is_related_by_its_own_gps_and_not_by_its_clock(self, tmp_path, ride):
        _, log, _ = ride
        path = tmp_path / "GX010042.MP4"
        payloads = [made.gpmf(MOVING[:10], b"240505100030.000"), made.gpmf(MOVING[10:], b"240505100032.000")]
        path.write_bytes(with_telemetry(payloads))
        track = track_of(path, video_file_of(path, log).recipe)
        np.testing.assert_allclose(track.points.lon[:3], 9.17 + 1e-4 * np.arange(30, 33), rtol=0, atol=1e-9)
        assert track.model == "HERO9 Black"
        path.write_bytes(with_telemetry([made.gpmf(MOVING, fix=0, moment=b"?")]))
        with pytest.raises(UnusableTrackError, match="local time only"):
            video_file_of(path, log)

    def test_a_video_outside_the_track_says_when_both_were(self, ride):
        path, log, _ = ride
        for start_ms in (1_700_000_000_000, 1_900_000_000_000):
            with pytest.raises(UnusableTrackError, match=r"2024-05-05 10:00:00 to 2024-05-05 10:00:59.*begins at 20"):
                video_file_of(path, log, start_ms)
        path.write_bytes(made.movie(b"avc1", b"vide", [b"picture"] * 6, [1000] * 6))
        with pytest.raises(UnusableTrackError, match="does not say when it was recorded"):
            video_file_of(path, log)

    def test_chapters_with_one_creation_time_are_not_put_on_top_of_each_other(self, server, ride):
        path, log, start = ride
        shutil.copy(path, path.with_name("ride2.mp4"))
        summary = mlygeo.upload(path.parent, track=log, service=service_of(server)).attrs["summary"]
        assert summary["skipped"] == {"videos without a usable track": 2}
        assert {Path(each).name for each in summary["left_out"]} == {"ride.mp4", "ride2.mp4"}
        assert all("the same creation time" in reason for reason in summary["left_out"].values())
        with pytest.raises(InputError, match="that of one video, and there are 2"):
            mlygeo.upload(path.parent, track=log, video_start_time=start * 1000, service=service_of(server))
        assert not clusters_of(server.store)

    def test_options_that_make_no_sense_are_errors(self, server, ride):
        path, log, start = ride
        with pytest.raises(InputError, match="only with `track`"):
            mlygeo.upload(path, video_start_time=start * 1000, service=service_of(server))
        with pytest.raises(InputError, match="`video_start_time=-1` is not a time"):
            mlygeo.upload(path, track=log, video_start_time=-1, service=service_of(server))
        with pytest.raises(FileError, match=r"none\.gpx"):
            mlygeo.upload(path, track=log.with_name("none.gpx"), service=service_of(server))


def with_telemetry(payloads):
    """A GoPro video of six pictures, whose clock was never right."""
    pictures = made.movie(b"avc1", b"vide", [b"picture"] * 6, [1000] * 6, created_s=1_000_000_000)
    track = NewTrack(b"gpmd", "GoPro MET", payloads, 2.0 * np.arange(len(payloads)))
    return Spliced(io.BytesIO(pictures), with_track(io.BytesIO(pictures), len(pictures), track)).read()


def video_file_of(path, log, start_ms=None):
    return video_file(str(path), None, TYPES, given_track(mlygeo.read_track(log), start_ms))
