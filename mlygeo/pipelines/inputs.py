"""
The inputs of pipelines: files, the service, a region's streets and images, and the lock on photos.

The images of a region come from its vector tiles, which are fetched, read, and fetched again if damaged;
tiles that failed are named.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo import kernels, places
from mlygeo.errors import CredentialsError, FormatError, FrameError, RegionError
from mlygeo.pipelines import provenance
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.job import check_folder, tally
from mlygeo.pipelines.own_files import FAILED_TILES, SUMMARY, TILES
from mlygeo.progress import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import geopandas as gpd
    import pyarrow as pa

    from mlygeo.config import Config
    from mlygeo.locks import Doing
    from mlygeo.net.http import Service
    from mlygeo.own import Recognised
    from mlygeo.photos.import_folder import PhotoImport
    from mlygeo.pipelines.options import Access, PhotoFolder, TileOptions
    from mlygeo.progress import Progress
    from mlygeo.providers import TilePlan
    from mlygeo.regions import Region
    from mlygeo.spatial.projection import Projection
    from mlygeo.spatial.zones import Zones
    from mlygeo.store import FrameLike
    from mlygeo.store.point_sources import Points
    from mlygeo.store.repeats import Repeats

    PathLike = str | os.PathLike[str]


log = logging.getLogger("mlygeo.pipelines")

NO_REGION = "give `region`; 'mlygeo init' saves it for a project"

NOT_TILES = "listed, and no tiles of the region"
"""Reason why names in a list of tiles are left out."""

SAVED_S = 1.5e-7
"""Processor time that compiled code saves for each image of a selection, seconds: of the three modules together."""

UNPLACED = "without a position"

MANY_BYTES = 500_000_000
"""Bytes of tiles whose images take gigabytes of memory as one frame: some five million images."""


def photo_import(root: Path, folder: PhotoFolder, files: tuple[str, ...] | None = None) -> PhotoImport:
    """Return the import of a folder of photos, or of some photos in it, by the options."""
    from mlygeo.photos.import_folder import PhotoImport

    if folder.output is not None:
        check_folder(Path(folder.output).expanduser())
    return PhotoImport(
        root,
        None if folder.output is None else Path(folder.output),
        skip_subfolders=folder.skip_subfolders,
        rerun=folder.rerun,
        progress=folder.progress,
        files=files,
    )


def network(region: Region | None, streets: FrameLike | None, *, retain_all: bool) -> gpd.GeoDataFrame:
    """Return the streets of a region, downloaded or from given ones: a frame or file, which are cut alike."""
    from mlygeo import regions
    from mlygeo.readers.streets import street_network, streets_of
    from mlygeo.spatial import areas

    are_lines(streets)

    def found(where: Region | None, *, retain_all: bool) -> gpd.GeoDataFrame:
        if streets is None or isinstance(streets, str | os.PathLike):
            return street_network(where, path=streets, retain_all=retain_all)
        return streets_of(streets, name="the streets", region=where)

    try:
        return found(region, retain_all=retain_all)
    except RegionError as error:
        if region is None or streets is None:
            raise
        whole = areas.bounds(*all_coordinates(found(None, retain_all=True)))
        raise RegionError(str(error), hint=regions.outside_hint(region, whole)) from error


def are_lines(streets: FrameLike | None) -> bool:
    """Return whether given streets are lines, no file of OpenStreetMap; then `retain_all` has no effect."""
    from mlygeo.readers.streets import is_osm

    if streets is None or (isinstance(streets, str | os.PathLike) and is_osm(streets)):
        return False
    of_no_use(("retain_all",), "with streets that are lines, of which all are kept")
    return True


def open_images(images: FrameLike, conditions: dict[str, Any]) -> Points:
    """Open given images, which must have ids and the columns of the filters."""
    from mlygeo import frames
    from mlygeo.store.points import Conformed, open_points

    opened = Conformed(open_points(images, name="the images"), frames.IMAGES)
    if "id" not in opened.columns:
        raise FrameError(
            f"{opened.name} has no column 'id', so its images cannot be identified"
            f" (it has {', '.join(opened.columns) or 'none but the geometry'})"
        )
    frames.columns_for(conditions, opened.columns)
    if "provider" in opened.columns:
        frames.warn_of_unnamed(opened.arrow("provider").null_count, len(opened), opened.name)
    return opened


def load_ahead(images: int) -> None:
    """Load what a selection from many images takes some time to load, beside the reading of these."""
    if images * SAVED_S > kernels.LOADING_S:
        threading.Thread(target=_load, args=(images * SAVED_S,), name="loading").start()


def _load(saves_s: float) -> None:
    try:
        importlib.import_module("pyarrow").array([0])  # loads pandas, but where Arrow does without; see `own_process`
        kernels.load(saves_s)
    except (ImportError, RuntimeError):
        # A process that ends early, such as by an error, lets no module start threads, and nobody waits for this one.
        if threading.main_thread().is_alive():
            raise


def surroundings(points: Points, max_distance: float | None) -> Region:
    """Return the box around points, extended by the largest distance of an image."""
    from mlygeo import regions
    from mlygeo.spatial import areas

    bounds = areas.bounds(*points.lonlat)
    if bounds is None:
        raise FrameError(f"{points.name} contains no point with coordinates")
    return regions.widened(bounds, max_distance or 0.0, name=f"the surroundings of {points.name}")


def projection(region: Region | None, points: Points, *, srid: int | None, force_srid: bool) -> Projection | Zones:
    """Return the projection to measure in: by default the UTM zone of the points, of each where they span several."""
    from mlygeo.spatial import areas, geodesy, nearest

    if srid is None and (chosen := nearest.choose_projection(*points.lonlat, srid=None)) is not None:
        return chosen
    bounds = areas.bounds(*points.lonlat) if region is None else region.bounds
    if bounds is None:
        raise FrameError(f"{points.name} contains no point with coordinates")
    if srid is None:
        return geodesy.projection(geodesy.utm_srid(*bounds))
    return geodesy.check_srid(srid, bounds, force=force_srid)


def box_text(region: Region | None, images: int | None = None) -> str:
    """
    Return the text of a headline that tells where a box lies: nobody sees of four numbers that two are exchanged.

    Parameters
    ----------
    region
        The region; of shapes, which have no order of numbers, nothing is told.
    images
        How many were found, None if that is not known. Without any it is told which box may be meant.
    """
    from mlygeo.spatial import boxes

    if region is None or not region.is_box:
        return ""
    text = f"; the box is {boxes.place(region.bounds)}"
    if images == 0 and (meant := boxes.exchanged(region.bounds)) is not None:
        text += (
            f"; if latitude and longitude are swapped, give `region=({', '.join(f'{side:.12g}' for side in meant)})`"
        )
    return text


def warn_of_nothing(images: Points, region: Region | None, *, around: Region | None = None) -> None:
    """
    Warn that there are no images, and why; raise if the cause is a mistake in the call.

    Parameters
    ----------
    images
        What was read.
    region
        The region that images have to lie in; None where they may lie anywhere.
    around
        The region that they were asked for, where that is another.
    """
    from mlygeo import regions
    from mlygeo.spatial import areas

    if not len(images):
        place = region or around
        log.warning("there is no image in %s%s", "the region" if place is None else place.name, box_text(place, 0))
        return
    if region is not None and not region.contains(*images.lonlat).any():
        hint = regions.outside_hint(region, areas.bounds(*images.lonlat))
        raise RegionError(f"no image of {images.name} lies in {region.name}", hint=hint)
    log.warning("the filters leave out all of %s", images.name)


def region_summary(region: Region) -> dict[str, Any]:
    """Return the facts about a region for a summary."""
    left_out = {"left_out": region.left_out} if region.left_out else {}
    return {"name": region.name, "bounds": list(region.bounds), **left_out}


def left_out_around(region: Region | None, streets: Mapping[str, int] | None = None) -> dict[str, int]:
    """Return how many shapes of a region, and rows of given streets (as their frame says), are left out, by reason."""
    given = {"region": {} if region is None else region.left_out, "streets": streets or {}}
    return {f"{noun}: {reason}": count for noun, reasons in given.items() for reason, count in reasons.items() if count}


def each_once(images: Points) -> tuple[Points, dict[str, int], Repeats]:
    """Return images with each row once, how many rows are left out for that, and which ids contradict themselves."""
    from mlygeo.store import repeats

    kept, found = repeats.once(images)
    return kept, {f"images {repeats.AGAIN}": len(found.again)} if len(found.again) else {}, found


def left_out_of(everything: Points, kept: Points, noun: str, *, cut: str) -> dict[str, int]:
    """
    Return how many points are left out, by reason: what their file left out, those without a position, and others.

    Parameters
    ----------
    everything, kept
        All points, and those that are used.
    noun
        What they are.
    cut
        Why others than those without a position are not used.
    """
    import numpy as np

    def unplaced(points: Points) -> int:
        lon, lat = points.lonlat
        return int(np.count_nonzero(~np.isfinite(lon) | ~np.isfinite(lat)))

    missing, cut_off = unplaced(everything), len(everything) - len(kept)
    gone = missing - unplaced(kept) if missing and cut_off else 0
    before = everything.attrs.get("left_out")
    return left_out_counts(noun, before, cut={cut: cut_off - gone}, unplaced=missing)


def left_out_counts(noun: str, before: Any, *, cut: Mapping[str, int], unplaced: int) -> dict[str, int]:
    """Return counts as `left_out_of` does, of what a file left out, what was cut off, and what has no position."""
    counts = {**{f"{noun} {reason}": count for reason, count in cut.items()}, f"{noun} {UNPLACED}": unplaced}
    before = before if isinstance(before, dict) else {}
    return {f"{noun}: {reason}": count for reason, count in before.items()} | {
        reason: count for reason, count in counts.items() if count
    }


def doubts_of(points: Points, noun: str) -> dict[str, int]:
    """Return how many rows of a file of points are in doubt, by reason; see `store.positions.contradicted`."""
    found = points.attrs.get("in_doubt")
    return {f"{noun}: {reason}": count for reason, count in found.items()} if isinstance(found, dict) else {}


def left_out_remark(left_out: dict[str, int]) -> str:
    """Return the headline's text about rows that could not be used."""
    unplaced = {
        reason: count
        for reason, count in left_out.items()
        if reason.endswith(UNPLACED) or reason.startswith(("region: ", "streets: "))
    }
    return f"; left out: {tally(unplaced)}" if unplaced else ""


