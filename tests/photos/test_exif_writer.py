"""EXIF in pictures: what is written is read back by other programs, and nothing else changes."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import random
import shutil
import stat
import struct
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from conftest import DATA
from helpers.exiftool_oracle import ExifTool
from helpers.unix import needs_symlinks, needs_unix
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from shapely import Point

from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.formats import jpeg as segments
from mlygeo.formats.exif import TABLE, Tags, json_comment
from mlygeo.photos import exif_writer
from mlygeo.photos.exif_writer import insert, recode, write_exif
from mlygeo.photos.tags import description_tags, picture_tags
from mlygeo.providers.mapillary.image_descriptions import image_description
from mlygeo.providers.mapillary.records import SAID_FIELDS

PHOTOS = DATA / "photos"
WHOLE = [
    PHOTOS / f"{name}.jpg"
    for name in (
        "Apple_iPhone_4_cut",  # _cut: whole but for its image data, of which 600 bytes are left
        "Canon_40D",
        "DSC00001_cut",
        "DSCN0010",
        "FujiFilm_FinePixS2Pro",
        "Fujifilm_FinePix_E500",
        "Nikon_D70",
        "Pentax_K10D",
        "Samsung_GT-I9000_Galaxy_S",
        "Sony_DSC-HX5V_2_cut",
        "Sony_HDR-HC3",
        "image01713",
        "long_description",
        "pano_ricoh_theta_cut",
    )
]
BROKEN = {
    "exif_gps_typeerror.jpg": "should point to GPS",
    "invalid-exif.jpg": "EXIF is damaged",
}
READABLE = [PHOTOS / "broken" / name for name in ("empty_gps_ifd.jpg", "exif_gps.jpg", "truncated_app14.jpg")]

RECORD = {
    "id": "1666317524185318",
    "sequence": "aE5o7bTMH0UtscOYxhVwID",
    "captured_at": 1720488258913,
    "compass_angle": 29.8789947498,
    "computed_compass_angle": 31.5,
    "is_pano": False,
    "creator": {"username": "someone", "id": "104948002204624"},
    "geometry": {"type": "Point", "coordinates": [9.1716206074, 48.7689435545]},
    "computed_geometry": {"type": "Point", "coordinates": [9.1716283793269, 48.768947523124]},
    "altitude": 314.1468356333,
    "computed_altitude": 2.6643041782,
    "make": "SONY",
    "model": "FDR-X1000V",
    "camera_parameters": [0.85136388143343, -6.6499673206348e-05, -3.8067681992196e-05],
    "exif_orientation": 6,
}

ALL_WRITTEN = set(TABLE)


@pytest.fixture(scope="session")
def exiftool():
    with ExifTool() as tool:
        yield tool


@pytest.fixture(scope="session")
def drawn():
    """A JPEG without EXIF, 400 by 200."""
    return drawn_jpeg(400, 200)


def drawn_jpeg(width, height, **options):
    noise = np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)
    written = BytesIO()
    Image.fromarray(noise).save(written, "JPEG", quality=70, **options)
    return written.getvalue()


def read(exiftool, tmp_path, jpeg, *arguments):
    path = tmp_path / "read.jpg"
    path.write_bytes(jpeg)
    return exiftool.read(path, *arguments)


def pixels_of(jpeg):
    return np.asarray(Image.open(BytesIO(jpeg)).convert("RGB"))


def distance_m(lon, lat, other_lon, other_lat):
    from pyproj import Geod

    return abs(Geod(ellps="WGS84").inv(lon, lat, other_lon, other_lat)[2])


# What is written, as other programs read it


def test_a_record_of_the_service_as_exiftool_reads_it(exiftool, tmp_path, drawn):
    found = read(exiftool, tmp_path, insert(drawn, picture_tags(RECORD)))
    assert (
        distance_m(found["Composite:GPSLongitude"], found["Composite:GPSLatitude"], 9.1716206074, 48.7689435545) < 1e-3
    )
    expected = {
        "Composite:GPSAltitude": 314.147,
        "Composite:GPSDateTime": "2024:07:09 01:24:18.913Z",
        "Composite:SubSecDateTimeOriginal": "2024:07:09 03:24:18.913+02:00",
        "Composite:SubSecCreateDate": "2024:07:09 03:24:18.913+02:00",
        "GPS:GPSImgDirection": 29.879,
        "GPS:GPSImgDirectionRef": "T",
        "GPS:GPSMapDatum": "WGS-84",
        "IFD0:Make": "SONY",
        "IFD0:Model": "FDR-X1000V",
        "IFD0:Artist": "someone",
        "IFD0:Copyright": "Mapillary contributor someone, CC BY-SA 4.0, https://creativecommons.org/licenses/by-sa/4.0/",
        "ExifIFD:ExifImageWidth": 400,
        "ExifIFD:ExifImageHeight": 200,
        "ExifIFD:FocalLengthIn35mmFormat": 31,
        "ExifIFD:FocalLength": pytest.approx(0.85136388143343 * 36, abs=1e-4),
    }
    assert {name: found.get(name) for name in expected} == expected
    assert "IFD0:Orientation" not in found, "pictures are delivered upright"
    assert not [name for name in found if name.startswith("XMP")]
    assert "ExifTool:Warning" not in found
    # The focal length in pixels, as a program of photogrammetry works it out.
    focal_px = found["ExifIFD:FocalLength"] / 10 * found["ExifIFD:FocalPlaneXResolution"]
    assert focal_px == pytest.approx(RECORD["camera_parameters"][0] * 400, rel=1e-5)


def test_all_that_the_service_says_is_json_in_the_user_comment(exiftool, tmp_path, drawn):
    record = RECORD | {
        "organization": {"id": "7"},
        "mesh": {"id": "903987176835273", "url": "https://scontent.example/m1/v/mesh?oh=00_AY&oe=66F0C180"},
        "sfm_cluster": {"id": "306951457725231", "url": "https://example.org/cluster"},
        "atomic_scale": 0.97891115347587,
        "merge_cc": 4.546427159383e18,
        "quality_score": 0.7561310782241,
        "camera_type": "perspective",
        "computed_rotation": [1.3642214091955, -0.0019509766093401, 0.035317244081076],
        "width": 4160,
        "height": 3120,
        "thumb_original_url": "https://scontent.example/m1/v/picture.jpg?oe=66F0C180",
    }
    found = read(exiftool, tmp_path, insert(drawn, picture_tags(record, computed=True)))
    assert json.loads(found["ExifIFD:UserComment"]) == {
        **{name: value for name, value in record.items() if name != "thumb_original_url"},
        "mesh": {"id": "903987176835273"},  # a signed address expires, and lets who holds it in
        "computed": ["position", "heading"],
    }


def test_the_computed_altitude_is_in_the_json_alone(exiftool, tmp_path, drawn):
    """It counts from the ground of the reconstruction: 2.7 m where the place lies 314 m above the sea."""
    found = read(exiftool, tmp_path, insert(drawn, picture_tags(RECORD, computed=True)))
    assert (
        distance_m(found["Composite:GPSLongitude"], found["Composite:GPSLatitude"], 9.1716283793269, 48.768947523124)
        < 1e-3
    )
    assert (found["Composite:GPSAltitude"], found["GPS:GPSImgDirection"]) == (314.147, 31.5)
    assert json.loads(found["ExifIFD:UserComment"])["computed_altitude"] == 2.6643041782
    without = {name: value for name, value in RECORD.items() if name != "altitude"}
    assert "GPSAltitude" not in picture_tags(without, computed=True).exif, "unknown is better than wrong"


def test_computed_values_are_taken_where_there_are_such(exiftool, tmp_path, drawn):
    without = {name: value for name, value in RECORD.items() if not name.startswith("computed")}
    found = read(exiftool, tmp_path, insert(drawn, picture_tags(without, computed=True)))
    assert found["GPS:GPSImgDirection"] == 29.879
    assert "computed" not in json.loads(found["ExifIFD:UserComment"])


def test_a_long_comment_goes_before_the_file_does_and_says_what_it_lacks(exiftool, tmp_path, drawn):
    record = RECORD | {"detections": {"data": [{"id": str(number)} for number in range(6000)]}}
    for jpeg in (drawn, with_exif(drawn, description=b"x" * 63_500)):
        once = insert(jpeg, picture_tags(record))
        said = json.loads(read(exiftool, tmp_path, once)["ExifIFD:UserComment"])
        assert said["left_out"][0] == "detections"
        assert said["id"] == RECORD["id"]
        assert {*said, *said["left_out"]} >= {*RECORD}
        assert insert(once, picture_tags(record)) == once


@given(
    values=st.dictionaries(st.sampled_from(sorted(SAID_FIELDS)), st.one_of(
        st.floats(), st.integers(), st.text().filter(lambda text: "thumb" not in text), st.booleans(), st.none(),
        st.lists(st.floats(), max_size=3),
        st.dictionaries(st.text(max_size=3), st.floats(), max_size=2), st.just(pd.NA), st.just(np.float64("nan")),
    ))
)  # fmt: skip
@settings(deadline=None)
def test_whatever_the_service_says_is_json_or_refused(values):
    try:
        tags = picture_tags({"id": 1} | values)
    except InputError:
        return
    text = json.dumps(tags.comment, allow_nan=False)
    assert json.loads(text) == tags.comment
    assert "thumb" not in text


def test_zero_is_a_value(exiftool, tmp_path, drawn):
    zero = RECORD | {"compass_angle": 0, "altitude": 0.0, "captured_at": 0}
    found = read(exiftool, tmp_path, insert(drawn, picture_tags(zero)))
    assert found["GPS:GPSImgDirection"] == 0
    assert found["GPS:GPSAltitude"] == 0
    assert found["Composite:GPSDateTime"] == "1970:01:01 00:00:00Z"
    computed_zero = picture_tags(RECORD | {"computed_compass_angle": 0.0, "computed_altitude": 0.0}, computed=True)
    assert computed_zero.exif["GPSImgDirection"] == ((0, 10_000),)
    assert computed_zero.comment["computed_altitude"] == 0


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT, np.datetime64("NaT", "us")])
def test_what_is_unknown_is_not_written(missing):
    tags = picture_tags(dict.fromkeys(RECORD, missing) | {"is_pano": missing}, computed=True)
    assert tags.exif == {}, "nothing is claimed of an image that nobody knows"
    assert tags.statement is None
    assert tags.comment is None
    assert tags.panorama is None
    assert picture_tags({}).exif == tags.exif


def test_a_position_of_zero_zero_or_off_the_globe_is_none():
    for lonlat in ([0, 0], [0.0, -0.0], [181, 10], [10, 91], [float("nan"), 1]):
        tags = picture_tags({"geometry": {"type": "Point", "coordinates": lonlat}})
        assert "GPSLatitude" not in tags.exif, lonlat
    assert "GPSLatitude" in picture_tags({"geometry": Point(0, 51.5)}).exif


def test_a_row_of_a_frame_says_the_same_as_the_record():
    import geopandas as gpd

    from mlygeo import frames

    row = {
        "id": 1666317524185318,
        "sequence_id": RECORD["sequence"],
        "captured_at": pd.Timestamp(RECORD["captured_at"], unit="ms", tz="UTC"),
        "compass_angle": RECORD["compass_angle"],
        "is_pano": False,
        "creator_id": 104948002204624,
        "creator_username": "someone",
        "organization_id": pd.NA,
        "computed_geometry": Point(*RECORD["computed_geometry"]["coordinates"]),
        "camera_parameters": np.array(RECORD["camera_parameters"]),
        "exif_orientation": RECORD["exif_orientation"],
        **{name: RECORD[name] for name in ("altitude", "computed_altitude", "computed_compass_angle", "make", "model")},
    }
    frame = gpd.GeoDataFrame([row], geometry=[Point(*RECORD["geometry"]["coordinates"])], crs=4326)
    (image,) = frames.conform(frame, frames.IMAGES).to_dict("records")
    for computed in (False, True):
        assert picture_tags(image, computed=computed) == picture_tags(RECORD, computed=computed)


def test_altitudes_below_zero_also_as_the_service_has_sent_them(exiftool, tmp_path, drawn):
    for altitude, expected in [(-15, -15), (4294967281, -15), (-430.5, -430.5), (8848.86, 8848.86), (-0.0004, 0)]:
        found = read(exiftool, tmp_path, insert(drawn, picture_tags({"altitude": altitude})))
        assert found["Composite:GPSAltitude"] == pytest.approx(expected, abs=5e-4), altitude


def test_the_word_none_is_no_maker():
    assert not {"Make", "Model"} & set(picture_tags(RECORD | {"make": "none", "model": " None "}).absent)


@pytest.mark.parametrize(
    ("place", "utc", "local"),
    [
        ((9.17, 48.77), "2024-07-09T01:24:18.913", "2024:07:09 03:24:18.913+02:00"),  # summer time
        ((9.17, 48.77), "2024-01-09T23:30:00.000", "2024:01:10 00:30:00.000+01:00"),
        ((77.59, 12.97), "2024-01-01T00:00:00.001", "2024:01:01 05:30:00.001+05:30"),
        ((85.32, 27.72), "2024-01-01T00:00:00.010", "2024:01:01 05:45:00.010+05:45"),  # Nepal
        ((-52.71, 47.56), "2024-07-01T00:00:00.999", "2024:06:30 21:30:00.999-02:30"),  # Newfoundland
        ((-3.70, 40.42), "2024-07-01T12:00:00.000", "2024:07:01 14:00:00.000+02:00"),  # Spain, by longitude 0
        ((-110.93, 32.22), "2024-07-01T12:00:00.000", "2024:07:01 05:00:00.000-07:00"),  # Arizona: no summer time
        ((87.62, 43.82), "2024-07-01T12:00:00.000", "2024:07:01 20:00:00.000+08:00"),
        ((-176.55, -43.95), "2024-01-01T00:00:00.000", "2024:01:01 13:45:00.000+13:45"),  # Chatham
        ((30.0, 0.0), "1969-12-31T23:59:59.999", None),
    ],
)
def test_the_time_is_that_of_the_place(exiftool, tmp_path, drawn, place, utc, local):
    time = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    found = read(exiftool, tmp_path, insert(drawn, picture_tags({"geometry": Point(*place), "captured_at": time})))
    assert moment(found["Composite:GPSDateTime"]) == time
    if local is not None and place != (87.62, 43.82):  # two zones overlap in Xinjiang
        assert found["Composite:SubSecDateTimeOriginal"] == local
    assert moment(found["Composite:SubSecDateTimeOriginal"]) == time


def moment(text):
    """Return a time as ExifTool writes it, which leaves out thousandths that are none."""
    date, _, time = text.partition(" ")
    return datetime.fromisoformat(f"{date.replace(':', '-')} {time}")


def test_a_time_in_any_form():
    expected = picture_tags({"captured_at": 1720488258913}).exif
    for form in (
        "1720488258913",
        "2024-07-09T01:24:18.913Z",
        "2024-07-09T03:24:18.913+02:00",
        1720488258913.0,
        np.int64(1720488258913),
        np.datetime64(1720488258913, "ms"),
        pd.Timestamp("2024-07-09T01:24:18.913999Z"),
        datetime(2024, 7, 9, 1, 24, 18, 913000),
    ):
        assert picture_tags({"captured_at": form}).exif == expected, form


def test_a_time_beyond_the_calendar_is_not_written():
    assert "DateTimeOriginal" not in picture_tags({"captured_at": 10**18}).exif
    early = picture_tags({"captured_at": -62_135_596_800_000, "geometry": Point(-170, 60)}).exif
    assert early["GPSDateStamp"] == "0001:01:01"
    assert early["DateTimeOriginal"] == "0001:01:01 00:00:00"


@pytest.mark.parametrize(
    "record",
    [
        {"captured_at": "yesterday"},
        {"captured_at": [1]},
        {"captured_at": 1.5e300},
        {"altitude": "high"},
        {"geometry": {"type": "Point", "coordinates": ["x", 1]}},
        {"geometry": {"coordinates": None}},
        {"geometry": "POINT (1 2)"},
        {"compass_angle": {"a": 1}},
        {"camera_parameters": ["f", 1, 2]},
        {"id": 1.5},
        {"altitude": 10**400},
    ],
)
def test_records_of_the_wrong_shape_are_input_errors(record):
    with pytest.raises(InputError):
        picture_tags(record)


@pytest.mark.parametrize("parameters", [[], None, "x", [0, 0, 0], [float("nan")], [-1], {"f": 1}, float("nan")])
def test_camera_parameters_that_say_nothing(parameters):
    assert "FocalLength" not in picture_tags({"camera_parameters": parameters}).exif


# Panoramas


@pytest.mark.parametrize(
    ("size", "full", "left", "top"),
    [((400, 200), (400, 200), 0, 0), ((400, 100), (400, 200), 0, 50), ((300, 200), (400, 200), 50, 0)],
)
def test_panoramas_are_marked_for_viewers(exiftool, tmp_path, size, full, left, top):
    for record in ({"is_pano": True, "compass_angle": 0}, {"camera_type": "equirectangular", "compass_angle": -360}):
        jpeg = insert(drawn_jpeg(*size), picture_tags(record))
        found = read(exiftool, tmp_path, jpeg, "-XMP-GPano:all")
        del found["SourceFile"]
        assert {name.removeprefix("XMP-GPano:"): value for name, value in found.items()} == {
            "UsePanoramaViewer": True,
            "ProjectionType": "equirectangular",
            "FullPanoWidthPixels": full[0],
            "FullPanoHeightPixels": full[1],
            "CroppedAreaImageWidthPixels": size[0],
            "CroppedAreaImageHeightPixels": size[1],
            "CroppedAreaLeftPixels": left,
            "CroppedAreaTopPixels": top,
            "PoseHeadingDegrees": 0,
        }
        assert insert(jpeg, picture_tags(record)) == jpeg


def test_a_panorama_has_no_focal_length():
    assert "FocalLength" not in picture_tags(RECORD | {"is_pano": True}).exif


def test_xmp_that_is_there_is_added_to(exiftool, tmp_path):
    for path in [path for path in WHOLE if b"http://ns.adobe.com/xap/1.0/" in path.read_bytes()]:
        before = exiftool.dump(path)
        after_path = tmp_path / path.name
        after_path.write_bytes(insert(path.read_bytes(), picture_tags({"is_pano": True, "compass_angle": 12.5})))
        after = exiftool.dump(after_path)
        xmp = {name: value for name, value in before.items() if name.startswith("XMP")}
        assert {name: after.get(name) for name in xmp} == xmp, path.name
        assert after["XMP-GPano:PoseHeadingDegrees"] == [12.5]
        assert after["XMP-GPano:ProjectionType"] == ["equirectangular"]


def test_what_a_stitcher_said_of_the_sphere_stays_and_the_heading_is_set(exiftool, tmp_path):
    path = PHOTOS / "pano_ricoh_theta_cut.jpg"
    before = {name: value for name, value in exiftool.dump(path).items() if name.startswith("XMP-GPano")}
    tags = picture_tags({"is_pano": True, "compass_angle": 77})
    once = insert(path.read_bytes(), tags)
    twice = insert(once, picture_tags({"is_pano": True, "compass_angle": 78.25}))
    found = {
        name: value for name, value in read(exiftool, tmp_path, twice, "-a").items() if name.startswith("XMP-GPano")
    }
    assert found.pop("XMP-GPano:PoseHeadingDegrees") == 78.25
    assert {name: [value] for name, value in found.items()} == before


def test_gpano_as_elements_under_another_prefix(exiftool, tmp_path, drawn):
    packet = textwrap.dedent("""\
        <x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
        <r:Description r:about="uuid:1" xmlns:p="http://ns.google.com/photos/1.0/panorama/">
        <p:PoseHeadingDegrees>5</p:PoseHeadingDegrees><p:FullPanoWidthPixels>1000</p:FullPanoWidthPixels>
        </r:Description></r:RDF></x:xmpmeta>""")
    jpeg = with_segment(drawn, segments.APP1, segments.XMP_NAME + packet.encode())
    found = read(exiftool, tmp_path, insert(jpeg, picture_tags({"is_pano": True, "compass_angle": 6})), "-a")
    assert found["XMP-GPano:PoseHeadingDegrees"] == 6
    assert found["XMP-GPano:FullPanoWidthPixels"] == 1000
    assert found["XMP-GPano:CroppedAreaImageWidthPixels"] == 400
    assert "ExifTool:Warning" not in found


@pytest.mark.parametrize(
    "packet",
    [
        b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>",
        b"\xff\xfe<\0x\0",
        b"<a/>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    ],
)
def test_damaged_xmp_is_reported_where_it_would_have_to_change(drawn, packet):
    jpeg = with_segment(drawn, segments.APP1, segments.XMP_NAME + packet)
    with pytest.raises(FormatError, match="XMP"):
        insert(jpeg, picture_tags(RECORD | {"is_pano": True}))
    assert packet in insert(jpeg, picture_tags(RECORD))


def with_segment(jpeg, marker, payload, *, at=2):
    return jpeg[:at] + struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload + jpeg[at:]


# Laws over all values


@pytest.fixture(scope="session")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("exif") / "a.jpg"


SMALL = drawn_jpeg(16, 8)

images = st.fixed_dictionaries(
    {
        "geometry": st.builds(Point, st.floats(-180, 180), st.floats(-90, 90)).filter(lambda p: (p.x, p.y) != (0, 0)),
        "altitude": st.floats(-11_000, 2_000_000),
        "captured_at": st.integers(-2_208_988_800_000, 4_102_444_800_000),
        "compass_angle": st.floats(-720, 720),
    }
)
EXTREMES = [
    {"geometry": Point(x, y), "altitude": z, "captured_at": t, "compass_angle": h}
    for x, y, z, t, h in [
        (180.0, 90.0, -10_994.0, 951_782_399_999, 359.99999999),  # the second before a 29 February
        (-180.0, -90.0, 1_999_999.999, 1_709_164_800_000, -1e-12),
        (
            9.999999999999998,
            47.99999999999999,
            0.0005,
            1_711_846_800_000,
            360.0,
        ),  # rounds to full minutes; clocks change
        (-0.000001, 0.000001, -0.001, 1_729_990_799_999, 720.0),
    ]
]


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(image=images)
@example(image=EXTREMES[0])
@example(image=EXTREMES[1])
@example(image=EXTREMES[2])
@example(image=EXTREMES[3])
def test_what_is_written_is_what_exiftool_and_pillow_read(exiftool, scratch, image):
    written = insert(SMALL, picture_tags(image))
    scratch.write_bytes(written)
    found = exiftool.read(scratch, "-Composite:all", "-GPS:all")
    lon, lat = image["geometry"].x, image["geometry"].y
    assert distance_m(found["Composite:GPSLongitude"], found["Composite:GPSLatitude"], lon, lat) < 1e-3
    assert found["Composite:GPSAltitude"] == pytest.approx(image["altitude"], abs=5.1e-4)
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=image["captured_at"])
    assert moment(found["Composite:SubSecDateTimeOriginal"]) == time
    assert moment(found["Composite:GPSDateTime"]) == time
    assert 0 <= found["GPS:GPSImgDirection"] < 360
    off = (found["GPS:GPSImgDirection"] - image["compass_angle"] + 180) % 360 - 180
    assert abs(off) < 1e-4

    gps = Image.open(BytesIO(written)).getexif().get_ifd(0x8825)
    for reference, tag, expected in (("N", 2, lat), ("E", 4, lon)):
        degrees, minutes, seconds = map(float, gps[tag])
        assert minutes < 60
        assert seconds < 60
        sign = 1 if gps[tag - 1] == reference else -1
        assert sign * (degrees + minutes / 60 + seconds / 3600) == pytest.approx(expected, abs=1e-10)
    assert np.array_equal(pixels_of(written), pixels_of(SMALL))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(first=images, second=images, name=st.text(max_size=30), path=st.sampled_from(WHOLE))
def test_writing_again_replaces_and_does_not_grow(first, second, name, path):
    jpeg = path.read_bytes()
    first, second = (
        picture_tags(first | {"creator_username": "x" * 30}),
        picture_tags(second | {"creator_username": name}),
    )
    once = insert(jpeg, first)
    assert insert(once, first) == once
    over = insert(once, second)
    assert insert(over, second) == over
    back = insert(insert(over, first), second)
    longer = 200 + max(len(json_comment(tags.comment or {})) for tags in (first, second))
    assert len(back) <= len(over) + 2 * longer, "only a longer name or comment needs another place"
    assert len(insert(once, first | Tags(exif={"GPSImgDirection": ((1, 1),)}))) == len(once)


@settings(max_examples=300)
@given(data=st.data())
def test_no_bytes_make_it_crash(data):
    path = data.draw(st.sampled_from([path for path in [*WHOLE, *READABLE] if path.stat().st_size < 60_000]))
    jpeg = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        # Mostly the structures: markers, directories, pointers.
        place = data.draw(st.one_of(st.integers(0, 300), st.integers(0, len(jpeg) - 1)).filter(lambda p: p < len(jpeg)))
        jpeg[place] = data.draw(st.integers(0, 255))
    broken = bytes(jpeg[: data.draw(st.one_of(st.just(len(jpeg)), st.integers(0, len(jpeg))))])
    tags = picture_tags(RECORD | {"is_pano": data.draw(st.booleans())})
    try:
        written = insert(broken, tags)
    except FormatError:
        return
    old, new = segments.layout(broken), segments.layout(written)
    assert broken[old.scan :] == written[new.scan :]
    assert insert(written, tags) == written or len(insert(written, tags)) > len(written)


# Everything else stays


@pytest.mark.parametrize("path", [*WHOLE, *READABLE], ids=lambda path: path.name)
def test_all_else_stays_as_exiftool_reads_it(exiftool, tmp_path, path):
    jpeg = path.read_bytes()
    written = insert(jpeg, picture_tags(RECORD))
    after_path = tmp_path / path.name
    after_path.write_bytes(written)
    before, after = exiftool.dump(path), exiftool.dump(after_path)
    names = {name for name in before.keys() | after.keys() if name.rpartition(":")[2] not in ALL_WRITTEN}
    changed = {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}
    moved = changed.pop("MPImage2:MPImageStart", None)  # told from the start of the file
    assert changed == {}
    assert moved is None or moved[1][0] - moved[0][0] == len(written) - len(jpeg)
    assert before.get("IFD0:Make", ["SONY"]) == after["IFD0:Make"], "the maker notes are read by it"
    assert after["GPS:GPSLatitude"] == [pytest.approx(48.7689435545, abs=1e-9)]

    old, new = segments.layout(jpeg), segments.layout(written)
    assert jpeg[old.scan :] == written[new.scan :]
    others = [
        [s.marker, segments.payload(j, s)] for j, layout in ((jpeg, old),) for s in layout.segments if not is_exif(j, s)
    ]
    assert others == [[s.marker, segments.payload(written, s)] for s in new.segments if not is_exif(written, s)]


def is_exif(jpeg, segment):
    return segment.marker == segments.APP1 and jpeg.startswith(segments.EXIF_NAME, segment.start + 4)


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.name)
def test_maker_notes_thumbnail_and_profile_keep_their_bytes_and_places(path):
    old, new = path.read_bytes(), insert(path.read_bytes(), picture_tags(RECORD) | description_tags(RECORD))
    for tag, length in (("makernote", None), ("thumbnail", 0x0202)):
        before, after = find(old, tag, length), find(new, tag, length)
        assert before == after, tag
    assert Image.open(BytesIO(old)).info.get("icc_profile") == Image.open(BytesIO(new)).info.get("icc_profile")


def find(jpeg, what, length_tag):
    """Return offset and bytes of maker notes or thumbnail, with a reader of the test's own."""
    at = jpeg.find(b"Exif\0\0")
    if at < 0:
        return None
    tiff = jpeg[at + 6 :]
    order = "<" if tiff[:2] == b"II" else ">"

    def entries(offset):
        (count,) = struct.unpack_from(f"{order}H", tiff, offset)
        rows = [struct.unpack_from(f"{order}HHII", tiff, offset + 2 + 12 * number) for number in range(count)]
        return {row[0]: row for row in rows}, struct.unpack_from(f"{order}I", tiff, offset + 2 + 12 * count)[0]

    first, following = entries(struct.unpack_from(f"{order}I", tiff, 4)[0])
    if what == "makernote":
        if 0x8769 not in first or 0x927C not in (exif := entries(first[0x8769][3])[0]):
            return None
        _, _, size, offset = exif[0x927C]
    else:
        thumb = entries(following)[0] if following else {}
        if 0x0201 not in thumb or length_tag not in thumb:
            return None
        offset, size = thumb[0x0201][3], thumb[length_tag][3]
    return offset, tiff[offset : offset + size]


