"""From points, streets or things, and images, to a selection."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FormatError, FrameError, InputError, RegionError
from mlygeo.pipelines.arguments import called_with, of_no_use, user_call, was_given
from mlygeo.pipelines.job import Job, body_of, public, version
from mlygeo.pipelines.options import (
    Access,
    Filters,
    Matching,
    Plane,
    Preferring,
    Spread,
    StreetPoints,
    TileOptions,
    Towards,
)
from mlygeo.progress import running

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable
    from concurrent.futures import Executor
    from datetime import datetime
    from pathlib import Path

    import geopandas as gpd
    from distributed import Client

    from mlygeo.keys import Key
    from mlygeo.net.http import Service
    from mlygeo.parts.points import GivenPoints
    from mlygeo.pipelines.options import Method, Per
    from mlygeo.progress import Progress
    from mlygeo.regions import Region, RegionLike
    from mlygeo.spatial.best import Preference
    from mlygeo.spatial.projection import Projection
    from mlygeo.spatial.zones import Zones
    from mlygeo.store import FrameLike
    from mlygeo.store.point_sources import Points

    PathLike = str | os.PathLike[str]


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
            street_points = networks.street_points(network, laid, plane)
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
