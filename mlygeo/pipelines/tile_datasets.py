"""
The tiles of a region as a dataset, in bounded memory: read some at a time, and partitioned.

The rows are those of the images frame of the region. Where an image stands in several tiles, that of the first tile
by name counts, whatever the conditions on images say of the others.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import attribution, frames, own
from mlygeo.errors import FileError, FrameError, InputError, unreadable
from mlygeo.locks import FolderLock
from mlygeo.pipelines import inputs, provenance
from mlygeo.pipelines.datasets import frame_of, processes_for
from mlygeo.pipelines.job import Job, check_folder, tally
from mlygeo.pipelines.own_files import TILES
from mlygeo.places import sha256_of
from mlygeo.processes import Processes
from mlygeo.progress import Progress, counted, keep, running, working
from mlygeo.providers import attribution_of
from mlygeo.schemas import DEFAULT_PROVIDER
from mlygeo.spatial import cells
from mlygeo.store import parquet
from mlygeo.store import points as point_frames
from mlygeo.store.datasets import form, hashes, layout, publishing, settling, sources, writing
from mlygeo.store.datasets.source import GOING
from mlygeo.store.datasets.work import whole
from mlygeo.store.point_sources import PointFile, TablePoints
from mlygeo.store.points import SomeOf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import geopandas as gpd
    import pyarrow as pa

    from mlygeo.arrays import Bounds, Flags, Rows, Words
    from mlygeo.pipelines.inputs import Fetching, SeveralFetching
    from mlygeo.regions import Region
    from mlygeo.store.datasets.index import Index
    from mlygeo.store.datasets.source import Source
    from mlygeo.store.point_sources import Points

BYTES_AT_ONCE = 16 << 20
"""Bytes of tiles that are read at once: some 250,000 images, which take some hundred MB in memory."""

HIDDEN = ".hidden.parquet"
"""Ending of the files of ids of images that the conditions leave out."""

IDS_AT_ONCE = 8_000_000
"""Ids that are compared at once, where all images are left out."""

WAY = 1
"""Number of this way of reading tiles: what another one left in the folder of a run is not used."""

BYTES_PER_BYTE = 0.35
"""Bytes of a dataset for a byte of its tiles (measured on tiles of 12,000 images: 0.31)."""

SECONDS_PER_BYTE = 1 / 15e6
"""Seconds of reading and writing for a byte of tiles (measured: 200,000 images a second of processor time)."""


@dataclass(frozen=True)
class Asked:
    """
    Which images are asked for.

    Parameters
    ----------
    fetching
        Fetches the tiles.
    region
        The region.
    conditions
        Those on its images; see `frames.conditions_of`.
    beside_others
        Whether they go into a dataset whose rows say whose they are.
    """

    fetching: Fetching | SeveralFetching
    region: Region
    conditions: dict[str, Any]
    beside_others: bool = False

    @property
    def names_providers(self) -> bool:
        """Whether rows say whose they are, and under which licence."""
        return self.beside_others or len(self.fetching.parts) > 1

    def digest(self, more: object = None) -> str:
        """Return what tells this question from others, and with `more` from itself when something else is known."""
        providers = [(part.provider.name, part.positions) for part in self.fetching.parts]
        return _hash([WAY, providers, provenance.shown(self.conditions), self.region.geometry.wkb_hex, more])


@dataclass(frozen=True)
class Chunk:
    """
    Some tiles of a provider that are read at once, in the order of their names.

    Parameters
    ----------
    part
        Fetches the tiles of the provider.
    paths
        The files.
    generation
        The larger, the earlier are the names of its tiles.
    name
        That of its files in the folder of the run, by the state of the tiles.
    """

    part: Fetching
    paths: list[Path]
    generation: int
    name: str


@dataclass(frozen=True)
class Read:
    """
    The images of tiles, in files.

    Parameters
    ----------
    files
        The files.
    order
        Names of their columns.
    known
        How many images were `read` and are `kept`, with those that stand in several chunks, and how many of these are
        of `others` than Mapillary; the `attribution` of those kept.
    """

    files: list[Source]
    order: list[str]
    known: dict[str, Any]


def write(
    asked: Asked,
    dataset: Path,
    *,
    add: bool,
    rows_per_part: int | None,
    summed: Callable[[dict[str, Any]], dict[str, Any]],
    progress: Progress | None,
) -> Job[gpd.GeoDataFrame]:
    """
    Fetch the tiles of a region, and write the images in them as a dataset, or into one.

    Parameters
    ----------
    asked
        Which images.
    dataset
        The folder.
    add
        Whether they go into a dataset that is there.
    rows_per_part
        Most rows of a part.
    summed
        Makes the summary of what is known of the images.
    progress
        Where progress is shown.

    Raises
    ------
    FileError
        If something else is in the folder, or it cannot be written.
    InputError
        If positions of the dataset are of another kind.
    """
    dataset = checked(dataset, rows_per_part)
    own.refuse_others(dataset.parent, TILES)
    folder = publishing.run_folder(dataset)
    question = asked.digest()
    try:
        with FolderLock(folder), publishing.cleared(folder) as ended:
            there = publishing.check(dataset, add=add)
            if there is not None and there.more.get("asked") == question:
                add = True
                publishing.check(dataset, add=True)
            if there is not None and not add:
                raise publishing.in_the_way(dataset)
            most = rows_per_part or (layout.ROWS_PER_PART if there is None else there.rows_per_part)
            fetched = [(part, part.fetch()) for part in asked.fetching.parts]
            if there is not None:
                asked = replace(asked, beside_others=_check_images(there, dataset, asked))
            with running(progress):
                read = _read(asked, fetched, folder / publishing.READ)
                scope = asked.digest([sorted(_names_read(tiles)) for _, tiles in fetched])
                planned = partial(
                    writing.planned, read.files, dataset, folder=folder, most=most, there=there,
                    order=read.order, scope=scope, noted={"asked": question, **read.known},
                )  # fmt: skip
                plan = planned()
                if there is not None and there.more.get("inputs", [])[-1:] == [plan.content]:
                    index = there if ended else publishing.as_it_is(there)
                else:
                    if there is not None:
                        going = _going(asked, fetched, dataset, there, folder / publishing.READ)
                        plan = planned(going=going)
                    number = processes_for(None, plan.rows)
                    plan = replace(plan, record=provenance.of_this_call())
                    with Processes(number) as processes:
                        index = writing.write(plan.on(processes, threads=number == 1))
    finally:
        publishing.remove(folder)
    return _written(asked, dataset, index, read.known, summed, anew=there is not None)


def checked(dataset: Path, rows_per_part: int | None) -> Path:
    """Return the folder of a dataset to write; raise where it has the name of a file, or parts would have no rows."""
    check_folder(dataset, is_dataset=True)
    if rows_per_part is not None and rows_per_part < 1:
        raise InputError(f"`rows_per_part` is {rows_per_part}, and a part has at least one row")
    return layout.followed(dataset.expanduser().absolute(), to_write=True)


def rehearsed(asked: Asked, dataset: Path, *, add: bool, rows_per_part: int | None) -> tuple[str, dict[str, Any]]:
    """
    Return what writing the dataset would take, in words and as facts; nothing is fetched or written.

    Parameters
    ----------
    asked
        Which images.
    dataset, add, rows_per_part
        As for `write`.
    """
    dataset = checked(dataset, rows_per_part)
    if not publishing.is_begun(publishing.run_folder(dataset)):
        there = publishing.check(dataset, add=add)
        if there is not None and not add and there.more.get("asked") != asked.digest():
            raise publishing.in_the_way(dataset)
    tiles = missing = size = with_size = 0
    for part in asked.fetching.parts:
        listed = part.fetch(dry_run=True)
        worked = listed[listed["status"] != "skipped"]
        tiles += len(worked)
        missing += int((worked["status"] == "missing").sum())
        states = [_state(path) for path in _paths(worked)]
        size += sum(each for _, each, _ in states)
        with_size += len(states)
    unknown = tiles - with_size
    expected = None if unknown and not with_size else size + int(unknown * size / max(with_size, 1))
    facts: dict[str, Any] = {"tiles": tiles, "missing": missing, "tile_bytes": size}
    if expected is None:
        text = "; how large the dataset becomes is not known before there are some tiles"
        return text, {**facts, "bytes": None, "write_seconds": None}
    becomes, seconds = int(expected * BYTES_PER_BYTE), expected * SECONDS_PER_BYTE
    guess = f", if other tiles are like the {with_size:,} that are there" if unknown else ""
    text = (
        f"; the dataset becomes about {becomes / 1e6:,.1f} MB, and writing it takes about {max(1, round(seconds)):,} s"
    )
    return text + guess, {**facts, "bytes": becomes, "write_seconds": round(seconds, 1)}


def _check_images(there: Index, dataset: Path, asked: Asked) -> bool:
    """
    Return whether images of Mapillary come beside those of a dataset that say whose they are.

    Raise where it has no images; or has computed positions and the tiles original ones, or the reverse.
    """
    if not there.rows:
        return False
    first = sources.of_file(dataset / there.parts[0].path)
    if "id" not in first.schema.names or form.POINT_ID in first.schema.names:
        raise FrameError(f"{dataset.name} is not a dataset of images", hint="name another folder")
    said = first.attrs.get("positions")
    given = asked.fetching.parts[0].positions
    if said is not None and said != given:
        raise InputError(
            f"{dataset.name} has {said} positions, and these tiles have {given} ones", hint="name another folder"
        )
    is_mapillary = {*asked.fetching.providers} == {DEFAULT_PROVIDER}  # others say it in any case
    return is_mapillary and {"provider", "licence"} <= set(first.schema.names)


def _read(asked: Asked, fetched: list[tuple[Fetching, gpd.GeoDataFrame]], folder: Path) -> Read:
    """Read the tiles as `_read_as` does, in the form that fits the images of all of them."""
    names = asked.fetching.providers
    if asked.beside_others:
        return _read_as(frames.IMAGES.of_any_provider, asked, fetched, folder)
    if len(names) == 1 or {*names} == {DEFAULT_PROVIDER}:
        return _read_as(frames.IMAGES, asked, fetched, folder)
    found = _read_as(frames.IMAGES.of_any_provider, asked, fetched, folder)
    return found if found.known["others"] else _read_as(frames.IMAGES, asked, fetched, folder)


def _read_as(
    schema: frames.Schema, asked: Asked, fetched: list[tuple[Fetching, gpd.GeoDataFrame]], folder: Path
) -> Read:
    """Read the tiles into files of the run, but for those that are there."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder}: {error.strerror}") from error
    keep("the tiles read so far are kept")
    form = asked.digest([str(schema.dtype("id")), asked.names_providers])
    damaged: dict[int, list[Path]] = {}
    chunks = [chunk for part, tiles in fetched for chunk in _chunks(form, part, _paths(tiles))]
    _facts_of(schema, asked, chunks, folder, damaged)
    if damaged:
        fetched = [
            (part, part.fetch_again(damaged[number]) if number in damaged else tiles)
            for number, (part, tiles) in enumerate(fetched)
        ]
        chunks = [chunk for part, tiles in fetched for chunk in _chunks(form, part, _paths(tiles))]
    facts = _facts_of(schema, asked, chunks, folder, None)
    for part, _ in fetched:
        part.note(sum(said["without_id"] for chunk, said in zip(chunks, facts, strict=True) if chunk.part is part))
    names = {f"{chunk.name}{end}" for chunk in chunks for end in (".json", ".parquet", HIDDEN)}
    publishing.clear(folder, keep=names)
    attrs = asked.fetching.attrs
    told, others = None, {chunk.name: said["rows"] for chunk, said in zip(chunks, facts, strict=True)}
    if any(said["credits"] is not None for said in facts):
        again = _again(chunks, facts, folder)
        told = _tallied([row for said in facts for row in said["credits"] or ()], without=again.values())
        for name, tally in again.items():
            others[name] -= sum(row["count_all"] for row in tally)
    attrs = {**attrs, "attribution": attribution.sources_of(told, attrs, attribution_of)}
    found = []
    some = any(said["rows"] for said in facts)
    counting, hidden = [], []  # of those that do not come in as inputs, ids are compared here
    for chunk, said in zip(chunks, facts, strict=True):
        if some and not _is_left(schema, asked, chunk):
            counting.append(said)
        elif said["hidden"]:
            hidden.append(folder / f"{chunk.name}{HIDDEN}")
    for chunk, said in zip(chunks, facts, strict=True):
        for end, digest in said["digests"].items():
            if end == HIDDEN and (not some or _is_left(schema, asked, chunk)):  # nothing that could be hidden
                continue
            source = sources.of_file(folder / f"{chunk.name}{end}", generation=chunk.generation, digest=digest)
            found.append(replace(source, attrs=attrs, hides=end == HIDDEN))
    columns = dict.fromkeys(name for said in facts for name in said["columns"])
    first = [column.name for column in schema.columns if column.name in columns or not column.optional]
    by_others = [chunk.part.provider.name != DEFAULT_PROVIDER for chunk in chunks]
    known = {
        "read": sum(said["rows"] + said["hidden"] for said in counting) + _distinct(hidden),
        "kept": sum(said["rows"] for said in facts),
        "others": sum(others[chunk.name] for chunk, is_other in zip(chunks, by_others, strict=True) if is_other),
        "attribution": attrs["attribution"],
    }
    return Read(found, [*first, *columns], known)


