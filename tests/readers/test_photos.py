"""Photos -> images frame: the values that ExifTool reads, the rules on made tags, damage, folders, processes."""

from __future__ import annotations

import io
import json
import math
import os
import re
import struct
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from conftest import DATA
from helpers.made_photos import FRAME, TAG, dms, field, jpeg, packet, segment, text, tiff
from helpers.unix import needs_symlinks, needs_unix
from helpers.work import at_most
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlygeo import frames
from mlygeo.errors import FileError, FrameError, InputError
from mlygeo.formats.jpeg import read_head
from mlygeo.progress import Progress
from mlygeo.readers import photo as one_photo
from mlygeo.readers import photos
from mlygeo.readers.photo import read_photo
from mlygeo.readers.photos import find_photos, read_found, read_photos

PHOTOS = DATA / "photos"
EXPECTED = {entry["SourceFile"][2:]: entry for entry in json.loads((PHOTOS / "exiftool_expected.json").read_text())}


@pytest.fixture
def shot(tmp_path):
    """Write bytes as a photo and read them."""
    numbers = iter(range(10_000))

    def read(data, *, name=None):
        path = tmp_path / (name or f"{next(numbers)}.jpg")
        path.write_bytes(data)
        return read_photo(str(path))

    return read


def moment(photo):
    return (
        None
        if photo.captured_ms is None
        else datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=photo.captured_ms)
    )


# What ExifTool says


@pytest.fixture(scope="module")
def bundled():
    images = read_photos(PHOTOS)
    return images.assign(name=[Path(path).relative_to(PHOTOS).as_posix() for path in images["path"]]).set_index("name")


def exiftool_time(entry):
    """The rules, once more, over what ExifTool prints."""

    def parsed(value, subsec=None, offset=None):
        match = re.fullmatch(r"(\d{4}:\d\d:\d\d \d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?", str(value))
        if match is None:
            return None
        try:
            when = datetime.strptime(match[1], "%Y:%m:%d %H:%M:%S")
        except ValueError:
            return None
        when += timedelta(seconds=float(f"0.{subsec}" if subsec is not None else match[2] or 0))
        zone = offset or match[3]
        if zone and zone != "Z":
            when -= int(zone[0] + "1") * timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
        return when.replace(tzinfo=UTC)

    picture = lambda name: entry.get(f"ExifIFD:{name}", entry.get(f"IFD0:{name}"))
    gps = parsed(f"{entry.get('GPS:GPSDateStamp')} {entry.get('GPS:GPSTimeStamp')}")
    clock = lambda *names: parsed(*map(picture, names))
    original = clock("DateTimeOriginal", "SubSecTimeOriginal", "OffsetTimeOriginal")
    if gps is not None:
        # The decimals of a clock that shows the same second refine it.
        if original is not None and gps.microsecond == 0 and (original - gps).total_seconds() % 900 < 1:
            gps += timedelta(microseconds=original.microsecond)
        return gps
    in_xmp = [entry.get(name, "") for name in ("XMP-exif:DateTimeOriginal", "XMP-xmp:CreateDate")]
    clocks = [original, clock("CreateDate", "SubSecTimeDigitized", "OffsetTimeDigitized"), *map(parsed, in_xmp)]
    chosen = next((when for when in clocks if when is not None), None)
    if chosen is None:
        return clock("ModifyDate", "SubSecTime", "OffsetTime")
    # A time in XMP that shows the same second tells the zone, unless it is Z.
    same = [
        text for text in in_xmp if parsed(re.sub(r"[+-]\d\d:\d\d$", "", text)) == chosen and text[-6:-5] in {"+", "-"}
    ]
    return parsed(same[0]) if same and not picture("OffsetTimeOriginal") else chosen


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_agrees_with_exiftool(bundled, name):
    entry, row = EXPECTED[name], bundled.loc[name]
    when = exiftool_time(entry)
    assert (when is None) == pd.isna(row.captured_at)
    assert when is None or abs(row.captured_at - when) <= timedelta(milliseconds=1)

    lat, lon = entry.get("GPS:GPSLatitude"), entry.get("GPS:GPSLongitude")
    if entry.get("GPS:GPSLatitudeRef") and entry.get("GPS:GPSLongitudeRef") and (lat or lon):
        lat *= -1 if entry["GPS:GPSLatitudeRef"] == "S" else 1
        lon *= -1 if entry["GPS:GPSLongitudeRef"] == "W" else 1
        assert row.geometry.y == pytest.approx(lat, abs=1e-7)
        assert row.geometry.x == pytest.approx(lon, abs=1e-7)
    else:
        assert row.geometry is None

    heading = entry.get("GPS:GPSImgDirection", entry.get("GPS:GPSTrack", math.nan))
    assert row.compass_angle == pytest.approx(heading, abs=0.01, nan_ok=True)
    altitude = entry.get("GPS:GPSAltitude", math.nan)
    assert row.altitude == pytest.approx(altitude, abs=0.001, nan_ok=True)
    assert row.is_pano == ("XMP-GPano:ProjectionType" in entry)
    for column, tag in (("width", "File:ImageWidth"), ("height", "File:ImageHeight")):
        assert (None if pd.isna(row[column]) else row[column]) == entry.get(tag)
    orientation = entry.get("IFD0:Orientation", entry.get("XMP-tiff:Orientation"))
    assert (None if pd.isna(row.exif_orientation) else row.exif_orientation) == orientation
    if entry.get("File:FileType") == "JPEG" and not name.startswith("berlin"):
        for column in ("make", "model"):
            expected = str(entry.get(f"IFD0:{column.title()}", "")).strip()
            assert ("" if pd.isna(row[column]) else row[column]) == expected


def test_the_bundled_photos_are_enough_for_that(bundled):
    assert len(EXPECTED) == len(bundled) > 35
    assert bundled.geometry.notna().sum() >= 12
    assert bundled["compass_angle"].notna().sum() >= 4
    assert bundled["exif_orientation"].isin([6]).any()
    assert set(bundled["time_source"].dropna()) == {"gps", "clock", "offset"}
    assert bundled["is_pano"].sum() == 1


def test_live_exiftool_agrees_on_all_that_the_expectations_leave_out(bundled):
    from helpers.exiftool_oracle import program

    answer = subprocess.run(
        [program(), "-j", "-n", "-r", "-FileSize", "-Orientation", "-ImageSize", "-ext", "jpg", "."],
        cwd=PHOTOS, capture_output=True, check=False,
    )  # fmt: skip
    for entry in json.loads(answer.stdout):
        row = bundled.loc[entry["SourceFile"][2:]]
        assert row.filesize == entry["FileSize"]
        if not pd.isna(row.width):
            assert [row.width, row.height] == [int(part) for part in entry["ImageSize"].split()]


