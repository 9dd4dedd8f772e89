"""Files of pictures: what was measured of each, a row with a reason where nothing was, in any number of processes."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from pandas.testing import assert_frame_equal
from PIL import Image

from mlygeo.measuring import pictures, pixels

ROOT = Path(__file__).parents[2]
PHOTOS = ROOT / "tests/data/photos"
STREET = ROOT / "examples/stuttgart/pictures/1138211467256565.jpg"


def test_all_pixels_are_measured_where_no_side_is_named():
    found = pictures.measure_picture(str(STREET), None)
    whole = pixels.measure(np.asarray(Image.open(STREET).convert("RGB")))
    assert (found.measured_width, found.measured_height) == (2048, 1024)
    assert found[:5] == (whole.blur, whole.contrast, whole.tone, whole.brightness, whole.dark_share)


def test_larger_pictures_are_reduced_and_smaller_ones_stay():
    large = pictures.measure_picture(str(STREET), 1024)
    assert (large.measured_width, large.measured_height) == (1024, 512)
    tall = pictures.measure_picture(str(PHOTOS / "Samsung_GT-I9000_Galaxy_S.jpg"), 400)
    assert (tall.measured_width, tall.measured_height) == (400, 300)
    small = PHOTOS / "DSCN0010.jpg"
    assert pictures.measure_picture(str(small), 1024) == pictures.measure_picture(str(small), None)


def test_reduced_pictures_say_much_the_same_of_light():
    whole, reduced = (pictures.measure_picture(str(STREET), side) for side in (None, 1024))
    assert reduced.contrast == pytest.approx(whole.contrast, abs=0.01)
    assert reduced.tone == pytest.approx(whole.tone, abs=0.05)
    assert reduced.brightness == pytest.approx(whole.brightness, abs=1)
    assert (int(whole.phash, 16) ^ int(reduced.phash, 16)).bit_count() <= 2


@pytest.mark.parametrize("format", ["png", "webp", "bmp", "gif", "tiff"])
def test_other_formats_and_modes_are_read(tmp_path, format):  # noqa: A002
    picture = Image.open(PHOTOS / "DSCN0010.jpg").convert(
        "P" if format == "gif" else "RGBA" if format == "png" else "RGB"
    )
    picture.save(tmp_path / f"a.{format}")
    found = pictures.measure_picture(str(tmp_path / f"a.{format}"))
    assert found.picture_error is None
    assert found.brightness == pytest.approx(pictures.measure_picture(str(PHOTOS / "DSCN0010.jpg")).brightness, abs=3)


def test_what_is_wrong_with_a_file_is_its_row(tmp_path):
    whole = STREET.read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "folder.jpg").mkdir()
    stream = io.BytesIO()
    Image.new("1", (8, 8)).save(stream, "PNG")
    bomb = bytearray(stream.getvalue())
    bomb[16:24] = struct.pack(">II", 60_000, 60_000)
    (tmp_path / "bomb.png").write_bytes(bomb)
    names = ["cut.jpg", "text.jpg", "empty.jpg", "folder.jpg", "missing.jpg", "bomb.png"]
    found = pictures.measure([str(tmp_path / name) for name in names], workers=1)
    reasons = found["picture_error"].tolist()
    assert reasons[0] == "the picture is cut off"
    assert reasons[1:3] == [pictures.NO_PICTURE] * 2
    assert "directory" in reasons[3]
    assert reasons[4] == pictures.NO_FILE
    assert reasons[5].startswith(pictures.NO_PICTURE)
    assert found.drop(columns="picture_error").isna().all(axis=None)


@pytest.mark.parametrize("path", sorted((PHOTOS / "broken").glob("*.jpg")), ids=lambda path: path.stem)
def test_broken_photos_are_measured_or_have_a_reason(path):
    found = pictures.measure_picture(str(path))
    assert (found.picture_error is None) == np.isfinite(found.contrast)
    assert found.picture_error is None or "\n" not in found.picture_error


@pytest.mark.parametrize(("dtype", "name"), [("uint16", "deep.png"), ("int32", "deep.tif")])
def test_grey_pictures_of_many_bits_are_not_cut_off_at_255(tmp_path, dtype, name):
    Image.fromarray(np.full((5, 5), 40_000, dtype=dtype)).save(tmp_path / name)
    found = pictures.measure_picture(str(tmp_path / name))
    assert found.picture_error == pictures.TOO_DEEP
    assert np.isnan(found.brightness)


def test_the_number_of_processes_and_rounds_changes_nothing(monkeypatch):
    paths = [str(path) for path in sorted(PHOTOS.glob("*0.jpg"))] + [None, "missing.jpg", str(STREET)]
    alone = pictures.measure(paths, workers=1)
    monkeypatch.setattr(pictures, "CHUNK", 1)
    monkeypatch.setattr(pictures, "ROUND", 3)
    assert_frame_equal(pictures.measure(paths, workers=2), alone)
    assert alone["picture_error"].isna().tolist()[-3:] == [True, False, True]
    assert alone.loc[alone.index[-3]].isna().all()


def test_nothing_to_measure_has_the_columns():
    assert pictures.measure([]).columns.tolist() == list(pictures.Measured._fields)


def test_a_tone_that_is_no_number_adds_nothing_and_nothing_measured_is_not_accepted():
    score, accepted = pictures.percept_decision(
        np.array([0.36, 0.35, 0.3, np.nan]), np.array([np.nan, 0.8, 0.9, np.nan])
    )
    assert score[:3].tolist() == pytest.approx([0.36, 0.35, 0.4])
    assert accepted.tolist() == [True, False, True, False]
