"""
Descriptions of the photos in an import path: description files, the records of `process`, and EXIF.

A photo is described by three sources, the first two from its folder and the folders above:

1. The description file, `mapillary_image_description.json`, which users edit and other tools write.
   It has no fields for the owner of an image: see `readers.descriptions.PERSONAL_COLUMNS`.
2. The record: the frame that `process` writes into `.mlygeo`, with all values.
3. The image description in the EXIF of the photo, which stays with it when it is moved or copied.

The newer one of the first two counts, in the photo's own folder or in one above it; the description
file if both have the same time. It counts completely: a heading that was removed from the file is not
added again, and a photo that the file calls a duplicate is not uploaded, whatever its EXIF says.
Organization, privacy, user and photo UUID, which a description file may lack, come from the newest
record with the photo. The record counts completely too: a value that a later run of `process` removed
is not read from EXIF. EXIF gives these values if there is no such record, and all values if no other
source describes the photo.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, NamedTuple

from mlygeo import places
from mlygeo.degrees import turn
from mlygeo.errors import FileError, FormatError, FrameError
from mlygeo.photos.import_folder import IMAGES_FILE, photos_of
from mlygeo.places import COPIES, STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable

    import geopandas as gpd
    import pandas as pd

log = logging.getLogger("mlygeo.uploads")

ROUNDED = 0.001
"""Degrees up to which headings are the same: a description file has three decimals."""


def trees(places: Iterable[Path], *, skip_subfolders: bool = False) -> list[Tree]:
    """
    Return import paths with their files, each file once.

    A folder that was given with `process -o` means the photos of that run; the copies in it, which
    --keep-original makes, are the same photos and are left out.

    Parameters
    ----------
    places
        Existing folders and files.
    skip_subfolders
        Leave out subfolders.

    Raises
    ------
    FileError
        If a folder cannot be read.
    """
    found: list[Tree] = []
    singles: dict[str, Tree] = {}
    seen: set[str] = set()
    for place in places:
        if place.is_dir():
            folders, files = _walked(str(place), skip_subfolders=skip_subfolders)
            if (photo_folder := photos_of(place)) is not None:
                copies = os.path.join(place, COPIES, "")  # noqa: PTH118
                more = _walked(str(photo_folder), skip_subfolders=skip_subfolders)
                folders, files = folders + more[0], [path for path in files + more[1] if not path.startswith(copies)]
            tree = Tree(str(place), list(dict.fromkeys(folders)), [], whole=True)
            found.append(tree)
        else:
            files, base = [str(place)], str(place.parent)
            if base not in singles:
                singles[base] = Tree(base, [base], [], whole=False)
                found.append(singles[base])
            tree = singles[base]
        tree.files.extend(each for each in dict.fromkeys(files) if each not in seen)
        seen.update(files)
    return found


@dataclass(frozen=True)
class Tree:
    """
    An import path: a folder with its subfolders, or some files of one folder.

    Parameters
    ----------
    base
        The folder.
    folders
        Folders whose description files are read.
    files
        Files without hidden ones; folders before their subfolders.
    whole
        Whether it is the whole folder, not only some of its files.
    """

    base: str
    folders: list[str]
    files: list[str]
    whole: bool


def described(tree: Tree, desc_path: Any = None) -> gpd.GeoDataFrame | None:
    """
    Return the files of an import path as described by description files and records.

    Parameters
    ----------
    tree
        The import path.
    desc_path
        A description file that replaces all others; owners of images still come from records.

    Returns
    -------
    images
        Images frame of local files, a row for each described file, including deleted ones; None
        if no file is described. `heading_derived` (boolean) says whether `process` derived the heading from the
        direction of travel, null where there is no record; `geotag_angle` is the heading before that.

    Raises
    ------
    FileError, FormatError
        If a description file or a record cannot be read.
    """
    sources = _sources(tree)
    chosen = [group[0] for group in sources]
    if desc_path is not None:
        chosen = [_Source(Path(desc_path).expanduser(), tree.base, is_record=False, modified_ns=0, scope=tree.base)]
    if not chosen:
        return None
    where = dict(zip(_real(tree.files), tree.files, strict=True))
    wanted = dict.fromkeys(chosen) | {each: None for group in sources for each in group if each.is_record}
    frames = {source: _placed(read, source, tree, where) for source in wanted if (read := _read(source)) is not None}
    # Files above the import path may describe other photos, which are left out.
    frames = {source: images for source, images in frames.items() if len(images) or source.scope == source.base}
    chosen = [source for source in chosen if source in frames]
    wanted = {source: None for source in wanted if source in frames}
    images = _newest_first({source: frames[source] for source in chosen})
    records = _newest_first({source: frames[source] for source in wanted if source.is_record})
    return _with_derived(_with_persons(images, records), records)


def in_exif(files: Iterable[str]) -> gpd.GeoDataFrame:
    """
    Return the image descriptions in photos.

    Parameters
    ----------
    files
        The photos.

    Returns
    -------
    images
        As from `mlygeo.read_descriptions`, with `exif_text` (str), the unchanged description;
        photos without a description have no row.
    """
    import json

    import pandas as pd

    from mlygeo.providers import descriptions

    known = descriptions()
    entries, texts = [], []
    for path in files:
        if not os.path.isfile(path):  # noqa: PTH113 - many paths; opening a pipe would wait forever
            continue
        try:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - many paths
                found = known.inside(file)
        except (OSError, ValueError):
            continue
        if found is not None:
            entries.append({**found, "filename": path, "filetype": "image"})
            texts.append(json.dumps(found))
    return known.frame(entries, Path("/")).assign(exif_text=pd.Series(texts, dtype="str"))


class _Source(NamedTuple):
    """A file that describes photos of its folder; only those below `scope` are used."""

    path: Path
    base: str
    is_record: bool
    modified_ns: int
    scope: str


def _walked(root: str, *, skip_subfolders: bool) -> tuple[list[str], list[str]]:
    """Return a folder and its subfolders, and their files, without hidden ones."""
    folders: list[str] = []
    files: list[str] = []
    for folder, subfolders, names in os.walk(root, onerror=places.unlisted):
        subfolders[:] = [] if skip_subfolders else [name for name in subfolders if not name.startswith(".")]
        subfolders.sort(key=places.natural_key)
        names.sort(key=places.natural_key)
        folders.append(folder)
        files += (os.path.join(folder, name) for name in names if not name.startswith("."))  # noqa: PTH118
    return folders, files


def _sources(tree: Tree) -> list[list[_Source]]:
    """
    Return for each folder the files that describe photos, the newest first; of equal times the description file.

    The folders above the import path are searched too: `process` may have run on one of them.
    """
    from mlygeo.providers import descriptions

    name = descriptions().file
    above = [str(folder) for folder in Path(os.path.abspath(tree.base)).parents]  # noqa: PTH100 - links stay
    inside = set(tree.folders)
    found = []
    for folder in dict.fromkeys([*tree.folders, *above]):
        scope = folder if folder in inside else tree.base
        there = [
            _Source(path, folder, path.name == IMAGES_FILE, modified_ns, scope)
            for path in (Path(folder, name), Path(folder, STATE_FOLDER, IMAGES_FILE), Path(folder, IMAGES_FILE))
            if (path.parent.name == STATE_FOLDER or path.name == name or _is_output(tree, folder))
            and (modified_ns := _changed(path)) is not None
        ]
        if there:
            found.append(sorted(there, key=lambda source: -source.modified_ns))
    return found


def _changed(path: Path) -> int | None:
    """Return when a file was written, nanoseconds since 1970; None if it is missing or not accessible."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns if S_ISREG(state.st_mode) else None