BROKEN = {
    "exiv2-bug1247": "ends before its picture",
    "issue_1881_poc": "ends before its picture",
    "issue_2320_poc": "not a JPEG, but a TIFF",
    "pocIssue283": "not a JPEG",
    "issue_2027_poc": "",
    "issue_853_poc": "",
}


@pytest.mark.parametrize("stem", sorted(BROKEN))
def test_a_broken_file_is_a_row_with_its_reason(bundled, stem):
    row = bundled.loc[f"broken/{stem}.jpg"]
    assert BROKEN[stem] in row.error
    assert row.geometry is None


def test_damage_that_does_not_matter_is_a_warning(bundled):
    assert "GPS tags" in bundled.loc["broken/exif_gps_typeerror.jpg"].warning
    assert "EXIF tags" in bundled.loc["broken/30-type_error_cut.jpg"].warning
    assert "does not start as one" in bundled.loc["broken/invalid-exif.jpg"].warning
    assert "has no longitude" in bundled.loc["broken/exif_gps.jpg"].warning
    assert "(0, 0)" in bundled.loc["Samsung_GT-I9000_Galaxy_S.jpg"].warning
    fine = bundled.loc["DSC00001_cut.jpg"]
    assert pd.isna(fine.error)
    assert pd.isna(fine.warning)


def test_frame(bundled):
    frames.check(bundled, frames.LOCAL_IMAGES)
    for column in ("id", "sequence_id", "creator_id", "organization_id"):
        assert bundled[column].isna().all()
    description = json.loads(bundled.loc["berlin_02_cut.jpg"].image_description)
    assert description["MAPCaptureTime"] == "2014_05_26_12_56_11_489"
    assert pd.isna(bundled.loc["long_description.jpg"].image_description)
    assert bundled.loc["broken/exif_gps.jpg"].folder == str(PHOTOS / "broken")


# The rules, on made tags


@given(
    lat=st.floats(-90, 90), lon=st.floats(-180, 180), heading=st.integers(0, 35_999), height=st.integers(-400_000, 8_000_000),
    when=st.datetimes(datetime(1980, 1, 6), datetime(2100, 1, 1)), order=st.sampled_from("<>"),
)  # fmt: skip
@settings(max_examples=150)
@example(lat=0.0, lon=9.0, heading=0, height=0, when=datetime(2024, 2, 29, 23, 59, 59, 999_999), order=">")
def test_tags_come_back(lat, lon, heading, height, when, order):
    gps = dms(lat, lon) | {
        TAG["GPSImgDirection"]: field(5, (heading, 100)),
        TAG["GPSAltitude"]: field(5, (abs(height), 1000)),
        TAG["GPSAltitudeRef"]: field(1, int(height < 0)),
        TAG["GPSDateStamp"]: text(when.strftime("%Y:%m:%d")),
        TAG["GPSTimeStamp"]: field(
            5, (when.hour, 1), (when.minute, 1), (when.second * 1_000_000 + when.microsecond, 1_000_000)
        ),
    }
    photo = one_photo._photo("", read_head(io.BytesIO(jpeg(tiff(gps=gps, order=order)))), 0)
    if round(abs(lat) * 3600e7) == round(abs(lon) * 3600e7) == 0:  # as they are written
        assert photo.lat is None
    else:
        assert photo.lat == pytest.approx(lat, abs=1e-10)
        assert photo.lon == pytest.approx(lon, abs=1e-10)
    assert photo.compass_angle == heading / 100
    assert photo.altitude == height / 1000
    assert photo.time_source == "gps"
    floor = when.replace(tzinfo=UTC, microsecond=when.microsecond // 1000 * 1000)
    assert moment(photo) == floor


@pytest.mark.parametrize(
    "change",
    [
        {TAG["GPSLatitudeRef"]: None},
        {TAG["GPSLongitudeRef"]: None},
        {TAG["GPSLatitudeRef"]: text("X")},
        {TAG["GPSLatitude"]: field(5, (0, 0), (0, 0), (0, 0))},
        {TAG["GPSLatitude"]: field(5, (48, 1), (30, 1), (0, 0))},
        {TAG["GPSLatitude"]: field(12, math.nan, 0.0, 0.0)},
        {TAG["GPSLatitude"]: field(5, (91, 1), (0, 1), (0, 1))},
        {TAG["GPSLongitude"]: field(5, (181, 1), (0, 1), (0, 1))},
        {TAG["GPSLatitude"]: field(5, (0, 1), (0, 1), (0, 1)), TAG["GPSLongitude"]: field(5, (0, 1), (0, 1), (0, 1))},
        {TAG["GPSLatitude"]: text("somewhere")},
    ],
)
def test_what_is_no_position(shot, change):
    gps = {tag: value for tag, value in (dms(48.5, 9.25) | change).items() if value is not None}
    photo = shot(jpeg(tiff(gps=gps)))
    assert photo.lon is None
    assert photo.error is None
    if TAG["GPSLatitudeRef"] in gps and TAG["GPSLongitudeRef"] in gps:
        assert "position" in photo.warning


@pytest.mark.parametrize(
    ("lat", "lon", "ref", "expected"),
    [
        (field(5, (485, 10)), field(5, (925, 100)), ("N", "E"), (48.5, 9.25)),
        (field(5, (48, 1), (30, 1)), field(5, (9, 1), (15, 1)), ("n", "west"), (48.5, -9.25)),
        (field(12, 48.5), field(12, 9.25), ("S", "E"), (-48.5, 9.25)),
        (field(10, (48, 1), (30, 1), (0, 1)), field(10, (9, 1), (15, 1), (0, 1)), ("N", "E"), (48.5, 9.25)),
        (text("48.5"), text("9.25"), ("N", "W"), (48.5, -9.25)),
        (text("48,30.0N"), text("9,15,0W"), (None, None), (48.5, -9.25)),
    ],
)
def test_positions_of_odd_writers(shot, lat, lon, ref, expected):
    gps = {TAG["GPSLatitude"]: lat, TAG["GPSLongitude"]: lon}
    gps |= {
        tag: text(value)
        for tag, value in zip((TAG["GPSLatitudeRef"], TAG["GPSLongitudeRef"]), ref, strict=True)
        if value
    }
    photo = shot(jpeg(tiff(gps=gps)))
    assert (photo.lat, photo.lon) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({TAG["GPSImgDirection"]: field(5, (0, 1)), TAG["GPSTrack"]: field(5, (90, 1))}, 0),
        ({TAG["GPSImgDirection"]: field(5, (0, 0)), TAG["GPSTrack"]: field(5, (90, 1))}, 90),
        ({TAG["GPSTrack"]: field(5, (35_999, 100))}, 359.99),
        ({TAG["GPSImgDirection"]: field(5, (360, 1))}, 0),
        ({TAG["GPSImgDirection"]: field(10, (-90, 1))}, 270),
        ({TAG["GPSImgDirection"]: field(5, (65_535, 1)), TAG["GPSTrack"]: field(5, (90, 1))}, 90),
        ({TAG["GPSImgDirection"]: field(12, math.inf)}, None),
    ],
)
def test_headings(shot, tags, expected):
    assert shot(jpeg(tiff(gps=tags))).compass_angle == expected


