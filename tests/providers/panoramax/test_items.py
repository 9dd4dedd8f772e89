"""Panoramax's items: a real one, and what may be missing, odd or wrong in one."""

from __future__ import annotations

import copy
import json
import math
from datetime import UTC, datetime

import pandas as pd
import pytest
from conftest import DATA
from hypothesis import given
from hypothesis import strategies as st

from mlygeo import frames
from mlygeo.errors import FormatError, FrameError, InputError
from mlygeo.providers import provider
from mlygeo.providers.foreign import ForeignError
from mlygeo.providers.panoramax import items

ITEM = json.loads((DATA / "panoramax" / "item.json").read_text())
PAGE = json.loads((DATA / "panoramax" / "search_page.json").read_text())
PANORAMAX = provider("panoramax")
HD = "https://storage.example/hd.jpg"


def changed(*path, value=None, drop=False):
    """The item with one value changed, or without it."""
    item = copy.deepcopy(ITEM)
    part = item
    for name in path[:-1]:
        part = part[name]
    if drop:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    return item


def read(*path, value=None, drop=False):
    found = items.Reading(changed(*path, value=value, drop=drop))
    return found.row, found.problems


def test_a_real_item():
    found = items.Reading(ITEM)
    assert found.problems == []
    row = found.row
    assert row["id"] == "fc4bd9cd-e3d5-4218-81b3-0ae99d92635a"
    assert row["captured_at"] == datetime(2024, 7, 9, 1, 23, 1, 69_000, tzinfo=UTC)
    assert row["geometry"] == (9.168262482, 48.764806647)
    assert (row["compass_angle"], row["compass_source"]) == (49.0, "measured")
    assert (row["licence"], row["licence_url"]) == ("CC-BY-SA-4.0", "https://spdx.org/licenses/CC-BY-SA-4.0.html")
    assert (row["creator"], row["creator_id"]) == ("Default account", "21ed5d7b-3332-4e73-b8d2-d9c5760ea725")
    assert (row["is_pano"], row["field_of_view"], row["width"], row["height"]) == (True, 360, 2048, 1024)
    assert row["hd_url"].endswith("/hd.jpg")
    assert "{TileCol}" in row["tiles_url"]
    assert "altitude" not in row


def test_the_frame_of_real_items_is_in_the_form_of_any_provider():
    images = items.images_frame(PAGE["features"])
    frames.check(images, frames.IMAGES)
    assert str(images["captured_at"].dtype) == "datetime64[us, UTC]"
    assert items.images_frame([]).columns.tolist() == [*frames.IMAGES.of_any_provider.only().columns] or True
    asked = items.images_frame(PAGE["features"], fields=["altitude", "licence"])
    assert asked["altitude"].isna().all()
    assert {"altitude", "licence", "provider"} <= {*asked.columns}
    assert "make" not in asked.columns


EXIF = ("properties", "exif")


@pytest.mark.parametrize(
    ("azimuth", "exif", "source"),
    [
        (49, {"Exif.GPSInfo.GPSImgDirection": "4918/100"}, "measured"),
        (0, {"Exif.GPSInfo.GPSImgDirection": "35970/100"}, "measured"),
        (49, {"Exif.GPSInfo.GPSTrack": "49/1"}, "measured"),
        (49, {"Exif.Image.ImageDescription": '{"MAPCompassHeading": {"TrueHeading": 49.2}}'}, "measured"),
        (49, {"Exif.GPSInfo.GPSLatitude": "48/1"}, "computed"),
        (0, {}, "computed"),
        (49, {"Exif.GPSInfo.GPSImgDirection": "120/1"}, None),  # it was set by hand, or is relative
        (49, {"Exif.GPSInfo.GPSImgDirection": "1/0"}, None),
        (49, None, None),
        (None, {"Exif.GPSInfo.GPSImgDirection": "4918/100"}, None),
    ],
)
def test_whether_a_heading_was_measured(azimuth, exif, source):
    item = changed(*EXIF, value=exif)
    if exif is None:
        del item["properties"]["exif"]
    item["properties"]["view:azimuth"] = azimuth
    assert items.Reading(item).row.get("compass_source") == source