def test_the_samples_have_what_they_are_to_show():
    assert sum(find(path.read_bytes(), "makernote", None) is not None for path in WHOLE) >= 5
    assert sum(find(path.read_bytes(), "thumbnail", 0x0202) is not None for path in WHOLE) >= 5
    assert sum(b"ICC_PROFILE" in path.read_bytes() for path in WHOLE) >= 2


@pytest.mark.parametrize("index_first", [False, True])
def test_further_pictures_are_found_where_the_index_says(index_first):
    jpeg, second = (PHOTOS / "DSC00001_cut.jpg").read_bytes(), (PHOTOS / "Sony_HDR-HC3.jpg").read_bytes()
    if index_first:
        found = segments.layout(jpeg)
        (index,) = segments.named(jpeg, found, segments.APP2, segments.MPF_NAME)
        (exif,) = segments.named(jpeg, found, segments.APP1, segments.EXIF_NAME)
        assert exif.end == index.start
        jpeg = (
            jpeg[:2]
            + moved_index(jpeg[index.start : index.end], exif.end - exif.start)
            + jpeg[2 : exif.end]
            + jpeg[index.end :]
        )
    for picture in (jpeg, insert(jpeg, picture_tags(RECORD)), insert(jpeg, picture_tags(RECORD | {"is_pano": True}))):
        with Image.open(BytesIO(picture)) as several:
            assert several.format == "MPO"
            several.seek(1)
            assert np.array_equal(np.asarray(several.convert("RGB")), pixels_of(second))
        assert picture.endswith(second)


