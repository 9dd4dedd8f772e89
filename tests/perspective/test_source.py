"""Pictures for views: reduced as they are decoded, parts of spheres, and those that contradict themselves."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from helpers.panoramas import degrees_off, encoded, panorama
from PIL import Image

from mlygeo.errors import FormatError
from mlygeo.formats.exif import Tags
from mlygeo.formats.xmp import Panorama
from mlygeo.perspective import source
from mlygeo.perspective.sampling import View, sample
from mlygeo.perspective.source import Lens, decoded
from mlygeo.photos.exif_writer import insert
from mlygeo.spatial import rotations

SPHERE = Lens("equirectangular", math.nan, math.nan, math.nan)

NORTH = rotations.of_angles(np.zeros(1), np.zeros(1), np.zeros(1))[0]

VIEW = View(35.0, 10.0, 90.0, 64, 64)


class Fields(dict):
    """GPano fields to write into a picture."""

    def properties(self, _width, _height):
        return {name: str(value) for name, value in self.items()}


def with_fields(jpeg, **fields):
    return insert(jpeg, Tags(panorama=Fields(fields)))


def crop(jpeg, box):
    with Image.open(io.BytesIO(jpeg)) as whole:
        return encoded(np.asarray(whole.crop(box)))


def fields_of(full, box):
    left, top, right, bottom = box
    return {
        "ProjectionType": "equirectangular", "FullPanoWidthPixels": full, "FullPanoHeightPixels": full // 2,
        "CroppedAreaImageWidthPixels": right - left, "CroppedAreaImageHeightPixels": bottom - top,
        "CroppedAreaLeftPixels": left, "CroppedAreaTopPixels": top,
    }  # fmt: skip


@pytest.mark.parametrize(("size", "fov", "reduced"), [(64, 90, 2), (40, 90, 4), (16, 90, 8), (300, 90, 1), (64, 40, 1)])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_a_picture_is_decoded_no_larger_than_its_views_need(size, fov, reduced, kind):
    view = View(35.0, 10.0, fov, size, size)
    picture = decoded(panorama(kind=kind), SPHERE, [view])
    assert picture.source.width == 1024 // reduced
    assert picture.source.full_width == 1024 / reduced
    pixels, outside = sample(picture.source, NORTH, view)
    assert outside == 0
    assert degrees_off(pixels, view).max() < 3  # colours of 8 bits: half a degree each, and what the coding loses
    assert np.median(degrees_off(pixels, view)) < 0.6


def test_the_largest_of_several_views_decides():
    views = [View(0, 0, 90, 16, 16), View(0, 0, 90, 300, 300)]
    assert decoded(panorama(), SPHERE, views).source.width == 1024


def test_sizes_that_are_no_multiple_of_what_they_are_reduced_by_stay_in_place():
    picture = decoded(panorama(width=1022), SPHERE, [View(180.0, 0.0, 90.0, 16, 16)])
    assert picture.source.full_width == 1022 / 8
    pixels, _ = sample(picture.source, NORTH, View(180.0, 0.0, 90.0, 16, 16))
    assert np.median(degrees_off(pixels, View(180.0, 0.0, 90.0, 16, 16))) < 1


@pytest.mark.parametrize(
    ("box", "shown", "beside"),
    [
        ((0, 100, 1024, 412), View(180.0, 0.0, 60.0, 64, 64), View(0.0, 80.0, 60.0, 64, 64)),  # all around
        ((256, 0, 768, 512), View(10.0, 65.0, 30.0, 64, 64), View(180.0, 0.0, 60.0, 64, 64)),
        ((300, 100, 700, 400), VIEW._replace(fov=40.0), View(100.0, 0.0, 60.0, 64, 64)),
    ],
)
@pytest.mark.parametrize("smaller", [1, 2])
def test_a_part_of_a_sphere_is_where_its_fields_say(box, shown, beside, smaller):
    part = crop(panorama(), box)
    if smaller > 1:
        with Image.open(io.BytesIO(part)) as opened:
            part = encoded(np.asarray(opened.reduce(smaller)))
    part = with_fields(part, **fields_of(1024, box))
    picture = decoded(part, SPHERE, [shown])
    pixels, outside = sample(picture.source, NORTH, shown)
    assert outside == 0
    assert np.median(degrees_off(pixels, shown)) < 1
    assert sample(picture.source, NORTH, beside)[1] > 0.1


def test_what_mlygeo_writes_of_a_part_is_what_it_reads():
    part = insert(crop(panorama(), (0, 106, 1024, 406)), Tags(panorama=Panorama(0.0)))
    pixels, outside = sample(decoded(part, SPHERE, [VIEW]).source, NORTH, VIEW._replace(pitch=0.0))
    assert outside == 0
    assert np.median(degrees_off(pixels, VIEW._replace(pitch=0.0))) < 1


WHOLE = fields_of(1024, (0, 0, 1024, 512))


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (crop(panorama(), (0, 0, 1024, 500)), "1,024 x 500 pixels, not twice as wide as high"),
        (with_fields(panorama(), ProjectionType="cylindrical"), "'cylindrical', and only equirectangular"),
        (with_fields(panorama(), **{**WHOLE, "FullPanoHeightPixels": 700}), "contradicts its 1,024 x 512 pixels"),
        (with_fields(panorama(), **{**WHOLE, "CroppedAreaLeftPixels": 30}), "contradicts"),
        (with_fields(panorama(), **{**WHOLE, "CroppedAreaTopPixels": -30}), "contradicts"),
        (with_fields(panorama(), **fields_of(1024, (0, 100, 1024, 412))), "contradicts"),
        (with_fields(panorama(), FullPanoWidthPixels=1024), "GPano without FullPanoHeightPixels"),
        (panorama()[:3000], "cannot be decoded"),
        (b"no picture", "cannot be decoded"),
        (b"", "cannot be decoded"),
        (b"RIFF____WEBPVP8 ", "cannot be decoded"),
    ],
)
def test_a_panorama_that_contradicts_itself_is_refused(picture, message):
    with pytest.raises(FormatError, match=message):
        decoded(picture, SPHERE, [VIEW])


def test_a_picture_of_too_many_pixels_is_not_decoded(monkeypatch):
    monkeypatch.setattr(source, "MOST_PIXELS", 1024 * 512 - 1)
    with pytest.raises(FormatError, match="1,024 by 512 pixels is not decoded"):
        decoded(panorama(), SPHERE, [VIEW])


def test_a_flat_picture_stored_on_its_side_is_turned():
    upright = np.zeros((40, 30, 3), dtype=np.uint8)
    upright[:10] = 250
    stored = Image.fromarray(np.rot90(upright))  # shown upright by turning it clockwise
    exif = Image.Exif()
    exif[0x0112] = 6
    written = io.BytesIO()
    stored.save(written, "JPEG", exif=exif)
    found = decoded(written.getvalue(), Lens("perspective", 0.8, 0.0, 0.0), [VIEW]).source
    assert (found.width, found.height) == (30, 40)
    assert (found.pixels[2:6, 5:-5] & 255).min() > 200
    assert (found.pixels[-6:-2, 5:-5] & 255).max() < 50


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_pictures_in_other_colours_become_red_green_and_blue(mode):
    written = io.BytesIO()
    Image.new("RGB", (64, 32), (120, 120, 120)).convert(mode).save(written, "JPEG")
    made, _ = sample(decoded(written.getvalue(), SPHERE, [VIEW]).source, NORTH, VIEW)
    assert np.abs(made.astype(int) - 120).max() < 6
