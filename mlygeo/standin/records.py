"""
The stand-in's records: the images of a frame, and the people who took them, in the form of the Graph API.

Ids are text, times milliseconds, positions GeoJSON, numbers as the service writes them (14 digits,
whole ones without a point); fields without a value are left out.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Indices, Whole

    Field = Callable[[int], Any]

SIZES = ("256", "1024", "2048", "original")
"""The sizes of delivered pictures: pixels of the longer side, or the original size."""

THUMBS = {f"thumb_{size}_url": size for size in SIZES}

IMAGE_FIELDS = frozenset(
    {
        "altitude", "atomic_scale", "camera_parameters", "camera_type", "captured_at", "compass_angle",
        "computed_altitude", "computed_compass_angle", "computed_geometry", "computed_rotation", "creator",
        "detections", "exif_orientation", "geometry", "height", "id", "is_pano", "make", "merge_cc", "mesh",
        "model", "organization", "organization_id", "quality_score", "sequence", "sfm_cluster", *THUMBS, "width",
    }
)  # fmt: skip
"""Every field of an image that the service knows."""

USER_FIELDS = frozenset({"id", "username"})
ORGANIZATION_FIELDS = frozenset({"id", "slug", "name", "description"})


REHEARSAL_USER, REHEARSAL_ORGANIZATION = 1, 2
"""The person and the organization of a stand-in without images, which only accepts uploads."""


class Records:
    """
    Images, users and organizations as records of the Graph API.

    Parameters
    ----------
    images
        Images frame. Columns with the Graph API's own names are returned unchanged; lists, objects
        and positions may also be JSON. Without `creator_username`, people are named after their
        ids.
    """

    def __init__(self, images: gpd.GeoDataFrame) -> None:
        self.images = images
        self.ids: Whole = images["id"].to_numpy(dtype="int64")
        self.lon, self.lat = frames.lonlat(images)
        self._order = np.argsort(self.ids, kind="stable")
        self._sorted = self.ids[self._order]
        self._fields: dict[str, Field | None] = {}
        self._groups: dict[str, Mapping[Any, Indices]] = {}
        self._lock = threading.Lock()
        self.users = _names(images)
        organizations = images["organization_id"].dropna().unique()
        self.organizations = frozenset(int(number) for number in organizations)
        if not len(self.ids):
            self.users, self.organizations = {REHEARSAL_USER: "rehearsal"}, frozenset({REHEARSAL_ORGANIZATION})

    def row(self, number: int) -> int | None:
        """Return the row of an image, or None if there is no such image."""
        place = int(np.searchsorted(self._sorted, number)) if abs(number) < 2**63 else len(self._sorted)
        if place < len(self._sorted) and self._sorted[place] == number:
            return int(self._order[place])
        return None

    def rows(self, column: str, values: Iterable[Any]) -> Indices:
        """Return the rows with any of these values in a column, in the frame's order."""
        with self._lock:
            if column not in self._groups:
                self._groups[column] = self.images.reset_index(drop=True).groupby(column, observed=True).indices
            groups = self._groups[column]
        found = [groups[value] for value in dict.fromkeys(values) if value in groups]
        return np.sort(np.concatenate(found)) if found else np.zeros(0, dtype=np.intp)

    def image(self, row: int, fields: Iterable[str], thumb: Callable[[str, int], str]) -> dict[str, Any]:
        """
        Return the requested fields of an image.

        Parameters
        ----------
        row
            Its row.
        fields
            The requested fields, of `IMAGE_FIELDS`.
        thumb
            Function that returns the address of its picture, from a size and the id.
        """
        number = int(self.ids[row])
        record: dict[str, Any] = {}
        for name in fields:
            if name in THUMBS:
                record[name] = thumb(THUMBS[name], number)
            elif (field := self._field(name)) is not None and (value := field(row)) is not None:
                record[name] = value
        record["id"] = str(number)
        return record

    def _field(self, name: str) -> Field | None:
        with self._lock:
            if name not in self._fields:
                self._fields[name] = self._made(name)
            return self._fields[name]

    def _made(self, name: str) -> Field | None:
        """Return the function that gives a field of a row; None if the frame lacks the field."""
        images = self.images
        match name:
            case "sequence":
                return _values(images["sequence_id"], str)
            case "captured_at":
                times = images["captured_at"].to_numpy(dtype="datetime64[ms]").astype("int64")
                known = images["captured_at"].notna().to_numpy()
                return lambda row: int(times[row]) if known[row] else None
            case "geometry":
                return lambda row: _point(self.lon[row], self.lat[row])
            case "creator":
                return _values(images["creator_id"], self._creator)
            case "organization":
                return _values(images["organization_id"], lambda number: {"id": str(int(number))})
            case "organization_id":
                return _values(images["organization_id"], lambda number: str(int(number)))
            case "is_pano":
                return _values(images["is_pano"], bool)
            case "mesh" | "sfm_cluster" if name not in images:
                return _object(images, name)
            case _ if name in images:
                return _values(images[name], _plain)
        return None

    def _creator(self, number: int) -> dict[str, str]:
        creator = {"id": str(int(number))}
        return {"username": self.users[int(number)], **creator} if int(number) in self.users else creator

    def user(self, number: int) -> dict[str, str] | None:
        """Return the record of a person, or None."""
        return {"username": self.users[number], "id": str(number)} if number in self.users else None

    def organization(self, number: int) -> dict[str, str] | None:
        """Return the record of an organization, or None."""
        if number not in self.organizations:
            return None
        name = f"organization_{number}"
        return {"slug": name, "name": name.replace("_", " ").title(), "description": "", "id": str(number)}

    def most_active(self) -> int | None:
        """Return the person with most images; of several the lowest id, None if there is none."""
        counts = self.images["creator_id"].value_counts()
        if not len(self.ids):
            return REHEARSAL_USER
        return None if counts.empty else min(int(number) for number in counts.index[counts == counts.max()])


