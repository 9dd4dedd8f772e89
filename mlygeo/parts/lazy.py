"""
Steps on frames of Dask: they take and give `dask_geopandas` frames, and nothing is computed before it is asked for.

A partition of the answer is the step on a partition of the input with what it needs around it, so that its rows are
those of the step on the whole. What a part of the rows does not tell is refused.
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from mlygeo.errors import FrameError, InputError
from mlygeo.extras import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import geopandas as gpd
    import numpy as np

    from mlygeo.arrays import Bounds
    from mlygeo.schemas import Schema

POINTS_AT_ONCE = 100_000
"""Points of a partition, where the points are a frame in memory."""

ROW = "mlygeo row"
"""The column that has the order of rows while they are shuffled."""

NAMING = {"cut_sequences", "split_sequences"}
"""The steps that name sequences by their first images; of those that agree, in the order of all rows."""

PARTS = "take .compute() where it fits into memory, or 'mlygeo partition' and a selection over the parts"


@dataclass(frozen=True)
class Form:
    """
    The dtypes of a frame's columns, settled for all partitions.

    Parameters
    ----------
    name
        The parameter.
    schemas
        Those that name its columns, in the form that fits.
    is_text
        Whether ids are those of any provider, and text.
    """

    name: str
    schemas: tuple[Schema, ...]
    is_text: bool

    @classmethod
    def of(cls, frame: Any, name: str, kinds: tuple[Schema, ...]) -> Self:
        """
        Return the form of a frame of Dask.

        Of ids that are text, and beside the names of providers, all rows tell whether they are numbers: these
        columns are computed.
        """
        import pandas as pd

        from mlygeo import frames

        none = empty(frame)
        asked = [each for each in ("provider", "id", "creator_id") if each in none.columns]
        numbers = "provider" not in asked and all(_is_number(none, each) for each in asked[:1])
        if name != "images" or numbers or not asked:
            return cls(name, kinds, is_text=False)
        table = pd.DataFrame(frame[asked].compute())
        found = tuple(frames.form(kind, [*none.columns], table.__getitem__) for kind in kinds)
        return cls(name, found, is_text=any(new is not kind for new, kind in zip(found, kinds, strict=True)))

    def settled(self, part: Any) -> gpd.GeoDataFrame:
        """Return some of the rows in this form."""
        from mlygeo import frames, store

        name = f"`{self.name}`"
        return frames.in_forms(store.as_frame(part, name=name), *self.schemas, is_text=self.is_text, name=name)


def _is_number(none: gpd.GeoDataFrame, column: str) -> bool:
    return getattr(none.dtypes.get(column), "kind", "O") in "iu"


def module(name: str) -> Any:
    """Return a module of Dask; raise DependencyError without it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise missing("frames of Dask need dask_geopandas", "scale") from error


def empty(frame: Any) -> gpd.GeoDataFrame:
    """Return the columns of a frame, without rows."""
    found: gpd.GeoDataFrame = module("dask.dataframe.dispatch").make_meta(frame)
    return found


