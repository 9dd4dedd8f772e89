"""From a region to its images, its street points, and a selection."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from mlygeo.errors import FormatError, FrameError, InputError, RegionError
from mlygeo.pipelines.arguments import called_with, of_no_use, user_call, was_given
from mlygeo.pipelines.job import Job, body_of, public, version
from mlygeo.pipelines.options import (
    Access,
    Filters,
    Matching,
    Plane,
    Preferring,
    Sampling,
    Spread,
    StreetPoints,
    TileOptions,
    Towards,
)
from mlygeo.progress import counted, running

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Executor
    from datetime import datetime
    from pathlib import Path

    import geopandas as gpd
    from distributed import Client

    from mlygeo.keys import Key
    from mlygeo.net.http import Service
    from mlygeo.parts.points import GivenPoints
    from mlygeo.pipelines.options import Method, Per, StreetMethod
    from mlygeo.progress import Progress
    from mlygeo.regions import Region, RegionLike
    from mlygeo.spatial.best import Preference
    from mlygeo.spatial.designs import Design
    from mlygeo.spatial.projection import Projection
    from mlygeo.spatial.zones import Zones
    from mlygeo.store import FrameLike
    from mlygeo.store.point_sources import Points

    PathLike = str | os.PathLike[str]


@public
def tiles(
    region: RegionLike,
    output: PathLike | None = None,
    *,
    tile_list_file: PathLike | Iterable[PathLike] | None = None,
    tile_cache: PathLike | None = None,
    computed: bool = False,
    overwrite: bool = False,
    max_age: float | None = None,
    workers: int = 4,
    geojson: bool = False,
    tiles_only: bool = False,
    add: bool = False,
    rows_per_part: int | None = None,
    dry_run: bool = False,
    pano: bool | None = None,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    creator: int | str | Iterable[int | str] | None = None,
    organization: int | str | Iterable[int | str] | None = None,
    min_quality: float | None = None,
    where: str | None = None,
    token: str | None = None,
    token_file: PathLike | None = None,
    service: Service | None = None,
    provider: str | Iterable[str] | None = None,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Fetch the vector tiles of a region, and return the images in them.

    Cached tiles are not fetched again: a second run fetches nothing, and an interrupted run continues where it
    stopped. A tile that cannot be fetched is reported, and never counts as empty.

    For the images of a whole country, write a dataset: a folder with one part for each cell of the world, like those
    of `partition`. It has the same rows as the file of images, and writing it needs little memory. Repeat the command
    to update the dataset, or to continue a run that was killed.

    Parameters
    ----------
    region
        A bounding box (west, south, east, north), a `Region`, a configuration file, a file of polygons or a shapely
        polygon.
    output
        Folder for a dataset of the images. Default: the images are returned.
    tiles_only
        Only fill the cache, and return the tiles with their status instead of the images.
    add
        Write the images into an existing dataset. They replace images in the region that have the same id or have
        disappeared from their tiles. Images in tiles that could not be fetched, outside the region or excluded by
        filters stay. Only the parts concerned are rewritten.
    rows_per_part
        Largest number of rows in a part of a dataset. Default: the number that its existing parts have, else a
        million.
    dry_run
        Fetch nothing; report what would be fetched, and the time needed.

    Returns
    -------
    images
        Images frame, sorted by id; with `output` a row for each part of the dataset, with its box as geometry; with
        `tiles_only` or `dry_run` the tiles frame (x, y, zoom, path, status, error).

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
    FileError
        If `output` is not a dataset, or a dataset of other images.

    Examples
    --------
    >>> tiles((9.16, 48.76, 9.18, 48.78), since="2024-01-01")
    """
    from pathlib import Path

    from mlygeo import frames, regions
    from mlygeo.pipelines import inputs, provenance, tile_datasets, versions
    from mlygeo.pipelines.whose import shares_text
    from mlygeo.store.point_sources import TablePoints
    from mlygeo.store.points import as_frame, keep

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
        geojson=geojson,
    )
    access = Access(token=token, token_file=token_file, service=service, provider=provider, endpoint=endpoint)
    place, config = regions.settle(region)
    if place is None:
        raise RegionError("no region", hint=inputs.NO_REGION)
    if tiles_only:
        of_no_use(Filters, "with `tiles_only`")
        of_no_use(("output",), "with `tiles_only`")
    if output is None:
        of_no_use(("add", "rows_per_part"), "without a dataset as `output`")
    conditions = filters.conditions()
    fetching = inputs.fetching(place, config, tiles=tile_options, access=access, progress=progress)
    if dry_run:
        text, facts = "", dict[str, Any]()
        if output is not None:
            text, facts = tile_datasets.rehearsed(
                tile_datasets.Asked(fetching, place, conditions), Path(output), add=add, rows_per_part=rows_per_part
            )
        plan = fetching.plan()
        listed = _tiles_listed(fetching.fetch(dry_run=True), f"{plan}{text}; nothing was fetched", [])
        listed.summary |= facts
        return listed
    if tiles_only:
        listed = fetching.fetch()
        worked = counted(fetching.summary["tiles"], "tile")
        return _tiles_listed(listed, f"{worked} in {fetching.cache}{fetching.warning}", fetching.failed)

    def summed(known: dict[str, Any]) -> dict[str, Any]:
        return {
            "region": inputs.region_summary(place),
            "filters": provenance.shown(conditions),
            "tiles": fetching.summary,
            **known,
            "left_out": inputs.left_out_around(place) | known.get("left_out", {}),
            **fetching.attrs,
            "attribution": known["attribution"],
            "software": versions.software(shapes=True),
            "date": provenance.today(),
            "version": version(),
        }

    if output is not None:
        return tile_datasets.write(
            tile_datasets.Asked(fetching, place, conditions), Path(output), add=add, rows_per_part=rows_per_part,
            summed=summed, progress=progress,
        )  # fmt: skip
    everything = TablePoints(fetching.images(), "the images", fetching.attrs)
    kept = keep(everything, region=None, conditions=conditions)
    whose = inputs.shares_of(kept, fetching.providers)
    credited = inputs.credited(kept)
    summary = summed(
        {
            "images": len(kept),
            "images_filtered_out": len(everything) - len(kept),
            **({"providers": whose} if whose else {}),
            "attribution": credited,
        }
    )

    def make_frame() -> gpd.GeoDataFrame:
        images = as_frame(kept, frames.IMAGES)
        images.attrs = {**fetching.attrs, "attribution": credited}
        return images

    def write(path: Path) -> list[Path]:
        return inputs.write_failed(fetching.failed, path.parent)

    headline = f"{counted(len(kept), 'image')} in {counted(fetching.summary['tiles'], 'tile')}"
    headline += shares_text({name: facts["images"] for name, facts in whose.items()}) + fetching.warning
    return Job(make_frame, summary, headline, write, fetching.failed, as_file=True)