def _is_output(tree: Tree, folder: str) -> bool:
    """Return whether a folder was given with `process -o`; other frames of this name are the user's own."""
    return folder == tree.base and tree.whole and photos_of(folder) is not None


def _read(source: _Source) -> gpd.GeoDataFrame | None:
    """Read a file; None if it lies above the import path and cannot be read: it may belong to other people."""
    from mlygeo import store
    from mlygeo.providers import descriptions

    try:
        if source.is_record:
            return store.read_frame(source.path, frame="local_images")
        return descriptions().read(source.path)
    except (FileError, FormatError, FrameError) as error:
        if source.scope == source.base:
            raise
        log.warning("what is said of photos above is left out: %s", error)
        return None


def _placed(images: gpd.GeoDataFrame, source: _Source, tree: Tree, where: dict[str, str]) -> gpd.GeoDataFrame:
    """Return the rows about files of the import path, with the paths as given there."""
    from mlygeo.places import find_moved

    paths = images["path"].where(images["path"].notna(), "").tolist()
    paths = [path if os.path.lexists(path) else find_moved(path, source.base) or path for path in paths]
    kept = [
        # Descriptions of files outside the import path are left out.
        where.get(real, path if tree.whole and not os.path.lexists(path) and _below(path, source.scope) else None)
        for real, path in zip(_real(paths), paths, strict=True)
    ]
    images = images.assign(path=kept)
    return images[images["path"].notna()].drop_duplicates("path")


