"""
A folder of photos before its upload: the photos' tags when they were read, and the results of processing.

Two GeoParquet files store both, in `.mlygeo` in the folder unless another folder is given: `images.parquet`, the
frame that every unit of `process` reads and writes, and `photos.parquet`, the photos' own tags. A unit that is
run again starts from the latter, so that nothing is added twice, even if the tags of a photo were overwritten
meanwhile.

Rows follow their photos. A photo at a new path gets the row with its id (the MAPPhotoUUID that `process` has
written into it), or with its time of change and its size; where rows are alike, the picture decides. A copy of a
photo that was written into starts from the tags that the photo had before, like the photo itself. Rows of photos
that are gone, or were not listed this time, are remembered in `photos.parquet`, and are in no other file.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import FileError, FormatError, FrameError, InputError
from mlygeo.formats.identity import of_photo
from mlygeo.photos.followed import Followed, complete, first_path, given, texts, with_edits
from mlygeo.photos.results import ADDED, KNOWN_BY, OWNED, carried, plain, rows_of
from mlygeo.places import STATE_FOLDER, several
from mlygeo.progress import counted, keeping, working

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Flags, Whole
    from mlygeo.progress import Progress

log = logging.getLogger("mlygeo.photos")

IMAGES_FILE, PHOTOS_FILE, SEQUENCES_FILE = "images.parquet", "photos.parquet", "sequences.parquet"

MADE_BY_A_RUN = {IMAGES_FILE: "failed_in", PHOTOS_FILE: "inserted"}
"""A column of each file that no other frame of photos has; other files of such a name are the user's own."""


