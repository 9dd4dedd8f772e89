"""Colours of the rows of layers: the same in pictures and on interactive maps."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import FrameError

if TYPE_CHECKING:
    import pandas as pd

    from mlygeo.arrays import Bytes, Floats
    from mlygeo.plotting.layers import Layer

GREY, BLUE, VERMILION, GREEN, PURPLE = "#6b7075", "#0072b2", "#d55e00", "#009e73", "#882255"
BLACK, PALE = "#1a1a1a", "#eceef0"

KINDS = {
    "streets": GREY,
    "points": BLUE,
    "images": VERMILION,
    "selection": VERMILION,
    "views": VERMILION,
    "tracks": PURPLE,
    "sequences": GREEN,
    "coverage": BLUE,
    "gaps": VERMILION,
    "areas": PALE,
}
"""
Colour of each kind of layer: Okabe and Ito's (2008) where they stand out from white by 3 to 1, and
Tol's wine (2021).
"""

CATEGORIES = (BLUE, VERMILION, GREEN, PURPLE, BLACK, "#b87aa3")
"""Colours of categories, distinguishable with any common colour blindness; the remaining categories are grey."""

SCALE = ("#440154", "#46327e", "#375b8d", "#277f8e", "#1fa188")
"""From low to high: the darker part of viridis (van der Walt and Smith 2015), which stands out from white."""

MOST_CATEGORIES = len(CATEGORIES)

LONGEST_LABEL = 60
"""Most letters of a category in a legend."""


def encodable(text: str) -> str:
    """Return a text that can be written: halves of letters, as broken names have them, become question marks."""
    return text.encode("utf-8", "replace").decode()


def printable(text: str) -> str:
    """Return a text that can be drawn: spaces stand for what moves the pen, and question marks for no letters."""
    return "".join(letter if letter.isprintable() else " " for letter in encodable(text))


def check_colour(layers: list[Layer], colour: str | None) -> None:
    """
    Raise unless a column that gives the colours is in some layer.

    Raises
    ------
    FrameError
        If none has it.
    """
    if colour is None or (colour == "speed" and any(layer.kind == "tracks" for layer in layers)):
        return
    names = [str(name) for layer in layers for name in layer.frame.columns if name != layer.frame.geometry.name]
    if colour not in names:
        known = ", ".join(dict.fromkeys(names))[:300] or "no column but the geometry"
        raise FrameError(f"no layer has the column {colour!r}, which `colour` asks for", hint=f"they have {known}")


@dataclass(frozen=True)
class Paint:
    """
    The colour of each row of a layer.

    Parameters
    ----------
    colours
        Colours as #rrggbb.
    labels
        Label of each colour; None for a layer of one colour.
    index
        Index of the colour of each row; None where there is only one colour.
    title
        Title of the colours in the legend.
    """

    colours: tuple[str, ...]
    labels: tuple[str, ...] | None = None
    index: Bytes | None = None
    title: str = ""


def paint(layer: Layer, colour: str | None, *, with_gaps: bool = False) -> Paint:
    """
    Return the colours of a layer.

    Parameters
    ----------
    layer
        The layer.
    colour
        Name of a column that gives the colours where the layer has it; None for what suits its kind.
    with_gaps
        Whether the gaps of a coverage are drawn above it.

    Raises
    ------
    FrameError
        If the column's values cannot be shown by colour.
    """
    if colour is not None and colour in layer.frame.columns and colour != layer.frame.geometry.name:
        return _of_values(layer.frame[colour], colour)
    if layer.kind == "tracks" and colour in {None, "speed"}:
        return scaled(layer.speed_ms() * 3.6, "km/h")
    if layer.kind == "coverage" and not with_gaps:
        share = layer.frame["share_covered"].to_numpy(dtype=float)
        index = np.where(share >= 0.9995, 0, np.where(share > 0.0005, 1, 2)).astype(np.uint8)
        return Paint((BLUE, GREEN, VERMILION), ("covered", "partly covered", "not covered"), index)
    if layer.kind == "areas" and colour is None and _tells_share(layer):  # cells and districts of a coverage
        return scaled(layer.frame["share_covered"].to_numpy(dtype=float, na_value=np.nan), "share covered")
    if layer.kind == "sequences" and len(layer.frame) > 1:
        return Paint(CATEGORIES, None, (np.arange(len(layer.frame)) % len(CATEGORIES)).astype(np.uint8))
    return Paint((KINDS[layer.kind],))


def _tells_share(layer: Layer) -> bool:
    import pandas as pd

    return "share_covered" in layer.frame.columns and pd.api.types.is_numeric_dtype(layer.frame["share_covered"])


def _of_values(values: pd.Series, name: str) -> Paint:
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values):
        years = values.dt.year
        return _ordered(years, name)
    plain = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_complex_dtype(values)
    is_key = name == "id" or name.endswith("_id")  # a number in name only, of which none is more than another
    if pd.api.types.is_bool_dtype(values) or not plain or is_key:
        return _categories(values, name)
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    whole = pd.api.types.is_integer_dtype(values)
    if whole and len(np.unique(numbers[~np.isnan(numbers)])) <= len(SCALE):
        return _ordered(values, name)
    return scaled(numbers, name)


def _ordered(values: pd.Series, name: str) -> Paint:
    """Colour whole numbers such as years; neighbours share a colour where there are more numbers than colours."""
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    known = np.unique(numbers[~np.isnan(numbers)])
    groups = np.array_split(known, min(len(known), len(SCALE))) if len(known) else []
    labels = [f"{group[0]:.0f}" if len(group) == 1 else f"{group[0]:.0f} to {group[-1]:.0f}" for group in groups]
    index = np.searchsorted(np.array([group[-1] for group in groups]), numbers)
    return _with_unknown(
        SCALE[:: max(len(SCALE) // max(len(groups), 1), 1)][: len(groups)], labels, index, numbers, name
    )


def scaled(numbers: Floats, name: str) -> Paint:
    """
    Colour numbers from low to high in equal steps; the outermost hundredths share the outermost colours.

    Parameters
    ----------
    numbers
        One for each row; NaN where unknown.
    name
        Name of the numbers in the legend.
    """
    numbers = np.where(np.isfinite(numbers), np.clip(numbers, -1e300, 1e300), np.nan)  # beyond, sums are infinite
    known = numbers[np.isfinite(numbers)]
    if not len(known):
        return Paint((GREY,), ("unknown",), np.zeros(len(numbers), np.uint8), name)
    low, high = np.quantile(known, [0.01, 0.99])
    if high - low <= abs(low) * 1e-12:
        high = low + max(1.0, abs(low) * 1e-3)
    borders = np.linspace(low, high, len(SCALE) + 1)
    digits = max(0, 1 - int(np.floor(np.log10(borders[1] - borders[0]))))
    written = f",.{digits}f" if digits < 9 and max(abs(low), abs(high)) < 1e15 else ".3g"
    labels = [f"{low:{written}} to {high:{written}}" for low, high in itertools.pairwise(borders)]
    index = np.clip(np.searchsorted(borders, numbers, side="right") - 1, 0, len(SCALE) - 1)
    return _with_unknown(SCALE, labels, index, numbers, name)


def _categories(values: pd.Series, name: str) -> Paint:
    import pandas as pd

    known: Any
    try:
        number, known = pd.factorize(values)
    except TypeError:  # lists and the like
        number, known = pd.factorize(np.array([None if is_null(value) else str(value) for value in values], object))
    texts = np.array([None if is_null(value) else printable(str(value)) for value in known] + [None], dtype=object)
    words = pd.Series(texts[number], dtype=object)
    counts = words.value_counts()
    top = list(counts.index[: MOST_CATEGORIES if len(counts) <= MOST_CATEGORIES else MOST_CATEGORIES - 1])
    codes = pd.Index(top, dtype=object).get_indexer(pd.Index(words)).astype(np.int64)
    colours, labels = list(CATEGORIES[: len(top)]), [value[:LONGEST_LABEL] or "(empty)" for value in top]
    if (codes < 0).any():
        colours.append(GREY)
        labels.append("others" if len(counts) > len(top) else "unknown")
        codes[codes < 0] = len(top)
    return Paint(tuple(colours), tuple(labels), codes.astype(np.uint8), name)


def is_null(value: Any) -> bool:
    """Return whether a value is unknown; a list is never."""
    import pandas as pd

    return value is None or (not isinstance(value, list | tuple | dict | np.ndarray) and bool(pd.isna(value)))


def _with_unknown(colours: Any, labels: list[str], index: Any, numbers: Floats, name: str) -> Paint:
    unknown = ~np.isfinite(numbers)
    if unknown.any():
        index = np.where(unknown, len(labels), index)
        return Paint((*colours, GREY), (*labels, "unknown"), index.astype(np.uint8), name)
    return Paint(tuple(colours), tuple(labels), np.asarray(index).astype(np.uint8), name)
