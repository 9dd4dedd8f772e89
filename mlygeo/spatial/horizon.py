"""Where the horizon lies in pictures, by how their cameras stood: its slope, and its height in the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlygeo.spatial import lenses
from mlygeo.spatial.views import Facing

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.arrays import Floats


def horizon(images: gpd.GeoDataFrame) -> tuple[Floats, Floats]:
    """
    Return where the horizon of level ground lies in pictures that are shown upright.

    It follows from the tilt of the camera alone: `computed_rotation`, else `pitch` and `roll`. Hills, buildings and the
    picture itself are not considered.

    Parameters
    ----------
    images
        Images frame; of the columns that tell tilt, lens and size those that it has.

    Returns
    -------
    slope
        Degrees, within ±180, by which the horizon rises to the right: by how much the camera leans to the right.
        Float64 of shape (n,); NaN where the tilt is unknown.
    height
        Where it crosses the middle column: share of the picture's height from the top, below 0 or above 1 where it lies
        outside. NaN also where the lens or the size of a flat picture is unknown, and where the lens does not see it.
    """
    facing = Facing.of(images)
    rows = np.arange(len(images))
    right, down, ahead = np.moveaxis(facing.matrices(rows)[:, :, 2], -1, 0)  # straight up, in the axes of the camera
    found, size = lenses.lenses_of(images), lenses.sizes_of(images)
    with np.errstate(divide="ignore", invalid="ignore"):
        level = np.stack([np.zeros(len(rows)), -ahead / down, np.ones(len(rows))], axis=-1)
        _, place = lenses.project(level, found.kind == lenses.FISHEYE, found.focal, found.k1, found.k2)
        flat = 0.5 + place * size.max(axis=1) / size[:, 1]
        round_ = 0.5 + np.degrees(np.arctan(level[:, 1])) / 180.0
    height = np.where(found.kind == lenses.SPHERICAL, round_, flat)
    known = np.isfinite(facing.roll) & np.isfinite(facing.pitch)
    with np.errstate(invalid="ignore"):
        usual = (np.abs(facing.roll) <= 180.0) & (np.abs(facing.pitch) <= 90.0)
    slope = np.where(usual, facing.roll, np.degrees(np.arctan2(-right, -down)))  # 350 degrees are -10
    return np.where(known, slope, np.nan), np.where(known, height, np.nan)