class PhotoImport:
    """
    A folder of photos, and the folder of their frames.

    Parameters
    ----------
    root
        The folder of photos, or one photo.
    folder
        Folder of the frames; by default `.mlygeo` in the folder of photos.
    files
        The photos of the folder that are meant; None for all.
    skip_subfolders
        Leave out photos in subfolders.
    rerun
        Read again photos that were read before, and forget deleted ones.
    progress
        Where progress is shown.

    Raises
    ------
    FileError
        If there is no such folder.
    """

    def __init__(
        self,
        root: Path,
        folder: Path | None = None,
        *,
        files: tuple[str, ...] | None = None,
        skip_subfolders: bool = False,
        rerun: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.root = Path(os.path.abspath(root.expanduser()))  # noqa: PTH100 - links stay as they are named
        if not self.root.exists():
            raise FileError(f"{self.root} does not exist", hint="name a folder of photos")
        self.base = self.root if self.root.is_dir() else self.root.parent
        self.folder = self.base / STATE_FOLDER if folder is None else Path(folder).expanduser()
        if self.folder.exists() and not self.folder.is_dir():
            raise FileError(f"{self.folder} is a file, and `output` names a folder here")
        self.skip_subfolders, self.rerun, self.progress = skip_subfolders, rerun, progress
        self.files = files
        self.left_out: dict[str, int] = {}
        self._origins: dict[str, str] = {}
        self._moved: dict[str, str] = {}
        self._remembered: gpd.GeoDataFrame | None = None

    @contextlib.contextmanager
    def held(self, *, dry_run: bool) -> Iterator[None]:
        """
        Lock the photos and the folder of the frames for this process, except in a dry run, which writes nothing.

        Raises
        ------
        FileError
            If another run works on them, including an upload, which would send some photos in their old state.
        """
        if dry_run:
            yield
            return
        from mlygeo.locks import FolderLock, PhotoLock

        place = self.folder.parent if self.folder.name == STATE_FOLDER else self.folder
        with PhotoLock([self.base, place], "writing"), FolderLock(place):
            yield

    def photos(self, *, dry_run: bool = False) -> gpd.GeoDataFrame:
        """
        Return the photos' tags when they were read; photos that were not read yet are read now.

        Returns
        -------
        photos
            Images frame of local files with `modified_ns`, `inserted` (whether tags were written into the photo),
            `first_path` (str, its path when it was read, in the folder as it is called now) and `photo_uuid` (str,
            the id in the photo). Photos that are gone have no row.

        Raises
        ------
        FileError
            If there is no photo, or the folder of the frames has a file of the user's in the place of one.
        """
        from mlygeo.readers.photos import find_photos, other_pictures, read_found, shown
        from mlygeo.spatial.ordering import natural_ranks

        self._refuse_others()
        places = self.root if self.files is None else self.files
        paths, self.left_out = find_photos(places, skip_subfolders=self.skip_subfolders)
        stored = self._stored(PHOTOS_FILE)
        known = np.zeros(len(paths), dtype=bool)
        place = np.full(len(paths), -1, dtype=np.int64)
        listed = np.zeros(0 if stored is None else len(stored), dtype=bool)
        if stored is not None:
            stored = complete(stored, self._last)
            place = rows_of(stored, texts([shown(path) for path in paths]))
            known = place >= 0
            listed[place[known]] = True
            modified = np.array([_modified_ns(paths[row]) for row in np.flatnonzero(known)], dtype=np.int64)
            known[known] = self._still_true(stored.iloc[place[known]], modified)
        parts = []
        if stored is not None and known.any():
            parts.append(stored.iloc[place[known]])
        wanted = np.flatnonzero(~known)
        used = np.zeros(0 if stored is None else len(stored), dtype=bool)
        used[place[known]] = True
        if len(wanted):
            fresh = read_found([paths[row] for row in wanted], progress=self.progress)
            fresh = fresh.assign(
                inserted=False,
                first_path=fresh["path"],
                photo_uuid=given(fresh),
                listed=True,
            )
            parts.append(fresh if stored is None or not len(stored) else self._followed(fresh, stored, used))
        if not parts:
            number = other_pictures(self.left_out)
            others = f" ({counted(number, 'picture')} of other formats)" if number else ""
            raise FileError(f"there is no photo in {self.root}{others}", hint="mlygeo reads JPEG files")
        photos = joined(parts)
        photos["folder"] = texts([os.path.dirname(path) for path in photos["first_path"].tolist()])  # noqa: PTH120
        order = np.lexsort([natural_ranks(photos[column]) for column in ("first_path", "folder")])
        photos = photos.iloc[order].reset_index(drop=True)
        photos.attrs = {}
        self._remembered = None
        if stored is not None and not self.rerun:
            left = stored[~used & ~listed]
            self._remembered = left if len(left) else None
        changed = stored is None or len(wanted) or bool((stored["listed"].to_numpy(dtype=bool) != used).any())
        if not dry_run and changed:
            self._write_photos(photos)
        log.info("%d photos, %d of them read now", len(photos), len(wanted))
        return photos.drop(columns="listed")

    def images(
        self, photos: gpd.GeoDataFrame, before: gpd.GeoDataFrame | None, *, again: Collection[str]
    ) -> gpd.GeoDataFrame:
        """
        Return the frame of the import: the photos' own values, and the results of units.

        Parameters
        ----------
        photos
            From `photos`.
        before
            From `stored`.
        again
            Units whose results are left out, since they run next.

        Returns
        -------
        images
            A row for each photo, in the same order.
        """
        from mlygeo import dtypes

        images = photos.drop(columns=["inserted", "first_path", "photo_uuid"])
        blank: dict[str, Any] = {
            name: dtypes.nulls(dtype, len(images)) if dtype != "bool" else np.zeros(len(images), dtype=bool)
            for name, dtype in ADDED.items()
        }
        images = images.assign(**blank)
        images["geotag_angle"] = photos["compass_angle"]
        images["filename"] = texts([os.path.basename(path) for path in photos["first_path"].tolist()])  # noqa: PTH119
        images["failed_in"] = images["failed_in"].mask(images["error"].notna(), "read")
        images["photo_uuid"] = photos["photo_uuid"]
        if before is None:
            return images
        place = rows_of(before, self.origins(images["path"].tolist())[0])
        found = place >= 0
        if "modified_ns" in before.columns:
            found[found] = before["modified_ns"].to_numpy()[place[found]] == images["modified_ns"].to_numpy()[found]
            found |= (place >= 0) & (images["path"].isin(self._origins)).to_numpy()
        kept = [unit for unit in OWNED if unit not in again]
        columns = dict.fromkeys(column for unit in kept for column in OWNED[unit] if column in before.columns)
        if "geotag" not in kept:
            columns.pop("compass_angle", None)
        columns |= dict.fromkeys(column for column in KNOWN_BY if column in before.columns)
        return carried(images, before, place, found, list(columns))

    @functools.cached_property
    def _last(self) -> gpd.GeoDataFrame | None:
        """The frame of an earlier run, with the paths at that time; None where there is none."""
        return self._stored(IMAGES_FILE)

    @property
    def was_processed(self) -> bool:
        """Whether there is a frame of images already."""
        return (self.folder / IMAGES_FILE).exists()

    def stored(self) -> gpd.GeoDataFrame | None:
        """Return the frame of an earlier run, with the present paths of its photos; None where there is none."""
        before = self._last
        if before is None or not self._moved:
            return before
        # What lay at a path to which another photo has moved is gone from there.
        is_left = before["path"].isin(set(self._moved.values())) & ~before["path"].isin(set(self._moved))
        return _renamed(before[~is_left].reset_index(drop=True), self._moved)

    def origins(self, paths: Iterable[str]) -> tuple[pd.Series, pd.Series]:
        """
        Return the path of each photo in the frame of `stored`, and the one that it had at the last run.

        Parameters
        ----------
        paths
            The paths of photos now.
        """
        before = {now: old for old, now in self._moved.items()}
        places = [self._origins.get(path, path) for path in paths]
        return texts(places), texts([before.get(place, place) for place in places])

    def drop_copies(self, folder: Path) -> None:
        """
        Remove the copies of photos that earlier runs have written.

        Parameters
        ----------
        folder
            The folder of the copies. In the state folder all files are copies; in a folder that was given, those at
            the place of a known photo, with the id of that photo inside.
        """
        stored = self._last
        if stored is None or not folder.is_dir():
            return
        ids: dict[str, set[str | None]] = {}
        for paths in (stored["path"], _renamed(stored, self._moved)["path"]):
            for path, name in zip(paths, plain(stored, "photo_uuid"), strict=True):
                ids.setdefault(os.path.relpath(path, self.base), set()).add(name)
        dropped = 0
        for place, _, names in os.walk(folder, topdown=False):
            for name in names:
                path = os.path.join(place, name)  # noqa: PTH118
                known = ids.get(os.path.relpath(path, folder), set()) - {None}
                if folder.parent.name == STATE_FOLDER or (known and of_photo(Path(path).read_bytes()).given in known):
                    os.unlink(path)  # noqa: PTH108
                    dropped += 1
            with contextlib.suppress(OSError):  # files of others
                os.rmdir(place)  # noqa: PTH106
        log.info("%d copies of an earlier run removed", dropped)

    @working("writing what was found")
    def save(self, images: gpd.GeoDataFrame) -> list[Path]:
        """Write the frame of the import, and a line for each sequence; return the files."""
        from mlygeo import store
        from mlygeo.spatial.sequences import summarise

        self.__dict__.pop("_last", None)  # it is read again
        sequences = summarise(images)
        with keeping("what was found of the photos is kept"):
            return [
                store.write_frame(images, self.folder / IMAGES_FILE),
                store.write_frame(sequences, self.folder / SEQUENCES_FILE),
            ]

    def save_beside(self, images: gpd.GeoDataFrame) -> None:
        """
        Write the frame of the import beside its photos too, if another folder was given for it.

        A description file there has no fields for the owners of images, and would be read without them.
        """
        from mlygeo import store

        record = self.base / STATE_FOLDER / IMAGES_FILE
        if record.parent.resolve() != self.folder.resolve():
            record.parent.mkdir(exist_ok=True)
            store.write_frame(images, record)

    def note_insertion(self, photos: gpd.GeoDataFrame, rows: Flags) -> None:
        """Record that tags will be written into photos: their old tags are not read again."""
        inserted = photos["inserted"].to_numpy(dtype=bool) | rows
        if (inserted != photos["inserted"].to_numpy(dtype=bool)).any():
            self._write_photos(photos.assign(inserted=inserted))

    def moved(self, places: dict[str, str]) -> None:
        """Record the new paths of moved photos."""
        from mlygeo import store

        for name in (PHOTOS_FILE, IMAGES_FILE):
            frame = self._stored(name)
            if frame is None:
                continue
            store.write_frame(_renamed(frame, places), self.folder / name)
        self.__dict__.pop("_last", None)  # it is read again

    def forget(self, paths: Collection[str]) -> None:
        """Forget photos' tags, since they were changed on purpose."""
        from mlygeo import store

        frame = self._stored(PHOTOS_FILE)
        if frame is not None and (dropped := frame["path"].isin(set(paths))).any():
            store.write_frame(frame[~dropped].reset_index(drop=True), self.folder / PHOTOS_FILE)

    def _stored(self, name: str) -> gpd.GeoDataFrame | None:
        from mlygeo import frames, own, store

        path = self.folder / name
        if not path.exists():
            return None
        try:
            frame = store.read_frame(path)
            is_own = {"path", MADE_BY_A_RUN[name]} <= set(frame.columns) and frame["path"].is_unique
            conformed = frames.conform(frame, frames.LOCAL_IMAGES) if is_own else None
        except (FormatError, FrameError) as error:
            raise FileError(f"{path} is damaged: {error}", hint="delete it, and everything is read anew") from error
        if conformed is None:
            raise own.other(path)
        return conformed

    def _refuse_others(self) -> None:
        """Raise if a file that a run would replace is none of ours, before photos are read."""
        from mlygeo import own

        if self._last is not None:
            sequences = own.columns(("sequence_id", "images", "length_m", "geometry"))
        else:
            sequences = own.none  # a run writes the frame of images first
        own.refuse_others(self.folder, {SEQUENCES_FILE: sequences})

    def _still_true(self, known: gpd.GeoDataFrame, modified: Whole) -> Flags:
        """Return which photos are unchanged since they were read, apart from tags written by this package."""
        inserted = known["inserted"].to_numpy(dtype=bool)
        same = known["modified_ns"].to_numpy() == modified
        # This package preserves the time of the file and changes its size; other programs may do that too.
        size = np.array([_size(path) for path in known["path"]])
        recorded = known["filesize"].to_numpy(dtype=np.float64, na_value=-1)
        whole = known["error"].isna().to_numpy()
        unchanged: Flags = same & (inserted | ((size == recorded) & whole & (not self.rerun)))
        return unchanged

    def _followed(self, fresh: gpd.GeoDataFrame, stored: gpd.GeoDataFrame, used: Flags) -> gpd.GeoDataFrame:
        """
        Return photos that were read now, with the tags that they had when they were first read, at any path.

        Parameters
        ----------
        fresh
            The photos as they are.
        stored
            All known photos.
        used
            Which of `stored` are still where they were; rows that follow their photos are added.
        """
        found = Followed(fresh, stored, self._last, used)
        if not found.pairs:
            return fresh
        rows = np.array([row for row, _ in found.pairs], dtype=np.int64)
        of = np.array([row for _, row in found.pairs], dtype=np.int64)
        now = fresh.iloc[rows].reset_index(drop=True)
        then = stored.iloc[of].reset_index(drop=True)
        firsts = [
            first_path(path, old, first)
            for path, old, first in zip(now["path"], then["path"], then["first_path"], strict=True)
        ]
        row = then.assign(
            **{name: now[name] for name in ("path", "folder", "modified_ns", "photo_uuid", "listed")},
            first_path=texts(firsts),
        )
        row["photo_uuid"] = row["photo_uuid"].where(row["photo_uuid"].notna(), then["photo_uuid"])
        row = with_edits(row, now, then, found.before)
        for path, old, is_free in zip(now["path"], then["path"], ~used[of], strict=True):
            if path == old:
                continue
            if is_free and old not in self._moved:
                self._moved[old] = path
            self._origins[path] = self._moved.get(old, old)
        used[of] = True
        log.info("%d photos are known from another place", int((now["path"] != then["path"]).sum()))
        rest = np.ones(len(fresh), dtype=bool)
        rest[rows] = False
        return joined([row, fresh[rest]]) if rest.any() else row

    def _write_photos(self, photos: gpd.GeoDataFrame) -> None:
        """Write the photos' own tags, with the remembered rows."""
        from mlygeo import store

        parts = [photos.assign(listed=True)]
        if self._remembered is not None:
            parts.append(self._remembered.assign(listed=False))
        store.write_frame(joined(parts), self.folder / PHOTOS_FILE)


def _renamed(frame: gpd.GeoDataFrame, places: dict[str, str]) -> gpd.GeoDataFrame:
    """Return a frame with the new paths of moved photos."""
    return frame.assign(
        **{
            column: frame[column].map(lambda path: places.get(path, path)).astype("str").where(frame[column].notna())
            for column in ("path", "duplicate_of")
            if column in frame.columns
        }
    )


def import_folder(import_path: Any) -> Path:
    """
    Return the folder of photos given in a call.

    Raises
    ------
    InputError
        If the call gives none, or several.
    """
    named = several(import_path)
    if not named:
        raise InputError("no folder of photos", hint="name it behind the verb")
    if len(named) > 1:
        raise InputError(
            f"several folders of photos: {', '.join(map(str, named))}", hint="name one; its subfolders belong to it"
        )
    return Path(named[0])


def joined(parts: list[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    """Return parts as one frame of local images, even if some lack columns."""
    import pandas as pd

    from mlygeo import dtypes, frames

    # Columns that are missing or empty in one part would change their dtype.
    wanted = {column.name: column.dtype for column in frames.LOCAL_IMAGES.columns}
    filled = []
    for part in parts:
        part = part.assign(  # noqa: PLW2901
            **{
                name: dtypes.nulls(dtype, len(part), part.index)
                for name, dtype in wanted.items()
                if name not in part.columns
            }
        )
        part.attrs = {}
        filled.append(part)
    if len(filled) == 1:
        return frames.conform(filled[0], frames.LOCAL_IMAGES)
    return frames.conform(pd.concat(filled, ignore_index=True), frames.LOCAL_IMAGES)


def photos_of(place: Any) -> Path | None:
    """
    Return the folder of the photos whose frames are stored in another folder.

    Parameters
    ----------
    place
        The folder given with -o when the photos were processed.

    Returns
    -------
    folder
        The folder of the photos; None if `place` is not such a folder.
    """
    from mlygeo import store

    frame = Path(place).expanduser() / PHOTOS_FILE
    if frame.parent.name == STATE_FOLDER or not frame.is_file():
        return None
    try:
        photos = complete(store.read_frame(frame))
        folders = [os.path.dirname(path) for path in photos.loc[photos["listed"].astype(bool), "path"]]  # noqa: PTH120
        return Path(os.path.commonpath(folders)) if folders else None
    except (FileError, FormatError, KeyError, TypeError, ValueError):
        return None  # another kind of file with this name


def _modified_ns(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 - many paths
    except OSError:
        return -1


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)  # noqa: PTH202 - many paths
    except OSError:
        return -2
