"""Columns of frames as bytes that a page of a map unpacks, and what their values are, for its words."""

from __future__ import annotations

import base64
import re
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.plotting import style

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

TYPES: dict[str, Any] = {
    "u1": np.uint8,
    "u2": np.uint16,
    "u4": np.uint32,
    "i4": np.int32,
    "f4": np.float32,
    "f8": np.float64,
    "i8": np.int64,
}

UNKNOWN = np.iinfo(np.int64).min

PRECISE = 100_000.0
"""Numbers from here on are kept in eight bytes."""

LEVEL = 6
"""Compression level of zlib; the highest takes four times as long and saves two percent."""

LONGEST = 500
"""Most letters of a text in a popup."""


def field(packer: Packer, name: str, values: pd.Series, *, longest: int = LONGEST) -> dict[str, Any] | None:
    """
    Add a column that popups show.

    Parameters
    ----------
    packer
        The packer that the column is added to.
    name
        Its name.
    values
        Its values.
    longest
        Most letters of a text.

    Returns
    -------
    field
        Description of the column for the page; None for a column that is all null.
    """
    import pandas as pd

    if values.isna().all():
        return None
    found: dict[str, Any] = {"title": name.replace("_", " ")}
    if pd.api.types.is_datetime64_any_dtype(values):
        plain = values.dt.tz_convert(None) if values.dt.tz is not None else values
        seconds = plain.to_numpy(dtype="datetime64[s]").astype("int64")
        # 0 is "unknown"; other times than the seconds of an unsigned number, from 1970 to 2106, are text.
        shown = (seconds > 0) & (seconds < 2**32)
        if shown[values.notna().to_numpy()].all():
            return {**found, "kind": "time", "at": packer.add(np.where(shown, seconds, 0), "u4")}
    elif pd.api.types.is_bool_dtype(values):
        truth = values.astype("boolean").to_numpy(dtype=float, na_value=2.0)
        return {**found, "kind": "truth", "at": packer.add(truth, "u1")}
    elif pd.api.types.is_integer_dtype(values):
        if pd.api.types.is_signed_integer_dtype(values) or values.max() < 2**63:
            whole = values.astype("Int64").to_numpy(dtype="int64", na_value=UNKNOWN)
            if not ((whole == UNKNOWN) & values.notna().to_numpy()).any():
                return {**found, "kind": "whole", "at": packer.add(whole, "i8")}
    elif pd.api.types.is_float_dtype(values):
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
        # Four bytes hold seven digits, which suits degrees and metres of a city, and not coordinates in metres.
        kind = "f4" if np.nanmax(np.abs(numbers)) < PRECISE else "f8"
        return {**found, "kind": "number", "at": packer.add(numbers, kind)}
    if (packed := _uuids(values)) is not None:
        return {**found, "kind": "uuid", "at": packer.add(packed, "u1")}
    words = pd.Series([None if style.is_null(value) else str(value)[:longest] for value in values], dtype=object)
    codes, known = pd.factorize(words)
    kind = next(kind for kind in ("u1", "u2", "u4") if len(known) < np.iinfo(TYPES[kind]).max)
    codes = np.where(codes < 0, np.iinfo(TYPES[kind]).max, codes)
    return {**found, "kind": "text", "at": packer.add(codes, kind), "words": [style.encodable(word) for word in known]}


def _uuids(values: pd.Series) -> npt.NDArray[np.uint8] | None:
    """Return the bytes of UUIDs in lower case, 16 a row, zeros for null; None where a value is anything else."""
    plain = values.dropna()
    if not len(plain) or not all(isinstance(value, str) and _UUID.fullmatch(value) for value in plain):
        return None
    packed = bytes.fromhex("".join([value if isinstance(value, str) else _NIL for value in values]).replace("-", ""))
    return np.frombuffer(packed, dtype=np.uint8)


_NIL = "0" * 32

_UUID = re.compile(f"(?!{_NIL[:8]}-0000-0000)[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}")
"""UUIDs whose 16 bytes stand for them; the one of zeros means null."""


# Columns as text that the page unpacks: planes of bytes, and differences where neighbours are similar.


class Packer:
    """Collects columns, and returns their bytes; each method returns the position of its column for the page."""

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
            Store differences from the row before, which are small where neighbours are similar.
        """
        values = np.ascontiguousarray(values, dtype=TYPES[kind])
        if differences and len(values):
            values = np.concatenate((values[:1], np.diff(values)))
        planes = values.view(np.uint8).reshape(len(values), values.itemsize).T
        at, self._size = self._size, self._size + planes.size
        self._parts.append(planes.tobytes())
        return [at, len(values), kind, int(differences)]

    def text(self) -> str:
        """Return all added columns as text."""
        packer = zlib.compressobj(LEVEL)
        return base64.b64encode(b"".join([*(packer.compress(part) for part in self._parts), packer.flush()])).decode()
