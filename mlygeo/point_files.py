"""GeoParquet files of points, of which only what is asked for is read."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlygeo import _parquet
from mlygeo.errors import FrameError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Rows = npt.NDArray[np.int64]

THREADS = 2
"""Row groups decoded at once: more gain little and hold more memory (measured on 2 cores)."""


class PointFile:
    """
    A GeoParquet file of points, read column by column as they are needed.

    Parameters
    ----------
    path
        GeoParquet with points, as WKB or in the native encoding, in any CRS.

    Raises
    ------
    FileError
        If it cannot be read.
    FormatError
        If it is no GeoParquet.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file = _parquet.open_file(self.path)
        self.geo = _parquet.geo_metadata(self._file, self.path)
        self._local = threading.local()
        self.geometry_name: str = self.geo["primary_column"]
        self._groups = [self._file.metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)]

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._file.metadata.num_rows)

    @property
    def columns(self) -> list[str]:
        """Names of the attribute columns: neither geometry nor bounding box nor pandas' index."""
        return [name for name in self._file.schema_arrow.names if _parquet.is_attribute(name, self.geo)]

    @property
    def attrs(self) -> dict[str, Any]:
        """What the frame carried in `attrs` when it was written."""
        return dict(_parquet.pandas_metadata(self._file).get("attributes") or {})

    @cached_property
    def lonlat(self) -> tuple[Floats, Floats]:
        """
        Longitude and latitude, degrees; NaN where there is no point.

        Raises
        ------
        FormatError
            If the file holds other geometries than points.
        """
        lon, lat = np.empty(len(self)), np.empty(len(self))
        ends = np.cumsum(self._groups)

        def decode(group: int) -> None:
            part = slice(ends[group] - self._groups[group], ends[group])
            lon[part], lat[part] = _parquet.coordinates(
                self._row_group(group, [self.geometry_name]).column(0), self.path
            )

        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(decode, range(len(self._groups))):
                pass
        return _parquet.to_lonlat(lon, lat, self.geo["columns"][self.geometry_name], self.path)

    def column(self, name: str) -> pa.ChunkedArray:
        """
        Return a column, whole.

        Raises
        ------
        FrameError
            If there is no such column.
        """
        if name not in self.columns:
            raise FrameError(f"{self.path.name} has no column '{name}' (it has {', '.join(self.columns)})")
        return _parquet.reading(self.path, lambda: self._file.read(columns=[name])).column(0)

    def take(self, rows: Rows, columns: Iterable[str] | None = None) -> pa.Table:
        """
        Return chosen rows, in the order asked for.

        Parameters
        ----------
        rows
            Row numbers, int64, in any order, repeated or not.
        columns
            Attribute columns; None takes all.

        Returns
        -------
        table
            A row for each of `rows`; a table without columns has none.
        """
        names = self.columns if columns is None else [name for name in columns if name in self.columns]
        if not names:
            return pa.table({})
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        ends = np.cumsum(self._groups)
        limits = np.searchsorted(ordered, np.concatenate([[0], ends]))

        def pick(group: int) -> pa.Table | None:
            wanted = ordered[limits[group] : limits[group + 1]] - (ends[group] - self._groups[group])
            if not len(wanted):
                return None
            return self._row_group(group, names).take(pa.array(wanted))

        with ThreadPoolExecutor(THREADS) as pool:
            parts = [part for part in pool.map(pick, range(len(self._groups))) if part is not None]
        if not parts:
            return self._file.schema_arrow.empty_table().select(names)
        back = np.empty(len(order), dtype=np.int64)
        back[order] = np.arange(len(order))
        return pa.concat_tables(parts).select(names).take(pa.array(back)).replace_schema_metadata(None)

    def _row_group(self, group: int, columns: list[str]) -> pa.Table:
        # One reader a thread: Arrow does not promise that threads may share one.
        if not hasattr(self._local, "file"):
            self._local.file = pq.ParquetFile(self.path, metadata=self._file.metadata)
        file: pq.ParquetFile = self._local.file
        return _parquet.reading(self.path, lambda: file.read_row_group(group, columns=columns, use_threads=False))
