"""From the row of a view to its file: the tags that say what it is, and the JPEG."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlygeo import attribution, rows
from mlygeo.formats.xmp import Pose
from mlygeo.photos.exif_writer import insert
from mlygeo.photos.tags import picture_tags, statement_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlygeo.arrays import Bytes
    from mlygeo.formats.exif import Tags

CUT = "Perspective view cut from"
"""How the description of a view begins, by which its file is known."""

HEAD_BYTES = 1 << 17
"""In which the description lies: two segments of a JPEG."""

SAID = (
    "view", "compass_angle", "pitch", "field_of_view", "source_type", "source_heading", "source_pitch", "source_roll",
    "tilt_source", "warning", "point_id",
)  # fmt: skip
"""Columns of a view that its file repeats."""


def tags_of(view: Mapping[str, Any]) -> Tags:
    """
    Return the tags of a view's file.

    Parameters
    ----------
    view
        A row of a views frame, as `to_dict("records")` gives it.

    Returns
    -------
    tags
        Position, altitude and time of the image; the heading of the view, its pitch (XMP), and the focal length that
        belongs to its field of view; owner and licence in EXIF and XMP; a sentence that says that it was cut from
        which picture, as licences ask for; and as JSON in `UserComment` all that is known of the view.

    Raises
    ------
    InputError
        If a value is invalid, such as a text that is not a time.

    Examples
    --------
    >>> insert(jpeg, tags_of(views.iloc[0].to_dict()))
    """
    # The heading of a view is computed in any case, and is what the view is made for.
    plain = {name: value for name, value in view.items() if name != "compass_source"}
    tags, rights = picture_tags(plain), attribution.of_row(view)
    heading = rows.number(view, "compass_angle")
    said = {name: found for name in SAID if (found := rows.json_value(view.get(name))) is not None}
    of = f"image {rows.id_text(view.get('id'))}"
    if rights.provider is not None:
        said["provider"] = rights.provider
        of += f" of {attribution.TITLES.get(rights.provider, rights.provider)}"
    return replace(
        tags,
        exif={**tags.exif, "ImageDescription": f"{CUT} {of}, {view['view']}"},
        comment={"view_of": rows.id_text(view.get("id")), **said},
        panorama=Pose(heading, rows.number(view, "pitch") or 0.0),
        statement=statement_of(rights),
    )


def is_view(path: Path) -> bool:
    """Return whether a file says that it is a view."""
    with path.open("rb") as file:
        return CUT.encode() in file.read(HEAD_BYTES)


def encoded(pixels: Bytes, tags: Tags, *, quality: int, profile: bytes | None = None) -> bytes:
    r"""
    Return the file of a view.

    Parameters
    ----------
    pixels
        Red, green and blue, shape (height, width, 3).
    tags
        Its tags.
    quality
        Of the JPEG, 1 to 100. Colours keep the resolution of the picture.
    profile
        ICC profile of the colours.

    Raises
    ------
    FormatError
        If the tags do not fit.

    Examples
    --------
    >>> encoded(pixels, tags, quality=90)[:2]
    b'\xff\xd8'
    """
    from PIL import Image

    written = io.BytesIO()
    options = {} if profile is None else {"icc_profile": profile}
    Image.fromarray(pixels).save(written, "JPEG", quality=quality, subsampling=0, optimize=True, **options)
    return insert(written.getvalue(), tags)
