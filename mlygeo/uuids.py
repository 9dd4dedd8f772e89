"""
UUIDs (RFC 9562) as numbers: read from texts, and written in lower case.

A UUID means the same in upper and lower case. Digits come before letters in texts as in numbers, so the numbers have
the order of the texts in lower case.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo.arrays import maybe_repeated

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    import pyarrow as pa

    from mlygeo.arrays import Bytes, Rows, Whole, Words


class Uuids(NamedTuple):
    """
    UUIDs.

    Parameters
    ----------
    high, low
        The first and the last 64 bits, uint64 of shape (n,).
    """

    high: Words
    low: Words

    def at(self, rows: Any) -> Uuids:
        """Return the UUIDs of chosen rows, which index arrays: row numbers or flags."""
        return Uuids(self.high[rows], self.low[rows])

    def ranks(self) -> tuple[Whole, Rows | None]:
        """
        Return numbers that are equal, less or greater as the UUIDs are.

        Returns
        -------
        ranks
            int64, shape (n,): the first 64 bits, where these tell the UUIDs apart.
        doubtful
            The rows of all UUIDs that stand in several rows, and of a few others; None where that was not looked for.
        """
        doubtful = maybe_repeated(self.high)
        if not _tells_apart(*self.at(doubtful)):
            order = np.lexsort((self.low, self.high))
            high, low = self.at(order)
            ranks = np.zeros(len(order), dtype=np.int64)
            ranks[order[1:]] = np.cumsum((high[1:] != high[:-1]) | (low[1:] != low[:-1]))
            return ranks, None
        return (self.high ^ np.uint64(1 << 63)).view(np.int64), doubtful

    def texts(self) -> pa.StringArray:
        """Return the UUIDs as text in lower case."""
        import pyarrow as pa

        numbers = np.stack([self.high, self.low], axis=1).astype(">u8")
        digits = np.array(bytearray(binascii.hexlify(numbers.tobytes())), dtype=np.uint8).view(_PACKED)
        letters = np.full(len(self.high) * LENGTH, ord("-"), dtype=np.uint8)
        for name in digits.dtype.names or ():
            letters.view(_DIGITS)[name] = digits[name]
        kind = pa.string() if letters.size < 2**31 else pa.large_string()
        starts = np.arange(0, letters.size + 1, LENGTH, dtype=np.int32 if kind == pa.string() else np.int64)
        return pa.Array.from_buffers(kind, len(self.high), [None, pa.py_buffer(starts), pa.py_buffer(letters)])


LENGTH = 36
"""Letters of a UUID."""

_DIGITS = np.dtype(
    {"names": ["low", "mid", "high", "clock", "node", "end"], "formats": ["u8", "u4", "u4", "u4", "u8", "u4"],
     "offsets": [0, 9, 14, 19, 24, 32], "itemsize": LENGTH}
)  # fmt: skip
"""The hexadecimal digits in the letters of a UUID, by the fields of RFC 9562; the last one is in two parts."""

_HYPHENS = np.dtype(
    {"names": ["1", "2", "3", "4"], "formats": ["u1"] * 4, "offsets": [8, 13, 18, 23], "itemsize": LENGTH}
)
"""The hyphens between them."""

_PACKED = np.dtype([(name, _DIGITS[name]) for name in _DIGITS.names or ()])
"""The hexadecimal digits without hyphens."""

_TOGETHER = 1 << 13
"""UUIDs read at once: their intermediate results stay in the cache of the processor."""


def read(parts: Iterable[tuple[npt.NDArray[Any], Bytes] | None], count: int) -> Uuids | None:
    """
    Return the UUIDs that texts stand for; None where some are none.

    Parameters
    ----------
    parts
        Where the texts of each part begin and end, shape (n + 1,), and their bytes, from the first on; None for a part
        of which some are none.
    count
        Number of texts in all parts together.
    """
    found = Uuids(np.empty(count, dtype=np.uint64), np.empty(count, dtype=np.uint64))
    digits = np.empty(_TOGETHER, dtype=_PACKED)
    row = 0
    for part in parts:
        if part is None or (np.diff(part[0]) != LENGTH).any():
            return None
        letters, hyphens = part[1].view(_DIGITS), part[1].view(_HYPHENS)
        if any((hyphens[name] != ord("-")).any() for name in hyphens.dtype.names or ()):
            return None
        for start in range(0, len(letters), _TOGETHER):
            some = letters[start : start + _TOGETHER]
            packed = digits[: len(some)]
            for name in packed.dtype.names or ():
                packed[name] = some[name]
            try:
                numbers = np.frombuffer(binascii.unhexlify(packed.view(np.uint8).data), dtype=">u8")
            except binascii.Error:  # no hexadecimal digits
                return None
            found.high[row : row + len(some)], found.low[row : row + len(some)] = numbers[::2], numbers[1::2]
            row += len(some)
    return found


def _tells_apart(high: Words, low: Words) -> bool:
    """Return whether the first 64 bits tell UUIDs apart."""
    order = np.lexsort((low, high))
    high, low = high[order], low[order]
    return not ((high[1:] == high[:-1]) & (low[1:] != low[:-1])).any()
