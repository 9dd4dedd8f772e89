"""The images of a dataset as the steps over parts need them: those in a box, in the form that all of them have."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlygeo import frames, keys
from mlygeo.errors import FileError, FormatError, FrameError, unreadable
from mlygeo.spatial import cells
from mlygeo.store import paths
from mlygeo.store.datasets import files, layout, reading, remote
from mlygeo.store.datasets.index import Index, read_index
from mlygeo.store.parquet.files import GeoFile
from mlygeo.store.point_sources import PointFile, Points, TablePoints
from mlygeo.store.points import Conformed, PartOf, Settled, form_of, in_plain, keep, keys_of
from mlygeo.store.repeats import once

AT_ONCE = 10_000_000
"""Rows whose ids are compared at once; of more, a share at a time."""

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlygeo.arrays import Bounds, Rows
    from mlygeo.parts.plan import Task
    from mlygeo.regions import Region
    from mlygeo.store.datasets.files import Listing
    from mlygeo.store.repeats import Repeats


@dataclass(frozen=True)
class Images:
    """
    A dataset of images.

    Parameters
    ----------
    folder
        Its folder, or the address of it.
    index
        Its index.
    hash
        Hash of the index.
    by_text
        Providers whose keys go by text; see `mlygeo.keys.text_ranks`.
    elsewhere
        Its files where it is on a server or in an object store.
    """

    folder: Path | str
    index: Index
    hash: str
    by_text: frozenset[str] = frozenset()
    elsewhere: Listing | None = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.folder.name if isinstance(self.folder, Path) else remote.remote(self.folder.rstrip("/")).name

    def with_by_text(self, providers: frozenset[str]) -> Images:
        """Return the dataset with what was found out of its keys."""
        if providers == self.by_text:
            return self
        made = replace(self, by_text=providers)
        vars(made)["_form"] = self._form  # which takes a column of a file
        return made

    @cached_property
    def attrs(self) -> dict[str, Any]:
        """Attribution and the like, which all parts have."""
        return {} if self._first is None else self._first.attrs

    @cached_property
    def empty(self) -> Points:
        """The images without any: what columns there are."""
        return self.as_part(self._no_rows)

    @property
    def nothing(self) -> pa.Table:
        """A table without rows: attributes, `lon` and `lat`."""
        own = self.empty.take(np.empty(0, dtype=np.int64))
        return own.append_column("lon", pa.array([], pa.float64())).append_column("lat", pa.array([], pa.float64()))

    @cached_property
    def settled(self) -> Settled:
        """What is known of all images."""
        return Settled(self._form, self.by_text)

    def points(self, box: Bounds | None) -> Points:
        """
        Return the images in a box.

        Parameters
        ----------
        box
            West, south, east, north in degrees, west > east across the antimeridian; None for all.

        Raises
        ------
        FileError
            If a part cannot be read.
        FormatError
            If a part is not what the index says.
        """
        return self.as_part(self._dataset.points(box, at_once=True))

    def part(self, number: int, box: Bounds | None = None) -> Points:
        """Return all images of a part, or those of its row groups that may have some in a box in degrees."""
        return self.as_part(PointFile(self.file(number), bbox=box))

    def file(self, number: int) -> GeoFile:
        """Return the file of a part; raise FormatError where it is not that of the index."""
        part = self.index.parts[number]
        where = self.folder / part.path if isinstance(self.folder, Path) else self._members[part.path]
        file = GeoFile(where, footer=part.footer_sha256)
        if len(file) != part.rows:
            raise FormatError(
                f"{part.path} of {self.name} has {len(file):,} rows, and {part.rows:,} by the index",
                hint="partition it again",
            )
        return file

    def plain(self, number: int) -> PointFile:
        """Return all rows of a part, as its file has them."""
        return PointFile(self.file(number))

    def schema_of(self, schema: pa.Schema, *, but: Iterable[str] = ()) -> pa.Schema:
        """
        Return the schema of a table of images in which columns without a value have the type that others have.

        Parameters
        ----------
        schema
            That of the table.
        but
            Columns that are not the images'.
        """
        own = self.empty.take(np.empty(0, dtype=np.int64)).schema if self.empty.columns else pa.schema([])
        kinds = {field.name: field.type for field in own}
        kinds["id"] = pa.string() if self.settled.form.dtype("id") == "str" else pa.int64()
        kinds = {name: kind for name, kind in kinds.items() if name not in but}
        return pa.schema([pa.field(each.name, kinds.get(each.name, each.type)) for each in schema])

    def as_part(self, points: Points) -> Points:
        """Return points that are a part of it, in the form that all images have."""
        return Conformed(PartOf(points, self.settled), frames.IMAGES)

    @cached_property
    def _form(self) -> frames.Schema:
        """The form that fits all images: by the first file whose ids or providers settle it, else by all."""
        form = frames.IMAGES
        for number in range(len(self.index.parts)):
            points = self.plain(number)
            if "id" not in points.columns:
                raise FrameError(
                    f"{self.name} has no column 'id', so its images cannot be identified"
                    f" (it has {', '.join(points.columns) or 'none but the geometry'})"
                )
            if pa.types.is_integer(points.type_of("id")) and "provider" not in points.columns:
                break
            form = form_of(points, frames.IMAGES)
            if form is not frames.IMAGES:
                break
        return form

    @property
    def has_texts(self) -> bool:
        """Whether ids are text in the files."""
        return self._first is not None and not pa.types.is_integer(self._first.file.schema_arrow.field("id").type)

    @cached_property
    def _dataset(self) -> reading.Dataset:
        return reading.open(self.folder) if self.elsewhere is None else reading.Dataset(self.elsewhere)

    @cached_property
    def _members(self) -> dict[str, Path | remote.Remote]:
        return {} if self.elsewhere is None else {file.name: file.path for file in self.elsewhere.files}

    @cached_property
    def _first(self) -> GeoFile | None:
        return self.file(0) if self.index.parts else None

    @cached_property
    def _no_rows(self) -> TablePoints:
        if self._first is None:
            raise FrameError(f"{self.name} contains no image")
        schema = self._first.file.schema_arrow.empty_table().select(self._first.attributes)
        places = {"lon": pa.array([], pa.float64()), "lat": pa.array([], pa.float64())}
        if clash := sorted({*places} & {*schema.column_names}):
            raise FrameError(f"{self.name} has a column {clash[0]!r} beside its geometry", hint="rename it")
        table = pa.table({**{name: schema[name] for name in schema.column_names}, **places})
        return TablePoints(table.replace_schema_metadata(None), self.name, self.attrs)


def dataset_of(value: object) -> Images | None:
    """
    Return the dataset with an index that a path or an address names; None for anything else.

    Raises
    ------
    FileError
        If the index cannot be read.
    FormatError
        If the index is damaged, or an object store has other files than it names.
    """
    if isinstance(value, str | os.PathLike) and (address := paths.address_of(value)) is not None:
        return _dataset_at(address)
    try:
        path = layout.followed(Path(value).expanduser().absolute())  # type: ignore[arg-type]
        beside = layout.index_of(path)
        if not path.is_dir() or not beside.is_file():
            return None
    except (TypeError, ValueError, OSError):
        return None
    return opened(path)


def no_dataset(value: object) -> str:
    """Return in words that what a caller gives as images is not a dataset with an index, and why a folder is none."""
    why = "without a dataset as `images`"
    if isinstance(value, str | os.PathLike) and (address := paths.address_of(value)) is not None:
        name = remote.remote(address).name
        return f"{why}: the index that 'mlygeo partition' writes is not beside {name}"
    try:
        path = Path(value).expanduser().absolute()  # type: ignore[arg-type]
        if path.is_dir():
            return (
                f"{why}: {layout.index_of(path)}, the index that 'mlygeo partition' writes beside {value}, is missing"
            )
    except (TypeError, ValueError, OSError):
        pass
    return why


def _dataset_at(address: str) -> Images | None:
    ending = PurePosixPath(address.rstrip("/")).suffix.lower()
    is_file = "?" in address or (ending and not address.endswith("/") and remote.is_web(address))
    if is_file or ending in files.PARQUET or paths.has_pattern(address) or address.rstrip("/").count("/") < 3:
        return None
    found = _at(address.rstrip("/"))
    if found is None:
        return None
    if found.elsewhere is not None:
        files.check_store(address, found.elsewhere)
    return found


def _at(address: str) -> Images | None:
    """Return the dataset at an address, asked for once; again where its index is another one by now."""
    known, index_file = _elsewhere.get(address, (None, None))
    if known is not None and index_file is not None and index_file.is_same():
        return known
    found = files.indexed_elsewhere(address)
    if found is None:
        return None
    listing, content, index_file = found
    if listing.index is None:
        return None
    made = Images(address, listing.index, hashlib.sha256(content).hexdigest(), elsewhere=listing)
    _elsewhere.clear()
    _elsewhere[address] = made, index_file
    return made


_elsewhere: dict[str, tuple[Images, remote.RemoteFile]] = {}
"""The dataset elsewhere that this process works on, and the opened file of its index."""


def opened(folder: Path | str, expected: str | None = None) -> Images:
    """
    Return a dataset.

    Parameters
    ----------
    folder
        Its folder, or the address of it.
    expected
        Hash of its index.

    Raises
    ------
    FileError
        If the index cannot be read.
    FormatError
        If it is damaged, or another than was expected.
    """
    address = paths.address_of(folder)
    if address is not None:
        found = _at(address)
        if found is None:
            raise FileError(f"the index of {address} is not beside it any more", hint="run the command again")
        if expected is not None and found.hash != expected:
            raise _changed(folder)
        return found
    folder = Path(folder)
    path = layout.index_of(folder)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileError(unreadable(path, error), hint="is it on a disk that all workers see?") from error
    digest = hashlib.sha256(content).hexdigest()
    if expected is not None and digest != expected:
        raise _changed(folder)
    return _opened(folder, digest)


def _changed(folder: Path | str) -> FormatError:
    return FormatError(f"{folder} was changed since the plan was made", hint="run the command again")


@lru_cache(maxsize=4)
def _opened(folder: Path, found: str) -> Images:
    return Images(folder, read_index(layout.index_of(folder)), found)


def by_text(dataset: Images, region: Region | None, conditions: dict[str, Any]) -> set[str]:
    """
    Return the providers, "" for none, of which some of the images that may be chosen have keys that are no digits.

    Parameters
    ----------
    dataset
        The images; of those whose ids are whole numbers, none is read.
    region, conditions
        Which images may be chosen.
    """
    found: set[str] = set()
    if dataset.settled.form.dtype("id") != "str":
        if dataset.has_texts:  # which are whole numbers, or refused, also where no point is near
            for number in range(len(dataset.index.parts)):
                keys_of(keep(dataset.part(number), region=region, conditions=conditions))
        return found
    for number in range(len(dataset.index.parts)):
        points = dataset.part(number)
        providers = {""}
        if "provider" in points.columns:
            providers = {name or "" for name in points.arrow("provider").unique().to_pylist()}
        if providers <= found:
            continue
        chosen = keep(points, region=region, conditions=conditions)
        words = keys.texts(chosen.arrow("id"))
        names = chosen.arrow("provider").fill_null("").combine_chunks() if "provider" in points.columns else None
        for name in providers - found:
            own = words if names is None else words.filter(pc.equal(names, name))
            if not keys.are_digits(own):
                found.add(name)
    return found


def with_counts(tasks: list[Task], dataset: Images) -> list[Task]:
    """Return tasks that count the parts of a dataset, each part once: those in their cells, and others near them."""
    if not tasks:
        return tasks
    firsts = np.array([cells.span(*cells.from_quadkey(task.cell), layout.MOST_ZOOM)[0] for task in tasks])
    shared: list[list[int]] = [[] for _ in tasks]
    for number, part in enumerate(dataset.index.parts):
        first = cells.span(*cells.from_quadkey(part.cell), layout.MOST_ZOOM)[0]
        shared[max(int(np.searchsorted(firsts, first, side="right")) - 1, 0)].append(number)
    return [replace(task, counts=tuple(numbers)) for task, numbers in zip(tasks, shared, strict=True)]


def counted(
    dataset: Images, numbers: Iterable[int], region: Region | None, conditions: dict[str, Any]
) -> dict[str, int]:
    """
    Return how many images of some parts may be chosen, and how many of them have no position.

    Parameters
    ----------
    dataset
        The images.
    numbers
        Numbers of the parts.
    region, conditions
        Which images may be chosen.
    """
    total = {"kept": 0, "unplaced": 0}
    for number in numbers:
        kept = keep(dataset.part(number), region=region, conditions=conditions)
        lon, lat = kept.lonlat
        total["kept"] += len(kept)
        total["unplaced"] += int(np.count_nonzero(~(np.isfinite(lon) & np.isfinite(lat))))
    return total


def repeated(dataset: Images, region: Region | None, conditions: dict[str, Any]) -> tuple[Points, Repeats]:
    """
    Return the images that may be chosen whose ids repeat, and what `mlygeo.store.repeats.once` finds in them.

    Parameters
    ----------
    dataset
        The images. Ids are looked at, a share of them at a time; of rows whose id repeats, all columns.
    region, conditions
        Which images may be chosen.
    """
    if "problems" in dataset.index.more:  # `partition` has settled them
        return dataset.empty, once(dataset.empty)[1]
    shares_of = max(1, -(-dataset.index.rows // AT_ONCE))
    found = [dataset.nothing]
    for share in range(shares_of):
        seen, places = [], []
        for number in range(len(dataset.index.parts)):
            chosen = keep(dataset.part(number), region=region, conditions=conditions)
            key = [name for name in ("id", "provider") if name in chosen.columns]
            own = np.flatnonzero(spread(chosen.arrow("id")) % shares_of == share)
            seen.append(pa.table({name: in_plain(chosen.arrow(name).take(pa.array(own))) for name in key}))
            places.append(np.stack([np.full(len(own), number), own]))
        if not seen:
            break
        together, place = pa.concat_tables(seen), np.concatenate(places, axis=1)
        key = [name for name in together.column_names if name == "id" or not pa.types.is_integer(together["id"].type)]
        counts = together.group_by(key, use_threads=False).aggregate([([], "count_all")])
        several = counts.filter(pc.greater(counts["count_all"], 1))
        doubtful = np.flatnonzero(pc.is_in(together["id"], several["id"].combine_chunks()).to_numpy())
        for number in np.unique(place[0, doubtful]).tolist():
            rows = place[1, doubtful[place[0, doubtful] == number]]
            chosen = keep(dataset.part(number), region=region, conditions=conditions)
            lon, lat = chosen.lonlat
            table = chosen.take(rows)
            for name, values in (("lon", lon), ("lat", lat)):
                table = table.append_column(name, pa.array(values[rows]))
            found.append(table.select(found[0].column_names).cast(found[0].schema))
    whole = TablePoints(pa.concat_tables(found), dataset.name, dataset.attrs)
    rows = dataset.as_part(whole)
    return rows, once(rows)[1]


def spread(ids: pa.ChunkedArray) -> Rows:
    """Return a number from each id, alike for equal ones, by which they are shared out."""
    if pa.types.is_integer(ids.type):
        numbers: Rows = np.abs(ids.to_numpy().astype(np.int64))
        return numbers
    ends = pa.chunked_array([pc.utf8_slice_codeunits(ids.combine_chunks(), -2)]).dictionary_encode().combine_chunks()
    letters = np.array([sum(word.encode()) for word in ends.dictionary.to_pylist()], dtype=np.int64)
    return letters[ends.indices.to_numpy()] if len(letters) else np.empty(0, dtype=np.int64)


def region_as_json(region: Region | None) -> dict[str, Any] | None:
    """Return a region as JSON."""
    if region is None:
        return None
    return {"wkb": region.geometry.wkb_hex, "bounds": [*region.bounds], "name": region.name, "is_box": region.is_box}


def region_of_json(given: dict[str, Any] | None) -> Region | None:
    """Return the region of what `region_as_json` made of it."""
    if given is None:
        return None
    import shapely

    from mlygeo.regions import Region

    west, south, east, north = given["bounds"]
    return Region(shapely.from_wkb(given["wkb"]), (west, south, east, north), given["name"], is_box=given["is_box"])


def conditions_as_json(conditions: dict[str, Any]) -> dict[str, Any]:
    """Return conditions of `mlygeo.filters.conditions_of` as JSON."""
    return {
        name: {"time": value.isoformat()} if isinstance(value, datetime) else value
        for name, value in conditions.items()
    }


def conditions_of_json(given: dict[str, Any]) -> dict[str, Any]:
    """Return conditions of what `conditions_as_json` made of them."""
    return {
        name: datetime.fromisoformat(value["time"]) if isinstance(value, dict) else value
        for name, value in given.items()
    }
