"""The Arrow table of the images of a tile, which every way of storing tiles ends in."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Whole = tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]
    Reals = npt.NDArray[np.float64]

log = logging.getLogger("mlygeo.providers.mapillary.layers")

PROPERTIES = (
    "id", "sequence_id", "captured_at", "compass_angle", "is_pano", "creator_id", "organization_id", "quality_score",
)  # fmt: skip
"""The properties of an image that are read; others are passed over."""

_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999, which is what calendars in Python can show."""


class Images(NamedTuple):
    """The images of a layer, as arrays; whole numbers come with a mask of which are known."""

    id: npt.NDArray[np.int64]
    sequence_id: pa.Array
    captured_at: Whole
    compass_angle: Reals
    is_pano: npt.NDArray[np.bool_]
    creator_id: Whole
    organization_id: Whole
    quality_score: Reals
    lon: Reals
    lat: Reals
    without_id: int
    without_position: int


def images_table(parts: list[Images], where: str) -> pa.Table:
    """
    Return the Arrow table of the images of some layers; `mvt.decode` tells its columns.

    Parameters
    ----------
    parts
        The layers; there may be none.
    where
        What the log calls the tile.

    Returns
    -------
    table
        With the counts of what was left out in the schema's metadata.
    """
    import pyarrow as pa

    tables = [_columns(part) for part in parts or [_no_images()]]
    table = pa.concat_tables(tables).combine_chunks() if len(tables) > 1 else tables[0]
    if np.isnan(table["quality_score"].to_numpy()).all():
        table = table.drop_columns(["quality_score"])
    without_id, without_position = sum(part.without_id for part in parts), sum(part.without_position for part in parts)
    if without_id or without_position:
        log.warning(
            "%s: %d images, left out %d without a usable id and %d without a position",
            where, table.num_rows, without_id, without_position,
        )  # fmt: skip
    else:
        log.debug("%s: %d images", where, table.num_rows)
    return table.replace_schema_metadata(
        {"images_without_id": str(without_id), "images_without_position": str(without_position)}
    )


def _columns(images: Images) -> pa.Table:
    import pyarrow as pa

    def nullable(column: Whole, to: pa.DataType) -> pa.Array:
        numbers, known = column
        return pa.array(numbers, mask=None if known.all() else ~known).cast(to)

    captured_at, known = images.captured_at
    known = known & (captured_at >= _FIRST_MS) & (captured_at <= _LAST_MS)
    angle = images.compass_angle
    outside = (angle < 0) | (angle >= 360)
    if outside.any():
        # Of a tiny negative angle the remainder is 360 itself.
        angle[outside] = np.mod(angle[outside], 360) % 360
    return pa.table(
        {
            "id": images.id,
            "sequence_id": images.sequence_id,
            "captured_at": nullable((captured_at, known), pa.timestamp("ms", tz="UTC")),
            "compass_angle": angle,
            "is_pano": images.is_pano,
            "creator_id": nullable(images.creator_id, pa.int64()),
            "organization_id": nullable(images.organization_id, pa.int64()),
            "quality_score": images.quality_score,
            "lon": images.lon,
            "lat": images.lat,
        }
    )


def _no_images() -> Images:
    import pyarrow as pa

    whole, real, truth = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64), np.empty(0, dtype=np.bool_)
    return Images(
        whole,
        pa.array([], pa.string()),
        (whole, truth),
        real,
        truth,
        (whole, truth),
        (whole, truth),
        real,
        real,
        real,
        0,
        0,
    )
