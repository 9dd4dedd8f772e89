"""
The timeline of a video: from the times that a track stores to the times at which a player shows them.

An edit list says which parts of a track are shown, when, and how fast. Decoders and readers of telemetry take their
times from here, so that a frame and the position beside it are never on two clocks. Format: ISO/IEC 14496-12,
8.6.5 and 8.6.6; of rates other than 0 and 1, and of several edits, Apple's QuickTime File Format Specification.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlygeo.arrays import Floats, Whole

MOST_SHOWN = 4_000_000
"""Most moments that a timeline gives: an edit list can show the same day of video thousands of times."""

LATEST_S = 1 << 31
"""Seconds of the movie, 68 years, after which nothing is shown: no recording lasts so long, but a file may say so."""

EMPTY = -1
"""Media time of an edit that shows nothing."""

NORMAL_RATE = 1 << 16
"""Rates are fixed-point numbers, of which the lower sixteen bits are the fraction."""

_FAR = 1 << 62


class Edit(NamedTuple):
    """
    An entry of an edit list.

    `length` is the time that it takes in the movie, in units of the movie's timescale; 0 in the last one means until
    the end of the media. `media` is where the part of the media begins, in units of the track's timescale, -1 where
    nothing is shown. `rate` is in units of 1/65536: 0 holds one picture.
    """

    length: int
    media: int
    rate: int = NORMAL_RATE


class Part(NamedTuple):
    """
    A part of a media that is shown: what lies from `begin` to before `end`, units of the track's timescale.

    `anchor` is shown at `at_s` seconds of the movie, and the rest `rate` times as fast as it was stored. Of a part
    with `held`, only what is shown at `anchor` is seen, and it stays.
    """

    at_s: Fraction
    anchor: int
    begin: int
    end: int
    rate: Fraction = Fraction(1)
    held: bool = False


WHOLE = (Part(Fraction(0), 0, -_FAR, _FAR),)
"""The timeline of a track without an edit list."""


class Moments(NamedTuple):
    """Rows of a track's samples in the order in which they are shown, and when, seconds of the movie."""

    rows: Whole
    seconds: Floats


@dataclass(frozen=True)
class Timeline:
    """
    What a track shows when.

    Parameters
    ----------
    parts
        The parts that are shown, one after another.
    timescale
        Units of the track's times in a second.
    problems
        What the edit list says and was not followed.
    """

    parts: tuple[Part, ...] = WHOLE
    timescale: int = 1
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, edits: Sequence[Edit], *, movie_timescale: int, timescale: int) -> Timeline:
        """
        Return the timeline that an edit list describes.

        Parameters
        ----------
        edits
            The list; empty where the track has none.
        movie_timescale
            Units of the movie's times in a second.
        timescale
            Units of the track's times in a second.
        """
        if not edits:
            return cls(timescale=timescale)
        parts: list[Part] = []
        problems: list[str] = []
        shown = [edit for edit in edits if edit.media != EMPTY]
        if movie_timescale <= 0 and any(edit.length for edit in edits):
            problems.append("the lengths of its edits have no unit, so that all of the media is shown")
            first = shown[0].media if shown else 0
            return cls((Part(Fraction(0), first, first, _FAR),), timescale, tuple(problems))
        scale = max(movie_timescale, 1)
        at = Fraction(0)
        for number, edit in enumerate(edits):
            length = Fraction(edit.length, scale)
            if at > LATEST_S:
                problems.append("an edit list goes on after 68 years, which is not followed")
                break
            if edit.media != EMPTY:
                part, problem = _part(edit, at, length, timescale, is_last=number == len(edits) - 1)
                problems += [problem] if problem else []
                parts += [part] if part else []
            at += length
        if not shown:
            # By the letter nothing is shown. Writers of telemetry say so where a track begins, and mean what follows.
            parts = [WHOLE[0]._replace(at_s=at)] if at <= LATEST_S else [*WHOLE]
        return cls(tuple(parts), timescale, tuple(dict.fromkeys(problems)))

    def samples(self, pts: Whole) -> Moments:
        """
        Return when samples are shown; a sample that began before its part is not, as in FFmpeg.

        Parameters
        ----------
        pts
            Composition times of the samples, shape (n,), int64, units of the track's timescale, in any order.

        Returns
        -------
        moments
            In the order in which they are shown: a sample may be shown several times, or not at all.
        """
        order = np.argsort(pts, kind="stable")
        return self._moments(order, pts[order], is_instant=False)

    def instants(self, times: Floats) -> Moments:
        """
        Return when instants of the media, such as the points of a track, are shown.

        Parameters
        ----------
        times
            Their times, shape (n,), float64, seconds of the media; NaN is never shown. The end of the last part
            belongs to it, since the last point of a track has no length.

        Returns
        -------
        moments
            In the order of the parts, and in each in the order that was given.
        """
        known = np.flatnonzero(np.isfinite(times))
        order = known[np.argsort(times[known], kind="stable")]
        return self._moments(order, times[order] * self.timescale, is_instant=True)

    @cached_property
    def is_whole(self) -> bool:
        """Whether all of the media is shown, once, at its own pace."""
        return len(self.parts) == 1 and self.parts[0][2:] == WHOLE[0][2:]

    def _moments(self, order: Whole, times: Whole | Floats, *, is_instant: bool) -> Moments:
        rows, seconds, left = [order[:0]], [np.empty(0)], MOST_SHOWN
        offset: Floats
        for part in self.parts:
            if part.held:
                # What is on the screen at that time is the last that began before it.
                last = int(np.searchsorted(times, part.anchor, side="right"))
                chosen = order[max(last - 1, 0) : last]
                offset = np.zeros(len(chosen))
            else:
                span = int((LATEST_S - part.at_s) * self.timescale * part.rate)
                first = int(np.searchsorted(times, part.begin, side="left"))
                side: str = "right" if is_instant and part is self.parts[-1] else "left"
                end = min(part.end, part.anchor + span)
                last = int(np.searchsorted(times, end, side=side))  # type: ignore[call-overload]
                chosen, offset = order[first:last], np.asarray(times[first:last] - float(part.anchor), dtype=np.float64)
                if is_instant:
                    as_given = np.argsort(chosen)
                    chosen, offset = chosen[as_given], offset[as_given]
            rows.append(chosen[:left])
            seconds.append(float(part.at_s) + offset[:left] / (self.timescale * float(part.rate)))
            left -= len(rows[-1])
            if left <= 0:
                break
        return Moments(np.concatenate(rows), np.concatenate(seconds))


def _part(edit: Edit, at: Fraction, length: Fraction, timescale: int, *, is_last: bool) -> tuple[Part | None, str]:
    """Return the part that an edit shows from `at` on, and what was not followed."""
    rate, problem = Fraction(edit.rate, NORMAL_RATE), ""
    if rate < 0:
        rate, problem = Fraction(1), "an edit shows its part backwards, which was taken forwards"
    elif rate not in {0, 1}:
        problem = f"an edit shows its part at {float(rate):g} times its speed, so that its times are not those of life"
    if edit.media < EMPTY:
        problem = problem or "an edit begins before its media"
    if not rate:
        return Part(at, edit.media, edit.media, edit.media, held=True), problem
    if not edit.length:
        if not is_last:
            return None, problem or "an edit has no length"
        return Part(at, edit.media, edit.media, _FAR, rate), problem
    # Lengths are in the movie's units, which are coarser than the track's: rounded to the track's, as in FFmpeg.
    span = int(length * timescale * rate + Fraction(1, 2))
    return Part(at, edit.media, edit.media, min(edit.media + span, _FAR), rate), problem
