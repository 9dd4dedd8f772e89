"""What was measured of pictures, kept in their folder: a run that was ended goes on, a repeated one is quick."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlygeo import places, store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
        self._rows = self._read()

    def known(self, path: str) -> dict[str, Any] | None:
        """Return what was measured of a picture, if its file has not changed since."""
        name, state = self._name(path), _state(path)
        row = None if state is None else self._rows.get((name, self._side))
        return row[1] if row is not None and row[0] == state else None

    def keep(self, measured: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Keep what was measured of pictures, on the disk too."""
        for path, values in measured:
            if (state := _state(path)) is not None:
                self._rows[self._name(path), self._side] = state, dict(values)
        try:
            self._path.parent.mkdir(exist_ok=True)
            with store.atomic(self._path) as written:
                self._write(written)
        except OSError as error:
            log.warning("%s: what was measured is not kept (%s)", self._path, error.strerror or error)

    def _name(self, path: str) -> str:
        return os.path.relpath(os.path.abspath(path), self._folder)  # noqa: PTH100 - links stay

    def _write(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        listed = [
            {"name": name, "side": side, **state._asdict(), **values}
            for (name, side), (state, values) in self._rows.items()
        ]
        table: pa.Table = pa.Table.from_pylist(listed).replace_schema_metadata({"way": WAY})
        pq.write_table(table, path)

    def _read(self) -> dict[tuple[str, int], tuple[State, dict[str, Any]]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.read_table(self._path)
        except FileNotFoundError:
            return {}
        except (OSError, pa.ArrowException) as error:
            log.warning(
                "%s cannot be read (%s); pictures are measured again", self._path, " ".join(str(error).split())[:100]
            )
            return {}
        if (table.schema.metadata or {}).get(b"way") != WAY:
            return {}
        found = {}
        for row in table.to_pylist():
            key = row.pop("name"), row.pop("side")
            found[key] = State(row.pop("size"), row.pop("modified_ns")), row
        return found


def _state(path: str) -> State | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - many files
    except OSError:
        return None
    return State(found.st_size, found.st_mtime_ns)
