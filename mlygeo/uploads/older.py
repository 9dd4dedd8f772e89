"""
What was uploaded before: what older tools noted, so that it does not go up once more, and what the history says.

mapillary_tools since 2021 keeps a JSON file for each sequence, archive and video in its user data
folder, called by an MD5: of a video, its content; of a sequence or an archive, the MD5s of its
images' files one after another, or before version 0.14 the archive's content. The images of a
sequence are listed inside, each with the MD5 of its file (the first versions told only its path
and capture time).

mapillary_tools of 2018 to 2021 left empty files beside the photos, such as
`.mapillary/logs/IMG_0001/upload_success`. They know no content. So a photo that was changed after
them is another one, unless its capture time is still the one in the logs; and so is one whose
upload was to be finished by hand (`manual_upload`), and was not (`upload_finalized`).
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.uploads.archives import MARKS
from mlygeo.uploads.items import Photo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Flags, Whole
    from mlygeo.uploads.items import WholeFile

log = logging.getLogger("mlygeo.uploads.older")

TOOL = "mapillary_tools"

PATH_VARIABLE = "MAPILLARY_UPLOAD_HISTORY_PATH"
"""Environment variable of mapillary_tools that names another folder; an empty one names none."""

LOGS = os.path.join(".mapillary", "logs")  # noqa: PTH118 - part of many paths

TIMES_IN = ("mapillary_image_description.json", "geotag_process.json")
"""Files of the logs that tell a photo's capture time."""

METADATA = 1 << 20
"""Bytes of a photo that may hold its description."""

FAILED, READY, DONE = 1, 2, 3

_RANK = {"failed": FAILED, "ready": READY, "done": DONE}


class OlderUploads:
    """
    The records of older tools; threads may share it. They are read when they are first asked for.

    Parameters
    ----------
    history
        Folder of the JSON files; where mapillary_tools keeps them unless given.

    Examples
    --------
    >>> OlderUploads().has_image("photos/IMG_0001.JPG", "9e107d9d372bb6826bd81d3542a419d6")
    False
    """

    def __init__(self, history: Path | None = None) -> None:
        self._history = default_history() if history is None else history
        self._lock = threading.Lock()
        self._records: tuple[frozenset[str], dict[str, str]] | None = None
        self._logs_of = functools.cache(_logs_of)

    @property
    def knows_content(self) -> bool:
        """Whether any record tells an MD5."""
        return bool(self._read()[0])

    def has(self, item: Photo | WholeFile, md5: str) -> bool:
        """Return whether something was uploaded by an older tool; `md5` is that of its file."""
        if isinstance(item, Photo):
            return self.has_image(item.path, md5, item.description)
        return self.has_archive(Path(item.path)) if item.kind == "zip" else self.has_video(md5)

    def has_image(self, path: str, md5: str, description: Mapping[str, Any] | None = None) -> bool:
        """
        Return whether a photo was uploaded by an older tool.

        Parameters
        ----------
        path
            Its file.
        md5
            The MD5 of the file.
        description
            Its image description, where that is not in the file.
        """
        md5s, times = self._read()
        if md5 in md5s:
            return True
        time = times.get(path)
        if time is not None and _says(time, path, description):
            return True
        folder, name = os.path.split(path)
        return any(_flagged(place, path, description) for place in self._places(folder, name))

    def has_video(self, md5: str) -> bool:
        """Return whether a video of this MD5 was uploaded by an older tool."""
        return md5 in self._read()[0]

    def has_archive(self, path: Path) -> bool:
        """Return whether an archive was uploaded by an older tool, or its images in another archive."""
        try:
            with zipfile.ZipFile(path) as archive:
                content = json.loads(archive.comment)
        except (OSError, ValueError, zipfile.BadZipFile):
            return False  # what is wrong with it is said where it is read
        md5s = [content.get(mark) for mark in MARKS] if isinstance(content, dict) else []
        return any(isinstance(md5, str) and md5 in self._read()[0] for md5 in md5s)

    def _read(self) -> tuple[frozenset[str], dict[str, str]]:
        """Return the MD5s of all that was uploaded, and capture times by path of images without one."""
        with self._lock:
            if self._records is None:
                md5s: set[str] = set()
                times: dict[str, str] = {}
                for md5, images in _records_in(self._history):
                    md5s.add(md5)
                    for image in images:
                        if isinstance(of_image := image.get("md5sum"), str):
                            md5s.add(of_image)
                        elif isinstance(image.get("filename"), str) and isinstance(image.get("MAPCaptureTime"), str):
                            times[image["filename"]] = image["MAPCaptureTime"]
                self._records = frozenset(md5s), times
            return self._records

    def _places(self, folder: str, name: str) -> Iterator[str]:
        """Yield the folders in which there may be logs of a photo."""
        stem = os.path.splitext(name)[0]  # noqa: PTH122 - many paths
        for logs in self._logs_of(folder):
            yield from (os.path.join(logs, stem), os.path.join(logs, name))  # noqa: PTH118


