"""
Sampling of pictures: from a panorama or a flat picture to a perspective view.

Pixels are areas: the first of a row reaches from 0 to 1, and its colour is that of its centre, 0.5. The whole sphere
is as wide as its picture, so that its left and right edge are one meridian, and as high, so that its upper edge is
one point. Colours are interpolated from the four nearest centres, across the seam and the poles, too. A pixel of the
view that covers several of the picture is the mean of several samples. Colours stay as the file has them (sRGB): they
are not made linear before they are mixed, as in the programs with which pictures are scaled else.

Places have 8 bits for the fraction of a pixel, and colours are mixed as whole numbers, two channels of a pixel in one
operation: what is lost is less than the coding of a JPEG loses.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from mlygeo.spatial import lenses, rotations
from mlygeo.spatial.lenses import FISHEYE, SPHERICAL

if TYPE_CHECKING:
    import numpy.typing as npt

    from mlygeo.arrays import Bytes, Floats

    Packed: TypeAlias = npt.NDArray[np.uint32]
    Singles: TypeAlias = npt.NDArray[np.float32]

SPACING = 1.25
"""Pixels from one sample to the next; an interpolation between centres covers up to that without gaps."""

MOST_SAMPLES = 16
"""Samples of a pixel on each axis, so that their sum fits into 16 bits."""

AT_ONCE = 1 << 15
"""Samples worked on at once: the arrays of this length stay in the caches."""

_LANES, _HALF = np.uint32(0x00FF00FF), np.uint32(0x00800080)
_EIGHT, _SIXTEEN, _BYTE, _WHOLE = np.uint32(8), np.uint32(16), np.uint32(0xFF), np.uint32(0xFFFF)


class Source(NamedTuple):
    """
    A picture to sample.

    Parameters
    ----------
    pixels
        Four bytes a pixel (red, green, blue, any), with a margin of one pixel on each side; from `framed`.
    kind
        "equirectangular", "perspective" or "fisheye".
    focal, k1, k2
        Of flat pictures, as fractions of the larger side; see `mlygeo.spatial.lenses`.
    full_width, full_height
        Of panoramas: pixels of the whole sphere, of which the picture may show a part.
    left, top
        Of panoramas: where in the whole sphere the picture begins, pixels.
    """

    pixels: Packed
    kind: str = SPHERICAL
    focal: float = math.nan
    k1: float = math.nan
    k2: float = math.nan
    full_width: float = 0.0
    full_height: float = 0.0
    left: float = 0.0
    top: float = 0.0

    @property
    def width(self) -> int:
        """Pixels of the picture."""
        return int(self.pixels.shape[1]) - 2

    @property
    def height(self) -> int:
        """Pixels of the picture."""
        return int(self.pixels.shape[0]) - 2

    @property
    def focal_pixels(self) -> float:
        """Pixels a radian, in the middle of the picture."""
        if self.kind == SPHERICAL:
            return self.full_width / math.tau
        return self.focal * max(self.width, self.height)


class View(NamedTuple):
    """A view to make: angles in degrees, size in pixels, and horizontal field of view in degrees."""

    heading: float
    pitch: float
    fov: float
    width: int
    height: int

    @property
    def focal_pixels(self) -> float:
        """Focal length, pixels."""
        return float(lenses.focal_length(self.fov)) * self.width

    def matrix(self) -> Floats:
        """Return the matrix that turns directions of the world into those of the view; shape (3, 3)."""
        found: Floats = rotations.of_angles(np.array([self.heading]), np.array([self.pitch]), np.zeros(1))[0]
        return found


def framed(pixels: Packed, *, around: bool, to_poles: bool) -> Packed:
    """
    Return a picture with a margin of one pixel on each side, so that every place has four neighbours.

    Parameters
    ----------
    pixels
        The picture, four bytes a pixel; shape (height, width).
    around, to_poles
        What of the sphere it shows; see `fill_margin`.
    """
    found = np.empty((pixels.shape[0] + 2, pixels.shape[1] + 2), dtype=np.uint32)
    found[1:-1, 1:-1] = pixels
    fill_margin(found, around=around, to_poles=to_poles)
    return found


def fill_margin(pixels: Packed, *, around: bool, to_poles: bool) -> None:
    """
    Fill the margin of a picture from its inside: with what is beyond its edges on the sphere, else with its edges.

    Parameters
    ----------
    pixels
        The picture with a margin of one pixel; shape (height + 2, width + 2).
    around
        Whether it goes all around, so that its left and right edge meet.
    to_poles
        Whether it goes all around and from pole to pole; beyond a pole is the meridian on the other side.
    """
    half = (pixels.shape[1] - 2) // 2 if to_poles else 0
    pixels[0, 1:-1] = np.roll(pixels[1, 1:-1], half)
    pixels[-1, 1:-1] = np.roll(pixels[-2, 1:-1], half)
    left, right = (-2, 1) if around else (1, -2)
    pixels[:, 0], pixels[:, -1] = pixels[:, left], pixels[:, right]


def samples_of(source_focal: float, view: View) -> int:
    """
    Return how many samples a pixel of a view needs on each axis.

    Parameters
    ----------
    source_focal
        Pixels a radian in the picture.
    view
        The view.
    """
    return min(max(1, math.ceil(source_focal / view.focal_pixels / SPACING - 1e-9)), MOST_SAMPLES)


def sample(source: Source, matrix: Floats, view: View) -> tuple[Bytes, float]:
    """
    Make a view of a picture.

    Parameters
    ----------
    source
        The picture.
    matrix
        Turns directions of the world into those of its camera; shape (3, 3).
    view
        The view.

    Returns
    -------
    pixels
        Red, green and blue, uint8 of shape (height, width, 3).
    outside
        Share of the view that the picture does not show, 0 to 1; there it goes on with what is at its edge.

    Examples
    --------
    >>> sample(source, np.eye(3), View(0.0, 0.0, 90.0, 640, 640))[0].shape
    (640, 640, 3)
    """
    turn = (matrix @ view.matrix().T).astype(np.float32)
    each = samples_of(source.focal_pixels, view)
    steps = (np.arange(each, dtype=np.float32) + np.float32(0.5)) / np.float32(each)
    across = (np.arange(view.width, dtype=np.float32) - np.float32(view.width / 2)) / np.float32(view.focal_pixels)
    down = (np.arange(view.height, dtype=np.float32) - np.float32(view.height / 2)) / np.float32(view.focal_pixels)
    steps /= np.float32(view.focal_pixels)
    made = np.empty((view.height, view.width, 4), dtype=np.uint8)
    outside, rows = 0, max(1, AT_ONCE // view.width)
    for start in range(0, view.height, rows):
        part = down[start : start + rows]
        outer = np.zeros((len(part), view.width), dtype=np.uint32)  # red and blue
        inner = np.zeros_like(outer)  # green
        for dy in steps:
            for dx in steps:
                x, y = _places(source, turn, across + dx, part + dy)
                outside += _blend(source, x, y, outer, inner)
        made[start : start + rows] = _mean(outer, inner, each * each)
    return made[..., :3], outside / (view.width * view.height * each * each)


def _places(source: Source, turn: Singles, across: Singles, down: Singles) -> tuple[Singles, Singles]:
    """Return places in a picture by the directions of a view, in parts of 256 of a pixel, counted from a centre."""
    x, y, z = (row[0] * across[None, :] + (row[1] * down + row[2])[:, None] for row in turn)
    if source.kind == SPHERICAL:
        places_x = np.arctan2(x, z)
        np.hypot(x, z, out=x)
        places_y = np.arctan2(y, x, out=y)
        places_x *= np.float32(source.full_width * 256 / math.tau)
        places_x += np.float32((source.full_width / 2 - source.left - 0.5) * 256)
        places_y *= np.float32(source.full_height * 256 / math.pi)
        places_y += np.float32((source.full_height / 2 - source.top - 0.5) * 256)
        return places_x, places_y
    side = max(source.width, source.height)
    flat_x, flat_y = lenses.project(
        np.stack([x, y, z], axis=-1), np.asarray(source.kind == FISHEYE), *map(np.asarray, source[2:5])
    )
    found_x, found_y = (flat_x * side + (source.width - 1) / 2) * 256, (flat_y * side + (source.height - 1) / 2) * 256
    return found_x.astype(np.float32), found_y.astype(np.float32)


def _blend(source: Source, x: Singles, y: Singles, outer: Packed, inner: Packed) -> int:
    """Add the colours at places of a picture to sums, and return how many of the places are outside."""
    lowest, highest_x, highest_y = -129.0, source.width * 256.0 - 127, source.height * 256.0 - 127
    outside = 0
    if source.kind != SPHERICAL or source.width < source.full_width or source.height < source.full_height:
        with np.errstate(invalid="ignore"):
            inside = (x >= lowest) & (x <= highest_x) & (y >= lowest) & (y <= highest_y)
        outside = inside.size - int(np.count_nonzero(inside))
        if outside:
            x, y = np.where(inside, x, 0), np.where(inside, y, 0)
    # The margin begins a pixel before the picture; rounding may take a place a hair beyond it.
    column = np.clip(x + 256, 0, source.width * 256 + 255).astype(np.int32)
    row = np.clip(y + 256, 0, source.height * 256 + 255).astype(np.int32)
    at = (row >> 8).astype(np.intp) * source.pixels.shape[1] + (column >> 8)
    right, below = (column & 255).astype(np.uint32), (row & 255).astype(np.uint32)
    left, above = 256 - right, 256 - below
    flat, stride = source.pixels.ravel(), source.pixels.shape[1]
    corners = [flat[first:].take(at, mode="clip") for first in (0, 1, stride, stride + 1)]
    for sums, shift, mask in ((outer, np.uint32(0), _LANES), (inner, _EIGHT, _BYTE)):
        one, two, three, four = [(corner >> shift) & mask for corner in corners]
        upper = ((one * left + two * right + _HALF) >> _EIGHT) & mask
        lower = ((three * left + four * right + _HALF) >> _EIGHT) & mask
        np.add(sums, ((upper * above + lower * below + _HALF) >> _EIGHT) & mask, out=sums)
    return outside


def _mean(outer: Packed, inner: Packed, count: int) -> Bytes:
    """Return sums of colours as their means, four bytes a pixel."""
    half = np.uint32(count // 2)
    red = ((outer & _WHOLE) + half) // np.uint32(count)
    blue = ((outer >> _SIXTEEN) + half) // np.uint32(count)
    green = (inner + half) // np.uint32(count)
    packed = red | (green << _EIGHT) | (blue << _SIXTEEN)
    found: Bytes = packed.astype("<u4").view(np.uint8).reshape(*packed.shape, 4)
    return found
