"""Files that hold no frame but something else of images: what they are, by their content, and what reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LARGEST = 16 << 20
"""Bytes of a file of JSON that is looked into."""

OF_IMAGES = frozenset(
    {"captured_at", "compass_angle", "sequence", "computed_geometry", "thumb_2048_url", "thumb_original_url"}
)
"""Fields of images as the Graph API of Mapillary answers them."""

OF_TILES = {
    frozenset({"image", "sequence", "overview"}): "Mapillary",
    frozenset({"pictures", "sequences", "grid"}): "Panoramax",
}
"""The layers of each provider's vector tiles."""


def tile(path: Path, layers: Sequence[str]) -> FormatError:
    """
    Return the error of a vector tile, whose positions are steps of its own grid.

    Parameters
    ----------
    path
        The file.
    layers
        Names of its layers.
    """
    whose = next((f" of {who}" for known, who in OF_TILES.items() if known & {*layers}), "")
    reads = "mlygeo.read_tiles(…) reads tiles of Mapillary, and " if whose == " of Mapillary" else ""
    return FormatError(
        f"{path.name} is a vector tile{whose}, not a frame: its positions are steps of its own grid",
        hint=f"{reads}'mlygeo tiles' makes a frame of the images of a region",
    )


def of_json(path: Path) -> FormatError | None:
    """Return the error of a file of JSON that is not GeoJSON; None where it is something else, or large, or damaged."""
    try:
        if path.suffix.lower() not in {".json", ".geojson"} or path.stat().st_size > LARGEST:
            return None
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if isinstance(content, dict) and content.get("type") == "FeatureCollection" and content.get("features"):
        return None  # GDAL says what is wrong with it
    what, hint = _described(content)
    return FormatError(f"{path.name} is {what}, not a frame", hint=hint)


def _described(content: Any) -> tuple[str, str]:
    geojson = "a frame in JSON is GeoJSON: a FeatureCollection"
    if isinstance(content, dict) and isinstance(content.get("error"), dict):
        said = " ".join(str(content["error"].get("message") or "").split())[:100]
        return f"the answer of a service that refused ({said!r})", "ask again"
    if isinstance(content, dict) and (content.get("type") in {"Collection", "Catalog"} or "collections" in content):
        return "a STAC collection, as Panoramax has for sequences", "'mlygeo find-sequences' makes a frame of sequences"
    records = content.get("data") if isinstance(content, dict) and isinstance(content.get("data"), list) else content
    several = records if isinstance(records, list) else [records]
    first = next((each for each in several if isinstance(each, dict)), None)
    if first is not None and any(str(key).startswith("MAP") for key in first):
        return "an image description file", "mlygeo.read_descriptions(…) reads it"
    if first is not None and OF_IMAGES & first.keys():
        return (
            "what the Graph API of Mapillary says of images",
            "'mlygeo metadata' makes a frame of images by their ids",
        )
    if several and all(
        isinstance(each, int | str) or (isinstance(each, dict) and {*each} == {"id"}) for each in several
    ):
        return "a list of ids", "'mlygeo metadata' makes a frame of images by their ids"
    if isinstance(content, dict):
        keys = ", ".join(map(repr, [*content][:5])) or "none"
        return f"JSON of another kind (its keys are {keys})", geojson
    return "JSON of another kind", geojson
