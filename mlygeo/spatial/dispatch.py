"""Sequences and duplicates as a Panoramax server makes them of what is uploaded to it."""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING

import numpy as np
import shapely

from mlygeo import frames
from mlygeo.degrees import angle_between, short_way
from mlygeo.errors import InputError
from mlygeo.progress import working
from mlygeo.spatial import ordering
from mlygeo.spatial.duplicates import marked
from mlygeo.spatial.sequences import named

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.arrays import Flags, Floats, Rows
    from mlygeo.spatial.ordering import Order

LOG = logging.getLogger("mlygeo.spatial.dispatch")

EARTH_RADIUS_M = 6_371_000.0
"""Radius of the sphere on which the server measures (geopic_tag_reader 1.10, sequence.py)."""

SPLIT_DISTANCE_M, SPLIT_TIME_S = 100.0, 300.0
"""Gaps inside a sequence, by default of geovisio 2.15."""

DUPLICATE_DISTANCE_M, DUPLICATE_ANGLE = 1.0, 60.0
"""Limits of duplicates, by default of geovisio 2.15."""


@working("cutting sequences")
def dispatch_images(
    images: gpd.GeoDataFrame,
    *,
    cutoff_distance: float = SPLIT_DISTANCE_M,
    cutoff_time: float = SPLIT_TIME_S,
    duplicate_distance: float = DUPLICATE_DISTANCE_M,
    duplicate_angle: float = DUPLICATE_ANGLE,
) -> gpd.GeoDataFrame:
    """
    Cut images into sequences and flag duplicates, as a Panoramax server does with an upload set a folder.

    Images of a folder are sorted by time (ties by file name), whatever camera took them. A new sequence starts
    where the next image is farther away than `cutoff_distance`, or later than `cutoff_time`. In each
    sequence, an image is a duplicate of an earlier one that is kept, be it the neighbour or any other, if it is at
    most `duplicate_distance` away and its heading, in whole degrees, differs by at most `duplicate_angle`; if
    either has no heading, the distance decides alone. Headings of panoramas count too. Distances are those on a sphere
    (haversine). Nothing is dropped.

    Parameters
    ----------
    images
        Images frame, EPSG:4326, with `captured_at` and `compass_angle`: headings of the photos, not derived ones.
    cutoff_distance, cutoff_time
        Largest gap inside a sequence, metres and seconds.
    duplicate_distance, duplicate_angle
        Largest distance of a duplicate, metres, and largest difference of headings, degrees, the shorter way round.

    Returns
    -------
    images
        The same rows with `sequence_id` (str; null without a time or a position, and with an `error`), and
        `is_duplicate` (bool) and `duplicate_of` as from `flag_duplicates`.

    Raises
    ------
    FrameError
        If a column is missing or has another dtype.
    InputError
        If a limit is negative or not a number.

    Notes
    -----
    The rules are those of geopic_tag_reader 1.10 (sequence.py), which geovisio 2.15 applies to a set.

    Examples
    --------
    >>> dispatch_images(images, duplicate_distance=2).query("is_duplicate")["duplicate_of"]
    """
    images = frames.check(images, ordering.TIMED)
    limits = {
        "cutoff_distance": cutoff_distance, "cutoff_time": cutoff_time, "duplicate_distance": duplicate_distance,
        "duplicate_angle": duplicate_angle,
    }  # fmt: skip
    for option, value in limits.items():
        if not value >= 0:
            raise InputError(f"`{option}` must be 0 or more, not {value}")
    order = ordering.by_time(images, ("folder",))
    starts = cuts(order, cutoff_distance, cutoff_time)
    heading = np.round(order.sort(images["compass_angle"].to_numpy(dtype=np.float64)))
    keeper = np.full(len(order), -1, dtype=np.int64)
    bounds = [*np.flatnonzero(starts).tolist(), len(order)]
    for start, end in itertools.pairwise(bounds):
        part = slice(start, end)
        found = _keepers(order.lon[part], order.lat[part], heading[part], duplicate_distance, duplicate_angle)
        keeper[part] = np.where(found >= 0, found + start, -1)
    LOG.info("%d sequences, %d duplicates of %d images", starts.sum(), np.count_nonzero(keeper >= 0), len(images))
    return marked(images.assign(sequence_id=named(images, order, starts)), order, keeper)


def cuts(order: Order, cutoff_distance: float, cutoff_time: float) -> Flags:
    """Return which images of an order start a sequence."""
    starts: Flags = order.first.copy()
    gap_s = np.diff(order.time_ms) / 1000
    gap_m = haversine(order.lon[:-1], order.lat[:-1], order.lon[1:], order.lat[1:])
    starts[1:] |= (gap_m > cutoff_distance) | (gap_s > cutoff_time)
    return starts


def haversine(lon: Floats, lat: Floats, other_lon: Floats, other_lat: Floats) -> Floats:
    """Return distances on a sphere, metres."""
    phi, other_phi = np.radians(lat), np.radians(other_lat)
    north, east = np.sin((other_phi - phi) / 2), np.sin(np.radians(other_lon - lon) / 2)
    part = north**2 + np.cos(phi) * np.cos(other_phi) * east**2
    distance: Floats = 2 * EARTH_RADIUS_M * np.arctan2(np.sqrt(part), np.sqrt(1 - part))
    return distance


def _keepers(lon: Floats, lat: Floats, heading: Floats, limit_m: float, angle: float) -> Rows:
    """Return the row that each row of a sequence is a duplicate of, -1 where it is kept."""
    keeper = np.full(len(lon), -1, dtype=np.int64)
    if len(lon) < 2:
        return keeper
    # Longitudes from the first one on, so that the antimeridian does not part neighbours.
    x = short_way(lon - lon[0])
    tall = np.degrees(limit_m / EARTH_RADIUS_M) * 1.001 + 1e-12
    wide = tall / np.maximum(np.cos(np.radians(np.minimum(np.abs(lat) + tall, 90))), 1e-9)
    tree = shapely.STRtree(frames.points(x, lat))
    boxes = shapely.box(x - wide, lat - tall, x + wide, lat + tall)
    # The image kept is sequential by nature, but only those with others around have to be looked at.
    crowded = _crowded(x, lat, wide, tall)
    for row in np.flatnonzero(crowded).tolist():
        if keeper[row] >= 0:
            continue
        near = tree.query(boxes[row])
        near = near[(near > row) & (keeper[near] < 0)]
        if not len(near):
            continue
        same = ~(angle_between(heading[near], heading[row]) > angle)  # NaN: one has no heading
        same &= haversine(lon[row], lat[row], lon[near], lat[near]) <= limit_m
        keeper[near[same]] = row
    return keeper


def _crowded(x: Floats, y: Floats, wide: Floats, tall: float) -> Flags:
    """Return which points may have another within reach: by the cells of a grid around them."""
    width = max(float(wide.max()), 1e-12)
    columns, lines = np.floor(x / width).astype(np.int64), np.floor(y / tall).astype(np.int64)
    columns -= columns.min() - 1
    lines -= lines.min() - 1
    across = int(columns.max()) + 2
    cells, inverse, counts = np.unique(lines * across + columns, return_inverse=True, return_counts=True)
    around = np.zeros(len(cells), dtype=np.int64)
    for step in (-across - 1, -across, -across + 1, -1, 0, 1, across - 1, across, across + 1):
        place = np.searchsorted(cells, cells + step)
        place[place == len(cells)] = 0
        around += np.where(cells[place] == cells + step, counts[place], 0)
    found: Flags = around[inverse] > 1
    return found
