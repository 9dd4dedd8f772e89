"""
The nearest images of points: `select_nearest` on frames, and `match`, its array floor.

Distances are planar, in a projected coordinate reference system (`mlygeo.spatial.geodesy`).
"""

from __future__ import annotations

import logging
import operator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import dtypes, frames, keys, schemas
from mlygeo.arrays import within_runs
from mlygeo.degrees import heading_difference
from mlygeo.errors import FrameError, InputError
from mlygeo.progress import working
from mlygeo.spatial import areas, geodesy, pairing, zones
from mlygeo.spatial.grid import HeadingTest
from mlygeo.spatial.planes import InPlane
from mlygeo.spatial.zones import Zones

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Bounds, Flags, Floats, Rows
    from mlygeo.spatial.projection import Projection

__all__ = [
    "Matches",
    "PartOfPairs",
    "check_options",
    "check_unique",
    "choose_projection",
    "match",
    "match_part",
    "select_nearest",
]

LOG = logging.getLogger("mlygeo.spatial.nearest")

MAX_DISTANCE_M = 100.0

OWN_COLUMNS = tuple(
    column.name
    for column in frames.SELECTION.columns
    if column.name != "score" and column not in schemas.SAMPLED  # which images may have of their own
)
"""Columns of a selection that are not the image's own, and its id."""

BEARING_POINTS = replace(frames.POINTS, columns=frames.STREET_POINTS.only("point_id", "bearing").columns)

MOST_PAIRS = 1_000_000_000
"""More pairs than this would not fit in memory."""

BYTES_A_PAIR = 16
"""Memory of a pair while images are searched: its squared distance, and the row of the image."""

MANY = 100_000
"""Number of images from which it pays to leave out those that are out of reach before projecting them."""


_NO_PAIRS = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0)


@working("searching the nearest images")
def select_nearest(
    points: gpd.GeoDataFrame,
    images: gpd.GeoDataFrame,
    *,
    srid: int | None = None,
    max_distance: float | None = MAX_DISTANCE_M,
    k: int = 1,
    unique: bool = False,
    max_heading_difference: float | None = None,
    force_srid: bool = False,
) -> gpd.GeoDataFrame:
    """
    Select the nearest image, or the k nearest, for each point.

    Distances are planar in `srid`; coordinates in that CRS are used as they are. Of images at the same distance, the
    one with the lowest id comes first, so the result does not depend on the order of rows. An image can be selected
    for several points. An id that occurs more than once in the images frame counts once, at its nearest position.
    Points and images without a position are left out.

    Dask frames give a lazy Dask frame with the partitions of the points; `max_distance` is then required, and
    `unique` is an error.

    Parameters
    ----------
    points
        Points frame, EPSG:4326 or in the CRS of `srid`, with a unique `point_id`; its `bearing` is used where
        there is one.
    images
        Images frame, EPSG:4326 or in the CRS of `srid`, with `id`; other columns are carried along.
    srid
        EPSG code of the projected CRS to measure in; by default the UTM zone of each point.
    max_distance
        Largest distance from point to image, metres, inclusive; None for no limit.
    k
        Number of images wanted for each point.
    unique
        Use each image for one point only: the shortest of all pairs is taken first, then the shortest of those left,
        and so on (ties: lowest image id, then lowest point id).
    max_heading_difference
        Largest angle between camera and street, degrees from 0 to 90, both directions of the street counted. Only
        pairs within it are considered: the next nearest that passes is taken. Panoramas always pass; flat images pass
        only if their heading and the bearing of the street are known.
    force_srid
        Use `srid` even if the points are outside of its area of use.

    Returns
    -------
    selection
        One row for each chosen pair, sorted by `point_id` and `rank`: `point_id`, `id` (int64, or str as in `images`),
        `distance_m` (float64), `rank` (int64, 1 = nearest), `heading_difference` (float64, degrees
        from 0 to 90, NaN when unknown), `point_osmid`, `point_highway`, `point_name` (str) and
        `point_bearing` (float64, degrees) where the points have these columns, texts or whole numbers, without
        `point_`; then the image's other columns. Points without an image have no row. Geometry is the image's
        position, EPSG:4326; attrs are those of `images`.

    Raises
    ------
    FrameError
        If a frame lacks a column, or `point_id` is not unique.
    CrsError
        If `srid` is unknown, not projected, or does not suit the points.
    InputError
        If an option makes no sense.

    Examples
    --------
    >>> select_nearest(points, images, srid=25832, max_distance=50)[["point_id", "id", "distance_m"]]
    """
    check_options(max_distance=max_distance, k=k, max_heading_difference=max_heading_difference)
    geodesy.check_forced(srid, force=force_srid)
    by_heading = max_heading_difference is not None
    points, point_plane = _in_degrees(points, srid)
    images, image_plane = _in_degrees(images, srid)
    frames.check(points, BEARING_POINTS if by_heading else frames.POINTS)
    frames.check(images, frames.IMAGES.only("id", *(("compass_angle", "is_pano") if by_heading else ())))
    point_id = points["point_id"].to_numpy()
    check_unique(point_id)
    point_lon, point_lat = _positions(points, "points")
    image_lon, image_lat = _positions(images, "images")

    projection = choose_projection(point_lon, point_lat, srid=srid, force_srid=force_srid)
    bearing, heading = _numbers(points, "bearing"), _numbers(images, "compass_angle")
    if projection is None:
        matches = _nothing()
    else:
        matches = match(
            point_lon, point_lat, image_lon, image_lat, _ranks(images),
            projection=projection, max_distance=max_distance, k=k, unique=unique,
            max_heading_difference=max_heading_difference, point_bearing=bearing, image_heading=heading,
            image_is_pano=frames.truths(images["is_pano"]) if by_heading else None, point_id=point_id,
            point_xy=point_plane, image_xy=image_plane,
        )  # fmt: skip

    order = np.lexsort((matches.rank, point_id[matches.point_row]))
    point, image = matches.point_row[order], matches.image_row[order]
    columns: dict[str, Any] = {
        "point_id": point_id[point],
        "id": images["id"].array.take(image),
        "distance_m": matches.distance_m[order],
        "rank": matches.rank[order],
        "heading_difference": heading_difference(heading[image], bearing[point]),
        **_of_points(points, point, bearing),
    }
    columns |= {name: points[name].array.take(point) for name in schemas.sampled(points.columns)}
    return _selection(columns, images, image)


