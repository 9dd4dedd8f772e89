"""The coverage of streets with imagery."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, Literal

from mlygeo.errors import DependencyError, FrameError, InputError, RegionError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.job import Job, public, version
from mlygeo.pipelines.options import Access, Filters, Plane, TileOptions
from mlygeo.pipelines.own_files import PICTURE, SUMMARY
from mlygeo.progress import counted

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    import geopandas as gpd
    import pandas as pd

    from mlygeo.net.http import Service
    from mlygeo.progress import Progress
    from mlygeo.regions import Region, RegionLike
    from mlygeo.spatial.coverage import Coverage
    from mlygeo.store import FrameLike
    from mlygeo.store.point_sources import Points

    PathLike = str | os.PathLike[str]

log = logging.getLogger("mlygeo.pipelines")

BY = ("highway", "year", "pano", "creator", "provider")
"""Groupings of covered lengths; the first is a column of the streets, the others of the images."""

TITLES = {
    "highway": "street class",
    "year": "year of capture",
    "pano": "panorama",
    "creator": "contributor",
    "provider": "provider",
}


MOST_ROWS = 12
"""Rows of one section of the printed table; the summary has them all."""


@public
def coverage(
    region: RegionLike | None = None,
    *,
    streets: FrameLike | None = None,
    images: FrameLike | None = None,
    distance: float = 20.0,
    by: Iterable[Literal["highway", "year", "pano", "creator", "provider"]] | None = None,
    min_gap: float = 20.0,
    srid: int | None = None,
    pano: bool | None = None,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    creator: int | str | Iterable[int | str] | None = None,
    organization: int | str | Iterable[int | str] | None = None,
    min_quality: float | None = None,
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
    progress: Progress | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Measure which share of the street length has imagery near it, how new it is, and where it lacks.

    A place on a street is covered if an image lies within the distance of it. Covered lengths are
    exact, and each street counts once (the two directions of an edge are one line). The summary
    tells them by street class, year of capture, panorama or not, contributor, and provider; a place that
    has images of two years counts for both.

    Parameters
    ----------
    distance
        Largest distance from a place on a street to an image, metres; an image just there counts.
    by
        Tell covered lengths apart by this; may be given several times. Default: by everything that
        the images know.
    min_gap
        Leave out gaps shorter than this, metres.
    srid
        EPSG code of the projected CRS to measure in. Default: the UTM zone of the streets.

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
    from mlygeo import frames, regions
    from mlygeo.pipelines import inputs, own_files, provenance, versions
    from mlygeo.spatial import coverage as step
    from mlygeo.store.point_sources import TablePoints
    from mlygeo.store.points import keep

    filters = Filters(
        pano=pano, since=since, until=until, creator=creator, organization=organization, min_quality=min_quality
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
    Plane(srid=srid, force_srid=force_srid).check()
    if images is not None:
        of_no_use(TileOptions, "beside `images`")
        of_no_use(Access, "beside `images`")
    wanted = _names(by)
    conditions = filters.conditions()
    place, config = regions.settle(region)
    if place is None and streets is None:
        raise RegionError("no region", hint=inputs.NO_REGION)
    at_hand: Points | None = None if images is None else inputs.open_images(images, conditions)
    network = inputs.network(place, streets, retain_all=retain_all)

    fetching = None
    if at_hand is None:
        around = _around(place, network, distance)
        fetching = inputs.fetching(around, config, tiles=tile_options, access=access, progress=progress)
        at_hand = TablePoints(fetching.images(), "the images", fetching.attrs)
    # An image beyond the region's border may be near a street inside, so images are not cut there.
    candidates = keep(at_hand, region=None, conditions=conditions)
    if not len(candidates):
        inputs.warn_of_nothing(at_hand, None)
    left_out = inputs.left_out_around(place, network.attrs.get("left_out"))
    left_out |= inputs.left_out_of(at_hand, candidates, "images", cut="by the filters")
    candidates, again, repeated = inputs.each_once(candidates)
    left_out |= again
    doubts = inputs.doubts_of(at_hand, "images") | repeated.problems
    names = _measurable(wanted, candidates, asked=by is not None)
    columns = _columns(candidates, [step.BY[name] for name in names if name in step.BY])
    measured = step.measure(
        network, candidates.lonlat, columns, srid=srid, distance=distance,
        by=tuple(name for name in names if name in step.BY), force_srid=force_srid,
    )  # fmt: skip
    if len(candidates) and not measured.covered_m.any():
        log.warning("no image of %s lies within %g m of a street", candidates.name, distance)
    gaps = measured.gaps(min_gap)
    attribution = list(dict.fromkeys([*inputs.credited(candidates), *frames.credited(network.attrs)]))
    gaps.attrs["attribution"] = attribution
    facts = measured.facts()
    tables = {name: measured.table(name) for name in names}
    whose = inputs.shares_of(candidates, () if fetching is None else fetching.providers)
    summary = {
        "region": None if place is None else inputs.region_summary(place),
        **{name: _rounded(value) for name, value in facts.items()},
        "gaps": len(gaps),
        "gaps_m": round(float(gaps["length_m"].sum()), 3),
        "min_gap_m": min_gap,
        "by": {name: [_plain(row) for row in table.to_dict("records")] for name, table in tables.items()},
        "filters": provenance.shown(conditions),
        "images_considered": len(candidates),
        **({"providers": whose} if whose else {}),
        "left_out": left_out,
        "problems": doubts,
        "inputs": provenance.inputs_of({"streets": (streets, len(network)), "images": (images, len(at_hand))}),
        "tiles": None if fetching is None else fetching.summary,
        "network": network.attrs.get("streets", {}),
        "attribution": attribution,
        "software": versions.software(shapes=True),
        "date": provenance.today(),
        "version": version(),
    }
    run = summary["run"] = provenance.run_of(summary, gaps["length_m"].to_numpy())
    gaps.attrs["run"] = run
    failed = [] if fetching is None else fetching.failed

    def make_frame() -> gpd.GeoDataFrame:
        frame = measured.frame()
        frame.attrs |= {"attribution": attribution, "run": run}
        return frame

    def write(folder: Path) -> list[Path]:
        with inputs.as_set(folder, own_files.COVERAGE):
            failed_file = inputs.write_failed(failed, folder, own=True)
            return _write(make_frame(), gaps, measured, summary, folder) + failed_file

    covered = _covered_by(tables.get("provider"), whose, facts["length_m"])
    headline = _headline(facts, gaps, covered) + inputs.left_out_remark(left_out) + inputs.problems_remark(doubts)
    headline += "" if fetching is None else fetching.warning
    return Job(make_frame, summary, headline, write, failed, text=lambda: _printed(tables))


def _names(by: Iterable[str] | None) -> tuple[str, ...]:
    names = BY if by is None else tuple(dict.fromkeys([by] if isinstance(by, str) else by))
    if odd := [name for name in names if name not in BY]:
        raise InputError(f"`by` is one of {', '.join(BY)}, not {odd[0]!r}")
    return names


def _measurable(names: tuple[str, ...], images: Points, *, asked: bool) -> tuple[str, ...]:
    """Return the names for which the images have a column; raise if a requested one is missing."""
    from mlygeo.spatial import coverage as step

    missing = [name for name in names if name in step.BY and step.BY[name] not in images.columns]
    if missing and asked:
        raise FrameError(
            f"{images.name} has no column '{step.BY[missing[0]]}', which `by={missing[0]!r}` asks for",
            hint=f"it has {', '.join(images.columns) or 'none but the geometry'}",
        )
    if not asked and "provider" not in missing and len(images.arrow("provider").unique()) < 2:
        missing.append("provider")  # a table of one row, which says nothing
    return tuple(name for name in names if name not in missing)


def _columns(images: Points, names: list[str]) -> dict[str, pd.Series]:
    """Return the columns by which images are grouped, in the dtypes of an images frame, and their times."""
    import pyarrow as pa

    from mlygeo import dtypes, frames
    from mlygeo.spatial import coverage as step
    from mlygeo.store.points import form_of

    columns = {}
    schema = form_of(images, frames.IMAGES)
    beside = ["provider", *step.NAMES] if "creator_id" in names and schema.dtype("provider") else []
    for name in dict.fromkeys([*names, *beside, "captured_at"]):
        if name not in images.columns:
            continue
        values = frames.to_pandas(pa.table({name: images.arrow(name)}))[name]
        try:
            columns[name] = dtypes.cast(values, str(schema.dtype(name)))
        except (ValueError, TypeError, OverflowError) as error:
            raise FrameError(f"{images.name}: column '{name}' holds other things ({error})") from error
    return columns


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


def _covered_by(table: pd.DataFrame | None, whose: Iterable[str], length_m: float) -> str:
    """Return which share of the streets is near images of each provider, where there are several."""
    from mlygeo.pipelines.whose import title

    if table is None or not length_m:
        return ""
    covered = {
        name if isinstance(name, str) else "unknown": metres
        for name, metres in zip(table["value"], table["covered_m"], strict=True)
    }
    shown = [f"{covered.get(name, 0.0) / length_m:.1%} of {title(name)}" for name in whose]
    return f" ({', '.join(shown)})" if len(shown) > 1 else ""


def _headline(facts: dict[str, Any], gaps: gpd.GeoDataFrame, covered: str) -> str:
    share = facts["share_covered"]
    text = f"{facts['covered_m'] / 1000:,.2f} of {facts['length_m'] / 1000:,.2f} km of streets"
    text += "" if share is None else f" ({share:.1%})"
    text += f" within {facts['distance_m']:g} m of an image{covered}"
    if facts["median_newest"]:
        text += f", half of them photographed since {facts['median_newest']}"
    return text + f"; {counted(len(gaps), 'gap')} of {gaps['length_m'].sum() / 1000:,.2f} km"


def _printed(tables: dict[str, pd.DataFrame]) -> str:
    """Return covered lengths by everything measured, as a table that reads well at 80 columns."""
    lines = []
    for name, table in tables.items():
        lines += [f"{TITLES[name]:<28} {'covered':>10} {'of':>10} {'share':>7} {'streets':>9}", "-" * 68]
        for row in table.head(MOST_ROWS).to_dict("records"):
            value = _label(name, row.get("creator") if isinstance(row.get("creator"), str) else row["value"])
            share = "" if math.isnan(row["share_covered"]) else f"{row['share_covered']:.1%}"
            covered, length = (f"{row[column] / 1000:,.2f} km" for column in ("covered_m", "length_m"))
            lines.append(f"{value:<28} {covered:>10} {length:>10} {share:>7} {row['streets']:>9,}")
        if len(table) > MOST_ROWS:
            lines.append(f"and {len(table) - MOST_ROWS:,} more")
        lines.append("")
    return "\n".join(lines).rstrip()


def _label(name: str, value: Any) -> str:
    if not isinstance(value, str):
        return "unknown"
    if name == "pano":
        return {"True": "panoramas", "False": "flat pictures"}.get(value, value)
    text = "".join(letter if letter.isprintable() else "?" for letter in value)
    return text if len(text) <= 28 else text[:27] + "…"


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    return {
        str(name): _rounded(None if isinstance(value, float) and math.isnan(value) else value)
        for name, value in row.items()
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    return value.item() if hasattr(value, "item") else value


def _write(
    streets: gpd.GeoDataFrame, gaps: gpd.GeoDataFrame, measured: Coverage, summary: dict[str, Any], folder: Path
) -> list[Path]:
    """Write the frames, the map, and the summary last: where there is one, all files belong to it."""
    import json

    from mlygeo import store

    if store.names_file(folder):
        return [store.write_layers({"coverage": streets, "gaps": gaps}, folder)]
    files = [store.write_frame(streets, folder / "coverage.parquet"), store.write_frame(gaps, folder / "gaps.parquet")]
    picture = _draw(streets, measured, summary, folder) if len(streets) else None
    if picture is None:
        store.remove(folder / PICTURE)
    text = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
    files.append(store.write_text(text, folder / SUMMARY))
    return files if picture is None else [*files, picture]


def _draw(streets: gpd.GeoDataFrame, measured: Coverage, summary: dict[str, Any], folder: Path) -> Path | None:
    from mlygeo import plotting, store

    title = f"{summary['share_covered']:.0%} of the streets have an image within {measured.distance:g} m"
    everywhere = measured.gaps(0.0)
    try:
        figure = plotting.draw([streets, everywhere], title=title if summary["length_m"] else None)
    except DependencyError as error:
        log.warning("no map was drawn: %s (%s)", error, error.hint)
        return None
    picture = folder / PICTURE
    with store.atomic(picture) as temporary:
        figure.savefig(temporary)
    return picture
