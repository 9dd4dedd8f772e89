"""Times of positions in videos: edit lists, stray and contradicting times, and what is left out."""

import os
import struct

import numpy as np
import pandas as pd
import pytest
from helpers import video_files as made
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlygeo.errors import FormatError
from mlygeo.formats.timeline import Edit, Timeline
from mlygeo.readers.cameras import blackvue
from mlygeo.readers.cameras.positions import HIDDEN, STRAY
from mlygeo.readers.video import read_video, video_info

START = pd.Timestamp("2024-05-05T10:00:00Z")
START_S = int(START.timestamp())
ONE = 1 << 16


def place(second):
    return 48.77 + 1e-4 * second, 9.17


def of_camm(seconds=10):
    samples = [made.camm6(START_S + second, 3, *place(second), 240.0) for second in range(seconds)]
    return b"camm", b"camm", samples


def of_gopro(seconds=10, moments=None):
    samples = []
    for second in range(seconds):
        moment = (START + pd.Timedelta(seconds=second)) if moments is None else moments[second]
        rows = [(*place(second + part / 5), 240.0, 11.0, 11.0) for part in range(5)]
        samples.append(made.gpmf(rows, moment=f"{moment:%y%m%d%H%M%S}.000".encode()))
    return b"gpmd", b"meta", samples


def of_text(seconds=10):
    samples = []
    for second in range(seconds):
        lat, lon = place(second)
        clock = START + pd.Timedelta(seconds=second)
        text = (
            f"GPRMC,{clock:%H%M%S}.00,A,{int(lat):02d}{lat % 1 * 60:09.6f},N,{int(lon):03d}{lon % 1 * 60:09.6f},E,"
            f"20.0,0.0,{clock:%d%m%y},,,A"
        )
        total = 0
        for byte in text.encode():
            total ^= byte
        samples.append(f"${text}*{total:02X}\r\n".encode())
    return b"tx3g", b"sbtl", samples


TRACKS = {"camm": of_camm, "gopro": of_gopro, "nmea": of_text}

