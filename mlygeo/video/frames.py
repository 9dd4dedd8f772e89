"""
Frames sampled from videos: JPEG files with time, position and heading, and their images frame.

The frames of a video `VIDEO.mp4` are `FOLDER/VIDEO.mp4/VIDEO_000001.jpg` and so on, as in mapillary_tools.
A frame is written atomically, so a second run makes only missing frames. A small file in the same folder
records how they were sampled, so that frames of two different samplings never mix.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
from collections import Counter
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames, store
from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.formats import chapters
from mlygeo.photos.exif_writer import insert
from mlygeo.photos.tags import picture_tags
from mlygeo.places import natural_key
from mlygeo.progress import Progress, keep
from mlygeo.readers.sampled import RECORD, facts_in
from mlygeo.store.atomic import clear_leftovers
from mlygeo.video import decoding, ffmpeg, recordings, sampling
from mlygeo.video.sampling import Plan, Sampling, clip_of, library, plan_frames

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    import geopandas as gpd

    from mlygeo.arrays import Whole
    from mlygeo.video.ffmpeg import Program
    from mlygeo.video.sampling import Start


__all__ = ["FOLDER", "find_videos", "sample_frames"]

log = logging.getLogger("mlygeo.video.frames")

FOLDER = "mapillary_sampled_video_frames"
"""Folder of sampled frames beside the videos, unless another is named."""

PYAV = "pyav"
"""Name of the decoder that comes with PyAV."""

QUALITY = 2
"""FFmpeg's quantiser for JPEG, 1 (best) to 31; mapillary_tools uses the same value."""

_NOT_OURS = ("Copyright", "Artist")
"""Tags of images on Mapillary; a frame of a local video is not there yet."""

_TURNS = {90: (("transpose", "clock"),), 180: (("hflip", ""), ("vflip", "")), 270: (("transpose", "cclock"),)}
"""FFmpeg's filters for each clockwise rotation, degrees."""

_PART = 1 << 18
"""Bytes at the start and the end of a video that identify it: its headers are there."""

_BEGINNING_AND_END = b"\xff\xd8", b"\xff\xd9"


