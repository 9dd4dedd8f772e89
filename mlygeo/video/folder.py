"""The folder of a video's frames: its files, how they were sampled, and which of them this package made."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames, store
from mlygeo.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.video.sampling import Sampling

RECORD = ".mlygeo_sampling.json"
"""File in the folder of a video's frames that records how they were sampled."""

_PART = 1 << 18
"""Bytes at the start and the end of a video that identify it: its headers are there."""

_BEGINNING_AND_END = b"\xff\xd8", b"\xff\xd9"


def settle(
    target: Path, video: Path, *, sampling: Sampling, track: gpd.GeoDataFrame | None, count: int, rerun: bool
) -> None:
    """
    Prepare the folder of a video's frames for a sampling: a new folder, or one from an earlier run of the same.

    Parameters
    ----------
    target
        The folder.
    video
        The video.
    sampling
        How the video is sampled.
    track
        Tracks frame with the positions of the frames, if it is not the video's own track.
    count
        Number of frames.
    rerun
        Remove the frames of an earlier run, and no other file.

    Raises
    ------
    FileError
        If the folder holds other pictures, or frames that were sampled otherwise.
    """
    wanted = {"video": video.name, **_content(video), **asdict(sampling)}
    if track is not None:
        wanted["track"] = _digest(track)
    record = target / RECORD
    if target.exists() and not target.is_dir():
        raise FileError(f"{target} is a file, and the frames of {video.name} would go there")
    found = _record(record)
    strangers = [] if found is not None else sorted(path for path in target.glob("*.jpg"))
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
    if found is None or rerun:
        with store.atomic(record) as temporary:
            temporary.write_text(json.dumps({**wanted, "frames": count}), encoding="utf-8")


def path_of(target: Path, video: Path, number: int) -> Path:
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
