"""Rows on disk on their way from one step to the next, by bucket; nothing of them is left when the process ends."""

from __future__ import annotations

import struct
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mlygeo.errors import FileError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import numpy.typing as npt

    from mlygeo.arrays import Whole


_EXTENT = struct.Struct("=qq")
"""Before the rows of an extent: where the one before it in the bucket is, and how many rows that has."""


class Spilled:
    """
    Rows of one dtype in buckets, in a file without a name, which the system removes even when the process is killed.

    What is held in memory does not grow with the rows: each extent on disk tells where the one before it in its bucket
    is.

    Parameters
    ----------
    dtype
        The dtype of a row.
    folder
        Where the file lies; by default in the system's folder for temporary files (`TMPDIR`).

    Examples
    --------
    >>> with Spilled(np.int64) as rows:
    ...     rows.add(numbers % 7, numbers)
    ...     rows.take(3)
    """

    def __init__(self, dtype: npt.DTypeLike, folder: str | os.PathLike[str] | None = None) -> None:
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self._last: dict[int, tuple[int, int]] = {}
        self._rows: dict[int, int] = {}
        self._end = 0
        with _said():
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115

    def put(self, bucket: int, rows: npt.NDArray[Any]) -> None:
        """Append rows to one bucket."""
        rows = np.ascontiguousarray(rows, dtype=self.dtype)
        if not len(rows):
            return
        with _said():
            self._file.seek(self._end)
            for part in (_EXTENT.pack(*self._last.get(bucket, (0, 0))), rows.view(np.uint8).data):
                view = memoryview(part).cast("B")
                while len(view):
                    view = view[self._file.write(view) :]
        self._last[bucket] = self._end, len(rows)
        self._rows[bucket] = self.rows(bucket) + len(rows)
        self._end += _EXTENT.size + rows.nbytes

    def add(self, bucket: npt.NDArray[Any], rows: npt.NDArray[Any]) -> None:
        """Append each row to its bucket; those of a bucket stay in their order."""
        if not len(rows):
            return
        order = np.argsort(bucket, kind="stable")
        numbers, first = np.unique(bucket[order], return_index=True)
        rows = rows[order]
        for number, start, stop in zip(numbers.tolist(), first.tolist(), [*first[1:].tolist(), len(rows)], strict=True):
            self.put(number, rows[start:stop])

    def rows(self, bucket: int) -> int:
        """Return how many rows a bucket has."""
        return self._rows.get(bucket, 0)

    def take(self, bucket: int) -> npt.NDArray[Any]:
        """Return the rows of a bucket, in the order in which they were added."""
        found = np.empty(self.rows(bucket), dtype=self.dtype)
        if not len(found):
            return found
        view, head = memoryview(found.view(np.uint8).data).cast("B"), bytearray(_EXTENT.size)
        place, count = self._last[bucket]
        stop = found.nbytes
        with _said():
            while stop:
                start = stop - count * self.dtype.itemsize
                self._file.seek(place)
                self._fill(memoryview(head))
                self._fill(view[start:stop])
                place, count = _EXTENT.unpack(head)
                stop = start
        return found

    def _fill(self, view: memoryview) -> None:
        while len(view):
            view = view[self._file.readinto(view) :]

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def bounds(sample: Whole, buckets: int) -> Whole:
    """Return the numbers at which buckets of about equal size begin, from a sample of what goes into them."""
    ordered = np.sort(sample)
    return np.unique(ordered[np.arange(1, buckets) * len(ordered) // max(buckets, 1)]) if len(ordered) else ordered


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(
            f"rows cannot be kept on disk on the way: {error.strerror or error}",
            hint="free some disk, or set TMPDIR to a folder on a larger one",
        ) from error
