"""Duplicates: images of a sequence taken at the position and heading of the last image that is kept."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from mlygeo import arrays, frames
from mlygeo.arrays import in_threads
from mlygeo.degrees import angle_between
from mlygeo.errors import InputError
from mlygeo.progress import working
from mlygeo.spatial import geodesy, ordering

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Flags, Floats, Rows
    from mlygeo.spatial.ordering import Order

LOG = logging.getLogger("mlygeo.spatial.duplicates")

DUPLICATE_DISTANCE_M = 0.1
DUPLICATE_ANGLE = 5.0

WithoutHeading = Literal["keep", "travel"]
"""What `flag_duplicates` makes of images without a heading."""

FEW_CHAINS = 64
"""With fewer chains than this, a round over arrays costs more than looking at their next rows one by one."""

LONG_RUN = 64
"""From this many duplicates in a row within one chain, arrays are faster again."""

BLOCK = 1 << 14


@working("looking for duplicates")
def flag_duplicates(
    images: gpd.GeoDataFrame,
    *,
    duplicate_distance: float = DUPLICATE_DISTANCE_M,
    duplicate_angle: float = DUPLICATE_ANGLE,
    without_heading: WithoutHeading = "keep",
) -> gpd.GeoDataFrame:
    """
    Flag images taken at the position and heading of the last kept image of their sequence.

    In each sequence, in time order, the first image is kept. Each further one is a duplicate of the last image *kept*
    if it is at most `duplicate_distance` away from it and its heading differs by at most `duplicate_angle`; otherwise
    it is kept. The images of a slow camera are therefore not all duplicates. No row is dropped, and no position is
    rounded.

    Headings are those of the photos or of a track. Derive missing headings after this step, with
    `interpolate_directions`: before it, the headings of a camera that does not move would come from GPS errors.

    Parameters
    ----------
    images
        Images frame with `captured_at`, `sequence_id` and `compass_angle`.
    duplicate_distance
        Largest distance of a duplicate, metres (geodesic, WGS 84).
    duplicate_angle
        Largest difference of headings, degrees, the shorter way round.
    without_heading
        Images without a heading: "keep" means that they are no duplicates and have none. "travel" takes
        them to look in the direction of travel, so within `duplicate_distance` of the image kept they look
        where that one looks, and the distance alone decides; in a sequence that never moves there is no
        such direction, and they are kept.

    Returns
    -------
    images
        The same rows with `is_duplicate` (bool) and `duplicate_of`: the image kept, by its `path` (str)
        where the frame has paths and by its `id` (Int64) elsewhere; null where the image is kept.

    Raises
    ------
    FrameError
        If a column is missing or has another dtype.
    InputError
        If a limit is negative or not a number, or `without_heading` has no such value.

    Notes
    -----
    The rule is that of mapillary_tools, which takes images without a heading as "travel" does, in sequences
    that never move too.

    Examples
    --------
    >>> flagged = flag_duplicates(images, duplicate_distance=0.5, duplicate_angle=1)
    >>> flagged[~flagged["is_duplicate"]]
    """
    images = frames.check(images, ordering.HEADED)
    for option, value in (("duplicate_distance", duplicate_distance), ("duplicate_angle", duplicate_angle)):
        if not value >= 0:
            raise InputError(f"`{option}` must be 0 or more, not {value}")
    if without_heading not in get_args(WithoutHeading):
        raise InputError(f"`without_heading` must be one of {', '.join(get_args(WithoutHeading))}")
    order = ordering.by_time(images, ("sequence_id",))
    heading = order.sort(images["compass_angle"].to_numpy(dtype=np.float64))
    free = _in_travel(order, heading) if without_heading == "travel" else None
    keeper = _keepers(
        *(order.lon, order.lat, heading, order.first), limit_m=duplicate_distance, angle=duplicate_angle, free=free
    )
    LOG.info(
        "%d of %d images are duplicates (within %g m and %g° of the last kept)",
        *(np.count_nonzero(keeper >= 0), len(images), duplicate_distance, duplicate_angle),
    )
    return marked(images, order, keeper)


def marked(images: gpd.GeoDataFrame, order: Order, keeper: Rows) -> gpd.GeoDataFrame:
    """
    Return images with `is_duplicate` and `duplicate_of`; see `flag_duplicates`.

    Parameters
    ----------
    images
        The images.
    order
        Their order.
    keeper
        In that order, the row that each is a duplicate of, -1 where it is kept.
    """
    import pandas as pd

    duplicate = order.unsort(keeper >= 0, np.zeros(len(images), dtype=bool))
    kept = keeper if order.rows is None else np.where(keeper >= 0, order.rows[keeper], -1)
    kept = order.unsort(kept, np.full(len(images), -1))
    original: pd.Series = pd.Series(pd.NA, index=images.index, dtype="Int64")
    if "path" in images.columns or "id" in images.columns:
        names = images["path"] if "path" in images.columns else images["id"]
        names = names.astype("Int64") if pd.api.types.is_integer_dtype(names) else names
        original = pd.Series(names.array.take(kept, allow_fill=True), index=images.index)
    return images.assign(is_duplicate=duplicate, duplicate_of=original)


def _in_travel(order: Order, heading: Floats) -> Flags | None:
    """Return which images have no heading, in sequences that move; None where none are."""
    unknown = np.isnan(heading)
    if not unknown.any():
        return None
    step = np.zeros(len(order), dtype=bool)
    step[1:] = (order.lon[1:] != order.lon[:-1]) | (order.lat[1:] != order.lat[:-1])
    step &= ~order.first
    moves: Flags = np.logical_or.reduceat(step, order.starts())[np.cumsum(order.first) - 1]
    return unknown & moves


def _keepers(
    lon: Floats,
    lat: Floats,
    heading: Floats,
    first: Flags,
    *,
    limit_m: float,
    angle: float,
    free: Flags | None = None,
) -> Rows:
    """
    Return the row that each row is a duplicate of, -1 where it is kept: the array floor of `flag_duplicates`.

    Parameters
    ----------
    lon, lat, heading
        Of images in sequence and time order, degrees.
    first
        Which of them are the first of their sequence.
    limit_m, angle
        Limits of a duplicate.
    free
        Images that the distance alone decides on, whatever the heading of the other.
    """
    keeper = np.full(len(lon), -1, dtype=np.int64)
    if len(lon) < 2:
        return keeper
    # The image before a duplicate is the one kept, or another duplicate of it. So the step from it is at
    # most twice the limits; whatever is farther from the image before is kept, and starts a chain of its own.
    candidate = np.zeros(len(lon), dtype=bool)
    candidate[1:] = ~first[1:]
    # Two duplicates of a free image may look anywhere.
    if free is None:
        _turn_within(heading, 2 * angle + 1e-9, candidate)
    reach = 2 * limit_m + geodesy.TOLERANCE_M
    chosen = np.flatnonzero(candidate)
    if len(chosen) > len(lon) // 4:
        # Measuring all steps is cheaper than gathering many of them.
        candidate[1:] &= ~geodesy.farther(lon[:-1], lat[:-1], lon[1:], lat[1:], reach)
    elif len(chosen):
        before = chosen - 1
        candidate[chosen] = ~geodesy.farther(lon[before], lat[before], lon[chosen], lat[chosen], reach)
    edge = np.diff(candidate, prepend=False, append=False)
    bounds = np.flatnonzero(edge)
    begin, end = bounds[::2], bounds[1::2]
    free = np.zeros(len(lon), dtype=bool) if free is None else free
    test = _Test(lon, lat, heading, free, limit_m, angle)
    rest = _advance_together(test, begin, end, keeper)
    for anchor, at, stop in zip(*(part.tolist() for part in rest), strict=True):
        _advance_alone(test, anchor, at, stop, keeper)
    return keeper


@dataclass(frozen=True)
class _Test:
    """Decides for pairs of rows whether the second is a duplicate of the first."""

    lon: Floats
    lat: Floats
    heading: Floats
    free: Flags
    limit_m: float
    angle: float

    def __call__(self, kept: Rows, rows: Rows) -> Flags:
        lon, lat = self.lon, self.lat
        same = angle_between(self.heading[rows], self.heading[kept]) <= self.angle
        same |= self.free[rows] | self.free[kept]
        same &= ~geodesy.farther(lon[kept], lat[kept], lon[rows], lat[rows], self.limit_m)
        return same


def _turn_within(heading: Floats, angle: float, candidate: Flags) -> None:
    """Keep as candidates the rows whose heading is within an angle of the row before; NaN is near to nothing."""

    def work(start: int, stop: int) -> None:
        candidate[start + 1 : stop + 1] &= angle_between(heading[start + 1 : stop + 1], heading[start:stop]) <= angle

    in_threads(work, len(heading) - 1, geodesy.CHUNK, "images")


def _advance_together(test: _Test, begin: Rows, end: Rows, keeper: Rows) -> tuple[Rows, Rows, Rows]:
    """
    Advance all chains side by side, as long as they are many.

    Each round tests a window of every chain against the chain's last kept row. The windows double while all
    in them are duplicates, so a camera that rests for an hour takes a dozen rounds.

    Returns
    -------
    kept, at, end
        For the remaining chains: the last kept row, the next row to test, and where the chain ends.
    """
    kept, at = begin - 1, begin.copy()
    width = np.ones(len(at), dtype=np.int64)
    while len(at) >= FEW_CHAINS:
        count = np.minimum(width, end - at)
        offset = np.cumsum(count) - count
        rows = arrays.numbered(count, at)
        same = test(np.repeat(kept, count), rows)
        # The first row of each window that is not a duplicate, or its end.
        stop = np.minimum.reduceat(np.where(same, np.iinfo(np.int64).max, rows), offset)
        whole = stop > at + count
        stop = np.where(whole, at + count, stop)
        inside = rows < np.repeat(stop, count)
        keeper[rows[inside]] = np.repeat(kept, count)[inside]
        kept = np.where(whole, kept, stop)
        at = np.where(whole, stop, stop + 1)
        width = np.where(whole, width * 2, 1)
        left = at < end
        kept, at, end, width = kept[left], at[left], end[left], width[left]
    return kept, at, end


def _advance_alone(test: _Test, kept: int, at: int, end: int, keeper: Rows) -> None:
    """Advance one chain to its end, row by row: the last image kept is sequential by nature."""
    while at < end:
        stop = min(at + BLOCK, end)
        # Lists, because reading numbers from an array one by one is slow.
        lon, lat, heading, free = (part[at:stop].tolist() for part in (test.lon, test.lat, test.heading, test.free))
        kept_lon, kept_lat, kept_heading = float(test.lon[kept]), float(test.lat[kept]), float(test.heading[kept])
        kept_free = bool(test.free[kept])
        east, north, slack = _scale(kept_lat, test.limit_m)
        run, row = 0, at
        for x, y, h, f in zip(lon, lat, heading, free, strict=True):
            turn = abs(h - kept_heading) % 360.0
            same = f or kept_free or min(turn, 360.0 - turn) <= test.angle
            if same:
                step = abs(x - kept_lon)
                apart = math.hypot(min(step, 360.0 - step) * east, (y - kept_lat) * north)
                same = apart <= test.limit_m
                if abs(apart - test.limit_m) <= slack:
                    same = bool(geodesy.distance(kept_lon, kept_lat, x, y)[0] <= test.limit_m)
            if same:
                keeper[row] = kept
                run += 1
                row += 1
                if run == LONG_RUN:
                    break
            else:
                kept, kept_lon, kept_lat, kept_heading, kept_free = row, x, y, h, f
                east, north, slack = _scale(kept_lat, test.limit_m)
                run = 0
                row += 1
        at = row
        if run == LONG_RUN:
            at = _rest_of_run(test, kept, at, end, keeper)


def _rest_of_run(test: _Test, kept: int, at: int, end: int, keeper: Rows) -> int:
    """Flag the duplicates of one row from a place on, in windows that double; return where they end."""
    width = 2 * LONG_RUN
    while at < end:
        rows = np.arange(at, min(at + width, end))
        same = test(np.full(len(rows), kept), rows)
        count = len(rows) if same.all() else int(np.argmin(same))
        keeper[at : at + count] = kept
        at += count
        if count < len(rows):
            break
        width *= 2
    return at


def _scale(lat: float, limit_m: float) -> tuple[float, float, float]:
    """Return metres in a degree of longitude and of latitude, and the error of distances near the limit."""
    sine = math.sin(math.radians(lat))
    root = 1 - geodesy.ECCENTRICITY_SQUARE * sine * sine
    normal = math.radians(geodesy.SEMI_MAJOR_M) / math.sqrt(root)
    north = normal * (1 - geodesy.ECCENTRICITY_SQUARE) / root
    # A parallel shrinks by its distance over the earth's radius, times the tangent of the latitude.
    short = abs(lat) <= geodesy.STEEP_DEGREES and limit_m <= 500
    slack = geodesy.TOLERANCE_M + 2e-6 * limit_m * limit_m if short else math.inf
    return normal * math.sqrt(1 - sine * sine), north, slack
