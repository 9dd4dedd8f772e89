"""What jobs take in: files, the service, a region's streets and images; and what they say of failed tiles."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FrameError, RegionError

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.config import Config
    from mlygeo.net.http import Service
    from mlygeo.regions import Region
    from mlygeo.spatial.geodesy import Projection
    from mlygeo.store import FrameLike
    from mlygeo.store.points import Points

log = logging.getLogger("mlygeo.jobs")

FILTERS = ("pano", "since", "until", "creator", "organization", "min_quality")
"""The options that filter images; see `mlygeo.filter_images`."""

NO_REGION = "give -c FILE, --bbox W,S,E,N, --region FILE or --place NAME"

FAILED_TILES = "failed_tiles.txt"
"""Names the tiles that could not be fetched; `--tile-list-file` takes it."""


def several(given: Any) -> list[Any]:
    """Return what may be given alone as a list: a path, several of them, or None."""
    if given is None:
        return []
    return [given] if isinstance(given, str | os.PathLike) else list(given)


def service_for(service: Service | None, token: str | None, token_file: Any, config: Config | None = None) -> Service:
    """
    Return the service that was given, else the one of the environment with the token named.

    Raises
    ------
    CredentialsError
        If there is no token.
    """
    from mlygeo.net.http import Service

    if service is not None:
        return service
    return Service.from_environment(token=token, token_file=token_file or (config.token_file if config else None))


def network(region: Region | None, streets: FrameLike | None, *, retain_all: bool) -> gpd.GeoDataFrame:
    """Return the streets of a region, or those at hand in it."""
    from mlygeo import frames, regions
    from mlygeo.readers.streets import street_network
    from mlygeo.spatial import geodesy

    if streets is not None and hasattr(streets, "geometry"):
        frames.check(streets, frames.STREETS)
        return streets
    try:
        return street_network(region, path=streets, retain_all=retain_all)
    except RegionError as error:
        if region is None or streets is None:
            raise
        whole = geodesy.bounds(*all_coordinates(street_network(path=streets, retain_all=True)))
        raise RegionError(str(error), hint=regions.elsewhere(region, whole)) from error


def open_images(images: FrameLike, conditions: dict[str, Any]) -> Points:
    """Open images at hand, which must have ids and what the filters ask for."""
    from mlygeo import frames
    from mlygeo.store.points import open_points

    opened = open_points(images, name="the images")
    if "id" not in opened.columns:
        raise FrameError(
            f"{opened.name} has no column 'id', so its images cannot be named"
            f" (it has {', '.join(opened.columns) or 'none but the geometry'})"
        )
    frames.columns_for(conditions, opened.columns)
    return opened


def surroundings(points: Points, max_distance: float | None) -> Region:
    """Return the box around points, as far as an image may lie."""
    from mlygeo import regions
    from mlygeo.spatial import geodesy

    bounds = geodesy.bounds(*points.lonlat)
    if bounds is None:
        raise FrameError(f"{points.name} holds no point with coordinates")
    return regions.widened(bounds, max_distance or 0.0, name=f"the surroundings of {points.name}")


def projection(region: Region | None, points: Points, *, srid: int | None, force_srid: bool) -> Projection:
    """Return the projection to measure in."""
    from mlygeo.spatial import geodesy

    bounds = geodesy.bounds(*points.lonlat) if region is None else region.bounds
    if bounds is None:
        raise FrameError(f"{points.name} holds no point with coordinates")
    if srid is None:
        return geodesy.projection(geodesy.utm_srid(*bounds))
    return geodesy.check_srid(srid, bounds, force=force_srid)


def warn_of_nothing(images: Points, region: Region | None) -> None:
    """Say why there is no image to choose from; an error where the cause is a mistake in the call."""
    from mlygeo import regions
    from mlygeo.spatial import geodesy

    if not len(images):
        log.warning("there is no image in %s", "the region" if region is None else region.name)
        return
    if region is not None and not region.contains(*images.lonlat).any():
        hint = regions.elsewhere(region, geodesy.bounds(*images.lonlat))
        raise RegionError(f"no image of {images.name} lies in {region.name}", hint=hint)
    log.warning("no image of %s passes the filters", images.name)


def region_summary(region: Region) -> dict[str, Any]:
    """Return what a summary says of a region."""
    return {"name": region.name, "bounds": list(region.bounds)}


def write_failed(failed: list[str], folder: Path) -> list[Path]:
    """Name the tiles that failed in a file, where there are any; return the file."""
    from mlygeo import store

    return [store.write_text("".join(f"{name}\n" for name in failed), folder / FAILED_TILES)] if failed else []


def all_coordinates(frame: gpd.GeoDataFrame) -> Any:
    """Return all longitudes and latitudes of a frame."""
    import shapely

    return shapely.get_coordinates(frame.geometry.values).T
