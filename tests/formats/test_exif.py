"""EXIF blocks of pictures that have none: made by piexif, laid out anew, and extended like those of cameras."""

import struct

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
    return values, tiff.laid_out(segment[6:])


@pytest.mark.parametrize("name", sorted(TABLE.keys() - POINTERS))
def test_piexif_knows_each_tag_by_the_same_type(name):
    tag = TABLE[name]
    assert piexif.TAGS[NAMES[tag.directory]][tag.number]["type"] == tag.type


SOME = [
    ["Make"],
    ["Orientation"],
    ["DateTimeOriginal", "UserComment"],
    ["ExifImageWidth", "GPSAltitudeRef"],  # no value stands outside of its directory
    ["GPSLatitude", "GPSLatitudeRef"],
    ["ImageDescription", "Artist", "UserComment", "OffsetTimeOriginal", "GPSLatitude", "GPSImgDirection"],
]


@pytest.mark.parametrize("names", SOME)
def test_directories_and_values_of_a_new_block_lie_one_after_another(names):
    """Each directory ends with a pointer of zero, nothing overlaps, and every offset is even."""
    _, made = block_of(names)
    order = ">"
    assert made[:4] == b"MM\0*"
    used, directories = [(0, 8)], [int.from_bytes(made[4:8], "big")]
    while directories:
        start = directories.pop()
        (count,) = struct.unpack_from(f"{order}H", made, start)
        end = start + 2 + 12 * count
        assert made[end : end + 4] == bytes(4)
        used.append((start, end + 4))
        entries = list(struct.iter_unpack(f"{order}HHII", made[start + 2 : end]))
        assert [entry[0] for entry in entries] == sorted(entry[0] for entry in entries)
        for tag, kind, number, offset in entries:
            if tag in tiff.POINTERS.values():
                directories.append(offset)
            elif (size := tiff.SIZES[kind] * number) > 4:
                used.append((offset, offset + size + size % 2))
    used.sort()
    assert all(start % 2 == 0 for start, _ in used)
    assert [end for _, end in used] == [*(start for start, _ in used[1:]), len(made)]


@pytest.mark.parametrize("names", SOME)
def test_a_new_block_has_the_values_that_piexif_writes(names):
    values, made = block_of(names)
    ours = piexif.load(b"Exif\0\0" + made)
    given = {name: {} for name in NAMES.values()}
    for name, value in values.items():
        tag = TABLE[name]
        given[NAMES[tag.directory]][tag.number] = value.encode() if isinstance(value, str) else value
    theirs = piexif.load(piexif.dump(given))
    pointers = {TABLE[name].number for name in POINTERS}
    for name in NAMES.values():
        assert {t: v for t, v in ours[name].items() if t not in pointers} == {
            t: v for t, v in theirs[name].items() if t not in pointers
        }


@pytest.mark.parametrize("names", SOME)
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
