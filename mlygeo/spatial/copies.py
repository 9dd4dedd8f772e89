"""Copies: one picture that stands in several sequences, such as that of a contributor who gave it to two providers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo import arrays, frames, keys
from mlygeo.arrays import GOLDEN, mix
from mlygeo.degrees import angle_between
from mlygeo.errors import FrameError, InputError
from mlygeo.progress import working
from mlygeo.spatial import geodesy

if TYPE_CHECKING:
    from collections.abc import Iterator

    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Flags, Floats, Rows, Whole, Words

LOG = logging.getLogger("mlygeo.spatial.copies")

MAX_DISTANCE_M = 5.0
"""Providers keep positions in grids and with digits of their own; these are decimetres."""

MAX_TIME_S = 1.0
"""Some providers and tools keep whole seconds."""

MAX_ANGLE = 10.0

MAX_BITS = 6
"""Bits of 64. Another encoding or size changes two at most, and pictures of one street are 10 and more apart."""

ASPECT = 0.01
"""Ratios of sides that differ by this share are those of different pictures; sizes of one picture are rounded."""

BY_PICTURE, BY_PLACE = "picture", "place and time"

LEAST_CELL_M, LEAST_CELL_MS = 1.0, 1000
"""Cells of place and time are at least so large."""

METRES_A_DEGREE = 110_500.0
"""Fewer than a degree of latitude has anywhere, so that cells are not smaller than the distance."""

MOST_PAIRS = 200_000_000
"""Pairs that are compared; more means that times or places are made up."""

AT_ONCE = 1 << 20
"""Images whose neighbours are looked up at once, and pairs that are compared at once."""


@working("looking for copies")
def flag_copies(
    images: gpd.GeoDataFrame,
    *,
    max_distance: float = MAX_DISTANCE_M,
    max_time: float = MAX_TIME_S,
    max_angle: float = MAX_ANGLE,
    max_bits: int = MAX_BITS,
) -> gpd.GeoDataFrame:
    """
    Flag images that are the same picture as one of another sequence, of whichever contributor or provider.

    Two images of different sequences are copies if their places and times are within the limits, and so are headings,
    ratios of the longer to the shorter side, and perceptual hashes where both images have them: `compass_angle`,
    `width` and `height` (or those that were measured), and `phash`, see `quality`. Without hashes two cameras that
    look the same way from the same place at the same time count as one, so `copy_by` has the evidence.

    Copies of copies are of one group. Its first image is the earliest; of several at that time the first by provider
    and id (by path, where images have paths). Nothing is dropped, and the order of the rows does not matter.

    Parameters
    ----------
    images
        Images frame with `sequence_id` and `captured_at`. Where there is no sequence, the column `folder` tells which
        images belong together.
    max_distance
        Largest distance of copies, metres (geodesic, WGS 84).
    max_time
        Largest difference of capture times, seconds.
    max_angle
        Largest difference of headings, degrees, the shorter way round.
    max_bits
        Most bits of 64 in which the hashes may differ.

    Returns
    -------
    images
        The same rows with `is_copy` (bool: all of a group but the first), `copy_of` (the first image of the group, by
        `path` where the frame has paths and by `id` elsewhere; null where it is none), `copy_group` (Int64: from 0, the
        same for all of a group; null for images without copies) and `copy_by` (str: "picture" where hashes say so,
        "place and time" where there are none; of a first image the weakest of its group; null for images without
        copies).

    Raises
    ------
    FrameError
        If a column is missing, or so many images have the same place and time that these cannot be real.
    InputError
        If a limit makes no sense.

    Examples
    --------
    >>> flagged = flag_copies(images, max_distance=10)
    >>> flagged[~flagged["is_copy"]]
    """
    import pandas as pd

    for option, value, most in (("max_distance", max_distance, 1e5), ("max_time", max_time, 86_400.0),
                                ("max_angle", max_angle, 180.0), ("max_bits", max_bits, 64)):  # fmt: skip
        if not 0 <= value <= most:
            raise InputError(f"`{option}` must lie between 0 and {most:g}, not {value}")
    images = frames.check(images, frames.IMAGES.only("captured_at", "sequence_id"))
    order = _order(images)
    facts = _Facts.of(images)
    first, second = _near(facts, max_distance, max_time)
    facts_one, facts_other = facts.at(first), facts.at(second)
    alike = _within(angle_between(facts_one.heading, facts_other.heading), max_angle)
    alike &= _within(np.abs(np.log(facts_one.aspect) - np.log(facts_other.aspect)), ASPECT)
    hashed = facts_one.has_hash & facts_other.has_hash
    alike &= ~hashed | (np.bitwise_count(facts_one.hash ^ facts_other.hash) <= max_bits)
    first, second, hashed = first[alike], second[alike], hashed[alike]
    group = _components(order[first], order[second], len(images))[order]
    weak = np.zeros(len(images), dtype=bool)
    weak[np.concatenate([first[~hashed], second[~hashed]])] = True
    strong = np.zeros(len(images), dtype=bool)
    strong[np.concatenate([first[hashed], second[hashed]])] = True
    found = _columns(images, order, group, weak & ~strong)
    LOG.info("%d of %d images are copies of %d others", *found["counts"])
    return images.assign(**{name: pd.Series(values, index=images.index) for name, values in found["columns"].items()})


class _Facts(NamedTuple):
    """What is compared, in the order of the rows."""

    time_ms: Whole
    lon: Floats
    lat: Floats
    sequence: Whole
    heading: Floats
    aspect: Floats
    hash: Words
    has_hash: Flags

    @classmethod
    def of(cls, images: gpd.GeoDataFrame) -> _Facts:

        lon, lat = frames.lonlat(images)
        times = images["captured_at"].dt.as_unit("ms")
        gone = times.isna().to_numpy() | ~np.isfinite(lon) | ~np.isfinite(lat)
        time_ms = times.to_numpy(dtype="datetime64[ms]").astype(np.int64)
        hashes, has_hash = np.zeros(len(images), dtype=np.uint64), np.zeros(len(images), dtype=bool)
        if "phash" in images.columns:
            texts = images["phash"].astype("str")
            has_hash = texts.str.fullmatch(r"[0-9a-fA-F]{16}").fillna(value=False).to_numpy(dtype=bool)
            words = texts[has_hash].str.cat().encode() if has_hash.any() else b""
            hashes[has_hash] = np.frombuffer(bytes.fromhex(words.decode()), dtype=">u8")
        aspect = _aspect(images, "width", "height")
        measured = _aspect(images, "measured_width", "measured_height")
        sequence = _codes(images)
        return cls(
            np.where(gone, 0, time_ms), np.where(gone, np.nan, lon), np.where(gone, np.nan, lat), sequence,
            frames.reals(images, "compass_angle"), np.where(np.isnan(aspect), measured, aspect), hashes, has_hash,
        )  # fmt: skip

    def at(self, rows: Rows) -> _Facts:
        """Return the facts of chosen rows."""
        values: Any = (each[rows] for each in self)
        return _Facts(*values)


def _aspect(images: gpd.GeoDataFrame, width: str, height: str) -> Floats:
    """Return the ratio of the longer to the shorter side; NaN where it is unknown."""
    sides = [frames.reals(images, name) for name in (width, height)]
    shorter, longer = np.minimum(*sides), np.maximum(*sides)
    ratio: Floats = np.divide(longer, shorter, out=np.full(len(images), np.nan), where=shorter > 0)
    return ratio


def _codes(images: gpd.GeoDataFrame) -> Whole:
    """Return a number for the sequence of each image, by provider; images without one are of their folder, or alone."""
    import pandas as pd

    parts = [images["sequence_id"].astype("object")]
    if "provider" in images.columns:
        parts.append(images["provider"].astype("object"))
    unknown = images["sequence_id"].isna().to_numpy()
    codes = pd.MultiIndex.from_arrays(parts).factorize(use_na_sentinel=False)[0].astype(np.int64)
    if not unknown.any():
        return codes
    folders = images["folder"] if "folder" in images.columns else pd.Series(np.arange(len(images)), index=images.index)
    inside, _ = pd.factorize(folders[unknown].astype("object"), use_na_sentinel=False)
    codes[unknown] = -1 - inside
    return codes


def _order(images: gpd.GeoDataFrame) -> Rows:
    """Return the place of each row in the order that decides which image of a group is its first."""
    import pandas as pd

    times = images["captured_at"].astype("int64").to_numpy()
    if "path" in images.columns:
        names = [images["path"].astype("object").map(str).to_numpy(dtype=str)]
    elif "id" in images.columns and images["id"].notna().all():
        providers = images["provider"].array if "provider" in images.columns else None
        ids = images["id"]
        held = ids.to_numpy(dtype=np.int64) if pd.api.types.is_integer_dtype(ids) else ids.array
        names = [keys.ranks(held, None if providers is None else pd.array(providers, dtype="str"))]
    else:
        raise FrameError("these images have neither ids nor paths, by which copies are named")
    lon, lat = frames.lonlat(images)
    order = np.lexsort((lat, lon, *names, times))
    places = np.empty(len(images), dtype=np.int64)
    places[order] = np.arange(len(images))
    return places


def _near(facts: _Facts, max_distance: float, max_time: float) -> tuple[Rows, Rows]:
    """Return the pairs of rows, each once, of different sequences within the limits of place and time."""
    found = [
        (first[near], second[near])
        for first, second in _candidates(facts, max_distance, max_time)
        if len(near := np.flatnonzero(_are_near(facts, first, second, max_distance, max_time)))
    ]
    if not found:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    first, second = (np.concatenate(each) for each in zip(*found, strict=True))
    # Near the poles a row of cells has so few that the neighbours on both sides are the same one.
    pairs = np.unique(np.sort(np.stack([first, second]), axis=0), axis=1)
    return pairs[0], pairs[1]


def _are_near(facts: _Facts, first: Rows, second: Rows, max_distance: float, max_time: float) -> Flags:
    near: Flags = facts.sequence[first] != facts.sequence[second]
    near &= np.abs(facts.time_ms[first] - facts.time_ms[second]) <= max_time * 1000
    rows = np.flatnonzero(near)
    one, other = first[rows], second[rows]
    near[rows] = ~geodesy.farther(facts.lon[one], facts.lat[one], facts.lon[other], facts.lat[other], max_distance)
    return near


def _candidates(facts: _Facts, max_distance: float, max_time: float) -> Iterator[tuple[Rows, Rows]]:
    """
    Yield pairs of rows in the same or neighbouring cells of place and time, among them all that are near.

    Cells are bands of latitude, each divided evenly, so that none is smaller than the distance, nor would be one band
    nearer to the pole. They are known by hashes; that two cells may have the same does not matter, since pairs are
    compared exactly.
    """
    rows = np.flatnonzero(np.isfinite(facts.lon))
    height = max(max_distance, LEAST_CELL_M) / METRES_A_DEGREE
    step = max(int(np.ceil(max_time * 1000)), LEAST_CELL_MS)
    band = np.floor((facts.lat[rows] + 90.0) / height).astype(np.int64)
    time = np.floor_divide(facts.time_ms[rows], step)
    lon = np.mod(facts.lon[rows], 360.0)

    def hashes(bands: Whole, times: Whole, part: slice, beside: int) -> Words:
        edge = np.maximum(np.abs((bands - 1) * height - 90.0), np.abs((bands + 2) * height - 90.0))
        columns = np.maximum(np.floor(360.0 / height * np.cos(np.radians(np.minimum(edge, 90.0)))), 1.0)
        column = np.mod(np.floor(lon[part] / 360.0 * columns) + beside, columns).astype(np.int64)
        spread = np.uint64(GOLDEN)
        mixed = mix(times.astype(np.uint64) * spread + bands.astype(np.uint64))
        return mix(mixed * spread + column.astype(np.uint64))

    everything = slice(None)
    own = hashes(band, time, everything, 0)
    sorted_rows = np.argsort(own, kind="stable")
    held = own[sorted_rows]
    pairs = 0
    for later, north, east in _NEIGHBOURS:
        for start in range(0, len(rows), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            wanted = hashes(band[part] + north, time[part] + later, part, east)
            begin = np.searchsorted(held, wanted, side="left")
            count = np.searchsorted(held, wanted, side="right") - begin
            pairs += int(count.sum())
            if pairs > MOST_PAIRS:
                raise FrameError(
                    f"over {MOST_PAIRS:,} pairs of images have nearly the same place and time, which must be made up",
                    hint="leave out images whose times are dates alone, or whose places are those of a town",
                )
            for some in _shares(count):
                first = np.repeat(some, count[some])
                within = arrays.numbered(count[some])
                one, other = rows[first + start], rows[sorted_rows[within + begin[first]]]
                if not (later or north or east):
                    # In its own cell each pair stands twice, and each image beside itself.
                    kept = one < other
                    one, other = one[kept], other[kept]
                yield one, other


def _shares(count: Whole) -> list[Rows]:
    """Return numbers from 0 on in shares, whose counts together are not much more than so many pairs."""
    places = np.flatnonzero(count)
    share = np.cumsum(count[places]) // AT_ONCE
    return np.split(places, np.flatnonzero(np.diff(share)) + 1) if len(places) else []


_NEIGHBOURS = ((0, 0, 0), (0, 0, 1), *((0, 1, east) for east in (-1, 0, 1)),
               *((1, north, east) for north in (-1, 0, 1) for east in (-1, 0, 1)))  # fmt: skip
"""Half of the cells around one, and itself: the other half finds it as a neighbour."""


def _within(apart: Floats, limit: float) -> Flags:
    """Return which differences are within a limit, or unknown."""
    return np.isnan(apart) | (apart <= limit)


def _components(first: Rows, second: Rows, count: int) -> Rows:
    """Return for each place the least place that pairs connect it with."""
    least = np.arange(count)
    while True:
        one, other = least[first], least[second]
        low = np.minimum(one, other)
        before = least.copy()
        np.minimum.at(least, one, low)
        np.minimum.at(least, other, low)
        np.minimum.at(least, first, low)
        np.minimum.at(least, second, low)
        least = least[least]
        if np.array_equal(before, least):
            return least


def _columns(images: gpd.GeoDataFrame, order: Rows, group: Rows, weak: Flags) -> dict[str, Any]:
    """Return the columns of copies, and their counts."""
    import pandas as pd

    count = np.bincount(group, minlength=len(images)) if len(images) else np.empty(0, dtype=np.int64)
    grouped = count[group] > 1
    copy = grouped & (group != order)
    by_place = np.empty(len(images), dtype=np.int64)
    by_place[order] = np.arange(len(images))
    original = np.where(copy, by_place[group], -1)
    names: pd.Series = images["path"] if "path" in images.columns else images["id"]
    names = names.astype("Int64") if pd.api.types.is_integer_dtype(names) else names
    numbers = np.full(len(images), -1)
    numbers[grouped] = np.unique(group[grouped], return_inverse=True)[1]
    # A first image rests on the weakest of what its group does.
    rests = weak.copy()
    np.logical_or.at(rests, by_place[group[weak]], True)
    by = np.where(rests, BY_PLACE, BY_PICTURE).astype(object)
    by[~grouped] = None
    group_numbers = pd.array(numbers, dtype="Int64")
    group_numbers[~grouped] = pd.NA
    columns = {
        "is_copy": copy,
        "copy_of": names.array.take(original, allow_fill=True),
        "copy_group": group_numbers,
        "copy_by": pd.array(by, dtype="str"),
    }
    counts = int(copy.sum()), len(images), int((grouped & ~copy).sum())
    return {"columns": columns, "counts": counts}
