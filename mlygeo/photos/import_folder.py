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
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo.errors import FileError, FormatError, FrameError, InputError
from mlygeo.formats.identity import given_in, of_photo
from mlygeo.places import STATE_FOLDER, several
from mlygeo.progress import keeping, working

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Flags, Whole
    from mlygeo.progress import Progress

log = logging.getLogger("mlygeo.photos")

IMAGES_FILE, PHOTOS_FILE, SEQUENCES_FILE = "images.parquet", "photos.parquet", "sequences.parquet"

MADE_BY_A_RUN = {IMAGES_FILE: "failed_in", PHOTOS_FILE: "inserted"}
"""A column of each file that no other frame of photos has; other files of such a name are the user's own."""

OWNED = {
    "user": ("user_name", "organization_name", "organization_key", "private"),
    "meta-data": ("make", "model", "exif_orientation", "camera_uuid", "gps_accuracy_m", "filename", "meta_tags"),
    "geotag": (
        *("captured_at", "geometry", "altitude", "geotag_angle", "compass_angle"),
        *("track_gap_s", "error", "warning", "time_source"),
    ),
    "sequence": ("sequence_id", "compass_angle", "is_duplicate", "duplicate_of", "problem"),
}
"""The columns that each unit writes. A row belongs to a unit until the unit is run again."""

ADDED = {
    "user_name": "str",
    "organization_name": "str",
    "organization_key": "str",
    "private": "bool",
    "gps_accuracy_m": "float64",
    "filename": "str",
    "meta_tags": "str",
    "photo_uuid": "str",
    "geotag_angle": "float64",
    "track_gap_s": "float64",
    "is_duplicate": "bool",
    "duplicate_of": "str",
    "problem": "str",
    "failed_in": "str",
    "exif_written": "bool",
    "picture": "str",
    "original_time": "str",
    "uploaded": "bool",
}
"""Columns that units add to a photo's own values, and their dtypes."""


KNOWN_BY = ("photo_uuid", "picture", "original_time")
"""Columns with what a photo is known by; see `mlygeo.formats.identity`."""

WRITTEN = ("captured_at", "geometry", "compass_angle", "altitude", "exif_orientation")
"""Columns of tags that `process` may write into photos."""


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
        import pandas as pd

        from mlygeo.readers.photos import find_photos, other_pictures, read_photos
        from mlygeo.spatial.ordering import natural_ranks

        self._refuse_others()
        places = self.root if self.files is None else self.files
        paths, self.left_out = find_photos(places, skip_subfolders=self.skip_subfolders)
        stored = self._stored(PHOTOS_FILE)
        modified = np.array([_modified_ns(path) for path in paths], dtype=np.int64)
        index = pd.Index([_shown(path) for path in paths], dtype="str")
        known = np.zeros(len(paths), dtype=bool)
        place = np.full(len(paths), -1, dtype=np.int64)
        if stored is not None:
            stored = _complete(stored, self._last)
            place = pd.Index(stored["path"]).get_indexer(index)
            known = place >= 0
            known[known] = self._still_true(stored.iloc[place[known]], modified[known])
        parts = []
        if stored is not None and known.any():
            parts.append(stored.iloc[place[known]])
        wanted = np.flatnonzero(~known)
        used = np.zeros(0 if stored is None else len(stored), dtype=bool)
        used[place[known]] = True
        if len(wanted):
            fresh = read_photos([paths[row] for row in wanted], progress=self.progress)
            fresh = fresh.assign(
                modified_ns=modified[wanted],
                inserted=False,
                first_path=fresh["path"],
                photo_uuid=_given(fresh),
                listed=True,
            )
            parts.append(fresh if stored is None or not len(stored) else self._followed(fresh, stored, used))
        if not parts:
            number = other_pictures(self.left_out)
            others = f" ({number} pictures of other kinds)" if number else ""
            raise FileError(f"there is no photo in {self.root}{others}", hint="JPEG files are taken")
        photos = joined(parts)
        photos["folder"] = pd.Series([os.path.dirname(path) for path in photos["first_path"]], dtype="str")  # noqa: PTH120
        order = np.lexsort([natural_ranks(photos[column]) for column in ("first_path", "folder")])
        photos = photos.iloc[order].reset_index(drop=True)
        photos.attrs = {}
        left = None if stored is None or self.rerun else stored[~used & ~stored["path"].isin(index).to_numpy()]
        self._remembered = left if left is not None and len(left) else None
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
        import pandas as pd

        from mlygeo import dtypes

        images = photos.drop(columns=["inserted", "first_path", "photo_uuid"])
        blank: dict[str, Any] = {
            name: dtypes.nulls(dtype, len(images)) if dtype != "bool" else np.zeros(len(images), dtype=bool)
            for name, dtype in ADDED.items()
        }
        images = images.assign(**blank)
        images["geotag_angle"] = photos["compass_angle"]
        images["filename"] = pd.Series([os.path.basename(path) for path in photos["first_path"]], dtype="str")  # noqa: PTH119
        images["failed_in"] = images["failed_in"].mask(images["error"].notna(), "read")
        images["photo_uuid"] = photos["photo_uuid"]
        if before is None:
            return images
        place = _rows_of(before, self.origins(images["path"])[0])
        found = place >= 0
        if "modified_ns" in before.columns:
            found[found] = before["modified_ns"].to_numpy()[place[found]] == images["modified_ns"].to_numpy()[found]
            found |= (place >= 0) & (images["path"].isin(self._origins)).to_numpy()
        kept = [unit for unit in OWNED if unit not in again]
        columns = dict.fromkeys(column for unit in kept for column in OWNED[unit] if column in before.columns)
        if "geotag" not in kept:
            columns.pop("compass_angle", None)
        columns |= dict.fromkeys(column for column in KNOWN_BY if column in before.columns)
        return _carried(images, before, place, found, list(columns))

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
        return _texts(places), _texts([before.get(place, place) for place in places])

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
            for path, name in zip(paths, _plain(stored, "photo_uuid"), strict=True):
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
        found = _Followed(fresh, stored, self._last, used)
        if not found.pairs:
            return fresh
        rows = np.array([row for row, _ in found.pairs], dtype=np.int64)
        of = np.array([row for _, row in found.pairs], dtype=np.int64)
        now = fresh.iloc[rows].reset_index(drop=True)
        then = stored.iloc[of].reset_index(drop=True)
        firsts = [
            _first_path(path, old, first)
            for path, old, first in zip(now["path"], then["path"], then["first_path"], strict=True)
        ]
        row = then.assign(
            **{name: now[name] for name in ("path", "folder", "modified_ns", "photo_uuid", "listed")},
            first_path=_texts(firsts),
        )
        row["photo_uuid"] = row["photo_uuid"].where(row["photo_uuid"].notna(), then["photo_uuid"])
        row = _with_edits(row, now, then, found.before)
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


class _Followed:
    """
    Which photos that were read now are known photos, at another path, or changed by another program.

    Parameters
    ----------
    fresh, stored, used
        As for `PhotoImport._followed`.
    before
        The frame of the last run; None where there is none.

    Attributes
    ----------
    pairs
        Rows of `fresh` and `stored` that are one photo, or a copy of it.
    """

    def __init__(
        self, fresh: gpd.GeoDataFrame, stored: gpd.GeoDataFrame, before: gpd.GeoDataFrame | None, used: Flags
    ) -> None:
        self.before = before
        self._known = _facts_of(stored, before)
        self._by_uuid: dict[str, list[int]] = {}
        self._by_time: dict[int, list[int]] = {}
        for row, known in enumerate(self._known):
            for name in {known.photo_uuid, known.own_uuid} - {None}:
                self._by_uuid.setdefault(str(name), []).append(row)
            self._by_time.setdefault(known.modified_ns, []).append(row)
        free = ~used
        self.pairs: list[tuple[int, int]] = []
        for row, photo in enumerate(_facts_of(fresh, None)):
            found = self._row_of(photo, free)
            if found is not None:
                self.pairs.append((row, found))
                free[found] = False

    def _row_of(self, photo: _Facts, free: Flags) -> int | None:
        """Return the row of a photo: of those that fit, one without its photo, of the same name."""
        fits = [row for row in self._by_uuid.get(photo.photo_uuid or "", ()) if self._known[row].size_fits(photo)]
        if not fits:
            fits = [row for row in self._by_time.get(photo.modified_ns, ()) if self._known[row].is_like(photo)]
        # Copies need a row only if their tags were overwritten; else they say what the photo says.
        fits = [row for row in fits if free[row] or self._known[row].inserted]
        if len(fits) > 1 and (pictures := {self._known[row].picture for row in fits} - {None}):
            with contextlib.suppress(OSError):
                picture = of_photo(Path(photo.path).read_bytes()).picture
                if picture in pictures:
                    fits = [row for row in fits if self._known[row].picture == picture]
        return min(fits, key=lambda row: (not free[row], self._known[row].name != photo.name), default=None)


class _Facts(NamedTuple):
    """What tells photos apart without reading their pictures."""

    path: str
    modified_ns: int
    size: int | None
    written_size: int | None
    pixels: tuple[int | None, int | None]
    captured_ms: int
    inserted: bool
    own_uuid: str | None
    photo_uuid: str | None
    picture: str | None

    @property
    def name(self) -> str:
        """The name of the file."""
        return os.path.basename(self.path)  # noqa: PTH119 - many paths

    def size_fits(self, photo: _Facts) -> bool:
        """Return whether a photo has the same number of pixels, as far as that is known."""
        return None in self.pixels or None in photo.pixels or self.pixels == photo.pixels

    def is_like(self, photo: _Facts) -> bool:
        """Return whether a photo with the same time of change can be this one."""
        if not self.size_fits(photo):
            return False
        if self.inserted:
            return photo.size == self.written_size or photo.name == self.name
        return photo.size == self.size and photo.captured_ms == self.captured_ms


def _facts_of(photos: gpd.GeoDataFrame, before: gpd.GeoDataFrame | None) -> list[_Facts]:
    """Return the facts of known photos, with those of the last run; or of photos that were read now."""
    written: list[tuple[Any, ...]] = [(None, None, None)] * len(photos)
    if before is not None:
        place = _rows_of(before, photos["path"])
        columns = [_plain(before, name) for name in ("filesize", "photo_uuid", "picture")]
        written = [tuple(column[row] if row >= 0 else None for column in columns) for row in place.tolist()]
    times = photos["captured_at"].to_numpy(dtype="datetime64[ms]").view(np.int64).tolist()
    names = ("path", "modified_ns", "filesize", "width", "height", "inserted", "photo_uuid")
    return [
        _Facts(path, modified_ns, size, later[0], (width, height), time, inserted, own, later[1] or own, later[2])
        for (path, modified_ns, size, width, height, inserted, own), time, later in zip(
            zip(*(_plain(photos, name) for name in names), strict=True), times, written, strict=True
        )
    ]


def _plain(frame: gpd.GeoDataFrame, name: str) -> list[Any]:
    """Return a column as Python values, with None for nulls."""
    if name not in frame.columns:
        return [None] * len(frame)
    column = frame[name]
    values: list[Any] = column.astype(object).where(column.notna(), None).tolist()
    return values


