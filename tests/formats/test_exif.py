"""EXIF blocks of pictures that have none: made by piexif, and extended by our own code like those of cameras."""

import piexif
import pytest

from mlygeo.formats import exif, tiff
from mlygeo.formats.exif import ASCII, BYTE, EXIF, GPS, IFD0, LONG, RATIONAL, SHORT, TABLE, UNDEFINED

NAMES = {IFD0: "0th", EXIF: "Exif", GPS: "GPS"}
POINTERS = {"ExifOffset", "GPSInfo", "InteropOffset"}
VALUES = {
    ASCII: "Straße, 東京",
    BYTE: b"\x02\x03\x00\x00",
    SHORT: 65_535,
    LONG: 4_294_967_295,
    RATIONAL: ((48, 1), (46, 1), (123_456, 10_000)),
    UNDEFINED: b"\0" * 8 + b"{}",
}


def block_of(names):
    values = {name: VALUES[TABLE[name].type] for name in names}
    segment = exif.new_segment(values)
    assert segment[:6] == b"Exif\0\0"
    return values, segment[6:]


@pytest.mark.parametrize("name", sorted(TABLE.keys() - POINTERS))
def test_piexif_knows_each_tag_by_the_same_type(name):
    tag = TABLE[name]
    assert piexif.TAGS[NAMES[tag.directory]][tag.number]["type"] == tag.type


@pytest.mark.parametrize(
    "names",
    [
        ["Make"],
        ["Orientation"],
        ["DateTimeOriginal", "UserComment"],
        ["ExifImageWidth", "GPSAltitudeRef"],  # no value stands outside of its directory
        ["GPSLatitude", "GPSLatitudeRef"],
        ["ImageDescription", "Artist", "UserComment", "OffsetTimeOriginal", "GPSLatitude", "GPSImgDirection"],
    ],
)
def test_what_is_there_is_written_again_in_its_place(names):
    values, before = block_of(names)
    block = tiff.Block(before)
    wanted = {}
    for name, value in values.items():
        tag = TABLE[name]
        encoded = exif.encode(name, value, block.order)
        assert block.value(tag.directory, tag.number) == encoded.raw
        wanted.setdefault(tag.directory, {})[tag.number] = encoded
    block.extend(wanted)
    assert bytes(block) == before


def test_what_comes_later_leaves_what_is_there():
    values, before = block_of(["Make", "DateTimeOriginal", "GPSLatitude"])
    block = tiff.Block(before)
    more = {"Model": "X100", "UserComment": VALUES[UNDEFINED], "GPSLongitude": VALUES[RATIONAL]}
    wanted = {
        TABLE[name].directory: {TABLE[name].number: exif.encode(name, value, block.order)}
        for name, value in more.items()
    }
    block.extend(wanted)
    read = piexif.load(b"Exif\0\0" + bytes(block))
    for name, value in (values | more).items():
        found = read[NAMES[TABLE[name].directory]][TABLE[name].number]
        assert found == (value.encode() if isinstance(value, str) else value), name
