"""Text tracks of videos with NMEA sentences -> positions."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from mlygeo.formats import mp4
from mlygeo.readers.cameras import blackvue
from mlygeo.readers.cameras.positions import Points, Recorded

if TYPE_CHECKING:
    from mlygeo.arrays import Floats

HANDLERS = {b"text", b"sbtl", b"subt", b"meta", b"data"}
"""Kinds of tracks that may contain text."""

LARGEST_SAMPLE = 65_536
"""Most bytes of a sample that is read."""

_CLOCK = re.compile(rb"\$G[A-Z](?:(?:RMC|GGA|GNS|ZDA),|GLL,(?:[^,*]*,){4})(\d\d)(\d\d)(\d\d(?:\.\d+)?)")
"""The time of day in a sentence."""


def recorded(file: BinaryIO, _: int, movie: mp4.Movie | None, _first_only: bool) -> Recorded | None:
    """Return the positions of the first track with sentences; see `mlygeo.readers.cameras.Reader`."""
    for track in () if movie is None else movie.tracks:
        if track.handler in HANDLERS and b"gpmd" not in track.formats:
            found = read(file, track)
            if movie is not None and len(found):
                return Recorded(found, movie.texts.get("make"), movie.texts.get("model"), track)
    return None


def read(file: BinaryIO, track: mp4.Track) -> Points:
    """Return the positions of a track, by its media's seconds; none where a thousand samples have no sentence."""
    samples = track.samples
    rows = np.flatnonzero(samples.size <= LARGEST_SAMPLE)
    texts: list[bytes] = []
    starts: dict[float, float] = {}
    for row, content in mp4.read_samples(file, track, rows, largest=LARGEST_SAMPLE):
        if b"$G" in content:
            texts.append(content)
            if (clock := _CLOCK.search(content)) is not None:
                hour, minute, second = (float(part) for part in clock.groups())
                starts.setdefault(hour * 3600 + minute * 60 + second, float(samples.shown[row]) / track.timescale)
        elif not texts and row > 1000:
            break  # a log does not start so late
    if not texts:
        return Points.joined([])
    points = blackvue.plain(b"\n".join(texts))
    return replace(points, video_s=_by_samples(points, starts))


def _by_samples(points: Points, starts: dict[float, float]) -> Floats:
    """
    Return the seconds of the media at which points were recorded, from the samples that they stand in.

    Parameters
    ----------
    points
        By the GPS' own seconds.
    starts
        The first time of day in a sample, seconds, and where the sample begins in the media, seconds.
    """
    of_day = np.round(points.epoch_s % 86_400, 3)
    begins = np.array([starts.get(one, np.nan) for one in of_day.tolist()])
    known = np.flatnonzero(np.isfinite(begins))
    if not len(known):
        return points.video_s + min(starts.values(), default=0.0)
    at = known[np.maximum(np.searchsorted(known, np.arange(len(points)), side="right") - 1, 0)]
    return begins[at] + points.video_s - points.video_s[at]
