"""
Archives of map tiles (PMTiles 3), on this machine or on a server: only what is asked for is read.

Format: https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md. Header and directories are decoded by the
package `pmtiles`; what is checked here is that they can be true.
"""

from __future__ import annotations

import gzip
import json
import re
import shlex
import zlib
from contextlib import ExitStack, closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FileError, FormatError, InputError, unreadable
from mlygeo.formats import mvt_tiles
from mlygeo.net import http
from mlygeo.net.answers import NotFoundError, RefusedError
from mlygeo.net.files import Files
from mlygeo.net.ranges import RangeFile
from mlygeo.store import paths

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from mlygeo.arrays import Bounds

ENDING = ".pmtiles"

HEADER_BYTES = 127

MOST_BYTES = 16 << 20
"""Most bytes of the metadata, decompressed, and of a tile; real ones have some hundred kilobytes."""

MOST_OF_DIRECTORY = 4 << 20
"""Most bytes of a directory, decompressed; each may become an entry, with a hundred times as many in Python."""

_ENDLESS = re.compile(rb"[\x80-\xff]{10}")
"""Bytes of a number that goes on after 64 bits; the package `pmtiles` would read it, in quadratic time."""

DEEPEST = 4
"""Levels of directories, at most."""

KINDS = {"MVT": "vector", "PNG": "png", "JPEG": "jpeg", "WEBP": "webp", "AVIF": "avif"}
"""The kinds of tiles that can be shown, by their names in the format."""

_MARKS = {
    "png": [(0, b"\x89PNG")], "jpeg": [(0, b"\xff\xd8\xff")], "webp": [(8, b"WEBP")],
    "avif": [(4, b"ftypavif"), (4, b"ftypavis")],
}  # fmt: skip
"""Where pictures of each kind have which bytes."""

_SQLITE = b"SQLite format 3\0"


class Archive:
    """
    An open archive; made by `opened`.

    Parameters
    ----------
    name
        What messages call it.
    read
        Returns bytes from one place to another.
    size
        Bytes of the whole file.

    Raises
    ------
    FormatError
        If it is none, or damaged, or cut off, or compressed in a way that cannot be read.
    """

    def __init__(self, name: str, read: Callable[[int, int], bytes], size: int) -> None:
        from pmtiles import tile

        self.name, self._read, self._size = name, read, size
        head = read(0, min(HEADER_BYTES, size))
        if not head.startswith(b"PMTiles"):
            raise FormatError(f"{name} is not a PMTiles archive")
        if len(head) < HEADER_BYTES:
            raise FormatError(f"{name} is cut off in its header")
        if head[7] != 3:
            raise FormatError(f"{name} is a PMTiles archive of version {head[7]}; version 3 can be read")
        try:
            self._header: dict[str, Any] = dict(tile.deserialize_header(head))
        except ValueError as error:  # a compression or a type of tiles that the format does not have
            raise FormatError(f"{name}: its header is damaged or of a later version ({error})") from error
        for part in ("root", "metadata", "leaf_directory", "tile_data"):
            end = self._header[f"{part}_offset"] + self._header[f"{part}_length"]
            if end > size:
                raise FormatError(f"{name} is cut off: it has {size:,} bytes, and should have {end:,} or more")
        self._packed("tile_compression")
        kind = self._header["tile_type"].name
        if kind not in KINDS:
            raise FormatError(f"{name} has tiles of type {kind}; {', '.join(KINDS)} can be shown")
        self.kind = KINDS[kind]
        self.zooms = int(self._header["min_zoom"]), int(self._header["max_zoom"])
        self._directory = lru_cache(maxsize=64)(self._entries)

    @property
    def bounds(self) -> Bounds:
        """West, south, east and north of it, degrees, as it says."""
        west, south, east, north = (self._header[f"{side}_e7"] / 1e7 for side in _SIDES)
        return west, south, east, north

    def metadata(self) -> dict[str, Any]:
        """
        Return what it says of itself.

        Raises
        ------
        FormatError
            If that is damaged.
        """
        text = self._inside("metadata", self._header["metadata_offset"], self._header["metadata_length"], MOST_BYTES)
        try:
            found = json.loads(text or b"{}")
        except (ValueError, RecursionError) as error:
            raise FormatError(f"{self.name}: its metadata is damaged ({error})") from error
        return found if isinstance(found, dict) else {}

    def tile(self, zoom: int, column: int, row: int) -> bytes | None:
        """
        Return a tile as it is kept, which `unpacked` takes; None where there is none.

        Parameters
        ----------
        zoom, column, row
            Its address.

        Raises
        ------
        FormatError
            If a directory is damaged.
        """
        from pmtiles import tile

        number = tile.zxy_to_tileid(zoom, column, row)
        start, length = self._header["root_offset"], self._header["root_length"]
        for _ in range(DEEPEST):
            found = tile.find_tile(self._directory(start, length), number)
            if found is None:
                return None
            if found.run_length:
                return self._at("tile_data", found.offset, found.length, f"tile {zoom}/{column}/{row}")
            start, length = self._header["leaf_directory_offset"] + found.offset, found.length
        raise FormatError(f"{self.name}: its directories do not end")

    def picture(self, tile: bytes) -> bytes:
        """
        Return the picture that a tile is, decompressed.

        Parameters
        ----------
        tile
            The tile as `tile` returns it.

        Raises
        ------
        FormatError
            If its gzip is damaged, or it is not of the kind that the archive says.
        """
        if self._packed("tile_compression"):
            with mvt_tiles.opened(tile) as plain:
                tile = plain
        if not any(tile[at:].startswith(mark) for at, mark in _MARKS[self.kind]):
            raise FormatError(f"it is not a picture of type {self.kind}")
        return tile

    def _at(self, part: str, offset: int, length: int, what: str) -> bytes:
        start, end = self._header[f"{part}_offset"], self._header[f"{part}_offset"] + self._header[f"{part}_length"]
        if offset < 0 or length > MOST_BYTES or start + offset + length > end:
            raise FormatError(f"{self.name}: {what} lies outside of the archive")
        return self._read(start + offset, start + offset + length)

    def _entries(self, start: int, length: int) -> list[Any]:
        from pmtiles import tile

        content = self._inside("a directory", start, length, MOST_OF_DIRECTORY)
        if _ENDLESS.search(content):
            raise FormatError(f"{self.name}: a directory is damaged (a number has more than 64 bits)")
        try:
            return list(tile.deserialize_directory(gzip.compress(content, 1)))
        except (EOFError, ValueError, OverflowError) as error:
            raise FormatError(f"{self.name}: a directory is damaged ({error})") from error

    def _inside(self, what: str, start: int, length: int, most: int) -> bytes:
        """Return the bytes of a directory or of the metadata, decompressed."""
        if start < 0 or length > most or start + length > self._size:
            raise FormatError(f"{self.name}: {what} lies outside of the archive")
        content = self._read(start, start + length)
        if not length or not self._packed("internal_compression"):
            return content
        inflater = zlib.decompressobj(wbits=31)
        try:
            found = inflater.decompress(content, most)
        except zlib.error as error:
            raise FormatError(f"{self.name}: {what} is damaged ({error})") from error
        if not inflater.eof:
            raise FormatError(f"{self.name}: {what} is damaged or has more than {most >> 20} MiB")
        return found

    def _packed(self, which: str) -> bool:
        """Return whether something is compressed; raise unless it can be decompressed."""
        kind = self._header[which].name
        if kind not in {"NONE", "GZIP"}:
            raise FormatError(
                f"{self.name} is compressed by {kind.lower()}; gzip and none can be read",
                hint="write it anew with gzip, which tile programs do by default",
            )
        return bool(kind == "GZIP")


