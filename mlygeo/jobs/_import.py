"""What lies in an import path: described images in their sequences, archives, and videos with positions."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.jobs import _inputs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import geopandas as gpd

    from mlygeo.actors.upload_items import PhotoSequence, WholeFile

log = logging.getLogger("mlygeo.jobs")

IMAGES_FILE = Path(".mlygeo") / "images.parquet"
"""The images frame that `process` leaves in the folder of the photos."""

VIDEO_FILE_TYPES = {"camm": "mly_camm_video", "blackvue": "mly_blackvue_video"}
"""Kinds of videos that are uploaded as they are, and what the service calls them."""


@dataclass
class Import:
    """
    What is to be uploaded, and what is not.

    Parameters
    ----------
    sequences
        Sequences of images, in the order of folders and times.
    files
        Archives and videos.
    skipped
        How many were skipped, by reason: "duplicates", "failed", "not processed".
    failed
        Images whose description cannot be used, with the reason, by path.
    images
        Frame of the described images that are there.
    """

    sequences: list[PhotoSequence] = field(default_factory=list)
    files: list[WholeFile] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    images: gpd.GeoDataFrame | None = None

    @property
    def paths(self) -> list[str]:
        """The files of all that is to be uploaded."""
        return [
            *(photo.path for sequence in self.sequences for photo in sequence.photos),
            *(file.path for file in self.files),
        ]

    @property
    def bytes(self) -> int:
        """Their size."""
        photos = sum(photo.size for sequence in self.sequences for photo in sequence.photos)
        return photos + sum(file.size for file in self.files)


def gather(
    import_path: Any, *, desc_path: Any = None, skip_subfolders: bool = False, private: bool = False, whole: bool = True
) -> Import:
    """
    Return what lies in import paths.

    Parameters
    ----------
    import_path
        A folder, a file, or several of either.
    desc_path
        The description file; the folder's own unless given.
    skip_subfolders
        Look only at the folders themselves.
    private
        Say in each description that the image is private.
    whole
        Look at archives and videos too.

    Raises
    ------
    FileError
        If a path or the description file does not exist.
    FormatError
        If the description file is none.
    """
    import geopandas as gpd
    import pandas as pd

    found = Import()
    parts = []
    for place in _places(import_path):
        files = list(_files(place, skip_subfolders=skip_subfolders))
        images = _described(place, desc_path, files)
        parts += [_in_exif(files, images, found), images]
        if whole:
            _add_whole_files(files, images, found)
    kept = [_kept(part, found) for part in parts if part is not None and len(part)]
    kept = [part for part in kept if len(part)]
    if kept:
        images = gpd.GeoDataFrame(pd.concat(kept, ignore_index=True), crs=kept[0].crs)
        found.images = images.drop_duplicates("path", ignore_index=True)
        found.sequences = list(_sequences(found.images, found, private=private))
    return found


def _places(import_path: Any) -> list[Path]:
    given = _inputs.several(import_path)
    if not given:
        raise InputError("nothing says what to upload", hint="name a folder of photos")
    places = [Path(os.path.abspath(Path(each).expanduser())) for each in given]  # noqa: PTH100 - keeps links
    for place in places:
        if not place.exists():
            raise FileError(f"{place} does not exist", hint="name a folder of photos")
    return list(dict.fromkeys(places))


def _files(place: Path, *, skip_subfolders: bool) -> Iterator[str]:
    """Yield the files of a place, but for hidden ones; folders before their subfolders."""
    if place.is_file():
        yield str(place)
        return

    def failed(error: OSError) -> None:
        raise FileError(f"the folder {error.filename} cannot be read: {error.strerror or error}") from error

    for root, folders, names in os.walk(place, onerror=failed):
        folders[:] = [] if skip_subfolders else sorted(name for name in folders if not name.startswith("."))
        yield from (os.path.join(root, name) for name in sorted(names) if not name.startswith("."))  # noqa: PTH118


def _described(place: Path, desc_path: Any, files: list[str]) -> gpd.GeoDataFrame | None:
    """Return the descriptions of a place's files: of its description file, or of the frame that `process` left."""
    from mlygeo import store
    from mlygeo.readers import descriptions

    folder = place if place.is_dir() else place.parent
    if desc_path is not None:
        images = descriptions.read_descriptions(desc_path)
    else:
        there = [path for path in (folder / descriptions.FILE, folder / IMAGES_FILE) if path.is_file()]
        if not there:
            return None
        newest = max(there, key=lambda path: path.stat().st_mtime_ns)  # the first of two that are as new
        if newest.name == descriptions.FILE:
            images = descriptions.read_descriptions(newest)
        else:
            images = store.read_frame(newest, frame="local_images")
    named = dict(zip(_real(files), files, strict=True))
    paths = images["path"].where(images["path"].notna(), "").tolist()
    base = str(folder)
    paths = [path if os.path.lexists(path) else descriptions.find_moved(path, base) or path for path in paths]
    kept = [named.get(real, path if not os.path.lexists(path) and _below(path, base) else None)
            for real, path in zip(_real(paths), paths, strict=True)]  # fmt: skip
    images = images.assign(path=kept)
    # A description that names a file outside of the import path is none of it.
    return images[images["path"].notna()]


