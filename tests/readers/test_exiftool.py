"""What ExifTool reads, and its XML: the same values as those of our own readers; damaged and hostile documents."""

import io
import subprocess

import numpy as np
import pandas as pd
import pytest
from conftest import DATA
from helpers.exiftool_oracle import program
from helpers.photo_folders import folder_of
from hypothesis import example, given
from hypothesis import strategies as st

from mlygeo.errors import FileError, FormatError
from mlygeo.formats import exiftool_xml
from mlygeo.readers import exiftool
from mlygeo.readers.photos import read_photos
from mlygeo.readers.video import read_video

HEAD = """<?xml version='1.0' encoding='UTF-8'?>
<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>
<rdf:Description rdf:about='/a.jpg' xmlns:GPS='http://ns.exiftool.org/EXIF/GPS/1.0/'
  xmlns:ExifIFD='http://ns.exiftool.org/EXIF/ExifIFD/1.0/' xmlns:IFD0='http://ns.exiftool.org/EXIF/IFD0/1.0/'
  xmlns:Track3='http://ns.exiftool.org/QuickTime/Track3/1.0/'>
"""

TAIL = "</rdf:Description></rdf:RDF>"


def everything(_):
    return True


def records(text):
    return list(exiftool_xml.records(io.BytesIO(text.encode()), "x.xml", wanted=everything))


def photo_of(tmp_path, tags):
    """Return the row of a photo of which ExifTool says this."""
    [path] = folder_of(tmp_path, 1, lat=None, lon=None)
    (tmp_path / "x.xml").write_text(HEAD.replace("/a.jpg", str(path)) + tags + TAIL)
    images = read_photos(path)
    return exiftool.with_values(images, exiftool.read_xml(tmp_path / "x.xml")).iloc[0]


@pytest.mark.parametrize("name", ["gopro_max-heromode", "camm_from_gopro_max", "blackvue_form_leeds"])
def test_a_track_is_that_of_our_own_reader(name):
    program()  # skips without it
    path = DATA / "video" / f"{name}.mp4"
    ours = read_video(path)
    theirs = exiftool.track_in(exiftool.read_files([str(path)])[str(path.resolve())], name)
    assert len(theirs) == len(ours)
    assert np.allclose(theirs.geometry.x, ours.geometry.x, atol=1e-6)
    assert np.allclose(theirs.geometry.y, ours.geometry.y, atol=1e-6)
    apart_s = (theirs["time"] - ours["time"]).dt.total_seconds().abs()
    assert apart_s.max() < 1.5  # ExifTool gives whole seconds for some cameras


def test_values_of_photos_are_those_of_our_own_reader(tmp_path):
    folder_of(tmp_path, 3)
    images = read_photos(tmp_path)
    out = subprocess.run([program(), "-X", "-n", "-r", str(tmp_path)], capture_output=True, check=True)
    (tmp_path / "all.xml").write_bytes(out.stdout)
    for found in (
        exiftool.read_files(images["path"]),
        exiftool.read_xml(tmp_path),
        exiftool.read_xml(tmp_path / "all.xml"),
    ):
        tagged = exiftool.with_values(images, found)
        assert tagged["error"].isna().all()
        pd.testing.assert_series_equal(tagged["captured_at"], images["captured_at"])
        assert np.allclose(tagged.geometry.x, images.geometry.x, atol=1e-9)
        assert np.allclose(tagged.geometry.y, images.geometry.y, atol=1e-9)


