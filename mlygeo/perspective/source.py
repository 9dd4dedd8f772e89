"""
The picture that views are cut from: decoded no larger than they need, and which part of the sphere it shows.

JPEG is decoded at a half, a quarter or an eighth where views have so few pixels (a scaled inverse transform of libjpeg,
which takes the mean of what becomes one pixel), so that memory and time are those of the smaller picture.
GPano: Google's photo sphere schema (https://developers.google.com/streetview/spherical-metadata).
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.formats import jpeg
from mlygeo.formats.exif import TABLE, real
from mlygeo.formats.xmp import Properties
from mlygeo.perspective.sampling import Source, View, fill_margin
from mlygeo.photos.exif_writer import MOST_PIXELS
from mlygeo.spatial.lenses import SPHERICAL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PIL import Image

    from mlygeo.perspective.sampling import Packed

REDUCTIONS = (8, 4, 2)
"""By what a JPEG can be reduced while it is decoded."""

ROUNDED = 2
"""Pixels by which a height may differ from half of the width, or from what fields say, by rounding."""

ROWS = 64
"""Rows of a picture that are copied at a time."""

HAIR = 0.5
"""Pixels; sizes that differ by less are the same."""

_ORIENTATION = TABLE["Orientation"].number

_WEBP = b"WEBP"

_REFUSALS = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError)
"""Errors of Pillow's plug-ins; each of these means that the bytes are no picture."""


class Lens(NamedTuple):
    """The lens of a picture; see `mlygeo.spatial.lenses.Lenses`."""

    kind: str
    focal: float
    k1: float
    k2: float


class Decoded(NamedTuple):
    """A picture to sample, and its colour profile."""

    source: Source
    profile: bytes | None


class _Sphere(NamedTuple):
    """The whole sphere, and where in it a picture begins, in pixels of the picture."""

    width: float
    height: float
    left: float
    top: float


def decoded(content: bytes, lens: Lens, views: Iterable[View]) -> Decoded:
    """
    Decode a picture for views.

    Parameters
    ----------
    content
        A JPEG or WebP file.
    lens
        Its lens.
    views
        The views that will be sampled.

    Raises
    ------
    FormatError
        If it is no such picture, or too large; or if a panorama does not show the whole sphere and does not say which
        part it shows, or contradicts itself.

    Examples
    --------
    >>> decoded(Path("panorama.jpg").read_bytes(), lens, views).source.full_width
    5760
    """
    try:
        with _opened(content) as picture:
            width, height = picture.size
            _check_size(width, height)
            sphere = _sphere(_properties(content, picture), width, height) if lens.kind == SPHERICAL else None
            least = _reduction(lens, sphere, max(width, height), views)
            upright = _upright(picture, least)
            scale = max(width, height) / max(upright.size)
            reduction = float(min((1, *REDUCTIONS), key=lambda each: abs(each - scale)))
            profile = picture.info.get("icc_profile") if picture.mode == "RGB" else None
            pixels = _packed(upright)
    except FormatError:
        raise
    except _REFUSALS as error:
        raise FormatError(f"the picture cannot be decoded: {error}") from error
    around = sphere is not None and abs(sphere.width - width) < HAIR
    to_poles = around and sphere is not None and abs(sphere.height - height) < HAIR
    fill_margin(pixels, around=around, to_poles=to_poles)
    if sphere is None:
        return Decoded(Source(pixels, *lens), profile)
    whole = _Sphere(*(value / reduction for value in sphere))
    return Decoded(Source(pixels, SPHERICAL, math.nan, math.nan, math.nan, *whole), profile)


def _check_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise FormatError(f"a picture of {width:,} by {height:,} pixels is not decoded: too many")


def _opened(content: bytes) -> Image.Image:
    # Not Image.open: it tries other formats, too, and warns of the size of panoramas.
    if content[8:12] == _WEBP:
        from PIL.WebPImagePlugin import WebPImageFile

        return WebPImageFile(io.BytesIO(content))
    from PIL.JpegImagePlugin import JpegImageFile

    return JpegImageFile(io.BytesIO(content))