def moved_index(index, by):
    changed = bytearray(index)
    base = 4 + len(segments.MPF_NAME)
    (offset,) = struct.unpack_from("<I", changed, base + 0x32 + 16 + 8)
    struct.pack_into("<I", changed, base + 0x32 + 16 + 8, offset + by)
    return bytes(changed)


def test_extended_xmp_comments_and_what_follows_the_picture_stay(drawn):
    extended = b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32 + struct.pack(">II", 4, 0) + b"<a/>"
    jpeg = with_segment(with_segment(drawn, segments.APP1, extended, at=20), 0xFE, b"a comment", at=20) + b"trailer" * 9
    written = insert(jpeg, picture_tags(RECORD | {"is_pano": True}))
    assert extended in written
    assert b"a comment" in written
    assert written.endswith(b"trailer" * 9)


def test_bytes_between_segments_stay(drawn):
    jpeg = drawn[:20] + b"\xff\xff\xff" + drawn[20:]  # fill bytes, as the standard allows
    assert insert(jpeg, picture_tags(RECORD)).count(b"\xff\xff\xff\xff") == jpeg.count(b"\xff\xff\xff\xff")
    jpeg = drawn[:20] + b"?\0" + drawn[20:]  # what a camera has left there
    written = insert(jpeg, picture_tags(RECORD))
    assert b"?\0" + drawn[20:] == written[-len(drawn[20:]) - 2 :]


