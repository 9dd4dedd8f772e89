import contextlib
import json
import os
import shutil
import struct
import subprocess
import sys
from datetime import UTC, datetime
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from conftest import DATA
from helpers import video_files as made
from helpers.work import at_most, little_memory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo import cli, frames
from mlygeo.errors import FileError, FormatError, InputError, MlygeoError
from mlygeo.formats import mp4, mp4_tables
from mlygeo.pipelines.geotagging import LOG_ENDINGS
from mlygeo.pipelines.sources import EXIFTOOL, EXIFTOOL_XML
from mlygeo.readers import cameras, video
from mlygeo.readers.cameras import blackvue, positions
from mlygeo.readers.cameras.gopro import Payloads, streams
from mlygeo.readers.video import read_video, video_info
from mlygeo.video import sampling

VIDEOS = DATA / "video"
EXPECTED = json.loads((VIDEOS / "mapillary_tools_expected.json").read_text())["videos"]
WITH_POINTS = [name for name, told in EXPECTED.items() if told.get("points")]
GPMF = json.loads((VIDEOS / "gpmf" / "gopro_telemetry_expected.json").read_text())
START = datetime(2024, 5, 5, 10, tzinfo=UTC)


def column(points, name):
    return np.array([np.nan if point[name] is None else point[name] for point in points], dtype=float)


def epoch(tracks):
    return tracks["time"].to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6


@pytest.mark.parametrize("name", WITH_POINTS)
def test_tracks_are_those_of_mapillary_tools(name):
    tracks, points = read_video(VIDEOS / name), EXPECTED[name]["points"]
    frames.check(tracks, frames.TRACKS)
    lon, lat = frames.lonlat(tracks)
    assert len(tracks) == len(points)
    np.testing.assert_allclose(lat, column(points, "lat"), rtol=0, atol=1e-7)
    np.testing.assert_allclose(lon, column(points, "lon"), rtol=0, atol=1e-7)
    np.testing.assert_allclose(tracks["video_time_s"], column(points, "time"), rtol=0, atol=0.010)
    result = column(points, "alt")
    known = np.isfinite(result)
    np.testing.assert_allclose(tracks["altitude"][known], result[known], rtol=0, atol=1e-3)
    # They tell the time of each payload for all its points; ours is the same where a payload starts.
    result = column(points, "epoch_time" if "epoch_time" in points[0] else "time_gps_epoch")
    starts = np.diff(result, prepend=0) != 0
    np.testing.assert_allclose(epoch(tracks)[starts], result[starts], rtol=0, atol=0.010)
    assert tracks["time"].is_monotonic_increasing
    assert tracks.attrs["make"] == EXPECTED[name]["make"]
    assert (tracks.attrs["model"] or "") == EXPECTED[name]["model"]


