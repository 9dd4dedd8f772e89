"""
Points along streets: a streets frame in, a street points frame out.

Two methods: with `even`, every place on a street lies within the interval of a point; `percept`
gives the points of percept-vsvi-filter's make_street_points.py.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from mlygeo import arrays, frames
from mlygeo.arrays import through_pyproj
from mlygeo.errors import InputError
from mlygeo.progress import working
from mlygeo.spatial import geodesy, measured, polylines, spacing
from mlygeo.spatial.measured import NO_POINTS, Laid, Network

if TYPE_CHECKING:
    from collections.abc import Callable

    import geopandas as gpd

    from mlygeo.arrays import Bounds, Flags, Floats, Whole

log = logging.getLogger("mlygeo.streets")

INTERVAL_M = 50.0
"""Distance between street points, metres."""

TOLERANCE = 1e-9
"""Relative: a street of exactly n intervals has n parts, whichever way its length was rounded."""

MOST_POINTS = 20_000_000
"""More points than this mean a mistake in the interval, and would not fit in memory."""

BYTES_A_POINT = 450
"""Memory that a point takes while points are laid (measured on 8 million)."""

BORDER_M = 0.02
"""Points this near to a border of cells are projected there and back; far more than the error of any projection."""


@working("laying points")
def street_points(
    streets: gpd.GeoDataFrame,
    *,
    interval: float = INTERVAL_M,
    srid: int | None = None,
    method: Literal["even", "percept"] = "even",
    force_srid: bool = False,
) -> gpd.GeoDataFrame:
    """
    Put a point at a regular distance along every street.

    Lengths and distances are planar, in the coordinate reference system `srid`, in metres.

    With `even`, each street counts once (the two directions of an edge are one line). A street of length L gets
    ceil(L / interval) points, in the middles of equal parts; then, in the order of a hash of their places, a point
    closer than half the interval to one already kept is left out. Every place on every street is then within the
    interval of a point, no two points are closer than half of it, and the points depend only on the streets nearby,
    not on the order of rows.

    With `percept`, each row of length L gets floor(L / interval) equal parts and points at both ends and every
    division, none where that is 0; then the first point in each square cell of side `interval` is kept, cells counted
    from the points' lower-left corner. Rows count in their order. Streets shorter than the interval have no point,
    and two points may be close together across the border of a cell.

    Parameters
    ----------
    streets
        Streets frame, EPSG:4326.
    interval
        Distance between points along a street, metres.
    srid
        EPSG number of the projected coordinate reference system to measure in; by default the UTM
        zone of the streets.
    method
        with `even`, every place on a street is within the interval of a point; `percept` gives the points of
        percept-vsvi-filter, for comparison with studies that used it.
    force_srid
        Continue even if the streets are outside of the area of use of the srid.

    Returns
    -------
    points
        Street points frame, EPSG:4326, sorted by `point_id`: int64, with `even` a positive number that its
        place on Earth has (`spacing.place_ids`), with `percept` counted from 0 along the streets. `u`,
        `v`, `key`, `bearing` (float64, degrees clockwise from true north, of the street there in the
        direction of its line; NaN on a street without length), `osmid`, `name` and `highway` of the
        street. `attrs["street_points"]` has the number of edges, streets (each once) and points, the
        length of the streets in metres, and the length of the edges without a point of their own, among
        the edges that the method counts.

    Raises
    ------
    InputError
        If the interval is not a positive number, or gives more points than fit into memory.
    CrsError
        If the srid is unknown, geographic, or does not serve the place of the streets.
    FrameError
        If this is not a streets frame, or has geometry other than lines.

    Notes
    -----
    `percept` follows `generate_street_points` and `fast_deduplicate_points` of
    https://github.com/Spatial-Data-Science-and-GEO-AI-Lab/percept-vsvi-filter, with the way to
    EPSG:4326 and back between the two, which can move a point across the border of a cell.

    Examples
    --------
    >>> points = street_points(streets, interval=20, srid=25832)
    >>> points.attrs["street_points"]["points"]
    """
    frames.check(streets, frames.STREETS)
    _check_interval(interval)
    if method not in {"even", "percept"}:
        raise InputError(f"`method` is 'even' or 'percept', not {method!r}")
    geodesy.check_forced(srid, force=force_srid)
    if not len(streets):
        return _finish(streets, NO_POINTS, _facts(interval, srid, method))
    network = Network.of(streets, interval, srid, force_srid=force_srid, exact=method == "percept")
    if method == "percept":
        edges = np.arange(len(streets))
        parts = np.trunc(network.lines.length / interval)
        points = _percept_points(network, parts, interval)
    else:
        edges, parts = network.once(streets), _even_parts(network, interval)
        points, _ = _even_points(network, edges, parts, interval)
    facts = _facts(interval, network.projection.srid, method) | _network_facts(network, edges, parts)
    return _finish(streets, points, facts | {"points": len(points.row)})


class Places(NamedTuple):
    """Where points may be laid on streets, before some are left out; and what tells to which part a street belongs."""

    lon: Floats
    lat: Floats
    """Of each place that `even` gives a street; each street once. Degrees."""
    west: Floats
    south: Floats
    """The corner of each row, by which a street belongs to a part; see `even_points_of_part`. Degrees."""
    boxes: Floats
    """The box of each row (`polylines.boxes`): whose boxes meet a part's surroundings, are streets of it."""


