"""Positions that cameras record with their pictures, and filters for noisy positions."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlygeo.spatial import geodesy

if TYPE_CHECKING:
    from mlygeo.arrays import Flags, Floats, Whole


PRECISION_M = 15.0
"""Assumed precision of a camera's GPS, metres; steps up to twice that are never outliers."""

FIXES = (2, 3)
"""Values that mean a fix: in two and in three dimensions."""


@dataclass(frozen=True)
class Points:
    """
    Positions in the order of recording, as columns; NaN (for fix: -1) where a value is unknown.

    `video_s` is seconds from the start of the video, `epoch_s` seconds since 1970 (UTC), `altitude`
    metres, `speed` metres a second over ground, `dop` the dilution of precision.
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
        """Return the points that lie on the Earth, and not at exactly (0, 0), which means no position."""
        there = np.isfinite(self.video_s) & (np.abs(self.lon) <= 180) & (np.abs(self.lat) <= 90)
        return self.take(there & ((self.lon != 0) | (self.lat != 0)))

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
    """The positions in a video as recorded, and the camera that they name."""

    points: Points
    make: str | None
    model: str | None


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
        The remaining points, and how many were dropped because of "fix", "dop" and "outliers".
    """
    counts = {}
    before = len(points)
    points = points.take((points.fix < 0) | np.isin(points.fix, FIXES))
    counts["fix"], before = before - len(points), len(points)
    points = points.take(~(points.dop > max_dop))
    counts["dop"], before = before - len(points), len(points)
    if outliers:
        points = points.take(_majority(points))
    counts["outliers"] = before - len(points)
    return points, counts


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