@pytest.mark.parametrize(
    ("ref", "sign"), [(None, 1), (field(1, 0), 1), (field(1, 1), -1), (field(3, 1), -1), (field(2, b"1\0"), -1)]
)
def test_altitudes_below_the_sea(shot, ref, sign):
    gps = {TAG["GPSAltitude"]: field(5, (25, 10))} | ({} if ref is None else {TAG["GPSAltitudeRef"]: ref})
    assert shot(jpeg(tiff(gps=gps))).altitude == sign * 2.5


GPS_TIMES = {TAG["GPSDateStamp"]: text("2018:06:08"), TAG["GPSTimeStamp"]: field(5, (20, 1), (24, 1), (4103, 100))}
CLOCK = {
    TAG["DateTimeOriginal"]: text("2018:06:08 13:24:10"),
    TAG["SubSecTimeOriginal"]: text("0259"),
    TAG["OffsetTimeOriginal"]: text("-07:00"),
}
SECOND = {TAG["CreateDate"]: text("2017:01:02 03:04:05"), TAG["SubSecTimeDigitized"]: text("5")}


@pytest.mark.parametrize(
    ("gps", "tags", "expected", "source"),
    [
        (GPS_TIMES, CLOCK, "2018-06-08T20:24:41.030", "gps"),
        (GPS_TIMES | {TAG["GPSDateStamp"]: text("1970:01:01")}, CLOCK, "2018-06-08T20:24:10.025", "offset"),
        (GPS_TIMES | {TAG["GPSDateStamp"]: text("1999:99:99")}, CLOCK, "2018-06-08T20:24:10.025", "offset"),
        ({TAG["GPSDateStamp"]: text("2018:06:08")}, CLOCK, "2018-06-08T20:24:10.025", "offset"),
        (GPS_TIMES | {TAG["GPSTimeStamp"]: field(5, (1, 0), (1, 1), (1, 1))}, CLOCK, "2018-06-08T20:24:10.025", "offset"),
        (GPS_TIMES | {TAG["GPSDateStamp"]: text("2018-06-08")}, {}, "2018-06-08T20:24:41.030", "gps"),
        (GPS_TIMES | {TAG["GPSTimeStamp"]: field(5, (23, 1), (59, 1), (60, 1))}, {}, "2018-06-09T00:00:00", "gps"),
        (GPS_TIMES | {TAG["GPSTimeStamp"]: text("20:24:41.03")}, {}, "2018-06-08T20:24:41.030", "gps"),
        ({}, {**CLOCK, **SECOND}, "2018-06-08T20:24:10.025", "offset"),
        ({}, {TAG["DateTimeOriginal"]: text("    :  :     :  :  "), **SECOND}, "2017-01-02T03:04:05.500", "clock"),
        ({}, {TAG["DateTimeOriginal"]: text("0000:00:00 00:00:00"), **SECOND}, "2017-01-02T03:04:05.500", "clock"),
        ({}, {TAG["ModifyDate"]: text("2016:01:02 24:00:00"), TAG["SubSecTime"]: text("  7")}, "2016-01-03T00:00:00.007", "clock"),
        ({}, {TAG["ModifyDate"]: text("2016:12:31 23:59:60")}, "2017-01-01T00:00:00", "clock"),
        ({}, {TAG["DateTimeOriginal"]: text("2016-01-02T03:04:05.25+02:00")}, "2016-01-02T01:04:05.250", "offset"),
        ({}, {TAG["DateTimeOriginal"]: text("2016:01:02 03:04:05"), TAG["OffsetTimeOriginal"]: text("+99:00")}, "2016-01-02T03:04:05", "clock"),
        ({}, {TAG["DateTimeOriginal"]: text("2016:01:02 03:04:05"), TAG["OffsetTime"]: text("+02:00")}, "2016-01-02T03:04:05", "clock"),
        ({}, {TAG["DateTimeOriginal"]: text("2016:01:02 03:04:05"), TAG["SubSecTimeOriginal"]: text("9999999")}, "2016-01-02T03:04:05.999", "clock"),
        ({}, {TAG["DateTimeOriginal"]: text("2016:02:30 03:04:05")}, None, None),
        ({}, {TAG["DateTimeOriginal"]: field(4, 7)}, None, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("order", "<>")
def test_times(shot, gps, tags, expected, source, order):
    photo = shot(jpeg(tiff(exif_tags=tags, gps=gps, order=order)))
    assert moment(photo) == (None if expected is None else datetime.fromisoformat(expected).replace(tzinfo=UTC))
    assert photo.time_source == source


@pytest.fixture
def los_angeles(monkeypatch):
    """Set this machine's zone."""
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    yield
    monkeypatch.delenv("TZ")
    time.tzset()


NAIVE = {TAG["DateTimeOriginal"]: text("2018:06:08 13:24:10")}
OF_PLACE = "no time zone, taken as that of its place (Europe/Berlin)"
OF_MACHINE = "no time zone, taken as that of this machine"


@pytest.mark.parametrize(
    ("picture", "name", "expected", "warning"),
    [
        (tiff(exif_tags=NAIVE), "a.jpg", "2018-06-08T20:24:10", OF_MACHINE),
        (tiff(exif_tags=NAIVE, gps=dms(52.5, 13.4)), "a.jpg", "2018-06-08T11:24:10", OF_PLACE),
        (tiff(exif_tags=NAIVE | {TAG["OffsetTimeOriginal"]: text("+02:00")}), "a.jpg", "2018-06-08T11:24:10", None),
        (tiff(exif_tags=NAIVE, gps=GPS_TIMES), "a.jpg", "2018-06-08T20:24:41.030", None),
        (tiff(), "2018_01_08_13_24_10_500.jpg", "2018-01-08T21:24:10.500", OF_MACHINE),
        (tiff(gps=dms(52.5, 13.4)), "2018_01_08_13_24_10_500.jpg", "2018-01-08T12:24:10.500", OF_PLACE),
        (
            tiff(exif_tags={TAG["DateTimeOriginal"]: text("2018:10:28 02:30:00")}, gps=dms(52.5, 13.4)),
            "a.jpg", "2018-10-28T00:30:00", f"{OF_PLACE}, which had this time twice, the first was taken",
        ),
        (
            tiff(exif_tags={TAG["DateTimeOriginal"]: text("2018:03:25 02:30:00")}, gps=dms(52.5, 13.4)),
            "a.jpg", "2018-03-25T01:30:00", f"{OF_PLACE}, which never had this time",
        ),
        (tiff(), "a.jpg", None, None),
    ],
)  # fmt: skip
def test_local_time_is_that_of_the_place_for_times_without_a_zone(
    tmp_path, los_angeles, picture, name, expected, warning
):
    (tmp_path / name).write_bytes(jpeg(picture))
    row = read_photos(tmp_path, local_time=True).iloc[0]
    when = None if expected is None else pd.Timestamp(expected, tz="UTC")
    assert (None if pd.isna(row.captured_at) else row.captured_at) == when
    assert (None if pd.isna(row.warning) else row.warning) == warning
    later = photos.in_local_time(read_photos(tmp_path)).iloc[0]
    assert later.equals(row)


def test_local_time_of_a_frame_needs_to_know_whose_its_times_are():
    place = gpd.points_from_xy([13.4], [52.5])
    images = gpd.GeoDataFrame({"captured_at": [pd.Timestamp("2024-07-01T12:00Z")]}, geometry=place, crs=4326)
    images["captured_at"] = images["captured_at"].astype("datetime64[ms, UTC]")
    with pytest.raises(FrameError, match="no column 'time_source'"):
        photos.in_local_time(images)
    found = photos.in_local_time(images.assign(time_source="clock")).iloc[0]
    assert found.captured_at == pd.Timestamp("2024-07-01T10:00Z")
    assert "Europe/Berlin" in found.warning


@given(
    seconds=st.integers(-(10**9), 2 * 10**9),
    place=st.sampled_from([(13.4, 52.5), (-157.8, 21.3), (174.8, -41.3), (85.3, 27.7), (-171.8, -13.8), (-30.0, 30.0)]),
)
@settings(max_examples=200, deadline=None)
def test_local_time_goes_back_to_what_the_clock_showed(seconds, place):
    """What a clock at the place shows at the moment that was found is what the photo's clock showed."""
    from zoneinfo import ZoneInfo

    from mlygeo.formats import times

    wall = np.array([seconds * 1000 + 7], "datetime64[ms]")
    images = gpd.GeoDataFrame(
        {"captured_at": pd.Series(wall).dt.tz_localize("UTC"), "time_source": ["clock"], "warning": [times.NO_ZONE]},
        geometry=gpd.points_from_xy(*[[part] for part in place]), crs=4326,
    )  # fmt: skip
    found = photos.in_local_time(images).iloc[0]
    there = found.captured_at.tz_convert(ZoneInfo(times.zone_name(*place))).tz_localize(None)
    assert (there == pd.Timestamp(wall[0])) is ("never" not in found.warning)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("2024_06_09_08_07_06_123.jpg", "2024-06-09T08:07:06.123"),
        ("cam1_2024_06_09_08_07_06_5_left.jpg", "2024-06-09T08:07:06.500"),
        ("2024_13_09_08_07_06_123.jpg", None),
        ("12024_06_09_08_07_06_123.jpg", None),
        ("IMG_20240609_080706.jpg", None),
    ],
)
def test_the_name_tells_the_time_last_of_all(shot, name, expected):
    photo = shot(jpeg(), name=name)
    assert moment(photo) == (None if expected is None else datetime.fromisoformat(expected).replace(tzinfo=UTC))
    assert shot(jpeg(tiff(exif_tags=CLOCK)), name=name).time_source == "offset"


def test_xmp_answers_where_exif_does_not(shot):
    xmp = packet(
        'exif:GPSLatitude="53,21.5679N" exif:GPSLongitude="6,15.4939W" exif:GPSAltitude="3580/100" exif:GPSAltitudeRef="1"'
        ' exif:GPSImgDirection="9150/100" tiff:Make="Nokia" tiff:Orientation="6" aux:SerialNumber="A-12" aux:LensSerialNumber="7"',
        "<tiff:Model>Lumia 800</tiff:Model><exif:DateTimeOriginal>2012-06-09T21:23:38.25+01:00</exif:DateTimeOriginal>",
    )
    photo = shot(jpeg(xmp=xmp))
    assert (photo.lat, photo.lon) == pytest.approx((53.359465, -6.25823166666667))
    assert (photo.altitude, photo.compass_angle, photo.make, photo.model) == (-35.8, 91.5, "Nokia", "Lumia 800")
    assert (photo.exif_orientation, photo.camera_uuid, photo.time_source) == (6, "A12_7", "offset")
    assert moment(photo).isoformat() == "2012-06-09T20:23:38.250000+00:00"

    both = shot(jpeg(tiff({TAG["Make"]: text("SONY")}, CLOCK, dms(1, 2)), xmp=xmp))
    assert (both.lat, both.lon, both.make, both.model) == (1, 2, "SONY", "Lumia 800")
    assert moment(both).year == 2018


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('exif:GPSLatitude="48.5" exif:GPSLongitude="-9.25"', (48.5, -9.25)),
        (
            'exif:GPSLatitude="48.5" exif:GPSLatitudeRef="S" exif:GPSLongitude="9.25" exif:GPSLongitudeRef="W"',
            (-48.5, -9.25),
        ),
        ('exif:GPSLatitude="48,30,0N" exif:GPSLongitude="9,15,0E"', (48.5, 9.25)),
        ('exif:GPSLatitude="0" exif:GPSLongitude="0"', None),
        ('exif:GPSLatitude="nan" exif:GPSLongitude="9"', None),
        ('exif:GPSLatitude="48,30" exif:GPSLongitude="9,15"', None),
    ],
)
def test_positions_in_xmp(shot, attributes, expected):
    photo = shot(jpeg(xmp=packet(attributes)))
    assert (None if photo.lat is None else (photo.lat, photo.lon)) == expected


