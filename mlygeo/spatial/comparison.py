"""Two times, or two sources, of images compared street by street: what is covered by both, gained, and lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlygeo.spatial.pieces import Axis, micrometres

if TYPE_CHECKING:
    import pandas as pd

    from mlygeo.arrays import Flags, Floats, Whole
    from mlygeo.spatial.reach import Stretches


@dataclass(frozen=True)
class Side:
    """
    One of two sets of images.

    Parameters
    ----------
    text
        What a user calls it.
    provider
        Whose images; None for all.
    start_ms, end_ms
        Captured from the one to just before the other, milliseconds since 1970, UTC; None for no limit.
    lonlat
        Longitude and latitude, degrees, of a side with images of its own; None for one whose images are some of all.
    """

    text: str
    provider: str | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    lonlat: tuple[Floats, Floats] | None = field(default=None, compare=False, repr=False)

    def has(self, time_ms: Whole, provider: pd.Series | None) -> Flags:
        """
        Return which images are on this side; those of an unknown time, or provider, are not.

        Parameters
        ----------
        time_ms
            Capture times, the least int64 where unknown.
        provider
            Their providers; None where nobody asks.
        """
        found = np.ones(len(time_ms), dtype=bool)
        if self.start_ms is not None or self.end_ms is not None:
            found &= time_ms != np.iinfo(np.int64).min
        if self.start_ms is not None:
            found &= time_ms >= self.start_ms
        if self.end_ms is not None:
            found &= time_ms < self.end_ms
        if self.provider is not None and provider is not None:
            found &= provider.eq(self.provider).to_numpy(dtype=bool, na_value=False)
        return found


class Compared(NamedTuple):
    """Of each street, whole micrometres: what the first and the second side cover, and what both do."""

    first: Whole
    second: Whole
    both: Whole


def compare(length: Floats, first: Stretches, second: Stretches) -> Compared:
    """
    Compare what two sides cover.

    Parameters
    ----------
    length
        Lengths of the streets, metres.
    first, second
        The parts of streets that each covers.
    """
    axis = Axis(length, first)
    start, stop = micrometres(second.start), micrometres(second.stop)
    found = []
    for line, covered in (
        (first.line, micrometres(first.stop) - micrometres(first.start)),
        (second.line, stop - start),
        (second.line, axis.within(second.line, start, stop)),
    ):
        total = np.zeros(len(length), dtype=np.int64)
        np.add.at(total, line, covered)
        found.append(total)
    return Compared(*found)


def columns(compared: Compared) -> dict[str, Floats]:
    """
    Return the columns of a comparison, metres.

    Returns
    -------
    columns
        `first_m` and `second_m` (covered by each side), `both_m`, `gained_m` (by the second, not by the first) and
        `lost_m` (by the first, not by the second).
    """
    first, second, both = compared
    whole = {"first_m": first, "second_m": second, "both_m": both, "gained_m": second - both, "lost_m": first - both}
    return {name: metres / 1e6 for name, metres in whole.items()}
