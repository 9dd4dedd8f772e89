"""Pictures encoded anew, smaller or as WebP, with what they say of themselves."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Literal

from mlygeo.errors import FormatError, InputError
from mlygeo.formats import jpeg as segments

MOST_PIXELS = 178_956_970
"""Pixels of a picture that is decoded, half a gigabyte of memory; Pillow draws the line there too."""

QUALITY = 80
"""Quality where none is asked for."""

_LONGEST_WEBP_SIDE = 16_383


def recode(data: bytes, *, quality: int | None = None, format: Literal["jpg", "webp"] = "jpg") -> bytes:  # noqa: A002
    """
    Encode a JPEG anew, with its EXIF, XMP and colour profile.

    Parameters
    ----------
    data
        A JPEG file.
    quality
        1 (smallest) to 100 (best); None is 80 for WebP, and for JPEG leaves the file as it is.
    format
        "jpg" or "webp".

    Returns
    -------
    data
        The new file.

    Raises
    ------
    FormatError
        If it is no whole JPEG, has too many pixels, or cannot be written in that format.
    InputError
        If the quality or the format is none.

    Examples
    --------
    >>> recode(jpeg, quality=85, format="webp")
    """
    if format not in {"jpg", "webp"}:
        raise InputError(f"pictures cannot be written as {format!r}", hint='use "jpg" or "webp"')
    if quality is not None and not 1 <= quality <= 100:
        raise InputError(f"quality {quality} does not lie between 1 and 100")
    found = segments.layout(data)
    if quality is None and format == "jpg":
        return data
    if found.width * found.height > MOST_PIXELS:
        raise FormatError(f"a picture of {found.width:,} by {found.height:,} pixels is not decoded: too many")
    if format == "webp" and max(found.width, found.height) > _LONGEST_WEBP_SIDE:
        raise FormatError(
            f"WebP has {_LONGEST_WEBP_SIDE:,} pixels a side at most, the picture {max(found.width, found.height):,}",
            hint="write it as jpg",
        )
    return _encoded(data, QUALITY if quality is None else quality, format)


def _encoded(data: bytes, quality: int, kind: Literal["jpg", "webp"]) -> bytes:
    from PIL.JpegImagePlugin import JpegImageFile

    written = BytesIO()
    try:
        # Not Image.open: it looks for other formats too, and warns of sizes that panoramas have.
        with JpegImageFile(BytesIO(data)) as picture:
            options: dict[str, Any] = {
                name: picture.info[name] for name in ("exif", "xmp", "icc_profile") if picture.info.get(name)
            }
            picture.load()
            if kind == "webp":
                plain = picture if picture.mode in {"RGB", "L"} else picture.convert("RGB")
                if plain is not picture:
                    options.pop("icc_profile", None)  # it told of the colours before
                plain.save(written, "WEBP", quality=quality, **options)
            else:
                # As fine in colour as before; Pillow's own choice would halve it.
                picture.save(written, "JPEG", quality=quality, subsampling="keep", optimize=True, **options)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise FormatError(f"the picture cannot be encoded anew: {error}") from error
    return written.getvalue()
