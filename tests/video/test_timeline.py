"""Frame times of every container and edit list that FFmpeg writes, against the packet times of ffprobe."""

import io
import json
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

import mlygeo
from mlygeo.video import decoding
from mlygeo.video import ffmpeg as program_of
from mlygeo.video.sampling import UNORDERED, frame_table

pytest.importorskip("av", reason="frames need PyAV")

COPY = ["-c", "copy"]

CONTAINERS = {
    "mp4": COPY, "mov": COPY, "m4v": COPY, "f4v": [*COPY, "-f", "f4v"], "3gp": COPY, "3g2": COPY, "mkv": COPY,
    "flv": [*COPY, "-an"], "ts": COPY, "m2ts": COPY, "mts": [*COPY, "-f", "mpegts"],
    "webm": ["-c:v", "libvpx", "-deadline", "realtime", "-an"], "ogv": ["-c:v", "libtheora", "-an"],
    "avi": ["-c:v", "mpeg4", "-bf", "0", "-an"], "b_frames.avi": ["-c:v", "mpeg4", "-bf", "2", "-an"],
    "wmv": ["-c:v", "wmv2", "-an"], "asf": ["-c:v", "msmpeg4", "-an"], "mxf": ["-c:v", "mpeg2video", "-an"],
    "mpg": ["-c:v", "mpeg2video", "-bf", "2", "-an"], "vob": ["-c:v", "mpeg2video", "-bf", "2", "-an"],
    "mpeg": ["-c:v", "mpeg1video", "-an"], "dv": ["-c:v", "dvvideo", "-s", "720x576", "-pix_fmt", "yuv420p", "-an"],
}  # fmt: skip

BEFORE = {
    "all of it": [],
    "cut behind a key frame": ["-ss", "1.3"],
    "cut at both ends": ["-ss", "1.3", "-t", "0.9"],
    "cut with its times": ["-copyts", "-ss", "1.3"],
    "two seconds late": ["-itsoffset", "2"],
}

FLAGS = (
    "negative_cts_offsets", "faststart", "frag_keyframe", "frag_keyframe+empty_moov", "frag_keyframe+delay_moov",
    "frag_every_frame", "dash", "cmaf", "frag_keyframe+empty_moov+negative_cts_offsets",
    "frag_keyframe+delay_moov+negative_cts_offsets",
)  # fmt: skip

PROGRAM = []


@pytest.fixture(scope="module", autouse=True)
def programs():
    for name in ("ffmpeg", "ffprobe"):
        if shutil.which(name) is None:
            pytest.skip(f"the {name} program is not installed")
    PROGRAM[:] = [program_of.find("ffmpeg")]


