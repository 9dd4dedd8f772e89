"""The jobs that fill in positions and times that photos, or a table, lack."""

from __future__ import annotations

import csv
import io
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import FormatError, InputError
from mlygeo.photos.import_folder import PhotoImport, import_folder
from mlygeo.pipelines import steps
from mlygeo.pipelines.job import Job, counted, version

if TYPE_CHECKING:
    from collections.abc import Mapping

    import geopandas as gpd
    import numpy.typing as npt

log = logging.getLogger("mlygeo.jobs")

FRAME = "interpolated.parquet"
KINDS = ("missing_gps", "identical_timestamps")
SUFFIX = "_processed"
"""What stands behind the name of a table that was written anew beside the old one."""


def interpolate(import_path: Any, *, data: str, **options: Any) -> Job[Any]:
    """Do what `mlygeo.interpolate` says."""
    kind = data.replace("-", "_")
    if kind not in KINDS:
        raise InputError(f"--data {data!r} cannot be interpolated", hint=f"one of {', '.join(KINDS)}")
    if options.get("file_in_path") is not None:
        if import_path:
            raise InputError("--file-in-path and a folder of photos both say what is meant", hint="give one of them")
        if kind == "missing_gps":
            raise InputError(
                "positions are interpolated between photos, not in a table",
                hint="write the table into the photos with process-csv first",
            )
        return _in_table(Path(options["file_in_path"]).expanduser(), options)
    return _in_photos(import_path, kind, options)


def _in_photos(import_path: Any, kind: str, options: dict[str, Any]) -> Job[Any]:
    from mlygeo import store
    from mlygeo.photos import insertion
    from mlygeo.readers import photos
    from mlygeo.spatial import geotag, times

    place = PhotoImport(import_folder(import_path), progress=options.get("progress"))
    dry_run = bool(options.get("dry_run"))
    before = photos.read_photos(
        place.root, skip_subfolders=bool(options.get("skip_subfolders")), progress=place.progress
    )
    if kind == "missing_gps":
        images = geotag.interpolate_positions(before, max_time_delta=float(options.get("max_time_delta") or 0.0))
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
        output = place.folder / FRAME if options.get("output") is None else Path(options["output"]).expanduser()
        if not dry_run:
            store.check_writable(output)
            images = insertion.insert_tags(
                images, tags_of, rows=changed, keep_original=bool(options.get("keep_original")), progress=place.progress
            )
            place.forget(images.loc[images["exif_written"], "path"].tolist())
        images = images.drop(columns="headed")
        if not dry_run:
            files = [store.write_frame(images, output)]
    failed = steps.failures(images)
    what = "positions" if kind == "missing_gps" else "capture times"
    summary = {
        "photos": len(images),
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


def _in_table(path: Path, options: dict[str, Any]) -> Job[Any]:
    from mlygeo import store
    from mlygeo.readers import image_tables

    if options.get("file_format", "csv") != "csv":
        raise InputError(f"--file-format {options['file_format']!r} is not known", hint="tables are csv")
    delimiter = options.get("delimiter") or ","
    time_format = options.get("time_format") or "%Y-%m-%dT%H:%M:%SZ"
    utc_time = bool(options.get("time_utc"))
    rows = image_tables.read_rows(path, delimiter=delimiter)
    head, body = (rows[:1], rows[1:]) if options.get("header") else ([], rows)
    column = int(options.get("time_column") or 0)
    narrow = next((number for number, row in enumerate(body, 1) if not 0 <= column < len(row)), None)
    if narrow is not None:
        raise FormatError(
            f"{path.name}: row {narrow} has no column {column}", hint="--time-column counts from 0; see --delimiter too"
        )
    texts = [row[column].strip() for row in body]
    time_ms, wrong = image_tables.times_of(texts, utc_time=utc_time, time_format=time_format)
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise FormatError(
            f"{path.name}: the time in row {first + 1} is none: {texts[first][:40]!r}",
            hint="--time-format says how times are written, --header that the first row names the columns",
        )
    images = _table_frame(path, time_ms)
    spread = images["captured_at"].to_numpy(dtype="datetime64[ms]").view(np.int64)
    changed = spread != time_ms
    for row, text in zip(np.flatnonzero(changed), _written(spread[changed], utc_time, time_format), strict=True):
        body[row][column] = text
    target = path
    if options.get("keep_original"):
        target = path.with_name(f"{path.stem}{SUFFIX}{path.suffix}")
    files = []
    if changed.any() and not options.get("dry_run"):
        out = io.StringIO(newline="")
        csv.writer(out, delimiter={"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter), lineterminator="\n").writerows(
            [*head, *body]
        )
        files = [store.write_text(out.getvalue(), target)]
    summary = {
        "rows": len(body),
        "interpolated": int(changed.sum()),
        "files": [str(file) for file in files],
        "version": version(),
    }
    headline = f"{int(changed.sum()):,} times of {counted(len(body), 'row')} interpolated"
    headline += f"\n{files[0]}" if files else " (nothing was written)"
    return Job(lambda: images, summary, headline, lambda _: files)


def _table_frame(path: Path, time_ms: npt.NDArray[np.int64]) -> gpd.GeoDataFrame:
    """Return the rows of a table as an images frame, with times that repeat spread."""
    import geopandas as gpd
    import pandas as pd

    from mlygeo import frames
    from mlygeo.spatial import times

    count = len(time_ms)
    images = gpd.GeoDataFrame(
        {
            "captured_at": pd.Series(time_ms.view("datetime64[ms]")).dt.tz_localize("UTC"),
            # Rows of one time keep their order, which goes by name.
            "path": pd.Series([f"{row:012}" for row in range(count)], dtype="str"),
            "folder": pd.Series([str(path)] * count, dtype="str"),
            "is_pano": np.zeros(count, dtype=bool),
        },
        geometry=gpd.GeoSeries([None] * count, crs=frames.CRS),
    )
    images = frames.conform(images, frames.LOCAL_IMAGES)
    spread = times.interpolate_times(images)
    return spread.assign(interpolated=(spread["captured_at"] != images["captured_at"]).to_numpy())


def _written(time_ms: npt.NDArray[np.int64], utc_time: bool, time_format: str) -> list[str]:
    """Return times as the table writes them; a format without fractions gets milliseconds, or they would be lost."""
    import pandas as pd

    if utc_time:
        return [str(value) for value in time_ms.tolist()]
    if "%f" not in time_format:
        time_format = time_format.replace("%S", "%S.%f").replace("%T", "%H:%M:%S.%f")
    texts = pd.Series(time_ms.view("datetime64[ms]")).dt.strftime(time_format)
    return [_milliseconds(text) for text in texts]


def _milliseconds(text: str) -> str:
    """Return a time with three decimals for six, which are all that is known."""
    import re

    return re.sub(r"(\.\d{3})000(?!\d)", r"\1", text)
