"""Sizes and focal lengths of flat pictures, from their files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.panoramas import images_of
from PIL import Image

from mlygeo.perspective.heads import with_lenses
from mlygeo.spatial import lenses


def picture(size=(40, 30), focal=None, orientation=None):
    exif = Image.Exif()
    if focal is not None:
        exif.get_ifd(0x8769)[0xA405] = focal
    if orientation is not None:
        exif[0x0112] = orientation
    written = io.BytesIO()
    Image.new("RGB", size).save(written, "JPEG", exif=exif)
    return written.getvalue()


def read(tmp_path, *contents, **columns):
    """The images with what these files say of them."""
    images = images_of(len(contents), is_pano=np.zeros(len(contents), dtype=bool), **columns)
    paths = np.full(len(contents), None, dtype=object)
    for number, content in enumerate(contents):
        if content is not None:
            path = tmp_path / f"{number}.jpg"
            path.write_bytes(content)
            paths[number] = str(path)
    return with_lenses(images, paths)


def test_what_the_images_lack_is_filled_from_their_files(tmp_path):
    found = read(tmp_path, picture(focal=27), picture(), None, b"no picture")
    assert found["width"].tolist() == [40, 40, pd.NA, pd.NA]
    assert found["height"].tolist() == [30, 30, pd.NA, pd.NA]
    assert found["camera_parameters"].tolist() == [[0.75], None, None, None]
    assert lenses.lenses_of(found).kind.tolist() == ["perspective", None, None, None]


def test_what_the_images_say_stays(tmp_path):
    own = {
        "camera_parameters": [[0.5, 0.1, 0.0], None, None, None],
        "camera_type": pd.Series(["perspective", "fisheye", "brown", None], dtype="str"),
        "width": pd.array([4000, None, None, 400], dtype="Int64"),
        "height": pd.array([3000, None, None, 300], dtype="Int64"),
    }
    found = read(tmp_path, *[picture(focal=27)] * 4, **own)
    assert found["camera_parameters"].tolist() == [[0.5, 0.1, 0.0], None, None, [0.75]]
    assert found["width"].tolist() == [4000, 40, 40, 400]


@pytest.mark.parametrize(
    ("in_file", "of_image", "stored"),
    [(None, None, (40, 30)), (6, None, (30, 40)), (None, 6, (30, 40)), (6, 6, (40, 30))],
)
def test_sizes_are_those_before_an_image_was_turned_upright(tmp_path, in_file, of_image, stored):
    turned = pd.array([of_image], dtype="Int64")
    found = read(tmp_path, picture(orientation=in_file), exif_orientation=turned)
    assert (found["width"][0], found["height"][0]) == stored


def test_panoramas_and_what_is_known_cost_no_reading(tmp_path):
    images = images_of(2)
    assert with_lenses(images, np.array([str(Path("nowhere.jpg"))] * 2, dtype=object)) is images
