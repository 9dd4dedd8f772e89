"""
Records of the Graph API -> images frame. Nothing here touches a file or the network.

A record is the JSON object that the service answers for an image: ids as text, times in
milliseconds, and a field without a value left out.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames
from mlygeo.errors import FormatError
from mlygeo.readers import _graph_values as read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import geopandas as gpd
    import numpy.typing as npt

    from mlygeo.readers._graph_values import Values, Wrong

log = logging.getLogger("mlygeo.providers.mapillary.records")

BASE_FIELDS = ("sequence", "captured_at", "compass_angle", "is_pano", "creator", "organization", "geometry")
"""The fields that an images frame is made of, beside the id."""

MORE_FIELDS = (
    "altitude",
    "camera_parameters",
    "camera_type",
    "computed_altitude",
    "computed_compass_angle",
    "computed_geometry",
    "exif_orientation",
    "height",
    "make",
    "model",
    "quality_score",
    "width",
)
"""The fields that most work goes on with."""

RARE_FIELDS = (
    "atomic_scale",
    "computed_rotation",
    "detections",
    "merge_cc",
    "mesh",
    "sfm_cluster",
    "thumb_256_url",
    "thumb_1024_url",
    "thumb_2048_url",
    "thumb_original_url",
)
"""Further fields that images have."""

FIELDS = (*BASE_FIELDS, *MORE_FIELDS, *RARE_FIELDS)
"""All fields of images that are known; see MAPILLARY's API documentation."""

Column = tuple[Any, "Wrong"]

_SIMPLE: dict[str, tuple[str, Callable[[Values], Column]]] = {
    "sequence": ("sequence_id", read.texts),
    "captured_at": ("captured_at", read.times),
    "compass_angle": ("compass_angle", read.angles),
    "altitude": ("altitude", read.altitudes),
    "computed_altitude": ("computed_altitude", read.altitudes),
    "computed_compass_angle": ("computed_compass_angle", read.angles),
    "camera_type": ("camera_type", read.texts),
    "make": ("make", read.names),
    "model": ("model", read.names),
    "width": ("width", read.wholes),
    "height": ("height", read.wholes),
    "quality_score": ("quality_score", read.reals),
    "exif_orientation": ("exif_orientation", read.wholes),
    "camera_parameters": ("camera_parameters", read.lists),
    "computed_rotation": ("computed_rotation", read.lists),
    "atomic_scale": ("atomic_scale", read.reals),
    "merge_cc": ("merge_cc", read.reals),
    "organization_id": ("organization_id", read.wholes),
    **{f"thumb_{size}_url": (f"thumb_{size}_url", read.texts) for size in (256, 1024, 2048, "original")},
}
"""Field -> column and how it is read. `merge_cc` has lost its last digits in the JSON already."""

_OBJECTS: dict[str, tuple[tuple[str, str, Callable[[Values], Column]], ...]] = {
    "creator": (("id", "creator_id", read.wholes), ("username", "creator_username", read.texts)),
    "organization": (("id", "organization_id", read.wholes),),
    "mesh": (("id", "mesh_id", read.ids_as_text), ("url", "mesh_url", read.texts)),
    "sfm_cluster": (("id", "sfm_cluster_id", read.ids_as_text), ("url", "sfm_cluster_url", read.texts)),
}
"""Field that holds an object -> its members, each with its column."""

_OWN_COLUMNS = frozenset(
    {"id", "is_pano", "geometry", "computed_geometry", *(column for column, _ in _SIMPLE.values())}
    | {column for members in _OBJECTS.values() for _, column, _ in members}
)
"""Columns that are made here, whatever a field of that name may hold."""

PANORAMAS = ("equirectangular", "spherical")
"""The camera types of panoramas; two words for one."""


