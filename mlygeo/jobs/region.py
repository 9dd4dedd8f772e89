"""The jobs on a region: its tiles, its streets, and the selection of images along them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

from mlygeo.errors import FrameError, InputError, RegionError
from mlygeo.pipelines import inputs
from mlygeo.pipelines.inputs import Fetching, counted
from mlygeo.pipelines.job import Job, version

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.progress import Progress
    from mlygeo.regions import Region, RegionLike
    from mlygeo.store import FrameLike
    from mlygeo.store.points import Points

log = logging.getLogger("mlygeo.jobs")


def tiles(
    region: RegionLike,
    *,
    tiles_only: bool,
    dry_run: bool,
    progress: Progress | None,
    **options: Any,
) -> Job:
    """Do what `tiles` says."""
    from mlygeo import frames, regions, store
    from mlygeo.store.points import TablePoints, as_frame, keep

    place, config = regions.settle(region)
    if place is None:
        raise RegionError("no region", hint=inputs.NO_REGION)
    conditions = frames.conditions_of(**{name: options.pop(name) for name in inputs.FILTERS})
    fetching = Fetching(place, config, progress=progress, **options)
    if dry_run:
        plan = fetching.plan()
        return _tiles_listed(fetching.fetch(dry_run=True), f"{plan}; nothing was fetched", [])
    if tiles_only:
        tiles = fetching.fetch()
        return _tiles_listed(
            tiles, f"{counted(len(tiles), 'tile')} in {fetching.cache}{fetching.warning}", fetching.failed
        )
    everything = TablePoints(fetching.images(), "the images", fetching.attrs)
    kept = keep(everything, region=None, conditions=conditions)
    summary = {
        "region": inputs.region_summary(place),
        "tiles": fetching.summary,
        "images": len(kept),
        "images_filtered_out": len(everything) - len(kept),
        **fetching.attrs,
        "version": version(),
    }

    def make_frame() -> gpd.GeoDataFrame:
        images = as_frame(kept, frames.IMAGES)
        images.attrs = dict(fetching.attrs)
        return images

    def write(path: Path) -> list[Path]:
        files = [store.write_frame(make_frame(), path)]
        return files + inputs.write_failed(fetching.failed, path.parent)

    headline = f"{counted(len(kept), 'image')} in {counted(fetching.summary['tiles'], 'tile')}{fetching.warning}"
    return Job(make_frame, summary, headline, write, fetching.failed)


def streets(
    region: RegionLike | None,
    *,
    streets: FrameLike | None,
    interval: float,
    srid: int | None,
    method: Literal["even", "percept"],
    retain_all: bool,
    force_srid: bool,
    progress: Progress | None,  # noqa: ARG001 - OSMnx shows none; kept for the twin
) -> Job:
    """Do what `streets` says."""
    from mlygeo import regions, store

    place, _ = regions.settle(region)
    if place is None and streets is None:
        raise RegionError("no region", hint=inputs.NO_REGION)
    network = inputs.network(place, streets, retain_all=retain_all)
    points = _street_points(network, interval=interval, srid=srid, method=method, force_srid=force_srid)
    facts = points.attrs["street_points"]
    summary = {
        "region": None if place is None else inputs.region_summary(place),
        "streets": network.attrs.get("streets", {}),
        "street_points": facts,
        "attribution": points.attrs.get("attribution", []),
        "version": version(),
    }
    return Job(lambda: points, summary, _points_headline(facts), lambda path: [store.write_frame(points, path)])


def select(
    region: RegionLike | None,
    *,
    streets: FrameLike | None,
    points: FrameLike | None,
    images: FrameLike | None,
    interval: float,
    srid: int | None,
    method: Literal["even", "percept"],
    max_distance: float | None,
    k: int,
    unique: bool,
    max_heading_difference: float | None,
    retain_all: bool,
    force_srid: bool,
    progress: Progress | None,
    **options: Any,
) -> Job:
    """Do what `select` says."""
    from mlygeo import frames, regions
    from mlygeo.pipelines.selection import Selection
    from mlygeo.spatial import nearest
    from mlygeo.store.points import FramePoints, TablePoints, keep

    if points is not None and streets is not None:
        raise InputError("--points and --streets both say where to look", hint="give one of them")
    nearest.check_options(max_distance=max_distance, k=k, max_heading_difference=max_heading_difference)
    max_distance = None if max_distance == float("inf") else max_distance
    conditions = frames.conditions_of(**{name: options.pop(name) for name in inputs.FILTERS})
    place, config = regions.settle(region)
    if place is None and points is None and streets is None:
        raise RegionError("no region", hint=inputs.NO_REGION)

    at_hand: Points | None = None if images is None else inputs.open_images(images, conditions)
    network_facts: dict[str, Any] = {}
    target: Points
    if points is not None:
        target = _open_points(points, place)
    else:
        network = inputs.network(place, streets, retain_all=retain_all)
        laid = _street_points(network, interval=interval, srid=srid, method=method, force_srid=force_srid)
        network_facts = {"streets": network.attrs.get("streets", {}), "street_points": laid.attrs["street_points"]}
        target = FramePoints(laid, "the street points")
    projection = inputs.projection(place, target, srid=srid, force_srid=force_srid)

    fetching = None
    if at_hand is None:
        fetching = Fetching(place or inputs.surroundings(target, max_distance), config, progress=progress, **options)
        at_hand = TablePoints(fetching.images(), "the images", fetching.attrs)
    candidates = keep(at_hand, region=place, conditions=conditions)
    if not len(candidates):
        inputs.warn_of_nothing(at_hand, place)
    selection = Selection.match(
        target,
        candidates,
        projection=projection,
        max_distance=max_distance,
        k=k,
        unique=unique,
        max_heading_difference=max_heading_difference,
    )
    summary = {
        "region": None if place is None else inputs.region_summary(place),
        "srid": projection.srid,
        "interval_m": None if points is not None else interval,
        "method": None if points is not None else method,
        "max_distance_m": max_distance,
        **selection.facts,
        "images_considered": len(candidates),
        "tiles": None if fetching is None else fetching.summary,
        **network_facts,
        "attribution": selection.attribution(),
        "version": version(),
    }
    failed = [] if fetching is None else fetching.failed
    headline = selection.headline(max_distance, of_streets=points is None)
    if network_facts.get("street_points", {}).get("share_without_point"):
        headline += f"; {network_facts['street_points']['share_without_point']:.1%} of the street length got no point"
    if fetching is not None:
        headline += fetching.warning

    def write(folder: Path) -> list[Path]:
        return selection.write(folder, summary) + inputs.write_failed(failed, folder)

    return Job(selection.frame, summary, headline, write, failed, selection.ids)


def _tiles_listed(tiles: gpd.GeoDataFrame, headline: str, failed: list[str]) -> Job:
    counts = {str(status): int(count) for status, count in tiles["status"].value_counts().items()}
    summary = {"tiles": len(tiles), **counts, "failed_tiles": failed}
    return Job(lambda: tiles, summary, headline, lambda path: inputs.write_failed(failed, path.parent), failed)


def _street_points(network: gpd.GeoDataFrame, **options: Any) -> gpd.GeoDataFrame:
    from mlygeo.spatial import streets as step

    return step.street_points(network, **options)


def _points_headline(facts: dict[str, Any]) -> str:
    share = facts["share_without_point"]
    text = f"{counted(facts['points'], 'street point')} on {facts['length_m'] / 1000:,.1f} km of streets"
    return text if not share else f"{text}; {share:.1%} of the street length got no point"


def _open_points(points: FrameLike, region: Region | None) -> Points:
    """Open a user's own points; those outside the region are left out."""
    from mlygeo import regions
    from mlygeo.spatial import geodesy
    from mlygeo.store.points import keep, open_points

    everything = open_points(points, name="the points")
    if not len(everything):
        raise FrameError(f"{everything.name} holds no point")
    kept = keep(everything, region=region, conditions={})
    if not len(kept) and region is not None:
        hint = regions.elsewhere(region, geodesy.bounds(*everything.lonlat))
        raise RegionError(f"no point of {everything.name} lies in {region.name}", hint=hint)
    return kept