def run(*words):
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, words)], check=True)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Three seconds of 25 pictures a second with a key frame each second, and with sound."""
    path = tmp_path_factory.mktemp("source") / "source.mp4"
    run(
        *("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=3", "-f", "lavfi", "-i", "sine=duration=3"),
        *("-c:v", "libx264", "-bf", "2", "-g", "25", "-pix_fmt", "yuv420p", "-c:a", "aac", path),
    )
    return path


def packets(path):
    """The times of the packets that are shown, seconds from the first of them, as far as packets have times."""
    words = ["-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts_time,dts_time,flags", "-of", "json"]
    said = subprocess.run(["ffprobe", *words, str(path)], check=True, capture_output=True)
    found = [each for each in json.loads(said.stdout)["packets"] if "D" not in each["flags"]]
    times = np.sort([float(each.get("pts_time", each.get("dts_time", "nan"))) for each in found])
    return times - np.nanmin(times)


def pictures(path, table, rows):
    """The pictures of some frames by PyAV and by the program."""
    ours = {}
    list(decoding.decode(path, table, rows, lambda row, frame: ours.update({row: frame.to_ndarray(format="gray")})))
    program = PROGRAM[0]
    theirs = {
        row: np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"))
        for row, jpeg in program_of.pictures(program, path, table, rows, quality=2)
    }
    return ours, theirs


def check(path, expected, *, some=7):
    table = frame_table(path)
    np.testing.assert_allclose(table.seconds, expected, atol=1.1e-3)
    assert not table.problems
    rows = table.rows[::some]
    ours, theirs = pictures(path, table, rows)
    assert sorted(ours) == sorted(theirs) == sorted(rows.tolist())
    for row in rows:
        narrow = (ours[row].astype(float) - 16) * 255 / 219  # JPEG's range of brightness is wider than a video's
        assert min(np.abs(each - theirs[row]).mean() for each in (narrow, ours[row].astype(float))) < 12


@pytest.mark.parametrize("ending", CONTAINERS)
def test_the_first_frame_of_every_container_is_at_0(source, tmp_path, ending):
    path = tmp_path / f"video.{ending}"
    run("-i", source, *CONTAINERS[ending], path)
    expected = np.arange(75) / 25
    if ending not in {"mpg", "vob", "mpeg"}:  # there, only some packets have a time
        np.testing.assert_allclose(packets(path), expected, atol=1.1e-3)
    check(path, expected)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "flv"])
@pytest.mark.parametrize("before", BEFORE)
def test_cuts_and_shifts(source, tmp_path, ending, before):
    path = tmp_path / f"video.{ending}"
    sound = ["-an"] if ending == "flv" else []
    run(*BEFORE[before], "-i", source, *COPY, *sound, path)
    check(path, packets(path))


@pytest.mark.parametrize("which", ["0:v 1:a", "1:v 0:a"], ids=["sound late", "pictures late"])
@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_tracks_that_begin_at_different_times(source, tmp_path, ending, which):
    path = tmp_path / f"video.{ending}"
    maps = [word for name in which.split() for word in ("-map", name)]
    run("-i", source, "-itsoffset", "1.01", "-i", source, *maps, *COPY, path)
    check(path, np.arange(75) / 25)


@pytest.mark.parametrize("edits", ["0", "-1"])
@pytest.mark.parametrize("before", ["all of it", "cut behind a key frame"])
@pytest.mark.parametrize("flags", FLAGS)
def test_every_way_to_write_an_mp4_gives_the_same_times(source, tmp_path, flags, before, edits):
    path = tmp_path / "video.mp4"
    run(*BEFORE[before], "-i", source, *COPY, "-movflags", flags, "-use_editlist", edits, path)
    content = path.read_bytes()
    # A cut copies from the key frame at 1.0 s on, and an edit list, where one is written, hides what is before 1.3 s.
    count = 75 if before == "all of it" else 42 if b"elst" in content else 50
    # Of files in fragments, ffprobe 5 follows edit lists only in part.
    expected = np.arange(count) / 25 if b"moof" in content and b"elst" in content else packets(path)
    assert len(expected) == count
    table = frame_table(path)
    np.testing.assert_allclose(table.seconds, expected, atol=1.1e-3)
    found = []
    list(decoding.decode(path, table, table.rows[::20], lambda row, _: found.append(row)))
    assert sorted(found) == sorted(table.rows[::20].tolist())


def test_a_video_cut_without_loss_is_sampled_whole(source, tmp_path):
    path = tmp_path / "cut.mp4"
    run("-ss", "1.3", "-i", source, *COPY, path)
    images = mlygeo.sample_video(path, video_sample_interval=0.5, video_start_time=1_700_000_000_000)
    assert images["error"].isna().all()
    assert images["video_time_s"].tolist() == pytest.approx([0.0, 0.48, 1.0, 1.48])
    by_program = mlygeo.sample_video(
        path, import_path=tmp_path / "program", decoder="ffmpeg", video_sample_interval=0.5,
        video_start_time=1_700_000_000_000,
    )  # fmt: skip
    assert by_program["video_time_s"].tolist() == images["video_time_s"].tolist()


def test_a_picture_that_an_edit_list_shows_twice_is_two_frames(source, tmp_path):
    path = tmp_path / "twice.mp4"
    run("-i", source, "-an", *COPY, path)
    content = path.read_bytes()
    at = content.index(b"elst")
    edit = content[at + 12 : at + 24]
    length = int.from_bytes(edit[:4], "big")
    assert length == 3000
    # The one edit, split: the first second again after the first two.
    media = int.from_bytes(edit[4:8], "big")
    parts = [(2000, media), (1000, media)]
    assert content[at + 8 : at + 12] == (1).to_bytes(4, "big")
    added = b"".join(n.to_bytes(4, "big") + m.to_bytes(4, "big") + (1 << 16).to_bytes(4, "big") for n, m in parts)
    grown = bytearray(content[: at + 8] + (2).to_bytes(4, "big") + added + content[at + 24 :])
    for kind in (b"elst", b"edts", b"trak", b"moov"):
        start = grown.rindex(kind, 0, at + 4) - 4
        grown[start : start + 4] = (int.from_bytes(grown[start : start + 4], "big") + 12).to_bytes(4, "big")
    path.write_bytes(grown)
    table = frame_table(path)
    assert len(table.rows) == 75
    assert table.rows[50:].tolist() == table.rows[:25].tolist()
    images = mlygeo.sample_video(path, video_sample_interval=1, video_start_time=1_700_000_000_000)
    assert images["error"].isna().all()
    assert images["video_time_s"].tolist() == pytest.approx([0.0, 1.0, 2.0])
    first, _, third = (np.asarray(Image.open(name)) for name in images["path"])
    assert (first == third).all()


def test_an_avi_whose_order_is_unknown_says_so(source, tmp_path):
    path = tmp_path / "h264.avi"
    run("-i", source, "-an", *COPY, "-bsf:v", "h264_mp4toannexb", path)
    images = mlygeo.sample_video(path)
    assert images["warning"].str.contains(UNORDERED).all()
