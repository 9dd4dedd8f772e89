"""Which rows of the inputs come into a dataset: those in a region that meet conditions; others are counted."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from mlygeo import filters, frames
from mlygeo.store.parquet.reading import groups_near
from mlygeo.store.point_sources import TablePoints
from mlygeo.store.points import Area, PartOf, Settled, asked_of

if TYPE_CHECKING:
    from mlygeo.arrays import Bounds, Flags, Floats
    from mlygeo.store.datasets.files import File
    from mlygeo.store.parquet.files import GeoFile

OUTSIDE, FILTERED = "not in the region", "by the filters"
"""Why rows are left out; those without a position are in no region."""

UNKNOWN = "without {}, by which the filters go"
"""Why rows are left out of which nobody knows whether they meet the filters; with the name of the column."""


class Bounded(Area, Protocol):
    """A part of the earth in a box, such as a `Region`."""

    @property
    def bounds(self) -> Bounds:
        """West, south, east, north in degrees; west > east crosses the antimeridian."""
        ...


@dataclass(frozen=True)
class Choice:
    """
    Which rows of an input are chosen.

    Parameters
    ----------
    region
        They lie in it; None for the whole earth.
    conditions
        They meet all of these; see `mlygeo.filters.conditions_of`.
    digest
        Hash of the region and the conditions.
    columns
        Which columns tell whether rows meet the conditions.
    has_texts
        Whether ids of the inputs are text, by which their other columns have their dtypes.
    """

    region: Bounded | None
    conditions: dict[str, Any] = field(default_factory=dict)
    digest: str = ""
    columns: tuple[str, ...] = ()
    has_texts: bool = False

    def of(self, schema: pa.Schema) -> Choice:
        """
        Return the choice from inputs with these columns.

        Parameters
        ----------
        schema
            The columns of all inputs in their common types.

        Raises
        ------
        FrameError
            If they have no column for a condition.
        """
        columns = tuple(filters.columns_for(self.conditions, schema.names)) if self.conditions else ()
        has_texts = "id" in schema.names and pa.types.is_string(schema.field("id").type)
        return replace(self, columns=columns, has_texts=has_texts)

    def groups(self, file: GeoFile) -> tuple[int, ...]:
        """Return the row groups of a file that may have rows in the region, by what its footer says."""
        near = {group for box in self._boxes for group in groups_near(file, box)}
        return tuple(range(len(file.groups)) if self.region is None else sorted(near))

    def may_meet(self, file: File) -> bool:
        """Return whether a file may have rows in the region, by the index of its dataset."""
        return self.region is None or any(file.may_meet(box) for box in self._boxes)

    def rows(self, table: pa.Table, lon: Floats, lat: Floats, name: str) -> tuple[Flags, dict[str, int]]:
        """
        Return which rows are chosen, and how many others there are by reason.

        Parameters
        ----------
        table
            Columns in the types of the dataset, `columns` among them.
        lon, lat
            Positions, degrees; NaN where there is none.
        name
            What messages call the input.
        """
        inside = np.ones(len(lon), dtype=bool) if self.region is None else self.region.contains(lon, lat)
        left_out = {OUTSIDE: int(np.count_nonzero(~inside))}
        kept = inside
        if self.conditions:
            schema = frames.IMAGES.of_any_provider if self.has_texts else frames.IMAGES
            points = PartOf(TablePoints(table.select(list(self.columns)), name, {}), Settled(schema))
            columns = asked_of(points, self.conditions)
            kept = inside & filters.are_met(columns, self.conditions)
            left = inside & ~kept
            for column, unknown in filters.unknown_in(columns, self.conditions).items():
                left_out[UNKNOWN.format(column)] = int(np.count_nonzero(left & unknown))
                left &= ~unknown
            left_out[FILTERED] = int(np.count_nonzero(left))
        return kept, {reason: count for reason, count in left_out.items() if count}

    @property
    def _boxes(self) -> list[Bounds]:
        """The boxes in which rows of the region lie: the antimeridian has two longitudes."""
        if self.region is None:
            return []
        west, south, east, north = self.region.bounds
        ends = {180.0} if west == -180.0 else set()
        ends |= {-180.0} if east == 180.0 else set()
        return [self.region.bounds, *((end, south, end, north) for end in sorted(ends))]


def choice_of(region: Bounded | None, shape: bytes, conditions: dict[str, Any]) -> Choice | None:
    """
    Return the choice of rows by a region and conditions; None where all are wanted.

    Parameters
    ----------
    region
        None for the whole earth.
    shape
        The shape of the region as WKB, which tells it from others.
    conditions
        See `mlygeo.filters.conditions_of`.
    """
    if region is None and not conditions:
        return None
    bounds = None if region is None else [*region.bounds]
    said = json.dumps([bounds, shape.hex(), conditions], sort_keys=True, default=str)
    return Choice(region, conditions, hashlib.sha256(said.encode()).hexdigest()[:32])