def test_gps_time_in_xmp(shot):
    assert (
        moment(shot(jpeg(xmp=packet('exif:GPSTimeStamp="2021-07-15T05:37:30Z"')))).isoformat()
        == "2021-07-15T05:37:30+00:00"
    )
    apart = packet('exif:GPSDateStamp="2021:07:15" exif:GPSTimeStamp="17:22:05.999"')
    assert moment(shot(jpeg(xmp=apart))).isoformat() == "2021-07-15T17:22:05.999000+00:00"


def test_xmp_that_declares_entities_is_not_read(shot):
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>' + packet(
        'exif:GPSLatitude="1" exif:GPSLongitude="2"'
    )
    photo = shot(jpeg(xmp=bomb))
    assert photo.lat is None
    assert "entities" in photo.warning


def test_damaged_xmp_keeps_what_comes_before(shot):
    photo = shot(jpeg(xmp=packet('exif:GPSLatitude="1" exif:GPSLongitude="2"')[:-40]))
    assert (photo.lat, photo.lon) == (1, 2)
    assert "damaged" in photo.warning


def test_serial_numbers_and_lens(shot):
    tags = {TAG["SerialNumber"]: text("AB 12/3"), TAG["LensSerialNumber"]: text("007"), TAG["LensMake"]: text("Apple")}
    photo = shot(jpeg(tiff(exif_tags=tags)))
    assert (photo.camera_uuid, photo.make) == ("AB123_007", "Apple")


