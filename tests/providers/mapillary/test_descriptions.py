"""Image description files: read, written, and read again."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from helpers.upload_folders import entry, folder_of, photo
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Point

from mlygeo import frames
from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.providers.mapillary.descriptions import (
    DUPLICATE,
    is_description_file,
    read_descriptions,
    write_descriptions,
)
from mlygeo.providers.mapillary.image_descriptions import IN_FILE, description_of

TRACK = [[0, 9.17, 48.77, 250.0, 90.0, None], [1000, 9.18, 48.77, None, None, 1717934400.5]]


def write(folder, entries):
    folder.mkdir(exist_ok=True)
    path = folder / "mapillary_image_description.json"
    path.write_text(json.dumps(entries))
    return path


def full(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(photo(1))
    return entry(
        path, 1, "seq", MAPAltitude=-3.125, MAPCompassHeading={"TrueHeading": 359.5, "MagneticHeading": 359.5},
        MAPOrientation=6, MAPDeviceMake="Ricoh", MAPDeviceModel="Theta Z1", MAPCameraUUID="123_456",
        MAPGPSAccuracyMeters=1.5, MAPFilename="a.jpg", MAPMetaTags={"strings": [{"key": "k", "value": "v"}]},
    )  # fmt: skip


def test_every_field_becomes_a_column(tmp_path):
    fields = full(tmp_path)
    images = read_descriptions(write(tmp_path, [fields]))
    frames.check(images, frames.LOCAL_IMAGES)
    row = images.iloc[0]
    assert row["path"] == fields["filename"]
    assert row["folder"] == str(tmp_path)
    assert (row.geometry.x, row.geometry.y) == (fields["MAPLongitude"], fields["MAPLatitude"])
    assert row["captured_at"] == pd.Timestamp("2024-06-09T12:00:01.001Z")
    assert (row["compass_angle"], row["altitude"], row["gps_accuracy_m"]) == (359.5, -3.125, 1.5)
    assert (row["sequence_id"], row["make"], row["model"], row["camera_uuid"]) == (
        "seq",
        "Ricoh",
        "Theta Z1",
        "123_456",
    )
    assert (row["exif_orientation"], row["filesize"], row["md5sum"]) == (6, fields["filesize"], fields["md5sum"])
    assert json.loads(row["meta_tags"]) == fields["MAPMetaTags"]
    assert pd.isna(row["error"])
    assert not row["is_duplicate"]


def test_what_was_read_is_written_as_it_was(tmp_path):
    listed = [
        full(tmp_path),
        {"filename": str(tmp_path / "v.mp4"), "filetype": "camm", "filesize": 5, "md5sum": None, "MAPGPSTrack": TRACK,
         "MAPDeviceMake": "Insta360"},
        {"filename": str(tmp_path / "b.jpg"), "filetype": "image",
         "error": {"type": "MapillaryGeoTaggingError", "message": "no GPS"}},
    ]  # fmt: skip
    first = write(tmp_path, listed)
    again = write_descriptions(read_descriptions(first), tmp_path / "again.json")
    assert json.loads(again.read_text()) == listed


def test_a_second_reading_of_what_was_written_gives_the_same_frame(tmp_path):
    folder_of(tmp_path / "p", 7, a_sequence=3)
    images = read_descriptions(tmp_path / "p" / "mapillary_image_description.json")
    second = read_descriptions(write_descriptions(images, tmp_path / "p"))
    pd.testing.assert_frame_equal(pd.DataFrame(images), pd.DataFrame(second))


def test_what_failed_and_duplicates_are_distinguished(tmp_path):
    images = read_descriptions(
        write(tmp_path, [
            {"error": {"type": DUPLICATE, "message": "a duplicate"}, "filename": "b.jpg", "filetype": "image"},
            {"error": {"type": "X", "message": "no GPS"}, "filename": "c.jpg", "filetype": "image"},
            {"error": {}, "filename": "d.jpg"},
        ])
    )  # fmt: skip
    assert images["error"].tolist()[:2] == ["a duplicate", "no GPS"]
    assert images["error"].notna().all()
    assert images["is_duplicate"].tolist() == [True, False, False]
    assert images["path"].tolist() == [str(tmp_path / name) for name in ("b.jpg", "c.jpg", "d.jpg")]


@pytest.mark.parametrize(
    ("change", "lack"),
    [
        ({"MAPLatitude": None}, "position"), ({"MAPLatitude": 91}, "position"), ({"MAPLongitude": "x"}, "position"),
        ({"MAPCaptureTime": None}, "time"), ({"MAPCaptureTime": "2024-01-01"}, "time"), ({"MAPLatitude": True}, "position"),
        ({"filename": None}, "file name"), ({"filetype": "camm"}, "track"),
    ],
)  # fmt: skip
def test_an_entry_that_lacks_something_is_a_row_with_a_reason(tmp_path, change, lack):
    images = read_descriptions(write(tmp_path, [{**full(tmp_path), **change}, full(tmp_path)]))
    assert lack in images["error"].iloc[0]
    assert pd.isna(images["error"].iloc[1])


def test_files_of_a_folder_that_was_moved_are_found(tmp_path):
    folder_of(tmp_path / "here" / "sub", 2)
    (tmp_path / "here" / "sub").rename(tmp_path / "there")
    images = read_descriptions(tmp_path / "there" / "mapillary_image_description.json")
    assert images["path"].tolist() == [str(tmp_path / "there" / f"img_000{number}.jpg") for number in range(2)]


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"[" * 100_000, b"\xff\xfe", b'[{"filename": "a"'])
def test_what_is_no_description_file_is_an_error(tmp_path, content):
    path = tmp_path / "d.json"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"d\.json"):
        read_descriptions(path)
    with pytest.raises(FileError, match="nowhere"):
        read_descriptions(tmp_path / "nowhere.json")


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.lists(st.integers(), max_size=3)
)
entries = st.lists(
    st.dictionaries(st.sampled_from(["filename", "filetype", "error", "filesize", "md5sum", "MAPGPSTrack", "MAPLatitude",
                                     "MAPCompassHeading", "MAPPrivate", "MAPOdd", *sorted(IN_FILE)]), scalars, max_size=8),
    max_size=4,
)  # fmt: skip


@given(entries)
@settings(max_examples=150)
def test_whatever_json_says_becomes_rows(tmp_path_factory, told):
    folder = tmp_path_factory.mktemp("fuzz")
    images = read_descriptions(write(folder, told))
    assert len(images) == len(told)
    frames.check(images, frames.LOCAL_IMAGES)
    again = folder / "again.json"
    for _ in range(2):  # what was written is known again, and replaced
        written = json.loads(write_descriptions(images, again).read_text())
    assert len(written) == len(told)
    allowed = {"filename", "filetype", "filesize", "md5sum", "error", "MAPGPSTrack", *IN_FILE}
    assert all(set(each) <= allowed for each in written)


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(0, 360, exclude_max=True), st.integers(0, 4_102_444_800_000))
@settings(max_examples=200)
def test_positions_are_right_to_a_centimetre_and_times_to_the_millisecond(lat, lon, heading, ms):
    if (lat, lon) == (0, 0):
        return
    result = description_of(
        {"geometry": Point(lon, lat), "captured_at": ms, "compass_angle": heading, "sequence_id": "s"}
    )
    assert abs(result["MAPLatitude"] - lat) <= 5.1e-8
    assert abs(result["MAPLongitude"] - lon) <= 5.1e-8
    turn = abs(result["MAPCompassHeading"]["TrueHeading"] - heading)
    assert min(turn, 360 - turn) <= 5.1e-4
    assert "MAPSequenceUUID" not in result
    back = pd.to_datetime(result["MAPCaptureTime"], format="%Y_%m_%d_%H_%M_%S_%f", utc=True)
    assert back == pd.Timestamp(ms, unit="ms", tz="UTC")


def test_duplicates_errors_and_what_is_incomplete_are_written_as_failed(tmp_path):
    images = gpd.GeoDataFrame(
        {"path": ["a.jpg", "b.jpg", "c.jpg", "d.jpg"], "captured_at": pd.to_datetime([0, 1, 2, None], unit="ms", utc=True),
         "is_duplicate": [False, True, False, False], "duplicate_of": [None, "a.jpg", None, None],
         "error": pd.Series([None, None, "broken", None], dtype="str"), "compass_angle": np.nan},
        geometry=[Point(1, 2)] * 4, crs=4326,
    )  # fmt: skip
    result = json.loads(write_descriptions(images, tmp_path).read_text())
    assert [each.get("error", {}).get("type") for each in result] == [
        None, DUPLICATE, "MapillaryDescriptionError", "MapillaryDescriptionError",
    ]  # fmt: skip
    assert result[2]["error"]["message"] == "broken"
    assert "capture time" in result[3]["error"]["message"]
    with pytest.raises(InputError, match="position"):
        description_of({"captured_at": 0})


def test_a_photo_whose_name_slipped_in_is_not_written_over(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(photo(1))
    images = read_descriptions(write(tmp_path / "in", [full(tmp_path)]))
    before = path.read_bytes()
    with pytest.raises(FileError, match="not an image description file"):
        write_descriptions(images, path)
    assert path.read_bytes() == before
    assert write_descriptions(images, tmp_path / "in" / "mapillary_image_description.json").exists()


ENTRY = {"filename": "a.jpg", "filetype": "image", "MAPLatitude": 1.0, "MAPLongitude": 2.0}

FAILED = {"filename": "b.jpg", "filetype": "image", "error": {"type": "MapillaryGeoTaggingError", "message": "none"}}


@pytest.mark.parametrize(
    "content",
    [
        '{"mine": 1}', '[{"mine": 1}]', "[1, 2]", '["a.jpg"]', "[[]]", '[{"filename": "a.jpg", "caption": "mine"}]',
        '[{"MAPLatitude": 1.0}]', '[{"filename": 1, "MAPLatitude": 1.0}]', json.dumps([ENTRY, {"mine": 1}]),
        json.dumps([ENTRY])[:-1], json.dumps(ENTRY), '[{"filename": "a.jpg", "error": null}]', "[", "notes", "null",
        " " * 100, " " * 100 + "notes", "[]\n// notes", "[" * 100_000, '{"type": "FeatureCollection", "features": []}',
    ],
)  # fmt: skip
def test_no_other_text_is_replaced_by_descriptions(tmp_path, content):
    path = tmp_path / "mapillary_image_description.json"
    path.write_text(content)
    images = read_descriptions(write(tmp_path / "in", [full(tmp_path)]))
    for target in (path, tmp_path):
        with pytest.raises(FileError, match="not an image description file"):
            write_descriptions(images, target)
    assert path.read_text() == content


@pytest.mark.parametrize(
    "content",
    [
        "[]", "[\n\n]\n", "", " \n", "\ufeff", "\ufeff[]", json.dumps([ENTRY, FAILED]),
        json.dumps([FAILED], indent=4), '[{"_filename": "a.jpg", "MAPLatitude": 1.0}]',
        '[{"filename": "a.mp4", "MAPGPSTrack": []}]', json.dumps([ENTRY | {"note": "mine"}]),
    ],
)  # fmt: skip
def test_descriptions_of_any_program_are_replaced(tmp_path, content):
    path = tmp_path / "mapillary_image_description.json"
    path.write_text(content, encoding="utf-8")
    images = read_descriptions(write(tmp_path / "in", [full(tmp_path)]))
    assert write_descriptions(images, path) == path
    assert len(read_descriptions(path)) == 1


def test_a_file_that_became_another_is_not_replaced(tmp_path):
    images = read_descriptions(write(tmp_path / "in", [full(tmp_path)]))
    path = tmp_path / "d.json"
    path.write_text(json.dumps([ENTRY]))
    assert is_description_file(path)
    path.write_text(json.dumps([{**ENTRY, "filename": 1}]))
    with pytest.raises(FileError, match="not an image description file"):
        write_descriptions(images, path)
    path.write_text(json.dumps([ENTRY]))
    assert write_descriptions(images, path) == path
