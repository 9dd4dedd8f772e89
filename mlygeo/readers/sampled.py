"""
What is known of photos that are frames of videos: the record of their sampling, in the folder of the frames.

The time within the video, and what is in doubt about its start, have no place in EXIF. They must not be lost
between `sample-video` and `process`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo.formats.chapters import are_sides
from mlygeo.places import natural_key

if TYPE_CHECKING:
    import geopandas as gpd

RECORD = ".mlygeo_sampling.json"
"""File in the folder of a video's frames that records how they were sampled."""

SAME_TIME = "{}, of the same camera, seems to be recorded at the same time"
"""What is in doubt about two videos."""

_NUMBER = re.compile(r"_(\d{6,})\.jpe?g", re.IGNORECASE)


class Facts(NamedTuple):
    """
    Facts of the frames of a video, by their number from 0.

    `seconds` are those of life from the start of the video, which lies `after_s` after that of its `recording`.
    """

    video: str
    recording: str
    after_s: float
    seconds: list[float]
    warning: str | None


def facts_in(folder: Path) -> Facts | None:
    """
    Return the facts of the frames in a folder; None where they are no frames, or an older version made them.

    Parameters
    ----------
    folder
        The folder.
    """
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        facts = found["facts"]
        return Facts(
            str(found["video"]), str(facts["recording"]), float(facts["after_s"]),
            [float(second) for second in facts["seconds"]], facts["warning"] and str(facts["warning"]),
        )  # fmt: skip
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def with_facts(images: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """
    Return images with what their samplings tell: `warning`, where one is in doubt, joined to what is there.

    Frames of two videos of one camera that seem to be recorded at the same time are in doubt, too, wherever and
    whenever they were sampled.

    Parameters
    ----------
    images
        Frame of local images.
    """
    import pandas as pd

    rows, _ = _frames_of(images)
    overlapping = _overlapping(images, rows)
    said = [
        (row, text)
        for row, facts, _ in rows
        for text in (*(facts.warning or "").split("; "), *overlapping.get(images["folder"].iloc[row], []))
        if text
    ]
    if not said:
        return images
    warning = _column(images, "warning")
    for row, text in said:
        before = warning[row]
        warning[row] = text if before is None else before if text in before else f"{before}; {text}"
    return images.assign(warning=pd.Series(warning, index=images.index, dtype="str"))


def _overlapping(images: gpd.GeoDataFrame, rows: list[tuple[int, Facts, int]]) -> dict[str, list[str]]:
    """Return for each folder which videos of the same camera were recorded at the same time as its own."""
    if not rows:
        return {}
    some = images.iloc[[row for row, _, _ in rows]]
    some = some.assign(video=[facts.video for _, facts, _ in rows])
    some = some[some["captured_at"].notna()]
    known = [name for name in ("make", "model") if name in some.columns]
    spans = [
        (tuple(map(str, part[known].iloc[0])), part["captured_at"].min(), part["captured_at"].max(), folder, video)
        for (folder, video), part in some.groupby(["folder", "video"])
    ]
    found: dict[str, list[str]] = {}
    spans.sort(key=lambda span: span[:2])
    for place, (camera, start, end, folder, video) in enumerate(spans):
        for other_camera, other_start, _, other_folder, other in spans[place + 1 :]:
            # Most creation times are whole seconds.
            if other_camera != camera or (other_start > start and (end - other_start).total_seconds() <= 1):
                break
            if not are_sides(Path(video).stem, Path(other).stem):
                found.setdefault(folder, []).append(SAME_TIME.format(other))
                found.setdefault(other_folder, []).append(SAME_TIME.format(video))
    return {folder: texts[:3] for folder, texts in found.items()}


def with_times_from(images: gpd.GeoDataFrame, start_ms: int) -> gpd.GeoDataFrame:
    """
    Return images with capture times for the frames of a video that names no start time: it starts with a track.

    Only one recording can, of which further chapters follow. Of several recordings, the first one has times then.

    Parameters
    ----------
    images
        Frame of local images. Nothing is changed if any of them has a time.
    start_ms
        Start of the track, milliseconds since 1970.
    """
    import pandas as pd

    if images["captured_at"].notna().any():
        return images
    rows, folders = _frames_of(images)
    if not rows:
        return images
    first = min((facts.recording for facts in folders.values() if facts is not None), key=natural_key)
    chosen = [(row, facts, number) for row, facts, number in rows if facts.recording == first]
    begin_s = min(facts.after_s for _, facts, _ in chosen)
    captured = np.full(len(images), np.datetime64("NaT", "ms"), dtype="datetime64[ms]")
    for row, facts, number in chosen:
        after_ms = round((facts.after_s - begin_s + facts.seconds[number]) * 1000)
        captured[row] = np.datetime64(start_ms + after_ms, "ms")
    return images.assign(captured_at=pd.Series(captured, index=images.index).dt.tz_localize("UTC"))


def _frames_of(images: gpd.GeoDataFrame) -> tuple[list[tuple[int, Facts, int]], dict[str, Facts | None]]:
    """Return the rows that are frames of videos, with their facts and number; and the facts of each folder."""
    folders = {folder: facts_in(Path(folder)) for folder in images["folder"].dropna().unique()}
    if not any(folders.values()):
        return [], {}
    rows = []
    for row, (path, folder) in enumerate(zip(images["path"], images["folder"], strict=True)):
        facts = folders.get(folder)
        match = None if facts is None else _NUMBER.search(path)
        if facts is not None and match is not None and 1 <= int(match[1]) <= len(facts.seconds):
            rows.append((row, facts, int(match[1]) - 1))
    return rows, folders


def _column(images: gpd.GeoDataFrame, name: str) -> list[Any]:
    if name not in images.columns:
        return [None] * len(images)
    column = images[name]
    values: list[Any] = column.astype(object).where(column.notna(), None).tolist()
    return values
