"""From a region to its images and its street points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from mlygeo.errors import InputError, RegionError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.job import Job, public, version
from mlygeo.pipelines.options import (
    Access,
    Filters,
    Plane,
    Sampling,
    StreetPoints,
    TileOptions,
)
from mlygeo.progress import counted, running

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.net.http import Service
    from mlygeo.pipelines.options import StreetMethod
    from mlygeo.progress import Progress
    from mlygeo.regions import RegionLike
    from mlygeo.spatial.designs import Design
    from mlygeo.store import FrameLike

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
        listed = _tiles_listed(
            fetching.fetch(dry_run=True), f"{plan}{text}; nothing was fetched{inputs.box_text(place)}", []
        )
        listed.summary |= facts
        return listed
    if tiles_only:
        listed = fetching.fetch()
        worked = counted(fetching.summary["tiles"], "tile")
        return _tiles_listed(
            listed, f"{worked} in {fetching.cache}{fetching.warning}{inputs.box_text(place)}", fetching.failed
        )

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
    headline += inputs.box_text(place, len(everything))
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
        of_no_use(
            Sampling,
            f"with `method={method}`",
            hint="points are drawn with `method=random`, or stratified, grid or per-street",
        )
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
            points = networks.street_points(network, laid, plane)
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