def test_tracks_are_those_of_exiftool():
    result = json.loads((VIDEOS / "gopro_max-heromode.exiftool.json").read_text())[0]
    tracks = read_video(VIDEOS / "gopro_max-heromode.mp4")
    lon, lat = frames.lonlat(tracks)
    # ExifTool keeps the last point of each payload under its document, in its own order of tags.
    payloads = [key.split(":")[0] for key in result if key.endswith(":GPSDateTime")]
    assert len(payloads) == 11
    for number, document in enumerate(payloads):
        moment = pd.Timestamp(result[f"{document}:GPSDateTime"].replace(":", "-", 2), tz="UTC")
        nearest = (tracks["time"] - moment).abs().dt.total_seconds()
        assert nearest.min() <= 0.010, number
        spot = np.hypot(lat - result[f"{document}:GPSLatitude"], lon - result[f"{document}:GPSLongitude"])
        assert spot.min() <= 1e-7
    for name in ("blackvue_form_leeds", "camm_from_gopro_max"):
        points = json.loads((VIDEOS / f"{name}.exiftool.json").read_text())["points"]
        lon, lat = frames.lonlat(read_video(VIDEOS / f"{name}.mp4"))
        np.testing.assert_allclose(lat, [point["GPSLatitude"] for point in points][: len(lat)], rtol=0, atol=1e-7)
        np.testing.assert_allclose(lon, [point["GPSLongitude"] for point in points][: len(lon)], rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", GPMF["files"])
def test_raw_payloads_decode_as_their_scale_says(name):
    content = (VIDEOS / "gpmf" / name).read_bytes()
    for key, result in GPMF["files"][name].items():
        found = [stream for stream in streams(content) if stream.key == key.encode()]
        values = np.concatenate([stream[2] for stream in found])
        expected = pd.DataFrame(result["samples"], columns=GPMF["columns"][key])
        np.testing.assert_allclose(values[:, :5], expected[["lat", "lon", "alt", "speed2d", "speed3d"]], rtol=1e-12)
        assert {stream.device for stream in found} == {result["device"]}
        if key == "GPS9":
            others = expected[["days_since_2000", "seconds_of_day", "dop", "fix"]]
            np.testing.assert_allclose(values[:, 5:9], others, rtol=1e-12)
        else:
            first = pd.Timestamp(expected["date"][0]).timestamp()
            assert abs(found[0].epoch_s - first) < 0.001 or np.isclose(found[0].epoch_s, first, atol=0.002)
            assert (found[0].fix, found[0].dop * 100) == (expected["fix"][0], expected["dop_x100"][0])


def test_gps9_tells_each_point_its_own_time(tmp_path):
    payload = (VIDEOS / "gpmf" / "hero11_vigo.raw").read_bytes()
    gps9_only = payload.replace(b"GPS5", b"GPSx")
    video = tmp_path / "hero11.mp4"
    video.write_bytes(made.movie(b"gpmd", b"meta", [gps9_only], [10_000]))
    result = pd.DataFrame(GPMF["files"]["hero11_vigo.raw"]["GPS9"]["samples"], columns=GPMF["columns"]["GPS9"])
    tracks = read_video(video)
    first = next(streams(gps9_only))[2]
    assert 0 < len(tracks) <= len(result)
    times = pd.to_datetime(result["date"][: len(first)], utc=True)
    found = tracks["time"].iloc[: len(times)]
    assert (found.reset_index(drop=True) - times).abs().max() <= pd.Timedelta("2ms")
    assert tracks["fix"].eq(3).all()
    np.testing.assert_allclose(tracks["dop"].iloc[: len(times)], result["dop"][: len(times)])


TRACK = [(48.77 + 1e-4 * i, 9.17 - 2e-4 * i, 240.0 + i) for i in range(20)]


def check_track(tracks, *, altitude=True):
    lon, lat = frames.lonlat(tracks)
    np.testing.assert_allclose(lat, [point[0] for point in TRACK], rtol=0, atol=1e-7)
    np.testing.assert_allclose(lon, [point[1] for point in TRACK], rtol=0, atol=1e-7)
    if altitude:
        np.testing.assert_allclose(tracks["altitude"], [point[2] for point in TRACK], atol=1e-3)


def test_gopro_written_and_read_back(tmp_path):
    rows = [(*point, 10.0, 10.1) for point in TRACK]
    payloads = [made.gpmf(rows[:10]), made.gpmf(rows[10:], b"240505100001.000")]
    video = tmp_path / "gopro.mp4"
    video.write_bytes(made.movie(b"gpmd", b"meta", payloads, [1000, 1000]))
    tracks = read_video(video)
    check_track(tracks)
    np.testing.assert_allclose(tracks["video_time_s"], np.arange(20) / 10)
    np.testing.assert_allclose(epoch(tracks), START.timestamp() + np.arange(20) / 10)
    assert tracks.attrs["model"] == "HERO9 Black"
    assert tracks["speed_ms"].eq(10).all()


@pytest.mark.parametrize(("counts_from", "created"), [("1970", True), ("1980", True), ("1970", False)])
def test_camm_with_times_of_either_kind(tmp_path, counts_from, created):
    first = START.timestamp() - (315_964_800 - 18 if counts_from == "1980" else 0)
    samples = [made.camm6(first + i, 3, *point, east=3.0, north=4.0) for i, point in enumerate(TRACK)]
    video = tmp_path / "camm.mp4"
    udta = made.box(b"udta", made.box(b"@mak", b"Insta360"), made.box(b"\xa9mod", b"\0\x06\0\0Pro 2\0"))
    stamp = int(START.timestamp()) + 30 if created else 0
    video.write_bytes(made.movie(b"camm", b"camm", samples, [1000] * 20, created_s=stamp, udta=udta))
    tracks = read_video(video)
    check_track(tracks)
    np.testing.assert_allclose(epoch(tracks), START.timestamp() + np.arange(20), atol=0.001)
    assert tracks["speed_ms"].eq(5).all()
    assert (tracks.attrs["make"], tracks.attrs["model"]) == ("Insta360", "Pro 2")


def test_camm_without_times_counts_from_the_creation_time(tmp_path):
    samples = [made.camm5(*point) for point in TRACK]
    video = tmp_path / "camm.mp4"
    # An empty edit of 2 s before the track: its first point is shown at 2 s.
    edits = [(2000, -1, 1 << 16), (20_000, 0, 1 << 16)]
    content = made.movie(b"camm", b"camm", samples, [1000] * 20, created_s=int(START.timestamp()), edits=edits)
    video.write_bytes(content)
    tracks = read_video(video)
    check_track(tracks)
    np.testing.assert_allclose(tracks["video_time_s"], 2 + np.arange(20))
    np.testing.assert_allclose(epoch(tracks), START.timestamp() + 2 + np.arange(20))
    assert not tracks.attrs["gps_time"]
    later = read_video(video, start_time=datetime(2025, 1, 1, tzinfo=UTC))
    assert later["time"][0] == pd.Timestamp("2025-01-01T00:00:02Z")
    video.write_bytes(made.movie(b"camm", b"camm", samples, [1000] * 20))
    assert read_video(video)["time"].isna().all()


def test_camm_of_no_numbers_is_passed_over_in_silence(tmp_path):
    samples = [made.camm6(START.timestamp() + i, 3, *point) for i, point in enumerate(TRACK)]
    # A signalling NaN, which makes a conversion complain.
    samples[3] = samples[3][:32] + struct.pack("<I", 0x7F800001) + samples[3][36:]
    video = tmp_path / "camm.mp4"
    video.write_bytes(made.movie(b"camm", b"camm", samples, [1000] * 20))
    assert read_video(video)["altitude"].isna().tolist() == [row == 3 for row in range(20)]


def sentence(text):
    total = 0
    for letter in text.encode():
        total ^= letter
    return f"${text}*{total:02X}"


def nmea(lat, lon, altitude, second, kind):
    def degrees(value, width):
        return f"{int(abs(value)):0{width}d}{abs(value) % 1 * 60:09.6f}"

    place = f"{degrees(lat, 2)},{'N' if lat >= 0 else 'S'},{degrees(lon, 3)},{'E' if lon >= 0 else 'W'}"
    if kind == "RMC":
        return sentence(f"GPRMC,1000{second:02d}.00,A,{place},10.0,90.0,050524,,,A")
    return sentence(f"GPGGA,1000{second:02d}.00,{place},1,08,1.2,{altitude:.1f},M,47.9,M,,")


@pytest.mark.parametrize("kinds", [("RMC", "GGA"), ("RMC",), ("GGA",)])
def test_blackvue_written_and_read_back(tmp_path, kinds):
    # The camera's clock runs in local time, nine hours ahead and 0.4 s late.
    stamp = round((START.timestamp() + 9 * 3600 + 0.4) * 1000)
    lines = [f"[{stamp + 1000 * i}]{nmea(*point, i, kind)}" for i, point in enumerate(TRACK) for kind in kinds]
    lines.insert(3, f"[{stamp}]$GPVTG,,T,,M,0.078,N,0.144,K,D*28[1623057075215]")
    lines.append(f"[{stamp + 99_000}]{nmea(0.5, 0.5, 0, 30, kinds[0])[:-2]}00")  # a wrong checksum
    gps = made.box(b"gps ", "\r\n".join(lines).encode())
    model = made.box(b"cprt", b" Pittasoft Co., Ltd.;DR900S-1CH;1.008;English;1;D90SS1HAE00661;T69;\0")
    video = tmp_path / "blackvue.mp4"
    video.write_bytes(made.movie(b"text", b"text", [b"x"], [1000], head=made.box(b"free", model, gps)))
    tracks = read_video(video)
    check_track(tracks, altitude="GGA" in kinds)
    assert "GGA" in kinds or tracks["altitude"].isna().all()
    np.testing.assert_allclose(tracks["video_time_s"], np.arange(20), atol=0.001)
    # Without a date the day of the camera counts, which is the same here.
    np.testing.assert_allclose(epoch(tracks), START.timestamp() + np.arange(20), atol=0.002)
    assert (tracks.attrs["make"], tracks.attrs["model"]) == ("BlackVue", "DR900S-1CH")


def test_blackvue_model_as_json():
    assert blackvue.model(b' {"model":"DR900X Plus","ver":0.918}\0') == "DR900X Plus"
    assert blackvue.model(b"{}") is None
    assert blackvue.model(b"\xff\xfe") is None


def test_nmea_in_a_text_track(tmp_path):
    samples = [nmea(*point, i, "RMC").encode() for i, point in enumerate(TRACK)]
    video = tmp_path / "dashcam.mp4"
    video.write_bytes(made.movie(b"tx3g", b"sbtl", [b"no fix", *samples], [1000] * 21))
    tracks = read_video(video)
    check_track(tracks, altitude=False)
    np.testing.assert_allclose(tracks["video_time_s"], 1 + np.arange(20))
    assert tracks.attrs["source"] == "nmea"
    with pytest.raises(FormatError, match="no positions of gopro"):
        read_video(video, source="gopro")


def test_noise_is_left_out(tmp_path):
    rows = [(*point, 100.0, 100.0) for point in TRACK]
    stray = [(50.0, 9.17, 0.0, 100.0, 100.0)]
    payloads = [made.gpmf(rows[:5], fix=0), made.gpmf(rows[5:10], dop=1001), made.gpmf([*rows[10:15], *stray]),
                made.gpmf(rows[15:], dop=1000, fix=2)]  # fmt: skip
    video = tmp_path / "gopro.mp4"
    video.write_bytes(made.movie(b"gpmd", b"meta", payloads, [1000] * 4))
    tracks = read_video(video)
    assert tracks.attrs["left_out"] == {
        "points without a fix": 5, "points of low precision": 5, "points far from the others": 1,
    }  # fmt: skip
    np.testing.assert_allclose(frames.lonlat(tracks)[1], [row[0] for row in rows[10:]], atol=1e-7)
    assert len(read_video(video, keep_outliers=True, max_dop=np.inf)) == 16
    with pytest.raises(InputError, match="`max_dop`"):
        read_video(video, max_dop=0)


def plainly_kept(points):
    """The rule of mapillary_tools as loops."""
    from mlygeo.spatial import geodesy

    def way(a, b):
        return float(geodesy.distance(points.lon[a], points.lat[a], points.lon[b], points.lat[b])[0])

    def whisker(values):
        values = sorted(values)
        half = len(values) // 2
        low, high = values[:half], values[half + len(values) % 2 :]
        return np.median(high) + 1.5 * (np.median(high) - np.median(low))

    steps = [way(i, i + 1) for i in range(len(points) - 1)]
    longest = max(30.0, whisker(steps))
    pieces = [[0]]
    for i, step in enumerate(steps):
        if step > longest:
            pieces.append([])
        pieces[-1].append(i + 1)
    fastest = whisker(points.speed.tolist())
    group = {}
    for left in range(len(pieces)):
        group.setdefault(left, left)
        for right in range(left + 1, len(pieces)):
            if right not in group:
                a, b = pieces[left][-1], pieces[right][0]
                if way(a, b) <= fastest * abs(points.video_s[b] - points.video_s[a]):
                    group[right] = group[left]
                    break
    merged = {}
    for number, piece in enumerate(pieces):
        merged.setdefault(group[number], []).extend(piece)
    return sorted(max(merged.values(), key=len))


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(3, 60))
def test_outliers_are_those_of_a_plain_loop(seed, count):
    random = np.random.default_rng(seed)
    jumps = np.where(random.random(count) < 0.1, random.normal(0, 0.01, count), random.normal(0, 1e-5, count))
    points = positions.Points.of(np.arange(count) * 1.0, 9 + np.cumsum(jumps), 48 + np.cumsum(random.permutation(jumps)),
                            speed=random.uniform(0, 30, count))  # fmt: skip
    assert np.flatnonzero(positions._majority(points)).tolist() == plainly_kept(points)


