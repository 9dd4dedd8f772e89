"""
What both kernels of the vector-tile decoder share: the format's numbers, limits, and their results.

Source: https://github.com/mapbox/vector-tile-spec/tree/master/2.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Integers = npt.NDArray[np.int64]

PADDING = bytes(256)
"""Zeros after a layer: reading a few bytes too far then never leaves the array, and field 0 ends every run."""

LIMIT = 6_000_000
"""Most features, and most values, of a layer: two million images have about as many values."""

KEY_LIMIT = 1 << 16
"""Most keys of a layer; eight or nine are usual."""

NAME, FEATURE, KEY, VALUE, EXTENT = 1, 2, 3, 4, 5
TAGS, TYPE, GEOMETRY = 2, 3, 4
POINT, MOVE_TO = 1, 1
NOTHING, STRING, FLOAT, DOUBLE, INT, UINT, SINT, BOOL, ODD = range(9)
"""Kinds of value: the field's number in the message; `ODD` is one to be read by `odd_value`."""

DEFAULT_EXTENT = 4096

FEATURE_LIMIT = 1 << 20
"""Most bytes of a feature; an image has about forty."""

PROPERTY_LIMIT = 256
"""Most properties of a feature; seven or eight are usual."""


class Index(NamedTuple):
    """Where the parts of a layer lie: arrays of first bytes and of the bytes behind the last."""

    name: bytes
    extent: int
    keys: list[bytes]
    values: tuple[Integers, Integers]
    features: tuple[Integers, Integers]


class Features(NamedTuple):
    """The features of a layer: positions in tile units, and which value each has in each column."""

    value_of: npt.NDArray[np.int32]
    placed: npt.NDArray[np.bool_]
    px: Integers
    py: Integers
