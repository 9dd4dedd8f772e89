"""The pictures of images: the fields with their addresses, when these expire, and the owners of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs, urlsplit

from mlygeo import frames

if TYPE_CHECKING:
    from collections.abc import Mapping

LICENCE = "CC BY-SA 4.0, https://creativecommons.org/licenses/by-sa/4.0/"

EXIF_FIELDS = (
    "geometry",
    "computed_geometry",
    "altitude",
    "computed_altitude",
    "compass_angle",
    "computed_compass_angle",
    "camera_type",
    "camera_parameters",
    "is_pano",
    "make",
    "model",
    "width",
    "height",
    "creator",
    "organization",
)
"""Fields for metadata inside the picture files."""

SIDECAR_FIELDS = (*EXIF_FIELDS, "computed_rotation", "atomic_scale", "quality_score", "exif_orientation")
"""Fields for metadata in separate files."""


def fields_for(size: str, *, metadata: Literal["none", "exif", "all"]) -> list[str]:
    """
    Return the fields to ask for so that a picture can be fetched and named.

    Parameters
    ----------
    size
        "256", "1024", "2048" or "original".
    metadata
        What else is wanted of an image: nothing, what goes into its EXIF, all there is.
    """
    more = {"none": (), "exif": EXIF_FIELDS, "all": SIDECAR_FIELDS}[metadata]
    return ["sequence", "captured_at", *more, _field(size)]


def address(record: Mapping[str, Any], size: str) -> str | None:
    """Return where the picture of a record is; None where the record does not say."""
    url = record.get(_field(size))
    return url if isinstance(url, str) and url else None


def sidecar(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of an image in a file of its own: its record without the signed addresses."""
    kept = {name: value for name, value in record.items() if not name.startswith("thumb_")}
    return {**kept, "attribution": frames.MAPILLARY}


def rights(creator: str | None) -> str:
    """Return whose a picture is and under which licence, by the name of who took it, if that is known."""
    whose = "Mapillary contributor" if creator is None else f"Mapillary contributor {creator}"
    return f"{whose}, {LICENCE}"


def expiry(url: str) -> float | None:
    """
    Return when a signed address expires, seconds since 1970; None where it does not say.

    Examples
    --------
    >>> expiry("https://scontent.example/m1/v/picture.jpg?oh=00_AY&oe=66F0C180")
    1727054208.0
    """
    try:
        values = parse_qs(urlsplit(url).query).get("oe", [])
        return float(int(values[0], 16)) if values and len(values[0]) <= 12 else None
    except ValueError:
        return None


def _field(size: str) -> str:
    return f"thumb_{size}_url"
