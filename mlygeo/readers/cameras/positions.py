"""Positions that cameras record with their pictures, and filters for noisy positions."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo import frames
from mlygeo.formats import positions
from mlygeo.spatial import geodesy

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import geopandas as gpd

    from mlygeo.arrays import Flags, Floats, Whole
    from mlygeo.formats import mp4


PRECISION_M = 15.0
"""Assumed precision of a camera's GPS, metres; steps up to twice that are never outliers."""

FIXES = (2, 3)
"""Values that mean a fix: in two and in three dimensions."""

STRAY_S = 43_200.0
"""Seconds by which the times of one recording cannot jump against those of its video; most of them agree."""

FAR_STRAY_S = 100 * 86_400.0
"""Seconds of a jump after which the smaller part of the times is wrong, however small the larger part is."""

MOST_JUMPS = 3
"""Groups of times that the smaller jumps may make: before a receiver knows the time, after it, and one between."""

STRAY = "times far from the others"
HIDDEN = "points outside the edit list"
NO_FIX = "points without a fix"
IMPRECISE = "points of low precision"
OUTLIERS = "points far from the others"
NOWHERE = {"(0, 0)": "points at (0, 0)"}
"""Reasons for which points, or only their times, are left out."""


@dataclass(frozen=True)
class Points:
    """
    Positions in the order of recording, as columns; NaN (for fix: -1) where a value is unknown.

    `video_s` is seconds from the first picture of the video, or of the track's own media as long as it was
    not put on the timeline; `epoch_s` seconds since 1970 (UTC), `altitude` metres, `speed` metres a second
    over ground, `dop` the dilution of precision.
    """

    video_s: Floats
    epoch_s: Floats
    lon: Floats
    lat: Floats
    altitude: Floats
    speed: Floats
    dop: Floats
    fix: Floats

    @classmethod
    def of(cls, video_s: Floats, lon: Floats, lat: Floats, **known: Floats) -> Points:
        """Return points; columns that are not given are unknown."""
        unknown = np.full(len(video_s), np.nan)
        columns = {column.name: unknown for column in fields(cls)} | {"fix": np.full(len(video_s), -1.0)}
        return cls(**{**columns, "video_s": video_s, "lon": lon, "lat": lat, **known})

    @classmethod
    def joined(cls, parts: list[Points]) -> Points:
        """Return the points of several parts, one after another."""
        if not parts:
            return cls.of(np.empty(0), np.empty(0), np.empty(0))
        return cls(
            **{column.name: np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(cls)}
        )

    def __len__(self) -> int:
        return len(self.video_s)

    def take(self, rows: Whole | Flags) -> Points:
        """Return some of the points."""
        return replace(self, **{column.name: getattr(self, column.name)[rows] for column in fields(self)})

    def possible(self) -> Points:
        """Return the points that have a position; see `mlygeo.formats.positions`."""
        placed, _ = positions.possible(self.lon, self.lat)
        return self.take(placed & np.isfinite(self.video_s))

    def without_stray_times(self, created_s: float = np.nan) -> Points:
        """
        Return the points without times that lie far from the others, which receivers write before they know the time.

        Parameters
        ----------
        created_s
            Creation time of the file, seconds since 1970; NaN where unknown. Of times in several places those
            near it are right, without it those of most points.
        """
        dated = np.flatnonzero(np.isfinite(self.epoch_s))
        if len(dated) < 2:
            return self
        ahead = self.epoch_s[dated] - np.where(np.isfinite(self.video_s[dated]), self.video_s[dated], 0.0)
        order = np.argsort(ahead, kind="stable")
        gaps = np.diff(ahead[order])
        for least_s in (STRAY_S, FAR_STRAY_S):
            group = np.cumsum(np.append(0, gaps > least_s))
            count = np.bincount(group)
            if len(count) == 1:
                return self
            middle = np.array([np.median(ahead[order][group == number]) for number in range(len(count))])
            near = np.abs(middle - created_s) < 2 * STRAY_S
            # Receivers that do not know the time yet give one of the past: of equal parts the later one is right.
            best = int(np.lexsort((np.arange(len(count)), count, near))[-1])
            # Of a time lapse, each point may be hours from the next.
            is_jump = len(count) <= MOST_JUMPS < len(dated) and (near[best] or 2 * count[best] > len(dated))
            if least_s == FAR_STRAY_S or is_jump:
                epoch_s = self.epoch_s.copy()
                epoch_s[dated[order[group != best]]] = np.nan
                return replace(self, epoch_s=epoch_s)
        return self

    def timed(self) -> Points:
        """
        Return the points with a time each, if some have one.

        Cameras write the time of the GPS once for many points. The points between are spread evenly, as in
        the video; before the first time, after the last, and where the clock was set back, the time advances
        with the video.
        """
        dated = np.flatnonzero(np.isfinite(self.epoch_s))
        # An equal time is the previous one repeated.
        known = dated[np.concatenate([[True], np.diff(self.epoch_s[dated]) != 0])] if len(dated) else dated
        if not len(known) or len(known) == len(self):
            return self
        rows = np.arange(len(self))
        at = np.maximum(np.searchsorted(known, rows, side="right") - 1, 0)
        here, after = known[at], known[np.minimum(at + 1, len(known) - 1)]
        span_s = self.video_s[after] - self.video_s[here]
        epoch_gap_s = self.epoch_s[after] - self.epoch_s[here]
        with np.errstate(divide="ignore", invalid="ignore"):
            pace = np.where((span_s > 0) & (epoch_gap_s > 0) & (rows >= here), epoch_gap_s / span_s, 1.0)
        return replace(self, epoch_s=self.epoch_s[here] + (self.video_s - self.video_s[here]) * pace)