def test_jfif_stays_first(drawn):
    written = insert(drawn, picture_tags(RECORD))
    found = segments.layout(written).segments
    assert written[found[0].start + 4 :].startswith(b"JFIF\0")
    assert written[found[1].start + 4 :].startswith(b"Exif\0\0")


# What cannot be written


@pytest.mark.parametrize(("name", "reason"), BROKEN.items())
def test_broken_exif_is_reported_and_the_file_left_alone(tmp_path, name, reason):
    path = tmp_path / name
    shutil.copy(PHOTOS / "broken" / name, path)
    before = path.read_bytes()
    with pytest.raises(FormatError, match=f"{name}: .*{reason}"):
        write_exif(path, picture_tags(RECORD))
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"<html>",
        b"GARBAGE\xff\xd8\xff\xe0",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xda\0\x02",
        b"\xff\xd8\xff\xe1\xff\xff",
        b"\xff\xd8\xff\xe1\0\0\xff\xda",
    ],
)
def test_what_is_no_jpeg(data):
    with pytest.raises(FormatError):
        insert(data, picture_tags(RECORD))


def test_exif_that_would_not_fit(tmp_path, drawn):
    full = with_exif(drawn, description=b"x" * 64_900)
    with pytest.raises(FormatError, match="65,533"):
        insert(full, picture_tags(RECORD))
    with pytest.raises(FormatError, match="65,533"):
        insert(drawn, Tags(exif={"ImageDescription": "y" * 70_000}))
    # What fits into the place of the old value, fits.
    assert b"z" * 64_000 in insert(full, Tags(exif={"ImageDescription": "z" * 64_000}))


