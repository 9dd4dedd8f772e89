"""Checks of images: positions, speeds, jumps and capture times that are impossible or unlikely."""

from __future__ import annotations

import logging
import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames, plausible
from mlygeo.errors import InputError
from mlygeo.progress import working
from mlygeo.spatial import geodesy, geotag, ordering
from mlygeo.spatial.geotag import outside_track
from mlygeo.spatial.sequences import CUTOFF_TIME_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Flags, Floats, Objects, Rows
    from mlygeo.spatial.ordering import Order

LOG = logging.getLogger("mlygeo.spatial.checks")

MAX_SPEED_KMH = 400.0
"""Kilometres an hour; mapillary_tools rejects images that moved faster."""

DAY_MS = 86_400_000

YEAR_MS = round(365.25 * DAY_MS)

EARLIEST_MS = 9131 * DAY_MS
"""1995-01-01. EXIF is of that year; dates before are those of clocks that were not set."""

ROLLOVER_MS = 1024 * 7 * DAY_MS
"""GPS sends its week number in ten bits (IS-GPS-200, 20.3.3.3.1.1)."""

CONTRADICTION_MS = DAY_MS // 2
"""File numbers and times that differ by less may come from a clock that was set, or another time zone."""

NEAR_MS = 10 * 60_000

_DIGITS = re.compile(r"\d+")

ZIGZAG_WINDOW = 5
ZIGZAG_SHARE = 0.8
ZIGZAG_JUMP_M = 30.0
"""An image after which the way jumps back, by more than this, to less than this share of the distance
from the image so many before: the constants of mapillary_tools."""


@working("checking positions")
def check_images(
    images: gpd.GeoDataFrame,
    *,
    track: gpd.GeoDataFrame | None = None,
    max_speed: float = MAX_SPEED_KMH,
    now: datetime | None = None,
) -> gpd.GeoDataFrame:
    """
    Flag images whose position or time looks wrong, and explain why.

    - What the reader of a photo doubts: its `warning`, where the frame has that column.
    - Capture times before 1995 or after `now`.
    - Capture times over a year from those of most images of the folder and device.
    - Capture times that contradict the numbers in file names by over half a day: of the images of one folder
      and device with names like IMG_1.jpg (of most of them, where those are not apart by half a day), the longest
      series in which times do not decrease counts as right if it has two thirds. Numbering that restarts (after 9999)
      is not a contradiction. Differences of days, or of the 1,024 weeks after which GPS week numbers restart, are
      named.
    - Impossible values: headings outside 0 to 360°, altitudes below the deepest sea or where the air ends,
      accuracies below 0, sizes below a pixel; infinite ones, too.
    - Position (0, 0), which many devices write when they have no fix.
    - Apparent speed: reaching the position from the previous image takes more than `max_speed`. Images
      with the same time are not tested.
    - Zigzag: the track jumps away and comes back, as after GPS reflections. The rule is that of
      mapillary_tools: an image is nearer to the fifth image before it than 0.8 times the distance of the image
      before, and more than 30 m from that image. The images in between are flagged.
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
    now
        The time now, with its time zone; a day more is allowed. None skips that check.

    Returns
    -------
    images
        The same rows with `problem` (str): the explanations, separated by "; ", null where nothing looks wrong.
        Images with an `error` are not checked. No row is dropped, and no `error` is set.

    Raises
    ------
    FrameError
        If a column is missing or has another dtype, or the track has no point with a time.
    InputError
        If `max_speed` is not above 0, or `now` has no time zone.

    Examples
    --------
    >>> checked = check_images(images, max_speed=200)
    >>> checked.loc[checked["problem"].notna(), ["path", "problem"]]
    """
    import pandas as pd

    images = frames.check(images, ordering.TIMED)
    if not max_speed > 0:
        raise InputError(f"`max_speed` must be above 0 km/h, not {max_speed}")
    if now is not None and now.tzinfo is None:
        raise InputError(f"`now` must have a time zone: {now}")
    lon, lat = frames.lonlat(images)
    usable = np.ones(len(images), dtype=bool)
    if "error" in images.columns:
        usable &= images["error"].isna().to_numpy()
    problems = _odd_times(images, usable, now)
    zero = usable & (lon == 0) & (lat == 0)
    nowhere = np.full(len(images), None, dtype=object)
    nowhere[zero] = "position (0, 0), which means that there is none"
    problems += [nowhere, *_implausible(images, usable)]
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
    texts = frames.phrases(*problems)
    problem = pd.Series(texts, index=images.index, dtype="str")
    LOG.info("%d of %d images look wrong", problem.notna().sum(), len(images))
    return images.assign(problem=problem)


