"""
The EXIF tags that a photo's place and time stand in: a walk over its TIFF directories.

Three directories at most are read: the first, and the EXIF and GPS directories it points to. Each is
walked once, nothing else is followed, so that no file can make the walk long. Format: TIFF 6.0, section 2;
tags: Exif 2.32 (CIPA DC-008), 4.6.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

DESCRIPTION, MAKE, MODEL, ORIENTATION = 0x010E, 0x010F, 0x0110, 0x0112
IMAGE_WIDTH, IMAGE_HEIGHT, PIXEL_WIDTH, PIXEL_HEIGHT = 0x0100, 0x0101, 0xA002, 0xA003
DATE_TIME, ORIGINAL, DIGITIZED = 0x0132, 0x9003, 0x9004
OFFSET_TIME, OFFSET_ORIGINAL, OFFSET_DIGITIZED = 0x9010, 0x9011, 0x9012
SUBSEC, SUBSEC_ORIGINAL, SUBSEC_DIGITIZED = 0x9290, 0x9291, 0x9292
BODY_SERIAL, LENS_SERIAL, CAMERA_SERIAL = 0xA431, 0xA435, 0xC62F
LENS_MAKE, LENS_MODEL = 0xA433, 0xA434
EXIF_DIRECTORY, GPS_DIRECTORY = 0x8769, 0x8825

LATITUDE_REF, LATITUDE, LONGITUDE_REF, LONGITUDE, ALTITUDE_REF, ALTITUDE = range(1, 7)
GPS_TIME, TRACK, DIRECTION, GPS_DATE = 7, 15, 17, 29

# Some phones write tags of the EXIF directory into the first one, so both are searched for all.
_PICTURE_TAGS = frozenset({
    DESCRIPTION, MAKE, MODEL, ORIENTATION, IMAGE_WIDTH, IMAGE_HEIGHT, PIXEL_WIDTH, PIXEL_HEIGHT,
    DATE_TIME, ORIGINAL, DIGITIZED, OFFSET_TIME, OFFSET_ORIGINAL, OFFSET_DIGITIZED,
    SUBSEC, SUBSEC_ORIGINAL, SUBSEC_DIGITIZED, BODY_SERIAL, LENS_SERIAL, CAMERA_SERIAL,
    LENS_MAKE, LENS_MODEL, EXIF_DIRECTORY, GPS_DIRECTORY,
})  # fmt: skip
_GPS_TAGS = frozenset({
    LATITUDE_REF, LATITUDE, LONGITUDE_REF, LONGITUDE, ALTITUDE_REF, ALTITUDE, GPS_TIME, TRACK, DIRECTION, GPS_DATE,
})  # fmt: skip

_ASCII, _UNDEFINED, _UTF8 = 2, 7, 129
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}
_LETTERS = {1: "B", 3: "H", 4: "I", 5: "II", 6: "b", 7: "B", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d", 13: "I"}
_MOST_NUMBERS = 8  # the longest list of numbers that any tag above holds is four


class Field(NamedTuple):
    """A tag's value before it is decoded: TIFF type, number of values, and where its bytes start."""

    type: int
    length: int
    start: int


