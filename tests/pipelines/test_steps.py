"""What a run tells about what it left out, and what is in doubt."""

import json
import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from helpers.photo_folders import LAT, LON, START_MS, STEP, folder_of, gpx_of, picture, tagged
from shapely import Point

import mlygeo
from mlygeo import cli
from mlygeo.pipelines import steps
from mlygeo.pipelines.job import counted_reason


@pytest.fixture(autouse=True)
def history(tmp_path, monkeypatch):
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))
    monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")


def zoneless(folder, count):
    """Write photos whose clock tells no offset from UTC, one every ten seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        whole = tagged(
            picture(number), ms=START_MS + 10_000 * number, lon=LON, lat=LAT + number * STEP, whole_second=True
        )
        (folder / f"IMG_{number}.jpg").write_bytes(whole.replace(b"+02:00\0", b"\0" * 7))


def said(capsys, *words):
    status = cli.main([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


LINE = "24 photos say no time zone; taken as UTC; `local_time` takes that of the place"


def test_times_without_a_zone_are_counted_and_flagged(tmp_path, capsys):
    zoneless(tmp_path / "in", 24)
    folder_of(tmp_path / "in", 3, ms=lambda number: START_MS + 1_000_000 + 2000 * number)
    images = mlygeo.process(tmp_path / "in", skip_exif_insert=True)
    summary = images.attrs["summary"]
    assert summary["without_time_zone"] == 24
    assert summary["problems"] == {"without a time zone": 24}
    flagged = images["problem"].eq(steps.NO_ZONE).fillna(value=False)
    assert flagged.tolist() == images["path"].str.contains("IMG_").tolist()
    assert steps.headline(summary).splitlines()[1] == LINE
    status, _, err = said(capsys, "process", tmp_path / "in", "--skip-exif-insert")
    assert status == 0
    assert LINE.replace("`local_time`", "--local-time") in err
    # The warnings of photos stay those of their readers.
    assert images["warning"].equals(images["problem"])


def test_local_times_have_a_zone(tmp_path):
    zoneless(tmp_path / "in", 3)
    images = mlygeo.process(tmp_path / "in", local_time=True, skip_exif_insert=True)
    assert images.attrs["summary"]["without_time_zone"] == 0
    assert images["problem"].str.startswith("no time zone, taken as that of its place (").all()
    assert images["time_source"].unique().tolist() == ["local"]
    # The units that follow know it, and the next run may choose again.
    again = mlygeo.extract_sequence_data(tmp_path / "in")
    assert again.attrs["summary"]["without_time_zone"] == 0
    utc = mlygeo.extract_geotag_data(tmp_path / "in")
    assert utc.attrs["summary"]["without_time_zone"] == 3
    assert utc["time_source"].unique().tolist() == ["clock"]


def test_every_verb_says_it(tmp_path, capsys):
    zoneless(tmp_path / "in", 24)
    (tmp_path / "in" / "other.png").write_bytes(b"png")
    words = [
        ("extract-user-data", "--user-name", "jane"), ("extract-import-meta-data",), ("extract-geotag-data",),
        ("extract-sequence-data",), ("extract-upload-params", "--user-name", "jane"), ("exif-insert",),
    ]  # fmt: skip
    for verb, *more in words:
        _, out, err = said(capsys, verb, tmp_path / "in", *more, "--json")
        summary = json.loads(out)
        assert summary["without_time_zone"] == 24, verb
        assert summary["left_out"] == {"pictures .png": 1}, verb
        assert LINE.partition(";")[0] in err
        assert "left out: pictures .png (1)" in err
    for function in (mlygeo.geotag_photos, mlygeo.cut):
        summary = function(tmp_path / "in").attrs["summary"]
        assert (summary["without_time_zone"], summary["left_out"]) == (24, {"pictures .png": 1})
    assert mlygeo.cut(tmp_path / "in").attrs["summary"]["problems"] == {"without a time zone": 24}


def test_photos_that_are_off_the_track_for_their_zone_say_it_too(tmp_path):
    zoneless(tmp_path / "in", 4)
    gpx = gpx_of(tmp_path / "ride.gpx", 60)
    images = mlygeo.geotag_photos(tmp_path / "in", geotag_source="gpx", geotag_source_path=gpx)
    assert images["error"].notna().all()
    assert images.attrs["summary"]["without_time_zone"] == 4


def test_dates_in_doubt_are_problems_of_process(tmp_path):
    times = [START_MS + 2000 * number for number in range(8)]
    times[3] -= 3 * 86_400_000
    times[5] = pd.Timestamp("2099-01-01", tz="UTC").value // 10**6
    folder_of(tmp_path / "in", 8, ms=lambda number: times[number])
    images = mlygeo.process(tmp_path / "in", skip_exif_insert=True)
    problem = images["problem"]
    assert "against their numbers (3 days to the minute" in problem[3]
    assert "in the future" in problem[5] or "in the future" in str(images["warning"][5])
    assert problem.drop([3, 5]).isna().all()
    assert images.attrs["summary"]["problems"] == {"dated against their file numbers": 1, "dated in the future": 1}
    assert images["error"].isna().all()


def test_warnings_of_the_reader_are_problems_of_process(tmp_path):
    folder_of(tmp_path / "in", 4)
    path = tmp_path / "in" / "img_00001.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    images = mlygeo.process(tmp_path / "in", skip_exif_insert=True)
    told = images["warning"].notna() & images["error"].isna()
    assert images.loc[told, "problem"].tolist() == images.loc[told, "warning"].tolist()
    doubtful = images.assign(warning=pd.Series(["odd: 3", None, "odd: 4; even", None], dtype="str"), error=None)
    assert steps.problems_of(doubtful["warning"]) == {"odd: N": 2, "even": 1}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("GPS says 2003-01-25 12:00:00, its clock 2022-09-10 14:00:00: 1024 weeks were added to the GPS time",
         "with a roll-over of the GPS week number"),
        ("GPS says 2022-09-09 12:00:00, its clock 2022-09-10 14:00:00: the GPS date was corrected by a day",
         "with a GPS date a day off"),
        ("GPS says 1980-01-06 00:00:00, its clock 2022-09-10 14:00:00: the clock's time was taken, as GPS is before 1995",
         "whose GPS and clock contradict each other"),
        ("its time, 1980-01-01 00:00:00, is before 1995", "dated before 1995"),
        ("captured 2099-01-01 00:00:00, in the future", "dated in the future"),
        ("130 m in 1 s from the image before, that is 468 km/h (at most 400)", "too fast"),
        ("3 images of its folder have this capture time", "same capture time"),
        ("captured 2 s before the track starts (2022-09-10)", "outside the track"),
        (steps.NO_ZONE, "without a time zone"),
        (steps.WHOLE_SECOND, steps.WHOLE_SECOND.split("; ")[0]),
    ],
)  # fmt: skip
def test_problems_have_kinds_without_the_numbers_of_a_photo(text, kind):
    assert steps.problems_of(pd.Series([text, None], dtype="str")).get(kind) == 1


def test_nothing_in_doubt_says_nothing(tmp_path):
    folder_of(tmp_path / "in", 4)
    images = mlygeo.process(tmp_path / "in", skip_exif_insert=True)
    summary = images.attrs["summary"]
    assert (summary["problems"], summary["left_out"], summary["without_time_zone"]) == ({}, {}, 0)
    assert steps.doubts(summary) == []
    shutil.rmtree(tmp_path / "in" / ".mlygeo")
    assert np.isfinite(mlygeo.cut(tmp_path / "in").attrs["summary"]["length_m"])


def test_frames_lie_on_the_track_of_their_own_video_though_cameras_count_anew():
    base = Path("trip")
    paths = {
        "GX010001": str(base / "100GOPRO" / "GX010001.MP4"),
        "GX010001 (2)": str(base / "101GOPRO" / "GX010001.MP4"),
        "GX010002": str(base / "101GOPRO" / "GX010002.MP4"),
    }
    track = gpd.GeoDataFrame({"track_id": list(paths)}, geometry=[Point(0, 0)] * 3, crs=4326)
    track.attrs["paths"] = paths
    frames_folder = base / "mapillary_sampled_video_frames"
    for folder, wanted in [
        (frames_folder / "100GOPRO" / "GX010001.MP4", "GX010001"),
        (frames_folder / "101GOPRO" / "GX010001.MP4", "GX010001 (2)"),
        (frames_folder / "101GOPRO" / "GX010002.MP4", "GX010002"),
        (frames_folder / "102GOPRO" / "GX010001.MP4", None),
        (base / "photos", None),
    ]:
        assert steps.own_track(str(folder), track) == wanted


@pytest.mark.parametrize(
    ("number", "reason", "text"),
    [
        (1, "files that are neither photos nor videos", "1 file that is neither photos nor videos"),
        (1, "videos whose frames are there", "1 video whose frames are there"),
        (1, "videos", "1 video"),
        (1_234, "points without a fix", "1,234 points without a fix"),
        (1, "without a position", "1 without a position"),
    ],
)
def test_a_reason_agrees_with_its_number(number, reason, text):
    assert counted_reason(number, reason) == text
