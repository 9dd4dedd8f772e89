"""The coverage of streets with imagery."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal, cast

from mlygeo.errors import FrameError, InputError, RegionError
from mlygeo.pipelines.arguments import of_no_use, was_given
from mlygeo.pipelines.job import Job, public, version
from mlygeo.pipelines.options import Access, Filters, Plane, Spread, TileOptions

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from concurrent.futures import Executor
    from datetime import datetime
    from pathlib import Path

    import geopandas as gpd
    from distributed import Client

    from mlygeo.net.http import Service
    from mlygeo.progress import Progress
    from mlygeo.regions import Region, RegionLike
    from mlygeo.spatial.comparison import Side
    from mlygeo.store import FrameLike
    from mlygeo.store.point_sources import Points

    PathLike = str | os.PathLike[str]

BY = ("highway", "district", "year", "season", "weekday", "hour", "pano", "creator", "provider")
"""Groupings of covered lengths; the first two are of the streets, the others of the images."""

IN_ZONE = ("season", "weekday", "hour")
"""Those of them that are in a time zone."""


@public
def coverage(
    region: RegionLike | None = None,
    *,
    streets: FrameLike | None = None,
    images: FrameLike | None = None,
    distance: float = 20.0,
    by: Iterable[Literal["highway", "district", "year", "season", "weekday", "hour", "pano", "creator", "provider"]]
    | None = None,
    time_zone: str | None = None,
    districts: FrameLike | None = None,
    district_name: str | None = None,
    cells: str | None = None,
    compare: Iterable[str] | None = None,
    expected: bool = False,
    min_gap: float = 20.0,
    srid: int | None = None,
    pano: bool | None = None,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    creator: int | str | Iterable[int | str] | None = None,
    organization: int | str | Iterable[int | str] | None = None,
    min_quality: float | None = None,
    where: str | None = None,
    tile_list_file: PathLike | Iterable[PathLike] | None = None,
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
    provider: str | Iterable[str] | None = None,
    endpoint: str | None = None,
    scheduler: str | None = None,
    executor: Executor | None = None,
    client: Client | None = None,
    part: str | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Measure which share of the street length has images nearby, how recent they are, and where there are none.

    A place on a street is covered if an image is within the distance of it. Covered lengths are exact, and each
    street counts once (the two directions of an edge are one line). The summary gives them by street class, year of
    capture, panorama or not, contributor and provider; with a time zone also by season, weekday and hour. A place
    with images from two years counts for both. The summary also shows how unevenly contributors took images: Gini
    coefficient, effective number and largest share.

    Parameters
    ----------
    distance
        Largest distance from a place on a street to an image, metres, inclusive.
    by
        Report covered lengths separately by this. Can be given several times. Default: by everything that the
        images have; by season, weekday and hour only with `time_zone`, by district only with `districts`.
    time_zone
        Time zone for season, weekday and hour: "local" is the zone of the place of each image, and the default if
        `by` needs a zone; a name of the IANA database such as Europe/Berlin; UTC; or "solar", the mean solar time
        at the place of each image. Seasons are meteorological: winter is December to February north of the equator,
        June to August south of it.
    districts
        File of polygons of districts (in Python also a frame). Streets are cut at their borders, and images count
        for the district they are in. Streets and images outside all districts are reported, too.
    district_name
        Column with the names of the districts; districts with the same name are one. Default: name.
    cells
        Report lengths, coverage and images in cells of the world: quadkey17 for web map tiles of zoom 17, h3:9 for
        H3 hexagons of resolution 9 (these need mlygeo[cells]).
    compare
        Compare what two sides cover, street by street; give it twice, once for each side. A side is a period in ISO
        8601, UTC (2021, 2021-06 or 2019/2021; ../2021 is everything until its end, 2022/.. everything from its
        start), a provider, or a file of images, such as downloads of two dates, given instead of `images`. All
        other results are for both sides together. Images on neither side count for all other results.
    expected
        Compare the number of images near streets with the number expected from the length of streets, by the class
        of the street nearest to each image, and by district. The ratio has a 95 % interval. It treats sequences as
        the sampled units, since the images of a sequence are not independent.
    min_gap
        Ignore gaps shorter than this, metres.
    srid
        EPSG code of the projected CRS for measuring distances. Default: the UTM zone of the streets.
    dry_run
        For a dataset of images: do nothing, and report into how many parts the streets are divided, and the memory
        and time needed.

    Returns
    -------
    coverage
        Coverage frame, a row for each street: its length_m, covered_m, share_covered, images near it and the newest
        of them. `attrs["summary"]` has the sums; `mlygeo.coverage_gaps` returns the gaps as lines, which the verb
        also writes. With `dry_run` the parts of the work (cell, streets, images, memory, seconds); with `part` only
        the summary.

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
    import pyarrow as pa

    from mlygeo import frames, regions, store
    from mlygeo.parts import coverage as parts
    from mlygeo.parts import images as datasets
    from mlygeo.pipelines import inputs, parted_coverage, provenance, spreading, versions
    from mlygeo.pipelines.coverage_asked import Asked
    from mlygeo.pipelines.coverage_results import Considered, Results
    from mlygeo.pipelines.districts import read as read_districts
    from mlygeo.pipelines.sides import files as named_files
    from mlygeo.pipelines.sides import read as read_sides
    from mlygeo.spatial import cell_areas, coverage_classes
    from mlygeo.spatial import coverage as step
    from mlygeo.store.point_sources import TablePoints
    from mlygeo.store.points import form_of, keep

    filters = Filters(
        pano=pano,
        since=since,
        until=until,
        creator=creator,
        organization=organization,
        min_quality=min_quality,
        where=where,
    )
    tile_options = TileOptions(
        tile_list_file=tile_list_file,
        tile_cache=tile_cache,
        computed=computed,
        overwrite=overwrite,
        max_age=max_age,
        workers=workers,
        geojson=False,
    )
    access = Access(token=token, token_file=token_file, service=service, provider=provider, endpoint=endpoint)
    step.check_options(distance=distance, min_gap=min_gap)
    of_files = named_files(compare)
    if of_files is not None:
        if images is not None:
            raise InputError("`images` has no effect with two files in `compare`", hint="leave `images` out")
        images = cast("FrameLike", [*of_files])
    Plane(srid=srid, force_srid=force_srid).check()
    dataset = None if images is None or of_files is not None else datasets.dataset_of(images)
    spread = Spread(scheduler=scheduler, executor=executor, client=client, part=part)
    if dataset is None:
        of_no_use([*inspect.get_annotations(Spread), "dry_run"], "without a dataset as `images`")
    if images is not None:
        kept = {"workers"} if dataset is not None else set()
        beside = "with `images`" if of_files is None else "with two files in `compare`"
        of_no_use([name for name in inspect.get_annotations(TileOptions) if name not in kept], beside)
        of_no_use(Access, beside)
    wanted = _names(by, time_zone, districts)
    time_zone = coverage_classes.time_zone_of(wanted, time_zone)
    sides = None if of_files is not None else read_sides(compare)
    if cells is not None:
        cell_areas.of(cells)
    if districts is None:
        of_no_use(("district_name",), "without `districts`")
    if not {"highway", "district"} & {*wanted}:
        of_no_use(("expected",), "without highway or district in `by`")
    conditions = filters.conditions()
    place, config = regions.settle(region)
    if place is None and streets is None:
        raise RegionError("no region", hint=inputs.NO_REGION)
    at_hand: Points | None = None
    if dataset is not None:
        frames.columns_for(conditions, dataset.empty.columns)
    elif images is not None:
        at_hand = inputs.open_images(images, conditions)
    network = inputs.network(place, streets, retain_all=retain_all)

    fetching, parted = None, None
    given: dict[str, tuple[Any, int]] = {"streets": (streets, len(network))}

    def check_sides(columns: Iterable[str]) -> None:
        for side in sides or ():
            name = "captured_at" if side.provider is None else "provider"
            if name not in columns:
                raise FrameError(f"the images have no column '{name}', which `compare={side.text!r}` asks for")

    def asked_of(names: tuple[str, ...], columns: Iterable[str]) -> Asked:
        in_sequences = "sequence_id" in columns
        return Asked(distance, names, time_zone, min_gap, parted, cells, sides, expected, in_sequences)

    def summed(told: dict[str, Any], considered: Considered) -> dict[str, Any]:
        return {
            "region": None if place is None else inputs.region_summary(place),
            **told,
            "filters": provenance.shown(conditions),
            "images_considered": considered.count,
            **({"providers": considered.shares} if considered.shares else {}),
            "left_out": considered.left_out,
            "problems": considered.doubts,
            "inputs": provenance.inputs_of(given),
            "tiles": None if fetching is None else fetching.summary,
            "network": network.attrs.get("streets", {}),
            "attribution": considered.attribution,
            "software": versions.software(shapes=True),
            "date": provenance.today(),
            "version": version(),
        }

    left_out = inputs.left_out_around(place, network.attrs.get("left_out"))
    if districts is not None:
        parted = read_districts(districts, district_name)
        given["districts"] = districts, parted.rows
        left_out |= {f"districts: {reason}": count for reason, count in parted.left_out.items()}
    if dataset is not None:
        given["images"] = images, dataset.index.rows
        check_sides(dataset.empty.columns)
        names = _measurable(wanted, dataset.empty, asked=by is not None)
        return parted_coverage.coverage(
            step.lay(network, srid, force_srid=force_srid), dataset,
            asked_of(names, dataset.empty.columns),
            one_provider_is_told=by is not None, conditions=conditions, spread=spread,
            workers=workers if was_given("workers") else None, dry_run=dry_run, left_out=left_out,
            credited=frames.credited(network.attrs), summed=summed, progress=progress,
        )  # fmt: skip
    if at_hand is None:
        around = _around(place, network, distance)
        fetching = inputs.fetching(around, config, tiles=tile_options, access=access, progress=progress)
        at_hand = TablePoints(fetching.images(), "the images", fetching.attrs)
    given["images"] = images, len(at_hand)
    # An image beyond the region's border may be near a street inside, so images are not cut there.
    candidates = keep(at_hand, region=None, conditions=conditions)
    if not len(candidates):
        inputs.warn_of_nothing(at_hand, None)
    left_out |= inputs.left_out_of(at_hand, candidates, "images", cut="by the filters")
    candidates, again, repeated = inputs.each_once(candidates)
    check_sides(candidates.columns)
    if of_files is not None:
        sides = _sides_of(of_files, conditions)
    names = _measurable(wanted, candidates, asked=by is not None)
    if by is None and "provider" in names and len(candidates.arrow("provider").unique()) < 2:
        names = tuple(name for name in names if name != "provider")  # a table of one row, which says nothing
    asked = Asked(
        distance, names, time_zone, min_gap, parted, cells, sides, expected, "sequence_id" in candidates.columns
    )
    looked_at = parts.columns_for(candidates, asked.grouped, asked.expected, sides or ())
    table = pa.table({name: candidates.arrow(name) for name in looked_at})
    measured = step.measure(
        network, candidates.lonlat, parts.columns_of(table, form_of(candidates, frames.IMAGES), candidates.name),
        srid=srid, distance=distance, by=asked.grouped, time_zone=time_zone, nearest=expected, sides=sides or (),
        force_srid=force_srid,
    )  # fmt: skip
    considered = Considered(
        len(candidates),
        left_out | again,
        inputs.doubts_of(at_hand, "images") | repeated.problems,
        inputs.shares_of(candidates, () if fetching is None else fetching.providers),
        list(dict.fromkeys([*inputs.credited(candidates), *frames.credited(network.attrs)])),
    )
    results = Results(measured, asked, considered, summed)
    failed = [] if fetching is None else fetching.failed

    def write(folder: Path) -> list[Path]:
        files = results.write(folder, failed, job.call)
        if not store.names_file(folder):
            spreading.forget(folder, parts.STEP)
        return files

    job = Job(
        results.frame,
        results.summary,
        results.headline + ("" if fetching is None else fetching.warning),
        write,
        failed,
        text=results.printed,
    )
    return job


def _sides_of(files: tuple[str, str], conditions: dict[str, Any]) -> tuple[Side, Side]:
    """Return the sides of two files of images: those of each that meet the conditions, each image once."""
    from mlygeo.pipelines import inputs
    from mlygeo.pipelines.sides import names_of
    from mlygeo.spatial.comparison import Side
    from mlygeo.store.points import keep

    found = []
    for file, name in zip(files, names_of(files), strict=True):
        kept = keep(inputs.open_images(file, conditions), region=None, conditions=conditions)
        found.append(Side(name, lonlat=inputs.each_once(kept)[0].lonlat))
    return found[0], found[1]


def _names(by: Iterable[str] | None, time_zone: str | None, districts: object) -> tuple[str, ...]:
    if by is None:
        without = (() if time_zone is not None else IN_ZONE) + (() if districts is not None else ("district",))
        return tuple(name for name in BY if name not in without)
    names = tuple(dict.fromkeys([by] if isinstance(by, str) else by))
    if odd := [name for name in names if name not in BY]:
        raise InputError(f"`by` is one of {', '.join(BY)}, not {odd[0]!r}")
    if "district" in names and districts is None:
        raise InputError("`by='district'` needs `districts`", hint="name a file of polygons")
    if districts is not None and "district" not in names:
        of_no_use(("districts",), "without district in `by`")
    return names


def _measurable(names: tuple[str, ...], images: Points, *, asked: bool) -> tuple[str, ...]:
    """Return the names for which the images have a column; raise if a requested one is missing."""
    from mlygeo.spatial.coverage_classes import BY

    missing = [name for name in names if name in BY and BY[name] not in images.columns]
    if missing and asked:
        raise FrameError(
            f"{images.name} has no column '{BY[missing[0]]}', which `by={missing[0]!r}` asks for",
            hint=f"it has {', '.join(images.columns) or 'none but the geometry'}",
        )
    return tuple(name for name in names if name not in missing)


def _around(place: Region | None, network: gpd.GeoDataFrame, distance: float) -> Region:
    """Return the region whose images may be near the streets."""
    from mlygeo import regions

    if place is not None and place.is_box:
        return regions.widened(place.bounds, distance, name=place.name)
    if place is not None:
        # A little more than the distance, for the buffer is right to a thousandth.
        return place.buffered(min(max(1.002 * distance, 0.01), 1e6))
    from mlygeo.pipelines.inputs import all_coordinates
    from mlygeo.spatial import areas

    lon, lat = all_coordinates(network)
    bounds = areas.bounds(lon, lat)
    if bounds is None:
        raise FrameError("there is no street")
    return regions.widened(bounds, distance, name="the surroundings of the streets")
