"""
The values of a vector tile's layer as columns, compiled by Numba (`mlygeo[speed]`).

The columns of `_mvt_values`, and the same to the last bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
import numpy as np

from mlygeo.readers import _mvt_values
from mlygeo.readers._mvt_spec import DOUBLE, FLOAT, INT, STRING, UINT

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    import pyarrow as pa

    Integers = npt.NDArray[np.int64]

Function = TypeVar("Function", bound="Callable[..., Any]")

_U0, _MAX32 = np.uint64(0), np.uint64(0xFFFFFFFF)


def compiled(function: Function, *, inline: Any = "never") -> Function:
    """Compile a function at its first call, and keep the result for the next process if a folder is writable."""
    try:
        return cast("Function", numba.njit(cache=True, nogil=True, inline=inline)(function))
    except RuntimeError:  # no folder for the cache can be written to
        return cast("Function", numba.njit(nogil=True, inline=inline)(function))


class Values(_mvt_values.Values):
    """The columns of `_mvt_values.Values`, each in one walk over its rows."""

    def whole(self, at: npt.NDArray[np.int32], *, floor: bool = False) -> tuple[Integers, npt.NDArray[np.bool_]]:
        """Return whole numbers, and which are known; floating point numbers and texts take the longer way."""
        numbers, known = np.empty(len(at), dtype=np.int64), np.empty(len(at), dtype=np.bool_)
        if _whole(self._kind, self._bits, np.ascontiguousarray(at), numbers, known):
            return numbers, known
        return super().whole(at, floor=floor)

    def real(self, at: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        """Return numbers as float64, NaN where there is none or it is not finite."""
        numbers = np.empty(len(at), dtype=np.float64)
        singles = self._bits.astype(np.uint32).view(np.float32) if (self._kind == FLOAT).any() else _NO_SINGLES
        _real(self._kind, self._bits, self._bits.view(np.float64), singles, np.ascontiguousarray(at), numbers)
        return numbers

    def truth(self, at: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Return truth values: a truth value or number other than zero is true, all else false."""
        result = np.empty(len(at), dtype=np.bool_)
        _truth(self._kind, self._bits, np.ascontiguousarray(at), result)
        return result

    def text(self, at: npt.NDArray[np.int32]) -> pa.Array:
        """Return strings, null where there is none or it is empty."""
        number, which = np.full(len(self._kind), -1, dtype=np.int32), np.empty(len(at), dtype=np.int32)
        _number_texts(self._kind, self._bits, np.ascontiguousarray(at), number, which)
        return self._strings(np.flatnonzero(number >= 0), which)


_NO_SINGLES = np.empty(0, dtype=np.float32)


# Index -1, no such property, finds the last value, which is nothing.
@compiled
def _whole(kind: Any, bits: Any, at: Any, numbers: Any, known: Any) -> Any:
    """Gather integers; return False where there is a number of another kind, or a text."""
    for row in range(len(at)):
        what, number = kind[at[row]], np.int64(bits[at[row]])
        if what in (FLOAT, DOUBLE, STRING):
            return False
        known[row] = what == INT or (what == UINT and number >= 0)
        numbers[row] = number if known[row] else 0
    return True


@compiled
def _real(kind: Any, bits: Any, doubles: Any, singles: Any, at: Any, numbers: Any) -> None:  # noqa: PLR0917
    for row in range(len(at)):
        place = at[row]
        what = kind[place]
        if what == DOUBLE:
            number = doubles[place]
        elif what == FLOAT:
            number = np.float64(singles[place])
        elif what == INT:
            number = np.float64(np.int64(bits[place]))
        elif what == UINT:
            number = np.float64(bits[place])
        else:
            number = np.nan
        numbers[row] = number if np.isfinite(number) else np.nan


@compiled
def _truth(kind: Any, bits: Any, at: Any, result: Any) -> None:
    for row in range(len(at)):
        result[row] = kind[at[row]] >= FLOAT and bits[at[row]] != _U0


@compiled
def _number_texts(kind: Any, bits: Any, at: Any, number: Any, which: Any) -> None:
    """Number the texts that rows use, in their own order, and say which one each row has."""
    for row in range(len(at)):
        place = at[row]
        if kind[place] == STRING and bits[place] & _MAX32 > _U0:
            number[place] = 0
    count = 0
    for place in range(len(number)):
        if number[place] == 0:
            number[place] = count
            count += 1
    for row in range(len(at)):
        which[row] = number[at[row]]