def _below(path: str, base: str) -> bool:
    return path.startswith(os.path.join(base, ""))  # noqa: PTH118


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


def _newest_first(frames: dict[_Source, gpd.GeoDataFrame]) -> gpd.GeoDataFrame | None:
    """
    Return each photo's row of the newest frame that has it.

    `of_record` says whether that is a record, and `described_ns` when it was written, nanoseconds since 1970.
    """
    from mlygeo.photos.import_folder import joined

    order = sorted(frames, key=lambda source: (-source.modified_ns, source.is_record))
    parts = [frames[source].assign(of_record=source.is_record, described_ns=source.modified_ns) for source in order]
    if not parts:
        return None
    return joined([part for part in parts if len(part)] or parts[:1]).drop_duplicates("path", ignore_index=True)


def _with_persons(images: gpd.GeoDataFrame | None, records: gpd.GeoDataFrame | None) -> gpd.GeoDataFrame | None:
    """
    Return images with the owners that description files lack: from records, else from EXIF.

    `processed` says whether there is a record of the image.
    """
    if images is None or not len(images):
        return images
    unsaid = ~images["of_record"].astype("bool")
    processed = ~unsaid
    if records is not None:
        known = unsaid & images["path"].isin(records["path"])
        images = _filled(images, records, known, _personal())
        # A description with a sum was made by another program, of the file as it was then.
        ours = known & images["md5sum"].isna() if "md5sum" in images else known
        images = _filled(images, records, ours, ("picture", "original_time"))
        unsaid &= ~known
        processed |= known
    images = images.assign(processed=processed)
    unsaid &= images["error"].isna()
    if "filetype" in images:
        unsaid &= images["filetype"].fillna("image") == "image"
    return _filled(images, in_exif(images.loc[unsaid, "path"]), unsaid, _personal()) if unsaid.any() else images


def _with_derived(images: gpd.GeoDataFrame | None, records: gpd.GeoDataFrame | None) -> gpd.GeoDataFrame | None:
    """Return images with what the records say of their headings: a description file says of none where it is from."""
    import pandas as pd

    if images is None or records is None or "geotag_angle" not in records:
        return images
    there = images["path"].isin(records["path"])
    said = records.set_index("path")[["compass_angle", "geotag_angle"]].reindex(images["path"]).set_axis(images.index)
    # One that was changed in the file since is the user's own.
    derived = _same(images["compass_angle"], said["compass_angle"]) & ~_same(
        said["compass_angle"], said["geotag_angle"]
    )
    return images.assign(
        heading_derived=derived.astype("boolean").mask(~there, pd.NA), geotag_angle=said["geotag_angle"]
    )


def _same(one: pd.Series, other: pd.Series) -> pd.Series:
    found: pd.Series = turn(one, other) <= ROUNDED
    return found


def _personal() -> tuple[str, ...]:
    """Return the columns for the owner of an image."""
    from mlygeo.providers import descriptions

    return (*descriptions().personal_columns, "organization_name")


def _filled(
    images: gpd.GeoDataFrame, others: gpd.GeoDataFrame, rows: pd.Series, names: Iterable[str]
) -> gpd.GeoDataFrame:
    """Return images with missing values of some columns from others of the same path, in some rows."""
    import pandas as pd

    from mlygeo import dtypes

    columns: dict[str, Any] = {}
    for name in names:
        kind = "boolean" if name == "private" else "str"
        mine, theirs = (
            dtypes.cast(frame[name], kind) if name in frame else dtypes.nulls(kind, len(frame), frame.index)
            for frame in (images, others)
        )
        theirs = theirs.set_axis(pd.Index(others["path"])).reindex(images["path"]).set_axis(images.index)
        columns[name] = mine.where(mine.notna() | ~rows, theirs)
    return images.assign(**columns)
