"""Which values of images can be none: headings beyond a turn, altitudes of no place, times before there were such."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd
    import pyarrow as pa

    from mlygeo.arrays import Flags

DAY_S = 86_400

LOWEST_M, HIGHEST_M = -11_000, 100_000
"""The deepest sea, and where the air ends: altitudes beyond, as -32768, stand for none."""


@dataclass(frozen=True)
class Range:
    """
    The values that a column can have.

    Parameters
    ----------
    low, high
        The least and the largest, both included; infinite ones are never among them.
    said
        What a value beyond them is, for messages.
    """

    low: float
    high: float
    said: str

    def beyond(self, values: Any) -> Flags:
        """Return which numbers are beyond; NaN is not known, and not beyond."""
        values = np.asarray(values, dtype=np.float64)
        found: Flags = (values < self.low) | (values > self.high) | np.isinf(values)
        return found


HEADING = Range(0, 360, "not within 0 to 360 degrees")

ALTITUDE = Range(LOWEST_M, HIGHEST_M, f"not within {LOWEST_M:,} to {HIGHEST_M:,} m")

RANGES = {
    "compass_angle": HEADING,
    "computed_compass_angle": HEADING,
    "altitude": ALTITUDE,
    "computed_altitude": ALTITUDE,
    "gps_accuracy_m": Range(0, np.inf, "below 0 or infinite"),
    "quality_score": Range(0, 1, "not within 0 to 1"),
    "width": Range(1, np.inf, "below 1 pixel"),
    "height": Range(1, np.inf, "below 1 pixel"),
}
"""The columns of numbers, by their names in images frames."""

TIME = "captured_at"

TIMES = f"rows whose {TIME} is before 1970", f"rows whose {TIME} is in the future"
"""What times can be that no image has."""


def counts_of(names: Iterable[str], seconds: Callable[[str], Any], numbers: Callable[[str], Any]) -> dict[str, int]:
    """
    Return how many values of images can be none, by what they are.

    Parameters
    ----------
    names
        The columns that are there.
    seconds
        Returns the times of a column in seconds since 1970, or None where it has none.
    numbers
        Returns the numbers of a column, NaN where there is none, or None where it has other values.
    """
    found: dict[str, int] = {}
    for name in dict.fromkeys(names):
        if name in RANGES and (values := numbers(name)) is not None:
            found[f"rows whose {name} is {RANGES[name].said}"] = int(np.count_nonzero(RANGES[name].beyond(values)))
        elif name == TIME and (values := seconds(name)) is not None:
            found |= {reason: int(np.count_nonzero(flags)) for reason, flags in beyond_times(values).items()}
    return {reason: count for reason, count in found.items() if count}


def beyond_times(seconds: Any) -> dict[str, Flags]:
    """Return which times of captures, in seconds since 1970, can be none, by reason; NaN is not known, and can be."""
    values = np.asarray(seconds, dtype=np.float64)
    return dict(zip(TIMES, (values < 0, values > time.time() + DAY_S), strict=True))


def of_frame(frame: pd.DataFrame) -> dict[str, int]:
    """Return `counts_of` of a frame."""
    import pandas as pd

    def seconds(name: str) -> Any:
        times = frame[name]
        if not pd.api.types.is_datetime64_any_dtype(times.dtype):
            return None
        known = times.dropna().to_numpy(dtype="datetime64[ms]")
        return known.astype(np.int64) / 1000

    def numbers(name: str) -> Any:
        values = frame[name]
        is_number = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
        return values.to_numpy(dtype=np.float64, na_value=np.nan) if is_number else None

    return counts_of(frame.columns, seconds, numbers)


def of_table(table: pa.Table) -> dict[str, int]:
    """Return `counts_of` of an Arrow table."""
    import pyarrow as pa

    def seconds(name: str) -> Any:
        if not pa.types.is_timestamp(table[name].type):
            return None
        known = table[name].drop_null().cast(pa.timestamp("ms", tz=table[name].type.tz), safe=False)
        return known.cast(pa.int64()).to_numpy() / 1000

    def numbers(name: str) -> Any:
        kind = table[name].type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            return None
        return np.asarray(table[name].to_numpy(), dtype=np.float64)

    return counts_of(table.column_names, seconds, numbers)


def added(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Return the counts of a whole by those of its parts, in one order."""
    found: dict[str, int] = {}
    for part in parts:
        for reason, count in part.items():
            found[reason] = found.get(reason, 0) + count
    return dict(sorted(found.items()))