@pytest.mark.parametrize(
    ("lat", "lon", "expected"),
    [
        ("<GPS:GPSLatitude>33.4</GPS:GPSLatitude><GPS:GPSLatitudeRef>S</GPS:GPSLatitudeRef>",
         "<GPS:GPSLongitude>70.6</GPS:GPSLongitude><GPS:GPSLongitudeRef>W</GPS:GPSLongitudeRef>", (-70.6, -33.4)),
        ("<GPS:GPSLatitude>33 deg 24' 0.00\"</GPS:GPSLatitude><GPS:GPSLatitudeRef>South</GPS:GPSLatitudeRef>",
         "<GPS:GPSLongitude>70 deg 36' 0.00\"</GPS:GPSLongitude><GPS:GPSLongitudeRef>West</GPS:GPSLongitudeRef>",
         (-70.6, -33.4)),
        ("<GPS:GPSLatitude>33.4</GPS:GPSLatitude>", "<GPS:GPSLongitude>70.6</GPS:GPSLongitude>", None),
        ("<GPS:GPSLatitude>0</GPS:GPSLatitude><GPS:GPSLatitudeRef>N</GPS:GPSLatitudeRef>",
         "<GPS:GPSLongitude>0</GPS:GPSLongitude><GPS:GPSLongitudeRef>E</GPS:GPSLongitudeRef>", None),
        ("<GPS:GPSLatitude>93.4</GPS:GPSLatitude><GPS:GPSLatitudeRef>N</GPS:GPSLatitudeRef>",
         "<GPS:GPSLongitude>7</GPS:GPSLongitude><GPS:GPSLongitudeRef>E</GPS:GPSLongitudeRef>", None),
    ],
)  # fmt: skip
def test_positions(tmp_path, lat, lon, expected):
    image = photo_of(tmp_path, lat + lon)
    if expected is None:
        assert image.geometry is None
        assert "position" in image["warning"]
    else:
        assert (image.geometry.x, image.geometry.y) == pytest.approx(expected)


def test_a_gps_time_that_rolled_over_is_mended_and_flagged(tmp_path):
    image = photo_of(
        tmp_path,
        "<GPS:GPSDateStamp>2003:01:15</GPS:GPSDateStamp><GPS:GPSTimeStamp>10:00:00</GPS:GPSTimeStamp>"
        "<ExifIFD:DateTimeOriginal>2022:08:31 12:00:00</ExifIFD:DateTimeOriginal>",
    )
    assert image["captured_at"] == pd.Timestamp("2022-08-31T10:00:00Z")
    assert "1024 weeks" in image["warning"]


def test_a_photo_that_is_not_in_it_has_an_error(tmp_path):
    paths = folder_of(tmp_path, 2)
    (tmp_path / "x.xml").write_text(HEAD.replace("/a.jpg", str(paths[0])) + TAIL)
    tagged = exiftool.with_values(read_photos(tmp_path), exiftool.read_xml(tmp_path / "x.xml"))
    assert list(tagged["error"].isna()) == [True, False]


@pytest.mark.parametrize(
    "text",
    [
        "", "no xml", "<gpx></gpx>", HEAD, HEAD + "<GPS:GPSLatitude>1</GPS:GPSLongitude>" + TAIL,
        "<!DOCTYPE x [<!ENTITY a 'b'><!ENTITY c '&a;&a;'>]>" + HEAD.partition("?>")[2] + "&c;" + TAIL,
        "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>" + HEAD.partition("?>")[2] + "&a;" + TAIL,
    ],
)  # fmt: skip
def test_other_documents_are_refused(tmp_path, text):
    with pytest.raises(FormatError, match=r"x\.xml"):
        records(text)
    (tmp_path / "x.xml").write_text(text)
    with pytest.raises(FormatError):
        exiftool.read_xml(tmp_path / "x.xml")
    left_out = []
    assert exiftool.read_xml(tmp_path, left_out=left_out) == {}
    assert len(left_out) == 1


def test_no_such_file(tmp_path):
    with pytest.raises(FileError, match="does not exist"):
        exiftool.read_xml(tmp_path / "x.xml")


@given(st.binary(max_size=400), st.integers(0, 400))
@example(b"A", 30)  # encoding='AUTF-8'
def test_any_bytes_are_read_or_refused(noise, place):
    text = (HEAD + "<GPS:GPSLatitude>1</GPS:GPSLatitude>" + TAIL).encode()
    for data in (noise, text[:place] + noise + text[place:]):
        try:
            found = list(exiftool_xml.records(io.BytesIO(data), "x.xml", wanted=everything))
        except FormatError:
            continue
        assert all(isinstance(tag, str) for record in found for tag, _ in record.tags)


def test_names_of_old_versions():
    [record] = records(HEAD.replace("exiftool.org", "exiftool.ca") + "<IFD0:Model>X</IFD0:Model>" + TAIL)
    assert record.tags == [("IFD0:Model", "X")]