def problems_remark(problems: dict[str, int]) -> str:
    """Return the headline's text about images whose rows contradict each other."""
    return f"; in doubt: {tally(problems)}" if problems else ""


@contextlib.contextmanager
def as_set(folder: Path, files: Mapping[str, Recognised]) -> Iterator[None]:
    """
    Let the files that are written to a folder in this block replace those of an earlier run together.

    Where there is a summary, all of them are of its run. What dead runs left there is removed. A path that is a file
    of frames is written as it is.

    Parameters
    ----------
    folder
        The folder.
    files
        The files, and how they are recognised.

    Raises
    ------
    FileError
        If a file of such a name is none of ours.
    """
    from mlygeo import own, store
    from mlygeo.store.atomic import clear_leftovers, together

    if store.names_file(folder):
        yield
        return
    own.refuse_others(folder, files)
    clear_leftovers(folder)
    with together(folder, last=SUMMARY):
        yield


def write_failed(failed: list[str], folder: Path, *, own: bool = False) -> list[Path]:
    """
    Write the names of failed tiles to a file, if there are any; return the file.

    Where the folder is a verb's `own`, that of an earlier run goes.
    """
    from mlygeo import store
    from mlygeo.own import refuse_others

    if store.names_file(folder):
        folder, own = folder.parent, False
    if own and not failed:
        store.remove(folder / FAILED_TILES)
    if failed:
        refuse_others(folder, TILES)
    return [store.write_text("".join(f"{name}\n" for name in failed), folder / FAILED_TILES)] if failed else []