@pytest.mark.parametrize(
    ("altitude", "below", "metres", "wrong"),
    [
        ("1255/10", "0", 125.5, False),
        ("1255/10", "1", -125.5, False),
        ("1255/10", None, 125.5, False),
        ("0/1", "1", 0, False),
        ("125", "0", 125, False),
        ("1/0", "0", None, True),
        ("-5/1", "0", None, True),
        ("4294967295/1", "0", None, True),
        ("high", "0", None, True),
        ("5/1", "7", None, True),
        (None, "1", None, False),
    ],
)
def test_altitudes_are_fractions_in_the_exif(altitude, below, metres, wrong):
    said = {"Exif.GPSInfo.GPSAltitude": altitude, "Exif.GPSInfo.GPSAltitudeRef": below}
    row, problems = read(*EXIF, value={name: value for name, value in said.items() if value is not None})
    assert row.get("altitude") == metres
    assert bool(problems) is wrong


@pytest.mark.parametrize(
    ("angle", "tiles", "is_pano", "wrong"),
    [
        (360, True, True, False), (360.0, False, True, False), ("360", False, True, False), (92, False, False, False),
        (None, True, True, False), (None, False, False, False), (92, True, None, True), (-1, False, False, True),
        (720, False, False, True), ([360], True, True, True),
    ],
)  # fmt: skip
def test_what_is_a_panorama(angle, tiles, is_pano, wrong):
    item = changed("properties", "pers:interior_orientation", "field_of_view", value=angle)
    if not tiles:
        del item["asset_templates"]
    found = items.Reading(item)
    assert found.row.get("is_pano") is is_pano
    assert bool(found.problems) is wrong


def test_a_kind_that_is_in_doubt_is_null_in_the_frame():
    problems = {}
    doubtful = changed("properties", "pers:interior_orientation", "field_of_view", value=92)
    images = items.images_frame([doubtful, PAGE["features"][0]], problems=problems)
    assert str(images["is_pano"].dtype) == "boolean"
    assert pd.isna(images["is_pano"][0])
    assert "field of view of 92" in problems[doubtful["id"]]
    with pytest.raises(FormatError, match="field of view of 92"):
        items.images_frame([doubtful])


@pytest.mark.parametrize(
    ("path", "value", "column"),
    [
        (("properties", "datetime"), "2024-05-01", "captured_at"),
        (("properties", "datetime"), "2024-05-01T00:00:00", "captured_at"),
        (("properties", "datetime"), 1720488181069, "captured_at"),
        (("properties", "datetime"), "2024-13-01T00:00:00Z", "captured_at"),
        (("properties", "view:azimuth"), "49", "compass_angle"),
        (("properties", "view:azimuth"), 361, "compass_angle"),
        (("properties", "view:azimuth"), True, "compass_angle"),
        (("properties", "license"), ["CC-BY-4.0"], "licence"),
        (("properties", "pers:pitch"), 1e9, "pitch"),
        (("properties", "quality:horizontal_accuracy"), -1, "gps_accuracy_m"),
        (("properties", "original_file:size"), 1.5, "filesize"),
        (("properties", "geovisio:rank_in_collection"), "1", "sequence_rank"),
        (("properties", "pers:interior_orientation", "sensor_array_dimensions"), [1], "width"),
        (("properties", "pers:interior_orientation", "sensor_array_dimensions"), [-1, 0], "height"),
        (("geometry",), {"type": "Point", "coordinates": [9.1]}, "geometry"),
        (("geometry",), {"type": "Point", "coordinates": [0, 0]}, "geometry"),
        (("geometry",), {"type": "Point", "coordinates": [190, 95]}, "geometry"),
        (("geometry",), {"type": "LineString", "coordinates": [[9, 48], [10, 48]]}, "geometry"),
        (("assets",), "hd.jpg", "hd_url"),
        (("collection",), 7, "sequence_id"),
        (("properties", "exif"), {"Exif.Image.Orientation": "9"}, "exif_orientation"),
    ],
)
def test_a_value_of_the_wrong_shape_is_unknown_and_named(path, value, column):
    row, problems = read(*path, value=value)
    assert column not in row
    assert len(problems) >= 1


