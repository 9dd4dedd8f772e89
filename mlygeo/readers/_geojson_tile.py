"""Tiles that were stored as GeoJSON -> the table that vector tiles give."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.readers._image_table import PROPERTIES, Images, images_table
from mlygeo.readers._mvt_values import EXACT_DOUBLE, whole_number

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Whole = tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]
    Reals = npt.NDArray[np.float64]


def read_geojson_tile(data: bytes) -> pa.Table:
    """
    Read a tile that was stored as GeoJSON, as percept-vsvi-filter's cache has them.

    Parameters
    ----------
    data
        A GeoJSON FeatureCollection in longitude and latitude, with the properties of the
        layer `image`.

    Returns
    -------
    images
        The table that `mvt.decode` gives. Ids may be numbers or strings of digits.

    Raises
    ------
    FormatError
        If it is no JSON or no FeatureCollection, or if its ids are floating point numbers past
        2^53, whose last digits are lost.

    Examples
    --------
    >>> read_geojson_tile(Path("mly1_public_8609_5642_14").read_bytes())
    """
    hint = "remove the file and fetch the tile again"
    try:
        collection = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the tile is no JSON: {str(error)[:200]}", hint=hint) from error
    try:
        part = _decode_features(collection)
    except FormatError as error:
        raise FormatError(f"the tile's GeoJSON cannot be used: {error}", hint=hint) from error
    return images_table([part], "the tile")


def _decode_features(collection: Any) -> Images:
    import pyarrow as pa

    features = collection.get("features") if isinstance(collection, dict) else None
    if not isinstance(features, list) or not all(isinstance(feature, dict) for feature in features):
        raise FormatError("it is no FeatureCollection")
    points = [_first_point(feature.get("geometry")) for feature in features]
    properties = [feature.get("properties") or {} for feature in features]
    if not all(isinstance(each, dict) for each in properties):
        raise FormatError("a feature's properties are no object")
    ids = [_exact(each.get("id")) for each in properties]
    placed = [point is not None for point in points]
    keep = [id_ is not None and here for id_, here in zip(ids, placed, strict=True)]
    properties = [each for each, kept in zip(properties, keep, strict=True) if kept]
    column = {name: [each.get(name) for each in properties] for name in PROPERTIES}
    lonlat = np.array([point for point, kept in zip(points, keep, strict=True) if kept], dtype=np.float64)
    lon, lat = lonlat.reshape(-1, 2).T
    try:
        sequence_id = pa.array([value if value and isinstance(value, str) else None for value in column["sequence_id"]],
                               pa.string())  # fmt: skip
    except UnicodeEncodeError as error:
        raise FormatError("a sequence_id that is no text") from error
    return Images(
        np.array([id_ for id_, kept in zip(ids, keep, strict=True) if kept], dtype=np.int64),
        sequence_id,
        _whole([whole_number(_floor(value)) for value in column["captured_at"]]),
        _real(column["compass_angle"]),
        np.array([isinstance(value, int | float) and value != 0 for value in column["is_pano"]], dtype=np.bool_),
        _whole([_exact(value) for value in column["creator_id"]]),
        _whole([_exact(value) for value in column["organization_id"]]),
        _real(column["quality_score"]),
        lon,
        lat,
        sum(placed) - sum(keep),
        len(placed) - sum(placed),
    )


def _first_point(geometry: Any) -> tuple[float, float] | None:
    if not isinstance(geometry, dict):
        return None
    kind, place = geometry.get("type"), geometry.get("coordinates")
    if kind == "MultiPoint" and isinstance(place, list) and place:
        place = place[0]
    elif kind != "Point":
        return None
    if place in (None, []):
        return None
    if not isinstance(place, list) or len(place) < 2 or not all(isinstance(each, int | float) for each in place[:2]):
        raise FormatError("a point without two numbers")
    lon, lat = place[:2]
    if not (-360 <= lon <= 360 and -90 <= lat <= 90):
        raise FormatError(f"a point at {str(lon)[:24]}, {str(lat)[:24]}, which are not degrees")
    return (lon if -180 <= lon <= 180 else (lon + 180) % 360 - 180, lat)


def _exact(value: Any) -> int | None:
    if isinstance(value, float) and abs(value) >= EXACT_DOUBLE:
        raise FormatError("its ids are floating point numbers past 2^53, whose last digits are lost")
    return whole_number(value)


def _floor(value: Any) -> Any:
    return value // 1 if isinstance(value, float) and np.isfinite(value) else value


def _whole(values: list[int | None]) -> Whole:
    known = np.array([value is not None for value in values], dtype=np.bool_)
    return np.array([value or 0 for value in values], dtype=np.int64), known


def _real(values: list[Any]) -> Reals:
    numbers = np.array([value if type(value) in {int, float} else np.nan for value in values], dtype=np.float64)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers
