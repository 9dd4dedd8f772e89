"""Positions from a track, and sequences, on frames of photos: nothing is kept, and no photo is written into."""

from __future__ import annotations

import inspect
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from mlygeo import places
from mlygeo.errors import DependencyError, FileError, FormatError, InputError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.job import Job, public, public_with, version
from mlygeo.pipelines.options import Cutting, Geotagging, Spread
from mlygeo.pipelines.sources import EXIFTOOL, EXIFTOOL_XML, Pattern
from mlygeo.progress import counted
from mlygeo.readers.cameras import VIDEO_SOURCES, GeotagSource

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Executor

    import geopandas as gpd
    from distributed import Client

    from mlygeo.pipelines.sources import Sources
    from mlygeo.progress import Progress
    from mlygeo.store import FrameLike

    PathLike = str | os.PathLike[str]

log = logging.getLogger("mlygeo.pipelines")

LOG_ENDINGS = {
    "gpx": (".gpx", ".gpx.gz"),
    "nmea": (".nmea", ".nmea.gz", ".log", ".log.gz", ".txt"),
    "csv": (".csv", ".csv.gz", ".tsv"),
}
"""Sources that are logs -> their endings where a folder is searched."""


@public
def geotag_photos(
    images: FrameLike | Iterable[PathLike],
    *,
    geotag_source: Sources = "exif",
    geotag_source_path: PathLike | None = None,
    local_time: bool = False,
    sub_second_interval: float = 0.0,
    offset_time: float = 0.0,
    offset_angle: float = 0.0,
    interpolation_offset_time: float = 0.0,
    use_gps_start_time: bool = False,
    max_gap: float | None = None,
    skip_subfolders: bool = False,
    progress: Progress | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Give photos time, position, heading and altitude: their own, or from a track or video.

    The same as `extract_geotag_data`, but for a file of images (in Python also a frame) instead of a folder. Nothing
    is stored or written into photos.

    Parameters
    ----------
    images
        Folder of photos, photos, or a file of local images (in Python also a frame).

    Returns
    -------
    images
        The images with time, position, `compass_angle`, `altitude` and `error`; of a track also `track_gap_s`.

    Raises
    ------
    FileError
        If there is no such folder, no photo in it, or nothing can be written.
    InputError
        If an option makes no sense.
    FormatError
        If the track is none.
    FrameError
        If the frame does not have the columns of photos.

    Examples
    --------
    >>> geotag_photos("DCIM", geotag_source="gpx", geotag_source_path="ride.gpx", offset_time=2)
    """
    from mlygeo.parts.cutting import without_zone
    from mlygeo.pipelines import steps

    how = Geotagging(
        geotag_source=geotag_source,
        geotag_source_path=geotag_source_path,
        local_time=local_time,
        sub_second_interval=sub_second_interval,
        offset_time=offset_time,
        offset_angle=offset_angle,
        interpolation_offset_time=interpolation_offset_time,
        use_gps_start_time=use_gps_start_time,
        max_gap=max_gap,
    )
    found, base = images_of(images, skip_subfolders=skip_subfolders, progress=progress)
    found = found.assign(failed_in=_nothing(found))
    tagged = placed(found, how, base, progress=progress)
    tagged = tagged.drop(columns=["geotag_angle", "failed_in"])
    failed = steps.failures(tagged)
    kinds = tagged["error"].dropna().map(steps.kind_of).value_counts()
    summary: dict[str, Any] = {
        "photos": len(tagged),
        "placed": len(tagged) - len(failed),
        "failed": len(failed),
        "reasons": {str(kind): int(count) for kind, count in kinds.items()},
        "problems": steps.problems_of(_warnings(tagged)),
        "left_out": steps.left_out_of(found),
        "without_time_zone": int(without_zone(tagged).sum()),
        "failed_files": failed,
        "version": version(),
    }
    headline = f"{summary['placed']:,} of {counted(len(tagged), 'photo')} have a time and a position"
    if failed:
        headline += "; " + ", ".join(f"{count:,} {kind}" for kind, count in summary["reasons"].items())
    headline = "\n".join([headline, *steps.doubts(summary, column="warning")])
    return Job(lambda: tagged, summary, headline, failed=list(failed), as_file=True)


@public_with(Cutting, geotag_photos)
def cut(
    images: FrameLike | Iterable[PathLike],
    *,
    output: PathLike | None = None,
    cutoff_distance: float = 600.0,
    cutoff_time: float = 60.0,
    max_images: int = 500,
    interpolate_directions: bool = False,
    offset_angle: float = 0.0,
    keep_duplicates: bool = False,
    duplicate_distance: float = 0.1,
    duplicate_angle: float = 5.0,
    max_speed: float = 400.0,
    preset: str | None = None,
    endpoint: str | None = None,
    skip_subfolders: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    executor: Executor | None = None,
    client: Client | None = None,
    part: str | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Cut images into sequences, flag duplicates, derive headings, split at 500, and flag what looks wrong.

    The same as `extract_sequence_data`, but for a file of images (in Python also a frame) instead of a folder.
    Nothing is stored or written into photos.

    A dataset of images, made by `partition`, is cut without loading it as a whole, with the same result; to get a
    dataset, give a folder with `output`. Images that belong together must fit into memory, at most a million: the
    images of one folder, or if they have no folder, images that follow each other without a gap.

    Parameters
    ----------
    output
        Folder for a dataset of images, like those of `partition`. Default: the images are returned.
    workers
        Number of processes that cut the images of a dataset. Default: one.
    dry_run
        For a dataset: change nothing, and report into how many parts the images are cut, and the memory and time
        needed.

    Returns
    -------
    images
        The images with `sequence_id`, `compass_angle`, `is_duplicate`, `duplicate_of` and `problem`; those of a
        dataset in the order of one. With `output` a row for each part of the dataset.

    Raises
    ------
    FileError
        If there is no such folder, no photo in it, or nothing can be written.
    InputError
        If an option makes no sense.
    FrameError
        If the frame does not have the columns of images.

    Examples
    --------
    >>> cut("images.parquet", cutoff_distance=100, cutoff_time=120).groupby("sequence_id").size()
    """
    from mlygeo.parts import images as datasets
    from mlygeo.parts import sequences as step
    from mlygeo.pipelines import parted_cut, steps

    cutting = Cutting(
        cutoff_distance=cutoff_distance,
        cutoff_time=cutoff_time,
        max_images=max_images,
        interpolate_directions=interpolate_directions,
        offset_angle=offset_angle,
        keep_duplicates=keep_duplicates,
        duplicate_distance=duplicate_distance,
        duplicate_angle=duplicate_angle,
        max_speed=max_speed,
        preset=preset,
        endpoint=endpoint,
    )

    def said(facts: dict[str, Any], left_out: dict[str, int]) -> tuple[dict[str, Any], str]:
        summary: dict[str, Any] = {
            "images": facts["images"],
            "sequences": facts["sequences"],
            "length_m": round(facts["length_um"] / 1e6, 1),
            "duplicates": facts["duplicates"],
            "without_sequence": facts["without_sequence"],
            "problems": facts["problems"],
            "left_out": left_out,
            "without_time_zone": facts["without_time_zone"],
            "version": version(),
        }
        headline = (
            f"{counted(summary['images'], 'image')} in {counted(summary['sequences'], 'sequence')}"
            f" ({summary['length_m'] / 1000:,.1f} km), {counted(summary['duplicates'], 'duplicate')}"
        )
        if summary["without_sequence"]:
            headline += f"; {counted(summary['without_sequence'], 'image')} without time or position in none"
        return summary, "\n".join([headline, *steps.doubts(summary)])

    words = images if isinstance(images, list | tuple) else [images]
    dataset = datasets.dataset_of(words[0]) if len(words) == 1 else None
    spread = Spread(scheduler=scheduler, executor=executor, client=client, part=part)
    if dataset is None:
        of_no_use([*inspect.get_annotations(Spread), "workers", "dry_run"], "without a dataset of images")
    else:
        of_no_use(("skip_subfolders",), "with a dataset of images")
        attrs = dataset.attrs
        return parted_cut.cut(
            dataset, steps.rules_of(cutting), output=None if output is None else Path(output), spread=spread,
            workers=workers, dry_run=dry_run, said=lambda facts: said(facts, steps.left_out_in(attrs)),
            progress=progress,
        )  # fmt: skip
    found, _ = images_of(images, skip_subfolders=skip_subfolders, progress=progress, local=False)
    made = steps.cut_and_flagged(found, cutting)
    facts = {**step.told(made), "problems": steps.problems_of(made["problem"])}
    told = said(facts, steps.left_out_of(found))
    if output is not None:
        return parted_cut.as_dataset(made, Path(output), *told, workers=None, progress=progress)
    return Job(lambda: made, *told, as_file=True)


def placed(images: gpd.GeoDataFrame, how: Geotagging, base: Path, *, progress: Progress | None) -> gpd.GeoDataFrame:
    """
    Return images with time, position, heading and altitude, each from the first source that has its time and position.

    Parameters
    ----------
    images
        Images frame of local files, with the photos' own values and `failed_in`.
    how
        The options.
    base
        The folder that is searched for tracks where no path is named.
    progress
        Where progress is shown.

    Raises
    ------
    FileError, FormatError
        If the only source cannot be read. Of several, that is the error of the photos for which it was the last one.
    InputError
        If the source has no such name.
    """
    import pandas as pd

    each = how.each
    if len(each) == 1:
        return _placed_by(images, each[0], base, progress=progress)
    found = images
    open_rows = images["error"].isna().to_numpy(dtype=bool, copy=True)
    for one in each:
        if not open_rows.any():
            break
        chosen = images[open_rows]
        try:
            part = _placed_by(chosen, one, base, progress=progress)
        except (FileError, FormatError) as error:
            log.info("%s is not a source of these photos: %s", one.geotag_source, error)
            part = chosen.assign(error=str(error), failed_in="geotag")
        found = pd.concat([found[~open_rows], part]).loc[images.index]
        open_rows &= found["error"].notna().to_numpy(dtype=bool)
    return found


def _placed_by(images: gpd.GeoDataFrame, how: Geotagging, base: Path, *, progress: Progress | None) -> gpd.GeoDataFrame:
    from mlygeo.pipelines import steps

    if how.geotag_source in {EXIFTOOL, EXIFTOOL_XML}:
        return steps.with_places(_with_exiftool(images, how), how, None)
    track = track_of(how, base, progress=progress)
    tagged = steps.with_places(images, how, track, by_folder=how.is_video)
    if track is not None and track["time"].notna().any():
        placed_rows = tagged["error"].isna()
        outside = (tagged["captured_at"] < track["time"].min()) | (tagged["captured_at"] > track["time"].max())
        if count := int((placed_rows & outside).sum()):
            log.warning(
                "%s up to 1 s outside the track %s placed on from its end; mapillary_tools refuses %s",
                *(counted(count, "photo"), *(("is", "it") if count == 1 else ("are", "them"))),
            )
    return tagged


def _with_exiftool(images: gpd.GeoDataFrame, how: Geotagging) -> gpd.GeoDataFrame:
    """Return photos with what ExifTool read in them, or frames with the track that it read in their videos."""
    from mlygeo.readers import exiftool

    pathless = images["path"].isna() & images["error"].isna()
    if pathless.any():
        images = images.assign(
            error=images["error"].mask(pathless, "no `path` of a file that ExifTool could read"),
            failed_in=images["failed_in"].mask(pathless, "geotag"),
        )
    usable = images["error"].isna().to_numpy()
    try:
        records = exiftool_records(how.geotag_source, how.geotag_source_path, images.loc[usable, "path"].tolist())
    except DependencyError as error:
        return images.assign(
            error=images["error"].mask(usable, str(error)), failed_in=images["failed_in"].mask(usable, "geotag")
        )
    tagged = exiftool.with_values(images, records)
    return tagged.assign(failed_in=images["failed_in"].mask(usable & tagged["error"].notna(), "geotag"))


def exiftool_records(source: Any, source_path: Any, paths: list[str]) -> dict[str, Any]:
    """
    Return what ExifTool reads in files, or has written about them, by their real paths.

    Parameters
    ----------
    source
        `exiftool_runtime` or `exiftool_xml`.
    source_path
        The XML files, their folder, or a pattern of their names.
    paths
        The files.

    Raises
    ------
    DependencyError
        If ExifTool is to read them and is not installed.
    FileError, FormatError
        If there is no such XML file, or it is none of ExifTool.
    """
    from mlygeo.readers import exiftool

    if source == EXIFTOOL:
        return exiftool.read_files(paths)
    if isinstance(source_path, Pattern):
        return exiftool.read_patterned(paths, source_path.file_for)
    return exiftool.read_xml(source_path)


def track_of(how: Geotagging, base: Path, *, progress: Progress | None) -> gpd.GeoDataFrame | None:
    """
    Return the tracks that a call names; None where photos are taken at their word.

    Parameters
    ----------
    how
        The options.
    base
        The folder that is searched where no path is named.
    progress
        Where progress is shown.

    Raises
    ------
    FileError
        If there is no such file, or none of them holds a track.
    InputError
        If the source has no such name.
    """
    from mlygeo.formats import chapters
    from mlygeo.pipelines.video import tracks_of

    source = str(how.geotag_source)
    if source == "exif":
        return None
    if isinstance(how.geotag_source_path, Pattern):
        raise InputError(f"a pattern finds the {source} of a video, not that of photos", hint="name its source_path")
    if source not in LOG_ENDINGS and source not in VIDEO_SOURCES:
        raise InputError(f"there is no geotag source {source!r}", hint=f"one of {', '.join(get_args(GeotagSource))}")
    if not isinstance(how.geotag_source_path, str | os.PathLike | None):
        track: gpd.GeoDataFrame = how.geotag_source_path
        return track
    path = base if how.geotag_source_path is None else Path(how.geotag_source_path).expanduser()
    if not path.exists():
        raise FileError(f"{path} does not exist", hint="`geotag_source_path` names a file, or a folder of them")
    endings = LOG_ENDINGS.get(source, tuple(chapters.ENDINGS))
    files = _found(path, endings) if path.is_dir() else [path]
    if not files:
        hint = "name it with `geotag_source_path`" if how.geotag_source_path is None else None
        raise FileError(f"there is no {' or '.join(sorted(endings)[:4])} file in {path}", hint=hint)
    job = tracks_of(files, source=VIDEO_SOURCES.get(source, "auto"), progress=progress)
    for file in job.failed:
        log.warning("%s is left out: %s", file, job.summary["failed"][file])
    return job.result


def images_of(
    images: Any, *, skip_subfolders: bool, progress: Progress | None, local: bool = True
) -> tuple[gpd.GeoDataFrame, Path]:
    """Return what a call names as an images frame, and the folder that tracks are looked for in."""
    import geopandas as gpd

    from mlygeo import frames, store
    from mlygeo.parts.images import dataset_of
    from mlygeo.readers import photos

    words = images if isinstance(images, list | tuple) else [images]
    one = words[0] if len(words) == 1 else None
    if isinstance(one, gpd.GeoDataFrame):
        found = one
    elif words and all(
        isinstance(word, str | os.PathLike) and store.parted(word)[0].suffix.lower() in store.FORMATS for word in words
    ):
        found = store.as_frame(words, name="the images")
    elif one is not None and dataset_of(one) is not None:
        found = store.as_frame(one, name="the images")
    else:
        if not words or not all(isinstance(word, str | os.PathLike) for word in words):
            raise InputError("no photos", hint="name a folder of photos, photos, or an images frame")
        found = photos.read_photos(words, skip_subfolders=skip_subfolders, progress=progress)
        if not len(found):
            raise FileError(f"there is no photo in {', '.join(map(str, words[:3]))}", hint="mlygeo reads JPEG files")
        first = Path(words[0]).expanduser()
        return found, first if first.is_dir() else first.parent
    of_no_use(("skip_subfolders",), "with a frame of images")
    if local or "path" in found.columns:
        return frames.conform(found, frames.LOCAL_IMAGES), Path.cwd()
    return frames.conform(found, frames.IMAGES), Path.cwd()


def _warnings(images: gpd.GeoDataFrame) -> Any:
    """Return what is in doubt about images that can be used."""
    if "warning" not in images.columns:
        return _nothing(images)
    return images["warning"].where(images["error"].isna())


def _nothing(images: gpd.GeoDataFrame) -> Any:
    from mlygeo import dtypes

    return dtypes.nulls("str", len(images), images.index)


def _found(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """Return the files below a folder that end so, but for hidden ones."""
    inside = (
        file
        for file in folder.rglob("*")
        if file.name.lower().endswith(endings)
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )
    return sorted(inside, key=places.natural_key)