@public
def streets(
    region: RegionLike | None = None,
    output: PathLike | None = None,
    *,
    streets: FrameLike | None = None,
    interval: float = 50.0,
    srid: int | None = None,
    method: StreetMethod = "even",
    n: int | None = None,
    seed: int = 0,
    by: str | None = None,
    strata: FrameLike | None = None,
    cell: float | str | None = None,
    allocation: PathLike | Mapping[str, int] | None = None,
    n_streets: int | None = None,
    retain_all: bool = False,
    force_srid: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Put points along the streets of a region at a regular distance, or draw points at random.

    Points drawn at random ("random", "stratified", "grid", "per-street") have the columns `inclusion_probability` and
    `weight`: the probability that they are drawn, and the length of street that they represent. `estimate` uses these
    to estimate a share or mean of the streets with its error.

    Parameters
    ----------
    region
        A bounding box (west, south, east, north), a `Region`, a configuration file, a file of polygons or a shapely
        polygon. Not needed with a file of streets.
    output
        Folder for a dataset of the points, written part by part with bounded memory; only for the method "even".
        Streets are read in chunks if they are GeoParquet with the columns `u`, `v` and `key`. Default: the points
        are returned.
    interval
        Distance between points, metres.
    method
        "even" puts a point in the middle of equal parts of each street, so that every place on a street is within
        the interval of a point. "percept" lays the points of percept-vsvi-filter, which skips streets shorter than
        the interval. "random" draws `n` points anywhere on the streets. "stratified" draws points in each class of
        a column (`by`) or each polygon of a file (`strata`). "grid" draws points in each `cell`. "per-street" draws
        points on each street, or on `n_streets` streets.
    workers
        Number of processes that lay the points of a dataset. Default: one.

    Returns
    -------
    street_points
        Street points frame. `attrs["street_points"]` says how long the streets are, and which
        share of them got no point, or how points were drawn. Points that were drawn have `stratum`, `cluster` (with
        `n_streets`), `inclusion_probability` and `weight`. With `output` a row for each part of the dataset, with its
        box as geometry.

    Raises
    ------
    RegionError
        If the region makes no sense, or has no street.
    CrsError
        If the CRS cannot serve the region.
    FileError
        If `output` exists and is not a dataset of these points.
    InputError
        If an option has no effect with the method, or is missing; or if `output` is given with another method than
        `even`, whose points depend on all streets.
    FrameError
        If the streets have no column `by`, or the polygons of `strata` are damaged or overlap.

    Examples
    --------
    >>> streets("myconfig.json", interval=50, srid=28992, method="percept")
    """
    import os
    from pathlib import Path

    from mlygeo import regions, store
    from mlygeo.pipelines import inputs, networks, parted, provenance, street_datasets, versions
    from mlygeo.spatial import designs

    sampling = Sampling(n=n, seed=seed, by=by, strata=strata, cell=cell, allocation=allocation, n_streets=n_streets)
    laid, shared_out = None, None
    if method == "even" or method == "percept":  # noqa: PLR1714 - for the type checker
        laid = StreetPoints(interval=interval, method=method)
        of_no_use(Sampling, f"with `method={method}`")
    else:
        of_no_use(("interval",), f"with `method={method}`")
        shared_out = sampling.checked(method)
    plane = Plane(srid=srid, force_srid=force_srid)
    place, _ = regions.settle(region)
    if place is None and streets is None:
        raise RegionError("no region", hint=inputs.NO_REGION)
    plane.check()
    if output is None:
        of_no_use(("workers",), "without a dataset as `output`")

    of_design: dict[str, tuple[Any, int]] = {}
    if isinstance(allocation, str | os.PathLike) and not isinstance(shared_out, str):
        of_design["allocation"] = allocation, len(shared_out or ())

    def summed(found: dict[str, Any], counts: dict[str, int], rows: int, credited: list[str]) -> dict[str, Any]:
        return {
            "region": None if place is None else inputs.region_summary(place),
            "streets": found["streets"],
            "street_points": found["street_points"],
            "left_out": inputs.left_out_around(place, counts),
            "inputs": provenance.inputs_of({"streets": (streets, rows), **of_design}),
            "attribution": credited,
            "software": versions.software(shapes=True),
            "date": provenance.today(),
            "version": version(),
        }

    if output is not None:
        if laid is None:
            raise InputError(
                f"`method={method}` draws its points from all streets, and not part by part",
                hint="name a file as output",
            )
        parted.refuse_percept(laid, "as a dataset", hint="take `method=even`, or name a file as output")
        with running(progress):
            laying = networks.laying_of(place, streets, retain_all=retain_all, laid=laid, plane=plane)
        given = laying.streets
        return street_datasets.write(
            laying, Path(output), workers=workers, said=_points_headline, progress=progress,
            summed=lambda found: summed(found, given.left_out, len(given), given.attribution),
        )  # fmt: skip
    with running(progress):
        network = inputs.network(place, streets, retain_all=retain_all)
        if laid is not None:
            points = _street_points(network, laid, plane)
        else:
            shapes = None if strata is None else store.as_frame(strata, name="`strata`")
            of_design |= {} if shapes is None else {"strata": (strata, len(shapes))}
            points = designs.sample_streets(
                network, method=cast("Design", method), n=n, seed=seed, by=by, strata=shapes, cell=cell,
                allocation=shared_out, n_streets=n_streets, srid=srid, force_srid=force_srid,
            )  # fmt: skip
    facts = points.attrs["street_points"]
    summary = summed(
        {"streets": network.attrs.get("streets", {}), "street_points": facts}, network.attrs.get("left_out") or {},
        len(network), points.attrs.get("attribution", []),
    )  # fmt: skip
    return Job(
        lambda: points,
        summary,
        _points_headline(facts) + inputs.left_out_remark(summary["left_out"]),
        as_file=True,
    )


@public
def select(
    region: RegionLike | None = None,
    *,
    streets: FrameLike | None = None,
    points: FrameLike | None = None,
    images: FrameLike | None = None,
    interval: float = 50.0,
    srid: int | None = None,
    method: Method = "even",
    max_distance: float | None = 100.0,
    k: int = 1,
    unique: bool = False,
    max_heading_difference: float | None = None,
    prefer: PathLike | None = None,
    as_of: str | datetime | None = None,
    max_along: float | None = None,
    max_across: float | None = None,
    per: Per | None = None,
    towards: FrameLike | None = None,
    min_distance: float | None = None,
    apart: float | None = None,
    field_of_view: float | None = None,
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
    lock: PathLike | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Select the nearest image for each point, at regular distances along every street.

    Parameters
    ----------
    points
        File of your own points, in any vector format or GPX (in Python also a frame), used instead of street
        points.
    lock
        Repeat the selection of this lock, from the same inputs with the same options: selection.lock.json, or its
        folder. If an input has changed, an error is raised before anything is written.
    dry_run
        For a dataset of images: do nothing, and report the number of parts, whether this process handles them at
        once, and the memory and time needed.

    Returns
    -------
    selection
        Selection frame, sorted by point and rank; points without an image within the distance have no row.
        `attrs["summary"]` holds the summary. With `dry_run` the parts of the work (cell, points, images, memory,
        seconds, done); with `part` only the summary.

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
    from mlygeo import regions
    from mlygeo.parts import images as datasets
    from mlygeo.parts import looking as seeing
    from mlygeo.parts import preferred
    from mlygeo.parts.points import GivenPoints
    from mlygeo.pipelines import inputs, networks, own_files, parted, provenance, selection, selection_lock, versions
    from mlygeo.pipelines.whose import shares_text
    from mlygeo.readers import rules, things
    from mlygeo.store.point_sources import FramePoints, TablePoints
    from mlygeo.store.points import keep

    if lock is not None:
        return _again(lock, region, workers=workers, spread=(scheduler, executor, client, part), progress=progress)
    matching = Matching(max_distance=max_distance, k=k, unique=unique, max_heading_difference=max_heading_difference)
    aimed = Towards(towards=towards, min_distance=min_distance, apart=apart, field_of_view=field_of_view)
    aimed.check()
    looking = None if towards is None else aimed.looking(matching)
    preferring = Preferring(prefer=prefer, as_of=as_of, max_along=max_along, max_across=max_across, per=per)
    undated = preferring.preference(matching)  # raises before anything is read
    weights = {} if undated is None or undated.rule is None else undated.rule.weights
    if towards is not None and "same_sequence" in weights:
        raise InputError(
            "the term 'same_sequence' is not possible with `towards`: things have no neighbours along a street",
            hint="take a file of weights without it",
        )
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
    laid = StreetPoints(interval=interval, method=method)
    plane = Plane(srid=srid, force_srid=force_srid)
    if points is not None and streets is not None:
        raise InputError("`points` and `streets` both say where to look", hint="give one of them")
    plane.check()
    if points is not None:
        of_no_use(("interval", "method", "retain_all"), "with `points`")
    dataset = None if images is None else datasets.dataset_of(images)
    spread = Spread(scheduler=scheduler, executor=executor, client=client, part=part)
    if dataset is None:
        of_no_use([*inspect.get_annotations(Spread), "dry_run"], datasets.no_dataset(images))
    else:
        parted.check(spread, laid, given_points=points is not None or towards is not None)
    if images is not None:
        kept = {"workers"} if dataset is not None else set()
        of_no_use([name for name in inspect.get_annotations(TileOptions) if name not in kept], "with `images`")
        of_no_use(Access, "with `images`")
    conditions = filters.conditions()
    place, config = regions.settle(region)
    if place is None and points is None and streets is None and towards is None:
        raise RegionError("no region", hint=inputs.NO_REGION)

    at_hand: Points | None = None
    if images is not None and dataset is None:
        at_hand = inputs.open_images(images, conditions)
        inputs.load_ahead(len(at_hand))
    network_facts: dict[str, Any] = {}
    target: Points
    seen: things.Things | None = None
    given: dict[str, tuple[Any, int]] = {}
    weighed = None if prefer is None else rules.file_of(prefer)
    if weighed is not None and weighed.is_file():  # no pipe
        given["prefer"] = weighed, len(weights)
    known = at_hand if dataset is None else dataset.empty
    doubts: dict[str, int] = {} if known is None else inputs.doubts_of(known, "images")
    left_out = inputs.left_out_around(place)
    source: networks.AtHand | networks.Laying | None = None
    if points is not None and dataset is not None:
        given_points = _points_of_parts(points, place)
        source = networks.AtHand(given_points)
        found = given_points.found
        given["points"] = points, found.given
        doubts |= inputs.doubts_of(given_points.everything, "points")
        gone = found.unplaced - found.unplaced_kept if found.given > found.count else 0
        left_out |= inputs.left_out_counts(
            "points", given_points.attrs.get("left_out"), unplaced=found.unplaced,
            cut={"outside the region": found.given - found.count - gone},
        )  # fmt: skip
        target = given_points.edge
    elif towards is not None:
        seen = things.open_things(towards, place)
        given["towards"] = towards, seen.given
        left_out |= seen.left_out
        target = seen.points
    elif points is not None:
        everything, target = _open_points(points, place)
        given["points"] = points, len(everything)
        doubts |= inputs.doubts_of(everything, "points")
        left_out |= inputs.left_out_of(everything, target, "points", cut="outside the region")
    else:
        network: gpd.GeoDataFrame | networks.Laying
        if dataset is None:
            network = inputs.network(place, streets, retain_all=retain_all)
        else:
            network = networks.opened(place, streets, retain_all=retain_all, laid=laid, plane=plane)
        if isinstance(network, networks.Laying):
            source, network_facts = network, network.found
            left_out |= inputs.left_out_around(None, network.streets.left_out)
            given["streets"] = streets, len(network.streets)
        else:
            left_out |= inputs.left_out_around(None, network.attrs.get("left_out"))
            street_points = _street_points(network, laid, plane)
            network_facts = {
                "streets": network.attrs.get("streets", {}),
                "street_points": street_points.attrs["street_points"],
            }
            target = FramePoints(street_points, "the street points")
            given["streets"] = streets, len(network)
    projection: Projection | Zones
    if not isinstance(source, networks.Laying):
        projection = inputs.projection(place, target, srid=srid, force_srid=force_srid)

    def projected(found: GivenPoints) -> Projection | Zones:
        nonlocal projection
        if isinstance(source, networks.Laying):
            projection = inputs.projection(place, found.edge, srid=srid, force_srid=force_srid)
        return projection

    fetching = None
    of_streets = points is None and towards is None
    preference: Preference | None = None

    def summed(found: dict[str, Any], considered: int, credited: list[str]) -> dict[str, Any]:
        doubts.update(found.get("implausible", {}))
        found = {name: value for name, value in found.items() if name != "implausible"}
        return {
            "region": None if place is None else inputs.region_summary(place),
            "srid": projection.srid,
            "interval_m": interval if of_streets else None,
            "method": method if of_streets else None,
            "max_distance_m": matching.limit,
            "k": matching.k,
            "unique": matching.unique,
            "max_heading_difference": matching.max_heading_difference,
            **selection.preference_facts(preference),
            **selection.looking_facts(looking, field_of_view),
            "filters": provenance.shown(conditions),
            **found,
            "images_considered": considered,
            "left_out": left_out,
            "problems": doubts,
            "inputs": provenance.inputs_of(given),
            "tiles": None if fetching is None else fetching.summary,
            **network_facts,
            "attribution": credited,
            "software": versions.software(shapes=place is not None or points is None),
            "date": provenance.today(),
            "version": version(),
        }

    def said(summary: dict[str, Any], found: dict[str, Any]) -> str:
        if looking is not None:
            text = seeing.headline(found, looking.max_distance, preference)
        else:
            text = selection.headline(found, matching.limit, of_streets=of_streets, preference=preference)
        if more := shares_text({name: facts["images"] for name, facts in summary.get("providers", {}).items()}):
            text += f", images{more}"
        if network_facts.get("street_points", {}).get("share_without_point"):
            text += f"; {network_facts['street_points']['share_without_point']:.1%} of the street length got no point"
        text += inputs.left_out_remark(left_out) + inputs.problems_remark(doubts)
        return text if fetching is None else text + fetching.warning

    made_of = selection_lock.Lock(user_call(), place, given)
    if dataset is not None:
        if not was_given("workers") and not any(vars(spread).values()):
            inputs.load_ahead(dataset.index.rows)
        given["images"] = images if dataset.elsewhere is None else dataset.elsewhere, dataset.index.rows
        source = source or networks.AtHand(GivenPoints(target, shapes=None if seen is None else seen.shapes))
        preference = _dated(undated, lambda: preferred.newest_of(dataset))
        return parted.select(
            source.points, dataset, projection=projected, matching=matching, preference=preference,
            looks=None if looking is None else seeing.Looks(min_distance, apart, field_of_view), region=place,
            conditions=conditions,
            spread=spread, dry_run=dry_run, workers=workers if was_given("workers") else None, left_out=left_out,
            doubts=doubts, summed=summed, said=said, lock=made_of, progress=progress,
        )  # fmt: skip
    if at_hand is None:
        around = place or inputs.surroundings(
            target, None if matching.limit is None else matching.limit + (0.0 if seen is None else seen.reach_m)
        )
        fetching = inputs.fetching(around, config, tiles=tile_options, access=access, progress=progress)
        at_hand = TablePoints(fetching.images(), "the images", fetching.attrs)
        made_of.fetching = fetching.parts
    candidates = keep(at_hand, region=place, conditions=conditions)
    if not len(candidates):
        inputs.warn_of_nothing(at_hand, place)
    given["images"] = images, len(at_hand)
    left_out |= inputs.left_out_of(at_hand, candidates, "images", cut="outside the region, or by the filters")
    preference = _dated(undated, lambda: preferred.newest(at_hand))
    if preference is not None:
        of_things = looking is not None
        names = target.name, candidates.name
        preferred.check_columns(preference, target.columns, candidates.columns, names, of_things=of_things)
        left_out |= preferred.left_out(candidates, preference)
        doubts |= preferred.unknown(candidates, preference, of_things=of_things)
        doubts |= {} if of_things else preferred.without_bearing(target, preference)
    candidates, again, repeated = inputs.each_once(candidates)
    left_out |= again
    doubts |= repeated.problems
    if looking is not None and seen is not None:
        cameras, unseeing = seeing.cameras_of(candidates, usual_angle=field_of_view)
        left_out |= unseeing
        ids_of_things, found_best = seeing.match(
            seen.shapes, target, candidates, keyed=repeated.keys, projection=projection, looking=looking,
            cameras=cameras, preference=preference, k=matching.k,
        )  # fmt: skip
        chosen = selection.Selection.of_best(target, ids_of_things, candidates, repeated.keys, preference, found_best)
    else:
        chosen = selection.Selection.match(
            target, candidates, keyed=repeated.keys, projection=projection, matching=matching, preference=preference
        )
    summary = summed(chosen.facts, len(candidates), chosen.attribution())
    made_of.check(chosen.told, summary["software"])
    if "providers" in summary and fetching is not None:
        summary["providers"] = inputs.with_asked(summary["providers"], fetching.providers)
    run = summary["run"] = provenance.run_of(summary, *chosen.results)
    failed = [] if fetching is None else fetching.failed
    headline = said(summary, chosen.facts)

    def write(folder: Path) -> list[Path]:
        with inputs.as_set(folder, own_files.SELECT):
            parted.clear(folder)
            failed_file = inputs.write_failed(failed, folder, own=True)
            return chosen.write(folder, summary, made_of) + failed_file

    def ids() -> list[Key]:
        return [*chosen.words()]

    return Job(lambda: chosen.frame(run), summary, headline, write, failed, ids)


def _again(
    lock: PathLike,
    region: RegionLike | None,
    *,
    workers: int,
    spread: tuple[str | None, Executor | None, Client | None, str | None],
    progress: Progress | None,
) -> Job[gpd.GeoDataFrame]:
    """Return the job of a selection that is made again by its lock; see `select`."""
    from mlygeo import regions
    from mlygeo.pipelines import lock_checks, selection_lock

    call = user_call()
    assert call is not None  # noqa: S101 - a public function runs
    theirs = {"lock", "workers", "scheduler", "executor", "client", "part", "progress"}
    of_no_use([name for name in call.options if name not in theirs], "with `lock`, which has the options")
    if regions.settle(region)[0] is not None:
        raise InputError("`region` has no effect with `lock`, which has one", hint="leave `region` out")
    with running(progress):
        options, content = lock_checks.options_again(lock)
    beside: dict[str, Any] = dict(zip(("scheduler", "executor", "client", "part"), spread, strict=True))
    beside |= {"workers": workers if was_given("workers") else None, "progress": progress}
    defaults = {name: each.default for name, each in inspect.signature(select).parameters.items()}
    if unknown := sorted(options.keys() - defaults.keys()):
        raise FormatError(
            f"the lock has the option {unknown[0]}, which this version of mlygeo does not know",
            hint=f"install the version of the lock, mlygeo {content['software'].get('mlygeo')}",
        )
    given = {name: value for name, value in (options | beside).items() if value != defaults.get(name)}
    with selection_lock.to_agree_with(content):
        return called_with(body_of(select), {name: value for name, value in given.items() if value is not None})


def _dated(preference: Preference | None, newest: Callable[[], int | None]) -> Preference | None:
    """Return what is preferred with the date from which ages count: that of the newest image, if none was given."""
    rule = None if preference is None else preference.rule
    if preference is None or rule is None or "age" not in rule.weights or preference.as_of_us is not None:
        return preference
    return replace(preference, as_of_us=newest())


def _tiles_listed(tiles: gpd.GeoDataFrame, headline: str, failed: list[str]) -> Job[gpd.GeoDataFrame]:
    from mlygeo.pipelines import inputs

    counts = {str(status): int(count) for status, count in tiles["status"].value_counts().items()}
    not_tiles = tiles.attrs.get("not_tiles", [])
    worked = len(tiles) - counts.get("skipped", 0)
    summary = {
        "asked": worked + len(not_tiles),
        "tiles": worked,
        **counts,
        "left_out": {inputs.NOT_TILES: len(not_tiles)} if not_tiles else {},
        "not_tiles": not_tiles,
        "failed_tiles": failed,
    }
    return Job(lambda: tiles, summary, headline, lambda path: inputs.write_failed(failed, path.parent), failed)


def _street_points(network: gpd.GeoDataFrame, laid: StreetPoints, plane: Plane) -> gpd.GeoDataFrame:
    from mlygeo.spatial import streets as step

    return step.street_points(
        network, interval=laid.interval, srid=plane.srid, method=laid.method, force_srid=plane.force_srid
    )


def _points_headline(facts: dict[str, Any]) -> str:
    if "seed" in facts:
        text = f"{counted(facts['points'], 'point')} drawn on {facts['length_m'] / 1000:,.1f} km of streets"
        text += f" ({facts['method']}, seed {facts['seed']}"
        text += ")" if facts["strata"] == 1 else f", {facts['strata']:,} strata)"
        if outside := facts.get("length_outside_m"):
            text += f"; {outside / 1000:,.1f} km lie in no stratum, and are left out"
        return text
    share = facts["share_without_point"]
    text = f"{counted(facts['points'], 'street point')} on {facts['length_m'] / 1000:,.1f} km of streets"
    return text if not share else f"{text}; {share:.1%} of the street length got no point"


def _points_of_parts(points: FrameLike, region: Region | None) -> GivenPoints:
    """Open a user's own points in a region, to be read some at a time."""
    from mlygeo.parts.points import GivenPoints
    from mlygeo.store.points import open_points

    opened = GivenPoints(open_points(points, name="the points"), region)
    if not len(opened.everything):
        raise FrameError(f"{opened.name} contains no point")
    if not len(opened) and region is not None:
        raise _none_inside(GivenPoints(opened.everything).edge, region)
    return opened


def _open_points(points: FrameLike, region: Region | None) -> tuple[Points, Points]:
    """Open a user's own points; return all of them, and those in the region."""
    from mlygeo.store.points import keep, open_points

    everything = open_points(points, name="the points")
    if not len(everything):
        raise FrameError(f"{everything.name} contains no point")
    kept = keep(everything, region=region, conditions={})
    if not len(kept) and region is not None:
        raise _none_inside(everything, region)
    return everything, kept


def _none_inside(points: Points, region: Region) -> RegionError:
    from mlygeo import regions
    from mlygeo.spatial import areas

    hint = regions.outside_hint(region, areas.bounds(*points.lonlat))
    return RegionError(f"no point of {points.name} lies in {region.name}", hint=hint)
