"""
The stand-in's searches: which images a query of `/images` finds, and how many are returned.

A search by bounding box, or around a position, is not paged: images beyond the limit are silently
left out, and the returned ones lie at the edge of the box. A search by creator, organization or
sequence is paged.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.spatial import geodesy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlygeo.arrays import Flags, Floats, Indices
    from mlygeo.standin.records import Records


LARGEST_BOX = 0.01
"""Square degrees; a box of this area or more is refused."""

LARGEST_RADIUS = 50.0
"""Largest radius of a search around a position, metres."""

LARGEST_PAGE = 2000
"""Most images in one answer."""

MOST_IDS = 200
"""Most ids in one call of `/images`."""


class SearchError(ValueError):
    """A query that the service refuses: 100, wrong parameters; 1, too much data."""

    def __init__(self, message: str, code: int = 100) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Found:
    """
    The result of a search.

    Parameters
    ----------
    rows
        The images of this answer.
    after
        The cursor of the next page; None if the search is not paged.
    more
        Whether a further page follows.
    """

    rows: Indices
    after: str | None = None
    more: bool = False


def search(
    records: Records, query: Mapping[str, str], *, largest_page: int, densest_box: int, overhang: float
) -> Found:
    """
    Return the result of a query of `/images`.

    Parameters
    ----------
    records
        The images.
    query
        The parameters; unknown ones are ignored, as the service does.
    largest_page
        Most images in one answer.
    densest_box
        Boxes with more images are refused.
    overhang
        Degrees by which found images may lie outside the box.

    Raises
    ------
    SearchError
        If the service would refuse the query.
    """
    limit = min(_whole(query, "limit", LARGEST_PAGE), largest_page)
    if "bbox" in query:
        rows, depth = _in_box(records, query["bbox"], overhang)
        rows_met = rows[_conditions(records, query, rows)]
        if len(rows) > densest_box:
            raise SearchError("Please reduce the amount of data you're asking for, then retry your request", 1)
        depth = depth[np.isin(rows, rows_met)]
        return Found(rows_met[np.argsort(depth, kind="stable")][:limit])
    if "radius" in query or "lat" in query:
        rows = _around(records, query)
        return Found(rows[_conditions(records, query, rows)][:limit])
    rows = _chosen(records, query)
    rows = rows[_conditions(records, query, rows)]
    start = _place(query.get("after", ""))
    page = rows[start : start + limit]
    return Found(page, _cursor(start + len(page)) if len(page) else None, start + limit < len(rows))


def _in_box(records: Records, text: str, overhang: float) -> tuple[Indices, Floats]:
    """Return the images in a box, and the distance of each from the edge, degrees."""
    try:
        west, south, east, north = (float(side) for side in text.split(","))
    except ValueError:
        raise SearchError("Invalid parameter: bbox must be four numbers minLon,minLat,maxLon,maxLat") from None
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise SearchError("Invalid parameter: bbox is empty or lies outside the world")
    # A box of exactly this area is refused, however its sides are rounded in binary.
    if (east - west) * (north - south) >= LARGEST_BOX * (1 - 1e-9):
        raise SearchError(f"Invalid parameter: the area of bbox must be smaller than {LARGEST_BOX} square degrees")
    lon, lat = records.lon, records.lat
    depth = np.minimum(np.minimum(lon - west, east - lon), np.minimum(lat - south, north - lat))
    rows = np.flatnonzero(depth >= -overhang)
    return rows, depth[rows]


def _around(records: Records, query: Mapping[str, str]) -> Indices:
    """Return the images around a position, the nearest first."""
    try:
        lat, lon, radius = (float(query[name]) for name in ("lat", "lng", "radius"))
    except (KeyError, ValueError):
        raise SearchError("Invalid parameter: lat, lng and radius must be numbers, and belong together") from None
    if not 0 < radius <= LARGEST_RADIUS:
        raise SearchError(f"Invalid parameter: radius must not be larger than {LARGEST_RADIUS:g}")
    # A thousandth of a degree is longer than the largest radius, except in longitude near the poles.
    near = np.flatnonzero((np.abs(records.lat - lat) < 0.001) & (np.abs(records.lon - lon) < 0.1))
    here = np.full(len(near), lon), np.full(len(near), lat)
    distance = geodesy.distance(*here, records.lon[near], records.lat[near])
    order = np.argsort(distance, kind="stable")
    return near[order][distance[order] <= radius]


def _chosen(records: Records, query: Mapping[str, str]) -> Indices:
    """Return the images of a person, an organization or sequences; images must match all given ones."""
    parts = []
    if "creator_username" in query:
        name = query["creator_username"]
        parts.append(records.rows("creator_id", [number for number, user in records.users.items() if user == name]))
    if "organization_id" in query:
        parts.append(records.rows("organization_id", [_whole(query, "organization_id", 0)]))
    if "sequence_ids" in query:
        parts.append(records.rows("sequence_id", query["sequence_ids"].split(",")))
    if not parts:
        raise SearchError(
            "Invalid parameter: one of bbox, lat with lng and radius, creator_username, organization_id, "
            "sequence_ids or image_ids is needed"
        )
    rows = parts[0]
    for part in parts[1:]:
        rows = rows[np.isin(rows, part)]
    return rows


def _conditions(records: Records, query: Mapping[str, str], rows: Indices) -> Flags:
    """Return which rows meet the conditions other than position."""
    images = records.images
    met = np.ones(len(rows), dtype=bool)

    def keep(column: str, value: Any) -> None:
        if column in images:
            met[:] &= (images[column].iloc[rows] == value).fillna(value=False).to_numpy(dtype=bool)
        else:
            met[:] = False

    if "is_pano" in query:
        keep("is_pano", query["is_pano"].lower() in {"true", "1"})
    for name in ("make", "model"):
        if name in query:
            keep(name, query[name])
    if any(name in query for name in ("start_captured_at", "end_captured_at")):
        times = images["captured_at"].iloc[rows]
        if "start_captured_at" in query:
            met &= (times >= _moment(query, "start_captured_at")).to_numpy(dtype=bool)
        if "end_captured_at" in query:
            met &= (times <= _moment(query, "end_captured_at")).to_numpy(dtype=bool)
    if "bbox" in query or "radius" in query:
        for name in ("creator_username", "organization_id", "sequence_ids"):
            if name in query:
                met &= np.isin(rows, _chosen(records, {name: query[name]}))
    return met


def _moment(query: Mapping[str, str], name: str) -> Any:
    import pandas as pd

    try:
        moment = pd.Timestamp(query[name])
    except ValueError:
        raise SearchError(f"Invalid parameter: {name} must be a time such as 2022-08-16T16:42:46Z") from None
    return moment.tz_localize("UTC") if moment.tzinfo is None else moment


def _whole(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise SearchError(f"Invalid parameter: {name} must be a whole number")
    return int(text)


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(f"after {place}".encode()).decode()


def _place(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.urlsafe_b64decode(cursor).decode().removeprefix("after "))
    except (ValueError, binascii.Error):
        raise SearchError("Invalid parameter: after is no cursor") from None
