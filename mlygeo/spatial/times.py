"""Capture times in whole seconds: bursts within a second, and repeated times."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from mlygeo import frames
from mlygeo.errors import InputError
from mlygeo.spatial import ordering

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.arrays import Rows
    from mlygeo.spatial.ordering import Order

LOG = logging.getLogger("mlygeo.spatial.times")

SECOND_MS = 1000

LONE_INTERVAL_MS = 1000
"""Interval assumed where all images of a folder have the same time, as in mapillary_tools."""


def spread_subseconds(images: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """
    Spread images with the same capture time evenly within its second.

    Many cameras write whole seconds: five images of a burst then lie on one spot of the track and look
    like duplicates. n images of one folder and camera at the same time t get t, t + d, t + 2 d, …, in
    the order of their file names, where n d reaches to the next capture time, or to the end of the
    second. Times that do not repeat stay unchanged, so that a second call changes nothing.

    Parameters
    ----------
    images
        Images frame with `captured_at`; `folder`, `path` and the camera's columns are used where they
        are there. Rows without a time stay so.

    Returns
    -------
    images
        The same rows with `captured_at` spread, whole milliseconds.

    Raises
    ------
    FrameError
        If a column is missing or has another dtype.

    Examples
    --------
    >>> spread_subseconds(images)["captured_at"].diff()
    """
    images = frames.check(images, ordering.TIMED)
    order = _in_folders(images)
    start, count, following = _runs(order)
    time = order.time_ms[start]
    room = np.minimum(following, (time // SECOND_MS + 1) * SECOND_MS) - time
    return _with_times(images, order, _spread(time, room, count))


def interpolate_times(images: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """
    Spread images with the same capture time evenly up to the next capture time.

    As `spread_subseconds`, but not limited to the second: n images at t, followed by one at t', get
    t + k (t' - t) / n. The last images of a folder take the interval before theirs, or a second where
    the folder has only one time. `interpolate --data identical_timestamps` of mapillary_tools does
    the same.

    Parameters
    ----------
    images
        Images frame with `captured_at`; `folder`, `path` and the camera's columns are used where they
        are there. Rows without a time stay so.

    Returns
    -------
    images
        The same rows with `captured_at` spread, whole milliseconds.

    Raises
    ------
    FrameError
        If a column is missing or has another dtype.

    Examples
    --------
    >>> interpolate_times(images)["captured_at"].is_unique
    True
    """
    images = frames.check(images, ordering.TIMED)
    order = _in_folders(images)
    start, count, following = _runs(order)
    time = order.time_ms[start]
    room = following - time
    last = following == np.iinfo(np.int64).max
    before = np.roll(room, 1)
    room = np.where(last, np.where(order.first[start], LONE_INTERVAL_MS, before), room)
    return _with_times(images, order, _spread(time, room, count))


def estimate_subseconds(images: gpd.GeoDataFrame, *, sub_second_interval: float) -> gpd.GeoDataFrame:
    """
    Estimate the times of a camera that takes images at an interval, but writes whole seconds.

    Image i of n was taken at s + i intervals, and the camera wrote its second. That bounds s from both
    sides; the middle is used, for each folder and camera.

    Parameters
    ----------
    images
        Images frame with `captured_at`; `folder`, `path` and the camera's columns are used where they
        are there. Rows without a time stay so.
    sub_second_interval
        Seconds from one image to the next.

    Returns
    -------
    images
        The same rows with `captured_at` estimated, whole milliseconds.

    Raises
    ------
    FrameError
        If a column is missing or has another dtype.
    InputError
        If the interval is not above 0, or no s fits the times: an image is missing, or the interval is
        wrong.

    Notes
    -----
    The estimate is that of `--sub_second_interval` of mapillary_tools.

    Examples
    --------
    >>> estimate_subseconds(images, sub_second_interval=0.5)["captured_at"]
    """
    images = frames.check(images, ordering.TIMED)
    if not 0 < sub_second_interval < np.inf:
        raise InputError(f"`sub_second_interval` must be above 0 seconds, not {sub_second_interval}")
    order = _in_folders(images)
    starts = order.starts()
    if not len(starts):
        return images
    place = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    after = place * (sub_second_interval * SECOND_MS)
    earliest = np.maximum.reduceat(order.time_ms - after, starts)
    latest = np.minimum.reduceat(order.time_ms - after, starts) + SECOND_MS
    if (odd := np.flatnonzero(earliest > latest)).size:
        rows = order.sort(np.arange(len(images)))
        where = images["folder"].iloc[rows[starts[odd[0]]]] if "folder" in images.columns else "these images"
        raise InputError(
            f"`sub_second_interval={sub_second_interval:g}` does not fit the capture times of {where}:"
            " one image every so often would bear other seconds",
            hint="leave it out, and images of one second are spread evenly within it",
        )
    group = np.cumsum(order.first) - 1
    return _with_times(images, order, np.floor(((earliest + latest) / 2)[group] + after).astype(np.int64))


def _in_folders(images: gpd.GeoDataFrame) -> Order:
    return ordering.by_time(images, ("folder", *ordering.CAMERA), placed=False)


def _runs(order: Order) -> tuple[Rows, Rows, Rows]:
    """Return where runs of one time start, how many images they hold, and the next time (the largest number: none)."""
    new = order.first.copy()
    new[1:] |= order.time_ms[1:] != order.time_ms[:-1]
    start = np.flatnonzero(new)
    following = np.full(len(start), np.iinfo(np.int64).max)
    following[:-1] = np.where(order.first[start[1:]], following[:-1], order.time_ms[start[1:]])
    return start, np.diff(start, append=len(order)), following


def _spread(time: Rows, room: Rows, count: Rows) -> Rows:
    """Return the times of all images of all runs, whole milliseconds."""
    number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    spread: Rows = np.repeat(time, count) + number * np.repeat(room, count) // np.repeat(count, count)
    return spread


def _with_times(images: gpd.GeoDataFrame, order: Order, times: Rows) -> gpd.GeoDataFrame:
    before = ordering.milliseconds(images["captured_at"])
    after = order.unsort(times, before.copy())
    changed = int(np.count_nonzero(after != before))
    if not changed:
        return images
    LOG.info("%d of %d capture times were spread", changed, len(images))
    return images.assign(captured_at=ordering.datetimes(after, images.index))
