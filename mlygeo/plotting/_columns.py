"""Columns of a frame as text that a web page unpacks: planes of bytes, differences where neighbours are alike."""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

TYPES: dict[str, Any] = {
    "u1": np.uint8,
    "u2": np.uint16,
    "u4": np.uint32,
    "i4": np.int32,
    "f4": np.float32,
    "i8": np.int64,
}

UNKNOWN = np.iinfo(np.int64).min

LEVEL = 6
"""Of zlib; the highest takes four times as long for two hundredths less."""

LONGEST = 500
"""Letters of a text that a popup shows."""

WORLD = 2.0**32
"""Width and height of the Web Mercator world."""


class Packer:
    """Collects columns, and gives their bytes; what each method returns is how the page finds its column again."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, values: npt.NDArray[Any], kind: str, *, differences: bool = False) -> list[Any]:
        """
        Add a column.

        Parameters
        ----------
        values
            Numbers, in the type of that kind.
        kind
            One of `TYPES`.
        differences
            Store differences from the row before, which are small where neighbours are alike.
        """
        values = np.ascontiguousarray(values, dtype=TYPES[kind])
        if differences and len(values):
            values = np.concatenate((values[:1], np.diff(values)))
        planes = values.view(np.uint8).reshape(len(values), values.itemsize).T
        at, self._size = self._size, self._size + planes.size
        self._parts.append(planes.tobytes())
        return [at, len(values), kind, int(differences)]

    def text(self) -> str:
        """Return everything added, as text."""
        packer = zlib.compressobj(LEVEL)
        return base64.b64encode(b"".join([*(packer.compress(part) for part in self._parts), packer.flush()])).decode()


def world(lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]) -> tuple[Any, Any]:
    """Return Web Mercator positions as whole numbers (uint32); latitudes beyond 85° stand at the edge."""
    x = np.mod(np.rint((lon + 180.0) / 360.0 * WORLD), WORLD)
    sine = np.sin(np.radians(np.clip(lat, -85.0511, 85.0511)))
    y = np.rint((0.5 - np.arctanh(sine) / (2 * np.pi)) * WORLD)
    return x.astype(np.uint32), np.clip(y, 0, WORLD - 1).astype(np.uint32)


def near_each_other(x: npt.NDArray[np.uint32], y: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """Return an order in which neighbours follow each other: Morton's curve."""

    def spread(values: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
        bits = values.astype(np.uint64)
        for shift, mask in ((16, 0x0000FFFF0000FFFF), (8, 0x00FF00FF00FF00FF), (4, 0x0F0F0F0F0F0F0F0F),
                            (2, 0x3333333333333333), (1, 0x5555555555555555)):  # fmt: skip
            bits = (bits | (bits << np.uint64(shift))) & np.uint64(mask)
        return bits

    return np.argsort(spread(x) | (spread(y) << np.uint64(1)), kind="stable").astype(np.int64)


def field(packer: Packer, name: str, values: pd.Series) -> dict[str, Any] | None:
    """
    Add a column that popups show.

    Parameters
    ----------
    packer
        Where to.
    name
        Its name.
    values
        Its values.

    Returns
    -------
    field
        What the page needs to show it; None for a column that is all null.
    """
    import pandas as pd

    if values.isna().all():
        return None
    found: dict[str, Any] = {"title": name.replace("_", " ")}
    if pd.api.types.is_datetime64_any_dtype(values):
        plain = values.dt.tz_convert(None) if values.dt.tz is not None else values
        seconds = plain.to_numpy(dtype="datetime64[s]").astype("int64")
        # 0 is "unknown"; the seconds of an unsigned number reach from 1970 to 2106.
        seconds = np.where((seconds > 0) & (seconds < 2**32), seconds, 0)
        return {**found, "kind": "time", "at": packer.add(seconds, "u4")}
    if pd.api.types.is_bool_dtype(values):
        truth = values.astype("boolean").to_numpy(dtype=float, na_value=2.0)
        return {**found, "kind": "truth", "at": packer.add(truth, "u1")}
    if pd.api.types.is_integer_dtype(values):
        whole = values.astype("Int64").to_numpy(dtype="int64", na_value=UNKNOWN)
        return {**found, "kind": "whole", "at": packer.add(whole, "i8")}
    if pd.api.types.is_float_dtype(values):
        return {**found, "kind": "number", "at": packer.add(values.to_numpy(dtype=float, na_value=np.nan), "f4")}
    words = values.map(lambda value: None if _is_null(value) else str(value)[:LONGEST])
    codes, known = pd.factorize(words)
    kind = next(kind for kind in ("u1", "u2", "u4") if len(known) < np.iinfo(TYPES[kind]).max)
    codes = np.where(codes < 0, np.iinfo(TYPES[kind]).max, codes)
    return {**found, "kind": "text", "at": packer.add(codes, kind), "words": [str(word) for word in known]}


def _is_null(value: Any) -> bool:
    import pandas as pd

    return value is None or (not isinstance(value, list | tuple | dict | np.ndarray) and bool(pd.isna(value)))
