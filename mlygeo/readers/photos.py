"""
Photos on disk -> images frame: time, position, heading and camera from their EXIF and XMP.

Several processes read large folders: plain interpreters that read photos and return columns. Each is
started with a command of its own, so that it inherits no threads or locks, and so that a script without a
`__main__` guard, a notebook and a frozen program work too; `multiprocessing` would run the caller's main
module again in each process.
"""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames, places
from mlygeo.errors import FileError, FrameError, InputError
from mlygeo.formats import times
from mlygeo.formats.jpeg import ENDINGS
from mlygeo.progress import Progress, working
from mlygeo.readers import photo
from mlygeo.readers.photo import Photo, receive, send

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import geopandas as gpd
    import pyarrow as pa

log = logging.getLogger("mlygeo.readers.photos")

OTHER_PICTURES = (
    ".tif", ".tiff", ".png", ".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".jps", ".webp", ".gif", ".bmp", ".psd",
    ".dng", ".gpr", ".raw", ".raf", ".rw2", ".arw", ".cr2", ".cr3", ".nef", ".orf", ".pef", ".srw", ".x3f",
)  # fmt: skip
"""Endings of pictures that Mapillary does not accept; they are counted and left out."""

HIDDEN = "hidden photos"
"""Reason of what is left out: photos whose name begins with a dot, such as those that macOS leaves on cards."""

LINKS = "links to folders"

NOT_TEXT = "its name is not UTF-8; rename the file"
"""Why a file with such a name cannot be used."""

QUARTER_MS = 900_000

CHUNK = 500
"""Photos that a process reads at a time: some 20 ms of work, and 200 kB of answer."""

MANY = 10_000
"""From this many photos on, a second process saves time."""

MOST_WORKERS = 8
"""Most processes by default; a disk cannot serve more."""

_COMMAND = "from mlygeo.readers import photo; photo.serve()"


