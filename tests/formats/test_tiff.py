"""Directories of tags: one that was seen before is no other one."""

import struct

from helpers.made_photos import TAG, dms, text, tiff

from mlygeo.formats.tiff import Fields

MAKE, MODEL = TAG["Make"], TAG["Model"]


def said(data):
    """Return all that is read of a segment."""
    tags = Fields(data)
    return {
        "make": tags.text(tags.picture.get("Make")),
        "model": tags.text(tags.picture.get("Model")),
        "lat": tags.numbers(tags.gps.get("GPSLatitude")),
        "names": sorted(tags.picture) + sorted(tags.gps),
        "problem": tags.problem,
    }


def test_the_same_directory_with_other_values_has_those():
    one = tiff({MAKE: text("GoPro MAX"), MODEL: text("abcdefg")}, gps=dms(48.77, 9.17))
    two = one.replace(b"GoPro MAX", b"Ricoh360X")
    assert said(one)["make"] == "GoPro MAX"
    assert said(two) == {**said(one), "make": "Ricoh360X"}


def test_where_values_end_is_asked_of_each_segment():
    whole = tiff({MAKE: text("GoPro MAX")}, gps=dms(48.77, 9.17))
    for _ in range(2):
        assert said(whole)["problem"] is None
        cut = said(whole[:-8])
        assert cut["problem"] == "the value of tag 0x0004 lies outside the EXIF segment"
        assert cut["lat"] == said(whole)["lat"]
        assert "GPSLongitude" in said(whole)["names"]
        assert "GPSLongitude" not in cut["names"]


def test_of_a_tag_that_is_there_twice_the_first_inside_counts():
    whole = bytearray(tiff({MAKE: text("GoPro MAX"), MODEL: text("HERO11 Black")}))
    struct.pack_into("<H", whole, 8 + 2 + 12, MAKE)  # the second entry is another make
    assert said(bytes(whole))["make"] == "GoPro MAX"
    struct.pack_into("<I", whole, 8 + 2 + 8, 60_000)
    assert said(bytes(whole))["make"] == "HERO11 Black"
    assert said(bytes(whole))["problem"] == "the value of tag 0x010f lies outside the EXIF segment"


def test_the_first_that_is_wrong_is_told():
    data = bytearray(tiff({MAKE: text("GoPro MAX"), MODEL: text("HERO11 Black")}))
    struct.pack_into("<H", data, 8 + 2 + 12 + 2, 99)
    assert said(bytes(data))["problem"] == "tag 0x0110 is of an unknown type (99)"
    struct.pack_into("<I", data, 8 + 2 + 8, 60_000)
    assert said(bytes(data))["problem"] == "the value of tag 0x010f lies outside the EXIF segment"


def test_what_is_added_to_one_photo_is_not_in_the_next():
    whole, more = tiff({MAKE: text("GoPro MAX")}), tiff({MODEL: text("HERO11 Black")})
    tags = Fields(whole)
    assert tags.add(more) == []
    assert tags.text(tags.picture["Model"]) == "HERO11 Black"
    tags.gps["GPSLatitude"] = tags.picture["Model"]
    assert said(whole)["names"] == sorted(["ExifOffset", "GPSInfo", "Make"])
