"""A frame from one file format to another."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

from mlygeo.errors import InputError
from mlygeo.pipelines.arguments import of_no_use, user_call
from mlygeo.pipelines.job import Job, public, tally, version
from mlygeo.progress import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import geopandas as gpd

    from mlygeo.arrays import Bounds
    from mlygeo.store import FrameLike

    PathLike = str | os.PathLike[str]

log = logging.getLogger("mlygeo.store")

TRACKS = (".gpx", ".gpx.gz")
"""Endings of files of tracks, which are written as such."""

UNPLACED = "rows without a position"
"""Reason for which rows are not in a file of tracks."""


@public
def convert(
    frame: FrameLike | Sequence[FrameLike],
    output: PathLike,
    *,
    layer: str | None = None,
    bbox: tuple[float, float, float, float] | None = None,
    columns: Iterable[str] | None = None,
    srid: int | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Write files in another format.

    Writes GeoParquet, GeoPackage, FlatGeobuf, GeoJSON, SQLite, CSV or a table of PostGIS; tracks and sequences of
    images also as .gpx. If the format cannot store a column, the error names the column and an existing file is not
    changed. A warning lists columns that get another name. Several files become the layers of one GeoPackage, each
    named after its file. From an OpenStreetMap file (.osm.pbf, .osm, …) the streets are written, including
    unconnected ones; GeoParquet is written while they are read.

    Parameters
    ----------
    frame
        Files to read, such as images.parquet or streets.gpkg:edges (in Python also a frame). The last word is the
        file to write, unless -o is given (in Python `output` names it). From a STAC-GeoParquet on a server, such as
        the weekly export of Panoramax, https://api.panoramax.xyz/data/geoparquet/panoramax.parquet, only the part
        in `bbox` is read over the network.
    output
        The file to write, whose ending tells the format; or a table of PostGIS,
        postgresql://user@host/database?table=schema.table.
    layer
        Name of the layer to read, for files with several layers.
    bbox
        Read only rows whose bounding box meets this one: west, south, east, north, degrees.
    columns
        Read only these columns and the geometry. Can be given several times. Default: all.
    srid
        EPSG code of the coordinates in a file that does not store it: a text table (.csv, .tsv), or a shapefile
        without .prj. Default: degrees (EPSG:4326) in a text table.

    Returns
    -------
    frame
        What was written; of several frames the first.

    Raises
    ------
    InputError
        If the output is one of the inputs, or several frames are to go into a format without layers.
    FrameError
        If there is no such layer or column, or the format cannot hold a value.
    FormatError
        If frames cannot be written in a format with this ending.
    FileError
        If a file cannot be read or written.

    Examples
    --------
    >>> convert("images.parquet", "images.gpkg")
    """
    from mlygeo import store
    from mlygeo.pipelines import provenance, street_files
    from mlygeo.readers import streets

    given = frame if isinstance(frame, list | tuple) else [frame]
    if not given:
        raise InputError("there is no frame to convert", hint="name its file")
    _check_output(given, output)
    wanted = None if columns is None else list(columns)
    if len(given) == 1 and layer is None and (path := street_files.osm_file(given[0])) is not None:
        of_no_use(("srid",), "for OpenStreetMap's own files, which are in degrees")
        if Path(output).suffix.lower() in store.PARQUET and not store.is_table(output):
            return _streets(path, Path(output).expanduser(), bbox=bbox, columns=wanted)
        given = [streets.read_streets(path, retain_all=True)]
    names = _names(given)
    if len(given) > 1 and not _has_layers(output):
        raise InputError(
            f"{len(given)} frames go into one file only where it has layers, and {Path(output).name} has none",
            hint="write .gpkg, or convert them one by one",
        )
    with _Said() as said:
        read = [_read(each, layer=layer, bbox=bbox, columns=wanted, srid=srid) for each in given]
        for name, each in zip(names, read, strict=True):
            _warn_of_nothing(name, len(each), bbox)
        # The source says what made its frame; of one that does not, it is known what has converted it.
        read = [each if "record" in each.attrs else provenance.noted(each, user_call()) for each in read]
        file = _write(dict(zip(names, read, strict=True)), output)
    beside = [] if store.is_table(file) else store.files_beside(Path(file))
    left_out: dict[str, int] = {}
    for each in read:
        for reason, count in (each.attrs.get("left_out") or {}).items():
            left_out[reason] = left_out.get(reason, 0) + count
    if unplaced := _without_position(read, output):
        left_out[UNPLACED] = left_out.get(UNPLACED, 0) + unplaced
    rows = sum(map(len, read))
    summary = {
        "rows": rows,
        "columns": [str(name) for name in read[0].columns],
        "layers": names if len(read) > 1 else None,
        "left_out": left_out,
        "warnings": said.messages,
        "output": file,
        "beside": [str(each) for each in beside],
        "version": version(),
    }
    parts = f"{counted(rows, 'row')} of {counted(len(read[0].columns), 'column')}" if len(read) == 1 else (
        f"{counted(rows, 'row')} in {counted(len(read), 'layer')}"
    )  # fmt: skip
    headline = f"{parts} in {' and '.join([store.shown(file), *(each.name for each in beside)])}"
    headline += f"; left out: {tally(left_out)}" if left_out else ""
    return Job(lambda: read[0], summary, headline)


