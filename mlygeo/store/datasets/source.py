"""An input of a dataset, and what it is known by."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Source:
    """
    An input: a GeoParquet file.

    Parameters
    ----------
    path
        The file.
    generation
        Rows of a later one replace those of an earlier one with the same id.
    groups
        Numbers of rows of its row groups.
    bytes, modified_ns
        Size of the file, and its last change (nanoseconds since 1970): by these it is known again.
    schema
        Its attributes, and further geometry as WKB.
    geometry
        Name of its geometry.
    further
        CRS of further geometry columns by name, as its metadata have it.
    attrs
        The `attrs` of the frame in it.
    notes
        What pandas noted of its columns, by name.
    keys
        Values of columns that the names of its folders say.
    digest
        Hash of a frame in memory, by which it is known again; empty for files.
    """

    path: str
    generation: int
    groups: tuple[int, ...]
    bytes: int
    modified_ns: int
    schema: pa.Schema
    geometry: str
    further: dict[str, Any] = field(default_factory=dict)
    attrs: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, int | str | None] = field(default_factory=dict)
    digest: str = ""

    @property
    def rows(self) -> int:
        """Its number of rows."""
        return sum(self.groups)

    @property
    def name(self) -> str:
        """What messages call it."""
        return Path(self.path).name

    @property
    def modified_at(self) -> datetime:
        """Its last change, UTC."""
        return datetime.fromtimestamp(self.modified_ns // 1000 / 1e6, UTC)

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells whether a later run has the same input."""
        return (self.digest, self.generation) if self.digest else (
            self.path, self.generation, self.bytes, self.modified_ns
        )  # fmt: skip


@dataclass(frozen=True)
class Span:
    """Row groups of an input: its number, and theirs from `first` on, before `stop`."""

    source: int
    first: int
    stop: int