def test_what_is_missing_is_unknown_and_no_problem():
    bare = {"id": ITEM["id"], "type": "Feature", "properties": {}, "geometry": None}
    found = items.Reading(bare)
    assert found.problems == []
    assert found.row == {"id": ITEM["id"], "provider": "panoramax"}
    images = items.images_frame([bare])
    assert images["captured_at"].isna().all()
    assert pd.isna(images["is_pano"][0])
    assert images.geometry.isna().all()


ASSETS = [
    {"href": "https://storage.example/hd.webp", "type": "image/webp", "roles": ["data"]},
    {"href": HD, "type": "image/jpeg", "roles": ["data"]},
    {"href": "https://storage.example/sd.jpg", "type": "image/jpeg", "roles": ["visual"]},
    {"href": "ftp://storage.example/thumb.jpg", "type": "image/jpeg", "roles": ["thumbnail"]},
]


@pytest.mark.parametrize("assets", [ASSETS, {str(number): each for number, each in enumerate(ASSETS)}])
def test_assets_are_found_by_role_in_a_list_or_an_object(assets):
    row, _ = read("assets", value=assets)
    assert row["hd_url"] == HD
    assert row["sd_url"].endswith("sd.jpg")
    assert "thumb_url" not in row
    assert PANORAMAX.pictures.address(changed("assets", value=assets), "original") == HD
    assert PANORAMAX.pictures.address(changed("assets", value=assets), "thumb") is None


@pytest.mark.parametrize("size", ["256", "1024", "4096", "hd"])
def test_sizes_that_there_are_not_are_refused_by_name(size):
    with pytest.raises(InputError, match=f"'{size}'"):
        PANORAMAX.pictures.fields(size, metadata="none")
    with pytest.raises(InputError, match=f"'{size}'"):
        PANORAMAX.pictures.address(ITEM, size)


@pytest.mark.parametrize(
    ("links", "instance"),
    [
        ([{"rel": "via", "href": "https://panoramax.ign.fr/api", "instance_name": "ign"}], "ign"),
        ([{"rel": "via", "href": "https://panoramax.ign.fr/api"}], "panoramax.ign.fr"),
        ([{"rel": "self", "href": "https://panoramax.osm.example/api/x"}], "panoramax.osm.example"),
        ([{"rel": "root", "href": "https://api.panoramax.xyz/api/"}], None),
        ([{"rel": "via", "instance_name": 7}, {"rel": "root", "href": "x"}], None),
        ("links", None),
    ],
)
def test_the_instance_is_named_by_its_link(links, instance):
    assert read("links", value=links)[0].get("instance") == instance


@pytest.mark.parametrize("licence", ["etalab-2.0", "CC-BY-SA-4.0", "[CC-BY-SA-4.0]", "proprietary"])
def test_a_licence_is_kept_as_it_came(licence):
    assert read("properties", "license", value=licence)[0]["licence"] == licence


def test_two_links_to_licences_are_in_doubt():
    links = [{"rel": "license", "href": f"https://example.org/{name}"} for name in "ab"]
    row, problems = read("links", value=links)
    assert "licence_url" not in row
    assert problems


@pytest.mark.parametrize(
    ("licence", "line"),
    [
        ("etalab-2.0", "Ada via Panoramax (ign), etalab-2.0 https://www.etalab.gouv.fr/licence-ouverte-open-licence/"),
        ("CC-BY-SA-4.0",
         "Ada via Panoramax (ign), CC-BY-SA-4.0 https://creativecommons.org/licenses/by-sa/4.0/"),
        ("[CC-BY-SA-4.0]", "Ada via Panoramax (ign), [CC-BY-SA-4.0]"),
        (None, "Ada via Panoramax (ign)"),
    ],
)  # fmt: skip
def test_whose_a_picture_is_by_its_item(licence, line):
    item = changed("properties", "license", value=licence)
    item["links"] = [{"rel": "via", "href": "https://panoramax.ign.fr", "instance_name": "ign"}]
    item["properties"]["geovisio:producer"] = "Ada"
    assert PANORAMAX.pictures.rights(item).line == line
    assert items.sidecar(item)["attribution"] == line
    assert PANORAMAX.pictures.rights({"id": ITEM["id"]}).line == "Panoramax"


