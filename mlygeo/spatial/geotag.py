"""
Positions, headings and altitudes of images from a GPS track, or from the images beside them.

The error of a camera's clock is estimated from the capture times of its images and the times of the track.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlygeo import frames
from mlygeo.errors import InputError
from mlygeo.progress import working
from mlygeo.spatial import ordering, times
from mlygeo.spatial.sequences import checked_number, turned
from mlygeo.spatial.track import Line, lines, locate, start_us

if TYPE_CHECKING:
    from collections.abc import Callable

    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Flags, Floats, Objects, Rows
    from mlygeo.spatial.track import Places

LOG = logging.getLogger("mlygeo.spatial.geotag")

MAX_EXTRAPOLATION_S = 1.0
"""Seconds outside a track for which its end is extended."""

MAX_TIME_DELTA_S = 1.0

LONG_GAP_S = 60.0
"""Bridging a gap of the track longer than this gives a warning, seconds."""

HOUR_S, DAY_S = 3600, 86_400

ZONES_S = 14 * HOUR_S
"""No time zone is further from UTC: Kiribati, UTC+14."""

GPS_EPOCH_S = 1024 * 7 * DAY_S
"""Weeks of GPS are counted modulo 1024; receivers that forget it are off by that."""

MANY = 0.5
"""A clock error is reported only if at least this share of the images lies outside the track."""

FITTING = 0.9
"""And only if this share of those images lies on the track once the clock is corrected."""


@working("placing images")
def geotag(
    images: gpd.GeoDataFrame,
    track: gpd.GeoDataFrame,
    *,
    offset_time: float = 0.0,
    offset_angle: float = 0.0,
    use_gps_start_time: bool = False,
    sub_second_interval: float = 0.0,
    max_extrapolation: float = MAX_EXTRAPOLATION_S,
    max_gap: float | None = None,
) -> gpd.GeoDataFrame:
    """
    Give images the position, heading and altitude that a track has at their capture time.

    An image is placed on the geodesic (WGS 84) between the points of the track before and after its time, linearly in
    time. Its heading is the bearing from one point to the other; while the track does not move, it is the bearing
    with which it continues, or else arrived. Altitude is also linear; if one point has none, that of the other is
    used. Up to `max_extrapolation` outside the track, or inside a gap longer than `max_gap`, the segment that ends
    there is extended. Beyond that the image gets no position, and an `error` with the time outside the track and, if
    this looks like a wrong clock or time zone, the likely correction.

    Points of the track may come in any order. Of points with the same time the first is used; points without a time
    or a position are ignored. Where several tracks overlap in time, an image is placed on the track whose enclosing
    points are closest in time; if another track is as close in time but at another place, the image gets no position,
    and an `error` says so. Where points have a `kind`, way points and routes are used only if there is no track.

    Images with an `error` already, and those without a time, are left as they are; the latter get an
    `error`.

    Parameters
    ----------
    images
        Images frame with `captured_at` (UTC). Their positions, if any, are replaced.
    track
        Tracks frame.
    offset_time
        Seconds by which the camera's clock is ahead of that of the GPS device; subtracted from the
        capture times.
    offset_angle
        Angle from the direction of travel to that of the camera, degrees clockwise, added to headings.
    use_gps_start_time
        Whether to ignore the camera's clock: the first image is placed where the track starts, and the others follow.
        `offset_time` is counted from there. A few first points that are years before the others (the default date of
        a receiver) do not count as its start.
    sub_second_interval
        Seconds from one image to the next, where the camera writes whole seconds only (see
        `estimate_subseconds`); 0 spreads images of one time evenly within its second (see
        `spread_subseconds`), without which they would lie on one spot.
    max_extrapolation
        Seconds outside the track for which its end is extended.
    max_gap
        Longest gap in the track that is bridged, seconds; by default all are.

    Returns
    -------
    images
        The same rows with new geometry, `captured_at` (as corrected), `compass_angle`, `altitude` and
        `error`, and with `track_gap_s` (float64): the seconds between the two points of the track that
        an image was placed from, NaN where it was not placed. A long gap means that the position
        is less certain.

    Raises
    ------
    FrameError
        If a frame lacks a column, or the track has no point with a time.
    InputError
        If an option makes no sense, or `sub_second_interval` does not fit the capture times.

    Examples
    --------
    >>> tagged = geotag(images, track, offset_time=2)
    >>> tagged.loc[tagged["error"].notna(), ["path", "error"]]
    """
    images = frames.check(images, ordering.TIMED)
    _check_options(max_extrapolation=max_extrapolation, max_gap=max_gap, sub_second_interval=sub_second_interval)
    offset_time = checked_number("offset_time", offset_time)
    offset_angle = checked_number("offset_angle", offset_angle)
    merged, parts = lines(track)
    usable = _usable(images)
    chosen = images[usable]
    if sub_second_interval:
        chosen = times.estimate_subseconds(chosen, sub_second_interval=sub_second_interval)
    else:
        chosen = times.spread_subseconds(chosen)
    time_ms = ordering.milliseconds(chosen["captured_at"])
    ahead_ms = round(offset_time * 1000)
    if use_gps_start_time and len(time_ms):
        start = start_us(merged)
        if start != merged.time[0]:
            LOG.warning("the track starts at %s; points years before it do not count", _text(start))
        ahead_ms += int(time_ms.min()) - start // 1000
    time_ms = time_ms - ahead_ms
    time_us = time_ms * 1000
    places, contradictions = locate(merged, parts, time_us, max_extrapolation=max_extrapolation, max_gap=max_gap)
    reasons = _explain(
        merged, time_us, places, max_extrapolation, max_gap, offset_time=offset_time, clock=not use_gps_start_time
    )
    reasons = _told(reasons, contradictions)
    rows = np.flatnonzero(usable)
    tagged = _placed(images, rows, places.lon, places.lat)
    found = np.isfinite(places.lon)
    captured = ordering.milliseconds(images["captured_at"]).copy()
    captured[rows] = time_ms
    tagged["captured_at"] = ordering.datetimes(captured, images.index)
    tagged["compass_angle"] = _numbers(images, "compass_angle", rows, turned(places.bearing, offset_angle))
    tagged["altitude"] = _numbers(images, "altitude", rows, places.altitude)
    tagged["track_gap_s"] = np.nan
    tagged["track_gap_s"] = _numbers(tagged, "track_gap_s", rows, np.where(found, places.gap_s, np.nan))
    errors = _errors(images, rows, reasons)
    tagged["error"] = errors.mask(
        errors.isna() & images["captured_at"].isna(), "no capture time, which the track goes by"
    )
    if bridged := int(np.count_nonzero(found & (places.gap_s > LONG_GAP_S))):
        lie = "image lies" if bridged == 1 else "images lie"
        LOG.warning(
            "%d %s in gaps of the track of over %g s, up to %s; `max_gap` refuses to bridge them",
            *(bridged, lie, LONG_GAP_S, duration(float(places.gap_s[found].max()))),
        )
    LOG.info("%d of %d images lie on the track", np.count_nonzero(found), len(images))
    return tagged


@working("filling in positions")
def interpolate_positions(images: gpd.GeoDataFrame, *, max_time_delta: float = MAX_TIME_DELTA_S) -> gpd.GeoDataFrame:
    """
    Interpolate missing positions from the images of the same folder before and after.

    The images that have a position serve as the track; everything else is as in `geotag`. Existing
    headings and altitudes are kept. `interpolate --data missing_gps` of mapillary_tools does the same.

    Parameters
    ----------
    images
        Images frame with `captured_at`; images go by `folder` where the frame has it.
    max_time_delta
        Seconds before the first or after the last image with a position for which the line through the two nearest of
        them is extended.

    Returns
    -------
    images
        The same rows with the missing positions, and the headings and altitudes that were missing
        there. What cannot be placed gets an `error`.

    Raises
    ------
    FrameError
        If a column is missing or has another dtype.
    InputError
        If `max_time_delta` is negative.

    Examples
    --------
    >>> interpolate_positions(images, max_time_delta=5)
    """
    images = frames.check(images, ordering.TIMED)
    _check_options(max_time_delta=max_time_delta)
    usable = np.flatnonzero(_usable(images))
    order = ordering.by_time(images.iloc[usable], ("folder",), placed=False)
    rows = usable[order.sort(np.arange(len(usable)))]
    altitude = _numbers(images, "altitude")[rows]
    parts, wanted = [], np.isnan(order.lon) | np.isnan(order.lat)
    errors = np.full(len(images), None, dtype=object)
    starts = order.starts()
    for start, stop in zip(starts, [*starts[1:], len(order)][: len(starts)], strict=True):
        gaps = start + np.flatnonzero(wanted[start:stop])
        known = start + np.flatnonzero(~wanted[start:stop])
        if not len(gaps):
            continue
        if not len(known):
            errors[rows[gaps]] = "no position, and no image of its folder has one"
            continue
        time_us = order.time_ms * 1000
        line = Line(time_us[known], order.lon[known], order.lat[known], altitude[known], np.zeros_like(known)).once()
        places = line.locate(time_us[gaps], max_extrapolation=max_time_delta, max_gap=None)
        lost = np.flatnonzero(np.isnan(places.lon))
        errors[rows[gaps[lost]]] = [
            f"no position, and captured {duration(outside)}"
            f" {'after the last' if outside > 0 else 'before the first'} image of its folder that has one"
            for outside in places.outside_s[lost]
        ]
        parts.append((rows[gaps], places))
    target = np.concatenate([rows[:0], *(rows for rows, _ in parts)])
    lon, lat, bearing, height = (
        np.concatenate([np.empty(0), *(getattr(places, name) for _, places in parts)])
        for name in ("lon", "lat", "bearing", "altitude")
    )
    filled = _placed(images, target, lon, lat)
    unknown = np.array([text is not None for text in errors], dtype=bool)
    filled["error"] = _errors(images, np.flatnonzero(unknown), errors[unknown])
    for name, values in (("compass_angle", bearing), ("altitude", height)):
        if name in images.columns:
            missing = np.isnan(_numbers(images, name)[target])
            filled[name] = _numbers(images, name, target[missing], values[missing])
    LOG.info(
        "%d of %d images without a position lie between images that have one",
        *(np.count_nonzero(np.isfinite(lon)), np.count_nonzero(wanted)),
    )
    return filled


def outside_track(
    track: gpd.GeoDataFrame,
    time_us: Rows,
    *,
    max_extrapolation: float = MAX_EXTRAPOLATION_S,
    max_gap: float | None = None,
) -> Objects:
    """
    Explain how far outside a track moments lie, and which clock error may be the cause.

    Parameters
    ----------
    track
        Tracks frame.
    time_us
        Microseconds since 1970.
    max_extrapolation, max_gap
        As in `geotag`.

    Returns
    -------
    reasons
        Texts; None for moments that lie on the track.

    Raises
    ------
    FrameError
        If the track has no point with a time.
    """
    merged, parts = lines(track)
    places, contradictions = locate(merged, parts, time_us, max_extrapolation=max_extrapolation, max_gap=max_gap)
    reasons = _explain(merged, time_us, places, max_extrapolation, max_gap, offset_time=0.0, clock=True)
    return _told(reasons, contradictions)


def _explain(
    merged: Line,
    time_us: Rows,
    places: Places,
    max_extrapolation: float,
    max_gap: float | None,
    *,
    offset_time: float,
    clock: bool,
) -> Objects:
    reasons = np.full(len(time_us), None, dtype=object)
    lost = np.isnan(places.lon)
    if not lost.any():
        return reasons
    slip = None
    if clock:
        slip = _find_slip(
            time_us,
            lambda moments: merged.inside(moments, max_extrapolation=max_extrapolation, max_gap=max_gap),
            (time_us < merged.time[0]) | (time_us > merged.time[-1]),
        )
    remedy = ""
    if slip is not None:
        remedy = f"; {slip.text(offset_time)}"
        LOG.warning("%d of %d images are outside the track%s", np.count_nonzero(lost), len(time_us), remedy)
    start, end = (_text(merged.time[at]) for at in (0, -1))
    for row in np.flatnonzero(lost):
        outside = duration(places.outside_s[row])
        if time_us[row] < merged.time[0]:
            reasons[row] = f"captured {outside} before the track starts ({start}){remedy}"
        elif time_us[row] > merged.time[-1]:
            reasons[row] = f"captured {outside} after the track ends ({end}){remedy}"
        else:
            side = "after the last point before it" if places.outside_s[row] > 0 else "before the first point after it"
            reasons[row] = f"captured in a gap of {duration(places.gap_s[row])} in the track, {outside} {side}"
    return reasons


def _told(reasons: Objects, contradictions: Objects) -> Objects:
    """Return the reasons, and instead of them where tracks contradict each other, that."""
    told = reasons.copy()
    for row in np.flatnonzero(contradictions.astype(bool)).tolist():
        told[row] = contradictions[row]
    return told


def _usable(images: gpd.GeoDataFrame) -> Flags:
    usable = images["captured_at"].notna().to_numpy()
    if "error" in images.columns:
        usable = usable & images["error"].isna().to_numpy()
    return np.asarray(usable)


def _placed(images: gpd.GeoDataFrame, rows: Rows, lon: Floats, lat: Floats) -> gpd.GeoDataFrame:
    """Return images with the positions of some rows replaced; NaN is not a position."""
    geometry = np.array(images.geometry.values, dtype=object)
    points = frames.points(lon, lat)
    points[np.isnan(lon) | np.isnan(lat)] = None
    geometry[rows] = points
    return images.set_geometry(_series(geometry, images))


def _series(geometry: Objects, images: gpd.GeoDataFrame) -> gpd.GeoSeries:
    import geopandas as gpd

    return gpd.GeoSeries(geometry, index=images.index, crs=images.crs, name=images.active_geometry_name)


def _numbers(images: gpd.GeoDataFrame, name: str, rows: Rows | None = None, values: Floats | None = None) -> Floats:
    """Return a column of numbers (NaN where the frame has none), with the values of some rows replaced."""
    column = np.full(len(images), np.nan)
    if name in images.columns:
        column = images[name].to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    if rows is not None:
        column[rows] = values
    return column


def _errors(images: gpd.GeoDataFrame, rows: Rows, reasons: Objects) -> pd.Series:
    """Return the column `error` with the reasons of some rows."""
    import pandas as pd

    column = np.full(len(images), None, dtype=object)
    if "error" in images.columns:
        before = images["error"]
        column[before.notna().to_numpy()] = before.dropna().to_numpy(dtype=object)
    column[rows] = reasons
    return pd.Series(column, index=images.index, dtype="str")


def _text(time_us: int) -> str:
    return f"{np.datetime64(int(time_us), 'us').astype('datetime64[s]')}Z"


def _check_options(**options: float | None) -> None:
    for name, value in options.items():
        if value is not None and not value >= 0:
            raise InputError(f"`{name}` must be 0 seconds or more, not {value}")


def _find_slip(times_us: Rows, inside: Callable[[Rows], Flags], outside: Flags) -> Slip | None:
    """
    Return the likely error of a clock, if many images lie outside a track by the same time.

    Parameters
    ----------
    times_us
        Capture times, microseconds since 1970.
    inside
        Function that returns whether times lie on the track.
    outside
        Which images do not.

    Returns
    -------
    slip
        The smallest of the usual errors that brings nine in ten of them onto the track: whole hours
        first (a time zone, summer time), then half and quarter hours, days, a turn of the GPS weeks.
        None if few images are outside, or none of these explains it.
    """
    if not len(times_us) or np.count_nonzero(outside) < MANY * len(times_us):
        return None
    lost = times_us[outside]

    def fits(ahead_s: int) -> bool:
        return bool(np.count_nonzero(inside(lost - ahead_s * 1_000_000)) >= FITTING * len(lost))

    hours = [ahead for ahead in _around(HOUR_S, ZONES_S) if fits(ahead)]
    if hours:
        return Slip(hours[0], "its time zone?", len(hours) - 1)
    for step, most, cause in (
        (HOUR_S // 2, ZONES_S, "its time zone?"),
        (HOUR_S // 4, ZONES_S, "its time zone?"),
        (DAY_S, 366 * DAY_S, "its date?"),
        (GPS_EPOCH_S, 2 * GPS_EPOCH_S, "GPS weeks counted modulo 1024?"),
    ):
        for ahead in _around(step, most):
            if fits(ahead):
                return Slip(ahead, cause, 0)
    return None


def _around(step: int, most: int) -> list[int]:
    """Return multiples of a step, the nearest to 0 first, ahead before behind, without 0."""
    return [sign * number * step for number in range(1, most // step + 1) for sign in (1, -1)]


# Errors of camera clocks.


class Slip(NamedTuple):
    """How many seconds a clock is ahead, the likely cause, and whether other hours fit as well."""

    ahead_s: float
    cause: str
    others: int

    def text(self, offset_time: float) -> str:
        """Return the explanation, and the `offset_time` that corrects the clock."""
        side = "ahead" if self.ahead_s > 0 else "behind"
        also = f"; {self.others} other whole hours fit too" if self.others else ""
        total = offset_time + self.ahead_s
        return (
            f"the camera's clock seems to be {duration(abs(self.ahead_s))} {side} ({self.cause}{also}):"
            f" try `offset_time={total:.10g}`"
        )


def duration(seconds: float) -> str:
    """Return a duration as people say it, in its two largest units."""
    seconds = abs(seconds)
    if seconds < 60:
        return f"{seconds:.3g} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    for unit, smaller, size, part in (("d", "h", DAY_S, HOUR_S), ("h", "min", HOUR_S, 60), ("min", "s", 60, 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit} {rest} {smaller}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"
