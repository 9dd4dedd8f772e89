"""How good pictures are, as far as pixels, place and time tell, without a model."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo import places
from mlygeo.errors import FileError, FrameError, InputError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.job import Job, public, version
from mlygeo.progress import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    import geopandas as gpd

    from mlygeo.pipelines.options import QualityPreset
    from mlygeo.progress import Progress
    from mlygeo.store import FrameLike

    PathLike = str | os.PathLike[str]

BRIGHT_AT_NIGHT = "pictures bright as by day though the sun was far below the horizon: is their clock wrong?"
"""What is in doubt about images with `time_doubtful`."""

log = logging.getLogger("mlygeo.pipelines")


@public
def quality(
    images: FrameLike | Iterable[PathLike],
    *,
    pictures: PathLike | None = None,
    preset: QualityPreset | None = None,
    field_of_view: float = 70.0,
    low_sun: float = 25.0,
    copies: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Measure how sharp, bright and contrasted pictures are, and where the sun was.

    The position of the sun is computed from place, time and heading, without a picture: `sun_altitude`,
    `sun_azimuth`, `sun_phase` and `against_light`. If the tilt of the camera is known (`computed_rotation`, or the
    columns pitch and roll), so is the horizon: `horizon_slope` is its rise to the right in degrees, and
    `horizon_height` is where it crosses the middle of the picture, as a share of the picture height from the top.
    Hills and buildings are not considered. Everything else is measured in pictures, by several processes.

    `blur` is the variance of the Laplacian over pixels and colours: the lower, the more blurred. It also depends on
    the scene, so compare similar pictures. `contrast` is the distance between the 1st and the 99th percentile of grey
    values, 0 to 0.5 (black and white). `tone` is the similarity of the brightness distribution to a beta distribution
    (2, 2), 0 to 1: low for pictures that are mostly dark, mostly bright, or both. `brightness` is the mean, 0 to 255,
    and `dark_share` the share of pixels below a quarter of 255. `phash` is a perceptual hash: equal, or different in
    few bits, for the same picture in another size or encoding. `time_doubtful` marks pictures as bright as in
    daylight although the sun was more than 6 degrees below the horizon at their time.

    Pictures are reduced to 1,024 pixels on the longer side before they are measured (`measured_width`,
    `measured_height`), so that pictures of different sizes can be compared and decoding is fast. Smaller pictures are
    not changed. Results are stored in the folder of the pictures (`.mlygeo/measured.parquet`): repeat the command to
    continue an interrupted run; files that have not changed are not measured again.

    Parameters
    ----------
    images
        File of images, such as a selection (in Python also a frame); or a folder of photos, or photos.
    pictures
        Folder that `mlygeo download` filled, or any folder of picture files named by image id. Default: the files
        in the column path of local photos and views, relative to the working folder or the folder of the images
        file. Images without a picture get only the values of the sun.
    preset
        "percept": measure all pixels, as percept-vsvi-filter does, and add its score (`percept_score`: contrast
        plus the excess of tone over 0.8) and whether its filter accepts the picture at its threshold of 0.35
        (`percept_accepted`). Its check for a road, which needs a model, is left out, as with its
        --disable-road-check.
    field_of_view
        Horizontal field of view of cameras for which it is unknown, degrees.
    low_sun
        Largest altitude of the sun at which it can appear in a picture, degrees.
    copies
        Flag images that show the same picture as an image of another sequence, by any contributor or provider:
        `is_copy`, `copy_of`, `copy_group` and `copy_by` (in Python, see `flag_copies` for its limits).
    workers
        Number of processes that measure pictures. Default: one per processor, at most eight, and one for few
        pictures.

    Returns
    -------
    images
        The same rows in the same order with these columns, which replace those of an earlier run. With files also
        `picture_error` (str): why a picture could not be measured, null where it was.

    Raises
    ------
    FileError
        If there is no such folder or file.
    FrameError
        If a column is missing, or no image has the id of a picture.
    InputError
        If an option makes no sense.

    Examples
    --------
    >>> quality("DCIM", preset="percept")
    """
    from mlygeo import plausible
    from mlygeo.pipelines import geotagging, provenance
    from mlygeo.spatial import sun
    from mlygeo.spatial.copies import BY_PLACE, flag_copies
    from mlygeo.spatial.horizon import horizon

    sun.check_options(field_of_view=field_of_view, low_sun=low_sun)
    if workers is not None and workers < 1:
        raise InputError(f"`workers` must be 1 or more, not {workers}")
    base, folder = geotagging.images_of(images, skip_subfolders=False, progress=progress, local=False)
    files = _files(base, pictures, images)
    if files is None:
        of_no_use(("preset", "workers"), "without pictures: name their folder with `pictures`")
    result = sun.sun_position(base, field_of_view=field_of_view, low_sun=low_sun)
    slope, height = horizon(base)
    result = result.assign(horizon_slope=slope, horizon_height=height)
    phases = result["sun_phase"].value_counts()
    summary: dict[str, Any] = {
        "images": len(result),
        "phases": {name: int(phases[name]) for name in reversed(sun.PHASES) if name in phases},
        "sun_unknown": int(result["sun_phase"].isna().sum()),
        "against_light": int(result["against_light"].sum()),
        "against_light_unknown": int(result["against_light"].isna().sum()),
        "field_of_view": field_of_view,
        "field_of_view_assumed": int(sun.widths(base, field_of_view)[1].sum()),
        "low_sun": low_sun,
        "horizon_unknown": int(result["horizon_slope"].isna().sum()),
    }
    failed: list[str] = []
    if files is not None:
        # What is measured is kept in a folder that the call names; frames may name files anywhere.
        home = folder if pictures is None and folder != Path.cwd() else pictures
        result, failed, measured = _measured(
            result, files, None if home is None else Path(home).expanduser(), preset=preset, workers=workers,
            progress=progress,
        )  # fmt: skip
        summary |= measured
    if doubts := plausible.of_frame(base):
        summary["problems"] = {**summary.get("problems", {}), **doubts}
    if copies:
        result = flag_copies(result)
        summary["copies"] = int(result["is_copy"].sum())
        summary["copies_by_place_and_time"] = int((result["is_copy"] & (result["copy_by"] == BY_PLACE)).sum())
    result.attrs = dict(base.attrs)
    summary |= {"date": provenance.today(), "version": version()}
    return Job(lambda: result, summary, _headline(summary), failed=failed, as_file=True)