def find_videos(
    paths: Iterable[str | Path], *, folder: Path | None = None, skip_subfolders: bool = False
) -> list[tuple[Path, Path]]:
    """
    Find the given videos, and those in the given folders, with the folder for the frames of each.

    The copies of low resolution that cameras keep beside their videos are passed over in folders.

    Parameters
    ----------
    paths
        Videos and folders.
    folder
        Folder for the frames; by default the folder `mapillary_sampled_video_frames` beside a video, or in
        the folder that was searched.
    skip_subfolders
        Search only the folders themselves.

    Returns
    -------
    videos
        Each video once, in the order of names, and the folder of its frames, which has the video's name and
        lies below the same subfolders.

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
            videos = [
                file for file in inside
                if file.suffix.lower() in chapters.ENDINGS and file.is_file() and FOLDER not in file.parts
            ]  # fmt: skip
            videos.sort(key=natural_key)
        else:
            videos = [path]
        videos = [file for file in videos if path == file or not _is_copy(file)]
        base = path if path.is_dir() else path.parent
        for file in videos:
            target = (folder or base / FOLDER) / file.relative_to(base)
            found.setdefault(file.resolve(), (file, target))
    return list(found.values())


def _is_copy(video: Path) -> bool:
    """Return whether a video is a copy of low resolution, whose original lies beside it."""
    if video.suffix.lower() != ".lrv" and not video.stem.upper().startswith("LRV_"):
        return False
    names = {name.upper() for name in chapters.original_of(video.stem)}
    beside = (path for path in video.parent.iterdir() if path != video and path.suffix.lower() in chapters.ENDINGS)
    return any(path.stem.upper() in names for path in beside)


def copies_among(paths: Iterable[str | Path], *, skip_subfolders: bool = False) -> int:
    """
    Return how many copies of low resolution `find_videos` passes over.

    Parameters
    ----------
    paths
        Videos and folders.
    skip_subfolders
        Search only the folders themselves.
    """
    folders = [Path(path).expanduser() for path in paths]
    found = {
        file.resolve()
        for folder in folders if folder.is_dir()
        for file in (folder.glob("*") if skip_subfolders else folder.rglob("*"))
        if file.suffix.lower() in chapters.ENDINGS and file.is_file() and FOLDER not in file.parts and _is_copy(file)
    }  # fmt: skip
    return len(found)


def sample_frames(
    videos: Sequence[tuple[Path, Path]],
    *,
    sampling: Sampling,
    track: gpd.GeoDataFrame | None = None,
    rerun: bool = False,
    decoder: str = PYAV,
    hardware: str | None = None,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Sample videos into JPEG files.

    Existing frames are not decoded again. The time of a frame is its presentation time, counted from the
    first frame of the video; a frame has a position and a heading if the video has a recorded track. Chapters
    of one recording follow one another; see `mlygeo.video.recordings`.

    Parameters
    ----------
    videos
        Videos, each with the folder of its frames; see `find_videos`.
    sampling
        How the videos are sampled.
    track
        Tracks frame that gives the positions by the frames' capture times; None uses the tracks that the
        cameras recorded in the videos.
    rerun
        Make the frames of an earlier run again.
    decoder
        "pyav", or the name or path of an ffmpeg program.
    hardware
        Name of the hardware decoder, as FFmpeg names it (vaapi, cuda, videotoolbox, …); None decodes in
        software.
    progress
        Where progress is shown.

    Returns
    -------
    images
        Local images frame, and the columns `video` (str), `video_time_s` (float64), and `warning` (str: what
        is in doubt). `captured_at` is null where a video does not say when it was recorded. A video that
        cannot be sampled, or only in part, has one more row with its own path, and why in `error`.
        `attrs["left_out"]` counts by reason what the videos have and was not used, and
        `attrs["problems"]` are all that is in doubt.

    Raises
    ------
    InputError
        If the frames of two videos would have the same folder, the decoder does not support the hardware, or
        one start time is given for several recordings.
    DependencyError
        If PyAV or the program is missing.
    FrameError
        If the track has no point with a time.
    """
    library()
    program = None if decoder == PYAV else ffmpeg.find(decoder, hardware=hardware)
    if program is None and hardware is not None:
        decoding.check_hardware(hardware)
    targets = [target for _, target in videos]
    if len(set(targets)) < len(targets):
        twice = next(target for target in targets if targets.count(target) > 1)
        raise InputError(f"the frames of two videos would go to {twice}", hint="sample them one by one")
    shown = progress or Progress()
    parts: list[dict[str, Any]] = []
    clip = lru_cache(maxsize=1)(clip_of)  # a single video is read once
    starts = recordings.starts_of([video for video, _ in videos], sampling, clip)
    left_out: Counter[str] = Counter()
    for number, (video, target) in enumerate(videos, start=1):
        try:
            plan = plan_frames(clip(video), starts[video], sampling=sampling, track=track)
            _settle(target, video, plan, starts[video], sampling=sampling, track=track, rerun=rerun)
            left_out.update(clip(video).left_out)
            if plan.warning:
                log.warning("%s: %s", video.name, plan.warning)
        except (FormatError, FileError) as error:
            parts.append(_row_of_video(video, _with_hint(error)))
            log.warning("%s", error)
            continue
        label = f"video {number} of {len(videos)}" if len(videos) > 1 else "frames"
        try:
            lost = _take(video, target, plan, program=program, hardware=hardware, progress=shown, label=label)
            problem = _loss(plan, lost)
        except (FormatError, FileError) as error:
            whole = [is_whole(_path_of(target, video, number)) for number in range(len(plan.rows))]
            lost = np.flatnonzero(~np.array(whole))
            problem = _with_hint(error)
            log.warning("%s", error)
        there = np.setdiff1d(np.arange(len(plan.rows)), lost)
        parts.append(_rows(video, target, plan, there))
        if problem:
            parts.append(_row_of_video(video, problem))
        log.info("%s: %d of %d frames", video.name, len(there), len(plan.rows))
    images = _frame(parts)
    images.attrs["left_out"] = dict(left_out)
    images.attrs["problems"] = list(phrases(images))
    return images