def even_places(streets: gpd.GeoDataFrame, *, interval: float = INTERVAL_M, srid: int) -> Places:
    """
    Return where points of `street_points` with `even` may be: all of them lie at these places, to the last bit.

    Parameters
    ----------
    streets
        Streets frame, EPSG:4326; any of all streets.
    interval
        Distance between points along a street, metres.
    srid
        EPSG number of the projected coordinate reference system to measure in; see `even_points_of_part`.

    Returns
    -------
    places
        In no order.

    Raises
    ------
    InputError
        If the interval is not a positive number, or gives more points than fit into memory.
    CrsError
        If the srid is unknown or geographic, or has no coordinates for some of the streets.
    FrameError
        If this is not a streets frame, or has geometry other than lines.
    """
    frames.check(streets, frames.STREETS)
    _check_interval(interval)
    if not len(streets):
        none = np.empty(0)
        return Places(none, none, none, none, np.empty((4, 0)))
    network = Network.of(streets, interval, srid, force_srid=None)
    _, x, y, _ = _even(network, network.once(streets), _even_parts(network, interval))
    boxes = polylines.boxes(network.lonlat, network.lines.first)
    return Places(*network.projection.inverse(x, y), *network.corners(), boxes)


def even_points_of_part(
    streets: gpd.GeoDataFrame,
    core: Callable[[Floats, Floats], Flags],
    known: Bounds | None,
    *,
    interval: float = INTERVAL_M,
    srid: int,
) -> tuple[gpd.GeoDataFrame, int]:
    """
    Lay the points of `street_points` with `even` in a part of the world, from the streets around it.

    Parts that share out the world have together the points of all streets, to the last bit, and the sum of their
    facts is that of all streets.

    Parameters
    ----------
    streets
        Streets frame, EPSG:4326: whole streets, all whose box (`polylines.boxes`) meets `known`; others
        do no harm.
    core
        Tells for longitudes and latitudes in degrees which positions belong to the part.
    known
        The box around the part whose streets are given: west, south, east, north in degrees. How far it
        has to reach depends on the streets: six intervals mostly do (see `Projection.reach`). None where
        all streets there are are given.
    interval
        Distance between points along a street, metres.
    srid
        EPSG number of the projected coordinate reference system to measure in; it is not checked against
        the streets' place, which says nothing about all streets.

    Returns
    -------
    points
        Street points frame, EPSG:4326, of the points in the part, in the order of their `point_id`. In
        `attrs["street_points"]` are the facts about the streets of the part, a street belonging to where
        the south-western corner of its box lies.
    undecided
        How many positions in the part are neither points nor certainly none, because that depends on streets
        beyond `known`. Where there are any, the answer holds for no use: ask again with a wider box.

    Raises
    ------
    InputError
        If the interval is not a positive number, or gives more points than fit into memory.
    CrsError
        If the srid is unknown or geographic, or has no coordinates for some of the streets.
    FrameError
        If this is not a streets frame, or has geometry other than lines.
    """
    frames.check(streets, frames.STREETS)
    _check_interval(interval)
    facts = _facts(interval, srid, "even")
    if not len(streets):
        return _finish(streets, NO_POINTS, facts), 0
    network = Network.of(streets, interval, srid, force_srid=None)
    edges, parts = network.once(streets), _even_parts(network, interval)
    points, undecided = _even_points(network, edges, parts, interval, core=core, known=known)
    facts |= _network_facts(network, edges, parts, core(*network.corners()))
    return _finish(streets, points, facts | {"points": len(points.row)}), undecided