@pytest.mark.parametrize("path", sorted((VIDEOS / "broken").iterdir()), ids=lambda path: path.stem)
def test_broken_files_are_named_and_nothing_else(path):
    with at_most(), little_memory(50e6):
        with pytest.raises(FormatError, match=path.stem):
            read_video(path)
        with contextlib.suppress(FormatError):
            video_info(path)


def recorded_alone(at, data, samples, lasting, time):
    return [(made.tfhd(1, moof=True), made.tfdt(time), made.trun(len(samples), shift=data, **sizes(samples, lasting)))]


def sizes(samples, lasting):
    return {"size": [len(sample) for sample in samples], "duration": lasting}


def from_the_file(at, data, samples, lasting, time):
    return [(made.tfhd(1, base=at), made.tfdt(time, 0), made.trun(len(samples), shift=data, **sizes(samples, lasting)))]


def from_the_data(at, data, samples, lasting, time):
    runs = [made.trun(1, **sizes([sample], [one])) for sample, one in zip(samples, lasting, strict=True)]
    return [(made.tfhd(1, base=at + data), made.tfdt(time), *runs)]


def without_times(at, data, samples, lasting, time):
    return [(made.tfhd(1), made.trun(len(samples), shift=data, **sizes(samples, lasting)))]


def without_records(at, data, samples, lasting, time):
    return [(made.tfhd(1, moof=True, duration=lasting[0], size=len(samples[0])), made.trun(len(samples), shift=data))]


