"""Text tracks of videos with NMEA sentences -> positions."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from mlygeo.formats import mp4
from mlygeo.readers.cameras import blackvue
from mlygeo.readers.cameras.positions import Points, Recorded

HANDLERS = {b"text", b"sbtl", b"subt", b"meta", b"data"}
"""Kinds of tracks that may contain text."""

LARGEST_SAMPLE = 65_536
"""Most bytes of a sample that is read."""


def recorded(file: BinaryIO, _: int, movie: mp4.Movie | None, _first_only: bool) -> Recorded | None:
    """Return the positions of the first track with sentences; see `mlygeo.readers.cameras.Reader`."""
    for track in () if movie is None else movie.tracks:
        if track.handler in HANDLERS and b"gpmd" not in track.formats:
            found = read(file, track)
            if movie is not None and len(found):
                return Recorded(found, movie.texts.get("make"), movie.texts.get("model"))
    return None


def read(file: BinaryIO, track: mp4.Track) -> Points:
    """Return the positions of a track; none where the first thousand samples have no sentence."""
    rows = np.flatnonzero(track.samples.size <= LARGEST_SAMPLE)
    texts: list[bytes] = []
    first = 0
    for row, content in mp4.read_samples(file, track, rows, largest=LARGEST_SAMPLE):
        if b"$G" in content:
            first = first if texts else row
            texts.append(content)
        elif not texts and row > 1000:
            break  # a log does not start so late
    if not texts:
        return Points.joined([])
    return blackvue.plain(b"\n".join(texts), float(track.samples.time[first]) / track.timescale + track.shift_s)