def _hash(said: object) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _paths(tiles: gpd.GeoDataFrame) -> list[Path]:
    return sorted(Path(path) for path in tiles.loc[tiles["status"] != "skipped", "path"].dropna())


def _state(path: Path) -> tuple[str, int, int]:
    """Return the name of a file, its size, and its last change, nanoseconds since 1970."""
    try:
        state = path.stat()
    except OSError as error:
        raise FileError(unreadable(path, error)) from error
    return path.name, state.st_size, state.st_mtime_ns


def _chunks(form: str, part: Fetching, paths: Sequence[Path]) -> list[Chunk]:
    """Return the tiles of a provider in chunks, one without tiles where there are none; `form`: how they are read."""
    states = [_state(path) for path in paths]
    sizes = np.cumsum([0, *(size for _, size, _ in states)])
    at = sizes[:-1] // BYTES_AT_ONCE
    starts = [0, *(np.flatnonzero(np.diff(at)) + 1).tolist()] if len(at) else [0]
    found = []
    for number, (start, stop) in enumerate(zip(starts, [*starts[1:], len(paths)], strict=True)):
        name = _hash([form, part.provider.name, states[start:stop]])
        found.append(Chunk(part, list(paths[start:stop]), GOING + len(starts) - number, name))
    return found


def _facts_of(
    schema: frames.Schema,
    asked: Asked,
    chunks: list[Chunk],
    folder: Path,
    damaged: dict[int, list[Path]] | None,
) -> list[dict[str, Any]]:
    """Return what is known of chunks, which are read unless they were; damaged files are noted by provider."""
    facts = []
    with working("reading the tiles") as step:
        step.begin(sum(len(chunk.paths) for chunk in chunks), "tiles")
        for chunk in chunks:
            path = folder / f"{chunk.name}.json"
            try:
                said = json.loads(path.read_bytes())
            except (FileNotFoundError, ValueError):
                broken: list[Path] | None = None if damaged is None else []
                with running(Progress()):  # one bar for all chunks
                    said = _read_chunk(schema, asked, chunk, folder, broken)
                if broken and damaged is not None:
                    damaged.setdefault(asked.fetching.parts.index(chunk.part), []).extend(broken)
                else:
                    with whole(path) as temporary:
                        temporary.write_text(json.dumps(said), encoding="utf-8")
            facts.append(said)
            step.advance(len(chunk.paths))
    return facts