def without_anything(at, data, samples, lasting, time):
    return [(made.tfhd(1), made.trun(len(samples), shift=data))]


def in_two_parts(at, data, samples, lasting, time):
    first, rest = sizes(samples[:1], lasting[:1]), sizes(samples[1:], lasting[1:])
    further = made.tfhd(1, moof=True), made.trun(len(samples) - 1, shift=data + len(samples[0]), **rest)
    return [(made.tfhd(1, moof=True), made.tfdt(time), made.trun(1, shift=data, **first)), further]


def after_another(at, data, samples, lasting, time):
    """After ten bytes of another track, which alone tells where its data are; in runs of one sample, then of all."""
    first, rest = sizes(samples[:1], lasting[:1]), sizes(samples[1:], lasting[1:])
    other = made.tfhd(9, size=5), made.tfdt(time), made.trun(2, shift=data)
    return [other, (made.tfhd(1), made.tfdt(time), made.trun(1, **first), made.trun(len(samples) - 1, **rest))]


def some_bytes_after_another(at, data, samples, lasting, time):
    """The same, by how many bytes after the other track's; the runs are told from there in turn."""
    first, rest = sizes(samples[:1], lasting[:1]), sizes(samples[1:], lasting[1:])
    further = made.trun(len(samples) - 1, shift=4 + len(samples[0]), **rest)
    other = made.tfhd(9), made.trun(2, shift=data, size=[4, 2])
    return [other, (made.tfhd(1), made.tfdt(time), made.trun(1, shift=4, **first), further)]


STYLES = {
    recorded_alone: {}, from_the_file: {}, from_the_data: {}, without_times: {}, without_records: {}, in_two_parts: {},
    without_anything: {"mvex": made.extends(1, duration=1000, size=60)},
    after_another: {"lead": 10}, some_bytes_after_another: {"lead": 10},
}  # fmt: skip