@dataclass(frozen=True)
class Matches:
    """
    Pairs of points and images, sorted by point row and rank; arrays of equal length.

    Parameters
    ----------
    point_row, image_row
        Rows in the arrays that were matched (int64).
    distance_m
        Planar distance, metres (float64).
    rank
        1 for a point's nearest image, 2 for the next (int64).
    """

    point_row: Rows
    image_row: Rows
    distance_m: Floats
    rank: Rows

    def __len__(self) -> int:
        return len(self.point_row)


@working("searching the nearest images")
def match(
    point_lon: Floats,
    point_lat: Floats,
    image_lon: Floats,
    image_lat: Floats,
    key_rank: Rows,
    *,
    projection: Projection | Zones,
    max_distance: float | None = MAX_DISTANCE_M,
    k: int = 1,
    unique: bool = False,
    max_heading_difference: float | None = None,
    point_bearing: Floats | None = None,
    image_heading: Floats | None = None,
    image_is_pano: Any = None,
    point_id: Rows | None = None,
    point_xy: tuple[Floats, Floats] | None = None,
    image_xy: tuple[Floats, Floats] | None = None,
    compiled: bool | None = None,
) -> Matches:
    """
    Match points with their nearest images; the array floor of `select_nearest`, which explains the options.

    Parameters
    ----------
    point_lon, point_lat, image_lon, image_lat
        Degrees; a position that is not finite never matches.
    key_rank
        Ranks of the images' keys (int64), which settle ties; see `mlygeo.keys.ranks`.
    projection
        The CRS to measure in, or the UTM zone of each point (`Zones`), which has the images too. Where a
        position lies in a plane depends on the position alone (`Projection.forward`), so that a part of the
        points and images gives the same bits as all.
    max_distance
        Metres, inclusive; None for no limit.
    k
        Number of images wanted for each point.
    unique
        Let each image serve one point.
    max_heading_difference
        Degrees from 0 to 90; needs the three arrays that follow.
    point_bearing, image_heading, image_is_pano
        Degrees (NaN where unknown), and whether an image is a panorama.
    point_id
        Settles ties between points with `unique`; their row by default.
    point_xy, image_xy
        The same positions in the CRS to measure in, in its unit, where they came in it: then they are not
        projected, so that equal distances stay equal. None for the UTM zone of each point.
    compiled
        True for the Numba kernel, False for NumPy, None for Numba where it is installed and there are
        millions of images. The answer is the same to the last bit.

    Returns
    -------
    matches
        Sorted by point row and rank. Where the same key stands at the same place twice, the lower row
        is the one given.

    Raises
    ------
    InputError
        If an option makes no sense.
    """
    check_options(max_distance=max_distance, k=k, max_heading_difference=max_heading_difference)
    k = min(k, max(len(image_lon), 1))  # room is made for as many as there can be
    limit = np.inf if max_distance is None else float(max_distance)
    point_lon, point_lat, image_lon, image_lat = (
        np.ascontiguousarray(values, dtype=np.float64) for values in (point_lon, point_lat, image_lon, image_lat)
    )
    key_rank, count = np.ascontiguousarray(key_rank, dtype=np.int64), len(key_rank)
    if not len(point_lon) or not len(image_lon):
        return _nothing()
    k = min(operator.index(k), len(image_lon))
    if len(point_lon) * k > MOST_PAIRS:
        raise InputError(
            f"`k={k}` of {len(point_lon):,} points are {len(point_lon) * k:,} pairs, in"
            f" {len(point_lon) * k * BYTES_A_PAIR / 1e9:,.0f} GB of memory; {MOST_PAIRS:,} are the most",
            hint="take fewer images for each point, or fewer points at once",
        )

    tested = heading_test(
        max_heading_difference, point_bearing, image_heading, image_is_pano, points=len(point_lon), images=count
    )
    planes = planes_of(
        (point_lon, point_lat), (image_lon, image_lat), key_rank, projection=projection, limit=limit,
        tested=tested, point_xy=point_xy, image_xy=image_xy, compiled=compiled,
    )  # fmt: skip
    if unique:
        number = np.unique(key_rank, return_inverse=True)[1]
        place = np.arange(len(point_lon)) if point_id is None else places(point_id)
        point, image, square = pairing.assign(planes, number=number, place=place, k=k)
        order = np.lexsort((image, key_rank[image], square, point))
        point, image, square = point[order], image[order], square[order]
    elif len(planes) == 1:
        point, image, square = planes[0].distinct(k)
    else:
        found = [plane.distinct(k) for plane in planes] or [_NO_PAIRS]
        point, image, square = (np.concatenate(values) for values in zip(*found, strict=True))
        order = np.argsort(point, kind="stable")
        point, image, square = point[order], image[order], square[order]
    rank = within_runs(point) + 1
    LOG.info(
        "%d of %d points have an image%s (EPSG:%s)", np.count_nonzero(rank == 1), len(point_lon),
        "" if max_distance is None else f" within {max_distance:g} m", projection.srid,
    )  # fmt: skip
    unit_m = unit_of(projection, point_xy, image_xy)
    return Matches(point, image, np.sqrt(square) * unit_m, rank)


