"""
How much of the streets has imagery near it: by street, class, year, camera and contributor; how new; the gaps.

Lengths and distances are planar, in a projected coordinate reference system (`mlygeo.spatial.geodesy`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlygeo import frames
from mlygeo.errors import FrameError, InputError
from mlygeo.spatial._coverage import BY, CARRIED, VALUE, By, Coverage, check_options, measure

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = [
    "BY",
    "CARRIED",
    "COVERAGE",
    "DISTANCE_M",
    "GAPS",
    "MIN_GAP_M",
    "VALUE",
    "By",
    "Coverage",
    "check_options",
    "coverage_gaps",
    "measure",
    "street_coverage",
]

DISTANCE_M = 20.0
"""Half a wide street and what a phone's position is off: an image this near shows the street, seldom the next one."""

MIN_GAP_M = 20.0
"""Gaps shorter than this lie between two images that see each other."""

COVERAGE = frames.Schema(
    "coverage",
    "LineString",
    (
        *frames.STREETS.only(*CARRIED).columns,
        frames.Column("length_m", "float64", "length of the street, metres"),
        frames.Column("covered_m", "float64", "how much of it has an image within the distance, metres"),
        frames.Column("share_covered", "float64", "the same as a share, 0 to 1; NaN for a street without length"),
        frames.Column("images", "int64", "images within the distance of it"),
        frames.Column("newest", frames.MS_UTC, "capture time of the newest of them; null where unknown"),
    ),
)

GAPS = frames.Schema(
    "gaps",
    "LineString",
    (
        frames.Column("gap_id", "int64", "number of the gap, from 0, in order along the streets"),
        *frames.STREETS.only(*CARRIED).columns,
        frames.Column("from_m", "float64", "where it starts, metres along the street"),
        frames.Column("to_m", "float64", "where it ends"),
        frames.Column("length_m", "float64", "its length, metres"),
    ),
)


def street_coverage(
    streets: gpd.GeoDataFrame,
    images: gpd.GeoDataFrame,
    *,
    srid: int | None = None,
    distance: float = DISTANCE_M,
    by: By | None = None,
    force_srid: bool = False,
) -> gpd.GeoDataFrame:
    """
    Measure which part of each street has imagery near it.

    A place on a street is covered if an image lies within `distance` of it. Covered lengths are exact:
    the circle around each image cuts every segment it meets, and the stretches are joined. Each street
    counts once (the two directions of an edge are one line).

    Parameters
    ----------
    streets
        Streets frame, EPSG:4326.
    images
        Images frame, EPSG:4326; of its columns only `captured_at` (for the newest) and the one that `by`
        asks for are looked at. Images without a position count nowhere.
    srid
        EPSG code of the projected CRS to measure in; by default the UTM zone of the streets.
    distance
        Largest distance from a place on a street to an image, metres, inclusive.
    by
        Measure apart for images of each "year" (UTC), for "pano" or not, or for each "creator". None
        takes all images together.
    force_srid
        Use `srid` even where its area of use does not hold the streets.

    Returns
    -------
    coverage
        One row for each street, in the order of (u, v, key): `u`, `v`, `key`, `osmid`, `highway`,
        `name`, `length_m`, `covered_m` (float64, metres), `share_covered` (float64, 0 to 1), `images`
        (int64, how many within the distance), `newest` (datetime64[ms, UTC]). With `by`, one row for
        each street and each value that has an image there, and the value as `year` (Int64), `is_pano`
        (bool) or `creator_id` (Int64), null where unknown, instead of `newest`; streets without an
        image have no row. `attrs["coverage"]` holds the sums.

    Raises
    ------
    FrameError
        If a frame lacks a column, or the streets are no lines.
    CrsError
        If `srid` is unknown, not projected, or does not suit the streets.
    InputError
        If an option makes no sense.

    Examples
    --------
    >>> street_coverage(streets, images, distance=15)["covered_m"].sum()
    >>> street_coverage(streets, images, by="year").groupby("year")["covered_m"].sum()
    """
    if by is not None and by not in BY:
        raise InputError(f"--by is one of {', '.join(BY)}, not {by!r}")
    wanted = {} if by is None else {by: BY[by]}
    if missing := [name for name in wanted.values() if name not in images.columns]:
        raise FrameError(f"these images have no {missing[0]}, so they cannot be told apart by {by}")
    columns = {name: images[name] for name in {"captured_at", *wanted.values()} if name in images.columns}
    measured = measure(
        streets, frames.lonlat(images), columns, srid=srid, distance=distance, by=tuple(wanted), force_srid=force_srid
    )
    frame = measured.frame() if by is None else measured.frame_by(by)
    frame.attrs["attribution"] = _attribution(streets, images)
    return frame


def coverage_gaps(
    streets: gpd.GeoDataFrame,
    images: gpd.GeoDataFrame,
    *,
    srid: int | None = None,
    distance: float = DISTANCE_M,
    min_length: float = MIN_GAP_M,
    force_srid: bool = False,
) -> gpd.GeoDataFrame:
    """
    Find the parts of streets that have no imagery near them.

    Parameters
    ----------
    streets
        Streets frame, EPSG:4326; each street counts once.
    images
        Images frame, EPSG:4326; only positions are looked at.
    srid
        EPSG code of the projected CRS to measure in; by default the UTM zone of the streets.
    distance
        A place farther than this from every image belongs to a gap, metres.
    min_length
        Leave out gaps shorter than this, metres; streets shorter than it are left out too.
    force_srid
        Use `srid` even where its area of use does not hold the streets.

    Returns
    -------
    gaps
        One line for each gap, in the order of (u, v, key) and along the street: `gap_id` (int64, from
        0), `u`, `v`, `key`, `osmid`, `highway`, `name`, `from_m`, `to_m`, `length_m` (float64, metres
        along the street). EPSG:4326.

    Raises
    ------
    FrameError
        If the streets are no lines.
    CrsError
        If `srid` is unknown, not projected, or does not suit the streets.
    InputError
        If an option makes no sense.

    Examples
    --------
    >>> coverage_gaps(streets, images, min_length=50).to_file("trip.gpkg")
    """
    measured = measure(streets, frames.lonlat(images), {}, srid=srid, distance=distance, by=(), force_srid=force_srid)
    gaps = measured.gaps(min_length)
    gaps.attrs["attribution"] = _attribution(streets, images)
    return gaps


def _attribution(streets: gpd.GeoDataFrame, images: gpd.GeoDataFrame) -> list[str]:
    sources = [*images.attrs.get("attribution", [frames.MAPILLARY]), *streets.attrs.get("attribution", [])]
    return list(dict.fromkeys(sources))