def listed(content, tmp_path):
    video = tmp_path / "listed.mp4"
    video.write_bytes(content)
    with video.open("rb") as file:
        return mp4.read_movie(file, len(content))


def camm_samples(count=20):
    return [made.camm6(START.timestamp() + i, 3, *TRACK[i % 20], east=1.0 + i) for i in range(count)]


@pytest.mark.parametrize("first", [0, 1, 7])
@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.__name__)
def test_a_track_in_fragments_is_that_of_the_whole(tmp_path, style, first):
    whole, parts = tmp_path / "whole.mp4", tmp_path / "parts.mp4"
    sources = {"camm": (b"camm", b"camm", camm_samples())}
    if style not in {without_records, without_anything}:
        rows = [[(*point, 10.0, 10.1) for point in TRACK[:n]] for n in range(1, 21)]
        payloads = [made.gpmf(row, b"2405051000%02d.000" % number) for number, row in enumerate(rows)]
        texts = [nmea(*point, i, "RMC").encode() + b" " * i for i, point in enumerate(TRACK)]
        sources |= {"gopro": (b"gpmd", b"meta", payloads), "nmea": (b"tx3g", b"sbtl", texts)}
    for source, content in sources.items():
        durations = [1000] * 20 if source == "camm" else [900 + 10 * i for i in range(20)]
        if source == "camm":
            assert {len(sample) for sample in content[2]} == {60}
        whole.write_bytes(made.movie(*content, durations))
        parts.write_bytes(made.fragmented(*content, durations, style, first=first, **STYLES[style]))
        expected, found = read_video(whole, keep_outliers=True), read_video(parts, keep_outliers=True)
        assert found.attrs == expected.attrs
        assert found.attrs["source"] == source
        pd.testing.assert_frame_equal(found.drop(columns="track_id"), expected.drop(columns="track_id"))
        movie = listed(parts.read_bytes(), tmp_path)
        assert movie.fragmented
        assert movie.damage is None
        assert movie.duration_s == sum(durations) / 1000


def test_what_a_run_tells_of_its_samples(tmp_path):
    plain = made.movie(b"avc1", b"vide", [], [], udta=made.extends(1, duration=7, size=3, flags=0x10000))
    sync, not_sync, depends = 0x02000000, 0x10000, 0x01000000
    runs = [
        made.trun(0, shift=50),
        made.trun(3, shift=0),  # no sync samples, as the movie's defaults tell
        made.trun(3, first_flags=sync, later=[5, 0, 0xFFFFFFFF]),
        made.trun(3, flags=[sync, not_sync, depends], first_flags=not_sync, later=[-5, 0, 5], version=1),
        made.trun(2, duration=[1, 2**32 - 1], size=[1, 0]),
    ]
    fragments = made.moof((made.tfhd(1), made.tfdt(2**40), *runs), (made.tfhd(1, flags=sync), made.trun(1, shift=1)),
                          (made.tfhd(1, moof=True, description=1, size=4), made.tfdt(9, 0), made.trun(1, shift=-20)))  # fmt: skip
    track = listed(plain + fragments + bytes(100), tmp_path).tracks[0]
    found, start = track.samples, len(plain)
    assert found.size.tolist() == [3] * 9 + [1, 0, 3, 4]
    assert found.offset.tolist() == [start + at for at in (0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, -20)]
    assert found.duration.tolist() == [7] * 9 + [1, 2**32 - 1, 7, 7]
    assert (found.time[:-1] - 2**40).tolist() == [0, 7, 14, 21, 28, 35, 42, 49, 56, 63, 64, 63 + 2**32]
    assert found.time[-1] == 9
    assert (found.shown - found.time).tolist() == [0, 0, 0, 5, 0, 2**32 - 1, -5, 0, 5, 0, 0, 0, 0]
    assert np.flatnonzero(found.key).tolist() == [3, 6, 11]
    assert track.start == 2**40


def test_the_duration_is_what_the_file_says_of_all_fragments_or_their_sum(tmp_path):
    content = b"camm", b"camm", camm_samples(), [500] * 20, recorded_alone
    assert listed(made.fragmented(*content), tmp_path).duration_s == 10
    assert listed(made.fragmented(*content, first=5), tmp_path).duration_s == 10
    assert listed(made.fragmented(*content, mvex=made.extends(1, whole=12_345)), tmp_path).duration_s == 12.345
    cut = made.fragmented(*content, mvex=made.extends(1, whole=12_345))[:-70]
    assert listed(cut, tmp_path).duration_s == 10


def test_a_video_cut_out_of_a_broadcast_starts_at_its_first_sample(tmp_path):
    video = tmp_path / "cut_out.mp4"
    for start, begins in ((3_600_000, 0), (9_000, 9)):
        video.write_bytes(made.fragmented(b"camm", b"camm", camm_samples(), [1000] * 20, recorded_alone, start=start))
        np.testing.assert_allclose(read_video(video)["video_time_s"], begins + np.arange(20))
        assert listed(video.read_bytes(), tmp_path).duration_s == begins + 20