@dataclass(frozen=True)
class PartOfPairs:
    """
    What a part knows of the pairs of `match` with `unique`.

    Parameters
    ----------
    matches
        The pairs of those points of the part that are certain to have these and no others.
    open_points
        Rows of the other points of the part.
    open_images
        Rows of the images that may be theirs. Another part may know that one of them is taken.
    """

    matches: Matches
    open_points: Rows
    open_images: Rows


@working("searching the nearest images")
def match_part(
    point_lon: Floats,
    point_lat: Floats,
    image_lon: Floats,
    image_lat: Floats,
    key_rank: Rows,
    *,
    core: Flags,
    known: Bounds,
    point_id: Rows,
    projection: Projection | Zones,
    max_distance: float = MAX_DISTANCE_M,
    k: int = 1,
    max_heading_difference: float | None = None,
    point_bearing: Floats | None = None,
    image_heading: Floats | None = None,
    image_is_pano: Any = None,
    point_xy: tuple[Floats, Floats] | None = None,
    image_xy: tuple[Floats, Floats] | None = None,
    elsewhere: Flags | None = None,
    compiled: bool | None = None,
) -> PartOfPairs:
    """
    Match the points of a part with images that serve no other point, as far as the part can know.

    The pairs of all are those that are certain in parts that share out the points, and those of `match` with
    `unique` and the same options, of the open points of all parts with the open images of all parts, without those
    images that are in the certain pairs of any part. Equal to the last bit, as there is one such matching.

    Parameters
    ----------
    point_lon, point_lat, image_lon, image_lat, key_rank
        As in `match`: all points and images in `known`, and any others. An id that is in several rows of images
        has to be given with all of them, or be flagged in `elsewhere`; the ranks have the order of those of all images.
    core
        Which points belong to the part.
    known
        The box whose points and images are given: west, south, east, north in degrees. Around the part it needs
        some multiples of the largest distance (`Projection.reach`): the wider it is, the fewer points are open.
    point_id
        Settles ties between points.
    projection, max_distance, k, max_heading_difference, point_bearing, image_heading, image_is_pano
        As in `match`; there has to be a largest distance.
    point_xy, image_xy
        As in `match`.
    elsewhere
        Images whose id may also be in rows that are not given, so that somebody far away may have them.
    compiled
        As in `match`.

    Returns
    -------
    part
        The certain pairs, sorted by point row and rank, and what is left.

    Raises
    ------
    InputError
        If an option makes no sense, there is no largest distance, or `known` does not reach as far around the part.
    """
    check_options(max_distance=max_distance, k=k, max_heading_difference=max_heading_difference)
    limit = np.inf if max_distance is None else float(max_distance)
    if not np.isfinite(limit):
        raise InputError(
            "`unique` needs a `max_distance` over parts, for without it any point may compete with any other"
        )
    points, images = (
        (np.ascontiguousarray(lon, dtype=np.float64), np.ascontiguousarray(lat, dtype=np.float64))
        for lon, lat in ((point_lon, point_lat), (image_lon, image_lat))
    )
    key_rank = np.ascontiguousarray(key_rank, dtype=np.int64)
    # No more than one can have, and be short of one: then it may get another beyond the part.
    k, unit_m = min(operator.index(k), len(key_rank) + 1), unit_of(projection, point_xy, image_xy)
    tested = heading_test(
        max_heading_difference, point_bearing, image_heading, image_is_pano,
        points=len(points[0]), images=len(key_rank),
    )  # fmt: skip
    planes = planes_of(
        points, images, key_rank, projection=projection, limit=limit, tested=tested, point_xy=point_xy,
        image_xy=image_xy, compiled=compiled,
    )  # fmt: skip
    margins = projection.margin(*points, known), projection.margin(*images, known)
    if elsewhere is not None:
        margins[1][elsewhere] = -np.inf
    placed = np.isfinite(points[0]) & np.isfinite(points[1])
    if (margins[0][core & placed] < limit).any():
        raise InputError(f"what is known has to hold all within {limit:g} m of the part", hint="see Projection.reach")
    number, place = np.unique(key_rank, return_inverse=True)[1], places(point_id)
    point, image, square = pairing.assign(planes, number=number, place=place, k=k)
    sure = pairing.certain(
        planes, (point, image, square), number=number, key_rank=key_rank, place=place, k=k, limit=limit / unit_m,
        margins=(margins[0] / unit_m, margins[1] / unit_m),
    )  # fmt: skip
    # A point without a position gets nothing, wherever it is.
    sure |= ~placed
    open_points = core & ~sure
    open_images = pairing.within_limit(planes, open_points, len(key_rank))
    taken = np.zeros(int(number.max(initial=-1)) + 1, dtype=bool)
    taken[number[image[sure[point]]]] = True
    mine = np.flatnonzero(core[point] & sure[point])
    mine = mine[np.lexsort((image[mine], key_rank[image[mine]], square[mine], point[mine]))]
    point, image, square = point[mine], image[mine], square[mine]
    rank = within_runs(point) + 1
    matches = Matches(point, image, np.sqrt(square) * unit_m, rank)
    return PartOfPairs(matches, np.flatnonzero(open_points), np.flatnonzero(open_images & ~taken[number]))


