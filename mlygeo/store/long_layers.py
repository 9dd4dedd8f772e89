"""Layers of GDAL's formats of any length, some rows at a time: the rows, dtypes and faults of `mlygeo.store.gdal`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.store import columns as described
from mlygeo.store import feature_sequences, gdal, geojson, lost
from mlygeo.store.gdal_dtypes import Told
from mlygeo.store.whole_ids import WholeIds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import geopandas as gpd
    import pyarrow as pa

    from mlygeo.arrays import Flags

ROWS_AT_ONCE = 100_000
"""Most rows of a long layer that are read at once."""

BYTES_AT_ONCE = 16 << 20
"""Bytes of a file, about, whose rows are read at once: fewer rows where they are wide, if it is known how many."""


class LongLayer:
    """
    A layer of any length, read some rows at a time in two passes: the rows, dtypes and faults of `read`.

    Parameters
    ----------
    path
        The file.
    layer
        Name of the layer. None reads the only layer with geometry.
    folder
        Where a copy is kept in a form of which GDAL loses nothing; the caller removes it.

    Attributes
    ----------
    left_out
        Rows that are left out, by reason, as `read` counts them.

    Raises
    ------
    FormatError, FrameError
        As `read` raises them.
    """

    def __init__(self, path: Path, layer: str | None, folder: Path) -> None:
        self.path = path
        self._layer = gdal.Layer.of(path, layer)
        self._source, self._copy = self._copied(folder)
        self._ids = WholeIds()
        self._damaged = self._there = 0
        self._first_damaged = -1
        self._reason = ""
        self._told: Told | None = None
        self._sound: Flags | None = None
        self.left_out = dict(self._layer.left_out)
        self._is_high = False
        rows = self._layer.info.get("features", -1)
        if path.suffix.lower() == ".gpx":
            with gdal.reading(path, quiet=True):
                rows = gdal.count(path, str(self._layer.options["layer"]))
            sound = lost.sound_points(path, str(self._layer.options["layer"]), rows)
            if sound is not None:
                self._sound = sound.rows
                self.left_out[lost.NO_POSITION] = sound.lost
        self._at_once = (
            ROWS_AT_ONCE if rows <= 0 else max(1, min(ROWS_AT_ONCE, BYTES_AT_ONCE * rows // gdal.size_of(path)))
        )
        self._look_through()

    @classmethod
    def of(cls, path: Path, layer: str | None, folder: Path) -> LongLayer | None:
        """Return a layer to be read so; None where a file has to be read as a whole: GeoJSON of another kind."""
        if path.suffix.lower() == ".mvt" or path.is_dir():
            return None
        try:
            return cls(path, layer, folder)
        except _WholeError:
            return None

    def _copied(self, folder: Path) -> tuple[Path, feature_sequences.Written | None]:
        """Return a file of which GDAL loses nothing and holds little, and what was written of a collection."""
        path, is_described = self.path, self._layer.about is not None
        if not self._layer.is_geojson:
            return path, None
        are_lines = path.suffix.lower() in geojson.LINES and not is_described
        if are_lines and not geojson.may_have_ids(path):
            return path, None
        copy = folder / "features"
        written = feature_sequences.write(path, copy, is_described=is_described)
        if are_lines and (written is None or not written.is_changed):
            return path, None
        if written is None:
            raise _WholeError
        for option in ("layer", "DATE_AS_STRING"):
            self._layer.options.pop(option, None)
        return copy, None if are_lines else written

    def frames(self) -> Iterator[gpd.GeoDataFrame]:
        """Yield the rows, with the columns and dtypes of all."""
        told = self._told
        for start, meta, table in self._tables():
            if told is not None:
                attributes, wkb = gdal.columns_of(meta, table, self.path)
                shapes, damaged = gdal.read_shapes(wkb, self.path)
                found = gdal.joined(meta, told.applied(attributes), shapes, damaged)
                yield self._ids.applied(self._finished(found, start))

    def _look_through(self) -> None:
        import pyogrio
        import shapely

        for start, meta, table in self._tables(quiet=False):
            attributes, wkb = gdal.columns_of(meta, table, self.path)
            self._told = self._told or Told(meta, is_described=self._layer.about is not None)
            self._told.add(attributes)
            shapes, damaged = gdal.read_shapes(wkb, self.path)
            self._there += sum(value is not None for value in wkb)
            self._is_high = self._is_high or bool(shapely.has_z(shapes).any())
            if damaged.any() and not self._damaged:
                self._first_damaged = start + int(np.flatnonzero(damaged)[0])
                self._reason = gdal.why_damaged(wkb, damaged)
            self._damaged += int(damaged.sum())
            self._look_at_ids(gdal.joined(meta, attributes, shapes, damaged), start)
        if self._told is not None and self._told.nested & {*_OF_IDS}:  # the values of JSON are known now
            self._ids = WholeIds()
            for start, meta, table in self._tables():
                attributes, wkb = gdal.columns_of(meta, table, self.path)
                self._look_at_ids(
                    gdal.joined(meta, self._told.applied(attributes), *gdal.read_shapes(wkb, self.path)), start
                )
        if self._damaged and self._damaged == self._there:
            raise gdal.all_damaged(self.path, self._first_damaged, self._reason)
        if self._damaged:
            described.warn_of_lost(self._damaged, self._first_damaged, self.path.name, self._reason)
            self.left_out[described.DAMAGED] = self._damaged
        if self._layer.about is None and self.path.suffix.lower() in geojson.LINES:
            with gdal.reading(self.path, quiet=True):
                lines = gdal.count_lost_lines(self.path)
            self.left_out |= {gdal.NO_FEATURE: lines} if lines else {}
        elif self._source is not self.path and self._is_high and self._layer.about is None:
            # Of a collection with heights, GDAL says that its degrees have them.
            with gdal.reading(self.path, quiet=True):
                self._layer.crs = pyogrio.read_info(self.path)["crs"]

    def _look_at_ids(self, rows: gpd.GeoDataFrame, start: int) -> None:
        found = self._finished(rows, start)
        self._ids.add({name: found[name] for name in _OF_IDS if name in found.columns})

    def _tables(self, *, quiet: bool = True) -> Iterator[tuple[int, Mapping[str, Any], pa.Table]]:
        """Yield rows, each time with the number of the first one and what GDAL says of the columns; once at least."""
        import pyarrow as pa
        import pyogrio

        with (
            gdal.reading(self.path, quiet=quiet),
            self._whole_unless_opened(),
            pyogrio.raw.open_arrow(
                self._source, datetime_as_string=True, batch_size=self._at_once, use_pyarrow=True, **self._layer.options
            ) as (meta, reader),
        ):
            start, copy = 0, self._copy
            for batch in reader:
                rows = batch.num_rows if copy is None else min(batch.num_rows, copy.features - start)
                if rows > 0:
                    yield start, meta, pa.Table.from_batches([batch.slice(0, rows)])
                start += batch.num_rows
            if copy is not None and start != copy.features + copy.added:
                raise FormatError(f"{self.path.name}: of its {copy.features:,} features GDAL reads others")
            if not start:
                yield 0, meta, pa.Table.from_batches([], reader.schema)

    @contextmanager
    def _whole_unless_opened(self) -> Iterator[None]:
        """Have a file read as a whole where GDAL does not open its copy: what is wrong is said of the file then."""
        from pyogrio.errors import DataSourceError

        try:
            yield
        except DataSourceError:
            if self._source is self.path:
                raise
            raise _WholeError from None

    def _finished(self, found: gpd.GeoDataFrame, start: int) -> gpd.GeoDataFrame:
        """Return rows, of which the first has this number, as those of the whole are."""
        if self._sound is not None:
            kept = self._sound[start : start + len(found)]
            found = found if kept.all() else found[kept].reset_index(drop=True)
        return self._layer.finished(found)


_OF_IDS = (*WholeIds.NAMES, "provider")
"""Columns that tell whether ids are whole numbers."""


class _WholeError(Exception):
    """The file has to be read as a whole."""
