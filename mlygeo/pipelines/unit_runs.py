"""
A run over a folder of photos: what the units of `process` share.

It reads the frame that is kept for the folder, has a unit or several add to it, and writes it back.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from typing import TYPE_CHECKING, Any

from mlygeo.errors import InputError
from mlygeo.pipelines import provenance
from mlygeo.pipelines.arguments import user_call
from mlygeo.pipelines.described import described_beside, with_others
from mlygeo.pipelines.job import Job

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.photos.import_folder import PhotoImport
    from mlygeo.pipelines.options import Insertion, MetaData, PhotoFolder
    from mlygeo.uploads.older import History

    PathLike = str | os.PathLike[str]

log = logging.getLogger("mlygeo.pipelines")


@dataclasses.dataclass(frozen=True)
class Run:
    """One run over a folder: its import, the photos' own tags, and the results of earlier runs."""

    place: PhotoImport
    photos: gpd.GeoDataFrame
    images: gpd.GeoDataFrame
    before: gpd.GeoDataFrame | None
    history: History
    dry_run: bool
    files: list[Path]
    written: list[str]
    videos: gpd.GeoDataFrame | None = None

    def kept(self, images: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        """
        Return images in which uploaded photos have the results that they had when they were uploaded.

        So has a duplicate of an uploaded photo. If photos are read again (`rerun`), new results count for
        those that can be used.
        """
        from mlygeo.photos.results import duplicates_of, with_results
        from mlygeo.uploads import older

        origins = self.place.origins(images["path"].tolist())
        uploaded = self.history.outcomes(images, self.photos["first_path"], *origins) >= older.READY
        images = images.assign(uploaded=uploaded)
        if self.before is None or not uploaded.any():
            return images
        kept = uploaded | duplicates_of(self.before, origins[0], uploaded)
        if self.place.rerun:
            kept &= (images["error"].notna() | images["is_duplicate"]).to_numpy()
        return with_results(images, self.before, origins[0], kept)

    def drop_copies(self) -> None:
        """Remove the copies that earlier runs made, as the older tools do at the start of every run."""
        from mlygeo.places import COPIES

        if not self.dry_run and self.before is not None:
            self.place.drop_copies(self.place.folder / COPIES)

    def save(self, images: gpd.GeoDataFrame) -> None:
        """Write the frames, except in a dry run."""
        if not self.dry_run:
            self.files[:] = self.place.save(provenance.noted(images, user_call()))

    def describe(self, images: gpd.GeoDataFrame) -> None:
        """Write the image description file beside the photos, except in a dry run."""
        from mlygeo.photos.import_folder import joined
        from mlygeo.pipelines import steps
        from mlygeo.providers import descriptions

        if self.dry_run:
            return
        place = described_beside(self.place.base, self.place.folder)
        if place == self.place.base:
            self.place.save_beside(images)
        rows = steps.uploadable(images)
        if self.videos is not None:
            rows = joined([rows, self.videos])
        if self.place.files is not None:
            rows = with_others(rows, place / descriptions().file)
        self.files.append(descriptions().write(rows, place))

    def with_meta_data(self, images: gpd.GeoDataFrame, meta: MetaData) -> gpd.GeoDataFrame:
        """Return images with the metadata of camera and files."""
        from mlygeo.pipelines import steps

        now_ms = round(time.time() * 1000) if meta.add_import_date else None
        return steps.with_meta_data(images, meta, base=str(self.place.base), now_ms=now_ms)

    def inserted(self, images: gpd.GeoDataFrame, insertion: Insertion) -> gpd.GeoDataFrame:
        """Write the image descriptions of the images that are ready into their photos, or copies of them."""
        if insertion.skip_exif_insert or self.dry_run:
            return images
        from mlygeo.photos.insertion import insert_tags
        from mlygeo.photos.tags import description_tags
        from mlygeo.places import COPIES
        from mlygeo.providers import descriptions

        ready = images["error"].isna().to_numpy() & ~images["is_duplicate"].to_numpy(dtype=bool)
        # An uploaded photo must stay as the service has it.
        ready &= ~images["uploaded"].to_numpy(dtype=bool)
        copies = None
        if insertion.keep_original:
            copies = self.place.base, self.place.folder / COPIES
        else:
            self.place.note_insertion(self.photos, ready)
        asked = insertion.overwrite

        def tags_of(image: Any) -> Any:
            return description_tags(image, description=descriptions().of(image), overwrite=asked)

        written = insert_tags(
            images, tags_of, rows=ready, uploaded=self.history.has, copies=copies, progress=self.place.progress
        )
        there = int(written["uploaded"].sum())
        if there:
            log.info("%d photos are uploaded already, and stay as they are", there)
        done = ready & written["exif_written"].to_numpy(dtype=bool) & ~written["uploaded"].to_numpy(dtype=bool)
        self.written[:] = written.loc[done, "path"].tolist()
        failed = written["error"].notna() & images["error"].isna()
        written = written.assign(failed_in=images["failed_in"].mask(failed, "exif-insert"))
        self.save(written)
        return written


def run_units(
    import_path: PathLike,
    work: Callable[[Run], gpd.GeoDataFrame],
    *,
    folder: PhotoFolder,
    again: tuple[str, ...],
    goes_on: bool = False,
    files: tuple[str, ...] | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Run units on a folder of photos, and store their results.

    Parameters
    ----------
    import_path
        The folder of photos, or one photo.
    work
        Returns the frame with the columns of the units.
    folder
        The options of the folder.
    again
        Units whose earlier results are not carried over.
    goes_on
        Whether other units must have run before.
    files
        The photos of the folder that are meant; None for all.
    """
    from mlygeo.photos.import_folder import import_folder
    from mlygeo.pipelines import inputs, steps
    from mlygeo.uploads.older import History

    place = inputs.photo_import(import_folder(import_path), folder, files)
    if goes_on and not place.was_processed:
        raise InputError(
            f"nothing was processed in {place.root} yet",
            hint=f"mlygeo process {place.root}, or its units: extract-geotag-data, extract-sequence-data, …",
        )
    with place.held(dry_run=folder.dry_run):
        known = place.photos(dry_run=folder.dry_run)
        before = place.stored()
        images = place.images(known, before, again=again)
        run = Run(place, known, images, before, History(), folder.dry_run, [], [])
        images = work(run)
        if not run.files:
            run.save(images)
    images.attrs["left_out"] = place.left_out
    summary = steps.summary_of(images, files=run.files, written=len(run.written))
    said, failed = steps.headline(summary), list(summary["failed_files"])
    return Job(lambda: images, summary, said, lambda _: run.files, failed)