def all_coordinates(frame: gpd.GeoDataFrame) -> Any:
    """Return all longitudes and latitudes of a frame."""
    import shapely

    return shapely.get_coordinates(frame.geometry.values).T


class Fetching:
    """Fetches the tiles of a region and reads their images; damaged tiles are fetched again."""

    def __init__(
        self,
        region: Region,
        config: Config | None,
        *,
        tiles: TileOptions,
        access: Access,
        progress: Progress | None,
    ) -> None:
        from mlygeo.providers import needed

        self.provider = access.one
        self._tiles = needed(self.provider.tiles, self.provider, "tiles")
        if not self._tiles.has_computed:
            of_no_use(("computed",), f"for {self.provider.title}, which has no computed positions")
        if not getattr(self._tiles, "has_geojson", False):  # of packages, few say it
            of_no_use(("geojson",), f"for {self.provider.title}, whose tiles are stored as they come")
        self.region = region
        configured = config and config.tile_cache_dir
        self.cache = Path(tiles.tile_cache or configured or self._tiles.default_cache()).expanduser()
        self._options, self._progress = tiles, progress
        self._service = access.service or _service(access, config)
        self.failed: list[str] = []
        self.read_tiles: list[Path] = []
        self.not_tiles: list[str] = []
        self.summary: dict[str, Any] = {}
        self.attrs: dict[str, Any] = {}

    @property
    def providers(self) -> list[str]:
        """The name of the provider."""
        return [self.provider.name]

    @property
    def parts(self) -> list[Fetching]:
        """What fetches the tiles of each provider."""
        return [self]

    @property
    def positions(self) -> str:
        """Which positions the images have: original or computed ones."""
        return "computed" if self._options.computed else "original"

    def plan(self) -> TilePlan:
        """Return the tiles that would be fetched, and an estimate of the time."""
        options = self._options
        return self._tiles.plan(
            self.region, tile_cache=self.cache, computed=options.computed, overwrite=options.overwrite,
            max_age=options.max_age, tile_list_file=options.tile_list_file, service=self._service,
        )  # fmt: skip

    def fetch(self, damaged: Collection[Path] = (), *, dry_run: bool = False) -> gpd.GeoDataFrame:
        """Return the tiles frame, after fetching all available tiles into the cache."""
        options = self._options
        overwrite, max_age = options.overwrite, options.max_age
        if damaged:  # tiles that were to be fetched again have been fetched by now
            overwrite, max_age = False, None
        elif self._progress is not None and not dry_run and (plan := self.plan()).missing:
            self._progress.note(str(plan))
        tiles = self._tiles.fetch(
            self.region, tile_cache=self.cache, computed=options.computed, overwrite=overwrite, max_age=max_age,
            tile_list_file=options.tile_list_file, workers=options.workers, service=self._service, damaged=damaged,
            geojson=options.geojson, dry_run=dry_run, progress=self._progress,
        )  # fmt: skip
        worked = tiles[tiles["status"] != "skipped"]
        failed = worked[worked["status"] == "failed"]
        self.failed = [
            self._tiles.name(x, y, computed=options.computed, service=self._service)
            for x, y in zip(failed["x"], failed["y"], strict=True)
        ]
        counts = {status: int((worked["status"] == status).sum()) for status in ("cached", "fetched", "failed")}
        self.not_tiles = tiles.attrs.get("not_tiles", [])
        self.summary = {
            "asked": len(worked) + len(self.not_tiles),
            "tiles": len(worked),
            **counts,
            "left_out": {NOT_TILES: len(self.not_tiles)} if self.not_tiles else {},
            "not_tiles": self.not_tiles,
            "failed_tiles": self.failed,
            "written": provenance.ages(worked["path"].dropna()),
        }
        return tiles

    def images(self) -> pa.Table:
        """Return the images of the region."""
        damaged: list[Path] = []
        files = _files(self.fetch())
        if (size := sum(path.stat().st_size for path in files)) >= MANY_BYTES:
            log.warning(
                "the images of %s tiles (%.1f GB) go into memory at once; in bounded memory 'mlygeo tiles' writes them "
                "as a dataset, where its output is a folder, and 'mlygeo select' takes that as images",
                f"{len(files):,}", size / 1e9,
            )  # fmt: skip
        table = self._tiles.read(files, region=self.region, damaged=damaged)
        if damaged:
            files = _files(self.fetch_again(damaged))
            table = self._tiles.read(files, region=self.region)
        self.read_tiles = files
        self.note(without_id(table))
        return table

    def fetch_again(self, damaged: list[Path]) -> gpd.GeoDataFrame:
        """Return the tiles frame, after fetching the tiles of damaged files of the cache again."""
        log.warning("%s in the cache is damaged and fetched anew: %s", counted(len(damaged), "tile"), damaged[0].name)
        try:
            return self.fetch(damaged)
        except CredentialsError as error:
            raise FormatError(
                f"the tile {damaged[0]} is damaged, and without a token it cannot be fetched anew", hint=error.hint
            ) from error

    def read(self, paths: Iterable[Path], *, damaged: list[Path] | None = None) -> pa.Table:
        """Return the images of the region in files of the cache; see `mlygeo.providers.Tiles.read`."""
        return self._tiles.read(paths, region=self.region, damaged=damaged)

    def note(self, without_id: int) -> None:
        """Note what is known of the images once all tiles are read, and how many had no id."""
        self.summary["images_without_id"] = without_id
        self.attrs = {"attribution": [self.provider.attribution], "positions": self.positions}

    @property
    def warning(self) -> str:
        """The headline's text about failed tiles, and about names that are none."""
        text = ""
        if self.failed:
            text += f"; {counted(len(self.failed), 'tile')} could not be fetched, so what lies there is unknown"
        if self.not_tiles:
            more = f" and {len(self.not_tiles) - 3:,} more" if len(self.not_tiles) > 3 else ""
            text += f"; left out, {NOT_TILES}: {', '.join(self.not_tiles[:3])}{more}"
        return text