def with_exif(jpeg, *, description):
    tiff = struct.pack(">2sHIHHHIII", b"MM", 42, 8, 1, 0x010E, 2, len(description) + 1, 26, 0) + description + b"\0"
    return with_segment(jpeg, segments.APP1, b"Exif\0\0" + tiff)


def test_exif_over_several_segments_is_not_extended(drawn):
    jpeg = with_segment(
        with_segment(drawn, segments.APP1, b"Exif\0\0" + b"more of it"), segments.APP1, b"Exif\0\0MM\0*" + bytes(9)
    )
    with pytest.raises(FormatError, match="several segments"):
        insert(jpeg, picture_tags(RECORD))


@pytest.mark.parametrize("order", ["II", "MM"])
def test_values_that_share_a_place_are_not_overwritten(drawn, order):
    """Two tags of one value: the one that is written gets a place of its own."""
    o = "<" if order == "II" else ">"
    entry = lambda tag: struct.pack(f"{o}HHII", tag, 2, 20, 38)
    head = (b"II*\0" if order == "II" else b"MM\0*") + struct.pack(f"{o}IH", 8, 2)
    tiff = head + entry(0x010E) + entry(0x013B) + bytes(4) + b"the value of both..\0"
    jpeg = with_segment(drawn, segments.APP1, b"Exif\0\0" + tiff)
    exif = Image.open(BytesIO(insert(jpeg, Tags(exif={"ImageDescription": "new, and long"})))).getexif()
    assert exif[0x010E] == "new, and long"
    assert exif[0x013B] == "the value of both.."


# The image description


def test_the_image_description_as_mapillary_reads_it(exiftool, tmp_path, drawn):
    row = {
        "geometry": Point(9.1716206074, 48.7689435545),
        "captured_at": pd.Timestamp("2024-07-09 01:24:18.013", tz="UTC"),
        "compass_angle": 361.5,
        "altitude": -3.25,
        "sequence_id": "abc",
        "make": "Größe",
        "model": pd.NA,
        "exif_orientation": np.int64(3),
        "private": np.bool_(False),
        "meta_tags": '{"strings": [{"key": "a", "value": "b"}]}',
        "user_name": "someone",
        "path": "/a/b.jpg",
    }
    found = read(exiftool, tmp_path, insert(drawn, description_tags(row)))
    assert json.loads(found["IFD0:ImageDescription"]) == {
        "MAPLatitude": 48.7689435545,
        "MAPLongitude": 9.1716206074,
        "MAPCaptureTime": "2024_07_09_01_24_18_013",
        "MAPAltitude": -3.25,
        "MAPCompassHeading": {"TrueHeading": 1.5, "MagneticHeading": 1.5},
        "MAPSequenceUUID": "abc",
        "MAPOrientation": 3,
        "MAPDeviceMake": "Größe",
        "MAPPrivate": False,
        "MAPMetaTags": {"strings": [{"key": "a", "value": "b"}]},
        "MAPSettingsUsername": "someone",
    }
    assert not [
        name for name in found if name.startswith("GPS:") or "DateTimeOriginal" in name or "Orientation" in name
    ]


def test_a_description_of_ones_own(drawn):
    written = insert(drawn, description_tags({}, description={"MAPFilename": "ä"}))
    assert json.loads(Image.open(BytesIO(written)).getexif()[0x010E]) == {"MAPFilename": "ä"}
    with pytest.raises(InputError, match="JSON"):
        description_tags({}, description={"MAPAltitude": float("nan")})


def test_no_description_without_position_and_time():
    with pytest.raises(InputError, match="unknown: position, capture time"):
        image_description({"geometry": Point(0, 0), "captured_at": pd.NaT})


@pytest.mark.parametrize(
    ("overwrite", "groups"),
    [
        ((), set()),
        (("time",), {"time"}),
        (("gps",), {"gps"}),
        (("direction",), {"direction"}),
        (("orientation",), {"orientation"}),
        (("all",), {"time", "gps", "direction", "orientation"}),
    ],
)
def test_which_tags_are_overwritten(exiftool, tmp_path, overwrite, groups):
    path = PHOTOS / "DSCN0010.jpg"
    row = {
        "geometry": Point(-70.5, -33.25),
        "captured_at": 1720488258913,
        "compass_angle": 0,
        "altitude": -1,
        "exif_orientation": 6,
    }
    before = exiftool.read(path)
    after = read(exiftool, tmp_path, insert(path.read_bytes(), description_tags(row, overwrite=overwrite)))
    expected = {
        "time": {
            "Composite:GPSDateTime": "2024:07:09 01:24:18.913Z",
            "Composite:SubSecDateTimeOriginal": "2024:07:08 21:24:18.913-04:00",
        },
        "gps": {"Composite:GPSLatitude": -33.25, "Composite:GPSLongitude": -70.5, "Composite:GPSAltitude": -1},
        "direction": {"GPS:GPSImgDirection": 0, "GPS:GPSImgDirectionRef": "T"},
        "orientation": {"IFD0:Orientation": 6},
    }
    for group, values in expected.items():
        for name, value in values.items():
            assert after.get(name) == (value if group in groups else before.get(name)), name
    assert after["IFD0:Make"] == before["IFD0:Make"]


# The clock that the camera showed, and the capture time

SHOT = {"DateTimeOriginal": "2024:07:09 12:00:00"}
SUBSEC = SHOT | {"SubSecTimeOriginal": "25"}
ZONED = SUBSEC | {"OffsetTimeOriginal": "+02:00"}
STUTTGART = (9.17, 48.77)
TOKYO = (139.7, 35.7)