def check_options(*, max_distance: float | None, k: int, max_heading_difference: float | None) -> None:
    """
    Raise unless the options of a selection make sense.

    Raises
    ------
    InputError
        Naming the option.
    """
    if max_distance is not None and not max_distance >= 0:
        raise InputError(
            f"`max_distance` must be 0 metres or more, not {max_distance}", hint="leave it out for 100 metres"
        )
    try:
        number = operator.index(k)
    except TypeError:
        number = 0
    if number < 1:
        raise InputError(f"`k` must be a whole number from 1, not {k}")
    if max_heading_difference is not None and not 0 <= max_heading_difference <= 90:
        raise InputError(
            f"`max_heading_difference` must lie between 0 and 90 degrees, not {max_heading_difference}",
            hint="both directions of a street count, so no camera is more than 90 degrees off",
        )


def choose_projection(
    lon: Floats, lat: Floats, *, srid: int | None, force_srid: bool = False
) -> Projection | Zones | None:
    """
    Return the projection to measure in around some positions.

    Parameters
    ----------
    lon, lat
        Degrees.
    srid
        EPSG code; None for the UTM zone that all positions lie in, and for that of each where they span several.
    force_srid
        Do not look at the area of use of `srid`.

    Returns
    -------
    projection
        None if no position is finite and no code was given, for then there is no place to look at.

    Raises
    ------
    CrsError
        As `mlygeo.spatial.geodesy.check_srid`.
    """
    bounds = areas.bounds(lon, lat)
    if bounds is None:
        return None if srid is None else geodesy.projection(srid)
    if srid is None:
        codes = np.unique(zones.of(lon, lat))
        codes = codes[codes > 0]
        return geodesy.projection(int(codes[0])) if len(codes) == 1 else Zones()
    return geodesy.check_srid(srid, bounds, force=force_srid)


