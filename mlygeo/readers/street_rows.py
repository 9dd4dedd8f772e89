"""
Files of streets that are read some rows at a time, of any size: GeoParquet with the nodes of each street.

The streets of an OpenStreetMap file are written to such a file first.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mlygeo.readers import streets
from mlygeo.store import PARQUET
from mlygeo.store.datasets import alike, files, lines
from mlygeo.store.parquet import reading
from mlygeo.store.parquet.files import GeoFile, Reopened

if TYPE_CHECKING:
    from collections.abc import Iterator

    import geopandas as gpd

    from mlygeo.regions import Region

ROWS_AT_ONCE = 100_000
"""Rows of a piece; a row group is not cut, and may have more."""

NODES = ("u", "v", "key")

OSM_BYTES_PER_STREET = 80
"""Bytes of an OpenStreetMap file for each of its streets, about; extracts of cities in .osm.pbf have 80 to 100."""

TEXTS = ("osmid", "osm_id", "highway", "fclass", "name")


@dataclass
class StreetRows:
    """
    The streets of files, some at a time.

    Parameters
    ----------
    listing
        GeoParquet files of lines with `u`, `v` and `key`.
    region
        Keep the streets of this region only; lines are cut at its border.
    source
        The OpenStreetMap file whose streets they have; None where they are the user's.
    """

    listing: files.Listing
    region: Region | None
    source: Path | None = None
    attribution: list[str] = field(default_factory=list)
    """Whom they are owed to; known when they were read, as is what follows."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What `read_streets` says of them in `attrs["streets"]`."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Rows by the reason for which they are left out."""

    @property
    def name(self) -> str:
        """What messages call them."""
        return self.listing.name if self.source is None else self.source.name

    def __len__(self) -> int:
        """Return the number of streets; known when they were read."""
        count: int = self.facts["edges"]
        return count

    def pieces(self) -> Iterator[gpd.GeoDataFrame]:
        """
        Yield their streets, EPSG:4326; once all were taken, what is known of all is known.

        Raises
        ------
        FrameError
            In the end, if the files hold different kinds of things.
        """
        total: Counter[str] = Counter()
        left_out: Counter[str] = Counter()
        attribution: dict[str, None] = {}
        bbox = None if self.region is None or len(self.region.boxes) > 1 else self.region.bounds
        held: list[alike.Held] = []
        of_osm: dict[str, Any] = {}
        for each in self.listing.near(bbox).files:
            file = GeoFile(Reopened(each.path) if isinstance(each.path, Path) else each.path)
            near = [*range(len(file.groups))] if bbox is None else reading.groups_near(file, bbox)
            kinds: set[str] = set()
            of_osm |= {} if self.source is None else file.attrs["streets"]
            said, damaged = file.attrs.get("left_out") or {}, Counter[str]()
            for groups in _batches(file.groups, near):
                rows = reading.read(file, bbox=bbox, groups=groups, columns=_wanted(file))
                kinds |= {*rows.geom_type.dropna()}
                own = rows.attrs.pop("left_out", None) or {}
                damaged.update({} if own == said else own)
                found, counts = streets.some_of(rows, name=self.name, region=self.region)
                left_out.update(counts.pop("left_out"))
                total.update(counts)
                attribution |= dict.fromkeys(found.attrs.get("attribution", []))
                yield found
            left_out.update(damaged or said)
            schema = file.file.schema_arrow
            columns = {name: schema.field(name).type if kinds else None for name in file.attributes}
            held.append(alike.Held(each.name, columns, points="Point" in kinds if kinds else None))
        if not self.facts:
            alike.check(held, self.name)
        self.attribution, self.left_out = [*attribution], dict(left_out)
        of_rows = {"rows_left_out": total["rows_left_out"]} if self.source is None else of_osm
        self.facts = {
            "source": self.name, **of_rows, "edges": total["edges"], "length_m": total["length_um"] / 1e6,
        }  # fmt: skip


def opened(value: Any, region: Region | None, *, retain_all: bool, least: int) -> StreetRows | None:
    """
    Return the streets of files to be read some at a time; None for what has to be read as a whole.

    Parameters
    ----------
    value
        What was given as streets.
    region
        Keep the streets of this region only.
    retain_all
        Of an OpenStreetMap file, keep every component of the network, and not only the largest.
    least
        Files with fewer rows than this are read as a whole.
    """
    is_path = isinstance(value, str | os.PathLike)
    if is_path and streets.is_osm(value) and (path := Path(value).expanduser()).is_file():
        # Of a region, only what lies near it is read.
        few = region is not None or path.stat().st_size < least * OSM_BYTES_PER_STREET
        return None if few else _of_osm(path, retain_all=retain_all)
    if not files.are_several(value) and not (is_path and _is_parquet(Path(value).expanduser())):
        return None
    listing = files.listed(value)
    if not all(each.is_parquet for each in listing.files):
        return None
    rows = 0
    for each in listing.files:
        file = GeoFile(Reopened(each.path) if isinstance(each.path, Path) else each.path)
        if not _comes_row_by_row(file):
            return None
        rows += len(file)
    return StreetRows(listing, region) if rows >= least else None


def _of_osm(path: Path, *, retain_all: bool) -> StreetRows:
    """Return the streets of an OpenStreetMap file, in a file that goes with them."""
    folder = Path(tempfile.mkdtemp(prefix="mlygeo-"))
    try:
        with streets.street_batches(path, retain_all=retain_all) as batches:
            lines.write_file(batches, folder / "streets.parquet")
        found = StreetRows(files.listed([folder / "streets.parquet"]), None, source=path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(found, shutil.rmtree, folder, ignore_errors=True)
    return found


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in PARQUET and path.is_file()


def _comes_row_by_row(file: GeoFile) -> bool:
    """Return whether what becomes of a row hangs on that row alone: nodes have numbers, and no text is a number."""
    schema = file.file.schema_arrow
    if not {*NODES} <= {*file.attributes}:
        return False
    texts = [schema.field(name).type for name in TEXTS if name in file.attributes]
    return all(pa.types.is_integer(schema.field(name).type) for name in NODES) and not any(
        pa.types.is_floating(kind) or pa.types.is_decimal(kind) for kind in texts
    )


def _wanted(file: GeoFile) -> list[str]:
    known = {*NODES, *TEXTS, "oneway"}
    return [name for name in file.attributes if name in known]


def _batches(rows: list[int], groups: list[int]) -> Iterator[list[int]]:
    some: list[int] = []
    count = 0
    for group in groups:
        if some and count + rows[group] > ROWS_AT_ONCE:
            yield some
            some, count = [], 0
        some.append(group)
        count += rows[group]
    if some:
        yield some
