"""
A folder of photos before its upload: the photos' tags when they were read, and the results of processing.

Two GeoParquet files store both, in `.mlygeo` in the folder unless another folder is given: `images.parquet`, the
frame that every unit of `process` reads and writes, and `photos.parquet`, the photos' own tags. A unit that is
run again starts from the latter, so that nothing is added twice, even if the tags of a photo were overwritten
meanwhile.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import FileError, FormatError, FrameError, InputError
from mlygeo.places import STATE_FOLDER, several

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Flags, Whole
    from mlygeo.progress import Progress

log = logging.getLogger("mlygeo.photos")

IMAGES_FILE, PHOTOS_FILE, SEQUENCES_FILE = "images.parquet", "photos.parquet", "sequences.parquet"

GONE = "the file is gone; it was there when it was read"

OWNED = {
    "user": ("user_name", "organization_name", "organization_key", "private"),
    "meta-data": ("make", "model", "exif_orientation", "camera_uuid", "gps_accuracy_m", "filename", "meta_tags"),
    "geotag": ("captured_at", "geometry", "altitude", "geotag_angle", "compass_angle", "track_gap_s", "error"),
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
}
"""Columns that units add to a photo's own values, and their dtypes."""


class PhotoImport:
    """
    A folder of photos, and the folder of their frames.

    Parameters
    ----------
    root
        The folder of photos, or one photo.
    folder
        Folder of the frames; by default `.mlygeo` in the folder of photos.
    skip_subfolders
        Leave out photos in subfolders.
    rerun
        Read again photos that were read before, and forget deleted ones.
    progress
        Where progress is shown.
    files
        The photos of the folder that are meant; None for all.

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
        self.passed_over = 0
        self.files = files

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
            Images frame of local files with `modified_ns`, `inserted` (whether tags were written into the photo)
            and `first_path` (str, its path when it was read).

        Raises
        ------
        FileError
            If there is no photo.
        """
        import pandas as pd

        from mlygeo import store
        from mlygeo.readers.photos import find_photos, read_photos

        places = self.root if self.files is None else self.files
        paths, self.passed_over = find_photos(places, skip_subfolders=self.skip_subfolders)
        stored = self._stored(PHOTOS_FILE)
        shown = [_shown(path) for path in paths]
        modified = np.array([_modified_ns(path) for path in paths], dtype=np.int64)
        index = pd.Index(shown, dtype="str")
        known = np.zeros(len(paths), dtype=bool)
        if stored is not None:
            place = pd.Index(stored["path"]).get_indexer(index)
            known = place >= 0
            known[known] = self._still_true(stored.iloc[place[known]], modified[known])
        parts = []
        if stored is not None and known.any():
            parts.append(stored.iloc[place[known]])
        wanted = np.flatnonzero(~known)
        if len(wanted):
            fresh = read_photos([paths[row] for row in wanted], progress=self.progress)
            parts.append(fresh.assign(modified_ns=modified[wanted], inserted=False, first_path=fresh["path"]))
        if stored is not None and not self.rerun:
            parts += self._gone(stored, index)
        if not parts:
            others = f" ({self.passed_over} pictures of other kinds)" if self.passed_over else ""
            raise FileError(f"there is no photo in {self.root}{others}", hint="JPEG files are taken")
        photos = joined(parts)
        photos["folder"] = pd.Series([os.path.dirname(path) for path in photos["first_path"]], dtype="str")  # noqa: PTH120
        photos = photos.sort_values(["folder", "first_path"], kind="stable", ignore_index=True)
        photos.attrs = {}
        if not dry_run and (len(wanted) or stored is None or len(photos) != len(stored)):
            store.write_frame(photos, self.folder / PHOTOS_FILE)
        log.info("%d photos, %d of them read now", len(photos), len(wanted))
        missing = ~photos["path"].map(os.path.lexists).astype("bool") & photos["error"].isna()
        return photos.assign(error=photos["error"].mask(missing, GONE))

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

        images = photos.drop(columns=["inserted", "first_path"])
        blank: dict[str, Any] = {
            name: dtypes.nulls(dtype, len(images)) if dtype != "bool" else np.zeros(len(images), dtype=bool)
            for name, dtype in ADDED.items()
        }
        images = images.assign(**blank)
        images["geotag_angle"] = photos["compass_angle"]
        images["filename"] = pd.Series([os.path.basename(path) for path in photos["first_path"]], dtype="str")  # noqa: PTH119
        images["failed_in"] = images["failed_in"].mask(images["error"].notna(), "read")
        images["photo_uuid"] = _uuids(photos)
        if before is None:
            return images
        place = pd.Index(before["path"]).get_indexer(pd.Index(images["path"]))
        found = place >= 0
        if "modified_ns" in before.columns:
            found[found] = before["modified_ns"].to_numpy()[place[found]] == images["modified_ns"].to_numpy()[found]
        kept = [unit for unit in OWNED if unit not in again]
        columns = dict.fromkeys(column for unit in kept for column in OWNED[unit] if column in before.columns)
        if "geotag" not in kept:
            columns.pop("compass_angle", None)
        return _carried(images, before, place, found, list(columns))

    @property
    def was_processed(self) -> bool:
        """Whether there is a frame of images already."""
        return (self.folder / IMAGES_FILE).exists()

    def stored(self) -> gpd.GeoDataFrame | None:
        """Return the frame of an earlier run; None where there is none."""
        return self._stored(IMAGES_FILE)

    def save(self, images: gpd.GeoDataFrame) -> list[Path]:
        """Write the frame of the import, and a line for each sequence; return the files."""
        from mlygeo import store
        from mlygeo.spatial.sequences import summarise

        sequences = summarise(images)
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
        from mlygeo import store

        inserted = photos["inserted"].to_numpy(dtype=bool) | rows
        if (inserted != photos["inserted"].to_numpy(dtype=bool)).any():
            noted = photos.assign(inserted=inserted, error=photos["error"].mask(photos["error"] == GONE))
            store.write_frame(noted, self.folder / PHOTOS_FILE)

    def moved(self, places: dict[str, str]) -> None:
        """Record the new paths of moved photos."""
        from mlygeo import store

        for name in (PHOTOS_FILE, IMAGES_FILE):
            frame = self._stored(name)
            if frame is None:
                continue
            renamed = {
                column: frame[column]
                .map(lambda path: places.get(path, path))
                .astype("str")
                .where(frame[column].notna())
                for column in ("path", "duplicate_of")
                if column in frame.columns
            }
            store.write_frame(frame.assign(**renamed), self.folder / name)

    def forget(self, paths: Collection[str]) -> None:
        """Forget photos' tags, since they were changed on purpose."""
        from mlygeo import store

        frame = self._stored(PHOTOS_FILE)
        if frame is not None and (dropped := frame["path"].isin(set(paths))).any():
            store.write_frame(frame[~dropped].reset_index(drop=True), self.folder / PHOTOS_FILE)

    def _stored(self, name: str) -> gpd.GeoDataFrame | None:
        from mlygeo import frames, store

        path = self.folder / name
        if not path.exists():
            return None
        try:
            return frames.conform(store.read_frame(path), frames.LOCAL_IMAGES)
        except (FormatError, FrameError) as error:
            raise FileError(f"{path} is damaged: {error}", hint="delete it, and everything is read anew") from error

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

    def _gone(self, stored: gpd.GeoDataFrame, listed: pd.Index) -> list[gpd.GeoDataFrame]:
        unlisted = stored[~stored["path"].isin(listed)]
        gone = unlisted[~unlisted["path"].map(os.path.lexists).astype("bool")]
        return [gone] if len(gone) else []


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
        folders = [os.path.dirname(path) for path in store.read_frame(frame)["path"]]  # noqa: PTH120
        return Path(os.path.commonpath(folders)) if folders else None
    except (FileError, FormatError, KeyError, TypeError, ValueError):
        return None  # another kind of file with this name


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
    import geopandas as gpd

    from mlygeo import dtypes

    rows = np.flatnonzero(found)
    values: dict[str, Any] = {}
    for column in columns:
        if column == "geometry":
            points = np.array(images.geometry.values, dtype=object)
            points[rows] = np.asarray(before.geometry.values, dtype=object)[place[rows]]
            values[column] = gpd.GeoSeries(points, index=images.index, crs=images.crs)
        elif column == "error":
            # Errors of the photo itself are found again; errors from a track are carried over.
            theirs = before["failed_in"].eq("geotag").fillna(value=False).to_numpy(dtype=bool)
            rows_of = rows[theirs[place[rows]] & images["error"].isna().to_numpy()[rows]]
            for name, source in (("error", before["error"]), ("failed_in", before["failed_in"])):
                values[name] = _with(images[name], rows_of, source.iloc[place[rows_of]])
        else:
            dtype = str(images[column].dtype)
            values[column] = _with(images[column], rows, dtypes.cast(before[column].iloc[place[rows]], dtype))
    values["exif_written"] = _with(images["exif_written"], rows, before["exif_written"].iloc[place[rows]])
    return images.assign(**values) if len(rows) else images


def _with(column: pd.Series, rows: Any, values: pd.Series) -> pd.Series:
    changed = column.copy()
    changed.iloc[rows] = values.array
    return changed


def _uuids(photos: gpd.GeoDataFrame) -> Any:
    """Return an id for each photo, the same on every run: from its first path and its capture time."""
    import uuid

    import pandas as pd

    from mlygeo.spatial.sequences import NAMESPACE

    times = photos["captured_at"].astype("str").fillna("")
    texts = zip(photos["first_path"], times, strict=True)
    return pd.array([str(uuid.uuid5(NAMESPACE, f"photo\n{path}\n{time}")) for path, time in texts], dtype="str")