def heading_test(
    most: float | None, bearing: Floats | None, heading: Floats | None, pano: Any, *, points: int, images: int
) -> HeadingTest | None:
    """Return the test of headings, if one is asked for."""
    if most is None:
        return None
    pano = np.zeros(images, dtype=bool) if pano is None else np.ascontiguousarray(pano, dtype=bool)
    return HeadingTest(known_degrees(bearing, points), known_degrees(heading, images), pano, float(most))


def unit_of(projection: Projection | Zones, point_xy: Any, image_xy: Any) -> float:
    """Return the metres in the unit of distances: both came in the CRS, feet are compared as feet, for metres round."""
    return projection.unit_m if point_xy is not None and image_xy is not None else 1.0


def planes_of(
    points: tuple[Floats, Floats],
    images: tuple[Floats, Floats],
    key_rank: Rows,
    *,
    projection: Projection | Zones,
    limit: float,
    tested: HeadingTest | None,
    point_xy: tuple[Floats, Floats] | None,
    image_xy: tuple[Floats, Floats] | None,
    compiled: bool | None,
) -> list[InPlane]:
    """Return points with the images near them in the plane, or in that of each zone."""
    unit_m = unit_of(projection, point_xy, image_xy)
    rows: list[tuple[Projection, Rows | None]]
    rows = [*projection.planes(*points)] if isinstance(projection, Zones) else [(projection, None)]
    planes = []
    for one, here in rows:
        lonlat = points if here is None else (points[0][here], points[1][here])
        near = _within_reach(lonlat, images, one, limit)
        if near is not None and not len(near):
            continue

        def planar(
            own: tuple[Floats, Floats] | None,
            lonlat: tuple[Floats, Floats],
            which: Rows | None,
            one: Projection = one,
        ) -> tuple[Floats, Floats]:
            if own is None:
                lon, lat = lonlat
                return one.forward(lon, lat) if which is None else one.forward(lon[which], lat[which])
            x, y = (np.ascontiguousarray(values, dtype=np.float64) for values in own)
            if which is not None:
                x, y = x[which], y[which]
            return (x, y) if one.unit_m == unit_m else (x * one.unit_m, y * one.unit_m)

        test = tested
        if tested is not None:
            test = HeadingTest(
                tested.bearing if here is None else tested.bearing[here],
                tested.heading if near is None else tested.heading[near],
                tested.pano if near is None else tested.pano[near],
                tested.most,
            )
        planes.append(
            InPlane(
                planar(point_xy, points, here),
                planar(image_xy, images, near),
                key_rank if near is None else key_rank[near],
                limit / unit_m,
                one,
                test,
                here,
                near,
                compiled,
            )
        )
    return planes


def _within_reach(
    points: tuple[Floats, Floats], images: tuple[Floats, Floats], projection: Projection, limit: float
) -> Rows | None:
    """
    Return the rows of the images around the points; None for all.

    Images of a country for the points of a city need not all be projected.
    """
    bounds, (image_lon, image_lat) = areas.bounds(*points), images
    if len(image_lon) <= MANY or bounds is None or not np.isfinite(limit):
        return None
    reach = projection.reach(bounds, limit)
    if reach is None:
        return None
    beside = areas.inside(image_lon, image_lat, reach)
    # Copying nearly all images would cost more time than it saves.
    if np.count_nonzero(beside) > 0.9 * len(beside):
        return None
    return np.flatnonzero(beside)


