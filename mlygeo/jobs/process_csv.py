"""The job that writes what a table knows of photos into them."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import InputError
from mlygeo.photos.import_folder import PhotoImport, import_folder
from mlygeo.pipelines import steps
from mlygeo.pipelines.job import Job, counted, version

if TYPE_CHECKING:
    from collections.abc import Mapping

    import geopandas as gpd

    from mlygeo.readers.image_tables import ImageTable

log = logging.getLogger("mlygeo.jobs")

FRAME = "process_csv.parquet"


def process_csv(import_path: Any, *, csv_path: Any, **options: Any) -> Job[Any]:
    """Do what `mlygeo.process_csv` says."""
    from mlygeo import store
    from mlygeo.readers import image_tables, photos

    place = PhotoImport(import_folder(import_path), progress=options.get("progress"))
    dry_run = bool(options.get("dry_run"))
    meta = _meta_columns(*(options.get(f"meta_{part}") for part in ("columns", "names", "types")))
    columns = image_tables.TableColumns(
        **{
            name: options.get(f"{name}_column")
            for name in ("filename", "timestamp", "latitude", "longitude", "heading", "altitude", "gps_week")
        },
        meta=tuple(number for number, _, _ in meta),
        gps_time=bool(options.get("convert_gps_time")),
        utc_time=bool(options.get("convert_utc_time")),
        time_format=options.get("time_format") or image_tables.TableColumns.time_format,
    )
    table = image_tables.read_table(
        csv_path, columns, delimiter=options.get("delimiter") or ",", header=bool(options.get("header"))
    )
    images = photos.read_photos(
        place.root, skip_subfolders=bool(options.get("skip_subfolders")), progress=place.progress
    )
    with place.held(dry_run=dry_run):
        images = _with_table(images, table, meta)
        wanted = images["error"].isna().to_numpy()
        output = place.folder / FRAME if options.get("output") is None else Path(options["output"]).expanduser()
        files = []
        if not dry_run:
            store.check_writable(output)
            images = _written(images, table, wanted, keep_original=bool(options.get("keep_original")), place=place)
            place.forget(images.loc[images["exif_written"], "path"].tolist())
            files = [store.write_frame(images, output)]
    failed = steps.failures(images)
    unused = table.count - int(images["csv_row"].nunique())
    summary: dict[str, Any] = {
        "photos": len(images),
        "rows": table.count,
        "rows_without_photo": unused,
        "written": int(images["exif_written"].sum()),
        "failed": len(failed),
        "failed_files": failed,
        "files": [str(file) for file in files],
        "version": version(),
    }
    headline = f"{counted(summary['written'] if not dry_run else int(wanted.sum()), 'photo')} of {len(images):,}"
    headline += " would be written" if dry_run else " written"
    headline += f" from {counted(table.count, 'row')}"
    if unused:
        headline += f"; {counted(unused, 'row')} without a photo"
    if failed:
        headline += "".join(f"\n  {path}: {error}" for path, error in list(failed.items())[:5])
    return Job(lambda: images, summary, headline, lambda _: files, list(failed))


def _meta_columns(columns: str | None, names: str | None, types: str | None) -> list[tuple[int, str, str]]:
    """Return column, name and type of each piece of meta data."""
    if not any((columns, names, types)):
        return []
    if not (columns and names and types):
        raise InputError("meta data needs --meta-columns, --meta-names and --meta-types", hint="give all three")
    parts = [[part.strip() for part in text.split(",")] for text in (columns, names, types)]
    if len({len(part) for part in parts}) != 1:
        raise InputError(
            "--meta-columns, --meta-names and --meta-types differ in number: "
            + ", ".join(str(len(part)) for part in parts)
        )
    try:
        numbers = [int(part) for part in parts[0]]
    except ValueError as error:
        raise InputError(f"--meta-columns {columns!r} are no numbers", hint="write them as 7,9,10") from error
    for kind in parts[2]:
        if kind not in steps.GROUPS:
            raise InputError(f"there is no type {kind!r} of meta data", hint=f"one of {', '.join(steps.GROUPS)}")
    return list(zip(numbers, parts[1], parts[2], strict=True))


def _with_table(images: gpd.GeoDataFrame, table: ImageTable, meta: list[tuple[int, str, str]]) -> gpd.GeoDataFrame:
    """Return photos with what their rows say; those without a row, or with one that makes no sense, with an error."""
    import geopandas as gpd
    import pandas as pd

    from mlygeo import frames
    from mlygeo.readers import image_tables

    if table.names is not None:
        rows, reasons = image_tables.rows_of(images["path"].tolist(), table.names)
    else:
        rows = np.where(np.arange(len(images)) < table.count, np.arange(len(images)), -1)
        reasons = [
            f"the table has {table.count:,} rows, and this is photo {at + 1:,}" if row < 0 else None
            for at, row in enumerate(rows)
        ]
        log.warning("no column of file names: the rows go to the photos in the order of their names")
    found = rows >= 0
    at = np.flatnonzero(found)
    errors = images["error"].to_numpy(dtype=object).copy()
    errors[images["error"].isna().to_numpy()] = None
    tags = np.full(len(images), None, dtype=object)
    for photo in range(len(images)):
        reason = reasons[photo] or (table.problems[rows[photo]] if found[photo] else None)
        if reason is None and meta:
            tags[photo], reason = _tags(table, int(rows[photo]), meta)
        errors[photo] = errors[photo] or reason
    values: dict[str, Any] = {
        "error": pd.Series(errors, index=images.index, dtype="str"),
        "csv_row": pd.Series(np.where(found, rows + 1, -1), index=images.index, dtype="Int64").mask(~found),
        "meta_tags": pd.Series(tags, index=images.index, dtype="str"),
        "exif_written": np.zeros(len(images), dtype=bool),
    }
    if table.time_ms is not None:
        times = images["captured_at"].to_numpy(dtype="datetime64[ms]").copy()
        told = at[table.time_ms[rows[at]] != image_tables.NO_TIME]
        times[told] = table.time_ms[rows[told]].view("datetime64[ms]")
        values["captured_at"] = pd.Series(times, index=images.index).dt.tz_localize("UTC")
    for column, name in (("compass_angle", "heading"), ("altitude", "altitude")):
        if name in table.numbers:
            numbers = images[column].to_numpy(dtype=np.float64).copy()
            told = at[np.isfinite(table.numbers[name][rows[at]])]
            numbers[told] = table.numbers[name][rows[told]]
            values[column] = numbers
    if "latitude" in table.numbers:
        points = np.array(images.geometry.values, dtype=object)
        told = at[np.isfinite(table.numbers["latitude"][rows[at]])]
        points[told] = frames.points(table.numbers["longitude"][rows[told]], table.numbers["latitude"][rows[told]])
        values["geometry"] = gpd.GeoSeries(points, index=images.index, crs=images.crs)
    return images.assign(**values)


def _tags(table: ImageTable, row: int, meta: list[tuple[int, str, str]]) -> tuple[str | None, str | None]:
    """Return the meta tags of a row as JSON, and what is wrong with them."""
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

    kinds: list[Any] = []
    if table.time_ms is not None:
        kinds.append("time")
    if {"latitude", "altitude"} & table.numbers.keys():
        kinds.append("gps")
    if "heading" in table.numbers:
        kinds.append("direction")

    def tags_of(image: Mapping[str, Any]) -> Any:
        text = image["meta_tags"]
        told = steps.told(image.get("image_description"))
        tags = steps.merged(told, json.loads(text)) if isinstance(text, str) else None
        return insertion.place_tags(image, kinds, tags)

    return insertion.insert_tags(images, tags_of, rows=wanted, keep_original=keep_original, progress=place.progress)
