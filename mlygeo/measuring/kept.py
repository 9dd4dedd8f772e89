"""What was measured of pictures, kept in their folder: a run that was ended goes on, a repeated one is quick."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlygeo import places, store
from mlygeo.progress import keeping

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pyarrow as pa

log = logging.getLogger("mlygeo.measuring")

FILE = "measured.parquet"

WAY = b"1"
"""Number of the way of measuring; what was measured in another is not used."""


class State(NamedTuple):
    """What tells that a file is still the same: its size, and when it was changed."""

    size: int
    modified_ns: int


class Kept:
    """
    What was measured of the pictures in a folder.

    Parameters
    ----------
    folder
        The folder. What cannot be read there is measured again, and where nothing can be written nothing is kept.
    side
        Pixels of the longest side to which pictures are reduced; what was measured at another stays beside it.
    """

    def __init__(self, folder: Path, side: int | None) -> None:
        self._folder, self._side = Path(os.path.abspath(folder)), side or 0  # noqa: PTH100 - links stay
        self._path = self._folder / places.STATE_FOLDER / FILE
        self._parts = [] if (table := self._read()) is None else [table]
        self._rows = {key: values for part in self._parts for key, values in _rows_of(part)}

    def known(self, path: str) -> dict[str, Any] | None:
        """Return what was measured of a picture, if its file has not changed since."""
        name, state = self._name(path), _state(path)
        row = None if state is None else self._rows.get((name, self._side))
        return row[1] if row is not None and row[0] == state else None

    def keep(self, measured: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Keep what was measured of pictures, on the disk too."""
        new: list[dict[str, Any]] = []
        for path, values in measured:
            if (state := _state(path)) is not None:
                name = self._name(path)
                self._rows[name, self._side] = state, dict(values)
                new.append({"name": name, "side": self._side, **state._asdict(), **values})
        try:
            self._write(new)
        except OSError as error:
            log.warning("%s: what was measured is not kept (%s)", self._path, error.strerror or error)

    def _name(self, path: str) -> str:
        return os.path.relpath(os.path.abspath(path), self._folder)  # noqa: PTH100 - links stay

    def _write(self, new: list[dict[str, Any]]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not new:
            return
        self._parts.append(pa.Table.from_pylist(new, _schema()))
        with keeping("the measures taken so far are kept"), store.atomic(self._path) as written:
            pq.write_table(pa.concat_tables(self._parts), written)

    def _read(self) -> pa.Table | None:
        """Return what an earlier run has kept, if it can be used."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(self._path)
        except FileNotFoundError:
            return None
        except (OSError, pa.ArrowException) as error:
            said = " ".join(str(error).split())[:100]
            log.warning("%s cannot be read (%s); pictures are measured again", self._path, said)
            return None
        return table if table.schema.equals(_schema(), check_metadata=True) else None


def _schema() -> pa.Schema:
    import pyarrow as pa

    numbers = ("blur", "contrast", "tone", "brightness", "dark_share")
    fields = {
        "name": pa.string(), **dict.fromkeys(("side", *State._fields), pa.int64()),
        **dict.fromkeys(numbers, pa.float64()), "phash": pa.string(),
        **dict.fromkeys(("measured_width", "measured_height"), pa.int64()),
    }  # fmt: skip
    return pa.schema(fields, metadata={"way": WAY})


def _rows_of(table: pa.Table) -> Iterator[tuple[tuple[str, int], tuple[State, dict[str, Any]]]]:
    """Yield the rows by name and side; of a file that was measured twice the later one comes last."""
    for row in table.to_pylist():
        key = row.pop("name"), row.pop("side")
        yield key, (State(row.pop("size"), row.pop("modified_ns")), row)


def _state(path: str) -> State | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - many files
    except OSError:
        return None
    return State(found.st_size, found.st_mtime_ns)
