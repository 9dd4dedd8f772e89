"""How much of the whole progress of an upload one file is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlygeo.progress import Bar

MB = 1_000_000
"""Bytes in the unit of the bar."""


class Share:
    """
    The share of one file in a bar of megabytes.

    Parameters
    ----------
    bar
        The bar.
    size
        Bytes of the file.
    """

    def __init__(self, bar: Bar, size: int) -> None:
        self._bar, self._size, self._at = bar, size, 0

    def at(self, position: int) -> None:
        """Note that so many bytes are up; a position before the furthest one is nothing new."""
        position = min(position, self._size)
        if position > self._at:
            self._bar.advance((position - self._at) / MB, position - self._at)
            self._at = position

    def skip(self) -> None:
        """Note that the rest need not go up."""
        self._bar.advance((self._size - self._at) / MB)
        self._at = self._size