# Segments, encodings, what is in doubt


def both(first, second):
    """Two EXIF segments."""
    return jpeg(tiff(*first), tiff(*second, order=">"))


def test_a_second_exif_segment_gives_what_the_first_lacks(shot):
    photo = shot(both(({TAG["Make"]: text("Stub")},), ({TAG["Model"]: text("Cam")}, CLOCK, dms(48, 11))))
    assert (photo.make, photo.model, photo.lat, photo.lon, photo.warning) == ("Stub", "Cam", 48, 11, None)
    assert moment(photo).isoformat() == "2018-06-08T20:24:10.025000+00:00"
    photo = shot(both(({TAG["Make"]: text("Stub")}, SECOND), ({TAG["Make"]: text("Test")}, CLOCK | SECOND)))
    assert photo.make == "Stub"
    assert photo.warning.startswith("its EXIF segments contradict each other (Make), the first counts")
    broken = jpeg(b"no TIFF at all", tiff({}, CLOCK, dms(48, 11)))
    assert (shot(broken).lat, shot(broken).warning) == (48, "the EXIF segment does not start as one")
    again = tiff({}, CLOCK)
    assert shot(jpeg(again, again)).warning is None


@pytest.mark.parametrize(
    "before", [segment(0xE2, bytes(70_000 % 65_000)) * 30, segment(0xFE, b"a comment"), FRAME, b""]
)
def test_exif_is_found_wherever_it_stands_before_the_picture(shot, before):
    photo = shot(
        jpeg(
            frame=before + segment(0xE1, b"Exif\0\0" + tiff({}, CLOCK, dms(1, 2))) + (FRAME if before != FRAME else b"")
        )
    )
    assert (photo.lat, photo.lon, photo.error, photo.width) == (1, 2, None, 640)


def test_an_exif_block_that_goes_on_in_the_next_segment(shot):
    """As ExifTool writes blocks that are longer than a segment."""
    block = tiff({TAG["ImageDescription"]: text("x" * 90_000), TAG["Make"]: text("SONY")}, CLOCK, dms(1, 2))
    photo = shot(jpeg(block[:65_000], block[65_000:]))
    assert (photo.lat, photo.make, photo.warning) == (1, "SONY", None)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-32-be"])
def test_xmp_in_any_encoding(shot, encoding):
    xmp = packet('exif:GPSLatitude="53,21.5679N" exif:GPSLongitude="6,15.4939W" GPano:ProjectionType="equirectangular"')
    for start in ("", f'<?xml version="1.0" encoding="{encoding}"?>'):
        content = (start + xmp.decode()).encode(encoding)
        photo = shot(jpeg(xmp=content))
        assert (photo.lat, photo.is_pano, photo.warning) == (pytest.approx(53.359465), True, None)
        assert shot(jpeg(xmp=content + bytes(64))).lat == photo.lat  # padding


def extension(whole, digest=b"0123456789ABCDEF0123456789ABCDEF", size=None, part=40_000):
    starts = range(0, len(whole), part)
    head = b"http://ns.adobe.com/xmp/extension/\0" + digest
    return b"".join(
        segment(0xE1, head + struct.pack(">II", size or len(whole), start) + whole[start : start + part])
        for start in starts
    )


def test_extended_xmp_is_read(shot):
    main = packet(
        'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="0123456789ABCDEF0123456789ABCDEF"'
    )
    more = packet(f'exif:GPSLatitude="1.5" exif:GPSLongitude="2.5" exif:UserComment="{"x" * 100_000}"')
    photo = shot(jpeg(xmp=main, frame=extension(more) + FRAME))
    assert (photo.lat, photo.lon, photo.warning) == (1.5, 2.5, None)
    other = shot(jpeg(xmp=main, frame=extension(more, digest=b"f" * 32) + FRAME))
    assert (other.lat, other.warning) == (None, None)  # of another packet
    large = shot(jpeg(xmp=main, frame=extension(more, size=9_000_000) + FRAME))
    assert (large.lat, large.warning) == (None, "its extended XMP (9,000,000 bytes) was not read")


def test_several_xmp_packets_are_said(shot):
    one, two = (
        packet('exif:GPSLatitude="1" exif:GPSLongitude="2"'),
        packet('exif:GPSLatitude="3" exif:GPSLongitude="4"'),
    )
    second = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + two)
    photo = shot(jpeg(xmp=one, frame=second + FRAME))
    assert (photo.lat, photo.warning) == (1, "it has several XMP packets, of which the first was read")


ZONED = {TAG["DateTimeOriginal"]: text("2018:06:08 13:24:10"), TAG["OffsetTimeOriginal"]: text("-07:00")}


