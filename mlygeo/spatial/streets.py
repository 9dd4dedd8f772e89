"""
Points along streets: a streets frame in, a street points frame out.

Two methods: with `even`, every place on a street lies within the interval of a point; `percept`
gives the points of percept-vsvi-filter's make_street_points.py.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlygeo import frames
from mlygeo.errors import CrsError, InputError
from mlygeo.progress import current_step, working
from mlygeo.spatial import geodesy, polylines

if TYPE_CHECKING:
    from collections.abc import Callable

    import geopandas as gpd

    from mlygeo.arrays import Floats, Whole
    from mlygeo.spatial.polylines import Lines
    from mlygeo.spatial.projection import Projection

log = logging.getLogger("mlygeo.streets")

INTERVAL_M = 50.0
"""Distance between street points, metres."""

TOLERANCE = 1e-9
"""Relative: a street of exactly n intervals has n parts, whichever way its length was rounded."""

BATCH = 65_536
"""Points that are thinned between two looks at the display."""

MOST_POINTS = 20_000_000
"""More points than this mean a mistake in the interval, and would not fit in memory."""

BYTES_A_POINT = 450
"""Memory that a point takes while points are laid (measured on 8 million)."""

BORDER_M = 0.02
"""Points this near to a border of cells are projected there and back; far more than the error of any projection."""

UNSURE_M = 1e-5
"""More than the error of a line's length at each of its vertices, where it was not measured exactly."""

CARRIED = ("u", "v", "key", "osmid", "name", "highway")


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
    Lay a point every so many metres along every street.

    Lengths and distances are planar, in the coordinate reference system `srid`, in metres.

    With `even`, each street counts once (the two directions of an edge are one line). A street of
    length L gets ceil(L / interval) points, in the middles of equal parts; then, street by street
    in the order of (u, v, key), a point closer than half the interval to one already kept is left
    out. So every place on every street lies within the interval of a point, no two points are
    closer than half of it, and the order of the rows does not matter.

    With `percept`, each row of length L gets floor(L / interval) equal parts and points at both
    ends and every division, none where that is 0; then the first point in each square cell of side
    `interval` is kept, cells counted from the points' lower-left corner. Rows count in their order.
    Streets shorter than the interval stay without a point, and two points may lie close together
    across the border of a cell.

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
        `even` leaves no place on a street farther than the interval from a point; `percept` gives
        the points of percept-vsvi-filter, for comparison with work done with it.
    force_srid
        Go on where the srid's area of use does not hold the streets.

    Returns
    -------
    points
        Street points frame, EPSG:4326: `point_id` (int64, from 0, in order along the streets),
        `u`, `v`, `key`, `bearing` (float64, degrees clockwise from true north, of the street there
        in the direction of its line; NaN on a street without length), `osmid`, `name` and `highway`
        of the street. `attrs["street_points"]` has the number of edges, streets (each once) and points,
        the length of the streets in metres, and the length of the edges without a point of their own,
        among the edges that the method counts.

    Raises
    ------
    InputError
        If the interval is not a positive number, or gives more points than fit in memory.
    CrsError
        If the srid is unknown, geographic, or does not serve the place of the streets.
    FrameError
        If this is not a streets frame, or holds geometry other than lines.

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
    import pandas as pd

    frames.check(streets, frames.STREETS)
    if not (np.isfinite(interval) and interval > 0):
        raise InputError(f"`interval` must be a positive number of metres, not {interval}")
    if method not in {"even", "percept"}:
        raise InputError(f"`method` is 'even' or 'percept', not {method!r}")
    geodesy.check_forced(srid, force=force_srid)
    if not len(streets):
        return _finish(
            streets, (np.empty(0), np.empty(0)), np.empty(0, "int64"), np.empty(0), _facts(interval, srid, method)
        )

    lonlat, first = polylines.coordinates(streets)
    bounds = polylines.bounds(lonlat)
    srid = geodesy.utm_srid(*bounds) if srid is None else srid
    projection = geodesy.check_srid(srid, bounds, force=force_srid)
    vertex = polylines.hashes(lonlat)
    lines = polylines.project(lonlat, first, projection, exact=method == "percept")
    if not np.isfinite(lines.length).all():
        raise CrsError(f"EPSG:{srid} has no coordinates for some of the streets", hint="leave `srid` out")
    # for a street of about a whole number of intervals, the number of parts depends on the last digits
    count = lines.length / interval
    unsure = np.abs(count - np.rint(count)) * interval < UNSURE_M * np.diff(first)
    polylines.exactly(lines, np.flatnonzero(unsure), lonlat, projection)
    street, same = polylines.same_lines(vertex, first)

    if method == "percept":
        edges = np.arange(len(streets))
        parts = np.trunc(lines.length / interval)
        row, x, y, segment = _percept_points(lines, parts, interval, lonlat, projection)
    else:
        edges = polylines.each_once(streets, street, (polylines.directions(vertex, first), same))
        parts = np.maximum(np.ceil(lines.length / interval * (1 - TOLERANCE)), 1)
        row, x, y, segment = _even_points(lines, edges, parts, interval)

    facts = _facts(interval, srid, method)
    once = np.flatnonzero(~pd.Series(street).duplicated().to_numpy())
    total, without = lines.length[edges].sum(), lines.length[edges][parts[edges] == 0].sum()
    facts |= {
        "edges": len(streets),
        "streets": len(once),
        "length_m": float(lines.length[once].sum()),
        "points": len(row),
        "edges_without_point": int((parts[edges] == 0).sum()),
        "length_without_point_m": float(without),
        "share_without_point": float(without / total) if total else 0.0,
    }
    bearing = polylines.bearings(lines, lonlat, vertex, segment)
    return _finish(streets, projection.inverse(x, y), row, bearing, facts)


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


