"""Photos before processing: filling gaps, and writing tables into them."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlygeo.errors import FormatError, InputError
from mlygeo.pipelines import provenance
from mlygeo.pipelines.arguments import of_no_use, user_call
from mlygeo.pipelines.job import Job, public, version
from mlygeo.progress import counted

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    import geopandas as gpd

    from mlygeo.arrays import Whole
    from mlygeo.photos.import_folder import PhotoImport
    from mlygeo.progress import Progress
    from mlygeo.readers.image_tables import ImageTable, Matches

    PathLike = str | os.PathLike[str]

log = logging.getLogger("mlygeo.pipelines")

INTERPOLATED, FROM_TABLE = "interpolated.parquet", "process_csv.parquet"
"""Files of the frames of photos that were interpolated, and that a table was written into."""

KINDS = ("missing_gps", "identical_timestamps")

ISO_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

SUFFIX = "_processed"
"""Suffix of the name of a new table beside the old one."""


_DOUBTS = {
    "counted modulo": "times of a GPS week that has rolled over",
    "weeks were added": "times of a GPS week that has rolled over",
    "its own time is": "times far from the photo's own",
    "is before 1995": "times before 1995",
    "is in the future": "times in the future",
}
"""Part of a doubt of a photo -> its kind, for summaries."""


@public
def interpolate(
    import_path: PathLike | None = None,
    *,
    data: Literal["missing_gps", "identical_timestamps"],
    output: PathLike | None = None,
    max_time_delta: float = 1.0,
    file_in_path: PathLike | None = None,
    file_format: Literal["csv"] = "csv",
    time_column: int = 0,
    delimiter: str = ",",
    time_utc: bool = False,
    time_format: str = "%Y-%m-%dT%H:%M:%SZ",
    header: bool = False,
    keep_original: bool = False,
    skip_subfolders: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Fill in missing positions of photos, or spread repeated capture times, and write them into the photos.

    "missing_gps" interpolates the positions of photos without one, from the photos before and after them in the same
    folder. "identical_timestamps" spreads photos with the same time evenly up to the next time, for cameras that
    write only whole seconds; also for the time column of a table.

    Parameters
    ----------
    data
        What to interpolate: missing_gps or identical_timestamps.
    output
        File for the frame of the photos. Default: `.mlygeo/interpolated.parquet` in their folder.
    max_time_delta
        Seconds by which the track is extended before the first and after the last photo with a position.
    file_in_path
        Table (CSV) to interpolate the times of, instead of photos.
    file_format
        Format of the table.
    time_column
        Column of times in the table, counting from 0 as in the older tools.
    delimiter
        Character that separates columns.
    time_utc
        Times are seconds, milliseconds, microseconds or nanoseconds since 1970, all in the same unit.
    time_format
        Format of the times in the table. The default accepts every form of ISO 8601, and that of EXIF. New times
        are written in the format of the column. If that cannot express them, such as half a second among whole
        seconds, it is an error and the table is not changed.
    keep_original
        Keep the original photos, with "_original" added to their names. For a table, write a new one with
        "_processed" added to its name.

    Returns
    -------
    images
        Images frame of local files, a row for each photo, or for each row of the table: what was read, with
        the interpolated values; `interpolated` (bool) tells where. What cannot be placed has an `error`.

    Raises
    ------
    FileError
        If there is no such folder, no photo in it, or nothing can be written.
    InputError
        If an option makes no sense.
    FormatError
        If the table, or a time in it, has another form.

    Examples
    --------
    >>> interpolate("DCIM", data="missing_gps", max_time_delta=5)
    """
    kind = data.replace("-", "_")
    if kind not in KINDS:
        raise InputError(f"`data` {data!r} cannot be interpolated", hint=f"one of {', '.join(KINDS)}")
    if file_in_path is None:
        of_no_use(
            ("file_format", "time_column", "delimiter", "time_utc", "time_format", "header"), "without `file_in_path`"
        )
        if kind != "missing_gps":
            of_no_use(("max_time_delta",), f"with `data={kind}`")
        from mlygeo.photos.import_folder import import_folder

        return _in_photos(
            import_folder(import_path),
            kind,
            output=output,
            max_time_delta=max_time_delta,
            keep_original=keep_original,
            skip_subfolders=skip_subfolders,
            dry_run=dry_run,
            progress=progress,
        )
    if import_path:
        raise InputError("`file_in_path` and a folder of photos both say what is meant", hint="give one of them")
    if kind == "missing_gps":
        raise InputError(
            "positions are interpolated between photos, not in a table",
            hint="write the table into the photos with process-csv first",
        )
    of_no_use(("max_time_delta", "output", "skip_subfolders"), "with `file_in_path`")
    if file_format != "csv":
        raise InputError(f"`file_format` {file_format!r} is not known", hint="tables are csv")
    return _in_table(
        Path(file_in_path).expanduser(),
        column=time_column,
        delimiter=delimiter or ",",
        utc_time=time_utc,
        time_format=time_format or ISO_FORMAT,
        header=header,
        keep_original=keep_original,
        dry_run=dry_run,
    )