def default_history() -> Path | None:
    """Return the folder in which mapillary_tools keeps what it uploaded; None where it keeps nothing."""
    import platformdirs

    named = os.environ.get(PATH_VARIABLE)
    if named is not None:
        return Path(named).expanduser() if named else None
    return Path(platformdirs.user_data_dir(TOOL, "Mapillary")) / "upload_history"


def _records_in(history: Path | None) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the MD5 of each record, and its images."""
    if history is None or not history.is_dir():
        return
    broken = found = 0
    for path in history.glob("??/*.json"):
        try:
            content = json.loads(path.read_bytes())
            images = content.get("descs") or []
            images = [image for image in images if isinstance(image, dict)]
        except (OSError, ValueError, AttributeError, TypeError, RecursionError):
            broken += 1
            continue
        found += 1
        yield f"{path.parent.name}{path.stem}".lower(), images
    log.info("%d records of what %s uploaded, %d others cannot be read", found, TOOL, broken)


def _logs_of(folder: str) -> list[str]:
    """Return the folders that hold the logs of a folder's photos: its own, else that of a folder around it."""
    found = []
    around = folder
    while True:
        logs = os.path.join(around, LOGS, os.path.relpath(folder, around))  # noqa: PTH118
        if os.path.isdir(logs):  # noqa: PTH112
            found.append(os.path.normpath(logs))
        if around == os.path.dirname(around):  # noqa: PTH120
            return found
        around = os.path.dirname(around)  # noqa: PTH120


def _flagged(logs: str, path: str, description: Mapping[str, Any] | None) -> bool:
    flags = Path(logs)
    try:
        uploaded = (flags / "upload_success").stat().st_mtime_ns
        if (flags / "manual_upload").exists() and not (flags / "upload_finalized").exists():
            return False
        if os.stat(path).st_mtime_ns <= uploaded:  # noqa: PTH116 - many paths
            return True
    except OSError:
        return False
    # A copy of the folder has other dates, and a photo of another day may have been given the same name.
    return any(_says(time, path, description) for time in _times_in(flags))


def _times_in(flags: Path) -> Iterator[str]:
    for name in TIMES_IN:
        try:
            time = json.loads((flags / name).read_bytes()).get("MAPCaptureTime")
        except (OSError, ValueError, AttributeError, RecursionError):
            continue
        if isinstance(time, str):
            yield time


def _says(time: str, path: str, description: Mapping[str, Any] | None) -> bool:
    """Return whether a photo, or its description, names a capture time."""
    if description is not None:
        return description.get("MAPCaptureTime") == time
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - many paths
            return bool(time) and time.encode() in file.read(METADATA)
    except OSError:
        return False  # what is wrong with it is said where it is read


# Of photos: what the history of uploads and the older tools say.


def uploads_of(images: gpd.GeoDataFrame, first_paths: pd.Series) -> Whole:
    """
    Return what became of photos: DONE where they were uploaded, FAILED where that was tried, 0 elsewhere.

    READY are those that the service has, and that have only to be finished, or were, with the answer lost.
    What it has of a sequence whose others are missing is nothing yet: nobody can see it.

    Parameters
    ----------
    images
        Frame with `path` and `modified_ns`.
    first_paths
        Where each photo was when it was read: one that was moved after its upload is known by that.

    Returns
    -------
    outcomes
        In the order of the rows. A file that was changed after it was sent is another.
    """
    from mlygeo.uploads.ledger import upload_history

    history = upload_history()
    outcomes = np.zeros(len(images), dtype=np.int64)
    if not len(history):
        return outcomes
    history = history.assign(rank=history["status"].map(_RANK).fillna(0).astype("int64"))
    best = history.sort_values(["rank", "sent_at"]).groupby("path").last()
    modified_ms = images["modified_ns"].to_numpy() // 1_000_000
    for paths in (images["path"], first_paths):
        known = best.reindex(paths)
        sent_ms = known["sent_at"].to_numpy(dtype="datetime64[ms]").view(np.int64)
        rank = known["rank"].fillna(0).to_numpy(dtype=np.int64)
        outcomes = np.maximum(outcomes, np.where(modified_ms <= sent_ms, rank, 0))
    return outcomes


def older_uploads_of(images: gpd.GeoDataFrame, rows: Flags) -> Flags:
    """
    Return which photos an older tool uploaded, by the records that it left.

    Parameters
    ----------
    images
        Frame with `path`.
    rows
        Those that are asked for; of others nothing is said.
    """
    from mlygeo.uploads.archives import md5_of

    older = OlderUploads()
    found = np.zeros(len(images), dtype=np.bool_)
    for row in np.flatnonzero(rows):
        path = str(images["path"].iloc[row])
        with contextlib.suppress(OSError):  # what cannot be read is said where it is written
            found[row] = older.has_image(path, md5_of(Path(path)) if older.knows_content else "")
    return found
