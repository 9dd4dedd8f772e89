"""
The contents of an import path: described images in their sequences, archives, and videos with positions.

The types of files have the same names as in mapillary_tools.
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.places import several
from mlygeo.progress import working
from mlygeo.readers.cameras import FILE_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import geopandas as gpd

    from mlygeo.formats.identity import Identity
    from mlygeo.providers import UploadKind
    from mlygeo.uploads.described import Tree
    from mlygeo.uploads.items import Owner, Photo, PhotoSequence, WholeFile
    from mlygeo.uploads.videos import GivenTrack

log = logging.getLogger("mlygeo.uploads")

IMAGE = "image"

UNLISTED = "not in the image descriptions given"


@working("looking for what to upload")
def gather(
    import_path: Any,
    *,
    desc_path: Any = None,
    skip_subfolders: bool = False,
    private: bool = False,
    file_types: Mapping[UploadKind, str] | None = None,
    track: GivenTrack | None = None,
    count_others: bool = False,
) -> Import:
    """
    Return the contents of import paths.

    See `mlygeo.uploads.described` for the sources of descriptions. A sequence whose images are for
    several organizations becomes one for each of them.

    Parameters
    ----------
    import_path
        A folder, a file, or several of either.
    desc_path
        The description file; by default those of the folders.
    skip_subfolders
        Leave out subfolders.
    private
        Mark each description as private, also those in the images. Archives must have the mark
        inside, and videos cannot have it: see `give_owners`.
    file_types
        Include archives and videos: the kinds that the service accepts unchanged, with its names
        for them; see `mlygeo.providers.Uploads.file_types`.
    track
        The track of the videos, instead of the positions in them.
    count_others
        Count archives and videos that are not included as skipped.

    Raises
    ------
    FileError
        If a path or the description file does not exist.
    FormatError
        If the description file is invalid, or a given archive is not one of a sequence.
    """
    from mlygeo.photos.import_folder import joined
    from mlygeo.uploads.described import described, trees

    found = Import(private=private)
    places = _places(import_path)
    named = {str(place) for place in places}
    parts = []
    for tree in trees(places, skip_subfolders=skip_subfolders):
        _leave_out_unreadable(tree, found)
        images = described(tree, desc_path)
        parts += [_in_exif(tree, images, found, alone=desc_path is None), images]
        if file_types is not None:
            _add_whole_files(tree, images, found, file_types, named=named, track=track)
        elif count_others:
            _count_whole_files(tree, found)
    if track is not None:
        _leave_out_doubtful(found, track)
    kept = [_kept(part, found) for part in parts if part is not None and len(part)]
    kept = [part for part in kept if len(part)]
    if kept:
        found.images = joined(kept).drop_duplicates("path", ignore_index=True)
        found.sequences = list(_sequences(found.images, found))
    return found


@dataclass
class Import:
    """
    The files to upload, and those to leave out.

    Parameters
    ----------
    sequences
        Sequences of images, in the order of folders and times; each has one owner.
    files
        Archives and videos.
    skipped
        Number of skipped files, by reason: "duplicates", "failed", "not processed", "not in the image
        descriptions given", "other archives", "videos to sample first", "videos without a usable track",
        "low-resolution copies of videos".
    left_out
        Archives that are not of a sequence, and videos without positions that could be used, with the reason,
        by path.
    failed
        Images whose description cannot be used, and damaged archives, with the reason, by path.
    images
        Frame of the described images that exist.
    private
        Whether all images must be private.
    plain
        Photos without any description.
    """

    sequences: list[PhotoSequence] = field(default_factory=list)
    files: list[WholeFile] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    images: gpd.GeoDataFrame | None = None
    private: bool = False
    plain: list[str] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        """The files to upload."""
        return [
            *(photo.path for sequence in self.sequences for photo in sequence.photos),
            *(file.path for file in self.files),
        ]

    @property
    def bytes(self) -> int:
        """Their size."""
        photos = sum(photo.size for sequence in self.sequences for photo in sequence.photos)
        return photos + sum(file.size for file in self.files)

    @property
    def owners(self) -> set[Owner]:
        """The owners that the images and files name."""
        return {each.owner for each in self._items}

    @property
    def users(self) -> set[str]:
        """The users that they name."""
        return {name for each in self._items for name in each.users}

    @property
    def without_owner(self) -> int:
        """The number of private images without an organization."""
        return sum(each.private for each in self._items if each.organization_key is None)

    @property
    def _items(self) -> list[PhotoSequence | WholeFile]:
        return [*self.sequences, *self.files]


def give_owners(found: Import, keys: Mapping[Owner, str | None]) -> None:
    """
    Set the organizations of uploads.

    If an image names another organization, its description is sent with the one that is set.

    Parameters
    ----------
    found
        The files to upload; it is changed.
    keys
        The key of the organization, or None for none, by the owner that the images name.

    Raises
    ------
    InputError
        If an archive names another organization, if a file that must be private would become public,
        or if private images would have no organization. Nothing is sent before this check.
    """
    changed = [each for each in found.sequences if each.organization_key not in (None, keys[each.owner])]
    texts: dict[str, str] = {}
    if changed and found.images is not None and "exif_text" in found.images:
        texts = dict(zip(found.images["path"], found.images["exif_text"], strict=True))
    owned = []
    for sequence in found.sequences:
        key = keys[sequence.owner]
        photos = sequence.photos
        if sequence.organization_key not in (None, key):
            photos = tuple(_renamed(photo, key, texts.get(photo.path)) for photo in photos)
        owned.append(replace(sequence, photos=photos, organization_key=key, organization_name=None))
    for file in found.files:
        _must_suit(file, keys[file.owner], private=found.private)
    found.sequences = owned
    found.files = [replace(file, organization_key=keys[file.owner]) for file in found.files]
    if number := found.without_owner:
        raise InputError(
            f"{number:,} private image{'s belong' if number > 1 else ' belongs'} to no organization",
            hint="give `organization_key`",
        )


def _must_suit(file: WholeFile, key: str | None, *, private: bool) -> None:
    """Raise if a file, which is uploaded unchanged, names another organization than the one that is set."""
    name = os.path.basename(file.path)  # noqa: PTH119 - a str
    if file.organization_key not in (None, key):
        raise InputError(
            f"{name} goes up as it is, and holds images of organization {file.organization_key}",
            hint="upload it for that one, or make it anew with 'mlygeo zip'",
        )
    if private and file.kind == "video":
        raise InputError(
            f"{name} goes up as it is, and cannot be marked as private", hint="sample it, or give `file_types='image'`"
        )
    if private and file.private < file.images:
        raise InputError(
            f"{name} goes up as it is, and {file.images - file.private:,} of its images are not private",
            hint="make it anew with 'mlygeo zip --private'",
        )


def _renamed(photo: Photo, key: str | None, exif_text: str | None) -> Photo:
    """Return an image whose description names an organization, or none."""
    described = dict(json.loads(exif_text or "{}") if photo.description is None else photo.description)
    if key is None:
        described.pop("MAPOrganizationKey", None)
    else:
        described["MAPOrganizationKey"] = key
    return replace(photo, description=described)


def _places(import_path: Any) -> list[Path]:
    given = several(import_path)
    if not given:
        raise InputError("nothing to upload is given", hint="name a folder of photos")
    places = [Path(os.path.abspath(Path(each).expanduser())) for each in given]  # noqa: PTH100 - keeps links
    for place, typed in zip(places, given, strict=True):
        if not place.exists():
            raise FileError(f"{typed} does not exist", hint="name a folder of photos")
    return list(dict.fromkeys(places))


def _leave_out_unreadable(tree: Tree, found: Import) -> None:
    """Take out of a tree what would be uploaded, but is not a file, or has a name that no history can hold."""
    from mlygeo.formats import chapters
    from mlygeo.formats.jpeg import ENDINGS
    from mlygeo.readers.photos import NOT_TEXT, is_text, shown
    from mlygeo.uploads.archives import ENDING

    endings = (*ENDINGS, *chapters.ENDINGS, ENDING)
    for path in [path for path in tree.files if path.lower().endswith(endings)]:
        if not is_text(path):
            found.failed[str(shown(path))] = NOT_TEXT
        elif os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113 - many paths
            found.failed[path] = "not a file"  # opening a pipe would wait forever
        else:
            continue
        tree.files.remove(path)


def _in_exif(tree: Tree, images: gpd.GeoDataFrame | None, found: Import, *, alone: bool) -> gpd.GeoDataFrame | None:
    """Return the photos that no file describes, but that have an image description in EXIF, if that counts alone."""
    from mlygeo.formats.jpeg import ENDINGS
    from mlygeo.uploads.described import in_exif

    known = set() if images is None else set(images["path"])
    photos = [path for path in tree.files if path.lower().endswith(ENDINGS) and path not in known]
    if not photos:
        return None
    if not alone:
        found.skipped[UNLISTED] += len(photos)
        return None
    described = in_exif(photos)
    found.skipped["not processed"] += len(photos) - len(described)
    known = set(described["path"])
    found.plain += [path for path in photos if path not in known]
    return described


def _not_set_aside(images: gpd.GeoDataFrame, found: Import) -> gpd.GeoDataFrame:
    """Return the images that the logs of mapillary_tools of 2018 to 2021 do not set aside; count the others."""
    import numpy as np

    from mlygeo.uploads.older import OlderUploads

    older = OlderUploads()
    # What was described later was processed anew.
    since = images["described_ns"] if "described_ns" in images else [0] * len(images)
    reasons = [older.set_aside(path, ns) for path, ns in zip(images["path"], since, strict=True)]
    found.skipped.update(reason for reason in reasons if reason is not None)
    kept: Any = np.array([reason is None for reason in reasons], dtype=bool)
    return images[kept]


def _kept(images: gpd.GeoDataFrame, found: Import) -> gpd.GeoDataFrame:
    """Return the images to upload; count the others."""
    failed = images["error"].notna()
    twice = images["is_duplicate"].fillna(False).astype(bool) if "is_duplicate" in images else failed & False
    found.skipped["duplicates"] += int(twice.sum())
    if {"of_record", "error_type"} <= set(images.columns):
        # An entry that does not say itself that something failed is wrong: edited, or made by another program.
        wrong = failed & ~twice & images["error_type"].isna() & ~images["of_record"].astype(bool)
        found.failed.update(zip(images.loc[wrong, "path"], images.loc[wrong, "error"], strict=True))
        failed &= ~wrong
        images = images[~wrong]
        failed, twice = failed[~wrong], twice[~wrong]
    found.skipped["failed"] += int((failed & ~twice).sum())
    images = images[~failed & ~twice]
    if "filetype" in images:
        images = images[images["filetype"].fillna("image") == "image"]
    return _not_set_aside(images, found)


def _texts(images: gpd.GeoDataFrame, name: str) -> Any:
    """Return a column of texts, with nulls for empty texts or a missing column."""
    from mlygeo import dtypes

    if name not in images:
        return dtypes.nulls("str", len(images), images.index)
    return images[name].where(images[name] != "")


def _sequences(images: gpd.GeoDataFrame, found: Import) -> Iterator[PhotoSequence]:
    """Yield the sequences of images: by their ids, else by their folders, and by their owners; in the order of time."""
    from mlygeo.spatial.ordering import natural_ranks
    from mlygeo.uploads.items import Photo, PhotoSequence

    names, paths = (natural_ranks(texts) for texts in (images["path"].map(os.path.basename), images["path"]))
    order = images.assign(_name=names, _path=paths).sort_values(["captured_at", "_name", "_path"], kind="stable").index
    images = images.loc[order]
    folders = images["path"].map(os.path.dirname)
    sequence = images["sequence_id"].where(images["sequence_id"].notna(), folders)
    key = _texts(images, "organization_key")
    called = _texts(images, "organization_name").where(key.isna())
    for (name, owner, owner_name), rows in images.groupby([sequence, key.fillna(""), called.fillna("")], sort=False):
        photos = []
        number = 0
        for row in rows.to_dict("records"):
            path = str(row["path"])
            try:
                size = os.stat(path).st_size  # noqa: PTH116 - many paths
                description = _description(row, private=found.private)
            except OSError as error:
                found.failed[path] = error.strerror or str(error)
                continue
            except InputError as error:
                found.failed[path] = str(error)
                continue
            number += found.private or row.get("private") is True
            processed = row.get("processed") is True
            photos.append(Photo(path, size, description, processed, _recorded(row) if processed else None))
        if photos:
            users = frozenset(_texts(rows, "user_name").dropna())
            yield PhotoSequence(str(name), tuple(photos), owner or None, owner_name or None, number, users)


def _recorded(row: Mapping[str, Any]) -> Identity | None:
    """Return what a photo was known by when it was processed; None if nobody read it whole."""
    from mlygeo.formats.identity import Identity

    picture, time, given = (
        value if isinstance(value := row.get(name), str) else None
        for name in ("picture", "original_time", "photo_uuid")
    )
    return None if picture is None else Identity.from_texts(picture, time, given)


def _description(image: Mapping[str, Any], *, private: bool) -> dict[str, Any] | None:
    """Return the description to send with an image; None if the one in the image is unchanged."""
    from mlygeo.providers import descriptions

    text = image.get("exif_text")
    if isinstance(text, str):  # NaN for those that a file describes
        if not private or image.get("private") is True:
            return None
        return descriptions().private(json.loads(text))
    description = descriptions().of(image)
    return descriptions().private(description) if private else description


def _add_whole_files(
    tree: Tree,
    images: gpd.GeoDataFrame | None,
    found: Import,
    file_types: Mapping[UploadKind, str],
    *,
    named: set[str],
    track: GivenTrack | None,
) -> None:
    """Add archives, and videos with positions."""
    from mlygeo.formats import chapters
    from mlygeo.uploads.archives import ENDING

    entries: dict[str, Mapping[str, Any]] = {}
    if images is not None and "filetype" in images:
        of_videos = images[images["path"].str.lower().str.endswith(tuple(chapters.ENDINGS))]
        entries = {str(row["path"]): row for row in of_videos.to_dict("records")}
    for path in tree.files:
        ending = os.path.splitext(path)[1].lower()  # noqa: PTH122 - many paths
        if ending == ENDING:
            _add_archive(path, found, file_types, is_named=path in named)
        elif ending in chapters.ENDINGS:
            entry = entries.get(path)
            # One that failed is counted with the images.
            if entry is None or not isinstance(entry["error"], str):
                _add_video(path, entry, found, file_types, is_named=path in named, track=track)


def _count_whole_files(tree: Tree, found: Import) -> None:
    """Count archives and videos."""
    from mlygeo.formats import chapters
    from mlygeo.uploads.archives import ENDING

    endings = [os.path.splitext(path)[1].lower() for path in tree.files]  # noqa: PTH122 - many paths
    found.skipped["archives"] += endings.count(ENDING)
    found.skipped["videos"] += sum(ending in chapters.ENDINGS for ending in endings)


def _add_archive(path: str, found: Import, file_types: Mapping[UploadKind, str], *, is_named: bool) -> None:
    """Add an archive of a sequence, and the owner of its images."""
    from mlygeo.uploads import archives
    from mlygeo.uploads.items import WholeFile

    if "zip" not in file_types:
        found.skipped["other archives"] += 1
        return
    try:
        images = archives.descriptions_in(Path(path))
    except archives.NoSequenceError as error:
        if is_named:
            raise
        found.left_out[path] = str(error)
        found.skipped["other archives"] += 1
        log.info("left out: %s", error)  # the headline names it
        return
    except (FileError, FormatError) as error:
        found.failed[path] = str(error)
        return
    keys = _texts(images, "organization_key").fillna("").unique()
    if len(keys) > 1:
        found.failed[path] = "its images belong to several organizations, and it goes up as one"
        return
    number = int(images["private"].fillna(False).sum())
    users = frozenset(_texts(images, "user_name").dropna())
    size = os.stat(path).st_size  # noqa: PTH116 - a str
    found.files.append(WholeFile(path, size, "zip", file_types["zip"], keys[0] or None, len(images), number, users))


def _add_video(
    path: str,
    entry: Mapping[str, Any] | None,
    found: Import,
    file_types: Mapping[UploadKind, str],
    *,
    is_named: bool,
    track: GivenTrack | None,
) -> None:
    """Add a video; where it cannot be uploaded, the reason."""
    from mlygeo.uploads import videos

    if _is_proxy(path) and not is_named:
        found.skipped["low-resolution copies of videos"] += 1
        return
    try:
        found.files.append(videos.video_file(path, entry, file_types, track))
    except (videos.NoPositionsError, videos.UnusableTrackError) as error:
        reason = f"{error} ({error.hint})" if error.hint else str(error)
        if is_named:
            found.failed[path] = reason
            return
        found.left_out[path] = reason
        found.skipped[videos.LEFT_OUT[type(error)]] += 1
        log.info("left out: %s", reason)
    except FileError as error:
        found.failed[path] = str(error)


def _leave_out_doubtful(found: Import, track: GivenTrack) -> None:
    """Leave out the videos whose place on a given track is in doubt."""
    from mlygeo.uploads import videos

    of_videos = [file for file in found.files if file.kind == "video"]
    doubts = videos.in_doubt(of_videos, track)
    found.files = [file for file in found.files if file.path not in doubts]
    found.left_out |= doubts
    found.skipped[videos.LEFT_OUT[videos.UnusableTrackError]] += len(doubts)


def _is_proxy(path: str) -> bool:
    """Return whether a camera wrote a video beside another one, as a preview of that."""
    name = os.path.basename(path).upper()  # noqa: PTH119 - many paths
    return name.endswith(".LRV") or name.startswith("LRV_")


# Types of files.


def named(text: Any) -> frozenset[str]:
    """
    Return the types given in a call; all types if none is given.

    Parameters
    ----------
    text
        Types separated by commas, or several of them.

    Raises
    ------
    InputError
        If a type is unknown.
    """
    if text is None:
        return frozenset(FILE_TYPES)
    words = text.split(",") if isinstance(text, str) else [str(word) for word in text]
    types = frozenset(word.strip().lower() for word in words)
    if unknown := sorted(types - {*FILE_TYPES}):
        raise InputError(f"{unknown[0]!r} is not a type of file", hint=f"`file_types` takes {', '.join(FILE_TYPES)}")
    return types


def only(found: Import, types: frozenset[str], file_types: Mapping[UploadKind, str]) -> Import:
    """Return the contents of import paths without files of other types, which are counted as skipped."""
    if IMAGE not in types:
        found.skipped["of another type"] += sum(len(sequence.photos) for sequence in found.sequences)
        # Files without a description are not counted either.
        found.skipped["not processed"] = 0
        found.sequences, found.images = [], None
    kinds = {file_type: kind for kind, file_type in file_types.items()}
    files = [file for file in found.files if {file.camera or kinds[file.file_type], file.kind} & types]
    found.skipped["of another type"] += len(found.files) - len(files)
    found.files = files
    return found