@pytest.mark.parametrize(
    ("picture", "tags", "gps", "said"),
    [
        ({}, ZONED, {}, None),
        ({}, ZONED | {TAG["DateTimeOriginal"]: text("2018:06:08 13:24:10 PST")}, {}, "its DateTimeOriginal is not a time ('2018:06:08 13:24:10 PST')"),
        ({}, {TAG["CreateDate"]: text("soon; or not")}, {}, "its DateTimeDigitized is not a time ('soon, or not')"),
        ({TAG["ModifyDate"]: text("x" * 100)}, {}, {}, f"its DateTime is not a time ('{'x' * 40}…')"),
        ({}, {TAG["DateTimeOriginal"]: text("0000:00:00 00:00:00")}, {}, None),
        ({}, {TAG["DateTimeOriginal"]: text("    :  :     :  :  ")}, {}, None),
        ({}, {TAG["DateTimeOriginal"]: text("2018:06:08 13:24:10"), TAG["OffsetTimeOriginal"]: text("   :  ")}, {}, "no time zone, taken as UTC"),
        ({}, ZONED | {TAG["OffsetTimeOriginal"]: text("+99:00")}, {}, "its OffsetTimeOriginal is not a time zone ('+99:00')"),
        ({}, ZONED | {TAG["SubSecTimeOriginal"]: text("12ab")}, {}, "its SubSecTimeOriginal is not a fraction of a second ('12ab')"),
        ({}, ZONED | {TAG["DateTimeOriginal"]: text("2018-06-08T13:24:10+02:00")}, {}, "its OffsetTimeOriginal contradicts the zone in"),
        ({}, ZONED, {TAG["GPSDateStamp"]: text("2003:01:25")}, "its GPS date is another day ('2003:01:25')"),
        ({}, ZONED, {TAG["GPSDateStamp"]: text("2018:06:08")}, None),
        ({}, ZONED, dms(1, 2) | {TAG["GPSStatus"]: text("V")}, "its position is in doubt, its receiver had no fix (GPSStatus 'V')"),
        ({}, ZONED, GPS_TIMES | {TAG["GPSStatus"]: text("V")}, "its GPS time is in doubt, its receiver had no fix (GPSStatus 'V')"),
        ({}, ZONED, dms(0, 2), "its latitude is exactly 0, which may stand for none"),
        ({}, ZONED, dms(51.5, 0), "its longitude is exactly 0, which may stand for none"),
        ({}, ZONED, dms(1, 2) | {TAG["GPSMapDatum"]: text("TOKYO")}, "its position is in another datum ('TOKYO'), taken as WGS 84"),
        ({}, ZONED, dms(1, 2) | {TAG["GPSMapDatum"]: text("WGS 84")}, None),
        ({}, ZONED, dms(1, 2) | {TAG["GPSDOP"]: field(5, (50, 1))}, "its position is rough (dilution of precision 50)"),
        ({}, ZONED, dms(1, 2) | {TAG["GPSDOP"]: field(5, (5, 1)), TAG["GPSHPositioningError"]: field(5, (5, 1))}, None),
        ({}, ZONED, dms(1, 2) | {TAG["GPSHPositioningError"]: field(5, (1414, 1))}, "its position is rough (error of 1,414 m)"),
        ({}, ZONED, dms(1, 2) | {TAG["GPSLatitude"]: field(5, (48, 1), (60, 1), (0, 1))}, "its latitude has decimals and a smaller unit"),
        ({}, ZONED, dms(1, 2) | {TAG["GPSLatitude"]: field(5, (485, 10), (30, 1), (0, 1))}, "its latitude has decimals and a smaller unit"),
        ({}, ZONED, dms(1, 2) | {TAG["GPSLatitude"]: field(5, (485, 10), (0, 1), (0, 1))}, None),
        ({}, ZONED, dms(1, 2) | {TAG["GPSLatitude"]: field(5, (48, 1), (303, 10), (0, 1))}, None),
        ({}, ZONED, dms(1, 2) | {TAG["GPSLatitudeRef"]: text("E")}, "GPSLatitudeRef is not a side of it ('E')"),
        ({}, ZONED, dms(0, 0), "its GPS position is (0, 0), that is none"),
        ({}, ZONED, {TAG["GPSImgDirection"]: field(5, (90, 1)), TAG["GPSImgDirectionRef"]: text("M")}, "its heading is magnetic, not corrected"),
        ({}, ZONED, {TAG["GPSTrack"]: field(5, (90, 1)), TAG["GPSTrackRef"]: text("?")}, "its GPSTrackRef is neither true nor magnetic north ('?')"),
        ({}, ZONED, {TAG["GPSImgDirection"]: field(5, (65535, 1))}, "its GPSImgDirection is not a heading (65535)"),
        ({}, ZONED, {TAG["GPSImgDirection"]: field(5, (0, 0))}, None),
        ({}, ZONED, {TAG["GPSAltitude"]: field(5, (30_000, 1))}, "its altitude of 30,000 m is unusual"),
        ({}, ZONED, {TAG["GPSAltitude"]: field(5, (4_294_967_290, 1))}, "its altitude of 4,294,967,290 m is no such place"),
        ({}, ZONED, {TAG["GPSAltitude"]: field(5, (30, 1)), TAG["GPSAltitudeRef"]: field(1, 9)}, "its GPSAltitudeRef is none (9), taken as above the sea"),
        ({TAG["Orientation"]: field(3, 9)}, ZONED, {}, "its orientation is none (9)"),
        ({TAG["Orientation"]: field(3, 0)}, ZONED, {}, None),
        ({}, ZONED | {TAG["ExifImageWidth"]: field(4, 4000), TAG["ExifImageHeight"]: field(4, 3000)}, {}, "its tags say 4000 x 3000 pixels, the picture has 640 x 480"),
        ({}, ZONED | {TAG["ExifImageWidth"]: field(3, 640), TAG["ExifImageHeight"]: field(3, 480)}, {}, None),
    ],
)  # fmt: skip
def test_what_is_in_doubt_is_said(shot, picture, tags, gps, said):
    photo = shot(jpeg(tiff(picture, tags, gps)))
    if said is None:
        assert photo.warning is None
    else:
        assert said in photo.warning
        assert photo.error is None


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ('exif:GPSLatitude="1,0.0N" exif:GPSLongitude="2,0.0E" exif:GPSImgDirection="90" tiff:Orientation="1" tiff:Make="Sony"', None),
        ('exif:GPSLatitude="1,0.06N" exif:GPSLongitude="2,0.0E"', "its XMP has another position, 111 m away"),
        ('exif:GPSLatitude="1,0.01N" exif:GPSLongitude="2,0.0E"', None),
        ('exif:GPSImgDirection="96"', "its XMP has another heading (96°)"),
        ('exif:GPSImgDirection="450"', "its XMP GPSImgDirection is not a heading ('450')"),
        ('tiff:Orientation="6"', "its XMP has another orientation (6)"),
        ('tiff:Make="Canon"', "its XMP has another maker ('Canon')"),
        ('exif:DateTimeOriginal="2018-06-08T13:24:10"', None),
        ('exif:DateTimeOriginal="2018-06-09T13:24:10"', "it also says 2018-06-09 13:24:10 for its time 2018-06-08 13:24:10"),
        ('exif:DateTimeOriginal="2018-06-08"', "its XMP exif:DateTimeOriginal is not a time ('2018-06-08')"),
        ('exif:GPSTimeStamp="2018-06-08T20:24:10Z"', None),
        ('exif:GPSTimeStamp="2018-06-08T20:26:10Z"', "GPS says 2018-06-08 20:26:10, its clock 2018-06-08 13:24:10"),
        ('exif:GPSTimeStamp="now"', "its XMP GPS time is none ('now')"),
        ('exif:GPSAltitude="high"', "its XMP altitude is none ('high')"),
        ('exif:GPSLatitude="1,0.0N"', "its XMP position has no longitude"),
        ('exif:GPSLatitude="48,30" exif:GPSLongitude="9,15"', "its XMP position is none ('48,30 9,15')"),
    ],
)  # fmt: skip
def test_where_exif_and_xmp_contradict_each_other(shot, attributes, said):
    gps = dms(1, 2) | {TAG["GPSImgDirection"]: field(5, (90, 1))}
    photo = shot(
        jpeg(tiff({TAG["Make"]: text("SONY"), TAG["Orientation"]: field(3, 1)}, ZONED, gps), xmp=packet(attributes))
    )
    assert (photo.lat, photo.lon, photo.compass_angle, photo.make, photo.exif_orientation) == (1, 2, 90, "SONY", 1)
    if said is None:
        assert photo.warning is None
    else:
        assert said in photo.warning


