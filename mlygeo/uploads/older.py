"""
Earlier uploads: by the records of older tools, so that nothing is uploaded twice, and by the history.

mapillary_tools since 2021 writes a JSON file for each sequence, archive and video into its user data
folder. Its name is an MD5: for a video, of its content; for a sequence or an archive, of the joined MD5s
of its images' files, or before version 0.14 of the archive's content. The file lists the images of a
sequence, each with the MD5 of its file (in the first versions only with path and capture time).

mapillary_tools of 2018 to 2021 left empty files beside the photos, such as
`.mapillary/logs/IMG_0001/upload_success`. They do not identify content. So a photo that was changed
later does not count as uploaded, unless its capture time is still the one in the logs; nor does one
whose upload was to be finished by hand (`manual_upload`), and was not (`upload_finalized`). Photos that
these logs call duplicates, or failed in a step of processing, are not uploaded, unless they were processed anew.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import os
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from mlygeo.formats.identity import Identity, of_photo
from mlygeo.places import default_folder
from mlygeo.uploads.archives import MARKS
from mlygeo.uploads.items import Photo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Whole
    from mlygeo.uploads.items import WholeFile
    from mlygeo.uploads.ledger import UploadLedger

    Outcome = Literal["there", "older", "repeated"]

log = logging.getLogger("mlygeo.uploads.older")

TOOL = "mapillary_tools"

PATH_VARIABLE = "MAPILLARY_UPLOAD_HISTORY_PATH"
"""Environment variable of mapillary_tools for another folder; an empty one is ignored."""

LOGS = os.path.join(".mapillary", "logs")  # noqa: PTH118 - part of many paths

DUPLICATE, FAILED_ENDING, UPLOAD_FAILED = "duplicate", "_failed", "upload_failed"
"""Files of the logs of photos that are not uploaded: duplicates, and those of which a step of processing failed."""

TIMES_IN = ("mapillary_image_description.json", "geotag_process.json")
"""Files of the logs with a photo's capture time."""

METADATA = 1 << 20
"""Bytes of a photo that may contain its description."""

FAILED, READY, DONE = 1, 2, 3

_RANK = {"failed": FAILED, "ready": READY, "done": DONE}


class OlderUploads:
    """
    The records of older tools, which are read at the first use; thread-safe.

    Parameters
    ----------
    history
        Folder of the JSON files; by default that of mapillary_tools.

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
        """Whether any record has an MD5."""
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
            Its image description, if that is not in the file.
        """
        md5s, times = self._read()
        if md5 in md5s:
            return True
        time = times.get(path)
        if time is not None and _says(time, path, description):
            return True
        folder, name = os.path.split(path)
        return any(_flagged(place, path, description) for place in self._places(folder, name))

    def set_aside(self, path: str, since_ns: int = 0) -> Literal["duplicates", "failed"] | None:
        """
        Return why mapillary_tools of 2018 to 2021 would not upload a photo, by its logs; None if it would.

        Parameters
        ----------
        path
            The photo.
        since_ns
            Logs before this time do not count, nanoseconds since 1970: when the photo was processed anew.
        """
        for place in self._places(*os.path.split(path)):
            try:
                with os.scandir(place) as entries:
                    names = [each.name for each in entries if each.stat().st_mtime_ns >= since_ns]
            except OSError:
                continue
            if DUPLICATE in names:
                return "duplicates"
            if any(name.endswith(FAILED_ENDING) and name != UPLOAD_FAILED for name in names):
                return "failed"
        return None

    def has_video(self, md5: str) -> bool:
        """Return whether a video of this MD5 was uploaded by an older tool."""
        return md5 in self._read()[0]

    def has_archive(self, path: Path) -> bool:
        """Return whether an archive was uploaded by an older tool, or its images in another archive."""
        try:
            with zipfile.ZipFile(path) as archive:
                content = json.loads(archive.comment)
        except (OSError, ValueError, zipfile.BadZipFile):
            return False  # errors are reported where the file is read
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
        """Yield the folders that may have logs of a photo."""
        stem = os.path.splitext(name)[0]  # noqa: PTH122 - many paths
        for logs in self._logs_of(folder):
            yield from (os.path.join(logs, stem), os.path.join(logs, name))  # noqa: PTH118


def default_history() -> Path | None:
    """Return the folder of mapillary_tools' records of uploads; None if there is none."""
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
    """Return the folders with the logs of a folder's photos: its own, else that of a folder above."""
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
    # A copy of the folder has other dates, and a photo of another day may have the same name.
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
        return False  # errors are reported where the file is read


# The uploads of photos and files, by the history and the records of older tools.