class Tags:
    """
    The tags of an EXIF segment.

    Parameters
    ----------
    data
        The segment from its TIFF header on.

    Attributes
    ----------
    problem
        The first thing that is wrong with the segment; None where nothing is.
    broken
        Whether it is so wrong that none of it could be read.
    """

    __slots__ = ("_data", "_order", "broken", "gps", "picture", "problem")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.problem: str | None = None
        self.broken = True
        self.picture: dict[int, Field] = {}
        self.gps: dict[int, Field] = {}
        self._order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4], "")
        if not self._order or len(data) < 8:
            self.problem = "the EXIF segment does not start as one" if data else "the EXIF segment is empty"
            return
        first = self._directory(struct.unpack_from(f"{self._order}I", data, 4)[0], _PICTURE_TAGS)
        self.broken = not first
        pointed = self._pointed(first, EXIF_DIRECTORY, _PICTURE_TAGS)
        self.picture = {**first, **pointed}
        self.gps = self._pointed(first if GPS_DIRECTORY in first else pointed, GPS_DIRECTORY, _GPS_TAGS)
        for name in (MAKE, MODEL, ORIENTATION, DESCRIPTION, DATE_TIME, IMAGE_WIDTH, IMAGE_HEIGHT):
            if name in first:  # these belong there, and an EXIF directory that repeats them is the odd one
                self.picture[name] = first[name]

    def _pointed(self, directory: dict[int, Field], tag: int, wanted: frozenset[int]) -> dict[int, Field]:
        field = directory.get(tag)
        if field is None:
            return {}
        if field.type not in (4, 13) or not field.length:
            return self._complain(f"the pointer to the {_NAMES[tag]} tags is of the wrong type")
        return self._directory(struct.unpack_from(f"{self._order}I", self._data, field.start)[0], wanted)

    def _directory(self, offset: int, wanted: frozenset[int]) -> dict[int, Field]:
        data = self._data
        if not 8 <= offset <= len(data) - 2:
            return self._complain("a directory of tags lies outside the EXIF segment")
        (count,) = struct.unpack_from(f"{self._order}H", data, offset)
        room = (len(data) - offset - 2) // 12
        if count > room:
            self._complain("a directory of tags is cut off")
            count = room
        fields: dict[int, Field] = {}
        start = offset + 2
        entries = data[start : start + 12 * count]
        for tag, kind, number, value in struct.iter_unpack(f"{self._order}HHII", entries):
            if tag in wanted and tag not in fields:
                size = _SIZES.get(kind)
                if size is None:
                    self._complain(f"tag 0x{tag:04x} is of an unknown type ({kind})")
                elif size * number <= 4:
                    fields[tag] = Field(kind, number, start + 8)
                elif value + size * number <= len(data):
                    fields[tag] = Field(kind, number, value)
                else:
                    self._complain(f"the value of tag 0x{tag:04x} lies outside the EXIF segment")
            start += 12
        return fields

    def _complain(self, problem: str) -> dict[int, Field]:
        self.problem = self.problem or problem
        return {}

    def text(self, field: Field | None, *, strip: bool = True) -> str | None:
        """Return a text up to its first NUL, without spaces around it; None where there is none."""
        if field is None:
            return None
        if field.type not in (_ASCII, _UNDEFINED, _UTF8, 1):
            numbers = self.numbers(field)
            return str(numbers[0][0]) if len(numbers) == 1 and numbers[0][1] == 1 else None
        raw = self._data[field.start : field.start + field.length].partition(b"\0")[0]
        if not raw.strip():
            return None
        raw = raw.strip() if strip else raw
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw.decode("latin-1")

    def numbers(self, field: Field | None) -> list[tuple[int, int]]:
        """Return numbers as fractions (numerator, denominator); (0, 0) where a float is none."""
        if field is None or field.type not in _LETTERS:
            return []
        count = min(field.length, _MOST_NUMBERS)
        letters = _LETTERS[field.type]
        values = struct.unpack_from(self._order + letters * count, self._data, field.start)
        if len(letters) == 2:
            return list(zip(values[::2], values[1::2], strict=True))
        if field.type in (11, 12):
            return [value.as_integer_ratio() if abs(value) < float("inf") else (0, 0) for value in values]
        return [(value, 1) for value in values]

    def whole(self, field: Field | None) -> int | None:
        """Return the first number, if it is whole."""
        numbers = self.numbers(field)
        return numbers[0][0] // numbers[0][1] if numbers and numbers[0][1] else None

    def real(self, field: Field | None) -> float | None:
        """Return the first number; None where there is none, or 0/0."""
        numbers = self.numbers(field)
        return numbers[0][0] / numbers[0][1] if numbers and numbers[0][1] else None


_NAMES = {EXIF_DIRECTORY: "EXIF", GPS_DIRECTORY: "GPS"}
