"""Capture times in whole seconds: bursts within a second, and repeated times."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from mlygeo import arrays, frames
from mlygeo.errors import InputError
from mlygeo.progress import working
from mlygeo.spatial import ordering

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.arrays import Rows
    from mlygeo.spatial.ordering import Order

LOG = logging.getLogger("mlygeo.spatial.times")

SECOND_MS = 1000

LONE_INTERVAL_MS = 1000
"""Interval assumed where all images of a folder have the same time, as in mapillary_tools."""


def place_whole_seconds(images: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """
    Place images of whole seconds among those of the same second that have a fraction, where names tell how.

    A camera writes fractions into all photos, or none; where one lacks it, its whole second is not the time of the
    shot, and would put it before all others. In each second of a folder and camera with several different
    fractions, whose file names (in natural order) are in the order of their times, the images before the first
    that has one start with the second; the others are spread evenly between those that their names put around
    them. Elsewhere names tell nothing, and times stay.

    Parameters
    ----------
    images
        Images frame with `captured_at` as photos tell it, `path`; `folder` and the camera's columns are used
        where they are there.

    Returns
    -------
    images
        The same rows with some `captured_at` changed, whole milliseconds.

    Raises
    ------
    FrameError
        If a column is missing or has another dtype.

    Examples
    --------
    >>> spread_subseconds(place_whole_seconds(images))
    """
    images = frames.check(images, ordering.TIMED)
    order = _in_folders(images)
    time = order.time_ms
    second = time // SECOND_MS * SECOND_MS
    new = order.first.copy()
    new[1:] |= second[1:] != second[:-1]
    run = np.cumsum(new) - 1
    whole = time == second
    mixed = np.zeros(run[-1] + 1 if len(run) else 0, dtype=bool)
    mixed[run[1:][~new[1:] & (whole[1:] != whole[:-1])]] = True
    places = np.flatnonzero(mixed[run])
    if not len(places) or "path" not in images.columns:
        return images
    rows = places if order.rows is None else order.rows[places]
    by_name = np.lexsort((ordering.natural_ranks(ordering.names(images["path"].iloc[rows])), run[places]))
    places = places[by_name]
    run, time, second, whole = run[places], time[places], second[places], whole[places]
    known = np.flatnonzero(~whole)
    later = np.where(run[known[1:]] == run[known[:-1]], time[known[1:]] - time[known[:-1]], 0)
    wanted = whole & np.isin(run, run[known[1:][later > 0]]) & ~np.isin(run, run[known[1:][later < 0]])
    # The places of the known times around each, or where its second begins and ends.
    index = np.arange(len(run))
    begin = np.searchsorted(run, run) - 1
    end = np.searchsorted(run, run, side="right")
    before = np.maximum(np.maximum.accumulate(np.where(whole, -1, index)), begin)
    after = np.minimum(np.minimum.accumulate(np.where(whole, len(run), index)[::-1])[::-1], end)
    leads = before == begin
    start = np.where(leads, second, time[before])
    stop = np.where(after == end, second + SECOND_MS, time[np.minimum(after, len(run) - 1)])
    number = index - before - leads
    spread = start + number * (stop - start) // np.maximum(after - before - leads, 1)
    times = order.time_ms.copy()
    times[places[wanted]] = spread[wanted]
    return _with_times(images, order, times)


def spread_subseconds(images: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """
    Spread images with the same capture time evenly within its second.

    Many cameras write whole seconds: five images of a burst are then at one position of the track and look like
    duplicates. n images of one folder and camera at the same time t get t, t + d, t + 2 d, …, in the natural order of
    their file names, where n d reaches to the next capture time, or to the end of the second.

    Times that do not repeat stay unchanged, so that a second call changes nothing; images of whole seconds
    come before those of the same second that have a fraction, see `place_whole_seconds`.

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


@working("spreading times")
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

    Image i of n was taken at s + i intervals, and the camera wrote its second. This gives a lower and an upper bound
    of s; their middle is used, for each folder and camera. Images with a fraction of a second keep their times; if
    there are any, s is the value that most of them give, within the bounds. The images of a second are in the order
    of `place_whole_seconds`.

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
    import pandas as pd

    images = frames.check(images, ordering.TIMED)
    if not 0 < sub_second_interval < np.inf:
        raise InputError(f"`sub_second_interval` must be above 0 seconds, not {sub_second_interval}")
    told = ordering.milliseconds(images["captured_at"]) % SECOND_MS > 0
    order = _in_folders(place_whole_seconds(images))
    starts = order.starts()
    if not len(starts):
        return images
    place = arrays.numbered(np.diff(starts, append=len(order)))
    after = place * (sub_second_interval * SECOND_MS)
    second = order.time_ms // SECOND_MS * SECOND_MS
    earliest = np.maximum.reduceat(second - after, starts)
    latest = np.minimum.reduceat(second - after, starts) + SECOND_MS
    if (odd := np.flatnonzero(earliest > latest)).size:
        rows = order.sort(np.arange(len(images)))
        where = images["folder"].iloc[rows[starts[odd[0]]]] if "folder" in images.columns else "these images"
        raise InputError(
            f"`sub_second_interval={sub_second_interval:g}` does not fit the capture times of {where}:"
            " one image every so often would bear other seconds",
            hint="leave it out, and images of one second are spread evenly within it",
        )
    group = np.cumsum(order.first) - 1
    fixed, exact = order.sort(told), order.sort(ordering.milliseconds(images["captured_at"]))
    begin = (earliest + latest) / 2
    told_begin = pd.Series((exact - after)[fixed]).groupby(group[fixed]).median()
    begin[told_begin.index] = np.clip(told_begin, earliest[told_begin.index], latest[told_begin.index])
    estimate = np.floor(begin[group] + after).astype(np.int64)
    return _with_times(images, order, np.where(fixed, exact, estimate))


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
    number = arrays.numbered(count)
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