class Recorded(NamedTuple):
    """
    The positions in a video as recorded, and the camera that they name.

    `track` is the track whose media the points' seconds count; None where they count those of the video.
    """

    points: Points
    make: str | None
    model: str | None
    track: mp4.Track | None = None


def on_the_timeline(
    recorded: Recorded,
    movie: mp4.Movie | None,
    created_s: float,
    cleaned: Callable[[Points], tuple[Points, dict[str, int]]] | None = None,
) -> tuple[Points, dict[str, int]]:
    """
    Return the positions by the seconds of the video, each with a time if some have one, and what was left out.

    What is an outlier does not depend on what an edit list shows, so that is followed last.

    Parameters
    ----------
    recorded
        As a camera's reader returned them.
    movie
        The headers of the video; None where they are missing.
    created_s
        Creation time of the file, seconds since 1970; NaN where unknown.
    cleaned
        Returns points without those that are unreliable, and counts by reason; None keeps all.

    Returns
    -------
    points, left_out
        Positions on the Earth, in the order of the video; and how many points, or only times, were left out
        by reason.
    """
    points = recorded.points.without_stray_times(created_s)
    counts = {STRAY: int(np.isfinite(recorded.points.epoch_s).sum() - np.isfinite(points.epoch_s).sum())}
    points = points.timed()
    placed, nowhere = positions.possible(points.lon, points.lat)
    counts |= {NOWHERE.get(reason, f"points {reason}"): count for reason, count in nowhere.items()}
    points = points.take(placed & np.isfinite(points.video_s))
    if cleaned is not None:
        points, dropped = cleaned(points)
        counts |= dropped
    if recorded.track is not None and movie is not None:
        moments = recorded.track.timeline.instants(points.video_s)
        counts[HIDDEN] = len(points) - len(np.unique(moments.rows))
        points = replace(points.take(moments.rows), video_s=moments.seconds - movie.zero_s)
    return points, {name: count for name, count in counts.items() if count}