def read_photos(
    photos: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    skip_subfolders: bool = False,
    local_time: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Read the tags of photos into an images frame.

    Only the head of each file is read: EXIF first, XMP for values that EXIF lacks. A photo that cannot be
    read becomes a row with `error`; a photo with less important damage in its tags a row with `warning`. A
    missing time or position is not an error here, since a track may give it.

    - Time: the GPS date and time stamp, unless that is 1970-01-01; else DateTimeOriginal, else
      DateTimeDigitized, each with its fraction of a second and its offset from UTC; else the same in XMP;
      else DateTime, when the file was last changed; else the file's name, if it contains
      `YYYY_MM_DD_HH_MM_SS_mmm`. Fractions beyond the millisecond are cut off. Where they contradict each
      other (a GPS date from before a roll-over of the week number, or a day off; years before 1995 or in the
      future), the likelier one is taken. A time without a zone is taken as UTC, see `local_time`.
    - Position: GPSLatitude and GPSLongitude with their Ref. With a missing Ref, a fraction 0/0 or the
      values (0, 0) there is no position.
    - Heading: GPSImgDirection, else GPSTrack. A magnetic heading is not corrected.
    - Altitude: GPSAltitude, below zero where GPSAltitudeRef is 1.

    Doubts are in `warning`: values of EXIF, XMP and the file name that contradict each other; text that is not a
    time; times without a zone; positions of a receiver without a fix, or in another datum; and others.

    Parameters
    ----------
    photos
        A folder, a file, or several of either. In a folder JPEG files are read, with its subfolders;
        hidden files and folders (`.mlygeo`, `.mapillary`, …) and links to folders are skipped. JPEG files may
        end in .jpg, .jpeg, .jpe, .jfif, .jif, .jfi, .mpo or .insp.
    skip_subfolders
        Read only the photos in the folder itself.
    local_time
        Interpret times without an offset from UTC as local time of the photo's place, or of this machine where the
        photo has no position. Otherwise they are UTC.
    workers
        Number of processes. None means one, or one for each core from 10,000 photos on.
    progress
        Where progress is shown.

    Returns
    -------
    images
        Images frame of local files (`frames.LOCAL_IMAGES`), EPSG:4326, one row for each photo, in the order of
        folders and names; several photos of one path are one. `id`, `sequence_id`, `creator_id` and `organization_id`
        are null. `path` and `folder` are absolute. Geometry is missing where there is not a position. `captured_at`
        (datetime64[ms, UTC]); `time_source` is "gps", "offset" (camera clock with its offset from UTC), "clock"
        (without) or "filename"; `camera_uuid` joins the serial numbers of camera and lens; `image_description` is the
        JSON text that an earlier run or an app has written into the file; `is_pano` says whether XMP names an
        equirectangular projection; `width` and `height` are those of the stored picture, before `exif_orientation`;
        `warning` has the doubts, separated by "; ". `attrs["left_out"]` counts the files that were left out by
        reason, such as "pictures .heic" and "hidden photos".

    Raises
    ------
    FileError
        If a folder does not exist or cannot be read, or there is no such file.
    InputError
        If the number of processes is invalid.

    Examples
    --------
    >>> read_photos("DCIM/100GOPRO")[["path", "captured_at", "error"]]
    """
    if workers is not None and workers < 1:
        raise InputError(f"`workers` must be 1 or more, not {workers}")
    paths, left_out = find_photos(photos, skip_subfolders=skip_subfolders)
    images = read_found(paths, workers=workers, progress=progress).drop(columns="modified_ns")
    if local_time:
        images = in_local_time(images)
    images.attrs["left_out"] = left_out
    log.info(
        "%s photos: %s with a time, %s with a position, %s with a warning, %s that cannot be used%s",
        f"{len(images):,}", f"{images['captured_at'].notna().sum():,}", f"{images.geometry.notna().sum():,}",
        f"{images['warning'].notna().sum():,}", f"{images['error'].notna().sum():,}",
        "".join(f"; {count:,} {reason} left out" for reason, count in left_out.items()),
    )  # fmt: skip
    return images


def read_found(paths: list[str], *, workers: int | None = None, progress: Progress | None = None) -> gpd.GeoDataFrame:
    """
    Read the tags of photos that `find_photos` has found.

    Parameters
    ----------
    paths
        Absolute paths, each once.
    workers, progress
        As for `read_photos`.

    Returns
    -------
    images
        As from `read_photos`, in the order of the paths, without `attrs`; and `modified_ns` (int64), when the file was
        last changed before it was read, nanoseconds since 1970, -1 where there is none.
    """
    if workers is None:
        workers = min(os.cpu_count() or 1, MOST_WORKERS) if len(paths) >= MANY else 1
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    parts: list[pa.RecordBatch | None] = [None] * len(chunks)
    with (progress or Progress()).bar("photos", total=len(paths), unit="photos") as bar:
        for number, columns in read_chunks(chunks, workers=workers):
            parts[number] = _batch(columns)
            bar.advance(len(chunks[number]))
    return _frame(parts)


@working("looking for photos")
def find_photos(
    photos: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], *, skip_subfolders: bool = False
) -> tuple[list[str], dict[str, int]]:
    """
    Find the photos in folders, without opening them.

    Parameters
    ----------
    photos
        A folder, a file, or several of either. A file may have any ending.
    skip_subfolders
        Look only at the folder itself.

    Returns
    -------
    paths
        Absolute paths, each once, in the order of folders and names.
    left_out
        Counts of what was left out, by reason: pictures of other kinds ("pictures .heic"), hidden photos, links to
        folders.

    Raises
    ------
    FileError
        If a folder or file does not exist, or a folder cannot be read.
    """
    places = [photos] if isinstance(photos, str | os.PathLike) else list(photos)
    paths: dict[str, None] = {}
    left_out: dict[str, int] = {}
    for place in places:
        path = os.path.abspath(os.path.expanduser(os.fspath(place)))  # noqa: PTH100, PTH111 - many paths
        if not os.path.isdir(path):  # noqa: PTH112
            if len(places) == 1 and not os.path.lexists(path):
                raise FileError(f"{os.fspath(place)} does not exist", hint="name a folder of photos, or photos")
            paths[path] = None  # one of several that is missing becomes a row
            continue
        for file in _walk(path, left_out, skip_subfolders=skip_subfolders):
            name = file.lower()
            if name.endswith(ENDINGS):
                paths[file] = None
            elif name.endswith(OTHER_PICTURES):
                _count(left_out, f"pictures {os.path.splitext(name)[1]}")  # noqa: PTH122 - many paths
    return list(paths), dict(sorted(left_out.items()))


def other_pictures(left_out: Mapping[str, int]) -> int:
    """Return how many pictures of other kinds are among what `find_photos` left out."""
    return sum(count for reason, count in left_out.items() if reason.startswith("pictures "))


def in_local_time(images: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """
    Interpret photos' times without an offset from UTC as local time of their places.

    The same as `read_photos(…, local_time=True)`, for photos that were read without it. The zone of a place is that
    of the IANA time zone database, by its borders to within 111 m. A photo without a position is taken
    as of this machine's zone.

    Parameters
    ----------
    images
        From `read_photos`, with `captured_at`, `time_source` and `warning`.

    Returns
    -------
    images
        The same rows with `captured_at` changed where `time_source` is "clock" or "filename", and `warning`, which
        tells the zone, and whether a clock there showed the time twice or never, as summer time ended or began.

    Raises
    ------
    FrameError
        If there is no `time_source`, which says what a time is.

    Examples
    --------
    >>> in_local_time(read_photos("DCIM"))["captured_at"]
    """
    import pandas as pd

    if "time_source" not in images:
        raise FrameError(
            "there is no column 'time_source', which says whose times are those of clocks without a zone",
            hint="read the photos with `local_time=True`",
        )
    rows = np.flatnonzero(images["time_source"].isin(["clock", "filename"]) & images["captured_at"].notna())
    captured = images["captured_at"].to_numpy(dtype="datetime64[ms]").copy()
    lon, lat = (column[rows].tolist() for column in frames.lonlat(images))
    zones = [times.zone_name(x, y) if x == x else "" for x, y in zip(lon, lat, strict=True)]  # noqa: PLR0124 - not NaN
    # Offsets change at full quarters of an hour only, so each is asked for once.
    quarters = (captured[rows].view(np.int64) // QUARTER_MS).tolist()
    found = {pair: _shift(*pair) for pair in set(zip(zones, quarters, strict=True))}
    shifts = [found[pair] for pair in zip(zones, quarters, strict=True)]
    captured[rows] += np.array([shift for shift, _ in shifts], dtype="timedelta64[ms]")
    warning = np.full(len(images), None, dtype=object)
    if "warning" in images:
        warning = images["warning"].to_numpy(dtype=object).copy()
    for row, (_, said) in zip(rows.tolist(), shifts, strict=True):
        before = warning[row]
        phrases = [] if pd.isna(before) else [each for each in before.split("; ") if each != times.NO_ZONE]
        warning[row] = "; ".join([*phrases, said])
    return images.assign(
        captured_at=pd.Series(captured, index=images.index).dt.tz_localize("UTC"),
        warning=pd.Series(warning, index=images.index, dtype="str"),
    )


def _shift(zone: str, quarter: int) -> tuple[np.timedelta64, str]:
    """Return what to add to a local time for UTC, milliseconds, and what to say about it."""
    wall_s = quarter * QUARTER_MS // 1000
    utc_s, doubt = times.from_local(wall_s, zone)
    if utc_s is None:
        return np.timedelta64(0, "ms"), times.NO_ZONE
    said = f"no time zone, taken as that of {f'its place ({zone})' if zone else 'this machine'}"
    return np.timedelta64((utc_s - wall_s) * 1000, "ms"), said if doubt is None else f"{said}, {doubt}"


def _walk(folder: str, left_out: dict[str, int], *, skip_subfolders: bool) -> Iterator[str]:
    """Yield the files below a folder: its own files by name, then those of each subfolder by name."""
    for root, subfolders, names in os.walk(folder, onerror=places.unlisted):
        subfolders[:] = [] if skip_subfolders else [name for name in subfolders if not name.startswith(".")]
        subfolders.sort(key=places.natural_key)
        for name in subfolders:
            if os.path.islink(os.path.join(root, name)):  # noqa: PTH114, PTH118 - as below
                _count(left_out, LINKS)
        inside = os.path.join(root, "")  # noqa: PTH118 - many paths
        for name in sorted(names, key=places.natural_key):
            if not name.startswith("."):
                yield inside + name
            elif name.lower().endswith(ENDINGS):
                _count(left_out, HIDDEN)


def _count(left_out: dict[str, int], reason: str) -> None:
    left_out[reason] = left_out.get(reason, 0) + 1


def _batch(columns: list[list[object]]) -> pa.RecordBatch:
    """Return the rows of a chunk in Arrow, which needs a tenth of the memory of Python objects."""
    import pyarrow as pa

    by_name: dict[str, Any] = dict(zip(Photo._fields, columns, strict=True))
    by_name["folder"] = [os.path.dirname(path) for path in by_name["path"]]  # noqa: PTH120 - many paths
    types = {
        "captured_ms": pa.int64(), "is_pano": pa.bool_(),
        **dict.fromkeys(("lon", "lat", "compass_angle", "altitude"), pa.float64()),
        **dict.fromkeys(("width", "height", "exif_orientation", "filesize", "modified_ns"), pa.int64()),
    }  # fmt: skip
    arrays = {}
    for name, values in by_name.items():
        try:
            arrays[name] = pa.array(values, types.get(name, pa.string()))
        except UnicodeEncodeError:  # a name whose bytes are not text cannot be in a column, but can be shown
            arrays[name] = pa.array([shown(value) for value in values], pa.string())
    arrays["error"] = _name_errors(by_name["path"], arrays["error"])
    return pa.RecordBatch.from_pydict(arrays)


def shown(value: str | None) -> str | None:
    """Return a path as it can be shown and written, also one whose bytes are not text."""
    if value is None or value.isascii():
        return value
    return os.fsencode(value).decode("utf-8", "backslashreplace")


def _name_errors(paths: list[str], errors: pa.Array) -> pa.Array:
    import pyarrow as pa

    if all(path.isascii() or path.isprintable() or is_text(path) for path in paths):
        return errors
    return pa.array(
        [error if is_text(path) else NOT_TEXT
         for path, error in zip(paths, errors.to_pylist(), strict=True)], pa.string(),
    )  # fmt: skip


def is_text(path: str) -> bool:
    """Return whether a path can be written as text."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _frame(parts: list[Any]) -> gpd.GeoDataFrame:
    import geopandas as gpd
    import pyarrow as pa
    from geopandas.array import GeometryArray

    table = pa.Table.from_batches(parts or [_batch([[] for _ in Photo._fields])])
    times = table["captured_ms"].cast(pa.timestamp("ms", tz="UTC"))
    lon, lat = (table[name].to_numpy() for name in ("lon", "lat"))
    points = np.full(len(table), None, dtype=object)
    placed = np.isfinite(lon)
    points[placed] = frames.points(lon[placed], lat[placed])
    columns = table.drop_columns(["captured_ms", "lon", "lat"]).append_column("captured_at", times)
    images = gpd.GeoDataFrame(frames.to_pandas(columns), geometry=GeometryArray(points, crs=frames.CRS))
    return frames.conform(images, frames.LOCAL_IMAGES)


# Worker processes.


def read_chunks(chunks: list[list[str]], *, workers: int) -> Iterator[tuple[int, list[list[object]]]]:
    """
    Read chunks of photos in several processes, and yield the columns of each with its number, in any order.

    If a process could not be started, or died, this process reads its chunk instead.
    """
    if workers < 2:
        for number, chunk in enumerate(chunks):
            yield number, photo.read_photos(chunk)
        return
    todo: SimpleQueue[int] = SimpleQueue()
    done: SimpleQueue[tuple[int, list[list[object]] | None]] = SimpleQueue()
    for number in range(len(chunks)):
        todo.put(number)
    stop = threading.Event()
    threads = [
        threading.Thread(target=_feed, args=(chunks, todo, done, stop), daemon=True)
        for _ in range(min(workers, len(chunks)))
    ]
    for thread in threads:
        thread.start()
    try:
        importlib.import_module("geopandas")  # what rows become a frame with is loaded while they are read

        for _ in chunks:
            number, columns = done.get()
            yield number, photo.read_photos(chunks[number]) if columns is None else columns
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _feed(
    chunks: list[list[str]],
    todo: SimpleQueue[int],
    done: SimpleQueue[tuple[int, list[list[object]] | None]],
    stop: threading.Event,
) -> None:
    """Send chunks to one worker until there are none left."""
    worker: subprocess.Popen[bytes] | None = None
    try:
        worker = _start()
    except OSError as error:
        log.warning("no further process could be started (%s); photos are read in this one", error)
    try:
        while not stop.is_set():
            try:
                number = todo.get_nowait()
            except Empty:
                return
            columns: Any = None
            if worker is not None:
                try:
                    send(worker.stdin, chunks[number])  # type: ignore[arg-type]
                    columns = receive(worker.stdout)  # type: ignore[arg-type]
                except (OSError, EOFError, ValueError) as error:
                    log.warning("a process that read photos ended (%s); its share is read in this one", error)
                    worker.kill()
                    worker.communicate()
                    worker = None
            done.put((number, columns))
    finally:
        if worker is not None:
            worker.communicate()  # closes its input, which ends the worker


def _start() -> subprocess.Popen[bytes]:
    # -P prevents the import of Python files among the photos; PYTHONPATH has the folder of this package.
    places = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    return subprocess.Popen(  # noqa: S603 - our own interpreter and our own command
        [sys.executable, "-P", "-c", _COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
