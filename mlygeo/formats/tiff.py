"""
The directories of tags in an EXIF segment (a TIFF structure): laid out, extended in place, and read.

Extending a directory moves no existing bytes. Maker notes contain offsets of their own, from the start
of the block, in formats that only the maker knows; thumbnails and unknown tags have offsets too. So new
values and longer directories are appended at the end, and a value that fits into the place of the old
one is written there, so that writing twice does not grow a file twice.

Reading visits three directories at most: the first, and the EXIF and GPS directories that it points to.
Each is read once, and no other pointer is followed, so that no file can make the reading long.
Format: TIFF 6.0, section 2.
"""

from __future__ import annotations

import functools
import math
import struct
from typing import TYPE_CHECKING, Literal, NamedTuple

from mlygeo.errors import FormatError
from mlygeo.formats.exif import ASCII, BYTE, EXIF, GPS, IFD0, LONG, RATIONAL, READ, TABLE, UNDEFINED, UTF8, Encoded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

POINTERS = {EXIF: TABLE["ExifOffset"].number, GPS: TABLE["GPSInfo"].number}
"""The tags of the first directory that point to the others."""

LETTERS = {1: "B", 3: "H", 4: "I", 5: "II", 6: "b", 7: "B", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d", 13: "I"}
"""Format of each type's numbers for `struct`."""

SIZES = {ASCII: 1, UTF8: 1, **{kind: struct.calcsize(f"<{letters}") for kind, letters in LETTERS.items()}}
"""Bytes of a value of each type."""

_IFD, _FLOATS = 13, (11, 12)

_TEXTS = frozenset({ASCII, UNDEFINED, UTF8, BYTE})
"""Types whose values may be text."""

HEADERS = {b"II*\0": "<", b"MM\0*": ">"}
"""The first four bytes, and the byte order that they mean."""

_INTEROP = TABLE["InteropOffset"].number

_BLOBS = ((0x0201, 0x0202), (0x0111, 0x0117))  # offset and length of a thumbnail, of a strip

_Wanted = Literal["picture", "gps"]

_WANTED: dict[_Wanted, dict[int, str]] = {
    # Some phones write tags of the EXIF directory into the first one, so both are searched for all tags.
    "picture": {TABLE[name].number: name for name in READ if TABLE[name].directory != GPS},
    "gps": {TABLE[name].number: name for name in READ if TABLE[name].directory == GPS},
}
"""The names of the tags that are read, in the first and the EXIF directory, and in that of GPS."""

# These belong into the first directory; an EXIF directory that repeats them is wrong.
_FIRST_TAGS = ("Make", "Model", "Orientation", "ImageDescription", "ModifyDate", "ImageWidth", "ImageHeight")

_POINTER_NAMES = ("ExifOffset", "GPSInfo")

_MOST_NUMBERS = 8  # no tag that is read has more than four numbers


# Laying out and extending.


class Entry(NamedTuple):
    """One entry of a directory: its tag, type and number of values, and four bytes of value or offset."""

    tag: int
    type: int
    number: int
    field: bytes

    @property
    def size(self) -> int:
        """Bytes of its value; 0 where the type is unknown."""
        return SIZES.get(self.type, 0) * self.number


class Directory(NamedTuple):
    """A directory: where it lies, its entries, where the next one is, and whether there is a place that says so."""

    offset: int
    entries: list[Entry]
    following: int
    ends: bool = True

    @property
    def end(self) -> int:
        """The byte after it."""
        return self.offset + 2 + 12 * len(self.entries) + 4 * self.ends


class Block:
    """
    An EXIF block that can be read, and extended.

    Parameters
    ----------
    data
        The block, from its TIFF header on.

    Raises
    ------
    FormatError
        If it is not a TIFF structure, or its first directory is damaged.
    """

    def __init__(self, data: bytes) -> None:
        order = HEADERS.get(data[:4])
        if order is None or len(data) < 8:
            raise FormatError(f"its EXIF is damaged: it begins with {data[:4].hex(' ') or 'nothing'}")
        self.order = order
        self._data = bytearray(data)
        self._directories = {IFD0: self._read(struct.unpack(f"{order}I", data[4:8])[0], IFD0)}

    def __bytes__(self) -> bytes:
        return bytes(self._data)

    def value(self, directory: str, tag: int) -> bytes | None:
        """Return the bytes of a value, None where the tag is missing or its value lies outside the block."""
        found = self._directory(directory)
        entry = next((entry for entry in found.entries if entry.tag == tag), None) if found else None
        if entry is None:
            return None
        if entry.size <= 4:
            return entry.field[: entry.size]
        start = self._offset(entry)
        return bytes(self._data[start : start + entry.size]) if start + entry.size <= len(self._data) else None

    def encoded(self, directory: str) -> dict[int, Encoded]:
        """Return the values of a directory by tag, but for pointers and what lies outside the block."""
        found, pointers = self._directory(directory), POINTERS.values() if directory == IFD0 else ()
        return {
            entry.tag: Encoded(entry.type, entry.number, raw)
            for entry in (() if found is None else found.entries)
            if entry.tag not in pointers and (raw := self.value(directory, entry.tag)) is not None
        }

    def has(self, directory: str, tag: int) -> bool:
        """Return whether a directory has a tag."""
        found = self._directory(directory)
        return found is not None and any(entry.tag == tag for entry in found.entries)

    def extend(self, wanted: Mapping[str, Mapping[int, Encoded]]) -> None:
        """
        Set values.

        Parameters
        ----------
        wanted
            For each directory ("IFD0", "ExifIFD", "GPS") the values by tag.

        Raises
        ------
        FormatError
            If a directory that has to be changed is damaged.
        """
        first = dict(wanted.get(IFD0, {}))
        for name, pointer in POINTERS.items():
            if wanted.get(name):
                old = self._directory(name) or Directory(0, [], 0)
                new = self._changed(old, wanted[name])
                self._directories[name] = new
                if new.offset != old.offset:
                    first[pointer] = _long(new.offset, self.order)
        if first:
            self._directories[IFD0] = self._changed(self._directories[IFD0], first)
            struct.pack_into(f"{self.order}I", self._data, 4, self._directories[IFD0].offset)

    def _directory(self, name: str) -> Directory | None:
        if name not in self._directories:
            pointer = next((e for e in self._directories[IFD0].entries if e.tag == POINTERS[name]), None)
            if pointer is None:
                return None
            if pointer.type not in {LONG, _IFD} or pointer.number != 1:
                raise FormatError(f"its EXIF is damaged: what should point to {name} has type {pointer.type}")
            self._directories[name] = self._read(self._offset(pointer), name)
        return self._directories[name]

    def _read(self, offset: int, name: str) -> Directory:
        data, order = self._data, self.order
        if offset < 8 or offset + 2 > len(data):
            raise FormatError(f"its EXIF is damaged: {name} at {offset:,} lies outside its {len(data):,} bytes")
        (count,) = struct.unpack_from(f"{order}H", data, offset)
        end = offset + 2 + 12 * count
        if end > len(data):
            raise FormatError(f"its EXIF is damaged: {name} has {count:,} entries, and ends before the last")
        entries = [Entry(*entry) for entry in struct.iter_unpack(f"{order}HHI4s", data[offset + 2 : end])]
        # Some writers leave out the four bytes after the last directory, piexif those after EXIF and GPS.
        begins = {self._offset(entry) for entry in entries if entry.size > 4 or entry.tag in POINTERS.values()}
        if name != IFD0:
            begins |= {
                self._offset(entry) for entry in self._directories[IFD0].entries if entry.tag in POINTERS.values()
            }
        if end + 4 > len(data) or end in begins:
            return Directory(offset, entries, 0, ends=False)
        return Directory(offset, entries, struct.unpack_from(f"{order}I", data, end)[0])

    def _offset(self, entry: Entry) -> int:
        return int(struct.unpack(f"{self.order}I", entry.field)[0])

    def _changed(self, old: Directory, wanted: Mapping[int, Encoded]) -> Directory:
        """Write values and directory, and return the new directory."""
        taken = list(self._taken())
        entries = list(old.entries)
        for tag, value in sorted(wanted.items()):
            there = [number for number, entry in enumerate(entries) if entry.tag == tag]
            if len(value.raw) <= 4:
                field = value.raw.ljust(4, b"\0")
            else:
                field = struct.pack(f"{self.order}I", self._put_value(value.raw, [entries[n] for n in there], taken))
            entry = Entry(tag, value.type, value.number, field)
            if there:
                entries[there[0]] = entry
                entries = [kept for number, kept in enumerate(entries) if number not in there[1:]]
            else:
                # Insert in ascending order, as TIFF requires, but do not reorder existing entries.
                before = next((number for number, other in enumerate(entries) if other.tag > tag), len(entries))
                entries.insert(before, entry)
        return self._put_directory(entries, old, taken)

    def _put_value(self, raw: bytes, there: list[Entry], taken: list[tuple[int, int]]) -> int:
        """Write a value in the place of the old one, if it fits and nothing else lies there, else at the end."""
        if len(there) == 1 and there[0].size >= len(raw):
            start, end = self._offset(there[0]), self._offset(there[0]) + there[0].size
            if self._is_alone(start, end, taken):
                return self._put(raw.ljust(end - start, b"\0"), start)
        return self._put(raw, None)

    def _is_alone(self, start: int, end: int, taken: list[tuple[int, int]]) -> bool:
        """Return whether a stretch lies inside the block, and overlaps no other stretch."""
        meeting = [part for part in taken if part[0] < end and start < part[1]]
        return start >= 8 and end <= len(self._data) and meeting == [(start, end)]

    def _put(self, raw: bytes, place: int | None) -> int:
        if place is None:
            self._data += b"\0" * (len(self._data) % 2)  # offsets are even, says TIFF
            place = len(self._data)
        self._data[place : place + len(raw)] = raw
        return place

    def _put_directory(self, entries: list[Entry], old: Directory, taken: list[tuple[int, int]]) -> Directory:
        order = self.order
        fits = 0 < len(entries) <= len(old.entries) and self._is_alone(old.offset, old.end, taken)
        table = struct.pack(f"{order}H", len(entries))
        table += b"".join(struct.pack(f"{order}HHI4s", *entry) for entry in entries)
        ends = old.ends or not fits
        if ends:
            table += struct.pack(f"{order}I", old.following)
        return Directory(self._put(table, old.offset if fits else None), entries, old.following, ends)

    def _taken(self) -> Iterator[tuple[int, int]]:
        """Yield every stretch of the block that is known to be in use; stretches beyond the block are ignored."""
        for start, end in self._stretches():
            if end <= len(self._data):
                yield start, end

    def _stretches(self) -> Iterator[tuple[int, int]]:
        directories = []
        for name in (IFD0, EXIF, GPS):
            try:
                directory = self._directory(name)
            except FormatError:
                continue
            if directory is not None and directory.offset:
                directories.append(directory)
        pointers = [directory.following for directory in directories if directory.following]
        pointers += [self._offset(e) for directory in directories for e in directory.entries if e.tag == _INTEROP]
        for offset in pointers:
            try:
                directories.append(self._read(offset, "a directory"))
            except FormatError:
                continue
        for directory in directories:
            yield directory.offset, directory.end
            known = {entry.tag: entry for entry in directory.entries}
            for entry in directory.entries:
                if entry.size > 4:
                    yield self._offset(entry), self._offset(entry) + entry.size
            for offset_tag, length_tag in _BLOBS:
                if offset_tag in known and length_tag in known:
                    start = self._offset(known[offset_tag])
                    yield start, start + self._offset(known[length_tag])


def laid_out(data: bytes) -> bytes:
    """
    Return a block with its directories laid out anew, one after another, as TIFF 6.0 requires.

    Each is followed by its values that are longer than four bytes, at even offsets, and has its entries in ascending
    order and a pointer of zero to a next directory: piexif leaves out those of EXIF and GPS, so that the values after
    them overlap. For blocks without maker notes and thumbnails, whose offsets would not move along.

    Parameters
    ----------
    data
        A block of IFD0, EXIF and GPS.
    """
    block = Block(data)
    order = block.order
    found = {name: block.encoded(name) for name in (IFD0, *POINTERS)}
    lengths = {name: len(_directory_and_values(found[name], 0, order)) for name in POINTERS if found[name]}
    first = found[IFD0] | {POINTERS[name]: _long(0, order) for name in lengths}
    place = 8 + len(_directory_and_values(first, 8, order))
    pieces = []
    for name, length in lengths.items():
        first[POINTERS[name]] = _long(place, order)
        pieces.append(_directory_and_values(found[name], place, order))
        place += length
    return b"".join([data[:4], struct.pack(f"{order}I", 8), _directory_and_values(first, 8, order), *pieces])


def _directory_and_values(values: Mapping[int, Encoded], offset: int, order: str) -> bytes:
    """Return a directory and its values, as they stand from an offset on; the length is even."""
    table, long = struct.pack(f"{order}H", len(values)), b""
    after = offset + 2 + 12 * len(values) + 4
    for tag, value in sorted(values.items()):
        field = value.raw.ljust(4, b"\0")
        if len(value.raw) > 4:
            field = struct.pack(f"{order}I", after + len(long))
            long += value.raw + b"\0" * (len(value.raw) % 2)
        table += struct.pack(f"{order}HHI4s", tag, value.type, value.number, field)
    return table + b"\0" * 4 + long


def _long(number: int, order: str) -> Encoded:
    return Encoded(LONG, 1, struct.pack(f"{order}I", number))


# Reading.


class Field(NamedTuple):
    """A tag's value before it is decoded: TIFF type, number of values, and where its bytes start."""

    type: int
    length: int
    start: int


class Fields:
    """
    The tags of an EXIF segment, by their names in `TABLE`.

    Parameters
    ----------
    data
        The segment from its TIFF header on.

    Attributes
    ----------
    problem
        The first thing that is wrong with the segment; None where nothing is.
    broken
        Whether nothing of the segment could be read.
    """

    __slots__ = ("_data", "_order", "broken", "gps", "picture", "problem")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.problem: str | None = None
        self.broken = True
        self.picture: dict[str, Field] = {}
        self.gps: dict[str, Field] = {}
        self._order = HEADERS.get(data[:4], "")
        if not self._order or len(data) < 8:
            self.problem = "the EXIF segment does not start as one" if data else "the EXIF segment is empty"
            return
        first = self._directory(struct.unpack_from(f"{self._order}I", data, 4)[0], "picture")
        self.broken = not first
        pointed = self._pointed(first, "ExifOffset", "picture")
        self.picture = {**first, **pointed}
        self.gps = self._pointed(first if "GPSInfo" in first else pointed, "GPSInfo", "gps")
        for name in _FIRST_TAGS:
            if name in first:
                self.picture[name] = first[name]

    def add(self, data: bytes) -> list[str]:
        """
        Add the tags of a further EXIF segment that are missing here.

        Parameters
        ----------
        data
            The segment from its TIFF header on.

        Returns
        -------
        contradicting
            Names of the tags that have another value there; the one here stays.
        """
        other = Fields(data)
        self.problem = self.problem or other.problem
        self.broken = self.broken and other.broken
        self._order = self._order or other._order or "<"
        contradicting = []
        for mine, further in ((self.picture, other.picture), (self.gps, other.gps)):
            for name, field in further.items():
                if name not in mine:
                    mine[name] = self._copied(other, field)
                elif name not in _POINTER_NAMES and self._value(mine[name]) != other._value(field):
                    contradicting.append(name)
        return contradicting

    def same(self, one: Field | None, two: Field | None) -> bool:
        """Return whether two tags have the same bytes, or both are missing."""
        if one is None or two is None:
            return one is two
        data = self._data
        return (
            one.length == two.length
            and data[one.start : one.start + one.length] == data[two.start : two.start + two.length]
        )

    def text(self, field: Field | None, *, strip: bool = True) -> str | None:
        """Return a text up to its first NUL, without spaces around it; None where there is none."""
        if field is None:
            return None
        kind, length, start = field
        if kind not in _TEXTS:
            numbers = self.numbers(field)
            return str(numbers[0][0]) if len(numbers) == 1 and numbers[0][1] == 1 else None
        raw = self._data[start : start + length].partition(b"\0")[0]
        stripped = raw.strip()
        if not stripped:
            return None
        raw = stripped if strip else raw
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw.decode("latin-1")

    def numbers(self, field: Field | None) -> list[tuple[int, int]]:
        """Return numbers as fractions (numerator, denominator); (0, 0) where a float is not finite."""
        if field is None or field.type not in LETTERS:
            return []
        if field.type == RATIONAL and field.length == 3:  # positions and times of day
            parts = struct.unpack_from(self._order + "6I", self._data, field.start)
            return [parts[0:2], parts[2:4], parts[4:6]]
        count = min(field.length, _MOST_NUMBERS)
        letters = LETTERS[field.type]
        values = struct.unpack_from(self._order + letters * count, self._data, field.start)
        if len(letters) == 2:
            return list(zip(values[::2], values[1::2], strict=True))
        if field.type in _FLOATS:
            return [value.as_integer_ratio() if abs(value) < float("inf") else (0, 0) for value in values]
        return [(value, 1) for value in values]

    def whole(self, field: Field | None) -> int | None:
        """Return the first number, if it is a whole number."""
        numbers = self.numbers(field)
        return numbers[0][0] // numbers[0][1] if numbers and numbers[0][1] else None

    def real(self, field: Field | None) -> float | None:
        """Return the first number; None where there is none, or 0/0."""
        numbers = self.numbers(field)
        return numbers[0][0] / numbers[0][1] if numbers and numbers[0][1] else None

    def _value(self, field: Field) -> str | list[tuple[int, int]] | None:
        return self.text(field) if field.type in (ASCII, UNDEFINED, UTF8) else self.numbers(field)

    def _copied(self, other: Fields, field: Field) -> Field:
        """Append the value of a tag of another segment, in this one's byte order."""
        size = SIZES[field.type] * field.length
        raw = other._data[field.start : field.start + size]
        if field.type in LETTERS and self._order != other._order:
            letters = LETTERS[field.type] * field.length
            raw = struct.pack(self._order + letters, *struct.unpack(other._order + letters, raw))
        start = len(self._data)
        self._data += raw
        return field._replace(start=start)

    def _pointed(self, directory: dict[str, Field], name: str, wanted: _Wanted) -> dict[str, Field]:
        field = directory.get(name)
        if field is None:
            return {}
        if field.type not in (LONG, _IFD) or not field.length:
            return self._complain(
                f"the pointer to the {'GPS' if name == 'GPSInfo' else 'EXIF'} tags is of the wrong type"
            )
        return self._directory(struct.unpack_from(f"{self._order}I", self._data, field.start)[0], wanted)

    def _directory(self, offset: int, wanted: _Wanted) -> dict[str, Field]:
        data = self._data
        if not 8 <= offset <= len(data) - 2:
            return self._complain("a directory of tags lies outside the EXIF segment")
        (count,) = struct.unpack_from(f"{self._order}H", data, offset)
        room = (len(data) - offset - 2) // 12
        if count > room:
            self._complain("a directory of tags is cut off")
            count = room
        start = offset + 2
        entries = data[start : start + 12 * count]
        fields, problem, end = _known_fields(entries, start, self._order, wanted)
        if end > len(data):
            fields, problem, _ = _fields(entries, start, self._order, wanted, len(data))
        if problem is not None:
            self._complain(problem)
        return dict(fields)

    def _complain(self, problem: str) -> dict[str, Field]:
        self.problem = self.problem or problem
        return {}


def _fields(
    entries: bytes, start: int, order: str, wanted: _Wanted, length: float = math.inf
) -> tuple[dict[str, Field], str | None, int]:
    """
    Return the tags in the entries of a directory, what is wrong with it first, and where the last of their values ends.

    Parameters
    ----------
    entries
        Its bytes, without the number of entries before and the pointer behind them.
    start
        Where they start in the segment.
    order
        The byte order.
    wanted
        Which tags are read.
    length
        Bytes of the segment; values beyond it are left out.
    """
    fields: dict[str, Field] = {}
    problem, last = None, 0
    for tag, kind, number, value in struct.iter_unpack(f"{order}HHII", entries):
        name = _WANTED[wanted].get(tag)
        if name is not None and name not in fields:
            size = SIZES.get(kind)
            if size is None:
                problem = problem or f"tag 0x{tag:04x} is of an unknown type ({kind})"
            elif size * number <= 4:
                fields[name] = Field(kind, number, start + 8)
            elif (end := value + size * number) <= length:
                fields[name] = Field(kind, number, value)
                last = max(last, end)
            else:
                problem = problem or f"the value of tag 0x{tag:04x} lies outside the EXIF segment"
        start += 12
    return fields, problem, last


_known_fields = functools.lru_cache(maxsize=64)(_fields)
"""The same, remembered: a camera writes the same directory into photo after photo."""