def _complete(stored: gpd.GeoDataFrame, before: gpd.GeoDataFrame | None = None) -> gpd.GeoDataFrame:
    """Return stored photos with the ids from the last run, and the columns that files of earlier versions lack."""
    if "photo_uuid" not in stored.columns:
        stored = stored.assign(photo_uuid=_given(stored))
    if before is not None and "photo_uuid" in before.columns and stored["photo_uuid"].isna().any():
        place = _rows_of(before, stored["path"])
        known = np.array([*_plain(before, "photo_uuid"), None], dtype=object)[place]
        stored = stored.assign(photo_uuid=stored["photo_uuid"].fillna(_texts(known.tolist()).set_axis(stored.index)))
    return stored if "listed" in stored.columns else stored.assign(listed=True)


def _given(photos: gpd.GeoDataFrame) -> Any:
    """Return the ids in the image descriptions of photos."""
    return _texts([None if text is None else given_in(text) for text in _plain(photos, "image_description")])


def _texts(values: Sequence[str | None]) -> Any:
    import pandas as pd

    return pd.Series(list(values), dtype="str")


def _first_path(path: str, old: str, first: str) -> str:
    """Return the first path of a photo that moved, with the parts of it renamed that the move renamed."""
    parts, old_parts = Path(path).parts, Path(old).parts
    same = 0
    while same < min(len(parts), len(old_parts)) and parts[-1 - same] == old_parts[-1 - same]:
        same += 1
    renamed = Path(*old_parts[:-same])
    if not same or not Path(first).is_relative_to(renamed):
        return path
    return str(Path(*parts[:-same], Path(first).relative_to(renamed)))


def _with_edits(
    row: gpd.GeoDataFrame, now: gpd.GeoDataFrame, then: gpd.GeoDataFrame, before: gpd.GeoDataFrame | None
) -> gpd.GeoDataFrame:
    """Return rows of photos with the tags that another program changed after `process` had written its own."""
    edited = (now["modified_ns"] != then["modified_ns"]).to_numpy()
    if before is None or not edited.any():
        return row
    place = _rows_of(before, then["path"])
    edited = edited & (place >= 0)
    ours = before.iloc[np.where(edited, place, 0)].reset_index(drop=True)
    changes: dict[str, Any] = {}
    for name in WRITTEN:
        theirs = edited & _differ(now[name], ours[name]) & _differ(now[name], then[name]) & now[name].notna().to_numpy()
        if theirs.any():
            changes[name] = row[name].where(~theirs, now[name])
            if name == "captured_at":
                changes["time_source"] = row["time_source"].where(~theirs, now["time_source"])
    return row.assign(**changes)


def _differ(one: pd.Series, other: pd.Series) -> Flags:
    """Return where values differ by more than writing them as tags changes them."""
    if one.name == "geometry":
        from mlygeo import frames

        apart = np.hypot(*(a - b for a, b in zip(frames.lonlat(one), frames.lonlat(other), strict=True))) > 2e-6
    elif one.name == "captured_at":
        times = (column.to_numpy(dtype="datetime64[ms]").view(np.int64).astype(np.float64) for column in (one, other))
        apart = np.abs(np.subtract(*times)) > 1
    else:
        values = (column.to_numpy(dtype=np.float64, na_value=np.nan) for column in (one, other))
        apart = np.abs(np.subtract(*values)) > 0.02
    missing = one.notna().to_numpy() != other.notna().to_numpy()
    differing: Flags = np.asarray(apart | missing, dtype=np.bool_)
    return differing


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
        photos = _complete(store.read_frame(frame))
        folders = [os.path.dirname(path) for path in photos.loc[photos["listed"].astype(bool), "path"]]  # noqa: PTH120
        return Path(os.path.commonpath(folders)) if folders else None
    except (FileError, FormatError, KeyError, TypeError, ValueError):
        return None  # another kind of file with this name