def _check_interval(interval: float) -> None:
    if not (np.isfinite(interval) and interval > 0):
        raise InputError(f"`interval` must be a positive number of metres, not {interval}")


def _even_parts(network: Network, interval: float) -> Floats:
    """Return into how many parts each row is divided, one at least."""
    return np.maximum(np.ceil(network.lines.length / interval * (1 - TOLERANCE)), 1)


def _even(network: Network, edges: Whole, parts: Floats) -> tuple[Whole, Floats, Floats, Whole]:
    """Return the middles of the parts of some rows: the row of each, its place, and its segment's first vertex."""
    place, number = _spread(parts[edges], 0)
    row = edges[place]
    distance = (number + 0.5) * (network.lines.length / parts)[row]
    return row, *polylines.locate(network.lines, row, distance)


def _network_facts(network: Network, edges: Whole, parts: Floats, counted: Flags | None = None) -> dict[str, Any]:
    """
    Return what is told about streets, of the counted rows alone; `edges` are the rows that points are laid on.

    Lengths are added up in whole micrometres: the order of the rows, and how they are shared out, do not matter.
    """
    if counted is not None:
        edges = edges[counted[edges]]
    micrometres = network.micrometres()[edges]
    total, without = micrometres.sum(), micrometres[parts[edges] == 0].sum()
    return network.facts(counted) | {
        "edges_without_point": int((parts[edges] == 0).sum()),
        "length_without_point_m": float(without / 1e6),
        "share_without_point": float(without / total) if total else 0.0,
    }


def _facts(interval: float, srid: int | None, method: str) -> dict[str, Any]:
    """Return the summary of no streets, in the order in which it is read."""
    return {
        "edges": 0,
        "streets": 0,
        "length_m": 0.0,
        "points": 0,
        "interval_m": float(interval),
        "srid": srid,
        "method": method,
        "edges_without_point": 0,
        "length_without_point_m": 0.0,
        "share_without_point": 0.0,
    }


def _finish(streets: gpd.GeoDataFrame, laid: Laid, facts: dict[str, Any]) -> gpd.GeoDataFrame:
    """Return the frame of points on rows of streets, and log the facts."""
    points = measured.points_frame(streets, laid, facts)
    log.info(
        "%s points, one every %s m (%s), on %s edges, %.1f km; %.1f%% of the length without a point",
        f"{facts['points']:,}", facts["interval_m"], facts["method"], f"{facts['edges']:,}",
        facts["length_m"] / 1000, 100 * facts["share_without_point"],
    )  # fmt: skip
    return points


def _spread(parts: Floats, each: int) -> tuple[Whole, Whole]:
    """Number `parts + each` points on each line: the line of each point, and its number there."""
    if parts.sum() > MOST_POINTS:
        raise InputError(
            f"`interval` gives {parts.sum():,.0f} points, in {parts.sum() * BYTES_A_POINT / 1e9:,.0f} GB of memory;"
            f" more than {MOST_POINTS:,} are not laid at once",
            hint="use a longer interval, or a smaller region",
        )
    counts = np.where(parts > 0, parts + each, 0).astype("int64")
    line = np.repeat(np.arange(len(parts)), counts)
    return line, arrays.numbered(counts)


