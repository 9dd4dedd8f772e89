"""Files of streets that are read some rows at a time: GeoParquet with the nodes of each street, of any size."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mlygeo.readers import streets
from mlygeo.store import PARQUET
from mlygeo.store.datasets import alike, files
from mlygeo.store.parquet import reading
from mlygeo.store.parquet.files import GeoFile, Reopened

if TYPE_CHECKING:
    from collections.abc import Iterator

    import geopandas as gpd

    from mlygeo.regions import Region

ROWS_AT_ONCE = 100_000
"""Rows of a piece; a row group is not cut, and may have more."""

NODES = ("u", "v", "key")

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
    """

    listing: files.Listing
    region: Region | None
    attribution: list[str] = field(default_factory=list)
    """Whom they are owed to; known when they were read, as is what follows."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What `read_streets` says of them in `attrs["streets"]`."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Rows by the reason for which they are left out."""

    @property
    def name(self) -> str:
        """What messages call them."""
        return self.listing.name

    def __len__(self) -> int:
        """Return the number of streets; known when they were read."""
        count: int = self.facts["edges"]
        return count

    @property
    def written_at(self) -> str:
        """When the last of the files was changed, ISO 8601; now where that is not known."""
        known = [each.path.stat().st_mtime for each in self.listing.files if isinstance(each.path, Path)]
        at = datetime.now(UTC) if len(known) < len(self.listing.files) else datetime.fromtimestamp(max(known), UTC)
        return at.isoformat()

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
        for each in self.listing.near(bbox).files:
            file = GeoFile(Reopened(each.path) if isinstance(each.path, Path) else each.path)
            near = [*range(len(file.groups))] if bbox is None else reading.groups_near(file, bbox)
            kinds: set[str] = set()
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
        self.facts = {
            "source": self.name, "rows_left_out": total["rows_left_out"], "edges": total["edges"],
            "length_m": total["length_um"] / 1e6,
        }  # fmt: skip


def opened(value: Any, region: Region | None, *, least: int) -> StreetRows | None:
    """
    Return the streets of files to be read some at a time; None for what has to be read as a whole.

    Parameters
    ----------
    value
        What was given as streets.
    region
        Keep the streets of this region only.
    least
        Files with fewer rows than this are read as a whole.
    """
    is_path = isinstance(value, str | os.PathLike)
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