def _in_degrees(frame: gpd.GeoDataFrame, srid: int | None) -> tuple[gpd.GeoDataFrame, tuple[Floats, Floats] | None]:
    """Return a frame in degrees, and its coordinates before that where it is in the CRS to measure in."""
    if srid is None or frame.active_geometry_name is None or frame.crs is None or not frame.crs.is_projected:
        return frame, None
    if not geodesy.projection(srid).is_of(frame.crs):
        return frame, None
    return frame.to_crs(frames.CRS), _positions(frame, "rows")


def known_degrees(degrees: Floats | None, length: int) -> Floats:
    """Return degrees as float64, NaN throughout if there are none."""
    return np.full(length, np.nan) if degrees is None else np.ascontiguousarray(degrees, dtype=np.float64)


def _nothing() -> Matches:
    point, image, distance = _NO_PAIRS
    return Matches(point, image, distance, point)


def check_unique(point_id: Rows) -> None:
    """Raise FrameError if an id of points stands in several rows."""
    values, counts = np.unique(point_id, return_counts=True)
    if len(values) < len(point_id):
        raise FrameError(
            f"point_id is not unique: {values[counts > 1][0]} stands in {counts[counts > 1][0]} rows of the points",
            hint="number the points, as with points.assign(point_id=range(len(points)))",
        )


def _positions(frame: gpd.GeoDataFrame, name: str) -> tuple[Floats, Floats]:
    import shapely

    kinds = shapely.get_type_id(np.asarray(frame.geometry.values))
    others = np.flatnonzero((kinds != shapely.GeometryType.POINT) & (kinds != shapely.GeometryType.MISSING))
    if len(others):
        kind = shapely.GeometryType(kinds[others[0]]).name.lower()
        raise FrameError(
            f"{len(others)} of {len(frame)} geometries of the {name} are not points; the first is a {kind}"
            f" in row {others[0]}"
        )
    return frames.lonlat(frame)


def _ranks(images: gpd.GeoDataFrame) -> Rows:
    ids = images["id"]
    if str(ids.dtype) != "str":
        return keys.ranks(ids.to_numpy())
    try:
        return keys.ranks(ids, images["provider"] if "provider" in images.columns else None)
    except ValueError as error:
        raise FrameError(f"the images: column 'id' contains no ids ({error})") from error


def _numbers(frame: gpd.GeoDataFrame, column: str) -> Floats:
    """Return a column as float64, NaN throughout if there is none that holds numbers."""
    import pandas as pd

    if column not in frame.columns or not pd.api.types.is_numeric_dtype(frame[column]):
        return np.full(len(frame), np.nan)
    values: Floats = frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _of_points(points: gpd.GeoDataFrame, rows: Rows, bearing: Floats) -> dict[str, Any]:
    """Return what a selection carries of the points of its rows, by the names that it has there."""
    import pandas as pd

    found: dict[str, Any] = {}
    for name, carried in frames.OF_POINTS.items():
        if name == "bearing":
            if name in points.columns:
                found[carried] = bearing[rows]
        elif name in points.columns:
            values = points[name]
            kinds = values.cat.categories if isinstance(values.dtype, pd.CategoricalDtype) else values
            if pd.api.types.infer_dtype(kinds, skipna=True) in {"string", "integer", "empty"}:
                found[carried] = dtypes.cast(values.iloc[rows], "str").array
    return found


def _selection(columns: dict[str, Any], images: gpd.GeoDataFrame, rows: Rows) -> gpd.GeoDataFrame:
    import geopandas as gpd
    import pandas as pd

    geometry = images.active_geometry_name
    others = [name for name in images.columns if name not in {*columns, *OWN_COLUMNS, geometry}]
    carried: pd.DataFrame = pd.DataFrame(images[others]).take(rows).reset_index(drop=True)
    parts = pd.concat([pd.DataFrame(columns), carried.drop(columns="geometry", errors="ignore")], axis=1)
    chosen = images.geometry.array.take(rows)
    selection = gpd.GeoDataFrame(parts, geometry=gpd.GeoSeries(chosen, crs=images.crs))
    selection.attrs = dict(images.attrs)
    return selection


def places(point_id: Rows) -> Rows:
    """Return the place of each point in the order of their ids."""
    place = np.empty(len(point_id), dtype=np.int64)
    place[np.argsort(point_id, kind="stable")] = np.arange(len(point_id))
    return place
