"""How much of the streets has imagery, as a function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mlygeo.jobs import job_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from datetime import datetime

    import geopandas as gpd

    from mlygeo.net.http import Service
    from mlygeo.progress import Progress
    from mlygeo.regions import RegionLike
    from mlygeo.store import FrameLike

    PathLike = str | os.PathLike[str]


def coverage(
    region: RegionLike | None = None,
    *,
    streets: FrameLike | None = None,
    images: FrameLike | None = None,
    distance: float = 20.0,
    by: Iterable[Literal["highway", "year", "pano", "creator"]] | None = None,
    min_gap: float = 20.0,
    srid: int | None = None,
    pano: bool | None = None,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    creator: int | str | Iterable[int | str] | None = None,
    organization: int | str | Iterable[int | str] | None = None,
    min_quality: float | None = None,
    tile_list_file: PathLike | None = None,
    tile_cache: PathLike | None = None,
    computed: bool = False,
    overwrite: bool = False,
    max_age: float | None = None,
    workers: int = 4,
    retain_all: bool = False,
    force_srid: bool = False,
    token: str | None = None,
    token_file: PathLike | None = None,
    service: Service | None = None,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Measure which share of the street length has imagery near it, how new it is, and where it lacks.

    A place on a street is covered if an image lies within the distance of it. Covered lengths are
    exact, and each street counts once (the two directions of an edge are one line). The summary
    tells them by street class, year of capture, panorama or not, and contributor; a place that has
    images of two years counts for both.

    Parameters
    ----------
    region
        A `Region`, a bounding box (west, south, east, north), a configuration file, a polygon
        file or a shapely polygon. Without one, the streets or points say where.
    streets
        Streets frame, or a file of streets: .osm.pbf, .osm, .osm.gz, .osm.bz2, .graphml or any
        vector file of lines. Default: OpenStreetMap, asked over the network.
    images
        Images frame, or a file of images with an `id`, instead of the region's vector tiles.
    distance
        Largest distance from a place on a street to an image, metres; an image just there counts.
    by
        Tell covered lengths apart by this; may be given several times. Default: by everything that
        the images know.
    min_gap
        Leave out gaps shorter than this, metres.
    srid
        EPSG code of the projected CRS to measure in. Default: the UTM zone of the streets.
    pano
        Take only panoramas, or only flat pictures.
    since
        Take images captured at or after this time (ISO 8601, UTC).
    until
        Take images captured before this time; a date without a time includes that day.
    creator
        Take images of this creator (id); may be given several times.
    organization
        Take images of this organization (id); may be given several times.
    min_quality
        Take images of at least this quality score, 0 to 1.
    tile_list_file
        Work only on the tiles named in this file, a cache file name a line.
    tile_cache
        Folder of the tile cache; raw vector tiles, or the GeoJSON files that
        percept-vsvi-filter left. Default: the configuration file's, else the user's cache folder.
    computed
        Take positions after 3D reconstruction instead of the original ones.
    overwrite
        Fetch every tile anew.
    max_age
        Fetch tiles anew that are older than so many days.
    workers
        How many tiles to fetch at once.
    retain_all
        Keep street networks that are not connected with the largest one.
    force_srid
        Go on although the region lies outside the CRS's area of use.
    token
        Access token. Better in a file or in the environment, where no other user can see it.
    token_file
        File with the access token. Default: the environment (MAPILLARY_ACCESS_TOKEN), then
        token.txt here, then token.txt in the user's configuration folder.
    service
        The service to speak to; made from the above unless given.
    progress
        Where progress is shown; None shows none.

    Returns
    -------
    coverage
        Coverage frame, a row for each street: its length_m, covered_m, share_covered, images near
        it and the newest of them. `attrs["summary"]` holds the sums; `mlygeo.coverage_gaps` gives
        the gaps as lines, which the verb writes too.

    Raises
    ------
    InputError
        If an option makes no sense, or the CRS cannot serve the region.
    FrameError
        If the images lack a column that a filter or `by` asks for.
    CredentialsError
        If tiles have to be fetched and there is no token.
    ServiceError
        If the service refuses the token or the address.

    Examples
    --------
    >>> coverage("stuttgart_config.json", streets="edges.gpkg", distance=15, by=["year"])
    """
    return job_of("coverage")(**locals()).result