def like(meta: gpd.GeoDataFrame, found: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return a partition; raise FrameError where it has other columns than the frame has by its empty rows."""
    if not len(found):
        return meta
    if {*found.columns} != {*meta.columns}:
        raise FrameError(f"a partition has the columns {', '.join(found.columns)}, and not {', '.join(meta.columns)}")
    if [*found.columns] != [*meta.columns]:
        found = found[[*meta.columns]]
    for column, dtype in meta.dtypes.items():
        if found[column].dtype != dtype:
            try:
                found = found.assign(**{str(column): found[column].astype(dtype)})
            except (ValueError, TypeError) as error:
                raise FrameError(f"column {column!r} is {found[column].dtype} in a partition, and {dtype} in another"
                                 ) from error  # fmt: skip
    return found


# One row after another


def partition_by_partition(step: Callable[..., gpd.GeoDataFrame], form: Form, images: Any) -> Any:
    """Return a step on each partition."""
    meta = step(form.settled(empty(images))).iloc[:0]
    if "against_light" in meta.columns:  # unknown of some images perhaps, which all rows would tell
        meta = meta.astype({"against_light": "boolean"})
    return images.map_partitions(_of_partition, step, form, meta, meta=meta, enforce_metadata=False)


def _of_partition(
    part: gpd.GeoDataFrame, step: Callable[..., gpd.GeoDataFrame], form: Form, meta: gpd.GeoDataFrame
) -> gpd.GeoDataFrame:
    if ROW in part.columns:
        part = part.sort_values(ROW, kind="stable").drop(columns=ROW)
    return like(meta, step(form.settled(part)))


# Sequences


def by_group(step: partial[gpd.GeoDataFrame], form: Form, column: str, images: Any) -> Any:
    """Return a step on the images of each sequence, or folder, which Dask brings together."""
    if column not in images.columns:
        raise InputError(
            f"`{step.func.__name__}` of a frame of Dask needs a column `{column}`: without it all images belong"
            " together",
            hint="add the column, or take .compute() where the frame fits into memory",
        )
    none = empty(images)
    meta = step(module("dask.dataframe.dispatch").meta_nonempty(form.settled(none))).iloc[:0]
    numbered = images.map_partitions(_numbered, meta=_numbered(none, None))
    together = numbered.shuffle(on=column)
    found = together.map_partitions(_of_partition, step, form, meta, meta=meta, enforce_metadata=False)
    if step.func.__name__ not in NAMING or found.npartitions == 1:
        return found
    dask, dataframe = module("dask"), module("dask.dataframe")
    parts = found.to_delayed()
    told = dask.delayed(_check_names)([dask.delayed(_names)(part) for part in parts], column)
    settled = dask.delayed(_once_told, pure=False)
    return dataframe.from_delayed([settled(part, told) for part in parts], meta=meta, verify_meta=False)


def _names(part: gpd.GeoDataFrame) -> Any:
    """Return what the sequences of a partition are named by their first images."""
    from mlygeo.spatial import ordering, sequences

    order = ordering.by_time(part, ("sequence_id",))
    return sequences.named(part, order, order.first).dropna().unique()


def _check_names(names: Sequence[Any], column: str) -> bool:
    """Raise FrameError where sequences of two partitions have the same name: all rows tell which is the first."""
    import numpy as np

    found, count = np.unique(np.concatenate(names).astype(str), return_counts=True)
    if again := int(np.count_nonzero(count > 1)):
        raise FrameError(
            f"the first images of sequences of several `{column}` agree in path, id, time and device"
            f" ({again:,} of {len(found):,}), and a frame of Dask does not tell which of them is the first",
            hint="tell them apart by `path`, leave out images that are there twice, or take .compute() where the"
            " frame fits into memory",
        )
    return True


def _once_told(part: gpd.GeoDataFrame, _told: bool) -> gpd.GeoDataFrame:
    return part


def _numbered(part: gpd.GeoDataFrame, partition_info: dict[str, int] | None) -> gpd.GeoDataFrame:
    """Return rows with their place among all, by which they are in their order again."""
    import numpy as np

    first = 0 if partition_info is None else partition_info["number"] << 40
    return part.assign(**{ROW: np.arange(first, first + len(part))})


# The nearest images


def nearest_images(
    step: Callable[..., gpd.GeoDataFrame],
    points: Any,
    images: Any,
    options: Mapping[str, Any],
    kinds: Mapping[str, tuple[Schema, ...]],
) -> Any:
    """Return the nearest images of each partition of points, by the partitions of images in reach of it."""
    from mlygeo.spatial import nearest

    if options.get("unique"):
        raise InputError(
            "`unique` is not possible with a frame of Dask: whom an image serves may hang on points far away",
            hint=f"leave it out; or {PARTS}",
        )
    distance_m = options.get("max_distance", nearest.MAX_DISTANCE_M)
    if distance_m is None or distance_m == float("inf"):
        raise InputError(
            "`max_distance=None` is not possible with a frame of Dask: the nearest image may be in any partition",
            hint=f"name the largest distance; or {PARTS}",
        )
    dask, dataframe = module("dask"), module("dask.dataframe")
    points, images = as_lazy(points, "points"), as_lazy(images, "images")
    forms = Form.of(points, "points", kinds["points"]), Form.of(images, "images", kinds["images"])
    none = empty(images)
    meta = step(forms[0].settled(empty(points)), forms[1].settled(none))
    around, held = boxes(points), boxes(images)
    projection = nearest.choose_projection(
        *_corners(around), srid=options.get("srid"), force_srid=options.get("force_srid", False)
    )
    if options.get("srid") is not None:  # whether it suits the points is settled here
        step = partial(step, force_srid=True)
    point_parts, image_parts = points.to_delayed(), images.to_delayed()
    unique = dask.delayed(_check_ids)([dask.delayed(_ids)(part) for part in point_parts])
    witnesses = None
    if not _is_number(none, "id"):
        witnesses = dask.delayed(_witnesses)([dask.delayed(_witnesses)([part]) for part in image_parts])
    match = dask.delayed(_Match(step, forms, meta), pure=False)
    found = []
    for part, box in zip(point_parts, around, strict=True):
        reach = None
        near: Sequence[Any] = []
        if box != NOWHERE:
            reach = None if box is None or projection is None else projection.reach(box, distance_m)
            near = [other for other, its in zip(image_parts, held, strict=True) if may_meet(its, reach)]
        rows = [dask.delayed(within)(other, reach) for other in near]
        found.append(match(part, rows or [none], witnesses, unique))
    return dataframe.from_delayed(found, meta=meta, verify_meta=False)


NOWHERE = (0.0, 90.0, 0.0, -90.0)
"""The box of rows without positions."""


def as_lazy(value: Any, name: str) -> Any:
    """Return a frame of Dask; of points in memory one with rows near each other in each partition."""
    import numpy as np

    from mlygeo import store
    from mlygeo.spatial import hilbert
    from mlygeo.store.held import is_dask

    if is_dask(value):
        if not hasattr(value, "spatial_partitions"):
            raise InputError(f"`{name}` has no geometry", hint="make it a dask_geopandas.GeoDataFrame")
        return value
    frame = store.as_frame(value, name=f"`{name}`")
    if len(frame) > POINTS_AT_ONCE and name == "points":
        lon, lat = _lonlat(frame)
        frame = frame.iloc[np.argsort(hilbert.codes(lon, lat), kind="stable")]
    parts = max(1, -(-len(frame) // POINTS_AT_ONCE)) if name == "points" else 1
    return module("dask_geopandas").from_geopandas(frame.reset_index(drop=True), npartitions=parts)


def boxes(frame: Any) -> list[Bounds | None]:
    """
    Return the box of each partition in degrees; None where it may hold anything, `NOWHERE` where it holds no place.

    Those that the frame knows of its partitions are taken; else the positions of all rows are computed, alone.
    """
    dask, none = module("dask"), empty(frame)
    crs = none.crs
    known = frame.spatial_partitions
    if known is not None and crs is not None and crs.to_epsg() == 4326:
        sides = known.bounds.to_numpy()
        return [_box_of_sides(*row) for row in sides.tolist()]
    parts = frame[[none.active_geometry_name]].to_delayed()
    found: tuple[Bounds | None, ...] = dask.compute(*(dask.delayed(_box)(part) for part in parts))
    return [*found]


def _box(part: gpd.GeoDataFrame) -> Bounds | None:
    import numpy as np

    lon, lat = _lonlat(part)
    placed = np.isfinite(lon) & np.isfinite(lat)
    if not placed.any():
        return NOWHERE
    lon, lat = lon[placed], lat[placed]
    return _box_of_sides(float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max()))


def _box_of_sides(west: float, south: float, east: float, north: float) -> Bounds | None:
    if math.isnan(west):
        return NOWHERE
    return None if abs(west) > 180 or abs(east) > 180 else (west, south, east, north)


def _lonlat(frame: gpd.GeoDataFrame) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    from mlygeo.store.point_sources import FramePoints

    return FramePoints(frame, "the rows").lonlat


def _corners(boxes: Sequence[Bounds | None]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return places of boxes: their corners, and some between, so that no gap is taken for one without rows."""
    import numpy as np

    known = [(-180.0, -80.0, 180.0, 84.0) if box is None else box for box in boxes if box != NOWHERE]
    lon = [np.linspace(west, east, 9) for west, _, east, _ in known for _ in range(2)]
    lat = [np.full(9, side) for _, south, _, north in known for side in (south, north)]
    return np.concatenate([np.empty(0), *lon]), np.concatenate([np.empty(0), *lat])


def may_meet(box: Bounds | None, reach: Bounds | None) -> bool:
    """Return whether rows in one box, as of `boxes`, may lie in another; None is anywhere."""
    if box == NOWHERE:
        return False
    if box is None or reach is None:
        return True
    if box[3] < reach[1] or box[1] > reach[3]:
        return False
    if reach[0] <= reach[2]:
        return box[2] >= reach[0] and box[0] <= reach[2]
    return box[2] >= reach[0] or box[0] <= reach[2]


def _ids(part: gpd.GeoDataFrame) -> Any:
    return part["point_id"].to_numpy()


def _check_ids(ids: Sequence[Any]) -> bool:
    """Raise FrameError where ids of points are not unique over all partitions."""
    import numpy as np

    from mlygeo.spatial import nearest

    nearest.check_unique(np.concatenate(ids))
    return True


def _witnesses(parts: Sequence[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    """
    Return for each provider an image whose id has other characters than digits, where there is one.

    By these it is known of each partition in which order all ids of a provider are: as numbers, or as text.
    """
    import pandas as pd

    whole = pd.concat(parts)
    ids = whole["id"].astype(str)
    others = whole[~ids.str.fullmatch("[0-9]+")]
    if "provider" not in others.columns:
        return others.iloc[:1]
    return others[~others["provider"].astype(str).fillna("").duplicated()]


def within(part: gpd.GeoDataFrame, reach: Bounds | None) -> gpd.GeoDataFrame:
    """Return the rows in a box in degrees."""
    import numpy as np

    from mlygeo import degrees

    if reach is None:
        return part
    lon, lat = _lonlat(part)
    return part[degrees.meets(np.array([lon, lat, lon, lat]), reach)]


@dataclass(frozen=True)
class _Match:
    """Matches a partition of points; the step, the forms of points and images, and the columns of the answer."""

    step: Callable[..., gpd.GeoDataFrame]
    forms: tuple[Form, Form]
    meta: gpd.GeoDataFrame

    def __call__(
        self, points: Any, images: Sequence[Any], witnesses: gpd.GeoDataFrame | None, _are_unique: object
    ) -> gpd.GeoDataFrame:
        import pandas as pd

        several = [part for part in (*images, witnesses) if part is not None]
        held = [part for part in several if len(part)] or several[:1]
        near = pd.concat(held, ignore_index=True)
        return like(self.meta, self.step(self.forms[0].settled(points), self.forms[1].settled(near)))
