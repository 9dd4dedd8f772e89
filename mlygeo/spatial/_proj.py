"""PROJ on arrays, in threads; the only place that transforms coordinates with it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.arrays import in_threads

if TYPE_CHECKING:
    from mlygeo.spatial.polynomial import Array

CHUNK = 50_000
"""Coordinates that one call of PROJ gets: enough to make the call's own cost vanish."""


@lru_cache(maxsize=64)
def transformer(srid: int) -> Any:
    """Return the transformer from longitude and latitude (WGS 84) to a CRS, in its own unit."""
    from pyproj import Transformer

    # pyproj keeps one PROJ object a thread inside, so that threads may share it.
    return Transformer.from_crs(4326, srid, always_xy=True)


def error() -> type[Exception]:
    """Return the class of PROJ's errors."""
    from pyproj.exceptions import ProjError

    kind: type[Exception] = ProjError
    return kind


def transform(srid: int, first: Array, second: Array, *, inverse: bool) -> tuple[Array, Array]:
    """Return new arrays with the coordinates transformed to a CRS, or from it; NaN where PROJ has no answer."""
    shared = transformer(srid)
    first, second = np.array(first), np.array(second)
    direction = "INVERSE" if inverse else "FORWARD"

    def work(start: int, stop: int) -> None:
        part = first[start:stop], second[start:stop]
        shared.transform(*part, inplace=True, direction=direction)
        failed = ~(np.isfinite(part[0]) & np.isfinite(part[1]))
        for values in part:
            values[failed] = np.nan

    in_threads(work, len(first), CHUNK)
    return first, second
