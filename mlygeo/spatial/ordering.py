"""
Images ordered by group and time: the arrays that cutting, headings and duplicates share.

Equal times are ordered by file name, then by path (both in natural order, `places.natural_key`), then by
id. Images without a time or a position, and images with an `error`, are not part of the order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mlygeo import frames
from mlygeo.arrays import in_threads
from mlygeo.errors import FrameError
from mlygeo.keys import ranks
from mlygeo.places import natural_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Flags, Floats, Rows


CHUNK = 1 << 13

DEVICE = ("make", "model", "camera_uuid")
"""Columns that identify a device, where a frame has them."""

CAMERA = (*DEVICE, "width", "height")
"""Columns that identify a camera, where a frame has them: a device may have several, of other sizes of pictures."""

TIMED = frames.IMAGES.only("captured_at")
"""What every function on images in time order needs."""

SEQUENCED = frames.IMAGES.only("captured_at", "sequence_id")
HEADED = frames.IMAGES.only("captured_at", "sequence_id", "compass_angle")


@dataclass(frozen=True)
class Order:
    """
    Rows of images by group and time.

    Parameters
    ----------
    rows
        Positions of the rows in the frame (not labels); None where all rows are in order already.
    first
        Whether a row is the first of its group, in that order.
    time_ms
        Capture times, milliseconds since 1970, in that order.
    lon, lat
        Degrees, in that order.
    """

    rows: Rows | None
    first: Flags
    time_ms: Rows
    lon: Floats
    lat: Floats

    def __len__(self) -> int:
        """Return the number of images in the order."""
        return len(self.first)

    def only(self, chosen: Flags) -> Order:
        """Return the order of some of the images, flagged in this order."""
        group = np.cumsum(self.first)[chosen]
        rows = np.flatnonzero(chosen) if self.rows is None else self.rows[chosen]
        return Order(rows, np.diff(group, prepend=0) != 0, self.time_ms[chosen], self.lon[chosen], self.lat[chosen])

    def starts(self) -> Rows:
        """Return where groups start."""
        return np.flatnonzero(self.first)

    def sort(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return values of all rows of the frame in this order."""
        return values if self.rows is None else values[self.rows]

    def unsort(self, values: npt.NDArray[Any], blank: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Put values of this order into an array for all rows of the frame, and return that."""
        if self.rows is None:
            return values
        blank[self.rows] = values
        return blank


def by_time(images: gpd.GeoDataFrame, groups: Sequence[str], *, placed: bool = True) -> Order:
    """
    Return the order of images by group and time.

    Parameters
    ----------
    images
        Images frame.
    groups
        Columns whose values make the groups; columns that the frame lacks are ignored. If `sequence_id`
        is one of them, a row without it belongs to no group; in other columns null is a value too.
    placed
        Whether an image must have a position and no error to be part of the order.

    Returns
    -------
    order
        Groups in no particular order.
    """
    code = group_codes(images, groups)
    time = milliseconds(images["captured_at"])
    lon, lat = _positions(images)
    usable = images["captured_at"].notna().to_numpy()
    if placed:
        usable = usable & np.isfinite(lon) & np.isfinite(lat)
        if "error" in images.columns:
            usable = usable & images["error"].isna().to_numpy()
    if "sequence_id" in groups and "sequence_id" in images.columns:
        usable = usable & images["sequence_id"].notna().to_numpy()
    rows = None if usable.all() else np.flatnonzero(usable)
    if rows is not None:
        code, time, lon, lat = code[rows], time[rows], lon[rows], lat[rows]
    same = code[1:] == code[:-1]
    later = time[1:] - time[:-1]
    if not (_contiguous(code) and (later[same] >= 0).all()):
        sort = _sorted(code, time)
        rows = sort if rows is None else rows[sort]
        code, time, lon, lat = code[sort], time[sort], lon[sort], lat[sort]
        same = code[1:] == code[:-1]
        later = time[1:] - time[:-1]
    tied = np.zeros(len(code), dtype=bool)
    tied[1:] = same & (later == 0)
    if tied.any():
        tied[:-1] |= tied[1:]
        rows, lon, lat = _by_name(images, rows, tied=tied, code=code, time=time, position=(lon, lat))
    first = np.ones(len(code), dtype=bool)
    first[1:] = ~same
    return Order(rows, first, time, lon, lat)


def group_codes(images: gpd.GeoDataFrame, groups: Sequence[str]) -> Rows:
    """
    Number the groups of rows; equal numbers, equal values. Columns that the frame lacks are ignored.

    Sequences are those of a provider, where the frame has a column `provider`.
    """
    import pandas as pd

    groups = [*groups, "provider"] if "sequence_id" in groups and "provider" not in groups else groups
    groups = [name for name in groups if name in images.columns]

    code = np.zeros(len(images), dtype=np.int64)
    for name in groups:
        numbers, values = pd.factorize(images[name], use_na_sentinel=False)
        if len(values) < 2:
            continue
        code = code * len(values) + numbers
        if len(groups) > 1:
            # Renumbered, so that products of several columns cannot overflow.
            code = pd.factorize(code)[0].astype(np.int64)
    return code


def milliseconds(times: pd.Series) -> Rows:
    """Return times as milliseconds since 1970; NaT is the lowest number there is."""
    return times.to_numpy(dtype="datetime64[ms]").view(np.int64)


def datetimes(time_ms: Rows, index: pd.Index) -> pd.Series:
    """Return milliseconds since 1970 as times, UTC: the inverse of `milliseconds`."""
    import pandas as pd

    return pd.Series(time_ms.view("datetime64[ms]"), index=index).dt.tz_localize("UTC")


def names(paths: pd.Series) -> pd.Series:
    """Return the file names of paths of any system; null where a path is null."""
    # Lists of their parts would be numbers where all paths are null.
    return paths.str.replace(r"(?s)^.*[/\\]", "", regex=True)


def natural_ranks(texts: pd.Series) -> Rows:
    """Return numbers that are in order as the texts are in natural order; equal ones for equal texts, -1 for null."""
    import pandas as pd

    code, values = pd.factorize(texts)
    rank = np.empty(len(values) + 1, dtype=np.int64)
    keys = [natural_key(value) for value in values.tolist()]
    rank[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(len(keys))
    rank[-1] = -1
    ranks: Rows = rank[code]
    return ranks


def _positions(images: gpd.GeoDataFrame) -> tuple[Floats, Floats]:
    points = np.asarray(images.geometry.values)
    lon, lat = np.empty(len(points)), np.empty(len(points))

    def work(start: int, stop: int) -> None:
        lon[start:stop], lat[start:stop] = frames.coordinates(points[start:stop])

    # Points are scattered in memory. Each is read three times; in a small chunk it is fetched once.
    in_threads(work, len(points), CHUNK, "points")
    return lon, lat


def _sorted(code: Rows, time: Rows) -> Rows:
    """Return the order by group and time."""
    since = time - time.min()
    if (code.max() + 1) * (float(since.max()) + 1) >= 2.0**62:
        return np.lexsort((time, code))
    return np.argsort(code * (since.max() + 1) + since, kind="stable")


def _contiguous(code: Rows) -> bool:
    """Return whether the rows of each group are contiguous."""
    runs = 1 + np.count_nonzero(code[1:] != code[:-1])
    return runs == 1 or bool(runs == np.count_nonzero(np.bincount(code)))


def _by_name(
    images: gpd.GeoDataFrame, rows: Rows | None, *, tied: Flags, code: Rows, time: Rows, position: tuple[Floats, Floats]
) -> tuple[Rows, Floats, Floats]:
    """Sort rows with equal times by name, path and id; all others stay in place."""
    import pandas as pd

    places = np.flatnonzero(tied)
    if rows is None:
        rows = np.arange(len(code))
    chosen = rows[places]
    # Groups come in any order, but each run of ties has its own places.
    run = np.cumsum(np.r_[True, (np.diff(code[places]) != 0) | (np.diff(time[places]) != 0)])
    keys: list[npt.NDArray[Any]] = []
    if "path" in images.columns:
        paths = images["path"].iloc[chosen]
        keys.append(natural_ranks(names(paths)))
        if pd.DataFrame({"run": run, "name": keys[0]}).duplicated().any():
            keys.append(natural_ranks(paths))
    if "id" in images.columns:
        keys.append(_id_ranks(images.iloc[chosen]))
    # The last key of lexsort counts most.
    sort = np.lexsort((*keys[::-1], run))
    rows, lon, lat = rows.copy(), position[0].copy(), position[1].copy()
    rows[places], lon[places], lat[places] = chosen[sort], lon[places][sort], lat[places][sort]
    return rows, lon, lat


def _id_ranks(images: gpd.GeoDataFrame) -> Rows:
    """Return numbers that are in the order of the ids; -1 for null."""
    import pandas as pd

    ids = images["id"]
    if str(ids.dtype) != "str":
        return np.asarray(pd.factorize(ids, sort=True)[0], dtype=np.int64)
    rank = np.full(len(ids), -1, dtype=np.int64)
    known = ids.notna().to_numpy()
    providers = images["provider"].array[known] if "provider" in images.columns else None
    try:
        rank[known] = pd.factorize(ranks(ids.array[known], providers), sort=True)[0]
    except ValueError as error:
        raise FrameError(f"the images: column 'id' contains no ids ({error})") from error
    return rank
