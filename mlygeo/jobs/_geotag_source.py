"""The tracks that photos are geotagged with: from logs and videos, named or found beside the photos."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from mlygeo.errors import FileError, InputError

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.pipelines.options import Geotagging
    from mlygeo.progress import Progress
    from mlygeo.readers.video import Source as Telemetry

log = logging.getLogger("mlygeo.jobs")

ENDINGS = {
    "gpx": (".gpx", ".gpx.gz"),
    "nmea": (".nmea", ".nmea.gz", ".log", ".log.gz", ".txt"),
    "csv": (".csv", ".csv.gz", ".tsv"),
}
"""Endings of logs that are taken where a folder is searched."""

VIDEOS: dict[str, Telemetry] = {"gopro_videos": "gopro", "blackvue_videos": "blackvue", "camm_videos": "camm"}
"""Sources that are videos, and what `read_video` calls their telemetry."""


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
    from mlygeo.pipelines.video import tracks_of
    from mlygeo.readers import video

    source = str(how.geotag_source)
    if source == "exif":
        return None
    if source not in ENDINGS and source not in VIDEOS:
        raise InputError(f"there is no geotag source {source!r}", hint=f"one of exif, {', '.join([*ENDINGS, *VIDEOS])}")
    path = base if how.geotag_source_path is None else Path(how.geotag_source_path).expanduser()
    if not path.exists():
        raise FileError(f"{path} does not exist", hint="--geotag-source-path names a file, or a folder of them")
    endings = ENDINGS.get(source, tuple(video.ENDINGS))
    files = _found(path, endings) if path.is_dir() else [path]
    if not files:
        hint = "name it with --geotag-source-path" if how.geotag_source_path is None else None
        raise FileError(f"there is no file {', '.join(sorted(endings)[:4])} in {path}", hint=hint)
    job = tracks_of(files, source=VIDEOS.get(source, "auto"), progress=progress)
    for file in job.failed:
        log.warning("%s is left out: %s", file, job.summary["failed"][file])
    return job.result


def is_video(how: Geotagging) -> bool:
    """Return whether the tracks are those of videos."""
    return how.geotag_source in VIDEOS


def _found(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """Return the files below a folder that end so, but for hidden ones."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.name.lower().endswith(endings)
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )
