"""
Frames sampled from videos: JPEG files with time, position and heading, and the images frame of them.

Of a video `VIDEO.mp4` the frames are `FOLDER/VIDEO.mp4/VIDEO_000001.jpg` and so on, as mapillary_tools lays
them out. A frame appears whole or not at all, so a second run makes only what is missing. Beside them a
small file says how they were sampled, so that frames of two different samplings never mix.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames, store
from mlygeo.actors import _decoding, _frame_jpeg, _frame_table
from mlygeo.actors._sampling import Plan, Sampling, plan_frames
from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.progress import Progress
from mlygeo.readers import video as telemetry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import geopandas as gpd

    from mlygeo.actors._frame_table import Wholes

__all__ = ["FOLDER", "Plan", "Sampling", "find_videos", "plan_frames", "sample_frames"]

log = logging.getLogger("mlygeo.actors.video_frames")

FOLDER = "mapillary_sampled_video_frames"
"""Folder of sampled frames beside the videos, unless another is named."""

RECORD = ".mlygeo_sampling.json"
"""Says in the folder of a video's frames how they were sampled."""

_BEGINNING_AND_END = b"\xff\xd8", b"\xff\xd9"


def find_videos(
    paths: Iterable[str | Path], *, folder: Path | None = None, skip_subfolders: bool = False
) -> list[tuple[Path, Path]]:
    """
    Find the videos that are named, or lie in folders that are, and say where the frames of each go.

    Parameters
    ----------
    paths
        Videos and folders.
    folder
        Where frames go; by default the folder `mapillary_sampled_video_frames` beside a video, or in the
        folder that was searched.
    skip_subfolders
        Search only the folders themselves.

    Returns
    -------
    videos
        Each video once, in the order of names, and the folder of its frames: named as the video is, and
        below the same subfolders.

    Raises
    ------
    FileError
        If a path does not exist.
    """
    found: dict[Path, tuple[Path, Path]] = {}
    for named in paths:
        path = Path(named).expanduser()
        if not path.exists():
            raise FileError(f"{path} does not exist")
        if path.is_dir():
            inside = path.glob("*") if skip_subfolders else path.rglob("*")
            videos = sorted(
                file for file in inside
                if file.suffix.lower() in telemetry.ENDINGS and file.is_file() and FOLDER not in file.parts
            )  # fmt: skip
        else:
            videos = [path]
        base = path if path.is_dir() else path.parent
        for file in videos:
            target = (folder or base / FOLDER) / file.relative_to(base)
            found.setdefault(file.resolve(), (file, target))
    return list(found.values())