def _percept_points(network: Network, parts: Floats, interval: float) -> Laid:
    import pandas as pd
    from pyproj import Transformer

    lines, lonlat, projection = network.lines, network.lonlat, network.projection
    row, number = _spread(parts, 1)
    # as GeoPandas does it: PROJ's inverse of the forward projection rounds differently in the last digit
    back = Transformer.from_crs(projection.srid, 4326, always_xy=True)

    def located(which: Any) -> tuple[Floats, Floats, Whole]:
        length, count = lines.length[row[which]], parts[row[which]]
        # the last point is the end of the line, whatever the quotient was rounded to
        distance = np.where(number[which] == count, length, number[which] * (length / count))
        return polylines.locate(lines, row[which], distance)

    def stored(which: Any) -> tuple[Floats, Floats]:
        polylines.exactly(lines, row[which], lonlat, projection)
        x, y, _ = located(which)
        return projection.forward(
            *through_pyproj(back.transform, x / projection.unit_m, y / projection.unit_m), exact=True
        )

    x, y, segment = located(slice(None))
    if not len(row):
        return NO_POINTS
    x, y = _stored(x, y, interval, stored)
    cells = pd.DataFrame({"column": np.trunc((x - x.min()) / interval), "line": np.trunc((y - y.min()) / interval)})
    chosen = np.flatnonzero(~cells.duplicated().to_numpy())
    bearing = polylines.bearings(lines, lonlat, network.vertex, segment[chosen])
    return Laid(row[chosen], *projection.inverse(x[chosen], y[chosen]), bearing, np.arange(len(chosen)))


def _stored(
    x: Floats, y: Floats, interval: float, stored: Callable[[Any], tuple[Floats, Floats]]
) -> tuple[Floats, Floats]:
    """
    Return where the tool finds its points again after it has stored them as EPSG:4326.

    The points move by the error of the inverse projection: half a millimetre in the Dutch grid,
    nothing in UTM, the same everywhere in a city. So the points that set the origin of the cells,
    those near a border of cells and a sample are projected there and back exactly; the others move
    by the same amount.
    """
    sample = (x - x.min() < BORDER_M) | (y - y.min() < BORDER_M)
    sample[:: max(len(x) // 1000, 1)] = True
    exact_x, exact_y = stored(sample)
    off_x, off_y = exact_x - x[sample], exact_y - y[sample]
    by_x, by_y = np.median(off_x), np.median(off_y)
    if max(np.abs(off_x - by_x).max(), np.abs(off_y - by_y).max()) > BORDER_M / 4:
        return stored(slice(None))
    x, y = x + by_x, y + by_y
    x[sample], y[sample] = exact_x, exact_y
    across, up = (x - x.min()) / interval, (y - y.min()) / interval
    near = np.minimum(np.abs(across - np.rint(across)), np.abs(up - np.rint(up))) < BORDER_M / interval
    near &= ~sample
    x[near], y[near] = stored(near)
    return x, y


def _even_points(
    network: Network,
    edges: Whole,
    parts: Floats,
    interval: float,
    *,
    core: Callable[[Floats, Floats], Flags] | None = None,
    known: Bounds | None = None,
) -> tuple[Laid, int]:
    """Return the points in a part, in the order of their numbers, and how many there are undecided."""
    lines, projection = network.lines, network.projection
    row, x, y, segment = _even(network, edges, parts)
    lon, lat = projection.inverse(x, y)
    ids = spacing.place_ids(lon, lat)
    complete = None if known is None else projection.margin(lon, lat, known) >= interval / 2
    kept, undecided = spacing.thin(x, y, ids, interval / 2, complete)
    inside = np.ones(len(lon), dtype=bool) if core is None else core(lon, lat)
    chosen = np.flatnonzero(kept & inside)
    chosen = chosen[np.argsort(ids[chosen])]
    if (np.diff(ids[chosen]) == 0).any():
        raise InputError(
            f"`interval={interval:g}` lays points so near each other that they have the same number",
            hint="use an interval of 0.1 metres or more",
        )
    bearing = polylines.bearings(lines, network.lonlat, network.vertex, segment[chosen])
    laid = Laid(row[chosen], lon[chosen], lat[chosen], bearing, ids[chosen])
    return laid, int(np.count_nonzero(undecided & inside))