@pytest.mark.parametrize("lost", [30, 100, 150, 200, 300])
def test_of_a_fragment_that_was_cut_off_what_is_there_is_read(tmp_path, lost):
    content = made.fragmented(b"camm", b"camm", camm_samples(), [1000] * 20, recorded_alone, per=4)
    video = tmp_path / "cut.mp4"
    video.write_bytes(content[:-lost])
    there = 20 - min(-(-lost // 60), 4)
    movie = listed(content[:-lost], tmp_path)
    assert "the file ends inside" in movie.damage
    assert len(movie.tracks[0].samples.size) == len(read_video(video)) == there
    assert movie.tracks[0].samples.shown.tolist() == list(range(0, 1000 * there, 1000))
    # Between two fragments nothing is missing that anyone could know of.
    last = content.rindex(b"moof") - 4
    assert listed(content[:last], tmp_path).damage is None
    # Where the file ends before the media of a fragment even begin.
    assert "media of its last fragment" in listed(content[: content.rindex(b"mdat") - 4], tmp_path).damage


def test_a_fragmented_file_without_pictures_says_so(tmp_path):
    video = tmp_path / "no_pictures.mp4"
    video.write_bytes(made.fragmented(b"camm", b"camm", camm_samples(), [1000] * 20, recorded_alone))
    with pytest.raises(FormatError, match=r"no_pictures\.mp4 contains no pictures"):
        video_info(video)


def test_headers_that_end_before_they_tell_the_codec(tmp_path):
    pytest.importorskip("av", reason="needs PyAV")
    video = made.pictures(tmp_path / "v.mp4", seconds=1, size=(64, 64), container_options={"movflags": MOVFLAGS[0]})
    content = video.read_bytes()
    video.write_bytes(content[: content.index(b"vmhd") + 8])
    with pytest.raises(FormatError, match="contains no pictures"):
        video_info(video)


MOVFLAGS = ["frag_keyframe+empty_moov+default_base_moof", "frag_every_frame", "frag_keyframe", "frag_keyframe+delay_moov",
            "frag_keyframe+separate_moof+empty_moov", "frag_every_frame+omit_tfhd_offset",
            "frag_keyframe+empty_moov+negative_cts_offsets"]  # fmt: skip


@pytest.mark.parametrize("flags", ["", *MOVFLAGS])
def test_frames_in_fragments_are_the_packets_of_ffmpeg(tmp_path, flags):
    av = pytest.importorskip("av", reason="needs PyAV")
    video = made.pictures(tmp_path / "video.mp4", seconds=3, drop={7, 8, 30}, size=(64, 64),
                          container_options={"movflags": flags} if flags else {})  # fmt: skip
    assert (b"moof" in video.read_bytes()) == bool(flags)
    with av.open(str(video)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        result = np.array([(one.pos, one.size, one.pts, one.dts, one.is_keyframe) for one in packets])
        seconds = container.duration / 1e6
    track = listed(video.read_bytes(), tmp_path).video
    found = track.samples
    np.testing.assert_array_equal(np.column_stack([found.offset, found.size]), result[:, :2])
    # Where pictures are shown before their time of decoding, FFmpeg shows all of a fragment later by as much.
    moved = max(0, (found.time - found.shown).max()) if "negative" in flags else 0
    assert (moved > 0) == ("negative" in flags)
    np.testing.assert_array_equal(found.shown + track.shift + moved, result[:, 2])
    np.testing.assert_array_equal(found.time + track.shift, result[:, 3])
    np.testing.assert_array_equal(found.key, result[:, 4])
    info = video_info(video)
    assert (info.frames, info.frame_rate, info.problem) == (72, 24, None)
    assert info.duration_s == pytest.approx(seconds) == 3


def test_metadata_that_is_not_text_is_no_error(tmp_path):
    """The versions of PyAV differ: older ones raise unless they are told not to, newer ones leave what cannot be written."""
    path = made.pictures(tmp_path / "video.mkv", seconds=1, size=(64, 64), make="Acme Cam")
    content = path.read_bytes()
    assert b"Acme Cam" in content
    path.write_bytes(content.replace(b"Acme Cam", b"Ac\xffe Cam"))
    info = video_info(path)
    assert (info.width, info.warning) == (64, None)
    assert len(sampling.frame_table(path).rows) == 25
    assert video._said({"make": "Ac\udcffe"}, "make") == "Ac\ufffde"
    assert video._said({}, "make") is None


def ffmpeg(*words):
    program = shutil.which("ffmpeg")
    if program is None:
        (pytest.fail if os.environ.get("MLYGEO_NO_SKIP") else pytest.skip)("ffmpeg is not on the PATH")
    subprocess.run([program, "-v", "error", "-y", *map(str, words)], check=True, capture_output=True)


@pytest.mark.parametrize("pictures", [False, True], ids=["alone", "beside pictures"])
@pytest.mark.parametrize("flags", MOVFLAGS[:-1])
def test_telemetry_that_ffmpeg_puts_into_fragments(tmp_path, flags, pictures):
    # ExifTool and mapillary_tools read of these files what `moov` lists, and nothing in fragments.
    gopro = VIDEOS / "gopro_max-heromode.mp4"
    words = ["-i", gopro, "-map", "0"]
    if pictures:
        pytest.importorskip("av", reason="needs PyAV")
        video = made.pictures(tmp_path / "video.mp4", seconds=10, size=(64, 64), b_frames=0)
        words = ["-i", video, "-i", gopro, "-map", "0", "-map", "1"]
    whole, parts = tmp_path / "whole.mp4", tmp_path / "parts.mp4"
    ffmpeg(*words, "-c", "copy", "-copy_unknown", whole)
    ffmpeg(*words, "-c", "copy", "-copy_unknown", "-movflags", flags, parts)
    expected, found = read_video(whole), read_video(parts)
    assert len(found) == 191
    assert found.attrs == expected.attrs
    pd.testing.assert_frame_equal(found.drop(columns="track_id"), expected.drop(columns="track_id"))


SEEDS = [(VIDEOS / name).read_bytes()[:65_000] for name in ("gopro_max-heromode.mp4", "camm_from_gopro_max.mp4")]
SEEDS.append((VIDEOS / "blackvue_form_leeds.mp4").read_bytes()[-15_500:])
SEEDS += [made.fragmented(b"camm", b"camm", camm_samples(40), [1000] * 40, style, first=3, **options)
          for style, options in STYLES.items()]  # fmt: skip


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_mutated_files_never_crash(tmp_path, data):
    content = bytearray(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.one_of(st.integers(0, 4000), st.integers(0, len(content) - 9)))
        new = data.draw(
            st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff" * 4, b"\0" * 8, b"\x7f\xff\xff\xff"]))
        )
        content[at : at + len(new)] = new
    video = tmp_path / "mutated.mp4"
    video.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    with contextlib.suppress(MlygeoError):
        frames.check(read_video(video), frames.TRACKS)
    movie = listed(video.read_bytes(), tmp_path)
    for track in () if movie is None else movie.tracks:
        assert {len(column) for column in track.samples} == {len(track.samples.size)}
        assert not movie.duration_s < 0


@settings(max_examples=200)
@given(st.binary(max_size=400))
def test_any_bytes_as_payload_and_sentences(content):
    list(streams(b"DEVC\0\1" + struct.pack(">H", len(content)) + content))
    gathered = Payloads()
    gathered.add(content, 0.0, 1.0)
    assert len(gathered.points()) == 0 or gathered.model() is not None
    blackvue.decode(b"[1218726473000]$GPRMC," + content)
    list(mp4_tables.boxes(memoryview(content)))


@pytest.mark.parametrize("table", ["stsz", "stts", "stsc", "many boxes"])
def test_claims_of_billions_cost_nothing(tmp_path, table):
    content = made.movie(b"gpmd", b"meta", [made.gpmf([(*TRACK[0], 1.0, 1.0)])], [1000])
    at = content.index(table.encode()) if table != "many boxes" else 0
    if table == "stsz":
        content = content[: at + 8] + struct.pack(">II", 1, 2**32 - 1) + content[at + 16 :]
    elif table == "stts":
        content = content[: at + 12] + struct.pack(">I", 2**32 - 1) + content[at + 16 :]
    elif table == "stsc":
        content = content[: at + 16] + struct.pack(">I", 2**32 - 1) + content[at + 20 :]
    else:
        content = b"\0\0\0\x08free" * 2_000_000 + content
    video = tmp_path / "claims.mp4"
    video.write_bytes(content)
    with at_most(), little_memory(200e6), contextlib.suppress(FormatError):
        read_video(video)


HOSTILE = {
    "samples of no bytes": made.moof(*[(made.tfhd(1), made.tfdt(2**62), made.trun(2**31, size=None))] * 50),
    "samples of a byte": made.moof(*[(made.tfhd(1, size=1, duration=2**32 - 1), made.trun(2**32 - 1, shift=0))] * 50)
    + bytes(500_000),
    "long samples": made.moof(*[(made.tfhd(1, size=2**32 - 1, base=2**63), made.trun(2**32 - 1))] * 50),
    "chains": made.moof(*[(made.tfhd(track % 9), made.trun(1), made.trun(1)) for track in range(4000)]),
    "empty fragments": b"\0\0\0\x08moof" * 200_000,
    "empty fragments and media": b"\0\0\0\x08moof\0\0\0\x08mdat" * 100_000,
    "small fragments": made.moof((made.tfhd(1), made.trun(1))) * 20_000,
    "many runs": made.moof(*[(made.tfhd(1), b"\0\0\0\x08trun" * 5000)] * 2),
    "a box of all": b"\0\0\0\0moof\0\0\0\0traf\0\0\0\0trun" + b"\xff" * 3_000_000,
    "a long header": struct.pack(">I4sQ", 1, b"moof", 2**63) + b"\0\0\0\1traf" + b"\xff" * 64,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_claims_of_fragments_cost_nothing(tmp_path, name):
    video = tmp_path / "claims.mp4"
    video.write_bytes(made.movie(b"tx3g", b"sbtl", [b"x"], [1000], udta=made.extends(1)) + HOSTILE[name])
    movie = listed(video.read_bytes(), tmp_path)
    with little_memory(300e6), contextlib.suppress(FormatError):
        read_video(video)
    assert movie.duration_s >= 0
    assert len(movie.tracks[0].samples.size) <= video.stat().st_size + 1  # which moov lists
    with at_most(3_000_000), contextlib.suppress(FormatError):  # some steps for each of 200,000 boxes
        read_video(video)


def test_a_day_of_fragments_is_read_whole(tmp_path):
    count, video = 172_800, tmp_path / "day.mp4"
    one = made.fragmented(b"camm", b"camm", camm_samples(1), [500], recorded_alone)
    head, pair = np.frombuffer(one[: one.index(b"moof") - 4], np.uint8), one[one.index(b"moof") - 4 :]
    pairs = np.tile(np.frombuffer(pair, np.uint8), (count, 1))
    at = pair.index(b"tfdt") + 8
    pairs[:, at : at + 8] = (500 * np.arange(count)).astype(">u8").view(np.uint8).reshape(-1, 8)
    video.write_bytes(head.tobytes() + pairs.tobytes())
    with video.open("rb") as file:
        movie = mp4.read_movie(file, video.stat().st_size)
    found = movie.tracks[0].samples
    assert movie.damage is None
    assert movie.duration_s == 86_400
    np.testing.assert_array_equal(found.time, 500 * np.arange(count))
    np.testing.assert_array_equal(np.diff(found.offset), len(pair))


def test_facts_of_a_video():
    info = video_info(VIDEOS / "iphone6_one_position.mov")
    assert (info.width, info.height, info.rotation, info.frames, info.codec) == (568, 320, 90, 120, "avc1")
    assert (info.make, info.model, info.telemetry) == ("Apple", "iPhone 6", None)
    assert info.start_time == datetime(2019, 7, 24, 8, 25, 57, tzinfo=UTC)
    assert info.duration_s == pytest.approx(4.0017, abs=1e-3)
    assert info.frame_rate == pytest.approx(29.9875, abs=1e-3)
    info = video_info(VIDEOS / "blackvue_form_leeds.mp4")
    assert (info.make, info.telemetry, info.frame_rate, info.problem) == ("BlackVue", "blackvue", 5.0, None)


def test_a_recording_that_was_cut_off_says_so(tmp_path):
    whole = (VIDEOS / "gopro_max-heromode.mp4").read_bytes()
    video = tmp_path / "cut.mp4"
    video.write_bytes(whole[: len(whole) // 2])
    tracks = read_video(video)
    assert 50 < len(tracks) < 191
    video.write_bytes(whole[:500])
    with pytest.raises(FormatError):
        read_video(video)
    with pytest.raises(FileError, match="does not exist"):
        read_video(tmp_path / "missing.mp4")


def test_the_verb_writes_gpx_and_frames(tmp_path, capsys):
    gopro, broken = VIDEOS / "gopro_max-heromode.mp4", VIDEOS / "broken" / "NO20191130-123556-000155.MP4"
    target = tmp_path / "tracks.gpx"
    assert cli.main(["tracks", str(gopro), str(VIDEOS / "blackvue_form_leeds.mp4"), "-o", str(target), "-q"]) == 0
    again = mlygeo.read_track(target)
    assert again["track_id"].value_counts().to_dict() == {"gopro_max-heromode": 191, "blackvue_form_leeds": 61}
    both = mlygeo.tracks([target, gopro])
    assert both["track_id"].nunique() == 3
    target = tmp_path / "tracks.parquet"
    assert cli.main(["tracks", str(gopro), str(broken), "-o", str(target), "--json", "-q"]) == 3
    result = json.loads(capsys.readouterr().out)
    assert list(result["failed"]) == [str(broken)]
    assert result["points"] == len(mlygeo.read_frame(target, frame="tracks")) == 191
    assert cli.main(["tracks", str(broken), "-o", str(target)]) == 1
    assert cli.main(["tracks", str(tmp_path / "nowhere"), "-o", str(target)]) == 1
    assert cli.main(["tracks", str(gopro), "-o", "x.doc"]) == 2
    folder = mlygeo.tracks(VIDEOS, skip_subfolders=True)
    assert folder["track_id"].nunique() == 3


def test_what_type_checkers_know_of_cameras_is_what_the_table_says():
    assert get_args(cameras.Telemetry) == ("auto", *cameras.CAMERAS)
    assert sorted(get_args(cameras.GeotagSource)) == sorted(
        {"exif", EXIFTOOL, EXIFTOOL_XML, *LOG_ENDINGS, *cameras.VIDEO_SOURCES}
    )
    assert all(callable(cameras.reader_of(name)) for name in cameras.CAMERAS)


def test_the_table_of_cameras_loads_none_of_their_files():
    code = (
        "import sys; from mlygeo.readers import cameras; print({'numpy', cameras.__name__ + '.gopro'} & {*sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
