"""The files of views: what ExifTool, mlygeo's own reader and viewers of panoramas read from them."""

from __future__ import annotations

import io
import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from helpers.exiftool_oracle import ExifTool
from helpers.panoramas import images_of
from PIL import Image, ImageCms

import mlygeo
from mlygeo.formats import jpeg, xmp
from mlygeo.perspective.files import encoded, tags_of
from mlygeo.spatial.views import plan_views

PIXELS = np.random.default_rng(6).integers(0, 256, (48, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def exiftool():
    with ExifTool() as tool:
        yield tool


def file_of(images, tmp_path, **options):
    options = {"directions": "left", "width": 64, "height": 48, **options}
    planned = plan_views(images, **options)
    path = tmp_path / "view.jpg"
    path.write_bytes(encoded(PIXELS, tags_of(planned.iloc[0].to_dict()), quality=90))
    return path


def of_panoramax(**more):
    texts = {
        "id": "11f4d0ab-0c4c-4e3a-b0a5-bd4e7a4b4d3b", "provider": "panoramax", "instance": "panoramax.ign.fr",
        "creator": "Zoé", "licence": "CC-BY-SA-4.0", "licence_url": "https://spdx.org/licenses/CC-BY-SA-4.0.html",
    }  # fmt: skip
    columns = {name: pd.Series([text], dtype="str") for name, text in texts.items()}
    return images_of(1, **columns, pitch=np.array([2.0]), roll=np.array([-1.0]), **more).drop(
        columns="creator_username"
    )


def test_exiftool_reads_what_a_view_is(exiftool, tmp_path):
    read = exiftool.read(file_of(images_of(1), tmp_path, fov=80, pitch=12.5))
    assert read["GPS:GPSImgDirection"] == 300
    assert read["GPS:GPSImgDirectionRef"] == "T"
    assert (read["Composite:GPSLongitude"], read["Composite:GPSLatitude"]) == pytest.approx((9.17, 48.77))
    assert read["GPS:GPSAltitude"] == 250
    assert read["ExifIFD:DateTimeOriginal"] == "2024:06:30 14:00:00"
    assert read["ExifIFD:OffsetTimeOriginal"] == "+02:00"
    assert read["ExifIFD:FocalLength"] == pytest.approx(18 / np.tan(np.radians(40)), abs=1e-4)
    assert read["Composite:FOV"] == pytest.approx(80, abs=1.5)  # of the focal length in whole millimetres
    assert read["ExifIFD:FocalLengthIn35mmFormat"] == round(18 / np.tan(np.radians(40)))
    assert (read["ExifIFD:ExifImageWidth"], read["ExifIFD:ExifImageHeight"]) == (64, 48)
    assert read["IFD0:Artist"] == read["XMP-dc:Creator"] == "jane"
    assert read["IFD0:Copyright"] == read["XMP-dc:Rights"]
    assert "Mapillary contributor jane, CC BY-SA 4.0" in read["IFD0:Copyright"]
    assert read["XMP-cc:License"] == "https://creativecommons.org/licenses/by-sa/4.0/"
    assert read["IFD0:ImageDescription"] == "Perspective view cut from image 500 of Mapillary, left"
    assert (read["XMP-GPano:PoseHeadingDegrees"], read["XMP-GPano:PosePitchDegrees"]) == (300, 12.5)
    said = json.loads(read["ExifIFD:UserComment"])
    assert (said["view_of"], said["view"], said["field_of_view"], said["source_heading"]) == ("500", "left", 80, 0)
    assert "tilt" in said["warning"]


def test_exiftool_finds_the_structure_of_a_view_valid(exiftool, tmp_path):
    assert exiftool.faults(file_of(images_of(1), tmp_path, fov=80, pitch=12.5)) == []


def test_a_picture_of_another_provider_keeps_its_own_owner_and_licence(exiftool, tmp_path):
    computed = pd.Series(["computed"], dtype="str")
    read = exiftool.read(file_of(of_panoramax(compass_source=computed), tmp_path))
    assert read["IFD0:Artist"] == read["XMP-dc:Creator"] == "Zoé"
    assert read["IFD0:Copyright"].startswith("Zoé via Panoramax (panoramax.ign.fr), CC-BY-SA-4.0")
    assert read["XMP-xmpRights:UsageTerms"].startswith("CC-BY-SA-4.0")
    assert read["GPS:GPSImgDirection"] == 300
    assert json.loads(read["ExifIFD:UserComment"])["tilt_source"] == "pitch and roll"


def test_no_viewer_takes_a_view_for_a_panorama(tmp_path):
    """
    Viewers go by the fields of the whole panorama, and by the type of projection.

    Mapillary's went by FullPanoWidthPixels; Pannellum, Photo Sphere Viewer and Google by the projection and the crop.
    Google's documentation has UsePanoramaViewer=False for a picture that is to be shown as a flat one.
    """
    with file_of(images_of(1), tmp_path).open("rb", buffering=0) as file:
        packet = jpeg.read_head(file).xmp
    properties, problem = xmp.read_properties(packet)
    assert problem is None
    of_gpano = {name for name in properties if name.startswith("GPano:")}
    assert of_gpano == {
        f"GPano:{name}" for name in ("UsePanoramaViewer", "PoseHeadingDegrees", "PosePitchDegrees", "PoseRollDegrees")
    }
    assert properties["GPano:UsePanoramaViewer"] == "False"
    assert not xmp.Properties(packet).is_panorama()


def test_mlygeo_reads_a_view_as_a_flat_photo_that_looks_where_it_does(tmp_path):
    file_of(images_of(1), tmp_path)
    read = mlygeo.read_photos(tmp_path)
    assert read["compass_angle"].tolist() == [300.0]
    assert read["is_pano"].tolist() == [False]
    assert read["error"].isna().all()
    assert read["warning"].isna().all()
    assert read["captured_at"].dt.tz_convert("UTC").tolist() == [pd.Timestamp("2024-06-30T12:00:00Z")]


@pytest.mark.parametrize("heading", [0.0, 359.99999, 123.456789])
def test_headings_stay_below_a_whole_turn(exiftool, tmp_path, heading):
    images = images_of(1, bearing=np.array([heading]))
    read = exiftool.read(file_of(images, tmp_path, directions="ahead"))
    expected = round(heading, 4) % 360
    assert read["GPS:GPSImgDirection"] == read["XMP-GPano:PoseHeadingDegrees"] == pytest.approx(expected)


def test_the_picture_keeps_its_colours_and_their_profile():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tags = tags_of(plan_views(images_of(1)).iloc[0].to_dict())
    soft = np.repeat(np.repeat(PIXELS[::8, ::8], 8, axis=0), 8, axis=1)
    with Image.open(io.BytesIO(encoded(soft, tags, quality=95, profile=profile))) as picture:
        assert picture.info["icc_profile"] == profile
        assert picture.layer[1][1:3] == (1, 1)  # colours have the resolution of the picture
        assert np.abs(np.asarray(picture).astype(int) - soft).max() < 20


def test_a_view_without_a_time_or_a_creator_says_nothing_of_them(exiftool, tmp_path):
    images = images_of(1).drop(columns=["captured_at", "creator_username", "altitude"])
    read = exiftool.read(file_of(gpd.GeoDataFrame(images), tmp_path))
    assert not {"ExifIFD:DateTimeOriginal", "IFD0:Artist", "GPS:GPSAltitude"} & set(read)
    assert "Mapillary" in read["IFD0:Copyright"]
