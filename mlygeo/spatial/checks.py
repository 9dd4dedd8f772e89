"""Checks of images: positions, speeds, jumps and capture times that are impossible or unlikely."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames
from mlygeo.errors import InputError
from mlygeo.spatial import geodesy, geotag, ordering
from mlygeo.spatial.geotag import outside_track
from mlygeo.spatial.sequences import CUTOFF_TIME_S

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.arrays import Flags, Floats, Objects
    from mlygeo.spatial.ordering import Order

LOG = logging.getLogger("mlygeo.spatial.checks")

MAX_SPEED_KMH = 400.0
"""Kilometres an hour; mapillary_tools rejects images that moved faster."""

ZIGZAG_WINDOW = 5
ZIGZAG_SHARE = 0.8
ZIGZAG_JUMP_M = 30.0
"""An image after which the way jumps back, by more than this, to less than this share of the distance
from the image so many before: the constants of mapillary_tools."""


def check_images(
    images: gpd.GeoDataFrame,
    *,
    track: gpd.GeoDataFrame | None = None,
    max_speed: float = MAX_SPEED_KMH,
) -> gpd.GeoDataFrame:
    """
    Flag images whose position or time looks wrong, and explain why.

    - Position (0, 0), which many devices write when they have no fix.
    - Apparent speed: reaching the position from the previous image takes more than `max_speed`. Images
      with the same time are not tested.
    - Zig-zag: the track jumps off and comes back, as GPS reflections make it. The rule is that of
      mapillary_tools: an image is nearer to the fifth image before it than 0.8 times the distance of the
      image before, and more than 30 m from that image. The images that were away are flagged.
    - The same capture time as other images.
    - A capture time outside the track, with the likely error of the clock or its time zone.

    Speeds and zig-zags are tested along the images of one folder and camera in time order, or of one
    `sequence_id` where the frame has no folders, but not across pauses of over a minute. Cut sequences
    are not used here, since a jump of more than the cutoff distance ends a sequence. Images flagged as
    duplicates (`is_duplicate`) are skipped.

    Parameters
    ----------
    images
        Images frame with `captured_at`.
    track
        Tracks frame that the images should lie on; None skips this check.
    max_speed
        Highest plausible speed, kilometres an hour.

    Returns
    -------
    images
        The same rows with `problem` (str): the explanations, separated by "; ", null where nothing looks
        wrong. Images with an `error` are not looked at, nothing is dropped, no `error` is set.

    Raises
    ------
    FrameError
        If a column is missing or has another dtype, or the track has no point with a time.
    InputError
        If `max_speed` is not above 0.

    Examples
    --------
    >>> checked = check_images(images, max_speed=200)
    >>> checked.loc[checked["problem"].notna(), ["path", "problem"]]
    """
    import pandas as pd

    images = frames.check(images, ordering.TIMED)
    if not max_speed > 0:
        raise InputError(f"`max_speed` must be above 0 km/h, not {max_speed}")
    problems: list[Objects] = []
    lon, lat = frames.lonlat(images)
    usable = np.ones(len(images), dtype=bool)
    if "error" in images.columns:
        usable &= images["error"].isna().to_numpy()
    zero = usable & (lon == 0) & (lat == 0)
    nowhere = np.full(len(images), None, dtype=object)
    nowhere[zero] = "position (0, 0), which means that there is none"
    problems.append(nowhere)
    moving = usable & ~zero
    if "is_duplicate" in images.columns:
        moving &= ~images["is_duplicate"].to_numpy(dtype=bool)
    rows = np.flatnonzero(moving)
    groups = ("folder", *ordering.CAMERA) if "folder" in images.columns else ("sequence_id", *ordering.CAMERA)
    order = ordering.by_time(images.iloc[rows], groups)
    paused = order.first.copy()
    paused[1:] |= np.diff(order.time_ms) > CUTOFF_TIME_S * 1000
    for found in (_too_fast(order, max_speed), _zigzags(order, paused)):
        column = np.full(len(images), None, dtype=object)
        column[rows] = order.unsort(found, np.full(len(rows), None, dtype=object))
        problems.append(column)
    problems.append(_same_time(images, usable, groups))
    if track is not None:
        timed = np.flatnonzero(usable & images["captured_at"].notna().to_numpy())
        column = np.full(len(images), None, dtype=object)
        column[timed] = outside_track(track, ordering.milliseconds(images["captured_at"])[timed] * 1000)
        problems.append(column)
    texts = _joined(problems)
    problem = pd.Series(texts, index=images.index, dtype="str")
    LOG.info("%d of %d images look wrong", problem.notna().sum(), len(images))
    return images.assign(problem=problem)


def _too_fast(order: Order, max_speed: float) -> Objects:
    texts = np.full(len(order), None, dtype=object)
    step = geodesy.lengths(order.lon[:-1], order.lat[:-1], order.lon[1:], order.lat[1:])
    seconds = np.diff(order.time_ms) / 1000
    # Images of one second have no speed; their equal times are flagged separately.
    speed = np.divide(step, seconds, out=np.zeros(len(step)), where=~order.first[1:] & (seconds > 0)) * 3.6
    for at in np.flatnonzero(speed > max_speed):
        texts[at + 1] = (
            f"{step[at]:,.0f} m in {geotag.duration(seconds[at])} from the image before, that is"
            f" {speed[at]:,.0f} km/h (at most {max_speed:g})"
        )
    return texts


def _zigzags(order: Order, first: Flags) -> Objects:
    """Return a text for each image that jumped off the track; `first` starts a group or ends a pause."""
    window, texts = ZIGZAG_WINDOW, np.full(len(order), None, dtype=object)
    if len(order) <= window:
        return texts
    group = np.cumsum(first)
    now = np.arange(window, len(order))
    now = now[group[now] == group[now - window]]
    back = _between(order, now, now - window)
    off = (_between(order, now - 1, now) > ZIGZAG_JUMP_M) & (
        back < _between(order, now - 1, now - window) * ZIGZAG_SHARE
    )
    now, back = now[off], back[off]
    away = now - 1
    for steps in range(2, window + 1):
        texts[away] = "the way jumps off here and comes back (a zig-zag, as GPS reflections make it)"
        # Backwards from the image that jumped, as long as the images before it jumped too.
        if steps == window:
            break
        away = now - steps
        still = (_between(order, away, now) > ZIGZAG_JUMP_M) & (
            back < _between(order, away, now - window) * ZIGZAG_SHARE
        )
        now, back, away = now[still], back[still], away[still]
    return texts


def _between(order: Order, first: Any, second: Any) -> Floats:
    return geodesy.lengths(order.lon[first], order.lat[first], order.lon[second], order.lat[second])


def _same_time(images: gpd.GeoDataFrame, usable: Flags, groups: tuple[str, ...]) -> Objects:
    texts = np.full(len(images), None, dtype=object)
    rows = np.flatnonzero(usable)
    order = ordering.by_time(images.iloc[rows], groups, placed=False)
    new = order.first.copy()
    new[1:] |= np.diff(order.time_ms) != 0
    number = np.cumsum(new) - 1
    count = np.bincount(number)[number] if len(number) else number
    found = np.full(len(order), None, dtype=object)
    found[count > 1] = [f"{many} images of its folder have this capture time" for many in count[count > 1]]
    texts[rows] = order.unsort(found, np.full(len(rows), None, dtype=object))
    return texts


def _joined(problems: list[Objects]) -> Objects:
    """Return the texts of each row, joined; None where there are none."""
    joined = np.full(len(problems[0]), None, dtype=object)
    for column in problems:
        new = np.array([text is not None for text in column], dtype=bool)
        old = np.array([text is not None for text in joined], dtype=bool)
        joined[new & ~old] = column[new & ~old]
        joined[new & old] = [f"{one}; {other}" for one, other in zip(joined[new & old], column[new & old], strict=True)]
    return joined