def _names(images: gpd.GeoDataFrame) -> dict[int, str]:
    """Return the name of each person: from the frame, else made from the id."""
    known = images["creator_id"].notna()
    if "creator_username" in images:
        named = images.loc[known & images["creator_username"].notna(), ["creator_id", "creator_username"]]
        named = named.drop_duplicates("creator_id")
        return {int(number): name for number, name in named.itertuples(index=False)}
    return {int(number): f"user_{number}" for number in images.loc[known, "creator_id"].unique()}


def _values(column: pd.Series, form: Callable[[Any], Any]) -> Field:
    """Return the function that gives a row's value in its form, or None for a missing value."""
    known = column.notna().to_numpy()
    values = column.to_numpy(dtype=object)
    return lambda row: form(values[row]) if known[row] else None


def _object(images: gpd.GeoDataFrame, name: str) -> Field | None:
    """Return the function that gives an object of id and URL, from columns such as `mesh.id` or `mesh_id`."""
    parts = {}
    for part, form in (("id", lambda number: str(int(number))), ("url", str)):
        for column in (f"{name}.{part}", f"{name}_{part}"):
            if column in images:
                parts[part] = _values(images[column], form)
    if not parts:
        return None

    def values_of(row: int) -> dict[str, Any] | None:
        values = {part: value for part, field in parts.items() if (value := field(row)) is not None}
        return values or None

    return values_of


def _point(lon: float, lat: float) -> dict[str, Any] | None:
    if not (np.isfinite(lon) and np.isfinite(lat)):
        return None
    return {"type": "Point", "coordinates": [_number(lon), _number(lat)]}


def _number(value: float) -> float | int:
    """Return a number as the service writes it: 14 digits, and no point where it is whole."""
    short = float(f"{value:.14g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def _plain(value: Any) -> Any:
    """Return a value of a frame as JSON; None for a missing value."""
    import shapely

    match value:
        case bool() | np.bool_():
            return bool(value)
        case int() | np.integer():
            return int(value)
        case float() | np.floating():
            return _number(float(value)) if np.isfinite(value) else None
        case str() if value[:1] in {"[", "{"}:
            return _parsed(value)
        case shapely.Point():
            return None if value.is_empty else _point(value.x, value.y)
        case np.ndarray() | list() | tuple():
            return [_plain(item) for item in value]
        case dict():
            plain = {name: _plain(item) for name, item in value.items() if item is not None}
            return {**plain, "id": str(plain["id"])} if "id" in plain else plain
    return str(value)


def _parsed(text: str) -> Any:
    """Return the value of a JSON text; the text itself if it is not JSON."""
    try:
        return _plain(json.loads(text))
    except ValueError:
        return text