EDITS = {
    "none": [],
    "an empty edit alone": [(2000, -1, ONE)],
    "an empty edit, then all": [(2000, -1, ONE), (10_000, 0, ONE)],
    "a part": [(4000, 3000, ONE)],
    "a part, late": [(500, -1, ONE), (4000, 3000, ONE)],
    "two parts with a gap": [(2000, 1000, ONE), (1000, -1, ONE), (3000, 6000, ONE)],
    "in another order": [(3000, 6000, ONE), (3000, 0, ONE)],
    "twice": [(2000, 1000, ONE), (2000, 1000, ONE)],
    "longer than the media": [(90_000, 0, ONE)],
    "without a length": [(0, 4000, ONE)],
    "half as fast": [(8000, 2000, ONE // 2)],
}


@pytest.mark.parametrize("source", TRACKS)
@pytest.mark.parametrize("name", EDITS)
def test_edit_lists_of_tracks(tmp_path, source, name):
    edits = EDITS[name]
    kind, handler, samples = TRACKS[source]()
    video = tmp_path / "video.mp4"
    video.write_bytes(made.movie(kind, handler, samples, [1000] * len(samples), created_s=START_S, edits=edits))
    found = read_video(video)
    assert found.attrs["source"] == source
    media_s = np.round((found.geometry.y.to_numpy() - 48.77) / 1e-4, 3)
    each = np.arange(50) / 5 if source == "gopro" else np.arange(10.0)
    line = Timeline.of([Edit(*edit) for edit in edits], movie_timescale=1000, timescale=1000)
    rows, seconds = line.instants(each)
    np.testing.assert_allclose(media_s, each[rows], atol=1e-3)
    np.testing.assert_allclose(found["video_time_s"], seconds, atol=1e-6)
    # The times of the GPS stay with their positions, wherever these are shown.
    np.testing.assert_allclose((found["time"] - START).dt.total_seconds(), each[rows], atol=1e-3)
    hidden = len(each) - len(set(rows.tolist()))
    assert found.attrs["left_out"] == ({HIDDEN: hidden} if hidden else {})
    assert found.attrs["problems"] == list(line.problems)


def with_pictures(track, video_edits, first_later=0):
    """A movie of a camm track and a track of pictures with its own edit list; ten pictures, one a second."""
    plain = made.movie(*of_camm(), [1000] * 10, created_s=START_S)
    pictures = made.movie(
        b"avc1", b"vide", [b"picture"] * 10, [1000] * 10, created_s=START_S, edits=video_edits
    )  # fmt: skip
    at = pictures.index(b"trak") - 4
    trak = bytearray(pictures[at : at + int.from_bytes(pictures[at : at + 4], "big")])
    head = trak.index(b"tkhd")
    trak[head + 16 : head + 20] = struct.pack(">I", 2)
    trak[head + 80 : head + 88] = struct.pack(">II", 160 << 16, 120 << 16)
    moov = plain.index(b"moov")
    size = int.from_bytes(plain[moov - 4 : moov], "big")
    grown = bytearray(plain[: moov - 4 + size] + trak + plain[moov - 4 + size :])
    grown[moov - 4 : moov] = (size + len(trak)).to_bytes(4, "big")
    offset = grown.index(b"stco") + 12
    grown[offset : offset + 4] = (int.from_bytes(grown[offset : offset + 4], "big") + len(trak)).to_bytes(4, "big")
    return bytes(grown)


@pytest.mark.parametrize(
    ("edits", "first_s"),
    [([], 0.0), ([(2000, -1, ONE), (10_000, 0, ONE)], 2.0), ([(7000, 3000, ONE)], 0.0), ([(7000, 2500, ONE)], 0.5)],
)
def test_positions_count_from_the_first_picture(tmp_path, edits, first_s):
    video = tmp_path / "video.mp4"
    video.write_bytes(with_pictures(of_camm(), edits))
    found = read_video(video)
    assert len(found) == 10
    np.testing.assert_allclose(found["video_time_s"], np.arange(10) - first_s)


STRAY_MOMENTS = {
    "years ago": pd.Timestamp("2015-01-01T00:00:05Z"),
    "an epoch of GPS ago": START - pd.Timedelta(weeks=1024),
    "the year 2000": pd.Timestamp("2000-01-01T00:00:00Z"),
    "a day early": START - pd.Timedelta(days=1),
    "years ahead": START + pd.Timedelta(weeks=1024),
}


@pytest.mark.parametrize("created", [True, False])
@pytest.mark.parametrize("many", [1, 3])
@pytest.mark.parametrize("name", STRAY_MOMENTS)
def test_stray_first_times_do_not_count(tmp_path, name, many, created):
    moments = [START + pd.Timedelta(seconds=second) for second in range(10)]
    moments[:many] = [STRAY_MOMENTS[name] + pd.Timedelta(seconds=second) for second in range(many)]
    kind, handler, samples = of_gopro(moments=moments)
    video = tmp_path / "video.mp4"
    video.write_bytes(made.movie(kind, handler, samples, [1000] * 10, created_s=START_S if created else 0))
    found = read_video(video)
    assert len(found) == 50
    np.testing.assert_allclose((found["time"] - START).dt.total_seconds(), np.arange(50) / 5, atol=1e-3)
    assert found.attrs["left_out"] == {STRAY: many}
    camm = [made.camm6(moment.timestamp(), 3, *place(second), 0.0) for second, moment in enumerate(moments)]
    video.write_bytes(made.movie(b"camm", b"camm", camm, [1000] * 10, created_s=START_S))
    found = read_video(video)
    np.testing.assert_allclose((found["time"] - START).dt.total_seconds(), np.arange(10), atol=1e-3)
    assert found.attrs["left_out"] == {STRAY: many}


def test_of_two_groups_of_times_that_near_the_creation_time_is_right(tmp_path):
    moments = [pd.Timestamp("2015-01-01T00:00:05Z") + pd.Timedelta(seconds=second) for second in range(7)]
    moments += [START + pd.Timedelta(seconds=second) for second in range(7, 10)]
    kind, handler, samples = of_gopro(moments=moments)
    video = tmp_path / "video.mp4"
    video.write_bytes(made.movie(kind, handler, samples, [1000] * 10, created_s=START_S))
    found = read_video(video)
    np.testing.assert_allclose((found["time"] - START).dt.total_seconds(), np.arange(50) / 5, atol=1e-3)
    assert found.attrs["left_out"] == {STRAY: 7}


def test_a_time_lapse_of_days_has_no_stray_times(tmp_path):
    moments = [START + pd.Timedelta(hours=20 * second) for second in range(10)]
    kind, handler, samples = of_gopro(moments=moments)
    video = tmp_path / "video.mp4"
    video.write_bytes(made.movie(kind, handler, samples, [1000] * 10, created_s=START_S))
    found = read_video(video)
    assert found.attrs["left_out"] == {}
    assert found["time"].iloc[45] == moments[9]


def test_a_roll_over_of_the_week_number_is_mended_and_said(tmp_path):
    moments = [START - pd.Timedelta(weeks=1024) + pd.Timedelta(seconds=second) for second in range(10)]
    kind, handler, samples = of_gopro(moments=moments)
    video = tmp_path / "video.mp4"
    video.write_bytes(made.movie(kind, handler, samples, [1000] * 10, created_s=START_S + 7200))
    found = read_video(video)
    np.testing.assert_allclose((found["time"] - START).dt.total_seconds(), np.arange(50) / 5, atol=1e-3)
    assert "1024 weeks were added" in found.attrs["problems"][0]


def test_a_creation_time_in_local_time_is_said_and_gps_counts(tmp_path):
    kind, handler, samples = of_gopro()
    video = tmp_path / "video.mp4"
    video.write_bytes(made.movie(kind, handler, samples, [1000] * 10, created_s=START_S + 7200))
    found = read_video(video)
    assert found["time"].iloc[0] == START
    assert found.attrs["problems"] == ["its creation time is 2 h ahead of the GPS time, which counts"]
    later = tmp_path / "GX020042.mp4"
    later.write_bytes(made.movie(kind, handler, samples, [1000] * 10, created_s=START_S - 1800))
    assert read_video(later).attrs["problems"] == []


@pytest.mark.parametrize(
    ("seconds", "why"),
    [(60, "before 1995"), (made.EPOCH_1904 + 5, "before 1995"), (made.EPOCH_1904 - 400_000_000, "before 1995"),
     (2**32 - 2, "in the future")],
)  # fmt: skip
def test_impossible_creation_times_are_none(tmp_path, seconds, why):
    video = tmp_path / "video.mp4"
    content = with_pictures(of_camm(), [])
    created = struct.pack(">I", START_S + made.EPOCH_1904)
    samples = [made.camm5(*place(second), 0.0) for second in range(10)]
    video.write_bytes(content.replace(created, struct.pack(">I", seconds)))
    info = video_info(video)
    assert info.start_time is None
    assert why in info.warning
    timeless = made.movie(b"camm", b"camm", samples, [1000] * 10)
    video.write_bytes(timeless)
    assert read_video(video)["time"].isna().all()


def test_null_island_is_counted(tmp_path):
    samples = [
        made.camm6(START_S + second, 3, *(place(second) if second > 3 else (0.0, 0.0)), 0.0) for second in range(10)
    ]
    samples[9] = made.camm6(START_S + 9, 3, 91.0, 9.0, 0.0)
    video = tmp_path / "video.mp4"
    video.write_bytes(made.movie(b"camm", b"camm", samples, [1000] * 10, created_s=START_S))
    found = read_video(video)
    assert len(found) == 5
    assert found.attrs["left_out"] == {"points at (0, 0)": 4, "points out of range": 1}
    video.write_bytes(made.movie(b"camm", b"camm", samples[:4], [1000] * 4, created_s=START_S))
    with pytest.raises(FormatError, match=r"4 points at \(0, 0\)"):
        read_video(video)


def sentences(stamps, moments, valid):
    lines = []
    for stamp, moment, is_valid in zip(stamps, moments, valid, strict=True):
        second = (moment - START).total_seconds()
        lat, lon = place(second)
        lines.append(
            f"[{stamp}]$GPRMC,{moment:%H%M%S}.00,{'A' if is_valid else 'V'},{int(lat):02d}{lat % 1 * 60:09.6f},N,"
            f"{int(lon):03d}{lon % 1 * 60:09.6f},E,20.0,0.0,{moment:%d%m%y},,,A"
        )
    return "\n".join(lines).encode()


def test_a_blackvue_begins_with_its_first_sentence_with_or_without_a_fix(tmp_path):
    moments = [START + pd.Timedelta(seconds=second) for second in range(10)]
    stamps = [round(moment.timestamp() * 1000) + 7_200_000 for moment in moments]
    content = sentences(stamps, moments, [second >= 4 for second in range(10)])
    video = tmp_path / "video.mp4"
    video.write_bytes(
        made.movie(b"avc1", b"vide", [b"x"], [10_000], extra=made.box(b"free", made.box(b"gps ", content)))
    )
    found = read_video(video)
    assert found["video_time_s"].tolist() == [4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    np.testing.assert_allclose((found["time"] - START).dt.total_seconds(), np.arange(4, 10))
    assert found.attrs["left_out"] == {"points without a fix": 4}


def test_a_blackvue_whose_clock_is_set_while_it_records():
    moments = [START + pd.Timedelta(seconds=second) for second in range(10)]
    stamps = [round(moment.timestamp() * 1000) for moment in moments]
    stamps[:3] = [1_420_070_405_000 + 1000 * second for second in range(3)]
    points = blackvue.decode(sentences(stamps, moments, [True] * 10))
    np.testing.assert_allclose(points.video_s, np.arange(10))
    np.testing.assert_allclose(points.epoch_s, START_S + np.arange(10))


@settings(
    max_examples=int(os.environ.get("MLYGEO_EXAMPLES", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.tuples(st.integers(0, 4000), st.one_of(st.just(-1), st.integers(0, 9000)), st.just(ONE)), max_size=4),
    st.integers(0, 3),
    st.sampled_from(list(STRAY_MOMENTS)),
    st.sampled_from([0, START_S, START_S + 7200, START_S - 5 * 3600, 60 - made.EPOCH_1904 % 2**31]),
    st.sets(st.integers(0, 9), max_size=3),
    st.sampled_from(["camm", "gopro"]),
)
def test_telemetry_that_disagrees_with_itself_is_right_or_says_so(
    tmp_path, edits, stray, which, created, nowhere, kind
):
    """Each position and time is the truth at its place in the media, or the frame says what is in doubt."""
    moments = [START + pd.Timedelta(seconds=second) for second in range(10)]
    moments[:stray] = [STRAY_MOMENTS[which] + pd.Timedelta(seconds=second) for second in range(stray)]
    places = [(0.0, 0.0) if second in nowhere else place(second) for second in range(10)]
    if kind == "camm":
        samples = [made.camm6(moment.timestamp(), 3, *at, 0.0) for moment, at in zip(moments, places, strict=True)]
        content = made.movie(b"camm", b"camm", samples, [1000] * 10, created_s=max(created, 0), edits=edits)
    else:
        samples = [
            made.gpmf([(*at, 0.0, 11.0, 11.0)], moment=f"{moment:%y%m%d%H%M%S}.000".encode())
            for moment, at in zip(moments, places, strict=True)
        ]
        content = made.movie(b"gpmd", b"meta", samples, [1000] * 10, created_s=max(created, 0), edits=edits)
    video = tmp_path / "video.mp4"
    video.write_bytes(content)
    line = Timeline.of([Edit(*edit) for edit in edits], movie_timescale=1000, timescale=1000)
    rows, seconds = line.instants(np.arange(10.0))
    there = np.array([row not in nowhere for row in rows.tolist()], dtype=bool)
    try:
        found = read_video(video, keep_outliers=True)
    except FormatError:
        assert len(nowhere) == 10
        return
    np.testing.assert_allclose(found.geometry.y, [place(row)[0] for row in rows[there]], atol=1e-6)
    np.testing.assert_allclose(found["video_time_s"], seconds[there], atol=1e-6)
    off_s = (found["time"] - START).dt.total_seconds().to_numpy() - rows[there]
    left_out = found.attrs["left_out"]
    assert left_out.get("points at (0, 0)", 0) == len(nowhere)
    if np.abs(off_s).max(initial=0) > 0.01 or found["time"].isna().any():
        assert found.attrs["problems"] or STRAY in left_out
    if stray:
        assert left_out.get(STRAY, 0) == stray
        assert np.abs(off_s).max(initial=0) < 0.01


def test_the_creation_date_of_apple_counts_where_a_video_was_exported_again(tmp_path):
    content = made.IPHONE.read_bytes()
    assert video_info(made.IPHONE).start_time == pd.Timestamp("2019-07-24T08:25:57Z")
    created = struct.pack(">I", int(pd.Timestamp("2019-07-24T08:25:57Z").timestamp()) + made.EPOCH_1904)
    assert created in content
    video = tmp_path / "again.mov"
    for year, doubt in (("2023", "is not its creation date, 2019-07-24 08:25:40"), ("1970", "before 1995")):
        exported = int(pd.Timestamp(f"{year}-03-01T00:00:00Z").timestamp()) + made.EPOCH_1904
        video.write_bytes(content.replace(created, struct.pack(">I", exported)))
        info = video_info(video)
        assert info.start_time == pd.Timestamp("2019-07-24T08:25:40Z")
        assert doubt in info.warning
