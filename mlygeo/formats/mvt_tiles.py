"""
A vector tile opened: its layers, and where the features of a layer are.

Which layer has the images, and under which names their values are, is known to the provider; see `mvt_layers` for
what is inside a layer, and `mvt_numba`, which is used where Numba is installed (`mlygeo[speed]`).
"""

from __future__ import annotations

import functools
import logging
import threading
import zlib
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import numpy as np

from mlygeo.arrays import LARGE, interpreting
from mlygeo.degrees import short_way
from mlygeo.errors import FormatError
from mlygeo.formats import mvt_layers, protobuf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from mlygeo.arrays import Floats, Whole

log = logging.getLogger("mlygeo.formats.mvt_tiles")

LARGEST_TILE = 64 << 20
"""Most bytes of a decompressed tile: a million images. Larger ones are decompression bombs, not tiles."""

_LAYERS = 3

_GZIP = b"\x1f\x8b"


@contextmanager
def opened(data: bytes) -> Iterator[bytes]:
    """
    Give a tile decompressed; of tiles that are large in memory, one at a time is open.

    Raises
    ------
    FormatError
        If its gzip is broken, or it is too large for a tile.
    """
    with ExitStack() as stack:
        yield _inflate(data, lambda: stack.enter_context(interpreting(LARGE)))


def _inflate(data: bytes, enter: Callable[[], object]) -> bytes:
    """Return a tile as it is without gzip; calls `enter` before a large one takes its memory."""
    if len(data) >= LARGE:
        enter()
    if data.startswith(_GZIP):
        inflater = zlib.decompressobj(wbits=31)
        try:
            packed, data = data, inflater.decompress(data, LARGE)
            if len(data) == LARGE:
                enter()
                inflater = zlib.decompressobj(wbits=31)
                data = inflater.decompress(packed, LARGEST_TILE + 1)
        except zlib.error as error:
            raise FormatError(f"its gzip is broken ({error})") from error
        if len(data) <= LARGEST_TILE and not inflater.eof:
            raise FormatError("its gzip is cut off")
        if inflater.unused_data:
            raise FormatError("bytes follow the end of its gzip")
    if len(data) > LARGEST_TILE:
        raise FormatError(f"more than {LARGEST_TILE >> 20} MiB")
    return data


def layers(tile: bytes, kernel: ModuleType) -> Iterator[tuple[bytes | memoryview, int]]:
    """Yield each layer with the zeros behind it that a kernel needs, and its length without them."""
    for number, wire, value, stop in protobuf.fields(tile, 0, len(tile)):
        if number == _LAYERS and wire == protobuf.BYTES:
            layer = memoryview(tile)[value:stop]
            yield b"".join((layer, kernel.PADDING)) if kernel.PADDING else layer, stop - value


def guess(start: bytes) -> str | None:
    """Return the kind of bytes that are not a vector tile, if their start shows it."""
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"<"):
        return "a web page or XML, not a vector tile"
    return "JSON, not a vector tile" if text.startswith((b"{", b"[")) else None


_IMPORTING = threading.Lock()


def kernel() -> ModuleType:
    """Return the compiled kernel where Numba is installed, else the one in NumPy."""
    # Of two threads that import a module without its Numba, Python tells only one that Numba is missing.
    with _IMPORTING:
        return _kernel()


@functools.cache
def _kernel() -> ModuleType:
    try:
        from mlygeo.formats import mvt_numba
    except ModuleNotFoundError:
        return mvt_layers
    except ImportError as error:
        log.warning("Numba cannot be imported (%s); tiles are decoded without it", error)
        return mvt_layers
    return mvt_numba


def lonlat(px: Whole, py: Whole, extent: int, address: tuple[int, int, int]) -> tuple[Floats, Floats]:
    """Return degrees from tile units, by the inverse of the spherical Mercator projection."""
    x, y, zoom = address
    lon = (x + px / extent) / 2.0**zoom * 360 - 180
    beyond = np.abs(lon) > 180
    if beyond.any():
        lon[beyond] = short_way(lon[beyond])

    def latitude(rows: Whole) -> Floats:
        # Rows far outside the world overflow towards the poles, which is correct.
        with np.errstate(over="ignore"):
            return np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * ((y + rows / extent) / 2.0**zoom)))))

    # A tile has fewer rows than a dense tile has images: compute each row's latitude once.
    low, high = (int(py.min()), int(py.max())) if len(py) else (0, 0)
    if high - low < len(py):
        return lon, latitude(np.arange(low, high + 1))[py - low]
    return lon, latitude(py)