def without_id(table: pa.Table) -> int:
    """Return how many images of tiles were left out for want of an id."""
    return int((table.schema.metadata or {}).get(b"images_without_id", b"0"))


def _files(tiles: gpd.GeoDataFrame) -> list[Path]:
    return [Path(path) for path in tiles.loc[tiles["status"] != "skipped", "path"].dropna()]


def _service(access: Access, config: Config | None) -> Service | None:
    """Return the service by what was given; None leaves it to be found when it is needed."""
    token_file = access.token_file or (config and config.token_file)
    if access.token is None and token_file is None and access.endpoint is None:
        return None
    return access.opened(config)


def fetching(
    region: Region, config: Config | None, *, tiles: TileOptions, access: Access, progress: Progress | None
) -> Fetching | SeveralFetching:
    """Return what fetches the tiles of a region from each provider, and reads their images."""
    if len(access.providers) > 1:
        of_no_use(("tile_list_file", "geojson"), "with several providers")
    parts = [Fetching(region, config, tiles=tiles, access=each, progress=progress) for each in access.of_each()]
    return parts[0] if len(parts) == 1 else SeveralFetching(parts)


@dataclass(frozen=True)
class SeveralPlan:
    """
    Estimates of fetching tiles from several providers; as text, for people to read.

    Parameters
    ----------
    parts
        The estimate for each provider, by its title.
    """

    parts: dict[str, TilePlan]

    @property
    def missing(self) -> list[object]:
        """The tiles to fetch."""
        return [tile for plan in self.parts.values() for tile in plan.missing]

    def __str__(self) -> str:
        return "; ".join(f"{title}: {plan}" for title, plan in self.parts.items())


