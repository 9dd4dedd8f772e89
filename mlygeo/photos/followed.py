"""
Photos that moved, were renamed, copied, or changed by another program since they were read.

A photo at a new path is known by its id (the MAPPhotoUUID that `process` has written into it), or by its time of
change and its size; where several are alike, the picture decides.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo.formats.identity import given_in, of_photo
from mlygeo.photos.results import plain, rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Flags

WRITTEN = ("captured_at", "geometry", "compass_angle", "altitude", "exif_orientation")
"""Columns of tags that `process` may write into photos."""


class Followed:
    """
    Which photos that were read now are known photos, at another path, or changed by another program.

    Parameters
    ----------
    fresh
        The photos as they are.
    stored
        All known photos.
    before
        The frame of the last run; None where there is none.
    used
        Which of `stored` are still where they were.

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
        place = rows_of(before, photos["path"])
        columns = [plain(before, name) for name in ("filesize", "photo_uuid", "picture")]
        written = [tuple(column[row] if row >= 0 else None for column in columns) for row in place.tolist()]
    times = photos["captured_at"].to_numpy(dtype="datetime64[ms]").view(np.int64).tolist()
    names = ("path", "modified_ns", "filesize", "width", "height", "inserted", "photo_uuid")
    return [
        _Facts(path, modified_ns, size, later[0], (width, height), time, inserted, own, later[1] or own, later[2])
        for (path, modified_ns, size, width, height, inserted, own), time, later in zip(
            zip(*(plain(photos, name) for name in names), strict=True), times, written, strict=True
        )
    ]


def complete(stored: gpd.GeoDataFrame, before: gpd.GeoDataFrame | None = None) -> gpd.GeoDataFrame:
    """Return stored photos with the ids from the last run, and the columns that files of earlier versions lack."""
    if "photo_uuid" not in stored.columns:
        stored = stored.assign(photo_uuid=given(stored))
    if before is not None and "photo_uuid" in before.columns and stored["photo_uuid"].isna().any():
        place = rows_of(before, stored["path"])
        known = np.array([*plain(before, "photo_uuid"), None], dtype=object)[place]
        stored = stored.assign(photo_uuid=stored["photo_uuid"].fillna(texts(known.tolist()).set_axis(stored.index)))
    return stored if "listed" in stored.columns else stored.assign(listed=True)


def given(photos: gpd.GeoDataFrame) -> Any:
    """Return the ids in the image descriptions of photos."""
    return texts([None if text is None else given_in(text) for text in plain(photos, "image_description")])


def texts(values: Sequence[str | None]) -> Any:
    """Return a column of text."""
    import pandas as pd

    return pd.Series(list(values), dtype="str")


def first_path(path: str, old: str, first: str) -> str:
    """Return the first path of a photo that moved, with the parts of it renamed that the move renamed."""
    parts, old_parts = Path(path).parts, Path(old).parts
    same = 0
    while same < min(len(parts), len(old_parts)) and parts[-1 - same] == old_parts[-1 - same]:
        same += 1
    renamed = Path(*old_parts[:-same])
    if not same or not Path(first).is_relative_to(renamed):
        return path
    return str(Path(*parts[:-same], Path(first).relative_to(renamed)))


def with_edits(
    row: gpd.GeoDataFrame, now: gpd.GeoDataFrame, then: gpd.GeoDataFrame, before: gpd.GeoDataFrame | None
) -> gpd.GeoDataFrame:
    """Return rows of photos with the tags that another program changed after `process` had written its own."""
    edited = (now["modified_ns"] != then["modified_ns"]).to_numpy()
    if before is None or not edited.any():
        return row
    place = rows_of(before, then["path"])
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