def as_tracks(name: str, points: Points, start: datetime | None = None) -> gpd.GeoDataFrame:
    """
    Return positions as a tracks frame, with the columns that `mlygeo.read_video` describes.

    Parameters
    ----------
    name
        The name of the track.
    points
        In the order of the video.
    start
        Time of the start of the video (UTC), for positions without a time of their own; None leaves them without.
    """
    import geopandas as gpd
    import pandas as pd
    from geopandas.array import GeometryArray

    epoch_s = points.epoch_s
    if start is not None:
        epoch_s = np.where(np.isfinite(epoch_s), epoch_s, start.timestamp() + points.video_s)
    sane = np.isfinite(epoch_s) & (np.abs(epoch_s) < 2**36)
    time = np.full(len(points), np.datetime64("NaT", "us"), dtype="datetime64[us]")
    time[sane] = np.round(epoch_s[sane] * 1e6).astype("int64").astype("datetime64[us]")
    columns: dict[str, Any] = {
        "track_id": pd.array([name.encode("utf-8", "backslashreplace").decode("utf-8")] * len(points), dtype="str"),
        "time": pd.Series(time).dt.tz_localize("UTC"),
        "altitude": points.altitude,
        "video_time_s": points.video_s,
        "fix": pd.array(points.fix.astype("int64"), dtype="Int64"),
        "dop": points.dop,
        "speed_ms": points.speed,
    }
    columns["fix"][points.fix < 0] = pd.NA
    geometry = GeometryArray(frames.points(points.lon, points.lat), crs=frames.CRS)
    return frames.conform(gpd.GeoDataFrame(columns, geometry=geometry), frames.TRACKS)


def without_noise(points: Points, *, max_dop: float, outliers: bool) -> tuple[Points, dict[str, int]]:
    """
    Drop unreliable points, and count them by reason.

    Parameters
    ----------
    points
        As recorded.
    max_dop
        Largest dilution of precision; points without this value are kept.
    outliers
        Whether far outliers are dropped too.

    Returns
    -------
    points, dropped
        The remaining points, and how many were dropped, by reason.
    """
    counts = {}
    before = len(points)
    points = points.take((points.fix < 0) | np.isin(points.fix, FIXES))
    counts[NO_FIX], before = before - len(points), len(points)
    points = points.take(~(points.dop > max_dop))
    counts[IMPRECISE], before = before - len(points), len(points)
    if outliers:
        points = points.take(_majority(points))
    counts[OUTLIERS] = before - len(points)
    return points, {name: count for name, count in counts.items() if count}


def _majority(points: Points) -> Flags:
    """
    Return which points are not outliers, as mapillary_tools decides it.

    The track is cut where a step is far longer than the others (above the upper whisker of their box plot,
    and at least twice the precision of the GPS). Pieces are joined again where going from the end of the one
    to the start of the other takes no higher speed than the camera recorded (the upper whisker of its
    speeds). The largest group of pieces is kept. Without speeds nothing is dropped.
    """
    everything = np.ones(len(points), dtype=bool)
    speeds = points.speed[np.isfinite(points.speed)]
    if len(points) < 3 or len(speeds) < 2:
        return everything
    steps = geodesy.distance(points.lon[:-1], points.lat[:-1], points.lon[1:], points.lat[1:])
    cuts = np.flatnonzero(steps > max(2 * PRECISION_M, _upper_whisker(steps))) + 1
    if not len(cuts):
        return everything
    starts = np.concatenate([[0], cuts])
    ends = np.append(cuts, len(points)) - 1
    group = _linked(points, starts, ends, _upper_whisker(speeds))
    sizes = np.bincount(group, weights=ends - starts + 1)
    return np.repeat(group == int(np.argmax(sizes)), ends - starts + 1)


def _linked(points: Points, starts: Whole, ends: Whole, fastest: float) -> Whole:
    """Return the group of each piece: each is joined to the first later piece that is free and reachable."""
    group = np.arange(len(starts))
    taken = np.zeros(len(starts), dtype=bool)
    # Each choice depends on the choices of the pieces before: sequential by nature. Only some hundred later
    # pieces are compared, so that a track of pure noise does not take hours.
    for left in range(len(starts)):
        free = left + 1 + np.flatnonzero(~taken[left + 1 : left + 513])
        if not len(free):
            continue
        here, there = ends[left], starts[free]
        way = geodesy.distance(points.lon[here], points.lat[here], points.lon[there], points.lat[there])
        took = np.abs(points.video_s[there] - points.video_s[here])
        reached = free[way <= fastest * took]
        if len(reached):
            group[reached[0]] = group[left]
            taken[reached[0]] = True
    return group


def _upper_whisker(values: Floats) -> float:
    """Return the third quartile plus 1.5 times the interquartile range (Tukey's hinges)."""
    values = np.sort(values)
    low, high = values[: len(values) // 2], values[(len(values) + 1) // 2 :]
    first, third = float(np.median(low)), float(np.median(high))
    return third + 1.5 * (third - first)