def _streets(path: Path, output: Path, *, bbox: Bounds | None, columns: list[str] | None) -> Job[gpd.GeoDataFrame]:
    """Write the streets of an OpenStreetMap file as they are read."""
    from mlygeo import store
    from mlygeo.pipelines import street_files

    with _Said() as said:
        rows, names, left_out = street_files.write_streets(path, output, bbox=bbox, columns=columns)
        _warn_of_nothing(path.name, rows, bbox)
    summary = {
        "rows": rows, "columns": names, "layers": None, "left_out": left_out, "warnings": said.messages,
        "output": str(output), "beside": [], "version": version(),
    }  # fmt: skip
    headline = f"{counted(rows, 'row')} of {counted(len(names), 'column')} in {store.shown(output)}"
    headline += f"; left out: {tally(left_out)}" if left_out else ""
    return Job(lambda: store.read_frame(output), summary, headline)


def _warn_of_nothing(name: str, rows: int, bbox: Bounds | None) -> None:
    """Warn of a box without rows, which is often one of another order of numbers, and say where it lies."""
    from mlygeo.spatial import boxes

    if not rows and bbox is not None:
        log.warning(
            "no row of %s is in the box, which is %s; its numbers are west, south, east, north", name, boxes.place(bbox)
        )


class _Said(logging.Handler):
    """Notes what the reading and writing of files warns of, beside the log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())

    def __enter__(self) -> Self:
        logging.getLogger("mlygeo.store").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("mlygeo.store").removeHandler(self)


def _check_output(given: Sequence[FrameLike], output: PathLike) -> None:
    """Raise where nothing could be written; nothing is read before."""
    from mlygeo import store

    if store.is_table(output):
        if any(isinstance(each, str) and each == output for each in given):
            raise InputError("a table cannot be converted into itself", hint="name another table")
        return
    path = Path(output).expanduser()
    if not path.name.lower().endswith(TRACKS):
        store.check_writable(path)


def _has_layers(output: PathLike) -> bool:
    from mlygeo.store import gdal

    return Path(output).suffix.lower() in gdal.LAYERED


def _names(given: Sequence[FrameLike]) -> list[str]:
    """Return a name for the layer of each frame: that of its layer or file, numbered where several are called so."""
    from mlygeo import store
    from mlygeo.store.paths import has_pattern

    names: list[str] = []
    for number, each in enumerate(given, 1):
        name = f"frame_{number}"
        if isinstance(each, str | os.PathLike) and not store.is_table(each):
            file, named = store.parted(each)
            name = named or store.shown(file).split(".")[0] or name
            name = f"frame_{number}" if has_pattern(name) else name
        base, again = name, 2
        while name.casefold() in {other.casefold() for other in names}:
            name, again = f"{base}_{again}", again + 1
        names.append(name)
    return names


def _read(
    value: FrameLike, *, layer: str | None, bbox: Bounds | None, columns: list[str] | None, srid: int | None
) -> gpd.GeoDataFrame:
    from mlygeo import store

    if isinstance(value, str) and value.startswith(("https://", "http://")):
        found = _of_export(value, bbox=bbox, columns=columns, others={"layer": layer, "srid": srid})
        if found is not None:
            return found
    if isinstance(value, str | os.PathLike):
        return store.read_frame(value, layer=layer, bbox=bbox, columns=columns, srid=srid)
    if layer is not None or srid is not None:
        raise InputError("`layer` and `srid` have no effect with a frame in memory", hint="leave them out")
    return store.part_of(value, bbox=bbox, columns=columns)


def _of_export(
    address: str, *, bbox: Bounds | None, columns: list[str] | None, others: dict[str, object]
) -> gpd.GeoDataFrame | None:
    """Return the part of a provider's export that lies in a box; None where the address is that of another file."""
    from mlygeo import store
    from mlygeo.providers import export_at

    exports = export_at(address)
    if exports is None:
        return None
    if needless := [name for name, value in others.items() if value is not None]:
        raise InputError(f"`{needless[0]}` has no effect for an export of images", hint="leave it out")
    return store.part_of(exports.read(address, bbox=bbox), columns=columns)


def _as_tracks(frame: gpd.GeoDataFrame, name: str) -> gpd.GeoDataFrame:
    """Return a frame as tracks, those of images being their sequences; what GPX has no place for is told."""
    from mlygeo.frames import TRACKS as SCHEMA

    there = {"sequence_id": "track_id", "captured_at": "time"}
    there = {own: other for own, other in there.items() if own in frame.columns and other not in frame.columns}
    if by := [column for column in there if column in frame.columns]:
        frame = frame.sort_values(by, kind="stable")
    found = frame.rename(columns=there)
    kept = {column.name for column in SCHEMA.columns}
    lost = [str(column) for column in found.columns if column not in kept and column != found.geometry.name]
    if lost:
        log.warning(
            "%s: GPX holds tracks, times, altitudes and positions alone, and not %s", name, ", ".join(map(repr, lost))
        )
    return found


def _without_position(frames: Sequence[gpd.GeoDataFrame], output: PathLike) -> int:
    """Return how many rows a file of tracks cannot hold."""
    if not str(output).lower().endswith(TRACKS):
        return 0
    return sum(int((each.geometry.isna() | each.geometry.is_empty).sum()) for each in frames)


def _write(frames: dict[str, gpd.GeoDataFrame], output: PathLike) -> str:
    from mlygeo import store
    from mlygeo.frames import TRACKS as SCHEMA
    from mlygeo.frames import conform
    from mlygeo.readers import tracks

    first = next(iter(frames.values()))
    if store.is_table(output):
        return str(store.write_frame(first, str(output)))
    path = Path(output).expanduser()
    if path.name.lower().endswith(TRACKS):
        return str(tracks.write_track(conform(_as_tracks(first, path.name), SCHEMA), path))
    if len(frames) == 1:
        return str(store.write_frame(first, path))
    return str(store.write_layers(frames, path))