def _finish(
    streets: gpd.GeoDataFrame, lonlat: tuple[Floats, Floats], row: Whole, bearing: Floats, facts: dict[str, Any]
) -> gpd.GeoDataFrame:
    """Return the frame of points on these rows of streets."""
    import geopandas as gpd
    import shapely

    columns: dict[str, Any] = {"point_id": np.arange(len(row), dtype="int64")}
    columns |= {name: streets[name].array.take(row) for name in CARRIED}
    columns["bearing"] = bearing
    points = gpd.GeoDataFrame(columns, geometry=shapely.points(*lonlat), crs=frames.CRS)
    points = frames.conform(points, frames.STREET_POINTS)
    points.attrs["attribution"] = list(streets.attrs.get("attribution", []))
    points.attrs["street_points"] = facts
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
    return line, np.arange(len(line)) - np.repeat(np.cumsum(counts) - counts, counts)


def _percept_points(
    lines: Lines, parts: Floats, interval: float, lonlat: Floats, projection: Projection
) -> tuple[Whole, Floats, Floats, Whole]:
    import pandas as pd
    from pyproj import Transformer

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
        return projection.forward(*back.transform(x / projection.unit_m, y / projection.unit_m), exact=True)

    x, y, segment = located(slice(None))
    if not len(row):
        return row, x, y, segment
    x, y = _stored(x, y, interval, stored)
    cells = pd.DataFrame({"column": np.trunc((x - x.min()) / interval), "line": np.trunc((y - y.min()) / interval)})
    chosen = np.flatnonzero(~cells.duplicated().to_numpy())
    return row[chosen], x[chosen], y[chosen], segment[chosen]


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


def _even_points(lines: Lines, edges: Whole, parts: Floats, interval: float) -> tuple[Whole, Floats, Floats, Whole]:
    place, number = _spread(parts[edges], 0)
    row = edges[place]
    distance = (number + 0.5) * (lines.length / parts)[row]
    x, y, segment = polylines.locate(lines, row, distance)
    kept = _thin(x, y, interval / 2)
    return row[kept], x[kept], y[kept], segment[kept]


def _thin(x: Floats, y: Floats, apart: float) -> Whole:
    """
    Keep each point that is not closer than `apart` to one kept before.

    Whether a point is kept depends on those kept before it, along chains as long as the network:
    sequential by nature, so this is a loop. Kept points are filed by square cells of side `apart`;
    a cell holds four at most, so a point looks at few of them, however many lie in one place.
    """
    if not len(x):
        return np.empty(0, "int64")
    columns = np.floor((x - x.min()) / apart).astype("int64") + 1
    lines = np.floor((y - y.min()) / apart).astype("int64") + 1
    width = int(columns.max()) + 2
    cells = lines * width + columns
    around = [down * width + right for down in (0, -1, 1) for right in (0, -1, 1)]
    closest = apart * (1 - TOLERANCE)
    limit = closest * closest  # infinite where a power would overflow
    filed: dict[int, list[tuple[float, float]]] = {}
    kept = []
    step = current_step()
    step.begin(len(x), "points")
    for start in range(0, len(x), BATCH):
        some = slice(start, start + BATCH)
        for number, (east, north, cell) in enumerate(
            zip(x[some].tolist(), y[some].tolist(), cells[some].tolist(), strict=True), start
        ):
            for offset in around:
                near = filed.get(cell + offset)
                if near and any((east - px) ** 2 + (north - py) ** 2 < limit for px, py in near):
                    break
            else:
                filed.setdefault(cell, []).append((east, north))
                kept.append(number)
        step.advance(len(x[some]))
    step.begin(None, "")
    return np.array(kept, dtype="int64")