def stamp(text):
    """GPS date and time stamps."""
    time = datetime.fromisoformat(text)
    return {
        "GPSDateStamp": f"{time:%Y:%m:%d}",
        "GPSTimeStamp": ((time.hour, 1), (time.minute, 1), (time.second * 1000 + time.microsecond // 1000, 1000)),
    }


def with_tags(jpeg, values):
    return insert(jpeg, Tags(exif=values)) if values else jpeg


@pytest.mark.parametrize(
    ("there", "utc", "place", "original", "digitized"),
    [
        # What the picture tells itself: the clock stays, with the offset that makes it right.
        (SHOT, "2024-07-09T12:00:00", STUTTGART, "2024:07:09 12:00:00+00:00", None),
        (SHOT, "2024-07-09T10:00:00", STUTTGART, "2024:07:09 12:00:00+02:00", None),
        (SHOT | stamp("2024-07-09T10:00:00"), "2024-07-09T10:00:00", TOKYO, "2024:07:09 12:00:00+02:00", None),
        (SHOT | stamp("2024-07-09T10:00:00"), "2024-07-09T10:00:00", None, "2024:07:09 12:00:00+02:00", None),
        (SHOT | stamp("2024-07-09T06:15:00"), "2024-07-09T06:15:00", None, "2024:07:09 12:00:00+05:45", None),
        (SHOT | stamp("2024-07-09T15:30:00"), "2024-07-09T15:30:00", None, "2024:07:09 12:00:00-03:30", None),
        (SUBSEC | stamp("2024-07-09T10:00:00"), "2024-07-09T10:00:00.250", TOKYO, "2024:07:09 12:00:00.25+02:00", None),
        (SHOT | stamp("2024-07-09T10:00:00.5"), "2024-07-09T10:00:00.5", TOKYO, "2024:07:09 12:00:00.500+02:00", None),
        (ZONED, "2024-07-09T10:00:00.250", TOKYO, "2024:07:09 12:00:00.25+02:00", None),
        # The GPS week that rolled over is no other time.
        (SHOT | stamp("2004-11-23T10:00:00"), "2024-07-09T10:00:00", TOKYO, "2024:07:09 12:00:00+02:00", None),
        # A photo of a burst in one second: the clock shows the second.
        (SHOT, "2024-07-09T12:00:00.333", TOKYO, "2024:07:09 12:00:00.333+00:00", None),
        # Corrected: the zone that the camera named, else that of the place, else UTC.
        (ZONED, "2024-07-09T10:00:30.250", TOKYO, "2024:07:09 12:00:30.250+02:00", None),
        (SHOT, "2024-07-09T12:00:30", TOKYO, "2024:07:09 12:00:30.000+00:00", None),  # a drift is not a zone
        (SHOT | stamp("2024-07-09T10:00:00"), "2024-07-09T09:59:57", TOKYO, "2024:07:09 11:59:57.000+02:00", None),
        (SHOT, "2024-07-09T12:20:30", TOKYO, "2024:07:09 21:20:30.000+09:00", None),
        (SHOT, "2024-07-09T11:00:00", TOKYO, "2024:07:09 20:00:00.000+09:00", None),
        (SHOT, "2024-07-09T11:00:00", None, "2024:07:09 12:00:00+01:00", None),
        (SHOT, "2024-07-09T12:00:30", None, "2024:07:09 12:00:30.000+00:00", None),
        ({}, "2024-07-09T10:00:00", STUTTGART, "2024:07:09 12:00:00.000+02:00", None),
        ({}, "2024-07-09T10:00:00", None, "2024:07:09 10:00:00.000+00:00", None),
        # Digitized with the shot, or later.
        (SHOT | {"CreateDate": "2024:07:09 12:00:00"}, "2024-07-09T12:00:30", None, "2024:07:09 12:00:30.000+00:00",
         "2024:07:09 12:00:30.000+00:00"),
        (SHOT | {"CreateDate": "2024:08:01 09:00:00"}, "2024-07-09T12:00:00", None, "2024:07:09 12:00:00+00:00",
         "2024:08:01 09:00:00"),
        (SHOT | {"CreateDate": "2024:08:01 09:00:00"}, "2024-07-09T12:00:30", None, "2024:07:09 12:00:30.000+00:00",
         "2024:08:01 09:00:00"),
    ],
)  # fmt: skip
def test_the_clock_stays_where_a_zone_makes_it_right(
    exiftool, tmp_path, drawn, there, utc, place, original, digitized, monkeypatch
):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    row = {"captured_at": pd.Timestamp(utc, tz="UTC"), "geometry": None if place is None else Point(*place)}
    tags = description_tags(row, description={}, overwrite=("time",))
    written = insert(with_tags(drawn, there), tags)
    found = read(exiftool, tmp_path, written)
    assert found.get("Composite:SubSecDateTimeOriginal", found["ExifIFD:DateTimeOriginal"]) == original
    expected = original if digitized is None else digitized
    assert moment_or_text(found, "CreateDate") == moment_of(expected)
    assert moment(found["Composite:GPSDateTime"].replace("Z", "+00:00")) == row["captured_at"]
    assert insert(written, tags) == written


def moment_or_text(found, name):
    return moment_of(found.get(f"Composite:SubSec{name}", found[f"ExifIFD:{name}"]))


def moment_of(text):
    """The time in a text of EXIF, whether with sub-seconds or not."""
    return datetime.strptime(text.replace(".", " .") if "." in text else text, *[
        form for form in ("%Y:%m:%d %H:%M:%S .%f%z", "%Y:%m:%d %H:%M:%S%z", "%Y:%m:%d %H:%M:%S")
        if ("." in text) is (".%f" in form) and (text[-6] in "+-") is form.endswith("%z")
    ][:1])  # fmt: skip


def test_the_last_change_gets_the_offset_of_the_shot_and_else_stays(exiftool, tmp_path, drawn):
    row = {"captured_at": pd.Timestamp("2024-07-09T10:00:00", tz="UTC")}
    for changed, offset in (("2024:07:09 12:00:00", "+02:00"), ("2024:07:10 08:00:00", None)):
        there = SHOT | stamp("2024-07-09T10:00:00") | {"ModifyDate": changed}
        found = read(
            exiftool,
            tmp_path,
            insert(with_tags(drawn, there), description_tags(row, description={}, overwrite=("time",))),
        )
        assert (found["IFD0:ModifyDate"], found.get("ExifIFD:OffsetTime")) == (changed, offset)


def test_a_clock_that_no_zone_explains_is_set_and_said(exiftool, tmp_path, drawn):
    path = tmp_path / "1.jpg"
    path.write_bytes(with_tags(drawn, SHOT | stamp("2024-07-09T09:59:20")))
    row = {"captured_at": pd.Timestamp("2024-07-09T09:59:20", tz="UTC"), "geometry": Point(*STUTTGART)}
    doubts = []
    write_exif(path, description_tags(row, description={}, overwrite=("time",)), doubts=doubts)
    assert len(doubts) == 1
    assert "by no time zone" in doubts[0]
    assert exiftool.read(path)["Composite:SubSecDateTimeOriginal"] == "2024:07:09 11:59:20.000+02:00"
    write_exif(path, description_tags(row, description={}, overwrite=("time",)), doubts=doubts)
    assert len(doubts) == 1, "now they agree"


@given(
    wall=st.datetimes(datetime(2000, 1, 1), datetime(2025, 1, 1)),
    digits=st.sampled_from([None, 1, 2, 3, 6]),
    own=st.one_of(st.none(), st.integers(-48, 56)),
    # A clock without an offset shows the time of a zone that exists; of another the GPS date would be in doubt.
    gps=st.one_of(st.none(), st.sampled_from([*range(-48, 57, 4), -14, 14, 22, 23, 51])),
    correction_ms=st.one_of(st.just(0), st.integers(-10**8, 10**8)),
    place=st.one_of(st.none(), st.tuples(st.floats(-179, 179), st.floats(-60, 70))),
)  # fmt: skip
@settings(deadline=None, max_examples=200)
def test_the_picture_tells_the_capture_time_and_an_uncorrected_clock_stays(
    drawn, tmp_path_factory, wall, digits, own, gps, correction_ms, place
):
    from mlygeo.formats import times
    from mlygeo.photos.exif_writer import _clocks

    zone = own if gps is None else gps if own is None else own
    there = {"DateTimeOriginal": f"{wall:%Y:%m:%d %H:%M:%S}"}
    if digits:
        there["SubSecTimeOriginal"] = f"{wall.microsecond:06}"[:digits]
    if own is not None:
        there["OffsetTimeOriginal"] = f"{'-' if own < 0 else '+'}{abs(own) // 4:02}:{abs(own) % 4 * 15:02}"
    shown = wall.replace(microsecond=int(there.get("SubSecTimeOriginal", "0").ljust(6, "0")))
    true = shown - timedelta(minutes=15 * (zone or 0))
    if gps is not None:
        there |= stamp(f"{true:%Y-%m-%dT%H:%M:%S.%f}")
    capture = pd.Timestamp(true, tz="UTC").floor("ms") + pd.Timedelta(correction_ms, unit="ms")
    row = {"captured_at": capture, "geometry": None if place is None else Point(*place)}
    tags = description_tags(row, description={}, overwrite=("time",))
    jpeg = with_tags(drawn, there)
    written = insert(jpeg, tags)
    assert insert(written, tags) == written
    clocks = _clocks(exif_of(written))
    capture_us = capture.value // 1000
    assert clocks.gps_us == capture_us
    grain = 1000 if clocks.original.digits else 1_000_000
    assert clocks.original.us // grain == capture_us // grain
    assert clocks.original.offset_s is not None
    before = _clocks(exif_of(jpeg)).original
    if correction_ms == 0:
        assert clocks.original.wall_us == before.wall_us, "what the camera showed stays"
    elif own is not None:
        assert clocks.original.offset_s == times.zone(there["OffsetTimeOriginal"])


def exif_of(jpeg):
    found = segments.layout(jpeg)
    (block,) = segments.named(jpeg, found, segments.APP1, segments.EXIF_NAME)
    return segments.payload(jpeg, block)[6:]


def test_only_what_there_is_can_be_overwritten():
    with pytest.raises(InputError, match="colour"):
        description_tags({}, description={}, overwrite=("colour",))
    assert "Orientation" not in description_tags({"exif_orientation": 9}, description={}, overwrite=("all",)).exif


# Files


@pytest.fixture
def photo(tmp_path):
    name = "Straße im Süden.jpg" if os.name == "nt" else "Straße\nim Süden.jpg"  # no line breaks in names there
    path = tmp_path / name
    shutil.copy(PHOTOS / "DSCN0010.jpg", path)
    path.chmod(0o640)
    os.utime(path, ns=(1_600_000_000_000_000_000, 1_600_000_000_123_456_789))
    return path


@needs_unix("rights of Unix")
def test_a_file_is_replaced_and_keeps_mode_and_time(photo):
    before = photo.read_bytes()
    assert write_exif(photo, picture_tags(RECORD)) is True
    assert photo.read_bytes() == insert(before, picture_tags(RECORD))
    assert stat.S_IMODE(photo.stat().st_mode) == 0o640
    assert photo.stat().st_mtime_ns == 1_600_000_000_123_456_789
    assert [path.name for path in photo.parent.iterdir()] == [photo.name]


def test_a_file_that_says_it_all_is_not_written(photo):
    write_exif(photo, picture_tags(RECORD))
    inode = photo.stat().st_ino
    assert write_exif(photo, picture_tags(RECORD), keep_original=True) is False
    assert photo.stat().st_ino == inode
    assert len(list(photo.parent.iterdir())) == 1


def test_the_original_is_kept_and_never_replaced(photo):
    before = photo.read_bytes()
    kept = photo.with_name(photo.name + "_original")
    write_exif(photo, picture_tags(RECORD), keep_original=True)
    assert kept.read_bytes() == before
    assert kept.stat().st_mtime_ns == photo.stat().st_mtime_ns
    write_exif(photo, picture_tags(RECORD | {"compass_angle": 1}), keep_original=True)
    assert kept.read_bytes() == before


def test_the_original_is_copied_where_it_cannot_have_two_names(photo, monkeypatch):
    def refused(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    before = photo.read_bytes()
    write_exif(photo, picture_tags(RECORD), keep_original=True)
    assert photo.with_name(photo.name + "_original").read_bytes() == before


def test_the_new_file_elsewhere(photo, tmp_path):
    before, target = photo.read_bytes(), tmp_path / "processed" / "new.jpg"
    assert write_exif(photo, picture_tags(RECORD), target=target)
    assert photo.read_bytes() == before
    assert target.read_bytes() == insert(before, picture_tags(RECORD))
    assert write_exif(target, picture_tags(RECORD), target=tmp_path / "same.jpg")


@needs_symlinks
def test_a_link_stays_a_link(photo):
    link = photo.with_name("link.jpg")
    link.symlink_to(photo.name)
    write_exif(link, picture_tags(RECORD))
    assert link.is_symlink()
    assert insert(photo.read_bytes(), picture_tags(RECORD)) == photo.read_bytes()


@needs_unix("rights of Unix")
def test_a_file_that_may_not_be_written_to_keeps_its_mode(photo):
    photo.chmod(0o444)
    assert write_exif(photo, picture_tags(RECORD))
    assert stat.S_IMODE(photo.stat().st_mode) == 0o444


def test_a_name_as_long_as_names_get(tmp_path):
    path = tmp_path / ("ä" * 125 + ".jpg")
    shutil.copy(PHOTOS / "DSCN0010.jpg", path)
    assert write_exif(path, picture_tags(RECORD))


@needs_symlinks
def test_files_that_are_not_there_or_no_file(tmp_path):
    for path in (tmp_path / "gone.jpg", tmp_path):
        with pytest.raises(FileError, match=path.name):
            write_exif(path, picture_tags(RECORD))
    loop = tmp_path / "loop.jpg"
    loop.symlink_to(loop)
    with pytest.raises(FileError):
        write_exif(loop, picture_tags(RECORD))


def test_a_file_that_another_program_changes_meanwhile(photo, monkeypatch):
    write = exif_writer._write

    def changing(path, data):
        write(path, data)
        photo.write_bytes(b"another program was here")

    monkeypatch.setattr(exif_writer, "_write", changing)
    with pytest.raises(FileError, match="another program"):
        write_exif(photo, picture_tags(RECORD))
    assert photo.read_bytes() == b"another program was here"
    assert len(list(photo.parent.iterdir())) == 1


def test_a_disk_that_gives_back_something_else(photo, monkeypatch):
    before = photo.read_bytes()
    monkeypatch.setattr(exif_writer, "_write", lambda path, data: path.write_bytes(data[:-1] + b"\0"))
    with pytest.raises(FileError, match="came back different"):
        write_exif(photo, picture_tags(RECORD))
    assert photo.read_bytes() == before


@pytest.mark.parametrize("fault", ["scan", "segment", "tag", "lost"])
def test_a_faulty_insert_does_not_pass_the_check(photo, monkeypatch, fault):
    """The check does not trust what it checks."""
    good = exif_writer._inserted

    def faulty(jpeg, layout, tags):
        new = bytearray(good(jpeg, layout, tags))
        found = segments.layout(bytes(new))
        if fault == "scan":
            new[-10] ^= 1
        elif fault == "segment":
            new[next(s for s in found.segments if s.marker == 0xDB).start + 9] ^= 1
        elif fault == "tag":
            new = bytearray(good(jpeg, layout, tags | Tags(exif={"GPSImgDirection": ((7, 1),)})))
        else:
            new = bytearray(jpeg + b"x")
        return bytes(new)

    before = photo.read_bytes()
    monkeypatch.setattr(exif_writer, "_inserted", faulty)
    with pytest.raises(FileError, match="check"):
        write_exif(photo, picture_tags(RECORD))
    assert photo.read_bytes() == before


@pytest.mark.may_skip
def test_a_full_disk_and_a_folder_that_may_not_be_written_to(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("needs the right to mount a disk")
    try:
        photo = small / "a.jpg"
        shutil.copy(PHOTOS / "DSCN0010.jpg", photo)
        before = photo.read_bytes()
        with pytest.raises(FileError, match="disk is full"):
            write_exif(photo, picture_tags(RECORD))
        assert photo.read_bytes() == before
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)
        with pytest.raises(FileError, match="Read-only"):
            write_exif(photo, picture_tags(RECORD))
        assert [path.name for path in small.iterdir()] == ["a.jpg"]
    finally:
        subprocess.run(["umount", small], check=True)


CRASH = """
import os, sys
from pathlib import Path
import tzfpy
from mlygeo.photos.exif_writer import insert, write_exif
from mlygeo.photos.tags import picture_tags
folder, source, keep = Path(sys.argv[1]), Path(sys.argv[2]), bool(int(sys.argv[3]))
tags = picture_tags({"id": 1, "captured_at": 1720488258913, "compass_angle": 0.0})
old = source.read_bytes()
new = insert(old, tags)
photo = folder / "photo.jpg"
outcomes = {"old": 0, "new": 0}
line = 0
while True:
    line += 1
    photo.write_bytes(old)
    child = os.fork()
    if child == 0:
        left = line
        def crash(frame, event, argument):
            global left
            # The other modules touch no file.
            if not frame.f_code.co_filename.endswith(("exif_writer.py", "store.py")):
                return None
            left -= 1
            if left == 0:
                os._exit(42)
            return crash
        os.fsync = lambda descriptor: None  # what the system has, it has; forcing it to the disk takes time
        sys.settrace(crash)
        write_exif(photo, tags, keep_original=keep)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    found = photo.read_bytes()
    assert found in (old, new), f"damaged after {line} lines"
    outcomes["new" if found == new else "old"] += 1
    kept = folder / "photo.jpg_original"
    if kept.exists():
        assert kept.read_bytes() == old, f"the original is damaged after {line} lines"
        kept.unlink()
    elif keep:
        assert found == old, f"the original is lost after {line} lines"
    if status == 0:
        break
    assert status == 42
assert found == new
print(outcomes["old"], outcomes["new"])
"""


@needs_unix("forks")
@pytest.mark.parametrize("keep", [0, 1])
def test_a_crash_at_any_line_leaves_the_old_file_or_the_new_one(tmp_path, keep):
    """The program ends without warning at the first line, the second, …, until it gets through."""
    source = PHOTOS / "Canon_40D.jpg"
    ran = subprocess.run(
        [sys.executable, "-c", CRASH, tmp_path, source, str(keep)], capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    old, new = map(int, ran.stdout.split())
    assert old > 100, "there were not that many lines to crash at"
    assert new >= 3, "it has also crashed after the file was replaced"


KILLED = """
import sys
from pathlib import Path
from mlygeo.photos.exif_writer import write_exif
from mlygeo.photos.tags import picture_tags
print("ready", flush=True)
heading = 0
while True:
    heading += 1
    for photo in sorted(Path(sys.argv[1]).glob("*.jpg")):
        write_exif(photo, picture_tags({"compass_angle": heading % 360, "creator_username": "x" * (heading % 50)}))
"""


def test_killed_at_random_moments_no_photo_is_damaged(tmp_path):
    moments = random.Random(4)
    source = (PHOTOS / "DSCN0010.jpg").read_bytes()
    for number in range(4):
        (tmp_path / f"{number}.jpg").write_bytes(source)
    pixels = source[segments.layout(source).scan :]
    for _ in range(6):
        with subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            try:
                process.wait(timeout=moments.uniform(0, 0.15))
            except subprocess.TimeoutExpired:
                process.kill()
        for photo in tmp_path.glob("*.jpg"):
            found = photo.read_bytes()
            assert found[segments.layout(found).scan :] == pixels
            Image.open(BytesIO(found)).load()
            Image.open(BytesIO(found)).getexif().get_ifd(0x8825)


def test_tags_travel_to_other_processes(tmp_path):
    paths = [tmp_path / f"{number}.jpg" for number in range(4)]
    for path in paths:
        shutil.copy(PHOTOS / "Canon_40D.jpg", path)
    tags = picture_tags(RECORD | {"is_pano": True})
    assert pickle.loads(pickle.dumps(tags)) == tags
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.starmap(write_exif, [(path, tags) for path in paths]) == [True] * 4
    assert {path.read_bytes() for path in paths} == {insert((PHOTOS / "Canon_40D.jpg").read_bytes(), tags)}


# Encoded anew


@pytest.mark.parametrize("kind", ["jpg", "webp"])
def test_encoded_anew_with_all_it_says(exiftool, tmp_path, kind):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    jpeg = insert(drawn_jpeg(400, 200, icc_profile=profile), picture_tags(RECORD | {"is_pano": True}))
    small = recode(jpeg, quality=30, format=kind)
    assert len(small) < len(jpeg)
    assert small[:2] == b"\xff\xd8" if kind == "jpg" else small[8:12] == b"WEBP"
    path = tmp_path / f"a.{kind}"
    path.write_bytes(small)
    before, after = read(exiftool, tmp_path, jpeg), exiftool.read(path)
    kept = {
        n: v for n, v in before.items() if n.split(":")[0] in {"GPS", "ExifIFD", "IFD0", "XMP-GPano", "ICC_Profile"}
    }
    assert len(kept) > 30
    assert {name: after.get(name) for name in kept} == kept
    with Image.open(BytesIO(small)) as picture:
        assert picture.size == (400, 200)
        assert picture.info["icc_profile"] == profile


def test_without_a_quality_a_jpeg_is_not_encoded_anew(drawn):
    assert recode(drawn) is drawn


def test_quality_decides_the_size_and_colour_stays_as_fine(drawn):
    sizes = [len(recode(drawn, quality=quality)) for quality in (1, 50, 100)]
    assert sizes == sorted(set(sizes))
    fine = drawn_jpeg(64, 64, subsampling=0)
    assert Image.open(BytesIO(recode(fine, quality=50))).layer[1][1:3] == (1, 1)


@pytest.mark.parametrize("quality", [0, 101, -1])
def test_qualities_that_are_none(drawn, quality):
    with pytest.raises(InputError, match="between 1 and 100"):
        recode(drawn, quality=quality)


def test_formats_that_are_none(drawn):
    with pytest.raises(InputError, match="png"):
        recode(drawn, format="png")


def test_grey_and_cmyk_pictures_become_webp():
    for mode in ("L", "CMYK"):
        written = BytesIO()
        Image.new(mode, (40, 20), 100 if mode == "L" else (10, 20, 30, 40)).save(written, "JPEG")
        assert recode(written.getvalue(), format="webp")[8:12] == b"WEBP"


def test_a_bomb_is_not_decoded(drawn):
    found = segments.layout(drawn)
    frame = next(segment for segment in found.segments if segment.marker == 0xC0)
    bomb = bytearray(drawn)
    bomb[frame.start + 5 : frame.start + 9] = struct.pack(">HH", 65_500, 65_500)
    for options in ({"quality": 50}, {"format": "webp"}):
        with pytest.raises(FormatError, match="too many"):
            recode(bytes(bomb), **options)
    bomb[frame.start + 5 : frame.start + 9] = struct.pack(">HH", 100, 17_000)
    with pytest.raises(FormatError, match="16,383"):
        recode(bytes(bomb), format="webp")


def test_a_picture_cut_short_is_not_encoded(drawn):
    with pytest.raises(FormatError):
        recode(drawn[: len(drawn) // 2], quality=50)