def sample_frames(
    videos: Sequence[tuple[Path, Path]],
    *,
    sampling: Sampling,
    rerun: bool = False,
    hardware: str | None = None,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Sample videos into JPEG files.

    Frames that are there already are not decoded again. The time of a frame is that at which the video
    shows it, counted from the start of the video; a frame has a position and a heading where the video
    recorded a track.

    Parameters
    ----------
    videos
        Videos, each with the folder of its frames; see `find_videos`.
    sampling
        Which frames, and their times.
    rerun
        Make frames anew that an earlier run made.
    hardware
        Name of the hardware that decodes, as FFmpeg names it (vaapi, cuda, videotoolbox, …); None decodes
        in software.
    progress
        Where progress is shown.

    Returns
    -------
    images
        Local images frame, and the columns `video` (str), `video_time_s` (float64). A video that cannot be
        sampled, or only in part, has one more row with its own path, and why in `error`.

    Raises
    ------
    InputError
        If two videos would go to one folder.
    DependencyError
        If PyAV is missing.
    """
    _frame_table.library()
    targets = [target for _, target in videos]
    if len(set(targets)) < len(targets):
        twice = next(target for target in targets if targets.count(target) > 1)
        raise InputError(f"the frames of two videos would go to {twice}", hint="sample them one by one")
    shown = progress or Progress()
    parts: list[dict[str, Any]] = []
    for number, (video, target) in enumerate(videos, start=1):
        try:
            plan = plan_frames(video, sampling=sampling)
            _settle(target, video, sampling, len(plan.rows), rerun=rerun)
            label = f"video {number} of {len(videos)}" if len(videos) > 1 else "frames"
            lost = _take(video, target, plan, hardware=hardware, progress=shown, label=label)
        except (FormatError, FileError) as error:
            parts.append(_row_of_video(video, f"{error}; {error.hint}" if error.hint else str(error)))
            log.warning("%s", error)
            continue
        there = np.setdiff1d(np.arange(len(plan.rows)), lost)
        parts.append(_rows(video, target, plan, there))
        if len(lost) or plan.problem:
            parts.append(_row_of_video(video, _loss(plan, lost)))
        log.info("%s: %d of %d frames", video.name, len(there), len(plan.rows))
    return _frame(parts)


def _settle(target: Path, video: Path, sampling: Sampling, count: int, *, rerun: bool) -> None:
    """Make the folder of a video's frames fit for this sampling, or raise."""
    state = video.stat()
    wanted = {"video": video.name, "bytes": state.st_size, "modified_ns": state.st_mtime_ns, **asdict(sampling)}
    record = target / RECORD
    if target.exists() and not target.is_dir():
        raise FileError(f"{target} is a file, and the frames of {video.name} would go there")
    found = _record(record)
    strangers = [] if found is not None else sorted(path for path in target.glob("*.jpg"))
    if strangers:
        raise FileError(
            f"{target} holds pictures of another program, {strangers[0].name} first", hint="name another --import-path"
        )
    if found is not None and ({**wanted, "frames": count} != found or rerun):
        if not rerun:
            raise FileError(
                f"{target} holds frames of {video.name} that were sampled otherwise",
                hint="--rerun samples them anew, another --import-path keeps both",
            )
        for path in _made(target, video.stem, int(found.get("frames", 0))):
            path.unlink(missing_ok=True)
    if found is None or rerun:
        with store.atomic(record) as temporary:
            temporary.write_text(json.dumps({**wanted, "frames": count}), encoding="utf-8")


def _record(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise FileError(f"{path} cannot be read: {error}", hint="remove it, and the frames beside it") from error
    return found if isinstance(found, dict) else {}


def _made(target: Path, stem: str, count: int) -> list[Path]:
    """Return the files that an earlier run made here, and no others."""
    name = re.compile(re.escape(stem) + r"_(\d{6,})\.jpg")
    found = ((path, name.fullmatch(path.name)) for path in target.iterdir())
    return [path for path, match in found if match and 1 <= int(match[1]) <= count]


def _path(target: Path, video: Path, number: int) -> Path:
    return target / f"{video.stem}_{number + 1:06d}.jpg"


def _take(video: Path, target: Path, plan: Plan, *, hardware: str | None, progress: Progress, label: str) -> Wholes:
    """Make the frames that are not there yet; return those that could not be made."""
    missing = np.array(
        [number for number in range(len(plan.rows)) if not _is_whole(_path(target, video, number))], dtype=np.int64
    )
    if len(missing) < len(plan.rows):
        log.info("%s: %d frames are there already", video.name, len(plan.rows) - len(missing))
    numbers = dict(zip(plan.rows[missing].tolist(), missing.tolist(), strict=True))
    local = threading.local()

    def write(row: int, frame: Any) -> None:
        encoder = getattr(local, "encoder", None) or _frame_jpeg.JpegEncoder()
        local.encoder = encoder
        number = numbers[row]
        jpeg = _frame_jpeg.with_tags(encoder.encode(frame), _image(plan, number))
        with store.atomic(_path(target, video, number)) as temporary:
            temporary.write_bytes(jpeg)

    done = []
    with progress.bar(label, total=len(missing), unit="frames") as bar:
        for row in _decoding.decode(video, plan.table, plan.rows[missing], write, hardware=hardware):
            done.append(numbers[row])
            bar.advance()
    return np.setdiff1d(missing, np.array(done, dtype=np.int64))


def _is_whole(path: Path) -> bool:
    """Return whether a picture is there from its first bytes to its last."""
    try:
        with path.open("rb") as file:
            start = file.read(2)
            file.seek(-2, 2)
            return (start, file.read(2)) == _BEGINNING_AND_END
    except OSError:
        return False


def _image(plan: Plan, number: int) -> dict[str, Any]:
    return {
        "captured_at": datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(plan.captured_ms[number])),
        "lon": float(plan.lon[number]),
        "lat": float(plan.lat[number]),
        "altitude": float(plan.altitude[number]),
        "compass_angle": float(plan.heading[number]),
        "make": plan.make,
        "model": plan.model,
        "is_pano": plan.is_pano,
    }


def _loss(plan: Plan, lost: Wholes) -> str:
    """Say which frames are missing, and why."""
    told = []
    if len(lost):
        first, last = plan.video_s[lost[0]], plan.video_s[lost[-1]]
        told.append(
            f"{len(lost)} of {len(plan.rows)} frames {_decoding.CANNOT}, between {first:.1f} s and {last:.1f} s"
        )
    if plan.problem:
        told.append(plan.problem)
    return "; ".join(told)


def _row_of_video(video: Path, error: str) -> dict[str, Any]:
    return {
        "path": [str(video)], "folder": [str(video.parent)], "error": [error], "is_pano": [False],
        "captured_ms": [None], "video": [str(video)], "video_time_s": [np.nan], "compass_angle": [np.nan],
        "altitude": [np.nan], "make": [None], "model": [None], "width": [None], "height": [None],
        "time_source": [None], "lon": [np.nan], "lat": [np.nan],
    }  # fmt: skip


def _rows(video: Path, target: Path, plan: Plan, numbers: Wholes) -> dict[str, Any]:
    def same(value: Any) -> list[Any]:
        return [value] * len(numbers)

    return {
        "path": [str(_path(target, video, number)) for number in numbers.tolist()], "folder": same(str(target)),
        "error": same(None), "is_pano": same(plan.is_pano), "captured_ms": plan.captured_ms[numbers].tolist(),
        "video": same(str(video)), "video_time_s": plan.video_s[numbers].tolist(),
        "compass_angle": plan.heading[numbers].tolist(), "altitude": plan.altitude[numbers].tolist(),
        "make": same(plan.make), "model": same(plan.model), "width": same(plan.width or None),
        "height": same(plan.height or None), "time_source": same(plan.time_source),
        "lon": plan.lon[numbers].tolist(), "lat": plan.lat[numbers].tolist(),
    }  # fmt: skip


def _frame(parts: list[dict[str, Any]]) -> gpd.GeoDataFrame:
    import geopandas as gpd
    import pandas as pd
    from geopandas.array import GeometryArray

    names = list(_row_of_video(Path(), ""))
    columns: dict[str, list[Any]] = {name: [value for part in parts for value in part[name]] for name in names}
    lon, lat = (np.array(columns.pop(name), dtype=np.float64) for name in ("lon", "lat"))
    points = np.full(len(lon), None, dtype=object)
    placed = np.isfinite(lon)
    points[placed] = frames.points(lon[placed], lat[placed])
    times = pd.array(columns.pop("captured_ms"), dtype="Int64")
    whole = {"width", "height"}
    texts = {"path", "folder", "error", "video", "make", "model", "time_source"}
    made = {
        name: pd.array(values, dtype="Int64" if name in whole else "str" if name in texts else None)
        for name, values in columns.items()
    }
    captured = pd.Series(np.full(len(times), np.datetime64("NaT"), dtype="datetime64[ms]"))
    known = ~np.asarray(times.isna())
    captured[known] = times[known].to_numpy(dtype="int64").astype("datetime64[ms]")
    table = pd.DataFrame({**made, "captured_at": captured.dt.tz_localize("UTC")})
    table["is_pano"] = table["is_pano"].astype(bool)
    for name in ("video_time_s", "compass_angle", "altitude"):
        table[name] = table[name].astype("float64")
    images = gpd.GeoDataFrame(table, geometry=GeometryArray(points, crs=frames.CRS))
    return frames.conform(images, frames.LOCAL_IMAGES)
