"""Numbers that stand in several rows, found with a table of bits; compiled with Numba."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.arrays import GOLDEN, workers
from mlygeo.compiled import Library
from mlygeo.kernels import given

if TYPE_CHECKING:
    from mlygeo.arrays import Rows, Words

CODE = Library(__file__)

MOST_BITS, BITS_A_NUMBER = 28, 5
"""Bits of the place of a number in the table (32 MB), and how many more than those of the count of numbers."""

FEW = 1 << 20
"""Up to so many numbers, one thread is as fast as two."""


@CODE.function("u8[:]", "u8", "i8", "i8", "i8", "u1[:]", "u1[:]")
def _meet(  # noqa: PLR0917 - compiled code takes arrays one by one
    numbers: Any, golden: Any, bits: int, first: int, last: int, table: Any, met: Any
) -> None:
    """Note in `table` the places from first to last that a number has, and in `met` those that another one has."""
    for row in range(len(numbers)):
        place = np.int64((numbers[row] * golden) >> np.uint64(64 - bits))
        if place >= first and place < last:
            bit = np.uint8(1) << np.uint8(place & 7)
            if table[place >> 3] & bit:
                met[place >> 3] |= bit
            else:
                table[place >> 3] |= bit


@CODE.function("u8[:]", "u8", "i8", "u1[:]", "i8[:]", returns="i8")
def _those_that_met(numbers: Any, golden: Any, bits: int, met: Any, rows: Any) -> int:
    count = 0
    for row in range(len(numbers)):
        place = np.int64((numbers[row] * golden) >> np.uint64(64 - bits))
        if met[place >> 3] & (np.uint8(1) << np.uint8(place & 7)):
            rows[count] = row
            count += 1
    return count


def maybe_repeated(numbers: Words) -> Rows:
    """Return the rows of all numbers that stand in several rows, and of a few others."""
    bits = min(len(numbers).bit_length() + BITS_A_NUMBER, MOST_BITS)
    size, golden = 1 << bits, np.uint64(GOLDEN)
    numbers = given(numbers)
    table, met = np.zeros(size >> 3, dtype=np.uint8), np.zeros(size >> 3, dtype=np.uint8)
    # Each thread looks at all numbers, and has its own part of the table.
    threads = min(workers(), 2) if len(numbers) > FEW else 1
    ends = [size * number // threads for number in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda part: _meet(numbers, golden, bits, *part, table, met), itertools.pairwise(ends)):
            pass
    if not met.any():
        return np.empty(0, dtype=np.int64)
    rows = np.empty(len(numbers), dtype=np.int64)
    return rows[: _those_that_met(numbers, golden, bits, met, rows)].copy()