@public
def process_csv(
    import_path: PathLike,
    *,
    csv_path: PathLike,
    output: PathLike | None = None,
    delimiter: str = ",",
    convert_gps_time: bool = False,
    convert_utc_time: bool = False,
    time_format: str = "%Y:%m:%d %H:%M:%S.%f",
    filename_column: int | None = None,
    timestamp_column: int | None = None,
    latitude_column: int | None = None,
    longitude_column: int | None = None,
    heading_column: int | None = None,
    altitude_column: int | None = None,
    gps_week_column: int | None = None,
    meta_columns: str | None = None,
    meta_names: str | None = None,
    meta_types: str | None = None,
    header: bool = False,
    keep_original: bool = False,
    skip_subfolders: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Write times, positions, headings, altitudes and metadata from a table into photos.

    Run it before `process`, which then uses these values. A row applies to the photo whose path shares the longest
    end with the file name in the row, regardless of case and of the file name ending. A row that fits several photos
    is not used. A photo without a row, or with a value that makes no sense, is not changed. GPS weeks below 1024 are
    resolved to the week nearest to the time in the photo, else to the latest.

    Parameters
    ----------
    csv_path
        The table.
    output
        File for the frame of the photos. Default: `.mlygeo/process_csv.parquet` in their folder.
    delimiter
        Character that separates columns; "tab" for tabs.
    convert_gps_time
        Times are GPS seconds: of the week in `gps_week_column`, or since 6 January 1980.
    convert_utc_time
        Times are seconds, milliseconds, microseconds or nanoseconds since 1970, UTC, all in the same unit.
    time_format
        Format of other times; without a zone they are UTC. The default accepts every form of ISO 8601, and that of
        EXIF.
    filename_column
        Column of file names, counting from 1. Default: rows are assigned to photos in the order of the photo names.
    timestamp_column
        Column of times.
    latitude_column
        Column of latitudes, degrees.
    longitude_column
        Column of longitudes, degrees.
    heading_column
        Column of headings, degrees clockwise from true north.
    altitude_column
        Column of altitudes, metres above sea level.
    gps_week_column
        Column of GPS weeks.
    meta_columns
        Columns of metadata, such as "7,9,10".
    meta_names
        Names for these columns, such as "speed,weather,lanes".
    meta_types
        Types of these columns, such as "double,string,long". Types are string, double, long, date and boolean.
    keep_original
        Keep the original photos, with "_original" added to their names.

    Returns
    -------
    images
        Images frame of local files, a row for each photo, with the table's values; `csv_row` (Int64) is the
        row of the table, counting from 1; what could not be matched or read has an `error`.

    Raises
    ------
    FileError
        If there is no such folder, no photo in it, or nothing can be written.
    InputError
        If an option makes no sense.
    FormatError
        If the table cannot be read, or lacks a column.

    Examples
    --------
    >>> process_csv("DCIM", csv_path="log.csv", filename_column=1, latitude_column=2, longitude_column=3)
    """
    from mlygeo import store
    from mlygeo.photos.import_folder import PhotoImport, import_folder
    from mlygeo.pipelines import steps
    from mlygeo.readers import image_tables, photos

    if timestamp_column is None:
        of_no_use(("time_format",), "without `timestamp_column`")
    if convert_gps_time or convert_utc_time:
        of_no_use(("time_format",), f"with `{'convert_gps_time' if convert_gps_time else 'convert_utc_time'}`")
    place = PhotoImport(import_folder(import_path), progress=progress)
    meta = _meta_columns(meta_columns, meta_names, meta_types)
    columns = image_tables.TableColumns(
        filename=filename_column,
        timestamp=timestamp_column,
        latitude=latitude_column,
        longitude=longitude_column,
        heading=heading_column,
        altitude=altitude_column,
        gps_week=gps_week_column,
        meta=tuple(number for number, _, _ in meta),
        gps_time=convert_gps_time,
        utc_time=convert_utc_time,
        time_format=time_format or image_tables.TableColumns.time_format,
    )
    table = image_tables.read_table(csv_path, columns, delimiter=delimiter or ",", header=header)
    images = photos.read_photos(place.root, skip_subfolders=skip_subfolders, progress=place.progress)
    with place.held(dry_run=dry_run):
        images = _with_table(images, table, meta)
        wanted = images["error"].isna().to_numpy()
        target = place.folder / FROM_TABLE if output is None else Path(output).expanduser()
        files = []
        if not dry_run:
            store.check_writable(target)
            images = _written(images, table, wanted, keep_original=keep_original, place=place)
            place.forget(images.loc[images["exif_written"], "path"].tolist())
            files = [store.write_frame(provenance.noted(images, user_call()), target), *store.files_beside(target)]
    failed = steps.failures(images)
    unused = len(images.attrs["rows_left_out"])
    problems = _kinds_of_doubt(images["warning"].dropna())
    if table.names is None:
        problems["rows matched by the order of names alone"] = int(images["csv_row"].notna().sum())
    if table.zoneless:
        problems["times without a zone, taken as UTC"] = table.zoneless
    summary: dict[str, Any] = {
        "photos": len(images),
        "rows": table.count,
        "rows_without_photo": unused,
        "rows_left_out": images.attrs["rows_left_out"],
        "left_out": images.attrs["left_out"],
        "problems": problems,
        "written": int(images["exif_written"].sum()),
        "failed": len(failed),
        "failed_files": failed,
        "files": [str(file) for file in files],
        "version": version(),
    }
    headline = f"{counted(summary['written'] if not dry_run else int(wanted.sum()), 'photo')} of {len(images):,}"
    headline += " would be written" if dry_run else " written"
    headline += f" from {counted(table.count, 'row')}"
    for reason, count in {**images.attrs["left_out"], **problems}.items():
        what, _, rest = reason.partition(" ")
        headline += f"; {counted(count, what[:-1])} {rest}"
    headline += "".join(f"\n  row {row}: {reason}" for row, reason in list(summary["rows_left_out"].items())[:5])
    if failed:
        headline += "".join(f"\n  {path}: {error}" for path, error in list(failed.items())[:5])
    return Job(lambda: images, summary, headline, lambda _: files, list(failed))


def _in_photos(
    folder: Path,
    kind: str,
    *,
    output: PathLike | None,
    max_time_delta: float,
    keep_original: bool,
    skip_subfolders: bool,
    dry_run: bool,
    progress: Progress | None,
) -> Job[gpd.GeoDataFrame]:
    import numpy as np

    from mlygeo import store
    from mlygeo.photos import insertion
    from mlygeo.photos.import_folder import PhotoImport
    from mlygeo.pipelines import steps
    from mlygeo.readers import photos
    from mlygeo.spatial import geotag, times

    place = PhotoImport(folder, progress=progress)
    before = photos.read_photos(place.root, skip_subfolders=skip_subfolders, progress=place.progress)
    if kind == "missing_gps":
        images = geotag.interpolate_positions(before, max_time_delta=max_time_delta)
        changed = (before.geometry.isna() & images.geometry.notna()).to_numpy()
        headed = (before["compass_angle"].isna() & images["compass_angle"].notna()).to_numpy()
        lost = images.geometry.isna() & images["captured_at"].isna()
        images["error"] = images["error"].mask(images["error"].isna() & lost, "neither position nor capture time")
    else:
        images = times.interpolate_times(before)
        changed = (before["captured_at"] != images["captured_at"]).to_numpy() & before["captured_at"].notna().to_numpy()
        headed = np.zeros(len(images), dtype=bool)
        images["error"] = images["error"].mask(
            images["error"].isna() & images["captured_at"].isna(), "no capture time in the photo"
        )
    images = images.assign(interpolated=changed, exif_written=np.zeros(len(images), dtype=bool), headed=headed)

    def tags_of(image: Mapping[str, Any]) -> Any:
        kinds: list[Any] = (
            ["time"] if kind == "identical_timestamps" else ["gps", *["direction"] * bool(image["headed"])]
        )
        return insertion.place_tags(image, kinds)

    files = []
    with place.held(dry_run=dry_run):
        target = place.folder / INTERPOLATED if output is None else Path(output).expanduser()
        if not dry_run:
            store.check_writable(target)
            images = insertion.insert_tags(
                images, tags_of, rows=changed, keep_original=keep_original, progress=place.progress
            )
            place.forget(images.loc[images["exif_written"], "path"].tolist())
        images = images.drop(columns="headed")
        if not dry_run:
            files = [store.write_frame(provenance.noted(images, user_call()), target), *store.files_beside(target)]
    failed = steps.failures(images)
    what = "positions" if kind == "missing_gps" else "capture times"
    summary = {
        "photos": len(images),
        "left_out": {**before.attrs.get("left_out", {})},
        "problems": _kinds_of_doubt(images["warning"].dropna()) if "warning" in images.columns else {},
        "interpolated": int(changed.sum()),
        "written": int(images["exif_written"].sum()),
        "failed": len(failed),
        "failed_files": failed,
        "files": [str(file) for file in files],
        "version": version(),
    }
    headline = f"{int(changed.sum()):,} {what} of {counted(len(images), 'photo')} interpolated"
    headline += " (nothing was written)" if dry_run else f", {summary['written']:,} written"
    headline += "".join(f"\n  {path}: {error}" for path, error in list(failed.items())[:5])
    return Job(lambda: images, summary, headline, lambda _: files, list(failed))


def _in_table(
    path: Path,
    *,
    column: int,
    delimiter: str,
    utc_time: bool,
    time_format: str,
    header: bool,
    keep_original: bool,
    dry_run: bool,
) -> Job[gpd.GeoDataFrame]:
    import numpy as np

    from mlygeo import store
    from mlygeo.readers import image_tables

    rows = image_tables.read_rows(path, delimiter=delimiter)
    head, body = (rows[:1], rows[1:]) if header else ([], rows)
    narrow = next((number for number, row in enumerate(body, 1) if not 0 <= column < len(row)), None)
    if narrow is not None:
        raise FormatError(
            f"{path.name}: row {narrow} has no column {column}", hint="`time_column` counts from 0; see `delimiter` too"
        )
    texts = [row[column].strip() for row in body]
    form = None if time_format == ISO_FORMAT else time_format
    try:
        found = image_tables.times_of(texts, utc_time=utc_time, time_format=form)
    except FormatError as error:
        raise FormatError(f"{path.name}, column {column}: {error}", hint=error.hint) from error
    if found.wrong.any():
        first = int(np.flatnonzero(found.wrong)[0])
        raise FormatError(
            f"{path.name}: the time in row {first + 1} is none: {texts[first][:40]!r}",
            hint="`time_format` says how times are written, `header` that the first row names the columns",
        )
    images = _table_frame(path, found.time_ms)
    spread = images["captured_at"].to_numpy(dtype="datetime64[ms]").view(np.int64)
    changed = spread != found.time_ms
    try:
        written = image_tables.rewritten(
            texts, spread, np.flatnonzero(changed).tolist(), utc_time=utc_time, time_format=form
        )
    except FormatError as error:
        raise FormatError(f"{path.name}, {error}", hint=error.hint) from error
    for row in np.flatnonzero(changed).tolist():
        cell = body[row][column]
        body[row][column] = cell.replace(texts[row], written[row], 1)
    target = path
    if keep_original:
        target = path.with_name(f"{path.stem}{SUFFIX}{path.suffix}")
    files = []
    if changed.any() and not dry_run:
        before = path.read_bytes()
        encoding = image_tables.encoding_of(before)
        out = io.StringIO(newline="")
        csv.writer(
            out,
            delimiter={"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter),
            lineterminator="\r\n" if "\r\n" in before.decode(encoding) else "\n",
        ).writerows([*head, *body])
        with store.atomic(target) as temporary:
            temporary.write_bytes(out.getvalue().encode(encoding))
        files = [target]
    problems = {"times without a zone, taken as UTC": found.zoneless} if found.zoneless else {}
    summary = {
        "rows": len(body),
        "left_out": {},
        "problems": problems,
        "interpolated": int(changed.sum()),
        "files": [str(file) for file in files],
        "version": version(),
    }
    headline = f"{int(changed.sum()):,} times of {counted(len(body), 'row')} interpolated"
    headline += f"\n{files[0]}" if files else " (nothing was written)"
    return Job(lambda: images, summary, headline, lambda _: files)


def _table_frame(path: Path, time_ms: Whole) -> gpd.GeoDataFrame:
    """Return the rows of a table as an images frame, with times that repeat spread."""
    import geopandas as gpd
    import numpy as np
    import pandas as pd

    from mlygeo import frames
    from mlygeo.spatial import times

    count = len(time_ms)
    images = gpd.GeoDataFrame(
        {
            "captured_at": pd.Series(time_ms.view("datetime64[ms]")).dt.tz_localize("UTC"),
            # Rows of one time are ordered by name, which is their order in the table.
            "path": pd.Series([f"{row:012}" for row in range(count)], dtype="str"),
            "folder": pd.Series([str(path)] * count, dtype="str"),
            "is_pano": np.zeros(count, dtype=bool),
        },
        geometry=gpd.GeoSeries([None] * count, crs=frames.CRS),
    )
    images = frames.conform(images, frames.LOCAL_IMAGES)
    spread = times.interpolate_times(images)
    return spread.assign(interpolated=(spread["captured_at"] != images["captured_at"]).to_numpy())


def _meta_columns(columns: str | None, names: str | None, types: str | None) -> list[tuple[int, str, str]]:
    """Return column, name and type of each piece of meta data."""
    from mlygeo.pipelines import steps

    if not any((columns, names, types)):
        return []
    if not (columns and names and types):
        raise InputError("meta data needs `meta_columns`, `meta_names` and `meta_types`", hint="give all three")
    parts = [[part.strip() for part in text.split(",")] for text in (columns, names, types)]
    if len({len(part) for part in parts}) != 1:
        raise InputError(
            "`meta_columns`, `meta_names` and `meta_types` differ in number: "
            + ", ".join(str(len(part)) for part in parts)
        )
    try:
        numbers = [int(part) for part in parts[0]]
    except ValueError as error:
        raise InputError(f"`meta_columns` {columns!r} are no numbers", hint="write them as 7,9,10") from error
    for kind in parts[2]:
        if kind not in steps.GROUPS:
            raise InputError(f"there is no type {kind!r} of meta data", hint=f"one of {', '.join(steps.GROUPS)}")
    return list(zip(numbers, parts[1], parts[2], strict=True))


def _with_table(images: gpd.GeoDataFrame, table: ImageTable, meta: list[tuple[int, str, str]]) -> gpd.GeoDataFrame:
    """Return photos with the values of their rows; photos without a row, or with an invalid one, get an error."""
    import geopandas as gpd
    import numpy as np
    import pandas as pd

    from mlygeo import frames
    from mlygeo.readers import image_tables

    rows, reasons, rows_left_out = _matched(images, table)
    found = rows >= 0
    at = np.flatnonzero(found)
    errors = images["error"].to_numpy(dtype=object).copy()
    errors[images["error"].isna().to_numpy()] = None
    tags = np.full(len(images), None, dtype=object)
    doubts, contradicted = (np.full(len(images), None, dtype=object) for _ in range(2))
    for photo in range(len(images)):
        reason = reasons[photo] or (table.problems[rows[photo]] if found[photo] else None)
        if reason is None and meta:
            tags[photo], reason = _tags(table, int(rows[photo]), meta)
        errors[photo] = errors[photo] or reason
        doubts[photo] = table.doubts[rows[photo]] if found[photo] else None
    values: dict[str, Any] = {
        "error": pd.Series(errors, index=images.index, dtype="str"),
        "csv_row": pd.Series(np.where(found, rows + 1, -1), index=images.index, dtype="Int64").mask(~found),
        "meta_tags": pd.Series(tags, index=images.index, dtype="str"),
        "exif_written": np.zeros(len(images), dtype=bool),
    }
    if table.time_ms is not None:
        times = images["captured_at"].to_numpy(dtype="datetime64[ms]").copy()
        filled = at[table.time_ms[rows[at]] != image_tables.NO_TIME]
        times[filled], contradictions = image_tables.settled_times(table, rows[filled], times[filled])
        for place, text in contradictions.items():
            contradicted[filled[place]] = text
        values["captured_at"] = pd.Series(times, index=images.index).dt.tz_localize("UTC")
    for column, name in (("compass_angle", "heading"), ("altitude", "altitude")):
        if name in table.numbers:
            numbers = images[column].to_numpy(dtype=np.float64).copy()
            filled = at[np.isfinite(table.numbers[name][rows[at]])]
            numbers[filled] = table.numbers[name][rows[filled]]
            values[column] = numbers
    if "latitude" in table.numbers:
        points = np.array(images.geometry.values, dtype=object)
        filled = at[np.isfinite(table.numbers["latitude"][rows[at]])]
        points[filled] = frames.points(
            table.numbers["longitude"][rows[filled]], table.numbers["latitude"][rows[filled]]
        )
        values["geometry"] = gpd.GeoSeries(points, index=images.index, crs=images.crs)
    images = frames.with_phrases(images.assign(**values), "warning", frames.phrases(doubts, contradicted))
    unusable = {int(row): text for row in set(rows[found].tolist()) if (text := table.problems[row]) is not None}
    counts = Counter(
        {
            "rows without a photo": len(rows_left_out),
            "rows with a value that cannot be": len(unusable),
            "photos without a row": sum(reason is not None for reason in reasons),
        }
    )
    images.attrs["left_out"] = {**images.attrs.get("left_out", {}), **+counts}
    images.attrs["rows_left_out"] = {row + 1: text for row, text in sorted({**rows_left_out, **unusable}.items())}
    images.attrs["problems"] = [f"row {row}: {text}" for row, text in images.attrs["rows_left_out"].items()]
    for text in images.attrs["problems"]:
        log.info("%s", text)
    return images


def _matched(images: gpd.GeoDataFrame, table: ImageTable) -> Matches:
    """Return the row of each photo: by file names, or by the order of both."""
    import numpy as np

    from mlygeo.readers import image_tables

    if table.names is not None:
        return image_tables.rows_of(images["path"].tolist(), table.names)
    log.warning("no column of file names: the rows go to the photos in the order of their names")
    count = len(images)
    # IMG_2 comes before IMG_10: cameras and loggers count, and do not sort letters.
    names = [[(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"([0-9]+)", path)]
             for path in images["path"]]  # fmt: skip
    rank = np.empty(count, dtype=np.int64)
    rank[sorted(range(count), key=names.__getitem__)] = np.arange(count)
    return image_tables.Matches(
        np.where(rank < table.count, rank, -1),
        [
            f"the table has {table.count:,} rows, and this is photo {at + 1:,}" if at >= table.count else None
            for at in rank.tolist()
        ],
        {row: f"there are {counted(count, 'photo')}" for row in range(count, table.count)},
    )


def _kinds_of_doubt(texts: Iterable[str]) -> dict[str, int]:
    """Return what is in doubt of photos by kind, with how many it is in doubt of."""
    kinds = Counter(
        next((kind for part, kind in _DOUBTS.items() if part in text), "doubts of other kinds") for text in texts
    )
    return dict(kinds)


def _tags(table: ImageTable, row: int, meta: list[tuple[int, str, str]]) -> tuple[str | None, str | None]:
    """Return the meta tags of a row as JSON, and their problem."""
    from mlygeo.pipelines import steps

    try:
        tags = steps.grouped(
            steps.tag_of(name, kind, texts[row])
            for (_, name, kind), texts in zip(meta, table.meta, strict=True)
            if texts[row]
        )
    except InputError as error:
        return None, str(error)
    return json.dumps(tags, ensure_ascii=False) if tags else None, None


def _written(
    images: gpd.GeoDataFrame, table: ImageTable, wanted: Any, *, keep_original: bool, place: PhotoImport
) -> gpd.GeoDataFrame:
    from mlygeo.photos import insertion
    from mlygeo.pipelines import steps

    kinds: list[Any] = []
    if table.time_ms is not None:
        kinds.append("time")
    if {"latitude", "altitude"} & table.numbers.keys():
        kinds.append("gps")
    if "heading" in table.numbers:
        kinds.append("direction")

    def tags_of(image: Mapping[str, Any]) -> Any:
        text = image["meta_tags"]
        described = steps.meta_tags_of(image.get("image_description"))
        tags = steps.merged(described, json.loads(text)) if isinstance(text, str) else None
        return insertion.place_tags(image, kinds, tags)

    return insertion.insert_tags(images, tags_of, rows=wanted, keep_original=keep_original, progress=place.progress)