class SeveralFetching:
    """
    The tiles of a region from several providers; as `Fetching`, one after another.

    Parameters
    ----------
    parts
        One for each provider; in one folder, since names of tiles tell the provider.
    """

    def __init__(self, parts: list[Fetching]) -> None:
        self._parts = parts
        self.cache = " and ".join(dict.fromkeys(str(part.cache) for part in parts))

    @property
    def providers(self) -> list[str]:
        """The names of the providers."""
        return [part.provider.name for part in self._parts]

    @property
    def parts(self) -> list[Fetching]:
        """What fetches the tiles of each provider."""
        return self._parts

    def plan(self) -> SeveralPlan:
        """Return the estimates of all."""
        return SeveralPlan({part.provider.title: part.plan() for part in self._parts})

    def fetch(self, *, dry_run: bool = False) -> gpd.GeoDataFrame:
        """Return the tiles frames of all as one, with a column `provider`."""
        import pandas as pd

        found = [part.fetch(dry_run=dry_run).assign(provider=part.provider.name) for part in self._parts]
        tiles: gpd.GeoDataFrame = pd.concat(found, ignore_index=True)
        tiles.attrs = {"not_tiles": []}
        return tiles

    def images(self) -> pa.Table:
        """Return the images of the region, of all providers."""
        return together({part.provider.name: part.images() for part in self._parts})

    @property
    def summary(self) -> dict[str, Any]:
        """The counts of all, and those of each provider."""
        parts = {part.provider.name: part.summary for part in self._parts}
        sums = {
            name: sum(summary[name] for summary in parts.values())
            for name in ("asked", "tiles", "cached", "fetched", "failed")
        }
        return {**sums, "left_out": {}, "failed_tiles": self.failed, "providers": parts}

    @property
    def attrs(self) -> dict[str, Any]:
        """Which positions the images have; whose they are, their rows say."""
        return {"positions": self._parts[0].attrs["positions"]}

    @property
    def failed(self) -> list[str]:
        """Names of the tiles that could not be fetched."""
        return [name for part in self._parts for name in part.failed]

    @property
    def warning(self) -> str:
        """The headline's text about failed tiles."""
        return "".join(f"{part.warning} ({part.provider.title})" for part in self._parts if part.warning)


