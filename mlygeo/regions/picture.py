"""A region in a few words, and as a small picture for notebooks."""

from __future__ import annotations

import html as escaping
import math
from typing import TYPE_CHECKING

import numpy as np

from mlygeo.spatial import areas

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from mlygeo.arrays import Bounds, Floats

SIDE = 160
"""Width and height of the picture, pixels."""

MOST_RINGS = 60
"""Rings in the picture; the smallest ones would be dots."""


def bounds_text(bounds: Bounds) -> str:
    """Return bounds in words, such as "9.16, 48.76, 9.18, 48.78"."""
    return ", ".join(f"{side:.6g}" for side in bounds)


def square_km(area_m2: float) -> str:
    """Return an area in words, such as "1.92 km²"."""
    km2 = area_m2 / 1e6
    return f"{km2:,.0f} km²" if km2 >= 100 else f"{km2:.3g} km²"


def svg(geometry: BaseGeometry, bounds: Bounds) -> str:
    """Return the outline of a region as a picture of at most some kilobytes; north is up."""
    import shapely

    west, south, east, north = bounds
    flat = max(math.cos(math.radians((south + north) / 2)), 0.05)
    wide, high = areas.width(bounds) * flat, north - south
    scale = (SIDE - 4) / max(wide, high)

    def drawn(lonlat: Floats) -> Floats:
        east_of = lonlat[:, 0] - west
        if west > east:
            east_of = np.where(lonlat[:, 0] < west, east_of + 360, east_of)
        return np.column_stack([2 + east_of * flat * scale, 2 + (north - lonlat[:, 1]) * scale])

    rings = shapely.get_rings(shapely.simplify(shapely.transform(geometry, drawn), 0.5, preserve_topology=False))
    if not len(rings):  # smaller than a pixel here and there
        rings = shapely.get_rings(shapely.envelope(shapely.transform(geometry, drawn)))
    largest = np.argsort(-shapely.length(rings), kind="stable")[:MOST_RINGS]
    path = "".join(
        f"M{' '.join(f'{x:.0f},{y:.0f}' for x, y in shapely.get_coordinates(ring))}Z" for ring in rings[largest]
    )
    size = f'width="{wide * scale + 4:.0f}" height="{high * scale + 4:.0f}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}><path d="{path}" fill="#05cb63" fill-opacity="0.3" '
        f'fill-rule="evenodd" stroke="#05cb63"/></svg>'
    )


def html(geometry: BaseGeometry, bounds: Bounds, name: str, area_m2: float) -> str:
    """Return a region as a small piece of HTML."""
    words = f"{bounds_text(bounds)}<br>{square_km(area_m2)}"
    return f"<div>{svg(geometry, bounds)}<br><b>{escaping.escape(name)}</b><br>{words}</div>"
