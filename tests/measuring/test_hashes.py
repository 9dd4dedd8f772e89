"""Perceptual hashes: bit for bit those of imagehash, alike for one picture in many forms, far apart for others."""

import io
import itertools
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageOps

from mlygeo.measuring.hashes import phash

ROOT = Path(__file__).parents[2]
PHOTOS = [
    ROOT / "tests/data/photos" / f"{name}.jpg"
    for name in ("DSCN0010", "FujiFilm_FinePixS1Pro_1", "FujiFilm_FinePixS2Pro", "Samsung_GT-I9000_Galaxy_S", "Canon_40D",
                 "Nikon_D70", "Pentax_K10D", "Sony_HDR-HC3", "long_description")
] + [ROOT / "examples/stuttgart/pictures/1138211467256565.jpg"]  # fmt: skip


def bits_apart(one, other):
    return (int(one, 16) ^ int(other, 16)).bit_count()


def encoded(picture, quality, scale=1.0):
    stream = io.BytesIO()
    size = tuple(round(side * scale) for side in picture.size)
    picture.resize(size, Image.Resampling.LANCZOS).save(stream, "JPEG", quality=quality)
    return Image.open(stream)


@pytest.mark.parametrize("path", PHOTOS, ids=lambda path: path.stem)
def test_it_is_that_of_imagehash(path):
    picture = Image.open(path)
    assert phash(picture) == str(imagehash.phash(picture))
    assert len(phash(picture)) == 16


@pytest.mark.parametrize("path", PHOTOS, ids=lambda path: path.stem)
def test_another_encoding_or_size_changes_two_bits_at_most(path):
    picture = Image.open(path).convert("RGB")
    forms = [encoded(picture, 95), encoded(picture, 75), encoded(picture, 50), encoded(picture, 85, 0.5)]
    assert max(bits_apart(phash(picture), phash(form)) for form in forms) <= 2


def test_most_encodings_change_no_bit():
    same = [phash(Image.open(path)) == phash(encoded(Image.open(path).convert("RGB"), 85)) for path in PHOTOS]
    assert np.mean(same) >= 0.8


def test_other_pictures_are_far_apart():
    found = [phash(Image.open(path)) for path in PHOTOS]
    assert min(bits_apart(one, other) for one, other in itertools.combinations(found, 2)) >= 14


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_that_of_the_picture_as_it_is_shown(orientation):
    picture = Image.open(PHOTOS[0]).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    picture.save(stream, "PNG", exif=exif)
    stored = Image.open(stream)
    shown = ImageOps.exif_transpose(stored)
    assert bits_apart(phash(stored, orientation), phash(shown)) <= 2
    if orientation > 1:
        assert bits_apart(phash(stored), phash(shown)) > 14
