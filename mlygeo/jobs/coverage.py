"""The job of measuring how much of the streets of a region has imagery."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from mlygeo.errors import DependencyError, FrameError, InputError, RegionError
from mlygeo.pipelines import inputs
from mlygeo.pipelines.inputs import Fetching
from mlygeo.pipelines.job import Job, counted, version
from mlygeo.pipelines.options import Access, TileOptions

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import geopandas as gpd
    import pandas as pd

    from mlygeo.progress import Progress
    from mlygeo.regions import Region, RegionLike
    from mlygeo.spatial.coverage import Coverage
    from mlygeo.store import FrameLike
    from mlygeo.store.points import Points

log = logging.getLogger("mlygeo.jobs")

BY = ("highway", "year", "pano", "creator")
"""What covered lengths are told apart by; the first is a column of the streets, the others of the images."""

TITLES = {"highway": "street class", "year": "year of capture", "pano": "panorama", "creator": "contributor"}

MOST_ROWS = 12
"""Rows of one section of the printed table; the summary has them all."""


def coverage(
    region: RegionLike | None,
    *,
    streets: FrameLike | None,
    images: FrameLike | None,
    distance: float,
    by: Iterable[str] | None,
    min_gap: float,
    srid: int | None,
    retain_all: bool,
    force_srid: bool,
    progress: Progress | None,
    **options: Any,
) -> Job[Any]:
    """Do what `coverage` says."""
    from mlygeo import frames, regions
    from mlygeo.spatial import coverage as step
    from mlygeo.store import points

    step.check_options(distance=distance, min_gap=min_gap)
    wanted = _names(by)
    conditions = frames.conditions_of(**{name: options.pop(name) for name in inputs.FILTERS})
    place, config = regions.settle(region)
    if place is None and streets is None:
        raise RegionError("no region", hint=inputs.NO_REGION)
    at_hand: Points | None = None if images is None else inputs.open_images(images, conditions)
    network = inputs.network(place, streets, retain_all=retain_all)

    fetching = None
    if at_hand is None:
        fetching = Fetching(
            _around(place, network, distance),
            config,
            progress=progress,
            tiles=TileOptions(
                **{
                    name: options[name]
                    for name in ("tile_list_file", "tile_cache", "computed", "overwrite", "max_age", "workers")
                }
            ),
            access=Access(token=options["token"], token_file=options["token_file"], service=options["service"]),
        )
        at_hand = points.TablePoints(fetching.images(), "the images", fetching.attrs)
    # An image beyond the region's border may look into it, so images are not cut there.
    candidates = points.keep(at_hand, region=None, conditions=conditions)
    if not len(candidates):
        inputs.warn_of_nothing(at_hand, None)
    names = _told_apart(wanted, candidates, asked=by is not None)
    columns = _columns(candidates, [step.BY[name] for name in names if name in step.BY])
    measured = step.measure(
        network, candidates.lonlat, columns, srid=srid, distance=distance,
        by=tuple(name for name in names if name in step.BY), force_srid=force_srid,
    )  # fmt: skip
    gaps = measured.gaps(min_gap)
    attribution = list(
        dict.fromkeys([*candidates.attrs.get("attribution", [frames.MAPILLARY]), *network.attrs.get("attribution", [])])
    )
    gaps.attrs["attribution"] = attribution
    facts = measured.facts()
    tables = {name: measured.table(name) for name in names}
    summary = {
        "region": None if place is None else inputs.region_summary(place),
        **{name: _rounded(value) for name, value in facts.items()},
        "gaps": len(gaps),
        "gaps_m": round(float(gaps["length_m"].sum()), 3),
        "min_gap_m": min_gap,
        "by": {name: [_plain(row) for row in table.to_dict("records")] for name, table in tables.items()},
        "images_considered": len(candidates),
        "tiles": None if fetching is None else fetching.summary,
        "network": network.attrs.get("streets", {}),
        "attribution": attribution,
        "version": version(),
    }
    failed = [] if fetching is None else fetching.failed

    def make_frame() -> gpd.GeoDataFrame:
        frame = measured.frame()
        frame.attrs["attribution"] = attribution
        return frame

    def write(folder: Path) -> list[Path]:
        return _write(make_frame(), gaps, measured, summary, folder) + inputs.write_failed(failed, folder)

    headline = _headline(facts, gaps) + ("" if fetching is None else fetching.warning)
    return Job(make_frame, summary, headline, write, failed, text=lambda: _printed(tables))


def _names(by: Iterable[str] | None) -> tuple[str, ...]:
    names = BY if by is None else tuple(dict.fromkeys([by] if isinstance(by, str) else by))
    if odd := [name for name in names if name not in BY]:
        raise InputError(f"--by is one of {', '.join(BY)}, not {odd[0]!r}")
    return names


def _told_apart(names: tuple[str, ...], images: Points, *, asked: bool) -> tuple[str, ...]:
    """Return the names that the images have a column for; an error where one was asked for."""
    from mlygeo.spatial import coverage as step

    missing = [name for name in names if name in step.BY and step.BY[name] not in images.columns]
    if missing and asked:
        raise FrameError(
            f"{images.name} has no column '{step.BY[missing[0]]}', which --by {missing[0]} asks for",
            hint=f"it has {', '.join(images.columns) or 'none but the geometry'}",
        )
    return tuple(name for name in names if name not in missing)


def _columns(images: Points, names: list[str]) -> dict[str, pd.Series]:
    """Return the columns that images are told apart by, in the dtypes of an images frame, and their times."""
    import pyarrow as pa

    from mlygeo import dtypes, frames

    columns = {}
    for name in dict.fromkeys([*names, "captured_at"]):
        if name not in images.columns:
            continue
        values = frames.to_pandas(pa.table({name: images.arrow(name)}))[name]
        try:
            columns[name] = dtypes.cast(values, str(frames.IMAGES.dtype(name)))
        except (ValueError, TypeError, OverflowError) as error:
            raise FrameError(f"{images.name}: column '{name}' holds other things ({error})") from error
    return columns


def _around(place: Region | None, network: gpd.GeoDataFrame, distance: float) -> Region:
    """Return the region whose images may be near the streets."""
    from mlygeo import regions

    if place is not None and place.is_box:
        return regions.widened(place.bounds, distance, name=place.name)
    if place is not None:
        # A degree of longitude is the shorter one, so this is rather too wide to north and south.
        highest = max(abs(place.bounds[1]), abs(place.bounds[3]))
        margin = distance / 110_574.0 / max(math.cos(math.radians(highest)), 1e-3)
        return regions.Region.from_geometry(place.geometry.buffer(margin), name=place.name)
    from mlygeo.spatial import geodesy

    lon, lat = inputs.all_coordinates(network)
    bounds = geodesy.bounds(lon, lat)
    if bounds is None:
        raise FrameError("there is no street")
    return regions.widened(bounds, distance, name="the surroundings of the streets")


def _headline(facts: dict[str, Any], gaps: gpd.GeoDataFrame) -> str:
    share = facts["share_covered"]
    text = f"{facts['covered_m'] / 1000:,.2f} of {facts['length_m'] / 1000:,.2f} km of streets"
    text += "" if share is None else f" ({share:.1%})"
    text += f" within {facts['distance_m']:g} m of an image"
    if facts["median_newest"]:
        text += f", half of them photographed since {facts['median_newest']}"
    return text + f"; {counted(len(gaps), 'gap')} of {gaps['length_m'].sum() / 1000:,.2f} km"


def _printed(tables: dict[str, pd.DataFrame]) -> str:
    """Return covered lengths by everything measured, as a table that reads well at 80 columns."""
    lines = []
    for name, table in tables.items():
        lines += [f"{TITLES[name]:<28} {'covered':>10} {'of':>10} {'share':>7} {'streets':>9}", "-" * 68]
        for row in table.head(MOST_ROWS).to_dict("records"):
            value = _label(name, row["value"])
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
    """Write the frames, the summary and the map."""
    import json

    from mlygeo import store

    files = [
        store.write_frame(streets, folder / "coverage.parquet"),
        store.write_frame(gaps, folder / "gaps.parquet"),
        store.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", folder / "summary.json"),
    ]
    if not len(streets):
        return files
    from mlygeo import plotting

    title = f"{summary['share_covered']:.0%} of the streets have an image within {measured.distance:g} m"
    everywhere = measured.gaps(0.0)
    try:
        figure = plotting.draw([streets, everywhere], title=title if summary["length_m"] else None)
    except DependencyError as error:
        log.warning("no map was drawn: %s (%s)", error, error.hint)
        return files
    picture = folder / "coverage.png"
    with store.atomic(picture) as temporary:
        figure.savefig(temporary)
    return [*files, picture]