def test_photos_of_one_gps_second_are_ordered_by_the_clock(tmp_path):
    for name, part in (("IMG_1", "000"), ("IMG_2", "200"), ("IMG_10", "800"), ("IMG_9", "600")):
        tags = CLOCK | {TAG["DateTimeOriginal"]: text("2018:06:08 13:24:41"), TAG["SubSecTimeOriginal"]: text(part)}
        gps = GPS_TIMES | {TAG["GPSTimeStamp"]: field(5, (20, 1), (24, 1), (41, 1))} | dms(1, 2)
        (tmp_path / f"{name}.jpg").write_bytes(jpeg(tiff(exif_tags=tags, gps=gps)))
    images = read_photos(tmp_path).sort_values("captured_at")
    assert [Path(path).stem for path in images["path"]] == ["IMG_1", "IMG_2", "IMG_9", "IMG_10"]
    assert images["warning"].isna().all()


def test_all_files_that_are_jpeg_are_read_and_others_counted(tmp_path):
    fine = jpeg(tiff(exif_tags=ZONED))
    read = ["1.jpg", "2.JPEG", "3.jpe", "4.jfif", "5.MPO", "6.insp", "7.jif", "8.jfi"]
    left = ["a.heic", "b.HEIC", "c.dng", "d.png", "e.gpr", ".hidden.jpg", "._1.mpo", "movie.mp4", "notes.txt"]
    for name in [*read, *left]:
        (tmp_path / name).write_bytes(fine)
    (tmp_path / "9.jpg").write_bytes(b"")
    (tmp_path / "x.jpg").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "y.jpg").write_bytes(b"\0\0\0\x18ftypheic")
    (tmp_path / "folder.jpg").mkdir()
    images = read_photos(tmp_path)
    assert [Path(path).name for path in images["path"]] == sorted([*read, "9.jpg", "x.jpg", "y.jpg"])
    assert images["error"].dropna().tolist() == [
        "the file is empty", "not a JPEG, but a PNG picture", "not a JPEG, but a HEIF picture or a film",
    ]  # fmt: skip
    assert images.attrs["left_out"] == {
        "hidden photos": 2, "pictures .dng": 1, "pictures .gpr": 1, "pictures .heic": 2, "pictures .png": 1,
    }  # fmt: skip


@needs_symlinks
def test_links_to_folders_are_counted(tmp_path):
    (tmp_path / "in" / "real").mkdir(parents=True)
    (tmp_path / "in" / "real" / "1.jpg").write_bytes(jpeg())
    (tmp_path / "in" / "link").symlink_to(tmp_path / "in" / "real", target_is_directory=True)
    images = read_photos(tmp_path / "in")
    assert len(images) == 1
    assert images.attrs["left_out"] == {"links to folders": 1}


# Damage


def test_not_pictures(shot, tmp_path):
    assert shot(b"").error == "the file is empty"
    assert "PNG" in shot(b"\x89PNG\r\n\x1a\n").error
    assert "web page" in shot(b"<!DOCTYPE html>").error
    assert "HEIF" in shot(b"\0\0\0\x18ftypheic").error
    assert "no picture" in shot(b"\xff\xd8\xff\xd9" + b"\0" * 20).error
    assert read_photo(str(tmp_path)).error == "not a file"
    assert "No such file" in read_photo(str(tmp_path / "gone.jpg")).error
    assert "NUL" in read_photo("a\0b.jpg").error or "null" in read_photo("a\0b.jpg").error


def test_photos_that_were_found_say_when_they_were_changed(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg(tiff(exif_tags=CLOCK)))
    (tmp_path / "b.jpg").mkdir()
    os.utime(tmp_path / "a.jpg", ns=(5, 1_718_000_000_123_456_789))
    paths = [str(tmp_path / name) for name in ("b.jpg", "gone.jpg", "a.jpg")]
    images = read_found(paths)
    assert images["path"].tolist() == paths
    assert images["modified_ns"].tolist() == [
        Path(path).stat().st_mtime_ns if path != paths[1] else -1 for path in paths
    ]
    assert images["modified_ns"].dtype == "int64"
    assert images["error"].isna().tolist() == [False, False, True]
    assert "modified_ns" not in read_photos(tmp_path)


@needs_unix("named pipes")
def test_a_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert read_photos(tmp_path)["error"].tolist() == ["not a file"]


def test_only_the_head_is_read(tmp_path, monkeypatch):
    path = tmp_path / "large.jpg"
    path.write_bytes(jpeg(tiff(exif_tags=CLOCK)) + b"\0" * 10_000_000)
    read = []

    class Counted(io.FileIO):
        def read(self, size=-1):
            data = super().read(size)
            read.append(len(data))
            return data

    with Counted(path) as file:
        assert read_head(file).width == 640
    assert sum(read) <= 1 << 16


def test_segments_beyond_the_first_read(shot):
    preview = segment(0xE2, b"\x5a" * 65_000)
    data = jpeg(frame=preview * 3 + segment(0xE1, b"Exif\0\0" + tiff(exif_tags=CLOCK)) + FRAME)
    photo = shot(data)
    assert (photo.width, photo.height) == (640, 480)
    assert moment(photo).year == 2018


@pytest.mark.parametrize("cut", [3, 20, 60, 100, 150, -30])
def test_cut_off_anywhere(shot, cut):
    photo = shot(jpeg(tiff({TAG["Make"]: text("SONY")}, CLOCK, dms(1, 2)))[:cut])
    assert "before its picture" in photo.error