def phrases(images: gpd.GeoDataFrame) -> dict[str, int]:
    """
    Return what is in doubt about images, and about how many.

    Parameters
    ----------
    images
        Frame with `warning`.
    """
    return dict(Counter(text for texts in images["warning"].dropna() for text in texts.split("; ")))


def _take(
    video: Path,
    target: Path,
    plan: Plan,
    *,
    program: Program | None,
    hardware: str | None,
    progress: Progress,
    label: str,
) -> Whole:
    """Make the missing frames; return those that could not be made."""
    paths = [_path_of(target, video, number) for number in range(len(plan.rows))]
    missing = np.array([number for number, path in enumerate(paths) if not is_whole(path)], dtype=np.int64)
    if len(missing) < len(plan.rows):
        log.info("%s: %d frames are there already", video.name, len(plan.rows) - len(missing))
    numbers: dict[int, list[int]] = {}
    for number in missing.tolist():
        # An edit list can show a frame several times.
        numbers.setdefault(int(plan.rows[number]), []).append(number)
    rows = np.array(list(numbers), dtype=np.int64)
    local = threading.local()

    def write(row: int, jpeg: bytes) -> None:
        for number in numbers[row]:
            tagged = _with_tags(jpeg, _image(plan, number))
            with store.atomic(paths[number]) as temporary:
                temporary.write_bytes(tagged)

    def encode(row: int, frame: Any) -> None:
        encoder = getattr(local, "encoder", None) or JpegEncoder()
        local.encoder = encoder
        write(row, encoder.encode(frame))

    def by_program(program: Program) -> Generator[int]:
        quality = QUALITY
        for row, jpeg in ffmpeg.pictures(program, video, plan.table, rows, quality=quality, hardware=hardware):
            write(row, jpeg)
            yield row

    made = by_program(program) if program else decoding.decode(video, plan.table, rows, encode, hardware=hardware)
    done = []
    with progress.bar(label, total=len(missing), unit="frames") as bar, closing(made):
        for row in made:
            done += numbers[row]
            keep("the pictures made so far are kept")
            bar.advance(len(numbers[row]))
    return np.setdiff1d(missing, np.array(done, dtype=np.int64))


def _image(plan: Plan, number: int) -> dict[str, Any]:
    return {
        "captured_at": None if plan.captured_ms is None else _moment(int(plan.captured_ms[number])),
        "lon": float(plan.lon[number]),
        "lat": float(plan.lat[number]),
        "altitude": float(plan.altitude[number]),
        "compass_angle": float(plan.heading[number]),
        "make": plan.make,
        "model": plan.model,
        "is_pano": plan.is_pano,
    }