def images_frame(
    records: Iterable[Mapping[str, Any]],
    *,
    fields: Sequence[str] | None = None,
    problems: dict[int, str] | None = None,
) -> gpd.GeoDataFrame:
    """
    Read records of images into an images frame.

    Parameters
    ----------
    records
        JSON objects, each with an `id`.
    fields
        The fields that were asked for: each gets its column, be it null throughout. None takes those
        that some record has.
    problems
        Is told of records of the wrong shape, id by id, and what is wrong; the frame then holds
        what is right of them. Without it such a record is an error.

    Returns
    -------
    images
        Images frame in the order of the records, EPSG:4326. `sequence` becomes `sequence_id`;
        `creator` becomes `creator_id` and `creator_username`; `organization` becomes `organization_id`;
        `mesh` and `sfm_cluster` become two columns each, `…_id` (str) and `…_url`;
        `computed_geometry` is a second column of points; `camera_parameters` and
        `computed_rotation` hold lists of floats; `merge_cc` and `atomic_scale` are float64; other
        fields keep their names. Headings are brought into [0, 360), and NaN where unknown.
        Altitudes of 2^31 and more, which are unsigned readings of negative ones, are set right.
        `make` and `model` are null where the service says "none". `is_pano` is taken from
        `camera_type` where it is missing, and false where that is too.

    Raises
    ------
    FormatError
        If a record is no object with an id; or, without `problems`, of the wrong shape otherwise.

    Examples
    --------
    >>> images_frame([{"id": "498763468214164", "captured_at": 1720488258913, "is_pano": True}])
    """
    import geopandas as gpd
    import pandas as pd

    rows = list(records)
    ids = _ids(rows)
    known = set().union(*rows) - {"id"}
    names = list(
        dict.fromkeys([*(() if fields is None else fields), *(known if fields is None else known & {*fields})])
    )
    table = _Table(ids, rows)
    table.truths(known)
    for name in sorted(names):
        if name in _SIMPLE:
            column, how = _SIMPLE[name]
            table.put(column, name, *how(table.values(name)))
        elif name in _OBJECTS:
            table.put_members(name, _OBJECTS[name])
        elif name not in _OWN_COLUMNS:
            table.put(name, name, *read.others(table.values(name)))
    columns = {"id": ids, **table.columns, "geometry": table.points("geometry")}
    if "computed_geometry" in names:
        columns["computed_geometry"] = table.points("computed_geometry")
    table.settle(problems)
    frame = gpd.GeoDataFrame(pd.DataFrame(columns), geometry="geometry", crs=frames.CRS)
    images = frames.conform(frame, frames.IMAGES)
    log.info("%d images of %d records, %d of a wrong shape", len(images), len(rows), len(table.problems))
    return frames.attribute(images, frames.MAPILLARY, positions="original")


def columns_of(field: str) -> tuple[str, ...]:
    """Return the columns that a field becomes."""
    if field in _OBJECTS:
        return tuple(column for _, column, _ in _OBJECTS[field])
    return (_SIMPLE[field][0] if field in _SIMPLE else field,)


def field_of(column: str) -> str:
    """Return the field that a column comes from; a field's own name stays."""
    known = (*_SIMPLE, *_OBJECTS)
    return column if column in known else next((field for field in known if column in columns_of(field)), column)


class _Table:
    """Columns in the making, and what is wrong with the records they come from."""

    def __init__(self, ids: npt.NDArray[np.int64], records: list[Mapping[str, Any]]) -> None:
        self._ids, self._records = ids, records
        self.columns: dict[str, Any] = {}
        self.problems: dict[int, str] = {}

    def values(self, name: str) -> list[Any]:
        return [record.get(name) for record in self._records]

    def put(self, column: str, field: str, values: Any, wrong: Wrong) -> None:
        self.columns[column] = values
        self._note(field, wrong)

    def put_members(self, field: str, members: tuple[tuple[str, str, Callable[[Values], Column]], ...]) -> None:
        values = self.values(field)
        for member, column, how in members:
            inside, wrong = read.members(values, member)
            read_values, odd = how(inside)
            self.put(column, field, read_values, wrong | odd)

    def points(self, field: str) -> Any:
        import geopandas as gpd

        lonlat, wrong = read.positions(self.values(field))
        self._note(field, wrong)
        geometry = frames.points(*lonlat.T)
        geometry[np.isnan(lonlat[:, 0])] = None
        return gpd.GeoSeries(geometry, crs=frames.CRS)

    def truths(self, known: set[str]) -> None:
        """Make the column `is_pano`, which has no room for "unknown"."""
        values, wrong = read.truths(self.values("is_pano"))
        kinds = self.values("camera_type") if "camera_type" in known else [None] * len(values)
        self.put(
            "is_pano", "is_pano",
            [isinstance(kind, str) and kind in PANORAMAS if value is None else value
             for value, kind in zip(values, kinds, strict=True)],
            wrong,
        )  # fmt: skip

    def settle(self, problems: dict[int, str] | None) -> None:
        """Tell of what is wrong, or raise."""
        if self.problems and problems is None:
            number, problem = next(iter(self.problems.items()))
            raise FormatError(f"image {number}: {problem}", hint="ask for it again; the service may have changed")
        if problems is not None:
            problems.update(self.problems)

    def _note(self, field: str, wrong: Wrong) -> None:
        for row in np.flatnonzero(wrong).tolist():
            number = int(self._ids[row])
            text = f"its {field} is {_shown(self._records[row].get(field))}"
            before = self.problems.get(number)
            if before is None or text not in before:
                self.problems[number] = text if before is None else f"{before}; {text}"


def _ids(records: list[Mapping[str, Any]]) -> npt.NDArray[np.int64]:
    """Return the ids of records; each must have one, or nobody could say which it is."""
    for row, record in enumerate(records):
        if not isinstance(record, dict):
            raise FormatError(f"record {row} is {_shown(record)}, and no object")
    numbers, wrong = read.wholes([record.get("id") for record in records])
    bad = wrong | numbers.isna().to_numpy() | (numbers.fillna(0) <= 0).to_numpy(dtype=bool)
    if bad.any():
        row = int(np.argmax(bad))
        raise FormatError(f"record {row} has the id {_shown(records[row].get('id'))}")
    return numbers.to_numpy(dtype=np.int64)


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, int) or abs(value) < 1 << 200 else "a huge number"
    return text if len(text) <= 60 else f"{text[:57]}..."