def _measured(
    images: gpd.GeoDataFrame,
    files: list[str | None],
    folder: Path | None,
    *,
    preset: QualityPreset | None,
    workers: int | None,
    progress: Progress | None,
) -> tuple[gpd.GeoDataFrame, list[str], dict[str, Any]]:
    """Return images with what was measured of their pictures, the files that failed, and facts."""
    import pandas as pd

    from mlygeo.measuring import pictures
    from mlygeo.measuring.kept import Kept
    from mlygeo.spatial import sun

    side = None if preset == "percept" else pictures.SIDE
    kept = None if folder is None else Kept(folder, side)
    found = pictures.measure(files, side=side, kept=kept, workers=workers, progress=progress)
    wrong = found["picture_error"].notna().to_numpy()
    failed = [f"{files[row]}: {found['picture_error'].iloc[row]}" for row in wrong.nonzero()[0]]
    there = sum(file is not None for file in files)
    facts: dict[str, Any] = {
        "measured": there - len(failed),
        "measured_before": found.attrs["measured_before"],
        "failed": len(failed),
        "failed_pictures": failed,
        "without_picture": len(files) - there,
        "preset": preset,
    }
    if preset == "percept":
        score, accepted = pictures.percept_decision(found["contrast"].to_numpy(), found["tone"].to_numpy())
        unknown = found["contrast"].isna()
        decided = pd.Series(accepted, index=found.index)
        decided = decided.astype("boolean").mask(unknown) if unknown.any() else decided
        found = found.assign(percept_score=score, percept_accepted=decided)
        facts["accepted"] = int(accepted.sum())
    doubtful = sun.are_doubtful(images["sun_altitude"].to_numpy(), found["brightness"].to_numpy())
    facts["problems"] = {BRIGHT_AT_NIGHT: int(doubtful.sum())} if doubtful.any() else {}
    found = found.assign(time_doubtful=doubtful)
    columns = {name: found[name].set_axis(images.index) for name in found.columns}
    return images.assign(**columns), failed, facts


