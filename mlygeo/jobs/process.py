"""The jobs of processing: photos, and tracks, to sequences that are ready for upload; and the units of it."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlygeo.errors import InputError
from mlygeo.jobs import _geotag_source
from mlygeo.photos.import_folder import OWNED, PhotoImport, import_folder
from mlygeo.pipelines import steps
from mlygeo.pipelines.job import Job
from mlygeo.pipelines.options import Cutting, Geotagging, Insertion, MetaData, Sorting, User, taken
from mlygeo.places import COPIES
from mlygeo.uploads import found, older

if TYPE_CHECKING:
    from collections.abc import Callable

    import geopandas as gpd

log = logging.getLogger("mlygeo.jobs")


class _Run(NamedTuple):
    """One run over a folder: where things are, what the photos said, and what was made of it before."""

    place: PhotoImport
    photos: gpd.GeoDataFrame
    images: gpd.GeoDataFrame
    before: gpd.GeoDataFrame | None
    dry_run: bool
    files: list[Path]

    def save(self, images: gpd.GeoDataFrame) -> None:
        if not self.dry_run:
            self.files[:] = self.place.save(images)

    def describe(self, images: gpd.GeoDataFrame, desc_path: Any) -> None:
        from mlygeo.providers import descriptions

        if self.dry_run:
            return
        place = self.place.base if desc_path is None else Path(desc_path)
        if desc_path is None and not os.access(place, os.W_OK):
            place = self.place.folder  # with -o, where the frames are; without it, the reason is said
        if place == self.place.base:
            self.place.save_beside(images)
        self.files.append(descriptions().write(steps.uploadable(images), place))


def process(import_path: Any, **options: Any) -> Job[Any]:
    """Do what `mlygeo.process` says."""
    if found.IMAGE not in found.named(options.get("file_types")):
        raise InputError("--file-types leaves out photos, and nothing else is processed",
                         hint="'mlygeo upload' takes archives and videos as they are")  # fmt: skip
    user, meta, how = taken(User, options), taken(MetaData, options), taken(Geotagging, options)
    cutting, insertion, sorting = taken(Cutting, options), taken(Insertion, options), taken(Sorting, options)

    def work(run: _Run) -> gpd.GeoDataFrame:
        track = _geotag_source.track_of(how, run.place.base, progress=run.place.progress)
        images = steps.with_user(run.images, user)
        _warn_of_opened(run.before, images)
        images = _with_meta_data(images, meta, run.place)
        images = steps.with_places(images, how, track, by_folder=_geotag_source.is_video(how))
        images = steps.with_sequences(images, run.photos, cutting)
        run.save(images)
        images = _inserted(run, images, insertion)
        run.describe(images, options.get("desc_path"))
        return images

    place, job = _done(import_path, options, work, again=tuple(OWNED))
    if sorting.asked and not options.get("dry_run"):
        from mlygeo.jobs.post_process import sorted_job

        return sorted_job(place, sorting, after=job)
    return job


def extract_user_data(import_path: Any, **options: Any) -> Job[Any]:
    """Do what `mlygeo.extract_user_data` says."""
    user = taken(User, options)
    return _unit(import_path, options, lambda run: steps.with_user(run.images, user), again=("user",))


def extract_import_meta_data(import_path: Any, **options: Any) -> Job[Any]:
    """Do what `mlygeo.extract_import_meta_data` says."""
    meta = taken(MetaData, options)
    return _unit(import_path, options, lambda run: _with_meta_data(run.images, meta, run.place), again=("meta-data",))


def extract_geotag_data(import_path: Any, **options: Any) -> Job[Any]:
    """Do what `mlygeo.extract_geotag_data` says."""
    how = taken(Geotagging, options)

    def work(run: _Run) -> gpd.GeoDataFrame:
        track = _geotag_source.track_of(how, run.place.base, progress=run.place.progress)
        return steps.with_places(run.images, how, track, by_folder=_geotag_source.is_video(how))

    # Sequences that were cut from other positions would be wrong.
    return _unit(import_path, options, work, again=("geotag", "sequence"))


def extract_sequence_data(import_path: Any, **options: Any) -> Job[Any]:
    """Do what `mlygeo.extract_sequence_data` says."""
    cutting = taken(Cutting, options)
    return _unit(
        import_path,
        options,
        lambda run: steps.with_sequences(steps.checked(run.images), run.photos, cutting),
        again=("sequence",),
    )


def extract_upload_params(import_path: Any, **options: Any) -> Job[Any]:
    """Do what `mlygeo.extract_upload_params` says."""

    def work(run: _Run) -> gpd.GeoDataFrame:
        images = steps.with_user_name(run.images, options.get("user_name"))
        run.save(images)
        run.describe(images, options.get("desc_path"))
        return images

    return _unit(import_path, options, work, again=(), goes_on=True)


def exif_insert(import_path: Any, **options: Any) -> Job[Any]:
    """Do what `mlygeo.exif_insert` says."""
    insertion = taken(Insertion, options)
    return _unit(import_path, options, lambda run: _inserted(run, run.images, insertion), again=(), goes_on=True)


def _unit(
    import_path: Any,
    options: dict[str, Any],
    work: Callable[[_Run], gpd.GeoDataFrame],
    *,
    again: tuple[str, ...],
    goes_on: bool = False,
) -> Job[Any]:
    return _done(import_path, options, work, again=again, goes_on=goes_on)[1]


def _done(
    import_path: Any,
    options: dict[str, Any],
    work: Callable[[_Run], gpd.GeoDataFrame],
    *,
    again: tuple[str, ...],
    goes_on: bool = False,
) -> tuple[PhotoImport, Job[Any]]:
    """
    Run units on a folder of photos, and keep what they make.

    Parameters
    ----------
    import_path, options
        Of the call.
    work
        Returns the frame with the columns of the units.
    again
        Units whose earlier results are not carried over.
    goes_on
        Whether there must be results of others already.
    """
    place, dry_run = _place(import_path, options), bool(options.get("dry_run"))
    if goes_on and not place.was_processed:
        raise InputError(
            f"nothing was processed in {place.root} yet",
            hint=f"mlygeo process {place.root}, or its units: extract-geotag-data, extract-sequence-data, …",
        )
    with place.held(dry_run=dry_run):
        known = place.photos(dry_run=dry_run)
        before = place.stored()
        run = _Run(place, known, place.images(known, before, again=again), before, dry_run, [])
        images = work(run)
        if not run.files:
            run.save(images)
    summary = steps.summary_of(images, passed_over=place.passed_over, files=run.files)
    said, failed = steps.headline(summary), list(summary["failed_files"])
    return place, Job(lambda: images, summary, said, lambda _: run.files, failed)


def _place(import_path: Any, options: dict[str, Any]) -> PhotoImport:
    output = options.get("output")
    return PhotoImport(
        import_folder(import_path),
        None if output is None else Path(output),
        skip_subfolders=bool(options.get("skip_subfolders")),
        rerun=bool(options.get("rerun")),
        progress=options.get("progress"),
    )


def _warn_of_opened(before: gpd.GeoDataFrame | None, images: gpd.GeoDataFrame) -> None:
    """Say how many photos an earlier run kept private or for an organization, and this one does not."""
    if before is None or not {"private", "organization_key"} <= set(before.columns):
        return
    kept = before["private"].fillna(value=False).astype(bool) | before["organization_key"].notna()
    owned = images["private"].astype(bool) | images["organization_key"].notna() | images["organization_name"].notna()
    opened = int(images.loc[~owned, "path"].isin(before.loc[kept, "path"]).sum())
    if opened:
        log.warning(
            "%d photos were private or of an organization, and are not any more: --private, --organization-key", opened
        )


def _with_meta_data(images: gpd.GeoDataFrame, meta: MetaData, place: PhotoImport) -> gpd.GeoDataFrame:
    now_ms = round(time.time() * 1000) if meta.add_import_date else None
    return steps.with_meta_data(images, meta, base=str(place.base), now_ms=now_ms)


def _inserted(run: _Run, images: gpd.GeoDataFrame, insertion: Insertion) -> gpd.GeoDataFrame:
    """Write the image descriptions of the images that are ready into their photos, or copies of them."""
    if insertion.skip_exif_insert or run.dry_run:
        return images
    from mlygeo.photos.exif_writer import description_tags
    from mlygeo.photos.insertion import insert_tags
    from mlygeo.providers import descriptions

    ready = images["error"].isna().to_numpy() & ~images["is_duplicate"].to_numpy(dtype=bool)
    # The history of uploads knows a photo by its content: one that is up already must not become another.
    uploaded = older.uploads_of(images, run.photos["first_path"]) >= older.READY
    uploaded |= older.older_uploads_of(images, ready & ~uploaded)
    if (ready & uploaded).any():
        log.info("%d photos are uploaded already, and stay as they are", int((ready & uploaded).sum()))
    ready &= ~uploaded
    copies = None
    if insertion.keep_original:
        copies = run.place.base, run.place.folder / COPIES
    else:
        run.place.note_insertion(run.photos, ready)
    asked = insertion.overwrite

    def tags_of(image: Any) -> Any:
        return description_tags(image, description=descriptions().of(image), overwrite=asked)

    written = insert_tags(images, tags_of, rows=ready, copies=copies, progress=run.place.progress)
    failed = written["error"].notna() & images["error"].isna()
    written = written.assign(failed_in=images["failed_in"].mask(failed, "exif-insert"))
    run.save(written)
    return written
