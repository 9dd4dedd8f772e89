"""Points some at a time, of files by their row groups, so that not all have to be held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.store.point_sources import FramePoints, PointFile
from mlygeo.store.points import SomeOf
from mlygeo.store.united import United

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa
    from pyproj import CRS

    from mlygeo.arrays import Floats, Rows
    from mlygeo.store.point_sources import Points

ROWS_AT_ONCE = 500_000
"""Rows of a piece; a row group is not cut, and may have more."""


def pieces(points: Points, most: int | None = None) -> Iterator[Points]:
    """
    Yield points some at a time, in their order.

    Parameters
    ----------
    points
        Points as `mlygeo.store.points.open_points` opens them.
    most
        About as many rows a piece has; None for `ROWS_AT_ONCE`.

    Returns
    -------
    pieces
        Each has the columns and types that all have, and forgets its coordinates with itself.
    """
    most = ROWS_AT_ONCE if most is None else most
    if isinstance(points, PointFile):
        yield from points.pieces(most)
    elif isinstance(points, United):
        for number, member in enumerate(points.members):
            for piece in pieces(member, most):
                yield _OfSeveral(piece, points, number)
    elif isinstance(points, FramePoints):
        for start in range(0, len(points), most):
            yield FramePoints(points.frame.iloc[start : start + most], points.name)
    else:
        for start in range(0, len(points), most):
            yield SomeOf(points, np.arange(start, min(start + most, len(points))))


@dataclass(frozen=True)
class _OfSeveral:
    """Some points of one of several files, in the types of all."""

    own: Points
    whole: United
    number: int

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.whole.name

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.own)

    @property
    def columns(self) -> list[str]:
        """Names of the attributes."""
        return self.whole.columns

    @property
    def attrs(self) -> dict[str, Any]:
        """Attribution and the like, of all."""
        return self.whole.attrs

    @property
    def lonlat(self) -> tuple[Floats, Floats]:
        """Longitude and latitude, degrees; NaN where there is no point."""
        return self.own.lonlat

    @property
    def native(self) -> tuple[Floats, Floats, CRS]:
        """The coordinates as they came, and their CRS; longitude and latitude where the files have several."""
        crs = self.whole.crs
        x, y, own = self.own.native
        return (x, y, own) if own == crs else (*self.own.lonlat, crs)

    def arrow(self, name: str) -> pa.ChunkedArray:
        """Return an attribute of all rows."""
        values = self.own.arrow(name) if name in self.own.columns else None
        return self.whole.as_here(values, self.number, name, len(self))

    def parts(self, name: str) -> Iterator[pa.Array]:
        """Yield an attribute of all rows, part after part."""
        yield from self.arrow(name).chunks

    def take(self, rows: Rows, columns: Iterable[str] | None = None) -> pa.Table:
        """Return attributes of chosen rows."""
        import pyarrow as pa

        names = self.columns if columns is None else [name for name in columns if name in self.columns]
        own = self.own.take(rows, [name for name in names if name in self.own.columns])
        columns_of = {name: own[name] if name in own.column_names else None for name in names}
        return pa.table(
            {name: self.whole.as_here(each, self.number, name, len(rows)) for name, each in columns_of.items()}
        )