def _read_chunk(
    schema: frames.Schema, asked: Asked, chunk: Chunk, folder: Path, damaged: list[Path] | None
) -> dict[str, Any]:
    """Read the tiles of a chunk, and write their images: those that meet the conditions, and the ids of the others."""
    table = chunk.part.read(chunk.paths, damaged=damaged)
    without_id = inputs.without_id(table)
    if asked.names_providers:
        table = inputs.together({chunk.part.provider.name: table})
    everything = TablePoints(table, "the images", {})
    kept = point_frames.keep(everything, region=None, conditions=asked.conditions)
    if _is_left(schema, asked, chunk):
        kept = SomeOf(everything, np.empty(0, dtype=np.int64))
    whose = attribution.columns_in(kept.columns, kept.arrow)
    said: dict[str, Any] = {
        "rows": len(kept),
        "hidden": len(everything) - len(kept),
        "without_id": without_id,
        "columns": kept.columns,
        "credits": None if whose is None else attribution.tallied(whose).to_pylist(),
        "digests": {},
    }
    frame = point_frames.as_frame(kept, schema)
    said["digests"][".parquet"] = _written_to(folder / f"{chunk.name}.parquet", lambda path: parquet.write(frame, path))
    if said["hidden"] and isinstance(kept, SomeOf):
        others = np.setdiff1d(np.arange(len(everything)), kept.rows)
        path = folder / f"{chunk.name}{HIDDEN}"
        said["digests"][HIDDEN] = _write_ids(everything, others, path)
    return said