def _moment(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def _loss(plan: Plan, lost: Whole) -> str:
    """Return which frames are missing, and why."""
    problems = []
    if len(lost):
        first, last = plan.video_s[lost[0]], plan.video_s[lost[-1]]
        count = f"{len(lost)} of {len(plan.rows)} frames"
        problems.append(f"{count} {decoding.CANNOT}, between {first:.1f} s and {last:.1f} s")
    if plan.problem:
        problems.append(plan.problem)
    return "; ".join(problems)


def _with_hint(error: FormatError | FileError) -> str:
    return f"{error}; {error.hint}" if error.hint else str(error)


def _row_of_video(video: Path, error: str) -> dict[str, Any]:
    return {
        "path": [str(video)], "folder": [str(video.parent)], "error": [error], "is_pano": [False],
        "captured_ms": [None], "video": [str(video)], "video_time_s": [np.nan], "compass_angle": [np.nan],
        "altitude": [np.nan], "make": [None], "model": [None], "width": [None], "height": [None],
        "time_source": [None], "lon": [np.nan], "lat": [np.nan], "warning": [None],
    }  # fmt: skip


def _rows(video: Path, target: Path, plan: Plan, numbers: Whole) -> dict[str, Any]:
    def same(value: Any) -> list[Any]:
        return [value] * len(numbers)

    return {
        "path": [str(_path_of(target, video, number)) for number in numbers.tolist()], "folder": same(str(target)),
        "error": same(None), "is_pano": same(plan.is_pano),
        "captured_ms": same(None) if plan.captured_ms is None else plan.captured_ms[numbers].tolist(),
        "video": same(str(video)), "video_time_s": plan.video_s[numbers].tolist(),
        "compass_angle": plan.heading[numbers].tolist(), "altitude": plan.altitude[numbers].tolist(),
        "make": same(plan.make), "model": same(plan.model), "width": same(plan.width or None),
        "height": same(plan.height or None), "time_source": same(plan.time_source),
        "lon": plan.lon[numbers].tolist(), "lat": plan.lat[numbers].tolist(), "warning": same(plan.warning),
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
    texts = {"path", "folder", "error", "video", "make", "model", "time_source", "warning"}
    made = {
        name: pd.array(values, dtype="Int64" if name in whole else "str" if name in texts else None)
        for name, values in columns.items()
    }
    captured = pd.Series(np.full(len(times), np.datetime64("NaT", "ms"), dtype="datetime64[ms]"))
    known = ~np.asarray(times.isna())
    captured[known] = times[known].to_numpy(dtype="int64").astype("datetime64[ms]")
    table = pd.DataFrame({**made, "captured_at": captured.dt.tz_localize("UTC")})
    table["is_pano"] = table["is_pano"].astype(bool)
    for name in ("video_time_s", "compass_angle", "altitude"):
        table[name] = table[name].astype("float64")
    images = gpd.GeoDataFrame(table, geometry=GeometryArray(points, crs=frames.CRS))
    return frames.conform(images, frames.LOCAL_IMAGES)


def _with_tags(jpeg: bytes, image: Mapping[str, Any]) -> bytes:
    """
    Return a JPEG with its time, position, heading and camera in EXIF.

    Parameters
    ----------
    jpeg
        The picture.
    image
        A row of an images frame.
    """
    tags = picture_tags(image)
    kept = {name: value for name, value in tags.exif.items() if name not in _NOT_OURS}
    return insert(jpeg, replace(tags, exif=kept, comment=None, statement=None))


# Decoded frames as JPEG: upright, in the colours that JPEG viewers expect, with their tags.


class JpegEncoder:
    """Makes JPEGs of frames; not thread-safe."""

    def __init__(self) -> None:
        self._av = sampling.library()
        self._context: Any = None
        self._count = 0

    def encode(self, frame: Any, *, quality: int = QUALITY) -> bytes:
        """
        Return a frame as JPEG.

        Parameters
        ----------
        frame
            A `av.VideoFrame`. Its display matrix is applied, so that the picture is upright.
        quality
            FFmpeg's quantiser, 1 (best) to 31.
        """
        frame = self._upright(frame)
        tagged = frame.colorspace in {space.value for space in self._av.video.reformatter.Colorspace}
        # JFIF has one colour space: ITU-R BT.601, full range. Properties that a video does not state are unchanged.
        picture = frame.reformat(
            format="yuvj420p",
            src_colorspace=frame.colorspace if tagged else None,
            dst_colorspace="ITU601" if tagged else None,
            dst_color_range="JPEG",
            threads=1,
        )
        self._count += 1  # the encoder requires increasing times
        picture.pts, picture.time_base, picture.pict_type = self._count, Fraction(1, 25), 0
        context = self._encoder(picture.width, picture.height, quality)
        data = b"".join(bytes(packet) for packet in context.encode(picture))
        return data or b"".join(bytes(packet) for packet in self._flush())

    def _encoder(self, width: int, height: int, quality: int) -> Any:
        if self._context is None or (self._context.width, self._context.height) != (width, height):
            context = self._av.CodecContext.create("mjpeg", "w")
            context.width, context.height, context.pix_fmt = width, height, "yuvj420p"
            context.time_base = Fraction(1, 25)
            context.thread_count = 1
            context.options = {"qmin": str(quality), "qmax": str(quality), "flags": "+bitexact"}
            context.color_range = 2
            self._context = context
        return self._context

    def _flush(self) -> Any:
        context, self._context = self._context, None
        return context.encode(None)

    def _upright(self, frame: Any) -> Any:
        turn = round(-frame.rotation / 90) * 90 % 360
        return self._turned(frame, turn) if turn else frame

    def _turned(self, frame: Any, turn: int) -> Any:
        graph = self._av.filter.Graph()
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 1000)
        )
        steps = [graph.add(name, arguments or None) for name, arguments in _TURNS[turn]]
        graph.link_nodes(source, *steps, graph.add("buffersink")).configure()
        graph.push(frame)
        return graph.pull()