def together(tables: dict[str, pa.Table]) -> pa.Table:
    """
    Return the images of several providers as one table, in the second form of frames.

    Parameters
    ----------
    tables
        The images of each provider, by its name.
    """
    import pyarrow as pa

    from mlygeo.providers import provider

    parts = []
    for name, table in tables.items():
        columns = {column: _in_second_form(column, table[column]) for column in table.column_names}
        columns.setdefault("provider", pa.repeat(name, len(table)))
        licence = provider(name).licence
        if licence is not None:
            columns.setdefault("licence", pa.repeat(licence.name, len(table)))
            columns.setdefault("licence_url", pa.repeat(pa.scalar(licence.url, pa.string()), len(table)))
        parts.append(pa.table(columns))
    return pa.concat_tables(parts, promote_options="permissive")


def _in_second_form(name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    from mlygeo.schemas import KEYS

    if name in KEYS:
        return values.cast(pa.string())
    return values.cast(pa.timestamp("us", "UTC")) if pa.types.is_timestamp(values.type) else values


def shares_of(images: Points, asked: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """
    Return what each provider has given, as `selection.shares` does; nothing for images whose rows do not say it.

    Parameters
    ----------
    images
        The images.
    asked
        Names of the providers that were asked; those without images are there with none.
    """
    import pyarrow as pa

    from mlygeo.parts.facts import shares

    if not {"id", "provider"} <= {*images.columns}:
        return {}
    names = [name for name in ("id", "provider", "licence") if name in images.columns]
    return with_asked(shares(pa.table({name: images.arrow(name) for name in names})), asked)


def with_asked(shares: dict[str, dict[str, Any]], asked: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return shares with those providers that were asked and gave nothing."""
    return shares | {name: {"images": 0, "licences": {}} for name in asked if name not in shares}


def credited(images: Points) -> list[str]:
    """Return whose images are: by their rows where these say it, else by what was said of all."""
    from mlygeo.attribution import sources
    from mlygeo.providers import attribution_of

    return sources(images.columns, images.arrow, images.attrs, attribution_of)


@contextlib.contextmanager
def held(
    import_path: PathLike | Iterable[PathLike], doing: Doing, *, dry_run: bool, progress: Progress | None
) -> Iterator[None]:
    """
    Lock the photos of an import path; if another run has the lock, log this and wait.

    Parameters
    ----------
    import_path
        The folder of photos, or files of it.
    doing
        What is done to the photos; see `mlygeo.locks.PhotoLock`.
    dry_run
        Whether it is a dry run, which needs no lock.
    progress
        Display for the message that another run is at work; None shows none.
    """
    from mlygeo.locks import PhotoLock
    from mlygeo.photos.import_folder import photos_of
    from mlygeo.progress import Progress

    if dry_run:
        yield
        return
    named = places.several(import_path)
    held_places = [*named, *(photos for each in named if (photos := photos_of(each)) is not None)]
    with PhotoLock(held_places, doing, waiting=(progress or Progress()).note):
        yield