def _below(path: str, base: str) -> bool:
    return path.startswith(os.path.join(base, "")) and os.path.isdir(base)  # noqa: PTH112, PTH118


def _real(paths: list[str]) -> list[str]:
    """Return paths with the links in their folders resolved."""
    folders: dict[str, str] = {}
    real = []
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        real.append(os.path.join(folders[folder], name))  # noqa: PTH118
    return real


def _in_exif(files: list[str], images: gpd.GeoDataFrame | None, found: Import) -> gpd.GeoDataFrame | None:
    """Return the photos that no file describes, and that have an image description of their own."""
    from mlygeo.readers import descriptions, exif

    known = set() if images is None else set(images["path"])
    photos = [path for path in files if path.lower().endswith(exif.ENDINGS) and path not in known]
    if not photos:
        return None
    read = exif.read_photos(photos)
    described = read[read["image_description"].notna()]
    found.skipped["not processed"] += len(read) - len(described)
    entries = []
    for path, text in zip(described["path"], described["image_description"], strict=True):
        entries.append({**json.loads(text), "filename": path, "filetype": "image"})
    frame = descriptions.described_images(entries, Path("/"))
    return frame.assign(filesize=described["filesize"].to_numpy(), as_it_is=True)


def _kept(images: gpd.GeoDataFrame, found: Import) -> gpd.GeoDataFrame:
    """Return the images that go up; count the others."""
    failed = images["error"].notna()
    twice = images["is_duplicate"].fillna(False).astype(bool) if "is_duplicate" in images else failed & False
    found.skipped["duplicates"] += int(twice.sum())
    found.skipped["failed"] += int((failed & ~twice).sum())
    images = images[~failed & ~twice]
    if "filetype" in images:
        images = images[images["filetype"].fillna("image") == "image"]
    return images


def _sequences(images: gpd.GeoDataFrame, found: Import, *, private: bool) -> Iterator[PhotoSequence]:
    """Yield the sequences of images: by their ids, else by their folders; in the order of time."""
    from mlygeo.actors.descriptions import description_of
    from mlygeo.actors.upload_items import Photo, PhotoSequence

    names = images["path"].map(os.path.basename)
    order = images.assign(_name=names).sort_values(["captured_at", "_name", "path"], kind="stable").index
    images = images.loc[order]
    folders = images["path"].map(os.path.dirname)
    images = images.assign(_sequence=images["sequence_id"].where(images["sequence_id"].notna(), folders))
    for name, rows in images.groupby("_sequence", sort=False):
        photos = []
        for row in rows.to_dict("records"):
            path = str(row["path"])
            try:
                size = os.stat(path).st_size  # noqa: PTH116 - many paths
                description = None
                as_it_is = row.get("as_it_is")
                if not (isinstance(as_it_is, bool) and as_it_is):  # NaN for those that a file describes
                    description = description_of(row)
                    if private:
                        description["MAPPrivate"] = True
            except OSError as error:
                found.failed[path] = error.strerror or str(error)
                continue
            except InputError as error:
                found.failed[path] = str(error)
                continue
            photos.append(Photo(path, size, description))
        if photos:
            yield PhotoSequence(str(name), tuple(photos))


def _add_whole_files(files: Iterable[str], images: gpd.GeoDataFrame | None, found: Import) -> None:
    """Note archives, and videos that the service takes as they are."""
    from mlygeo.actors.upload_items import WholeFile
    from mlygeo.actors.zip_files import ENDING
    from mlygeo.readers import video

    told: dict[str, Any] = {}
    if images is not None and "filetype" in images:
        good = images[images["error"].isna()]
        told = dict(zip(good["path"], good["filetype"], strict=True))
    for path in files:
        ending = os.path.splitext(path)[1].lower()  # noqa: PTH122 - many paths
        if ending == ENDING:
            found.files.append(WholeFile(path, os.stat(path).st_size, "zip", "zip"))  # noqa: PTH116
        elif ending in video.ENDINGS:
            kind = told.get(path) or _telemetry(path)
            if kind in VIDEO_FILE_TYPES:
                file_type: Any = VIDEO_FILE_TYPES[kind]
                found.files.append(WholeFile(path, os.stat(path).st_size, "video", file_type))  # noqa: PTH116
            else:
                found.skipped["videos to sample first"] += 1


def _telemetry(path: str) -> str | None:
    from mlygeo.readers.video import video_info

    try:
        return video_info(path).telemetry
    except (FileError, FormatError):
        return None