@given(data=st.data())
@settings(max_examples=400)
def test_mutated_photos_never_raise_and_never_hang(data):
    sources = [path for path in sorted(PHOTOS.rglob("*.jpg")) if path.stat().st_size < 50_000]
    photo = bytearray(data.draw(st.sampled_from(sources)).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        at = min(int(data.draw(st.floats(0, 1)) ** 3 * len(photo)), len(photo) - 1)
        kind = data.draw(st.sampled_from(["byte", "cut", "insert", "ff"]))
        if kind == "byte":
            photo[at] = data.draw(st.integers(0, 255))
        elif kind == "ff":
            photo[at : at + 4] = b"\xff\xff\xff\xff"
        elif kind == "insert":
            photo[at:at] = data.draw(st.binary(max_size=20))
        elif at > 4:
            del photo[at:]
    with at_most():
        row = one_photo._photo("x.jpg", read_head(io.BytesIO(bytes(photo))), len(photo))
    assert row.lat is None or (abs(row.lat) <= 90 and abs(row.lon) <= 180)
    assert row.compass_angle is None or 0 <= row.compass_angle < 360
    assert row.exif_orientation in {None, *range(1, 9)}


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_any_bytes_as_exif(data):
    for start in (b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"):
        head = read_head(io.BytesIO(jpeg(start + data)))
        one_photo._photo("x.jpg", head, 0)


# Folders and processes


@pytest.fixture
def folders(tmp_path):
    source = (PHOTOS / "Fujifilm_FinePix_E500.jpg").read_bytes()
    names = ["b/2.JPG", "b/10.jpg", "a.jpeg", "z.jpg", "b/c/d.jpg", ".hidden.jpg", ".mlygeo/x.jpg", ".mapillary/logs/y.jpg",
             "ünïcode ☃.jpg", "new\nline.jpg", "note.txt", "b/raw.dng", "b/old.TIF"]  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(source)
    return tmp_path


def test_folders_in_a_stable_order(folders):
    images = read_photos(folders)
    found = [Path(path).relative_to(folders).as_posix() for path in images["path"]]
    assert found == ["a.jpeg", "new\nline.jpg", "z.jpg", "ünïcode ☃.jpg", "b/2.JPG", "b/10.jpg", "b/c/d.jpg"]
    assert images["error"].isna().all()
    assert (images["make"] == "FUJIFILM").all()
    assert images.attrs["left_out"] == {"hidden photos": 1, "pictures .dng": 1, "pictures .tif": 1}
    flat = read_photos(folders, skip_subfolders=True)
    assert [Path(path).name for path in flat["path"]] == ["a.jpeg", "new\nline.jpg", "z.jpg", "ünïcode ☃.jpg"]


def test_files_and_folders_together_each_once(folders, monkeypatch):
    monkeypatch.chdir(folders)
    images = read_photos([Path("z.jpg"), "b", str(folders / "z.jpg"), "missing.jpg"])
    assert [Path(path).name for path in images["path"]] == ["z.jpg", "2.JPG", "10.jpg", "d.jpg", "missing.jpg"]
    assert images["error"].notna().tolist() == [False] * 4 + [True]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).write_bytes(jpeg())
    (tmp_path / "fine.jpg").write_bytes(jpeg())
    images = read_photos(tmp_path).set_index("path")
    assert images.loc[str(tmp_path / "caf\\xe9.jpg"), "error"] == "its name is not UTF-8; rename the file"
    assert pd.isna(images.loc[str(tmp_path / "fine.jpg"), "error"])


@needs_unix("functions of Unix")
def test_a_file_without_rights_is_a_row(folders):
    if os.geteuid() == 0:
        code = (
            "import os, sys; os.setgid(65534); os.setuid(65534);"
            "from mlygeo.readers.photo import read_photo; print(read_photo(sys.argv[1]).error)"
        )
        (folders / "z.jpg").chmod(0)
        for parent in [folders, *folders.parents][:3]:
            parent.chmod(0o755)
        run = subprocess.run([sys.executable, "-c", code, str(folders / "z.jpg")], capture_output=True, text=True)
        if run.returncode == 0:
            assert "Permission denied" in run.stdout
    else:
        (folders / "z.jpg").chmod(0)
        assert "Permission denied" in read_photo(str(folders / "z.jpg")).error


def test_no_photos_and_no_folder(tmp_path):
    images = read_photos(tmp_path)
    assert len(images) == 0
    frames.check(images, frames.LOCAL_IMAGES)
    with pytest.raises(FileError, match="does not exist"):
        read_photos(tmp_path / "nowhere")
    with pytest.raises(InputError, match="`workers`"):
        read_photos(tmp_path, workers=0)


class Counting(Progress):
    """Counts what it is told."""

    def bar(self, label, *, total=None, unit=""):
        from contextlib import contextmanager

        self.total, self.done = total, 0

        @contextmanager
        def bar():
            yield self

        return bar()

    def advance(self, n=1):
        self.done += n


@pytest.fixture
def many(tmp_path):
    source = (PHOTOS / "DSC00001_cut.jpg").read_bytes()[:30_000]
    for number in range(60):
        folder = tmp_path / f"{number % 3}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number:03d}.jpg").write_bytes(source if number % 7 else b"rubbish")
    return tmp_path


def test_several_processes_give_the_same_frame(many, monkeypatch, caplog):
    monkeypatch.setattr("mlygeo.readers.photos.CHUNK", 9)
    alone, progress = read_photos(many), Counting()
    together = read_photos(many, workers=3, progress=progress)
    pd.testing.assert_frame_equal(pd.DataFrame(alone), pd.DataFrame(together))
    assert (progress.done, progress.total) == (60, 60)
    assert not caplog.records  # the processes read, and not this one in their place


def test_processes_that_die_lose_nothing(many, monkeypatch, caplog):
    monkeypatch.setattr(photos, "_COMMAND", "import os; os._exit(3)")
    paths, _ = find_photos(many)
    chunks = [paths[start : start + 10] for start in range(0, 60, 10)]
    answers = dict(photos.read_chunks(chunks, workers=2))
    assert [answers[number][0] for number in range(6)] == chunks
    assert "read in this one" in caplog.text


def test_a_script_without_a_main_guard_may_use_processes(many, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        f"print('once')\nimport mlygeo, mlygeo.readers.photos as e\ne.CHUNK = 9\n"
        f"print(len(mlygeo.read_photos({str(many)!r}, workers=2)))\n"
    )
    (tmp_path / "struct.py").write_text("raise SystemExit('a file beside the photos was imported')\n")
    (tmp_path / "elsewhere").mkdir()
    script = script.rename(tmp_path / "elsewhere" / "script.py")
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path)
    assert run.stdout.split() == ["once", "60"], run.stderr


def test_stopping_early_leaves_no_process(many):
    paths, _ = find_photos(many)
    chunks = [[path] for path in paths]
    answers = photos.read_chunks(chunks, workers=2)
    next(answers)
    answers.close()
    if sys.platform == "linux":
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        commands = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]
        assert not any(b"photo.serve" in command for command in commands)


def test_a_photo_takes_few_steps(tmp_path):
    """A thousand a second, on one core of some years ago."""
    source = PHOTOS / "DSC00001_cut.jpg"
    names = []
    for number in range(300):
        os.link(source, tmp_path / f"{number}.jpg") if source.stat().st_dev == tmp_path.stat().st_dev else (
            tmp_path / f"{number}.jpg"
        ).write_bytes(source.read_bytes())
        names.append(str(tmp_path / f"{number}.jpg"))
    with at_most(300 * 1500):
        one_photo.read_photos(names)


def test_coordinates_keep_every_digit(shot):
    rng = np.random.default_rng(4)
    for lat, lon in zip(rng.uniform(-90, 90, 50), rng.uniform(-180, 180, 50), strict=True):
        photo = shot(jpeg(tiff(gps=dms(lat, lon))))
        assert abs(photo.lat - lat) < 1e-10
        assert abs(photo.lon - lon) < 1e-10