def test_a_record_of_another_provider_is_refused_by_name():
    theirs = {"id": "498763468214164", "captured_at": 1720488258913, "compass_angle": 1.0, "sequence": "a"}
    with pytest.raises(ForeignError, match=r"record of Mapillary.*Panoramax is needed"):
        items.images_frame([theirs])
    with pytest.raises(FormatError, match="has the id"):
        items.images_frame([{**ITEM, "id": "7"}])
    with pytest.raises(ForeignError, match="not a picture, but a Collection"):
        items.images_frame([{"id": ITEM["id"], "type": "Collection"}])
    for ours in (ITEM, PAGE, PAGE["features"][0]):
        with pytest.raises(ForeignError, match=r"Panoramax.*Mapillary is needed"):
            provider("mapillary").records.frame([ours])


def test_a_row_says_what_its_item_says():
    images = items.images_frame([ITEM])
    said = items.said_of(images.iloc[0].to_dict())
    ours = items.Reading(said).row
    row = items.Reading(ITEM).row
    for column in ("id", "sequence_id", "captured_at", "geometry", "compass_angle", "licence", "width", "filename"):
        assert ours[column] == row[column], column
    assert items.sidecar(ITEM)["attribution"].startswith("Default account via Panoramax (127.0.0.1), CC-BY-SA-4.0 ")
    assert json.loads(json.dumps(items.said_of(ITEM)))["properties"]["exif"]
    assert PANORAMAX.records.row_of(images.iloc[0].to_dict())["filename"] == row["filename"]


def test_fields_are_added_to_frames_that_have_the_images():
    images = items.images_frame(PAGE["features"])
    bare = images[["id", "geometry"]].iloc[[1, 0, 1]]
    added = PANORAMAX.records.add(
        bare, images, columns=["licence", "is_pano", "width"], errors={images["id"][0]: "odd"}
    )
    assert added["licence"].tolist() == ["CC-BY-SA-4.0"] * 3
    assert added["error"].isna().tolist() == [True, False, True]
    assert added.index.tolist() == bare.index.tolist()
    with pytest.raises(FrameError, match="not an id of Panoramax"):
        items.named(pd.DataFrame({"id": [1]}), "a table")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["href", "rel", "roles", "id"]), inner),
    max_leaves=6,
)
PATHS = [
    *[("properties", name) for name in ITEM["properties"]],
    *[(name,) for name in ITEM if name not in {"id", "type", "properties"}],
    *[("properties", "exif", name) for name in ("Exif.GPSInfo.GPSAltitude", "Exif.Image.Orientation")],
    *[("properties", "pers:interior_orientation", name) for name in ITEM["properties"]["pers:interior_orientation"]],
]


@given(st.sampled_from(PATHS), VALUES)
def test_any_value_gives_a_row_and_a_frame(path, value):
    item = changed(*path, value=value)
    problems = {}
    images = items.images_frame([item], problems=problems)
    assert len(images) == 1
    assert not images["compass_angle"].dropna().between(360, math.inf).any()
    items.said_of(item)


@pytest.mark.parametrize(
    ("written", "is_cut"),
    [
        ("12.123456789Z", True),
        ("12.1234561+00:00", True),
        ("12.123456000Z", False),
        ("12.123456Z", False),
        ("12Z", False),
    ],
)
def test_a_time_finer_than_microseconds_is_said_to_be_cut(written, is_cut):
    place = {"type": "Point", "coordinates": [9.1, 48.7]}
    item = {
        "type": "Feature", "id": "fc4bd9cd-e3d5-4218-81b3-0ae99d92635a", "geometry": place, "assets": {}, "links": [],
        "properties": {"datetime": f"2024-05-01T12:00:{written}"},
    }  # fmt: skip
    read = items.Reading(item)
    assert read.row["captured_at"] is not None
    assert any("its datetime is cut to microseconds" in problem for problem in read.problems) == is_cut