class Before:
    """
    What was uploaded before to a service, and what came up before in this run; a context manager.

    Parameters
    ----------
    service
        Name of the service; see `UploadLedger`.
    reupload
        Ignore earlier uploads.
    older
        Whether those of older tools count, which went to Mapillary.
    """

    def __init__(self, service: str, *, reupload: bool = False, older: bool = True) -> None:
        self._service, self._reupload = service, reupload
        self._older = OlderUploads() if older and not reupload else None
        self._ledger: UploadLedger | None = None
        self._seen: dict[str, list[Identity]] = {}

    def __enter__(self) -> Self:
        from mlygeo.uploads.ledger import FILE, UploadLedger

        if not self._reupload and (default_folder() / FILE).is_file():
            self._ledger = UploadLedger(self._service)
        return self

    def __exit__(self, *_: object) -> None:
        if self._ledger is not None:
            self._ledger.__exit__()

    def outcome(self, item: Photo | WholeFile) -> Outcome | None:
        """
        Return why a photo or a file would not be sent; None if it would be.

        Parameters
        ----------
        item
            The photo or file, which is read.

        Raises
        ------
        OSError
            If it cannot be read.
        """
        from mlygeo.uploads import archives
        from mlygeo.uploads.items import known_by

        if isinstance(item, Photo):
            content = Path(item.path).read_bytes()
            md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
            return self.outcome_of(item, md5, known_by(content, item.description))
        if item.kind == "video":
            return self.outcome_of(item, *archives.video_facts(Path(item.original or item.path)))
        return self.outcome_of(item, archives.md5_of(Path(item.path)), None)

    def outcome_of(self, item: Photo | WholeFile, md5: str, identity: Identity | None) -> Outcome | None:
        """
        Return why a photo or a file that was read would not be sent; None if it would be.

        Parameters
        ----------
        item
            The photo or file.
        md5
            The MD5 of its file.
        identity
            What it is known by; None for an archive.
        """
        known = None if self._ledger is None else self._ledger.find(md5=md5, identity=identity, path=item.path)
        if known is not None and known.status in {"done", "rejected"}:
            return "there" if known.status == "rejected" or known.reason is None else "older"
        if known is None and self._older is not None and self._older.has(item, md5):
            return "older"
        if identity is not None:
            seen = self._seen.setdefault(identity.picture, [])
            if any(identity.is_same(other) for other in seen):
                return "repeated"
            seen.append(identity)
        return None


class History:
    """
    What was uploaded from this machine, and by older tools: read once, and asked for many photos; thread-safe.

    READY are photos at the service that only have to be finished, or were finished with the answer lost.
    Uploaded photos of an incomplete sequence count as 0: nobody can see them yet.
    """

    def __init__(self) -> None:
        from mlygeo.uploads.ledger import upload_history

        history = upload_history()
        self._older = OlderUploads()
        self._of_paths: dict[str, tuple[int, int]] = {}
        self._of_ids: dict[str, int] = {}
        self._of_pictures: dict[str, list[tuple[Identity, str, int]]] = {}
        history = history.assign(rank=history["status"].map(_RANK).fillna(0).astype("int64"))
        columns = ("path", "rank", "sent_at", "picture", "original_time", "photo_uuid")
        sent_ms = history["sent_at"].to_numpy(dtype="datetime64[ms]").view(np.int64)
        texts = history.assign(sent_at=sent_ms)[list(columns)].sort_values(["rank", "sent_at"], kind="stable")
        for path, rank, sent, picture, time, photo_uuid in texts.itertuples(index=False):
            if rank:
                self._of_paths[path] = rank, sent
            if rank < READY or not isinstance(picture, str):
                continue
            known = Identity.from_texts(picture, time, photo_uuid if isinstance(photo_uuid, str) else None)
            self._of_pictures.setdefault(picture, []).append((known, path, rank))
            if known.given is not None:
                self._of_ids[known.given] = rank

    def outcomes(self, images: gpd.GeoDataFrame, *paths: pd.Series) -> Whole:
        """
        Return the states of photos: DONE if they were uploaded, FAILED if that failed, READY, or 0 for others.

        A photo is found by the id in it, or by what it was known by when it was read last; by its path if it was
        not changed since it was sent; and if it was, by its picture.

        Parameters
        ----------
        images
            Frame with `path`, `modified_ns`, `photo_uuid`, `picture` and `original_time`.
        paths
            Earlier paths of each photo.

        Returns
        -------
        outcomes
            In the order of the rows.
        """
        outcomes = np.zeros(len(images), dtype=np.int64)
        if not self._of_paths and not self._of_ids:
            return outcomes
        modified_ms = images["modified_ns"].to_numpy() // 1_000_000
        names = [_column(images, name) for name in ("photo_uuid", "picture", "original_time")]
        rows = zip(
            zip(images["path"], *paths, strict=True), modified_ms.tolist(), zip(*names, strict=True), strict=True
        )
        for row, (places, modified, (photo_uuid, picture, time)) in enumerate(rows):
            best = self._of_ids.get(photo_uuid or "", 0)
            if picture is not None:
                best = max(best, self._of(Identity.from_texts(picture, time, photo_uuid), places[0]))
            at = [self._of_paths[each] for each in dict.fromkeys(places) if each in self._of_paths]
            best = max([best, *(rank for rank, sent in at if modified <= sent)])
            if at and not best:
                with contextlib.suppress(OSError):  # read errors are reported when the photo is written
                    best = self._of(of_photo(Path(places[0]).read_bytes()), *places)
            outcomes[row] = best
        return outcomes

    def has(self, record: Mapping[str, Any], content: bytes, known: Identity) -> bool:
        """
        Return whether a photo that was read was uploaded, by this package or an older tool.

        Parameters
        ----------
        record
            Its row, with `path`.
        content
            Its file.
        known
            What it is known by.
        """
        path = str(record["path"])
        if self._of(known, path) >= READY:
            return True
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest() if self._older.knows_content else ""
        return self._older.has_image(path, md5)

    def _of(self, known: Identity, *paths: str) -> int:
        others = self._of_pictures.get(known.picture, ())
        return max((rank for other, path, rank in others if path in paths or known.is_same(other)), default=0)


def _column(images: gpd.GeoDataFrame, name: str) -> list[str | None]:
    """Return a column of texts, with None for nulls or a missing column."""
    if name not in images.columns:
        return [None] * len(images)
    values: list[str | None] = images[name].astype(object).where(images[name].notna(), None).tolist()
    return values
