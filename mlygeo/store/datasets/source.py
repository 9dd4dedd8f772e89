"""An input of a dataset, and what it is known by."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FileError
from mlygeo.places import sha256_of
from mlygeo.store.atomic import file_error
from mlygeo.store.paths import called

if TYPE_CHECKING:
    import pyarrow as pa

    from mlygeo.store.datasets.choosing import Choice
    from mlygeo.store.datasets.remote import Remote

GOING = 1
"""Generation of inputs that `hides` earlier rows: those of a dataset that is there are of generation 0."""


@dataclass(frozen=True)
class Source:
    """
    An input: a GeoParquet file.

    Parameters
    ----------
    path
        The file, here or on a server.
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
        Hash of a frame in memory, or of the end of a file on a server, by which it is known again; empty for others.
    sha256
        Hash of its bytes, where an index says it; else empty.
    hides
        Whether its rows are ids alone, and keep other rows with these out of the dataset: of generation `GOING` those
        that are there and do not come anew; of a later one those of the new rows that are of the same generation or
        earlier ones, and of these no others.
    choice
        Which rows of it are meant; None for all.
    chosen
        The row groups that may have such rows, ascending; None for all.
    of
        Name of the file that a frame in memory was read from; empty for others.
    first
        Number of the first row in that file.
    """

    path: Path | Remote
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
    sha256: str = ""
    hides: bool = False
    choice: Choice | None = None
    chosen: tuple[int, ...] | None = None
    of: str = ""
    first: int = 0

    @property
    def rows(self) -> int:
        """Its number of rows."""
        return sum(self.groups)

    @property
    def read(self) -> tuple[int, ...]:
        """The row groups that are read, ascending."""
        return tuple(range(len(self.groups))) if self.chosen is None else self.chosen

    @property
    def rows_read(self) -> int:
        """The number of rows in them."""
        return self.rows if self.chosen is None else sum(self.groups[group] for group in self.chosen)

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.of or "the frame" if self.is_held else called(self.path)

    @property
    def is_held(self) -> bool:
        """Whether it is a frame in memory, which was written for the run."""
        return bool(self.digest) and isinstance(self.path, Path)

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells whether a run that goes on has the same input; asked of the file system alone."""
        where = "" if self.is_held else self.path if isinstance(self.path, Path) else self.path.address
        return str(where), self.generation, self.digest or (self.bytes, self.modified_ns)

    @cached_property
    def content(self) -> tuple[int, str]:
        """
        What tells whether a dataset was made of the same input, wherever it lay: its generation, and a hash.

        Raises
        ------
        FileError
            If the file cannot be read, or was changed since.
        """
        path = self.path
        if self.sha256 or not isinstance(path, Path) or self.digest:
            return self.generation, self.sha256 or self.digest
        try:
            found = sha256_of(path)
            state = path.stat()
        except OSError as error:
            raise file_error(error, path) from error
        if (state.st_size, state.st_mtime_ns) != (self.bytes, self.modified_ns):
            raise FileError(f"{self.name} was changed while it was read", hint="run the command again")
        return self.generation, found


@dataclass(frozen=True)
class Span:
    """Row groups of an input: its number, and theirs from `first` on, before `stop`."""

    source: int
    first: int
    stop: int