def _headline(summary: dict[str, Any]) -> str:
    """Return the facts in a sentence or two."""
    phases = summary["phases"]
    twilight = sum(count for name, count in phases.items() if name.endswith("twilight"))
    parts = [f"{phases.get('day', 0):,} by day", f"{twilight:,} in twilight", f"{phases.get('night', 0):,} at night"]
    text = f"{counted(summary['images'], 'image')}: {', '.join(parts)}, {summary['against_light']:,} against the light"
    if summary["sun_unknown"]:
        text += f"; {summary['sun_unknown']:,} without a time or a position"
    if (unsure := summary["against_light_unknown"] - summary["sun_unknown"]) > 0:
        text += f"; of {unsure:,} with a low sun the heading is unknown"
    if "measured" in summary:
        text += f"\n{counted(summary['measured'], 'picture')} measured"
        if summary["measured_before"]:
            text += f" ({summary['measured_before']:,} of them before)"
        if summary["without_picture"]:
            text += f", {summary['without_picture']:,} without a picture"
        if summary["failed"]:
            text += f", {summary['failed']:,} failed, see the column picture_error"
        if "accepted" in summary:
            text += f"; percept-vsvi-filter accepts {summary['accepted']:,} (without its check for a road)"
    for problem, count in summary.get("problems", {}).items():
        text += f"\nproblems: {problem} ({count:,}){', see the column time_doubtful' * (problem == BRIGHT_AT_NIGHT)}"
    if "copies" in summary:
        text += f"\n{counted(summary['copies'], 'image')} with the picture of another sequence"
        if summary["copies_by_place_and_time"]:
            text += f", {summary['copies_by_place_and_time']:,} by place and time alone"
    return text


def _files(images: gpd.GeoDataFrame, folder: PathLike | None, given: Any) -> list[str | None] | None:
    """Return the file of each image; None where images have none and no folder is named."""
    if folder is not None:
        return _by_id(images, Path(folder).expanduser())
    if "path" not in images.columns:
        return None
    paths = [path if isinstance(path, str) and path else None for path in images["path"].tolist()]
    one = given[0] if isinstance(given, list | tuple) and len(given) == 1 else given
    if not isinstance(one, str | os.PathLike) or not (frame := Path(one).expanduser()).is_file():
        return paths
    return [path and _seen_from(frame.parent, path) for path in paths]


def _seen_from(folder: Path, path: str) -> str:
    """Return a path as it is, or as it is from a folder, if there is a file: that of a view is from its frame's."""
    there = folder / path
    return str(there) if not Path(path).exists() and there.is_file() else path


def _by_id(images: gpd.GeoDataFrame, folder: Path) -> list[str | None]:
    """Return the picture of each image in a folder."""
    from mlygeo.downloads.layouts import file_name
    from mlygeo.perspective.found import by_ledger_of, providers_of

    if "id" not in images.columns or (len(images) and images["id"].isna().all()):
        raise FrameError("these images have no ids, by which `pictures` finds their files", hint="leave `pictures` out")
    if not folder.is_dir():
        raise FileError(f"there is no folder {folder}")
    ids = images["id"].astype("object").where(images["id"].notna(), None).tolist()
    files: list[str | None]
    if (by_ledger := by_ledger_of(folder)) is not None:
        keys = zip(providers_of(images), ids, strict=True)
        found = [None if id_ is None else by_ledger.get((name, str(id_))) for name, id_ in keys]
        files = [None if path is None else str(path) for path in found]
    else:
        by_name = _of_names(folder)
        files = [None if id_ is None else by_name.get(file_name(id_)) for id_ in ids]
    if files and not any(files):
        raise FrameError(f"{folder} has no picture of any of these images", hint="download them, or name their folder")
    return files


def _of_names(folder: Path) -> dict[str, str]:
    """Return the pictures in a folder and below it by their names without ending; of several the first by path."""
    from mlygeo.formats.jpeg import ENDINGS

    found: dict[str, str] = {}
    twice = 0
    for path in sorted(folder.rglob("*"), key=places.natural_key):
        if path.suffix.lower() in (*ENDINGS, ".webp", ".png") and not path.name.startswith("."):
            twice += path.stem in found
            found.setdefault(path.stem, str(path))
    if twice:
        log.warning(
            "%s in %s have the name of another; the first of each by path is taken", counted(twice, "picture"), folder
        )
    return found
