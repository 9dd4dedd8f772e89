"""From a region to its images, its street points, and a selection."""

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


def tiles(
    region: RegionLike,
    *,
    tile_list_file: PathLike | None = None,
    tile_cache: PathLike | None = None,
    computed: bool = False,
    overwrite: bool = False,
    max_age: float | None = None,
    workers: int = 4,
    tiles_only: bool = False,
    dry_run: bool = False,
    pano: bool | None = None,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    creator: int | str | Iterable[int | str] | None = None,
    organization: int | str | Iterable[int | str] | None = None,
    min_quality: float | None = None,
    token: str | None = None,
    token_file: PathLike | None = None,
    service: Service | None = None,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Fetch the vector tiles of a region, and return the images in them.

    Tiles that are in the cache are not fetched again, so a second run is free and an interrupted
    one goes on where it stopped. A tile that cannot be fetched is reported, never taken for
    empty.

    Parameters
    ----------
    region
        A `Region`, a bounding box (west, south, east, north), a configuration file, a polygon
        file or a shapely polygon.
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
    tiles_only
        Only fill the cache; return the tiles with their status instead of the images.
    dry_run
        Fetch nothing; say what would be fetched, and how long it would take.
    pano
        Keep only panoramas, or only flat pictures.
    since
        Keep images captured at or after this time (ISO 8601, UTC).
    until
        Keep images captured before this time; a date without a time includes that day.
    creator
        Keep images of this creator (id); may be given several times.
    organization
        Keep images of this organization (id); may be given several times.
    min_quality
        Keep images of at least this quality score, 0 to 1.
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
    images
        Images frame, sorted by id; with `tiles_only` or `dry_run` the tiles frame (x, y, zoom,
        path, status, error).

    Raises
    ------
    RegionError
        If the region makes no sense.
    CredentialsError
        If tiles have to be fetched and there is no token.
    ServiceError
        If the service refuses the token or the address.
    FormatError
        If a tile in the cache is damaged and cannot be fetched again.

    Examples
    --------
    >>> tiles((9.16, 48.76, 9.18, 48.78), since="2024-01-01")
    """
    return job_of("tiles")(**locals()).frame


def streets(
    region: RegionLike | None = None,
    *,
    streets: FrameLike | None = None,
    interval: float = 50.0,
    srid: int | None = None,
    method: Literal["even", "percept"] = "even",
    retain_all: bool = False,
    force_srid: bool = False,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Lay a point every so many metres along every street of a region.

    Parameters
    ----------
    region
        A `Region`, a bounding box (west, south, east, north), a configuration file, a polygon
        file or a shapely polygon. Not needed where the file of streets is all that is wanted.
    streets
        Streets frame, or a file of streets: .osm.pbf, .osm, .osm.gz, .osm.bz2, .graphml or any
        vector file of lines. Default: OpenStreetMap, asked over the network.
    interval
        Distance between points, metres.
    srid
        EPSG code of the projected CRS to measure in. Default: the UTM zone of the region.
    method
        "even": points in the middles of equal parts of every street, so that every place on a
        street is within the interval of a point. "percept": as percept-vsvi-filter makes them,
        which leaves out streets shorter than the interval.
    retain_all
        Keep street networks that are not connected with the largest one.
    force_srid
        Go on although the region lies outside the CRS's area of use.
    progress
        Where progress is shown; None shows none.

    Returns
    -------
    street_points
        Street points frame. `attrs["street_points"]` says how long the streets are, and which
        share of them got no point.

    Raises
    ------
    RegionError
        If the region makes no sense, or has no street.
    CrsError
        If the CRS cannot serve the region.

    Examples
    --------
    >>> streets("myconfig.json", interval=50, srid=28992, method="percept")
    """
    return job_of("streets")(**locals()).frame


def select(
    region: RegionLike | None = None,
    *,
    streets: FrameLike | None = None,
    points: FrameLike | None = None,
    images: FrameLike | None = None,
    interval: float = 50.0,
    srid: int | None = None,
    method: Literal["even", "percept"] = "even",
    max_distance: float | None = 100.0,
    k: int = 1,
    unique: bool = False,
    max_heading_difference: float | None = None,
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
    Select the nearest image for a point every so many metres along every street.

    Parameters
    ----------
    region
        A `Region`, a bounding box (west, south, east, north), a configuration file, a polygon
        file or a shapely polygon. Without one, the streets or points say where.
    streets
        Streets frame, or a file of streets: .osm.pbf, .osm, .osm.gz, .osm.bz2, .graphml or any
        vector file of lines. Default: OpenStreetMap, asked over the network.
    points
        Points frame, or a file of points of your own instead of street points: any vector file
        or GPX.
    images
        Images frame, or a file of images with an `id`, instead of the region's vector tiles.
    interval
        Distance between street points, metres.
    srid
        EPSG code of the projected CRS to measure in. Default: the UTM zone of the region.
    method
        "even": points in the middles of equal parts of every street, so that every place on a
        street is within the interval of a point. "percept": as percept-vsvi-filter makes them,
        which leaves out streets shorter than the interval.
    max_distance
        Largest distance from point to image, metres; an image just there counts. None ("inf" on
        the command line) sets no limit.
    k
        How many images for each point.
    unique
        Let each image serve one point only.
    max_heading_difference
        Largest angle between camera and street, degrees, either way along the street;
        panoramas look every way and always pass.
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
    selection
        Selection frame, sorted by point and rank; points without an image in reach have no row.
        `attrs["summary"]` holds the summary.

    Raises
    ------
    InputError
        If an option makes no sense, or the CRS cannot serve the region.
    FrameError
        If the images have no ids, or lack a column that a filter asks for.
    CredentialsError
        If tiles have to be fetched and there is no token.
    ServiceError
        If the service refuses the token or the address.

    Examples
    --------
    >>> select("stuttgart_config.json", streets="edges.gpkg", interval=50, srid=25832)
    """
    return job_of("select")(**locals()).frame