def _implausible(images: gpd.GeoDataFrame, usable: Flags) -> Iterator[Objects]:
    """Yield a text for each number that no image has; see `mlygeo.plausible.RANGES`."""
    import pandas as pd

    for name, known in plausible.RANGES.items():
        if name in images.columns and pd.api.types.is_numeric_dtype(images[name].dtype):
            values = images[name].to_numpy(dtype=np.float64, na_value=np.nan)
            texts = np.full(len(images), None, dtype=object)
            for row in np.flatnonzero(usable & known.beyond(values)):
                texts[row] = f"{name} {values[row]:g}, {known.said}"
            yield texts


def _odd_times(images: gpd.GeoDataFrame, usable: Flags, now: datetime | None) -> list[Objects]:
    """Return what the readers doubt, and what is odd with the capture times."""
    import pandas as pd

    doubted, odd = np.full(len(images), None, dtype=object), np.full(len(images), None, dtype=object)
    if "warning" in images.columns:
        known = usable & images["warning"].notna().to_numpy()
        doubted[known] = images["warning"][known].to_numpy(dtype=object)
    time = ordering.milliseconds(images["captured_at"])
    usable = usable & images["captured_at"].notna().to_numpy()
    latest = np.iinfo(np.int64).max if now is None else round(now.timestamp() * 1000) + DAY_MS
    for place in np.flatnonzero(usable & ((time < EARLIEST_MS) | (time > latest))):
        why = "before 1995" if time[place] < EARLIEST_MS else "in the future"
        if doubted[place] is None or why not in doubted[place]:
            odd[place] = f"captured {_shown(time[place])}, {why}"
        usable[place] = False
    rows = np.flatnonzero(usable)
    some = images.iloc[rows]
    code = ordering.group_codes(some, ("folder" if "folder" in images.columns else "sequence_id", *ordering.DEVICE))
    for members in _over_days(code, time[rows]):
        found = _far_from_most(time[rows[members]])
        if "path" in images.columns:
            against = _against_names(ordering.names(some["path"].iloc[members]), time[rows[members]])
            found = np.where(pd.notna(against), against, found)
        odd[rows[members]] = found
    return [doubted, odd]


def _over_days(code: Rows, time: Rows) -> Iterator[Rows]:
    """Yield the rows of each group whose times span over half a day; most span one ride."""
    if not len(code):
        return
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.diff(code[order], prepend=-1))
    span = np.maximum.reduceat(time[order], starts) - np.minimum.reduceat(time[order], starts)
    bounds = np.append(starts, len(order))
    for group in np.flatnonzero(span > CONTRADICTION_MS):
        yield order[bounds[group] : bounds[group + 1]]


def _far_from_most(time: Rows) -> Objects:
    """Return a text for each time over a year from those of most images of a group."""
    texts = np.full(len(time), None, dtype=object)
    most = _together(time, YEAR_MS)
    if most is None:
        return texts
    first, last = time[most].min(), time[most].max()
    for place in np.flatnonzero(~most):
        apart = int(time[place] - (first if time[place] < first else last))
        texts[place] = f"captured {_shown(time[place])}, {_apart(apart)} most images of its folder{_guess(apart)}"
    return texts


def _together(time: Rows, gap_ms: int) -> Flags | None:
    """Return the times of the cluster, between gaps of more than so much, that has most of them; None without one."""
    order = np.argsort(time, kind="stable")
    cluster = np.empty(len(time), dtype=np.int64)
    cluster[order] = np.cumsum(np.diff(time[order], prepend=time[order[0]]) > gap_ms)
    count = np.bincount(cluster)
    largest = int(np.argmax(count))
    most: Flags = cluster == largest
    return most if 2 * count[largest] > len(time) and count[largest] > 1 else None