def with_results(
    images: gpd.GeoDataFrame, before: gpd.GeoDataFrame, origins: pd.Series, rows: Flags
) -> gpd.GeoDataFrame:
    """
    Return images with the results of the last run in some rows, if those rows could be used then.

    Parameters
    ----------
    images
        The frame of this run.
    before
        The frame of the last run.
    origins
        The path of each image in that frame.
    rows
        The rows that get their results back.
    """
    from mlygeo import dtypes

    place = _rows_of(before, origins)
    rows = rows & (place >= 0)
    rows[rows] = before["error"].isna().to_numpy()[place[rows]]
    if not rows.any():
        return images
    columns = dict.fromkeys(column for names in OWNED.values() for column in names if column in before.columns)
    values: dict[str, Any] = {}
    for column in [*columns, "failed_in", "geotag_angle", "exif_written"]:
        if column == "geometry":
            values[column] = _with_points(images, before, np.flatnonzero(rows), place[rows])
        elif column in before.columns:
            dtype = str(images[column].dtype)
            source = dtypes.cast(before[column].iloc[place[rows]], dtype)
            values[column] = _with(images[column], np.flatnonzero(rows), source)
    return images.assign(**values)


def duplicates_of(before: gpd.GeoDataFrame, origins: pd.Series, rows: Flags) -> Flags:
    """
    Return which images were duplicates, in the last run, of those in some rows.

    Parameters
    ----------
    before
        The frame of the last run.
    origins
        The path of each image in that frame.
    rows
        The rows of the images that they were duplicates of.
    """
    found: Flags = np.zeros(len(origins), dtype=np.bool_)
    if "duplicate_of" not in before.columns:
        return found
    place = _rows_of(before, origins)
    of = before["is_duplicate"].fillna(value=False).astype(bool) & before["duplicate_of"].isin(set(origins[rows]))
    found[place >= 0] = of.to_numpy()[place[place >= 0]]
    return found


def _rows_of(before: gpd.GeoDataFrame, paths: pd.Series) -> Whole:
    """Return the row of each path in a frame; -1 for none."""
    import pandas as pd

    rows: Whole = pd.Index(before["path"]).get_indexer(pd.Index(paths))
    return rows


def _with_points(images: gpd.GeoDataFrame, before: gpd.GeoDataFrame, rows: Whole, place: Whole) -> gpd.GeoSeries:
    import geopandas as gpd

    points = np.array(images.geometry.values, dtype=object)
    points[rows] = np.asarray(before.geometry.values, dtype=object)[place]
    return gpd.GeoSeries(points, index=images.index, crs=images.crs)


def _shown(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


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


def _carried(
    images: gpd.GeoDataFrame, before: gpd.GeoDataFrame, place: Any, found: Flags, columns: list[str]
) -> gpd.GeoDataFrame:
    """Return images with columns of an earlier frame, in the rows that it has."""
    from mlygeo import dtypes

    rows = np.flatnonzero(found)
    values: dict[str, Any] = {}
    for column in columns:
        if column == "geometry":
            values[column] = _with_points(images, before, rows, place[rows])
        elif column == "error":
            # Errors of the photo itself are found again; errors from a track are carried over.
            theirs = before["failed_in"].eq("geotag").fillna(value=False).to_numpy(dtype=bool)
            rows_of = rows[theirs[place[rows]] & images["error"].isna().to_numpy()[rows]]
            for name, source in (("error", before["error"]), ("failed_in", before["failed_in"])):
                values[name] = _with(images[name], rows_of, source.iloc[place[rows_of]])
        elif column in KNOWN_BY:
            known = rows[before[column].notna().to_numpy()[place[rows]]]
            values[column] = _with(images[column], known, before[column].iloc[place[known]])
        else:
            dtype = str(images[column].dtype)
            values[column] = _with(images[column], rows, dtypes.cast(before[column].iloc[place[rows]], dtype))
    values["exif_written"] = _with(images["exif_written"], rows, before["exif_written"].iloc[place[rows]])
    return images.assign(**values) if len(rows) else images


def _with(column: pd.Series, rows: Any, values: pd.Series) -> pd.Series:
    changed = column.copy()
    changed.iloc[rows] = values.array
    return changed