def _settle(
    target: Path,
    video: Path,
    plan: Plan,
    start: Start,
    *,
    sampling: Sampling,
    track: gpd.GeoDataFrame | None,
    rerun: bool,
) -> None:
    """
    Prepare the folder of a video's frames for a sampling: a new folder, or one from an earlier run of the same.

    Parameters
    ----------
    target
        The folder.
    video
        The video.
    plan
        Its frames.
    start
        When it begins.
    sampling
        How the video is sampled.
    track
        Tracks frame with the positions of the frames, if it is not the video's own track.
    rerun
        Remove the frames of an earlier run, and no other file.

    Raises
    ------
    FileError
        If the folder holds other pictures, or frames that were sampled otherwise.
    """
    count = len(plan.rows)
    wanted = {"video": video.name, **_content(video), **asdict(sampling), "start_ms": start.ms}
    if track is not None:
        wanted["track"] = _digest(track)
    record = target / RECORD
    if target.exists() and not target.is_dir():
        raise FileError(f"{target} is a file, and the frames of {video.name} would go there")
    clear_leftovers(target)
    found = _record(record)
    facts = {
        "recording": start.recording, "after_s": start.after_s, "warning": plan.warning,
        "seconds": (plan.video_s * sampling.duration_ratio).tolist(),
    }  # fmt: skip
    if found is not None:
        found.pop("facts", None)
    strangers = [] if found is not None else sorted(target.glob("*.jpg"), key=natural_key)
    if strangers:
        raise FileError(
            f"{target} holds pictures of another program, {strangers[0].name} first", hint="name another `import_path`"
        )
    if found is not None and ({**wanted, "frames": count} != found or rerun):
        if not rerun:
            raise FileError(
                f"{target} holds frames of {video.name} that were sampled otherwise",
                hint="`rerun=True` samples them anew, another `import_path` keeps both",
            )
        for path in _made(target, video.stem, int(found.get("frames", 0))):
            path.unlink(missing_ok=True)
    if found is None or rerun or (plan.warning or None) != _warning_in(target):
        with store.atomic(record) as temporary:
            temporary.write_text(json.dumps({**wanted, "frames": count, "facts": facts}), encoding="utf-8")


def _path_of(target: Path, video: Path, number: int) -> Path:
    """Return the path of a frame, by its number from 0."""
    return target / f"{video.stem}_{number + 1:06d}.jpg"


def is_whole(path: Path) -> bool:
    """Return whether a picture file is complete, by its first and last bytes."""
    try:
        with path.open("rb") as file:
            start = file.read(2)
            file.seek(-2, 2)
            return (start, file.read(2)) == _BEGINNING_AND_END
    except OSError:
        return False


def _warning_in(target: Path) -> str | None:
    facts = facts_in(target)
    return None if facts is None else facts.warning


def _record(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise FileError(f"{path} cannot be read: {error}", hint="remove it, and the frames beside it") from error
    return found if isinstance(found, dict) else {}


def _made(target: Path, stem: str, count: int) -> list[Path]:
    """Return the files that an earlier run made here, and no other files."""
    name = re.compile(re.escape(stem) + r"_(\d{6,})\.jpg")
    found = ((path, name.fullmatch(path.name)) for path in target.iterdir())
    return [path for path, match in found if match and 1 <= int(match[1]) <= count]


def _content(video: Path) -> dict[str, Any]:
    """Return a digest that differs between videos of the same name, but not between copies of a video."""
    size = video.stat().st_size
    with video.open("rb") as file:
        found = hashlib.sha256(file.read(_PART))
        file.seek(max(size - _PART, 0))
        found.update(file.read(_PART))
    return {"bytes": size, "digest": found.hexdigest()[:16]}


def _digest(track: gpd.GeoDataFrame) -> str:
    """Return a digest of a track: of its times and positions, wherever it was read from."""
    found = hashlib.sha256(np.array(frames.lonlat(track), dtype=np.float64).tobytes())
    found.update(track["time"].to_numpy(dtype="datetime64[us]").tobytes())
    return found.hexdigest()[:16]
