"""What a call names to be processed: folders and files, sorted into imports, each with its photos and videos."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mlygeo import places
from mlygeo.errors import FileError, InputError
from mlygeo.formats import chapters, jpeg
from mlygeo.progress import working
from mlygeo.store.paths import READABLE as TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    PathLike = str | os.PathLike[str]

OTHER_FILES = "files that are neither photos nor videos"

OTHER_TYPES = "files of another type than asked for"

SAMPLED = "videos whose frames are there"


@dataclass
class ImportPaths:
    """
    An import: a folder with its subfolders, or some files of one folder.

    Parameters
    ----------
    root
        The folder, or the one file.
    files
        The photos that were named; None for all in the folder.
    has_photos
        Whether there are any.
    videos
        Absolute paths of the videos.
    named
        Those of them that the call names itself, rather than their folder.
    left_out
        How many files were passed over, by reason.
    """

    root: Path
    files: tuple[str, ...] | None = None
    has_photos: bool = False
    videos: list[str] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def base(self) -> Path:
        """The folder."""
        return self.root if self.root.is_dir() else self.root.parent

    @property
    def whole(self) -> bool:
        """Whether all that is in the folder belongs to it."""
        return self.root.is_dir() and self.files is None


@working("looking for photos and videos")
def import_paths(
    named: PathLike | Iterable[PathLike], *, skip_subfolders: bool, photos: bool = True, videos: bool = True
) -> list[ImportPaths]:
    """
    Return the imports of a call; each file belongs to one, however often it is named.

    Parameters
    ----------
    named
        Folders and files.
    skip_subfolders
        Leave out subfolders.
    photos, videos
        Whether they are processed.

    Raises
    ------
    InputError
        If the call names nothing.
    FileError
        If a path does not exist, a folder cannot be read, or the only path is a table.
    """
    given = [Path(os.path.abspath(Path(each).expanduser())) for each in places.several(named)]  # noqa: PTH100 - links stay
    if not given:
        raise InputError("no folder of photos", hint="name it behind the verb")
    for path, typed in zip(given, places.several(named), strict=True):
        if not os.path.lexists(path):
            raise FileError(f"{typed} does not exist", hint="name folders of photos, photos, or videos")
        if len(given) == 1 and path.suffix.lower() in TABLES and path.is_file():
            raise FileError(
                f"{typed} is a table, not a photo or a video",
                hint="'mlygeo geotag' and 'mlygeo cut' read frames of images",
            )
    given = list(dict.fromkeys(given))
    folders = [path for path in given if path.is_dir()]
    if not skip_subfolders:
        folders = [path for path in folders if not any(other in path.parents for other in folders)]
    found = [_of_folder(path, skip_subfolders=skip_subfolders, photos=photos, videos=videos) for path in folders]
    taken = {os.path.realpath(path) for each in found for path in each.videos}
    singles: dict[Path, ImportPaths] = {}
    for path in given:
        if path.is_dir() or _within(path, folders, skip_subfolders=skip_subfolders):
            if not path.is_dir():
                for each in found:
                    each.named |= {str(path)} & set(each.videos)
            continue
        single = singles.setdefault(path.parent, ImportPaths(path))
        if _is_video(path.name):
            if not videos:
                single.left_out[OTHER_TYPES] += 1
            elif os.path.realpath(path) not in taken:
                taken.add(os.path.realpath(path))
                single.videos.append(str(path))
                single.named.add(str(path))
        elif len(given) > 1 and not _is_photo(path.name):
            single.left_out[OTHER_FILES] += 1
        elif photos:
            single.files, single.has_photos = (*(single.files or ()), str(path)), True
        else:
            single.left_out[OTHER_TYPES] += 1
    return [*found, *singles.values()]


def _of_folder(folder: Path, *, skip_subfolders: bool, photos: bool, videos: bool) -> ImportPaths:
    found = ImportPaths(folder)
    for root, subfolders, names in os.walk(folder, onerror=places.unlisted):
        subfolders[:] = [] if skip_subfolders else sorted(name for name in subfolders if not name.startswith("."))
        if photos and not found.has_photos:
            found.has_photos = any(_is_photo(name) for name in names if not name.startswith("."))
        if videos:
            there = [name for name in names if not name.startswith(".") and _is_video(name)]
            there.sort(key=places.natural_key)
            for path in (Path(root, name) for name in there):
                if _is_sampled(path, folder):
                    found.left_out[SAMPLED] += 1
                elif path.is_file():
                    found.videos.append(str(path))
    return found


def _is_photo(name: str) -> bool:
    return name.lower().endswith(jpeg.ENDINGS)


def _is_video(name: str) -> bool:
    stem, _, ending = name.rpartition(".")
    return bool(stem) and f".{ending.lower()}" in chapters.ENDINGS


def _is_sampled(video: Path, folder: Path) -> bool:
    """Return whether frames of a video lie where they are sampled to: then the frames are the photos of it."""
    from mlygeo.video.frames import FOLDER

    return any(
        (place / FOLDER / video.relative_to(place)).is_dir()
        for place in video.parents
        if place == folder or folder in place.parents
    )


def _within(path: Path, folders: list[Path], *, skip_subfolders: bool) -> bool:
    return any(path.parent == folder if skip_subfolders else folder in path.parents for folder in folders)