def _again(chunks: list[Chunk], facts: list[dict[str, Any]], folder: Path) -> dict[str, list[dict[str, Any]]]:
    """
    Return whose the images are that an earlier chunk has too, and which therefore do not come into the dataset.

    Parameters
    ----------
    chunks
        The chunks that were read; of several, the one whose tiles come first counts.
    facts
        What is known of each.
    folder
        The folder of their files; the ids of some images at a time are compared.

    Returns
    -------
    again
        By the name of a chunk, rows as of `attribution.tallied`; of chunks without such images none.
    """
    files = [
        (chunk, end)
        for chunk, said in sorted(zip(chunks, facts, strict=True), key=lambda both: -both[0].generation)
        for end in (".parquet", HIDDEN)
        if end == ".parquet" or said["hidden"]
    ]
    shares = 1 + sum(said["rows"] + said["hidden"] for said in facts) // IDS_AT_ONCE
    rows: dict[str, list[Rows]] = {}
    for share in range(shares):
        ids, of, row = [np.empty(0, dtype=np.uint64)], [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        for number, (chunk, end) in enumerate(files):
            hashed = _hashes_of(folder / f"{chunk.name}{end}")
            own = np.flatnonzero(hashed % np.uint64(shares) == share)
            ids.append(hashed[own])
            of.append(np.full(len(own), number))
            row.append(own)
        together, file, place = np.concatenate(ids), np.concatenate(of), np.concatenate(row)
        is_again = np.ones(len(together), dtype=bool)
        is_again[np.unique(together, return_index=True)[1]] = False
        for number in np.unique(file[is_again]).tolist():
            chunk, end = files[number]
            if end != HIDDEN:
                rows.setdefault(chunk.name, []).append(place[is_again & (file == number)])
    found = {}
    for name, several in rows.items():
        points = PointFile(folder / f"{name}.parquet")
        table = points.take(
            np.concatenate(several), [each for each in ("id", *attribution.COLUMNS) if each in points.columns]
        )
        whose = attribution.columns_in(table.column_names, table.column)
        found[name] = [] if whose is None else attribution.tallied(whose).to_pylist()
    return found


def _hashes_of(path: Path) -> Words:
    """Return hashes of the ids in a file of a chunk."""
    points = PointFile(path)
    table = points.take(np.arange(len(points)), [name for name in ("id", "provider") if name in points.columns])
    return hashes.of_ids(table.set_column(table.column_names.index("id"), "id", table["id"].cast("string")))


def _is_left(schema: frames.Schema, asked: Asked, chunk: Chunk) -> bool:
    """Return whether no image of a chunk comes in: of another provider, where the form is that of Mapillary alone."""
    return schema is frames.IMAGES and asked.names_providers and chunk.part.provider.name != DEFAULT_PROVIDER


def _distinct(files: list[Path]) -> int:
    """Return the number of different ids in files, some of them at a time."""
    rows = sum(len(PointFile(path)) for path in files)
    shares = 1 + rows // IDS_AT_ONCE
    found = 0
    for share in range(shares):
        some = [np.empty(0, dtype=np.uint64)]
        for path in files:
            points = PointFile(path)
            hashed = hashes.of_ids(points.take(np.arange(len(points))))
            some.append(hashed[hashed % np.uint64(shares) == share])
        found += len(np.unique(np.concatenate(some)))
    return found


def _write_ids(points: Points, rows: Rows, path: Path) -> str:
    """Write the ids of some rows; return the hash of the file."""
    ids = points.take(rows, [name for name in ("id", "provider") if name in points.columns])
    nowhere = np.full(len(ids), np.nan)
    return _written_to(path, lambda file: parquet.write_points(ids, nowhere, nowhere, file))


def _written_to(path: Path, write_to: Callable[[Path], None]) -> str:
    """Write a file, whole or not at all; return its hash."""
    with whole(path) as temporary:
        write_to(temporary)
        return sha256_of(temporary)


def _tallied(rows: list[dict[str, Any]], without: Iterable[list[dict[str, Any]]]) -> pa.Table:
    """Return the sums of what `attribution.tallied` returned for several chunks, without some of their rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = rows + [{**row, "count_all": -row["count_all"]} for some in without for row in some]
    names = [name for name in attribution.COLUMNS if any(name in row for row in rows)]
    columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
    table = pa.table({**columns, "count_all": pa.array([row["count_all"] for row in rows], pa.int64())})
    sums = table.group_by(names, use_threads=False).aggregate([("count_all", "sum")])
    return sums.filter(pc.greater(sums["count_all_sum"], 0)).rename_columns({"count_all_sum": "count_all"})


def _names_read(tiles: gpd.GeoDataFrame) -> Iterator[str]:
    """Yield the names of tiles that are known as they are now."""
    fine = tiles["status"].isin(["cached", "fetched"])
    for path in tiles.loc[fine, "path"].dropna():
        yield Path(path).name


def _going(
    asked: Asked,
    fetched: list[tuple[Fetching, gpd.GeoDataFrame]],
    dataset: Path,
    there: Index,
    folder: Path,
) -> list[Source]:
    """
    Return files of the ids in a dataset that go unless they come anew.

    These are the images in the region that meet the conditions and lie in tiles of their provider that were read.
    Those in tiles that could not be fetched stay.
    """
    read = {part.provider.name: _tiles_read(tiles) for part, tiles in fetched}
    found = []
    with working("looking for images that are gone") as step:
        step.begin(len(there.parts), "parts")
        for part in there.parts:
            box = None if part.west is None else (part.west, part.south, part.east, part.north)
            if box is not None and _may_meet(box, asked.region.geometry.bounds):
                with running(Progress()):
                    points = _of_part(asked, dataset / part.path, read)
                if len(points):
                    path = folder / f"going-{part.sha256[:32]}.parquet"
                    digest = _write_ids(points, np.arange(len(points)), path)
                    found.append(replace(sources.of_file(path, generation=GOING, digest=digest), hides=True))
            step.advance()
    return found


def _may_meet(box: Any, bounds: Bounds) -> bool:
    return bool(box[0] <= bounds[2] and box[2] >= bounds[0] and box[1] <= bounds[3] and box[3] >= bounds[1])


def _tiles_read(tiles: gpd.GeoDataFrame) -> tuple[int, Rows]:
    """Return the zoom of tiles, and the codes of those that are known as they are now."""
    fine = tiles["status"].isin(["cached", "fetched"]) & tiles["path"].notna()
    zoom = int(tiles["zoom"].iloc[0]) if len(tiles) else 0
    return zoom, cells.interleave(*(tiles.loc[fine, name].to_numpy(dtype=np.int64) for name in ("x", "y")))


def _of_part(asked: Asked, path: Path, read: dict[str, tuple[int, Rows]]) -> Points:
    """Return the images of a part that are asked for, and lie in tiles that were read."""
    points: Points = PointFile(path)
    providers = points.arrow("provider").to_pylist() if "provider" in points.columns else None
    lon, lat = points.lonlat
    lies: Flags = np.zeros(len(points), dtype=bool)
    for name, (zoom, tiles) in read.items():
        own_rows = np.array([(each or DEFAULT_PROVIDER) == name for each in providers]) if providers else (
            np.full(len(points), name == DEFAULT_PROVIDER)
        )  # fmt: skip
        lies |= own_rows & np.isin(cells.codes(lon, lat, zoom), tiles)
    some = SomeOf(points, np.flatnonzero(lies))
    return point_frames.keep(some, region=asked.region, conditions=asked.conditions)


def _written(
    asked: Asked,
    dataset: Path,
    index: Index,
    known: dict[str, Any],
    summed: Callable[[dict[str, Any]], dict[str, Any]],
    *,
    anew: bool,
) -> Job[gpd.GeoDataFrame]:
    from mlygeo import store
    from mlygeo.pipelines.whose import shares_text

    fetching, more = asked.fetching, index.more
    images = known["kept"] - more["passed_over"]
    whose = _shares(dataset, index, fetching.providers)
    told = {reason: more["left_out"].get(reason, 0) for reason in (settling.REPLACED, settling.GONE)}
    told = {reason: count for reason, count in told.items() if count}
    summary = summed(
        {
            "images": images,
            "images_filtered_out": known["read"] - more["repeats"] - images,
            **({"providers": whose} if whose else {}),
            "left_out": told,
            "attribution": known["attribution"],
        }
    )
    summary |= {
        "rows": index.rows,
        "parts": len(index.parts),
        "written": more["written"],
        "bytes": sum(part.bytes for part in index.parts),
        "output": str(dataset),
        "index": str(layout.index_of(dataset)),
    }
    headline = f"{counted(images, 'image')} in {counted(fetching.summary['tiles'], 'tile')}"
    shares = shares_text({name: facts["images"] for name, facts in whose.items()})
    is_all = images == index.rows  # else the shares are those of rows that were there, too
    headline += (shares if is_all else "") + fetching.warning + f"; {counted(index.rows, 'row')}"
    headline += f"{shares}," if shares and not is_all else ""
    headline += f" in {counted(len(index.parts), 'part')}"
    headline += f", {more['written']:,} of them written anew" if anew else ""
    headline += f"; left out: {tally(told)}" if told else ""
    files = [dataset, layout.index_of(dataset), *inputs.write_failed(fetching.failed, dataset.parent)]
    headline += "\n" + "  ".join(store.shown(file) for file in files)
    return Job(lambda: frame_of(index), summary, headline, failed=fetching.failed)


def _shares(dataset: Path, index: Index, asked: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what each provider has given to the dataset, as `inputs.shares_of` does."""
    import pyarrow as pa

    from mlygeo.parts.facts import shares, shares_added

    found = []
    for part in index.parts:
        points = PointFile(dataset / part.path, footer=part.footer_sha256)
        if not {"id", "provider"} <= {*points.columns}:
            return {}
        names = [name for name in ("id", "provider", "licence") if name in points.columns]
        found.append(shares(pa.table({name: points.arrow(name) for name in names})))
    return inputs.with_asked(shares_added(found), asked)
