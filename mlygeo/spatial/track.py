"""Tracks as arrays in time order, and the position on them at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames
from mlygeo.errors import FrameError
from mlygeo.spatial import geodesy

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd
    import numpy.typing as npt

    from mlygeo.arrays import Flags, Floats, Objects, Rows


KINDS = ("track", "route", "waypoint")
"""Kinds of points in a file, the best first: a way point may have been placed at a desk."""


STRAY_GAP_US = 365 * 86_400_000_000
"""Microseconds between the first points of a track and the others by which the first are no part of it."""

MOST_STRAY = 3
"""Most points that are stray, or a hundredth of the track; what is more is a track of its own."""


@dataclass(frozen=True)
class Places:
    """
    Positions on a track at some moments.

    Parameters
    ----------
    lon, lat
        Degrees; NaN where there is no position.
    altitude
        Metres; NaN where the track has none.
    bearing
        Bearing of the track there, degrees; NaN where the track never moves.
    gap_s
        Seconds between the two points of the track that give the position, 0 where it is a single point;
        without a position, the seconds of the gap that the moment lies in.
    outside_s
        Seconds outside the track or inside a gap that was not bridged; negative before, 0 inside.
    """

    lon: Floats
    lat: Floats
    altitude: Floats
    bearing: Floats
    gap_s: Floats
    outside_s: Floats

    def replace(self, rows: Rows, other: Places, chosen: Flags) -> None:
        """Replace some rows with the chosen rows of other places, in their order."""
        for name in ("lon", "lat", "altitude", "bearing", "gap_s", "outside_s"):
            getattr(self, name)[rows] = getattr(other, name)[chosen]


@dataclass(frozen=True)
class Line:
    """
    Positions in order of time, each time once.

    Parameters
    ----------
    time
        Microseconds since 1970, increasing.
    lon, lat, altitude
        Degrees, metres; altitude NaN where unknown.
    track
        Number of the track of each position.
    """

    time: Rows
    lon: Floats
    lat: Floats
    altitude: Floats
    track: Rows

    def take(self, chosen: Flags) -> Line:
        """Return some of the positions."""
        return Line(*(getattr(self, name)[chosen] for name in ("time", "lon", "lat", "altitude", "track")))

    def once(self) -> Line:
        """Return the positions with each time once: the first position of equal times."""
        new = np.diff(self.time, prepend=self.time[0] - 1) > 0
        return self if new.all() else self.take(new)

    def breaks(self, max_gap: float | None) -> Flags:
        """Return the pairs of neighbours between which the track is not bridged."""
        if max_gap is None:
            return np.zeros(max(len(self.time) - 1, 0), dtype=bool)
        broken: Flags = np.diff(self.time) > max_gap * 1e6
        return broken

    def locate(self, times: Rows, *, max_extrapolation: float, max_gap: float | None) -> Places:
        """
        Return the positions at moments (microseconds since 1970).

        Parameters
        ----------
        times
            Microseconds since 1970.
        max_extrapolation
            Seconds that the end segments are extended by.
        max_gap
            Seconds between two points of the track beyond which it is not bridged; None bridges all.
        """
        count, broken = len(self.time), self.breaks(max_gap)
        left = np.searchsorted(self.time, times, side="right") - 1
        before = np.where(left >= 0, times - self.time[np.maximum(left, 0)], np.iinfo(np.int64).max)
        right = np.minimum(left + 1, count - 1)
        after = np.where(left < count - 1, self.time[right] - times, np.iinfo(np.int64).max)
        bridged = (left >= 0) & (left < count - 1)
        bridged[bridged] = ~broken[left[bridged]]
        # Not between two points or in a bridged gap: extend the segment that ends at the nearer end.
        back = before <= after
        end = np.where(back, left, right)
        other = np.where(back, end - 1, end + 1)
        joined = (other >= 0) & (other < count)
        joined[joined] = ~broken[np.minimum(end, other)[joined]]
        other = np.where(joined, other, end)
        start = np.where(bridged, left, np.minimum(end, other))
        stop = np.where(bridged, left + 1, np.maximum(end, other))
        span = self.time[stop] - self.time[start]
        share = np.divide(times - self.time[start], span, out=np.zeros(len(times)), where=span > 0)
        outside = np.where(bridged, 0, np.where(back, before, -after)) / 1e6
        found = np.abs(outside) <= max_extrapolation
        lon, lat = np.full(len(times), np.nan), np.full(len(times), np.nan)
        lon[found], lat[found] = geodesy.along(
            self.lon[start[found]],
            self.lat[start[found]],
            self.lon[stop[found]],
            self.lat[stop[found]],
            share[found],
        )
        altitude = _between(self.altitude[start], self.altitude[stop], share)
        gap = np.where(found, span, self.time[right] - self.time[np.maximum(left, 0)])
        # A segment has the number of its first point; a lone point has no segment.
        bearing = np.full(len(times), np.nan)
        if count > 1:
            moving = found & (stop > start)
            bearing[moving] = self._bearings(broken)[start[moving]]
        return Places(lon, lat, np.where(found, altitude, np.nan), bearing, gap / 1e6, outside)

    def steps(self, times: Rows) -> Floats:
        """Return the metres between the two positions around moments (microseconds since 1970)."""
        left = np.clip(np.searchsorted(self.time, times, side="right") - 1, 0, len(self.time) - 1)
        right = np.minimum(left + 1, len(self.time) - 1)
        step: Floats = geodesy.distance(self.lon[left], self.lat[left], self.lon[right], self.lat[right])
        return step

    def inside(self, times: Rows, *, max_extrapolation: float, max_gap: float | None) -> Flags:
        """Return which moments (microseconds since 1970) lie on the track; see `locate`."""
        left = np.searchsorted(self.time, times, side="right") - 1
        allowed = max_extrapolation * 1e6
        # Differences of far times fit: microseconds of 290,000 years do.
        near = (left >= 0) & (times - self.time[np.maximum(left, 0)] <= allowed)
        right = np.minimum(left + 1, len(self.time) - 1)
        near |= (left < len(self.time) - 1) & (self.time[right] - times <= allowed)
        within = (left >= 0) & (left < len(self.time) - 1)
        within[within] = ~self.breaks(max_gap)[left[within]]
        return near | within

    def _bearings(self, broken: Flags) -> Floats:
        """Return the bearing of each segment; a segment without length takes that of the next one that has length."""
        from mlygeo.spatial.sequences import next_known

        bearing = geodesy.bearings(self.lon[:-1], self.lat[:-1], self.lon[1:], self.lat[1:])
        bearing[broken] = np.nan
        first = np.ones(len(bearing), dtype=bool)
        first[1:] = broken[:-1] | broken[1:]
        return next_known(bearing, first)


@dataclass(frozen=True)
class Tracks(Line):
    """
    Several tracks that overlap in time, as one line; a moment is placed on the closest of them, as `locate` does.

    Parameters
    ----------
    parts
        The single tracks.
    """

    parts: tuple[Line, ...] = ()

    def locate(self, times: Rows, *, max_extrapolation: float, max_gap: float | None) -> Places:
        """Return the positions at moments; there is none where the tracks contradict each other."""
        merged = Line(self.time, self.lon, self.lat, self.altitude, self.track)
        return locate(merged, self.parts, times, max_extrapolation=max_extrapolation, max_gap=max_gap)[0]


CLOSE_M = 100.0
"""Tracks of loggers in one vehicle are hardly further apart than this, beside the way between two of their points."""

SURE_GAP_S = 60.0
"""Between points further apart in time a track is only a guess, against which no other one has to stand."""


def locate(
    merged: Line, parts: Sequence[Line], times: Rows, *, max_extrapolation: float, max_gap: float | None
) -> tuple[Places, Objects]:
    """
    Return the positions at moments on tracks that may overlap in time; see `Line.locate`.

    Joined, overlapping tracks would be one zig-zag. A moment is placed on the track whose points around it are
    closest in time. Where another track is as sure of it, and lies elsewhere, nobody knows which one is meant: there
    is not a position.

    Parameters
    ----------
    merged, parts
        As `lines` returns them.
    times
        Microseconds since 1970.
    max_extrapolation, max_gap
        As in `Line.locate`.

    Returns
    -------
    places, contradictions
        The positions, and texts for the moments at which tracks contradict each other; None for all others.
    """
    places = merged.locate(times, max_extrapolation=max_extrapolation, max_gap=max_gap)
    contradictions = np.full(len(times), None, dtype=object)
    own = np.zeros(len(times), dtype=bool)
    found = []
    for part in parts:
        within = np.flatnonzero((times >= part.time[0]) & (times <= part.time[-1]))
        other = part.locate(times[within], max_extrapolation=max_extrapolation, max_gap=max_gap)
        better = np.isfinite(other.lon) & (~own[within] | (other.gap_s < places.gap_s[within]))
        places.replace(within[better], other, better)
        own[within[better]] = True
        found.append((within, other, part.steps(times[within])))
    furthest, several = np.zeros(len(times)), np.ones(len(times), dtype=np.int64)
    # Of the track that was taken, the way between its points is how far off it may be, as of the others.
    spare = np.zeros(len(times))
    for within, other, step in found:
        taken = (other.lon == places.lon[within]) & (other.lat == places.lat[within])
        spare[within[taken]] = step[taken]
    for within, other, step in found:
        sure = np.isfinite(other.lon) & (other.gap_s <= np.maximum(SURE_GAP_S, 2 * places.gap_s[within]))
        here = within[sure]
        apart = geodesy.distance(places.lon[here], places.lat[here], other.lon[sure], other.lat[sure])
        against = apart > CLOSE_M + step[sure] + spare[here]
        several[here] += against
        furthest[here] = np.maximum(furthest[here], np.where(against, apart, 0))
    for row in np.flatnonzero(furthest).tolist():
        far = f"{furthest[row] / 1000:,.0f} km" if furthest[row] >= 10_000 else f"{furthest[row]:,.0f} m"
        contradictions[row] = f"{several[row]} tracks cover its time, and lie {far} apart then"
    for name in ("lon", "lat", "altitude", "bearing"):
        getattr(places, name)[furthest > 0] = np.nan
    return places, contradictions


def lines(track: gpd.GeoDataFrame) -> tuple[Line, list[Line]]:
    """
    Return the positions of a tracks frame in order of time, and each track where tracks overlap in time.

    Parameters
    ----------
    track
        Tracks frame.

    Returns
    -------
    merged, parts
        All positions as one line; and the single tracks, or an empty list where they do not overlap.

    Raises
    ------
    FrameError
        If no point has both a time and a position.
    """
    import pandas as pd

    track = frames.check(track, frames.TRACKS)
    lon, lat = frames.lonlat(track)
    usable = track["time"].notna().to_numpy() & np.isfinite(lon) & np.isfinite(lat)
    if "kind" in track.columns:
        kind = track["kind"].to_numpy(dtype=object)
        usable = next((found for name in KINDS if (found := usable & (kind == name)).any()), usable)
    if not usable.any():
        timeless = int(track["time"].isna().sum())
        raise FrameError(
            f"the track has no point with a time ({len(track)} points, {timeless} of them without a time)",
            hint="geotagging goes by time; a track that was drawn or planned has none",
        )
    rows = np.flatnonzero(usable)
    time = track["time"].to_numpy(dtype="datetime64[us]").view(np.int64)[rows]
    code = pd.factorize(track["track_id"].iloc[rows], sort=True, use_na_sentinel=False)[0].astype(np.int64)
    altitude = track["altitude"].to_numpy(dtype=np.float64)[rows]
    sort: npt.NDArray[Any] = np.lexsort((code, time)) if (np.diff(time) <= 0).any() else np.arange(len(rows))
    whole = Line(time[sort], lon[rows][sort], lat[rows][sort], altitude[sort], code[sort])
    merged = whole.once()
    number = int(code.max()) + 1
    # Of all points: where two tracks have the same times, each time once is one track alone.
    if np.count_nonzero(np.diff(whole.track)) < len(np.unique(whole.track)):
        return merged, []
    return merged, [part.once() for at in range(number) if len((part := whole.take(whole.track == at)).time)]


def start_us(line: Line) -> int:
    """
    Return when a track starts, microseconds since 1970, passing over a few stray points years before it.

    Receivers that do not know the date yet write one of the past: of their making, or 1024 weeks ago.

    Parameters
    ----------
    line
        The track; see `lines`.
    """
    times = line.time
    few = min(max(MOST_STRAY, len(times) // 100), (len(times) - 1) // 2)
    jumps = np.flatnonzero(np.diff(times[: few + 1]) > STRAY_GAP_US)
    return int(times[jumps[-1] + 1 if len(jumps) else 0])


def _between(first: Floats, second: Floats, share: Floats) -> Floats:
    """Return values interpolated between two; where one is unknown, the other value."""
    value = first + (second - first) * share
    value = np.where(np.isnan(second), first, value)
    return np.where(np.isnan(first), second, value)