def _packed(picture: Image.Image) -> Packed:
    """Return a picture with room for its margin; some rows at a time, so that it is in memory twice and no more."""
    width, height = picture.size
    found = np.empty((height + 2, width + 2), dtype=np.uint32)
    for top in range(0, height, ROWS):
        part = picture.crop((0, top, width, min(top + ROWS, height)))
        found[1 + top : 1 + top + part.height, 1:-1] = np.frombuffer(part.tobytes("raw", "RGBX"), "<u4").reshape(
            part.height, width
        )
    return found


def _upright(picture: Image.Image, least: int) -> Image.Image:
    """Return a picture as it is to be seen, in three colours, and reduced at most by so much."""
    from PIL import ImageOps

    if least > 1 and picture.format == "JPEG":
        picture.draft("RGB", (max(1, picture.width // least), max(1, picture.height // least)))
    picture.load()
    if least > 1 and picture.format != "JPEG":
        picture = picture.reduce(least)
    plain = picture if picture.mode == "RGB" else picture.convert("RGB")
    return ImageOps.exif_transpose(plain) if picture.getexif().get(_ORIENTATION, 1) != 1 else plain


def _reduction(lens: Lens, sphere: _Sphere | None, side: int, views: Iterable[View]) -> int:
    """Return by what a picture may be reduced so that no view loses detail, not even at its left and right edges."""
    pixels = lens.focal * side if sphere is None else sphere.width / math.tau
    # A pixel of a view covers less of the sphere the farther it is from the middle.
    least = min(pixels / view.focal_pixels * math.cos(math.radians(view.fov / 2)) ** 2 for view in views)
    return next((each for each in REDUCTIONS if each <= least), 1)


def _properties(content: bytes, picture: Image.Image) -> Properties:
    if picture.format == "JPEG":
        head = jpeg.read_head(io.BytesIO(content))
        return Properties(head.xmp, head.extension)
    packet = picture.info.get("xmp")
    return Properties(packet if isinstance(packet, bytes) else None)


def _sphere(properties: Properties, width: int, height: int) -> _Sphere:
    """
    Return the sphere of which a panorama shows a part.

    Raises
    ------
    FormatError
        If it is not known, or what the panorama says of it contradicts itself, or it is not a sphere.
    """
    projection = properties.text("GPano:ProjectionType")
    if projection is not None and projection.lower() not in {"equirectangular", "spherical"}:
        raise FormatError(f"the panorama is {projection[:40]!r}, and only equirectangular ones can be cut")
    names = (
        "FullPanoWidthPixels", "FullPanoHeightPixels", "CroppedAreaImageWidthPixels", "CroppedAreaImageHeightPixels",
        "CroppedAreaLeftPixels", "CroppedAreaTopPixels",
    )  # fmt: skip
    found = [real(properties.text(f"GPano:{name}")) for name in names]
    if all(value is None for value in found):
        if abs(width - 2 * height) > ROUNDED:
            raise FormatError(
                f"the panorama has {width:,} x {height:,} pixels, not twice as wide as high, and does not say which "
                "part of the sphere it shows",
                hint="add GPano fields to it, as 'mlygeo download --exif' does",
            )
        return _Sphere(width, height, 0.0, 0.0)
    if None in found:
        missing = ", ".join(name for name, value in zip(names, found, strict=True) if value is None)
        raise FormatError(f"the panorama says in part what it shows of the sphere: GPano without {missing}")
    full_width, full_height, wide, high, left, top = (value or 0.0 for value in found)
    fits = wide > 0 and high > 0 and left >= 0 and top >= 0
    fits = fits and left + wide <= full_width + ROUNDED and top + high <= full_height + ROUNDED
    fits = fits and abs(full_width - 2 * full_height) <= ROUNDED
    # A smaller copy of a picture keeps the fields of the larger one.
    scale = width / wide if fits else math.nan
    if not fits or abs(high * scale - height) > max(ROUNDED, ROUNDED * scale):
        said = ", ".join(f"{name} {value:g}" for name, value in zip(names, found, strict=True) if value is not None)
        raise FormatError(f"what the panorama says of itself contradicts its {width:,} x {height:,} pixels: {said}")
    full_width, full_height, left, top = (value * scale for value in (full_width, full_height, left, top))
    around, from_pole_to_pole = abs(full_width - width) < HAIR, abs(full_height - height) < HAIR
    return _Sphere(
        width if around else full_width,
        height if from_pole_to_pole else full_height,
        0.0 if around else left,
        0.0 if from_pole_to_pole else top,
    )
