"""What a camera's clock got wrong, from the capture times of its images and the time of a track."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlygeo.spatial.ordering import Flags, Rows

HOUR_S, DAY_S = 3600, 86_400
ZONES_S = 14 * HOUR_S
"""No time zone is further from UTC: Kiribati, UTC+14."""

GPS_EPOCH_S = 1024 * 7 * DAY_S
"""Weeks of GPS are counted modulo 1024; receivers that forget it are off by that."""

MANY = 0.5
"""A wrong clock is worth naming if at least this share of the images lies outside the track."""

FITTING = 0.9
"""And if this share of them lies on the track once the clock is put right."""


class Slip(NamedTuple):
    """How far a clock is ahead, seconds, what that looks like, and whether other hours fit as well."""

    ahead_s: float
    cause: str
    others: int

    def text(self, offset_time: float) -> str:
        """Return the explanation, and the `--offset-time` that puts it right."""
        side = "ahead" if self.ahead_s > 0 else "behind"
        also = f"; {self.others} other whole hours fit too" if self.others else ""
        total = offset_time + self.ahead_s
        return (
            f"the camera's clock seems to be {duration(abs(self.ahead_s))} {side} ({self.cause}{also}):"
            f" try --offset-time {total:.10g}"
        )


def find_slip(times_us: Rows, inside: Callable[[Rows], Flags], outside: Flags) -> Slip | None:
    """
    Return the likely error of a clock, if many images lie outside a track by one and the same.

    Parameters
    ----------
    times_us
        Capture times, microseconds since 1970.
    inside
        Tells of times whether they lie on the track.
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


def _around(step: int, most: int) -> list[int]:
    """Return multiples of a step, the nearest to 0 first, ahead before behind, without 0."""
    return [sign * number * step for number in range(1, most // step + 1) for sign in (1, -1)]