_SIDES = ("min_lon", "min_lat", "max_lon", "max_lat")


@contextmanager
def opened(source: str | os.PathLike[str]) -> Iterator[Archive]:
    """
    Open an archive.

    Parameters
    ----------
    source
        A path, or an address (https), of which parts are asked for.

    Raises
    ------
    FileError
        If it does not exist, or cannot be read.
    FormatError
        If it is no archive, or one that cannot be read.
    ServiceError
        If a server does not answer, or sends no parts of files.
    """
    with ExitStack() as stack:
        if "://" in str(source):
            address, name = str(source), paths.shown(str(source))
            client = stack.enter_context(http.Client(Files(retry=http.Retry(attempts=4, first_wait=0.5))))
            try:
                remote = stack.enter_context(closing(RangeFile(client, address, what=name)))
            except (NotFoundError, RefusedError) as error:
                raise FileError(str(error), hint=error.hint) from error
            yield Archive(name, remote.fetch, remote.size)
            return
        path = Path(source).expanduser()
        try:
            file = stack.enter_context(path.open("rb"))
            size, head = path.stat().st_size, file.read(len(_SQLITE))
        except OSError as error:
            raise FileError(unreadable(path, error)) from error
        if head == _SQLITE:
            other = shlex.join([str(path.with_suffix(".mbtiles")), str(path.with_suffix(ENDING))])
            raise FormatError(
                f"{path.name} is a database (MBTiles?), not a PMTiles archive",
                hint=f"pmtiles-convert {other}, a command of the Python package pmtiles",
            )

        def read(start: int, stop: int) -> bytes:
            file.seek(start)
            return file.read(stop - start)

        yield Archive(path.name, read, size)


def is_one(source: str | os.PathLike[str]) -> bool:
    """
    Return whether a base map's name is that of an archive: a file, or an address that ends like one.

    Parameters
    ----------
    source
        As it was given.

    Raises
    ------
    InputError
        If it is an address that cannot be that of an archive.
    """
    text = str(source)
    if "://" not in text:
        return text.lower().endswith(ENDING) or Path(text).expanduser().is_file()
    if not text.partition("?")[0].lower().endswith(ENDING):
        return False
    if not text.lower().startswith(("https://", "http://127.0.0.1", "http://localhost", "http://[::1]")):
        raise InputError(f"`basemap` is not read from {paths.shown(text)}", hint="name a file, or an address of https")
    return True