def _against_names(names: pd.Series, time: Rows) -> Objects:
    """Return a text for each time of a group that contradicts the numbers in the names."""
    import pandas as pd

    texts = np.full(len(names), None, dtype=object)
    pattern = pd.factorize(names.str.replace(_DIGITS, "#", regex=True))[0]
    order = np.lexsort((ordering.natural_ranks(names), pattern))
    for series in np.split(order, np.flatnonzero(np.diff(pattern[order])) + 1):
        times = time[series]
        falls = (np.maximum.accumulate(times) - times > CONTRADICTION_MS).any()
        if not falls or not _DIGITS.search(names.iloc[series[0]]) or _began_anew(names.iloc[series], times):
            continue
        most = _together(times, CONTRADICTION_MS)
        base = np.arange(len(series)) if most is None else np.flatnonzero(most)
        right = base[_longest_rise(times[base].tolist())]
        if 3 * len(right) < 2 * len(base):
            continue  # such names tell no order
        wrong = np.setdiff1d(np.arange(len(series)), right)
        after = np.searchsorted(right, wrong)
        for place, following in zip(wrong.tolist(), after.tolist(), strict=True):
            early = int(times[place] - times[right[following - 1]]) if following else 0
            late = int(times[place] - times[right[following]]) if following < len(right) else 0
            if early >= -CONTRADICTION_MS and late <= CONTRADICTION_MS:
                continue
            apart = early if early < -CONTRADICTION_MS else late
            other = names.iloc[series[right[following - 1 if apart == early else following]]]
            texts[series[place]] = (
                f"captured {_shown(times[place])}, {_apart(apart)} {other}, against their numbers{_guess(apart)}"
            )
    return texts


def _longest_rise(values: list[int]) -> Rows:
    """Return the places of a longest series of values that never decrease (patience sorting, Schensted 1961)."""
    ends: list[int] = []
    places: list[int] = []
    before = [-1] * len(values)
    for place, value in enumerate(values):
        at = bisect_right(ends, value)
        before[place] = places[at - 1] if at else -1
        ends[at : at + 1] = [value]
        places[at : at + 1] = [place]
    found = [places[-1]]
    while before[found[-1]] >= 0:
        found.append(before[found[-1]])
    found.reverse()
    # Of several such series, the one whose ends are nearest to the rest: a wrong date beside an end is as long.
    if len(found) > 1:
        starts, stops = range(found[1]), range(found[-2] + 1, len(values))
        found[0] = max((place for place in starts if values[place] <= values[found[1]]), key=values.__getitem__)
        found[-1] = min((place for place in stops if values[place] >= values[found[-2]]), key=values.__getitem__)
    return np.array(found, dtype=np.int64)


def _began_anew(names: pd.Series, times: Rows) -> bool:
    """Return whether times in the order of names are those of numbers that began anew, as after IMG_9999."""
    falls = np.flatnonzero(np.diff(times) < -CONTRADICTION_MS)
    if len(falls) != 1 or times[-1] > times[0]:
        return False
    low, high = (int(re.findall(_DIGITS, name)[-1][-18:]) for name in names.iloc[[falls[0], falls[0] + 1]])
    # Low numbers are those of the end: between them and the high ones is more than the series itself.
    return high - low > len(times)


def _guess(apart_ms: int) -> str:
    """Return what a difference of times suggests."""
    weeks = round(apart_ms / ROLLOVER_MS)
    if weeks and abs(apart_ms - weeks * ROLLOVER_MS) < DAY_MS:
        return f" ({1024 * abs(weeks)} weeks: a roll-over of the GPS week number?)"
    days = round(apart_ms / DAY_MS)
    if days and abs(apart_ms - days * DAY_MS) < NEAR_MS:
        return f" ({abs(days)} day{'s' if abs(days) > 1 else ''} to the minute: a date that changed late?)"
    return ""


def _apart(apart_ms: int) -> str:
    years = abs(apart_ms) / YEAR_MS
    text = f"{years:.1f} years" if years >= 1 else geotag.duration(apart_ms / 1000)
    return f"{text} {'before' if apart_ms < 0 else 'after'}"


def _shown(time_ms: int) -> str:
    return str(np.datetime64(int(time_ms), "ms").astype("datetime64[s]")).replace("T", " ")


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
